"""The relay: at least once, in order by key, and what it does with what is refused."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
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
    change,
    column,
    rename,
    row,
    seconds,
    store,
    unsent,
)
from sqlalchemy import MetaData, delete, insert

from domainkit import AsyncMessagePublisher, MessageInfo, OutgoingMessage, Uuid
from domainkit.adapters.sqlalchemy import (
    OutboxStatus,
    Relay,
    RelayBackoff,
    RelayRound,
    outbox_status,
    outbox_table,
    replay_sent,
)
from domainkit.adapters.sqlalchemy.relay.dialects import Dialect
from domainkit.delivery import DUPLICATE, UNROUTED, remark

QUICK = RelayBackoff(seconds(0.001), longest=seconds(0.001))
SLOW = RelayBackoff(seconds(60))


class TestSending:
    async def test_what_waits_is_sent_and_marked(self, database: Database) -> None:
        """A round sends what waits, each key in its order, and marks it; the next finds nothing."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "b1", "a2", "b2", "a3")
            publisher = Recorder()
            relay = Relay(engine, TABLE, publisher)
            assert RelayRound(claimed=5, sent=5) == await relay.run_once()
            assert ["a1", "a2", "a3"] == [name for name in publisher.accepted if name[0] == "a"]
            assert ["b1", "b2"] == [name for name in publisher.accepted if name[0] == "b"]
            assert [] == await unsent(engine)
            assert RelayRound() == await relay.run_once()
            assert RelayRound(claimed=5, sent=5) == relay.total

    async def test_the_publisher_gets_what_was_stored(self, database: Database) -> None:
        """Id, name, version, kind, key and every byte of the body arrive as they were stored."""
        async with database.async_engine(METADATA) as engine:
            body = bytes(range(256))
            (found,) = await store(engine, "a1", version=3, kind="command", ordering_key="", body=body)
            publisher = Recorder()
            await Relay(engine, TABLE, publisher).run_once()
            expected = OutgoingMessage(Uuid.from_uuid(found), MessageInfo("a1", 3, "command"), body, "")
            assert [expected] == publisher.messages

    async def test_keys_go_side_by_side_and_one_key_in_line(self, database: Database) -> None:
        """As many keys as `concurrency` are sent at a time, and never two messages of one (the publisher looks)."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *(f"{key}{number}" for number in range(3) for key in "abcdefgh"))
            publisher = Recorder()
            await Relay(engine, TABLE, publisher, concurrency=4).run_once()
            assert (24, 4) == (len(publisher.accepted), publisher.most_in_flight)

    async def test_a_row_is_marked_after_the_broker_has_confirmed_it(self, database: Database) -> None:
        """While the broker has not answered, the row isn't marked as sent."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1")
            seen: list[list[str]] = []

            async def answer(_: str) -> Answer:
                await asyncio.sleep(0.3)  # longer than what was sent goes unmarked in a round
                seen.append(await unsent(engine))
                return SENT

            await Relay(engine, TABLE, Recorder(answer)).run_once()
            assert ([["a1"]], []) == (seen, await unsent(engine))

    async def test_what_was_sent_is_marked_though_another_key_takes_long(self, database: Database) -> None:
        """A slow key doesn't keep the others of its round from being marked, and going on."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "b1")
            seen: list[list[str]] = []

            async def answer(name: str) -> Answer:
                if name == "a1":
                    await asyncio.sleep(0.5)
                    seen.append(await unsent(engine))
                return SENT

            await Relay(engine, TABLE, Recorder(answer)).run_once()
            assert [["a1"]] == seen

    async def test_a_batch_is_the_most_and_a_key_has_a_quarter(self, database: Database) -> None:
        """A round claims no more than `batch`, and a busy key leaves three quarters of it to others."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *(f"a{number}" for number in range(20)), *(f"b{number}" for number in range(20)))
            publisher = Recorder()
            relay = Relay(engine, TABLE, publisher, batch=8)
            assert 4 == (await relay.run_once()).sent
            assert ["a0", "a1", "b0", "b1"] == sorted(publisher.accepted)
            await store(engine, *"cdefghijkl")
            assert [8, 8] == [(await relay.run_once()).claimed for _ in range(2)]


