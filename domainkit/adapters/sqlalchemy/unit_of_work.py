"""One transaction for all that a use case stores and says; which one is open right here, and how it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import partial
from inspect import CO_GENERATOR, currentframe
from sqlite3 import SQLITE_BUSY, SQLITE_CONSTRAINT, SQLITE_ERROR, SQLITE_FULL, SQLITE_LOCKED, SQLITE_READONLY
from threading import Lock, get_ident
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from attrs import define, field
from returns.result import Failure, Result
from sqlalchemy import Connection, Engine, Transaction
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction
from typing_extensions import ParamSpec

from domainkit.adapters.sqlalchemy.engines import READ_ONLY, at_once, require_configured, snapshot_options
from domainkit.adapters.sqlalchemy.outbox import Outbox
from domainkit.adapters.sqlalchemy.races import conflict_of, races_told
from domainkit.causation import storing
from domainkit.errors import ConflictError, OutcomeUnknownError
from domainkit.results import named_as

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E")
Coro: TypeAlias = Coroutine[Any, Any, T]  # Any: what it yields to its loop, and gets from it

_DEFINITE = frozenset({SQLITE_ERROR, SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_READONLY, SQLITE_CONSTRAINT})
"""With these SQLite says that it did not commit; after others, such as an I/O error, nobody knows."""

_IN_DOUBT = ("08", "57", "58", "40003")
"""With these PostgreSQL says that it lost the connection, was shut down or broke, or does not know itself. See
https://www.postgresql.org/docs/current/errcodes-appendix.html."""

_TRIES: Final = 3
"""The most times that a call is done which loses each race: others get on meanwhile, so that more are hardly needed."""

_CANCELED = "57014"
"""With this one of them it says that it canceled a statement, as after a timeout: nothing was stored."""

_ABORTED = 3
"""PQTRANS_INERROR, as psycopg has it from libpq. See https://www.postgresql.org/docs/current/libpq-status.html."""


def _here() -> tuple[int, object]:
    try:
        return get_ident(), asyncio.current_task()
    except RuntimeError:
        return get_ident(), None


class _Turns:
    """Let one thread or task at a time work in a unit that several share; it may come again while it has its turn."""

    def __init__(self) -> None:
        self._lock, self._places = Lock(), list[object]()

    def __enter__(self) -> None:
        here = _here()
        with self._lock:
            if self._places and self._places[-1] != here:
                raise RuntimeError(
                    "another task or thread works in this unit of work right now: a transaction does one thing after "
                    "the other, so let it finish first"
                )
            self._places.append(here)

    def __exit__(self, *_: object) -> None:
        self._places.pop()


def _turn(*, shared: bool) -> "_Turns | nullcontext[None]":
    return _Turns() if shared else nullcontext()


@define(eq=False)
class Unit:
    """An open transaction, and the thread and task that it belongs to unless it is shared."""

    connection: Connection
    transaction: Transaction | AsyncTransaction
    outer: AsyncConnection | None = None
    turn: _Turns | nullcontext[None] = field(factory=nullcontext)
    over: bool = False
    reads: bool = False
    around: "Unit | None" = None
    broken_by: BaseException | None = None
    lost: ConflictError | None = None
    place: tuple[int, object] = field(factory=_here)

    @property
    def shared(self) -> bool:
        """True if any thread or task that has its context may work in it."""
        return isinstance(self.turn, _Turns)

    @property
    def only_reads(self) -> bool:
        """True if nothing that is done in it is stored: it, or one around it in the same transaction, was begun so."""
        around = self.around
        return self.reads or (around is not None and around.connection is self.connection and around.only_reads)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield the connection for a write; where that fails, the unit can't be committed."""
        if self.only_reads:
            raise RuntimeError(
                "this unit of work only reads: it was begun by `reading`; store in one that `begin` or `atomic` begins"
            )
        with self.working() as connection:
            try:
                yield connection
            except BaseException as error:
                self.broken_by = error
                raise

    @contextmanager
    def working(self) -> Iterator[Connection]:
        """Yield the connection to the one whose turn it is; ConflictError if a race is lost here, or was before."""
        self.require_no_loss()
        with self.turn:
            try:
                yield self.connection
            except DBAPIError as error:
                conflict = conflict_of(error)
                if conflict is None:
                    raise
                self.lost = conflict
                raise conflict from error

    def require_no_loss(self) -> None:
        """Refuse to go on in a transaction that lost a race: the database has ended it."""
        if self.lost is not None:
            raise ConflictError(additional_info=self.lost.additional_info) from self.lost

    def check_whole(self) -> None:
        """Refuse to commit half of what was meant: a write or statement failed, and the exception was caught.

        PostgreSQL would answer COMMIT with ROLLBACK, which drivers take for a success.
        """
        self.require_no_loss()
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
    if unit is not None and not unit.shared and unit.place != _here():
        raise RuntimeError(
            "this unit of work belongs to another task or thread: begin one of its own where the work is done, "
            "do it before the other is started, or begin this one by `async with unit_of_work.begin_shared()`"
        )
    return unit


