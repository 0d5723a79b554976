"""The ports: what they ask of an adapter, and the messages of a Notifier."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Never, Self

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from returns.result import Result, Success

from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateRoot,
    AggregateVersionConflictError,
    AppService,
    AsyncCrudRepository,
    AsyncLoggingNotifier,
    AsyncNotifier,
    BusCannotPublish,
    Command,
    CommandBus,
    CrudRepository,
    DomainError,
    DomainEvent,
    DomainEventBus,
    InmemoryCommandBus,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    InmemoryNotifier,
    JsonValue,
    LoggingNotifier,
    Notifier,
    NotifierExceptionMessage,
    NotifierMessage,
    Repository,
    UnknownError,
)
from domainkit.testing import AsyncCrudRepositoryContract, CrudRepositoryContract, SampleTask, SampleTaskId

PORTS: dict[type, set[str]] = {
    CrudRepository: {"save", "retrieve", "update", "remove", "retrieve_all"},
    DomainEventBus: {"publish", "with_meta", "close"},
    CommandBus: {"dispatch", "with_meta", "close"},
    Notifier: {"publish", "publish_exception"},
    AppService: {"execute"},
}


@pytest.mark.parametrize(("port", "methods"), PORTS.items(), ids=lambda one: getattr(one, "__name__", None))
def test_a_port_asks_for_its_methods(port: type, methods: set[str]) -> None:
    """An adapter that leaves out one of the port's methods can't be made; a docstring says what each method does."""
    assert methods == port.__abstractmethods__  # type: ignore[attr-defined]  # abstract classes have it
    assert all(getattr(port, name).__doc__ for name in methods)
    for missing in methods:
        present = {name: lambda _: None for name in methods - {missing}}
        with pytest.raises(TypeError, match=f"abstract method '?{missing}"):
            type("Incomplete", (port,), present)()


class OneByOne(CrudRepository[SampleTask, SampleTaskId]):
    """A repository that has only what the port asks for."""

    def __init__(self) -> None:
        self._inner = InmemoryCrudRepository[SampleTask, SampleTaskId]()

    def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        """Save."""
        return self._inner.save(aggregate)

    def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        """Retrieve."""
        return self._inner.retrieve(aggregate_id)

    def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        """Update."""
        return self._inner.update(aggregate)

    def remove(self, aggregate_id: SampleTaskId) -> Result[None, AggregateNotFoundError]:
        """Remove."""
        return self._inner.remove(aggregate_id)

    def retrieve_all(self) -> Result[tuple[SampleTask, ...], Never]:
        """Retrieve all."""
        return self._inner.retrieve_all()


class AsyncOneByOne(AsyncCrudRepository[SampleTask, SampleTaskId]):
    """The same, async."""

    def __init__(self) -> None:
        self._inner = OneByOne()

    async def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        """Save."""
        return self._inner.save(aggregate)

    async def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        """Retrieve."""
        return self._inner.retrieve(aggregate_id)

    async def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        """Update."""
        return self._inner.update(aggregate)

    async def remove(self, aggregate_id: SampleTaskId) -> Result[None, AggregateNotFoundError]:
        """Remove."""
        return self._inner.remove(aggregate_id)

    async def retrieve_all(self) -> Result[tuple[SampleTask, ...], Never]:
        """Retrieve all."""
        return self._inner.retrieve_all()


class TestOneByOne(CrudRepositoryContract):
    """A repository without a `save_all` of its own keeps the contract by that of the port."""

    def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
        """Return a new one."""
        return OneByOne()


class TestAsyncOneByOne(AsyncCrudRepositoryContract):
    """The same, async."""

    async def make_async_repository(self) -> AsyncCrudRepository[SampleTask, SampleTaskId]:
        """Return a new one."""
        return AsyncOneByOne()


@pytest.mark.parametrize("port", [*PORTS, Repository])
def test_ports_add_no_state(port: type) -> None:
    """A port has no attributes of its own: an adapter may have slots."""
    methods: set[str] = getattr(port, "__abstractmethods__", set())
    adapter: Callable[[], object] = type("Slotted", (port,), {"__slots__": (), **dict.fromkeys(methods)})
    assert not hasattr(adapter(), "__dict__")


def test_a_repository_asks_for_nothing() -> None:
    """Repository is a mark: one with methods of its own inherits from it, and every CrudRepository is one."""

    class TaskArchive(Repository):
        def latest(self) -> str:
            return "Buy milk"

    assert "Buy milk" == TaskArchive().latest()
    assert issubclass(CrudRepository, Repository)


def test_the_ports_in_memory_are_adapters() -> None:
    """Each in-memory class inherits from its port: a caller that asks for the port takes it."""
    assert isinstance(InmemoryCrudRepository[AggregateRoot](), CrudRepository)
    assert isinstance(InmemoryDomainEventBus(), DomainEventBus)
    assert isinstance(InmemoryCommandBus(), CommandBus)
    assert isinstance(InmemoryNotifier(), Notifier)
    assert isinstance(LoggingNotifier(), Notifier)
    assert isinstance(AsyncLoggingNotifier(), AsyncNotifier)


def test_a_port_is_written_by_hand() -> None:
    """An adapter is a class that inherits from the port and writes its methods: no registration, no metaclass."""

    class PrintingBus(DomainEventBus):
        def __init__(self, lines: list[str]) -> None:
            self.lines = lines

        def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
            for event in (events,) if isinstance(events, DomainEvent) else events:
                self.lines.append(event.info().name)
            return Success(None)

        def with_meta(self, meta: Mapping[str, JsonValue]) -> Self:
            return self

        def close(self) -> None:
            self.lines.append("closed")

    class PrintingCommandBus(CommandBus):
        def dispatch(self, command: Command[Any, Any]) -> Result[None, BusCannotPublish]:
            return Success(None)

        def with_meta(self, meta: Mapping[str, JsonValue]) -> Self:
            return self

        def close(self) -> None:
            return

    bus = PrintingBus([])
    assert Success(None) == bus.publish([DomainEvent(), DomainEvent()])
    bus.close()
    assert ["domain.event", "domain.event", "closed"] == bus.lines
    assert Success(None) == PrintingCommandBus().dispatch(Command())


def test_an_app_service_raises() -> None:
    """An AppService has no guard: what `execute` raises is raised."""

    class Count(AppService[[str], int, DomainError]):
        def execute(self, text: str) -> Result[int, DomainError]:
            return Success(int(text))

    assert Success(3) == Count().execute("3")
    with pytest.raises(ValueError, match="invalid literal"):
        Count().execute("x")


MESSAGES = [
    NotifierMessage("Done", meta={"tenant": "home"}),
    NotifierExceptionMessage("Bug", meta={"tenant": "home"}),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_notifier_messages_are_values(message: NotifierMessage | NotifierExceptionMessage) -> None:
    """The messages of a notifier are frozen, equal by content, and hashable where their meta is."""
    assert message == evolve(message)
    assert message != evolve(message, title="Other")
    assert {message} == {message, evolve(message)}
    with pytest.raises(FrozenInstanceError):
        message.title = "Other"  # type: ignore[misc]  # wrong on purpose


@pytest.mark.parametrize("kind", [NotifierMessage, NotifierExceptionMessage])
def test_the_meta_of_a_message_is_a_read_only_copy(kind: Callable[..., NotifierMessage]) -> None:
    """The meta is a copy that nobody can change; without any it is empty."""
    given = {"tenant": "home"}
    message = kind("Done", meta=given)
    given["tenant"] = "work"
    assert {"tenant": "home"} == message.meta
    with pytest.raises(TypeError, match="read-only"):
        message.meta["tenant"] = "work"  # type: ignore[index]  # wrong on purpose
    assert {} == kind("Done").meta == kind("Done", meta=None).meta


def test_a_message_about_an_unknown_error() -> None:
    """`from_unknown_error` takes who failed, the place and the exception from an UnknownError."""
    nothing: dict[str, int] = {}
    try:
        nothing["missing"]
    except KeyError as bug:
        error, cause = UnknownError.from_exception(bug, executor="TaskCreator"), bug
    message = NotifierExceptionMessage.from_unknown_error(error, "Bug")
    assert ("Bug", "TaskCreator", __file__, error.lineno) == (
        message.title,
        message.executor,
        message.filename,
        message.lineno,
    )
    assert message.exception is cause
    assert {} == message.meta


def test_a_message_about_an_error_without_place() -> None:
    """An UnknownError that was never raised, or came from elsewhere, has no place and no exception to tell."""
    assert NotifierExceptionMessage("Bug") == NotifierExceptionMessage.from_unknown_error(UnknownError(), "Bug")


def test_the_repr_of_a_message_has_no_text_of_the_exception() -> None:
    """The repr of a message leaves the exception out: its text may hold secrets."""
    assert "canary" not in repr(NotifierExceptionMessage("Bug", "TaskCreator", KeyError("canary")))
