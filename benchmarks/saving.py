"""Measures the cost of saving an aggregate with one event, next to the same two statements written by hand.

`python -m benchmarks.saving` measures on a SQLite file, and on PostgreSQL where there is one.
The opponents store the same state and the same body, encoded by the same converter and codec: one with `text()` of
SQLAlchemy on the same engine, one with the driver alone on a connection that it keeps open.

On PostgreSQL it also counts the round trips of a save, and measures over a line that takes a millisecond each way: run
it with the PYTHONPATH of another checkout to compare with that. Saves of many are next to executemany of both rows.
"""

import sqlite3
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import msgspec
import psycopg
from sqlalchemy import Engine, MetaData, make_url, text
from sqlalchemy.exc import OperationalError

from benchmarks.databases import (
    POSTGRES_URL,
    postgresql_engine,
    psycopg_connection,
    sqlite_connection,
    sqlite_engine,
)
from benchmarks.slow_line import slow_line
from domainkit import MessageCodec, make_converter
from domainkit.adapters.sqlalchemy import (
    Outbox,
    SqlCrudRepository,
    UnitOfWork,
    aggregate_table,
    outbox_table,
)
from domainkit.testing import SampleTask, SampleTaskCreated, SampleTaskId

BAR = 0.65
"""The lowest speed allowed for a save, as a part of the speed of the statements written by hand."""

_CODEC = MessageCodec(SampleTaskCreated)
_METADATA = MetaData()
_TABLE = aggregate_table(_METADATA, "bench_tasks")
_OUTBOX = outbox_table(_METADATA, "bench_outbox")
_write = make_converter().get_unstructure_hook(SampleTask)

INSERT_TASK = "INSERT INTO bench_tasks (id, version, state) VALUES ({}, {}, {})"
INSERT_EVENT = (
    "INSERT INTO bench_outbox (message_id, name, version, kind, ordering_key, body, recorded_at)"
    " VALUES ({}, {}, {}, {}, {}, {}, {})"
)
_NAMES = (("id", "version", "state"), ("message_id", "name", "event_version", "kind", "ordering_key", "body", "now"))

Save = Callable[[SampleTask], object]
SaveAll = Callable[[Sequence[SampleTask]], object]

MANY_BAR = 0.6
"""The lowest speed allowed for a save of many, as a part of that of executemany."""

_MANY = 200
"""The aggregates of such a save."""

_SLOW = 0.001
"""Seconds that the slow line takes, each way."""


def encoded(task: SampleTask, *, native: bool) -> tuple[tuple[Any, ...], tuple[Any, ...]]:  # Any: values of columns
    """Return the values of both rows, as somebody writes it by hand."""
    event = task.domain_events[0]
    info, now = type(event).info(), datetime.now(UTC)
    state = _write(task)
    del state["aggregate_id"], state["aggregate_version"]
    task_id, event_id = task.aggregate_id.value, event.header.id.value
    return (
        (task_id if native else task_id.hex, task.aggregate_version, msgspec.json.encode(state).decode()),
        (
            event_id if native else event_id.hex,
            info.name,
            info.version,
            info.kind,
            str(task.aggregate_id),
            _CODEC.encode(event),
            now if native else now.replace(tzinfo=None).isoformat(" "),
        ),
    )


def by_text(engine: Engine) -> Save:
    """Return a save with `text()`, on the same engine."""
    native = engine.dialect.name != "sqlite"
    task_row, event_row = (tuple(f":{name}" for name in names) for names in _NAMES)
    insert_task, insert_event = text(INSERT_TASK.format(*task_row)), text(INSERT_EVENT.format(*event_row))

    def save(task: SampleTask) -> None:
        rows = encoded(task, native=native)
        with engine.begin() as connection:
            connection.execute(insert_task, dict(zip(_NAMES[0], rows[0], strict=True)))
            connection.execute(insert_event, dict(zip(_NAMES[1], rows[1], strict=True)))

    return save


def by_sqlite(connection: sqlite3.Connection) -> Save:
    """Return a save with the driver of Python."""
    insert_task, insert_event = INSERT_TASK.format(*"???"), INSERT_EVENT.format(*"???????")

    def save(task: SampleTask) -> None:
        rows = encoded(task, native=False)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(insert_task, rows[0])
        connection.execute(insert_event, rows[1])
        connection.execute("COMMIT")

    return save


def by_psycopg(connection: psycopg.Connection) -> Save:
    """Return a save with psycopg."""
    insert_task, insert_event = INSERT_TASK.format(*["%s"] * 3), INSERT_EVENT.format(*["%s"] * 7)

    def save(task: SampleTask) -> None:
        rows = encoded(task, native=True)
        connection.execute(insert_task, rows[0])
        connection.execute(insert_event, rows[1])
        connection.commit()

    return save


def all_by_sqlite(connection: sqlite3.Connection) -> SaveAll:
    """Return a save of many with the driver of Python."""
    insert_task, insert_event = INSERT_TASK.format(*"???"), INSERT_EVENT.format(*"???????")

    def save_all(tasks: Sequence[SampleTask]) -> None:
        rows = [encoded(task, native=False) for task in tasks]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert_task, [row[0] for row in rows])
        connection.executemany(insert_event, [row[1] for row in rows])
        connection.execute("COMMIT")

    return save_all


