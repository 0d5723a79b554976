"""No library for the domain at all: plain attrs classes with the two rules, msgspec Structs, all of it by hand."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import msgspec
from attrs import Factory, field, frozen
from attrs.validators import ge, matches_re

from benchmarks.contenders import Contender
from benchmarks.contenders.by_hand import AttributesWire, DataWire, EnvelopeWire, LineWire
from benchmarks.order import EMAIL_PATTERN, KIND, ORDER, TYPE, Facts


@frozen
class OrderId:
    """The id of an order."""

    value: UUID


@frozen
class CustomerId:
    """The id of a customer."""

    value: UUID


@frozen
class Email:
    """An e-mail address."""

    value: str = field(validator=matches_re(EMAIL_PATTERN))


@frozen
class Sku:
    """The name of an article in the shop."""

    value: str


@frozen
class Quantity:
    """A number of articles, at least one."""

    value: int = field(validator=ge(1))


@frozen
class Price:
    """The price of one."""

    value: Decimal


@frozen
class OrderLine:
    """One article of an order."""

    sku: Sku
    quantity: Quantity
    price: Price


@frozen
class OrderPlaced:
    """Somebody placed an order."""

    order_id: OrderId
    customer_id: CustomerId
    email: Email
    lines: tuple[OrderLine, ...]
    placed_at: datetime
    id: UUID = Factory(uuid4)
    occurred_on: datetime = Factory(lambda: datetime.now(UTC))
    meta: Mapping[str, object] = Factory(dict)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(EnvelopeWire)


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
    attributes = AttributesWire(
        event.order_id.value,
        event.customer_id.value,
        event.email.value,
        [LineWire(line.sku.value, line.quantity.value, line.price.value) for line in event.lines],
        event.placed_at,
    )
    moment: Any = event.occurred_on.isoformat(" ", "microseconds")[:26]  # a text, where decoding gives a datetime
    meta: Any = event.meta  # any mapping will do
    return _encoder.encode(EnvelopeWire(DataWire(event.id, TYPE, KIND, 1, moment, attributes, meta)))


def decode(raw: bytes) -> OrderPlaced:
    """Return the event that the JSON holds."""
    data = _decoder.decode(raw).data
    attributes = data.attributes
    return OrderPlaced(
        OrderId(attributes.order_id),
        CustomerId(attributes.customer_id),
        Email(attributes.email),
        tuple([OrderLine(Sku(line.sku), Quantity(line.quantity), Price(line.price)) for line in attributes.lines]),
        attributes.placed_at,
        data.id,
        data.occurred_on.replace(tzinfo=UTC),
        data.meta,
    )


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
    name="no library",
    note="plain attrs classes with only the two rules, and msgspec Structs, by hand: constructors check no types",
    construct=construct,
    encode=encode,
    decode=decode,
    facts=facts,
)
