"""RabbitMQ: the same ports, and subscribers and handlers as `handled_by` makes them."""

from datetime import timedelta
from typing import assert_type

from returns.result import Result, Success

from domainkit import (
    AsyncCommandBus,
    AsyncDomainEventBus,
    AsyncMessagePublisher,
    BusCannotPublish,
    MessageCodec,
    OutgoingMessage,
)
from domainkit.adapters.rabbitmq import (
    Backoff,
    RabbitMqCommandBus,
    RabbitMqConsumer,
    RabbitMqDomainEventBus,
    RabbitMqPublisher,
    RabbitMqTopology,
    redeliver,
)

from board import CreateTask, DuplicateTask, Task, TaskCreated, TaskId, Title

codec = MessageCodec(TaskCreated, CreateTask)
topology = RabbitMqTopology("acme.tasks", service="mailing", delivery_limit=3)


async def greet(event: TaskCreated) -> None: ...


def count(event: TaskCreated) -> Result[None, DuplicateTask]:
    return Success(None)


async def create(command: CreateTask) -> Result[TaskId, DuplicateTask]:
    return Success(Task.create(command.title).aggregate_id)


consumer = RabbitMqConsumer(
    "amqp://broker/",
    topology,
    codec,
    subscribers={"greeter": TaskCreated.handled_by(greet), "both": [TaskCreated.handled_by(count)]},
    handlers=[CreateTask.handled_by(create)],
    backoff=Backoff(timedelta(seconds=1)),
)


async def main() -> None:
    task = Task.create(Title("Buy milk"))
    event = TaskCreated(task.aggregate_id, task.title)
    async with consumer, RabbitMqPublisher("amqp://broker/", topology) as publisher:
        port: AsyncMessagePublisher = publisher
        assert_type(await port.publish(OutgoingMessage.of(event, codec)), Result[None, BusCannotPublish])
        events: AsyncDomainEventBus = RabbitMqDomainEventBus(codec, publisher).with_meta({"tenant": "home"})
        commands: AsyncCommandBus = RabbitMqCommandBus(codec, publisher)
        assert_type(await events.publish([event, event]), Result[None, BusCannotPublish])
        assert_type(await commands.dispatch(CreateTask(Title("Buy milk"))), Result[None, BusCannotPublish])
    assert_type(await redeliver("amqp://broker/", "mailing.greeter", limit=10), Result[int, BusCannotPublish])
