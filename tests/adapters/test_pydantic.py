"""Value objects and ids as fields of pydantic models."""

import runpy
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import attrs
import pytest
from attrs import field, frozen
from attrs.validators import ge, max_len, min_len
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domainkit import DomainError, UnsupportedTypeError, Uuid, ValueObject, ValueObjectSerializer, make_converter

pydantic = pytest.importorskip("pydantic", reason="the extra pydantic isn't installed")
from pydantic import BaseModel, TypeAdapter, ValidationError  # noqa: E402  # after it is known to be there
from pydantic_core import PydanticSerializationError  # noqa: E402  # as above

from domainkit.adapters.pydantic import DomainType  # noqa: E402  # as above

T = TypeVar("T")


class TaskId(Uuid): ...


class UserId(Uuid): ...


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@frozen
class Title(ValueObject[str]):
    value: str = field(validator=[min_len(1), max_len(20)])


@frozen
class Quantity(ValueObject[int]):
    value: int = field(validator=ge(1))


class Price(ValueObject[Decimal]): ...


class Day(ValueObject[date]): ...


class Moment(ValueObject[datetime]): ...


class Blob(ValueObject[bytes]): ...


class Paint(ValueObject[Color]): ...


class Ratio(ValueObject[float]): ...


class Heading(ValueObject[Title]): ...


class Tags(ValueObject[tuple[Title, ...]]): ...


class Stock(ValueObject[Mapping[Title, Quantity]]): ...


class Members(ValueObject[frozenset[UserId]]): ...


class Maybe(ValueObject[int | None]): ...


class Level(Enum):
    LOW = 1
    HIGH = 2


class Size(ValueObject[Level]): ...


@frozen
class Box(ValueObject[T], Generic[T]):
    value: T


ID = "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"
SAMPLES: tuple[tuple[Any, object, object, object], ...] = (
    (TaskId, TaskId.from_str(ID), UUID(ID), ID),
    (Title, Title("Buy milk"), "Buy milk", "Buy milk"),
    (Quantity, Quantity(3), 3, 3),
    (Price, Price(Decimal("12.50")), Decimal("12.50"), "12.50"),
    (Day, Day(date(2021, 12, 28)), date(2021, 12, 28), "2021-12-28"),
    (Moment, Moment(datetime(2021, 12, 28, tzinfo=UTC)), datetime(2021, 12, 28, tzinfo=UTC), "2021-12-28T00:00:00Z"),
    (Blob, Blob(b"\xff"), b"\xff", "/w=="),
    (Paint, Paint(Color.RED), Color.RED, "red"),
    (Ratio, Ratio(0.5), 0.5, 0.5),
    (Heading, Heading(Title("a")), "a", "a"),
    (Tags, Tags((Title("a"), Title("b"))), ("a", "b"), ["a", "b"]),
    (Stock, Stock({Title("a"): Quantity(1)}), {"a": 1}, {"a": 1}),
    (Members, Members(frozenset({UserId.from_str(ID)})), frozenset({UUID(ID)}), [ID]),
    (Maybe, Maybe(None), None, None),
    (Box[int], Box(5), 5, 5),
    (Box[Title], Box(Title("a")), "a", "a"),
    (TaskId | None, None, None, None),
    (tuple[TaskId, ...], (TaskId.from_str(ID),), (UUID(ID),), [ID]),
    (dict[TaskId, Title], {TaskId.from_str(ID): Title("a")}, {UUID(ID): "a"}, {ID: "a"}),
    (UserId | Quantity, Quantity(1), 1, 1),
    (Annotated[Title, ValueObjectSerializer], Title("a"), "a", "a"),
    (Annotated[Title | None, ValueObjectSerializer], Title("a"), "a", "a"),
)
KINDS = pytest.mark.parametrize(("hint", "made", "plain", "wire"), SAMPLES, ids=[str(sample[0]) for sample in SAMPLES])


def model(hint: object) -> Any:
    """Return a model with one field of this type."""
    return pydantic.create_model("Model", it=(hint, ...))


@KINDS
def test_a_field_parses_in_every_mode(hint: object, made: object, plain: object, wire: object) -> None:
    """A field takes the object itself, and its JSON form both as builtins (as FastAPI gives them) and as JSON."""
    cls = model(hint)
    parsed = [cls(it=made), cls.model_validate({"it": wire}), cls.model_validate_json(cls(it=made).model_dump_json())]
    assert [made] * 3 == [one.it for one in parsed]
    assert {type(made)} == {type(one.it) for one in parsed}


