"""A lost race is a ConflictError; a call that may be repeated by itself is repeated."""

import logging
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import Any, Final

import attrs
import pytest
from attrs import frozen
from databases import METADATA, OUTBOX, TASKS, Database, stored_messages, stored_versions
from returns.result import Failure, Result, Success
from sqlalchemy import CheckConstraint, Engine, MetaData, event, text
from sqlalchemy.exc import InternalError, OperationalError

from domainkit import (
    AggregateAlreadyExistError,
    AggregateVersionConflictError,
    AsyncUseCase,
    BusCannotPublish,
    ConflictError,
    DomainError,
    DomainEvent,
    UseCase,
)
from domainkit.adapters.sqlalchemy import (
    AsyncInbox,
    AsyncOutboxDomainEventBus,
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    Inbox,
    OutboxDomainEventBus,
    SqlCrudRepository,
    UnitOfWork,
    inbox_table,
    refusing,
    refusing_async,
)
from domainkit.adapters.sqlalchemy.engines import READ_ONLY
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]

HANDLED = MetaData()
INBOX = inbox_table(HANDLED)
LEVELS: Final = ("REPEATABLE READ", "SERIALIZABLE")

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
at_each_level = pytest.mark.parametrize("level", LEVELS)

LOSING: Final = """
CREATE SEQUENCE tries;
CREATE FUNCTION lost() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('tries') <= {times} THEN RAISE EXCEPTION 'lost' USING ERRCODE = '{state}'; END IF;
    RETURN true;
END $$;
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM lost(); RETURN NEW; END $$;
"""
"""A server that says as often as is wanted that a race was lost, and counts: a sequence is not rolled back."""

WRITES: Final = "CREATE TRIGGER lose BEFORE INSERT OR UPDATE OR DELETE ON tasks EXECUTE FUNCTION lose();"
EVENTS: Final = "CREATE TRIGGER lose BEFORE INSERT ON outbox EXECUTE FUNCTION lose();"
COMMITS: Final = (
    "CREATE CONSTRAINT TRIGGER lose AFTER INSERT OR UPDATE OR DELETE ON tasks "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lose();"
)
READS: Final = "ALTER TABLE tasks RENAME TO kept; CREATE VIEW tasks AS SELECT * FROM kept WHERE lost();"


def lose(engine: Engine, what: str, times: int, state: str = "40001") -> None:
    """Let the next ones who do something lose a race."""
    with engine.begin() as connection:
        connection.execute(text(LOSING.format(times=times, state=state)))
        connection.execute(text(what))


def tries(engine: Engine) -> int:
    """Return how often it was tried."""
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT last_value FROM tries")) or 0)


def new_task() -> SampleTask:
    """Return a task that has recorded one event."""
    return SampleTask.create("Race")


def saved(engine: Engine) -> SampleTask:
    """Return a stored task without events."""
    return Tasks(SampleTask, TASKS, UnitOfWork(engine)).save(new_task().clear_domain_events()).unwrap()


def done(task: SampleTask) -> SampleTask:
    """Return a task that is done."""
    return attrs.evolve(task, done=True)


