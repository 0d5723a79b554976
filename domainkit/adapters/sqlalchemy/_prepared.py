"""Statements compiled once: SQLAlchemy looks each up in its cache, and each parameter's type, at every execution."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Dialect, Insert, Update
from sqlalchemy.engine import CursorResult

Row = Mapping[str, Any]  # Any: values of columns of all types


@frozen
class _Compiled:
    """A statement as a driver takes it."""

    text: str
    positions: Sequence[str] | None
    processors: Iterable[tuple[str, Callable[[Any], Any]]]

    def taken(self, row: Row) -> Any:  # Any: a tuple or a dict, as the driver wants it
        values = dict(row)
        for name, process in self.processors:
            values[name] = process(values[name])
        return values if self.positions is None else tuple([values[name] for name in self.positions])


class Prepared:
    """A statement that writes rows.

    Args:
        statement: an INSERT, or an UPDATE that has its conditions.
        parameters: the keys of all values that each row has; without them SQLAlchemy finds them in each row.
    """

    def __init__(self, statement: Insert | Update, parameters: Sequence[str]) -> None:
        self._statement = statement
        self._parameters = parameters
        self._compiled: dict[tuple[str, str, str], _Compiled | None] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> CursorResult[Any]:
        """Execute it with the values of one row, or of several in their order."""
        compiled = self._compiled_for(connection.dialect) if self._parameters else None
        if compiled is None or connection.get_execution_options().get("schema_translate_map"):
            return connection.execute(self._statement, rows if len(rows) > 1 else rows[0])
        taken = [compiled.taken(row) for row in rows]
        return connection.exec_driver_sql(compiled.text, taken if len(taken) > 1 else taken[0])

    def _compiled_for(self, dialect: Dialect) -> _Compiled | None:
        key = dialect.name, dialect.driver, dialect.paramstyle
        if key not in self._compiled:
            self._compiled[key] = self._compile(dialect)
        return self._compiled[key]

    def _compile(self, dialect: Dialect) -> _Compiled | None:
        """Return the statement as the driver takes it; None where a column has a default that Python computes."""
        columns = [key for key in self._parameters if key in self._statement.table.columns]
        compiled = self._statement.compile(dialect=dialect, column_keys=columns)
        types = {name: parameter.type.dialect_impl(dialect) for parameter, name in compiled.bind_names.items()}
        if not set(types) <= set(self._parameters):
            return None
        processors = ((name, kind.bind_processor(dialect)) for name, kind in types.items())
        return _Compiled(
            str(compiled),
            compiled.positiontup if compiled.positional else None,
            tuple((name, process) for name, process in processors if process is not None),
        )
