"""Derives the node of a type; a type without a wire form is refused here, with the name of its class and field."""

import collections.abc
import enum
from collections.abc import Callable, Mapping
from itertools import combinations
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union, get_args, get_origin

import attrs
import msgspec
from attrs import evolve, frozen
from cattrs import BaseConverter

from domainkit._model.annotations import is_alias, own_annotations, parameters_of, type_of, unaliased
from domainkit._model.immutability import (
    ABSENT,
    ON_THE_WIRE,
    Frozen,
    refuse_mutable,
    require_decorated,
    undecorated_error,
)
from domainkit._model.internals import is_decorated
from domainkit._model.mapping import FrozenMapping, JsonValue
from domainkit._model.type_checks import bare, describe, members
from domainkit._model.wrapper import FieldSerializer, PlainTextMark, Wrapper, is_secret
from domainkit.conversion.classes import AttrsNode, Options
from domainkit.conversion.collections import FixedTupleNode, FrozensetNode, MappingNode, VariadicTupleNode
from domainkit.conversion.hooks import own_hooks, supports
from domainkit.conversion.json_values import JSON
from domainkit.conversion.nodes import Node, Part
from domainkit.conversion.nodes import UnsupportedTypeError as UnsupportedTypeError
from domainkit.conversion.scalars import DATETIME, NAIVE_AS_UTC, SCALARS, enum_node, literal_node
from domainkit.conversion.unions import Tagged, TaggedByHand, TaggedNode, UnionByHand, UnionNode
from domainkit.conversion.wrappers import (
    ConstrainedNode,
    DynamicNode,
    HookNode,
    KeptNode,
    RecursiveAlias,
    StandIn,
    ValueObjectNode,
    kept_kind,
)


@frozen
class _Serializer:
    """Marker of a field whose value object is unwrapped, in a converter that keeps the others."""


ValueObjectSerializer: Final = _Serializer()
"""Marker that unwraps a value object, such as `Annotated[Uuid, ValueObjectSerializer]`."""


@frozen
class _NaiveAsUtc:
    """Marker of a field whose datetimes without an offset are in UTC."""


NaiveAsUtc: Final = _NaiveAsUtc()
"""Marker that reads a datetime without an offset as UTC, such as `Annotated[datetime, NaiveAsUtc]`.

It covers the datetimes of a union or collection too, such as `Annotated[datetime | None, NaiveAsUtc]`.
"""


_DEFAULT = Options()


