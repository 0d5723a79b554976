"""JSON Schema of messages: what it says, that it fits what is written, and that it refuses what decoding refuses."""

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, Literal
from uuid import UUID

import every_kind
import pytest
from attrs import field, frozen
from attrs.validators import and_, deep_iterable, ge, in_, le, max_len, min_len, not_, optional, or_
from every_kind import EveryKind, Maker, OrderId, Plain, Quantity
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from returns.result import Failure, Success
from sizes import at_full

from domainkit import (
    Command,
    DomainEvent,
    InvalidMessage,
    Message,
    MessageCodec,
    MessageHeader,
    UnsupportedTypeError,
    ValueObject,
    make_converter,
)
from domainkit.conversion.nodes import Node
from domainkit.conversion.wrappers import DynamicNode, KeptNode
from domainkit.formats import JsonSchema, codec_schema, message_schema

Json = Any  # what a schema or a message holds: the tests index into it


def validator_of(schema: JsonSchema) -> Draft202012Validator:
    """Return what checks JSON against a schema, formats too; the schema itself is checked first."""
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def attributes_of(cls: type[Message]) -> Json:
    """Return the schema of the attributes of a message class."""
    schema: Json = message_schema(cls)
    return schema["properties"]["data"]["properties"]["attributes"]


@frozen
class TaskCreated(DomainEvent):
    """A task was written down.

    It is not begun yet.
    """

    title: str
    urgent: bool = False

    class Config:
        version = 3


@frozen
class CreateTask(Command):
    title: str


def test_a_schema_describes_the_whole_envelope() -> None:
    """Name, kind and version are constants; what decoding requires is required."""
    schema: Json = message_schema(TaskCreated)

    data = schema["properties"]["data"]
    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]
    assert ("TaskCreated", "A task was written down.") == (schema["title"], schema["description"])
    assert ["data"] == schema["required"]
    assert {"const": "task.created"} == data["properties"]["type"]
    assert {"const": "domain_event"} == data["properties"]["type_message"]
    assert {"const": 3} == data["properties"]["version"]
    assert ["id", "type", "type_message", "version", "occurred_on", "attributes"] == data["required"]
    assert {
        "type": "object",
        "properties": {"title": {"type": "string"}, "urgent": {"type": "boolean", "default": False}},
        "required": ["title"],
    } == data["properties"]["attributes"]


def test_attributes_are_required_only_where_one_of_them_is() -> None:
    """A message whose fields all have defaults may come without attributes, as it is read."""

    class Pinged(DomainEvent): ...

    wire: Json = Pinged().dict()
    del wire["data"]["attributes"], wire["data"]["meta"]

    assert validator_of(message_schema(Pinged)).is_valid(wire)
    assert Success(Pinged) == MessageCodec(Pinged).decode_dict(wire).map(type)


def test_a_codec_has_one_schema_for_all_its_messages() -> None:
    """Each message is one of the definitions, found by its name, kind and version; they share what they hold."""

    @frozen
    class OrderPlaced(DomainEvent):
        order_id: OrderId

    @frozen
    class PlaceOrder(Command):
        order_id: OrderId

    codec = MessageCodec(OrderPlaced, PlaceOrder, TaskCreated)
    schema: Json = codec_schema(codec)
    validator = validator_of(schema)

    assert ["OrderPlaced", "PlaceOrder", "TaskCreated"] == [one["$ref"].split("/")[-1] for one in schema["oneOf"]]
    assert {"OrderPlaced", "OrderId", "PlaceOrder", "TaskCreated"} == schema["$defs"].keys()
    for message in (OrderPlaced(OrderId.v4()), PlaceOrder(OrderId.v4()), TaskCreated("a")):
        assert validator.is_valid(json.loads(codec.encode(message)))
    assert not validator.is_valid(json.loads(MessageCodec(CreateTask).encode(CreateTask("a"))))


def test_the_same_codec_gives_the_same_schema() -> None:
    """A schema can be kept under version control: it changes only when the messages do."""
    first = json.dumps(codec_schema(MessageCodec(EveryKind, Plain)))

    assert first == json.dumps(codec_schema(MessageCodec(EveryKind, Plain)))


