"""Leaves: what is written comes back equal, and what could not come back is refused before it is written."""

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import CONFORM, Enum, Flag, StrEnum
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from attrs import frozen
from every_kind import Colour, Level, Moment, OrderId, Price, Quantity, Ratio, Sku, Title
from holders import PATH, envelope, holder, problems_of, read, refused, rewritten, short, unwritable, wrapper
from hypothesis import given
from hypothesis import strategies as st

from domainkit import UnsupportedTypeError
from domainkit.conversion.nodes import MISSING, Problems, Refused, json_kind
from domainkit.conversion.scalars import SCALARS


class Text(str):
    __slots__ = ()


class Whole(int): ...


class Real(float): ...


class Raw(bytes): ...


class OtherUuid(UUID): ...


class Day(date): ...


class Instant(datetime): ...


class Clock(time): ...


class Span(timedelta): ...


class Amount(Decimal): ...


class Odd(tzinfo):
    """A time zone without an offset: such a datetime is naive."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> str:
        return "odd"


class Path(StrEnum):
    UP = "up"


class Answer(Enum):
    YES = 1
    NO = 2

    @classmethod
    def _missing_(cls, value: object) -> "Answer | None":
        if value == 7:
            raise KeyError("seven")
        return cls.NO if value == 0 else None


class Right(Flag):
    READ = 1
    WRITE = 2


INDIA = timezone(timedelta(hours=5, minutes=30))
MOMENT = datetime(2021, 12, 28, 14, 11, 47, 845618, UTC)

WRITTEN: list[tuple[Any, Any, Any]] = [
    # the type, a value, its wire form
    (str, "", ""),
    (str, "ä\u0000\u2028🎉", "ä\u0000\u2028🎉"),
    (int, 0, 0),
    (int, -(2**63) - 1, -(2**63) - 1),
    (int, 10**4299, 10**4299),
    (bool, False, False),
    (float, 0.0, 0.0),
    (float, 5, 5),
    (float, 2**53, 2**53),
    (float, 2**60, 2**60),
    (float, 5e-324, 5e-324),
    (float, 1.7976931348623157e308, 1.7976931348623157e308),
    (type(None), None, None),
    (UUID, UUID(int=0), "00000000-0000-0000-0000-000000000000"),
    (bytes, b"", ""),
    (bytes, b"\x00\xff", "AP8="),
    (date, date.min, "0001-01-01"),
    (date, date.max, "9999-12-31"),
    (datetime, MOMENT, "2021-12-28T14:11:47.845618Z"),
    (datetime, MOMENT.astimezone(INDIA), "2021-12-28T19:41:47.845618+05:30"),
    (datetime, MOMENT.astimezone(ZoneInfo("America/New_York")), "2021-12-28T09:11:47.845618-05:00"),
    (datetime, datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
    (datetime, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23, minutes=59))), "0001-01-01T00:00:00+23:59"),
    (time, time.min, "00:00:00"),
    (time, time.max, "23:59:59.999999"),
    (time, time(14, 11, 47, tzinfo=INDIA), "14:11:47+05:30"),
    (timedelta, timedelta(0), "P0D"),
    (timedelta, timedelta.max, "P999999999DT86399.999999S"),
    (timedelta, timedelta.min, "-P999999999D"),
    (timedelta, timedelta(microseconds=-1), "-PT0.000001S"),
    (Decimal, Decimal(0), "0"),
    (Decimal, Decimal("-0.00"), "-0.00"),
    (Decimal, Decimal("1E+999999999999999999"), "1E+999999999999999999"),
    (Decimal, Decimal("12.50"), "12.50"),
    (Colour, Colour.RED, "red"),
    (Level, Level.HIGH, 2),
    (Path, Path.UP, "up"),
    (Right, Right.READ | Right.WRITE, 3),
    (Literal["a", 3], 3, 3),
    (Literal["a"] | None, None, None),
    (Title, Title("Buy milk"), "Buy milk"),
    (Sku, Sku(""), ""),
    (Quantity, Quantity(0), 0),
    (Price, Price(Decimal("0.0")), "0.0"),
    (Moment, Moment(MOMENT), "2021-12-28T14:11:47.845618Z"),
    (OrderId, OrderId(UUID(int=1)), "00000000-0000-0000-0000-000000000001"),
]


@pytest.mark.parametrize(("hint", "value", "wire"), WRITTEN, ids=short)
def test_what_is_written_comes_back(hint: Any, value: object, wire: object) -> None:
    """A value has its wire form, also where it is falsy or at the edge of its type, and comes back equal."""
    assert wire == rewritten(value, hint)


SUBCLASSES: list[tuple[Any, Any, Any]] = [
    (str, Text("x"), "x"),
    (int, Whole(5), 5),
    (float, Real(1.5), 1.5),
    (bytes, Raw(b"a"), b"a"),
    (UUID, OtherUuid(int=5), UUID(int=5)),
    (date, Day(2021, 12, 28), date(2021, 12, 28)),
    (datetime, Instant(2021, 12, 28, 14, tzinfo=UTC), datetime(2021, 12, 28, 14, tzinfo=UTC)),
    (time, Clock(14, 11), time(14, 11)),
    (timedelta, Span(1, 2, 3), timedelta(1, 2, 3)),
    (Decimal, Amount("1.50"), Decimal("1.50")),
    (int, Level.LOW, 1),
    (str, Path.UP, "up"),
]


@pytest.mark.parametrize(("hint", "value", "plain"), SUBCLASSES, ids=short)
def test_values_of_a_subclass_are_written_plain(hint: Any, value: Any, plain: object) -> None:
    """A date of another library, an id of a driver and the like are written as what they are, alone and wrapped."""
    cls, wrapping = holder(hint), wrapper(hint)
    found = cls.from_json(cls(value).json()).field
    assert (type(plain), plain) == (type(found), found)
    found = holder(wrapping).from_json(holder(wrapping)(wrapping(value)).json()).field.value
    assert (type(plain), plain) == (type(found), found)


UNWRITABLE: list[tuple[Any, Any, str]] = [
    (str, "secret \ud800", "value"),
    (str, b"secret", "type"),
    (str, None, "type"),
    (int, "5", "type"),
    (int, True, "type"),
    (int, 5.0, "type"),
    (int, 10**4300, "value"),
    (bool, 1, "type"),
    (bool, None, "type"),
    (float, math.nan, "value"),
    (float, math.inf, "value"),
    (float, -math.inf, "value"),
    (float, 2**53 + 1, "value"),
    (float, 10**400, "value"),
    (float, True, "type"),
    (float, "1.5", "type"),
    (type(None), 0, "type"),
    (UUID, "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11", "type"),
    (UUID, OrderId(UUID(int=1)), "type"),
    (bytes, bytearray(b"secret"), "type"),
    (bytes, "secret", "type"),
    (date, MOMENT, "type"),
    (datetime, date(2021, 12, 28), "type"),
    (datetime, datetime(2021, 12, 28), "value"),
    (datetime, datetime(2021, 12, 28, tzinfo=Odd()), "value"),
    (datetime, datetime(1800, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), "value"),
    (datetime, datetime(2021, 12, 28, tzinfo=timezone(timedelta(seconds=30))), "value"),
    (datetime, datetime(2021, 12, 28, tzinfo=timezone(timedelta(microseconds=1))), "value"),
    (time, time(14, tzinfo=ZoneInfo("Europe/Berlin")), "value"),
    (time, time(14, tzinfo=timezone(timedelta(seconds=1))), "value"),
    (timedelta, 5, "type"),
    (Decimal, Decimal("NaN"), "value"),
    (Decimal, Decimal("sNaN"), "value"),
    (Decimal, Decimal("Infinity"), "value"),
    (Decimal, 1.5, "type"),
    (Colour, "red", "type"),
    (Level, 1, "type"),
    (Literal["a", 3], "b", "value"),
    (Literal["a", 3], True, "type"),
    (Literal["a", 3], None, "type"),
    (Title, "Buy milk", "type"),
    (Title, Sku("Buy milk"), "type"),
    (OrderId, UUID(int=1), "type"),
]


@pytest.mark.parametrize(("hint", "value", "code"), UNWRITABLE, ids=short)
def test_what_could_not_be_read_back_is_not_written(hint: Any, value: object, code: str) -> None:
    """Writing refuses it with the path and a code, and the text never shows the value."""
    problems = unwritable(holder(hint), value)
    assert [(PATH, code)] == [(problem.path, problem.code) for problem in problems]
    assert "secret" not in str(problems)


@pytest.mark.parametrize(
    ("cls", "value"),
    [(Ratio, math.nan), (Ratio, math.inf), (Price, Decimal("NaN")), (Moment, datetime(2021, 12, 28)), (Sku, "\ud800")],
    ids=short,
)
def test_what_a_value_object_wraps_is_looked_at_too(cls: Any, value: object) -> None:
    """A value object may hold what its own rules allow and JSON doesn't: it is refused as well."""
    assert [(PATH, "value")] == [(problem.path, problem.code) for problem in unwritable(holder(cls), cls(value))]


