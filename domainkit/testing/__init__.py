"""For the tests of those who use this library: pytest runs it, and isn't needed to import it."""

from domainkit.testing.contracts import AggregateRepositoryContract, CrudRepositoryContract
from domainkit.testing.messaging_contracts import CommandBusContract, DomainEventBusContract, NotifierContract
from domainkit.testing.samples import SampleCreateTask, SampleTask, SampleTaskCreated, SampleTaskId, SampleTitle

__all__ = [
    "AggregateRepositoryContract",
    "CommandBusContract",
    "CrudRepositoryContract",
    "DomainEventBusContract",
    "NotifierContract",
    "SampleCreateTask",
    "SampleTask",
    "SampleTaskCreated",
    "SampleTaskId",
    "SampleTitle",
]