class Derivation:
    """Derives the nodes of related types; each class is derived once, so that it may contain itself.

    Args:
        options: the options of the derivation.
        converter: a cattrs converter, whose user-registered hooks take precedence over the derived form.
    """

    def __init__(self, options: Options = _DEFAULT, converter: BaseConverter | None = None) -> None:
        self.options: Options = options
        self.converter: BaseConverter | None = converter
        self.secrets: list[type] = []
        """The secret classes found so far."""
        self._unwrapping = Derivation(evolve(options, keep=False), converter) if options.keep else self
        self._scalars = NAIVE_AS_UTC if options.naive_as_utc else SCALARS
        self._done: dict[object, Node] = {}
        self._in_progress: dict[object, StandIn] = {}
        self._aliases: dict[object, RecursiveAlias] = {}
        self._structs: list[type[msgspec.Struct]] = []

    def node(self, hint: object, where: str) -> Node:
        """Return the node of the type `hint`; `where` names the class and field that has it.

        Raises UnsupportedTypeError for a type that has no wire form.
        """
        try:
            hooked = self._hooked(hint, where)
            return self.without_hook(hint, where) if hooked is None else hooked
        except UnsupportedTypeError:
            if self.options.lenient and self._is_left_to_others(hint):
                convert: Any = self.converter
                hooks = (lambda data: convert.structure(data, hint), lambda value: convert.unstructure(value, hint))
                return HookNode(hint, hooks, json=False)
            raise
        except RecursionError as error:  # the interpreter's: the description of the type has no end
            raise UnsupportedTypeError(
                f"{where}: expected a finite type, got one that contains itself without end; put it into a field of an "
                "@attrs.frozen class"
            ) from error

    def _hooked(self, hint: object, where: str) -> Node | None:
        """Return the node of a type with user-registered hooks; a missing direction uses the derived form."""
        if self.converter is None:
            return None
        structure, unstructure = own_hooks(self.converter, hint)
        if structure is None and unstructure is None:
            return None
        cls, derived = _class_of(hint), None
        if structure is None or unstructure is None or cls is None:
            derived = self._fallback(hint, where, needed=structure is None)
        if derived is None and unstructure is None:
            if not self.options.lenient:
                raise UnsupportedTypeError(
                    f"{where}: expected two hooks for {describe(hint)}, got a structure hook only; register an "
                    "unstructure hook"
                )
            unstructure = self.converter.unstructure  # by the class of the value
        classes = derived.object_classes if derived else () if cls is None else (cls,)
        classes = (float, int) if cls is float else classes  # PEP 484: an int is a float
        hooks = (structure, unstructure)
        return HookNode(hint, hooks, derived=derived, classes=classes, json=not self.options.lenient)

    def _fallback(self, hint: object, where: str, *, needed: bool) -> Node | None:
        """Return the node of a type as if it had no hooks; None if it has no wire form."""
        try:
            return self.without_hook(hint, where)
        except UnsupportedTypeError as error:
            if not needed:
                return None
            raise UnsupportedTypeError(
                f"{where}: expected two hooks for {describe(hint)}, got an unstructure hook only; register a structure "
                "hook"
            ) from error

    def _is_left_to_others(self, hint: object) -> bool:
        """Check if cattrs, or one of its strategies, converts a type without a wire form."""
        if any(isinstance(extra, Tagged | msgspec.Meta | _NaiveAsUtc) for extra in getattr(hint, "__metadata__", ())):
            return False
        try:
            found = [member for member in members(hint) if member is not NoneType]
        except TypeError:  # an alias that is a member of itself
            return False
        plain = [
            attrs.has(cls) and not issubclass(cls, Frozen)
            for member in found
            if isinstance(cls := get_origin(member) or member, type)
        ]
        if len(found) > 1:  # cattrs distinguishes plain classes by their fields
            return self.converter is not None and len(plain) == len(found) and all(plain)
        if any(plain) or any(isinstance(one, type) and issubclass(one, Frozen) for one in found):
            return False
        return isinstance(hint, type) and hint is not Any if self.converter is None else supports(self.converter, hint)

    def without_hook(self, hint: object, where: str) -> Node:
        """Return the node of a type, without looking at user-registered hooks."""
        if not self.options.lenient:
            refuse_mutable(hint, where)
        if is_alias(hint):
            return self._alias(hint, where)
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._annotated(hint, where)
        if origin in (Union, UnionType):
            return self._union(inner, where)
        if origin is Literal:
            return literal_node(inner, where)
        if origin in _COLLECTIONS and (origin in _FROZEN or self.options.lenient):
            return self._collection(origin, inner, where)
        return self._named(hint, where)

    def _named(self, hint: object, where: str) -> Node:
        """Return the node of a named type: a class, with its arguments, or a NewType."""
        cls = get_origin(hint) or hint
        if isinstance(hint, NewType):
            return self.node(hint.__supertype__, where)
        if hint is None:
            return SCALARS[NoneType]
        if hint is JsonValue:
            return JSON
        if isinstance(cls, type) and cls is not object:
            return self._class(cls, hint, where)
        if self.options.lenient and self.converter is not None and (isinstance(hint, TypeVar) or hint in (Any, object)):
            return self._dynamic(hint, self.converter)
        raise _unbound(hint, where) if isinstance(hint, TypeVar) else _unsupported(hint, where)

    def _dynamic(self, hint: object, converter: BaseConverter) -> Node:
        missing = "a known type: name the generic class with its argument, such as Box[str]"
        return DynamicNode(hint, converter.unstructure, missing if isinstance(hint, TypeVar) else None)

    def _alias(self, hint: object, where: str) -> Node:
        """Return the node of the target of an alias; a recursive alias has its own node."""
        if hint in self._aliases:
            return self._met_again(self._aliases[hint], where)
        alias = self._aliases[hint] = RecursiveAlias(hint)
        try:
            target = self.node(unaliased(hint), where)
        finally:
            del self._aliases[hint]
        if not alias.met:
            return target
        alias.target = target
        return alias

    def _met_again(self, alias: RecursiveAlias, where: str) -> Node:
        """Return the node of an alias inside itself, with the kinds and classes that it will have."""
        if not alias.met:
            alias.met = True
            try:
                found = members(alias.hint)
            except TypeError as error:  # it is a member of itself
                raise UnsupportedTypeError(f"{where}: {error}") from error
            outlines = [self._outline(member, where) for member in found]
            alias.kinds = frozenset().union(*(node.kinds for node in outlines))
            alias.object_classes = tuple(cls for node in outlines for cls in node.object_classes)
        return alias

    def _outline(self, hint: object, where: str) -> Node:
        """Return a node with the kinds and classes of a type that isn't a union, without deriving its contents."""
        plain: Any = bare(hint)
        cls = get_origin(plain) or plain
        if cls in _COLLECTIONS:
            inner = (str, int) if issubclass(cls, Mapping) else (int, ...) if cls is tuple else (int,)
            return self._collection(cls, inner, where)
        if attrs.has(cls) and not issubclass(cls, Wrapper) and self._hooked(hint, where) is None:
            return StandIn(cls, "_")
        return self.node(hint, where)

    def _annotated(self, hint: object, where: str) -> Node:
        base, *extras = get_args(hint)
        if any(isinstance(extra, PlainTextMark) for extra in extras):
            return self._in_plain_text(base, [extra for extra in extras if not isinstance(extra, PlainTextMark)], where)
        if any(extra is NaiveAsUtc for extra in extras):
            return self._naive_as_utc(base, [extra for extra in extras if extra is not NaiveAsUtc], where)
        tags = [extra for extra in extras if isinstance(extra, Tagged)]
        if tags:
            return self._tagged(base, tags[0], where)
        if any(extra is ValueObjectSerializer for extra in extras):
            return self._unwrapping.node(base, where)
        node = self.node(base, where)
        constraints = [extra for extra in extras if isinstance(extra, msgspec.Meta)]
        return _constrained(node, constraints, where) if constraints else node

    def _naive_as_utc(self, base: Any, extras: list[object], where: str) -> Node:
        derivation = _NaiveDerivation(self)
        node = derivation.node(Annotated[base, *extras] if extras else base, where)
        if not derivation.met:
            raise UnsupportedTypeError(
                f"{where}: NaiveAsUtc: expected a type with a datetime, got {describe(base)}; "
                "write it in the class that has the datetime"
            )
        return node

    def _in_plain_text(self, base: Any, extras: list[object], where: str) -> Node:
        met: list[type] = []
        derivation = _PlainTextDerivation(self, met)
        node = derivation.node(Annotated[base, *extras] if extras else base, where)
        if not met:
            raise UnsupportedTypeError(
                f"{where}: InPlainText: expected a type with a secret, got {describe(base)}; "
                "write it in the class that has the secret"
            )
        return node

    def _collection(self, origin: Any, inner: tuple[Any, ...], where: str) -> Node:
        make = _COLLECTIONS[origin]
        if issubclass(origin, Mapping):
            key = self._unwrapping.node(inner[0], where)
            if not key.kinds <= {"str", "int"} or len(key.kinds) != 1:
                raise UnsupportedTypeError(
                    f"{where}: expected keys that are text in JSON, got {describe(inner[0])}; "
                    "use a str, an int, an id, or a value object of one"
                )
            return MappingNode(key, self.node(inner[1], where), make)
        if origin is not tuple or (len(inner) == 2 and inner[1] is Ellipsis):
            kind = FrozensetNode if issubclass(origin, collections.abc.Set) else VariadicTupleNode
            return kind(self.node(inner[0], where), make)
        return FixedTupleNode(tuple(self.node(item, where) for item in inner))

    def _class(self, cls: type, hint: object, where: str) -> Node:
        if hint in self._in_progress:
            return self._in_progress[hint]
        if hint not in self._done:
            self._done[hint] = self._new_class(cls, hint, where)
        return self._done[hint]

    def _new_class(self, cls: type, hint: object, where: str) -> Node:
        if cls in self._scalars:
            return self._scalars[cls]
        if issubclass(cls, Wrapper):
            require_decorated(cls)
            if is_secret(cls):
                self._note_secret(cls, where)
            node = ValueObjectNode(cls, hint, self._field(cls, "value", arguments_of(hint)))
            return KeptNode(node) if self.options.keep else node
        if issubclass(cls, enum.Enum):
            return enum_node(cls, where)
        if is_message(cls):
            return self._message(cls, where)
        if attrs.has(cls):
            return self.attrs_node(cls, hint)
        raise _unsupported(hint, where)

    def _note_secret(self, cls: type, where: str) -> None:
        if not self.options.secrets:
            raise UnsupportedTypeError(secret_refusal(cls, where))
        self.secrets.append(cls)

    def _message(self, cls: Any, where: str) -> Node:
        if not self.options.lenient:
            raise UnsupportedTypeError(
                f"{where}: expected another type, since a message can't hold another, got {cls.__qualname__}; "
                "use its id, or the parts of its payload that you need"
            )
        hooks = (cls.from_dict, lambda message: message.dict())
        return HookNode(cls, hooks, classes=(cls,), json=False)

    def _field(self, cls: type, name: str, arguments: Mapping[TypeVar, object]) -> Node:
        where = f"{cls.__qualname__}.{name}"
        derivation = self._unwrapping if self.options.keep and name in _serialized(cls) else self
        try:
            return derivation.node(type_of(cls, name, arguments), where)
        except NameError as error:  # a name in an annotation or in an alias can't be resolved
            if self.converter is not None and self.options.lenient and getattr(attrs.fields(cls), name).type is None:
                return self._dynamic(Any, self.converter)  # the field has no annotation
            raise _unresolved(where, error) from error

    def attrs_node(self, cls: type, hint: object, *, tag: tuple[str, str] | None = None) -> AttrsNode:
        """Return the node of an attrs class, with a key for each field that its constructor takes."""
        _refuse_undecorated(cls)
        if len(self._in_progress) > _MOST_IN_PROGRESS:
            raise UnsupportedTypeError(
                f"{cls.__qualname__}: expected a class that contains itself with the same type arguments, "
                "got one with new arguments at each level; use the same arguments"
            )
        node = AttrsNode(cls, hint, self.options, tag=tag)
        key = hint if tag is None else (hint, tag)
        standin = self._in_progress[key] = StandIn(cls, f"_wire_{len(self._structs)}_{len(self._in_progress)}")
        try:
            node.complete(self.parts(cls, hint))
        finally:
            del self._in_progress[key]
        standin.target = node
        if not self.options.lenient:
            self._structs.append(node.struct)
            for struct in self._structs:  # msgspec resolves a forward reference in the struct that contains it
                setattr(struct, standin.reference, node.struct)
        return node

    def parts(self, cls: type, hint: object, leave_out: frozenset[str] = frozenset()) -> tuple[Part, ...]:
        """Return the fields of the class that are part of its wire form."""
        arguments = arguments_of(hint)
        return tuple(
            Part(attribute, self._field(cls, attribute.name, arguments))
            for attribute in attrs.fields(cls)
            if attribute.init and attribute.name not in leave_out and attribute.metadata.get(ON_THE_WIRE) != ABSENT
        )

    def _tagged(self, base: object, tagged: Tagged, where: str) -> Node:
        found = members(base)
        if {*tagged.classes.values()} != {*found} - {NoneType}:
            raise UnsupportedTypeError(
                f"{where}: Tagged({tagged.key!r}, ...): expected exactly the classes of {describe(base)}, "
                f"got {', '.join(map(describe, tagged.classes.values()))}; name each class of the union"
            )
        nodes = {name: self._tagged_member(cls, (tagged.key, name), where) for name, cls in tagged.classes.items()}
        by_hand = any(node.wire is Any for node in nodes.values()) if not self.options.lenient else True
        node = (TaggedByHand if by_hand else TaggedNode)(tagged.key, nodes)
        if len({*node.object_classes}) < len(node.object_classes):
            raise UnsupportedTypeError(
                f"{where}: expected each class of a union once, since objects don't have their type arguments, "
                f"got {describe(base)}; use different classes"
            )
        both = (node, SCALARS[NoneType])
        return node if NoneType not in found else UnionByHand(both) if by_hand else UnionNode(both)

    def _tagged_member(self, hint: Any, tag: tuple[str, str], where: str) -> Node:
        cls = get_origin(hint) or hint
        if is_message(cls):
            return self._message(cls, where)
        if not attrs.has(cls) or issubclass(cls, Wrapper):
            raise UnsupportedTypeError(
                f"{where}: expected @attrs.frozen classes in a tagged union, got {describe(hint)}; "
                "put it into a field of such a class"
            )
        hooked = self._hooked(hint, where)
        if hooked is not None:
            return hooked
        if tag[0] in (attribute.alias for attribute in attrs.fields(cls)):
            raise UnsupportedTypeError(
                f"{where}: expected a tag with a key that isn't a field, got {tag[0]!r}, a field of "
                f"{cls.__qualname__}; rename the tag"
            )
        key = (hint, tag)
        if key not in self._in_progress and key not in self._done:
            self._done[key] = self.attrs_node(cls, hint, tag=tag)
        return self._in_progress.get(key) or self._done[key]

    def _union(self, found: tuple[object, ...], where: str) -> Node:
        nodes = tuple(self.node(member, where) for member in found)
        if any(NoneType in node.object_classes and node is not SCALARS[NoneType] for node in nodes):
            nodes = tuple(node for node in nodes if node is not SCALARS[NoneType])  # an alias includes it
        if len(nodes) == 1:
            return nodes[0]
        for one, other in combinations(nodes, 2):
            shared = _shared_kinds(one, other)
            if shared:
                remedy = (
                    'add a tag: Annotated[..., Tagged("kind", name=Class, ...)]'
                    if "object" in shared
                    else "use one of them, or an @attrs.frozen class for each, with a tag"
                )
                raise UnsupportedTypeError(
                    f"{where}: expected a union of types that JSON distinguishes, "
                    f"got {describe(Union[found])}, "  # noqa: UP007  # known at run time only
                    f"with {one.expected} and {other.expected} "
                    f"(each is {' or '.join(sorted(shared))} in JSON); {remedy}"
                )
        by_hand = self.options.lenient or any(node.wire is Any for node in nodes)
        return (UnionByHand if by_hand else UnionNode)(nodes)


