"""Every port in memory: the embedded default, and the reference that other adapters are measured by."""

from domainkit.memory.buses import (
    AsyncInmemoryCommandBus,
    AsyncInmemoryDomainEventBus,
    InmemoryCommandBus,
    InmemoryDomainEventBus,
)
from domainkit.memory.notifiers import AsyncInmemoryNotifier, AsyncLoggingNotifier, InmemoryNotifier, LoggingNotifier
from domainkit.memory.outbox import InmemoryOutbox
from domainkit.memory.publishers import AsyncInmemoryMessagePublisher
from domainkit.memory.repositories import AsyncInmemoryCrudRepository, InmemoryCrudRepository

__all__ = [
    "AsyncInmemoryCommandBus",
    "AsyncInmemoryCrudRepository",
    "AsyncInmemoryDomainEventBus",
    "AsyncInmemoryMessagePublisher",
    "AsyncInmemoryNotifier",
    "AsyncLoggingNotifier",
    "InmemoryCommandBus",
    "InmemoryCrudRepository",
    "InmemoryDomainEventBus",
    "InmemoryNotifier",
    "InmemoryOutbox",
    "LoggingNotifier",
]
