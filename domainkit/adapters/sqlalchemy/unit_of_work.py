"""Units of work: one transaction for the state and the messages of a use case, tracked by task and thread."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import partial
from inspect import CO_GENERATOR, currentframe
from sqlite3 import (
    SQLITE_BUSY,
    SQLITE_CONSTRAINT,
    SQLITE_ERROR,
    SQLITE_FULL,
    SQLITE_LOCKED,
    SQLITE_READONLY,
    SQLITE_TOOBIG,
)
from threading import Lock, get_ident
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from attrs import define, field
from returns.result import Failure, Result
from sqlalchemy import Connection, Engine, Transaction
from sqlalchemy.exc import DataError, DBAPIError, NotSupportedError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction
from typing_extensions import ParamSpec

from domainkit.adapters.sqlalchemy.announcements import Announcement
from domainkit.adapters.sqlalchemy.at_once import Write, commits_at_once
from domainkit.adapters.sqlalchemy.engines import (
    NO_OPTIONS,
    READ_ONLY,
    commit_at_once,
    for_one_read,
    has_ended,
    require_configured,
    snapshot_options,
    transactional,
)
from domainkit.adapters.sqlalchemy.lean import LeanEngine, begun
from domainkit.adapters.sqlalchemy.lean_reads import LeanConnection, LeanReads, Read
from domainkit.adapters.sqlalchemy.outbox import Outbox
from domainkit.adapters.sqlalchemy.races import conflict_of, races_as_conflicts, refuse_race
from domainkit.adapters.sqlalchemy.savepoints import async_savepoint, savepoint
from domainkit.causation import storing
from domainkit.errors import ConflictError, OutcomeUnknownError
from domainkit.results import named_as

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E")
Coro: TypeAlias = Coroutine[Any, Any, T]  # Any: what it yields to its loop, and gets from it

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

_TRIES: Final = 3
"""The attempts for a call that keeps losing races: other transactions finish meanwhile, so more are rarely needed."""

_ABORTED = 3
"""PQTRANS_INERROR of libpq, as psycopg reports it. See https://www.postgresql.org/docs/current/libpq-status.html."""


def _here() -> tuple[int, object]:
    """Return the current thread and task."""
    try:
        return get_ident(), asyncio.current_task()
    except RuntimeError:
        return get_ident(), None


class _Turns:
    """Reentrant lock of a shared unit: one thread or task at a time works in it, and others get a RuntimeError."""

    def __init__(self) -> None:
        self._lock, self._places = Lock(), list[object]()

    def __enter__(self) -> None:
        here = _here()
        with self._lock:
            if self._places and self._places[-1] != here:
                raise RuntimeError(
                    "this unit of work: expected one task or thread at a time, got a second one while another uses it; "
                    "wait until the other has finished"
                )
            self._places.append(here)

    def __exit__(self, *_: object) -> None:
        self._places.pop()


def _turn(*, shared: bool) -> "_Turns | nullcontext[None]":
    return _Turns() if shared else nullcontext()


@define(eq=False)
class Unit:
    """An open transaction. Unless it is shared, it belongs to one thread and task."""

    connection: Connection
    transaction: Transaction | AsyncTransaction
    outer: AsyncConnection | None = None
    turn: _Turns | nullcontext[None] = field(factory=nullcontext)
    over: bool = False
    reads: bool = False
    around: "Unit | None" = None
    broken_by: BaseException | None = None
    lost: ConflictError | None = None
    stored: set[object] = field(factory=set)
    announcements: set[Announcement] = field(factory=set)
    place: tuple[int, object] = field(factory=_here)

    @property
    def shared(self) -> bool:
        """True if every thread and task with its context may work in it."""
        return isinstance(self.turn, _Turns)

    @property
    def only_reads(self) -> bool:
        """True if it stores nothing: it, or an outer unit of the same transaction, was begun by `reading`."""
        around = self.around
        return self.reads or (around is not None and around.connection is self.connection and around.only_reads)

    def announce(self, announcement: Announcement) -> None:
        """Make an announcement after the commit; one that a rollback leaves without a reason is harmless."""
        unit = self
        while unit.around is not None and unit.around.connection is self.connection:
            unit = unit.around
        unit.announcements.add(announcement)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield the connection for a write; if the write fails, the unit can't be committed."""
        if self.only_reads:
            raise RuntimeError(
                "this unit of work: expected reads only, since `reading` began it, got a write; write in a unit of "
                "work that `begin` or `atomic` began"
            )
        with self.working() as connection:
            try:
                yield connection
            except BaseException as error:
                self.broken_by = error
                raise

    @contextmanager
    def working(self) -> Iterator[Connection]:
        """Yield the connection, for one thread or task at a time; ConflictError if a race is or was lost in it."""
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
        """Raise ConflictError if the transaction has lost a race, or RuntimeError if SQLite has ended it otherwise."""
        if self.lost is not None:
            raise ConflictError(additional_info=self.lost.additional_info) from self.lost
        if has_ended(self.connection):
            raise RuntimeError(
                "this unit of work: expected an open transaction, got one that SQLite rolled back when a statement "
                "failed, and the exception was caught; let the exception end the unit of work, and repeat all of it"
            )

    def check_whole(self) -> None:
        """Raise RuntimeError if a write or statement failed and the exception was caught: a commit would be partial.

        PostgreSQL would answer COMMIT with ROLLBACK, which drivers treat as success.
        """
        self.require_no_loss()
        info = getattr(self.connection.connection.driver_connection, "info", None)
        if self.broken_by is not None:
            failed = f"a write failed with {type(self.broken_by).__qualname__}"
        elif getattr(info, "transaction_status", None) == _ABORTED:
            failed = "a statement failed, and the exception was caught"
        else:
            return
        raise RuntimeError(
            f"this unit of work can't be committed: {failed}; if that is expected, put a nested unit of work around "
            "it, so that only that part is rolled back"
        ) from self.broken_by


