from abc import abstractmethod
from typing import List

from meiga import BoolResult, NotImplementedMethodError, Result
from petisco import DomainError, Repository

from taskboard.shared.ids import TaskId, UserId
from taskboard.tasks.domain.errors import TaskNotFound
from taskboard.tasks.domain.task import Task


class TaskRepository(Repository):
    @abstractmethod
    def save(self, task: Task) -> BoolResult:
        return NotImplementedMethodError

    @abstractmethod
    def retrieve(self, task_id: TaskId) -> Result[Task, TaskNotFound]:
        return NotImplementedMethodError

    @abstractmethod
    def of_owner(self, owner: UserId) -> Result[List[Task], DomainError]:
        raise NotImplementedError
