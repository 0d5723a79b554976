"""The cattrs hooks of classes: value objects, aggregates and other models, messages."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

import attrs
from attrs import frozen
from cattrs import Converter, override
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from domainkit._model.annotations import UnresolvedAnnotationError, parameters_of, type_of
from domainkit._model.immutability import ABSENT, ON_THE_WIRE, REQUIRED, Frozen
from domainkit.conversion.containers import is_mapping, structure_mapping, unstructure_mapping
from domainkit.conversion.hooks import Hook, copied, has_own_union
from domainkit.conversion.nodes import json_kind
from domainkit.conversion.unions import is_union, is_value_object, structure_union, unstructure_union
from domainkit.values import FieldSerializer


@frozen
class _Serializer:
    """Says that a field's value object is unwrapped, in a converter that keeps the others wrapped."""


ValueObjectSerializer: Final = _Serializer()
"""In `Annotated[Uuid, ValueObjectSerializer]`: unwrap this value object."""


def register_value_objects(converter: Converter, *, unwrap: bool) -> None:
    """Register the hooks of value objects, and those that differ with the way in which value objects are written."""
    converter.register_unstructure_hook_factory(is_value_object, _value_of if unwrap else _object_of)
    converter.register_structure_hook_factory(is_value_object, _from_value if unwrap else _from_object)
    converter.register_unstructure_hook_factory(is_union, unstructure_union)
    converter.register_structure_hook_factory(
        lambda hint: is_union(hint) and not has_own_union(converter, hint),
        lambda hint, converter: structure_union(hint, converter, unwrap=unwrap),
    )
    keys = _as_it_is if unwrap else _unwrapping
    converter.register_unstructure_hook_factory(
        is_mapping, lambda hint, converter: unstructure_mapping(hint, converter, keys)
    )
    converter.register_structure_hook_factory(
        is_mapping, lambda hint, converter: structure_mapping(hint, converter, keys)
    )
    converter.register_unstructure_hook_factory(_is_unwrapped, _unstructure_unwrapped)
    converter.register_structure_hook_factory(_is_unwrapped, _structure_unwrapped)


def _as_it_is(converter: Converter) -> Converter:
    return converter


def _unwrapping(converter: Converter) -> Converter:
    """Return the converter for keys, and for what is inside of `Annotated[..., ValueObjectSerializer]`."""
    made = copied(converter)
    register_value_objects(made, unwrap=True)
    return made


def _class_of(hint: Any) -> Any:
    return get_origin(hint) or hint


def _is_unwrapped(hint: object) -> bool:
    return get_origin(hint) is Annotated and any(part is ValueObjectSerializer for part in get_args(hint)[1:])


# The hook factories: cattrs calls each once for a type, with the converter that the hook is for.


def _inner_of(hint: Any) -> Any:
    cls = _class_of(hint)
    return type_of(cls, "value", dict(zip(parameters_of(cls), get_args(hint), strict=False)))


def _writer_of(hint: Any, converter: Converter) -> Hook:
    """Return the hook for what the value object wraps; of a generic one without argument, by the class of the value."""
    inner = _inner_of(hint)
    return converter.unstructure if isinstance(inner, TypeVar) else converter.get_unstructure_hook(inner)


def _value_of(hint: Any, converter: Converter) -> Hook:
    unstructure = _writer_of(hint, converter)
    return lambda value_object: unstructure(value_object.value)


def _from_value(hint: Any, converter: Converter) -> Hook:
    make, inner = _class_of(hint), _inner_of(hint)
    structure = converter.get_structure_hook(inner)
    return lambda data, _: make(structure(data, inner))


def _object_of(hint: Any, converter: Converter) -> Hook:
    unstructure = _writer_of(hint, converter)
    return lambda value_object: {"value": unstructure(value_object.value)}


def _from_object(hint: Any, converter: Converter) -> Hook:
    make = _from_value(hint, converter)

    def structure(data: object, _: object) -> object:
        if not isinstance(data, Mapping) or "value" not in data:
            raise ValueError(f'expected {{"value": ...}} for {_class_of(hint)}, not this {json_kind(data)}')
        return make(data["value"], hint)

    return structure


def _unstructure_unwrapped(hint: Any, converter: Converter) -> Hook:
    return _unwrapping(converter).get_unstructure_hook(get_args(hint)[0])


def _structure_unwrapped(hint: Any, converter: Converter) -> Hook:
    inner = get_args(hint)[0]
    structure = _unwrapping(converter).get_structure_hook(inner)
    return lambda data, _: structure(data, inner)


def is_model(hint: object) -> bool:
    """Tell whether the type is a class of attrs that cattrs alone would not write as this library does."""
    cls = _class_of(hint)
    if not (isinstance(cls, type) and attrs.has(cls)) or is_value_object(hint):
        return False
    _resolve(cls)
    generic = hint is not cls  # a preconfigured converter skips the arguments
    return generic or issubclass(cls, Frozen) or any(_serializers(cls))


def _resolve(cls: type) -> None:
    """Let attrs know the types of the fields, as `attrs.resolve_types` does; cattrs looks for names no deeper."""
    for attribute in attrs.fields(cls):
        try:
            object.__setattr__(attribute, "type", type_of(cls, attribute.name))
        except UnresolvedAnnotationError:
            continue


def _serializers(cls: type) -> dict[str, FieldSerializer]:
    found = [value for base in cls.__mro__ for value in vars(base).values() if isinstance(value, FieldSerializer)]
    return {serializer.field_name: serializer for serializer in found}


def _overrides(hint: Any, converter: Converter, *, structure: bool) -> dict[str, Any]:
    cls = _class_of(hint)
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


def _by_alias(hint: Any, converter: Converter) -> bool:
    """Tell whether keys are what the constructor calls the fields: in the models of this library always."""
    return converter.use_alias or issubclass(get_origin(hint) or hint, Frozen)


def unstructure_model(hint: Any, converter: Converter) -> Hook:
    """Return the hook that writes an aggregate or another model, without what does not stand on the wire."""
    overrides = _overrides(hint, converter, structure=False)
    return make_dict_unstructure_fn(hint, converter, _cattrs_use_alias=_by_alias(hint, converter), **overrides)


def structure_model(hint: Any, converter: Converter) -> Hook:
    """Return the hook that reads an aggregate or another model, and invents neither its id nor its version."""
    overrides = _overrides(hint, converter, structure=True)
    made: Hook = make_dict_structure_fn(hint, converter, _cattrs_use_alias=_by_alias(hint, converter), **overrides)
    cls = _class_of(hint)
    required = [attribute.alias for attribute in attrs.fields(cls) if attribute.metadata.get(ON_THE_WIRE) == REQUIRED]
    if not required:
        return made

    def structure(data: object, _: object) -> object:
        if not isinstance(data, Mapping):
            raise ValueError(  # noqa: TRY004  (it is data, and no argument)
                f"expected an object for {cls.__qualname__}, not this {json_kind(data)}"
            )
        for key in required:
            if key not in data:
                raise KeyError(f"{cls.__qualname__}: {key!r} is missing, and is never invented")
        return made(data, hint)

    return structure


def unstructure_message(_: Any, __: Converter) -> Hook:
    """Return the hook that writes the envelope of a message."""
    return lambda message: message.dict()


def structure_message(cls: Any, _: Converter) -> Hook:
    """Return the hook that reads the envelope of a message."""
    return lambda data, _: cls.from_dict(data)
