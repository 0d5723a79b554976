"""Announcements of commits on PostgreSQL: all that is announced, what isn't, and that nothing is left behind."""

import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from databases import CODEC, METADATA, OUTBOX, TASKS, Database
from psycopg import sql
from returns.result import Failure, Result, Success
from sqlalchemy import Engine, MetaData, create_engine, text
from sqlalchemy.pool import NullPool

from domainkit import NO_STREAM, DomainError, MessageCodec
from domainkit.adapters.sqlalchemy import (
    AsyncInbox,
    AsyncOutboxDomainEventBus,
    AsyncSqlCrudRepository,
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Inbox,
    Outbox,
    OutboxDomainEventBus,
    SqlCrudRepository,
    SqlEventStore,
    UnitOfWork,
    announcements,
    events_table,
    inbox_table,
    make_engine,
    outbox_table,
)
from domainkit.adapters.sqlalchemy.announcements import Announcer
from domainkit.testing import SampleTask, SampleTaskCreated, SampleTaskId

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

EXTRA = MetaData()
EVENTS, INBOX = events_table(EXTRA), inbox_table(EXTRA)
QUIET = Outbox(OUTBOX.table, CODEC, wakes=False)
SHORT = 0.3
"""Seconds in which an announcement that should not come would have come: those that do take milliseconds."""


