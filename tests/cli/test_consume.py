"""`python -m domainkit consume`: a consumer as a process; and the marks of an inbox."""

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("aio_pika", reason="needs the extra rabbitmq")
pytest.importorskip("sqlalchemy", reason="needs the extra sql")

from brokers import RABBITMQ_URL, answers, free_port
from databases import Database, new_database
from forks import Forked
from rabbits import Board, TaskCreated, publish, until
from sqlalchemy import MetaData, func, insert, select
from yarl import URL

from domainkit import Uuid
from domainkit.adapters.rabbitmq import dead_letter_queue
from domainkit.adapters.sqlalchemy import inbox_table
from domainkit.cli import main

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "docs" / "examples" / "consumer"
AWAY = "amqp://ada:hush@127.0.0.1:9/"


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Give a loop to prepare things in: the command makes its own."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def board(runner: asyncio.Runner) -> Iterator[Board]:
    """Give names of the test's own on the broker, with the queue of a subscriber, which is declared already or not."""
    address = URL(RABBITMQ_URL)
    if not answers(address.host or "127.0.0.1", address.port or 5672):
        pytest.skip("no RabbitMQ answers at RABBITMQ_URL")
    made = runner.run(Board().__aenter__())
    made.subscriber("greeter")
    yield made
    runner.run(made.__aexit__(None, None, None))


@pytest.fixture
def marks(tmp_path: Path) -> Iterator[Database]:
    """Give a database with an inbox that has an old mark and a new one."""
    with new_database("sqlite", tmp_path) as made, made.engine(METADATA) as engine:
        with engine.begin() as connection:
            for age in (30, 0):
                at = datetime.now(UTC) - timedelta(days=age)
                values = {"message_id": Uuid.v4().value, "handler": "mailing.greet", "handled_at": at}
                connection.execute(insert(INBOX), values)
        yield made


METADATA = MetaData()
INBOX = inbox_table(METADATA)


def marks_in(database: Database) -> int:
    """Return how many marks there are."""
    with database.engine() as engine, engine.connect() as connection:
        return connection.scalars(select(func.count()).select_from(INBOX)).one()


@contextmanager
def started(*options: str, exchange: str = "none", cwd: Path = HERE, **env: str) -> Iterator[Forked]:
    """Give a process that consumes, and kill it if it still runs afterwards."""
    places = {"DOMAINKIT_BROKER_URL": RABBITMQ_URL, "DOMAINKIT_EXCHANGE": exchange, **env}
    with Forked("-m", "domainkit", "consume", *options, cwd=cwd, env=os.environ | places) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: Forked) -> str:
    """Wait for the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline()


def stopped(process: Forked, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
    """Ask a process to stop, and return its status, and what it printed and logged."""
    process.send_signal(number)
    printed, logged = process.communicate(timeout=60)
    return process.wait(), printed, logged


def ended(*options: str, exchange: str = "none", **env: str) -> tuple[int, str, str]:
    """Return the status of a process that ends by itself, and what it printed and logged."""
    with started(*options, exchange=exchange, cwd=HERE, **env) as process:
        printed, logged = process.communicate(timeout=60)
    return process.wait(), printed, logged


def status_of(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Return what a process answers over HTTP."""
    try:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
        with closing(urllib.request.urlopen(request, timeout=10)) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def has_status(port: int, path: str, expected: int) -> None:
    """Wait until a process answers so."""

    async def does() -> bool:
        try:
            return expected == (await asyncio.to_thread(status_of, port, path))[0]
        except OSError:
            return False

    await until(does)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_after_what_is_in_hand(runner: asyncio.Runner, board: Board, number: signal.Signals) -> None:
    """It finishes the message in hand, leaves the next in its queue, and ends with status 0."""
    with started("consuming:consumer", exchange=board.topology.exchange) as process:
        runner.run(until_consumed(board))
        runner.run(publish(board, "milk", "bread"))
        assert "begun milk\n" == line(process)
        status, printed, logged = stopped(process, number)
    assert (0, "done milk\n") == (status, printed), logged
    assert "stopped" in logged
    assert 1 == runner.run(board.count(board.topology.subscriber_queue("greeter")))


async def until_consumed(board: Board) -> None:
    """Wait until a process consumes the queue of the subscriber."""

    async def is_consumed() -> bool:
        found = await status(board)
        return bool(found and found[0]["consumers"])

    await until(is_consumed)


async def status(board: Board) -> list[dict[str, object]]:
    """Return what --status --json tells."""
    result = await asyncio.to_thread(
        ended, "consuming:consumer", "--status", "--json", exchange=board.topology.exchange
    )
    assert 0 == result[0], result
    found: list[dict[str, object]] = json.loads(result[1])
    return found


