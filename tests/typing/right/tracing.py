"""Traces that follow a message: the types of handlers stay as they are."""

from collections.abc import Callable
from typing import assert_type

from returns.result import Result, Success
from sqlalchemy import MetaData

from domainkit import AsyncHandler, AsyncMessagePublisher, AsyncSubscriber, Handler, MessageCodec, Subscriber
from domainkit.adapters.opentelemetry import TracedMessagePublisher, trace_context, traced, with_trace_context
from domainkit.adapters.sqlalchemy import Outbox, outbox_table

from board import CreateTask, DuplicateTask, TaskCreated, TaskId, Title, create_task

event = TaskCreated(TaskId.v4(), Title("Buy milk"))
outbox = Outbox(outbox_table(MetaData()), MessageCodec(TaskCreated), meta=trace_context)
assert_type(with_trace_context(event), TaskCreated)
assert_type(event.add_meta(trace_context()), TaskCreated)


def greet(event: TaskCreated) -> None: ...


async def greet_later(event: TaskCreated) -> None: ...


async def create_later(command: CreateTask) -> Result[TaskId, DuplicateTask]:
    return Success(TaskId.v4())


assert_type(traced(create_task), Callable[[CreateTask], Result[TaskId, DuplicateTask]])
assert_type(TaskCreated.handled_by(traced(greet)), Subscriber[TaskCreated])
assert_type(TaskCreated.handled_by(traced(greet_later)), AsyncSubscriber[TaskCreated])
assert_type(CreateTask.handled_by(traced(create_task)), Handler[CreateTask, TaskId, DuplicateTask])
assert_type(CreateTask.handled_by(traced(create_later)), AsyncHandler[CreateTask, TaskId, DuplicateTask])


async def later(command: CreateTask) -> None:
    assert_type(await traced(greet_later, system="rabbitmq")(event), None)
    assert_type(await traced(create_later)(command), Result[TaskId, DuplicateTask])


def publisher(inner: AsyncMessagePublisher) -> AsyncMessagePublisher:
    return TracedMessagePublisher(inner, system="rabbitmq", destination="acme.tasks")