def wait_until_blocked(engine: Engine, pid: int) -> None:
    """Wait until another transaction waits for that of a process of the server."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE :pid = ANY(pg_blocking_pids(pid))")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.scalar(waiting, {"pid": pid}):
            pass


Call = Callable[[Tasks, SampleTask], Result[Any, Any]]
WRITE_CALLS: dict[str, Call] = {
    "save": lambda tasks, _: tasks.save(new_task()),
    "update": lambda tasks, task: tasks.update(done(task)),
    "remove": lambda tasks, task: tasks.remove(task.aggregate_id),
    "remove_aggregate": lambda tasks, task: tasks.remove_aggregate(task),
}
READ_CALLS: dict[str, Call] = {
    "retrieve": lambda tasks, task: tasks.retrieve(task.aggregate_id),
    "find": lambda tasks, _: tasks.find(),
    "retrieve_all": lambda tasks, _: tasks.retrieve_all(),
    "stream": lambda tasks, _: Success(list(tasks.stream())),
}
AsyncCall = Callable[[AsyncTasks, SampleTask], Awaitable[Result[Any, Any]]]


async def _streamed(tasks: AsyncTasks) -> Result[Any, Any]:
    return Success([task async for task in tasks.stream()])


ASYNC_CALLS: dict[str, AsyncCall] = {
    "save": lambda tasks, _: tasks.save(new_task()),
    "update": lambda tasks, task: tasks.update(done(task)),
    "remove": lambda tasks, task: tasks.remove(task.aggregate_id),
    "remove_aggregate": lambda tasks, task: tasks.remove_aggregate(task),
    "retrieve": lambda tasks, task: tasks.retrieve(task.aggregate_id),
    "find": lambda tasks, _: tasks.find(),
    "retrieve_all": lambda tasks, _: tasks.retrieve_all(),
    "stream": lambda tasks, _: _streamed(tasks),
}
CALLS = {**WRITE_CALLS, **READ_CALLS}
CASES = [(name, WRITES) for name in WRITE_CALLS] + [(name, READS) for name in READ_CALLS] + [("remove", COMMITS)]
each_call = pytest.mark.parametrize(("name", "what"), CASES)


# Outside of a unit of work


@on_postgresql
@each_call
@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_call_of_its_own_is_done_again(database: Database, name: str, what: str, state: str) -> None:
    """A transaction of its own that lost is done again, and its answer is that of one which came later."""
    with database.engine(METADATA) as engine:
        task = saved(engine)
        lose(engine, what, 2, state)
        assert isinstance(CALLS[name](Tasks(SampleTask, TASKS, UnitOfWork(engine)), task), Success)
        assert 3 == tries(engine)


@on_postgresql
@each_call
async def test_async_a_call_of_its_own_is_done_again(database: Database, name: str, what: str) -> None:
    """The async twin does the same."""
    async with database.async_engine(METADATA) as async_engine:
        with database.engine() as engine:
            task = saved(engine)
            lose(engine, what, 2)
            tasks = AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(async_engine))
            assert isinstance(await ASYNC_CALLS[name](tasks, task), Success)
            assert 3 == tries(engine)


def assert_conflict(error: BaseException, state: str = "40001") -> None:
    """Assert that an error says which race was lost, with the database's own word as its cause."""
    assert f"a concurrent transaction won ({state})" in str(error)
    assert isinstance(error.__cause__, OperationalError | InternalError)


@on_postgresql
@pytest.mark.parametrize("name", ["save", "remove", "retrieve", "find", "retrieve_all", "stream"])
def test_a_call_that_loses_each_time_raises(database: Database, name: str) -> None:
    """Three times, so that it ends: then the ConflictError is raised, and nothing is stored."""
    with database.engine(METADATA) as engine:
        task = saved(engine)
        lose(engine, WRITES if name in WRITE_CALLS else READS, 3)
        with pytest.raises(ConflictError) as raised:
            CALLS[name](Tasks(SampleTask, TASKS, UnitOfWork(engine)), task)
        assert_conflict(raised.value)
        assert 3 == tries(engine)
        assert {str(task.aggregate_id): 1} == stored_versions(engine)


@on_postgresql
@pytest.mark.parametrize("name", ["update", "remove_aggregate"])
async def test_a_change_that_loses_each_time_is_a_conflict_of_versions(database: Database, name: str) -> None:
    """Their types have a ConflictError: it is returned. A deadlock says nothing of a version, and is raised."""
    async with database.async_engine(METADATA) as async_engine:
        with database.engine() as engine:
            task, expected = saved(engine), AggregateVersionConflictError
            lose(engine, WRITES, 6)
            assert isinstance(CALLS[name](Tasks(SampleTask, TASKS, UnitOfWork(engine)), task).failure(), expected)
            tasks = AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(async_engine))
            assert isinstance((await ASYNC_CALLS[name](tasks, task)).failure(), expected)
            assert 6 == tries(engine)


