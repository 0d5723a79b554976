"""Aggregates found by conditions over columns, page by page, and streamed in constant memory."""

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve, frozen
from databases import Database
from returns.result import Success
from sizes import FULL
from sqlalchemy import Boolean, Column, Engine, Integer, MetaData, RowMapping, String, Table, Uuid, func, insert

from domainkit import AggregateNotFoundError, AggregateRoot
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    RowMapper,
    SqlCrudRepository,
    UnitOfWork,
    aggregate_table,
)
from domainkit.values import Uuid as Id

METADATA = MetaData()
ROWS = Table(
    "todo",
    METADATA,
    Column("id", Uuid(), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("title", String, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("done", Boolean),
)
STATES = aggregate_table(METADATA, "todo_states")
OTHER = aggregate_table(METADATA, "other")

MANY = 1_000_000 if FULL else 25_000


class TodoId(Id): ...


@frozen
class Todo(AggregateRoot[TodoId]):
    title: str
    rank: int = 0
    done: bool | None = None


class TodoMapper(RowMapper[Todo]):
    def to_row(self, aggregate: Todo) -> Mapping[str, object]:
        return {"title": aggregate.title, "rank": aggregate.rank, "done": aggregate.done}

    def from_row(self, row: RowMapping) -> Todo:
        todo_id, version = TodoId(row["id"]), row["version"]
        return Todo(row["title"], row["rank"], row["done"], aggregate_id=todo_id, aggregate_version=version)


Todos = SqlCrudRepository[Todo, TodoId]

TODOS = [
    Todo(title, rank, done, aggregate_id=TodoId(UUID(int=number)))
    for number, (title, rank, done) in enumerate(
        [("b", 1, True), ("a", 2, False), ("b", 2, None), ("a", 1, True), ("b", 1, False), ("a", 1, None)]
    )
]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA) as made:
        yield made


@pytest.fixture
def todos(engine: Engine) -> Todos:
    """Return a repository with six todos in columns."""
    made = Todos(Todo, ROWS, UnitOfWork(engine), mapper=TodoMapper(), order_by=ROWS.c.id)
    for todo in TODOS:
        made.save(todo).unwrap()
    return made


def by_title_and_rank(todo: Todo) -> tuple[str, int, int]:
    """Return what todos are sorted by: titles, the highest rank first, ids."""
    return todo.title, -todo.rank, todo.aggregate_id.value.int


SORTED = sorted(TODOS, key=by_title_and_rank)
ORDER = (ROWS.c.title.asc(), ROWS.c.rank.desc())


def test_all_are_found_in_the_order_of_the_repository(todos: Todos) -> None:
    """Without arguments it is what retrieve_all returns."""
    assert Success(tuple(TODOS)) == todos.find() == todos.retrieve_all()


def test_a_condition_leaves_out_the_others(todos: Todos) -> None:
    """It is of SQLAlchemy, over the columns of the table."""
    found = todos.find((ROWS.c.title == "a") & (ROWS.c.rank < 2), order_by=ROWS.c.id.desc()).unwrap()
    assert [TODOS[5], TODOS[3]] == list(found)


@pytest.mark.parametrize("limit", [1, 2, 4, 6, 7])
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (None, TODOS),
        (ROWS.c.id.desc(), TODOS[::-1]),
        (ORDER, SORTED),
        (
            [one.desc() for one in (ROWS.c.title, ROWS.c.rank, ROWS.c.id)],
            sorted(SORTED, key=lambda one: (one.title, one.rank, one.aggregate_id.value.int))[::-1],
        ),
    ],
    ids=["default", "down", "mixed", "all down"],
)
def test_pages_have_each_aggregate_once(todos: Todos, limit: int, order: Any, expected: list[Todo]) -> None:
    """Each page begins after the last aggregate of the one before, also among rows that are equal in the columns."""
    found, after = list[Todo](), None
    while page := todos.find(order_by=order, limit=limit, after=after).unwrap():
        found, after = [*found, *page], page[-1].aggregate_id

    assert expected == found


