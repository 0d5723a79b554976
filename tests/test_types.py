"""Does a value fit a type: exactly, inside collections too."""

import sys
import uuid
from collections.abc import Hashable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Annotated, Any, ForwardRef, Literal, NewType, TypeVar, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypeAliasType

from domainkit._model.mapping import FrozenMapping
from domainkit._model.type_checks import bare, describe, exact_classes, fits, members


class Colour(Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


UserName = NewType("UserName", str)
T = TypeVar("T")
Bounded = TypeVar("Bounded", bound=date)
Constrained = TypeVar("Constrained", int, str)
Late = TypeVar("Late", bound="Nowhere")  # type: ignore[name-defined]  # noqa: F821  # it is never defined
Names = TypeAliasType("Names", tuple[str, ...])


def of(generic: Any, *arguments: Any) -> Any:
    """Return `generic[arguments]`, made at run time, where type checkers don't look."""
    return generic[arguments if len(arguments) > 1 else arguments[0]]


SAMPLES: dict[type, object] = {
    NoneType: None,
    bool: True,
    int: 5,
    float: 5.5,
    complex: 5j,
    str: "5",
    bytes: b"5",
    bytearray: bytearray(b"5"),
    Decimal: Decimal(5),
    date: date(2021, 12, 28),
    datetime: datetime(2021, 12, 28, tzinfo=UTC),
    time: time(14, 11),
    timedelta: timedelta(5),
    uuid.UUID: uuid.UUID(int=5),
    tuple: (5,),
    list: [5],
    dict: {5: 5},
    frozenset: frozenset({5}),
    set: {5},
    Colour: Colour.RED,
    type: int,
}
PAIRS = [(cls, value) for cls in SAMPLES for value in SAMPLES.values()]


class TestPrimitives:
    @pytest.mark.parametrize(("cls", "value"), PAIRS, ids=lambda x: x.__name__ if isinstance(x, type) else repr(x))
    def test_matrix(self, cls: type, value: object) -> None:
        """Each type takes the values of its own class alone; a float takes an int too, as type checkers have it.

        So True is no int, a datetime no date, a bytearray no bytes, and None nothing but None.
        """
        expected = type(value) is cls or (cls is float and type(value) is int)
        assert expected == fits(value, cls)

    @given(value=st.one_of(*(st.from_type(cls) for cls in (bool, int, float, str, bytes, Decimal, date, datetime))))
    def test_own_class(self, value: object) -> None:
        """Any value fits its own class, and the class is known to fit without a second look."""
        assert fits(value, type(value))
        assert {type(value)} == exact_classes(type(value))

    def test_subclasses(self) -> None:
        """An instance of a subclass is a value of the class, where the language doesn't blur two kinds of values."""
        assert fits(Text("a"), str)
        assert fits(True, bool | str)
        assert fits(True, Hashable)
        assert fits(datetime(2021, 12, 28, tzinfo=UTC), Hashable)
        assert not fits(True, float)
        assert not fits(True, complex)
        assert not fits(True, int | date)


class TestComposites:
    @pytest.mark.parametrize(
        ("value", "hint"),
        [
            (None, None),
            (None, str | None),
            ("a", str | None),
            ("a", Literal["a", 1]),
            (1, Literal["a", 1]),
            ((), tuple[int, ...]),
            ((1, 2), tuple[int, ...]),
            ((1, "a"), tuple[int, str]),
            ((), tuple[()]),
            (frozenset({1}), frozenset[int]),
            ({"a": 1}, Mapping[str, int]),
            (FrozenMapping({"a": (1,)}), Mapping[str, tuple[int, ...]]),
            ({}, Mapping[str, int]),
            (int, type[int]),
            ("a", Annotated[str, "note"]),
            ("a", UserName),
            ("a", Annotated[UserName | None, "note"]),
            (("a",), Names),
            (date(2021, 12, 28), Bounded),
            (1, Constrained),
            ("a", Constrained),
            (1, T),
            (1, Late),
            (1, Any),
            (1, object),
            ((1, None), tuple[int, int | None]),
        ],
    )
    def test_fitting(self, value: object, hint: object) -> None:
        """A value fits if its items do: in tuples, frozensets, mappings, unions, Annotated, NewType and aliases."""
        assert fits(value, hint)

    @pytest.mark.parametrize(
        ("value", "hint"),
        [
            (None, str),
            (None, T),
            (None, Late),
            (None, Any),
            (None, object),
            (None, Literal["a"]),
            (1, Literal[True]),
            (True, Literal[1]),
            ("b", Literal["a"]),
            ([1], tuple[int, ...]),
            (("1",), tuple[int, ...]),
            ((True,), tuple[int, ...]),
            ((1,), tuple[int, str]),
            ((1, "a", 2), tuple[int, str]),
            ((1,), tuple[()]),
            ({1}, frozenset[int]),
            (frozenset({"a"}), frozenset[int]),
            ({"a": "1"}, Mapping[str, int]),
            ({1: 1}, Mapping[str, int]),
            ([("a", 1)], Mapping[str, int]),
            (1, UserName),
            (1, Names),
            ((1,), Names),
            (datetime(2021, 12, 28, tzinfo=UTC), Bounded),
            (b"a", Constrained),
            (True, Constrained),
            ("a", ForwardRef("str")),
            ("a", "str"),
        ],
    )
    def test_not_fitting(self, value: object, hint: object) -> None:
        """A value doesn't fit if one of its items doesn't, or if the type can't be known."""
        assert not fits(value, hint)

    @given(value=st.tuples(st.integers(), st.text()), other=st.sampled_from([True, 1.5, None, b"", Decimal(1)]))
    def test_one_wrong_item(self, value: tuple[int, str], other: object) -> None:
        """One wrong item is enough, wherever it stands."""
        assert fits({"key": (value, value)}, Mapping[str, tuple[tuple[int, str], ...]])
        assert not fits({"key": (value, (value[0], other))}, Mapping[str, tuple[tuple[int, str], ...]])
        assert not fits({"key": (value, (other, value[1]))}, Mapping[str, tuple[tuple[int, str], ...]])


class TestNames:
    @pytest.mark.parametrize(
        ("hint", "expected"),
        [
            (int, "int"),
            (None, "None"),
            (str | None, "str | None"),
            (of(Union, int, None, str), "int | None | str"),
            (tuple[int, ...], "tuple[int, ...]"),
            (Mapping[str, int], "Mapping[str, int]"),
            (Annotated[int, "note"], "int"),
            (UserName, "str"),
            (Names, "tuple[str, ...]"),
            (Colour, "Colour"),
            (Any, "Any"),
            (Literal["a"], "Literal['a']"),
            (Bounded, "date"),
            (T, "~T"),
        ],
    )
    def test_describe(self, hint: object, expected: str) -> None:
        """A type is described as a person would write it."""
        assert expected == describe(hint)

    def test_members(self) -> None:
        """The members of a union are found through Annotated, NewType and nested unions."""
        assert (int, str, NoneType) == members(Annotated[int | UserName | None, "note"])
        assert (int,) == members(int)
        assert (NoneType,) == members(None)

    def test_exact_classes(self) -> None:
        """Only what a look at the class settles is settled by it."""
        assert {int, NoneType} == exact_classes(int | None | tuple[str, ...])
        assert set() == exact_classes(T)

    def test_bare(self) -> None:
        """A wrapper around a type is taken off; a type variable stands for its bound or constraints."""
        assert str is bare(Annotated[UserName, "note"])
        assert date is bare(Bounded)
        assert of(Union, int, str) == bare(Constrained)
        assert T is bare(T)
        assert Late is bare(Late)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 brought the statement `type X = ...` (PEP 695)")
def test_recursive_alias() -> None:
    """An alias that names itself is followed as deep as the value goes."""
    names: dict[str, Any] = {}
    exec("type Json = None | str | tuple[Json, ...]", names)
    assert fits(("a", ("b", (None,))), names["Json"])
    assert not fits(("a", ("b", (1,))), names["Json"])
