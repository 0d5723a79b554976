"""SQL that finds and leases the rows that a relay may send next.

A row is open if it is unsent, not parked, not leased, and not waiting for a retry. The unsent rows of a key are a
chain; its links are the first rows up to the first that isn't open. A link is only claimed together with all links
before it: so the lease on the first row of a key is the lease on the key, and no row of it can be claimed twice at a
time.

On PostgreSQL this holds under READ COMMITTED. A row that another relay is claiming is locked, and skipped; one that it
has claimed since the statement began is checked again in its current state (EvalPlanQual), and isn't open any more.
Rows after such a row in its chain are dropped here. No unsent row can appear before a link that is locked here, except
one that was committed late, or is replayed on demand: that row has its own place in the order.
See https://www.postgresql.org/docs/current/transaction-iso.html#XACT-READ-COMMITTED and
https://www.postgresql.org/docs/current/sql-select.html#SQL-FOR-UPDATE-SHARE (SKIP LOCKED).
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.ext.asyncio import AsyncConnection

from domainkit._model.info import MessageInfo
from domainkit.adapters.sqlalchemy.relay.dialects import PLANNING, Dialect
from domainkit.adapters.sqlalchemy.relay.links import Links, links_of
from domainkit.delivery import OutgoingMessage
from domainkit.values import Uuid

_WINDOW = 4
"""The number of oldest rows to check first, in batches."""

_SHARE = 4
"""The divisor of a batch that gives the maximum for one key, so that a busy key leaves room for others."""

_SLICE = 1_000
"""The maximum number of keys that one claim checks; the next claim continues after them."""

_MAX_POSITION = 2**63 - 1


@frozen
class Claimed:
    """Leased row: the parts of a message, and the number of failed attempts.

    The message is made when it is sent: hundreds of rows wait for that, and the garbage collector looks at each object
    of them several times.
    """

    position: int
    message_id: UUID
    info: MessageInfo
    key: str
    body: bytes
    attempts: int

    @property
    def message(self) -> OutgoingMessage:
        """The message to send."""
        return OutgoingMessage(Uuid.from_uuid(self.message_id), self.info, self.body, self.key)


Chains: TypeAlias = list[list[Claimed]]
"""One list of rows for each key, in order."""


@frozen
class Claim:
    """Leased rows by key, with the token of their leases and the end of these, in monotonic time."""

    token: str
    chains: Chains
    ends: float


class Claims:
    """Statements that claim rows, for one table and batch size.

    Args:
        table: the outbox.
        dialect: of its database.
        batch: the maximum number of rows of a claim.
        lease: the duration of a lease.
    """

    def __init__(self, table: sa.Table, dialect: Dialect, *, batch: int, lease: timedelta) -> None:
        self._window = _WINDOW * batch
        self._after: str | None = None  # the key after which the next scan of the keys starts
        unsent = table.c.sent_at.is_(None)
        rows = sa.select(table.c.position, table.c.ordering_key, dialect.is_open(table).label("open")).where(unsent)
        oldest = rows.order_by(table.c.position).limit(self._window).subquery("oldest")
        most = max(1, batch // _SHARE)
        self._in_window = links_of(table, dialect, oldest, most)
        self._of_keys = links_of(table, dialect, _rows_of_keys(table, dialect), most)
        self._keys = {begun: _keys(table, dialect, begun=begun) for begun in (False, True)}
        waiting = sa.select(table.c.position).where(unsent)
        self._beyond = waiting.order_by(table.c.position).offset(self._window).limit(1)
        self._planning = PLANNING if dialect.is_postgresql else None
        self._lease = (
            sa.update(table)
            .where(dialect.among(table.c.position, "positions"))
            .values(leased_by=sa.bindparam("token"), leased_until=dialect.now(lease))
        )

    async def claim(self, connection: AsyncConnection, token: str, limit: int, *, thorough: bool) -> Chains:
        """Lease rows for `token` in an open transaction, and return them: a list for each key.

        It checks the oldest rows first. If these are too few, and there are more, it scans the keys, from where the
        last scan ended: so no number of blocked rows can hide the others. A scan covers a slice of the keys, so that a
        claim is cheap with any number of waiting keys.

        Args:
            connection: the one with the open transaction.
            token: the owner of the leases.
            limit: the maximum number of rows.
            thorough: continue until a row is found, or all keys are scanned.
        """
        if self._planning is not None:
            await connection.execute(self._planning)
        chains = await self._leased(connection, token, self._in_window, {"limit": limit})
        missing = limit - sum(map(len, chains))
        if missing and await connection.scalar(self._beyond) is not None:
            chains += await self._scan_keys(connection, token, missing, thorough=thorough)
        return chains

    async def _scan_keys(self, connection: AsyncConnection, token: str, limit: int, *, thorough: bool) -> Chains:
        """Lease rows of those keys in the next slice whose first row is open."""
        if thorough:
            self._after = None
        while True:
            begun = {} if self._after is None else {"after": self._after}
            looked_at = (await connection.execute(self._keys[bool(begun)], begun)).all()
            keys = [row.key for row in looked_at if row.open][:limit]
            if len(keys) == limit:
                self._after = keys[-1]
            else:
                self._after = looked_at[-1].key if len(looked_at) == _SLICE else None
            given = {"keys": keys, "each": max(1, limit // max(1, len(keys))), "limit": limit}
            chains = await self._leased(connection, token, self._of_keys, given) if keys else []
            if chains or self._after is None or not thorough:
                return chains

    async def _leased(
        self, connection: AsyncConnection, token: str, links: Links, given: Mapping[str, object]
    ) -> Chains:
        """Lease the links that are found, except those after one that another relay has leased."""
        chains: dict[str, list[Claimed]] = {}
        info_of = cache(MessageInfo)
        for position, message_id, name, version, kind, key, body, attempts, previous in await links.find(
            connection, given
        ):
            claimed = Claimed(position, message_id, info_of(name, version, kind), key, body, attempts)
            if previous is None:
                chains[key] = [claimed]
            elif (chain := chains.get(key)) and chain[-1].position == previous:
                chain.append(claimed)
        if chains:
            positions = [row.position for chain in chains.values() for row in chain]
            await connection.execute(self._lease, {"positions": positions, "token": token})
        return list(chains.values())


def _rows_of_keys(table: sa.Table, dialect: Dialect) -> sa.Subquery:
    """Return the oldest unsent rows of each key of the parameter `keys`, `each` of them."""
    keys, other = dialect.values("keys", table.c.ordering_key), table.alias("other")
    each = sa.bindparam("each", type_=sa.BigInteger())
    from_key = _in_order_of_keys(sa.select(other), other, other.c.ordering_key >= keys.c.value)
    if dialect.is_postgresql:
        first = from_key.limit(each).lateral("first")
        both = keys.join(first, first.c.ordering_key == keys.c.value)
        columns = first.c.position, first.c.ordering_key, dialect.is_open(first).label("open")
        return sa.select(*columns).select_from(both).subquery("oldest")
    next_one = sa.case((other.c.ordering_key == keys.c.value, other.c.position), else_=_MAX_POSITION)
    end = from_key.with_only_columns(next_one).offset(each).limit(1).scalar_subquery()
    bound = sa.func.coalesce(end, _MAX_POSITION).label("bound")
    bounds = sa.select(keys.c.value.label("key"), bound).subquery("bounds")
    rows = sa.select(table.c.position, table.c.ordering_key, dialect.is_open(table).label("open"))
    of_key = sa.and_(table.c.ordering_key == bounds.c.key, table.c.position < bounds.c.bound)
    return rows.join(bounds, of_key).where(table.c.sent_at.is_(None)).subquery("oldest")


def _in_order_of_keys(
    rows: sa.Select[Any], table: sa.FromClause, where: sa.ColumnElement[bool]
) -> sa.Select[*tuple[Any, ...]]:  # Any: of any columns, here and below
    """Return the unsent rows in the order of the index of unsent rows by key.

    Never with a condition that a key is equal to another: PostgreSQL would then take the order to be that of positions
    alone, and read all rows by position until it finds one of the key.
    """
    return rows.where(table.c.sent_at.is_(None), where).order_by(table.c.ordering_key, table.c.position)


def _keys(table: sa.Table, dialect: Dialect, *, begun: bool) -> sa.Executable:
    """Return the keys in order, each with the state of its first row: open or not.

    The query steps from the first row of a key to that of the next, however many rows each has.
    See https://wiki.postgresql.org/wiki/Loose_indexscan.
    """
    row, following, other = table.alias("row"), table.alias("following"), table.alias("other")

    def first(where: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
        return _in_order_of_keys(sa.select(other.c.position), other, where).limit(1).scalar_subquery()

    def state(of: sa.FromClause) -> sa.Select[*tuple[Any, ...]]:  # Any: of any columns, here and below
        return sa.select(of.c.ordering_key.label("key"), dialect.is_open(of).label("open"))

    after = other.c.ordering_key > sa.bindparam("after", type_=sa.Text()) if begun else sa.true()
    keys = state(row).where(row.c.position == first(after)).cte("keys", recursive=True)
    step = following.c.position == first(other.c.ordering_key > keys.c.key)
    keys = keys.union_all(state(following).select_from(keys.join(following, step)))
    return sa.select(keys.c.key, keys.c.open).limit(_SLICE)
