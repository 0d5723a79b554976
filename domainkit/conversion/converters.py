"""Converters: cattrs with the rules of this library, for builtins that JSON carries."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import attrs
import msgspec
from attrs import frozen
from cattrs import Converter, override
from cattrs.fns import identity
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from domainkit._classes import parameters_of, type_of
from domainkit._frozen import ABSENT, ON_THE_WIRE, REQUIRED, Frozen
from domainkit._types import members
from domainkit.conversion.derive import Derivation
from domainkit.conversion.nodes import LEAVES, MISSING, Node, Problems, json_kind
from domainkit.values import FieldSerializer, ValueObject

Hook = Callable[..., Any]  # a cattrs hook: what it takes and returns is known at run time only


@frozen
class _Serializer:
    """Says that a field's value object is unwrapped, in a converter that keeps the others wrapped."""


ValueObjectSerializer: Final = _Serializer()
"""In `Annotated[Uuid, ValueObjectSerializer]`: unwrap this value object."""


def make_converter(*, unwrap_value_objects: bool = True) -> Converter:
    """Return a cattrs converter between domain objects and builtins that JSON carries.

    Value objects are unwrapped at every depth; ids, UUIDs, Decimals, dates, times and durations are text; datetimes are
    RFC 3339 with an offset; bytes are base64; sets are sorted lists; enums are their values. Nothing is coerced: `"5"` is
    no int, and `1` no bool. A hook that you register yourself wins.

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

    Where the converter writes a leaf type (say, a datetime) in a way of its own already, that way stays.

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
    without_own_way = [cls for cls in LEAVES if converter.get_unstructure_hook(cls) is identity]
    for cls in without_own_way:
        _register_leaf(converter, cls, LEAVES[cls])
    converter.register_structure_hook_factory(_is_literal, _read_leaf)
    converter.register_structure_hook_factory(_is_enum, _read_leaf)
    converter.register_unstructure_hook_factory(_is_frozenset, _sorted_list)
    _register_value_objects(converter, unwrap=unwrap_value_objects)
    converter.register_unstructure_hook_factory(_is_model, _unstructure_model)
    converter.register_structure_hook_factory(_is_model, _structure_model)
    converter.register_unstructure_hook_factory(_is_message, _unstructure_message)
    converter.register_structure_hook_factory(_is_message, _structure_message)


def _register_leaf(converter: Converter, cls: Any, node: Node) -> None:
    converter.register_structure_hook(cls, _reading(node, cls))
    if not isinstance(None, cls):
        converter.register_unstructure_hook(cls, _writing(node))


def _reading(node: Node, cls: type | None = None) -> Hook:
    """Return a structure hook that takes what the node reads, or an instance of `cls`."""

    def structure(data: object, _: object = None) -> object:
        if cls is not None and type(data) is cls:
            return data
        problems = Problems()
        value = node.read(data, "$", problems)
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


def _class_of(hint: object) -> object:
    return get_origin(hint) or hint


def _is_literal(hint: object) -> bool:
    return get_origin(hint) is Literal


def _is_enum(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, Enum)


def _is_frozenset(hint: object) -> bool:
    return get_origin(hint) is frozenset


def _is_value_object(hint: object) -> bool:
    cls = _class_of(hint)
    return isinstance(cls, type) and issubclass(cls, ValueObject)


def _is_unwrapped(hint: object) -> bool:
    return get_origin(hint) is Annotated and any(part is ValueObjectSerializer for part in get_args(hint)[1:])


def _is_model(hint: object) -> bool:
    cls = _class_of(hint)
    if not (isinstance(cls, type) and attrs.has(cls)) or _is_value_object(hint):
        return False
    return issubclass(cls, Frozen) or any(_serializers(cls))


def _is_message(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, Frozen) and hasattr(cls, "from_dict") and hasattr(cls, "dict")


def _is_mixed_union(hint: object) -> bool:
    found = members(hint)
    return sum(member is not type(None) for member in found) > 1 and any(map(_is_value_object, found))


def _register_value_objects(converter: Converter, *, unwrap: bool) -> None:
    converter.register_unstructure_hook_factory(_is_value_object, _value_of if unwrap else _object_of)
    converter.register_structure_hook_factory(_is_value_object, _from_value if unwrap else _from_object)
    converter.register_structure_hook_factory(
        _is_mixed_union, lambda hint, converter: _structure_union(hint, converter, unwrap=unwrap)
    )
    converter.register_unstructure_hook_factory(_is_unwrapped, _unstructure_unwrapped)
    converter.register_structure_hook_factory(_is_unwrapped, _structure_unwrapped)
    if not unwrap:
        converter.register_unstructure_hook_factory(_has_value_object_keys, _unstructure_keyed)
        converter.register_structure_hook_factory(_has_value_object_keys, _structure_keyed)


# The hook factories: cattrs calls each once for a type, with the converter that the hook is for.


def _read_leaf(hint: Any, _: Converter) -> Hook:
    return _reading(Derivation().node(hint, str(hint)))


def _sorted_list(hint: Any, converter: Converter) -> Hook:
    (item,) = get_args(hint)
    unstructure = converter.get_unstructure_hook(item)
    return lambda value: sorted([unstructure(entry) for entry in value], key=msgspec.json.encode)


def _inner_of(hint: Any) -> Any:
    cls: Any = _class_of(hint)
    return type_of(cls, "value", dict(zip(parameters_of(cls), get_args(hint), strict=False)))


def _value_of(hint: Any, converter: Converter) -> Hook:
    unstructure = converter.get_unstructure_hook(_inner_of(hint))
    return lambda value_object: unstructure(value_object.value)


def _from_value(hint: Any, converter: Converter) -> Hook:
    cls, inner = _class_of(hint), _inner_of(hint)
    make: Hook = cls  # type: ignore[assignment]  # a class of value objects
    structure = converter.get_structure_hook(inner)
    return lambda data, _: make(structure(data, inner))


def _object_of(hint: Any, converter: Converter) -> Hook:
    unstructure = converter.get_unstructure_hook(_inner_of(hint))
    return lambda value_object: {"value": unstructure(value_object.value)}


def _from_object(hint: Any, converter: Converter) -> Hook:
    make = _from_value(hint, converter)

    def structure(data: object, _: object) -> object:
        if not isinstance(data, Mapping) or "value" not in data:
            raise ValueError(f'expected {{"value": ...}} for {_class_of(hint)}, not this {json_kind(data)}')
        return make(data["value"], hint)

    return structure


def _unwrapping(converter: Converter) -> Converter:
    """Return the converter for what is inside of `Annotated[..., ValueObjectSerializer]`."""
    made = converter.copy()
    _register_value_objects(made, unwrap=True)
    return made


def _unstructure_unwrapped(hint: Any, converter: Converter) -> Hook:
    return _unwrapping(converter).get_unstructure_hook(get_args(hint)[0])


def _structure_unwrapped(hint: Any, converter: Converter) -> Hook:
    inner = get_args(hint)[0]
    structure = _unwrapping(converter).get_structure_hook(inner)
    return lambda data, _: structure(data, inner)


def _structure_union(hint: Any, converter: Converter, *, unwrap: bool) -> Hook:
    """Return a hook that chooses the member by the JSON kind of the data; a union where that can't be told is refused."""
    derivation = Derivation()
    derivation.node(hint, str(hint))
    found = [(derivation.node(member, str(member)), member) for member in members(hint)]
    by_kind = {kind: (converter.get_structure_hook(member), member) for node, member in found for kind in node.kinds}

    def structure(data: object, _: object) -> object:
        wrapped = not unwrap and isinstance(data, Mapping) and data.keys() == {"value"}
        chosen = by_kind.get(json_kind(data["value"] if wrapped else data))  # type: ignore[index]  # a mapping, then
        if chosen is None:
            raise ValueError(f"expected {hint}, not this {json_kind(data)}")
        return chosen[0](data, chosen[1])

    return structure


