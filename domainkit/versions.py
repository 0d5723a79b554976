"""Versions of messages: functions that convert between them, and the chains of these functions."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from attrs import Factory, field, frozen
from attrs.validators import ge, instance_of

from domainkit._model.mapping import freeze_json
from domainkit.conversion.envelope import MessageInfo, MessageWire
from domainkit.conversion.nodes import MISSING
from domainkit.handlers import class_of
from domainkit.messages import JsonValue, Message, MessageHeader

Attributes: TypeAlias = Mapping[str, JsonValue]
"""The attributes of a message, as JSON values of builtin types."""

Wire: TypeAlias = MessageWire[Any, MessageHeader]  # Any: a codec has message classes of all kinds


@frozen
class Upcaster:
    """Pure function that converts the attributes of an older version of a message to those of a later one.

    See Young, Versioning in an Event Sourced System (2017), and Overeem et al., The Dark Side of Event Sourcing (2017).

    >>> from attrs import frozen
    >>> from domainkit import DomainEvent, MessageCodec
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
        message_type: the class of the current version.
        from_version: the version of the attributes that the function gets.
        function: gets the attributes, read-only, and returns new ones. If it raises, decoding fails with
            InvalidMessage.
        to_version: the version of the returned attributes; by default the next one.
        from_name: the message's name in `from_version`; by default its current name.
    """

    message_type: type[Message]
    from_version: int = field(validator=[instance_of(int), ge(1)])
    function: Callable[[Attributes], Attributes]
    to_version: int = field(default=Factory(lambda self: self.from_version + 1, takes_self=True), kw_only=True)
    from_name: str | None = field(default=None, kw_only=True)

    @property
    def target(self) -> type[Message]:
        """The class of the current version, without type arguments."""
        return class_of(self.message_type)

    def __str__(self) -> str:
        return f"the upcaster of {self.target.__qualname__} from version {self.from_version}"


@frozen
class Downcaster:
    """Pure function that converts the attributes of a message to an older version, for consumers that only read that.

    >>> from attrs import frozen
    >>> from domainkit import DomainEvent, MessageCodec
    >>> @frozen
    ... class TaskCreated(DomainEvent):
    ...     title: str
    ...     urgent: bool
    ...
    ...     class Config:
    ...         version = 2
    >>> def without_urgent(attributes: Attributes) -> Attributes:
    ...     return {key: value for key, value in attributes.items() if key != "urgent"}
    >>> codec = MessageCodec(TaskCreated, downcasters=[Downcaster(TaskCreated, 2, without_urgent)])
    >>> codec.versions(TaskCreated)
    (2, 1)

    Args:
        message_type: the class of the message.
        from_version: the version of the attributes that the function gets: the class's, or another function's result.
        function: gets the attributes, read-only, and returns new ones. If it raises, or returns a value that JSON
            can't carry, encoding that version raises InvalidMessage.
        to_version: the version of the returned attributes; by default the previous one.
        to_name: the message's name in `to_version`; by default its current name.
    """

    message_type: type[Message]
    from_version: int = field(validator=[instance_of(int), ge(2)])
    function: Callable[[Attributes], Attributes]
    to_version: int = field(
        default=Factory(lambda self: self.from_version - 1, takes_self=True),
        validator=[instance_of(int), ge(1)],
        kw_only=True,
    )
    to_name: str | None = field(default=None, kw_only=True)

    @property
    def target(self) -> type[Message]:
        """The class of the message, without type arguments."""
        return class_of(self.message_type)

    def __str__(self) -> str:
        return f"the downcaster of {self.target.__qualname__} from version {self.from_version}"


@frozen
class Route:
    """Way to read one kind, name and version: through upcasters to the class's wire type."""

    wire: Wire
    upcasters: tuple[Upcaster, ...]


def applied(function: Callable[[Attributes], Attributes], attributes: object) -> object:
    """Return the attributes of the other version; MISSING if the function raises, or returns another type."""
    if not isinstance(attributes, Mapping):
        return MISSING
    try:
        made = function(freeze_json(attributes))  # type: ignore[arg-type]  # a mapping stays one
        return freeze_json(made) if isinstance(made, Mapping) else MISSING
    except Exception:  # the user's function raised, or returned a value that JSON can't carry
        return MISSING


