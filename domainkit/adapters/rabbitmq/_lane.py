"""Lanes: publishing over a channel of aiormq, without its work for each message.

`Channel.basic_publish` of aiormq needs a coroutine, a lock, a timeout, two futures, a write and the marshalling of each
property for a message: that was four fifths of the time of a relay. A lane does once what is the same for all messages
of a type, and writes all messages of one turn of the event loop together. The rest is left to aiormq: connecting, TLS,
heartbeats, the reading of confirms and returns, closing.

A lane relies on parts of `aiormq.channel.Channel` that aren't documented, though their names have no underscore:

- `delivery_tag`: the number of the last message of the channel; the broker counts along.
- `confirmations`: for each number a future without an answer yet. Its result is the broker's ack (which may be for all
  numbers up to its own); DeliveryError is a nack, PublishError a returned message, since no queue is bound for it.
- `message_id_delivery_tag`: the number of each message id, since a returned message has no number.
- `write_queue`, `create_future`, `create_task`: how octets get to the writer of the connection. The future is set after
  they left its buffer; futures and tasks made here end with the channel. What it doesn't know of is ended at `closing`.
- `max_content_size`: the octets of a body that fit one frame.

Nothing else may publish on the channel. TESTED are the versions that the tests of this file passed with; with others,
or if one of these parts is missing, messages are published by `basic_publish`, as slowly as it does.

See AMQP 0-9-1, 2.3.5 and 4.2.6, on frames, and https://www.rabbitmq.com/docs/confirms.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from time import time
from typing import Final

from aio_pika import DeliveryMode
from aiormq.abc import AbstractChannel, ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError
from attrs import frozen
from pamqp.commands import Basic
from pamqp.constants import FRAME_BODY, FRAME_END_CHAR, FRAME_HEADER
from pamqp.frame import marshal

from domainkit.adapters.rabbitmq._connection import LOST
from domainkit.delivery import OutgoingMessage
from domainkit.messages import MessageInfo

TESTED: Final = ((7, 1), (7, 2))
"""The minor versions of aiormq that direct lanes were tested with."""

SHORT_STRING: Final = 255
"""The maximum bytes of a routing key, or of a text property: short strings of AMQP 0-9-1, section 4.2.5.3."""

_PARTS = ("confirmations", "delivery_tag", "max_content_size", "message_id_delivery_tag", "write_queue")
_PREFIX = Basic.frame_id.to_bytes(2) + bytes(2)
"""Octets of a content header before the size of the body: its class, and a weight of 0."""

_PACE = 0.05
"""The shortest time between two looks for messages whose time is over, in seconds."""

_TYPES = 1_000
"""The maximum number of types of messages whose octets are kept."""


class Lane(ABC):
    """Publishes messages to an exchange, over a channel of its own.

    Args:
        channel: with confirms, and with PublishError for returned messages.
        exchange: the name of the exchange.
        service: the name of the service that sends the messages.
    """

    def __init__(self, channel: AbstractChannel, exchange: str, service: str) -> None:
        self.channel: AbstractChannel = channel
        self._exchange, self._service = exchange, service

    @abstractmethod
    async def publish(self, message: OutgoingMessage, message_id: str, key: str, until: float) -> None:
        """Publish a persistent message, and wait for its confirm; messages keep the order of the calls.

        Args:
            message: the message.
            message_id: its id as text; no other message with this id may be on its way.
            key: its routing key.
            until: when to give up, in the time of the event loop.

        Raises:
            TimeoutError: there was no answer in time; the broker may have the message.
            PublishError: no queue is bound for the routing key.
            DeliveryError: the broker rejected the message.
            AMQPError, ConnectionError, OSError, RuntimeError, CancelledError: the channel is lost.
        """


class OrdinaryLane(Lane):
    """Publishes with `basic_publish`, over any version of aiormq."""

    async def publish(self, message: OutgoingMessage, message_id: str, key: str, until: float) -> None:
        """Publish a message, as the base class says."""
        properties = _common_properties(message.info, self._service)
        properties.message_id, properties.timestamp = message_id, datetime.now(UTC)
        properties.correlation_id = _correlation(message)
        async with asyncio.timeout_at(until):
            await self.channel.basic_publish(
                message.body, exchange=self._exchange, routing_key=key, properties=properties, mandatory=True
            )


@frozen
class _Type:
    """Octets that messages of a type have in common.

    Args:
        method: the frame of the method.
        flags: those of the properties, without and with a correlation id.
        before: the properties before the correlation id.
        after: the properties after the time.
    """

    method: bytes
    flags: tuple[bytes, bytes]
    before: bytes
    after: bytes


class _Confirm(asyncio.Future[object]):
    """Future of the broker's answer; one that comes after a timeout is ignored, and is no error of the channel.

    Args:
        until: when to give up, in the time of the event loop.
    """

    def __init__(self, until: float) -> None:
        super().__init__()
        self.until: float = until

    def set_result(self, result: object, /) -> None:
        """Set the broker's ack."""
        if not self.done():
            super().set_result(result)

    def set_exception(self, exception: BaseException | type[BaseException], /) -> None:
        """Set the reason why there is no ack."""
        if not self.done():
            super().set_exception(exception)


