"""What happens when something happened."""

from __future__ import annotations

from meiga import BoolResult, isSuccess
from petisco import Command, CommandSubscriber, DomainEvent, DomainEventSubscriber

from taskboard.tasks.application.task_creator import TaskCreator
from taskboard.tasks.domain.messages import CreateTask, TaskFinished
from taskboard.users.domain.events import UserCreated, UserRenamed


class CreateTaskOnCreateTask(CommandSubscriber):
    def __init__(self, creator: TaskCreator) -> None:
        self.creator = creator

    def subscribed_to(self) -> type[Command]:
        return CreateTask

    def handle(self, command: CreateTask) -> BoolResult:
        return self.creator.execute(command.task_id, command.owner, command.title)


class CountUsers(DomainEventSubscriber):
    """Both names count."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def subscribed_to(self) -> list[type[DomainEvent]]:
        return [UserCreated, UserRenamed]

    def handle(self, domain_event: UserCreated | UserRenamed) -> BoolResult:
        self.seen.append(f"{domain_event.get_message_name()} {domain_event.name.value}")
        return isSuccess


class PraiseOnTaskFinished(DomainEventSubscriber):
    def subscribed_to(self) -> list[type[DomainEvent]]:
        return [TaskFinished]

    def handle(self, domain_event: DomainEvent) -> BoolResult:
        print(f"{domain_event.get_message_name()}: well done")
        return isSuccess
