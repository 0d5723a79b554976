"""A unit of work stores all of what is done in it, or nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path

import pytest
from databases import METADATA, OUTBOX, TASKS, Database, new_database, stored_messages, stored_versions
from returns.result import Failure, Result, Success
from sqlalchemy import Column, Connection, Engine, ForeignKey, Integer, MetaData, Table, func, insert, select, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import (
    AggregateAlreadyExistError,
    AsyncUseCase,
    DomainError,
    DomainEvent,
    UseCase,
    async_pipeline,
    pipeline,
)
from domainkit.adapters.sqlalchemy import (
    AsyncOutboxDomainEventBus,
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    OutboxDomainEventBus,
    SqlCrudRepository,
    UnitOfWork,
)
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]

OWN = MetaData()
NOTES = Table("notes", OWN, Column("number", Integer, primary_key=True))
LATE = Table(
    "late",
    OWN,
    Column("number", Integer, ForeignKey("notes.number", deferrable=True, initially="DEFERRED"), primary_key=True),
)


class Refused(DomainError): ...


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA, OWN) as made:
        yield made


@pytest.fixture
async def async_engine(database: Database) -> AsyncIterator[AsyncEngine]:
    """Return an async engine of each kind; the tables are there."""
    async with database.async_engine(METADATA, OWN) as made:
        yield made


@pytest.fixture
def async_unit(async_engine: AsyncEngine) -> AsyncUnitOfWork:
    """Return an async unit of work with an outbox."""
    return AsyncUnitOfWork(async_engine, outbox=OUTBOX)


@pytest.fixture
def async_tasks(async_unit: AsyncUnitOfWork) -> AsyncTasks:
    """Return a repository of the async unit of work."""
    return AsyncTasks(SampleTask, TASKS, async_unit)


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Database]:
    """Return a new database on PostgreSQL."""
    with new_database("postgresql", tmp_path) as made:
        yield made


@pytest.fixture
def looking(database: Database) -> Iterator[Engine]:
    """Return an engine to look at what is stored."""
    with database.engine(METADATA, OWN) as made:
        yield made


def new_task() -> SampleTask:
    """Return a task that has recorded one event."""
    return SampleTask.create("Buy milk")


def assert_stored(engine: Engine, *tasks: SampleTask) -> None:
    """Assert that just these tasks are stored, each with its one event."""
    assert [str(task.aggregate_id) for task in tasks] == list(stored_versions(engine))
    assert [event for task in tasks for event in task.domain_events] == stored_messages(engine)


# Sync


def test_what_is_done_in_a_unit_is_stored_at_its_end(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """Two aggregates, their events and a published one; nobody else sees them before."""
    one, other, event = new_task(), new_task(), DomainEvent()
    with unit_of_work.begin():
        tasks.save(one).unwrap()
        tasks.save(other).unwrap()
        OutboxDomainEventBus(unit_of_work).publish(event).unwrap()
        assert Success(one) == tasks.retrieve(one.aggregate_id)
    assert [*one.domain_events, *other.domain_events, event] == stored_messages(engine)
    assert 2 == len(stored_versions(engine))


def test_an_exception_takes_all_back(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """An exception that leaves the block rolls back every statement, and is raised."""
    with pytest.raises(LookupError), unit_of_work.begin():
        tasks.save(new_task()).unwrap()
        raise LookupError
    assert_stored(engine)


def test_a_failure_takes_all_back(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """A Failure of an atomic step is returned as it is, and nothing is stored; a Success stores all."""

    def refuse(task: SampleTask) -> Result[SampleTask, Refused]:
        tasks.save(task).unwrap()
        return Failure(Refused())

    kept = new_task()
    assert Failure(Refused()) == unit_of_work.atomic(refuse)(new_task())
    assert_stored(engine)
    assert Success(kept) == unit_of_work.atomic(tasks.save)(kept)
    assert_stored(engine, kept)


def test_an_exception_of_a_step_is_raised(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """An exception of an atomic step is raised, and nothing is stored."""

    def crash(task: SampleTask) -> Result[SampleTask, Refused]:
        tasks.save(task).unwrap()
        raise LookupError

    with pytest.raises(LookupError):
        unit_of_work.atomic(crash)(new_task())
    assert_stored(engine)


def test_a_pipeline_is_atomic(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """A whole pipeline, or a part of one, is one unit of work."""

    def save_twice(task: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        return tasks.save(task).bind(lambda _: tasks.save(task))

    save = unit_of_work.atomic(pipeline(tasks.save, tasks.update))
    kept = new_task()
    assert 2 == save(kept).unwrap().aggregate_version
    assert isinstance(pipeline(unit_of_work.atomic(save_twice), tasks.update)(new_task()).failure(), DomainError)
    assert {str(kept.aggregate_id): 2} == stored_versions(engine)
    assert [*kept.domain_events] == stored_messages(engine)


def test_an_early_return_takes_all_back(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """An unwrap of a Failure in a use case rolls back the unit of work that it leaves."""

    class Save(UseCase[[SampleTask], None, AggregateAlreadyExistError]):
        def execute(self, task: SampleTask) -> Result[None, AggregateAlreadyExistError]:
            with unit_of_work.begin():
                tasks.save(task).unwrap()
                tasks.save(task).unwrap()
            return Success(None)

    assert isinstance(Save()(new_task()).failure(), AggregateAlreadyExistError)
    assert_stored(engine)


def test_a_nested_unit_is_taken_back_alone(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """An exception caught around a nested unit takes back what was done in that; the outer one is stored."""
    kept, last = new_task(), new_task()

    def refuse() -> Result[None, Refused]:
        tasks.save(new_task()).unwrap()
        return Failure(Refused())

    with unit_of_work.begin():
        tasks.save(kept).unwrap()
        with pytest.raises(LookupError), unit_of_work.begin():
            tasks.save(new_task()).unwrap()
            raise LookupError
        assert Failure(Refused()) == unit_of_work.atomic(refuse)()
        with unit_of_work.begin():
            tasks.save(last).unwrap()
    assert_stored(engine, kept, last)


def test_a_nested_unit_goes_with_the_outer_one(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """Rows stored by a nested unit are rolled back by an exception of the outer one."""
    with pytest.raises(LookupError), unit_of_work.begin():
        with unit_of_work.begin():
            tasks.save(new_task()).unwrap()
        raise LookupError
    assert_stored(engine)


def test_a_callers_transaction_is_joined(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """Work in a transaction that the caller began is stored when the caller commits, with the caller's own rows."""
    kept = new_task()
    with engine.connect() as connection:
        with connection.begin(), unit_of_work.joining(connection):
            connection.execute(insert(NOTES), {"number": 1})
            tasks.save(kept).unwrap()
        transaction = connection.begin()
        with unit_of_work.joining(connection) as joined:
            joined.execute(insert(NOTES), {"number": 2})
            tasks.save(new_task()).unwrap()
        transaction.rollback()
    assert_stored(engine, kept)
    with engine.connect() as connection:
        assert [1] == connection.scalars(select(NOTES.c.number)).all()


