"""Objects made by their slots: in C where the package was compiled when it was installed, else in Python.

`_fast.Maker` is a shortcut: it does what is usual, and leaves the rest to a function in Python.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import update_wrapper
from types import MemberDescriptorType
from typing import Any, TypeAlias, TypeVar

try:
    from domainkit._fast import Maker
except ImportError:  # there was no compiler, or this is no CPython
    Maker = None  # type: ignore[assignment,misc]  # each use below asks first

COMPILED: bool = Maker is not None

T = TypeVar("T")

Init: TypeAlias = Callable[..., None]
Slot: TypeAlias = MemberDescriptorType
Check: TypeAlias = Callable[[Any], object]  # Any: what it may be given is checked before
"""Its answer is true where a value is in order; it may raise where the value is not."""


def compiled_maker(cls: type[T], slots: tuple[Slot, ...]) -> Callable[..., T] | None:
    """Return what makes an object of a value for each of these slots, past the constructor; None where Python must."""
    if Maker is None or cls.__new__ is not object.__new__ or not all(isinstance(slot, Slot) for slot in slots):
        return None
    return Maker(cls, slots)


def maker(cls: type[T], *names: str) -> Callable[..., T]:
    """Return what makes an object of a value for each of the slots that it names, past the constructor."""
    return maker_of(cls, tuple(getattr(cls, name) for name in names))


def maker_of(cls: type[T], slots: tuple[Slot, ...]) -> Callable[..., T]:
    """Return what makes an object of a value for each of these slots, past the constructor."""
    compiled = compiled_maker(cls, slots)
    if compiled is not None:
        return compiled
    setters = tuple(slot.__set__ for slot in slots)

    def make(*values: object) -> T:
        if len(values) != len(setters):
            raise TypeError(f"{cls.__qualname__}: expected {len(setters)} arguments, by position")
        made = object.__new__(cls)
        for set_slot, value in zip(setters, values, strict=True):
            set_slot(made, value)
        return made

    return make


def initializer(cls: type, slot: Slot, exact: type, rule: Check | None, function: Init) -> Init:
    """Return a constructor that does what `function` does, in less time for a value that is usual.

    That is one of just the class `exact` that the rule is true for: it goes into the slot, which `cls` has.
    """
    if Maker is not None:
        return Maker(cls, (slot,), exact, rule, function)
    set_slot = slot.__set__

    def __init__(self: object, value: object) -> None:
        if type(value) is exact:
            set_slot(self, value)
            if rule is None:
                return
            with suppress(Exception):  # the function says why
                if rule(value):
                    return
        function(self, value)

    update_wrapper(__init__, function)
    __init__.__annotations__ = function.__annotations__
    return __init__


def taker(
    cls: type, fields: Sequence[tuple[Slot, type, Check | bool | None]], make: Callable[..., T], value: Slot
) -> Callable[[object], T] | None:
    """Return a function that makes something of the values of an object; None without the part in C.

    It raises an exception for an object that isn't just of the class `cls`, or whose values are unusual.

    Args:
        cls: the class.
        fields: for each value its slot, the class that it is just of, and a rule: None, or for a value object, of which
            the value inside is taken, what that must be true for; True if it is always in order.
        make: called with the values.
        value: the slot of value objects.
    """
    if Maker is None or not 0 < len(fields) <= _MOST_FIELDS:
        return None
    slots, classes, rules = zip(*fields, strict=True)
    return Maker(cls, slots, classes, rules, make, value)


_MOST_FIELDS = 32
"""The most values that the part in C takes."""
