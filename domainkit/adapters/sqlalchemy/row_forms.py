"""The rows of a read model as values of columns, and back: the fields of an attrs class are the columns."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, NewType, TypeAlias, TypeVar, Union, get_args, get_origin
from uuid import UUID

import attrs
import sqlalchemy as sa
from typing_extensions import TypeAliasType

from domainkit._model.annotations import type_of
from domainkit._model.type_checks import describe
from domainkit.conversion.derive import Derivation
from domainkit.conversion.nodes import UnsupportedTypeError
from domainkit.ids import content_refusal
from domainkit.values import ValueObject

S = TypeVar("S")
Key: TypeAlias = tuple[object, ...]
"""The values of the primary key of a row, in the order of its columns."""

_PLAIN: frozenset[object] = frozenset({int, bool, float, bytes, Decimal, UUID})
"""The types whose values go into a column as they are."""


class RowForm(Generic[S]):
    """Puts the rows of one class into columns, and makes them of rows.

    Args:
        cls: an attrs class.
        table: has a column for each field, and a primary key.

    Raises:
        ValueError: the columns are others.
        UnsupportedTypeError: a field is a union of types whose values can't be told apart in a column.
    """

    def __init__(self, cls: type[S], table: sa.Table) -> None:
        origin: type = get_origin(cls) or cls
        parameters: tuple[TypeVar, ...] = getattr(origin, "__parameters__", ())
        arguments: dict[TypeVar, object] = dict(zip(parameters, get_args(cls), strict=False))
        fields = [one for one in _attributes(origin) if one.init]
        self.columns: tuple[str, ...] = tuple(one.name for one in fields)
        if set(self.columns) != set(table.columns.keys()):
            raise ValueError(
                f"table {table.name!r}: expected the columns {', '.join(sorted(self.columns))}, the fields of "
                f"{cls.__qualname__}, got {', '.join(sorted(table.columns.keys()))}; make them the same"
            )
        self._cls, self._make = cls, _maker(cls)
        self._keys = tuple(column.key for column in table.primary_key)
        self._without_zone = {column.key for column in table.columns if _is_without_zone(column)}
        self._arguments = tuple(one.alias or one.name for one in fields)
        hints = {one.name: type_of(origin, one.name, arguments) for one in fields}
        for name, hint in hints.items():
            _require_one_type(hint, f"{origin.__qualname__}.{name}")
        loaders = zip(self._arguments, map(_loader, hints.values()), strict=True)
        self._loaders = [(name, load) for name, load in loaders if load is not None]
        self._plain = tuple(name for name, hint in hints.items() if hint in _PLAIN)
        self._others = tuple(name for name in self.columns if name not in self._plain)

    def key(self, given: object) -> Key:
        """Return the key that a function gave for an event, as the columns hold it.

        Raises:
            ValueError: it has another number of parts than the primary key has columns, or a text that a database
                doesn't keep as it is, or a time without a time zone.
        """
        parts = given if isinstance(given, tuple) else (given,)
        if len(parts) != len(self._keys):
            raise ValueError(
                f"rows of {self._cls.__qualname__}: expected a key of {len(self._keys)} parts "
                f"({', '.join(self._keys)}), got {len(parts)}; return a tuple in this order"
            )
        return tuple([self._kept(name, one) for name, one in zip(self._keys, parts, strict=True)])

    def key_of(self, row: S) -> Key:
        """Return the key of a row, as the columns hold it."""
        return tuple([self._stored(one, getattr(row, one)) for one in self._keys])

    def load(self, row: Sequence[Any]) -> S:
        """Return a stored row, with the columns in the order of the fields, as an object.

        What its constructor raises gets a note that names the class.
        """
        values = dict(zip(self._arguments, row, strict=True))
        try:
            for name, load in self._loaders:
                if values[name] is not None:
                    values[name] = load(values[name])
            return self._make(**values)
        except Exception as error:
            error.add_note(f"a stored row of {self._cls.__qualname__}")
            raise

    def dump(self, key: Key, row: S) -> Mapping[str, object]:
        """Return the values of the columns.

        Raises:
            ValueError: the row has another key, a text that a database doesn't keep as it is, or a time without a time
                zone.
        """
        values: dict[str, object] = {name: getattr(row, name) for name in self._plain}
        for name in self._others:
            values[name] = self._kept(name, getattr(row, name))
        if tuple([values[one] for one in self._keys]) != key:
            raise ValueError(
                f"rows of {self._cls.__qualname__}: expected a row with the key of its event, got another one in "
                f"{', '.join(self._keys)}; return the row of that key from the step"
            )
        return values

    def _kept(self, name: str, value: object) -> object:
        """Return a value as its column holds it, unless a database changes such a value."""
        unwrapped = _unwrapped(value)
        refusal = _refusal(unwrapped)
        if refusal is not None:
            raise ValueError(f"{self._cls.__qualname__}.{name}: expected {refusal}; refuse it where it comes in")
        return self._stored(name, unwrapped)

    def _stored(self, name: str, value: object) -> object:
        """Return a value as its column holds it: PostgreSQL puts a time into the zone of the session, if it can."""
        unwrapped = _unwrapped(value)
        if isinstance(unwrapped, datetime) and name in self._without_zone:
            return unwrapped.replace(tzinfo=None)
        return unwrapped


def _attributes(cls: type) -> tuple["attrs.Attribute[Any]", ...]:
    return tuple(attrs.fields(cls))


def _maker(cls: type[S]) -> Callable[..., S]:
    """Return the class as a function of its fields, whose names are known when it runs."""
    return cls


def _unwrapped(value: object) -> object:
    """Return what a value object wraps, and times in UTC."""
    if isinstance(value, ValueObject):
        return _unwrapped(value.value)
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else value


def _refusal(value: object) -> str | None:
    """Return what a database would keep, if it changes this value."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return "a time with a time zone"
    return content_refusal(value) if isinstance(value, str) else None


