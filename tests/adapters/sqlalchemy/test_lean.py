"""Calls that are their own transaction on SQLite: by the driver's cursor, or by SQLAlchemy if somebody watches."""

import logging
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from databases import METADATA, OUTBOX, TASKS, Database, new_database, stored_messages, stored_versions
from returns.result import Success
from sqlalchemy import Column, Connection, Engine, ForeignKey, Integer, MetaData, Table, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError

from domainkit import NO_STREAM, DomainEvent, MessageCodec
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    SqlCrudRepository,
    SqlEventStore,
    UnitOfWork,
    events_table,
    make_engine,
)
from domainkit.adapters.sqlalchemy.lean import LeanEngine, begun, send
from domainkit.testing import SampleCourseId, SampleStudentId, SampleSubscribed, SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]

INSERT = "INSERT INTO tasks (id, version, state) VALUES (?, ?, ?)"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """Return a new SQLite file."""
    with new_database("sqlite", tmp_path) as database:
        yield database


@pytest.fixture
def engine(file: Database) -> Iterator[Engine]:
    """Return an engine of the file; the tables are there."""
    with file.engine(METADATA) as made:
        yield made


@pytest.fixture
def tasks(engine: Engine) -> Tasks:
    """Return a repository with an outbox."""
    return Tasks(SampleTask, TASKS, UnitOfWork(engine, outbox=OUTBOX))


@pytest.mark.parametrize(
    "name", ["before_cursor_execute", "after_cursor_execute", "begin", "commit", "rollback", "engine_connect"]
)
def test_a_listener_of_the_engine_is_told_all(engine: Engine, tasks: Tasks, name: str) -> None:
    """Somebody who begins to listen to an event gets each of these from then on, until they stop."""
    tasks.save(SampleTask.create("before")).unwrap()
    told: list[object] = []

    def listen(connection: object, *_: object) -> None:
        told.append(connection)

    event.listen(engine, name, listen)
    task = tasks.save(SampleTask.create("Buy milk")).unwrap()
    counts = {"before_cursor_execute": 2, "after_cursor_execute": 2, "rollback": 0}
    assert counts.get(name, 1) == len(told)
    event.remove(engine, name, listen)
    assert 2 == tasks.update(task).unwrap().aggregate_version
    assert counts.get(name, 1) == len(told)


@pytest.mark.parametrize("name", ["do_execute", "do_executemany", "do_execute_no_params", "handle_error"])
def test_a_listener_of_the_driver_calls_is_told_all(engine: Engine, name: str) -> None:
    """With a listener of the dialect, or of errors, SQLAlchemy does it all."""
    lean = LeanEngine(engine)
    assert lean.get() is not engine

    def listen(*_: object) -> None: ...

    event.listen(engine, name, listen)
    assert lean.get() is engine
    event.remove(engine, name, listen)
    assert lean.get() is not engine


def test_a_value_that_is_too_big_is_no_doubt(engine: Engine) -> None:
    """SQLite refuses it before it writes: nothing is stored, and the error says so."""
    metadata = MetaData()
    store = SqlEventStore(UnitOfWork(engine), events_table(metadata), MessageCodec.of(SampleSubscribed))
    metadata.create_all(engine)
    given = [SampleSubscribed(SampleStudentId.v4(), SampleCourseId.v4()).add_meta({"note": "x" * 20_000})]
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
    with pytest.raises(DataError, match="too big"):
        store.append("one", given, expected=NO_STREAM)
    assert () == store.read("one")


def test_a_log_has_all_statements(engine: Engine, tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    """If SQLAlchemy logs statements, by `echo` or by the level of its logger, no statement is left out."""
    with caplog.at_level(logging.INFO, logger="sqlalchemy.engine.Engine"):
        tasks.save(SampleTask.create("Buy milk")).unwrap()
    said = [one.getMessage().partition(" (")[0] for one in caplog.records]
    wanted = ["BEGIN", "INSERT INTO tasks", "INSERT INTO outbox", "COMMIT"]
    assert wanted == [one for one in said if one in wanted]


def test_a_connection_of_an_option_is_kept(engine: Engine) -> None:
    """Options that the application sets later hold for the calls after that; on PostgreSQL the engine is its own."""
    lean = LeanEngine(engine)
    first = lean.get()
    assert first is lean.get()
    engine.update_execution_options(schema_translate_map={None: None})
    assert "schema_translate_map" in lean.get().get_execution_options()
    assert first is not lean.get()


def test_several_events_are_stored_in_order(engine: Engine, tasks: Tasks) -> None:
    """Several rows are one call of the driver."""
    events = [DomainEvent() for _ in range(3)]
    task = SampleTask.create("Buy milk").clear_domain_events().record(*events)
    tasks.save(task).unwrap()
    assert events == stored_messages(engine)


# Errors


@pytest.fixture
def lean(engine: Engine) -> Engine:
    """Return the lean engine."""
    return LeanEngine(engine).get()


def error_of(engine: Engine, statement: str, *parameters: object) -> DBAPIError:
    """Return the error of a statement, in a transaction that is rolled back."""
    with engine.connect() as connection:
        transaction = begun(connection)
        with pytest.raises(DBAPIError) as raised:
            send(connection, statement, parameters)
        transaction.rollback()
    return raised.value


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [("INSERT INTO nowhere VALUES (?)", ("secret",)), (INSERT, ("secret", 1, None)), (INSERT, (object(), 1, "x"))],
    ids=["no table", "not null", "no type"],
)
def test_an_error_is_that_of_sqlalchemy(engine: Engine, lean: Engine, statement: str, parameters: object) -> None:
    """Class, text, statement and cause are the same, and no parameter is shown."""
    given = parameters if isinstance(parameters, tuple) else ()
    found, wanted = error_of(lean, statement, *given), error_of(engine, statement, *given)
    assert (type(wanted), str(wanted)) == (type(found), str(found))
    assert (wanted.statement, wanted.params) == (found.statement, found.params)
    assert type(wanted.orig) is type(found.orig)
    assert found.orig is found.__cause__
    assert "secret" not in str(found)