def test_a_subclass_of_an_id_is_no_such_id() -> None:
    """An id of a derived class is not written where its base stands: it would come back as another class."""

    class ExpressOrderId(OrderId): ...

    problems = unwritable(holder(OrderId), ExpressOrderId.v4())
    assert [(PATH, "OrderId", "type")] == [(problem.path, problem.expected, problem.code) for problem in problems]


@pytest.mark.parametrize(
    ("hint", "value", "code"),
    [
        (UUID, UUID(int=1), "type"), (datetime, MOMENT, "type"), (Decimal, Decimal(1), "type"), (bytes, b"a", "type"),
        (float, math.nan, "value"), (float, math.inf, "value"), (int, 10**4300, "value"), (str, "\ud800", "value"),
        (Level, Level.LOW, "type"),
    ],
    ids=short,
)  # fmt: skip  # a row for each
def test_builtins_that_json_never_gives_are_refused(hint: object, value: object, code: str) -> None:
    """from_dict takes what came from JSON: a native UUID or datetime, NaN or an endless integer is refused anywhere."""
    small = frozen(type("Small", (), {"__annotations__": {"inner": hint}}))
    for cls, wire, path in [(holder(hint), value, PATH), (holder(small), {"inner": value}, f"{PATH}.inner")]:
        problems = problems_of(lambda cls=cls, wire=wire: cls.from_dict(envelope(cls, wire)))
        assert [(path, code)] == [(problem.path, problem.code) for problem in problems]


