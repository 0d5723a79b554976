"""The functions that are generated for a class: from its struct to the object, and back."""

from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

import attrs
import msgspec
from attrs import frozen

from domainkit._frozen import ON_THE_WIRE, REQUIRED, Frozen
from domainkit._mapping import frozen_copy
from domainkit._validators import condition, flattened
from domainkit.conversion._composites import VariadicTupleNode
from domainkit.conversion._leaves import GUARD_NAMES, DecimalLeaf, load_decimal, new_decimal
from domainkit.conversion._nodes import Function, Leaf, Node, Refused
from domainkit.conversion._wrappers import ValueObjectNode
from domainkit.values import ValueObject

Struct = type[msgspec.Struct]

_HOOKS = ("__attrs_pre_init__", "__attrs_post_init__")
_MORE_THAN_SLOTS = (*_HOOKS, "__attrs_init__", "_attrs_cached_hash")
"""What a class has whose constructor does more than set its slots: hooks, a constructor of its own, a cached hash."""
_new = object.__new__
_set_value: Function = ValueObject.__dict__["value"].__set__


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
        return declared or self.attribute.default is attrs.NOTHING or _takes_self(self.attribute)


class ClassNode(Node):
    """The node of an attrs class, as far as generated functions look at it.

    Attributes:
        cls: the class.
        struct: the struct of its wire form.
        parts: its fields; none while the node is not complete.
    """

    cls: type
    struct: Struct
    parts: tuple[Part, ...] = ()


_MOST_NAMES = 200
"""How many names a function may have before it calls those of the classes inside, and no longer takes them in."""


class _Source:
    """The lines of a function to generate, and the objects that they name."""

    def __init__(self, cls: type) -> None:
        self.lines: list[str] = []
        self.names: dict[str, object] = {
            **GUARD_NAMES, "new": _new, "set_value": _set_value, "decimal": new_decimal,
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
        name = f"{stem}_{len(self.names)}"
        self.names[name] = value
        return name

    def function(self, name: str, argument: str) -> Function:
        """Compile the lines."""
        text = "\n    ".join([f"def {name}({argument}):", *self.lines])
        exec(compile(text, f"<domainkit {name} {self.cls.__qualname__}>", "exec"), self.names)  # noqa: S102  (source of our own making, as in attrs and dataclasses)
        made: Function = self.names[name]  # type: ignore[assignment]  # the function that the text defines
        return made


def generate_load(node: ClassNode, preset: tuple[str, ...]) -> Function:
    """Return the function that makes an object of a struct; it takes the values of the preset fields as well."""
    source = _Source(node.cls)
    if _slots_suffice(node.cls, node.parts, preset):
        source.lines += [*_object_lines(source, node, "w", "o"), "return o"]
    else:
        values = _value_lines(source, node, "w", source.lines)
        _call_constructor(source, node, values, preset)
    return source.function("load", "w, " + ", ".join(preset) if preset else "w")


def _value_lines(source: _Source, node: ClassNode, wire: str, lines: list[str]) -> list[str]:
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


def _object_lines(source: _Source, node: ClassNode, wire: str, made: str) -> list[str]:
    """Return the lines that make the object of a struct by setting its slots."""
    lines: list[str] = []
    values = _value_lines(source, node, wire, lines)
    variables = {part.attribute.name: value for part, value in zip(node.parts, values, strict=True)}
    lines.append(f"{made} = new({source.name(node.cls, 'cls')})")
    fields = attrs.fields(node.cls)
    for attribute in fields:
        setter = source.name(getattr(node.cls, attribute.name).__set__, "set")
        lines.append(f"{setter}({made}, {variables.get(attribute.name, attribute.name)})")
    for attribute in fields:
        if attribute.name in variables:
            lines += _check_lines(source, attribute, made, variables[attribute.name])
    return lines


def _default_of(cls: type, attribute: "attrs.Attribute[Any]") -> Callable[[], object]:
    default = attribute.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, though the stubs call it a function
        factory: Callable[[], object] = default.factory  # type: ignore[union-attr]  # as above
        return (lambda: frozen_copy(factory())) if issubclass(cls, Frozen) else factory
    kept = frozen_copy(default) if issubclass(cls, Frozen) else default
    return lambda: kept


def _load_lines(source: _Source, node: Node, variable: str) -> list[str]:
    """Return the lines that put the object in the place of its wire value; what is simple needs no call."""
    if node.load is None:
        return []
    if isinstance(node, ValueObjectNode) and is_plain(node.cls):
        return _make_value_object(source, node, variable)
    if type(node) is DecimalLeaf:
        return _decimal_lines(source, variable)
    if type(node) is VariadicTupleNode:
        items, item = source.variable("items"), source.variable("item")
        inner = _load_lines(source, node.item, item)
        return [*_loop(item, variable, inner, items, item), f"{variable} = tuple({items})"]
    if isinstance(node, ClassNode) and source.takes_in(node) and _slots_suffice(node.cls, node.parts, ()):
        made = source.variable("made")
        return [*_object_lines(source, node, variable, made), f"{variable} = {made}"]
    return [f"{variable} = {source.name(node.load, 'load')}({variable})"]


def _decimal_lines(source: _Source, variable: str) -> list[str]:
    text = source.variable("text")
    return [
        f"{text} = {variable}",
        f"{variable} = decimal({text})",
        f"if str({variable}) != {text} or not {variable}.is_finite():",
        f"    {variable} = load_decimal({text})",
    ]


def _loop(item: str, collection: str, inner: list[str], items: str, kept: str) -> list[str]:
    """Return the lines that do the same with each item of a collection, and keep the results in a list."""
    return [
        f"{items} = []",
        f"for {item} in {collection}:",
        *(f"    {line}" for line in inner),
        f"    {items}.append({kept})",
    ]


def is_plain(cls: type[ValueObject[Any]]) -> bool:
    """Tell whether setting the slot and running the validator is all that the constructor does."""
    attribute = attrs.fields(cls).value
    hooked = any(hasattr(cls, hook) for hook in _HOOKS)
    return attribute.converter is None and not hooked


def _make_value_object(source: _Source, node: ValueObjectNode, variable: str) -> list[str]:
    inner, cls = f"{variable}_inner", source.name(node.cls, "cls")
    lines = [*_load_lines(source, node.inner, variable), f"{inner} = {variable}"]
    lines += [f"{variable} = new({cls})", f"set_value({variable}, {inner})"]
    attribute = attrs.fields(node.cls).value
    return lines + _check_lines(source, attribute, variable, inner)


def _check_lines(source: _Source, attribute: "attrs.Attribute[Any]", instance: str, value: str) -> list[str]:
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
        and not _takes_self(attribute)
        and isinstance(getattr(cls, attribute.name, None), MemberDescriptorType)
        for attribute in attrs.fields(cls)
    )


