"""The publisher: one connection and channel for all who publish, opened where they are gone, confirms always on."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Self

from aio_pika import DeliveryMode, ExchangeType, connect
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelPreconditionFailed, DeliveryError, PublishError
from aiormq.abc import AbstractChannel as UnderlyingChannel
from pamqp.commands import Basic
from returns.result import Failure, Result, Success

from domainkit.adapters.rabbitmq._connection import LOST, checked_url, closed, is_cancelled, place, seconds
from domainkit.adapters.rabbitmq.topology import RabbitMqTopology
from domainkit.delivery import AsyncMessagePublisher, OutgoingMessage, Unrouted, Unsubscribed
from domainkit.errors import BusCannotPublish, MessageRefused
from domainkit.ports import cannot_publish

_logger = logging.getLogger("domainkit.rabbitmq")

_NOT_SENT: tuple[type[BaseException], ...] = (*LOST, asyncio.CancelledError)
_SHORT_STRING = 255
"""The most bytes of a routing key, and of a property that is text: short strings of AMQP 0-9-1, section 4.2.5.3."""


class RabbitMqPublisher(AsyncMessagePublisher):
    """Hands messages to RabbitMQ: persistent, confirmed, and commands only if a queue is bound for them.

    It connects when it is first used, and again by itself after the broker was away: a message that meets no broker is
    a Failure within `timeout`, and the next one tries anew. All who publish share one channel and don't wait for one
    another's confirms; the broker gets their messages in the order in which `publish` was called.

        async with RabbitMqPublisher("amqp://user:secret@broker/", topology) as publisher:
            await publisher.publish(OutgoingMessage.of(event, codec))

    A domain event that no queue is bound for counts as published: nobody subscribed to it. A warning says so, once for
    each type, and the status of an outbox counts them. Anything else without a queue is refused.

    AMQP's own properties say what a message is: `message_id`, its name as `type`, the topology's service as `app_id`,
    the time of publishing as `timestamp`, its key as `correlation_id` (unless that has more than 255 bytes),
    `content_type` and `content_encoding`. There are no headers: petisco loses a message that has any when its first
    handling fails. See https://www.rabbitmq.com/docs/confirms.

    >>> RabbitMqPublisher("amqp://ada:hush@broker/", RabbitMqTopology("acme.tasks", service="core"))
    RabbitMqPublisher(broker:5672, acme.tasks)

    Args:
        url: the broker's, `amqp://user:password@host:port/vhost`; it may have `?heartbeat=10` (seconds) and what else
            aio-pika knows.
        topology: the exchange; it is declared, durable, unless it is there.
        timeout: how long a message may take, with connecting, before it is a Failure.
        unrouted: which messages count as published though no queue is bound for them: domain `"events"`, `"all"`, or
            `"none"`; the others are refused.

    Raises:
        ValueError: `url` is none of a broker, `timeout` isn't above 0, or `unrouted` is something else.
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
        self._channel: UnderlyingChannel | None = None
        self._heard = 0.0  # when the broker last confirmed something, in the loop's time
        self._in_hand: dict[str, asyncio.Event] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._failure: BaseException = ConnectionError()  # of the last try to connect
        self._tries = 0  # that failed
        self._away = False  # whether a log says so
        self._open = True

    def __repr__(self) -> str:
        return f"RabbitMqPublisher({place(self._url)}, {self._topology.exchange})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        """Publish a message, and wait until the broker has it on disk, in every queue that is bound for it.

        A Failure with MessageRefused where no queue is bound for it, unless `unrouted` takes it as published, or the
        broker says no (a queue that is full); with another BusCannotPublish where the broker is away, or gave no answer
        within `timeout`. Where a message is sent in several versions, there may be a queue for some of them alone.
        """
        key = self._topology.routing_key(message.info)
        if len(key.encode()) > _SHORT_STRING:
            return self._refused(message, f"its routing key is too long ({len(key)} characters)")
        try:
            async with asyncio.timeout(self._timeout):
                await self._send(message, key)
        except _NOT_SENT as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            if isinstance(error, PublishError) and self._may_be_lost(message, key):
                return Success(None)
            return self._answered(message, key, error)
        return Success(None)

    async def close(self) -> None:
        """Close the connection. Messages are refused from now on; those on their way are a Failure."""
        self._open = False
        self._drop()
        async with self._lock:  # whoever is connecting has ended
            self._drop()
        while self._closing:
            await asyncio.gather(*self._closing)

    async def _send(self, message: OutgoingMessage, key: str) -> None:
        """Publish, and wait for the confirm; one message once at a time, for a refusal names its id alone."""
        message_id = str(message.id)
        while (other := self._in_hand.get(message_id)) is not None:
            await other.wait()
        done = self._in_hand[message_id] = asyncio.Event()
        try:
            channel = await self._ready()
            await channel.basic_publish(
                message.body,
                exchange=self._topology.exchange,
                routing_key=key,
                properties=_properties(message, self._topology.service),
                mandatory=True,
            )
        finally:
            del self._in_hand[message_id]
            done.set()
        self._heard = asyncio.get_running_loop().time()
        if self._away:
            self._away = False
            _logger.warning("%s: messages are published to %s again", place(self._url), self._topology.exchange)

    async def _ready(self) -> UnderlyingChannel:
        """Return a channel that is open, of a broker that has the exchange."""
        if self._channel is not None and not self._channel.is_closed:
            return self._channel
        tries = self._tries
        async with self._lock:
            if self._tries != tries:  # one that failed while this waited was for all who did
                raise self._failure.with_traceback(None)
            if self._channel is None or self._channel.is_closed:  # nobody opened one while this waited for the lock
                self._drop()
                try:
                    self._channel = await self._connected()
                except LOST as error:
                    self._failure, self._tries = error, self._tries + 1
                    raise
            return self._channel

    async def _connected(self) -> UnderlyingChannel:
        if not self._open:
            raise ConnectionError
        name = f"domainkit publisher of {self._topology.exchange}"
        self._connection = connection = await connect(self._url, client_properties={"connection_name": name})
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.declare_exchange(self._topology.exchange, ExchangeType.TOPIC, durable=True)
        _logger.info("connected to %s, to publish to %s", place(self._url), self._topology.exchange)
        return await channel.get_underlay_channel()

    def _drop(self) -> None:
        """Let go of the connection; it is closed beside, for a broker that hangs takes its time."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            task = asyncio.create_task(closed(connection, self._timeout))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _answered(self, message: OutgoingMessage, key: str, error: BaseException) -> Failure[BusCannotPublish]:
        """Return the Failure for what aio-pika raised."""
        if isinstance(error, PublishError):
            return self._refused(message, f"no queue is bound for {key!r}; start what consumes it once")
        if isinstance(error, DeliveryError):
            return self._refused(message, "the broker said no: a queue that is bound for it is full, or can't take it")
        if isinstance(error, ChannelPreconditionFailed):
            return self._failed(
                message, f"{self._topology.exchange!r} is there, and no durable topic exchange; rename it"
            )
        if not isinstance(error, TimeoutError):
            return self._failed(message, f"no connection to the broker ({type(error).__name__})")
        if asyncio.get_running_loop().time() - self._heard >= self._timeout:
            self._drop()  # nothing was confirmed all the while: the next message tries a new connection
        return self._failed(message, f"no confirm within {self._timeout:g} seconds; the broker may have the message")

    def _may_be_lost(self, message: OutgoingMessage, key: str) -> bool:
        """Return if a message that no queue is bound for is no failure."""
        if message.sent_as:  # nobody waits for this form, and the message is sent in others
            return True
        reason = f"no queue is bound for {key!r} at {self._topology.exchange}"
        return self._unsubscribed.counts_as_published(message, reason)

    def _failed(self, message: OutgoingMessage, reason: str) -> Failure[BusCannotPublish]:
        why = f"{place(self._url)}: {reason}" if self._open else "the publisher is closed"
        if self._open and not self._away:
            self._away = True
            _logger.warning("no message is published to %s: %s", self._topology.exchange, why)
        _logger.debug("%s %s (%d bytes) not published: %s", message.info.name, message.id, len(message.body), why)
        return cannot_publish(why, message_id=message.id)

    def _refused(self, message: OutgoingMessage, reason: str) -> Failure[BusCannotPublish]:
        why = f"{self._topology.exchange}: {reason}"
        _logger.warning("%s %s (%d bytes) refused: %s", message.info.name, message.id, len(message.body), why)
        return cannot_publish(why, message_id=message.id, kind=MessageRefused)


def _properties(message: OutgoingMessage, service: str) -> Basic.Properties:
    """Return the properties, without headers: petisco 2 writes the one that its retry needs only where none are there.

    The key is the `correlation_id`, since that is what an exchange of the type x-consistent-hash can hash on: see
    https://github.com/rabbitmq/rabbitmq-server/tree/main/deps/rabbitmq_consistent_hash_exchange.
    """
    return Basic.Properties(
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=int(DeliveryMode.PERSISTENT),
        correlation_id=message.key if len(message.key.encode()) <= _SHORT_STRING else None,
        message_id=str(message.id),
        timestamp=datetime.now(UTC),
        message_type=message.info.name,
        app_id=service,
    )