def routes_of(wires: list[Wire], upcasters: tuple[Upcaster, ...]) -> Mapping[MessageInfo, Route]:
    """Return the route for each kind, name and version; raise TypeError if one has no route, or two."""
    routes: dict[MessageInfo, Route] = {}
    for wire in wires:
        known = routes.setdefault(wire.info, Route(wire, ()))
        if known.wire is not wire:
            raise TypeError(
                f"{wire.cls.__qualname__}: expected a name and version of its own, got {wire.info}, "
                f"those of {known.wire.cls.__qualname__}; give one of them another Config.name"
            )
    for wire, by_version in _by_version(wires, upcasters):
        _add_old_versions(routes, wire, by_version)
    return MappingProxyType(routes)


C = TypeVar("C", Upcaster, Downcaster)


def _by_version(wires: list[Wire], casters: tuple[C, ...]) -> Iterator[tuple[Wire, Mapping[int, C]]]:
    """Yield the upcasters (or downcasters) of each class by their `from_version`.

    Raises TypeError for two with the same version, and for one of another class.
    """
    given = {wire.cls for wire in wires}
    for caster in casters:
        if caster.target not in given:
            raise TypeError(f"{caster}: expected a class of the codec, got another; pass the class to the codec")
    for wire in wires:
        own: dict[int, C] = {}
        for caster in casters:
            if caster.target is wire.cls and own.setdefault(caster.from_version, caster) is not caster:
                raise TypeError(f"{caster}: expected a single one from each version, got two; remove one")
        yield wire, own


def _add_old_versions(routes: dict[MessageInfo, Route], wire: Wire, by_version: Mapping[int, Upcaster]) -> None:
    for upcaster in by_version.values():
        info = MessageInfo(upcaster.from_name or wire.info.name, upcaster.from_version, wire.info.kind)
        if info in routes:
            raise TypeError(
                f"{upcaster}: expected a version that no other class or upcaster reads, "
                f"got {info}, read as {routes[info].wire.cls.__qualname__}; change `from_version` or `from_name`"
            )
        routes[info] = Route(wire, _chain(upcaster, by_version, wire.info.version))


def _chain(first: Upcaster, by_version: Mapping[int, Upcaster], latest: int) -> tuple[Upcaster, ...]:
    """Return the upcasters from `first` to the current version; raise TypeError if they don't lead there."""
    chain = [first]
    while chain[-1].to_version != latest:
        last = chain[-1]
        if last.to_version <= last.from_version:
            raise TypeError(f"{last}: expected a later version as `to_version`, got {last.to_version}; correct it")
        if last.to_version > latest:
            raise TypeError(
                f"{last}: expected a `to_version` of at most {latest}, the version of the class, "
                f"got {last.to_version}; correct it"
            )
        following = by_version.get(last.to_version)
        if following is None:
            raise TypeError(
                f"{last}: expected another upcaster from version {last.to_version} to {latest}, got none; add one"
            )
        chain.append(following)
    if chain[-1].from_version >= latest:
        raise TypeError(f"{first}: expected a `from_version` below {latest}, the version of the class; correct it")
    return tuple(chain)


def older_forms(
    wires: list[Wire], routes: Mapping[MessageInfo, Route], downcasters: tuple[Downcaster, ...]
) -> Mapping[type[Message], tuple[tuple[MessageInfo, Downcaster], ...]]:
    """Return the older versions of each class with their downcasters, the newest first.

    Raises TypeError for a downcaster that isn't reached, or whose version belongs to another class.
    """
    found: dict[type[Message], tuple[tuple[MessageInfo, Downcaster], ...]] = {}
    taken = {info: route.wire.cls for info, route in routes.items()}
    for wire, by_version in _by_version(wires, downcasters):
        chain = _chain_down(wire.info.version, dict(by_version))
        forms = [(MessageInfo(one.to_name or wire.info.name, one.to_version, wire.info.kind), one) for one in chain]
        for info, downcaster in forms:
            other = taken.setdefault(info, wire.cls)
            if other is not wire.cls:
                raise TypeError(
                    f"{downcaster}: expected a version that no other class has, got {info}, which is "
                    f"{other.__qualname__}; use another `to_name`"
                )
        if forms:
            found[wire.cls] = tuple(forms)
    return MappingProxyType(found)


def _chain_down(version: int, by_version: dict[int, Downcaster]) -> Iterator[Downcaster]:
    """Yield the downcasters from a version on, the newest first.

    Raises TypeError for one that doesn't lead to an older version, or isn't reached.
    """
    for downcaster in by_version.values():
        if downcaster.to_version >= downcaster.from_version:
            raise TypeError(
                f"{downcaster}: expected an earlier version as `to_version`, got {downcaster.to_version}; correct it"
            )
    while version in by_version:
        yield (downcaster := by_version.pop(version))
        version = downcaster.to_version
    for unused in by_version.values():
        raise TypeError(f"{unused}: expected a downcaster to version {unused.from_version}, got none; add one")
