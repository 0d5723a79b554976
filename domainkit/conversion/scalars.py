"""The wire types of what JSON, or text in JSON, holds in one piece: numbers, text, times, ids, enums, literals."""

import enum
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from types import MappingProxyType, NoneType
from typing import Any, Final, Literal
from uuid import UUID

from domainkit.conversion.nodes import (
    MISSING,
    Function,
    Leaf,
    Node,
    Problems,
    Refused,
    UnsupportedTypeError,
    json_kind,
)
from domainkit.conversion.times import QUARTERS, load_datetime, load_time, load_timedelta, whole_minutes


class FloatLeaf(Leaf):
    """A float: finite, since JSON has no NaN; an int may stand for it, as type checkers allow."""

    def plain(self, value: object) -> Any:
        return value if type(value) is int else super().plain(value)

    def refusal(self, value: Any) -> str | None:
        try:
            exact = float(value) == value  # NaN differs from itself
        except OverflowError:
            exact = False
        return None if exact and abs(value) != math.inf else "a finite number that a float holds exactly"


class TextLeaf(Leaf):
    """A str: without lone surrogates, which UTF-8 can't carry."""

    def parse(self, data: Any) -> Any:
        return str.__str__(data)

    def refusal(self, value: Any) -> str | None:
        try:
            value.encode()
        except UnicodeEncodeError:
            return "text without lone surrogates"
        return None

    def dump(self, value: Any) -> Any:
        if type(value) is not str:
            raise Refused
        return value  # the encoder itself refuses surrogates


class IntLeaf(Leaf):
    """An int of up to 4,300 digits: the most that CPython converts from text by default."""

    def refusal(self, value: Any) -> str | None:
        return None if abs(value) < _INT_LIMIT else "an int of at most 4300 digits"

    def dump(self, value: Any) -> Any:
        if type(value) is not int:
            raise Refused
        return value  # the encoder itself refuses more digits


_INT_LIMIT = 10**4300


class ClockLeaf(Leaf):
    """A time or a duration: text, whose fraction of a second goes no further than Python's microseconds.

    msgspec rounds a longer fraction, so that the text is looked at first.
    """

    def __init__(self, cls: type, load: Function, *, expected: str, extra_guard: str = "") -> None:
        super().__init__(cls, kinds="str", expected=expected, extra_guard=extra_guard)
        self.wire, self.wire_classes = str, (str,)
        self.load = load

    def parse(self, data: Any) -> Any:
        return self.load(data)  # type: ignore[misc]  # set above


_combine = datetime.combine  # kept here, since test libraries that set the clock put another class in its place


class DatetimeLeaf(ClockLeaf):
    """A timezone-aware datetime, written with its offset (RFC 3339)."""

    def refusal(self, value: Any) -> str | None:
        return None if whole_minutes(value) else "a datetime with an offset of whole minutes from UTC"

    def plain(self, value: object) -> Any:
        if type(value) is self.cls:
            return value
        return _combine(value.date(), value.timetz()) if isinstance(value, datetime) else MISSING


class TimeLeaf(ClockLeaf):
    """A time of day, naive or with a fixed offset."""

    def refusal(self, value: Any) -> str | None:
        if value.tzinfo is None or whole_minutes(value):
            return None
        return "a time without a time zone, or with an offset of whole minutes from UTC"


class DecimalLeaf(Node):
    """A finite Decimal, written as text so that no digit is lost."""

    wire = str
    expected = 'a decimal number as text, such as "12.50"'
    kinds = frozenset({"str"})
    wire_classes = (str,)
    object_classes = (Decimal,)
    guard = "type({v}) is Decimal and {v}.is_finite()"

    def __init__(self) -> None:
        self.load = load_decimal

    def dump(self, value: Any) -> Any:
        if type(value) is not Decimal or not value.is_finite():
            raise Refused
        return value  # the encoder writes it as text

    def read(self, data: object, path: str, problems: Problems) -> Any:
        if not isinstance(data, str):
            return self.wrong_type(path, problems)
        try:
            return load_decimal(data)
        except (ValueError, InvalidOperation):
            return problems.add(path, self.expected, "value")

    def write(self, value: object, path: str, problems: Problems) -> Any:
        if not isinstance(value, Decimal):
            return problems.add(path, "Decimal", "type")
        return Decimal(value) if value.is_finite() else problems.add(path, "a finite Decimal", "value")


_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([Ee][+-]?[0-9]{1,9})?", re.ASCII)


new_decimal: Callable[[str], Decimal] = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN).create_decimal
"""Returns what `Decimal(text)` does, in four fifths of its time; for exponents out of all bounds, something else."""


def load_decimal(text: str) -> Decimal:
    """Return the Decimal that is written as `text`; ValueError or InvalidOperation for anything else."""
    value = Decimal(text)
    if str(value) == text and value.is_finite():
        return value
    if _DECIMAL.fullmatch(text) is None:  # Decimal itself reads "1_0", " 1 " and digits of other scripts
        raise ValueError("no decimal number")
    return value