@KINDS
def test_a_field_is_dumped_unwrapped(hint: object, made: object, plain: object, wire: object) -> None:
    """Python mode gives what is wrapped, at every depth; JSON mode its form in JSON, as the converters write it."""
    one = model(hint)(it=made)
    assert {"it": plain} == one.model_dump()
    assert type(plain) is type(one.model_dump()["it"])
    assert {"it": wire} == one.model_dump(mode="json") == make_converter().unstructure({"it": made}, dict[str, hint])  # type: ignore[valid-type]  # a type known at run time


@KINDS
@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_the_json_schema_is_that_of_what_is_wrapped(
    hint: object, made: object, plain: object, wire: object, mode: Any
) -> None:
    """The dumped form fits the JSON Schema of either mode, which refers to nothing outside."""
    schema = model(hint).model_json_schema(mode=mode)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate({"it": wire})
    assert "$ref" not in str(schema)


def test_the_json_schema_has_the_rules() -> None:
    """The JSON Schema says what the validators ask, and under which name the value is known."""
    schema = model(Title).model_json_schema()["properties"]["it"]
    assert {"type": "string", "minLength": 1, "maxLength": 20, "title": "Title"} == schema
    assert ["red", "blue"] == model(Paint).model_json_schema()["properties"]["it"]["allOf"][0]["enum"]


@pytest.mark.parametrize(
    ("hint", "data"),
    [
        (TaskId, 5),
        (TaskId, UserId.from_str(ID)),
        (TaskId, "not an id"),
        (Quantity, "3"),
        (Quantity, True),
        (Quantity, 3.0),
        (Title, b"Buy milk"),
        (Title, None),
        (Price, 12.5),
        (Price, "NaN"),
        (Day, datetime(2021, 12, 28, tzinfo=UTC)),
        (Day, 1640649600),
        (Moment, "2021-12-28T00:00:00"),
        (Paint, "green"),
        (Tags, ["a", 5]),
        (Box[int], "5"),
        (tuple[TaskId, ...], ["not an id"]),
    ],
)
def test_nothing_is_coerced(hint: object, data: object) -> None:
    """Anything but the value object, the value it wraps, or its JSON form is refused."""
    with pytest.raises(ValidationError) as caught:
        model(hint)(it=data)
    assert {"value_object"} == {problem["type"] for problem in caught.value.errors()}


def reason(hint: object, data: object) -> str:
    """Return why a field of this type refuses the data."""
    with pytest.raises(ValidationError) as caught:
        model(hint)(it=data)
    (problem,) = caught.value.errors()
    return str(problem["msg"])


def test_the_rules_of_the_value_object_hold() -> None:
    """A value that the value object refuses is refused with the text of its domain error."""
    assert "Title: Length of 'value' must be <= 20: 25" == reason(Title, "x" * 25)
    assert "TaskId: expected a UUID" == reason(TaskId, "not an id")


def problems(hint: object, data: object) -> list[tuple[object, str]]:
    """Return the place in the field, and the reason, of each problem."""
    with pytest.raises(ValidationError) as caught:
        model(hint)(it=data)
    return [(problem["loc"][1:], problem["msg"]) for problem in caught.value.errors()]


def test_every_problem_has_its_path_and_its_reason() -> None:
    """A value object of several parts has a problem for each, under its place; a key of a mapping isn't repeated."""
    assert [
        ((1,), "Tags: expected Title (str)"),
        ((2,), "Title: Length of 'value' must be >= 1: 0"),
    ] == problems(Tags, ["a", 5, ""])
    assert [((0, "[key]"), "Stock: expected Title (str)"), ((1,), "Quantity: 'value' must be >= 1")] == problems(
        Stock, {"hunter2" * 5: 1, "b": 0}
    )


class BadCard(DomainError): ...


def _check_card(_: object, __: object, number: str) -> None:
    texts: dict[str, object] = {"told": f"{number} is no card", "kept": "no card", "number": 5}
    raise BadCard(additional_info={"message": texts["kept" if number.startswith("4") else "told"]})


def _say_nothing(_: object, __: object, ___: str) -> None:
    raise BadCard


@frozen
class Card(ValueObject[str]):
    value: str = field(validator=_check_card, repr=False)