def _has_value_object_keys(hint: object) -> bool:
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Mapping) and _is_value_object(get_args(hint)[0])


def _unstructure_keyed(hint: Any, converter: Converter) -> Hook:
    """Return a hook that unwraps the keys: JSON has text keys only."""
    key, item = get_args(hint)
    unstructure_key = _unwrapping(converter).get_unstructure_hook(key)
    unstructure = converter.get_unstructure_hook(item)
    return lambda value: {unstructure_key(name): unstructure(entry) for name, entry in value.items()}


def _structure_keyed(hint: Any, converter: Converter) -> Hook:
    key, item = get_args(hint)
    structure_key = _unwrapping(converter).get_structure_hook(key)
    structure = converter.get_structure_hook(item)
    return lambda data, _: {structure_key(name, key): structure(entry, item) for name, entry in data.items()}


def _serializers(cls: type) -> dict[str, FieldSerializer]:
    found = [value for base in cls.__mro__ for value in vars(base).values() if isinstance(value, FieldSerializer)]
    return {serializer.field_name: serializer for serializer in found}


def _overrides(hint: Any, converter: Converter, *, structure: bool) -> dict[str, Any]:
    cls: Any = _class_of(hint)
    arguments = dict(zip(parameters_of(cls), get_args(hint), strict=False))
    made = {
        attribute.name: override(omit=True)
        for attribute in attrs.fields(cls)
        if attribute.metadata.get(ON_THE_WIRE) == ABSENT
    }
    for name in _serializers(cls):
        unwrapped = Annotated[type_of(cls, name, arguments), ValueObjectSerializer]  # type: ignore[valid-type]  # built at run time
        hook = (_structure_unwrapped if structure else _unstructure_unwrapped)(unwrapped, converter)
        made[name] = override(struct_hook=hook) if structure else override(unstruct_hook=hook)
    return made


def _unstructure_model(hint: Any, converter: Converter) -> Hook:
    overrides = _overrides(hint, converter, structure=False)
    return make_dict_unstructure_fn(hint, converter, _cattrs_use_alias=True, **overrides)


def _structure_model(hint: Any, converter: Converter) -> Hook:
    overrides = _overrides(hint, converter, structure=True)
    made: Hook = make_dict_structure_fn(hint, converter, _cattrs_use_alias=True, **overrides)
    cls: Any = _class_of(hint)
    required = [attribute.alias for attribute in attrs.fields(cls) if attribute.metadata.get(ON_THE_WIRE) == REQUIRED]
    if not required:
        return made

    def structure(data: Mapping[str, object], _: object) -> object:
        for key in required:
            if key not in data:
                raise KeyError(f"{cls.__qualname__}: {key!r} is missing, and is never invented")
        return made(data, hint)

    return structure


def _unstructure_message(_: Any, __: Converter) -> Hook:
    return lambda message: message.dict()


def _structure_message(cls: Any, _: Converter) -> Hook:
    return lambda data, _: cls.from_dict(data)
