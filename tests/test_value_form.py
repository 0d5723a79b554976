"""The values of any type as JSON text."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from attrs import field, frozen
from attrs.validators import ge
from every_kind import Title
from forms import Text

from domainkit import AggregateRoot, Uuid
from domainkit.states import StoredStateError
from domainkit.value_form import ValueForm


class PageId(Uuid): ...


@frozen
class Line:
    """A line."""

    text: str
    size: int = field(default=1, validator=ge(1))


def _next(number: int) -> int:
    return number + 1


@frozen
class Counted:
    """A class whose constructor makes something else of its own values."""

    number: int = field(converter=_next)


@frozen(eq=False)
class Unequal:
    """A class whose objects are equal to themselves alone."""


@frozen
class Page(AggregateRoot[PageId]):
    title: Title


@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (int, 10**30, "1000000000000000000000000000000"),
        (int | None, None, "null"),
        (Decimal, Decimal("1.10"), '"1.10"'),
        (tuple[Line, int], (Line("a"), 2), '[{"text":"a","size":1},2]'),
        (Mapping[str, Line], {"b": Line("c")}, '{"b":{"text":"c","size":1}}'),
        (Line, Line(Text("a")), '{"text":"a","size":1}'),
        (Title, Title("a"), '"a"'),
    ],
)
def test_a_value_of_any_type_is_written_and_read(hint: Any, value: object, text: str) -> None:
    """A builtin, a union, a collection, a class, a value object; a text of a subclass is a text."""
    form: ValueForm[object] = ValueForm(hint)
    assert text == form.write(value)
    assert value == form.read(text)


def test_an_aggregate_is_written_with_its_id() -> None:
    """Its id and version are fields like the others."""
    form, page = ValueForm(Page), Page(Title("a"))
    assert page == form.read(form.write(page))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"\$: expected JSON"),
        ("[" * 100_000, r"\$: expected JSON"),
        ("[]", r"\$: expected Line"),
        ('{"text":1}', r"\$.text: expected str"),
        ('{"text":"a","size":0}', r"\$.size: "),
    ],
)
def test_what_cannot_be_read_says_where(text: str, problem: str) -> None:
    """Each problem with its path, and no value."""
    with pytest.raises(StoredStateError, match=problem):
        ValueForm(Line).read(text)


@pytest.mark.parametrize(
    ("hint", "value", "problem"),
    [
        (float, float("nan"), r"float: expected a state that can be read back, .*: \$: expected a finite number"),
        (Line, 5, r"Line: expected a state that can be read back, .*: \$: expected Line"),
        (Counted, Counted(0), r"Counted: expected a state .*: \$.number: expected a value that the converter of the "),
        (Unequal, Unequal(), r"Unequal: expected a state .*: \$: expected a value that is equal when it is read back"),
        (str, "\ud800", r"str: expected a state that can be read back, .*: \$: "),
    ],
)
def test_what_could_not_be_read_back_is_not_written(hint: Any, value: object, problem: str) -> None:
    """A ValueError with the type and the path."""
    form: ValueForm[object] = ValueForm(hint)
    with pytest.raises(ValueError, match=problem):
        form.write(value)


def test_the_shape_has_names_and_types_and_no_docstrings() -> None:
    """A field that is called `description` is a part of it."""

    @frozen
    class Note:
        """A text that says nothing about the shape."""

        description: str

    shape = ValueForm(Note).shape
    assert '"description":{"type":"string"}' in shape
    assert "says nothing" not in shape
