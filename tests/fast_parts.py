"""Small classes made by the C part; and right and wrong ways to use them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from sqlite3 import Cursor
from typing import Any

import pytest
from forms import NO_COMPILER

from domainkit._speedups import slots as _slots

_fast: Any = pytest.importorskip("domainkit._fast", reason=NO_COMPILER)  # Any: it is given wrong arguments on purpose
Maker = _fast.Maker


class Box:
    __slots__ = ("__weakref__", "value")

    def __init__(self, value: object) -> None:
        Box.value.__set__(self, value)  # type: ignore[attr-defined]  # the slot


class Point:
    __slots__ = ("x", "y")


class Text(str):
    __slots__ = ()


class Undecided:
    def __bool__(self) -> bool:
        raise ValueError("undecided")


class Abstract(ABC):
    __slots__ = ()

    @abstractmethod
    def done(self) -> None: ...


VALUE: Any = Box.__dict__["value"]  # Any: slots, which stand at wrong places as well
X: Any = Point.__dict__["x"]
Y: Any = Point.__dict__["y"]


def is_short(value: str) -> bool:
    """Check if a text has at most two letters: a rule."""
    return len(value) < 3


def fail(*_: object) -> Any:  # Any: it takes the place of functions of all kinds
    """Raise an error."""
    raise ValueError("failed")


def interrupt(*_: object) -> Any:  # Any: as above
    """Raise what is no Exception."""
    raise KeyboardInterrupt


def undecided(_: object) -> Undecided:
    """Return what is neither true nor false."""
    return Undecided()


def init(self: Box, value: object) -> None:
    """Set the value, unless it is long: what the constructor falls back on."""
    VALUE.__set__(self, value)
    if value == "long":
        raise ValueError("too long")


def constructor(rule: object = is_short, function: object = init) -> Any:  # Any: as above
    """Return a constructor of boxes with a text."""
    return Maker(Box, (VALUE,), str, rule, function)


def joined(*texts: str) -> str:
    """Return the texts as one."""
    return "".join(texts)


def taker(  # Any: as above
    classes: object = (str, str), rules: object = (None, None), function: Any = joined, value: object = VALUE
) -> Any:
    """Return what takes a point apart."""
    return Maker(Point, (X, Y), classes, rules, function, value)


make_point, construct = Maker(Point, (X, Y)), constructor()
box, point = Box("kept"), make_point("a", "b")

Call = Callable[[], object]

REFUSED: dict[str, tuple[Call, str]] = {
    "nothing": (Maker, "Maker"),
    "by name": (lambda: Maker(Point, slots=(X,)), "Maker"),
    "no class": (lambda: Maker(1, ()), "must be type, not int"),
    "no tuple": (lambda: Maker(Point, [X]), "must be tuple, not list"),
    "no slot": (lambda: Maker(Point, (1,)), "^Point: expected a slot of this class, got int$"),
    "a slot of another class": (lambda: Maker(Point, (VALUE,)), "^Point: expected a slot of this class, got memb"),
    "a class of its own way": (lambda: Maker(int, ()), "^int: expected a class without a __new__ of its own$"),
    "constructor: by name": (lambda: Maker(Box, (VALUE,), str, None, function=init), "Maker"),
    "constructor: no class": (lambda: Maker(Box, (VALUE,), 1, None, init), "^Box: expected one slot, a class, a rule"),
    "constructor: no function": (lambda: Maker(Box, (VALUE,), str, None), "^Box: expected one slot, a class, a rule"),
    "constructor: no slot": (lambda: Maker(Box, (), str, None, init), "^Box: expected one slot, a class, a rule"),
    "constructor: two slots": (lambda: Maker(Point, (X, Y), str, None, init), "^Point: expected one slot, a class"),
    "constructor: a property": (lambda: Maker(Box, (property(),), str, None, init), "this class, got property"),
    "taker: too few classes": (lambda: taker((str,)), "^Point: expected a class and a rule for each slot$"),
    "taker: no classes": (lambda: taker((1, 2)), "^Point: expected a class and a rule"),
    "taker: too few rules": (lambda: taker(rules=(None,)), "^Point: expected a class and a rule"),
    "taker: rules in a list": (lambda: taker(rules=[None, None]), "^Point: expected a class and a rule"),
    "taker: no rules": (lambda: Maker(Point, (X, Y), (str, str)), "^Point: expected a class and a rule"),
    "taker: no function": (lambda: Maker(Point, (X, Y), (str, str), (None, None)), "^Point: expected a class"),
    "taker: no value": (lambda: Maker(Point, (X, Y), (str, str), (None, None), tuple), "^Point: expected a class"),
    "taker: a value that is no slot": (lambda: taker(value=1), "^Point: expected a class and a rule"),
    "taker: too many": (lambda: Maker(Point, (X,) * 33, (str,) * 33, (None,) * 33, tuple, VALUE), "^Point: expected a"),
}  # fmt: skip  # a table
"""Arguments that are refused when a Maker is made, and a pattern of the text."""

CALLS: dict[str, tuple[Call, object]] = {
    "made": (lambda: type(make_point("a", point)), Point),
    "too few": (lambda: make_point(1), TypeError),
    "by name": (lambda: make_point(1, y=2), TypeError),
    "more by name": (lambda: make_point(1, 2, z=3), TypeError),
    "a slot that nobody sets": (lambda: Maker(Cursor, (Cursor.lastrowid,))(1), AttributeError),
    "abstract": (Maker(Abstract, ()), TypeError),
    "nothing to tell": (lambda: make_point.__name__, AttributeError),
    "nothing around": (lambda: make_point.__wrapped__, AttributeError),
    "reduced": (lambda: make_point.__reduce__()[1], (Point, (X, Y))),
    "bound": (lambda: Maker(Box, (VALUE,)).__get__(box, Box)().value is box, True),
    "constructor: set": (lambda: construct(box, "ab"), None),
    "constructor: by name": (lambda: construct(box, value="ab"), None),
    "constructor: another class": (lambda: construct(box, Text("ab")), None),
    "constructor: against the rule": (lambda: construct(box, "long"), ValueError),
    "constructor: another object": (lambda: construct(point, "ab"), TypeError),
    "constructor: too few": (lambda: construct(box), TypeError),
    "constructor: nothing": (construct, TypeError),
    "constructor: a rule that raises": (lambda: constructor(fail)(box, "ab"), None),
    "constructor: a rule without answer": (lambda: constructor(undecided)(box, "ab"), None),
    "constructor: interrupted": (lambda: constructor(interrupt)(box, "ab"), KeyboardInterrupt),
    "constructor: no rule": (lambda: constructor(None, fail)(box, "long"), None),
    "constructor: bound": (lambda: construct.__get__(box, Box)("ab"), None),
    "constructor: unbound": (lambda: construct.__get__(None, Box) is construct, True),
    "constructor: told": (lambda: (construct.__name__, construct.__wrapped__), ("init", init)),
    "constructor: nothing to tell": (lambda: constructor(None, 1).__name__, AttributeError),
    "constructor: reduced": (lambda: construct.__reduce__()[1], (Box, VALUE, str, is_short, init)),
    "taker: taken": (lambda: taker()(point), "ab"),
    "taker: no argument": (taker(), TypeError),
    "taker: by name": (lambda: taker()(point, one=1), TypeError),
    "taker: another object": (lambda: taker()(box), TypeError),
    "taker: another class in a slot": (lambda: taker()(make_point("a", 1)), TypeError),
    "taker: nothing in a slot": (lambda: taker()(object.__new__(Point)), AttributeError),
    "taker: a value object": (lambda: taker((str, Box), (None, True))(make_point("a", Box("b"))), "ab"),
    "taker: a rule": (lambda: taker((str, Box), (None, is_short))(make_point("a", Box("b"))), "ab"),
    "taker: against the rule": (lambda: taker((str, Box), (None, is_short))(make_point("a", Box("bcd"))), TypeError),
    "taker: a rule that raises": (lambda: taker((str, Box), (None, fail))(make_point("a", Box("b"))), TypeError),
    "taker: interrupted": (lambda: taker((str, Box), (None, interrupt))(make_point("a", Box("b"))), KeyboardInterrupt),
    "taker: no value object": (lambda: taker(rules=(None, True))(point), TypeError),
    "taker: an empty value object": (
        lambda: taker((str, Box), (None, True))(make_point("a", object.__new__(Box))), AttributeError,
    ),
    "taker: a function that raises": (lambda: taker(function=fail)(point), ValueError),
    "taker: reduced": (lambda: taker().__reduce__(), TypeError),
}  # fmt: skip  # a table
"""Uses of a Maker, and what comes of it: a value, or the class of an error."""

WATCHED: list[object] = [
    Box, Point, VALUE, X, Y, box, point, is_short, fail, interrupt, undecided, init, construct, make_point, str, Maker,
    Undecided, joined, Cursor, Abstract, _slots,
]  # fmt: skip  # one table
"""All that a call could keep or lose a reference of."""
