"""Messages over the brokers of FastStream: which brokers a publisher takes, and what a subscriber is given."""

from datetime import timedelta
from typing import assert_type

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.redis import RedisBroker, StreamSub
from returns.result import Result

from domainkit import AsyncMessagePublisher, BusCannotPublish, MessageCodec, OutgoingMessage
from domainkit.adapters.faststream import FastStreamPublisher, by_name, subscribe

from board import CreateTask, TaskCreated, create_task

codec = MessageCodec(TaskCreated, CreateTask)
nats, kafka, redis = NatsBroker(), KafkaBroker(acks="all"), RedisBroker()


async def greet(event: TaskCreated) -> None: ...


def destination(message: OutgoingMessage) -> str:
    return f"acme.{by_name(message)}"


publishers: tuple[AsyncMessagePublisher, ...] = (
    FastStreamPublisher(nats, stream="tasks", destination=destination),
    FastStreamPublisher(nats, stream="tasks", unrouted="all"),
    FastStreamPublisher(kafka, timeout=timedelta(seconds=3)),
    FastStreamPublisher(redis),
)


async def publish(message: OutgoingMessage) -> None:
    assert_type(await FastStreamPublisher(redis).publish(message), Result[None, BusCannotPublish])


subscribe(
    nats.subscriber(
        "task.created",
        stream=JStream("tasks"),
        durable="mailing",
        pull_sub=PullSub(),
        ack_policy=AckPolicy.MANUAL,
    ),
    codec,
    TaskCreated.handled_by(greet),
    CreateTask.handled_by(create_task),
    pause=timedelta(seconds=5),
)
subscribe(kafka.subscriber("task.created", group_id="mailing", ack_policy=AckPolicy.MANUAL), codec)
stream = StreamSub("task.created", group="mailing", consumer="one", min_idle_time=60_000)
subscribe(redis.subscriber(stream=stream, ack_policy=AckPolicy.MANUAL), codec)
