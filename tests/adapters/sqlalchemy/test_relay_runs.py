"""A relay that runs: outages, the end, several at a time, and one that is killed."""

import asyncio
import logging
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Never

import pytest
from databases import Database
from outboxes import (
    AWAY,
    METADATA,
    REFUSED,
    SENT,
    TABLE,
    Answer,
    Recorder,
    always,
    answering,
    column,
    holds,
    left,
    rename,
    seconds,
    store,
    unsent,
    until,
)
from sizes import CI, FULL
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit.adapters.sqlalchemy import Relay, RelayBackoff, RelayRound

QUICK = RelayBackoff(seconds(0.001), longest=seconds(0.01))


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


class TestRunning:
    async def test_what_comes_while_it_runs_is_sent(self, database: Database) -> None:
        """It sends the waiting messages, looks again after `poll`, and ends when it is asked to."""
        async with database.async_engine(METADATA) as engine:
            publisher = Recorder()
            relay = Relay(engine, TABLE, publisher, poll=seconds(0.02), batch=8)
            await store(engine, *(f"{key}{number}" for number in range(10) for key in "abcdef"))
            async with running(relay):
                await until(left(engine))
                await store(engine, "a10", "g0")
                await until(left(engine))
            assert 62 == len(publisher.accepted) == relay.total.sent
            assert [f"a{number}" for number in range(11)] == [one for one in publisher.accepted if one[0] == "a"]

    async def test_the_next_are_claimed_while_the_first_are_sent(self, database: Database) -> None:
        """A slow message doesn't keep the relay from the next ones."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *"abcdefgh")
            go = asyncio.Event()

            async def answer(name: str) -> Answer:
                if name == "a":
                    await go.wait()
                return SENT

            publisher = Recorder(answer)
            async with running(Relay(engine, TABLE, publisher, batch=4, poll=seconds(0.02))):
                await until(holds(lambda: publisher.accepted == list("bcdefgh")))
                go.set()
            assert list("bcdefgha") == publisher.accepted

    async def test_it_ends_by_itself_when_nothing_is_left(self, database: Database) -> None:
        """With `until_idle` it ends when nothing can be sent now, though something waits for another try."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *(f"{key}{number}" for number in range(10) for key in "abcdef"))
            relay = Relay(engine, TABLE, Recorder(answering(b3=REFUSED)), batch=8)
            async with asyncio.timeout(60):
                await relay.run(asyncio.Event(), until_idle=True)
            assert (53, 1) == (relay.total.sent, relay.total.failed)
            assert [f"b{number}" for number in range(3, 10)] == await unsent(engine)

    async def test_it_ends_by_itself_without_a_broker(self, database: Database) -> None:
        """With `until_idle` it doesn't wait for a broker that is away."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1")
            relay = Relay(engine, TABLE, Recorder(always(AWAY)))
            async with asyncio.timeout(60):
                await relay.run(asyncio.Event(), until_idle=True)
            assert RelayRound(claimed=1, left=1, away=True) == relay.total

    async def test_with_until_idle_a_database_that_is_away_is_an_error(self, database: Database) -> None:
        """A caller that wants to be done with it gets an error: it isn't done."""
        async with database.async_engine() as engine:
            with pytest.raises(DBAPIError):
                await Relay(engine, TABLE, Recorder()).run(asyncio.Event(), until_idle=True)

    async def test_a_bug_ends_it(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """An unexpected exception isn't retried for ever: run raises it."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1")
            relay = Relay(engine, TABLE, Recorder(), poll=seconds(60))

            async def write(*_: object) -> None:
                raise ZeroDivisionError

            monkeypatch.setattr(relay._store, "write", write)
            with pytest.raises(ZeroDivisionError):
                await relay.run(asyncio.Event())

    async def test_a_bug_is_raised_while_it_stops_too(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that comes up after it was asked to stop is raised; the next run begins without it."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1")
            stop = asyncio.Event()

            async def answer(_: str) -> Answer:
                stop.set()
                return SENT

            async def write(*_: object) -> None:
                await asyncio.sleep(0.1)
                raise ZeroDivisionError

            relay = Relay(engine, TABLE, Recorder(answer), poll=seconds(60))
            with monkeypatch.context() as patched:
                patched.setattr(relay._store, "write", write)
                with pytest.raises(ZeroDivisionError):
                    await relay.run(stop)
            await relay.run(asyncio.Event(), until_idle=True)

    async def test_what_was_sent_long_ago_is_deleted_meanwhile(self, database: Database) -> None:
        """It deletes old rows while it runs."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", sent_at=datetime.now(UTC) - seconds(60))
            relay = Relay(engine, TABLE, Recorder(), poll=seconds(0.02), retention=seconds(1))
            async with running(relay):
                await until(holds(lambda: relay.total.deleted == 1))
            assert {} == await column(engine, "name")


