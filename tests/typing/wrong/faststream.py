"""Wrong code around FastStream: a type checker refuses each line marked `# wrong`, and no other."""

from datetime import timedelta

from board import CreateTask, DuplicateTask, TaskCreated, TaskId, Title, create_task
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.nats import JStream, NatsBroker
from faststream.rabbit import RabbitBroker
from faststream.redis import RedisBroker, StreamSub
from returns.result import Result, Success

from domainkit import AsyncDomainEventBus, InmemoryDomainEventBus, MessageCodec, MessageRefused, OutgoingMessage
from domainkit.adapters.faststream import Broker, FastStreamPublisher, by_name, subscribe

codec = MessageCodec(TaskCreated, CreateTask)
nats, kafka, redis = NatsBroker(), KafkaBroker(acks="all"), RedisBroker()
stream = StreamSub("task.created", group="mailing", consumer="one", min_idle_time=60_000)
subscriber = redis.subscriber(stream=stream, ack_policy=AckPolicy.MANUAL)
event = TaskCreated(TaskId.v4(), Title("Buy milk"))


async def greet(event: TaskCreated) -> None: ...
async def create_later(command: CreateTask) -> Result[TaskId, DuplicateTask]:
    return Success(TaskId.v4())


async def destination_later(message: OutgoingMessage) -> str:
    return by_name(message)


def destination_of_event(event: TaskCreated) -> str:
    return event.info().name


greeter = TaskCreated.handled_by(greet)

by_name(event)  # wrong: an event is not encoded
by_name(TaskCreated)  # wrong: a class is no message
broker: Broker = "nats://127.0.0.1:4222"  # wrong: a URL is no broker
FastStreamPublisher()  # wrong: the broker is missing
FastStreamPublisher("redis://127.0.0.1")  # wrong: a URL is no broker
FastStreamPublisher(RedisBroker)  # wrong: a class is no broker
FastStreamPublisher(RabbitBroker())  # wrong: the adapter rabbitmq is for it
FastStreamPublisher(subscriber)  # wrong: a subscriber is no broker
FastStreamPublisher(InmemoryDomainEventBus())  # wrong: a bus is no broker
FastStreamPublisher(kafka, timedelta(seconds=3))  # wrong: options are keyword-only
FastStreamPublisher(nats, "tasks")  # wrong: options are keyword-only
FastStreamPublisher(nats, stream=JStream("tasks"))  # wrong: the name of the stream
FastStreamPublisher(redis, destination="task.created")  # wrong: a function gives it
FastStreamPublisher(redis, destination=destination_of_event)  # wrong: it takes an encoded message
FastStreamPublisher(redis, destination=destination_later)  # wrong: it is not awaited
FastStreamPublisher(redis, destination=lambda message: message.info.version)  # wrong: a text
FastStreamPublisher(redis, timeout=3)  # wrong: a timedelta
FastStreamPublisher(redis, timeout=None)  # wrong: there is always a limit
FastStreamPublisher(nats, stream="tasks", unrouted="commands")  # wrong: events, all or none
FastStreamPublisher(redis, topic="task.created")  # wrong: unknown option
bus: AsyncDomainEventBus = FastStreamPublisher(redis)  # wrong: a publisher is no bus

subscribe(redis, codec, greeter)  # wrong: a broker is no subscriber
subscribe("task.created", codec, greeter)  # wrong: a name is no subscriber
subscribe(stream, codec, greeter)  # wrong: a stream is no subscriber
subscribe(subscriber, greeter)  # wrong: the codec is missing
subscribe(codec, subscriber, greeter)  # wrong: the subscriber comes first
subscribe(subscriber, [TaskCreated], greeter)  # wrong: classes are no codec
subscribe(subscriber, codec, greet)  # wrong: a bare function is not bound
subscribe(subscriber, codec, [greeter])  # wrong: one by one
subscribe(subscriber, codec, greeter, create_task)  # wrong: a bare function is not bound
subscribe(subscriber, codec, greeter=greeter)  # wrong: they have no names
subscribe(subscriber, codec, greeter, pause=5)  # wrong: a timedelta
subscribe(subscriber, codec, greeter, pause=None)  # wrong: a timedelta
subscribe(subscriber, codec, CreateTask.handled_by(greet))  # wrong: it takes an event
subscribe(subscriber, codec, TaskCreated.handled_by(create_later))  # wrong: it takes a command
subscribe(subscriber, codec, greeter).start()  # wrong: it returns nothing


async def use(publisher: FastStreamPublisher, message: OutgoingMessage) -> None:
    publisher.publish(message)  # wrong: it is not awaited
    publisher.publish(message).unwrap()  # wrong: it is not awaited
    await publisher.publish(event)  # wrong: an event is not encoded
    await publisher.publish(message, "task.created")  # wrong: the publisher has the destination
    sent: None = await publisher.publish(message)  # wrong: it is a Result
    narrow: Result[None, MessageRefused] = await publisher.publish(message)  # wrong: the broker may be away
    publisher.close()  # wrong: it is not awaited
    async with publisher:  # wrong: who made the broker starts and stops it
        pass
