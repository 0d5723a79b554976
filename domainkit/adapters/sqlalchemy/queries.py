"""Rows in a total order, page by page: each page starts after the values of the last row, without an offset.

This is called keyset paging. See Winand, SQL Performance Explained (2012), Paging through results: https://use-the-index-luke.com/no-offset.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.sql.operators import desc_op

OrderBy: TypeAlias = sa.ColumnElement[Any] | Sequence[sa.ColumnElement[Any]]  # Any: columns of any type
"""A column, such as `table.c.title` or `table.c.title.desc()`, or several."""


class Keyset:
    """The order of the rows of a table, and its pages; rows with equal values are ordered by `id`.

    Args:
        table: a table with a unique column `id`.
        order_by: non-nullable columns of the table: databases differ in where they sort NULL.

    Raises:
        ValueError: one of them is not a column of the table, or is nullable.
    """

    def __init__(self, table: sa.Table, order_by: OrderBy) -> None:
        self._table = table
        given = [order_by] if isinstance(order_by, sa.ColumnElement) else list(order_by)
        self._order = given if _is_total(table, given) else [*given, table.c.id]
        self._columns = [(_column(table, one), _descends(one)) for one in self._order]

    def key_of(self, condition: sa.ColumnElement[bool]) -> sa.Select[Any]:  # Any: values of columns of any type
        """Return the statement that reads the key of a row: the values after which `page` starts."""
        return sa.select(*(column for column, _ in self._columns)).where(condition)

    def key(self, row: sa.RowMapping) -> Sequence[object]:
        """Return the key of a row: the values after which `page` starts."""
        return [row[column] for column, _ in self._columns]

    def page(
        self, where: sa.ColumnElement[bool] | None, after: Sequence[object] | None, limit: int | None
    ) -> sa.Select[Any]:  # Any: as above
        """Return the statement for the rows of one page."""
        conditions = [] if where is None else [where]
        if after is not None:
            conditions.append(self._beyond(after))
        return sa.select(self._table).where(*conditions).order_by(*self._order).limit(limit)

    def _beyond(self, key: Sequence[object]) -> sa.ColumnElement[bool]:
        """Return `a >= A AND (a > A OR a = A AND b > B)`; databases can use an index for the first condition."""
        *before, (column, descends) = self._columns
        beyond: sa.ColumnElement[bool] = column < key[-1] if descends else column > key[-1]
        for (column, descends), value in reversed(list(zip(before, key, strict=False))):
            further, begun = (column < value, column <= value) if descends else (column > value, column >= value)
            beyond = sa.and_(begun, sa.or_(further, sa.and_(column == value, beyond)))
        return beyond


def _descends(order: sa.ColumnElement[Any]) -> bool:
    return isinstance(order, sa.UnaryExpression) and order.modifier is desc_op


def _column(table: sa.Table, order: sa.ColumnElement[Any]) -> sa.Column[Any]:
    """Return the column of an element of ORDER BY."""
    column = order.element if isinstance(order, sa.UnaryExpression) else order
    if isinstance(column, sa.Column) and column.table is table and not column.nullable:
        return column
    raise ValueError(
        f"order_by: expected non-nullable columns of the table {table.name!r}, such as table.c.id or "
        f"table.c.id.desc(), got {order}; pass other columns"
    )


def _is_total(table: sa.Table, order: Sequence[sa.ColumnElement[Any]]) -> bool:
    """Check if the columns include `id`, or the whole primary key of the table."""
    columns = {_column(table, one) for one in order}
    return table.c.id in columns or (bool(table.primary_key) and columns.issuperset(table.primary_key.columns))
