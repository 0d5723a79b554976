"""Value objects and ids."""

import copy
import inspect
import itertools
import pickle
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import new_class
from typing import Any, Final, Generic, Literal, Protocol, SupportsInt, TypeVar, get_args, get_origin

import attrs
import postponed
import pytest
from attrs import define, field, frozen
from attrs.validators import ge, in_, lt, matches_re, max_len, min_len
from holders import short
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Result, Success
from typing_extensions import TypeVar as DefaultedTypeVar

from domainkit import (
    DomainError,
    FieldSerializer,
    InvalidUuid,
    InvalidValueObject,
    NotAllowed,
    NotFound,
    Uuid,
    ValueObject,
    fold,
)
from domainkit._model.mapping import FrozenMapping
from domainkit.values import unwrapped

T = TypeVar("T")
X = TypeVar("X")
K = TypeVar("K")
D = DefaultedTypeVar("D", default=int)
UUID_TEXT = "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"


def of(generic: Any, *arguments: Any) -> Any:
    """Return `generic[arguments]`, made at run time, where type checkers don't look."""
    return generic[arguments if len(arguments) > 1 else arguments[0]]


def lower(text: str) -> str:
    """Return the text in lower case."""
    return text.lower()


def in_order(items: Any) -> tuple[Any, ...]:
    """Return a tuple of the sorted items."""
    return tuple(sorted(items))


def as_dict(mapping: Mapping[str, int]) -> Mapping[str, int]:
    """Return a dict, as a converter may."""
    return dict(mapping)


class Note(ValueObject[str]): ...


class Memo(ValueObject[str]): ...


class SubNote(Note): ...


@frozen
class Title(ValueObject[str]):
    value: str = field(validator=[min_len(3), max_len(20)])


class ShortTitle(Title): ...


@frozen
class UpperTitle(Title):
    value: str = field(validator=matches_re(r"[A-Z]+"))


@frozen(slots=False)
class Slotless(ValueObject[str]):
    value: str = field(validator=min_len(3))


@frozen(slots=False)
class SlotlessNote(ValueObject[str]):
    value: str


@define
class Defined(ValueObject[str]):
    value: str = field(validator=min_len(3))


@frozen
class Email(ValueObject[str]):
    value: str = field(converter=lower, validator=matches_re(r"[^@]+@[^@]+"))


class WorkEmail(Email): ...


@frozen
class Language(ValueObject[str]):
    value: str = "en"


class SpokenLanguage(Language): ...


@frozen
class Batch(ValueObject[tuple[int, ...]]):
    value: tuple[int, ...] = field(factory=tuple)


@frozen
class Even(ValueObject[int]):
    value: int

    def __attrs_post_init__(self) -> None:
        if self.value % 2:
            raise ValueError("an odd number")


class EvenAbove(Even): ...


@frozen
class Quantity(ValueObject[int]):
    value: int = field(validator=[ge(0), lt(1000)])


class Price(ValueObject[Decimal]): ...


class Flag(ValueObject[bool]): ...


class Ratio(ValueObject[float]): ...


class Day(ValueObject[date]): ...


class Moment(ValueObject[datetime]): ...


class Raw(ValueObject[bytes]): ...


class Maybe(ValueObject[str | None]): ...


class Size(ValueObject[Literal["s", "m"]]): ...


class Colour(Enum):
    RED = "red"


class Paint(ValueObject[Colour]): ...


class Stock(ValueObject[Mapping[str, Mapping[str, int]]]): ...


@frozen
class Shelf(ValueObject[Mapping[str, int]]):
    value: Mapping[str, int] = field(converter=as_dict, validator=min_len(1))


class Nested(ValueObject[tuple[Note, ...]]): ...


class Box(ValueObject[T], Generic[T]): ...


@frozen
class CheckedBox(Box[T]):
    value: T = field()

    @value.validator
    def _check(self, _: object, value: T) -> None:
        if isinstance(value, bytes):
            raise ValueError("no bytes, please")  # noqa: TRY004  # the reason is what matters


class IntBox(Box[int]): ...


class CheckedIntBox(CheckedBox[int]): ...


class DefaultBox(ValueObject[D], Generic[D]): ...


class Anything(ValueObject[T]): ...


@frozen
class Forbidden(ValueObject[str]):
    value: str = field()

    @value.validator
    def _check(self, _: object, value: str) -> None:
        if value in ("rude", "not in here"):
            raise ERROR


@frozen
class Named(ValueObject[str, NotAllowed]):
    value: str = field()

    @value.validator
    def _check(self, _: object, value: str) -> None:
        if value == "rude":
            raise ERROR


class BelowNamed(Named): ...


@frozen
class NamedTwice(ValueObject[str, NotFound | NotAllowed]):
    value: str = field(validator=Named._check)


@frozen
class OfAnyError(ValueObject[str, X], Generic[X]):
    value: str = field(validator=Named._check)


class NamedBelow(OfAnyError[NotAllowed]): ...


ERROR = NotAllowed(additional_info={"message": "not in here"})


class TaskId(Uuid): ...


class UserId(Uuid): ...


@frozen
class OrderId(Uuid):
    """An id that must be of version 7."""

    value: uuid.UUID = field()

    @value.validator
    def _check(self, _: object, value: uuid.UUID) -> None:
        if value.version != 7:
            raise ValueError("of version 7, please")


