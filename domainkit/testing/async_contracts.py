"""The contracts of the async ports: the same tests as those of the sync ones, through a facade that waits."""

import asyncio
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from threading import Thread
from typing import Generic, Never, Self, TypeVar

from returns.result import Result

from domainkit.errors import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    BusCannotPublish,
)
from domainkit.messages import AnyCommand, DomainEvent, JsonValue
from domainkit.ports import (
    AsyncCommandBus,
    AsyncCrudRepository,
    AsyncDomainEventBus,
    AsyncMessageBus,
    AsyncNotifier,
    CommandBus,
    CrudRepository,
    DomainEventBus,
    MessageBus,
    Notifier,
    NotifierExceptionMessage,
    NotifierMessage,
)
from domainkit.results import AnyCoroutine
from domainkit.testing.contracts import CrudRepositoryContract
from domainkit.testing.messaging_contracts import CommandBusContract, DomainEventBusContract, NotifierContract
from domainkit.testing.samples import SampleTask, SampleTaskId

T = TypeVar("T")
BusT = TypeVar("BusT", bound=AsyncMessageBus)
EventBusT = TypeVar("EventBusT", bound=AsyncDomainEventBus)
CommandBusT = TypeVar("CommandBusT", bound=AsyncCommandBus)
NotifierT = TypeVar("NotifierT", bound=AsyncNotifier)

Tasks = AsyncCrudRepository[SampleTask, SampleTaskId]


class _Loop:
    """An event loop in a thread of its own, which ends when nobody has this object any more."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        Thread(target=_serve, args=(self._loop,), daemon=True).start()
        weakref.finalize(self, self._loop.call_soon_threadsafe, self._loop.stop)

    def run(self, awaited: AnyCoroutine[T]) -> T:
        return asyncio.run_coroutine_threadsafe(awaited, self._loop).result()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


class BlockingCrudRepository(CrudRepository[SampleTask, SampleTaskId]):
    """An async repository as a sync one: each call waits."""

    def __init__(self, inner: Tasks, loop: _Loop) -> None:
        self._inner, self._loop = inner, loop

    def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        """Wait for `save`."""
        return self._loop.run(self._inner.save(aggregate))

    def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        """Wait for `retrieve`."""
        return self._loop.run(self._inner.retrieve(aggregate_id))

    def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        """Wait for `update`."""
        return self._loop.run(self._inner.update(aggregate))

    def remove(self, aggregate_id: SampleTaskId) -> Result[None, AggregateNotFoundError]:
        """Wait for `remove`."""
        return self._loop.run(self._inner.remove(aggregate_id))

    def retrieve_all(self) -> Result[tuple[SampleTask, ...], Never]:
        """Wait for `retrieve_all`."""
        return self._loop.run(self._inner.retrieve_all())


class AsyncCrudRepositoryContract(CrudRepositoryContract):
    """The promises of an AsyncCrudRepository: all those of a CrudRepository.

    >>> from domainkit import AsyncInmemoryCrudRepository
    >>> class TestAsyncInmemoryCrudRepository(AsyncCrudRepositoryContract):
    ...     async def make_async_repository(self) -> AsyncInmemoryCrudRepository[SampleTask, SampleTaskId]:
    ...         return AsyncInmemoryCrudRepository()
    >>> TestAsyncInmemoryCrudRepository().test_update_refuses_a_stale_aggregate()
    """

    @abstractmethod
    async def make_async_repository(self) -> Tasks:
        """Return a new, empty repository that shares nothing with the ones made before.

        It is awaited in the event loop in which the repository is used.
        """

    def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
        """Return the async repository behind a facade that waits."""
        loop = _Loop()
        return BlockingCrudRepository(loop.run(self.make_async_repository()), loop)


class _BlockingBus(MessageBus, Generic[BusT]):
    def __init__(self, inner: BusT, loop: _Loop) -> None:
        self.inner, self._loop = inner, loop

    def with_meta(self, meta: Mapping[str, JsonValue]) -> Self:
        """Return the facade of the bus that `with_meta` gives."""
        return type(self)(self.inner.with_meta(meta), self._loop)

    def close(self) -> None:
        """Wait for `close`."""
        self._loop.run(self.inner.close())


class BlockingDomainEventBus(_BlockingBus[EventBusT], DomainEventBus, Generic[EventBusT]):
    """An async bus as a sync one: each call waits."""

    def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Wait for `publish`."""
        return self._loop.run(self.inner.publish(events))