def _open(owner: object) -> Unit | None:
    """Return the innermost unit that isn't over: a task that was started in one may outlive it, with its context.

    So may a context whose unit ended in another one, or was interrupted before it could say that it is over.
    """
    unit = _OPEN.get().get(owner)
    while unit is not None and (unit.over or not unit.transaction.is_active):
        unit = unit.around
    return unit


@contextmanager
def _entered(owner: object, unit: Unit) -> Iterator[None]:
    """Make a unit the open one of a UnitOfWork for the `with` block; at its end it must be whole."""
    unit.around = _open(owner)
    token, elsewhere = _OPEN.set({**_OPEN.get(), owner: unit}), False
    try:
        with races_told(), storing(lambda: unit.transaction.is_active):
            yield
    finally:
        unit.over = True
        try:
            _OPEN.reset(token)
        except ValueError:  # as contextvars says that it was made in another context
            elsewhere = True
    if elsewhere and not unit.shared:
        raise RuntimeError(
            "this unit of work ended in another context than it began in (another task or thread closed its "
            "generator, say), and what was done in between may not be in it: nothing of it is stored; begin and end "
            "it in one function, or see `begin_shared`"
        )
    if not unit.only_reads:
        unit.check_whole()


_POOLS = frozenset({"anyio", "concurrent", "starlette", "trio"})
"""Packages that let a thread take one step of a generator, in a context that is thrown away after it."""


def _require_lasting_context() -> None:
    """Refuse to begin a unit in a generator that a pool of threads has entered: nobody would see it, nor end it here.

    A sync dependency of FastAPI is one. The stack tells: between the pool and here are generators alone.
    """
    frame = currentframe()
    frame = None if frame is None else frame.f_back
    while frame is not None and (
        frame.f_code.co_flags & CO_GENERATOR or frame.f_globals.get("__name__") == "contextlib"
    ):
        frame = frame.f_back
    if frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _POOLS:
        raise RuntimeError(
            "this unit of work is begun by a generator that runs step by step in threads of a pool, such as a sync "
            "dependency of FastAPI: what runs between its steps would not be in it; write an `async def` dependency "
            "with `async with unit_of_work.begin_shared(): yield` instead"
        )


