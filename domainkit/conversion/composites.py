"""The nodes that are made of other nodes: collections, unions, value objects, and what a user's own hooks convert."""

from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Annotated, Any, ForwardRef, Union

import msgspec

from domainkit._mapping import FrozenMapping
from domainkit.conversion.nodes import MISSING, Function, Node, Problems, Refused, json_kind
from domainkit.errors import DomainError, Problem
from domainkit.values import ValueObject

ANY_KIND = frozenset({"null", "bool", "int", "float", "str", "array", "object"})


def loader(node: Node) -> Function:
    """Return the fast way from wire to object, also where they are the same."""
    return node.load if node.load is not None else _same


def _same(value: Any) -> Any:
    return value


class ValueObjectNode(Node):
    """A value object, written as what it wraps."""

    def __init__(self, cls: type[ValueObject[Any]], hint: object, inner: Node) -> None:
        self.cls, self.hint, self.inner = cls, hint, inner
        self.wire = inner.wire
        self.expected = f"{cls.__qualname__} ({inner.expected})"
        self.kinds = inner.kinds
        self.wire_classes = inner.wire_classes
        self.object_classes = (cls,)
        inner_load = inner.load
        self.load = cls if inner_load is None else lambda wire: cls(inner_load(wire))

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


class VariadicTupleNode(Node):
    """`tuple[X, ...]`: an array."""

    kinds = frozenset({"array"})
    wire_classes = object_classes = (tuple,)

    def __init__(self, item: Node) -> None:
        self.item = item
        self.wire = tuple[item.wire, ...]  # type: ignore[name-defined]  # built at run time
        self.expected = f"an array of {item.expected}"
        load = item.load
        if load is not None:
            self.load = lambda wire: tuple([load(entry) for entry in wire])

    def dump(self, value: Any) -> Any:
        if type(value) is not tuple:
            raise Refused
        dump = self.item.dump
        return [dump(entry) for entry in value]

    def read(self, data: object, path: str, problems: Problems) -> Any:
        if not isinstance(data, list | tuple):
            return self.wrong_type(path, problems)
        read = self.item.read
        return whole(tuple([read(entry, f"{path}[{index}]", problems) for index, entry in enumerate(data)]))

    def write(self, value: object, path: str, problems: Problems) -> Any:
        if not isinstance(value, tuple):
            return problems.add(path, f"tuple ({self.expected})", "type")
        write = self.item.write
        return whole([write(entry, f"{path}[{index}]", problems) for index, entry in enumerate(value)])


def whole(items: Any) -> Any:
    """Return the collection, or MISSING where one of its items is."""
    return MISSING if any(item is MISSING for item in items) else items


class FixedTupleNode(Node):
    """`tuple[X, Y]`: an array of just that many items."""

    kinds = frozenset({"array"})
    wire_classes = object_classes = (tuple,)

    def __init__(self, items: tuple[Node, ...]) -> None:
        self.items = items
        self.wire = tuple[tuple(item.wire for item in items)]  # type: ignore[misc]  # built at run time
        self.expected = f"an array of {len(items)}: {', '.join(item.expected for item in items)}"
        loads = tuple(map(loader, items))
        if any(item.load is not None for item in items):
            self.load = lambda wire: tuple([load(entry) for load, entry in zip(loads, wire, strict=True)])

    def dump(self, value: Any) -> Any:
        if type(value) is not tuple or len(value) != len(self.items):
            raise Refused
        return [item.dump(entry) for item, entry in zip(self.items, value, strict=True)]

    def read(self, data: object, path: str, problems: Problems) -> Any:
        if not isinstance(data, list | tuple):
            return self.wrong_type(path, problems)
        if len(data) != len(self.items):
            return problems.add(path, self.expected, "value")
        return whole(tuple([
            item.read(entry, f"{path}[{index}]", problems)
            for index, (item, entry) in enumerate(zip(self.items, data, strict=True))
        ]))  # fmt: skip  # one expression

    def write(self, value: object, path: str, problems: Problems) -> Any:
        if not isinstance(value, tuple) or len(value) != len(self.items):
            return problems.add(path, f"tuple ({self.expected})", "type")
        return whole([
            item.write(entry, f"{path}[{index}]", problems)
            for index, (item, entry) in enumerate(zip(self.items, value, strict=True))
        ])  # fmt: skip  # one expression


