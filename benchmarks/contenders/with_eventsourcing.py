"""eventsourcing's JSONTranscoder, with a transcoding for each value object, as its documentation shows."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.persistence import DatetimeAsISO, DecimalAsStr, JSONTranscoder, Transcoding, UUIDAsHex

from benchmarks.contenders import Contender
from benchmarks.order import EMAIL_PATTERN, KIND, ORDER, TYPE, Facts

_EMAIL = re.compile(EMAIL_PATTERN)


@dataclass(frozen=True)
class OrderId:
    """The id of an order."""

    value: UUID


@dataclass(frozen=True)
class CustomerId:
    """The id of a customer."""

    value: UUID


@dataclass(frozen=True)
class Email:
    """An e-mail address."""

    value: str

    def __post_init__(self) -> None:
        if _EMAIL.fullmatch(self.value) is None:
            raise ValueError("not an e-mail address")


@dataclass(frozen=True)
class Sku:
    """The name of an article in the shop."""

    value: str


@dataclass(frozen=True)
class Quantity:
    """A number of articles, at least one."""

    value: int

    def __post_init__(self) -> None:
        if self.value < 1:
            raise ValueError("less than one")


@dataclass(frozen=True)
class Price:
    """The price of one."""

    value: Decimal


@dataclass(frozen=True)
class OrderLine:
    """One article of an order."""

    sku: Sku
    quantity: Quantity
    price: Price


@dataclass(frozen=True)
class OrderPlaced:
    """Somebody placed an order."""

    order_id: OrderId
    customer_id: CustomerId
    email: Email
    lines: tuple[OrderLine, ...]
    placed_at: datetime
    id: UUID = field(default_factory=uuid4)
    occurred_on: datetime = field(default_factory=lambda: datetime.now(UTC))
    meta: dict[str, Any] = field(default_factory=dict)


class _Wrapper(Transcoding):
    """Writes a value object as what it wraps."""

    def __init__(self, cls: type[Any]) -> None:
        self.type, self.name = cls, cls.__name__.lower()

    def encode(self, obj: Any) -> Any:
        return obj.value

    def decode(self, data: Any) -> Any:
        return self.type(data)


class _LineAsArray(Transcoding):
    """Writes a line as an array of its three values."""

    type = OrderLine
    name = "line"

    def encode(self, obj: OrderLine) -> list[Any]:
        return [obj.sku, obj.quantity, obj.price]

    def decode(self, data: list[Any]) -> OrderLine:
        return OrderLine(*data)


def _transcoder() -> JSONTranscoder:
    transcoder = JSONTranscoder()
    makers: tuple[Callable[[], Transcoding], ...] = (UUIDAsHex, DecimalAsStr, DatetimeAsISO, _LineAsArray)
    for make in makers:
        transcoder.register(make())
    for cls in (OrderId, CustomerId, Email, Sku, Quantity, Price):
        transcoder.register(_Wrapper(cls))
    return transcoder


_json = _transcoder()


def construct() -> OrderPlaced:
    """Return the event of the order."""
    return OrderPlaced(
        OrderId(ORDER.order_id),
        CustomerId(ORDER.customer_id),
        Email(ORDER.email),
        tuple([OrderLine(Sku(sku), Quantity(quantity), Price(price)) for sku, quantity, price in ORDER.lines]),
        ORDER.placed_at,
    )


def encode(event: OrderPlaced) -> bytes:
    """Return the JSON of the event."""
    attributes = {
        "order_id": event.order_id,
        "customer_id": event.customer_id,
        "email": event.email,
        "lines": event.lines,
        "placed_at": event.placed_at,
    }
    data = {
        "id": event.id,
        "type": TYPE,
        "type_message": KIND,
        "version": 1,
        "occurred_on": event.occurred_on,
        "attributes": attributes,
        "meta": event.meta,
    }
    return _json.encode({"data": data})


def decode(raw: bytes) -> OrderPlaced:
    """Return the event that the JSON holds."""
    data = _json.decode(raw)["data"]
    attributes = data["attributes"]
    lines = tuple(attributes.pop("lines"))
    return OrderPlaced(**attributes, lines=lines, id=data["id"], occurred_on=data["occurred_on"], meta=data["meta"])


def facts(event: OrderPlaced) -> Facts:
    """Return what the event says."""
    return Facts(
        event.order_id.value,
        event.customer_id.value,
        event.email.value,
        tuple((line.sku.value, line.quantity.value, line.price.value) for line in event.lines),
        event.placed_at,
    )


CONTENDER = Contender(
    name="eventsourcing",
    note="JSONTranscoder with a transcoding for each value object, frozen dataclasses with the two rules: types are"
    " named in the JSON and not checked",
    construct=construct,
    encode=encode,
    decode=decode,
    facts=facts,
    own_envelope=True,
)
