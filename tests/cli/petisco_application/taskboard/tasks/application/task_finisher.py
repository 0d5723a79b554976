from meiga import Error, Failure, Result, Success
from petisco import DomainEventBus, UseCase

from taskboard.shared.ids import TaskId, UserId
from taskboard.tasks.domain.errors import NotYourTask, TaskAlreadyFinished
from taskboard.tasks.domain.task import Task
from taskboard.tasks.domain.task_repository import TaskRepository


class TaskFinisher(UseCase):
    def __init__(self, tasks: TaskRepository, bus: DomainEventBus) -> None:
        self._tasks = tasks
        self._bus = bus

    def execute(self, task_id: TaskId, user_id: UserId) -> Result[Task, Error]:
        task = self._tasks.retrieve(task_id).unwrap_or_return()
        if task.owner != user_id:
            return Failure(NotYourTask(task_id.value))
        if task.finished:
            return Failure(TaskAlreadyFinished(uuid_value=task_id.value))
        task.finish_in_a_hurry()
        task_saved = self._tasks.save(task)
        if task_saved.is_success:
            self._bus.publish(task.pull_domain_events())
            return Success(task)
        else:
            return Failure(task_saved.value)
