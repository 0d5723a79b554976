"""Bodies of requests and responses: pydantic models with the value objects of the domain as fields."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field

from docs.examples.task_manager.domain import Label, Task, TaskId, Title


class NewTask(BaseModel):
    """A task to create. The client chooses the id, so that a repeated request creates one task."""

    task_id: TaskId
    title: Title
    due: date | None = None
    labels: tuple[Label, ...] = ()


class NewTitle(BaseModel):
    """A new title for a task, and the version of the task that the client has seen."""

    title: Title
    version: Annotated[int, Field(ge=1, strict=True)]


class TaskView(BaseModel):
    """A task in a response."""

    task_id: TaskId
    title: Title
    due: date | None
    labels: tuple[Label, ...]
    version: int

    @classmethod
    def of(cls, task: Task) -> "TaskView":
        """Return the view of a task."""
        return cls(
            task_id=task.aggregate_id,
            title=task.title,
            due=task.due,
            labels=task.labels,
            version=task.aggregate_version,
        )
