"""Reads that are one statement of their own: by the driver's cursor, or by SQLAlchemy if somebody watches."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from attrs import frozen
from databases import METADATA, OUTBOX, TASKS, Database
from interruptions import interrupted
from proxies import CuttingProxy, cutting_proxy
from returns.result import Success
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.pool import QueuePool

from domainkit import AggregateNotFoundError, AggregateRoot, ValueObject
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    SqlCrudRepository,
    UnitOfWork,
    aggregate_table,
    lean_reads,
    make_async_engine,
    make_engine,
)
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind, with a connection; the tables are there."""
    with database.engine(METADATA) as made:
        yield made


@pytest.fixture
def task(engine: Engine) -> SampleTask:
    """Return a stored task."""
    return Tasks(SampleTask, TASKS, UnitOfWork(engine)).save(SampleTask.create("x").clear_domain_events()).unwrap()


@pytest.fixture
def tasks(engine: Engine, task: SampleTask) -> Tasks:
    """Return a repository with that task, which has read it once."""
    made = Tasks(SampleTask, TASKS, UnitOfWork(engine, outbox=OUTBOX))
    assert Success(task) == made.retrieve(task.aggregate_id)
    return made


def is_lean(engine: Engine) -> bool:
    """Check if a read goes by the driver's cursor."""
    return lean_reads.LeanReads(engine).are_possible()


# Watchers


@pytest.mark.parametrize(
    "name",
    [
        "before_execute",
        "after_execute",
        "before_cursor_execute",
        "after_cursor_execute",
        "engine_connect",
        "begin",
        "rollback",
    ],
)
def test_a_listener_of_the_engine_is_told_all(engine: Engine, tasks: Tasks, task: SampleTask, name: str) -> None:
    """Somebody who begins to listen is told of each read from then on, until they stop."""
    told: list[object] = []

    def listen(*given: object) -> None:
        told.append(given)

    event.listen(engine, name, listen)
    assert Success(task) == tasks.retrieve(task.aggregate_id)
    assert 1 == len(told)
    assert Success((task,)) == tasks.retrieve_all()
    assert 2 == len(told)
    event.remove(engine, name, listen)
    assert Success(task) == tasks.retrieve(task.aggregate_id)
    assert 2 == len(told)


@pytest.mark.parametrize("name", ["do_execute", "do_execute_no_params", "handle_error"])
def test_a_listener_of_the_driver_calls_is_told_all(engine: Engine, tasks: Tasks, name: str) -> None:
    """With a listener of the dialect, or of errors, SQLAlchemy does it all."""
    assert is_lean(engine)

    def listen(*_: object) -> None: ...

    event.listen(engine, name, listen)
    assert not is_lean(engine)
    event.remove(engine, name, listen)
    assert is_lean(engine)


def test_a_log_has_the_reads(tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    """If SQLAlchemy logs statements, by `echo` or by the level of its logger, no read is left out."""
    with caplog.at_level(logging.INFO, logger="sqlalchemy.engine.Engine"):
        tasks.retrieve(SampleTaskId.v4()).failure()
    assert 1 == sum(one.getMessage().startswith("SELECT tasks.id") for one in caplog.records)


def test_listeners_of_the_pool_are_told_of_the_connection(engine: Engine, tasks: Tasks) -> None:
    """The connection is one of the pool, which resets it as always."""
    told: list[str] = []
    for name in ("checkout", "reset", "checkin"):
        event.listen(engine, name, lambda *_, name=name: told.append(name))
    tasks.retrieve(SampleTaskId.v4()).failure()
    assert ["checkout", "reset", "checkin"] == told
    assert is_lean(engine)


async def test_async_a_listener_is_told_all(database: Database, task: SampleTask) -> None:
    """The same with async connections."""
    async with database.async_engine() as engine:
        tasks = AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(engine))
        assert Success(task) == await tasks.retrieve(task.aggregate_id)
        told: list[str] = []

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def listen(_: object, __: object, statement: str, *___: object) -> None:
            told.append(statement)

        assert Success(task) == await tasks.retrieve(task.aggregate_id)
        assert Success((task,)) == await tasks.retrieve_all()
        assert 2 == len(told)


# The same answers


def test_a_unit_of_work_reads_its_own_writes(engine: Engine, tasks: Tasks, task: SampleTask) -> None:
    """Inside of it they are seen, and outside not before the commit."""
    with tasks._unit_of_work.begin():
        new = tasks.save(SampleTask.create("new")).unwrap()
        assert Success(new) == tasks.retrieve(new.aggregate_id)
        assert Success((task, new)) == tasks.retrieve_all()
        other = Tasks(SampleTask, TASKS, UnitOfWork(engine))
        assert Success((task,)) == other.retrieve_all()
        assert isinstance(other.retrieve(new.aggregate_id).failure(), AggregateNotFoundError)