class DirectLane(Lane):
    """Publishes by writing frames to the connection: those of all messages of a turn of the event loop at once."""

    def __init__(self, channel: Channel, exchange: str, service: str) -> None:
        super().__init__(channel, exchange, service)
        self._open = channel
        self._number = channel.number.to_bytes(2)
        self._type_of = lru_cache(_TYPES)(self._new_type)
        self._unsent: list[bytes] = []
        self._sending = False
        self._late: asyncio.TimerHandle | None = None
        channel.closing.add_done_callback(self._lost)

    async def publish(self, message: OutgoingMessage, message_id: str, key: str, until: float) -> None:
        """Publish a message, as the base class says."""
        channel = self._open
        if channel.is_closed:
            raise ChannelInvalidStateError("the channel is closed")
        self._unsent += self._frames(message, message_id, key)
        channel.delivery_tag += 1
        confirm = channel.confirmations[channel.delivery_tag] = _Confirm(until)
        channel.message_id_delivery_tag[message_id] = channel.delivery_tag
        if not self._sending:
            self._sending = True
            channel.create_task(self._send())
        if self._late is None or self._late.when() > until:
            self._wake_at(until)
        try:
            await confirm
        finally:
            channel.message_id_delivery_tag.pop(message_id, None)

    async def _send(self) -> None:
        """Send frames as fast as the connection takes them; those that come meanwhile follow together."""
        with suppress(*LOST):  # of a lost channel, as _lost tells those who wait
            while self._unsent:
                octets, self._unsent = b"".join(self._unsent), []
                gone = self._open.create_future()
                await self._open.write_queue.put(ChannelFrame(octets, should_close=False, drain_future=gone))
                await gone
        self._sending = False

    def _waiting(self) -> list[_Confirm]:
        """Return the confirms that have no answer yet."""
        waiting = self._open.confirmations.values()
        return [one for one in waiting if isinstance(one, _Confirm) and not one.done()]

    def _wake_at(self, when: float) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = asyncio.get_running_loop().call_at(when, self._give_up)

    def _give_up(self) -> None:
        """End the messages whose time is over. One timer for all of them costs less than one for each."""
        self._late, now = None, asyncio.get_running_loop().time()
        for confirm in self._waiting():
            if confirm.until <= now:
                confirm.set_exception(TimeoutError())
        if left := self._waiting():
            self._wake_at(max(now + _PACE, min(confirm.until for confirm in left)))

    def _lost(self, closing: "asyncio.Future[None]") -> None:
        """End the messages that wait for an answer: aiormq doesn't know of them."""
        error = None if closing.cancelled() else closing.exception()
        for confirm in self._waiting():
            confirm.set_exception(error or ChannelInvalidStateError("the channel is closed"))
        if self._late is not None:
            self._late.cancel()

    def _frames(self, message: OutgoingMessage, message_id: str, key: str) -> list[bytes]:
        """Return the frames of a message: its method, its header, and its body in as many as it needs."""
        kind, order = self._type_of(message.info, key), _correlation(message).encode()
        properties = b"%b%b%b%b%b%b" % (
            kind.flags[bool(order)],
            kind.before,
            _short(order) if order else b"",
            _short(message_id.encode()),
            int(time()).to_bytes(8),
            kind.after,
        )
        body, size = message.body, self._open.max_content_size
        header = self._frame(FRAME_HEADER, _PREFIX + len(body).to_bytes(8) + properties)
        parts = (body[start : start + size] for start in range(0, len(body), size))
        return [kind.method, header, *(self._frame(FRAME_BODY, part) for part in parts)]

    def _frame(self, kind: int, payload: bytes) -> bytes:
        return b"%c%b%b%b%b" % (kind, self._number, len(payload).to_bytes(4), payload, FRAME_END_CHAR)

    def _new_type(self, info: MessageInfo, key: str) -> _Type:
        """Return the octets of a type, as pamqp writes them."""
        publish = Basic.Publish(exchange=self._exchange, routing_key=key, mandatory=True)
        common, flag = _common_properties(info, self._service), Basic.Properties.flags
        flags = int.from_bytes(common.marshal()[:2]) | flag["message_id"] | flag["timestamp"]
        names = Basic.Properties.__slots__
        return _Type(
            marshal(publish, self._open.number),
            (flags.to_bytes(2), (flags | flag["correlation_id"]).to_bytes(2)),
            _octets(common, names[: names.index("correlation_id")]),
            _octets(common, names[names.index("timestamp") + 1 :]),
        )


def lane_over(channel: AbstractChannel, exchange: str, service: str) -> Lane:
    """Return the fastest lane that works over a channel."""
    tested = tuple(map(int, version("aiormq").split(".")[:2])) in TESTED
    if tested and isinstance(channel, Channel) and all(hasattr(channel, part) for part in _PARTS):
        return DirectLane(channel, exchange, service)
    return OrdinaryLane(channel, exchange, service)


def _common_properties(info: MessageInfo, service: str) -> Basic.Properties:
    """Return the properties that all messages of a type have in common.

    There are no headers: petisco 2 adds the header for its retries only if there are none.
    """
    return Basic.Properties(
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=int(DeliveryMode.PERSISTENT),
        message_type=info.name,
        app_id=service,
    )


def _correlation(message: OutgoingMessage) -> str:
    """Return the correlation id of a message, its key; or no text if the key is too long.

    An exchange of the type x-consistent-hash can hash on it: see
    https://github.com/rabbitmq/rabbitmq-server/tree/main/deps/rabbitmq_consistent_hash_exchange.
    """
    return message.key if len(message.key.encode()) <= SHORT_STRING else ""


def _octets(properties: Basic.Properties, names: Sequence[str]) -> bytes:
    """Return some of the properties as octets, without flags."""
    some = Basic.Properties()
    for name in names:
        setattr(some, name, getattr(properties, name))
    return some.marshal()[2:]


def _short(octets: bytes) -> bytes:
    return b"%c%b" % (len(octets), octets)
