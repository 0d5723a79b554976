"""Collections: every item is looked at, nothing is lost, equal sets give equal bytes."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from uuid import UUID

import pytest
from attrs import frozen
from every_kind import Colour, Level, OrderId, Price, Quantity, Sku, Title
from holders import PATH, envelope, holder, problems_of, read, rewritten, short, unwritable

ID = OrderId.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")


class Point(NamedTuple):
    x: int
    y: int


WRITTEN: list[tuple[Any, Any, Any]] = [
    (tuple[int, ...], (), []),
    (tuple[int, ...], (1, 2), [1, 2]),
    (tuple[()], (), []),
    (tuple[int, Title, OrderId], (1, Title("a"), ID), [1, "a", str(ID)]),
    (tuple[int, str], (1, "a"), [1, "a"]),
    (tuple[int, int], Point(1, 2), [1, 2]),
    (tuple[int, ...], Point(1, 2), [1, 2]),
    (tuple[tuple[Title, ...], ...], ((Title("a"),), ()), [["a"], []]),
    (frozenset[int], frozenset(), []),
    (frozenset[int], frozenset({10, 9, 2}), [10, 2, 9]),
    (frozenset[Title], frozenset({Title("b"), Title("a")}), ["a", "b"]),
    (frozenset[tuple[int, ...]], frozenset({(2,), (1, 1)}), [[1, 1], [2]]),
    (Mapping[str, int], {}, {}),
    (Mapping[str, int], {"b": 1, "a": 2}, {"b": 1, "a": 2}),
    (Mapping[str, int], OrderedDict(a=1), {"a": 1}),
    (Mapping[str, int], MappingProxyType({"a": 1}), {"a": 1}),
    (Mapping[Sku, Price], {Sku(""): Price(Decimal(0))}, {"": "0"}),
    (Mapping[OrderId, tuple[Quantity, ...]], {ID: (Quantity(0),)}, {str(ID): [0]}),
    (Mapping[UUID, int], {ID.value: 1}, {str(ID): 1}),
    (Mapping[int, str], {-5: "a", 10**30: "b"}, {"-5": "a", "1" + "0" * 30: "b"}),
    (Mapping[Quantity, str], {Quantity(0): "a"}, {"0": "a"}),
    (Mapping[Level, int], {Level.HIGH: 1}, {"2": 1}),
    (Mapping[Colour, int], {Colour.RED: 1}, {"red": 1}),
    (Mapping[Literal[1, 2], int], {2: 1}, {"2": 1}),
    (Mapping[Decimal, int], {Decimal("1.50"): 1}, {"1.50": 1}),
    (Mapping[bytes, int], {b"a": 1}, {"YQ==": 1}),
    (Mapping[date, int], {date(2021, 12, 28): 1}, {"2021-12-28": 1}),
    (Mapping[time, int], {time(14): 1}, {"14:00:00": 1}),
    (Mapping[datetime, int], {datetime(2021, 12, 28, tzinfo=UTC): 1}, {"2021-12-28T00:00:00Z": 1}),
    (Mapping[timedelta, int], {timedelta(1): 1}, {"P1D": 1}),
    (Mapping[str, Mapping[str, Title]], {"a": {"b": Title("c")}}, {"a": {"b": "c"}}),
]


@pytest.mark.parametrize(("hint", "value", "wire"), WRITTEN, ids=short)
def test_collections_come_back(hint: Any, value: object, wire: object) -> None:
    """A collection of anything that has a wire form has one, at every depth; the keys of an object are text."""
    assert wire == rewritten(value, hint)


UNWRITABLE: list[tuple[Any, Any, list[tuple[str, str]]]] = [
    (tuple[int, ...], [1], [("", "type")]),
    (tuple[int, ...], (1, "2", None), [("[1]", "type"), ("[2]", "type")]),
    (tuple[int, str], (1,), [("", "type")]),
    (tuple[int, str], [1, "a"], [("", "type")]),
    (tuple[int, str], ("a", 1), [("[0]", "type"), ("[1]", "type")]),
    (frozenset[int], {1}, [("", "type")]),
    (frozenset[str], frozenset({"a", "\ud800"}), [("[*]", "value")]),
    (frozenset[int], frozenset({"a"}), [("[*]", "type")]),
    (Mapping[str, int], [("a", 1)], [("", "type")]),
    (Mapping[str, int], {1: 1, "b": "2"}, [("[key 0]", "type"), ("[1]", "type")]),
    (Mapping[OrderId, int], {ID.value: 1}, [("[key 0]", "type")]),
    (Mapping[str, int], {"\ud800": 1}, [("[key 0]", "value")]),
]


@pytest.mark.parametrize(("hint", "value", "expected"), UNWRITABLE, ids=short)
def test_what_does_not_belong_in_a_collection_is_not_written(
    hint: Any, value: object, expected: list[tuple[str, str]]
) -> None:
    """An item or key of another type is refused, with its place; so is another collection than the type says."""
    problems = unwritable(holder(hint), value)
    assert [(PATH + path, code) for path, code in expected] == [(problem.path, problem.code) for problem in problems]


def test_keys_that_are_no_text_are_refused_in_builtins() -> None:
    """from_dict takes what came from JSON, whose keys are text."""
    cls = holder(Mapping[int, int])
    problems = problems_of(lambda: cls.from_dict(envelope(cls, {1: 1})))
    assert [(f"{PATH}[key 0]", "type")] == [(problem.path, problem.code) for problem in problems]


def test_any_mapping_of_builtins_is_read() -> None:
    """from_dict takes mappings of every class, and tuples for lists."""
    cls = holder(Mapping[str, tuple[int, ...]])
    assert {"a": (1,)} == cls.from_dict(envelope(cls, MappingProxyType({"a": (1,)}))).field


def test_mappings_come_back_read_only() -> None:
    """A mapping is frozen after decoding, also in a class of attrs that is no model of this library."""

    @frozen
    class Basket:
        prices: Mapping[str, int]

    found = read(holder(Basket), {"prices": {"a": 1}})
    with pytest.raises(TypeError, match="read-only"):
        found.prices["a"] = 2


def test_a_plain_class_may_hold_a_dict() -> None:
    """A class of attrs alone keeps the dict that it was given; it is written as any mapping."""

    @frozen
    class Basket:
        prices: Mapping[str, int]

    assert {"prices": {"a": 1}} == rewritten(Basket({"a": 1}), Basket)


def test_looking_for_problems_ends_where_no_more_are_listed() -> None:
    """In a long array or object the second pass stops at the limit of problems."""
    for hint, value in [
        (tuple[int, ...], ["x"] * 10_000),
        (frozenset[int], ["x"] * 10_000),
        (Mapping[str, int], dict.fromkeys(map(str, range(10_000)), "x")),
    ]:
        cls = holder(hint)
        assert 100 == len(problems_of(lambda cls=cls, value=value: cls.from_json(json.dumps(envelope(cls, value)))))
