"""Buses in memory. They first plan the calls for a message; sync buses then make the calls, async ones await them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from inspect import isawaitable
from threading import Lock
from typing import Any, Final, Generic, Never, TypeAlias, TypeVar

from attrs import define, field
from returns.result import Failure, Result, Success

from domainkit.causation import HANDLED, Stamping
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
from domainkit.mediator import by_type, require_bound
from domainkit.messages import AnyCommand, Command, DomainEvent, Message
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
from domainkit.use_cases import Guard, outcome_of

SubscriberT = TypeVar("SubscriberT", bound=AnySubscriber)
HandlerT = TypeVar("HandlerT", bound=AnyHandler)

AnyFunction: TypeAlias = Callable[[Any], object]  # Any: a message of any class
Delivery: TypeAlias = tuple[Message, AnyFunction, int]
"""A call to make: a message, a function, and the function's index in the bus."""

_KEPT = 10_000
_DONE: Result[None, Never] = Success(None)


@define
class _State:
    """State that a bus shares with its copies made by `with_meta`: recorded messages, and if it is open.

    `done` has the latest successful pairs of message id and handler, at most `remember` of them, in order.
    """

    messages: deque[Message]
    remember: int
    open: bool = True
    done: dict[object, None] = field(factory=dict)
    lock: Lock = field(factory=Lock)


class _Bus(Stamping):
    """Base of all buses.

    For functions that failed they return MessageRefused, which a relay counts as a failure of the message.
    """

    _failure: str

    def __init__(self, keep: int | None, remember: int) -> None:
        self._state = _State(deque(maxlen=keep), remember)

    def _note(self, call: Delivery, outcome: Result[object, object], failed: list[str]) -> None:
        """Remember a successful call; add a failed one to `failed`."""
        message, function, number = call
        if isinstance(outcome, Failure):
            kind = type(outcome.failure()).__qualname__
            failed.append(f"{name_of(function)} ({type(message).__qualname__} {message.header.id}, {kind})")
            return
        state = self._state
        with state.lock:
            state.done[message.header.id, number] = None
            if len(state.done) > state.remember:
                del state.done[next(iter(state.done))]


class _Caller(_Bus):
    """Bus that calls functions in the thread of its caller."""

    def _run(self, planned: Iterable[Delivery]) -> Result[None, BusCannotPublish]:
        """Make the calls, and return a Failure that names the failed ones, if any."""
        if not self._state.open:
            return cannot_publish("the bus is closed")
        failed: list[str] = []
        for call in planned:
            outcome = _called(*call)
            if type(outcome) is not Success or self._state.remember:
                self._note(call, outcome, failed)
        return cannot_publish(f"{self._failure}: {'; '.join(failed)}", kind=MessageRefused) if failed else _DONE

    def close(self) -> None:
        """Refuse messages from now on."""
        self._state.open = False


class _Awaiter(_Bus):
    """Bus that calls functions, and awaits the coroutines among their results."""

    async def _run(self, planned: Iterable[Delivery]) -> Result[None, BusCannotPublish]:
        """Make the calls, await them, and return a Failure that names the failed ones, if any."""
        if not self._state.open:
            return cannot_publish("the bus is closed")
        failed: list[str] = []
        for call in planned:
            outcome = await _awaited(*call)
            if type(outcome) is not Success or self._state.remember:
                self._note(call, outcome, failed)
        return cannot_publish(f"{self._failure}: {'; '.join(failed)}", kind=MessageRefused) if failed else _DONE

    async def close(self) -> None:
        """Refuse messages from now on."""
        self._state.open = False


def _called(message: Message, function: AnyFunction, _: int) -> Result[object, object]:
    """Call a handler, and return its outcome; an exception is logged without its text, and becomes a Failure."""
    token = HANDLED.set(message)
    try:
        answer = function(message)
    except Exception as error:
        return Guard(name_of(function)).raised(error)
    finally:
        HANDLED.reset(token)
    return outcome_of(function, message, answer)


