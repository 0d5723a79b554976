"""One transaction for all that a use case stores and says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

from returns.result import Failure, Result
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from typing_extensions import ParamSpec

from domainkit.adapters.sqlalchemy._units import current, entered, take_back, writing
from domainkit.adapters.sqlalchemy.engines import READ_ONLY
from domainkit.adapters.sqlalchemy.outbox import Outbox
from domainkit.errors import OutcomeUnknownError

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E")


class _RolledBackError(Exception):
    """Rolls a unit of work back because its step returned a Failure."""


def _undo_failure(result: Result[Any, Any]) -> None:  # Any: of a step of any kind
    if isinstance(result, Failure):
        raise _RolledBackError


_PENDING = Failure(OutcomeUnknownError())
"""What is known before the step has answered."""


class UnitOfWork:
    """Transactions that repositories and the outbox share: all of what is done in one is stored, or nothing.

    Make one for a database, and hand it to the repositories. Outside of a unit of work each call of a repository is a
    transaction of its own. See Fowler, Patterns of Enterprise Application Architecture (2002), Unit of Work.

    Args:
        engine: made by `make_engine`, or taught by `configure_engine`.
        outbox: where the events go that saved aggregates have recorded; without one the aggregate that a repository
            returns still has them.
    """

    def __init__(self, engine: Engine, *, outbox: Outbox | None = None) -> None:
        self._engine = engine
        self.outbox = outbox

    @property
    def dialect(self) -> str:
        """The name that SQLAlchemy has for the database, such as `sqlite`."""
        return self._engine.dialect.name

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Begin a transaction for the `with` block: committed at its end, rolled back by an exception.

        Inside another one it is nested: an exception takes back what was done in it alone (a savepoint), and it is
        stored when the outer one is.

        Yields:
            The connection, for statements of your own.

        Raises:
            OutcomeUnknownError: the connection was lost while committing.
            RuntimeError: a write in it failed, and the exception was caught inside; nothing was stored then. Or it was
                begun in another task or thread.
        """
        outer = current(self)
        with self._begun() if outer is None else self.joining(outer.connection) as connection:
            yield connection

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            transaction = connection.begin()
            try:
                with entered(self, connection):
                    yield connection
            except BaseException:
                with suppress(DBAPIError):  # it is gone, and the database rolls back by itself
                    transaction.rollback()
                raise
            try:
                transaction.commit()
            except BaseException as error:
                take_back(connection, error)
                raise

    @contextmanager
    def joining(self, connection: Connection) -> Iterator[Connection]:
        """Do the work of the `with` block in a transaction that the caller has begun, and commits himself.

        An exception takes back what was done in the block alone (a savepoint).

        Args:
            connection: where the transaction is open.
        """
        with connection.begin_nested(), entered(self, connection):
            yield connection

    def writing(self) -> AbstractContextManager[Connection]:
        """Return a context for repositories of your own: the connection of the open unit of work, or a new one.

        An exception leaves the open unit of work unable to commit, even where it is caught.
        """
        unit = current(self)
        return self._begun() if unit is None else writing(unit)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield the connection of the open unit of work, or one that only reads: for repositories of your own."""
        unit = current(self)
        if unit is not None:
            yield unit.connection
            return
        with self._engine.connect() as connection:
            yield connection.execution_options(**{READ_ONLY: True})

    def atomic(self, step: Callable[P, Result[T, E]]) -> Callable[P, Result[T, E | OutcomeUnknownError]]:
        """Return a step of a pipeline that does `step` in a unit of work: a Failure or an exception rolls it back.

        Args:
            step: a function or use case that returns a Result.

        Returns:
            A function that returns the Result of `step`, or a Failure with OutcomeUnknownError where the connection was
            lost while committing. What `step` raises is raised.
        """

        def run(*args: P.args, **kwargs: P.kwargs) -> Result[T, E | OutcomeUnknownError]:
            result: Result[T, E | OutcomeUnknownError] = _PENDING
            try:
                with self.begin():
                    result = step(*args, **kwargs)
                    _undo_failure(result)
            except _RolledBackError:
                pass
            except OutcomeUnknownError as error:
                result = Failure(error)
            return result

        return run


def _itself(connection: Connection) -> Connection:
    return connection


class AsyncUnitOfWork:
    """The async twin of UnitOfWork, around one of those: `inner`, whose repositories do their work in `run`.

    Args:
        engine: made by `make_async_engine`, or taught by `configure_engine`.
        outbox: where the events go that saved aggregates have recorded; without one the aggregate that a repository
            returns still has them.
    """

    def __init__(self, engine: AsyncEngine, *, outbox: Outbox | None = None) -> None:
        self._engine = engine
        self.inner: UnitOfWork = UnitOfWork(engine.sync_engine, outbox=outbox)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction for the `async with` block; see UnitOfWork.begin."""
        outer = self._current()
        if outer is not None:
            async with self.joining(outer) as connection:
                yield connection
        else:
            async with self._begun(read_only=False) as connection:
                yield connection

    @asynccontextmanager
    async def _begun(self, *, read_only: bool) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            await connection.execution_options(**{READ_ONLY: read_only})
            transaction = await connection.begin()
            try:
                with entered(self.inner, await connection.run_sync(_itself), connection):
                    yield connection
            except BaseException:
                with suppress(DBAPIError):  # it is gone, and the database rolls back by itself
                    await transaction.rollback()
                raise
            try:
                await transaction.commit()
            except BaseException as error:
                await connection.run_sync(take_back, error)
                raise

    @asynccontextmanager
    async def joining(self, connection: AsyncConnection) -> AsyncIterator[AsyncConnection]:
        """Do the work of the `async with` block in a transaction that the caller has begun; see UnitOfWork.joining."""
        async with connection.begin_nested():
            with entered(self.inner, await connection.run_sync(_itself), connection):
                yield connection

    async def run(self, work: Callable[[], T], *, read_only: bool = False) -> T:
        """Do sync work with the `inner` unit of work on this one's connection, without blocking the loop.

        In the open unit of work, or in one of its own. For repositories of your own, written once for both.

        Args:
            work: a function that uses `inner`, or repositories made with it.
            read_only: whether it stores nothing: one of its own waits for no writer then.
        """
        outer = self._current()
        if outer is not None:
            return await outer.run_sync(lambda _: work())
        async with self._begun(read_only=read_only) as connection:
            return await connection.run_sync(lambda _: work())

    def atomic(
        self, step: Callable[P, Awaitable[Result[T, E]]]
    ) -> Callable[
        P, Coroutine[Any, Any, Result[T, E | OutcomeUnknownError]]
    ]:  # Any: what a coroutine yields to its loop
        """Return an async step of a pipeline that does `step` in a unit of work; see UnitOfWork.atomic.

        Args:
            step: a coroutine function or async use case that returns a Result.
        """

        async def run(*args: P.args, **kwargs: P.kwargs) -> Result[T, E | OutcomeUnknownError]:
            result: Result[T, E | OutcomeUnknownError] = _PENDING
            try:
                async with self.begin():
                    result = await step(*args, **kwargs)
                    _undo_failure(result)
            except _RolledBackError:
                pass
            except OutcomeUnknownError as error:
                result = Failure(error)
            return result

        return run

    def _current(self) -> AsyncConnection | None:
        unit = current(self.inner)
        return None if unit is None else unit.outer