def test_what_is_removed_before_a_page_doesnt_move_it(todos: Todos) -> None:
    """Counting rows would leave one out: the page is told by the values of the last one."""
    first = todos.find(order_by=ORDER, limit=3).unwrap()
    todos.remove(first[0].aggregate_id).unwrap()

    assert SORTED[3:] == list(todos.find(order_by=ORDER, after=first[-1].aggregate_id).unwrap())


def test_a_page_after_none_is_a_failure(todos: Todos) -> None:
    """If the last aggregate of the page before was removed, an error says so: begin anew."""
    todos.remove(TODOS[2].aggregate_id).unwrap()
    error = todos.find(limit=3, after=TODOS[2].aggregate_id).failure()

    assert isinstance(error, AggregateNotFoundError)
    assert str(TODOS[2].aggregate_id) == error.uuid_value


@pytest.mark.parametrize("order", [ROWS.c.done, OTHER.c.id, func.lower(ROWS.c.title), ROWS.c.done.desc()])
def test_an_order_that_is_not_one_of_own_columns_is_refused(todos: Todos, order: Any) -> None:
    """Databases put NULL in different places, and no row has the value of another table's column."""
    with pytest.raises(ValueError, match=r"order_by: expected non-nullable columns of the table 'todo', such as "):
        todos.find(order_by=order)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_has_no_row_is_refused(todos: Todos, limit: int) -> None:
    """SQLite takes -1 for all, PostgreSQL refuses it."""
    with pytest.raises(ValueError, match=f"expected a limit or batch of at least 1, got {limit}"):
        todos.find(limit=limit)
    with pytest.raises(ValueError, match=f"expected a limit or batch of at least 1, got {limit}"):
        todos.stream(batch=limit)


@pytest.mark.parametrize("batch", [1, 2, 4, 6, 7])
def test_a_stream_has_each_aggregate_once(todos: Todos, batch: int) -> None:
    """In the order that is asked for, whatever the size of a batch, and of those that meet the condition."""
    assert SORTED == list(todos.stream(order_by=ORDER, batch=batch))
    assert [one for one in TODOS if one.title == "a"] == list(todos.stream(ROWS.c.title == "a", batch=batch))


def test_what_is_streamed_can_be_changed(todos: Todos) -> None:
    """Nothing is open between two batches: each aggregate is stored while the next ones wait."""
    for todo in todos.stream(batch=2):
        todos.update(evolve(todo, done=True)).unwrap()

    assert [True] * 6 == [todo.done for todo in todos.retrieve_all().unwrap()]


def test_many_aggregates_are_streamed_in_constant_memory(engine: Engine) -> None:
    """A batch of them is in memory, not all: of a million in a full run."""
    with engine.begin() as connection:
        for start in range(0, MANY, 10_000):
            ids = (UUID(int=number) for number in range(start, min(start + 10_000, MANY)))
            rows = [{"id": one, "version": 1, "state": '{"title":"Sweep"}'} for one in ids]
            connection.execute(insert(STATES), rows)
    todos = Todos(Todo, STATES, UnitOfWork(engine))
    tracemalloc.start()
    try:
        count = sum(1 for _ in todos.stream())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert MANY == count
    assert peak < 8_000_000, f"{peak:,} bytes for {MANY:,} rows"


async def test_pages_and_streams_to_await(database: Database) -> None:
    """The async twin does the same."""
    async with database.async_engine(METADATA) as engine:
        todos = AsyncSqlCrudRepository[Todo, TodoId](
            Todo, ROWS, AsyncUnitOfWork(engine), mapper=TodoMapper(), order_by=ROWS.c.id
        )
        for todo in TODOS:
            (await todos.save(todo)).unwrap()
        first: Sequence[Todo] = (await todos.find(order_by=ORDER, limit=4)).unwrap()
        rest = (await todos.find(ROWS.c.rank < 2, order_by=ORDER, limit=4, after=first[-1].aggregate_id)).unwrap()

        assert SORTED[:4] == list(first)
        assert [one for one in SORTED[4:] if one.rank < 2] == list(rest)
        assert SORTED == [todo async for todo in todos.stream(order_by=ORDER, batch=4)]
        assert TODOS == [todo async for todo in todos.stream(batch=6)]
