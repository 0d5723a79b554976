"""The message being handled right here, so that the messages that its handler sends know what caused them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from typing_extensions import TypeVar

from domainkit.messages import Message

M = TypeVar("M", bound=Message)

HANDLED: ContextVar[Message | None] = ContextVar("domainkit.handled", default=None)
"""The message being handled: a variable of the context, so that each task and thread has its own."""


@contextmanager
def handling(message: Message) -> Iterator[None]:
    """Say that `message` is being handled inside of the `with` block.

    Buses and mediators of this library say so by themselves; a consumer of your own does it around its handler. A new
    task has the context of the one that made it; a new thread has one where it is run with `contextvars.copy_context`,
    as `asyncio.to_thread` does.

    >>> from domainkit import Command, DomainEvent
    >>> command = Command()
    >>> with handling(command):
    ...     caused(DomainEvent()).header.meta["causation_id"] == str(command.header.id)
    True
    """
    token = HANDLED.set(message)
    try:
        yield
    finally:
        HANDLED.reset(token)


def caused(message: M) -> M:
    """Return the message with the ids of the one being handled as its cause, unless it names a cause already.

    >>> from domainkit import DomainEvent
    >>> caused(DomainEvent()).header.meta
    {}
    """
    cause = HANDLED.get()
    if cause is None or "causation_id" in message.header.meta:
        return message
    return message.caused_by(cause)
