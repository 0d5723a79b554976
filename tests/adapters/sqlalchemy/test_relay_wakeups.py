"""A relay that is woken by commits: how soon it sends, what it does without news, and that it doesn't spin."""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from databases import METADATA as ALL
from databases import OUTBOX, TASKS, Database
from outboxes import (
    AWAY,
    METADATA,
    SENT,
    TABLE,
    Answer,
    Condition,
    Recorder,
    always,
    holds,
    left,
    rename,
    seconds,
    store,
    until,
)
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    Relay,
    make_async_engine,
    wakeups,
)
from domainkit.testing import SampleTask, SampleTaskId

NEVER = seconds(3600)
"""A poll that no test waits for: what arrives was reported."""


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    """Let a relay run beside the block; it must end in time."""
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await task


async def listeners(engine: AsyncEngine) -> list[int]:
    """Return the server processes that listen for the outbox."""
    found = text(
        "SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN domainkit_' || CAST(to_regclass('outbox') AS oid)"
    )
    async with engine.connect() as connection:
        return list(await connection.scalars(found))


def listening(engine: AsyncEngine, number: int = 1) -> Condition:
    """Return whether so many listen, for `until`."""

    async def check() -> bool:
        return len(await listeners(engine)) == number

    return check


def accepted(publisher: Recorder, number: int) -> Condition:
    """Return whether the publisher has accepted so many, for `until`."""
    return holds(lambda: len(publisher.accepted) == number)


def repository(engine: AsyncEngine) -> AsyncSqlCrudRepository[SampleTask, SampleTaskId]:
    """Return a repository that stores events."""
    return AsyncSqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, AsyncUnitOfWork(engine, outbox=OUTBOX))


async def save(engine: AsyncEngine) -> None:
    """Save a task with an event."""
    (await repository(engine).save(SampleTask.create("Buy milk"))).unwrap()


