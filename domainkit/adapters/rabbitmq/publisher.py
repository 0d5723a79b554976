"""Publisher to RabbitMQ: one shared connection and channel with confirms, reopened when lost."""

import asyncio
import logging
import re
from datetime import timedelta
from typing import Self

from aio_pika import ExchangeType, connect
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelPreconditionFailed, DeliveryError, PublishError
from returns.result import Failure, Result, Success

from domainkit.adapters.rabbitmq._connection import LOST, checked_url, closed, is_cancelled, place, seconds
from domainkit.adapters.rabbitmq._lane import SHORT_STRING, Lane, lane_over
from domainkit.adapters.rabbitmq.topology import RabbitMqTopology
from domainkit.delivery import AsyncMessagePublisher, OutgoingMessage, Unrouted, Unsubscribed
from domainkit.errors import BusCannotPublish, MessageRefused
from domainkit.ports import cannot_publish

_logger = logging.getLogger("domainkit.rabbitmq")

_TOO_LARGE = re.compile(r"message size \d+ .*larger than .*max size (\d+)")
"""RabbitMQ's reason for closing a channel, with its `max_message_size`: nothing but this text has the limit."""


class _TooLargeError(Exception):
    """A body is above the broker's limit."""


_NOT_SENT: tuple[type[BaseException], ...] = (*LOST, asyncio.CancelledError, _TooLargeError)