def model(name: str, *bases: type, **hints: type) -> type[Any]:
    """Return an attrs class with these fields."""
    return frozen(type(name, bases, {"__annotations__": hints, "__module__": __name__}))


def test_classes_of_one_name_do_not_clash() -> None:
    """Two classes called alike have definitions of their own, told apart by module, or by number."""

    class Title(ValueObject[str]): ...

    first, second = model("Box", it=int), model("Box", it=str)
    named = model("Named", DomainEvent, mine=Title, other=every_kind.Title, first=first, second=second)
    message: Json = named(Title("a"), every_kind.Title("b"), first(1), second("x")).dict()
    schema: Json = message_schema(named)
    validator = validator_of(schema)

    assert {
        "every_kind.Title",
        f"{__name__}.test_classes_of_one_name_do_not_clash._locals_.Title",
        f"{__name__}.Box",
        f"{__name__}.Box_2",
    } == schema["$defs"].keys()
    assert validator.is_valid(message)
    message["data"]["attributes"] |= {"first": {"it": "x"}}
    assert not validator.is_valid(message)


def test_one_class_in_many_places_has_one_definition() -> None:
    """The definition is found again, whatever message holds the class."""
    schema: Json = codec_schema(MessageCodec(EveryKind, Plain))

    names = Counter(name.rstrip("_0123456789") for name in schema["$defs"])
    assert Counter(names.keys()) == names


def test_every_wire_type_has_a_schema_and_samples() -> None:
    """No kind of node is forgotten: each that others aren't made of says both."""

    def kinds(cls: type[Node]) -> Iterator[type[Node]]:
        for kind in cls.__subclasses__():
            yield from kinds(kind) if kind.__subclasses__() else [kind]

    made = set(kinds(Node)) - {DynamicNode, KeptNode}  # what converters alone have
    assert len(made) > 10
    for kind in made:
        assert kind.schema is not Node.schema, kind
        assert kind.samples is not Node.samples, kind


def test_a_type_with_a_hook_of_its_own_may_be_anything() -> None:
    """Only a user's own hook knows its input: the schema gives the name, and sets no constraint."""

    @frozen
    class Point:
        x: int
        y: int

    @frozen
    class Moved(DomainEvent):
        to: Point

    converter = make_converter()
    converter.register_structure_hook(Point, lambda text, _: Point(*map(int, text.split(","))))
    converter.register_unstructure_hook(Point, lambda point: f"{point.x},{point.y}")
    codec = MessageCodec(Moved, converter=converter)
    schema: Json = codec_schema(codec)

    attributes = schema["$defs"]["Moved"]["properties"]["data"]["properties"]["attributes"]
    assert {"title": "Point"} == attributes["properties"]["to"]
    assert validator_of(schema).is_valid(json.loads(codec.encode(Moved(Point(1, 2)))))


def test_a_codec_that_forbids_unknown_keys_says_so() -> None:
    """With forbid_unknown, a key more is refused at every depth, by the codec and by the schema."""
    codec = MessageCodec(EveryKind, forbid_unknown=True)
    validator = validator_of(codec_schema(codec))
    message = Maker(3).message()
    for path in (
        (),
        ("data",),
        ("data", "attributes"),
        ("data", "attributes", "tree"),
        ("data", "attributes", "payment"),
    ):
        wire: Json = json.loads(codec.encode(message))
        assert validator.is_valid(wire)
        inner = wire
        for key in path:
            inner = inner[key]
        inner["extra"] = 1
        assert not validator.is_valid(wire)
        assert isinstance(codec.decode(json.dumps(wire)), Failure)


def test_a_class_that_cannot_be_carried_is_refused() -> None:
    """There is no schema of a message that has no wire form: the error is that of the codec."""

    @frozen
    class Odd(DomainEvent):
        it: complex

    with pytest.raises(UnsupportedTypeError, match=r"Odd\.it"):
        message_schema(Odd)


def stripped(text: str) -> str:
    """Return the text without blanks around it."""
    return text.strip()


class Number(IntEnum):
    ONE = 1
    TWO = 2


class Word(Enum):
    YES = "yes"


