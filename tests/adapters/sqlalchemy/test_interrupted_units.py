"""A unit of work that is cancelled, interrupted, or ended in another context spoils nothing, and gives all back."""

import asyncio
import contextlib
import contextvars
import gc
import random
import sqlite3
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from databases import METADATA, OUTBOX, TASKS, Database, new_database, stored_messages, stored_versions
from interruptions import interrupted
from returns.result import Success
from sizes import FULL
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import InternalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from domainkit import AsyncInmemoryMessagePublisher, DomainEvent, MessageCodec, causation
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    OutboxDomainEventBus,
    Relay,
    SqlCrudRepository,
    UnitOfWork,
    configure_engine,
    make_async_engine,
    outcomes,
    savepoints,
    units,
)
from domainkit.adapters.sqlalchemy import unit_of_work as unit_of_work_module
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]
TIMES = 300 if FULL else 100


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA) as made:
        yield made


def in_use(engine: Engine | AsyncEngine) -> int:
    """Return how many connections are out of the pool."""
    assert isinstance(engine.pool, QueuePool | AsyncAdaptedQueuePool)
    return engine.pool.checkedout()


# Ended in another context


def test_a_unit_that_ends_in_another_context_stores_nothing(
    engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks
) -> None:
    """It says so, since what was done in between may not be in it; and the first context can go on."""

    def unit() -> Iterator[None]:
        with unit_of_work.begin():
            tasks.save(SampleTask.create("Buy milk")).unwrap()
            yield

    begun = unit()
    next(begun)
    with pytest.raises(RuntimeError, match="this unit of work ended in another context than it began in"):
        contextvars.copy_context().run(next, begun, None)
    assert {} == stored_versions(engine)
    assert isinstance(tasks.save(SampleTask.create("Buy more")), Success)
    assert 1 == len(stored_versions(engine))
    assert 0 == in_use(engine)


def test_what_a_unit_that_ended_elsewhere_stored_is_published_again(unit_of_work: UnitOfWork) -> None:
    """An event that went with the unit may be stored by another one: nothing says that it is stored already."""
    bus, (event,) = OutboxDomainEventBus(unit_of_work), SampleTask.create("Buy milk").domain_events

    def unit() -> Generator[None, None, None]:
        with unit_of_work.begin():
            bus.publish(event).unwrap()
            yield

    begun = unit()
    next(begun)
    with pytest.raises(LookupError):
        contextvars.copy_context().run(begun.throw, LookupError())
    with unit_of_work.begin():
        assert Success(None) == bus.publish(event)


async def test_async_a_unit_may_be_closed_by_another_task(database: Database) -> None:
    """Closing a generator is no success: its unit is taken back, whichever task does so."""
    async with database.async_engine(METADATA) as engine:
        unit_of_work = AsyncUnitOfWork(engine, outbox=OUTBOX)
        tasks = AsyncTasks(SampleTask, TASKS, unit_of_work)

        async def fixture() -> AsyncGenerator[None, None]:
            async with unit_of_work.begin():
                (await tasks.save(SampleTask.create("Buy milk"))).unwrap()
                yield

        made = fixture()

        async def begin() -> None:
            await anext(made)

        async def close() -> None:
            await made.aclose()

        await asyncio.create_task(begin())
        await asyncio.create_task(close())
        assert 0 == in_use(engine)
        assert () == (await tasks.retrieve_all()).unwrap()


# Interrupted by a signal


FILES = frozenset(one.__file__ for one in (unit_of_work_module, units, outcomes, savepoints, causation, contextlib))
"""The files of the unit of work, and those of its context managers."""


