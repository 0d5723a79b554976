"""The node of an attrs class: an object with a key for each field."""

from collections.abc import Callable, Container, Mapping
from functools import cached_property
from typing import Any, Union, get_origin

import attrs
import msgspec
from attrs import frozen

from domainkit._model.internals import is_factory
from domainkit._model.mapping import frozen_copy
from domainkit._model.rules import broken_rules
from domainkit._model.wrapper import VALUE
from domainkit._speedups.code import Code, Function
from domainkit._speedups.slots import Slot, add_object, taker
from domainkit.conversion.limits import parsed_to_explain
from domainkit.conversion.making import (
    UNCHANGED,
    add_checks,
    add_unchanged_check,
    is_unchanged,
    needs_constructor,
)
from domainkit.conversion.nodes import MISSING, Node, Part, Problems, Samples, Schema, Schemas, Strategy, refuse_unless
from domainkit.conversion.wrappers import ValueObjectNode, refused_by

_split: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""Splits the JSON of an object into the JSON of each of its keys."""


@frozen(kw_only=True)
class Options:
    """Options of the derivation of nodes.

    Args:
        forbid_unknown: whether an unknown key, which belongs to no field, is a problem.
        exact: whether the structs of the fast path refuse an unknown key even if it is no problem, so that they skip
            no part of the data unchecked.
        keep: whether value objects stay objects with a `value`, as in `make_converter(unwrap_value_objects=False)`.
        lenient: whether to accept types without a wire form, as converters do: lists, and all that cattrs can convert.
        naive_as_utc: whether to read a datetime without an offset as UTC.
        omit_default: whether the slow path leaves out fields that have their default.
        secrets: whether to accept secrets even in fields that aren't marked for plain text.
    """

    forbid_unknown: bool = False
    exact: bool = True
    keep: bool = False
    lenient: bool = False
    naive_as_utc: bool = False
    omit_default: bool = False
    secrets: bool = False


class AttrsNode(Node):
    """An attrs class, as a JSON object; a field with a default may be absent.

    For a class of two fields, one with a default, the generated `load` looks like this (names shortened):

        def load(wire):
            v_sku = wire.f_sku
            made_sku = make_sku(v_sku)
            v_note = wire.f_note
            if v_note is UNSET:
                v_note = default()
            made = make_line(made_sku, v_note)
            return made

    Args:
        cls: the class.
        hint: the class, with its arguments if it is generic.
        options: the options of the derivation.
        tag: the key and the name that distinguish the class from the others of a union.
        preset: fields that the caller of `load` passes, such as the header of a message.
    """

    def __init__(
        self,
        cls: type,
        hint: object,
        options: Options,
        *,
        tag: tuple[str, str] | None = None,
        preset: tuple[str, ...] = (),
    ) -> None:
        super().__init__(None, cls.__qualname__, frozenset({"object"}), object_classes=(cls,))
        self.cls: type = cls
        self.hint: object = hint
        self.options: Options = options
        self.tag: tuple[str, str] | None = tag
        self.preset: tuple[str, ...] = preset

    def complete(self, parts: tuple[Part, ...]) -> None:
        """Set the fields, once they are derived: a field may contain the class itself, and so need this node."""
        self.parts: tuple[Part, ...] = tuple(sorted(parts, key=lambda part: not part.required))  # structs need it
        self._fields = tuple((part.key, part.node, part.required) for part in self.parts)
        self._keys = frozenset(part.key for part in parts)
        self._has_rules = any(part.attribute.validator is not None for part in parts)
        self.levels: float = 1 + max((part.node.levels for part in parts), default=0)

    @cached_property
    def struct(self) -> type[msgspec.Struct]:
        """The struct that msgspec decodes into."""
        fields: list[Any] = [
            (part.slot, part.node.wire) if part.required
            else (part.slot, Union[part.node.wire, msgspec.UnsetType], msgspec.UNSET)  # noqa: UP007  # known at run time only
            for part in self.parts
        ]  # fmt: skip  # a row for each of the two cases
        tag_field, tag = self.tag or (None, None)
        return msgspec.defstruct(
            self.cls.__name__,
            fields,
            rename={part.slot: part.key for part in self.parts},
            gc=False,
            forbid_unknown_fields=self.options.exact or self.options.forbid_unknown,
            tag_field=tag_field,
            tag=tag,
            module=__name__,
        )

    @property
    def wire(self) -> Any:
        """The struct."""
        return self.struct

    @property
    def wire_classes(self) -> tuple[type, ...]:
        """The struct."""
        return (self.struct,)

    @cached_property
    def load(self) -> Function:
        """The fast path from a struct to the object; it takes the values of the preset fields as further arguments."""
        code = Code()
        code.add(f"return {self.object_of(code, 'wire')}")
        return code.function("load", ", ".join(("wire", *self.preset)), about=self.expected)

    def load_lines(self, code: Code, wire: str) -> str:
        return super().load_lines(code, wire) if code.crowded else self.object_of(code, wire)

    def object_of(self, code: Code, wire: str) -> str:
        """Add the lines that make the object from a struct; return the expression for the object."""
        values = {part.attribute.name: self._value(code, part, wire) for part in self.parts}
        fields: list[str] = [attribute.name for attribute in attrs.fields(self.cls)]
        fixed = self._fixed()
        if needs_constructor(self.cls, self.preset) or not {*fields} <= {*values, *self.preset, *fixed}:
            arguments = [f"{part.key}={values[part.attribute.name]}" for part in self.parts]
            arguments += [f"{name}={name}" for name in self.preset]
            return f"{code.name(self.cls, 'cls')}({', '.join(arguments)})"
        values |= {name: code.name(default, "fixed") for name, default in fixed.items()}
        slots = tuple(getattr(self.cls, name) for name in fields)
        made = add_object(code, self.cls, slots, [values.get(name, name) for name in fields])
        for part in self.parts:
            add_checks(code, part.attribute, made, values[part.attribute.name])
        for name in fixed:
            add_checks(code, getattr(attrs.fields(self.cls), name), made, values[name])
        return made

    def _fixed(self) -> dict[str, object]:
        """Return the defaults of the fields that are not on the wire, such as the recorded events of an aggregate."""
        others = {*self.preset, *(part.attribute.name for part in self.parts)}
        left = [field for field in attrs.fields(self.cls) if field.name not in others]
        fixed = [field for field in left if field.default is not attrs.NOTHING and not is_factory(field.default)]
        return {field.name: frozen_copy(field.default) for field in fixed}

    def _value(self, code: Code, part: Part, wire: str) -> str:
        """Add the lines that make the value of a field; return its variable."""
        variable = code.variable("v")
        code.add(f"{variable} = {wire}.{part.slot}")
        if part.required:
            found = part.node.load_lines(code, variable)
            if found.isidentifier():
                return found
            code.add(f"{variable} = {found}")
            return variable
        with code.block(f"if {variable} is {code.name(msgspec.UNSET, 'UNSET')}:"):
            code.add(f"{variable} = {code.name(part.default_for(self.cls), 'default')}()")
        with code.block("else:"):
            found = part.node.load_lines(code, variable)
            if found != variable:
                code.add(f"{variable} = {found}")
        return variable

    @cached_property
    def take(self) -> Function | None:
        """A function in C that does the same as `dump`, if all fields are simple; otherwise None."""
        fields = [field for part in self.parts if (field := _taken(self.cls, part)) is not None]
        return taker(self.cls, fields, self.struct, VALUE) if len(fields) == len(self.parts) else None

    @cached_property
    def dump(self) -> Function:
        """The fast path from an object to its struct; it raises Refused."""
        code = Code()
        code.add(f"return {self.struct_of(code, 'value')}")
        return code.function("dump", "value", about=self.expected)

    def dump_lines(self, code: Code, value: str) -> str:
        return super().dump_lines(code, value) if code.crowded else self.struct_of(code, value)

    def struct_of(self, code: Code, value: str) -> str:
        """Add the lines that check and convert the fields of an object; return the call that makes its struct."""
        if self.take is not None:
            return f"{code.name(self.take, 'take')}({value})"
        refuse_unless(code, f"type({value}) is {code.name(self.cls, 'cls')}")
        arguments = []
        for part in self.parts:
            variable = code.variable("v")
            code.add(f"{variable} = {value}.{part.attribute.name}")
            add_unchanged_check(code, part.attribute, value, variable)
            arguments.append(part.node.dump_lines(code, variable))
        return f"{code.name(self.struct, 'struct')}({', '.join(arguments)})"

    @cached_property
    def _decoders(self) -> tuple[tuple[str, Callable[[msgspec.Raw], Any], Function], ...]:
        return tuple((part.key, msgspec.json.Decoder(part.node.wire).decode, part.node.load) for part in self.parts)

    def read_json(self, data: bytes, path: str, problems: Problems) -> Mapping[str, Any] | None:
        """Do the same as `read_fields` with JSON."""
        if data.startswith(b"{"):
            return self.read_split(_split(data), path, problems)
        builtins = parsed_to_explain(data, problems)
        return None if builtins is MISSING else self.read_fields(builtins, path, problems)

    def read_split(self, found: Mapping[str, msgspec.Raw], path: str, problems: Problems) -> Mapping[str, Any] | None:
        """Do the same as `read_json` with the JSON of each key.

        Only the fields that the fast path refuses take the slow path.
        """
        problems.parsed, before = True, len(problems)
        values: dict[str, Any] = {}
        left: dict[str, object] = {}
        for key, decode, load in self._decoders:
            if key in found:
                try:
                    values[key] = load(decode(found[key]))
                except Exception:  # msgspec's own, or whatever a validator raises
                    left[key] = parsed_to_explain(bytes(found[key]), problems)
                    values[key] = MISSING  # its place is among the others
        if len(problems) > before:
            return None
        self._read_each(left, found, values, path, problems)
        return self._unless_refused(values, found, path, problems, before)

    def read_fields(self, data: object, path: str, problems: Problems) -> Mapping[str, Any] | None:
        """Return the arguments for the constructor by name; None if problems were noted."""
        if not isinstance(data, Mapping):
            self.wrong_type(path, problems)
            return None
        values: dict[str, Any] = {}
        before = len(problems)
        self._read_each(data, data, values, path, problems)
        return self._unless_refused(values, data, path, problems, before)

    def _read_each(
        self,
        data: Mapping[Any, object],
        given: Container[object],
        values: dict[str, Any],
        path: str,
        problems: Problems,
    ) -> None:
        """Read the fields in `data` into `values`, and note those that aren't even `given`."""
        for key, node, required in self._fields:
            found = data.get(key, MISSING)
            if found is not MISSING:
                values[key] = node.read(found, f"{path}.{key}", problems)
            elif required and key not in given:
                problems.add(f"{path}.{key}", node.expected, "missing")

    def _unless_refused(
        self, values: dict[str, Any], given: Mapping[Any, object], path: str, problems: Problems, before: int
    ) -> Mapping[str, Any] | None:
        """Return the values; None, with each broken rule noted, if there are more problems than `before`."""
        if self.options.forbid_unknown and not given.keys() <= self._keys:
            problems.add(path, f"only the keys of {self.expected}", "unknown")
        if len(problems) == before and not (before and problems.full):
            return values
        if self._has_rules:
            self._note_broken_rules({key: one for key, one in values.items() if one is not MISSING}, path, problems)
        return None

    def _note_broken_rules(self, values: Mapping[str, Any], path: str, problems: Problems) -> bool:
        """Note each field whose own validator refuses its value; return True if there is such a field."""
        broken = tuple(broken_rules(self.cls, values)) if self._has_rules else ()
        for field, error in broken:
            refused_by(self.cls, error, tuple(values.values()), f"{path}.{field.alias}", problems)
        return bool(broken)

    def read(self, data: object, path: str, problems: Problems) -> object:
        if problems.native and type(data) is self.cls:
            # in a converter, the hooks of cattrs decide what an object of a plain class may contain
            checked = get_origin(self.hint) is not None or not self.options.lenient
            return MISSING if checked and self.write(data, path, problems) is MISSING else data
        if self.levels == 1 and problems.parsed:
            try:
                return self.load(msgspec.convert(data, self.struct))
            except Exception:  # noqa: S110  # most small objects are valid: only the others take the slow path
                pass
        values = self.read_fields(data, path, problems)
        return MISSING if values is None else self.construct(values, path, problems)

    def construct(self, values: Mapping[str, Any], path: str, problems: Problems) -> Any:
        """Return the object that the constructor makes from `values`; MISSING if the constructor refuses them."""
        try:
            return self.cls(**values)
        except Exception as error:  # whatever a validator raises is a refusal of these values
            if self._note_broken_rules(values, path, problems):
                return MISSING
            return refused_by(self.cls, error, tuple(values.values()), path, problems)

    def write(self, value: object, path: str, problems: Problems) -> object:
        if type(value) is not self.cls:
            return problems.add(path, self.expected, "type")
        made = {}
        for part in self.parts:
            held = getattr(value, part.attribute.name)
            if not (self.options.omit_default and not part.required and held == part.default_for(self.cls)()):
                made[part.key] = part.node.write(held, f"{path}.{part.key}", problems)
                if not is_unchanged(part.attribute, value, held):
                    made[part.key] = problems.add(f"{path}.{part.key}", UNCHANGED, "value")
        return MISSING if any(wire is MISSING for wire in made.values()) else made

    def schema(self, schemas: Schemas) -> Schema:
        return schemas.named(
            self.hint,
            lambda: schemas.fields(self.parts, closed=self.options.forbid_unknown, tag=self.tag),
            self.tag or (),
        )

    def samples(self, samples: Samples) -> Strategy:
        fields = {part.key: samples.constrained(part.node, part.attribute.validator) for part in self.parts}
        return samples.made(self.cls, fields)


def _taken(cls: type, part: Part) -> tuple[Slot, type, Function | bool | None] | None:
    """Return the slot, class and check with which C dumps a field; None if C can't dump it."""
    node, slot = part.node, getattr(cls, part.attribute.name, None)
    inner = node.inner if isinstance(node, ValueObjectNode) else node
    converted = part.attribute.converter is not None
    if isinstance(node, ValueObjectNode):
        converted = converted or node.attribute.converter is not None
    if converted or not isinstance(slot, Slot) or inner.plain is None or (inner is node and inner.plain is not True):
        return None
    return slot, node.object_classes[0], None if inner is node else inner.plain
