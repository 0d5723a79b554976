"""The nodes of collections: tuples, frozensets and mappings."""

import enum
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from domainkit._model.mapping import FrozenMapping
from domainkit.conversion.nodes import MISSING, Function, Node, Problems, Refused, loader


class VariadicTupleNode(Node):
    """`tuple[X, ...]`: an array."""

    kinds = frozenset({"array"})
    wire_classes = object_classes = (tuple,)
    _shape = tuple[Any, ...]

    def __init__(self, item: Node) -> None:
        self.item, self.levels = item, 1 + item.levels
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
    _shape = tuple[Any, ...]

    def __init__(self, items: tuple[Node, ...]) -> None:
        self.items, self.levels = items, 1 + max((item.levels for item in items), default=0)
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
    _shape = tuple[Any, ...]

    def __init__(self, item: Node) -> None:
        self.item, self.levels = item, 1 + item.levels
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
    _shape = dict[str, Any]

    def __init__(self, key: Node, item: Node) -> None:
        self.key, self.item, self.levels = key, item, 1 + item.levels
        self.wire = dict[str, item.wire]  # type: ignore[name-defined]  # built at run time
        self.expected = f"an object from {key.expected} to {item.expected}"
        self._keys = dict[key.wire, Any]  # type: ignore[name-defined]  # as above
        plain = isinstance(key.wire, type) and not issubclass(key.wire, enum.Enum)
        self._dump_key: Function = key.dump if plain else lambda name: _key_value(key.dump(name))
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
        dump_key, dump_item = self._dump_key, self.item.dump
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
                _key_value(self.key.write(name, f"{path}[key {index}]", problems)),
                self.item.write(entry, f"{path}[{index}]", problems),
            )
            for index, (name, entry) in enumerate(value.items())
        ]
        return MISSING if any(name is MISSING or entry is MISSING for name, entry in pairs) else dict(pairs)


def _key_value(wire: Any) -> Any:
    """Return the wire value of a key as msgspec before 0.22 takes it too: of an Enum its value, not the member."""
    return wire.value if isinstance(wire, enum.Enum) else wire


def no_fewer(made: dict[Any, Any], wire: Mapping[Any, Any]) -> FrozenMapping[Any, Any]:
    """Return `made`, read-only; ValueError where two keys of the wire became one."""
    if len(made) != len(wire):
        raise ValueError("two keys are one")
    return FrozenMapping(made)
