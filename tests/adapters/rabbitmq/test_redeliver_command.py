"""`python -m domainkit redeliver`."""

import asyncio
from collections.abc import Iterator

import pytest
from brokers import free_port
from rabbits import Board

from domainkit.adapters.rabbitmq import dead_letter_queue
from domainkit.cli import main


@pytest.fixture
def letters(url: str) -> Iterator[tuple[str, asyncio.Runner, Board]]:
    """Give a queue with three dead letters, outside of any loop: the command makes its own."""
    with asyncio.Runner() as runner:
        board = runner.run(Board(url).__aenter__())
        queue = runner.run(board.queue("dead"))
        dead = dead_letter_queue(queue)
        runner.run(board.channel.declare_queue(dead, durable=True))
        exchange = runner.run(board.channel.get_exchange(board.topology.exchange))
        runner.run((runner.run(board.channel.get_queue(dead))).bind(exchange, "#.event.#"))
        for body in (b"a", b"b", b"c"):
            runner.run(board.send(body))
        yield queue, runner, board
        runner.run(board.__aexit__(None, None, None))


def test_letters_are_moved(
    letters: tuple[str, asyncio.Runner, Board], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The broker is that of the environment; it says how many were moved, and from where to where."""
    queue, runner, board = letters
    monkeypatch.setenv("DOMAINKIT_BROKER_URL", board.url)
    assert 0 == main(["redeliver", "--queue", queue, "--limit", "1"])
    assert f"1 dead letter moved from {queue}.dead_letters to {queue}\n" == capsys.readouterr().out
    assert 0 == main(["redeliver", "--queue", queue])
    assert f"2 dead letters moved from {queue}.dead_letters to {queue}\n" == capsys.readouterr().out
    assert 3 == len(runner.run(board.taken(queue, 3)))


def test_a_failure_has_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """It says why, without the password."""
    broker = f"amqp://ada:hush@127.0.0.1:{free_port()}/"
    assert 1 == main(["redeliver", "--queue", "queue", "--broker", broker])
    told = capsys.readouterr().err
    assert "no connection" in told or "connection is lost" in told
    assert "hush" not in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "DOMAINKIT_BROKER_URL"),
        (["--broker", "redis://ada:hush@broker/"], "amqp://"),
        (["--limit", "-1"], "0 or more"),
        (["--limit", "many"], "--limit"),
    ],
)
def test_a_wrong_argument_has_status_2(
    arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which, without the password."""
    monkeypatch.delenv("DOMAINKIT_BROKER_URL", raising=False)
    with pytest.raises(SystemExit) as caught:
        main(["redeliver", "--queue", "queue", *arguments])
    assert 2 == caught.value.code
    error = capsys.readouterr().err
    assert told in error
    assert "hush" not in error
