"""Ports: base classes for the services that the domain needs. See Cockburn, Hexagonal architecture (2005)."""

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, ClassVar, Generic, Never, Self

from attrs import field, frozen
from returns.result import Failure, Result, Success
from typing_extensions import ParamSpec, TypeVar

from domainkit._model.immutability import Frozen
from domainkit._model.mapping import FrozenMapping
from domainkit._model.services import Service
from domainkit.aggregates import AggregateRoot, AnyId
from domainkit.causation import is_stored
from domainkit.errors import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    BusCannotPublish,
    DomainError,
    MessageRefused,
    UnknownError,
)
from domainkit.messages import AnyCommand, Command, DomainEvent, JsonValue, Message
from domainkit.values import Uuid

AggT = TypeVar("AggT", bound=AggregateRoot[AnyId])
IdT = TypeVar("IdT", bound=AnyId, default=Uuid)
P = ParamSpec("P", default=...)
T_co = TypeVar("T_co", default=Any, covariant=True)  # Any: a bare AppService declares no value
E_co = TypeVar("E_co", default=DomainError, covariant=True)


class Repository(Service, ABC):  # no abstract methods: subclasses define their own
    """Base class of repositories: inherit from it for a repository with methods of your own.

    >>> class TaskArchive(Repository):
    ...     def latest(self) -> str: ...
    """

    __slots__ = ()


class CrudRepository(Repository, Generic[AggT, IdT]):
    """A repository of one class of aggregates: save, retrieve, update, remove, retrieve all.

    `class TaskRepository(CrudRepository[Task, TaskId])`; an aggregate with a plain Uuid needs one argument. Every
    adapter passes the same tests, `domainkit.testing.CrudRepositoryContract`. See Fowler, Patterns of Enterprise
    Application Architecture (2002), Repository and Optimistic Offline Lock.
    """

    __slots__ = ()

    @abstractmethod
    def save(self, aggregate: AggT, /) -> Result[AggT, AggregateAlreadyExistError]:
        """Store a new aggregate, and return the stored one.

        Recorded events are not part of the state; the returned aggregate has those that the repository didn't store.
        """

    def save_all(self, aggregates: Iterable[AggT], /) -> Result[tuple[AggT, ...], AggregateAlreadyExistError]:
        """Store new aggregates, all of them or none, and return the stored ones in the same order.

        A Failure names the first one whose id is taken: by a stored aggregate, or by an earlier one of `aggregates`.

        The repositories of this library store them together. This default, for a repository of your own, saves one
        after the other; if one is refused, it removes those that it has saved. Until then others can see them, an
        exception leaves them stored, and it takes back no events. Override it if your store has transactions.
        """
        saved: list[AggT] = []
        for aggregate in aggregates:
            result = self.save(aggregate)
            if isinstance(result, Failure):
                for one in saved:
                    self.remove(one.aggregate_id)  # type: ignore[arg-type]  # its id is of the class IdT
                return result
            saved.append(result.unwrap())
        return Success(tuple(saved))

    @abstractmethod
    def retrieve(self, aggregate_id: IdT, /) -> Result[AggT, AggregateNotFoundError]:
        """Return the aggregate with this id, without recorded events."""

    @abstractmethod
    def update(self, aggregate: AggT, /) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Replace the stored aggregate with a changed one, and return it with its version raised by one.

        If the stored version differs from the version of `aggregate`, someone else stored it since it was read: a
        Failure with AggregateVersionConflictError (optimistic locking).
        """

    @abstractmethod
    def remove(self, aggregate_id: IdT, /) -> Result[None, AggregateNotFoundError]:
        """Remove the aggregate with this id."""

    @abstractmethod
    def retrieve_all(self) -> Result[tuple[AggT, ...], Never]:
        """Return all aggregates, in the order in which they were saved.

        An update keeps the place of an aggregate; an aggregate that was removed and saved again comes last.
        """


class AsyncCrudRepository(Repository, Generic[AggT, IdT]):
    """The async twin of CrudRepository: the same methods and guarantees, as coroutines."""

    __slots__ = ()

    @abstractmethod
    async def save(self, aggregate: AggT, /) -> Result[AggT, AggregateAlreadyExistError]:
        """Store a new aggregate, and return the stored one; see CrudRepository."""

    async def save_all(self, aggregates: Iterable[AggT], /) -> Result[tuple[AggT, ...], AggregateAlreadyExistError]:
        """Store new aggregates, all of them or none; see CrudRepository, also for what this default can't do."""
        saved: list[AggT] = []
        for aggregate in aggregates:
            result = await self.save(aggregate)
            if isinstance(result, Failure):
                for one in saved:
                    await self.remove(one.aggregate_id)  # type: ignore[arg-type]  # its id is of the class IdT
                return result
            saved.append(result.unwrap())
        return Success(tuple(saved))

    @abstractmethod
    async def retrieve(self, aggregate_id: IdT, /) -> Result[AggT, AggregateNotFoundError]:
        """Return the aggregate with this id, without recorded events."""

    @abstractmethod
    async def update(self, aggregate: AggT, /) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Replace the stored aggregate, and return it with its version raised by one; see CrudRepository."""

    @abstractmethod
    async def remove(self, aggregate_id: IdT, /) -> Result[None, AggregateNotFoundError]:
        """Remove the aggregate with this id."""

    @abstractmethod
    async def retrieve_all(self) -> Result[tuple[AggT, ...], Never]:
        """Return all aggregates, in the order in which they were saved; see CrudRepository."""


class _BusWithMeta(Service, ABC):
    __slots__ = ()

    @abstractmethod
    def with_meta(self, meta: Mapping[str, JsonValue], /) -> Self:
        """Return a bus that merges `meta` into the meta of each of its messages; this bus doesn't change.

        Raises:
            TypeError: `meta` is not a mapping, or contains a value without a JSON form.
        """


class MessageBus(_BusWithMeta):
    """The common base of event buses and command buses."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Release the resources of the bus. A closed bus returns a Failure for each message. May be called twice."""


