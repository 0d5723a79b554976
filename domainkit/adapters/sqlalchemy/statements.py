"""Statements that are made once for a table, and compiled once for a driver.

That saves time: at every execution, SQLAlchemy looks up the statement in its cache, and the type of each parameter.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from domainkit.adapters.sqlalchemy.lean import Written, send
from domainkit.adapters.sqlalchemy.lean_reads import LeanConnection

_Compiled: TypeAlias = tuple[str, Callable[[Mapping[str, object]], Any]]
"""The text of a statement, and a function that converts a row to the parameters of the driver, a tuple or a dict."""

_Converters: TypeAlias = Sequence[tuple[int, Callable[[Any], Any]]]
"""The places of columns whose values the driver doesn't convert, with the functions that do."""


class Prepared:
    """A statement that writes rows.

    Args:
        statement: an INSERT, an UPDATE with a WHERE clause, or a SELECT around others.
        parameters: the keys that every row has; if empty, SQLAlchemy finds them in each row.
    """

    def __init__(self, statement: sa.Insert | sa.Update | sa.Select[Any], parameters: Sequence[str]) -> None:
        self._statement = statement
        self._parameters = parameters
        self._compiled: dict[tuple[str, str, str], _Compiled | None] = {}

    def run(self, connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> Written:
        """Execute the statement with the values of one row, or of several rows in order."""
        compiled = self._for(connection)
        if compiled is None:
            return connection.execute(self._statement, rows if len(rows) > 1 else rows[0])
        text, parameters_of = compiled
        parameters = [parameters_of(row) for row in rows]
        return send(connection, text, parameters if len(parameters) > 1 else parameters[0])

    def scalar(self, connection: sa.Connection, row: Mapping[str, object]) -> Any:  # Any: of any column
        """Execute a SELECT with the values of a row, and return the first value of its result."""
        compiled = self._for(connection)
        if compiled is None:
            return connection.execute(self._statement, row).scalar()
        text, parameters_of = compiled
        return connection.exec_driver_sql(text, parameters_of(row)).scalar()

    def _for(self, connection: sa.Connection) -> _Compiled | None:
        """Return the statement compiled for the driver of a connection; None if SQLAlchemy has to do it."""
        dialect = connection.dialect
        key = dialect.name, dialect.driver, dialect.paramstyle
        if key not in self._compiled:
            self._compiled[key] = self._compile(dialect) if self._parameters else None
        compiled = self._compiled[key]
        if compiled is None or connection.get_execution_options().get("schema_translate_map"):
            return None
        return compiled

    def _compile(self, dialect: sa.Dialect) -> _Compiled | None:
        """Return the statement compiled for the driver; None if a column has a default that Python computes."""
        columns: list[str] | None = None
        if not isinstance(self._statement, sa.Select):
            columns = [key for key in self._parameters if key in self._statement.table.columns]
        compiled = self._statement.compile(dialect=dialect, column_keys=columns)
        if not set(compiled.bind_names.values()) <= set(self._parameters):
            return None
        return str(compiled), _binder(compiled, dialect)


def _binder(compiled: SQLCompiler, dialect: sa.Dialect) -> Callable[[Mapping[str, object]], Any]:
    """Return the function that converts values to the parameters of the driver."""
    types = {name: parameter.type.dialect_impl(dialect) for parameter, name in compiled.bind_names.items()}
    found = ((name, kind.bind_processor(dialect)) for name, kind in types.items())
    processors = [(name, process) for name, process in found if process is not None]
    positions = compiled.positiontup if compiled.positional else None
    escaped = {} if compiled.positional else dict(compiled.escaped_bind_names)  # of columns with % or ( in a name

    def parameters_of(row: Mapping[str, object]) -> Any:  # Any: as _Compiled says
        values = dict(row)
        for name, process in processors:
            values[name] = process(values[name])
        for name, sent in escaped.items():
            values[sent] = values.pop(name)
        return values if positions is None else tuple([values[name] for name in positions])

    return parameters_of


class Query:
    """A SELECT of columns whose types need no more than a value to convert it: ids, numbers and texts.

    Args:
        statement: the SELECT.
    """

    def __init__(self, statement: sa.Select[Any]) -> None:
        self._statement = statement
        self._compiled: tuple[sa.Dialect, _Compiled, _Converters] | None = None

    def rows(self, connection: sa.Connection | LeanConnection, values: Mapping[str, object]) -> Sequence[Any]:
        """Return the rows for the values of the parameters."""
        if isinstance(connection, sa.Connection):
            return connection.execute(self._statement, values).all()
        if self._compiled is None or self._compiled[0] is not connection.dialect:
            self._compiled = self._compile(connection.dialect)
        _, (text, parameters_of), converters = self._compiled
        rows = connection.fetch(text, parameters_of(values))
        return [_converted(row, converters) for row in rows] if converters else rows

    def _compile(self, dialect: sa.Dialect) -> tuple[sa.Dialect, _Compiled, _Converters]:
        compiled = self._statement.compile(dialect=dialect)
        types = [column.type.dialect_impl(dialect) for column in self._statement.selected_columns]
        found = [(place, kind.result_processor(dialect, None)) for place, kind in enumerate(types)]
        converters = [(place, convert) for place, convert in found if convert is not None]
        return dialect, (str(compiled), _binder(compiled, dialect)), converters


def _converted(row: Sequence[Any], converters: _Converters) -> Sequence[Any]:
    values = list(row)
    for place, convert in converters:
        values[place] = convert(values[place])
    return values


KEY, EXPECTED = "key_", "expected_"
"""Parameters of a WHERE clause; they differ from the names of columns, which are the parameters for stored values."""


class Statements:
    """The statements of a repository for one table.

    Args:
        table: a table with a unique column `id`, and a column `version`.
        dialect: SQLAlchemy's name of the database.
        order_by: the order of `retrieve_all`; by default the column `position`.
        columns: further columns that the table must have, and that every row sets; empty if only a mapper knows them.

    Raises:
        ValueError: the table lacks a column, its `id` is not unique, or the database is neither SQLite nor PostgreSQL.
    """

    def __init__(
        self, table: sa.Table, dialect: str, *, order_by: sa.ColumnElement[Any] | None, columns: frozenset[str]
    ) -> None:
        if dialect not in {"sqlite", "postgresql"}:
            raise ValueError(
                f"SqlCrudRepository: expected a table in SQLite or PostgreSQL, got one in {dialect}; use one of them"
            )
        _check(table, {"id", "version", *columns, *(() if order_by is not None else ("position",))})
        self_id = table.c.id == sa.bindparam(KEY, type_=table.c.id.type)
        as_expected = table.c.version == sa.bindparam(EXPECTED, type_=table.c.version.type)
        state = ("id", "version", *sorted(columns))
        self.new: sa.Insert = insert_new(table, dialect, table.c.id)
        self.insert: Prepared = Prepared(self.new, state if columns else ())
        self.changed: sa.Update = sa.update(table).where(self_id, as_expected)
        self.update: Prepared = Prepared(self.changed, (*state, KEY, EXPECTED) if columns else ())
        self.delete: sa.Executable = sa.delete(table).where(self_id)
        self.delete_version: sa.Delete = sa.delete(table).where(self_id, as_expected)
        self.version: sa.Executable = sa.select(table.c.version).where(self_id)
        self.order: sa.ColumnElement[Any] = table.c.position if order_by is None else order_by
        read = sa.select(*(table.c[name] for name in state)) if columns else sa.select(table)
        self.one: Query = Query(read.where(self_id))
        self.all: Query = Query(read.order_by(self.order))


def insert_new(table: sa.Table, dialect: str, *key: sa.Column[Any]) -> sa.Insert:  # Any: columns of any type
    """Return an INSERT that stores nothing if the key exists: an error would abort a transaction of PostgreSQL.

    Another column that must be unique still raises an IntegrityError.
    """
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    made: sa.Insert = insert.on_conflict_do_nothing(index_elements=key)
    return made.inline().execution_options(preserve_rowcount=True)  # the caller needs it, but no positions


def _check(table: sa.Table, wanted: set[str]) -> None:
    missing = sorted(wanted - set(table.columns.keys()))
    if missing:
        raise ValueError(
            f"table {table.name!r}: expected the columns {', '.join(sorted(wanted))}, got a table without "
            f"{', '.join(missing)}; make it with aggregate_table, or pass a mapper for your own table, which needs id, "
            "version, and either position or `order_by=`"
        )
    keys = [one for one in table.constraints if isinstance(one, sa.PrimaryKeyConstraint | sa.UniqueConstraint)]
    unique = [*keys, *(index for index in table.indexes if index.unique)]
    if all(one.columns.keys() != ["id"] for one in unique):
        raise ValueError(
            f"table {table.name!r}: expected a primary key or unique constraint of the column id alone, got a table "
            "without one; add it"
        )
