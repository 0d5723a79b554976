"""Snapshots of the states of a decider: written after an append, read before the events that follow."""

import logging
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, Generic
from uuid import UUID

from attrs import frozen
from typing_extensions import TypeForm, TypeVar

from domainkit.event_store import RecordedEvent, StreamId, UnreadableEvent, stream_name
from domainkit.ids import text_refusal
from domainkit.messages import DomainEvent
from domainkit.snapshot_store import AsyncSnapshotStore, Snapshot, SnapshotStore
from domainkit.states import StoredStateError
from domainkit.use_cases import places_of
from domainkit.value_form import ValueForm

S = TypeVar("S")
_logger = logging.getLogger("domainkit.snapshots")
_EVERY: Final = 100
_LONGEST_NAME: Final = 200
_MOST_NOTED: Final = 1000

Stored = Sequence[RecordedEvent[DomainEvent] | UnreadableEvent]


@frozen
class Restored(Generic[S]):
    """A state from a snapshot, which is valid if the stream still has its last event.

    Args:
        state: the state.
        revision: the revision of the last event in it.
        event_id: the id of that event.
    """

    state: S
    revision: int
    event_id: UUID

    def is_of(self, stored: Stored) -> bool:
        """Check if the events of a stream from `revision` on begin with the last one in the state."""
        first = stored[0] if stored else None
        if not isinstance(first, RecordedEvent):
            return False
        return first.revision == self.revision and first.event.header.id.value == self.event_id


class _Snapshots(Generic[S]):
    """The decisions that sync and async snapshots share: if one is due, and if one is usable."""

    def __init__(self, state: TypeForm[S], *, version: int, every: int, name: str | None) -> None:
        self._form = ValueForm(state)
        self.name: str = self._form.name if name is None else name
        _require_positive("version", version)
        _require_positive("every", every)
        if not self.name or len(self.name) > _LONGEST_NAME or text_refusal(self.name) is not None:
            raise ValueError(
                f"Snapshots: expected a name of 1 to {_LONGEST_NAME} characters that databases take, got another one; "
                "pass a shorter `name`"
            )
        self._every = every
        self.version: str = f"{version}-{sha256(self._form.shape.encode()).hexdigest()[:16]}"
        self._noted: set[tuple[str, str]] = set()

    def _read(self, found: Snapshot | None) -> Restored[S] | None:
        """Return the state of a snapshot; None if it has another version or no revision, or can't be read."""
        if found is None:
            return None
        if found.version != self.version:
            self._note(found.version, "", f"version {found.version} is of another fold than {self.version}")
            return None
        if found.revision < 1:  # no event has such a revision, and a store doesn't look for it
            self.refuse(found.stream)
            return None
        try:
            return Restored(self._form.read(found.state), found.revision, found.event_id)
        except StoredStateError as error:
            self._note("unreadable", found.stream, f"it can't be read: {'; '.join(map(str, error.problems))}")
            return None

    def _made(self, stream: StreamId, state: S, revision: int, event: Any) -> Snapshot | None:  # Any: of its decider
        """Return a snapshot; None if the state could not be read back."""
        name = stream_name(stream)
        try:
            text = self._form.write(state)
        except ValueError as error:
            self._note("unwritable", name, str(error))
            return None
        return Snapshot(name, self.name, self.version, revision, event.header.id.value, text)

    def is_due(self, revision: int, restored_at: int) -> bool:
        """Check if a stream has so many events after its snapshot that it gets a new one."""
        return revision - restored_at >= self._every

    def refuse(self, stream: StreamId) -> None:
        """Note that a snapshot isn't of this stream: its last event isn't there any more, or is another one."""
        self._note("refused", stream_name(stream), "the stream does not have its last event")

    def _note(self, reason: str, stream: str, text: str) -> None:
        """Log why a snapshot is not used, once for each stream, or for each version."""
        if (reason, stream) in self._noted:
            return
        if len(self._noted) >= _MOST_NOTED:
            self._noted.clear()
        self._noted.add((reason, stream))
        of_stream = f" of stream {stream!r}" if stream else ""
        _logger.warning("Snapshot of %s%s ignored, and replaced later: %s", self.name, of_stream, text)

    def _failed(self, what: str, error: Exception) -> None:
        _logger.warning("Snapshot of %s not %s; the events are used alone\n%s", self.name, what, places_of(error))


