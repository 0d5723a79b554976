"""The buses over RabbitMQ: the contracts of the ports, and what they add."""

import asyncio
from collections.abc import Iterator, Sequence
from threading import Thread
from typing import Any

import pytest
from brokers import RABBITMQ_URL
from rabbits import CODEC, Board, CreateTask, TaskCreated, TaskRenamed
from returns.result import Failure, Result, Success

from domainkit import (
    BusCannotPublish,
    Command,
    DomainEvent,
    MessageCodec,
    MessageRefused,
    handling,
)
from domainkit.adapters.rabbitmq import RabbitMqCommandBus, RabbitMqDomainEventBus, RabbitMqPublisher
from domainkit.testing import AsyncCommandBusContract, AsyncDomainEventBusContract
from domainkit.testing.samples import SampleCreateTask, SampleTaskCreated

SAMPLES = MessageCodec(SampleTaskCreated, SampleCreateTask)


class Reading:
    """Reads what arrives in a queue, in a loop of its own, and clears up after the test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = Thread(target=self.loop.run_forever)
        self.thread.start()
        self.board = self.run(Board().__aenter__())
        self.queue = self.run(self.board.queue())
        self.publishers: list[tuple[asyncio.AbstractEventLoop, RabbitMqPublisher]] = []
        self.messages: list[Any] = []

    def run(self, awaited: Any) -> Any:
        """Wait for a coroutine in the loop."""
        return asyncio.run_coroutine_threadsafe(awaited, self.loop).result(30)

    def received(self) -> Sequence[Any]:
        """Return all that arrived so far."""
        for raw in self.run(self.board.taken(self.queue, self.run(self.board.count(self.queue)))):
            self.messages.append(SAMPLES.decode(raw.body).unwrap())
        return self.messages

    def publisher(self) -> RabbitMqPublisher:
        """Return a publisher of the running loop."""
        made = RabbitMqPublisher(RABBITMQ_URL, self.board.topology)
        self.publishers.append((asyncio.get_running_loop(), made))
        return made

    def end(self) -> None:
        """Close all of it."""
        for loop, publisher in self.publishers:
            asyncio.run_coroutine_threadsafe(publisher.close(), loop).result(30)
        self.run(self.board.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class _Contract:
    reading: Reading

    @pytest.fixture(autouse=True)
    def _reading(self, url: str) -> Iterator[None]:
        self.reading = Reading()
        yield
        self.reading.end()


class TestRabbitMqDomainEventBus(_Contract, AsyncDomainEventBusContract[RabbitMqDomainEventBus]):
    """The contract of DomainEventBus, against a broker."""

    async def make_async_bus(self) -> RabbitMqDomainEventBus:
        return RabbitMqDomainEventBus(SAMPLES, self.reading.publisher())

    def received_by(self, bus: RabbitMqDomainEventBus) -> Sequence[DomainEvent]:
        return self.reading.received()


class TestRabbitMqCommandBus(_Contract, AsyncCommandBusContract[RabbitMqCommandBus]):
    """The contract of CommandBus, against a broker."""

    async def make_async_bus(self) -> RabbitMqCommandBus:
        return RabbitMqCommandBus(SAMPLES, self.reading.publisher())

    def received_by(self, bus: RabbitMqCommandBus) -> Sequence[Command[Any, Any]]:
        return self.reading.received()


async def _published(board: Board, *events: DomainEvent, codec: MessageCodec = CODEC) -> Result[None, BusCannotPublish]:
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        return await RabbitMqDomainEventBus(codec, publisher).publish(events)


async def test_what_nobody_is_bound_for_is_a_failure(board: Board) -> None:
    """One event, several, a command: each is MessageRefused, and several are all named."""
    first, second = TaskCreated("a"), TaskCreated("b")
    error = (await _published(board, first)).failure()
    assert (MessageRefused, str(first.header.id)) == (type(error), error.uuid_value)
    error = (await _published(board, first, second)).failure()
    assert MessageRefused is type(error)
    assert str(first.header.id) in error.detail()
    assert str(second.header.id) in error.detail()
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        result = await RabbitMqCommandBus(CODEC, publisher).dispatch(CreateTask("a"))
    assert MessageRefused is type(result.failure())


async def test_a_failure_leaves_the_others_with_the_broker(board: Board) -> None:
    """The Failure is about the event that was refused alone."""
    queue = await board.queue(f"{board.topology.exchange}.*.event.task_created")
    unheard = TaskRenamed("b")
    error = (await _published(board, TaskCreated("a"), unheard, TaskCreated("c"))).failure()
    assert str(unheard.header.id) == error.uuid_value
    assert 2 == len(await board.taken(queue, 2))


async def test_no_event_is_published_where_one_can_not_be_encoded(board: Board) -> None:
    """It is MessageRefused, with class and problem, and no value."""
    queue = await board.queue()
    wrong: Any = {"secret": "hush-hush"}
    for error in (
        (await _published(board, TaskCreated("a"), TaskCreated(wrong))).failure(),
        (await _published(board, TaskCreated("a"), TaskRenamed("b"), codec=MessageCodec(TaskCreated))).failure(),
    ):
        assert MessageRefused is type(error)
        assert "can't be encoded" in error.detail()
        assert "hush" not in error.detail()
    assert 0 == await board.count(queue)


async def test_messages_have_the_one_being_handled_as_their_cause(board: Board) -> None:
    """Published while a message is handled, an event has its ids."""
    queue = await board.queue()
    cause = CreateTask("a")
    with handling(cause):
        assert Success(None) == await _published(board, TaskCreated("a"))
    (raw,) = await board.taken(queue, 1)
    assert str(cause.header.id) == CODEC.decode(raw.body).unwrap().header.meta["causation_id"]


async def test_failures_of_both_kinds_are_no_refusal(board: Board) -> None:
    """Where one was refused and another got no answer, the whole may be tried again."""

    class Halfway(RabbitMqPublisher):
        async def publish(self, message: Any) -> Result[None, BusCannotPublish]:
            if message.info == TaskRenamed.info():
                return Failure(BusCannotPublish())
            return await super().publish(message)

    async with Halfway(board.url, board.topology) as publisher:
        result = await RabbitMqDomainEventBus(CODEC, publisher).publish([TaskCreated("a"), TaskRenamed("b")])
    assert BusCannotPublish is type(result.failure())
