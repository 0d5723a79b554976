"""A day on the board: what the application does, as lines to print."""

import asyncio
from typing import List

from petisco import InvalidUuid, InvalidValueObject, NotImplementedDomainEventBus, NotImplementedNotifier

from taskboard.shared.ids import TaskId, UserId
from taskboard.tasks.application.subscribers import CountUsers, CreateTaskOnCreateTask, PraiseOnTaskFinished
from taskboard.tasks.application.task_creator import TaskCreator
from taskboard.tasks.application.task_finisher import TaskFinisher
from taskboard.tasks.application.task_lister import TaskLister, first_title
from taskboard.tasks.application.user_greeter import UserGreeter
from taskboard.tasks.domain.messages import CreateTask, TaskFinished
from taskboard.tasks.domain.title import Title
from taskboard.tasks.infrastructure.inmemory_task_repository import InmemoryTaskRepository
from taskboard.users.application.user_creator import UserCreator
from taskboard.users.application.user_finder import UserFinder
from taskboard.users.application.user_renamer import UserRenamer
from taskboard.users.domain.email import Email
from taskboard.users.domain.events import UserCreated, UserRenamed
from taskboard.users.domain.name import Name
from taskboard.users.infrastructure.inmemory_user_repository import InmemoryUserRepository

ADA = UserId("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")
BOB = UserId("b7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")
TASK = TaskId("c7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")


def users() -> List[str]:
    repository, bus = InmemoryUserRepository(), NotImplementedDomainEventBus()
    creator = UserCreator(repository, bus)
    created = creator.execute(ADA, Name("Ada"), Email("ada@example.org"))
    again = creator.execute(ADA, Name("Ada"), Email("other@example.org"))
    taken = creator.execute(BOB, Name("Bob"), Email("ada@example.org"))
    renamed = UserRenamer(repository, bus).execute(ADA, Name("Countess"))
    lost = UserRenamer(repository, bus).execute(BOB, Name("Robert"))
    ada = UserFinder(repository).execute(ADA).unwrap_or_return()
    lines = [f"{result.is_success}" for result in (created, again, taken, renamed, lost)]
    if taken.is_failure:
        lines.append(f"{taken.value}")
    if lost.is_failure:
        lines.append(f"{lost.value.uuid_value}")
    return [*lines, f"{ada.name.value} {ada.name.initial()} {ada.renamed} {ada.aggregate_id.value}"]


def tasks() -> List[str]:
    repository, bus = InmemoryUserRepository(), NotImplementedDomainEventBus()
    UserCreator(repository, bus).execute(ADA, Name("Ada"), Email("ada@example.org"))
    board = InmemoryTaskRepository()
    creator = TaskCreator(board, UserFinder(repository), bus)
    finisher = TaskFinisher(board, bus)
    asked = CreateTaskOnCreateTask(creator).handle(CreateTask(task_id=TASK, owner=ADA, title=Title("Buy milk")))
    lines = [f"{asked.is_success}"]
    refused = finisher.execute(TASK, BOB)
    lines.extend([f"{refused.value}"] if refused.is_failure else [])
    finished = finisher.execute(TASK, ADA)
    if finished.is_success:
        lines.append(f"{finished.value.finished} {finished.value.priority.value}")
    lines.append(f"{finisher.execute(TASK, ADA).is_failure}")
    found = TaskLister(board).execute(ADA, finished=True)
    lines.extend(found.unwrap_or(["none"]))
    lines.append(f"{first_title(TaskLister(board), ADA).is_success}")
    return lines


def others() -> List[str]:
    counter = CountUsers()
    counter.handle(UserCreated(user_id=ADA, name=Name("Ada")))
    counter.handle(UserRenamed(user_id=ADA, name=Name("Countess")))
    lines = [*counter.seen, f"{PraiseOnTaskFinished().handle(TaskFinished(task_id=TASK)).is_success}"]
    lines.append(f"{asyncio.run(UserGreeter(NotImplementedNotifier()).execute(Name('Ada'))).is_success}")
    lines.append(f"{UserRenamed.info().name} {UserRenamed.info().version}")
    try:
        lines.append(Name("").value)
    except InvalidValueObject as error:
        lines.append(f"{type(error).__name__}")
    try:
        lines.append(UserId("no id").value)
    except InvalidUuid as error:
        lines.append(f"{type(error).__name__}")
    return lines


if __name__ == "__main__":
    print("\n".join([*users(), *tasks(), *others()]))
