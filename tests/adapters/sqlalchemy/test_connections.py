"""Errors if a connection is lost, or the database can't write: no row is called stored that may not be."""

import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import METADATA, OUTBOX, TASKS, Database, new_database, stored_messages, stored_versions
from proxies import CuttingProxy, cutting_proxy
from returns.result import Failure, Success
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from domainkit import BusCannotPublish, DomainEvent, OutcomeUnknownError
from domainkit.adapters.sqlalchemy import (
    AsyncOutboxDomainEventBus,
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    OutboxDomainEventBus,
    SqlCrudRepository,
    UnitOfWork,
    make_async_engine,
    make_engine,
)
from domainkit.adapters.sqlalchemy.outcomes import take_back
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Database]:
    """Return a new database on PostgreSQL."""
    with new_database("postgresql", tmp_path) as database:
        yield database


@pytest.fixture
def proxy(postgresql: Database) -> Iterator[CuttingProxy]:
    """Return a proxy in front of the server."""
    with cutting_proxy(postgresql.url.host or "127.0.0.1", postgresql.url.port or 5432) as made:
        yield made


@pytest.fixture
def looking(postgresql: Database) -> Iterator[Engine]:
    """Return an engine that goes straight to the server; the tables are there."""
    with postgresql.engine(METADATA) as engine:
        yield engine


@pytest.mark.parametrize("forward", [True, False], ids=["after", "before"])
def test_a_connection_lost_at_commit(
    postgresql: Database, proxy: CuttingProxy, looking: Engine, *, forward: bool
) -> None:
    """Cut before or after the statement that commits, the error says that the outcome is unknown."""
    url = postgresql.url.set(host="127.0.0.1", port=proxy.port)
    engine = make_engine(url)
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine, outbox=OUTBOX))
    tasks.save(SampleTask.create("before")).unwrap()
    known = set(stored_versions(looking))
    proxy.trigger, proxy.forward = b"WITH made", forward

    task = SampleTask.create("Buy milk")
    with pytest.raises(OutcomeUnknownError):
        tasks.save(task)
    assert 1 == proxy.cuts
    assert ({str(task.aggregate_id)} if forward else set()) == set(stored_versions(looking)) - known
    assert 1 + forward == len(stored_messages(looking))
    engine.dispose()


@pytest.mark.parametrize("forward", [True, False], ids=["after", "before"])
async def test_async_a_connection_lost_at_commit(
    postgresql: Database, proxy: CuttingProxy, looking: Engine, *, forward: bool
) -> None:
    """The same, as the Failure of an atomic step, and with async connections."""
    engine = make_async_engine(postgresql.url.set(host="127.0.0.1", port=proxy.port))
    unit_of_work = AsyncUnitOfWork(engine, outbox=OUTBOX)
    tasks = AsyncTasks(SampleTask, TASKS, unit_of_work)
    proxy.trigger, proxy.forward = b"COMMIT", forward

    outcome = await unit_of_work.atomic(tasks.save)(SampleTask.create("Buy milk"))
    assert isinstance(outcome, Failure)
    assert isinstance(outcome.failure(), OutcomeUnknownError)
    assert int(forward) == len(stored_versions(looking)) == len(stored_messages(looking))
    await engine.dispose()


def test_an_atomic_step_returns_what_nobody_knows(postgresql: Database, proxy: CuttingProxy, looking: Engine) -> None:
    """The sync step returns the Failure as well; a bus says that the outbox may have the event."""
    engine = make_engine(postgresql.url.set(host="127.0.0.1", port=proxy.port))
    unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
    tasks = Tasks(SampleTask, TASKS, unit_of_work)
    proxy.trigger = b"COMMIT"

    assert isinstance(unit_of_work.atomic(tasks.save)(SampleTask.create("Buy milk")).failure(), OutcomeUnknownError)
    proxy.cuts = 0
    failure = OutboxDomainEventBus(unit_of_work).publish(DomainEvent()).failure()
    assert isinstance(failure, BusCannotPublish)
    assert "may have stored it" in failure.detail()
    assert 1 == len(stored_versions(looking))
    engine.dispose()


