"""The event that every contender carries: an order with ids, an e-mail address and five lines, as plain values."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Final
from uuid import UUID

from attrs import frozen

LineFacts = tuple[str, int, Decimal]
"""Sku, quantity and price of a line."""

EMAIL_PATTERN: Final = r"[^@\s]+@[^@\s]+\.[^@\s]+"
"""The form of an e-mail address, from its first character to its last."""

TYPE: Final = "order.placed"
KIND: Final = "domain_event"


@frozen
class Facts:
    """The facts of an order event, without the types of any contender: equal facts mean that nothing was lost.

    Args:
        order_id: the id of the order.
        customer_id: the id of who placed it.
        email: where the confirmation goes.
        lines: what was ordered.
        placed_at: when, with the offset of the place where it was.
    """

    order_id: UUID
    customer_id: UUID
    email: str
    lines: tuple[LineFacts, ...]
    placed_at: datetime


ORDER: Final = Facts(
    order_id=UUID("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"),
    customer_id=UUID("3a4d78aa-6870-41cb-aa14-964831511d86"),
    email="ada.lovelace@analytical-engines.example",
    lines=(
        ("GEAR-0144-BRASS", 12, Decimal("3.75")),
        ("SHAFT-0020-STEEL", 2, Decimal("118.00")),
        ("CARD-BLANK-500", 40, Decimal("0.85")),
        ("LEVER-0007-OAK", 6, Decimal("14.20")),
        ("OIL-WHALE-1L", 1, Decimal("22.10")),
    ),
    placed_at=datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=timezone(timedelta(hours=1))),
)
"""The order of all measurements."""


def lines(count: int) -> tuple[LineFacts, ...]:
    """Return that many lines, each another than the one before."""
    return tuple(
        (f"GEAR-{number:04}-BRASS", number % 90 + 1, Decimal(number % 9000 + 100) / 100) for number in range(count)
    )
