"""Measures reads of aggregates, next to the driver's query with `msgspec.json.decode` of its state.

`python -m benchmarks.reading` measures on a SQLite file, and on PostgreSQL if it can be reached. The driver keeps one
connection open; it returns dicts, and makes neither ids nor value objects. It is beside the reads one by one, of all at
once, and of a stream; the messages of `decode_many` are beside `msgspec.json.decode` of the same bytes.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import OperationalError

from benchmarks.databases import postgresql_engine, psycopg_connection, sqlite_connection, sqlite_engine
from benchmarks.measuring import Batch, Rounds, Spread, calls, interleave, ratio
from domainkit import MessageCodec
from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork, aggregate_table
from domainkit.testing import SampleTask, SampleTaskCreated, SampleTaskId

BAR = 0.7
"""The lowest speed allowed for `retrieve`, as a part of that of the driver's query and the decoding of its state."""
MANY = 1_000
_ROUNDS, _SECONDS = 40, 0.05

_METADATA = MetaData()
_TABLE = aggregate_table(_METADATA, "bench_tasks")
_ONE = "SELECT id, version, state FROM {} WHERE id = {}"
_ALL = "SELECT id, version, state FROM {} ORDER BY position"
_decode = msgspec.json.decode

Query = Callable[..., Any]  # Any: a cursor of either driver
Ways = Mapping[str, Callable[[], object]]


def by_driver(execute: Query, table: str, key: object, placeholder: str) -> Ways:
    """Return reads by the driver alone, of the row with a key and of all rows."""
    one, every = _ONE.format(table, placeholder), _ALL.format(table)
    return {
        "retrieve": lambda: _decode(execute(one, (key,)).fetchone()[2]),
        "retrieve_all": lambda: [_decode(row[2]) for row in execute(every).fetchall()],
        "stream": lambda: [_decode(row[2]) for row in execute(every).fetchall()],
    }


def by_repository(engine: Engine) -> tuple[Ways, UUID]:
    """Return reads by a repository with many aggregates, and the key of one of them."""
    tasks = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, _TABLE, UnitOfWork(engine))
    ids = [tasks.save(SampleTask.create(f"Buy milk {number}")).unwrap().aggregate_id for number in range(MANY)]
    middle = ids[MANY // 2]
    ways = {
        "retrieve": lambda: tasks.retrieve(middle),
        "retrieve_all": tasks.retrieve_all,
        "stream": lambda: [*tasks.stream()],
    }
    return ways, middle.value


@contextmanager
def on_sqlite() -> Iterator[tuple[Ways, Ways]]:
    """Yield the reads by domainkit and by the driver, of a new file."""
    with sqlite_engine(_METADATA) as (engine, path), sqlite_connection(path) as connection:
        ours, key = by_repository(engine)
        yield ours, by_driver(connection.execute, "bench_tasks", key.hex, "?")


@contextmanager
def on_postgresql() -> Iterator[tuple[Ways, Ways]]:
    """Yield the reads by domainkit and by the driver, of a new schema."""
    with postgresql_engine(_METADATA) as (engine, schema):
        ours, key = by_repository(engine)
        with psycopg_connection(engine, autocommit=True) as connection:
            yield ours, by_driver(connection.execute, f"{schema}.bench_tasks", key, "%s")


def measured(ours: Ways, theirs: Ways, clock: Callable[[], float]) -> Rounds:
    """Return the seconds of each read in each round, in which all take turns."""
    batches: dict[str, Batch] = {}
    for name, read in ours.items():
        batches |= {name: timed(read, clock), f"{name} by the driver": timed(theirs[name], clock)}
    return interleave(batches, rounds=_ROUNDS, seconds=_SECONDS)


def timed(read: Callable[[], object], clock: Callable[[], float]) -> Batch:
    """Return a batch of reads. A read waits for the server: the time of the clock on the wall counts there."""

    def batch(number: int) -> float:
        start = clock()
        for _ in range(number):
            read()
        return clock() - start

    return batch


def report(place: str, rounds: Rounds) -> dict[str, float]:
    """Print the figures, and return the speed of each read as a part of the speed of the driver's."""
    speeds = {}
    for name in [name for name in rounds if " by the driver" not in name]:
        other = rounds[f"{name} by the driver"]
        speeds[name] = ratio(other, rounds[name]).median
        bar = f" (bar {BAR:.0%})" if name == "retrieve" else ""
        ours, theirs = (Spread.of(one).median * 1e6 for one in (rounds[name], other))
        print(f"{place:<12}{name:<14}{ours:10.1f} us, by the driver {theirs:10.1f} us: {speeds[name]:.0%}{bar}")
    return speeds


def messages() -> dict[str, float]:
    """Measure `decode_many`, print, and return its speed as a part of that of plain JSON decoding."""
    codec = MessageCodec(SampleTaskCreated)
    raws = [codec.encode(SampleTask.create("Buy milk").domain_events[0]) for _ in range(MANY)]
    batches = {
        "decode_many": calls(codec.decode_many, raws),
        "decode_many by the driver": calls(lambda: [_decode(raw) for raw in raws]),
    }
    return report("messages", interleave(batches, rounds=_ROUNDS, seconds=_SECONDS))


def main() -> None:
    """Measure on each database that can be reached."""
    with on_sqlite() as (ours, theirs):
        report("SQLite", measured(ours, theirs, time.process_time))
    try:
        with on_postgresql() as (ours, theirs):
            report("PostgreSQL", measured(ours, theirs, time.perf_counter))
    except OperationalError as error:
        print(f"PostgreSQL: not measured, {type(error.orig).__name__}")
    messages()


if __name__ == "__main__":
    main()
