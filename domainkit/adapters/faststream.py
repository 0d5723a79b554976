"""Events and commands over Kafka, NATS JetStream and Redis streams, with FastStream's brokers (extra `faststream`).

RabbitMQ has a separate adapter. A publisher sends messages; `subscribe` calls the functions bound by `handled_by`:

    broker = NatsBroker("nats://127.0.0.1:4222")
    subscriber = broker.subscriber(
        "task.created", stream=JStream("tasks"), durable="mailing", pull_sub=True, ack_policy=AckPolicy.MANUAL
    )
    subscribe(subscriber, codec, TaskCreated.handled_by(greet))

    async with broker:
        await broker.start()
        await FastStreamPublisher(broker, stream="tasks").publish(OutgoingMessage.of(event, codec))
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Never, Protocol, TypeAlias
from urllib.parse import quote

from returns.result import Failure, Result, Success

from domainkit._model.texts import shown
from domainkit.codec import MessageCodec
from domainkit.delivery import DUPLICATE, AsyncMessagePublisher, OutgoingMessage, Unrouted, Unsubscribed, remark
from domainkit.errors import BusCannotPublish, MessageRefused
from domainkit.handlers import AnyHandler, AnySubscriber, AsyncHandler, Handler
from domainkit.memory import AsyncInmemoryCommandBus, AsyncInmemoryDomainEventBus
from domainkit.messages import Command, DomainEvent
from domainkit.ports import cannot_publish

try:
    from faststream import AckPolicy, Context
    from faststream.exceptions import NackMessage, RejectMessage
    from faststream.message import StreamMessage
except ImportError as _error:
    from domainkit.adapters import missing_extra

    raise missing_extra(__name__, "faststream") from _error

if TYPE_CHECKING:  # each needs its own client, and few installations have all three
    from faststream.kafka import KafkaBroker
    from faststream.nats import NatsBroker
    from faststream.redis import RedisBroker

__all__ = ["AnyBound", "Broker", "BrokerSubscriber", "Consumer", "FastStreamPublisher", "by_name", "subscribe"]

Broker: TypeAlias = "KafkaBroker | NatsBroker | RedisBroker"
"""The brokers of FastStream that confirm published messages, and redeliver unhandled ones."""

_logger = logging.getLogger("domainkit.faststream")

_PRINTABLE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
_LONGEST_ID = 200
_REFUSALS = frozenset(
    {
        "BadRequestError",  # of JetStream: the subject belongs to another stream than the given one
        "InvalidTopicError",
        "MaxPayloadError",
        "MessageSizeTooLargeError",
        "NoStreamResponseError",  # no stream has the subject
        "NotFoundError",  # the stream doesn't exist
        "RecordListTooLargeError",
        "ResponseError",  # of Redis: the name belongs to a value that isn't a stream
        "TopicAuthorizationFailedError",
    }
)
"""The errors of clients if the broker refuses this message; other errors may be temporary."""


def by_name(message: OutgoingMessage) -> str:
    """Return the message's name, as its topic, subject or stream.

    >>> from domainkit import DomainEvent, OutgoingMessage
    >>> class TaskCreated(DomainEvent): ...
    >>> by_name(OutgoingMessage.of(TaskCreated(), MessageCodec(TaskCreated)))
    'task.created'
    """
    return message.info.name


class FastStreamPublisher(AsyncMessagePublisher):
    """Publishes messages with a broker of FastStream, and waits for its confirmation.

    The body is sent unchanged. Headers describe the message: `message_id`, `type`, `version`, `kind`, `key`
    (percent-encoded, RFC 3986, unless it is printable ASCII) and `content-type`. A Success means as much as the
    broker's confirmation: JetStream has stored the message in its stream, only once if it is soon published again to
    the same subject, which a warning reports; Kafka has it on all in-sync replicas, in the partition of its key; Redis
    has added it to its stream, in memory, and on disk according to `appendfsync`.

    A domain event whose subject no stream of JetStream has counts as published: it has no subscribers. A warning is
    logged once for each type, and the status of an outbox counts them. Redis and Kafka create missing destinations.

    The owner of the broker starts and stops it; see https://faststream.ag2.ai.

    Args:
        broker: a KafkaBroker (with `acks="all"` or `enable_idempotence=True`), NatsBroker or RedisBroker.
        destination: returns the topic, subject or stream of a message.
        stream: for NATS, the stream of JetStream that has the subjects.
        timeout: the time for a message before it is a Failure.
        unrouted: for NATS, the messages that count as published if no stream has the subject: domain `"events"`,
            `"all"`, or `"none"`; the others are refused.

    Raises:
        TypeError: `broker` is another object.
        ValueError: the broker would not confirm messages: NATS without `stream`, Kafka without such an option. Or
            `stream` is given for another broker, `timeout` isn't above 0, or `unrouted` is another value.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        destination: Callable[[OutgoingMessage], str] = by_name,
        stream: str | None = None,
        timeout: timedelta = timedelta(seconds=10),
        unrouted: Unrouted = "events",
    ) -> None:
        if timeout <= timedelta(0):
            raise ValueError(f"FastStreamPublisher: expected a timedelta above 0 as `timeout`, got {timeout!r}")
        self._broker: Any = broker  # Any: brokers have no `publish` in common
        self._kind = _checked_kind(broker, stream)
        self._unsubscribed = Unsubscribed("FastStreamPublisher", unrouted, _logger)
        self._destination, self._stream = destination, stream
        self._timeout = timeout.total_seconds()
        self._open = True

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        """Publish a message, and wait until the broker has it.

        A Failure with MessageRefused if the broker refuses it: it is too large, or no stream has the subject (unless it
        counts as published, see `unrouted`). A Failure with another BusCannotPublish if the broker is unreachable, gave
        no answer within `timeout`, or was not started.
        """
        if not self._open:
            return _failed(BusCannotPublish, message, "the publisher is closed")
        try:
            async with asyncio.timeout(self._timeout):
                await self._send(message)
        except TimeoutError:
            reason = f"no answer within {self._timeout:g} seconds; the broker may have the message"
            return _failed(BusCannotPublish, message, reason)
        except Exception as error:  # every client has its own errors, and their texts may include a password
            kind = MessageRefused if type(error).__name__ in _REFUSALS else BusCannotPublish
            return _failed(kind, message, f"the broker did not accept it ({type(error).__qualname__})")
        return Success(None)

    async def _send(self, message: OutgoingMessage) -> None:
        body, headers, own_id, where = message.body, _headers(message), str(message.id), self._destination(message)
        if self._kind == "kafka":
            key = message.key.encode()
            await self._broker.publish(body, where, key=key, headers=headers, correlation_id=own_id)
        elif self._kind == "redis":
            await self._broker.publish(body, stream=where, headers=headers, correlation_id=own_id)
        else:
            await self._store(message, where, headers)

    async def _store(self, message: OutgoingMessage, subject: str, headers: dict[str, str]) -> None:
        from nats.js.errors import NoStreamResponseError  # noqa: PLC0415  (installed if there is a NatsBroker)

        own_id = str(message.id)
        # JetStream drops a second message with the same id, even for another subject
        parts = (own_id, str(message.info.version), subject) if message.sent_as else (own_id, subject)
        headers["Nats-Msg-Id"] = quote(".".join(parts), safe=_PRINTABLE)
        given = {"stream": self._stream, "timeout": self._timeout}
        try:
            stored = await self._broker.publish(message.body, subject, headers=headers, correlation_id=own_id, **given)
        except NoStreamResponseError:
            if not await self._counts_as_published(message, subject):
                raise
            return
        if stored.duplicate:
            remark(DUPLICATE)
            text = "%s %s was already in stream %s, at %s: it isn't delivered again"
            _logger.warning(text, shown(message.info.name), own_id, self._stream, shown(subject))

    async def _counts_as_published(self, message: OutgoingMessage, subject: str) -> bool:
        """Check if a message that no stream accepted counts as published.

        JetStream also gives no answer while the stream is missing or has no leader, so look the subject up.
        """
        from nats.js.errors import NotFoundError  # noqa: PLC0415  (installed if there is a NatsBroker)

        streams = (await self._broker.connect()).jetstream(timeout=self._timeout)
        await streams.stream_info(self._stream)
        with suppress(NotFoundError):
            await streams.find_stream_name_by_subject(subject)
            return False
        return self._unsubscribed.counts_as_published(message, f"no stream has the subject {subject!r}")

    async def close(self) -> None:
        """Refuse messages from now on; the broker, which may be shared, stays open."""
        self._open = False


