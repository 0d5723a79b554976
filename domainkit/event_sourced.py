"""Deciders over stores of events: load the state, decide, append; on a conflict load and decide again."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from attrs import field, frozen
from returns.result import Failure, Result, Success

from domainkit.deciders import Decider
from domainkit.deciding import RetryOnConflict, as_cause, decided_on
from domainkit.event_store import (
    NO_STREAM,
    AppendsEvents,
    AsyncAppendsEvents,
    ExpectedRevision,
    RevisionConflict,
    StreamClosed,
    StreamId,
    UnreadableEvent,
)
from domainkit.ports import Notifier
from domainkit.snapshots import AsyncSnapshots, Restored, Snapshots, Stored
from domainkit.use_cases import AsyncUseCase, UseCase

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E")
X = TypeVar("X")


@frozen
class _Loaded(Generic[S]):
    """A state, the revision of the stream that it was folded from, and that of the snapshot that it began with."""

    state: S
    revision: int
    restored_at: int = 0

    @property
    def expected(self) -> ExpectedRevision:
        return self.revision or NO_STREAM


def _loaded(
    decider: Decider[C, S, E, X], stored: Stored, restored: Restored[S] | None = None
) -> Result[_Loaded[S], UnreadableEvent]:
    """Return the state after the events of a stream, or after those that follow a restored state."""
    step: Callable[[S, Any], S] = decider.evolve  # Any: the events of the stream are those of its decider
    state, revision = (decider.initial, 0) if restored is None else (restored.state, restored.revision)
    start = revision
    for one in stored:
        if isinstance(one, UnreadableEvent):
            return Failure(one)
        state, revision = step(state, one.event), one.revision
    return Success(_Loaded(state, revision, start))


@frozen
class EventSourced(UseCase[[C], S, X | RevisionConflict | UnreadableEvent], Generic[C, S, E, X]):
    """A decider over an event store: `handle` loads a stream, decides, and appends what was decided.

    Call it to run `handle` under the guard of a use case, or bind `handle` to commands for a Mediator. A command that
    meets a conflict is decided again, on the newer state.

    >>> from collections.abc import Sequence
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
        snapshots: where states are kept, so that a load needn't read all events of a stream; nowhere unless given.
        retry: how often to decide again after a conflict.
        notifier: told of a bug, where the use case is called; see UseCase.
    """

    decider: Decider[C, S, E, X]
    store: AppendsEvents[E]
    stream: Callable[[C], StreamId] = field(kw_only=True)
    snapshots: Snapshots[S] | None = field(default=None, kw_only=True)
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
        return self._load(stream).map(lambda loaded: loaded.state)

    def _load(self, stream: StreamId) -> Result[_Loaded[S], UnreadableEvent]:
        """Return the state of a stream, from its snapshot and the events that follow, or from all events."""
        if self.snapshots is not None and (restored := self.snapshots.restore(stream)) is not None:
            stored = self.store.read(stream, after=restored.revision - 1)
            if restored.is_of(stored):
                return _loaded(self.decider, stored[1:], restored)
            self.snapshots.refuse(stream)
        return _loaded(self.decider, self.store.read(stream))

    def _attempt(self, command: C) -> tuple[Result[S, X | RevisionConflict | UnreadableEvent], bool]:
        """Return the answer, and True if others appended meanwhile."""
        stream = self.stream(command)
        loaded = self._load(stream)
        if isinstance(loaded, Failure):
            return loaded, False
        before = loaded.unwrap()
        with as_cause(command):
            decided = decided_on(self.decider, command, before.state)
            if not decided.events:
                return decided.answer, False
            appended = self.store.append(stream, decided.events, expected=before.expected)
        if isinstance(appended, Failure):
            return appended, not isinstance(appended.failure(), StreamClosed)
        revision = appended.unwrap().revision
        if self.snapshots is not None and self.snapshots.is_due(revision, before.restored_at):
            self.snapshots.save(stream, decided.answer.unwrap(), revision, decided.events[-1])
        return decided.answer, False


@frozen
class AsyncEventSourced(AsyncUseCase[[C], S, X | RevisionConflict | UnreadableEvent], Generic[C, S, E, X]):
    """A decider over an async event store; see EventSourced. The decider itself is pure, and not async.

    Args:
        decider: what decides, and what happens to the state.
        store: holds the events of the decider, and may hold others in other streams.
        stream: from a command to the stream that it is about.
        snapshots: where states are kept, so that a load needn't read all events of a stream; nowhere unless given.
        retry: how often to decide again after a conflict.
        notifier: told of a bug, where the use case is called; see UseCase.
    """

    decider: Decider[C, S, E, X]
    store: AsyncAppendsEvents[E]
    stream: Callable[[C], StreamId] = field(kw_only=True)
    snapshots: AsyncSnapshots[S] | None = field(default=None, kw_only=True)
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
        return (await self._load(stream)).map(lambda loaded: loaded.state)

    async def _load(self, stream: StreamId) -> Result[_Loaded[S], UnreadableEvent]:
        """Return the state of a stream, from its snapshot and the events that follow, or from all events."""
        if self.snapshots is not None and (restored := await self.snapshots.restore(stream)) is not None:
            stored = await self.store.read(stream, after=restored.revision - 1)
            if restored.is_of(stored):
                return _loaded(self.decider, stored[1:], restored)
            self.snapshots.refuse(stream)
        return _loaded(self.decider, await self.store.read(stream))

    async def _attempt(self, command: C) -> tuple[Result[S, X | RevisionConflict | UnreadableEvent], bool]:
        """Return the answer, and True if others appended meanwhile."""
        stream = self.stream(command)
        loaded = await self._load(stream)
        if isinstance(loaded, Failure):
            return loaded, False
        before = loaded.unwrap()
        with as_cause(command):
            decided = decided_on(self.decider, command, before.state)
            if not decided.events:
                return decided.answer, False
            appended = await self.store.append(stream, decided.events, expected=before.expected)
        if isinstance(appended, Failure):
            return appended, not isinstance(appended.failure(), StreamClosed)
        revision = appended.unwrap().revision
        if self.snapshots is not None and self.snapshots.is_due(revision, before.restored_at):
            await self.snapshots.save(stream, decided.answer.unwrap(), revision, decided.events[-1])
        return decided.answer, False
