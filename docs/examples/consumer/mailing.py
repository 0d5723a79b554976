"""A service that stores one greeting for each new task: the consumer of `python -m domainkit consume`."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from attrs import frozen
from sqlalchemy import Column, MetaData, Table, Text, insert

from domainkit import DomainEvent, MessageCodec
from domainkit.adapters.rabbitmq import RabbitMqConsumer, RabbitMqTopology
from domainkit.adapters.sqlalchemy import AsyncInbox, AsyncUnitOfWork, inbox_table, make_async_engine


@frozen
class TaskCreated(DomainEvent):
    """There is a new task."""

    title: str


METADATA = MetaData()
GREETINGS = Table("greetings", METADATA, Column("text", Text()))
INBOX = inbox_table(METADATA)


@asynccontextmanager
async def consumer(broker: str) -> AsyncGenerator[RabbitMqConsumer]:
    """Yield the consumer, and close the engine after it."""
    exchange = os.environ["DOMAINKIT_EXCHANGE"]
    topology = RabbitMqTopology(exchange, service=f"{exchange}.mailing")
    engine = make_async_engine(os.environ["DOMAINKIT_DATABASE_URL"])
    unit_of_work = AsyncUnitOfWork(engine)
    inbox = AsyncInbox(INBOX, unit_of_work)

    async def greet(event: TaskCreated) -> None:
        async with unit_of_work.begin() as connection:
            await connection.execute(insert(GREETINGS), {"text": f"Hello, {event.title}"})

    greeter = TaskCreated.handled_by(inbox.once(greet, name="mailing.greet"))
    try:
        yield RabbitMqConsumer(broker, topology, MessageCodec(TaskCreated), subscribers={"greeter": greeter})
    finally:
        await engine.dispose()
