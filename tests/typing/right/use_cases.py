"""Use cases: calling one adds UnknownError to its errors, and its parameters are checked."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, assert_type

from attrs import frozen
from returns.result import Result, Success

from domainkit import AppService, AsyncUseCase, DomainError, Notifier, UnknownError, UseCase, use_case

from board import (
    DuplicateTask,
    NoPermission,
    Task,
    TaskId,
    TaskRepository,
    Title,
    UserId,
    notify_owner,
    open_task,
)


@frozen
class TaskFinder(AppService[[TaskId], Task, NoPermission]):
    tasks: TaskRepository

    def execute(self, task_id: TaskId) -> Result[Task, NoPermission]:
        return self.tasks.retrieve(task_id).alt(lambda _: NoPermission())


@frozen
class TaskCreator(UseCase[[Title, UserId], Task, DuplicateTask]):
    tasks: TaskRepository
    notifier: Notifier | None = None

    def execute(self, title: Title, owner: UserId) -> Result[Task, DuplicateTask]:
        return Success(Task(title, owner))


class Greet(UseCase[[str], str]):
    def execute(self, name: str) -> Result[str, DomainError]:
        return Success(f"Hello {name}")


class Bare(UseCase):
    def execute(self, name: str, *, loud: bool = False) -> Result[str, DomainError]:
        return Success(name)


class Nothing(UseCase[[], None, DuplicateTask]):
    def execute(self) -> Result[None, DuplicateTask]:
        return Success(None)


@frozen
class AsyncTaskCreator(AsyncUseCase[[Title], Task, DuplicateTask]):
    async def execute(self, title: Title) -> Result[Task, DuplicateTask]:
        return open_task(title)


def use(tasks: TaskRepository) -> None:
    assert_type(TaskFinder(tasks).execute(TaskId.v4()), Result[Task, NoPermission])
    creator = TaskCreator(tasks)
    assert_type(creator(Title("Buy milk"), UserId.v4()), Result[Task, DuplicateTask | UnknownError])
    assert_type(creator.execute(Title("Buy milk"), UserId.v4()), Result[Task, DuplicateTask])
    assert_type(Greet()("Ada"), Result[str, DomainError | UnknownError])
    assert_type(Nothing()(), Result[None, DuplicateTask | UnknownError])
    assert_type(Bare()("Ada", loud=True), Result[Any, DomainError | UnknownError])


@use_case
def rename(task: Task, title: Title, *, twice: bool = False) -> Result[Task, NoPermission]:
    return Success(task)


assert_type(rename(Task.create(Title("a")), Title("b"), twice=True), Result[Task, NoPermission | UnknownError])
assert_type(use_case(open_task)(Title("a")), Result[Task, DuplicateTask | UnknownError])
guarded: Callable[[Task], Coroutine[Any, Any, Result[UserId, NoPermission | UnknownError]]] = use_case(notify_owner)


async def use_async() -> None:
    assert_type(await AsyncTaskCreator()(Title("Buy milk")), Result[Task, DuplicateTask | UnknownError])
    assert_type(await AsyncTaskCreator().execute(Title("Buy milk")), Result[Task, DuplicateTask])
    assert_type(await use_case(notify_owner)(Task.create(Title("a"))), Result[UserId, NoPermission | UnknownError])


# a function of any use case takes each
def run_all(steps: Iterable[UseCase[[Title, UserId], object, DomainError]]) -> None:
    for step in steps:
        assert_type(step(Title("Buy milk"), UserId.v4()), Result[object, DomainError | UnknownError])


def use_any(creator: TaskCreator) -> None:
    run_all([creator])
