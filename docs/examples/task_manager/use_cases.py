"""The application: what can be asked for, and how it is done."""

from datetime import date
from typing import TypeAlias

from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit import BusCannotPublish, Command, CrudRepository, DomainEventBus, UnknownError, UseCase, pipeline

from .domain import DueInThePast, DuplicateTask, Label, Task, TaskId, Title

NotCreated: TypeAlias = DueInThePast | DuplicateTask | BusCannotPublish


@frozen
class CreateTask(Command[Task, NotCreated | UnknownError]):
    """Asks for a new task. The one who asks chooses the id, so that asking twice makes one task."""

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
class TaskCreator(UseCase[[CreateTask], Task, NotCreated]):
    """Plans a task, stores it, publishes what happened: three steps, and the first failure ends it."""

    tasks: CrudRepository[Task, TaskId]
    bus: DomainEventBus

    def execute(self, command: CreateTask) -> Result[Task, NotCreated]:
        """Return the stored task."""
        return pipeline(plan, self.store, lambda task: self.publish(task, command))(command)

    def store(self, task: Task) -> Result[Task, DuplicateTask]:
        """Store a task that isn't there yet."""
        return self.tasks.save(task).alt(lambda _: DuplicateTask(uuid_value=str(task.aggregate_id)))

    def publish(self, task: Task, command: CreateTask) -> Result[Task, BusCannotPublish]:
        """Publish what the task has recorded, and say what caused it."""
        events, task = task.pull_domain_events()
        return self.bus.publish(event.caused_by(command) for event in events).map(lambda _: task)
