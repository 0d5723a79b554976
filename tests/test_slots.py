"""Objects made, read and written by their slots: in C and in Python, with one result.

What is asked of C alone stands in test_fast.py; that everything else holds without it is what test_pure.py finds out.
"""

import copy
import inspect
import pydoc
from abc import ABC, abstractmethod
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, Self, get_type_hints

import pytest
from attrs import field, frozen
from attrs.validators import ge, lt, matches_re, max_len, min_len
from forms import anything, both_forms, compiled_only, in_c, in_python, outcome
from hypothesis import given
from hypothesis import strategies as st

from domainkit import InvalidValueObject, Uuid, ValueObject
from domainkit._speedups.slots import maker, maker_of

Form = Callable[[Callable[[], Any]], Any]  # Any: each test knows what it makes
"""Calls a function that makes something of slots: where C is at hand, or where it is not."""


class Point:
    __slots__ = ("x", "y")

    x: object
    y: object

    def __init__(self) -> None:
        raise AssertionError("no constructor runs")


class Loose(Point):
    """It has a __dict__."""


class Counted:
    __slots__ = ("number",)

    number: int

    def __new__(cls, *args: object) -> Self:
        raise AssertionError("no constructor runs")


class Shape(ABC):
    __slots__ = ("name",)

    name: str

    @abstractmethod
    def area(self) -> int: ...


class Failed(Exception):
    __slots__ = ("reason",)

    reason: str


class Half:
    __slots__ = ("whole",)

    whole: int
    plain = 1

    @property
    def half(self) -> float:
        return self.whole / 2

    @half.setter
    def half(self, half: int) -> None:
        self.whole = 2 * half


@both_forms
class TestMaker:
    @pytest.mark.parametrize("cls", [Point, Loose])
    def test_it_sets_the_slots_and_runs_no_constructor(self, form: Form, cls: type[Point]) -> None:
        """The object is of the class that was given; each of its slots has its value, in the order of the names."""
        made = form(lambda: maker(cls, "y", "x"))(1, 2)
        assert (cls, 1, 2) == (type(made), made.y, made.x)

    def test_slots_that_it_does_not_name_stay_empty(self, form: Form) -> None:
        """A slot without a value is an attribute that is missing."""
        made = form(lambda: maker(Point, "x"))(1)
        with pytest.raises(AttributeError, match="y"):
            _ = made.y
        assert isinstance(form(lambda: maker(Point))(), Point)
        assert isinstance(form(lambda: maker(object))(), object)

    def test_a_class_makes_its_objects_in_its_own_way(self, form: Form) -> None:
        """A __new__ of the class isn't called either."""
        made = form(lambda: maker(Counted, "number"))(5)
        assert (Counted, 5) == (type(made), made.number)

    @pytest.mark.parametrize(("cls", "name"), [(Shape, "name"), (Failed, "reason")])
    def test_what_object_cannot_make_is_refused(self, form: Form, cls: type, name: str) -> None:
        """An abstract class has no objects, and those of an exception's class aren't safe to make so."""
        make = form(lambda: maker(cls, name))
        assert outcome(lambda: object.__new__(cls)) == outcome(lambda: make(1))

    def test_what_is_no_slot(self, form: Form) -> None:
        """A property is set as a slot is; what can't be set is refused."""
        assert 6 == form(lambda: maker(Half, "half"))(3).whole
        with pytest.raises(AttributeError):
            form(lambda: maker(Half, "plain"))

    def test_a_slot_of_another_class_is_refused(self, form: Form) -> None:
        """At the latest when an object would be made."""
        slots = (Point.__dict__["x"],)
        with pytest.raises(TypeError):
            form(lambda: maker_of(Half, slots))(1)

    @pytest.mark.parametrize(
        ("values", "named"), [((1,), {}), ((1, 2, 3), {}), ((), {"x": 1, "y": 2}), ((1,), {"y": 2})]
    )
    def test_it_takes_one_value_per_slot(self, form: Form, values: tuple[int, ...], named: dict[str, int]) -> None:
        """Fewer, more, or values by name are an error."""
        make = form(lambda: maker(Point, "x", "y"))
        with pytest.raises(TypeError):
            make(*values, **named)


