"""The statements of an event store with tags for PostgreSQL, where locks guard what is checked."""

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from domainkit.adapters.sqlalchemy.event_locks import Locks, Tags
from domainkit.adapters.sqlalchemy.event_statements import HEAD, MOST_REVISIONS, EventRow
from domainkit.adapters.sqlalchemy.event_tags import Checked, Guard, TaggedEvents
from domainkit.adapters.sqlalchemy.lean import Parameters, fetch, send
from domainkit.adapters.sqlalchemy.postgresql_events import (
    ANNOUNCING,
    PostgresqlEvents,
    announced,
    array_of,
    columns_of,
    id_of,
    stored,
    stored_alone,
)
from domainkit.adapters.sqlalchemy.psycopg_cursors import can_send_together, sent_together, unprepared
from domainkit.adapters.sqlalchemy.tables import name_in_sql

_TAKEN = """CASE WHEN one.shared THEN CAST(pg_advisory_xact_lock_shared({tags_id}, one.key) AS text)
        ELSE CAST(pg_advisory_xact_lock({tags_id}, one.key) AS text) END"""

_WANTED = "unnest(CAST(:keys AS int[]), CAST(:shared AS boolean[])) AS one(key, shared)"
"""The locks, in the order of the arrays. See https://www.postgresql.org/docs/current/functions-array.html."""

_OLD = "current_setting('transaction_isolation') IN ('repeatable read', 'serializable')"
"""A condition: the snapshot of the transaction is that of its first statement."""

_LOCK = f"SELECT {_OLD}, {_TAKEN} FROM {_WANTED}"  # noqa: S608  (put together of what stands here)


def _marked(start: str) -> str:
    """Return a part of a statement that stores the tags of the events that were stored after the revision of a part."""
    return f"""marked AS (
    INSERT INTO {{tags}} (tag, position) SELECT one.tag, stored.position
    FROM {start}, stored, unnest(CAST(:tags AS uuid[]), CAST(:numbers AS int[])) AS one(tag, number)
    WHERE stored.revision = {start}.revision + one.number
)"""  # noqa: S608  (as above)


_APPEND = (
    f"WITH held AS MATERIALIZED (SELECT {_TAKEN} FROM {_WANTED}),"  # noqa: S608  (as above)
    " waited AS MATERIALIZED (SELECT count(*) FROM held),"
    f" {announced('FROM waited')}, head AS MATERIALIZED (SELECT {HEAD} AS revision FROM announced),"
    f" {stored('head.revision', 'head.revision = CAST(:start AS int)', 'head, ')},"
    f" {_marked('head')} SELECT max(position) FROM stored"
)
"""Draws the first position when the locks are held: events of one tag are committed in the order of their positions."""

_FOUND = f"against.*, {HEAD} AS revision, {_OLD} AS is_old"
_NOTHING_IS_AGAINST = "further IS NULL AND repeated IS NULL AND found.revision >= 0 AND NOT is_old"
_CHECKED = "SELECT found.revision, further, repeated, (SELECT max(position) FROM stored), is_old FROM found"

_APPEND_IF = (
    f"WITH found AS MATERIALIZED (SELECT {_FOUND} FROM ({{against}}) AS against), {announced('FROM found')},"  # noqa: S608  (as above)
    f" {stored('found.revision', _NOTHING_IS_AGAINST, 'found, ')}, {_marked('found')} {_CHECKED}"
)

_APPEND_IF_ALONE = (
    f"WITH found AS MATERIALIZED (SELECT {_FOUND}, {ANNOUNCING} AS announced FROM ({{against}}) AS against),"  # noqa: S608  (as above)
    f" {stored_alone(_NOTHING_IS_AGAINST)}, {_marked('found')} {_CHECKED}"
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
        has_old_snapshot: bool = fetch(connection, *self._locking(connection, guard, tags))[0][0]
        return not has_old_snapshot

    def _locking(self, connection: Connection, guard: Guard, tags: Sequence[Tags]) -> tuple[str, Parameters]:
        return self._for_driver(connection, _LOCK, _values_of(Locks.of(tags, guard.selections)))

    def append_if_at_once(
        self, connection: Connection, guard: Guard, stream: str, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> Checked | None:
        """Do both in one trip, in the transaction that lasts until the server has done all of it.

        None, and nothing is stored, if the driver can't, if the session begins its transactions at a level at which the
        second statement wouldn't see what the first has waited for, or if somebody without these tags stored the next
        event of the stream meanwhile.
        """
        if not can_send_together(connection):
            return None
        with suppress(IntegrityError):
            checked = sent_together(
                connection,
                lambda: send(connection, *self._locking(connection, guard, tags)),
                lambda: self._checked(connection, *self._appending(_APPEND_IF_ALONE, guard, stream, rows, tags)),
            )
            return None if checked.has_old_snapshot else checked
        return None

    def begin_locked(self, connection: Connection, guard: Guard, tags: Sequence[Tags]) -> None:
        """Begin a transaction and take its locks, in one trip: the server takes several statements without values.

        The locks are numbers, and so no secrets in a log. `commit` ends the transaction.
        """
        locks, table = Locks.of(tags, guard.selections), self._names(connection)["tags_id"]
        taken = "; ".join(
            f"SELECT pg_advisory_xact_lock{'_shared' if shared else ''}({table}, {key})"
            for key, shared in zip(locks.keys, locks.shared, strict=True)
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
        values = _values_of(locks) | columns_of(rows) | _columns_of_tags(tags) | {"stream": stream, "start": start}
        return self._stored(connection, _APPEND, values)

    def append_if(
        self, connection: Connection, guard: Guard, stream: str, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> Checked:
        """Look and store in one statement."""
        return self._checked(connection, *self._appending(_APPEND_IF, guard, stream, rows, tags))

    def _appending(
        self, around: str, guard: Guard, stream: str, rows: Sequence[EventRow], tags: Sequence[Tags]
    ) -> tuple[str, dict[str, object]]:
        """Return a statement that looks and stores, and its values."""
        sql, values = self._checking(guard, rows[0], tags[0], around)
        return sql, values | columns_of(rows) | _columns_of_tags(tags) | {"stream": stream}

    def _checked(self, connection: Connection, sql: str, values: dict[str, object]) -> Checked:
        ((*answer,),) = fetch(connection, *self._for_driver(connection, sql, values))
        return Checked(*answer)

    def _names(self, connection: Connection) -> dict[str, str]:
        """Return what stands in a statement for each placeholder, and the id of the table of tags, for locks."""
        tags = name_in_sql(self._tags, connection)
        return {**super()._names(connection), "tags_id": f"CAST({id_of(tags)} AS int)"}


def _values_of(locks: Locks) -> dict[str, object]:
    return {"keys": array_of(locks.keys), "shared": array_of(locks.shared)}


def _columns_of_tags(tags: Sequence[Tags]) -> dict[str, object]:
    """Return the tags of events, and for each the number of its event."""
    return {
        "tags": array_of(tag.hex for given in tags for tag in given),
        "numbers": array_of(number for number, given in enumerate(tags, 1) for _ in given),
    }
