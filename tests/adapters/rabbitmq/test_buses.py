"""The buses over RabbitMQ: the contracts of the ports, and what they add."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from rabbits import CODEC, Board, CreateTask, TaskCreated, TaskRenamed, publish, until
from returns.result import Failure, Result, Success

from domainkit import (
    BusCannotPublish,
    Command,
    DomainEvent,
    MessageCodec,
    MessageRefused,
    handling,
)
from domainkit.adapters.rabbitmq import RabbitMqCommandBus, RabbitMqConsumer, RabbitMqDomainEventBus, RabbitMqPublisher
from domainkit.handlers import AnySubscriber
from domainkit.testing import AsyncCommandBusContract, AsyncDomainEventBusContract
from domainkit.testing.samples import SampleCreateTask, SampleTaskCreated

SAMPLES = MessageCodec(SampleTaskCreated, SampleCreateTask)


class OwningEventBus(RabbitMqDomainEventBus):
    """Closes its publisher with itself: the contract closes no more than the bus."""

    async def close(self) -> None:
        """Close both."""
        await super().close()
        await self._publisher.close()


class OwningCommandBus(RabbitMqCommandBus):
    """As above."""

    async def close(self) -> None:
        """Close both."""
        await super().close()
        await self._publisher.close()


class _Contract:
    """Reads what arrives in a queue, in a loop of its own: the contract's tests are no coroutines."""

    messages: list[Any]

    @pytest.fixture(autouse=True)
    def _reading(self, url: str) -> Iterator[None]:
        self.messages = []
        with asyncio.Runner() as runner:
            self.run = runner.run
            self.board = self.run(Board(url).__aenter__())
            self.queue = self.run(self.board.queue())
            yield
            self.run(self.board.__aexit__(None, None, None))

    async def _read(self) -> None:
        count = await self.board.count(self.queue)
        self.messages += [SAMPLES.decode(raw.body).unwrap() for raw in await self.board.taken(self.queue, count)]

    def _received(self) -> Sequence[Any]:
        self.run(self._read())
        return self.messages


class TestRabbitMqDomainEventBus(_Contract, AsyncDomainEventBusContract[OwningEventBus]):
    """The contract of DomainEventBus, against a broker."""

    async def make_async_bus(self) -> OwningEventBus:
        return OwningEventBus(SAMPLES, RabbitMqPublisher(self.board.url, self.board.topology))

    def received_by(self, bus: OwningEventBus) -> Sequence[DomainEvent]:
        return self._received()


class TestRabbitMqCommandBus(_Contract, AsyncCommandBusContract[OwningCommandBus]):
    """The contract of CommandBus, against a broker."""

    async def make_async_bus(self) -> OwningCommandBus:
        return OwningCommandBus(SAMPLES, RabbitMqPublisher(self.board.url, self.board.topology))

    def received_by(self, bus: OwningCommandBus) -> Sequence[Command[Any, Any]]:
        return self._received()


async def _published(board: Board, *events: DomainEvent, codec: MessageCodec = CODEC) -> Result[None, BusCannotPublish]:
    async with RabbitMqPublisher(board.url, board.topology, unrouted="none") as publisher:
        return await RabbitMqDomainEventBus(codec, publisher).publish(events)


async def test_what_nobody_is_bound_for_is_a_failure(board: Board) -> None:
    """One event, several, a command: each is MessageRefused where none may be lost, and several are all named."""
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


async def test_chosen_meta_flows_through_the_broker(board: Board) -> None:
    """From a command that a consumer handles to the event that its function publishes, and to what hears that."""
    seen: list[TaskRenamed] = []
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        bus = RabbitMqDomainEventBus(CODEC, publisher).flowing("tenant")

        async def create(event: TaskCreated) -> Result[None, BusCannotPublish]:
            return await bus.publish(TaskRenamed(event.title))

        async def listen(event: TaskRenamed) -> None:
            seen.append(event)

        async def heard() -> bool:
            return bool(seen)

        both: dict[str, AnySubscriber] = {
            "creator": TaskCreated.handled_by(create),
            "listener": TaskRenamed.handled_by(listen),
        }
        for name in both:
            board.subscriber(name)
        async with RabbitMqConsumer(board.url, board.topology, CODEC, subscribers=both):
            await publish(board, TaskCreated("milk").add_meta({"tenant": "home", "trace": "7"}))
            await until(heard)
    assert {"tenant", "correlation_id", "causation_id"} == set(seen[0].header.meta)
    assert "home" == seen[0].header.meta["tenant"]


async def test_failures_of_both_kinds_are_no_refusal(board: Board) -> None:
    """If one was refused and another got no answer, all of them may be tried again."""

    class Halfway(RabbitMqPublisher):
        async def publish(self, message: Any) -> Result[None, BusCannotPublish]:
            if message.info == TaskRenamed.info():
                return Failure(BusCannotPublish())
            return await super().publish(message)

    async with Halfway(board.url, board.topology) as publisher:
        result = await RabbitMqDomainEventBus(CODEC, publisher).publish([TaskCreated("a"), TaskRenamed("b")])
    assert BusCannotPublish is type(result.failure())


async def test_a_closed_bus_leaves_its_publisher_open(board: Board) -> None:
    """A bus refuses after close by itself, with all that `with_meta` made of it; others may use the publisher."""
    queue = await board.queue()
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        bus, other = (RabbitMqDomainEventBus(CODEC, publisher) for _ in range(2))
        made = bus.with_meta({"tenant": "home"})
        await bus.close()
        for one in (bus, made):
            assert "the bus is closed" in (await one.publish(TaskCreated("a"))).failure().detail()
        assert Success(None) == await other.publish(TaskCreated("b"))
    assert 1 == len(await board.taken(queue, 1))
