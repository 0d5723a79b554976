"""Constraints on a value besides its type, as keywords of JSON Schema."""

import math
import re
from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import pytest
from attrs import field, frozen
from attrs.validators import (
    and_,
    deep_iterable,
    deep_mapping,
    ge,
    gt,
    in_,
    instance_of,
    le,
    lt,
    matches_re,
    max_len,
    min_len,
    not_,
    optional,
    or_,
)
from every_kind import Sku
from jsonschema import Draft202012Validator
from msgspec import Meta
from returns.result import Success

from domainkit import DomainEvent, Message, MessageCodec, ValueObject
from domainkit.formats import message_schema

Json = Any  # what a schema or a message holds: the tests index into it


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


def event_class(hint: object, validator: object = None) -> type[Message]:
    """Return an event with one field `it` of the type `hint`."""
    body = {"__annotations__": {"it": hint}, "__module__": __name__, "it": field(validator=validator)}  # type: ignore[call-overload]  # chosen by the tests
    return frozen(type("Event", (DomainEvent,), body))


def schema_of(hint: object, validator: object = None) -> Json:
    """Return the schema of a field."""
    schema: Json = message_schema(event_class(hint, validator))
    Draft202012Validator.check_schema(schema)
    return schema["properties"]["data"]["properties"]["attributes"]["properties"]["it"]


@pytest.mark.parametrize(
    ("expected", "hint", "validator"),
    [
        ({"type": "string", "minLength": 2}, str, min_len(2)),
        ({"type": "string", "maxLength": 2}, str, max_len(2)),
        ({"type": "string", "minLength": 1, "maxLength": 2}, str, [min_len(1), max_len(2)]),
        ({"type": "string", "minLength": 1, "maxLength": 2}, str, and_(min_len(1), and_(max_len(2)))),
        ({"type": "string", "pattern": r"^a+$(?!\n)"}, str, matches_re("a+")),
        ({"type": "string", "pattern": "^a+"}, str, matches_re("a+", func=re.match)),
        ({"type": "string", "pattern": "a+"}, str, matches_re("a+", func=re.search)),
        ({"type": "string"}, str, matches_re("(?i)a+")),
        ({"type": "string", "enum": ["a", "b"]}, str, in_({"b", "a"})),
        ({"type": "string", "enum": ["b", "a"]}, str, in_(("b", "a"))),
        ({"type": "string"}, str, in_("abc")),
        ({"type": "integer", "minimum": 1}, int, ge(1)),
        ({"type": "integer", "maximum": 9}, int, le(9)),
        ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 9}, int, [gt(1), lt(9)]),
        ({"type": "integer", "minimum": 1, "maximum": 4}, int, in_(range(1, 5))),
        ({"type": "integer", "enum": [1, 8, 15, 22, 29, 36, 43]}, int, in_(range(1, 50, 7))),
        ({"type": "integer", "minimum": 1, "maximum": 7001}, int, in_(range(1, 7002, 7))),
        ({"type": "integer", "minimum": 0, "maximum": 45, "multipleOf": 5}, int, in_(range(0, 50, 5))),
        ({"type": "integer", "minimum": 4, "maximum": 10, "multipleOf": 2}, int, in_(range(10, 2, -2))),
        ({"type": "integer", "not": {}}, int, in_(range(0))),
        ({"type": "number", "minimum": 1, "maximum": 4, "multipleOf": 1}, float, in_(range(1, 5))),
        ({"type": "integer", "anyOf": [{"maximum": 0}, {"minimum": 5, "maximum": 9}]}, int,
            or_(le(0), and_(ge(5), le(9)))),
        ({"type": "string", "anyOf": [{"minLength": 1}, {"maxLength": 2}]}, str, or_(min_len(1), max_len(2))),
        ({"type": "string", "not": {"type": ["string"], "minLength": 1}}, str, not_(min_len(1))),
        ({"type": "string", "not": {"enum": ["a"]}}, str, not_(in_(["a"]))),
        ({"type": "integer", "minimum": 1, "allOf": [{"minimum": 3}]}, int, [ge(1), ge(3)]),
        ({"type": "number", "minimum": 0.5}, float, ge(0.5)),
        ({"type": "number"}, float, le(math.inf)),
        ({"type": "number"}, float, ge(Decimal("0.1"))),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1}, tuple[int, ...], min_len(1)),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 3},
            Mapping[str, int],
            max_len(3),
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "minLength": 1},
            str | None,
            optional(min_len(1)),
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "enum": ["a", None]},
            str | None,
            optional(in_(["a"])),
        ),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "allOf": [{"items": {"minLength": 2}}]},
            tuple[str, ...],
            deep_iterable(min_len(2), iterable_validator=min_len(1)),
        ),
        (
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "allOf": [{"items": {"minLength": 2}}]},
            frozenset[str],
            deep_iterable(min_len(2)),
        ),
        (
            {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "items": {"minLength": 2}},
            tuple[str, ...] | None,
            optional(deep_iterable(min_len(2))),
        ),
    ],
)  # fmt: skip  # one table, as it is read
def test_validators_of_attrs_become_keywords(expected: Json, hint: object, validator: object) -> None:
    """Lengths, bounds, patterns and options are in the schema: alone, together, optional, and for each item."""
    assert expected == schema_of(hint, validator)


