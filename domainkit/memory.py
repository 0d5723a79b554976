"""Every port in memory: the embedded default, and the reference that other adapters are measured by."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from threading import RLock
from typing import Any, Generic, Never, Self

from returns.result import Failure, Result, Success

from domainkit._frozen import copy_with
from domainkit.errors import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    BusCannotPublish,
)
from domainkit.mediator import by_type
from domainkit.messages import Command, DomainEvent, Handler, JsonValue, Message, MessageHeader, Subscriber
from domainkit.ports import (
    AggT,
    CommandBus,
    CrudRepository,
    DomainEventBus,
    IdT,
    Notifier,
    NotifierExceptionMessage,
    NotifierMessage,
)
from domainkit.results import name_of
from domainkit.use_cases import Guard


class InmemoryCrudRepository(CrudRepository[AggT, IdT], Generic[AggT, IdT]):
    """Aggregates in a dict, gone with the process. Safe under threads.

    >>> from domainkit import AggregateRoot
    >>> tasks = InmemoryCrudRepository[AggregateRoot]()
    >>> task = AggregateRoot()
    >>> tasks.save(task) == Success(task)
    True
    >>> tasks.update(task).unwrap().aggregate_version
    2

    Args:
        repository_name: shown in errors; the class's name unless given.
    """

    def __init__(self, *, repository_name: str | None = None) -> None:
        self._name = repository_name or type(self).__name__
        self._stored: dict[IdT, AggT] = {}
        self._lock = RLock()

    def save(self, aggregate: AggT) -> Result[AggT, AggregateAlreadyExistError]:
        """Store a new aggregate, and return it, with its recorded events: nobody has published them yet."""
        with self._lock:
            if aggregate.aggregate_id in self._stored:
                return Failure(AggregateAlreadyExistError(aggregate.aggregate_id, self._name))
            self._stored[aggregate.aggregate_id] = aggregate.clear_domain_events()
        return Success(aggregate)

    def retrieve(self, aggregate_id: IdT) -> Result[AggT, AggregateNotFoundError]:
        """Return the aggregate with this id, without recorded events."""
        found = self._stored.get(aggregate_id)
        return Failure(AggregateNotFoundError(aggregate_id, self._name)) if found is None else Success(found)

    def update(self, aggregate: AggT) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Store a changed aggregate, and return it with its version raised by one, and its recorded events."""
        aggregate_id, version = aggregate.aggregate_id, aggregate.aggregate_version
        with self._lock:
            found = self._stored.get(aggregate_id)
            if found is None:
                return Failure(AggregateNotFoundError(aggregate_id, self._name))
            if found.aggregate_version != version:
                stored = found.aggregate_version
                return Failure(AggregateVersionConflictError(aggregate_id, version, stored, self._name))
            updated = copy_with(aggregate, aggregate_version=version + 1)
            self._stored[aggregate_id] = updated.clear_domain_events()
        return Success(updated)

    def remove(self, aggregate_id: IdT) -> Result[None, AggregateNotFoundError]:
        """Remove the aggregate with this id."""
        with self._lock:
            if self._stored.pop(aggregate_id, None) is None:
                return Failure(AggregateNotFoundError(aggregate_id, self._name))
        return Success(None)

    def retrieve_all(self) -> Result[tuple[AggT, ...], Never]:
        """Return all aggregates, in the order in which they were saved."""
        with self._lock:
            return Success(tuple(self._stored.values()))


_KEPT = 10_000
_DONE: Result[None, Never] = Success(None)


class _Recorder:
    """What was handed to a bus and the copies that `with_meta` made of it, and whether it is open."""

    def __init__(self, keep: int | None) -> None:
        self.messages: deque[Message] = deque(maxlen=keep)
        self.open = True


class _InmemoryBus:
    def __init__(self, keep: int | None) -> None:
        self._recorder = _Recorder(keep)
        self._meta: Mapping[str, JsonValue] = {}

    def with_meta(self, meta: Mapping[str, JsonValue]) -> Self:
        """Return a bus that merges `meta` into the meta of every message; both share handlers, record and `close`."""
        made = copy(self)
        made._meta = MessageHeader(meta={**self._meta, **meta}).meta
        return made

    def close(self) -> None:
        """Refuse messages from now on."""
        self._recorder.open = False