class AsyncMessageBus(_BusWithMeta):
    """The common base of async event buses and command buses."""

    __slots__ = ()

    @abstractmethod
    async def close(self) -> None:
        """Release the resources of the bus. A closed bus returns a Failure for each message. May be called twice."""


class DomainEventBus(MessageBus):
    """Publishes domain events to their subscribers."""

    __slots__ = ()

    @abstractmethod
    def publish(self, events: DomainEvent | Iterable[DomainEvent], /) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in order.

        A Failure says that not all were handed over; its `additional_info` lists the others.

        Raises:
            TypeError: one of them is not a DomainEvent; then the bus publishes nothing.
        """


class CommandBus(MessageBus):
    """Dispatches a command to its one handler."""

    __slots__ = ()

    @abstractmethod
    def dispatch(self, command: AnyCommand, /) -> Result[None, BusCannotPublish]:
        """Dispatch a command; a Failure if the bus could not hand it over.

        Raises:
            TypeError: `command` is not a Command.
        """


class AsyncDomainEventBus(AsyncMessageBus):
    """The async twin of DomainEventBus."""

    __slots__ = ()

    @abstractmethod
    async def publish(self, events: DomainEvent | Iterable[DomainEvent], /) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in order; see DomainEventBus."""


class AsyncCommandBus(AsyncMessageBus):
    """The async twin of CommandBus."""

    __slots__ = ()

    @abstractmethod
    async def dispatch(self, command: AnyCommand, /) -> Result[None, BusCannotPublish]:
        """Dispatch a command; see CommandBus."""


def events_for(bus: object, events: DomainEvent | Iterable[DomainEvent]) -> tuple[DomainEvent, ...]:
    """Return the events passed to a bus as a tuple; TypeError if one is not an event."""
    if isinstance(events, DomainEvent):
        return (events,)
    several = tuple(events) if isinstance(events, Iterable) else (events,)
    for event in several:
        if not isinstance(event, DomainEvent):
            raise TypeError(
                f"{type(bus).__qualname__}.publish: expected domain events, got {type(event).__qualname__}; "
                "pass instances of DomainEvent"
            )
    return several


def command_for(bus: object, command: object) -> AnyCommand:
    """Return the command passed to a bus; TypeError if it is not a command."""
    if not isinstance(command, Command):
        name, found = type(bus).__qualname__, type(command).__qualname__
        raise TypeError(f"{name}.dispatch: expected a command, got {found}; pass an instance of Command")
    return command


