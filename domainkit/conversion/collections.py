"""The nodes of collections: tuples, frozensets and mappings; in converters lists, sets and dicts as well."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domainkit._model.mapping import FrozenMapping
from domainkit._speedups.code import Code
from domainkit.conversion.limits import MOST_ALIKE, differ_by_hash
from domainkit.conversion.nodes import MISSING, Node, Problems, Samples, Schema, Schemas, Strategy, refuse_unless
from domainkit.conversion.scalars import EnumNode, LiteralNode, whole
from domainkit.conversion.wrappers import ConstrainedNode, ValueObjectNode

Make = Callable[[Iterable[Any]], Any]  # Any: the items of a collection, whose types are only known at run time


class _ArrayNode(Node):
    """An array of any length, whose items are of one type.

    Args:
        item: the node of the items.
        make: the class of the collection.
    """

    measured: str = "array"
    _expected: ClassVar[str] = "an array of {}"

    def __init__(self, item: Node, make: Make = tuple) -> None:
        self.item: Node = item
        self._make = make
        super().__init__(
            tuple[item.wire, ...],  # type: ignore[name-defined]  # built at run time
            self._expected.format(item.expected),
            frozenset({"array"}),
            wire_classes=(tuple,),
            object_classes=(make,),  # type: ignore[arg-type]  # `make` is always a class
            levels=1 + item.levels,
            same=item.same and make is tuple,
            shape=tuple[Any, ...],
        )

    def load_lines(self, code: Code, wire: str) -> str:
        return wire if self.item.same else self._loop(code, wire, self.item.load_lines)

    def dump_lines(self, code: Code, value: str) -> str:
        refuse_unless(code, f"type({value}) is {code.name(self._make, 'make')}")
        if self.item.take is not None:
            return f"[*map({code.name(self.item.take, 'take')}, {value})]"
        return self._loop(code, value, self.item.dump_lines)

    def _loop(self, code: Code, collection: str, lines: Callable[[Code, str], str]) -> str:
        items, item = code.variable("items"), code.variable("item")
        code.add(f"{items} = []")
        with code.block(f"for {item} in {collection}:"):
            kept = lines(code, item)
            code.add(f"{items}.append({kept})")
        return items

    def read(self, data: Any, path: str, problems: Problems) -> object:
        accepted = (list, tuple, *self.object_classes) if problems.native else (list, tuple)
        if type(data) not in accepted and not isinstance(data, list | tuple):
            return self.wrong_type(path, problems)
        items, read, is_complete = [], self.item.read, True
        for index, entry in enumerate(data):
            item = read(entry, f"{path}[{index}]", problems)
            items.append(item)
            if item is MISSING:
                is_complete = False
                if problems.full:
                    break
        return self._made(items, path, problems) if is_complete else MISSING

    def _made(self, items: list[Any], path: str, problems: Problems) -> object:  # noqa: ARG002  # for sets, see below
        return self._make(items)

    def write(self, value: Any, path: str, problems: Problems) -> object:
        if not issubclass(type(value), self.object_classes):
            return problems.add(path, f"{self.object_classes[0].__name__} ({self.expected})", "type")
        return _complete(
            [self.item.write(entry, self._place(path, index), problems) for index, entry in enumerate(value)]
        )

    def _place(self, path: str, index: int) -> str:
        return f"{path}[{index}]"

    def schema(self, schemas: Schemas) -> Schema:
        return {"type": "array", "items": schemas.schema(self.item)}


def _complete(items: list[Any]) -> object:
    """Return the list; MISSING if one of its items is MISSING."""
    return MISSING if any(item is MISSING for item in items) else items


class VariadicTupleNode(_ArrayNode):
    """`tuple[X, ...]`, or `list[X]`: an array."""

    def load_lines(self, code: Code, wire: str) -> str:
        items = super().load_lines(code, wire)
        return wire if self.same else f"tuple({items})"

    def samples(self, samples: Samples) -> Strategy:
        return samples.st.lists(samples.of(self.item), max_size=3).map(self._make)


class FrozensetNode(_ArrayNode):
    """`frozenset[X]`, or `set[X]`: an array, sorted by the JSON of its items, so that equal sets give equal bytes."""

    _expected = "an array of distinct {}"

    def __init__(self, item: Node, make: Make = frozenset) -> None:
        super().__init__(item, make)

    def load_lines(self, code: Code, wire: str) -> str:
        return f"{code.name(_distinct, 'distinct')}({super().load_lines(code, wire)})"

    def dump_lines(self, code: Code, value: str) -> str:
        items = super().dump_lines(code, value)
        return f"sorted({items}, key={code.name(_json, 'json')})"

    def _made(self, items: list[Any], path: str, problems: Problems) -> object:
        if not differ_by_hash(items):
            return problems.add(path, _DISTINCT_HASHES, "limit")
        made = self._make(items)
        return made if len(made) == len(items) else problems.add(path, self.expected, "duplicate")

    def write(self, value: object, path: str, problems: Problems) -> object:
        items = super().write(value, path, problems)
        return sorted(items, key=_json) if isinstance(items, list) else items

    def _place(self, path: str, index: int) -> str:  # noqa: ARG002  # a set has no order
        return f"{path}[*]"

    def schema(self, schemas: Schemas) -> Schema:
        return super().schema(schemas) | {"uniqueItems": True}

    def samples(self, samples: Samples) -> Strategy:
        return samples.st.frozensets(samples.of(self.item), max_size=3).map(self._make)


def _json(value: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=repr)  # a value that only another encoding has sorts by its repr


def _distinct(items: Iterable[Any]) -> frozenset[Any]:
    """Return the set of the items; raise ValueError if there are duplicates, which would be lost silently."""
    listed = tuple(items)
    if not differ_by_hash(listed):
        raise ValueError(f"expected {_DISTINCT_HASHES}")
    made = frozenset(listed)
    if len(made) != len(listed):
        raise ValueError("expected a set without duplicates")
    return made


class FixedTupleNode(Node):
    """`tuple[X, Y]`: an array of exactly that many items."""

    measured: str = "array"

    def __init__(self, items: tuple[Node, ...]) -> None:
        self.items: tuple[Node, ...] = items
        super().__init__(
            tuple[tuple(item.wire for item in items)],  # type: ignore[misc]  # built at run time
            f"an array of {len(items)}: {', '.join(item.expected for item in items)}",
            frozenset({"array"}),
            wire_classes=(tuple,),
            object_classes=(tuple,),
            levels=1 + max((item.levels for item in items), default=0),
            same=all(item.same for item in items),
            shape=tuple[Any, ...],
        )

    def load_lines(self, code: Code, wire: str) -> str:
        return wire if self.same else self._unpacked(code, wire, [item.load_lines for item in self.items])

    def dump_lines(self, code: Code, value: str) -> str:
        refuse_unless(code, f"type({value}) is tuple and len({value}) == {len(self.items)}")
        return self._unpacked(code, value, [item.dump_lines for item in self.items])

    def _unpacked(self, code: Code, value: str, lines: list[Callable[[Code, str], str]]) -> str:
        entries = [code.variable("entry") for _ in lines]
        if entries:
            code.add(f"{', '.join(entries)}, = {value}")
        made = [one(code, entry) for one, entry in zip(lines, entries, strict=True)]
        return f"({''.join(f'{entry}, ' for entry in made)})"

    def read(self, data: object, path: str, problems: Problems) -> object:
        if not isinstance(data, list | tuple):
            return self.wrong_type(path, problems)
        if len(data) != len(self.items):
            return problems.add(path, self.expected, "value")
        pairs = enumerate(zip(self.items, data, strict=True))
        items = _complete([item.read(entry, f"{path}[{index}]", problems) for index, (item, entry) in pairs])
        return tuple(items) if isinstance(items, list) else items

    def write(self, value: object, path: str, problems: Problems) -> object:
        if not isinstance(value, tuple) or len(value) != len(self.items):
            return problems.add(path, f"tuple ({self.expected})", "type")
        pairs = enumerate(zip(self.items, value, strict=True))
        return _complete([item.write(entry, f"{path}[{index}]", problems) for index, (item, entry) in pairs])

    def schema(self, schemas: Schemas) -> Schema:
        items = [schemas.schema(item) for item in self.items]
        words = ("items", "additionalItems") if schemas.draft_07 else ("prefixItems", "items")
        return {"type": "array", words[0]: items, words[1]: False, "minItems": len(items), "maxItems": len(items)}

    def samples(self, samples: Samples) -> Strategy:
        return samples.st.tuples(*map(samples.of, self.items))


_DISTINCT_HASHES = "values with different hashes"
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)


class MappingNode(Node):
    """`Mapping[K, V]`, or `dict[K, V]`: an object whose keys are the wire form of K, as text.

    Args:
        key: the node of the keys, whose wire form is text or an integer.
        item: the node of the values.
        make: the class of the mapping.
    """

    measured: str = "object"

    def __init__(self, key: Node, item: Node, make: Make = FrozenMapping) -> None:
        self.key: Node = key
        self.item: Node = item
        self._make = make
        super().__init__(
            dict[str, item.wire],  # type: ignore[name-defined]  # built at run time
            f"an object from {key.expected} to {item.expected}",
            frozenset({"object"}),
            wire_classes=(dict,),
            object_classes=(FrozenMapping, dict),
            levels=1 + item.levels,
            shape=dict[str, Any],
        )
        self._keys = dict[key.wire, Any]  # type: ignore[name-defined]  # as above

    def load_lines(self, code: Code, wire: str) -> str:
        if self.key.wire is str and self.key.same and self.item.same:
            return f"{code.name(FrozenMapping, 'FrozenMapping')}({wire})"
        made, items, pairs, name, entry = map(code.variable, ("keys", "items", "pairs", "name", "entry"))
        code.add(f"{made}, {items}, {pairs} = [], [], {wire}")
        if self.key.wire is not str:
            with_keys, keys = code.name(_with_keys, "with_keys"), code.name(self._keys, "keys")
            key_class = code.name(self.key.wire if self.key.wire in (int, UUID) else None, "key_class")
            code.add(f"{pairs} = {with_keys}({wire}, {keys}, {key_class})")
        with code.block(f"for {name}, {entry} in {pairs}.items():"):
            key, item = self.key.load_lines(code, name), self.item.load_lines(code, entry)
            code.add(f"{made}.append({key})", f"{items}.append({item})")
        return f"{code.name(_mapping, 'mapping')}({made}, {items}, {wire})"

    def dump_lines(self, code: Code, value: str) -> str:
        made, name, entry = code.variable("made"), code.variable("name"), code.variable("entry")
        refuse_unless(code, f"type({value}) in {code.name(self.object_classes, 'classes')}")
        code.add(f"{made} = {{}}")
        with code.block(f"for {name}, {entry} in {value}.items():"):
            key, item = self.key.dump_lines(code, name), self.item.dump_lines(code, entry)
            if isinstance(innermost(self.key), EnumNode):  # msgspec before 0.22 doesn't encode enum members as keys
                key = f"({key}).value"
            code.add(f"{made}[{key}] = {item}")
        return made

    def read(self, data: object, path: str, problems: Problems) -> object:
        if not isinstance(data, Mapping):
            return self.wrong_type(path, problems)
        keys, items = [], []
        for index, (name, entry) in enumerate(data.items()):
            keys.append(self._read_key(name, f"{path}[key {index}]", problems))
            items.append(self.item.read(entry, f"{path}[{index}]", problems))
            if problems.full:
                break
        if _complete(keys) is MISSING or _complete(items) is MISSING:
            return MISSING
        if not differ_by_hash(keys):
            return problems.add(path, _DISTINCT_HASHES, "limit")
        made = self._make(zip(keys, items, strict=True))
        return made if len(made) == len(data) else problems.add(path, "distinct keys", "duplicate")

    def _read_key(self, name: object, path: str, problems: Problems) -> object:
        if not isinstance(name, str) and not problems.native:
            return problems.add(path, "text, since JSON has only text keys", "type")
        is_number = self.key.kinds == {"int"} and isinstance(name, str) and _INTEGER.fullmatch(name)
        found = Problems(1, native=problems.native)
        key = self.key.read(int(name) if is_number and len(name) < 4300 else name, path, found)  # type: ignore[arg-type, call-overload]  # text, as just checked
        return problems.add(path, self.key.expected, "value") if key is MISSING else key

    def write(self, value: object, path: str, problems: Problems) -> object:
        if not isinstance(value, Mapping):
            return problems.add(path, f"Mapping ({self.expected})", "type")
        made = {}
        for index, (name, entry) in enumerate(value.items()):
            key = self.key.write(name, f"{path}[key {index}]", problems)
            made[str(key) if type(key) is int else key] = self.item.write(entry, f"{path}[{index}]", problems)
        return MISSING if MISSING in made or any(item is MISSING for item in made.values()) else made

    def schema(self, schemas: Schemas) -> Schema:
        schema = {"type": "object", "additionalProperties": schemas.schema(self.item)}
        if self.key.kinds == {"str"}:
            names = schemas.schema(self.key)
            return schema if names == {"type": "string"} else schema | {"propertyNames": names}
        key = innermost(self.key)
        if isinstance(key, LiteralNode | EnumNode):
            return schema | {"propertyNames": {"enum": [str(option) for option in key.options]}}
        return schema | {"propertyNames": {"pattern": whole("(?:0|-?[1-9][0-9]*)")}}

    def samples(self, samples: Samples) -> Strategy:
        return samples.st.dictionaries(samples.of(self.key), samples.of(self.item), max_size=3).map(self._make)


def innermost(node: Node) -> Node:
    """Return the node inside value objects and constraints."""
    while isinstance(node, ValueObjectNode | ConstrainedNode):
        node = node.inner
    return node


def _with_keys(wire: Mapping[str, Any], keys: Any, key_class: type | None) -> Mapping[Any, Any]:
    """Return a JSON object with its keys converted from text; raise ValueError if too many keys have the same hash."""
    if key_class is not None and len(wire) > MOST_ALIKE and not differ_by_hash([key_class(name) for name in wire]):
        raise ValueError(f"expected {_DISTINCT_HASHES}")
    converted: Mapping[Any, Any] = msgspec.convert(wire, keys, str_keys=True)
    return converted


def _mapping(keys: list[Any], items: list[Any], wire: Mapping[str, Any]) -> FrozenMapping[Any, Any]:
    """Return the mapping; raise ValueError if two wire keys became the same key, since an entry would be lost."""
    if not differ_by_hash(keys):
        raise ValueError(f"expected {_DISTINCT_HASHES}")
    made = FrozenMapping(zip(keys, items, strict=True))
    if len(made) != len(wire):
        raise ValueError("expected distinct keys")
    return made
