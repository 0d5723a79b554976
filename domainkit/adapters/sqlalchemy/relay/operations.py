"""Operations on an outbox: status, release or discard of parked messages, replay of sent ones."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from attrs import frozen
from sqlalchemy import ColumnElement, Executable, FromClause, Select, Table, Update, case, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domainkit._model.mapping import FrozenMapping
from domainkit.adapters.sqlalchemy.engines import READ_ONLY, snapshot_options
from domainkit.adapters.sqlalchemy.relay.dialects import PLANNING, Dialect
from domainkit.delivery import DUPLICATE, UNROUTED
from domainkit.values import Uuid

_UNTRIED: Mapping[str, object] = MappingProxyType(
    {"attempts": 0, "not_before": None, "leased_by": None, "leased_until": None, "parked_at": None, "reason": None}
)
"""The columns of a message without attempts."""

COUNT_LIMIT = 10_000
"""The number of messages to count: more than that is too many, whatever the number is."""


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
        held_back: behind a parked message of their key, of those that are counted.
        leased: claimed by a relay.
        backing_off: refused, or tried during an outage of the broker; waiting for the next attempt.
        parked: refused for the last time; see `release_parked` and `discard_parked`.
        sent: sent, and still kept.
        duplicates: already known to the broker, which doesn't deliver them again, and still kept.
        discarded: abandoned by `discard_parked`, and still kept.
        lag: seconds since the oldest unsent message was stored; 0 if all are sent.
        unrouted_by_name: sent messages without subscribers, by the message's name.
        parked_by_reason: parked messages, by the name of the last error.
        oldest_parked: the message that was parked first, of those that are counted.
        at_least: the names of the attributes above that count only a part, since there are more messages than
            `outbox_status` counts: the true number is at least that.
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
    at_least: tuple[str, ...] = ()

    @property
    def unsent(self) -> int:
        """The number of unsent messages, including parked ones; at least that, if one of these counts is a part."""
        return self.waiting + self.held_back + self.leased + self.backing_off + self.parked


async def outbox_status(engine: AsyncEngine, table: Table, *, up_to: int | None = COUNT_LIMIT) -> OutboxStatus:
    """Return the status of an outbox, in milliseconds with any number of messages.

    It counts the oldest unsent messages, parked ones, sent ones, and sent ones with a reason: up to `up_to` of each. If
    there are more, the counts concerned are lower bounds, and `at_least` names them.

    Args:
        engine: made by `make_async_engine`.
        table: made by `outbox_table`.
        up_to: the number of messages to count of each kind; None to count all, which takes seconds for a million.
    """
    dialect, limit = Dialect(engine.dialect.name), None if up_to is None else up_to + 1
    async with engine.connect() as connection:
        await connection.execution_options(**snapshot_options(engine.dialect.name))  # one snapshot for all queries
        if dialect.is_postgresql:
            await connection.execute(PLANNING)
        unsent = (await connection.execute(_unsent_by_state(table, dialect, limit))).all()
        since = min((row.since for row in unsent), default=None)
        parked_by_reason = await _parked_by_reason(connection, table, limit)
        remarked = (await connection.execute(_remarked(table, limit))).all()
        marks = {mark: sum(row.number for row in remarked if row.mark == mark) for mark in ("duplicates", "discarded")}
        sent = await _sent(connection, table, limit)
        now = (await connection.execute(select(dialect.now()))).scalar_one()
        states = {row.state: row.number for row in unsent} | {"parked": sum(parked_by_reason.values()), **marks}
        parts = {
            ("waiting", "held_back", "leased", "backing_off"): sum(row.number for row in unsent),
            ("parked", "parked_by_reason"): states["parked"],
            ("sent",): sent,
            ("duplicates", "discarded", "unrouted_by_name"): sum(row.number for row in remarked),
        }
        return OutboxStatus(
            **states,
            sent=sent - sum(marks.values()),
            lag=0.0 if since is None else max(0.0, (now - since).total_seconds()),
            unrouted_by_name=FrozenMapping({row.name: row.number for row in remarked if row.mark == UNROUTED}),
            parked_by_reason=parked_by_reason,
            oldest_parked=await _oldest_parked(connection, table, limit),
            at_least=tuple(name for names, count in parts.items() if count == limit for name in names),
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


async def backlog(engine: AsyncEngine, table: Table) -> tuple[int, float]:
    """Return the number of unsent messages, at most 10,001, and the lag in seconds."""
    unsent = select(table.c.recorded_at).where(table.c.sent_at.is_(None))
    oldest = unsent.order_by(table.c.position).limit(COUNT_LIMIT + 1)
    rows = oldest.subquery()
    counted = select(func.count(), func.min(rows.c.recorded_at), Dialect(engine.dialect.name).now()).select_from(rows)
    async with engine.connect() as connection:
        await connection.execution_options(**{READ_ONLY: True})
        count, since, now = (await connection.execute(counted)).one()
    return count, 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _unsent_by_state(table: Table, dialect: Dialect, limit: int | None) -> Executable:
    """Return the SELECT of the number and the oldest time of unsent messages by state, of the oldest ones."""
    columns, other = table.c, table.alias("other")
    parked_keys = _parked(other, limit, other.c.ordering_key)
    state: ColumnElement[str] = case(
        (columns.parked_at.is_not(None), "parked"),
        (columns.leased_until > dialect.now(), "leased"),
        (columns.ordering_key.in_(parked_keys), "held_back"),
        (columns.not_before > dialect.now(), "backing_off"),
        else_="waiting",
    )
    unsent = select(state.label("state"), columns.recorded_at).where(columns.sent_at.is_(None))
    rows = unsent.order_by(columns.position).limit(limit).subquery()
    return select(rows.c.state, func.count().label("number"), func.min(rows.c.recorded_at).label("since")).group_by(
        rows.c.state
    )


async def _parked_by_reason(connection: AsyncConnection, table: Table, limit: int | None) -> Mapping[str, int]:
    rows = _parked(table, limit, table.c.reason).subquery()
    counts = select(rows.c.reason, func.count()).group_by(rows.c.reason).order_by(rows.c.reason)
    return FrozenMapping({str(reason): count for reason, count in await connection.execute(counts)})


async def _sent(connection: AsyncConnection, table: Table, limit: int | None) -> int:
    """Return the number of messages that are no longer waiting, sent or not."""
    sent = select(table.c.sent_at).where(table.c.sent_at.is_not(None))
    rows = sent.order_by(table.c.sent_at).limit(limit).subquery()
    return (await connection.execute(select(func.count()).select_from(rows))).scalar_one()


def _remarked(table: Table, limit: int | None) -> Executable:
    """Return the SELECT of the number of sent messages with a reason, by name and by what the reason says."""
    mark: ColumnElement[str] = case(
        (table.c.parked_at.is_not(None), "discarded"),
        (table.c.reason == DUPLICATE, "duplicates"),
        (table.c.reason == UNROUTED, UNROUTED),
        else_="sent",
    )
    remarked = select(mark.label("mark"), table.c.name).where(table.c.sent_at.is_not(None), table.c.reason.is_not(None))
    rows = remarked.order_by(table.c.reason).limit(limit).subquery()
    counts = select(rows.c.mark, rows.c.name, func.count().label("number")).group_by(rows.c.mark, rows.c.name)
    return counts.order_by(rows.c.name)


async def _oldest_parked(connection: AsyncConnection, table: Table, limit: int | None) -> ParkedMessage | None:
    parked = _parked(table, limit, table.c.parked_at, table.c.position).subquery()
    first = select(parked.c.position).order_by(parked.c.parked_at, parked.c.position).limit(1).scalar_subquery()
    row = (await connection.execute(select(table).where(table.c.position == first))).one_or_none()
    if row is None:
        return None
    message_id = Uuid.from_uuid(row.message_id)
    return ParkedMessage(message_id, row.name, row.ordering_key, str(row.reason), row.attempts, row.parked_at)


def _parked(
    table: FromClause, limit: int | None, *columns: ColumnElement[Any]
) -> Select[*tuple[Any, ...]]:  # Any: of any columns
    """Return the SELECT of parked messages, in the order of their index: PostgreSQL then takes no other."""
    return select(*columns).where(*_is_parked(table)).order_by(table.c.ordering_key, table.c.parked_at).limit(limit)


def _is_parked(table: FromClause) -> tuple[ColumnElement[bool], ...]:
    return table.c.sent_at.is_(None), table.c.parked_at.is_not(None)


async def _run_update(engine: AsyncEngine, statement: Update) -> int:
    async with engine.begin() as connection:
        return (await connection.execute(statement)).rowcount
