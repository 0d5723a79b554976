"""Appends to PostgreSQL that are their own transaction: by psycopg's cursor, or by SQLAlchemy if somebody watches."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest
from databases import Database
from plans import kept_statements, rows_looked_at
from returns.result import Success
from sqlalchemy import Engine, MetaData, event, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from subscriptions import SAMPLES, SampleEvent, nothing_about, subscribed

from domainkit import NO_STREAM, OutcomeUnknownError, RevisionConflict
from domainkit.adapters.sqlalchemy import (
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    SqlEventStore,
    UnitOfWork,
    event_tags_table,
    events_table,
)
from domainkit.adapters.sqlalchemy.lean import LeanEngine
from domainkit.testing import SampleStudentId

Store = SqlEventStore[SampleEvent]

METADATA = MetaData()
EVENTS, TAGS = events_table(METADATA), event_tags_table(METADATA)

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine; the tables are there."""
    with database.engine(METADATA) as made:
        yield made


@pytest.fixture
def store(engine: Engine) -> Store:
    """Return a store with tags, without a thread beside it."""
    return Store(UnitOfWork(engine), EVENTS, SAMPLES, tags=TAGS, wakes=False)


@pytest.mark.parametrize(
    ("name", "plain", "conditional"),
    [
        ("before_cursor_execute", 1, 2),
        ("after_cursor_execute", 1, 2),
        ("begin", 1, 1),
        ("commit", 1, 1),
        ("engine_connect", 1, 1),
    ],
)
def test_a_listener_of_the_engine_is_told_all(
    engine: Engine, store: Store, name: str, plain: int, conditional: int
) -> None:
    """Somebody who begins to listen to an event gets each of these from then on, until they stop."""
    told: list[object] = []

    def listen(connection: object, *_: object) -> None:
        told.append(connection)

    def counted() -> tuple[int, int]:
        told.clear()
        store.append([subscribed()], nothing_about(SampleStudentId.v4())).unwrap()
        found = len(told)
        store.append(SampleStudentId.v4(), [subscribed()], expected=NO_STREAM).unwrap()
        return len(told) - found, found

    assert (0, 0) == counted()
    event.listen(engine, name, listen)
    assert (plain, conditional) == counted()
    event.remove(engine, name, listen)
    assert (0, 0) == counted()


@pytest.mark.parametrize("name", ["do_execute", "do_executemany", "do_execute_no_params", "handle_error", "commit"])
def test_a_listener_of_the_driver_calls_is_told_all(engine: Engine, name: str) -> None:
    """With a listener of the dialect, of errors, or of commits, SQLAlchemy does it all."""
    lean = LeanEngine(engine)
    short = lean.at_once()

    def listen(*_: object) -> None: ...

    event.listen(engine, name, listen)
    assert {"isolation_level": "AUTOCOMMIT"} == lean.at_once() != short
    event.remove(engine, name, listen)
    assert short == lean.at_once()


@pytest.mark.parametrize(
    "append",
    [
        lambda store, who: store.append(who, [subscribed(who)], expected=NO_STREAM),
        lambda store, who: store.append([subscribed(who)], nothing_about(who)),
    ],
    ids=["plain", "conditional"],
)
def test_an_error_is_that_of_sqlalchemy(database: Database, append: Callable[[Store, SampleStudentId], object]) -> None:
    """Class, text, statement and cause are the same, and no parameter is shown."""
    errors: list[DBAPIError] = []
    with database.engine() as engine:
        store = Store(UnitOfWork(engine), EVENTS, SAMPLES, tags=TAGS, wakes=False)
        for is_watched in (False, True):
            if is_watched:
                event.listen(engine, "commit", print)
            ada = SampleStudentId.v4()
            with pytest.raises(ProgrammingError) as raised:
                append(store, ada)
            errors.append(raised.value)
            assert str(ada) not in str(raised.value)
    found, wanted = errors
    assert str(wanted) == str(found)
    assert wanted.statement == found.statement
    assert type(wanted.orig) is type(found.orig)
    assert found.orig is found.__cause__


