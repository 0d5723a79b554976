"""The nodes of single values, which JSON holds as a number or a text: numbers, text, times, ids, enums, literals.

To add a scalar, add a row to `SCALARS`: messages, converters, schemas and strategies need no more.
"""

import enum
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from types import MappingProxyType, NoneType
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec

from domainkit._model.annotations import real_class
from domainkit._speedups.code import Code, Function
from domainkit.conversion.nodes import (
    MISSING,
    Node,
    Problems,
    Samples,
    Schema,
    Schemas,
    Strategy,
    UnsupportedTypeError,
    json_kind,
    refuse_unless,
)

_NO_REFUSAL: Function = lambda _: None  # noqa: E731  # a default that accepts any value


class Scalar(Node):
    """A single value, described by a row of the table below.

    Args:
        cls: the class of the objects.
        kinds: the JSON kinds that `read` accepts, separated by spaces.
        expected: the type in words.
        measured: the quantity that bounds and lengths apply to: text, base64, number, or empty.
        schema: the JSON Schema.
        samples: makes a strategy from the module `hypothesis.strategies`.
        load: converts text to the object, if msgspec doesn't; raises for invalid text.
        dump: converts an object to text, if msgspec doesn't.
        guard: a condition on `{v}` of this very class, which is true if its wire form can be read back.
        refusal: the guard of the slow path: returns None, or the expected type in words.
        rebuild: converts an instance of a subclass to one of the class itself, which the encoder needs.
        excluded: a subclass whose instances aren't values of the class: True isn't a number, a datetime isn't a date.
        sure: whether any instance of the class can be read back, except those that the encoder itself refuses.
    """

    def __init__(  # noqa: PLR0913  # a row of a table
        self,
        cls: type,
        *,
        kinds: str,
        expected: str,
        schema: Schema,
        samples: Callable[[Any], Any],  # Any: hypothesis' own, which is an extra
        measured: str = "",
        load: Function | None = None,
        dump: Function | None = None,
        guard: str = "",
        refusal: Function = _NO_REFUSAL,
        rebuild: Function | None = None,
        excluded: type = NoneType,
        sure: bool = False,
    ) -> None:
        wire = cls if load is None else str
        super().__init__(
            wire, expected, frozenset(kinds.split()), wire_classes=(wire,), object_classes=(cls,), same=load is None
        )
        self.cls: type = cls
        self.sure: bool = sure and dump is None
        self.measured: str = measured
        self.plain: Function | bool | None = True if self.sure and not guard else None
        self._schema, self._samples = schema, samples
        self._load, self._dump = load, dump
        self._guard, self._refusal, self._rebuild = guard, refusal, rebuild
        self._excluded = excluded

    def load_lines(self, code: Code, wire: str) -> str:
        return wire if self._load is None else f"{code.name(self._load, 'load')}({wire})"

    def dump_lines(self, code: Code, value: str) -> str:
        condition = f"type({value}) is {code.name(self.cls, 'cls')}"
        if self._guard:
            code.names.update(_GUARD_NAMES)
            condition += f" and ({self._guard.format(v=value)})"
        refuse_unless(code, condition)
        return value if self._dump is None else f"{code.name(self._dump, 'dump')}({value})"

    def read(self, data: object, path: str, problems: Problems) -> object:
        if json_kind(data) not in self.kinds:
            value = self.as_plain(data) if problems.native else MISSING  # the data may be the object already
            return self.wrong_type(path, problems) if value is MISSING else self._checked(value, path, problems)
        if type(data) is not self.cls:
            try:
                data = self.parse(data)
            except Exception:  # msgspec's own, or whatever the `_missing_` of an Enum raises
                return problems.add(path, self.expected, "value")
        return self._checked(data, path, problems)

    def _checked(self, value: Any, path: str, problems: Problems) -> object:
        reason = self._refusal(value)
        return value if reason is None else problems.add(path, reason, "value")

    def parse(self, data: Any) -> Any:
        """Return the object for data of an accepted kind; raise whatever the parser raises."""
        if isinstance(data, self.cls):  # an instance of a subclass of str
            return self.as_plain(data)
        return msgspec.convert(data, self.wire) if self._load is None else self._load(data)

    def write(self, value: object, path: str, problems: Problems) -> object:
        plain = self.as_plain(value)
        if plain is MISSING:
            return self.wrong_type(path, problems)
        checked = self._checked(plain, path, problems)
        return checked if checked is MISSING else (self._dump or msgspec.to_builtins)(checked)

    def as_plain(self, value: object) -> object:
        """Return `value` as an instance of exactly this class; MISSING if it is something else."""
        if type(value) is self.cls:
            return value
        if self._rebuild is None or not isinstance(value, self.cls) or isinstance(value, self._excluded):
            return MISSING
        return self._rebuild(value)

    def schema(self, schemas: Schemas) -> Schema:  # noqa: ARG002  # the same in every document
        return dict(self._schema)

    def samples(self, samples: Samples) -> Strategy:
        return self._samples(samples.st)


