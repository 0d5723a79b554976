"""Given, when, then: scenarios for an aggregate, a use case or a mediator, with the expected outcome.

given(task).when(lambda task: task.complete()).then_events(TaskCompleted(task.aggregate_id)).then_state(done=True)
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, overload

from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit.aggregates import AggregateRoot
from domainkit.deciders import Decider
from domainkit.deciding import decided_events
from domainkit.memory import AsyncInmemoryDomainEventBus, InmemoryDomainEventBus, InmemoryOutbox
from domainkit.messages import DomainEvent, JsonValue, Message
from domainkit.testing._expect import full_name, payload_of

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E")
X = TypeVar("X")
R = TypeVar("R")

Bus = InmemoryDomainEventBus | AsyncInmemoryDomainEventBus | InmemoryOutbox


@frozen
class Given(Generic[S]):
    """Start of a scenario. Made by `given`."""

    subject: S
    bus: Bus | None

    def when(self, action: Callable[[S], R]) -> "Then[R]":
        """Call `action` with the subject, and return the outcome; exceptions of `action` are not caught."""
        before = len(_sent(self.bus))
        return self._then(before, action(self.subject))

    async def when_async(self, action: Callable[[S], Awaitable[R]]) -> "Then[R]":
        """Await the coroutine function `action` with the subject, and return the outcome."""
        before = len(_sent(self.bus))
        return self._then(before, await action(self.subject))

    def _then(self, before: int, outcome: R) -> "Then[R]":
        """Return the outcome with the events published since `before`, or if there are none, those recorded since."""
        events = _sent(self.bus)[before:]
        value = outcome.unwrap() if isinstance(outcome, Success) else outcome
        if not events and isinstance(value, AggregateRoot):
            earlier = self.subject.domain_events if isinstance(self.subject, AggregateRoot) else ()
            events = value.domain_events
            if events[: len(earlier)] == earlier:
                events = events[len(earlier) :]
        return Then(outcome, events)


@frozen
class GivenHistory(Generic[C, S, E, X]):
    """The start of a scenario of a decider: the events that have happened. Made by `given`."""

    decider: Decider[C, S, E, X]
    history: tuple[E, ...]

    def when(self, command: C) -> "Then[Result[S, X]]":
        """Return the decision about a command: its events, and the state after them or the Failure."""
        before = self.decider.fold(self.history)
        decided = decided_events(self.decider, command, before)
        events = () if isinstance(decided, Failure) else decided.unwrap()
        found: Any = events  # Any: the events of the decider, which are DomainEvents
        return Then(decided.map(lambda made: self.decider.fold(made, before)), found)


@overload
def given(  # type: ignore[overload-overlap]  # a decider is an object too; the first overload that fits wins
    decider: Decider[C, S, E, X], /, *history: E
) -> GivenHistory[C, S, E, X]: ...
@overload
def given(subject: S, *, bus: Bus | None = None) -> Given[S]: ...
def given(subject: object, *history: object, bus: Bus | None = None) -> Given[Any] | GivenHistory[Any, Any, Any, Any]:
    """Return the start of a scenario for a decider, or for any other object.

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

    For a decider, pass the events that have happened, and then a command to `when`:

    >>> from domainkit import Command, decisions, projection
    >>> class Finish(Command): ...
    >>> decide = decisions(bool).on(Finish, lambda command, done: Success([] if done else [Done()]))
    >>> task = Decider(decide, projection(False).on(Done, lambda done, event: True).evolve, False)
    >>> _ = given(task).when(Finish()).then_events(Done()).then_returns(True)
    >>> _ = given(task, Done()).when(Finish()).then_no_events()

    Args:
        subject: an aggregate, a use case, a mediator, or any other argument for the action; or a decider.
        history: the events that have happened, the oldest first; for a decider only.
        bus: the in-memory bus that the subject publishes to, or the outbox of its repositories; its events are the
            scenario's. Without one, the scenario has the events that the returned aggregate recorded since the subject.

    Raises:
        TypeError: there is a history, and the subject is not a decider.
    """
    if history and not isinstance(subject, Decider):
        raise TypeError(f"given: expected a decider before events, got a {type(subject).__qualname__}; pass it alone")
    return GivenHistory(subject, history) if isinstance(subject, Decider) else Given(subject, bus)


@frozen
class Then(Generic[R]):
    """End of a scenario; each method raises AssertionError for another outcome, and returns `self`.

    Args:
        outcome: the return value of the action.
        events: the events that it recorded or published, the oldest first.
    """

    outcome: R
    events: tuple[DomainEvent, ...]

    def then_events(self, *expected: DomainEvent) -> "Then[R]":
        """Expect exactly these events, in this order; headers are not compared."""
        wanted, found = [payload_of(event) for event in expected], [payload_of(event) for event in self.events]
        _expect(wanted, found, "events")
        return self

    def then_no_events(self) -> "Then[R]":
        """Expect that no event was recorded or published."""
        return self.then_events()

    def then_returns(self, value: object) -> "Then[R]":
        """Expect a Success with this value, or this value itself from an action that doesn't return a Result."""
        _expect(value, _value(self.outcome), "the value")
        return self

    def then_state(self, **expected: object) -> "Then[R]":
        """Expect these fields in the returned value."""
        value = _value(self.outcome)
        _expect(expected, {name: getattr(value, name, "an unknown field") for name in expected}, "the state")
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
            _expect(expected, {name: meta[name] for name in expected if name in meta}, f"meta of {full_name(event)}")
        if not self.events:
            raise AssertionError("expected events with meta, got no event")
        return self

    def then_caused_by(self, message: Message) -> "Then[R]":
        """Expect this message as the cause of every event."""
        return self.then_meta(causation_id=str(message.header.id))


def _sent(bus: Bus | None) -> tuple[DomainEvent, ...]:
    """Return the events of a bus or an outbox."""
    if isinstance(bus, InmemoryOutbox):
        return bus.events
    return () if bus is None else bus.published


def _value(outcome: object) -> object:
    if isinstance(outcome, Failure):
        raise AssertionError(f"expected a Success, got {outcome!r}")  # noqa: TRY004  # tests expect it
    return outcome.unwrap() if isinstance(outcome, Result) else outcome


def _expect(expected: object, found: object, what: str) -> None:
    if expected != found:
        raise AssertionError(f"{what}: expected {expected!r}, got {found!r}")
