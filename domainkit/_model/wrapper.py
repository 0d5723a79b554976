"""The base of value objects: what conversion needs of them, which is one slot."""

from collections.abc import Mapping
from typing import Generic

from attrs import frozen
from typing_extensions import TypeVar

from domainkit._model.immutability import Frozen
from domainkit._speedups.slots import Slot

T_co = TypeVar("T_co", covariant=True)


@frozen(order=False)  # what attrs does unasked, and mypy believes only when it is said
class Wrapper(Frozen, Generic[T_co]):
    """A frozen object around one `value`."""

    value: T_co


VALUE: Slot = Wrapper.__dict__["value"]
"""The slot of a value object. Every class of value objects has this very one."""


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
    """Return what value objects wrap, at every depth of tuples, frozensets and mappings; anything else as it is."""
    if isinstance(value, Wrapper):
        return unwrapped(value.value)
    if isinstance(value, tuple):
        return tuple(unwrapped(item) for item in value)
    if isinstance(value, frozenset):
        return frozenset(unwrapped(item) for item in value)
    if isinstance(value, Mapping):
        return {unwrapped(key): unwrapped(item) for key, item in value.items()}
    return value
