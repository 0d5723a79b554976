"""The node of an attrs class: an object with a key per field, read and written by functions generated for the class."""

from collections.abc import Mapping
from typing import Any, Union

import msgspec

from domainkit.conversion.dumping import generate_dump
from domainkit.conversion.generated import ClassNode
from domainkit.conversion.generated import Part as Part
from domainkit.conversion.loading import generate_load
from domainkit.conversion.nodes import MISSING, Function, Problems


class AttrsNode(ClassNode):
    """A frozen attrs class, as a JSON object; a field with a default may be absent."""

    kinds: frozenset[str] = frozenset({"object"})

    def __init__(
        self,
        cls: type,
        hint: object,
        *,
        forbid_unknown: bool = False,
        exact: bool = True,
        tag: tuple[str, str] | None = None,
    ) -> None:
        self.cls: type = cls
        self.hint: object = hint
        self.expected: str = cls.__qualname__
        self.object_classes: tuple[type, ...] = (cls,)
        self.forbid_unknown = forbid_unknown
        self.exact: bool = exact or forbid_unknown
        self.tag = tag

    def complete(self, parts: tuple[Part, ...], preset: tuple[str, ...] = ()) -> None:
        """Take the parts, and generate the functions.

        `preset` names fields that the caller sets after loading, such as the header of a message.
        """
        required_first = sorted(parts, key=lambda part: not part.required)  # as structs ask
        self.parts: tuple[Part, ...] = tuple(required_first)
        self.levels: float = 1 + max((part.node.levels for part in parts), default=0)
        self.struct: type[msgspec.Struct] = _struct(self)
        self.wire: Any = self.struct
        self.wire_classes: tuple[type, ...] = (self.struct,)
        self.load: Function | None = generate_load(self, preset)
        self.fast_dump: Function = generate_dump(self)

    def dump(self, value: Any) -> Any:
        return self.fast_dump(value)

    def read_fields(self, data: object, path: str, problems: Problems) -> Mapping[str, Any] | None:
        """Return the values by constructor name; None where problems were noted."""
        if not isinstance(data, Mapping):
            self.wrong_type(path, problems)
            return None
        values = {}
        for part in self.parts:
            if part.key in data:
                values[part.key] = part.node.read(data[part.key], f"{path}.{part.key}", problems)
            elif part.required:
                values[part.key] = problems.add(f"{path}.{part.key}", part.node.expected, "missing")
        if self.forbid_unknown and not {*data} <= {*(part.key for part in self.parts), *(self.tag or ())[:1]}:
            problems.add(path, f"the keys of {self.expected} alone", "unknown")
            return None
        return None if any(value is MISSING for value in values.values()) else values

    def read(self, data: object, path: str, problems: Problems) -> Any:
        values = self.read_fields(data, path, problems)
        return MISSING if values is None else self.construct(values, path, problems)

    def construct(self, values: Mapping[str, Any], path: str, problems: Problems) -> Any:
        """Return the object that the constructor makes of `values`; MISSING where it refuses."""
        try:
            return self.cls(**values)
        except Exception as error:  # whatever a validator raises is a refusal of these values
            return problems.add(path, f"a valid {self.expected} ({type(error).__qualname__})", "value")

    def write(self, value: object, path: str, problems: Problems) -> Any:
        if type(value) is not self.cls:
            return problems.add(path, self.expected, "type")
        wires = [
            part.node.write(getattr(value, part.attribute.name), f"{path}.{part.key}", problems) for part in self.parts
        ]
        return MISSING if any(wire is MISSING for wire in wires) else self.struct(*wires)


def _struct(node: AttrsNode) -> type[msgspec.Struct]:
    fields: list[Any] = [
        (part.slot, part.node.wire) if part.required
        else (part.slot, Union[part.node.wire, msgspec.UnsetType], msgspec.UNSET)  # noqa: UP007  (known at run time only)
        for part in node.parts
    ]  # fmt: skip  # a row for each of the two
    tag_field, tag = node.tag or (None, None)
    return msgspec.defstruct(
        node.cls.__name__,
        fields,
        rename={part.slot: part.key for part in node.parts},
        gc=False,
        forbid_unknown_fields=node.exact,
        tag_field=tag_field,
        tag=tag,
        module=__name__,
    )
