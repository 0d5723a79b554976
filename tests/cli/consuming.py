"""An application's arguments to `python -m domainkit consume`: consumers, and other objects."""

import asyncio
import os
import time
from typing import Any

from attrs import frozen

from domainkit import DomainEvent, MessageCodec
from domainkit.adapters.rabbitmq import RabbitMqConsumer, RabbitMqTopology

if "IMPORTING" in os.environ:
    print("importing", flush=True)  # noqa: T201  (the test reads it)
    time.sleep(60)


@frozen
class TaskCreated(DomainEvent):
    title: str


async def greet(event: TaskCreated) -> None:
    """Greet, so slowly that the first is at it while the last begins."""
    print("begun", event.title, flush=True)  # noqa: T201  (as above)
    await asyncio.sleep(1.5)
    print("done", event.title, flush=True)  # noqa: T201  (as above)


def consumer(url: str, **options: Any) -> RabbitMqConsumer:
    """Return a consumer, as a function of an application does."""
    exchange = os.environ["DOMAINKIT_EXCHANGE"]
    topology = RabbitMqTopology(exchange, service=f"{exchange}.svc", delivery_limit=2)
    subscribers = {"greeter": TaskCreated.handled_by(greet)}
    return RabbitMqConsumer(url, topology, MessageCodec(TaskCreated), subscribers=subscribers, **options)


async def later(url: str) -> RabbitMqConsumer:
    """Return a consumer, after something was awaited."""
    await asyncio.sleep(0)
    return consumer(url)


def something_else(url: str) -> str:
    """Return what consumes nothing."""
    return url