class FrozensetNode(Node):
    """`frozenset[X]`: an array, sorted by the JSON of its items, so that equal sets give equal bytes."""

    kinds = frozenset({"array"})
    object_classes = (frozenset,)
    wire_classes = (tuple,)

    def __init__(self, item: Node) -> None:
        self.item = item
        self.wire = tuple[item.wire, ...]  # type: ignore[name-defined]  # built at run time
        self.expected = f"an array of distinct {item.expected}"
        load = loader(item)
        self.load = lambda wire: distinct([load(entry) for entry in wire])

    def dump(self, value: Any) -> Any:
        if type(value) is not frozenset:
            raise Refused
        dump = self.item.dump
        return sorted([dump(entry) for entry in value], key=msgspec.json.encode)

    def read(self, data: object, path: str, problems: Problems) -> Any:
        if not isinstance(data, list | tuple):
            return self.wrong_type(path, problems)
        items = whole([self.item.read(entry, f"{path}[{index}]", problems) for index, entry in enumerate(data)])
        if items is MISSING:
            return MISSING
        made = frozenset(items)
        return made if len(made) == len(items) else problems.add(path, self.expected, "duplicate")

    def write(self, value: object, path: str, problems: Problems) -> Any:
        if not isinstance(value, frozenset):
            return problems.add(path, f"frozenset ({self.expected})", "type")
        items = whole([self.item.write(entry, f"{path}[*]", problems) for entry in value])
        return MISSING if items is MISSING else sorted(items, key=msgspec.json.encode)


def distinct(items: list[Any]) -> frozenset[Any]:
    """Return the set of the items; ValueError where one stands twice, since it would be lost without a word."""
    made = frozenset(items)
    if len(made) != len(items):
        raise ValueError("an item stands twice in a set")
    return made


class MappingNode(Node):
    """`Mapping[K, V]`: an object; the keys are what the key type is written as, in text."""

    kinds = frozenset({"object"})
    wire_classes = (dict,)
    object_classes = (FrozenMapping,)

    def __init__(self, key: Node, item: Node) -> None:
        self.key, self.item = key, item
        self.wire = dict[key.wire, item.wire]  # type: ignore[name-defined]  # built at run time
        self.expected = f"an object from {key.expected} to {item.expected}"
        load_key, load_item = loader(key), loader(item)
        if key.load is None and item.load is None:
            self.load = FrozenMapping
        else:
            self.load = lambda wire: no_fewer(
                FrozenMapping([(load_key(name), load_item(entry)) for name, entry in wire.items()]), wire
            )

    def dump(self, value: Any) -> Any:
        if type(value) is not FrozenMapping:
            raise Refused
        dump_key, dump_item = self.key.dump, self.item.dump
        return {dump_key(name): dump_item(entry) for name, entry in value.items()}

    def read(self, data: object, path: str, problems: Problems) -> Any:
        if not isinstance(data, Mapping):
            return self.wrong_type(path, problems)
        pairs = [
            (
                self._read_key(name, f"{path}[key {index}]", problems),
                self.item.read(entry, f"{path}[{index}]", problems),
            )
            for index, (name, entry) in enumerate(data.items())
        ]
        if any(name is MISSING or entry is MISSING for name, entry in pairs):
            return MISSING
        made = FrozenMapping(pairs)
        return made if len(made) == len(data) else problems.add(path, "keys that differ", "duplicate")

    def _read_key(self, name: object, path: str, problems: Problems) -> Any:
        try:
            key = msgspec.convert({name: None}, dict[self.key.wire, None], strict=True, str_keys=True)  # type: ignore[name-defined]  # built at run time
            return loader(self.key)(next(iter(key)))
        except Exception:  # a validator's, or msgspec's: the key is refused either way
            return problems.add(path, self.key.expected, "value")

    def write(self, value: object, path: str, problems: Problems) -> Any:
        if not isinstance(value, Mapping):
            return problems.add(path, f"Mapping ({self.expected})", "type")
        pairs = [
            (
                self.key.write(name, f"{path}[key {index}]", problems),
                self.item.write(entry, f"{path}[{index}]", problems),
            )
            for index, (name, entry) in enumerate(value.items())
        ]
        return MISSING if any(name is MISSING or entry is MISSING for name, entry in pairs) else dict(pairs)


def no_fewer(made: FrozenMapping[Any, Any], wire: Mapping[Any, Any]) -> FrozenMapping[Any, Any]:
    """Return `made`; ValueError where two keys of the wire became one, since an entry would be lost without a word."""
    if len(made) != len(wire):
        raise ValueError("two keys are one")
    return made


