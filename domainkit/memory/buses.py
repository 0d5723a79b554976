"""Buses in memory. They plan the calls for a message first; the sync ones make them, the async ones await them too."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from inspect import isawaitable, iscoroutine
from threading import Lock
from typing import Any, Never, Self, TypeAlias

from returns.result import Failure, Result, Success

from domainkit.causation import HANDLED, caused
from domainkit.errors import BusCannotPublish, MessageRefused
from domainkit.handlers import (
    AnyHandler,
    AnySubscriber,
    AsyncHandler,
    AsyncSubscriber,
    Handler,
    Subscriber,
    SyncHandler,
    SyncSubscriber,
)
from domainkit.mediator import by_type
from domainkit.messages import AnyCommand, Command, DomainEvent, JsonValue, M, Message, MessageHeader
from domainkit.ports import (
    AsyncCommandBus,
    AsyncDomainEventBus,
    CommandBus,
    DomainEventBus,
    cannot_publish,
    command_for,
    events_for,
)
from domainkit.results import name_of
from domainkit.use_cases import Guard

AnyFunction: TypeAlias = Callable[[Any], object]  # Any: a message of whatever class
Delivery: TypeAlias = tuple[Message, AnyFunction, int]
"""A call to make: a message, a function, and the function's number among those of the bus."""

Outcome: TypeAlias = Result[object, object]
_KEPT = 10_000
_SUBSCRIBERS, _HANDLER = "subscribers that failed", "the handler failed"
_DONE: Result[None, Never] = Success(None)


class _State:
    """The state that a bus shares with the copies that `with_meta` made of it: the record, and if it is open.

    `done` has the pairs of message id and handler that succeeded lately, the newest `remember` of them in their order.
    """

    def __init__(self, keep: int | None, remember: int) -> None:
        self.messages: deque[Message] = deque(maxlen=keep)
        self.open = True
        self.remember = remember
        self.done: dict[object, None] = {}
        self._lock = Lock()

    def add_done(self, key: object) -> None:
        with self._lock:
            self.done[key] = None
            if len(self.done) > self.remember:
                del self.done[next(iter(self.done))]


class _Bus:
    """The part that all buses have."""

    def __init__(self, keep: int | None, remember: int) -> None:
        self._state = _State(keep, remember)
        self._meta: Mapping[str, JsonValue] = {}

    def with_meta(self, meta: Mapping[str, JsonValue]) -> Self:
        """Return a bus that merges `meta` into the meta of every message; both share handlers, record and `close`."""
        made = copy(self)
        made._meta = MessageHeader(meta={**self._meta, **meta}).meta
        return made

    def _taken(self, message: M) -> M:
        """Return the message as it is handed over, with the bus's meta and its cause, and record it."""
        sent = caused(message.add_meta(self._meta) if self._meta else message)
        self._state.messages.append(sent)
        return sent

    def _run(self, planned: Iterable[Delivery], failure: str) -> Result[None, BusCannotPublish]:
        """Make the calls, and return how they ended."""
        if not self._state.open:
            return cannot_publish("the bus is closed")
        failed: list[str] = []
        for message, function, number in planned:
            outcome = _call(function, message)
            if type(outcome) is not Success:
                failed.append(_failed(message, function, outcome))
            elif self._state.remember:
                self._state.add_done((message.header.id, number))
        return _DONE if not failed else _not_taken(f"{failure}: {'; '.join(failed)}")

    async def _run_async(self, planned: Iterable[Delivery], failure: str) -> Result[None, BusCannotPublish]:
        """Make the calls, await them, and return how they ended."""
        if not self._state.open:
            return cannot_publish("the bus is closed")
        failed: list[str] = []
        for message, function, number in planned:
            outcome = await _call_async(function, message)
            if type(outcome) is not Success:
                failed.append(_failed(message, function, outcome))
            elif self._state.remember:
                self._state.add_done((message.header.id, number))
        return _DONE if not failed else _not_taken(f"{failure}: {'; '.join(failed)}")


