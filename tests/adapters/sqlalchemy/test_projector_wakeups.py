"""A projector that is woken by commits: how soon it follows, what it does without news, and what it leaves behind."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from time import monotonic, sleep

import pytest
import sqlalchemy as sa
from accounts import AccountEvent, Deposited, codec
from databases import Database
from projecting import CHECKPOINTS, EVENTS, METADATA, make_store, new_accounts, rows_of, stored_balances
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import ANY_REVISION, InmemoryEventStore, ReadsAllEvents, projection, query
from domainkit.adapters.sqlalchemy import (
    AsyncProjector,
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Projector,
    SqlEventStore,
    UnitOfWork,
    announcements,
    event_tags_table,
    make_engine,
    wakeups,
)

NEVER = timedelta(hours=1)
"""A poll that no test waits for: what arrives was reported."""

TAGS = event_tags_table(METADATA)
Store = SqlEventStore[AccountEvent]
COUNT = projection(0).on(Deposited, lambda number, _: number + 1)


@pytest.fixture(autouse=True)
def _no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a writer that nobody has heard try again soon."""
    monkeypatch.setattr(announcements, "UNHEARD", 0.05)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine; the tables exist."""
    with database.engine(METADATA) as made:
        yield made


@contextmanager
def following(engine: Engine, store: ReadsAllEvents, *, poll: timedelta = NEVER, wakes: bool = True) -> Iterator[None]:
    """Let a projector run beside the block; it must end in time."""
    projector = Projector(UnitOfWork(engine), store, [stored_balances()], CHECKPOINTS, poll=poll, wakes=wakes)
    stop = threading.Event()
    thread = threading.Thread(target=projector.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


@asynccontextmanager
async def following_async(engine: AsyncEngine) -> AsyncIterator[AsyncSqlEventStore[AccountEvent]]:
    """Let an async projector run beside the block, and yield its store."""
    unit_of_work = AsyncUnitOfWork(engine)
    store: AsyncSqlEventStore[AccountEvent] = AsyncSqlEventStore(unit_of_work, EVENTS, codec)
    stop = asyncio.Event()
    projector = AsyncProjector(unit_of_work, store, [stored_balances()], CHECKPOINTS, poll=NEVER)
    task = asyncio.create_task(projector.run(stop))
    try:
        yield store
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await task


def until(check: Callable[[], bool]) -> None:
    """Wait until something holds, and fail if it never does."""
    end = monotonic() + 60
    while not check():
        assert monotonic() < end
        sleep(0.01)


def listeners(engine: Engine) -> int:
    """Return the number of server processes that listen for the events; on SQLite that of threads that look."""
    if engine.dialect.name == "sqlite":
        return len([thread for thread in threading.enumerate() if thread.name == "domainkit wakeups"])
    found = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN domainkit_' || CAST(to_regclass('events') AS oid)"
    )
    with engine.connect() as connection:
        return int(connection.scalar(found) or 0)


def total_of(engine: Engine) -> int:
    """Return what was deposited, by the read model."""
    return sum(row.total for row in rows_of(engine).values())


def _has_total(engine: Engine, number: int) -> bool:
    return total_of(engine) == number


def alone(store: Store) -> None:
    """Append outside of a unit of work, by one statement."""
    (ada,) = new_accounts(1)
    store.append(ada, [Deposited(ada, 1)], expected=0).unwrap()


def after_any_revision(store: Store) -> None:
    """Append outside of a unit of work, in a transaction."""
    (ada,) = new_accounts(1)
    store.append(ada, [Deposited(ada, 1)], expected=ANY_REVISION).unwrap()


def in_a_nested_unit(store: Store) -> None:
    """Append in a unit of work that is nested."""
    with store._unit_of_work.begin(), store._unit_of_work.begin():
        alone(store)


def under_a_condition(store: Store) -> None:
    """Append under a condition."""
    (ada,) = new_accounts(1)
    condition = store.decide(query().about(ada).of(Deposited), COUNT).unwrap().condition
    store.append([Deposited(ada, 1)], condition).unwrap()


@pytest.mark.parametrize("write", [alone, after_any_revision, in_a_nested_unit, under_a_condition])
def test_a_commit_wakes_it(database: Database, engine: Engine, write: Callable[[Store], None]) -> None:
    """An event is in the read model long before the next poll, however it was appended."""
    with database.engine() as other, following(engine, make_store(engine)):
        until(lambda: listeners(engine) == 1)
        store = SqlEventStore(UnitOfWork(other), EVENTS, codec, tags=TAGS)
        for number in range(1, 4):
            write(store)
            until(partial(_has_total, engine, number))


async def test_async_a_commit_wakes_it(database: Database) -> None:
    """So it is for the async twin, in a unit of work and outside."""
    async with database.async_engine(METADATA) as engine, following_async(engine) as store:
        with database.engine() as looking:
            await asyncio.to_thread(until, lambda: listeners(looking) == 1)
            (ada,) = new_accounts(1)
            await store.append(ada, [Deposited(ada, 1)], expected=0)
            await asyncio.to_thread(until, lambda: total_of(looking) == 1)
            async with store._unit_of_work.begin():
                await store.append(ada, [Deposited(ada, 2)], expected=1)
            await asyncio.to_thread(until, lambda: total_of(looking) == 3)


def test_it_can_be_turned_off(engine: Engine) -> None:
    """With `wakes=False` an event is found by the next poll only."""
    store = make_store(engine)
    with following(engine, store, wakes=False):
        sleep(0.3)  # it has looked once
        alone(store)
        sleep(0.5)
        assert 0 == total_of(engine)
        assert 0 == listeners(engine)
    with following(engine, store, poll=timedelta(seconds=0.02), wakes=False):
        until(lambda: total_of(engine) == 1)


def test_events_that_nobody_has_announced(database: Database, engine: Engine) -> None:
    """A lost announcement costs one poll, and so does a store that reports nothing."""
    quiet = SqlEventStore(UnitOfWork(engine), EVENTS, codec, wakes=False)
    with following(engine, make_store(engine), poll=timedelta(seconds=0.05)):
        alone(quiet)
        until(lambda: total_of(engine) == 1)
    with database.engine() as other:
        METADATA.drop_all(other)
        METADATA.create_all(other)
    memory: InmemoryEventStore[AccountEvent] = InmemoryEventStore(codec)
    with following(engine, memory, poll=timedelta(seconds=0.05)):
        (ada,) = new_accounts(1)
        memory.append(ada, [Deposited(ada, 1)], expected=0).unwrap()
        until(lambda: total_of(engine) == 1)


def test_a_database_in_memory_is_polled() -> None:
    """Only one connection has it, so nothing could report its commits."""
    engine = make_engine("sqlite://")
    METADATA.create_all(engine)
    store = make_store(engine)
    with following(engine, store, poll=timedelta(seconds=0.02)):
        alone(store)
        until(lambda: total_of(engine) == 1)
    engine.dispose()


def test_nothing_is_left_behind(engine: Engine) -> None:
    """A projector that has stopped leaves neither a connection nor a thread; one that doesn't wait has none."""
    store = make_store(engine)
    with following(engine, store):
        until(lambda: listeners(engine) == 1)
    until(lambda: listeners(engine) == 0)
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("domainkit wakeups")])
    projector = Projector(UnitOfWork(engine), store, [stored_balances()], CHECKPOINTS)
    projector._wakeups = _broken  # type: ignore[assignment,method-assign]  # it isn't called
    projector.run(threading.Event(), until_idle=True)


