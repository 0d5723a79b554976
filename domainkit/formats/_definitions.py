"""Wire types as JSON Schema: a rule for each kind of node, and names for the classes that they are made of."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Container, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, count
from types import MappingProxyType, NoneType
from typing import Any, Final, get_args, get_origin
from uuid import UUID

import attrs
import msgspec
from attrs import frozen

from domainkit.codec import Wire
from domainkit.conversion.classes import AttrsNode, Part
from domainkit.conversion.collections import FixedTupleNode, FrozensetNode, MappingNode, VariadicTupleNode
from domainkit.conversion.nodes import MISSING, Node, Problems
from domainkit.conversion.scalars import EnumLeaf, LiteralLeaf
from domainkit.conversion.tagged import TaggedNode
from domainkit.conversion.wrappers import ConstrainedNode, HookNode, RecursiveNode, UnionNode, ValueObjectNode
from domainkit.formats._constraints import Schema, add, keywords_of, meta_keywords

_DATE = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_CLOCK = rf"{_TIME}(?:\.[0-9]{{1,6}})?"
_OFFSET = "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_SECONDS = r"T(?:[0-9]{1,4}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2})(?:\.[0-9]{1,6})?S"

_LEAF_SCHEMAS: Final[Mapping[object, Schema]] = MappingProxyType(
    {
        str: {"type": "string"},
        int: {"type": "integer"},
        bool: {"type": "boolean"},
        float: {"type": "number"},
        NoneType: {"type": "null"},
        # patterns beside the formats: draft 2020-12 leaves it to the reader whether formats are asserted
        UUID: {"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
        bytes: {
            "type": "string",
            "contentEncoding": "base64",
            "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        },
        date: {"type": "string", "format": "date", "pattern": f"^{_DATE}$"},
        datetime: {"type": "string", "format": "date-time", "pattern": f"^{_DATE}T{_CLOCK}{_OFFSET}$"},
        # the format `time` asks for an offset, and the format `duration` knows neither a sign nor fractions (RFC 3339)
        time: {"type": "string", "pattern": f"^{_CLOCK}{_OFFSET}?$"},
        timedelta: {"type": "string", "pattern": f"^-?P(?:[0-9]{{1,9}}D(?:{_SECONDS})?|{_SECONDS})$"},
        # a long exponent is read in just the form that Decimal itself writes
        Decimal: {
            "type": "string",
            "pattern": r"^-?(?:[0-9]+(?:\.[0-9]+)?(?:E[+-][0-9]{1,9})?|(?:0|[1-9](?:\.[0-9]+)?)E[+-][1-9][0-9]{9,17})$",
        },
    }
)
_OCCURRED_ON: Final[Mapping[str, str]] = MappingProxyType(
    {
        "description": "UTC, to the microsecond",
        "type": "string",
        "pattern": rf"^{_DATE} {_TIME}\.[0-9]{{6}}$",
    }
)
_INT_KEY: Final = "^(?:0|-?[1-9][0-9]*)$"


@frozen
class _Key:
    """What a definition is of: a type, and which of its forms."""

    hint: object
    form: tuple[str, ...] = ()

    def name(self, *, qualified: bool) -> str:
        form = "_".join(("", *self.form)) if qualified else ""
        return _written(self.hint, qualified=qualified) + form


def key_for(name: str, taken: Container[str]) -> str:
    """Return a key for `name` that needs no escapes in a reference, and that nothing else has."""
    key = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_")
    return next(one for one in chain([key], (f"{key}_{number}" for number in count(2))) if one not in taken)


def _written(hint: object, *, qualified: bool = False) -> str:
    """Return the type as a person would write it, with or without the module."""
    cls = get_origin(hint) or hint
    name = getattr(cls, "__name__", str(cls))
    if qualified and isinstance(cls, type):
        name = f"{cls.__module__}.{cls.__qualname__}"
    arguments = ", ".join(_written(argument, qualified=qualified) for argument in get_args(hint))
    return f"{name}[{arguments}]" if arguments else name


class Definitions:
    """Schemas of wire types, and what they refer to by name.

    Args:
        root: where the definitions stand in the document: what a reference begins with.
        draft_07: use the words of draft-07: nothing stands beside a reference, and a tuple is `items`.
    """

    def __init__(self, root: str, *, draft_07: bool = False) -> None:
        self._root = root
        self._draft_07 = draft_07
        self._schemas: dict[_Key, Schema] = {}
        self._references: list[tuple[Schema, _Key]] = []

    def message(self, wire: Wire) -> Schema:
        """Return a reference to the envelope of a message class."""
        return self._reference(_Key(wire.cls, ("message",)), lambda: self.envelope(wire))

    def envelope(self, wire: Wire) -> Schema:
        """Return the schema of the envelope of a message class, to stand in its place."""
        info, attributes = wire.info, self._object(wire.node)
        properties = {
            "id": dict(_LEAF_SCHEMAS[UUID]),
            "type": {"const": info.name},
            "type_message": {"const": info.kind},
            "version": {"const": info.version},
            "occurred_on": dict(_OCCURRED_ON),
            "attributes": attributes,
            "meta": {"type": "object"},
        }
        optional = {"meta"} if "required" in attributes else {"meta", "attributes"}
        data = _closed(properties, [key for key in properties if key not in optional], closed=wire.forbid_unknown)
        return _about(wire.cls) | _closed({"data": data}, ["data"], closed=wire.forbid_unknown)

    def finish(self) -> Schema:
        """Return the definitions by name, and let the references name them."""
        names = self._names()
        for schema, key in self._references:
            schema["$ref"] = self._root + names[key]
            if self._draft_07 and len(schema) > 1:
                schema["allOf"] = [{"$ref": schema.pop("$ref")}, *schema.get("allOf", ())]
        return {names[key]: schema for key, schema in self._schemas.items()}

    def _names(self) -> Mapping[_Key, str]:
        """Return a name for each definition: the short one, unless two have it."""
        shared = Counter(key.name(qualified=False) for key in self._schemas)
        names: dict[_Key, str] = {}
        for key in self._schemas:
            qualified = shared[key.name(qualified=False)] > 1
            names[key] = key_for(key.name(qualified=qualified), names.values())
        return names

    def schema(self, node: Node) -> Schema:
        """Return the schema of a wire type: a new one, or a reference."""
        rule = _RULES.get(type(node))
        return dict(_LEAF_SCHEMAS[node.object_classes[0]]) if rule is None else rule(self, node)

    def _reference(self, key: _Key, make: Callable[[], Schema]) -> Schema:
        if key not in self._schemas:
            self._schemas[key] = {}  # a class that holds itself comes here again while its schema is made
            self._schemas[key] = make()
        reference: Schema = {"$ref": ""}
        self._references.append((reference, key))
        return reference

    def _class(self, node: AttrsNode) -> Schema:
        key = _Key(node.hint, node.tag or ())
        return self._reference(key, lambda: _about(node.hint) | self._object(node))

    def _object(self, node: AttrsNode) -> Schema:
        properties = {part.key: self._property(part) for part in node.parts}
        required = [part.key for part in node.parts if part.required]
        if node.tag is not None:
            key, name = node.tag
            properties, required = {key: {"const": name}, **properties}, [key, *required]
        return _closed(properties, required, closed=node.forbid_unknown)

    def _property(self, part: Part) -> Schema:
        schema = self.schema(part.node)
        for keywords in keywords_of(part.attribute.validator, part.node):
            add(schema, keywords)
        add(schema, _default(part))
        return schema

    def _value_object(self, node: ValueObjectNode) -> Schema:
        return self._reference(_Key(node.hint), lambda: self._wrapped(node))

    def _wrapped(self, node: ValueObjectNode) -> Schema:
        schema = self.schema(node.inner)
        for keywords in keywords_of(attrs.fields(node.cls).value.validator, node.inner):
            add(schema, keywords)
        schema.update(_about(node.hint))
        return schema

    def _enum(self, node: EnumLeaf) -> Schema:
        return self._reference(_Key(node.cls), lambda: _about(node.cls) | {"enum": list(node.options)})

    def _literal(self, node: LiteralLeaf) -> Schema:
        return {"const": node.options[0]} if len(node.options) == 1 else {"enum": list(node.options)}

    def _constrained(self, node: ConstrainedNode) -> Schema:
        schema = self.schema(node.inner)
        for meta in node.constraints:
            for keywords in meta_keywords(meta, node.inner):
                add(schema, keywords)
        return schema

    def _array(self, node: VariadicTupleNode) -> Schema:
        return {"type": "array", "items": self.schema(node.item)}

    def _set(self, node: FrozensetNode) -> Schema:
        return {"type": "array", "items": self.schema(node.item), "uniqueItems": True}

    def _tuple(self, node: FixedTupleNode) -> Schema:
        items = [self.schema(item) for item in node.items]
        words = ("items", "additionalItems") if self._draft_07 else ("prefixItems", "items")
        return {"type": "array", words[0]: items, words[1]: False, "minItems": len(items), "maxItems": len(items)}

    def _mapping(self, node: MappingNode) -> Schema:
        names = self._names_of(node.key)
        schema = {"type": "object", "additionalProperties": self.schema(node.item)}
        return schema if names == _LEAF_SCHEMAS[str] else schema | {"propertyNames": names}

    def _names_of(self, key: Node) -> Schema:
        """Return the schema of the keys of an object, which are text also where they stand for integers."""
        if key.kinds == {"str"}:
            return self.schema(key)
        while isinstance(key, ValueObjectNode | ConstrainedNode):
            key = key.inner
        if isinstance(key, LiteralLeaf | EnumLeaf):
            return {"enum": [str(option) for option in key.options]}
        return {"pattern": _INT_KEY}

    def _union(self, node: UnionNode) -> Schema:
        return {"anyOf": [self.schema(member) for member in node.nodes]}

    def _tagged(self, node: TaggedNode) -> Schema:
        return {"oneOf": [self.schema(member) for member in node.nodes.values()]}

    def _standin(self, node: RecursiveNode) -> Schema:
        return self.schema(node.target)

    def _hooked(self, node: HookNode) -> Schema:
        return _about(node.object_classes[0])


_RULES: Final[Mapping[type[Node], Callable[[Definitions, Any], Schema]]] = MappingProxyType(
    {  # Any: each takes the node of its key
        AttrsNode: Definitions._class,
        ConstrainedNode: Definitions._constrained,
        EnumLeaf: Definitions._enum,
        FixedTupleNode: Definitions._tuple,
        FrozensetNode: Definitions._set,
        HookNode: Definitions._hooked,
        LiteralLeaf: Definitions._literal,
        MappingNode: Definitions._mapping,
        RecursiveNode: Definitions._standin,
        TaggedNode: Definitions._tagged,
        UnionNode: Definitions._union,
        ValueObjectNode: Definitions._value_object,
        VariadicTupleNode: Definitions._array,
    }
)


def _closed(properties: Schema, required: list[str], *, closed: bool) -> Schema:
    made: Schema = {"type": "object", "properties": properties}
    if required:
        made["required"] = required
    return made | ({"additionalProperties": False} if closed else {})


def _default(part: Part) -> Schema:
    """Return the default of a field, where it is a value, and the one that the object gets."""
    default = part.attribute.default
    if part.required or part.attribute.converter is not None or isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, though the stubs call it a function
        return {}
    wire = part.node.write(default, "$", Problems())
    return {} if wire is MISSING else {"default": msgspec.to_builtins(wire)}


def _about(hint: object) -> Schema:
    """Return the name of a class, and the first paragraph of its docstring."""
    summary = summary_of(get_origin(hint) or hint)
    return {"title": _written(hint)} | ({"description": summary} if summary else {})


def summary_of(cls: object) -> str:
    """Return the first paragraph of a class's own docstring, on one line."""
    text = vars(cls).get("__doc__") or ""
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