class EnumLeaf(Leaf):
    """A member of an Enum, written as its value."""

    def __init__(self, cls: type[enum.Enum], kinds: str) -> None:
        super().__init__(cls, kinds=kinds, expected=f"a {cls.__qualname__}")
        self.options = tuple(member.value for member in cls)
        self.guard = None  # it would have to name the class
        if getattr(cls, "_boundary_", None) is enum.CONFORM:  # a Flag that drops bits: any, up to Python 3.11.3
            self.wire, self.wire_classes, self.load = int, (int,), _exactly(cls)

    def parse(self, data: Any) -> Any:
        return super().parse(data) if self.load is None else self.load(data)


def _exactly(cls: type[enum.Enum]) -> Function:
    """Return what reads a Flag whose bits are all known, and drops none."""

    def load(number: int) -> enum.Enum:
        found = cls(number)
        if found.value != number:
            raise ValueError("unknown bits")
        return found

    return load


class LiteralLeaf(Node):
    """One of some texts, integers or None."""

    def __init__(self, options: tuple[object, ...]) -> None:
        self.options = options
        self.wire = Literal[options]
        self.expected = " or ".join(map(repr, options))
        self.kinds = frozenset(json_kind(option) for option in options)
        self.wire_classes = self.object_classes = tuple({type(option) for option in options})

    def _admits(self, value: object) -> bool:
        return any(type(value) is type(option) and value == option for option in self.options)

    def dump(self, value: Any) -> Any:
        if not self._admits(value):
            raise Refused
        return value

    def read(self, data: object, path: str, problems: Problems) -> Any:
        if json_kind(data) not in self.kinds:
            return self.wrong_type(path, problems)
        return data if self._admits(data) else problems.add(path, self.expected, "value")

    def write(self, value: object, path: str, problems: Problems) -> Any:
        if type(value) not in self.object_classes:
            return self.wrong_type(path, problems)
        return value if self._admits(value) else problems.add(path, self.expected, "value")


def literal_leaf(options: tuple[object, ...], where: str) -> Node:
    """Return the node of a Literal; `where` names the class and field that has it."""
    if any(type(option) not in (str, int, NoneType) for option in options):
        raise UnsupportedTypeError(
            f"{where}: a Literal may hold str, int and None on the wire; use an Enum for the rest"
        )
    _refuse_long(options, where)
    return LiteralLeaf(options)


def enum_leaf(cls: type[enum.Enum], where: str) -> Node:
    """Return the node of an Enum; `where` names the class and field that has it."""
    values = tuple(member.value for member in cls)
    kinds = {json_kind(value) if type(value) in (str, int) else "other" for value in values}
    if kinds not in ({"str"}, {"int"}):
        raise UnsupportedTypeError(
            f"{where}: the members of {cls.__qualname__} must all have text values, or all integer ones, "
            "to be told apart in JSON"
        )
    _refuse_long(values, where)
    return EnumLeaf(cls, kinds.pop())


def _refuse_long(options: tuple[object, ...], where: str) -> None:
    if any(isinstance(option, int) and not -(2**63) <= option < 2**63 for option in options):
        raise UnsupportedTypeError(f"{where}: an integer of an Enum or a Literal has 64 bits at most; use text")


LEAVES: Final[Mapping[object, Node]] = MappingProxyType(
    {
        str: TextLeaf(str, kinds="str", expected="str"),
        int: IntLeaf(int, kinds="int", expected="int"),
        bool: Leaf(bool, kinds="bool", expected="bool"),
        float: FloatLeaf(
            float,
            kinds="int float",
            expected="float",
            extra_guard=" and {v} - {v} == 0.0 or type({v}) is int and -9007199254740992 <= {v} <= 9007199254740992",
        ),
        NoneType: Leaf(NoneType, kinds="null", expected="None"),
        UUID: Leaf(UUID, kinds="str", expected="a UUID"),
        bytes: Leaf(bytes, kinds="str", expected="bytes as base64 text"),
        date: Leaf(date, kinds="str", expected="a date, such as 2021-12-28"),
        datetime: DatetimeLeaf(
            datetime,
            load_datetime,
            expected="a datetime with an offset, such as 2021-12-28T14:11:47Z, to the microsecond",
            extra_guard=" and (type({v}.tzinfo) is timezone and {v}.tzinfo in quarters or whole_minutes({v}))",
        ),
        time: TimeLeaf(
            time,
            load_time,
            expected="a time, such as 14:11:47, to the microsecond",
            extra_guard=" and ({v}.tzinfo is None or whole_minutes({v}))",
        ),
        timedelta: ClockLeaf(timedelta, load_timedelta, expected="a duration, such as P1DT2.5S, to the microsecond"),
        Decimal: DecimalLeaf(),
    }
)

GUARD_NAMES: Final[Mapping[str, object]] = MappingProxyType({
    "str": str, "int": int, "bool": bool, "float": float, "NoneType": NoneType, "UUID": UUID, "bytes": bytes,
    "Decimal": Decimal, "date": date, "datetime": datetime, "time": time, "timedelta": timedelta, "timezone": timezone,
    "quarters": QUARTERS, "whole_minutes": whole_minutes,
})  # fmt: skip  # one table, as it is read
"""What the guards of the leaves name."""
