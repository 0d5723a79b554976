"""Nodes: how the values of a Python type look in JSON, and how to convert them in both directions.

A node defines everything about a type in one place; there is a file for each family of types. A node knows the type
that msgspec parses and checks in C (`wire`), and has two paths in each direction:

- the fast path, as lines of generated functions: `load_lines` from a decoded wire value to the object, `dump_lines`
  back. It refuses whatever is unusual, without giving a reason.
- the slow path: `read` from builtins to the object, `write` from the object to builtins. It finds every problem with
  its path, and has the last word if the fast path refused.

A node also describes its values as a JSON Schema (`schema`), and makes examples of them for tests (`samples`).
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import MappingProxyType, NoneType
from typing import Any, Final, Protocol, TypeAlias

import attrs
from attrs import frozen

from domainkit._model.constructors import takes_self
from domainkit._model.immutability import ON_THE_WIRE, REQUIRED, Frozen
from domainkit._model.mapping import frozen_copy
from domainkit._speedups.code import Code, Function
from domainkit.errors import Problem

Schema = dict[str, Any]  # Any: a part of a JSON Schema holds JSON values of all kinds
Strategy: TypeAlias = Any  # Any: a strategy of hypothesis, which is an extra

MISSING: Final = object()
"""The result of `read` and `write` for a value that has a problem."""


class UnsupportedTypeError(TypeError):
    """A field's type has no wire form. The message names the class, the field and a remedy."""

    __module__ = "domainkit"  # where users import it from


class Refused(Exception):
    """The fast path found something unusual: the slow path decides."""


class Problems(list[Problem]):
    """The problems found so far, up to a limit, so that no input can make the list long.

    Args:
        limit: the number of problems to keep.
        native: whether to accept objects in place of their form in JSON, such as a UUID in place of its text.
    """

    def __init__(self, limit: int = 100, *, native: bool = False) -> None:
        super().__init__()
        self.limit = limit
        self.native = native
        self.parsed = False
        """True if the data came from a JSON parser, not from a caller, so that it has no NaN and no other objects."""
        self.causes: dict[int, Exception] = {}
        """The exceptions that caused problems, by the index of the problem in the list."""

    @property
    def full(self) -> bool:
        """True if the limit is reached, so that further problems are left out."""
        return len(self) >= self.limit

    def add(self, path: str, expected: str, code: str, cause: Exception | None = None) -> object:
        """Note a problem, and return MISSING."""
        if len(self) < self.limit:
            if cause is not None:
                self.causes[len(self)] = cause
            self.append(Problem(path, expected, code))
        return MISSING


def json_kind(data: object) -> str:
    """Return the JSON kind of a value: null, bool, int, float, str, array or object.

    An instance of a subclass of str is text too: petisco has ids of such a class in its builtins.
    """
    return _KINDS.get(type(data)) or ("str" if isinstance(data, str) else "object")


_KINDS: Mapping[type, str] = MappingProxyType(
    {NoneType: "null", bool: "bool", int: "int", float: "float", str: "str", list: "array", tuple: "array"}
)


class Schemas(Protocol):
    """The JSON Schema document under construction; see `domainkit.formats`."""

    draft_07: bool

    def schema(self, node: "Node") -> Schema:
        """Return the schema of a node: a new one, or a reference."""
        raise NotImplementedError

    def about(self, hint: object) -> Schema:
        """Return the title and the description of a class."""
        raise NotImplementedError

    def named(self, hint: object, make: Callable[[], Schema], form: tuple[str, ...] = ()) -> Schema:
        """Return a reference to the definition of a type, made once; `form` distinguishes definitions of one type."""
        raise NotImplementedError

    def fields(self, parts: Iterable["Part"], *, closed: bool, tag: tuple[str, str] | None) -> Schema:
        """Return the schema of an object with a property for each field."""
        raise NotImplementedError

    def constrained(self, node: "Node", rule: object) -> Schema:
        """Return the schema of a node with the keywords of a validator or a `msgspec.Meta`."""
        raise NotImplementedError


class Samples(Protocol):
    """The strategies of a test under construction; see `domainkit.testing.strategies`."""

    st: Any  # Any: the module hypothesis.strategies, which is an extra

    def of(self, node: "Node") -> Strategy:
        """Return the strategy of a node."""
        raise NotImplementedError

    def made(self, cls: type, fields: Mapping[str, Strategy]) -> Strategy:
        """Return the strategy for instances of `cls` with these fields, without values that the constructor refuses."""
        raise NotImplementedError

    def constrained(self, node: "Node", rule: object) -> Strategy:
        """Return the strategy of a node whose values meet a validator or a `msgspec.Meta`."""
        raise NotImplementedError


