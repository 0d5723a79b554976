"""New, empty databases for tests: SQLite files, and schemas of a real PostgreSQL."""

import atexit
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from attrs import frozen
from sqlalchemy import URL, Engine, MetaData, create_engine, event, make_url, select, text
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import DomainEvent, Message, MessageCodec
from domainkit.adapters.sqlalchemy import Outbox, aggregate_table, make_async_engine, make_engine, outbox_table
from domainkit.testing import SampleCreateTask, SampleTaskCreated

EngineT = TypeVar("EngineT", Engine, AsyncEngine)

POSTGRES_URL = os.environ.get("POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
KINDS = ("sqlite", "postgresql")

CODEC = MessageCodec(SampleTaskCreated, SampleCreateTask, DomainEvent)
METADATA = MetaData()
TASKS = aggregate_table(METADATA, "tasks")
OUTBOX = Outbox(outbox_table(METADATA), CODEC)

SKIPS_ROLLBACKS = pytest.mark.skipif(
    "skip_autocommit_rollback" not in signature(DefaultDialect.__init__).parameters, reason="needs SQLAlchemy 2.0.43"
)


@frozen
class Database:
    """A database of one test; every engine made with its URLs sees the same tables."""

    kind: str
    url: URL
    async_url: URL

    @contextmanager
    def engine(self, *tables: MetaData, **options: Any) -> Iterator[Engine]:
        """Yield an engine; the tables are there."""
        engine = unsynced(make_engine(self.url, **options))
        try:
            for metadata in tables:
                metadata.create_all(engine)
            yield engine
        finally:
            engine.dispose()

    @asynccontextmanager
    async def async_engine(self, *tables: MetaData, **options: Any) -> AsyncIterator[AsyncEngine]:
        """Yield an async engine; the tables are there."""
        with self.engine(*tables):
            engine = unsynced(make_async_engine(self.async_url, **options))
        try:
            yield engine
        finally:
            await engine.dispose()


def unsynced(engine: EngineT) -> EngineT:
    """Let an engine for SQLite not wait for the disk: only a machine that loses its power would notice."""
    inner = engine if isinstance(engine, Engine) else engine.sync_engine
    if inner.dialect.name == "sqlite":

        @event.listens_for(inner, "connect")
        def hurry(connection: Any, _: object) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.close()

    return engine


@contextmanager
def new_database(kind: str, folder: Path) -> Iterator[Database]:
    """Yield a new, empty database: a file in the folder, or a schema that is dropped in the end."""
    if kind == "sqlite":
        path = str(folder / f"{uuid4().hex}.db")
        yield Database(kind, URL.create("sqlite", database=path), URL.create("sqlite+aiosqlite", database=path))
        return
    reason = unreachable()
    if reason is not None:
        pytest.skip(reason)
    schema = f"test_{uuid4().hex}"
    with _server().begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    url = make_url(POSTGRES_URL).update_query_dict({"options": f"-csearch_path={schema} -csynchronous_commit=off"})
    try:
        yield Database(kind, url, url)
    finally:
        with _server().begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))  # a test that left a transaction open fails here
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))


@cache
def _server() -> Engine:
    """Return an engine for schemas, whose connection the tests of a process share."""
    engine = create_engine(POSTGRES_URL, pool_pre_ping=True)
    atexit.register(engine.dispose)
    return engine


@cache
def unreachable() -> str | None:
    """Return why there is no PostgreSQL here, or None."""
    try:
        with _server().connect():
            return None
    except OperationalError as error:
        return f"no PostgreSQL at {make_url(POSTGRES_URL)!r} (POSTGRES_URL): {type(error.orig).__name__}"


def stored_messages(engine: Engine) -> list[Message]:
    """Return the messages in the outbox, in their order."""
    bodies = select(OUTBOX.table.c.body).order_by(OUTBOX.table.c.position)
    with engine.connect() as connection:
        return [CODEC.decode(bytes(body)).unwrap() for body in connection.scalars(bodies)]


def stored_versions(engine: Engine) -> dict[str, int]:
    """Return the version of each stored task, by its id."""
    with engine.connect() as connection:
        return {str(row.id): row.version for row in connection.execute(select(TASKS).order_by(TASKS.c.position))}