class _NaiveDerivation(Derivation):
    """Derives a type marked with NaiveAsUtc: datetimes differ, and classes are the same as without the marker.

    Args:
        outer: the derivation without the marker, which derives the classes.
    """

    def __init__(self, outer: Derivation) -> None:
        super().__init__(evolve(outer.options, naive_as_utc=True), outer.converter)
        self.secrets: list[type] = outer.secrets
        self._outer = outer
        self.met: bool = False
        """True once a datetime is derived."""

    def node(self, hint: object, where: str) -> Node:
        self.met = self.met or hint is DATETIME.cls
        return super().node(hint, where)

    def _class(self, cls: type, hint: object, where: str) -> Node:
        return super()._class(cls, hint, where) if cls in SCALARS else self._outer._class(cls, hint, where)

    def _tagged(self, base: object, tagged: Tagged, where: str) -> Node:
        return self._outer._tagged(base, tagged, where)


class _PlainTextDerivation(Derivation):
    """Derives a type marked with InPlainText: secrets are accepted, and classes are the same as without the marker.

    Args:
        outer: the derivation without the marker, which derives the classes.
        met: a list to which the derived secret classes are added.
    """

    def __init__(self, outer: Derivation, met: list[type]) -> None:
        super().__init__(evolve(outer.options, secrets=True), outer.converter)
        self.secrets: list[type] = outer.secrets
        self._outer, self._met = outer, met
        if outer._unwrapping is not outer:
            self._unwrapping = _PlainTextDerivation(outer._unwrapping, met)

    def _class(self, cls: type, hint: object, where: str) -> Node:
        if not is_secret(cls):
            return self._outer._class(cls, hint, where)
        self._met.append(cls)
        return super()._class(cls, hint, where)

    def _tagged(self, base: object, tagged: Tagged, where: str) -> Node:
        return self._outer._tagged(base, tagged, where)


