"""The cost of a load with a snapshot, next to one without and to the query of the rows alone: a stream of 1,000 events.

`python -m benchmarks.snapshots` measures on a SQLite file, and on PostgreSQL if there is one. The query gets the rows
of the whole stream, as the event store does, and decodes nothing.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Never
from uuid import uuid4

from attrs import evolve, frozen
from returns.result import Result, Success
from sqlalchemy import Engine, MetaData, select
from sqlalchemy.exc import OperationalError

from benchmarks.databases import postgresql_engine, sqlite_engine
from domainkit import Decider, DomainEvent, EventSourced, MessageCodec, Snapshots
from domainkit.adapters.sqlalchemy import (
    SqlEventStore,
    SqlSnapshotStore,
    UnitOfWork,
    events_table,
    snapshots_table,
)

EVENTS, EVERY = 1_000, 100
BAR = 2.0
"""The most time that a load with a snapshot may take, as a multiple of the query's."""

_METADATA = MetaData()
_EVENTS, _SNAPSHOTS = events_table(_METADATA, "bench_events"), snapshots_table(_METADATA, "bench_snapshots")


@frozen
class Renamed(DomainEvent):
    """An event with a text."""

    title: str


@frozen
class Page:
    """A state."""

    title: str = ""
    times: int = 0


def _decide(titles: Sequence[str], _: Page) -> Result[Sequence[Renamed], Never]:
    return Success([Renamed(title) for title in titles])


def _step(page: Page, event: Renamed) -> Page:
    return evolve(page, title=event.title, times=page.times + 1)


def loads(engine: Engine, after: int) -> Mapping[str, Callable[[], object]]:
    """Return the ways to load a stream that has so many events after its snapshot."""
    unit_of_work, stream = UnitOfWork(engine), str(uuid4())
    store: SqlEventStore[Renamed] = SqlEventStore(unit_of_work, _EVENTS, MessageCodec.of(Renamed))
    decider = Decider(_decide, _step, Page())
    snapshots = Snapshots(Page, SqlSnapshotStore(unit_of_work, _SNAPSHOTS), every=EVERY)
    plain = EventSourced(decider, store, stream=lambda _: stream)
    quick = EventSourced(decider, store, stream=lambda _: stream, snapshots=snapshots)
    quick.handle([f"Title number {number}" for number in range(EVENTS - after)]).unwrap()
    if after:
        plain.handle([f"Later title {number}" for number in range(after)]).unwrap()
    columns = _EVENTS.c.revision, _EVENTS.c.position, _EVENTS.c.body
    query = select(*columns).where(_EVENTS.c.stream == stream).order_by(_EVENTS.c.revision)

    def rows() -> object:
        with engine.connect() as connection:
            return connection.execute(query).all()

    assert plain.state(stream) == quick.state(stream)
    return {"query": rows, "without": lambda: plain.state(stream), "snapshot": lambda: quick.state(stream)}


def measured(ways: Mapping[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, float]:
    """Return the microseconds of one call: the median of the rounds, in which all take turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            start = perf_counter()
            for _ in range(calls):
                call()
            times[name].append((perf_counter() - start) / calls * 1e6)
    return {name: statistics.median(taken) for name, taken in times.items()}


def report(database: str, engine: Engine, *, rounds: int = 60) -> dict[int, float]:
    """Measure, print, and return the time with a snapshot as a multiple of the query's, by the events after it."""
    found: dict[int, float] = {}
    for after in (0, EVERY // 2, EVERY - 1):
        ways = loads(engine, after)
        measured(ways, 2, 2)  # statements are prepared and compiled
        times = measured(ways, rounds, 2)
        found[after] = times["snapshot"] / times["query"]
        shown = "".join(f"{name} {time:7.0f} us  " for name, time in times.items())
        verdict = "met" if found[after] <= BAR else "MISSED"
        print(f"{database:<12}{after:>3} events later  {shown} {found[after]:.2f} of the query: bar {BAR:g} {verdict}")
    return found


def main() -> None:
    """Measure on each reachable database."""
    with sqlite_engine(_METADATA) as (engine, _):
        report("SQLite", engine)
    try:
        with postgresql_engine(_METADATA) as (engine, _):
            report("PostgreSQL", engine)
    except OperationalError as error:
        print(f"PostgreSQL: not measured, {type(error.orig).__name__}")


if __name__ == "__main__":
    main()
