"""What every model class shares: frozen, decorated by its author, and free of parts that can change.

A type checker knows `@attrs.frozen` natively, so the decorator stays in the user's hands. This module notices when it
was forgotten, and looks at the fields once they are known: at class definition, or at the first instance where an
annotation names something that is defined further down.
"""

from collections import abc, deque
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import ClassVar, Literal, TypeVar, get_args, get_origin

import attrs

from domainkit._model.annotations import own_annotations, type_of
from domainkit._model.constructors import HOOKS, set_init, slotted_init
from domainkit._model.mapping import frozen_copy
from domainkit._model.type_checks import bare
from domainkit._speedups.slots import Init

T = TypeVar("T")

ON_THE_WIRE = "domainkit.wire"
"""The key of a field's metadata that says how it stands on the wire, where its default doesn't."""
ABSENT = "absent"
REQUIRED = "required"

_MAPPING, _TUPLE, _FROZENSET = "collections.abc.Mapping[K, V]", "tuple[X, ...]", "frozenset[X]"
_REMEDIES: tuple[tuple[type, str], ...] = (
    (list, _TUPLE),
    (dict, _MAPPING),
    (set, _FROZENSET),
    (bytearray, "bytes"),
    (deque, _TUPLE),
    (abc.MutableMapping, _MAPPING),
    (abc.MutableSequence, _TUPLE),
    (abc.MutableSet, _FROZENSET),
)
_ADMITS_LISTS = (abc.Sequence, abc.Collection, abc.Iterable, abc.Reversible, abc.Container)
_HOLDS_NO_ARGUMENT = (type, Callable, Literal)

_UndecoratedField = type(attrs.field())
_FrozenOfAttrs = type(attrs.validators.ge(0))
_FROZEN_SETATTR: object = _FrozenOfAttrs.__setattr__
"""What attrs gives to every frozen class: taken from one of its own, since to make a class takes a while."""


class Frozen:
    """The base of the model classes. Nothing to call: subclassing it brings the checks."""

    __slots__ = ()

    _reserved_names: ClassVar[frozenset[str]] = frozenset()
    """Names that a subclass's fields can't have, besides those of the library's own methods."""

    _own_constructor: ClassVar[bool] = False
    """Whether a subclass may write `__init__` itself."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "__attrs_attrs__" in cls.__dict__:
            return  # attrs makes the slotted class from one that was seen before
        fields = _own_fields(cls)
        for name in fields:
            _refuse_taken(cls, name)
        if "__init__" in cls.__dict__:
            if not cls._own_constructor:
                _refuse_constructor(cls)
            cls._written_init = cls.__dict__["__init__"]  # type: ignore[attr-defined]  # in the body attrs mends its super()
        undecorated = [*fields, *_own_hooks(cls)]
        if undecorated:
            set_init(cls, _undecorated_init(cls, undecorated[0]))  # until attrs has made one
        else:
            cls._finish_definition()

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        generated: Init | None = cls.__dict__.get("__attrs_init__")
        if "_written_init" in cls.__dict__:
            set_init(cls, cls.__dict__["_written_init"])  # it may call __attrs_init__
        elif generated is not None:  # attrs left the guard in its place and put its own beside it
            generated.__name__, generated.__qualname__ = "__init__", f"{cls.__qualname__}.__init__"
            set_init(cls, generated)  # this is what attrs.frozen does where no __init__ stands
            del cls.__attrs_init__  # type: ignore[attr-defined]  # so that one constructor is left
        if "__slots__" not in cls.__dict__:
            _complete_state(cls)
        cls._finish_definition()

    @classmethod
    def _finish_definition(cls) -> None:
        """Look at the class once it is complete, and install the constructor that its fields ask for."""
        if "__init__" in cls.__dict__ and "__attrs_attrs__" in cls.__dict__:
            _install_init(cls, cls.__dict__["__init__"], last=False)


def _complete_state(cls: type) -> None:
    """Let a class without slots be pickled and copied whole: the methods of a slotted base know the base's fields."""
    for name, method in (("__getstate__", _state), ("__setstate__", _set_state)):
        if name not in cls.__dict__:
            setattr(cls, name, method)


def _state(self: object) -> dict[str, object]:
    return {attribute.name: getattr(self, attribute.name) for attribute in attrs.fields(type(self))}  # type: ignore[arg-type]  # an attrs instance


def _set_state(self: object, state: Mapping[str, object]) -> None:
    for name, value in state.items():
        object.__setattr__(self, name, value)


def _own_fields(cls: type) -> list[str]:
    """Return the names of the fields in the body of `cls`: annotated ones, and those that are an `attrs.field()`."""
    body = list(cls.__dict__.items())  # in one step: another thread may finish the class meanwhile
    bare_fields = [name for name, value in body if isinstance(value, _UndecoratedField)]
    return list(dict.fromkeys([*own_annotations(cls), *bare_fields]))


def _own_hooks(cls: type) -> list[str]:
    """Return the hooks that attrs must see, since no constructor above `cls` calls them."""
    return [name for name in HOOKS if name in cls.__dict__ and not any(hasattr(base, name) for base in cls.__bases__)]


def _refuse_taken(cls: type[Frozen], name: str) -> None:
    for base in cls.__mro__[1:]:
        reserved: frozenset[str] = base.__dict__.get("_reserved_names", frozenset())
        if name in reserved or name.lstrip("_") in reserved or _is_machinery(base, name):
            raise TypeError(
                f"{cls.__qualname__}.{name}: the name {name!r} is taken by {base.__name__}; give the field another name"
            )


