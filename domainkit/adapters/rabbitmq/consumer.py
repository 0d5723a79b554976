"""Consumer: passes messages from the queues of a service to the functions bound to their classes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Self, TypeAlias, TypeVar

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

MessageT = TypeVar("MessageT", bound=Message)
_logger = logging.getLogger("domainkit.rabbitmq")

Subscribers: TypeAlias = Mapping[str, AnySubscriber | Sequence[AnySubscriber]]
"""Subscribers by name: one function, or several for distinct events that share a queue, and so an order."""

Queues: TypeAlias = Mapping[str, AnySubscriber | AnyHandler | Sequence[AnySubscriber | AnyHandler]]
"""Functions by the name of the queue whose messages they get."""

_BACKOFF = Backoff()
_NO_SUBSCRIBERS: Subscribers = MappingProxyType({})
_NO_QUEUES: Queues = MappingProxyType({})
_CONNECT_TIMEOUT = 10.0
"""Seconds to connect, including all declarations."""

_RECONNECT = Backoff(timedelta(milliseconds=200), longest=timedelta(seconds=10))
"""The waits between attempts to connect."""


class RabbitMqConsumer:
    """Calls functions with the messages of their queues, and acknowledges a message after its function succeeded.

    Each subscriber has its own durable quorum queue, named `{service}.{name}`; each command has one, named after
    exchange and command. They are declared, and bound for all versions of the messages that the codec can read.

    - A Success, or None from an event's subscriber, acknowledges the message. The function has committed its own
      transaction by then: delivery is at least once, and repeated if the process is killed in between.
    - After a Failure or an exception a message waits for `backoff`, and is handled again, up to the topology's
      `delivery_limit` times; then it becomes a dead letter. Exceptions are logged without their texts, like by the
      guard of a use case.
    - Bytes that can't be decoded become a dead letter at once. Its header `domainkit-problems` has the reasons.
    - If two processes die while handling a message, it is handled alone from then on. If it kills the process as often
      as it is allowed to fail, it becomes a dead letter; a message that never reached its function doesn't.
    - A coroutine function is awaited; a plain function runs in a thread, so that it may block.
    - Messages sent by a function have the message that it is handling as their cause.
    - It reconnects after an outage of the broker. A deleted exchange is declared and bound again within 10 seconds.

    A failed message doesn't hold up others: it waits in a separate queue, and comes back behind them. With `by`,
    messages with the same key wait for it, and are handled one after the other, in the order of the queue; other keys
    continue. With one key for all, the whole queue keeps its order; the same is true without `by` if the topology has
    `single_active` or `prefetch` is 1. An order holds as long as one process consumes the queue: see
    `RabbitMqTopology(single_active=True)`.

        async with RabbitMqConsumer(url, topology, codec, subscribers={"greeter": TaskCreated.handled_by(greet)}):
            await something_else()

    Args:
        url: the URL of the broker.
        topology: exchange, service and limits.
        codec: decodes messages; it has all classes that functions are bound to.
        subscribers: event subscribers by name: one bound function, or several for distinct classes that share a queue.
            Never change a name: a new name means a new queue, and the old one fills up. A function bound by
            `Envelope.handled_by` gets all messages of the exchange, also commands and unknown classes.
        handlers: command handlers, one for a class.
        queues: functions for queues that others declare, by queue name: those of petisco, to drain them, or of dead
            letters. The queues are left unchanged; messages that fail too often go to `{queue}.dead_letters`.
        by: returns the key of a message of the codec; messages with the same key keep their order.
        prefetch: the number of messages of a queue fetched ahead; at least `concurrency`. Messages that wait for others
            of their key count too.
        concurrency: the number of messages of a queue handled at a time.
        backoff: the waiting time of failed messages.
        timeout: for coroutine functions, which are then cancelled and have failed. A thread can't be cancelled: plain
            functions have no timeout.
        stop_within: the time that `stop` waits for messages being handled.

    Raises:
        TypeError: there is nothing to consume; a function isn't bound by `handled_by`, or the codec doesn't have its
            class; two functions of one name or command overlap.
        ValueError: `url` is not a broker's, a name is not valid for a queue, a time isn't above 0, or `prefetch` is
            below `concurrency`.
    """

    def __init__(  # noqa: PLR0913  (independent options with defaults)
        self,
        url: str,
        topology: RabbitMqTopology,
        codec: MessageCodec[MessageT],
        *,
        subscribers: Subscribers = _NO_SUBSCRIBERS,
        handlers: Iterable[AnyHandler] = (),
        queues: Queues = _NO_QUEUES,
        by: Callable[[MessageT], Hashable] | None = None,
        prefetch: int = 20,
        concurrency: int = 1,
        backoff: Backoff = _BACKOFF,
        timeout: timedelta = timedelta(minutes=1),
        stop_within: timedelta = timedelta(seconds=30),
    ) -> None:
        if not 1 <= concurrency <= prefetch:
            raise ValueError(
                f"RabbitMqConsumer: expected 1 <= `concurrency` <= `prefetch`, got {concurrency} and {prefetch}; "
                "change one of them"
            )
        self._url = checked_url(url, "RabbitMqConsumer")
        handlers = tuple(handlers)
        self._copy = partial(
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
        """The names of the consumed queues."""
        within = seconds(timeout, "RabbitMqConsumer", "timeout")
        one_by_one = concurrency == 1 and (topology.single_active or prefetch == 1)
        key_of = (_same_key if one_by_one else _unique_key) if by is None else _key_of(by)
        self._rules = Rules(topology, prefetch, concurrency, key_of, one_by_one or by is not None, backoff, within)
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
        """Return a copy with other limits, not started.

        Args:
            prefetch: the number of messages of a queue fetched ahead; by default this consumer's, or `concurrency` if
                that is more.
            concurrency: the number of messages of a queue handled at a time; by default this consumer's.

        Raises:
            ValueError: `prefetch` is below `concurrency`, or one of them is below 1.
        """
        new_concurrency = self._rules.concurrency if concurrency is None else concurrency
        new_prefetch = max(self._rules.prefetch, new_concurrency) if prefetch is None else prefetch
        return self._copy(prefetch=new_prefetch, concurrency=new_concurrency)

    @property
    def functions(self) -> tuple[Bound, ...]:
        """The bound functions that it calls, in the order of its queues, for `event_map`."""
        return tuple(function for one in self._subscriptions.values() for function in one.functions)

    @property
    def is_consuming(self) -> bool:
        """True while all queues are consumed; False without a connection, and before the start."""
        return self._ready.is_set() and not self._lost.is_set()

    async def __aenter__(self) -> Self:
        """Start, and wait until all queues are consumed, however long the broker is unreachable.

        Raises:
            QueueClashError: a queue or exchange exists with other settings.
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
        """Stop fetching, finish the messages being handled within `stop_within`, and close the connection.

        Unfinished functions are then cancelled, and their messages redelivered. A stopped consumer can't be restarted.
        """
        self._stopping.set()
        await self._idle.wait()
        if self._running is not None:
            await self._running

    async def run(self, stop_event: asyncio.Event | None = None) -> None:
        """Consume until `stop_event` is set or `stop` is called; reconnect if the connection is lost.

        Raises:
            QueueClashError: a queue or exchange exists with other settings.
            RuntimeError: it is running already.
        """
        if not self._idle.is_set():
            raise RuntimeError(f"{self!r}: expected one call of `run` at a time, got a second; make another consumer")
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
                await pause(self._stopping, _RECONNECT.seconds(tries))
        finally:
            self._idle.set()
            following.cancel()

    async def _follow(self, stop_event: asyncio.Event) -> None:
        await stop_event.wait()
        self._stopping.set()

    async def pause(self, queue: str) -> None:
        """Stop fetching messages of a queue, and wait up to `stop_within` until those being handled are finished.

        Other fetched messages return to the queue, for other processes.

        Args:
            queue: one of `queues`; the queue of a subscriber is `topology.subscriber_queue(name)`.

        Raises:
            ValueError: it isn't one of `queues`.
        """
        self._check_own(queue)
        self._paused.add(queue)
        if (consumed := self._consumed.pop(queue, None)) is not None:
            await consumed.end(_CONNECT_TIMEOUT)
            await asyncio.wait(consumed.workers, timeout=self._stop_within)
            for worker in consumed.workers:
                worker.cancel()
            with suppress(*LOST):
                await consumed.declaring.close()

    async def resume(self, queue: str) -> None:
        """Fetch messages of a queue again after `pause`; does nothing if the queue isn't paused.

        Raises:
            ValueError: it isn't one of `queues`.
        """
        self._check_own(queue)
        self._paused.discard(queue)
        if self._connection is not None and queue not in self._consumed:
            await self._consume(self._connection, queue)

    def _check_own(self, queue: str) -> None:
        if queue not in self._subscriptions:
            raise ValueError(f"{self!r}: expected one of its queues, got {queue!r}; pass one of `consumer.queues`")

    async def _session(self) -> None:
        """Consume on one connection, until it is lost or the consumer is stopped."""
        name = f"domainkit consumer of {self._rules.topology.service}"
        self._lost.clear()
        async with connected(self._url, name, _CONNECT_TIMEOUT) as connection:
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    await declare_exchanges(await connection.channel(), self._rules.topology)
                    for queue in self.queues:
                        if queue not in self._paused:
                            await self._consume(connection, queue)
                self._connection = connection
                self._ready.set()
                _logger.info("consuming %s at %s", ", ".join(self._consumed), place(self._url))
                await _first_of(self._lost, self._stopping)
                for one in self._consumed.values():
                    await one.end(min(self._stop_within, _CONNECT_TIMEOUT))
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
        """Wait for running functions: with a limit only when stopping, since else one could run twice at once."""
        workers = [worker for one in self._consumed.values() for worker in one.workers]
        if workers:
            await _first_of(asyncio.gather(*workers, return_exceptions=True), self._stopping)
            await asyncio.wait(workers, timeout=self._stop_within)
        for worker in workers:
            if worker.done():
                worker.result()