class AsyncDomainEventBusContract(DomainEventBusContract[BlockingDomainEventBus[EventBusT]], Generic[EventBusT]):
    """The promises of an AsyncDomainEventBus: all those of a DomainEventBus.

    >>> from domainkit import AsyncInmemoryDomainEventBus
    >>> class TestAsyncInmemoryDomainEventBus(AsyncDomainEventBusContract[AsyncInmemoryDomainEventBus]):
    ...     async def make_async_bus(self) -> AsyncInmemoryDomainEventBus:
    ...         return AsyncInmemoryDomainEventBus()
    ...     def received_by(self, bus: AsyncInmemoryDomainEventBus) -> Sequence[DomainEvent]:
    ...         return bus.published
    >>> TestAsyncInmemoryDomainEventBus().test_a_message_arrives()
    """

    @abstractmethod
    async def make_async_bus(self) -> EventBusT:
        """Return a new bus that shares nothing with the ones made before; awaited in the loop in which it is used."""

    @abstractmethod
    def received_by(self, bus: EventBusT, /) -> Sequence[DomainEvent]:
        """Return the events that a subscriber to all of them got through this bus, the oldest first."""

    def make_bus(self) -> BlockingDomainEventBus[EventBusT]:
        """Return the async bus behind a facade that waits."""
        loop = _Loop()
        return BlockingDomainEventBus(loop.run(self.make_async_bus()), loop)

    def received(self, bus: BlockingDomainEventBus[EventBusT]) -> Sequence[DomainEvent]:
        """Return what arrived."""
        return self.received_by(bus.inner)


class BlockingCommandBus(_BlockingBus[CommandBusT], CommandBus, Generic[CommandBusT]):
    """An async bus as a sync one: each call waits."""

    def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Wait for `dispatch`."""
        return self._loop.run(self.inner.dispatch(command))


class AsyncCommandBusContract(CommandBusContract[BlockingCommandBus[CommandBusT]], Generic[CommandBusT]):
    """The promises of an AsyncCommandBus: all those of a CommandBus.

    >>> from domainkit import AsyncInmemoryCommandBus, Command
    >>> class TestAsyncInmemoryCommandBus(AsyncCommandBusContract[AsyncInmemoryCommandBus]):
    ...     async def make_async_bus(self) -> AsyncInmemoryCommandBus:
    ...         return AsyncInmemoryCommandBus()
    ...     def received_by(self, bus: AsyncInmemoryCommandBus) -> Sequence[Command[object, object]]:
    ...         return bus.dispatched
    >>> TestAsyncInmemoryCommandBus().test_a_message_arrives()
    """

    @abstractmethod
    async def make_async_bus(self) -> CommandBusT:
        """Return a new bus that shares nothing with the ones made before; awaited in the loop in which it is used."""

    @abstractmethod
    def received_by(self, bus: CommandBusT, /) -> Sequence[AnyCommand]:
        """Return the commands that the handler got through this bus, the oldest first."""

    def make_bus(self) -> BlockingCommandBus[CommandBusT]:
        """Return the async bus behind a facade that waits."""
        loop = _Loop()
        return BlockingCommandBus(loop.run(self.make_async_bus()), loop)

    def received(self, bus: BlockingCommandBus[CommandBusT]) -> Sequence[AnyCommand]:
        """Return what arrived."""
        return self.received_by(bus.inner)


class BlockingNotifier(Notifier, Generic[NotifierT]):
    """An async notifier as a sync one: each call waits."""

    def __init__(self, inner: NotifierT, loop: _Loop) -> None:
        self.inner, self._loop = inner, loop

    def publish(self, message: NotifierMessage) -> None:
        """Wait for `publish`."""
        self._loop.run(self.inner.publish(message))

    def publish_exception(self, message: NotifierExceptionMessage) -> None:
        """Wait for `publish_exception`."""
        self._loop.run(self.inner.publish_exception(message))


class AsyncNotifierContract(NotifierContract[BlockingNotifier[NotifierT]], ABC, Generic[NotifierT]):
    """The promises of an AsyncNotifier: all those of a Notifier.

    >>> from domainkit import AsyncNotifier, InmemoryNotifier
    >>> class Told(AsyncNotifier):
    ...     def __init__(self) -> None:
    ...         self.inner = InmemoryNotifier()
    ...     async def publish(self, message: NotifierMessage) -> None:
    ...         self.inner.publish(message)
    ...     async def publish_exception(self, message: NotifierExceptionMessage) -> None:
    ...         self.inner.publish_exception(message)
    >>> class TestTold(AsyncNotifierContract[Told]):
    ...     async def make_async_notifier(self) -> Told:
    ...         return Told()
    ...     def told_by(self, notifier: Told) -> str:
    ...         return str(notifier.inner.messages)
    """

    @abstractmethod
    async def make_async_notifier(self) -> NotifierT:
        """Return a new notifier; awaited in the loop in which it is used."""

    @abstractmethod
    def told_by(self, notifier: NotifierT, /) -> str:
        """Return all that a person was told, as text."""

    def make_notifier(self) -> BlockingNotifier[NotifierT]:
        """Return the async notifier behind a facade that waits."""
        loop = _Loop()
        return BlockingNotifier(loop.run(self.make_async_notifier()), loop)

    def told(self, notifier: BlockingNotifier[NotifierT]) -> str:
        """Return what was told."""
        return self.told_by(notifier.inner)
