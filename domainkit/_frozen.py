"""What every model class shares: frozen, decorated by its author, and free of parts that can change.

A type checker knows `@attrs.frozen` natively, so the decorator stays in the user's hands. This module notices when it
was forgotten, and looks at the fields once they are known: at class definition, or at the first instance where an
annotation names something that is defined further down.
"""

from collections import deque
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, MutableSet, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import is_dataclass
from typing import Annotated, ClassVar, NewType, TypeVar, get_args, get_origin

import attrs

from domainkit._classes import UnresolvedAnnotationError, own_annotations, type_of
from domainkit._mapping import FrozenMapping

T = TypeVar("T")
Init = Callable[..., None]

ON_THE_WIRE = "domainkit.wire"
"""The key of a field's metadata that says how it stands on the wire, where its default doesn't."""
ABSENT = "absent"
REQUIRED = "required"

_REMEDIES: tuple[tuple[type, str], ...] = (
    (list, "tuple[X, ...]"),
    (dict, "collections.abc.Mapping[K, V]"),
    (set, "frozenset[X]"),
    (bytearray, "bytes"),
    (deque, "tuple[X, ...]"),
    (MutableMapping, "collections.abc.Mapping[K, V]"),
    (MutableSequence, "tuple[X, ...]"),
    (MutableSet, "frozenset[X]"),
)
_ABSTRACT: dict[object, str] = {Sequence: "tuple[X, ...]", AbstractSet: "frozenset[X]"}


@attrs.frozen
class _Sample:
    """A frozen class, to know one by: attrs gives all of them the same `__setattr__`."""


class Frozen:
    """The base of the model classes. Nothing to call: subclassing it brings the checks."""

    __slots__ = ()

    _reserved_names: ClassVar[frozenset[str]] = frozenset()
    """Names that a subclass's fields can't have."""

    _own_constructor: ClassVar[bool] = False
    """Whether a subclass may write `__init__` itself."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "__attrs_attrs__" in cls.__dict__:
            return  # attrs makes the slotted class from one that was seen before
        fields = own_annotations(cls)
        for name in fields:
            _refuse_reserved(cls, name)
        if "__init__" in cls.__dict__:
            if not cls._own_constructor:
                _refuse_constructor(cls)
        elif fields:
            set_init(cls, _undecorated_init(cls, next(iter(fields))))  # until attrs has made one
        if not fields:
            cls._finish_definition()

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        init: Init | None = cls.__dict__.get("__attrs_init__")
        if init is not None:  # attrs left the guard in its place and put its own beside it
            init.__name__, init.__qualname__ = "__init__", f"{cls.__qualname__}.__init__"
            set_init(cls, init)  # this is what attrs.frozen does where no __init__ stands
            del cls.__attrs_init__  # type: ignore[attr-defined]  # so that one constructor is left
        cls._finish_definition()

    @classmethod
    def _finish_definition(cls) -> None:
        """Look at the class once it is complete, and install the constructor that its fields ask for."""
        if "__init__" in cls.__dict__ and "__attrs_attrs__" in cls.__dict__:
            _install_init(cls, cls.__dict__["__init__"], last=False)


def set_init(cls: type, init: Init) -> None:
    """Give `cls` the constructor `init`."""
    type.__setattr__(cls, "__init__", init)


def _refuse_reserved(cls: type[Frozen], name: str) -> None:
    if any(name in getattr(base, "_reserved_names", ()) for base in cls.__bases__):
        raise TypeError(
            f"{cls.__qualname__}.{name}: the name {name!r} is taken by {_owner_of(cls, name)}; give the field another name"
        )


def _owner_of(cls: type, name: str) -> str:
    return next((base.__name__ for base in reversed(cls.__mro__) if name in base.__dict__), "the library")


def _refuse_constructor(cls: type) -> None:
    raise TypeError(
        f"{cls.__qualname__}.__init__: a constructor is never overridden, since decoding calls it with the fields; "
        "write a named constructor instead, such as `@classmethod def create(cls, ...)`"
    )


def _undecorated_init(cls: type, name: str) -> Init:
    def __init__(self: object, *_: object, **__: object) -> None:
        raise undecorated_error(cls, name)

    return __init__


def undecorated_error(cls: type, name: str) -> TypeError:
    """Return the error for a class that has the field `name` and no decorator."""
    return TypeError(
        f"{cls.__qualname__}.{name}: the class has fields but isn't decorated; write @attrs.frozen above `class {cls.__name__}`"
    )


def require_decorated(cls: type) -> None:
    """Raise TypeError if `cls` or one of its model bases has fields and no `@attrs.frozen`."""
    for base in cls.__mro__:
        if issubclass(base, Frozen) and "__attrs_attrs__" not in base.__dict__:
            for name in own_annotations(base):
                if base is not Frozen:
                    raise undecorated_error(base, name)


def _install_init(cls: type, init: Init, *, last: bool) -> None:
    """Set the constructor of `cls`; while annotations can't be resolved, one that tries again at its first call."""
    mappings: list[str] = []
    resolved = True
    for attribute in attrs.fields(cls):
        try:
            hint = type_of(cls, attribute.name)
        except UnresolvedAnnotationError:
            resolved = False
            continue
        refuse_mutable(hint, f"{cls.__qualname__}.{attribute.name}")
        if is_mapping(hint):
            mappings.append(attribute.name)
    chosen = _freezing_init(init, tuple(mappings)) if mappings else init
    set_init(cls, chosen if resolved or last else _late_init(cls, init))