class Number(ValueObject[int]):
    """An id that is a number."""


class Seat(ValueObject[tuple[str, int]]):
    """An id of two parts, and so a text in the database."""


@frozen
class Page(AggregateRoot[Number]):
    """An aggregate with a number."""


@frozen
class Ticket(AggregateRoot[Seat]):
    """An aggregate with an id of two parts."""


@pytest.mark.parametrize(
    "item", [Page(aggregate_id=Number(7)), Ticket(aggregate_id=Seat(("A", 5)))], ids=["number", "text"]
)
def test_ids_of_each_kind_are_read(engine: Engine, item: Any) -> None:
    """The id in its column is the id of the aggregate."""
    metadata = sa.MetaData()
    table = aggregate_table(metadata, "items", ids=type(item.aggregate_id))
    metadata.create_all(engine)
    kind: Any = type(item)
    items = SqlCrudRepository[Any, Any](kind, table, UnitOfWork(engine))
    items.save(item).unwrap()
    assert Success(item) == items.retrieve(item.aggregate_id)
    assert Success((item,)) == items.retrieve_all() == items.find() == Success(tuple(items.stream()))


def test_an_engine_of_your_own_will_do(database: Database, task: SampleTask) -> None:
    """On PostgreSQL it need not be configured; then too one listener is enough to be told all."""
    if database.kind == "sqlite":
        return
    own = sa.create_engine(database.url)
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(own))
    assert Success(task) == tasks.retrieve(task.aggregate_id)
    assert is_lean(own)
    assert Success(task) == tasks.retrieve(task.aggregate_id)
    event.listen(own, "begin", lambda _: None)
    assert not is_lean(own)
    own.dispose()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_schemas_are_translated(database: Database, engine: Engine, tasks: Tasks, task: SampleTask) -> None:
    """A map of schemas that the application sets holds from the next read on."""
    schema = f"moved_{uuid4().hex}"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        with engine.begin() as connection:
            METADATA.create_all(connection.execution_options(schema_translate_map={None: schema}))
        engine.update_execution_options(schema_translate_map={None: schema})
        assert Success(()) == tasks.retrieve_all()
        engine.update_execution_options(schema_translate_map=None)
        assert Success((task,)) == tasks.retrieve_all()
        assert is_lean(engine)
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))


# Trips to the server


@pytest.fixture
def proxy(database: Database) -> Iterator[CuttingProxy]:
    """Return a proxy in front of PostgreSQL, which counts."""
    with cutting_proxy(database.url.host or "127.0.0.1", database.url.port or 5432) as made:
        yield made


_WARM = 8
"""Calls after which the driver has prepared the statement: before that, it takes a trip more once."""


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_read_is_one_trip(database: Database, proxy: CuttingProxy, task: SampleTask) -> None:
    """So are a page, and a batch of a stream; a page after an aggregate takes a transaction."""
    engine = make_engine(database.url.set(host="127.0.0.1", port=proxy.port))
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine))
    reads: list[Callable[[], object]] = [
        lambda: tasks.retrieve(task.aggregate_id).unwrap(),
        lambda: tasks.retrieve_all().unwrap(),
        lambda: tasks.find(limit=3).unwrap(),
        lambda: [*tasks.stream()],
    ]
    for read in reads:
        for _ in range(_WARM):
            read()
        before = proxy.trips
        read()
        assert 1 == proxy.trips - before
    assert Success(()) == tasks.find(after=task.aggregate_id)
    engine.dispose()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_async_a_read_is_one_trip(database: Database, proxy: CuttingProxy, task: SampleTask) -> None:
    """The same with async connections."""
    engine = make_async_engine(database.url.set(host="127.0.0.1", port=proxy.port))
    tasks = AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(engine))

    async def streamed() -> object:
        return [one async for one in tasks.stream()]

    reads: list[Callable[[], Awaitable[object]]] = [
        lambda: tasks.retrieve(task.aggregate_id),
        tasks.retrieve_all,
        lambda: tasks.find(limit=3),
        streamed,
    ]
    for read in reads:
        for _ in range(_WARM):
            await read()
        before = proxy.trips
        await read()
        assert 1 == proxy.trips - before
    await engine.dispose()


# Errors


