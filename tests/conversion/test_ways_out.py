"""Rare ways in and out: deep data, hooks inside of tagged unions, steps of floats, options of cattrs."""

import json
import traceback
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

import attrs
import pytest
from attrs import field, frozen
from cattrs import Converter, UnstructureStrategy
from cattrs.strategies import configure_tagged_union, include_subclasses
from holders import PATH, alias, envelope, holder, read, refused, rewritten, unwritable
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import Meta

from domainkit import (
    Command,
    DomainEvent,
    InvalidMessage,
    Limits,
    MessageCodec,
    Tagged,
    UnsupportedTypeError,
    ValueObject,
    configure_converter,
    make_converter,
    parse,
)
from domainkit.conversion.classes import Options
from domainkit.conversion.derive import Derivation
from domainkit.conversion.hooks import own_hooks, supports
from domainkit.formats import codec_schema, message_schema
from domainkit.testing.strategies import instances


@frozen
class Chain:
    next: "Chain | None" = None


def chain(links: int) -> Chain:
    """Return a chain of so many links."""
    made = Chain()
    for _ in range(links):
        made = Chain(made)
    return made


def test_a_stack_that_is_too_short_is_a_problem_of_the_message() -> None:
    """Objects inside one another without measure are refused by a Failure or an InvalidMessage, and not by Python."""
    cls = holder(Chain)
    with pytest.raises(InvalidMessage) as caught:
        cls(chain(3000)).json()
    assert [("$.data.attributes", "limit")] == [(problem.path, problem.code) for problem in caught.value.problems]
    wire: dict[str, object] = {"next": 5}
    for _ in range(900):
        wire = {"next": wire}
    data = envelope(cls, wire)
    (problem,) = MessageCodec(cls, limits=Limits(max_depth=10_000)).decode_dict(data).failure().problems
    assert "limit" == problem.code


def test_what_no_reader_takes_is_not_written() -> None:
    """A message over the limits of its codec is refused with the code that the reader has for it."""
    cls = holder(str)
    codec = MessageCodec(cls, limits=Limits(max_string=30))
    with pytest.raises(InvalidMessage) as caught:
        codec.encode(cls("x" * 31))
    assert "limit" in [problem.code for problem in caught.value.problems]


CENTS = Annotated[float, Meta(multiple_of=0.01, title="cents")]


def test_steps_of_floats_are_counted_in_decimal_digits() -> None:
    """1.1 is a multiple of 0.01, whatever it is in binary; a float or an int may stand for it."""
    cls = holder(CENTS)
    for value in (1.1, 0.29, 5, -0.07):
        assert value == read(cls, value)
    assert [(PATH, "value")] == [(problem.path, problem.code) for problem in refused(cls, 1.101)]
    assert [(PATH, "value")] == [(problem.path, problem.code) for problem in unwritable(cls, 0.005)]
    schema: Any = message_schema(cls)
    field = schema["properties"]["data"]["properties"]["attributes"]["properties"]["field"]
    assert 0.01 == field["multipleOf"]


