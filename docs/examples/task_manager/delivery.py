"""The delivery: a relay sends the messages of the outbox to the subscriber, in this process or over RabbitMQ."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from attrs import frozen
from returns.result import Result

from domainkit import (
    AsyncInmemoryDomainEventBus,
    AsyncInmemoryMessagePublisher,
    AsyncMessagePublisher,
    AsyncSubscriber,
    DomainError,
    DomainEvent,
)
from domainkit.adapters.sqlalchemy import OutboxStatus, Relay, outbox_status

from .domain import TaskCreated
from .program import Program
from .wiring import CODEC, OUTBOX

EXCHANGE = "task_manager"
PATIENCE = 20.0  # seconds


class NotDeliveredError(Exception):
    """The broker can't be used, or didn't answer in time."""


@frozen
class Delivery:
    """The messages that the subscriber got, the numbers sent in two rounds of the relay, and the outbox's state."""

    events: tuple[DomainEvent, ...]
    rounds: tuple[int, int]
    status: OutboxStatus


async def deliver(program: Program, broker: str | None = None, exchange: str = EXCHANGE) -> Delivery:
    """Deliver the messages of the outbox, over RabbitMQ if the URL of a broker is given."""
    handled = asyncio.Queue[DomainEvent]()

    async def subscriber(event: TaskCreated) -> Result[None, DomainError]:
        result = await program.remind(event)
        await handled.put(event)
        return result

    subscribed = TaskCreated.handled_by(subscriber)
    async with _in_process(subscribed) if broker is None else _over_rabbitmq(broker, exchange, subscribed) as publisher:
        relay = Relay(program.engine, OUTBOX, publisher, concurrency=1)  # so that the report keeps the file's order
        rounds = (await relay.run_once()).sent, (await relay.run_once()).sent
        events = [await handled.get() for _ in range(rounds[0])]
    return Delivery(tuple(events), rounds, await outbox_status(program.engine, OUTBOX))


@asynccontextmanager
async def _in_process(subscriber: AsyncSubscriber[TaskCreated]) -> AsyncGenerator[AsyncMessagePublisher, None]:
    yield AsyncInmemoryMessagePublisher(CODEC, events=AsyncInmemoryDomainEventBus(subscriber))


@asynccontextmanager
async def _over_rabbitmq(
    url: str, exchange: str, subscriber: AsyncSubscriber[TaskCreated]
) -> AsyncGenerator[AsyncMessagePublisher, None]:
    from domainkit.adapters.rabbitmq import (  # noqa: PLC0415  (it needs an extra that the rest does without)
        RabbitMqConsumer,
        RabbitMqPublisher,
        RabbitMqTopology,
    )

    topology = RabbitMqTopology(exchange, service=f"{exchange}.reminders")
    try:
        consumer = RabbitMqConsumer(url, topology, CODEC, subscribers={"reminder": subscriber})
        async with asyncio.timeout(PATIENCE), consumer, RabbitMqPublisher(url, topology) as publisher:
            yield publisher
    except TimeoutError as error:
        raise NotDeliveredError("the broker can't be reached, or did not deliver in time") from error
    except ValueError as error:
        raise NotDeliveredError(str(error)) from error
