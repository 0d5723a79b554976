"""Database given by an argument, opened in the same way as by the async adapter."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import MappingProxyType

from sqlalchemy import URL, MetaData, Table, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit.adapters import missing_extra
from domainkit.adapters.sqlalchemy import make_async_engine, outbox_table
from domainkit.adapters.sqlalchemy.engines import async_url
from domainkit.adapters.sqlalchemy.missing import missing_part
from domainkit.cli._arguments import CommandFailedError, WrongArgumentError

_THREAD_END = 0.1
"""Seconds for the thread of aiosqlite to end after a failed connection: if the event loop ends before it, the thread
prints a traceback."""

_EXTRAS = MappingProxyType({"aiosqlite": "sql", "psycopg": "postgres"})


@asynccontextmanager
async def opened(
    options: argparse.Namespace, make_table: Callable[..., Table] = outbox_table
) -> AsyncIterator[tuple[AsyncEngine, Table]]:
    """Yield an engine for the given database, and its outbox, or the table that `make_table` returns.

    Raises:
        WrongArgumentError: the database is neither SQLite nor PostgreSQL.
        ImportError: its driver isn't installed.
    """
    try:
        url = async_url(options.database)
    except (ArgumentError, ValueError):
        url = URL.create("none")
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise WrongArgumentError("--database: expected a URL such as sqlite:///tasks.db or postgresql://me@host/tasks")
    table = make_table(MetaData(), options.table, schema=options.schema)
    try:
        engine = make_async_engine(url)
    except NoSuchModuleError as error:
        raise WrongArgumentError(f"--database: SQLAlchemy has no driver {url.drivername!r}; use another") from error
    except ImportError as error:
        extra = _EXTRAS.get(url.get_driver_name())
        raise error if extra is None else missing_extra(f"the driver {url.get_driver_name()}", extra) from error
    try:
        yield engine, table
    finally:
        await engine.dispose()


async def check(engine: AsyncEngine, table: Table, make_table: Callable[..., Table] = outbox_table) -> None:
    """Check that the table exists.

    Raises:
        CommandFailedError: the table or its database doesn't exist; the text says which, without a password.
    """
    try:
        async with engine.connect() as connection:
            await connection.execute(select(table).limit(0))
    except (DBAPIError, OSError) as error:
        await asyncio.sleep(_THREAD_END)
        text = failure_of(engine.url, error)
        remedy = f"; create it (see {make_table.__name__}), or give --table and --schema" if missing_part(error) else ""
        raise CommandFailedError(text + remedy) from error


def failure_of(url: URL, error: Exception) -> str:
    """Return the error of a database as one line, without its password."""
    where = url.database or "in memory" if url.host is None else f"{url.host}:{url.port or 5432}/{url.database}"
    text = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    for secret in (url.password, url.query.get("password")):
        if secret:
            text = text.replace(str(secret), "***")
    return f"the database {where}: {text}"