@on_postgresql
@at_each_level
@pytest.mark.parametrize("name", ["save", "update", "remove"])
def test_the_answer_is_that_of_a_later_call(database: Database, level: str, name: str) -> None:
    """A call that waited for the row of another transaction, and lost, finds what that has stored."""
    with database.engine(METADATA, isolation_level=level) as engine:
        task, new = saved(engine), new_task()
        tasks, other = Tasks(SampleTask, TASKS, UnitOfWork(engine)), UnitOfWork(engine)
        calls: dict[str, tuple[Call, Call]] = {
            "save": (lambda tasks, _: tasks.save(new), lambda tasks, _: tasks.save(new)),
            "update": (lambda tasks, _: tasks.update(done(task)), WRITE_CALLS["update"]),
            "remove": (lambda tasks, _: tasks.remove(task.aggregate_id), WRITE_CALLS["update"]),
        }
        mine, theirs = calls[name]
        with working_against(engine, other, lambda: mine(tasks, task)) as outcome:
            theirs(Tasks(SampleTask, TASKS, other), task).unwrap()
        expected = {
            "save": Failure(AggregateAlreadyExistError(new.aggregate_id, "SqlCrudRepository", "tasks")),
            "update": Failure(AggregateVersionConflictError(task.aggregate_id, 1, 2, "SqlCrudRepository")),
            "remove": Success(None),
        }
        assert [expected[name]] == outcome


@contextmanager
def working_against(engine: Engine, unit: UnitOfWork, work: Callable[[], object]) -> Iterator[list[object]]:
    """Do something in another thread as soon as the block is over, and commit the block when that waits for it."""
    outcome: list[object] = []
    thread = threading.Thread(target=lambda: outcome.append(work()))
    with unit.begin() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        yield outcome
        thread.start()
        wait_until_blocked(engine, int(pid or 0))
    thread.join()


# In a unit of work


@on_postgresql
@each_call
def test_atomic_returns_the_conflict(database: Database, name: str, what: str) -> None:
    """In a unit of work, or at its COMMIT, all is lost: nothing is done again, and `atomic` returns a Failure."""
    with database.engine(METADATA) as engine:
        task, unit = saved(engine), UnitOfWork(engine, outbox=OUTBOX)
        tasks = Tasks(SampleTask, TASKS, unit)
        lose(engine, what, 1)

        def step(task: SampleTask) -> Result[None, DomainError]:
            result: Result[Any, DomainError] = CALLS[name](tasks, task)
            return result.map(lambda _: None)

        error = unit.atomic(step)(task).failure()
        assert isinstance(error, ConflictError)
        if name not in {"update", "remove_aggregate"}:
            assert_conflict(error)
        assert 1 == tries(engine)
        assert isinstance(unit.atomic(step)(task), Success)


@on_postgresql
@each_call
async def test_async_atomic_returns_the_conflict(database: Database, name: str, what: str) -> None:
    """The async twin does the same."""
    async with database.async_engine(METADATA) as async_engine:
        with database.engine() as engine:
            task, unit = saved(engine), AsyncUnitOfWork(async_engine, outbox=OUTBOX)
            tasks = AsyncTasks(SampleTask, TASKS, unit)
            lose(engine, what, 1)

            async def step(task: SampleTask) -> Result[None, DomainError]:
                result: Result[Any, DomainError] = await ASYNC_CALLS[name](tasks, task)
                return result.map(lambda _: None)

            assert isinstance((await unit.atomic(step)(task)).failure(), ConflictError)
            assert 1 == tries(engine)
            assert isinstance(await unit.atomic(step)(task), Success)


@on_postgresql
@at_each_level
@pytest.mark.parametrize("name", ["save", "remove"])
def test_who_read_before_another_one_stored(database: Database, level: str, name: str) -> None:
    """A row stored since the transaction read is neither overwritten nor found: `atomic` returns the conflict."""
    with database.engine(METADATA, isolation_level=level) as engine:
        unit, others = UnitOfWork(engine, outbox=OUTBOX), Tasks(SampleTask, TASKS, UnitOfWork(engine))
        tasks, task, new = Tasks(SampleTask, TASKS, unit), saved(engine), new_task()

        def late() -> Result[object, DomainError]:
            tasks.retrieve_all()
            others.update(task).unwrap()
            others.save(new.clear_domain_events()).unwrap()
            return tasks.save(new) if name == "save" else tasks.remove(task.aggregate_id)

        assert_conflict(unit.atomic(late)().failure())
        assert {str(task.aggregate_id): 2, str(new.aggregate_id): 1} == stored_versions(engine)
        assert [] == stored_messages(engine)