def test_after_a_restart_of_the_server_one_append_is_lost(database: Database, engine: Engine, store: Store) -> None:
    """The pool is told, as by SQLAlchemy: its other connections are replaced before they are used."""
    with engine.connect() as first, engine.connect() as second:
        pids = [one.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() for one in (first, second)]
    with database.engine() as other, other.connect() as connection:
        for pid in pids:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with pytest.raises(OutcomeUnknownError):
        store.append("task-1", [subscribed()], expected=NO_STREAM)
    for _ in range(2):
        assert isinstance(store.append([subscribed()], nothing_about(SampleStudentId.v4())), Success)


# Races for a revision


@pytest.mark.parametrize("is_watched", [False, True])
def test_who_waited_for_a_revision_looks_again(engine: Engine, store: Store, *, is_watched: bool) -> None:
    """Another transaction stores the next event of the stream: a condition still holds, and an expectation doesn't."""
    if is_watched:
        event.listen(engine, "commit", print)
    unit, ada = UnitOfWork(engine), SampleStudentId.v4()
    first = Store(unit, EVENTS, SAMPLES, tags=TAGS, wakes=False)
    untagged, others = (
        Store(unit, EVENTS, SAMPLES, wakes=False),
        Store(UnitOfWork(engine), EVENTS, SAMPLES, wakes=False),
    )
    with ThreadPoolExecutor(2) as pool, unit.begin():
        first.append("course", [subscribed()], expected=NO_STREAM).unwrap()
        untagged.append("task", [subscribed()], expected=NO_STREAM).unwrap()
        conditional = pool.submit(store.append, [subscribed(ada)], nothing_about(ada), stream="course")
        plain = pool.submit(others.append, "task", [subscribed()], expected=NO_STREAM)
        wait_until_blocked(engine, 2)
    assert 2 == conditional.result().unwrap().revision
    assert RevisionConflict(stream="task", expected=NO_STREAM, actual=1) == plain.result().failure()
    assert 2 == store.append([subscribed()], nothing_about(SampleStudentId.v4()), stream="task").unwrap().revision


async def test_who_waited_for_a_revision_looks_again_in_async_code(database: Database) -> None:
    """As in sync code."""
    async with database.async_engine(METADATA) as engine:
        unit, ada = AsyncUnitOfWork(engine), SampleStudentId.v4()
        untagged = AsyncSqlEventStore(unit, EVENTS, SAMPLES, wakes=False)
        store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES, tags=TAGS, wakes=False)
        others = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES, wakes=False)
        async with asyncio.TaskGroup() as tasks, unit.begin():
            for stream in ("course", "task"):
                (await untagged.append(stream, [subscribed()], expected=NO_STREAM)).unwrap()
            conditional = tasks.create_task(store.append([subscribed(ada)], nothing_about(ada), stream="course"))
            plain = tasks.create_task(others.append("task", [subscribed()], expected=NO_STREAM))
            with database.engine() as watching:
                await asyncio.to_thread(wait_until_blocked, watching, 2)
        assert 2 == conditional.result().unwrap().revision
        assert RevisionConflict(stream="task", expected=NO_STREAM, actual=1) == plain.result().failure()


def wait_until_blocked(engine: Engine, count: int) -> None:
    """Wait until so many sessions of the tests wait for a transaction that stores an event of these tables."""
    blocked = text(
        "SELECT count(*) FROM pg_locks AS waiting JOIN pg_locks AS own USING (pid) WHERE NOT waiting.granted"
        " AND waiting.locktype = 'transactionid' AND own.relation = CAST('events' AS regclass)"
        " AND own.mode = 'RowExclusiveLock'"
    )
    with engine.connect() as connection:
        while connection.execute(blocked).scalar_one() < count:
            sleep(0.01)


async def test_an_append_does_not_read_the_stream(database: Database) -> None:
    """However long it is: an append looks at its end alone, with a condition and without."""
    async with database.async_engine(METADATA) as engine:
        store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES, tags=TAGS, wakes=False)
        looked_at: list[float] = []
        for length in (10, 2000):
            ada = SampleStudentId.v4()
            (await store.append(ada, [subscribed() for _ in range(length)], expected=NO_STREAM)).unwrap()
            async with engine.begin() as connection:
                await connection.exec_driver_sql("ANALYZE")
            with kept_statements(engine) as kept:
                (await store.append(ada, [subscribed(ada)], expected=length)).unwrap()
                (await store.append([subscribed(ada)], nothing_about(SampleStudentId.v4()), stream=ada)).unwrap()
            looked_at.append(await rows_looked_at(engine, kept))
        short, long = looked_at
        assert long < short + 20
