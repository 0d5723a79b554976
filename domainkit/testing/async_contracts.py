"""The contracts of the async ports: the same tests as those of the sync ones, through a facade that waits."""

import asyncio
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from inspect import iscoroutine
from threading import Thread
from typing import Any, Generic, TypeVar

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
from domainkit.testing.contracts import AggregateRepositoryContract, AggT, CrudRepositoryContract, IdT
from domainkit.testing.messaging_contracts import CommandBusContract, DomainEventBusContract, NotifierContract
from domainkit.testing.samples import SampleTask, SampleTaskId

T = TypeVar("T")
PortT = TypeVar("PortT")
AsyncBusT = TypeVar("AsyncBusT", bound=AsyncMessageBus)
EventBusT = TypeVar("EventBusT", bound=AsyncDomainEventBus)
CommandBusT = TypeVar("CommandBusT", bound=AsyncCommandBus)
NotifierT = TypeVar("NotifierT", bound=AsyncNotifier)


class _Loop:
    """An event loop in a thread of its own, which ends when nobody has this object any more."""

    def __init__(self) -> None:
        self._loop = loop = asyncio.new_event_loop()

        def serve() -> None:
            loop.run_forever()
            loop.close()

        Thread(target=serve, daemon=True).start()
        weakref.finalize(self, loop.call_soon_threadsafe, loop.stop)

    def run(self, awaited: AnyCoroutine[T]) -> T:
        return asyncio.run_coroutine_threadsafe(awaited, self._loop).result()


class _Waiting:
    """A port in place of its async twin `inner`: each call waits, and a bus that `with_meta` gives waits too."""

    def __init__(self, inner: object, loop: _Loop) -> None:
        self.inner, self._loop = inner, loop

    @classmethod
    def made(cls, making: AnyCoroutine[object]) -> Any:  # Any: the contracts say which port it is
        loop = _Loop()
        return cls(loop.run(making), loop)

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*given: object) -> object:
            answer = getattr(self.inner, name)(*given)
            return self._loop.run(answer) if iscoroutine(answer) else type(self)(answer, self._loop)

        return call


class AsyncAggregateRepositoryContract(AggregateRepositoryContract[AggT, IdT], Generic[AggT, IdT]):
    """The promises of an AsyncCrudRepository, for a repository of one class of your aggregates: those of a sync one.

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
        """Return a new, empty repository that shares nothing with the ones made before.

        It is awaited in the event loop in which the repository is used.
        """

    def make_repository(self) -> CrudRepository[AggT, IdT]:
        """Return the async repository behind a facade that waits."""
        made: CrudRepository[AggT, IdT] = _Waiting.made(self.make_async_repository())
        return made


class AsyncCrudRepositoryContract(AsyncAggregateRepositoryContract[SampleTask, SampleTaskId], CrudRepositoryContract):
    """The promises of an AsyncCrudRepository: all those of a CrudRepository.

    >>> from domainkit import AsyncInmemoryCrudRepository
    >>> class TestAsyncInmemoryCrudRepository(AsyncCrudRepositoryContract):
    ...     async def make_async_repository(self) -> AsyncInmemoryCrudRepository[SampleTask, SampleTaskId]:
    ...         return AsyncInmemoryCrudRepository()
    >>> TestAsyncInmemoryCrudRepository().test_update_refuses_a_stale_aggregate()
    """


class _AsyncBusContract(ABC, Generic[PortT, AsyncBusT]):
    """The part that the contracts of both async buses have."""

    @abstractmethod
    async def make_async_bus(self) -> AsyncBusT:
        """Return a new bus that shares nothing with the ones made before; awaited in the loop in which it is used."""

    @abstractmethod
    def received_by(self, bus: AsyncBusT, /) -> Sequence[DomainEvent | AnyCommand]:
        """Return the messages that arrived where `bus` hands them over, the oldest first; also after `close`."""

    def make_bus(self) -> PortT:
        """Return the async bus behind a facade that waits."""
        made: PortT = _Waiting.made(self.make_async_bus())
        return made

    def received(self, bus: PortT) -> Sequence[DomainEvent | AnyCommand]:
        """Return what arrived."""
        return self.received_by(vars(bus)["inner"])


class AsyncDomainEventBusContract(
    _AsyncBusContract[DomainEventBus, EventBusT], DomainEventBusContract[DomainEventBus], Generic[EventBusT]
):
    """The promises of an AsyncDomainEventBus: all those of a DomainEventBus.

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
    """The promises of an AsyncCommandBus: all those of a CommandBus.

    >>> from domainkit import AsyncInmemoryCommandBus, Command
    >>> class TestAsyncInmemoryCommandBus(AsyncCommandBusContract[AsyncInmemoryCommandBus]):
    ...     async def make_async_bus(self) -> AsyncInmemoryCommandBus:
    ...         return AsyncInmemoryCommandBus()
    ...     def received_by(self, bus: AsyncInmemoryCommandBus) -> Sequence[Command[object, object]]:
    ...         return bus.dispatched
    >>> TestAsyncInmemoryCommandBus().test_a_message_arrives()
    """


class AsyncNotifierContract(NotifierContract[Notifier], ABC, Generic[NotifierT]):
    """The promises of an AsyncNotifier: all those of a Notifier.

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
        """Return a new notifier; awaited in the loop in which it is used."""

    @abstractmethod
    def told_by(self, notifier: NotifierT, /) -> str:
        """Return all that a person was told, as text."""

    def make_notifier(self) -> Notifier:
        """Return the async notifier behind a facade that waits."""
        made: Notifier = _Waiting.made(self.make_async_notifier())
        return made

    def told(self, notifier: Notifier) -> str:
        """Return what was told."""
        return self.told_by(vars(notifier)["inner"])
