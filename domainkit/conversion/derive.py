"""From a type to its node: the wire type is derived once, and what can't be carried is refused here, by name."""

import enum
from collections.abc import Mapping
from itertools import combinations
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin

import attrs
import msgspec
from cattrs import BaseConverter

from domainkit._model.annotations import own_annotations, parameters_of, type_of, unaliased
from domainkit._model.immutability import (
    ABSENT,
    ON_THE_WIRE,
    Frozen,
    refuse_mutable,
    require_decorated,
    undecorated_error,
)
from domainkit._model.type_checks import describe, members
from domainkit.conversion.classes import AttrsNode, Part
from domainkit.conversion.collections import FixedTupleNode, FrozensetNode, MappingNode, VariadicTupleNode
from domainkit.conversion.hooks import own_hooks
from domainkit.conversion.nodes import Node
from domainkit.conversion.nodes import UnsupportedTypeError as UnsupportedTypeError
from domainkit.conversion.scalars import LEAVES, enum_leaf, literal_leaf
from domainkit.conversion.tagged import Tagged, TaggedNode
from domainkit.conversion.wrappers import ConstrainedNode, HookNode, RecursiveNode, UnionNode, ValueObjectNode
from domainkit.values import ValueObject


class Derivation:
    """Derives the nodes of types that belong together; a class that holds itself is met once.

    Args:
        forbid_unknown: whether a key that no field has is a problem.
        exact: whether the structs refuse such a key, problem or not: what they read has no part that nobody looked at.
        converter: a cattrs converter whose own hooks, where it has any for a class, win over the derived form.
    """

    def __init__(
        self, *, forbid_unknown: bool = False, exact: bool = True, converter: BaseConverter | None = None
    ) -> None:
        self.forbid_unknown = forbid_unknown
        self.exact = exact
        self.converter = converter
        self._done: dict[object, Node] = {}
        self._open: dict[object, RecursiveNode] = {}
        self._structs: list[type[msgspec.Struct]] = []

    def node(self, hint: object, where: str) -> Node:
        """Return the node of the type `hint`; `where` names the class and field that has it.

        Raises UnsupportedTypeError for a type that has no wire form.
        """
        refuse_mutable(hint, where)
        hint = unaliased(hint)
        if get_origin(hint) is Annotated:
            return self._annotated(hint, where)
        if isinstance(hint, NewType):
            return self.node(hint.__supertype__, where)
        found = get_args(hint) if get_origin(hint) in (Union, UnionType) else ()
        return self._union(found, where) if found else self._single(hint, where)

    def _single(self, hint: object, where: str) -> Node:
        origin, inner = get_origin(hint), get_args(hint)
        if hint is None or hint is NoneType:
            return LEAVES[NoneType]
        if origin is Literal:
            return literal_leaf(inner, where)
        if origin in (tuple, frozenset, Mapping):
            return self._collection(origin, inner, where)
        cls = origin or hint
        if isinstance(cls, type):
            return self._class(cls, hint, where)
        raise _open(hint, where) if isinstance(hint, TypeVar) else _unsupported(hint, where)

    def _annotated(self, hint: object, where: str) -> Node:
        base, *extras = get_args(hint)
        tags = [extra for extra in extras if isinstance(extra, Tagged)]
        if tags:
            return self._tagged(base, tags[0], where)
        node = self.node(base, where)
        constraints = [extra for extra in extras if isinstance(extra, msgspec.Meta)]
        return _constrained(node, constraints, where) if constraints else node

    def _collection(self, origin: object, inner: tuple[Any, ...], where: str) -> Node:
        if origin is Mapping:
            return self._mapping(inner, where)
        if origin is frozenset:
            return FrozensetNode(self.node(inner[0], where))
        if len(inner) == 2 and inner[1] is Ellipsis:
            return VariadicTupleNode(self.node(inner[0], where))
        return FixedTupleNode(tuple(self.node(item, where) for item in inner))

    def _mapping(self, inner: tuple[Any, ...], where: str) -> Node:
        key = self.node(inner[0], where)
        if not key.kinds <= {"str", "int"} or len(key.kinds) != 1:
            raise UnsupportedTypeError(
                f"{where}: {describe(inner[0])} can't be a key, since JSON has text keys; "
                "use a str, an int, an id, or a value object of one"
            )
        return MappingNode(key, self.node(inner[1], where))

    def _class(self, cls: type, hint: object, where: str) -> Node:
        if hint in self._open:
            return self._open[hint]
        if hint not in self._done:
            self._done[hint] = self._new_class(cls, hint, where)
        return self._done[hint]

    def _new_class(self, cls: type, hint: object, where: str) -> Node:
        hooked = self._hooked(cls)
        if hooked is not None:
            return hooked
        if cls in LEAVES:
            return LEAVES[cls]
        if issubclass(cls, ValueObject):
            return self._value_object(cls, hint)
        if issubclass(cls, enum.Enum):
            return enum_leaf(cls, where)
        if is_message(cls):
            raise UnsupportedTypeError(
                f"{where}: a message can't hold another, {cls.__qualname__}; "
                "hold its id, or what you need of its payload"
            )
        if attrs.has(cls):
            return self.attrs_node(cls, hint)
        raise _unsupported(hint, where)

    def _hooked(self, cls: type) -> Node | None:
        if self.converter is None:
            return None
        structure, unstructure = own_hooks(self.converter, cls)
        if structure is None and unstructure is None:
            return None
        convert = self.converter
        return HookNode(cls, lambda data: convert.structure(data, cls), lambda value: convert.unstructure(value, cls))

    def _value_object(self, cls: type[ValueObject[Any]], hint: object) -> Node:
        require_decorated(cls)
        arguments = dict(zip(parameters_of(cls), get_args(hint), strict=False))
        return ValueObjectNode(cls, hint, self._field(cls, "value", arguments))

    def _field(self, cls: type, name: str, arguments: Mapping[TypeVar, object]) -> Node:
        where = f"{cls.__qualname__}.{name}"
        try:
            return self.node(type_of(cls, name, arguments), where)
        except NameError as error:  # from an annotation, or from an alias in it
            text = str(error)
            raise UnsupportedTypeError(text if text.startswith(where) else f"{where}: {text}") from error

    def attrs_node(self, cls: type, hint: object, *, tag: tuple[str, str] | None = None) -> AttrsNode:
        """Return the node of an attrs class, every field that its constructor takes being a key."""
        _refuse_undecorated(cls)
        if len(self._open) > _MOST_OPEN:
            raise UnsupportedTypeError(
                f"{cls.__qualname__}: it holds itself with ever new type arguments; use the same"
            )
        node = AttrsNode(cls, hint, forbid_unknown=self.forbid_unknown, exact=self.exact, tag=tag)
        key = hint if tag is None else (cls, tag)
        standin = self._open[key] = RecursiveNode(f"_wire_{len(self._structs)}_{len(self._open)}", cls)
        try:
            node.complete(self.parts(cls, hint))
        finally:
            del self._open[key]
        standin.target = node
        standin.wire_classes = node.wire_classes
        self._structs.append(node.struct)
        for struct in self._structs:  # msgspec looks a forward reference up in the class that holds it
            setattr(struct, standin.wire.__forward_arg__, node.struct)
        return node

    def parts(self, cls: type, hint: object, leave_out: frozenset[str] = frozenset()) -> tuple[Part, ...]:
        """Return the fields of the class that stand on the wire."""
        arguments = dict(zip(parameters_of(cls), get_args(hint), strict=False))
        made = []
        for attribute in attrs.fields(cls):
            absent = attribute.name in leave_out or attribute.metadata.get(ON_THE_WIRE) == ABSENT
            if attribute.init and not absent:
                made.append(Part(attribute, self._field(cls, attribute.name, arguments)))
        return tuple(made)

    def _tagged(self, base: object, tagged: Tagged, where: str) -> Node:
        named, found = set(tagged.classes.values()), members(base)
        if named != set(found) - {NoneType}:
            raise UnsupportedTypeError(
                f"{where}: Tagged({tagged.key!r}, ...) must name the classes of {describe(base)}, "
                "each once, and no other"
            )
        members_by_name = {
            name: self._tagged_member(cls, (tagged.key, name), where) for name, cls in tagged.classes.items()
        }
        node = TaggedNode(tagged, members_by_name)
        return UnionNode((node, LEAVES[NoneType])) if NoneType in found else node

    def _tagged_member(self, cls: type, tag: tuple[str, str], where: str) -> Node:
        if not attrs.has(cls) or issubclass(cls, ValueObject):
            raise UnsupportedTypeError(
                f"{where}: {cls.__qualname__} can't have a tag; a tagged union has @attrs.frozen classes"
            )
        if tag[0] in (attribute.alias for attribute in attrs.fields(cls)):
            raise UnsupportedTypeError(
                f"{where}: {cls.__qualname__} has a field {tag[0]!r}, as the tag is called; call the tag another name"
            )
        key = (cls, tag)
        if key not in self._open and key not in self._done:
            self._done[key] = self.attrs_node(cls, cls, tag=tag)
        return self._open.get(key) or self._done[key]

    def _union(self, found: tuple[object, ...], where: str) -> Node:
        nodes = tuple(self.node(member, where) for member in found)
        for one, other in combinations(nodes, 2):
            both = one.kinds & other.kinds
            beside_hook = isinstance(one, HookNode) or isinstance(other, HookNode)
            if both and not (beside_hook and LEAVES[NoneType] in (one, other)):
                raise UnsupportedTypeError(
                    f"{where}: in {describe(Union[found])}, JSON can't tell "  # noqa: UP007  (known at run time only)
                    f"{one.expected} from {other.expected} (each is {' or '.join(sorted(both))}); {_way_out(both)}"
                )
        return UnionNode(nodes)