class Node:
    """The conversion of one type. A subclass gives the fast path as lines, or overrides `load` and `dump`.

    Args:
        wire: the type that msgspec decodes into.
        expected: the type in words, for problems.
        kinds: the JSON kinds that `read` accepts.
        wire_classes: the exact classes of the decoded wire values; empty if they can be of any class.
        object_classes: the exact classes of the objects.
        levels: the largest number of nested objects and arrays in a wire value; 0 for a leaf.
        same: whether a decoded wire value is itself the object.
        shape: the wire type without the types of its items, if that differs from `wire`; constraints apply to it.
    """

    plain: Callable[[object], object] | bool | None = None
    """The check that remains once the exact class of an object is known, if the object is its own wire value: a
    function, or True if no check remains. None if the object isn't its own wire value, or a function isn't enough."""
    measured: str = ""
    """The quantity that bounds and lengths apply to: text, base64, number, array, object, or empty."""

    def __init__(  # noqa: PLR0913  # everything that is known about a type
        self,
        wire: Any,
        expected: str,
        kinds: frozenset[str],
        *,
        wire_classes: tuple[type, ...] = (),
        object_classes: tuple[type, ...] = (),
        levels: float = 0,
        same: bool = False,
        shape: Any = None,
    ) -> None:
        self._wire, self._wire_classes = wire, wire_classes
        self.expected: str = expected
        self.kinds: frozenset[str] = kinds
        self.object_classes: tuple[type, ...] = object_classes
        self.levels: float = levels
        self.same: bool = same
        self.shape: Any = wire if shape is None else shape

    @property
    def wire(self) -> Any:
        """The type that msgspec decodes into."""
        return self._wire

    @property
    def wire_classes(self) -> tuple[type, ...]:
        """The exact classes of the decoded wire values; empty if they can be of any class."""
        return self._wire_classes

    def load_lines(self, code: Code, wire: str) -> str:
        """Add the lines that check and convert the wire value `wire`; return the expression for its object."""
        return f"{code.name(self.load, 'load')}({wire})"

    def dump_lines(self, code: Code, value: str) -> str:
        """Add the lines that check and convert the object `value`; return the expression for its wire value."""
        return f"{code.name(self.dump, 'dump')}({value})"

    @cached_property
    def take(self) -> Function | None:
        """A function in C that does the same as `dump`; None if C can't do it."""
        return None

    @cached_property
    def load(self) -> Function:
        """The fast path from a decoded wire value to the object; it raises Refused, or what a constructor raises."""
        code = Code()
        code.add(f"return {self.load_lines(code, 'wire')}")
        return code.function("load", "wire", about=self.expected)

    @cached_property
    def dump(self) -> Function:
        """The fast path from an object to its wire value; it raises Refused."""
        code = Code()
        code.add(f"return {self.dump_lines(code, 'value')}")
        return code.function("dump", "value", about=self.expected)

    def read(self, data: object, path: str, problems: Problems) -> object:
        """Return the object for builtins that came from JSON; MISSING if problems were noted."""
        raise NotImplementedError

    def write(self, value: object, path: str, problems: Problems) -> object:
        """Return the builtins for any object; MISSING if problems were noted."""
        raise NotImplementedError

    def schema(self, schemas: Schemas) -> Schema:
        """Return the JSON Schema of the values."""
        raise NotImplementedError

    def samples(self, samples: Samples) -> Strategy:
        """Return a hypothesis strategy for the values."""
        raise NotImplementedError

    def wrong_type(self, path: str, problems: Problems) -> object:
        """Note that the data has another type."""
        return problems.add(path, self.expected, "type")


@frozen
class Part:
    """A field of a class, as it is on the wire.

    Args:
        attribute: the field, as attrs describes it.
        node: the wire type of its values.
    """

    attribute: "attrs.Attribute[Any]"
    node: Node

    @property
    def slot(self) -> str:
        """The name in the struct, prefixed so that it is neither a keyword nor the name of a method of structs."""
        return f"f_{self.attribute.name}"

    @property
    def key(self) -> str:
        """The name on the wire, which is the name of the constructor's parameter."""
        return self.attribute.alias or self.attribute.name

    @property
    def required(self) -> bool:
        """True if decoding fails without the key."""
        declared = self.attribute.metadata.get(ON_THE_WIRE) == REQUIRED
        return declared or self.attribute.default is attrs.NOTHING or takes_self(self.attribute)

    def default_for(self, cls: type) -> Callable[[], object]:
        """Return a function that makes the field's default, which is read-only if `cls` is a model class."""
        kept: Function = frozen_copy if issubclass(cls, Frozen) else lambda value: value
        default = self.attribute.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, though the stubs call it a function
            factory: Callable[[], object] = default.factory  # type: ignore[union-attr]  # as above
            return lambda: kept(factory())
        made = kept(default)
        return lambda: made


def refuse_unless(code: Code, condition: str) -> None:
    """Add the lines that raise Refused if the condition is false."""
    code.add(f"if not ({condition}):", f"    raise {code.name(Refused, 'Refused')}")


ANY_KIND = frozenset({"null", "bool", "int", "float", "str", "array", "object"})


class ByHand(Node):
    """A node without a fast path of its own: msgspec decodes any JSON, and the slow path does the rest."""

    @property
    def wire(self) -> Any:
        """Any JSON."""
        return Any

    def load_lines(self, code: Code, wire: str) -> str:
        return Node.load_lines(self, code, wire)  # not super(): it must win over the other base of a subclass

    def dump_lines(self, code: Code, value: str) -> str:
        return Node.dump_lines(self, code, value)  # as above

    @cached_property
    def load(self) -> Function:
        """Read builtins, or raise Refused."""
        return lambda data: _or_refused(self.read(data, "$", Problems(1)))

    @cached_property
    def dump(self) -> Function:
        """Write builtins, or raise Refused."""
        return lambda value: _or_refused(self.write(value, "$", Problems(1)))


def _or_refused(found: object) -> object:
    if found is MISSING:
        raise Refused
    return found