async def test_a_bug_in_it_ends_the_projector(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception isn't hidden: `run` raises it."""
    monkeypatch.setattr(wakeups.Wakeups, "run", _broken_run)
    async with database.async_engine(METADATA) as engine:
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(60), following_async(engine):
                await asyncio.sleep(1)
    with database.engine() as engine_:
        projector = Projector(UnitOfWork(engine_), make_store(engine_), [stored_balances()], CHECKPOINTS, poll=NEVER)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(projector.run, threading.Event())


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_writers_are_silent_while_nobody_listens(
    database: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that appends looks for a listener once in ten seconds, and its connection is closed meanwhile."""
    monkeypatch.setattr(announcements, "UNHEARD", 3600.0)
    monkeypatch.setattr(announcements, "_IDLE", 0.05)
    store = make_store(engine)
    announcer = _announcer(store)
    alone(store)
    until(lambda: bool(announcer._unheard) and announcer._thread is not None and not announcer._thread.is_alive())
    alone(store)
    assert not announcer._is_serving
    monkeypatch.setattr(announcements, "UNHEARD", 0.05)
    announcer._unheard.clear()
    with following(engine, store):
        until(lambda: listeners(engine) == 1)
        alone(store)
        until(lambda: total_of(engine) == 3)


def _announcer(store: Store) -> announcements.Announcer:
    assert store._announcement is not None
    return store._announcement.announcers.of(store._unit_of_work._engine)


async def _broken_run(_: wakeups.Wakeups) -> None:
    raise ZeroDivisionError


def _broken(_: object) -> None:
    raise ZeroDivisionError