@frozen
class ForbiddenId(Uuid):
    value: uuid.UUID = field()

    @value.validator
    def _check(self, _: object, __: uuid.UUID) -> None:
        raise ERROR


@frozen
class InvalidId(Uuid):
    value: uuid.UUID = field()

    @value.validator
    def _check(self, _: object, __: uuid.UUID) -> None:
        raise InvalidValueObject


SAMPLES: list[ValueObject[Any]] = [
    Note("abc"), Memo("abc"), SubNote("abc"), Title("abc"), ShortTitle("abc"), UpperTitle("ABC"), Slotless("abc"),
    Defined("abc"), Email("A@b"), WorkEmail("a@b"), Language(), SpokenLanguage(), Batch((1, 2)), Even(2), EvenAbove(2),
    Quantity(2), Price(Decimal(2)), Flag(True), Ratio(2.0), Day(date(2021, 12, 28)),
    Moment(datetime(2021, 12, 28, tzinfo=UTC)), Raw(b"abc"), Maybe(None), Maybe("abc"), Size("s"), Paint(Colour.RED),
    Stock({"a": {"b": 1}}), Shelf({"a": 1}), Nested((Note("abc"),)), Box("abc"), IntBox(2), CheckedIntBox(2),
    DefaultBox(2), Forbidden("kind"), Uuid(uuid.UUID(int=5)), TaskId(uuid.UUID(int=5)), UserId(uuid.UUID(int=5)),
    OrderId.v7(), SlotlessNote("abc"),
]  # fmt: skip  # one table
each = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)


def refused(result: Result[Any, DomainError]) -> str:
    """Return the message of the refusal in a Failure."""

    def message(error: DomainError) -> str:
        assert error.additional_info is not None
        return str(error.additional_info["message"])

    return fold(result, lambda made: pytest.fail(f"{made!r} was let through"), message)


