"""Hypothesis strategies for messages, value objects and aggregates; they respect validators (extra `testing`)."""

import enum
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

import attrs
import msgspec

try:
    from hypothesis import strategies as st
except ImportError as _error:
    raise ImportError(
        "domainkit.testing.strategies needs an extra: pip install 'domainkit-attrs[testing]'", name="testing"
    ) from _error

from domainkit._model.annotations import parameters_of, type_of
from domainkit._model.immutability import ABSENT, ON_THE_WIRE
from domainkit._model.validators import flattened
from domainkit.messages import MessageHeader
from domainkit.values import Uuid

T = TypeVar("T")
Strategy = st.SearchStrategy[Any]  # Any: a strategy for the type that a field happens to have

_CHARACTERS = st.characters(exclude_categories=["Cs"])
_TEXT = st.text(_CHARACTERS)
_OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28), timezones=st.just(UTC) | _OFFSETS)  # noqa: DTZ001  # bounds are naive
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)


def _leaves() -> Mapping[object, Strategy]:
    return {
        str: _TEXT,
        int: st.integers(),
        bool: st.booleans(),
        float: st.floats(allow_nan=False, allow_infinity=False),
        NoneType: st.none(),
        None: st.none(),
        UUID: st.uuids(),
        bytes: st.binary(),
        date: st.dates(),
        datetime: _MOMENTS,
        time: st.times(),
        timedelta: st.timedeltas(),
        Decimal: st.decimals(allow_nan=False, allow_infinity=False),
        MessageHeader: headers(),
    }


def headers() -> st.SearchStrategy[MessageHeader]:
    """Return a strategy for headers: any id, any time, any JSON as meta.

    >>> from hypothesis import find
    >>> find(headers(), lambda header: bool(header.meta)).meta
    {'': None}
    """
    ids, meta = st.builds(Uuid, st.uuids()), st.dictionaries(_TEXT, _JSON, max_size=3)
    return st.builds(MessageHeader, id=ids, occurred_on=_MOMENTS.map(lambda moment: moment.astimezone(UTC)), meta=meta)


def instances(cls: type[T], **fields: Strategy) -> st.SearchStrategy[T]:
    """Return a strategy for the instances of a message, value object, aggregate or any other attrs class.

    Each field gets values of its type that its validators accept: bounds, lengths, patterns and options of
    `attrs.validators` are made so; what other validators refuse is filtered out.

    >>> from attrs import field, frozen
    >>> from attrs.validators import ge, le
    >>> from domainkit import ValueObject
    >>> from hypothesis import find
    >>> @frozen
    ... class Percent(ValueObject[int]):
    ...     value: int = field(validator=[ge(1), le(100)])
    >>> find(instances(Percent), lambda percent: percent.value > 50)
    Percent(value=51)

    Args:
        cls: the class.
        fields: strategies of your own, by the name that the constructor gives the field.

    Raises:
        TypeError: a field has a type that no strategy is known for: pass one for it, or register the type with
            `hypothesis.strategies.register_type_strategy`.
    """
    return _Builder().instances(cls, cls, fields)


_REFUSED = object()