class UnionNode(Node):
    """A union whose members differ in their JSON kinds, such as `Title | None` or `int | str`."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.wire = Union[tuple(node.wire for node in nodes)]  # noqa: UP007  (the members are known at run time only)
        self.expected = " or ".join(node.expected for node in nodes)
        self.kinds = frozenset().union(*(node.kinds for node in nodes))
        self.wire_classes = tuple(cls for node in nodes for cls in node.wire_classes)
        self.object_classes = tuple(cls for node in nodes for cls in node.object_classes)
        self.load = self._loader()
        self._dumps = {cls: node.dump for node in nodes for cls in node.object_classes}

    def _loader(self) -> Function | None:
        if all(node.load is None for node in self.nodes):
            return None
        if len(self.nodes) == 2 and NoneType in self.wire_classes:
            (some,) = [loader(node) for node in self.nodes if NoneType not in node.wire_classes]
            return lambda wire: None if wire is None else some(wire)
        loads = {cls: loader(node) for node in self.nodes for cls in node.wire_classes}
        return lambda wire: loads[type(wire)](wire)

    def dump(self, value: Any) -> Any:
        dump = self._dumps.get(type(value))
        if dump is None:
            raise Refused
        return dump(value)

    def read(self, data: object, path: str, problems: Problems) -> Any:
        kind = json_kind(data)
        candidates = [node for node in self.nodes if kind in node.kinds]
        exact = [node for node in candidates if type(data) in node.wire_classes] or candidates
        return exact[0].read(data, path, problems) if exact else self.wrong_type(path, problems)

    def write(self, value: object, path: str, problems: Problems) -> Any:
        for node in self.nodes:
            tried = Problems()
            wire = node.write(value, path, tried)
            if wire is not MISSING:
                return wire
            if isinstance(value, node.object_classes):
                problems.extend(tried)
                return MISSING
        return self.wrong_type(path, problems)


class ConstrainedNode(Node):
    """A type with `msgspec.Meta` constraints beside it: `Annotated[int, Meta(ge=1)]`."""

    def __init__(self, inner: Node, constraints: Iterable[msgspec.Meta]) -> None:
        self.inner, self.constraints = inner, tuple(constraints)
        self.wire = inner.wire
        for constraint in self.constraints:
            self.wire = Annotated[self.wire, constraint]
        self.expected = f"{inner.expected} within its constraints"
        self.kinds, self.load = inner.kinds, inner.load
        self.wire_classes, self.object_classes = inner.wire_classes, inner.object_classes

    def _admits(self, wire: object) -> bool:
        try:
            msgspec.convert(msgspec.to_builtins(wire), self.wire)
        except msgspec.ValidationError:
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


class HookNode(Node):
    """A type that a user's own cattrs hooks convert: any JSON, checked by the hooks alone."""

    wire = Any
    kinds = ANY_KIND
    wire_classes = ()

    def __init__(self, cls: type, structure: Function, unstructure: Function) -> None:
        self.expected = f"{cls.__qualname__}, as its own hook reads it"
        self.object_classes = (cls,)
        self.load, self._unstructure = structure, unstructure

    def dump(self, value: Any) -> Any:
        return self._unstructure(value)

    def read(self, data: object, path: str, problems: Problems) -> Any:
        try:
            return loader(self)(data)
        except Exception:  # whatever the hook raises
            return problems.add(path, self.expected, "value")

    def write(self, value: object, path: str, problems: Problems) -> Any:
        try:
            return self.dump(value)
        except Exception:  # whatever the hook raises
            return problems.add(path, self.expected, "value")


class RecursiveNode(Node):
    """A class inside itself: stands for the node that is being made."""

    kinds = frozenset({"object"})

    def __init__(self, name: str, cls: type) -> None:
        self.wire = ForwardRef(name)
        self.expected = cls.__qualname__
        self.wire_classes = ()
        self.object_classes = (cls,)
        self.target: Node = self
        self.load = lambda wire: self.target.load(wire)  # type: ignore[misc]  # a class always has one

    def dump(self, value: Any) -> Any:
        return self.target.dump(value)

    def read(self, data: object, path: str, problems: Problems) -> Any:
        return self.target.read(data, path, problems)

    def write(self, value: object, path: str, problems: Problems) -> Any:
        return self.target.write(value, path, problems)
