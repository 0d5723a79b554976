"""Wrong code around RabbitMQ: a type checker refuses each line marked `# wrong`, and no other."""

import asyncio
from datetime import timedelta

from board import CreateTask, DuplicateTask, TaskCreated, TaskId, Title, create_task
from returns.result import Result, Success

from domainkit import (
    BusCannotPublish,
    CommandBus,
    DomainEventBus,
    InmemoryDomainEventBus,
    MessageCodec,
    MessageRefused,
    OutgoingMessage,
)
from domainkit.adapters.rabbitmq import (
    Backoff,
    RabbitMqCommandBus,
    RabbitMqConsumer,
    RabbitMqDomainEventBus,
    RabbitMqPublisher,
    RabbitMqTopology,
    Subscribers,
    dead_letter_queue,
    queue_status,
    redeliver,
)
from domainkit.adapters.sqlalchemy import RelayBackoff

codec = MessageCodec(TaskCreated, CreateTask)
url = "amqp://broker/"
topology = RabbitMqTopology("acme.tasks", service="mailing")
publisher = RabbitMqPublisher(url, topology)
events, commands = RabbitMqDomainEventBus(codec, publisher), RabbitMqCommandBus(codec, publisher)
event, command = TaskCreated(TaskId.v4(), Title("Buy milk")), CreateTask(Title("Buy milk"))


async def greet(event: TaskCreated) -> None: ...
async def create(command: CreateTask) -> Result[TaskId, DuplicateTask]:
    return Success(TaskId.v4())


greeter, creator = TaskCreated.handled_by(greet), CreateTask.handled_by(create)

RabbitMqTopology("acme.tasks")  # wrong: the service is missing
RabbitMqTopology(exchange="acme.tasks", queue="mailing")  # wrong: queues are named after the service
RabbitMqTopology("acme.tasks", "mailing", 3)  # wrong: options are keyword-only
RabbitMqTopology("acme.tasks", "mailing", delivery_limit="3")  # wrong: an int
RabbitMqTopology("acme.tasks", "mailing", delivery_limit=None)  # wrong: there is always a limit
RabbitMqTopology(("acme", "tasks"), "mailing")  # wrong: a text
topology.exchange = "acme.users"  # wrong: frozen
topology.dead_letter_exchange = "dead"  # wrong: a property
topology.routing_key(event)  # wrong: its info
topology.command_queue("create.task")  # wrong: a text is no info
topology.subscriber_queue(greeter)  # wrong: its name
dead_letter_queue(topology)  # wrong: the name of a queue
Backoff(1)  # wrong: a timedelta
Backoff(timedelta(seconds=1), timedelta(seconds=30))  # wrong: options are keyword-only
Backoff(factor=2.0)  # wrong: unknown option
RabbitMqPublisher(url)  # wrong: the topology is missing
RabbitMqPublisher(topology, url)  # wrong: the URL comes first
RabbitMqPublisher(url, "acme.tasks")  # wrong: a name is no topology
RabbitMqPublisher(url, topology, timedelta(seconds=3))  # wrong: options are keyword-only
RabbitMqPublisher(url, topology, timeout=3)  # wrong: a timedelta
RabbitMqPublisher(url, topology, timeout=None)  # wrong: there is always a limit
RabbitMqPublisher(url, topology, unrouted="commands")  # wrong: events, all or none
RabbitMqPublisher(url, topology, unrouted=True)  # wrong: events, all or none
RabbitMqDomainEventBus(publisher)  # wrong: the codec is missing
RabbitMqDomainEventBus(publisher, codec)  # wrong: the codec comes first
RabbitMqDomainEventBus(codec, url)  # wrong: a URL is no publisher
RabbitMqDomainEventBus(codec, events)  # wrong: a bus is no publisher
RabbitMqCommandBus(codec, InmemoryDomainEventBus())  # wrong: a bus is no publisher
RabbitMqCommandBus([CreateTask], publisher)  # wrong: classes are no codec
sync_events: DomainEventBus = events  # wrong: an async bus
sync_commands: CommandBus = commands  # wrong: an async bus
events.with_meta({"user": TaskId.v4()})  # wrong: an id is no JSON value
events.with_meta(tenant="home")  # wrong: a mapping
by_class: Subscribers = {TaskCreated: greeter}  # wrong: by name, not by class

