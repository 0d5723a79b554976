"""One part of each kind of the C part, made of small classes; and what can be done with them, right and wrong."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from sqlite3 import Cursor
from typing import Any

import pytest
from forms import NO_COMPILER

from domainkit._speedups import slots as _slots
from domainkit._speedups.slots import MOST_FIELDS, Field

_fast: Any = pytest.importorskip("domainkit._fast", reason=NO_COMPILER)  # Any: it is given wrong arguments on purpose
Maker, Filler, Constructor = _fast.Maker, _fast.Filler, _fast.Constructor
Dumper, Writer = _fast.Dumper, _fast.Writer


class Box:
    __slots__ = ("__weakref__", "value")

    def __init__(self, value: object) -> None:
        Box.value.__set__(self, value)  # type: ignore[attr-defined]  # the slot


class Point:
    __slots__ = ("x", "y")


class Text(str):
    __slots__ = ()


class Bytes(bytes):
    __slots__ = ()


class Undecided:
    def __bool__(self) -> bool:
        raise ValueError("undecided")


class Abstract(ABC):
    __slots__ = ()

    @abstractmethod
    def done(self) -> None: ...


class Refusal(Exception):
    """What a dumper raises."""


VALUE: Any = Box.__dict__["value"]  # Any: slots, which stand at wrong places as well
X: Any = Point.__dict__["x"]
Y: Any = Point.__dict__["y"]
TIME = b'"2021-12-28T14:11:47.845618Z"'
PIECES = (b"<", b",", b'Z",', b",", b">")


def is_short(value: str) -> bool:
    """Tell whether a text has at most two letters: a rule, and a check."""
    return len(value) < 3


def fail(*_: object) -> Any:  # Any: it takes the place of functions of all kinds
    """Raise an error."""
    raise ValueError("failed")


def interrupt(*_: object) -> Any:  # Any: as above
    """Raise what is no Exception."""
    raise KeyboardInterrupt


def same(value: object) -> object:
    """Return what is given."""
    return value


def interrupt_after_two() -> Callable[[object], object]:
    """Return a function that does so at its third call."""
    calls = itertools.count(1)
    return lambda value: value if next(calls) < 3 else interrupt()


def undecided(_: object) -> Undecided:
    """Return what is neither true nor false."""
    return Undecided()


def of_int(value: object) -> object:
    """Return an int as it is, and refuse anything else: what dumps an item."""
    return value if isinstance(value, int) else fail()


def init(self: Box, value: object) -> None:
    """What the constructor falls back on."""
    VALUE.__set__(self, value)
    if value == "long":
        raise ValueError("too long")


def struct(*values: object) -> object:
    """Return what a dumper makes."""
    return values


def strict(value: object) -> object:
    """Return a struct that refuses a value."""
    return fail() if value == "bad" else (value,)


def dumper(*fields: tuple[object, ...], make: object = struct) -> Any:  # Any: one of the parts
    """Return what makes structs of points."""
    return Dumper(Point, make, fields, VALUE, Refusal)


def encode(value: object) -> object:
    """Return new bytes for bytes, as an encoder does."""
    return fail() if value is None else bytes(bytearray(value)) if type(value) is bytes else value


def writer(
    dump: Callable[[object], object] = same, encode: object = encode, function: object = lambda _: b"in Python"
) -> Any:  # Any: as above
    """Return what writes boxes: the header is the value, a Point of an id (a box as well) and the rest."""
    return Writer(lambda _: dump(b"attributes"), encode, (VALUE, X, Y, META, VALUE), PIECES, function)


class Header(Point):
    __slots__ = ("meta",)


META: Any = Header.__dict__["meta"]
make_point, make_header = Maker(Point, (X, Y)), Maker(Header, (X, Y, META))
fill, other = Filler((X, Y)), make_point(None, None)
construct = Constructor(str, VALUE, is_short, init)
box, point = Box("kept"), make_point("a", "b")


def message(id: object = b"id", time: object = TIME, meta: object = b"meta") -> Box:
    """Return a box that the writer writes."""
    return Box(make_header(Box(id), time, meta))


Call = Callable[[], object]

REFUSED: dict[str, tuple[Call, str]] = {
    "maker: nothing": (Maker, "Maker"),
    "maker: by name": (lambda: Maker(Point, slots=(X,)), "Maker"),
    "maker: no class": (lambda: Maker(1, ()), "must be type, not int"),
    "maker: no tuple": (lambda: Maker(Point, [X]), "must be tuple, not list"),
    "maker: no slot": (lambda: Maker(Point, (1,)), "expected a slot, not 1"),
    "maker: a slot of another class": (lambda: Maker(Point, (VALUE,)), "Point: <member 'value' .* is not a slot of"),
    "maker: a class of its own way": (lambda: Maker(int, ()), "int: its objects are made in a way of their own"),
    "filler: nothing": (Filler, "Filler"),
    "filler: by name": (lambda: Filler(slots=(X,)), "Filler"),
    "filler: no tuple": (lambda: Filler([X]), "must be tuple, not list"),
    "filler: no slot": (lambda: Filler((1,)), "expected a slot, not 1"),
    "constructor: nothing": (Constructor, "Constructor"),
    "constructor: by name": (lambda: Constructor(str, VALUE, None, function=init), "Constructor"),
    "constructor: no class": (lambda: Constructor(1, VALUE, None, init), "must be type, not int"),
    "constructor: no slot": (lambda: Constructor(str, property(), None, init), "expected a slot, not <property"),
    "dumper: nothing": (Dumper, "Dumper"),
    "dumper: by name": (lambda: Dumper(Point, struct, (), VALUE, refused=Refusal), "Dumper"),
    "dumper: no class": (lambda: Dumper(1, struct, (), VALUE, Refusal), "must be type, not int"),
    "dumper: no tuple": (lambda: Dumper(Point, struct, [], VALUE, Refusal), "must be tuple, not list"),
    "dumper: no field": (lambda: dumper(1), "expected a slot, two classes"),  # type: ignore[arg-type]  # on purpose
    "dumper: a short field": (lambda: dumper((X, None, None, None, None)), "expected a slot, two classes"),
    "dumper: no slot": (lambda: dumper((1, None, None, None, None, False)), "expected a slot, not 1"),
    "dumper: no wrapper": (lambda: dumper((X, 1, None, None, None, False)), "expected a slot, two classes"),
    "dumper: no exact class": (lambda: dumper((X, None, 1, None, None, False)), "expected a slot, two classes"),
    "dumper: no bool": (lambda: dumper((X, None, tuple, None, same, 1)), "expected a slot, two classes"),
    "dumper: items of no tuple": (lambda: dumper(Field(X, exact=list, dump=same, each=True)), "the class tuple"),
    "dumper: items of anything": (lambda: dumper(Field(X, dump=same, each=True)), "the class tuple"),
    "dumper: items as they are": (lambda: dumper(Field(X, exact=tuple, each=True)), "and a function"),
    "dumper: too many fields": (lambda: dumper(*[Field(X)] * (MOST_FIELDS + 1)), f"at most {MOST_FIELDS} fields"),
    "dumper: no slot of values": (lambda: Dumper(Point, struct, (), 1, Refusal), "expected a slot, not 1"),
    "dumper: no error": (lambda: Dumper(Point, struct, (), VALUE, int), "an exception's class, not <class 'int'>"),
    "dumper: an instance": (lambda: Dumper(Point, struct, (), VALUE, Refusal()), "an exception's class, not Refusal"),
    "writer: nothing": (Writer, "Writer"),
    "writer: by name": (lambda: Writer(same, encode, (VALUE,) * 5, PIECES, function=fail), "Writer"),
    "writer: slots in a list": (lambda: Writer(same, encode, [VALUE] * 5, PIECES, fail), "must be tuple, not list"),
    "writer: too few slots": (lambda: Writer(same, encode, (VALUE,), PIECES, fail), "expected 5 slots"),
    "writer: no slot": (lambda: Writer(same, encode, (VALUE,) * 4 + (1,), PIECES, fail), "expected a slot, not 1"),
    "writer: pieces in a list": (lambda: Writer(same, encode, (VALUE,) * 5, [b""], fail), "must be tuple, not list"),
    "writer: too few pieces": (lambda: Writer(same, encode, (VALUE,) * 5, (b"",), fail), "expected 5 pieces of bytes"),
    "writer: no bytes": (lambda: Writer(same, encode, (VALUE,) * 5, ("",) * 5, fail), "expected 5 pieces of bytes"),
    "writer: other bytes": (lambda: Writer(same, encode, (VALUE,) * 5, (Bytes(),) * 5, fail), "expected 5 pieces"),
}  # fmt: skip  # a table


"""What is refused when a part is made, and a pattern of the text."""

dump = dumper(Field(X, Box, str, is_short, same), Field(Y, None, tuple, None, of_int, each=True))
dump_again = dumper(Field(X), make=strict)

CALLS: dict[str, tuple[Call, object]] = {
    "maker: made": (lambda: type(make_point("a", point)), Point),
    "maker: too few": (lambda: make_point(1), TypeError),
    "maker: by name": (lambda: make_point(1, y=2), TypeError),
    "maker: more by name": (lambda: make_point(1, 2, z=3), TypeError),
    "maker: a slot that nobody sets": (lambda: Maker(Cursor, (Cursor.lastrowid,))(1), AttributeError),
    "maker: abstract": (Maker(Abstract, ()), TypeError),
    "filler: filled": (lambda: (fill(other, 1, 2), other.x, other.y), (None, 1, 2)),
    "filler: too few": (lambda: fill(point, 1), TypeError),
    "filler: nothing": (fill, TypeError),
    "filler: by name": (lambda: fill(point, 1, y=2), TypeError),
    "filler: another object": (lambda: fill(box, 1, 2), TypeError),
    "constructor: set": (lambda: construct(box, "ab"), None),
    "constructor: by name": (lambda: construct(box, value="ab"), None),
    "constructor: another class": (lambda: construct(box, Text("ab")), None),
    "constructor: against the rule": (lambda: construct(box, "long"), ValueError),
    "constructor: another object": (lambda: construct(point, "ab"), TypeError),
    "constructor: too few": (lambda: construct(box), TypeError),
    "constructor: nothing": (construct, TypeError),
    "constructor: a rule that raises": (lambda: Constructor(str, VALUE, fail, init)(box, "ab"), None),
    "constructor: a rule without answer": (lambda: Constructor(str, VALUE, undecided, init)(box, "ab"), None),
    "constructor: interrupted": (lambda: Constructor(str, VALUE, interrupt, init)(box, "ab"), KeyboardInterrupt),
    "constructor: no rule": (lambda: Constructor(str, VALUE, None, fail)(box, "long"), None),
    "constructor: bound": (lambda: construct.__get__(box, Box)("ab"), None),
    "constructor: unbound": (lambda: construct.__get__(None, Box) is construct, True),
    "constructor: printed": (lambda: repr(construct) == repr(init), True),
    "constructor: told": (lambda: (construct.__name__, construct.__wrapped__), ("init", init)),
    "constructor: nothing to tell": (lambda: Constructor(str, VALUE, None, 1).__name__, AttributeError),
    "constructor: reduced": (lambda: construct.__reduce__()[1], (str, VALUE, is_short, init)),
    "dumper: made": (lambda: dump(make_point(Box("ab"), tuple(range(1, 3)))), ("ab", [1, 2])),
    "dumper: no items": (lambda: dump(make_point(Box("ab"), ())), ("ab", [])),
    "dumper: many fields": (lambda: dumper(*[Field(X)] * MOST_FIELDS)(point), ("a",) * MOST_FIELDS),
    "dumper: a subclass": (lambda: dump(make_header(Box("ab"), (), None)), Refusal),
    "dumper: too many": (lambda: dump(point, point), TypeError),
    "dumper: by name": (lambda: dump(value=point), TypeError),
    "dumper: an empty slot": (lambda: dump(Maker(Point, (X,))(Box("ab"))), AttributeError),
    "dumper: another wrapper": (lambda: dump(make_point("ab", ())), Refusal),
    "dumper: an empty wrapper": (lambda: dump(make_point(Box.__new__(Box), ())), AttributeError),
    "dumper: a wrapper without value": (lambda: dumper(Field(X, str))(point), TypeError),
    "dumper: another class": (lambda: dump(make_point(Box(Text("ab")), ())), Refusal),
    "dumper: against the check": (lambda: dump(make_point(Box("long"), ())), Refusal),
    "dumper: a check that raises": (lambda: dumper(Field(X, check=fail))(point), ValueError),
    "dumper: a check without answer": (lambda: dumper(Field(X, check=undecided))(point), ValueError),
    "dumper: interrupted": (lambda: dumper(Field(X, dump=interrupt))(point), KeyboardInterrupt),
    "dumper: a dump that raises": (lambda: dumper(Field(X, dump=fail))(point), ValueError),
    "dumper: a list": (lambda: dump(make_point(Box("ab"), [1])), Refusal),
    "dumper: an item that is refused": (lambda: dump(make_point(Box("ab"), (1, "2", 3))), ValueError),
    "dumper: made no struct": (lambda: dump_again(make_point("bad", 1)), ValueError),
    "scanned": (lambda: _fast.scanned(b'[["a\\\\"], "b'), (2, 3)),
    "scanned: no bytes": (lambda: _fast.scanned("text"), TypeError),
    "writer: written": (lambda: writer()(message()), b'<id,"2021-12-28 14:11:47.845618Z",attributes,meta>'),
    "writer: too many": (lambda: writer()(1, 2), TypeError),
    "writer: by name": (lambda: writer()(message=1), TypeError),
    "writer: a dump that raises": (lambda: writer(dump=fail)(message()), ValueError),
    "writer: attributes that are no bytes": (lambda: writer(dump=lambda _: "text")(message()), TypeError),
    "writer: attributes of other bytes": (lambda: writer(dump=lambda _: Bytes())(message()), TypeError),
    "writer: no header": (lambda: writer()(Box.__new__(Box)), b"in Python"),
    "writer: another message": (lambda: writer()(point), b"in Python"),
    "writer: another header": (lambda: writer()(Box(point)), b"in Python"),
    "writer: another id": (lambda: writer()(Box(make_header(point, TIME, b""))), b"in Python"),
    "writer: an id that is no bytes": (lambda: writer()(message(id=1)), b"in Python"),
    "writer: another time": (lambda: writer()(message(time=b'"2021-12-28T14:11:47Z"')), b"in Python"),
    "writer: no time": (lambda: writer()(message(time=None)), b"in Python"),
    "writer: no meta": (lambda: writer()(message(meta=None)), b"in Python"),
    "writer: refused": (lambda: writer(function=fail)(message(time=b"")), ValueError),
    "writer: interrupted": (lambda: writer(encode=interrupt)(message()), KeyboardInterrupt),
    "writer: interrupted later": (lambda: writer(encode=interrupt_after_two())(message()), KeyboardInterrupt),
}
"""What is done with a part, and what comes of it: a value, or the class of an error."""

WATCHED: list[object] = [
    Box, Point, Header, VALUE, X, Y, META, TIME, PIECES, *PIECES, box, point, Refusal, is_short, fail, interrupt, same,
    undecided, of_int, init, struct, strict, encode, construct, make_point, make_header, dump, dump_again, fill, other,
    tuple, str, Maker, Filler, Constructor, Dumper, Writer, Undecided, Cursor, Abstract, _slots,
]  # fmt: skip  # one table
"""All that a call could keep or lose a reference of."""
