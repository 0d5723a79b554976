"""Each statement and the commit fail once, before and after they ran: all is stored afterwards, or nothing."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from databases import METADATA, OUTBOX, TASKS, Database, new_database, stored_messages
from returns.result import Result, Success
from sqlalchemy import Engine, event, select

from domainkit import DomainError, DomainEvent
from domainkit.adapters.sqlalchemy import AsyncSqlCrudRepository, AsyncUnitOfWork, SqlCrudRepository, UnitOfWork
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]


class PlantedError(Exception):
    """The error that fails a statement."""


@define
class Fault:
    """Fails at one point of all that a transaction passes: before and after each statement, and at its commit."""

    at: int
    passed: int = 0

    def point(self, *_: Any) -> None:
        """Pass a point, or fail there."""
        self.passed += 1
        if self.passed == self.at:
            raise PlantedError

    @contextmanager
    def planted(self, engine: Engine) -> Iterator[None]:
        """Plant the fault for the block."""
        names = ("before_cursor_execute", "after_cursor_execute")
        for name in names:
            event.listen(engine, name, self.point)
        try:
            with pytest.MonkeyPatch.context() as patched:  # with a listener of commits, each call would have one
                patched.setattr(engine.dialect, "do_commit", self._committing(engine.dialect.do_commit))
                yield
        finally:
            for name in names:
                event.remove(engine, name, self.point)

    def _committing(self, commit: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return what SQLAlchemy calls to commit, with a point before it."""

        def run(connection: Any) -> None:
            self.point()
            commit(connection)

        return run


def outcome_of(tasks: Tasks, unit_of_work: UnitOfWork, operation: str, known: SampleTask) -> Result[Any, Any]:
    """Do what the operation is called."""
    one, other = SampleTask.create("One"), SampleTask.create("Other")

    def both() -> Result[SampleTask, DomainError]:
        first: Result[SampleTask, DomainError] = tasks.save(one)
        return first.bind(lambda _: tasks.update(known.record(DomainEvent()))).bind(lambda _: tasks.save(other))

    operations: dict[str, Callable[[], Result[Any, Any]]] = {
        "save": lambda: tasks.save(one),
        "update": lambda: tasks.update(known.record(DomainEvent(), DomainEvent())),
        "remove": lambda: tasks.remove(known.aggregate_id),
        "remove_aggregate": lambda: tasks.remove_aggregate(known.record(DomainEvent())),
        "atomic": unit_of_work.atomic(both),
    }
    return operations[operation]()


async def async_outcome_of(
    tasks: AsyncTasks, unit_of_work: AsyncUnitOfWork, operation: str, known: SampleTask
) -> Result[Any, Any]:
    """Do what the operation is called, with async connections."""
    one, other = SampleTask.create("One"), SampleTask.create("Other")

    async def both() -> Result[SampleTask, DomainError]:
        (await tasks.save(one)).unwrap()
        (await tasks.update(known.record(DomainEvent()))).unwrap()
        return Success((await tasks.save(other)).unwrap())

    operations: dict[str, Callable[[], Awaitable[Result[Any, Any]]]] = {
        "save": lambda: tasks.save(one),
        "update": lambda: tasks.update(known.record(DomainEvent(), DomainEvent())),
        "remove": lambda: tasks.remove(known.aggregate_id),
        "remove_aggregate": lambda: tasks.remove_aggregate(known.record(DomainEvent())),
        "atomic": unit_of_work.atomic(both),
    }
    return await operations[operation]()


def snapshot(engine: Engine) -> tuple[list[tuple[object, ...]], int]:
    """Return the rows of the tasks, and how many events there are."""
    with engine.connect() as connection:
        rows = connection.execute(select(TASKS.c.version, TASKS.c.state).order_by(TASKS.c.position)).all()
    return [tuple(row) for row in rows], len(stored_messages(engine))


OPERATIONS = ["save", "update", "remove", "remove_aggregate", "atomic"]
POINTS = {"save": 5, "update": 5, "remove": 3, "remove_aggregate": 5, "atomic": 13}


def points_of(database: Database, operation: str) -> tuple[int, int]:
    """Return how many points there are, and the last one at which nothing is stored yet.

    On PostgreSQL a call outside of a unit of work is one statement, which the server has committed when it is over.
    """
    is_one = database.kind == "postgresql" and operation != "atomic"
    return (2, 1) if is_one else (POINTS[operation], POINTS[operation])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_all_or_nothing(database: Database, operation: str) -> None:
    """Wherever a fault strikes, nothing is stored; without one, all is, and the next call finds nothing amiss."""
    with database.engine(METADATA) as engine, database.engine() as looking:
        unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
        tasks = Tasks(SampleTask, TASKS, unit_of_work)
        known = tasks.save(SampleTask.create("Known")).unwrap()
        before, (points, last) = snapshot(looking), points_of(database, operation)
        for at in range(1, last + 1):
            with Fault(at).planted(engine), pytest.raises(PlantedError):
                outcome_of(tasks, unit_of_work, operation, known)
            assert before == snapshot(looking), f"fault at point {at}"
        fault = Fault(0)
        with fault.planted(engine):
            outcome_of(tasks, unit_of_work, operation, known).unwrap()
        assert points == fault.passed
        assert before != snapshot(looking)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_async_all_or_nothing(database: Database, operation: str) -> None:
    """The same with async connections."""
    async with database.async_engine(METADATA) as engine:
        with database.engine() as looking:
            unit_of_work = AsyncUnitOfWork(engine, outbox=OUTBOX)
            tasks = AsyncTasks(SampleTask, TASKS, unit_of_work)
            known = (await tasks.save(SampleTask.create("Known"))).unwrap()
            before, (points, last) = snapshot(looking), points_of(database, operation)
            for at in range(1, last + 1):
                with Fault(at).planted(engine.sync_engine), pytest.raises(PlantedError):
                    await async_outcome_of(tasks, unit_of_work, operation, known)
                assert before == snapshot(looking), f"fault at point {at}"
            fault = Fault(0)
            with fault.planted(engine.sync_engine):
                (await async_outcome_of(tasks, unit_of_work, operation, known)).unwrap()
            assert points == fault.passed
            assert before != snapshot(looking)


@pytest.mark.parametrize("operation", ["save", "update", "remove", "remove_aggregate"])
def test_all_after_the_only_statement(tmp_path: Path, operation: str) -> None:
    """A fault after the only statement on PostgreSQL strikes after the commit: all is stored."""
    with (
        new_database("postgresql", tmp_path) as database,
        database.engine(METADATA) as engine,
        database.engine() as looking,
    ):
        unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
        tasks = Tasks(SampleTask, TASKS, unit_of_work)
        known = tasks.save(SampleTask.create("Known")).unwrap()
        rows, events = snapshot(looking)
        with Fault(2).planted(engine), pytest.raises(PlantedError):
            outcome_of(tasks, unit_of_work, operation, known)
        counts = {"save": (2, 1), "update": (1, 2), "remove": (0, 0), "remove_aggregate": (0, 1)}
        assert counts[operation] == (len(snapshot(looking)[0]), snapshot(looking)[1] - events)
        assert rows != snapshot(looking)[0]
