"""Engines of SQLAlchemy as the other parts need them."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, Pool, QueuePool

EngineT = TypeVar("EngineT", Engine, AsyncEngine)

READ_ONLY = "domainkit_read_only"
"""The execution option of a connection whose transaction only reads: on SQLite it waits for no writer."""

AT_ONCE = "domainkit_at_once"
"""The execution option of a connection to SQLite on which each statement is a transaction by itself, without BEGIN."""


def snapshot_options(dialect: str) -> Mapping[str, Any]:  # Any: the options are those of SQLAlchemy
    """Return the execution options of a connection that sees one moment of the database, and stores nothing.

    The moment is that of the first statement. A writer neither waits for it nor ends it: see
    https://www.postgresql.org/docs/current/transaction-iso.html and https://sqlite.org/isolation.html.
    """
    if dialect == "postgresql":
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {READ_ONLY: True}


BUSY_TIMEOUT = timedelta(seconds=30)

_PSYCOPG, _AIOSQLITE = "postgresql+psycopg", "sqlite+aiosqlite"
_DRIVERS = MappingProxyType({"postgres": _PSYCOPG, "postgresql": _PSYCOPG})
_ASYNC_DRIVERS = MappingProxyType(
    {**_DRIVERS, "postgresql+psycopg2": _PSYCOPG, "sqlite": _AIOSQLITE, "sqlite+pysqlite": _AIOSQLITE}
)
"""The drivers for what people have in their settings."""

_REST = timedelta(seconds=1)
_RESTS_SINCE = "domainkit.rests_since"


def at_once(dialect: str) -> dict[str, object]:
    """Return the execution options of a connection on which each statement is a transaction by itself."""
    return {AT_ONCE: True} if dialect == "sqlite" else {"isolation_level": "AUTOCOMMIT"}


# Any: the options are those of SQLAlchemy, here and below
def make_engine(url: str | URL, *, busy_timeout: timedelta = BUSY_TIMEOUT, **options: Any) -> Engine:
    """Return an engine for SQLite or PostgreSQL (by psycopg).

    >>> make_engine("sqlite:///tasks.db").dialect.name
    'sqlite'

    Args:
        url: such as `sqlite:///tasks.db` or `postgresql://me@localhost/tasks`.
        busy_timeout: how long a transaction on SQLite waits for the one that is writing.
        options: what `sqlalchemy.create_engine` takes.
    """
    named = make_url(url)
    named = named.set(drivername=_DRIVERS.get(named.drivername, named.drivername))
    return configure_engine(create_engine(named, **_options(named, options, QueuePool)), busy_timeout=busy_timeout)


def make_async_engine(url: str | URL, *, busy_timeout: timedelta = BUSY_TIMEOUT, **options: Any) -> AsyncEngine:
    """Return an async engine for SQLite (by aiosqlite) or PostgreSQL (by psycopg).

    >>> make_async_engine("sqlite:///tasks.db").dialect.driver
    'aiosqlite'

    Args:
        url: such as `sqlite:///tasks.db` or `postgresql://me@localhost/tasks`; the async driver goes without saying.
        busy_timeout: how long a transaction on SQLite waits for the one that is writing.
        options: what `sqlalchemy.ext.asyncio.create_async_engine` takes.
    """
    named = async_url(url)
    engine = create_async_engine(named, **_options(named, options, AsyncAdaptedQueuePool))
    return configure_engine(engine, busy_timeout=busy_timeout)


def async_url(url: str | URL) -> URL:
    """Return the URL of a database with its async driver.

    >>> async_url("postgresql://ada:hush@db/tasks")
    postgresql+psycopg://ada:***@db/tasks
    """
    named = make_url(url)
    return named.set(drivername=_ASYNC_DRIVERS.get(named.drivername, named.drivername))


def _options(url: URL, given: dict[str, Any], pool: type[Pool]) -> dict[str, Any]:
    options = {"hide_parameters": True, **given}  # what is stored may be a secret, and errors are logged
    if url.get_backend_name() != "sqlite" or url.database not in (None, "", ":memory:"):
        return options
    # each connection would have a database of its own: all share one, and each waits for its turn
    alone = {} if "poolclass" in given else {"poolclass": pool, "pool_size": 1, "max_overflow": 0}
    return {**alone, **options, "connect_args": {"check_same_thread": False, **options.get("connect_args", {})}}


def configure_engine(engine: EngineT, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> EngineT:
    """Teach an engine of your own what `make_engine` does, and return it; one that knows it already stays as it is.

    On SQLite: a write-ahead log, so that readers and the one writer don't wait for each other; transactions that begin
    with BEGIN IMMEDIATE, so that one which reads and then writes is never refused halfway; a busy timeout, so that
    writers wait for their turn; foreign keys that are checked; a connection that outlives a task cancelled, or a thread
    interrupted, in the middle of a statement. See https://sqlite.org/wal.html and
    https://sqlite.org/lang_transaction.html.

    On other databases: a connection that was not used for a second is asked whether it still stands, and made anew
    where it doesn't, since the server may have been started again.

    Args:
        engine: an Engine or AsyncEngine that nobody has connected with yet.
        busy_timeout: how long a transaction waits for the one that is writing.
    """
    inner = engine if isinstance(engine, Engine) else engine.sync_engine
    if inner.dialect.name != "sqlite":
        _ask_after_rest(inner)
    elif not _is_configured(inner):
        event.listen(inner, "connect", partial(_set_up, busy_timeout))
        event.listen(inner, "begin", _begin)
        event.listen(inner.dialect, "handle_error", _keep)
    return engine


def require_configured(engine: Engine) -> None:
    """Refuse an engine for SQLite that wasn't taught: a unit of work on it would not be atomic.

    Raises:
        ValueError: it wasn't; pysqlite begins a transaction at the first write then, and no savepoint is part of one.
    """
    if engine.dialect.name == "sqlite" and not _is_configured(engine):
        raise ValueError(
            f"the engine for {engine.url!r}: expected one made by make_engine or make_async_engine, or taught by "
            "configure_engine(engine), got another: its transactions would not be atomic"
        )


def _is_configured(engine: Engine) -> bool:
    """Look for a listener of the dialect, which `engine.execution_options(...)` shares with its copy."""
    return event.contains(engine.dialect, "handle_error", _keep)


def _set_up(busy_timeout: timedelta, connection: Any, _: object) -> None:  # Any: the driver's own, of no common type
    """Set up a new connection of SQLite."""
    connection.isolation_level = None  # the driver begins no transactions of its own
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {round(busy_timeout / timedelta(milliseconds=1))}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Execute BEGIN at a third of what SQLAlchemy takes for a statement."""
    options = connection.get_execution_options()
    if AT_ONCE in options:
        return
    reads = options.get(READ_ONLY, False)
    statement = "BEGIN" if reads else "BEGIN IMMEDIATE"
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
    except connection.dialect.loaded_dbapi.Error as error:
        raise OperationalError(statement, None, error) from error
    finally:
        cursor.close()


def _keep(failed: ExceptionContext) -> None:
    """Keep a connection of SQLite in which a statement was cancelled or interrupted.

    SQLAlchemy takes it for broken and closes it. That would lose a database in memory; and SQLite closes a connection
    only when its last statement is, so that its lock would stay until the garbage collector finds the cursor. There is
    no network in which an answer could be underway: the thread of aiosqlite does one thing after the other, so that
    the ROLLBACK that follows finds the statement done. See https://sqlite.org/c3ref/close.html.
    """
    if not isinstance(failed.original_exception, Exception):
        failed.is_disconnect = False


def _ask_after_rest(engine: Engine) -> None:
    """Ping idle connections alone: `pool_pre_ping` costs a trip to the server for each transaction."""

    @event.listens_for(engine, "checkin")
    def rest(_: object, record: ConnectionPoolEntry) -> None:
        record.info[_RESTS_SINCE] = monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        if monotonic() - record.info.get(_RESTS_SINCE, monotonic()) > _REST.total_seconds():
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError from error
