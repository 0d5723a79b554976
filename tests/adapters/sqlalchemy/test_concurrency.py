"""Many at once: no update is lost, nobody is told that the database is locked, one of those who race wins."""

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs
from databases import METADATA, OUTBOX, TASKS, Database, new_database, stored_messages
from returns.result import Failure, Result, Success
from sizes import FULL
from sqlalchemy import Engine

from domainkit import AggregateNotFoundError, AggregateVersionConflictError, DomainEvent
from domainkit.adapters.sqlalchemy import AsyncSqlCrudRepository, AsyncUnitOfWork, SqlCrudRepository, UnitOfWork
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
ROOT = Path(__file__).parents[3]
PROCESSES, EACH = (8, 1000) if FULL else (4, 125)
WRITERS = 16

COUNT = """
import sys
import attrs
from databases import TASKS, unsynced
from datetime import timedelta
from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork, make_engine
from domainkit.testing import SampleTask, SampleTaskId

url, task_id, number = sys.argv[1:]
unit_of_work = UnitOfWork(unsynced(make_engine(url)))
tasks = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work)
for _ in range(int(number)):
    with unit_of_work.begin():
        task = tasks.retrieve(SampleTaskId.from_str(task_id)).unwrap()
        tasks.update(attrs.evolve(task, effort=task.effort + timedelta(seconds=1))).unwrap()
"""


def test_processes_wait_for_their_turn(tmp_path: Path) -> None:
    """Several processes read and then write one SQLite file, 500 times or more: no lock is seen, no update lost."""
    with new_database("sqlite", tmp_path) as database, database.engine(METADATA) as engine:
        tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine))
        task = tasks.save(SampleTask.create("Count")).unwrap()
        command = [sys.executable, "-c", COUNT, f"sqlite:///{database.url.database}", str(task.aggregate_id), str(EACH)]
        started = [
            subprocess.Popen(command, cwd=ROOT / "tests", env=_environment(), stderr=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        errors = [process.communicate()[1] for process in started]
        counted = tasks.retrieve(task.aggregate_id).unwrap()

    assert [""] * PROCESSES == errors
    assert PROCESSES * EACH == (counted.effort - task.effort).total_seconds() == counted.aggregate_version - 1


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_one_of_those_who_race_wins(database: Database) -> None:
    """16 threads update one version at the same time: one stores its state and event, 15 are told of a conflict."""
    with database.engine(METADATA, pool_size=WRITERS) as engine:
        tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine, outbox=OUTBOX))
        task = tasks.save(SampleTask.create("Race").clear_domain_events()).unwrap()
        barrier, outcomes = threading.Barrier(WRITERS), list[Result[SampleTask, object]]()

        def race() -> None:
            barrier.wait()
            outcomes.append(tasks.update(task.record(DomainEvent())))

        threads = [threading.Thread(target=race) for _ in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert_one_won(outcomes, tasks.retrieve(task.aggregate_id), engine)


async def test_one_of_the_tasks_that_race_wins(database: Database) -> None:
    """16 tasks with connections of their own do the same."""
    async with database.async_engine(METADATA, pool_size=WRITERS) as async_engine:
        tasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId](
            SampleTask, TASKS, AsyncUnitOfWork(async_engine, outbox=OUTBOX)
        )
        task = (await tasks.save(SampleTask.create("Race").clear_domain_events())).unwrap()
        barrier = asyncio.Barrier(WRITERS)

        async def race() -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
            await barrier.wait()
            return await tasks.update(task.record(DomainEvent()))

        outcomes = await asyncio.gather(*(race() for _ in range(WRITERS)))
        with database.engine() as engine:
            assert_one_won(outcomes, await tasks.retrieve(task.aggregate_id), engine)


def assert_one_won(
    outcomes: Sequence[Result[SampleTask, object]], stored: Result[SampleTask, object], engine: Engine
) -> None:
    """Assert one Success, 15 conflicts, the version 2 and one event."""
    kinds = Counter(
        type(outcome.failure() if isinstance(outcome, Failure) else outcome).__name__ for outcome in outcomes
    )
    assert {"Success": 1, "AggregateVersionConflictError": WRITERS - 1} == kinds
    assert 2 == stored.unwrap().aggregate_version
    assert 1 == len(stored_messages(engine))


def test_a_reader_waits_for_no_writer(database: Database) -> None:
    """Reads outside of a unit see what was stored last while another one writes."""
    with database.engine(METADATA) as engine:
        unit_of_work = UnitOfWork(engine)
        tasks, others = Tasks(SampleTask, TASKS, unit_of_work), Tasks(SampleTask, TASKS, UnitOfWork(engine))
        task = tasks.save(SampleTask.create("Read")).unwrap()
        with unit_of_work.begin():
            tasks.update(attrs.evolve(task, done=True)).unwrap()
            assert Success(task) == others.retrieve(task.aggregate_id)
            assert Success(()) == others.find(after=task.aggregate_id)  # in a transaction


async def test_an_async_reader_waits_for_no_writer(database: Database) -> None:
    """The same with async connections."""
    async with database.async_engine(METADATA) as engine:
        unit_of_work = AsyncUnitOfWork(engine)
        tasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work)
        others = AsyncSqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, AsyncUnitOfWork(engine))
        task = (await tasks.save(SampleTask.create("Read"))).unwrap()
        async with unit_of_work.begin():
            (await tasks.update(attrs.evolve(task, done=True))).unwrap()
            assert Success(task) == await asyncio.wait_for(others.retrieve(task.aggregate_id), 10)
            assert Success(()) == await asyncio.wait_for(others.find(after=task.aggregate_id), 10)  # in a transaction
