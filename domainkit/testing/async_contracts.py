"""Contracts of the async ports: the tests of the sync ones, through a sync facade."""

import asyncio
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from inspect import iscoroutine
from threading import Thread
from typing import Any, Generic, TypeVar

from domainkit.codec import MessageCodec
from domainkit.event_store import AsyncEventStore, EventStore
from domainkit.messages import AnyCommand, DomainEvent
from domainkit.ports import (
    AsyncCommandBus,
    AsyncCrudRepository,
    AsyncDomainEventBus,
    AsyncMessageBus,
    AsyncNotifier,
    CommandBus,
    CrudRepository,
    DomainEventBus,
    Notifier,
)
from domainkit.results import AnyCoroutine
from domainkit.snapshot_store import AsyncSnapshotStore, SnapshotStore
from domainkit.testing.contracts import AggregateRepositoryContract, AggT, CrudRepositoryContract, IdT
from domainkit.testing.event_store_contract import EventStoreContract
from domainkit.testing.messaging_contracts import CommandBusContract, DomainEventBusContract, NotifierContract
from domainkit.testing.samples import SampleTask, SampleTaskCreated, SampleTaskId
from domainkit.testing.snapshot_store_contract import SnapshotStoreContract
from domainkit.testing.tagged_event_store_contract import SampleEvent, TaggedEventStoreContract

T = TypeVar("T")
PortT = TypeVar("PortT")
AsyncBusT = TypeVar("AsyncBusT", bound=AsyncMessageBus)
EventBusT = TypeVar("EventBusT", bound=AsyncDomainEventBus)
CommandBusT = TypeVar("CommandBusT", bound=AsyncCommandBus)
NotifierT = TypeVar("NotifierT", bound=AsyncNotifier)


class _Loop:
    """Event loop in its own thread, which ends when this object is garbage-collected."""

    def __init__(self) -> None:
        self._loop = loop = asyncio.new_event_loop()

        def serve() -> None:
            loop.run_forever()
            loop.close()

        Thread(target=serve, daemon=True).start()
        weakref.finalize(self, loop.call_soon_threadsafe, loop.stop)

    def run(self, awaited: AnyCoroutine[T]) -> T:
        return asyncio.run_coroutine_threadsafe(awaited, self._loop).result()


class _SyncFacade:
    """Sync version of the async port `inner`: each call waits; so do those of a bus made by `with_meta`."""

    def __init__(self, inner: object, loop: _Loop) -> None:
        self.inner, self._loop = inner, loop

    @classmethod
    def made(cls, making: AnyCoroutine[object]) -> Any:  # Any: the contract decides which port it is
        loop = _Loop()
        return cls(loop.run(making), loop)

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*given: object, **options: object) -> object:
            answer = getattr(self.inner, name)(*given, **options)
            return self._loop.run(answer) if iscoroutine(answer) else type(self)(answer, self._loop)

        return call


class AsyncAggregateRepositoryContract(AggregateRepositoryContract[AggT, IdT], Generic[AggT, IdT]):
    """Contract of an AsyncCrudRepository of one of your aggregate classes, with the same tests as the sync one.

    >>> from domainkit import AsyncInmemoryCrudRepository
    >>> class TestTasks(AsyncAggregateRepositoryContract[SampleTask, SampleTaskId]):
    ...     async def make_async_repository(self) -> AsyncInmemoryCrudRepository[SampleTask, SampleTaskId]:
    ...         return AsyncInmemoryCrudRepository()
    ...     def make_aggregate(self) -> SampleTask:
    ...         return SampleTask.create("Buy milk")
    ...     def change(self, aggregate: SampleTask) -> SampleTask:
    ...         return attrs.evolve(aggregate, done=not aggregate.done)
    >>> TestTasks().test_save_stores_the_aggregate()
    """

    @abstractmethod
    async def make_async_repository(self) -> AsyncCrudRepository[AggT, IdT]:
        """Return a new, empty repository, independent of earlier ones.

        It is awaited in the event loop in which the repository is used.
        """

    def make_repository(self) -> CrudRepository[AggT, IdT]:
        """Return the async repository behind a sync facade."""
        made: CrudRepository[AggT, IdT] = _SyncFacade.made(self.make_async_repository())
        return made


class AsyncCrudRepositoryContract(AsyncAggregateRepositoryContract[SampleTask, SampleTaskId], CrudRepositoryContract):
    """Contract of an AsyncCrudRepository, with all tests of CrudRepositoryContract.

    >>> from domainkit import AsyncInmemoryCrudRepository
    >>> class TestAsyncInmemoryCrudRepository(AsyncCrudRepositoryContract):
    ...     async def make_async_repository(self) -> AsyncInmemoryCrudRepository[SampleTask, SampleTaskId]:
    ...         return AsyncInmemoryCrudRepository()
    >>> TestAsyncInmemoryCrudRepository().test_update_refuses_a_stale_aggregate()
    """


class _AsyncBusContract(ABC, Generic[PortT, AsyncBusT]):
    """Base of the contracts of both async buses."""

    @abstractmethod
    async def make_async_bus(self) -> AsyncBusT:
        """Return a new bus, independent of earlier ones; awaited in the event loop in which it is used."""

    @abstractmethod
    def received_by(self, bus: AsyncBusT, /) -> Sequence[DomainEvent | AnyCommand]:
        """Return the messages that the receiver of `bus` got, the oldest first; also after `close`."""

    def make_bus(self) -> PortT:
        """Return the async bus behind a sync facade."""
        made: PortT = _SyncFacade.made(self.make_async_bus())
        return made

    def received(self, bus: PortT) -> Sequence[DomainEvent | AnyCommand]:
        """Return the received messages."""
        return self.received_by(vars(bus)["inner"])


