"""One measurement of each kind, of the domainkit that this Python imports: seconds by row, or a reason.

`benchmarks.against` runs it with the Pythons of two builds. What a row needs is imported in the row, so that a build
without it still measures the others. Times are those of the processor, or of the clock on the wall if the row says so.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from time import perf_counter, process_time
from typing import Any, Final

from benchmarks.measuring import Batch, calls, interleave

ROUNDS, SECONDS = 3, 0.02
MESSAGES = 100
"""The number of messages that a call of a relay sends: starting it takes time too."""

Row = Callable[[], Iterator[Batch]]
Clock = Callable[[], float]

_CLASS: Final = """
@frozen
class Defined(DomainEvent):
    task_id: Uuid
    title: str
    tags: tuple[str, ...]
"""


def construct() -> Iterator[Batch]:
    """Measure a new event."""
    from benchmarks.contenders.with_domainkit import CONTENDER

    yield calls(CONTENDER.construct)


def encode() -> Iterator[Batch]:
    """Measure an event to bytes."""
    from benchmarks.contenders.with_domainkit import CONTENDER

    yield calls(CONTENDER.encode, CONTENDER.construct())


def decode() -> Iterator[Batch]:
    """Measure bytes to an event."""
    from benchmarks.contenders.with_domainkit import CONTENDER

    yield calls(CONTENDER.decode, CONTENDER.encode(CONTENDER.construct()))


def refuse() -> Iterator[Batch]:
    """Measure bytes with one wrong field to the report about it."""
    from benchmarks.contenders.with_domainkit import CONTENDER, codec

    raw = CONTENDER.encode(CONTENDER.construct())
    broken = raw.replace(b"lovelace@", b"lovelace ")
    assert broken != raw
    codec.decode(broken).failure()
    yield calls(codec.decode, broken)


def define() -> Iterator[Batch]:
    """Measure the definition of a class of events, and a codec for it."""
    from attrs import frozen

    from domainkit import DomainEvent, MessageCodec, Uuid

    code = compile(_CLASS, "defined", "exec")

    def defined() -> None:
        names: dict[str, Any] = {"frozen": frozen, "DomainEvent": DomainEvent, "Uuid": Uuid, "__name__": __name__}
        exec(code, names)  # noqa: S102  (our own text)
        MessageCodec(names["Defined"])

    yield calls(defined)


def import_() -> Iterator[Batch]:
    """Measure `import domainkit` in fresh interpreters."""
    text = "from time import process_time as now; start = now(); import domainkit; print(now() - start)"

    def batch(number: int) -> float:
        command = [sys.executable, "-P", "-c", text]
        runs = (subprocess.run(command, stdout=subprocess.PIPE, check=True) for _ in range(number))  # noqa: S603  (our own text)
        return sum(float(run.stdout) for run in runs)

    yield batch


def save(database: str, clock: Clock) -> Iterator[Batch]:
    """Measure the save of an aggregate with one event."""
    from benchmarks import databases, saving
    from domainkit.testing import SampleTask

    with getattr(databases, f"{database}_engine")(saving._METADATA) as (engine, _):
        saved = saving.by_repository(engine)

        def batch(number: int) -> float:
            tasks = [SampleTask.create("Buy milk") for _ in range(number)]
            start = clock()
            for task in tasks:
                saved(task)
            return clock() - start

        yield batch


def retrieve() -> Iterator[Batch]:
    """Measure the retrieval of an aggregate by its id, from a SQLite file."""
    from benchmarks import databases, saving
    from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork
    from domainkit.testing import SampleTask, SampleTaskId

    with databases.sqlite_engine(saving._METADATA) as (engine, _):
        tasks = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, saving._TABLE, UnitOfWork(engine))
        _, task = SampleTask.create("Buy milk").pull_domain_events()
        tasks.save(task).unwrap()
        yield calls(tasks.retrieve, task.aggregate_id)


def relay(clock: Clock) -> Iterator[Batch]:
    """Measure a hundred messages from a SQLite file to RabbitMQ."""
    from benchmarks import relaying
    from domainkit.adapters.sqlalchemy import Relay

    async def relayed(number: int) -> float:
        async with relaying.on_sqlite() as (engine, table), relaying.broker() as (_, publisher):
            await relaying.stored(engine, table, relaying.rows(number * MESSAGES))
            one = Relay(engine, table, publisher, concurrency=relaying.ON_THEIR_WAY, retention=None)
            start = clock()
            await one.run(asyncio.Event(), until_idle=True)
            taken = clock() - start
            assert one.total.sent == number * MESSAGES, one.total
            return taken

    with asyncio.Runner() as runner:
        yield lambda number: runner.run(relayed(number))


ROWS: Final[Mapping[str, Row]] = {
    "construct": construct,
    "encode": encode,
    "decode": decode,
    "refuse": refuse,
    "define a class": define,
    "import": import_,
    "save, SQLite": partial(save, "sqlite", process_time),
    "retrieve, SQLite": retrieve,
    "save, PostgreSQL": partial(save, "postgresql", process_time),
    "save, PostgreSQL, on the wall": partial(save, "postgresql", perf_counter),
    "relay 100, RabbitMQ": partial(relay, process_time),
    "relay 100, RabbitMQ, on the wall": partial(relay, perf_counter),
}


def measured(row: Row) -> float | str:
    """Return the seconds of one call, or why this build has none."""
    try:
        with contextmanager(row)() as batch:
            return min(interleave({"row": batch}, rounds=ROUNDS, seconds=SECONDS)["row"])
    except Exception as error:  # another build may lack anything, and a server may be away
        return f"{type(error).__name__}: {error}".partition("\n")[0]


def main(arguments: Sequence[str]) -> None:
    """Print what is found for the rows that the arguments name."""
    import domainkit

    found = {name: measured(ROWS[name]) for name in arguments}
    print(
        json.dumps(
            {"rows": found, "is_compiled": find_spec("domainkit._fast") is not None, "place": domainkit.__file__}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
