"""The nodes that are made of other nodes: collections, unions, value objects, and what a user's own hooks convert."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ForwardRef, Union

import msgspec

from domainkit._mapping import FrozenMapping, freeze_json
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


class VariadicTupleNode(Node):
    """`tuple[X, ...]`: an array."""

    kinds = frozenset({"array"})
    wire_classes = object_classes = (tuple,)
    shape = tuple[Any, ...]

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
        return whole(tuple(read_items(self.item, data, path, problems)))

    def write(self, value: object, path: str, problems: Problems) -> Any:
        if not isinstance(value, tuple):
            return problems.add(path, f"tuple ({self.expected})", "type")
        write = self.item.write
        return whole([write(entry, f"{path}[{index}]", problems) for index, entry in enumerate(value)])


def read_items(node: Node, data: Iterable[object], path: str, problems: Problems) -> list[Any]:
    """Return what `node` reads in an array, up to the problem that is one too many to list."""
    items = []
    for index, entry in enumerate(data):
        items.append(node.read(entry, f"{path}[{index}]", problems))
        if problems.full:
            break
    return items


def whole(items: Any) -> Any:
    """Return the collection, or MISSING where one of its items is."""
    return MISSING if any(item is MISSING for item in items) else items


class FixedTupleNode(Node):
    """`tuple[X, Y]`: an array of just that many items."""

    kinds = frozenset({"array"})
    wire_classes = object_classes = (tuple,)
    shape = tuple[Any, ...]

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
    shape = tuple[Any, ...]

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
        items = whole(read_items(self.item, data, path, problems))
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
    object_classes = (FrozenMapping, dict)
    shape = dict[str, Any]

    def __init__(self, key: Node, item: Node) -> None:
        self.key, self.item = key, item
        self.wire = dict[str, item.wire]  # type: ignore[name-defined]  # built at run time
        self.expected = f"an object from {key.expected} to {item.expected}"
        self._keys = dict[key.wire, Any]  # type: ignore[name-defined]  # as above
        load_keys, load_item = self._key_loader(), loader(item)
        if item.load is None:
            self.load = load_keys
        else:
            self.load = lambda wire: load_keys({name: load_item(entry) for name, entry in wire.items()})

    def _key_loader(self) -> Function:
        """Return what makes the keys of a dict; ValueError where two become one, since an entry would be lost."""
        load_key, keys = self.key.load, self._keys
        if load_key is not None and self.key.wire is str:
            return lambda wire: no_fewer({load_key(name): entry for name, entry in wire.items()}, wire)
        if load_key is not None:
            return lambda wire: no_fewer(
                {load_key(name): entry for name, entry in msgspec.convert(wire, keys, str_keys=True).items()}, wire
            )
        if self.key.wire is str:
            return FrozenMapping
        return lambda wire: no_fewer(msgspec.convert(wire, keys, str_keys=True), wire)

    def dump(self, value: Any) -> Any:
        if type(value) not in self.object_classes:
            raise Refused
        dump_key, dump_item = self.key.dump, self.item.dump
        return {dump_key(name): dump_item(entry) for name, entry in value.items()}

    def read(self, data: object, path: str, problems: Problems) -> Any:
        if not isinstance(data, Mapping):
            return self.wrong_type(path, problems)
        keys, items = [], []
        for index, (name, entry) in enumerate(data.items()):
            keys.append(self._read_key(name, f"{path}[key {index}]", problems))
            items.append(self.item.read(entry, f"{path}[{index}]", problems))
            if problems.full:
                break
        if whole(keys) is MISSING or whole(items) is MISSING:
            return MISSING
        made = FrozenMapping(zip(keys, items, strict=True))
        return made if len(made) == len(data) else problems.add(path, "keys that differ", "duplicate")

    def _read_key(self, name: object, path: str, problems: Problems) -> Any:
        if not isinstance(name, str):
            return problems.add(path, "text, as all keys in JSON", "type")
        try:
            (key,) = msgspec.convert({name: None}, self._keys, str_keys=True)
            return loader(self.key)(key)
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


def no_fewer(made: dict[Any, Any], wire: Mapping[Any, Any]) -> FrozenMapping[Any, Any]:
    """Return `made`, read-only; ValueError where two keys of the wire became one."""
    if len(made) != len(wire):
        raise ValueError("two keys are one")
    return FrozenMapping(made)


class UnionNode(Node):
    """A union whose members differ in their JSON kinds, such as `Title | None` or `int | str`."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.wire = Union[tuple(node.wire for node in nodes)]  # noqa: UP007  (the members are known at run time only)
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
        self._restricts = any(getattr(meta, name) is not None for meta in self.constraints for name in _RESTRICTIONS)
        self.guard = None if self._restricts else inner.guard

    @property
    def wire_classes(self) -> tuple[type, ...]:  # type: ignore[override]  # a class inside itself is known later only
        """Those of what is constrained."""
        return self.inner.wire_classes

    @property
    def shape(self) -> Any:
        return self._shape

    def _admits(self, wire: Any) -> bool:
        if not self._restricts:
            return True
        if self.kinds <= _SIZED:  # these have lengths alone, and encoding the items would take long
            return all(_has_length(meta, len(wire)) for meta in self.constraints)
        try:
            self._decoder.decode(msgspec.json.encode(wire))
        except (TypeError, ValueError):  # it breaks a constraint, or can't be written at all
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
    shape = msgspec.defstruct("AnyObject", ())

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