class InmemoryDomainEventBus(_InmemoryBus, DomainEventBus):
    """Hands events to functions in the same thread, before `publish` returns.

    Events are handed over in their order; the subscribers of one event are called in the order in which they were
    given. A subscriber of a base class gets the events of its subclasses too. One that fails, by a Failure or an
    exception, stops no other: all are called, and the Failure of `publish` names each that failed, its event and the
    class of its error. An exception is logged too, as a use case does it.

    >>> class TaskCreated(DomainEvent): ...
    >>> bus = InmemoryDomainEventBus()
    >>> bus.publish([TaskCreated(), TaskCreated()])
    <Success: None>
    >>> len(bus.published)
    2

    Args:
        subscribers: bound by `handled_by`, any number for a class of events.
        keep: how many events `published` shows, the newest; None for all of them.

    Raises:
        TypeError: one of them is no Subscriber.
    """

    def __init__(self, *subscribers: Subscriber[Any], keep: int | None = _KEPT) -> None:
        super().__init__(keep)
        for one in subscribers:
            if not isinstance(one, Subscriber):
                raise TypeError(f"expected a subscriber made by handled_by, not a {type(one).__qualname__}")
        self._subscribers = subscribers

    @property
    def published(self) -> tuple[DomainEvent, ...]:
        """The events that were published, the oldest first."""
        return tuple(event for event in self._recorder.messages if isinstance(event, DomainEvent))

    def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order, and call their subscribers."""
        several = _events_of(events)
        if not self._recorder.open:
            return _cannot_publish("the bus is closed")
        failed = [failure for event in several for failure in self._hand_over(event)]
        return _cannot_publish(f"subscribers that failed: {'; '.join(failed)}") if failed else _DONE

    def _hand_over(self, event: DomainEvent) -> list[str]:
        """Record an event and call its subscribers; tell which failed."""
        sent = event.add_meta(self._meta) if self._meta else event
        self._recorder.messages.append(sent)
        failed: list[str] = []
        for one in self._subscribers:
            if isinstance(sent, one.message_type):
                outcome = _call(one.function, sent, if_none=_DONE)
                if type(outcome) is not Success:
                    failed.append(_failed(one.function, sent, outcome))
        return failed


def _events_of(events: DomainEvent | Iterable[DomainEvent]) -> tuple[DomainEvent, ...]:
    several = (events,) if isinstance(events, DomainEvent) or not isinstance(events, Iterable) else tuple(events)
    for event in several:
        if not isinstance(event, DomainEvent):
            raise TypeError(f"InmemoryDomainEventBus.publish: expected domain events, not a {type(event).__qualname__}")
    return several


class InmemoryCommandBus(_InmemoryBus, CommandBus):
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

    Raises:
        TypeError: two handlers are bound to one class, or one of them is no Handler.
    """

    def __init__(self, *handlers: Handler[Any, Any, Any], keep: int | None = _KEPT) -> None:
        super().__init__(keep)
        self._handlers = by_type(handlers)

    @property
    def dispatched(self) -> tuple[Command[Any, Any], ...]:
        """The commands that were dispatched, the oldest first."""
        return tuple(command for command in self._recorder.messages if isinstance(command, Command))

    def dispatch(self, command: Command[Any, Any]) -> Result[None, BusCannotPublish]:
        """Dispatch a command, and call its handler; a Failure where it failed, or where there is none among several."""
        if not isinstance(command, Command):
            raise TypeError(f"InmemoryCommandBus.dispatch: expected a command, not a {type(command).__qualname__}")
        if not self._recorder.open:
            return _cannot_publish("the bus is closed")
        sent = command.add_meta(self._meta) if self._meta else command
        handler = self._handlers.get(type(sent))
        if handler is None and self._handlers:
            return _cannot_publish(f"no handler for {type(sent).__qualname__}")
        self._recorder.messages.append(sent)
        outcome = _DONE if handler is None else _call(handler.function, sent)
        if handler is None or type(outcome) is Success:
            return _DONE
        return _cannot_publish(f"the handler failed: {_failed(handler.function, sent, outcome)}")


def _call(
    function: Callable[[Any], object], message: Message, *, if_none: object = None
) -> Result[Any, Any]:  # Any: what a handler answers is its own affair; here it counts whether it is a Failure
    """Call a handler, and return its Result; an exception is logged without its text, and a Failure."""
    try:
        outcome = function(message)
    except Exception as error:
        return Guard(name_of(function)).raised(error)
    if outcome is None:
        outcome = if_none
    return outcome if type(outcome) is Success else Guard(name_of(function)).returned(outcome)


def _failed(function: object, message: Message, outcome: Result[Any, Any]) -> str:
    kind = type(outcome.failure()).__qualname__
    return f"{name_of(function)} ({type(message).__qualname__} {message.header.id}, {kind})"


def _cannot_publish(reason: str) -> Result[Never, BusCannotPublish]:
    return Failure(BusCannotPublish(additional_info={"message": reason}))


class LoggingNotifier(Notifier):
    """Writes to a logger of the standard library: titles, places and classes of exceptions, never their texts.

    >>> LoggingNotifier().publish(NotifierMessage("Import finished"))

    Args:
        logger: `domainkit.notifier` unless given. A message has level WARNING, one about an exception ERROR.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("domainkit.notifier")

    def publish(self, message: NotifierMessage) -> None:
        """Log the title, the message, the link and the meta."""
        parts = [message.title, message.message, message.link, dict(message.meta) or None]
        self._logger.warning("%s", " | ".join(str(part) for part in parts if part is not None))

    def publish_exception(self, message: NotifierExceptionMessage) -> None:
        """Log the title, the executor, the class of the exception, its place and the meta."""
        kind = type(message.exception).__qualname__ if message.exception is not None else None
        place = f"{message.filename}:{message.lineno}" if message.filename is not None else None
        parts = [message.title, message.executor, kind, place, dict(message.meta) or None]
        self._logger.error("%s", " | ".join(str(part) for part in parts if part is not None))


class InmemoryNotifier(Notifier):
    """Keeps what it is told, for a test to look at.

    >>> notifier = InmemoryNotifier()
    >>> notifier.publish(NotifierMessage("Import finished"))
    >>> notifier.messages
    (NotifierMessage(title='Import finished', message=None, meta={}, link=None),)
    """

    def __init__(self) -> None:
        self._messages: list[NotifierMessage | NotifierExceptionMessage] = []

    @property
    def messages(self) -> tuple[NotifierMessage | NotifierExceptionMessage, ...]:
        """All messages, the oldest first."""
        return tuple(self._messages)

    def publish(self, message: NotifierMessage) -> None:
        """Keep a message."""
        self._messages.append(message)

    def publish_exception(self, message: NotifierExceptionMessage) -> None:
        """Keep a message about an exception."""
        self._messages.append(message)
