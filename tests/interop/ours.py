"""A process with this library: `consume` runs its consumer, `publish` its buses and its outbox."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from attrs import frozen
from interop import facts
from interop.book import Book
from returns.result import Failure, Result, Success
from sqlalchemy import MetaData

from domainkit import (
    AsyncCommandBus,
    AsyncDomainEventBus,
    Attributes,
    BusCannotPublish,
    Command,
    DomainEvent,
    Envelope,
    MessageCodec,
    NotFound,
    Upcaster,
    Uuid,
    ValueObject,
)
from domainkit.adapters.rabbitmq import (
    Backoff,
    RabbitMqCommandBus,
    RabbitMqConsumer,
    RabbitMqDomainEventBus,
    RabbitMqPublisher,
    RabbitMqTopology,
)
from domainkit.adapters.sqlalchemy import (
    AsyncOutboxCommandBus,
    AsyncOutboxDomainEventBus,
    AsyncUnitOfWork,
    Outbox,
    make_async_engine,
    outbox_table,
)

SIDE = facts.DOMAINKIT
METADATA = MetaData()
OUTBOX_TABLE = outbox_table(METADATA)
BACKOFF = Backoff(timedelta(milliseconds=10), longest=timedelta(milliseconds=20))
WAITING = (10, 20)
WAITS = tuple(f".wait.{milliseconds}" for milliseconds in WAITING)
"""The suffixes of the queues where a message waits."""


class OrderId(Uuid): ...


class Sku(ValueObject[str]): ...


class Quantity(ValueObject[int]): ...


@frozen
class Line:
    sku: Sku
    quantity: Quantity
    price: Decimal


@frozen
class Parcel:
    lines: tuple[Line, ...]
    weight: float
    note: str | None


@frozen
class OrderPlaced(DomainEvent):
    number: int
    order_id: OrderId
    title: Sku
    parcel: Parcel
    weight: float
    urgent: bool
    note: str | None
    day: date
    words: tuple[str, ...]
    counts: Mapping[str, int]


@frozen
class OrderDue(DomainEvent):
    number: int
    order_id: OrderId
    at: datetime

    class Config:
        version = 2


@frozen
class PayOrder(Command[None, NotFound]):
    number: int
    order_id: OrderId
    amount: Decimal
    reference: str | None


@frozen
class CancelOrder(Command[None, NotFound]):
    number: int
    order_id: OrderId
    reason: str | None


Numbered: TypeAlias = OrderPlaced | OrderDue | PayOrder | CancelOrder
CLASSES: dict[str, Any] = {  # Any: events and commands are bound to different functions
    "order.placed": OrderPlaced,
    "order.due": OrderDue,
    "pay.order": PayOrder,
    "cancel.order": CancelOrder,
}


def with_offset(old: Attributes) -> Attributes:
    """Return the attributes of a new `order.due`: the old one, of petisco, has UTC without saying so."""
    return {**old, "at": f"{old['at']}Z"}


CODEC = MessageCodec(OrderPlaced, OrderDue, PayOrder, CancelOrder, upcasters=[Upcaster(OrderDue, 1, with_offset)])


def topology(exchange: str, limit: int) -> RabbitMqTopology:
    """Return the names on the broker: the queues have the exchange's, so that runs have queues of their own."""
    return RabbitMqTopology(exchange, service=f"{exchange}.domainkit", delivery_limit=limit)


def made(name: str, number: int) -> Numbered:
    """Return the message of a number."""
    found = facts.attributes(name, number, 2)
    order_id = OrderId.from_str(found["order_id"])
    message: Numbered
    if name == "order.due":
        message = OrderDue(number, order_id, facts.moment(number))
    elif name == "pay.order":
        message = PayOrder(number, order_id, Decimal(found["amount"]), found["reference"])
    elif name == "cancel.order":
        message = CancelOrder(number, order_id, found["reason"])
    else:
        parcel = found["parcel"]
        lines = tuple(
            Line(Sku(one["sku"]), Quantity(one["quantity"]), Decimal(one["price"])) for one in parcel["lines"]
        )
        message = OrderPlaced(
            number,
            order_id,
            Sku(found["title"]),
            Parcel(tuple(lines), parcel["weight"], parcel["note"]),
            found["weight"],
            found["urgent"],
            found["note"],
            date.fromisoformat(found["day"]),
            tuple(found["words"]),
            found["counts"],
        )
    return message.add_meta(facts.own_meta(number))


