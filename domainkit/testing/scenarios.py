"""Given, when, then: a scenario for an aggregate, a use case or a mediator, and what must have come of it.

given(task).when(lambda task: task.complete()).then_events(TaskCompleted(task.aggregate_id)).then_state(done=True)
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import attrs
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit.aggregates import AggregateRoot
from domainkit.memory import AsyncInmemoryDomainEventBus, InmemoryDomainEventBus, InmemoryOutbox
from domainkit.messages import DomainEvent, JsonValue, Message

S = TypeVar("S")
R = TypeVar("R")

Bus = InmemoryDomainEventBus | AsyncInmemoryDomainEventBus | InmemoryOutbox


@frozen
class Given(Generic[S]):
    """The start of a scenario. Made by `given`."""

    subject: S
    bus: Bus | None

    def when(self, action: Callable[[S], R]) -> "Then[R]":
        """Return what came of `action`, called with the subject; what it raises is raised here."""
        before = len(_sent(self.bus))
        return self._then(before, action(self.subject))

    async def when_async(self, action: Callable[[S], Awaitable[R]]) -> "Then[R]":
        """Return what came of the coroutine function `action`."""
        before = len(_sent(self.bus))
        return self._then(before, await action(self.subject))

    def _then(self, before: int, outcome: R) -> "Then[R]":
        """Return the outcome with the events published since `before`; without any, those that were recorded."""
        events = _sent(self.bus)[before:]
        value = outcome.unwrap() if isinstance(outcome, Success) else outcome
        if not events and isinstance(value, AggregateRoot):
            had = self.subject.domain_events if isinstance(self.subject, AggregateRoot) else ()
            events = value.domain_events
            if events[: len(had)] == had:
                events = events[len(had) :]
        return Then(outcome, events)


def given(subject: S, *, bus: Bus | None = None) -> Given[S]:
    """Return the start of a scenario.

    >>> from attrs import evolve, frozen
    >>> @frozen
    ... class Done(DomainEvent): ...
    >>> @frozen
    ... class Task(AggregateRoot):
    ...     done: bool = False
    ...
    ...     def finish(self) -> "Task":
    ...         return evolve(self, done=True).record(Done())
    >>> _ = given(Task()).when(Task.finish).then_events(Done()).then_state(done=True)

    Args:
        subject: an aggregate, a use case, a mediator, or whatever the action takes.
        bus: the in-memory bus that the subject publishes to, or the outbox of its repositories; its events are the
            scenario's. Without one, they are those that the aggregate that comes out has recorded more than the
            subject.
    """
    return Given(subject, bus)


@frozen
class Then(Generic[R]):
    """The end of a scenario; each method raises AssertionError if it was another, and returns this again.

    Args:
        outcome: what the action returned.
        events: the events that it recorded or published, the oldest first.
    """

    outcome: R
    events: tuple[DomainEvent, ...]

    def then_events(self, *expected: DomainEvent) -> "Then[R]":
        """Expect just these events, in this order; headers are not compared."""
        wanted, found = [_payload(event) for event in expected], [_payload(event) for event in self.events]
        _expect(wanted, found, "events")
        return self

    def then_no_events(self) -> "Then[R]":
        """Expect that no event was recorded or published."""
        return self.then_events()

    def then_returns(self, value: object) -> "Then[R]":
        """Expect a Success with this value, or this very value from an action that returns no Result."""
        _expect(value, _value(self.outcome), "the value")
        return self

    def then_state(self, **expected: object) -> "Then[R]":
        """Expect fields of the value that came out."""
        value = _value(self.outcome)
        _expect(expected, {name: getattr(value, name, "no such field") for name in expected}, "the state")
        return self

    def then_failure(self, expected: object) -> "Then[R]":
        """Expect a Failure: of this class, or with an error equal to this one."""
        if not isinstance(self.outcome, Failure):
            raise AssertionError(f"expected a Failure with {expected!r}, got {self.outcome!r}")  # noqa: TRY004
        error = self.outcome.failure()
        if not (isinstance(expected, type) and isinstance(error, expected)):
            _expect(expected, error, "the error")
        return self

    def then_meta(self, **expected: JsonValue) -> "Then[R]":
        """Expect these entries in the meta of every event."""
        for event in self.events:
            meta = event.header.meta
            _expect(expected, {name: meta[name] for name in expected if name in meta}, f"meta of {_name(event)}")
        if not self.events:
            raise AssertionError("expected events with meta, got no event")
        return self

    def then_caused_by(self, message: Message) -> "Then[R]":
        """Expect that every event names this message as its cause."""
        return self.then_meta(causation_id=str(message.header.id))


def _sent(bus: Bus | None) -> tuple[DomainEvent, ...]:
    """Return the events that are on a bus, or in an outbox."""
    if isinstance(bus, InmemoryOutbox):
        return bus.events
    return () if bus is None else bus.published


def _value(outcome: object) -> object:
    if isinstance(outcome, Failure):
        raise AssertionError(f"expected a Success, got {outcome!r}")  # noqa: TRY004  # it is what a test expects
    return outcome.unwrap() if isinstance(outcome, Result) else outcome


def _payload(event: DomainEvent) -> tuple[str, dict[str, object]]:
    names = [field.name for field in attrs.fields(type(event)) if field.name != "header"]
    return _name(event), {name: getattr(event, name) for name in names}


def _name(message: Message) -> str:
    return f"{type(message).__module__}.{type(message).__qualname__}"


def _expect(expected: object, found: object, what: str) -> None:
    if expected != found:
        raise AssertionError(f"{what}: expected {expected!r}, got {found!r}")