def test_a_writer_that_holds_the_lock_is_a_timeout(file: Database) -> None:
    """If another transaction writes for too long, it is the error of BEGIN, and no lost race."""
    engine = make_engine(file.url, busy_timeout=timedelta(milliseconds=10))
    METADATA.create_all(engine)
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine))
    task = SampleTask.create("Buy milk")
    with engine.connect() as other:
        other.begin()
        with pytest.raises(OperationalError, match="BEGIN IMMEDIATE"):
            tasks.save(task)
    assert Success(task) == tasks.save(task)
    engine.dispose()


def deferred(engine: Engine) -> Table:
    """Return a table with a foreign key that is checked at COMMIT."""
    metadata = MetaData()
    table = Table(
        "parts",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("whole", Integer, ForeignKey("parts.id", deferrable=True, initially="DEFERRED")),
    )
    metadata.create_all(engine)
    return table


def test_a_constraint_that_fails_at_commit_is_definite(engine: Engine) -> None:
    """The error of COMMIT is raised, nothing is stored, and the connection isn't in a transaction any more."""
    deferred(engine)
    unit_of_work = UnitOfWork(engine)
    for _ in range(2):
        with pytest.raises(IntegrityError):
            unit_of_work._alone(lambda one: send(one, "INSERT INTO parts VALUES (?, ?)", (1, 7)))
    with engine.connect() as connection:
        assert 0 == connection.scalar(text("SELECT count(*) FROM parts"))


def test_an_exception_takes_all_back(engine: Engine, tasks: Tasks) -> None:
    """Neither state nor events are stored if a later statement fails, or SQLite ends the transaction by itself."""
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT RAISE(ROLLBACK, 'no room'); END")
        )
    with pytest.raises(IntegrityError, match="no room"):
        tasks.save(SampleTask.create("Buy milk"))
    assert {} == stored_versions(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER full"))
    tasks.save(SampleTask.create("Buy milk")).unwrap()
    assert 1 == len(stored_messages(engine))


def test_a_closed_connection_is_replaced(engine: Engine, tasks: Tasks) -> None:
    """A connection that somebody has closed gives an error once, and leaves the pool."""
    task = SampleTask.create("Buy milk")
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.close()
    with pytest.raises(ProgrammingError):
        tasks.save(task)
    tasks.save(task).unwrap()
    assert {str(task.aggregate_id): 1} == stored_versions(engine)


def test_a_connection_closed_in_a_transaction_is_replaced(engine: Engine) -> None:
    """The same while the transaction is open, and its error is that of the statement."""
    unit_of_work = UnitOfWork(engine)

    def work(connection: Connection, error: Exception | None = None) -> None:
        close(connection)
        if error is not None:
            raise error
        send(connection, "INSERT INTO tasks VALUES (1)", ())

    with pytest.raises(ProgrammingError):
        unit_of_work._alone(work)
    with pytest.raises(KeyError):
        unit_of_work._alone(lambda connection: work(connection, KeyError()))
    assert {} == stored_versions(engine)


def close(connection: Connection) -> None:
    """Close the connection of the driver."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.close()


async def test_async_a_call_is_a_transaction(file: Database, engine: Engine) -> None:
    """The same by the connections of aiosqlite: a race for an id has one winner, and its event is stored once."""
    async with file.async_engine() as made:
        tasks = AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(made, outbox=OUTBOX))
        task = SampleTask.create("Buy milk")
        saved = (await tasks.save(task)).unwrap()
        assert not isinstance(await tasks.save(task), Success)
        (await tasks.update(saved.record(DomainEvent()))).unwrap()
    assert {str(task.aggregate_id): 2} == stored_versions(engine)
    assert 2 == len(stored_messages(engine))
