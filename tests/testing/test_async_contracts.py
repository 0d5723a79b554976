"""The in-memory async ports keep the contracts, and the contracts catch planted bugs."""

import logging
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from returns.result import Result, Success

from domainkit import (
    AggregateAlreadyExistError,
    AsyncInmemoryCommandBus,
    AsyncInmemoryCrudRepository,
    AsyncInmemoryDomainEventBus,
    AsyncInmemoryNotifier,
    AsyncLoggingNotifier,
    BusCannotPublish,
    Command,
    DomainEvent,
)
from domainkit.testing import (
    AsyncCommandBusContract,
    AsyncCrudRepositoryContract,
    AsyncDomainEventBusContract,
    AsyncNotifierContract,
    SampleTask,
    SampleTaskId,
)


class TestAsyncInmemoryCrudRepository(AsyncCrudRepositoryContract):
    async def make_async_repository(self) -> AsyncInmemoryCrudRepository[SampleTask, SampleTaskId]:
        return AsyncInmemoryCrudRepository()


class TestAsyncInmemoryDomainEventBus(AsyncDomainEventBusContract[AsyncInmemoryDomainEventBus]):
    async def make_async_bus(self) -> AsyncInmemoryDomainEventBus:
        return AsyncInmemoryDomainEventBus()

    def received_by(self, bus: AsyncInmemoryDomainEventBus) -> Sequence[DomainEvent]:
        return bus.published


class TestAsyncInmemoryCommandBus(AsyncCommandBusContract[AsyncInmemoryCommandBus]):
    async def make_async_bus(self) -> AsyncInmemoryCommandBus:
        return AsyncInmemoryCommandBus()

    def received_by(self, bus: AsyncInmemoryCommandBus) -> Sequence[Command[Any, Any]]:
        return bus.dispatched


class TestAsyncInmemoryNotifier(AsyncNotifierContract[AsyncInmemoryNotifier]):
    async def make_async_notifier(self) -> AsyncInmemoryNotifier:
        return AsyncInmemoryNotifier()

    def told_by(self, notifier: AsyncInmemoryNotifier) -> str:
        return str(notifier.messages)


class TestAsyncLoggingNotifier(AsyncNotifierContract[AsyncLoggingNotifier]):
    async def make_async_notifier(self) -> AsyncLoggingNotifier:
        self.lines = StringIO()
        logger = logging.Logger("notifier")  # noqa: LOG001  # one that nobody else has
        logger.addHandler(logging.StreamHandler(self.lines))
        return AsyncLoggingNotifier(logger)

    def told_by(self, notifier: AsyncLoggingNotifier) -> str:
        return self.lines.getvalue()


class Overwriting(AsyncInmemoryCrudRepository[SampleTask, SampleTaskId]):
    """Overwrites an existing aggregate on save."""

    async def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        await self.remove(aggregate.aggregate_id)
        return await super().save(aggregate)


class Losing(AsyncInmemoryDomainEventBus):
    """Says that it published, and did not."""

    async def publish(self, events: object) -> Result[None, BusCannotPublish]:
        return Success(None)


def test_an_overwriting_repository_is_caught() -> None:
    """The contract fails for a repository that overwrites an existing aggregate on save."""

    class Contract(AsyncCrudRepositoryContract):
        async def make_async_repository(self) -> Overwriting:
            return Overwriting()

    with pytest.raises(AssertionError):
        Contract().test_save_refuses_an_id_that_is_there()


def test_a_losing_bus_is_caught() -> None:
    """The contract fails for a bus that loses events."""

    class Contract(AsyncDomainEventBusContract[Losing]):
        async def make_async_bus(self) -> Losing:
            return Losing()

        def received_by(self, bus: Losing) -> Sequence[DomainEvent]:
            return bus.published

    with pytest.raises(AssertionError):
        Contract().test_a_message_arrives()
