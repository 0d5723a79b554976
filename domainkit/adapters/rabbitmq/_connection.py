"""Connections to a broker, and what may go wrong with one, told without a password."""

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
"""The errors of aio-pika if the broker, its connection or its channel is gone; TimeoutError is among them."""


def checked_url(url: str, owner: str) -> URL:
    """Return the URL of a broker; for anything else a ValueError without it, since it has a password."""
    with suppress(ValueError):
        parsed = URL(url)
        if parsed.scheme in {"amqp", "amqps"} and parsed.host:
            return parsed
    raise ValueError(f"{owner}: expected a URL like amqp://user:password@host:5672/vhost (or amqps://)")


def place(url: URL) -> str:
    """Return where a broker is, without user and password."""
    return f"{url.host}:{url.port or (5671 if url.scheme == 'amqps' else 5672)}"


def seconds(value: timedelta, owner: str, option: str) -> float:
    """Return a time to wait in seconds; ValueError unless it is above 0."""
    if value <= timedelta(0):
        raise ValueError(f"{owner}: {option} must be longer than nothing; give a timedelta above 0")
    return value.total_seconds()


async def closed(connection: AbstractConnection, within: float) -> None:
    """Close a connection, whatever its state; after `within` seconds without the broker's consent."""
    with suppress(*LOST):
        async with asyncio.timeout(within):
            await connection.close()


@asynccontextmanager
async def connected(url: URL, name: str, within: float) -> AsyncIterator[AbstractConnection]:
    """Give a connection that the broker shows under `name`; opening and closing take no longer than `within`.

    The properties of its messages are those that KeptProperties reads.
    """
    async with asyncio.timeout(within):
        connection = await connect(url, client_properties={"connection_name": name}, connection_class=KeepingConnection)
    try:
        yield connection
    finally:
        await closed(connection, within)


async def pause(stopping: asyncio.Event, length: float) -> bool:
    """Wait so many seconds, or until it is time to stop, and return if it is."""
    waiting = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({waiting}, timeout=length)
    finally:
        waiting.cancel()
    return stopping.is_set()


def is_cancelled() -> bool:
    """Return whether the running task is being cancelled, and not a future of aio-pika that it waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
