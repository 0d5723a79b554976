"""Aggregates in several tables: a row of the root, and rows of child tables."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import RowMapping, Table

from domainkit.ports import AggT

ChildT = TypeVar("ChildT")


class ChildTable(ABC, Generic[AggT, ChildT]):
    """A table for the children of aggregates, with one row for each child. Derive a class that maps a child to its row.

    The repository itself fills the columns for the parent's id and for the position, which counts the children of one
    parent from 0. It replaces the rows of changed children, so a foreign key in another table should refer to the root.

    >>> from attrs import frozen
    >>> from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text, Uuid
    >>> from domainkit import AggregateRoot
    >>> @frozen
    ... class Shelf(AggregateRoot):
    ...     titles: tuple[str, ...] = ()
    >>> rows = Table(
    ...     "titles",
    ...     MetaData(),
    ...     Column("shelf_id", Uuid(), primary_key=True),
    ...     Column("position", Integer, primary_key=True),
    ...     Column("title", Text, nullable=False),
    ... )
    >>> class Titles(ChildTable[Shelf, str]):
    ...     def children(self, aggregate: Shelf) -> tuple[str, ...]:
    ...         return aggregate.titles
    ...
    ...     def to_row(self, child: str) -> Mapping[str, object]:
    ...         return {"title": child}
    ...
    ...     def from_row(self, row: RowMapping) -> str:
    ...         return str(row["title"])
    >>> Titles(rows, parent=rows.c.shelf_id).position.key
    'position'

    Args:
        table: a table in the MetaData of the root's table.
        parent: the column for the id of the root, with the same type as the root's `id`; a foreign key is optional.
        position: the integer column for the position; by default the column `position`. Together with `parent` it
            must be the primary key, or unique.

    Raises:
        ValueError: one of them is not a column of the table.
    """

    def __init__(self, table: Table, *, parent: sa.Column[Any], position: sa.Column[Any] | None = None) -> None:
        place = table.columns.get("position") if position is None else position
        if parent.table is not table or place is None or place.table is not table:
            raise ValueError(
                f"child table {table.name!r}: expected two of its columns, got {parent} for the parent's id and "
                f"{place} for the position; pass `parent=`, and `position=` if that column has another name"
            )
        counts = isinstance(place.type, sa.Integer)
        if not counts:
            raise ValueError(
                f"child table {table.name!r}: expected the column {place.key} to have an integer type, got "
                f"{place.type!r}; change its type"
            )
        _require_unique(table, parent, place)
        self.table: Table = table
        """The table of the children."""
        self.parent: sa.Column[Any] = parent
        """The column for the id of the root."""
        self.position: sa.Column[Any] = place
        """The column for the position of a child."""

    @abstractmethod
    def children(self, aggregate: AggT, /) -> Iterable[ChildT]:
        """Return the children of an aggregate in their order."""

    @abstractmethod
    def to_row(self, child: ChildT, /) -> Mapping[str, object]:
        """Return the values of the columns, by their keys: the same columns for each child.

        They don't include the parent's id and the position, which the repository fills.
        """

    @abstractmethod
    def from_row(self, row: RowMapping, /) -> ChildT:
        """Return the child, made from all columns of its row.

        An exception of this method reaches the repository's caller, with a note that names the table and the position.
        """


class Children(Generic[AggT]):
    """The stored children of one aggregate: `children[table]` returns those in a child table, in order."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Mapping[ChildTable[AggT, Any], Sequence[RowMapping]]) -> None:
        self._rows = rows

    def __getitem__(self, table: ChildTable[AggT, ChildT]) -> tuple[ChildT, ...]:
        """Return the children in a child table.

        Raises:
            ValueError: the mapper was made without this child table.
        """
        if table not in self._rows:
            known = ", ".join(one.table.name for one in self._rows)
            raise ValueError(
                f"Children: expected a child table of the mapper ({known}), got {table.table.name!r}; "
                "pass it to the mapper"
            )
        return tuple([_child(table, row) for row in self._rows[table]])


class TablesMapper(ABC, Generic[AggT]):
    """Maps aggregates to rows of your own table and of child tables, and back.

    See Fowler, Patterns of Enterprise Application Architecture (2002), Dependent Mapping.

    Args:
        first: a child table.
        others: more of them. Rows are written in this order.
    """

    def __init__(self, first: ChildTable[AggT, Any], /, *others: ChildTable[AggT, Any]) -> None:  # Any: of any child
        self.child_tables: tuple[ChildTable[AggT, Any], ...] = (first, *others)
        """The child tables."""

    @abstractmethod
    def to_row(self, aggregate: AggT, /) -> Mapping[str, object]:
        """Return the values of the root's columns, as for RowMapper; each ChildTable maps the children."""

    @abstractmethod
    def from_row(self, row: RowMapping, children: Children[AggT], /) -> AggT:
        """Return the aggregate, made from the root's row, as for RowMapper, and the children.

        An exception of this method reaches the repository's caller, with a note that names the table and the id.
        """


def _child(table: ChildTable[AggT, ChildT], row: RowMapping) -> ChildT:
    try:
        return table.from_row(row)
    except Exception as error:
        error.add_note(f"child table {table.table.name!r}, position {row[table.position]}")
        raise


def _require_unique(table: Table, parent: sa.Column[Any], position: sa.Column[Any]) -> None:
    keys = [one for one in table.constraints if isinstance(one, sa.PrimaryKeyConstraint | sa.UniqueConstraint)]
    unique = [*keys, *(index for index in table.indexes if index.unique)]
    if all(set(one.columns) != {parent, position} for one in unique):
        raise ValueError(
            f"child table {table.name!r}: expected a primary key or unique constraint of {parent.key} and "
            f"{position.key} together, got a table without one; add it"
        )