class Ear:
    """A connection that hears what is announced for the outbox."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def hears(self, seconds: float = 60) -> bool:
        """Wait for an announcement; tell whether there was one, and forget those that came with it."""
        return bool([*self._connection.notifies(timeout=seconds, stop_after=1)])


@contextmanager
def listening(database: Database, table: str = "outbox") -> Iterator[Ear]:
    """Yield an ear."""
    with psycopg.connect(_conninfo(database), autocommit=True) as connection:
        found = connection.execute("SELECT to_regclass(%s)::oid", [table]).fetchone()
        assert found is not None
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(f"domainkit_{found[0]}")))
        yield Ear(connection)


def tasks(engine: Engine, outbox: Outbox = OUTBOX) -> SqlCrudRepository[SampleTask, SampleTaskId]:
    """Return a repository that stores events."""
    return SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, UnitOfWork(engine, outbox=outbox))


def created() -> SampleTaskCreated:
    """Return an event."""
    (event,) = SampleTask.create("Buy milk").domain_events
    assert isinstance(event, SampleTaskCreated)
    return event


def in_a_unit(unit_of_work: UnitOfWork) -> None:
    """Save in a nested unit of work."""
    repository = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work)
    with unit_of_work.begin(), unit_of_work.begin():
        repository.save(SampleTask.create("Buy milk")).unwrap()


def alone(unit_of_work: UnitOfWork) -> None:
    """Save outside of a unit of work."""
    repository = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work)
    repository.save(SampleTask.create("Buy milk")).unwrap()


def by_a_bus(unit_of_work: UnitOfWork) -> None:
    """Publish by a bus."""
    OutboxDomainEventBus(unit_of_work).publish(created()).unwrap()


def by_a_store(unit_of_work: UnitOfWork) -> None:
    """Append to an event store."""
    SqlEventStore(unit_of_work, EVENTS, MessageCodec.of(SampleTaskCreated)).append(
        "stream", [created()], expected=NO_STREAM
    ).unwrap()


def by_a_handler(unit_of_work: UnitOfWork) -> None:
    """Publish in a handler of an inbox."""

    def handle(_: SampleTaskCreated) -> Result[None, DomainError]:
        by_a_bus(unit_of_work)
        return Success(None)

    Inbox(INBOX, unit_of_work).once(handle, name="handle")(created()).unwrap()


def refused(unit_of_work: UnitOfWork) -> Result[None, DomainError]:
    """Store an event, and return a Failure."""
    by_a_bus(unit_of_work)
    return Failure(DomainError())


async def async_in_a_unit(unit_of_work: AsyncUnitOfWork) -> None:
    """Save in a nested unit of work."""
    async with unit_of_work.begin(), unit_of_work.begin():
        await async_alone(unit_of_work)


async def async_in_a_shared_unit(unit_of_work: AsyncUnitOfWork) -> None:
    """Save in another task of a shared unit of work."""
    async with unit_of_work.begin_shared():
        await asyncio.create_task(async_alone(unit_of_work))


async def async_alone(unit_of_work: AsyncUnitOfWork) -> None:
    """Save outside of a unit of work."""
    repository = AsyncSqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work)
    (await repository.save(SampleTask.create("Buy milk"))).unwrap()


async def async_by_a_bus(unit_of_work: AsyncUnitOfWork) -> None:
    """Publish by a bus."""
    (await AsyncOutboxDomainEventBus(unit_of_work).publish(created())).unwrap()


async def async_by_a_store(unit_of_work: AsyncUnitOfWork) -> None:
    """Append to an event store."""
    store = AsyncSqlEventStore(unit_of_work, EVENTS, MessageCodec.of(SampleTaskCreated))
    (await store.append("stream", [created()], expected=NO_STREAM)).unwrap()


async def async_by_a_handler(unit_of_work: AsyncUnitOfWork) -> None:
    """Publish in a handler of an inbox."""

    async def handle(_: SampleTaskCreated) -> Result[None, DomainError]:
        await async_by_a_bus(unit_of_work)
        return Success(None)

    (await AsyncInbox(INBOX, unit_of_work).once(handle, name="handle")(created())).unwrap()


SYNC = (in_a_unit, alone, by_a_bus, by_a_store, by_a_handler)
ASYNC = (
    async_in_a_unit,
    async_in_a_shared_unit,
    async_alone,
    async_by_a_bus,
    async_by_a_store,
    async_by_a_handler,
)


class TestAnnounced:
    @pytest.mark.parametrize("write", SYNC)
    def test_all_that_stores_messages(self, database: Database, write: Callable[[UnitOfWork], None]) -> None:
        """After each commit with messages the relays are woken, whoever stored them."""
        with database.engine(METADATA, EXTRA) as engine, listening(database) as ear:
            write(UnitOfWork(engine, outbox=OUTBOX))
            assert ear.hears()

    @pytest.mark.parametrize("write", ASYNC)
    async def test_all_that_stores_messages_async(
        self, database: Database, write: Callable[[AsyncUnitOfWork], Awaitable[None]]
    ) -> None:
        """So they are after commits of async units."""
        async with database.async_engine(METADATA, EXTRA) as engine:
            with listening(database) as ear:
                await write(AsyncUnitOfWork(engine, outbox=OUTBOX))
                assert await asyncio.to_thread(ear.hears)

    async def test_a_shared_unit_of_threads(self, database: Database) -> None:
        """So they are after a unit that threads share."""
        with database.engine(METADATA) as engine, listening(database) as ear:
            unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
            async with unit_of_work.begin_shared():
                await asyncio.to_thread(alone, unit_of_work)
            assert await asyncio.to_thread(ear.hears)

    def test_a_transaction_of_ones_own(self, database: Database) -> None:
        """Messages that were added in another transaction are announced by `announce`."""
        with database.engine(METADATA) as engine, listening(database) as ear:
            with engine.begin() as connection:
                OUTBOX.add(connection, [created()])
            assert not ear.hears(SHORT)
            OUTBOX.announce(connection)
            assert ear.hears()

    def test_the_outbox_is_known_by_what_it_is(self, database: Database) -> None:
        """A writer may name the schema, and the relay find it along its path: it is the same outbox."""
        schema = database.url.query["options"].partition("search_path=")[2].split()[0]  # type: ignore[union-attr]  # one
        for name in ('it\'s "odd": %s', "outbox"):
            table = outbox_table(MetaData(), name, schema=schema)
            quoted = '"{}"'.format(name.replace('"', '""'))
            with database.engine(outbox_table(MetaData(), name).metadata) as engine, listening(database, quoted) as ear:
                by_a_bus(UnitOfWork(engine, outbox=Outbox(table, CODEC)))
                assert ear.hears()

    def test_a_schema_that_an_engine_puts_in_place(self, database: Database) -> None:
        """An engine may translate schemas, as for tenants: the outbox in that schema is meant."""
        schema = database.url.query["options"].partition("search_path=")[2].split()[0]  # type: ignore[union-attr]  # one
        with database.engine(METADATA) as engine, listening(database) as ear:
            translating = engine.execution_options(schema_translate_map={"tenant": schema})
            by_a_bus(UnitOfWork(translating, outbox=Outbox(outbox_table(MetaData(), schema="tenant"), CODEC)))
            assert ear.hears()

    def test_commits_in_a_row_are_announced_together(self, database: Database) -> None:
        """A process announces at once, and then once in 50 ms: many writers are not slowed down."""
        with database.engine(METADATA) as engine, listening(database) as ear:
            unit_of_work, start, number = UnitOfWork(engine, outbox=OUTBOX), time.monotonic(), 0
            for _ in range(50):
                by_a_bus(unit_of_work)
            engine.dispose()
            seconds = time.monotonic() - start
            while ear.hears(SHORT):
                number += 1
            assert 1 <= number <= seconds / announcements.GAP + 2


class TestNotAnnounced:
    def test_what_was_rolled_back(self, database: Database) -> None:
        """A transaction that stored nothing, or was rolled back, wakes nobody: there is no thread for it."""
        with database.engine(METADATA) as engine, listening(database) as ear:
            unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
            unit_of_work.atomic(refused)(unit_of_work)
            with unit_of_work.begin():
                unit_of_work.atomic(refused)(unit_of_work)
            repository = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, UnitOfWork(engine))
            repository.save(SampleTask.create("Buy milk")).unwrap()
            assert not ear.hears(SHORT)
            assert [] == serving(engine)

    @pytest.mark.parametrize("outbox", [QUIET, None])
    def test_it_can_be_turned_off(self, database: Database, outbox: Outbox | None) -> None:
        """With `wakes=False` nothing is announced, and nothing started."""
        with database.engine(METADATA) as engine, listening(database) as ear:
            if outbox is not None:
                tasks(engine, outbox).save(SampleTask.create("Buy milk")).unwrap()
            assert not ear.hears(SHORT)
            assert [] == serving(engine)


def serving(engine: Engine) -> list[threading.Thread]:
    """Return the threads that announce for an engine."""
    found = (outbox._announcers.get(engine.pool) for outbox in (OUTBOX, QUIET))
    threads = (announcer._thread for announcer in found if announcer is not None)
    return [thread for thread in threads if thread is not None and thread.is_alive()]


def connections(database: Database, name: str) -> Callable[[], int]:
    """Return what counts the connections of an application."""

    def count() -> int:
        with psycopg.connect(_conninfo(database)) as connection:
            found = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
            return int((connection.execute(found, [name]).fetchone() or (0,))[0])

    return count


def until(check: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds, and fail if it never does."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)


class TestTheConnection:
    def test_it_is_closed_with_the_engine(self, database: Database) -> None:
        """After `dispose` no connection of the engine is left; a later commit is announced all the same."""
        arguments = {"connect_args": {"application_name": f"test {id(database)}"}}
        count = connections(database, f"test {id(database)}")
        with database.engine(METADATA, **arguments) as engine, listening(database) as ear:
            for _ in range(2):
                alone(UnitOfWork(engine, outbox=OUTBOX))
                assert ear.hears()
                assert 2 == count()
                (thread,) = serving(engine)
                engine.dispose()
                assert not thread.is_alive()
                until(lambda: count() == 0)

    @pytest.mark.parametrize("by_store", [False, True])
    def test_an_engine_is_disposed_of_while_threads_store(self, database: Database, *, by_store: bool) -> None:
        """It raises nothing, and leaves no listener behind; what was committed since is announced by its new pool."""
        unpooled = {"poolclass": NullPool}  # a pool that is disposed of forgets the connections in use
        with database.engine(METADATA, EXTRA, **unpooled) as engine, listening(database) as ear:
            work, stopping = UnitOfWork(engine, outbox=None if by_store else OUTBOX), threading.Event()
            store = SqlEventStore(work, EVENTS, MessageCodec.of(SampleTaskCreated))
            before = len(list(engine.dispatch.engine_disposed))

            def storing() -> None:
                while not stopping.is_set():
                    if by_store:
                        store.append(str(SampleTaskId.v4()), [created()], expected=NO_STREAM).unwrap()
                    else:
                        alone(work)

            threads = [threading.Thread(target=storing) for _ in range(4)]
            for thread in threads:
                thread.start()
            try:
                for _ in range(20):
                    time.sleep(0.01)
                    engine.dispose()
            finally:
                stopping.set()
                for thread in threads:
                    thread.join()
            assert before == len(list(engine.dispatch.engine_disposed))
            while ear.hears(SHORT):
                pass
            alone(UnitOfWork(engine, outbox=OUTBOX))
            assert ear.hears()

    async def test_it_is_closed_with_an_async_engine(self, database: Database) -> None:
        """So it is with an async engine, whose connection has an event loop of its own."""
        arguments = {"connect_args": {"application_name": f"test {id(database)}"}}
        count = connections(database, f"test {id(database)}")
        async with database.async_engine(METADATA, **arguments) as engine:
            with listening(database) as ear:
                await async_alone(AsyncUnitOfWork(engine, outbox=OUTBOX))
                assert await asyncio.to_thread(ear.hears)
                await engine.dispose()
                until(lambda: count() == 0)

    def test_what_waits_is_announced_at_the_end(self, database: Database) -> None:
        """An engine that is disposed of right after a commit has announced it."""
        with database.engine(METADATA) as engine, listening(database) as ear:
            alone(UnitOfWork(engine, outbox=OUTBOX))
            engine.dispose()
            assert ear.hears()

    def test_it_is_not_closed_with_another_engine(self, database: Database) -> None:
        """The thread of an engine goes on if another one is disposed of, though both announce for one outbox."""
        with database.engine(METADATA) as engine, database.engine() as other:
            for one in (engine, other):
                alone(UnitOfWork(one, outbox=OUTBOX))
            (thread,) = serving(engine)
            other.dispose()
            assert thread.is_alive()

    def test_it_keeps_no_engine(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """An outbox outlives engines: after its thread has ended, an engine that nobody uses is gone."""
        monkeypatch.setattr(announcements, "_IDLE", 0.05)
        with database.engine(METADATA), listening(database) as ear:

            def used() -> weakref.ref[Engine]:
                engine = make_engine(database.url, poolclass=NullPool)
                alone(UnitOfWork(engine, outbox=OUTBOX))
                until(lambda: not serving(engine))
                return weakref.ref(engine)

            engine = used()
            assert ear.hears()
            gc.collect()
            assert engine() is None

    def test_it_is_closed_when_it_was_idle(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process that stores no more messages has neither the thread nor the connection; both come back."""
        monkeypatch.setattr(announcements, "_IDLE", 0.05)
        with database.engine(METADATA) as engine, listening(database) as ear:
            for _ in range(2):
                alone(UnitOfWork(engine, outbox=OUTBOX))
                assert ear.hears()
                until(lambda: not serving(engine))

    def test_one_for_all_units_of_an_engine(self, database: Database) -> None:
        """Units of work that are made for each request share one thread."""
        with database.engine(METADATA) as engine, listening(database) as ear:
            found = set[threading.Thread]()
            for _ in range(3):
                alone(UnitOfWork(engine.execution_options(), outbox=OUTBOX))
                assert ear.hears()
                found.update(serving(engine))
            assert 1 == len(found)

    def test_a_connection_that_is_lost(self, database: Database, caplog: pytest.LogCaptureFixture) -> None:
        """An announcement without a connection is lost, a log says so once, and the next one is heard."""
        name = f"test {id(database)}"
        engine_options = {"connect_args": {"application_name": name}}
        with database.engine(METADATA, **engine_options) as engine, listening(database) as ear:
            alone(UnitOfWork(engine, outbox=OUTBOX))
            assert ear.hears()
            kill = text(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
                "WHERE application_name = :name AND query LIKE 'SELECT pg_notify%'"
            )
            with engine.connect() as connection, caplog.at_level(logging.INFO, "domainkit.relay"):
                assert [True] == list(connection.scalars(kill, {"name": name}))
                OUTBOX.announce(connection)
                until(lambda: len(caplog.records) == 1)
                OUTBOX.announce(connection)
                assert ear.hears()
                until(lambda: len(caplog.records) == 2)
        away, back = [record.getMessage() for record in caplog.records]
        assert away.startswith("the connection that announces messages is unreachable (")
        assert "the connection that announces messages is reachable again" == back

    def test_a_pool_that_connects_to_nothing(self, database: Database, caplog: pytest.LogCaptureFixture) -> None:
        """Whatever connecting raises, the commit has succeeded: a log names the error, without its text."""
        with caplog.at_level(logging.INFO, "domainkit.relay"):

            def connect() -> None:
                raise ZeroDivisionError("a secret")

            broken = create_engine(database.url, creator=connect, poolclass=NullPool)
            announcer = Announcer()
            announcer.announce("outbox", broken)
            until(lambda: bool(caplog.records))
            announcer.end()
        (told,) = [record.getMessage() for record in caplog.records]
        assert "the connection that announces messages is unreachable (ZeroDivisionError); retrying" == told

    def test_a_process_that_ends(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """The end of a process waits for an announcement, though not for long, and then nothing begins any more."""
        monkeypatch.setattr(announcements, "_END", 0.05)
        going_on = threading.Event()
        hanging = create_engine(database.url, creator=lambda: going_on.wait(60), poolclass=NullPool)
        Announcer().end()  # it has never announced anything
        announcer = Announcer()
        announcer.announce("outbox", hanging)
        start = time.monotonic()
        announcer.end()
        assert time.monotonic() - start < 30
        going_on.set()
        until(lambda: announcer._thread is not None and not announcer._thread.is_alive())
        announcer.announce("outbox", hanging)
        assert announcer._thread is not None
        assert not announcer._thread.is_alive()

    def test_an_interpreter_that_ends(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """A commit succeeds, though no thread can be started any more."""

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        with database.engine(METADATA) as engine:
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", refuse)
                alone(UnitOfWork(engine, outbox=OUTBOX))
            assert [] == serving(engine)

    def test_a_process_that_forks(self, database: Database) -> None:
        """A child announces by itself, and leaves the connection of its parent alone; both end in time."""
        with database.engine(METADATA), listening(database) as ear:
            process = _started("forking", database)
            for step in ("the parent", "the child", "the parent again"):
                assert process.stdout is not None
                assert f"{step}\n" == process.stdout.readline()
                assert ear.hears()
                assert process.stdin is not None
                print(file=process.stdin, flush=True)
            _, told = process.communicate(timeout=60)
            assert (0, "") == (process.returncode, told)

    def test_a_child_begins_anew(self, database: Database) -> None:
        """A child uses neither the thread nor the lock of its parent."""
        with database.engine(METADATA) as engine, listening(database) as ear:
            alone(UnitOfWork(engine, outbox=OUTBOX))
            assert ear.hears()
            announcer, (parents,) = OUTBOX._announcers[engine.pool], serving(engine)
            announcer._process -= 1
            announcer.end()
            assert parents.is_alive()
            ending = announcer._ending, announcer._wake
            alone(UnitOfWork(engine, outbox=OUTBOX))
            assert ear.hears()
            assert [parents] != serving(engine)
            for event in ending:  # the parent's
                event.set()
            parents.join(60)

    def test_a_process_that_commits_and_ends(self, database: Database) -> None:
        """A script whose last act is a commit has announced it, and ends without a word."""
        with database.engine(METADATA), listening(database) as ear:
            process = _started("writing", database)
            _, told = process.communicate(timeout=60)
            assert (0, "") == (process.returncode, told)
            assert ear.hears()


def _started(program: str, database: Database) -> "subprocess.Popen[str]":
    paths = (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", ""))
    return subprocess.Popen(
        [sys.executable, "-m", program, _url(database)],
        cwd=Path(__file__).parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _conninfo(database: Database) -> str:
    return _url(database).replace("+psycopg", "").replace("+", "%20")  # a plus is no space to libpq


def _url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)