class _Builder:
    """Builds the strategies for types that belong together; a class that holds itself is met once."""

    def __init__(self) -> None:
        self._known = dict(_leaves())

    def instances(self, cls: type[Any], hint: object, given: Mapping[str, Strategy]) -> Strategy:
        arguments = dict(zip(parameters_of(cls), get_args(hint), strict=False))
        fields = {
            str(attribute.alias): self._field(cls, attribute, arguments)
            for attribute in attrs.fields(cls)
            if attribute.init and attribute.metadata.get(ON_THE_WIRE) != ABSENT and attribute.alias not in given
        }
        made = st.fixed_dictionaries({**fields, **given}).map(lambda values: _made(cls, values))
        return made.filter(lambda one: one is not _REFUSED)

    def _field(self, cls: type, attribute: "attrs.Attribute[Any]", arguments: Mapping[Any, object]) -> Strategy:
        hint = type_of(cls, attribute.name, arguments)
        bounded = _bounded(hint, flattened(attribute.validator))
        return bounded if bounded is not None else self._for(hint, f"{cls.__qualname__}.{attribute.name}")

    def _for(self, hint: Any, where: str) -> Strategy:
        if isinstance(hint, NewType):
            return self._for(hint.__supertype__, where)
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return _constrained(inner, self._for(inner[0], where))
        if origin in (Union, UnionType):
            return st.one_of(*(self._for(member, where) for member in inner))
        if origin is Literal:
            return st.sampled_from(inner)
        if origin in (tuple, frozenset, Mapping):
            return self._collection(origin, inner, where)
        if hint not in self._known:
            self._known[hint] = st.deferred(lambda: made)
            made = self._class(origin or hint, hint, where)
        return self._known[hint]

    def _collection(self, origin: object, inner: tuple[Any, ...], where: str) -> Strategy:
        items = [self._for(item, where) for item in inner if item is not Ellipsis]
        if origin is Mapping:
            return st.dictionaries(*items, max_size=3)
        if origin is frozenset:
            return st.frozensets(items[0], max_size=3)
        return st.tuples(*items) if len(items) == len(inner) else st.lists(items[0], max_size=3).map(tuple)

    def _class(self, cls: object, hint: object, where: str) -> Strategy:
        if isinstance(cls, type) and issubclass(cls, enum.Enum):
            return st.sampled_from(list(cls))
        if isinstance(cls, type) and attrs.has(cls):
            return self.instances(cls, hint, {})
        if isinstance(cls, type):
            return st.from_type(cls)
        raise TypeError(f"{where}: no strategy is known for {hint}; pass one by the name of the field")


def _made(cls: type[Any], values: Mapping[str, object]) -> object:
    try:
        return cls(**values)
    except (ValueError, TypeError):  # what validators raise: InvalidValueObject is a ValueError
        return _REFUSED


def _bounded(hint: object, validators: tuple[Any, ...]) -> Strategy | None:
    """Return a strategy that the validators of attrs shape; None where they say nothing about this type."""
    found = {type(validator).__name__: validator for validator in validators}
    if (options := found.get("_InValidator")) is not None:
        return st.sampled_from(sorted(options.options, key=repr))
    if hint is str and (pattern := found.get("_MatchesReValidator")) is not None:
        return st.from_regex(pattern.pattern, fullmatch=True)
    if hint in (str, bytes):
        least = getattr(found.get("_MinLengthValidator"), "min_length", 0)
        most = getattr(found.get("_MaxLengthValidator"), "max_length", None)
        return (
            st.text(_CHARACTERS, min_size=least, max_size=most)
            if hint is str
            else st.binary(min_size=least, max_size=most)
        )
    bounds = {one.compare_op: one.bound for one in validators if hasattr(one, "compare_op")}
    return _numbers(hint, bounds) if bounds else None


def _numbers(hint: object, bounds: Mapping[str, Any]) -> Strategy | None:
    least, most = bounds.get(">=", bounds.get(">")), bounds.get("<=", bounds.get("<"))
    if hint is int:
        return st.integers(least, most)
    if hint is float:
        return st.floats(least, most, allow_nan=False, allow_infinity=False)
    return st.decimals(least, most, allow_nan=False, allow_infinity=False) if hint is Decimal else None


def _constrained(inner: tuple[Any, ...], base: Strategy) -> Strategy:
    """Return the strategy for `Annotated[X, Meta(...)]`."""
    constraints = [extra for extra in inner[1:] if isinstance(extra, msgspec.Meta)]
    if not constraints:
        return base
    hint: Any = inner[0]
    for one in constraints:
        hint = Annotated[hint, one]
    bounds = {
        sign: value
        for one in constraints
        for sign, value in ((">=", one.ge), (">", one.gt), ("<=", one.le), ("<", one.lt))
        if value is not None
    }
    bounded = _numbers(inner[0], bounds)
    return (base if bounded is None else bounded).filter(lambda value: _converts(value, hint))


def _converts(value: object, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True
