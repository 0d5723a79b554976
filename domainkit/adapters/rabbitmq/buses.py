"""Buses over a publisher: what a use case hands over is encoded, and is with the broker when they answer."""

import asyncio
from collections.abc import Iterable

from returns.result import Failure, Result, Success

from domainkit.causation import Stamping
from domainkit.codec import MessageCodec
from domainkit.delivery import AsyncMessagePublisher, OutgoingMessage
from domainkit.errors import BusCannotPublish, InvalidMessage, MessageRefused
from domainkit.messages import AnyCommand, DomainEvent, Message
from domainkit.ports import (
    AsyncCommandBus,
    AsyncDomainEventBus,
    cannot_publish,
    command_for,
    events_for,
    stored_already,
)


class _Bus(Stamping):
    def __init__(self, codec: MessageCodec, publisher: AsyncMessagePublisher) -> None:
        self._codec = codec
        self._publisher = publisher
        self._closed = asyncio.Event()

    async def close(self) -> None:
        """Refuse messages from now on. The publisher stays open: whoever made it closes it."""
        self._closed.set()

    async def _sent(self, messages: Iterable[Message]) -> Result[None, BusCannotPublish]:
        """Publish messages, each begun in its turn; a Failure names all that the broker may not have."""
        if self._closed.is_set():
            return cannot_publish("the bus is closed")
        encoded: list[OutgoingMessage] = []
        for message in messages:
            try:
                encoded.extend(OutgoingMessage.all_of(self._stamped(message), self._codec))
            except InvalidMessage as error:
                reason = f"{type(message).__qualname__} can't be encoded: {error.detail()}"
                return cannot_publish(reason, message_id=message.header.id, kind=MessageRefused)
        results = await asyncio.gather(*map(self._publisher.publish, encoded))
        failures = [result.failure() for result in results if isinstance(result, Failure)]
        if len(failures) > 1:  # one that names them all
            kind = MessageRefused if all(isinstance(one, MessageRefused) for one in failures) else BusCannotPublish
            failures = [kind(additional_info={"message": "; ".join(one.detail() for one in failures)})]
        return Failure(failures[0]) if failures else Success(None)


class RabbitMqDomainEventBus(_Bus, AsyncDomainEventBus):
    """Publishes events through a publisher; those who subscribed get them, in other processes and in their own time.

    Several events reach the broker in their order, and are confirmed together. A Failure names those that the broker
    may not have; the others are with it. To lose none, let a transaction store them, and a relay publish them.

    >>> from domainkit import AsyncInmemoryDomainEventBus, AsyncInmemoryMessagePublisher
    >>> class TaskCreated(DomainEvent): ...
    >>> codec, heard = MessageCodec(TaskCreated), AsyncInmemoryDomainEventBus()
    >>> publisher = AsyncInmemoryMessagePublisher(codec, events=heard)  # a RabbitMqPublisher in production
    >>> asyncio.run(RabbitMqDomainEventBus(codec, publisher).publish(TaskCreated()))
    <Success: None>

    Args:
        codec: knows the classes of the events.
        publisher: a RabbitMqPublisher; it may be shared.
    """

    async def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order, and wait until the broker has them.

        A Failure with MessageRefused where one can't be encoded, or is in the outbox of the open unit of work already,
        and none is published then; or where one is refused: see RabbitMqPublisher.
        """
        several = events_for(self, events)
        return stored_already(several) or await self._sent(several)


class RabbitMqCommandBus(_Bus, AsyncCommandBus):
    """Hands a command to the one queue of its handler, which handles it in another process and in its own time.

    Args:
        codec: knows the classes of the commands.
        publisher: a RabbitMqPublisher; it may be shared.
    """

    async def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Dispatch a command, and wait until the broker has it; what its handler answers is not known here."""
        return await self._sent((command_for(self, command),))
