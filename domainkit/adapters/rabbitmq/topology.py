"""Names of exchanges, queues and routing keys, and their declaration on the broker."""

import re
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from attrs import Attribute, field, frozen
from attrs.validators import ge, instance_of
from pamqp.common import FieldValue

from domainkit.errors import CriticalError
from domainkit.messages import MessageInfo

T = TypeVar("T")

_NAME = re.compile(r"[a-zA-Z0-9_.:@,/+ -]+")
"""The names that aio-pika accepts, without the wildcards of binding keys."""

_MOST, _MOST_OF_EXCHANGE = 200, 114
"""The maximum lengths of the names of queues and exchanges: aio-pika accepts 256 and 127, and suffixes need room."""


def checked_name(name: str, what: str, *, most: int = _MOST) -> str:
    """Return the name of a queue or exchange; ValueError if it isn't a valid one."""
    if _NAME.fullmatch(name) is None or len(name) > most:
        raise ValueError(f"{what} {name!r}: expected 1 to {most} ASCII letters, digits, spaces and _.:@,/+-; change it")
    return name


def _service(_: object, __: "Attribute[str]", value: str) -> None:
    checked_name(value, "RabbitMqTopology: service")


def _exchange(_: object, __: "Attribute[str]", value: str) -> None:
    checked_name(value, "RabbitMqTopology: exchange", most=_MOST_OF_EXCHANGE)


@frozen
class RabbitMqTopology:
    """Names that publishers and consumers share, and limits of the queues.

    One durable topic exchange gets events and commands. Routing keys have the form
    `{exchange}.{version}.{event or command}.{name}`, as in petisco, which can share the exchange.

    >>> topology = RabbitMqTopology("acme.tasks", service="mailing")
    >>> topology.routing_key(MessageInfo("task.created", 1, "domain_event"))
    'acme.tasks.1.event.task_created'
    >>> topology.subscriber_queue("greeter")
    'mailing.greeter'

    Args:
        exchange: the name of the exchange; petisco's is `{organization}.{service}`.
        service: the consuming service: the names of its queues start with it, so that each service has its own.
        delivery_limit: how many times a failed message is handled again before it becomes a dead letter.
        single_active: allow a queue one active consumer at a time, so that its order holds across processes.

    Raises:
        ValueError: a name is not valid in AMQP, or the limit is below 0.
    """

    exchange: str = field(validator=[instance_of(str), _exchange])
    service: str = field(validator=[instance_of(str), _service])
    delivery_limit: int = field(default=5, validator=[instance_of(int), ge(0)], kw_only=True)
    single_active: bool = field(default=False, kw_only=True)

    @property
    def dead_letter_exchange(self) -> str:
        """The exchange that routes dead letters to their queues, by the name of the queue they come from."""
        return f"{self.exchange}.dead_letters"

    def routing_key(self, info: MessageInfo) -> str:
        """Return the routing key of a message."""
        return self._key(str(info.version), info)

    def binding_key(self, info: MessageInfo) -> str:
        """Return the binding key for all versions of a message: newer ones wait in the queue for a newer consumer."""
        return self._key("*", info)

    def _key(self, version: str, info: MessageInfo) -> str:
        kind = "event" if info.kind == "domain_event" else info.kind
        return f"{self.exchange}.{version}.{kind}.{info.name.replace('.', '_')}"

    def subscriber_queue(self, subscriber: str) -> str:
        """Return the name of the queue of an event subscriber of this service."""
        return f"{self.service}.{subscriber}"

    def command_queue(self, info: MessageInfo) -> str:
        """Return the name of the queue of a command, the same for all services, so that only one handles it.

        >>> RabbitMqTopology("acme.tasks", service="core").command_queue(MessageInfo("create.task", 1, "command"))
        'acme.tasks.command.create_task'
        """
        return f"{self.exchange}.command.{info.name.replace('.', '_')}"


def dead_letter_queue(queue: str) -> str:
    """Return the name of the queue for the dead letters of a queue.

    >>> dead_letter_queue("mailing.greeter")
    'mailing.greeter.dead_letters'
    """
    return f"{queue}.dead_letters"


