"""The messages that both sides send, as builtins: each number stands for the same four, whoever sends them.

Neither library is imported here. What a process wrote or read is compared with this.
"""

import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import frozen

PETISCO, DOMAINKIT = "petisco", "domainkit"
SIDES = (PETISCO, DOMAINKIT)
OUTBOX = "domainkit's outbox"
SOURCES = (PETISCO, DOMAINKIT, OUTBOX)
"""The senders of messages: the buses of both sides, and an outbox with its relay."""

ORGANIZATION = "acme"
KINDS = {"order.placed": "event", "order.due": "event", "pay.order": "command", "cancel.order": "command"}
NAMES = tuple(KINDS)
"""The messages of a number, in this order."""

_TEXTS = ("", "Milk", "ß 漢字 🎉", 'quoted " \\ text', "a\u0000b\u2028c\n", " ")
_NUMBERS = (0, -1, 7, 2**31, 2**53 + 1, 10**30)
_RATIOS = (0.0, -0.0, 1.0, 0.1, -1.5e-300, 1e16, 1e300, 5e-324)


@frozen
class Subscriber:
    """A subscriber or handler: one on each side has this name, and fails in the same way.

    Args:
        name: what its queue is called by.
        of: the message that it gets; all of them for the store of petisco.
        failing: `not`, `once`, `always`, or `randomly`: up to two times, which depends on name and number alone.
    """

    name: str
    of: str
    failing: str

    def failures(self, number: int) -> int | None:
        """Return how many times it fails for a message before it succeeds; None: it never does."""
        if self.failing == "randomly":
            return random.Random(f"{self.name} {number}").randrange(3)
        return {"not": 0, "once": 1, "always": None}[self.failing]


SUBSCRIBERS = (
    Subscriber("steady", "order.placed", "not"),
    Subscriber("once", "order.placed", "once"),
    Subscriber("never", "order.placed", "always"),
    Subscriber("random", "order.placed", "randomly"),
    Subscriber("due", "order.due", "randomly"),
    Subscriber("payer", "pay.order", "randomly"),
    Subscriber("canceller", "cancel.order", "always"),
)
STORE = Subscriber("store", "", "randomly")
"""petisco's subscriber to all messages, whose queue has that name on the whole broker."""

EVERYTHING = Subscriber("everything", "", "randomly")
"""The subscriber to all messages of this library."""

BY_NAME: Mapping[str, Subscriber] = {one.name: one for one in (*SUBSCRIBERS, STORE, EVERYTHING)}


def petisco_queues(exchange: str, one: Subscriber) -> list[str]:
    """Return the queues of a subscriber of petisco, as petisco names them: one for each version."""
    if one is STORE:
        return ["store"]
    versions = (1, 2) if one.of == "order.due" else (1,)
    return [f"{exchange}.{version}.{KINDS[one.of]}.{one.of.replace('.', '_')}.{one.name}" for version in versions]


def due_version(source: str, number: int) -> int:
    """Return the version of an `order.due`: petisco sends an old one too, with a time that has no offset."""
    return 1 if source == PETISCO and number % 2 == 0 else 2


def moment(number: int) -> datetime:
    """Return when an order is due."""
    return datetime(2024, 2, 29, 23, 59, 58, 100_001, UTC) + timedelta(hours=number, microseconds=number % 1000)


def meta(source: str, number: int) -> dict[str, Any]:
    """Return the meta of a message: what its bus adds, and what it was given itself."""
    return {"source": source, **own_meta(number)}


def own_meta(number: int) -> dict[str, Any]:
    """Return the meta that a message is given itself."""
    return {"number": number, "tenant": {"name": "ü", "limits": [1, None, 0.5]}}


def attributes(name: str, number: int, version: int = 1) -> dict[str, Any]:
    """Return the attributes of a message as they are on the wire."""
    chance = random.Random(number)
    order = {"number": number, "order_id": str(UUID(int=chance.getrandbits(128), version=4))}
    if name == "order.due":
        offset = moment(number).isoformat().replace("+00:00", "Z")
        return order | {"at": offset if version > 1 else offset.replace("T", " ").removesuffix("Z")}
    if name == "pay.order":
        return order | {"amount": f"{chance.randrange(10**6)}.50", "reference": chance.choice([None, *_TEXTS])}
    if name == "cancel.order":
        return order | {"reason": chance.choice([None, *_TEXTS])}
    return order | {
        "title": chance.choice(_TEXTS),
        "parcel": {"lines": _lines(chance), "weight": chance.choice(_RATIOS), "note": None},
        "weight": chance.choice([*_RATIOS, chance.uniform(-1e6, 1e6)]),
        "urgent": chance.random() < 0.5,
        "note": chance.choice([None, *_TEXTS]),
        "day": (date(2024, 2, 29) + timedelta(number)).isoformat(),
        "words": chance.sample(_TEXTS, chance.randrange(4)),
        "counts": {chance.choice(_TEXTS): chance.choice(_NUMBERS)},
    }


def _lines(chance: random.Random) -> list[dict[str, Any]]:
    return [
        {"sku": chance.choice(_TEXTS), "quantity": chance.choice(_NUMBERS), "price": f"{chance.randrange(10**4)}.99"}
        for _ in range(chance.randrange(3))
    ]
