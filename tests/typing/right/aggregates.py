"""Aggregates: typed ids, recorded events, and copies that keep their class."""

from collections.abc import Iterable
from typing import TypeVar, assert_type

from attrs import evolve, frozen

from domainkit import AggregateRoot, DomainEvent, InmemoryCrudRepository, Uuid, ValueObject

from board import Setting, Task, TaskCreated, TaskId, TaskRenamed, Title, UserId

task = Task.create(Title("Buy milk"))
assert_type(task.aggregate_id, TaskId)
assert_type(task.aggregate_version, int)
assert_type(task.owner, UserId | None)
assert_type(task.domain_events, tuple[DomainEvent, ...])
assert_type(task.record(TaskRenamed(task.aggregate_id), TaskCreated(task.aggregate_id, task.title)), Task)
assert_type(task.clear_domain_events(), Task)
events, clean = task.pull_domain_events()
assert_type(events, tuple[DomainEvent, ...])
assert_type(clean, Task)
assert_type(evolve(task, title=Title("Buy bread"), owner=UserId.v4()), Task)
assert_type(Task(Title("Buy milk"), aggregate_id=TaskId.v4(), aggregate_version=3), Task)

setting = Setting("colour")
assert_type(setting.aggregate_id, Uuid)
assert_type(setting.pull_domain_events()[1], Setting)


def version_of(aggregate: AggregateRoot[TaskId]) -> int:
    return aggregate.aggregate_version


assert_type(version_of(task), int)


# a function of any aggregate takes each, whatever its ids are, and gives back the class that it got
AnyRoot = TypeVar("AnyRoot", bound=AggregateRoot)


def history(aggregates: Iterable[AggregateRoot]) -> list[str]:
    return [f"{one.aggregate_id} {one.aggregate_version}" for one in aggregates]


def published(aggregate: AnyRoot) -> AnyRoot:
    return aggregate.clear_domain_events()


history([task, setting])
tasks: list[Task] = [task]
history(tasks)
assert_type(published(task), Task)
of_any_class: AggregateRoot[ValueObject[object]] = task


# an id may be any value object
class Isbn(ValueObject[str]): ...


@frozen
class Book(AggregateRoot[Isbn]):
    title: Title


book = Book(Title("Emma"), aggregate_id=Isbn("978-0"))
assert_type(book.aggregate_id, Isbn)
books = InmemoryCrudRepository[Book, Isbn]()
assert_type(books.retrieve(book.aggregate_id).unwrap(), Book)
