"""Context variables of the message being handled, the cause of new messages, and of the messages stored so far."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from copy import copy
from types import MappingProxyType
from typing import Self

from attrs import define, field
from typing_extensions import TypeVar

from domainkit.messages import JsonValue, Message, MessageHeader

M = TypeVar("M", bound=Message)

HANDLED: ContextVar[Message | None] = ContextVar("domainkit.handled", default=None)
"""The message being handled: a context variable, so that each task and thread has its own."""


@contextmanager
def handling(message: Message) -> Iterator[None]:
    """Mark `message` as the one being handled inside of the `with` block.

    Buses and mediators of this library do this themselves; use it in your own consumer, around the handler. A new task
    inherits the context; a new thread inherits it if it is run with `contextvars.copy_context`, as `asyncio.to_thread`
    does.

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


def caused(message: M, flowing: Iterable[str] = ()) -> M:
    """Return the message with the message being handled as its cause, unless it already has another cause.

    >>> from domainkit import Command, DomainEvent
    >>> caused(DomainEvent()).header.meta
    {}
    >>> with handling(Command().add_meta({"tenant": "home"})):
    ...     caused(DomainEvent(), ["tenant"]).header.meta["tenant"]
    'home'

    Args:
        message: the message to send; the one being handled itself is returned unchanged.
        flowing: keys of meta to copy from the message being handled. Existing keys are kept, and no key is copied if
            the message has another cause.
    """
    cause = HANDLED.get()
    if cause is None or cause.header.id == message.header.id:
        return message
    meta, source = message.header.meta, cause.header.meta
    if meta.get("causation_id", own := str(cause.header.id)) != own:
        return message
    copied = {key: source[key] for key in flowing if key in source and key not in meta}
    extended = message.add_meta(copied) if copied else message
    return extended if "causation_id" in meta else extended.caused_by(cause)


@define(eq=False)
class _Stored:
    """Ids of the messages that an open unit of work has stored, with the unit around it."""

    outer: "_Stored | None"
    is_open: Callable[[], bool]
    ids: set[object] = field(factory=set)
    over: bool = False


_STORED: ContextVar[_Stored | None] = ContextVar("domainkit.stored", default=None)
"""The innermost unit of work: a context variable like HANDLED."""


@contextmanager
def storing(is_open: Callable[[], bool]) -> Iterator[set[object]]:
    """Remember the messages stored inside of the `with` block; an exception, which rolls them back, forgets them.

    Yields their ids, as unwrapped values.

    Args:
        is_open: False once the transaction has ended, even if the end of the block was never reached.
    """
    stored = _Stored(_innermost(), is_open)
    token = _STORED.set(stored)
    try:
        yield stored.ids
        if stored.outer is not None:
            stored.outer.ids |= stored.ids
    finally:
        stored.over = True  # a task started in the block may outlive it, with its copy of the context
        with suppress(ValueError):  # the block ended in another context
            _STORED.reset(token)


def _innermost() -> _Stored | None:
    """Return the innermost unit of work that is still open."""
    stored = _STORED.get()
    while stored is not None and (stored.over or not stored.is_open()):
        stored = stored.outer
    return stored


def note_stored(message_ids: Iterable[object]) -> None:
    """Note that the open unit of work has stored the messages with these ids, given as unwrapped values."""
    stored = _innermost()
    if stored is not None:
        stored.ids.update(message_ids)


def is_stored(message: Message) -> bool:
    """Check if the open unit of work has stored the message, so that a relay will deliver it."""
    stored = _innermost()
    while stored is not None and message.header.id.value not in stored.ids:
        stored = stored.outer
    return stored is not None


class Flowing:
    """Mixin for senders of messages: keys of meta to copy from the message being handled, besides its ids."""

    _flowing: tuple[str, ...] = ()

    def flowing(self, *keys: str) -> Self:
        """Return a copy that adds keys of meta to copy from the message being handled to the messages it sends.

        A message keeps a key that it already has. The copy shares all state with the original.

        Raises:
            TypeError: a key is not a str.
        """
        for key in keys:
            if not isinstance(key, str):
                raise TypeError(
                    f"{type(self).__qualname__}.flowing: expected a str, the key of a meta value, "
                    f"got {type(key).__name__}; pass the keys as text"
                )
        made = copy(self)
        made._flowing = (*self._flowing, *keys)
        return made


class Stamping(Flowing):
    """Mixin for buses: adds the meta of `with_meta` and the cause to each message."""

    _meta: Mapping[str, JsonValue] = MappingProxyType({})

    def with_meta(self, meta: Mapping[str, JsonValue]) -> Self:
        """Return a copy of the bus that merges `meta` into every message's meta; it shares all state, also `close`."""
        made = copy(self)
        made._meta = MessageHeader(meta={**self._meta, **meta}).meta
        return made

    def _stamped(self, message: M) -> M:
        return caused(message.add_meta(self._meta) if self._meta else message, self._flowing)
