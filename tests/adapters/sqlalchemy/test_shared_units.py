"""A shared unit of work: one transaction for all threads and tasks that are started in it, one at a time."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import anyio.to_thread
import pytest
from databases import METADATA, OUTBOX, TASKS, Database, stored_messages, stored_versions
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domainkit.adapters.sqlalchemy import AsyncSqlCrudRepository, AsyncUnitOfWork, SqlCrudRepository, UnitOfWork
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA, pool_size=1, max_overflow=0, pool_timeout=10) as made:
        yield made


@pytest.fixture
async def async_unit(database: Database) -> AsyncIterator[AsyncUnitOfWork]:
    """Return an async unit of work of each kind; the tables are there."""
    async with database.async_engine(METADATA) as engine:
        yield AsyncUnitOfWork(engine, outbox=OUTBOX)


@pytest.fixture
def async_tasks(async_unit: AsyncUnitOfWork) -> AsyncTasks:
    """Return a repository of the async unit of work."""
    return AsyncTasks(SampleTask, TASKS, async_unit)


def save(tasks: Tasks) -> SampleTask:
    """Store a new task."""
    return tasks.save(SampleTask.create("Buy milk")).unwrap()


async def test_threads_work_in_one_transaction(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """Whatever thread stores something, all is stored at the end; a nested unit and the connection are part of it."""

    def save_nested() -> None:
        with unit_of_work.begin():
            save(tasks)
        with suppress(LookupError), unit_of_work.begin():
            save(tasks)
            raise LookupError

    async with unit_of_work.begin_shared() as connection:
        saved = await asyncio.to_thread(save, tasks)
        await asyncio.to_thread(save_nested)
        assert saved == tasks.retrieve(saved.aggregate_id).unwrap()
        with unit_of_work.reading() as reading:
            assert connection is reading
    assert 2 == len(stored_versions(engine)) == len(stored_messages(engine))


async def test_an_exception_takes_back_what_threads_did(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """An exception that leaves the block rolls back every thread's statements, and is raised."""

    async def work() -> None:
        async with unit_of_work.begin_shared():
            await asyncio.to_thread(save, tasks)
            raise LookupError

    with pytest.raises(LookupError):
        await work()
    assert {} == stored_versions(engine)


