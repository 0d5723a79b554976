"""Measures how fast a consumer empties a queue of RabbitMQ, next to petisco's with the same messages.

`python -m benchmarks.consuming` measures with RabbitMQ at RABBITMQ_URL: petisco's consumer as its documentation writes
it, ours with its defaults, and with `prefetch` and `concurrency` raised; functions do nothing. Then 50 keys of 100
messages each, whose function waits 10 ms and fails once in twenty: by key, beside one at a time.
"""

import asyncio
import logging
import os
import random
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from attrs import frozen
from loguru import logger
from meiga import Result as PetiscoResult
from meiga import isSuccess
from petisco import DomainEvent as PetiscoEvent
from petisco import DomainEventSubscriber
from petisco import Uuid as PetiscoUuid
from returns.result import Failure, Result
from yarl import URL

from benchmarks.brokers import RABBITMQ_URL, published, removed
from domainkit import DomainError, DomainEvent, Message, MessageCodec, Uuid
from domainkit.adapters.rabbitmq import (
    Backoff,
    RabbitMqConsumer,
    RabbitMqTopology,
)

MESSAGES, ROUNDS = 3_000, 5
KEYS, OF_A_KEY, WAIT = 50, 100, 0.01

Handle = Callable[["Closed"], Any]  # Any: nothing, or an awaitable of it


@frozen
class Closed(DomainEvent):
    """An order is closed."""

    order_id: Uuid

    class Config:
        name = "order.closed"


@frozen
class Placed(DomainEvent):
    """The next thing that happened to a key."""

    key: int
    number: int


CODEC = MessageCodec(Closed, Placed)
MODES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "prefetch=200, concurrency=20": {"prefetch": 200, "concurrency": 20},
}
BARS = {"defaults": 1.0, "prefetch=200, concurrency=20": 3.0, "by key": 10.0}


class Clock:
    """The time from the first to the last of so many messages."""

    def __init__(self, count: int) -> None:
        self.count, self.left = count, count
        self.first = self.last = 0.0
        self.done = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def tick(self) -> None:
        """Note a message."""
        if self.left == self.count:
            self.first = time.perf_counter()
        self.left -= 1
        if self.left == 0:
            self.last = time.perf_counter()
            self.loop.call_soon_threadsafe(self.done.set)

    async def speed(self) -> float:
        """Wait for the last, and return the messages a second."""
        await self.done.wait()
        return self.count / (self.last - self.first)


async def ours(topology: RabbitMqTopology, name: str, **options: Any) -> float:  # Any: those of the consumer
    """Return how many messages a second the consumer handles."""
    clock = Clock(MESSAGES)

    async def handle(_: Closed) -> None:
        clock.tick()

    async with consumer(topology, name, handle, **options):
        return await clock.speed()


def consumer(
    topology: RabbitMqTopology, name: str, handle: Handle, **options: Any
) -> RabbitMqConsumer:  # Any: as above
    """Return a consumer with one subscriber."""
    return RabbitMqConsumer(RABBITMQ_URL, topology, CODEC, subscribers={name: Closed.handled_by(handle)}, **options)


def of_petisco(tick: Callable[[], None]) -> type[DomainEventSubscriber]:
    """Return petisco's subscriber to the same event, which it tells by the name of the class."""

    class OrderClosed(PetiscoEvent):
        order_id: PetiscoUuid

    class Greeter(DomainEventSubscriber):
        def subscribed_to(self) -> list[type[PetiscoEvent]]:
            return [OrderClosed]

        def handle(self, _: PetiscoEvent) -> PetiscoResult[bool, Exception]:
            tick()
            return isSuccess

    return Greeter


