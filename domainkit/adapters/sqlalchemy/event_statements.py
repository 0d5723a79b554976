"""The SQL of an event store, with a placeholder for the name of the table."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from attrs import frozen
from sqlalchemy import Connection, Dialect, Table, text
from sqlalchemy.engine import CursorResult

from domainkit.adapters.sqlalchemy.lean import send
from domainkit.adapters.sqlalchemy.statements import insert_new
from domainkit.adapters.sqlalchemy.tables import name_in_sql

EventRow: TypeAlias = tuple[UUID, str, int, bytes]
"""A row of the table: id, name, version and body of an event."""

Values: TypeAlias = Mapping[str, object]


@frozen
class End:
    """The end of a stream.

    Args:
        revision: the revision of its last event, even if that was deleted; 0 if the stream does not exist.
        position: the position of that event.
        is_closed: True if nothing can be appended any more.
        is_deleted: True if its events were deleted.
    """

    revision: int = 0
    position: int = 0
    is_closed: bool = False
    is_deleted: bool = False


@frozen
class Settled:
    """The position up to which no further event can appear.

    Args:
        position: the largest such position.
        has_old_snapshot: True if this transaction doesn't see all events up to there: its snapshot is older.
    """

    position: int
    has_old_snapshot: bool = False


HEAD = (
    "coalesce((SELECT CASE WHEN one.body IS NULL THEN -1 ELSE one.revision END FROM {events} AS one"
    " WHERE one.stream = :stream ORDER BY one.revision DESC LIMIT 1), 0)"
)
"""The revision of a stream: 0 if it does not exist, and -1 if it is closed.

The order names the table: a bare `revision` would be the outcome of CASE, which no index has in order.
"""

IS_AT_START = f"{HEAD} = :start"
"""A condition: the stream is open, and has the revision :start."""

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
                break  # only the first part can be refused: nobody else can store behind it
        return position

    def append_alone(self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow]) -> int | None:
        """Do what `append` does, on a connection that commits by itself; there are at most `most` events."""
        return self.append(connection, stream, start, rows)

    def places(
        self, connection: Connection, stream: str, start: int | None, ids: Sequence[UUID]
    ) -> Sequence[tuple[int, int]]:
        """Return the revision and position of the events with these ids, if they follow one another in the stream.

        Args:
            connection: where a transaction is open.
            stream: its name.
            start: the revision before them; None to search the stream for the first of them.
            ids: the ids, in the order of the events.
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
        """Store the row that closes a stream; return False if that revision is taken."""
        return connection.execute(self._close, {"stream": stream, "revision": revision}).rowcount == 1

    def delete(self, connection: Connection, stream: str) -> None:
        """Clear the content of a stream's events; the rows keep their revisions and positions."""
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
        """Return the position up to which no further event can appear."""

    @abstractmethod
    def key(self, message_id: UUID) -> object:
        """Return an id in the form in which the driver returns it."""

    @abstractmethod
    def _append(self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow]) -> int | None:
        """Store events by one statement, at most `most` of them; see `append`."""

    def _read(self, connection: Connection, sql: str, values: Values, limit: int | None) -> Sequence[Any]:
        if limit is None:
            return self._run(connection, sql, values).all()
        return self._run(connection, sql + " LIMIT :limit", {**values, "limit": limit}).all()

    def _run(self, connection: Connection, sql: str, values: Values) -> CursorResult[*tuple[Any, ...]]:
        """Execute SQL, compiled once for each driver and schema: SQLAlchemy would look it up on each call."""
        return connection.exec_driver_sql(*self._for_driver(connection, sql, values))

    def _for_driver(self, connection: Connection, sql: str, values: Values) -> tuple[str, Any]:  # Any: for the driver
        """Return SQL as it is given to the driver, and its parameters."""
        dialect, schemas = connection.dialect, connection.get_execution_options().get("schema_translate_map")
        key = sql, tuple(schemas.items()) if schemas else None, dialect.driver, dialect.paramstyle
        if key not in self._compiled:
            self._compiled[key] = self._compile(connection, sql)
        statement, order_of = self._compiled[key]
        return statement, dict(values) if order_of is None else tuple([values[one] for one in order_of])

    def _compile(self, connection: Connection, sql: str) -> tuple[str, tuple[str, ...] | None]:
        """Return SQL with the names in it, for a driver, and the order of its parameters if they have no names."""
        names = {key: name.replace(":", "\\:") for key, name in self._names(connection).items()}
        compiled = text(sql.format(**names)).compile(dialect=connection.dialect)
        order = compiled.positiontup if compiled.positional else None
        return self._sent(str(compiled), connection.dialect), None if order is None else tuple(order)

    def _names(self, connection: Connection) -> dict[str, str]:
        """Return what stands in a statement for each placeholder."""
        return {"events": self.name(connection)}

    def _sent(self, statement: str, dialect: Dialect) -> str:  # noqa: ARG002  (a driver may need more)
        """Return a compiled statement as it is given to the driver."""
        return statement

    def name(self, connection: Connection) -> str:
        """Return the table's name; see `name_in_sql`."""
        return name_in_sql(self._table, connection)


class SqliteEvents(EventStatements):
    """The statements for SQLite. Only one transaction writes at a time, so positions are in the order of commits."""

    most = 100

    def __init__(self, table: Table, dialect: str) -> None:
        super().__init__(table, dialect)
        self._appends: dict[tuple[int, str], str] = {}

    def key(self, message_id: UUID) -> object:
        """Return the hexadecimal text."""
        return message_id.hex

    def settled(self, connection: Connection) -> Settled:  # noqa: ARG002  (PostgreSQL needs it)
        """Return the largest possible position: no transaction can commit an earlier one later."""
        return Settled(_LARGEST)

    def _append(self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow]) -> int | None:
        key = len(rows), self.name(connection)
        if key not in self._appends:
            self._appends[key] = _sqlite_append(*key)
        given: list[object] = [stream, start]
        for message_id, name, version, body in rows:
            given += (message_id.hex, name, version, body)
        made = send(connection, self._appends[key], (*given, stream, start))
        return made.lastrowid if made.rowcount else None


def _sqlite_append(count: int, table: str) -> str:
    """Return the statement that appends so many events.

    Its values are the stream, the revision before, those of the rows, and again both.

    >>> print(_sqlite_append(2, "events").partition("FROM")[2].partition(" WHERE")[0])
     (VALUES (1, ?, ?, ?, ?), (2, ?, ?, ?, ?))
    """
    rows = ", ".join(f"({number}, ?, ?, ?, ?)" for number in range(1, count + 1))
    head = IS_AT_START.replace("{events}", table).replace(":stream", "?").replace(":start", "?")
    return (
        f"INSERT INTO {table} (stream, revision, message_id, name, version, body)"  # noqa: S608  (made of numbers, and a quoted name)
        f" SELECT ?, ? + column1, column2, column3, column4, column5 FROM (VALUES {rows}) WHERE {head}"
    )
