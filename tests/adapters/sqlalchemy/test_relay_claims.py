"""Claims of a relay on a large outbox: no row is hidden, and the time is bounded by the rows that it finds."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from databases import Database
from outboxes import METADATA, TABLE, Recorder, row, seconds, store
from plans import scanned
from sqlalchemy import event, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domainkit.adapters.sqlalchemy import Relay
from domainkit.adapters.sqlalchemy.relay import claims
from domainkit.adapters.sqlalchemy.relay.dialects import Dialect

PARKED = datetime(2026, 1, 1, tzinfo=UTC)


class TestNothingIsHidden:
    async def test_by_parked_messages_before_it(self, database: Database) -> None:
        """Behind more parked messages than a relay looks at first, the others are found, in order by key."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *(f"k{number}" for number in range(10)), ordering_key="k", parked_at=PARKED)
            await store(engine, "k10", "a1", "a2", "a3", "b1")
            publisher = Recorder()
            relay = Relay(engine, TABLE, publisher, batch=2)
            while (await relay.run_once()).claimed:
                pass
            assert (["a1", "a2", "a3"], 4) == (
                [one for one in publisher.accepted if one[0] == "a"],
                len(publisher.accepted),
            )

    async def test_by_keys_that_are_looked_through_in_slices(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Behind more parked keys than one claim looks through, run_once finds the others at once, run in the end."""
        monkeypatch.setattr(claims, "_SLICE", 3)
        async with database.async_engine(METADATA) as engine:
            await store(engine, *(f"{key}0" for key in "abcdefghijklm"), parked_at=PARKED)
            await store(engine, "z1", "z2", "a1", "e1", "n1")
            publisher = Recorder()
            relay = Relay(engine, TABLE, publisher, batch=1)
            assert [1, 1, 1, 0] == [(await relay.run_once()).claimed for _ in range(4)]
            assert ["n1", "z1", "z2"] == publisher.accepted

    async def test_a_slice_goes_on_where_the_last_one_ended(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Claims that aren't thorough look through all keys in turn, and begin anew: each key has its turn."""
        monkeypatch.setattr(claims, "_SLICE", 4)
        async with database.async_engine(METADATA) as engine:
            await store(engine, *(f"{key}0" for key in "mnopqrst"), parked_at=PARKED)
            await store(engine, *"zyxwvu")
            relay = Relay(engine, TABLE, Recorder(), batch=1)
            found = []
            for _ in range(12):
                claim = await relay._store.claim(1, thorough=False)
                found += [row.message.info.name for chain in claim.chains for row in chain]
            assert list("uvwxyz") == found

    async def test_a_key_behind_others_is_claimed_in_one_go(self, database: Database) -> None:
        """If the oldest rows are all in hand, a busy key behind them isn't one row for each claim."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *(f"k{number}" for number in range(40)), ordering_key="k", parked_at=PARKED)
            await store(engine, *(f"a{number}" for number in range(9)))
            relay = Relay(engine, TABLE, Recorder(), batch=8)
            assert [2, 2, 2] == [(await relay.run_once()).claimed for _ in range(3)]

    @pytest.mark.parametrize("key", ["", "ä\u2028\U0001f40d", "'; DROP TABLE outbox; --", '"\\%s:limit', "k" * 10_000])
    async def test_by_its_key_whatever_that_is(self, database: Database, key: str) -> None:
        """Any text is a key."""
        async with database.async_engine(METADATA) as engine:
            if database.kind == "postgresql":
                key = key[:2000]  # longer ones don't go into an index of PostgreSQL
            await store(engine, *(f"k{number}" for number in range(9)), ordering_key="k" + key, parked_at=PARKED)
            await store(engine, "a1", ordering_key=key)
            publisher = Recorder()
            await Relay(engine, TABLE, publisher, batch=1).run_once()
            assert [key] == [message.key for message in publisher.messages]


MANY = 20_000
CROWDS: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "many keys": lambda number: row("a", ordering_key=str(number % 1000)),
    "a key for each": lambda number: row("a", ordering_key=str(number)),
    "one key": lambda _: row("a"),
    "a key that dominates": lambda number: row("a", ordering_key="k" if number < MANY - 20 else f"z{number}"),
    "parked keys with rows behind": lambda number: row(
        "a", ordering_key=str(number % 4000), parked_at=PARKED if number < 4000 else None
    ),
    "sent and kept": lambda number: row("a", ordering_key=str(number), sent_at=PARKED if number < 15_000 else None),
}


@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS)
class TestCost:
    """Twenty thousand messages wait."""

    @pytest.mark.parametrize("counted", [False, True], ids=["never counted", "counted"])
    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    async def test_postgresql_looks_at_few_rows(
        self, database: Database, crowd: Callable[[int], dict[str, Any]], *, counted: bool
    ) -> None:
        """A claim scans a small multiple of its batch, by the plans that PostgreSQL really takes.

        So it does if the database has never counted the messages, and if it counted them before some were sent.
        """
        async with database.async_engine(METADATA) as engine:
            await _fill(engine, crowd, counted=counted)
            statements: list[tuple[str, Any]] = []

            @event.listens_for(engine.sync_engine, "before_cursor_execute")
            def keep(_: object, __: object, statement: str, given: object, *___: object) -> None:
                statements.append((statement, given))

            claiming = claims.Claims(TABLE, Dialect("postgresql"), batch=100, lease=seconds(60))
            async with engine.begin() as connection:
                await claiming.claim(connection, "a token", 100, thorough=False)
                taken = [one for one in statements if "outbox" in one[0]]
                await connection.exec_driver_sql("UPDATE outbox SET leased_until = NULL WHERE leased_by = 'a token'")
                for statement, given in taken:
                    explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
                    (plan,) = (await connection.exec_driver_sql(explained, given)).one()
                    assert scanned(plan[0]["Plan"]) < 4 * 1000, plan

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    async def test_sqlite_takes_few_steps(self, database: Database, crowd: Callable[[int], dict[str, Any]]) -> None:
        """A claim takes no more steps than it needs for a few thousand rows."""
        async with database.async_engine(METADATA) as engine:
            await _fill(engine, crowd)
            steps = 0

            def count() -> int:
                nonlocal steps
                steps += 1000
                return 0

            claiming = claims.Claims(TABLE, Dialect("sqlite"), batch=100, lease=seconds(60))
            async with engine.begin() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                await driver.set_progress_handler(count, 1000)
                await claiming.claim(connection, "a token", 100, thorough=False)
                await driver.set_progress_handler(None, 0)
            assert 0 < steps < 250_000


async def _fill(engine: AsyncEngine, crowd: Callable[[int], dict[str, Any]], *, counted: bool = False) -> None:
    """Store the messages, have the database count them if that is asked for, and then mark those that are sent."""
    rows = [crowd(number) for number in range(MANY)]
    sent = sum(one.pop("sent_at", None) is not None for one in rows)  # the first ones
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await _copy(connection, rows)
        else:
            await connection.execute(insert(TABLE), rows)
        if counted:
            await connection.exec_driver_sql("ANALYZE outbox")
        await connection.execute(update(TABLE).where(TABLE.c.position <= sent).values(sent_at=PARKED))


async def _copy(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    """Store rows by COPY, in a fifth of the time of an INSERT for each."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    columns = dict.fromkeys(name for one in rows for name in one)
    async with driver.cursor() as cursor, cursor.copy(f"COPY outbox ({', '.join(columns)}) FROM STDIN") as copying:
        for one in rows:
            await copying.write_row([one.get(name) for name in columns])