async def measure() -> dict[str, list[float]]:
    """Return the messages a second of each, round by round."""
    address = URL(RABBITMQ_URL)
    os.environ.setdefault("RABBITMQ_HOST", address.host or "127.0.0.1")
    os.environ.setdefault("RABBITMQ_PORT", str(address.port or 5672))
    from petisco.extra.rabbitmq import (  # noqa: PLC0415  (it reads its environment when it is imported)
        RabbitMqMessageConfigurer,
        RabbitMqMessageConsumer,
    )
    from petisco.extra.rabbitmq.shared.queue_config import QueueConfig  # noqa: PLC0415  (as above)

    service = f"bench{uuid4().hex[:8]}"
    topology = RabbitMqTopology(f"acme.{service}", service=service)
    speeds: dict[str, list[float]] = {"petisco": [], **{name: [] for name in MODES}}
    names = {name: f"s{number}" for number, name in enumerate(MODES)}
    for round_ in range(ROUNDS + 1):
        clock = Clock(MESSAGES)
        greeter = of_petisco(clock.tick)
        configurer = RabbitMqMessageConfigurer(
            "acme", service, queue_config=QueueConfig.default(1000, 600_000), use_store_queues=False
        )
        configurer.configure_subscribers([greeter])
        for name in names.values():
            async with consumer(topology, name, _nothing):
                pass
        await published(topology, CODEC, [Closed(Uuid.v4()) for _ in range(MESSAGES)])
        found = {name: await ours(topology, names[name], **options) for name, options in MODES.items()}
        theirs = RabbitMqMessageConsumer("acme", service, 3)
        theirs.add_subscribers([greeter])
        theirs.start()
        found["petisco"] = await clock.speed()
        await asyncio.to_thread(theirs.stop)
        configurer.clear_subscribers([greeter])
        for name, speed in found.items() if round_ else ():  # the first warms up
            speeds[name].append(speed)
    await removed(topology, [f"{service}.{name}" for name in names.values()])
    return speeds


async def _nothing(_: Closed) -> None: ...


async def keys() -> float:
    """Return how many times faster keys are handled side by side than one message after the other would be."""
    service = f"bench{uuid4().hex[:8]}"
    topology = RabbitMqTopology(f"acme.{service}", service=service, delivery_limit=20)
    chance = random.Random(7)  # noqa: S311  (which calls fail)
    clock, seen = Clock(KEYS * OF_A_KEY), dict[int, int]()
    spent = 0.0

    async def handle(event: Placed) -> Result[None, DomainError] | None:
        nonlocal spent
        start = time.perf_counter()
        await asyncio.sleep(WAIT)
        spent += time.perf_counter() - start
        if chance.random() < 1 / 20:
            return Failure(DomainError())
        expected = seen.get(event.key, 0)
        assert event.number <= expected, "out of order"
        if event.number == expected:  # and not one that a lost connection brought again
            seen[event.key] = expected + 1
            clock.tick()
        return None

    def key_of(message: Message) -> int:
        return message.key if isinstance(message, Placed) else 0

    def made() -> RabbitMqConsumer:
        return RabbitMqConsumer(
            RABBITMQ_URL,
            topology,
            CODEC,
            subscribers={"s": Placed.handled_by(handle)},
            by=key_of,
            prefetch=10 * KEYS,
            concurrency=KEYS,
            backoff=Backoff(timedelta(milliseconds=20)),
        )

    async with made():
        pass
    await published(topology, CODEC, [Placed(key, number) for number in range(OF_A_KEY) for key in range(KEYS)])
    async with made():
        await clock.speed()
    await removed(topology, [f"{service}.s"])
    return spent / (clock.last - clock.first)


async def main() -> None:
    """Measure, and print."""
    logger.remove()
    logging.disable(logging.CRITICAL)
    speeds = await measure()
    for name, found in speeds.items():
        share = statistics.median(a / b for a, b in zip(found, speeds["petisco"], strict=True))
        bar = f" (bar {BARS[name]:.1f})" if name in BARS else ""
        print(f"{name:<32}{statistics.median(found):8,.0f} messages a second: {share:.2f} of petisco{bar}")
    print(f"{'by key':<32}{await keys():8.1f} times as fast as one at a time (bar {BARS['by key']:.0f})")


if __name__ == "__main__":
    asyncio.run(main())
