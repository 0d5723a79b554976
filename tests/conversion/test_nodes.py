"""The rules that all nodes share."""

import pytest
from every_kind import Title

from domainkit.conversion.nodes import MISSING, Problems, json_kind
from domainkit.conversion.scalars import SCALARS


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (None, "null"), (True, "bool"), (0, "int"), (0.0, "float"), ("", "str"), ([], "array"), ((), "array"),
        ({}, "object"), (object(), "object"), (Title("a"), "object"), (type("Text", (str,), {})("x"), "str"),
    ],
)  # fmt: skip  # a row
def test_kinds_of_json(data: object, kind: str) -> None:
    """Each builtin has the name that JSON gives it; text is text, whatever its class."""
    assert kind == json_kind(data)


def test_problems_are_counted_up_to_the_limit() -> None:
    """No more problems than the limit are kept; each addition gives MISSING."""
    problems = Problems(2)
    assert not problems.full
    for number in range(4):
        assert MISSING is problems.add(f"$[{number}]", "int", "type")
    assert ["$[0]", "$[1]"] == [problem.path for problem in problems]
    assert Problems(0).full


def test_where_wire_and_object_are_the_same_nothing_is_made() -> None:
    """The loader of text hands it on."""
    text = "x" * 100
    assert text is SCALARS[str].load(text)
