from datetime import datetime

from petisco import AggregateRoot
from pydantic import Field

from taskboard.shared.clock import now
from taskboard.shared.ids import TaskId, UserId
from taskboard.tasks.domain.messages import TaskCreated, TaskFinished
from taskboard.tasks.domain.priority import Priority
from taskboard.tasks.domain.title import Title


class Task(AggregateRoot):
    aggregate_id: TaskId
    created_at: datetime = Field(default_factory=now)
    finished: bool = Field(default=False)
    title: Title
    owner: UserId
    priority: Priority = Priority(3)

    @classmethod
    def create(cls, task_id: TaskId, owner: UserId, title: Title) -> "Task":
        task = cls(aggregate_id=task_id, owner=owner, title=title)
        task.record(TaskCreated(task_id=task_id, title=title, owner=owner))
        return task

    def finish(self) -> None:
        self.finished = True
        self.record(TaskFinished(task_id=self.aggregate_id))

    def hurry(self) -> None:
        """It can't wait."""
        if not self.priority.is_urgent():
            self.priority = Priority(value=self.priority.value - 1)

    def finish_in_a_hurry(self) -> None:
        self.hurry()
        self.finish()
