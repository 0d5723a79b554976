"""Consumer as a process: its creation, its end, and its status."""

import argparse
import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from inspect import isawaitable, signature

import attrs
from returns.result import Failure

from domainkit.adapters.rabbitmq import QueueClashError, QueueStatus, RabbitMqConsumer, queue_status
from domainkit.cli._arguments import CommandFailedError, WrongArgumentError, object_named
from domainkit.cli._health import answering
from domainkit.cli._process import ending_early, log_to_stderr, stop_event

_logger = logging.getLogger("domainkit.consume")

_CLEANING = 3600.0
"""Seconds between deletions of old marks."""


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit status."""
    log_to_stderr()
    with ending_early():
        make = _factory(options)
        return asyncio.run(_status(options, make) if options.status else _consume(options, make))


def _factory(options: argparse.Namespace) -> Callable[[str], object]:
    found = object_named(options.consumer)
    try:
        signature(found).bind(options.broker)
    except (TypeError, ValueError) as error:
        expected = "a function that takes the broker's URL"
        raise WrongArgumentError(f"{options.consumer}: expected {expected} ({error})") from error
    made: Callable[[str], object] = found
    return made


async def _consume(options: argparse.Namespace, make: Callable[[str], object]) -> int:
    stop = stop_event()
    async with _made(options, make) as consumer:
        cleaning = asyncio.create_task(_clean(options))
        try:
            async with answering(options.health_port, lambda: consumer.is_consuming, "the broker"):
                await consumer.run(stop)
        except QueueClashError as error:
            raise CommandFailedError(error.detail()) from error
        finally:
            cleaning.cancel()
    _logger.info("stopped")
    return 0


@asynccontextmanager
async def _made(options: argparse.Namespace, make: Callable[[str], object]) -> AsyncIterator[RabbitMqConsumer]:
    """Yield the consumer that the user's function makes, with the limits of the options."""
    async with AsyncExitStack() as opened:
        try:
            found = make(options.broker)
            if isawaitable(found):
                found = await found
            elif isinstance(found, AbstractAsyncContextManager) and not isinstance(found, RabbitMqConsumer):
                found = await opened.enter_async_context(found)
            if not isinstance(found, RabbitMqConsumer):
                expected = "a RabbitMqConsumer, or an async context manager of one"
                raise WrongArgumentError(
                    f"{options.consumer}: expected a function that returns {expected}, got another"
                )
            consumer = found.adjusted(prefetch=options.prefetch, concurrency=options.concurrency)
        except ValueError as error:
            raise WrongArgumentError(f"{options.consumer}: {error}") from error
        yield consumer


async def _clean(options: argparse.Namespace) -> None:
    """Delete old marks of the inbox every hour, if requested; log failures, and try again."""
    if options.clean_inbox is None:
        return
    from domainkit.cli._inboxes import cleaned  # noqa: PLC0415  (it needs an extra)

    while True:
        try:
            _logger.info("deleted %s old marks of the inbox", f"{await cleaned(options, options.clean_inbox):,}")
        except CommandFailedError as error:
            _logger.warning("the inbox was not cleaned: %s", error)
        await asyncio.sleep(_CLEANING)


async def _status(options: argparse.Namespace, make: Callable[[str], object]) -> int:
    async with _made(options, make) as consumer:
        result = await queue_status(options.broker, consumer.queues)
    if isinstance(result, Failure):
        raise CommandFailedError(result.failure().detail())
    rows = result.unwrap()
    print(json.dumps([attrs.asdict(row) for row in rows]) if options.json else as_text(rows))  # noqa: T201  (a command line prints)
    return 0


def as_text(rows: Sequence[QueueStatus]) -> str:
    """Return a status as text.

    >>> print(as_text([QueueStatus("mailing.greeter", exists=True, waiting=12, consumers=2, dead=1, quarantined=0)]))
    queue            waiting  consumers  dead  quarantined
    mailing.greeter       12          2     1            0
    """
    names = ("waiting", "consumers", "dead", "quarantined")
    width = max(len(row.queue) for row in rows)
    lines = ["  ".join([f"{'queue':<{width}}", *names])]
    for row in rows:
        counts = [f"{getattr(row, name):>{len(name)},}" for name in names]
        lines.append("  ".join([f"{row.queue:<{width}}", *(counts if row.exists else ["doesn't exist yet"])]))
    return "\n".join(lines)
