"""A relay that publishes to RabbitMQ what the broker never takes."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from brokers import MAX_MESSAGE_SIZE, RabbitMq
from rabbits import CODEC, Board, TaskCreated

from domainkit.adapters.rabbitmq import RabbitMqPublisher
from domainkit.adapters.sqlalchemy import (
    AsyncUnitOfWork,
    Outbox,
    Relay,
    RelayBackoff,
    make_async_engine,
    outbox_status,
    outbox_table,
)

pytest.importorskip("aiosqlite", reason="needs an engine")


async def test_a_message_above_the_limit_is_parked_and_the_others_are_sent(
    own_broker: RabbitMq, tmp_path: Path
) -> None:
    """The broker closes the channel because of it; no other message is parked or lost, and the round isn't cut."""
    metadata = sa.MetaData()
    outbox = outbox_table(metadata)
    engine = make_async_engine(f"sqlite+aiosqlite:///{tmp_path}/outbox.db")
    large = TaskCreated("x" * MAX_MESSAGE_SIZE)
    events = [*(TaskCreated(str(number)) for number in range(20)), large, *map(TaskCreated, "abc")]
    async with AsyncUnitOfWork(engine).begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(lambda one: Outbox(outbox, CODEC).add(one, events))
    async with Board(own_broker.url) as board, RabbitMqPublisher(board.url, board.topology) as publisher:
        queue = await board.queue()
        relay = Relay(engine, outbox, publisher, max_attempts=2, backoff=RelayBackoff(timedelta(microseconds=1)))
        first, second = await relay.run_once(), await relay.run_once()
        found = {one.body for one in await board.taken(queue, len(events) - 1)}
    status = await outbox_status(engine, outbox)
    await engine.dispose()
    assert (23, 1, 0, False) == (first.sent, first.failed, first.left, first.away)
    assert (1, 1) == (second.claimed, second.parked)
    assert {CODEC.encode(event) for event in events if event is not large} == found
    assert status.oldest_parked is not None
    assert ("MessageRefused", 2) == (status.oldest_parked.reason, status.oldest_parked.attempts)
