"""JsonValue as the type of a field: any JSON, read-only; messages, states, converters, schemas and strategies alike."""

import json
import pickle
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, NewType

import pytest
from attrs import evolve, field, frozen
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError
from returns.result import Success

from domainkit import (
    AggregateRoot,
    DomainEvent,
    InmemoryCrudRepository,
    InvalidMessage,
    InvalidValueObject,
    JsonValue,
    Limits,
    MessageCodec,
    UnsupportedTypeError,
    ValueObject,
    make_converter,
    parse,
)
from domainkit.conversion.definitions import Definitions
from domainkit.conversion.derive import node_to_parse
from domainkit.formats import message_schema
from domainkit.states import state_form
from domainkit.testing.strategies import instances


class Payload(ValueObject[JsonValue]): ...


class Labels(ValueObject[Mapping[str, JsonValue]]): ...


NOTHING = Payload(None)


@frozen
class Line:
    extra: JsonValue = None


@frozen
class HookCalled(DomainEvent):
    body: JsonValue
    headers: Mapping[str, JsonValue] = field(factory=dict)
    payload: Payload = NOTHING
    labels: Labels | None = None
    maybe: JsonValue | None = None
    lines: tuple[Line, ...] = ()


@frozen
class Hook(AggregateRoot):
    body: JsonValue
    settings: Mapping[str, JsonValue]


CODEC = MessageCodec(HookCalled)
KEYS = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEYS
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=10)
HOSTILE: dict[str, Any] = {
    "NaN": float("nan"),
    "infinite": float("inf"),
    "too long an int": 10**4300,
    "a lone surrogate": "\ud800",
    "a key that is no text": {5: 1},
    "a lone surrogate in a key": {"\udfff": 1},
    "a date": date(2021, 12, 28),
    "a set": {1},
    "bytes": b"a",
    "an object": object(),
}
hostile = pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
places = pytest.mark.parametrize("place", [lambda one: one, lambda one: {"a": [0, one]}], ids=["alone", "inside"])


def plain(value: object) -> object:
    """Return a JSON value with lists and dicts, and every number of its own class."""
    return json.loads(json.dumps(value))


@given(JSON, st.dictionaries(KEYS, JSON))
def test_any_json_comes_back_as_it_is(body: JsonValue, headers: Mapping[str, JsonValue]) -> None:
    """JSON values survive the way through bytes and builtins, on the fast path and on the one that explains."""
    event = HookCalled(body, headers, Payload(body), Labels(headers), lines=(Line(event_of(body).body),))
    raw = CODEC.encode(event)
    assert Success(event) == CODEC.decode(raw) == CODEC.decode_dict(event.dict())
    assert (repr(plain(body)), plain(headers)) == (repr(plain(event.dict()["data"]["attributes"]["body"])), headers)
    explained = raw.replace(b'"attributes":{"body":', b'"attributes":{"more":0,"body":')
    assert explained != raw
    assert repr(event) == repr(CODEC.decode(explained).unwrap())
    assert repr(event) == repr(CODEC.decode(raw).unwrap())


def event_of(body: JsonValue) -> HookCalled:
    """Return an event that has a body alone."""
    return HookCalled(body)


@pytest.mark.parametrize("make", [event_of, lambda value: event_of(None).from_json(event_of(value).json())])
def test_what_a_field_holds_can_not_change(make: Callable[[JsonValue], HookCalled]) -> None:
    """A list is a tuple and a dict refuses changes, at every depth, made or read; the message can be hashed."""
    given: dict[str, JsonValue] = {"a": [{"b": [1]}]}
    event = make(given)
    assert {"a": ({"b": (1,)},)} == event.body
    given["a"] = 2
    assert {"a": ({"b": (1,)},)} == event.body
    with pytest.raises(TypeError, match="read-only"):
        event.body["a"] = 2  # type: ignore[index]  # what a dict would allow
    assert {event} == {pickle.loads(pickle.dumps(event))} == {evolve(event)}


