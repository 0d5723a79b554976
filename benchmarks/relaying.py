"""Measures how fast a relay empties an outbox into RabbitMQ, next to aio-pika alone with the same bytes, and confirms.

`python -m benchmarks.relaying` measures on a SQLite file, and on PostgreSQL where POSTGRES_URL or the usual place has
it; RabbitMQ is the one at RABBITMQ_URL. All keep 100 messages on their way, persistent, into one durable queue. With
`--claims` it measures instead what one claim takes where 100,000 messages wait.
"""

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time
from typing import Any
from uuid import uuid4

from aio_pika import DeliveryMode, Message, connect
from aio_pika.abc import AbstractExchange
from sqlalchemy import MetaData, Table, delete, insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.brokers import RABBITMQ_URL
from benchmarks.databases import postgresql_engine, sqlite_engine
from domainkit import MessageCodec
from domainkit.adapters.rabbitmq import RabbitMqPublisher, RabbitMqTopology
from domainkit.adapters.sqlalchemy import Relay, make_async_engine, outbox_table
from domainkit.testing import SampleTask, SampleTaskCreated

BAR = 1.0
"""The lowest speed of a relay to reach, as a part of the speed of aio-pika alone."""

EFFORT = 0.6
"""The highest time of the processor to take for a message, as a part of that of aio-pika alone."""

MESSAGES, KEYS, ON_THEIR_WAY, ROUNDS = 5_000, 1_000, 100, 5

_CODEC = MessageCodec(SampleTaskCreated)
Crowd = Callable[[int], dict[str, Any]]  # Any: values of columns of all types


def rows(count: int = MESSAGES, keys: int = KEYS) -> list[dict[str, Any]]:  # Any: as above
    """Return messages as the outbox stores them."""
    events, _ = SampleTask.create("Buy milk").pull_domain_events()
    body = _CODEC.encode(events[0])
    return [row(str(number % keys), body) for number in range(count)]


def row(key: str, body: bytes = b"x" * 300, **columns: object) -> dict[str, Any]:  # Any: as above
    """Return a message as the outbox stores it."""
    return {
        "message_id": uuid4(),
        "name": "task.created",
        "version": 1,
        "kind": "domain_event",
        "ordering_key": key,
        "body": body,
        "recorded_at": datetime.now(UTC),
        "sent_at": None,
        "parked_at": None,
        **columns,
    }


async def bare(exchange: AbstractExchange, messages: list[dict[str, Any]]) -> None:
    """Publish with aio-pika alone."""
    waiting = iter(messages)

    async def publish() -> None:
        for one in waiting:
            message = Message(
                one["body"],
                content_type="application/json",
                delivery_mode=DeliveryMode.PERSISTENT,
                message_id=str(one["message_id"]),
                type=one["name"],
            )
            await exchange.publish(message, "bench", mandatory=True)

    await asyncio.gather(*(publish() for _ in range(ON_THEIR_WAY)))


async def relayed(engine: AsyncEngine, table: Table, publisher: RabbitMqPublisher) -> None:
    """Empty the outbox."""
    relay = Relay(engine, table, publisher, concurrency=ON_THEIR_WAY, retention=None)
    await relay.run(asyncio.Event(), until_idle=True)
    assert relay.total.sent == MESSAGES, relay.total


async def stored(engine: AsyncEngine, table: Table, messages: list[dict[str, Any]]) -> None:
    """Store messages in the empty outbox."""
    async with engine.begin() as connection:
        await connection.execute(delete(table))
        await connection.execute(insert(table), messages)


async def timed(work: Awaitable[None]) -> tuple[float, float]:
    """Return how many messages went out in a second, and how many microseconds of the processor each took."""
    start, spent = perf_counter(), process_time()
    await work
    return MESSAGES / (perf_counter() - start), (process_time() - spent) / MESSAGES * 1e6