def test_limits_are_given(runner: asyncio.Runner, board: Board) -> None:
    """With --concurrency as many messages are handled at a time, and at least as many are fetched ahead."""
    with started("consuming:later", "--concurrency", "30", exchange=board.topology.exchange) as process:
        runner.run(until_consumed(board))
        runner.run(publish(board, *map(str, range(30))))
        assert {f"begun {number}\n" for number in range(30)} == {line(process) for _ in range(30)}
        assert 0 == stopped(process)[0]


@pytest.mark.parametrize("path", ["/live", "/health"])
def test_health(runner: asyncio.Runner, board: Board, path: str) -> None:
    """A process that consumes says so over HTTP, to GET and HEAD; of anything else it knows nothing."""
    port = free_port()
    with started("consuming:consumer", "--health-port", str(port), exchange=board.topology.exchange) as process:
        runner.run(has_status(port, "/health", 200))
        assert (200, b"ok\n") == status_of(port, path)
        assert (200, b"") == status_of(port, path, "HEAD")
        assert 404 == status_of(port, path, "POST")[0]
        assert 404 == status_of(port, "/")[0]
        assert 0 == stopped(process)[0]


def test_health_without_a_broker(runner: asyncio.Runner) -> None:
    """While the broker is away, it is alive and not well; it waits, and is stopped with status 0."""
    port = free_port()
    with started("consuming:consumer", "--health-port", str(port), DOMAINKIT_BROKER_URL=AWAY) as process:
        runner.run(has_status(port, "/live", 200))
        assert (503, b"no connection to the broker\n") == status_of(port, "/health")
        status, _, logged = stopped(process)
    assert 0 == status
    assert "hush" not in logged


def test_it_is_stopped_while_it_starts() -> None:
    """Asked to stop while modules are imported it ends with 0 at once."""
    with started("consuming:consumer", IMPORTING="1") as process:
        assert "importing\n" == line(process)
        assert 0 == stopped(process)[0]


def test_a_port_that_is_taken(runner: asyncio.Runner) -> None:
    """Status 1 and a line say so."""

    async def taken() -> tuple[int, str, str]:
        async with await asyncio.start_server(lambda *_: None, port=(port := free_port())):
            return await asyncio.to_thread(
                ended, "consuming:consumer", "--health-port", str(port), DOMAINKIT_BROKER_URL=AWAY
            )

    status, _, logged = runner.run(taken())
    assert 1 == status
    assert "port" in logged
    assert "Traceback" not in logged


def test_a_queue_that_is_another(runner: asyncio.Runner, board: Board) -> None:
    """Status 1, and a line names the queue."""
    queue = board.subscriber("greeter")
    runner.run(board.channel.declare_queue(queue, durable=True))
    status, _, logged = ended("consuming:consumer", exchange=board.topology.exchange)
    assert 1 == status
    assert queue in logged
    assert "Traceback" not in logged


def test_status(runner: asyncio.Runner, board: Board) -> None:
    """It tells how many messages wait, are dead or in quarantine, and declares nothing."""
    exchange, queue = board.topology.exchange, board.topology.subscriber_queue("greeter")
    assert "doesn't exist yet" in ended("consuming:consumer", "--status", exchange=exchange)[1]
    (found,) = runner.run(status(board))
    assert {"queue": queue, "exists": False, "waiting": 0, "consumers": 0, "dead": 0, "quarantined": 0} == found
    with started("consuming:consumer", exchange=exchange) as process:
        runner.run(until_consumed(board))
        runner.run(board.send(b"no message"))
        runner.run(until_dead(board, queue))
        stopped(process)
    runner.run(publish(board, "milk", "bread"))
    result = ended("consuming:consumer", "--status", exchange=exchange)
    head, row = result[1].splitlines()
    assert ["queue", "waiting", "consumers", "dead", "quarantined"] == head.split()
    assert [queue, "2", "0", "1", "0"] == row.split()


async def until_dead(board: Board, queue: str) -> None:
    """Wait for a dead letter."""

    async def is_dead() -> bool:
        return await board.count(dead_letter_queue(queue)) > 0

    await until(is_dead)


