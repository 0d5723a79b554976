from typing import Dict, List

from meiga import BoolResult, Failure, Result, Success, isSuccess
from petisco import DomainError

from taskboard.shared.ids import TaskId, UserId
from taskboard.tasks.domain.errors import TaskNotFound
from taskboard.tasks.domain.task import Task
from taskboard.tasks.domain.task_repository import TaskRepository


class InmemoryTaskRepository(TaskRepository):
    def __init__(self) -> None:
        self.tasks: Dict[TaskId, Task] = {}

    def save(self, task: Task) -> BoolResult:
        self.tasks[task.aggregate_id] = task
        return isSuccess

    def retrieve(self, task_id: TaskId) -> Result[Task, TaskNotFound]:
        task = self.tasks.get(task_id)
        return Success(task) if task else Failure(TaskNotFound(uuid_value=task_id.value))

    def of_owner(self, owner: UserId) -> Result[List[Task], DomainError]:
        return Success([task for task in self.tasks.values() if task.owner == owner])