class Snapshots(_Snapshots[S], Generic[S]):
    """The snapshots of the states of an EventSourced: their type, the version of the fold, and the number of events.

    A snapshot saves time, and never changes a result. It is ignored, and replaced at a later append, if it has another
    version, can't be read, or has events that the stream doesn't have, because the stream was deleted or the database
    was restored. A failure of the snapshot store is logged, and fails neither a load nor a command.

    >>> from attrs import frozen
    >>> from domainkit import Command, Decider, DomainError, DomainEvent, EventSourced
    >>> from domainkit import InmemoryEventStore, InmemorySnapshotStore, MessageCodec
    >>> from returns.result import Result, Success
    >>> @frozen
    ... class Moved(DomainEvent):
    ...     amount: int
    >>> @frozen
    ... class Move(Command[int, DomainError]):
    ...     amount: int
    >>> def decide(command: Move, balance: int) -> Result[Sequence[Moved], DomainError]:
    ...     return Success([Moved(command.amount)])
    >>> account = Decider(decide, lambda balance, event: balance + event.amount, 0)
    >>> kept = InmemorySnapshotStore()
    >>> accounts = EventSourced(
    ...     account, InmemoryEventStore(MessageCodec.of(Moved)),
    ...     stream=lambda command: "account-1", snapshots=Snapshots(int, kept, version=1, every=2),
    ... )
    >>> [accounts.handle(Move(amount)).unwrap() for amount in (1, 2, 3)]
    [1, 3, 6]
    >>> found = kept.load("account-1", "int")
    >>> found and (found.revision, found.state)
    (2, '3')

    Args:
        state: the type of the state: a class, or any type that has a wire form.
        store: holds the snapshots.
        version: of the fold. Raise it with each change after which `evolve` or an upcaster makes another state of the
            same events. A change of the fields and types of the state is noticed without that.
        every: the number of events after which a stream gets a new snapshot.
        name: of the state, if several are folded from one stream; by default the name of its type.

    Raises:
        UnsupportedTypeError: the type has no wire form.
        ValueError: `version` or `every` is below 1, or the name is empty or too long.
    """

    def __init__(
        self,
        state: TypeForm[S],
        store: SnapshotStore,
        *,
        version: int = 1,
        every: int = _EVERY,
        name: str | None = None,
    ) -> None:
        super().__init__(state, version=version, every=every, name=name)
        self._store = store

    def restore(self, stream: StreamId, /) -> Restored[S] | None:
        """Return the state of the snapshot of a stream; None if there is none that is of use."""
        try:
            found = self._store.load(stream, self.name)
        except Exception as error:  # whatever a store raises: the events are there
            self._failed("loaded", error)
            return None
        return self._read(found)

    def save(self, stream: StreamId, state: S, revision: int, event: object, /) -> None:
        """Store a snapshot; a failure is logged.

        Args:
            stream: the name of the stream.
            state: after `event`.
            revision: of `event`.
            event: the last one in the state.
        """
        try:
            made = self._made(stream, state, revision, event)
            if made is not None:
                self._store.save(made)
        except Exception as error:  # as above
            self._failed("saved", error)


class AsyncSnapshots(_Snapshots[S], Generic[S]):
    """The async twin of Snapshots, for an AsyncEventSourced.

    Args:
        state: the type of the state: a class, or any type that has a wire form.
        store: holds the snapshots.
        version: of the fold; see Snapshots.
        every: the number of events after which a stream gets a new snapshot.
        name: of the state; see Snapshots.

    Raises:
        UnsupportedTypeError: the type has no wire form.
        ValueError: `version` or `every` is below 1, or the name is empty or too long.
    """

    def __init__(
        self,
        state: TypeForm[S],
        store: AsyncSnapshotStore,
        *,
        version: int = 1,
        every: int = _EVERY,
        name: str | None = None,
    ) -> None:
        super().__init__(state, version=version, every=every, name=name)
        self._store = store

    async def restore(self, stream: StreamId, /) -> Restored[S] | None:
        """Return the state of the snapshot of a stream; None if there is none that is of use."""
        try:
            found = await self._store.load(stream, self.name)
        except Exception as error:  # whatever a store raises: the events are there
            self._failed("loaded", error)
            return None
        return self._read(found)

    async def save(self, stream: StreamId, state: S, revision: int, event: object, /) -> None:
        """Store a snapshot; a failure is logged; see Snapshots.

        Args:
            stream: the name of the stream.
            state: after `event`.
            revision: of `event`.
            event: the last one in the state.
        """
        try:
            made = self._made(stream, state, revision, event)
            if made is not None:
                await self._store.save(made)
        except Exception as error:  # as above
            self._failed("saved", error)


def _require_positive(option: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"Snapshots: expected `{option}` to be an int from 1, got {value!r}; pass another one")