class _Float(Scalar):
    """A float; an int is accepted too, as by type checkers, if it equals a float."""

    def __init__(self, cls: type, **options: Any) -> None:  # Any: those of Scalar
        super().__init__(cls, **options)
        self._wire, self._wire_classes, self.same = int | float, (int, float), False
        self.shape = self._wire

    def load_lines(self, code: Code, wire: str) -> str:
        return f"({wire} if type({wire}) is float else {code.name(_exact_float, 'exact')}({wire}))"

    def dump_lines(self, code: Code, value: str) -> str:
        refuse_unless(code, self._guard.format(v=value))
        return value

    def parse(self, data: Any) -> Any:
        return data if type(data) is float else _exact_float(data)

    def as_plain(self, value: object) -> object:
        return value if type(value) is int else super().as_plain(value)


def _exact_float(number: int) -> float:
    if float(number) != number:
        raise ValueError("expected an integer that equals a float")
    return float(number)


def _float_refusal(value: float) -> str | None:
    try:
        exact = float(value) == value  # NaN differs from itself
    except OverflowError:
        exact = False
    return None if exact and abs(value) != math.inf else "a finite number that a float holds exactly"


def _text_refusal(value: str) -> str | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return "text without lone surrogates"
    return None


_INT_LIMIT = 10**4300
"""CPython doesn't convert longer integers to text by default."""

# Times: check the text before msgspec parses it, since msgspec rounds a fraction finer than a microsecond.

_FINER_THAN_MICROSECONDS = re.compile(r"\.[0-9]{6}0*[1-9]", re.ASCII)
_SECONDS = re.compile(r"\.[0-9]{1,6}0*[Ss]", re.ASCII)
_AFTER_SIX_DIGITS = "Zz+-"  # the empty text, for a time without an offset, is in it too
_datetime: Any = real_class(datetime)  # kept here, since test libraries that set the clock replace the classes
_date: Any = real_class(date)  # as above
_combine, _from_ordinal = _datetime.combine, _date.fromordinal

decode_moment: Callable[[str], datetime] = msgspec.json.Decoder(_datetime).decode
"""Decodes a datetime in quotes. The decoder is made once: `msgspec.convert` takes three times as long, and test
libraries that set the clock replace the class `datetime`.

A quote inside the text causes an error, since the text ends there. The caller must refuse a backslash, which would
start an escape.
"""
_decode_aware: Callable[[str], datetime] = msgspec.json.Decoder(Annotated[_datetime, msgspec.Meta(tz=True)]).decode


def whole_minutes(moment: datetime | time) -> bool:
    """Check if the offset from UTC is in whole minutes, the only ones that RFC 3339 can write."""
    offset = moment.utcoffset()
    return offset is not None and offset.seconds % 60 == 0 and offset.microseconds == 0


_QUARTERS = frozenset(timezone(timedelta(minutes=minutes)) for minutes in range(-12 * 60, 14 * 60 + 1, 15))
"""The offsets of today's time zones: looking one up takes a fifth of the time of `whole_minutes`."""


def _refuse_inexact(text: str) -> None:
    if _FINER_THAN_MICROSECONDS.search(text) or "\\" in text:
        raise ValueError("expected a time to the microsecond, without a backslash")


def load_moment(text: str, decode: Callable[[str], datetime] = decode_moment) -> datetime:
    """Parse a datetime (RFC 3339; the offset may be absent).

    Raises ValueError or DecodeError if the text isn't a datetime, or is finer than a microsecond.
    """
    if text[26:27] not in _AFTER_SIX_DIGITS or "\\" in text:
        _refuse_inexact(text)
    return decode(f'"{text}"')


def load_datetime(text: str) -> datetime:
    """Parse a datetime with an offset (RFC 3339); raise the same errors as `load_moment`."""
    return load_moment(text, _decode_aware)


