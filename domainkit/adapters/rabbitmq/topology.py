"""Where messages go: names of exchanges, queues and routing keys, and what makes them on the broker."""

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

_NAME = re.compile(r"[a-zA-Z0-9_.:@,/+ -]{1,200}")
"""What aio-pika takes for a name, without what means something in a binding key, and with room for a suffix."""


def checked_name(name: str, what: str) -> str:
    """Return the name of a queue or exchange; ValueError where AMQP has none like it."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{what} {name!r}: expected 1 to 200 letters, digits and _.:@,/+- of ASCII; change it")
    return name


def _name(_: object, attribute: "Attribute[str]", value: str) -> None:
    checked_name(value, f"RabbitMqTopology: {attribute.name}")


@frozen
class RabbitMqTopology:
    """The names that publishers and consumers share, and the limits of the queues.

    One durable topic exchange takes events and commands. A message is routed by
    `{exchange}.{version}.{event or command}.{name}`, as petisco does it: both can share an exchange.

    >>> topology = RabbitMqTopology("acme.tasks", service="mailing")
    >>> topology.routing_key(MessageInfo("task.created", 1, "domain_event"))
    'acme.tasks.1.event.task_created'
    >>> topology.subscriber_queue("greeter")
    'mailing.greeter'

    Args:
        exchange: the exchange; petisco's is `{organization}.{service}`.
        service: who consumes: its queues begin with it, and two services never share one for events.
        delivery_limit: how many times a message that failed is handled again before it is among the dead letters.
        single_active: let one consumer at a time have a queue, so that its order holds across processes.

    Raises:
        ValueError: a name is none that AMQP has, or the limit is below 0.
    """

    exchange: str = field(validator=[instance_of(str), _name])
    service: str = field(validator=[instance_of(str), _name])
    delivery_limit: int = field(default=5, validator=[instance_of(int), ge(0)], kw_only=True)
    single_active: bool = field(default=False, kw_only=True)

    @property
    def dead_letter_exchange(self) -> str:
        """The exchange through which dead letters go to their queues, by the name of the queue they come from."""
        return f"{self.exchange}.dead_letters"

    def routing_key(self, info: MessageInfo) -> str:
        """Return what a message is routed by."""
        return self._key(str(info.version), info)

    def binding_key(self, info: MessageInfo) -> str:
        """Return what a queue is bound by for a message of any version: a new one waits there for a new consumer."""
        return self._key("*", info)

    def _key(self, version: str, info: MessageInfo) -> str:
        kind = "event" if info.kind == "domain_event" else info.kind
        return f"{self.exchange}.{version}.{kind}.{info.name.replace('.', '_')}"

    def subscriber_queue(self, subscriber: str) -> str:
        """Return the queue of a subscriber to events: one of this service's own."""
        return f"{self.service}.{subscriber}"

    def command_queue(self, info: MessageInfo) -> str:
        """Return the queue of a command: one for the exchange, whoever handles it, so that it is handled once.

        >>> RabbitMqTopology("acme.tasks", service="core").command_queue(MessageInfo("create.task", 1, "command"))
        'acme.tasks.command.create_task'
        """
        return f"{self.exchange}.command.{info.name.replace('.', '_')}"


def dead_letter_queue(queue: str) -> str:
    """Return the queue where the dead letters of a queue are.

    >>> dead_letter_queue("mailing.greeter")
    'mailing.greeter.dead_letters'
    """
    return f"{queue}.dead_letters"


def quarantine_queue(queue: str) -> str:
    """Return the queue where messages wait that may have killed a process, to be tried one by one."""
    return f"{queue}.quarantine"


class QueueClashError(CriticalError):
    """A queue or exchange exists, and is another than the one to declare, or doesn't. `additional_info` says which.

    Nothing of it was changed: what is in it stays.
    """


async def declare_exchanges(channel: AbstractChannel, topology: RabbitMqTopology) -> None:
    """Declare the exchange of messages and that of dead letters; each may be there already.

    Raises:
        QueueClashError: one of them is there, and is another.
    """
    for name, kind in ((topology.exchange, ExchangeType.TOPIC), (topology.dead_letter_exchange, ExchangeType.DIRECT)):
        await _declared(channel.declare_exchange(name, kind, durable=True), name)


async def declare_queue(
    channel: AbstractChannel, topology: RabbitMqTopology, name: str, keys: tuple[str, ...] | None
) -> None:
    """Declare a queue with its dead letters and its quarantine, and bind it by `keys`; it may be there already.

    The quarantine is for messages that may have killed a process. With None for `keys` the queue is somebody else's: it
    stays as it is.

    Raises:
        QueueClashError: it is there, and is another; or it isn't there, and is somebody else's.
    """
    for kept in (dead_letter_queue(name), quarantine_queue(name)):
        await _declared(channel.declare_queue(kept, durable=True, arguments=_kept()), kept)
    if keys is None:
        await _declared(channel.declare_queue(name, passive=True), name)
    else:
        arguments = _dead_lettering(topology.dead_letter_exchange, name)
        if topology.single_active:
            arguments["x-single-active-consumer"] = True
        await _declared(channel.declare_queue(name, durable=True, arguments=arguments), name)
    await bind_queue(channel, topology, name, keys or ())


async def bind_queue(channel: AbstractChannel, topology: RabbitMqTopology, name: str, keys: Iterable[str]) -> None:
    """Bind a queue by `keys`, and that of its dead letters by its name; each may be bound already."""
    dead_letters = await channel.get_queue(dead_letter_queue(name), ensure=False)
    await dead_letters.bind(topology.dead_letter_exchange, name)
    queue = await channel.get_queue(name, ensure=False)
    for key in keys:
        await queue.bind(topology.exchange, key)


def _kept() -> dict[str, FieldValue]:
    """Return the arguments of a queue that keeps its messages, and their order when they come back.

    Without a limit, RabbitMQ 4 drops one that was delivered 20 times, and RabbitMQ 3 puts what comes back at the end.
    """
    return {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}


def _dead_lettering(exchange: str, key: str) -> dict[str, FieldValue]:
    """Return the arguments of a queue that keeps its messages, and hands on what leaves it at least once.

    See https://www.rabbitmq.com/docs/quorum-queues, dead lettering at least once.
    """
    return _kept() | {
        "x-dead-letter-exchange": exchange,
        "x-dead-letter-routing-key": key,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",  # without it the broker dead-letters at most once
    }


async def declare_wait_queue(channel: AbstractChannel, name: str, back: str, milliseconds: int) -> None:
    """Declare a queue out of which each message goes to the queue `back` after its time.

    Raises:
        QueueClashError: it is there, and is another.
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
                "message": "it isn't there; start what declares it, or leave it out"
                if missing
                else "it is there with other settings: empty it, delete it and start again, or take another name",
                "broker": str(error.args[-1]) if error.args else "",
            }
        ) from None
