from petisco import Command, DomainEvent

from taskboard.shared.ids import TaskId, UserId
from taskboard.tasks.domain.title import Title


class CreateTask(Command):
    task_id: TaskId
    owner: UserId
    title: Title


class TaskCreated(DomainEvent):
    task_id: TaskId
    title: Title
    owner: UserId


class TaskFinished(DomainEvent):
    task_id: TaskId
