"""The function that is generated for a class: from an object to its struct."""

import math
from decimal import Decimal

from domainkit._speedups.slots import COMPILED, Field, Slot, compiled_dumper
from domainkit.conversion.collections import VariadicTupleNode
from domainkit.conversion.generated import ClassNode, Source, loop
from domainkit.conversion.nodes import Function, Leaf, Node, Refused, class_guard
from domainkit.conversion.scalars import DecimalLeaf
from domainkit.conversion.wrappers import ValueObjectNode
from domainkit.values import VALUE


def generate_dump(node: ClassNode) -> Function:
    """Return the function that makes a struct of an object, or raises Refused."""
    compiled = _compiled_dump(node)
    if compiled is not None:
        return compiled
    source = Source(node.cls)
    source.lines.append(f"return {_struct_lines(source, node, 'o', source.lines)}")
    return source.function("dump", "o")


def _compiled_dump(node: ClassNode) -> Function | None:
    """Return what does it in C; None where that is not compiled, or the class may contain itself.

    An object inside itself, a thousand times over, is refused by Python, which counts calls; C would need much stack.
    """
    slots = [getattr(node.cls, part.attribute.name, None) for part in node.parts]
    known = [slot for slot in slots if isinstance(slot, Slot)]
    if not COMPILED or math.isinf(node.levels) or len(known) < len(slots):
        return None
    fields = tuple(_field(node, slot, part.node) for slot, part in zip(known, node.parts, strict=True))
    return compiled_dumper(node.cls, node.struct, fields, VALUE, Refused)


def _field(owner: ClassNode, slot: Slot, node: Node) -> Field:
    wrapper = None
    if isinstance(node, ValueObjectNode):
        if _sure(node):
            return Field(slot, node.cls)
        wrapper, node = node.cls, node.inner
    if type(node) is DecimalLeaf:
        return Field(slot, wrapper, Decimal, Decimal.is_finite)
    if isinstance(node, Leaf) and node.guard == class_guard(node.cls):
        return Field(slot, wrapper, node.cls)
    if isinstance(node, ClassNode) and node.parts:
        return Field(slot, wrapper, dump=node.fast_dump)
    if type(node) is VariadicTupleNode and isinstance(node.item, ClassNode) and node.item.parts:
        return Field(slot, wrapper, tuple, dump=node.item.fast_dump, each=True)
    source = Source(owner.cls)
    source.lines.append(f"return {_wire_value(source, node, 'v', source.lines)}")
    return Field(slot, wrapper, dump=source.function("dump", "v"))


def _struct_lines(source: Source, node: ClassNode, value: str, lines: list[str]) -> str:
    """Add the lines that look at the fields of an object, and return the call that makes its struct."""
    lines += [f"if type({value}) is not {source.name(node.cls, 'cls')}:", "    raise Refused"]
    arguments = []
    for part in node.parts:
        variable = source.variable(f"v_{part.slot}")
        lines.append(f"{variable} = {value}.{part.attribute.name}")
        arguments.append(_wire_value(source, part.node, variable, lines))
    return f"{source.name(node.struct, 'struct')}({', '.join(arguments)})"


def _wire_value(source: Source, node: Node, variable: str, lines: list[str]) -> str:
    """Add the lines that look at an object, and return the expression of its wire value; simple ones need no call."""
    if isinstance(node, ValueObjectNode):
        lines += [f"if type({variable}) is not {source.name(node.cls, 'cls')}:", "    raise Refused"]
        if _sure(node):
            return f"{variable}.value"
        lines.append(f"{variable} = {variable}.value")
        return _wire_value(source, node.inner, variable, lines)
    if node.guard is not None:
        lines += [f"if not ({node.guard.format(v=variable)}):", "    raise Refused"]
        return variable
    if type(node) is VariadicTupleNode:
        items, item = source.variable("items"), source.variable("item")
        inner: list[str] = []
        kept = _wire_value(source, node.item, item, inner)
        lines += [f"if type({variable}) is not tuple:", "    raise Refused"]
        lines += loop(item, variable, inner, items, kept)
        return items
    if isinstance(node, ClassNode) and source.takes_in(node):
        return _struct_lines(source, node, variable, lines)
    return f"{source.name(node.dump, 'dump')}({variable})"


_CHECKED_WHEN_MADE = frozenset({"str", "int", "bool", "UUID", "bytes", "date", "timedelta"})


def _sure(node: ValueObjectNode) -> bool:
    """Tell whether the constructor of the value object has checked all that the encoder does not check itself."""
    return isinstance(node.inner, Leaf) and node.inner.cls.__name__ in _CHECKED_WHEN_MADE
