"""Streams of events in a SQL database."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import repeat
from types import MappingProxyType
from typing import Generic
from uuid import UUID

from attrs import frozen
from returns.result import Failure, Result, Success
from sqlalchemy import Connection, Table

from domainkit.adapters.sqlalchemy.event_statements import (
    EventRow,
    EventStatements,
    PostgresqlEvents,
    Settled,
    SqliteEvents,
)
from domainkit.adapters.sqlalchemy.outbox import OutboxRow
from domainkit.adapters.sqlalchemy.races import SERIALIZATION_FAILURE, state_of
from domainkit.adapters.sqlalchemy.tables import events_table, require_columns
from domainkit.adapters.sqlalchemy.unit_of_work import AsyncUnitOfWork, Coro, UnitOfWork, current
from domainkit.codec import MessageCodec
from domainkit.errors import ConflictError
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
    all_recorded,
    checked_events,
    conflict,
    start_of,
    stream_name,
)

_STATEMENTS: Mapping[str, type[EventStatements]] = MappingProxyType(
    {"sqlite": SqliteEvents, "postgresql": PostgresqlEvents}
)


@frozen
class _Append:
    """An append with encoded events.

    Args:
        stream: the name of the stream.
        expected: the expectation of the caller.
        start: the revision after which the events are stored; None if the expectation doesn't name one.
        rows: the events.
        outgoing: the same events for the outbox.
    """

    stream: str
    expected: ExpectedRevision
    start: int | None
    rows: Sequence[EventRow]
    outgoing: Sequence[OutboxRow]

    @property
    def ids(self) -> list[UUID]:
        return [row[0] for row in self.rows]

    def lost(self) -> RevisionConflict:
        """Return the conflict with a faster transaction, which has stored at least one event."""
        return RevisionConflict(stream=self.stream, expected=self.expected, actual=(self.start or 0) + 1)


class SqlEventStore(EventStore[E], Generic[E]):
    """Streams of events in a table. Appended events also go into the outbox of the unit of work, if it has one.

    Inside a unit of work its calls are part of that; outside, each call is its own transaction. A conflict leaves an
    open unit of work usable. The exception is a unit at REPEATABLE READ or SERIALIZABLE that PostgreSQL aborts because
    another transaction was faster: it can't be committed any more, and `actual` is only the least possible revision.

    >>> from attrs import frozen
    >>> from sqlalchemy import MetaData
    >>> from domainkit import NO_STREAM, DomainEvent
    >>> from domainkit.adapters.sqlalchemy import make_engine
    >>> @frozen
    ... class Deposited(DomainEvent):
    ...     amount: int
    >>> metadata, engine = MetaData(), make_engine("sqlite://")
    >>> store = SqlEventStore(UnitOfWork(engine), events_table(metadata), MessageCodec.of(Deposited))
    >>> metadata.create_all(engine)
    >>> store.append("account-1", [Deposited(3), Deposited(4)], expected=NO_STREAM)
    <Success: Appended(revision=2, position=2)>
    >>> [one.event.amount for one in store.read("account-1")]
    [3, 4]
    >>> engine.dispose()

    Args:
        unit_of_work: a unit of work of the database with the table.
        table: a table made by `events_table`.
        codec: the closed set of the events.

    Raises:
        ValueError: `table` wasn't made by `events_table`, or the database is neither SQLite nor PostgreSQL.
    """

    def __init__(self, unit_of_work: UnitOfWork, table: Table, codec: MessageCodec[E]) -> None:
        require_columns(table, events_table)
        if unit_of_work.dialect not in _STATEMENTS:
            raise ValueError(f"SqlEventStore: expected SQLite or PostgreSQL, got {unit_of_work.dialect}")
        self._sql = _STATEMENTS[unit_of_work.dialect](table, unit_of_work.dialect)
        self._unit_of_work, self._outbox = unit_of_work, unit_of_work.outbox
        self._codec = codec
        self._wires = codec.wires

    def append(
        self, stream: StreamId, events: Sequence[E], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]:
        """Append events to a stream, all of them or none; see EventStore.

        Raises:
            OutcomeUnknownError: the connection was lost while committing, outside of a unit of work. Append the same
                events again: they are stored once.
        """
        given = self._append(stream, events, expected)
        if self._commits_by_itself(given):
            return self._retried(lambda: self._stored_alone(given), given.lost)
        return self._retried(lambda: self._stored(given), given.lost)

    def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of a stream, the oldest first; see EventStore."""
        name = stream_name(stream)
        with self._unit_of_work._reading_once() as connection:
            rows = self._sql.read(connection, name, after=after, limit=limit, backwards=backwards)
        found = self._codec.decode_many([row[2] for row in rows])
        return all_recorded(found, repeat(name), [row[0] for row in rows], [row[1] for row in rows])

    def read_all(self, *, after: int = 0, limit: int | None = None) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of all streams by position, the oldest first; see EventStore.

        On PostgreSQL an event is returned once it is committed, and all transactions that began to append before it
        have ended. So the events of the open unit of work are not among them.

        Raises:
            RuntimeError: the open unit of work is REPEATABLE READ or SERIALIZABLE, and would not see some events.
        """
        upto = self._upto(self._settled(), is_inside=self._is_inside())
        return self._read_all(after, upto, limit) if upto > after else ()

    def archive(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Close a stream: it can still be read, but nothing can be appended to it; see EventStore.

        Raises:
            OutcomeUnknownError: as for `append`.
        """
        name = stream_name(stream)
        return self._retried(lambda: self._closed(name, is_deleted=False), lambda: _lost_closing(name))

    def delete(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Remove the events of a stream permanently, and keep its name; see EventStore.

        Their content is removed from the table. The rows stay, with stream, revision and position.

        Raises:
            OutcomeUnknownError: as for `append`.
        """
        name = stream_name(stream)
        return self._retried(lambda: self._closed(name, is_deleted=True), lambda: _lost_closing(name))

    def _append(self, stream: StreamId, events: Sequence[E], expected: ExpectedRevision) -> _Append:
        """Return an append, checked and encoded."""
        name, start, given = stream_name(stream), start_of(expected), checked_events(events)
        rows = [self._row(event) for event in given]
        outgoing = () if self._outbox is None else self._outbox.rows(given, key=name)
        return _Append(name, expected, start, rows, outgoing)

    def _row(self, event: E) -> EventRow:
        body = self._codec.encode(event)
        info = self._wires[type(event)].info
        return event.header.id.value, info.name, info.version, body

    def _is_inside(self) -> bool:
        return current(self._unit_of_work) is not None

    def _commits_by_itself(self, given: _Append) -> bool:
        """Check if a single statement can store it outside of a unit of work: that takes one trip to the server."""
        is_one = given.start is not None and not given.outgoing and 0 < len(given.rows) <= self._sql.most
        return is_one and not self._is_inside()

    def _retried(
        self, work: Callable[[], Result[Appended, RevisionConflict]], lost: Callable[[], RevisionConflict]
    ) -> Result[Appended, RevisionConflict]:
        """Retry if PostgreSQL aborted the transaction because another one was faster; inside a unit, return `lost`."""
        is_inside = self._is_inside()
        while True:
            try:
                return work()
            except ConflictError as error:
                if state_of(error.__cause__) != SERIALIZATION_FAILURE:
                    raise
                if is_inside:
                    return Failure(lost())

    def _stored_alone(self, given: _Append) -> Result[Appended, RevisionConflict]:
        with self._unit_of_work._committing() as connection:
            return self._stored_on(connection, given)

    def _stored(self, given: _Append) -> Result[Appended, RevisionConflict]:
        with self._unit_of_work.writing() as connection:
            return self._stored_on(connection, given)

    def _stored_on(self, connection: Connection, given: _Append) -> Result[Appended, RevisionConflict]:
        """Append, or return the reason why not; retry if another writer appended, and the expectation still holds."""
        start = given.start
        while True:
            if start is not None and given.rows:
                position = self._sql.append(connection, given.stream, start, given.rows)
                if position is not None:
                    if self._outbox is not None:
                        self._outbox.store(connection, given.outgoing)
                    return Success(Appended(start + len(given.rows), position))
            answer = self._answer(connection, given)
            if not isinstance(answer, int):
                return answer
            start = answer

    def _answer(self, connection: Connection, given: _Append) -> Result[Appended, RevisionConflict] | int:
        """Return the answer if nothing is to be stored, or the revision after which to store the events."""
        end = self._sql.end(connection, given.stream)
        if end.is_closed:
            return Failure(StreamClosed(stream=given.stream, expected=given.expected, actual=end.revision))
        if given.rows:
            places = self._sql.places(connection, given.stream, given.start, given.ids)
            if places:
                return Success(Appended(*places[-1]))
        refused = conflict(given.stream, given.expected, end.revision)
        if refused is not None:
            return refused
        return end.revision if given.rows else Success(Appended(end.revision, end.position))

    def _closed(self, name: str, *, is_deleted: bool) -> Result[Appended, RevisionConflict]:
        with self._unit_of_work.writing() as connection:
            end = self._sql.end(connection, name)
            while end.revision and not end.is_closed and not self._sql.close(connection, name, end.revision + 1):
                end = self._sql.end(connection, name)  # another writer appended to it, or closed it
            refused = conflict(name, STREAM_EXISTS, end.revision)
            if refused is not None:
                return refused
            if is_deleted:
                self._sql.delete(connection, name)
            elif end.is_deleted:
                return Failure(StreamClosed(stream=name, expected=STREAM_EXISTS, actual=end.revision))
            return Success(Appended(end.revision, end.position))

    def _settled(self) -> Settled:
        with self._unit_of_work._reading_once() as connection:
            return self._sql.settled(connection)

    def _upto(self, settled: Settled, *, is_inside: bool) -> int:
        if settled.has_old_snapshot and is_inside:
            raise RuntimeError(
                "read_all: expected a unit of work at READ COMMITTED, got a higher isolation level, where events that "
                "were committed since it began are not seen, and would be skipped; read outside of it"
            )
        return settled.position

    def _read_all(self, after: int, upto: int, limit: int | None) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        with self._unit_of_work._reading_once() as connection:
            rows = self._sql.read_all(connection, after=after, upto=upto, limit=limit)
        found = self._codec.decode_many([row[3] for row in rows])
        return all_recorded(
            found, [row[1] for row in rows], [row[2] for row in rows], positions=[row[0] for row in rows]
        )


def _lost_closing(name: str) -> RevisionConflict:
    return RevisionConflict(stream=name, expected=STREAM_EXISTS, actual=1)


class AsyncSqlEventStore(AsyncEventStore[E], Generic[E]):
    """The async twin of SqlEventStore: it runs the work of one in the `run` of an AsyncUnitOfWork.

    Args:
        unit_of_work: a unit of work of the database with the table.
        table: a table made by `events_table`.
        codec: the closed set of the events.

    Raises:
        ValueError: as SqlEventStore does.
    """

    def __init__(self, unit_of_work: AsyncUnitOfWork, table: Table, codec: MessageCodec[E]) -> None:
        self._unit_of_work = unit_of_work
        self._inner = SqlEventStore(unit_of_work.inner, table, codec)

    async def append(
        self, stream: StreamId, events: Sequence[E], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]:
        """Append events to a stream, all of them or none; see SqlEventStore."""
        inner, unit_of_work = self._inner, self._unit_of_work
        given = inner._append(stream, events, expected)
        if inner._commits_by_itself(given):
            return await self._retried(
                lambda: unit_of_work._run_committing(lambda connection: inner._stored_on(connection, given)), given.lost
            )
        return await self._retried(lambda: unit_of_work.run(lambda: inner._stored(given)), given.lost)

    async def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of a stream, the oldest first; see SqlEventStore."""
        inner = self._inner
        return await self._unit_of_work.run(
            lambda: inner.read(stream, after=after, limit=limit, backwards=backwards), read_only=True
        )

    async def read_all(
        self, *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of all streams by position, the oldest first; see SqlEventStore."""
        inner, is_inside = self._inner, self._inner._is_inside()
        settled = await self._unit_of_work.run(inner._settled, read_only=True)
        upto = inner._upto(settled, is_inside=is_inside)
        if upto <= after:
            return ()
        return await self._unit_of_work.run(lambda: inner._read_all(after, upto, limit), read_only=True)

    async def archive(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Close a stream: it can be read, and nothing can be appended to it any more; see SqlEventStore."""
        return await self._closed(stream_name(stream), is_deleted=False)

    async def delete(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Remove the events of a stream, for ever, and keep its name; see SqlEventStore."""
        return await self._closed(stream_name(stream), is_deleted=True)

    async def _closed(self, name: str, *, is_deleted: bool) -> Result[Appended, RevisionConflict]:
        work = partial(self._inner._closed, name, is_deleted=is_deleted)
        return await self._retried(lambda: self._unit_of_work.run(work), lambda: _lost_closing(name))

    async def _retried(
        self, work: Callable[[], Coro[Result[Appended, RevisionConflict]]], lost: Callable[[], RevisionConflict]
    ) -> Result[Appended, RevisionConflict]:
        """Retry if PostgreSQL aborted the transaction because another one was faster; see SqlEventStore."""
        is_inside = self._inner._is_inside()
        while True:
            try:
                return await work()
            except ConflictError as error:
                if state_of(error.__cause__) != SERIALIZATION_FAILURE:
                    raise
                if is_inside:
                    return Failure(lost())
