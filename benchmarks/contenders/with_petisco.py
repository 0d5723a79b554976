"""petisco 2.2.3: value objects, a DomainEvent, `format_json` and `from_format`."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from petisco import DomainEvent, Uuid, ValueObject, ValueObjectSerializer
from pydantic import BaseModel, BeforeValidator, PlainSerializer, RootModel, field_validator

from benchmarks.contenders import PETISCO, Contender
from benchmarks.order import EMAIL_PATTERN, ORDER, Facts, LineFacts

_EMAIL = re.compile(EMAIL_PATTERN)


class OrderId(Uuid):
    """The id of an order."""


class CustomerId(Uuid):
    """The id of a customer."""


class Email(ValueObject):
    """An e-mail address."""

    value: str

    @field_validator("value")
    @classmethod
    def _has_its_form(cls, value: str) -> str:
        if _EMAIL.fullmatch(value) is None:
            raise ValueError("not an e-mail address")
        return value


class Sku(ValueObject):
    """The name of an article in the shop."""

    value: str


class Quantity(ValueObject):
    """A number of articles, at least one."""

    value: int

    @field_validator("value")
    @classmethod
    def _is_positive(cls, value: int) -> int:
        if value < 1:
            raise ValueError("less than one")
        return value


class Price(ValueObject):
    """The price of one."""

    value: Decimal


class PlacedAt(ValueObject):
    """When, as text: petisco drops the offset of a datetime."""

    value: str


def _from_json(cls: Callable[[Any], ValueObject]) -> BeforeValidator:
    """Return what lets petisco read the value object that it wrote; without it, decoding fails."""
    return BeforeValidator(lambda raw: raw if isinstance(raw, ValueObject) else cls(raw))


class OrderLine(BaseModel):
    """One article of an order."""

    sku: Annotated[Sku, ValueObjectSerializer, _from_json(Sku)]
    quantity: Annotated[Quantity, ValueObjectSerializer, _from_json(Quantity)]
    price: Annotated[Price, PlainSerializer(lambda price: str(price.value)), _from_json(Price)]


class OrderLines(RootModel[tuple[OrderLine, ...]]):
    """The lines: petisco serializes a model in a field, and not a tuple of them."""


class OrderPlaced(DomainEvent):
    """Somebody placed an order."""

    order_id: OrderId
    customer_id: CustomerId
    email: Annotated[Email, _from_json(Email)]
    lines: OrderLines
    placed_at: Annotated[PlacedAt, _from_json(PlacedAt)]


def construct() -> OrderPlaced:
    """Return the event of the order."""
    return OrderPlaced(
        order_id=OrderId(str(ORDER.order_id)),
        customer_id=CustomerId(str(ORDER.customer_id)),
        email=Email(value=ORDER.email),
        lines=OrderLines(
            tuple([
                OrderLine(sku=Sku(value=sku), quantity=Quantity(value=quantity), price=Price(value=price))
                for sku, quantity, price in ORDER.lines
            ])
        ),
        placed_at=PlacedAt(value=ORDER.placed_at.isoformat()),
    )  # fmt: skip  # as the other contenders have it


def encode(event: OrderPlaced) -> bytes:
    """Return the JSON of the event."""
    return event.format_json().encode()


def facts(event: OrderPlaced) -> Facts:
    """Return what the event says: a decoded one holds raw JSON where its annotations name value objects."""
    return Facts(
        UUID(event.order_id),
        UUID(event.customer_id),
        _raw(event.email),
        tuple(map(_line, getattr(event.lines, "root", event.lines))),
        datetime.fromisoformat(_raw(event.placed_at)),
    )


def _raw(value: Any) -> Any:
    return value.value if isinstance(value, ValueObject) else value


def _line(line: Any) -> LineFacts:
    if isinstance(line, Mapping):
        return line["sku"], line["quantity"], Decimal(line["price"])
    return line.sku.value, line.quantity.value, line.price.value


CONTENDER = Contender(
    name=PETISCO,
    note="format_json and from_format: the value objects are built when decoding, and then petisco overwrites them"
    " with the raw JSON; types are coerced",
    construct=construct,
    encode=encode,
    decode=OrderPlaced.from_format,
    facts=facts,
)