def test_status_without_a_broker() -> None:
    """Status 1, and a line without the password."""
    status, _, logged = ended("consuming:consumer", "--status", DOMAINKIT_BROKER_URL=AWAY)
    assert 1 == status
    assert "127.0.0.1:9" in logged
    assert "hush" not in logged


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["consuming:TaskCreated.info"], "has no"),
        (["consuming:asyncio"], "expected a function that takes the broker's URL"),
        (["consuming:greet.nobody"], "expected MODULE:NAME"),
        (["consuming:something_else"], "expected a function that returns a RabbitMqConsumer"),
        (["consuming:consumer", "--prefetch", "1", "--concurrency", "2"], "concurrency"),
        (["consuming:consumer", "--broker", "http://broker/"], "expected a URL like amqp://"),
        (["consuming:consumer", "--json"], "--json needs --status"),
        (["consuming:consumer", "--clean-inbox", "14d"], "no database"),
    ],
)
def test_a_wrong_argument_is_named(
    options: list[str], text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, and a line that says what is expected."""
    monkeypatch.chdir(HERE)
    monkeypatch.setenv("DOMAINKIT_BROKER_URL", RABBITMQ_URL)
    monkeypatch.setenv("DOMAINKIT_EXCHANGE", "none")
    with pytest.raises(SystemExit, match="2"):
        main(["consume", *options])
    assert text in capsys.readouterr().err


def test_without_a_broker_at_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, and a line that says how to name one."""
    monkeypatch.delenv("DOMAINKIT_BROKER_URL", raising=False)
    with pytest.raises(SystemExit, match="2"):
        main(["consume", "consuming:consumer"])
    assert "give --broker, or set DOMAINKIT_BROKER_URL" in capsys.readouterr().err


class TestInbox:
    def test_old_marks_are_deleted(self, marks: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """The command deletes those that are older, and says how many."""
        command = ["clean-inbox", "--older-than", "14d", "--database", str(marks.url)]
        assert 0 == main(command)
        assert 0 == main(command)
        assert "1 mark deleted\n0 marks deleted\n" == capsys.readouterr().out
        assert 1 == marks_in(marks)

    def test_a_table_that_is_not_there(self, marks: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """Status 1, and a line says what makes one."""
        arguments = ["--older-than", "14d", "--database", str(marks.url), "--table", "none"]
        assert 1 == main(["clean-inbox", *arguments])
        assert "create it (see inbox_table)" in capsys.readouterr().err

    def test_a_database_that_is_locked(self, marks: Database, capsys: pytest.CaptureFixture[str]) -> None:
        """Status 1, and a line says why nothing was deleted."""
        with marks.engine() as engine, engine.connect() as connection:
            connection.exec_driver_sql("ALTER TABLE inbox RENAME TO marks")
            connection.exec_driver_sql("CREATE VIEW inbox AS SELECT * FROM marks")
            connection.commit()
        assert 1 == main(["clean-inbox", "--older-than", "14d", "--database", str(marks.url)])
        assert "cannot modify inbox" in capsys.readouterr().err

    def test_a_consumer_cleans_it(self, marks: Database) -> None:
        """With --clean-inbox the process that consumes deletes old marks when it starts, and hourly."""
        options = ("--clean-inbox", "14d", "--database", str(marks.url))
        with started("consuming:consumer", *options, DOMAINKIT_BROKER_URL=AWAY) as process:
            told = told_until(process, "old marks")
            assert 0 == stopped(process)[0]
        assert "deleted 1 old marks of the inbox" in told
        assert 1 == marks_in(marks)

    def test_a_consumer_goes_on_without_its_inbox(self, tmp_path: Path) -> None:
        """If the marks can't be deleted, the log says why, and the process continues."""
        options = ("--clean-inbox", "14d", "--database", f"sqlite:///{tmp_path}/none.db")
        with started("consuming:consumer", *options, DOMAINKIT_BROKER_URL=AWAY) as process:
            told = told_until(process, "was not cleaned")
            assert 0 == stopped(process)[0]
        assert "create it (see inbox_table)" in told


def told_until(process: Forked, text: str) -> str:
    """Return the line of the log that has a text."""
    assert process.stderr is not None
    return next(one for one in process.stderr if text in one)


def test_the_example_of_the_page(runner: asyncio.Runner, board: Board, tmp_path: Path) -> None:
    """It greets once for a message that comes twice; its engine is closed when it is stopped."""
    exchange = board.topology.exchange
    queue = f"{exchange}.mailing.greeter"
    board.queues.add(queue)
    metadata = MetaData()
    inbox_table(metadata)
    with new_database("sqlite", tmp_path) as database, database.engine(metadata) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE greetings (text TEXT)")
        options = ("--clean-inbox", "14d", "--health-port", str(port := free_port()))
        env = {"DOMAINKIT_DATABASE_URL": str(database.url)}
        with started("mailing:consumer", *options, exchange=exchange, cwd=EXAMPLE, **env) as process:
            runner.run(has_status(port, "/health", 200))
            event = TaskCreated("milk")
            runner.run(publish(board, event, event, TaskCreated("bread")))

            async def greeted() -> bool:
                return 2 == len(greetings())

            def greetings() -> list[str]:
                with engine.connect() as connection:
                    return [str(one) for (one,) in connection.exec_driver_sql("SELECT text FROM greetings")]

            runner.run(until(greeted))
            assert 0 == stopped(process)[0]
        assert ["Hello, milk", "Hello, bread"] == greetings()
