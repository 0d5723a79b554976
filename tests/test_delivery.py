"""Messages as they leave the process, and the publisher in memory."""

import pytest
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit import (
    AsyncCommandBus,
    AsyncDomainEventBus,
    AsyncInmemoryCommandBus,
    AsyncInmemoryDomainEventBus,
    AsyncInmemoryMessagePublisher,
    BusCannotPublish,
    Command,
    DomainError,
    DomainEvent,
    InvalidMessage,
    MessageCodec,
    MessageRefused,
    OutgoingMessage,
)


@frozen
class Created(DomainEvent):
    title: str


@frozen
class Create(Command):
    title: str


class Unheard(DomainEvent):
    pass


CODEC = MessageCodec(Created, Create)


def test_an_outgoing_message_has_the_exact_bytes() -> None:
    """It holds what the codec writes, the message's own id, and what it is routed by."""
    event = Created("milk")
    expected = OutgoingMessage(event.header.id, Created.info(), CODEC.encode(event), "task-7")
    assert expected == OutgoingMessage.of(event, CODEC, key="task-7")


def test_a_message_without_key_keeps_the_order_of_no_other() -> None:
    """Its key is its own id."""
    event = Created("milk")
    assert str(event.header.id) == OutgoingMessage.of(event, CODEC).key


def test_the_body_is_not_shown() -> None:
    """A body may hold secrets: the text of an outgoing message leaves it out."""
    assert "hush" not in repr(OutgoingMessage.of(Created("hush"), CODEC))


def test_a_message_that_the_codec_does_not_know() -> None:
    """It is refused where it would leave, not where it arrives."""
    with pytest.raises(InvalidMessage):
        OutgoingMessage.of(Unheard(), CODEC)


async def test_the_publisher_in_memory_hands_over_to_the_bus_of_the_kind() -> None:
    """Events go to the bus of events and commands to that of commands, equal to what was sent."""
    events, commands = AsyncInmemoryDomainEventBus(), AsyncInmemoryCommandBus()
    publisher = AsyncInmemoryMessagePublisher(CODEC, events=events, commands=commands)
    event, command = Created("milk"), Create("milk")
    for message in (event, command):
        assert Success(None) == await publisher.publish(OutgoingMessage.of(message, CODEC))
    assert ((event,), (command,)) == (events.published, commands.dispatched)


@pytest.mark.parametrize("message", [Created("milk"), Create("milk")])
async def test_a_message_without_a_bus_is_refused(message: Created | Create) -> None:
    """A kind that nobody takes is MessageRefused, with the message's id."""
    events: AsyncDomainEventBus | None = None if isinstance(message, DomainEvent) else AsyncInmemoryDomainEventBus()
    commands: AsyncCommandBus | None = None if isinstance(message, Command) else AsyncInmemoryCommandBus()
    publisher = AsyncInmemoryMessagePublisher(CODEC, events=events, commands=commands)
    error = (await publisher.publish(OutgoingMessage.of(message, CODEC))).failure()
    assert (MessageRefused, str(message.header.id)) == (type(error), error.uuid_value)


async def test_bytes_that_are_no_message_are_refused() -> None:
    """A message that can't be decoded is MessageRefused, and its bytes are not shown."""
    event = Created("milk")
    broken = OutgoingMessage(event.header.id, Created.info(), b'{"hush": 1}', "k")
    error = (await AsyncInmemoryMessagePublisher(CODEC).publish(broken)).failure()
    assert isinstance(error, MessageRefused)
    assert "hush" not in error.detail()


async def test_a_closed_publisher_refuses() -> None:
    """After close a message is a Failure, though none of the message itself; closing again is nothing."""
    publisher = AsyncInmemoryMessagePublisher(CODEC, events=AsyncInmemoryDomainEventBus())
    await publisher.close()
    await publisher.close()
    error = (await publisher.publish(OutgoingMessage.of(Created("milk"), CODEC))).failure()
    assert not isinstance(error, MessageRefused)
    assert "closed" in error.detail()


async def test_a_subscriber_that_fails_refuses_the_message() -> None:
    """A reachable bus that answers a Failure is MessageRefused, which a relay counts; it names classes alone."""

    def fail(_: Created) -> Result[None, ValueError]:
        return Failure(ValueError("hush"))

    def fail_too(_: Create) -> Result[None, DomainError]:
        return Failure(DomainError(additional_info={"message": "hush"}))

    events = AsyncInmemoryDomainEventBus(Created.handled_by(fail))
    commands = AsyncInmemoryCommandBus(Create.handled_by(fail_too))
    publisher = AsyncInmemoryMessagePublisher(CODEC, events=events, commands=commands)
    for message, reason in ((Created("milk"), "ValueError"), (Create("milk"), "DomainError")):
        error = (await publisher.publish(OutgoingMessage.of(message, CODEC))).failure()
        assert isinstance(error, MessageRefused)
        assert reason in error.detail()
        assert "hush" not in error.detail()


async def test_a_closed_bus_is_a_broker_that_is_away() -> None:
    """A message that meets a closed bus is a Failure, though none of the message itself: nothing counts against it."""
    events, commands = AsyncInmemoryDomainEventBus(), AsyncInmemoryCommandBus()
    publisher = AsyncInmemoryMessagePublisher(CODEC, events=events, commands=commands)
    await events.close()
    await commands.close()
    for message in (Created("milk"), Create("milk")):
        error = (await publisher.publish(OutgoingMessage.of(message, CODEC))).failure()
        assert BusCannotPublish is type(error)
        assert "the bus is closed" in error.detail()
