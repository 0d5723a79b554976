"""The database that an argument names, reached as the async adapter reaches it."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import MappingProxyType

from sqlalchemy import URL, MetaData, Table, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit.adapters import missing_extra
from domainkit.adapters.sqlalchemy import make_async_engine, outbox_table
from domainkit.adapters.sqlalchemy.engines import async_url
from domainkit.cli._arguments import CommandFailedError, WrongArgumentError

_LAST_WORD = 0.1
"""Seconds in which the thread of an aiosqlite that could not connect has told the loop that it ends: without a loop by
then, it would print a traceback."""

_EXTRAS = MappingProxyType({"aiosqlite": "sql", "psycopg": "postgres"})


@asynccontextmanager
async def opened(
    options: argparse.Namespace, make_table: Callable[..., Table] = outbox_table
) -> AsyncIterator[tuple[AsyncEngine, Table]]:
    """Yield an engine for the database that is named, and the outbox in it, or another table that is made so.

    Raises:
        WrongArgumentError: it is none of SQLite or PostgreSQL.
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
        raise WrongArgumentError(f"--database: SQLAlchemy knows no driver {url.drivername!r}") from error
    except ImportError as error:
        extra = _EXTRAS.get(url.get_driver_name())
        raise error if extra is None else missing_extra(f"the driver {url.get_driver_name()}", extra) from error
    try:
        yield engine, table
    finally:
        await engine.dispose()


async def check(engine: AsyncEngine, table: Table, make_table: Callable[..., Table] = outbox_table) -> None:
    """Look whether the table is there.

    Raises:
        CommandFailedError: it isn't, or its database isn't; the text says which, without a password.
    """
    try:
        async with engine.connect() as connection:
            await connection.execute(select(table).limit(0))
    except (DBAPIError, OSError) as error:
        await asyncio.sleep(_LAST_WORD)
        text = failure_of(engine.url, error)
        is_missing = isinstance(error, ProgrammingError) or "no such table" in text  # as PostgreSQL and SQLite say it
        remedy = f"; make it (see {make_table.__name__}), or name another: --table, --schema" if is_missing else ""
        raise CommandFailedError(text + remedy) from error


def failure_of(url: URL, error: Exception) -> str:
    """Return what went wrong with a database, in a line without its password."""
    where = url.database or "in memory" if url.host is None else f"{url.host}:{url.port or 5432}/{url.database}"
    text = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    for secret in (url.password, url.query.get("password")):
        if secret:
            text = text.replace(str(secret), "***")
    return f"the database {where}: {text}"
