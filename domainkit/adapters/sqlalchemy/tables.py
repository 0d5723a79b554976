"""The tables, made in the MetaData of the user: migrations (by Alembic, say) know them as they know the user's own."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, TypeEngine

from domainkit.aggregates import AnyId
from domainkit.ids import MOST_BITS, IdForm, IdT
from domainkit.values import Uuid

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number that the database counts up: SQLite does so for the type INTEGER alone."""


class UtcDateTime(TypeDecorator[datetime]):
    """Points in time: with a time zone where the database has such a type, else in UTC without one.

    A migration has `sa.DateTime(timezone=True)` for it: to create a column takes no more, and Alembic imports nothing
    but SQLAlchemy's types, which it knows by their module. See
    https://alembic.sqlalchemy.org/en/latest/autogenerate.html#affecting-the-rendering-of-types-themselves.
    """

    __module__ = "sqlalchemy.types"

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = sa.DateTime(timezone=True)  # Any: as SQLAlchemy says it
    cache_ok: bool | None = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return what is stored."""
        if value is None:
            return None
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002  (SQLAlchemy passes it)
        """Return what was stored, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def __repr__(self) -> str:
        return repr(self.impl_instance)

    def __reduce__(self) -> tuple[Callable[[], "UtcDateTime"], tuple[()]]:
        return utc_date_time, ()  # pickle would look for the class in the module that it names


def utc_date_time() -> UtcDateTime:
    """Return the type of points in time: for pickle, as cached metadata is."""
    return UtcDateTime()


def require_columns(
    table: sa.Table, maker: Callable[[sa.MetaData], sa.Table], *, besides: frozenset[str] = frozenset()
) -> None:
    """Refuse a table that lacks a column of those that `maker` makes: the wrong one was passed, or an old one.

    It may lack those in `besides`.

    Raises:
        ValueError: it does; its text says which.
    """
    missing = sorted(set(maker(sa.MetaData()).columns.keys()) - besides - set(table.columns.keys()))
    if missing:
        raise ValueError(f"the table {table.name!r} lacks {', '.join(missing)}; make it with {maker.__name__}")


_ID_TYPES: Mapping[type, TypeEngine[Any]] = MappingProxyType({UUID: sa.Uuid(), int: sa.BigInteger(), str: sa.Text()})
"""The type of a column for ids, by the class of their keys."""

_TEXTS = frozenset({sa.Text, sa.TEXT, sa.String, sa.VARCHAR, sa.Unicode, sa.UnicodeText})
"""Not CHAR, which pads with spaces, nor CITEXT and Enum, which are texts for SQLAlchemy too."""

_EXACT = frozenset({None, "C", "POSIX", "BINARY"})
"""Collations that take only the same bytes for equal. That of a database does; others need not, as NOCASE of SQLite."""

_BITS: Mapping[type, int] = MappingProxyType(
    {sa.BigInteger: 64, sa.BIGINT: 64, sa.Integer: 32, sa.INTEGER: 32, sa.SmallInteger: 16, sa.SMALLINT: 16}
)
"""Of the integers of PostgreSQL; those of SQLite have 64 anyway."""


def id_form(table: sa.Table, cls: type[IdT], *, column: sa.Column[Any] | None = None) -> IdForm[IdT]:
    """Return the form of the ids of a class in a column of a table: in `id` unless another one is given.

    Raises:
        UnsupportedTypeError: the class wraps a type without a wire form.
        ValueError: the column is of a type that doesn't fit.
    """
    place = table.c.id if column is None else column
    kind = place.type
    form = IdForm(cls, bits=_BITS.get(type(kind), MOST_BITS), length=getattr(kind, "length", None))
    fits = {
        UUID: isinstance(kind, sa.Uuid) and kind.as_uuid,
        int: type(kind) in _BITS,
        str: type(kind) in _TEXTS and getattr(kind, "collation", None) in _EXACT,
    }
    if not fits[form.key_type]:
        remedy = "give the column that type"
        if column is None:
            remedy = f"make it with aggregate_table(..., ids={cls.__name__}), or {remedy}"
        raise ValueError(
            f"table {table.name!r}: the column {place.key} must have the type sqlalchemy.{_ID_TYPES[form.key_type]!r}, "
            f"not {kind!r}, for ids of the class {cls.__qualname__}; {remedy}"
        )
    return form


