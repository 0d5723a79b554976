"""Read-only mapping that a frozen class keeps in place of a dict that was passed to it."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType, MemberDescriptorType
from typing import Any, NoReturn, Self, TypeVar

from typing_extensions import TypeAliasType

JsonValue = TypeAliasType(
    "JsonValue",
    "bool | int | float | str | tuple[JsonValue, ...] | list[JsonValue] | Mapping[str, JsonValue] | None",
)
"""A value that JSON can carry: None, bool, int, float, str, and tuples, lists and mappings of these with keys of text.

A message, value object or aggregate keeps it read-only: a list becomes a tuple.
"""

K = TypeVar("K")
V = TypeVar("V")


class FrozenMapping(dict[K, V]):
    """Dict that refuses every change; hashable if its values are, equal to a dict with the same items.

    Since it is a dict, it is read, compared and encoded at C speed.
    """

    __slots__ = ("_filled",)

    def __hash__(self) -> int:  # type: ignore[override]  # dict declares None, a frozen one can hash
        return hash(frozenset(self.items()))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:  # Any: as in copy.deepcopy
        return self if _is_plain(self) else type(self)(deepcopy(dict(self), memo))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (dict(self),)


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("this mapping is read-only: build a new one, such as {**old, key: value}")


_FILLED: MemberDescriptorType = FrozenMapping.__dict__["_filled"]
_OF_JSON = "with JSON values only"
"""The value of `_filled` if `freeze_json` has checked all of the content."""


def _fill(self: FrozenMapping[Any, Any], *args: Any, **kwargs: object) -> None:  # Any: the arguments of dict
    if hasattr(self, "_filled"):
        _refuse()
    _FILLED.__set__(self, True)
    dict.__init__(self, *args, **kwargs)


for _name in (
    "__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update",
    "__setattr__", "__delattr__",
):  # fmt: skip  # one list
    setattr(FrozenMapping, _name, _refuse)  # set here, since no signature suits all of them
type.__setattr__(FrozenMapping, "__init__", _fill)  # and here, so that type checkers see dict's own `__init__`


def _is_plain(value: object) -> bool:
    """Check if `value` and everything in it is immutable."""
    if isinstance(value, FrozenMapping):
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if type(value) is tuple else type(value) in _PLAIN


_PLAIN = frozenset({str, int, bool, float, bytes, type(None)})


def frozen_copy(value: object) -> object:
    """Return `value` with the mappings, lists, sets and bytearrays in it, at any depth, replaced by read-only copies.

    >>> frozen_copy({"lines": [{"sku": "A1"}]})
    {'lines': ({'sku': 'A1'},)}

    Raises TypeError for a value that contains itself, or is nested too deeply to be checked.
    """
    try:
        return _frozen(value)
    except RecursionError:
        raise TypeError(
            f"a {type(value).__qualname__}: expected a value of finite depth, got one that contains itself"
        ) from None


def _frozen(value: object) -> object:
    if type(value) in UNCHANGED:
        return value
    if isinstance(value, Mapping):
        return FrozenMapping({key: _frozen(item) for key, item in value.items()})
    if type(value) in (tuple, list):
        return tuple(map(_frozen, value))  # type: ignore[call-overload]  # iterable by the check above
    copy = _COPIES.get(type(value))
    return value if copy is None else copy(value)


UNCHANGED = _PLAIN | {FrozenMapping}
"""The classes whose values `frozen_copy` returns as they are."""
_COPIES: Mapping[type, Callable[[Any], object]] = MappingProxyType({set: frozenset, bytearray: bytes})  # Any: its key's


def freeze_json(value: object, path: str = "$") -> object:
    """Return the JSON value `value` with its dicts and lists replaced by read-only ones.

    A value that it returned before is returned unchanged. Raises TypeError for a value that JSON can't carry, or that
    contains itself; the error text has the path, never the value.
    """
    try:
        return _frozen_json(value)
    except RecursionError:
        raise TypeError(f"{path}: expected a JSON value of finite depth, got one that contains itself") from None
    except _NotJsonError as refused:
        raise TypeError(f"{path}{''.join(reversed(refused.steps))}: {refused.objection}") from None


def freeze_parsed(values: dict[str, Any]) -> Mapping[str, Any]:  # Any: JSON values
    """Return what `freeze_json` returns for an object that was parsed from JSON: in less time if all values are texts.

    A parsed text needs no check: JSON could carry it.
    """
    for value in values.values():
        if type(value) is not str:
            return freeze_json(values)  # type: ignore[return-value]  # a mapping stays one
    return _filled(values)


class _NotJsonError(Exception):
    """The objection to a part of a value.

    Each container adds its step of the path when the error passes through it: building the path of every part
    beforehand would take longer than everything else.
    """

    def __init__(self, objection: str) -> None:
        self.objection = objection
        self.steps: list[str] = []


def _frozen_json(value: object) -> object:
    refuse = _REFUSALS.get(type(value))
    if refuse is None:
        return _frozen_part(value)
    reason = refuse(value)
    if reason is not None:
        raise _NotJsonError(f"expected a value that JSON can carry, got {reason}")
    return value


def _frozen_part(value: object) -> object:
    if isinstance(value, dict | Mapping):  # dict first: checking an abstract class takes longer
        return value if _is_frozen_json(value) else _frozen_object(value)
    if isinstance(value, list | tuple):
        return _frozen_array(value)
    kind = type(value).__qualname__
    raise _NotJsonError(
        f"expected a JSON value, got {kind}; use None, bool, int, float, str, a tuple or a mapping of these"
    )


def _is_frozen_json(value: object) -> bool:
    return type(value) is FrozenMapping and _FILLED.__get__(value) is _OF_JSON


def _frozen_object(value: Mapping[Any, object]) -> object:  # Any: the keys aren't checked yet
    items = dict(value)
    for key in items:
        reason = _refused_text(key) if type(key) is str else type(key).__qualname__
        if reason is not None:
            raise _NotJsonError(f"expected keys that are JSON text, got {reason}")
    key = None
    try:
        for key, item in items.items():
            frozen = _frozen_json(item)
            if frozen is not item:  # the assignment would take as long as everything else
                items[key] = frozen
    except _NotJsonError as refused:
        refused.steps.append(f".{key}")
        raise
    return _filled(items)


def _filled(items: dict[Any, object]) -> FrozenMapping[str, object]:  # Any: keys of text
    made: FrozenMapping[str, object] = FrozenMapping.__new__(FrozenMapping)
    dict.update(made, items)  # as `__init__` does, without its check: there may be 250,000 of these
    _FILLED.__set__(made, _OF_JSON)
    return made


def _frozen_array(value: Sequence[object]) -> object:
    items, index = list(value), 0
    try:
        for index, item in enumerate(items):
            items[index] = _frozen_json(item)
    except _NotJsonError as refused:
        refused.steps.append(f"[{index}]")
        raise
    return tuple(items)


def _refused_text(text: str) -> str | None:
    return None if text.isascii() or text.encode(errors="ignore").decode() == text else "a lone surrogate"


def _refused_int(number: int) -> str | None:
    return None if number.bit_length() < _INT_BITS or abs(number) < _INT_LIMIT else "an int of more than 4,300 digits"


def _refused_float(number: float) -> str | None:
    return None if number - number == 0 else "NaN or an infinite number"


_INT_LIMIT = 10**4300
"""By default Python parses ints up to this: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits."""
_INT_BITS = _INT_LIMIT.bit_length()
_REFUSALS: Mapping[type, Callable[[Any], str | None]] = MappingProxyType(  # Any: its key's
    {
        str: _refused_text,
        int: _refused_int,
        float: _refused_float,
        bool: lambda _: None,
        type(None): lambda _: None,
    }
)
"""By class: a function that returns the objection to a value, or None."""
