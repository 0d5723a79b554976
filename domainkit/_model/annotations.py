"""Annotations of a class, resolved, with the type arguments of generic bases substituted."""

import sys
import typing
from collections.abc import Callable, Mapping
from types import CellType, FunctionType, GenericAlias, MappingProxyType, UnionType
from typing import Annotated, Any, ClassVar, Final, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

import typing_extensions
from typing_extensions import Format, get_annotations, get_type_hints

from domainkit._model.mapping import JsonValue

_CLASS_VAR_PREFIXES = ("ClassVar", "typing.ClassVar", "t.ClassVar", "typing_extensions.ClassVar")
_ALIAS_TYPES = tuple(
    {module.TypeAliasType for module in (typing, typing_extensions) if hasattr(module, "TypeAliasType")}
)


class UnresolvedAnnotationError(NameError):
    """An annotation uses a name that can't be found yet, such as a class defined further down."""


def own_annotations(cls: type) -> tuple[str, ...]:
    """Return the names annotated in the body of `cls` itself, without class variables."""
    return tuple(name for name, hint in _raw_annotations(cls).items() if not _is_class_var(hint))


def _raw_annotations(cls: type) -> Mapping[str, object]:
    """Return the annotations of the class body itself, as text if a function computes them (PEP 649).

    Calling that function would resolve `date` in `date: date` to the field, and would fail if any name is missing.
    """
    if _annotate_of(cls) is not None:
        return get_annotations(cls, format=Format.STRING)
    kept = vars(cls).get("__annotations__")
    # the same as from the function, in a tenth of the time
    return kept if type(kept) is dict else get_annotations(cls, format=Format.VALUE)


def _annotate_of(cls: type) -> FunctionType | None:
    """Return the function that computes the annotations of a class; None before Python 3.14, or without annotations."""
    return getattr(cls, "__annotate__", None)


def _is_class_var(hint: object) -> bool:
    if isinstance(hint, str):
        return hint.strip("'\"").startswith(_CLASS_VAR_PREFIXES)  # the check that attrs makes
    return hint is ClassVar or get_origin(hint) is ClassVar


def type_of(cls: type, name: str, arguments: Mapping[TypeVar, object] = MappingProxyType({})) -> object:
    """Return the type of the field `name` of `cls[arguments]`, with type variables replaced.

    `Annotated` is kept; `Final` is removed, since every field is final.

    Raises UnresolvedAnnotationError while a name in the annotation can't be found.
    """
    for owner in cls.__mro__:
        hints = _raw_annotations(owner)
        if name in hints:
            found = _resolve(owner, name, hints[name])
            if is_plain(found):
                return found
            given = {key: substitute(value, arguments) for key, value in type_arguments(cls, owner).items()}
            found = substitute(found, arguments if owner is cls else given)
            if _is_open(found):
                raise _unresolved(cls, name, found)
            return get_args(found)[0] if get_origin(found) is Final else found
    raise UnresolvedAnnotationError(f"{cls.__qualname__} has no annotation for {name!r}")


def is_plain(hint: object) -> bool:
    """Check if a type is a class without arguments: nothing in it is to be resolved or replaced.

    Most fields have such a type, and to look into any other one takes ten times as long.
    """
    return type(hint) is not GenericAlias and isinstance(hint, type)


def _resolve(owner: type, name: str, hint: object) -> object:
    if is_plain(hint) or not _is_open(hint):
        return _without_freezegun(hint)
    holder = type("Holder", (), {"__annotations__": {name: hint}})  # a class, since only a class may use `Final`
    try:
        resolved = get_type_hints(holder, _globals_of(owner), _names_in(owner), include_extras=True)
    except (NameError, AttributeError) as error:  # an AttributeError if a module is only partly imported
        raise _unresolved(owner, name, hint, f" ({error})") from error
    return _without_freezegun(resolved[name])


def _globals_of(owner: type) -> dict[str, object]:
    """Return the global names for the annotations of a class: not those of its module, if `exec` ran its body."""
    annotate = _annotate_of(owner)
    module = sys.modules.get(owner.__module__)
    return annotate.__globals__ if annotate is not None else vars(module) if module else {}


def _names_in(owner: type) -> dict[str, object]:
    """Return the names in scope in a class body in addition to its module's.

    These are the class itself, its type parameters and nested classes. A field or a method is not a type, whatever its
    name: in `date: date`, the type is the one of the module.
    """
    fields = _raw_annotations(owner)
    nested = {
        name: value
        for name, value in tuple(vars(owner).items())  # in one step: another thread may set the constructor
        if name not in fields and not hasattr(type(value), "__get__")
    }
    parameters = {parameter.__name__: parameter for parameter in getattr(owner, "__type_params__", ())}  # PEP 695
    return {**_names_around(owner), **parameters, **nested, owner.__name__: owner}


def _names_around(owner: type) -> dict[str, object]:
    """Return the local names of the function around a class that the annotations of the class use (PEP 649)."""
    annotate = _annotate_of(owner)
    cells = annotate.__closure__ if annotate is not None else None
    found = zip(annotate.__code__.co_freevars, cells, strict=True) if annotate is not None and cells else ()
    return {name: cell.cell_contents for name, cell in found if cell != CellType()}


def resolve_annotations(init: Callable[..., None], name: str, hint: object) -> None:
    """Put the type of a parameter into the annotations of a constructor, if a name in them is still unresolved."""
    if _is_open(init.__annotations__.get(name)):
        init.__annotations__[name] = hint


