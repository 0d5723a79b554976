"""The speed of a projector: events a second into a table of counters, next to a loop with the driver alone.

`python -m benchmarks.projecting` measures on a SQLite file, and on PostgreSQL where there is one. The loop reads the
same events in batches of the same size, decodes them with the same codec, counts in a dict, reads and writes each row
once a batch, and stores its position in the same transaction: written by hand, for this one table.

With `--latency` it measures the time from a commit to the row that a reader sees, with wakeups and without. The
projector is a process of its own; the reader looks each millisecond.
"""

import random
import statistics
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from time import monotonic, perf_counter, sleep
from typing import Any
from uuid import uuid4

from attrs import evolve, frozen
from sqlalchemy import BigInteger, Column, Engine, Integer, MetaData, Table, Text
from sqlalchemy.exc import OperationalError

from benchmarks import latency
from benchmarks.databases import postgresql_engine, psycopg_connection, sqlite_connection, sqlite_engine
from domainkit import ANY_REVISION, DomainEvent, MessageCodec, ReadModel
from domainkit.adapters.sqlalchemy import (
    Projector,
    SqlEventStore,
    TableReadModel,
    UnitOfWork,
    checkpoints_table,
    events_table,
    make_engine,
)

EVENTS, STREAMS, BATCH, ROUNDS = 20_000, 1_000, 500, 3
APPENDS = 60
FASTEST, PART = 5_000, 0.5
"""Bars: so many events a second, or so much of the speed of the loop."""

Connection = Any  # of a driver: they have no common type
Work = Callable[[], object]
IsThere = Callable[[str], bool]


@frozen
class Seen(DomainEvent):
    """An event with a place and a number."""

    place: str
    number: int


@frozen
class Counter:
    """A row."""

    place: str
    events: int
    total: int


def counted(row: Counter | None, event: Seen) -> Counter:
    """Count an event."""
    found = row or Counter(event.place, 0, 0)
    return evolve(found, events=found.events + 1, total=found.total + event.number)


CODEC = MessageCodec.of(Seen)
COUNTERS = ReadModel("bench_counters", Counter).on(Seen, lambda event: event.place, counted)
_METADATA = MetaData()
_EVENTS = events_table(_METADATA, "bench_events")
_CHECKPOINTS = checkpoints_table(_METADATA, "bench_checkpoints")


def _counters(name: str) -> Table:
    columns = (Column("place", Text, primary_key=True), Column("events", Integer), Column("total", BigInteger))
    return Table(name, _METADATA, *columns)


_OURS, _THEIRS = _counters("bench_counters"), _counters("bench_by_hand")


def fill(engine: Engine) -> None:
    """Append all events."""
    store: SqlEventStore[Seen] = SqlEventStore(UnitOfWork(engine), _EVENTS, CODEC)
    chance = random.Random(1)  # noqa: S311  (not a secret)
    for number in range(0, EVENTS, 100):
        made = [Seen(f"place-{chance.randrange(STREAMS)}", number) for _ in range(100)]
        store.append(f"stream-{number % STREAMS}", made, expected=ANY_REVISION).unwrap()


def by_domainkit(engine: Engine) -> Work:
    """Return a run of the projector from the first event on."""
    unit_of_work = UnitOfWork(engine)
    store: SqlEventStore[Seen] = SqlEventStore(unit_of_work, _EVENTS, CODEC)

    def follow() -> None:
        with engine.begin() as connection:
            connection.execute(_OURS.delete())
            connection.execute(_CHECKPOINTS.delete())
        models = [TableReadModel(COUNTERS, _OURS)]
        Projector(unit_of_work, store, models, _CHECKPOINTS, batch=BATCH).run(threading.Event(), until_idle=True)

    return follow


def by_hand(connection: Connection, sign: str, begin: str) -> Work:
    """Return a run of the loop: `sign` is the driver's sign for a parameter, `begin` its statement to begin."""
    read = f"SELECT position, body FROM bench_events WHERE position > {sign} ORDER BY position LIMIT {BATCH}"  # noqa: S608  (made of constants)
    upsert = (
        f"INSERT INTO bench_by_hand (place, events, total) VALUES ({sign}, {sign}, {sign})"  # noqa: S608  (as above)
        " ON CONFLICT (place) DO UPDATE SET events = excluded.events, total = excluded.total"
    )
    move = f"UPDATE bench_checkpoints SET position = {sign} WHERE model = 'by_hand'"  # noqa: S608  (as above)

    def put(rows: "list[tuple[int, bytes]]") -> None:
        events = [CODEC.decode(body).unwrap() for _, body in rows]
        places = list({event.place for event in events})
        some = ", ".join([sign] * len(places))
        known = f"SELECT place, events, total FROM bench_by_hand WHERE place IN ({some})"  # noqa: S608  (as above)
        cursor = connection.cursor()
        found = {place: (count, total) for place, count, total in cursor.execute(known, places).fetchall()}
        for event in events:
            count, total = found.get(event.place, (0, 0))
            found[event.place] = count + 1, total + event.number
        cursor.executemany(upsert, [(place, *values) for place, values in found.items()])
        cursor.execute(move, (rows[-1][0],))

    def follow() -> None:
        cursor = connection.cursor()
        cursor.execute(begin)
        cursor.execute("DELETE FROM bench_by_hand")
        cursor.execute("DELETE FROM bench_checkpoints")
        cursor.execute(
            "INSERT INTO bench_checkpoints (model, version, position, unreadable) VALUES ('by_hand', 1, 0, 0)"
        )
        cursor.execute("COMMIT")
        position = 0
        while rows := cursor.execute(read, (position,)).fetchall():
            cursor.execute(begin)
            cursor.execute("SELECT position FROM bench_checkpoints WHERE model = 'by_hand'").fetchone()
            put(rows)
            cursor.execute("COMMIT")
            position = rows[-1][0]

    return follow


