"""The cost of an event store, next to the driver alone and to eventsourcing: an append of 10, a load of 1,000.

`python -m benchmarks.event_store` measures on a SQLite file, and on PostgreSQL where there is one; eventsourcing takes
part if it is installed. The driver writes rows that were encoded before, by executemany in one transaction, on a
connection that it keeps open; all others encode within their time.

`python -m benchmarks.event_store --large` instead compares the same append and load in a store that has 10,000 events
with one that has 1,000,000, filled by one statement of SQL. With `--writers`, see `benchmarks.writers`.
"""

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from time import perf_counter
from typing import Any
from uuid import uuid4

from attrs import frozen
from sqlalchemy import Engine, MetaData, Table, text
from sqlalchemy.exc import OperationalError

from benchmarks.databases import (
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
from domainkit import NO_STREAM, DomainEvent, MessageCodec, Projection, projection
from domainkit.adapters.sqlalchemy import SqlEventStore, UnitOfWork, events_table

APPENDED, LOADED = 10, 1_000
BARS: Mapping[str, tuple[float, float]] = {"SQLite": (0.65, 8), "PostgreSQL": (0.9, 6)}
"""Bars: the speed of an append, as a part of the driver's; and of a load, as a multiple of eventsourcing's."""
FEW, MANY, GROWTH_BAR = 10_000, 1_000_000, 1.2
"""The sizes of the stores that `--large` compares, and the bar: the time in the larger one, as a multiple."""


@frozen
class Renamed(DomainEvent):
    """An event with a text."""

    title: str


def _longer(total: int, event: Renamed) -> int:
    return total + len(event.title)


CODEC = MessageCodec.of(Renamed)
TOTAL: Projection[int, Renamed] = projection(0).on(Renamed, _longer)
METADATA = MetaData()
EVENTS = events_table(METADATA, "bench_events")
_LARGE = MetaData()
_SIZES: Mapping[str, tuple[Table, int]] = {
    f"{size:,} events": (events_table(_LARGE, f"bench_{size}_events"), size) for size in (FEW, MANY)
}
_FILLER_LENGTH = 100
_FILL = {
    "sqlite": (
        "INSERT INTO {table} (stream, revision, message_id, name, version, body)"
        " WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :size)"
        " SELECT printf('%08x', n / :length * 2654435761 % 4294967296), n % :length + 1, lower(hex(randomblob(16))),"
        " :name, 1, :body FROM numbers"
    ),
    "postgresql": (
        "INSERT INTO {table} (stream, revision, message_id, name, version, body)"
        " SELECT md5(CAST(n / :length AS text)), n % :length + 1, gen_random_uuid(), :name, 1, CAST(:body AS bytea)"
        " FROM generate_series(0, :size - 1) AS n"
    ),
}
"""The statement that fills a table with streams of 100 events, by the name of the database."""
INSERT = (
    "INSERT INTO bench_events (stream, revision, message_id, name, version, body) VALUES ({0}, {0}, {0}, {0}, {0}, {0})"
)


@frozen
class Contender:
    """One way to store events.

    Args:
        ready: returns an append of so many events, ready to be called once: what others give ready is made before.
        load: appends a stream of so many events, and returns what loads it.
    """

    ready: Callable[[int], Work]
    load: Callable[[int], Work] | None = None


def events(count: int) -> list[Renamed]:
    """Return new events."""
    return [Renamed(f"Title number {number}") for number in range(count)]


def rows(count: int, *, native: bool) -> Rows:
    """Return events as rows of one new stream, encoded."""
    return encoded_rows(events(count), CODEC, native=native)


def by_domainkit(engine: Engine, table: Table = EVENTS) -> Contender:
    """Return the store of this library, and a projection that folds what it reads."""
    store: SqlEventStore[Renamed] = SqlEventStore(UnitOfWork(engine), table, CODEC)

    def ready(count: int) -> Work:
        stream, made = str(uuid4()), events(count)
        return lambda: store.append(stream, made, expected=NO_STREAM).unwrap()

    def load(count: int) -> Work:
        stream = str(uuid4())
        store.append(stream, events(count), expected=NO_STREAM).unwrap()
        return lambda: TOTAL([one.event for one in store.read(stream)])  # type: ignore[union-attr]  # all are read

    return Contender(ready, load)


@cache
def _page(domain: Any) -> Any:  # Any: a module that may not be installed, and a class of it
    """Return a class of aggregates with a text; eventsourcing takes one of a name."""

    class Page(domain.Aggregate):  # type: ignore[misc]  # known when it runs
        def __init__(self) -> None:
            self.total = 0

        @domain.event("Renamed")  # type: ignore[untyped-decorator]  # known when it runs
        def rename(self, title: str) -> None:
            self.total += len(title)

    return Page


def by_eventsourcing(environment: Mapping[str, str]) -> Contender:
    """Return eventsourcing, with an aggregate of one text, without snapshots."""
    application, domain = import_module("eventsourcing.application"), import_module("eventsourcing.domain")

    page_class = _page(domain)
    app = application.Application(env=dict(environment))

    def made(count: int) -> Any:  # Any: an aggregate of eventsourcing
        page = page_class()
        for number in range(count - 1):
            page.rename(f"Title number {number}")
        return page

    def ready(count: int) -> Work:
        page = made(count)
        return lambda: app.save(page)

    def load(count: int) -> Work:
        page = made(count)
        app.save(page)
        return lambda: app.repository.get(page.id)

    return Contender(ready, load)


@contextmanager
def on_sqlite() -> Iterator[dict[str, Contender]]:
    """Yield the contenders, over a new file each."""
    with (
        sqlite_engine(METADATA) as (engine, path),
        sqlite_connection(path) as connection,
    ):
        driver = appends_by_sqlite(connection, INSERT, partial(rows, native=False))
        ways = {"driver": Contender(driver), "domainkit": by_domainkit(engine)}
        with suppress(ImportError):
            ways["eventsourcing"] = by_eventsourcing(
                {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": f"{path}.other"}
            )
        yield ways


@contextmanager
def on_postgresql() -> Iterator[dict[str, Contender]]:
    """Yield the contenders, in a schema of their own."""
    with postgresql_engine(METADATA) as (engine, schema), psycopg_connection(engine) as connection:
        driver = appends_by_psycopg(connection, INSERT, partial(rows, native=True))
        ways = {"driver": Contender(driver), "domainkit": by_domainkit(engine)}
        with suppress(ImportError):
            ways["eventsourcing"] = by_eventsourcing(
                {
                    "PERSISTENCE_MODULE": "eventsourcing.postgres",
                    "POSTGRES_DBNAME": engine.url.database or "",
                    "POSTGRES_HOST": engine.url.host or "127.0.0.1",
                    "POSTGRES_PORT": str(engine.url.port or 5432),
                    "POSTGRES_USER": engine.url.username or "",
                    "POSTGRES_PASSWORD": engine.url.password or "",
                    "POSTGRES_SCHEMA": schema,
                }
            )
        yield ways


def fill(engine: Engine, table: Table, size: int) -> None:
    """Store so many events in streams of 100, by one statement; their names are in no order, like ids."""
    values = {"size": size, "length": _FILLER_LENGTH, "name": Renamed.info().name, "body": CODEC.encode(*events(1))}
    with engine.begin() as connection:
        connection.execute(text(_FILL[engine.dialect.name].format(table=table.name)), values)
    if engine.dialect.name == "postgresql":  # which does so by itself after a minute
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def measured(makers: Mapping[str, Callable[[], Work]], rounds: int, calls: int) -> dict[str, list[float]]:
    """Return the microseconds of one call, for each of the rounds, in which all take turns."""
    times: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(rounds):
        for name, make in makers.items():
            made = [make() for _ in range(calls)]
            start = perf_counter()
            for call in made:
                call()
            times[name].append((perf_counter() - start) / calls * 1e6)
    return times


def speed(times: Mapping[str, list[float]], other: str) -> float | None:
    """Return the speed of domainkit as a multiple of another one's: the median of the rounds."""
    pairs = zip(times.get(other, ()), times["domainkit"], strict=False)
    return statistics.median([one / own for one, own in pairs]) if other in times else None


def _loads(ways: Mapping[str, Contender]) -> dict[str, Callable[[], Work]]:
    return {name: partial(_same, way.load(LOADED)) for name, way in ways.items() if way.load is not None}


def _same(work: Work) -> Work:
    return work


def report(database: str, ways: Mapping[str, Contender], *, rounds: int = 60) -> dict[str, float]:
    """Measure, print, and return the speeds that have a bar."""
    append_bar, load_bar = BARS[database]
    appends = {name: partial(way.ready, APPENDED) for name, way in ways.items()}
    loads = _loads(ways)
    measured(appends, 2, 10)  # statements are prepared and compiled
    measured(loads, 2, 1)
    found: dict[str, float] = {}
    for what, makers, calls, bar, other in (
        (f"append {APPENDED}", appends, 10, append_bar, "driver"),
        (f"load {LOADED}", loads, 2, load_bar, "eventsourcing"),
    ):
        times = measured(makers, rounds, calls)
        for name, taken in times.items():
            share = speed(times, name)
            told = f"  domainkit has {share:.2f} of its speed" if share and name != "domainkit" else ""
            print(f"{database:<12}{what:<12}{name:<15}{statistics.median(taken):9.0f} us{told}")
        ratio = speed(times, other)
        if ratio is not None:
            found[what] = ratio
            print(f"{database:<12}{what:<12}bar {bar:g} of {other}: {'met' if ratio >= bar else 'MISSED'}")
    return found


def report_growth(database: str, engine: Engine, *, rounds: int = 60) -> dict[str, float]:
    """Fill a store with few events and one with many; print and return the time in the larger, as a multiple."""
    for table, size in _SIZES.values():
        fill(engine, table, size)
    ways = {name: by_domainkit(engine, table) for name, (table, _) in _SIZES.items()}
    appends, loads = {name: partial(way.ready, APPENDED) for name, way in ways.items()}, _loads(ways)
    measured(appends, 2, 10)
    measured(loads, 2, 1)
    found: dict[str, float] = {}
    for what, makers, calls in ((f"append {APPENDED}", appends, 10), (f"load {LOADED}", loads, 2)):
        times = measured(makers, rounds, calls)
        few, many = times.values()
        found[what] = statistics.median([more / less for less, more in zip(few, many, strict=True)])
        for name, taken in times.items():
            print(f"{database:<12}{what:<12}{name:<18}{statistics.median(taken):9.0f} us")
        told = "met" if found[what] <= GROWTH_BAR else "MISSED"
        print(f"{database:<12}{what:<12}{found[what]:.2f} times, bar {GROWTH_BAR:g}: {told}")
    return found


def main(*, large: bool = False) -> None:
    """Measure on each reachable database."""
    if large:
        with sqlite_engine(_LARGE) as (engine, _):
            report_growth("SQLite", engine)
    else:
        with on_sqlite() as ways:
            report("SQLite", ways)
    try:
        if large:
            with postgresql_engine(_LARGE) as (engine, _):
                report_growth("PostgreSQL", engine)
        else:
            with on_postgresql() as ways:
                report("PostgreSQL", ways)
    except OperationalError as error:
        print(f"PostgreSQL: not measured, {type(error.orig).__name__}")


if __name__ == "__main__":
    if "--writers" in sys.argv[1:]:
        import_module("benchmarks.writers").report()  # which takes much from here
    else:
        main(large="--large" in sys.argv[1:])
