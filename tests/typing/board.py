"""The model that the typing tests share: what a user of the library writes."""

from attrs import field, frozen
from attrs.validators import ge, max_len, min_len
from returns.result import Failure, Result, Success

from domainkit import AggregateRoot, Command, CrudRepository, DomainError, DomainEvent, Uuid, ValueObject


class TaskId(Uuid): ...


class UserId(Uuid): ...


class DuplicateTask(DomainError): ...


class TaskClosed(DomainError): ...


class NoPermission(DomainError): ...


@frozen
class Title(ValueObject[str]):
    value: str = field(validator=[min_len(1), max_len(200)])


@frozen
class Priority(ValueObject[int]):
    value: int = field(validator=ge(0))


class Note(ValueObject[str | None]): ...


@frozen
class TaskCreated(DomainEvent):
    task_id: TaskId
    title: Title

    class Config:
        version = 2


@frozen
class TaskRenamed(DomainEvent):
    task_id: TaskId


@frozen
class CreateTask(Command[TaskId, DuplicateTask]):
    title: Title


@frozen
class CloseTask(Command):
    task_id: TaskId


@frozen
class Task(AggregateRoot[TaskId]):
    title: Title
    owner: UserId | None = None

    @classmethod
    def create(cls, title: Title) -> "Task":
        task = cls(title)
        return task.record(TaskCreated(task.aggregate_id, title))


@frozen
class Setting(AggregateRoot):
    name: str


class TaskRepository(CrudRepository[Task, TaskId]): ...


class SettingRepository(CrudRepository[Setting]): ...


def parse_title(raw: str) -> Result[Title, DomainError]:
    return Title.parse(raw)


def open_task(title: Title) -> Result[Task, DuplicateTask]:
    return Success(Task.create(title))


def close_task(task: Task) -> Result[Task, TaskClosed]:
    return Success(task)


def check_owner(task: Task) -> Result[Task, NoPermission]:
    return Failure(NoPermission()) if task.owner is None else Success(task)


async def notify_owner(task: Task) -> Result[UserId, NoPermission]:
    return Failure(NoPermission()) if task.owner is None else Success(task.owner)


def create_task(command: CreateTask) -> Result[TaskId, DuplicateTask]:
    return Success(Task.create(command.title).aggregate_id)