@contextmanager
def on_sqlite() -> Iterator[Mapping[str, Work]]:
    """Yield both, over one new file."""
    with sqlite_engine(_METADATA) as (engine, path):
        fill(engine)
        with sqlite_connection(path) as connection:
            yield {"by hand": by_hand(connection, "?", "BEGIN IMMEDIATE"), "domainkit": by_domainkit(engine)}


@contextmanager
def on_postgresql() -> Iterator[Mapping[str, Work]]:
    """Yield both, in a schema of their own."""
    with postgresql_engine(_METADATA) as (engine, _):
        fill(engine)
        with psycopg_connection(engine, autocommit=True) as connection:
            yield {"by hand": by_hand(connection, "%s", "BEGIN"), "domainkit": by_domainkit(engine)}


def speeds(ways: Mapping[str, Work]) -> Mapping[str, float]:
    """Return the events a second of each: the median of several runs, taken in turn."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, work in ways.items():
            begun = perf_counter()
            work()
            taken[name].append(EVENTS / (perf_counter() - begun))
    return {name: statistics.median(found) for name, found in taken.items()}


def report(name: str, found: Mapping[str, float]) -> str:
    """Return the speeds on a database, and if the bar is reached."""
    part = found["domainkit"] / found["by hand"]
    reached = "reached" if found["domainkit"] >= FASTEST or part >= PART else "missed"
    counts = ", ".join(f"{way} {speed:,.0f}" for way, speed in found.items())
    return f"{name}: {counts} events a second; {part:.2f} of by hand (bar: {FASTEST:,} or {PART}: {reached})"


def follow(url: str, wakes: str) -> None:
    """Run a projector until stdin is closed."""
    unit_of_work, stop = UnitOfWork(make_engine(url)), threading.Event()
    store: SqlEventStore[Seen] = SqlEventStore(unit_of_work, _EVENTS, CODEC)
    projector = Projector(unit_of_work, store, [TableReadModel(COUNTERS, _OURS)], _CHECKPOINTS, wakes=wakes == "on")
    running = threading.Thread(target=projector.run, args=(stop,))
    running.start()
    sleep(2)
    print("ready", flush=True)
    sys.stdin.read()
    stop.set()
    running.join()


def latencies(engine: Engine, is_there: IsThere, *, wakes: bool, appends: int = APPENDS) -> list[float]:
    """Return the milliseconds from the end of a commit until its row can be read, one event at a time."""
    url, found = engine.url.render_as_string(hide_password=False), list[float]()
    store: SqlEventStore[Seen] = SqlEventStore(UnitOfWork(engine), _EVENTS, CODEC, wakes=wakes)
    with latency.process("follow", url, wakes=wakes, module="benchmarks.projecting"):
        for number in range(appends + 5):
            latency.between_polls(number)
            place = str(uuid4())
            store.append(place, [Seen(place, number)], expected=0).unwrap()
            committed = monotonic()
            while not is_there(place):
                sleep(0.001)
            if number >= 5:  # the first ones warm up
                found.append((monotonic() - committed) * 1000)
    return found


def looking(connection: Connection, sign: str) -> IsThere:
    """Return a look for a row; `sign` as for `by_hand`."""
    found = f"SELECT 1 FROM bench_counters WHERE place = {sign}"  # noqa: S608  (made of constants)
    return lambda place: connection.execute(found, (place,)).fetchone() is not None


@contextmanager
def empty_on_sqlite() -> Iterator[tuple[Engine, IsThere]]:
    """Yield an engine for a new file, and a look into it."""
    with sqlite_engine(_METADATA) as (engine, path), sqlite_connection(path) as connection:
        yield engine, looking(connection, "?")


@contextmanager
def empty_on_postgresql() -> Iterator[tuple[Engine, IsThere]]:
    """Yield an engine for a schema of its own, and a look into it."""
    with postgresql_engine(_METADATA) as (engine, _), psycopg_connection(engine, autocommit=True) as connection:
        yield engine, looking(connection, "%s")


def report_speed() -> None:
    """Measure on both databases, and print."""
    for name, opened in (("SQLite", on_sqlite), ("PostgreSQL", on_postgresql)):
        try:
            with opened() as ways:
                print(report(name, speeds(ways)))
        except OperationalError as error:
            print(f"{name}: not there ({type(error.orig).__name__})")


def report_latency() -> None:
    """Measure on both databases, and print."""
    for name, opened in (("SQLite", empty_on_sqlite), ("PostgreSQL", empty_on_postgresql)):
        try:
            with opened() as place:
                latency.told_latencies(name, "row", partial(latencies, *place))
        except OperationalError as error:
            print(f"{name}: not there ({type(error.orig).__name__})")


def main() -> None:
    """Measure, or do a part of that in a process of its own."""
    if sys.argv[1:2] == ["follow"]:
        follow(*sys.argv[2:])
    elif "--latency" in sys.argv:
        report_latency()
    else:
        report_speed()


if __name__ == "__main__":
    main()