def test_a_unit_may_be_interrupted_at_any_moment(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """By Ctrl-C, or an exception of a signal's handler: its connection goes back, and what comes next is not in it."""

    def work() -> None:
        with unit_of_work.begin(), unit_of_work.begin():
            tasks.save(SampleTask.create("Buy milk")).unwrap()

    done = 0
    for _ in interrupted(work, FILES, {"call", "c_return"}):
        done += 1
        assert 0 == in_use(engine)
        assert isinstance(tasks.save(SampleTask.create("Buy more")), Success)
    assert 50 < done < len(stored_versions(engine)) == len(stored_messages(engine))


# Cancelled on SQLite


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """Return a new SQLite file."""
    with new_database("sqlite", tmp_path) as database:
        yield database


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Let nothing be freed but by its last reference."""
    gc.disable()
    yield
    gc.enable()


async def cancelled_at_random(engine: AsyncEngine, path: str | None, *, timed_out: bool) -> int:
    """Cancel units of work that read and write; return how many are stored, each of which must be whole."""
    unit_of_work, chance = AsyncUnitOfWork(engine, outbox=OUTBOX), random.Random(3)
    tasks = AsyncTasks(SampleTask, TASKS, unit_of_work)

    async def save_two() -> None:
        async with unit_of_work.begin():
            saved = (await tasks.save(SampleTask.create("Buy milk"))).unwrap()
            (await tasks.retrieve(saved.aggregate_id)).unwrap()
            (await tasks.save(SampleTask.create("Buy more"))).unwrap()

    await save_two()
    for _ in range(TIMES):
        pause = chance.uniform(0, 0.004)
        if timed_out:
            with suppress(TimeoutError):
                await asyncio.wait_for(save_two(), pause)
        else:
            running = asyncio.create_task(save_two())
            await asyncio.sleep(pause)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await asyncio.sleep(0.002)
        assert 0 == in_use(engine)
        if path is not None:
            write_at_once(path)
    return len((await tasks.retrieve_all()).unwrap())


def write_at_once(path: str) -> None:
    """Take the lock of a database as another process does; an exception if somebody has it."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0.05)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    finally:
        connection.close()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("timed_out", [False, True], ids=["cancelled", "timed out"])
async def test_async_a_cancelled_unit_keeps_no_lock(file: Database, *, timed_out: bool) -> None:
    """Cancelled or timed out at any moment, another process can write at once; no unit is stored by halves."""
    async with file.async_engine(METADATA, busy_timeout=timedelta(seconds=1)) as engine:
        stored = await cancelled_at_random(engine, file.url.database, timed_out=timed_out)
    assert 0 == stored % 2


@pytest.mark.usefixtures("without_collector")
async def test_async_a_cancelled_unit_keeps_a_database_in_memory() -> None:
    """The one connection to a database in memory outlives a cancelled task: the stored rows stay."""
    engine = make_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    stored = await cancelled_at_random(engine, None, timed_out=False)
    assert stored >= 2
    assert 0 == stored % 2
    await engine.dispose()


# An engine that wasn't taught


def test_an_engine_for_sqlite_that_was_not_taught_is_refused(file: Database) -> None:
    """It would take units that aren't atomic; one that was taught is taken, and so is its copy with other options."""
    engine = create_engine(file.url)
    with pytest.raises(
        ValueError, match=r"^the engine for sqlite:///.+: expected .+, got .+; pass it to configure_engine\(engine\)"
    ):
        UnitOfWork(engine)
    configure_engine(engine)
    assert "sqlite" == UnitOfWork(engine.execution_options(logging_token="here")).dialect
    engine.dispose()


async def test_async_an_engine_for_sqlite_that_was_not_taught_is_refused(file: Database) -> None:
    """Neither an async unit of work nor a relay takes it."""
    engine = create_async_engine(file.async_url)
    publisher = AsyncInmemoryMessagePublisher(MessageCodec(DomainEvent))
    for make in (lambda: AsyncUnitOfWork(engine), lambda: Relay(engine, OUTBOX.table, publisher)):
        with pytest.raises(ValueError, match="configure_engine"):
            make()
    await engine.dispose()


def test_an_engine_may_be_taught_twice(file: Database) -> None:
    """The second time changes nothing: a transaction begins once."""
    with file.engine() as engine:
        assert engine is configure_engine(engine)
        with engine.begin() as connection:
            assert 1 == connection.scalar(text("SELECT 1"))


# A server that ended the transaction


def test_a_transaction_that_the_server_ended_is_definite(tmp_path: Path) -> None:
    """The server says that the transaction was idle for too long (25P03): nothing is stored, and that is known."""
    with new_database("postgresql", tmp_path) as database, database.engine(METADATA) as engine:
        unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
        tasks = Tasks(SampleTask, TASKS, unit_of_work)

        def work() -> None:
            with unit_of_work.begin() as connection:
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 20"))
                process = connection.scalar(text("SELECT pg_backend_pid()"))
                tasks.save(SampleTask.create("Buy milk")).unwrap()
                with engine.connect() as looking:
                    while looking.scalar(
                        text("SELECT count(*) FROM pg_stat_activity WHERE pid = :process"), {"process": process}
                    ):
                        looking.rollback()

        with pytest.raises(InternalError, match="idle-in-transaction timeout"):
            work()
        assert {} == stored_versions(engine)
