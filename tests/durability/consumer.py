"""A process that receives the events, and writes an effect for each, once."""

import asyncio
import signal
import sys

from durability import bank
from durability.bank import Deposited
from returns.result import Result, Success
from sqlalchemy import insert

from domainkit import DomainError
from domainkit.adapters.rabbitmq import RabbitMqConsumer
from domainkit.adapters.sqlalchemy import AsyncInbox, AsyncUnitOfWork, make_async_engine


async def main(database: str, url: str, exchange: str) -> None:
    """Consume until killed, or asked to stop."""
    unit_of_work = AsyncUnitOfWork(make_async_engine(database))

    def write(event: Deposited) -> None:
        row = {"event_id": event.header.id.value, "account": str(event.account_id), "sequence": event.sequence}
        with unit_of_work.inner.writing() as connection:
            connection.execute(insert(bank.EFFECTS), row)

    async def effect(event: Deposited) -> Result[None, DomainError]:
        await unit_of_work.run(lambda: write(event))
        return Success(None)

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    subscriber = Deposited.handled_by(AsyncInbox(bank.INBOX_TABLE, unit_of_work).once(effect, name="effect"))
    consumer = RabbitMqConsumer(url, bank.topology(exchange), bank.CODEC, subscribers={"effects": subscriber})
    await consumer.run(stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
