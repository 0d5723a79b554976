"""Tables that petisco's models have made and filled, after the SQL of the page about moving: both sides use them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import petisco
import pytest

pytest.importorskip("sqlalchemy_utils", reason="needs SQLAlchemy-Utils, as petisco does")
pytest.importorskip("aio_pika", reason="needs the extra rabbitmq, which the page is about too")

from attrs import evolve
from checkers import DOCS, module_of
from databases import Database
from petisco.extra.sqlalchemy import SqlBase
from returns.result import Failure, Success
from sqlalchemy import Column, DateTime, Engine, Integer, RowMapping, String, create_engine, inspect
from sqlalchemy.orm import Mapped, Session, mapped_column

from domainkit import AggregateAlreadyExistError, AggregateNotFoundError, AggregateVersionConflictError
from domainkit.adapters.sqlalchemy import RowMapper, SqlCrudRepository, UnitOfWork

PAGE = DOCS / "how-to" / "moving-from-petisco.md"
LOWER, UPPER = "0b7e8a52-1c0f-4b43-8c2f-6d3b7d0b9f10", "A7F8FB8E-6A0B-4F3E-9A55-1D6F0C2B4E11"
DUE = datetime(2021, 12, 28, 14, 11, 47, 845618)


class TaskModel(SqlBase[tuple[str | None, str, datetime | None]]):
    """A model as petisco's users write it."""

    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    aggregate_id: Mapped[str | None] = mapped_column(String(36))
    title: Mapped[str] = mapped_column(String(200))
    due: Mapped[datetime | None] = mapped_column(DateTime)

    def to_domain(self) -> tuple[str | None, str, datetime | None]:
        """Return what the domain of this test has: petisco asks for the two methods."""
        return self.aggregate_id, self.title, self.due

    @staticmethod
    def from_domain(domain_entity: tuple[str | None, str, datetime | None]) -> "TaskModel":
        """Return the reverse."""
        aggregate_id, title, due = domain_entity
        return TaskModel(aggregate_id=aggregate_id, title=title, due=due)


def statements(purpose: str, kind: str) -> list[str]:
    """Return the SQL of the page for a purpose and a database, block by block."""
    blocks = re.findall(r"^```sql\n-- (.*)\n([\s\S]*?)^```", PAGE.read_text("utf-8"), re.MULTILINE)
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[kind]
    return [sql for first, sql in blocks if first.split(",")[0] == purpose and (name in first or "," not in first)]


def run(engine: Engine, purpose: str) -> None:
    """Run the SQL of the page for a purpose."""
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection  # Any: that of sqlite3 or psycopg
        for block in statements(purpose, engine.dialect.name):
            (driver.executescript if engine.dialect.name == "sqlite" else driver.execute)(block)


@contextmanager
def of_petisco(engine: Engine, aggregate_id: str) -> Iterator[TaskModel]:
    """Give the model of an aggregate in a session of petisco's kind, which writes what was changed."""
    with Session(engine) as session, session.begin():
        yield session.query(TaskModel).filter(TaskModel.aggregate_id == aggregate_id).one()


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Give an engine of petisco's, for a table that its model has made, with rows."""
    made = create_engine(database.url)
    SqlBase.metadata.create_all(made, [SqlBase.metadata.tables[TaskModel.__tablename__]])
    with Session(made) as session, session.begin():
        session.add(TaskModel.from_domain((petisco.Uuid(LOWER).value, "Buy milk", DUE)))
        session.add(TaskModel.from_domain((petisco.Uuid(UPPER).value, "Sweep", None)))
    yield made
    made.dispose()


@pytest.fixture
def found() -> Any:
    """Return what the page defines."""
    made = SimpleNamespace()
    exec(module_of(PAGE), vars(made))
    made.engine.dispose()
    return made


@pytest.fixture
def tasks(database: Database, engine: Engine, found: Any) -> Iterator[Any]:
    """Give the repository of the page, after its SQL was run: for the table that petisco uses too."""
    run(engine, "do")
    with database.engine() as new:
        found.outbox.table.create(new)
        yield stored_in(new, found, found.TaskMapper())


def stored_in(engine: Engine, found: Any, mapper: Any) -> Any:
    """Return a repository as the page makes it."""
    storing, table = UnitOfWork(engine, outbox=found.outbox), found.tasks_table
    return SqlCrudRepository(found.Task, table, storing, mapper=mapper, order_by=table.c.position)


def test_rows_of_petisco_are_read_as_they_are(tasks: Any, found: Any) -> None:
    """Ids keep their case, a naive datetime is a moment in UTC, and the version is 1."""
    expected = (
        found.Task("Buy milk", DUE.replace(tzinfo=UTC), aggregate_id=found.TaskId(LOWER)),
        found.Task("Sweep", aggregate_id=found.TaskId(UPPER)),
    )

    assert Success(expected) == tasks.retrieve_all()
    assert Success(expected[1]) == tasks.retrieve(found.TaskId(UPPER))
    assert Failure(AggregateNotFoundError) == tasks.retrieve(found.TaskId(UPPER.lower())).alt(type)


def test_both_sides_write_in_turn(engine: Engine, tasks: Any, found: Any) -> None:
    """Each sees what the other has written; an update here is refused if petisco has changed the row since."""
    first = tasks.retrieve(found.TaskId(LOWER)).unwrap()
    second = tasks.update(evolve(first, title="Buy tea")).unwrap()
    with of_petisco(engine, LOWER) as model:
        assert (LOWER, "Buy tea", DUE) == model.to_domain()
        model.title = "Buy rice"

    assert 2 == second.aggregate_version
    assert Failure(AggregateVersionConflictError) == tasks.update(evolve(second, title="Buy oats")).alt(type)
    third = tasks.retrieve(found.TaskId(LOWER)).unwrap()
    assert ("Buy rice", 3) == (third.title, third.aggregate_version)
    fourth = tasks.update(evolve(third, due=datetime(2024, 2, 29, tzinfo=UTC))).unwrap()
    assert Success(fourth) == tasks.retrieve(found.TaskId(LOWER))
    with of_petisco(engine, LOWER) as model:
        assert (LOWER, "Buy rice", datetime(2024, 2, 29)) == model.to_domain()