@hostile
@places
def test_what_json_can_not_carry_is_not_written(place: Callable[[object], JsonValue], value: Any) -> None:
    """A codec, a converter and a state refuse it alike, and name the place without the value."""
    with pytest.raises(InvalidMessage) as refused:
        CODEC.encode(HookCalled(place(value)))
    for path in (".body", ".headers[0]", ".lines[0].extra"):
        bad = {"body": HookCalled(place(value)), "headers": HookCalled(None, {"k": place(value)})}
        event = bad.get(path[1:].partition("[")[0], HookCalled(None, lines=(Line(place(value)),)))
        with pytest.raises(InvalidMessage) as refused:
            event.json()
        assert all(one.path.startswith(f"$.data.attributes{path}") for one in refused.value.problems)
    with pytest.raises(ValueError, match="expected"):
        make_converter().unstructure(Line(place(value)))
    hook = Hook(place(value), {})
    for converter in (None, make_converter()):
        with pytest.raises(ValueError, match=r"Hook: expected a state that can be read back.*\$\.body"):
            state_form(Hook, converter).write(hook)


@hostile
@places
def test_what_json_can_not_carry_is_not_read(place: Callable[[object], JsonValue], value: Any) -> None:
    """Builtins with it are refused by a codec, a converter and parse; a value object of it can't be made."""
    wire: Any = HookCalled(None).dict()
    wire["data"]["attributes"]["body"] = place(value)
    (problem,) = CODEC.decode_dict(wire).failure().problems
    assert problem.path.startswith("$.data.attributes.body")
    with pytest.raises(Exception, match="While structuring Line"):
        make_converter().structure({"extra": place(value)}, Line)
    assert parse(Line, {"extra": place(value)}).failure().additional_info
    with pytest.raises(InvalidValueObject, match="Payload"):
        Payload(place(value))
    with pytest.raises(InvalidValueObject, match="Labels"):
        Labels({"k": place(value)})


def test_each_problem_inside_of_json_is_named() -> None:
    """A body with several of them is explained as the rest of a message is: every place, up to the limit."""
    with pytest.raises(InvalidMessage) as refused:
        CODEC.encode(HookCalled({"a": [float("nan"), 1, "\ud800"], "b": {5: 1}}))  # type: ignore[dict-item]  # refused
    assert ["body[0][0]", "body[0][2]", "body[1][key 0]"] == [
        problem.path.removeprefix("$.data.attributes.") for problem in refused.value.problems
    ]


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1" * 4301, '"\\ud800"', '{"\\udfff": 1}', "[1,]"])
def test_bytes_that_are_no_json_are_refused(text: str) -> None:
    """JSON that a parser would have to guess at is refused in a field of JSON, with the whole message."""
    raw = HookCalled(None).json().replace('"body":null', f'"body":{text}')
    assert CODEC.decode(raw).failure().problems


def test_the_depth_is_limited_both_ways() -> None:
    """The levels of a field count as those of a message: what is deeper is neither read nor written."""
    codec = MessageCodec(HookCalled, limits=Limits(max_depth=6))
    deep: JsonValue = 0
    for _ in range(3):
        deep = [deep]
    assert Success(HookCalled) == codec.decode(codec.encode(HookCalled(deep))).map(type)
    with pytest.raises(InvalidMessage, match="at most 6 levels"):
        codec.encode(HookCalled([deep]))
    too_deep = CODEC.encode(HookCalled([deep]))
    for answer in (codec.decode(too_deep), codec.decode_dict(json.loads(too_deep))):
        assert ["$: expected at most 6 levels of nesting (limit)"] == list(map(str, answer.failure().problems))


