"""Testing tools for users of this library: pytest runs the contracts, but isn't needed to import them."""

from domainkit.testing.async_contracts import (
    AsyncAggregateRepositoryContract,
    AsyncCommandBusContract,
    AsyncCrudRepositoryContract,
    AsyncDomainEventBusContract,
    AsyncEventStoreContract,
    AsyncNotifierContract,
    AsyncSnapshotStoreContract,
    AsyncTaggedEventStoreContract,
)
from domainkit.testing.contracts import AggregateRepositoryContract, CrudRepositoryContract
from domainkit.testing.decider_laws import check_decider
from domainkit.testing.event_store_contract import EventStoreContract
from domainkit.testing.fixed import Clock, fixed
from domainkit.testing.messaging_contracts import CommandBusContract, DomainEventBusContract, NotifierContract
from domainkit.testing.publisher_contract import AsyncMessagePublisherContract
from domainkit.testing.samples import (
    SampleCourseId,
    SampleCreateTask,
    SampleStudentId,
    SampleSubscribed,
    SampleTask,
    SampleTaskCreated,
    SampleTaskId,
    SampleTitle,
    SampleUnsubscribed,
)
from domainkit.testing.scenarios import Given, GivenHistory, Then, given
from domainkit.testing.snapshot_store_contract import SnapshotStoreContract
from domainkit.testing.tagged_event_store_contract import TaggedEventStoreContract

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
    "AsyncTaggedEventStoreContract",
    "Clock",
    "CommandBusContract",
    "CrudRepositoryContract",
    "DomainEventBusContract",
    "EventStoreContract",
    "Given",
    "GivenHistory",
    "NotifierContract",
    "SampleCourseId",
    "SampleCreateTask",
    "SampleStudentId",
    "SampleSubscribed",
    "SampleTask",
    "SampleTaskCreated",
    "SampleTaskId",
    "SampleTitle",
    "SampleUnsubscribed",
    "SnapshotStoreContract",
    "TaggedEventStoreContract",
    "Then",
    "check_decider",
    "fixed",
    "given",
]
