"""An operator's questions to an outbox, and changes of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from databases import Database
from outboxes import METADATA, REFUSED, TABLE, Recorder, answering, change, column, seconds, store, unsent
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import Uuid
from domainkit.adapters.sqlalchemy import (
    OutboxStatus,
    ParkedMessage,
    Relay,
    discard_parked,
    outbox_status,
    release_parked,
    replay_sent,
)
from domainkit.adapters.sqlalchemy.relay.operations import backlog

NOW = datetime.now(UTC)
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
PARKED = {"parked_at": AT, "reason": "MessageRefused", "attempts": 10}


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    """Return an engine for an empty outbox."""
    async with database.async_engine(METADATA) as made:
        yield made


async def send(engine: AsyncEngine) -> list[str]:
    """Send what can be sent, and return the names."""
    publisher = Recorder()
    await Relay(engine, TABLE, publisher).run_once()
    return publisher.accepted


class TestStatus:
    async def test_each_message_is_in_one_of_the_counts(self, engine: AsyncEngine) -> None:
        """It counts messages by what they wait for, and names the one that was parked first."""
        await store(engine, "a1", **PARKED)
        (oldest,) = await store(engine, "b1", **{**PARKED, "parked_at": AT - seconds(60), "reason": "ValueError"})
        await store(engine, "b2", **PARKED)
        await store(engine, "a2", "a3", "c1", "c2", "d1", "e1")
        await store(engine, "c0", leased_until=datetime.now(UTC) + seconds(600), leased_by="another")
        await store(engine, "d0", not_before=datetime.now(UTC) + seconds(600))
        await store(engine, "f1", leased_until=NOW - seconds(1), not_before=NOW - seconds(1))
        await store(engine, "g1", "g2", "g3", sent_at=NOW)
        await store(engine, "h1", sent_at=NOW, **PARKED)
        await change(engine, "c1", recorded_at=datetime.now(UTC) - timedelta(hours=2))
        await change(engine, "g1", recorded_at=datetime.now(UTC) - timedelta(hours=9))
        status = await outbox_status(engine, TABLE)
        assert 7200 <= status.lag < 7300
        assert (
            OutboxStatus(
                waiting=5,
                held_back=2,
                leased=1,
                backing_off=1,
                parked=3,
                sent=3,
                discarded=1,
                lag=status.lag,
                parked_by_reason={"MessageRefused": 2, "ValueError": 1},
                oldest_parked=ParkedMessage(Uuid.from_uuid(oldest), "b1", "b", "ValueError", 10, AT - seconds(60)),
            )
            == status
        )
        assert 12 == status.unsent

    async def test_of_an_empty_outbox(self, engine: AsyncEngine) -> None:
        """Without a message all is nothing."""
        assert OutboxStatus() == await outbox_status(engine, TABLE)
        assert (0, 0.0) == await backlog(engine, TABLE)

    async def test_a_clock_that_goes_wrong_makes_no_negative_lag(self, engine: AsyncEngine) -> None:
        """A message from the future has waited for 0 seconds."""
        await store(engine, "a1", recorded_at=datetime.now(UTC) + seconds(3600))
        assert 0.0 == (await outbox_status(engine, TABLE)).lag
        assert (1, 0.0) == await backlog(engine, TABLE)

    async def test_the_backlog(self, engine: AsyncEngine) -> None:
        """It is what is unsent, and the age of the oldest of that."""
        await store(engine, "a1", "a2", recorded_at=datetime.now(UTC) - seconds(60))
        await store(engine, "a0", recorded_at=datetime.now(UTC) - seconds(600), sent_at=NOW)
        count, lag = await backlog(engine, TABLE)
        assert (2, True) == (count, 60 <= lag < 90)


class TestRelease:
    async def test_all_parked_messages_have_another_chance(self, engine: AsyncEngine) -> None:
        """They are sent, and what is behind them, in order; their attempts begin anew."""
        await store(engine, "a1", "b1", **PARKED)
        await store(engine, "a2", "c1")
        await change(engine, "c1", attempts=3)
        assert ["c1"] == await send(engine)
        assert 2 == await release_parked(engine, TABLE)
        assert {"a1": 0, "b1": 0, "a2": 0, "c1": 3} == await column(engine, "attempts")
        assert {None} == set((await column(engine, "reason")).values())
        assert ["a1", "a2", "b1"] == sorted(await send(engine))
        assert 0 == await release_parked(engine, TABLE)

    async def test_one_message_or_one_key(self, engine: AsyncEngine) -> None:
        """By id it is that message, by key those of that key."""
        (first, _, _) = await store(engine, "a1", "a2", "b1", **PARKED)
        assert 1 == await release_parked(engine, TABLE, message_id=Uuid.from_uuid(first))
        assert ["a1"] == await send(engine)
        assert 1 == await release_parked(engine, TABLE, key="b")
        assert ["b1"] == await send(engine)
        assert 0 == await release_parked(engine, TABLE, message_id=Uuid.from_uuid(first), key="a")

    async def test_nothing_else_is_touched(self, engine: AsyncEngine) -> None:
        """A message in hand of another relay, waiting for another try, sent or discarded stays as it is."""
        later = datetime.now(UTC) + seconds(600)
        await store(engine, "a1", leased_until=later, leased_by="another")
        await store(engine, "b1", not_before=later)
        await store(engine, "c1", sent_at=NOW)
        await store(engine, "d1", sent_at=NOW, **PARKED)
        assert 0 == await release_parked(engine, TABLE)
        assert [] == await send(engine)


class TestDiscard:
    async def test_its_key_goes_on_and_nobody_says_that_it_was_sent(self, engine: AsyncEngine) -> None:
        """A message that is given up lets those behind it go; it isn't sent, and isn't counted as sent."""
        (poison,) = await store(engine, "a1", **PARKED)
        await store(engine, "a2")
        assert [] == await send(engine)
        assert 1 == await discard_parked(engine, TABLE, message_id=Uuid.from_uuid(poison))
        assert ["a2"] == await send(engine)
        status = await outbox_status(engine, TABLE)
        assert (1, 1, 0) == (status.sent, status.discarded, status.parked)
        assert {"a1": "discarded: MessageRefused", "a2": None} == await column(engine, "reason")

    async def test_what_is_not_parked_can_not_be_discarded(self, engine: AsyncEngine) -> None:
        """A message that waits, or was sent, stays as it is."""
        found = await store(engine, "a1") + await store(engine, "b1", sent_at=NOW)
        assert [0, 0] == [
            await discard_parked(engine, TABLE, message_id=Uuid.from_uuid(one)) for one in (found[0], found[1])
        ]
        assert ["a1"] == await unsent(engine)

    async def test_it_is_deleted_after_the_retention(self, engine: AsyncEngine) -> None:
        """It is kept for as long as what was sent is."""
        await store(engine, "a1", sent_at=NOW - timedelta(days=8), **PARKED)
        await store(engine, "b1", sent_at=NOW - timedelta(days=6), **PARKED)
        await send(engine)
        assert ["b1"] == list(await column(engine, "name"))


class TestReplay:
    async def test_what_was_sent_since_then_is_sent_again(self, engine: AsyncEngine) -> None:
        """In their old order, and as if they had never been tried; what was discarded isn't."""
        await store(engine, "a1", sent_at=NOW - seconds(600))
        await store(engine, "a2", "a3", sent_at=NOW - seconds(60), attempts=3)
        await store(engine, "a4", sent_at=NOW - seconds(60), **PARKED)
        await store(engine, "a5")
        since = (NOW - seconds(120)).astimezone(tz=None)
        assert 2 == await replay_sent(engine, TABLE, since=since)
        assert ["a2", "a3", "a5"] == await send(engine)

    async def test_one_message(self, engine: AsyncEngine) -> None:
        """By its id one message is sent again, though it was discarded."""
        found = await store(engine, "a1", "b1", sent_at=NOW) + await store(engine, "c1", sent_at=NOW, **PARKED)
        for one in (found[0], found[2]):
            assert 1 == await replay_sent(engine, TABLE, message_id=Uuid.from_uuid(one))
        assert ["a1", "c1"] == await send(engine)

    async def test_what_was_not_sent_is_not_replayed(self, engine: AsyncEngine) -> None:
        """A message that waits for another try goes on to wait."""
        (found,) = await store(engine, "a1")
        publisher = Recorder(answering(a1=REFUSED))
        await Relay(engine, TABLE, publisher).run_once()
        assert 0 == await replay_sent(engine, TABLE, message_id=Uuid.from_uuid(found))
        assert {"a1": 1} == await column(engine, "attempts")

    async def test_one_of_both_is_needed(self, engine: AsyncEngine) -> None:
        """Neither and both are refused, and a time that isn't clear."""
        with pytest.raises(ValueError, match="expected exactly one of `message_id` and `since`"):
            await replay_sent(engine, TABLE)
        with pytest.raises(ValueError, match="expected exactly one of `message_id` and `since`"):
            await replay_sent(engine, TABLE, message_id=Uuid.v4(), since=NOW)
        with pytest.raises(ValueError, match="expected a time zone in `since`"):
            await replay_sent(engine, TABLE, since=datetime(2026, 1, 1))
