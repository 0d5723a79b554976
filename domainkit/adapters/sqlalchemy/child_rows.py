"""Rows of child tables, stored and read together with the rows of their roots."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Generic, TypeAlias

import sqlalchemy as sa
from sqlalchemy import RowMapping, Table

from domainkit.adapters.sqlalchemy.children import Children, ChildTable, TablesMapper
from domainkit.adapters.sqlalchemy.mappers import RowMapper, require_storable
from domainkit.adapters.sqlalchemy.statements import KEY
from domainkit.adapters.sqlalchemy.tables import id_form
from domainkit.aggregates import AnyId
from domainkit.ports import AggT

_PLACE, _ROOTS = "place_", "roots_"
"""Parameters of a WHERE clause; they differ from the names of columns, which are the parameters for stored values."""

_ROOTS_PER_STATEMENT: Final = 1000
"""The number of roots whose children one statement reads: a statement of SQLite takes at most 32,766 values."""


class _ChildSql(Generic[AggT]):
    """The statements for one child table of a root."""

    def __init__(self, root: Table, child: ChildTable[AggT, Any], ids: type[AnyId]) -> None:
        table, parent, position = child.table, child.parent, child.position
        self.child: ChildTable[AggT, Any] = child
        self._ids = id_form(table, ids, column=parent)
        self._own = frozenset({parent.key, position.key})
        of_parent = parent == sa.bindparam(KEY, type_=parent.type)
        self.insert: sa.Insert = sa.insert(table).inline()
        self.clear: sa.Delete = sa.delete(table).where(of_parent)
        self._delete = self.clear.where(position == sa.bindparam(_PLACE, type_=position.type))
        self._stored = sa.select(table).where(of_parent)
        self._root_id, self._version = root.c.id.label("root_id_"), root.c.version.label("root_version_")
        self._all = (
            sa.select(self._root_id, self._version, table)
            .select_from(root.outerjoin(table, parent == root.c.id))
            .where(root.c.id.in_(sa.bindparam(_ROOTS, expanding=True)))
            .order_by(position)
        )

    def rows(self, aggregate: AggT) -> list[dict[str, object]]:
        """Return the rows for the children of an aggregate, in the order of their positions."""
        self._ids.key(aggregate.aggregate_id)  # refuses an id that fits the root's column, but is too long for this one
        rows = [dict(self.child.to_row(one)) for one in self.child.children(aggregate)]
        for row in rows:
            self._require(row, rows[0])
            require_storable(row, type(aggregate))
        return rows

    def _require(self, row: Mapping[str, object], first: Mapping[str, object]) -> None:
        """Refuse a row whose columns differ: SQLAlchemy ignores columns that the first of several rows doesn't have."""
        wrong = (row.keys() - set(self.child.table.columns.keys())) | (row.keys() & self._own)
        if wrong or row.keys() != first.keys():
            found = ", ".join(sorted(wrong or row.keys() ^ first.keys()))
            raise ValueError(
                f"child table {self.child.table.name!r}: expected each row to have the same columns of the table, "
                f"without {' and '.join(sorted(self._own))}, got one that differs in {found}; correct to_row"
            )

    def changed(
        self, connection: sa.Connection, key: object, rows: Sequence[Mapping[str, object]]
    ) -> tuple[list[object], list[int]]:
        """Return the positions of the stored rows to delete, and the positions of the rows to insert."""
        place = self.child.position
        stored = {row[place]: row for row in connection.execute(self._stored, {KEY: key}).mappings()}
        kept = {number for number, row in enumerate(rows) if number in stored and self._equal(row, stored[number])}
        return [one for one in stored if one not in kept], [one for one in range(len(rows)) if one not in kept]

    def _equal(self, given: Mapping[str, object], stored: RowMapping) -> bool:
        """Check if a stored row has exactly these values: 1 and True differ here, and so do 1.5 and 1.50."""
        found = [(value, stored[self.child.table.c[key]]) for key, value in given.items()]
        return all(repr(value) == repr(other) and (value == other) is True for value, other in found)

    def delete(self, connection: sa.Connection, key: object, places: Sequence[object]) -> None:
        """Delete the rows at these positions."""
        if places:
            connection.execute(self._delete, [{KEY: key, _PLACE: one} for one in places])

    def store(
        self,
        connection: sa.Connection,
        key: object,
        rows: Sequence[Mapping[str, object]],
        places: Sequence[int],
    ) -> None:
        """Insert the rows at these positions."""
        parent, position = self.child.parent.key, self.child.position.key
        if places:
            connection.execute(self.insert, [{**rows[one], parent: key, position: one} for one in places])

    def read(self, connection: sa.Connection, versions: Mapping[object, int]) -> dict[object, list[RowMapping]]:
        """Return the children's rows by the ids of their roots, without roots whose version has changed since."""
        found: dict[object, list[RowMapping]] = {}
        for row in connection.execute(self._all, {_ROOTS: list(versions)}).mappings():
            key = row[self._root_id]
            if row[self._version] == versions[key]:
                children = found.setdefault(key, [])
                if row[self.child.parent] is not None:  # without children, the join has one row for the root itself
                    children.append(row)
        return found


