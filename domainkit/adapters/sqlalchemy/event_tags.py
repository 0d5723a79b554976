"""The statements of an event store with tags: a table beside that of the events, and locks around what is checked."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from domainkit.adapters.sqlalchemy.event_locks import Tags
from domainkit.adapters.sqlalchemy.event_statements import HEAD, EventRow, EventStatements, SqliteEvents
from domainkit.adapters.sqlalchemy.lean import fetch, send
from domainkit.adapters.sqlalchemy.tables import name_in_sql
from domainkit.tags import Selection


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
        revision: of the last event of the stream before; -1 if nothing can be appended to it.
        further: the position of the first event that the condition excludes.
        repeated: the position of an event with the id of the first one that is to be appended, in the same stream.
        position: of the last event that was stored; None if none was.
        has_old_snapshot: the transaction doesn't see what others have stored since it began, so it stored nothing.
    """

    revision: int
    further: int | None
    repeated: int | None
    position: int | None = None
    has_old_snapshot: bool = False

    @property
    def is_closed(self) -> bool:
        """Nothing can be appended to the stream."""
        return self.revision < 0


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

    def _names(self, connection: Connection) -> dict[str, str]:
        """Return what stands in a statement for each placeholder, with the name of the table of tags."""
        return {**super()._names(connection), "tags": name_in_sql(self._tags, connection)}


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
        values["stream"] = stream
        ((revision, further, repeated),) = fetch(connection, *self._for_driver(connection, sql, values))
        if revision < 0 or further is not None or repeated is not None:
            return Checked(revision, further, repeated)
        position = self.append_tagged(connection, stream, revision, rows, tags)
        return Checked(revision, None, None, position)

    def _mark(self, connection: Connection, first: int, tags: Sequence[Tags]) -> None:
        """Store the tags of events that begin at a position: by executemany, which SQLite does without a new parse."""
        pairs = [(tag.hex, position) for position, given in enumerate(tags, first) for tag in given]
        if pairs:
            send(connection, f"INSERT INTO {name_in_sql(self._tags, connection)} (tag, position) VALUES (?, ?)", pairs)  # noqa: S608  (as above)


_SQLITE_CHECK = f"SELECT {HEAD}, against.* FROM ({{against}}) AS against"  # noqa: S608  (as above)
