"""REPEATABLE READ and SERIALIZABLE on PostgreSQL: who loses a race is told so by a Failure, as at READ COMMITTED."""

import asyncio
from collections.abc import Callable

import attrs
import pytest
from databases import METADATA, OUTBOX, TASKS, Database, stored_messages, stored_versions
from returns.result import Result
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from domainkit import AggregateVersionConflictError, DomainEvent
from domainkit.adapters.sqlalchemy import AsyncSqlCrudRepository, AsyncUnitOfWork, SqlCrudRepository, UnitOfWork
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]
WRITERS = 8

pytestmark = [
    pytest.mark.parametrize("database", ["postgresql"], indirect=True),
    pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"]),
]


def saved(engine: Engine) -> SampleTask:
    """Return a stored task without events."""
    return Tasks(SampleTask, TASKS, UnitOfWork(engine)).save(SampleTask.create("Race").clear_domain_events()).unwrap()


def changed(task: SampleTask) -> SampleTask:
    """Return a task that is done, and has recorded an event."""
    return attrs.evolve(task, done=True).record(DomainEvent())


@pytest.mark.parametrize("way", ["update", "remove_aggregate"])
def test_a_lost_race_is_a_conflict(database: Database, level: str, way: str) -> None:
    """A row changed by another since the transaction read it is not overwritten: the step's Failure says so."""
    with database.engine(METADATA, isolation_level=level) as engine:
        unit, others = UnitOfWork(engine, outbox=OUTBOX), Tasks(SampleTask, TASKS, UnitOfWork(engine))
        tasks, task = Tasks(SampleTask, TASKS, unit), saved(engine)

        def late(task_id: SampleTaskId) -> Result[SampleTask, object]:
            found = tasks.retrieve(task_id).unwrap()
            others.update(task).unwrap()
            change: Callable[[SampleTask], Result[SampleTask, object]] = getattr(tasks, way)
            return change(changed(found))

        error = unit.atomic(late)(task.aggregate_id).failure()
        assert AggregateVersionConflictError(task.aggregate_id, 1, None, "SqlCrudRepository") == error
        assert ({str(task.aggregate_id): 2}, []) == (stored_versions(engine), stored_messages(engine))


@pytest.mark.parametrize("way", ["update", "remove_aggregate"])
async def test_a_lost_race_is_a_conflict_to_await(database: Database, level: str, way: str) -> None:
    """The async twin does the same."""
    async with database.async_engine(METADATA, isolation_level=level) as async_engine:
        unit = AsyncUnitOfWork(async_engine, outbox=OUTBOX)
        tasks, others = (
            AsyncTasks(SampleTask, TASKS, unit),
            AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(async_engine)),
        )
        with database.engine() as engine:
            task = saved(engine)

            async def late(task_id: SampleTaskId) -> Result[SampleTask, object]:
                found = (await tasks.retrieve(task_id)).unwrap()
                (await others.update(task)).unwrap()
                result: Result[SampleTask, object] = await getattr(tasks, way)(changed(found))
                return result

            error = (await unit.atomic(late)(task.aggregate_id)).failure()
            assert AggregateVersionConflictError(task.aggregate_id, 1, None, "AsyncSqlCrudRepository") == error
            assert ({str(task.aggregate_id): 2}, []) == (stored_versions(engine), stored_messages(engine))


async def test_one_of_those_who_race_wins(database: Database, level: str) -> None:
    """Outside of a unit of work too: one stores its state and event, and all others are told of a conflict."""
    async with database.async_engine(METADATA, isolation_level=level, pool_size=WRITERS) as async_engine:
        tasks = AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(async_engine, outbox=OUTBOX))
        with database.engine() as engine:
            task = changed(saved(engine))
            outcomes = await asyncio.gather(*(tasks.update(task) for _ in range(WRITERS)))
            errors = [one.failure() for one in outcomes if not one.map(bool).value_or(False)]
            assert [AggregateVersionConflictError] * (WRITERS - 1) == [type(error) for error in errors]
            assert (2, 1) == (stored_versions(engine)[str(task.aggregate_id)], len(stored_messages(engine)))


@pytest.mark.parametrize("way", ["update", "remove_aggregate"])
async def test_another_refusal_is_an_exception(database: Database, level: str, way: str) -> None:
    """A lock that isn't given in time, say, is no conflict of versions."""
    soon = text("SET LOCAL lock_timeout = '1ms'")

    def change(unit: UnitOfWork, task: SampleTask) -> None:
        with unit.begin() as connection:
            connection.execute(soon)
            getattr(Tasks(SampleTask, TASKS, unit), way)(task)

    async def change_async(unit: AsyncUnitOfWork, task: SampleTask) -> None:
        async with unit.begin() as connection:
            await connection.execute(soon)
            await getattr(AsyncTasks(SampleTask, TASKS, unit), way)(task)

    async with database.async_engine(METADATA, isolation_level=level) as async_engine:
        with database.engine(isolation_level=level) as engine:
            task = saved(engine)
            with engine.begin() as locking:
                locking.execute(TASKS.select().with_for_update())
                with pytest.raises(OperationalError):
                    change(UnitOfWork(engine), task)
                with pytest.raises(OperationalError):
                    await change_async(AsyncUnitOfWork(async_engine), task)