def stored_already(messages: Iterable[Message]) -> Failure[BusCannotPublish] | None:
    """Return a Failure if the open unit of work already stored one of the messages: a relay will deliver it."""
    for message in messages:
        if is_stored(message):
            reason = (
                f"{type(message).__qualname__} is in the outbox already, and would be delivered twice; leave it out: "
                "the repository stores the events of an aggregate; continue with the aggregate that `save` returned"
            )
            return cannot_publish(reason, message_id=message.header.id, kind=MessageRefused)
    return None


def cannot_publish(
    reason: str, *, message_id: Uuid | None = None, kind: type[BusCannotPublish] = BusCannotPublish
) -> Failure[BusCannotPublish]:
    """Return the Failure of a bus or publisher that couldn't hand over a message."""
    about = None if message_id is None else str(message_id)
    return Failure(kind(uuid_value=about, additional_info={"message": reason}))


def _read_only(meta: Mapping[str, object] | None) -> Mapping[str, object]:
    return FrozenMapping(meta or {})


@frozen
class NotifierMessage(Frozen):
    """A message for a person.

    >>> NotifierMessage("Import finished", message="312 tasks").title
    'Import finished'

    Args:
        title: one line.
        message: the details, if needed.
        meta: facts to show alongside. Keep secrets out of it.
        link: a URL with more information.

    Raises:
        TypeError: at the first instance of a subclass: it has fields but no `@attrs.frozen`.
    """

    title: str
    message: str | None = None
    meta: Mapping[str, object] = field(default=None, converter=_read_only, kw_only=True)
    link: str | None = field(default=None, kw_only=True)

    _own_constructor: ClassVar[bool] = True


@frozen
class NotifierExceptionMessage(Frozen):
    """A message about a bug, for a person: the place and the exception, without the arguments of the call.

    Args:
        title: one line.
        executor: the use case or function that failed.
        exception: the exception, with its traceback. Its text may contain secrets: show it only to people who may
            see them.
        filename: the file of the innermost frame.
        lineno: the line in that file, counted from 1.
        meta: facts to show alongside.

    Raises:
        TypeError: as for NotifierMessage.
    """

    title: str
    executor: str | None = None
    exception: BaseException | None = field(default=None, repr=False)
    filename: str | None = None
    lineno: int | None = None
    meta: Mapping[str, object] = field(default=None, converter=_read_only, kw_only=True)

    _own_constructor: ClassVar[bool] = True

    @classmethod
    def from_unknown_error(cls, error: UnknownError, title: str) -> Self:
        """Return the message about an UnknownError.

        >>> error = UnknownError.from_exception(KeyError("id"), executor="TaskCreator")
        >>> NotifierExceptionMessage.from_unknown_error(error, title="Bug").executor
        'TaskCreator'
        """
        return cls(title, error.executor, error.__cause__, error.filename, error.lineno)


class Notifier(Service, ABC):
    """Notifies a person: by chat, mail, or a log."""

    __slots__ = ()

    @abstractmethod
    def publish(self, message: NotifierMessage, /) -> None:
        """Send a message."""

    @abstractmethod
    def publish_exception(self, message: NotifierExceptionMessage, /) -> None:
        """Send a message about an exception."""


class AppService(Service, ABC, Generic[P, T_co, E_co]):
    """A step that several use cases share: `class TaskFinder(AppService[[TaskId], Task, NotFound])`.

    It is like a UseCase without the guard: its exceptions reach the use case that called it.
    """

    __slots__ = ()

    @abstractmethod
    def execute(self, *args: P.args, **kwargs: P.kwargs) -> Result[T_co, E_co]:
        """Do the step, and return its Result."""


class AsyncNotifier(Service, ABC):
    """The async twin of Notifier."""

    __slots__ = ()

    @abstractmethod
    async def publish(self, message: NotifierMessage, /) -> None:
        """Send a message."""

    @abstractmethod
    async def publish_exception(self, message: NotifierExceptionMessage, /) -> None:
        """Send a message about an exception."""


class AsyncAppService(Service, ABC, Generic[P, T_co, E_co]):
    """The async twin of AppService."""

    __slots__ = ()

    @abstractmethod
    def execute(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Result[T_co, E_co]]:  # Any: of its loop
        """Do the step, and return its Result: a coroutine function."""