def load_naive_as_utc(text: str) -> datetime:
    """Parse a datetime, in UTC if it has no offset; raise the same errors as `load_moment`."""
    moment = load_moment(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def load_time(text: str) -> time:
    """Parse a time (RFC 3339); raise ValueError for anything else."""
    if text[15:16].isdigit():
        _refuse_inexact(text)
    return msgspec.convert(text, time)


def load_timedelta(text: str) -> timedelta:
    """Parse a duration (ISO 8601, of days, hours, minutes and seconds); raise ValueError for anything else."""
    if "." in text and not _SECONDS.search(text):
        raise ValueError("expected a fraction of seconds, with at most six digits")
    return msgspec.convert(text, timedelta)


def _datetime_refusal(value: datetime) -> str | None:
    if value.utcoffset() is None:
        return "a datetime with an offset from UTC; give it a time zone, such as datetime.now(UTC)"
    return None if whole_minutes(value) else "a datetime with an offset of whole minutes from UTC"


def _time_refusal(value: time) -> str | None:
    is_valid = value.tzinfo is None or whole_minutes(value)
    return None if is_valid else "a time without a time zone, or with an offset of whole minutes from UTC"


_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([Ee][+-]?[0-9]{1,9})?", re.ASCII)
_new_decimal: Callable[[str], Decimal] = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN).create_decimal
"""Does the same as `Decimal(text)` in four fifths of the time, except for exponents beyond the bounds of Decimal."""


def load_decimal(text: str) -> Decimal:
    """Parse a decimal number; raise ValueError or InvalidOperation for anything else."""
    value = Decimal(text)
    if str(value) == text and value.is_finite():
        return value
    if _DECIMAL.fullmatch(text) is None:  # Decimal itself accepts "1_0", " 1 " and digits of other scripts
        raise ValueError("expected a decimal number")
    return value


class _NaiveAsUtc(Scalar):
    """A datetime, in UTC if it has no offset, be it text or an object that another format decoded."""

    def read(self, data: object, path: str, problems: Problems) -> object:
        if problems.native and isinstance(data, self.cls) and data.utcoffset() is None:  # type: ignore[attr-defined]  # a datetime
            data = data.replace(tzinfo=UTC)  # type: ignore[attr-defined]  # as above
        return super().read(data, path, problems)


class _Decimal(Scalar):
    """A finite Decimal, as text so that no digit is lost."""

    def __init__(self, cls: type, **options: Any) -> None:  # Any: those of Scalar
        super().__init__(cls, **options)
        self.plain = Decimal.is_finite

    def load_lines(self, code: Code, wire: str) -> str:
        made = code.variable("decimal")
        code.add(f"{made} = {code.name(_new_decimal, 'new_decimal')}({wire})")
        with code.block(f"if str({made}) != {wire} or not {made}.is_finite():"):
            code.add(f"{made} = {code.name(load_decimal, 'load_decimal')}({wire})")
        return made

    def parse(self, data: Any) -> Any:
        try:
            return load_decimal(data)
        except InvalidOperation as error:
            raise ValueError("expected a decimal number") from error


# Patterns in addition to the formats: in draft 2020-12, a reader may ignore a format.
END: Final = r"$(?!\n)"
"""The end of a text, in every dialect: `$` also matches before a final newline in Python, but not in ECMA-262."""
DATE_PATTERN: Final = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
TIME_PATTERN: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_CLOCK: Final = rf"{TIME_PATTERN}(?:\.[0-9]{{1,6}})?"
_OFFSET: Final = "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_T_SECONDS: Final = r"T(?:[0-9]{1,4}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2})(?:\.[0-9]{1,6})?S"


def whole(pattern: str) -> str:
    r"""Return a pattern that matches whole texts only; `pattern` must have no alternatives at its top level.

    >>> whole("[0-9]+")
    '^[0-9]+$(?!\\n)'
    """
    return f"^{pattern}{END}"


def _text(pattern: str, **more: str) -> Schema:
    return {"type": "string", **more, "pattern": whole(pattern)}


def _moments(st: Any) -> Any:
    offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    return st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28), timezones=st.just(UTC) | offsets)  # noqa: DTZ001  # bounds are naive


_DATETIME: Final[Mapping[str, Any]] = MappingProxyType({
    "kinds": "str", "refusal": _datetime_refusal, "rebuild": lambda value: _combine(value.date(), value.timetz()),
    "guard": "type({v}.tzinfo) is timezone and {v}.tzinfo in quarters or whole_minutes({v})", "samples": _moments,
})  # fmt: skip  # the options that both kinds of datetimes share