class TestStopping:
    async def test_what_is_in_hand_is_finished_and_the_rest_given_back(self, database: Database) -> None:
        """Asked to stop, it waits for the broker's answers, marks them, and lets go of all else at once."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "a2", "b1", "b2")
            began = asyncio.Event()

            async def slow(_: str) -> Answer:
                began.set()
                await asyncio.sleep(0.3)
                return SENT

            relay = Relay(engine, TABLE, Recorder(slow))
            async with running(relay):
                await began.wait()
            assert ["a2", "b2"] == await unsent(engine)
            assert {None} == set((await column(engine, "leased_by")).values())
            assert RelayRound(claimed=4, sent=2, left=2) == relay.total

    async def test_a_publisher_that_hangs_is_cut_off(self, database: Database) -> None:
        """It waits no longer than `grace`; what had no answer is given back."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "b1")
            began = asyncio.Event()

            async def answer(name: str) -> Answer:
                began.set()
                await asyncio.sleep(60 if name == "a1" else 0)
                return SENT

            async with running(Relay(engine, TABLE, Recorder(answer), grace=seconds(0.2))):
                await began.wait()
                await until(left(engine, "a1"))
            assert ({"a1": None, "b1": None}, ["a1"]) == (await column(engine, "leased_by"), await unsent(engine))

    async def test_without_a_database_it_ends_too(self, database: Database) -> None:
        """If nothing can be written any more it ends all the same; the leases end by themselves."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1")

            async def answer(_: str) -> Answer:
                await rename(engine, "outbox", "outbox_")
                return SENT

            publisher = Recorder(answer)
            async with running(Relay(engine, TABLE, publisher, grace=seconds(0.2))):
                await until(holds(lambda: publisher.accepted == ["a1"]))
            await rename(engine, "outbox_", "outbox")
            assert ["a1"] == await unsent(engine)


class TestOutages:
    async def test_a_broker_that_comes_back(self, database: Database, caplog: pytest.LogCaptureFixture) -> None:
        """It tries with a few messages until the broker is back, tells of both once, and counts nothing."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *(f"{key}{number}" for number in range(5) for key in "abcdefghijklmno"))
            publisher = Recorder(always(AWAY))
            relay = Relay(engine, TABLE, publisher, poll=seconds(0.02), max_attempts=1)
            with caplog.at_level(logging.INFO, "domainkit.relay"):
                async with running(relay):
                    await until(holds(lambda: relay.total.claimed > 75))
                    claimed = relay.total.claimed
                    publisher.answer = always(SENT)
                    await until(left(engine))
            assert claimed <= 75 + 20  # all were claimed once, and then a few at a time
            expected = ["the broker is unreachable; retrying", "the broker is reachable again"]
            assert expected == [record.getMessage() for record in caplog.records if record.name == "domainkit.relay"]
            assert {0} == set((await column(engine, "attempts")).values())

    async def test_one_message_without_an_answer_does_not_keep_the_others(self, database: Database) -> None:
        """A message that the broker never answers to doesn't stop those that it does answer to."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *"abcdefghijklmnopqrstuvwxyz")
            publisher = Recorder(answering(a=AWAY))
            async with running(Relay(engine, TABLE, publisher, poll=seconds(0.02), concurrency=1)):
                await until(left(engine, "a"))
            assert sorted("bcdefghijklmnopqrstuvwxyz") == sorted(publisher.accepted)

    async def test_a_database_that_comes_back(self, database: Database, caplog: pytest.LogCaptureFixture) -> None:
        """A message sent when the database went away is marked when it is back, and not sent again."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1")

            async def answer(name: str) -> Answer:
                if name == "a1":
                    await rename(engine, "outbox", "outbox_")
                return SENT

            publisher = Recorder(answer)
            with caplog.at_level(logging.INFO, "domainkit.relay"):
                async with running(Relay(engine, TABLE, publisher, poll=seconds(0.02))):
                    await until(holds(lambda: publisher.accepted == ["a1"]))
                    await asyncio.sleep(0.7)
                    await rename(engine, "outbox_", "outbox")
                    await until(left(engine))
                    await store(engine, "b1")
                    await until(left(engine))
            assert ["a1", "b1"] == publisher.accepted
            (away, back) = [record.getMessage() for record in caplog.records if record.name == "domainkit.relay"]
            assert (True, "the database is reachable again") == (away.startswith("the database lacks a table: "), back)

    async def test_what_wakes_a_relay_cuts_no_pause_short(self, database: Database) -> None:
        """While the database is away, a round that ends, or whatever else wakes the relay, makes it try no sooner."""
        async with database.async_engine(METADATA) as engine:
            relay, tries, wakes = Relay(engine, TABLE, Recorder()), [], 100

            async def away(*_: object, **__: object) -> Never:
                tries.append("again")
                raise OSError

            relay._store.claim = away  # type: ignore[method-assign]  # the database is away
            async with running(relay):
                for _ in range(wakes):
                    relay._means.wake.set()
                    await asyncio.sleep(0.01)
            assert 0 < len(tries) < wakes // 2

    async def test_rows_that_were_written_twice_count_once(self, database: Database) -> None:
        """If it is unknown whether an outcome was stored, it is stored again: an attempt counts once."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "b1")
            relay = Relay(engine, TABLE, Recorder(answering(a1=REFUSED)), backoff=RelayBackoff(seconds(60)))
            write, calls = relay._store.write, []

            async def twice(token: str, outcomes: object) -> None:
                await write(token, outcomes)  # type: ignore[arg-type]  # handed on
                calls.append(outcomes)
                if len(calls) == 1:
                    raise OSError

            relay._store.write = twice  # type: ignore[method-assign]  # no answer to COMMIT
            async with running(relay):
                await until(holds(lambda: len(calls) >= 2))
                await until(left(engine, "a1"))
            assert {"a1": 1, "b1": 0} == await column(engine, "attempts")


class TestSeveral:
    @pytest.mark.parametrize("seed", range(40 if FULL else 4 if CI else 2))
    async def test_order_by_key_whatever_fails(self, database: Database, seed: int) -> None:
        """With three relays, and a broker that fails at random, each message is accepted once, in order of its key."""
        chance = random.Random(seed)
        names = [f"{chance.choice('abcdefghij')}{number}" for number in range(150)]
        accepted: list[str] = []

        async def answer(name: str) -> Answer:
            await asyncio.sleep(chance.random() / 500)
            answered = chance.choices([SENT, REFUSED, AWAY], [90, 7, 3])[0]
            if answered is SENT:
                accepted.append(name)
            return answered

        async with database.async_engine(METADATA) as engine, AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(running(_relay(engine, answer)))
            for start in range(0, len(names), 10):
                await store(engine, *names[start : start + 10])
                await asyncio.sleep(chance.random() / 50)
            await until(left(engine), within=60)
        assert sorted(names) == sorted(accepted)
        for key in "abcdefghij":
            assert [one for one in names if one[0] == key] == [one for one in accepted if one[0] == key]

    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    async def test_what_another_is_claiming_is_skipped_with_all_behind_it(self, database: Database) -> None:
        """While another relay claims the first row of a key, and has not committed, the rows behind it aren't taken."""
        async with database.async_engine(METADATA) as engine, engine.connect() as other:
            await store(engine, "a1", "a2", "a3", "b1")
            await other.execute(select(TABLE).where(TABLE.c.name == "a1").with_for_update())
            publisher = Recorder()
            async with asyncio.timeout(60):  # it doesn't wait for the other
                await Relay(engine, TABLE, publisher).run_once()
            assert ["b1"] == publisher.accepted

    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    async def test_engines_of_another_isolation_level(self, database: Database) -> None:
        """An engine that is made for REPEATABLE READ relays as well: no claim fails because of another."""
        async with database.async_engine(METADATA, isolation_level="REPEATABLE READ") as engine:
            await store(engine, *(f"{key}{number}" for number in range(20) for key in "abcdefgh"))
            publisher = Recorder()
            relays = [Relay(engine, TABLE, publisher, batch=8) for _ in range(3)]
            while await unsent(engine):
                await asyncio.gather(*(relay.run_once() for relay in relays))
            assert 160 == len(publisher.accepted)