_MOST_OPEN = 50


def _way_out(kinds: frozenset[str]) -> str:
    if "object" in kinds:
        return 'say which is which with a tag: Annotated[..., Tagged("kind", name=Class, ...)]'
    return "use one of them, or @attrs.frozen classes of them with a tag"


def is_message(cls: object) -> bool:
    """Tell whether `cls` is a class of messages: the module that has them imports this one."""
    return isinstance(cls, type) and issubclass(cls, Frozen) and hasattr(cls, "from_json")


def _refuse_undecorated(cls: type) -> None:
    """Raise TypeError where a subclass of an attrs class has fields that attrs doesn't know of."""
    if issubclass(cls, Frozen):
        return require_decorated(cls)
    for base in cls.__mro__:
        for name in own_annotations(base) if attrs.has(base) and "__attrs_attrs__" not in base.__dict__ else ():
            raise undecorated_error(base, name)
    return None


def _constrained(node: Node, constraints: list[msgspec.Meta], where: str) -> Node:
    try:
        return ConstrainedNode(node, constraints)
    except TypeError as error:
        raise UnsupportedTypeError(
            f"{where}: the constraint doesn't fit the wire form of its type ({error}); "
            "in a union, it stands beside the member that it is about"
        ) from error


def _open(parameter: TypeVar, where: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(
        f"{where}: the type variable {parameter} stands for no type; name the class with its argument, such as Box[str]"
    )


def _unsupported(hint: object, where: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(
        f"{where}: {describe(hint)} has no wire form; use a value object, an @attrs.frozen class, an Enum, or one of "
        "str, int, bool, float, Decimal, UUID, bytes, date, time, datetime, timedelta, "
        "tuple, frozenset and Mapping of these"
    )