def _same_key(_: object) -> Hashable:
    return None


def _unique_key(_: object) -> Hashable:
    return object()


def _key_of(by: Callable[[Any], Hashable]) -> Callable[[Message | Envelope], Hashable]:  # Any: a message of the codec
    """Return a function that returns the key of a message of the codec; messages without a class share one key."""
    return lambda message: by(message) if isinstance(message, Message) else None


async def _first_of(*awaited: asyncio.Event | Awaitable[object]) -> None:
    """Wait until one event is set, or one future is done; the other futures continue."""
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
    """Return all queues with their functions; TypeError if one can't be bound."""
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
        raise TypeError("RabbitMqConsumer: expected `subscribers`, `handlers` or `queues`, got none; pass one of them")
    names = [one.queue for one in planned]
    if twice := {name for name in names if names.count(name) > 1}:
        raise TypeError(
            f"RabbitMqConsumer: expected each queue once, got {twice.pop()!r} twice; pass its functions in one sequence"
        )
    return tuple(planned)


def _check_distinct(name: str, functions: tuple[Bound, ...], bindable: tuple[type, ...]) -> None:
    """Check that no message has two functions among those that share a queue."""
    for number, one in enumerate(functions):
        require_bound(one, bindable, f"subscriber {name!r}")
        for other in (other.message_type for other in functions[:number]):
            if issubclass(one.message_type, other) or issubclass(other, one.message_type):
                raise TypeError(
                    f"subscriber {name!r}: expected one function for each message, got two for some, of the classes "
                    f"{other.__qualname__} and {one.message_type.__qualname__}; give one of them its own name, and so "
                    "its own queue"
                )


