"""Handlers that do their work once for a message: what they return, and that handled_by takes them."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, assert_type

from returns.result import Failure, Result, Success
from sqlalchemy import MetaData

from domainkit import (
    AsyncHandler,
    AsyncSubscriber,
    Command,
    ConflictError,
    DomainError,
    Handler,
    OutcomeUnknownError,
    Subscriber,
)
from domainkit.adapters.sqlalchemy import (
    AsyncInbox,
    AsyncUnitOfWork,
    Inbox,
    UnitOfWork,
    inbox_table,
    make_async_engine,
    make_engine,
)

from board import CloseTask, DuplicateTask, TaskCreated, TaskId

table = inbox_table(MetaData())
inbox = Inbox(table, UnitOfWork(make_engine("sqlite://")))
async_inbox = AsyncInbox(table, AsyncUnitOfWork(make_async_engine("sqlite+aiosqlite://")))


class OpenTask(Command[TaskId | None, DuplicateTask | OutcomeUnknownError | ConflictError]): ...


def greet(event: TaskCreated) -> None: ...


def count(event: TaskCreated) -> Result[int, DuplicateTask]:
    return Success(1)


def open_task(command: OpenTask) -> Result[TaskId, DuplicateTask]:
    return Failure(DuplicateTask())


def close_task(command: CloseTask) -> Result[None, DomainError]:
    return Success(None)


async def greet_later(event: TaskCreated) -> None: ...


async def open_later(command: OpenTask) -> Result[TaskId, DuplicateTask]:
    return Failure(DuplicateTask())


assert_type(inbox.once(greet), Callable[[TaskCreated], Result[None, OutcomeUnknownError | ConflictError]])
assert_type(
    inbox.once(count), Callable[[TaskCreated], Result[int | None, DuplicateTask | OutcomeUnknownError | ConflictError]]
)
assert_type(
    inbox.once(open_task, name="open"),
    Callable[[OpenTask], Result[TaskId | None, DuplicateTask | OutcomeUnknownError | ConflictError]],
)
assert_type(
    async_inbox.once(greet_later),
    Callable[[TaskCreated], Coroutine[Any, Any, Result[None, OutcomeUnknownError | ConflictError]]],
)
assert_type(
    async_inbox.once(open_later, name="open"),
    Callable[
        [OpenTask], Coroutine[Any, Any, Result[TaskId | None, DuplicateTask | OutcomeUnknownError | ConflictError]]
    ],
)

assert_type(TaskCreated.handled_by(inbox.once(greet)), Subscriber[TaskCreated])
assert_type(TaskCreated.handled_by(inbox.once(count)), Subscriber[TaskCreated])
assert_type(CloseTask.handled_by(inbox.once(close_task)), Handler[CloseTask, None, DomainError])
assert_type(
    OpenTask.handled_by(inbox.once(open_task)),
    Handler[OpenTask, TaskId | None, DuplicateTask | OutcomeUnknownError | ConflictError],
)
assert_type(TaskCreated.handled_by(async_inbox.once(greet_later)), AsyncSubscriber[TaskCreated])
assert_type(
    OpenTask.handled_by(async_inbox.once(open_later)),
    AsyncHandler[OpenTask, TaskId | None, DuplicateTask | OutcomeUnknownError | ConflictError],
)
assert_type(inbox.clean(timedelta(days=14), batch=500), int)


async def clean() -> None:
    assert_type(await async_inbox.clean(timedelta(days=14)), int)
