"""Consumption of one queue on one channel: the order of its messages, and their acknowledgements."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Self

from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import DeliveryError
from aiormq.abc import AbstractChannel as UnderlyingChannel
from aiormq.abc import DeliveredMessage
from attrs import define, field, frozen
from pamqp.commands import Basic
from pamqp.common import FieldTable, FieldValue
from returns.result import Failure, Result, Success

from domainkit.adapters.rabbitmq._connection import LOST, pause
from domainkit.adapters.rabbitmq._handling import (
    FAILURES_HEADER,
    PROBLEMS_HEADER,
    Backoff,
    Bound,
    called,
    failures_of,
    kept_of,
    losses_of,
    moved_properties,
)
from domainkit.adapters.rabbitmq.topology import (
    RabbitMqTopology,
    bind_queue,
    declare_exchanges,
    declare_queue,
    declare_wait_queue,
    quarantine_queue,
)
from domainkit.envelopes import Envelope
from domainkit.errors import InvalidMessage
from domainkit.messages import Message

_logger = logging.getLogger("domainkit.rabbitmq")

_MAX_PROBLEMS, _MAX_PROBLEM_LENGTH = 20, 200
"""The number of problems in a header, and the characters of each."""

_MAX_LOSSES = 2
"""Lost processes after which a message is suspected of killing them; fewer if fewer failures are allowed."""

_QUARANTINE_INTERVAL = 60.0
"""Seconds between checks of the quarantine: a process that was handling one of its messages may have died."""

_BIND_INTERVAL = 10.0
"""Seconds until the queue is bound again: its exchange may have been replaced, and the broker doesn't report that."""

_QUARANTINE_RETRY = 1.0
"""Seconds until the quarantine is checked again after one of its messages could not be moved."""


@frozen
class Rules:
    """Rules of all queues of a consumer.

    Args:
        key_of: returns the key of a message; messages with the same key are handled one after the other.
        in_order: a failed message is handled again before others of its key.
        within: the timeout of a function, in seconds.
    """

    topology: RabbitMqTopology
    prefetch: int
    concurrency: int
    key_of: Callable[[Message | Envelope], Hashable]
    in_order: bool
    backoff: Backoff
    within: float


@frozen
class Subscription:
    """Queue with its binding keys, and the functions that get its messages.

    Args:
        keys: None for a queue that others declare.
        read: decodes a message.
        skips: returns True for a message that is also sent in another version, which this queue takes instead.
    """

    queue: str
    keys: tuple[str, ...] | None
    functions: tuple[Bound, ...]
    read: Callable[[bytes], Result[Message | Envelope, InvalidMessage]]
    skips: Callable[[bytes], bool]


@define(eq=False)
class Turn:
    """Message that is being handled, or waits for earlier ones with the same key."""

    raw: DeliveredMessage
    message: Message | Envelope
    name: str
    bound: Bound
    key: Hashable
    failures: int


