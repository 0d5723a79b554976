"""Publishers keep their contract, and the contract catches planted bugs."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from returns.result import Failure, Result, Success

from domainkit import (
    AsyncInmemoryDomainEventBus,
    AsyncInmemoryMessagePublisher,
    BusCannotPublish,
    MessageCodec,
    MessageRefused,
    OutgoingMessage,
)
from domainkit.testing import AsyncMessagePublisherContract, SampleTaskCreated

CODEC = MessageCodec(SampleTaskCreated)


class Memory(AsyncInmemoryMessagePublisher):
    """A publisher with a bus of its own."""

    def __init__(self) -> None:
        self.bus = AsyncInmemoryDomainEventBus()
        super().__init__(CODEC, events=self.bus)


class Contract(AsyncMessagePublisherContract[Memory]):
    """The contract of Memory, or of a class of publishers below it."""

    __test__ = False
    made: type[Memory] = Memory

    async def make_publisher(self) -> Memory:
        return self.made()

    async def received(self, publisher: Memory, count: int) -> Sequence[bytes]:
        return [CODEC.encode(event) for event in publisher.bus.published]


class TestInmemoryMessagePublisher(Contract):
    __test__ = True


class Loses(Memory):
    """Answers, and forgets."""

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        return Success(None)


class LosesWhatIsPublishedMeanwhile(Memory):
    """Publishes one at a time, and takes no other meanwhile."""

    busy = False

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        if self.busy:
            return Success(None)
        self.busy = True
        await asyncio.sleep(0)
        self.busy = False
        return await super().publish(message)


class SendsTwice(Memory):
    """Publishes each message twice."""

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        await super().publish(message)
        return await super().publish(message)


class BlamesTheMessage(Memory):
    """Refuses a message where it is closed."""

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        answer = await super().publish(message)
        return Failure(MessageRefused()) if isinstance(answer, Failure) else answer


class NeverCloses(Memory):
    """Goes on."""

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (Loses, "test_a_message_arrives"),
        (LosesWhatIsPublishedMeanwhile, "test_messages_are_published_side_by_side"),
        (SendsTwice, "test_messages_of_a_key_keep_their_order"),
        (BlamesTheMessage, "test_a_closed_publisher_refuses"),
        (NeverCloses, "test_a_closed_publisher_refuses"),
    ],
)
def test_a_planted_bug_is_caught(made: type[Memory], test: str) -> None:
    """The test that is for a promise fails where it is broken, with a text of its own."""
    contract: Any = Contract()
    contract.made = made
    with pytest.raises(AssertionError, match=r"expected"):
        getattr(contract, test)()