async def publish(book: Book, publisher: RabbitMqPublisher, database: str, numbers: int, pause: float) -> None:
    """Publish all messages that the book doesn't have: to the broker, and by an outbox where the number is odd."""
    unit_of_work = AsyncUnitOfWork(make_async_engine(database), outbox=Outbox(OUTBOX_TABLE, CODEC))
    async with publisher:
        ways: list[tuple[str, AsyncDomainEventBus, AsyncCommandBus]] = [
            (SIDE, RabbitMqDomainEventBus(CODEC, publisher), RabbitMqCommandBus(CODEC, publisher)),
            (facts.OUTBOX, AsyncOutboxDomainEventBus(unit_of_work), AsyncOutboxCommandBus(unit_of_work)),
        ]
        for position in range(book.next_position(SIDE), numbers * len(facts.NAMES)):
            number = position // len(facts.NAMES)
            message = made(facts.NAMES[position % len(facts.NAMES)], number)
            source, events, commands = ways[number % 2]
            meta = {"source": source}
            buses = events.with_meta(meta), commands.with_meta(meta)
            while isinstance(await sent(*buses, message), Failure):  # noqa: ASYNC110  (the broker is away)
                await asyncio.sleep(0.1)
            book.published(SIDE, position, str(message.header.id), source)
            await asyncio.sleep(pause)


async def sent(
    events: AsyncDomainEventBus, commands: AsyncCommandBus, message: Numbered
) -> Result[None, BusCannotPublish]:
    """Publish an event, or dispatch a command."""
    return await (events.publish(message) if isinstance(message, DomainEvent) else commands.dispatch(message))


def handler(book: Book, side: str, name: str) -> Callable[[Numbered], Result[None, NotFound]]:
    """Return the function of a subscriber; a number that is odd fails by an exception, an even one by a Failure."""

    def handle(message: Numbered) -> Result[None, NotFound]:
        if book.handled(side, name, message.dict()["data"]):
            return Success(None)
        if message.number % 2:
            raise ValueError
        return Failure(NotFound())

    return handle


def async_handler(book: Book, side: str, name: str) -> Callable[[Numbered], Awaitable[Result[None, NotFound]]]:
    """Return the same, to be awaited."""

    async def handle(message: Numbered) -> Result[None, NotFound]:
        return handler(book, side, name)(message)

    return handle


def bound(book: Book, side: str, one: facts.Subscriber) -> Any:  # Any: for events, or for commands
    """Return the function of a subscriber, bound to its class; two of them are awaited, the others run in threads."""
    make = async_handler if one.name in {"steady", "payer"} else handler
    return CLASSES[one.of].handled_by(make(book, side, one.name))


def keeper(book: Book) -> Callable[[Envelope], Result[None, NotFound]]:
    """Return the function of the subscriber to everything."""

    def keep(envelope: Envelope) -> Result[None, NotFound]:
        content = {
            "id": str(envelope.id),
            "type": envelope.info.name,
            "type_message": envelope.info.kind,
            "version": envelope.info.version,
            "occurred_on": f"{envelope.occurred_on:%Y-%m-%d %H:%M:%S.%f}",
            "attributes": envelope.attributes,
            "meta": envelope.meta,
        }
        return Success(None) if book.handled(SIDE, facts.EVERYTHING.name, content) else Failure(NotFound())

    return keep


def consumer(book: Book, url: str, names: RabbitMqTopology) -> RabbitMqConsumer:
    """Return the consumer of this side."""
    functions = [(one, bound(book, SIDE, one)) for one in facts.SUBSCRIBERS]
    everything = {facts.EVERYTHING.name: Envelope.handled_by(keeper(book))}
    return RabbitMqConsumer(
        url,
        names,
        CODEC,
        subscribers={one.name: made for one, made in functions if facts.KINDS[one.of] == "event"} | everything,
        handlers=[made for one, made in functions if facts.KINDS[one.of] == "command"],
        backoff=BACKOFF,
    )


def successor(book: Book, url: str, names: RabbitMqTopology) -> RabbitMqConsumer:
    """Return a consumer of petisco's queues, which does in the name of petisco what its subscribers do."""
    queues = {
        queue: bound(book, facts.PETISCO, one)
        for one in facts.SUBSCRIBERS
        for queue in facts.petisco_queues(names.exchange, one)
    }
    return RabbitMqConsumer(url, names, CODEC, queues=queues, backoff=BACKOFF)


async def consume(book: Book, side: str, made: RabbitMqConsumer) -> None:
    """Consume until asked to stop."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with made:
        book.ready(side)
        await stopping.wait()


def main(role: str, file: str, exchange: str, url: str, *options: str) -> None:
    """Play a role."""
    book = Book(file)
    if role == "publish":
        publisher = RabbitMqPublisher(url, topology(exchange, 0))
        asyncio.run(publish(book, publisher, options[0], int(options[1]), float(options[2])))
        return
    names = topology(exchange, int(options[0]))
    made = successor if role == "take over" else consumer
    asyncio.run(consume(book, f"domainkit {role}", made(book, url, names)))


if __name__ == "__main__":
    main(*sys.argv[1:])
