"""The statements of an event store with tags: a table beside that of the events, and locks around what is checked."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zlib import crc32

from attrs import frozen
from sqlalchemy import Connection, Table
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError

from domainkit.adapters.sqlalchemy.event_statements import (
    ANNOUNCED,
    MOST_REVISIONS,
    EventRow,
    EventStatements,
    PostgresqlEvents,
    SqliteEvents,
    Values,
)
from domainkit.adapters.sqlalchemy.lean import fetch, send
from domainkit.adapters.sqlalchemy.psycopg_cursors import can_send_together, sent_together, unprepared
from domainkit.adapters.sqlalchemy.tables import name_in_sql
from domainkit.tags import Selection

Tags = tuple[UUID, ...]
"""The tags of one event."""

_MOST_LOCKS = 64
"""The most tags that a transaction locks one by one: a server has room for some thousand locks, of all together."""

_EVERY = 0
"""The key of the lock of every append: shared by those that lock their tags, and held alone by those that can't."""


@frozen
class Guard:
    """The condition of an append, as statements take it.

    Args:
        selections: the items of the query.
        positions: for each the position after which nothing may be found.
    """

    selections: tuple[Selection, ...]
    positions: tuple[int, ...]

    @property
    def after(self) -> int:
        """The largest position: the same events under the same condition were stored behind it, if at all."""
        return max(self.positions)


@frozen
class Checked:
    """The answer to an append under a condition.

    Args:
        revision: of the last event of the stream before.
        is_closed: nothing can be appended to the stream.
        further: the position of the first event that the condition excludes.
        repeated: the position of an event with the id of the first one that is to be appended, in the same stream.
        position: of the last event that was stored; None if none was.
        has_old_snapshot: the transaction doesn't see what others have stored since it began, so it stored nothing.
    """

    revision: int
    is_closed: bool
    further: int | None
    repeated: int | None
    position: int | None = None
    has_old_snapshot: bool = False


@frozen
class Locks:
    """The locks of an append, in the order in which all take them.

    Args:
        keys: those of the tags, in ascending order.
        shared: for each if others may hold it too, who only guard the tag.
        alone: nobody else may append at all.
    """

    keys: list[int]
    shared: list[bool]
    alone: bool

    @classmethod
    def of(cls, written: Iterable[Tags], guarded: Sequence[Selection] = ()) -> "Locks":
        """Return the locks for tags that are written, and for selections that are guarded.

        A selection without tags may find an event of any writer, and many tags are more than a server can lock.
        """
        keys = {lock_key(tag): True for one in guarded for tag in one.tags}
        keys.update(dict.fromkeys(map(lock_key, {tag.int: tag for given in written for tag in given}.values()), False))
        if len(keys) > _MOST_LOCKS or not all(one.tags for one in guarded):
            return cls([], [], alone=True)
        order = sorted(keys)
        return cls(order, [keys[key] for key in order], alone=False)


def lock_key(tag: UUID) -> int:
    """Return the key of a tag's lock: 32 bits, never `_EVERY`. Processes of all versions must agree on it.

    >>> lock_key(UUID(int=5))
    -1663975462
    """
    key = crc32(tag.bytes) or 1
    return key - 2**32 if key >= 2**31 else key