def _subscription(
    topology: RabbitMqTopology, codec: MessageCodec, queue: str, functions: tuple[Bound, ...]
) -> Subscription:
    """Return a queue bound for all messages that decode to its functions' classes or their subclasses.

    Older names of the messages count too. A function of envelopes gets all messages of the exchange.
    """
    checked_name(queue, "the queue")
    if any(one.message_type is Envelope for one in functions):
        if len(functions) > 1:
            raise TypeError(
                f"queue {queue!r}: expected a function of envelopes to be its only one, got several; give the others "
                "another queue"
            )
        parse = partial(Envelope.parse, limits=codec.limits)
        return Subscription(queue, (f"{topology.exchange}.#",), functions, parse, Envelope.is_older_form)
    keys: list[str] = []
    for cls in (one.message_type for one in functions):
        found = [topology.binding_key(info) for info, route in codec._routes.items() if issubclass(route.wire.cls, cls)]
        if not found:
            raise TypeError(
                f"queue {queue!r}: expected a codec with the classes of its functions, got one without "
                f"{cls.__qualname__}; pass this class to the codec"
            )
        keys += found
    return Subscription(queue, tuple(dict.fromkeys(keys)), functions, codec.decode, _skips(codec, functions))


def _skips(codec: MessageCodec, functions: tuple[Bound, ...]) -> Callable[[bytes], bool]:
    classes = tuple(one.message_type for one in functions)
    return lambda raw: codec.reads_another_form(raw, *classes)