SCALARS: Final[Mapping[object, Scalar]] = MappingProxyType({
    str: Scalar(
        str, kinds="str", expected="str", sure=True, measured="text", rebuild=str.__str__, refusal=_text_refusal,
        schema={"type": "string"}, samples=lambda st: st.text(st.characters(exclude_categories=["Cs"])),
    ),
    int: Scalar(
        int, kinds="int", expected="int", sure=True, measured="number", rebuild=int.__int__, excluded=bool,
        refusal=lambda value: None if abs(value) < _INT_LIMIT else "an int of at most 4300 digits",
        schema={"type": "integer"}, samples=lambda st: st.integers(),
    ),
    bool: Scalar(
        bool, kinds="bool", expected="bool", sure=True,
        schema={"type": "boolean"}, samples=lambda st: st.booleans(),
    ),
    float: _Float(
        float, kinds="int float", expected="float", measured="number", rebuild=float.__float__, refusal=_float_refusal,
        guard="type({v}) is float and {v} - {v} == 0.0 or type({v}) is int and -(2**53) <= {v} <= 2**53",
        schema={"type": "number"}, samples=lambda st: st.floats(allow_nan=False, allow_infinity=False),
    ),
    NoneType: Scalar(
        NoneType, kinds="null", expected="None", sure=True,
        schema={"type": "null"}, samples=lambda st: st.none(),
    ),
    UUID: Scalar(
        UUID, kinds="str", expected="a UUID", sure=True, rebuild=lambda value: UUID(int=value.int),
        schema=_text("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", format="uuid"), samples=lambda st: st.uuids(),
    ),
    bytes: Scalar(
        bytes, kinds="str", expected="bytes as base64 text", sure=True, measured="base64",
        rebuild=lambda value: bytes(memoryview(value)),
        schema=_text(
            "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", contentEncoding="base64"
        ), samples=lambda st: st.binary(),
    ),
    _date: Scalar(
        _date, kinds="str", expected="a date, such as 2021-12-28", sure=True, excluded=_datetime,
        rebuild=lambda value: _from_ordinal(value.toordinal()),
        schema=_text(DATE_PATTERN, format="date"), samples=lambda st: st.dates(),
    ),
    _datetime: Scalar(
        _datetime, load=load_datetime, **_DATETIME,
        expected="a datetime with an offset, such as 2021-12-28T14:11:47Z, to the microsecond",
        schema=_text(f"{DATE_PATTERN}T{_CLOCK}{_OFFSET}", format="date-time"),
    ),
    # no formats: `time` requires an offset, and `duration` has neither a sign nor fractions (RFC 3339)
    time: Scalar(
        time, kinds="str", load=load_time, expected="a time, such as 14:11:47, to the microsecond",
        guard="{v}.tzinfo is None or whole_minutes({v})", refusal=_time_refusal,
        rebuild=lambda value: time(
            value.hour, value.minute, value.second, value.microsecond, tzinfo=value.tzinfo, fold=value.fold
        ),
        schema=_text(f"{_CLOCK}{_OFFSET}?"), samples=lambda st: st.times(),
    ),
    timedelta: Scalar(
        timedelta, kinds="str", load=load_timedelta, expected="a duration, such as P1DT2.5S, to the microsecond",
        sure=True, rebuild=lambda value: timedelta(value.days, value.seconds, value.microseconds),
        schema=_text(f"-?P(?:[0-9]{{1,9}}D(?:{_T_SECONDS})?|{_T_SECONDS})"), samples=lambda st: st.timedeltas(),
    ),
    # an exponent of ten digits or more is only accepted in the form that Decimal itself writes
    Decimal: _Decimal(
        Decimal, kinds="str", load=load_decimal, expected='a decimal number as text, such as "12.50"',
        guard="{v}.is_finite()", rebuild=Decimal,
        refusal=lambda value: None if value.is_finite() else "a finite Decimal",
        schema=_text(r"-?(?:[0-9]+(?:\.[0-9]+)?(?:E[+-][0-9]{1,9})?|(?:0|[1-9](?:\.[0-9]+)?)E[+-][1-9][0-9]{9,17})"),
        samples=lambda st: st.decimals(allow_nan=False, allow_infinity=False),
    ),
})  # fmt: skip  # a table is easier to read with its rows unbroken
"""The scalars by class."""

DATETIME: Final = SCALARS[_datetime]
"""The node of datetimes. It has a name, since test libraries that set the clock replace the class that is its key."""

