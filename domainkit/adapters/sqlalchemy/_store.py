"""The outbox as a relay sees it: each call is one transaction."""

from datetime import timedelta
from itertools import count
from os import getpid
from socket import gethostname
from time import monotonic
from uuid import uuid4

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit.adapters.sqlalchemy._claims import Claim, Claims, Dialect
from domainkit.adapters.sqlalchemy._outcomes import Ledger, Outcomes


class RelayStore:
    """Claims rows, and writes down what became of them.

    Args:
        engine: of the database.
        table: the outbox.
        batch: how many rows are claimed at most.
        lease: for how long.
    """

    def __init__(self, engine: AsyncEngine, table: Table, *, batch: int, lease: timedelta) -> None:
        dialect = Dialect(engine.dialect.name)
        # the claims are thought through for it, and the engine may have been made for another
        self._engine = engine.execution_options(isolation_level="READ COMMITTED") if dialect.is_postgresql else engine
        self._claims = Claims(table, dialect, batch=batch, lease=lease)
        self._ledger = Ledger(table, dialect, lease=lease)
        self._names = (f"{gethostname()}:{getpid()}:{uuid4().hex[:8]}:{number}" for number in count(1))
        self.lease = lease

    async def claim(self, limit: int, *, thorough: bool) -> Claim:
        """Lease rows: up to `limit`; with `thorough` it is sure that there are none where it finds none."""
        token, ends = next(self._names), monotonic() + self.lease.total_seconds()
        async with self._engine.begin() as connection:
            return Claim(token, await self._claims.claim(connection, token, limit, thorough=thorough), ends)

    async def write(self, token: str, outcomes: Outcomes) -> None:
        """Write down what became of rows, where there is something to write."""
        if any((outcomes.sent, outcomes.failed, outcomes.deferred)):
            async with self._engine.begin() as connection:
                await self._ledger.write(connection, token, outcomes)

    async def free(self, token: str, positions: list[int]) -> None:
        """Give rows back."""
        async with self._engine.begin() as connection:
            await self._ledger.free(connection, token, positions)

    async def renew(self, token: str) -> int:
        """Make leases begin anew, and return how many there were."""
        async with self._engine.begin() as connection:
            return await self._ledger.renew(connection, token)

    async def clean(self, retention: timedelta) -> tuple[int, bool]:
        """Delete some rows that were sent long ago; return how many, and whether there may be more."""
        async with self._engine.begin() as connection:
            return await self._ledger.clean(connection, retention)
