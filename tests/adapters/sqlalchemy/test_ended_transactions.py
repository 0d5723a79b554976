"""Transactions that SQLite ends by itself, while the application catches the error: nothing of them is stored."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from databases import METADATA, OUTBOX, TASKS, Database, new_database, stored_messages, stored_versions
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    SqlCrudRepository,
    UnitOfWork,
)
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]

OWN = (
    "CREATE TABLE own (x int)",
    "CREATE TABLE once (x int UNIQUE ON CONFLICT ROLLBACK)",
    "INSERT INTO once VALUES (1)",
    "CREATE TABLE guarded (x text)",
    "CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
)
FAILING = ["INSERT INTO once VALUES (1)", "INSERT INTO guarded VALUES (1)"]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """Return a SQLite file with tables whose rows may end a transaction."""
    with new_database("sqlite", tmp_path) as database, database.engine(METADATA) as engine:
        with engine.begin() as connection:
            for one in OWN:
                connection.exec_driver_sql(one)
        yield database


@pytest.fixture
def engine(file: Database) -> Iterator[Engine]:
    """Return an engine of the file."""
    with file.engine() as made:
        yield made


def stored(engine: Engine) -> tuple[int, int, int]:
    """Return how many tasks, messages and rows of the application are stored."""
    with engine.connect() as connection:
        own = connection.scalar(text("SELECT count(*) FROM own")) or 0
    return len(stored_versions(engine)), len(stored_messages(engine)), own


def save(tasks: Tasks, _: UnitOfWork, __: Connection) -> None:
    """Save by the repository."""
    tasks.save(SampleTask.create("Second"))


def read(tasks: Tasks, _: UnitOfWork, __: Connection) -> None:
    """Read by the repository."""
    tasks.retrieve_all()


def insert(_: Tasks, __: UnitOfWork, connection: Connection) -> None:
    """Store something by a statement."""
    connection.exec_driver_sql("INSERT INTO own VALUES (1)")


def nest(tasks: Tasks, unit_of_work: UnitOfWork, _: Connection) -> None:
    """Store something in a nested unit of work."""
    with unit_of_work.begin():
        tasks.save(SampleTask.create("Second"))


def end(_: Tasks, __: UnitOfWork, ___: Connection) -> None:
    """Do nothing more."""


@pytest.mark.parametrize("then", [save, read, insert, nest, end])
@pytest.mark.parametrize("failing", FAILING, ids=["constraint", "trigger"])
def test_an_ended_transaction_is_not_gone_on_with(
    engine: Engine, failing: str, then: Callable[[Tasks, UnitOfWork, Connection], None]
) -> None:
    """Whatever is done after the error was caught, the unit of work is refused, and nothing of it is stored."""
    unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
    tasks = Tasks(SampleTask, TASKS, unit_of_work)
    with pytest.raises(RuntimeError, match="SQLite rolled back"), unit_of_work.begin() as connection:  # noqa: PT012  # all of it is one transaction
        tasks.save(SampleTask.create("First")).unwrap()
        with suppress(DBAPIError):
            connection.exec_driver_sql(failing)
        then(tasks, unit_of_work, connection)
    assert (0, 0, 0) == stored(engine)
    with unit_of_work.begin() as connection:
        tasks.save(SampleTask.create("Third")).unwrap()
        insert(tasks, unit_of_work, connection)
    assert (1, 1, 1) == stored(engine)


def test_one_that_ends_in_a_nested_unit(engine: Engine) -> None:
    """The outer unit of work has lost its first part, and can't be committed."""
    unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
    tasks = Tasks(SampleTask, TASKS, unit_of_work)
    with pytest.raises(RuntimeError, match="SQLite rolled back"), unit_of_work.begin():  # noqa: PT012  # as above
        tasks.save(SampleTask.create("First")).unwrap()
        with suppress(DBAPIError), unit_of_work.begin() as connection:
            connection.exec_driver_sql(FAILING[0])
        tasks.save(SampleTask.create("Second")).unwrap()
    assert (0, 0, 0) == stored(engine)


async def test_one_that_ends_in_an_async_unit(file: Database, engine: Engine) -> None:
    """The same with async connections."""
    async with file.async_engine() as async_engine:
        unit_of_work = AsyncUnitOfWork(async_engine, outbox=OUTBOX)
        tasks = AsyncTasks(SampleTask, TASKS, unit_of_work)
        with pytest.raises(RuntimeError, match="SQLite rolled back"):  # noqa: PT012  # as above
            async with unit_of_work.begin() as connection:
                (await tasks.save(SampleTask.create("First"))).unwrap()
                with suppress(DBAPIError):
                    await connection.exec_driver_sql(FAILING[1])
                await connection.exec_driver_sql("INSERT INTO own VALUES (1)")
    assert (0, 0, 0) == stored(engine)


def test_an_error_that_ends_nothing_is_as_always(engine: Engine) -> None:
    """A statement of the application that fails alone is undone alone, if the error is caught."""
    unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
    tasks = Tasks(SampleTask, TASKS, unit_of_work)
    with unit_of_work.begin() as connection:
        with suppress(OperationalError):
            connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")
        tasks.save(SampleTask.create("First")).unwrap()
    assert (1, 1, 0) == stored(engine)


def test_a_statement_outside_of_a_transaction_is_as_always(engine: Engine) -> None:
    """One that commits by itself has no transaction to lose."""
    with engine.connect().execution_options(domainkit_at_once=True) as connection:
        with pytest.raises(IntegrityError):
            connection.exec_driver_sql(FAILING[0])
        insert(Tasks(SampleTask, TASKS, UnitOfWork(engine)), UnitOfWork(engine), connection)
    assert (0, 0, 1) == stored(engine)
