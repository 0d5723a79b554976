"""A mapping that can't change: what a frozen class holds where its user gave it a dict."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any, NoReturn, Self, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenMapping(dict[K, V]):
    """A dict that refuses every change; hashable when its values are, equal to a dict with the same items.

    Being a dict, it is read, compared and encoded at C speed.
    """

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]  # dict declares None, a frozen one can hash
        return hash(frozenset(self.items()))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:  # Any: as copy.deepcopy has it
        return self if _is_plain(self) else type(self)(deepcopy(dict(self), memo))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (dict(self),)


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("this mapping is read-only: build a new one, such as {**old, key: value}")


for _name in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(FrozenMapping, _name, _refuse)  # set here, since no signature suits all of them


def _is_plain(value: object) -> bool:
    """Tell whether `value` and all that it holds can't change."""
    if isinstance(value, FrozenMapping):
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if type(value) is tuple else type(value) in _PLAIN


_PLAIN = frozenset({str, int, bool, float, bytes, type(None)})


def frozen_copy(value: object) -> object:
    """Return `value` with the mappings, lists, sets and bytearrays in it, at any depth, replaced by read-only copies.

    >>> frozen_copy({"lines": [{"sku": "A1"}]})
    {'lines': ({'sku': 'A1'},)}
    """
    if type(value) is FrozenMapping:
        return value
    if isinstance(value, Mapping):
        return FrozenMapping({key: frozen_copy(item) for key, item in value.items()})
    if type(value) in (tuple, list):
        return tuple(map(frozen_copy, value))  # type: ignore[call-overload]  # iterable by the check above
    copy = _COPIES.get(type(value))
    return value if copy is None else copy(value)


_COPIES: Mapping[type, Callable[[Any], object]] = MappingProxyType({set: frozenset, bytearray: bytes})  # Any: its key's


def freeze_json(value: object, path: str = "$") -> object:
    """Return the JSON value `value` with its dicts and lists replaced by read-only ones.

    Raises TypeError, naming the path and never the value, for what JSON can't carry.
    """
    kind = type(value)
    if kind in (str, int, bool, type(None)):
        return value
    if kind is float:
        if value - value != 0:  # type: ignore[operator]  # a float by the check above; only NaN and infinity differ
            raise TypeError(f"{path} is a number that JSON can't carry (NaN or infinite)")
        return value
    if isinstance(value, Mapping):
        return FrozenMapping({_json_key(key, path): freeze_json(item, f"{path}.{key}") for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze_json(item, f"{path}[{index}]") for index, item in enumerate(value))
    raise TypeError(
        f"{path} is a {kind.__name__}, which JSON can't carry; "
        "use None, bool, int, float, str, a tuple or a mapping of these"
    )


def _json_key(key: object, path: str) -> str:
    if type(key) is not str:
        raise TypeError(f"a key in {path} is a {type(key).__name__}; JSON has text keys only")
    return key
