"""Ports: what the domain asks of the outside, to inherit from. See Cockburn, Hexagonal architecture (2005)."""

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, ClassVar, Generic, Never, Self

from attrs import field, frozen
from returns.result import Failure, Result
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
T_co = TypeVar("T_co", default=Any, covariant=True)  # Any: a bare AppService says nothing of what it returns
E_co = TypeVar("E_co", default=DomainError, covariant=True)


class Repository(Service, ABC):  # nothing abstract: it marks what stores, whatever its methods are
    """A place where aggregates are kept; inherit from it for one with methods of your own.

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
        """Store a new aggregate, and return it as it is stored.

        It is stored without its recorded events; the one returned has those that the repository did not take over.
        """

    @abstractmethod
    def retrieve(self, aggregate_id: IdT, /) -> Result[AggT, AggregateNotFoundError]:
        """Return the aggregate with this id, without recorded events."""

    @abstractmethod
    def update(self, aggregate: AggT, /) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Store a changed aggregate over the one with its id, and return it as it is stored, its version raised by one.

        A Failure with AggregateVersionConflictError where the stored version is not the one of `aggregate`: somebody
        else stored it since it was read.
        """

    @abstractmethod
    def remove(self, aggregate_id: IdT, /) -> Result[None, AggregateNotFoundError]:
        """Remove the aggregate with this id."""

    @abstractmethod
    def retrieve_all(self) -> Result[tuple[AggT, ...], Never]:
        """Return all aggregates, in the order in which they were saved; an empty tuple if there are none.

        An update keeps the place of an aggregate; one that was removed and is saved again comes last.
        """


class AsyncCrudRepository(Repository, Generic[AggT, IdT]):
    """The async twin of CrudRepository: the same methods with the same promises, to await."""

    __slots__ = ()

    @abstractmethod
    async def save(self, aggregate: AggT, /) -> Result[AggT, AggregateAlreadyExistError]:
        """Store a new aggregate, and return it as it is stored; see CrudRepository."""

    @abstractmethod
    async def retrieve(self, aggregate_id: IdT, /) -> Result[AggT, AggregateNotFoundError]:
        """Return the aggregate with this id, without recorded events."""

    @abstractmethod
    async def update(self, aggregate: AggT, /) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Store a changed aggregate, and return it as it is stored, its version raised by one; see CrudRepository."""

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
        """Return a bus that merges `meta` into the meta of every message that it hands over; this one stays as it is.

        Raises:
            TypeError: `meta` is no mapping, or holds something that JSON can't carry.
        """


class MessageBus(_BusWithMeta):
    """The part that both buses have."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Let go of what the bus holds. A message handed to a closed bus is a Failure. Closing again does nothing."""


class AsyncMessageBus(_BusWithMeta):
    """The part that both async buses have."""

    __slots__ = ()

    @abstractmethod
    async def close(self) -> None:
        """Let go of what the bus holds. A message handed to a closed bus is a Failure. Closing again does nothing."""


class DomainEventBus(MessageBus):
    """Hands domain events over to those who subscribed to them."""

    __slots__ = ()

    @abstractmethod
    def publish(self, events: DomainEvent | Iterable[DomainEvent], /) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order.

        A Failure where the bus could not hand over all of them; its `additional_info` says which.

        Raises:
            TypeError: one of them is no DomainEvent; nothing was published then.
        """


class CommandBus(MessageBus):
    """Hands a command over to its one handler."""

    __slots__ = ()

    @abstractmethod
    def dispatch(self, command: AnyCommand, /) -> Result[None, BusCannotPublish]:
        """Dispatch a command.

        A Failure where the bus could not hand it over.

        Raises:
            TypeError: `command` is no Command.
        """


class AsyncDomainEventBus(AsyncMessageBus):
    """The async twin of DomainEventBus."""

    __slots__ = ()

    @abstractmethod
    async def publish(self, events: DomainEvent | Iterable[DomainEvent], /) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order; see DomainEventBus."""