@asynccontextmanager
async def _in_threads(block: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager that blocks without blocking the loop.

    In threads of their own: those of a pool may all be waiting for the connection that leaving gives back. Both go on
    to their end where the task is cancelled.
    """
    entering = _started(block.__enter__)
    try:
        value = await asyncio.shield(entering)
    except asyncio.CancelledError as error:
        entering.add_done_callback(partial(_abandon, block, error))
        raise
    try:
        yield value
    except BaseException as error:
        await asyncio.shield(_started(partial(block.__exit__, type(error), error, None)))
        raise
    await asyncio.shield(_started(partial(block.__exit__, None, None, None)))


def _started(work: Callable[[], T]) -> "asyncio.Future[T]":
    thread = ThreadPoolExecutor(1)
    try:
        return asyncio.get_running_loop().run_in_executor(thread, work)
    finally:
        thread.shutdown(wait=False)


def _abandon(block: AbstractContextManager[object], error: BaseException, entering: "asyncio.Future[T]") -> None:
    if entering.exception() is None:
        _started(partial(block.__exit__, type(error), error, None))


def take_back(connection: Connection, error: BaseException) -> None:
    """Take a failed commit back; raise OutcomeUnknownError where it may have been stored.

    SQLite leaves the transaction open where a deferred constraint failed, and SQLAlchemy takes it for ended: the next
    one who gets the connection would be in it.
    """
    if not connection.invalidated:
        with suppress(Exception):  # the connection is gone, and the database rolls back by itself
            connection.connection.rollback()
    refuse_doubt(error)


def refuse_doubt(error: BaseException) -> None:
    """Raise OutcomeUnknownError if what failed with `error`, and would have committed, may have been stored."""
    if not _is_definite(error):
        info = {"message": "no answer to COMMIT: it may have been stored, or not", "exception": type(error).__name__}
        raise OutcomeUnknownError(additional_info=info) from error


@contextmanager
def _statement_told(dialect: str) -> Iterator[None]:
    """Raise ConflictError or OutcomeUnknownError for a statement that commits by itself, and fails.

    On SQLite one that waits too long for its lock has lost no race: whoever holds it may hang.
    """
    with races_told() if dialect == "postgresql" else nullcontext():
        try:
            yield
        except DBAPIError as error:
            refuse_doubt(error)
            raise


def _is_definite(error: BaseException) -> bool:
    if not isinstance(error, DBAPIError):  # nothing that the database said: an interrupt, say, or no connection
        return not isinstance(error, OSError)
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:  # the server's last word, though it may have closed the connection after it
        return state == _CANCELED or not state.startswith(_IN_DOUBT)
    if error.connection_invalidated:
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DEFINITE


class _RolledBackError(Exception):
    """Rolls a unit of work back because its step returned a Failure."""


ATOMIC_ADDS: Final = (OutcomeUnknownError, ConflictError)
"""The errors that `atomic` adds to those of a step."""

_PENDING = Failure(OutcomeUnknownError())
"""The answer until the step has given its own."""


def _require_none(owner: object) -> None:
    if _open(owner) is not None:
        raise RuntimeError("begin_shared: a unit of work is open here already; begin a nested one by `begin`")


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

    Raises:
        ValueError: the engine is for SQLite, and wasn't taught: its transactions would not be atomic.
    """

    def __init__(self, engine: Engine, *, outbox: Outbox | None = None) -> None:
        require_configured(engine)
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
            ConflictError: another transaction got in the way of a statement or of the commit: a serialization failure
                or a deadlock of PostgreSQL, or SQLITE_BUSY of a transaction that began as one that only reads. All of
                it is taken back; of a nested one that alone, and at REPEATABLE READ and SERIALIZABLE the outermost
                is to be done again.
            RuntimeError: a write in it failed, and the exception was caught inside; or the block ended in another
                context than it began in. Nothing was stored then. Or it was begun in another task or thread, or by a
                generator whose steps a pool of threads runs, such as a sync dependency of FastAPI.
        """
        unit = current(self)
        if unit is None:
            _require_lasting_context()
            with self._begun() as connection:
                yield connection
        else:
            unit.require_no_loss()
            with unit.turn, self.joining(unit.connection) as connection:
                yield connection

    @asynccontextmanager
    async def begin_shared(self) -> AsyncIterator[Connection]:
        """Begin a transaction for the `async with` block that all threads and tasks started in it work in, in turn.

        For a dependency of FastAPI, or a middleware, around sync code that runs in threads: those have a copy of the
        context of the task that is here. The connection is opened, committed and closed in other threads, so that the
        loop never waits. Threads and tasks that work in it at the same time are refused.

        Yields:
            The connection, for statements of your own.

        Raises:
            OutcomeUnknownError: the connection was lost while committing.
            ConflictError: as for `begin`.
            RuntimeError: as for `begin`; or a unit of work is open here already.
        """
        _require_none(self)
        async with _in_threads(self._transaction(shared=True)) as unit:
            with _entered(self, unit):
                yield unit.connection

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        with self._transaction() as unit, _entered(self, unit):
            yield unit.connection

    @contextmanager
    def _transaction(self, *, shared: bool = False) -> Iterator[Unit]:
        with self._engine.connect() as connection:
            transaction = connection.begin()
            try:
                yield Unit(connection, transaction, turn=_turn(shared=shared))
            except BaseException:
                with suppress(DBAPIError):  # it is gone, and the database rolls back by itself
                    transaction.rollback()
                raise
            try:
                with races_told():
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
        with connection.begin_nested() as nested, _entered(self, Unit(connection, nested)):
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
        with unit.writing() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a transaction that only reads, for the `with` block: all of its reads see one moment of the database.

        Repositories read in it too, and no writer waits for it. Inside of an open unit of work it is that one: reads
        see one moment then if its isolation level is REPEATABLE READ or SERIALIZABLE, or the database is SQLite.

        >>> from domainkit.adapters.sqlalchemy import make_engine
        >>> from sqlalchemy import text
        >>> unit_of_work = UnitOfWork(make_engine("sqlite://"))
        >>> with unit_of_work.reading() as connection:
        ...     connection.scalar(text("SELECT 1"))
        1

        Yields:
            The connection, for statements of your own. What they write is refused by PostgreSQL, and taken back at the
            end by SQLite.

        Raises:
            ConflictError: as for `begin`, in an open unit of work.
            RuntimeError: something is stored by a repository, or by `writing`; or as for `begin`.
        """
        unit = current(self)
        if unit is not None:
            with unit.working() as connection:
                yield connection
            return
        _require_lasting_context()
        with self._engine.connect() as connection:
            connection.execution_options(**snapshot_options(self.dialect))
            transaction = connection.begin()
            try:
                with _entered(self, Unit(connection, transaction, reads=True)):
                    yield connection
            finally:
                with suppress(DBAPIError):  # as above
                    transaction.rollback()

    @contextmanager
    def _reading_once(self) -> Iterator[Connection]:
        """Yield the connection of the open unit of work, or one for a single statement that reads."""
        unit = current(self)
        if unit is not None:
            with unit.working() as connection:
                yield connection
            return
        with races_told(), self._engine.connect() as connection:
            yield connection.execution_options(**{READ_ONLY: True})

    @contextmanager
    def _committing(self) -> Iterator[Connection]:
        """Yield a connection on which each statement is a transaction of its own; no unit of work is open here.

        Raises:
            ConflictError: a statement lost a race.
            OutcomeUnknownError: the connection was lost in a statement.
        """
        with self._engine.connect() as connection:
            connection.execution_options(**at_once(self.dialect))
            with _statement_told(self.dialect):
                yield connection

    def _repeated(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; outside of a unit of work do it again if it lost a race, thrice in all.

        For a call that is one transaction of its own, and does nothing besides: nothing of it is stored then. In an
        open unit of work there is nothing to do again: the whole of that is lost.
        """
        for _ in range(_TRIES - 1 if current(self) is None else 0):
            with suppress(ConflictError):
                return work()
        return work()

    def atomic(
        self, step: Callable[P, Result[T, E]]
    ) -> Callable[P, Result[T, E | OutcomeUnknownError | ConflictError]]:
        """Return a step of a pipeline that does `step` in a unit of work: a Failure or an exception rolls it back.

        Args:
            step: a function or use case that returns a Result.

        Returns:
            A function that returns the Result of `step`, or a Failure with OutcomeUnknownError where the connection was
            lost while committing, or one with ConflictError where another transaction got in the way (see `begin`): of
            a statement of `step`, whatever that made of it, or of the commit. What `step` raises besides is raised.
        """

        def run(*args: P.args, **kwargs: P.kwargs) -> Result[T, E | OutcomeUnknownError | ConflictError]:
            result: Result[T, E | OutcomeUnknownError | ConflictError] = _PENDING
            try:
                with suppress(_RolledBackError), self.begin():
                    result = step(*args, **kwargs)
                    _undo_failure(result)
            except (OutcomeUnknownError, ConflictError) as error:
                result = Failure(error)
            return result

        return named_as(run, step, adds=ATOMIC_ADDS)


class AsyncUnitOfWork:
    """The async twin of UnitOfWork, around one of those: `inner`, whose repositories do their work in `run`.

    Args:
        engine: made by `make_async_engine`, or taught by `configure_engine`.
        outbox: where the events go that saved aggregates have recorded; without one the aggregate that a repository
            returns still has them.

    Raises:
        ValueError: as for UnitOfWork.
    """

    def __init__(self, engine: AsyncEngine, *, outbox: Outbox | None = None) -> None:
        self._engine = engine
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
        """Begin a transaction for the `async with` block that all tasks started in it work in, in turn.

        See UnitOfWork.begin_shared: for a middleware that has the rest run in another task.
        """
        _require_none(self.inner)
        async with self._begun(shared=True) as connection:
            yield connection

    @asynccontextmanager
    async def _begun(self, *, read_only: bool = False, shared: bool = False) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            await connection.execution_options(**{READ_ONLY: read_only})
            transaction = await connection.begin()
            try:
                inner = await connection.run_sync(lambda inner: inner)
                with _entered(self.inner, Unit(inner, transaction, connection, turn=_turn(shared=shared))):
                    yield connection
            except BaseException:
                with suppress(DBAPIError):  # it is gone, and the database rolls back by itself
                    await transaction.rollback()
                raise
            try:
                with races_told():
                    await transaction.commit()
            except BaseException as error:
                await connection.run_sync(take_back, error)
                raise

    @asynccontextmanager
    async def joining(self, connection: AsyncConnection) -> AsyncIterator[AsyncConnection]:
        """Do the work of the `async with` block in a transaction that the caller has begun; see UnitOfWork.joining."""
        async with connection.begin_nested() as nested:
            inner = await connection.run_sync(lambda inner: inner)
            with _entered(self.inner, Unit(inner, nested, connection)):
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
            with unit.turn:
                return await unit.outer.run_sync(lambda _: work())
        async with self._begun(read_only=read_only) as connection:
            return await connection.run_sync(lambda _: work())

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that only reads, for the `async with` block; see UnitOfWork.reading.

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
                with _entered(self.inner, Unit(inner, transaction, connection, reads=True)):
                    yield connection
            finally:
                with suppress(DBAPIError):  # as above
                    await transaction.rollback()

    async def _repeated(self, work: Callable[[], T], *, read_only: bool = False) -> T:
        """Return what `run` returns; outside of a unit of work do it again as UnitOfWork._repeated does."""
        for _ in range(_TRIES - 1 if current(self.inner) is None else 0):
            with suppress(ConflictError):
                return await self.run(work, read_only=read_only)
        return await self.run(work, read_only=read_only)

    async def _run_committing(self, work: Callable[[Connection], T]) -> T:
        """Do sync work on a connection on which each statement is a transaction of its own; see `_committing`."""
        async with self._engine.connect() as connection:
            await connection.execution_options(**at_once(self.inner.dialect))
            with _statement_told(self.inner.dialect):
                return await connection.run_sync(work)

    def atomic(
        self, step: Callable[P, Awaitable[Result[T, E]]]
    ) -> Callable[P, Coro[Result[T, E | OutcomeUnknownError | ConflictError]]]:
        """Return an async step of a pipeline that does `step` in a unit of work; see UnitOfWork.atomic.

        Args:
            step: a coroutine function or async use case that returns a Result.
        """

        async def run(*args: P.args, **kwargs: P.kwargs) -> Result[T, E | OutcomeUnknownError | ConflictError]:
            result: Result[T, E | OutcomeUnknownError | ConflictError] = _PENDING
            try:
                async with self.begin():
                    result = await step(*args, **kwargs)
                    _undo_failure(result)
            except _RolledBackError:
                pass
            except (OutcomeUnknownError, ConflictError) as error:
                result = Failure(error)
            return result

        return named_as(run, step, adds=ATOMIC_ADDS)
