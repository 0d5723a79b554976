"""Outcomes of commits that failed: whether the changes may be stored all the same."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from sqlite3 import (
    SQLITE_BUSY,
    SQLITE_CONSTRAINT,
    SQLITE_ERROR,
    SQLITE_FULL,
    SQLITE_LOCKED,
    SQLITE_READONLY,
    SQLITE_TOOBIG,
)

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, NotSupportedError, ProgrammingError

from domainkit.adapters.sqlalchemy.races import races_as_conflicts
from domainkit.errors import OutcomeUnknownError

_DEFINITE = frozenset(
    {SQLITE_ERROR, SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_TOOBIG, SQLITE_READONLY, SQLITE_CONSTRAINT}
)
"""Error codes after which SQLite has not committed; after others, such as an I/O error, it may have."""


_BEFORE_SENDING = (ProgrammingError, DataError, NotSupportedError)
"""Errors of the driver itself, which sent nothing: it has no form for a value, for example."""


_IN_DOUBT = ("08", "57", "58", "40003")
"""The beginnings of SQLSTATEs for a lost connection, a shutdown, a crash, or an unknown outcome. See
https://www.postgresql.org/docs/current/errcodes-appendix.html."""


_CANCELED = "57014"
"""The SQLSTATE for a canceled statement, such as after a timeout: despite its beginning, nothing was stored."""


def take_back(connection: Connection, error: BaseException) -> None:
    """Roll back after a failed commit; raise OutcomeUnknownError if the changes may be stored.

    SQLite leaves the transaction open if a deferred constraint fails, but SQLAlchemy treats it as ended: the next user
    of the connection would be in it.
    """
    if not connection.invalidated:
        with suppress(Exception):  # the connection is gone, and the database rolls back by itself
            connection.connection.rollback()
    refuse_doubt(error)


def refuse_doubt(error: BaseException) -> None:
    """Raise OutcomeUnknownError if a commit that failed with `error` may have stored its changes."""
    if not _is_definite(error):
        info = {"message": "no answer to COMMIT: the changes may be stored", "exception": type(error).__name__}
        raise OutcomeUnknownError(additional_info=info) from error


@contextmanager
def autocommit_errors(dialect: str) -> Iterator[None]:
    """Raise ConflictError or OutcomeUnknownError if a statement that is its own transaction fails.

    On SQLite it is no lost race if the statement waits too long for its lock: the holder of the lock may hang.
    """
    with races_as_conflicts() if dialect == "postgresql" else nullcontext():
        try:
            yield
        except DBAPIError as error:
            refuse_doubt(error)
            raise


def _is_definite(error: BaseException) -> bool:
    """Return True if it is certain that a commit that failed with `error` stored no changes."""
    if not isinstance(error, DBAPIError):  # not from the database: an interrupt, for example, or no connection
        return not isinstance(error, OSError)
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:  # the server reported the error, though it may have closed the connection afterwards
        return state == _CANCELED or not state.startswith(_IN_DOUBT)
    if error.connection_invalidated:
        return False
    if isinstance(error, _BEFORE_SENDING) and not hasattr(error.orig, "sqlite_errorcode"):
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DEFINITE