@frozen
class Keyed(DomainEvent):
    by_number: Mapping[int, str]
    by_quantity: Mapping[Quantity, str]
    by_literal: Mapping[Literal[1, 2], str]
    by_enum: Mapping[Number, str]
    by_word: Mapping[Word, str]
    by_day: Mapping[date, str]
    only: Literal["x"]
    made: tuple[str, ...] = field(factory=tuple)
    stripped: str = field(default=" ", converter=stripped)


KEYED = Keyed(
    {1: "a"}, {Quantity(1): "b"}, {2: "b"}, {Number.ONE: "c"}, {Word.YES: "d"}, {date(2021, 12, 28): "e"}, "x"
)


def test_keys_have_a_schema_of_their_own() -> None:
    """Keys are text in JSON: those that stand for integers, enums or dates are checked as such."""
    properties = attributes_of(Keyed)["properties"]

    for name in ("by_number", "by_quantity"):
        assert {"pattern": r"^(?:0|-?[1-9][0-9]*)$(?!\n)"} == properties[name]["propertyNames"]
    assert {"enum": ["1", "2"]} == properties["by_literal"]["propertyNames"] == properties["by_enum"]["propertyNames"]
    assert {"$ref": "#/$defs/Word"} == properties["by_word"]["propertyNames"]
    assert "date" == properties["by_day"]["propertyNames"]["format"]
    assert validator_of(message_schema(Keyed)).is_valid(json.loads(KEYED.json()))


@pytest.mark.parametrize(
    ("field_name", "key"),
    [
        ("by_number", "01"),
        ("by_number", "x"),
        ("by_literal", "3"),
        ("by_enum", "x"),
        ("by_word", "no"),
        ("by_day", "1"),
    ],
)
def test_wrong_keys_are_refused(field_name: str, key: str) -> None:
    """A key that decoding refuses is refused by the schema."""
    wire: Json = json.loads(KEYED.json())
    wire["data"]["attributes"][field_name] = {key: "a"}

    assert not validator_of(message_schema(Keyed)).is_valid(wire)
    assert isinstance(MessageCodec(Keyed).decode_dict(wire), Failure)


def test_defaults_are_in_the_schema_where_they_are_values() -> None:
    """A default that is made anew each time, or that a converter changes, is not written down."""
    properties = attributes_of(Keyed)["properties"]

    assert {"const": "x"} == properties["only"]
    assert "default" not in properties["made"]
    assert "default" not in properties["stripped"]
    assert 7 == attributes_of(EveryKind)["properties"]["defaulted"]["default"]


@frozen
class Leaves(DomainEvent):
    uuid: UUID
    raw: bytes
    day: date
    moment: datetime
    at: time
    span: timedelta
    amount: Decimal


@given(
    st.builds(
        Leaves,
        uuid=st.uuids(),
        raw=st.binary(max_size=9),
        day=st.dates(),
        moment=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))])),
        at=st.times(),
        span=st.timedeltas(),
        amount=st.decimals(allow_nan=False, allow_infinity=False)
        | st.sampled_from(["1E+1000000000", "-1.5E-999999999999999999", "0E+9999999999"]).map(Decimal),
        header=st.builds(MessageHeader),
    )
)
def test_all_that_is_written_as_text_fits_its_pattern(message: Leaves) -> None:
    """Whatever a message holds, the text that is written for it is what the schema describes."""
    codec = MessageCodec(Leaves)
    wire = json.loads(codec.encode(message))

    assert [] == [error.json_path for error in LEAVES_VALIDATOR.iter_errors(wire)]
    assert Success(message) == codec.decode_dict(wire)


LEAVES_VALIDATOR = validator_of(message_schema(Leaves))