def test_text_of_a_subclass_is_read_as_plain_text() -> None:
    """A str of a subclass, as petisco's ids are in its builtins, is text, and becomes what its field says."""
    cls = holder(str)
    found = cls.from_dict(envelope(cls, Text("x"))).field
    assert (str, "x") == (type(found), found)
    text = Text("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")
    assert OrderId.from_str(text) == holder(OrderId).from_dict(envelope(holder(OrderId), text)).field


def test_an_int_stands_for_a_float() -> None:
    """As for type checkers, an int is a float: it is read from JSON as one, and may be given for one."""
    found = read(holder(float), 5)
    assert (float, 5.0) == (type(found), found)


def test_an_int_that_no_float_equals_is_refused() -> None:
    """Its last digits would be lost: it is a problem from bytes and from builtins."""
    cls, wire = holder(float), 2**53 + 1
    for call in (
        lambda: cls.from_dict(envelope(cls, wire)),
        lambda: cls.from_json(json.dumps(envelope(cls, wire))),
    ):
        assert [(PATH, "value")] == [(problem.path, problem.code) for problem in problems_of(call)]


def test_enums_with_a_way_of_their_own_are_read() -> None:
    """`_missing_` of an Enum chooses a member; where it raises, or finds none, the value is refused."""
    cls = holder(Answer)
    assert Answer.NO == read(cls, 0)
    assert ["value"] == [problem.code for problem in refused(cls, 7)]
    assert ["value"] == [problem.code for problem in refused(cls, 8)]


def test_members_of_a_flag_are_read_together() -> None:
    """A Flag is read as any combination of its members, and nothing else."""
    assert Right.READ | Right.WRITE == read(holder(Right), 3)
    assert ["value"] == [problem.code for problem in refused(holder(Right), 4)]


class Conforming(Flag, boundary=CONFORM):
    READ = 1
    WRITE = 2


def test_no_bit_of_a_flag_is_dropped() -> None:
    """A Flag that would drop bits which it doesn't know refuses them instead: nothing is coerced."""
    assert Conforming.READ | Conforming.WRITE == read(holder(Conforming), 3)
    assert ["value"] == [problem.code for problem in refused(holder(Conforming), 4)]


class Mixed(Enum):
    ONE = 1
    TWO = "two"


class Empty(Enum): ...


class Long(Enum):
    LONG = 2**63


class Pairs(Enum):
    PAIR = (1, 2)


class Booleans(Enum):
    YES = True


@pytest.mark.parametrize("hint", [Mixed, Empty, Long, Pairs, Booleans, Literal[True], Literal[b"x"], Literal[2**64]])
def test_enums_and_literals_that_json_has_no_form_for(hint: Any) -> None:
    """An Enum has texts or integers of 64 bits, a Literal text, integers and None; the rest is refused by name."""
    with pytest.raises(UnsupportedTypeError, match=r"^Holder\.field: .*(Enum|Literal|Mixed|Empty|Pairs|Booleans)"):
        holder(hint)(None).json()


@pytest.mark.parametrize("hint", SCALARS, ids=short)
@given(data=st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([]) | st.just({}))
def test_reading_any_builtin_gives_a_value_that_is_written(hint: Any, data: object) -> None:
    """A leaf can write all that it reads; a value that it refuses is one problem."""
    node, problems = SCALARS[hint], Problems()
    value = node.read(data, "$", problems)
    assert (value is MISSING) == (len(problems) == 1)
    if value is not MISSING:
        assert json_kind(data) in node.kinds
        assert MISSING is not node.write(value, "$", problems)


@pytest.mark.parametrize("hint", SCALARS, ids=short)
@given(value=st.floats() | st.integers() | st.text() | st.datetimes() | st.times() | st.decimals() | st.none())
def test_the_fast_and_the_slow_way_of_writing_agree(hint: Any, value: object) -> None:
    """The slow path writes the same as the fast one; a value that it refuses, the fast path or the encoder refuses."""
    node, problems = SCALARS[hint], Problems()
    slow = node.write(value, "$", problems)
    try:
        fast = node.dump(value)
    except Refused:
        return
    assert fast is value
    assert slow is MISSING or slow == msgspec.to_builtins(fast)
