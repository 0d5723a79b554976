"""Exact type check of a value: no bool for an int, no datetime for a date, no None unless the type includes it."""

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, ForwardRef, Literal, NewType, TypeVar, Union, get_args, get_origin

import attrs

from domainkit._model.annotations import is_plain, parameters_of, type_of, unaliased
from domainkit._model.mapping import JsonValue, freeze_json

_NOT_FOR: Mapping[type, type] = MappingProxyType({int: bool, float: bool, complex: bool, date: datetime})
"""Subclasses whose instances don't count as the class: True is not a number, and a datetime is not a date."""


def bare(hint: object) -> object:
    """Return `hint` without `Annotated`, `NewType` or an alias around it; for a bounded type variable, its bound."""
    hint = unaliased(hint)
    if is_plain(hint):
        return hint
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if isinstance(hint, NewType):
        return bare(hint.__supertype__)
    if isinstance(hint, TypeVar):
        limits = hint.__constraints__ or (hint.__bound__,)
        if not any(limit is None or isinstance(limit, ForwardRef) for limit in limits):
            return bare(Union[limits])  # noqa: UP007  (only known at run time)
    return hint


def members(hint: object, within: tuple[object, ...] = ()) -> tuple[object, ...]:
    """Return the members of a union, or the type alone; TypeError for an alias that is a member of itself."""
    hint = bare(hint)
    if is_plain(hint):
        return (hint,)
    if get_origin(hint) in (Union, UnionType):
        if hint in within:
            raise TypeError(f"expected a finite union, got {hint}, a member of itself; put it into a tuple")
        return tuple(member for part in get_args(hint) for member in members(part, (*within, hint)))
    return (NoneType if hint is None else hint,)


def describe(hint: object) -> str:
    """Return the type as a person would write it."""
    return " | ".join(_describe_one(member) for member in members(hint))


def _describe_one(hint: object) -> str:
    if hint is NoneType:
        return "None"
    if get_origin(hint) is None and isinstance(hint, type):
        return hint.__qualname__
    return str(hint).replace("typing.", "").replace("collections.abc.", "")


def exact_classes(hint: object) -> frozenset[type]:
    """Return the classes whose direct instances fit without a further check."""
    return frozenset(member for member in members(hint) if isinstance(member, type) and get_origin(member) is None)


def fits(value: object, hint: object) -> bool:
    """Check that `value` is of the type `hint`, inside collections too."""
    return misfit(value, hint) is None


def misfit(value: object, hint: object, path: str = "") -> str | None:
    """Return the path of the first part that isn't of the type `hint`, and its type; None if `value` fits.

    >>> misfit(("a", 5), tuple[str, ...], "Names")
    'Names[1]: expected str, got int'
    """
    if type(value) is hint:
        return None
    found = [_misfit_of_one(value, member, path) for member in members(hint)]
    if None in found:
        return None
    inner = [text for text in found if text]
    if len(inner) == 1:
        return inner[0]
    return f"{path}: expected {describe(hint)}, got {'None' if value is None else type(value).__qualname__}"


def _misfit_of_one(value: object, hint: object, path: str) -> str | None:
    """Return the misfit inside of `value`, or `""` if `value` itself is of another type; None if it fits."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is JsonValue:
        return _misfit_of_json(value, path)
    if hint is Any or hint is object or isinstance(hint, TypeVar):
        fitting = value is not None
    elif origin is Literal:
        fitting = any(type(value) is type(option) and value == option for option in inner)
    elif origin in (tuple, frozenset, Mapping) and isinstance(value, origin):
        return _misfit_inside(value, inner, path)
    else:
        cls = origin or hint
        fitting = isinstance(cls, type) and origin not in (tuple, frozenset, Mapping) and _is_instance(value, cls)
        if fitting and origin is not None and attrs.has(origin):
            return _misfit_of_arguments(value, origin, inner, path)
    return None if fitting else ""


def _misfit_of_json(value: object, path: str) -> str | None:
    try:
        freeze_json(value, path)
    except TypeError as error:
        return str(error)
    return None


def _misfit_of_arguments(value: object, cls: type, inner: tuple[object, ...], path: str) -> str | None:
    """Return the misfit of an object of a generic class with its type arguments, such as text in a `Box[int]`."""
    arguments = dict(zip(parameters_of(cls), inner, strict=False))
    hints = {attribute.name: type_of(cls, attribute.name, arguments) for attribute in attrs.fields(cls)}
    found = (
        misfit(getattr(value, name), hint, f"{path}.{name}")
        for name, hint in hints.items()
        if hint != type_of(cls, name)  # the constructor of the class has checked the other fields
    )
    return next(filter(None, found), None)


def _misfit_inside(value: Any, inner: tuple[object, ...], path: str) -> str | None:  # Any: one of the three collections
    if isinstance(value, Mapping):
        entries = [(f"[key {place}]", key, inner[0]) for place, key in enumerate(value)]
        entries += [(f"[{place}]", item, inner[1]) for place, item in enumerate(value.values())]
    elif isinstance(value, frozenset):
        entries = [("[*]", item, inner[0]) for item in value]
    elif len(inner) == 2 and inner[1] is Ellipsis:
        entries = [(f"[{place}]", item, inner[0]) for place, item in enumerate(value)]
    elif len(value) == len(inner):
        entries = [(f"[{place}]", item, hint) for place, (item, hint) in enumerate(zip(value, inner, strict=True))]
    else:
        return f"{path}: expected {len(inner)} items, got {len(value)}"
    return next(filter(None, (misfit(item, hint, path + step) for step, item, hint in entries)), None)


def _is_instance(value: object, cls: type) -> bool:
    if isinstance(value, _NOT_FOR.get(cls, ())):
        return False
    return isinstance(value, int | float if cls is float else cls)  # PEP 484: an int is a float
