"""The codec: a closed set of messages, to bytes and back, old versions included."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, get_origin

import attrs
import msgspec
from attrs import Factory, field, frozen
from attrs.validators import ge, instance_of
from cattrs import Converter
from returns.result import Result, Success

from domainkit._model.internals import SUCCESS_VALUE
from domainkit._model.mapping import freeze_json
from domainkit._speedups.slots import maker
from domainkit.conversion.classes import Options
from domainkit.conversion.derive import Derivation
from domainkit.conversion.envelope import MessageInfo, MessageWire, Opened, answer, read_envelope, read_raw
from domainkit.conversion.limits import DEFAULT_LIMITS, Limits, shallow
from domainkit.conversion.nodes import MISSING, Problems
from domainkit.errors import InvalidMessage, Problem, UnknownMessage
from domainkit.messages import JsonValue, Message, MessageHeader, new_wire, wire_of

Attributes: TypeAlias = Mapping[str, JsonValue]
"""The attributes of a message, as builtins that came from JSON."""

Wire: TypeAlias = MessageWire[Any, MessageHeader]  # Any: messages of all classes stand side by side in a codec


@frozen
class Upcaster:
    """A pure function from the attributes of an old version of a message to those of a later one.

    See Young, Versioning in an Event Sourced System (2017), and Overeem et al., The Dark Side of Event Sourcing (2017).

    >>> from attrs import frozen
    >>> from domainkit import DomainEvent
    >>> @frozen
    ... class TaskCreated(DomainEvent):
    ...     title: str
    ...     urgent: bool
    ...
    ...     class Config:
    ...         version = 2
    >>> def add_urgent(attributes: Attributes) -> Attributes:
    ...     return {**attributes, "urgent": False}
    >>> codec = MessageCodec(TaskCreated, upcasters=[Upcaster(TaskCreated, 1, add_urgent)])

    Args:
        message_type: the class that the message becomes in the end.
        from_version: the version that the function takes.
        function: gets the attributes, read-only, and returns new ones. Where it raises, the message is an
            InvalidMessage.
        to_version: the version that it returns; the next one unless given.
        from_name: what the message was called in that version; its name of today unless given.
    """

    message_type: type[Message]
    from_version: int = field(validator=[instance_of(int), ge(1)])
    function: Callable[[Attributes], Attributes]
    to_version: int = field(default=Factory(lambda self: self.from_version + 1, takes_self=True), kw_only=True)
    from_name: str | None = field(default=None, kw_only=True)

    @property
    def target(self) -> type[Message]:
        """The class that the message becomes, without type arguments."""
        return get_origin(self.message_type) or self.message_type

    def __str__(self) -> str:
        return f"the upcaster of {self.target.__qualname__} from version {self.from_version}"


@frozen
class _Route:
    """How to read one kind, name and version: the class's wire type, after the upcasters."""

    wire: Wire
    upcasters: tuple[Upcaster, ...]


_make_success: Callable[[Message], Success[Message]] = maker(Success, SUCCESS_VALUE)
"""Returns what Success does, without the two calls of its constructor."""

_START = len('{"data":{"id":"3a4d78aa-6870-41cb-aa14-964831511d86"')
_END = b',"occurred_on":'
_END_WITHIN = 400
"""The class is named within so many bytes of an envelope as this library writes it: a guess, which decoding checks."""


