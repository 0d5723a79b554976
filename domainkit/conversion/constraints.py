"""Constraints on a value beyond its type (`msgspec.Meta`, validators of attrs), as keywords of JSON Schema."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

import msgspec

from domainkit._model.internals import (
    AND,
    ANY,
    EACH,
    MAX_LENGTH,
    MIN_LENGTH,
    NOT,
    NUMBER,
    OPTIONAL,
    OPTIONS,
    PATTERN,
    options_of,
    parts_of,
)
from domainkit._model.wrapper import holds_secret
from domainkit.conversion.collections import FrozensetNode, VariadicTupleNode
from domainkit.conversion.nodes import MISSING, Node, Problems, Schema
from domainkit.conversion.regex import ecma_pattern
from domainkit.conversion.unions import UnionNode
from domainkit.conversion.wrappers import ConstrainedNode, ValueObjectNode

_EXACT: Final = frozenset({MIN_LENGTH, MAX_LENGTH, NUMBER, OPTIONS})
"""The validators whose meaning a schema expresses exactly, for a text, a number or an array."""

_MOST_LISTED: Final = 256
"""The most numbers of a range that a schema lists."""

Validator = Any  # any callable that attrs accepts; the classes of attrs' own are distinguished at run time

_BOUNDS: Final = MappingProxyType({">=": "minimum", "<=": "maximum", ">": "exclusiveMinimum", "<": "exclusiveMaximum"})
_META: Final = MappingProxyType({
    "ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum", "multiple_of": "multipleOf",
    "title": "title", "description": "description", "examples": "examples",
})  # fmt: skip  # one table, as it is read
_LENGTHS: Final = MappingProxyType({"text": "Length", "base64": "Length", "array": "Items", "object": "Properties"})


_TYPES: Final = MappingProxyType({"text": "string", "array": "array", "object": "object", "number": "number"})


def add(schema: Schema, keywords: Mapping[str, Any]) -> None:
    """Add `keywords` to a schema in place; if it has one of them already, both apply."""
    if schema.keys() & keywords.keys():
        schema.setdefault("allOf", []).append(dict(keywords))
    else:
        schema.update(keywords)


def meta_keywords(meta: msgspec.Meta, node: Node) -> Iterator[Schema]:
    """Yield the keywords of a constraint in `Annotated`, which applies to the wire form."""
    found = {word: getattr(meta, name) for name, word in _META.items() if getattr(meta, name) is not None}
    if meta.pattern is not None:
        found |= _pattern(re.compile(meta.pattern), start=False, end=False)
    yield found
    shapes = _shapes(node, of_wire=True)
    for bound, length in (("min", meta.min_length), ("max", meta.max_length)):
        if length is not None:
            yield _length(bound, length, shapes)
    yield meta.extra_json_schema or {}


def keywords_of(validator: Validator, node: Node) -> Iterable[Schema]:
    """Return the keywords of a validator of attrs; no keywords for a user's own function, which only Python can run.

    Args:
        validator: the argument of `field(validator=...)`, or None.
        node: the wire type of the field.
    """
    translate = _TRANSLATIONS.get(type(validator))
    return () if translate is None else translate(validator, node)


def _optional(validator: Validator, node: Node) -> Iterator[Schema]:
    for keywords in keywords_of(validator.validator, node):
        if "enum" in keywords:
            keywords["enum"].append(None)
        yield keywords  # the other keywords don't apply to null


def _length(bound: str, length: int, shapes: AbstractSet[str]) -> Schema:
    """Return the keywords for a length; each applies only to values of its own JSON type."""
    return {
        bound + _LENGTHS[shape]: 4 * -(-length // 3) if shape == "base64" else length
        for shape in sorted(shapes & _LENGTHS.keys())
    }


def _bound(validator: Validator, node: Node) -> Iterator[Schema]:
    bound = validator.bound
    if "number" in _shapes(node) and type(bound) in (int, float) and math.isfinite(bound):
        yield {_BOUNDS[validator.compare_op]: bound}


def _matches(validator: Validator, node: Node) -> Iterator[Schema]:
    pattern, match = validator.pattern, validator.match_func
    if "text" in _shapes(node) and isinstance(pattern.pattern, str):
        yield _pattern(pattern, start=match != pattern.search, end=match == pattern.fullmatch)


def _pattern(pattern: re.Pattern[str], *, start: bool, end: bool) -> Schema:
    text = ecma_pattern(pattern, start=start, end=end)
    return {} if text is None else {"pattern": text}


def _in(validator: Validator, node: Node) -> Iterator[Schema]:
    options = options_of(validator)
    if isinstance(options, range) and "number" in _shapes(node):
        yield _range(options, node)
    elif isinstance(options, Collection) and not isinstance(options, str | bytes | range):
        if any(map(holds_secret, options)):
            return
        found = [wire for option in options if (wire := node.write(option, "$", Problems())) is not MISSING]
        if found:
            yield {"enum": sorted(found, key=msgspec.json.encode) if isinstance(options, AbstractSet) else found}


def _range(options: range, node: Node) -> Schema:
    """Return the keywords for the numbers of a range.

    For a long range whose start isn't a multiple of its step, these are only the bounds.
    """
    if not options:
        return {"not": {}}
    numbers = options if options.step > 0 else options[::-1]
    bounds = {"minimum": numbers[0], "maximum": numbers[-1]}
    if numbers.step == 1 and all(one.wire is int for one in _members(node)):
        return bounds
    if numbers[0] % numbers.step == 0:
        return {**bounds, "multipleOf": numbers.step}
    return {"enum": list(numbers)} if len(numbers) <= _MOST_LISTED else bounds


def _any(validator: Validator, node: Node) -> Iterator[Schema]:
    """Yield the alternatives; no keywords if only Python can run one of them, since it may accept anything."""
    alternatives = [_all(one, node) for one in validator.validators]
    if all(alternatives):
        yield {"anyOf": alternatives}


def _not(validator: Validator, node: Node) -> Iterator[Schema]:
    """Yield the opposite of keywords that are exact: the opposite of wider ones would refuse valid values."""
    inner, types = validator.validator, [_TYPES.get(shape) for shape in sorted(_shapes(node))]
    if type(inner) not in _EXACT or "base64" in _shapes(node):
        return
    if keywords := _all(inner, node):  # keywords such as `minLength` accept every value of another type: name the type
        yield {"not": keywords if "enum" in keywords else {"type": [one for one in types if one], **keywords}}


def _all(validator: Validator, node: Node) -> Schema:
    made: Schema = {}
    for keywords in keywords_of(validator, node):
        add(made, keywords)
    return made


def _each(validator: Validator, node: Node) -> Iterator[Schema]:
    yield from keywords_of(validator.iterable_validator, node)
    for array in _members(node):
        if isinstance(array, VariadicTupleNode | FrozensetNode):
            for keywords in keywords_of(validator.member_validator, array.item):
                yield {"items": keywords}


_TRANSLATIONS: Final[Mapping[type, Callable[[Validator, Node], Iterable[Schema]]]] = MappingProxyType(
    {
        AND: lambda both, node: chain.from_iterable(keywords_of(one, node) for one in parts_of(both)),
        OPTIONAL: _optional,
        MIN_LENGTH: lambda least, node: [_length("min", least.min_length, _shapes(node))],
        MAX_LENGTH: lambda most, node: [_length("max", most.max_length, _shapes(node))],
        NUMBER: _bound,
        PATTERN: _matches,
        OPTIONS: _in,
        EACH: _each,
        ANY: _any,
        NOT: _not,
    }
)
"""The translations by the class of the validator, for attrs' own."""


def _members(node: Node, *, of_wire: bool = False) -> tuple[Node, ...]:
    """Return the alternatives for a value: the nodes inside unions, constraints and (on the wire) value objects."""
    if isinstance(node, ConstrainedNode) or (of_wire and isinstance(node, ValueObjectNode)):
        return _members(node.inner, of_wire=of_wire)
    if isinstance(node, UnionNode):
        return tuple(part for member in node.nodes for part in _members(member, of_wire=of_wire))
    return (node,)


def _shapes(node: Node, *, of_wire: bool = False) -> set[str]:
    """Return the quantities that constraints on the values can apply to, such as the length of a text or an array."""
    return {"text" if of_wire and one.wire is str else one.measured for one in _members(node, of_wire=of_wire)}