class _EventBus(_Bus):
    def __init__(
        self, subscribers: tuple[AnySubscriber, ...], kinds: tuple[type, ...], keep: int | None, remember: int
    ) -> None:
        super().__init__(keep, remember)
        for one in subscribers:
            if not isinstance(one, kinds):
                later = isinstance(one, AsyncSubscriber)
                what = "an AsyncInmemoryDomainEventBus awaits it" if later else "use handled_by"
                raise TypeError(f"expected a subscriber made by handled_by, not a {type(one).__qualname__}: {what}")
        self._subscribers = subscribers
        self._calls = tuple((one.message_type, one.function, number) for number, one in enumerate(subscribers))

    @property
    def subscribers(self) -> tuple[AnySubscriber, ...]:
        """The subscribers, in the order in which they are called."""
        return self._subscribers

    @property
    def published(self) -> tuple[DomainEvent, ...]:
        """The events that were published, the oldest first."""
        return tuple(event for event in self._state.messages if isinstance(event, DomainEvent))

    def _planned(self, events: tuple[DomainEvent, ...]) -> Iterator[Delivery]:
        """Record each event in its turn, and yield the calls to make for it."""
        done = self._state.done
        for event in events:
            sent = self._taken(event)
            for message_type, function, number in self._calls:
                if isinstance(sent, message_type) and not (done and (sent.header.id, number) in done):
                    yield sent, function, number


class InmemoryDomainEventBus(_EventBus, DomainEventBus):
    """Hands events to functions in the same thread, before `publish` returns.

    Events are handed over in their order; the subscribers of one event are called in the order in which they were
    given. A subscriber of a base class gets the events of its subclasses too. One that fails, by a Failure or an
    exception, stops no other: all are called, and the Failure of `publish` names each that failed, its event and the
    class of its error. An exception is logged too, as a use case does it.

    A subscriber may publish further events: they are handed over, to all of their subscribers, before its own call
    returns, and have the event that it handles as their cause.

    >>> class TaskCreated(DomainEvent): ...
    >>> bus = InmemoryDomainEventBus()
    >>> bus.publish([TaskCreated(), TaskCreated()])
    <Success: None>
    >>> len(bus.published)
    2

    Args:
        subscribers: bound by `handled_by`, any number for a class of events.
        keep: how many events `published` shows, the newest; None for all of them.
        remember: how many deliveries, the newest, are remembered by message id, so that a subscriber isn't called again
            with an event that it has handled; 0 for none. One that failed is called again.

    Raises:
        TypeError: one of them is not a Subscriber; a coroutine function belongs into an
            AsyncInmemoryDomainEventBus.
    """

    def __init__(self, *subscribers: SyncSubscriber, keep: int | None = _KEPT, remember: int = 0) -> None:
        super().__init__(subscribers, (Subscriber,), keep, remember)

    def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order, and call their subscribers."""
        published = (events,) if isinstance(events, DomainEvent) else events_for(self, events)
        return self._run(self._planned(published), _SUBSCRIBERS)

    def close(self) -> None:
        """Refuse events from now on."""
        self._state.open = False


class AsyncInmemoryDomainEventBus(_EventBus, AsyncDomainEventBus):
    """The async twin of InmemoryDomainEventBus: its subscribers may be coroutine functions, or plain ones.

    They are awaited one after the other, in the same order; what runs beside it is what else the caller has started.

    >>> import asyncio
    >>> class TaskCreated(DomainEvent): ...
    >>> async def greet(event: TaskCreated) -> None: ...
    >>> asyncio.run(AsyncInmemoryDomainEventBus(TaskCreated.handled_by(greet)).publish(TaskCreated()))
    <Success: None>

    Args:
        subscribers: bound by `handled_by`, any number for a class of events.
        keep: how many events `published` shows, the newest; None for all of them.
        remember: how many deliveries, the newest, are remembered by message id; 0 for none.

    Raises:
        TypeError: one of them is not a subscriber.
    """

    def __init__(self, *subscribers: AnySubscriber, keep: int | None = _KEPT, remember: int = 0) -> None:
        super().__init__(subscribers, (Subscriber, AsyncSubscriber), keep, remember)

    async def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order, and await their subscribers."""
        published = (events,) if isinstance(events, DomainEvent) else events_for(self, events)
        return await self._run_async(self._planned(published), _SUBSCRIBERS)

    async def close(self) -> None:
        """Refuse events from now on."""
        self._state.open = False


class _CommandBus(_Bus):
    def __init__(self, handlers: Mapping[type, AnyHandler], keep: int | None, remember: int) -> None:
        super().__init__(keep, remember)
        self._handlers = handlers

    @property
    def handlers(self) -> tuple[AnyHandler, ...]:
        """The handlers, in the order in which they were given."""
        return tuple(self._handlers.values())

    @property
    def dispatched(self) -> tuple[AnyCommand, ...]:
        """The commands that were dispatched, the oldest first."""
        return tuple(command for command in self._state.messages if isinstance(command, Command))

    def _refused(self, command: AnyCommand) -> Failure[BusCannotPublish] | None:
        if type(command_for(self, command)) in self._handlers or not self._handlers or not self._state.open:
            return None
        return _not_taken(f"no handler for {type(command).__qualname__}")

    def _planned(self, command: AnyCommand) -> Iterator[Delivery]:
        """Record the command, and yield the call to make for it."""
        sent = self._taken(command)
        handler = self._handlers.get(type(command))
        if handler is not None and (sent.header.id, 0) not in self._state.done:
            yield sent, handler.function, 0


