"""Ids of any class: repositories infer them from the class of the aggregates."""

from typing import assert_type

from attrs import evolve, frozen
from returns.result import Result
from sqlalchemy import MetaData

from domainkit import (
    AggregateNotFoundError,
    AggregateRoot,
    AsyncCrudRepository,
    AsyncInmemoryCrudRepository,
    CrudRepository,
    DomainEvent,
    InmemoryCrudRepository,
    ValueObject,
)
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    SqlCrudRepository,
    UnitOfWork,
    aggregate_table,
    make_async_engine,
    make_engine,
)
from domainkit.testing import AggregateRepositoryContract, AsyncAggregateRepositoryContract


class Isbn(ValueObject[str]): ...


class TaskNumber(ValueObject[int]): ...


class Seat(ValueObject[tuple[str, int]]): ...


@frozen
class Address:
    street: str
    number: int


class Place(ValueObject[Address]): ...


@frozen
class Book(AggregateRoot[Isbn]):
    title: str


@frozen
class Task(AggregateRoot[TaskNumber]):
    title: str


@frozen
class Ticket(AggregateRoot[Seat]):
    price: int


@frozen
class Visit(AggregateRoot[Place]):
    note: str


@frozen
class BookLent(DomainEvent):
    isbn: Isbn


metadata = MetaData()
unit_of_work = UnitOfWork(make_engine("sqlite://"))
book_table = aggregate_table(metadata, "books", ids=Isbn)
task_table = aggregate_table(metadata, "tasks", ids=TaskNumber)
ticket_table = aggregate_table(metadata, "tickets", ids=Seat)
visit_table = aggregate_table(metadata, "visits", ids=Place, schema=None)

book = Book("Emma", aggregate_id=Isbn("978"))
assert_type(book.aggregate_id, Isbn)
assert_type(book.record(BookLent(book.aggregate_id)), Book)
assert_type(evolve(book, title="Persuasion"), Book)

assert_type(SqlCrudRepository(Book, book_table, unit_of_work), SqlCrudRepository[Book, Isbn])
assert_type(SqlCrudRepository(Task, task_table, unit_of_work), SqlCrudRepository[Task, TaskNumber])
assert_type(SqlCrudRepository(Ticket, ticket_table, unit_of_work), SqlCrudRepository[Ticket, Seat])
assert_type(SqlCrudRepository(Visit, visit_table, unit_of_work), SqlCrudRepository[Visit, Place])
in_sql: CrudRepository[Task, TaskNumber] = SqlCrudRepository(Task, task_table, unit_of_work)
in_memory: CrudRepository[Task, TaskNumber] = InmemoryCrudRepository()
for tasks in (in_sql, in_memory):
    assert_type(tasks.retrieve(TaskNumber(5)), Result[Task, AggregateNotFoundError])
    assert_type(tasks.remove(TaskNumber(5)), Result[None, AggregateNotFoundError])
assert_type(InmemoryCrudRepository[Ticket, Seat]().retrieve(Seat(("A", 5))), Result[Ticket, AggregateNotFoundError])


async def awaited() -> None:
    """The async twins."""
    unit = AsyncUnitOfWork(make_async_engine("sqlite+aiosqlite://"))
    assert_type(AsyncSqlCrudRepository(Task, task_table, unit), AsyncSqlCrudRepository[Task, TaskNumber])
    tasks: AsyncCrudRepository[Task, TaskNumber] = AsyncInmemoryCrudRepository()
    assert_type(await tasks.retrieve(TaskNumber(5)), Result[Task, AggregateNotFoundError])


class OfTasks(AggregateRepositoryContract[Task, TaskNumber]):
    """The contract of a repository of one class."""

    def make_repository(self) -> CrudRepository[Task, TaskNumber]:
        return InmemoryCrudRepository()

    def make_aggregate(self) -> Task:
        return Task("Buy milk", aggregate_id=TaskNumber(5))

    def change(self, aggregate: Task) -> Task:
        return evolve(aggregate, title="Buy bread")


class OfTasksToAwait(AsyncAggregateRepositoryContract[Task, TaskNumber]):
    """The same of its async twin."""

    async def make_async_repository(self) -> AsyncInmemoryCrudRepository[Task, TaskNumber]:
        return AsyncInmemoryCrudRepository()

    def make_aggregate(self) -> Task:
        return Task("Buy milk", aggregate_id=TaskNumber(5))

    def change(self, aggregate: Task) -> Task:
        return evolve(aggregate, title="Buy bread")
