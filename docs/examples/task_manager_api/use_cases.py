"""What this API can do besides creating a task: find one, rename it, remove it."""

import attrs
from attrs import frozen
from returns.result import Result

from docs.examples.task_manager.domain import Task, TaskId, Title
from domainkit import AggregateNotFoundError, AggregateVersionConflictError, CrudRepository, UseCase, pipeline

NotRenamed = AggregateNotFoundError | AggregateVersionConflictError


@frozen
class TaskFinder(UseCase[[TaskId], Task, AggregateNotFoundError]):
    """Finds a task by its id."""

    tasks: CrudRepository[Task, TaskId]

    def execute(self, task_id: TaskId) -> Result[Task, AggregateNotFoundError]:
        """Return the task."""
        return self.tasks.retrieve(task_id)


@frozen
class TaskRenamer(UseCase[[TaskId, Title, int], Task, NotRenamed]):
    """Gives a task another title, unless somebody changed it since the version that the caller has seen."""

    tasks: CrudRepository[Task, TaskId]

    def execute(self, task_id: TaskId, title: Title, seen: int) -> Result[Task, NotRenamed]:
        """Return the task as it is stored then."""
        rename = pipeline(
            self.tasks.retrieve,
            lambda task: self.tasks.update(attrs.evolve(task, title=title, aggregate_version=seen)),
        )
        return rename(task_id)


@frozen
class TaskRemover(UseCase[[TaskId], None, AggregateNotFoundError]):
    """Removes a task."""

    tasks: CrudRepository[Task, TaskId]

    def execute(self, task_id: TaskId) -> Result[None, AggregateNotFoundError]:
        """Remove it."""
        return self.tasks.remove(task_id)