def _checked_kind(broker: object, stream: str | None) -> str:
    """Return the kind of a broker, after checking that its options make it confirm messages."""
    for kind, name in (("kafka", "KafkaBroker"), ("nats", "NatsBroker"), ("redis", "RedisBroker")):
        module = sys.modules.get(f"faststream.{kind}")  # imported if there is such a broker
        if module is not None and isinstance(broker, getattr(module, name)):
            break
    else:
        raise TypeError(
            "FastStreamPublisher: expected a KafkaBroker, NatsBroker or RedisBroker, "
            f"got a {type(broker).__qualname__}; pass one of these"
        )
    if (kind == "nats") != (stream is not None):
        raise ValueError(
            "FastStreamPublisher: expected `stream` for a NatsBroker only, which confirms messages in a stream; "
            f"{'pass the name of the stream' if kind == 'nats' else 'leave it out'}"
        )
    options = getattr(broker, "_connection_kwargs", {})  # private: in a version without it there is no check
    if kind == "kafka" and options and not options.get("enable_idempotence") and options.get("acks") not in ("all", -1):
        raise ValueError(
            'FastStreamPublisher: expected a KafkaBroker with acks="all" or enable_idempotence=True, got one without, '
            "which may lose messages; set one of them"
        )
    return kind


def _headers(message: OutgoingMessage) -> dict[str, str]:
    """Return the headers in printable ASCII, since some brokers allow only that, or end a header at a line break."""
    return {
        "content-type": "application/json",
        "message_id": str(message.id),
        "type": quote(message.info.name, safe=_PRINTABLE),
        "version": str(message.info.version),
        "kind": message.info.kind,
        "key": quote(message.key, safe=_PRINTABLE),
    }


