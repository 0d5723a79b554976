"""RabbitMqConsumer where its connection, channel or queue is lost."""

import asyncio
import gc
import logging
import warnings
from datetime import timedelta
from typing import Any

import pytest
from brokers import SETTLED, RabbitMq, free_port
from rabbits import CODEC, Board, TaskCreated, outgoing, until
from returns.result import Result, Success
from yarl import URL

from domainkit import InvalidMessage, Message, MessageCodec
from domainkit.adapters.rabbitmq import (
    Backoff,
    QueueClashError,
    RabbitMqConsumer,
    RabbitMqPublisher,
    RabbitMqTopology,
    _queue,
    dead_letter_queue,
)
from domainkit.adapters.rabbitmq._properties import KeepingConnection


class Titles:
    """The messages that a consumer got."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.running = 0
        self.at_once = 0
        self.pause = 0.0

    async def note(self, event: TaskCreated) -> None:
        """Note a title, and take a while."""
        self.running += 1
        self.at_once = max(self.at_once, self.running)
        try:
            await asyncio.sleep(self.pause)
            self.seen.append(event.title)
        finally:
            self.running -= 1

    async def have(self, *titles: str) -> None:
        """Wait until these are there."""

        async def all_there() -> bool:
            return set(titles) <= set(self.seen)

        await until(all_there, 40)


def consumer(board: Board, titles: Titles) -> RabbitMqConsumer:
    """Return a consumer with one subscriber."""
    board.subscriber("greeter")
    return RabbitMqConsumer(
        board.url,
        board.topology,
        CODEC,
        subscribers={"greeter": TaskCreated.handled_by(titles.note)},
        backoff=Backoff(timedelta(0)),
        stop_within=timedelta(seconds=1),
    )


async def publish(board: Board, title: str) -> None:
    """Publish an event, and try again while the broker is away, or has no queue for it."""
    options: dict[str, Any] = {"timeout": timedelta(seconds=5), "unrouted": "none"}
    async with RabbitMqPublisher(board.url, board.topology, **options) as publisher:

        async def done() -> bool:
            return await publisher.publish(outgoing(title)) == Success(None)

        await until(done, 40)


async def test_it_consumes_again_after_the_broker_was_killed(own_broker: RabbitMq) -> None:
    """The same consumer goes on by itself; a message that was in hand comes again, and never twice at once."""
    async with Board(own_broker.url) as board:
        titles = Titles()
        async with consumer(board, titles):
            await asyncio.sleep(SETTLED)
            titles.pause = 7.0  # longer than the broker is away
            await publish(board, "milk")

            async def started() -> bool:
                return titles.running == 1

            await until(started)
            own_broker.kill()
            await asyncio.to_thread(own_broker.start)
            await titles.have("milk")
            titles.pause = 0.0
            await publish(board, "bread")
            await titles.have("bread")
        assert 1 == titles.at_once
        assert 2 <= titles.seen.count("milk")


async def test_it_binds_again_where_its_exchange_was_deleted(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that runs gets messages and buries dead letters after both exchanges were deleted, on one channel."""
    monkeypatch.setattr(_queue, "_BIND_INTERVAL", 0.2)
    titles = Titles()
    async with consumer(board, titles) as running:
        (consumed,) = running._consumed.values()
        for name in (board.topology.exchange, board.topology.dead_letter_exchange):
            await board.channel.exchange_delete(name)
        await publish(board, "milk")  # declares the exchange again
        await titles.have("milk")
        await board.send(b"{")
        assert 1 == len(await board.taken(dead_letter_queue(board.subscriber("greeter")), 1, 20))
        assert [consumed] == list(running._consumed.values())


async def test_an_exchange_that_became_another_one_ends_it(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted and made anew with another type it is QueueClashError, as at the start: it can't be bound."""
    monkeypatch.setattr(_queue, "_BIND_INTERVAL", 0.2)
    running = consumer(board, Titles())
    await running.__aenter__()
    await board.channel.exchange_delete(board.topology.exchange)
    await board.channel.declare_exchange(board.topology.exchange, "direct", durable=True)
    with pytest.raises(QueueClashError, match="exists with other settings"):
        await asyncio.wait_for(running._running or asyncio.sleep(0), 20)


async def test_it_waits_for_a_broker_that_is_not_there_yet(
    own_broker: RabbitMq, caplog: pytest.LogCaptureFixture
) -> None:
    """Started before the broker it logs that, without the password, and consumes once the broker is up."""
    caplog.set_level(logging.INFO, logger="domainkit")
    async with Board(own_broker.url) as board:
        await asyncio.sleep(SETTLED)  # with the queues of the test before
        own_broker.kill()
        titles = Titles()
        waiting = consumer(board, titles)
        entering = asyncio.create_task(waiting.__aenter__())
        await asyncio.sleep(0.5)
        assert not entering.done()
        await asyncio.to_thread(own_broker.start)
        await asyncio.wait_for(entering, 40)
        await publish(board, "milk")
        await titles.have("milk")
        await waiting.stop()
    assert "trying again" in caplog.text
    assert "guest" not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("domain"))


async def test_waiting_for_a_broker_can_be_cancelled() -> None:
    """Whoever waits for a consumer to start may bound that: it stops, and leaves nothing behind."""
    topology = RabbitMqTopology("test", service="test")
    waiting = RabbitMqConsumer(
        f"amqp://127.0.0.1:{free_port()}/",
        topology,
        CODEC,
        subscribers={"greeter": TaskCreated.handled_by(Titles().note)},
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting.__aenter__(), 0.5)
    await asyncio.sleep(0)
    assert 1 == len(asyncio.all_tasks())


async def test_it_consumes_again_after_its_queue_was_deleted(board: Board) -> None:
    """The broker cancels the consumer then: the queue is declared anew."""
    titles = Titles()
    async with consumer(board, titles):
        await board.channel.queue_delete(board.subscriber("greeter"), if_unused=False, if_empty=False)
        await publish(board, "milk")
        await titles.have("milk")


class BrokenCodec(MessageCodec):
    """A codec that breaks its promise never to raise."""

    def decode(self, raw: bytes | str) -> Result[Message, InvalidMessage]:
        """Raise."""
        raise ZeroDivisionError


async def test_a_bug_below_the_functions_ends_it(board: Board) -> None:
    """Neither a function's exception nor a lost connection: it is raised, so that no dead consumer looks alive."""
    board.subscriber("greeter")
    codec = BrokenCodec(TaskCreated)
    subscribers = {"greeter": TaskCreated.handled_by(Titles().note)}
    broken = RabbitMqConsumer(board.url, board.topology, codec, subscribers=subscribers)
    running = asyncio.create_task(broken.run())
    await publish(board, "milk")
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(running, 20)


async def test_stop_is_bounded_where_the_broker_hangs(own_broker: RabbitMq) -> None:
    """A broker that gives no answer any more is not waited for: what it was told nothing of comes again."""
    async with Board(own_broker.url) as board:
        waiting = consumer(board, Titles())
        await waiting.__aenter__()
        with own_broker.hanging():
            await asyncio.wait_for(waiting.stop(), 15)


def test_a_connection_that_was_never_made_leaves_no_coroutine() -> None:
    """The rest of an attempt that failed goes in silence, also while no loop runs."""

    async def made() -> KeepingConnection:
        return KeepingConnection(URL("amqp://nowhere/"))

    loop = asyncio.new_event_loop()
    kept = [loop.run_until_complete(made())]
    asyncio.set_event_loop(None)  # as after asyncio.run
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kept.clear()
        gc.collect()
    loop.close()
    assert [] == [str(one.message) for one in caught]
