"""Relay as a process: its connections, its end, and its progress log."""

import argparse
import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from inspect import isawaitable

from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit.adapters.sqlalchemy import Relay, RelayRound
from domainkit.adapters.sqlalchemy.relay.operations import backlog
from domainkit.cli._arguments import CommandFailedError, WrongArgumentError, object_named
from domainkit.cli._databases import check, failure_of, opened
from domainkit.cli._process import log_to_stderr, run_to_its_end, stop_event
from domainkit.delivery import AsyncMessagePublisher

_logger = logging.getLogger("domainkit.relay")

_PROGRESS = 5.0
"""Seconds between lines of progress."""


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit status."""
    make_publisher = _publisher(options)
    log_to_stderr()
    return run_to_its_end(_relay(options, make_publisher))


def _publisher(options: argparse.Namespace) -> Callable[[], object]:
    if options.publisher:
        if options.broker:
            raise WrongArgumentError("give --publisher or --broker, not both")
        if options.unrouted:
            raise WrongArgumentError("--unrouted needs --broker; configure your own publisher itself")
        found = object_named(options.publisher)
        return found if callable(found) else lambda: found
    if not options.broker:
        raise WrongArgumentError("no broker: give --broker (with --exchange), or --publisher")
    if not options.exchange:
        raise WrongArgumentError("no exchange: give --exchange, the one of your consumers")
    from domainkit.adapters.rabbitmq import RabbitMqPublisher, RabbitMqTopology  # noqa: PLC0415  (an extra)

    try:
        topology = RabbitMqTopology(options.exchange, service="relay")  # it consumes no queues
        make_publisher = partial(RabbitMqPublisher, options.broker, topology, unrouted=options.unrouted or "events")
        make_publisher()
    except ValueError as error:
        raise WrongArgumentError(str(error)) from error
    return make_publisher


async def _relay(options: argparse.Namespace, make_publisher: Callable[[], object]) -> int:
    settings = ("batch", "concurrency", "lease", "poll", "max_attempts", "retention", "wakes")
    async with opened(options) as (engine, table):
        made = make_publisher()
        publisher = await made if isawaitable(made) else made
        if not isinstance(publisher, AsyncMessagePublisher):
            expected = "an AsyncMessagePublisher, or a function that returns one"
            raise WrongArgumentError(f"{options.publisher}: expected {expected}")
        try:
            if not options.wait:
                await check(engine, table)
            relay = Relay(engine, table, publisher, **{name: getattr(options, name) for name in settings})
            return await _run_until_stopped(relay, engine, table, once=options.once)
        finally:
            await publisher.close()


async def _run_until_stopped(relay: Relay, engine: AsyncEngine, table: Table, *, once: bool) -> int:
    """Send until stopped; with `once`, or until no message can be sent now."""
    stop = stop_event()
    _logger.info("relaying from %s", table.fullname)
    progress = asyncio.create_task(_report(relay, engine, table))
    try:
        await relay.run(stop, until_idle=once)
    except (SQLAlchemyError, OSError) as error:
        raise CommandFailedError(failure_of(engine.url, error)) from error
    finally:
        progress.cancel()
    total = relay.total
    _logger.info("stopped: %s", _counts(total))
    return 1 if once and (total.failed or total.parked or total.away) else 0


async def _report(relay: Relay, engine: AsyncEngine, table: Table) -> None:
    """Log the progress whenever the counts have changed."""
    before, unsent = RelayRound(), 0
    while True:
        await asyncio.sleep(_PROGRESS)
        total, unsent_before = relay.total, unsent
        with suppress(SQLAlchemyError, OSError):  # the relay logs these
            unsent, lag = await backlog(engine, table)
            if total != before or unsent != unsent_before:
                _logger.info("%s; unsent %s, lag %.1f s", _counts(total), f"{unsent:,}", lag)
        before = total


def _counts(total: RelayRound) -> str:
    return f"sent {total.sent:,}, failed {total.failed:,}, parked {total.parked:,}"
