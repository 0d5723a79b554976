"""What the functions that are generated for a class are made from: its fields on the wire, and lines of source."""

from typing import Any

import attrs
import msgspec
from attrs import frozen

from domainkit._model.constructors import takes_self
from domainkit._model.immutability import ON_THE_WIRE, REQUIRED
from domainkit._model.validators import named
from domainkit.conversion.nodes import Function, Node, Refused
from domainkit.conversion.scalars import GUARD_NAMES, load_decimal, new_decimal

Struct = type[msgspec.Struct]


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
        """Whether decoding fails where the key is absent."""
        declared = self.attribute.metadata.get(ON_THE_WIRE) == REQUIRED
        return declared or self.attribute.default is attrs.NOTHING or takes_self(self.attribute)


class ClassNode(Node):
    """The node of an attrs class, as far as generated functions look at it.

    Attributes:
        cls: the class.
        struct: the struct of its wire form.
        parts: its fields; none while the node is not complete.
        fast_dump: what `dump` calls, once the node is complete.
    """

    cls: type
    struct: Struct
    parts: tuple[Part, ...] = ()
    fast_dump: Function


_MOST_NAMES = 200
"""How many names a function may have before it calls those of the classes inside, and no longer takes them in."""


class Source:
    """The lines of a function to generate, and the objects that they name."""

    def __init__(self, cls: type) -> None:
        self.lines: list[str] = []
        self.names: dict[str, object] = {
            **GUARD_NAMES, "new": object.__new__, "decimal": new_decimal,
            "load_decimal": load_decimal, "Refused": Refused, "UNSET": msgspec.UNSET,
        }  # fmt: skip  # one table
        self.cls = cls

    def takes_in(self, node: Node) -> bool:
        """Tell whether the lines of this class node may stand in this function."""
        return isinstance(node, ClassNode) and bool(node.parts) and len(self.names) < _MOST_NAMES

    def variable(self, stem: str) -> str:
        """Return a variable that nothing else in the function is called."""
        return self.name(None, stem)

    def name(self, value: object, stem: str) -> str:
        """Return a name that the function knows `value` by."""
        return named(self.names, value, stem)

    def function(self, name: str, argument: str) -> Function:
        """Compile the lines."""
        text = "\n    ".join([f"def {name}({argument}):", *self.lines])
        exec(compile(text, f"<domainkit {name} {self.cls.__qualname__}>", "exec"), self.names)  # noqa: S102  (source of our own making, as in attrs and dataclasses)
        made: Function = self.names[name]  # type: ignore[assignment]  # the function that the text defines
        return made


def loop(item: str, collection: str, inner: list[str], items: str, kept: str) -> list[str]:
    """Return the lines that do the same with each item of a collection, and keep the results in a list."""
    return [
        f"{items} = []",
        f"for {item} in {collection}:",
        *(f"    {line}" for line in inner),
        f"    {items}.append({kept})",
    ]
