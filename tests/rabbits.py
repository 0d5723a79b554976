"""What the tests with RabbitMQ share: messages, and a board of names of their own on the broker."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self
from uuid import uuid4

from aio_pika import Message, connect
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from attrs import frozen
from brokers import RABBITMQ_URL
from pamqp.common import FieldValue

from domainkit import Command, DomainError, DomainEvent, MessageCodec, OutgoingMessage
from domainkit.adapters.rabbitmq import RabbitMqTopology, dead_letter_queue


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
            await asyncio.sleep(0.02)


class Board:
    """Names of a test's own on a broker, which are gone after it, and a channel to look at what is there."""

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