def _failed(kind: type[BusCannotPublish], message: OutgoingMessage, reason: str) -> Failure[BusCannotPublish]:
    _logger.warning("%s %s (%d bytes) not published: %s", message.info.name, message.id, len(message.body), reason)
    return cannot_publish(reason, message_id=message.id, kind=kind)


AnyBound: TypeAlias = AnySubscriber | AnyHandler
"""A function bound by `handled_by`."""

Incoming: TypeAlias = StreamMessage[Any]  # Any: the message type of each broker

Consumer: TypeAlias = Callable[[Incoming], Awaitable[None]]
"""A function that handles a message of FastStream."""


class BrokerSubscriber(Protocol):
    """Object that `broker.subscriber(...)` returns, for any broker of FastStream."""

    ack_policy: AckPolicy

    def __call__(self, func: Consumer, *, decoder: Callable[[Incoming], Awaitable[bytes]]) -> object:
        """Register a function."""


def subscribe(
    subscriber: BrokerSubscriber, codec: MessageCodec, *handlers: AnyBound, pause: timedelta = timedelta(seconds=1)
) -> None:
    """Have a subscriber of FastStream decode each message, and call the functions bound to its class.

    The message is acknowledged after all of them have succeeded. If one fails, by a Failure or an exception, it is
    returned after a pause, and the broker redelivers it to all of them: use an inbox so that each works only once. A
    message that can't be decoded, or a command without a handler, would always fail: it is rejected, and logged with
    the problem and without its body. JetStream then doesn't redeliver it, Kafka continues with the next message, and
    in Redis it is acknowledged.

    Args:
        subscriber: made by `broker.subscriber(..., ack_policy=AckPolicy.MANUAL)` for a stream of JetStream, a stream of
            Redis with `group` and `claim_min_idle_time`, or a topic of Kafka with `group_id`; one message at a time.
        codec: decodes the messages.
        handlers: bound by `handled_by`: any number for a class of events, one for a class of commands.
        pause: how long a failed message is kept before it is returned.

    Raises:
        TypeError: one of `handlers` was not made by `handled_by`, or two are bound to one class of commands.
        ValueError: the subscriber has another policy: it would acknowledge unhandled messages.
    """
    if subscriber.ack_policy is not AckPolicy.MANUAL:
        raise ValueError(
            "subscribe: expected a subscriber with ack_policy=AckPolicy.MANUAL, got one without, which may lose "
            "messages; set the policy"
        )

    async def undecoded(message: Incoming) -> bytes:
        return message.body  # FastStream would parse it before the codec, and fail forever if it can't

    subscriber(_Consumer(codec, handlers, pause.total_seconds()).consume, decoder=undecoded)


class _Consumer:
    def __init__(self, codec: MessageCodec, handlers: tuple[AnyBound, ...], pause: float) -> None:
        commands = [one for one in handlers if isinstance(one, Handler | AsyncHandler)]
        others = [one for one in handlers if not isinstance(one, Handler | AsyncHandler)]
        self._events = AsyncInmemoryDomainEventBus(*others, keep=0)
        self._commands = AsyncInmemoryCommandBus(*commands, keep=0)
        self._handled = frozenset(one.message_type for one in commands)
        self._message_types = tuple(one.message_type for one in handlers)
        self._codec = codec
        self._pause = pause

    async def consume(self, message: Annotated[Incoming, Context("message", cast=False)]) -> None:
        if self._codec.reads_another_form(message.body, *self._message_types):
            await message.ack()
            return
        decoded = self._codec.decode(message.body)
        if isinstance(decoded, Failure):
            await _reject(message, decoded.failure().detail())
        found = decoded.unwrap()
        if isinstance(found, DomainEvent):
            outcome = await self._events.publish(found)
        elif isinstance(found, Command) and type(found) in self._handled:
            outcome = await self._commands.dispatch(found)
        else:
            await _reject(message, f"no handler for {type(found).__qualname__}")
        if isinstance(outcome, Failure):
            _logger.warning("message %s will be delivered again: %s", _id(message), outcome.failure().detail())
            await asyncio.sleep(self._pause)
            await message.nack()
            raise NackMessage
        await message.ack()


def _id(message: Incoming) -> str:
    """Return the broker's id of a message, safe for a log, since the publisher chose it."""
    return shown(str(message.message_id))[:_LONGEST_ID]


async def _reject(message: Incoming, reason: str) -> Never:
    _logger.error("message %s rejected: %s", _id(message), reason)
    raw = message.raw_message
    if isinstance(raw, dict) and raw.get("type") == "stream":  # Redis has no other way to remove it
        await message.ack()
    else:
        await message.reject()
    raise RejectMessage
