"""Savepoints whose exceptions are never replaced.

After some errors, such as a full disk, SQLite rolls back the complete transaction by itself. Then there is no savepoint
to roll back to, and SQLAlchemy's attempt raises an error about that. See https://sqlite.org/lang_transaction.html,
section 3.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

from sqlalchemy import Connection, NestedTransaction
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction


@contextmanager
def savepoint(connection: Connection) -> Iterator[NestedTransaction]:
    """Begin a savepoint for the `with` block; an exception rolls it back, and is raised as it is."""
    with _unreplaced() as block, connection.begin_nested() as nested, block:
        yield nested


@asynccontextmanager
async def async_savepoint(connection: AsyncConnection) -> AsyncIterator[AsyncTransaction]:
    """Begin a savepoint for the `async with` block; see `savepoint`."""
    with _unreplaced() as block:
        async with connection.begin_nested() as nested:
            with block:
                yield nested


@contextmanager
def _unreplaced() -> Iterator[AbstractContextManager[None]]:
    """Raise the exception of a block in place of one about its savepoint: there was none to roll back to.

    Yields:
        The context manager for the block.
    """
    raised: BaseException | None = None

    @contextmanager
    def block() -> Iterator[None]:
        nonlocal raised
        try:
            yield
        except BaseException as error:
            raised = error
            raise

    try:
        yield block()
    except DBAPIError as error:
        if raised is None or error is raised:
            raise
        raise raised from raised.__cause__
