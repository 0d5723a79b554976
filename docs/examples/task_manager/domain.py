"""The domain: values, a task and its events, reminders, errors."""

from datetime import date

from attrs import field, frozen
from attrs.validators import max_len

from domainkit import AggregateRoot, AlreadyExists, DomainError, DomainEvent, Uuid, ValueObject


def one_line(_: object, __: object, text: str) -> None:
    """Refuse blank text, and text with characters that would break its line."""
    if not text.strip() or not text.isprintable():
        raise ValueError("it must be a line of text")


@frozen
class Title(ValueObject[str]):
    """A description of the task, on one line."""

    value: str = field(validator=(one_line, max_len(60)))


@frozen
class Label(ValueObject[str]):
    """A short word to find tasks by."""

    value: str = field(validator=(one_line, max_len(20)))


class TaskId(Uuid):
    """The identity of a task."""


@frozen
class TaskCreated(DomainEvent):
    """There is a new task."""

    task_id: TaskId
    title: Title
    due: date | None
    labels: tuple[Label, ...]


@frozen
class Task(AggregateRoot[TaskId]):
    """Something to do, perhaps by a certain day."""

    title: Title
    due: date | None = None
    labels: tuple[Label, ...] = ()

    @classmethod
    def create(cls, task_id: TaskId, title: Title, due: date | None, labels: tuple[Label, ...]) -> "Task":
        """Return a new task that has recorded its creation."""
        task = cls(title, due, labels, aggregate_id=task_id)
        return task.record(TaskCreated(task_id, title, due, labels))


@frozen
class Reminder(AggregateRoot):
    """A note to remind somebody of a task, on a certain day."""

    title: Title
    day: date


class DuplicateTask(AlreadyExists):
    """There is a task with this id already."""


class DueInThePast(DomainError):
    """The due date had passed before the task was created."""
