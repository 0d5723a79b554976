"""Helpers of the tests with RabbitMQ: messages, and a board of names of their own on the broker."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from aio_pika import Message, connect
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from attrs import frozen
from brokers import RABBITMQ_URL
from pamqp.common import FieldValue
from returns.result import Failure, Result, Success

from domainkit import Command, DomainError, DomainEvent, MessageCodec, OutgoingMessage
from domainkit.adapters.rabbitmq import (
    Backoff,
    RabbitMqConsumer,
    RabbitMqPublisher,
    RabbitMqTopology,
    dead_letter_queue,
)


@frozen
class TaskCreated(DomainEvent):
    title: str


@frozen
class TaskRenamed(DomainEvent):
    title: str


@frozen
class CreateTask(Command[None, DomainError]):
    title: str


CODEC = MessageCodec(TaskCreated, TaskRenamed, CreateTask)


def outgoing(title: str) -> OutgoingMessage:
    """Return an event, ready to leave."""
    return OutgoingMessage.of(TaskCreated(title), CODEC)


async def until(condition: Callable[[], Awaitable[object]], within: float = 60) -> None:
    """Wait until something holds, and fail where it never does."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110  (the broker has no event to wait for)
            await asyncio.sleep(0.005)


class Board:
    """Names of a test's own on a broker, deleted after it, and a channel to look at the broker."""

    def __init__(self, url: str = RABBITMQ_URL, *, delivery_limit: int = 2, single_active: bool = False) -> None:
        name = f"test-{uuid4().hex[:12]}"
        self.url = url
        self.topology = RabbitMqTopology(
            name, service=f"{name}.svc", delivery_limit=delivery_limit, single_active=single_active
        )
        self.queues: set[str] = set()
        self.waits: set[int] = set()
        self.connection: AbstractConnection
        self.channel: AbstractChannel

    async def __aenter__(self) -> Self:
        self.connection = await connect(self.url)
        self.channel = await self.connection.channel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.connection.is_closed or self.channel.is_closed:
            self.connection = await connect(self.url)
            self.channel = await self.connection.channel()
        for queue in self.queues:
            waiting = [f"{queue}.wait.{milliseconds}" for milliseconds in self.waits]
            for name in (queue, dead_letter_queue(queue), f"{queue}.quarantine", *waiting):
                await self.channel.queue_delete(name, if_unused=False, if_empty=False)
        for exchange in (self.topology.exchange, self.topology.dead_letter_exchange):
            await self.channel.exchange_delete(exchange)
        await self.connection.close()

    async def queue(self, key: str = "#", **arguments: FieldValue) -> str:
        """Declare a queue that is bound to the exchange, and return its name."""
        name = f"{self.topology.service}.{uuid4().hex[:6]}"
        self.queues.add(name)
        await self.channel.declare_exchange(self.topology.exchange, "topic", durable=True)
        given = {
            "x-queue-type": "quorum",
            **{f"x-{name.replace('_', '-')}": value for name, value in arguments.items()},
        }
        queue = await self.channel.declare_queue(name, durable=True, arguments=given)
        await queue.bind(self.topology.exchange, key)
        return name

    def subscriber(self, name: str) -> str:
        """Return the queue of a subscriber, to be deleted after the test."""
        queue = self.topology.subscriber_queue(name)
        self.queues.add(queue)
        return queue

    async def send(self, body: bytes, key: str = "1.event.task_created") -> None:
        """Publish bytes, as a stranger does."""
        exchange = await self.channel.get_exchange(self.topology.exchange)
        await exchange.publish(Message(body), f"{self.topology.exchange}.{key}")

    async def take(self, queue: str) -> AbstractIncomingMessage | None:
        """Take the next message off a queue."""
        return await (await self.channel.get_queue(queue, ensure=False)).get(no_ack=True, fail=False)

    async def taken(self, queue: str, count: int, within: float = 60) -> list[AbstractIncomingMessage]:
        """Wait for so many messages of a queue, take all off that come by then, and return them."""
        found: list[AbstractIncomingMessage] = []

        async def take(message: AbstractIncomingMessage) -> None:
            found.append(message)

        async def enough() -> bool:
            return len(found) >= count

        consumed = await self.channel.get_queue(queue, ensure=False)
        tag = await consumed.consume(take, no_ack=True)
        await until(enough, within)
        await consumed.cancel(tag)
        return found

    async def count(self, queue: str) -> int:
        """Return how many messages wait in a queue."""
        declared = await self.channel.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0


AT_ONCE = Backoff(timedelta(0))


class Heard:
    """A function that keeps what it was called with, and answers as it is told."""

    def __init__(self, *answers: Callable[[], Result[None, DomainError] | None]) -> None:
        self.titles: list[str] = []
        self.answers = list(answers)

    async def __call__(self, event: TaskCreated) -> Result[None, DomainError] | None:
        self.titles.append(event.title)
        return self.answers.pop(0)() if self.answers else None

    async def heard(self, count: int, within: float = 20) -> list[str]:
        """Wait for so many calls, and return their titles."""

        async def enough() -> bool:
            return len(self.titles) >= count

        await until(enough, within)
        return self.titles


def fail() -> Result[None, DomainError]:
    """Answer with a Failure."""
    return Failure(DomainError())


def crash() -> None:
    """Raise, with a text that nobody may see."""
    raise KeyError("hush-hush")


def consumer(board: Board, function: Any, name: str = "greeter", **options: Any) -> RabbitMqConsumer:
    """Return a consumer with one subscriber."""
    board.subscriber(name)
    options = {"backoff": AT_ONCE, **options}
    return RabbitMqConsumer(
        board.url, board.topology, CODEC, subscribers={name: TaskCreated.handled_by(function)}, **options
    )


async def publish(board: Board, *messages: DomainEvent | Command[Any, Any] | str) -> None:
    """Publish events, by their titles where no more matters, each confirmed before the next."""
    async with RabbitMqPublisher(board.url, board.topology, unrouted="none") as publisher:
        for message in messages:
            event = TaskCreated(message) if isinstance(message, str) else message
            assert Success(None) == await publisher.publish(OutgoingMessage.of(event, CODEC))


async def consuming(one: RabbitMqConsumer) -> None:
    """Wait until a consumer that somebody else started has its queues."""

    async def consumes() -> bool:
        return one.is_consuming

    await until(consumes)


async def dead(board: Board, name: str = "greeter", count: int = 1) -> list[AbstractIncomingMessage]:
    """Wait for dead letters of a subscriber, and take them off."""
    return await board.taken(dead_letter_queue(board.subscriber(name)), count)


async def left(board: Board, name: str = "greeter") -> tuple[int, int]:
    """Return how many messages wait in a subscriber's queue, and how many are dead, once the broker settled it."""
    await asyncio.sleep(0.3)
    queue = board.subscriber(name)
    return await board.count(queue), await board.count(dead_letter_queue(queue))
