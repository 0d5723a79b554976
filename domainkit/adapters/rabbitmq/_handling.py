"""The handling of one message: the function that it is for, the waits after failures, its properties elsewhere."""

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
"""The header of a dead letter: why it is one, such as codes and paths of what can't be read, without a value."""

FAILURES_HEADER = "domainkit-failures"
"""The header of a message that waits to be handled again: how many calls have failed."""

_PETISCO_FAILURES = "redelivery_count"

_OF_ITS_WAY = frozenset({b"CC", b"BCC", b"x-delivery-count"})
"""Headers with more routing keys (see https://www.rabbitmq.com/docs/sender-selected), and the count of one queue."""


@frozen
class Backoff:
    """The time that a message which failed waits to be handled again: `first`, doubled each time, up to `longest`.

    >>> backoff = Backoff(timedelta(seconds=1), longest=timedelta(seconds=30))
    >>> [backoff.seconds(again) for again in (0, 1, 2, 9)]
    [1.0, 2.0, 4.0, 30.0]

    Args:
        first: after the first failure; nothing at all is fine.
        longest: the most. Keep it well under the broker's `consumer_timeout`, 30 minutes unless somebody set it.
    """

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = field(default=timedelta(seconds=30), kw_only=True)

    def seconds(self, before: int) -> float:
        """Return the seconds to wait after a failure that had so many before it."""
        return min(self.first.total_seconds() * 2.0 ** min(before, 60), self.longest.total_seconds())


def failures_of(raw: DeliveredMessage) -> int:
    """Return how many calls have failed for a message, here or in petisco."""
    if KeptProperties.are_bare(raw.header.properties.headers):
        return 0
    properties = kept_of(raw)
    found = (properties.number(name) for name in (FAILURES_HEADER, _PETISCO_FAILURES))
    return next((count for count in found if count is not None), 0)


def losses_of(raw: DeliveredMessage) -> int:
    """Return how many times a message came back from a connection that was lost, as far as its queue knows."""
    bare = KeptProperties.are_bare(raw.header.properties.headers)
    found = None if bare else kept_of(raw).number("x-delivery-count")
    return int(raw.redelivered or False) if found is None else found


def kept_of(raw: DeliveredMessage) -> KeptProperties:
    """Return the properties that a message came with."""
    return KeptProperties.of(raw.header.properties.headers)


def moved_properties(given: KeptProperties, unwanted: tuple[bytes, ...] = ()) -> KeptProperties:
    """Return the properties of a message for another queue, without those that were for its way to the first.

    With its time to live it would be lost there; the broker takes no other user's name; more keys are more receivers.

    Args:
        given: those that it came with.
        unwanted: what headers begin with that shall not go on either.
    """
    return given.without(
        frozenset({"expiration", "user_id"}), lambda name: name in _OF_ITS_WAY or name.startswith(unwanted)
    )


async def called(bound: Bound, message: Message | Envelope, within: float) -> Result[object, object]:
    """Call a function with a message, and return its Result; an exception is logged without its text, and a Failure."""
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
