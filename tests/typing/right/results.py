"""Pipelines: the error type is the union of what the steps can fail with, whatever kind of function a step is."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, assert_type

from returns.result import Failure, Result, Success

from domainkit import (
    AsyncUseCase,
    Do,
    DomainError,
    InvalidValueObject,
    UnknownError,
    UseCase,
    async_pipeline,
    collect,
    collect_async,
    early_return,
    fold,
    mapped,
    pipeline,
    recover,
    tap,
    together,
    together_async,
    use_case,
)

from board import (
    DuplicateTask,
    NoPermission,
    Task,
    TaskClosed,
    Title,
    UserId,
    check_owner,
    close_task,
    notify_owner,
    open_task,
    parse_title,
)


def len_of_title(title: Title) -> int:
    return len(title.value)


def first_of(both: tuple[Task, int]) -> Task:
    return both[0]


# functions
assert_type(pipeline(open_task), Callable[[Title], Result[Task, DuplicateTask]])
assert_type(pipeline(open_task, close_task), Callable[[Title], Result[Task, DuplicateTask | TaskClosed]])
assert_type(
    pipeline(open_task, close_task, check_owner),
    Callable[[Title], Result[Task, DuplicateTask | TaskClosed | NoPermission]],
)
assert_type(pipeline(parse_title, open_task)("Buy milk"), Result[Task, DomainError | DuplicateTask])

# one error type that several steps have stays one
assert_type(pipeline(close_task, close_task, close_task), Callable[[Task], Result[Task, TaskClosed]])

# a pipeline is a step, so that there is no limit
whole = pipeline(pipeline(open_task, close_task), check_owner)
assert_type(whole, Callable[[Title], Result[Task, DuplicateTask | TaskClosed | NoPermission]])


# a lambda's parameter has the type that the step before returns
assert_type(
    pipeline(open_task, lambda task: check_owner(task), lambda task: close_task(task))(Title("Buy milk")),
    Result[Task, DuplicateTask | NoPermission | TaskClosed],
)
assert_type(pipeline(open_task, lambda task: parse_title(task.title.value.upper()))(Title("Buy milk")).unwrap(), Title)


# bound methods, class methods and partial functions
class Desk:
    def approve(self, task: Task) -> Result[Task, NoPermission]:
        return Failure(NoPermission())

    @classmethod
    def sign(cls, task: Task) -> Result[UserId, NoPermission]:
        return Failure(NoPermission())


def assign(owner: UserId, task: Task) -> Result[Task, TaskClosed]:
    return Success(task)


desk = Desk()
assert_type(
    pipeline(open_task, desk.approve, Desk.sign), Callable[[Title], Result[UserId, DuplicateTask | NoPermission]]
)
assert_type(
    pipeline(open_task, partial(assign, UserId.v4()))(Title("Buy milk")), Result[Task, DuplicateTask | TaskClosed]
)

# a use case is a step
assert_type(
    pipeline(use_case(open_task), close_task),
    Callable[[Title], Result[Task, DuplicateTask | UnknownError | TaskClosed]],
)


# twelve steps
class E1(DomainError): ...


class E12(DomainError): ...


def first(number: int) -> Result[int, E1]:
    return Success(number)


def last(number: int) -> Result[str, E12]:
    return Success(str(number))


assert_type(
    pipeline(first, first, first, first, first, first, first, first, first, first, first, last)(1),
    Result[str, E1 | E12],
)


# async
async def check() -> None:
    assert_type(
        async_pipeline(open_task, notify_owner),
        Callable[[Title], Coroutine[None, None, Result[UserId, DuplicateTask | NoPermission]]],
    )
    assert_type(
        await async_pipeline(parse_title, open_task, notify_owner)("Buy milk"),
        Result[UserId, DomainError | DuplicateTask | NoPermission],
    )
    assert_type(await async_pipeline(notify_owner)(Task.create(Title("Buy milk"))), Result[UserId, NoPermission])
    assert_type(await async_pipeline(open_task, close_task)(Title("x")), Result[Task, DuplicateTask | TaskClosed])
    assert_type(await async_pipeline(open_task, desk.approve)(Title("x")), Result[Task, DuplicateTask | NoPermission])
    several = async_pipeline(open_task, lambda task: notify_owner(task), lambda user: parse_title(user.to_uuid().hex))
    assert_type(await several(Title("x")), Result[Title, DuplicateTask | NoPermission | DomainError])


# a match keeps the types where the pattern has the class: mypy takes what a bare `Success(task)` holds for Any
def matched(result: Result[Task, DuplicateTask | TaskClosed]) -> None:
    match result:
        case Success(Task() as task):
            assert_type(task, Task)
        case Failure(DuplicateTask() as duplicate):
            assert_type(duplicate, DuplicateTask)
        case Failure(TaskClosed() as closed):
            assert_type(closed, TaskClosed)
        case _:
            raise AssertionError


# fold and collect
def title_of(task: Task) -> str:
    return task.title.value


def reason_of(error: DomainError) -> str:
    return error.detail()


opened = open_task(Title("Buy milk"))
assert_type(fold(opened, title_of, reason_of), str)
assert_type(fold(opened, lambda task: task.aggregate_version, lambda error: len(error.detail())), int)
assert_type(collect([opened, opened]), Result[tuple[Task, ...], tuple[DuplicateTask, ...]])
assert_type(collect(Title.parse(raw) for raw in ("a", 5)), Result[tuple[Title, ...], tuple[InvalidValueObject, ...]])
assert_type(collect([opened]).unwrap()[0], Task)
assert_type(collect([opened]).failure()[0], DuplicateTask)

# with the containers of returns themselves
assert_type(opened.map(title_of), Result[str, DuplicateTask])
assert_type(opened.alt(reason_of), Result[Task, str])
assert_type(opened.map(pipeline(close_task)).unwrap(), Result[Task, TaskClosed])
nothing: Callable[[Any], Result[Any, Any]] = pipeline(open_task)


# a step for its effect, and recovery that removes an error
def show(task: Task) -> None: ...
def reopen(error: DuplicateTask | TaskClosed) -> Result[Task, TaskClosed]:
    return Success(Task.create(Title("again"))) if isinstance(error, DuplicateTask) else Failure(error)


assert_type(pipeline(open_task, tap(show), close_task)(Title("x")), Result[Task, DuplicateTask | TaskClosed])
assert_type(pipeline(open_task, tap(check_owner))(Title("x")), Result[Task, DuplicateTask | NoPermission])
assert_type(recover(pipeline(open_task, close_task), reopen)(Title("x")), Result[Task, TaskClosed])


async def gather(tasks: list[Task]) -> None:
    assert_type(
        await collect_async(notify_owner(task) for task in tasks), Result[tuple[UserId, ...], tuple[NoPermission, ...]]
    )


# several values: steps beside one another, and an early return
both = together(open_task, mapped(len_of_title))
assert_type(both(Title("x")), Result[tuple[Task, int], DuplicateTask])
assert_type(pipeline(both, mapped(first_of))(Title("x")), Result[Task, DuplicateTask])
assert_type(
    together(open_task, open_task, mapped(len_of_title))(Title("x")), Result[tuple[Task, Task, int], DuplicateTask]
)


async def side_by_side(task: Task) -> None:
    assert_type(await together_async(notify_owner(task)), Result[tuple[UserId], NoPermission])
    loaded = await together_async(notify_owner(task), reopen_later(task), use_case(notify_owner)(task))
    assert_type(loaded, Result[tuple[UserId, Task, UserId], NoPermission | TaskClosed | UnknownError])
    six = await together_async(
        notify_owner(task), reopen_later(task), notify_owner(task), asyncio.ensure_future(reopen_later(task)),
        notify_owner(task), AsyncCounter()(task),
    )  # fmt: skip
    assert_type(
        six,
        Result[
            tuple[UserId, Task, UserId, Task, UserId, int], NoPermission | TaskClosed | DuplicateTask | UnknownError
        ],
    )
    step = async_pipeline(open_task, lambda task: together_async(notify_owner(task), reopen_later(task)))
    assert_type(await step(Title("x")), Result[tuple[UserId, Task], DuplicateTask | NoPermission | TaskClosed])


async def reopen_later(task: Task) -> Result[Task, TaskClosed]:
    return Success(task)


class AsyncCounter(AsyncUseCase[[Task], int, DuplicateTask]):
    async def execute(self, task: Task) -> Result[int, DuplicateTask]:
        return Success(1)


@early_return
async def told_both(do: Do[NoPermission | TaskClosed], task: Task) -> UserId:
    owner, _ = do(await together_async(notify_owner(task), reopen_later(task)))
    return owner


@early_return
def reopened(do: Do[DuplicateTask | TaskClosed], title: Title, *, twice: bool = False) -> str:
    task = do(open_task(title))
    assert_type(task, Task)
    return do(close_task(task)).title.value


@early_return
async def told(do: Do[DuplicateTask], title: Title) -> Task:
    return do(await pause_of(do(open_task(title))))


async def pause_of(task: Task) -> Result[Task, DuplicateTask]:
    return Success(task)


class Closer(UseCase[[Title], str, DuplicateTask | TaskClosed]):
    @early_return
    def execute(self, do: Do[DuplicateTask | TaskClosed], title: Title) -> str:
        return do(close_task(do(open_task(title)))).title.value


class AsyncCloser(AsyncUseCase[[Title], Task, DuplicateTask]):
    @early_return
    async def execute(self, do: Do[DuplicateTask], title: Title) -> Task:
        return do(await pause_of(do(open_task(title))))


async def called() -> None:
    assert_type(reopened(Title("x"), twice=True), Result[str, DuplicateTask | TaskClosed])
    assert_type(await told(Title("x")), Result[Task, DuplicateTask])
    assert_type(Closer()(Title("x")), Result[str, DuplicateTask | TaskClosed | UnknownError])
    assert_type(await AsyncCloser()(Title("x")), Result[Task, DuplicateTask | UnknownError])
    assert_type(pipeline(early_return(reopening), mapped(len_of_title))(Title("x")), Result[int, DuplicateTask])


def reopening(do: Do[DuplicateTask], title: Title) -> Title:
    return do(open_task(title)).title
