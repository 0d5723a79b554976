"""Copies of model objects for `copy_with`, `copy` and `pickle`, made without their constructors."""

from collections.abc import Mapping
from typing import TypeVar

import attrs

from domainkit._model.internals import CACHED_HASH, caches_hash, is_factory, is_written_by_attrs
from domainkit._model.mapping import frozen_copy

T = TypeVar("T")


def copy_with(instance: T, **changes: object) -> T:
    """Return a copy of an attrs instance with some fields changed, without running its constructor again."""
    made = object.__new__(type(instance))
    fill(made, {name: getattr(instance, name) for name in _names(type(instance))} | changes)
    return made


def fill(made: object, state: Mapping[str, object]) -> None:
    """Set the fields of a new object to their values in `state`, or else to their defaults.

    Raises TypeError for a field that has neither, and for a name that isn't a field: the object was pickled before its
    class changed, and would be incomplete.
    """
    cls = type(made)
    unknown = state.keys() - _names(cls)
    if unknown:
        raise _outdated(cls, unknown, "known fields", "pickle the objects again, or keep the field")
    for name, value in state.items():
        object.__setattr__(made, name, value)
    for field in attrs.fields(cls):  # type: ignore[arg-type]  # an attrs class
        if field.name not in state:
            object.__setattr__(made, field.name, _default(made, field))
    if caches_hash(cls):
        object.__setattr__(made, CACHED_HASH, None)


def _names(cls: type) -> list[str]:
    return [field.name for field in attrs.fields(cls)]


def _default(made: object, field: "attrs.Attribute[object]") -> object:
    if field.default is attrs.NOTHING:
        raise _outdated(type(made), {field.name}, "a value", "pickle the objects again, or give the field a default")
    if not is_factory(field.default):
        return frozen_copy(field.default)
    factory = field.default
    return frozen_copy(factory.factory(made) if factory.takes_self else factory.factory())


def _outdated(cls: type, names: set[str], expected: str, remedy: str) -> TypeError:
    fields = ", ".join(f"{cls.__qualname__}.{name}" for name in sorted(names))
    return TypeError(f"{fields}: expected {expected}, got a pickle of the class before it changed; {remedy}")


def complete_state(cls: type) -> None:
    """Let objects of a class be pickled and copied with all fields, unless the class defines that itself."""
    for name, method in (("__getstate__", _state), ("__setstate__", fill)):
        if name not in cls.__dict__ or is_written_by_attrs(cls, name):
            setattr(cls, name, method)


def _state(self: object) -> dict[str, object]:
    return {name: getattr(self, name) for name in _names(type(self))}