@asynccontextmanager
async def broker() -> AsyncIterator[tuple[AbstractExchange, RabbitMqPublisher]]:
    """Yield an exchange with a queue, and a publisher to it; both are gone in the end."""
    topology = RabbitMqTopology(f"bench-{uuid4().hex[:8]}", service="bench")
    connection = await connect(RABBITMQ_URL)
    async with connection, RabbitMqPublisher(RABBITMQ_URL, topology) as publisher:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.declare_exchange(topology.exchange, "topic", durable=True)
        queue = await channel.declare_queue(topology.exchange, durable=True)
        await queue.bind(exchange, "#")
        try:
            yield exchange, publisher
        finally:
            await channel.queue_delete(queue.name, if_unused=False, if_empty=False)
            await channel.exchange_delete(exchange.name)


async def report(database: str, engine: AsyncEngine, table: Table) -> float:
    """Measure round by round, print, and return the speed of a relay as a part of that of aio-pika."""
    alone: list[tuple[float, float]] = []
    relay: list[tuple[float, float]] = []
    async with broker() as (exchange, publisher):
        for round_ in range(ROUNDS + 1):
            messages = rows()
            await stored(engine, table, messages)
            found = await timed(bare(exchange, messages)), await timed(relayed(engine, table, publisher))
            if round_:  # the first warms up
                alone.append(found[0])
                relay.append(found[1])
    speed, effort = (statistics.median(b[part] / a[part] for a, b in zip(alone, relay, strict=True)) for part in (0, 1))
    for name, runs in (("aio-pika", alone), ("relay", relay)):
        told = f": {speed:.0%} and {effort:.0%} (bars {BAR:.0%} and {EFFORT:.0%})" if name == "relay" else ""
        a_second, each = (statistics.median(run[part] for run in runs) for part in (0, 1))
        print(f"{database:<12}{name:<10}{a_second:8,.0f} messages a second, {each:4.0f} us of the processor each{told}")
    return speed


CROWDS: dict[str, Crowd] = {
    "1,000 keys": lambda number: row(str(number % 1000)),
    "100,000 keys": lambda number: row(str(number)),
    "one key": lambda _: row("a"),
    "10,000 parked keys, 9 rows behind each": lambda number: row(
        str(number % 10_000), parked_at=datetime.now(UTC) if number < 10_000 else None
    ),
}


async def claims(database: str, engine: AsyncEngine, table: Table) -> None:
    """Print what a claim takes, by what waits."""
    from domainkit.adapters.sqlalchemy.relay.store import RelayStore  # noqa: PLC0415  (an older build has none)

    for name, crowd in CROWDS.items():
        await stored(engine, table, [crowd(number) for number in range(100_000)])
        store = RelayStore(engine, table, batch=500, lease=timedelta(minutes=10))
        found, times = [], []
        for _ in range(9):
            start = perf_counter()
            claim = await store.claim(500, thorough=False)
            times.append((perf_counter() - start) * 1000)
            found.append(sum(map(len, claim.chains)))
        print(f"{database:<12}{name:<40}{statistics.median(times):6.1f} ms; claimed {found}")


@asynccontextmanager
async def on_sqlite() -> AsyncIterator[tuple[AsyncEngine, Table]]:
    """Yield an engine for a new file, and an outbox in it."""
    metadata = MetaData()
    table = outbox_table(metadata)
    with sqlite_engine(metadata) as (_, path):
        engine = make_async_engine(f"sqlite+aiosqlite:///{path}")
        yield engine, table
        await engine.dispose()


@asynccontextmanager
async def on_postgresql() -> AsyncIterator[tuple[AsyncEngine, Table]]:
    """Yield an engine, and an outbox in a schema of its own, which is dropped in the end."""
    metadata = MetaData()
    table = outbox_table(metadata)
    with postgresql_engine(metadata) as (made, _):
        engine = make_async_engine(made.url)
        yield engine, table
        await engine.dispose()


async def main() -> None:
    """Measure on each database that can be reached."""
    measure = claims if "--claims" in sys.argv else report
    async with on_sqlite() as place:
        await measure("SQLite", *place)
    try:
        async with on_postgresql() as place:
            await measure("PostgreSQL", *place)
    except OperationalError as error:
        print(f"PostgreSQL: not measured, {type(error.orig).__name__}")


if __name__ == "__main__":
    asyncio.run(main())
