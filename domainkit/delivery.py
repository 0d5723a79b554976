"""Messages on their way out: the bytes that a broker is given, and the port of what publishes them."""

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
    """An encoded message with what a broker needs to know of it.

    >>> from domainkit import DomainEvent, MessageCodec
    >>> class TaskCreated(DomainEvent): ...
    >>> OutgoingMessage.of(TaskCreated(), MessageCodec(TaskCreated)).info
    MessageInfo(name='task.created', version=1, kind='domain_event')

    Args:
        id: the message's own id: those who receive it twice know it by that.
        info: its name, version and kind: what it is routed by.
        body: the exact bytes to deliver; they may hold secrets, and aren't shown.
        key: messages with one key are delivered in the order in which they were recorded: the id of the aggregate.
    """

    id: Uuid
    info: MessageInfo
    body: bytes = field(repr=False)
    key: str

    @property
    def sent_as(self) -> tuple[str, ...]:
        """The forms in which the message is sent, the newest first; none where this is the only one.

        Nobody may be waiting for one of them: a broker that has no queue for it has lost nothing.
        """
        return forms_of(self.body)[1]

    @classmethod
    def of(cls, message: Message, codec: MessageCodec, *, key: str | None = None) -> Self:
        """Return a message as `codec` encodes it.

        Args:
            message: of a class that the codec knows.
            codec: what encodes it.
            key: whose order it keeps; the message's own id unless given: the order of no other.

        Raises:
            InvalidMessage: as `MessageCodec.encode` does.
        """
        message_id = message.header.id
        return cls(message_id, type(message).info(), codec.encode(message), str(message_id) if key is None else key)

    @classmethod
    def all_of(cls, message: Message, codec: MessageCodec, *, key: str | None = None) -> tuple[Self, ...]:
        """Return a message in each version that the codec has a downcaster for, its own first; one without any.

        To publish them all, in this order. They have one id and one key.

        Args:
            message: as for `of`.
            codec: as for `of`.
            key: as for `of`.

        Raises:
            InvalidMessage: as `MessageCodec.encode_all` does.
        """
        message_id = message.header.id
        own_key = str(message_id) if key is None else key
        return tuple(cls(message_id, info, body, own_key) for info, body in codec.encode_all(message))


class AsyncMessagePublisher(Service, ABC):
    """Hands encoded messages over to a broker, and knows when the broker has them.

    See Hohpe and Woolf, Enterprise Integration Patterns (2003), Message Endpoint.
    """

    __slots__ = ()

    @abstractmethod
    async def publish(self, message: OutgoingMessage, /) -> Result[None, BusCannotPublish]:
        """Publish a message; a Success says that the broker has it, and will keep it for those who subscribed.

        A Failure with MessageRefused where the broker is there and won't take this message; with another
        BusCannotPublish where the broker can't be reached or gave no answer in time: it may have the message then.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of the connection. A message handed to a closed publisher is a Failure. Closing again does nothing."""


UNROUTED: Final = "unrouted"
"""Remark: nobody subscribed to the message, so that nobody gets it."""

DUPLICATE: Final = "duplicate"
"""Remark: the broker had the message already, and delivers nothing anew."""

_REMARKS: ContextVar[set[str] | None] = ContextVar("domainkit.remarks", default=None)


@contextmanager
def remarks() -> Iterator[set[str]]:
    """Collect the remarks that publishers make meanwhile about messages that they have published.

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
    """Say more of a message that is published than a Success does, to whoever collects it.

    By a context variable: a publisher may be called by another one, which hands on the Success alone.
    """
    found = _REMARKS.get()
    if found is not None:
        found.add(text)


Unrouted: TypeAlias = Literal["events", "all", "none"]
"""The messages that count as published though nobody subscribed to them: domain events, all, or none."""


@define
class Unsubscribed:
    """The answer of a publisher for messages that nobody subscribed to.

    Args:
        owner: the publisher's class, for an error.
        accepted: which of them count as published.
        logger: told once for each type.

    Raises:
        ValueError: `accepted` is something else.
    """

    owner: str
    accepted: Unrouted
    logger: logging.Logger
    _told: set[str] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        if self.accepted not in get_args(Unrouted):
            raise ValueError(
                f"{self.owner}: unrouted: expected 'events', 'all' or 'none', got {self.accepted!r}; take one of them"
            )

    def counts_as_published(self, message: OutgoingMessage, reason: str) -> bool:
        """Return if a message that nobody gets counts as published; remark on it if so."""
        info = message.info
        if self.accepted == "none" or (self.accepted == "events" and info.kind != "domain_event"):
            return False
        remark(UNROUTED)
        if info.name not in self._told:
            self._told.add(info.name)
            self.logger.warning("%s counts as published, though nobody gets it: %s", shown(info.name), reason)
        return True