class RabbitMqPublisher(AsyncMessagePublisher):
    """Publishes messages to RabbitMQ: persistent, confirmed, and commands only if a queue is bound for them.

    It connects at first use, and reconnects by itself after an outage: without a broker, a message is a Failure within
    `timeout`, and the next one tries again. All callers share one channel and don't wait for each other's confirms; the
    broker gets the messages in the order in which `publish` was called.

        async with RabbitMqPublisher("amqp://user:secret@broker/", topology) as publisher:
            await publisher.publish(OutgoingMessage.of(event, codec))

    A domain event without a bound queue counts as published: it has no subscribers. A warning is logged once for each
    type, and the status of an outbox counts them. Any other message without a queue is refused.

    AMQP's own properties describe a message: `message_id`, its name as `type`, the topology's service as `app_id`, the
    time of publishing as `timestamp`, its key as `correlation_id` (unless it has more than 255 bytes), `content_type`
    and `content_encoding`. There are no headers: petisco loses a message with headers if its first handling fails. See
    https://www.rabbitmq.com/docs/confirms.

    >>> RabbitMqPublisher("amqp://ada:hush@broker/", RabbitMqTopology("acme.tasks", service="core"))
    RabbitMqPublisher(broker:5672, acme.tasks)

    Args:
        url: the URL of the broker, `amqp://user:password@host:port/vhost`, optionally with `?heartbeat=10` (seconds)
            and other options of aio-pika.
        topology: the exchange; a durable one is declared if it doesn't exist.
        timeout: the time for a message, connecting included, before it is a Failure.
        unrouted: the messages that count as published without a bound queue: domain `"events"`, `"all"`, or `"none"`;
            the others are refused.

    Raises:
        ValueError: `url` is not a broker's, `timeout` isn't above 0, or `unrouted` is another value.
    """

    def __init__(
        self,
        url: str,
        topology: RabbitMqTopology,
        *,
        timeout: timedelta = timedelta(seconds=10),
        unrouted: Unrouted = "events",
    ) -> None:
        self._url = checked_url(url, "RabbitMqPublisher")
        self._topology = topology
        self._timeout = seconds(timeout, "RabbitMqPublisher", "timeout")
        self._unsubscribed = Unsubscribed("RabbitMqPublisher", unrouted, _logger)
        self._lock = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._lane: Lane | None = None
        self._limit: int | None = None  # the broker's for a body, if the last channel was closed because of it
        self._last_confirm = 0.0  # in the loop's time
        self._in_flight: set[str] = set()
        self._ended: dict[str, asyncio.Event] = {}  # for those who wait until an id is no longer in flight
        self._closing: set[asyncio.Task[None]] = set()
        self._failure: BaseException = ConnectionError()  # of the last attempt to connect
        self._tries = 0  # failed attempts
        self._outage_logged = False
        self._open = True

    def __repr__(self) -> str:
        return f"RabbitMqPublisher({place(self._url)}, {self._topology.exchange})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        """Publish a message, and wait until the broker has it on disk, in every queue bound for it.

        A Failure with MessageRefused if no queue is bound for it (unless it counts as published, see `unrouted`), its
        body is above the broker's `max_message_size`, or the broker rejects it (a full queue); with another
        BusCannotPublish if the broker is unreachable, or didn't confirm within `timeout`. If a message is sent in
        several versions, some of them may have no queue.

        The broker closes the channel because of a body that is too large: messages in flight beside it are sent again,
        so it may get them twice.
        """
        key = self._topology.routing_key(message.info)
        if len(key.encode()) > SHORT_STRING:
            return self._refused(message, f"its routing key is too long ({len(key)} characters)")
        try:
            await self._send(message, key)
        except _NOT_SENT as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            if isinstance(error, PublishError) and self._counts_as_published(message, key):
                return Success(None)
            return self._failure_for(message, key, error)
        return Success(None)

    async def close(self) -> None:
        """Close the connection. From now on messages are a Failure, as are those still in flight."""
        self._open = False
        self._drop()
        async with self._lock:  # wait for an attempt to connect
            self._drop()
        while self._closing:
            await asyncio.gather(*self._closing)

    async def _send(self, message: OutgoingMessage, key: str) -> None:
        """Publish, and wait for the confirm; if the channel is closed because of a too large message, do so again.

        A message that is too large itself is refused then, since the limit is known.
        """
        until = asyncio.get_running_loop().time() + self._timeout
        while not await self._confirmed(message, key, until):
            pass
        self._last_confirm = asyncio.get_running_loop().time()
        if self._outage_logged:
            self._outage_logged = False
            _logger.warning("%s: messages are published to %s again", place(self._url), self._topology.exchange)

    async def _confirmed(self, message: OutgoingMessage, key: str, until: float) -> bool:
        """Publish, and wait for the confirm; an id is in flight once at a time, since a refusal names only the id.

        Return False if the channel was closed because of a too large message, this one or another.
        """
        message_id = str(message.id)
        while (lane := self._lane) is None or lane.channel.is_closed or message_id in self._in_flight:
            async with asyncio.timeout_at(until):
                await (self._end_of(message_id) if message_id in self._in_flight else self._connect())
        _check_size(message, self._limit)
        self._in_flight.add(message_id)
        try:
            await lane.publish(message, message_id, key, until)
        except LOST:
            if _limit_that_closed(lane) is None:
                raise
            return False
        finally:
            self._in_flight.discard(message_id)
            if message_id in self._ended:
                self._ended.pop(message_id).set()
        return True

    async def _end_of(self, message_id: str) -> None:
        """Wait until an id is no longer in flight."""
        await self._ended.setdefault(message_id, asyncio.Event()).wait()

    async def _connect(self) -> None:
        """Make a lane over an open channel, after the exchange is declared, unless another call does so meanwhile."""
        tries = self._tries
        async with self._lock:
            if self._tries != tries:  # an attempt that failed meanwhile counts for all that waited
                raise self._failure.with_traceback(None)
            if self._lane is None or self._lane.channel.is_closed:  # no other call opened one meanwhile
                self._limit = _limit_that_closed(self._lane)  # it may be another one after an outage
                self._drop()
                try:
                    self._lane = await self._connected()
                except LOST as error:
                    self._failure, self._tries = error, self._tries + 1
                    raise

    async def _connected(self) -> Lane:
        if not self._open:
            raise ConnectionError
        name = f"domainkit publisher of {self._topology.exchange}"
        self._connection = connection = await connect(self._url, client_properties={"connection_name": name})
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.declare_exchange(self._topology.exchange, ExchangeType.TOPIC, durable=True)
        _logger.info("connected to %s, to publish to %s", place(self._url), self._topology.exchange)
        return lane_over(await channel.get_underlay_channel(), self._topology.exchange, self._topology.service)

    def _drop(self) -> None:
        """Drop the connection, and close it in a task, since a hanging broker takes long to answer."""
        connection, self._connection, self._lane = self._connection, None, None
        if connection is not None:
            task = asyncio.create_task(closed(connection, self._timeout))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _failure_for(self, message: OutgoingMessage, key: str, error: BaseException) -> Failure[BusCannotPublish]:
        """Return the Failure for an error of aio-pika."""
        if isinstance(error, PublishError):
            return self._refused(message, f"no queue is bound for {key!r}; start its consumer once")
        if isinstance(error, DeliveryError):
            return self._refused(message, "the broker rejected it: a queue bound for it is full or unavailable")
        if isinstance(error, _TooLargeError):
            return self._refused(message, str(error))
        if isinstance(error, ChannelPreconditionFailed):
            return self._failed(
                message, f"{self._topology.exchange!r} exists, and is not a durable topic exchange; use another name"
            )
        if not isinstance(error, TimeoutError):
            return self._failed(message, f"no connection to the broker ({type(error).__name__})")
        if asyncio.get_running_loop().time() - self._last_confirm >= self._timeout:
            self._drop()  # no confirm for this long: the next message tries a new connection
        return self._failed(message, f"no confirm within {self._timeout:g} seconds; the broker may have the message")

    def _counts_as_published(self, message: OutgoingMessage, key: str) -> bool:
        """Check if a message without a bound queue counts as published."""
        if message.sent_as:  # no consumer needs this version, and the message is sent in others
            return True
        reason = f"no queue is bound for {key!r} at {self._topology.exchange}"
        return self._unsubscribed.counts_as_published(message, reason)

    def _failed(self, message: OutgoingMessage, reason: str) -> Failure[BusCannotPublish]:
        why = f"{place(self._url)}: {reason}" if self._open else "the publisher is closed"
        if self._open and not self._outage_logged:
            self._outage_logged = True
            _logger.warning("no message is published to %s: %s", self._topology.exchange, why)
        _logger.debug("%s %s (%d bytes) not published: %s", message.info.name, message.id, len(message.body), why)
        return cannot_publish(why, message_id=message.id)

    def _refused(self, message: OutgoingMessage, reason: str) -> Failure[BusCannotPublish]:
        why = f"{self._topology.exchange}: {reason}"
        _logger.warning("%s %s (%d bytes) refused: %s", message.info.name, message.id, len(message.body), why)
        return cannot_publish(why, message_id=message.id, kind=MessageRefused)


def _limit_that_closed(lane: Lane | None) -> int | None:
    """Return the broker's limit for a body, if it closed the channel of a lane because one was larger."""
    if lane is None or not lane.channel.is_closed or lane.channel.closing.cancelled():
        return None
    found = _TOO_LARGE.search(str(lane.channel.closing.exception()))
    return None if found is None else int(found[1])


def _check_size(message: OutgoingMessage, limit: int | None) -> None:
    """Check that the broker accepts a message of this size.

    Raises:
        _TooLargeError: its body is above the limit.
    """
    if limit is not None and len(message.body) > limit:
        raise _TooLargeError(
            f"its body has {len(message.body)} bytes, above the broker's max_message_size of {limit};"
            " make it smaller, or raise the limit"
        )