async def _awaited(message: Message, function: AnyFunction, _: int) -> Result[object, object]:
    """Call and await a handler, which may be a plain function."""
    token = HANDLED.set(message)
    try:
        answer = function(message)
        if isawaitable(answer):
            answer = await answer
    except Exception as error:
        return Guard(name_of(function)).raised(error)
    finally:
        HANDLED.reset(token)
    return outcome_of(function, message, answer)


class _EventBus(_Bus, Generic[SubscriberT]):
    _failure = "subscribers that failed"
    _kinds: tuple[type, ...]

    def __init__(self, *subscribers: SubscriberT, keep: int | None = _KEPT, remember: int = 0) -> None:
        super().__init__(keep, remember)
        for one in subscribers:
            require_bound(one, self._kinds, "subscriber")
        self.subscribers: Final = subscribers
        """The subscribers, in the order in which they are called."""
        self._calls_of: dict[type[DomainEvent], tuple[tuple[AnyFunction, int], ...]] = {}

    @property
    def published(self) -> tuple[DomainEvent, ...]:
        """The published events, the oldest first."""
        return tuple(event for event in self._state.messages if isinstance(event, DomainEvent))

    def _planned(self, events: tuple[DomainEvent, ...]) -> Iterator[Delivery]:
        """Record each event, and yield the calls to make for it."""
        state = self._state
        for event in events:
            sent = self._stamped(event)
            state.messages.append(sent)
            for function, number in self._calls_for(type(sent)):
                if not (state.done and (sent.header.id, number) in state.done):
                    yield sent, function, number

    def _calls_for(self, cls: type[DomainEvent]) -> tuple[tuple[AnyFunction, int], ...]:
        """Return the functions for a class of events, each with its index; found once, not at each event."""
        calls = self._calls_of.get(cls)
        if calls is None:
            calls = self._calls_of[cls] = tuple(
                (one.function, number)
                for number, one in enumerate(self.subscribers)
                if issubclass(cls, one.message_type)
            )
        return calls


class InmemoryDomainEventBus(_Caller, _EventBus[SyncSubscriber], DomainEventBus):
    """Event bus that calls its subscribers in the same thread, before `publish` returns.

    Events are delivered in order; the subscribers of one event are called in the order in which they were given. A
    subscriber of a base class gets the events of its subclasses too. A subscriber that fails, by a Failure or an
    exception, doesn't stop the others: all are called, and the Failure of `publish` names each failed subscriber, its
    event and the class of its error. An exception is also logged, as in a use case.

    A subscriber may publish further events: they are delivered to all of their subscribers before its own call
    returns, and have the event that it handles as their cause.

    >>> class TaskCreated(DomainEvent): ...
    >>> bus = InmemoryDomainEventBus()
    >>> bus.publish([TaskCreated(), TaskCreated()])
    <Success: None>
    >>> len(bus.published)
    2

    Args:
        subscribers: bound by `handled_by`, any number for a class of events.
        keep: the number of newest events in `published`; None for all.
        remember: the number of newest deliveries remembered by message id, so that a subscriber isn't called again with
            an event that it has handled; 0 for no memory. A subscriber that failed is called again.

    Raises:
        TypeError: one of them is not a Subscriber; use an AsyncInmemoryDomainEventBus for a coroutine function.
    """

    _kinds = (Subscriber,)

    def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order, and call their subscribers."""
        return self._run(self._planned(events_for(self, events)))


class AsyncInmemoryDomainEventBus(_Awaiter, _EventBus[AnySubscriber], AsyncDomainEventBus):
    """Async version of InmemoryDomainEventBus: its subscribers may be coroutine functions or plain ones.

    They are awaited one after the other, in the same order; the bus starts no tasks.

    >>> import asyncio
    >>> class TaskCreated(DomainEvent): ...
    >>> async def greet(event: TaskCreated) -> None: ...
    >>> asyncio.run(AsyncInmemoryDomainEventBus(TaskCreated.handled_by(greet)).publish(TaskCreated()))
    <Success: None>

    Args:
        subscribers: bound by `handled_by`, any number for a class of events.
        keep: the number of newest events in `published`; None for all.
        remember: the number of newest deliveries remembered by message id; 0 for no memory.

    Raises:
        TypeError: one of them is not a subscriber.
    """

    _kinds = (Subscriber, AsyncSubscriber)

    async def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order, and await their subscribers."""
        return await self._run(self._planned(events_for(self, events)))


