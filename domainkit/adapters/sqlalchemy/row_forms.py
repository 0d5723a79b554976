"""The rows of a read model as values of columns, and back: the fields of an attrs class are the columns."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import UnionType
from typing import Annotated, Any, Generic, TypeAlias, TypeVar, Union, get_args, get_origin

import attrs
import sqlalchemy as sa
from attrs import frozen

from domainkit._model.annotations import type_of
from domainkit.ids import content_refusal
from domainkit.values import ValueObject

S = TypeVar("S")
Key: TypeAlias = tuple[object, ...]
"""The values of the primary key of a row, in the order of its columns."""


@frozen
class _Field:
    """A field and its column: the argument of the constructor, and how a value is made of what is stored."""

    name: str
    argument: str
    load: Callable[[Any], object]  # Any: what the column holds


class RowForm(Generic[S]):
    """Puts the rows of one class into columns, and makes them of rows.

    Args:
        cls: an attrs class.
        table: has a column for each field, and a primary key.

    Raises:
        ValueError: the columns are others.
    """

    def __init__(self, cls: type[S], table: sa.Table) -> None:
        origin: type = get_origin(cls) or cls
        arguments = dict(zip(getattr(origin, "__parameters__", ()), get_args(cls), strict=False))
        fields = [one for one in _attributes(origin) if one.init]
        self.columns: tuple[str, ...] = tuple(one.name for one in fields)
        if set(self.columns) != set(table.columns.keys()):
            raise ValueError(
                f"table {table.name!r}: expected the columns {', '.join(sorted(self.columns))}, the fields of "
                f"{cls.__qualname__}, got {', '.join(sorted(table.columns.keys()))}; make them the same"
            )
        self._cls, self._make = cls, _maker(cls)
        self._keys = tuple(column.key for column in table.primary_key)
        self._fields = [
            _Field(one.name, one.alias or one.name, _loader(type_of(origin, one.name, arguments))) for one in fields
        ]

    def key(self, given: object) -> Key:
        """Return the key that a function gave for an event, as the columns hold it.

        Raises:
            ValueError: it has another number of parts than the primary key has columns, or a text that a database
                doesn't keep as it is.
        """
        parts = given if isinstance(given, tuple) else (given,)
        if len(parts) != len(self._keys):
            raise ValueError(
                f"rows of {self._cls.__qualname__}: expected a key of {len(self._keys)} parts "
                f"({', '.join(self._keys)}), got {len(parts)}; return a tuple in this order"
            )
        found = tuple([_stored(one) for one in parts])
        self._require_kept(zip(self._keys, found, strict=True))
        return found

    def key_of(self, row: S) -> Key:
        """Return the key of a row, as the columns hold it."""
        return tuple([_stored(getattr(row, one)) for one in self._keys])

    def load(self, row: sa.RowMapping) -> S:
        """Return a stored row as an object.

        What its constructor raises gets a note that names the class.
        """
        try:
            return self._make(**{one.argument: one.load(row[one.name]) for one in self._fields})
        except Exception as error:
            error.add_note(f"a stored row of {self._cls.__qualname__}")
            raise

    def dump(self, key: Key, row: S) -> Mapping[str, object]:
        """Return the values of the columns.

        Raises:
            ValueError: the row has another key, or a text that a database doesn't keep as it is.
        """
        values = {one: _stored(getattr(row, one)) for one in self.columns}
        if self.key_of(row) != key:
            raise ValueError(
                f"rows of {self._cls.__qualname__}: expected a row with the key of its event, got another one in "
                f"{', '.join(self._keys)}; return the row of that key from the step"
            )
        self._require_kept(values.items())
        return values

    def _require_kept(self, values: Iterable[tuple[str, object]]) -> None:
        """Refuse a text with a NUL character or a lone surrogate."""
        for name, value in values:
            refusal = content_refusal(value) if isinstance(value, str) else None
            if refusal is not None:
                raise ValueError(f"{self._cls.__qualname__}.{name}: expected {refusal}; refuse it where it comes in")


def _attributes(cls: type) -> tuple["attrs.Attribute[Any]", ...]:
    return tuple(attrs.fields(cls))


def _maker(cls: type[S]) -> Callable[..., S]:
    """Return the class as a function of its fields, whose names are known when it runs."""
    return cls


def _stored(value: object) -> object:
    """Return a value as a column holds it: what a value object wraps, and times in UTC."""
    if isinstance(value, ValueObject):
        return _stored(value.value)
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else value


def _as_stored(stored: object) -> object:
    return stored


def _in_utc(stored: datetime | None) -> datetime | None:
    if stored is None:
        return None
    return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


def _wrapping(cls: type[ValueObject[Any]]) -> Callable[[Any], object]:  # Any: of any value
    return lambda stored: None if stored is None else cls.from_value(stored)


def _loader(hint: object) -> Callable[[Any], object]:
    """Return how a field of this type is made of what a column holds."""
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(inner) in {Union, UnionType}:
        loaders = [found for found in map(_loader, get_args(inner)) if found is not _as_stored]
        return loaders[0] if len(loaders) == 1 else _as_stored
    cls = get_origin(inner) or inner
    if isinstance(cls, type) and issubclass(cls, ValueObject):
        return _wrapping(cls)
    return _in_utc if cls is datetime else _as_stored
