"""Properties and headers that other clients may write: they go on as they came, and stop nothing."""

import asyncio
import struct
from datetime import timedelta

import pytest
from pamqp.commands import Basic
from rabbits import AT_ONCE, CODEC, Board, Heard, TaskCreated, consumer, crash, fail, publish
from returns.result import Success

from domainkit.adapters.rabbitmq import PROBLEMS_HEADER, Backoff, dead_letter_queue, redeliver
from domainkit.adapters.rabbitmq._connection import checked_url, connected
from domainkit.adapters.rabbitmq._handling import kept_of, moved_properties
from domainkit.adapters.rabbitmq._properties import KeptProperties

ENTRIES = {
    b"flag": b"t\x01",
    b"bytes": b"x" + struct.pack(">I", 2) + b"\xff\x00",
    b"caf\xe9": b"S" + struct.pack(">I", 4) + b"caf\xe9",
    b"large": b"d" + struct.pack(">d", 1e300),
    b"double": b"d" + struct.pack(">d", 0.1),
    b"float": b"f" + struct.pack(">f", 0.1),
    b"long": b"l" + struct.pack(">q", 5),
    b"short": b"s" + struct.pack(">h", -5),
    b"unsigned": b"u" + struct.pack(">H", 65535),
    b"price": b"D" + struct.pack(">Bi", 2, 1999),
    b"nothing": b"V",
    b"far": b"T" + struct.pack(">Q", 2**62),
    b"n" * 200: b"I" + struct.pack(">i", 1),
    b"nested": b"F" + struct.pack(">I", 8) + b"\x01aA" + struct.pack(">I", 1) + b"V",
}
"""Headers as octets: their names, and their types with their values."""


def table(entries: dict[bytes, bytes]) -> bytes:
    """Return a table of headers as octets."""
    content = b"".join(bytes([len(name)]) + name + value for name, value in entries.items())
    return struct.pack(">I", len(content)) + content


class Octets(Basic.Properties):
    """Properties of another client: all that it says is headers, and an id that is no text."""

    def __init__(self, headers: bytes, message_id: bytes = b"\xe9") -> None:
        super().__init__(message_id="in-this-process")
        self._octets = struct.pack(">H", 0x2080) + headers + bytes([len(message_id)]) + message_id

    def marshal(self) -> bytes:
        """Return the octets."""
        return self._octets


async def sent(board: Board, body: bytes, properties: Basic.Properties) -> None:
    """Publish a message with properties of octets."""
    topic = board.topology.exchange
    channel = await board.channel.get_underlay_channel()
    await channel.basic_publish(
        body, exchange=topic, routing_key=f"{topic}.1.event.task_created", properties=properties
    )


async def properties_in(board: Board, queue: str) -> KeptProperties:
    """Wait for a message, take it off a queue, and return its properties as octets."""
    async with connected(checked_url(board.url, "test"), "test", 10) as connection, asyncio.timeout(20):
        channel = await (await connection.channel()).get_underlay_channel()
        while isinstance(  # noqa: ASYNC110  (the broker has no event to wait for)
            (raw := await channel.basic_get(queue, no_ack=True)).delivery, Basic.GetEmpty
        ):
            await asyncio.sleep(0.01)
    return kept_of(raw)


def entries_of(properties: KeptProperties) -> dict[bytes, bytes]:
    """Return those of the headers of ENTRIES that properties have, as octets."""
    found = properties.parts["headers"]
    return {name: value for name, value in ENTRIES.items() if bytes([len(name)]) + name + value in found}


async def test_a_dead_letter_has_its_headers_byte_for_byte(board: Board) -> None:
    """Whatever they hold, a message is buried with them, goes back with them, and the next one is handled."""
    heard, queue = Heard(), board.topology.subscriber_queue("greeter")
    async with consumer(board, heard):
        await sent(board, b"hush", Octets(table(ENTRIES)))
        await publish(board, "milk")
        assert ["milk"] == await heard.heard(1)
        found = await properties_in(board, dead_letter_queue(queue))
    assert ENTRIES == entries_of(found)
    assert b"\x01\xe9" == found.parts["message_id"]
    assert PROBLEMS_HEADER.encode() in found.parts["headers"]


