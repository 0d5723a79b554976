"""The knowledge of other libraries beyond their documentation, with the versions that have it.

What is about attrs was seen in 24.3 to 26.1, about cattrs in 25.2 to 26.2, about returns in 0.25 to 0.27.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Generic, NoReturn, Protocol, TypeGuard, TypeVar

import attrs

T = TypeVar("T")


class _Box(Generic[T]): ...


def alias_class(name: str, methods: Mapping[str, object]) -> type:
    """Return a class like that of `Box[int]`, `typing._GenericAlias`, with other methods.

    It is called with a generic class and its arguments. Python 3.11 to 3.15 refuse a subclass that isn't `_root`.
    """
    made: type = type(name, (type(_Box[int]),), dict(methods), _root=True)
    return made


FIELD: Final[type] = type(attrs.field())
"""The class of what `attrs.field()` returns, before a decorator has made a field of it."""

FROZEN_SETATTR: Final[object] = type(attrs.validators.ge(0)).__setattr__
"""The method that attrs gives to every frozen class: taken from one of its own, since to make a class takes a while."""

CACHED_HASH: Final = "_attrs_cached_hash"
"""The slot of the hash with `cache_hash=True`: None until it is asked for. A constructor has to set it."""

AND: Final[Any] = type(attrs.validators.and_())
NUMBER: Final[Any] = type(attrs.validators.ge(0))
MIN_LENGTH: Final[type] = type(attrs.validators.min_len(0))
MAX_LENGTH: Final[type] = type(attrs.validators.max_len(0))
PATTERN: Final[Any] = type(attrs.validators.matches_re(""))
OPTIONS: Final[type] = type(attrs.validators.in_(()))
OPTIONAL: Final[type] = type(attrs.validators.optional(attrs.validators.ge(0)))
EACH: Final[type] = type(attrs.validators.deep_iterable(attrs.validators.ge(0)))
ANY: Final[Any] = type(attrs.validators.or_(attrs.validators.ge(0), attrs.validators.ge(0)))
NOT: Final[Any] = type(attrs.validators.not_(attrs.validators.ge(0)))
"""The classes of validators; attrs has no types for what they hold."""

SUCCESS_VALUE: Final = "_inner_value"
"""The slot of what a `Success` holds, which `case Success(value)` reads: in returns 0.25 to 0.30."""


def is_decorated(cls: type) -> bool:
    """Check if a decorator of attrs has seen just this class, and not only one above it."""
    return "__attrs_attrs__" in cls.__dict__


class Factory(Protocol):
    """The attributes of an `attrs.Factory`."""

    factory: Callable[..., object]
    takes_self: bool


def is_factory(default: object) -> TypeGuard[Factory]:
    """Check if a field's default is an `attrs.Factory`: a class, though its stubs say that it is a function."""
    return isinstance(default, type(attrs.Factory(tuple)))


def is_written_by_attrs(cls: type, name: str) -> bool:
    """Check if attrs wrote the method `name` of just this class."""
    method: Any = cls.__dict__.get(name)  # Any: a body may have anything by that name
    return getattr(method, "__module__", None) == "attr._make"


def caches_hash(cls: type) -> bool:
    """Check if the objects of a class keep their hash, so that who makes one has to set CACHED_HASH."""
    return CACHED_HASH in getattr(getattr(cls.__hash__, "__code__", None), "co_names", ())


def parts_of(validator: Any) -> tuple[Any, ...]:  # Any: attrs has no type for a validator that it knows more of
    """Return the validators that attrs joined into one."""
    return tuple(validator._validators)


def options_of(validator: Any) -> object:  # Any: as above
    """Return what `in_` was given; of a set attrs keeps a tuple besides, in an order that changes."""
    return validator._original_options


# A converter of cattrs looks for a hook by class first, then by predicate, the last one registered first. It has no
# public way to ask who registered one.


def dispatches(converter: Any) -> tuple[Any, Any]:
    """Return what finds the structure hooks of a converter, and its unstructure hooks."""
    return converter._structure_func, converter._unstructure_func


def hooks_by_class(dispatch: Any) -> Mapping[type, Any]:
    """Return the hooks that are registered for classes; `object` stands for none."""
    found: Mapping[type, Any] = dispatch._single_dispatch.registry
    return found


def hooks_by_predicate(dispatch: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each predicate with its hook or hook factory, in the order in which they are asked."""
    yield from ((predicate, hook) for predicate, hook, *_ in dispatch._function_dispatch._handler_pairs)


def has_union_hook(converter: Any, hint: object) -> bool:
    """Check if a structure hook was registered for just this union; a type that has no hash is none."""
    try:
        return hint in converter._union_struct_registry
    except TypeError:
        return False


end_process: Callable[[int], NoReturn] = os._exit
"""Ends the process with a status, whatever still runs in it: documented by Python, and private by its name alone."""
