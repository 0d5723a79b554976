"""RabbitMQ: the same ports, and subscribers and handlers as `handled_by` makes them."""

from collections.abc import Hashable
from datetime import timedelta
from typing import assert_type

from returns.result import Result, Success

from domainkit import (
    AsyncCommandBus,
    AsyncDomainEventBus,
    AsyncMessagePublisher,
    AsyncSubscriber,
    BusCannotPublish,
    Envelope,
    Message,
    MessageCodec,
    OutgoingMessage,
    Subscriber,
)
from domainkit.adapters.rabbitmq import (
    Backoff,
    Queues,
    QueueStatus,
    RabbitMqCommandBus,
    RabbitMqConsumer,
    RabbitMqDomainEventBus,
    RabbitMqPublisher,
    RabbitMqTopology,
    queue_status,
    redeliver,
)
from domainkit.formats import EventMap, event_map

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


def keep(envelope: Envelope) -> None: ...


async def forward(envelope: Envelope) -> Result[None, DuplicateTask]:
    return Success(None)


def key_of(message: Message) -> Hashable:
    return message.task_id if isinstance(message, TaskCreated) else None


old: Queues = {
    "acme.tasks.1.event.task_created.greeter": [TaskCreated.handled_by(greet), CreateTask.handled_by(create)]
}
everything = RabbitMqConsumer(
    "amqp://broker/",
    topology,
    codec,
    subscribers={"store": Envelope.handled_by(keep), "forward": Envelope.handled_by(forward)},
    queues=old,
    by=key_of,
    prefetch=200,
    concurrency=20,
)
tasks_in_order = RabbitMqConsumer(
    "amqp://broker/",
    topology,
    MessageCodec.of(TaskCreated),
    subscribers={"greeter": TaskCreated.handled_by(greet)},
    by=lambda event: event.task_id,  # it is of the messages of the codec
)
assert_type(Envelope.handled_by(keep), Subscriber[Envelope])
assert_type(Envelope.handled_by(forward), AsyncSubscriber[Envelope])


async def main() -> None:
    assert_type(everything.adjusted(prefetch=50, concurrency=10), RabbitMqConsumer)
    assert_type(everything.is_consuming, bool)
    assert_type(event_map(everything, policies={TaskCreated.handled_by(greet): [CreateTask]}), EventMap)
    assert_type(
        await queue_status("amqp://broker/", everything.queues), Result[tuple[QueueStatus, ...], BusCannotPublish]
    )
    await everything.pause(everything.queues[0])
    await everything.resume(everything.queues[0])
    task = Task.create(Title("Buy milk"))
    event = TaskCreated(task.aggregate_id, task.title)
    async with consumer, RabbitMqPublisher("amqp://broker/", topology) as publisher:
        port: AsyncMessagePublisher = publisher
        RabbitMqPublisher("amqp://broker/", topology, unrouted="none")
        assert_type(await port.publish(OutgoingMessage.of(event, codec)), Result[None, BusCannotPublish])
        events: AsyncDomainEventBus = RabbitMqDomainEventBus(codec, publisher).with_meta({"tenant": "home"})
        commands: AsyncCommandBus = RabbitMqCommandBus(codec, publisher)
        assert_type(await events.publish([event, event]), Result[None, BusCannotPublish])
        assert_type(await commands.dispatch(CreateTask(Title("Buy milk"))), Result[None, BusCannotPublish])
    assert_type(await redeliver("amqp://broker/", "mailing.greeter", limit=10), Result[int, BusCannotPublish])
