"""Unions told apart by a tag, and wire types inside of others."""

from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from attrs import evolve, frozen
from msgspec import Meta

from domainkit import DomainEvent, InvalidMessage, Tagged, ValueObject


class Title(ValueObject[str]): ...


@frozen
class Card:
    number: str


@frozen
class Transfer:
    iban: str


Payment = Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)]


@frozen
class Paid(DomainEvent):
    by: Payment
    earlier: tuple[Payment, ...] = ()
    maybe: Payment | None = None
    limits: Mapping[str, tuple[str, ...]] | None = None
    wide: Annotated[int | bool, Meta(description="any")] | Title | None = None
    either: Payment | int | None = None
    pair: tuple[tuple[str, ...], int] = ((), 0)


def problems_of(error: InvalidMessage) -> list[tuple[str, str]]:
    """Return path and code of each problem."""
    return [(problem.path, problem.code) for problem in error.problems]


def refused(by: object) -> list[tuple[str, str]]:
    """Return the problems of an event with this in the place of a tagged object."""
    data = Paid(Card("1")).dict()
    with pytest.raises(InvalidMessage) as raised:
        Paid.from_dict({"data": {**data["data"], "attributes": {"by": by}}})
    return problems_of(raised.value)


def test_each_class_comes_back_as_itself() -> None:
    """The tag says which class an object is, at every place."""
    event = Paid(Card("1"), (Transfer("DE"), Card("2")), Transfer("FR"), {"day": ("1", "2")}, Title("x"), Card("3"))
    assert event == Paid.from_json(event.json()) == Paid.from_dict(event.dict())
    for wide, either in ((5, 6), (True, None), (None, Transfer("ES"))):
        other = evolve(event, wide=wide, either=either)
        assert other == Paid.from_json(other.json()) == Paid.from_dict(other.dict())
    assert {"kind": "card", "number": "1"} == event.dict()["data"]["attributes"]["by"]


@pytest.mark.parametrize(
    ("by", "problem"),
    [
        ({"number": "1"}, ("$.data.attributes.by.kind", "missing")),
        ({"kind": "cash"}, ("$.data.attributes.by.kind", "value")),
        ({"kind": 1}, ("$.data.attributes.by.kind", "type")),
        ({"kind": "card"}, ("$.data.attributes.by.number", "missing")),
        ({"kind": "card", "number": 1}, ("$.data.attributes.by.number", "type")),
        ("card", ("$.data.attributes.by", "type")),
        (None, ("$.data.attributes.by", "type")),
    ],
)
def test_what_is_wrong_has_its_path(by: object, problem: tuple[str, str]) -> None:
    """A tag that is missing, unknown or of another type, and what is wrong below it, is a problem at its path."""
    assert [problem] == refused(by)


def test_an_object_of_another_class_is_not_written() -> None:
    """A value of a class outside of the union is refused when it is written, with its path."""
    wrong: Any = Paid(Card("1"), earlier=(5,))  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidMessage) as raised:
        wrong.json()
    assert [("$.data.attributes.earlier[0]", "type")] == problems_of(raised.value)


def test_a_member_with_a_wrong_field_is_not_written() -> None:
    """The problem has the path of the field, and not of the union alone."""
    wrong: Any = 5
    with pytest.raises(InvalidMessage) as raised:
        Paid(Card(wrong)).json()
    assert [("$.data.attributes.by.number", "type")] == problems_of(raised.value)


def test_a_wrong_collection_inside_of_another_is_not_written() -> None:
    """A list where a tuple belongs is refused when it is written, also inside of a tuple."""
    wrong: Any = Paid(Card("1"), pair=(["1"], 1))  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidMessage) as raised:
        wrong.json()
    assert [("$.data.attributes.pair[0]", "type")] == problems_of(raised.value)


@pytest.mark.parametrize(
    "classes", [{}, {"card": Card}, {"card": Card, "other": Card}], ids=["none", "one", "one with two names"]
)
def test_a_tag_names_each_class_once(classes: dict[str, type]) -> None:
    """Tagged refuses fewer than two classes, and one with two names."""
    with pytest.raises(TypeError, match="name each class of the union once"):
        Tagged("kind", **classes)
