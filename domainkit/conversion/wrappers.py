"""The nodes around other nodes: value objects, unions, constraints, a user's own hooks, a class inside itself."""

import math
from collections.abc import Iterable
from typing import Annotated, Any, ForwardRef, Union

import msgspec

from domainkit._model.mapping import freeze_json
from domainkit.conversion.nodes import MISSING, Function, Node, Problems, Refused, json_kind, loader
from domainkit.errors import DomainError, Problem
from domainkit.values import ValueObject

ANY_KIND = frozenset({"null", "bool", "int", "float", "str", "array", "object"})


class ValueObjectNode(Node):
    """A value object, written as what it wraps."""

    def __init__(self, cls: type[ValueObject[Any]], hint: object, inner: Node) -> None:
        self.cls, self.hint, self.inner = cls, hint, inner
        self.wire, self.levels = inner.wire, inner.levels
        self.expected = f"{cls.__qualname__} ({inner.expected})"
        self.kinds = inner.kinds
        self.object_classes = (cls,)
        inner_load = inner.load
        self.load = cls if inner_load is None else lambda wire: cls(inner_load(wire))

    @property
    def wire_classes(self) -> tuple[type, ...]:  # type: ignore[override]  # a class inside itself is known later only
        """Those of what is wrapped."""
        return self.inner.wire_classes

    @property
    def shape(self) -> Any:
        return self.inner.shape

    def dump(self, value: Any) -> Any:
        if type(value) is not self.cls:
            raise Refused
        return self.inner.dump(value.value)

    def read(self, data: object, path: str, problems: Problems) -> Any:
        before = len(problems)
        value = self.inner.read(data, path, problems)
        if value is MISSING:
            for index in range(before, len(problems)):
                if problems[index].path == path:
                    problems[index] = Problem(path, self.expected, problems[index].code)
            return MISSING
        try:
            return self.cls(value)
        except Exception as error:  # whatever a validator raises is a refusal of this value
            return problems.add(path, _reason(self.cls, error), "value")

    def write(self, value: object, path: str, problems: Problems) -> Any:
        if type(value) is not self.cls:
            return problems.add(path, self.cls.__qualname__, "type")
        return self.inner.write(value.value, path, problems)


def _reason(cls: type, error: Exception) -> str:
    """Return what the class expects; the texts of this library's own errors hold no value, those of others might."""
    info = error.additional_info if isinstance(error, DomainError) else None
    if type(error).__module__ == DomainError.__module__ and info and isinstance(info.get("message"), str):
        return f"a valid {info['message']}"
    return f"a valid {cls.__qualname__} ({type(error).__qualname__})"


