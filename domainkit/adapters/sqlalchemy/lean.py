"""Short transactions of SQLite, and appends to PostgreSQL, by the cursor of the driver, if nobody watches the engine.

The objects that SQLAlchemy makes for a transaction and for each statement take longer than SQLite takes for a row. They
are there for those who watch: logs, traces and other listeners. With one of these, all goes through SQLAlchemy.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from logging import INFO
from typing import Any, Generic, NamedTuple, TypeAlias

from sqlalchemy import Connection, Engine, PoolProxiedConnection, RootTransaction
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError

from domainkit.adapters.sqlalchemy.engines import AT_ONCE, EngineT, at_once, has_listeners, transactional
from domainkit.adapters.sqlalchemy.psycopg_cursors import PSYCOPG

Parameters: TypeAlias = tuple[Any, ...] | Mapping[str, Any] | list[Any]  # Any: what a driver takes, for one row or many

_LEAN = "domainkit_lean"
"""The execution option of a connection whose statements go to the driver's cursor."""


class Sent(NamedTuple):
    """The outcome of a statement that wrote rows."""

    rowcount: int
    lastrowid: int | None


Written: TypeAlias = Sent | CursorResult[Any]  # Any: a statement that writes rows returns none
"""The outcome of a statement that wrote rows: its `rowcount`, and on SQLite its `lastrowid`."""


class LeanEngine(Generic[EngineT]):
    """An engine and, for SQLite, a copy with the same pool whose connections are lean.

    Args:
        engine: a configured one.
    """

    def __init__(self, engine: EngineT) -> None:
        self._engine: EngineT = engine
        self._lean: EngineT = engine
        self._sync: Engine = engine if isinstance(engine, Engine) else engine.sync_engine
        self._options: Mapping[str, object] | None = None

    def get(self) -> EngineT:
        """Return the lean engine, or the given one if somebody watches it."""
        if self._sync.dialect.name != "sqlite" or is_watched(self._sync):
            return self._engine
        options = self._sync.get_execution_options()
        if options is not self._options:  # the application may change them
            self._lean, self._options = self._engine.execution_options(**{AT_ONCE: True, _LEAN: True}), options
        return self._lean

    def at_once(self) -> Mapping[str, object]:
        """Return the options of a connection of the engine on which each statement is its own transaction.

        By psycopg such a connection is lean too.
        """
        options = at_once(self._sync.dialect.name)
        if self._sync.dialect.driver in PSYCOPG and not is_watched(self._sync):
            options[_LEAN] = True
        return options


def is_watched(engine: Engine) -> bool:
    """Return True if somebody besides this library would notice a statement, or the begin or end of a transaction."""
    of_engine, of_dialect = engine.dispatch, engine.dialect.dispatch
    own = 1 if engine.dialect.name == "sqlite" else 0  # the listeners of `configure_engine`
    return bool(
        of_engine.before_cursor_execute
        or of_engine.after_cursor_execute
        or of_engine.before_execute
        or of_engine.after_execute
        or has_listeners(engine)
        or len(of_dialect.handle_error) > own
        or of_dialect.do_execute
        or of_dialect.do_executemany
        or of_dialect.do_execute_no_params
        or engine.logger.isEnabledFor(INFO)
    )


class LeanTransaction:
    """An open transaction of a lean connection, begun here.

    Raises:
        DBAPIError: another one is writing, for longer than the busy timeout.
    """

    __slots__ = ("_connection", "is_active")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        _execute(connection, "BEGIN IMMEDIATE", ())
        self.is_active: bool = True

    def commit(self) -> None:
        """Commit it; a transaction whose commit failed is to be rolled back."""
        self.is_active = False
        _execute(self._connection, "COMMIT", ())

    def rollback(self) -> None:
        """Roll it back."""
        self.is_active = False
        if not self._connection.invalidated:
            with suppress(self._connection.dialect.loaded_dbapi.Error):  # it is closed, which has rolled back
                self._connection.connection.rollback()


def begun(connection: Connection) -> RootTransaction | LeanTransaction:
    """Begin a transaction."""
    if _LEAN in connection.get_execution_options():
        return LeanTransaction(connection)
    return transactional(connection).begin()


def send(connection: Connection, statement: str, parameters: Parameters) -> Written:
    """Execute a statement that writes rows and returns none, as `Connection.exec_driver_sql` does.

    Args:
        connection: a lean one, or any other.
        statement: the text for the driver.
        parameters: those of one row, or a list of several.

    Raises:
        DBAPIError: as SQLAlchemy raises it.
    """
    if _LEAN in connection.get_execution_options():
        sent: Sent = _execute(connection, statement, parameters)
        return sent
    return connection.exec_driver_sql(statement, parameters)


def fetch(connection: Connection, statement: str, parameters: Parameters) -> Sequence[Any]:  # Any: rows
    """Execute a statement that returns rows, as `send` does, and return these.

    Raises:
        DBAPIError: as SQLAlchemy raises it.
    """
    if _LEAN in connection.get_execution_options():
        rows: Sequence[Any] = _execute(connection, statement, parameters, lambda cursor: cursor.fetchall())
        return rows
    return connection.exec_driver_sql(statement, parameters).all()


def _sent(cursor: Any) -> Sent:  # Any: a cursor of the driver, here and below
    return Sent(cursor.rowcount, getattr(cursor, "lastrowid", None))  # psycopg has none


def _execute(
    connection: Connection, statement: str, parameters: Parameters, outcome: Callable[[Any], Any] = _sent
) -> Any:
    dialect = connection.dialect
    try:
        with closing(connection.connection.cursor()) as cursor:
            if isinstance(parameters, list):
                dialect.do_executemany(cursor, statement, parameters)
            else:
                dialect.do_execute(cursor, statement, parameters)
            return outcome(cursor)
    except dialect.loaded_dbapi.Error as error:
        pooled = connection.connection
        made = failure(connection.engine, pooled, statement, parameters, error)
        if not pooled.is_valid:
            connection.invalidate(error)
        raise made from error


def failure(
    engine: Engine,
    pooled: PoolProxiedConnection | None,
    statement: str | None,
    parameters: Parameters | None,
    error: Any,  # Any: an error of the driver
) -> BaseException:
    """Return SQLAlchemy's error for an error of the driver, as `exec_driver_sql` raises it.

    Args:
        engine: that of the connection.
        pooled: the connection; if it is lost, it leaves the pool together with all that were made before it. None if
            the pool could not make one.
        statement: the text for the driver; None if there is no connection.
        parameters: those of one row, or a list of several.
        error: the error of the driver.
    """
    dialect = engine.dialect
    is_lost = dialect.is_disconnect(error, pooled, None)
    made: BaseException = DBAPIError.instance(
        statement,
        parameters,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=engine.hide_parameters,
        connection_invalidated=is_lost,
        dialect=dialect,
        ismulti=isinstance(parameters, list),
    )
    if is_lost and pooled is not None:
        _give_up(engine, pooled, error)
    return made


def _give_up(engine: Engine, pooled: PoolProxiedConnection, error: Any) -> None:
    """Take a lost connection out of the pool, and those that were made before it: the server may have restarted.

    SQLAlchemy has no function for the latter. It does so if a statement of its own fails on a lost connection, which a
    driver refuses without asking the server.
    """
    if engine.dialect.name != "sqlite":
        with suppress(DBAPIError), Connection(engine, pooled) as lost:
            lost.exec_driver_sql("SELECT 1")
    if pooled.is_valid:
        pooled.invalidate(error)
