"""Types whose values can change, and what to write in their place."""

from collections import abc, deque
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Literal, get_args, get_origin

import attrs

from domainkit._model.internals import FROZEN_SETATTR
from domainkit._model.mapping import JsonValue
from domainkit._model.type_checks import bare, members

_MAPPING, _TUPLE, _FROZENSET = "collections.abc.Mapping[K, V]", "tuple[X, ...]", "frozenset[X]"
_REMEDIES: tuple[tuple[type, str], ...] = (
    (list, _TUPLE),
    (dict, _MAPPING),
    (set, _FROZENSET),
    (bytearray, "bytes"),
    (deque, _TUPLE),
    (abc.MutableMapping, _MAPPING),
    (abc.MutableSequence, _TUPLE),
    (abc.MutableSet, _FROZENSET),
)
_ADMITS_LISTS = (abc.Sequence, abc.Collection, abc.Iterable, abc.Reversible, abc.Container)
_HOLDS_NO_ARGUMENT = (type, Callable, Literal)


def holds_mapping(hint: object) -> bool:
    """Tell whether a value of this type may be a mapping, or hold one."""
    parts = _parts(hint)
    return Mapping in parts or JsonValue in parts


def refuse_mutable(hint: object, field: str) -> None:
    """Raise TypeError if a value of the type `hint` could change after it was made, or the type has no end.

    `field` says where: the class and the field.
    """
    try:
        parts, _ = _parts(hint), members(hint)
    except TypeError as error:
        raise TypeError(f"{field}: {error}") from error
    for part in parts:
        remedy = _remedy(part)
        if remedy is not None:
            name = getattr(part, "__qualname__", str(part))
            raise TypeError(f"{field}: a {name} can change after the object is made; {remedy}")


_MOST_PARTS = 200


def _parts(hint: object) -> list[object]:
    """Return the type and all types in it, without their arguments: Mapping and str for Mapping[str, str].

    Raises TypeError for an alias that holds itself without an end.
    """
    queue, found = [hint], list[object]()
    for part in queue:  # it grows while it is read
        if len(found) > _MOST_PARTS:
            raise TypeError(f"{hint} holds itself with ever new arguments; use the same")
        plain = bare(part)
        if plain not in found:  # an alias may hold itself
            found.append(plain)
            queue.extend(() if get_origin(plain) in _HOLDS_NO_ARGUMENT else get_args(plain))
    return [get_origin(part) or part for part in found]


def _remedy(part: object) -> str | None:
    if not isinstance(part, type):
        return None
    if part in _ADMITS_LISTS:
        return f"use {_TUPLE} (it admits a list)"
    if part is abc.Set:
        return f"use {_FROZENSET} (it admits a set)"
    for kind, instead in _REMEDIES:
        if issubclass(part, kind):
            return f"use {instead}"
    thawed_attrs = attrs.has(part) and part.__setattr__ is not FROZEN_SETATTR
    thawed_dataclass = is_dataclass(part) and not part.__dataclass_params__.frozen  # type: ignore[attr-defined]  # every dataclass has it
    return f"write @attrs.frozen above `class {part.__name__}`" if thawed_attrs or thawed_dataclass else None