@pytest.mark.parametrize(
    ("hint", "validator"),
    [
        (str, instance_of(str)),
        (str, lambda instance, attribute, value: None),
        (str, or_(min_len(1), instance_of(str))),
        (str, not_(instance_of(int))),
        (str, not_(and_(min_len(1), instance_of(str)))),
        (str, not_(matches_re("a"))),
        (bytes, not_(max_len(1))),
        (Decimal, not_(ge(0))),
        (Mapping[str, int], deep_mapping(min_len(1), ge(1))),
        (int, in_([])),
        (int, not_(in_([]))),
        (bool, ge(0)),
        (Decimal, ge(0)),
        (Decimal, min_len(0)),
        (time, ge(time(1))),
        (bytes, matches_re(b"a")),
        (int, min_len(1)),
    ],
)
def test_what_a_schema_cannot_say_is_left_out(hint: object, validator: object) -> None:
    """A validator of another kind, or about a value that is text on the wire, changes nothing."""
    assert schema_of(hint) == schema_of(hint, validator)


def test_lengths_of_bytes_are_those_of_their_base64() -> None:
    """Four signs stand for up to three bytes."""
    assert {"minLength": 4, "maxLength": 8} == {
        key: schema_of(bytes, [min_len(1), max_len(4)])[key] for key in ("minLength", "maxLength")
    }


def test_options_are_written_as_they_are_on_the_wire() -> None:
    """in_ of members of an enum, or of value objects, lists what stands for them."""
    assert ["red"] == schema_of(Colour, in_([Colour.RED]))["enum"]
    assert ["red", "blue"] == schema_of(Colour, in_(list(Colour)))["enum"]
    assert ["a"] == schema_of(Sku, in_([Sku("a")]))["enum"]
    assert ["a"] == schema_of(str, in_(["a", 1, None]))["enum"]


@pytest.mark.parametrize(
    ("expected", "hint"),
    [
        ({"type": "integer", "minimum": 0, "maximum": 9}, Annotated[int, Meta(ge=0, le=9)]),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 9}, Annotated[float, Meta(gt=0, lt=9)]),
        ({"type": "integer", "multipleOf": 3}, Annotated[int, Meta(multiple_of=3)]),
        (
            {"type": "integer", "minimum": 0, "multipleOf": 3},
            Annotated[Annotated[int, Meta(ge=0)], Meta(multiple_of=3)],
        ),
        ({"type": "string", "pattern": "^a"}, Annotated[str, Meta(pattern="^a")]),
        ({"type": "string", "minLength": 1, "maxLength": 3}, Annotated[str, Meta(min_length=1, max_length=3)]),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, Annotated[tuple[str, ...], Meta(min_length=1)]),
        (
            {"type": "integer", "title": "T", "description": "D", "examples": [1], "deprecated": True},
            Annotated[int, Meta(title="T", description="D", examples=[1], extra_json_schema={"deprecated": True})],
        ),
    ],
)
def test_constraints_in_annotated_become_keywords(expected: Json, hint: object) -> None:
    """msgspec.Meta is in the schema, with its texts and its extra keywords."""
    assert expected == schema_of(hint)


def test_constraints_in_annotated_are_about_the_wire() -> None:
    """On a value object or a Decimal they ask for what stands in the JSON."""
    assert "Sku" == schema_of(Annotated[Sku, Meta(max_length=3)])["$ref"].removeprefix("#/$defs/")
    assert 3 == schema_of(Annotated[Sku, Meta(max_length=3)])["maxLength"]
    assert 3 == schema_of(Annotated[Decimal, Meta(max_length=3)])["maxLength"]
    assert 8 == schema_of(Annotated[bytes, Meta(min_length=4)])["minLength"]


@frozen
class Code(ValueObject[str]):
    value: str = field(validator=and_(min_len(2), matches_re("[a-z]+")))


@frozen
class CodeUsed(DomainEvent):
    code: Code = field(validator=in_([Code("ab"), Code("cd")]))
    count: int = field(default=3, validator=and_(ge(1), le(5)))
    name: str = field(default="ab", validator=max_len(2))
    other: Code = Code("ab")


@pytest.mark.parametrize(
    ("key", "value"),
    [("code", "a"), ("code", "AB"), ("code", "ef"), ("count", 0), ("count", 6), ("count", "3"), ("name", "abc"),
     ("other", "ab\n")],
)  # fmt: skip  # one list
def test_what_the_validators_refuse_the_schema_refuses(key: str, value: object) -> None:
    """A value beyond what a validator admits is refused by the codec and by the schema."""
    wire: Json = CodeUsed(Code("ab")).dict()
    validator = Draft202012Validator(message_schema(CodeUsed))
    assert validator.is_valid(wire)

    wire["data"]["attributes"][key] = value

    assert not validator.is_valid(wire)
    assert not isinstance(MessageCodec(CodeUsed).decode_dict(wire), Success)