class InmemoryCommandBus(_CommandBus, CommandBus):
    """Hands a command to its handler in the same thread, before `dispatch` returns. Without handlers it only records.

    >>> class Ping(Command): ...
    >>> bus = InmemoryCommandBus()
    >>> bus.dispatch(Ping())
    <Success: None>
    >>> [command.info().name for command in bus.dispatched]
    ['ping']

    Args:
        handlers: bound by `handled_by`, one for a class of commands.
        keep: how many commands `dispatched` shows, the newest; None for all of them.
        remember: how many commands that were handled, the newest, are remembered by message id, and not handled again;
            0 for none.

    Raises:
        TypeError: two handlers are bound to one class, or one of them is not a Handler; one of a coroutine
            function belongs into an AsyncInmemoryCommandBus.
    """

    def __init__(self, *handlers: SyncHandler, keep: int | None = _KEPT, remember: int = 0) -> None:
        super().__init__(by_type(handlers, Handler), keep, remember)

    def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Dispatch a command, and call its handler; a Failure if it failed, or there is none among several."""
        refused = self._refused(command)
        return self._run(self._planned(command), _HANDLER) if refused is None else refused

    def close(self) -> None:
        """Refuse commands from now on."""
        self._state.open = False


class AsyncInmemoryCommandBus(_CommandBus, AsyncCommandBus):
    """The async twin of InmemoryCommandBus: its handlers may be coroutine functions, or plain ones.

    >>> import asyncio
    >>> class Ping(Command): ...
    >>> asyncio.run(AsyncInmemoryCommandBus().dispatch(Ping()))
    <Success: None>

    Args:
        handlers: bound by `handled_by`, one for a class of commands.
        keep: how many commands `dispatched` shows, the newest; None for all of them.
        remember: how many commands that were handled, the newest, are remembered by message id; 0 for none.

    Raises:
        TypeError: two handlers are bound to one class, or one of them is not a handler.
    """

    def __init__(self, *handlers: AnyHandler, keep: int | None = _KEPT, remember: int = 0) -> None:
        super().__init__(by_type(handlers, Handler, AsyncHandler), keep, remember)

    async def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Dispatch a command, and await its handler; a Failure where it failed, or where several have none for it."""
        refused = self._refused(command)
        return await self._run_async(self._planned(command), _HANDLER) if refused is None else refused

    async def close(self) -> None:
        """Refuse commands from now on."""
        self._state.open = False


def _call(function: AnyFunction, message: Message) -> Outcome:
    """Call a handler, and return its Result; an exception is logged without its text, and a Failure."""
    token = HANDLED.set(message)
    try:
        answer = function(message)
    except Exception as error:
        return Guard(name_of(function)).raised(error)
    finally:
        HANDLED.reset(token)
    return answer if type(answer) is Success else _outcome(function, message, answer)


async def _call_async(function: AnyFunction, message: Message) -> Outcome:
    token = HANDLED.set(message)
    try:
        answer = function(message)
        if isawaitable(answer):
            answer = await answer
    except Exception as error:
        return Guard(name_of(function)).raised(error)
    finally:
        HANDLED.reset(token)
    return answer if type(answer) is Success else _outcome(function, message, answer)


def _outcome(function: AnyFunction, message: Message, answer: object) -> Outcome:
    """Return what an answer means: nothing from a subscriber is a Success, nothing from a handler is a bug."""
    if answer is None and isinstance(message, DomainEvent):
        return _DONE
    if iscoroutine(answer):
        answer.close()  # of a plain function that returns a coroutine: nobody awaits it here, and that is a bug
    return Guard(name_of(function)).returned(answer)


def _failed(message: Message, function: object, outcome: Outcome) -> str:
    kind = type(outcome.failure()).__qualname__
    return f"{name_of(function)} ({type(message).__qualname__} {message.header.id}, {kind})"


def _not_taken(reason: str) -> Failure[BusCannotPublish]:
    """Return the Failure of a bus that is there: a relay counts it against the message."""
    return Failure(MessageRefused(additional_info={"message": reason}))
