"""pydantic v2: frozen models, value objects as RootModels, strict mode."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel, TypeAdapter

from benchmarks.contenders import PYDANTIC, Contender
from benchmarks.order import EMAIL_PATTERN, ORDER, Facts

_FROZEN = ConfigDict(frozen=True, strict=True)


class OrderId(RootModel[UUID]):
    """The id of an order."""

    model_config = _FROZEN


class CustomerId(RootModel[UUID]):
    """The id of a customer."""

    model_config = _FROZEN


class Email(RootModel[Annotated[str, Field(pattern=f"^{EMAIL_PATTERN}$")]]):
    """An e-mail address."""

    model_config = _FROZEN


class Sku(RootModel[str]):
    """The name of an article in the shop."""

    model_config = _FROZEN


class Quantity(RootModel[Annotated[int, Field(ge=1)]]):
    """A number of articles, at least one."""

    model_config = _FROZEN


class Price(RootModel[Decimal]):
    """The price of one."""

    model_config = _FROZEN


class OrderLine(BaseModel):
    """One article of an order."""

    model_config = _FROZEN

    sku: Sku
    quantity: Quantity
    price: Price


class OrderPlaced(BaseModel):
    """Somebody placed an order."""

    model_config = _FROZEN

    order_id: OrderId
    customer_id: CustomerId
    email: Email
    lines: tuple[OrderLine, ...]
    placed_at: AwareDatetime


class Data(BaseModel):
    """The payload of the envelope."""

    model_config = _FROZEN

    id: UUID = Field(default_factory=uuid4)
    type: Literal["order.placed"] = "order.placed"
    type_message: Literal["domain_event"] = "domain_event"
    version: Literal[1] = 1
    occurred_on: datetime = Field(default_factory=lambda: datetime.now(UTC))
    attributes: OrderPlaced
    meta: dict[str, Any] = Field(default_factory=dict)


class Envelope(BaseModel):
    """The event, in its envelope."""

    model_config = _FROZEN

    data: Data


def construct() -> Envelope:
    """Return the event of the order."""
    order = OrderPlaced(
        order_id=OrderId(ORDER.order_id),
        customer_id=CustomerId(ORDER.customer_id),
        email=Email(ORDER.email),
        lines=tuple([
            OrderLine(sku=Sku(sku), quantity=Quantity(quantity), price=Price(price))
            for sku, quantity, price in ORDER.lines
        ]),
        placed_at=ORDER.placed_at,
    )  # fmt: skip  # as the other contenders have it
    return Envelope(data=Data(attributes=order))


def facts(event: Envelope) -> Facts:
    """Return what the event says."""
    order = event.data.attributes
    return Facts(
        order.order_id.root,
        order.customer_id.root,
        order.email.root,
        tuple((line.sku.root, line.quantity.root, line.price.root) for line in order.lines),
        order.placed_at,
    )


_adapter = TypeAdapter(Envelope)

CONTENDER = Contender(
    name=PYDANTIC,
    note="frozen models, RootModel value objects, strict mode, through a TypeAdapter that writes and reads bytes; the"
    " time is written in pydantic's own form, which is faster than a serializer in Python for the envelope's",
    construct=construct,
    encode=_adapter.dump_json,
    decode=_adapter.validate_json,
    facts=facts,
)
