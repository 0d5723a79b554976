"""Buses over a publisher: they encode messages, and return once the broker has confirmed them."""

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
        """Refuse messages from now on. The publisher stays open: its owner closes it."""
        self._closed.set()

    async def _sent(self, messages: Iterable[Message]) -> Result[None, BusCannotPublish]:
        """Publish messages, started in order; a Failure names all that the broker may not have."""
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
        if len(failures) > 1:  # merge them into one that names them all
            kind = MessageRefused if all(isinstance(one, MessageRefused) for one in failures) else BusCannotPublish
            failures = [kind(additional_info={"message": "; ".join(one.detail() for one in failures)})]
        return Failure(failures[0]) if failures else Success(None)


class RabbitMqDomainEventBus(_Bus, AsyncDomainEventBus):
    """Event bus over a publisher; subscribers in other processes handle the events later.

    Several events reach the broker in order, and are confirmed together. A Failure names those that the broker may not
    have; it has the others. To lose no event, store them in a transaction and let a relay publish them.

    >>> from domainkit import AsyncInmemoryDomainEventBus, AsyncInmemoryMessagePublisher
    >>> class TaskCreated(DomainEvent): ...
    >>> codec, heard = MessageCodec(TaskCreated), AsyncInmemoryDomainEventBus()
    >>> publisher = AsyncInmemoryMessagePublisher(codec, events=heard)  # a RabbitMqPublisher in production
    >>> asyncio.run(RabbitMqDomainEventBus(codec, publisher).publish(TaskCreated()))
    <Success: None>

    Args:
        codec: encodes the events.
        publisher: a RabbitMqPublisher; it may be shared.
    """

    async def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Publish an event, or several in their order, and wait until the broker has them.

        A Failure with MessageRefused if one can't be encoded, or is already in the outbox of the open unit of work; no
        event is published then. Also if the publisher refuses one: see RabbitMqPublisher.
        """
        several = events_for(self, events)
        return stored_already(several) or await self._sent(several)


class RabbitMqCommandBus(_Bus, AsyncCommandBus):
    """Command bus that sends a command to the one queue of its handler, which handles it later in another process.

    Args:
        codec: encodes the commands.
        publisher: a RabbitMqPublisher; it may be shared.
    """

    async def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Dispatch a command, and wait until the broker has it; the handler's result doesn't come back here."""
        return await self._sent((command_for(self, command),))