def test_a_joined_block_is_taken_back_alone(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """An exception in the block rolls back the block; the caller's own statements stay the caller's."""
    with engine.begin() as connection:
        connection.execute(insert(NOTES), {"number": 1})
        with pytest.raises(LookupError), unit_of_work.joining(connection):
            tasks.save(new_task()).unwrap()
            raise LookupError
    assert_stored(engine)
    with engine.connect() as connection:
        assert [1] == connection.scalars(select(NOTES.c.number)).all()


def test_own_statements_belong_to_the_unit(engine: Engine, unit_of_work: UnitOfWork) -> None:
    """The connection that begin yields is for the user's own tables."""
    with pytest.raises(LookupError), unit_of_work.begin() as connection:
        connection.execute(insert(NOTES), {"number": 1})
        raise LookupError
    with unit_of_work.reading() as connection:
        assert 0 == connection.scalar(select(func.count()).select_from(NOTES))


def test_a_write_that_failed_cannot_be_committed(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """An exception of a write that is caught inside leaves half of what was meant: nothing is stored."""

    def fail_quietly() -> None:
        with pytest.raises(IntegrityError), unit_of_work.writing() as connection:
            connection.execute(insert(NOTES), [{"number": 1}, {"number": 1}])

    with pytest.raises(RuntimeError, match="a write failed with IntegrityError") as raised, unit_of_work.begin():
        tasks.save(new_task()).unwrap()
        fail_quietly()
    assert isinstance(raised.value.__cause__, IntegrityError)
    assert_stored(engine)


def test_a_write_that_failed_in_a_nested_unit_is_taken_back(
    engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks
) -> None:
    """If the failure is expected, a nested unit around it lets the outer one continue."""
    kept = new_task()
    with unit_of_work.begin():
        with pytest.raises(IntegrityError), unit_of_work.begin(), unit_of_work.writing() as connection:
            connection.execute(insert(NOTES), [{"number": 1}, {"number": 1}])
        tasks.save(kept).unwrap()
    assert_stored(engine, kept)


def divide_by_zero(connection: Connection) -> None:
    """Let a statement fail, and catch it: on PostgreSQL the transaction is aborted then."""
    with pytest.raises(DataError):
        connection.execute(text("SELECT 1 / 0"))


def test_a_transaction_that_is_aborted_is_no_success(postgresql: Database) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK where a statement failed, and no error: that is told."""
    with postgresql.engine(METADATA) as engine:
        unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
        tasks = Tasks(SampleTask, TASKS, unit_of_work)

        def save(task: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
            saved = tasks.save(task)
            with unit_of_work.reading() as connection:
                divide_by_zero(connection)
            return saved

        with pytest.raises(RuntimeError, match="a statement failed"):
            unit_of_work.atomic(save)(new_task())
        assert_stored(engine)
        with unit_of_work.begin():
            tasks.save(kept := new_task()).unwrap()
            with pytest.raises(RuntimeError, match="a statement failed"), unit_of_work.begin() as connection:
                divide_by_zero(connection)
        assert_stored(engine, kept)


async def test_async_a_transaction_that_is_aborted_is_no_success(postgresql: Database) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK where a statement failed, and no error: that is told."""
    async with postgresql.async_engine(METADATA) as engine:
        unit = AsyncUnitOfWork(engine, outbox=OUTBOX)
        with pytest.raises(RuntimeError, match="a statement failed"):
            async with unit.begin() as connection:
                (await AsyncTasks(SampleTask, TASKS, unit).save(new_task())).unwrap()
                await connection.run_sync(divide_by_zero)
    with postgresql.engine() as looking:
        assert_stored(looking)


def test_writing_and_reading_alone(engine: Engine, unit_of_work: UnitOfWork) -> None:
    """Outside of a unit, writing is a transaction of its own, and reading stores nothing."""
    with unit_of_work.writing() as connection:
        connection.execute(insert(NOTES), {"number": 1})
    with unit_of_work.reading() as connection:
        assert [1] == connection.scalars(select(NOTES.c.number)).all()
    with unit_of_work.begin() as outer, unit_of_work.reading() as connection:
        assert outer is connection


def test_reads_of_one_moment(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """The reads don't see rows that another transaction stores meanwhile, and it doesn't wait for them."""
    others, first, second = Tasks(SampleTask, TASKS, UnitOfWork(engine)), new_task(), new_task()
    tasks.save(first).unwrap()
    with unit_of_work.reading() as connection:
        before = tasks.retrieve_all().unwrap()
        others.save(second).unwrap()
        others.remove(first.aggregate_id).unwrap()
        assert before == tasks.retrieve_all().unwrap() == tasks.find().unwrap() == tuple(tasks.stream())
        assert isinstance(tasks.retrieve(first.aggregate_id), Success)
        assert 1 == connection.scalar(select(func.count()).select_from(TASKS))
        with unit_of_work.reading() as inner, unit_of_work.begin() as nested:
            assert connection is inner is nested
            assert before == tasks.retrieve_all().unwrap()
    assert [second.aggregate_id] == [task.aggregate_id for task in tasks.retrieve_all().unwrap()]
    unit_of_work.atomic(tasks.update)(second).unwrap()  # the connection is as it was


def test_who_only_reads_stores_nothing(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """Repositories and buses are refused, in a nested unit too; what a statement of one's own writes isn't kept."""
    for block in (unit_of_work.reading, unit_of_work.begin):
        with unit_of_work.reading(), block():
            for store in (
                lambda: tasks.save(new_task()),
                lambda: OutboxDomainEventBus(unit_of_work).publish(DomainEvent()),
            ):
                with pytest.raises(
                    RuntimeError, match="this unit of work: expected reads only, since `reading` began it"
                ):
                    store()
    with suppress(DBAPIError), unit_of_work.reading() as connection:
        connection.execute(insert(NOTES), {"number": 1})
    with suppress(DBAPIError), unit_of_work.reading(), unit_of_work.begin() as connection:
        connection.execute(insert(NOTES), {"number": 1})
    with engine.connect() as connection:
        assert 0 == connection.scalar(select(func.count()).select_from(NOTES))
    assert_stored(engine)
    with unit_of_work.reading(), engine.begin() as other, unit_of_work.joining(other):
        tasks.save(kept := new_task()).unwrap()
    assert_stored(engine, kept)


def test_another_thread_has_a_unit_of_its_own(unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """A thread that inherits the context of an open unit is refused; it would write into another's transaction."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            tasks.save(new_task())
        except RuntimeError as error:
            raised.append(error)

    with unit_of_work.begin():
        thread = threading.Thread(target=copy_context().run, args=(work,))
        thread.start()
        thread.join()
    assert ["belongs to another task or thread" in str(error) for error in raised] == [True]


def test_a_constraint_that_fails_at_commit_is_definite(engine: Engine, unit_of_work: UnitOfWork) -> None:
    """The database says no when it commits: that is its own exception, and nothing is stored."""

    def add() -> Result[None, Refused]:
        with unit_of_work.writing() as connection:
            connection.execute(insert(LATE), {"number": 1})
        return Success(None)

    with pytest.raises(IntegrityError):
        unit_of_work.atomic(add)()
    with engine.connect() as connection:
        assert 0 == connection.scalar(select(func.count()).select_from(LATE))


def test_a_unit_of_another_database_is_its_own(unit_of_work: UnitOfWork, engine: Engine) -> None:
    """Each UnitOfWork knows its own open transaction alone."""
    other = UnitOfWork(engine)
    with unit_of_work.begin() as outer:
        assert outer is not None
        with other.reading() as connection:
            assert outer is not connection


def test_a_bus_without_an_outbox_is_refused(engine: Engine) -> None:
    """There is nowhere to store what it is given."""
    with pytest.raises(ValueError, match="OutboxDomainEventBus: expected a unit of work with an outbox, got one"):
        OutboxDomainEventBus(UnitOfWork(engine))


# Async


async def test_async_what_is_done_in_a_unit_is_stored_at_its_end(
    looking: Engine, async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks
) -> None:
    """Two aggregates, their events and a published one."""
    one, other, event = new_task(), new_task(), DomainEvent()
    async with async_unit.begin():
        (await async_tasks.save(one)).unwrap()
        (await async_tasks.save(other)).unwrap()
        (await AsyncOutboxDomainEventBus(async_unit).publish(event)).unwrap()
        assert Success(one) == await async_tasks.retrieve(one.aggregate_id)
    assert [*one.domain_events, *other.domain_events, event] == stored_messages(looking)
    assert 2 == len(stored_versions(looking))


async def test_async_an_exception_takes_all_back(
    looking: Engine, async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks
) -> None:
    """An exception that leaves the block rolls back every statement, and is raised; a nested one alone."""
    kept = new_task()
    with pytest.raises(LookupError):
        async with async_unit.begin():
            (await async_tasks.save(new_task())).unwrap()
            raise LookupError
    async with async_unit.begin():
        (await async_tasks.save(kept)).unwrap()
        with pytest.raises(LookupError):
            async with async_unit.begin():
                (await async_tasks.save(new_task())).unwrap()
                raise LookupError
    assert_stored(looking, kept)


async def test_async_reads_of_one_moment(looking: Engine, async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks) -> None:
    """The async twin sees one moment, and stores nothing."""
    others, first, second = Tasks(SampleTask, TASKS, UnitOfWork(looking)), new_task(), new_task()
    (await async_tasks.save(first)).unwrap()
    async with async_unit.reading() as connection:
        before = (await async_tasks.retrieve_all()).unwrap()
        others.save(second).unwrap()
        assert before == (await async_tasks.retrieve_all()).unwrap() == (await async_tasks.find()).unwrap()
        assert before == tuple([task async for task in async_tasks.stream()])
        assert 1 == await connection.scalar(select(func.count()).select_from(TASKS))
        with pytest.raises(RuntimeError, match="this unit of work: expected reads only"):
            await async_tasks.save(new_task())
        async with async_unit.reading() as inner, async_unit.begin() as nested:
            assert connection is inner is nested
            with pytest.raises(RuntimeError, match="this unit of work: expected reads only"):
                await AsyncOutboxDomainEventBus(async_unit).publish(DomainEvent())
    assert 2 == len((await async_tasks.retrieve_all()).unwrap())
    (await async_unit.atomic(async_tasks.update)(second)).unwrap()
    with suppress(DBAPIError):
        async with async_unit.reading() as connection:
            await connection.execute(insert(NOTES), {"number": 1})
    with looking.connect() as sync:
        assert 0 == sync.scalar(select(func.count()).select_from(NOTES))


async def test_async_a_pipeline_is_atomic(
    looking: Engine, async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks
) -> None:
    """A Failure of a step takes back what the steps before it stored; a Success stores all."""

    async def refuse(_: SampleTask) -> Result[SampleTask, Refused]:
        return Failure(Refused())

    kept = new_task()
    assert Failure(Refused()) == await async_unit.atomic(async_pipeline(async_tasks.save, refuse))(new_task())
    assert_stored(looking)
    assert (
        2
        == (await async_unit.atomic(async_pipeline(async_tasks.save, async_tasks.update))(kept))
        .unwrap()
        .aggregate_version
    )
    assert [*kept.domain_events] == stored_messages(looking)


async def test_async_an_early_return_takes_all_back(
    looking: Engine, async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks
) -> None:
    """An unwrap of a Failure in a use case rolls back the unit of work that it leaves."""

    class Save(AsyncUseCase[[SampleTask], None, AggregateAlreadyExistError]):
        async def execute(self, task: SampleTask) -> Result[None, AggregateAlreadyExistError]:
            async with async_unit.begin():
                (await async_tasks.save(task)).unwrap()
                (await async_tasks.save(task)).unwrap()
            return Success(None)

    assert isinstance((await Save()(new_task())).failure(), AggregateAlreadyExistError)
    assert_stored(looking)


async def test_async_a_callers_transaction_is_joined(
    looking: Engine, async_engine: AsyncEngine, async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks
) -> None:
    """Work in a transaction that the caller began is stored when the caller commits; its block may be rolled back."""
    kept = new_task()
    async with async_engine.begin() as connection:
        await connection.execute(insert(NOTES), {"number": 1})
        async with async_unit.joining(connection):
            (await async_tasks.save(kept)).unwrap()
        with pytest.raises(LookupError):
            async with async_unit.joining(connection):
                (await async_tasks.save(new_task())).unwrap()
                raise LookupError
    assert_stored(looking, kept)


async def test_async_a_closed_connection_is_not_joined(async_engine: AsyncEngine, async_unit: AsyncUnitOfWork) -> None:
    """A connection that was never opened has no transaction."""
    with pytest.raises(InvalidRequestError, match="has not been started"):
        await async_unit.joining(async_engine.connect()).__aenter__()


async def test_async_another_task_is_refused(async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks) -> None:
    """A task started inside of a unit inherits its context, and may not write into its transaction."""
    async with async_unit.begin():
        started = asyncio.create_task(async_tasks.save(new_task()))
        with pytest.raises(RuntimeError, match="belongs to another task or thread"):
            await started


async def test_async_a_task_that_outlives_the_unit_works_on_its_own(
    looking: Engine, async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks
) -> None:
    """A task that was started inside is refused until the outermost unit has ended, and is like any other then."""
    over, own = asyncio.Event(), new_task()

    async def work() -> None:
        await over.wait()
        async with async_unit.begin():
            (await async_tasks.save(own)).unwrap()

    async with async_unit.begin():
        async with async_unit.begin():
            early = asyncio.create_task(work())
        over.set()
        with pytest.raises(RuntimeError, match="belongs to another task or thread"):
            await early
        over.clear()
        late = asyncio.create_task(work())
    over.set()
    await late
    assert_stored(looking, own)


async def test_async_tasks_have_units_of_their_own(
    looking: Engine, async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks
) -> None:
    """Tasks that begin their units side by side share nothing: half of them are taken back."""
    kept = [new_task() for _ in range(4)]

    async def work(task: SampleTask, *, keep: bool) -> None:
        async with async_unit.begin():
            (await async_tasks.save(task)).unwrap()
            if not keep:
                raise LookupError

    lost = [work(new_task(), keep=False) for _ in range(4)]
    await asyncio.gather(*lost, *(work(task, keep=True) for task in kept), return_exceptions=True)
    assert {str(task.aggregate_id) for task in kept} == stored_versions(looking).keys()


async def test_async_a_cancelled_unit_is_taken_back(
    looking: Engine, async_unit: AsyncUnitOfWork, async_tasks: AsyncTasks
) -> None:
    """A task that is cancelled in its unit stores nothing, and its connection can be used again."""
    saved = asyncio.Event()

    async def work() -> None:
        async with async_unit.begin():
            (await async_tasks.save(new_task())).unwrap()
            saved.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await saved.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_stored(looking)
    kept = new_task()
    (await async_tasks.save(kept)).unwrap()
    assert_stored(looking, kept)


async def test_async_a_constraint_that_fails_at_commit_is_definite(async_unit: AsyncUnitOfWork) -> None:
    """The database says no when it commits: that is its own exception."""

    async def add() -> Result[None, Refused]:
        def write() -> None:
            with async_unit.inner.writing() as connection:
                connection.execute(insert(LATE), {"number": 1})

        await async_unit.run(write)
        return Success(None)

    with pytest.raises(IntegrityError):
        await async_unit.atomic(add)()


async def test_async_a_write_that_failed_cannot_be_committed(async_unit: AsyncUnitOfWork, looking: Engine) -> None:
    """An exception of a write that is caught inside leaves half of what was meant: nothing is stored."""

    def write() -> None:
        with async_unit.inner.writing() as connection:
            connection.execute(insert(NOTES), [{"number": 1}, {"number": 1}])

    async def work() -> None:
        async with async_unit.begin():
            with pytest.raises(IntegrityError):
                await async_unit.run(write)

    with pytest.raises(RuntimeError, match="a write failed"):
        await work()
    with looking.connect() as connection:
        assert 0 == connection.scalar(select(func.count()).select_from(NOTES))
