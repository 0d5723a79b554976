"""Streams of events in memory."""

from collections.abc import Sequence
from itertools import chain
from threading import RLock
from typing import Any, Generic, overload
from uuid import UUID

from attrs import define, evolve, field, frozen
from returns.result import Failure, Result, Success

from domainkit.codec import MessageCodec
from domainkit.event_store import (
    ANY_REVISION,
    STREAM_EXISTS,
    Appended,
    AsyncEventStore,
    E,
    EventStore,
    ExpectedRevision,
    Q,
    RecordedEvent,
    RevisionConflict,
    S,
    StreamClosed,
    StreamId,
    UnreadableEvent,
    all_recorded,
    appended_nothing,
    check_range,
    checked_events,
    conflict,
    decided,
    events_of,
    start_of,
    stream_and_expected,
    stream_for,
    stream_name,
)
from domainkit.memory.outbox import InmemoryOutbox
from domainkit.projections import Projection
from domainkit.tags import (
    AppendCondition,
    ConditionConflict,
    Decision,
    EventQuery,
    Selection,
    selections,
    tags_of,
)


@frozen
class _Stored:
    """A stored event: its bytes and position, and the name and tags that queries look for."""

    id: object
    raw: bytes
    stream: str
    revision: int
    position: int
    name: str
    tags: frozenset[UUID]

    def fits(self, selection: Selection) -> bool:
        """Check if an item of a query selects the event."""
        return self.tags.issuperset(selection.tags) and (selection.names is None or self.name in selection.names)


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

    @overload
    def append(
        self, stream: StreamId, events: Sequence[E], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]: ...
    @overload
    def append(
        self, events: Sequence[E], condition: AppendCondition, /, *, stream: StreamId | None = None
    ) -> Result[Appended, ConditionConflict | StreamClosed]: ...
    def append(
        self,
        first: StreamId | Sequence[E],
        second: Sequence[E] | AppendCondition,
        /,
        *,
        expected: ExpectedRevision | None = None,
        stream: StreamId | None = None,
    ) -> Result[Appended, RevisionConflict] | Result[Appended, ConditionConflict | StreamClosed]:
        """Append events, all of them or none; see EventStore."""
        if isinstance(second, AppendCondition):
            return self._append_if(events_of(first, expected), second, stream)
        return self._append_expected(*stream_and_expected(first, expected, stream), second)

    def _append_expected(
        self, stream: StreamId, expected: ExpectedRevision, events: Sequence[E]
    ) -> Result[Appended, RevisionConflict]:
        name, start, given = stream_name(stream), start_of(expected), checked_events(events)
        encoded = self._encoded(given, name)
        with self._lock:
            found = self._streams.get(name, _Stream())
            if found.is_closed:
                return Failure(StreamClosed(stream=name, expected=expected, actual=found.revision))
            repeated = self._repeated(found, [one.id for one in encoded], start)
            if repeated is not None:
                return Success(repeated)
            refused = conflict(name, expected, found.revision)
            if refused is not None:
                return refused
            return self._stored(found, name, given, encoded)

    def _append_if(
        self, events: Sequence[E], condition: AppendCondition, stream: StreamId | None
    ) -> Result[Appended, ConditionConflict | StreamClosed]:
        wanted = selections(condition.query, self._codec)
        given = checked_events(events)
        if not given:
            return appended_nothing(condition)
        name = stream_for(given, stream)
        encoded = self._encoded(given, name)
        with self._lock:
            found = self._streams.get(name, _Stream())
            if found.is_closed:
                return Failure(StreamClosed(stream=name, expected=ANY_REVISION, actual=found.revision))
            answer = self._answer(found, [one.id for one in encoded], condition, wanted)
            return self._stored(found, name, given, encoded) if answer is None else answer

    def _answer(
        self, found: _Stream, ids: list[object], condition: AppendCondition, wanted: tuple[Selection, ...]
    ) -> Result[Appended, ConditionConflict] | None:
        """Return the Result of an append that stores nothing, because it is a repetition or the condition fails."""
        again = [one for one in found.events if one.id == ids[0] and one.position > max(condition.positions)]
        repeated = self._repeated(found, ids, again[0].revision - 1) if again else None
        if repeated is not None:
            return Success(repeated)
        pairs = list(zip(wanted, condition.positions, strict=True))
        further = (one for one in self._all if any(one.position > after and one.fits(item) for item, after in pairs))
        first = next(chain(again, further), None)
        return None if first is None else Failure(ConditionConflict(position=first.position))

    def _encoded(self, given: Sequence[E], stream: str) -> list[_Stored]:
        """Return events in their stored form, without a revision and position yet."""
        names = self._codec.wires
        return [
            _Stored(
                one.header.id,
                self._codec.encode(one),
                stream,
                0,
                0,
                names[type(one)].info.name,
                frozenset(tags_of(one)),
            )
            for one in given
        ]

    def _stored(self, found: _Stream, name: str, given: Sequence[E], encoded: Sequence[_Stored]) -> Success[Appended]:
        self._streams[name] = found
        for one in encoded:
            self._add(found, one)
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

    def _add(self, found: _Stream, one: _Stored) -> None:
        self._position += 1
        found.revision += 1
        found.position = self._position
        stored = evolve(one, revision=found.revision, position=found.position)
        found.events.append(stored)
        self._all.append(stored)

    @overload
    def decide(self, query: EventQuery[Q], projection: Projection[S, Q], /) -> Result[Decision[S], UnreadableEvent]: ...
    @overload
    def decide(self, query: EventQuery, projection: Projection[S, E], /) -> Result[Decision[S], UnreadableEvent]: ...
    def decide(
        self, query: EventQuery, projection: Projection[S, Any], /
    ) -> Result[Decision[S], UnreadableEvent]:  # Any: the events of the query, which the overloads check
        """Return the state after the events of a query, and the condition for what is decided on it; see EventStore."""
        wanted = selections(query, self._codec)
        with self._lock:
            stored = [one for one in self._all if any(map(one.fits, wanted))]
            after = self._position
        return decided(query, projection, self._recorded(stored, None), after)

    def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of a stream; see EventStore."""
        check_range(after, limit)
        with self._lock:
            stored = self._streams.get(stream_name(stream), _Stream()).events[after:]
        return self._recorded(stored[::-1] if backwards else stored, limit)

    def read_all(self, *, after: int = 0, limit: int | None = None) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of all streams by position; see EventStore."""
        check_range(after, limit)
        with self._lock:
            stored = [one for one in self._all if one.position > after]
        return self._recorded(stored, limit)

    def _recorded(self, stored: list[_Stored], limit: int | None) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        given = stored[:limit]
        found = self._codec.decode_many([one.raw for one in given])
        return all_recorded(
            found, [one.stream for one in given], [one.revision for one in given], [one.position for one in given]
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

    @overload
    async def append(
        self, stream: StreamId, events: Sequence[E], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]: ...
    @overload
    async def append(
        self, events: Sequence[E], condition: AppendCondition, /, *, stream: StreamId | None = None
    ) -> Result[Appended, ConditionConflict | StreamClosed]: ...
    async def append(
        self,
        first: StreamId | Sequence[E],
        second: Sequence[E] | AppendCondition,
        /,
        *,
        expected: ExpectedRevision | None = None,
        stream: StreamId | None = None,
    ) -> Result[Appended, RevisionConflict] | Result[Appended, ConditionConflict | StreamClosed]:
        """Append events, all of them or none; see EventStore."""
        if isinstance(second, AppendCondition):
            return self._store._append_if(events_of(first, expected), second, stream)
        return self._store._append_expected(*stream_and_expected(first, expected, stream), second)

    @overload
    async def decide(
        self, query: EventQuery[Q], projection: Projection[S, Q], /
    ) -> Result[Decision[S], UnreadableEvent]: ...
    @overload
    async def decide(
        self, query: EventQuery, projection: Projection[S, E], /
    ) -> Result[Decision[S], UnreadableEvent]: ...
    async def decide(
        self, query: EventQuery, projection: Projection[S, Any], /
    ) -> Result[Decision[S], UnreadableEvent]:  # Any: the events of the query, which the overloads check
        """Return the state after the events of a query, and the condition for what is decided on it; see EventStore."""
        return self._store.decide(query, projection)

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
