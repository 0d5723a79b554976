"""A message in several versions: each queue handles one of them, whoever reads it."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen
from rabbits import AT_ONCE, Board, left, until
from returns.result import Success

from domainkit import Attributes, DomainEvent, Downcaster, Envelope, MessageCodec, OutgoingMessage, Upcaster
from domainkit.adapters.rabbitmq import RabbitMqConsumer, RabbitMqPublisher, RabbitMqTopology


@frozen
class Moved(DomainEvent):
    to: str
    by: str = "foot"

    class Config:
        version = 2


@frozen
class MovedOfOld(DomainEvent):
    to: str

    class Config:
        name = "moved"


def without_by(attributes: Attributes) -> Attributes:
    """Version 1 had no `by`."""
    return {"to": attributes["to"]}


WRITER = MessageCodec(Moved, downcasters=[Downcaster(Moved, 2, without_by)])
READERS: dict[str, tuple[MessageCodec, Callable[..., Any], int]] = {
    "both versions": (MessageCodec(Moved, upcasters=[Upcaster(Moved, 1, dict)]), Moved.handled_by, 2),
    "the new one alone": (MessageCodec(Moved), Moved.handled_by, 2),
    "the old one alone": (MessageCodec(MovedOfOld), MovedOfOld.handled_by, 1),
    "both, and handles the old": (MessageCodec(Moved, MovedOfOld), MovedOfOld.handled_by, 1),
    "everything": (MessageCodec(DomainEvent), Envelope.handled_by, 2),
}


@pytest.mark.parametrize(("codec", "handled_by", "version"), READERS.values(), ids=READERS)
async def test_a_queue_handles_one_version(
    board: Board, codec: MessageCodec, handled_by: Callable[..., Any], version: int
) -> None:
    """A reader that knows both takes the newer; what is left to another version is done with, and no dead letter."""
    seen: list[int] = []

    def handle(message: DomainEvent | Envelope) -> None:
        seen.append((message.info() if isinstance(message, DomainEvent) else message.info).version)

    async def handled() -> bool:
        return bool(seen)

    board.subscriber("greeter")
    subscribers = {"greeter": handled_by(handle)}
    async with (
        RabbitMqConsumer(board.url, board.topology, codec, subscribers=subscribers, backoff=AT_ONCE),
        RabbitMqPublisher(board.url, board.topology) as publisher,
    ):
        for form in OutgoingMessage.all_of(Moved("Rome"), WRITER):
            assert Success(None) == await publisher.publish(form)
        await until(handled)
    assert (0, 0) == await left(board)
    assert [version] == seen


def test_a_consumer_tells_its_functions() -> None:
    """The bound functions are those that it was given, queue by queue; one with other limits has the same."""
    topology = RabbitMqTopology("acme.tasks", service="mailing")
    bound = Moved.handled_by(lambda event: None)
    made = RabbitMqConsumer("amqp://broker/", topology, MessageCodec(Moved), subscribers={"greeter": bound})
    assert (bound,) == made.functions == made.adjusted(concurrency=30).functions
    assert not made.is_consuming
