"""Wrong code around use cases: a type checker refuses each line marked `# wrong`, and no other."""

from board import DuplicateTask, NoPermission, Task, TaskClosed, TaskId, Title, UserId, notify_owner, open_task
from returns.result import Failure, Result, Success

from domainkit import AppService, AsyncUseCase, DomainError, UnknownError, UseCase, use_case


class Create(UseCase[[Title], Task, DuplicateTask]):
    def execute(self, title: Title) -> Result[Task, DuplicateTask]:
        return open_task(title)


class CreateFor(UseCase[[Title], Task, DuplicateTask]):
    def execute(self, title: UserId) -> Result[Task, DuplicateTask]:  # wrong: other parameters
        return Failure(DuplicateTask())


class CreateId(UseCase[[Title], Task, DuplicateTask]):
    def execute(self, title: Title) -> Result[TaskId, DuplicateTask]:  # wrong: another value
        return Success(TaskId.v4())


class CreateOrClose(UseCase[[Title], Task, DuplicateTask]):
    def execute(self, title: Title) -> Result[Task, DuplicateTask | TaskClosed]:  # wrong: an error more
        return open_task(title)


class Later(AsyncUseCase[[Title], Task, DuplicateTask]):
    def execute(self, title: Title) -> Result[Task, DuplicateTask]:  # wrong: no coroutine function
        return open_task(title)


class Find(AppService[[TaskId], Task, NoPermission]):
    def execute(self, task_id: UserId) -> Result[Task, NoPermission]:  # wrong: other parameters
        return Failure(NoPermission())


class Wrong(UseCase[[Title], Task, DuplicateTask]):
    def execute(self, title: Title) -> Result[Task, DuplicateTask]:
        return Failure(NoPermission())  # wrong: another error


class Empty(UseCase[[Title], Task, DuplicateTask]): ...


class Steady(AsyncUseCase[[Title], Task, DuplicateTask]):
    async def execute(self, title: Title) -> Result[Task, DuplicateTask]:
        return open_task(title)


title = Title("Buy milk")
Empty()  # wrong: execute is missing
Create()("Buy milk")  # wrong: a str is no Title
Create()()  # wrong: the title is missing
Create()(title, title)  # wrong: one parameter
Create().execute("Buy milk")  # wrong: a str is no Title
unguarded: Result[Task, DuplicateTask] = Create()(title)  # wrong: UnknownError is not handled
other: Result[TaskId, DuplicateTask | UnknownError] = Create()(title)  # wrong: it is a Task
waited: Result[Task, DuplicateTask | UnknownError] = Steady()(title)  # wrong: it is not awaited


def plain(title: Title) -> Task:
    return Task.create(title)


use_case(plain)  # wrong: it returns no Result
use_case(open_task)("Buy milk")  # wrong: a str is no Title
use_case(notify_owner)(title)  # wrong: it takes a Task
handled: Result[Task, DuplicateTask] = use_case(open_task)(title)  # wrong: UnknownError is not handled


@use_case
def half(number: int) -> Result[int, DomainError]:
    return Success(number // 2)


half("8")  # wrong: a str is no int
half(8).unwrap().upper()  # wrong: an int has no upper
half(number=8, exact=True)  # wrong: one parameter
