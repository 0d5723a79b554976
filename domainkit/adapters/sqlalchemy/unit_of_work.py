"""One transaction for all that a use case stores and says; which one is open right here, and how it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from sqlite3 import SQLITE_BUSY, SQLITE_CONSTRAINT, SQLITE_FULL, SQLITE_LOCKED, SQLITE_READONLY
from threading import get_ident
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from attrs import define, field
from returns.result import Failure, Result
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from typing_extensions import ParamSpec

from domainkit.adapters.sqlalchemy.engines import READ_ONLY
from domainkit.adapters.sqlalchemy.outbox import Outbox
from domainkit.causation import storing
from domainkit.errors import OutcomeUnknownError

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E")
Coro: TypeAlias = Coroutine[Any, Any, T]  # Any: what it yields to its loop, and gets from it

_DEFINITE = frozenset({SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_READONLY, SQLITE_CONSTRAINT})
"""With these SQLite says that it did not commit; after others, such as an I/O error, nobody knows."""

_IN_DOUBT = ("08", "57", "58", "40003")
"""With these PostgreSQL says that it lost the connection, was shut down or broke, or does not know itself. See
https://www.postgresql.org/docs/current/errcodes-appendix.html."""

_ABORTED = 3
"""PQTRANS_INERROR, as psycopg has it from libpq. See https://www.postgresql.org/docs/current/libpq-status.html."""


def _here() -> tuple[int, object]:
    try:
        return get_ident(), asyncio.current_task()
    except RuntimeError:
        return get_ident(), None


@define(eq=False)
class Unit:
    """An open transaction, and the thread and task that it belongs to."""

    connection: Connection
    outer: AsyncConnection | None
    around: "Unit | None"
    over: bool = False
    broken_by: BaseException | None = None
    place: tuple[int, object] = field(factory=_here)

    def check_whole(self) -> None:
        """Refuse to commit half of what was meant: a write or statement failed, and the exception was caught.

        PostgreSQL would answer COMMIT with ROLLBACK, which drivers take for a success.
        """
        info = getattr(self.connection.connection.driver_connection, "info", None)
        if self.broken_by is not None:
            failed = f"a write in it failed with {type(self.broken_by).__qualname__}"
        elif getattr(info, "transaction_status", None) == _ABORTED:
            failed = "a statement in it failed, and the exception was caught"
        else:
            return
        raise RuntimeError(
            f"this unit of work can't be committed: {failed}; if that is expected, begin a nested unit of work around "
            "it, which is rolled back alone"
        ) from self.broken_by


_NONE: Mapping[object, Unit] = MappingProxyType({})
_OPEN: ContextVar[Mapping[object, Unit]] = ContextVar("domainkit.units_of_work", default=_NONE)
"""The innermost open unit of each UnitOfWork: of the context, so that each task and thread has its own."""


def current(owner: object) -> Unit | None:
    """Return the open unit of a UnitOfWork.

    Raises:
        RuntimeError: it belongs to another task or thread: a transaction does one thing after the other.
    """
    unit = _open(owner)
    if unit is not None and unit.place != _here():
        raise RuntimeError(
            "this unit of work belongs to another task or thread: begin one of its own where the work is done, "
            "or do it before the other is started"
        )
    return unit


def _open(owner: object) -> Unit | None:
    """Return the innermost unit that isn't over: a task that was started in one may outlive it, with its context."""
    unit = _OPEN.get().get(owner)
    while unit is not None and unit.over:
        unit = unit.around
    return unit


@contextmanager
def _entered(owner: object, connection: Connection, outer: AsyncConnection | None = None) -> Iterator[None]:
    """Make a connection's transaction the open unit of a UnitOfWork; at the end of the block it must be whole."""
    unit = Unit(connection, outer, _open(owner))
    token = _OPEN.set({**_OPEN.get(), owner: unit})
    try:
        with storing():
            yield
    finally:
        _OPEN.reset(token)
        unit.over = True
    unit.check_whole()


def take_back(connection: Connection, error: BaseException) -> None:
    """Take a failed commit back; raise OutcomeUnknownError where it may have been stored.

    SQLite leaves the transaction open where a deferred constraint failed, and SQLAlchemy takes it for ended: the next
    one who gets the connection would be in it.
    """
    if not connection.invalidated:
        with suppress(Exception):  # the connection is gone, and the database rolls back by itself
            connection.connection.rollback()
    if not _is_definite(error):
        info = {"message": "no answer to COMMIT: it may have been stored, or not", "exception": type(error).__name__}
        raise OutcomeUnknownError(additional_info=info) from error


def _is_definite(error: BaseException) -> bool:
    if not isinstance(error, DBAPIError):  # nothing that the database said: an interrupt, say, or no connection
        return not isinstance(error, OSError)
    if error.connection_invalidated:
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return not state.startswith(_IN_DOUBT)
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DEFINITE


class _RolledBackError(Exception):
    """Rolls a unit of work back because its step returned a Failure."""


_PENDING = Failure(OutcomeUnknownError())
"""The answer until the step has given its own."""


def _undo_failure(result: object) -> None:
    """Leave the unit of work by an exception, so that it rolls back, where a step failed."""
    if isinstance(result, Failure):
        raise _RolledBackError


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
        self.dialect: str = engine.dialect.name
        """The name that SQLAlchemy has for the database, such as `sqlite`."""
        self.outbox: Outbox | None = outbox

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
                with _entered(self, connection):
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
        """Do the work of the `with` block in a transaction that the caller has begun, and commits.

        An exception takes back what was done in the block alone (a savepoint).

        Args:
            connection: where the transaction is open.
        """
        with connection.begin_nested(), _entered(self, connection):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield the connection of the open unit of work, or of a new one: for repositories of your own.

        An exception leaves the open unit of work unable to commit, even where it is caught.
        """
        unit = current(self)
        if unit is None:
            with self._begun() as connection:
                yield connection
            return
        try:
            yield unit.connection
        except BaseException as error:
            unit.broken_by = error
            raise

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
                with suppress(_RolledBackError), self.begin():
                    result = step(*args, **kwargs)
                    _undo_failure(result)
            except OutcomeUnknownError as error:
                result = Failure(error)
            return result

        return run


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
        unit = current(self.inner)
        outer = None if unit is None else unit.outer
        async with self._begun(read_only=False) if outer is None else self.joining(outer) as connection:
            yield connection

    @asynccontextmanager
    async def _begun(self, *, read_only: bool) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            await connection.execution_options(**{READ_ONLY: read_only})
            transaction = await connection.begin()
            try:
                with _entered(self.inner, await connection.run_sync(lambda inner: inner), connection):
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
            with _entered(self.inner, await connection.run_sync(lambda inner: inner), connection):
                yield connection

    async def run(self, work: Callable[[], T], *, read_only: bool = False) -> T:
        """Do sync work with the `inner` unit of work on this one's connection, without blocking the loop.

        In the open unit of work, or in one of its own. For repositories of your own, written once for both.

        Args:
            work: a function that uses `inner`, or repositories made with it.
            read_only: whether it stores nothing: one of its own waits for no writer then.
        """
        unit = current(self.inner)
        if unit is not None and unit.outer is not None:
            return await unit.outer.run_sync(lambda _: work())
        async with self._begun(read_only=read_only) as connection:
            return await connection.run_sync(lambda _: work())

    def atomic(
        self, step: Callable[P, Awaitable[Result[T, E]]]
    ) -> Callable[P, Coro[Result[T, E | OutcomeUnknownError]]]:
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