def all_by_psycopg(connection: psycopg.Connection) -> SaveAll:
    """Return a save of many with psycopg."""
    insert_task, insert_event = INSERT_TASK.format(*["%s"] * 3), INSERT_EVENT.format(*["%s"] * 7)

    def save_all(tasks: Sequence[SampleTask]) -> None:
        rows = [encoded(task, native=True) for task in tasks]
        with connection.cursor() as cursor:
            cursor.executemany(insert_task, [row[0] for row in rows])
            cursor.executemany(insert_event, [row[1] for row in rows])
        connection.commit()

    return save_all


def repository(engine: Engine) -> SqlCrudRepository[SampleTask, SampleTaskId]:
    """Return a repository with an outbox."""
    unit_of_work = UnitOfWork(engine, outbox=Outbox(_OUTBOX, _CODEC))
    return SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, _TABLE, unit_of_work)


def by_repository(engine: Engine) -> Save:
    """Return the save of a repository."""
    return repository(engine).save


@contextmanager
def on_sqlite() -> Iterator[tuple[dict[str, Save], dict[str, SaveAll]]]:
    """Yield the ways to save one, and many, into a new file."""
    with sqlite_engine(_METADATA) as (engine, path), sqlite_connection(path) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        many = {"executemany": all_by_sqlite(connection), "domainkit": repository(engine).save_all}
        ways = {"driver": by_sqlite(connection), "text()": by_text(engine), "domainkit": by_repository(engine)}
        yield ways, many


@contextmanager
def on_postgresql(port: int | None = None) -> Iterator[tuple[dict[str, Save], dict[str, SaveAll]]]:
    """Yield the ways to save into a schema of its own, which is dropped in the end; `port` is that of a line to it."""
    with postgresql_engine(_METADATA, port=port) as (engine, _), psycopg_connection(engine) as connection:
        many = {"executemany": all_by_psycopg(connection), "domainkit": repository(engine).save_all}
        ways = {"driver": by_psycopg(connection), "text()": by_text(engine), "domainkit": by_repository(engine)}
        yield ways, many


def measured(ways: dict[str, Save], rounds: int, saves: int) -> dict[str, list[float]]:
    """Return the microseconds of one save in each way, for each of the rounds, in which all take turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, save in ways.items():
            tasks = [SampleTask.create("Buy milk") for _ in range(saves)]
            start = perf_counter()
            for task in tasks:
                save(task)
            times[name].append((perf_counter() - start) / saves * 1e6)
    return times


def report(database: str, ways: dict[str, Save], *, rounds: int = 100, saves: int = 20) -> dict[str, float]:
    """Measure, print, and return the speed of domainkit as a part of that of each other."""
    measured(ways, 2, 20)  # statements are prepared and compiled
    times = measured(ways, rounds, saves)
    speeds = {
        name: statistics.median(one / other for one, other in zip(found, times["domainkit"], strict=True))
        for name, found in times.items()
        if name != "domainkit"
    }
    for name, found in times.items():
        time = statistics.median(found)
        share = f": domainkit has {speeds[name]:.0%} of its speed (bar {BAR:.0%})" if name in speeds else ""
        print(f"{database:<12}{name:<10}{time:8.0f} us{share}")
    return speeds


def report_many(database: str, ways: dict[str, SaveAll], *, rounds: int = 15) -> float:
    """Measure saves of many, print, and return the speed of domainkit as a part of that of executemany."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, save_all in ways.items():
            tasks = [SampleTask.create("Buy milk") for _ in range(_MANY)]
            start = perf_counter()
            save_all(tasks)
            times[name].append((perf_counter() - start) / _MANY * 1e6)
    speed = statistics.median(one / own for one, own in zip(times["executemany"], times["domainkit"], strict=True))
    print(
        f"{database:<12}{_MANY} at once: {statistics.median(times['domainkit']):.0f} us each, "
        f"{speed:.0%} of the speed of executemany (bar {MANY_BAR:.0%})"
    )
    return speed


def report_slow() -> int:
    """Measure over a slow line to PostgreSQL, print, and return the round trips of a save."""
    server = make_url(POSTGRES_URL)
    host, port = server.host or "127.0.0.1", server.port or 5432
    with slow_line(host, port, seconds=_SLOW) as line, on_postgresql(line.port) as (ways, _):
        report("slow line", ways, rounds=20, saves=5)
        task, before = SampleTask.create("Buy milk"), line.trips
        ways["domainkit"](task)
        trips = line.trips - before  # an announcement to the relays, beside it, may add one
    print(f"slow line   a save takes {trips} round trips (1 ms each way)")
    return trips


def main() -> None:
    """Measure on each database that can be reached."""
    with on_sqlite() as (ways, many):
        report("SQLite", ways)
        report_many("SQLite", many)
    try:
        with on_postgresql() as (ways, many):
            report("PostgreSQL", ways)
            report_many("PostgreSQL", many)
        report_slow()
    except OperationalError as error:
        print(f"PostgreSQL: not measured, {type(error.orig).__name__}")


if __name__ == "__main__":
    main()
