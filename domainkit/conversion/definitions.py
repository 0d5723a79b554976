"""Nodes as JSON Schema, with a named definition for each class."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from itertools import chain, count
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin
from uuid import UUID

import attrs
from attrs import frozen

from domainkit._model.wrapper import holds_secret
from domainkit.conversion.constraints import add, keywords_of, meta_keywords
from domainkit.conversion.envelope import MessageWire
from domainkit.conversion.nodes import MISSING, Node, Part, Problems, Schema
from domainkit.conversion.scalars import DATE_PATTERN, SCALARS, TIME_PATTERN, whole

_OCCURRED_ON: Final[Mapping[str, str]] = MappingProxyType(
    {
        "description": "UTC, to the microsecond",
        "type": "string",
        "pattern": whole(rf"{DATE_PATTERN} {TIME_PATTERN}\.[0-9]{{6}}"),
    }
)


Wire = MessageWire[Any, Any]  # Any: a document has messages of several classes


@frozen
class _Key:
    """The key of a definition: a type, and which of its forms is meant."""

    hint: object
    form: tuple[str, ...] = ()

    def name(self, *, qualified: bool) -> str:
        form = "_".join(("", *self.form)) if qualified else ""
        return _written(self.hint, qualified=qualified) + form


def key_for(name: str, taken: Container[str]) -> str:
    """Return a key for `name` that needs no escapes in a reference and isn't taken."""
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
    """Schemas of nodes, and the definitions that the schemas refer to.

    Args:
        root: the path of the definitions in the document, with which each reference begins.
        draft_07: use the dialect of draft-07, in which a reference has no other keywords beside it, and a tuple is
            described by `items`.
    """

    def __init__(self, root: str, *, draft_07: bool = False) -> None:
        self._root = root
        self.draft_07 = draft_07
        self._schemas: dict[_Key, Schema] = {}
        self._references: list[tuple[Schema, _Key]] = []

    def message(self, wire: Wire) -> Schema:
        """Return a reference to the envelope of a message class."""
        return self._reference(_Key(wire.cls, ("message",)), lambda: self.envelope(wire))

    def envelope(self, wire: Wire) -> Schema:
        """Return the schema of the envelope of a message class itself, not a reference to it."""
        info, closed = wire.info, wire.forbid_unknown
        attributes = self.fields(wire.node.parts, closed=closed, tag=None)
        properties = {
            "id": self.schema(SCALARS[UUID]),
            "type": {"const": info.name},
            "type_message": {"const": info.kind},
            "version": {"const": info.version},
            "occurred_on": dict(_OCCURRED_ON),
            "attributes": attributes,
            "meta": {"type": "object"},
        }
        if closed:
            properties["sent_as"] = {"type": "array", "items": {"type": "string"}}
        optional = {"meta", "sent_as"} if "required" in attributes else {"meta", "sent_as", "attributes"}
        data = _closed(properties, [key for key in properties if key not in optional], closed=closed)
        return self.about(wire.hint) | _closed({"data": data}, ["data"], closed=closed)

    def finish(self) -> Schema:
        """Complete the references, and return the definitions by name."""
        names = self._names()
        for schema, key in self._references:
            schema["$ref"] = self._root + names[key]
            if self.draft_07 and len(schema) > 1:
                schema["allOf"] = [{"$ref": schema.pop("$ref")}, *schema.get("allOf", ())]
        return {names[key]: schema for key, schema in self._schemas.items()}

    def _names(self) -> Mapping[_Key, str]:
        """Return a name for each definition: the short name, or the qualified name if the short one is ambiguous."""
        shared = Counter(key.name(qualified=False) for key in self._schemas)
        names: dict[_Key, str] = {}
        for key in self._schemas:
            qualified = shared[key.name(qualified=False)] > 1
            names[key] = key_for(key.name(qualified=qualified), names.values())
        return names

    def schema(self, node: Node) -> Schema:
        """Return the schema of a node: a new one, or a reference."""
        return node.schema(self)

    def named(self, hint: object, make: Callable[[], Schema], form: tuple[str, ...] = ()) -> Schema:
        """Return a reference to the definition of a type, made once; `form` distinguishes definitions of one type."""

        def define() -> Schema:
            made = make()
            made.update(self.about(hint))  # in place: it may be a reference, which `finish` completes
            return made

        return self._reference(_Key(hint, form), define)

    def _reference(self, key: _Key, make: Callable[[], Schema]) -> Schema:
        if key not in self._schemas:
            self._schemas[key] = {}  # a class that contains itself is looked up again while its schema is made
            self._schemas[key] = make()
        reference: Schema = {"$ref": ""}
        self._references.append((reference, key))
        return reference

    def about(self, hint: object) -> Schema:
        """Return the name of a type as the title, and the first paragraph of its docstring as the description."""
        summary = summary_of(get_origin(hint) or hint)
        return {"title": _written(hint)} | ({"description": summary} if summary else {})

    def fields(self, parts: Iterable[Part], *, closed: bool, tag: tuple[str, str] | None) -> Schema:
        """Return the schema of an object with a property for each field."""
        properties, required = {}, []
        if tag is not None:
            properties[tag[0]] = {"const": tag[1]}
            required.append(tag[0])
        for part in parts:
            properties[part.key] = self.constrained(part.node, part.attribute.validator)
            add(properties[part.key], _default(part))
            if part.required:
                required.append(part.key)
        return _closed(properties, required, closed=closed)

    def constrained(self, node: Node, rule: object) -> Schema:
        """Return the schema of a node with the keywords of a validator, or of constraints."""
        schema, constraints = self.schema(node), rule if isinstance(rule, tuple) else ()
        for keywords in chain(keywords_of(rule, node), *(meta_keywords(meta, node) for meta in constraints)):
            add(schema, keywords)
        return schema


def _closed(properties: Schema, required: list[str], *, closed: bool) -> Schema:
    made: Schema = {"type": "object", "properties": properties}
    if required:
        made["required"] = required
    return made | ({"additionalProperties": False} if closed else {})


def _default(part: Part) -> Schema:
    """Return the default of a field as a keyword; no keyword for a secret, or if the object gets another value."""
    default = part.attribute.default
    if part.required or part.attribute.converter is not None or isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, though the stubs call it a function
        return {}
    wire = MISSING if holds_secret(default) else part.node.write(default, "$", Problems())
    return {} if wire is MISSING else {"default": wire}


def summary_of(cls: object) -> str:
    """Return the first paragraph of a class's own docstring, on one line."""
    text = (vars(cls).get("__doc__") if isinstance(cls, type) else None) or ""
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
