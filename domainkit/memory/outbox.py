"""The events of stored aggregates, in memory: what tests look at."""

from collections.abc import Iterable

from domainkit.causation import caused
from domainkit.messages import DomainEvent


class InmemoryOutbox:
    """Keeps the events that aggregates had recorded when a repository in memory stored them, the oldest first.

    What a unit of work with an outbox is over a database, for tests: several repositories may share one. An event says
    what caused it where it was recorded while a message was handled.

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
        """Keep events; repositories do it when they store an aggregate."""
        self._events += [caused(event) for event in events]