class TestWoken:
    async def test_a_commit_wakes_it(self, database: Database) -> None:
        """A committed message is sent long before the next poll, time after time."""
        async with database.async_engine(ALL) as engine, database.async_engine() as other:
            publisher = Recorder()
            async with running(Relay(engine, OUTBOX.table, publisher, poll=NEVER)):
                for number in range(1, 6):
                    await save(other)
                    await until(accepted(publisher, number))

    async def test_a_commit_of_another_process_wakes_it(self, database: Database) -> None:
        """A process that commits and ends at once has its messages on their way as well."""
        async with database.async_engine(ALL) as engine:
            publisher = Recorder()
            async with running(Relay(engine, OUTBOX.table, publisher, poll=NEVER)):
                await save(engine)
                await until(accepted(publisher, 1))
                writer = [sys.executable, "-m", "writing", database.url.render_as_string(hide_password=False)]
                process = await asyncio.create_subprocess_exec(*writer, cwd=Path(__file__).parent, env=_environment())
                assert 0 == await process.wait()
                await until(accepted(publisher, 2))

    async def test_it_can_be_turned_off(self, database: Database) -> None:
        """With `wakes=False` a commit is found by the next poll only."""
        async with database.async_engine(ALL) as engine:
            publisher = Recorder()
            relay = Relay(engine, OUTBOX.table, publisher, poll=NEVER, wakes=False)
            async with running(relay):
                await asyncio.sleep(0.2)  # it has looked once
                await save(engine)
                await asyncio.sleep(0.5)
                assert [] == publisher.accepted
            async with running(Relay(engine, OUTBOX.table, publisher, poll=seconds(0.02), wakes=False)):
                await until(accepted(publisher, 1))

    async def test_who_does_not_wait_is_not_woken(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """`run_once` and `until_idle` listen to nothing: they don't wait for messages."""
        monkeypatch.setattr(wakeups.Wakeups, "run", _broken)
        async with database.async_engine(METADATA) as engine:
            relay = Relay(engine, TABLE, Recorder(), poll=NEVER)
            await store(engine, "a1")
            await relay.run_once()
            await store(engine, "a2")
            async with asyncio.timeout(60):
                await relay.run(asyncio.Event(), until_idle=True)
            assert 2 == relay.total.sent

    async def test_nothing_is_left_behind(self, database: Database) -> None:
        """A relay that has stopped leaves neither a connection nor a thread."""
        async with database.async_engine(METADATA) as engine:
            async with running(Relay(engine, TABLE, Recorder(), poll=NEVER)):
                if database.kind == "postgresql":
                    await until(listening(engine))
                else:
                    await until(holds(lambda: _threads("domainkit wakeups") == 1))
            if database.kind == "postgresql":
                await until(listening(engine, 0))
            await until(holds(lambda: _threads("domainkit wakeups") == 0))


class TestWithoutNews:
    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    async def test_a_lost_announcement_costs_one_poll(self, database: Database) -> None:
        """Messages that nobody has announced are found by the next poll."""
        async with database.async_engine(METADATA) as engine:
            publisher = Recorder()
            relay = Relay(engine, TABLE, publisher, poll=seconds(0.2))
            async with running(relay):
                await until(holds(lambda: relay._wakeups is not None and relay._wakeups._last > 0))
                await asyncio.sleep(0.5)  # it has looked once more since it listens
                await store(engine, "a1")
                await until(left(engine))
            assert ["a1"] == publisher.accepted

    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    async def test_a_listener_that_was_killed_listens_again(
        self, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Messages stored meanwhile are sent when it listens again; it logs the loss and the return once each."""
        async with database.async_engine(METADATA) as engine:
            publisher = Recorder()
            with caplog.at_level(logging.INFO, "domainkit.relay"):
                async with running(Relay(engine, TABLE, publisher, poll=NEVER)):
                    await until(listening(engine))
                    (process,) = await listeners(engine)
                    await store(engine, "a1")  # announced by nobody
                    async with engine.connect() as connection:
                        await connection.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})
                    await until(left(engine))
                    await store(engine, "a2")
                    async with engine.connect() as connection:
                        await connection.run_sync(OUTBOX.announce)
                    await until(left(engine))
            away, back = [record.getMessage() for record in caplog.records if record.name == "domainkit.relay"]
            assert "the connection that reports new messages is unreachable (OperationalError); retrying" == away
            assert "the connection that reports new messages is reachable again" == back

    async def test_an_outbox_that_comes_later(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relay that was started before its outbox was created is woken once that exists."""
        monkeypatch.setattr(wakeups, "_MISSING", 0.02)
        async with database.async_engine(ALL) as engine:
            await rename(engine, "outbox", "outbox_")
            publisher = Recorder()
            async with running(Relay(engine, OUTBOX.table, publisher, poll=NEVER)):
                await asyncio.sleep(0.3)
                await rename(engine, "outbox_", "outbox")
                if database.kind == "postgresql":
                    await until(listening(engine))
                await save(engine)
                await until(accepted(publisher, 1))

    async def test_a_database_in_memory_is_polled(self) -> None:
        """Only one connection has it, so nothing could report its commits."""
        engine = make_async_engine("sqlite+aiosqlite://")
        async with engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
        async with running(Relay(engine, TABLE, Recorder(), poll=seconds(0.02))):
            await store(engine, "a1")
            await until(left(engine))
        await engine.dispose()

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    async def test_a_file_that_can_not_be_watched_is_polled(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A file that sqlite3 can't open by its path, as an encrypted one, is polled; a log says so once."""

        class Elsewhere(type(Path())):  # type: ignore[misc]  # PosixPath or WindowsPath
            def as_uri(self) -> str:
                return "file:///there/is/none"

        monkeypatch.setattr(wakeups, "Path", Elsewhere)
        async with database.async_engine(METADATA) as engine:
            with caplog.at_level(logging.INFO, "domainkit.relay"):
                async with running(Relay(engine, TABLE, Recorder(), poll=seconds(0.02))):
                    await store(engine, "a1")
                    await until(left(engine))
                    await until(holds(lambda: bool(caplog.records)))
            assert 1 == len([record for record in caplog.records if "unreachable" in record.getMessage()])

    async def test_a_server_that_can_not_be_reached(self, caplog: pytest.LogCaptureFixture) -> None:
        """It tries to connect with growing waits, and a log says so once."""
        engine = make_async_engine("postgresql://postgres@127.0.0.1:1/none")
        with caplog.at_level(logging.INFO, "domainkit.relay"):
            reports = wakeups.Wakeups(engine.sync_engine, TABLE, lambda: None)
            task = asyncio.create_task(reports.run())
            await until(holds(lambda: reports._outage.failures > 1))
            task.cancel()
            await asyncio.wait([task])
        assert 1 == len(caplog.records)
        await engine.dispose()

    async def test_a_loss_at_the_end(self) -> None:
        """A connection that is lost while the relay ends is no error any more."""
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lost.cancel()
        wakeups._fail(lost, OSError())
        assert lost.cancelled()

    async def test_another_driver_is_polled(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only connections of psycopg and SQLite's own driver are known well enough."""
        async with database.async_engine(METADATA) as engine:
            monkeypatch.setattr(engine.sync_engine.dialect, "driver", "asyncpg")
            async with asyncio.timeout(60):
                await wakeups.Wakeups(engine.sync_engine, TABLE, lambda: None).run()


class TestPace:
    async def test_a_broker_that_is_away_is_not_asked_more_often(self, database: Database) -> None:
        """After an outage some messages are tried, and commits meanwhile don't add to them."""
        async with database.async_engine(ALL) as engine:
            hangs, publisher = asyncio.Event(), Recorder(always(AWAY))

            async def hang(_: str) -> Answer:
                await hangs.wait()
                return SENT

            relay = Relay(engine, OUTBOX.table, publisher, poll=NEVER, batch=40, grace=seconds(0.1))
            async with running(relay):
                for _ in range(30):
                    await save(engine)
                await until(holds(lambda: relay._broker.failures > 0))
                publisher.answer = hang
                await until(holds(lambda: len(publisher.in_flight) == 10))
                for _ in range(5):
                    await save(engine)
                    relay._heard()
                    await asyncio.sleep(0.05)
                assert 10 == len(publisher.in_flight)
                hangs.set()
                await until(left(engine))

    async def test_many_commits_are_one_report(self, database: Database) -> None:
        """Reports have a distance: a relay that is told of each of a thousand commits claims a few times only."""
        async with database.async_engine(METADATA) as engine:
            woken: list[float] = []
            loop = asyncio.get_running_loop()
            reports = wakeups.Wakeups(engine.sync_engine, TABLE, lambda: woken.append(loop.time()))
            for _ in range(1000):
                reports._report()
                await asyncio.sleep(0)
            await until(holds(lambda: len(woken) > 0))
            await asyncio.sleep(0.1)
            assert all(later - before > 0.015 for before, later in pairwise(woken))

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    async def test_a_quiet_file_is_looked_at_less_often(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Some time after the last commit the looks have a longer distance, until the next commit."""
        pauses: list[float] = []

        def pause(duration: float) -> None:
            pauses.append(duration)
            time.sleep(duration)

        monkeypatch.setattr(wakeups, "_QUIET", 0.3)
        monkeypatch.setattr(wakeups, "sleep", pause)
        async with database.async_engine(ALL) as engine:
            publisher = Recorder()
            async with running(Relay(engine, OUTBOX.table, publisher, poll=NEVER)):
                await until(holds(lambda: wakeups._LONGER in pauses))
                assert wakeups._INTERVAL == pauses[0]
                del pauses[:]
                await save(engine)
                await until(accepted(publisher, 1))
                await until(holds(lambda: wakeups._INTERVAL in pauses))
                await until(holds(lambda: pauses[-1] == wakeups._LONGER))

    async def test_a_report_that_is_due_at_the_end_is_dropped(self, database: Database) -> None:
        """Nothing is woken after the end."""
        async with database.async_engine(METADATA) as engine:
            woken: list[str] = []
            reports = wakeups.Wakeups(engine.sync_engine, TABLE, lambda: woken.append("again"))
            task = asyncio.create_task(reports.run())
            await until(holds(lambda: bool(woken)))
            reports._report()
            task.cancel()
            await asyncio.wait([task])
            number = len(woken)
            await asyncio.sleep(0.1)
            assert number == len(woken)

    async def test_a_bug_in_it_ends_the_relay(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """An unexpected exception isn't hidden: `run` raises it."""
        monkeypatch.setattr(wakeups.Wakeups, "run", _broken)
        async with database.async_engine(METADATA) as engine:
            with pytest.raises(ZeroDivisionError):
                await Relay(engine, TABLE, Recorder(), poll=NEVER).run(asyncio.Event())


async def _broken(_: wakeups.Wakeups) -> None:
    raise ZeroDivisionError


def _threads(name: str) -> int:
    return len([thread for thread in threading.enumerate() if thread.name == name])


def _environment() -> dict[str, str]:
    paths = (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", ""))
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
