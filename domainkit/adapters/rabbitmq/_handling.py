"""One queue on one channel: its messages, the functions that handle them, and the answers that the broker gets."""

import asyncio
import logging
from datetime import timedelta
from typing import Self, TypeAlias

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import DeliveryError
from aiormq.abc import AbstractChannel as UnderlyingChannel
from attrs import define, field, frozen
from pamqp.commands import Basic
from pamqp.common import FieldTable, FieldValue
from pamqp.encode import encode_table_value
from returns.result import Failure, Result, Success

from domainkit.adapters.rabbitmq._connection import is_cancelled, pause
from domainkit.adapters.rabbitmq.topology import RabbitMqTopology, declare_queue
from domainkit.causation import handling
from domainkit.codec import MessageCodec
from domainkit.handlers import AnyHandler, AnySubscriber, AsyncHandler, AsyncSubscriber
from domainkit.messages import Message
from domainkit.results import name_of
from domainkit.use_cases import Guard, outcome_of

_logger = logging.getLogger("domainkit.rabbitmq")

Bound: TypeAlias = AnySubscriber | AnyHandler

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

    topology: RabbitMqTopology
    codec: MessageCodec
    prefetch: int
    concurrency: int
    backoff: Backoff
    within: float


@frozen
class Subscription:
    """A queue, what it is bound by, and the functions that get its messages."""

    queue: str
    keys: tuple[str, ...]
    functions: tuple[Bound, ...]


@define
class ConsumedQueue:
    """A queue that is being consumed. `over` is set once its connection, its channel or the queue itself is gone."""

    subscription: Subscription
    rules: Rules
    queue: AbstractQueue
    channel: UnderlyingChannel
    over: asyncio.Event
    workers: list[asyncio.Task[None]] = field(factory=list)
    tag: str = ""
    _pending: asyncio.Queue[AbstractIncomingMessage | None] = field(factory=asyncio.Queue)

    @classmethod
    async def opened(
        cls, connection: AbstractConnection, subscription: Subscription, rules: Rules, over: asyncio.Event
    ) -> Self:
        """Open a channel of its own, and declare and bind the queue."""
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        queue = await declare_queue(channel, rules.topology, subscription.queue, subscription.keys)
        underlying = await channel.get_underlay_channel()
        channel.close_callbacks.add(lambda *_: over.set())
        underlying.on_consumer_cancel_callbacks.add(lambda _: over.set())
        return cls(subscription, rules, queue, underlying, over)

    async def start(self) -> None:
        """Consume, with as many workers as the rules say."""
        await self.channel.basic_qos(prefetch_count=self.rules.prefetch)
        for _ in range(self.rules.concurrency):
            self.workers.append(asyncio.create_task(self._work()))
            self.workers[-1].add_done_callback(lambda _: self.over.set())
        self.tag = await self.queue.consume(self._pending.put)

    def end(self) -> None:
        """Let the workers end after what they have in hand; what waits for them goes back to the broker."""
        while not self._pending.empty():
            self._pending.get_nowait()
        for _ in self.workers:
            self._pending.put_nowait(None)

    async def _work(self) -> None:
        while (message := await self._pending.get()) is not None:
            await self._handle(message)
            if self.over.is_set():
                return

    async def _handle(self, raw: AbstractIncomingMessage) -> None:
        """Handle a message, and report to the broker; it is acknowledged only after its function has ended well."""
        decoded = self.rules.codec.decode(raw.body)
        if isinstance(decoded, Failure):
            problems = decoded.failure().problems[:_MOST]  # codes and paths, short enough for a header
            await self._bury(raw, [f"{one.code} {one.path}"[:_LONGEST] for one in problems])
            return
        message = decoded.unwrap()
        name = message.info().name
        bound = next((one for one in self.subscription.functions if isinstance(message, one.message_type)), None)
        if bound is None:
            await self._bury(raw, [f"unhandled {name}"])
            return
        outcome = await called(bound, message, self.rules.within)
        if isinstance(outcome, Success):
            await raw.ack()
        else:
            await self._again(raw, f"{name} {message.header.id}", type(outcome.failure()).__qualname__)

    async def _again(self, raw: AbstractIncomingMessage, what: str, why: str) -> None:
        """Give a message back to its queue, after a while; the broker counts, and buries it after the last time."""
        found, limit = raw.headers.get("x-delivery-count", 0), self.rules.topology.delivery_limit
        count = found if isinstance(found, int) else 0
        level = logging.WARNING if count < limit else logging.ERROR
        queue = self.subscription.queue
        _logger.log(level, "%s: %s failed (%s), redelivery %d of %d", queue, what, why, count, limit)
        if count < limit:
            await pause(self.over, self.rules.backoff.seconds(count))
        await raw.nack(requeue=True)

    async def _bury(self, raw: AbstractIncomingMessage, problems: list[FieldValue]) -> None:
        """Put a message among the dead letters with what is wrong, and take it off its queue once it is there."""
        queue = self.subscription.queue
        _logger.error("%s: %d bytes are no message for it: %s", queue, len(raw.body), "; ".join(map(str, problems)))
        try:
            await self.channel.basic_publish(
                raw.body,
                exchange=self.rules.topology.dead_letter_exchange,
                routing_key=queue,
                properties=moved_properties(raw, {**raw.headers, PROBLEMS_HEADER: problems}),
                mandatory=True,
                timeout=self.rules.within,
            )
        except DeliveryError as error:
            await self._again(raw, f"burying {len(raw.body)} bytes", type(error).__name__)
        else:
            await raw.ack()


def moved_properties(raw: AbstractIncomingMessage, headers: FieldTable) -> Basic.Properties:
    """Return the properties of a message for another queue, without those that were for its way to the first.

    With its time to live it would be lost there; the broker takes no other user's name; more keys are more receivers.
    """
    properties = raw.properties
    properties.headers = {name: _writable(value) for name, value in headers.items() if name not in _OF_ITS_WAY}
    properties.expiration = properties.user_id = None
    return properties


def _writable(value: FieldValue) -> FieldValue:
    """Return a header as it can be sent: pamqp reads more than it writes, such as text that isn't UTF-8, as bytes."""
    try:
        encode_table_value(value)
    except (TypeError, ValueError, OverflowError):
        return bytearray(value) if isinstance(value, bytes) else str(value)
    return value


async def called(bound: Bound, message: Message, within: float) -> Result[object, object]:
    """Call a function with a message, and return its Result; an exception is logged without its text, and a Failure."""
    guard = Guard(name_of(bound.function))
    answer: object
    try:
        with handling(message):
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
    return outcome_of(bound.function, message, answer)
