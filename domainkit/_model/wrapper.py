"""The base of value objects: what conversion needs of them, which is one slot."""

from collections.abc import Mapping
from typing import ClassVar, Generic

import attrs
from attrs import frozen
from typing_extensions import TypeVar

from domainkit._model.immutability import Frozen
from domainkit._speedups.slots import Slot

T_co = TypeVar("T_co", covariant=True)


@frozen(order=False)  # what attrs does unasked, and mypy believes only when it is said
class Wrapper(Frozen, Generic[T_co]):
    """A frozen object around one `value`."""

    value: T_co

    _is_secret: ClassVar[bool] = False
    """Whether the value is shown nowhere, and written only by a field that asks for it."""


VALUE: Slot = Wrapper.__dict__["value"]
"""The slot of a value object. Every class of value objects has this very one."""


def is_secret(cls: object) -> bool:
    """Check if this is a class of value objects whose values are secret."""
    return isinstance(cls, type) and issubclass(cls, Wrapper) and cls._is_secret


def holds_secret(value: object) -> bool:
    """Check if there is a secret in a value, inside of collections and attrs objects too."""
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
    """The class of the mark `InPlainText`, which adds to it."""


class FieldSerializer(property):
    """Mark of the field `field_name`: its value object is unwrapped. Made by `ValueObject.serializer`.

    Read on an instance, it is what the field's value object wraps. It is a property, since a pydantic model takes those
    in its body, and would refuse or swallow another object that has no annotation.
    """

    __module__ = "domainkit.values"

    field_name: str

    def __init__(self, field_name: str) -> None:
        super().__init__(lambda instance: unwrapped(getattr(instance, field_name)))
        self.field_name = field_name


def unwrapped(value: object) -> object:
    """Return what value objects wrap, at every depth of tuples, frozensets and mappings; anything else as it is.

    A secret stays as it is too: where it is logged or shown, its value isn't.
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