def test_a_connection_lost_before_a_statement_is_definite(postgresql: Database, looking: Engine) -> None:
    """The server ends the connection inside of a unit: the exception says so, and nothing is stored."""
    with postgresql.engine() as engine:
        unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
        tasks = Tasks(SampleTask, TASKS, unit_of_work)

        def work() -> None:
            with unit_of_work.begin() as connection:
                tasks.save(SampleTask.create("Buy milk")).unwrap()
                end(looking, connection.scalar(text("SELECT pg_backend_pid()")))
                tasks.save(SampleTask.create("Buy more")).unwrap()

        with pytest.raises(OperationalError):
            work()
        assert {} == stored_versions(looking)
        assert [] == stored_messages(looking)
        tasks.save(SampleTask.create("Buy milk")).unwrap()  # with a new connection


async def test_async_a_connection_lost_before_a_statement_is_definite(postgresql: Database, looking: Engine) -> None:
    """The same with async connections."""
    async with postgresql.async_engine() as engine:
        unit_of_work = AsyncUnitOfWork(engine, outbox=OUTBOX)
        tasks = AsyncTasks(SampleTask, TASKS, unit_of_work)

        async def work() -> None:
            async with unit_of_work.begin() as connection:
                (await tasks.save(SampleTask.create("Buy milk"))).unwrap()
                end(looking, await connection.scalar(text("SELECT pg_backend_pid()")))
                (await tasks.save(SampleTask.create("Buy more"))).unwrap()

        with pytest.raises(OperationalError):
            await work()
        assert {} == stored_versions(looking)


def end(engine: Engine, process: object) -> None:
    """Let the server end a connection, and wait until it has."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:process, 5000)"), {"process": process})


def test_a_connection_that_rested_is_asked(
    postgresql: Database, looking: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that the server ended while it rested is made anew, and nobody notices."""
    now = [1000.0]
    monkeypatch.setattr("domainkit.adapters.sqlalchemy.engines.monotonic", lambda: now[0])
    with postgresql.engine() as engine:
        with engine.connect() as connection:
            process = connection.scalar(text("SELECT pg_backend_pid()"))
        now[0] += 0.5
        with engine.connect() as connection:
            assert process == connection.scalar(text("SELECT pg_backend_pid()"))
        end(looking, process)
        now[0] += 1.5
        with engine.connect() as connection:
            assert process != connection.scalar(text("SELECT pg_backend_pid()"))
        now[0] += 1.5
        with engine.connect() as connection:
            assert 1 == connection.scalar(text("SELECT 1"))


# A bus in an open unit, and alone


def test_a_bus_that_cannot_store_is_a_failure(database: Database) -> None:
    """Alone, a database that refuses is BusCannotPublish; in a unit of work it is the exception that ends the unit."""
    with database.engine() as engine:  # without tables
        unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
        bus = OutboxDomainEventBus(unit_of_work)
        failure = bus.publish(DomainEvent()).failure()
        assert "did not store it" in failure.detail()
        with pytest.raises(DBAPIError), unit_of_work.begin():
            bus.publish(DomainEvent())


async def test_async_a_bus_that_cannot_store_is_a_failure(database: Database) -> None:
    """The same with async connections."""
    async with database.async_engine() as engine:
        unit_of_work = AsyncUnitOfWork(engine, outbox=OUTBOX)
        bus = AsyncOutboxDomainEventBus(unit_of_work)
        failure = (await bus.publish(DomainEvent())).failure()
        assert "did not store it" in failure.detail()
        with pytest.raises(DBAPIError):
            async with unit_of_work.begin():
                await bus.publish(DomainEvent())


# SQLite


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """Return a new SQLite file."""
    with new_database("sqlite", tmp_path) as database:
        yield database