class Money:
    """A class of somebody else."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


@frozen
class Animal:
    name: str


@frozen
class Dog(Animal):
    bark: int


@frozen
class Cat:
    lives: int


@frozen
class Zoo:
    pet: Animal


@frozen
class Labelled:
    kind: str


T = TypeVar("T")


@frozen
class Box(Generic[T]):
    item: T


@frozen
class Cash:
    money: int


@frozen
class Card:
    number: str


class Sku(ValueObject[str]): ...


Payment = Annotated[Cash | Card | None, Tagged("kind", cash=Cash, card=Card)]


@frozen
class Paid(DomainEvent):
    by: Payment


def _paid_codec(write: Any) -> MessageCodec:
    converter = make_converter()
    converter.register_structure_hook(Cash, lambda data, _: Cash(int(data["cents"])))
    converter.register_unstructure_hook(Cash, write)
    return MessageCodec(Paid, converter=converter)


def test_hooks_of_members_of_a_tagged_union() -> None:
    """The tag stands beside what the hook writes, and the schema asks for it."""
    codec = _paid_codec(lambda cash: {"cents": str(cash.money)})
    for paid in (Paid(Cash(5)), Paid(Card("1")), Paid(None)):
        raw = codec.encode(paid)
        assert paid == codec.decode(raw).unwrap()
        Draft202012Validator(codec_schema(codec)).validate(json.loads(raw))
    assert b'{"kind":"cash","cents":"5"}' in codec.encode(Paid(Cash(5)))
    wrong = codec.encode(Paid(Cash(5))).replace(b"cash", b"cosh")
    assert [("$.data.attributes.by.kind", "value")] == [
        (problem.path, problem.code) for problem in codec.decode(wrong).failure().problems
    ]


@pytest.mark.parametrize("written", [5, {"kind": "mine"}], ids=["no object", "a tag"])
def test_a_hook_that_leaves_no_place_for_the_tag(written: object) -> None:
    """The outcome of writing has to be an object without the key of the tag."""
    with pytest.raises(InvalidMessage, match=r"\.by: expected an object without the key 'kind', which the tag needs"):
        _paid_codec(lambda _: written).encode(Paid(Cash(5)))


@frozen
class Sheet:
    by: Payment
    sku: Sku | None = None


def test_objects_in_place_of_their_wire_form() -> None:
    """If objects are taken, those in tagged unions and kept value objects are as well."""
    assert Sheet(Card("1")) == parse(Sheet, {"by": Card("1")}).unwrap()
    kept = make_converter(unwrap_value_objects=False)
    assert Sheet(Card("1"), Sku("a")) == kept.structure({"by": Card("1"), "sku": Sku("a")}, Sheet)


@frozen
class Optional:
    first: int = 1
    second: tuple[int, ...] = ()


def test_defaults_may_be_left_out() -> None:
    """`omit_if_default` is an option of cattrs."""
    converter = Converter(omit_if_default=True)
    configure_converter(converter)
    assert {} == converter.unstructure(Optional())
    assert {"second": [2]} == converter.unstructure(Optional(1, (2,)))
    assert {"first": 3} == converter.unstructure(Optional(3))


@pytest.mark.parametrize(
    "converter",
    [Converter(unstruct_strat=UnstructureStrategy.AS_TUPLE), Converter(type_overrides={int: None})],  # type: ignore[dict-item]  # any will do
    ids=["tuples", "overrides"],
)
def test_options_that_would_not_count_are_refused(converter: Converter) -> None:
    """A converter that writes tuples, or renames by type, can't be configured."""
    with pytest.raises(TypeError, match="expected a converter that writes dicts, without type_overrides"):
        configure_converter(converter)


def test_types_without_a_hash_have_no_hook_of_their_own() -> None:
    """Cattrs finds hooks by hash."""
    hint: Any = Annotated[int, {}]
    assert (None, None) == own_hooks(make_converter(), hint)


def test_a_hook_that_asks_for_itself_is_known() -> None:
    """A factory of the user's may ask the converter for the very type that it makes a hook for."""
    converter = Converter()
    converter.register_structure_hook_factory(lambda cls: cls is Money, converter.get_structure_hook)
    assert supports(converter, Money)
    assert not supports(Converter(), Money)


@frozen
class Noted:
    note: str
    money: Money


def test_a_hook_that_only_writes_is_refused() -> None:
    """Nothing could read it back; the remedy is named."""
    converter = make_converter()
    converter.register_unstructure_hook(Money, lambda money: money.cents)
    with pytest.raises(UnsupportedTypeError, match="got an unstructure hook only; register"):
        MessageCodec(holder(Money), converter=converter)


def test_a_hook_that_only_reads_a_class_with_a_form() -> None:
    """Whatever it doesn't mention stays as it is."""
    converter = make_converter()
    converter.register_structure_hook(Card, lambda data, _: Card(data["number"].strip()))
    cls = holder(Card)
    codec = MessageCodec(cls, converter=converter)
    raw = codec.encode(cls(Card("1")))
    assert b'"field":{"number":"1"}' in raw
    assert Card("1") == codec.decode(raw.replace(b'"1"', b'" 1 "')).unwrap().field  # type: ignore[attr-defined]  # made on the fly


def test_a_hook_that_only_reads() -> None:
    """A converter writes what it reads by the class of the value."""
    converter = Converter()
    configure_converter(converter)
    converter.register_structure_hook(Money, lambda data, _: Money(data))
    found = converter.structure({"note": "a", "money": 5}, Noted)
    assert 5 == found.money.cents
    assert found.money is converter.unstructure(found)["money"]


def test_a_type_variable_in_a_converter() -> None:
    """A generic class without its argument is written by the values, and read where the argument is named."""
    converter = make_converter()
    assert {"item": "a"} == converter.unstructure(Box(Sku("a")))
    with pytest.raises(Exception, match="While structuring") as caught:
        converter.structure({"item": "a"}, Box)
    assert "name the generic class with its argument" in str(caught.value.exceptions[0])  # type: ignore[attr-defined]  # a group
    assert Box(Sku("a")) == converter.structure({"item": "a"}, Box[Sku])


