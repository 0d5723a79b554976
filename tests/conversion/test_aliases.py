"""Aliases that hold themselves (PEP 695), and generic classes with ever new arguments, on every way in and out."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, Union

import pytest
from attrs import frozen
from holders import alias, holder, rewritten
from hypothesis import given
from jsonschema import Draft202012Validator
from typing_extensions import TypeAliasType

from domainkit import DomainEvent, MessageCodec, UnsupportedTypeError, make_converter
from domainkit.formats import message_schema
from domainkit.testing.strategies import instances

T = TypeVar("T")

Json = alias("Json", "int | str | tuple[Json, ...]")
Pairs = alias("Pairs", "tuple[T, Pairs[T]] | None", T)

Tree = alias("Tree", "tuple[int | Tree, ...]")
Doc = alias("Doc", "int | None | Mapping[str, Doc | None]", Mapping=Mapping)
Quoted = TypeAliasType("Quoted", Union[str, "tuple[Quoted, ...]"])


@frozen
class Link:
    to: "Links" = ()


Twice = alias("Twice", "int | Link | None | tuple[Twice | None, Twice | None]", Link=Link)
Links = TypeAliasType("Links", "tuple[Link | int | None, ...]")

CARRIED: list[tuple[Any, Any, Any]] = [
    (Json, (1, ("a", (2,)), ()), [1, ["a", [2]], []]),
    (Pairs[int], (1, (2, None)), [1, [2, None]]),
    (Tree, (1, (2, ())), [1, [2, []]]),
    (Doc, {"a": {"b": 1}, "c": None}, {"a": {"b": 1}, "c": None}),
    (Links, (Link((Link(), 5)), 6), [{"to": [{"to": []}, 5]}, 6]),
    (Twice, ((1, None), Link()), [[1, None], {"to": []}]),
    (Quoted, ("a", ("b", ())), ["a", ["b", []]]),
]


@pytest.mark.parametrize(("hint", "value", "wire"), CARRIED, ids=lambda value: str(value)[:9])
def test_an_alias_that_holds_itself(hint: Any, value: object, wire: object) -> None:
    """Messages, converters and schemas have the same form of it."""
    assert wire == rewritten(value, hint)
    converter = make_converter()
    assert wire == converter.unstructure(value, hint)
    assert value == converter.structure(wire, hint)
    cls = holder(hint)
    Draft202012Validator(message_schema(cls)).validate(cls(value).dict())


@given(instances(holder(Json)))
def test_examples_of_an_alias_that_holds_itself(made: Any) -> None:
    """A strategy makes values of it, each of which a message carries."""
    assert made == type(made).from_json(made.json())


REFUSED: list[tuple[Any, str]] = [
    (alias("Same", "Same"), r"^Holder\.field: expected an alias of another type, got Same, an alias of itself; let it"),
    (alias("Ring", "int | Ring"), r"^Holder\.field: .* got .*Ring.*, a member of itself; put it into a tuple"),
    (alias("Grown", "int | tuple[Grown[tuple[T, ...]], ...]", T)[int],
     r"^Holder\.field: expected a type that contains itself with the same arguments, got Grown\[int\]; use the same"),
]  # fmt: skip  # a row for each


@pytest.mark.parametrize(("hint", "text"), REFUSED, ids=["itself", "member", "grown"])
def test_an_alias_without_an_end_is_refused_by_name(hint: Any, text: str) -> None:
    """It is refused where the class is made, with the field."""
    with pytest.raises(TypeError, match=text):
        MessageCodec(holder(hint))


@frozen
class Grown(Generic[T]):
    inner: "Grown[tuple[T, ...]] | None" = None


def test_a_class_with_ever_new_arguments_is_refused_by_name() -> None:
    """The same holds for a class."""
    with pytest.raises(UnsupportedTypeError, match=r"^Grown: expected a class that contains itself with"):
        MessageCodec(holder(Grown[int]))


@frozen
class Added(DomainEvent, Generic[T]):
    item: T


def test_a_generic_message_with_its_argument() -> None:
    """A derivation for one argument doesn't count for another."""
    for hint, item, schema in [(Added[int], 5, "integer"), (Added[str], "a", "string"), (Added[int], 7, "integer")]:
        codec, made = MessageCodec(hint), Added(item)
        assert made == codec.decode(codec.encode(made)).unwrap()
        found: Any = message_schema(hint)
        assert schema == found["properties"]["data"]["properties"]["attributes"]["properties"]["item"]["type"]


@pytest.mark.parametrize("wrong", [5, "Added", int, tuple[int, ...]], ids=repr)
def test_what_is_no_class_of_messages(wrong: Any) -> None:
    """A codec says what it was given."""
    with pytest.raises(TypeError, match="expected a class of messages"):
        MessageCodec(wrong)
