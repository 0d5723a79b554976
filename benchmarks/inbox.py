"""Measures how fast a consumer with an inbox empties a queue, next to one by hand with the same two statements.

`python -m benchmarks.inbox` needs RabbitMQ at RABBITMQ_URL, and PostgreSQL at POSTGRES_URL. Each message is a mark and
a row in one transaction, twenty at a time. By hand it is aio-pika, `json`, and SQLAlchemy's `text` on the same engine;
each message is acknowledged after its commit.
"""

import asyncio
import json
import logging
import statistics
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import perf_counter, process_time
from uuid import UUID, uuid4

from aio_pika import connect
from aio_pika.abc import AbstractIncomingMessage
from attrs import frozen
from sqlalchemy import URL, Column, MetaData, Table, Uuid, delete, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.brokers import RABBITMQ_URL, published, removed
from benchmarks.databases import postgresql_engine
from domainkit import DomainEvent, MessageCodec
from domainkit import Uuid as Id
from domainkit.adapters.rabbitmq import (
    RabbitMqConsumer,
    RabbitMqTopology,
)
from domainkit.adapters.sqlalchemy import AsyncInbox, AsyncUnitOfWork, inbox_table, make_async_engine

MESSAGES, ROUNDS, AT_ONCE, PREFETCH = 2_000, 3, 20, 200
BAR = 0.7
"""The lowest speed of the consumer, as a part of the speed of the one by hand."""

Rounds = list[tuple[tuple[float, float], tuple[float, float]]]
"""Speed and time of the processor, ours and by hand, of each round."""

_METADATA = MetaData()
_INBOX, _ORDERS = inbox_table(_METADATA), Table("orders", _METADATA, Column("id", Uuid(), primary_key=True))
_MARK = text(
    "INSERT INTO inbox (message_id, handler, handled_at, digest) VALUES (:id, 'by hand', :now, NULL) "
    "ON CONFLICT (message_id, handler) DO NOTHING"
)
_ROW = text("INSERT INTO orders (id) VALUES (:id)")


@frozen
class Closed(DomainEvent):
    """An order is closed."""

    order_id: Id


_CODEC = MessageCodec(Closed)


class Count:
    """The messages that are left, and the time that they took."""

    def __init__(self) -> None:
        self.left, self.done = MESSAGES, asyncio.Event()
        self._start, self._spent = perf_counter(), process_time()

    def handled(self) -> None:
        """Note a message."""
        self.left -= 1
        if self.left == 0:
            self.done.set()

    async def speed(self) -> tuple[float, float]:
        """Wait for the last; return the messages a second, and the microseconds of the processor for each."""
        await self.done.wait()
        spent = (process_time() - self._spent) / MESSAGES * 1e6
        return MESSAGES / (perf_counter() - self._start), spent


async def ours(topology: RabbitMqTopology, engine: AsyncEngine) -> tuple[float, float]:
    """Handle the messages with a consumer and an inbox."""
    unit_of_work = AsyncUnitOfWork(engine)
    count = Count()

    async def store(event: Closed) -> None:
        def work() -> None:
            with unit_of_work.inner.writing() as connection:
                connection.execute(insert(_ORDERS), {"id": event.order_id.value})

        await unit_of_work.run(work)

    once = AsyncInbox(_INBOX, unit_of_work).once(store, name="ours")

    async def handle(event: Closed) -> None:
        (await once(event)).unwrap()
        count.handled()

    async with consumer(topology, "ours", handle):
        return await count.speed()


def consumer(topology: RabbitMqTopology, name: str, handle: Callable[[Closed], Awaitable[None]]) -> RabbitMqConsumer:
    """Return a consumer with one subscriber."""
    subscribers = {name: Closed.handled_by(handle)}
    return RabbitMqConsumer(
        RABBITMQ_URL, topology, _CODEC, subscribers=subscribers, prefetch=PREFETCH, concurrency=AT_ONCE
    )


async def by_hand(topology: RabbitMqTopology, engine: AsyncEngine) -> tuple[float, float]:
    """Handle the messages with aio-pika and two statements."""
    count, slots = Count(), asyncio.Semaphore(AT_ONCE)

    async def handle(message: AbstractIncomingMessage) -> None:
        async with slots:
            data = json.loads(message.body)["data"]
            async with engine.begin() as connection:
                marked = await connection.execute(_MARK, {"id": UUID(data["id"]), "now": datetime.now(UTC)})
                if marked.rowcount:
                    await connection.execute(_ROW, {"id": UUID(data["attributes"]["order_id"])})
            await message.ack()
        count.handled()

    async with await connect(RABBITMQ_URL) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.get_queue(topology.subscriber_queue("hand"))
        await queue.consume(handle)
        return await count.speed()


async def _nothing(_: Closed) -> None: ...


async def measure(engine: AsyncEngine) -> Rounds:
    """Return speed and time of both, round by round."""
    service = f"bench{uuid4().hex[:8]}"
    topology = RabbitMqTopology(f"acme.{service}", service=service)
    found: Rounds = []
    try:
        for round_ in range(ROUNDS + 1):
            for name in ("ours", "hand"):
                async with consumer(topology, name, _nothing):
                    pass
            await published(topology, _CODEC, [Closed(Id.v4()) for _ in range(MESSAGES)])
            mine = await ours(topology, engine)
            async with engine.begin() as connection:
                await connection.execute(delete(_ORDERS))
            theirs = await by_hand(topology, engine)
            async with engine.begin() as connection:
                await connection.execute(delete(_ORDERS))
            if round_:  # the first warms up
                found.append((mine, theirs))
    finally:
        await removed(topology, [topology.subscriber_queue(name) for name in ("ours", "hand")])
    return found


async def rounds_on(url: URL) -> Rounds:
    """Measure on a database with the tables."""
    engine = make_async_engine(url, pool_size=AT_ONCE)
    try:
        return await measure(engine)
    finally:
        await engine.dispose()


def main() -> None:
    """Measure, and print."""
    logging.disable(logging.CRITICAL)
    with postgresql_engine(_METADATA) as (engine, _):
        rounds = asyncio.run(rounds_on(engine.url))
    for name, place in (("consumer and inbox", 0), ("by hand", 1)):
        speed, spent = (statistics.median(both[place][part] for both in rounds) for part in (0, 1))
        print(f"{name:<20}{speed:8,.0f} messages a second, {spent:5.0f} us of the processor each")
    speed, spent = (statistics.median(one[part] / other[part] for one, other in rounds) for part in (0, 1))
    print(f"{speed:.2f} of the speed (bar {BAR}), {spent:.2f} of the time of the processor")


if __name__ == "__main__":
    main()
