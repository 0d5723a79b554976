"""The code an expert writes by hand: msgspec Structs for the wire, and the constructors of the same domain classes."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec

from benchmarks.contenders import BY_HAND, Contender
from benchmarks.contenders.domain import (
    CustomerId,
    Email,
    OrderId,
    OrderLine,
    OrderPlaced,
    Price,
    Quantity,
    Sku,
    facts,
    order_placed,
)
from benchmarks.order import KIND, TYPE
from domainkit import MessageHeader, Uuid


class LineWire(msgspec.Struct, gc=False):
    """A line on the wire."""

    sku: str
    quantity: int
    price: Decimal


class AttributesWire(msgspec.Struct, gc=False):
    """The payload on the wire."""

    order_id: UUID
    customer_id: UUID
    email: str
    lines: list[LineWire]
    placed_at: datetime


class DataWire(msgspec.Struct, gc=False):
    """The payload of the envelope."""

    id: UUID
    type: Literal["order.placed"]
    type_message: Literal["domain_event"]
    version: Literal[1]
    occurred_on: datetime
    attributes: AttributesWire
    meta: dict[str, Any]


class EnvelopeWire(msgspec.Struct, gc=False):
    """The envelope."""

    data: DataWire


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(EnvelopeWire)


def encode(event: OrderPlaced) -> bytes:
    """Return the JSON of the event."""
    header = event.header
    attributes = AttributesWire(
        event.order_id.value,
        event.customer_id.value,
        event.email.value,
        [LineWire(line.sku.value, line.quantity.value, line.price.value) for line in event.lines],
        event.placed_at,
    )
    moment: Any = header.occurred_on.isoformat(" ", "microseconds")[:26]  # a text, where decoding gives a datetime
    meta: Any = header.meta  # any mapping will do
    return _encoder.encode(EnvelopeWire(DataWire(header.id.value, TYPE, KIND, 1, moment, attributes, meta)))


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
        header=MessageHeader(id=Uuid(data.id), occurred_on=data.occurred_on.replace(tzinfo=UTC), meta=data.meta),
    )


CONTENDER = Contender(
    name=BY_HAND,
    note="msgspec Structs and the constructors of domainkit's classes, by hand: no checks when encoding, no limits,"
    " the first error as an exception",
    construct=order_placed,
    encode=encode,
    decode=decode,
    facts=facts,
)