def test_what_holds_itself_is_refused() -> None:
    """A body without an end is a TypeError where it is given, and a problem where it is read."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="contains itself"):
        HookCalled(endless)
    with pytest.raises(InvalidMessage, match="fewer"):
        CODEC.encode(HookCalled(None, lines=(Line(endless),)))
    wire: Any = HookCalled(None).dict()
    wire["data"]["attributes"]["body"] = endless
    assert "limit" == CODEC.decode_dict(wire).failure().problems[0].code


@given(JSON)
def test_an_aggregate_is_stored_with_it(body: JsonValue) -> None:
    """States hold JSON fields: in memory and as text, and they come back equal and read-only."""
    hook = Hook(body, {"k": body})
    form = state_form(Hook, None)
    assert hook == form.read(form.write(hook), hook.aggregate_id, 1)
    repository: InmemoryCrudRepository[Hook] = InmemoryCrudRepository()
    repository.save(hook).unwrap()
    assert Success(hook) == repository.retrieve(hook.aggregate_id)


@given(JSON)
def test_a_converter_takes_it(body: JsonValue) -> None:
    """Cattrs converts the type itself, classes that have it, and JSON from any mapping, to builtins and back."""
    converter = make_converter()
    builtins = converter.unstructure(Hook(body, {"k": body}))
    assert plain(builtins["body"]) == converter.unstructure(body, JsonValue) == plain(builtins["settings"]["k"])
    read: Any = converter.structure  # its types know classes alone
    assert Hook(body, {}).body == read(plain(body), JsonValue)
    assert {"k": 1} == read(MappingProxyType({"k": 1}), JsonValue)


def test_a_list_in_a_class_of_another_kind_becomes_a_tuple() -> None:
    """An attrs class that isn't of this library keeps a list as it is given; it is written, and read as a tuple."""
    event = HookCalled(None, lines=(Line([1]),))
    assert (Line((1,)),) == HookCalled.from_json(event.json()).lines


def test_text_and_numbers_of_subclasses_are_written_plainly() -> None:
    """An instance of a subclass of str, int or float is written as what it is, as in a typed field."""

    class Name(str):
        __slots__ = ()

    assert b'"body":["a"]' in CODEC.encode(HookCalled([Name("a")]))


def test_its_schema_admits_anything() -> None:
    """JsonValue is the schema without a keyword, and a mapping of it any object; each valid message is read."""
    assert {} == node_to_parse(JsonValue).schema(Definitions("#/"))
    schema = message_schema(HookCalled)
    properties = schema["properties"]["data"]["properties"]["attributes"]["properties"]  # type: ignore[index, call-overload]  # as it is written
    assert ({}, {"type": "object", "additionalProperties": {}}) == (properties["body"], properties["headers"])  # type: ignore[index, call-overload]  # the same
    Draft202012Validator(schema).validate(HookCalled({"a": [1]}, {"b": None}, Payload([1])).dict())


@given(instances(HookCalled) | instances(Hook).map(lambda hook: HookCalled(hook.body, hook.settings)))
def test_strategies_make_it(event: HookCalled) -> None:
    """Examples of a class with such fields come back equal."""
    assert Success(event) == CODEC.decode(CODEC.encode(event))


@given(JSON)
def test_pydantic_takes_it_in_a_value_object(body: JsonValue) -> None:
    """A model validates and dumps a value object of JSON, and describes it as anything."""

    class Body(BaseModel):
        payload: Payload
        labels: Labels

    made = Body.model_validate({"payload": plain(body), "labels": {"k": plain(body)}})
    assert (Payload(body), Labels({"k": body})) == (made.payload, made.labels)
    assert {"payload": plain(body), "labels": {"k": plain(body)}} == made.model_dump(mode="json")
    assert {"title": "Payload"} == Body.model_json_schema()["properties"]["payload"]
    with pytest.raises(ValidationError, match="Labels: expected an object"):
        Body.model_validate({"payload": 1, "labels": 5})


def test_beside_another_type_it_is_refused() -> None:
    """JSON can't tell a JsonValue from a text: a union of both has no way to be read; with None it is itself."""

    @frozen
    class Odd(DomainEvent):
        body: Payload | str

    with pytest.raises(UnsupportedTypeError, match=r"Odd\.body: .* with Payload \(a JSON value\) and str"):
        MessageCodec(Odd)
    assert HookCalled(None, maybe=(1,)) != HookCalled(None)


def test_other_names_for_it_are_the_same() -> None:
    """A NewType of it, and an alias in quotes, are JSON fields as well."""
    Raw = NewType("Raw", JsonValue)  # type: ignore[valid-newtype]  # a checker takes no alias; the runtime does

    @frozen
    class Heard(DomainEvent):
        raw: Raw
        quoted: "JsonValue"

    event = Heard(Raw([1]), {"a": [2]})
    assert ((1,), {"a": (2,)}) == (event.raw, event.quoted)
    assert event == Heard.from_json(event.json())
