"""A process of a service that moves: the same subscribers, by petisco alone, by both, and by this library alone."""

import asyncio
import sys
from typing import Any

import petisco
from interop import facts, ours, theirs
from interop.book import Book
from loguru import logger
from meiga import BoolResult, isFailure, isSuccess
from returns.result import Result, Success
from sqlalchemy import Column, MetaData, Table, Text, insert

from domainkit import NotFound
from domainkit.adapters.rabbitmq import RabbitMqConsumer, RabbitMqTopology
from domainkit.adapters.sqlalchemy import Inbox, UnitOfWork, inbox_table, make_engine

SIDE = "service"
METADATA = MetaData()
INBOX = inbox_table(METADATA)
EFFECTS = Table("effects", METADATA, Column("subscriber", Text()), Column("message_id", Text()))
"""The work of the service. There is no constraint: an effect that happens twice is stored twice."""


class Service:
    """The effects of the subscribers, in the database of the service; the book has a note of each call."""

    def __init__(self, book: Book, database: str) -> None:
        self.book = book
        self.unit_of_work = UnitOfWork(make_engine(database))
        self.inbox = Inbox(INBOX, self.unit_of_work)

    def done(self, one: facts.Subscriber, message_id: object) -> None:
        """Store an effect."""
        with self.unit_of_work.writing() as connection:
            connection.execute(insert(EFFECTS), {"subscriber": one.name, "message_id": str(message_id)})

    def of_petisco(self, one: facts.Subscriber) -> theirs.Handle:
        """Return the function of a subscriber of petisco, which knows nothing of an inbox."""
        handle = theirs.handler(self.book, SIDE, one)

        def work(message: petisco.Message) -> BoolResult:
            result = handle(message)
            if result.is_success:
                self.done(one, message.get_message_id())
            return result

        return work

    def moved(self, one: facts.Subscriber) -> Any:  # Any: for events, or for commands
        """Return the function that takes its place: what it does, and the mark that it did so, are one transaction."""
        handle = ours.handler(self.book, SIDE, one.name)

        def work(message: ours.Numbered) -> Result[None, NotFound]:
            outcome = handle(message)
            if isinstance(outcome, Success):
                self.done(one, message.header.id)
            return outcome

        return self.inbox.once(work, name=one.name)

    def inside(self, one: facts.Subscriber) -> theirs.Handle:
        """Return a function for a subscriber of petisco that calls the new one."""
        moved = self.moved(one)

        def work(message: petisco.Message) -> BoolResult:
            outcome = ours.CODEC.decode(message.format_json()).bind(moved)
            return isSuccess if isinstance(outcome, Success) else isFailure

        return work


def consumer(service: Service, role: str, url: str, exchange: str, limit: int) -> RabbitMqConsumer:
    """Return the consumer of this library: of petisco's queues, of its own, or both; on the way back it binds none."""
    names = ours.topology(exchange, limit)
    bound = {one: ours.CLASSES[one.of].handled_by(service.moved(one)) for one in facts.SUBSCRIBERS}
    old = {queue: made for one, made in bound.items() for queue in facts.petisco_queues(exchange, one)}
    own = {own_queue(names, one): made for one, made in bound.items()}
    binds = role in {"both queues", "own queues"}
    return RabbitMqConsumer(
        url,
        names,
        ours.CODEC,
        subscribers={one.name: made for one, made in bound.items() if binds and facts.KINDS[one.of] == "event"},
        handlers=[made for one, made in bound.items() if binds and facts.KINDS[one.of] == "command"],
        queues={"same queues": old, "both queues": old, "own queues": {}, "back": old | own}[role],
        backoff=ours.BACKOFF,
    )


def own_queue(names: RabbitMqTopology, one: facts.Subscriber) -> str:
    """Return the new queue of a subscriber."""
    info = ours.CLASSES[one.of].info()
    return names.command_queue(info) if info.kind == "command" else names.subscriber_queue(one.name)


def main(role: str, file: str, *options: str) -> int:
    """Play a role: a release of the service."""
    logger.remove()  # petisco warns of its buses with each message
    book = Book(file)
    exchange, url, database, limit = options
    service = Service(book, database)
    if role in {"petisco", "function"}:
        made = service.of_petisco if role == "petisco" else service.inside
        functions = {one: made(one) for one in facts.SUBSCRIBERS}
        at = exchange.removeprefix(f"{facts.ORGANIZATION}.")
        return theirs.consume(at, int(limit), functions, lambda: book.ready(role))
    asyncio.run(ours.consume(book, role, consumer(service, role, url, exchange, int(limit))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