class TestRefused:
    async def test_it_is_tried_again_later_and_holds_back_its_key_alone(self, database: Database) -> None:
        """A refused message waits, those behind it too; other keys go on. Nothing overtakes it when it is sent."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "a2", "b1", "b2")
            publisher = Recorder(answering(a1=REFUSED))
            relay = Relay(engine, TABLE, publisher, backoff=RelayBackoff(seconds(2)))
            assert RelayRound(claimed=4, sent=2, failed=1, left=1) == await relay.run_once()
            assert RelayRound() == await relay.run_once()
            assert {"a1": 1, "a2": 0, "b1": 0, "b2": 0} == await column(engine, "attempts")
            publisher.answer = always(SENT)
            await asyncio.sleep(2.1)
            assert RelayRound(claimed=2, sent=2) == await relay.run_once()
            assert ["b1", "b2", "a1", "a2"] == publisher.accepted

    async def test_it_is_parked_after_its_attempts_and_holds_back_its_key_alone(self, database: Database) -> None:
        """After `max_attempts` it is never tried again; its key stays behind it, and others don't notice."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "a2")
            publisher = Recorder(answering(a1=REFUSED))
            relay = Relay(engine, TABLE, publisher, backoff=QUICK, max_attempts=2)
            rounds = []
            for _ in range(4):
                rounds.append(await relay.run_once())
                await asyncio.sleep(0.005)
            await store(engine, "b1", "a3", "b2")
            rounds.append(await relay.run_once())
            refused = [(one.failed, one.parked, one.sent) for one in rounds]
            assert [(1, 0, 0), (0, 1, 0), (0, 0, 0), (0, 0, 0), (0, 0, 2)] == refused
            assert ["b1", "b2"] == publisher.accepted
            assert {"a1": 2, "a2": 0, "a3": 0, "b1": 0, "b2": 0} == await column(engine, "attempts")

    async def test_the_reason_is_the_name_of_the_error(self, database: Database) -> None:
        """The row says what went wrong without a word of the message or of what the broker said."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "b1", "c1", "d1")

            async def answer(name: str) -> Answer:
                match name:
                    case "b1":
                        raise ValueError("a secret")
                    case "c1":
                        raise asyncio.CancelledError
                    case "d1":
                        return None  # type: ignore[return-value]  # what a publisher must not do
                return REFUSED

            await Relay(engine, TABLE, Recorder(answer), max_attempts=1).run_once()
            expected = {"a1": "MessageRefused", "b1": "ValueError", "c1": "CancelledError", "d1": "NoneType"}
            assert expected == await column(engine, "reason")
            assert None not in (await column(engine, "parked_at")).values()

    async def test_sending_forgets_the_reason(self, database: Database) -> None:
        """A message that is sent in the end has no reason any more."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1")
            publisher = Recorder(always(REFUSED))
            relay = Relay(engine, TABLE, publisher, backoff=QUICK)
            await relay.run_once()
            publisher.answer = always(SENT)
            await asyncio.sleep(0.005)
            await relay.run_once()
            assert ({"a1": None}, {"a1": 1}) == (await column(engine, "reason"), await column(engine, "attempts"))

    async def test_the_waits_differ_and_grow(self, database: Database) -> None:
        """Each refused message waits by the backoff of its own attempts, with a part left to chance."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "b1", "c1")
            await change(engine, "c1", attempts=5)
            before = datetime.now(UTC)
            await Relay(engine, TABLE, Recorder(always(REFUSED)), backoff=SLOW).run_once()
            waits = {name: at - before for name, at in (await column(engine, "not_before")).items()}
            assert timedelta(seconds=29) < waits["a1"] < timedelta(seconds=65)
            assert abs(waits["a1"] - waits["b1"]) > timedelta(milliseconds=1)
            assert timedelta(seconds=149) < waits["c1"] < timedelta(seconds=305)

    async def test_what_is_logged(self, database: Database, caplog: pytest.LogCaptureFixture) -> None:
        """The log names message, size and error, and the places of an exception; no body, no text of an error."""
        async with database.async_engine(METADATA) as engine:
            (first, second) = await store(engine, "a1", "b1")

            async def answer(name: str) -> Answer:
                if name == "b1":
                    raise ValueError("a secret")
                return REFUSED

            with caplog.at_level(logging.DEBUG, "domainkit.relay"):
                await Relay(engine, TABLE, Recorder(answer), max_attempts=2).run_once()
                await change(engine, "a1", not_before=None)
                await Relay(engine, TABLE, Recorder(answer), max_attempts=2).run_once()
            assert f"a1 {first} (21 bytes) failed (attempt 1): MessageRefused" in caplog.messages
            assert f"a1 {first} (21 bytes) is parked after 2 attempts: MessageRefused" in caplog.messages
            assert f"b1 {second} (21 bytes): the publisher raised:" in caplog.text
            assert "outboxes.py" in caplog.text
            assert "secret" not in caplog.text


class TestRemarks:
    async def test_an_event_that_nobody_gets_is_sent_and_told_of(self, database: Database) -> None:
        """It holds back nothing of its key, and the status counts it as sent, and by its name."""

        async def answer(name: str) -> Answer:
            if name != "a3":
                remark(UNROUTED)
            return SENT

        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "a2", "a3", "b1", "b1")
            publisher = Recorder(answer)
            assert RelayRound(claimed=5, sent=5) == await Relay(engine, TABLE, publisher).run_once()
            assert ["a1", "a2", "a3"] == [name for name in publisher.accepted if name[0] == "a"]
            status = await outbox_status(engine, TABLE)
        assert (5, 0, {"a1": 1, "a2": 1, "b1": 2}) == (status.sent, status.unsent, dict(status.unrouted_by_name))

    async def test_what_the_broker_had_already_is_not_counted_as_sent(self, database: Database) -> None:
        """A duplicate has a count of its own, is done with, and can be replayed; the next of its key follows."""

        async def answer(name: str) -> Answer:
            if name == "a1":
                remark(DUPLICATE)
            return SENT

        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "a2")
            relay = Relay(engine, TABLE, Recorder(answer))
            assert RelayRound(claimed=2, sent=1, duplicates=1) == await relay.run_once()
            status = await outbox_status(engine, TABLE)
            assert (1, 1, 0, {}) == (status.sent, status.duplicates, status.unsent, dict(status.unrouted_by_name))
            assert 2 == await replay_sent(engine, TABLE, since=datetime.now(UTC) - timedelta(hours=1))
            assert ["a1", "a2"] == await unsent(engine)
            assert OutboxStatus(waiting=2) == evolve(await outbox_status(engine, TABLE), lag=0.0)


class TestBrokerAway:
    async def test_nothing_counts(self, database: Database) -> None:
        """While the broker is away no attempt is counted, nothing is parked, and everything is given back."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "a2", "b1")
            publisher = Recorder(always(AWAY))
            relay = Relay(engine, TABLE, publisher, max_attempts=1)
            for _ in range(3):
                done = await relay.run_once()
                assert (3, 0, 0, 3, True) == (done.claimed, done.failed, done.parked, done.left, done.away)
            assert {0} == set((await column(engine, "attempts")).values())
            assert {None} == set((await column(engine, "leased_by")).values())
            publisher.answer = always(SENT)
            assert 3 == (await relay.run_once()).sent

    async def test_the_others_are_not_even_tried(self, database: Database) -> None:
        """After one message without a broker the relay leaves the rest alone."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *"abcdefgh")
            publisher = Recorder(always(AWAY))
            await Relay(engine, TABLE, publisher, concurrency=2).run_once()
            assert 2 == len(publisher.messages)

    async def test_no_answer_while_the_lease_lasts(self, database: Database) -> None:
        """A publisher that hangs is cut off, as a broker that is away."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1")

            async def answer(_: str) -> Answer:
                await asyncio.sleep(60)
                return SENT

            relay = Relay(engine, TABLE, Recorder(answer), lease=seconds(0.3))
            async with asyncio.timeout(10):
                assert RelayRound(claimed=1, left=1, away=True) == await relay.run_once()

    async def test_a_timeout_of_the_publisher_itself_counts(self, database: Database) -> None:
        """A publisher that raises TimeoutError has raised: that is no broker that is away."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1")

            async def answer(_: str) -> Answer:
                raise TimeoutError

            assert RelayRound(claimed=1, failed=1) == await Relay(engine, TABLE, Recorder(answer)).run_once()


class TestLeases:
    async def test_a_lease_that_is_running_keeps_others_off(self, database: Database) -> None:
        """A message that another relay has in hand is left alone, with all behind it, until its lease is over."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "a2", "b1")
            await change(engine, "a1", leased_by="another", leased_until=datetime.now(UTC) + seconds(2))
            publisher = Recorder()
            relay = Relay(engine, TABLE, publisher)
            await relay.run_once()
            assert ["b1"] == publisher.accepted
            await asyncio.sleep(2.1)
            await relay.run_once()
            assert ["b1", "a1", "a2"] == publisher.accepted

    async def test_it_is_renewed_while_it_is_needed(self, database: Database) -> None:
        """Sending for longer than the lease goes on undisturbed: no other relay finds the rows meanwhile."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *(f"{key}{number}" for number in range(3) for key in "ab"))

            async def slow(_: str) -> Answer:
                await asyncio.sleep(1.2)
                return SENT

            publisher = Recorder(slow)
            relay = Relay(engine, TABLE, publisher, lease=seconds(2), batch=32)
            first = asyncio.create_task(relay.run_once())
            other = Relay(engine, TABLE, Recorder())
            await asyncio.sleep(0.2)
            while not first.done():
                assert RelayRound() == await other.run_once()
                await asyncio.sleep(0.1)
            assert RelayRound(claimed=6, sent=6) == await first

    async def test_the_rest_is_left_alone_once_another_has_it(self, database: Database) -> None:
        """If another relay took over, this one sends nothing more of its batch, and marks nothing."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", "a2", "a3")

            async def slow(name: str) -> Answer:
                await asyncio.sleep(0.6)
                for one in ("a1", "a2", "a3"):
                    await change(engine, one, leased_by="another")
                return SENT

            publisher = Recorder(slow)
            await Relay(engine, TABLE, publisher, lease=seconds(1)).run_once()
            assert ["a1"] == publisher.accepted
            assert ["a1", "a2", "a3"] == await unsent(engine)
            assert {"another"} == set((await column(engine, "leased_by")).values())

    async def test_the_rest_is_left_alone_where_the_lease_can_not_be_renewed(self, database: Database) -> None:
        """Without the database there is no new lease: nothing is sent after the old one."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, *(f"a{number}" for number in range(6)))

            async def slow(_: str) -> Answer:
                await asyncio.sleep(0.4)
                await rename(engine, "outbox", "outbox_")
                return SENT

            publisher = Recorder(slow)
            relay = Relay(engine, TABLE, publisher, lease=seconds(1), batch=24)
            task = asyncio.create_task(relay.run_once())
            await asyncio.wait([task])
            await rename(engine, "outbox_", "outbox")
            assert task.exception() is not None
            assert len(publisher.accepted) < 4


class TestLateCommits:
    async def test_a_lower_position_that_comes_up_later_is_sent(self, database: Database) -> None:
        """There is no mark up to which everything is taken for sent."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a2", position=20)
            publisher = Recorder()
            relay = Relay(engine, TABLE, publisher)
            await relay.run_once()
            await store(engine, "b1", position=10)
            await relay.run_once()
            assert ["a2", "b1"] == publisher.accepted

    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    async def test_a_transaction_that_commits_late_is_sent(self, database: Database) -> None:
        """A message that was stored before another, and committed after that was sent, is sent."""
        async with database.async_engine(METADATA) as engine, engine.connect() as late:
            await late.execute(insert(TABLE), row("a1"))
            await store(engine, "b1")
            publisher = Recorder()
            relay = Relay(engine, TABLE, publisher)
            await relay.run_once()
            await late.commit()
            await relay.run_once()
            assert ["b1", "a1"] == publisher.accepted