def test_both_sides_add_and_remove(engine: Engine, tasks: Any, found: Any) -> None:
    """A row that one side added is visible to the other, with an id of the row's own; a row that it removed is gone."""
    mine = tasks.save(found.Task("Cook", aggregate_id=found.TaskId.new())).unwrap()
    their_id = str(petisco.Uuid.v4())
    with Session(engine) as session, session.begin():
        session.add(TaskModel.from_domain((their_id, "Rest", None)))
    with of_petisco(engine, mine.aggregate_id.value) as model:
        assert ("Cook", 3) == (model.title, model.id)
        model.title = "Bake"

    assert Success(1) == tasks.retrieve(found.TaskId(their_id)).map(lambda task: task.aggregate_version)
    assert Failure(AggregateAlreadyExistError) == tasks.save(mine).alt(type)
    assert Failure(AggregateVersionConflictError) == tasks.update(mine).alt(type)
    tasks.remove(found.TaskId(their_id)).unwrap()
    with Session(engine) as session, session.begin():
        assert 3 == session.query(TaskModel).count()
        session.delete(session.query(TaskModel).filter(TaskModel.aggregate_id == LOWER).one())
    assert Failure(AggregateNotFoundError) == tasks.retrieve(found.TaskId(LOWER)).alt(type)


def test_a_row_that_cant_be_read_is_named_by_its_id(engine: Engine, tasks: Any, found: Any) -> None:
    """The note of the error has the id of the aggregate, and not that of the row."""
    with Session(engine) as session, session.begin():
        session.add(TaskModel.from_domain(("none", "Rest", None)))

    with pytest.raises(ValueError, match="TaskId") as raised:
        tasks.retrieve_all()
    assert ["table 'tasks', id none"] == raised.value.__notes__


@pytest.mark.parametrize(("aggregate_id", "row"), [(LOWER, (LOWER,)), (None, (3,))])
def test_the_page_looks_for_what_would_be_refused(engine: Engine, aggregate_id: str | None, row: tuple[object]) -> None:
    """An id that occurs twice, and a row without one; nothing else is found."""
    (block,) = statements("check", engine.dialect.name)
    queries = [query for query in block.split(";") if query.strip()]
    with engine.connect() as connection:
        assert [] == [tuple(one) for query in queries for one in connection.exec_driver_sql(query)]
    with Session(engine) as session, session.begin():
        session.add(TaskModel.from_domain((aggregate_id, "Rest", None)))

    with engine.connect() as connection:
        assert [row] == [tuple(one) for query in queries for one in connection.exec_driver_sql(query)]


def test_the_way_back_leaves_the_table_as_it_was(engine: Engine) -> None:
    """Column, index, trigger and function are gone; petisco can write, and the move can begin again."""
    before = [column["name"] for column in inspect(engine).get_columns("tasks")]
    run(engine, "do")
    assert [*before, "version"] == [column["name"] for column in inspect(engine).get_columns("tasks")]
    run(engine, "undo")

    assert before == [column["name"] for column in inspect(engine).get_columns("tasks")]
    assert [] == inspect(engine).get_indexes("tasks")
    with of_petisco(engine, LOWER) as model:
        model.title = "Buy rice"
    run(engine, "do")


def test_a_table_of_sqlmodel_has_moments(database: Database, found: Any) -> None:
    """If the column has a time zone, the mapper has nothing to add: the table is one as SQLModel 0.0.50 makes it."""
    kind = "TIMESTAMP WITH TIME ZONE" if database.kind == "postgresql" else "DATETIME"
    number = "SERIAL" if database.kind == "postgresql" else "INTEGER"
    columns = "aggregate_id VARCHAR NOT NULL, aggregate_version INTEGER NOT NULL, title VARCHAR NOT NULL"
    own = Column("aggregate_version", Integer, nullable=False, default=1)
    found.tasks_table.append_column(own)
    found.tasks_table.append_column(Column("due", DateTime(timezone=True)), replace_existing=True)
    due = datetime(2021, 12, 28, 14, 11, 47, 845618, tzinfo=timezone(timedelta(hours=2)))
    with database.engine() as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE tasks (id {number} PRIMARY KEY, {columns}, due {kind})")
        run(engine, "do")
        found.outbox.table.create(engine)
        tasks = stored_in(engine, found, moments_of(found))
        task = tasks.save(found.Task("Buy milk", due, aggregate_id=found.TaskId(UPPER))).unwrap()

        assert Success(task) == tasks.retrieve(found.TaskId(UPPER))


def moments_of(found: Any) -> Any:
    """Return the mapper of the page, without what it does for naive datetimes."""

    class Moments(RowMapper[Any]):
        def to_row(self, task: Any) -> dict[str, object]:
            return {"title": task.title, "due": task.due.astimezone(UTC)}

        def from_row(self, row: RowMapping) -> Any:
            task_id, due = found.TaskId(row[found.tasks_table.c.id]), row["due"]
            due = due if due.tzinfo else due.replace(tzinfo=UTC)  # SQLite doesn't have that type
            return found.Task(row["title"], due, aggregate_id=task_id, aggregate_version=row["version"])

    return Moments()
