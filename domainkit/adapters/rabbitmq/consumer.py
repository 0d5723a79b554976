"""The consumer: messages from the queues of a service, to the functions that are bound to their classes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Final, Self, TypeAlias

import attrs
from aio_pika.abc import AbstractConnection

from domainkit.adapters.rabbitmq._connection import LOST, checked_url, connected, pause, place, seconds
from domainkit.adapters.rabbitmq._handling import Backoff, Bound
from domainkit.adapters.rabbitmq._queue import ConsumedQueue, Rules, Subscription
from domainkit.adapters.rabbitmq.topology import RabbitMqTopology, checked_name, declare_exchanges
from domainkit.codec import MessageCodec
from domainkit.envelopes import Envelope
from domainkit.handlers import AnyHandler, AnySubscriber, AsyncHandler, AsyncSubscriber, Handler, Subscriber
from domainkit.mediator import by_type, require_bound
from domainkit.messages import Message

_logger = logging.getLogger("domainkit.rabbitmq")

Subscribers: TypeAlias = Mapping[str, AnySubscriber | Sequence[AnySubscriber]]
"""Subscribers by name: one function, or several of distinct events that share a queue, and so an order."""

Queues: TypeAlias = Mapping[str, AnySubscriber | AnyHandler | Sequence[AnySubscriber | AnyHandler]]
"""Functions by the queue that they get the messages of."""

_BACKOFF = Backoff()
_NOBODY: Subscribers = MappingProxyType({})
_NO_QUEUES: Queues = MappingProxyType({})
_CONNECTING = 10.0
"""Seconds for a connection, with all that is declared on it."""

_PAUSES = Backoff(timedelta(milliseconds=200), longest=timedelta(seconds=10))
"""How long to wait until the next try to connect."""


class RabbitMqConsumer:
    """Calls functions with the messages of their queues, and acknowledges a message after its function ended well.

    Each subscriber has a durable quorum queue of its own, named `{service}.{name}`; each command has one, named after
    exchange and command. They are declared, and bound for all versions of what the codec can read.

    - A Success, or None of an event's subscriber, acknowledges. A function that ends its own transaction has ended it
      by then: a message comes at least once, and again if the process was killed in between.
    - After a Failure or an exception a message waits for `backoff`, and is handled again, up to the topology's
      `delivery_limit` times; then it is a dead letter. Exceptions are logged without their texts, as the guard of a
      use case does it.
    - Bytes that can't be decoded are a dead letter at once. The header `domainkit-problems` of a dead letter says why.
    - A message that was in the hands of two processes that were lost is tried alone. If that takes the process too, as
      many times as a failure is allowed, it is a dead letter; one that no function was given never is.
    - A coroutine function is awaited; another runs in a thread, so that it may block.
    - Messages that a function sends have the one that it handles as their cause.
    - After the broker was away it connects again. Where the exchange was deleted, it is declared and bound again within
      10 seconds.

    Who waits for a message that failed? Nobody: it waits in a queue of its own, and comes back behind the others. With
    `by`, those with the same key wait for it, and are handled one after the other, in the order of the queue; those of
    other keys go on beside. With one key for all, the whole queue keeps its order; that is so without `by` if the
    topology has `single_active` or `prefetch` is 1. An order holds as long as one process has the queue: see
    `RabbitMqTopology(single_active=True)`.

        async with RabbitMqConsumer(url, topology, codec, subscribers={"greeter": TaskCreated.handled_by(greet)}):
            await something_else()

    Args:
        url: the broker's.
        topology: exchange, service and limits.
        codec: decodes; it knows every class that a function is bound to.
        subscribers: to events, by name: one bound function, or several of distinct classes that share a queue. A name
            is for good: under another one there is another queue, and the old one fills up. One that is bound by
            `Envelope.handled_by` gets all messages of the exchange, commands and unknown classes too.
        handlers: of commands, one for a class.
        queues: functions for the messages of queues that others declare, by their names: those of petisco, to drain
            them, or of dead letters. They stay as they are; what fails too often is in `{queue}.dead_letters`.
        by: the key of a message; messages of one key keep their order.
        prefetch: how many messages of a queue are fetched ahead; at least `concurrency`. All that wait for others of
            their key are among them.
        concurrency: how many messages of a queue are handled at a time.
        backoff: how long a message that failed waits.
        timeout: how long a coroutine function may take; then it is cancelled, and has failed. A thread can't be
            cancelled: it has no limit.
        stop_within: how long `stop` waits for what is in hand.

    Raises:
        TypeError: nothing to consume; a function isn't bound by `handled_by`, or its class isn't the codec's; two
            of one name or command overlap.
        ValueError: `url` is none of a broker, a name none of a queue, a time isn't above 0, or `prefetch` is below
            `concurrency`.
    """

    def __init__(  # noqa: PLR0913  (each has its own say, and a default)
        self,
        url: str,
        topology: RabbitMqTopology,
        codec: MessageCodec,
        *,
        subscribers: Subscribers = _NOBODY,
        handlers: Iterable[AnyHandler] = (),
        queues: Queues = _NO_QUEUES,
        by: Callable[[Message], Hashable] | None = None,
        prefetch: int = 20,
        concurrency: int = 1,
        backoff: Backoff = _BACKOFF,
        timeout: timedelta = timedelta(minutes=1),
        stop_within: timedelta = timedelta(seconds=30),
    ) -> None:
        if not 1 <= concurrency <= prefetch:
            raise ValueError("RabbitMqConsumer: concurrency must be 1 or more, and prefetch as much or more")
        self._url = checked_url(url, "RabbitMqConsumer")
        handlers = tuple(handlers)
        self._again = partial(
            RabbitMqConsumer,
            url,
            topology,
            codec,
            subscribers=subscribers,
            handlers=handlers,
            queues=queues,
            by=by,
            backoff=backoff,
            timeout=timeout,
            stop_within=stop_within,
        )
        subscriptions = _subscriptions_of(topology, codec, subscribers, handlers, queues)
        self._subscriptions = {one.queue: one for one in subscriptions}
        self.queues: Final = tuple(self._subscriptions)
        """The queues that it consumes."""
        within = seconds(timeout, "RabbitMqConsumer", "timeout")
        whole = concurrency == 1 and (topology.single_active or prefetch == 1)
        key_of = (_one_for_all if whole else _one_for_each) if by is None else _key_of(by)
        self._rules = Rules(topology, prefetch, concurrency, key_of, whole or by is not None, backoff, within)
        self._stop_within = seconds(stop_within, "RabbitMqConsumer", "stop_within")
        self._stopping = asyncio.Event()
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._running: asyncio.Task[None] | None = None
        self._paused: set[str] = set()
        self._consumed: dict[str, ConsumedQueue] = {}
        self._connection: AbstractConnection | None = None
        self._lost = asyncio.Event()

    def __repr__(self) -> str:
        return f"RabbitMqConsumer({place(self._url)}, {', '.join(self.queues)})"

    def adjusted(self, *, prefetch: int | None = None, concurrency: int | None = None) -> "RabbitMqConsumer":
        """Return one like it with other limits, which has not been started.

        Args:
            prefetch: how many messages of a queue are fetched ahead; as it is here unless given, or as many as
                `concurrency` where that is more.
            concurrency: how many messages of a queue are handled at a time; as it is here unless given.

        Raises:
            ValueError: `prefetch` is below `concurrency`, or one of them is below 1.
        """
        at_a_time = self._rules.concurrency if concurrency is None else concurrency
        ahead = max(self._rules.prefetch, at_a_time) if prefetch is None else prefetch
        return self._again(prefetch=ahead, concurrency=at_a_time)

    @property
    def functions(self) -> tuple[Bound, ...]:
        """The bound functions that it calls, in the order of its queues, for `event_map`."""
        return tuple(function for one in self._subscriptions.values() for function in one.functions)

    @property
    def is_consuming(self) -> bool:
        """True while all its queues are consumed; False while it has no connection, or was not started."""
        return self._ready.is_set() and not self._lost.is_set()

    async def __aenter__(self) -> Self:
        """Start, and wait until all queues are consumed: as long as the broker is away.

        Raises:
            QueueClashError: a queue or exchange is there with other settings.
        """
        self._running = running = asyncio.create_task(self.run())
        try:
            await _first_of(running, self._ready)
        except asyncio.CancelledError:
            await self.stop()
            raise
        if running.done():
            running.result()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Take no more messages, finish those in hand within `stop_within`, and close the connection.

        What isn't finished by then is cancelled, and delivered again. A stopped consumer isn't started again.
        """
        self._stopping.set()
        await self._idle.wait()
        if self._running is not None:
            await self._running

    async def run(self, stop_event: asyncio.Event | None = None) -> None:
        """Consume until `stop_event` is set, or `stop` is called; it connects again where the connection is lost.

        Raises:
            QueueClashError: a queue or exchange is there with other settings.
            RuntimeError: it runs already.
        """
        if not self._idle.is_set():
            raise RuntimeError(f"{self!r} runs already; one with the same arguments may run beside it")
        self._idle.clear()
        following = asyncio.create_task(self._follow(stop_event or asyncio.Event()))
        tries = 0
        try:
            while not self._stopping.is_set():
                try:
                    await self._session()
                except LOST as error:
                    _logger.warning("%s: no connection (%s); trying again", place(self._url), type(error).__name__)
                tries = 0 if self._ready.is_set() else tries + 1
                self._ready.clear()
                await pause(self._stopping, _PAUSES.seconds(tries))
        finally:
            self._idle.set()
            following.cancel()

    async def _follow(self, stop_event: asyncio.Event) -> None:
        await stop_event.wait()
        self._stopping.set()

    async def pause(self, queue: str) -> None:
        """Take no more messages of a queue; returns once those in hand are finished, within `stop_within`.

        The others go back to the queue, where other processes get them.

        Args:
            queue: one of `queues`; a subscriber's is `topology.subscriber_queue(name)`.

        Raises:
            ValueError: it isn't one of `queues`.
        """
        self._check_own(queue)
        self._paused.add(queue)
        if (consumed := self._consumed.pop(queue, None)) is not None:
            await consumed.end(_CONNECTING)
            await asyncio.wait(consumed.workers, timeout=self._stop_within)
            for worker in consumed.workers:
                worker.cancel()
            with suppress(*LOST):
                await consumed.declaring.close()

    async def resume(self, queue: str) -> None:
        """Take messages of a queue again after `pause`; where it isn't paused, nothing changes.

        Raises:
            ValueError: it isn't one of `queues`.
        """
        self._check_own(queue)
        self._paused.discard(queue)
        if self._connection is not None and queue not in self._consumed:
            await self._consume(self._connection, queue)

    def _check_own(self, queue: str) -> None:
        if queue not in self._subscriptions:
            raise ValueError(f"{self!r}: {queue!r} isn't one of its queues; take one of `consumer.queues`")

    async def _session(self) -> None:
        """Consume on one connection, until it is lost or it is time to stop."""
        name = f"domainkit consumer of {self._rules.topology.service}"
        self._lost.clear()
        async with connected(self._url, name, _CONNECTING) as connection:
            try:
                async with asyncio.timeout(_CONNECTING):
                    await declare_exchanges(await connection.channel(), self._rules.topology)
                    for queue in self.queues:
                        if queue not in self._paused:
                            await self._consume(connection, queue)
                self._connection = connection
                self._ready.set()
                _logger.info("consuming %s at %s", ", ".join(self._consumed), place(self._url))
                await _first_of(self._lost, self._stopping)
                for one in self._consumed.values():
                    await one.end(min(self._stop_within, _CONNECTING))
                await self._finish()
            finally:
                self._connection = None
                workers = [worker for one in self._consumed.values() for worker in one.workers]
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
                self._consumed.clear()

    async def _consume(self, connection: AbstractConnection, queue: str) -> None:
        one = await ConsumedQueue.opened(connection, self._subscriptions[queue], self._rules, self._lost)
        self._consumed[queue] = one

    async def _finish(self) -> None:
        """Wait for what is in hand: bounded if it is time to stop; else a function could run twice at once."""
        workers = [worker for one in self._consumed.values() for worker in one.workers]
        if workers:
            await _first_of(asyncio.gather(*workers, return_exceptions=True), self._stopping)
            await asyncio.wait(workers, timeout=self._stop_within)
        for worker in workers:
            if worker.done():
                worker.result()