@given(st.data())
def test_text_that_fits_its_pattern_is_read(data: st.DataObject) -> None:
    """Whatever text a pattern admits, the decoder reads, but for days that no calendar has."""
    codec = MessageCodec(Leaves)
    wire: Json = Leaves(
        UUID(int=1),
        b"",
        date(2021, 1, 1),
        datetime.fromisoformat("2021-01-01T00:00:00Z"),
        time(1),
        timedelta(1),
        Decimal(1),
    ).dict()
    schema: Json = message_schema(Leaves)
    patterns = schema["properties"]["data"]["properties"]["attributes"]["properties"]
    name = data.draw(st.sampled_from(sorted(patterns)))
    text = data.draw(st.from_regex(patterns[name]["pattern"].replace("$", r"\Z")))
    wire["data"]["attributes"][name] = text

    if LEAVES_VALIDATOR.is_valid(wire) and not text.startswith(("-P999999999D", "0000")):
        assert isinstance(codec.decode_dict(wire), Success)


CODEC = MessageCodec(EveryKind, Plain)
VALIDATOR = validator_of(codec_schema(CODEC))


def test_whatever_is_written_fits_the_schema() -> None:
    """Generated messages of every field kind, encoded, are valid, as one of the codec's and on their own."""
    maker = Maker(1)
    alone = validator_of(message_schema(EveryKind))
    for _ in range(at_full(2_000)):
        wire = json.loads(CODEC.encode(maker.message()))
        assert [] == [error.json_path for error in alone.iter_errors(wire)]
        assert VALIDATOR.is_valid(wire)


WRONG: list[object] = [
    None, True, False, 0, -1, 7, 10**30, 1.5, "", "x", "7", "2021-12-28", "2021-12-28T14:11:47Z", "14:11:47", "P1D",
    "12.50", "red", [], [1], [[]], {}, {"a": 1},
]  # fmt: skip  # one list


def places(found: Json) -> list[tuple[Json, Json]]:
    """Return each container in the JSON with each of its keys."""
    keys = list(found) if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else ()
    return [(found, key) for key in keys] + [place for key in keys for place in places(found[key])]