@frozen
class NamedCard(ValueObject[str, BadCard]):
    value: str = field(validator=_check_card, repr=False)


@frozen
class Mute(ValueObject[str]):
    value: str = field(validator=_say_nothing)


def test_a_reason_never_holds_the_value() -> None:
    """The message of a user's own error is shown, unless it repeats the value: then the error's name has to do."""
    assert "Card: no card" == reason(Card, "4000001234567899")
    assert "Card: a validator refused the value (BadCard)" == reason(Card, "5000001234567899")
    assert "Mute: BadCard" == reason(Mute, "5000001234567899")
    assert "NamedCard: no card" == reason(NamedCard, "4000001234567899")
    assert "NamedCard: a validator refused the value (BadCard)" == reason(NamedCard, "5000001234567899")


TITLES = TypeAdapter(Title)


@given(st.text())
def test_a_model_takes_what_the_value_object_takes(text: str) -> None:
    """A field parses a text just where `parse` does."""
    try:
        made = TITLES.validate_python(text)
    except ValidationError:
        made = None
    assert Title.parse(text).value_or(None) == made


def test_serializers_in_the_body_of_a_model() -> None:
    """`ValueObject.serializer` stands in a model's body, under any name, is no field, and gives what is wrapped."""

    class Body(BaseModel):
        title: Title
        owner: UserId | None = None
        _title = ValueObject.serializer("title")
        serialize_owner = ValueObject.serializer("owner")

    body = Body(title=Title("a"))
    assert ["title", "owner"] == list(Body.model_fields)
    assert ("a", None) == (body._title, body.serialize_owner)
    assert {"title": "a", "owner": None} == body.model_dump()


def test_serializers_in_the_body_of_an_attrs_class() -> None:
    """There, the same line is a property that gives what is wrapped, with slots too, and leads the converter."""

    @frozen
    class Page:
        title: Title
        tags: tuple[Title, ...]
        _tags = ValueObject.serializer("tags")

    page = Page(Title("a"), (Title("b"),))
    assert ("b",) == page._tags
    assert ["title", "tags"] == [attribute.name for attribute in attrs.fields(Page)]
    wrapped = make_converter(unwrap_value_objects=False)
    assert {"title": {"value": "a"}, "tags": ["b"]} == {**wrapped.unstructure(page)}


def test_a_generic_model() -> None:
    """In a generic model, a field of an open type takes instances; with its argument, the model parses."""

    class Page(BaseModel, Generic[T]):
        box: Box[T]

    assert {"box": 5} == Page[int].model_validate_json('{"box": 5}').model_dump()
    assert {"box": "a"} == Page(box=Box("a")).model_dump()
    with pytest.raises(ValidationError):
        Page.model_validate({"box": 5})
    with pytest.raises(ValidationError):
        Page[int].model_validate({"box": "5"})


def test_a_value_without_a_form_in_json() -> None:
    """A value that JSON can't carry is refused when it is dumped as JSON, and never written in another way."""
    one = model(Moment)(it=Moment(datetime(2021, 12, 28)))
    assert {"it": datetime(2021, 12, 28)} == one.model_dump()
    with pytest.raises(PydanticSerializationError, match="to write Moment as JSON"):
        one.model_dump_json()


def test_a_type_without_a_form_in_json() -> None:
    """A value object of what has no form in JSON is refused when the model is defined, by name."""

    class Opaque(ValueObject[complex]): ...

    with pytest.raises(UnsupportedTypeError, match=r"Opaque\.value: expected a type with a wire form, got complex"):
        model(Opaque)


@frozen
class Node:
    title: Title
    below: tuple["Node", ...] = ()


class Tree(ValueObject[Node]): ...


def test_a_value_object_around_an_attrs_class_that_holds_itself() -> None:
    """It parses to any depth; its JSON Schema describes the class once, since it can't refer to itself."""
    data = {"title": "a", "below": [{"title": "b", "below": []}]}
    one = model(Tree)(it=data)
    assert Tree(Node(Title("a"), (Node(Title("b")),))) == one.it
    assert {"it": data} == one.model_dump(mode="json")
    Draft202012Validator(model(Tree).model_json_schema()).validate({"it": data})


def _check_currency(_: object, __: object, currency: str) -> None:
    if len(currency) != 3:
        raise ValueError("a currency has three letters")


