"""The statements of an event store for PostgreSQL, where transactions write side by side."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import IntegrityError

from domainkit.adapters.sqlalchemy.event_statements import (
    HEAD,
    IS_AT_START,
    MOST_REVISIONS,
    EventRow,
    EventStatements,
    Settled,
    Values,
)
from domainkit.adapters.sqlalchemy.lean import fetch
from domainkit.adapters.sqlalchemy.psycopg_cursors import PSYCOPG, binary_results

_FLAG = "'domainkit.appends_to_' || CAST({events_id} AS text)"

ANNOUNCING = """CAST(pg_advisory_xact_lock_shared(CAST({events_id} AS int), CAST(CAST(coalesce(
        (SELECT max(position) FROM {events}), 0) AS bit(32)) AS int)) AS text)"""
"""Announces to readers that positions larger than all stored ones are about to be used.

The announcement is a lock that nobody waits for: its key is the table and the last 32 bits of the largest position. It
ends with the transaction.
"""

_GIVEN = """unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:versions AS int[]),
        CAST(:bodies AS bytea[])) WITH ORDINALITY AS one(id, name, version, body, number)"""


def stored_alone(condition: str) -> str:
    """Return a part of a statement that is a transaction: it stores all events, or none.

    It needs the part `found`, with the `revision` of the stream and ANNOUNCING as `announced`. If another transaction
    stored one of the revisions meanwhile, the statement fails: that is rare, and to be prepared for it in each append
    would take an eighth of the server's time.
    """
    return f"""stored AS (
    INSERT INTO {{events}} (stream, revision, message_id, name, version, body)
    SELECT CAST(:stream AS text), found.revision + number, id, name, version, body FROM found, {_GIVEN}
    WHERE announced IS NOT NULL AND {condition} ORDER BY number RETURNING position, revision
)"""  # noqa: S608  (put together of what stands here)


def announced(after: str = "") -> str:
    """Return a part of a statement that announces the transaction, unless it has done so.

    A transaction takes it once, before its first position; after the rollback of a savepoint it takes it again, since
    the rollback released the lock and reset the setting.

    Args:
        after: `FROM` and the part that must be done before.
    """
    return f"""announced AS MATERIALIZED (
    SELECT CASE WHEN coalesce(current_setting({_FLAG}, true), '') = '' THEN
        set_config({_FLAG}, 'yes', true) || {ANNOUNCING}
    END {after})"""


def stored(start: str, condition: str, sources: str = "") -> str:
    """Return a part of a statement that stores all events or none; it needs the part of `announced`.

    If the first event is stored, no other transaction can have used a later revision. If another transaction is storing
    the first revision, the statement waits until that transaction ends.

    Args:
        start: the revision after which they are stored.
        condition: they are stored if it is true.
        sources: the parts that both of these read, each with a comma behind it.
    """
    return f"""given AS MATERIALIZED (SELECT * FROM {_GIVEN}
), first AS (
    INSERT INTO {{events}} (stream, revision, message_id, name, version, body)
    SELECT CAST(:stream AS text), {start} + 1, id, name, version, body FROM announced, {sources}given
    WHERE number = 1 AND {condition}
    ON CONFLICT (stream, revision) DO NOTHING RETURNING position, revision
), rest AS (
    INSERT INTO {{events}} (stream, revision, message_id, name, version, body)
    SELECT CAST(:stream AS text), first.revision - 1 + number, id, name, version, body FROM first, given
    WHERE number > 1 ORDER BY number RETURNING position, revision
), stored AS (SELECT position, revision FROM first UNION ALL SELECT position, revision FROM rest)"""  # noqa: S608  (as above)


_APPEND_ALONE = (
    f"WITH found AS MATERIALIZED (SELECT {HEAD} AS revision, {ANNOUNCING} AS announced),"  # noqa: S608  (as above)
    f" {stored_alone('found.revision = CAST(:start AS int)')} SELECT max(position) FROM stored"
)

_APPEND = f"WITH {announced()}, {stored('CAST(:start AS int)', IS_AT_START)} SELECT max(position) FROM stored"  # noqa: S608  (as above)

_SETTLED = """SELECT least(seen.top, min(
    seen.top + ((CAST(held.objid AS bigint) - seen.top + 2147483648) & 4294967295) - 2147483648
)), current_setting('transaction_isolation') FROM (
    SELECT coalesce(max(position), 0) AS top FROM {events} WHERE pg_current_wal_insert_lsn() IS NOT NULL
) AS seen LEFT JOIN pg_locks AS held ON held.locktype = 'advisory' AND held.objsubid = 2
    AND held.classid = {events_id}
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
GROUP BY seen.top"""
"""The smallest position that a running transaction has announced, or else the largest stored one; see PostgresqlEvents.