class Broken:
    """A bound that can't be compared with anything."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __le__(self, other: object) -> bool:
        raise self.error("no comparison")


class Undecided:
    """A bound whose comparison has an answer that is neither true nor false."""

    def __le__(self, other: object) -> Any:  # Any: Python allows every answer
        return Undecided()

    def __bool__(self) -> bool:
        raise ValueError("undecided")


def value_classes() -> tuple[type[ValueObject[Any]], ...]:
    """Return classes of value objects, of each kind of constructor: made anew, each time by the same names."""

    class Note(ValueObject[str]): ...

    class Id(Uuid): ...

    class Flag(ValueObject[bool]): ...

    class Either(ValueObject[int | str]): ...

    class Numbers(ValueObject[tuple[int, ...]]): ...

    @frozen
    class Title(ValueObject[str]):
        """A title."""

        value: str = field(validator=[min_len(2), max_len(4)])

    @frozen
    class Sku(ValueObject[str]):
        value: str = field(validator=matches_re("[a-z]+"))

    @frozen
    class Quantity(ValueObject[int]):
        value: int = field(validator=[ge(0), lt(9)])

    @frozen
    class Price(ValueObject[Decimal]):  # to compare a NaN raises
        value: Decimal = field(validator=ge(Decimal(0)))

    @frozen
    class Odd(ValueObject[int]):
        value: int = field(validator=ge(Broken(ValueError)))  # type: ignore[assignment]  # on purpose

    @frozen
    class Vague(ValueObject[int]):
        value: int = field(validator=ge(Undecided()))  # type: ignore[assignment]  # on purpose

    return Note, Id, Flag, Either, Numbers, Title, Sku, Quantity, Price, Odd, Vague


IN_C, IN_PYTHON = in_c(value_classes), in_python(value_classes)


def title(form: Form) -> type[ValueObject[str]]:
    """Return the class Title in one form."""
    found: type[ValueObject[str]] = next(one for one in form(value_classes) if one.__name__ == "Title")
    return found


class TestConstructor:
    @compiled_only
    @given(value=anything, named=st.booleans())
    def test_it_makes_or_refuses_the_same(self, value: object, named: bool) -> None:
        """Whatever a class is given, an object or an error comes of it that has nothing to do with the form."""
        for pair in zip(IN_C, IN_PYTHON, strict=True):
            compiled, python = (outcome(partial(cls, value=value) if named else partial(cls, value)) for cls in pair)
            assert compiled == python

    @compiled_only
    def test_the_property_above_compares_two_forms(self) -> None:
        """Most constructors are compiled in one list, and none in the other."""
        assert {"function"} == {type(one.__init__).__name__ for one in IN_PYTHON}
        assert "Maker" == type(IN_C[0].__init__).__name__
        assert 9 == sum(type(one.__init__).__name__ == "Maker" for one in IN_C)

    @compiled_only
    @pytest.mark.parametrize(
        ("args", "kwargs"), [((), {}), (("ab", "cd"), {}), ((), {"text": "ab"}), (("ab",), {"value": "ab"})]
    )
    def test_wrong_calls_have_the_same_error(self, args: tuple[str, ...], kwargs: dict[str, str]) -> None:
        """Python says what is missing or too much."""
        found = [outcome(partial(title(form), *args, **kwargs)) for form in (in_c, in_python)]
        assert found[0] == found[1]
        assert TypeError is found[0][0]

    @both_forms
    def test_what_a_function_tells_of_itself(self, form: Form) -> None:
        """`inspect`, `typing` and `help` find what they find of a function; so does who prints it."""
        cls = title(form)
        init: Any = cls.__init__
        assert "(value: str) -> None" == str(inspect.signature(cls))
        assert "(self, value: str) -> None" == str(inspect.signature(init))
        assert {"value": str, "return": None} == init.__annotations__
        assert {"value": str, "return": type(None)} == get_type_hints(init)
        assert ("__init__", f"{cls.__qualname__}.__init__", None) == (init.__name__, init.__qualname__, init.__doc__)
        assert f"{cls.__qualname__}.__init__" == init.__qualname__
        assert inspect.isroutine(init)

    @compiled_only
    def test_help_is_the_same(self) -> None:
        """`help(Title)` is the same text; only where a function is from, Python 3.13 says of functions alone."""
        compiled, python = (pydoc.plain(pydoc.render_doc(title(form))) for form in (in_c, in_python))
        assert "__init__(self, value: str) -> None" in compiled
        assert python.replace("None from value_classes.<locals>.Title", "None") == compiled

    @both_forms
    def test_it_is_a_method(self, form: Form) -> None:
        """Bound to an object, it sets the slot of that one: also again, and for a subclass."""
        cls = title(form)
        made: Any = type("Sub", (cls,), {"__slots__": ()})("ab")
        init = made.__init__
        assert made is init.__self__
        assert init("cd") is None
        assert "cd" == made.value

    @both_forms
    def test_an_object_of_another_class_is_left_alone(self, form: Form) -> None:
        """As with every method: the slot belongs to value objects."""
        init: Any = title(form).__init__
        with pytest.raises(TypeError, match="descriptor 'value' for 'Wrapper' objects doesn't apply to a 'Point'"):
            init(object.__new__(Point), "ab")

    @both_forms
    def test_what_is_no_exception_goes_through(self, form: Form) -> None:
        """Ctrl-C while a rule looks at a value stops it."""

        def make() -> type[ValueObject[int]]:
            @frozen
            class Slow(ValueObject[int]):
                value: int = field(validator=ge(Broken(KeyboardInterrupt)))  # type: ignore[assignment]  # on purpose

            return Slow

        with pytest.raises(KeyboardInterrupt):
            form(make)(1)

    @both_forms
    def test_the_objects_are_values(self, form: Form) -> None:
        """Equal ones have one hash; copies and pickles of them are equal."""
        cls = title(form)
        one, other = cls("ab"), cls(value="ab")
        assert one == other
        assert hash(one) == hash(other)
        assert one == copy.copy(one) == copy.deepcopy(one)
        again: Any = object.__new__(cls)  # so that the class need not be found by its name, as pickle does
        again.__setstate__(one.__getstate__())
        assert one == again

    @both_forms
    def test_the_constructor_is_copied(self, form: Form) -> None:
        """A class that is copied by value, for another process, has a constructor that does the same."""
        cls = title(form)
        again = copy.copy(cls.__init__)
        made = object.__new__(cls)
        again(made, "ab")
        assert cls("ab") == made
        with pytest.raises(InvalidValueObject):
            again(made, "a")
