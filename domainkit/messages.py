"""Messages: domain events, commands, and the header that both have."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeAlias, TypedDict, get_origin, overload

import attrs
from attrs import field, frozen
from returns.result import Result
from typing_extensions import TypeVar

from domainkit._model.immutability import Frozen, copy_with, require_decorated
from domainkit._model.info import EMPTY, frozen_meta
from domainkit._model.info import MessageInfo as MessageInfo
from domainkit._model.loading import LOADING
from domainkit._model.mapping import FrozenMapping
from domainkit._model.mapping import JsonValue as JsonValue
from domainkit._model.type_checks import describe
from domainkit._speedups.slots import maker
from domainkit.errors import DomainError
from domainkit.handlers import AsyncHandler, AsyncSubscriber, Handler, Subscriber, is_async
from domainkit.values import Uuid

if TYPE_CHECKING:
    from domainkit.conversion.derive import Derivation
    from domainkit.conversion.envelope import MessageWire


def now() -> datetime:
    """Return the time for a new message. A test may replace this function."""
    return datetime.now(UTC)


def in_utc(moment: datetime, field: str) -> datetime:
    """Return the moment in UTC; `field` is its class and field, for the error.

    Raises ValueError if it has no time zone.
    """
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ValueError(
            f"{field}: expected a datetime with a time zone, got another value; pass one, such as datetime.now(UTC)"
        )
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _utc(moment: datetime) -> datetime:
    return in_utc(moment, "MessageHeader.occurred_on")


def _meta(meta: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    if not isinstance(meta, Mapping):
        raise TypeError(
            f"MessageHeader.meta: expected a mapping of JSON values, got a {type(meta).__qualname__}; pass a dict"
        )
    return frozen_meta(meta)  # type: ignore[return-value]  # its values were checked


@frozen
class MessageHeader:
    """Header of a message: its id, time and meta.

    >>> MessageHeader(meta={"tenant": "home"}).meta["tenant"]
    'home'

    Args:
        id: the message's own id; by default a new one.
        occurred_on: when it was made, timezone-aware; kept in UTC, to the microsecond. By default now.
        meta: JSON values for infrastructure: tenant, correlation, trace. Kept as a read-only copy.

    Raises:
        TypeError: `id` is not a Uuid, or `meta` has a value that JSON can't carry (the text has its path).
        ValueError: `occurred_on` has no time zone.
        OverflowError: in UTC, `occurred_on` is outside of the years 1 to 9999.
    """

    id: Uuid = field(factory=Uuid.v4, validator=attrs.validators.instance_of(Uuid))
    occurred_on: datetime = field(factory=lambda: now(), converter=_utc)  # noqa: PLW0108  # looked up when it is called, since a test may replace it
    meta: Mapping[str, JsonValue] = field(default=EMPTY, converter=_meta)


_make_header = maker(MessageHeader, "id", "occurred_on", "meta")


def _fresh_header() -> MessageHeader:
    """Return MessageHeader(), without the checks, which its defaults can't fail."""
    return _make_header(Uuid.v4(), now(), EMPTY)


_LONGEST_CORRELATION = 255


def correlation_of(header: MessageHeader) -> str | None:
    """Return the `correlation_id` to copy to further messages; None unless it is a text of 1 to 255 characters.

    A message from outside may have any value there, and all further messages would copy it.
    """
    found = header.meta.get("correlation_id")
    return found if isinstance(found, str) and 0 < len(found) <= _LONGEST_CORRELATION else None


class EnvelopeData(TypedDict):
    """Content of `data` in an envelope."""

    id: str
    type: str
    type_message: str
    version: int
    occurred_on: str
    attributes: dict[str, JsonValue]
    meta: dict[str, JsonValue]


class EnvelopeDict(TypedDict):
    """Wire form of a message, as builtin types."""

    data: EnvelopeData


_CONFIG = frozenset({"name", "version"})


def _check_config(cls: type["Message"]) -> None:
    config = cls.__dict__.get("Config")
    if config is None:
        return
    if not isinstance(config, type):
        raise TypeError(f"{cls.__qualname__}.Config: expected a class in the body, such as `class Config: version = 2`")
    for name in vars(config):
        if not name.startswith("__") and name not in _CONFIG:
            raise TypeError(
                f"{cls.__qualname__}.Config.{name}: expected only `name` and `version`, got another setting; remove it"
            )
    version, name = getattr(config, "version", 1), getattr(config, "name", "default")
    if type(version) is not int or version < 1:
        raise TypeError(f"{cls.__qualname__}.Config.version: expected an int of 1 or more")
    if not isinstance(name, str) or not name or name.encode(errors="replace").decode() != name:
        raise TypeError(f"{cls.__qualname__}.Config.name: expected a non-empty str, such as 'task.created'")