def _one_for_all(_: object) -> Hashable:
    return None


def _one_for_each(_: object) -> Hashable:
    return object()


def _key_of(by: Callable[[Message], Hashable]) -> Callable[[Message | Envelope], Hashable]:
    """Return what gives a message its key; messages that have no class have one for all."""
    return lambda message: by(message) if isinstance(message, Message) else None


async def _first_of(*awaited: asyncio.Event | Awaitable[object]) -> None:
    """Wait until one event is set, or one future is done; the futures go on."""
    events = [asyncio.create_task(one.wait()) for one in awaited if isinstance(one, asyncio.Event)]
    futures = [asyncio.ensure_future(one) for one in awaited if not isinstance(one, asyncio.Event)]
    try:
        await asyncio.wait((*events, *futures), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for event in events:
            event.cancel()


def _subscriptions_of(
    topology: RabbitMqTopology,
    codec: MessageCodec,
    subscribers: Subscribers,
    handlers: Iterable[AnyHandler],
    queues: Queues,
) -> tuple[Subscription, ...]:
    """Return the queues of subscribers, command handlers and others; TypeError if one can't be bound."""
    planned: list[Subscription] = []
    for name, given in subscribers.items():
        functions = (given,) if isinstance(given, Subscriber | AsyncSubscriber) else tuple(given)
        _check_distinct(name, functions, (Subscriber, AsyncSubscriber))
        planned.append(_subscription(topology, codec, topology.subscriber_queue(name), functions))
    for handler in by_type(tuple(handlers), Handler, AsyncHandler).values():
        queue = topology.command_queue(handler.message_type.info())
        planned.append(_subscription(topology, codec, queue, (handler,)))
    bindable = (Subscriber, AsyncSubscriber, Handler, AsyncHandler)
    for queue, some in queues.items():
        bound = (some,) if isinstance(some, bindable) else tuple(some)
        _check_distinct(queue, bound, bindable)
        planned.append(attrs.evolve(_subscription(topology, codec, queue, bound), keys=None))
    if not planned:
        raise TypeError("RabbitMqConsumer: nothing to consume; give subscribers or handlers")
    names = [one.queue for one in planned]
    if twice := {name for name in names if names.count(name) > 1}:
        raise TypeError(f"RabbitMqConsumer: two functions for the queue {twice.pop()!r}; give them in one sequence")
    return tuple(planned)


def _check_distinct(name: str, functions: tuple[Bound, ...], bindable: tuple[type, ...]) -> None:
    """Check that functions that share a queue are bound to events that none of the others gets."""
    for number, one in enumerate(functions):
        require_bound(one, bindable, f"subscriber {name!r}")
        for other in (other.message_type for other in functions[:number]):
            if issubclass(one.message_type, other) or issubclass(other, one.message_type):
                raise TypeError(
                    f"subscriber {name!r}: {other.__qualname__} and {one.message_type.__qualname__} are one or derived "
                    "from one another; give one of the functions a name, and so a queue, of its own"
                )


def _subscription(
    topology: RabbitMqTopology, codec: MessageCodec, queue: str, functions: tuple[Bound, ...]
) -> Subscription:
    """Return a queue bound for all that decodes to a class of its functions or one below it, old names among that.

    A function of envelopes gets all messages of the exchange.
    """
    checked_name(queue, "the queue")
    if any(one.message_type is Envelope for one in functions):
        if len(functions) > 1:
            raise TypeError(
                f"the queue {queue!r}: a function of all messages shares no queue; give the others their own"
            )
        parse = partial(Envelope.parse, limits=codec.limits)
        return Subscription(queue, (f"{topology.exchange}.#",), functions, parse, Envelope.is_older_form)
    keys: list[str] = []
    for cls in (one.message_type for one in functions):
        found = [topology.binding_key(info) for info, route in codec._routes.items() if issubclass(route.wire.cls, cls)]
        if not found:
            raise TypeError(f"{cls.__qualname__}: the codec wasn't given this class; pass it among its message types")
        keys += found
    return Subscription(queue, tuple(dict.fromkeys(keys)), functions, codec.decode, _leaves(codec, functions))


def _leaves(codec: MessageCodec, functions: tuple[Bound, ...]) -> Callable[[bytes], bool]:
    classes = tuple(one.message_type for one in functions)
    return lambda raw: codec.reads_another_form(raw, *classes)
