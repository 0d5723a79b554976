"""The application: commands, the use cases that handle them, and the reaction to events."""

from datetime import date, timedelta
from typing import TypeAlias

from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit import (
    AggregateAlreadyExistError,
    AsyncCrudRepository,
    AsyncUseCase,
    Command,
    Do,
    UnknownError,
    early_return,
)

from .domain import DueInThePast, DuplicateTask, Label, Reminder, Task, TaskCreated, TaskId, Title

NotCreated: TypeAlias = DueInThePast | DuplicateTask


@frozen
class CreateTask(Command[Task, NotCreated | UnknownError]):
    """Ask for a new task. The sender chooses the id, so that sending the command twice creates one task."""

    task_id: TaskId
    title: Title
    due: date | None = None
    labels: tuple[Label, ...] = ()


def plan(command: CreateTask) -> Result[Task, DueInThePast]:
    """Return the task that the command describes, unless its day was over when the command was given."""
    given_on = command.header.occurred_on.date()
    if command.due is not None and command.due < given_on:
        return Failure(DueInThePast(additional_info={"due": str(command.due), "given on": str(given_on)}))
    return Success(Task.create(command.task_id, command.title, command.due, command.labels))


@frozen
class TaskCreator(AsyncUseCase[[CreateTask], Task, NotCreated]):
    """Plans a task, and stores it with its recorded events; stops at the first failure."""

    tasks: AsyncCrudRepository[Task, TaskId]

    @early_return
    async def execute(self, do: Do[NotCreated], command: CreateTask) -> Task:
        """Return the stored task."""
        task = do(plan(command))
        saved = await self.tasks.save(task)
        return do(saved.alt(lambda _: DuplicateTask(uuid_value=str(task.aggregate_id))))


@frozen
class TaskReminder(AsyncUseCase[[TaskCreated], None, AggregateAlreadyExistError]):
    """Stores a reminder for the day before a new task is due."""

    reminders: AsyncCrudRepository[Reminder]

    async def execute(self, event: TaskCreated) -> Result[None, AggregateAlreadyExistError]:
        """Store a reminder if the task has a due date."""
        if event.due is None:
            return Success(None)
        saved = await self.reminders.save(Reminder(event.title, event.due - timedelta(days=1)))
        return saved.map(lambda _: None)
