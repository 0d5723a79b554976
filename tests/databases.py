"""New, empty databases for tests: SQLite files, and schemas of a real PostgreSQL."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from attrs import frozen
from sqlalchemy import URL, Engine, MetaData, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit.adapters.sqlalchemy import make_async_engine, make_engine

POSTGRES_URL = os.environ.get("POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
KINDS = ("sqlite", "postgresql")


@frozen
class Database:
    """A database of one test; every engine made with its URLs sees the same tables."""

    kind: str
    url: URL
    async_url: URL

    @contextmanager
    def engine(self, *tables: MetaData, **options: Any) -> Iterator[Engine]:
        """Yield an engine; the tables are there."""
        engine = make_engine(self.url, **options)
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
            engine = make_async_engine(self.url if self.kind == "postgresql" else self.async_url, **options)
        try:
            yield engine
        finally:
            await engine.dispose()


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
    with _server() as server, server.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    url = make_url(POSTGRES_URL).update_query_dict({"options": f"-csearch_path={schema}"})
    try:
        yield Database(kind, url, url)
    finally:
        with _server() as server, server.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))


@contextmanager
def _server() -> Iterator[Engine]:
    engine = create_engine(POSTGRES_URL)
    try:
        yield engine
    finally:
        engine.dispose()


@cache
def unreachable() -> str | None:
    """Return why there is no PostgreSQL here, or None."""
    try:
        with _server() as server, server.connect():
            return None
    except OperationalError as error:
        return f"no PostgreSQL at {make_url(POSTGRES_URL)!r} (POSTGRES_URL): {type(error.orig).__name__}"
