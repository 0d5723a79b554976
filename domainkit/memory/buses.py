"""Buses in memory. What they do stands once, in generators; a sync driver and an async one carry it out."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from copy import copy
from inspect import isawaitable, iscoroutine
from threading import Lock
from typing import Any, Never, Self, TypeAlias

from returns.result import Failure, Result, Success

from domainkit.causation import HANDLED, caused
from domainkit.errors import BusCannotPublish
from domainkit.handlers import AsyncHandler, AsyncSubscriber, Handler, Subscriber
from domainkit.mediator import AnyCommand, AnyHandler, by_type
from domainkit.messages import Command, DomainEvent, JsonValue, M, Message, MessageHeader
from domainkit.ports import AsyncCommandBus, AsyncDomainEventBus, CommandBus, DomainEventBus
from domainkit.results import name_of
from domainkit.use_cases import Guard

AnySubscriber: TypeAlias = Subscriber[Any] | AsyncSubscriber[Any]  # Any: of events of every class
Outcome: TypeAlias = Result[Any, Any]  # Any: what a handler answers is its own affair; a Failure counts, whatever it is
Call: TypeAlias = tuple[Callable[[Any], object], Message]
Deliveries: TypeAlias = Generator[Call, Outcome, Result[None, BusCannotPublish]]

_KEPT = 10_000
_DONE: Result[None, Never] = Success(None)


class _State:
    """What a bus shares with the copies that `with_meta` made of it: the record, and whether it is open."""

    def __init__(self, keep: int | None, remember: int) -> None:
        self.messages: deque[Message] = deque(maxlen=keep)
        self.open = True
        self.done = _Done(remember)


class _Done:
    """The pairs of message id and handler that succeeded lately: the newest `remember` of them."""

    def __init__(self, remember: int) -> None:
        self._remember = remember
        self._order: deque[object] = deque()
        self._known: set[object] = set()
        self._lock = Lock()

    def has(self, message: Message, number: int) -> bool:
        return bool(self._remember) and (message.header.id, number) in self._known

    def add(self, message: Message, number: int) -> None:
        if not self._remember:
            return
        with self._lock:
            self._known.add((message.header.id, number))
            self._order.append((message.header.id, number))
            if len(self._order) > self._remember:
                self._known.discard(self._order.popleft())


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


class _EventBus(_Bus):
    def __init__(self, subscribers: tuple[AnySubscriber, ...], keep: int | None, remember: int) -> None:
        super().__init__(keep, remember)
        self._subscribers = subscribers

    @property
    def subscribers(self) -> tuple[AnySubscriber, ...]:
        """The subscribers, in the order in which they are called."""
        return self._subscribers

    @property
    def published(self) -> tuple[DomainEvent, ...]:
        """The events that were published, the oldest first."""
        return tuple(event for event in self._state.messages if isinstance(event, DomainEvent))

    def _deliveries(self, events: DomainEvent | Iterable[DomainEvent]) -> Deliveries:
        """Yield each call to make, take its outcome, and return what `publish` returns."""
        several = _events_of(events)
        if not self._state.open:
            return _cannot_publish("the bus is closed")
        failed: list[str] = []
        done = self._state.done
        for event in several:
            sent = self._taken(event)
            for number, one in enumerate(self._subscribers):
                if isinstance(sent, one.message_type) and not done.has(sent, number):
                    outcome = yield one.function, sent
                    if type(outcome) is Success:
                        done.add(sent, number)
                    else:
                        failed.append(_failed(one.function, sent, outcome))
        return _cannot_publish(f"subscribers that failed: {'; '.join(failed)}") if failed else _DONE


def _events_of(events: DomainEvent | Iterable[DomainEvent]) -> tuple[DomainEvent, ...]:
    several = (events,) if isinstance(events, DomainEvent) or not isinstance(events, Iterable) else tuple(events)
    for event in several:
        if not isinstance(event, DomainEvent):
            raise TypeError(f"InmemoryDomainEventBus.publish: expected domain events, not a {type(event).__qualname__}")
    return several


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
        TypeError: one of them is no Subscriber; a coroutine function belongs into an AsyncInmemoryDomainEventBus.
    """

    def __init__(self, *subscribers: Subscriber[Any], keep: int | None = _KEPT, remember: int = 0) -> None:
        _check(subscribers, Subscriber)
        super().__init__(subscribers, keep, remember)

    def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order, and call their subscribers."""
        return _run(self._deliveries(events))

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
        TypeError: one of them is no subscriber.
    """

    def __init__(self, *subscribers: AnySubscriber, keep: int | None = _KEPT, remember: int = 0) -> None:
        _check(subscribers, Subscriber, AsyncSubscriber)
        super().__init__(subscribers, keep, remember)

    async def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order, and await their subscribers."""
        return await _run_async(self._deliveries(events))

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

    def _deliveries(self, command: AnyCommand) -> Deliveries:
        """Yield the call to make, take its outcome, and return what `dispatch` returns."""
        if not isinstance(command, Command):
            raise TypeError(f"InmemoryCommandBus.dispatch: expected a command, not a {type(command).__qualname__}")
        if not self._state.open:
            return _cannot_publish("the bus is closed")
        handler = self._handlers.get(type(command))
        if handler is None and self._handlers:
            return _cannot_publish(f"no handler for {type(command).__qualname__}")
        sent = self._taken(command)
        if handler is None or self._state.done.has(sent, 0):
            return _DONE
        outcome = yield handler.function, sent
        if type(outcome) is not Success:
            return _cannot_publish(f"the handler failed: {_failed(handler.function, sent, outcome)}")
        self._state.done.add(sent, 0)
        return _DONE


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
        TypeError: two handlers are bound to one class, or one of them is no Handler; one of a coroutine function
            belongs into an AsyncInmemoryCommandBus.
    """

    def __init__(self, *handlers: Handler[Any, Any, Any], keep: int | None = _KEPT, remember: int = 0) -> None:
        super().__init__(by_type(handlers, Handler), keep, remember)

    def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Dispatch a command, and call its handler; a Failure where it failed, or where there is none among several."""
        return _run(self._deliveries(command))

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
        TypeError: two handlers are bound to one class, or one of them is no handler.
    """

    def __init__(self, *handlers: AnyHandler, keep: int | None = _KEPT, remember: int = 0) -> None:
        super().__init__(by_type(handlers, Handler, AsyncHandler), keep, remember)

    async def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Dispatch a command, and await its handler; a Failure where it failed, or where several have none for it."""
        return await _run_async(self._deliveries(command))

    async def close(self) -> None:
        """Refuse commands from now on."""
        self._state.open = False


def _check(subscribers: tuple[object, ...], *kinds: type) -> None:
    for one in subscribers:
        if not isinstance(one, kinds):
            what = "an AsyncInmemoryDomainEventBus awaits it" if isinstance(one, AsyncSubscriber) else "use handled_by"
            raise TypeError(f"expected a subscriber made by handled_by, not a {type(one).__qualname__}: {what}")


def _run(deliveries: Deliveries) -> Result[None, BusCannotPublish]:
    """Make the calls, and return what the generator returns."""
    try:
        function, message = next(deliveries)
        while True:
            function, message = deliveries.send(_call(function, message))
    except StopIteration as stop:
        returned: Result[None, BusCannotPublish] = stop.value
        return returned


async def _run_async(deliveries: Deliveries) -> Result[None, BusCannotPublish]:
    """Make the calls, await them, and return what the generator returns."""
    try:
        function, message = next(deliveries)
        while True:
            function, message = deliveries.send(await _call_async(function, message))
    except StopIteration as stop:
        returned: Result[None, BusCannotPublish] = stop.value
        return returned


def _call(function: Callable[[Any], object], message: Message) -> Outcome:
    """Call a handler, and return its Result; an exception is logged without its text, and a Failure."""
    token = HANDLED.set(message)
    try:
        outcome = function(message)
    except Exception as error:
        return Guard(name_of(function)).raised(error)
    finally:
        HANDLED.reset(token)
    if iscoroutine(outcome):
        outcome.close()  # a plain function that returns a coroutine: nobody awaits it here, and that is a bug
    return _outcome(function, message, outcome)


async def _call_async(function: Callable[[Any], object], message: Message) -> Outcome:
    token = HANDLED.set(message)
    try:
        outcome = function(message)
        if isawaitable(outcome):
            outcome = await outcome
    except Exception as error:
        return Guard(name_of(function)).raised(error)
    finally:
        HANDLED.reset(token)
    return _outcome(function, message, outcome)


def _outcome(function: object, message: Message, outcome: object) -> Outcome:
    """Return the Result; nothing is one for an event, and a bug for a command."""
    if outcome is None and isinstance(message, DomainEvent):
        return _DONE
    if type(outcome) is Success:
        return outcome
    return Guard(name_of(function)).returned(outcome)


def _failed(function: object, message: Message, outcome: Outcome) -> str:
    kind = type(outcome.failure()).__qualname__
    return f"{name_of(function)} ({type(message).__qualname__} {message.header.id}, {kind})"


def _cannot_publish(reason: str) -> Result[Never, BusCannotPublish]:
    return Failure(BusCannotPublish(additional_info={"message": reason}))
