"""Engines for SQLite and PostgreSQL, as the other parts need them."""

import asyncio
import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import METADATA, OUTBOX, SKIPS_ROLLBACKS, TASKS, Database, new_database, stored_versions
from returns.result import Success
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool, StaticPool

from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    SqlCrudRepository,
    UnitOfWork,
    configure_engine,
    make_async_engine,
    make_engine,
)
from domainkit.testing import SampleTask, SampleTaskId

AUTOCOMMIT: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
PRAGMAS = {"journal_mode": "wal", "busy_timeout": 1500, "foreign_keys": 1}


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """Return a new SQLite file."""
    with new_database("sqlite", tmp_path) as database:
        yield database


def test_sqlite_is_set_up(file: Database) -> None:
    """Each connection has a write-ahead log, a busy timeout and foreign keys that are checked."""
    with file.engine(busy_timeout=timedelta(seconds=1.5)) as engine, engine.connect() as connection:
        found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in PRAGMAS}
    assert PRAGMAS == found


async def test_async_sqlite_is_set_up(file: Database) -> None:
    """An async engine does the same."""
    async with (
        file.async_engine(busy_timeout=timedelta(seconds=1.5)) as engine,
        engine.connect() as connection,
    ):
        found = {name: await connection.scalar(text(f"PRAGMA {name}")) for name in PRAGMAS}
    assert PRAGMAS == found


def test_an_engine_of_ones_own_is_taught(file: Database) -> None:
    """configure_engine returns the engine that it was given, and that does the same; 30 seconds unless told."""
    own = create_engine(file.url)
    assert own is configure_engine(own)
    with own.connect() as connection:
        assert "wal" == connection.scalar(text("PRAGMA journal_mode"))
        assert 30_000 == connection.scalar(text("PRAGMA busy_timeout"))
    own.dispose()


def test_a_transaction_takes_the_lock_at_once(file: Database) -> None:
    """A transaction that will write holds the lock from its beginning, so that it is never refused halfway."""
    with (
        file.engine(METADATA) as engine,
        file.engine(busy_timeout=timedelta(milliseconds=10)) as hasty,
        engine.begin(),
        hasty.connect() as other,
        pytest.raises(DBAPIError, match="locked"),
    ):
        other.begin()


def test_values_are_in_no_error(database: Database) -> None:
    """The text of an error has the statement and not what was to be stored."""
    with database.engine(METADATA) as engine, engine.connect() as connection, pytest.raises(DBAPIError) as raised:
        connection.execute(text("INSERT INTO nowhere (value) VALUES (:value)"), {"value": "s3cret"})
    assert "s3cret" not in str(raised.value)


def test_options_of_ones_own_win(file: Database) -> None:
    """Options of SQLAlchemy are passed on."""
    engine = make_engine(file.url, poolclass=NullPool, hide_parameters=False)
    assert isinstance(engine.pool, NullPool)
    assert engine.hide_parameters is False
    engine.dispose()


PSYCOPG = "postgresql+psycopg"
URLS = [
    ("sqlite:///tasks.db", "sqlite", "sqlite+aiosqlite"),
    ("sqlite+pysqlite:///tasks.db", "sqlite+pysqlite", "sqlite+aiosqlite"),
    ("postgres://ada:hush@db/tasks", PSYCOPG, PSYCOPG),
    ("postgresql://ada:hush@db/tasks", PSYCOPG, PSYCOPG),
    ("postgresql+psycopg://ada:hush@db/tasks", PSYCOPG, PSYCOPG),
]


@pytest.mark.parametrize(("url", "sync_driver", "async_driver"), URLS)
def test_a_url_without_driver_gets_the_one_that_works(url: str, sync_driver: str, async_driver: str) -> None:
    """The usual form of a URL in settings is enough: the rest of it, its password too, stays."""
    given = make_url(url)
    for found in (url, given):
        assert given.set(drivername=sync_driver) == make_engine(found).url
        assert given.set(drivername=async_driver) == make_async_engine(found).url


async def test_async_a_url_without_driver_connects(file: Database) -> None:
    """The URL of a sync engine names the same database for an async one."""
    engine = make_async_engine(file.url)
    async with engine.connect() as connection:
        assert 1 == await connection.scalar(text("SELECT 1"))
    await engine.dispose()