@on_postgresql
async def test_a_commit_that_is_refused(database: Database) -> None:
    """Two who read all and store one more can't both be first: at SERIALIZABLE the later COMMIT is a conflict."""
    async with database.async_engine(METADATA, isolation_level="SERIALIZABLE") as async_engine:
        with database.engine(isolation_level="SERIALIZABLE") as engine:
            unit, async_unit, other = UnitOfWork(engine), AsyncUnitOfWork(async_engine), UnitOfWork(engine)

            def store(unit: UnitOfWork) -> Result[SampleTask, AggregateAlreadyExistError]:
                tasks = Tasks(SampleTask, TASKS, unit)
                assert all(not task.done for task in tasks.retrieve_all().unwrap())
                return tasks.save(new_task())

            def late() -> Result[SampleTask, AggregateAlreadyExistError]:
                stored = store(unit)
                assert isinstance(other.atomic(store)(other), Success)
                return stored

            async def late_async() -> Result[SampleTask, AggregateAlreadyExistError]:
                stored = await async_unit.run(lambda: store(async_unit.inner))
                assert isinstance(other.atomic(store)(other), Success)
                return stored

            assert_conflict(unit.atomic(late)().failure())
            assert_conflict((await async_unit.atomic(late_async)()).failure())
            with pytest.raises(ConflictError), unit.begin():
                late()
            with pytest.raises(ConflictError):
                async with async_unit.begin():
                    await late_async()
            assert 4 == len(stored_versions(engine))


@on_postgresql
async def test_a_read_that_is_refused(database: Database) -> None:
    """At SERIALIZABLE even a read may be refused, where it would see what fits no order of the transactions."""
    async with database.async_engine(METADATA, isolation_level="SERIALIZABLE") as async_engine:
        with database.engine(isolation_level="SERIALIZABLE") as engine:
            one, other = saved(engine), saved(engine)
            unit, others = AsyncUnitOfWork(async_engine), Tasks(SampleTask, TASKS, UnitOfWork(engine))
            tasks, before = AsyncTasks(SampleTask, TASKS, unit), UnitOfWork(engine)

            async def late() -> Result[SampleTask, DomainError]:
                (await tasks.retrieve(one.aggregate_id)).unwrap()
                with before.begin():
                    Tasks(SampleTask, TASKS, before).retrieve_all()
                    (await tasks.update(done(one))).unwrap()
                    others.update(done(other)).unwrap()
                    return await tasks.retrieve(other.aggregate_id)

            assert_conflict((await unit.atomic(late)()).failure())


@on_postgresql
@pytest.mark.parametrize("name", ["update", "remove", "remove_aggregate"])
def test_a_deadlock(database: Database, name: str) -> None:
    """Of two who wait for one another the one whom PostgreSQL ends is told so: that isn't a conflict of versions."""
    patient = database.url.update_query_dict({"options": f"{database.url.query['options']} -cdeadlock_timeout=60s"})
    hasty = database.url.update_query_dict({"options": f"{database.url.query['options']} -cdeadlock_timeout=20ms"})
    those, these = attrs.evolve(database, url=patient), attrs.evolve(database, url=hasty)
    with those.engine(METADATA) as engine, these.engine() as mine:
        one, other = saved(engine), saved(engine)
        unit, theirs = UnitOfWork(mine), UnitOfWork(engine)
        tasks, their_tasks = Tasks(SampleTask, TASKS, unit), Tasks(SampleTask, TASKS, theirs)

        def cross() -> Result[SampleTask, Any]:
            return their_tasks.update(other).bind(lambda _: their_tasks.update(one))

        def step() -> Result[object, DomainError]:
            with unit.reading() as connection:
                pid = connection.scalar(text("SELECT pg_backend_pid()"))
            tasks.update(one).unwrap()
            thread.start()
            wait_until_blocked(engine, int(pid or 0))
            result: Result[object, DomainError] = WRITE_CALLS[name](tasks, other)
            return result

        outcome: list[object] = []
        thread = threading.Thread(target=lambda: outcome.append(theirs.atomic(cross)()))
        error = unit.atomic(step)().failure()
        thread.join()
        assert_conflict(error, "40P01")
        assert ConflictError is type(error)
        assert isinstance(outcome[0], Success)
        assert [2, 2] == sorted(stored_versions(engine).values())


