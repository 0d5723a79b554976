"""Contract tests of every AsyncMessagePublisher: subclass the class, and run it with pytest."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from domainkit.codec import MessageCodec
from domainkit.delivery import AsyncMessagePublisher, OutgoingMessage
from domainkit.errors import BusCannotPublish, MessageRefused
from domainkit.testing._expect import error_of, expect_arrived, value_of
from domainkit.testing.samples import SampleTaskCreated, SampleTaskId

PublisherT = TypeVar("PublisherT", bound=AsyncMessagePublisher)


class AsyncMessagePublisherContract(ABC, Generic[PublisherT]):
    """Contract of an AsyncMessagePublisher, through which a relay publishes messages.

    Each test has its own event loop, in which the publisher is made, used and closed.

    >>> from domainkit import AsyncInmemoryDomainEventBus, AsyncInmemoryMessagePublisher
    >>> codec, bus = MessageCodec(SampleTaskCreated), AsyncInmemoryDomainEventBus()
    >>> class TestInmemory(AsyncMessagePublisherContract[AsyncInmemoryMessagePublisher]):
    ...     async def make_publisher(self) -> AsyncInmemoryMessagePublisher:
    ...         return AsyncInmemoryMessagePublisher(codec, events=bus)
    ...     async def received(self, publisher: AsyncInmemoryMessagePublisher, count: int) -> Sequence[bytes]:
    ...         return [codec.encode(event) for event in bus.published]
    >>> TestInmemory().test_a_message_arrives()
    """

    @abstractmethod
    async def make_publisher(self) -> PublisherT:
        """Return a new publisher to a destination without messages, with a subscriber to SampleTaskCreated."""

    @abstractmethod
    async def received(self, publisher: PublisherT, count: int, /) -> Sequence[bytes]:
        """Wait until the destination of `publisher` has `count` messages, and return the bodies of all, in order."""

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[PublisherT]:
        publisher = await self.make_publisher()
        try:
            yield publisher
        finally:
            await publisher.close()

    def test_a_message_arrives(self) -> None:
        """A message arrives byte for byte, and publish returns Success(None)."""

        async def run() -> None:
            async with self._open() as publisher:
                message = _message()
                assert value_of(await publisher.publish(message)) is None, "a publisher returns Success(None)"
                expect_arrived([message.body], await self.received(publisher, 1))

        asyncio.run(run())

    def test_messages_of_a_key_keep_their_order(self) -> None:
        """Messages with the same key, published one after the other, arrive in that order, each once."""

        async def run() -> None:
            async with self._open() as publisher:
                messages = [_message("one key") for _ in range(10)]
                for message in messages:
                    value_of(await publisher.publish(message))
                expect_arrived([one.body for one in messages], await self.received(publisher, len(messages)))

        asyncio.run(run())

    def test_messages_are_published_side_by_side(self) -> None:
        """Messages with different keys may be published at the same time: all arrive, each once."""

        async def run() -> None:
            async with self._open() as publisher:
                messages = [_message() for _ in range(20)]
                for answer in await asyncio.gather(*map(publisher.publish, messages)):
                    value_of(answer)
                found = await self.received(publisher, len(messages))
                expect_arrived(sorted(one.body for one in messages), sorted(found))

        asyncio.run(run())

    def test_a_closed_publisher_refuses(self) -> None:
        """Publishing to a closed publisher is BusCannotPublish, not MessageRefused; closing again does nothing."""

        async def run() -> None:
            async with self._open() as publisher:
                await publisher.close()
                error = error_of(await publisher.publish(_message()), BusCannotPublish)
                assert not isinstance(error, MessageRefused), "expected another error: a relay would count an attempt"
                assert error.additional_info, "the error has the reason in additional_info"

        asyncio.run(run())


def _message(key: str | None = None) -> OutgoingMessage:
    """Return a new message; without a key it has no order with others."""
    return OutgoingMessage.of(SampleTaskCreated(SampleTaskId.v4()), MessageCodec(SampleTaskCreated), key=key)
