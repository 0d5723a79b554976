"""Converters: domain objects and builtins, with cattrs, as strict as messages are."""

import enum
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar
from uuid import UUID

import attrs
import pytest
from attrs import field, frozen
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from every_kind import (
    Card,
    Colour,
    EveryKind,
    Level,
    Line,
    Maker,
    OrderId,
    Plain,
    Price,
    Quantity,
    Sku,
    Title,
    Transfer,
    Tree,
)
from holders import short

from domainkit import (
    AggregateRoot,
    InvalidMessage,
    InvalidValueObject,
    Tagged,
    UnsupportedTypeError,
    Uuid,
    ValueObject,
    ValueObjectSerializer,
    configure_converter,
    make_converter,
)

T = TypeVar("T")

ID = OrderId.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")
LINE = Line(Sku("a"), Quantity(0), Price(Decimal(1)))
MOMENT = datetime(2021, 12, 28, 14, 11, 47, 845618, UTC)
UNWRAPPED, WRAPPED = make_converter(), make_converter(unwrap_value_objects=False)


class Word(enum.StrEnum):
    A = "a"


class Bits(enum.Flag):
    ONE = 1
    TWO = 2


class Name(str):
    __slots__ = ()


class Reference(ValueObject[T], Generic[T]): ...


class TaskId(Uuid): ...


@frozen
class Everything(AggregateRoot[TaskId]):
    """An aggregate with every kind of field."""

    held: "Held"


Held: Any = attrs.make_class(
    "Held",
    {
        attribute.name: field(default=attribute.default, alias=attribute.alias, type=attribute.type)
        for attribute in attrs.fields(attrs.resolve_types(EveryKind))
        if attribute.name != "header"
    },
    frozen=True,
)


def everything(maker: Maker) -> Everything:
    """Return an aggregate with a random value in each field."""
    event = maker.message()
    parts = attrs.fields(Held)
    return Everything(Held(**{attribute.alias: getattr(event, attribute.name) for attribute in parts}))


def test_any_aggregate_comes_back_through_json() -> None:
    """State, id and version survive JSON, whatever the fields are, with value objects unwrapped and wrapped."""
    maker = Maker(5)
    for converter in (UNWRAPPED, WRAPPED):
        for _ in range(50):
            aggregate = everything(maker)
            assert aggregate == converter.structure(
                json.loads(json.dumps(converter.unstructure(aggregate))), Everything
            )


ENCODINGS = ("json", "orjson", "msgpack", "cbor2", "msgspec")


@pytest.mark.parametrize("unwrap", [True, False])
@pytest.mark.parametrize("name", ENCODINGS)
def test_other_encodings(name: str, *, unwrap: bool) -> None:
    """With a preconfigured converter of cattrs the same aggregate survives orjson, MessagePack and CBOR."""
    converter = import_module(f"cattrs.preconf.{name}").make_converter()
    configure_converter(converter, unwrap_value_objects=unwrap)
    maker = Maker(6)
    maker.number = lambda: maker.random.randint(-(2**63), 2**63 - 1)  # type: ignore[method-assign]  # the most of some formats
    for _ in range(20):
        aggregate = everything(maker)
        assert aggregate == converter.loads(converter.dumps(aggregate), Everything)


Payment: Any = Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)]

