"""Connections to a broker, and their errors, without a password in any text."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from aio_pika import connect
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from yarl import URL

from domainkit.adapters.rabbitmq._properties import KeepingConnection

LOST: tuple[type[BaseException], ...] = (*CONNECTION_EXCEPTIONS, asyncio.InvalidStateError)
"""The errors of aio-pika if the broker, its connection or its channel is lost; they include TimeoutError."""


def checked_url(url: str, owner: str) -> URL:
    """Parse the URL of a broker; ValueError if it isn't one, without the URL, which may contain a password."""
    with suppress(ValueError):
        parsed = URL(url)
        if parsed.scheme in {"amqp", "amqps"} and parsed.host:
            return parsed
    raise ValueError(
        f"{owner}: expected a URL like amqp://user:password@host:5672/vhost (or amqps://), got another text; correct it"
    )


def place(url: URL) -> str:
    """Return host and port of a broker, without user and password."""
    return f"{url.host}:{url.port or (5671 if url.scheme == 'amqps' else 5672)}"


def seconds(value: timedelta, owner: str, option: str) -> float:
    """Return a time in seconds; ValueError unless it is above 0."""
    if value <= timedelta(0):
        raise ValueError(f"{owner}: expected a timedelta above 0 as `{option}`, got {value!r}; give a longer one")
    return value.total_seconds()


async def closed(connection: AbstractConnection, within: float) -> None:
    """Close a connection in any state; after `within` seconds, without waiting for the broker."""
    with suppress(*LOST):
        async with asyncio.timeout(within):
            await connection.close()


@asynccontextmanager
async def connected(url: URL, name: str, within: float) -> AsyncIterator[AbstractConnection]:
    """Open a connection that the broker lists as `name`; opening and closing take at most `within` seconds each.

    Its messages have properties for KeptProperties to read.
    """
    async with asyncio.timeout(within):
        connection = await connect(url, client_properties={"connection_name": name}, connection_class=KeepingConnection)
    try:
        yield connection
    finally:
        await closed(connection, within)


async def pause(stopping: asyncio.Event, length: float) -> bool:
    """Wait `length` seconds, or until `stopping` is set; return True if it is set."""
    waiting = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({waiting}, timeout=length)
    finally:
        waiting.cancel()
    return stopping.is_set()


def is_cancelled() -> bool:
    """Check if the running task itself is being cancelled, and not just a future of aio-pika that it waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
