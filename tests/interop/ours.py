"""A process with this library: `consume` runs its consumer, `publish` its buses and its outbox."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

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
    DomainError,
    DomainEvent,
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


def handler(book: Book, name: str) -> Callable[[Numbered], Result[None, NotFound]]:
    """Return the function of a subscriber; a number that is odd fails by an exception, an even one by a Failure."""

    def handle(message: Numbered) -> Result[None, NotFound]:
        if book.handled(SIDE, name, dict(message.dict()["data"])):
            return Success(None)
        if message.number % 2:
            raise ValueError
        return Failure(NotFound())

    return handle


def consumer(book: Book, url: str, names: RabbitMqTopology) -> RabbitMqConsumer:
    """Return the consumer, with functions of two kinds: those that are awaited and those that run in threads."""

    async def steady(event: OrderPlaced) -> Result[None, DomainError]:
        return handler(book, "steady")(event)

    async def pay(command: PayOrder) -> Result[None, NotFound]:
        return handler(book, "payer")(command)

    return RabbitMqConsumer(
        url,
        names,
        CODEC,
        subscribers={
            "steady": OrderPlaced.handled_by(steady),
            "once": OrderPlaced.handled_by(handler(book, "once")),
            "never": OrderPlaced.handled_by(handler(book, "never")),
            "random": OrderPlaced.handled_by(handler(book, "random")),
            "due": OrderDue.handled_by(handler(book, "due")),
        },
        handlers=[PayOrder.handled_by(pay), CancelOrder.handled_by(handler(book, "canceller"))],
        backoff=BACKOFF,
    )


async def consume(book: Book, url: str, names: RabbitMqTopology) -> None:
    """Consume until asked to stop."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with consumer(book, url, names):
        book.ready(SIDE)
        await stopping.wait()


def main(role: str, file: str, exchange: str, url: str, *options: str) -> None:
    """Play a role."""
    book = Book(file)
    if role == "publish":
        publisher = RabbitMqPublisher(url, topology(exchange, 0))
        asyncio.run(publish(book, publisher, options[0], int(options[1]), float(options[2])))
    else:
        asyncio.run(consume(book, url, topology(exchange, int(options[0]))))


if __name__ == "__main__":
    main(*sys.argv[1:])
