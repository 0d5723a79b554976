"""The statements of a repository, made once for its table."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Insert, Table, UniqueConstraint, Uuid, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from domainkit.adapters.sqlalchemy._prepared import Prepared

KEY, EXPECTED = "key_", "expected_"
"""The parameters of a WHERE: the names of columns are taken by the values that are stored."""

_NEEDED = frozenset({"id", "version"})


class Statements:
    """What is sent to the database for one table.

    Args:
        table: has `id`, a `sqlalchemy.Uuid` that is unique, and `version`.
        dialect: the name of the database.
        order_by: what `retrieve_all` orders by; the column `position` unless given.
        columns: which it must have besides, and which are set; none where a mapper alone knows them.

    Raises:
        ValueError: it hasn't, or the database is another than SQLite and PostgreSQL.
    """

    def __init__(
        self, table: Table, dialect: str, *, order_by: ColumnElement[Any] | None, columns: frozenset[str]
    ) -> None:
        wanted = _NEEDED | columns | (frozenset() if order_by is not None else {"position"})
        _check(table, wanted)
        self_id = table.c.id == bindparam(KEY, type_=table.c.id.type)
        as_expected = table.c.version == bindparam(EXPECTED, type_=table.c.version.type)
        state = ("id", "version", *sorted(columns))
        self.insert = Prepared(insert_new(table, dialect), state if columns else ())
        self.update = Prepared(update(table).where(self_id, as_expected), (*state, KEY, EXPECTED) if columns else ())
        self.delete = delete(table).where(self_id)
        self.delete_version = delete(table).where(self_id, as_expected)
        self.version = select(table.c.version).where(self_id)
        self.one = select(table).where(self_id)
        self.all = select(table).order_by(table.c.position if order_by is None else order_by)


def insert_new(table: Table, dialect: str) -> Insert:
    """Return an INSERT that stores nothing where the id is there: an error would end a transaction of PostgreSQL.

    Another column that must be unique still raises an IntegrityError.
    """
    if dialect == "sqlite":
        made: Insert = sqlite.insert(table).on_conflict_do_nothing(index_elements=[table.c.id])
    elif dialect == "postgresql":
        made = postgresql.insert(table).on_conflict_do_nothing(index_elements=[table.c.id])
    else:
        raise ValueError(f"SqlCrudRepository: it knows SQLite and PostgreSQL, not {dialect}")
    return made.inline().execution_options(preserve_rowcount=True)  # how many, and not which position it got


def _check(table: Table, wanted: frozenset[str]) -> None:
    missing = sorted(wanted - set(table.columns.keys()))
    if missing:
        raise ValueError(
            f"table {table.name!r}: the columns {', '.join(missing)} are missing; make it with aggregate_table, or "
            "give a mapper for a table of your own, which has id and version, and position unless order_by is given"
        )
    kind = table.c.id.type
    if not (isinstance(kind, Uuid) and kind.as_uuid):
        raise ValueError(f"table {table.name!r}: the column id must have the type sqlalchemy.Uuid(), not {kind!r}")
    if ["id"] not in _unique(table):
        raise ValueError(f"table {table.name!r}: the column id must be unique, alone: make it so, or the primary key")


def _unique(table: Table) -> Iterator[list[str]]:
    yield [column.key for column in table.primary_key]
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield [column.key for column in constraint.columns]
    for index in table.indexes:
        if index.unique:
            yield [column.key for column in index.columns]
