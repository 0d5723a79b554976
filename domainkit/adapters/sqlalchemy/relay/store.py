"""Store of a relay: leases rows of the outbox, and stores their outcomes, each call in one transaction.

Every statement that writes is restricted to rows that the caller still leases: after a lease has expired, another relay
may have sent them.
"""

from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from os import getpid
from socket import gethostname
from time import monotonic
from types import MappingProxyType
from typing import Literal
from uuid import uuid4

from attrs import frozen
from sqlalchemy import Table, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit.adapters.sqlalchemy.relay.claims import Claim, Claims
from domainkit.adapters.sqlalchemy.relay.dialects import Dialect

_FREE = MappingProxyType({"leased_by": None, "leased_until": None})
_MAX_DELETED = 1_000
"""The maximum number of rows that one transaction deletes, to keep it short."""


@frozen
class Outcome:
    """Outcome of a row: the count of RelayRound that it adds to, an error or remark, and the wait before a retry."""

    kind: Literal["sent", "duplicate", "failed", "parked", "left"]
    reason: str | None = None
    delay: timedelta = timedelta(0)


class RelayStore:
    """Claims rows, and stores their outcomes.

    Args:
        engine: the engine of the database.
        table: the outbox.
        batch: the maximum number of rows of a claim.
        lease: the duration of a lease.
    """

    def __init__(self, engine: AsyncEngine, table: Table, *, batch: int, lease: timedelta) -> None:
        self.lease: timedelta = lease
        self._table, self._dialect = table, Dialect(engine.dialect.name)
        dialect = self._dialect
        # the claims rely on this level, and the engine may have another one
        self._engine = engine.execution_options(isolation_level="READ COMMITTED") if dialect.is_postgresql else engine
        self._claims = Claims(table, dialect, batch=batch, lease=lease)
        self._names = (f"{gethostname()}:{getpid()}:{uuid4().hex[:8]}:{number}" for number in count(1))
        mine = update(table).where(table.c.leased_by == bindparam("token"), table.c.sent_at.is_(None))
        some = mine.where(dialect.among(table.c.position, "positions"))
        self._one = mine.where(table.c.position == bindparam("one")).values(**_FREE)
        self._sent = some.values(sent_at=dialect.now(), reason=bindparam("why"), not_before=None, **_FREE)
        self._free = some.values(**_FREE)
        self._renew = mine.values(leased_until=dialect.now(lease))

    async def claim(self, limit: int, *, thorough: bool) -> Claim:
        """Lease up to `limit` rows; with `thorough`, finding no row means that there is no open row."""
        token, ends = next(self._names), monotonic() + self.lease.total_seconds()
        async with self._engine.begin() as connection:
            return Claim(token, await self._claims.claim(connection, token, limit, thorough=thorough), ends)

    async def write(self, token: str, outcomes: Mapping[int, Outcome]) -> None:
        """Store the outcomes of rows, by their positions, in one transaction."""
        sent: dict[str | None, list[int]] = {}
        others: dict[int, Outcome] = {}
        for position, outcome in outcomes.items():
            if outcome.kind in {"sent", "duplicate"}:
                sent.setdefault(outcome.reason, []).append(position)
            else:
                others[position] = outcome
        async with self._engine.begin() as connection:
            for reason, positions in sent.items():
                await connection.execute(self._sent, {"token": token, "positions": positions, "why": reason})
            for position, outcome in others.items():
                until = self._dialect.now(outcome.delay)
                changed = self._one.values(**{"parked_at" if outcome.kind == "parked" else "not_before": until})
                if outcome.kind != "left":
                    changed = changed.values(attempts=self._table.c.attempts + 1, reason=outcome.reason)
                await connection.execute(changed, {"token": token, "one": position})

    async def free(self, token: str, positions: list[int]) -> None:
        """Release rows, so that any relay may claim them at once."""
        async with self._engine.begin() as connection:
            await connection.execute(self._free, {"token": token, "positions": positions})

    async def renew(self, token: str) -> int:
        """Renew the leases of a token, and return their number."""
        async with self._engine.begin() as connection:
            return (await connection.execute(self._renew, {"token": token})).rowcount

    async def clean(self, retention: timedelta) -> tuple[int, bool]:
        """Delete rows whose retention is over; return their number, and True if there may be more."""
        columns = self._table.c
        old = select(columns.position).where(columns.sent_at < self._dialect.now(-retention))
        some = old.order_by(columns.sent_at).limit(_MAX_DELETED).with_for_update(skip_locked=True)
        async with self._engine.begin() as connection:
            deleted = (await connection.execute(delete(self._table).where(columns.position.in_(some)))).rowcount
        return deleted, deleted == _MAX_DELETED