@on_postgresql
@pytest.mark.parametrize("first", ["save", "update"])
def test_a_conflict_that_is_caught_is_not_forgotten(database: Database, first: str) -> None:
    """A unit that lost can't continue, even if its step does: each further call reports it, and so does the end."""
    with database.engine(METADATA) as engine:
        unit, task = UnitOfWork(engine), saved(engine)
        tasks = Tasks(SampleTask, TASKS, unit)
        lose(engine, WRITES, 1)

        def careless() -> Result[None, DomainError]:
            with suppress(ConflictError):
                assert isinstance(CALLS[first](tasks, task).failure(), AggregateVersionConflictError)
            for call in CALLS.values():
                with pytest.raises(ConflictError, match="a concurrent transaction won"):
                    call(tasks, task)
            assert isinstance(unit.atomic(tasks.save)(new_task()).failure(), ConflictError)
            return Success(None)

        assert isinstance(unit.atomic(careless)().failure(), ConflictError)
        assert 1 == tries(engine)
        assert {str(task.aggregate_id): 1} == stored_versions(engine)


@on_postgresql
async def test_async_a_conflict_that_is_caught_is_not_forgotten(database: Database) -> None:
    """The async twin does the same, for its own statements too."""
    async with database.async_engine(METADATA) as async_engine:
        with database.engine() as engine:
            unit, task = AsyncUnitOfWork(async_engine), saved(engine)
            tasks = AsyncTasks(SampleTask, TASKS, unit)
            lose(engine, WRITES, 1)

            async def careless() -> Result[None, DomainError]:
                for call in ASYNC_CALLS.values():
                    with pytest.raises(ConflictError):
                        await call(tasks, task)
                with pytest.raises(ConflictError):
                    async with unit.reading():
                        pass
                assert isinstance((await unit.atomic(tasks.save)(new_task())).failure(), ConflictError)
                return Success(None)

            assert isinstance((await unit.atomic(careless)()).failure(), ConflictError)


@on_postgresql
def test_a_nested_unit_loses_alone(database: Database) -> None:
    """Its savepoint is taken back, and the unit around it goes on where the database lets it."""
    with database.engine(METADATA) as engine:
        unit = UnitOfWork(engine)
        tasks, kept = Tasks(SampleTask, TASKS, unit), new_task()
        lose(engine, WRITES, 1)

        def step() -> Result[SampleTask, AggregateAlreadyExistError]:
            assert_conflict(unit.atomic(tasks.save)(new_task()).failure())
            return tasks.save(kept)

        assert isinstance(unit.atomic(step)(), Success)
        assert [str(kept.aggregate_id)] == list(stored_versions(engine))


@on_postgresql
async def test_statements_of_ones_own(database: Database) -> None:
    """Statements of the step itself, in each kind of unit of work, report a lost race in the same way."""
    async with database.async_engine(METADATA) as async_engine:
        with database.engine() as engine:
            unit, async_unit = UnitOfWork(engine), AsyncUnitOfWork(async_engine)
            statement = text("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$")
            with pytest.raises(ConflictError), unit.begin() as connection:
                connection.execute(statement)
            with pytest.raises(ConflictError), unit.writing() as connection:
                connection.execute(statement)
            with pytest.raises(ConflictError), unit.reading() as connection:
                connection.execute(statement)
            with pytest.raises(ConflictError), engine.begin() as outer, unit.joining(outer) as connection:
                connection.execute(statement)
            with pytest.raises(ConflictError):
                async with unit.begin_shared() as connection:
                    connection.execute(statement)
            for begin in (async_unit.begin, async_unit.begin_shared, async_unit.reading):
                with pytest.raises(ConflictError):
                    async with begin() as async_connection:
                        await async_connection.execute(statement)


# With what else there is


