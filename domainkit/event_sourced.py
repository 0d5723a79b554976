"""Deciders over stores of events: load the state, decide, append; on a conflict load and decide again."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from attrs import field, frozen
from returns.result import Failure, Result, Success

from domainkit.deciders import Decider
from domainkit.deciding import RetryOnConflict, as_cause, decided_events
from domainkit.event_store import (
    NO_STREAM,
    Appended,
    AppendsEvents,
    AsyncAppendsEvents,
    ExpectedRevision,
    RecordedEvent,
    RevisionConflict,
    StreamClosed,
    StreamId,
    UnreadableEvent,
)
from domainkit.messages import DomainEvent
from domainkit.ports import Notifier
from domainkit.use_cases import AsyncUseCase, UseCase

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E")
X = TypeVar("X")

Stored = Sequence[RecordedEvent[DomainEvent] | UnreadableEvent]


@frozen
class _Loaded(Generic[S]):
    """A state, and the revision of the stream that it was folded from."""

    state: S
    revision: int

    @property
    def expected(self) -> ExpectedRevision:
        return self.revision or NO_STREAM


def _loaded(decider: Decider[C, S, E, X], stored: Stored) -> Result[_Loaded[S], UnreadableEvent]:
    """Return the state after the events of a stream."""
    step: Callable[[S, Any], S] = decider.evolve  # Any: the events of the stream are those of its decider
    state, revision = decider.initial, 0
    for one in stored:
        if isinstance(one, UnreadableEvent):
            return Failure(one)
        state, revision = step(state, one.event), one.revision
    return Success(_Loaded(state, revision))


def _answer(
    decider: Decider[C, S, E, X], before: S, events: tuple[E, ...], appended: Result[Appended, RevisionConflict]
) -> tuple[Result[S, X | RevisionConflict | UnreadableEvent], bool]:
    """Return the answer of an attempt, and True if another may end otherwise."""
    if isinstance(appended, Failure):
        return appended, not isinstance(appended.failure(), StreamClosed)
    return Success(decider.fold(events, before)), False


@frozen
class EventSourced(UseCase[[C], S, X | RevisionConflict | UnreadableEvent], Generic[C, S, E, X]):
    """A decider over an event store: `handle` loads a stream, decides, and appends what was decided.

    Call it to run `handle` under the guard of a use case, or bind `handle` to commands for a Mediator. A command that
    meets a conflict is decided again, on the newer state.

    >>> from domainkit import Command, DomainError, DomainEvent, InmemoryEventStore, MessageCodec
    >>> class Overdrawn(DomainError): ...
    >>> @frozen
    ... class Moved(DomainEvent):
    ...     amount: int
    >>> @frozen
    ... class Move(Command[int, DomainError]):
    ...     account: str
    ...     amount: int
    >>> def decide(command: Move, balance: int) -> Result[Sequence[Moved], Overdrawn]:
    ...     if balance + command.amount < 0:
    ...         return Failure(Overdrawn())
    ...     return Success([Moved(command.amount)])
    >>> account = Decider(decide, lambda balance, event: balance + event.amount, 0)
    >>> store = InmemoryEventStore(MessageCodec.of(Moved))
    >>> accounts = EventSourced(account, store, stream=lambda command: command.account)
    >>> accounts.handle(Move("a", 5)), accounts.handle(Move("a", -7)), accounts.state("a")
    (<Success: 5>, <Failure: Overdrawn>, <Success: 5>)

    Args:
        decider: what decides, and what happens to the state.
        store: holds the events of the decider, and may hold others in other streams.
        stream: from a command to the stream that it is about.
        retry: how often to decide again after a conflict.
        notifier: told of a bug, where the use case is called; see UseCase.
    """

    decider: Decider[C, S, E, X]
    store: AppendsEvents[E]
    stream: Callable[[C], StreamId] = field(kw_only=True)
    retry: RetryOnConflict = field(default=RetryOnConflict(), kw_only=True)
    notifier: Notifier | None = field(default=None, kw_only=True)

    def handle(self, command: C, /) -> Result[S, X | RevisionConflict | UnreadableEvent]:
        """Return the state after a command.

        Returns:
            A Success with the new state, the old one if no event happened; or a Failure with the error of the decision,
            with RevisionConflict if others appended at each attempt (StreamClosed at once), or with the UnreadableEvent
            of the stream.

        Raises:
            TypeError: the decider returned no Result with a sequence of events.
            InvalidMessage: an event could not be read back; nothing was stored.
        """
        return self.retry.run(lambda: self._attempt(command))

    def execute(self, command: C, /) -> Result[S, X | RevisionConflict | UnreadableEvent]:
        """Return the answer of `handle`; call the use case itself to run it under the guard."""
        return self.handle(command)

    def state(self, stream: StreamId, /) -> Result[S, UnreadableEvent]:
        """Return the state of a stream; the initial one if it has no event."""
        return _loaded(self.decider, self.store.read(stream)).map(lambda loaded: loaded.state)

    def _attempt(self, command: C) -> tuple[Result[S, X | RevisionConflict | UnreadableEvent], bool]:
        """Return the answer, and True if others appended meanwhile."""
        stream = self.stream(command)
        loaded = _loaded(self.decider, self.store.read(stream))
        if isinstance(loaded, Failure):
            return loaded, False
        before = loaded.unwrap()
        with as_cause(command):
            decided = decided_events(self.decider, command, before.state)
            if isinstance(decided, Failure):
                return decided, False
            events = decided.unwrap()
            if not events:
                return Success(before.state), False
            appended = self.store.append(stream, events, expected=before.expected)
        return _answer(self.decider, before.state, events, appended)


@frozen
class AsyncEventSourced(AsyncUseCase[[C], S, X | RevisionConflict | UnreadableEvent], Generic[C, S, E, X]):
    """A decider over an async event store; see EventSourced. The decider itself is pure, and not async.

    Args:
        decider: what decides, and what happens to the state.
        store: holds the events of the decider, and may hold others in other streams.
        stream: from a command to the stream that it is about.
        retry: how often to decide again after a conflict.
        notifier: told of a bug, where the use case is called; see UseCase.
    """

    decider: Decider[C, S, E, X]
    store: AsyncAppendsEvents[E]
    stream: Callable[[C], StreamId] = field(kw_only=True)
    retry: RetryOnConflict = field(default=RetryOnConflict(), kw_only=True)
    notifier: Notifier | None = field(default=None, kw_only=True)

    async def handle(self, command: C, /) -> Result[S, X | RevisionConflict | UnreadableEvent]:
        """Return the state after a command; see EventSourced."""
        return await self.retry.run_async(lambda: self._attempt(command))

    async def execute(self, command: C, /) -> Result[S, X | RevisionConflict | UnreadableEvent]:
        """Return the answer of `handle`; call the use case itself to run it under the guard."""
        return await self.handle(command)

    async def state(self, stream: StreamId, /) -> Result[S, UnreadableEvent]:
        """Return the state of a stream; the initial one if it has no event."""
        return _loaded(self.decider, await self.store.read(stream)).map(lambda loaded: loaded.state)

    async def _attempt(self, command: C) -> tuple[Result[S, X | RevisionConflict | UnreadableEvent], bool]:
        """Return the answer, and True if others appended meanwhile."""
        stream = self.stream(command)
        loaded = _loaded(self.decider, await self.store.read(stream))
        if isinstance(loaded, Failure):
            return loaded, False
        before = loaded.unwrap()
        with as_cause(command):
            decided = decided_events(self.decider, command, before.state)
            if isinstance(decided, Failure):
                return decided, False
            events = decided.unwrap()
            if not events:
                return Success(before.state), False
            appended = await self.store.append(stream, events, expected=before.expected)
        return _answer(self.decider, before.state, events, appended)
