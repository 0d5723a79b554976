"""The tables, made in the MetaData of the user: migrations (by Alembic, say) know them as they know the user's own."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, TypeEngine

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number that the database counts up: SQLite does so for the type INTEGER alone."""


class UtcDateTime(TypeDecorator[datetime]):
    """Points in time: with a time zone where the database has such a type, else in UTC without one."""

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


def require_columns(table: sa.Table, maker: Callable[[sa.MetaData], sa.Table]) -> None:
    """Refuse a table that lacks a column of those that `maker` makes: the wrong one was passed, or an old one.

    Raises:
        ValueError: it does; its text says which.
    """
    missing = sorted(set(maker(sa.MetaData()).columns.keys()) - set(table.columns.keys()))
    if missing:
        raise ValueError(f"the table {table.name!r} lacks {', '.join(missing)}; make it with {maker.__name__}")


def aggregate_table(metadata: sa.MetaData, name: str, *, schema: str | None = None) -> sa.Table:
    """Return a table for the aggregates of one class: `id`, `version`, `state` (JSON text), and `position`.

    `position` counts the rows in the order in which they were saved. The state is text, since that keeps what was
    written to the last digit; a query on PostgreSQL reads into it by `state::jsonb`.

    >>> from sqlalchemy import MetaData
    >>> sorted(aggregate_table(MetaData(), "tasks").columns.keys())
    ['id', 'position', 'state', 'version']

    Args:
        metadata: where the table is added.
        name: the table's name.
        schema: the schema of PostgreSQL that it stands in, where that is not the connection's own.
    """
    return sa.Table(
        name,
        metadata,
        sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Uuid(), nullable=False, unique=True),
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
        schema=schema,
    )
    sa.Index(f"ix_{name}_handled_at", table.c.handled_at)
    return table
