"""Outgoing messages: the bytes for a broker, and the port of publishers."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal, Self, TypeAlias, get_args

from attrs import define, field, frozen
from returns.result import Result

from domainkit._model.services import Service
from domainkit._model.texts import shown
from domainkit.codec import MessageCodec
from domainkit.conversion.envelope import forms_of
from domainkit.errors import BusCannotPublish
from domainkit.messages import Message, MessageInfo
from domainkit.values import Uuid


@frozen
class OutgoingMessage:
    """Encoded message, with the data that a broker needs to route it.

    >>> from domainkit import DomainEvent, MessageCodec
    >>> class TaskCreated(DomainEvent): ...
    >>> OutgoingMessage.of(TaskCreated(), MessageCodec(TaskCreated)).info
    MessageInfo(name='task.created', version=1, kind='domain_event')

    Args:
        id: the message's own id, by which consumers recognize duplicates.
        info: its name, version and kind, for routing.
        body: the exact bytes to deliver; not shown, since they may contain secrets.
        key: messages with the same key are delivered in the order in which they were recorded: the aggregate's id.
    """

    id: Uuid
    info: MessageInfo
    body: bytes = field(repr=False)
    key: str

    @property
    def sent_as(self) -> tuple[str, ...]:
        """The versions in which the message is sent, the newest first; empty if it is sent only once.

        A version may have no consumers: the message isn't lost if a broker has no queue for one of several.
        """
        return forms_of(self.body)[1]

    @classmethod
    def of(cls, message: Message, codec: MessageCodec, *, key: str | None = None) -> Self:
        """Encode a message with `codec`.

        Args:
            message: of a class of the codec.
            codec: encodes the message.
            key: the ordering key; by default the message's own id, so that it has no order.

        Raises:
            InvalidMessage: as with `MessageCodec.encode`.
        """
        message_id = message.header.id
        return cls(message_id, type(message).info(), codec.encode(message), str(message_id) if key is None else key)

    @classmethod
    def all_of(cls, message: Message, codec: MessageCodec, *, key: str | None = None) -> tuple[Self, ...]:
        """Encode a message in its own version, and in each that the codec has a downcaster for.

        Publish all of them, in this order. They share one id and one key.

        Args:
            message: as for `of`.
            codec: as for `of`.
            key: as for `of`.

        Raises:
            InvalidMessage: as with `MessageCodec.encode_all`.
        """
        message_id = message.header.id
        own_key = str(message_id) if key is None else key
        return tuple(cls(message_id, info, body, own_key) for info, body in codec.encode_all(message))


class AsyncMessagePublisher(Service, ABC):
    """Port for publishing encoded messages to a broker, and waiting for its confirmation.

    See Hohpe and Woolf, Enterprise Integration Patterns (2003), Message Endpoint.
    """

    __slots__ = ()

    @abstractmethod
    async def publish(self, message: OutgoingMessage, /) -> Result[None, BusCannotPublish]:
        """Publish a message; a Success means that the broker has it, and keeps it for the subscribers.

        A Failure with MessageRefused if the broker refuses this message; with another BusCannotPublish if the broker is
        unreachable or gave no answer in time: it may have the message then.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the connection. Publishing then returns a Failure. Closing again does nothing."""


UNROUTED: Final = "unrouted"
"""Remark: the message has no subscribers, and isn't delivered."""

DUPLICATE: Final = "duplicate"
"""Remark: the broker already had the message, and doesn't deliver it again."""

_REMARKS: ContextVar[set[str] | None] = ContextVar("domainkit.remarks", default=None)


@contextmanager
def remarks() -> Iterator[set[str]]:
    """Collect the remarks of publishers about messages published inside of the `with` block.

    >>> with remarks() as found:
    ...     remark(DUPLICATE)
    >>> found
    {'duplicate'}
    """
    found: set[str] = set()
    token = _REMARKS.set(found)
    try:
        yield found
    finally:
        _REMARKS.reset(token)


def remark(text: str) -> None:
    """Add a remark about a published message, for a caller inside of `remarks()`.

    It uses a context variable, since a publisher that wraps this one returns only the Success.
    """
    found = _REMARKS.get()
    if found is not None:
        found.add(text)


Unrouted: TypeAlias = Literal["events", "all", "none"]
"""The messages that count as published without subscribers: domain events, all, or none."""


@define
class Unsubscribed:
    """Answer of a publisher for messages without subscribers.

    Args:
        owner: the publisher's class, for errors.
        accepted: the messages that count as published.
        logger: gets one warning for each type.

    Raises:
        ValueError: `accepted` is another value.
    """

    owner: str
    accepted: Unrouted
    logger: logging.Logger
    _warned: set[str] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        if self.accepted not in get_args(Unrouted):
            raise ValueError(
                f"{self.owner}: expected 'events', 'all' or 'none' as `unrouted`, got {self.accepted!r}; use one"
            )

    def counts_as_published(self, message: OutgoingMessage, reason: str) -> bool:
        """Check if a message without subscribers counts as published; if so, add a remark."""
        info = message.info
        if self.accepted == "none" or (self.accepted == "events" and info.kind != "domain_event"):
            return False
        remark(UNROUTED)
        if info.name not in self._warned:
            self._warned.add(info.name)
            self.logger.warning("%s counts as published without subscribers: %s", shown(info.name), reason)
        return True
