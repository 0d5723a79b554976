"""Does a value fit a type, exactly: no bool for an int, no datetime for a date, no None where it isn't named."""

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, ForwardRef, Literal, NewType, TypeVar, Union, get_args, get_origin

from domainkit._model.annotations import unaliased

_NOT_FOR: Mapping[type, type] = MappingProxyType({int: bool, float: bool, complex: bool, date: datetime})
"""Subclasses whose instances are no values of the class: True is no number, and a moment is no day."""


def bare(hint: object) -> object:
    """Return `hint` without `Annotated`, `NewType` or an alias around it; for a bounded type variable, its bound."""
    hint = unaliased(hint)
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if isinstance(hint, NewType):
        return bare(hint.__supertype__)
    if isinstance(hint, TypeVar):
        limits = hint.__constraints__ or (hint.__bound__,)
        if not any(limit is None or isinstance(limit, ForwardRef) for limit in limits):
            return bare(Union[limits])  # noqa: UP007  (known at run time only)
    return hint


def members(hint: object) -> tuple[object, ...]:
    """Return the members of a union, or the type alone."""
    hint = bare(hint)
    if get_origin(hint) in (Union, UnionType):
        return tuple(member for part in get_args(hint) for member in members(part))
    return (NoneType if hint is None else hint,)


def describe(hint: object) -> str:
    """Return how a person would write the type."""
    return " | ".join(_describe_one(member) for member in members(hint))


def _describe_one(hint: object) -> str:
    if hint is NoneType:
        return "None"
    if get_origin(hint) is None and isinstance(hint, type):
        return hint.__qualname__
    return str(hint).replace("typing.", "").replace("collections.abc.", "")


def exact_classes(hint: object) -> frozenset[type]:
    """Return the classes whose own instances fit without a second look."""
    return frozenset(member for member in members(hint) if isinstance(member, type) and get_origin(member) is None)


def fits(value: object, hint: object) -> bool:
    """Tell whether `value` is of the type `hint`, inside collections too."""
    return any(_fits_one(value, member) for member in members(hint))


def _fits_one(value: object, hint: object) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or hint is object or isinstance(hint, TypeVar):
        return value is not None
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in inner)
    if origin is tuple:
        return isinstance(value, tuple) and _tuple_fits(value, inner)
    if origin is frozenset:
        return isinstance(value, frozenset) and all(fits(item, inner[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            fits(key, inner[0]) and fits(item, inner[1]) for key, item in value.items()
        )
    cls = origin or hint
    return isinstance(cls, type) and _is_instance(value, cls)


def _tuple_fits(value: tuple[object, ...], inner: tuple[object, ...]) -> bool:
    if len(inner) == 2 and inner[1] is Ellipsis:
        return all(fits(item, inner[0]) for item in value)
    return len(value) == len(inner) and all(map(fits, value, inner))


def _is_instance(value: object, cls: type) -> bool:
    if isinstance(value, _NOT_FOR.get(cls, ())):
        return False
    return isinstance(value, int | float if cls is float else cls)  # PEP 484: an int is a float
