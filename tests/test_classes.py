"""Annotations and bases of a class: resolved, with type arguments put in."""

import sys
import textwrap
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from types import ModuleType, NoneType
from typing import Annotated, Any, ClassVar, ForwardRef, Generic, Literal, TypeVar, Union

import postponed
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypeAliasType
from typing_extensions import TypeVar as DefaultedTypeVar

from domainkit import AggregateRoot, Uuid, ValueObject
from domainkit._model.annotations import (
    UnresolvedAnnotationError,
    own_annotations,
    parameters_of,
    substitute,
    type_arguments,
    type_of,
    unaliased,
)

T = TypeVar("T")
K = TypeVar("K")
D = DefaultedTypeVar("D", default=Decimal)
DD = DefaultedTypeVar("DD", default=tuple[D, ...])


def of(generic: Any, *arguments: Any) -> Any:
    """Return `generic[arguments]`, made at run time, where type checkers don't look."""
    return generic[arguments if len(arguments) > 1 else arguments[0]]


class Page(Generic[T]):
    items: tuple[T, ...]
    total: "int"
    shared: ClassVar[str] = ""
    shared_too: "ClassVar[str]" = ""


class Named(Page[K], Generic[K, T]):
    name: K
    other: T


class Full(Named[str, bytes]):
    flag: bool


class Defaulted(Generic[D, DD]):
    first: D
    rest: DD


class Nested:
    class Inner: ...

    Alias = tuple[Inner, ...]

    inner: "Inner"
    alias: "Alias"
    itself: "Nested | None"


class Shadowed:
    date: "date"
    datetime: "datetime | None" = None

    def Decimal(self) -> None:  # noqa: N802  # called as the type is
        """Stand in the way of the type, to a careless eye."""

    number: "Decimal"  # type: ignore[valid-type]  # mypy, too, finds the method


