"""SQL that differs between the databases of an outbox."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domainkit.adapters.sqlalchemy.tables import UtcDateTime

PLANNING = sa.text("SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)")
"""Makes PostgreSQL use the index, for this transaction. An outbox grows faster than its statistics: with those of an
empty table, PostgreSQL would read and sort all rows."""


class Dialect:
    """SQL that differs between SQLite and PostgreSQL, and the clock for the leases.

    The clock is PostgreSQL's own, so that the clocks of the relays' machines don't matter; for SQLite, on one machine,
    it is Python's.
    """

    def __init__(self, name: str) -> None:
        if name not in {"sqlite", "postgresql"}:
            raise ValueError(f"Relay: expected an outbox in SQLite or PostgreSQL, got one in {name}; use one of them")
        self.is_postgresql: bool = name == "postgresql"

    def now(self, plus: timedelta = timedelta(0)) -> sa.ColumnElement[datetime]:
        """Return the time at which a statement runs, plus `plus`, which may be negative."""
        if not self.is_postgresql:
            return sa.bindparam(None, callable_=lambda: datetime.now(UTC) + plus, type_=UtcDateTime())
        clock = sa.func.clock_timestamp()
        return sa.type_coerce(clock + sa.literal(plus, sa.Interval()) if plus else clock, UtcDateTime())

    def among(self, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
        """Return the condition that a column has one of the values of the parameter `name`, however many there are."""
        if self.is_postgresql:
            return column == sa.any_(sa.bindparam(name, type_=sa.ARRAY(column.type)))
        return column.in_(sa.select(self.values(name, column).c.value))

    def values(self, name: str, column: sa.ColumnElement[Any]) -> sa.FromClause:
        """Return the values of the parameter `name`, as rows with a column `value`."""
        if self.is_postgresql:
            array = sa.bindparam(name, type_=sa.ARRAY(column.type))
            return sa.func.unnest(array).table_valued("value").render_derived()
        return sa.func.json_each(sa.bindparam(name, type_=sa.JSON())).table_valued("value")

    def is_open(self, table: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return the condition that an unsent row itself may be claimed, regardless of those before it."""
        columns = table.c
        return sa.and_(
            columns.parked_at.is_(None),
            sa.or_(columns.not_before.is_(None), columns.not_before <= self.now()),
            sa.or_(columns.leased_until.is_(None), columns.leased_until <= self.now()),
        )