class Mutator:
    """Changes JSON at random, a little."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def changed(self, wire: Json) -> Json:
        """Return a copy with a change or two."""
        made = copy.deepcopy(wire)
        for _ in range(self.random.randint(1, 2)):
            found = places(made)
            if found:
                self.change(*self.random.choice(found), made)
        return made

    def change(self, container: Json, key: Json, whole: Json) -> None:
        """Remove, replace or distort one value."""
        match self.random.randrange(5):
            case 0:
                container[key] = self.random.choice(WRONG)
            case 1:
                del container[key]
            case 2:
                other, place = self.random.choice(places(whole))
                if not isinstance(other[place], float):  # 1.0 is an integer to JSON Schema, and none to the codec
                    container[key] = copy.deepcopy(other[place])
            case _:
                container[key] = self.distorted(container[key])

    def distorted(self, value: Json) -> Json:
        """Return something near the value."""
        choose = self.random.choice
        match value:
            case str():
                start = self.random.randint(0, len(value))
                inserted = value[:start] + choose("0159aZ:-+. T=_é") + value[start + choose([0, 1, 2]) :]
                return choose([inserted, value.swapcase(), value[:-1], value + value, value.replace("-", "")])
            case list():
                return [*value, *value[:1]]
            case dict():
                return value | {"extra": 1}
            case int() | float() if not isinstance(value, bool):
                return choose([value + 1, -value, value * 3])
            case _:
                return value


def test_what_the_codec_refuses_the_schema_refuses() -> None:
    """Of thousands of messages with something changed, the schema admits none that the codec refuses.

    Of what JSON Schema has no words for, as the module's docstring lists it, these changes make one: an integer that a
    float can't hold. The other way round the reader is a little more tolerant: a UUID in capitals, a meta of null.
    """
    maker, mutator = Maker(5), Mutator(7)
    outcomes: Counter[tuple[bool, bool]] = Counter()
    for _ in range(at_full(6_000)):
        wire = mutator.changed(json.loads(CODEC.encode(maker.message())))
        read = CODEC.decode(json.dumps(wire))
        valid = VALIDATOR.is_valid(wire)
        outcomes[valid, isinstance(read, Success)] += 1
        if isinstance(read, Failure) and valid:
            assert {"a finite number that a float holds exactly"} == {one.expected for one in read.failure().problems}

    assert outcomes[False, False] > outcomes[False, True]
    assert outcomes[True, True] > 0


UUID_TEXT = "3a4d78aa-6870-41cb-aa14-964831511d86"


@pytest.mark.parametrize(
    ("hint", "written", "also"),
    [
        (UUID, [UUID_TEXT], [UUID_TEXT.upper(), UUID_TEXT.replace("-", "")]),
        (
            datetime,
            ["2021-12-28T14:11:47Z", "2021-12-28T14:11:47.5+02:00"],
            ["2021-12-28t14:11:47z", "2021-12-28 14:11:47Z", "2021-12-28T14:11:47+0200"],
        ),
        (time, ["14:11:47", "14:11:47Z"], ["14:11:47z"]),
        (timedelta, ["P1D", "PT1.5S"], ["PT1H", "P1DT1H", "-PT1H", "+PT1H", "pt1h"]),
        (Decimal, ["1.5", "-1", "1E+5"], ["1E5", "1e5", "+1"]),
    ],
)
def test_what_is_read_beyond_the_schema_is_listed(hint: object, written: list[str], also: list[str]) -> None:
    """Forms that the page lists are read, and not admitted; with a line end behind them nothing is read or admitted."""
    cls: Any = field_of(hint)
    validator = validator_of(message_schema(cls))
    for text in (*written, *also):
        found, more = of_field(cls, text), of_field(cls, f"{text}\n")
        assert (True, text in written) == (isinstance(cls.from_dict(found), DomainEvent), validator.is_valid(found))
        assert not validator.is_valid(more)
        with pytest.raises(InvalidMessage):
            cls.from_dict(more)


@pytest.mark.parametrize(
    ("hint", "rule"),
    [
        (int, in_(range(1, 50, 7))),
        (int, in_(range(0, 50, 5))),
        (int, in_(range(10, 2, -2))),
        (float, in_(range(1, 5))),
        (int, or_(le(0), and_(ge(5), le(9)))),
        (int, not_(ge(5))),
        (int | None, not_(ge(5))),
        (int | None, not_(in_([1, 2]))),
        (int | None, optional(or_(le(0), ge(5)))),
        (str, not_(min_len(3))),
        (str, or_(min_len(3), in_(["a"]))),
        (tuple[int, ...], not_(max_len(1))),
        (tuple[int, ...], deep_iterable(not_(ge(5)))),
    ],
)
def test_rules_admit_just_what_is_read(hint: object, rule: Any) -> None:
    """The schema of a field with a rule admits what is read, and nothing else; but 5.0, which is 5 to JSON Schema."""
    cls: Any = field_of(hint, rule)
    validator, outcomes = validator_of(message_schema(cls)), set[bool]()
    for value in (*range(-3, 60), 1.5, 4.999, "", "a", "aa", "aaa", "abcd", "a\n", None, [], [1], [1, 2], [5, 6]):
        found = of_field(cls, value)
        try:
            read = bool(cls.from_dict(found))
        except InvalidMessage:
            read = False
        assert read == validator.is_valid(found), value
        outcomes.add(read)
    assert {True, False} == outcomes


def field_of(hint: object, rule: Any = None) -> type[DomainEvent]:
    """Return a class of events with one field of a type."""
    body = {"__annotations__": {"it": hint}, "__module__": __name__, "it": field(validator=rule)}
    return frozen(type("Made", (DomainEvent,), body))


def of_field(cls: type[DomainEvent], value: object) -> Json:
    """Return the wire form of such an event."""
    envelope: Json = TaskCreated("a").dict()
    envelope["data"] |= {"type": cls.info().name, "version": 1, "attributes": {"it": value}}
    return envelope


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), "A7F8FB8E-6A0B-4F3E-9A55-1D6F0C2B4E11"),
        (("meta",), None),
        (("occurred_on",), "2021-12-28T14:11:47+02:00"),
    ],
)
def test_the_reader_is_more_tolerant_than_the_schema(path: tuple[str], value: object) -> None:
    """The schema describes what is written; the decoder also reads what others may write."""
    wire: Json = TaskCreated("a").dict()
    wire["data"][path[0]] = value

    assert isinstance(MessageCodec(TaskCreated).decode_dict(wire), Success)
    assert not validator_of(message_schema(TaskCreated)).is_valid(wire)
