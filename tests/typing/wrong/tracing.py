"""Wrong code around traces: a type checker refuses each line marked `# wrong`, and no other."""

from board import CreateTask, DuplicateTask, Task, TaskCreated, TaskId, TaskRenamed, Title, UserId, create_task
from opentelemetry.trace import NoOpTracer, NoOpTracerProvider
from returns.result import Result, Success
from sqlalchemy import MetaData

from domainkit import AsyncMessagePublisher, InmemoryDomainEventBus, Mediator, MessageCodec, OutgoingMessage, Subscriber
from domainkit.adapters.opentelemetry import TracedMessagePublisher, trace_context, traced, with_trace_context
from domainkit.adapters.sqlalchemy import Outbox, outbox_table

event, command = TaskCreated(TaskId.v4(), Title("Buy milk")), CreateTask(Title("Buy milk"))
table, codec = outbox_table(MetaData()), MessageCodec(TaskCreated)


def greet(event: TaskCreated) -> None: ...
def greet_task(task: Task) -> None: ...
def greet_both(event: TaskCreated, language: str) -> None: ...
def count(event: TaskCreated) -> int:
    return 1


async def greet_later(event: TaskCreated) -> None: ...
async def create_later(command: CreateTask) -> Result[TaskId, DuplicateTask]:
    return Success(TaskId.v4())


async def create_user_later(command: CreateTask) -> Result[UserId, DuplicateTask]:
    return Success(UserId.v4())


trace_context(event)  # wrong: it takes nothing
trace_context().add_meta(event)  # wrong: a dict is no message
event.add_meta(trace_context)  # wrong: it is not called
Outbox(table, codec, meta=trace_context())  # wrong: a function, called for each message
Outbox(table, codec, meta=with_trace_context)  # wrong: it takes a message
Outbox(table, codec, meta=lambda: {"task": event.task_id})  # wrong: an id is no JSON value
with_trace_context()  # wrong: the message is missing
with_trace_context(TaskCreated)  # wrong: a class is no message
with_trace_context(event.task_id)  # wrong: an id is no message
renamed: TaskRenamed = with_trace_context(event)  # wrong: another event
traced(greet_task)  # wrong: an aggregate is no message
traced(greet_both)  # wrong: it takes more than the message
traced(greet(event))  # wrong: what it returns is no function
traced(TaskCreated.handled_by(greet))  # wrong: the function, not what is bound
traced(system="rabbitmq")  # wrong: the handler is missing
traced(greet, "rabbitmq")  # wrong: options are keyword-only
traced(greet, system=None)  # wrong: a text
traced(greet, destination=table)  # wrong: a text
traced(greet, tracer_provider=NoOpTracer())  # wrong: a tracer is no provider
traced(greet_later, tracer_provider=NoOpTracerProvider)  # wrong: a class is no provider
traced(greet)(event.task_id)  # wrong: an id is no message
traced(greet)(TaskRenamed(event.task_id))  # wrong: another event
traced(create_task)(event)  # wrong: it takes a command
found: TaskId = traced(create_task)(command)  # wrong: it is a Result
narrow: Result[UserId, DuplicateTask] = traced(create_task)(command)  # wrong: another value
TaskRenamed.handled_by(traced(greet))  # wrong: it takes another event
TaskCreated.handled_by(traced(count))  # wrong: it returns neither None nor a Result
CreateTask.handled_by(traced(create_user_later))  # wrong: it returns another value
sync: Subscriber[TaskCreated] = TaskCreated.handled_by(traced(greet_later))  # wrong: an async subscriber
Mediator(CreateTask.handled_by(traced(create_later)))  # wrong: an AsyncMediator awaits it
InmemoryDomainEventBus(traced(greet))  # wrong: a bare function is no subscriber


async def use(publisher: AsyncMessagePublisher, message: OutgoingMessage) -> None:
    TracedMessagePublisher()  # wrong: the other publisher is missing
    TracedMessagePublisher(InmemoryDomainEventBus())  # wrong: a bus is no publisher
    TracedMessagePublisher(publisher.publish)  # wrong: a function is no publisher
    TracedMessagePublisher(publisher, "rabbitmq")  # wrong: options are keyword-only
    TracedMessagePublisher(publisher, tracer_provider="otlp")  # wrong: a text is no provider
    TracedMessagePublisher(publisher, exchange="acme.tasks")  # wrong: unknown option
    TracedMessagePublisher(publisher).publish(message)  # wrong: it is not awaited
    await TracedMessagePublisher(publisher).publish(event)  # wrong: an event is not encoded
    sent: None = await TracedMessagePublisher(publisher).publish(message)  # wrong: it is a Result
    await traced(greet)(event)  # wrong: it is not async
    traced(greet_later)(event)  # wrong: it is not awaited
    traced(create_later)(command).unwrap()  # wrong: it is not awaited
