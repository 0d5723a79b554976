"""The cost of an append under a condition, next to the driver alone: 10 events with two tags, in tables of 100,000.

`python -m benchmarks.conditions` measures on a SQLite file, and on PostgreSQL where there is one. The driver writes the
same rows, encoded before, without tags, locks or a check, by executemany in one transaction, on a connection that it
keeps open; the store encodes, locks, checks and writes a row for each tag within its time. "By hand" does all that but
encoding, with the driver alone on that connection: no store can be faster.
"""

import sqlite3
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
from attrs import frozen
from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import OperationalError

from benchmarks.databases import (
    Ready,
    Rows,
    Work,
    appends_by_psycopg,
    appends_by_sqlite,
    encoded_rows,
    postgresql_engine,
    psycopg_connection,
    sqlite_connection,
    sqlite_engine,
)
from benchmarks.event_store import measured
from domainkit import AppendCondition, DomainEvent, MessageCodec, Uuid, query
from domainkit.adapters.sqlalchemy import SqlEventStore, UnitOfWork, event_tags_table, events_table

APPENDED, STORED = 10, 100_000
BARS: Mapping[str, float] = {"SQLite": 0.65, "PostgreSQL": 0.7}
"""Bars: the speed of an append under a condition, as a part of the driver's without one."""


class StudentId(Uuid):
    """One tag."""


class CourseId(Uuid):
    """Another tag."""


@frozen
class Subscribed(DomainEvent):
    """An event with two tags."""

    student_id: StudentId
    course_id: CourseId


CODEC = MessageCodec.of(Subscribed)
_METADATA = MetaData()
_EVENTS = events_table(_METADATA, "bench_events")
_TAGS = event_tags_table(_METADATA, "bench_tags")
_INSERT = (
    "INSERT INTO bench_events (stream, revision, message_id, name, version, body) VALUES ({0}, {0}, {0}, {0}, {0}, {0})"
)


def events(count: int, student: StudentId, course: CourseId) -> list[Subscribed]:
    """Return new events about one student and one course: those of one decision."""
    return [Subscribed(student, course) for _ in range(count)]


def rows(count: int, *, native: bool) -> Rows:
    """Return events as rows of one new stream, encoded."""
    return encoded_rows(events(count, StudentId.v4(), CourseId.v4()), CODEC, native=native)


def by_domainkit(engine: Engine) -> Ready:
    """Return the store of this library: the condition is about the student and a course, and holds."""
    store: SqlEventStore[Subscribed] = SqlEventStore(UnitOfWork(engine), _EVENTS, CODEC, tags=_TAGS)

    def ready(count: int) -> Work:
        student, course = StudentId.v4(), CourseId.v4()
        made = events(count, student, course)
        condition = AppendCondition(query().about(student).of(Subscribed) | query().about(course), after=0)
        return lambda: store.append(made, condition).unwrap()

    return ready


def by_hand_on_sqlite(connection: sqlite3.Connection) -> Ready:
    """Return conditional appends by Python's driver, of rows that were encoded before."""
    head = "SELECT max(revision) FROM bench_events WHERE stream = ?"
    check = (
        "SELECT EXISTS (SELECT 1 FROM bench_tags AS t JOIN bench_events AS e USING (position) WHERE t.tag = ? AND "
        "t.position > 0 AND e.name = 'subscribed') OR EXISTS (SELECT 1 FROM bench_tags WHERE tag = ? AND position > 0)"
    )
    insert, mark = _INSERT.format("?"), "INSERT INTO bench_tags (tag, position) VALUES (?, ?)"

    def ready(count: int) -> Work:
        encoded, tags = rows(count, native=False), (uuid4().hex, uuid4().hex)

        def append() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(head, (encoded[0][0],)).fetchone()
            assert connection.execute(check, tags).fetchone() == (0,)
            connection.executemany(insert, encoded)
            last = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
            pairs = [(tag, position) for position in range(last - count + 1, last + 1) for tag in tags]
            connection.executemany(mark, pairs)
            connection.execute("COMMIT")

        return append

    return ready


