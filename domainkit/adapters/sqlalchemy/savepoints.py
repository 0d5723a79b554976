"""Savepoints whose exceptions are never replaced.

After some errors, such as a full disk, SQLite rolls back the complete transaction by itself. Then there is no savepoint
to roll back to, and SQLAlchemy's attempt raises an error about that. See https://sqlite.org/lang_transaction.html,
section 3.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import Connection, NestedTransaction
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction


@contextmanager
def savepoint(connection: Connection) -> Iterator[NestedTransaction]:
    """Begin a savepoint for the `with` block; an exception rolls it back, and is raised as it is."""
    raised: BaseException | None = None
    try:
        with connection.begin_nested() as nested:
            try:
                yield nested
            except BaseException as error:
                raised = error
                raise
    except DBAPIError as error:
        if raised is None or error is raised:
            raise
        raise raised from raised.__cause__  # there was no savepoint to roll back to


@asynccontextmanager
async def async_savepoint(connection: AsyncConnection) -> AsyncIterator[AsyncTransaction]:
    """Begin a savepoint for the `async with` block; see `savepoint`."""
    raised: BaseException | None = None
    try:
        async with connection.begin_nested() as nested:
            try:
                yield nested
            except BaseException as error:
                raised = error
                raise
    except DBAPIError as error:
        if raised is None or error is raised:
            raise
        raise raised from raised.__cause__  # as above