class TestCleaning:
    async def test_what_was_sent_long_ago_is_deleted(self, database: Database) -> None:
        """Rows that were sent before the retention are deleted; newer ones, waiting and parked ones never."""
        async with database.async_engine(METADATA) as engine:
            now = datetime.now(UTC)
            await store(engine, "a1", sent_at=now - seconds(100), recorded_at=now - seconds(100))
            await store(engine, "b1", sent_at=now - seconds(10), recorded_at=now - seconds(1000))
            await store(engine, "c1", parked_at=now - seconds(1000), recorded_at=now - seconds(1000))
            await store(engine, "c2", recorded_at=now - seconds(1000))
            relay = Relay(engine, TABLE, Recorder(), retention=seconds(60))
            assert RelayRound(deleted=1) == await relay.run_once()
            assert ["b1", "c1", "c2"] == list(await column(engine, "name"))

    async def test_a_little_at_a_time(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """One transaction deletes a bounded number of rows, and the next goes on."""
        monkeypatch.setattr("domainkit.adapters.sqlalchemy.relay.store._MAX_DELETED", 2)
        async with database.async_engine(METADATA) as engine:
            await store(engine, *"abcde", sent_at=datetime.now(UTC) - seconds(100))
            relay = Relay(engine, TABLE, Recorder(), retention=seconds(60))
            assert [2, 2, 1, 0] == [(await relay.run_once()).deleted for _ in range(4)]

    async def test_without_a_retention_all_is_kept(self, database: Database) -> None:
        """`retention=None` deletes nothing."""
        async with database.async_engine(METADATA) as engine:
            await store(engine, "a1", sent_at=datetime(2000, 1, 1, tzinfo=UTC))
            assert RelayRound() == await Relay(engine, TABLE, Recorder(), retention=None).run_once()


class TestOptions:
    @pytest.mark.parametrize("name", ["batch", "concurrency", "max_attempts"])
    async def test_a_count_below_1_is_refused(self, database: Database, name: str) -> None:
        """A number that can't work is refused when the relay is made."""
        async with database.async_engine() as engine:
            with pytest.raises(ValueError, match=f"Relay: expected 1 or more as `{name}`, got 0"):
                Relay(engine, TABLE, Recorder(), **{name: 0})  # type: ignore[arg-type]  # each is an int

    @pytest.mark.parametrize("name", ["lease", "poll", "retention", "grace"])
    async def test_a_time_of_nothing_is_refused(self, database: Database, name: str) -> None:
        """A time that can't work is refused when the relay is made."""
        async with database.async_engine() as engine:
            with pytest.raises(ValueError, match=f"Relay: expected a timedelta above 0 as `{name}`"):
                Relay(engine, TABLE, Recorder(), **{name: timedelta(0)})  # type: ignore[arg-type]  # each is a time

    @pytest.mark.parametrize(
        "backoff",
        [
            lambda: RelayBackoff(timedelta(0)),
            lambda: RelayBackoff(factor=0.5),
            lambda: RelayBackoff(seconds(2), longest=seconds(1)),
        ],
    )
    def test_a_backoff_must_grow(self, backoff: "type[RelayBackoff]") -> None:
        """A backoff that shrinks or doesn't wait is refused."""
        with pytest.raises(ValueError, match="RelayBackoff: expected 0 < `first` <= `longest` and `factor` >= 1"):
            backoff()

    def test_a_backoff_never_overflows(self) -> None:
        """After any number of failures the wait is no longer than `longest`, and at least half of it."""
        assert seconds(300) == RelayBackoff().most(10**9)
        assert seconds(1) == RelayBackoff(factor=1).most(10**9)
        waits = {RelayBackoff().delay(20) for _ in range(50)}
        assert seconds(150) <= min(waits) < max(waits) <= seconds(300)

    def test_other_databases_are_refused(self) -> None:
        """A database that it doesn't know is refused by name."""
        with pytest.raises(ValueError, match="in SQLite or PostgreSQL, got one in mysql"):
            Dialect("mysql")

    async def test_tables_of_another_name(self, database: Database) -> None:
        """The outbox may have any name; deleting what is in the usual one leaves it alone."""
        metadata = MetaData()
        table = outbox_table(metadata, "my outbox")
        async with database.async_engine(METADATA, metadata) as engine:
            async with engine.begin() as connection:
                await connection.execute(insert(table), [row("a1"), row("a2")])
                await connection.execute(delete(TABLE))
            relay = Relay(engine, table, Recorder())
            assert (2, "Relay(my outbox)") == ((await relay.run_once()).sent, repr(relay))


def test_a_publisher_is_all_that_it_needs() -> None:
    """The double of the tests is a publisher as the port has it."""
    assert isinstance(Recorder(), AsyncMessagePublisher)
