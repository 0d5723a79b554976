"""Handling of one message: calling its function, waiting after failures, moving its properties to other queues."""

import asyncio
from datetime import timedelta
from typing import TypeAlias

from aiormq.abc import DeliveredMessage
from attrs import field, frozen
from returns.result import Result

from domainkit.adapters.rabbitmq._connection import is_cancelled
from domainkit.adapters.rabbitmq._properties import KeptProperties
from domainkit.causation import handling
from domainkit.envelopes import Envelope
from domainkit.handlers import AnyHandler, AnySubscriber, AsyncHandler, AsyncSubscriber
from domainkit.messages import DomainEvent, Message
from domainkit.results import name_of
from domainkit.use_cases import Guard, outcome_of

Bound: TypeAlias = AnySubscriber | AnyHandler

PROBLEMS_HEADER = "domainkit-problems"
"""The header with the reasons for a dead letter, such as codes and paths of problems, without values."""

FAILURES_HEADER = "domainkit-failures"
"""The header with the number of failed calls, on a message that waits to be handled again."""

_PETISCO_FAILURES = "redelivery_count"

_DELIVERY_HEADERS = frozenset({b"CC", b"BCC", b"x-delivery-count"})
"""Headers with more routing keys (see https://www.rabbitmq.com/docs/sender-selected), and a queue's delivery count."""


@frozen
class Backoff:
    """Waiting time before a failed message is handled again: `first`, doubled each time, up to `longest`.

    >>> backoff = Backoff(timedelta(seconds=1), longest=timedelta(seconds=30))
    >>> [backoff.seconds(again) for again in (0, 1, 2, 9)]
    [1.0, 2.0, 4.0, 30.0]

    Args:
        first: the wait after the first failure; may be 0.
        longest: the maximum. Keep it well below the broker's `consumer_timeout`, 30 minutes by default.
    """

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = field(default=timedelta(seconds=30), kw_only=True)

    def seconds(self, before: int) -> float:
        """Return the seconds to wait after a failure with `before` failures before it."""
        return min(self.first.total_seconds() * 2.0 ** min(before, 60), self.longest.total_seconds())


def failures_of(raw: DeliveredMessage) -> int:
    """Return the number of failed calls for a message, here or in petisco."""
    if KeptProperties.are_bare(raw.header.properties.headers):
        return 0
    properties = kept_of(raw)
    found = (properties.number(name) for name in (FAILURES_HEADER, _PETISCO_FAILURES))
    return next((count for count in found if count is not None), 0)


def losses_of(raw: DeliveredMessage) -> int:
    """Return how often a message was returned by a lost connection, as far as its queue counts it."""
    bare = KeptProperties.are_bare(raw.header.properties.headers)
    found = None if bare else kept_of(raw).number("x-delivery-count")
    return int(raw.redelivered or False) if found is None else found


def kept_of(raw: DeliveredMessage) -> KeptProperties:
    """Return the original properties of a message."""
    return KeptProperties.of(raw.header.properties.headers)


def moved_properties(given: KeptProperties, unwanted: tuple[bytes, ...] = ()) -> KeptProperties:
    """Return the properties of a message for another queue, without those for its first delivery.

    A time to live would expire it there; the broker refuses another user's id; extra routing keys add receivers.

    Args:
        given: the original properties.
        unwanted: prefixes of further headers to drop.
    """
    return given.without(
        frozenset({"expiration", "user_id"}), lambda name: name in _DELIVERY_HEADERS or name.startswith(unwanted)
    )


async def called(bound: Bound, message: Message | Envelope, within: float) -> Result[object, object]:
    """Call a function with a message, and return its Result; an exception is logged without its text as a Failure."""
    guard = Guard(name_of(bound.function))
    answer: object
    cause = message if isinstance(message, Message) else DomainEvent(header=message.header)
    try:
        with handling(cause):
            if isinstance(bound, AsyncHandler | AsyncSubscriber):
                async with asyncio.timeout(within):
                    answer = await bound.function(message)
            else:
                answer = await asyncio.to_thread(bound.function, message)
    except Exception as error:
        return guard.raised(error)
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        return guard.raised(RuntimeError("the handler was cancelled by itself"))
    return outcome_of(bound.function, cause, answer)
