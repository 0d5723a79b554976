"""The wire type of a Python type: how its values look in JSON, and the way there and back.

A node says all of it in one place, for each family of types in one file. It knows the type that msgspec parses and
checks in C (`wire`), and two ways in each direction:

- the fast way, as lines of generated functions: `load_lines` from a decoded wire value to the object, `dump_lines`
  back. They refuse whatever is unusual, without saying why.
- the way that explains: `read` from builtins to the object, `write` from the object to builtins. They find every
  problem with its path, and decide where the fast way refused.

Besides, a node describes its values as a JSON Schema (`schema`) and makes examples of them for tests (`samples`).
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
from domainkit.conversion.code import Code, Function
from domainkit.errors import Problem

Schema = dict[str, Any]  # Any: a part of a JSON Schema while it is made holds JSON values
Strategy: TypeAlias = Any  # Any: a strategy of hypothesis, which is an extra

MISSING: Final = object()
"""The result of `read` and `write` for a value that has a problem."""


class UnsupportedTypeError(TypeError):
    """A field's type has no wire form. The text names the class, the field and a remedy."""

    __module__ = "domainkit"  # where users import it from


class Refused(Exception):
    """The fast way met something unusual: the way that explains decides."""


class Problems(list[Problem]):
    """The problems found so far, up to a limit, so that no input makes the list long.

    Args:
        limit: how many are kept.
        native: whether objects are read too, and not only their form in JSON: a UUID where its text belongs.
    """

    def __init__(self, limit: int = 100, *, native: bool = False) -> None:
        super().__init__()
        self.limit = limit
        self.native = native
        self.parsed = False
        """True if the data came from a JSON parser and not from a caller: no NaN, no object."""
        self.causes: dict[int, Exception] = {}
        """The exception behind a problem, by the problem's place in the list, if there is one."""

    @property
    def full(self) -> bool:
        """True if there are as many problems as are reported."""
        return len(self) >= self.limit

    def add(self, path: str, expected: str, code: str, cause: Exception | None = None) -> object:
        """Note a problem, and return MISSING."""
        if not self.full:
            if cause is not None:
                self.causes[len(self)] = cause
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


class Schemas(Protocol):
    """The JSON Schema document that is being made; see `domainkit.formats`."""

    draft_07: bool

    def schema(self, node: "Node") -> Schema:
        """Return the schema of a node: a new one, or a reference."""
        raise NotImplementedError

    def about(self, hint: object) -> Schema:
        """Return the title and the description of a class."""
        raise NotImplementedError

    def named(self, hint: object, make: Callable[[], Schema], form: tuple[str, ...] = ()) -> Schema:
        """Return a reference to the definition of a type, made once; `form` tells definitions of one type apart."""
        raise NotImplementedError

    def fields(self, parts: Iterable["Part"], *, closed: bool, tag: tuple[str, str] | None) -> Schema:
        """Return the schema of an object with a property for each field."""
        raise NotImplementedError

    def constrained(self, node: "Node", rule: object) -> Schema:
        """Return the schema of a node with the keywords of a validator or a `msgspec.Meta`."""
        raise NotImplementedError


class Samples(Protocol):
    """The examples for a test that are being made; see `domainkit.testing.strategies`."""

    st: Any  # Any: the module hypothesis.strategies, which is an extra

    def of(self, node: "Node") -> Strategy:
        """Return the strategy of a node."""
        raise NotImplementedError

    def made(self, cls: type, fields: Mapping[str, Strategy]) -> Strategy:
        """Return the strategy for what the constructor makes of these fields, without what it refuses."""
        raise NotImplementedError

    def constrained(self, node: "Node", rule: object) -> Strategy:
        """Return the strategy of a node whose values meet a validator or a `msgspec.Meta`."""
        raise NotImplementedError


class Node:
    """One wire type. A subclass gives the fast way as lines, or overrides `load` and `dump`.

    Args:
        wire: the type that msgspec decodes into.
        expected: the type in words, for problems.
        kinds: the JSON kinds that it reads.
        wire_classes: the exact classes of its decoded wire values; none if they may be any.
        object_classes: the exact classes of its objects.
        levels: how many objects and arrays a wire value has inside one another, at most; a leaf has none.
        same: whether a decoded wire value is the object.
        shape: the wire type without what is inside of it, if they differ: what constraints are about.
    """

    plain: Callable[[object], object] | bool | None = None
    """The check that is left for an object just of its class, which is its own wire value: True for none; None if it
    isn't its own wire value, or that takes more than a condition."""
    measured: str = ""
    """The subject of bounds and lengths: text, base64, number, array, object, or nothing."""

    def __init__(  # noqa: PLR0913  # all that is known of a type
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
        """The exact classes of the decoded wire values; none if they may be any."""
        return self._wire_classes

    def load_lines(self, code: Code, wire: str) -> str:
        """Add the lines that look at the wire value `wire`, and return the expression of its object."""
        return f"{code.name(self.load, 'load')}({wire})"

    def dump_lines(self, code: Code, value: str) -> str:
        """Add the lines that look at the object `value`, and return the expression of its wire value."""
        return f"{code.name(self.dump, 'dump')}({value})"

    @cached_property
    def take(self) -> Function | None:
        """A function in C that does what `dump` does; None if there is none."""
        return None

    @cached_property
    def load(self) -> Function:
        """The fast way from a decoded wire value to the object; it raises Refused, or what a constructor raises."""
        code = Code()
        code.add(f"return {self.load_lines(code, 'wire')}")
        return code.function("load", "wire", about=self.expected)

    @cached_property
    def dump(self) -> Function:
        """The fast way from an object to its wire value, or Refused."""
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
        """Note that something else was found."""
        return problems.add(path, self.expected, "type")


@frozen
class Part:
    """A field of the class, as it stands on the wire.

    Args:
        attribute: the field, as attrs describes it.
        node: the wire type of its values.
    """

    attribute: "attrs.Attribute[Any]"
    node: Node

    @property
    def slot(self) -> str:
        """The name in the struct: one that neither a keyword nor a method of structs has."""
        return f"f_{self.attribute.name}"

    @property
    def key(self) -> str:
        """The name on the wire: what the constructor calls the field."""
        return self.attribute.alias or self.attribute.name

    @property
    def required(self) -> bool:
        """True if decoding fails without the key."""
        declared = self.attribute.metadata.get(ON_THE_WIRE) == REQUIRED
        return declared or self.attribute.default is attrs.NOTHING or takes_self(self.attribute)

    def default_for(self, cls: type) -> Callable[[], object]:
        """Return a function that makes the default of the field, read-only in a model class."""
        kept: Function = frozen_copy if issubclass(cls, Frozen) else lambda value: value
        default = self.attribute.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, though the stubs call it a function
            factory: Callable[[], object] = default.factory  # type: ignore[union-attr]  # as above
            return lambda: kept(factory())
        made = kept(default)
        return lambda: made


def refuse_unless(code: Code, condition: str) -> None:
    """Add the lines that refuse a value for which the condition is false."""
    code.add(f"if not ({condition}):", f"    raise {code.name(Refused, 'Refused')}")


ANY_KIND = frozenset({"null", "bool", "int", "float", "str", "array", "object"})


class ByHand(Node):
    """A node that has no fast way of its own: any JSON, looked at by the way that explains."""

    @property
    def wire(self) -> Any:
        """Any JSON."""
        return Any

    def load_lines(self, code: Code, wire: str) -> str:
        return Node.load_lines(self, code, wire)  # also beside another base

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