@frozen
class Money:
    amount: Price
    currency: str = field(default="EUR", validator=_check_currency)


@frozen
class Range:
    low: int
    high: int

    def __attrs_post_init__(self) -> None:
        if self.high < self.low:
            raise ValueError("low comes first")


MONEY = Money(Price(Decimal("12.50")))
SEVERAL = pytest.mark.parametrize(
    ("hint", "made", "wire"),
    [
        (Money, MONEY, {"amount": "12.50", "currency": "EUR"}),
        (Money | None, None, None),
        (tuple[Money, ...], (MONEY,), [{"amount": "12.50", "currency": "EUR"}]),
        (Mapping[Quantity, Money], {Quantity(3): MONEY}, {"3": {"amount": "12.50", "currency": "EUR"}}),
    ],
    ids=str,
)


@SEVERAL
def test_a_value_object_of_several_fields(hint: Any, made: object, wire: object) -> None:
    """Marked as DomainType, it is a field like any other: it goes to Python objects, builtins and JSON, and back."""
    cls = model(Annotated[hint, DomainType])
    one = cls(it=made)
    assert made == one.it
    assert {"it": wire} == one.model_dump(mode="json")
    assert [one] * 3 == [
        cls.model_validate(one.model_dump()),
        cls.model_validate({"it": wire}),
        cls.model_validate_json(one.model_dump_json()),
    ]
    Draft202012Validator(cls.model_json_schema()).validate({"it": wire})


def test_the_problems_of_a_value_object_of_several_fields() -> None:
    """Each field that is wrong has its path and its reason; a rule of all fields stands at the top."""
    money, spread = Annotated[Money, DomainType], Annotated[Range, DomainType]
    assert [
        (("amount",), 'Money: expected Price (a decimal number as text, such as "12.50")'),
        (("currency",), "Money: a currency has three letters"),
    ] == problems(money, {"amount": 12.5, "currency": "hunter2"})
    assert [((), "Money: expected Money")] == problems(money, "hunter2")
    assert [((), "Range: low comes first")] == problems(spread, {"low": 20, "high": 10})


def test_a_type_without_a_form_in_json_is_refused_by_name() -> None:
    """The mark is for what messages can carry."""
    with pytest.raises(UnsupportedTypeError, match="expected a type with a wire form, got complex"):
        model(Annotated[complex, DomainType])


@KINDS
def test_what_is_dumped_is_read_again(hint: object, made: object, plain: object, wire: object) -> None:
    """`model_validate(model_dump())` gives an equal model, also where a value object wraps others."""
    cls = model(hint)
    one = cls(it=made)
    assert one == cls.model_validate(one.model_dump())


@pytest.mark.parametrize(
    ("hint", "made"),
    [
        (dict[TaskId, int], {TaskId.from_str(ID): 1}),
        (dict[Quantity, int], {Quantity(3): 1}),
        (dict[Price, int], {Price(Decimal("1.5")): 1}),
        (dict[Day, int], {Day(date(2021, 12, 28)): 1}),
        (dict[Paint, int], {Paint(Color.RED): 1}),
        (dict[Size, int], {Size(Level.HIGH): 1}),
    ],
    ids=str,
)
def test_a_key_of_a_dict(hint: object, made: object) -> None:
    """A value object is a key of a dict: what is dumped is read again, in Python mode and in JSON, where it is text."""
    cls = model(hint)
    one = cls(it=made)
    assert made == one.it
    assert [one] * 2 == [cls.model_validate(one.model_dump()), cls.model_validate_json(one.model_dump_json())]


def test_a_key_of_a_dict_that_is_wrong() -> None:
    """A key that is no number, and a value that is text, are refused in JSON with the text of the value object."""
    for data in ('{"it": {"x": 1}}', '{"it": {"0": 1}}'):
        with pytest.raises(ValidationError, match="Quantity: "):
            model(dict[Quantity, int]).model_validate_json(data)
    with pytest.raises(ValidationError, match="Quantity: expected int"):
        model(Quantity).model_validate_json('{"it": "3"}')


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pydantic, importing the adapter says how to install it."""
    monkeypatch.setitem(sys.modules, "pydantic", None)
    monkeypatch.delitem(sys.modules, "domainkit.adapters.pydantic", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'domainkit-attrs\[pydantic\]'"):
        runpy.run_module("domainkit.adapters.pydantic")