class MessageCodec:
    """Bytes from messages, and messages from bytes, for a closed set of message classes.

    What it writes it reads back equal; what it reads is either exactly a message that it was given the class of, or an
    InvalidMessage that lists every problem with its path. Nothing is coerced or invented; no input makes it raise.

    >>> from attrs import frozen
    >>> from domainkit import DomainEvent, Uuid
    >>> class TaskId(Uuid): ...
    >>> @frozen
    ... class TaskCreated(DomainEvent):
    ...     task_id: TaskId
    >>> codec = MessageCodec(TaskCreated)
    >>> event = TaskCreated(TaskId.v4())
    >>> codec.decode(codec.encode(event)) == Success(event)
    True
    >>> codec.decode(b'{"data": {"type": "task.created"}}').failure().problems[0]
    Problem(path='$.data.version', expected='int', code='missing')

    Args:
        message_types: the classes. Kind, name and version select one; a name from the wire selects nothing else.
        upcasters: for messages of older versions.
        limits: how large a message may be.
        forbid_unknown: refuse a key that nothing here has. By default it is ignored: a tolerant reader (Fowler, 2011).
        lenient_envelope: read the envelopes of other producers too: without a kind (`type_message`) where one class has
            that name and version, with a version as text, with a time to the nanosecond, which is cut. Id, name,
            version and time have to be there all the same.
        naive_as_utc: read datetimes without an offset as those in UTC, as petisco writes them; `NaiveAsUtc` says so for
            one field.
        converter: a cattrs converter; where it has hooks of its own for a class, they read and write that class.

    Raises:
        TypeError: two classes have the same kind, name and version; a class isn't decorated; a field's type can't be
            carried; or the upcasters of a class have a gap, a cycle or a duplicate, or lead to a version that isn't
            there. The text names the class, and the field or the versions.
    """

    def __init__(  # noqa: PLR0913  # options, each given by its name
        self,
        *message_types: type[Message],
        upcasters: Iterable[Upcaster] = (),
        limits: Limits = DEFAULT_LIMITS,
        forbid_unknown: bool = False,
        lenient_envelope: bool = False,
        naive_as_utc: bool = False,
        converter: Converter | None = None,
    ) -> None:
        self._limits = limits
        self._forbid_unknown, self._lenient = forbid_unknown, lenient_envelope
        options = Options(forbid_unknown=forbid_unknown, naive_as_utc=naive_as_utc)
        plain, derivation = options == Options() and converter is None, Derivation(options, converter)
        made = [wire_of(one) if plain else new_wire(one, derivation) for one in dict.fromkeys(message_types)]
        self._routes = _routes(made, tuple(upcasters))
        self._wires: Mapping[type[Message], Wire] = MappingProxyType({wire.cls: wire for wire in made})
        self._encoders = {wire.cls: wire.encoder(limits) for wire in made}
        self._short = min(limits.max_bytes, limits.max_string)
        self._fast = {
            _start(info): _within(limits.max_depth, route.wire)
            for info, route in self._routes.items()
            if not route.upcasters
        }

    @property
    def message_types(self) -> tuple[type[Message], ...]:
        """The classes, in the order in which they were given."""
        return tuple(self._wires)

    @property
    def wires(self) -> Mapping[type[Message], Wire]:
        """The wire type of each class: what other views of the same messages are made from."""
        return self._wires

    @property
    def limits(self) -> Limits:
        """How large a message may be."""
        return self._limits

    def encode(self, message: Message) -> bytes:
        """Return the JSON of a message, in UTF-8.

        Raises:
            UnknownMessage: the codec wasn't given the class of the message.
            InvalidMessage: a field holds what could not be read back: NaN, a naive datetime, a value of another type.
                The problems give the paths.
        """
        encode = self._encoders.get(type(message))
        if encode is None:
            expected = f"a message of a class that the codec was given; {type(message).__qualname__} is none"
            raise UnknownMessage(problems=(Problem("$", expected, "unknown"),))
        return encode(message)

    def decode(self, raw: bytes | str) -> Result[Message, InvalidMessage]:
        """Return a Success with the message, or a Failure that lists what is wrong; it never raises.

        The Failure is an UnknownMessage where kind, name and version are none that the codec knows. Texts hold paths
        and what is expected there, never a value.
        """
        failed = None
        if type(raw) is bytes and len(raw) <= self._short:
            decode = self._fast.get(raw[_START : raw.find(_END, _START, _END_WITHIN)])
            found = None if decode is None else decode(raw)
            if found is not None and not isinstance(found, Exception):
                return _make_success(found)
            failed = found

        def read(problems: Problems) -> Opened | None:
            limits, strict = self._limits, self._forbid_unknown
            return read_raw(raw, limits, problems, forbid_unknown=strict, lenient=self._lenient)

        return self._explained(read, failed)

    def decode_dict(self, data: Mapping[str, object]) -> Result[Message, InvalidMessage]:
        """Return what `decode` does, for a wire form that is builtins already.

        >>> from domainkit import DomainEvent
        >>> event = DomainEvent()
        >>> MessageCodec(DomainEvent).decode_dict(event.dict()) == Success(event)
        True
        """

        def read(problems: Problems) -> Opened | None:
            if not shallow(data, self._limits, problems):
                return None
            return read_envelope(data, problems, forbid_unknown=self._forbid_unknown, lenient=self._lenient)

        return self._explained(read)

    def _explained(
        self, read: Callable[[Problems], Opened | None], failed: Exception | None = None
    ) -> Result[Message, InvalidMessage]:
        """Return the message of an envelope, or every problem."""
        return answer(lambda problems: self._message_of(read(problems), problems, failed), self._limits)

    def _message_of(self, found: Opened | None, problems: Problems, failed: Exception | None) -> Message | None:
        if found is None or found.info is None:
            return None
        info = self._with_kind(found.info, problems) if self._lenient and not found.info.kind else found.info
        if info is None:
            return None
        route = self._routes.get(info)
        if route is None:
            problems.add("$.data", self._known_for(found.info), "unknown")
            raise UnknownMessage(problems=tuple(problems))
        for upcaster in route.upcasters:
            attributes = _applied(upcaster, found.builtins(problems))
            if attributes is MISSING:
                problems.add("$.data.attributes", f"attributes that {upcaster} takes", "value")
                return None
            found = attrs.evolve(found, attributes=attributes)
        message: Message | None = route.wire.read(found, problems, failed)
        return message

    def _with_kind(self, info: MessageInfo, problems: Problems) -> MessageInfo | None:
        """Return the info with the kind of the one class that has its name and version; None if there are two."""
        kinds = sorted(one.kind for one in self._routes if (one.name, one.version) == (info.name, info.version))
        if len(kinds) > 1:
            text = f"{' or '.join(kinds)}, since each has {info.name} version {info.version}"
            problems.add("$.data.type_message", text, "missing")
            return None
        return attrs.evolve(info, kind=kinds[0]) if kinds else info

    def _known_for(self, info: MessageInfo) -> str:
        kinds = {info.kind} if info.kind else {known.kind for known in self._routes}
        versions = sorted(known.version for known in self._routes if known.name == info.name and known.kind in kinds)
        if not versions:
            return "a kind and type that the codec knows"
        return f"{info.kind or 'a message'} {info.name} in one of the versions {', '.join(map(str, versions))}"


