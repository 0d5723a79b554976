"""Reads of one statement by the driver's cursor on a connection of the pool, if nobody watches the engine.

The pool, with its pings and its reset, and the errors are those of SQLAlchemy. What is left out are the objects that it
makes for a connection, a statement and each row: together they take longer than a driver takes for a row.
"""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any, Generic, TypeVar

from attrs import frozen
from sqlalchemy import Connection, Dialect, Engine, PoolProxiedConnection

from domainkit.adapters.sqlalchemy.engines import is_usual
from domainkit.adapters.sqlalchemy.lean import Parameters, failure, is_watched
from domainkit.adapters.sqlalchemy.psycopg_cursors import PSYCOPG

T = TypeVar("T")


class LeanConnection:
    """A connection of the pool on which each statement is its own transaction.

    Args:
        engine: that of the pool: a configured one for SQLite, or one for psycopg.
        pooled: a connection outside of a transaction, which the caller returns to the pool.
    """

    __slots__ = ("_engine", "_pooled", "dialect")

    def __init__(self, engine: Engine, pooled: PoolProxiedConnection) -> None:
        self._engine, self._pooled = engine, pooled
        self.dialect: Dialect = engine.dialect

    def fetch(self, statement: str, parameters: Parameters) -> Sequence[Any]:  # Any: rows
        """Execute a statement that reads, and return its rows.

        Raises:
            DBAPIError: as SQLAlchemy raises it.
        """
        dialect, is_sqlite = self.dialect, self.dialect.name == "sqlite"
        fetch = self._fetch if is_sqlite else self._fetch_in_autocommit
        try:
            return fetch(statement, parameters)
        except dialect.loaded_dbapi.Error as error:
            raise failure(self._engine, self._pooled, statement, parameters, error) from error
        except BaseException as error:
            if not (is_sqlite or isinstance(error, Exception)):  # interrupted: the answer may still be on its way
                self._pooled.invalidate(error)
            raise

    def _fetch(self, statement: str, parameters: Parameters) -> Sequence[Any]:
        """On SQLite: outside of a transaction, the driver begins none for a statement that reads."""
        with closing(self._pooled.cursor()) as cursor:
            self.dialect.do_execute(cursor, statement, parameters)
            rows: Sequence[Any] = cursor.fetchall()
            return rows

    def _fetch_in_autocommit(self, statement: str, parameters: Parameters) -> Sequence[Any]:
        """On PostgreSQL: the driver would begin a transaction, which is another trip to the server."""
        driver: Any = self._pooled.dbapi_connection  # Any: psycopg's own
        before, driver.autocommit = driver.autocommit, True
        try:
            return self._fetch(statement, parameters)
        finally:
            with suppress(self.dialect.loaded_dbapi.Error):  # it is lost, or was interrupted: it leaves the pool
                driver.autocommit = before


@frozen
class Read(Generic[T]):
    """Work that reads, on the connection of a unit of work or on one of its own.

    Args:
        work: does it by statements on a connection.
        is_single: it is one statement, which sees one snapshot of the database even without a transaction.
        lean: does the same on a lean connection; None if that is not possible.
    """

    work: Callable[[Connection], T]
    is_single: bool = False
    lean: Callable[[LeanConnection], T] | None = None


class LeanReads:
    """The lean connections of an engine.

    Args:
        engine: a configured one for SQLite, or any other.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: tuple[object, bool] = (None, False)

    def are_possible(self) -> bool:
        """Return True if a read on a lean connection does the same as one of SQLAlchemy, and nobody would notice."""
        options = self._engine.get_execution_options()
        known, fits = self._known
        if not fits or options is not known:  # the application may change them
            fits = self._fits()
            self._known = options, fits
        return fits and not is_watched(self._engine)

    def _fits(self) -> bool:
        engine = self._engine
        if engine.get_execution_options().get("schema_translate_map"):
            return False
        return engine.dialect.name == "sqlite" or (engine.dialect.driver in PSYCOPG and is_usual(engine))

    def run(self, work: Callable[[LeanConnection], T]) -> T:
        """Return the result of work on a lean connection.

        Raises:
            DBAPIError: as SQLAlchemy raises it.
        """
        engine = self._engine
        try:
            pooled = engine.raw_connection()
        except engine.dialect.loaded_dbapi.Error as error:
            raise failure(engine, None, None, None, error) from error
        try:
            return work(LeanConnection(engine, pooled))
        finally:
            pooled.close()
