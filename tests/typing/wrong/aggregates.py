"""Wrong code around aggregates: a type checker refuses each line marked `# wrong`, and no other."""

from collections.abc import Iterable
from typing import TypeVar

from attrs import evolve
from board import CreateTask, Setting, Task, TaskId, TaskRenamed, Title, UserId

from domainkit import AggregateRoot, Uuid, ValueObject

AnyRoot = TypeVar("AnyRoot", bound=AggregateRoot)


def history(aggregates: Iterable[AggregateRoot]) -> None: ...
def published(aggregate: AnyRoot) -> AnyRoot:
    return aggregate



task = Task.create(Title("Buy milk"))

Task(Title("Buy milk"), aggregate_id=UserId.v4())  # wrong: another class of id
Task(Title("Buy milk"), aggregate_id=Uuid.v4())  # wrong: a plain id is no TaskId
Task("Buy milk")  # wrong: a str is no Title
Task(Title("Buy milk"), None, TaskId.v4())  # wrong: the id is keyword-only
Task()  # wrong: the title is missing
Task.create("Buy milk")  # wrong: a str is no Title
task.record("renamed")  # wrong: no event
task.record(CreateTask(task.title))  # wrong: a command is no event
task.record([TaskRenamed(task.aggregate_id)])  # wrong: several events are passed one by one
task.aggregate_version = 2  # wrong: frozen
task.aggregate_id = TaskId.v4()  # wrong: frozen
task.domain_events = ()  # wrong: read-only
user_id: UserId = task.aggregate_id  # wrong: another class of id
task_id: TaskId = Setting("colour").aggregate_id  # wrong: it has a plain Uuid
changed: Task = task.pull_domain_events()  # wrong: it is a pair
changed = task.pull_domain_events()[0]  # wrong: the events come first
evolve(task, title="Buy bread")  # wrong for mypy: a str is no Title
evolve(task, aggregate_id=UserId.v4())  # wrong for mypy: another class of id
evolve(task, text="Buy bread")  # wrong for mypy: unknown field
of_user: AggregateRoot[UserId] = task  # wrong: its ids are TaskIds
numbered: AggregateRoot[int]  # wrong: an int is no id
history([task.title])  # wrong: a value object is no aggregate
history(task)  # wrong: several, not one
published(task.aggregate_id)  # wrong: an id is no aggregate
same: Setting = published(task)  # wrong: it is a Task
by_text: AggregateRoot[Title] = task  # wrong: its ids are no titles
exact: AggregateRoot[TaskId] = Setting("colour")  # wrong: its id may be any Uuid
number: ValueObject[int] = task.aggregate_id  # wrong: an id wraps a UUID
