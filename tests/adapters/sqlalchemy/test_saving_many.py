"""Many new aggregates in one call: all of them with their events, or none."""

from collections.abc import Mapping
from uuid import UUID

import pytest
import sqlalchemy as sa
from attrs import frozen
from databases import METADATA, OUTBOX, TASKS, Database, stored_messages, stored_versions
from returns.result import Failure, Success
from sqlalchemy.exc import IntegrityError

from domainkit import AggregateAlreadyExistError, AggregateRoot, Uuid
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    RowMapper,
    SqlCrudRepository,
    UnitOfWork,
)
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]


def made(count: int) -> list[SampleTask]:
    """Return new tasks, each with an event."""
    return [SampleTask.create(f"Task {number}") for number in range(count)]


def test_all_events_are_in_the_outbox_in_order(database: Database) -> None:
    """The events are in the order of the aggregates, and the returned ones have none; without an outbox they do."""
    with database.engine(METADATA) as engine:
        unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
        tasks = made(50)
        stored = Tasks(SampleTask, TASKS, unit_of_work).save_all(tasks).unwrap()
        assert [one.aggregate_id for one in tasks] == [one.aggregate_id for one in stored]
        assert {()} == {one.domain_events for one in stored}
        assert [one.domain_events[0] for one in tasks] == stored_messages(engine)

        others = made(2)
        kept = Tasks(SampleTask, TASKS, UnitOfWork(engine)).save_all(others).unwrap()
        assert [one.domain_events for one in others] == [one.domain_events for one in kept]
        assert 52 == len(stored_versions(engine))


def test_a_refused_call_leaves_a_unit_of_work_whole(database: Database) -> None:
    """In a unit of work a Failure takes back what this call has stored, and nothing else; the unit is committed."""
    with database.engine(METADATA) as engine:
        unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
        repository = Tasks(SampleTask, TASKS, unit_of_work)
        one, two, three, four = made(4)
        with unit_of_work.begin():
            repository.save_all([one, two]).unwrap()
            refused = repository.save_all([three, two, one]).failure()
            repository.save_all([four]).unwrap()
        assert isinstance(refused, AggregateAlreadyExistError)
        assert refused == repository.save(two).failure()
        assert {str(task.aggregate_id) for task in (one, two, four)} == set(stored_versions(engine))
        assert [task.domain_events[0] for task in (one, two, four)] == stored_messages(engine)


async def test_async_all_or_none(database: Database) -> None:
    """The same with async connections, alone and in a unit of work."""
    async with database.async_engine(METADATA) as engine:
        unit_of_work = AsyncUnitOfWork(engine, outbox=OUTBOX)
        repository = AsyncTasks(SampleTask, TASKS, unit_of_work)
        one, two, three = made(3)
        assert Success(()) == await repository.save_all([])
        assert 2 == len((await repository.save_all([one, two])).unwrap())
        assert isinstance(await repository.save_all([three, one]), Failure)
        async with unit_of_work.begin():
            assert isinstance(await repository.save_all([three, two]), Failure)
            (await repository.save_all([three])).unwrap()
        with database.engine() as looking:
            assert 3 == len(stored_versions(looking))
            assert [task.domain_events[0] for task in (one, two, three)] == stored_messages(looking)


@frozen
class Page(AggregateRoot[Uuid]):
    """An aggregate whose row may lack a column."""

    title: str
    note: str | None = None


class Mapper(RowMapper[Page]):
    """Leaves the column out if there is no note, so that the database fills it."""

    def to_row(self, aggregate: Page) -> Mapping[str, object]:
        """Return the columns."""
        return {"title": aggregate.title} | ({} if aggregate.note is None else {"note": aggregate.note})

    def from_row(self, row: sa.RowMapping) -> Page:
        """Return the aggregate."""
        return Page(
            row["title"], row["note"], aggregate_id=Uuid(UUID(str(row["id"]))), aggregate_version=row["version"]
        )


def test_rows_may_have_different_columns(database: Database) -> None:
    """Each row is stored with the columns that its mapper gave; a constraint that fails stores none of them."""
    metadata = sa.MetaData()
    table = sa.Table(
        "pages",
        metadata,
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), unique=True),
        sa.Column("note", sa.Text(), server_default="none"),
    )
    with database.engine(metadata) as engine:
        repository = SqlCrudRepository[Page](Page, table, UnitOfWork(engine), mapper=Mapper(), order_by=table.c.title)
        repository.save_all([Page("A"), Page("B", "a note"), Page("C")]).unwrap()
        assert ["none", "a note", "none"] == [one.note for one in repository.retrieve_all().unwrap()]
        assert isinstance(repository.save_all([Page("D"), *repository.retrieve_all().unwrap()]), Failure)
        for wrong in ([Page("E"), Page("E")], [Page("E"), Page("F", "a note"), Page("A")]):
            with pytest.raises(IntegrityError):
                repository.save_all(wrong)
        assert ["A", "B", "C"] == [one.title for one in repository.retrieve_all().unwrap()]
