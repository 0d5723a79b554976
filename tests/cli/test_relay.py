"""`python -m domainkit relay`: the relay as a process, and its operator's questions."""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from select import select as select_ready
from uuid import UUID

import pytest
from brokers import RABBITMQ_URL
from databases import KINDS, OUTBOX, Database, new_database
from forks import Forked, ran
from outboxes import METADATA, REFUSED, TABLE, Recorder, answering, row, seconds, store
from rabbits import Board
from sizes import FULL
from sqlalchemy import URL, Engine, insert, select

from domainkit import AsyncMessagePublisher
from domainkit.adapters.sqlalchemy import Relay
from domainkit.adapters.sqlalchemy.engines import async_url
from domainkit.cli import _relaying, main
from domainkit.cli._arguments import moment
from domainkit.cli._databases import failure_of
from domainkit.cli._operating import _age

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
PARKED = {"parked_at": AT, "reason": "MessageRefused", "attempts": 10}


class Refusing(Recorder):
    """Refuses what is named b1."""

    def __init__(self) -> None:
        super().__init__(answering(b1=REFUSED))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a new database, of each kind in turn."""
    with new_database(request.param, tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the logging and the environment as they were."""
    for name in ("DOMAINKIT_DATABASE_URL", "DOMAINKIT_BROKER_URL", "DOMAINKIT_EXCHANGE"):
        monkeypatch.delenv(name, raising=False)
    logger = logging.getLogger("domainkit")
    level = logger.level
    yield
    logger.setLevel(level)


def fill(engine: Engine, *names: str, **columns: object) -> list[UUID]:
    """Store messages, and return their ids."""
    rows = [row(name, **columns) for name in names]
    with engine.begin() as connection:
        connection.execute(insert(TABLE), rows)
    return [one["message_id"] for one in rows]


def unsent(engine: Engine) -> list[str]:
    """Return the names of the messages that aren't sent."""
    with engine.connect() as connection:
        left = select(TABLE.c.name).where(TABLE.c.sent_at.is_(None)).order_by(TABLE.c.position)
        return list(connection.scalars(left))


def url_of(database: Database) -> str:
    """Return the URL as users have it in their settings: without an async driver."""
    return database.url.render_as_string(hide_password=False).replace("+psycopg", "")


