"""The function that is generated for a class: from its struct to the object."""

from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

import attrs

from domainkit._model.constructors import HOOKS, takes_self
from domainkit._model.immutability import Frozen
from domainkit._model.mapping import frozen_copy
from domainkit._model.validators import condition, flattened
from domainkit._speedups.slots import Slot, compiled_maker
from domainkit.conversion.collections import VariadicTupleNode
from domainkit.conversion.generated import ClassNode, Part, Source, loop
from domainkit.conversion.nodes import Function, Node
from domainkit.conversion.scalars import DecimalLeaf
from domainkit.conversion.wrappers import ValueObjectNode
from domainkit.values import VALUE, ValueObject

_MORE_THAN_SLOTS = (*HOOKS, "__attrs_init__", "_attrs_cached_hash")
"""What a class has whose constructor does more than set its slots: hooks, a constructor of its own, a cached hash."""


def generate_load(node: ClassNode, preset: tuple[str, ...]) -> Function:
    """Return the function that makes an object of a struct; it takes the values of the preset fields as well."""
    source = Source(node.cls)
    if _slots_suffice(node.cls, node.parts, preset):
        source.lines += [*_object_lines(source, node, "w", "o"), "return o"]
    else:
        values = _value_lines(source, node, "w", source.lines)
        _call_constructor(source, node, values, preset)
    return source.function("load", "w, " + ", ".join(preset) if preset else "w")


def _value_lines(source: Source, node: ClassNode, wire: str, lines: list[str]) -> list[str]:
    """Add the lines that make the values of the fields, and return the variables that hold them."""
    variables = []
    for part in node.parts:
        variable = source.variable(f"v_{part.slot}")
        variables.append(variable)
        lines.append(f"{variable} = {wire}.{part.slot}")
        indent = ""
        if not part.required:
            default = source.name(_default_of(node.cls, part.attribute), "default")
            lines += [f"if {variable} is UNSET:", f"    {variable} = {default}()", "else:"]
            indent = "    "
        lines += [indent + line for line in _load_lines(source, part.node, variable) or ["pass"]]
    return variables


def _object_lines(source: Source, node: ClassNode, wire: str, made: str) -> list[str]:
    """Return the lines that make the object of a struct by setting its slots."""
    lines: list[str] = []
    values = _value_lines(source, node, wire, lines)
    variables = {part.attribute.name: value for part, value in zip(node.parts, values, strict=True)}
    fields = attrs.fields(node.cls)
    slots = tuple(getattr(node.cls, attribute.name) for attribute in fields)
    given = [variables.get(attribute.name) or attribute.name for attribute in fields]  # or one of the preset
    lines += _making_lines(source, node.cls, slots, given, made)
    for attribute in fields:
        if attribute.name in variables:
            lines += _check_lines(source, attribute, made, variables[attribute.name])
    return lines


def _making_lines(source: Source, cls: type, slots: tuple[Slot, ...], given: list[str], made: str) -> list[str]:
    """Return the lines that make an object of these values, past its constructor."""
    compiled: Function | None = compiled_maker(cls, slots)
    if compiled is not None:
        return [f"{made} = {source.name(compiled, 'make')}({', '.join(given)})"]
    lines = [f"{made} = new({source.name(cls, 'cls')})"]
    return lines + [
        f"{source.name(slot.__set__, 'set')}({made}, {value})" for slot, value in zip(slots, given, strict=True)
    ]


def _default_of(cls: type, attribute: "attrs.Attribute[Any]") -> Callable[[], object]:
    default = attribute.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, though the stubs call it a function
        factory: Callable[[], object] = default.factory  # type: ignore[union-attr]  # as above
        return (lambda: frozen_copy(factory())) if issubclass(cls, Frozen) else factory
    kept = frozen_copy(default) if issubclass(cls, Frozen) else default
    return lambda: kept


def _load_lines(source: Source, node: Node, variable: str) -> list[str]:
    """Return the lines that put the object in the place of its wire value; what is simple needs no call."""
    if node.load is None:
        return []
    if isinstance(node, ValueObjectNode) and _is_plain(node.cls):
        return _make_value_object(source, node, variable)
    if type(node) is DecimalLeaf:
        return _decimal_lines(source, variable)
    if type(node) is VariadicTupleNode:
        items, item = source.variable("items"), source.variable("item")
        inner = _load_lines(source, node.item, item)
        return [*loop(item, variable, inner, items, item), f"{variable} = tuple({items})"]
    if isinstance(node, ClassNode) and source.takes_in(node) and _slots_suffice(node.cls, node.parts, ()):
        made = source.variable("made")
        return [*_object_lines(source, node, variable, made), f"{variable} = {made}"]
    return [f"{variable} = {source.name(node.load, 'load')}({variable})"]


def _decimal_lines(source: Source, variable: str) -> list[str]:
    text = source.variable("text")
    return [
        f"{text} = {variable}",
        f"{variable} = decimal({text})",
        f"if str({variable}) != {text} or not {variable}.is_finite():",
        f"    {variable} = load_decimal({text})",
    ]


def _is_plain(cls: type[ValueObject[Any]]) -> bool:
    """Tell whether setting the slot and running the validator is all that the constructor does."""
    attribute = attrs.fields(cls).value
    hooked = any(hasattr(cls, hook) for hook in HOOKS)
    return attribute.converter is None and not hooked


def _make_value_object(source: Source, node: ValueObjectNode, variable: str) -> list[str]:
    inner = f"{variable}_inner"
    lines = [*_load_lines(source, node.inner, variable), f"{inner} = {variable}"]
    lines += _making_lines(source, node.cls, (VALUE,), [inner], variable)
    attribute = attrs.fields(node.cls).value
    return lines + _check_lines(source, attribute, variable, inner)


def _check_lines(source: Source, attribute: "attrs.Attribute[Any]", instance: str, value: str) -> list[str]:
    """Return the lines that run the validators of a field; they raise where one refuses the value."""
    lines: list[str] = []
    for validator in flattened(attribute.validator):
        plain = condition(validator, value, source.name)
        if plain is None:
            check, field = source.name(validator, "check"), source.name(attribute, "field")
            lines.append(f"{check}({instance}, {field}, {value})")
        else:
            lines += [f"if not ({plain}):", "    raise Refused"]
    return lines


def _slots_suffice(cls: type, parts: tuple[Part, ...], preset: tuple[str, ...]) -> bool:
    """Tell whether the object can be made by setting its slots: as attrs' own constructor would, without the call."""
    known = {part.attribute.name for part in parts} | set(preset)
    own_new = any("__new__" in base.__dict__ for base in cls.__mro__[:-1])  # exceptions have one
    more = own_new or _has_own_init(cls) or any(hasattr(cls, name) for name in _MORE_THAN_SLOTS)
    return not more and all(
        attribute.name in known
        and attribute.converter is None
        and not takes_self(attribute)
        and isinstance(getattr(cls, attribute.name, None), MemberDescriptorType)
        for attribute in attrs.fields(cls)
    )


def _has_own_init(cls: type) -> bool:
    """Tell whether the constructor stands in a class that attrs has not seen."""
    owner = next(base for base in cls.__mro__ if "__init__" in base.__dict__)
    return "__attrs_attrs__" not in owner.__dict__


def _call_constructor(source: Source, node: ClassNode, values: list[str], preset: tuple[str, ...]) -> None:
    arguments = [f"{part.key}={value}" for part, value in zip(node.parts, values, strict=True)]
    arguments += [f"{name}={name}" for name in preset]
    source.lines.append(f"return {source.name(node.cls, 'cls')}({', '.join(arguments)})")
