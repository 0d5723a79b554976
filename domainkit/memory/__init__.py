"""In-memory implementations of all ports: the built-in default, and the reference for other adapters."""

from domainkit.memory.buses import (
    AsyncInmemoryCommandBus,
    AsyncInmemoryDomainEventBus,
    InmemoryCommandBus,
    InmemoryDomainEventBus,
)
from domainkit.memory.event_store import AsyncInmemoryEventStore, InmemoryEventStore
from domainkit.memory.notifiers import AsyncInmemoryNotifier, AsyncLoggingNotifier, InmemoryNotifier, LoggingNotifier
from domainkit.memory.outbox import InmemoryOutbox
from domainkit.memory.publishers import AsyncInmemoryMessagePublisher
from domainkit.memory.repositories import AsyncInmemoryCrudRepository, InmemoryCrudRepository
from domainkit.memory.snapshots import AsyncInmemorySnapshotStore, InmemorySnapshotStore

__all__ = [
    "AsyncInmemoryCommandBus",
    "AsyncInmemoryCrudRepository",
    "AsyncInmemoryDomainEventBus",
    "AsyncInmemoryEventStore",
    "AsyncInmemoryMessagePublisher",
    "AsyncInmemoryNotifier",
    "AsyncInmemorySnapshotStore",
    "AsyncLoggingNotifier",
    "InmemoryCommandBus",
    "InmemoryCrudRepository",
    "InmemoryDomainEventBus",
    "InmemoryEventStore",
    "InmemoryNotifier",
    "InmemoryOutbox",
    "InmemorySnapshotStore",
    "LoggingNotifier",
]