def module_of(source: str, name: str = "made_by_a_test") -> ModuleType:
    """Return a module with this source, found by name as an imported one is."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(textwrap.dedent(source), module.__dict__)
    return module


class TestOwnAnnotations:
    def test_class_variables_are_left_out(self) -> None:
        """The fields of a class are its annotations without class variables, also where these are written as text."""
        assert ("items", "total") == own_annotations(Page)

    def test_inherited_ones_are_left_out(self) -> None:
        """Only the body of the class itself counts."""
        assert ["name", "other"] == list(own_annotations(Named))
        assert () == own_annotations(type("Empty", (Page,), {}))

    def test_bare_class_var(self) -> None:
        """A ClassVar without an argument is a class variable too."""
        cls = type("Holder", (), {"__annotations__": {"counter": ClassVar, "field": int}})
        assert ("field",) == own_annotations(cls)


class TestTypeOf:
    @pytest.mark.parametrize(
        ("cls", "name", "expected"),
        [
            (Page, "total", int),
            (Page, "items", of(tuple, T, ...)),
            (Page[bytes], "total", int),
            (Full, "items", tuple[str, ...]),
            (Full, "name", str),
            (Full, "other", bytes),
            (Full, "flag", bool),
            (Named, "items", of(tuple, K, ...)),
            (Defaulted, "first", Decimal),
            (Defaulted, "rest", tuple[Decimal, ...]),
            (Nested, "inner", Nested.Inner),
            (Nested, "alias", tuple[Nested.Inner, ...]),
            (Nested, "itself", of(Union, Nested, None)),
            (Shadowed, "date", date),
            (Shadowed, "datetime", of(Union, datetime, None)),
            (Shadowed, "number", Decimal),
            (postponed.MeetingPlanned, "date", date),
            (postponed.Meeting, "follows", of(Union, postponed.Meeting, None)),
            (postponed.Meeting, "rooms", Annotated[Mapping[str, Mapping[str, int]], "by floor"]),
            (postponed.Meeting, "aggregate_id", postponed.MeetingId),
            (postponed.Agenda, "value", tuple[postponed.Item, ...]),
            (postponed.Item, "children", tuple[postponed.Item, ...]),
        ],
    )
    def test_resolved(self, cls: Any, name: str, expected: object) -> None:
        """A field's type is known with its names looked up and the arguments of generic bases put in.

        A field or method may be called as a type is: the type is found all the same.
        """
        assert expected == type_of(getattr(cls, "__origin__", cls), name)

    def test_arguments_of_the_class_itself(self) -> None:
        """The parameters of the class are replaced by the arguments that are given for it."""
        assert tuple[int, ...] == type_of(Page, "items", {T: int})
        assert tuple[bytes, ...] == type_of(Named, "items", {K: bytes, T: int})
        assert tuple[int, ...] == type_of(Defaulted, "rest", {D: int})

    def test_unknown_name(self) -> None:
        """A name that can't be found is an error that names class, field and remedy, and no crash elsewhere."""
        with pytest.raises(UnresolvedAnnotationError, match=r"^Share\.part: .*'Fraction'.*define it in the module.*"):
            type_of(postponed.Share, "part")
        assert Mapping[str, int] == type_of(postponed.Share, "by_name")

    def test_module_imported_in_part(self) -> None:
        """An attribute that a module doesn't have yet is a name that can't be found yet."""
        module = module_of("""
            import decimal as money
            class Price:
                amount: "money.Later"
        """)
        with pytest.raises(UnresolvedAnnotationError, match=r"^Price\.amount: "):
            type_of(module.Price, "amount")

    def test_no_module(self) -> None:
        """A class whose module can't be found has the builtins, and itself."""
        cls = type("Lost", (), {"__module__": "never.imported", "__annotations__": {"a": "int", "b": "Lost"}})
        assert int is type_of(cls, "a")
        assert cls is type_of(cls, "b")

    def test_no_annotation(self) -> None:
        """A field without an annotation has no known type, and the error says so."""
        with pytest.raises(UnresolvedAnnotationError, match=r"^Full has no annotation for 'missing'$"):
            type_of(Full, "missing")

    def test_forward_reference_as_an_argument(self) -> None:
        """`AggregateRoot["TaskId"]` is known as soon as TaskId is, and until then not taken for anything else."""
        module = module_of("""
            from domainkit import AggregateRoot, Uuid
            class Task(AggregateRoot["TaskId"]): ...
        """)
        with pytest.raises(UnresolvedAnnotationError, match=r"^Task\.aggregate_id: .*TaskId"):
            type_of(module.Task, "aggregate_id")
        exec("class TaskId(Uuid): ...", module.__dict__)
        assert module.TaskId is type_of(module.Task, "aggregate_id")

    def test_text_that_is_no_reference(self) -> None:
        """The text in a Literal or beside a type in Annotated is not looked up."""

        class Choice(ValueObject[Annotated[Literal["missing"], "absent"]]): ...

        assert Annotated[Literal["missing"], "absent"] == type_of(Choice, "value")

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 brought type parameters (PEP 695)")
    def test_type_parameters(self) -> None:
        """Type parameters written as PEP 695 has them are found, also where annotations are strings."""
        module = module_of("""
            from __future__ import annotations
            from attrs import frozen
            from domainkit import ValueObject
            @frozen
            class Box[T](ValueObject[tuple[T, ...]]):
                value: tuple[T, ...]
            class Texts(Box[str]): ...
        """)
        assert tuple[str, ...] == type_of(module.Texts, "value")
        assert module.Texts(("a",)) == module.Texts(("a",))