class Turns:
    """Fetched messages: those with the same key are handled one after the other, other keys independently."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[Turn | None] = asyncio.Queue()
        self._behind: dict[Hashable, deque[Turn]] = {}

    def add(self, turn: Turn) -> None:
        """Add a message behind all others."""
        if turn.key in self._behind:
            self._behind[turn.key].append(turn)
        else:
            self._behind[turn.key] = deque()
            self._ready.put_nowait(turn)

    async def next(self) -> Turn | None:
        """Wait for the next message to handle; None at the end."""
        return await self._ready.get()

    def settled(self, turn: Turn) -> None:
        """Release the next message with the same key."""
        if behind := self._behind[turn.key]:
            self._ready.put_nowait(behind.popleft())
        else:
            del self._behind[turn.key]

    def again(self, turn: Turn, delay: float) -> None:
        """Handle a message again after `delay` seconds, before others with its key."""
        asyncio.get_running_loop().call_later(delay, self._ready.put_nowait, turn)

    def end(self, workers: int) -> None:
        """End this many workers."""
        for _ in range(workers):
            self._ready.put_nowait(None)


class Acknowledgements:
    """Acknowledgements of a channel: those of the same moment are sent together.

    Deliveries are numbered (AMQP 0-9-1, section 1.8.3.13: delivery-tag): once all up to a number are settled, one frame
    acknowledges them.
    """

    def __init__(self, channel: UnderlyingChannel) -> None:
        self._channel = channel
        self._all_up_to = 0
        self._settled: set[int] = set()
        self._new: set[int] = set()
        self._sending: asyncio.Task[None] | None = None

    def add(self, raw: DeliveredMessage) -> None:
        """Acknowledge a message, together with the others settled at this moment."""
        self._new.add(raw.delivery_tag or 0)
        if self._sending is None:
            self._sending = asyncio.create_task(self.send())

    async def requeue(self, raw: DeliveredMessage) -> None:
        """Return a message to its queue."""
        await self._channel.basic_nack(raw.delivery_tag or 0, requeue=True, wait=False)
        self._settled.add(raw.delivery_tag or 0)

    async def send(self) -> None:
        """Send the pending acknowledgements; if the connection is lost, the broker redelivers their messages."""
        new, self._new, self._sending = self._new, set(), None
        self._settled |= new
        while self._all_up_to + 1 in self._settled:
            self._all_up_to += 1
            self._settled.discard(self._all_up_to)
        with suppress(*LOST):
            if together := [tag for tag in new if tag <= self._all_up_to]:
                await self._channel.basic_ack(max(together), multiple=True, wait=False)
            for tag in new & self._settled:
                await self._channel.basic_ack(tag, wait=False)


@define(eq=False)
class ConsumedQueue:
    """Queue that is being consumed. `lost` is set if its connection, its channel or the queue itself is lost."""

    subscription: Subscription
    rules: Rules
    declaring: AbstractChannel
    channel: UnderlyingChannel
    acknowledgements: Acknowledgements
    lost: asyncio.Event
    ended: asyncio.Event = field(factory=asyncio.Event)
    workers: list[asyncio.Task[None]] = field(factory=list)
    _tag: str = ""
    _turns: Turns = field(factory=Turns)
    _arrived: asyncio.Queue[DeliveredMessage | None] = field(factory=asyncio.Queue)
    _wait_queues: set[str] = field(factory=set)
    _stuck: bool = False

    @classmethod
    async def opened(
        cls, connection: AbstractConnection, subscription: Subscription, rules: Rules, lost: asyncio.Event
    ) -> Self:
        """Declare and bind the queue on its own channel, and consume it."""
        declaring = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await declare_queue(declaring, rules.topology, subscription.queue, subscription.keys)
        channel = await declaring.get_underlay_channel()
        made = cls(subscription, rules, declaring, channel, Acknowledgements(channel), lost)
        declaring.close_callbacks.add(made._gone)
        channel.on_consumer_cancel_callbacks.add(made._gone)
        await channel.basic_qos(prefetch_count=rules.prefetch)
        for work in (made._watch_quarantine, made._stay_bound, made._sort, *[made._work] * rules.concurrency):
            made.workers.append(asyncio.create_task(work()))
            made.workers[-1].add_done_callback(made._gone)
        made._tag = (await channel.basic_consume(subscription.queue, made._arrived.put)).consumer_tag or ""
        return made

    def _gone(self, *_: object) -> None:
        if not self.ended.is_set():
            self.lost.set()

    async def end(self, within: float) -> None:
        """Let the workers finish their current messages; waiting ones are requeued when the channel closes.

        A queue with a single active consumer isn't cancelled first: that would start the next consumer too early.
        """
        self.ended.set()
        self._arrived.put_nowait(None)
        self._turns.end(self.rules.concurrency)
        if not (self.rules.topology.single_active or self.lost.is_set()):
            with suppress(*LOST):  # a broker that hangs: closing the connection ends the consumer anyway
                async with asyncio.timeout(within):
                    await self.channel.basic_cancel(self._tag)

    async def _watch_quarantine(self) -> None:
        """Have the quarantine checked now, and at intervals: a process that was handling its messages may have died.

        With a single active consumer, only a delivered message shows that this consumer is the active one.
        """
        if not self.rules.topology.single_active:
            self._arrived.put_nowait(None)
        while not self.ended.is_set():
            await pause(self.ended, _QUARANTINE_INTERVAL)
            self._arrived.put_nowait(None)

    async def _stay_bound(self) -> None:
        """Declare the exchanges and bind the queue at intervals: deleting an exchange deletes its bindings.

        A publisher would declare the exchange again, and its messages would reach no queue.
        """
        topology, subscription = self.rules.topology, self.subscription
        while not await pause(self.ended, _BIND_INTERVAL):
            await declare_exchanges(self.declaring, topology)
            await bind_queue(self.declaring, topology, subscription.queue, subscription.keys or ())

    async def _sort(self) -> None:
        """Queue messages for the workers; suspected ones go to the quarantine, and are handled one by one first."""
        max_losses, quarantined = self._max_losses, True
        while not self.ended.is_set():
            raw = await self._arrived.get()
            if raw is not None and losses_of(raw) >= max_losses:
                await self._moved(raw, "", quarantine_queue(self.subscription.queue))
                quarantined, raw = True, None
                if not self._arrived.empty():
                    continue
            if quarantined or raw is None:
                quarantined = False
                await self._try_suspects()
            if raw is not None and (turn := await self._turn_of(raw)) is not None:
                self._turns.add(turn)
        await self.acknowledgements.send()

    @property
    def _max_losses(self) -> int:
        """The losses after which a message is suspected; a queue declared by others may count only one."""
        limit = self.rules.topology.delivery_limit if self.subscription.keys is not None else 1
        return max(1, min(_MAX_LOSSES, limit))

    async def _try_suspects(self) -> None:
        """Handle the messages of the quarantine one at a time, so that a crash only counts against one of them."""
        tries = max(1, self.rules.topology.delivery_limit + 1 - self._max_losses)
        self._stuck = False
        while not self.ended.is_set():
            if self._stuck:
                asyncio.get_running_loop().call_later(_QUARANTINE_RETRY, self._arrived.put_nowait, None)
                return
            raw = await self.channel.basic_get(quarantine_queue(self.subscription.queue))
            if isinstance(raw.delivery, Basic.GetEmpty):
                return
            if losses_of(raw) >= tries:
                await self._bury(raw, [f"unfinished: the process was lost {tries} times while only this was handled"])
            elif (turn := await self._turn_of(raw)) is not None:
                while not await self._settled(turn) and not self.ended.is_set():
                    await pause(self.ended, self.rules.backoff.seconds(turn.failures - 1))

    async def _turn_of(self, raw: DeliveredMessage) -> Turn | None:
        """Decode a message; None if it has no function and is now a dead letter.

        None as well for a message that is skipped, since another version of it is handled.
        """
        if self.subscription.skips(raw.body):
            self.acknowledgements.add(raw)
            return None
        decoded = self.subscription.read(raw.body)
        if isinstance(decoded, Failure):
            problems = decoded.failure().problems[:_MAX_PROBLEMS]  # codes and paths, short enough for a header
            await self._bury(raw, [f"{one.code} {one.path}"[:_MAX_PROBLEM_LENGTH] for one in problems])
            return None
        message = decoded.unwrap()
        name = (message.info() if isinstance(message, Message) else message.info).name
        bound = next((one for one in self.subscription.functions if isinstance(message, one.message_type)), None)
        if bound is None:
            await self._bury(raw, [f"unhandled {name}"])
            return None
        try:
            key = self.rules.key_of(message)
            hash(key)
        except Exception as error:  # of the user's function `by`, or of what it returned
            await self._bury(raw, [f"by {type(error).__qualname__}"])
            return None
        return Turn(raw, message, name, bound, key, failures_of(raw))

    async def _work(self) -> None:
        while (turn := await self._turns.next()) is not None and not self.ended.is_set():
            if await self._settled(turn):
                self._turns.settled(turn)
            else:
                self._turns.again(turn, self.rules.backoff.seconds(turn.failures - 1))
        await self.acknowledgements.send()

    async def _settled(self, turn: Turn) -> bool:
        """Call the function of a message; return False if the message has to be handled again here."""
        outcome = await called(turn.bound, turn.message, self.rules.within)
        if isinstance(outcome, Success):
            self.acknowledgements.add(turn.raw)
            return True
        turn.failures += 1
        limit, error = self.rules.topology.delivery_limit, type(outcome.failure()).__qualname__
        message_id, level = turn.message.header.id, logging.WARNING if turn.failures <= limit else logging.ERROR
        text = "%s: %s %s failed (%s), failure %d of %d"
        _logger.log(level, text, self.subscription.queue, turn.name, message_id, error, turn.failures, limit + 1)
        if turn.failures > limit:
            await self._bury(turn.raw, [f"failed {turn.failures} times, with {error}"])
        elif self.rules.in_order or not kept_of(turn.raw).having({FAILURES_HEADER: turn.failures}).fits(self.channel):
            return False
        else:
            queue = await self._wait_queue(self.rules.backoff.seconds(turn.failures - 1))
            await self._moved(turn.raw, "", queue, {FAILURES_HEADER: turn.failures})
        return True

    async def _wait_queue(self, delay: float) -> str:
        """Return the queue that sends messages back after `delay` seconds, and declare it if necessary."""
        milliseconds = round(delay * 1000)
        if milliseconds == 0:
            return self.subscription.queue
        name = f"{self.subscription.queue}.wait.{milliseconds}"
        if name not in self._wait_queues:
            await declare_wait_queue(self.declaring, name, self.subscription.queue, milliseconds)
            self._wait_queues.add(name)
        return name

    async def _bury(self, raw: DeliveredMessage, problems: list[FieldValue]) -> None:
        """Make a message a dead letter, with the reasons in a header."""
        queue = self.subscription.queue
        _logger.error("%s: %d bytes are a dead letter: %s", queue, len(raw.body), "; ".join(map(str, problems)))
        await self._moved(raw, self.rules.topology.dead_letter_exchange, queue, {PROBLEMS_HEADER: problems})

    async def _moved(self, raw: DeliveredMessage, exchange: str, key: str, headers: FieldTable | None = None) -> None:
        """Publish a message elsewhere, and acknowledge it once confirmed there; else requeue it after a pause."""
        queue, new = self.subscription.queue, headers or {}
        kept = moved_properties(kept_of(raw))
        bare = moved_properties(kept, (b"",))  # if all headers are too large for the broker: waiting may add some
        try:
            await self.channel.basic_publish(
                raw.body,
                exchange=exchange,
                routing_key=key,
                properties=next((one for one in (kept.having(new), kept) if one.fits(self.channel)), bare.having(new)),
                mandatory=True,
                timeout=self.rules.within,
            )
        except DeliveryError as error:
            _logger.warning("%s: no queue accepts a message for %s (%s)", queue, key, type(error).__name__)
            self._stuck = True  # stop trying suspects for now: this one would come back at once
            self._wait_queues.clear()  # one may have been deleted
            await pause(self.ended, self.rules.backoff.seconds(0))
            await self.acknowledgements.requeue(raw)
        else:
            self.acknowledgements.add(raw)
