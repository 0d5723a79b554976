"""Old and new versions of messages: functions between them, and the ways that they make."""

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
"""The attributes of a message, as builtins that came from JSON."""

Wire: TypeAlias = MessageWire[Any, MessageHeader]  # Any: messages of all classes stand side by side in a codec


@frozen
class Upcaster:
    """A pure function from the attributes of an old version of a message to those of a later one.

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
        return class_of(self.message_type)

    def __str__(self) -> str:
        return f"the upcaster of {self.target.__qualname__} from version {self.from_version}"


@frozen
class Downcaster:
    """A pure function from the attributes of a message to those of an older version, for those who read only that.

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
        from_version: the version that the function takes: that of the class, or one that another function returns.
        function: gets the attributes, read-only, and returns new ones. Where it raises, or returns what JSON can't
            carry, the message can't be encoded so: InvalidMessage.
        to_version: the version that it returns; the one before unless given.
        to_name: what the message was called in that version; its name of today unless given.
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
    """The way to read one kind, name and version: the class's wire type, after the upcasters."""

    wire: Wire
    upcasters: tuple[Upcaster, ...]


def applied(function: Callable[[Attributes], Attributes], attributes: object) -> object:
    """Return the attributes of the other version; MISSING where the function refuses, or returns something else."""
    if not isinstance(attributes, Mapping):
        return MISSING
    try:
        made = function(freeze_json(attributes))  # type: ignore[arg-type]  # a mapping stays one
        return freeze_json(made) if isinstance(made, Mapping) else MISSING
    except Exception:  # whatever the user's function raises, or returns that JSON can't carry
        return MISSING


def routes_of(wires: list[Wire], upcasters: tuple[Upcaster, ...]) -> Mapping[MessageInfo, Route]:
    """Return the way from each kind, name and version to a message; refuse what has no way, or two."""
    routes: dict[MessageInfo, Route] = {}
    for wire in wires:
        known = routes.setdefault(wire.info, Route(wire, ()))
        if known.wire is not wire:
            raise TypeError(
                f"{wire.cls.__qualname__} and {known.wire.cls.__qualname__} are both {wire.info}; "
                "give one another Config.name"
            )
    for wire, by_version in _by_version(wires, upcasters):
        _add_old_versions(routes, wire, by_version)
    return MappingProxyType(routes)


C = TypeVar("C", Upcaster, Downcaster)


def _by_version(wires: list[Wire], casters: tuple[C, ...]) -> Iterator[tuple[Wire, Mapping[int, C]]]:
    """Yield the casters of each class by the version that they take; TypeError for two, or one of another class."""
    given = {wire.cls for wire in wires}
    for caster in casters:
        if caster.target not in given:
            raise TypeError(f"{caster}: the codec wasn't given this class; pass it among the message types")
    for wire in wires:
        own: dict[int, C] = {}
        for caster in casters:
            if caster.target is wire.cls and own.setdefault(caster.from_version, caster) is not caster:
                raise TypeError(f"{caster}: there are two of them; a version has one")
        yield wire, own


def _add_old_versions(routes: dict[MessageInfo, Route], wire: Wire, by_version: Mapping[int, Upcaster]) -> None:
    for upcaster in by_version.values():
        info = MessageInfo(upcaster.from_name or wire.info.name, upcaster.from_version, wire.info.kind)
        if info in routes:
            raise TypeError(f"{upcaster}: {info} is read as {routes[info].wire.cls.__qualname__} already")
        routes[info] = Route(wire, _chain(upcaster, by_version, wire.info.version))


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


def older_forms(
    wires: list[Wire], routes: Mapping[MessageInfo, Route], downcasters: tuple[Downcaster, ...]
) -> Mapping[type[Message], tuple[tuple[MessageInfo, Downcaster], ...]]:
    """Return how a message of each class gets its older forms, one after the other; refuse what has no way."""
    found: dict[type[Message], tuple[tuple[MessageInfo, Downcaster], ...]] = {}
    taken = {info: route.wire.cls for info, route in routes.items()}
    for wire, by_version in _by_version(wires, downcasters):
        chain = _chain_down(wire.info.version, dict(by_version))
        forms = [(MessageInfo(one.to_name or wire.info.name, one.to_version, wire.info.kind), one) for one in chain]
        for info, downcaster in forms:
            other = taken.setdefault(info, wire.cls)
            if other is not wire.cls:
                raise TypeError(f"{downcaster}: {info} is {other.__qualname__} already; a form has one class")
        if forms:
            found[wire.cls] = tuple(forms)
    return MappingProxyType(found)


def _chain_down(version: int, by_version: dict[int, Downcaster]) -> Iterator[Downcaster]:
    """Yield the downcasters from a version on; TypeError where one leads to no older version, or isn't reached."""
    for downcaster in by_version.values():
        if downcaster.to_version >= downcaster.from_version:
            raise TypeError(
                f"{downcaster}: it leads to version {downcaster.to_version}; it must lead to an earlier one"
            )
    while version in by_version:
        yield (downcaster := by_version.pop(version))
        version = downcaster.to_version
    for left in by_version.values():
        raise TypeError(f"{left}: no way leads to version {left.from_version}, down from the version of the class")