def aggregate_table(
    metadata: sa.MetaData, name: str, *, ids: type[AnyId] = Uuid, schema: str | None = None
) -> sa.Table:
    """Return a table for the aggregates of one class: `id`, `version`, `state` (JSON text), and `position`.

    `position` counts the rows in the order in which they were saved. The state is text, since that keeps what was
    written to the last digit; a query on PostgreSQL reads into it by `state::jsonb`.

    >>> from sqlalchemy import MetaData
    >>> from domainkit import ValueObject
    >>> class Isbn(ValueObject[str]): ...
    >>> [aggregate_table(MetaData(), "all", ids=ids).c.id.type for ids in (Uuid, Isbn)]
    [Uuid(), Text()]

    Args:
        metadata: where the table is added.
        name: the table's name.
        ids: the class of the ids. The column `id` is a `Uuid` for UUIDs, a `BigInteger` for numbers, and else a `Text`:
            that of the id, or for an id of several parts its JSON.
        schema: the schema of PostgreSQL that it stands in, where that is not the connection's own.

    Raises:
        TypeError: `ids` is no class of value objects.
        UnsupportedTypeError: it wraps a type without a wire form.
    """
    return sa.Table(
        name,
        metadata,
        sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
        sa.Column("id", _ID_TYPES[IdForm(ids).key_type], nullable=False, unique=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        schema=schema,
        sqlite_autoincrement=True,  # never counts down: a new row comes after all that there were
    )


def outbox_table(metadata: sa.MetaData, name: str = "outbox", *, schema: str | None = None) -> sa.Table:
    """Return a table for the messages that wait for a relay, and those that were sent lately.

    >>> from sqlalchemy import MetaData
    >>> outbox_table(MetaData()).columns["body"].nullable
    False

    Args:
        metadata: where the table is added.
        name: the table's name.
        schema: the schema of PostgreSQL that it stands in, where that is not the connection's own.
    """
    table = sa.Table(
        name,
        metadata,
        sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Uuid(), nullable=False),  # not unique: what is published twice is delivered twice
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ordering_key", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("not_before", UtcDateTime()),
        sa.Column("leased_by", sa.Text()),
        sa.Column("leased_until", UtcDateTime()),
        sa.Column("sent_at", UtcDateTime()),
        sa.Column("parked_at", UtcDateTime()),
        sa.Column("reason", sa.Text()),
        schema=schema,
        sqlite_autoincrement=True,  # a position is never used twice, even after the last rows were cleaned away
    )
    unsent, sent = table.c.sent_at.is_(None), table.c.sent_at.is_not(None)
    sa.Index(f"ix_{name}_unsent", table.c.ordering_key, table.c.position, sqlite_where=unsent, postgresql_where=unsent)
    sa.Index(f"ix_{name}_waiting", table.c.position, sqlite_where=unsent, postgresql_where=unsent)
    sa.Index(f"ix_{name}_sent_at", table.c.sent_at, sqlite_where=sent, postgresql_where=sent)  # no way to those unsent
    sa.Index(f"ix_{name}_message_id", table.c.message_id)
    return table


def inbox_table(metadata: sa.MetaData, name: str = "inbox", *, schema: str | None = None) -> sa.Table:
    """Return a table for what was handled: which message, by which handler, and when.

    `digest` tells the message from another one of the same id. A table of an earlier version that lacks it is fine, and
    notices none.

    >>> from sqlalchemy import MetaData
    >>> [column.name for column in inbox_table(MetaData()).primary_key]
    ['message_id', 'handler']

    Args:
        metadata: where the table is added.
        name: the table's name.
        schema: the schema of PostgreSQL that it stands in, where that is not the connection's own.
    """
    table = sa.Table(
        name,
        metadata,
        sa.Column("message_id", sa.Uuid(), primary_key=True),
        sa.Column("handler", sa.Text(), primary_key=True),
        sa.Column("handled_at", UtcDateTime(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        schema=schema,
    )
    sa.Index(f"ix_{name}_handled_at", table.c.handled_at)
    return table


def events_table(metadata: sa.MetaData, name: str = "events", *, schema: str | None = None) -> sa.Table:
    """Return a table for the events of an event store, in streams.

    A row without a body is not an event: the last one of a stream closes it, and those before were deleted. They keep
    their revisions, so that a writer who read the stream before can't take one again.

    >>> from sqlalchemy import MetaData
    >>> [column.name for column in events_table(MetaData()).columns]
    ['position', 'stream', 'revision', 'message_id', 'name', 'version', 'body']

    Args:
        metadata: where the table is added.
        name: the table's name.
        schema: the schema of PostgreSQL that it stands in, where that is not the connection's own.
    """
    return sa.Table(
        name,
        metadata,
        sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Uuid()),
        sa.Column("name", sa.Text()),
        sa.Column("version", sa.Integer()),
        sa.Column("body", sa.LargeBinary()),
        sa.UniqueConstraint("stream", "revision"),
        schema=schema,
        sqlite_autoincrement=True,  # a position is never used twice
    )
