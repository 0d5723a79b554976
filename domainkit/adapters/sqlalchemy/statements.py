"""Statements made once for a table, and compiled once for a driver.

SQLAlchemy looks each statement up in its cache, and each parameter's type, at every execution.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult

_Compiled: TypeAlias = tuple[str, Callable[[Mapping[str, object]], Any]]
"""A statement as a driver takes it, and what makes its parameters of a row: a tuple or a dict, as the driver wants."""


class Prepared:
    """A statement that writes rows.

    Args:
        statement: an INSERT, or an UPDATE that has its conditions.
        parameters: the keys of all values that each row has; without them SQLAlchemy finds them in each row.
    """

    def __init__(self, statement: sa.Insert | sa.Update, parameters: Sequence[str]) -> None:
        self._statement = statement
        self._parameters = parameters
        self._compiled: dict[tuple[str, str, str], _Compiled | None] = {}

    def run(self, connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> CursorResult[Any]:
        """Execute it with the values of one row, or of several in their order."""
        dialect = connection.dialect
        key = dialect.name, dialect.driver, dialect.paramstyle
        if key not in self._compiled:
            self._compiled[key] = self._compile(dialect) if self._parameters else None
        compiled = self._compiled[key]
        if compiled is None or connection.get_execution_options().get("schema_translate_map"):
            return connection.execute(self._statement, rows if len(rows) > 1 else rows[0])
        text, taken_by = compiled
        taken = [taken_by(row) for row in rows]
        return connection.exec_driver_sql(text, taken if len(taken) > 1 else taken[0])

    def _compile(self, dialect: sa.Dialect) -> _Compiled | None:
        """Return the statement as the driver takes it; None where a column has a default that Python computes."""
        columns = [key for key in self._parameters if key in self._statement.table.columns]
        compiled = self._statement.compile(dialect=dialect, column_keys=columns)
        types = {name: parameter.type.dialect_impl(dialect) for parameter, name in compiled.bind_names.items()}
        if not set(types) <= set(self._parameters):
            return None
        found = ((name, kind.bind_processor(dialect)) for name, kind in types.items())
        processors = [(name, process) for name, process in found if process is not None]
        positions = compiled.positiontup if compiled.positional else None

        def taken(row: Mapping[str, object]) -> object:
            values = dict(row)
            for name, process in processors:
                values[name] = process(values[name])
            return values if positions is None else tuple([values[name] for name in positions])

        return str(compiled), taken


KEY, EXPECTED = "key_", "expected_"
"""The parameters of a WHERE: the names of columns are taken by the values that are stored."""


class Statements:
    """The statements that are sent to the database for one table.

    Args:
        table: has `id`, which is unique, and `version`.
        dialect: the name of the database.
        order_by: what `retrieve_all` orders by; the column `position` unless given.
        columns: which it must have besides, and which are set; none where a mapper alone knows them.

    Raises:
        ValueError: it hasn't, or the database is another than SQLite and PostgreSQL.
    """

    def __init__(
        self, table: sa.Table, dialect: str, *, order_by: sa.ColumnElement[Any] | None, columns: frozenset[str]
    ) -> None:
        if dialect not in {"sqlite", "postgresql"}:
            raise ValueError(f"SqlCrudRepository: it knows SQLite and PostgreSQL, not {dialect}")
        _check(table, {"id", "version", *columns, *(() if order_by is not None else ("position",))})
        self_id = table.c.id == sa.bindparam(KEY, type_=table.c.id.type)
        as_expected = table.c.version == sa.bindparam(EXPECTED, type_=table.c.version.type)
        state = ("id", "version", *sorted(columns))
        self.insert: Prepared = Prepared(insert_new(table, dialect, table.c.id), state if columns else ())
        update = sa.update(table).where(self_id, as_expected)
        self.update: Prepared = Prepared(update, (*state, KEY, EXPECTED) if columns else ())
        self.delete: sa.Executable = sa.delete(table).where(self_id)
        self.delete_version: sa.Executable = sa.delete(table).where(self_id, as_expected)
        self.version: sa.Executable = sa.select(table.c.version).where(self_id)
        self.one: sa.Executable = sa.select(table).where(self_id)
        self.order: sa.ColumnElement[Any] = table.c.position if order_by is None else order_by
        self.all: sa.Executable = sa.select(table).order_by(self.order)


def insert_new(table: sa.Table, dialect: str, *key: sa.Column[Any]) -> sa.Insert:  # Any: columns of any type
    """Return an INSERT that stores nothing if the key exists: an error would end a transaction of PostgreSQL.

    Another column that must be unique still raises an IntegrityError.
    """
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    made: sa.Insert = insert.on_conflict_do_nothing(index_elements=key)
    return made.inline().execution_options(preserve_rowcount=True)  # how many, and not which position it got


def _check(table: sa.Table, wanted: set[str]) -> None:
    missing = sorted(wanted - set(table.columns.keys()))
    if missing:
        raise ValueError(
            f"table {table.name!r}: the columns {', '.join(missing)} are missing; make it with aggregate_table, or "
            "give a mapper for a table of your own, which has id and version, and position unless order_by is given"
        )
    keys = [one for one in table.constraints if isinstance(one, sa.PrimaryKeyConstraint | sa.UniqueConstraint)]
    unique = [*keys, *(index for index in table.indexes if index.unique)]
    if all(one.columns.keys() != ["id"] for one in unique):
        raise ValueError(f"table {table.name!r}: the column id must be unique, alone: make it so, or the primary key")
