"""Operations on an outbox: status, release or discard of parked messages, replay of sent ones."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from attrs import frozen
from sqlalchemy import Column, ColumnElement, Executable, Table, Update, case, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domainkit._model.mapping import FrozenMapping
from domainkit.adapters.sqlalchemy.engines import READ_ONLY, snapshot_options
from domainkit.adapters.sqlalchemy.relay.claims import Dialect
from domainkit.delivery import DUPLICATE, UNROUTED
from domainkit.values import Uuid

_UNTRIED: Mapping[str, object] = MappingProxyType(
    {"attempts": 0, "not_before": None, "leased_by": None, "leased_until": None, "parked_at": None, "reason": None}
)
"""The columns of a message without attempts."""


@frozen
class ParkedMessage:
    """Message that failed its last attempt, and waits for an operator.

    Args:
        message_id: the id of the message.
        name: the name of the message, such as `task.created`.
        key: its ordering key: later messages with this key are held back.
        reason: the name of the last error.
        attempts: the number of attempts.
        parked_at: when it was parked, in UTC.
    """

    message_id: Uuid
    name: str
    key: str
    reason: str
    attempts: int
    parked_at: datetime


@frozen
class OutboxStatus:
    """Status of an outbox: the numbers of messages by state; each message counts once.

    Args:
        waiting: ready to be sent, after earlier messages of their keys.
        held_back: behind a parked message of their key.
        leased: claimed by a relay.
        backing_off: refused, or tried during an outage of the broker; waiting for the next attempt.
        parked: refused for the last time; see `release_parked` and `discard_parked`.
        sent: sent, and still kept.
        duplicates: already known to the broker, which doesn't deliver them again, and still kept.
        discarded: abandoned by `discard_parked`, and still kept.
        lag: seconds since the oldest unsent message was stored; 0 if all are sent.
        unrouted_by_name: sent messages without subscribers, by the message's name.
        parked_by_reason: parked messages, by the name of the last error.
        oldest_parked: the message that was parked first.
    """

    waiting: int = 0
    held_back: int = 0
    leased: int = 0
    backing_off: int = 0
    parked: int = 0
    sent: int = 0
    duplicates: int = 0
    discarded: int = 0
    lag: float = 0.0
    unrouted_by_name: Mapping[str, int] = FrozenMapping()
    parked_by_reason: Mapping[str, int] = FrozenMapping()
    oldest_parked: ParkedMessage | None = None

    @property
    def unsent(self) -> int:
        """The number of unsent messages, including parked ones."""
        return self.waiting + self.held_back + self.leased + self.backing_off + self.parked


async def outbox_status(engine: AsyncEngine, table: Table) -> OutboxStatus:
    """Return the status of an outbox. It reads every row, including sent ones that are still kept.

    Args:
        engine: made by `make_async_engine`.
        table: made by `outbox_table`.
    """
    dialect = Dialect(engine.dialect.name)
    async with engine.connect() as connection:
        await connection.execution_options(**snapshot_options(engine.dialect.name))  # one snapshot for all queries
        states = {row.state: row.number for row in await connection.execute(_by_state(table, dialect))}
        oldest = select(func.min(table.c.recorded_at)).where(table.c.sent_at.is_(None)).scalar_subquery()
        now, since = (await connection.execute(select(dialect.now(), oldest))).one()
        unrouted = table.c.sent_at.is_not(None) & (table.c.reason == UNROUTED)
        return OutboxStatus(
            **states,
            lag=0.0 if since is None else max(0.0, (now - since).total_seconds()),
            unrouted_by_name=await _counted(connection, table.c.name, unrouted),
            parked_by_reason=await _counted(connection, table.c.reason, *_is_parked(table)),
            oldest_parked=await _oldest_parked(connection, table),
        )


async def release_parked(
    engine: AsyncEngine, table: Table, *, message_id: Uuid | None = None, key: str | None = None
) -> int:
    """Release parked messages, all or those with one id or key, and return their number.

    Their attempts start at 0 again. Messages held back behind them follow once they are sent.

    Args:
        engine: made by `make_async_engine`.
        table: made by `outbox_table`.
        message_id: release only this message.
        key: release only messages with this ordering key.
    """
    parked = update(table).where(*_is_parked(table))
    if message_id is not None:
        parked = parked.where(table.c.message_id == message_id.value)
    if key is not None:
        parked = parked.where(table.c.ordering_key == key)
    return await _run_update(engine, parked.values(**_UNTRIED))


async def discard_parked(engine: AsyncEngine, table: Table, *, message_id: Uuid) -> int:
    """Abandon a parked message, so that later ones of its key are sent; return the number of rows changed, 0 or 1.

    It doesn't count as sent: the row keeps `parked_at`, and `reason` starts with `discarded`. It is kept as long as
    sent messages are, and `replay_sent` with its id sends it after all.

    Args:
        engine: made by `make_async_engine`.
        table: made by `outbox_table`.
        message_id: the id of the message.
    """
    dialect = Dialect(engine.dialect.name)
    reason = literal("discarded: ") + func.coalesce(table.c.reason, "")
    parked = update(table).where(*_is_parked(table), table.c.message_id == message_id.value)
    return await _run_update(engine, parked.values(sent_at=dialect.now(), reason=reason))


async def replay_sent(
    engine: AsyncEngine, table: Table, *, message_id: Uuid | None = None, since: datetime | None = None
) -> int:
    """Send messages again that were sent and are still kept; return their number.

    For a consumer that lost messages. Other consumers get them too, and recognize them by their ids. Messages are sent
    in their original order, before waiting ones of their key.

    Args:
        engine: made by `make_async_engine`.
        table: made by `outbox_table`.
        message_id: one message, which may have been discarded.
        since: all messages sent at this time or later, with a time zone; without discarded ones.

    Raises:
        ValueError: both or neither of `message_id` and `since` are given, or `since` has no time zone.
    """
    again = update(table).where(table.c.sent_at.is_not(None)).values(sent_at=None, **_UNTRIED)
    if (message_id is None) == (since is None):
        raise ValueError("replay_sent: expected exactly one of `message_id` and `since`; pass one")
    if since is not None and since.tzinfo is None:
        raise ValueError("replay_sent: expected a time zone in `since`, got a naive datetime; add one, such as UTC")
    if message_id is not None:
        return await _run_update(engine, again.where(table.c.message_id == message_id.value))
    return await _run_update(engine, again.where(table.c.sent_at >= since, table.c.parked_at.is_(None)))


_COUNT_LIMIT = 10_000


async def backlog(engine: AsyncEngine, table: Table) -> tuple[int, float]:
    """Return the number of unsent messages, at most 10,001, and the lag in seconds."""
    unsent = select(table.c.recorded_at).where(table.c.sent_at.is_(None))
    oldest = unsent.order_by(table.c.position).limit(_COUNT_LIMIT + 1)
    rows = oldest.subquery()
    counted = select(func.count(), func.min(rows.c.recorded_at), Dialect(engine.dialect.name).now()).select_from(rows)
    async with engine.connect() as connection:
        await connection.execution_options(**{READ_ONLY: True})
        count, since, now = (await connection.execute(counted)).one()
    return count, 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _by_state(table: Table, dialect: Dialect) -> Executable:
    columns, other = table.c, table.alias("other")
    held = select(other.c.ordering_key).where(other.c.sent_at.is_(None), other.c.parked_at.is_not(None))
    state: ColumnElement[str] = case(
        (columns.sent_at.is_not(None) & columns.parked_at.is_not(None), "discarded"),
        (columns.sent_at.is_not(None) & (columns.reason == DUPLICATE), "duplicates"),
        (columns.sent_at.is_not(None), "sent"),
        (columns.parked_at.is_not(None), "parked"),
        (columns.leased_until > dialect.now(), "leased"),
        (columns.ordering_key.in_(held), "held_back"),
        (columns.not_before > dialect.now(), "backing_off"),
        else_="waiting",
    )
    states = select(state.label("state")).subquery()
    return select(states.c.state, func.count().label("number")).group_by(states.c.state)


async def _counted(
    connection: AsyncConnection, column: Column[Any], *conditions: ColumnElement[bool]
) -> Mapping[str, int]:
    """Return the number of rows for each value of a column."""
    counts = select(column, func.count()).where(*conditions).group_by(column).order_by(column)
    return FrozenMapping({str(value): count for value, count in await connection.execute(counts)})


async def _oldest_parked(connection: AsyncConnection, table: Table) -> ParkedMessage | None:
    parked = select(table).where(*_is_parked(table)).order_by(table.c.parked_at, table.c.position).limit(1)
    row = (await connection.execute(parked)).one_or_none()
    if row is None:
        return None
    message_id = Uuid.from_uuid(row.message_id)
    return ParkedMessage(message_id, row.name, row.ordering_key, str(row.reason), row.attempts, row.parked_at)


def _is_parked(table: Table) -> tuple[ColumnElement[bool], ...]:
    return table.c.sent_at.is_(None), table.c.parked_at.is_not(None)


async def _run_update(engine: AsyncEngine, statement: Update) -> int:
    async with engine.begin() as connection:
        return (await connection.execute(statement)).rowcount
