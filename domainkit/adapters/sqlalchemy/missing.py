"""Tables and columns that a database doesn't have: waiting for them is of no use, unlike for a server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError

_STATES: Final = frozenset({"42P01", "42703", "3F000"})
"""The SQLSTATEs for an undefined table, column and schema. See
https://www.postgresql.org/docs/current/errcodes-appendix.html."""

_TEXTS: Final = ("no such table", "no such column", "has no column named")
"""Parts of the messages of SQLite, which has one code for all wrong SQL."""


class MissingTableError(RuntimeError):
    """The database lacks a table, or a column of it; the text has the name, and what to do."""


def missing_part(error: BaseException | None) -> str | None:
    """Return the words of the database for a table or column that it lacks; None for any other error.

    >>> from sqlalchemy import create_engine
    >>> with create_engine("sqlite://").connect() as connection:
    ...     try:
    ...         connection.exec_driver_sql("SELECT * FROM balances")
    ...     except DBAPIError as error:
    ...         print(missing_part(error).split()[-1])
    balances
    """
    if not isinstance(error, DBAPIError):
        return None
    text = str(error.orig).strip().partition("\n")[0]
    state = getattr(error.orig, "sqlstate", None)
    is_missing = any(one in text for one in _TEXTS) if state is None else state in _STATES
    return text if is_missing else None


@contextmanager
def tables_required(subject: str) -> Iterator[None]:
    """Raise MissingTableError for a table or column that a statement in the block lacks.

    Args:
        subject: the one who needs it, for the text.
    """
    try:
        yield
    except DBAPIError as error:
        part = missing_part(error)
        if part is None:
            raise
        raise MissingTableError(
            f"{subject}: expected a database with its tables and their columns, got {part!r}; create them by a "
            "migration, or by `metadata.create_all`"
        ) from error
