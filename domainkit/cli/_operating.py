"""Operations of the command `relay` on an outbox, instead of sending."""

import argparse
import asyncio
import json
from datetime import datetime

import attrs
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit._model.texts import shown
from domainkit.adapters.sqlalchemy import OutboxStatus, discard_parked, outbox_status, release_parked, replay_sent
from domainkit.adapters.sqlalchemy.relay.operations import COUNT_LIMIT
from domainkit.cli._arguments import CommandFailedError
from domainkit.cli._databases import check, opened
from domainkit.values import Uuid


def run(options: argparse.Namespace) -> int:
    """Run the operation, print its result, and return the exit status."""

    async def answer() -> str:
        async with opened(options) as (engine, table):
            await check(engine, table)
            if not options.status:
                return await _change(options, engine, table)
            status = await outbox_status(engine, table, up_to=None if options.exact else COUNT_LIMIT)
            return as_json(status) if options.json else as_text(status, table.fullname)

    print(asyncio.run(answer()))  # noqa: T201  (a command line prints)
    return 0


async def _change(options: argparse.Namespace, engine: AsyncEngine, table: Table) -> str:
    after, before = "released", "parked"
    if options.discard is not None:
        after = "discarded"
        count = await discard_parked(engine, table, message_id=options.discard)
    elif options.replay is not None or options.replay_since is not None:
        after, before = "to be sent again", "sent"
        count = await replay_sent(engine, table, message_id=options.replay, since=options.replay_since)
    else:
        one = None if options.release in {None, True} else options.release
        count = await release_parked(engine, table, message_id=one, key=options.release_key)
    if count == 0:
        raise CommandFailedError(f"found no matching {before} message; nothing was changed")
    return f"{count:,} {'message' if count == 1 else 'messages'} {after}"


def as_json(status: OutboxStatus) -> str:
    """Return a status as JSON, with the attributes of OutboxStatus as keys."""
    plain = attrs.asdict(status, value_serializer=lambda _, __, value: str(value) if isinstance(value, Uuid) else value)
    return json.dumps(plain, default=datetime.isoformat, sort_keys=True)


def as_text(status: OutboxStatus, name: str) -> str:
    """Return a status as text."""
    rows = {
        "waiting": "ready to be sent",
        "leased": "being sent by a relay",
        "backing_off": "refused, or the broker was unreachable; waiting for a retry",
        "parked": "refused too often; waiting for you",
        "held_back": "behind a parked message of the same key",
        "sent": "kept until their retention is over",
        "discarded": "abandoned, never sent",
    }
    if status.duplicates:  # only JetStream reports them
        rows["duplicates"] = "already known to the broker; not delivered again"
    counts = {name: f"{getattr(status, name):,}{'+' * (name in status.at_least)}" for name in rows}
    width = max(map(len, counts.values()))
    lines = [f"  {counts[name]:>{width}}  {name.replace('_', ' '):<11}  {meaning}" for name, meaning in rows.items()]
    if status.at_least:
        lines.append("  +: there are more; --exact counts all of them, which can take seconds")
    lag = f"the oldest unsent message is {_age(status.lag)} old" if status.unsent else "all messages are sent"
    return "\n".join([f"outbox {name}: {lag}", *lines, *_unrouted(status), *_parked(status)])


def _unrouted(status: OutboxStatus) -> list[str]:
    names = ", ".join(f"{shown(name)} {count:,}" for name, count in status.unrouted_by_name.items())
    return [f"sent without subscribers, by type: {names}"] if names else []


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
        "  --release retries all, --release ID one; --discard ID abandons one",
    ]


def _age(seconds: float) -> str:
    """Return a time span as text.

    >>> _age(0.5), _age(75), _age(9000), _age(400000)
    ('0.5 s', '75 s', '150 min', '111 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.0f} h"
