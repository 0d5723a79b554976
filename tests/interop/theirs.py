"""A process with petisco: `consume` runs its consumer, `publish` its buses. What both do goes into the book."""

import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias

import petisco
from interop import facts
from interop.book import Book
from loguru import logger
from meiga import BoolResult, isFailure, isSuccess
from petisco.extra.rabbitmq import (
    RabbitMqCommandBus,
    RabbitMqDomainEventBus,
    RabbitMqMessageConfigurer,
    RabbitMqMessageConsumer,
)
from petisco.extra.rabbitmq.shared.queue_config import QueueConfig
from pydantic import BaseModel

SIDE = facts.PETISCO
RETRY_MS, MAIN_MS = 50, 3_600_000
"""Times a message waits until its retry, and in its queue until petisco takes it for dead: 5 s by default."""


class Sku(petisco.ValueObject):
    value: str


class Quantity(petisco.ValueObject):
    value: int


class Line(BaseModel):
    sku: Annotated[Sku, petisco.ValueObjectSerializer]
    quantity: Annotated[Quantity, petisco.ValueObjectSerializer]
    price: str


class Parcel(BaseModel):
    lines: list[Line]
    weight: float
    note: str | None


class OrderPlaced(petisco.DomainEvent):
    number: int
    order_id: petisco.Uuid
    title: Sku
    parcel: Parcel
    weight: float
    urgent: bool
    note: str | None
    day: str
    words: list[str]
    counts: dict[str, int]


class OldOrderDue(petisco.DomainEvent):
    number: int
    order_id: petisco.Uuid
    at: Any


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # pydantic's, of the Config that petisco takes the version from

    class OrderDue(OldOrderDue):
        class Config:
            version = 2


class PayOrder(petisco.Command):
    number: int
    order_id: petisco.Uuid
    amount: str
    reference: str | None


class CancelOrder(petisco.Command):
    number: int
    order_id: petisco.Uuid
    reason: str | None


OldOrderDue.__name__ = "OrderDue"  # what the name comes from
CLASSES: dict[str, list[type[petisco.Message]]] = {
    "order.placed": [OrderPlaced],
    "order.due": [OldOrderDue, OrderDue],
    "pay.order": [PayOrder],
    "cancel.order": [CancelOrder],
    "": [petisco.Message],
}


def made(name: str, number: int) -> petisco.Message:
    """Return the message of a number, made of value objects, ids and models."""
    version = facts.due_version(SIDE, number) if name == "order.due" else 1
    values = facts.attributes(name, number, version)
    values["order_id"] = petisco.Uuid(values["order_id"])
    if name == "order.placed":
        lines = [
            Line(sku=Sku.from_value(one["sku"]), quantity=Quantity.from_value(one["quantity"]), price=one["price"])
            for one in values["parcel"]["lines"]
        ]
        values |= {"title": Sku.from_value(values["title"]), "parcel": Parcel(**values["parcel"] | {"lines": lines})}
    if name == "order.due" and version == 1:
        values["at"] = facts.moment(number)
    message = CLASSES[name][version - 1](**values)
    message.add_meta(facts.own_meta(number))
    return message


def publish(book: Book, service: str, numbers: int, pause: float, most: int) -> None:
    """Publish all messages that the book doesn't have, one after the other; one that the bus raises for, again.

    While the consumers are `most` messages behind, the publisher waits: on a slow machine they would never catch up.
    """
    events = RabbitMqDomainEventBus(facts.ORGANIZATION, service).with_meta({"source": SIDE})
    commands = RabbitMqCommandBus(facts.ORGANIZATION, service).with_meta({"source": SIDE})
    for position in range(book.next_position(SIDE), numbers * len(facts.NAMES)):
        message = made(facts.NAMES[position % len(facts.NAMES)], position // len(facts.NAMES))
        while book.behind() >= most:
            time.sleep(0.1)
        while not sent(events, commands, message):
            time.sleep(0.1)
        book.published(SIDE, position, str(message.get_message_id()), SIDE)
        time.sleep(pause)


def sent(events: Any, commands: Any, message: petisco.Message) -> bool:
    """Publish a message; False where the bus raised: the broker may have it."""
    try:
        if isinstance(message, petisco.Command):
            commands.dispatch(message)
        else:
            events.publish(message)
    except Exception as error:
        print("not published:", type(error).__name__, flush=True)  # noqa: T201  (the log of this process)
        return False
    return True


Handle: TypeAlias = Callable[[petisco.Message], BoolResult]


def subscriber(one: facts.Subscriber, function: Handle) -> type[petisco.MessageSubscriber]:
    """Return a class of subscribers whose messages a function handles."""
    classes = CLASSES[one.of]
    kind: Any = {
        petisco.DomainEvent: petisco.DomainEventSubscriber,
        petisco.Command: petisco.CommandSubscriber,
        petisco.Message: petisco.AllMessageSubscriber,
    }[next(base for base in (petisco.DomainEvent, petisco.Command, petisco.Message) if issubclass(classes[0], base))]

    class Made(kind):  # type: ignore[misc]  # the base is one of three
        def subscribed_to(self) -> Any:
            return classes[0] if kind is petisco.CommandSubscriber else classes

        def handle(self, message: petisco.Message) -> BoolResult:
            return function(message)

    Made.__name__ = one.name.capitalize()
    return Made


def handler(book: Book, side: str, one: facts.Subscriber) -> Handle:
    """Return the function of a subscriber; a number that is odd fails by an exception, an even one by a Failure."""

    def handle(message: petisco.Message) -> BoolResult:
        content = message.format()["data"]
        if book.handled(side, one.name, content):
            return isSuccess
        if content["attributes"]["number"] % 2:
            raise ValueError
        return isFailure

    return handle


def consume(
    service: str,
    limit: int,
    functions: Mapping[facts.Subscriber, Handle],
    ready: Callable[[], None],
    *,
    store: bool = False,
) -> int:
    """Consume until asked to stop; the exit status is 1 where the thread of the consumer died."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    subscribers = [subscriber(one, function) for one, function in functions.items()]
    config = QueueConfig.default(RETRY_MS, MAIN_MS)
    configurer = RabbitMqMessageConfigurer(facts.ORGANIZATION, service, queue_config=config, use_store_queues=store)
    configurer.configure_subscribers(subscribers)
    consumer: Any = RabbitMqMessageConsumer(facts.ORGANIZATION, service, limit)  # Any: its `start` is a NoReturn
    consumer.add_subscribers(subscribers)
    consumer.start()
    ready()
    while not stopping.wait(0.1):
        if not consumer._thread.is_alive():  # another thread once it has connected again
            return 1
    consumer.stop()
    return 0


def main(role: str, file: str, service: str, *options: str) -> int:
    """Play a role."""
    logger.remove()  # petisco warns of its buses with each message
    book = Book(file)
    if role == "publish":
        publish(book, service, int(options[0]), float(options[1]), int(options[2]))
        return 0
    store = options[1] == "store"
    subscribers = (*facts.SUBSCRIBERS, *([facts.STORE] if store else []))
    functions = {one: handler(book, SIDE, one) for one in subscribers}
    return consume(service, int(options[0]), functions, lambda: book.ready("petisco consume"), store=store)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
