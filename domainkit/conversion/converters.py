"""Converters: cattrs with the rules of this library, for builtins that JSON carries."""

from enum import Enum
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import msgspec
from cattrs import Converter

from domainkit.conversion.containers import (
    is_array,
    is_fixed_tuple,
    is_frozenset,
    sorted_list,
    structure_array,
    unstructure_fixed_tuple,
)
from domainkit.conversion.derive import Derivation, is_message
from domainkit.conversion.hooks import Hook, reads_itself, writes_itself
from domainkit.conversion.nodes import MISSING, Node, Problems, json_kind
from domainkit.conversion.objects import ValueObjectSerializer as ValueObjectSerializer
from domainkit.conversion.objects import (
    is_model,
    register_value_objects,
    structure_message,
    structure_model,
    unstructure_message,
    unstructure_model,
)
from domainkit.conversion.scalars import LEAVES
from domainkit.conversion.unions import is_tagged, structure_tagged, unstructure_tagged


def make_converter(*, unwrap_value_objects: bool = True) -> Converter:
    """Return a cattrs converter between domain objects and builtins that JSON carries.

    Value objects are unwrapped at every depth; ids, UUIDs, Decimals, dates, times and durations are text; datetimes are
    RFC 3339 with an offset; bytes are base64; sets are sorted lists; enums are their values; keys are text. Nothing is
    coerced: `"5"` is no int, `1` no bool, and text no array. A hook that you register yourself wins.

    >>> from domainkit import Uuid, ValueObject
    >>> class Title(ValueObject[str]): ...
    >>> converter = make_converter()
    >>> converter.unstructure({"title": Title("Buy milk")}, dict[str, Title])
    {'title': 'Buy milk'}
    >>> converter.structure("Buy milk", Title)
    Title(value='Buy milk')
    >>> make_converter(unwrap_value_objects=False).unstructure(Title("Buy milk"))
    {'value': 'Buy milk'}

    Args:
        unwrap_value_objects: False keeps each value object as `{"value": ...}`, and unwraps only where a field says so:
            `Annotated[Title, ValueObjectSerializer]`, or `ValueObject.serializer("title")` in the class body.
    """
    converter = Converter(use_alias=True)
    configure_converter(converter, unwrap_value_objects=unwrap_value_objects)
    return converter


def configure_converter(converter: Converter, *, unwrap_value_objects: bool = True) -> None:
    """Teach a converter of your own what `make_converter` knows, such as a preconfigured one of cattrs.

    The leaf types become what they are in JSON, in every encoding, so that nothing is lost on the way: cattrs itself
    would give MessagePack a datetime as a float. A hook that you registered for a class, before or after, wins; of
    hooks with a predicate the last one registered wins.

    >>> from cattrs.preconf.json import make_converter as make_json_converter
    >>> from domainkit import Uuid
    >>> converter = make_json_converter()
    >>> configure_converter(converter)
    >>> converter.dumps(Uuid.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"))
    '"a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"'

    Args:
        converter: changed in place.
        unwrap_value_objects: as for `make_converter`.
    """
    _register_leaves(converter)
    converter.register_structure_hook_factory(_is_literal, _read_leaf)
    converter.register_structure_hook_factory(_is_enum, _read_leaf)
    converter.register_unstructure_hook_factory(is_frozenset, sorted_list)
    converter.register_unstructure_hook_factory(is_fixed_tuple, unstructure_fixed_tuple)
    converter.register_structure_hook_factory(is_array, structure_array)
    converter.register_unstructure_hook_factory(is_model, unstructure_model)
    converter.register_structure_hook_factory(is_model, structure_model)
    converter.register_unstructure_hook_factory(is_message, unstructure_message)
    converter.register_structure_hook_factory(is_message, structure_message)
    converter.register_unstructure_hook_factory(is_tagged, unstructure_tagged)
    converter.register_structure_hook_factory(is_tagged, structure_tagged)
    register_value_objects(converter, unwrap=unwrap_value_objects)


def _register_leaves(converter: Converter) -> None:
    # all are asked first, since cattrs takes the hook of a class for its subclasses: that of int for bool
    for cls, reads, writes in [(cls, reads_itself(converter, cls), writes_itself(converter, cls)) for cls in LEAVES]:
        if not reads:
            converter.register_structure_hook(cls, _structure_leaf(cls))
        if not writes:
            converter.register_unstructure_hook(cls, _writing(LEAVES[cls]))


def _structure_leaf(cls: Any) -> Hook:
    """Return the hook of a leaf; cattrs takes it for subclasses too, such as a StrEnum."""
    read = _reading(LEAVES[cls], cls)

    def structure(data: object, hint: Any) -> object:
        if isinstance(hint, type) and issubclass(hint, Enum):
            return _read_leaf(hint, None)(data)
        value, make = read(data), hint
        return value if not isinstance(hint, type) or isinstance(value, hint) else make(value)

    return structure


def _reading(node: Node, cls: type) -> Hook:
    """Return a structure hook that takes what the node reads, or an instance of `cls` that it could write."""

    def structure(data: object, _: object = None) -> object:
        problems = Problems()
        native = type(data) is cls and json_kind(data) not in node.kinds
        value = node.write(data, "$", problems) if native else node.read(data, "$", problems)
        if value is MISSING:
            raise ValueError(f"expected {problems[0].expected}, not this {json_kind(data)}")
        return value

    return structure


def _writing(node: Node) -> Hook:
    def unstructure(value: object) -> object:
        problems = Problems()
        wire = node.write(value, "$", problems)
        if wire is MISSING:
            raise ValueError(f"expected {problems[0].expected}, not this {type(value).__qualname__}")
        return msgspec.to_builtins(wire)

    return unstructure


def _is_literal(hint: object) -> bool:
    return get_origin(hint) is Literal and all(type(option) in (str, int, NoneType) for option in get_args(hint))


def _is_enum(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, Enum)


def _read_leaf(hint: Any, _: object) -> Hook:
    return _reading(Derivation().node(hint, str(hint)), hint)
