"""Use cases of this API besides creating a task: find one, rename it, remove it."""

import attrs
from attrs import frozen
from returns.result import Result

from docs.examples.task_manager.domain import Task, TaskId, Title
from domainkit import (
    AggregateNotFoundError,
    AggregateVersionConflictError,
    AsyncCrudRepository,
    AsyncUseCase,
    async_pipeline,
)

NotRenamed = AggregateNotFoundError | AggregateVersionConflictError


@frozen
class TaskFinder(AsyncUseCase[[TaskId], Task, AggregateNotFoundError]):
    """Finds a task by its id."""

    tasks: AsyncCrudRepository[Task, TaskId]

    async def execute(self, task_id: TaskId) -> Result[Task, AggregateNotFoundError]:
        """Return the task."""
        return await self.tasks.retrieve(task_id)


@frozen
class TaskRenamer(AsyncUseCase[[TaskId, Title, int], Task, NotRenamed]):
    """Renames a task, unless it has changed since the version that the caller has seen."""

    tasks: AsyncCrudRepository[Task, TaskId]

    async def execute(self, task_id: TaskId, title: Title, seen: int) -> Result[Task, NotRenamed]:
        """Return the stored task."""
        rename = async_pipeline(
            self.tasks.retrieve,
            lambda task: self.tasks.update(attrs.evolve(task, title=title, aggregate_version=seen)),
        )
        return await rename(task_id)


@frozen
class TaskRemover(AsyncUseCase[[TaskId], None, AggregateNotFoundError]):
    """Removes a task."""

    tasks: AsyncCrudRepository[Task, TaskId]

    async def execute(self, task_id: TaskId) -> Result[None, AggregateNotFoundError]:
        """Remove it."""
        return await self.tasks.remove(task_id)