class TaggedEvents(EventStatements):
    """The statements for a table of events, and one of their tags.

    Args:
        table: made by `events_table`.
        tags: made by `event_tags_table`.
        dialect: the name of the database.
    """

    appends_at_once: bool
    """One statement stores events and tags, and `begin_locked` begins a transaction."""

    def __init__(self, table: Table, tags: Table, dialect: str) -> None:
        super().__init__(table, dialect)
        self._tags = tags
        self._texts: dict[tuple[object, ...], str] = {}

    @abstractmethod
    def append_tagged(
        self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> int | None:
        """Store events and their tags; see `append`."""

    @abstractmethod
    def append_if(
        self, connection: Connection, guard: Guard, stream: str, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> Checked:
        """Store events and their tags at the end of a stream if nothing is against it; `lock` comes before."""

    def append_if_at_once(
        self, connection: Connection, guard: Guard, stream: str, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> Checked | None:
        """Do `lock` and `append_if` in one trip to the server, as one transaction; None if that is impossible here."""
        raise NotImplementedError

    def begin_locked(self, connection: Connection, guard: Guard, tags: Sequence[Tags]) -> None:
        """Begin a transaction on a connection that commits by itself, with the locks of an append under a condition."""
        raise NotImplementedError

    def commit(self, connection: Connection) -> None:
        """Commit what `begin_locked` began."""
        connection.exec_driver_sql("COMMIT")

    def roll_back(self, connection: Connection) -> None:
        """Roll back what `begin_locked` began; SQLAlchemy may not, since it takes the connection for one in autocommit.

        See https://docs.sqlalchemy.org/en/20/core/engines.html, `skip_autocommit_rollback`.
        """
        if not connection.invalidated:
            with suppress(DBAPIError):  # connection lost: the database rolls back by itself
                connection.exec_driver_sql("ROLLBACK")

    @abstractmethod
    def lock(self, connection: Connection, guard: Guard, tags: Sequence[Tags]) -> bool:
        """Wait for all who write these tags, or those of the guard; True if later statements see what they stored."""

    def find(self, connection: Connection, selections: Sequence[Selection], upto: int) -> Sequence[Any]:  # Any: rows
        """Return position, stream, revision, body and selection of the events of a query, by position.

        For each selection there is one row more, without a stream: its position is that of the last event that has the
        first of the tags, or of all events. All of it is from one snapshot.
        """
        shapes = tuple(map(_shape, selections))
        sql = self._text(("find", shapes), lambda: _find(shapes))
        return self._run(connection, sql, {"upto": upto, **self._values(selections)}).all()

    def delete(self, connection: Connection, stream: str) -> None:
        """Remove what the events of a stream say, and their tags; their revisions stay."""
        self._run(connection, _DELETE_TAGS, {"stream": stream})
        super().delete(connection, stream)

    def _checking(self, guard: Guard, row: EventRow, tags: Tags, around: str) -> tuple[str, dict[str, object]]:
        """Return a statement that has a place for what is against an append, `further` and `repeated`, and values."""
        shapes = tuple(map(_shape, guard.selections))
        sql = self._text(
            (around, shapes, bool(tags)), lambda: around.replace("{against}", _against(shapes, bool(tags)))
        )
        values = self._values(guard.selections)
        values.update({f"a{number}": after for number, after in enumerate(guard.positions)})
        values |= {"first": self.key(row[0]), "after": guard.after}
        if tags:
            values["tag"] = self.key(tags[0])
        return sql, values

    def _values(self, selections: Sequence[Selection]) -> dict[str, object]:
        values: dict[str, object] = {}
        for number, one in enumerate(selections):
            values.update({f"t{number}_{place}": self.key(tag) for place, tag in enumerate(one.tags)})
            values.update({f"n{number}_{place}": name for place, name in enumerate(one.names or ())})
        return values

    def _text(self, key: tuple[object, ...], make: Callable[[], str]) -> str:
        """Return SQL made once: what selections have in common is how many tags and names they have."""
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = make()
        return found

    def _for_driver(self, connection: Connection, sql: str, values: Values) -> tuple[str, Any]:  # Any: for the driver
        """Return SQL that has a place for the name of the table of tags too."""
        return super()._for_driver(connection, self._named(connection, sql), values)

    def _named(self, connection: Connection, sql: str) -> str:
        name = name_in_sql(self._tags, connection)
        in_sql = name.replace(":", "\\:").replace("{", "{{").replace("}", "}}")
        return self._text((sql, name), lambda: sql.replace("{tags}", in_sql))


Shape = tuple[int, int | None]
"""A selection without its values: how many tags it has, and how many names."""


def _shape(selection: Selection) -> Shape:
    return len(selection.tags), None if selection.names is None else len(selection.names)


def _find(shapes: Sequence[Shape]) -> str:
    """Return the statement that finds the events of selections, and the last position of each."""
    return f"{' UNION ALL '.join(_found(number, shape) for number, shape in enumerate(shapes))} ORDER BY 1"


def _found(number: int, shape: Shape) -> str:
    source, where = _source(number, shape)
    last = f"{{tags}} WHERE tag = :t{number}_0" if shape[0] else "{events}"
    limit = "" if shape[0] else " AND e.position <= :upto"
    return (
        f"SELECT e.position, e.stream, e.revision, e.body, {number} FROM {source}"  # noqa: S608  (made of names here)
        f" WHERE e.body IS NOT NULL{limit}{where}"
        f" UNION ALL SELECT max(position), NULL, NULL, NULL, {number} FROM {last}"
    )


def _source(number: int, shape: Shape) -> tuple[str, str]:
    """Return the tables of a selection, and its conditions."""
    tags, names = shape
    source, where = "{events} AS e", ""
    for place in range(tags):
        source += f" JOIN {{tags}} AS g{place} ON g{place}.position = e.position"
        where += f" AND g{place}.tag = :t{number}_{place}"
    if names is not None:
        where += f" AND e.name IN ({', '.join(f':n{number}_{place}' for place in range(names))})"
    return source, where


def _against(shapes: Sequence[Shape], has_tag: bool) -> str:  # noqa: FBT001  (private)
    """Return the SELECT of what is against an append: a further event, and one that is appended again."""
    further = []
    for number, shape in enumerate(shapes):
        source, where = _source(number, shape)
        place = "g0" if shape[0] else "e"
        further.append(
            f"SELECT min(e.position) AS position FROM {source}"  # noqa: S608  (as above)
            f" WHERE {place}.position > :a{number} AND e.body IS NOT NULL{where}"
        )
    near = " JOIN {tags} AS g ON g.position = e.position AND g.tag = :tag AND g.position > :after" if has_tag else ""
    return (
        f"SELECT (SELECT min(position) FROM ({' UNION ALL '.join(further)}) AS found) AS further,"  # noqa: S608  (as above)
        f" (SELECT min(e.position) FROM {{events}} AS e{near}"
        " WHERE e.stream = :stream AND e.message_id = :first AND e.position > :after) AS repeated"
    )


_DELETE_TAGS = "DELETE FROM {tags} WHERE position IN (SELECT position FROM {events} WHERE stream = :stream)"
"""Reads the whole table, which has no index by position: to delete is rare, and to append is not."""

_HEAD = (
    "SELECT coalesce((SELECT revision FROM {events} WHERE stream = :stream ORDER BY revision DESC LIMIT 1), 0)"
    " AS revision, coalesce((SELECT body IS NULL FROM {events} WHERE stream = :stream"
    " ORDER BY revision DESC LIMIT 1), {no}) AS is_closed"
)
"""The end of a stream."""


class SqliteTaggedEvents(TaggedEvents, SqliteEvents):
    """The statements for SQLite, where a transaction that writes is alone."""

    appends_at_once = False

    def lock(self, connection: Connection, guard: Guard, tags: Sequence[Tags]) -> bool:  # noqa: ARG002  (PostgreSQL needs them)
        """Return True: the transaction holds the lock of the database."""
        return True

    def append_tagged(
        self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> int | None:
        """Store events, and then their tags: those of one transaction have positions that follow one another."""
        position = self.append(connection, stream, start, rows)
        if position is not None:
            self._mark(connection, position - len(rows) + 1, tags)
        return position

    def append_if(
        self, connection: Connection, guard: Guard, stream: str, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> Checked:
        """Look first, and store then."""
        sql, values = self._checking(guard, rows[0], tags[0], _SQLITE_CHECK)
        ((revision, is_closed, further, repeated),) = fetch(
            connection, *self._for_driver(connection, sql, {**values, "stream": stream})
        )
        if is_closed or further is not None or repeated is not None:
            return Checked(revision, bool(is_closed), further, repeated)
        position = self.append_tagged(connection, stream, revision, rows, tags)
        return Checked(revision, False, None, None, position)

    def _mark(self, connection: Connection, first: int, tags: Sequence[Tags]) -> None:
        """Store the tags of events that begin at a position: by executemany, which SQLite does without a new parse."""
        pairs = [(tag.hex, position) for position, given in enumerate(tags, first) for tag in given]
        if pairs:
            statement = self._text(("mark", self._named(connection, "{tags}")), lambda: self._marking(connection))
            send(connection, statement, pairs)

    def _marking(self, connection: Connection) -> str:
        return f"INSERT INTO {name_in_sql(self._tags, connection)} (tag, position) VALUES (?, ?)"  # noqa: S608  (as above)


_SQLITE_CHECK = f"SELECT * FROM ({_HEAD.replace('{no}', '0')}) AS head, ({{against}}) AS against"  # noqa: S608  (as above)

_HELD = """its AS MATERIALIZED (SELECT CAST(CAST(CAST(:tags_table AS regclass) AS oid) AS int) AS id
), every AS MATERIALIZED (
    SELECT CASE WHEN CAST(:alone AS boolean) THEN CAST(pg_advisory_xact_lock(its.id, 0) AS text)
        ELSE CAST(pg_advisory_xact_lock_shared(its.id, 0) AS text) END FROM its
), held AS MATERIALIZED (
    SELECT CASE WHEN one.shared THEN CAST(pg_advisory_xact_lock_shared(its.id, one.key) AS text)
        ELSE CAST(pg_advisory_xact_lock(its.id, one.key) AS text) END
    FROM every, its, unnest(CAST(:keys AS int[]), CAST(:shared AS boolean[]))
        WITH ORDINALITY AS one(key, shared, number) ORDER BY number
), waited AS MATERIALIZED (SELECT (SELECT count(*) FROM every) + (SELECT count(*) FROM held) AS locks)"""
"""Takes the locks one after the other: first that of every append, then those of the tags."""

_OLD = "current_setting('transaction_isolation') IN ('repeatable read', 'serializable')"
"""A condition: the snapshot of the transaction is that of its first statement."""

_LOCK = f"WITH {_HELD} SELECT {_OLD} FROM waited"  # noqa: S608  (as below)

_GIVEN = """given AS MATERIALIZED (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:versions AS int[]),
        CAST(:bodies AS bytea[])) WITH ORDINALITY AS one(id, name, version, body, number)
)"""

_STORED = """first AS (
    INSERT INTO {{events}} (stream, revision, message_id, name, version, body)
    SELECT CAST(:stream AS text), head.revision + 1, id, name, version, body FROM announced, head, given
    WHERE number = 1 AND NOT head.is_closed AND {condition}
    ON CONFLICT (stream, revision) DO NOTHING RETURNING position, revision
), rest AS (
    INSERT INTO {{events}} (stream, revision, message_id, name, version, body)
    SELECT CAST(:stream AS text), head.revision + number, id, name, version, body FROM first, head, given
    WHERE number > 1 ORDER BY number RETURNING position, revision
), stored AS (SELECT position, revision FROM first UNION ALL SELECT position, revision FROM rest
), marked AS (
    INSERT INTO {{tags}} (tag, position) SELECT one.tag, stored.position
    FROM head, unnest(CAST(:tags AS uuid[]), CAST(:numbers AS int[])) AS one(tag, number)
    JOIN stored ON true WHERE stored.revision = head.revision + one.number
)"""
"""Stores all or nothing, as the statement without tags does."""

_IT = "it AS MATERIALIZED (SELECT CAST(CAST(:table AS regclass) AS oid) AS id FROM {source})"

_APPEND = (
    f"WITH {_HELD}, {_IT.replace('{source}', 'waited')}, {ANNOUNCED},"  # noqa: S608  (put together of what stands here)
    f" head AS MATERIALIZED ({_HEAD.replace('{no}', 'false')}), {_GIVEN},"
    f" {_STORED.format(condition='head.revision = CAST(:start AS int)')} SELECT max(position) FROM stored"
)
"""Draws the first position when the locks are held: events of one tag are committed in the order of their positions."""

_APPEND_IF = (
    f"WITH against AS MATERIALIZED (SELECT found.*, {_OLD} AS is_old FROM ({{against}}) AS found),"  # noqa: S608  (as above)
    f" {_IT.replace('{source}', 'against')}, {ANNOUNCED},"
    f" head AS MATERIALIZED ({_HEAD.replace('{no}', 'false')}), {_GIVEN},"
    f" {_STORED.format(condition='(SELECT further IS NULL AND repeated IS NULL AND NOT is_old FROM against)')}"
    " SELECT head.revision, head.is_closed, against.further, against.repeated, (SELECT max(position) FROM stored),"
    " against.is_old FROM head, against"
)


class PostgresqlTaggedEvents(TaggedEvents, PostgresqlEvents):
    """The statements for PostgreSQL, where transactions write side by side.

    Each append locks the tags that it writes, until its transaction ends, before it draws a position. So the events of
    a tag are committed, and seen by others, in the order of their positions: whoever has read them up to one has
    missed none below it. An append under a condition also locks the tags of its query, and looks in a statement of its
    own, whose snapshot is taken when nobody else can write an event that matches. Appends with different tags don't
    wait for one another, and neither do conditions about a tag that nobody writes.

    A query without tags may match an event of anybody: such a condition waits for all who are appending, and they for
    it. All take the locks in one order, so that no two appends wait for each other.
    """

    appends_at_once = True

    def lock(self, connection: Connection, guard: Guard, tags: Sequence[Tags]) -> bool:
        """Wait for all who write these tags, or those of the guard; False if the transaction keeps its old snapshot."""
        return not self._lock(connection, guard, tags).scalar()

    def _lock(self, connection: Connection, guard: Guard, tags: Sequence[Tags]) -> CursorResult[*tuple[Any, ...]]:
        return self._run(connection, _LOCK, self._lock_values(connection, Locks.of(tags, guard.selections)))

    def append_if_at_once(
        self, connection: Connection, guard: Guard, stream: str, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> Checked | None:
        """Do both in one trip, in the transaction that lasts until the server has done all of it.

        None, and nothing is stored, if the driver can't, or if the session begins its transactions at a level at which
        the second statement wouldn't see what the first has waited for.
        """
        if not can_send_together(connection):
            return None
        checked = sent_together(
            connection,
            lambda: self._lock(connection, guard, tags),
            lambda: self.append_if(connection, guard, stream, rows, tags),
        )
        return None if checked.has_old_snapshot else checked

    def begin_locked(self, connection: Connection, guard: Guard, tags: Sequence[Tags]) -> None:
        """Begin a transaction and take its locks, in one trip: the server takes several statements without values.

        The locks are numbers, and so no secrets in a log. `commit` ends the transaction.
        """
        locks = Locks.of(tags, guard.selections)
        table = "'" + name_in_sql(self._tags, connection).replace("'", "''") + "'::regclass::oid::int"
        pairs = [(_EVERY, not locks.alone), *zip(locks.keys, locks.shared, strict=True)]
        taken = "; ".join(
            f"SELECT pg_advisory_xact_lock{'_shared' if shared else ''}({table}, {key})" for key, shared in pairs
        )
        percent = "%%" if connection.dialect.paramstyle in {"format", "pyformat"} else "%"  # in the table's name
        sql = f"BEGIN ISOLATION LEVEL READ COMMITTED; {taken}".replace("%", percent)
        with unprepared(connection):
            connection.exec_driver_sql(sql).close()

    def append_tagged(
        self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> int | None:
        """Store events and their tags in one statement, which waits for the locks first."""
        if start + len(rows) > MOST_REVISIONS:
            return None
        locks = Locks.of(tags)
        values = self._lock_values(connection, locks) | self._row_values(connection, stream, rows, tags)
        position: int | None = self._run(connection, _APPEND, {**values, "start": start}).scalar()
        return position

    def append_if(
        self, connection: Connection, guard: Guard, stream: str, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> Checked:
        """Look and store in one statement."""
        sql, values = self._checking(guard, rows[0], tags[0], _APPEND_IF)
        return Checked(*self._run(connection, sql, values | self._row_values(connection, stream, rows, tags)).one())

    def _lock_values(self, connection: Connection, locks: Locks) -> dict[str, object]:
        table = name_in_sql(self._tags, connection)
        return {"tags_table": table, "keys": _array(locks.keys), "shared": _array(locks.shared), "alone": locks.alone}

    def _row_values(
        self, connection: Connection, stream: str, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> dict[str, object]:
        ids, names, versions, bodies = zip(*rows, strict=True)
        pairs = [(tag, number) for number, given in enumerate(tags, 1) for tag in given]
        return {
            "table": self.name(connection),
            "stream": stream,
            "ids": _array(ids),
            "names": list(names),
            "versions": _array(versions),
            "bodies": list(bodies),
            "tags": _array(tag for tag, _ in pairs),
            "numbers": _array(number for _, number in pairs),
        }


def _array(values: Iterable[object]) -> str:
    """Return an array of UUIDs or numbers as text, which takes the driver a tenth of the time of a list.

    >>> _array([1, 2])
    '{1,2}'
    """
    return f"{{{','.join(map(str, values))}}}"


TAGGED: Mapping[str, type[SqliteTaggedEvents | PostgresqlTaggedEvents]] = MappingProxyType(
    {"sqlite": SqliteTaggedEvents, "postgresql": PostgresqlTaggedEvents}
)
"""The statements of a store with tags, by the name of the database."""