def secret_refusal(cls: type, where: str) -> str:
    """Return the error text for a secret in a field that isn't marked for plain text."""
    return (
        f"{where}: expected a type without secrets, got the secret {cls.__qualname__}; "
        f"write Annotated[{cls.__qualname__}, InPlainText] to have it in plain text, or remove it"
    )


def node_to_parse(hint: Any) -> Node:
    """Return the node that reads a type; that of an attrs class is kept on the class: deriving it is 40 times slower.

    The node reads all secrets, marked or not, since it doesn't write any.
    """
    known: Node | None = vars(hint).get(_KEPT) if isinstance(hint, type) else None
    if known is None:
        known = Derivation(Options(secrets=True)).node(hint, describe(hint))
        if isinstance(hint, type) and attrs.has(hint):
            type.__setattr__(hint, _KEPT, known)
    return known


_KEPT = "_domainkit_node"
_FROZEN = frozenset({tuple, frozenset, collections.abc.Mapping})
_COLLECTIONS: Final[Mapping[object, Callable[..., Any]]] = FrozenMapping(  # Any: collections of any items
    {tuple: tuple, frozenset: frozenset, collections.abc.Mapping: FrozenMapping, list: list, set: set, dict: dict}
)
"""The classes of collections by their types in annotations; only converters use the mutable ones."""

