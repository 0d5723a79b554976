"""The RabbitMQ of the benchmarks: its address, the messages that a consumer gets, and what is removed in the end."""

import os
from collections.abc import Sequence

from aio_pika import connect

from domainkit import DomainEvent, MessageCodec
from domainkit.adapters.rabbitmq import RabbitMqDomainEventBus, RabbitMqPublisher, RabbitMqTopology

RABBITMQ_URL = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")
_BATCH = 500


async def published(topology: RabbitMqTopology, codec: MessageCodec, events: Sequence[DomainEvent]) -> None:
    """Publish events, and wait until the broker has all of them."""
    async with RabbitMqPublisher(RABBITMQ_URL, topology) as publisher:
        bus = RabbitMqDomainEventBus(codec, publisher)
        for start in range(0, len(events), _BATCH):
            (await bus.publish(events[start : start + _BATCH])).unwrap()


async def removed(topology: RabbitMqTopology, queues: Sequence[str]) -> None:
    """Delete the exchanges and queues that consumers declared."""
    async with await connect(RABBITMQ_URL) as connection:
        channel = await connection.channel()
        for queue in queues:
            for suffix in ("", ".dead_letters", ".quarantine"):
                await channel.queue_delete(f"{queue}{suffix}", if_unused=False, if_empty=False)
        for exchange in (topology.exchange, topology.dead_letter_exchange):
            await channel.exchange_delete(exchange)