On a standby server it fails, since the locks of the primary server aren't known there.
"""


class PostgresqlEvents(EventStatements):
    """The statements for PostgreSQL, where transactions write concurrently, and commit in any order.

    A position is assigned when an event is stored, and visible when its transaction has committed, so positions become
    visible out of order. A reader that remembers the last position it saw would skip those that appear below it later.
    Therefore a transaction announces, before its first position is assigned, the largest position that it sees; its own
    will be larger. A reader first asks for the largest stored position (T) and for the announced ones, and then, in a
    second statement with its own snapshot, for the events up to the smallest of all these (S). After that no further
    event can appear at or below S. When the reader asked for T, any other transaction

    - had not announced itself: then its positions are assigned after T was stored, and are larger than T; or
    - was running: then its positions are larger than its announcement, and so larger than S; or
    - had ended: locks are released after a commit is visible, so the second statement sees its events.

    Only transactions that append to this table delay a reader; with `pg_snapshot_xmin` all transactions would. The
    events of a stream are in the order of their positions, but not in the order of their transaction ids.
    """

    most = 2**31

    def key(self, message_id: UUID) -> object:
        """Return the id itself."""
        return message_id

    def settled(self, connection: Connection) -> Settled:
        """Return the position, and if later statements of this transaction miss what is committed meanwhile."""
        position, level = self._run(connection, _SETTLED, {}).one()
        return Settled(position, has_old_snapshot=level in {"repeatable read", "serializable"})

    def _names(self, connection: Connection) -> dict[str, str]:
        """Return what stands in a statement for each placeholder, with the id of the table of events."""
        return {**super()._names(connection), "events_id": id_of(self.name(connection))}

    def _sent(self, statement: str, dialect: Dialect) -> str:
        """Let psycopg send arrays in binary: as text, each item is searched for what must be escaped."""
        return _ARRAY.sub(r"%(\1)b", statement) if dialect.driver in PSYCOPG else statement

    def _read(self, connection: Connection, sql: str, values: Values, limit: int | None) -> Sequence[Any]:
        with binary_results(connection):
            return super()._read(connection, sql, values, limit)

    def append_alone(self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow]) -> int | None:
        """Store events by a statement that fails in a race for the revision, and then by one that waits for the end."""
        if start + len(rows) > MOST_REVISIONS:
            return None
        with suppress(IntegrityError):
            return self._stored(connection, _APPEND_ALONE, _values_of(stream, start, rows))
        return self._append(connection, stream, start, rows)

    def _append(self, connection: Connection, stream: str, start: int, rows: Sequence[EventRow]) -> int | None:
        return self._stored(connection, _APPEND, _values_of(stream, start, rows))

    def _stored(self, connection: Connection, sql: str, values: Values) -> int | None:
        """Execute a statement that stores events, and return the position of the last one; None if it stored none."""
        ((position,),) = fetch(connection, *self._for_driver(connection, sql, values))
        found: int | None = position
        return found


def id_of(table: str) -> str:
    r"""Return the SQL of the id of a table, for its name in SQL; a prepared statement looks it up once.

    >>> id_of('"events"')
    'CAST(CAST(\'"events"\' AS regclass) AS oid)'
    """
    literal = table.replace("'", "''")
    return f"CAST(CAST('{literal}' AS regclass) AS oid)"


def _values_of(stream: str, start: int, rows: Sequence[EventRow]) -> Values:
    return {**columns_of(rows), "stream": stream, "start": start}


def columns_of(rows: Sequence[EventRow]) -> dict[str, object]:
    """Return the values of rows, as an array for each column."""
    ids, names, versions, bodies = zip(*rows, strict=True)
    return {
        "ids": array_of(one.hex for one in ids),
        "names": list(names),
        "versions": array_of(versions),
        "bodies": list(bodies),
    }


def array_of(values: Iterable[object]) -> str:
    """Return an array of UUIDs or numbers as text, which takes the driver a tenth of the time of a list.

    >>> array_of([1, 2])
    '{1,2}'
    """
    return f"{{{','.join(map(str, values))}}}"


_ARRAY = re.compile(r"%\((names|bodies)\)s")
"""A parameter that is an array. See https://www.psycopg.org/psycopg3/docs/basic/params.html#binary-parameters-and-results."""
