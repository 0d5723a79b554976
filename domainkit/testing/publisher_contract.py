"""The promises of every AsyncMessagePublisher, as tests: derive one class, and run it with pytest."""

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
    """The promises of an AsyncMessagePublisher, which a relay hands messages to.

    Each test has an event loop of its own, in which the publisher is made, used and closed.

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
        """Return a new publisher, to a place where nothing has arrived and somebody subscribed to SampleTaskCreated."""

    @abstractmethod
    async def received(self, publisher: PublisherT, count: int, /) -> Sequence[bytes]:
        """Wait for `count` messages where `publisher` hands them over, and return the bodies of all in their order."""

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[PublisherT]:
        publisher = await self.make_publisher()
        try:
            yield publisher
        finally:
            await publisher.close()

    def test_a_message_arrives(self) -> None:
        """A message arrives byte for byte, and the answer is Success(None)."""

        async def run() -> None:
            async with self._open() as publisher:
                message = _message()
                assert value_of(await publisher.publish(message)) is None, "a publisher answers Success(None)"
                expect_arrived([message.body], await self.received(publisher, 1))

        asyncio.run(run())

    def test_messages_of_a_key_keep_their_order(self) -> None:
        """Messages of one key that are published one after the other arrive in that order, each once."""

        async def run() -> None:
            async with self._open() as publisher:
                messages = [_message("one key") for _ in range(10)]
                for message in messages:
                    value_of(await publisher.publish(message))
                expect_arrived([one.body for one in messages], await self.received(publisher, len(messages)))

        asyncio.run(run())

    def test_messages_are_published_side_by_side(self) -> None:
        """Messages of several keys may be published at the same time: all arrive, each once."""

        async def run() -> None:
            async with self._open() as publisher:
                messages = [_message() for _ in range(20)]
                for answer in await asyncio.gather(*map(publisher.publish, messages)):
                    value_of(answer)
                found = await self.received(publisher, len(messages))
                expect_arrived(sorted(one.body for one in messages), sorted(found))

        asyncio.run(run())

    def test_a_closed_publisher_refuses(self) -> None:
        """A message handed to a closed publisher is BusCannotPublish, and not to blame; to close again does nothing."""

        async def run() -> None:
            async with self._open() as publisher:
                await publisher.close()
                error = error_of(await publisher.publish(_message()), BusCannotPublish)
                assert not isinstance(error, MessageRefused), "the message isn't at fault: a relay would count it"
                assert error.additional_info, "the error says why the publisher cannot publish"

        asyncio.run(run())


def _message(key: str | None = None) -> OutgoingMessage:
    """Return a new message; in an order of its own unless there is a key."""
    return OutgoingMessage.of(SampleTaskCreated(SampleTaskId.v4()), MessageCodec(SampleTaskCreated), key=key)
