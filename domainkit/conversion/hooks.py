"""The hooks of a cattrs converter that are its user's own, and neither those of cattrs nor of this library."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cattrs import BaseConverter
from cattrs.errors import StructureHandlerNotFoundError
from cattrs.fns import identity, raise_error

from domainkit._model.internals import dispatches, has_union_hook, hooks_by_class, hooks_by_predicate
from domainkit.conversion.scalars import SCALARS

Hook = Callable[..., Any]  # Any: what it takes and returns is known at run time only

_OURS_AND_STOCK = frozenset({"cattr", "cattrs", "domainkit"})


def own_hooks(converter: BaseConverter, hint: object) -> tuple[Hook | None, Hook | None]:
    """Return the structure and the unstructure hook that a user registered for a type, or None.

    A hook for a class counts for its subclasses, as in cattrs; one for str or another scalar counts for that alone,
    since cattrs itself takes it for text enums as well.

    Returns:
        Functions from data to the object, and from the object to data.
    """
    structure, unstructure = dispatches(converter)
    reads, writes = _is_own(structure, hint) or has_union_hook(converter, hint), _is_own(unstructure, hint)
    return (
        (lambda data: converter.structure(data, hint)) if reads else None,  # type: ignore[arg-type]  # cattrs takes any type
        (lambda value: converter.unstructure(value, hint)) if writes else None,
    )


def _is_own(dispatch: Any, hint: object) -> bool:
    """Tell whether the hook that a dispatch finds for a type is a user's, in the order in which it looks."""
    if isinstance(hint, type):
        registered = hooks_by_class(dispatch)
        base: type = next((base for base in hint.__mro__ if base in registered), object)
        if base is not object:
            stock = base is Path and registered[base] is str
            return not stock and _is_users(registered[base]) and (base is hint or base not in SCALARS)
    for predicate, hook in hooks_by_predicate(dispatch):
        if getattr(predicate, "is_domainkits", False):
            return False  # it takes what can be carried: later than a hook before it, and earlier than one after it
        with suppress(Exception):  # cattrs takes it for a no as well
            if predicate(hint):
                return _is_users(hook)
    return False


def _is_users(hook: Hook) -> bool:
    """Tell whether a user registered a hook, or had one of the strategies of cattrs do it."""
    module = getattr(hook, "__module__", None) or ""
    if module.startswith("cattrs.strategies."):
        return not hook.__qualname__.startswith("configure_union_passthrough")  # that converters for a format come with
    return module.partition(".")[0] not in _OURS_AND_STOCK


def writes_itself(converter: BaseConverter, cls: Any) -> bool:
    """Tell whether a user registered a hook that writes a scalar."""
    hook = converter.get_unstructure_hook(cls, cache_result=False)
    return hook is not identity and _is_users(hook)


def reads_itself(converter: BaseConverter, cls: Any) -> bool:
    """Tell whether a user registered a hook that reads a scalar."""
    try:
        return _is_users(converter.get_structure_hook(cls, cache_result=False))
    except StructureHandlerNotFoundError:
        return False


def knows(converter: BaseConverter, hint: Any) -> bool:
    """Tell whether cattrs, or its user, has a way to read a type that this library can't carry."""
    try:
        return converter.get_structure_hook(hint, cache_result=False) is not raise_error
    except RecursionError:  # of cattrs: it is making this very hook
        return True
    except Exception:  # whatever cattrs raises for a type that it has no hook for
        return False
