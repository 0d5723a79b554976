"""Units of work: one transaction for the state and the messages of a use case, tracked by task and thread."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, TypeVar

from returns.result import Failure, Result
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from typing_extensions import ParamSpec

from domainkit.adapters.sqlalchemy.announcements import Announcement
from domainkit.adapters.sqlalchemy.at_once import Write, commits_at_once
from domainkit.adapters.sqlalchemy.engines import (
    NO_OPTIONS,
    READ_ONLY,
    commit_at_once,
    for_one_read,
    require_configured,
    snapshot_options,
    transactional,
)
from domainkit.adapters.sqlalchemy.lean import LeanEngine, begun
from domainkit.adapters.sqlalchemy.lean_reads import LeanConnection, LeanReads, Read
from domainkit.adapters.sqlalchemy.outbox import Outbox
from domainkit.adapters.sqlalchemy.outcomes import autocommit_errors, take_back
from domainkit.adapters.sqlalchemy.races import despite_races, races_as_conflicts, refuse_race
from domainkit.adapters.sqlalchemy.savepoints import savepoint
from domainkit.adapters.sqlalchemy.threads import in_threads
from domainkit.adapters.sqlalchemy.units import Unit, current, entered, make_turn, require_lasting_context, require_none
from domainkit.causation import storing
from domainkit.errors import ConflictError, OutcomeUnknownError
from domainkit.results import named_as

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E")


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


class RolledBackError(Exception):
    """Rolls back a unit of work whose step returned a Failure."""


ATOMIC_ADDS: Final = (OutcomeUnknownError, ConflictError)
"""The errors that `atomic` adds to those of a step."""


PENDING = Failure(OutcomeUnknownError())
"""The Result until the step has returned one."""


def undo_failure(result: object) -> None:
    """Raise an exception that rolls the unit of work back if the step returned a Failure."""
    if isinstance(result, Failure):
        raise RolledBackError


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
            require_lasting_context()
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
        require_none(self)
        async with in_threads(self._transaction(shared=True)) as unit:
            with entered(self, unit):
                yield unit.connection

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        with self._transaction() as unit, entered(self, unit):
            yield unit.connection

    @contextmanager
    def _transaction(self, *, shared: bool = False) -> Iterator[Unit]:
        with self._engine.connect() as connection:
            transaction = transactional(connection).begin()
            unit = Unit(connection, transaction, turn=make_turn(shared=shared))
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
        with savepoint(connection) as nested, entered(self, Unit(connection, nested)):
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
        require_lasting_context()
        with self._engine.connect() as connection:
            connection.execution_options(**snapshot_options(self.dialect))
            transaction = connection.begin()
            try:
                with entered(self, Unit(connection, transaction, reads=True)):
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
        return despite_races(lambda: self._read_alone(read))

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
        return despite_races(lambda: self._write_alone(write))

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
            with autocommit_errors(self.dialect):
                yield connection

    def _repeated(self, work: Callable[[], T]) -> T:
        """Return the result of `work`; outside of a unit of work, retry it if it loses a race, up to three attempts.

        It is for calls that are their own transaction, and have no other effects: after a lost race nothing is stored.
        In an open unit of work a retry is useless, since the whole transaction is lost.
        """
        return despite_races(work) if current(self) is None else work()

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
            result: Result[T, E | OutcomeUnknownError | ConflictError] = PENDING
            try:
                with suppress(RolledBackError), self.begin():
                    result = step(*args, **kwargs)
                    undo_failure(result)
            except (OutcomeUnknownError, ConflictError) as error:
                result = Failure(error)
            return result

        return named_as(run, step, adds=ATOMIC_ADDS)
