"""The tables, created in the user's MetaData, so that migration tools such as Alembic include them."""

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
"""An autoincremented number: SQLite supports that only for the type INTEGER."""


class UtcDateTime(TypeDecorator[datetime]):
    """Points in time: with a time zone if the database has such a type, else in UTC without one.

    Migrations show it as `sa.DateTime(timezone=True)`, which is enough to create the column: Alembic imports only
    SQLAlchemy's types, which it recognizes by their module. See
    https://alembic.sqlalchemy.org/en/latest/autogenerate.html#affecting-the-rendering-of-types-themselves.
    """

    __module__ = "sqlalchemy.types"

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = sa.DateTime(timezone=True)  # Any: as SQLAlchemy declares it
    cache_ok: bool | None = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the stored form."""
        if value is None:
            return None
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002  (SQLAlchemy passes it)
        """Return the stored point in time, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def __repr__(self) -> str:
        return repr(self.impl_instance)

    def __reduce__(self) -> tuple[Callable[[], "UtcDateTime"], tuple[()]]:
        return utc_date_time, ()  # pickle would look for the class in `__module__`


def utc_date_time() -> UtcDateTime:
    """Return a UtcDateTime: for pickle, such as of cached metadata."""
    return UtcDateTime()


def require_columns(
    table: sa.Table, maker: Callable[[sa.MetaData], sa.Table], *, besides: frozenset[str] = frozenset()
) -> None:
    """Refuse a table without a column that `maker` creates: it is another table, or one of an earlier version.

    The columns in `besides` are optional.

    Raises:
        ValueError: columns are missing; the text names them.
    """
    missing = sorted(set(maker(sa.MetaData()).columns.keys()) - besides - set(table.columns.keys()))
    if missing:
        raise ValueError(
            f"table {table.name!r}: expected the columns of {maker.__name__}, got a table without "
            f"{', '.join(missing)}; make it with {maker.__name__}"
        )


def name_in_sql(table: sa.Table, place: sa.Connection | sa.Engine) -> str:
    """Return the name of a table, always quoted, in the schema to which the connection or engine translates its own.

    It is a name in SQL, and for PostgreSQL's `regclass` and `to_regclass`.

    >>> from sqlalchemy import MetaData, create_engine
    >>> with create_engine("sqlite://").connect() as connection:
    ...     print(name_in_sql(outbox_table(MetaData(), "Outbox", schema="tasks"), connection))
    "tasks"."Outbox"
    """
    translated = place.get_execution_options().get("schema_translate_map") or {}
    names = (translated.get(table.schema, table.schema), table.name)
    return ".".join('"{}"'.format(name.replace('"', '""')) for name in names if name)


_ID_TYPES: Mapping[type, TypeEngine[Any]] = MappingProxyType({UUID: sa.Uuid(), int: sa.BigInteger(), str: sa.Text()})
"""The column type for ids, by the class of their keys."""

_TEXTS = frozenset({sa.Text, sa.TEXT, sa.String, sa.VARCHAR, sa.Unicode, sa.UnicodeText})
"""Without CHAR, which pads with spaces, and without CITEXT and Enum, which are texts for SQLAlchemy too."""

_EXACT = frozenset({None, "C", "POSIX", "BINARY"})
"""Collations that compare texts by their bytes, as the default of each database does, unlike SQLite's NOCASE."""

_BITS: Mapping[type, int] = MappingProxyType(
    {sa.BigInteger: 64, sa.BIGINT: 64, sa.Integer: 32, sa.INTEGER: 32, sa.SmallInteger: 16, sa.SMALLINT: 16}
)
"""The sizes of PostgreSQL's integers; those of SQLite always have 64 bits."""


def id_form(table: sa.Table, cls: type[IdT], *, column: sa.Column[Any] | None = None) -> IdForm[IdT]:
    """Return the form of ids in a column of a table, by default in the column `id`.

    Raises:
        UnsupportedTypeError: the class wraps a type without a wire form.
        ValueError: the column has a type that doesn't fit.
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
            f"table {table.name!r}: expected the column {place.key} to have the type "
            f"sqlalchemy.{_ID_TYPES[form.key_type]!r} for ids of the class {cls.__qualname__}, got {kind!r}; {remedy}"
        )
    return form


def aggregate_table(
    metadata: sa.MetaData, name: str, *, ids: type[AnyId] = Uuid, schema: str | None = None
) -> sa.Table:
    """Return a table for the aggregates of one class: `id`, `version`, `state` (JSON text), and `position`.

    `position` numbers the rows in the order in which they were saved. The state is text, which keeps every digit as it
    was written; queries on PostgreSQL can use `state::jsonb`.

    >>> from sqlalchemy import MetaData
    >>> from domainkit import ValueObject
    >>> class Isbn(ValueObject[str]): ...
    >>> [aggregate_table(MetaData(), "all", ids=ids).c.id.type for ids in (Uuid, Isbn)]
    [Uuid(), Text()]

    Args:
        metadata: the MetaData to add the table to.
        name: the table's name.
        ids: the class of the ids. The column `id` is a `Uuid` for UUIDs, a `BigInteger` for numbers, and a `Text` for
            texts and, as JSON, for ids of several parts.
        schema: the schema on PostgreSQL; by default that of the connection.

    Raises:
        TypeError: `ids` is not a class of value objects.
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
        sqlite_autoincrement=True,  # numbers are never reused: a new row comes after all earlier ones
    )