NAIVE_AS_UTC: Final[Mapping[object, Scalar]] = MappingProxyType({
    **SCALARS,
    _datetime: _NaiveAsUtc(
        _datetime, load=load_naive_as_utc, **_DATETIME,
        expected="a datetime, such as 2021-12-28 14:11:47, to the microsecond, in UTC unless it has an offset",
        schema=_text(f"{DATE_PATTERN}[T ]{_CLOCK}{_OFFSET}?"),
    ),
})  # fmt: skip  # as above
"""The same scalars, except that a datetime without an offset is read as UTC."""

_GUARD_NAMES: Final[Mapping[str, object]] = MappingProxyType(
    {"timezone": timezone, "quarters": _QUARTERS, "whole_minutes": whole_minutes}
)
"""The names that the guards above use in addition to builtins."""


class EnumNode(Scalar):
    """A member of an Enum, written as its value."""

    def __init__(self, cls: type[enum.Enum], kinds: str) -> None:
        super().__init__(cls, kinds=kinds, expected=f"a {cls.__qualname__}", schema={}, samples=_NO_REFUSAL)
        self.options: tuple[Any, ...] = tuple(member.value for member in cls)
        if issubclass(cls, enum.Flag):  # Python accepts a negative number as inverted, and may drop bits
            self._wire, self._wire_classes, self._load = int, (int,), _exact_flag(cls)
            self.same: bool = False

    def schema(self, schemas: Schemas) -> Schema:
        return schemas.named(self.cls, lambda: {"enum": list(self.options)})

    def samples(self, samples: Samples) -> Strategy:
        return samples.st.sampled_from(list(self.cls))  # type: ignore[call-overload]  # an Enum is iterable


def _exact_flag(cls: type[enum.Flag]) -> Function:
    def load(number: int) -> enum.Flag:
        found = cls(number)
        if found.value != number:
            raise ValueError("expected known bits")
        return found

    return load


class LiteralNode(Node):
    """A Literal: one of several texts, integers or None."""

    def __init__(self, options: tuple[object, ...]) -> None:
        self.options: tuple[object, ...] = options
        expected, kinds = " or ".join(map(repr, options)), frozenset(json_kind(option) for option in options)
        classes = tuple({type(option) for option in options})
        super().__init__(Literal[options], expected, kinds, wire_classes=classes, object_classes=classes, same=True)
        self._admitted = frozenset((type(option), option) for option in options)

    def load_lines(self, code: Code, wire: str) -> str:  # noqa: ARG002  # msgspec has checked the value
        return wire

    def dump_lines(self, code: Code, value: str) -> str:
        refuse_unless(code, f"(type({value}), {value}) in {code.name(self._admitted, 'admitted')}")
        return value

    def read(self, data: object, path: str, problems: Problems) -> object:
        if type(data) not in self.object_classes:
            return self.wrong_type(path, problems)
        return data if (type(data), data) in self._admitted else problems.add(path, self.expected, "value")

    def write(self, value: object, path: str, problems: Problems) -> object:
        return self.read(value, path, problems)

    def schema(self, schemas: Schemas) -> Schema:  # noqa: ARG002  # the same in every document
        return {"const": self.options[0]} if len(self.options) == 1 else {"enum": list(self.options)}

    def samples(self, samples: Samples) -> Strategy:
        return samples.st.sampled_from(self.options)


def literal_node(options: tuple[object, ...], where: str) -> Node:
    """Return the node of a Literal; `where` names the class and field that has it."""
    if any(type(option) not in (str, int, NoneType) for option in options):
        raise UnsupportedTypeError(
            f"{where}: expected a Literal of str, int and None, got one of other types; use an Enum for these"
        )
    _refuse_long(options, where)
    return LiteralNode(options)


def enum_node(cls: type[enum.Enum], where: str) -> Node:
    """Return the node of an Enum; `where` names the class and field that has it."""
    values = tuple(member.value for member in cls)
    kinds = {json_kind(value) if type(value) in (str, int) else "other" for value in values}
    if kinds not in ({"str"}, {"int"}):
        raise UnsupportedTypeError(
            f"{where}: expected an Enum whose values are all texts or all integers, got {cls.__qualname__}; "
            "give its members such values"
        )
    _refuse_long(values, where)
    return EnumNode(cls, kinds.pop())


def _refuse_long(options: tuple[object, ...], where: str) -> None:
    if any(isinstance(option, int) and not -(2**63) <= option < 2**63 for option in options):
        raise UnsupportedTypeError(
            f"{where}: expected integers of at most 64 bits in an Enum or a Literal, got a longer one; use text"
        )
