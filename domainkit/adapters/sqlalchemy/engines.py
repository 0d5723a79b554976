"""Engines of SQLAlchemy, configured for units of work."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
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
"""The execution option for a read-only transaction: on SQLite it doesn't wait for writers."""

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})  # Any: the options are those of SQLAlchemy, here and below

AT_ONCE = "domainkit_at_once"
"""The execution option of a connection to SQLite on which each statement is its own transaction, without BEGIN."""


def snapshot_options(dialect: str) -> Mapping[str, Any]:
    """Return the execution options of a read-only connection that sees one snapshot of the database.

    The snapshot is taken at the first statement. It doesn't block writers, and they don't abort it: see
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
"""Drivers for the URLs that settings usually contain."""

_IDLE_LIMIT = timedelta(seconds=1)
_IDLE_SINCE = "domainkit.idle_since"
_ENDED = "domainkit.ended"


def at_once(dialect: str) -> dict[str, object]:
    """Return the execution options of a connection on which each statement is its own transaction."""
    return {AT_ONCE: True} if dialect == "sqlite" else {"isolation_level": "AUTOCOMMIT"}


_USUAL = "READ COMMITTED"
_KINDS = frozenset({"isolation_level", "postgresql_readonly", "postgresql_deferrable"})
"""The options of an engine that change its transactions."""


_OF_ALL = tuple(
    getattr(Connection.__new__(Connection).dispatch, name) for name in ("begin", "commit", "rollback", "engine_connect")
)
"""The listeners of all connections, of which no engine knows; SQLAlchemy gives them to each connection, even this."""


def has_listeners(engine: Engine) -> bool:
    """Check if the application listens to the begin or the end of transactions, or may do so on each connection."""
    of_engine, own = engine.dispatch, engine.dialect.name == "sqlite"  # one of `configure_engine`
    return bool(
        len(of_engine.begin) > own
        or of_engine.commit
        or of_engine.rollback
        or of_engine.engine_connect  # it gets each connection, and may listen to that
        or any(_OF_ALL)
    )


def is_usual(engine: Engine) -> bool:
    """Check if a statement may be its own transaction on this engine, without one of SQLAlchemy.

    Not if the application listens to transactions: in autocommit, its SET LOCAL of a tenant for row-level security
    would do nothing. On PostgreSQL, another isolation level than the usual one, or another kind of transaction, would
    be lost too.
    """
    if has_listeners(engine):
        return False
    if engine.dialect.name == "sqlite":
        return True
    level = getattr(engine.dialect, "default_isolation_level", None)  # known after the first connection
    return level == _USUAL and not _KINDS & engine.get_execution_options().keys()


def for_one_read(engine: Engine) -> Mapping[str, object]:
    """Return the execution options of a connection for one statement that reads.

    The statement sees one snapshot even without a transaction, whose begin and end are round trips to PostgreSQL.
    """
    if is_usual(engine):
        return at_once(engine.dialect.name)
    return {READ_ONLY: True} if engine.dialect.name == "sqlite" else {}


def make_engine(url: str | URL, *, busy_timeout: timedelta = BUSY_TIMEOUT, **options: Any) -> Engine:
    """Return an engine for SQLite or PostgreSQL (by psycopg).

    >>> make_engine("sqlite:///tasks.db").dialect.name
    'sqlite'

    Args:
        url: such as `sqlite:///tasks.db` or `postgresql://me@localhost/tasks`.
        busy_timeout: the maximum time that a transaction on SQLite waits for the current writer.
        options: the options of `sqlalchemy.create_engine`.
    """
    named = make_url(url)
    named = named.set(drivername=_DRIVERS.get(named.drivername, named.drivername))
    return configure_engine(create_engine(named, **_options(named, options, QueuePool)), busy_timeout=busy_timeout)


def make_async_engine(url: str | URL, *, busy_timeout: timedelta = BUSY_TIMEOUT, **options: Any) -> AsyncEngine:
    """Return an async engine for SQLite (by aiosqlite) or PostgreSQL (by psycopg).

    >>> make_async_engine("sqlite:///tasks.db").dialect.driver
    'aiosqlite'

    Args:
        url: such as `sqlite:///tasks.db` or `postgresql://me@localhost/tasks`; the driver is replaced by its async one.
        busy_timeout: the maximum time that a transaction on SQLite waits for the current writer.
        options: the options of `sqlalchemy.ext.asyncio.create_async_engine`.
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
    options = {"hide_parameters": True, **given}  # parameters may be secrets, and errors are logged
    if url.get_backend_name() != "sqlite" or url.database not in (None, "", ":memory:"):
        return options
    # each connection would have its own database: all users share one connection, one after the other
    alone = {} if "poolclass" in given else {"poolclass": pool, "pool_size": 1, "max_overflow": 0}
    return {**alone, **options, "connect_args": {"check_same_thread": False, **options.get("connect_args", {})}}