def outbox_table(metadata: sa.MetaData, name: str = "outbox", *, schema: str | None = None) -> sa.Table:
    """Return a table for messages that wait for a relay, and for those sent recently.

    >>> from sqlalchemy import MetaData
    >>> outbox_table(MetaData()).columns["body"].nullable
    False

    Args:
        metadata: the MetaData to add the table to.
        name: the table's name.
        schema: the schema on PostgreSQL; by default that of the connection.
    """
    table = sa.Table(
        name,
        metadata,
        sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Uuid(), nullable=False),  # not unique: a message published twice is delivered twice
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
        sqlite_autoincrement=True,  # positions are never reused, even if the last rows were deleted
    )
    unsent, sent = table.c.sent_at.is_(None), table.c.sent_at.is_not(None)
    sa.Index(f"ix_{name}_unsent", table.c.ordering_key, table.c.position, sqlite_where=unsent, postgresql_where=unsent)
    sa.Index(f"ix_{name}_waiting", table.c.position, sqlite_where=unsent, postgresql_where=unsent)
    sa.Index(f"ix_{name}_sent_at", table.c.sent_at, sqlite_where=sent, postgresql_where=sent)  # not for unsent rows
    sa.Index(f"ix_{name}_message_id", table.c.message_id)
    # the few rows that an operator asks about: their conditions are those of the queries of outbox_status, word by word
    parked, remarked = unsent & table.c.parked_at.is_not(None), sent & table.c.reason.is_not(None)
    sa.Index(f"ix_{name}_parked", table.c.ordering_key, table.c.parked_at, sqlite_where=parked, postgresql_where=parked)
    sa.Index(f"ix_{name}_remarked", table.c.reason, sqlite_where=remarked, postgresql_where=remarked)
    return table


def inbox_table(metadata: sa.MetaData, name: str = "inbox", *, schema: str | None = None) -> sa.Table:
    """Return a table for marks of handled messages: the message, the handler, and the time.

    `digest` detects a different message with the same id. A table of an earlier version without it still works, but
    doesn't detect that.

    >>> from sqlalchemy import MetaData
    >>> [column.name for column in inbox_table(MetaData()).primary_key]
    ['message_id', 'handler']

    Args:
        metadata: the MetaData to add the table to.
        name: the table's name.
        schema: the schema on PostgreSQL; by default that of the connection.
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

    A row without a body is not an event. As the last row of a stream, it marks the stream as closed; before that, it is
    a deleted event. It keeps its revision, so that a writer that read the stream earlier can't use the revision again.

    >>> from sqlalchemy import MetaData
    >>> [column.name for column in events_table(MetaData()).columns]
    ['position', 'stream', 'revision', 'message_id', 'name', 'version', 'body']

    Args:
        metadata: the MetaData to add the table to.
        name: the table's name.
        schema: the schema on PostgreSQL; by default that of the connection.
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
        sqlite_autoincrement=True,  # positions are never reused
    )


def snapshots_table(metadata: sa.MetaData, name: str = "snapshots", *, schema: str | None = None) -> sa.Table:
    """Return a table for the snapshots of streams: the latest one for each stream and name of a state.

    The state is JSON text, as in an `aggregate_table`.

    >>> from sqlalchemy import MetaData
    >>> [column.name for column in snapshots_table(MetaData()).primary_key]
    ['stream', 'name']

    Args:
        metadata: the MetaData to add the table to.
        name: the table's name.
        schema: the schema on PostgreSQL; by default that of the connection.
    """
    return sa.Table(
        name,
        metadata,
        sa.Column("stream", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        schema=schema,
    )


def event_tags_table(metadata: sa.MetaData, name: str = "event_tags", *, schema: str | None = None) -> sa.Table:
    """Return a table for the tags of the events of an event store: a row for each tag of an event.

    >>> from sqlalchemy import MetaData
    >>> [column.name for column in event_tags_table(MetaData()).primary_key]
    ['tag', 'position']

    Args:
        metadata: the MetaData to add the table to.
        name: the table's name.
        schema: the schema on PostgreSQL; by default that of the connection.
    """
    return sa.Table(
        name,
        metadata,
        sa.Column("tag", sa.Uuid(), primary_key=True),
        sa.Column("position", _POSITION, primary_key=True, autoincrement=False),
        schema=schema,
        sqlite_with_rowid=False,  # the key is all that there is
    )
