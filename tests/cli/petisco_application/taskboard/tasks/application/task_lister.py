from typing import List

from meiga import AnyResult, Error, Result, Success
from petisco import UseCase

from taskboard.shared.ids import UserId
from taskboard.tasks.domain.task_repository import TaskRepository


class TaskLister(UseCase):
    def __init__(self, tasks: TaskRepository) -> None:
        self._tasks = tasks

    def execute(self, owner: UserId, finished: bool = False) -> Result[List[str], Error]:
        tasks = self._tasks.of_owner(owner).unwrap_or_return()
        titles = [task.title for task in tasks if task.finished == finished]
        return Success([str(title.value) for title in titles])


def first_title(lister: TaskLister, owner: UserId) -> AnyResult:
    titles = lister.execute(owner, finished=True)
    return Success(titles.unwrap_or(["none"])[0])
