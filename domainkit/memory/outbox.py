"""In-memory outbox: the events of stored aggregates, for tests to inspect."""

from collections.abc import Iterable

from domainkit.causation import caused
from domainkit.messages import DomainEvent


class InmemoryOutbox:
    """Events that aggregates had recorded when an in-memory repository stored them, the oldest first.

    In tests it stands in for a unit of work with an outbox; several repositories may share it. An event recorded while
    a message was handled has that message as its cause.

    >>> from domainkit import AggregateRoot, InmemoryCrudRepository
    >>> class TaskCreated(DomainEvent): ...
    >>> outbox = InmemoryOutbox()
    >>> tasks = InmemoryCrudRepository[AggregateRoot](outbox=outbox)
    >>> stored = tasks.save(AggregateRoot().record(TaskCreated())).unwrap()
    >>> [type(event).__name__ for event in outbox.events], stored.domain_events
    (['TaskCreated'], ())
    """

    def __init__(self) -> None:
        self._events: list[DomainEvent] = []

    @property
    def events(self) -> tuple[DomainEvent, ...]:
        """The events, the oldest first."""
        return tuple(self._events)

    def add(self, events: Iterable[DomainEvent]) -> None:
        """Add events; repositories call it when they store an aggregate."""
        self._events += [caused(event) for event in events]