_NONE: Mapping[object, Unit] = MappingProxyType({})
_OPEN: ContextVar[Mapping[object, Unit]] = ContextVar("domainkit.units_of_work", default=_NONE)
"""The innermost open unit of each UnitOfWork, in the context: each task and thread has its own."""


def current(owner: object) -> Unit | None:
    """Return the open unit of a UnitOfWork.

    Raises:
        RuntimeError: it belongs to another task or thread: a transaction can't run statements concurrently.
    """
    unit = _open(owner)
    if unit is not None and not unit.shared and unit.place != _here():
        raise RuntimeError(
            "this unit of work belongs to another task or thread: begin a new one in the task that does the work, do "
            "the work before that task starts, or begin this one with `async with unit_of_work.begin_shared()`"
        )
    return unit


def _open(owner: object) -> Unit | None:
    """Return the innermost unit that hasn't ended: a task started in a unit may outlive it, with its context.

    So may a context whose unit ended in another context, or was interrupted before it could set `over`.
    """
    unit = _OPEN.get().get(owner)
    while unit is not None and (unit.over or not unit.transaction.is_active):
        unit = unit.around
    return unit


@contextmanager
def _entered(owner: object, unit: Unit) -> Iterator[None]:
    """Make a unit the open one of a UnitOfWork for the `with` block, and check it at the end."""
    unit.around = _open(owner)
    token, elsewhere = _OPEN.set({**_OPEN.get(), owner: unit}), False
    try:
        with races_as_conflicts(), storing(lambda: unit.transaction.is_active) as unit.stored:
            yield
    finally:
        unit.over = True
        try:
            _OPEN.reset(token)
        except ValueError:  # contextvars: the token was created in another context
            elsewhere = True
    if elsewhere and not unit.shared:
        raise RuntimeError(
            "this unit of work ended in another context than it began in (for example, another task or thread closed "
            "its generator), so nothing of it is stored; begin and end it in one function, or use `begin_shared`"
        )
    if not unit.only_reads:
        unit.check_whole()


_POOLS = frozenset({"anyio", "concurrent", "starlette", "trio"})
"""Packages that run one step of a generator in a thread, with a context that they discard afterwards."""


def _require_lasting_context() -> None:
    """Refuse to begin a unit in a generator that a thread pool runs step by step: its context ends with the step.

    A sync dependency of FastAPI is one. In the stack, only generators are between the pool and here.
    """
    frame = currentframe()
    frame = None if frame is None else frame.f_back
    while frame is not None and (
        frame.f_code.co_flags & CO_GENERATOR or frame.f_globals.get("__name__") == "contextlib"
    ):
        frame = frame.f_back
    if frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _POOLS:
        raise RuntimeError(
            "this unit of work is begun by a generator that a thread pool runs step by step, such as a sync dependency "
            "of FastAPI: code between the steps would not be in it; write an `async def` dependency with "
            "`async with unit_of_work.begin_shared(): yield` instead"
        )


