"""What becomes of one message: its function is called, and the broker is told how it ended."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from inspect import iscoroutine
from typing import Any

from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import DeliveryError
from aiormq.abc import AbstractChannel as UnderlyingChannel
from attrs import field, frozen
from pamqp.commands import Basic
from pamqp.common import FieldTable
from returns.result import Failure, Result, Success

from domainkit.adapters.rabbitmq._connection import is_cancelled, pause
from domainkit.adapters.rabbitmq._subscriptions import Bound, Subscription
from domainkit.causation import handling
from domainkit.codec import MessageCodec
from domainkit.errors import InvalidMessage
from domainkit.handlers import AsyncHandler, AsyncSubscriber
from domainkit.messages import DomainEvent, Message
from domainkit.results import name_of
from domainkit.use_cases import Guard

_logger = logging.getLogger("domainkit.rabbitmq")

PROBLEMS_HEADER = "domainkit-problems"
"""The header of a dead letter that could not be read: a list of codes and paths, without a value."""

_OF_ITS_WAY = frozenset({"CC", "BCC"})
"""Headers with more routing keys. See https://www.rabbitmq.com/docs/sender-selected."""

_MOST, _LONGEST = 20, 200


@frozen
class Backoff:
    """How long a message that failed waits until it is delivered again: `first`, doubled each time, up to `longest`.

    >>> backoff = Backoff(timedelta(seconds=1), longest=timedelta(seconds=30))
    >>> [backoff.seconds(again) for again in (0, 1, 2, 9)]
    [1.0, 2.0, 4.0, 30.0]

    Args:
        first: before the first redelivery; nothing at all is fine.
        longest: the most. Keep it well under the broker's `consumer_timeout`, 30 minutes unless somebody set it.
    """

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = field(default=timedelta(seconds=30), kw_only=True)

    def seconds(self, redeliveries: int) -> float:
        """Return the seconds to wait after so many redeliveries."""
        return min(self.first.total_seconds() * 2.0 ** min(redeliveries, 60), self.longest.total_seconds())


@frozen
class Rules:
    """What holds for all queues of a consumer; `within` are the seconds that a function may take."""

    codec: MessageCodec
    dead_letter_exchange: str
    delivery_limit: int
    backoff: Backoff
    within: float


@frozen
class Handling:
    """How the messages of one queue are handled, on one channel; `over` is set where that ends."""

    subscription: Subscription
    rules: Rules
    channel: UnderlyingChannel
    over: asyncio.Event

    async def handle(self, raw: AbstractIncomingMessage) -> None:
        """Handle a message, and tell the broker; it is acknowledged only after its function has ended well."""
        decoded = self.rules.codec.decode(raw.body)
        if isinstance(decoded, Failure):
            await self._bury(raw, _problems(decoded.failure()))
            return
        message = decoded.unwrap()
        bound = self.subscription.function_for(message)
        if bound is None:
            await self._bury(raw, [f"unhandled {message.info().name}"])
            return
        outcome = await called(bound, message, self.rules.within)
        if isinstance(outcome, Success):
            await raw.ack()
        else:
            await self._again(raw, f"{message.info().name} {message.header.id}", type(outcome.failure()).__qualname__)

    async def _again(self, raw: AbstractIncomingMessage, what: str, why: str) -> None:
        """Give a message back to its queue, after a while; the broker counts, and buries it after the last time."""
        count = _redeliveries(raw)
        level = logging.WARNING if count < self.rules.delivery_limit else logging.ERROR
        _logger.log(
            level, "%s: %s failed (%s), redelivery %d of %d", self._queue, what, why, count, self.rules.delivery_limit
        )
        if count < self.rules.delivery_limit:
            await pause(self.over, self.rules.backoff.seconds(count))
        await raw.nack(requeue=True)

    async def _bury(self, raw: AbstractIncomingMessage, problems: list[str]) -> None:
        """Put a message among the dead letters with what is wrong, and take it off its queue once it is there."""
        _logger.error("%s: %d bytes are no message for it: %s", self._queue, len(raw.body), "; ".join(problems))
        properties = moved(raw, {**raw.headers, PROBLEMS_HEADER: list[Any](problems)})
        try:
            await self.channel.basic_publish(
                raw.body,
                exchange=self.rules.dead_letter_exchange,
                routing_key=self._queue,
                properties=properties,
                mandatory=True,
                timeout=self.rules.within,
            )
        except DeliveryError as error:
            await self._again(raw, f"burying {len(raw.body)} bytes", type(error).__name__)
        else:
            await raw.ack()

    @property
    def _queue(self) -> str:
        return self.subscription.queue


def moved(raw: AbstractIncomingMessage, headers: FieldTable) -> Basic.Properties:
    """Return the properties of a message for another queue, without those that were for its way to the first.

    With its time to live it would be lost there; the broker takes no other user's name; more keys are more receivers.
    """
    properties = raw.properties
    properties.headers = {name: value for name, value in headers.items() if name not in _OF_ITS_WAY}
    properties.expiration = properties.user_id = None
    return properties


async def called(bound: Bound, message: Message, within: float) -> Result[Any, Any]:  # Any: whatever it answers
    """Call a function with a message, and return its Result; an exception is logged without its text, and a Failure."""
    guard = Guard(name_of(bound.function))
    try:
        with handling(message):
            outcome = await _run(bound, message, within)
    except Exception as error:
        return guard.raised(error)
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        return guard.raised(RuntimeError("the handler was cancelled by itself"))
    if isinstance(outcome, Success):
        return outcome
    if outcome is None and isinstance(message, DomainEvent):
        return Success(None)
    if iscoroutine(outcome):
        outcome.close()  # of a plain function: nobody awaits it here, and that is a bug
    return guard.returned(outcome)


async def _run(bound: Bound, message: Message, within: float) -> object:
    if isinstance(bound, AsyncHandler | AsyncSubscriber):
        async with asyncio.timeout(within):
            return await bound.function(message)
    function: Callable[[Any], object] = bound.function
    return await asyncio.to_thread(function, message)


def _redeliveries(raw: AbstractIncomingMessage) -> int:
    count = raw.headers.get("x-delivery-count", 0)
    return count if isinstance(count, int) else 0


def _problems(error: InvalidMessage) -> list[str]:
    """Return codes and paths, short enough for a header."""
    return [f"{one.code} {one.path}"[:_LONGEST] for one in error.problems[:_MOST]]
