"""The cost of an append under a condition, next to the driver alone: 10 events with two tags, in tables of 100,000.

`python -m benchmarks.conditions` measures on a SQLite file, and on PostgreSQL where there is one. The driver writes the
same rows, encoded before, without tags, locks or a check, by executemany in one transaction, on a connection that it
keeps open; the store encodes, locks, checks and writes a row for each tag within its time.
"""

import os
import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from attrs import frozen
from sqlalchemy import Engine, MetaData, make_url, text
from sqlalchemy.exc import OperationalError

from benchmarks.event_store import measured
from domainkit import AppendCondition, DomainEvent, MessageCodec, Uuid, query
from domainkit.adapters.sqlalchemy import SqlEventStore, UnitOfWork, event_tags_table, events_table, make_engine

POSTGRES_URL = os.environ.get("POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
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

Rows = Sequence[tuple[Any, ...]]  # Any: values of columns
Work = Callable[[], object]
Ready = Callable[[int], Work]


def events(count: int, student: StudentId, course: CourseId) -> list[Subscribed]:
    """Return new events about one student and one course: those of one decision."""
    return [Subscribed(student, course) for _ in range(count)]


def rows(count: int, *, native: bool) -> Rows:
    """Return events as rows of one new stream, encoded."""
    stream, made, info = str(uuid4()), events(count, StudentId.v4(), CourseId.v4()), Subscribed.info()
    ids = [one.header.id.value if native else one.header.id.value.hex for one in made]
    return [
        (stream, number, ids[number - 1], info.name, info.version, CODEC.encode(one))
        for number, one in enumerate(made, 1)
    ]


def by_sqlite(connection: sqlite3.Connection) -> Ready:
    """Return the driver of Python."""
    insert = _INSERT.format("?")

    def ready(count: int) -> Work:
        encoded = rows(count, native=False)

        def append() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(insert, encoded)
            connection.execute("COMMIT")

        return append

    return ready


def by_psycopg(connection: "psycopg.Connection[Any]") -> Ready:
    """Return psycopg."""
    insert = _INSERT.format("%s")

    def ready(count: int) -> Work:
        encoded = rows(count, native=True)

        def append() -> None:
            with connection.cursor() as cursor:
                cursor.executemany(insert, encoded)
            connection.commit()

        return append

    return ready


def by_domainkit(engine: Engine) -> Ready:
    """Return the store of this library: the condition is about the student and a course, and holds."""
    store: SqlEventStore[Subscribed] = SqlEventStore(UnitOfWork(engine), _EVENTS, CODEC, tags=_TAGS)

    def ready(count: int) -> Work:
        student, course = StudentId.v4(), CourseId.v4()
        made = events(count, student, course)
        condition = AppendCondition(query().about(student).of(Subscribed) | query().about(course), after=0)
        return lambda: store.append(made, condition).unwrap()

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
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # not in /tmp, which may be memory
        path = Path(folder) / "events.db"
        engine = make_engine(f"sqlite:///{path}")
        _METADATA.create_all(engine)
        fill(engine)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA busy_timeout = 30000")
            yield {"driver": by_sqlite(connection), "domainkit": by_domainkit(engine)}
        engine.dispose()


@contextmanager
def on_postgresql() -> Iterator[dict[str, Ready]]:
    """Yield the contenders, in a schema of their own, which is dropped in the end."""
    schema = f"bench_{uuid4().hex}"
    engine = make_engine(make_url(POSTGRES_URL).update_query_dict({"options": f"-csearch_path={schema}"}))
    with engine.begin() as setting_up:
        setting_up.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        _METADATA.create_all(engine)
        fill(engine)
        plain = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain) as connection:
            yield {"driver": by_psycopg(connection), "domainkit": by_domainkit(engine)}
    finally:
        with engine.begin() as cleaning_up:
            cleaning_up.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


def report(database: str, ways: Mapping[str, Ready], *, rounds: int = 60, calls: int = 20) -> float:
    """Print the microseconds of an append and the speed, and return that."""
    makers = {name: partial(ready, APPENDED) for name, ready in ways.items()}
    measured(makers, 2, calls)  # statements are prepared and compiled
    times = measured(makers, rounds, calls)
    speed = statistics.median([bare / own for bare, own in zip(times["driver"], times["domainkit"], strict=True)])
    found = ", ".join(f"{name} {statistics.median(took):.0f} us" for name, took in times.items())
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
