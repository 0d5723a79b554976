"""The statements of an event store: SQL with a place for the name of the table, sent as the driver takes it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from attrs import frozen
from sqlalchemy import Connection, Table, text
from sqlalchemy.engine import CursorResult

from domainkit.adapters.sqlalchemy.statements import insert_new

EventRow: TypeAlias = tuple[UUID, str, int, bytes]
"""An event as it is stored: its id, name, version and body."""

Values: TypeAlias = Mapping[str, object]


@frozen
class End:
    """The end of a stream.

    Args:
        revision: of its last event, deleted or not; 0 if the stream does not exist.
        position: of that event.
        is_closed: nothing can be appended.
        is_deleted: its events are gone.
    """

    revision: int = 0
    position: int = 0
    is_closed: bool = False
    is_deleted: bool = False


@frozen
class Settled:
    """The position up to which no event can appear any more.

    Args:
        position: the largest such position.
        has_old_snapshot: this transaction doesn't see all events up to there, nor will it.
    """

    position: int
    has_old_snapshot: bool = False


_HEAD = (
    "coalesce((SELECT CASE WHEN body IS NULL THEN -1 ELSE revision END FROM {events}"
    " WHERE stream = :stream ORDER BY revision DESC LIMIT 1), 0) = :start"
)
"""True if the stream is open, and has the revision :start."""

_END = "SELECT revision, position, body IS NULL FROM {events} WHERE stream = :stream ORDER BY revision DESC LIMIT 2"

_FIRST = "SELECT revision - 1 FROM {events} WHERE stream = :stream AND message_id = :id ORDER BY revision LIMIT 1"

_IDS = (
    "SELECT message_id, position FROM {events}"
    " WHERE stream = :stream AND revision > :start AND revision <= :end ORDER BY revision"
)

_DELETE = (
    "UPDATE {events} SET message_id = NULL, name = NULL, version = NULL, body = NULL"
    " WHERE stream = :stream AND body IS NOT NULL"
)

_READ = (
    "SELECT revision, position, body FROM {events} WHERE stream = :stream AND revision > :after AND body IS NOT NULL"
)

_READ_ALL = (
    "SELECT position, stream, revision, body FROM {events}"
    " WHERE position > :after AND position <= :upto AND body IS NOT NULL ORDER BY position"
)

_LARGEST, MOST_REVISIONS = 2**63 - 1, 2**31 - 1


class EventStatements(ABC):
    """The statements for one table of events.

    Args:
        table: made by `events_table`.
        dialect: the name of the database.
    """

    most: int
    """The most events that one statement appends."""

    def __init__(self, table: Table, dialect: str) -> None:
        self._table = table
        self._close = insert_new(table, dialect, table.c.stream, table.c.revision)
        self._compiled: dict[tuple[object, ...], tuple[str, tuple[str, ...] | None]] = {}

    def end(self, connection: Connection, stream: str) -> End:
        """Return the end of a stream."""
        rows = self._run(connection, _END, {"stream": stream}).all()
        if not rows or not rows[0][2]:
            return End(*rows[0][:2]) if rows else End()
        revision, position, is_deleted = rows[1]
        return End(revision, position, is_closed=True, is_deleted=bool(is_deleted))

    def append(self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow]) -> int | None:
        """Store events after the revision `start`, and return the position of the last one.

        None if the stream has another revision, or is closed: nothing is stored then.
        """
        position: int | None = None
        if start + len(rows) > MOST_REVISIONS:
            return None
        for done in range(0, len(rows), self.most):
            position = self._append(connection, stream, start + done, rows[done : done + self.most])
            if position is None:
                break  # of the first part: who has stored that, alone stores the next
        return position

    def places(
        self, connection: Connection, stream: str, start: int | None, ids: Sequence[UUID]
    ) -> Sequence[tuple[int, int]]:
        """Return the revision and position of the events with these ids, if they follow one another in the stream.

        Args:
            connection: where a transaction is open.
            stream: its name.
            start: the revision before them; if it is None they are looked for.
            ids: in their order.
        """
        keys = list(map(self.key, ids))
        if start is None:
            start = self._run(connection, _FIRST, {"stream": stream, "id": keys[0]}).scalar()
        if start is None:
            return ()
        found = self._run(connection, _IDS, {"stream": stream, "start": start, "end": start + len(keys)}).all()
        if [row[0] for row in found] != keys:
            return ()
        return [(revision, row[1]) for revision, row in enumerate(found, start + 1)]

    def close(self, connection: Connection, stream: str, revision: int) -> bool:
        """Store the row that closes a stream; False if another one has that revision."""
        return connection.execute(self._close, {"stream": stream, "revision": revision}).rowcount == 1

    def delete(self, connection: Connection, stream: str) -> None:
        """Remove what the events of a stream say; their revisions stay."""
        self._run(connection, _DELETE, {"stream": stream})

    def read(
        self, connection: Connection, stream: str, *, after: int, limit: int | None, backwards: bool
    ) -> Sequence[Any]:  # Any: rows of SQLAlchemy, here and below
        """Return revision, position and body of the events of a stream."""
        order = " ORDER BY revision DESC" if backwards else " ORDER BY revision"
        return self._read(connection, _READ + order, {"stream": stream, "after": after}, limit)

    def read_all(self, connection: Connection, *, after: int, upto: int, limit: int | None) -> Sequence[Any]:
        """Return position, stream, revision and body of all events, up to a position."""
        return self._read(connection, _READ_ALL, {"after": after, "upto": upto}, limit)

    @abstractmethod
    def settled(self, connection: Connection) -> Settled:
        """Return the position up to which no event can appear any more."""

    @abstractmethod
    def key(self, message_id: UUID) -> object:
        """Return an id as the driver gives it."""

    @abstractmethod
    def _append(self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow]) -> int | None:
        """Store so many events as one statement takes; see `append`."""

    def _read(self, connection: Connection, sql: str, values: Values, limit: int | None) -> Sequence[Any]:
        if limit is None:
            return self._run(connection, sql, values).all()
        return self._run(connection, sql + " LIMIT :limit", {**values, "limit": limit}).all()

    def _run(self, connection: Connection, sql: str, values: Values) -> CursorResult[*tuple[Any, ...]]:
        """Execute SQL, compiled once for a driver and a schema: SQLAlchemy would look it up each time."""
        name, dialect = self.name(connection), connection.dialect
        key = sql, name, dialect.driver, dialect.paramstyle
        if key not in self._compiled:
            compiled = text(sql.format(events=name.replace(":", "\\:"))).compile(dialect=dialect)
            order = compiled.positiontup if compiled.positional else None
            self._compiled[key] = str(compiled), None if order is None else tuple(order)
        statement, order_of = self._compiled[key]
        given = dict(values) if order_of is None else tuple([values[one] for one in order_of])
        return connection.exec_driver_sql(statement, given)

    def name(self, connection: Connection) -> str:
        """Return the table's name as it stands in SQL, in the schema that the connection has for it."""
        return name_in_sql(connection, self._table)


