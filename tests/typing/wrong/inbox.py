"""Wrong code around inboxes: a type checker refuses each line marked `# wrong`, and no other."""

from collections.abc import Callable
from datetime import timedelta

from board import CloseTask, CreateTask, DuplicateTask, Task, TaskCreated, TaskId, TaskRenamed, Title, create_task
from returns.result import Result, Success
from sqlalchemy import MetaData

from domainkit import Command, ConflictError, DomainError, InmemoryDomainEventBus, Mediator, OutcomeUnknownError
from domainkit.adapters.sqlalchemy import (
    AsyncInbox,
    AsyncUnitOfWork,
    Inbox,
    UnitOfWork,
    inbox_table,
    make_async_engine,
    make_engine,
)

metadata = MetaData()
table = inbox_table(metadata)
unit_of_work = UnitOfWork(make_engine("sqlite://"))
async_unit = AsyncUnitOfWork(make_async_engine("sqlite+aiosqlite://"))
inbox = Inbox(table, unit_of_work)
async_inbox = AsyncInbox(table, async_unit)
event = TaskCreated(TaskId.v4(), Title("Buy milk"))


class OpenTask(Command[TaskId | None, DuplicateTask | OutcomeUnknownError | ConflictError]): ...


def greet(event: TaskCreated) -> None: ...
def greet_task(task: Task) -> None: ...
def greet_both(event: TaskCreated, language: str) -> None: ...
def count(event: TaskCreated) -> int:
    return 1


def open_task(command: OpenTask) -> Result[TaskId, DuplicateTask]:
    return Success(TaskId.v4())


def close_task(command: CloseTask) -> Result[None, DomainError]:
    return Success(None)


def forget_task(command: CloseTask) -> None: ...
async def forget_later(command: CloseTask) -> None: ...
async def greet_later(event: TaskCreated) -> None: ...
async def count_later(event: TaskCreated) -> int:
    return 1


async def open_later(command: OpenTask) -> Result[TaskId, DuplicateTask]:
    return Success(TaskId.v4())


Inbox("inbox", unit_of_work)  # wrong: a name is no table
Inbox(metadata, unit_of_work)  # wrong: the table of the metadata
Inbox(table)  # wrong: the unit of work is missing
Inbox(table, make_engine("sqlite://"))  # wrong: an engine is no unit of work
Inbox(table, async_unit)  # wrong: an async unit of work
AsyncInbox(table, unit_of_work)  # wrong: a sync unit of work
inbox_table("inbox")  # wrong: a name is no metadata
inbox.once(count)  # wrong: it returns neither None nor a Result
inbox.once(forget_task)  # wrong: the handler of a command returns a Result
async_inbox.once(forget_later)  # wrong: as above
inbox.once(greet_task)  # wrong: an aggregate is no message
inbox.once(greet_both)  # wrong: it takes more than the message
inbox.once(greet(event))  # wrong: what it returns is no function
inbox.once(name="greet")  # wrong: the handler is missing
inbox.once(greet, "greet")  # wrong: options are keyword-only
inbox.once(greet, name=TaskCreated)  # wrong: a class is no name
inbox.once(greet_later)  # wrong: an AsyncInbox awaits it
async_inbox.once(greet)  # wrong: an Inbox calls it
async_inbox.once(open_task)  # wrong: an Inbox calls it
async_inbox.once(count_later)  # wrong: it returns neither None nor a Result
inbox.once(TaskCreated.handled_by(greet))  # wrong: the function, not what is bound
inbox.once(greet)(event.task_id)  # wrong: an id is no message
inbox.once(greet)(TaskRenamed(event.task_id))  # wrong: another event
nothing: None = inbox.once(greet)(event)  # wrong: it is a Result
opened: TaskId | None = inbox.once(open_task)(OpenTask())  # wrong: it is a Result
narrow: Result[TaskId | None, DuplicateTask] = inbox.once(open_task)(OpenTask())  # wrong: the outcome may be unknown
always: Callable[[OpenTask], Result[TaskId, DuplicateTask | OutcomeUnknownError | ConflictError]] = inbox.once(open_task)  # wrong: None, where it was handled before
TaskRenamed.handled_by(inbox.once(greet))  # wrong: it takes another event
TaskRenamed.handled_by(async_inbox.once(greet_later))  # wrong: it takes another event
OpenTask.handled_by(inbox.once(close_task))  # wrong: it takes another command
CreateTask.handled_by(inbox.once(create_task))  # wrong: the command names neither None nor an unknown outcome
Mediator(OpenTask.handled_by(async_inbox.once(open_later)))  # wrong: an AsyncMediator awaits it
InmemoryDomainEventBus(inbox.once(greet))  # wrong: a bare function is no subscriber
InmemoryDomainEventBus(TaskCreated.handled_by(async_inbox.once(greet_later)))  # wrong: an async bus awaits it
inbox.clean()  # wrong: how old is missing
inbox.clean(14)  # wrong: a timedelta
inbox.clean(timedelta(days=14), 500)  # wrong: options are keyword-only
inbox.clean(timedelta(days=14), batch=None)  # wrong: an int
inbox.clean(timedelta(days=14)).unwrap()  # wrong: an int is no Result


async def use() -> None:
    await inbox.once(greet)(event)  # wrong: it is not async
    await inbox.clean(timedelta(days=14))  # wrong: it is not async
    async_inbox.clean(timedelta(days=14))  # wrong: it is not awaited
    async_inbox.once(greet_later)(event)  # wrong: it is not awaited
    async_inbox.once(open_later)(OpenTask()).unwrap()  # wrong: it is not awaited
    await async_inbox.once(open_later)(event)  # wrong: another message
    found: TaskId | None = await async_inbox.once(open_later)(OpenTask())  # wrong: it is a Result
    marks: int = async_inbox.clean(timedelta(days=14))  # wrong: it is not awaited
