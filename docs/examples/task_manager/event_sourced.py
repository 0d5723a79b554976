"""The same program on events: a task is a fold of its events, and the list of tasks is a fold of all events."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from attrs import frozen
from returns.result import Failure, Result, Success
from sqlalchemy import URL, Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import (
    AsyncEventSourced,
    Decider,
    DomainError,
    MessageCodec,
    UnreadableEvent,
    async_pipeline,
    projection,
)
from domainkit.adapters.sqlalchemy import (
    AsyncInbox,
    AsyncSqlCrudRepository,
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Outbox,
    events_table,
    make_async_engine,
)

from .domain import DuplicateTask, Reminder, Task, TaskCreated
from .use_cases import CreateTask, NotCreated, TaskReminder, plan
from .wiring import CODEC, INBOX, METADATA, OUTBOX, REMINDERS, read_command

EVENTS_METADATA = MetaData()
EVENTS = events_table(EVENTS_METADATA, "task_events")


def create_task(command: CreateTask, task: Task | None) -> Result[Sequence[TaskCreated], NotCreated]:
    """Return the event of a new task, or a Failure if the task exists already or its day was over."""
    planned = plan(command)
    if isinstance(planned, Failure):
        return planned
    if task is not None:
        return Failure(DuplicateTask(uuid_value=str(command.task_id)))
    return Success([TaskCreated(command.task_id, command.title, command.due, command.labels)])


def created(event: TaskCreated) -> Task:
    """Return the task that an event created."""
    return Task(event.title, event.due, event.labels, aggregate_id=event.task_id)


TASK: Decider[CreateTask, Task | None, TaskCreated, NotCreated] = Decider(
    create_task, lambda _, event: created(event), None
)

ALL_TASKS = projection(tuple[Task, ...]()).on(TaskCreated, lambda tasks, event: (*tasks, created(event)))


@frozen
class TaskList:
    """The list of all tasks, folded from all events."""

    store: AsyncSqlEventStore[TaskCreated]

    async def retrieve_all(self) -> Result[tuple[Task, ...], UnreadableEvent]:
        """Return all tasks, in the order in which they were created; a Failure if an event can't be read."""
        tasks = ALL_TASKS.initial
        for one in await self.store.read_all():
            if isinstance(one, UnreadableEvent):
                return Failure(one)
            tasks = ALL_TASKS.evolve(tasks, one.event)
        return Success(tasks)


@frozen
class EventSourcedTaskManager:
    """The program on one database: `handle` takes commands, `remind` takes events; each call is one transaction."""

    engine: AsyncEngine
    tasks: TaskList
    reminders: AsyncSqlCrudRepository[Reminder]
    handle: Callable[[bytes], Awaitable[Result[Task | None, DomainError]]]
    remind: Callable[[TaskCreated], Awaitable[Result[None, DomainError]]]


@asynccontextmanager
async def event_sourced_task_manager(database: str | URL) -> AsyncGenerator[EventSourcedTaskManager, None]:
    """Yield the program for a database; missing tables are created."""
    engine = make_async_engine(database)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_create_tables)
        yield wired(engine)
    finally:
        await engine.dispose()


def _create_tables(connection: Connection) -> None:
    METADATA.create_all(connection, tables=[REMINDERS, OUTBOX, INBOX])
    EVENTS_METADATA.create_all(connection)


def wired(engine: AsyncEngine) -> EventSourcedTaskManager:
    """Put the program together."""
    unit_of_work = AsyncUnitOfWork(engine, outbox=Outbox(OUTBOX, CODEC))
    store = AsyncSqlEventStore(unit_of_work, EVENTS, MessageCodec.of(TaskCreated))
    reminders = AsyncSqlCrudRepository[Reminder](Reminder, REMINDERS, unit_of_work)
    tasks = AsyncEventSourced(TASK, store, stream=lambda command: command.task_id)
    handle = async_pipeline(read_command, unit_of_work.atomic(tasks.handle))
    remind = AsyncInbox(INBOX, unit_of_work).once(TaskReminder(reminders), name="reminder")
    return EventSourcedTaskManager(engine, TaskList(store), reminders, handle, remind)