class UnionNode(Node):
    """A union whose members differ in their JSON kinds, such as `Title | None` or `int | str`."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.wire = Union[tuple(node.wire for node in nodes)]  # noqa: UP007  (the members are known at run time only)
        self.levels = max(node.levels for node in nodes)
        self.expected = " or ".join(node.expected for node in nodes)
        self.kinds = frozenset().union(*(node.kinds for node in nodes))
        self.object_classes = tuple(cls for node in nodes for cls in node.object_classes)
        self.load = self._loader()
        self._dumps = {cls: node.dump for node in nodes for cls in node.object_classes}

    @property
    def wire_classes(self) -> tuple[type, ...]:  # type: ignore[override]  # a class inside itself is known later only
        """Those of the members."""
        return tuple(cls for node in self.nodes for cls in node.wire_classes)

    def _loader(self) -> Function | None:
        if all(node.load is None for node in self.nodes):
            return None
        optional = [node for node in self.nodes if node.kinds != {"null"}]
        if len(optional) == 1 and len(self.nodes) == 2:  # `X | None`
            some = loader(optional[0])
            return lambda wire: None if wire is None else some(wire)
        return by_class(self.nodes)

    def dump(self, value: Any) -> Any:
        dump = self._dumps.get(type(value))
        if dump is None:
            raise Refused
        return dump(value)

    def read(self, data: object, path: str, problems: Problems) -> Any:
        kind = json_kind(data)
        found = [node for node in self.nodes if kind in node.kinds]
        return min(found, key=_breadth).read(data, path, problems) if found else self.wrong_type(path, problems)

    def write(self, value: object, path: str, problems: Problems) -> Any:
        for node in self.nodes:
            tried = Problems(problems.limit - len(problems))
            wire = node.write(value, path, tried)
            if wire is not MISSING:
                return wire
            if isinstance(value, node.object_classes):
                problems.extend(tried)
                return MISSING
        return self.wrong_type(path, problems)


def _breadth(node: Node) -> int:
    return len(node.kinds)  # a user's own hook reads any kind, None beside it only its own


def by_class(nodes: Iterable[Node]) -> Function:
    """Return what loads a wire value by the node that has its class; it looks for a class once."""
    loads: dict[type, Function] = {}

    def load(wire: Any) -> Any:
        found = loads.get(type(wire))
        if found is None:
            found = loads[type(wire)] = loader(next(node for node in nodes if type(wire) in node.wire_classes))
        return found(wire)

    return load


_SIZED = frozenset({"array", "object"})
_RESTRICTIONS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz")
"""What a `msgspec.Meta` may ask of a value; the rest of it describes."""


class ConstrainedNode(Node):
    """A type with `msgspec.Meta` constraints beside it: `Annotated[int, Meta(ge=1)]`."""

    def __init__(self, inner: Node, constraints: Iterable[msgspec.Meta]) -> None:
        self.inner, self.constraints = inner, tuple(constraints)
        self.wire, self._shape = inner.wire, inner.shape
        for constraint in self.constraints:
            self.wire, self._shape = Annotated[self.wire, constraint], Annotated[self._shape, constraint]
        self._decoder = msgspec.json.Decoder(self._shape)
        self.expected = f"{inner.expected} within its constraints"
        self.kinds, self.load, self.object_classes = inner.kinds, inner.load, inner.object_classes
        self.levels = inner.levels
        self._restricts = any(getattr(meta, name) is not None for meta in self.constraints for name in _RESTRICTIONS)
        self.guard = None if self._restricts else inner.guard

    @property
    def wire_classes(self) -> tuple[type, ...]:  # type: ignore[override]  # a class inside itself is known later only
        """Those of what is constrained."""
        return self.inner.wire_classes

    def _admits(self, wire: Any) -> bool:
        if not self._restricts:
            return True
        if self.kinds <= _SIZED:  # these have lengths alone, and encoding the items would take long
            return all(_has_length(meta, len(wire)) for meta in self.constraints)
        try:
            self._decoder.decode(msgspec.json.encode(wire))
        except (TypeError, ValueError, msgspec.ValidationError):  # it breaks a constraint, or can't be written at all
            return False
        return True

    def dump(self, value: Any) -> Any:
        wire = self.inner.dump(value)
        if not self._admits(wire):
            raise Refused
        return wire

    def read(self, data: object, path: str, problems: Problems) -> Any:
        value = self.inner.read(data, path, problems)
        return value if value is MISSING or self._admits(data) else problems.add(path, self.expected, "value")

    def write(self, value: object, path: str, problems: Problems) -> Any:
        wire = self.inner.write(value, path, problems)
        return wire if wire is MISSING or self._admits(wire) else problems.add(path, self.expected, "value")


def _has_length(meta: msgspec.Meta, length: int) -> bool:
    return (meta.min_length is None or length >= meta.min_length) and (
        meta.max_length is None or length <= meta.max_length
    )


class HookNode(Node):
    """A class that a user's own cattrs hooks convert: any JSON, checked by the hooks alone."""

    wire = Any
    kinds = ANY_KIND
    wire_classes = ()
    levels = math.inf

    def __init__(self, cls: type, structure: Function, unstructure: Function) -> None:
        self.cls = cls
        self.expected = f"{cls.__qualname__}, as its own hook reads it"
        self.object_classes = (cls,)
        self.load, self._unstructure = structure, unstructure

    def dump(self, value: Any) -> Any:
        if not isinstance(value, self.cls):
            raise Refused
        return freeze_json(self._unstructure(value))  # it raises for what JSON can't carry

    def read(self, data: object, path: str, problems: Problems) -> Any:
        try:
            return loader(self)(data)
        except Exception:  # whatever the hook raises
            return problems.add(path, self.expected, "value")

    def write(self, value: object, path: str, problems: Problems) -> Any:
        if not isinstance(value, self.cls):
            return problems.add(path, self.cls.__qualname__, "type")
        try:
            wire = self.dump(value)
            msgspec.json.encode(wire)  # it refuses lone surrogates
        except Exception as error:  # whatever the hook raises
            expected = f"{self.cls.__qualname__} as JSON values, as its own hook writes it ({type(error).__qualname__})"
            return problems.add(path, expected, "value")
        return wire


class RecursiveNode(Node):
    """A class inside itself: stands for the node that is being made."""

    kinds = frozenset({"object"})
    wire_classes: tuple[type, ...] = ()
    levels = math.inf
    _shape = msgspec.defstruct("AnyObject", ())

    def __init__(self, name: str, cls: type) -> None:
        self.wire = ForwardRef(name)
        self.expected = cls.__qualname__
        self.object_classes = (cls,)
        self.target: Node = self
        self.load = self._load

    def _load(self, wire: Any) -> Any:
        return loader(self.target)(wire)

    def dump(self, value: Any) -> Any:
        return self.target.dump(value)

    def read(self, data: object, path: str, problems: Problems) -> Any:
        return self.target.read(data, path, problems)

    def write(self, value: object, path: str, problems: Problems) -> Any:
        return self.target.write(value, path, problems)