async def test_a_letter_goes_back_as_it_came(board: Board) -> None:
    """Without the headers of its death it has those that it was sent with, and no more than its queue's count."""
    queue = board.topology.subscriber_queue("greeter")
    async with consumer(board, Heard()):
        await sent(board, b"hush", Octets(table(ENTRIES)))
        await board_has(board, dead_letter_queue(queue))
    assert Success(1) == await redeliver(board.url, queue)
    found = await properties_in(board, queue)
    assert ENTRIES == entries_of(found)
    assert len(table(ENTRIES)) == len(moved_properties(found).parts["headers"])


async def board_has(board: Board, queue: str) -> None:
    """Wait until a message is in a queue."""
    async with asyncio.timeout(20):
        while not await board.count(queue):  # noqa: ASYNC110  (the broker has no event to wait for)
            await asyncio.sleep(0.01)


async def test_one_that_waits_has_its_headers_byte_for_byte(board: Board) -> None:
    """A message that failed and came back out of its wait queue, counted, is a dead letter with the headers it had."""
    board.waits.add(20)
    heard, queue = Heard(fail, crash, fail), board.topology.subscriber_queue("greeter")
    async with consumer(board, heard, backoff=Backoff(timedelta(milliseconds=20), longest=timedelta(milliseconds=20))):
        await sent(board, CODEC.encode(TaskCreated("milk")), Octets(table(ENTRIES)))
        found = await properties_in(board, dead_letter_queue(queue))
    assert ["milk"] * 3 == heard.titles
    assert ENTRIES == entries_of(found)
    assert 2 == found.number("domainkit-failures")


@pytest.mark.parametrize("size", [130_000, 130_700, 130_950])
async def test_headers_as_large_as_the_broker_takes_end_nothing(board: Board, size: int) -> None:
    """If this library's headers would be too much, a message is counted here, and buried with those that have room."""
    board.waits.add(20)
    heard, queue = Heard(fail, fail, fail), board.topology.subscriber_queue("greeter")
    headers = table({b"large": b"x" + struct.pack(">I", size) + bytes(size)})
    async with consumer(board, heard, backoff=Backoff(timedelta(milliseconds=20), longest=timedelta(milliseconds=20))):
        await sent(board, CODEC.encode(TaskCreated("milk")), Octets(headers))
        found = await properties_in(board, dead_letter_queue(queue))
    assert ["milk"] * 3 == heard.titles
    assert found.parts["headers"].startswith(headers[4:], 4) or PROBLEMS_HEADER.encode() in found.parts["headers"]


async def test_a_message_without_an_id_is_known_when_it_comes_back(board: Board) -> None:
    """It gets an id on its way, so that no message is lost if a queue is gone: it is tried until there is one."""
    queue = board.topology.subscriber_queue("greeter")
    async with consumer(board, Heard(), backoff=AT_ONCE):
        await board.channel.queue_delete(dead_letter_queue(queue))
        await sent(board, b"hush", Octets(table(ENTRIES), b""))
        await asyncio.sleep(0.3)
        await board.channel.declare_queue(dead_letter_queue(queue), durable=True, arguments={"x-queue-type": "quorum"})
        await (await board.channel.get_queue(dead_letter_queue(queue))).bind(board.topology.dead_letter_exchange, queue)
        found = await properties_in(board, dead_letter_queue(queue))
    assert ENTRIES == entries_of(found)
    assert 33 == len(found.parts["message_id"])


def test_a_value_of_an_unknown_type_is_kept_with_all_behind_it() -> None:
    """A table of tomorrow goes on as it is, with what is known before it."""
    properties = KeptProperties({"headers": table({b"one": b"b\x01", b"new": b"?what" + b"\x03two" + b"b\x02"})})
    assert (1, None) == (properties.number("one"), properties.number("two"))
    assert properties.parts == properties.without(frozenset(), lambda _: False).parts
    assert bytes(2) == moved_properties(KeptProperties.of(None)).marshal()
