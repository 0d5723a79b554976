"""The questions and orders that an operator has for the command `relay`, instead of sending."""

import argparse
import asyncio
import json
from datetime import datetime

import attrs
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit._model.texts import shown
from domainkit.adapters.sqlalchemy import OutboxStatus, discard_parked, outbox_status, release_parked, replay_sent
from domainkit.cli._arguments import CommandFailedError
from domainkit.cli._databases import check, opened
from domainkit.values import Uuid


def run(options: argparse.Namespace) -> int:
    """Do it, print what came of it, and return the exit status."""

    async def answer() -> str:
        async with opened(options) as (engine, table):
            await check(engine, table)
            if not options.status:
                return await _changed(options, engine, table)
            status = await outbox_status(engine, table)
            return as_json(status) if options.json else as_text(status, table.fullname)

    print(asyncio.run(answer()))  # noqa: T201  (a command line prints)
    return 0


async def _changed(options: argparse.Namespace, engine: AsyncEngine, table: Table) -> str:
    what, before = "released", "parked"
    if options.discard is not None:
        what = "discarded"
        count = await discard_parked(engine, table, message_id=options.discard)
    elif options.replay is not None or options.replay_since is not None:
        what, before = "to be sent again", "sent"
        count = await replay_sent(engine, table, message_id=options.replay, since=options.replay_since)
    else:
        one = None if options.release in {None, True} else options.release
        count = await release_parked(engine, table, message_id=one, key=options.release_key)
    if count == 0:
        raise CommandFailedError(f"no such message is {before}; nothing was changed")
    return f"{count:,} {'message' if count == 1 else 'messages'} {what}"


def as_json(status: OutboxStatus) -> str:
    """Return a status for programs: the names are those of OutboxStatus."""
    plain = attrs.asdict(status, value_serializer=lambda _, __, value: str(value) if isinstance(value, Uuid) else value)
    return json.dumps(plain, default=datetime.isoformat, sort_keys=True)


def as_text(status: OutboxStatus, name: str) -> str:
    """Return a status for people."""
    rows = [
        (status.waiting, "waiting", "to be sent as soon as a relay comes to them"),
        (status.leased, "leased", "in the hands of a relay right now"),
        (status.backing_off, "backing off", "refused; tried again in a while"),
        (status.parked, "parked", "refused too often; they wait for you"),
        (status.held_back, "held back", "behind a parked message of the same key"),
        (status.sent, "sent", "and kept until their retention is over"),
        (status.discarded, "discarded", "given up, never sent"),
    ]
    if status.duplicates:  # no broker but JetStream tells
        rows.append((status.duplicates, "duplicates", "the broker had them already; it delivers nothing anew"))
    width = max(len(f"{count:,}") for count, _, _ in rows)
    lines = [f"  {count:>{width},}  {label:<11}  {meaning}" for count, label, meaning in rows]
    lag = f"the oldest message that isn't sent is {_age(status.lag)} old" if status.unsent else "everything is sent"
    return "\n".join([f"outbox {name}: {lag}", *lines, *_unrouted(status), *_parked(status)])


def _unrouted(status: OutboxStatus) -> list[str]:
    names = ", ".join(f"{shown(name)} {count:,}" for name, count in status.unrouted_by_name.items())
    return [f"sent, though nobody subscribed, by type: {names}"] if names else []


def _parked(status: OutboxStatus) -> list[str]:
    oldest = status.oldest_parked
    if oldest is None:
        return []
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in status.parked_by_reason.items())
    key = shown(oldest.key)  # the text of any id
    return [
        f"parked, by reason: {reasons}",
        f"parked first: {shown(oldest.name)} {oldest.message_id}",
        f"  key {key}, {oldest.reason} after {oldest.attempts} attempts, {oldest.parked_at:%Y-%m-%d %H:%M} UTC",
        "  --release tries all again, --release ID one; --discard ID gives one up",
    ]


def _age(seconds: float) -> str:
    """Return a time span for people.

    >>> _age(0.5), _age(75), _age(9000), _age(400000)
    ('0.5 s', '75 s', '150 min', '111 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.0f} h"
