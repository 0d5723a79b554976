"""What a class says about itself: its annotations, resolved, with the arguments of generic bases put in."""

import sys
from collections.abc import Mapping
from types import GenericAlias, MappingProxyType, SimpleNamespace, UnionType
from typing import Annotated, ClassVar, TypeVar, Union, get_args, get_origin

from typing_extensions import Format, get_annotations, get_type_hints

_CLASS_VAR_PREFIXES = ("ClassVar", "typing.ClassVar", "t.ClassVar", "typing_extensions.ClassVar")


class UnresolvedAnnotationError(NameError):
    """An annotation names something that can't be found yet, such as a class defined further down."""


def own_annotations(cls: type) -> dict[str, object]:
    """Return the instance annotations that the body of `cls` itself holds (class variables left out)."""
    return {name: hint for name, hint in _raw_annotations(cls).items() if not _is_class_var(hint)}


def _raw_annotations(cls: type) -> Mapping[str, object]:
    return get_annotations(cls, format=Format.FORWARDREF)


def _is_class_var(hint: object) -> bool:
    if isinstance(hint, str):
        return hint.strip("'\"").startswith(_CLASS_VAR_PREFIXES)
    return hint is ClassVar or get_origin(hint) is ClassVar


def type_of(cls: type, name: str, arguments: Mapping[TypeVar, object] = MappingProxyType({})) -> object:
    """Return the type of the field `name` of `cls[arguments]`: `Annotated` is kept, type variables are replaced.

    Raises UnresolvedAnnotationError while a name in the annotation can't be found.
    """
    for owner in cls.__mro__:
        hints = _raw_annotations(owner)
        if name in hints:
            given = {key: substitute(value, arguments) for key, value in type_arguments(cls, owner).items()}
            return substitute(_resolve(owner, name, hints[name]), arguments if owner is cls else given)
    raise UnresolvedAnnotationError(f"{cls.__qualname__} has no annotation for {name!r}")


def _resolve(owner: type, name: str, hint: object) -> object:
    module = sys.modules.get(owner.__module__)
    known = dict(vars(module)) if module is not None else {}
    holder = SimpleNamespace(__annotations__={name: hint})
    try:
        resolved = get_type_hints(holder, known, {**vars(owner), owner.__name__: owner}, include_extras=True)
    except NameError as error:
        raise UnresolvedAnnotationError(
            f"{owner.__qualname__}.{name}: the annotation {hint!r} names something that can't be found ({error}); "
            "define it in the module, and import it outside of `if TYPE_CHECKING`"
        ) from error
    return resolved[name]


def type_arguments(cls: type, base: type) -> dict[TypeVar, object]:
    """Return what `cls` gives for the type parameters of its base `base`; a defaulted parameter gives its default."""
    if cls is base:
        return {}
    for alias in _generic_bases(cls):
        origin = get_origin(alias) or alias
        if not (isinstance(origin, type) and issubclass(origin, base)):
            continue
        arguments = dict(zip(parameters_of(origin), get_args(alias), strict=False))
        inner = type_arguments(origin, base)
        if origin is base:
            inner = {parameter: parameter for parameter in parameters_of(base)}
        return {key: substitute(value, arguments) for key, value in inner.items()}
    return {}


def _generic_bases(cls: type) -> tuple[object, ...]:
    declared: tuple[object, ...] = cls.__dict__.get("__orig_bases__", cls.__bases__)
    return declared


def parameters_of(cls: object) -> tuple[TypeVar, ...]:
    """Return the type parameters of a generic class, in order; nothing for a plain class."""
    parameters: tuple[TypeVar, ...] = getattr(cls, "__parameters__", ())
    return parameters


def substitute(hint: object, arguments: Mapping[TypeVar, object]) -> object:
    """Return `hint` with each type variable replaced by its argument, its default, or itself."""
    if isinstance(hint, TypeVar):
        return _argument_for(hint, arguments)
    inner = get_args(hint)
    if not inner or not parameters_of(hint):
        return hint
    origin = get_origin(hint)
    if origin is Annotated:
        return Annotated[(substitute(inner[0], arguments), *inner[1:])]
    replaced = tuple(substitute(argument, arguments) for argument in inner)
    if origin in (Union, UnionType):
        return Union[replaced]  # noqa: UP007  (the members are known at run time only)
    if isinstance(hint, GenericAlias):
        return GenericAlias(get_origin(hint), replaced)
    return hint[tuple(_argument_for(parameter, arguments) for parameter in parameters_of(hint))]  # type: ignore[index]  # a typing alias


def _argument_for(parameter: TypeVar, arguments: Mapping[TypeVar, object]) -> object:
    found = arguments.get(parameter, parameter)
    if found is not parameter:
        return found
    has_default = getattr(parameter, "has_default", None)
    return parameter.__default__ if has_default is not None and has_default() else parameter  # type: ignore[attr-defined]  # PEP 696