def _relay(engine: AsyncEngine, answer: Callable[[str], Awaitable[Answer]]) -> Relay:
    return Relay(engine, TABLE, Recorder(answer), batch=16, poll=seconds(0.01), backoff=QUICK, max_attempts=1000)


class TestKilled:
    async def test_what_it_had_in_hand_is_sent_after_its_lease(self, database: Database, tmp_path: Path) -> None:
        """The rows of a process that is killed are left alone until the lease is over; then another sends them."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "a2", "b1")
            noted = tmp_path / "noted"
            noted.mkdir()
            options = ("--database", _url(database), "--publisher", "hanging:publisher", "--lease", "3")
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "domainkit", "relay", *options),
                cwd=Path(__file__).parent,
                env=os.environ | {"HANGING": str(noted)},
                stderr=subprocess.PIPE,
            )
            try:
                await until(holds(lambda: {"a1", "b1"} == {path.name for path in noted.iterdir()}))
            finally:
                process.kill()
                _, told = await process.communicate()
            assert -signal.SIGKILL == process.returncode, told
            publisher = Recorder()
            relay = Relay(engine, TABLE, publisher)
            assert RelayRound() == await relay.run_once()
            await asyncio.sleep(3)
            assert RelayRound(claimed=3, sent=3) == await relay.run_once()
            assert ["a1", "a2"] == [name for name in publisher.accepted if name[0] == "a"]


def _url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)
