"""The speed of several processes that append to streams of their own, next to processes with the driver alone.

`python -m benchmarks.event_store --writers` measures it on PostgreSQL: each process appends 10 events a transaction. As
in the rest of that benchmark, the driver writes rows that were encoded before, and the store encodes within its time.
"""

import multiprocessing
import statistics
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from time import monotonic
from typing import TypeAlias

from benchmarks.databases import Ready, appends_by_psycopg, postgresql_engine, psycopg_connection
from benchmarks.event_store import APPENDED, EVENTS, INSERT, METADATA, by_domainkit, rows
from domainkit.adapters.sqlalchemy import make_engine

WRITERS, BAR = 8, 0.9
WAYS = ("driver", "domainkit")
PATIENCE = 120.0
"""The seconds that a process waits for the others."""

Took: TypeAlias = tuple[int, str, float, float]
"""A round, a way to append, and the moments at which a process began and ended its part."""


def _append(url: str, met: Barrier, took: "Queue[Took]", rounds: int, calls: int) -> None:
    """Append in each way, in each of the rounds; all processes begin a part together."""
    engine = make_engine(url)
    with ExitStack() as running:
        running.callback(engine.dispose)
        connection = running.enter_context(psycopg_connection(engine))
        ways: Mapping[str, Ready] = {
            "driver": appends_by_psycopg(connection, INSERT, partial(rows, native=True)),
            "domainkit": by_domainkit(engine, EVENTS).ready,
        }
        for number in range(rounds):
            for way in WAYS:
                made = [ways[way](APPENDED) for _ in range(calls)]
                met.wait(PATIENCE)
                start = monotonic()
                for call in made:
                    call()
                took.put((number, way, start, monotonic()))


def speeds(found: Iterable[Took], rounds: int) -> list[float]:
    """Return the speed of domainkit as a part of the driver's, in each round but the first.

    The time of a way is that from the first process that began to the last one that ended.
    """
    parts = list(found)

    def time_of(number: int, way: str) -> float:
        own = [(start, end) for one, name, start, end in parts if (one, name) == (number, way)]
        return max(end for _, end in own) - min(start for start, _ in own)

    return [time_of(number, "driver") / time_of(number, "domainkit") for number in range(1, rounds)]


def report(*, rounds: int = 13, calls: int = 50, writers: int = WRITERS) -> float:
    """Measure, print, and return the speed."""
    context = multiprocessing.get_context("spawn")
    met, took = context.Barrier(writers), context.Queue()
    with postgresql_engine(METADATA) as (engine, _):
        url = engine.url.render_as_string(hide_password=False)
        processes = [context.Process(target=_append, args=(url, met, took, rounds, calls)) for _ in range(writers)]
        for one in processes:
            one.start()
        found = [took.get(timeout=PATIENCE) for _ in range(rounds * len(WAYS) * writers)]
        for one in processes:
            one.join()
    speed = statistics.median(speeds(found, rounds))
    told = "met" if speed >= BAR else "MISSED"
    print(f"PostgreSQL  {writers} writers: {speed:.2f} of the driver's speed, bar {BAR:g}: {told}")
    return speed