BOTH_WAYS: list[tuple[Any, Any, Any]] = [
    # the type, the object, its builtins
    (str, "", ""),
    (int, 0, 0),
    (bool, False, False),
    (float, 0.0, 0.0),
    (type(None), None, None),
    (UUID, UUID(int=0), "00000000-0000-0000-0000-000000000000"),
    (bytes, b"\xff", "/w=="),
    (date, date(2021, 12, 28), "2021-12-28"),
    (datetime, MOMENT, "2021-12-28T14:11:47.845618Z"),
    (time, time(14, 11), "14:11:00"),
    (timedelta, timedelta(1, 2, 3), "P1DT2.000003S"),
    (Decimal, Decimal("0.0"), "0.0"),
    (Colour, Colour.RED, "red"),
    (Level, Level.HIGH, 2),
    (Word, Word.A, "a"),
    (Bits, Bits.ONE | Bits.TWO, 3),
    (Name, Name("x"), "x"),
    (Literal["a", 3], 3, 3),
    (NewType("Nick", str), "x", "x"),
    (NewType("Nicked", OrderId), ID, str(ID)),
    (Title, Title("a"), "a"),
    (Sku, Sku(""), ""),
    (Quantity, Quantity(0), 0),
    (Price, Price(Decimal(0)), "0"),
    (OrderId, ID, str(ID)),
    (Reference[int], Reference[int](0), 0),
    (Reference[UUID], Reference[UUID](ID.value), str(ID)),
    (Reference[Title], Reference[Title](Title("a")), "a"),
    (Title | None, None, None),
    (Title | None, Title("a"), "a"),
    (Title | Quantity | None, Quantity(0), 0),
    (Title | Quantity | None, None, None),
    (Title | Quantity | None, Title("a"), "a"),
    (int | str, 0, 0),
    (int | str | None, "", ""),
    (bool | int | Title, True, True),
    (Title | Line, LINE, {"sku": "a", "quantity": 0, "price": "1", "note": None}),
    (UUID | int, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (tuple[Title, ...], (), []),
    (tuple[Title, ...], (Title("a"),), ["a"]),
    (tuple[int, Title, OrderId | None], (0, Title("a"), None), [0, "a", None]),
    (tuple[()], (), []),
    (frozenset[Title], frozenset({Title("b"), Title("a")}), ["a", "b"]),
    (frozenset[Decimal], frozenset({Decimal(2), Decimal(10)}), ["10", "2"]),
    (Mapping[Sku, Price], {Sku(""): Price(Decimal(1))}, {"": "1"}),
    (Mapping[OrderId, tuple[Quantity, ...]], {ID: (Quantity(0),)}, {str(ID): [0]}),
    (Mapping[int, Title], {-5: Title("a")}, {"-5": "a"}),
    (Mapping[Quantity, int], {Quantity(0): 1}, {"0": 1}),
    (Mapping[Level, int], {Level.LOW: 1}, {"1": 1}),
    (Mapping[datetime, int], {MOMENT: 1}, {"2021-12-28T14:11:47.845618Z": 1}),
    (dict[str, Title], {"a": Title("b")}, {"a": "b"}),
    (dict[UUID, Mapping[str, Title]], {ID.value: {"a": Title("b")}}, {str(ID): {"a": "b"}}),
    (Tree, Tree("a", (Tree("b"),)), {"name": "a", "children": [{"name": "b", "children": []}]}),
    (Payment, Card("1"), {"kind": "card", "number": "1"}),
    (Annotated[Card | Transfer | None, Tagged("kind", card=Card, transfer=Transfer)], None, None),
    (Payment | None, None, None),
    (Payment | str | None, Transfer("x", Title("a")),
     {"kind": "transfer", "iban": "x", "reference": "a"}),
]  # fmt: skip  # a row for each


@pytest.mark.parametrize(("hint", "value", "builtins"), BOTH_WAYS, ids=short)
def test_unwrapped_both_ways(hint: Any, value: object, builtins: object) -> None:
    """Objects become builtins that JSON carries, value objects unwrapped at every depth, and come back equal."""
    made = UNWRAPPED.unstructure(value, hint)
    assert builtins == made
    assert type(builtins) is type(made)
    found = UNWRAPPED.structure(json.loads(json.dumps(made)), hint)
    assert (value, type(value)) == (found, type(value) if isinstance(value, dict) else type(found))


@pytest.mark.parametrize(("hint", "value"), [(hint, value) for hint, value, _ in BOTH_WAYS], ids=short)
def test_wrapped_both_ways(hint: Any, value: object) -> None:
    """The same objects come back equal where value objects stay wrapped."""
    assert value == WRAPPED.structure(json.loads(json.dumps(WRAPPED.unstructure(value, hint))), hint)


def test_value_objects_stay_wrapped_at_every_depth() -> None:
    """Wrapped, each value object is an object with its value; only keys are bare, since JSON has text keys."""
    assert {"value": "a"} == WRAPPED.unstructure(Title("a"))
    assert {"value": {"value": "a"}} == WRAPPED.unstructure(Reference(Title("a")))
    assert [{"value": 0}] == WRAPPED.unstructure((Quantity(0),), tuple[Quantity, ...])
    assert {"": {"value": "1"}} == WRAPPED.unstructure({Sku(""): Price(Decimal(1))}, Mapping[Sku, Price])
    assert {"kind": "transfer", "iban": "x", "reference": {"value": "a"}} == WRAPPED.unstructure(
        Transfer("x", Title("a")), Payment
    )


@frozen
class Worded:
    value: str


def test_a_wrapped_union_that_cannot_be_told_is_refused() -> None:
    """An object with a value may be a value object or a class with such a field, if both hold the same kind."""
    with pytest.raises(UnsupportedTypeError, match=r"JSON distinguishes, got .*Title and Worded \(each"):
        WRAPPED.structure({"value": "a"}, Title | Worded)  # type: ignore[arg-type]  # cattrs takes any type
    unwrapped: Any = Annotated[Title | Line, ValueObjectSerializer]
    assert Title("a") == WRAPPED.structure("a", unwrapped)


def test_a_union_that_json_cannot_tell_is_refused() -> None:
    """Two value objects of text can't be told apart; the error names both."""
    with pytest.raises(UnsupportedTypeError, match=r"JSON distinguishes, got .*Title \(str\) and Sku \(str\)"):
        UNWRAPPED.structure("a", Title | Sku)  # type: ignore[arg-type]  # cattrs takes any type


@frozen
class Order:
    """Fields that say how they are written, and one that doesn't."""

    order_id: Annotated[OrderId, ValueObjectSerializer]
    maybe: Annotated[Title | None, ValueObjectSerializer]
    titles: Annotated[tuple[Title, ...], ValueObjectSerializer]
    either: Annotated[Title | Quantity, ValueObjectSerializer]
    title: Title
    sku: Sku
    skus: tuple[Sku, ...]

    _sku = ValueObject.serializer("sku")
    _skus = ValueObject.serializer("skus")


class LaterOrder(Order): ...


ORDER = {
    "order_id": str(ID), "maybe": None, "titles": ["a"], "either": 0, "title": {"value": "a"}, "sku": "", "skus": ["b"],
}  # fmt: skip  # one table


@pytest.mark.parametrize("cls", [Order, LaterOrder])
def test_fields_that_are_unwrapped_by_a_note_or_by_name(cls: Any) -> None:
    """`Annotated[..., ValueObjectSerializer]` and `ValueObject.serializer(name)` unwrap a field, around anything."""
    order = cls(ID, None, (Title("a"),), Quantity(0), Title("a"), Sku(""), (Sku("b"),))
    assert ORDER == WRAPPED.unstructure(order)
    assert order == WRAPPED.structure(ORDER, cls)
    assert {**ORDER, "title": "a"} == UNWRAPPED.unstructure(order)
    assert order == UNWRAPPED.structure({**ORDER, "title": "a"}, cls)


REFUSED: list[tuple[Any, Any]] = [
    (int, "5"), (int, True), (int, 1.0), (int, None), (int, 10**4300), (bool, 1), (bool, "true"), (bool, None),
    (str, 5), (str, b"x"), (str, None), (str, "\ud800"), (float, "1.5"), (float, True), (float, math.nan),
    (float, math.inf),
    (type(None), 0), (UUID, "x"), (UUID, 5), (bytes, "x"), (bytes, 5), (date, "2021-12-28T00:00:00"), (date, MOMENT),
    (datetime, "2021-12-28T14:11:47"), (datetime, datetime(2021, 12, 28)), (datetime, date(2021, 12, 28)), (time, "x"),
    (datetime, "2021-12-28T14:11:47.1234567Z"), (timedelta, "P1Y"), (Decimal, "NaN"), (Decimal, 1.5),
    (Decimal, Decimal("NaN")),
    (Colour, "green"), (Colour, 1), (Level, True), (Level, "1"), (Word, "b"), (Literal["a", 3], "b"),
    (Literal[1], True),
    (Name, 5), (Title, ""), (Title, 5), (Title, None), (Title, {"value": "a"}), (Title | None, 5),
    (Title | Quantity, 1.5),
    (int | str, 1.5), (int | str, None), (UUID | int, "x"), (tuple[str, ...], "abc"), (tuple[str, ...], {"a": 1}),
    (tuple[int, ...], None), (tuple[int, ...], [1, "2"]), (tuple[int, str], [1]), (tuple[int, str], [1, "a", 2]),
    (tuple[()], [1]), (frozenset[int], [1, 1]), (frozenset[str], "ab"), (frozenset[Decimal], ["1", "1.0"]),
    (Mapping[str, int], []), (Mapping[str, int], None), (Mapping[str, int], {1: 1}), (Mapping[str, int], {"a": "1"}),
    (Mapping[int, int], {"01": 1}), (Mapping[int, int], {"x": 1}), (Mapping[Decimal, int], {"1": 1, "1.0": 2}),
    (Mapping[Title, int], {"": 1}), (Line, []), (Line, {"sku": "a"}), (Tree, {"name": "a", "children": [{"name": 5}]}),
    (Payment, None),
    (Payment, {"number": "1"}),
    (Payment, {"kind": "cheque"}),
    (Payment, {"kind": ["card"]}),
    (Payment, "card"),
]  # fmt: skip  # many in a row


@pytest.mark.parametrize("detailed", [True, False])
@pytest.mark.parametrize(("hint", "data"), REFUSED, ids=short)
def test_nothing_is_coerced_or_lost(hint: Any, data: object, *, detailed: bool) -> None:
    """Data of another type, form or length is refused, with and without cattrs' detailed errors."""
    converter = Converter(use_alias=True, detailed_validation=detailed)
    configure_converter(converter)
    with pytest.raises((ValueError, TypeError, BaseValidationError, KeyError, InvalidValueObject, AttributeError)):
        converter.structure(data, hint)


@pytest.mark.parametrize("data", ["a", 5, None, [], {}, {"val": "a"}, {"value": 5}])
def test_what_is_no_wrapped_value_object(data: object) -> None:
    """Wrapped, a value object is an object with its value, and nothing else."""
    with pytest.raises((ValueError, InvalidValueObject)):
        WRAPPED.structure(data, Title)


UNWRITABLE: list[tuple[Any, Any]] = [
    (float, math.nan), (Decimal, Decimal("NaN")), (datetime, datetime(2021, 12, 28)), (str, "\ud800"), (int, 10**4300),
    (Payment, "x"),
]  # fmt: skip  # a few


@pytest.mark.parametrize(("hint", "value"), UNWRITABLE, ids=short)
def test_what_could_not_be_read_back_is_not_written(hint: Any, value: object) -> None:
    """NaN, naive datetimes and lone surrogates are refused by the converter too."""
    with pytest.raises(ValueError, match=r"^expected "):
        UNWRAPPED.unstructure(value, hint)


def test_instances_that_an_encoding_reads_itself_are_taken() -> None:
    """Some formats parse ids and datetimes themselves: what is the object already stays, if it could be written."""
    assert ID.value == UNWRAPPED.structure(ID.value, UUID)
    assert ID == UNWRAPPED.structure(ID.value, OrderId)
    assert MOMENT == UNWRAPPED.structure(MOMENT, datetime)
    assert Colour.RED == UNWRAPPED.structure(Colour.RED, Colour)
    assert {5: "a"} == UNWRAPPED.structure({5: "a"}, Mapping[int, str])  # type: ignore[type-abstract]  # cattrs takes it
    assert 5.0 == UNWRAPPED.structure(5, float)


def test_errors_have_the_paths_of_cattrs() -> None:
    """transform_error shows where in nested collections the problems are, as it does for its own."""
    hint = Mapping[str, tuple[Line, ...]]
    with pytest.raises(BaseValidationError) as caught:
        UNWRAPPED.structure({"a": [{"sku": 5, "quantity": 1, "price": "x"}], "b": "no"}, hint)  # type: ignore[type-abstract]  # cattrs takes it
    found = transform_error(caught.value, format_exception=lambda error, _: str(error))
    assert [
        "expected Sku (str), got int @ $['a'][0].sku",
        "expected Price (a decimal number as text, such as \"12.50\"), got str @ $['a'][0].price",
        "expected an array of Line, got str @ $['b']",
    ] == found


def test_mappings_are_read_only() -> None:
    """A Mapping that is read can't change; a dict is one."""
    frozen_one: Any = UNWRAPPED.structure({"a": 1}, Mapping[str, int])  # type: ignore[type-abstract]  # cattrs takes it
    with pytest.raises(TypeError, match="read-only"):
        frozen_one["b"] = 2
    assert dict is type(UNWRAPPED.structure({"a": 1}, dict[str, int]))


@frozen
class Task(AggregateRoot[TaskId]):
    title: Title
    _private: int = 0
    tags: Mapping[str, int] = field(factory=dict)


class Started(Task): ...


def test_aggregates() -> None:
    """An aggregate has its id and version, never invented; recorded events stay behind."""
    task = Task(Title("a"), 5).record(_event())
    builtins = {"aggregate_id": str(task.aggregate_id), "aggregate_version": 1, "title": "a", "private": 5, "tags": {}}
    assert builtins == UNWRAPPED.unstructure(task)
    found = UNWRAPPED.structure(builtins, Task)
    assert (task, ()) == (found, found.domain_events)
    started: Any = UNWRAPPED.structure(builtins, Started)
    assert Started is type(started)
    for key in ("aggregate_id", "aggregate_version"):
        with pytest.raises(BaseValidationError) as caught:
            UNWRAPPED.structure({name: value for name, value in builtins.items() if name != key}, Task)
        (problem,) = transform_error(caught.value, format_exception=lambda error, _: str(error))
        assert problem.endswith(f", got nothing @ $.{key}")
    with pytest.raises(ValueError, match="expected Task"):
        UNWRAPPED.structure([], Task)


def _event() -> EveryKind:
    return Maker(1).message()


def test_messages_are_their_envelopes() -> None:
    """A message becomes its envelope, wrapped or not, and is read back from it."""
    event = _event()
    for converter in (UNWRAPPED, WRAPPED):
        assert event.dict() == converter.unstructure(event)
        assert (event,) == converter.structure([event.dict()], tuple[EveryKind, ...])
    with pytest.raises(InvalidMessage):
        UNWRAPPED.structure({}, Plain)


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


@frozen
class Priced:
    title: Title
    money: Money
    at: datetime


def _register(converter: Converter) -> None:
    converter.register_structure_hook(Money, lambda data, _: Money(int(data)))
    converter.register_unstructure_hook(Money, lambda money: str(money.cents))
    converter.register_structure_hook(Title, lambda data, _: Title(data.lower()))
    converter.register_unstructure_hook(Title, lambda title: title.value.upper())
    converter.register_structure_hook(datetime, lambda data, _: datetime.fromtimestamp(data, UTC))
    converter.register_unstructure_hook(datetime, datetime.timestamp)
    converter.register_structure_hook(int | str, lambda data, _: f"own {data}")


@pytest.mark.parametrize("first", [True, False], ids=["hooks first", "hooks last"])
@pytest.mark.parametrize("unwrap", [True, False])
def test_hooks_of_a_user_win(*, first: bool, unwrap: bool) -> None:
    """Hooks registered for a class win, before configure_converter and after; for leaves and unions too."""
    converter = Converter()
    if first:
        _register(converter)
    configure_converter(converter, unwrap_value_objects=unwrap)
    if not first:
        _register(converter)
    builtins = {"title": "A", "money": "5", "at": 1640700707.0}
    priced = Priced(Title("a"), Money(5), datetime(2021, 12, 28, 14, 11, 47, tzinfo=UTC))
    assert builtins == converter.unstructure(priced)
    found = converter.structure(builtins, Priced)
    assert (priced.title, 5, priced.at) == (found.title, found.money.cents, found.at)
    assert "own 5" == converter.structure(5, int | str)  # type: ignore[arg-type]  # cattrs takes any type


def test_one_side_of_a_leaf() -> None:
    """A hook for reading alone wins for reading: writing is this library's."""
    converter = Converter()
    converter.register_structure_hook(Decimal, lambda data, _: Decimal(str(data)))
    configure_converter(converter)
    assert Decimal("1.5") == converter.structure(1.5, Decimal)
    assert "1.5" == converter.unstructure(Decimal("1.5"))


def test_the_last_hook_with_a_predicate_wins() -> None:
    """As always in cattrs."""

    def renamed(cls: Any, converter: Converter, make: Callable[..., Any]) -> Any:
        return make(cls, converter, sku=override(rename="SKU"))

    converter = make_converter()
    converter.register_unstructure_hook_factory(
        lambda cls: cls is Line, lambda cls, converter: renamed(cls, converter, make_dict_unstructure_fn)
    )
    converter.register_structure_hook_factory(
        lambda cls: cls is Line, lambda cls, converter: renamed(cls, converter, make_dict_structure_fn)
    )
    line = Line(Sku("a"), Quantity(1), Price(Decimal(1)))
    assert "a" == converter.unstructure(line)["SKU"]
    assert line == converter.structure(converter.unstructure(line), Line)


def test_a_converter_may_be_configured_again() -> None:
    """The last say about wrapping counts."""
    converter = make_converter()
    configure_converter(converter, unwrap_value_objects=False)
    assert {"value": "a"} == converter.unstructure(Title("a"))
    assert Title("a") == converter.structure({"value": "a"}, Title)


def test_generic_value_objects_without_argument_are_written_by_what_they_hold() -> None:
    """If the type isn't known, the class of the value decides how it is written."""
    references: Any = (Reference(ID.value), Reference(Title("a")))
    assert [str(ID), "a"] == UNWRAPPED.unstructure(references)
    assert [{"value": str(ID)}, {"value": {"value": "a"}}] == WRAPPED.unstructure(references)


@frozen
class Box(Generic[T]):
    value: T


@frozen
class Unknown:
    lost: "Nowhere"  # type: ignore[name-defined]  # noqa: F821  (it can't be found)


def test_generic_classes_and_names_that_cannot_be_found() -> None:
    """Arguments of generic classes are put in; a name that can't be found is cattrs' to refuse."""
    assert {"value": "a"} == UNWRAPPED.unstructure(Box(Title("a")), Box[Title])
    assert Box(Title("a")) == UNWRAPPED.structure({"value": "a"}, Box[Title])
    with pytest.raises(Exception, match="Nowhere"):
        UNWRAPPED.structure({"lost": 1}, Unknown)


class Words(ValueObject[tuple[T, ...]]): ...


def test_objects_of_generic_classes_are_checked_with_their_arguments() -> None:
    """An object doesn't know its arguments: what it holds is looked at, and the error shows where."""
    for made, hint in [(Box("a"), Box[int]), (Words(("a",)), Words[int]), ({"value": Words(("a",))}, Box[Words[int]])]:
        with pytest.raises(Exception, match="While structuring") as caught:
            UNWRAPPED.structure(made, hint)
        (problem,) = transform_error(caught.value, format_exception=lambda error, _: str(error))
        assert problem.startswith("expected int, got str @ $")
    box = Box(1)
    assert box is UNWRAPPED.structure(box, Box[int])


def test_unions_of_plain_classes_and_literals_of_others_stay_with_cattrs() -> None:
    """Conversions that cattrs does well are left to it: classes told apart by their fields, Literals of enums."""
    assert Card("1") == UNWRAPPED.structure({"number": "1"}, Card | Transfer)  # type: ignore[arg-type]  # cattrs takes it
    literal: Any = Literal[Colour.RED]
    assert Colour.RED == UNWRAPPED.structure("red", literal)
    tuples: Any = tuple[int, ...] | list[int] | None
    with pytest.raises(Exception, match="list"):
        UNWRAPPED.structure([1], tuples)


def test_sets_in_another_encoding_have_an_order_too() -> None:
    """Items that JSON has no form for, such as a user's own, are sorted by their text."""
    converter = Converter()
    converter.register_unstructure_hook(Decimal, lambda value: value)
    configure_converter(converter)
    assert [Decimal(1), Decimal(2)] == converter.unstructure(frozenset({Decimal(2), Decimal(1)}), frozenset[Decimal])
    converter.register_unstructure_hook(Money, lambda money: money)
    hint: Any = frozenset[Money]
    assert 2 == len(converter.unstructure(frozenset({Money(1), Money(2)}), hint))
