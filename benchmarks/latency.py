"""The time from a commit to the publisher, what it costs writers, and what idling costs; with wakeups and without.

`python -m benchmarks.latency` measures on a SQLite file, and on PostgreSQL where there is one. The relay and the
writers are processes of their own, as in production. The relay's publisher notes when it gets a message, with the
system's monotonic clock, which all processes share on Linux.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event, Thread
from typing import Protocol

from returns.result import Result, Success
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.exc import OperationalError

from benchmarks.databases import postgresql_engine, sqlite_engine
from domainkit import AsyncMessagePublisher, BusCannotPublish, MessageCodec, OutgoingMessage
from domainkit.adapters.sqlalchemy import (
    Outbox,
    OutboxDomainEventBus,
    Relay,
    UnitOfWork,
    make_async_engine,
    make_engine,
    outbox_table,
)
from domainkit.testing import SampleTask, SampleTaskCreated

SHARE, SPEED, IDLE = 0.1, 0.85, 0.02
"""Bars: the median time as a part of that of polling, the speed of the writers as a part of that without
announcements, and the processor time of an idle relay as a part of a core."""

MESSAGES, WRITERS, SECONDS, ROUNDS = 60, 8, 4.0, 5

_METADATA = MetaData()
_TABLE = outbox_table(_METADATA)
_CODEC = MessageCodec(SampleTaskCreated)


class Measured(Protocol):
    """Measures the milliseconds from commits to what they lead to."""

    def __call__(self, *, wakes: bool) -> list[float]:
        """Return the times, with wakeups or without."""


class Noting(AsyncMessagePublisher):
    """Writes a line for each message: its id, and when it came."""

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        """Note a message."""
        print(message.id, time.monotonic(), flush=True)
        return Success(None)

    async def close(self) -> None:
        """Do nothing."""


def bus(url: str, *, wakes: bool) -> OutboxDomainEventBus:
    """Return a bus that stores events in the outbox."""
    return OutboxDomainEventBus(UnitOfWork(make_engine(url), outbox=Outbox(_TABLE, _CODEC, wakes=wakes)))


def created() -> SampleTaskCreated:
    """Return an event."""
    (event,) = SampleTask.create("Buy milk").domain_events
    assert isinstance(event, SampleTaskCreated)
    return event


async def relay(url: str, wakes: str) -> None:
    """Run a relay until stdin is closed; then print which part of a core it took since it was ready."""
    engine, stop = make_async_engine(url), asyncio.Event()
    running = asyncio.create_task(Relay(engine, _TABLE, Noting(), wakes=wakes == "on").run(stop))
    await asyncio.sleep(2)
    print("ready", flush=True)
    start = time.process_time(), time.monotonic()
    await asyncio.to_thread(sys.stdin.read)
    print("took", (time.process_time() - start[0]) / (time.monotonic() - start[1]), flush=True)
    stop.set()
    await running
    await engine.dispose()


def write(url: str, wakes: str) -> None:
    """Publish for some seconds whenever a line comes, and print how many events that were."""
    publisher = bus(url, wakes=wakes == "on")
    publisher.publish(created()).unwrap()
    print("ready", flush=True)
    for _ in sys.stdin:
        number, end = 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            publisher.publish(created()).unwrap()
            number += 1
        print(number, flush=True)


@contextmanager
def process(
    what: str, url: str, *, wakes: bool, module: str = "benchmarks.latency"
) -> Iterator["subprocess.Popen[str]"]:
    """Run a function of this module, or another one, in a process of its own."""
    command = [sys.executable, "-m", module, what, url, "on" if wakes else "off"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as made:  # noqa: S603  (our own text)
        try:
            line_with(made, "ready")
            yield made
        finally:
            made.kill()


def line(made: "subprocess.Popen[str]") -> str:
    """Return what a process prints next."""
    assert made.stdout is not None
    return made.stdout.readline().strip()


def line_with(made: "subprocess.Popen[str]", word: str) -> str:
    """Return the next line that begins with a word, after the messages that an earlier relay could not mark."""
    while not (found := line(made)).startswith(word):
        assert found, "the process has ended"
    return found


def between_polls(number: int) -> None:
    """Wait, so that messages come at all points of time between two polls."""
    time.sleep(0.05 + (number * 37 % 100) / 200)


def latencies(url: str, *, wakes: bool) -> list[float]:
    """Return the milliseconds from the end of a commit to the publisher, one message at a time."""
    found, publisher = [], bus(url, wakes=wakes)
    with process("relay", url, wakes=wakes) as made:
        for number in range(MESSAGES + 5):
            between_polls(number)
            event = created()
            publisher.publish(event).unwrap()
            committed = time.monotonic()
            got, at = line(made).split()
            assert str(event.header.id) == got
            if number >= 5:  # the first ones warm up
                found.append((float(at) - committed) * 1000)
    return found


def idle(url: str, *, wakes: bool) -> float:
    """Return the part of a core that a relay takes that has nothing to do."""
    with process("relay", url, wakes=wakes) as made:
        time.sleep(15)
        assert made.stdin is not None
        made.stdin.close()
        return float(line_with(made, "took").split()[1])


def share(url: str) -> float:
    """Return the speed of the writers as a part of that without announcements: the median of rounds side by side."""
    shares = []
    with ExitStack() as stack:
        writers = {
            wakes: [stack.enter_context(process("write", url, wakes=wakes)) for _ in range(WRITERS)]
            for wakes in (False, True)
        }
        for round_ in range(ROUNDS + 1):
            order = (False, True) if round_ % 2 else (True, False)
            speeds = {wakes: _written(writers[wakes]) for wakes in order}
            if round_:  # the first one warms up
                shares.append(speeds[True] / speeds[False])
    print(f"            rounds: {', '.join(f'{one:.2f}' for one in shares)}")
    return statistics.median(shares)


def _written(writers: "Sequence[subprocess.Popen[str]]") -> int:
    """Let writers write at once, and return how many events that were."""
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    return sum(int(line(writer)) for writer in writers)


@contextmanager
def listening(url: str) -> Iterator[None]:
    """Let a connection hear the announcements, as an idle relay does."""
    with create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        table = connection.scalar(text("SELECT CAST(to_regclass('outbox') AS oid)"))
        connection.execute(text(f"LISTEN domainkit_{table}"))
        driver, ending = connection.connection.driver_connection, Event()

        def hear() -> None:
            while not ending.is_set():
                for _ in driver.notifies(timeout=0.5):  # type: ignore[union-attr]  # a connection of psycopg
                    pass

        thread = Thread(target=hear)
        thread.start()
        yield
        ending.set()
        thread.join()


def told(what: str, value: str, *, met: bool | None = None) -> None:
    """Print a figure."""
    print(f"{what:<44}{value:>12}{'' if met is None else '  met' if met else '  MISSED'}", flush=True)


def told_latencies(database: str, where: str, measured: Measured) -> None:
    """Measure by polling and woken, in this order, and print the times from a commit, and their ratio."""
    medians = []
    for wakes in (False, True):
        found = sorted(measured(wakes=wakes))
        medians.append(statistics.median(found))
        name = f"{database}, {'woken' if wakes else 'polling'}: commit to {where}"
        told(f"{name}, median", f"{medians[-1]:.1f} ms")
        told(f"{name}, p99", f"{found[int(len(found) * 0.99)]:.1f} ms")
    told(
        f"{database}, median, of polling (bar {SHARE})",
        f"{medians[1] / medians[0]:.3f}",
        met=medians[1] / medians[0] <= SHARE,
    )


def report(database: str, url: str) -> None:
    """Measure on one database."""
    told_latencies(database, "publisher", partial(latencies, url))
    for wakes in (False, True):
        took = idle(url, wakes=wakes)
        name = f"{database}, idle relay, {f'woken (bar {IDLE:.0%})' if wakes else 'polling'}"
        told(name, f"{took:.2%} of a core", met=took <= IDLE if wakes else None)
    if database == "PostgreSQL":
        with listening(url):
            found_share = share(url)
        told(f"{WRITERS} writers, of those without (bar {SPEED})", f"{found_share:.2f}", met=found_share >= SPEED)


@contextmanager
def on_sqlite() -> Iterator[str]:
    """Yield the URL of a new file with an outbox."""
    with sqlite_engine(_METADATA) as (_, path):
        yield f"sqlite:///{path}"


@contextmanager
def on_postgresql() -> Iterator[str]:
    """Yield the URL of a schema of its own with an outbox, which is dropped in the end."""
    with postgresql_engine(_METADATA) as (engine, _):
        yield engine.url.render_as_string(hide_password=False)


def main() -> None:
    """Measure on each reachable database, or do a part of that in a process of its own."""
    if sys.argv[1:2] == ["relay"]:
        asyncio.run(relay(*sys.argv[2:]))
    elif sys.argv[1:2] == ["write"]:
        write(*sys.argv[2:])
    else:
        with on_sqlite() as url:
            report("SQLite", url)
        try:
            with on_postgresql() as url:
                report("PostgreSQL", url)
        except OperationalError as error:
            print(f"PostgreSQL: not measured, {type(error.orig).__name__}")


if __name__ == "__main__":
    main()
