"""The operations of an outbox: its status, what is parked, another try, giving up."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from attrs import frozen
from sqlalchemy import Column, ColumnElement, Executable, Table, Update, case, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domainkit._model.mapping import FrozenMapping
from domainkit.adapters.sqlalchemy.engines import READ_ONLY
from domainkit.adapters.sqlalchemy.relay.claims import Dialect
from domainkit.delivery import DUPLICATE, UNROUTED
from domainkit.values import Uuid

_FRESH: Mapping[str, object] = MappingProxyType(
    {"attempts": 0, "not_before": None, "leased_by": None, "leased_until": None, "parked_at": None, "reason": None}
)
"""The columns of a message that was never tried."""


@frozen
class ParkedMessage:
    """A message that was refused for the last time.

    Args:
        message_id: its id.
        name: of the message, such as `task.created`.
        key: what it holds back: later messages of the same key.
        reason: the name of the last error.
        attempts: how many times it was tried.
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
    """The status of an outbox: messages by what they wait for, each in one of the counts.

    Args:
        waiting: to be sent as soon as a relay comes to them, and those before them in their key are sent.
        held_back: behind a parked message of their key.
        leased: in the hands of a relay.
        backing_off: refused, or tried while the broker was away; to be tried again.
        parked: refused for the last time; see `release_parked` and `discard_parked`.
        sent: sent, and still kept.
        duplicates: with the broker already, which delivers nothing anew then, and still kept.
        discarded: given up by `discard_parked`, and still kept.
        lag: seconds since the oldest message was stored that isn't sent; 0 where all are.
        unrouted_by_name: how many of those sent nobody gets, for nobody subscribed to them, by the message's name.
        parked_by_reason: how many are parked, by the name of the last error.
        oldest_parked: the one that was parked first.
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
        """The number of messages that are yet to be sent, the parked ones among them."""
        return self.waiting + self.held_back + self.leased + self.backing_off + self.parked


async def outbox_status(engine: AsyncEngine, table: Table) -> OutboxStatus:
    """Return where an outbox stands. It looks at every row, those that were sent and are kept too.

    Args:
        engine: made by `make_async_engine`.
        table: made by `outbox_table`.
    """
    dialect = Dialect(engine.dialect.name)
    level = {"isolation_level": "REPEATABLE READ"} if dialect.is_postgresql else {READ_ONLY: True}
    async with engine.connect() as connection:
        await connection.execution_options(**level)  # all of it is of one moment
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
    """Give parked messages another chance, and return how many: all, or those with one id or key.

    They are as if they had never been tried. What is behind them in their key follows once they are sent.

    Args:
        engine: made by `make_async_engine`.
        table: made by `outbox_table`.
        message_id: of the message, where it shall be one.
        key: of the messages, where they shall be those of one key.
    """
    parked = update(table).where(*_is_parked(table))
    if message_id is not None:
        parked = parked.where(table.c.message_id == message_id.value)
    if key is not None:
        parked = parked.where(table.c.ordering_key == key)
    return await _changed(engine, parked.values(**_FRESH))


async def discard_parked(engine: AsyncEngine, table: Table, *, message_id: Uuid) -> int:
    """Give up a parked message, so that what is behind it in its key is sent; return how many rows that were.

    It was never sent, and isn't said to be: the row keeps `parked_at`, and its `reason` says that it was discarded. It
    is kept as long as messages that were sent are, and `replay_sent` with its id sends it after all.

    Args:
        engine: made by `make_async_engine`.
        table: made by `outbox_table`.
        message_id: of the message.
    """
    dialect = Dialect(engine.dialect.name)
    reason = literal("discarded: ") + func.coalesce(table.c.reason, "")
    parked = update(table).where(*_is_parked(table), table.c.message_id == message_id.value)
    return await _changed(engine, parked.values(sent_at=dialect.now(), reason=reason))


async def replay_sent(
    engine: AsyncEngine, table: Table, *, message_id: Uuid | None = None, since: datetime | None = None
) -> int:
    """Send again what was sent, as long as it is kept; return how many messages that are.

    For a consumer that has lost something. The others get it too, and know it by its id. Messages go out in their old
    order, before what waits in their key.

    Args:
        engine: made by `make_async_engine`.
        table: made by `outbox_table`.
        message_id: of one message; one that was discarded may be sent by that.
        since: all that were sent at this time or later, with a time zone; not those that were discarded.

    Raises:
        ValueError: not exactly one of both is given, or `since` has no time zone.
    """
    again = update(table).where(table.c.sent_at.is_not(None)).values(sent_at=None, **_FRESH)
    if (message_id is None) == (since is None):
        raise ValueError("replay_sent: give either message_id or since")
    if since is not None and since.tzinfo is None:
        raise ValueError("replay_sent: since has no time zone; give one, such as UTC")
    if message_id is not None:
        return await _changed(engine, again.where(table.c.message_id == message_id.value))
    return await _changed(engine, again.where(table.c.sent_at >= since, table.c.parked_at.is_(None)))


_MANY = 10_000


async def backlog(engine: AsyncEngine, table: Table) -> tuple[int, float]:
    """Return how many messages are unsent, and the lag in seconds; of more than 10,000 it looks at the oldest."""
    oldest = select(table.c.recorded_at).where(table.c.sent_at.is_(None)).order_by(table.c.position).limit(_MANY + 1)
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
    """Return how many rows there are of each value of a column."""
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


async def _changed(engine: AsyncEngine, statement: Update) -> int:
    async with engine.begin() as connection:
        return (await connection.execute(statement)).rowcount
