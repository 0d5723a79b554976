"""The wiring: the adapters behind the ports. DATABASE defines where tasks, events and reminders are stored."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from attrs import frozen
from returns.result import Result, safe
from sqlalchemy import URL, MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import AsyncMediator, DomainError, InvalidMessage, MessageCodec, async_pipeline
from domainkit.adapters.sqlalchemy import (
    AsyncInbox,
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    Outbox,
    aggregate_table,
    inbox_table,
    make_async_engine,
    outbox_table,
)

from .domain import Reminder, Task, TaskCreated, TaskId
from .use_cases import CreateTask, TaskCreator, TaskReminder

DATABASE = "sqlite+aiosqlite:///{folder}/tasks.db"

CODEC = MessageCodec(TaskCreated)
METADATA = MetaData()
TASKS, REMINDERS = aggregate_table(METADATA, "tasks"), aggregate_table(METADATA, "reminders")
OUTBOX, INBOX = outbox_table(METADATA), inbox_table(METADATA)

read_command = safe(exceptions=(InvalidMessage,))(CreateTask.from_json)


@frozen
class TaskManager:
    """The program on one database: `handle` takes commands, `remind` takes events; each call is one transaction."""

    engine: AsyncEngine
    tasks: AsyncSqlCrudRepository[Task, TaskId]
    reminders: AsyncSqlCrudRepository[Reminder]
    handle: Callable[[bytes], Awaitable[Result[Task, DomainError]]]
    remind: Callable[[TaskCreated], Awaitable[Result[None, DomainError]]]


@asynccontextmanager
async def task_manager(database: str | URL) -> AsyncGenerator[TaskManager, None]:
    """Yield the program for a database; missing tables are created."""
    engine = make_async_engine(database)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
        yield wired(engine)
    finally:
        await engine.dispose()


def wired(engine: AsyncEngine) -> TaskManager:
    """Put the program together."""
    unit_of_work = AsyncUnitOfWork(engine, outbox=Outbox(OUTBOX, CODEC))
    tasks = AsyncSqlCrudRepository[Task, TaskId](Task, TASKS, unit_of_work)
    reminders = AsyncSqlCrudRepository[Reminder](Reminder, REMINDERS, unit_of_work)
    mediator = AsyncMediator(CreateTask.handled_by(TaskCreator(tasks)))
    handle = async_pipeline(read_command, unit_of_work.atomic(mediator.send))
    remind = AsyncInbox(INBOX, unit_of_work).once(TaskReminder(reminders), name="reminder")
    return TaskManager(engine, tasks, reminders, handle, remind)