def test_hooks_of_the_strategies_of_cattrs_count_everywhere() -> None:
    """Hooks of a strategy of cattrs are the user's: for a union with tags, and for subclasses."""
    pets = Animal | Cat
    converter = make_converter()
    configure_tagged_union(pets, converter)
    cls = holder(pets)
    codec = MessageCodec(cls, converter=converter)
    assert cls(Cat(9)).field == codec.decode(codec.encode(cls(Cat(9)))).unwrap().field  # type: ignore[attr-defined]  # made on the fly
    assert b'"_type":"Cat"' in codec.encode(cls(Cat(9)))
    assert [{"lives": 9, "_type": "Cat"}] == converter.unstructure((Cat(9),), tuple[pets, ...])

    converter = make_converter()
    include_subclasses(Animal, converter)
    zoo = Zoo(Dog("rex", 3))
    assert {"pet": {"name": "rex", "bark": 3}} == converter.unstructure(zoo)
    assert zoo == converter.structure({"pet": {"name": "rex", "bark": 3}}, Zoo)


def test_a_class_may_be_a_hook() -> None:
    """`float` writes a Decimal as a number, wherever one stands."""
    converter = make_converter()
    converter.register_unstructure_hook(Decimal, float)
    converter.register_structure_hook(Decimal, lambda data, _: Decimal(str(data)))
    assert [1.5] == converter.unstructure((Decimal("1.5"),), tuple[Decimal, ...])
    cls = holder(Decimal)
    assert b'"field":1.5' in MessageCodec(cls, converter=converter).encode(cls(Decimal("1.5")))


def test_an_int_for_a_float_with_a_hook() -> None:
    """A hook for float gets it too."""
    converter = make_converter()
    converter.register_unstructure_hook(float, repr)
    converter.register_structure_hook(float, lambda data, _: float(data))
    cls = holder(float)
    assert b'"field":"1"' in MessageCodec(cls, converter=converter).encode(cls(1))


def test_a_hook_for_a_message_class_is_refused() -> None:
    """The envelope is the same for all."""
    converter = make_converter()
    converter.register_unstructure_hook(Paid, lambda _: {})
    with pytest.raises(TypeError, match=r"^Paid: expected a converter without hooks for classes of messages"):
        MessageCodec(Paid, converter=converter)


def test_a_hook_that_only_reads_is_refused_in_a_codec() -> None:
    """Nothing could write it."""
    converter = make_converter()
    converter.register_structure_hook(Money, lambda data, _: Money(data))
    with pytest.raises(UnsupportedTypeError, match="got a structure hook only; register"):
        MessageCodec(holder(Money), converter=converter)


class Same(Command[None, Exception]): ...


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (Annotated[Card | Labelled, Tagged("kind", card=Card, labelled=Labelled)], "rename the tag"),
        (Annotated[Box[int] | Box[str], Tagged("kind", a=Box[int], b=Box[str])], "expected each class of a union once"),
        (Annotated[Card | Same, Tagged("kind", card=Card, same=Same)], "use its id"),
        (Annotated[Decimal, Meta(ge=1)], "Meta"),
    ],
    ids=["field", "twice", "message", "bounds"],
)
def test_what_a_message_refuses_a_converter_refuses_too(hint: Any, text: str) -> None:
    """A tag or a bound that can't be kept is not left out without a word."""
    with pytest.raises(UnsupportedTypeError, match=text):
        MessageCodec(holder(hint))
    plain = frozen(type("Plain", (), {"__annotations__": {"field": hint}}))
    if text != "use its id":  # a converter writes the whole message
        with pytest.raises(UnsupportedTypeError, match=text):
            make_converter().get_structure_hook(plain)


def _cents(euros: int) -> int:
    return euros * 100


@frozen
class Cents(ValueObject[int]):
    value: int = field(converter=_cents)


@frozen
class Item:
    cents: int = field(converter=_cents)
    on: date = field(converter=attrs.Converter(lambda text, _: date.fromisoformat(text), takes_self=True))  # type: ignore[misc]  # a lambda has no types
    tags: tuple[str, ...] = field(default=(), converter=tuple)