_LOCK = "SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS one(key)"
_STORE = """WITH against AS MATERIALIZED (SELECT EXISTS (
    SELECT FROM bench_tags AS t JOIN bench_events AS e USING (position)
    WHERE t.tag = %s AND t.position > 0 AND e.name = 'subscribed'
) OR EXISTS (SELECT FROM bench_tags WHERE tag = %s AND position > 0) AS is_there
), head AS MATERIALIZED (SELECT coalesce(max(revision), 0) AS revision FROM bench_events WHERE stream = %s
), made AS (
    INSERT INTO bench_events (stream, revision, message_id, name, version, body)
    SELECT %s, head.revision + one.number, one.id, one.name, one.version, one.body
    FROM against, head, unnest(%b::uuid[], %b::text[], %b::int[], %b::bytea[])
        WITH ORDINALITY AS one(id, name, version, body, number)
    WHERE NOT is_there RETURNING position
), marked AS (INSERT INTO bench_tags (tag, position) SELECT tag, position FROM made, unnest(%b::uuid[]) AS one(tag))
SELECT count(*) FROM made"""


def by_hand_on_postgresql(connection: "psycopg.Connection[Any]") -> Ready:
    """Return conditional appends by psycopg in a pipeline, of rows that were encoded before."""

    def ready(count: int) -> Work:
        encoded, tags = rows(count, native=True), [uuid4(), uuid4()]
        stream, arrays = encoded[0][0], [list(column) for column in zip(*encoded, strict=True)][2:]
        keys = [tag.int % 2**31 for tag in tags]

        def append() -> None:
            with connection.pipeline(), connection.cursor() as cursor:
                cursor.execute(_LOCK, (sorted(keys),))
                cursor.execute(_STORE, (*tags, stream, stream, *arrays, tags))

        return append

    return ready


def fill(engine: Engine) -> None:
    """Store events, so that the tables are as large as those of a service."""
    store: SqlEventStore[Subscribed] = SqlEventStore(UnitOfWork(engine), _EVENTS, CODEC, tags=_TAGS)
    for _ in range(STORED // 500):
        made = [one for _ in range(25) for one in events(20, StudentId.v4(), CourseId.v4())]
        store.append(str(uuid4()), made, expected=0).unwrap()
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")


@contextmanager
def on_sqlite() -> Iterator[dict[str, Ready]]:
    """Yield the contenders, over one file."""
    with sqlite_engine(_METADATA) as (engine, path):
        fill(engine)
        with sqlite_connection(path) as connection:
            driver = appends_by_sqlite(connection, _INSERT, partial(rows, native=False))
            yield {"driver": driver, "by hand": by_hand_on_sqlite(connection), "domainkit": by_domainkit(engine)}


@contextmanager
def on_postgresql() -> Iterator[dict[str, Ready]]:
    """Yield the contenders, in a schema of their own."""
    with postgresql_engine(_METADATA) as (engine, _):
        fill(engine)
        with psycopg_connection(engine) as connection:
            driver = appends_by_psycopg(connection, _INSERT, partial(rows, native=True))
            with psycopg_connection(engine, autocommit=True) as other:
                yield {"driver": driver, "by hand": by_hand_on_postgresql(other), "domainkit": by_domainkit(engine)}


def report(database: str, ways: Mapping[str, Ready], *, rounds: int = 60, calls: int = 20) -> float:
    """Print the microseconds of an append and the speed, and return that."""
    makers = {name: partial(ready, APPENDED) for name, ready in ways.items()}
    measured(makers, 2, calls)  # statements are prepared and compiled
    times = measured(makers, rounds, calls)
    speeds = {
        name: statistics.median([bare / own for bare, own in zip(times["driver"], took, strict=True)])
        for name, took in times.items()
    }
    speed = speeds["domainkit"]
    each = (f"{name} {statistics.median(took):.0f} us ({speeds[name]:.2f})" for name, took in times.items())
    found = ", ".join(each)
    print(f"{database}: {found}; {speed:.2f} of the driver's speed (bar {BARS[database]})")
    return speed


def main() -> None:
    """Measure on each database that there is."""
    with on_sqlite() as ways:
        report("SQLite", ways)
    try:
        with on_postgresql() as ways:
            report("PostgreSQL", ways)
    except OperationalError as error:
        print(f"PostgreSQL: not measured ({type(error.orig).__name__})")


if __name__ == "__main__":
    main()
