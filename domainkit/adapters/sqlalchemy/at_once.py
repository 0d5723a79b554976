"""The change of a row and the events of it as a single statement of PostgreSQL: one trip to the server, and back.

See https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.dialects.postgresql import ARRAY

from domainkit.adapters.sqlalchemy.engines import is_usual
from domainkit.adapters.sqlalchemy.outbox import COLUMNS, Outbox, OutboxRow
from domainkit.adapters.sqlalchemy.statements import Prepared, Statements

T = TypeVar("T")

_DRIVERS = frozenset({"psycopg", "psycopg_async"})
"""The drivers that send a statement with its parameters at once, and turn lists into arrays."""


@frozen
class Write(Generic[T]):
    """Work that stores something, for a transaction, and for a connection on which each statement commits by itself.

    Args:
        in_transaction: does it by statements in an open transaction.
        at_once: does it by one statement; None if that is not possible.
    """

    in_transaction: Callable[[sa.Connection], T]
    at_once: Callable[[sa.Connection], T] | None = None


def commits_at_once(engine: sa.Engine) -> bool:
    """Return True if a statement on a connection in autocommit does the same as a transaction of this engine."""
    return engine.dialect.driver in _DRIVERS and is_usual(engine)


class AtOnce:
    """The statements that write a row of a table, and its events into an outbox if it was written.

    Args:
        table: the table of the row.
        statements: the same statements without events.
        outbox: stores the events.
    """

    def __init__(self, table: sa.Table, statements: Statements, outbox: Outbox) -> None:
        self._table, self._statements, self._outbox = table, statements, outbox
        self._computed = {one.key for one in table.columns if one.default is not None or one.onupdate is not None}
        self._made: dict[tuple[object, ...], Prepared] = {}

    def fits(self, row: Mapping[str, object]) -> bool:
        """Return True if the row has all columns that SQLAlchemy would compute, and no unknown column."""
        return self._computed <= row.keys() <= set(self._table.columns.keys())

    def insert(self, connection: sa.Connection, row: Mapping[str, object], events: Sequence[OutboxRow]) -> bool:
        """Store a new row with its events; return False if its id exists: then nothing is stored."""
        return self._run("insert", connection, row, {}, events)

    def update(
        self,
        connection: sa.Connection,
        row: Mapping[str, object],
        guard: Mapping[str, object],
        events: Sequence[OutboxRow],
    ) -> bool:
        """Change a row, and store those events that are not stored yet; return False if no row meets the guard."""
        return self._run("update", connection, row, guard, events)

    def delete(self, connection: sa.Connection, guard: Mapping[str, object], events: Sequence[OutboxRow]) -> bool:
        """Delete a row, and store the events; return False if no row meets the guard."""
        return self._run("delete", connection, {}, guard, events)

    def _run(
        self,
        kind: str,
        connection: sa.Connection,
        row: Mapping[str, object],
        guard: Mapping[str, object],
        events: Sequence[OutboxRow],
    ) -> bool:
        key = (kind, len(events) == 1, *row)
        if key not in self._made:
            parameters = (*map(_of_row, row), *guard, *map(_of_event, COLUMNS))
            self._made[key] = Prepared(self._statement(kind, tuple(row), is_one=len(events) == 1), parameters)
        values: dict[str, object] = {_of_row(name): value for name, value in row.items()} | {**guard}
        for name in COLUMNS:  # for one event there are no arrays, which the driver takes longer to write
            values[_of_event(name)] = events[0][name] if len(events) == 1 else [one[name] for one in events]
        if not self._made[key].scalar(connection, values):
            return False
        self._outbox.committed(connection, events)
        return True

    def _statement(self, kind: str, columns: Sequence[str], *, is_one: bool) -> sa.Select[int]:
        own = self._table.c
        values = {own[one]: sa.bindparam(_of_row(one), type_=own[one].type) for one in columns}
        written: dict[str, sa.Insert | sa.Update | sa.Delete] = {
            "insert": self._statements.new.values(values),
            "update": self._statements.changed.values(values),
            "delete": self._statements.delete_version,
        }
        made = written[kind].returning(sa.literal_column("1").label("one")).cte("made")
        return (
            sa.select(sa.func.count())
            .select_from(made)
            .add_cte(self._stored(made, is_one=is_one, once=kind == "update"))
        )

    def _stored(self, made: sa.CTE, *, is_one: bool, once: bool) -> sa.CTE:
        """Return the INSERT of events, if a row was made: of one, or of several, given as an array for each column."""
        own = self._outbox.table.c
        given: Mapping[str, sa.ColumnElement[Any]]  # Any: of all types
        if is_one:
            given = {name: sa.bindparam(_of_event(name), type_=own[name].type) for name in COLUMNS}
            rows = sa.select(*given.values()).select_from(made)
        else:
            many = self._unnested()
            given = {name: many.c[name] for name in COLUMNS}
            rows = sa.select(*given.values()).select_from(made.join(many, sa.true())).order_by(many.c.number)
        if once:
            rows = rows.where(
                ~sa.exists().where(*(own[key] == given[key] for key in ("message_id", "name", "version")))
            )
        return (
            sa.insert(self._outbox.table)
            .from_select([own[name] for name in COLUMNS], rows, include_defaults=False)
            .cte("stored")
        )

    def _unnested(self) -> sa.TableValuedAlias:
        """Return events that are given as an array for each column, with the number of each."""
        own = self._outbox.table.c
        arrays = [sa.bindparam(_of_event(name), type_=ARRAY(own[name].type)) for name in COLUMNS]
        names = [sa.column(name, own[name].type) for name in COLUMNS]
        return sa.func.unnest(*arrays).table_valued(*names, with_ordinality="number").render_derived()


def _of_row(column: str) -> str:
    """Return the parameter for a column of the row: another name than any column has."""
    return f"row__{column}"


def _of_event(column: str) -> str:
    return f"event__{column}"
