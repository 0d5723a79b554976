"""What became of the rows that a relay had leased: SQL that writes it down.

Every statement holds for rows alone that are still leased by the one who writes: after its lease is over, another relay
may have sent them, and knows better.
"""

from collections.abc import Iterable
from datetime import timedelta
from types import MappingProxyType

from attrs import define, field, frozen
from sqlalchemy import CursorResult, Table, Update, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domainkit.adapters.sqlalchemy._claims import Dialect

_FREE = MappingProxyType({"leased_by": None, "leased_until": None})
_CLEANED = 1_000
"""How many rows one transaction deletes at most, so that nobody waits long."""


@frozen
class Failed:
    """A message that was refused: when it may be tried again, or that it is parked, and the name of the error."""

    position: int
    reason: str
    delay: timedelta
    parked: bool


@define
class Outcomes:
    """What is not written down yet."""

    sent: list[int] = field(factory=list)
    failed: list[Failed] = field(factory=list)
    deferred: dict[int, timedelta] = field(factory=dict)

    def positions(self) -> Iterable[int]:
        """Return the rows that it tells of."""
        yield from self.sent
        yield from (one.position for one in self.failed)
        yield from self.deferred


class Ledger:
    """The statements that write outcomes, for one table.

    Args:
        table: the outbox.
        dialect: of its database.
        lease: for how long a lease is renewed.
    """

    def __init__(self, table: Table, dialect: Dialect, *, lease: timedelta) -> None:
        self._table = table
        self._dialect = dialect
        mine = update(table).where(table.c.leased_by == bindparam("token"), table.c.sent_at.is_(None))
        some = mine.where(dialect.among(table.c.position, "positions"))
        self._one = mine.where(table.c.position == bindparam("one"))
        self._sent = some.values(sent_at=dialect.now(), reason=None, not_before=None, **_FREE)
        self._free = some.values(**_FREE)
        self._renew = mine.values(leased_until=dialect.after(lease))

    async def write(self, connection: AsyncConnection, token: str, outcomes: Outcomes) -> None:
        """Write outcomes in an open transaction: a row that holds back its key before those behind it are free."""
        if outcomes.sent:
            await connection.execute(self._sent, {"token": token, "positions": outcomes.sent})
        for failed in outcomes.failed:
            await connection.execute(self._failed(failed), {"token": token, "one": failed.position})
        for position, delay in outcomes.deferred.items():
            later = self._one.values(not_before=self._dialect.after(delay), **_FREE)
            await connection.execute(later, {"token": token, "one": position})

    async def free(self, connection: AsyncConnection, token: str, positions: list[int]) -> None:
        """Give rows back in an open transaction: any relay may claim them at once."""
        await connection.execute(self._free, {"token": token, "positions": positions})

    async def renew(self, connection: AsyncConnection, token: str) -> int:
        """Make the leases begin anew in an open transaction, and return how many there were."""
        return _count(await connection.execute(self._renew, {"token": token}))

    async def clean(self, connection: AsyncConnection, retention: timedelta) -> tuple[int, bool]:
        """Delete rows sent long ago, in an open transaction; return how many, and whether more may be there."""
        columns = self._table.c
        old = select(columns.position).where(columns.sent_at < self._dialect.after(-retention))
        some = old.order_by(columns.sent_at).limit(_CLEANED).with_for_update(skip_locked=True)
        count = _count(await connection.execute(delete(self._table).where(columns.position.in_(some))))
        return count, count == _CLEANED

    def _failed(self, failed: Failed) -> Update:
        dialect, columns = self._dialect, self._table.c
        until = {"parked_at": dialect.now()} if failed.parked else {"not_before": dialect.after(failed.delay)}
        return self._one.values(attempts=columns.attempts + 1, reason=failed.reason, **until, **_FREE)


def _count(result: "CursorResult[object]") -> int:
    return result.rowcount