def quarantine_queue(queue: str) -> str:
    """Return the name of the queue for messages that may have killed a process; they are handled one by one."""
    return f"{queue}.quarantine"


class QueueClashError(CriticalError):
    """A queue or exchange exists with other settings, or is missing. `additional_info` has its name.

    It is not changed, and keeps its messages.
    """


async def declare_exchanges(channel: AbstractChannel, topology: RabbitMqTopology) -> None:
    """Declare the exchanges for messages and for dead letters; each may exist already.

    Raises:
        QueueClashError: one of them exists with other settings.
    """
    for name, kind in ((topology.exchange, ExchangeType.TOPIC), (topology.dead_letter_exchange, ExchangeType.DIRECT)):
        await _declared(channel.declare_exchange(name, kind, durable=True), name)


async def declare_queue(
    channel: AbstractChannel, topology: RabbitMqTopology, name: str, keys: tuple[str, ...] | None
) -> None:
    """Declare a queue with its dead-letter queue and its quarantine, and bind it by `keys`; it may exist already.

    The quarantine is for messages that may have killed a process. If `keys` is None, others declare the queue, and it
    is left unchanged.

    Raises:
        QueueClashError: it exists with other settings; or it doesn't exist, and others should declare it.
    """
    for kept in (dead_letter_queue(name), quarantine_queue(name)):
        await _declared(channel.declare_queue(kept, durable=True, arguments=_quorum()), kept)
    if keys is None:
        await _declared(channel.declare_queue(name, passive=True), name)
    else:
        arguments = _dead_lettering(topology.dead_letter_exchange, name)
        if topology.single_active:
            arguments["x-single-active-consumer"] = True
        await _declared(channel.declare_queue(name, durable=True, arguments=arguments), name)
    await bind_queue(channel, topology, name, keys or ())


async def bind_queue(channel: AbstractChannel, topology: RabbitMqTopology, name: str, keys: Iterable[str]) -> None:
    """Bind a queue by `keys`, and its dead-letter queue by its name; each may be bound already."""
    dead_letters = await channel.get_queue(dead_letter_queue(name), ensure=False)
    await dead_letters.bind(topology.dead_letter_exchange, name)
    queue = await channel.get_queue(name, ensure=False)
    for key in keys:
        await queue.bind(topology.exchange, key)


def _quorum() -> dict[str, FieldValue]:
    """Return the arguments of a queue that never drops messages, and keeps the order of requeued ones.

    Without a limit, RabbitMQ 4 drops a message after 20 deliveries, and RabbitMQ 3 moves requeued ones to the end.
    """
    return {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}


def _dead_lettering(exchange: str, key: str) -> dict[str, FieldValue]:
    """Return the arguments of a queue that never drops messages, and dead-letters them at least once.

    See https://www.rabbitmq.com/docs/quorum-queues, dead lettering at least once.
    """
    return _quorum() | {
        "x-dead-letter-exchange": exchange,
        "x-dead-letter-routing-key": key,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",  # without it the broker dead-letters at most once
    }


async def declare_wait_queue(channel: AbstractChannel, name: str, back: str, milliseconds: int) -> None:
    """Declare a queue that sends each message to the queue `back` after this time.

    Raises:
        QueueClashError: it exists with other settings.
    """
    arguments = _dead_lettering("", back) | {"x-message-ttl": milliseconds}
    await _declared(channel.declare_queue(name, durable=True, arguments=arguments), name)


async def _declared(declaring: Awaitable[T], name: str) -> T:
    try:
        return await declaring
    except (ChannelPreconditionFailed, ChannelNotFoundEntity) as error:
        missing = isinstance(error, ChannelNotFoundEntity)
        raise QueueClashError(
            additional_info={
                "name": name,
                "message": "it doesn't exist; start the service that declares it, or leave it out"
                if missing
                else "it exists with other settings; empty it, delete it and start again, or use another name",
                "broker": str(error.args[-1]) if error.args else "",
            }
        ) from None