def name_in_sql(connection: Connection, table: Table) -> str:
    """Return a table's name as it stands in SQL, in the schema that the connection has for it."""
    quote, schema = connection.dialect.identifier_preparer.quote, table.schema
    translated = connection.get_execution_options().get("schema_translate_map")
    if translated:
        schema = translated.get(schema, schema)
    return quote(table.name) if schema is None else f"{quote(schema)}.{quote(table.name)}"


class SqliteEvents(EventStatements):
    """The statements for SQLite, where one transaction writes at a time: positions are in the order of commits."""

    most = 100

    def key(self, message_id: UUID) -> object:
        """Return the hexadecimal text."""
        return message_id.hex

    def settled(self, connection: Connection) -> Settled:  # noqa: ARG002  (PostgreSQL needs it)
        """Return the largest position that there can be."""
        return Settled(_LARGEST)

    def _append(self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow]) -> int | None:
        values: dict[str, object] = {"stream": stream, "start": start}
        for number, (message_id, name, version, body) in enumerate(rows):
            values[f"i{number}"], values[f"n{number}"] = message_id.hex, name
            values[f"v{number}"], values[f"b{number}"] = version, body
        made = self._run(connection, _sqlite_append(len(rows)), values)
        return made.lastrowid if made.rowcount else None


def _sqlite_append(count: int) -> str:
    """Return the statement for so many events.

    >>> _sqlite_append(2).partition("FROM")[2].partition(" WHERE")[0]
    ' (VALUES (1, :i0, :n0, :v0, :b0), (2, :i1, :n1, :v1, :b1))'
    """
    rows = ", ".join(f"({number + 1}, :i{number}, :n{number}, :v{number}, :b{number})" for number in range(count))
    return (
        "INSERT INTO {events} (stream, revision, message_id, name, version, body)"  # noqa: S608  (made of numbers)
        f" SELECT :stream, :start + column1, column2, column3, column4, column5 FROM (VALUES {rows}) WHERE {_HEAD}"
    )


_IT = "it AS MATERIALIZED (SELECT CAST(CAST(:table AS regclass) AS oid) AS id)"

