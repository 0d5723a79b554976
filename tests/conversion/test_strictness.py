"""The whole matrix: every kind of field against every kind of JSON value, on every way in."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from every_kind import Card, Colour, Level, Line, Nickname, OrderId, Pair, Price, Quantity, Ratio, Title, Transfer, Tree
from holders import PATH, holder, read, refused
from msgspec import Meta

from domainkit import Tagged

JSON: dict[str, Any] = {
    "null": None,
    "true": True,
    "integer": 7,
    "float": 1.5,
    "text": "text",
    "empty text": "",
    "array": [],
    "array of one": [{"a": 1}],
    "object": {},
    "object of one": {"a": [1]},
}
"""A value of every JSON kind, none of them in the form that a type other than the obvious one reads."""

NUMBERS, TEXTS = ("integer", "float"), ("text", "empty text")
ARRAYS, OBJECTS = ("array", "array of one"), ("object", "object of one")
V, T, M = "value", "type", "missing"

FIELDS: list[tuple[Any, dict[str, str | None]]] = [
    # the type, and the code by JSON kind: None where it is read; all that isn't named is of a wrong type
    (str, dict.fromkeys(TEXTS)),
    (int, {"integer": None}),
    (bool, {"true": None}),
    (float, dict.fromkeys(NUMBERS)),
    (type(None), {"null": None}),
    (UUID, dict.fromkeys(TEXTS, V)),
    (bytes, {"text": None, "empty text": None}),  # "text" is base64 too
    (date, dict.fromkeys(TEXTS, V)),
    (datetime, dict.fromkeys(TEXTS, V)),
    (time, dict.fromkeys(TEXTS, V)),
    (timedelta, dict.fromkeys(TEXTS, V)),
    (Decimal, dict.fromkeys(TEXTS, V)),
    (Colour, dict.fromkeys(TEXTS, V)),
    (Level, {"integer": V}),
    (Literal["a", 3], {"integer": V, "text": V, "empty text": V}),
    (Literal["a"] | None, {"null": None, "text": V, "empty text": V}),
    (Nickname, dict.fromkeys(TEXTS)),
    (Annotated[int, Meta(ge=0, le=5)], {"integer": V}),
    (Annotated[str, Meta(min_length=1)], {"text": None, "empty text": V}),
    (OrderId, dict.fromkeys(TEXTS, V)),
    (Title, {"text": None, "empty text": V}),
    (Quantity, {"integer": None}),
    (Price, dict.fromkeys(TEXTS, V)),
    (Ratio, dict.fromkeys(NUMBERS)),
    (Title | None, {"null": None, "text": None, "empty text": V}),
    (Title | Quantity | None, {"null": None, "integer": None, "text": None, "empty text": V}),
    (int | str, {"integer": None, "text": None, "empty text": None}),
    (bool | int, {"true": None, "integer": None}),
    (float | None, {"null": None, "integer": None, "float": None}),
    (tuple[int, ...], {"array": None, "array of one": T}),
    (tuple[int, Title], {"array": V, "array of one": V}),
    (tuple[()], {"array": None, "array of one": V}),
    (frozenset[str], {"array": None, "array of one": T}),
    (Mapping[str, int], {"object": None, "object of one": T}),
    (Mapping[OrderId, int], {"object": None, "object of one": V}),
    (Line, {"object": M, "object of one": M}),
    (Tree, {"object": M, "object of one": M}),
    (Pair[int], {"object": M, "object of one": M}),
    (Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)], {"object": M, "object of one": M}),
]


@pytest.mark.parametrize("kind", JSON)
@pytest.mark.parametrize(("hint", "codes"), FIELDS, ids=[str(hint) for hint, _ in FIELDS])
def test_every_kind_of_field_against_every_kind_of_json(hint: Any, codes: dict[str, str | None], kind: str) -> None:
    """A field reads the JSON kinds of its type alone; another is a problem at its path, with the code `type`."""
    cls, value = holder(hint), JSON[kind]
    code = codes.get(kind, T)
    if code is None:
        read(cls, value)
        return
    problems = refused(cls, value)
    assert code == problems[0].code
    assert problems[0].path == PATH or problems[0].path.startswith((f"{PATH}.", f"{PATH}["))
    if kind not in codes:
        assert [(PATH, T)] == [(problem.path, problem.code) for problem in problems]


INSIDE: list[tuple[Any, Any, list[tuple[str, str]]]] = [
    (tuple[int, ...], [1, "2", 3, True], [("[1]", "type"), ("[3]", "type")]),
    (tuple[int, Title, UUID], ["1", "", "x"], [("[0]", "type"), ("[1]", "value"), ("[2]", "value")]),
    (tuple[int, int], [1], [("", "value")]),
    (tuple[int, int], [1, 2, 3], [("", "value")]),
    (tuple[tuple[int, ...], ...], [[1], [2, None]], [("[1][1]", "type")]),
    (frozenset[int], [1, "2"], [("[1]", "type")]),
    (frozenset[int], [1, 2, 1], [("", "duplicate")]),
    (frozenset[OrderId], ["a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11", "A7F8FB8E-6A0B-4F3E-9A55-1D6F0C2B4E11"],
     [("", "duplicate")]),
    (frozenset[Decimal], ["1.0", "1.00"], [("", "duplicate")]),
    (Mapping[str, int], {"a": 1, "b": "2"}, [("[1]", "type")]),
    (Mapping[int, int], {"x": 1, "2": 2}, [("[key 0]", "value")]),
    (Mapping[int, int], {"01": 1}, [("[key 0]", "value")]),
    (Mapping[int, int], {"0": 1, "-0": 2}, [("", "duplicate")]),
    (Mapping[UUID, int], {"a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11": 1, "A7F8FB8E6A0B4F3E9A551D6F0C2B4E11": 2},
     [("", "duplicate")]),
    (Mapping[OrderId, str], {"a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11": "a", "A7F8FB8E6A0B4F3E9A551D6F0C2B4E11": "b"},
     [("", "duplicate")]),
    (Mapping[Decimal, int], {"1.0": 1, "1.00": 2}, [("", "duplicate")]),
    (Mapping[datetime, int], {"2021-12-28T14:11:47Z": 1, "2021-12-28T15:11:47+01:00": 2}, [("", "duplicate")]),
    (Mapping[Title, int], {"": 1}, [("[key 0]", "value")]),
    (Mapping[Colour, Price], {"red": "1", "green": "1", "blue": 1}, [("[key 1]", "value"), ("[2]", "type")]),
    (Mapping[Level, int], {"1": 1, "3": 1}, [("[key 1]", "value")]),
    (Line, {"sku": 1, "quantity": -1, "price": "x", "note": 0},
     [(".sku", "type"), (".quantity", "value"), (".price", "value"), (".note", "type")]),
    (Line, {"quantity": 1, "price": "1"}, [(".sku", "missing")]),
    (Tree, {"name": "a", "children": [{"name": "b", "children": [{"name": 1}]}]},
     [(".children[0].children[0].name", "type")]),
    (Pair[Title], {"left": "a", "right": ""}, [(".right", "value")]),
    (Pair[Pair[int]], {"left": {"left": 1, "right": 1}, "right": {"left": 1, "right": "1"}},
     [(".right.right", "type")]),
    (Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)], {"kind": "cheque"},
     [(".kind", "value")]),
    (Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)], {"kind": 1}, [(".kind", "type")]),
    (Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)], {"kind": "card", "number": 1},
     [(".number", "type")]),
    (Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)] | None, {"kind": "card"},
     [(".number", "missing")]),
    (Annotated[tuple[int, ...], Meta(min_length=1, max_length=2)], [], [("", "value")]),
    (Annotated[tuple[int, ...], Meta(min_length=1, max_length=2)], [1, 2, 3], [("", "value")]),
    (Annotated[tuple[int, ...], Meta(max_length=0)], [1], [("", "value")]),
    (Annotated[Mapping[str, int], Meta(min_length=1)], {}, [("", "value")]),
    (Annotated[int, Meta(ge=1)] | None, 0, [("", "value")]),
    (Annotated[Title, Meta(max_length=3)], "four", [("", "value")]),
    (Annotated[Decimal, Meta(pattern=r"^\d+\.\d\d$")], "1.5", [("", "value")]),
    (Mapping[Annotated[str, Meta(max_length=3)], int], {"four": 1}, [("[key 0]", "value")]),
]  # fmt: skip  # a row for each


@pytest.mark.parametrize(("hint", "value", "expected"), INSIDE)
def test_problems_inside_of_a_field_have_their_paths(hint: Any, value: Any, expected: list[tuple[str, str]]) -> None:
    """Each item, key and field inside of a field is checked as strictly, and all problems are listed."""
    found = [(problem.path, problem.code) for problem in refused(holder(hint), value)]
    assert [(PATH + path, code) for path, code in expected] == found


FORMS: list[tuple[Any, list[str], list[str]]] = [
    # the type, the texts that are read, and those that are refused
    (UUID, ["a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11", "A7F8FB8E6A0B4F3E9A551D6F0C2B4E11"],
     ["{a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11}", "urn:uuid:a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11", "a7f8fb8e", " "]),
    (bytes, ["", "YQ==", "YWI=", "YWJj"], ["YQ", "YQ=", "Y Q==", "YQ==\n", "-_8=", "ä"]),
    (date, ["2021-12-28", "0001-01-01", "9999-12-31", "2024-02-29"],
     ["20211228", "2021-1-2", "2021-02-29", "0000-01-01", "2021-12-28T00:00:00", "2021-12-28 ", "2021-W52-2"]),
    (datetime, ["2021-12-28T14:11:47Z", "2021-12-28 14:11:47z", "2021-12-28T14:11:47.5+05:30",
                "2021-12-28T14:11:47.845618-23:59", "2021-12-28T14:11:47.845618000Z", "0001-01-01T00:00:00+10:00"],
     ["2021-12-28T14:11:47", "2021-12-28T14:11:47.8456189Z", "2021-12-28T14:11:47.0000001Z", "2021-12-28T14:11:47.Z",
      "2021-12-28T14:11:47,5Z", "2021-12-28T24:00:00Z", "2021-12-28T23:59:60Z", "2021-12-28T14:11Z",
      "2021-12-28T14:11:47+24:00", "2021-12-28T14:11:47+00:00:30", "2021-12-28", "1640700707", "now"]),
    (time, ["14:11:47", "14:11:47.845618", "14:11:47.8456180", "14:11:47Z", "14:11:47+05:30"],
     ["14:11", "24:00:00", "14:11:60", "14:11:47.8456181", "23:59:59.9999999", "T14:11:47", "2 pm"]),
    (timedelta, ["P1DT2.5S", "PT0S", "-P1D", "PT1H1M1S", "PT1.500000000S", "P999999999DT86399.999999S"],
     ["P1W", "P1Y", "P1M", "P", "PT", "P1DT", "PT1.0000001S", "P0.5D", "PT0.5H", "PT1,5S", "P9999999999D", "1",
      "P-1D"]),
    (Decimal, ["0", "-0", "12.50", "+5", "007", "1E+5", "1e5", "1.5E-300", "1E+999999999999999999", "9" * 3000],
     ["NaN", "sNaN", "Infinity", "-Infinity", "1_0", " 1", "1 ", "1\n", ".5", "5.", "1e", "0x1", "\uff11", "1,5", "--1",
      "1E+9999999999999999999"]),
]  # fmt: skip  # a row for each


@pytest.mark.parametrize(("hint", "text"), [(hint, text) for hint, good, _ in FORMS for text in good])
def test_the_forms_of_text_that_are_read(hint: Any, text: str) -> None:
    """A text in JSON is read in the forms of its standard, and comes back equal once written."""
    cls = holder(hint)
    event = cls(read(cls, text))
    assert event == cls.from_json(event.json())


@pytest.mark.parametrize(("hint", "text"), [(hint, text) for hint, _, bad in FORMS for text in bad])
def test_the_forms_of_text_that_are_refused(hint: Any, text: str) -> None:
    """Any other form is refused; no digit of a fraction is rounded away."""
    assert [(PATH, "value")] == [(problem.path, problem.code) for problem in refused(holder(hint), text)]