def _check_header(message: "Message", _: object, header: object) -> None:
    if type(header) is not MessageHeader:
        found = type(header).__qualname__
        raise TypeError(f"{type(message).__qualname__}.header: expected a MessageHeader, got a {found}")


@frozen
class Message(Frozen):
    """Base of events and commands: a payload of your own fields, and a `header`.

    The payload's fields come first in the constructor; `header` is keyword-only, by default a new one. Two messages are
    equal if they are of the same class with equal payload and header.

    A nested `class Config` may set `version` (an int from 1, default 1) and `name` (the type on the wire; by default
    the class's name in lower case, with a dot before each capital but the first).

    Raises:
        TypeError: at class definition: a field has a name that this class uses or a mutable type (list, dict, set), or
            `Config` is wrong. At the first instance: `@attrs.frozen` is missing. At any instance: `header` is not a
            MessageHeader.
    """

    header: MessageHeader = field(factory=_fresh_header, kw_only=True, validator=_check_header)

    _kind: ClassVar[str] = "message"
    _reserved_names: ClassVar[frozenset[str]] = frozenset(
        {"header", "info", "add_meta", "caused_by", "dict", "json", "from_dict", "from_json", "handled_by", "Config"}
    )

    @classmethod
    def _finish_definition(cls) -> None:
        _check_config(cls)
        super()._finish_definition()

    @classmethod
    def info(cls) -> MessageInfo:
        """Return the name, version and kind of the class.

        >>> class TaskCreated(DomainEvent): ...
        >>> TaskCreated.info()
        MessageInfo(name='task.created', version=1, kind='domain_event')
        """
        config = cls.__dict__.get("Config")
        dotted = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower().replace("_", ".")
        name = getattr(config, "name", None) or dotted
        return MessageInfo(name, getattr(getattr(cls, "Config", None), "version", 1), cls._kind)

    def add_meta(self, meta: Mapping[str, JsonValue]) -> Self:
        """Return a copy of the message with `meta` merged into its own; existing keys are replaced.

        >>> event = DomainEvent().add_meta({"tenant": "home"}).add_meta({"user": "ada"})
        >>> event.header.meta
        {'tenant': 'home', 'user': 'ada'}

        Raises:
            TypeError: `meta` is not a mapping, or has a value that JSON can't carry.
        """
        header = self.header
        merged = FrozenMapping({**header.meta, **_meta(meta)})
        return copy_with(self, header=copy_with(header, meta=merged))

    def caused_by(self, message: "Message") -> Self:
        """Return a copy with `message` as its cause in its meta.

        `causation_id` is the id of `message`; `correlation_id` is that of `message` if it has one (a text of at most
        255 characters), else the id of `message`. See Hohpe and Woolf, Enterprise Integration Patterns (2003),
        Correlation Identifier.

        >>> command = Command()
        >>> event = DomainEvent().caused_by(command)
        >>> event.header.meta["causation_id"] == str(command.header.id)
        True
        """
        cause = str(message.header.id)
        return self.add_meta({"correlation_id": correlation_of(message.header) or cause, "causation_id": cause})

    def dict(self) -> EnvelopeDict:
        """Return the wire form as JSON values of builtin types.

        >>> DomainEvent().dict()["data"]["type_message"]
        'domain_event'

        Raises:
            InvalidMessage: a field has a value that could not be read back (NaN, a naive datetime, another type): the
                problems have the paths.
        """
        return wire_of(type(self)).builtins(self)  # type: ignore[return-value]  # the struct has these keys

    def json(self) -> str:
        """Return the wire form as JSON text.

        >>> DomainEvent().json()[:15]
        '{"data":{"id":"'

        Raises:
            InvalidMessage: as with `dict`.
        """
        return wire_of(type(self)).encode(self).decode()

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Decode a message from its wire form as builtin types.

        >>> event = DomainEvent()
        >>> DomainEvent.from_dict(event.dict()) == event
        True

        Raises:
            InvalidMessage: `data` is not the wire form of exactly this class, or deeper than the default limits allow;
                the problems have the paths and reasons.
        """
        return wire_of(cls).from_dict(data)

    @classmethod
    def from_json(cls, raw: str | bytes) -> Self:
        """Decode a message from its wire form as JSON.

        >>> event = DomainEvent()
        >>> DomainEvent.from_json(event.json()) == event
        True

        Raises:
            InvalidMessage: `raw` is not the wire form of exactly this class, or larger than the default limits allow;
                the problems have the paths and reasons.
        """
        return wire_of(cls).from_json(raw)


M = TypeVar("M", bound=Message)


def wire_of(message_type: type[M]) -> "MessageWire[M, MessageHeader]":
    """Return the wire type of a message class, made at its first use.

    Raises TypeError if the class isn't decorated, or has a field of a type without a wire form.
    """
    if get_origin(message_type) is not None:  # an attribute set on an alias would be set on its class
        return new_wire(message_type)
    wire: MessageWire[M, MessageHeader] | None = getattr(message_type, "__dict__", {}).get("_domainkit_wire")
    if wire is None:
        wire = new_wire(message_type)
        message_type._domainkit_wire = wire  # type: ignore[attr-defined]  # kept on the class that it belongs to
    return wire


def new_wire(message_type: type[M], derivation: "Derivation | None" = None) -> "MessageWire[M, MessageHeader]":
    """Return a wire type of a message class, or of one with type arguments, such as `ItemAdded[int]`."""
    # the conversion takes longer to import than the whole model, which doesn't need it
    with LOADING:
        from domainkit.conversion.derive import Derivation, is_message  # noqa: PLC0415
        from domainkit.conversion.envelope import MessageWire  # noqa: PLC0415
        from domainkit.conversion.hooks import own_hooks  # noqa: PLC0415

    cls: type[M] = get_origin(message_type) or message_type
    if not is_message(cls):
        raise TypeError(f"{describe(message_type)}: expected a class of messages, such as a subclass of DomainEvent")
    require_decorated(cls)
    derivation = Derivation() if derivation is None else derivation
    if derivation.converter is not None and any(own_hooks(derivation.converter, cls)):
        raise TypeError(
            f"{cls.__qualname__}: expected a converter without hooks for classes of messages, got one with a hook; "
            "register hooks for the classes of its fields instead"
        )
    return MessageWire(cls, message_type, cls.info(), (Uuid, MessageHeader), derivation)


@frozen
class DomainEvent(Message):
    """Fact that happened in the domain, named in the past tense: TaskCreated.

    >>> from attrs import frozen
    >>> @frozen
    ... class TaskCreated(DomainEvent):
    ...     title: str
    >>> TaskCreated("Buy milk").info().name
    'task.created'
    """

    _kind: ClassVar[str] = "domain_event"

    @overload
    @classmethod
    def handled_by(cls, function: Callable[[Self], Result[object, object] | None]) -> Subscriber[Self]: ...
    @overload
    @classmethod
    def handled_by(
        cls, function: Callable[[Self], Awaitable[Result[object, object] | None]]
    ) -> AsyncSubscriber[Self]: ...
    @classmethod
    def handled_by(cls, function: Callable[[Self], Any]) -> object:  # Any: an answer, or an awaitable of one
        """Return `function` bound to this class, for a bus; type checkers check its parameter.

        A subscriber that returns None has succeeded; one that returns a Failure has failed.

        >>> def greet(event: DomainEvent) -> None:
        ...     print(event.info().name)
        >>> DomainEvent.handled_by(greet).message_type is DomainEvent
        True
        """
        return (AsyncSubscriber if is_async(function) else Subscriber)(cls, function)


R_co = TypeVar("R_co", default=None, covariant=True)
E_co = TypeVar("E_co", default=DomainError, covariant=True)


@frozen
class Command(Message, Generic[R_co, E_co]):
    """Request to the domain, named in the imperative: CreateTask.

    A handler of a `Command[Task, DuplicateTask]` returns `Result[Task, DuplicateTask]`; that of a bare Command
    returns `Result[None, DomainError]`.
    """

    _kind: ClassVar[str] = "command"

    @overload
    @classmethod
    def handled_by(cls, function: Callable[[Self], Result[R_co, E_co]]) -> Handler[Self, R_co, E_co]: ...
    @overload
    @classmethod
    def handled_by(
        cls, function: Callable[[Self], Awaitable[Result[R_co, E_co]]]
    ) -> AsyncHandler[Self, R_co, E_co]: ...
    @classmethod
    def handled_by(cls, function: Callable[[Self], Any]) -> object:  # Any: an answer, or an awaitable of one
        """Return `function` bound to this class, for a Mediator; type checkers check its parameter and result.

        >>> from returns.result import Result, Success
        >>> class Ping(Command[str, DomainError]): ...
        >>> def pong(command: Ping) -> Result[str, DomainError]:
        ...     return Success("pong")
        >>> Ping.handled_by(pong).message_type is Ping
        True
        """
        return (AsyncHandler if is_async(function) else Handler)(cls, function)


AnyCommand: TypeAlias = Command[object, object]
"""A command with any result."""