class _CommandBus(_Bus, Generic[HandlerT]):
    _failure = "the handler failed"
    _kinds: tuple[type, ...]

    def __init__(self, *handlers: HandlerT, keep: int | None = _KEPT, remember: int = 0) -> None:
        super().__init__(keep, remember)
        self._by_type = by_type(handlers, *self._kinds)
        self.handlers: Final = handlers
        """The handlers, in the order in which they were given."""

    @property
    def dispatched(self) -> tuple[AnyCommand, ...]:
        """The dispatched commands, the oldest first."""
        return tuple(command for command in self._state.messages if isinstance(command, Command))

    def _without_handler(self, command: AnyCommand) -> Failure[BusCannotPublish] | None:
        if type(command_for(self, command)) in self._by_type or not self.handlers or not self._state.open:
            return None
        return cannot_publish(f"no handler for {type(command).__qualname__}", kind=MessageRefused)

    def _planned(self, command: AnyCommand) -> Iterator[Delivery]:
        """Record the command, and yield the call to make for it."""
        sent = self._stamped(command)
        self._state.messages.append(sent)
        handler = self._by_type.get(type(command))
        if handler is not None and (sent.header.id, 0) not in self._state.done:
            yield sent, handler.function, 0


class InmemoryCommandBus(_Caller, _CommandBus[SyncHandler], CommandBus):
    """Command bus that calls handlers in the same thread, before `dispatch` returns. Without handlers it only records.

    >>> class Ping(Command): ...
    >>> bus = InmemoryCommandBus()
    >>> bus.dispatch(Ping())
    <Success: None>
    >>> [command.info().name for command in bus.dispatched]
    ['ping']

    Args:
        handlers: bound by `handled_by`, one for a class of commands.
        keep: the number of newest commands in `dispatched`; None for all.
        remember: the number of newest handled commands remembered by message id, which aren't handled again; 0 for no
            memory.

    Raises:
        TypeError: two handlers are bound to one class, or one of them is not a Handler; use an
            AsyncInmemoryCommandBus for a coroutine function.
    """

    _kinds = (Handler,)

    def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Dispatch a command, and call its handler; a Failure if that fails, or if the bus only has other handlers."""
        refused = self._without_handler(command)
        return self._run(self._planned(command)) if refused is None else refused


class AsyncInmemoryCommandBus(_Awaiter, _CommandBus[AnyHandler], AsyncCommandBus):
    """Async version of InmemoryCommandBus: its handlers may be coroutine functions or plain ones.

    >>> import asyncio
    >>> class Ping(Command): ...
    >>> asyncio.run(AsyncInmemoryCommandBus().dispatch(Ping()))
    <Success: None>

    Args:
        handlers: bound by `handled_by`, one for a class of commands.
        keep: the number of newest commands in `dispatched`; None for all.
        remember: the number of newest handled commands remembered by message id; 0 for no memory.

    Raises:
        TypeError: two handlers are bound to one class, or one of them is not a handler.
    """

    _kinds = (Handler, AsyncHandler)

    async def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Dispatch a command, and await its handler; a Failure if that fails, or if the bus only has other handlers."""
        refused = self._without_handler(command)
        return await self._run(self._planned(command)) if refused is None else refused