def configure_engine(engine: EngineT, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> EngineT:
    """Configure an engine of your own as `make_engine` does, and return it. A configured engine doesn't change.

    On SQLite: a write-ahead log, so that readers and the one writer don't wait for each other; transactions that begin
    with BEGIN IMMEDIATE, so that reading before writing never fails with SQLITE_BUSY; a busy timeout, so that writers
    wait for each other; enforced foreign keys; and connections that stay open if a task is cancelled, or a thread
    interrupted, during a statement. See https://sqlite.org/wal.html and https://sqlite.org/lang_transaction.html.

    On other databases: a connection that was idle for a second is pinged before use, and replaced if it is lost, since
    the server may have restarted.

    Args:
        engine: an Engine or AsyncEngine without connections yet.
        busy_timeout: the maximum time that a transaction on SQLite waits for the current writer.
    """
    inner = engine if isinstance(engine, Engine) else engine.sync_engine
    if inner.dialect.name != "sqlite":
        _ping_after_idle(inner)
    elif not _is_configured(inner):
        inner.dialect.skip_autocommit_rollback = False  # its transactions are not of the driver, which is in autocommit
        event.listen(inner, "connect", partial(_set_up, busy_timeout))
        event.listen(inner, "begin", _begin)
        event.listen(inner.dialect, "handle_error", _keep)
    return engine


def require_configured(engine: Engine) -> None:
    """Refuse an engine on which a unit of work would not be atomic.

    Raises:
        ValueError: it is for PostgreSQL, and in autocommit; or for SQLite, and not configured: pysqlite would begin
            transactions only at the first write, without savepoints in them.
    """
    of_dialect = getattr(engine.dialect, "_on_connect_isolation_level", None)  # of create_engine; SQLAlchemy 2.0, 2.1
    level = engine.get_execution_options().get("isolation_level") or of_dialect
    if engine.dialect.name == "postgresql" and level == "AUTOCOMMIT":
        raise ValueError(
            f"the engine for {engine.url!r}: expected one with transactions, got one whose isolation level is "
            "AUTOCOMMIT, where nothing can be rolled back; leave out `isolation_level`"
        )
    if engine.dialect.name == "sqlite" and not _is_configured(engine):
        raise ValueError(
            f"the engine for {engine.url!r}: expected one made by make_engine or make_async_engine, got another, whose "
            "transactions would not be atomic; pass it to configure_engine(engine)"
        )


def transactional(connection: Connection) -> Connection:
    """Return the connection; RuntimeError if an option lets its driver commit each statement by itself."""
    if connection.dialect.name == "postgresql" and getattr(connection.connection.dbapi_connection, "autocommit", False):
        raise RuntimeError(
            f"a connection of the engine for {connection.engine.url!r}: expected one with transactions, got one in "
            "autocommit, where nothing can be rolled back; leave out `autocommit` and the isolation level AUTOCOMMIT"
        )
    return connection


def _is_configured(engine: Engine) -> bool:
    """Check for a listener on the dialect: copies made by `engine.execution_options(...)` share it."""
    return event.contains(engine.dialect, "handle_error", _keep)


_WAL = "PRAGMA journal_mode = WAL"


def _set_up(busy_timeout: timedelta, connection: Any, _: object) -> None:  # Any: the driver's own, of no common type
    """Set up a new connection of SQLite."""
    connection.isolation_level = None  # the driver begins no transactions of its own
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {round(busy_timeout / timedelta(milliseconds=1))}")
    try:
        cursor.execute(_WAL)
    except sqlite3.OperationalError as error:  # locked: with the statement it is known to be no lost race
        raise OperationalError(_WAL, None, error) from error
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Execute BEGIN on the driver's cursor, which takes a third of the time of a statement by SQLAlchemy."""
    options = connection.get_execution_options()
    if AT_ONCE in options:
        commit_at_once(connection)
        return
    connection.info.pop(_ENDED, None)
    reads = options.get(READ_ONLY, False)
    statement = "BEGIN" if reads else "BEGIN IMMEDIATE"
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
    except connection.dialect.loaded_dbapi.Error as error:
        raise OperationalError(statement, None, error) from error
    finally:
        cursor.close()


def commit_at_once(connection: Connection) -> None:
    """Let each statement on a connection to SQLite be its own transaction."""
    driver: Any = connection.connection.dbapi_connection  # Any: as above
    if driver.isolation_level is not None:  # an option of SQLAlchemy has changed it: nobody would commit
        driver.isolation_level = None


def _keep(failed: ExceptionContext) -> None:
    """Keep a connection of SQLite in which a statement was cancelled or interrupted.

    SQLAlchemy considers it broken and closes it. That would lose an in-memory database; and SQLite closes a connection
    only after its last statement, so that its lock would remain until the garbage collector finds the cursor. Keeping
    it is safe: there is no network, and the thread of aiosqlite runs one call after the other, so the following
    ROLLBACK finds the statement finished. See https://sqlite.org/c3ref/close.html.
    """
    if not isinstance(failed.original_exception, Exception):
        failed.is_disconnect = False
    elif failed.connection is not None and failed.statement is not None and not failed.is_disconnect:
        _note_end(failed.connection)


def _note_end(connection: Connection) -> None:
    """Note if SQLite has ended a transaction by itself: because of a full disk, or of a trigger with ROLLBACK.

    Then another one begins, so that no later statement commits by itself; nobody commits it. See
    https://sqlite.org/lang_transaction.html, section 3.
    """
    driver: Any = connection.connection.driver_connection  # Any: as above
    is_open = connection.in_transaction() and AT_ONCE not in connection.get_execution_options()
    if is_open and not driver.in_transaction:
        connection.info[_ENDED] = True
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute("BEGIN")


def has_ended(connection: Connection) -> bool:
    """Check if SQLite has ended the transaction of a connection by itself, after a failed statement."""
    return connection.dialect.name == "sqlite" and _ENDED in connection.info


def _ping_after_idle(engine: Engine) -> None:
    """Ping only idle connections: `pool_pre_ping` costs a round trip to the server for each transaction."""

    @event.listens_for(engine, "checkin")
    def note_idle(_: object, record: ConnectionPoolEntry) -> None:
        record.info[_IDLE_SINCE] = monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        if monotonic() - record.info.get(_IDLE_SINCE, monotonic()) > _IDLE_LIMIT.total_seconds():
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError from error
