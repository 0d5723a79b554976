"""Where messages go: names of exchanges, queues and routing keys, and what makes them on the broker."""

from attrs import Attribute, field, frozen
from attrs.validators import ge, instance_of

from domainkit.messages import MessageInfo

_LONGEST = 255
"""Bytes of a name or routing key: a short string of AMQP 0-9-1, section 4.2.5.3."""

_KINDS = {"domain_event": "event"}.get


def _short(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not 0 < len(value.encode()) <= _LONGEST // 3:
        raise ValueError(f"RabbitMqTopology: {attribute.name} must have 1 to {_LONGEST // 3} bytes; change it")


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
        delivery_limit: how many times a message is delivered again before the broker puts it among the dead letters.
        single_active: let one consumer at a time have a queue, so that its order holds across processes.
    """

    exchange: str = field(validator=[instance_of(str), _short])
    service: str = field(validator=[instance_of(str), _short])
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
        return f"{self.exchange}.{version}.{_KINDS(info.kind, info.kind)}.{info.name.replace('.', '_')}"

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


def is_routable(key: str) -> bool:
    """Tell whether AMQP has room for a routing key."""
    return len(key.encode()) <= _LONGEST
