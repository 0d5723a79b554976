"""Streams of events in a SQL database."""

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import Any, Generic, TypeVar, overload

from returns.result import Failure, Result, Success
from sqlalchemy import Connection, Table

from domainkit.adapters.sqlalchemy.announcements import Announcement, Announcers
from domainkit.adapters.sqlalchemy.engines import NO_OPTIONS, is_usual
from domainkit.adapters.sqlalchemy.event_appends import (
    NO_LIMIT,
    Conditioned,
    EncodedAppend,
    EncodedConditionalAppend,
    is_final,
    lost_closing,
)
from domainkit.adapters.sqlalchemy.event_locks import Tags
from domainkit.adapters.sqlalchemy.event_statements import EventRow, EventStatements, Settled, SqliteEvents
from domainkit.adapters.sqlalchemy.event_tags import Checked, Guard, SqliteTaggedEvents, TaggedEvents
from domainkit.adapters.sqlalchemy.postgresql_event_tags import PostgresqlTaggedEvents
from domainkit.adapters.sqlalchemy.postgresql_events import PostgresqlEvents
from domainkit.adapters.sqlalchemy.tables import event_tags_table, events_table, require_columns
from domainkit.adapters.sqlalchemy.unit_of_work import UnitOfWork
from domainkit.adapters.sqlalchemy.units import current
from domainkit.codec import MessageCodec
from domainkit.errors import ConflictError
from domainkit.event_store import (
    ANY_REVISION,
    STREAM_EXISTS,
    Appended,
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
from domainkit.messages import DomainEvent
from domainkit.projections import Projection
from domainkit.tags import AppendCondition, ConditionConflict, Decision, EventQuery, Selection, selections, tags_reader

X = TypeVar("X")

_STATEMENTS: Mapping[str, type[EventStatements]] = MappingProxyType(
    {"sqlite": SqliteEvents, "postgresql": PostgresqlEvents}
)
_TAGGED: Mapping[str, type[SqliteTaggedEvents | PostgresqlTaggedEvents]] = MappingProxyType(
    {"sqlite": SqliteTaggedEvents, "postgresql": PostgresqlTaggedEvents}
)
_FOR_CONDITION = MappingProxyType({"isolation_level": "READ COMMITTED"})
"""The options of a transaction on PostgreSQL that sees what is committed while it waits for its locks."""


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
        tags: made by `event_tags_table`; needed for queries and conditions. All stores of the table of events need it,
            since a condition doesn't see events that are appended without their tags.
        wakes: True to wake the projectors after an append, on PostgreSQL: a thread then sends NOTIFY on a connection of
            its own, as long as a projector listens. On SQLite projectors notice a commit by themselves.

    Raises:
        ValueError: `table` wasn't made by `events_table` or `tags` by `event_tags_table`, or the database is neither
            SQLite nor PostgreSQL.
    """

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        table: Table,
        codec: MessageCodec[E],
        *,
        tags: Table | None = None,
        wakes: bool = True,
    ) -> None:
        require_columns(table, events_table)
        dialect = unit_of_work.dialect
        if dialect not in _STATEMENTS:
            raise ValueError(f"SqlEventStore: expected SQLite or PostgreSQL, got {dialect}")
        if tags is not None:
            require_columns(tags, event_tags_table)
        self._with_tags: TaggedEvents | None = None if tags is None else _TAGGED[dialect](table, tags, dialect)
        self._sql = _STATEMENTS[dialect](table, dialect) if self._with_tags is None else self._with_tags
        self._table, self._unit_of_work, self._outbox = table, unit_of_work, unit_of_work.outbox
        self._for_condition = _FOR_CONDITION if dialect == "postgresql" else NO_OPTIONS
        self._announcement = _announcement(table, unit_of_work) if wakes else None
        self._codec = codec
        self._wires = codec.wires
        self._readers = {cls: tags_reader(cls) for cls in codec.wires if issubclass(cls, DomainEvent)}

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
        """Append events, all of them or none; see EventStore.

        On PostgreSQL a store with tags waits for those who are appending events with one of these tags, in a unit of
        work to the end of that. A condition waits for those with tags of its query too, and one whose query has an
        item without ids for all who are appending; so does an append of events with more than 64 tags.

        Raises:
            OutcomeUnknownError: the connection was lost while committing, outside of a unit of work. Append the same
                events again, under the same condition: they are stored once.
            ConflictError: two units of work waited for each other's tags, and PostgreSQL ended this one.
            RuntimeError: there is a condition, and the store has no tags; or the open unit of work is REPEATABLE READ
                or SERIALIZABLE, and would not see what was appended meanwhile.
        """
        if isinstance(second, AppendCondition):
            work = self._conditional(events_of(first, expected), second, stream)
            if isinstance(work, Success):
                return work
            stored = self._stored_if_alone if self._begins_by_itself() else self._stored_if
            return self._announced(self._retried(lambda: stored(work), ConditionConflict))
        return self._append_expected(*stream_and_expected(first, expected, stream), second)

    @overload
    def decide(self, query: EventQuery[Q], projection: Projection[S, Q], /) -> Result[Decision[S], UnreadableEvent]: ...
    @overload
    def decide(self, query: EventQuery, projection: Projection[S, E], /) -> Result[Decision[S], UnreadableEvent]: ...
    def decide(
        self, query: EventQuery, projection: Projection[S, Any], /
    ) -> Result[Decision[S], UnreadableEvent]:  # Any: the events of the query, which the overloads check
        """Return the state after the events of a query, and the condition for what is decided on it; see EventStore.

        It waits for nobody. An item of the query without ids finds events as `read_all` does: up to the first that a
        running transaction may still store.

        Raises:
            RuntimeError: the store has no tags; or the query has an item without ids, and the open unit of work is
                REPEATABLE READ or SERIALIZABLE.
        """
        wanted, upto = selections(query, self._codec), NO_LIMIT
        self._tagged()
        if not all(one.tags for one in wanted):
            upto = self._upto(self._settled(), is_inside=self._is_inside(), what="decide")
        return self._decided(query, projection, wanted, upto)

    def _append_expected(
        self, stream: StreamId, expected: ExpectedRevision, events: Sequence[E]
    ) -> Result[Appended, RevisionConflict]:
        given = self._append(stream, events, expected)
        if self._commits_by_itself(given):
            return self._announced(self._retried(lambda: self._stored_alone(given), given.lost))
        return self._announced(self._retried(lambda: self._stored(given), given.lost))

    def _announced(self, appended: Result[Appended, X]) -> Result[Appended, X]:
        """Wake the projectors after an append: now, or after the commit of the open unit of work."""
        if self._announcement is not None and isinstance(appended, Success):
            unit = current(self._unit_of_work)
            if unit is None:
                self._announcement.make(self._unit_of_work._engine)
            else:
                unit.announce(self._announcement)
        return appended

    def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of a stream, the oldest first; see EventStore."""
        check_range(after, limit)
        name = stream_name(stream)
        with self._unit_of_work._reading_once(single=True) as connection:
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
        check_range(after, limit)
        upto = self._upto(self._settled(), is_inside=self._is_inside(), what="read_all")
        return self._read_all(after, upto, limit) if upto > after else ()

    def archive(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Close a stream: it can still be read, but nothing can be appended to it; see EventStore.

        Raises:
            OutcomeUnknownError: as for `append`.
        """
        name = stream_name(stream)
        return self._retried(lambda: self._closed(name, is_deleted=False), lambda: lost_closing(name))

    def delete(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Remove the events of a stream permanently, and keep its name; see EventStore.

        Their content is removed from the table. The rows stay, with stream, revision and position.

        Raises:
            OutcomeUnknownError: as for `append`.
        """
        name = stream_name(stream)
        return self._retried(lambda: self._closed(name, is_deleted=True), lambda: lost_closing(name))

    def _append(self, stream: StreamId, events: Sequence[E], expected: ExpectedRevision) -> EncodedAppend:
        """Return an append, checked and encoded."""
        name, start, given = stream_name(stream), start_of(expected), checked_events(events)
        rows = [self._row(event) for event in given]
        outgoing = () if self._outbox is None else self._outbox.rows(given, key=name)
        tags = () if self._with_tags is None else self._tags_of(given)
        return EncodedAppend(name, expected, start, rows, outgoing, tags)

    def _conditional(
        self, events: Sequence[E], condition: AppendCondition, stream: StreamId | None
    ) -> EncodedConditionalAppend | Success[Appended]:
        """Return an append under a condition, checked and encoded; a Success if there is nothing to append."""
        self._tagged()
        guard = Guard(selections(condition.query, self._codec), condition.positions)
        given = checked_events(events)
        if not given:
            return appended_nothing(condition)
        name = stream_for(given, stream)
        rows = [self._row(event) for event in given]
        outgoing = () if self._outbox is None else self._outbox.rows(given, key=name)
        return EncodedConditionalAppend(name, guard, rows, self._tags_of(given), outgoing)

    def _tags_of(self, events: Sequence[E]) -> Sequence[Tags]:
        return [self._readers[type(event)](event) for event in events]

    def _tagged(self) -> TaggedEvents:
        if self._with_tags is None:
            raise RuntimeError(
                "SqlEventStore: expected a table of tags for a query or a condition, got none; make one with "
                "event_tags_table, and give it as tags="
            )
        return self._with_tags

    def _row(self, event: E) -> EventRow:
        body = self._codec.encode(event)
        info = self._wires[type(event)].info
        return event.header.id.value, info.name, info.version, body

    def _is_inside(self) -> bool:
        return current(self._unit_of_work) is not None

    def _commits_by_itself(self, given: EncodedAppend) -> bool:
        """Check if a single statement can store it outside of a unit of work: that takes one trip to the server."""
        is_one = given.start is not None and not given.outgoing and 0 < len(given.rows) <= self._sql.most
        if self._with_tags is not None and not self._with_tags.appends_at_once:
            return False
        return is_one and not self._is_inside() and is_usual(self._unit_of_work._engine)

    def _begins_by_itself(self) -> bool:
        """Check if a conditional append sends its own BEGIN, outside of a unit of work: that saves a trip."""
        return not self._is_inside() and self._tagged().appends_at_once and is_usual(self._unit_of_work._engine)

    def _retried(self, work: Callable[[], Result[Appended, X]], lost: Callable[[], X]) -> Result[Appended, X]:
        """Retry if PostgreSQL aborted the transaction because another one was faster; inside a unit, return `lost`."""
        is_inside = self._is_inside()
        while True:
            try:
                return work()
            except ConflictError as error:
                if is_final(error, is_inside=is_inside):
                    return Failure(lost())

    def _stored_alone(self, given: EncodedAppend) -> Result[Appended, RevisionConflict]:
        with self._unit_of_work._committing() as connection:
            return self._stored_on(connection, given, alone=True)

    def _stored(self, given: EncodedAppend) -> Result[Appended, RevisionConflict]:
        return self._in_transaction(lambda connection: self._stored_on(connection, given))

    def _in_transaction(
        self, work: Callable[[Connection], X], options: Mapping[str, Any] = NO_OPTIONS
    ) -> X:  # Any: the options are those of SQLAlchemy
        """Do work in the open unit of work, or in a transaction of its own with these options."""
        if not self._is_inside():
            return self._unit_of_work._alone(work, options)
        with self._unit_of_work.writing() as connection:
            return work(connection)

    def _stored_on(
        self, connection: Connection, given: EncodedAppend, *, alone: bool = False
    ) -> Result[Appended, RevisionConflict]:
        """Append, or return the reason why not; retry if another writer appended, and the expectation still holds.

        Args:
            connection: where a transaction is open, or one that commits by itself.
            given: the append.
            alone: the connection commits by itself.
        """
        start = given.start
        while True:
            if start is not None and given.rows:
                position = self._inserted(connection, given, start, alone=alone)
                if position is not None:
                    if self._outbox is not None:
                        self._outbox.store(connection, given.outgoing)
                    return Success(Appended(start + len(given.rows), position))
            answer = self._answer(connection, given)
            if not isinstance(answer, int):
                return answer
            start = answer

    def _inserted(self, connection: Connection, given: EncodedAppend, start: int, *, alone: bool) -> int | None:
        if self._with_tags is not None:
            return self._with_tags.append_tagged(connection, given.stream, start, given.rows, given.tags)
        append = self._sql.append_alone if alone else self._sql.append
        return append(connection, given.stream, start, given.rows)

    def _stored_if_alone(self, given: EncodedConditionalAppend) -> Conditioned:
        with self._unit_of_work._committing() as connection:
            return self._stored_in_own(connection, given)

    def _stored_in_own(self, connection: Connection, given: EncodedConditionalAppend) -> Conditioned:
        """Append in a transaction of its own: in one trip to the server, or in three if there is an outbox.

        The three are to begin and lock, to check and store, and to commit.
        """
        tagged, append = self._tagged(), (given.guard, given.stream, given.rows, given.tags)
        if not given.outgoing:
            checked = tagged.append_if_at_once(connection, *append)
            found = None if checked is None else self._outcome(connection, given, checked)
            if found is not None:
                return found
        try:
            tagged.begin_locked(connection, given.guard, given.tags)
            outcome = self._stored_under(connection, given)
            tagged.commit(connection)
        except BaseException:
            tagged.roll_back(connection)
            raise
        return outcome

    def _stored_if(self, given: EncodedConditionalAppend) -> Conditioned:
        return self._in_transaction(lambda connection: self._stored_if_on(connection, given), self._for_condition)

    def _stored_if_on(self, connection: Connection, given: EncodedConditionalAppend) -> Conditioned:
        if not self._tagged().lock(connection, given.guard, given.tags):
            raise RuntimeError(
                "append: expected READ COMMITTED for a condition, got a higher isolation level, where events that "
                "were committed meanwhile are not seen; append outside of that unit of work"
            )
        return self._stored_under(connection, given)

    def _stored_under(self, connection: Connection, given: EncodedConditionalAppend) -> Conditioned:
        """Append if the condition holds; again if another one, without these tags, appended to the same stream."""
        outcome: Conditioned | None = None
        while outcome is None:
            checked = self._tagged().append_if(connection, given.guard, given.stream, given.rows, given.tags)
            outcome = self._outcome(connection, given, checked)
        return outcome

    def _outcome(self, connection: Connection, given: EncodedConditionalAppend, checked: Checked) -> Conditioned | None:
        """Return the answer; None if nothing was stored because of a race for the revision."""
        if checked.position is not None:
            if self._outbox is not None:
                self._outbox.store(connection, given.outgoing)
            return Success(Appended(checked.revision + len(given.rows), checked.position))
        if checked.is_closed:
            revision = self._sql.end(connection, given.stream).revision
            return Failure(StreamClosed(stream=given.stream, expected=ANY_REVISION, actual=revision))
        if checked.repeated is not None:
            ids = [row[0] for row in given.rows]
            places = self._sql.places(connection, given.stream, None, ids)
            if places:
                return Success(Appended(*places[-1]))
        position = checked.repeated if checked.repeated is not None else checked.further
        return None if position is None else Failure(ConditionConflict(position=position))

    def _decided(
        self, query: EventQuery, projection: Projection[S, Any], wanted: Sequence[Selection], upto: int
    ) -> Result[Decision[S], UnreadableEvent]:  # Any: the events of the query
        with self._unit_of_work._reading_once(single=True) as connection:
            rows = self._tagged().find(connection, wanted, upto)
        after, found, last = [0] * len(wanted), list[tuple[int, str, int, bytes]](), 0
        for position, stream, revision, body, number in rows:
            if stream is None:
                after[number] = position or 0
            elif position != last:  # an event that two items select comes twice
                found.append((position, stream, revision, body))
                last = position
        stored = self._all_recorded(found)
        positions = [one if item.tags else min(one, upto) for item, one in zip(wanted, after, strict=True)]
        return decided(query, projection, stored, positions[0] if len(positions) == 1 else tuple(positions))

    def _answer(self, connection: Connection, given: EncodedAppend) -> Result[Appended, RevisionConflict] | int:
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
        with self._unit_of_work._reading_once(single=True) as connection:
            return self._sql.settled(connection)

    def _upto(self, settled: Settled, *, is_inside: bool, what: str) -> int:
        if settled.has_old_snapshot and is_inside:
            raise RuntimeError(
                f"{what}: expected a unit of work at READ COMMITTED, got a higher isolation level, where events that "
                "were committed since it began are not seen, and would be skipped; read outside of it"
            )
        return settled.position

    def _read_all(self, after: int, upto: int, limit: int | None) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        with self._unit_of_work._reading_once(single=True) as connection:
            rows = self._sql.read_all(connection, after=after, upto=upto, limit=limit)
        return self._all_recorded(rows)

    def _all_recorded(
        self, rows: Sequence[Any]
    ) -> tuple[RecordedEvent[E] | UnreadableEvent, ...]:  # Any: rows of SQLAlchemy, or tuples like them
        """Return the events of rows, each with a position, a stream, a revision and a body."""
        positions, streams, revisions, bodies = zip(*rows, strict=True) if rows else ((), (), (), ())
        return all_recorded(self._codec.decode_many(bodies), streams, revisions, positions)


def _announcement(table: Table, unit_of_work: UnitOfWork) -> Announcement | None:
    """Return what wakes projectors, by the thread of the outbox if there is one; None if SQLite does so by itself."""
    if unit_of_work.dialect == "sqlite":
        return None
    outbox = unit_of_work.outbox
    announcement = Announcement(table, Announcers() if outbox is None else outbox._announcers, if_heard=True)
    announcement.expect(unit_of_work._engine)
    return announcement