Rows: TypeAlias = Sequence[Sequence[Mapping[str, object]]]
"""The rows of one aggregate in each child table."""


class ChildRows(Generic[AggT]):
    """The children of a repository's aggregates, in the child tables of its mapper, if it has any.

    Args:
        mapper: a TablesMapper, or a mapper without child tables.
        root: the table of the roots.
        ids: the class of the roots' ids.

    Raises:
        ValueError: a child table doesn't fit the root's table.
    """

    def __init__(self, mapper: RowMapper[AggT] | TablesMapper[AggT], root: Table, ids: type[AnyId]) -> None:
        children, make = _parts(mapper)
        self.from_row: Callable[[RowMapping, Children[AggT]], AggT] = make
        """Makes an aggregate from its row and its children."""
        _require_apart(root, [one.table for one in children])
        for child in children:
            _require_parent(root, child)
        self._root, self._tables = root, [_ChildSql(root, one, ids) for one in children]
        self.none: Children[AggT] = Children({})
        """The children of an aggregate without child tables."""
        self._roots = sa.select(root).where(root.c.id.in_(sa.bindparam(_ROOTS, expanding=True)))
        one = root.c.id == sa.bindparam(KEY, type_=root.c.id.type)
        self._lock = sa.select(root.c.version).where(one).with_for_update()

    def __bool__(self) -> bool:
        """True if there are child tables."""
        return bool(self._tables)

    def rows(self, aggregate: AggT) -> Rows:
        """Return the rows for the children of an aggregate; ValueError if they don't fit their tables."""
        return [one.rows(aggregate) for one in self._tables]

    def insert(self, connection: sa.Connection, key: object, rows: Rows) -> None:
        """Store the rows of a new aggregate."""
        for table, given in zip(self._tables, rows, strict=True):
            table.store(connection, key, given, range(len(given)))

    def replace(self, connection: sa.Connection, key: object, rows: Rows) -> None:
        """Replace the stored rows of an aggregate that differ from the given ones.

        A changed row is deleted, and inserted again: if two rows swap a unique value, the first UPDATE would violate
        the constraint. The caller has locked the root's row.
        """
        changes = [one.changed(connection, key, given) for one, given in zip(self._tables, rows, strict=True)]
        for table, (gone, _) in zip(self._tables, changes, strict=True):
            table.delete(connection, key, gone)
        for table, given, (_, new) in zip(self._tables, rows, changes, strict=True):
            table.store(connection, key, given, new)

    def remove(self, connection: sa.Connection, key: object, *, version: int | None = None) -> None:
        """Delete the rows of an aggregate, if its root exists in this version.

        The root is locked first, as by an update: transactions that lock rows in different orders could deadlock.
        """
        if self._tables:
            stored = connection.execute(self._lock, {KEY: key}).scalar()
            if stored is not None and version in (None, stored):
                for table in self._tables:
                    connection.execute(table.clear, {KEY: key})

    def of(
        self, connection: sa.Connection, rows: Iterable[RowMapping], where: sa.ColumnElement[bool] | None
    ) -> Iterator[tuple[RowMapping, Children[AggT]]]:
        """Yield the rows of roots with their children.

        Args:
            connection: the connection on which the rows were read.
            rows: the rows of the roots.
            where: the condition that the roots meet; a root that is read again has to meet it too.
        """
        left = iter(rows)
        if not self._tables:
            yield from ((row, self.none) for row in left)
        while part := list(islice(left, _ROOTS_PER_STATEMENT)):
            yield from self._with_children(connection, part, where)

    def _with_children(
        self, connection: sa.Connection, rows: Sequence[RowMapping], where: sa.ColumnElement[bool] | None
    ) -> list[tuple[RowMapping, Children[AggT]]]:
        """Return roots with the children of the same version; a root that was updated meanwhile is read again.

        At READ COMMITTED each statement sees everything that was committed before that statement.
        """
        whole: dict[object, tuple[RowMapping, Children[AggT]]] = {}
        asked, found = [row[self._root.c.id] for row in rows], rows
        again = self._roots if where is None else self._roots.where(where)
        while found:
            pending = {row[self._root.c.id]: row for row in found}
            children = self._read(connection, pending)
            whole |= {key: (pending[key], one) for key, one in children.items()}
            stale = [key for key in pending if key not in children]
            found = connection.execute(again, {_ROOTS: stale}).mappings().all() if stale else ()
        return [whole[key] for key in asked if key in whole]

    def _read(self, connection: sa.Connection, roots: Mapping[object, RowMapping]) -> dict[object, Children[AggT]]:
        """Return the children of the roots whose version was still the same when each child table was read."""
        versions = {key: row[self._root.c.version] for key, row in roots.items()}
        found = [(one.child, one.read(connection, versions)) for one in self._tables]
        current = [key for key in roots if all(key in rows for _, rows in found)]
        return {key: Children({child: rows[key] for child, rows in found}) for key in current}