class TestTypeArguments:
    def test_through_the_bases(self) -> None:
        """The arguments that a class gives for the parameters of a base are found through all classes between."""
        assert {T: str} == type_arguments(Full, Page)
        assert {K: str, T: bytes} == type_arguments(Full, Named)

    def test_none_given(self) -> None:
        """A parameter that is left open stands for its default, or else for itself."""
        assert {D: Decimal, DD: tuple[Decimal, ...]} == type_arguments(type("Bare", (Defaulted,), {}), Defaulted)
        assert {T: T} == type_arguments(type("Bare", (Page,), {}), Page)
        assert [Uuid] == list(type_arguments(type("Bare", (AggregateRoot,), {}), AggregateRoot).values())

    def test_no_base(self) -> None:
        """A class gives nothing to itself, or to a class that is no base of it."""
        assert {} == type_arguments(Page, Page)
        assert {} == type_arguments(Nested, Page)


HINTS = st.recursive(
    st.sampled_from([int, str, bytes, NoneType, Decimal, T, K, Literal["a"], Any]),
    lambda inner: st.one_of(
        inner.map(lambda hint: of(tuple, hint, ...)),
        inner.map(lambda hint: of(frozenset, hint)),
        inner.map(lambda hint: of(Annotated, hint, "note")),
        inner.map(lambda hint: of(Page, hint)),
        inner.map(lambda hint: of(Callable, [int], hint)),
        st.tuples(inner, inner).map(lambda pair: of(Mapping, *pair)),
        st.tuples(inner, inner).map(lambda pair: of(Union, *pair)),
    ),
    max_leaves=8,
)


class TestSubstitute:
    @pytest.mark.parametrize(
        ("hint", "expected"),
        [
            (T, int),
            (of(tuple, T, ...), tuple[int, ...]),
            (of(Mapping, K, T), Mapping[str, int]),
            (of(Union, T, None), of(Union, int, None)),
            (of(list, T) | None, of(Union, list[int], None)),
            (of(Annotated, T, "note"), Annotated[int, "note"]),
            (of(Page, T), Page[int]),
            (of(type, T), type[int]),
            (of(Callable, [int], T), Callable[[int], int]),
            (int, int),
            (Page, Page),
            (tuple[()], tuple[()]),
        ],
    )
    def test_replaced(self, hint: object, expected: object) -> None:
        """A type variable is replaced wherever it stands; a type without any stays as it is."""
        assert expected == substitute(hint, {T: int, K: str})

    @given(hint=HINTS)
    def test_nothing_left(self, hint: object) -> None:
        """After a substitution for all variables no variable is left, and a second one changes nothing."""
        once = substitute(hint, {T: int, K: str})
        assert () == parameters_of(once)
        assert once == substitute(once, {T: bytes, K: bytes})

    @given(hint=HINTS)
    def test_identity(self, hint: object) -> None:
        """A substitution that says nothing of a type's variables gives an equal type."""
        assert hint == substitute(hint, {})


Names = TypeAliasType("Names", tuple[str, ...])
Several = TypeAliasType("Several", tuple[T, ...], type_params=(T,))
Twice = TypeAliasType("Twice", Several[Several[T]], type_params=(T,))


class TestUnaliased:
    def test_alias(self) -> None:
        """An alias that is an object of its own (PEP 695) is seen through, with its arguments put in."""
        assert tuple[str, ...] == unaliased(Names)
        assert tuple[int, ...] == unaliased(Several[int])
        assert tuple[Several[int], ...] == unaliased(Twice[int])

    def test_anything_else(self) -> None:
        """An annotation that isn't an alias stays as it is."""
        assert int is unaliased(int)
        assert tuple[str, ...] == unaliased(tuple[str, ...])
        assert ForwardRef("Later") == unaliased(ForwardRef("Later"))

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 brought the statement `type X = ...` (PEP 695)")
    def test_statement(self) -> None:
        """The statement `type X = ...` is seen through, once the names in it are known."""
        module = module_of("type Later[T] = Mapping[Key, T]")
        with pytest.raises(NameError, match=r"^name 'Mapping' is not defined"):
            unaliased(module.Later[int])
        module.__dict__.update(Mapping=Mapping, Key=str)
        assert Mapping[str, int] == unaliased(module.Later[int])
