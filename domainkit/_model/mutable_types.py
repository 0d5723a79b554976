"""Types with mutable values, and the type to write instead of each."""

from collections import abc, deque
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, get_args, get_origin
from uuid import UUID

import attrs

from domainkit._model.annotations import is_plain
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
_CONSTANTS = frozenset({bool, bytes, date, datetime, Decimal, float, int, str, UUID})
"""Classes that most fields have, and whose values never change."""
_ADMITS_LISTS = (abc.Sequence, abc.Collection, abc.Iterable, abc.Reversible, abc.Container)
_HOLDS_NO_ARGUMENT = (type, Callable, Literal)


def holds_mapping(hint: object) -> bool:
    """Check if a value of this type may be or contain a mapping."""
    if type(hint) is type and hint in _CONSTANTS:
        return False
    parts = _parts(hint)
    return Mapping in parts or JsonValue in parts


def refuse_mutable(hint: object, field: str) -> None:
    """Raise TypeError if a value of the type `hint` is mutable, or the type is infinite.

    `field` is the class and the field, for the error.
    """
    if type(hint) is type and hint in _CONSTANTS:
        return
    try:
        parts, _ = _parts(hint), members(hint)
    except TypeError as error:
        raise TypeError(f"{field}: {error}") from error
    for part in parts:
        remedy = _remedy(part)
        if remedy is not None:
            name = getattr(part, "__qualname__", str(part))
            raise TypeError(f"{field}: a {name} can change after the object is made; {remedy}")


_MAX_PARTS = 200


def _parts(hint: object) -> list[object]:
    """Return the type and all types in it, without their arguments: Mapping and str for Mapping[str, str].

    Raises TypeError for an alias that contains itself with new arguments at each level.
    """
    queue, found = [hint], list[object]()
    for part in queue:  # the loop appends to it
        if len(found) > _MAX_PARTS:
            raise TypeError(
                f"expected a type that contains itself with the same arguments, got {hint}; use the same arguments"
            )
        plain = bare(part)
        if plain not in found:  # an alias may contain itself
            found.append(plain)
            if not is_plain(plain) and get_origin(plain) not in _HOLDS_NO_ARGUMENT:
                queue.extend(get_args(plain))
    return [get_origin(part) or part for part in found]


def _remedy(part: object) -> str | None:
    if not isinstance(part, type) or part in _CONSTANTS:
        return None
    if part in _ADMITS_LISTS:
        return f"use {_TUPLE} ({part.__name__} accepts a list)"
    if part is abc.Set:
        return f"use {_FROZENSET} (Set accepts a set)"
    for kind, instead in _REMEDIES:
        if issubclass(part, kind):
            return f"use {instead}"
    mutable_attrs = attrs.has(part) and part.__setattr__ is not FROZEN_SETATTR
    mutable_dataclass = is_dataclass(part) and not part.__dataclass_params__.frozen  # type: ignore[attr-defined]  # every dataclass has it
    return f"write @attrs.frozen above `class {part.__name__}`" if mutable_attrs or mutable_dataclass else None
