"""In-memory publisher, for a relay without a broker."""

from returns.result import Failure, Result, Success

from domainkit.codec import MessageCodec
from domainkit.delivery import AsyncMessagePublisher, OutgoingMessage
from domainkit.errors import BusCannotPublish, MessageRefused
from domainkit.messages import Command, DomainEvent
from domainkit.ports import AsyncCommandBus, AsyncDomainEventBus, cannot_publish


class AsyncInmemoryMessagePublisher(AsyncMessagePublisher):
    """Publisher that decodes each message and passes it to a bus of the same process before `publish` returns.

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
        codec: decodes the messages.
        events: the bus for domain events, which are refused without one.
        commands: the bus for commands, which are refused without one.
    """

    def __init__(
        self, codec: MessageCodec, *, events: AsyncDomainEventBus | None = None, commands: AsyncCommandBus | None = None
    ) -> None:
        self._codec = codec
        self._events = events
        self._commands = commands
        self._open = True

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        """Pass a message to its bus, and return the answer; of several versions of it, only the one the codec reads.

        A Failure with MessageRefused if it can't be decoded, has no bus, or a handler failed; with another
        BusCannotPublish if the bus, or this publisher, is closed.
        """
        if not self._open:
            return cannot_publish("the publisher is closed")
        if self._codec.reads_another_form(message.body):
            return Success(None)
        decoded = self._codec.decode(message.body)
        if isinstance(decoded, Failure):
            return cannot_publish("the message can't be decoded", message_id=message.id, kind=MessageRefused)
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