def _applied(upcaster: Upcaster, attributes: object) -> object:
    """Return the attributes of the later version; MISSING where the function refuses, or returns something else."""
    if not isinstance(attributes, Mapping):
        return MISSING
    try:
        upcast = upcaster.function(freeze_json(attributes))  # type: ignore[arg-type]  # a mapping stays one
        return freeze_json(upcast) if isinstance(upcast, Mapping) else MISSING
    except Exception:  # whatever the user's function raises, or returns that JSON can't carry
        return MISSING


def _within(depth: int, wire: Wire) -> Callable[[bytes], Message | Exception | None]:
    """Return what decodes messages of no more than that depth; where the class may go deeper, it counts brackets."""
    decode = wire.decode
    if wire.levels <= depth:
        return decode
    return lambda raw: decode(raw) if raw.count(b"[") + raw.count(b"{") <= depth else None


def _start(info: MessageInfo) -> bytes:
    """Return what stands between the id and the time of such a message."""
    name, kind = msgspec.json.encode(info.name), msgspec.json.encode(info.kind)
    return b',"type":%b,"type_message":%b,"version":%d' % (name, kind, info.version)


def _routes(wires: list[Wire], upcasters: tuple[Upcaster, ...]) -> Mapping[MessageInfo, _Route]:
    """Return the way from each kind, name and version to a message; refuse what has no way, or two."""
    routes: dict[MessageInfo, _Route] = {}
    for wire in wires:
        known = routes.setdefault(wire.info, _Route(wire, ()))
        if known.wire is not wire:
            raise TypeError(
                f"{wire.cls.__qualname__} and {known.wire.cls.__qualname__} are both {wire.info}; "
                "give one another Config.name"
            )
    given = {wire.cls for wire in wires}
    for upcaster in upcasters:
        if upcaster.target not in given:
            raise TypeError(f"{upcaster}: the codec wasn't given this class; pass it among the message types")
    for wire in wires:
        own = [upcaster for upcaster in upcasters if upcaster.target is wire.cls]
        _add_old_versions(routes, wire, own)
    return MappingProxyType(routes)


def _add_old_versions(routes: dict[MessageInfo, _Route], wire: Wire, upcasters: list[Upcaster]) -> None:
    by_version: dict[int, Upcaster] = {}
    for upcaster in upcasters:
        if by_version.setdefault(upcaster.from_version, upcaster) is not upcaster:
            raise TypeError(f"{upcaster}: there are two of them; a version has one")
    for upcaster in upcasters:
        info = MessageInfo(upcaster.from_name or wire.info.name, upcaster.from_version, wire.info.kind)
        if info in routes:
            raise TypeError(f"{upcaster}: {info} is read as {routes[info].wire.cls.__qualname__} already")
        routes[info] = _Route(wire, _chain(upcaster, by_version, wire.info.version))


def _chain(first: Upcaster, by_version: Mapping[int, Upcaster], latest: int) -> tuple[Upcaster, ...]:
    """Return the upcasters from `first` to the version of today; TypeError where they don't lead there."""
    chain = [first]
    while chain[-1].to_version != latest:
        last = chain[-1]
        if last.to_version <= last.from_version:
            raise TypeError(f"{last}: it leads to version {last.to_version}, a cycle; it must lead to a later one")
        if last.to_version > latest:
            raise TypeError(f"{last}: it leads to version {last.to_version}, but the class has version {latest}")
        following = by_version.get(last.to_version)
        if following is None:
            raise TypeError(f"{last}: it leads to version {last.to_version}, and none goes on from there to {latest}")
        chain.append(following)
    if chain[-1].from_version >= latest:
        raise TypeError(f"{chain[-1]}: it leads to version {latest}, a cycle; it must start earlier")
    return tuple(chain)
