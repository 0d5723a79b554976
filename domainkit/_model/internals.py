"""Undocumented internals of other libraries, with the versions that have them.

Those of attrs were checked in 24.3 to 26.1, of cattrs in 25.2 to 26.2, of returns in 0.25 to 0.27.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Generic, NoReturn, Protocol, TypeGuard, TypeVar

import attrs

T = TypeVar("T")


class _Box(Generic[T]): ...


def alias_class(name: str, methods: Mapping[str, object]) -> type:
    """Return a class like that of `Box[int]`, `typing._GenericAlias`, with other methods.

    Call the class with a generic class and its arguments. Python 3.11 to 3.15 refuse a subclass that isn't `_root`.
    """
    made: type = type(name, (type(_Box[int]),), dict(methods), _root=True)
    return made


FIELD: Final[type] = type(attrs.field())
"""The class of the object that `attrs.field()` returns, before a decorator makes it a field."""

FROZEN_SETATTR: Final[object] = type(attrs.validators.ge(0)).__setattr__
"""The method that attrs gives to every frozen class; read from a class of attrs, since making one takes time."""

CACHED_HASH: Final = "_attrs_cached_hash"
"""The slot of the hash with `cache_hash=True`: None until it is computed. A constructor has to set it."""

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
"""The classes of validators; attrs has no types for their attributes."""

SUCCESS_VALUE: Final = "_inner_value"
"""The slot with the value of a `Success`, which `case Success(value)` reads: in returns 0.25 to 0.30."""


def is_decorated(cls: type) -> bool:
    """Check if a decorator of attrs has processed this very class, and not only a base of it."""
    return "__attrs_attrs__" in cls.__dict__


class Factory(Protocol):
    """The attributes of an `attrs.Factory`."""

    factory: Callable[..., object]
    takes_self: bool


def is_factory(default: object) -> TypeGuard[Factory]:
    """Check if a field's default is an `attrs.Factory`: a class, though its stubs say that it is a function."""
    return isinstance(default, type(attrs.Factory(tuple)))


def is_written_by_attrs(cls: type, name: str) -> bool:
    """Check if attrs wrote the method `name` of this very class."""
    method: Any = cls.__dict__.get(name)  # Any: a body may have any object by that name
    return getattr(method, "__module__", None) == "attr._make"


def caches_hash(cls: type) -> bool:
    """Check if the objects of a class cache their hash: code that makes one must then set CACHED_HASH."""
    return CACHED_HASH in getattr(getattr(cls.__hash__, "__code__", None), "co_names", ())


def parts_of(validator: Any) -> tuple[Any, ...]:  # Any: attrs has no types for its validators
    """Return the validators that attrs joined into one."""
    return tuple(validator._validators)


def options_of(validator: Any) -> object:  # Any: as above
    """Return the argument of `in_`; for a set, attrs keeps a tuple too, in an order that varies."""
    return validator._original_options


# A converter of cattrs looks for a hook by class first, then by predicate, the last one registered first. It has no
# public way to ask which hooks are registered.


def dispatches(converter: Any) -> tuple[Any, Any]:
    """Return the dispatchers of a converter: for structure hooks, and for unstructure hooks."""
    return converter._structure_func, converter._unstructure_func


def hooks_by_class(dispatch: Any) -> Mapping[type, Any]:
    """Return the hooks registered for classes; the one under `object` is cattrs's own fallback."""
    found: Mapping[type, Any] = dispatch._single_dispatch.registry
    return found


def hooks_by_predicate(dispatch: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each predicate with its hook or hook factory, in the order in which they are asked."""
    yield from ((predicate, hook) for predicate, hook, *_ in dispatch._function_dispatch._handler_pairs)


def has_union_hook(converter: Any, hint: object) -> bool:
    """Check if a structure hook was registered for this very union; False for a type without a hash."""
    try:
        return hint in converter._union_struct_registry
    except TypeError:
        return False


end_process: Callable[[int], NoReturn] = os._exit
"""End the process with a status, whatever still runs in it: documented by Python, private only by its name."""