def _late_init(cls: type, init: Init) -> Init:
    def __init__(self: object, *args: object, **kwargs: object) -> None:
        _install_init(cls, init, last=True)
        cls.__init__(self, *args, **kwargs)  # type: ignore[misc]  # the one just installed, also for a subclass

    return __init__


def _freezing_init(init: Init, names: tuple[str, ...]) -> Init:
    """Return a constructor that keeps a read-only copy of each mapping that it is given."""

    def __init__(self: object, *args: object, **kwargs: object) -> None:
        init(self, *args, **kwargs)
        for name in names:
            given = getattr(self, name)
            if isinstance(given, Mapping) and type(given) is not FrozenMapping:
                object.__setattr__(self, name, FrozenMapping(given))

    __init__.__wrapped__ = init  # type: ignore[attr-defined]  # for inspect.signature
    return __init__


def is_mapping(hint: object) -> bool:
    """Tell whether a field of this type holds a mapping, perhaps among other things."""
    origin = get_origin(hint)
    if origin is None or origin is tuple or origin is frozenset:
        return hint is Mapping
    if origin is Mapping:
        return True
    return any(is_mapping(argument) for argument in get_args(hint))


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
    if get_origin(hint) is Annotated:
        return _parts(get_args(hint)[0])
    if isinstance(hint, NewType):
        return _parts(hint.__supertype__)
    inner = [part for argument in get_args(hint) for part in _parts(argument)]
    return [get_origin(hint) or hint, *inner]


def _remedy(part: object) -> str | None:
    if not isinstance(part, type):
        return None
    instead = _ABSTRACT.get(part) or next((text for kind, text in _REMEDIES if issubclass(part, kind)), None)
    if instead is not None:
        return f"use {instead}" + (" (it admits a list)" if part is Sequence else "")
    if attrs.has(part) and part.__setattr__ is not _Sample.__setattr__:
        return f"write @attrs.frozen above `class {part.__name__}`"
    if is_dataclass(part) and not part.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # every dataclass has it
        return f"write @attrs.frozen above `class {part.__name__}`"
    return None


def copy_with(instance: T, **changes: object) -> T:
    """Return a copy of an attrs instance with some fields changed, without running its constructor again."""
    made = object.__new__(type(instance))
    for attribute in attrs.fields(type(instance)):  # type: ignore[arg-type]  # an attrs instance
        name = attribute.name
        object.__setattr__(made, name, changes[name] if name in changes else getattr(instance, name))
    return made