@asynccontextmanager
async def _in_threads(block: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and exit a blocking context manager without blocking the event loop.

    Each step has its own thread: the threads of a pool may all be waiting for the connection that the exit returns.
    Both steps run to their end even if the task is cancelled.
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
def _autocommit_errors(dialect: str) -> Iterator[None]:
    """Raise ConflictError or OutcomeUnknownError if a statement that is its own transaction fails.

    On SQLite it is no lost race if the statement waits too long for its lock: the holder of the lock may hang.
    """
    with races_as_conflicts() if dialect == "postgresql" else nullcontext():
        try:
            yield
        except DBAPIError as error:
            refuse_doubt(error)
            raise


def _done(connection: Connection, work: Callable[[Connection], T]) -> tuple[T, set[object]]:
    """Do work in a transaction, begun and committed here; return its result, and the ids of messages that it stored.

    There is no unit of work, whose tracking takes as long as a statement: `work` must not use the UnitOfWork.
    """
    transaction = begun(connection)
    try:
        with storing(lambda: transaction.is_active) as stored:
            result = work(connection)
    except BaseException:
        with suppress(DBAPIError):  # connection lost: the database rolls back by itself
            transaction.rollback()
        raise
    try:
        transaction.commit()
    except BaseException as error:
        take_back(connection, error)
        raise
    return result, stored


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


class _RolledBackError(Exception):
    """Rolls back a unit of work whose step returned a Failure."""


ATOMIC_ADDS: Final = (OutcomeUnknownError, ConflictError)
"""The errors that `atomic` adds to those of a step."""

_PENDING = Failure(OutcomeUnknownError())
"""The Result until the step has returned one."""


def _require_none(owner: object) -> None:
    if _open(owner) is not None:
        raise RuntimeError("begin_shared: expected no open unit of work, got one; begin a nested one with `begin`")


def _undo_failure(result: object) -> None:
    """Raise an exception that rolls the unit of work back if the step returned a Failure."""
    if isinstance(result, Failure):
        raise _RolledBackError


class UnitOfWork:
    """Transactions that repositories and the outbox share: either all changes in one are stored, or none.

    Create one for each database, and pass it to the repositories. Outside of a unit of work, each call of a repository
    is its own transaction. See Fowler, Patterns of Enterprise Application Architecture (2002), Unit of Work.

    Args:
        engine: made by `make_engine`, or configured by `configure_engine`.
        outbox: stores the events that saved aggregates have recorded. Without one, the aggregate that a repository
            returns still has its events.

    Raises:
        ValueError: transactions of the engine would not be atomic: it is for SQLite, and isn't configured; or it is for
            PostgreSQL, and its isolation level is AUTOCOMMIT.
    """

    def __init__(self, engine: Engine, *, outbox: Outbox | None = None) -> None:
        require_configured(engine)
        if outbox is not None and outbox._announcement is not None:
            outbox._announcement.expect(engine)
        self._engine, self._lean, self._lean_reads = engine, LeanEngine(engine), LeanReads(engine)
        self.dialect: str = engine.dialect.name
        """SQLAlchemy's name of the database, such as `sqlite`."""
        self.outbox: Outbox | None = outbox

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Begin a transaction for the `with` block: committed at its end, rolled back by an exception.

        Inside another unit of work it is nested (a savepoint): an exception rolls back only the nested part, which is
        stored when the outer one is.

        Yields:
            The connection, for statements of your own.

        Raises:
            OutcomeUnknownError: the connection was lost while committing.
            ConflictError: a statement or the commit lost a race with another transaction: a serialization failure or
                a deadlock of PostgreSQL, or SQLITE_BUSY in a transaction that began as read-only. The transaction is
                rolled back; of a nested one, only that part. At REPEATABLE READ and SERIALIZABLE, repeat the outermost.
            RuntimeError: a write in it failed, and the exception was caught inside; or the block ended in another
                context than it began in. Then nothing is stored. Or it was begun in another task or thread, or by a
                generator whose steps a thread pool runs, such as a sync dependency of FastAPI.
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
        """Begin a transaction for the `async with` block, shared by all threads and tasks that are started in it.

        Use it for a dependency of FastAPI, or a middleware, around sync code in threads: these get a copy of the
        context of this task. The connection is opened, committed and closed in other threads, so it never blocks the
        event loop. Only one thread or task may work in it at a time; another gets a RuntimeError.

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
            transaction = transactional(connection).begin()
            unit = Unit(connection, transaction, turn=_turn(shared=shared))
            try:
                yield unit
            except BaseException:
                with suppress(DBAPIError):  # connection lost: the database rolls back by itself
                    transaction.rollback()
                raise
            try:
                with races_as_conflicts():
                    transaction.commit()
            except BaseException as error:
                take_back(connection, error)
                raise
            self._committed(unit.connection, unit.stored, unit.announcements)

    def _committed(
        self, connection: Connection, stored: set[object], announcements: Iterable[Announcement] = ()
    ) -> None:
        """Wake the relays if the transaction has stored messages, and the projectors if it has appended events."""
        if stored and self.outbox is not None:
            self.outbox.announce(connection)
        for announcement in announcements:
            announcement.make(connection)

    @contextmanager
    def joining(self, connection: Connection) -> Iterator[Connection]:
        """Run the `with` block in a transaction that the caller has begun, and will commit.

        An exception rolls back only the work of the block (a savepoint).

        Args:
            connection: where the transaction is open.
        """
        with savepoint(connection) as nested, _entered(self, Unit(connection, nested)):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield the connection of the open unit of work, or of a new one: for repositories of your own.

        After an exception in the block the open unit of work can't be committed, even if the exception is caught.
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
        """Begin a read-only transaction for the `with` block: all of its reads see one snapshot of the database.

        Repositories read in it too, and it blocks no writer. Inside an open unit of work it uses that transaction: then
        reads see one snapshot only on SQLite, or at the isolation levels REPEATABLE READ and SERIALIZABLE.

        >>> from domainkit.adapters.sqlalchemy import make_engine
        >>> from sqlalchemy import text
        >>> unit_of_work = UnitOfWork(make_engine("sqlite://"))
        >>> with unit_of_work.reading() as connection:
        ...     connection.scalar(text("SELECT 1"))
        1

        Yields:
            The connection, for statements of your own. PostgreSQL refuses their writes; SQLite rolls them back at the
            end.

        Raises:
            ConflictError: as for `begin`, in an open unit of work.
            RuntimeError: a repository or `writing` stores something; or as for `begin`.
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
    def _reading_once(self, *, single: bool = False) -> Iterator[Connection]:
        """Yield the connection of the open unit of work, or one for reading; `single` if for one statement only."""
        unit = current(self)
        if unit is not None:
            with unit.working() as connection:
                yield connection
            return
        with races_as_conflicts(), self._engine.connect() as connection:
            yield self._for_reading(connection, single=single)

    def _for_reading(self, connection: Connection, *, single: bool) -> Connection:
        options = for_one_read(self._engine) if single else {READ_ONLY: True}
        return connection.execution_options(**options) if options else connection

    def _read(self, read: Read[T]) -> T:
        """Return the result of work that reads, in the open unit of work or else on a connection of its own.

        Outside of a unit of work it is retried if it loses a race, as by `_repeated`.
        """
        unit = current(self)
        if unit is not None:
            with unit.working() as connection:
                return read.work(connection)
        for _ in range(_TRIES - 1):
            with suppress(ConflictError):
                return self._read_alone(read)
        return self._read_alone(read)

    def _read_alone(self, read: Read[T]) -> T:
        if read.lean is None or not self._lean_reads.are_possible():
            with self._engine.connect() as connection:
                return self._read_on(connection, read)
        try:
            return self._lean_reads.run(read.lean)
        except DBAPIError as error:
            refuse_race(error)
            raise

    def _read_on(self, connection: Connection, read: Read[T]) -> T:
        """Do the work of `_read_alone` on a connection."""
        with races_as_conflicts():
            if read.lean is not None and self._lean_reads.are_possible():
                return read.lean(LeanConnection(self._engine, connection.connection))
            return read.work(self._for_reading(connection, single=read.is_single))

    def _write(self, write: Write[T]) -> T:
        """Return the result of short work in the open unit of work, or else in a transaction of its own.

        Outside of a unit of work it is retried if it loses a race, as by `_repeated`.
        """
        unit = current(self)
        if unit is not None:
            with unit.writing() as connection:
                return write.in_transaction(connection)
        for _ in range(_TRIES - 1):
            with suppress(ConflictError):
                return self._write_alone(write)
        return self._write_alone(write)

    def _write_alone(self, write: Write[T]) -> T:
        if write.at_once is None or not commits_at_once(self._engine):
            return self._alone(write.in_transaction)
        with self._committing() as connection:
            return write.at_once(connection)

    def _alone(self, work: Callable[[Connection], T], options: Mapping[str, Any] = NO_OPTIONS) -> T:
        """Return the result of short work in a transaction of its own; no unit of work is open here.

        It takes less time than a unit of work. If `work` returns, the transaction is committed; relays are woken.

        Args:
            work: a few statements on the given connection. It doesn't use this UnitOfWork, or run code of the user.
            options: execution options of the connection.

        Raises:
            ConflictError: a statement, or the commit, lost a race.
            OutcomeUnknownError: the connection was lost while committing.
        """
        with self._lean.get().connect() as connection:
            return self._finish(connection.execution_options(**options) if options else connection, work)

    def _finish(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        """Do the work of `_alone` on a connection."""
        try:
            result, stored = _done(connection, work)
        except DBAPIError as error:
            refuse_race(error)
            raise
        self._committed(connection, stored)
        return result

    @contextmanager
    def _committing(self) -> Iterator[Connection]:
        """Yield a connection on which each statement is its own transaction; no unit of work is open here.

        Raises:
            ConflictError: a statement lost a race.
            OutcomeUnknownError: the connection was lost during a statement.
        """
        engine = self._lean.get()
        with engine.connect() as connection:
            if engine is self._engine:
                connection.execution_options(**self._lean.at_once())
            else:  # a lean one has the option, but no statement of SQLAlchemy that would begin
                commit_at_once(connection)
            with _autocommit_errors(self.dialect):
                yield connection

    def _repeated(self, work: Callable[[], T]) -> T:
        """Return the result of `work`; outside of a unit of work, retry it if it loses a race, up to three attempts.

        It is for calls that are their own transaction, and have no other effects: after a lost race nothing is stored.
        In an open unit of work a retry is useless, since the whole transaction is lost.
        """
        for _ in range(_TRIES - 1 if current(self) is None else 0):
            with suppress(ConflictError):
                return work()
        return work()

    def atomic(
        self, step: Callable[P, Result[T, E]]
    ) -> Callable[P, Result[T, E | OutcomeUnknownError | ConflictError]]:
        """Return a step of a pipeline that runs `step` in a unit of work: a Failure or an exception rolls it back.

        Args:
            step: a function or use case that returns a Result.

        Returns:
            A function that returns the Result of `step`; or a Failure with OutcomeUnknownError if the connection was
            lost while committing; or one with ConflictError if a statement of `step` (even if it caught the error) or
            the commit lost a race (see `begin`). Other exceptions of `step` are raised.
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
        _require_none(self.inner)
        async with self._begun(shared=True) as connection:
            yield connection

    @asynccontextmanager
    async def _begun(self, *, read_only: bool = False, shared: bool = False) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            await connection.execution_options(**{READ_ONLY: read_only})
            transaction = await connection.begin()
            try:
                inner = await connection.run_sync(transactional)
                unit = Unit(inner, transaction, connection, turn=_turn(shared=shared))
                with _entered(self.inner, unit):
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
            with _entered(self.inner, Unit(inner, nested, connection)):
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
                with _entered(self.inner, Unit(inner, transaction, connection, reads=True)):
                    yield connection
            finally:
                with suppress(DBAPIError):  # as above
                    await transaction.rollback()

    async def _repeated(self, work: Callable[[], T], *, read_only: bool = False) -> T:
        """Return the result of `run`; outside of a unit of work, retry it as UnitOfWork._repeated does."""
        for _ in range(_TRIES - 1 if current(self.inner) is None else 0):
            with suppress(ConflictError):
                return await self.run(work, read_only=read_only)
        return await self.run(work, read_only=read_only)

    async def _read(self, read: Read[T]) -> T:
        """Do sync work that reads, in the open unit of work or on a connection of its own; see UnitOfWork._read."""
        unit = current(self.inner)
        if unit is not None and unit.outer is not None:
            with unit.turn:
                return await unit.outer.run_sync(lambda _: self.inner._read(read))
        for _ in range(_TRIES - 1):
            with suppress(ConflictError):
                return await self._read_alone(read)
        return await self._read_alone(read)

    async def _read_alone(self, read: Read[T]) -> T:
        async with self._engine.connect() as connection:
            return await connection.run_sync(self.inner._read_on, read)

    async def _write(self, write: Write[T]) -> T:
        """Do short sync work in the open unit of work, or in a transaction of its own; see UnitOfWork._write."""
        unit = current(self.inner)
        if unit is not None and unit.outer is not None:
            with unit.turn:
                return await unit.outer.run_sync(lambda _: self.inner._write(write))
        for _ in range(_TRIES - 1):
            with suppress(ConflictError):
                return await self._write_alone(write)
        return await self._write_alone(write)

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
            with _autocommit_errors(self.inner.dialect):
                return await connection.run_sync(work)

    def atomic(
        self, step: Callable[P, Awaitable[Result[T, E]]]
    ) -> Callable[P, Coro[Result[T, E | OutcomeUnknownError | ConflictError]]]:
        """Return an async step of a pipeline that runs `step` in a unit of work; see UnitOfWork.atomic.

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
