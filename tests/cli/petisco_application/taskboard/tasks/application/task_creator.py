from meiga import BoolResult, Failure, isSuccess
from petisco import DomainEventBus, UseCase

from taskboard.shared.ids import TaskId, UserId
from taskboard.tasks.domain.task import Task
from taskboard.tasks.domain.task_repository import TaskRepository
from taskboard.tasks.domain.title import Title
from taskboard.users.application.user_finder import UserFinder


class TaskCreator(UseCase):
    def __init__(self, tasks: TaskRepository, finder: UserFinder, bus: DomainEventBus) -> None:
        self._tasks = tasks
        self._finder = finder
        self._bus = bus

    def execute(self, task_id: TaskId, owner: UserId, title: Title) -> BoolResult:
        found = self._finder.execute(owner)
        if found.is_failure:
            return Failure(found.value)
        task = Task.create(task_id, found.value.aggregate_id, title)
        self._tasks.save(task).unwrap_or_return()
        events = task.pull_domain_events()
        self._bus.publish(events)
        return isSuccess
