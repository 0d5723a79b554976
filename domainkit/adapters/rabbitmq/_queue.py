"""One queue on one channel: its messages in their turns, and the answers that the broker gets."""

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

_MOST, _LONGEST = 20, 200
"""Problems in a header, and characters of one."""

_SUSPICIOUS = 2
"""So many processes that were lost with a message make it a suspect, unless fewer failures are allowed at all."""

_LOOK_AGAIN = 60.0
"""Seconds until the quarantine is looked at again: a process that handled a message of it may be gone."""

_BIND_AGAIN = 10.0
"""Seconds until the queue is bound again: its exchange may be another one by now, and no broker says so."""

_STUCK = 1.0
"""Seconds until the quarantine is looked at again after a message of it could not be moved."""


@frozen
class Rules:
    """The rules of all queues of a consumer.

    Args:
        key_of: messages with the same key are handled one after the other.
        in_order: a message that failed is handled again before others of its key.
        within: the seconds that a function may take.
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
    """A queue, what it is bound by, and the functions that get its messages.

    Args:
        keys: None for a queue that somebody else declares.
        read: makes a message of bytes.
        leaves: tells whether a message is sent in another version too that this queue takes in its place.
    """

    queue: str
    keys: tuple[str, ...] | None
    functions: tuple[Bound, ...]
    read: Callable[[bytes], Result[Message | Envelope, InvalidMessage]]
    leaves: Callable[[bytes], bool]


@define(eq=False)
class Turn:
    """A message that is handled, or will be once those before it with the same key are."""

    raw: DeliveredMessage
    message: Message | Envelope
    name: str
    bound: Bound
    key: Hashable
    failures: int


class Turns:
    """Messages in hand: those of one key follow one another, and wait for nobody else."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[Turn | None] = asyncio.Queue()
        self._behind: dict[Hashable, deque[Turn]] = {}

    def add(self, turn: Turn) -> None:
        """Take a message that came after all others."""
        if turn.key in self._behind:
            self._behind[turn.key].append(turn)
        else:
            self._behind[turn.key] = deque()
            self._ready.put_nowait(turn)

    async def next(self) -> Turn | None:
        """Wait for a message whose turn it is; None at the end."""
        return await self._ready.get()

    def settled(self, turn: Turn) -> None:
        """Let the next message of the same key follow."""
        if behind := self._behind[turn.key]:
            self._ready.put_nowait(behind.popleft())
        else:
            del self._behind[turn.key]

    def again(self, turn: Turn, delay: float) -> None:
        """Give a message another turn after so many seconds, before others of its key."""
        asyncio.get_running_loop().call_later(delay, self._ready.put_nowait, turn)

    def end(self, workers: int) -> None:
        """Let so many workers end."""
        for _ in range(workers):
            self._ready.put_nowait(None)