_MOST_IN_PROGRESS = 50


def _class_of(hint: object) -> type | None:
    """Return the class of a type with or without arguments; None for a type that isn't a class, such as a union."""
    origin = get_origin(hint) or hint
    return origin if isinstance(origin, type) and origin is not UnionType else None


def arguments_of(hint: object) -> Mapping[TypeVar, object]:
    """Return the arguments of a generic class by its type parameters."""
    return dict(zip(parameters_of(get_origin(hint) or hint), get_args(hint), strict=False))


def is_message(cls: object) -> bool:
    """Check if `cls` is a message class, without the base class, whose module imports this one."""
    return isinstance(cls, type) and issubclass(cls, Frozen) and hasattr(cls, "from_json")


def _serialized(cls: type) -> frozenset[str]:
    """Return the fields marked with `ValueObject.serializer` in the class body, whose value objects are unwrapped."""
    values = [value for base in cls.__mro__ for value in vars(base).values()]
    return frozenset(value.field_name for value in values if isinstance(value, FieldSerializer))


def _shared_kinds(one: Node, other: Node) -> frozenset[str]:
    """Return the JSON kinds that two members of a union share; a user's own hook and `None` never share one."""
    if (isinstance(one, HookNode) and other is SCALARS[NoneType]) or (
        isinstance(other, HookNode) and one is SCALARS[NoneType]
    ):
        return frozenset()
    for kept, beside in ((one, other), (other, one)):
        if isinstance(kept, KeptNode) and isinstance(beside, AttrsNode):
            inside = {kept_kind(kind) for part in beside.parts if part.key == "value" for kind in part.node.kinds}
            return kept.kinds & inside
    return one.kinds & other.kinds