def test_a_converter_that_changes_its_own_values_is_refused_when_written() -> None:
    """Whoever reads a value hands it to the constructor, which converts it again: cents would be taken for euros."""
    paths = ["cents", "on"]
    assert [f"{PATH}.{path}" for path in paths] == [
        problem.path for problem in unwritable(holder(Item), Item(5, "2020-01-01"))
    ]
    (problem,) = unwritable(holder(Cents), Cents(5))
    assert (PATH, "value") == (problem.path, problem.code)
    assert "the converter of the field" in problem.expected


def _strong(_: object, __: object, value: str) -> None:
    raise ValueError(f"{value} is too weak")


@frozen
class Login:
    password: str = field(validator=_strong)


def test_a_traceback_repeats_no_value() -> None:
    """An error that does isn't the cause of what a converter raises."""
    secret = "correct-horse"
    with pytest.raises(Exception, match="Login") as caught:
        make_converter().structure({"password": secret}, Login)
    assert not any(secret in line for line in traceback.format_exception(caught.value))


@frozen
class Outer:
    box: Box[int]


class Boxed(ValueObject[Box[int]]): ...


def test_arguments_of_generic_classes_count_inside_of_objects() -> None:
    """An object that holds text is no `Box[int]`: to the constructor of a value object, and to `parse`."""
    wrong: Any = Box("a")
    assert "Boxed.item: expected int, got str" in str(Boxed.parse(wrong).failure())
    assert Boxed(Box(5)) == Boxed.parse(Box(5)).unwrap()
    assert ["$.box.item"] == [problem.path for problem in parse(Outer, Outer(wrong)).failure().problems]


def test_types_that_only_cattrs_knows() -> None:
    """In a converter, classes and unions that have no wire form are left to cattrs, and so is what has no type."""
    converter = make_converter()
    loose = attrs.make_class("Loose", ["x"], frozen=True)
    assert {"x": 5} == converter.unstructure(loose(5))
    assert loose(5) == converter.structure({"x": 5}, loose)
    plain = frozen(type("Plain", (), {"__annotations__": {"of": Cash | Card}}))
    assert plain(Card("1")) == converter.structure({"of": {"number": "1"}}, plain)
    ring = frozen(type("Ring", (), {"__annotations__": {"of": alias("Ring", "int | Ring")}}))
    with pytest.raises(UnsupportedTypeError, match=r"^Ring\.of: .*, a member of itself"):
        converter.get_structure_hook(ring)
    odd = frozen(type("Odd", (), {"__annotations__": {"of": complex}}))
    outer = frozen(type("Outer", (), {"__annotations__": {"odd": odd}}))
    with pytest.raises(UnsupportedTypeError, match=r"^Odd\.of: expected a type with a wire form, got complex"):
        converter.structure({"odd": {"of": 1}}, outer)


class Names(ValueObject["tuple[Names, ...]"]): ...


def test_a_value_object_that_holds_itself_is_refused() -> None:
    """Through an attrs class it works; the remedy says so."""
    with pytest.raises(UnsupportedTypeError, match=r"^Names\.value: .*; put it into a field of an @attrs.frozen class"):
        MessageCodec(holder(Names))


def test_a_type_too_deep_to_look_at_is_refused() -> None:
    """A tuple of tuples without measure."""
    hint: Any = int
    for _ in range(400):
        hint = tuple[hint, ...]
    with pytest.raises(TypeError, match="itself"):
        Derivation(Options(lenient=True)).node(hint, "here")


def test_a_tuple_of_nothing() -> None:
    """None may stand in a tuple."""
    assert [None, None] == rewritten((None, None), tuple[None, ...])


STRANGE = frozen(type("Odd", (), {"__annotations__": {"what": complex, "money": Money, "host": Any}}))


@given(instances(STRANGE, host=st.none()))
def test_examples_of_types_that_hypothesis_knows(made: Any) -> None:
    """A strategy takes what hypothesis has for a class without a wire form."""
    assert isinstance(made.what, complex)
    assert isinstance(made.money, Money)


@pytest.mark.parametrize(
    "cls",
    [frozen(type("Odd", (), {"__annotations__": {"x": Any}})), attrs.make_class("Odd", ["x"], frozen=True)],
    ids=["any", "nothing"],
)
def test_no_examples_of_anything(cls: type) -> None:
    """If nothing is known of a field, a strategy for it has to be passed."""
    with pytest.raises(TypeError, match=r"^Odd\.x: .*; or pass a strategy for the field, as a keyword argument"):
        instances(cls)