class Acknowledgements:
    """Messages of a channel that are off their queue: all of a moment are acknowledged together.

    A message is numbered when it is delivered (AMQP 0-9-1, section 1.8.3.13: delivery-tag): once all up to one are
    settled, one frame says so.
    """

    def __init__(self, channel: UnderlyingChannel) -> None:
        self._channel = channel
        self._all_up_to = 0
        self._settled: set[int] = set()
        self._new: set[int] = set()
        self._sending: asyncio.Task[None] | None = None

    def add(self, raw: DeliveredMessage) -> None:
        """Acknowledge a message, as soon as what else is settled at this moment is."""
        self._new.add(raw.delivery_tag or 0)
        if self._sending is None:
            self._sending = asyncio.create_task(self.send())

    async def give_back(self, raw: DeliveredMessage) -> None:
        """Give a message back to its queue."""
        await self._channel.basic_nack(raw.delivery_tag or 0, requeue=True, wait=False)
        self._settled.add(raw.delivery_tag or 0)

    async def send(self) -> None:
        """Send what is not sent yet; on a connection that is lost the broker delivers it again."""
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
    """A queue that is being consumed. `lost` is set if its connection, its channel or the queue itself is gone."""

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
        """Declare and bind the queue on a channel of its own, and consume it."""
        declaring = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await declare_queue(declaring, rules.topology, subscription.queue, subscription.keys)
        channel = await declaring.get_underlay_channel()
        made = cls(subscription, rules, declaring, channel, Acknowledgements(channel), lost)
        declaring.close_callbacks.add(made._gone)
        channel.on_consumer_cancel_callbacks.add(made._gone)
        await channel.basic_qos(prefetch_count=rules.prefetch)
        for work in (made._look, made._stay_bound, made._sort, *[made._work] * rules.concurrency):
            made.workers.append(asyncio.create_task(work()))
            made.workers[-1].add_done_callback(made._gone)
        made._tag = (await channel.basic_consume(subscription.queue, made._arrived.put)).consumer_tag or ""
        return made

    def _gone(self, *_: object) -> None:
        if not self.ended.is_set():
            self.lost.set()

    async def end(self, within: float) -> None:
        """Let the workers end after what they have in hand; what waits for them goes back with the channel.

        A queue with a single active consumer is let go only then: to cancel would start the next consumer now.
        """
        self.ended.set()
        self._arrived.put_nowait(None)
        self._turns.end(self.rules.concurrency)
        if not (self.rules.topology.single_active or self.lost.is_set()):
            with suppress(*LOST):  # of a broker that hangs: it is asked for no more by the end of the connection
                async with asyncio.timeout(within):
                    await self.channel.basic_cancel(self._tag)

    async def _look(self) -> None:
        """Let the quarantine be looked at now, and then: a process that handled a message of it may be gone.

        With a single active consumer the first message says that this is the one; before it another may have its turn.
        """
        if not self.rules.topology.single_active:
            self._arrived.put_nowait(None)
        while not self.ended.is_set():
            await pause(self.ended, _LOOK_AGAIN)
            self._arrived.put_nowait(None)

    async def _stay_bound(self) -> None:
        """Declare the exchanges and bind the queue now and then: with an exchange that is deleted its bindings are.

        A publisher declares the exchange again, and nobody would get what it publishes.
        """
        topology, subscription = self.rules.topology, self.subscription
        while not await pause(self.ended, _BIND_AGAIN):
            await declare_exchanges(self.declaring, topology)
            await bind_queue(self.declaring, topology, subscription.queue, subscription.keys or ())

    async def _sort(self) -> None:
        """Give each message its turn; what may have killed a process is put aside, and tried one by one first."""
        suspicious, aside = self._suspicious, True
        while not self.ended.is_set():
            raw = await self._arrived.get()
            if raw is not None and losses_of(raw) >= suspicious:
                await self._moved(raw, "", quarantine_queue(self.subscription.queue))
                aside, raw = True, None
                if not self._arrived.empty():
                    continue
            if aside or raw is None:
                aside = False
                await self._try_suspects()
            if raw is not None and (turn := await self._turn_of(raw)) is not None:
                self._turns.add(turn)
        await self.acknowledgements.send()

    @property
    def _suspicious(self) -> int:
        """The losses that make a message a suspect; a queue of somebody else may know only that there was one."""
        most = self.rules.topology.delivery_limit if self.subscription.keys is not None else 1
        return max(1, min(_SUSPICIOUS, most))

    async def _try_suspects(self) -> None:
        """Handle the messages of the quarantine one at a time: none is lost but one that its function was given."""
        tries = max(1, self.rules.topology.delivery_limit + 1 - self._suspicious)
        self._stuck = False
        while not self.ended.is_set():
            if self._stuck:
                asyncio.get_running_loop().call_later(_STUCK, self._arrived.put_nowait, None)
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
        """Return the turn of a message; None if there is no function for it, and it is among the dead letters.

        None as well for one that is left to another version of it, and done with.
        """
        if self.subscription.leaves(raw.body):
            self.acknowledgements.add(raw)
            return None
        decoded = self.subscription.read(raw.body)
        if isinstance(decoded, Failure):
            problems = decoded.failure().problems[:_MOST]  # codes and paths, short enough for a header
            await self._bury(raw, [f"{one.code} {one.path}"[:_LONGEST] for one in problems])
            return None
        message = decoded.unwrap()
        name = (message.info() if isinstance(message, Message) else message.info).name
        bound = next((one for one in self.subscription.functions if isinstance(message, one.message_type)), None)
        if bound is None:
            await self._bury(raw, [f"unhandled {name}"])
            return None
        try:
            return Turn(raw, message, name, bound, self.rules.key_of(message), failures_of(raw))
        except Exception as error:  # of the user's own function
            await self._bury(raw, [f"by {type(error).__qualname__}"])
            return None

    async def _work(self) -> None:
        while (turn := await self._turns.next()) is not None and not self.ended.is_set():
            if await self._settled(turn):
                self._turns.settled(turn)
            else:
                self._turns.again(turn, self.rules.backoff.seconds(turn.failures - 1))
        await self.acknowledgements.send()

    async def _settled(self, turn: Turn) -> bool:
        """Call the function of a message; return False if the message stays in hand, to be handled again."""
        outcome = await called(turn.bound, turn.message, self.rules.within)
        if isinstance(outcome, Success):
            self.acknowledgements.add(turn.raw)
            return True
        turn.failures += 1
        limit, why = self.rules.topology.delivery_limit, type(outcome.failure()).__qualname__
        what, level = turn.message.header.id, logging.WARNING if turn.failures <= limit else logging.ERROR
        text = "%s: %s %s failed (%s), failure %d of %d"
        _logger.log(level, text, self.subscription.queue, turn.name, what, why, turn.failures, limit + 1)
        if turn.failures > limit:
            await self._bury(turn.raw, [f"failed {turn.failures} times, with {why}"])
        elif self.rules.in_order or not kept_of(turn.raw).having({FAILURES_HEADER: turn.failures}).fits(self.channel):
            return False
        else:
            queue = await self._wait_queue(self.rules.backoff.seconds(turn.failures - 1))
            await self._moved(turn.raw, "", queue, {FAILURES_HEADER: turn.failures})
        return True

    async def _wait_queue(self, delay: float) -> str:
        """Return the queue out of which messages come back after so many seconds; it is declared if it is needed."""
        milliseconds = round(delay * 1000)
        if milliseconds == 0:
            return self.subscription.queue
        name = f"{self.subscription.queue}.wait.{milliseconds}"
        if name not in self._wait_queues:
            await declare_wait_queue(self.declaring, name, self.subscription.queue, milliseconds)
            self._wait_queues.add(name)
        return name

    async def _bury(self, raw: DeliveredMessage, problems: list[FieldValue]) -> None:
        """Put a message among the dead letters with the reasons."""
        queue = self.subscription.queue
        _logger.error("%s: %d bytes are a dead letter: %s", queue, len(raw.body), "; ".join(map(str, problems)))
        await self._moved(raw, self.rules.topology.dead_letter_exchange, queue, {PROBLEMS_HEADER: problems})

    async def _moved(self, raw: DeliveredMessage, exchange: str, key: str, headers: FieldTable | None = None) -> None:
        """Publish a message elsewhere, and take it off its queue once it is there; else it stays, for a while."""
        queue, new = self.subscription.queue, headers or {}
        kept = moved_properties(kept_of(raw))
        bare = moved_properties(kept, (b"",))  # for more than the broker takes, as waiting may have added some
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
            _logger.warning("%s: no queue takes a message for %s (%s)", queue, key, type(error).__name__)
            self._stuck = True  # what comes back at once holds up nobody
            self._wait_queues.clear()  # one may have been deleted
            await pause(self.ended, self.rules.backoff.seconds(0))
            await self.acknowledgements.give_back(raw)
        else:
            self.acknowledgements.add(raw)