def test_an_error_is_that_of_sqlalchemy(engine: Engine, tasks: Tasks, task: SampleTask) -> None:
    """Class, text, statement and cause are the same whether or not somebody watches, and transactions go on."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE tasks RENAME TO kept"))
    with pytest.raises(DBAPIError) as found:
        tasks.retrieve(task.aggregate_id)
    event.listen(engine, "commit", lambda _: None)
    with pytest.raises(DBAPIError) as wanted:
        tasks.retrieve(task.aggregate_id)
    assert (type(wanted.value), str(wanted.value)) == (type(found.value), str(found.value))
    assert (wanted.value.statement, wanted.value.params) == (found.value.statement, found.value.params)
    assert found.value.orig is found.value.__cause__
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE kept RENAME TO tasks"))
    with suppress(KeyError), tasks._unit_of_work.begin():
        tasks.save(SampleTask.create("taken back")).unwrap()
        raise KeyError
    assert Success((task,)) == tasks.retrieve_all()


def ended(watching: Engine, processes: list[object]) -> None:
    """Let the server end connections, and wait until it has."""
    with watching.connect() as connection:
        for process in processes:
            connection.execute(text("SELECT pg_terminate_backend(:process, 5000)"), {"process": process})


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_lost_connection_takes_those_before_it_out_of_the_pool(
    database: Database, engine: Engine, task: SampleTask
) -> None:
    """After a restart of the server, the first read says so, and all later ones have new connections."""
    with database.engine() as own:
        tasks = Tasks(SampleTask, TASKS, UnitOfWork(own))
        tasks.retrieve(task.aggregate_id).unwrap()
        with own.connect() as one, own.connect() as other:
            processes = [each.scalar(text("SELECT pg_backend_pid()")) for each in (one, other)]
        assert is_lean(own)
        ended(engine, processes)
        with pytest.raises(OperationalError) as raised:
            tasks.retrieve(task.aggregate_id)
        assert raised.value.connection_invalidated
        for _ in range(3):
            assert Success(task) == tasks.retrieve(task.aggregate_id)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_async_a_lost_connection_leaves_the_pool(database: Database, engine: Engine, task: SampleTask) -> None:
    """The same with async connections."""
    async with database.async_engine() as own:
        tasks = AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(own))
        (await tasks.retrieve(task.aggregate_id)).unwrap()
        async with own.connect() as one, own.connect() as other:
            processes = [await each.scalar(text("SELECT pg_backend_pid()")) for each in (one, other)]
        ended(engine, processes)
        with pytest.raises(OperationalError) as raised:
            await tasks.retrieve(task.aggregate_id)
        assert raised.value.connection_invalidated
        for _ in range(3):
            assert Success(task) == await tasks.retrieve(task.aggregate_id)


def test_a_closed_connection_is_replaced(engine: Engine, tasks: Tasks, task: SampleTask) -> None:
    """A connection that somebody has closed gives an error once, and leaves the pool."""
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
    driver.close()
    with pytest.raises((ProgrammingError, OperationalError)):
        tasks.retrieve(task.aggregate_id)
    assert Success(task) == tasks.retrieve(task.aggregate_id)


def test_a_server_that_is_gone_is_an_error_of_sqlalchemy(database: Database, tmp_path: Path, task: SampleTask) -> None:
    """A connection that can't be made is OperationalError, as always."""
    if database.kind == "sqlite":
        engine = make_engine(f"sqlite:///{tmp_path}/none/tasks.db")
        tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine))
    else:
        with cutting_proxy(database.url.host or "127.0.0.1", database.url.port or 5432) as gone:
            engine = make_engine(database.url.set(host="127.0.0.1", port=gone.port))
            tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine))
            tasks.retrieve(task.aggregate_id).unwrap()
            engine.dispose()
    assert is_lean(engine)
    with pytest.raises(OperationalError):
        tasks.retrieve(task.aggregate_id)
    engine.dispose()


# Interrupted


def test_a_read_may_be_interrupted_at_any_moment(engine: Engine, tasks: Tasks, task: SampleTask) -> None:
    """Its connection goes back or is closed, and what comes next on it is a transaction."""
    assert isinstance(engine.pool, QueuePool)
    done = 0
    for _ in interrupted(
        lambda: tasks.retrieve(task.aggregate_id), {lean_reads.__file__}, {"call", "return", "c_return"}
    ):
        done += 1
        assert 0 == engine.pool.checkedout()
        with engine.connect() as connection:
            connection.execute(text("DELETE FROM tasks"))
            connection.rollback()
        assert Success((task,)) == tasks.retrieve_all()
    assert done > 10


async def test_async_a_read_may_be_cancelled(database: Database, task: SampleTask) -> None:
    """The connection goes back or is closed, and what comes next on it is a transaction."""
    async with database.async_engine(pool_size=1, max_overflow=0) as engine:
        tasks = AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(engine))
        for number in range(60):
            reading = asyncio.create_task(tasks.retrieve(task.aggregate_id))
            for _ in range(number):
                await asyncio.sleep(0)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
            async with engine.connect() as connection:
                await connection.execute(text("DELETE FROM tasks"))
                await connection.rollback()
            assert Success((task,)) == await tasks.retrieve_all()