def test_a_driver_of_psycopg2_is_one_for_sync_engines_alone() -> None:
    """It has no async side: an async engine takes psycopg."""
    assert PSYCOPG == make_async_engine("postgresql+psycopg2://ada:hush@db/tasks").url.drivername


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_threads_share_a_database_in_memory(url: str) -> None:
    """A database in memory is one, whoever connects; those who come at once wait for their turn."""
    engine = make_engine(url)
    METADATA.create_all(engine)
    tasks = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, UnitOfWork(engine, outbox=OUTBOX))
    threads = [threading.Thread(target=lambda: tasks.save(SampleTask.create("Buy milk"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8 == len(tasks.retrieve_all().unwrap())
    engine.dispose()


async def test_tasks_share_a_database_in_memory() -> None:
    """The same with async connections."""
    engine = make_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    tasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, AsyncUnitOfWork(engine, outbox=OUTBOX))
    saved = await asyncio.gather(*(tasks.save(SampleTask.create("Buy milk")) for _ in range(8)))
    assert {Success} == set(map(type, saved))
    assert 8 == len((await tasks.retrieve_all()).unwrap())
    await engine.dispose()


def test_options_for_a_database_in_memory_win() -> None:
    """The pool and the driver's own options are the user's if they are given."""
    engine = make_engine("sqlite://", poolclass=StaticPool, connect_args={"timeout": 3})
    assert isinstance(engine.pool, StaticPool)
    engine.dispose()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without SQLAlchemy the import says what to install."""
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.delitem(sys.modules, "domainkit.adapters.sqlalchemy")

    with pytest.raises(ImportError, match=r"pip install 'domainkit-attrs\[sql\]'"):
        importlib.import_module("domainkit.adapters.sqlalchemy")


def test_foreign_keys_are_checked(file: Database) -> None:
    """SQLite checks none unless told."""
    with file.engine() as engine, engine.begin() as connection:
        connection.execute(text("CREATE TABLE one (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE TABLE other (id INTEGER REFERENCES one (id))"))
        with pytest.raises(IntegrityError):
            connection.execute(text("INSERT INTO other VALUES (7)"))


def test_an_engine_in_autocommit_is_refused() -> None:
    """A unit of work on PostgreSQL could roll nothing back; create_engine says so, or an option of the engine."""
    url = "postgresql+psycopg://nobody:hush@nowhere/tasks"
    told = make_engine(url, isolation_level="AUTOCOMMIT")
    for one in (told, told.execution_options(logging_token="x"), make_engine(url).execution_options(**AUTOCOMMIT)):
        with pytest.raises(ValueError, match=r"AUTOCOMMIT.*leave out") as caught:
            UnitOfWork(one)
        assert "hush" not in str(caught.value)
    with pytest.raises(ValueError, match=r"AUTOCOMMIT.*leave out"):
        AsyncUnitOfWork(make_async_engine(url, **AUTOCOMMIT))
    UnitOfWork(told.execution_options(isolation_level="READ COMMITTED"))


@pytest.mark.parametrize("way", ["option of the driver", "later option"])
async def test_a_connection_in_autocommit_is_refused(tmp_path: Path, way: str) -> None:
    """An engine that is found to be in autocommit when it connects, or is so later, stores nothing in a transaction."""
    given: dict[str, Any] = {"connect_args": {"autocommit": True}} if way == "option of the driver" else {}
    with new_database("postgresql", tmp_path) as database, database.engine(METADATA, **given) as engine:
        tasks = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, UnitOfWork(engine, outbox=OUTBOX))
        async with database.async_engine(**given) as async_engine:
            unit_of_work = AsyncUnitOfWork(async_engine, outbox=OUTBOX)
            if not given:
                for one in (engine, async_engine.sync_engine):
                    one.update_execution_options(**AUTOCOMMIT)
            with pytest.raises(RuntimeError, match="in autocommit"):
                tasks.save_all([SampleTask.create("Buy milk")])
            with pytest.raises(RuntimeError, match="in autocommit"), tasks._unit_of_work.begin():
                pass
            with pytest.raises(RuntimeError, match="in autocommit"):
                async with unit_of_work.begin():
                    pass
        with database.engine() as looking:
            assert {} == stored_versions(looking)


@pytest.mark.parametrize("by", ["create_engine", "option"])
def test_sqlite_in_autocommit_has_transactions(file: Database, by: str) -> None:
    """On SQLite that option says nothing about transactions: a configured engine begins and ends its own."""
    with file.engine(METADATA, **(AUTOCOMMIT if by == "create_engine" else {})) as engine:
        unit_of_work = UnitOfWork(engine.execution_options(**AUTOCOMMIT) if by == "option" else engine, outbox=OUTBOX)
        tasks = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work)
        with suppress(KeyError), unit_of_work.begin():
            tasks.save(SampleTask.create("Buy milk")).unwrap()
            raise KeyError
        assert {} == stored_versions(engine)


@SKIPS_ROLLBACKS
@pytest.mark.parametrize("way", ["make_engine", "configure_engine"])
def test_sqlite_rolls_back_whatever_the_engine_may_skip(file: Database, way: str) -> None:
    """SQLAlchemy takes a configured engine for one in autocommit, whose rollbacks it can be told to skip."""
    made = make_engine if way == "make_engine" else create_engine
    engine = made(file.url, skip_autocommit_rollback=True)
    if way == "configure_engine":
        configure_engine(engine)
    METADATA.create_all(engine)
    unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
    tasks = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work)
    for _ in range(2):
        with suppress(KeyError), unit_of_work.begin():
            tasks.save(SampleTask.create("Buy milk")).unwrap()
            raise KeyError
    assert {} == stored_versions(engine)
    engine.dispose()