def _is_without_zone(column: "sa.Column[Any]") -> bool:  # Any: of any type
    return isinstance(column.type, sa.DateTime) and not column.type.timezone


def _in_utc(stored: datetime) -> datetime:
    return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


def _inside(hint: object) -> object:
    """Return a type without the annotations, aliases and new names around it."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif isinstance(hint, NewType):
            hint = hint.__supertype__
        elif isinstance(hint, TypeAliasType):
            hint = hint.__value__
        else:
            return hint


def _members(hint: object) -> list[object]:
    """Return the types of a union without None, or the one type."""
    inner = _inside(hint)
    if get_origin(inner) not in {Union, UnionType}:
        return [] if inner is NoneType else [inner]
    return [one for member in get_args(inner) for one in _members(member)]


def _require_one_type(hint: object, where: str) -> None:
    """Refuse a union whose values a column doesn't distinguish.

    Raises:
        UnsupportedTypeError: a member is loaded by its class, or JSON doesn't distinguish the members either.
    """
    members = _members(hint)
    if len(members) < 2:
        return
    if any(_loader(one) is not None for one in members):
        raise UnsupportedTypeError(
            f"{where}: expected one type for a column, or it and None, got {describe(hint)}; give each member a field "
            "and a column of its own"
        )
    Derivation().node(Union[tuple(members)], where)  # noqa: UP007  (known at run time only)


def _loader(hint: object) -> Callable[[Any], object] | None:  # Any: what the column holds
    """Return how a field of this type is made of what a column holds; None if it is that value."""
    inner = next(iter(_members(hint)), None)
    cls = get_origin(inner) or inner
    if isinstance(cls, type) and issubclass(cls, ValueObject):
        return cls.from_value
    if isinstance(cls, type) and issubclass(cls, Enum):
        return cls  # a column of texts or numbers holds the value of a StrEnum or IntEnum
    return _in_utc if cls is datetime else None
