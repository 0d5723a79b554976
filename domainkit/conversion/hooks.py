"""The hooks of a cattrs converter that its user registered, as opposed to those of cattrs and of this library."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cattrs import BaseConverter
from cattrs.errors import StructureHandlerNotFoundError
from cattrs.fns import identity, raise_error

from domainkit._model.internals import dispatches, has_union_hook, hooks_by_class, hooks_by_predicate
from domainkit.conversion.scalars import SCALARS

Hook = Callable[..., Any]  # Any: its parameters and result are only known at run time

_LIBRARIES = frozenset({"cattr", "cattrs", "domainkit"})


def own_hooks(converter: BaseConverter, hint: object) -> tuple[Hook | None, Hook | None]:
    """Return the structure and the unstructure hook that a user registered for a type, each None if there is none.

    A hook for a class also applies to its subclasses, as in cattrs. A hook for a scalar such as str applies only to
    that class: cattrs itself would use it for text enums too.

    Returns:
        A function from data to the object, and one from the object to data.
    """
    structure, unstructure = dispatches(converter)
    reads, writes = _is_own(structure, hint) or has_union_hook(converter, hint), _is_own(unstructure, hint)
    return (
        (lambda data: converter.structure(data, hint)) if reads else None,  # type: ignore[arg-type]  # cattrs takes any type
        (lambda value: converter.unstructure(value, hint)) if writes else None,
    )


def _is_own(dispatch: Any, hint: object) -> bool:
    """Check if the hook that a dispatch of cattrs finds for a type is a user's; search in the order of the dispatch."""
    if isinstance(hint, type):
        registered = hooks_by_class(dispatch)
        base: type = next((base for base in hint.__mro__ if base in registered), object)
        if base is not object:
            stock = base is Path and registered[base] is str
            return not stock and _is_users(registered[base]) and (base is hint or base not in SCALARS)
    for predicate, hook in hooks_by_predicate(dispatch):
        if getattr(predicate, "is_domainkits", False):
            return False  # the hook of this library: it precedes hooks that were registered earlier
        with suppress(Exception):  # cattrs too takes an exception as a no
            if predicate(hint):
                return _is_users(hook)
    return False


def _is_users(hook: Hook) -> bool:
    """Check if a user registered a hook, directly or by calling one of the strategies of cattrs."""
    module = getattr(hook, "__module__", None) or ""
    if module.startswith("cattrs.strategies."):
        # the preconfigured converters of cattrs come with this strategy
        return not hook.__qualname__.startswith("configure_union_passthrough")
    return module.partition(".")[0] not in _LIBRARIES


def has_unstructure_hook(converter: BaseConverter, cls: Any) -> bool:
    """Check if a user registered an unstructure hook for a scalar."""
    hook = converter.get_unstructure_hook(cls, cache_result=False)
    return hook is not identity and _is_users(hook)


def has_structure_hook(converter: BaseConverter, cls: Any) -> bool:
    """Check if a user registered a structure hook for a scalar."""
    try:
        return _is_users(converter.get_structure_hook(cls, cache_result=False))
    except StructureHandlerNotFoundError:
        return False


def supports(converter: BaseConverter, hint: Any) -> bool:
    """Check if cattrs, or a hook of its user, can structure a type that this library doesn't support."""
    try:
        return converter.get_structure_hook(hint, cache_result=False) is not raise_error
    except RecursionError:  # raised by cattrs while it makes this very hook
        return True
    except Exception:  # whatever cattrs raises for a type without a hook
        return False
