"""Helpers of the relay's tests: an outbox with messages in it, and a publisher that keeps what it was given."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from returns.result import Failure, Result, Success
from sqlalchemy import MetaData, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import AsyncMessagePublisher, BusCannotPublish, MessageRefused, OutgoingMessage
from domainkit.adapters.sqlalchemy import outbox_table

METADATA = MetaData()
TABLE = outbox_table(METADATA)

Answer = Result[None, BusCannotPublish]
Condition = Callable[[], Awaitable[bool]]
SENT: Answer = Success(None)
REFUSED: Answer = Failure(MessageRefused(additional_info={"message": "a secret"}))
AWAY: Answer = Failure(BusCannotPublish())


async def _sent(_: str) -> Answer:
    return SENT


class Recorder(AsyncMessagePublisher):
    """Answers as it is told, by the name of the message, and keeps the names of what it has accepted."""

    def __init__(self, answer: Callable[[str], Awaitable[Answer]] = _sent) -> None:
        self.answer = answer
        self.accepted: list[str] = []
        self.messages: list[OutgoingMessage] = []
        self.in_flight: list[str] = []
        self.most_in_flight = 0

    async def publish(self, message: OutgoingMessage) -> Answer:
        self.messages.append(message)
        self.in_flight.append(message.key)
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        assert len(set(self.in_flight)) == len(self.in_flight), "two messages of a key at the same time"
        try:
            await asyncio.sleep(0)
            answer = await self.answer(message.info.name)
        finally:
            self.in_flight.remove(message.key)
        if answer is SENT:
            self.accepted.append(message.info.name)
        return answer

    async def close(self) -> None: ...


def always(answer: Answer) -> Callable[[str], Awaitable[Answer]]:
    """Return what answers so to every message."""

    async def answered(_: str) -> Answer:
        return answer

    return answered


def answering(**answers: Answer) -> Callable[[str], Awaitable[Answer]]:
    """Return what answers so to messages of these names, and accepts the others."""

    async def answered(name: str) -> Answer:
        return answers.get(name, SENT)

    return answered


def row(name: str, **columns: object) -> dict[str, Any]:
    """Return a row; its key is the first letter of its name."""
    return {
        "message_id": uuid4(),
        "name": name,
        "version": 1,
        "kind": "domain_event",
        "ordering_key": name[0],
        "body": f"the secret body of {name}".encode(),
        "recorded_at": datetime.now(UTC),
        **columns,
    }


async def store(engine: AsyncEngine, *names: str, **columns: object) -> list[UUID]:
    """Store messages, and return their ids."""
    rows = [row(name, **columns) for name in names]
    async with engine.begin() as connection:
        await connection.execute(insert(TABLE), rows)
    return [one["message_id"] for one in rows]


async def change(engine: AsyncEngine, name: str, **columns: object) -> None:
    """Change the row of a message."""
    async with engine.begin() as connection:
        await connection.execute(update(TABLE).where(TABLE.c.name == name).values(**columns))


async def column(engine: AsyncEngine, name: str) -> dict[str, Any]:
    """Return a column of all rows, by the name of the message."""
    async with engine.connect() as connection:
        found = await connection.execute(select(TABLE.c.name, TABLE.c[name]).order_by(TABLE.c.position))
        return {key: value for key, value in found}  # noqa: C416  (rows are no pairs to type checkers)


async def unsent(engine: AsyncEngine) -> list[str]:
    """Return the names of the messages that aren't sent, in their order."""
    return [name for name, sent_at in (await column(engine, "sent_at")).items() if sent_at is None]


async def until(condition: Condition, within: float = 60) -> None:
    """Wait until something holds, and fail where it never does."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110  (a database has no event to wait for)
            await asyncio.sleep(0.01)


def seconds(number: float) -> timedelta:
    """Return a time span."""
    return timedelta(seconds=number)


def left(engine: AsyncEngine, *names: str) -> Condition:
    """Return whether these messages, and no others, aren't sent."""

    async def check() -> bool:
        return list(names) == await unsent(engine)

    return check


def holds(check: Callable[[], bool]) -> Condition:
    """Return whether something holds, for `until`."""

    async def checked() -> bool:
        return check()

    return checked


async def rename(engine: AsyncEngine, old: str, new: str) -> None:
    """Take the table away, or put it back: as good as a database that is away."""
    async with engine.begin() as connection:
        if await connection.run_sync(lambda inner: engine.dialect.has_table(inner, old)):
            await connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")
