"""Streams of events in memory."""

from collections.abc import Sequence
from threading import RLock
from typing import Generic

from attrs import define, field, frozen
from returns.result import Failure, Result, Success

from domainkit.codec import MessageCodec
from domainkit.event_store import (
    STREAM_EXISTS,
    Appended,
    AsyncEventStore,
    E,
    EventStore,
    ExpectedRevision,
    RecordedEvent,
    RevisionConflict,
    StreamClosed,
    StreamId,
    UnreadableEvent,
    checked_events,
    conflict,
    recorded,
    start_of,
    stream_name,
)
from domainkit.memory.outbox import InmemoryOutbox


@frozen
class _Stored:
    """A stored event: its bytes and its position, as in a row of a database."""

    id: object
    raw: bytes
    stream: str
    revision: int
    position: int


@define
class _Stream:
    """The events of a stream, and whether it is open."""

    events: list[_Stored] = field(factory=list)
    revision: int = 0
    position: int = 0
    is_closed: bool = False
    is_deleted: bool = False

    @property
    def end(self) -> Appended:
        return Appended(self.revision, self.position)


class InmemoryEventStore(EventStore[E], Generic[E]):
    """Streams of events in a dict, lost with the process. It is thread-safe.

    Events are kept as bytes, so that an event that can't be read back is refused, as by a database, and an event of an
    older version is upcast when it is read.

    >>> from attrs import frozen
    >>> from domainkit import NO_STREAM, DomainEvent
    >>> @frozen
    ... class Deposited(DomainEvent):
    ...     amount: int
    >>> store = InmemoryEventStore(MessageCodec.of(Deposited))
    >>> store.append("account-1", [Deposited(3), Deposited(4)], expected=NO_STREAM)
    <Success: Appended(revision=2, position=2)>
    >>> [one.event.amount for one in store.read("account-1")]
    [3, 4]
    >>> store.append("account-1", [Deposited(5)], expected=1)
    <Failure: RevisionConflict: expected revision 1, the stream has revision 2>

    Args:
        codec: the closed set of the events.
        outbox: gets a copy of the appended events.
    """

    def __init__(self, codec: MessageCodec[E], *, outbox: InmemoryOutbox | None = None) -> None:
        self._codec, self._outbox = codec, outbox
        self._streams: dict[str, _Stream] = {}
        self._all: list[_Stored] = []
        self._position = 0
        self._lock = RLock()

    def append(
        self, stream: StreamId, events: Sequence[E], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]:
        """Append events to a stream, all of them or none; see EventStore."""
        name, start, given = stream_name(stream), start_of(expected), checked_events(events)
        encoded = [(one.header.id, self._codec.encode(one)) for one in given]
        with self._lock:
            found = self._streams.get(name, _Stream())
            if found.is_closed:
                return Failure(StreamClosed(stream=name, expected=expected, actual=found.revision))
            repeated = self._repeated(found, [one for one, _ in encoded], start)
            if repeated is not None:
                return Success(repeated)
            refused = conflict(name, expected, found.revision)
            if refused is not None:
                return refused
            self._streams[name] = found
            for message_id, raw in encoded:
                self._add(found, name, message_id, raw)
            if self._outbox is not None:
                self._outbox.add(given)
            return Success(found.end)

    def _repeated(self, found: _Stream, ids: list[object], start: int | None) -> Appended | None:
        """Return the revision and position of the last of these events if all are in the stream already, in order."""
        stored = [one.id for one in found.events]
        first = start if start is not None else stored.index(ids[0]) if ids and ids[0] in stored else None
        if not ids or first is None or stored[first : first + len(ids)] != ids:
            return None
        last = found.events[first + len(ids) - 1]
        return Appended(last.revision, last.position)

    def _add(self, found: _Stream, name: str, message_id: object, raw: bytes) -> None:
        self._position += 1
        found.revision += 1
        found.position = self._position
        stored = _Stored(message_id, raw, name, found.revision, found.position)
        found.events.append(stored)
        self._all.append(stored)

    def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of a stream; see EventStore."""
        with self._lock:
            stored = self._streams.get(stream_name(stream), _Stream()).events[after:]
        return self._recorded(stored[::-1] if backwards else stored, limit)

    def read_all(self, *, after: int = 0, limit: int | None = None) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of all streams by position; see EventStore."""
        with self._lock:
            stored = [one for one in self._all if one.position > after]
        return self._recorded(stored, limit)

    def _recorded(self, stored: list[_Stored], limit: int | None) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        return tuple(
            recorded(self._codec.decode(one.raw), one.stream, one.revision, one.position) for one in stored[:limit]
        )

    def archive(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Close a stream; see EventStore."""
        return self._closed(stream_name(stream), is_deleted=False)

    def delete(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Remove the events of a stream, for ever; see EventStore."""
        return self._closed(stream_name(stream), is_deleted=True)

    def _closed(self, name: str, *, is_deleted: bool) -> Result[Appended, RevisionConflict]:
        with self._lock:
            found = self._streams.get(name, _Stream())
            refused = conflict(name, STREAM_EXISTS, found.revision)
            if refused is not None:
                return refused
            if found.is_deleted and not is_deleted:
                return Failure(StreamClosed(stream=name, expected=STREAM_EXISTS, actual=found.revision))
            found.is_closed = True
            if is_deleted:
                found.is_deleted = True
                found.events.clear()
                self._all = [one for one in self._all if one.stream != name]
            return Success(found.end)


class AsyncInmemoryEventStore(AsyncEventStore[E], Generic[E]):
    """The async twin of InmemoryEventStore.

    Args:
        codec: the closed set of the events.
        outbox: gets a copy of the appended events.
    """

    def __init__(self, codec: MessageCodec[E], *, outbox: InmemoryOutbox | None = None) -> None:
        self._store = InmemoryEventStore(codec, outbox=outbox)

    async def append(
        self, stream: StreamId, events: Sequence[E], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]:
        """Append events to a stream, all of them or none; see EventStore."""
        return self._store.append(stream, events, expected=expected)

    async def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of a stream; see EventStore."""
        return self._store.read(stream, after=after, limit=limit, backwards=backwards)

    async def read_all(
        self, *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of all streams by position; see EventStore."""
        return self._store.read_all(after=after, limit=limit)

    async def archive(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Close a stream; see EventStore."""
        return self._store.archive(stream)

    async def delete(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Remove the events of a stream, for ever; see EventStore."""
        return self._store.delete(stream)
