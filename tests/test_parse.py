"""`parse`: raw data for value objects of several fields, with every problem and its path."""

import pickle
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Generic, TypeVar

import pytest
from attrs import Attribute, field, frozen
from attrs.validators import ge
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from domainkit import InvalidValueObject, UnsupportedTypeError, Uuid, ValueObject, parse

T = TypeVar("T")


class Sku(ValueObject[str]): ...


class OrderId(Uuid): ...


@frozen
class Money:
    amount: Decimal = field(validator=ge(Decimal(0)))
    currency: str = "EUR"


@frozen
class Range:
    start: date
    end: date = field()

    @end.validator
    def _is_later(self, _: "Attribute[date]", end: date) -> None:
        if end < self.start:
            raise ValueError("the end is before the start")


@frozen
class Offer:
    sku: Sku
    price: Money
    days: tuple[Range, ...] = ()


@frozen
class Pair(Generic[T]):
    left: T
    right: T


class Many(ValueObject[tuple[T, ...]]): ...


@frozen
class Tree:
    children: "tuple[Tree, ...]" = ()


def problems(cls: type[T], raw: object) -> list[tuple[str, str]]:
    """Return path and code of all problems."""
    return [(problem.path, problem.code) for problem in parse(cls, raw).failure().problems]


def test_a_mapping_in_the_form_of_json_becomes_an_object() -> None:
    """Each field takes the form that it has in JSON, defaults where it is absent, and keys of its own are ignored."""
    raw = {"sku": "a", "price": {"amount": "1.50"}, "days": [{"start": "2024-01-01", "end": "2024-01-02"}], "more": 1}
    expected = Offer(Sku("a"), Money(Decimal("1.50")), (Range(date(2024, 1, 1), date(2024, 1, 2)),))
    assert Success(expected) == parse(Offer, raw)


def test_objects_are_taken_at_every_depth() -> None:
    """An object of the right type already stays, such as a date, a value object or the whole."""
    day = Range(date(2024, 1, 1), date(2024, 1, 2))
    offer = Offer(Sku("a"), Money(Decimal(1)), (day,))
    assert Success(offer) == parse(Offer, {"sku": Sku("a"), "price": offer.price, "days": (day,)})
    assert Success(day) == parse(Range, {"start": date(2024, 1, 1), "end": "2024-01-02"})
    assert Success(offer) == parse(Offer, offer)


def test_every_problem_has_its_path() -> None:
    """A Failure lists all that is wrong, and its text names the class."""
    raw = {"price": {"amount": 5, "currency": None}, "days": [{"start": "2024-01-01"}, 7]}
    assert [
        ("$.sku", "missing"), ("$.price.amount", "type"), ("$.price.currency", "type"), ("$.days[0].end", "missing"),
        ("$.days[1]", "type"),
    ] == problems(Offer, raw)  # fmt: skip  # one list
    assert str(parse(Offer, 5).failure()).startswith("InvalidValueObject [{'message': 'Offer: $: expected Offer")


def test_the_sentence_of_a_rule_is_told() -> None:
    """A validator's text is in the problem, unless it repeats a part of the value."""
    found = parse(Range, {"start": "2024-01-02", "end": "2024-01-01"}).failure().problems
    assert ["a valid Range: the end is before the start"] == [problem.expected for problem in found]
    (problem,) = parse(Money, {"amount": "-1"}).failure().problems
    assert problem.expected == "a valid Money: 'amount' must be >= 0"


def test_generic_classes_with_their_arguments_and_value_objects() -> None:
    """The argument counts; a value object of one field and an id are parsed as well."""
    pair: Any = Pair[int]
    assert Success(Pair(1, 2)) == parse(pair, {"left": 1, "right": 2})
    assert [("$.right", "type")] == problems(pair, {"left": 1, "right": "2"})
    assert Success(Pair(1, 2)) == parse(pair, Pair(1, 2))
    assert [("$.right", "type")] == problems(pair, Pair(1, "2"))
    many: Any = Many[int]
    assert Success(Many((1,))) == parse(many, Many((1,)))
    assert [("$[0]", "type")] == problems(many, Many(("1",)))
    assert Success(Sku("a")) == parse(Sku, "a")
    assert isinstance(parse(OrderId, "no id"), Failure)


def test_the_error_is_a_value() -> None:
    """It is equal by its problems, hashable and picklable."""
    error = parse(Money, {}).failure()
    assert error == pickle.loads(pickle.dumps(error)) == parse(Money, {}).failure()
    assert hash(error) == hash(parse(Money, {}).failure())
    assert error != InvalidValueObject(additional_info=error.additional_info)


def test_data_that_holds_itself_is_a_failure() -> None:
    """Data without an end is a problem with the code `limit`."""
    ring: dict[str, object] = {}
    ring["children"] = [ring]
    assert [("$", "limit")] == problems(Tree, ring)


def test_a_class_that_cannot_be_carried_is_refused_by_name() -> None:
    """It is a programmer's mistake: it raises."""

    @frozen
    class Odd:
        what: complex

    with pytest.raises(UnsupportedTypeError, match=r"Odd\.what: expected a type with a wire form, got complex"):
        parse(Odd, {})


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.floats(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_parse_is_total(raw: object) -> None:
    """Any data gives a Result."""
    assert isinstance(parse(Offer, raw), Success | Failure)
    assert isinstance(parse(Offer, {"sku": raw, "price": raw, "days": raw}), Failure)
    assert isinstance(raw, Mapping) or isinstance(parse(Money, raw), Failure)
