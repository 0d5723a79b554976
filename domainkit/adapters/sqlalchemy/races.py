"""Races between transactions: what a database says to the one that lost, as a ConflictError."""

from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import SQLITE_BUSY
from typing import Final

from sqlalchemy.exc import DBAPIError

from domainkit.errors import ConflictError

SERIALIZATION_FAILURE: Final = "40001"
DEADLOCK: Final = "40P01"
"""States of errors of PostgreSQL: it has rolled back, and the same transaction may succeed if it is begun again.
See https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html."""


def conflict_of(error: DBAPIError) -> ConflictError | None:
    """Return the conflict that an error of a database means; None if it means something else.

    That is a serialization failure or a deadlock of PostgreSQL; and SQLITE_BUSY of a transaction that has begun, such
    as one that read, and then wrote after another one had. A transaction that doesn't even begin in time has lost no
    race, and neither has one that waits too long for a lock of PostgreSQL: whoever holds it may hang. See
    https://sqlite.org/rescode.html#busy_snapshot.
    """
    state = state_of(error)
    if state not in {SERIALIZATION_FAILURE, DEADLOCK} and not _is_busy(error):
        return None
    message = f"another transaction got in the way ({state or 'SQLITE_BUSY'}), and nothing is stored: do it again"
    return ConflictError(additional_info={"message": message})


def state_of(error: BaseException | None) -> str | None:
    """Return the SQLSTATE that PostgreSQL gave an error; None if it is of something else."""
    state: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state


def _is_busy(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == SQLITE_BUSY and not (error.statement or "").startswith("BEGIN")


@contextmanager
def races_told() -> Iterator[None]:
    """Raise a ConflictError for an error by which a database says that a race was lost, and others as they are."""
    try:
        yield
    except DBAPIError as error:
        conflict = conflict_of(error)
        if conflict is None:
            raise
        raise conflict from error
