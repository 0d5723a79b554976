"""Which queue has which functions, and what it is bound by."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from domainkit.adapters.rabbitmq.topology import RabbitMqTopology, checked_name
from domainkit.codec import MessageCodec
from domainkit.handlers import AnyHandler, AnySubscriber, AsyncHandler, AsyncSubscriber, Handler, Subscriber
from domainkit.mediator import by_type
from domainkit.messages import Message, MessageInfo

Bound: TypeAlias = AnySubscriber | AnyHandler

Subscribers: TypeAlias = Mapping[str, AnySubscriber | Sequence[AnySubscriber]]
"""Subscribers by name: one function, or several of distinct events that share a queue, and so an order."""


@frozen
class Subscription:
    """A queue with the functions that get its messages."""

    queue: str
    keys: tuple[str, ...]
    functions: tuple[Bound, ...]

    def function_for(self, message: Message) -> Bound | None:
        """Return the one that is bound to the class of a message; there are no two."""
        return next((one for one in self.functions if isinstance(message, one.message_type)), None)


def subscriptions_of(
    topology: RabbitMqTopology, codec: MessageCodec, subscribers: Subscribers, handlers: Iterable[AnyHandler]
) -> tuple[Subscription, ...]:
    """Return the queues of subscribers and command handlers; TypeError where one can't be bound."""
    planned = [_of_subscriber(topology, codec, name, given) for name, given in subscribers.items()]
    by_command = by_type(tuple(handlers), Handler, AsyncHandler)
    planned += [_of_handler(topology, codec, handler) for handler in by_command.values()]
    if not planned:
        raise TypeError("RabbitMqConsumer: nothing to consume; give subscribers or handlers")
    return tuple(planned)


def _of_subscriber(
    topology: RabbitMqTopology, codec: MessageCodec, name: str, given: AnySubscriber | Sequence[AnySubscriber]
) -> Subscription:
    functions = (given,) if isinstance(given, Subscriber | AsyncSubscriber) else tuple(given)
    for one in functions:
        if not isinstance(one, Subscriber | AsyncSubscriber):
            raise TypeError(f"subscriber {name!r}: expected what handled_by of an event returns, not a {_kind(one)}")
    _check_distinct(name, [one.message_type for one in functions])
    infos = [info for one in functions for info in _infos(codec, one.message_type)]
    keys = tuple(dict.fromkeys(topology.binding_key(info) for info in infos))
    return Subscription(checked_name(topology.subscriber_queue(name), "the queue"), keys, functions)


def _of_handler(topology: RabbitMqTopology, codec: MessageCodec, handler: AnyHandler) -> Subscription:
    keys = tuple(dict.fromkeys(topology.binding_key(info) for info in _infos(codec, handler.message_type)))
    queue = checked_name(topology.command_queue(handler.message_type.info()), "the queue")
    return Subscription(queue, keys, (handler,))


def _infos(codec: MessageCodec, message_type: type[Any]) -> list[MessageInfo]:  # Any: a message of whatever class
    """Return what the messages are called that decode to a class or one below it, old names among them."""
    found = [info for info, route in codec._routes.items() if issubclass(route.wire.cls, message_type)]
    if not found:
        raise TypeError(
            f"{message_type.__qualname__}: the codec wasn't given this class; pass it among its message types"
        )
    return found


def _check_distinct(name: str, types: list[type]) -> None:
    for number, one in enumerate(types):
        for other in types[:number]:
            if issubclass(one, other) or issubclass(other, one):
                raise TypeError(
                    f"subscriber {name!r}: {other.__qualname__} and {one.__qualname__} are one or derived from one "
                    "another; give one of the functions a name, and so a queue, of its own"
                )


def _kind(one: object) -> str:
    return type(one).__qualname__
