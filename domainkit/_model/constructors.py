"""Constructors of model classes, each wrapped around the one that attrs wrote.

| class                                                                | constructor                               |
|----------------------------------------------------------------------|-------------------------------------------|
| any other class than those below                                     | the one of attrs                          |
| a class with a field that may contain a mapping                      | `freezing`: keeps read-only copies        |
| a value object                                                       | `checking`: checks the type of the value  |
| an annotation isn't resolved yet; an undecorated subclass has fields | `waiting`: checks again at each call      |

The last two may wrap a `freezing` one. A subclass without a decorator inherits its constructor, as usual in Python.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Protocol

import attrs

from domainkit._model.mapping import UNCHANGED, frozen_copy
from domainkit._speedups.slots import Init

HOOKS = ("__attrs_pre_init__", "__attrs_post_init__")
"""The methods of a class that attrs calls around its constructor."""

_NOT_GIVEN = object()


def takes_self(field: "attrs.Attribute[Any]") -> bool:  # Any: the type of the field's values
    """Check if the field's default is computed from the object, whose earlier fields are set by then."""
    return bool(getattr(field.default, "takes_self", False))


def set_init(cls: type, init: Init) -> None:
    """Give `cls` the constructor `init`."""
    type.__setattr__(cls, "__init__", init)


def freezing(init: Init, names: tuple[str, ...]) -> Init:
    """Return a constructor that keeps read-only copies of the mappings in the named fields."""

    def __init__(self: object, *args: object, **kwargs: object) -> None:
        init(self, *args, **kwargs)
        for name in names:
            given = getattr(self, name)
            if type(given) not in UNCHANGED and (kept := frozen_copy(given)) is not given:
                object.__setattr__(self, name, kept)

    return _like(__init__, init)


class Checked(Protocol):
    """The methods of a value object that `checking` calls to get its errors."""

    @property
    def value(self) -> object: ...
    @classmethod
    def _misfit(cls, value: object, hint: object) -> Exception | None: ...
    def _refusal(self, error: Exception, given: tuple[object, ...], hint: object) -> Exception: ...


def checking(  # noqa: PLR0913  # everything that is known about a class
    init: Init, hint: object, exact: frozenset[type], *, as_given: bool, needed: bool, secret: bool
) -> Init:
    """Return a constructor that refuses a value of another type than `hint`, with an error that names the class.

    Args:
        init: sets the value and runs the rules.
        hint: the expected type.
        exact: the classes whose direct instances are of that type.
        as_given: the value is kept as it was given: there is no converter, default or hook.
        needed: the value has no default.
        secret: the frame of a refusal must not hold the value: pytest and loggers of local variables would show it.
    """

    def __init__(self: Checked, value: object = _NOT_GIVEN) -> None:
        given = () if value is _NOT_GIVEN else (value,)
        problem = self._misfit(value, hint) if as_given and type(value) not in exact else None
        if problem is None:
            try:
                init(self, *given)
            except Exception as error:
                problem = self._refusal(error, given, hint)
            else:
                problem = None if as_given else self._misfit(self.value, hint)
        if problem is not None:
            if secret:
                value, given = None, ()
            try:
                raise problem  # outside of the handler, so that no exception context leaks the value
            finally:
                del problem  # its traceback holds this frame: together they would wait for the garbage collector

    if needed:
        __init__.__defaults__ = None  # so that Python itself reports a missing value
    if not as_given:
        return _like(__init__, init)
    __init__.__annotations__ = {"value": hint, "return": None}
    return __init__


def waiting(cls: type, init: Init, find: Callable[[type], Init], *, stays: bool) -> Init:
    """Return a constructor that calls the one that `find` returns, and replaces itself with it unless it `stays`.

    `find` is called with the class of the object, and raises if objects of that class can't be made.
    """

    def __init__(self: object, *args: object, **kwargs: object) -> None:
        found = find(type(self))
        if not stays and cls.__dict__["__init__"] is here:  # else another constructor wraps this one
            set_init(cls, found)
        found(self, *args, **kwargs)

    here = _like(__init__, init)
    return here


def _like(made: Init, init: Init) -> Init:
    """Return `made` with the name, module and signature of `init`."""
    update_wrapper(made, init)
    made.__annotations__ = init.__annotations__  # Python 3.14 copies only the function that computes them
    return made