def _has_own_init(cls: type) -> bool:
    """Tell whether the constructor stands in a class that attrs has not seen."""
    owner = next(base for base in cls.__mro__ if "__init__" in base.__dict__)
    return "__attrs_attrs__" not in owner.__dict__


def _takes_self(attribute: "attrs.Attribute[Any]") -> bool:
    return bool(getattr(attribute.default, "takes_self", False))


def _call_constructor(source: _Source, node: ClassNode, values: list[str], preset: tuple[str, ...]) -> None:
    arguments = [f"{part.key}={value}" for part, value in zip(node.parts, values, strict=True)]
    arguments += [f"{name}={name}" for name in preset]
    source.lines.append(f"return {source.name(node.cls, 'cls')}({', '.join(arguments)})")


def generate_dump(node: ClassNode) -> Function:
    """Return the function that makes a struct of an object, or raises Refused."""
    source = _Source(node.cls)
    source.lines.append(f"return {_struct_lines(source, node, 'o', source.lines)}")
    return source.function("dump", "o")


def _struct_lines(source: _Source, node: ClassNode, value: str, lines: list[str]) -> str:
    """Add the lines that look at the fields of an object, and return the call that makes its struct."""
    lines += [f"if type({value}) is not {source.name(node.cls, 'cls')}:", "    raise Refused"]
    arguments = []
    for part in node.parts:
        variable = source.variable(f"v_{part.slot}")
        lines.append(f"{variable} = {value}.{part.attribute.name}")
        arguments.append(_wire_value(source, part.node, variable, lines))
    return f"{source.name(node.struct, 'struct')}({', '.join(arguments)})"


def _wire_value(source: _Source, node: Node, variable: str, lines: list[str]) -> str:
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
        lines += _loop(item, variable, inner, items, kept)
        return items
    if isinstance(node, ClassNode) and source.takes_in(node):
        return _struct_lines(source, node, variable, lines)
    return f"{source.name(node.dump, 'dump')}({variable})"


_CHECKED_WHEN_MADE = frozenset({"str", "int", "bool", "UUID", "bytes", "date", "timedelta"})


def _sure(node: ValueObjectNode) -> bool:
    """Tell whether the constructor of the value object has checked all that the encoder does not check itself."""
    return isinstance(node.inner, Leaf) and node.inner.cls.__name__ in _CHECKED_WHEN_MADE
