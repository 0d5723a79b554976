"""The wire type of a Python type: how its values look in JSON, and the way there and back.

Each node knows the type that msgspec parses and checks in C (`wire`), a fast function each way (`load`, `dump`; None
where the two forms are the same), and a slow one each way (`read`, `write`) that finds every problem with its path. The
slow ones run only for a message that the fast ones refused.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from types import MappingProxyType, NoneType
from typing import Any, Final
from uuid import UUID

import msgspec

from domainkit.errors import Problem

Function = Callable[[Any], Any]  # from a wire value to an object or back: the types are known at run time only

MISSING: Final = object()
"""What the slow functions return for a value that has a problem."""


class UnsupportedTypeError(TypeError):
    """A field's type has no wire form. The text names the class, the field and a remedy."""

    __module__ = "domainkit"  # where users import it from


class Refused(Exception):
    """A fast `dump` met something unusual: the slow one decides."""


class Problems(list[Problem]):
    """The problems found so far; no more than a limit of them is kept, so that no input makes it long."""

    def __init__(self, limit: int = 100) -> None:
        super().__init__()
        self.limit = limit

    @property
    def full(self) -> bool:
        """Whether there is no use in looking for more."""
        return len(self) >= self.limit

    def add(self, path: str, expected: str, code: str) -> object:
        """Note a problem, and return MISSING."""
        if not self.full:
            self.append(Problem(path, expected, code))
        return MISSING


def json_kind(data: object) -> str:
    """Return what JSON calls the value: null, bool, int, float, str, array or object.

    A subclass of str is text as well, such as the ids of petisco in its builtins.
    """
    return _KINDS.get(type(data)) or ("str" if isinstance(data, str) else "object")


_KINDS: Mapping[type, str] = MappingProxyType(
    {NoneType: "null", bool: "bool", int: "int", float: "float", str: "str", list: "array", tuple: "array"}
)


class Node:
    """One wire type.

    Attributes:
        wire: the type that msgspec decodes into.
        expected: the type in words, for problems.
        kinds: the JSON kinds that it reads.
        wire_classes: the exact classes of its decoded wire values, where the wire is not the object.
        object_classes: the exact classes of its objects.
        load: from a wire value to the object; None where they are the same.
        dump: from an object to the wire value, or Refused; never None.
        shape: the wire type without what is inside of it: what constraints are about.
        levels: how many objects and arrays a wire value has inside one another, at most; a leaf has none.
        guard: a Python expression over `{v}`, true where the object is its own wire value; None where a call is needed.
    """

    wire: Any  # a type, as msgspec takes it
    expected: str
    kinds: frozenset[str]
    wire_classes: tuple[type, ...]
    object_classes: tuple[type, ...]
    load: Function | None = None
    guard: str | None = None
    levels: float = 0

    _shape: Any = None  # a type, where it is not the wire type

    @property
    def shape(self) -> Any:
        return self.wire if self._shape is None else self._shape

    def dump(self, value: Any) -> Any:
        """Return the wire value of `value`, or raise Refused."""
        raise NotImplementedError

    def read(self, data: object, path: str, problems: Problems) -> Any:
        """Return the object for builtins that came from JSON; MISSING where problems were noted."""
        raise NotImplementedError

    def write(self, value: object, path: str, problems: Problems) -> Any:
        """Return the wire value of any object; MISSING where problems were noted."""
        raise NotImplementedError

    def wrong_type(self, path: str, problems: Problems) -> object:
        """Note that something else was found."""
        return problems.add(path, self.expected, "type")


class Leaf(Node):
    """A value that msgspec reads and writes natively."""

    def __init__(self, cls: type, *, kinds: str, expected: str, extra_guard: str = "") -> None:
        self.cls = self.wire = cls
        self.expected = expected
        self.kinds = frozenset(kinds.split())
        self.wire_classes = self.object_classes = (cls,)
        self.guard = class_guard(cls) + extra_guard

    def dump(self, value: Any) -> Any:
        if type(value) is not self.cls or self.refusal(value) is not None:
            raise Refused
        return value

    def read(self, data: object, path: str, problems: Problems) -> Any:
        if json_kind(data) not in self.kinds:
            return self.wrong_type(path, problems)
        try:
            value = self.parse(data)
        except Exception:  # msgspec's, or what an Enum's own `_missing_` raises
            return problems.add(path, self.expected, "value")
        reason = self.refusal(value)
        return value if reason is None else problems.add(path, reason, "value")

    def parse(self, data: Any) -> Any:
        """Return the object of data of a right kind; it raises what the parser raises."""
        return msgspec.convert(data, self.wire)

    def write(self, value: object, path: str, problems: Problems) -> Any:
        plain = self.plain(value)
        if plain is MISSING:
            return self.wrong_type(path, problems)
        reason = self.refusal(plain)
        return plain if reason is None else problems.add(path, reason, "value")

    def plain(self, value: object) -> Any:
        """Return `value` as an instance of exactly this class; MISSING where it is something else."""
        if type(value) is self.cls:
            return value
        if self.cls not in _REBUILD or not isinstance(value, self.cls) or isinstance(value, bool | datetime):
            return MISSING
        return _REBUILD[self.cls](value)

    def refusal(self, value: Any) -> str | None:  # noqa: ARG002  (subclasses look at it)
        """Return what is expected, where a value of the right class can't be written so that it is read back."""
        return None


def class_guard(cls: type) -> str:
    """Return the guard that asks for just this class, and nothing more."""
    return "type({v}) is " + cls.__name__


_day = date.fromordinal  # kept here, since test libraries that set the clock put another class in its place
_REBUILD: Final[Mapping[type, Function]] = MappingProxyType(
    {
        str: str.__str__,
        int: int.__int__,
        float: float.__float__,
        bytes: lambda value: bytes(memoryview(value)),
        UUID: lambda value: UUID(int=value.int),
        date: lambda value: _day(value.toordinal()),
        time: lambda value: time(
            value.hour, value.minute, value.second, value.microsecond, tzinfo=value.tzinfo, fold=value.fold
        ),
        timedelta: lambda value: timedelta(value.days, value.seconds, value.microseconds),
    }
)
"""How to make a plain value of an instance of a subclass: the encoder takes plain ones."""


def loader(node: Node) -> Function:
    """Return the fast way from wire to object, also where they are the same."""
    return node.load if node.load is not None else _same


def _same(value: Any) -> Any:
    return value