@frozen
class Create(UseCase[[SampleTask], SampleTask, AggregateAlreadyExistError]):
    """Stores a task."""

    tasks: Tasks

    def execute(self, task: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        """Store it."""
        return self.tasks.save(task)


@frozen
class CreateLater(AsyncUseCase[[SampleTask], SampleTask, AggregateAlreadyExistError]):
    """Stores a task."""

    tasks: AsyncTasks

    async def execute(self, task: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        """Store it."""
        return await self.tasks.save(task)


@on_postgresql
async def test_a_use_case_is_tried_again(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Its guard takes a lost race for no bug: nothing is logged, and a policy tries the whole again."""
    tenacity = pytest.importorskip("tenacity", reason="needs the extra retry")
    from domainkit.adapters.tenacity import retried, retried_async  # noqa: PLC0415  (after the check for the extra)

    async with database.async_engine(METADATA) as async_engine:
        with database.engine() as engine:
            unit, async_unit = UnitOfWork(engine, outbox=OUTBOX), AsyncUnitOfWork(async_engine, outbox=OUTBOX)
            lose(engine, EVENTS, 2)
            stop = tenacity.stop_after_attempt(3)
            create = retried(unit.atomic(Create(Tasks(SampleTask, TASKS, unit))), on=ConflictError, stop=stop)
            with caplog.at_level(logging.DEBUG, "domainkit"):
                assert isinstance(create(new_task()), Success)
            assert 3 == tries(engine)
            with engine.begin() as connection:
                connection.execute(text("SELECT setval('tries', 1)"))
            later = async_unit.atomic(CreateLater(AsyncTasks(SampleTask, TASKS, async_unit)))
            assert isinstance(await retried_async(later, on=ConflictError, stop=stop)(new_task()), Success)
            assert 3 == tries(engine)
            assert [] == caplog.records
            assert (2, 2) == (len(stored_versions(engine)), len(stored_messages(engine)))


class Taken(DomainError):
    """A constraint refused something."""


@on_postgresql
async def test_a_constraint_and_a_race(database: Database) -> None:
    """A step that a constraint may refuse returns the conflict: it is none of the constraint."""
    async with database.async_engine(METADATA) as async_engine:
        with database.engine() as engine:
            unit, async_unit = UnitOfWork(engine), AsyncUnitOfWork(async_engine)
            tasks, async_tasks = Tasks(SampleTask, TASKS, unit), AsyncTasks(SampleTask, TASKS, async_unit)
            with engine.begin() as connection:
                connection.execute(text("ALTER TABLE tasks ADD CONSTRAINT known CHECK (version > 0)"))
            known = MetaData()
            table = TASKS.to_metadata(known)
            table.append_constraint(CheckConstraint("version > 0", name="known"))
            lose(engine, WRITES, 2)
            save = refusing(tasks.save, Taken, constraint="known", table=table, unit_of_work=unit)
            later = refusing_async(async_tasks.save, Taken, constraint="known", table=table, unit_of_work=async_unit)
            assert_conflict(save(new_task()).failure())
            assert_conflict((await later(new_task())).failure())
            assert isinstance(save(new_task()), Success)


@on_postgresql
async def test_a_message_is_handled_once_though_a_race_was_lost(database: Database) -> None:
    """The conflict is the answer, and leaves no mark: the next delivery is handled."""
    async with database.async_engine(METADATA, HANDLED) as async_engine:
        with database.engine() as engine:
            unit, async_unit = UnitOfWork(engine), AsyncUnitOfWork(async_engine)
            tasks, async_tasks = Tasks(SampleTask, TASKS, unit), AsyncTasks(SampleTask, TASKS, async_unit)
            lose(engine, WRITES, 2)

            def handle(event: DomainEvent) -> None:
                tasks.save(new_task()).unwrap()

            async def handle_later(event: DomainEvent) -> None:
                (await async_tasks.save(new_task())).unwrap()

            once = Inbox(INBOX, unit).once(handle, name="sync")
            once_later, event = AsyncInbox(INBOX, async_unit).once(handle_later, name="async"), DomainEvent()
            assert_conflict(once(event).failure())
            assert_conflict((await once_later(event)).failure())
            assert [Success(None)] * 2 == [once(event), await once_later(event)]
            assert 2 == len(stored_versions(engine))


@on_postgresql
async def test_a_bus_over_the_outbox(database: Database) -> None:
    """It publishes again by itself; if it loses each time, nothing is stored, and it says that it could not."""
    async with database.async_engine(METADATA) as async_engine:
        with database.engine() as engine:
            bus = OutboxDomainEventBus(UnitOfWork(engine, outbox=OUTBOX))
            async_bus = AsyncOutboxDomainEventBus(AsyncUnitOfWork(async_engine, outbox=OUTBOX))
            lose(engine, EVENTS, 8)
            assert isinstance(bus.publish(DomainEvent()).failure(), BusCannotPublish)
            failed = (await async_bus.publish(DomainEvent())).failure()
            assert "the outbox did not store it (ConflictError)" in str(failed)
            assert Success(None) == bus.publish(event := DomainEvent())
            assert [event] == stored_messages(engine)


# SQLite


@contextmanager
def begun_to_read(engine: Engine) -> Iterator[UnitOfWork]:
    """Yield a unit of work whose transaction began as one that only reads, and may write later."""
    unit = UnitOfWork(engine)
    reading = engine.connect().execution_options(**{READ_ONLY: True})
    with reading as connection, connection.begin(), unit.joining(connection):
        yield unit


@on_sqlite
def test_sqlite_who_read_before_another_one_stored(database: Database) -> None:
    """A transaction that reads, and writes after another one has, would overwrite what it hasn't seen."""
    with database.engine(METADATA) as engine:
        task = saved(engine)
        with begun_to_read(engine) as unit:
            tasks = Tasks(SampleTask, TASKS, unit)
            tasks.retrieve(task.aggregate_id).unwrap()
            Tasks(SampleTask, TASKS, UnitOfWork(engine)).update(task).unwrap()
            assert_conflict(unit.atomic(tasks.update)(task).failure(), "SQLITE_BUSY")
        assert {str(task.aggregate_id): 2} == stored_versions(engine)


@on_sqlite
async def test_sqlite_async_who_read_before_another_one_stored(database: Database) -> None:
    """The async twin says so too; work that is said to store nothing may be what stores."""
    async with database.async_engine(METADATA) as async_engine:
        with database.engine() as engine:
            unit, task = AsyncUnitOfWork(async_engine), saved(engine)
            tasks = Tasks(SampleTask, TASKS, unit.inner)

            def work() -> object:
                tasks.retrieve(task.aggregate_id).unwrap()
                Tasks(SampleTask, TASKS, UnitOfWork(engine)).update(task).unwrap()
                return tasks.update(task)

            with pytest.raises(ConflictError) as raised:
                await unit.run(work, read_only=True)
            assert_conflict(raised.value, "SQLITE_BUSY")


@on_sqlite
@pytest.mark.parametrize("name", ["retrieve_all", "save"])
def test_sqlite_a_connection_that_cannot_be_made_has_lost_no_race(database: Database, name: str) -> None:
    """If another one has the file for itself, the exception is the driver's, for reads as for writes."""
    with database.engine(METADATA):
        pass
    with closing(sqlite3.connect(str(database.url.database), isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with database.engine(busy_timeout=timedelta(milliseconds=10)) as hasty:
            tasks = Tasks(SampleTask, TASKS, UnitOfWork(hasty))
            with pytest.raises(OperationalError, match="locked"):
                tasks.retrieve_all() if name == "retrieve_all" else tasks.save(new_task())


@on_sqlite
def test_sqlite_a_transaction_that_cannot_begin_has_lost_no_race(database: Database) -> None:
    """The holder of the lock may hang: the exception is the driver's, and nothing is tried again."""
    with database.engine(METADATA) as engine, database.engine(busy_timeout=timedelta(milliseconds=10)) as hasty:
        begun: list[object] = []
        event.listen(hasty, "checkout", lambda *about: begun.append(about))
        with engine.begin(), pytest.raises(OperationalError, match="locked"):
            Tasks(SampleTask, TASKS, UnitOfWork(hasty)).save(new_task())
        assert 1 == len(begun)