def test_a_full_disk_is_definite(file: Database) -> None:
    """SQLite says that there is no room: its own exception, and nothing is stored."""
    with file.engine(METADATA) as engine:
        tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine, outbox=OUTBOX))

        @event.listens_for(engine, "connect")
        def limit(connection: sqlite3.Connection, _: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

        engine.dispose()
        with pytest.raises(OperationalError, match="full"):
            tasks.save(SampleTask.create("Buy milk" * 10_000))
    with file.engine() as looking:
        assert {} == stored_versions(looking)


@pytest.mark.parametrize("is_nested", [False, True])
async def test_a_full_disk_is_not_hidden_by_its_savepoint(file: Database, *, is_nested: bool) -> None:
    """SQLite ends the complete transaction, and with it the savepoint: the exception is the one about the disk."""
    many = [SampleTask.create("Buy milk") for _ in range(1000)]
    async with file.async_engine(METADATA) as engine:

        @event.listens_for(engine.sync_engine, "connect")
        def limit(connection: Any, _: object) -> None:
            connection.execute("PRAGMA max_page_count = 1")

        await engine.dispose()
        unit = AsyncUnitOfWork(engine)
        tasks = AsyncTasks(SampleTask, TASKS, unit)
        with pytest.raises(OperationalError, match="full"):
            async with unit.begin() if is_nested else nullcontext(), unit.begin() if is_nested else nullcontext():
                await tasks.save_all(many)
    with file.engine() as looking:
        assert {} == stored_versions(looking)


def test_a_file_that_cannot_be_written_is_definite(file: Database) -> None:
    """A database opened to read alone takes nothing."""
    with file.engine(METADATA):
        pass
    url = file.url.set(database=f"file:{file.url.database}").update_query_dict({"mode": "ro", "uri": "true"})
    engine = make_engine(url, poolclass=NullPool)
    with pytest.raises(OperationalError, match="readonly"):
        Tasks(SampleTask, TASKS, UnitOfWork(engine)).save(SampleTask.create("Buy milk"))
    with file.engine() as looking:
        assert {} == stored_versions(looking)


@pytest.mark.parametrize(
    ("code", "definite"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_FULL, True),
        (sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, True),
        (sqlite3.SQLITE_IOERR, False),
        (sqlite3.SQLITE_IOERR_FSYNC, False),
        (sqlite3.SQLITE_CORRUPT, False),
    ],
)
def test_what_sqlite_says_at_commit(file: Database, code: int, *, definite: bool) -> None:
    """A disk that fails leaves it open what was stored; a lock, no room, or a constraint does not."""
    cause = sqlite3.OperationalError("at commit")
    cause.sqlite_errorcode = code
    said = nullcontext() if definite else pytest.raises(OutcomeUnknownError)
    with file.engine() as engine, engine.connect() as connection, said:
        take_back(connection, DBAPIError("COMMIT", None, cause))


def test_what_others_say_at_commit(file: Database) -> None:
    """An error of the network, and one that has no code, leave it open; an interrupt is no answer of the database."""
    with file.engine() as engine, engine.connect() as connection:
        take_back(connection, KeyboardInterrupt())
        for error in (OSError(), DBAPIError("COMMIT", None, Exception())):
            with pytest.raises(OutcomeUnknownError):
                take_back(connection, error)
        connection.invalidate()
        with pytest.raises(OutcomeUnknownError):
            take_back(connection, OSError())


def test_a_commit_that_finds_the_file_locked_may_be_repeated(file: Database) -> None:
    """Whoever waits for longer than the busy timeout gets an exception, and may try again."""
    with file.engine(METADATA) as engine, file.engine(busy_timeout=timedelta(milliseconds=20)) as hasty:
        tasks = Tasks(SampleTask, TASKS, UnitOfWork(hasty))
        task = SampleTask.create("Buy milk")
        with engine.begin(), pytest.raises(OperationalError, match="locked"):
            tasks.save(task)
        assert Success(task) == tasks.save(task)
