"""msgspec alone: Structs of primitives, without domain types. What the parser costs, and no less is possible."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from msgspec import Meta

from benchmarks.contenders import Contender
from benchmarks.order import EMAIL_PATTERN, KIND, ORDER, TYPE, Facts


class OrderLine(msgspec.Struct, frozen=True):
    """One article of an order."""

    sku: str
    quantity: Annotated[int, Meta(ge=1)]
    price: Decimal


class OrderPlaced(msgspec.Struct, frozen=True):
    """Somebody placed an order."""

    order_id: UUID
    customer_id: UUID
    email: Annotated[str, Meta(pattern=f"^{EMAIL_PATTERN}$")]
    lines: tuple[OrderLine, ...]
    placed_at: Annotated[datetime, Meta(tz=True)]


class Data(msgspec.Struct, frozen=True):
    """The payload of the envelope."""

    id: UUID
    type: str
    type_message: str
    version: int
    occurred_on: datetime
    attributes: OrderPlaced
    meta: dict[str, Any]


class Envelope(msgspec.Struct, frozen=True):
    """The event, in its envelope."""

    data: Data


def construct() -> Envelope:
    """Return the event of the order."""
    order = OrderPlaced(
        ORDER.order_id,
        ORDER.customer_id,
        ORDER.email,
        tuple([OrderLine(sku, quantity, price) for sku, quantity, price in ORDER.lines]),
        ORDER.placed_at,
    )
    return Envelope(Data(uuid4(), TYPE, KIND, 1, datetime.now(UTC), order, {}))


def facts(event: Envelope) -> Facts:
    """Return what the event says."""
    order = event.data.attributes
    lines = tuple((line.sku, line.quantity, line.price) for line in order.lines)
    return Facts(order.order_id, order.customer_id, order.email, lines, order.placed_at)


CONTENDER = Contender(
    name="msgspec",
    note="Structs of primitives, no domain types: a customer's id is accepted for an order's; rules are checked when"
    " decoding only; the time is written in msgspec's own form",
    construct=construct,
    encode=msgspec.json.Encoder().encode,
    decode=msgspec.json.Decoder(Envelope).decode,
    facts=facts,
)
