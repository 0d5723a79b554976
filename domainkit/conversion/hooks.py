"""Which hooks of a cattrs converter are its user's own, and neither those of cattrs nor of this library."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cattrs import BaseConverter, Converter
from cattrs.errors import StructureHandlerNotFoundError
from cattrs.fns import identity

from domainkit.conversion.scalars import LEAVES

Hook = Callable[..., Any]  # what it takes and returns is known at run time only

_NOT_OWN = frozenset({object, Path, *LEAVES})
_OURS_AND_STOCK = frozenset({"cattr", "cattrs", "domainkit"})


def own_hooks(converter: BaseConverter, cls: type) -> tuple[Hook | None, Hook | None]:
    """Return the structure and the unstructure hook that a user registered for `cls` or a base of it, None for none.

    A hook for a type that JSON or this library knows, such as `datetime`, is about another encoding, and no hook here.
    """
    # cattrs has no public way to ask who registered a hook; the names below are the same in 24.1 to 26.2
    return _own(converter._structure_func, cls), _own(converter._unstructure_func, cls)


def writes_itself(converter: BaseConverter, cls: Any) -> bool:
    """Tell whether a user registered a hook that writes a type that JSON or this library knows."""
    hook = converter.get_unstructure_hook(cls, cache_result=False)
    return hook is not identity and _is_users(hook)


def reads_itself(converter: BaseConverter, cls: Any) -> bool:
    """Tell whether a user registered a hook that reads such a type."""
    try:
        return _is_users(converter.get_structure_hook(cls, cache_result=False))
    except StructureHandlerNotFoundError:
        return False


def copied(converter: Converter) -> Converter:
    """Return a copy of the converter, with the hooks of unions too, which cattrs leaves out."""
    made = converter.copy()
    made._union_struct_registry.update(converter._union_struct_registry)
    return made


def has_own_union(converter: BaseConverter, hint: object) -> bool:
    """Tell whether a user registered a structure hook for just this union."""
    return hint in converter._union_struct_registry


def _own(dispatch: Any, cls: type) -> Hook | None:
    """Return the user's hook that the dispatch finds first, in the order in which it looks."""
    registered = dispatch._single_dispatch.registry
    base: type = next(base for base in cls.__mro__ if base in registered)
    if base in _NOT_OWN:
        return _own_by_predicate(dispatch._function_dispatch, cls) if base is object else None
    hook: Hook = registered[base]
    return hook if _is_users(hook) else None


def _own_by_predicate(dispatch: Any, cls: type) -> Hook | None:
    for predicate, hook, *_ in dispatch._handler_pairs:
        if _holds(predicate, cls):
            return hook if _is_users(hook) else None
    return None


def _is_users(hook: Hook) -> bool:
    return (getattr(hook, "__module__", None) or "").partition(".")[0] not in _OURS_AND_STOCK


def _holds(predicate: Hook, cls: type) -> bool:
    try:
        return bool(predicate(cls))
    except Exception:  # cattrs takes it for a no as well
        return False
