"""The status of a large outbox: counts up to a number, lower bounds beyond it, and a bounded time."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve
from databases import Database
from outboxes import METADATA, TABLE, row, store
from plans import kept_statements, rows_looked_at, steps_taken
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit.adapters.sqlalchemy import OutboxStatus, outbox_status

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
PARKED = {"parked_at": AT, "reason": "MessageRefused", "attempts": 10}
UNSENT = ("waiting", "held_back", "leased", "backing_off")

MANY, UP_TO = 4_000, 100
SHARES: dict[str, dict[str, object]] = {
    "waiting": {},
    "parked": PARKED,
    "sent": {"sent_at": AT},
    "unrouted": {"sent_at": AT, "reason": "unrouted"},
    "discarded": {"sent_at": AT, **PARKED},
}
"""The columns of messages, by their state."""


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    """Return an engine for an empty outbox."""
    async with database.async_engine(METADATA) as made:
        yield made


async def counted(engine: AsyncEngine, up_to: int | None) -> OutboxStatus:
    """Return a status without what depends on the time."""
    return evolve(await outbox_status(engine, TABLE, up_to=up_to), lag=0.0, oldest_parked=None)


class TestLowerBounds:
    async def test_exactly_as_many_are_counted(self, engine: AsyncEngine) -> None:
        """As many messages as are counted make no lower bound."""
        await store(engine, "a1", "b1", "c1")
        assert OutboxStatus(waiting=3) == await counted(engine, 3) == await counted(engine, None)

    async def test_of_unsent_messages(self, engine: AsyncEngine) -> None:
        """If more are unsent the counts of their states are lower bounds; that of parked ones is still exact."""
        await store(engine, "a1", "b1", "c1", "d1", "e1")
        await store(engine, "f1", **PARKED)
        exact = OutboxStatus(waiting=5, parked=1, parked_by_reason={"MessageRefused": 1})
        assert evolve(exact, waiting=3, at_least=UNSENT) == await counted(engine, 2)
        assert exact == await counted(engine, None)

    async def test_of_parked_messages(self, engine: AsyncEngine) -> None:
        """If more are parked, so are their count and their reasons."""
        await store(engine, "a1", "b1", "c1", **PARKED)
        status = await counted(engine, 1)
        assert (2, {"MessageRefused": 2}) == (status.parked, status.parked_by_reason)
        assert (*UNSENT, "parked", "parked_by_reason") == status.at_least

    async def test_of_sent_messages(self, engine: AsyncEngine) -> None:
        """If more were sent, their count is a lower bound; those with a reason are counted by themselves, exactly."""
        await store(engine, *(f"a{number}" for number in range(9)), sent_at=AT)
        await store(engine, "b1", sent_at=AT, reason="unrouted")
        await store(engine, "c1", sent_at=AT, reason="duplicate")
        exact = OutboxStatus(sent=10, duplicates=1, unrouted_by_name={"b1": 1})
        assert evolve(exact, sent=3, at_least=("sent",)) == await counted(engine, 3)
        assert exact == await counted(engine, None)

    async def test_of_sent_messages_with_a_reason(self, engine: AsyncEngine) -> None:
        """If more of them have a reason, the counts by reason are lower bounds too, and never negative."""
        await store(engine, *(f"a{number}" for number in range(9)), sent_at=AT, reason="duplicate")
        assert OutboxStatus(
            sent=0, duplicates=3, at_least=("sent", "duplicates", "discarded", "unrouted_by_name")
        ) == await counted(engine, 2)


async def fill(engine: AsyncEngine, share: str, *, is_counted: bool) -> None:
    """Store many messages, of which two in a hundred are of all shares, the others of one; count them if asked to."""
    others = [*SHARES.values()]
    rows: list[dict[str, Any]] = [
        row(f"{number % 500}", **{**dict.fromkeys(("sent_at", "parked_at", "reason")), "attempts": 0, **columns})
        for number in range(MANY)
        for columns in [SHARES[share] if number % 50 else others[number // 50 % len(others)]]
    ]
    async with engine.begin() as connection:
        await connection.execute(insert(TABLE), rows)
        if is_counted:
            await connection.exec_driver_sql("ANALYZE")


@pytest.mark.parametrize("is_counted", [False, True], ids=["never counted", "counted"])
@pytest.mark.parametrize("share", SHARES)
class TestCost:
    """Thousands of messages, most of them in one state."""

    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    async def test_postgresql_looks_at_few_rows(self, engine: AsyncEngine, share: str, *, is_counted: bool) -> None:
        """It looks at a small multiple of the messages to count, by the plans that PostgreSQL really takes."""
        await fill(engine, share, is_counted=is_counted)
        with kept_statements(engine) as statements:
            await outbox_status(engine, TABLE, up_to=UP_TO)
        assert await rows_looked_at(engine, statements) < 10 * UP_TO

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    async def test_sqlite_takes_few_steps(self, engine: AsyncEngine, share: str, *, is_counted: bool) -> None:
        """It takes no more steps than it needs for that many messages."""
        await fill(engine, share, is_counted=is_counted)
        with kept_statements(engine) as statements:
            await outbox_status(engine, TABLE, up_to=UP_TO)
        assert 0 < await steps_taken(engine, statements) < 200 * UP_TO
