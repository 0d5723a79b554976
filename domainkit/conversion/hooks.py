"""Which hooks of a cattrs converter are its user's own, and neither those of cattrs nor of this library."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cattrs import BaseConverter

from domainkit.conversion.nodes import LEAVES

Hook = Callable[..., Any]  # what it takes and returns is known at run time only

_NOT_OWN = frozenset({object, Path, *LEAVES})
_OURS_AND_STOCK = frozenset({"cattr", "cattrs", "domainkit"})


def own_hooks(converter: BaseConverter, cls: type) -> tuple[Hook | None, Hook | None]:
    """Return the structure and the unstructure hook that a user registered for `cls` or a base of it, None for none.

    A hook for a type that JSON or this library knows, such as `datetime`, is about another encoding, and no hook here.
    """
    # cattrs has no public way to ask who registered a hook; the names below are the same in 24.1 to 26.2
    return _own(converter._structure_func, cls), _own(converter._unstructure_func, cls)


def _own(dispatch: Any, cls: type) -> Hook | None:
    """Return the user's hook that the dispatch finds first, in the order in which it looks."""
    registered = dispatch._single_dispatch.registry
    base: type = next(base for base in cls.__mro__ if base in registered)
    if base in _NOT_OWN:
        return _own_by_predicate(dispatch._function_dispatch, cls) if base is object else None
    hook: Hook = registered[base]
    return hook


def _own_by_predicate(dispatch: Any, cls: type) -> Hook | None:
    for predicate, hook, *_ in dispatch._handler_pairs:
        if _holds(predicate, cls):
            return None if hook.__module__.partition(".")[0] in _OURS_AND_STOCK else hook
    return None


def _holds(predicate: Hook, cls: type) -> bool:
    try:
        return bool(predicate(cls))
    except Exception:  # cattrs takes it for a no as well
        return False
