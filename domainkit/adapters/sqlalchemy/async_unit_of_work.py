"""Async units of work: the twin of UnitOfWork, which it wraps."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, TypeVar

from returns.result import Failure, Result
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from typing_extensions import ParamSpec

from domainkit.adapters.sqlalchemy.at_once import Write, commits_at_once
from domainkit.adapters.sqlalchemy.engines import (
    NO_OPTIONS,
    READ_ONLY,
    commit_at_once,
    snapshot_options,
    transactional,
)
from domainkit.adapters.sqlalchemy.lean import LeanEngine
from domainkit.adapters.sqlalchemy.lean_reads import Read
from domainkit.adapters.sqlalchemy.outbox import Outbox
from domainkit.adapters.sqlalchemy.outcomes import autocommit_errors, take_back
from domainkit.adapters.sqlalchemy.races import despite_races_async, races_as_conflicts
from domainkit.adapters.sqlalchemy.savepoints import async_savepoint
from domainkit.adapters.sqlalchemy.unit_of_work import (
    ATOMIC_ADDS,
    PENDING,
    RolledBackError,
    UnitOfWork,
    undo_failure,
)
from domainkit.adapters.sqlalchemy.units import Unit, current, entered, make_turn, require_none
from domainkit.errors import ConflictError, OutcomeUnknownError
from domainkit.results import named_as

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E")

Coro: TypeAlias = Coroutine[Any, Any, T]  # Any: what it yields to its loop, and gets from it


class AsyncUnitOfWork:
    """The async twin of UnitOfWork. It wraps one, `inner`, whose repositories do their work in `run`.

    Args:
        engine: made by `make_async_engine`, or configured by `configure_engine`.
        outbox: as for UnitOfWork.

    Raises:
        ValueError: as for UnitOfWork.
    """

    def __init__(self, engine: AsyncEngine, *, outbox: Outbox | None = None) -> None:
        self._engine, self._lean = engine, LeanEngine(engine)
        self.inner: UnitOfWork = UnitOfWork(engine.sync_engine, outbox=outbox)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction for the `async with` block; see UnitOfWork.begin."""
        unit = current(self.inner)
        if unit is None or unit.outer is None:
            async with self._begun() as connection:
                yield connection
        else:
            unit.require_no_loss()
            with unit.turn:
                async with self.joining(unit.outer) as connection:
                    yield connection

    @asynccontextmanager
    async def begin_shared(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction for the `async with` block, shared by all tasks that are started in it.

        See UnitOfWork.begin_shared; use it for a middleware that runs the rest in another task.
        """
        require_none(self.inner)
        async with self._begun(shared=True) as connection:
            yield connection

    @asynccontextmanager
    async def _begun(self, *, read_only: bool = False, shared: bool = False) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            await connection.execution_options(**{READ_ONLY: read_only})
            transaction = await connection.begin()
            try:
                inner = await connection.run_sync(transactional)
                unit = Unit(inner, transaction, connection, turn=make_turn(shared=shared))
                with entered(self.inner, unit):
                    yield connection
            except BaseException:
                with suppress(DBAPIError):  # connection lost: the database rolls back by itself
                    await transaction.rollback()
                raise
            try:
                with races_as_conflicts():
                    await transaction.commit()
            except BaseException as error:
                await connection.run_sync(take_back, error)
                raise
            self.inner._committed(unit.connection, unit.stored, unit.announcements)

    @asynccontextmanager
    async def joining(self, connection: AsyncConnection) -> AsyncIterator[AsyncConnection]:
        """Run the `async with` block in a transaction that the caller has begun; see UnitOfWork.joining."""
        async with async_savepoint(connection) as nested:
            inner = await connection.run_sync(lambda inner: inner)
            with entered(self.inner, Unit(inner, nested, connection)):
                yield connection

    async def run(self, work: Callable[[], T], *, read_only: bool = False) -> T:
        """Run sync work with the `inner` unit of work on this connection, without blocking the event loop.

        It runs in the open unit of work, or in a new one. Use it for your own repositories, written once for both.

        Args:
            work: a function that uses `inner`, or repositories made with it.
            read_only: True if it stores nothing: then a new unit of work doesn't wait for writers.
        """
        unit = current(self.inner)
        if unit is not None and unit.outer is not None:
            with unit.turn:
                return await unit.outer.run_sync(lambda _: work())
        async with self._begun(read_only=read_only) as connection:
            return await connection.run_sync(lambda _: work())

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Begin a read-only transaction for the `async with` block; see UnitOfWork.reading.

        >>> import asyncio
        >>> from domainkit.adapters.sqlalchemy import make_async_engine
        >>> from sqlalchemy import text
        >>> async def look() -> int:
        ...     engine = make_async_engine("sqlite://")
        ...     async with AsyncUnitOfWork(engine).reading() as connection:
        ...         found = await connection.scalar(text("SELECT 1"))
        ...     await engine.dispose()
        ...     return found
        >>> asyncio.run(look())
        1
        """
        unit = current(self.inner)
        if unit is not None and unit.outer is not None:
            with unit.working():
                yield unit.outer
            return
        async with self._engine.connect() as connection:
            await connection.execution_options(**snapshot_options(self.inner.dialect))
            transaction = await connection.begin()
            try:
                inner = await connection.run_sync(lambda inner: inner)
                with entered(self.inner, Unit(inner, transaction, connection, reads=True)):
                    yield connection
            finally:
                with suppress(DBAPIError):  # as above
                    await transaction.rollback()

    async def _repeated(self, work: Callable[[], T], *, read_only: bool = False) -> T:
        """Return the result of `run`; outside of a unit of work, retry it as UnitOfWork._repeated does."""
        if current(self.inner) is None:
            return await despite_races_async(lambda: self.run(work, read_only=read_only))
        return await self.run(work, read_only=read_only)

    async def _read(self, read: Read[T]) -> T:
        """Do sync work that reads, in the open unit of work or on a connection of its own; see UnitOfWork._read."""
        unit = current(self.inner)
        if unit is not None and unit.outer is not None:
            with unit.turn:
                return await unit.outer.run_sync(lambda _: self.inner._read(read))
        return await despite_races_async(lambda: self._read_alone(read))

    async def _read_alone(self, read: Read[T]) -> T:
        async with self._engine.connect() as connection:
            return await connection.run_sync(self.inner._read_on, read)

    async def _write(self, write: Write[T]) -> T:
        """Do short sync work in the open unit of work, or in a transaction of its own; see UnitOfWork._write."""
        unit = current(self.inner)
        if unit is not None and unit.outer is not None:
            with unit.turn:
                return await unit.outer.run_sync(lambda _: self.inner._write(write))
        return await despite_races_async(lambda: self._write_alone(write))

    async def _write_alone(self, write: Write[T]) -> T:
        if write.at_once is None or not commits_at_once(self._engine.sync_engine):
            return await self._run_alone(write.in_transaction)
        return await self._run_committing(write.at_once)

    async def _run_alone(self, work: Callable[[Connection], T], options: Mapping[str, Any] = NO_OPTIONS) -> T:
        """Do short sync work in a transaction of its own; see UnitOfWork._alone."""
        async with self._lean.get().connect() as connection:
            if options:
                await connection.execution_options(**options)
            return await connection.run_sync(self.inner._finish, work)

    async def _run_committing(self, work: Callable[[Connection], T]) -> T:
        """Do sync work on a connection on which each statement is its own transaction; see `_committing`."""
        engine = self._lean.get()
        async with engine.connect() as connection:
            if engine is self._engine:
                await connection.execution_options(**self._lean.at_once())
            else:
                await connection.run_sync(commit_at_once)
            with autocommit_errors(self.inner.dialect):
                return await connection.run_sync(work)

    def atomic(
        self, step: Callable[P, Awaitable[Result[T, E]]]
    ) -> Callable[P, Coro[Result[T, E | OutcomeUnknownError | ConflictError]]]:
        """Return an async step of a pipeline that runs `step` in a unit of work; see UnitOfWork.atomic.

        Args:
            step: a coroutine function or async use case that returns a Result.
        """

        async def run(*args: P.args, **kwargs: P.kwargs) -> Result[T, E | OutcomeUnknownError | ConflictError]:
            result: Result[T, E | OutcomeUnknownError | ConflictError] = PENDING
            try:
                async with self.begin():
                    result = await step(*args, **kwargs)
                    undo_failure(result)
            except RolledBackError:
                pass
            except (OutcomeUnknownError, ConflictError) as error:
                result = Failure(error)
            return result

        return named_as(run, step, adds=ATOMIC_ADDS)