def _parts(
    mapper: RowMapper[AggT] | TablesMapper[AggT],
) -> tuple[tuple[ChildTable[AggT, Any], ...], Callable[[RowMapping, Children[AggT]], AggT]]:
    """Return the child tables of a mapper, and the function that makes an aggregate from its row and its children."""
    if isinstance(mapper, TablesMapper):
        return mapper.child_tables, mapper.from_row
    return (), lambda row, _: mapper.from_row(row)


def _require_apart(root: Table, tables: Sequence[Table]) -> None:
    """Refuse a table that is used twice, has another MetaData than the root, or refers to a child table."""
    seen = {root}
    names = {one.fullname for one in tables}
    for table in tables:
        if table in seen:
            raise ValueError(
                f"child table {table.name!r}: expected each table once, got one that is in use already; "
                "use another table"
            )
        if table.metadata is not root.metadata:
            raise ValueError(
                f"child table {table.name!r}: expected a table in the MetaData of {root.name!r}, got one in another; "
                "create both in the same MetaData"
            )
        refers = {one.target_fullname.rpartition(".")[0] for one in table.foreign_keys}
        if refers & names:
            raise ValueError(
                f"child table {table.name!r}: expected no foreign key to a child table, since changed rows are "
                f"replaced, got one to {', '.join(sorted(refers & names))}; refer to {root.name!r} only"
            )
        seen.add(table)


def _require_parent(root: Table, child: ChildTable[AggT, Any]) -> None:
    """Refuse a column for the parent's id whose foreign key refers to another column than the root's id."""
    refers = sorted({one.target_fullname for one in child.parent.foreign_keys})
    wanted = f"{root.fullname}.{root.c.id.name}"
    if refers and wanted not in refers:
        raise ValueError(
            f"child table {child.table.name!r}: expected the column {child.parent.key} to refer to {wanted}, got a "
            f"foreign key to {', '.join(refers)}; pass another column as `parent=`"
        )