class TestSending:
    def test_once(self, database: Database, caplog: pytest.LogCaptureFixture) -> None:
        """With --once it sends what waits, tells how much that was, and ends with status 0."""
        with database.engine(METADATA) as engine:
            fill(engine, "a1", "b1", "a2")
            assert 0 == main(["relay", "--database", url_of(database), "--publisher", "outboxes:Recorder", "--once"])
            assert [] == unsent(engine)
        told = [record.getMessage() for record in caplog.records if record.name == "domainkit.relay"]
        assert ["relaying from outbox", "stopped: sent 3, failed 0, parked 0"] == told

    def test_once_with_a_message_that_is_refused(self, database: Database) -> None:
        """With --once, status 1 says that something could not be sent."""
        with database.engine(METADATA) as engine:
            fill(engine, "a1", "b1", "b2")
            publisher = f"{__name__}:Refusing"
            assert 1 == main(["relay", "--database", url_of(database), "--publisher", publisher, "--once"])
            assert ["b1", "b2"] == unsent(engine)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_is_stopped_by_a_signal(self, database: Database, number: signal.Signals) -> None:
        """Asked to stop it finishes what is on its way, gives back the rest, closes the publisher, and ends with 0."""
        with database.engine(METADATA) as engine:
            fill(engine, "a1", "a2")
            with _started(database, 1) as process:
                assert process.stdout is not None
                assert "a1\n" == process.stdout.readline()
                process.send_signal(number)
                said, told = process.communicate(timeout=60)
            assert (0, "closed\n") == (process.returncode, said), told
            assert ["a2"] == unsent(engine)
            with engine.connect() as connection:
                assert {None} == set(connection.scalars(select(TABLE.c.leased_by)))
        assert re.fullmatch(
            r"\S+ \S+ INFO relaying from outbox\n\S+ \S+ INFO stopped: sent 1, failed 0, parked 0\n", told
        )

    @pytest.mark.parametrize(("options", "is_woken"), [((), True), (("--no-wakes",), False)])
    def test_it_is_woken_by_a_commit(self, database: Database, options: tuple[str, ...], is_woken: bool) -> None:
        """A message that is stored later is sent without waiting for a poll; with --no-wakes it waits."""
        with database.engine(METADATA) as engine:
            fill(engine, "a1")
            with _started(database, 0, "--poll", "1h", *options) as process:
                assert process.stdout is not None
                assert "a1\n" == process.stdout.readline()
                while unsent(engine):
                    time.sleep(0.01)
                time.sleep(2)  # it has looked once more, after its round
                with engine.connect() as connection:
                    fill(engine, "b1")
                    OUTBOX.announce(connection)
                sent = bool(select_ready([process.stdout], [], [], 60 if is_woken else 1)[0])
                process.terminate()
                process.communicate(timeout=60)
            assert is_woken == sent

    @pytest.mark.parametrize("database", KINDS if FULL else KINDS[:1], indirect=True)
    def test_a_publisher_that_hangs_does_not_keep_it(self, database: Database) -> None:
        """It ends in bounded time, though the broker never answers."""
        with database.engine(METADATA) as engine:
            fill(engine, "a1")
            with _started(database, 600) as process:
                assert process.stdout is not None
                process.stdout.readline()
                process.terminate()
                process.communicate(timeout=60)
            assert (0, ["a1"]) == (process.returncode, unsent(engine))

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    @pytest.mark.parametrize("function", ["block", "hang"])
    def test_it_is_stopped_while_its_publisher_is_made(
        self, tmp_path: Path, function: str, number: signal.Signals
    ) -> None:
        """Whatever a function of the user's takes its time with, a signal ends it with 0, without a traceback."""
        arguments = ("--publisher", f"slow:{function}")
        with new_database("sqlite", tmp_path) as database, _started(database, 0, *arguments) as process:
            assert process.stdout is not None
            assert "making\n" == process.stdout.readline()
            process.send_signal(number)
            _, told = process.communicate(timeout=60)
        assert (0, "") == (process.returncode, told)

    @pytest.mark.parametrize("options", [(), ("--wait", "--once"), *([("--wait",)] if FULL else [])])
    def test_it_is_stopped_while_a_database_gives_no_answer(self, tmp_path: Path, options: tuple[str, ...]) -> None:
        """A server that takes the connection and says nothing keeps no relay, at its start or later."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = URL.create("postgresql+psycopg", "me", None, "127.0.0.1", silent.getsockname()[1], "tasks")
            with _started(Database("postgresql", url, url), 0, *options) as process, silent.accept()[0]:
                process.terminate()
                process.communicate(timeout=60)
        assert 0 == process.returncode

    def test_it_is_stopped_while_its_broker_gives_no_answer(self, tmp_path: Path) -> None:
        """So does a broker: what waits stays in the outbox."""
        with new_database("sqlite", tmp_path) as database, database.engine(METADATA) as engine:
            fill(engine, "a1")
            with socket.create_server(("127.0.0.1", 0)) as silent:
                broker = f"amqp://me:hush@127.0.0.1:{silent.getsockname()[1]}"
                arguments = ("--database", url_of(database), "--broker", broker, "--exchange", "tasks")
                with Forked("-m", "domainkit", "relay", *arguments) as process, silent.accept()[0]:
                    process.terminate()
                    assert 0 == process.wait(60)
            assert ["a1"] == unsent(engine)

    def test_it_leaves_the_handlers_of_signals_as_they_were(self, database: Database) -> None:
        """A program that runs the command in its own process gets its signal handlers back."""
        before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        with database.engine(METADATA):
            assert 0 == main(["relay", "--database", url_of(database), "--publisher", "outboxes:Recorder", "--once"])
        assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    def test_it_waits_for_its_database(self, tmp_path: Path) -> None:
        """With --wait it keeps trying until the outbox exists."""
        with new_database("sqlite", tmp_path) as database, _started(database, 0, "--wait") as process:
            assert process.stderr is not None
            assert any("the database lacks a table: no such table: outbox; " in line for line in process.stderr)
            with database.engine(METADATA) as engine:
                fill(engine, "a1")
                assert process.stdout is not None
                assert "a1\n" == process.stdout.readline()
            process.terminate()
            process.communicate(timeout=60)
            assert 0 == process.returncode

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    def test_to_rabbitmq(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """With --broker it publishes to an exchange of RabbitMQ; options may stand in the environment."""

        async def relayed() -> bytes:
            async with Board() as board:
                queue = await board.queue()
                monkeypatch.setenv("DOMAINKIT_EXCHANGE", board.topology.exchange)
                assert 0 == await asyncio.to_thread(_in_a_process, "--once")
                (taken,) = await board.taken(queue, 1)
                return taken.body

        monkeypatch.setenv("DOMAINKIT_DATABASE_URL", url_of(database))
        monkeypatch.setenv("DOMAINKIT_BROKER_URL", RABBITMQ_URL)
        with database.engine(METADATA) as engine:
            fill(engine, "a1")
            assert b"the secret body of a1" == asyncio.run(relayed())
            assert [] == unsent(engine)

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    def test_an_event_that_nobody_subscribed_to(self, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """It counts as sent, and the status names its type; with `--unrouted none` it is refused, as commands are."""

        def relayed(*options: str) -> int:
            with asyncio.Runner() as runner:
                board = runner.run(Board().__aenter__())
                arguments = ("--broker", RABBITMQ_URL, "--exchange", board.topology.exchange, *options)
                try:
                    return main(["relay", "--database", url_of(database), "--once", *arguments])
                finally:
                    runner.run(board.__aexit__(None, None, None))

        with database.engine(METADATA) as engine:
            fill(engine, "a1", "a2")
            assert 0 == relayed()
            main(["relay", "--database", url_of(database), "--status"])
            assert "\nsent without subscribers, by type: a1 1, a2 1\n" in capsys.readouterr().out
            fill(engine, "b1")
            assert 1 == relayed("--unrouted", "none")
            assert ["b1"] == unsent(engine)
            fill(engine, "c1", kind="command")
            assert 1 == relayed()
            assert "c1" in unsent(engine)
            fill(engine, "d1", kind="command")
            assert 0 == relayed("--unrouted", "all")
            assert "d1" not in unsent(engine)

    async def test_progress(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """While something goes on, a line tells every few seconds what was done, and what is left."""
        monkeypatch.setattr(_relaying, "_PROGRESS", 0.3)
        with new_database("sqlite", tmp_path) as database:
            async with database.async_engine(METADATA) as engine:
                await store(engine, "a1", "a2", "a3", recorded_at=datetime.now(UTC) - seconds(60))
                await store(engine, "b1", **PARKED)
                relay = Relay(engine, TABLE, Recorder(), batch=1)
                await relay.run_once()
                with caplog.at_level(logging.INFO, "domainkit.relay"):
                    task = asyncio.create_task(_relaying._report(relay, engine, TABLE))
                    await asyncio.sleep(1)
                    await engine.dispose()
                    async with engine.begin() as connection:
                        await connection.run_sync(METADATA.drop_all)
                    await asyncio.sleep(0.5)
                    task.cancel()
        (line,) = caplog.messages
        assert re.fullmatch(r"sent 1, failed 0, parked 0; unsent 3, lag 6\d\.\d s", line)


def _started(database: Database, pause: float, *options: str) -> Forked:
    arguments = ("--database", url_of(database), "--publisher", "slow:make", "--poll", "0.05", *options)
    env = os.environ | {"SECONDS": str(pause)}
    return Forked("-m", "domainkit", "relay", *arguments, cwd=Path(__file__).parent, env=env)


def _in_a_process(*options: str) -> int:
    return ran("-m", "domainkit", "relay", *options).returncode


class TestStatus:
    def test_as_a_newcomer_reads_it(self, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """Each count says what it means, and what is parked says what to do."""
        with database.engine(METADATA) as engine:
            fill(engine, *(f"a{number}" for number in range(1200)), sent_at=AT)
            (parked,) = fill(engine, "b1", **PARKED)
            fill(engine, "b2", "c1", recorded_at=datetime.now(UTC) - seconds(90))
            assert 0 == main(["relay", "--database", url_of(database), "--status"])
        said = capsys.readouterr().out
        age, rest = said.split("\n", 1)
        assert re.fullmatch(r"outbox outbox: the oldest unsent message is 9\d s old", age)
        assert rest == (
            "      1  waiting      ready to be sent\n"
            "      0  leased       being sent by a relay\n"
            "      0  backing off  refused, or the broker was unreachable; waiting for a retry\n"
            "      1  parked       refused too often; waiting for you\n"
            "      1  held back    behind a parked message of the same key\n"
            "  1,200  sent         kept until their retention is over\n"
            "      0  discarded    abandoned, never sent\n"
            "parked, by reason: MessageRefused 1\n"
            f"parked first: b1 {parked}\n"
            "  key b, MessageRefused after 10 attempts, 2026-03-01 12:30 UTC\n"
            "  --release retries all, --release ID one; --discard ID abandons one\n"
        )

    def test_a_key_that_a_terminal_would_obey(self, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """The text of an id may be anything: signs that can't be seen are shown as escapes."""
        with database.engine(METADATA) as engine:
            fill(engine, "b1", ordering_key="b\x1b[2J\n", **PARKED)
            assert 0 == main(["relay", "--database", url_of(database), "--status"])
        assert "  key b\\x1b[2J\\n, MessageRefused after" in capsys.readouterr().out

    def test_where_all_is_well(self, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """With an empty outbox it says so first."""
        with database.engine(METADATA):
            main(["relay", "--database", url_of(database), "--status"])
        assert capsys.readouterr().out.startswith("outbox outbox: all messages are sent\n")

    def test_what_nobody_subscribed_to(self, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """It is among what was sent, and counted by its name, which can't write on a terminal."""
        with database.engine(METADATA) as engine:
            fill(engine, "a1", "b\x1b1", "a1", sent_at=AT, reason="unrouted")
            main(["relay", "--database", url_of(database), "--status"])
        said = capsys.readouterr().out
        assert "  3  sent  " in said
        assert "\nsent without subscribers, by type: a1 2, b\\x1b1 1\n" in said

    def test_what_a_broker_had_already(self, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """It has a line of its own, and isn't among what was sent."""
        with database.engine(METADATA) as engine:
            fill(engine, "a1", "a2", sent_at=AT, reason="duplicate")
            main(["relay", "--database", url_of(database), "--status"])
        said = capsys.readouterr().out
        assert "  2  duplicates   already known to the broker; not delivered again\n" in f"{said}\n"
        assert "  0  sent  " in said

    def test_more_than_it_counts(
        self, database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A count that is a lower bound has a plus, with the option that counts all; then there is none."""
        monkeypatch.setattr("domainkit.cli._operating.COUNT_LIMIT", 2)
        with database.engine(METADATA) as engine:
            fill(engine, "a1", "b1", "c1", "d1", "e1")
            main(["relay", "--database", url_of(database), "--status"])
            part = capsys.readouterr().out
            main(["relay", "--database", url_of(database), "--status", "--json"])
            program = json.loads(capsys.readouterr().out)
            main(["relay", "--database", url_of(database), "--status", "--exact"])
            whole = capsys.readouterr().out
        assert "  3+  waiting      ready to be sent\n  0+  leased  " in part
        assert "\n   0  parked  " in part
        assert "+: there are more; --exact counts all of them" in part
        assert ["waiting", "held_back", "leased", "backing_off"] == program["at_least"]
        assert "  5  waiting      ready to be sent\n" in whole
        assert "+" not in whole

    def test_for_programs(self, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """With --json it is one object, of plain numbers and text."""
        with database.engine(METADATA) as engine:
            (parked,) = fill(engine, "b1", **PARKED)
            main(["relay", "--database", url_of(database), "--status", "--json"])
        found = json.loads(capsys.readouterr().out)
        oldest = {
            "message_id": str(parked),
            "name": "b1",
            "key": "b",
            "reason": "MessageRefused",
            "attempts": 10,
            "parked_at": "2026-03-01T12:30:00+00:00",
        }
        assert (1, {"MessageRefused": 1}, oldest) == (
            found["parked"],
            found["parked_by_reason"],
            found["oldest_parked"],
        )
        assert 0 <= found["lag"] < 60


class TestOperations:
    def test_release_discard_and_replay(self, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """Each says how many messages it has changed."""
        with database.engine(METADATA) as engine:
            one, two, _, _, _ = fill(engine, "a1", "b1", "c1", "c2", "d1", **PARKED)
            (sent, _) = fill(engine, "e1", "e2", sent_at=datetime.now(UTC))

            def told(*options: str) -> str:
                assert 0 == main(["relay", "--database", url_of(database), *options])
                return capsys.readouterr().out

            assert "1 message released\n" == told("--release", str(one))
            assert "1 message discarded\n" == told("--discard", str(two))
            assert "2 messages released\n" == told("--release-key", "c")
            assert "1 message released\n" == told("--release")
            assert "1 message to be sent again\n" == told("--replay", str(sent))
            assert "1 message to be sent again\n" == told("--replay-since", "1h")
            assert ["a1", "c1", "c2", "d1", "e1", "e2"] == unsent(engine)

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            (["--release"], "found no matching parked message; nothing was changed"),
            (["--release-key", ""], "found no matching parked message; nothing was changed"),
            (["--discard", str(UUID(int=1))], "found no matching parked message; nothing was changed"),
            (["--replay", str(UUID(int=1))], "found no matching sent message; nothing was changed"),
            (["--replay-since", "2026-01-01T00:00:00Z"], "found no matching sent message; nothing was changed"),
        ],
    )
    def test_where_there_is_none(
        self, tmp_path: Path, options: list[str], text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An operator who means another message or database is told: status 1."""
        with new_database("sqlite", tmp_path) as database, database.engine(METADATA):
            assert 1 == main(["relay", "--database", url_of(database), *options])
        assert f"python -m domainkit: {text}\n" == capsys.readouterr().err


class TestWrong:
    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ([], "no database: give --database, or set DOMAINKIT_DATABASE_URL"),
            (["--database", "sqlite://"], "no broker: give --broker (with --exchange), or --publisher"),
            (["--database", "sqlite://", "--broker", "amqp://x"], "no exchange: give --exchange"),
            (
                ["--database", "sqlite://", "--broker", "http://u:hush@x", "--exchange", "x"],
                "expected a URL like amqp://",
            ),
            (["--database", "sqlite://", "--broker", "amqp://x", "--exchange", "\u00e4"], "RabbitMqTopology: exchange"),
            (
                ["--database", "sqlite://", "--broker", "amqp://x", "--publisher", "a:b"],
                "--publisher or --broker, not both",
            ),
            (
                ["--database", "sqlite://", "--unrouted", "all", "--publisher", "a:b"],
                "--unrouted needs --broker; configure your own publisher itself",
            ),
            (["--unrouted", "commands"], "invalid choice: 'commands'"),
            (["--database", "sqlite://", "--publisher", "no.such:name"], "no module 'no.such'"),
            (["--database", "sqlite://", "--publisher", "outboxes:METADATA"], "expected an AsyncMessagePublisher"),
            (["--database", "mysql://me:hush@x/y", "--publisher", "outboxes:Recorder"], "expected a URL such as"),
            (["--database", "hush", "--status"], "expected a URL such as sqlite:///tasks.db"),
            (["--database", "sqlite+none://", "--status"], "SQLAlchemy has no driver 'sqlite+none'"),
            (["--database", "sqlite://", "--json"], "--json needs --status"),
            (["--database", "sqlite://", "--exact"], "--exact needs --status"),
            (["--batch", "0"], "expected a whole number above 0, got '0'"),
            (["--lease", "soon"], "expected seconds above 0, or a number with s, m, h or d, got 'soon'"),
            (["--poll", "0"], "expected seconds above 0"),
            (["--retention", "9" * 20 + "d"], "expected a shorter time"),
            (["--discard", "7"], "expected the id of a message, a UUID, got '7'"),
            (
                ["--replay-since", "2026-01-01T00:00:00"],
                "expected a time with a zone (2026-03-01T12:00:00Z) or ago (2h)",
            ),
            (["--replay-since", "9999999d"], "expected a time with a zone"),
            (["--status", "--release"], "not allowed with argument"),
        ],
    )
    def test_a_wrong_argument_is_named(self, options: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A wrong argument ends with status 2 and a sentence, without a password."""
        with pytest.raises(SystemExit) as ended:
            main(["relay", *options])
        told = capsys.readouterr().err
        assert (2, True, False) == (ended.value.code, text in told, "hush" in told), told

    @pytest.mark.parametrize(
        ("url", "text"),
        [
            (
                "postgresql://ada:hush@127.0.0.1:1/tasks",
                "the database 127.0.0.1:1/tasks: connection failed: connection to server at",
            ),
            ("sqlite:////no/such/folder/tasks.db", "the database /no/such/folder/tasks.db: unable to open database"),
            (
                "sqlite://",
                "the database in memory: no such table: outbox; create it (see outbox_table), or give --table",
            ),
        ],
    )
    @pytest.mark.parametrize("options", [["--status"], ["--publisher", "outboxes:Recorder"]])
    def test_a_database_that_is_not_there(
        self, url: str, text: str, options: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It says which database, and what is wrong with it, and ends with status 1; no password."""
        assert 1 == main(["relay", "--database", url, *options])
        told = capsys.readouterr().err
        assert (True, False) == (told.startswith(f"python -m domainkit: {text}"), "hush" in told), told

    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    def test_a_table_that_is_not_there(self, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """It says which table, and what to do."""
        assert 1 == main(["relay", "--database", url_of(database), "--table", "mine", "--schema", "other", "--status"])
        told = capsys.readouterr().err
        assert 'relation "other.mine" does not exist; create it (see outbox_table), or give --table' in told

    def test_a_database_that_goes_away(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With --once it doesn't wait for the database: status 1."""
        with new_database("sqlite", tmp_path) as database:
            options = ["--database", url_of(database), "--publisher", "outboxes:Recorder", "--once", "--wait"]
            assert 1 == main(["relay", *options])
        assert "no such table: outbox" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("module", "url", "text"),
        [
            ("sqlalchemy", "sqlite://", "needs an extra: pip install 'domainkit-attrs[sql]'"),
            ("psycopg", "postgresql://x/y", "driver psycopg needs an extra: pip install 'domainkit-attrs[postgres]'"),
            ("asyncpg", "postgresql+asyncpg://x/y", "asyncpg"),
            ("aiosqlite", "sqlite://", "needs an extra: pip install 'domainkit-attrs[sql]'"),
        ],
    )
    def test_without_an_extra(self, module: str, url: str, text: str) -> None:
        """A missing package is named, with the command that installs it: status 1."""
        code = f"import sys; sys.modules[{module!r}] = None; from domainkit.cli import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, "relay", "--database", url, "--status"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (1, True, 1) == (done.returncode, text in done.stderr, done.stderr.count("\n")), done.stderr

    def test_a_password_is_never_told(self) -> None:
        """Whatever a driver says, the password isn't in it."""
        url = URL.create("postgresql", "ada", "hush", "db", database="tasks", query={"password": "hush2"})
        assert "the database db:5432/tasks: ***, ***2 or ***" == failure_of(url, OSError("hush, hush2 or hush\nmore"))

    def test_drivers(self) -> None:
        """A URL without an async driver has the one that is needed; others stay."""
        assert "sqlite+aiosqlite" == async_url("sqlite:///x.db").drivername
        assert "postgresql+psycopg" == async_url("postgres://x/y").drivername
        assert "postgresql+asyncpg" == async_url("postgresql+asyncpg://x/y").drivername


def test_ages() -> None:
    """A span of time is as exact as people need it."""
    assert ["0.5 s", "75 s", "150 min", "111 h"] == [_age(number) for number in (0.5, 75, 9000, 400_000)]


def test_times_on_the_command_line() -> None:
    """A time has its zone, or is so long ago."""
    assert datetime(2026, 3, 1, 11, tzinfo=UTC) == moment("2026-03-01T12:00:00+01:00")
    assert seconds(5340) < datetime.now(UTC) - moment("1.5h") < seconds(5460)


def test_an_object_is_a_publisher_as_well(tmp_path: Path) -> None:
    """--publisher names a publisher, a class, or a function that returns one, or awaits one."""
    assert isinstance(ready, AsyncMessagePublisher)
    with new_database("sqlite", tmp_path) as database, database.engine(METADATA) as engine:
        fill(engine, "a1")
        arguments = ["--database", url_of(database), "--publisher", f"{__name__}:ready", "--retention", "forever"]
        assert 0 == main(["relay", *arguments, "--once", "--lease", "1.5h", "--batch", "5"])
        assert [] == unsent(engine)
    assert ["a1"] == ready.accepted
    assert timedelta(hours=1.5) == seconds(5400)


ready = Recorder()