class AsyncCommandBus(AsyncMessageBus):
    """The async twin of CommandBus."""

    __slots__ = ()

    @abstractmethod
    async def dispatch(self, command: AnyCommand, /) -> Result[None, BusCannotPublish]:
        """Dispatch a command; see CommandBus."""


def events_for(bus: object, events: DomainEvent | Iterable[DomainEvent]) -> tuple[DomainEvent, ...]:
    """Return the events that a bus was given; TypeError if something else is among them."""
    if isinstance(events, DomainEvent):
        return (events,)
    several = tuple(events) if isinstance(events, Iterable) else (events,)
    for event in several:
        if not isinstance(event, DomainEvent):
            raise TypeError(
                f"{type(bus).__qualname__}.publish: expected domain events, not a {type(event).__qualname__}"
            )
    return several


def command_for(bus: object, command: object) -> AnyCommand:
    """Return the command that a bus was given; TypeError if it is something else."""
    if not isinstance(command, Command):
        raise TypeError(f"{type(bus).__qualname__}.dispatch: expected a command, not a {type(command).__qualname__}")
    return command


def stored_already(messages: Iterable[Message]) -> Failure[BusCannotPublish] | None:
    """Return the Failure of a bus that is handed what the open unit of work has stored: a relay will deliver it."""
    for message in messages:
        if is_stored(message):
            reason = (
                f"{type(message).__qualname__} is in the outbox already, and would be delivered twice; leave it out: a "
                "repository stores the events of an aggregate, so go on with the aggregate that `save` returned"
            )
            return cannot_publish(reason, message_id=message.header.id, kind=MessageRefused)
    return None


def cannot_publish(
    reason: str, *, message_id: Uuid | None = None, kind: type[BusCannotPublish] = BusCannotPublish
) -> Failure[BusCannotPublish]:
    """Return the Failure of a bus or publisher that did not hand over a message."""
    about = None if message_id is None else str(message_id)
    return Failure(kind(uuid_value=about, additional_info={"message": reason}))


def _read_only(meta: Mapping[str, object] | None) -> Mapping[str, object]:
    return FrozenMapping(meta or {})


@frozen
class NotifierMessage(Frozen):
    """Something to tell a person.

    >>> NotifierMessage("Import finished", message="312 tasks").title
    'Import finished'

    Args:
        title: one line.
        message: more, where there is more to say.
        meta: facts to show beside it. Keep secrets out of it.
        link: a URL where to look.

    Raises:
        TypeError: at the first instance of a subclass: it has fields, and `@attrs.frozen` is missing.
    """

    title: str
    message: str | None = None
    meta: Mapping[str, object] = field(default=None, converter=_read_only, kw_only=True)
    link: str | None = field(default=None, kw_only=True)

    _own_constructor: ClassVar[bool] = True


@frozen
class NotifierExceptionMessage(Frozen):
    """A bug to tell a person about: where it happened, and the exception, without the parameters of the call.

    Args:
        title: one line.
        executor: the use case or function that failed.
        exception: the exception itself, with its traceback. Its text may hold secrets: it is for those who may see
            them.
        filename: the file of the innermost frame.
        lineno: the line in that file, counted from 1.
        meta: facts to show beside it.

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
    """Tells a person: by chat, mail, or a log."""

    __slots__ = ()

    @abstractmethod
    def publish(self, message: NotifierMessage, /) -> None:
        """Send a message."""

    @abstractmethod
    def publish_exception(self, message: NotifierExceptionMessage, /) -> None:
        """Send a message about an exception."""


class AppService(Service, ABC, Generic[P, T_co, E_co]):
    """A step that several use cases share: `class TaskFinder(AppService[[TaskId], Task, NotFound])`.

    Like a UseCase, without the guard: what it raises reaches the use case that called it.
    """

    __slots__ = ()

    @abstractmethod
    def execute(self, *args: P.args, **kwargs: P.kwargs) -> Result[T_co, E_co]:
        """Do the step, and return what came of it."""


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
        """Do the step, and return what came of it: a coroutine function."""