def _refuse_undecorated(cls: type) -> None:
    """Raise TypeError if a subclass of an attrs class has fields, but isn't decorated."""
    if issubclass(cls, Frozen):
        return require_decorated(cls)
    for base in cls.__mro__:
        for name in own_annotations(base) if attrs.has(base) and not is_decorated(base) else ():
            raise undecorated_error(base, name)
    return None


def _constrained(node: Node, constraints: list[msgspec.Meta], where: str) -> Node:
    try:
        return ConstrainedNode(node, constraints)
    except TypeError as error:
        raise UnsupportedTypeError(
            f"{where}: expected a constraint for the wire form of its type, got another ({error}); "
            "in a union, put it next to the member that it applies to"
        ) from error


def _unresolved(where: str, error: NameError) -> UnsupportedTypeError:
    text = str(error)
    return UnsupportedTypeError(text if text.startswith(where) else f"{where}: {text}")


def _unbound(parameter: TypeVar, where: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(
        f"{where}: expected a type argument, got the type variable {parameter}; "
        "name the class with its argument, such as Box[str]"
    )


def _unsupported(hint: object, where: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(
        f"{where}: expected a type with a wire form, got {describe(hint)}; use a value object, an @attrs.frozen class, "
        "an Enum, or one of str, int, bool, float, Decimal, UUID, bytes, date, time, datetime, timedelta, "
        "tuple, frozenset and Mapping of these"
    )
