"""The id of an aggregate as a database key: a UUID, a number or a text, and back.

Equal ids have equal keys, and different ids have different keys: databases compare the keys.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, time
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from types import MappingProxyType
from typing import Any, Final, Generic, TypeAlias, TypeVar
from uuid import UUID

import attrs
import msgspec

from domainkit._model.type_checks import describe
from domainkit.aggregates import AnyId
from domainkit.conversion.derive import Derivation
from domainkit.conversion.nodes import MISSING, Node, Problems, UnsupportedTypeError
from domainkit.conversion.scalars import DATETIME, SCALARS, Scalar
from domainkit.conversion.wrappers import Delegate
from domainkit.errors import Problem
from domainkit.states import StoredStateError
from domainkit.values import Uuid, ValueObject

IdT = TypeVar("IdT", bound=AnyId)
Key: TypeAlias = UUID | int | str
"""An id in its stored form."""

MOST_BITS: Final = 64
"""The size of the largest integers of SQLite and PostgreSQL."""

MOST_BYTES: Final = 2000
"""The limit for a text in UTF-8: an index row of PostgreSQL has at most 2,704 bytes, with the default page size.
See https://www.postgresql.org/docs/current/btree.html."""

_PATH = "$.aggregate_id"
_encode = msgspec.json.Encoder(order="sorted").encode
_exact = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def content_refusal(text: str) -> str | None:
    r"""Return the rule that a text breaks so that a database can't store it unchanged; None if it breaks none.

    >>> content_refusal("a\0b")
    'a text without NUL characters'
    """
    if "\0" in text:
        return "a text without NUL characters"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a text without lone surrogates"
    return None


def text_refusal(text: str) -> str | None:
    """Return the rule that a text breaks so that a database can't store it as a key; None if it breaks none.

    >>> text_refusal("a" * 2001)
    'a text of at most 2000 bytes in UTF-8'
    """
    refusal = content_refusal(text)
    if refusal is None and len(text.encode()) > MOST_BYTES:
        return f"a text of at most {MOST_BYTES} bytes in UTF-8"
    return refusal


class _OneText(Delegate):
    """A scalar whose equal values have several texts: it is written in its canonical form."""

    def __init__(self, row: Scalar, common: Callable[[Any], object]) -> None:  # Any: of the class of the row
        super().__init__(
            row.wire, row.expected, row.kinds, wire_classes=row.wire_classes, object_classes=row.object_classes
        )
        self.target: Node = row
        self._common = common

    def write(self, value: object, path: str, problems: Problems) -> object:
        wire = self.target.write(value, path, problems)
        if wire is MISSING:
            return MISSING
        try:
            return self.target.write(self._common(value), path, problems)
        except OverflowError:  # a datetime near its limits, which has no equal in UTC
            return problems.add(path, "a datetime that exists in UTC too", "value")


_COMMON: Mapping[object, _OneText] = MappingProxyType(
    {
        float: _OneText(SCALARS[float], lambda value: value + 0.0),  # -0.0 and 1 too
        Decimal: _OneText(SCALARS[Decimal], lambda value: value.normalize(_exact) if value else Decimal(0)),
        DATETIME.cls: _OneText(DATETIME, lambda value: value.astimezone(UTC)),
    }
)


class _IdDerivation(Derivation):
    """Derives nodes that write equal values as equal texts."""

    def without_hook(self, hint: object, where: str) -> Node:
        if hint is time:
            raise UnsupportedTypeError(
                f"{where}: expected an id without a time, got one: equal times in two time zones have no common text; "
                "use a datetime, a timedelta since midnight, or text"
            )
        common = _COMMON.get(hint) if isinstance(hint, type) else None
        return super().without_hook(hint, where) if common is None else common


class IdForm(Generic[IdT]):
    """The keys of one class of ids.

    The key of a Uuid is its UUID. For an id whose wire form is a text or an int, the key is the wire form; for others,
    it is the JSON text, with sorted keys and without spaces.

    >>> class Seat(ValueObject[tuple[str, int]]): ...
    >>> IdForm(Seat).key(Seat(("A", 5)))
    '["A",5]'

    Args:
        cls: the class.
        bits: the size of the column's integers, including the sign.
        length: the maximum length of the column's texts, in characters.

    Raises:
        TypeError: `cls` is not a class of value objects, or has a custom `eq` on its value.
        UnsupportedTypeError: it wraps a type without a wire form.
    """

    def __init__(self, cls: type[IdT], *, bits: int = MOST_BITS, length: int | None = None) -> None:
        if not (isinstance(cls, type) and issubclass(cls, ValueObject)):
            raise TypeError(f"ids: expected a class of value objects, got {describe(cls)}; derive one from ValueObject")
        if attrs.fields(cls).value.eq_key is not None:
            raise TypeError(
                f"{cls.__qualname__}.value: expected an id that is compared by its value, got one with eq=...; "
                "normalize its values with converter=... instead"
            )
        self._cls, self._bits, self._length = cls, bits, length
        self._node = _IdDerivation().node(cls, cls.__qualname__)
        kinds = self._node.kinds
        self._is_json = kinds not in ({"str"}, {"int"})
        self.key_type: type[UUID | int | str] = UUID if issubclass(cls, Uuid) else int if kinds == {"int"} else str
        """The class of the keys."""

    def key(self, aggregate_id: AnyId) -> Key:
        """Return the key of an id of this class.

        Raises:
            ValueError: the database or the column can't store it; the text shows no value.
        """
        if isinstance(aggregate_id, Uuid):
            return aggregate_id.value
        problems = Problems()
        wire = self._node.write(aggregate_id, "$", problems)
        if not problems:
            key = wire if isinstance(wire, int | str) and not self._is_json else _encode(wire).decode()
            refusal = self._refusal(key)
            if refusal is None:
                return key
            problems.add("$", refusal, "value")
        name, found = self._cls.__qualname__, "; ".join(map(str, problems))
        raise ValueError(
            f"{name}: expected an id that a database can store, got one with a problem ({found}); "
            f"refuse it with a validator of {name}"
        )

    def _refusal(self, key: int | str) -> str | None:
        if isinstance(key, int):
            beyond = 1 << (self._bits - 1)
            return None if -beyond <= key < beyond else f"an int of at most {self._bits} bits"
        if self._length is not None and len(key) > self._length:
            return f"a text of at most {self._length} characters"
        return text_refusal(key)

    def read(self, key: object) -> IdT:
        """Return the id with this key.

        Raises:
            StoredStateError: no id of this class has this key: another program stored it.
        """
        if isinstance(key, UUID):
            return self._cls(key)
        problems = Problems()
        try:
            data = msgspec.json.decode(key) if self._is_json and isinstance(key, str) else key
        except (msgspec.DecodeError, RecursionError):
            raise StoredStateError(problems=(Problem(_PATH, "JSON", "json"),)) from None
        made = self._node.read(data, _PATH, problems)
        if not isinstance(made, self._cls):
            raise StoredStateError(problems=tuple(problems))
        return made
