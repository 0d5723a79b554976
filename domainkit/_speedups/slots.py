"""Fast creation of objects by their slots: in C if the package was compiled at installation, else in Python.

`_fast.Maker` is a shortcut: it handles the common case, and leaves all others to a function in Python.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import update_wrapper
from types import MemberDescriptorType
from typing import Any, TypeAlias, TypeVar

from domainkit._speedups.code import Code, Function

try:
    from domainkit._fast import Maker
except ImportError:  # there was no compiler, or this isn't CPython
    Maker = None  # type: ignore[assignment,misc]  # each use below checks for None

COMPILED: bool = Maker is not None

T = TypeVar("T")

Init: TypeAlias = Callable[..., None]
Slot: TypeAlias = MemberDescriptorType
Check: TypeAlias = Callable[[Any], object]  # Any: the type of its argument is checked before
"""A rule: returns something true for a valid value; for another it returns something false, or raises."""


def compiled_maker(cls: type[T], slots: tuple[Slot, ...]) -> Callable[..., T] | None:
    """Return a C function that makes an object of one value per slot, without its constructor; None if C can't."""
    if Maker is None or cls.__new__ is not object.__new__ or not all(isinstance(slot, Slot) for slot in slots):
        return None
    return Maker(cls, slots)


def maker(cls: type[T], *names: str) -> Callable[..., T]:
    """Return a function that makes an object of one value per named slot, without its constructor."""
    return maker_of(cls, tuple(getattr(cls, name) for name in names))


def maker_of(cls: type[T], slots: tuple[Slot, ...]) -> Callable[..., T]:
    """Return a function that makes an object of one value per slot, without its constructor.

    Without the part in C it is generated. For two slots it looks like this (names shortened):

        def make(value, other, /):
            made = new(cls)
            set_x(made, value)
            set_y(made, other)
            return made
    """
    compiled = compiled_maker(cls, slots)
    if compiled is not None:
        return compiled
    code = Code()
    values = [code.variable("value") for _ in slots]
    code.add(f"return {add_object(code, cls, slots, values)}")
    return code.function("make", ", ".join((*values, "/")) if values else "", about=cls.__qualname__)


def add_object(code: Code, cls: type, slots: tuple[Slot, ...], values: Sequence[str]) -> str:
    """Add the lines that make an object without its constructor; return the variable that holds it.

    Args:
        code: the function.
        cls: a class whose constructor only sets slots.
        slots: the slots to set.
        values: the expression for each slot.
    """
    made = code.variable("made")
    make: Function | None = compiled_maker(cls, slots)
    if make is not None:
        code.add(f"{made} = {code.name(make, 'make')}({', '.join(values)})")
        return made
    code.add(f"{made} = {code.name(object.__new__, 'new')}({code.name(cls, 'cls')})")
    code.add(*(f"{code.name(slot.__set__, 'set')}({made}, {value})" for slot, value in zip(slots, values, strict=True)))
    return made


def initializer(cls: type, slot: Slot, exact: type, rule: Check | None, function: Init) -> Init:
    """Return a faster constructor that does the same as `function`.

    A value of exactly the class `exact` that meets the rule goes straight into `slot`, a slot of `cls`; any other value
    goes to `function`.
    """
    if Maker is not None:
        return Maker(cls, (slot,), exact, rule, function)
    set_slot = slot.__set__

    def __init__(self: object, value: object) -> None:
        if type(value) is exact:
            set_slot(self, value)
            if rule is None:
                return
            with suppress(Exception):  # `function` reports the reason
                if rule(value):
                    return
        function(self, value)

    update_wrapper(__init__, function)
    __init__.__annotations__ = function.__annotations__
    return __init__


def taker(
    cls: type, fields: Sequence[tuple[Slot, type, Check | bool | None]], make: Callable[..., T], value: Slot
) -> Callable[[object], T] | None:
    """Return a function that calls `make` with the values of an object; None without the part in C.

    The function raises an exception for an object that isn't exactly of the class `cls`, or has values of other
    classes than those given, or that break a rule.

    Args:
        cls: the class.
        fields: for each value its slot, its exact class, and a rule: None for a plain value; for a value object, whose
            inner value is taken, the rule for that value, or True if it has none.
        make: called with the values.
        value: the slot of value objects.
    """
    if Maker is None or not 0 < len(fields) <= _MAX_FIELDS:
        return None
    slots, classes, rules = zip(*fields, strict=True)
    return Maker(cls, slots, classes, rules, make, value)


_MAX_FIELDS = 32
"""The same limit as MAX_FIELDS in fast.c."""
