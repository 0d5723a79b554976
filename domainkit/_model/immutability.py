"""Base of every model class: frozen, decorated by its author, and without mutable parts.

Type checkers know `@attrs.frozen` natively, so users write the decorator themselves. This module notices a forgotten
one, and checks the fields as soon as their types are known: at class definition, or at the first instance if an
annotation names a class that is defined further down.
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import attrs

from domainkit._model.annotations import own_annotations, resolve_annotations, type_of
from domainkit._model.constructors import HOOKS, freezing, set_init, waiting
from domainkit._model.copying import complete_state
from domainkit._model.copying import copy_with as copy_with
from domainkit._model.habits import refuse_habits
from domainkit._model.internals import FIELD, is_decorated
from domainkit._model.mutable_types import holds_mapping
from domainkit._model.mutable_types import refuse_mutable as refuse_mutable
from domainkit._speedups.slots import Init

ON_THE_WIRE = "domainkit.wire"
"""The key in a field's metadata that says if it may be absent on the wire; otherwise its default decides."""
ABSENT = "absent"
REQUIRED = "required"


class Frozen:
    """Base of the model classes. It has no methods to call: subclassing it adds the checks."""

    __slots__ = ()

    _reserved_names: ClassVar[frozenset[str]] = frozenset()
    """Names that a subclass's fields can't have, besides those of the library's own methods."""

    _own_constructor: ClassVar[bool] = False
    """True if a subclass may define `__init__` itself."""

    _undecorated: ClassVar[bool] = False
    """True if the class has fields or hooks and no decorator has processed them yet."""

    _guards_subclasses: ClassVar[bool] = False
    """True if this class's own constructor already refuses instances of such a subclass."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if is_decorated(cls):
            return  # the slotted class that attrs makes from one that was checked before
        refuse_habits(cls)
        fields = _own_fields(cls)
        for name in fields:
            _refuse_taken(cls, name)
        _refuse_shadowed(cls, fields)
        if "__init__" in cls.__dict__ and not cls._own_constructor:
            raise TypeError(
                f"{cls.__qualname__}.__init__: a constructor is never overridden, since decoding calls it with the "
                "fields; write a named constructor instead, such as `@classmethod def create(cls, ...)`"
            )
        if fields or _own_hooks(cls):
            cls._undecorated = True  # until a decorator of attrs processes it
            _guard_constructor_above(cls)
        else:
            cls._finish_definition()

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        cls._undecorated = False
        complete_state(cls)
        cls._finish_definition()

    @classmethod
    def _finish_definition(cls) -> None:
        """Install the constructor that the fields of the complete class need."""
        if is_decorated(cls) and "__init__" in cls.__dict__:
            init = cls.__dict__["__init__"]
            install(cls, init, partial(_choose_init, cls, init), at_last=partial(_choose_init, cls, init, last=True))

    def __post_init__(self) -> None:
        """Refuse an instance of a dataclass, whose constructor calls this."""
        require_decorated(type(self))


def install(cls: type, init: Init, choose: Callable[[], Init], *, at_last: Callable[[], Init]) -> None:
    """Give `cls` the constructor that `choose` returns; until its names resolve, one that calls `at_last` when called.

    Until then the constructor has the name and signature of `init`.
    """
    try:
        set_init(cls, choose())
    except NameError:  # UnresolvedAnnotationError, or that of an alias
        set_init(cls, waiting(cls, init, lambda _: at_last(), stays=False))


def _choose_init(cls: type, init: Init, *, last: bool = False) -> Init:
    """Return the constructor for the fields of a class; NameError while their types can't be found, unless `last`."""
    mappings: list[str] = []
    unresolved: NameError | None = None
    for attribute in attrs.fields(cls):
        try:
            hint = type_of(cls, attribute.name)
        except NameError as error:
            unresolved = error
            continue
        refuse_mutable(hint, f"{cls.__qualname__}.{attribute.name}")
        resolve_annotations(init, attribute.alias, hint)
        if holds_mapping(hint):
            mappings.append(attribute.name)
    if unresolved is not None and not last:
        raise unresolved
    return freezing(init, tuple(mappings)) if mappings else init


def _own_fields(cls: type) -> list[str]:
    """Return the names of the fields in the body of `cls`: annotated ones, and those that are an `attrs.field()`."""
    body = list(cls.__dict__.items())  # in one step: another thread may finish the class meanwhile
    bare_fields = [name for name, value in body if isinstance(value, FIELD)]
    return list(dict.fromkeys([*own_annotations(cls), *bare_fields]))


def _own_hooks(cls: type) -> list[str]:
    """Return the hooks that attrs must see, since no constructor above `cls` calls them."""
    return [name for name in HOOKS if name in cls.__dict__ and not any(hasattr(base, name) for base in cls.__bases__)]


def _refuse_taken(cls: type[Frozen], name: str) -> None:
    for base in cls.__mro__[1:]:
        reserved: frozenset[str] = base.__dict__.get("_reserved_names", frozenset())
        if name in reserved or name.lstrip("_") in reserved or _is_internal(base, name):
            raise TypeError(
                f"{cls.__qualname__}.{name}: the name {name!r} is taken by {base.__name__}; give the field another name"
            )


def _refuse_shadowed(cls: type, fields: list[str]) -> None:
    """Refuse a value in the body for an inherited field: the constructor would still use the inherited default."""
    for attribute in getattr(cls, "__attrs_attrs__", ()):
        name = attribute.name
        if name in cls.__dict__ and name not in fields:
            raise TypeError(
                f"{cls.__qualname__}.{name}: the name is taken by an inherited field; to change its default, annotate "
                f"it, and write @attrs.frozen above `class {cls.__name__}`; else give the attribute another name"
            )


def _is_internal(base: type, name: str) -> bool:
    """Check if `name` is a method or a private name of a class of this library."""
    ours = base.__module__.partition(".")[0] == __name__.partition(".")[0]
    return ours and name in base.__dict__ and name not in own_annotations(base)


def _guard_constructor_above(cls: type[Frozen]) -> None:
    """Let the constructor that `cls` inherits refuse the instances of a subclass that isn't decorated.

    The guard can't be in `cls`: attrs would consider an `__init__` there to be the author's, and not write one.
    """
    for base in cls.__mro__[1:]:
        if issubclass(base, Frozen) and "__init__" in base.__dict__:
            if "_guards_subclasses" not in base.__dict__:
                base._guards_subclasses = True
                init = base.__dict__["__init__"]
                set_init(base, waiting(base, init, partial(_refused_undecorated, init), stays=True))
            return


def _refused_undecorated(init: Init, cls: type[Frozen]) -> Init:
    if cls._undecorated:
        require_decorated(cls)
    return init


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
        if issubclass(base, Frozen) and base is not Frozen and not is_decorated(base):
            for name in (*_own_fields(base), *_own_hooks(base)):
                raise undecorated_error(base, name)
            if "__dataclass_fields__" in base.__dict__:
                raise TypeError(
                    f"{base.__qualname__}: expected an attrs class, got a dataclass; write @attrs.frozen instead"
                )
