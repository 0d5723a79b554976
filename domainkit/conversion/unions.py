"""The cattrs hooks of unions: told apart by what their members are in JSON, or by a tag."""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import attrs
from cattrs import Converter

from domainkit._model.type_checks import members
from domainkit.conversion.derive import Derivation, UnsupportedTypeError
from domainkit.conversion.hooks import Hook
from domainkit.conversion.nodes import json_kind
from domainkit.conversion.tagged import Tagged
from domainkit.values import ValueObject


def is_value_object(hint: object) -> bool:
    """Tell whether the type is a class of value objects."""
    cls = get_origin(hint) or hint
    return isinstance(cls, type) and issubclass(cls, ValueObject)


def is_union(hint: object) -> bool:
    """Tell whether the type is a union that the JSON kinds of its members tell apart, or one with value objects."""
    some = [member for member in get_args(hint) if member is not NoneType]
    if get_origin(hint) not in (Union, UnionType) or len(some) < 2 or all(map(_is_plain_class, some)):
        return False  # classes of attrs alone are told apart by cattrs, by the fields that they don't share
    return any(map(is_value_object, members(hint))) or _is_derivable(hint)


def _is_plain_class(hint: object) -> bool:
    cls = get_origin(hint) or hint
    return isinstance(cls, type) and attrs.has(cls) and not is_value_object(hint)


def _is_derivable(hint: object) -> bool:
    try:
        Derivation().node(hint, str(hint))
    except UnsupportedTypeError:
        return False
    return True


def structure_union(hint: Any, converter: Converter, *, unwrap: bool) -> Hook:
    """Return a hook that chooses the member by the JSON kind of the data, where all members differ in theirs."""
    derivation = Derivation(converter=converter)
    derivation.node(hint, str(hint))
    found = [(derivation.node(member, str(member)), member) for member in get_args(hint)]
    by_kind = {kind: (converter.get_structure_hook(member), member) for node, member in found for kind in node.kinds}
    if not unwrap and "object" in by_kind and any(map(is_value_object, members(hint))):
        raise UnsupportedTypeError(f'{hint}: {{"value": ...}} may be a value object or another object; unwrap this one')

    def structure(data: object, _: object = None) -> object:
        wrapped = not unwrap and isinstance(data, Mapping) and data.keys() == {"value"}
        chosen = by_kind.get(json_kind(data["value"] if wrapped else data))  # type: ignore[index]  # a mapping, then
        if chosen is None:
            raise ValueError(f"expected {hint}, not this {json_kind(data)}")
        return chosen[0](data, chosen[1])

    return structure


def unstructure_union(hint: Any, converter: Converter) -> Hook:
    """Return a hook that chooses the member by the class of the value."""
    derivation = Derivation(converter=converter)
    found = [
        (derivation.node(member, str(member)), converter.get_unstructure_hook(member)) for member in get_args(hint)
    ]
    by_class = {cls: hook for node, hook in found for cls in node.object_classes}
    return lambda value: by_class.get(type(value), converter.unstructure)(value)


def is_tagged(hint: object) -> bool:
    """Tell whether the type is a union with a tag."""
    return get_origin(hint) is Annotated and any(isinstance(part, Tagged) for part in get_args(hint)[1:])


def _tag_of(hint: Any) -> Tagged:
    return next(part for part in get_args(hint)[1:] if isinstance(part, Tagged))


def unstructure_tagged(hint: Any, converter: Converter) -> Hook:
    """Return a hook that writes the tag before the fields."""
    tagged = _tag_of(hint)
    hooks = {cls: (name, converter.get_unstructure_hook(cls)) for name, cls in tagged.classes.items()}

    def unstructure(value: object) -> object:
        if value is None:
            return None
        if type(value) not in hooks:
            raise ValueError(f"expected {hint}, not this {type(value).__qualname__}")
        name, hook = hooks[type(value)]
        return {tagged.key: name, **hook(value)}

    return unstructure


def structure_tagged(hint: Any, converter: Converter) -> Hook:
    """Return a hook that reads the class that the tag names."""
    tagged, optional = _tag_of(hint), NoneType in members(hint)
    hooks = {name: (cls, converter.get_structure_hook(cls)) for name, cls in tagged.classes.items()}

    def structure(data: object, _: object = None) -> object:
        if data is None and optional:
            return None
        name = data.get(tagged.key) if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or not isinstance(name, str) or name not in hooks:
            raise ValueError(f"expected an object with {tagged.key!r} one of {', '.join(hooks)}")
        cls, hook = hooks[name]
        return hook({key: value for key, value in data.items() if key != tagged.key}, cls)

    return structure
