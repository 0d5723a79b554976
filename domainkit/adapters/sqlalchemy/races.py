"""Races between transactions: the database's error for the loser, as a ConflictError."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from sqlite3 import SQLITE_BUSY
from typing import Final, TypeVar

from sqlalchemy.exc import DBAPIError

from domainkit.errors import ConflictError

T = TypeVar("T")

SERIALIZATION_FAILURE: Final = "40001"
DEADLOCK: Final = "40P01"
"""SQLSTATEs of PostgreSQL: it has rolled back, and the same transaction may succeed if it is repeated.
See https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html."""

_TRIES: Final = 3
"""The attempts for work that keeps losing races: other transactions finish meanwhile, so more are rarely needed."""

_BEFORE: Final = ("BEGIN", "PRAGMA")
"""The beginnings of the statements of SQLite before a transaction is open: PRAGMA is of a new connection."""


def conflict_of(error: DBAPIError) -> ConflictError | None:
    """Return the ConflictError for an error of a database; None if it has another meaning.

    A conflict is a serialization failure or a deadlock of PostgreSQL, or SQLITE_BUSY in an open transaction, such as
    one that read first, and wrote after another transaction had written. A timeout is not a conflict, whether of BEGIN
    or connecting on SQLite or of a lock on PostgreSQL: the holder of the lock may hang. See
    https://sqlite.org/rescode.html#busy_snapshot.
    """
    state = state_of(error)
    if state not in {SERIALIZATION_FAILURE, DEADLOCK} and not _is_busy(error):
        return None
    message = f"a concurrent transaction won ({state or 'SQLITE_BUSY'}), and nothing is stored; repeat all of it"
    return ConflictError(additional_info={"message": message})


def state_of(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of an error of PostgreSQL; None for another error."""
    state: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state


def _is_busy(error: DBAPIError) -> bool:
    code, is_open = getattr(error.orig, "sqlite_errorcode", None), not (error.statement or "").startswith(_BEFORE)
    return code is not None and code & 0xFF == SQLITE_BUSY and is_open


@contextmanager
def races_as_conflicts() -> Iterator[None]:
    """Raise a ConflictError in place of a database's error for a lost race; other errors pass through."""
    try:
        yield
    except DBAPIError as error:
        refuse_race(error)
        raise


def refuse_race(error: DBAPIError) -> None:
    """Raise a ConflictError if a database's error is about a lost race."""
    conflict = conflict_of(error)
    if conflict is not None:
        raise conflict from error


def despite_races(work: Callable[[], T]) -> T:
    """Return the result of work that is its own transaction, tried up to three times if it loses races.

    It has no other effects: after a lost race nothing is stored.
    """
    for _ in range(_TRIES - 1):
        with suppress(ConflictError):
            return work()
    return work()


async def despite_races_async(work: Callable[[], Awaitable[T]]) -> T:
    """Return the result of work to await, as `despite_races` does."""
    for _ in range(_TRIES - 1):
        with suppress(ConflictError):
            return await work()
    return await work()