class TestValue:
    @each
    def test_equal_by_exact_type_and_value(self, sample: ValueObject[Any]) -> None:
        """A value object equals one of exactly its class with an equal value, and nothing else."""
        again = type(sample)(copy.deepcopy(sample.value))
        assert again == sample
        assert hash(again) == hash(sample)
        assert [sample] == [other for other in SAMPLES if other == sample]
        assert sample != sample.value
        assert (sample == sample.value) is False

    @given(first=st.integers(0, 20), second=st.integers(0, 20))
    def test_equality_is_that_of_the_values(self, first: int, second: int) -> None:
        """Of one class, value objects are equal if and only if their values are; equal ones hash alike."""
        assert (first == second) == (Quantity(first) == Quantity(second))
        assert (first == second) == (hash(Quantity(first)) == hash(Quantity(second)))
        other: object = IntBox(first)
        assert other != Quantity(first)

    @each
    def test_frozen(self, sample: ValueObject[Any]) -> None:
        """No attribute can be set or deleted, whether it exists or not."""
        before = repr(sample)
        for name in ("value", "other"):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(sample, name, "changed")
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                delattr(sample, name)
        assert before == repr(sample)

    @each
    def test_pickle_and_copy(self, sample: ValueObject[Any]) -> None:
        """Pickling and copying give an equal value object of the same class."""
        copies = [pickle.loads(pickle.dumps(sample, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
        for copied in (*copies, copy.copy(sample), copy.deepcopy(sample)):
            assert type(sample) is type(copied)
            assert sample == copied
            assert hash(sample) == hash(copied)
            assert repr(sample) == repr(copied)

    @each
    def test_evolve_and_named_constructor(self, sample: ValueObject[Any]) -> None:
        """`from_value`, `parse`, `attrs.evolve` and the keyword give what the constructor gives."""
        cls: Any = type(sample)
        assert sample == cls.from_value(sample.value) == cls(value=sample.value) == attrs.evolve(sample)
        assert Success(sample) == cls.parse(sample.value)

    def test_repr(self) -> None:
        """It is shown as attrs shows a class."""
        assert "Title(value='Buy milk')" == repr(Title("Buy milk"))

    def test_rules_are_looked_at_again(self) -> None:
        """A copy with another value must pass the rules, too."""
        with pytest.raises(InvalidValueObject):
            attrs.evolve(Title("abc"), value="")

    def test_nothing_but_the_value(self) -> None:
        """The constructor takes one value, and Python itself says so."""
        for cls in (Note, Title, Email):
            make: Any = cls
            with pytest.raises(TypeError, match="missing 1 required positional argument: 'value'"):
                make()
            with pytest.raises(TypeError, match=r"positional arguments? but 3 were given"):
                make("abc", "def")
            with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
                make("abc", other=1)
            assert ["value"] == list(inspect.signature(make).parameters)
        assert "en" == inspect.signature(Language).parameters["value"].default

    def test_mappings_are_read_only(self) -> None:
        """A wrapped mapping is a read-only copy at every depth, made after a converter and with the rules checked."""
        given = {"a": {"b": 1}}
        stock = Stock(given)
        given["a"]["b"] = 2
        assert Stock({"a": {"b": 1}}) == stock
        assert [FrozenMapping] * 3 == [type(stock.value), type(stock.value["a"]), type(Shelf({"a": 1}).value)]
        assert "Shelf: Length of 'value' must be >= 1: 0" == refused(Shelf.parse({}))
        assert "Stock[0][0]: expected int, got str" == refused(Stock.parse({"a": {"b": "1"}}))


WRONG: list[tuple[type[ValueObject[Any]], str, list[object]]] = [
    (Note, "str", [5, True, None, b"abc", 5.0, ["a"], Colour.RED, Note("abc"), uuid.UUID(int=5)]),
    (Quantity, "int", [True, None, "5", 5.0, b"5", Decimal(5)]),
    (Flag, "bool", [1, 0, "true", None, b""]),
    (Ratio, "float", [True, "5.0", None, Decimal(5), 5j]),
    (Price, "Decimal", [5, 5.0, "5", None, True]),
    (Day, "date", [datetime(2021, 12, 28, tzinfo=UTC), "2021-12-28", None, 5]),
    (Moment, "datetime", [date(2021, 12, 28), "2021-12-28T00:00:00Z", None, 5]),
    (Raw, "bytes", ["abc", bytearray(b"abc"), memoryview(b"abc"), None]),
    (Maybe, "str | None", [5, b"abc", True]),
    (Size, "Literal['s', 'm']", ["l", None, 5]),
    (Paint, "Colour", ["red", None]),
    (Batch, "tuple[int, ...]", [None, 5, "12"]),
    (Nested, "tuple[test_values.Note, ...]", [(Memo("a"),), ("a",), [Note("a")], None]),
    (IntBox, "int", ["5", True, None]),
    (DefaultBox, "int", ["5", True, None]),
    (Box, "~T", [None]),
    (Even, "int", ["5", 5.5, None, True]),
    (Email, "str", [5, None, b"a@b"]),
    (Language, "str", [5, None, b"en"]),
]


TYPES = (bool, int, float, str, bytes, Decimal, date, datetime, uuid.UUID)


class TestStrictness:
    @pytest.mark.parametrize(
        ("cls", "name", "value"),
        [(cls, name, value) for cls, name, values in WRONG for value in values],
        ids=lambda x: x.__name__ if isinstance(x, type) else short(x),
    )
    def test_wrong_type(self, cls: type[ValueObject[Any]], name: str, value: object) -> None:
        """A value of another type is refused, never converted; the message names the class and both types.

        `None` is refused unless the type names it; True is no number, and a datetime no date.
        """
        found = "None" if value is None else type(value).__qualname__
        if cls is Nested and isinstance(value, tuple):  # it is the item that is wrong
            name, found = "Note", type(value[0]).__qualname__
        subject = "Nested[0]" if name == "Note" else cls.__name__
        expected = f"{subject}: expected {name.replace('test_values.', __name__ + '.')}, got {found}"
        assert expected == refused(cls.parse(value))
        with pytest.raises(InvalidValueObject) as caught:
            cls.from_value(value)
        assert expected == (caught.value.additional_info or {})["message"]

    @given(value=st.one_of(st.none(), *map(st.from_type, TYPES), st.builds(str, st.uuids())))
    def test_parse_is_total(self, value: object) -> None:
        """`parse` gives a Result for any value: the value object with that very value, or an error with a message."""
        for cls in {type(sample): None for sample in SAMPLES}:
            result = cls.parse(value)
            if isinstance(result, Failure):
                assert refused(result)
            elif issubclass(cls, Uuid):
                assert str(value).lower().replace("-", "") == result.unwrap().value.hex
            else:
                assert value is result.unwrap().value or isinstance(value, str)  # some write text in lower case

    def test_none_where_it_is_allowed(self) -> None:
        """`None` is a value if the type names it, and falsy values are values."""
        assert None is Maybe(None).value
        assert Success(Maybe(None)) == Maybe.parse(None)
        assert ["", 0, False] == [Note("").value, Quantity(0).value, Flag(False).value]

    def test_int_for_a_float(self) -> None:
        """An int is a float to every type checker; it is kept as it is."""
        assert (1, int) == (Ratio(1).value, type(Ratio(1).value))

    def test_subclass_of_the_type(self) -> None:
        """A value of a subclass of the wrapped type is one of that type."""

        class Loud(str):
            __slots__ = ()

        assert Loud is type(Note(Loud("abc")).value)
        assert Success(Nested((SubNote("a"),))) == Nested.parse((SubNote("a"),))


class TestRules:
    def test_reason(self) -> None:
        """A validator's reason is given after the name of the class."""
        assert "Title: Length of 'value' must be >= 3: 2" == refused(Title.parse("zz"))
        assert "Quantity: 'value' must be >= 0" == refused(Quantity.parse(-1))
        assert "UpperTitle: 'value' must match regex '[A-Z]+'" == refused(UpperTitle.parse("abc"))
        assert "Even: an odd number" == refused(Even.parse(3))

    def test_validators_are_inherited(self) -> None:
        """A subclass has the rules, converters, defaults and hooks of its base, under its own name."""
        assert "ShortTitle: Length of 'value' must be >= 3: 2" == refused(ShortTitle.parse("zz"))
        assert "WorkEmail: 'value' must match regex '[^@]+@[^@]+'" == refused(WorkEmail.parse("nowhere"))
        assert WorkEmail("a@b") == WorkEmail("A@B")
        assert "en" == SpokenLanguage().value
        assert "EvenAbove: an odd number" == refused(EvenAbove.parse(3))
        assert "CheckedIntBox: expected int, got bytes" == refused(CheckedIntBox.parse(b"a"))
        assert "CheckedBox: no bytes, please" == refused(CheckedBox.parse(b"a"))

    def test_a_field_of_its_own_replaces_that_of_the_base(self) -> None:
        """A subclass that says anew what `value` is says all of it, as everywhere in attrs."""
        assert "A" == UpperTitle("A").value

    def test_domain_error_of_a_validator(self) -> None:
        """A DomainError that a validator raises is let through unchanged by the constructor: the very object."""
        with pytest.raises(NotAllowed) as caught:
            Forbidden("rude")
        assert ERROR is caught.value

    def test_named_error(self) -> None:
        """One that the class names for E is in the Failure as it is."""
        for cls in (Named, BelowNamed, NamedTwice, NamedBelow):
            assert ERROR is cls.parse("rude").failure()
            assert None is ERROR.__traceback__
        assert Failure(InvalidValueObject(additional_info={"message": "Named: expected str, got int"})) == Named.parse(
            5
        )

    def test_unnamed_error(self) -> None:
        """One that it doesn't name is the cause of an InvalidValueObject, which has its reason."""
        refusal = Forbidden.parse("rude").failure()
        assert "Forbidden: not in here" == (refusal.additional_info or {})["message"]
        assert ERROR is refusal.__cause__
        assert None is refusal.__traceback__
        assert InvalidValueObject is type(refusal)
        assert "Forbidden: a validator refused the value (NotAllowed)" == refused(Forbidden.parse("not in here"))

    def test_unnamed_error_of_an_id(self) -> None:
        """An id becomes an InvalidUuid, whatever its validator raises."""
        refusals = [cls.parse(uuid.UUID(UUID_TEXT)).failure() for cls in (ForbiddenId, InvalidId)]
        assert [InvalidUuid, InvalidUuid] == [type(refusal) for refusal in refusals]
        assert [NotAllowed, InvalidValueObject] == [type(refusal.__cause__) for refusal in refusals]

    def test_domain_error_of_a_converter(self) -> None:
        """So is one that a converter raises."""
        closed = checked_by(None, raising(ERROR))
        assert ERROR is closed.parse("any").failure().__cause__

    def test_only_exceptions_are_refusals(self) -> None:
        """An interrupt in a validator is no refusal: it passes through."""
        with pytest.raises(KeyboardInterrupt):
            checked_by(raising(KeyboardInterrupt())).parse("any")

    def test_converter(self) -> None:
        """A converter runs first; what it gives is looked at, and what it can't take is refused by type."""
        assert "ada@example.org" == Email("Ada@Example.org").value
        assert "Email: expected str, got None" == refused(Email.parse(None))

        @frozen
        class Count(ValueObject[int]):
            value: int = field(converter=int, validator=lt(10))

        assert 5 == Count.from_value("5").value  # type: ignore[arg-type]  # the converter takes it, type checkers can't know
        assert "TestRules.test_converter.<locals>.Count: expected int, got str" == refused(Count.parse("five"))
        assert "TestRules.test_converter.<locals>.Count: 'value' must be < 10" == refused(Count.parse("50"))

    def test_converter_of_the_wrong_kind(self) -> None:
        """The outcome of a converter must be of the wrapped type."""
        assert "Code: expected str, got bytes" == refused(checked_by(None, str.encode).parse("any"))
        assert "Code: expected str, got bytes" == refused(checked_by(matches_re("a"), str.encode).parse("any"))

    def test_defaults(self) -> None:
        """A default or a factory stands in for a missing value; a factory that fails is a refusal."""
        assert (Language("en"), Batch(())) == (Language(), Batch())

        def fail() -> str:
            raise LookupError("no default today")

        @frozen
        class Late(ValueObject[str]):
            value: str = field(factory=fail)

        with pytest.raises(InvalidValueObject, match="Late: no default today"):
            Late()

    def test_hook_before(self) -> None:
        """`__attrs_pre_init__` is called, too."""
        seen: list[str] = []

        @frozen
        class Watched(ValueObject[str]):
            value: str

            def __attrs_pre_init__(self) -> None:
                seen.append("pre")

        Watched("abc")
        assert ["pre"] == seen


class TestShape:
    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (
                {"__annotations__": {"other": int}},
                r"^Odd\.other: a value object wraps one field, `value`; a value object of ",
            ),
            (
                {"__annotations__": {"value": str}, "value": field(init=False)},
                r"^Odd\.value: expected a positional argument, ",
            ),
            ({"__annotations__": {"value": str}, "value": field(kw_only=True)}, r"kw_only or alias; remove it$"),
            ({"__annotations__": {"value": str}, "value": field(alias="raw")}, r"kw_only or alias; remove it$"),
            ({"value": "text"}, r"^Odd\.value: the name is taken by an inherited field; to change its default, "),
            ({"value": property(len)}, r"^Odd\.value: the name is taken by an inherited field; "),
        ],
    )
    def test_refused(self, body: dict[str, Any], text: str) -> None:
        """A value object has one field, `value`, given as the one argument; anything else is refused at definition."""
        with pytest.raises(TypeError, match=text):
            frozen(type("Odd", (Note,), body))

    def test_a_mixin_that_hides_the_value(self) -> None:
        """A class beside it that has the name `value` would hide the value: it is refused."""
        mixin = type("Mixin", (), {"value": "text"})
        with pytest.raises(TypeError, match=r"^Odd\.value: the name is taken by ValueObject; give the attribute"):
            type("Odd", (mixin, Note), {})

    def test_without_slots(self) -> None:
        """If attrs can't set the value in a class without slots, the class is refused; else slots don't matter."""
        with pytest.raises(
            TypeError, match=r"\.Lower: expected a class with slots, got one without; remove slots=False$"
        ):

            @frozen(slots=False)
            class Lower(ValueObject[str]):
                value: str = field(converter=lower)

        @frozen(slots=False)
        class Plain(Email): ...

        assert "a@b" == Plain("A@B").value
        assert refused(Slotless.parse("a")).startswith("Slotless: Length")

    def test_uncheckable(self) -> None:
        """A type that no value can be checked for is refused at definition; a protocol made for it will do."""

        class Sized(Protocol):
            def size(self) -> int: ...

        with pytest.raises(TypeError, match=r"\.Odd\.value: expected a type that .*, got .*Sized.*@runtime_checkable"):

            class Odd(ValueObject[Sized | None]): ...

        class Named(ValueObject[SupportsInt]): ...

        assert ": expected SupportsInt, got str" in refused(Named.parse("5"))
        assert 5 == Named(5).value

    def test_local_class(self) -> None:
        """A value object may be defined in a function, and name its field's type as text."""

        @frozen
        class Local(ValueObject["str"]):
            value: "str" = field(validator=min_len(2))

        assert "ab" == Local("ab").value
        assert refused(Local.parse(1)).endswith("Local: expected str, got int")

    def test_final(self) -> None:
        """A field may be called Final, though every field is."""

        @frozen
        class Last(ValueObject[str]):
            value: Final[str] = field(validator=min_len(2))

        assert "ab" == Last("ab").value
        assert refused(Last.parse(5)).endswith("Last: expected str, got int")

    def test_type_defined_further_down(self) -> None:
        """A type that is defined after the class is found at the first instance."""
        assert "LateText: expected str, got int" == refused(postponed.LateText.parse(5))
        assert "abc" == postponed.LateText("abc").value

    def test_unknown_type(self) -> None:
        """A type that can't be found is an error that names the field, and not a refusal of the value."""

        class Lost(ValueObject["Nowhere"]): ...  # type: ignore[name-defined]  # on purpose

        with pytest.raises(
            NameError, match=r"Lost\.value: .*'Nowhere'.* names something that can't be found; define it in "
        ):
            Lost(1)

    def test_generic(self) -> None:
        """A generic value object takes anything but None; with an argument, or a default, it is strict."""
        assert ["abc", 5] == [Box("abc").value, Box[int](5).value]
        assert "IntBox: expected int, got str" == refused(IntBox.parse("5"))
        assert Box[int](5) == Box(5) != IntBox(5)
        assert "Anything: expected ~T, got None" == refused(Anything.parse(None))


class TestItems:
    """The text of a refusal names the item that is wrong, by its place."""

    @pytest.mark.parametrize(
        ("hint", "value", "text"),
        [
            (tuple[str, ...], ("a", 5), "It[1]: expected str, got int"),
            (tuple[str, int], ("a", None), "It[1]: expected int, got None"),
            (tuple[str, int], ("a",), "It: expected 2 items, got 1"),
            (tuple[()], ("a",), "It: expected 0 items, got 1"),
            (tuple[tuple[int, ...], ...], ((1,), (2, True)), "It[1][1]: expected int, got bool"),
            (frozenset[int], frozenset({"a"}), "It[*]: expected int, got str"),
            (Mapping[str, int], {"a": 1, "b": "c"}, "It[1]: expected int, got str"),
            (Mapping[str, int], {5: 1}, "It[key 0]: expected str, got int"),
            (tuple[int, ...] | None, ("a",), "It[0]: expected int, got str"),
            (tuple[int, ...] | frozenset[int], ("a",), "It[0]: expected int, got str"),
            (
                tuple[int, ...] | tuple[bytes, ...],
                ("a",),
                "It: expected tuple[int, ...] | tuple[bytes, ...], got tuple",
            ),
            (tuple[int, ...], [1], "It: expected tuple[int, ...], got list"),
            (Literal["s"], "l", "It: expected Literal['s'], got str"),
        ],
    )
    def test_place(self, hint: Any, value: object, text: str) -> None:
        """An index, a key by its place, or any item of a set; the collection itself where it is none of that type."""
        cls: Any = new_class("It", (of(ValueObject, hint),))
        assert text == refused(cls.parse(value))


@frozen
class NonEmpty(ValueObject[tuple[T, ...]], Generic[T]):
    value: tuple[T, ...] = field(validator=min_len(1))


@frozen
class Sorted(ValueObject[tuple[T, ...]], Generic[T]):
    value: tuple[T, ...] = field(converter=in_order)


@frozen
class Pair(ValueObject[tuple[K, T]], Generic[K, T]):
    value: tuple[K, T]


class TestGeneric:
    """A generic value object is checked with its arguments, where it is called by them."""

    def test_parse(self) -> None:
        """A wrong item is named by its place; a right one is kept."""
        assert Success(NonEmpty((Note("a"),))) == NonEmpty[Note].parse((Note("a"),))
        assert "NonEmpty[1]: expected Note, got int" == refused(NonEmpty[Note].parse((Note("a"), 5)))
        assert "NonEmpty: Length of 'value' must be >= 1: 0" == refused(NonEmpty[Note].parse(()))

    def test_other_ways(self) -> None:
        """The call and `from_value` raise; the keyword is the same."""
        of_notes: Any = NonEmpty[Note]
        assert NonEmpty((Note("a"),)) == of_notes((Note("a"),)) == of_notes(value=(Note("a"),))
        assert NonEmpty((Note("a"),)) == of_notes.from_value((Note("a"),))
        for make in (of_notes, of_notes.from_value, lambda value: of_notes(value=value)):
            with pytest.raises(InvalidValueObject, match=r"NonEmpty\[0\]: expected Note, got int"):
                make((5,))
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'value'"):
            of_notes()

    def test_converted(self) -> None:
        """The outcome of a converter is validated."""
        assert (1, 2) == Sorted[int]((2, 1)).value
        assert (1, 2) == Sorted[int].parse([2, 1]).unwrap().value
        assert "Sorted[0]: expected int, got str" == refused(Sorted[int].parse(["b", "a"]))

    def test_arguments_in_steps(self) -> None:
        """Type variables are open until they are given."""
        swapped: Any = of(of(Pair, T, str), int)
        assert "Pair[0]: expected int, got str" == refused(swapped.parse(("a", "a")))
        assert Success(Pair(("a", "a"))) == of(Pair, T, str).parse(("a", "a"))

    def test_it_is_still_an_alias(self) -> None:
        """It is derived from, printed, compared, copied and pickled as any other."""

        class Names(NonEmpty[Note]): ...

        assert "Names[0]: expected Note, got str" == refused(Names.parse(("a",))).rpartition(".")[2]
        assert "test_values.NonEmpty[test_values.Note]" == repr(NonEmpty[Note]).replace("tests.", "")
        assert NonEmpty[Note] is NonEmpty[Note]
        assert NonEmpty[Note] == of(of(NonEmpty, T), Note) != NonEmpty[Memo]
        assert NonEmpty[Note] == pickle.loads(pickle.dumps(NonEmpty[Note])) == copy.copy(NonEmpty[Note])
        assert (NonEmpty, (Note,)) == (get_origin(NonEmpty[Note]), get_args(NonEmpty[Note]))


# Letters and signs that no message of this library or of attrs has six of in a row.
SECRETS = st.text("QXZJKV0123456789ÄßéЖ☃\n\t'\"@-_ ", min_size=6, max_size=40)


def leaky(tell: Callable[[Any], object]) -> Callable[..., None]:
    """Return a validator that tells what it was given."""

    def check(_: object, __: object, value: object) -> None:
        raise ValueError(tell(value)) from LookupError("inner", value)

    return check


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a validator, or a converter, that raises the error."""

    def refuse(*_: object) -> None:
        raise error

    return refuse


def checked_by(validator: Any, converter: Any = None, base: type = Note) -> Any:
    """Return a value object with this validator and converter."""
    body = {"value": field(validator=validator, converter=converter)}
    return attrs.make_class("Code", body, (base,), frozen=True, slots=True)


TELLS: list[Callable[[str], object]] = [
    lambda value: f"bad value {value}",
    lambda value: f"bad value {value!r}, try another",
    lambda value: f"bad value: {value}",
    lambda value: f"bad value ({value!r} doesn't)",
    lambda value: value,
    lambda value: (value, [value]),
    lambda value: f"bad {value.upper()}",
    lambda value: f"bad {value.casefold()}",
    lambda value: f"bad start {value[:7]}",
    lambda value: f"bad middle <{value[2:9]}>",
    lambda value: value * 20,
    lambda value: "." * 495 + value,
    lambda value: f"bad bytes {value.encode('unicode_escape')!r}",
    lambda value: f"{'-'.join(value)} is bad",
]
LEAKY = [checked_by(leaky(tell), converter) for tell in TELLS for converter in (None, str.strip, str.lower)]
RULES: list[Any] = [matches_re("[a-c]+"), in_(["a", "b"]), max_len(5), attrs.validators.instance_of(int)]
REFUSING = [checked_by(rule) for rule in RULES]


def leaks(error: BaseException, secret: str) -> Iterator[str]:
    """Yield each text of the error that has six characters of the secret in a row, in whatever case."""
    texts = [str(error), repr(error), str(error.args), repr(getattr(error, "additional_info", None))]
    texts += [str(linked) for linked in (error.__cause__, error.__context__) if linked is not None]
    for start in range(len(secret) - 5):
        part = secret[start : start + 6].lower()
        yield from (text for text in texts if part in text.lower())


class TestSecrets:
    @given(secret=SECRETS)
    def test_no_part_of_a_value_leaks(self, secret: str) -> None:
        """However a validator words its refusal, no six characters of the value in a row can be read from the error."""
        for cls in (*LEAKY, *REFUSING):
            with pytest.raises(InvalidValueObject) as caught:
                cls(secret)
            assert [] == list(leaks(caught.value, secret))
            assert [None, None] == [caught.value.__cause__, caught.value.__context__]
            assert [] == fold(cls.parse(secret), lambda _: [], lambda error: list(leaks(error, secret)))

    def test_the_reason_stays(self) -> None:
        """The validators of attrs name the value at the end of their texts: it is left out, and the reason stays."""
        assert "UpperTitle: 'value' must match regex '[A-Z]+'" == refused(UpperTitle.parse("<QXZJKV>"))
        assert [
            "Code: 'value' must match regex '[a-c]+'",
            "Code: 'value' must be in ['a', 'b']",
            "Code: Length of 'value' must be <= 5: 8",
            "Code: a validator refused the value (TypeError)",
        ] == [refused(cls.parse("<QXZJKV>")) for cls in REFUSING]

    @given(number=st.integers(min_value=10**6) | st.integers(max_value=-(10**6)))
    def test_numbers(self, number: int) -> None:
        """The digits of a number are parts of a secret, too, grouped or not; a huge one can't even be written."""
        pin = checked_by(leaky(lambda value: f"{value:,} is bad: {value}"), base=IntBox)
        for value in (number, number * 10**5000):
            error = fold(pin.parse(value), lambda _: DomainError(), lambda error: error)
            assert str(number)[:6] not in str(error)
            assert f"{number:,}"[:6] not in str(error)
            assert "a validator refused the value (ValueError)" in str(error)

    @pytest.mark.parametrize("short", ["QX", "QXZ", "QXZJ12"])
    def test_short_values(self, short: str) -> None:
        """A value of two to six characters isn't repeated as a whole."""
        assert short not in refused(checked_by(leaky(lambda value: f"not {value}, please")).parse(short))

    def test_wrong_type(self) -> None:
        """A refusal for the type names the type alone."""
        assert "Quantity: expected int, got str" == refused(Quantity.parse("canary-hunter2"))

    def test_what_cannot_be_compared(self) -> None:
        """A value too long to be compared with the text, an error without a text, one whose text fails: no detail."""

        class Wordless:
            def __str__(self) -> str:
                raise RuntimeError("canary-hunter2")

        refusal = "Code: a validator refused the value (ValueError)"
        assert refusal == refused(checked_by(leaky(lambda _: "no")).parse("x" * 70_000))
        assert refusal == refused(checked_by(leaky(lambda _: Wordless())).parse("abc"))
        assert "Code: ValueError" == refused(checked_by(raising(ValueError())).parse("abc"))

    def test_long_reason(self) -> None:
        """A reason is cut after 500 characters."""
        assert f"Code: {'y' * 500}" == refused(checked_by(leaky(lambda _: "y" * 1000)).parse("abc"))


CANONICAL = st.uuids().map(str)


class TestUuid:
    @given(text=CANONICAL)
    def test_canonical_text(self, text: str) -> None:
        """The text of RFC 9562 is read in either case, with hyphens or without, and written in lower case with them."""
        for form in (text, text.upper(), text.replace("-", ""), text.replace("-", "").upper()):
            assert text == str(TaskId.from_str(form)) == str(TaskId.from_value(form))
            assert Success(TaskId.from_str(text)) == TaskId.parse(form)
        assert f"<{text}>" == f"<{TaskId.from_str(text)}>"

    @pytest.mark.parametrize(
        "text",
        [
            "", "a", "not-a-uuid", f"{{{UUID_TEXT}}}", f"urn:uuid:{UUID_TEXT}", f" {UUID_TEXT}", f"{UUID_TEXT}\n",
            f"{UUID_TEXT}0", UUID_TEXT[:-1], UUID_TEXT.replace("-", "_"), UUID_TEXT.replace("-", "--"),
            UUID_TEXT.replace("-", "", 1), f"-{UUID_TEXT}", "a7f8fb8e6a0b-4f3e-9a55-1d6f0c2b4e11-",
            UUID_TEXT.replace("7", "\u0667"), UUID_TEXT.replace("7", "\uff17"), UUID_TEXT.replace("a", "\uff41"),
            UUID_TEXT.replace("7", "\u00b2"), UUID_TEXT.replace("a", "g"), "0x" + "0" * 30, "+" + "0" * 31,
            "1_0" + "0" * 29, "\x00" * 32, UUID_TEXT.replace("-", "\u2010"), "null", "None",
        ],
    )  # fmt: skip  # one table
    def test_other_texts(self, text: str) -> None:
        """Braces, `urn:uuid:`, blanks, signs, other digits than those of ASCII, misplaced hyphens: no id."""
        message = f"TaskId: expected a UUID, such as {UUID_TEXT}"
        assert message == refused(TaskId.parse(text))
        for make in (TaskId.from_str, TaskId.from_value):
            with pytest.raises(InvalidUuid) as caught:
                make(text)
            assert {"message": message} == caught.value.additional_info

    @given(text=st.text(max_size=40) | st.text("0123456789abcdefABCDEF-", min_size=30, max_size=38))
    def test_any_text(self, text: str) -> None:
        """Any text is an id, with just these digits, or is refused as an InvalidUuid."""
        result = TaskId.parse(text)
        digits = fold(result, lambda made: made.value.hex, lambda error: str(type(error).__name__))
        assert digits in {"InvalidUuid", text.replace("-", "").lower()}

    @pytest.mark.parametrize(
        "value", [None, 5, True, b"a7f8fb8e6a0b4f3e", UUID_TEXT.encode(), 5.0, [UUID_TEXT], Note("a")]
    )
    def test_other_types(self, value: Any) -> None:
        """A value that is neither a text nor a UUID isn't an id."""
        found = "None" if value is None else type(value).__qualname__
        assert f"TaskId: expected UUID, got {found}" == refused(TaskId.parse(value))
        for make in (TaskId, TaskId.from_value, TaskId.from_uuid, TaskId.from_str):
            with pytest.raises(InvalidUuid):
                make(value)

    def test_the_constructor_takes_no_text(self) -> None:
        """The constructor is for a UUID; a text goes through `from_str` or `parse`."""
        make: Any = TaskId
        with pytest.raises(InvalidUuid, match="TaskId: expected UUID, got str"):
            make(UUID_TEXT)

    def test_an_id_is_no_id_of_another_class(self) -> None:
        """A TaskId never equals a UserId, or the base's id, of the same UUID; one isn't made of another."""
        number = uuid.UUID(UUID_TEXT)
        ids: list[object] = [Uuid(number), TaskId(number), UserId(number), number, UUID_TEXT]
        assert [] == [pair for pair in itertools.combinations(ids, 2) if pair[0] == pair[1]]
        assert 5 == len(set(ids))
        assert "UserId: expected UUID, got TaskId" == refused(UserId.parse(TaskId(number)))

    @given(number=st.uuids())
    def test_interoperation(self, number: uuid.UUID) -> None:
        """A `uuid.UUID` goes in and comes out as it is."""
        assert number is TaskId.from_uuid(number).to_uuid()
        assert TaskId(number) == TaskId.from_value(number) == TaskId.parse(number).unwrap()

    @pytest.mark.parametrize("make", [TaskId.v4, TaskId.v7])
    def test_made_ids(self, make: Callable[[], TaskId]) -> None:
        """A made id has the version and variant of RFC 9562, is like any other id, and never the same again."""
        version = 4 if make == TaskId.v4 else 7
        made = [make() for _ in range(2000)]
        assert 2000 == len(set(made))
        for task_id in made[:200]:
            assert (version, uuid.RFC_4122) == (task_id.value.version, task_id.value.variant)
            assert TaskId.from_str(str(task_id)) == task_id == pickle.loads(pickle.dumps(task_id))
            assert uuid.UUID(str(task_id)) == task_id.value == copy.deepcopy(task_id).value
            assert uuid.SafeUUID.unknown is task_id.value.is_safe

    @pytest.mark.parametrize("make", [Uuid.v4, Uuid.v7])
    def test_random_bits(self, make: Callable[[], Uuid]) -> None:
        """Every bit that is neither version, variant nor time is random: over 400 ids each was 0 and 1."""
        numbers = [make().value.int for _ in range(400)]
        random_bits = [bit for bit in range(122 if make == Uuid.v4 else 62) if bit < 62 or make == Uuid.v4]
        positions = [bit if bit < 62 else bit + 2 if bit + 2 < 76 else bit + 6 for bit in random_bits]
        for position in positions:
            assert {0, 1} == {number >> position & 1 for number in numbers}

    @given(first=st.integers(0, 2**48 * 10**6 - 1000), step=st.integers(245, 10**12))
    def test_v7_is_ordered_by_time(self, first: int, step: int) -> None:
        """An id of version 7 holds its millisecond; one made 245 ns later sorts behind it, as text, bytes or number."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time_ns", lambda: first)
            before = Uuid.v7()
            patch.setattr(time, "time_ns", lambda: min(first + step, 2**48 * 10**6 - 1))
            after = Uuid.v7()
        assert first // 10**6 == before.value.int >> 80
        assert 0 <= first % 10**6 * 4096 / 10**6 - (before.value.int >> 64 & 0xFFF) < 1
        if first + step < 2**48 * 10**6:
            assert str(before) < str(after)
            assert before.value < after.value
            assert before.value.bytes < after.value.bytes

    def test_v7_now(self) -> None:
        """The time in an id of version 7 is now."""
        before = time.time_ns() // 10**6
        made = Uuid.v7().value.int >> 80
        assert before <= made <= time.time_ns() // 10**6

    def test_rules_of_an_id(self) -> None:
        """An id with rules of its own is held to them, also when it is made new."""
        assert 7 == OrderId.v7().value.version
        with pytest.raises(InvalidUuid, match="OrderId: of version 7, please"):
            OrderId.v4()
        assert "OrderId: of version 7, please" == refused(OrderId.parse(UUID_TEXT))

    def test_classes(self) -> None:
        """A made id is of the class that it was asked of."""
        assert [TaskId, UserId, Uuid] == [type(TaskId.v4()), type(UserId.v7()), type(Uuid.v4())]


@frozen
class Page:
    title: Note
    plain_title = ValueObject.serializer("title")


class TestSerializer:
    def test_names_the_field(self) -> None:
        """It says of which field the value object is unwrapped, and gives the unwrapped value on an instance."""
        serializer = ValueObject.serializer("title")
        assert isinstance(serializer, FieldSerializer)
        assert "title" == serializer.field_name
        assert "Buy milk" == Page(Note("Buy milk")).plain_title

    def test_unwrapped(self) -> None:
        """Wrapped values are found at every depth of tuples, frozensets and mappings."""
        assert ("a", frozenset({"b"}), {"c": ("d",)}, 5) == unwrapped(
            (Note("a"), frozenset({Note("b")}), {Note("c"): Nested((Note("d"),))}, 5)
        )
