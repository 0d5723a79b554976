"""Testing tools for users of this library: pytest runs the contracts, but isn't needed to import them."""

from domainkit.testing.async_contracts import (
    AsyncAggregateRepositoryContract,
    AsyncCommandBusContract,
    AsyncCrudRepositoryContract,
    AsyncDomainEventBusContract,
    AsyncEventStoreContract,
    AsyncNotifierContract,
    AsyncSnapshotStoreContract,
)
from domainkit.testing.contracts import AggregateRepositoryContract, CrudRepositoryContract
from domainkit.testing.decider_laws import check_decider
from domainkit.testing.event_store_contract import EventStoreContract
from domainkit.testing.fixed import Clock, fixed
from domainkit.testing.messaging_contracts import CommandBusContract, DomainEventBusContract, NotifierContract
from domainkit.testing.publisher_contract import AsyncMessagePublisherContract
from domainkit.testing.samples import SampleCreateTask, SampleTask, SampleTaskCreated, SampleTaskId, SampleTitle
from domainkit.testing.scenarios import Given, GivenHistory, Then, given
from domainkit.testing.snapshot_store_contract import SnapshotStoreContract

__all__ = [
    "AggregateRepositoryContract",
    "AsyncAggregateRepositoryContract",
    "AsyncCommandBusContract",
    "AsyncCrudRepositoryContract",
    "AsyncDomainEventBusContract",
    "AsyncEventStoreContract",
    "AsyncMessagePublisherContract",
    "AsyncNotifierContract",
    "AsyncSnapshotStoreContract",
    "Clock",
    "CommandBusContract",
    "CrudRepositoryContract",
    "DomainEventBusContract",
    "EventStoreContract",
    "Given",
    "GivenHistory",
    "NotifierContract",
    "SampleCreateTask",
    "SampleTask",
    "SampleTaskCreated",
    "SampleTaskId",
    "SampleTitle",
    "SnapshotStoreContract",
    "Then",
    "check_decider",
    "fixed",
    "given",
]