def _unresolved(owner: type, name: str, hint: object, why: str = "") -> UnresolvedAnnotationError:
    return UnresolvedAnnotationError(
        f"{owner.__qualname__}.{name}: the annotation {hint!r} names something that can't be found{why}; "
        "define it in the module, and import it outside of `if TYPE_CHECKING`"
    )


def _is_open(hint: object) -> bool:
    """Check if `hint` has a name that isn't resolved yet."""
    if isinstance(hint, str | ForwardRef):
        return True
    if is_plain(hint):
        return False
    if get_origin(hint) is Literal:
        return False
    inner = get_args(hint)
    return any(map(_is_open, inner[:1] if get_origin(hint) is Annotated else inner))


def type_arguments(cls: type, base: type) -> dict[TypeVar, object]:
    """Return the arguments of `cls` for the type parameters of its base `base`, with defaults for those not given."""
    if cls is base:
        return {}
    for alias in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = get_origin(alias) or alias
        if not (isinstance(origin, type) and issubclass(origin, base)):
            continue
        given = (_looked_up(cls, argument) for argument in get_args(alias))
        arguments = dict(zip(parameters_of(origin), given, strict=False))
        inner = type_arguments(origin, base)
        if origin is base:
            inner = {parameter: parameter for parameter in parameters_of(base)}
        return {key: substitute(value, arguments) for key, value in inner.items()}
    return {}


def _looked_up(cls: type, argument: object) -> object:
    """Resolve an argument such as "TaskId" in `class Task(AggregateRoot["TaskId"])`, if the name is known."""
    if not _is_open(argument):
        return argument
    try:
        return _resolve(cls, "base", argument)
    except UnresolvedAnnotationError:
        return argument


def parameters_of(cls: object) -> tuple[TypeVar, ...]:
    """Return the type parameters of a generic class, in order; an empty tuple for a plain class."""
    parameters: tuple[TypeVar, ...] = getattr(cls, "__parameters__", ())
    return parameters


def substitute(hint: object, arguments: Mapping[TypeVar, object]) -> object:
    """Return `hint` with each type variable replaced by its argument, its default, or itself."""
    return _rebuilt(hint, lambda part: _argument_for(part, arguments) if isinstance(part, TypeVar) else part)


def _rebuilt(hint: object, change: Callable[[object], object]) -> object:
    """Return `hint` with each type in it replaced by what `change` returns for it."""
    origin, inner = get_origin(hint), get_args(hint)
    if not inner or origin is Literal:
        return change(hint)
    if origin is Annotated:
        return Annotated[(_rebuilt(inner[0], change), *inner[1:])]
    replaced = tuple(_rebuilt(argument, change) for argument in inner)
    if all(new is old for new, old in zip(replaced, inner, strict=True)):
        return hint
    if origin in (Union, UnionType):
        return Union[replaced]  # noqa: UP007  (the members are only known at run time)
    return origin[replaced]  # type: ignore[index]  # a generic class, since it has arguments


def _without_freezegun(hint: object) -> object:
    """Return `hint` with datetime and date instead of the fakes that freezegun substitutes for them."""
    if "freezegun" not in sys.modules:
        return hint
    return _rebuilt(hint, lambda part: real_class(part) if isinstance(part, type) else part)


def real_class(cls: type) -> type:
    """Return the standard library's class for a fake of freezegun; any other class unchanged."""
    return next(base for base in cls.__mro__ if base.__module__ != "freezegun.api")


def _argument_for(parameter: TypeVar, arguments: Mapping[TypeVar, object]) -> object:
    if parameter in arguments:  # perhaps itself, in a subclass with the same type parameter
        return arguments[parameter]
    has_default = getattr(parameter, "has_default", None)
    if has_default is None or not has_default():
        return parameter
    return substitute(parameter.__default__, arguments)  # type: ignore[attr-defined]  # PEP 696


def _value_of(alias: Any) -> object:  # Any: as below
    """Return the type that an alias stands for; a quoted name, such as the alias's own, is looked up in its module."""
    if not _is_open(alias.__value__):
        return alias.__value__
    module = sys.modules.get(alias.__module__)
    names = {part.__name__: part for part in (alias, *alias.__type_params__)}
    holder = type("Holder", (), {"__annotations__": {"value": alias.__value__}})
    return get_type_hints(holder, vars(module) if module else {}, names, include_extras=True)["value"]


def is_alias(hint: object) -> bool:
    """Check if a type is an alias made by `type X = ...` (PEP 695), with or without arguments.

    JsonValue counts as a type of its own, since its values are kept read-only.
    """
    return hint is not JsonValue and isinstance(get_origin(hint) or hint, _ALIAS_TYPES)


def unaliased(hint: object) -> object:
    """Return the type that an alias made by `type X = ...` (PEP 695) stands for; any other type unchanged.

    Raises NameError while a name in the alias can't be found, and TypeError for an alias of itself.
    """
    if is_plain(hint):
        return _without_freezegun(hint)
    alias: Any = get_origin(hint) or hint  # Any: an alias is of the standard library's class, or of the backport's
    seen = []
    while is_alias(alias):
        if hint in seen:
            raise TypeError(f"expected an alias of another type, got {hint}, an alias of itself; let it name a type")
        seen.append(hint)
        hint = substitute(_value_of(alias), dict(zip(alias.__type_params__, get_args(hint), strict=False)))
        alias = get_origin(hint) or hint
    return _without_freezegun(hint)
