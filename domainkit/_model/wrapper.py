"""Base of value objects, with the one slot that conversion needs."""

from collections.abc import Mapping
from typing import ClassVar, Generic

import attrs
from attrs import frozen
from typing_extensions import TypeVar

from domainkit._model.immutability import Frozen
from domainkit._speedups.slots import Slot

T_co = TypeVar("T_co", covariant=True)


@frozen(order=False)  # the default of attrs, which mypy knows only if it is written
class Wrapper(Frozen, Generic[T_co]):
    """A frozen object around one `value`."""

    value: T_co

    _is_secret: ClassVar[bool] = False
    """True if the value is never shown, and is only written in a field marked with `InPlainText`."""


VALUE: Slot = Wrapper.__dict__["value"]
"""The slot of a value object. All value object classes share it."""


def is_secret(cls: object) -> bool:
    """Check if this is a class of value objects whose values are secret."""
    return isinstance(cls, type) and issubclass(cls, Wrapper) and cls._is_secret


def holds_secret(value: object) -> bool:
    """Check if there is a secret in a value, including in collections and attrs objects inside it."""
    if is_secret(type(value)):
        return True
    if isinstance(value, Mapping):
        return any(holds_secret(part) for item in value.items() for part in item)
    if isinstance(value, tuple | frozenset):
        return any(map(holds_secret, value))
    cls = type(value)
    return attrs.has(cls) and any(holds_secret(getattr(value, field.name)) for field in attrs.fields(cls))


@frozen
class PlainTextMark:
    """Base class of the marker `InPlainText`."""


class FieldSerializer(property):
    """Marker that the value object in the field `field_name` is unwrapped. Made by `ValueObject.serializer`.

    On an instance, it returns the wrapped value of the field. It is a property, since a pydantic model accepts those in
    its body, and would refuse or drop another object without an annotation.
    """

    __module__ = "domainkit.values"

    field_name: str

    def __init__(self, field_name: str) -> None:
        super().__init__(lambda instance: unwrapped(getattr(instance, field_name)))
        self.field_name = field_name


def unwrapped(value: object) -> object:
    """Return a value with its value objects unwrapped, at every depth of tuples, frozensets and mappings.

    A secret stays wrapped, so that a log or a text shows no value of it.
    """
    if isinstance(value, Wrapper):
        return value if value._is_secret else unwrapped(value.value)
    if isinstance(value, tuple):
        return tuple(unwrapped(item) for item in value)
    if isinstance(value, frozenset):
        return frozenset(unwrapped(item) for item in value)
    if isinstance(value, Mapping):
        return {unwrapped(key): unwrapped(item) for key, item in value.items()}
    return value
