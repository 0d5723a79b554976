"""Which transaction is open right here, and how one ends: what the sync and the async unit of work share."""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import get_ident
from types import MappingProxyType

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from domainkit.errors import OutcomeUnknownError

_DEFINITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CONSTRAINT,
    }
)
"""With these SQLite says that it did not commit; after others, such as an I/O error, nobody knows."""

_IN_DOUBT = ("08", "57", "58", "40003")
"""With these PostgreSQL says that it lost the connection, was shut down or broke, or does not know itself. See
https://www.postgresql.org/docs/current/errcodes-appendix.html."""


_ABORTED = 3
"""PQTRANS_INERROR, as psycopg has it from libpq. See https://www.postgresql.org/docs/current/libpq-status.html."""


class Unit:
    """An open transaction, and the thread and task that it belongs to."""

    __slots__ = ("_owner", "around", "broken_by", "connection", "outer", "over")

    def __init__(self, connection: Connection, outer: AsyncConnection | None, around: "Unit | None") -> None:
        self.connection = connection
        self.outer = outer
        self.around = around
        self.over = False
        self.broken_by: BaseException | None = None
        self._owner = _here()

    def check(self) -> None:
        """Refuse another thread or task: a transaction does one thing after the other."""
        if self._owner != _here():
            raise RuntimeError(
                "this unit of work belongs to another task or thread: begin one of its own where the work is done, "
                "or do it before the other is started"
            )

    def check_whole(self) -> None:
        """Refuse to commit half of what was meant: a write failed, and the exception was caught."""
        if self.broken_by is not None:
            raise RuntimeError(
                f"this unit of work can't be committed: a write in it failed with {type(self.broken_by).__qualname__}. "
                "Where that is expected, begin a nested unit of work around the write, which is rolled back alone"
            ) from self.broken_by
        if _is_aborted(self.connection):
            raise RuntimeError(
                "this unit of work can't be committed: a statement in it failed, and the exception was caught. Where "
                "that is expected, begin a nested unit of work around the statement, which is rolled back alone"
            )


def _is_aborted(connection: Connection) -> bool:
    """Tell whether PostgreSQL would answer COMMIT with ROLLBACK: drivers take that for a success."""
    info = getattr(connection.connection.driver_connection, "info", None)
    status: object = getattr(info, "transaction_status", None)
    return status == _ABORTED


def _here() -> tuple[int, object]:
    try:
        return get_ident(), asyncio.current_task()
    except RuntimeError:
        return get_ident(), None


_NONE: Mapping[object, Unit] = MappingProxyType({})
_OPEN: ContextVar[Mapping[object, Unit]] = ContextVar("domainkit.units_of_work", default=_NONE)
"""The innermost open unit of each UnitOfWork: of the context, so that each task and thread has its own."""


def current(owner: object) -> Unit | None:
    """Return the open unit of a UnitOfWork.

    Raises:
        RuntimeError: it belongs to another task or thread.
    """
    unit = _open(owner)
    if unit is not None:
        unit.check()
    return unit


def _open(owner: object) -> Unit | None:
    """Return the innermost unit that isn't over: a task that was started in one may outlive it, with its context."""
    unit = _OPEN.get().get(owner)
    while unit is not None and unit.over:
        unit = unit.around
    return unit


@contextmanager
def entered(owner: object, connection: Connection, outer: AsyncConnection | None = None) -> Iterator[None]:
    """Make a connection's transaction the open unit of a UnitOfWork; at the end of the block it must be whole."""
    unit = Unit(connection, outer, _open(owner))
    token = _OPEN.set({**_OPEN.get(), owner: unit})
    try:
        yield
    finally:
        _OPEN.reset(token)
        unit.over = True
    unit.check_whole()


@contextmanager
def writing(unit: Unit) -> Iterator[Connection]:
    """Yield the unit's connection; after an exception the unit can't be committed any more."""
    try:
        yield unit.connection
    except BaseException as error:
        unit.broken_by = error
        raise


def take_back(connection: Connection, error: BaseException) -> None:
    """Take a failed commit back; raise OutcomeUnknownError where it may have been stored.

    SQLite leaves the transaction open where a deferred constraint failed, and SQLAlchemy takes it for ended: the next
    one who gets the connection would find himself in it.
    """
    if not connection.invalidated:
        with suppress(Exception):  # the connection is gone, and the database rolls back by itself
            connection.connection.rollback()
    if not _is_definite(error):
        info = {"message": "no answer to COMMIT: it may have been stored, or not", "exception": type(error).__name__}
        raise OutcomeUnknownError(additional_info=info) from error


def _is_definite(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return False
    if not isinstance(error, DBAPIError):  # nothing that the database said: an interrupt, say
        return True
    if error.connection_invalidated:
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return not state.startswith(_IN_DOUBT)
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DEFINITE
