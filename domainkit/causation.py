"""The message being handled right here, the cause of those that its handler sends; and which are stored right here."""

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


def caused(message: M, flowing: Iterable[str] = ()) -> M:
    """Return the message with the ids of the one being handled as its cause, unless it names a cause already.

    >>> from domainkit import Command, DomainEvent
    >>> caused(DomainEvent()).header.meta
    {}
    >>> with handling(Command().add_meta({"tenant": "home"})):
    ...     caused(DomainEvent(), ["tenant"]).header.meta["tenant"]
    'home'

    Args:
        message: what is about to be sent; one that is being handled itself is returned as it is.
        flowing: keys of the meta that the message takes over from the one being handled. It keeps those that it has,
            and takes none where it names another cause.
    """
    cause = HANDLED.get()
    if cause is None or cause.header.id == message.header.id:
        return message
    meta, source = message.header.meta, cause.header.meta
    if meta.get("causation_id", own := str(cause.header.id)) != own:
        return message
    flown = {key: source[key] for key in flowing if key in source and key not in meta}
    known = message.add_meta(flown) if flown else message
    return known if "causation_id" in meta else known.caused_by(cause)


@define(eq=False)
class _Stored:
    """The ids of messages that an open unit of work has stored, and those of the unit around it."""

    around: "_Stored | None"
    is_open: Callable[[], bool]
    ids: set[object] = field(factory=set)
    over: bool = False


_STORED: ContextVar[_Stored | None] = ContextVar("domainkit.stored", default=None)
"""Of the innermost open unit of work: of the context, as HANDLED is."""


@contextmanager
def storing(is_open: Callable[[], bool]) -> Iterator[None]:
    """Remember which messages are stored inside of the `with` block; what an exception takes back is forgotten.

    Args:
        is_open: False once the transaction has ended, even if the end of the block was never reached.
    """
    stored = _Stored(_innermost(), is_open)
    token = _STORED.set(stored)
    try:
        yield
        if stored.around is not None:
            stored.around.ids |= stored.ids
    finally:
        stored.over = True  # a task that was started in the block may outlive it, and so may the context it began in
        with suppress(ValueError):  # it ends in another context
            _STORED.reset(token)


def _innermost() -> _Stored | None:
    """Return what is stored by the innermost unit that isn't over."""
    stored = _STORED.get()
    while stored is not None and (stored.over or not stored.is_open()):
        stored = stored.around
    return stored


def note_stored(message_ids: Iterable[object]) -> None:
    """Say that the messages with these ids, as their headers wrap them, are stored in the open unit of work."""
    stored = _innermost()
    if stored is not None:
        stored.ids.update(message_ids)


def is_stored(message: Message) -> bool:
    """Check if the open unit of work has stored the message, so that a relay will deliver it."""
    stored = _innermost()
    while stored is not None and message.header.id.value not in stored.ids:
        stored = stored.around
    return stored is not None


class Flowing:
    """The part of whatever sends messages that says which meta flows on with them, beside the ids of their cause."""

    _flowing: tuple[str, ...] = ()

    def flowing(self, *keys: str) -> Self:
        """Return the same with keys of the meta that flow: what is sent while a message is handled takes them from it.

        A message keeps a key that it has already. What this one has is shared with the one that is returned.

        Raises:
            TypeError: a key is no text.
        """
        for key in keys:
            if not isinstance(key, str):
                raise TypeError(
                    f"{type(self).__qualname__}.flowing: expected a key of meta, got a {type(key).__name__}"
                )
        made = copy(self)
        made._flowing = (*self._flowing, *keys)
        return made


class Stamping(Flowing):
    """The part of a bus that says on each message where it comes from: the meta of `with_meta`, and its cause."""

    _meta: Mapping[str, JsonValue] = MappingProxyType({})

    def with_meta(self, meta: Mapping[str, JsonValue]) -> Self:
        """Return a bus that merges `meta` into the meta of every message; what this one has it shares, `close` too."""
        made = copy(self)
        made._meta = MessageHeader(meta={**self._meta, **meta}).meta
        return made

    def _stamped(self, message: M) -> M:
        return caused(message.add_meta(self._meta) if self._meta else message, self._flowing)