def _is_machinery(base: type, name: str) -> bool:
    """Tell whether `name` is a method or a private name of a class of this library."""
    ours = base.__module__.partition(".")[0] == __name__.partition(".")[0]
    return ours and name in base.__dict__ and name not in own_annotations(base)


def _refuse_constructor(cls: type) -> None:
    raise TypeError(
        f"{cls.__qualname__}.__init__: a constructor is never overridden, since decoding calls it with the fields; "
        "write a named constructor instead, such as `@classmethod def create(cls, ...)`"
    )


def _undecorated_init(cls: type, name: str) -> Init:
    def __init__(_: object, *__: object, **___: object) -> None:
        raise undecorated_error(cls, name)

    return __init__


def undecorated_error(cls: type, name: str) -> TypeError:
    """Return the error for a class that has the field or hook `name` and no decorator."""
    kind = "a hook of attrs" if name in HOOKS else "fields"
    return TypeError(
        f"{cls.__qualname__}.{name}: the class has {kind} but isn't decorated; "
        f"write @attrs.frozen above `class {cls.__name__}`"
    )


def require_decorated(cls: type) -> None:
    """Raise TypeError if `cls` or one of its model bases has fields and no `@attrs.frozen`, or is a dataclass."""
    for base in cls.__mro__:
        if issubclass(base, Frozen) and base is not Frozen and "__attrs_attrs__" not in base.__dict__:
            for name in (*_own_fields(base), *_own_hooks(base)):
                raise undecorated_error(base, name)
            if "__dataclass_fields__" in base.__dict__:
                raise TypeError(
                    f"{base.__qualname__}: a dataclass is no model class; remove @dataclass, or write @attrs.frozen"
                )


def _install_init(cls: type, init: Init, *, last: bool) -> None:
    """Set the constructor of `cls`; while annotations can't be resolved, one that tries again at its first call."""
    mappings: list[str] = []
    resolved = True
    for attribute in attrs.fields(cls):
        try:
            hint = type_of(cls, attribute.name)
            refuse_mutable(hint, f"{cls.__qualname__}.{attribute.name}")
        except NameError:  # UnresolvedAnnotationError, or that of an alias
            resolved = False
            continue
        if holds_mapping(hint):
            mappings.append(attribute.name)
    set_init(cls, _chosen_init(cls, init, tuple(mappings)) if resolved or last else _late_init(cls, init))


def _chosen_init(cls: type, init: Init, mappings: tuple[str, ...]) -> Init:
    return slotted_init(cls, init, mappings) or (freezing_init(init, mappings) if mappings else init)


def _late_init(cls: type, init: Init) -> Init:
    def __init__(self: object, *args: object, **kwargs: object) -> None:
        _install_init(cls, init, last=True)
        cls.__init__(self, *args, **kwargs)  # type: ignore[misc]  # the one just installed, also for a subclass

    __init__.__wrapped__ = init  # type: ignore[attr-defined]  # for inspect.signature
    return __init__


def freezing_init(init: Init, names: tuple[str, ...]) -> Init:
    """Return a constructor that keeps read-only copies of the mappings in the named fields."""

    def __init__(self: object, *args: object, **kwargs: object) -> None:
        init(self, *args, **kwargs)
        for name in names:
            given = getattr(self, name)
            kept = frozen_copy(given)
            if kept is not given:
                object.__setattr__(self, name, kept)

    __init__.__wrapped__ = init  # type: ignore[attr-defined]  # for inspect.signature
    return __init__


def holds_mapping(hint: object) -> bool:
    """Tell whether a value of this type may be a mapping, or hold one."""
    return Mapping in _parts(hint)


def refuse_mutable(hint: object, field: str) -> None:
    """Raise TypeError if a value of the type `hint` could change after it was made.

    `field` says where: the class and the field.
    """
    for part in _parts(hint):
        remedy = _remedy(part)
        if remedy is not None:
            name = getattr(part, "__qualname__", str(part))
            raise TypeError(f"{field}: a {name} can change after the object is made; {remedy}")


def _parts(hint: object) -> list[object]:
    """Return the type and all types in it, without their arguments: Mapping and str for Mapping[str, str]."""
    queue, found = [hint], list[object]()
    for part in queue:  # it grows while it is read
        plain = bare(part)
        if plain not in found:  # an alias may hold itself
            found.append(plain)
            queue.extend(() if get_origin(plain) in _HOLDS_NO_ARGUMENT else get_args(plain))
    return [get_origin(part) or part for part in found]


def _remedy(part: object) -> str | None:
    if not isinstance(part, type):
        return None
    if part in _ADMITS_LISTS:
        return f"use {_TUPLE} (it admits a list)"
    if part is abc.Set:
        return f"use {_FROZENSET} (it admits a set)"
    for kind, instead in _REMEDIES:
        if issubclass(part, kind):
            return f"use {instead}"
    thawed_attrs = attrs.has(part) and part.__setattr__ is not _FROZEN_SETATTR
    thawed_dataclass = is_dataclass(part) and not part.__dataclass_params__.frozen  # type: ignore[attr-defined]  # every dataclass has it
    return f"write @attrs.frozen above `class {part.__name__}`" if thawed_attrs or thawed_dataclass else None


def copy_with(instance: T, **changes: object) -> T:
    """Return a copy of an attrs instance with some fields changed, without running its constructor again."""
    made = object.__new__(type(instance))
    for attribute in attrs.fields(type(instance)):  # type: ignore[arg-type]  # an attrs instance
        name = attribute.name
        object.__setattr__(made, name, changes[name] if name in changes else getattr(instance, name))
    return made