_FLAG = "'domainkit.appends_to_' || it.id"

ANNOUNCED = f"""announced AS MATERIALIZED (
    SELECT CASE WHEN coalesce(current_setting({_FLAG}, true), '') = '' THEN
        set_config({_FLAG}, 'yes', true) || CAST(pg_advisory_xact_lock_shared(CAST(it.id AS int), CAST(CAST(coalesce(
            (SELECT max(position) FROM {{events}}), 0) AS bit(32)) AS int)) AS text)
    END FROM it)"""  # noqa: S608  (put together of what stands here)
"""Says to readers, before the first position is drawn, that this transaction will draw larger ones than there are.

By a lock that nobody waits for, of the table and the largest position (its last 32 bits), which goes with the
transaction; once in each, and again after a savepoint was rolled back, since that takes back lock and setting.
"""

_POSTGRESQL_APPEND = f"""WITH {_IT}, {ANNOUNCED}, given AS MATERIALIZED (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:versions AS int[]),
        CAST(:bodies AS bytea[])) WITH ORDINALITY AS one(id, name, version, body, number)
), first AS (
    INSERT INTO {{events}} (stream, revision, message_id, name, version, body)
    SELECT CAST(:stream AS text), CAST(:start AS int) + 1, id, name, version, body FROM announced, given
    WHERE number = 1 AND {_HEAD}
    ON CONFLICT (stream, revision) DO NOTHING RETURNING position
), rest AS (
    INSERT INTO {{events}} (stream, revision, message_id, name, version, body)
    SELECT CAST(:stream AS text), CAST(:start AS int) + number, id, name, version, body FROM first, given
    WHERE number > 1 ORDER BY number RETURNING position
) SELECT max(position) FROM (SELECT position FROM first UNION ALL SELECT position FROM rest) AS stored"""  # noqa: S608  (put together of what stands here)
"""Stores all or nothing: nobody else can have a later revision than that of the first event.

If another transaction is storing that one, it waits for the end of that.
"""

_POSTGRESQL_SETTLED = """SELECT least(seen.top, min(
    seen.top + ((CAST(held.objid AS bigint) - seen.top + 2147483648) & 4294967295) - 2147483648
)), current_setting('transaction_isolation') FROM (
    SELECT coalesce(max(position), 0) AS top FROM {events} WHERE pg_current_wal_insert_lsn() IS NOT NULL
) AS seen LEFT JOIN pg_locks AS held ON held.locktype = 'advisory' AND held.objsubid = 2
    AND held.classid = CAST(CAST(:table AS regclass) AS oid)
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
GROUP BY seen.top"""
"""The smallest position that a running transaction announced, or the largest that there is: see PostgresqlEvents.

It fails on a server that only repeats another one's writes, where nothing is known of locks.
"""


class PostgresqlEvents(EventStatements):
    """The statements for PostgreSQL, where transactions write side by side, and commit in another order.

    A position is drawn when an event is stored, and seen when its transaction has committed: positions appear out of
    order. A reader that remembers the last one it saw would skip those that appear below it later. So a transaction
    announces, before it draws its first position, the largest that it sees; all of its own will be larger. A reader
    asks first for the largest position that is stored (T) and for what is announced, and then, in a statement with a
    snapshot of its own, for the events up to the smallest of these (S). Whoever has drawn a position below S

    - had not announced it yet when the reader asked: then it was drawn after T was stored, and is larger than T; or
    - was running: then it is larger than what was announced, and so than S; or
    - had ended, since locks are given back after a commit is seen: then the second statement sees its events.

    So no event appears at or below S any more. Only transactions that append to this table hold a reader back, no
    others: that is why it isn't done by `pg_snapshot_xmin`, and the order of a stream is that of its positions, which
    that of transaction ids is not.
    """

    most = 2**31

    def key(self, message_id: UUID) -> object:
        """Return the id itself."""
        return message_id

    def settled(self, connection: Connection) -> Settled:
        """Return the position, and if a later statement of the transaction sees what is committed meanwhile."""
        position, level = self._run(connection, _POSTGRESQL_SETTLED, {"table": self.name(connection)}).one()
        return Settled(position, has_old_snapshot=level in {"repeatable read", "serializable"})

    def _append(self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow]) -> int | None:
        ids, names, versions, bodies = map(list, zip(*rows, strict=True))
        values = {"table": self.name(connection), "stream": stream, "start": start}
        arrays = {"ids": ids, "names": names, "versions": versions, "bodies": bodies}
        position: int | None = self._run(connection, _POSTGRESQL_APPEND, values | arrays).scalar()
        return position
