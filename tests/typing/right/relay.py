"""The relay, and what its operators call."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import assert_type

from sqlalchemy import MetaData

from domainkit import AsyncInmemoryMessagePublisher, MessageCodec, Uuid
from domainkit.adapters.sqlalchemy import (
    OutboxStatus,
    ParkedMessage,
    Relay,
    RelayBackoff,
    RelayRound,
    discard_parked,
    make_async_engine,
    outbox_status,
    outbox_table,
    release_parked,
    replay_sent,
)

from board import TaskCreated

engine = make_async_engine("sqlite+aiosqlite://")
table = outbox_table(MetaData())
publisher = AsyncInmemoryMessagePublisher(MessageCodec(TaskCreated))
relay = Relay(
    engine,
    table,
    publisher,
    batch=100,
    lease=timedelta(seconds=30),
    backoff=RelayBackoff(timedelta(seconds=1), factor=3, longest=timedelta(minutes=1)),
    retention=None,
    wakes=False,
)


async def operate(message_id: Uuid) -> None:
    done = await relay.run_once()
    assert_type(done, RelayRound)
    assert_type(done + done, RelayRound)
    assert_type(done.sent, int)
    assert_type(relay.total, RelayRound)
    await relay.run(asyncio.Event(), until_idle=True)
    status = await outbox_status(engine, table)
    assert_type(await outbox_status(engine, table, up_to=None), OutboxStatus)
    assert_type(status.at_least, tuple[str, ...])
    assert_type(status, OutboxStatus)
    assert_type(status.lag, float)
    assert_type(status.oldest_parked, ParkedMessage | None)
    assert_type(await release_parked(engine, table, key="7d2b"), int)
    assert_type(await discard_parked(engine, table, message_id=message_id), int)
    assert_type(await replay_sent(engine, table, since=datetime.now(UTC)), int)