class AsyncDomainEventBusContract(
    _AsyncBusContract[DomainEventBus, EventBusT], DomainEventBusContract[DomainEventBus], Generic[EventBusT]
):
    """Contract of an AsyncDomainEventBus, with all tests of DomainEventBusContract.

    >>> from domainkit import AsyncInmemoryDomainEventBus
    >>> class TestAsyncInmemoryDomainEventBus(AsyncDomainEventBusContract[AsyncInmemoryDomainEventBus]):
    ...     async def make_async_bus(self) -> AsyncInmemoryDomainEventBus:
    ...         return AsyncInmemoryDomainEventBus()
    ...     def received_by(self, bus: AsyncInmemoryDomainEventBus) -> Sequence[DomainEvent]:
    ...         return bus.published
    >>> TestAsyncInmemoryDomainEventBus().test_a_message_arrives()
    """


class AsyncCommandBusContract(
    _AsyncBusContract[CommandBus, CommandBusT], CommandBusContract[CommandBus], Generic[CommandBusT]
):
    """Contract of an AsyncCommandBus, with all tests of CommandBusContract.

    >>> from domainkit import AsyncInmemoryCommandBus, Command
    >>> class TestAsyncInmemoryCommandBus(AsyncCommandBusContract[AsyncInmemoryCommandBus]):
    ...     async def make_async_bus(self) -> AsyncInmemoryCommandBus:
    ...         return AsyncInmemoryCommandBus()
    ...     def received_by(self, bus: AsyncInmemoryCommandBus) -> Sequence[Command[object, object]]:
    ...         return bus.dispatched
    >>> TestAsyncInmemoryCommandBus().test_a_message_arrives()
    """


class AsyncNotifierContract(NotifierContract[Notifier], ABC, Generic[NotifierT]):
    """Contract of an AsyncNotifier, with all tests of NotifierContract.

    >>> from domainkit import InmemoryNotifier, NotifierExceptionMessage, NotifierMessage
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
        """Return a new notifier; awaited in the event loop in which it is used."""

    @abstractmethod
    def told_by(self, notifier: NotifierT, /) -> str:
        """Return the text of all notifications, the oldest first."""

    def make_notifier(self) -> Notifier:
        """Return the async notifier behind a sync facade."""
        made: Notifier = _SyncFacade.made(self.make_async_notifier())
        return made

    def told(self, notifier: Notifier) -> str:
        """Return the text of all notifications."""
        return self.told_by(vars(notifier)["inner"])


class AsyncEventStoreContract(EventStoreContract):
    """Contract of an AsyncEventStore, with all tests of EventStoreContract.

    >>> from domainkit import AsyncInmemoryEventStore
    >>> class TestAsyncInmemory(AsyncEventStoreContract):
    ...     async def make_async_store(
    ...         self, codec: MessageCodec[SampleTaskCreated]
    ...     ) -> AsyncEventStore[SampleTaskCreated]:
    ...         return AsyncInmemoryEventStore(codec)
    >>> TestAsyncInmemory().test_events_come_back_as_they_were_appended()
    """

    @abstractmethod
    async def make_async_store(self, codec: MessageCodec[SampleTaskCreated], /) -> AsyncEventStore[SampleTaskCreated]:
        """Return a new, empty store; awaited in the event loop in which it is used."""

    def make_store(self, codec: MessageCodec[SampleTaskCreated], /) -> EventStore[SampleTaskCreated]:
        """Return the async store behind a sync facade."""
        made: EventStore[SampleTaskCreated] = _SyncFacade.made(self.make_async_store(codec))
        return made


class AsyncSnapshotStoreContract(SnapshotStoreContract):
    """The promises of an AsyncSnapshotStore: all those of a SnapshotStore.

    >>> from domainkit import AsyncInmemorySnapshotStore
    >>> class TestAsyncInmemory(AsyncSnapshotStoreContract):
    ...     async def make_async_store(self) -> AsyncSnapshotStore:
    ...         return AsyncInmemorySnapshotStore()
    >>> TestAsyncInmemory().test_a_snapshot_comes_back_as_it_was_saved()
    """

    @abstractmethod
    async def make_async_store(self) -> AsyncSnapshotStore:
        """Return a new, empty store; awaited in the event loop in which it is used."""

    def make_store(self) -> SnapshotStore:
        """Return the async store behind a facade that waits."""
        made: SnapshotStore = _SyncFacade.made(self.make_async_store())
        return made


class AsyncTaggedEventStoreContract(TaggedEventStoreContract):
    """The promises of an AsyncEventStore with tags: all those of TaggedEventStoreContract.

    >>> from domainkit import AsyncInmemoryEventStore
    >>> class TestAsyncInmemory(AsyncTaggedEventStoreContract):
    ...     async def make_async_store(self, codec: MessageCodec[SampleEvent]) -> AsyncEventStore[SampleEvent]:
    ...         return AsyncInmemoryEventStore(codec)
    >>> TestAsyncInmemory().test_a_decision_is_stored_if_nothing_happened_meanwhile()
    """

    @abstractmethod
    async def make_async_store(self, codec: MessageCodec[SampleEvent], /) -> AsyncEventStore[SampleEvent]:
        """Return a new, empty store; awaited in the event loop in which it is used."""

    def make_store(self, codec: MessageCodec[SampleEvent], /) -> EventStore[SampleEvent]:
        """Return the async store behind a facade that waits."""
        made: EventStore[SampleEvent] = _SyncFacade.made(self.make_async_store(codec))
        return made
