"""Wrong code around the relay and its operators: a type checker refuses each line marked `# wrong`, and no other."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from board import TaskCreated, TaskId, Title
from sqlalchemy import MetaData

from domainkit import (
    AsyncInmemoryDomainEventBus,
    AsyncInmemoryMessagePublisher,
    AsyncMessagePublisher,
    InmemoryDomainEventBus,
    MessageCodec,
    OutgoingMessage,
    Uuid,
)
from domainkit.adapters.rabbitmq import Backoff
from domainkit.adapters.sqlalchemy import (
    RelayBackoff,
    Outbox,
    OutboxStatus,
    ParkedMessage,
    Relay,
    RelayRound,
    discard_parked,
    make_async_engine,
    make_engine,
    outbox_status,
    outbox_table,
    release_parked,
    replay_sent,
)

engine = make_async_engine("sqlite+aiosqlite://")
sync_engine = make_engine("sqlite://")
table = outbox_table(MetaData())
codec = MessageCodec(TaskCreated)
publisher = AsyncInmemoryMessagePublisher(codec)
event = TaskCreated(TaskId.v4(), Title("Buy milk"))
second = timedelta(seconds=1)

Relay(sync_engine, table, publisher)  # wrong: a sync engine
Relay("sqlite+aiosqlite://", table, publisher)  # wrong: a URL is no engine
Relay(engine, "outbox", publisher)  # wrong: a name is no table
Relay(engine, Outbox(table, codec), publisher)  # wrong: an outbox is no table
Relay(engine, table)  # wrong: the publisher is missing
Relay(engine, table, AsyncInmemoryDomainEventBus())  # wrong: a bus is no publisher
Relay(engine, table, InmemoryDomainEventBus())  # wrong: a bus is no publisher
Relay(engine, table, publisher.publish)  # wrong: a function is no publisher
Relay(engine, table, publisher, 100)  # wrong: options are keyword-only
Relay(engine, table, publisher, batch=second)  # wrong: an int
Relay(engine, table, publisher, concurrency="10")  # wrong: an int
Relay(engine, table, publisher, lease=60)  # wrong: a timedelta
Relay(engine, table, publisher, poll=0.5)  # wrong: a timedelta
Relay(engine, table, publisher, lease=None)  # wrong: a claim ends some time
Relay(engine, table, publisher, retention=7)  # wrong: a timedelta
Relay(engine, table, publisher, wakes=second)  # wrong: a bool
Relay(engine, table, publisher, backoff=second)  # wrong: a RelayBackoff
Relay(engine, table, publisher, backoff=Backoff())  # wrong: that of the consumer
Relay(engine, table, publisher, max_attempts=None)  # wrong: an int
Relay(engine, table, publisher, attempts=3)  # wrong: unknown option
RelayBackoff(1)  # wrong: a timedelta
RelayBackoff(second, 2.0)  # wrong: options are keyword-only
RelayBackoff(longest=60)  # wrong: a timedelta
RelayBackoff(factor=second)  # wrong: a number
RelayBackoff().first = second  # wrong: frozen
RelayBackoff().delay(second)  # wrong: how many failures
RelayRound(sent="1")  # wrong: an int
RelayRound().sent = 1  # wrong: frozen
RelayRound().lost  # wrong: unknown count
RelayRound() + 1  # wrong: a round
OutboxStatus().parked = 0  # wrong: frozen
OutboxStatus().unsent = 0  # wrong: a property
OutboxStatus().pending  # wrong: unknown count
OutboxStatus().parked_by_reason["BusCannotPublish"] = 0  # wrong: read-only
OutboxStatus()["parked"]  # wrong: it is no mapping
OutboxStatus().oldest_parked.reason  # wrong: there may be none
OutboxStatus().lag.total_seconds()  # wrong: it is seconds already


class Postbox(AsyncMessagePublisher):
    def publish(self, message: OutgoingMessage) -> None: ...  # wrong: no coroutine function


async def run(relay: Relay) -> None:
    relay.run_once()  # wrong: it is not awaited
    relay.run_once().sent  # wrong: it is not awaited
    done: int = await relay.run_once()  # wrong: it is a round
    (await relay.run_once()).unwrap()  # wrong: a round is no Result
    relay.run(asyncio.Event())  # wrong: it is not awaited
    await relay.run()  # wrong: what stops it is missing
    await relay.run(True)  # wrong: a bool is no event
    await relay.run(asyncio.Event(), True)  # wrong: options are keyword-only
    relay.total()  # wrong: no method
    asyncio.create_task(relay.run)  # wrong: it is not called
    async with relay:  # wrong: run is what it does
        pass
    await relay.close()  # wrong: there is nothing to close
    relay.batch = 5  # wrong: unknown field


async def operate(parked: ParkedMessage) -> None:
    outbox_status(engine, table)  # wrong: it is not awaited
    outbox_status(engine, table).lag  # wrong: it is not awaited
    await outbox_status(sync_engine, table)  # wrong: a sync engine
    await outbox_status(table, engine)  # wrong: the engine comes first
    await outbox_status(engine, table, 100)  # wrong: options are keyword-only
    await outbox_status(engine, table, up_to="all")  # wrong: None counts all
    parked.attempts = 0  # wrong: frozen
    parked.error  # wrong: unknown field
    release_parked(engine, table)  # wrong: it is not awaited
    await release_parked(engine, table, parked.message_id)  # wrong: options are keyword-only
    await release_parked(engine, table, message_id=str(parked.message_id))  # wrong: a text is no id
    await release_parked(engine, table, message_id=uuid4())  # wrong: a UUID is no Uuid
    await release_parked(engine, table, message_id=parked)  # wrong: its message_id
    for _ in await release_parked(engine, table):  # wrong: how many, not which
        pass
    await release_parked(engine, table, key=event.task_id)  # wrong: an id is no text
    await release_parked(engine, "outbox")  # wrong: a name is no table
    await discard_parked(engine, table)  # wrong: the id is missing
    await discard_parked(engine, table, key=parked.key)  # wrong: one message at a time
    await discard_parked(engine, table, message_id=parked.name)  # wrong: a text is no id
    await replay_sent(engine, table, since="2026-01-01")  # wrong: a text is no time
    await replay_sent(engine, table, since=timedelta(days=1))  # wrong: when, not how long ago
    await replay_sent(engine, table, key="7d2b")  # wrong: unknown option
    (await replay_sent(engine, table, message_id=Uuid.v4())).unwrap()  # wrong: an int is no Result
