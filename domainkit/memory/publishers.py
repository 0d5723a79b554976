"""A publisher in memory: a relay delivers to it if there is no broker."""

from returns.result import Failure, Result, Success

from domainkit.codec import MessageCodec
from domainkit.delivery import AsyncMessagePublisher, OutgoingMessage
from domainkit.errors import BusCannotPublish, MessageRefused
from domainkit.messages import Command, DomainEvent
from domainkit.ports import AsyncCommandBus, AsyncDomainEventBus, cannot_publish


class AsyncInmemoryMessagePublisher(AsyncMessagePublisher):
    """Decodes each message, and hands it over to a bus of the same process before `publish` returns.

    >>> import asyncio
    >>> from domainkit import AsyncInmemoryDomainEventBus
    >>> class TaskCreated(DomainEvent): ...
    >>> codec, bus = MessageCodec(TaskCreated), AsyncInmemoryDomainEventBus()
    >>> publisher = AsyncInmemoryMessagePublisher(codec, events=bus)
    >>> asyncio.run(publisher.publish(OutgoingMessage.of(TaskCreated(), codec)))
    <Success: None>
    >>> len(bus.published)
    1

    Args:
        codec: knows the classes of the messages.
        events: where domain events go; without one they are refused.
        commands: where commands go; without one they are refused.
    """

    def __init__(
        self, codec: MessageCodec, *, events: AsyncDomainEventBus | None = None, commands: AsyncCommandBus | None = None
    ) -> None:
        self._codec = codec
        self._events = events
        self._commands = commands
        self._open = True

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        """Hand a message over, and return what its bus answers; of several forms of it, the one that the codec reads.

        A Failure with MessageRefused where it can't be decoded, no bus takes it, or one who handles it failed; with
        another BusCannotPublish where the bus, or this publisher, is closed.
        """
        if not self._open:
            return cannot_publish("the publisher is closed")
        if self._codec.reads_another_form(message.body):
            return Success(None)
        decoded = self._codec.decode(message.body)
        if isinstance(decoded, Failure):
            return cannot_publish("it can't be decoded", message_id=message.id, kind=MessageRefused)
        found = decoded.unwrap()
        if isinstance(found, DomainEvent) and self._events is not None:
            return await self._events.publish(found)
        if isinstance(found, Command) and self._commands is not None:
            return await self._commands.dispatch(found)
        reason = f"there is no bus for a {message.info.kind}"
        return cannot_publish(reason, message_id=message.id, kind=MessageRefused)

    async def close(self) -> None:
        """Refuse messages from now on; the buses stay open."""
        self._open = False