async def test_those_who_work_at_the_same_time_are_refused(unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """A transaction does one thing after the other: who comes in the middle of it is told so."""
    inside, over = threading.Event(), threading.Event()

    def hold() -> None:
        with unit_of_work.begin():
            inside.set()
            over.wait(60)

    async with unit_of_work.begin_shared():
        holding = asyncio.create_task(asyncio.to_thread(hold))
        await asyncio.to_thread(inside.wait)
        with pytest.raises(RuntimeError, match="one task or thread at a time, got a second one"):
            save(tasks)
        over.set()
        await holding
        save(tasks)


async def test_a_shared_unit_is_the_only_one(unit_of_work: UnitOfWork, async_unit: AsyncUnitOfWork) -> None:
    """Inside of another unit there is nothing to share: that is refused, with what to write."""
    for unit in (unit_of_work, async_unit):
        async with unit.begin_shared():
            with pytest.raises(RuntimeError, match="begin_shared: expected no open unit of work, got one"):
                await unit.begin_shared().__aenter__()


async def test_many_wait_for_a_connection_and_get_it(unit_of_work: UnitOfWork, engine: Engine, tasks: Tasks) -> None:
    """Units that wait for a connection don't keep the one who has it from giving it back."""

    async def work() -> None:
        async with unit_of_work.begin_shared():
            await asyncio.to_thread(save, tasks)

    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(work())
    assert 100 == len(stored_versions(engine))


async def test_a_unit_cancelled_while_it_waits_gives_its_connection_back(
    unit_of_work: UnitOfWork, engine: Engine, tasks: Tasks
) -> None:
    """It may get the connection after its task is gone: then it goes back to the pool at once."""
    async with unit_of_work.begin_shared():
        waiting = asyncio.create_task(unit_of_work.begin_shared().__aenter__(), context=fresh())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(save, tasks)
    await asyncio.to_thread(save, tasks)
    assert 2 == len(await asyncio.to_thread(stored_versions, engine))


async def test_a_unit_cancelled_while_it_waits_in_vain(database: Database) -> None:
    """The pool has none for it, after its task is gone: nobody needs to be told."""
    with database.engine(METADATA, pool_size=1, max_overflow=0, pool_timeout=0.2) as engine:
        unit_of_work = UnitOfWork(engine)
        with engine.connect():
            with pytest.raises(PoolTimeoutError):
                await unit_of_work.begin_shared().__aenter__()
            waiting = asyncio.create_task(unit_of_work.begin_shared().__aenter__())
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await asyncio.sleep(0.3)
        async with unit_of_work.begin_shared():
            pass


def fresh() -> contextvars.Context:
    """Return a context in which no unit is open, as another request has."""
    return contextvars.Context()


async def test_a_shared_unit_may_end_in_another_task(unit_of_work: UnitOfWork, engine: Engine, tasks: Tasks) -> None:
    """The thread that began it can continue afterwards, in transactions of its own."""
    unit = unit_of_work.begin_shared()
    await unit.__aenter__()
    await asyncio.to_thread(save, tasks)
    await asyncio.create_task(unit.__aexit__(None, None, None))
    assert 1 == len(stored_versions(engine))
    await asyncio.to_thread(save, tasks)
    assert 2 == len(stored_versions(engine))


@contextmanager
def dependency(unit_of_work: UnitOfWork) -> Iterator[None]:
    """Begin a unit of work as a sync dependency does."""
    with unit_of_work.begin():
        yield


async def test_a_generator_that_a_pool_runs_step_by_step_is_refused(unit_of_work: UnitOfWork) -> None:
    """A thread would enter it, and another leave it: the unit would be of no use in between, and it says so at once."""
    with pytest.raises(RuntimeError, match=r"`async with unit_of_work.begin_shared\(\): yield` instead"):
        await anyio.to_thread.run_sync(dependency(unit_of_work).__enter__)
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="begin_shared"):
        pool.submit(unit_of_work.begin().__enter__).result()


async def test_a_function_in_a_thread_of_a_pool_may_begin_a_unit(
    unit_of_work: UnitOfWork, engine: Engine, tasks: Tasks
) -> None:
    """By itself, by a context manager of its own, or as an atomic step: it ends it too."""

    def work() -> None:
        with dependency(unit_of_work):
            save(tasks)

    await anyio.to_thread.run_sync(work)
    await asyncio.to_thread(unit_of_work.atomic(tasks.save), SampleTask.create("Buy milk"))
    assert 2 == len(stored_versions(engine))


# Async


async def test_async_tasks_work_in_one_transaction(
    async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks, engine: Engine
) -> None:
    """Whatever task stores something, all is stored at the end; a nested unit is a part of it."""

    async def save_nested() -> None:
        async with async_unit.begin():
            (await async_tasks.save(SampleTask.create("Buy milk"))).unwrap()

    async with async_unit.begin_shared():
        await asyncio.create_task(save_nested())
        saved = (await asyncio.create_task(async_tasks.save(SampleTask.create("Buy milk")))).unwrap()
        assert saved == (await async_tasks.retrieve(saved.aggregate_id)).unwrap()
    assert 2 == len(stored_versions(engine)) == len(stored_messages(engine))


async def test_async_those_who_work_at_the_same_time_are_refused(
    async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks
) -> None:
    """Two tasks that save side by side in one unit: the second is told to wait for the first."""
    async with async_unit.begin_shared():
        saving = [async_tasks.save(SampleTask.create("Buy milk")) for _ in range(2)]
        _, refused = await asyncio.gather(*saving, return_exceptions=True)
        assert "expected one task or thread at a time" in str(refused)