RabbitMqConsumer(url, topology)  # wrong: the codec is missing
RabbitMqConsumer(url, codec, topology)  # wrong: the topology comes first
RabbitMqConsumer(url, topology, codec, {"greeter": greeter})  # wrong: options are keyword-only
RabbitMqConsumer(url, topology, codec, subscribers=[greeter])  # wrong: by name
RabbitMqConsumer(url, topology, codec, subscribers={1: greeter})  # wrong: a number is no name
RabbitMqConsumer(url, topology, codec, subscribers={"greeter": greet})  # wrong: a bare function is no subscriber
RabbitMqConsumer(url, topology, codec, subscribers={"creator": creator})  # wrong: a handler is no subscriber
RabbitMqConsumer(url, topology, codec, subscribers={"both": {greeter}})  # wrong: a set has no order
RabbitMqConsumer(url, topology, codec, handlers=creator)  # wrong: one is not several
RabbitMqConsumer(url, topology, codec, handlers=[greeter])  # wrong: a subscriber is no handler
RabbitMqConsumer(url, topology, codec, handlers=[create_task])  # wrong: a bare function is no handler
RabbitMqConsumer(url, topology, codec, handlers={"creator": creator})  # wrong: handlers have no names
RabbitMqConsumer(url, topology, codec, handlers=[creator], prefetch="10")  # wrong: an int
RabbitMqConsumer(url, topology, codec, handlers=[creator], concurrency=2.5)  # wrong: an int
RabbitMqConsumer(url, topology, codec, handlers=[creator], backoff=timedelta(seconds=1))  # wrong: a Backoff
RabbitMqConsumer(url, topology, codec, handlers=[creator], backoff=RelayBackoff())  # wrong: that of the relay
RabbitMqConsumer(url, topology, codec, handlers=[creator], timeout=60)  # wrong: a timedelta
RabbitMqConsumer(url, topology, codec, handlers=[creator], stop_within=30.0)  # wrong: a timedelta
RabbitMqConsumer(url, topology, codec, handlers=[creator], by="task_id")  # wrong: a function
both = MessageCodec.of(TaskCreated | CreateTask)
RabbitMqConsumer(url, topology, both, handlers=[creator], by=lambda one: one.task_id)  # wrong: a command has no task_id
RabbitMqConsumer(url, topology, codec, queues=[greeter])  # wrong: by name
RabbitMqConsumer(url, topology, codec, handlers=[creator], retries=3)  # wrong: the topology has the limit


async def publish(message: OutgoingMessage) -> None:
    publisher.publish(message)  # wrong: it is not awaited
    publisher.publish(message).unwrap()  # wrong: it is not awaited
    await publisher.publish(event)  # wrong: an event is not encoded
    await publisher.publish(message.body)  # wrong: bytes are no message
    sent: None = await publisher.publish(message)  # wrong: it is a Result
    narrow: Result[None, MessageRefused] = await publisher.publish(message)  # wrong: the broker may be away
    await events.publish(command)  # wrong: a command is no event
    await events.publish([event, command])  # wrong: a command is no event
    await events.publish(event, event)  # wrong: several in one list
    events.publish(event)  # wrong: it is not awaited
    await commands.dispatch(event)  # wrong: an event is no command
    await commands.dispatch([command, command])  # wrong: one at a time
    answer: Result[TaskId, BusCannotPublish] = await commands.dispatch(command)  # wrong: the handler answers elsewhere
    publisher.close()  # wrong: it is not awaited
    async with events:  # wrong: the publisher is opened and closed
        pass
    with publisher:  # wrong: async with
        pass


async def consume(consumer: RabbitMqConsumer) -> None:
    consumer.run()  # wrong: it is not awaited
    await consumer.run(timedelta(minutes=1))  # wrong: a timedelta is no event
    consumer.stop()  # wrong: it is not awaited
    await consumer.stop(asyncio.Event())  # wrong: it takes nothing
    consumer.queues.append("mailing.greeter")  # wrong: a tuple
    consumer.queues = ()  # wrong: a property
    queue_status(url, ["mailing.greeter"]).unwrap()  # wrong: it is not awaited
    await queue_status(url, 1)  # wrong: the names of queues
    (await redeliver(url, "mailing.greeter")) + 1  # wrong: it is a Result
    moved: int = await redeliver(url, "mailing.greeter")  # wrong: it is a Result
    redeliver(url, "mailing.greeter").unwrap()  # wrong: it is not awaited
    await redeliver(url)  # wrong: the queue is missing
    await redeliver(url, topology)  # wrong: the name of a queue
    await redeliver(url, "mailing.greeter", 10)  # wrong: options are keyword-only
    await redeliver(url, "mailing.greeter", within=10)  # wrong: a timedelta
