"""The constructors of model classes, each around the one that attrs wrote.

| the class                                                         | its constructor                      |
|-------------------------------------------------------------------|--------------------------------------|
| any but those below                                               | that of attrs                        |
| a field may hold a mapping                                        | `freezing`: keeps read-only copies   |
| a value object                                                    | `checking`: the type of the value    |
| a name can't be found yet; fields were added to it in a subclass  | `waiting`: looks again at each call  |

`freezing` may stand inside of the two below it. A subclass without a decorator inherits its constructor, as in Python.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Protocol

import attrs

from domainkit._model.mapping import frozen_copy
from domainkit._speedups.slots import Init

HOOKS = ("__attrs_pre_init__", "__attrs_post_init__")
"""The methods of a class that attrs calls around its constructor."""

_NOT_GIVEN = object()


def takes_self(field: "attrs.Attribute[Any]") -> bool:  # Any: as attrs types what it makes of a class
    """Check if the field's default is made of the object, as far as that is set."""
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
            kept = frozen_copy(given)
            if kept is not given:
                object.__setattr__(self, name, kept)

    return _like(__init__, init)


class Checked(Protocol):
    """A value object as `checking` asks it: errors for values of another type, and for what a rule raised."""

    @property
    def value(self) -> object: ...
    @classmethod
    def _misfit(cls, value: object, hint: object) -> Exception | None: ...
    def _refusal(self, error: Exception, given: tuple[object, ...], hint: object) -> Exception: ...


def checking(  # noqa: PLR0913  # all that is known of a class
    init: Init, hint: object, exact: frozenset[type], *, as_given: bool, needed: bool, secret: bool
) -> Init:
    """Return a constructor that refuses a value that isn't of the type `hint`, and names the class in every refusal.

    Args:
        init: sets the value and runs the rules.
        hint: the type.
        exact: the classes whose own instances are of that type.
        as_given: the value that is kept is the one that is given: no converter, default or hook has a part in it.
        needed: it has no default.
        secret: the frame of a refusal must not hold the value: pytest, and whoever logs local variables, shows it.
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
            raise problem  # outside of the handler: no context to leak

    if needed:
        __init__.__defaults__ = None  # so that Python itself says that the value is missing
    if not as_given:
        return _like(__init__, init)
    __init__.__annotations__ = {"value": hint, "return": None}
    return __init__


def waiting(cls: type, init: Init, find: Callable[[type], Init], *, stays: bool) -> Init:
    """Return a constructor that asks `find` for the one to call; it gives its place up to that unless it `stays`.

    `find` is called with the class of the object, and raises where that can't be made.
    """

    def __init__(self: object, *args: object, **kwargs: object) -> None:
        found = find(type(self))
        if not stays and cls.__dict__["__init__"] is here:  # else there is another around it
            set_init(cls, found)
        found(self, *args, **kwargs)

    here = _like(__init__, init)
    return here


def _like(made: Init, init: Init) -> Init:
    """Return `made` with the name, place and signature of `init`."""
    update_wrapper(made, init)
    made.__annotations__ = init.__annotations__  # from Python 3.14 on only what computes them is copied
    return made
