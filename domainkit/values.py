"""Value objects: one wrapped value with a name, rules of its own, and equality by content."""

import inspect
import os
import time
from collections.abc import Callable
from typing import Generic, Self, TypeVar
from uuid import UUID, SafeUUID

import attrs
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit._classes import UnresolvedAnnotationError, type_of
from domainkit._frozen import Frozen, Init, refuse_mutable, set_init
from domainkit._types import describe, exact_classes, fits
from domainkit.errors import DomainError, InvalidUuid, InvalidValueObject

T = TypeVar("T")

_new = object.__new__
_HOOKS = ("__attrs_pre_init__", "__attrs_post_init__")


def _install_constructor(cls: type["ValueObject[T]"], generated: Init | None) -> None:
    """Give `cls` a constructor that checks the type of `value`, runs its validators, and names the class in errors."""
    try:
        hint = type_of(cls, "value")
    except UnresolvedAnnotationError:
        set_init(cls, _late_constructor(cls, generated))  # replaced at the first instance
        return
    refuse_mutable(hint, f"{cls.__qualname__}.value")
    attribute = attrs.fields(cls).value
    plain = attribute.converter is None and attribute.default is attrs.NOTHING
    if generated is None or (plain and not any(hasattr(cls, hook) for hook in _HOOKS)):
        make = _plain_constructor(cls, hint, attribute)
    else:
        make = _wrapping_constructor(cls, hint, generated)
    make.__qualname__ = f"{cls.__qualname__}.__init__"
    set_init(cls, make)


def _late_constructor(cls: type["ValueObject[T]"], generated: Init | None) -> Init:
    def __init__(self: "ValueObject[T]", *args: object, **kwargs: object) -> None:
        type_of(cls, "value")  # raises where the name still can't be found
        _install_constructor(cls, generated)
        again: Init = type(self).__init__
        again(self, *args, **kwargs)

    return __init__


def _plain_constructor(cls: type["ValueObject[T]"], hint: object, attribute: "attrs.Attribute[T]") -> Init:
    exact, validator = exact_classes(hint), attribute.validator

    def __init__(self: "ValueObject[T]", value: T) -> None:
        if type(value) not in exact and not fits(value, hint):
            raise _wrong_type(type(self), value, hint)
        _set_value(self, value)

    def __validating_init__(self: "ValueObject[T]", value: T) -> None:
        if type(value) not in exact and not fits(value, hint):
            raise _wrong_type(type(self), value, hint)
        _set_value(self, value)
        try:
            validator(self, attribute, value)  # type: ignore[misc]  # chosen below only where there is one
            return
        except DomainError:
            raise
        except Exception as error:
            reason = _reason(error, value)
        raise type(self)._invalid(f"{type(self).__qualname__}: {reason}")  # outside of the handler: no context to leak

    if validator is None:
        return __init__
    __validating_init__.__name__ = "__init__"
    return __validating_init__


def _wrapping_constructor(cls: type["ValueObject[T]"], hint: object, generated: Init) -> Init:
    """Return a constructor around the one that attrs made, for a class with a converter, a default or hooks."""
    signature = inspect.signature(generated)

    def __init__(self: "ValueObject[T]", *args: object, **kwargs: object) -> None:
        signature.bind(self, *args, **kwargs)
        try:
            generated(self, *args, **kwargs)
        except DomainError:
            raise
        except Exception as error:
            given = (*args, *kwargs.values())
            reason = _reason(error, *given)
        else:
            if fits(self.value, hint):
                return
            raise _wrong_type(type(self), self.value, hint)
        raise type(self)._invalid(f"{type(self).__qualname__}: {reason}")

    __init__.__wrapped__ = generated  # type: ignore[attr-defined]  # for inspect.signature
    return __init__


def _wrong_type(cls: type["ValueObject[T]"], value: object, hint: object) -> DomainError:
    found = "None" if value is None else type(value).__qualname__
    return cls._invalid(f"{cls.__qualname__} wraps {describe(hint)}, not {found}")


_LEAK = 6
_LONGEST_COMPARED = 65_536


def _reason(error: Exception, *values: object) -> str:
    """Return the text of a validator's error, unless it repeats a part of the value: that may be a secret."""
    text = str(error.args[0])[:500] if error.args else type(error).__qualname__
    if any(_repeats(text, str(value)) for value in values):
        return f"a validator refused the value ({type(error).__qualname__})"
    return text


def _repeats(text: str, secret: str) -> bool:
    if len(secret) > _LONGEST_COMPARED:
        return True
    if len(secret) <= _LEAK:
        return len(secret) > 1 and secret in text
    return any(text[start : start + _LEAK] in secret for start in range(len(text) - _LEAK + 1))


@frozen
class FieldSerializer:
    """Says that the value object in the field `field_name` is unwrapped. Made by `ValueObject.serializer`."""

    field_name: str


@frozen
class ValueObject(Frozen, Generic[T]):
    """A small value with a name and rules: a title, an amount, an e-mail address.

    It wraps one `value` of the type `T`; it is frozen, hashable, and equal to another of exactly its class with an equal
    value. Its rules are attrs validators on `value`. A value object of several fields is a plain `@attrs.frozen` class.

    >>> from attrs import field, frozen
    >>> from attrs.validators import max_len, min_len
    >>> @frozen
    ... class Title(ValueObject[str]):
    ...     value: str = field(validator=[min_len(1), max_len(20)])
    >>> Title("Buy milk")
    Title(value='Buy milk')
    >>> Title.parse(5)
    <Failure: InvalidValueObject [{'message': 'Title wraps str, not int'}]>

    A value object without rules is a class line alone: `class Note(ValueObject[str]): ...`.

    Raises:
        InvalidValueObject: the value is not of the type `T` (an int is no bool, a bool no int), is None where `T` does not
            name None, or a validator refused it: the message gives the validator's reason, and never the value.
        DomainError: the one that a validator raised.
    """

    value: T

    @classmethod
    def from_value(cls, raw: T) -> Self:
        """Return the value object that wraps `raw`.

        >>> class Note(ValueObject[str]): ...
        >>> Note.from_value("call home")
        Note(value='call home')

        Raises:
            InvalidValueObject: `raw` is not of the type `T`, or a validator refused it.
        """
        return cls(raw)

    @classmethod
    def parse(cls, raw: object) -> Result[Self, DomainError]:
        """Return a Success with the value object, or a Failure that says why `raw` is none; never raises, never converts.

        >>> class Quantity(ValueObject[int]): ...
        >>> Quantity.parse(3)
        <Success: Quantity(value=3)>
        >>> Quantity.parse("3")
        <Failure: InvalidValueObject [{'message': 'Quantity wraps int, not str'}]>
        """
        try:
            return Success(cls._build(raw))
        except DomainError as error:
            return Failure(error.with_traceback(None))

    @staticmethod
    def serializer(field_name: str) -> FieldSerializer:
        """Return what says, in the body of an attrs class, that this field's value object is unwrapped.

        It matters to a converter that keeps value objects wrapped (`make_converter(unwrap_value_objects=False)`).

        >>> from attrs import frozen
        >>> class Title(ValueObject[str]): ...
        >>> @frozen
        ... class Page:
        ...     title: Title
        ...     _title = ValueObject.serializer("title")
        """
        return FieldSerializer(field_name)

    @classmethod
    def _build(cls, raw: object) -> Self:
        construct: Callable[..., Self] = cls
        return construct(raw)

    @classmethod
    def _invalid(cls, reason: str) -> DomainError:
        return InvalidValueObject(additional_info={"message": reason})

    @classmethod
    def _finish_definition(cls) -> None:
        for attribute in attrs.fields(cls):
            if attribute.name != "value":
                raise TypeError(
                    f"{cls.__qualname__}.{attribute.name}: a value object wraps one field, `value`; "
                    "a value object of several fields is a plain @attrs.frozen class without this base"
                )
        own: Init | None = cls.__dict__.get("__init__")
        _install_constructor(cls, own)


_set_value = ValueObject.__dict__["value"].__set__
"""Sets the slot of a new value object. Every subclass has this very slot."""


class Uuid(ValueObject[UUID]):
    """An identity: a UUID (RFC 9562) with a class of its own.

    `class TaskId(Uuid): ...` needs no decorator. A TaskId never equals a UserId, and is not accepted for one.

    >>> class TaskId(Uuid): ...
    >>> task_id = TaskId.from_str("A7F8FB8E-6A0B-4F3E-9A55-1D6F0C2B4E11")
    >>> str(task_id)
    'a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11'

    Raises:
        InvalidUuid: the value is no `uuid.UUID`.
    """

    @classmethod
    def v4(cls) -> Self:
        """Return a new random id (RFC 9562, section 5.4), from the operating system's randomness.

        >>> Uuid.v4().to_uuid().version
        4
        """
        return cls._trusted((int.from_bytes(os.urandom(16)) & _VERSION_MASK) | _VERSION_4)

    @classmethod
    def v7(cls) -> Self:
        """Return a new id that sorts by its time of creation (RFC 9562, section 5.7).

        Its first 48 bits are the milliseconds since 1970-01-01 UTC, the next 12 the fraction of the millisecond (section
        6.2, method 3); the other 62 are random. Ids made within about 244 ns of one another have no order.

        >>> Uuid.v7().to_uuid().version
        7
        """
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        fraction = rest * 4096 // 1_000_000
        random = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
        return cls._trusted(milliseconds << 80 | _VERSION_7 | fraction << 64 | random)

    @classmethod
    def _trusted(cls, number: int) -> Self:
        """Return the id of a number that is known to be a UUID: half the time of `UUID(int=...)`."""
        uuid = _new(UUID)
        object.__setattr__(uuid, "int", number)
        object.__setattr__(uuid, "is_safe", SafeUUID.unknown)
        made = _new(cls)
        _set_value(made, uuid)
        return made

    @classmethod
    def from_value(cls, raw: str | UUID) -> Self:
        """Return the id with this text or this `uuid.UUID`.

        >>> Uuid.from_value("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11").value
        UUID('a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11')

        Raises:
            InvalidUuid: the text is no UUID, or `raw` is something else.
        """
        return cls.from_str(raw) if isinstance(raw, str) else cls(raw)

    @classmethod
    def _build(cls, raw: object) -> Self:
        return cls.from_str(raw) if isinstance(raw, str) else super()._build(raw)

    @classmethod
    def from_uuid(cls, uuid: UUID) -> Self:
        """Return the id with this `uuid.UUID`.

        >>> Uuid.from_uuid(UUID(int=0))
        Uuid(value=UUID('00000000-0000-0000-0000-000000000000'))

        Raises:
            InvalidUuid: `uuid` is something else.
        """
        return cls(uuid)

    @classmethod
    def from_str(cls, text: str) -> Self:
        """Return the id with this text: 32 hexadecimal digits of either case, with the four hyphens or without any.

        >>> Uuid.from_str("a7f8fb8e6a0b4f3e9a551d6f0c2b4e11") == Uuid.from_str("A7F8FB8E-6A0B-4F3E-9A55-1D6F0C2B4E11")
        True

        Raises:
            InvalidUuid: `text` is written in another way, or is no str.
        """
        if isinstance(text, str):
            digits = text.replace("-", "")
            if len(digits) == 32 and digits.isascii() and digits.isalnum():
                try:
                    uuid = UUID(digits)
                except ValueError:
                    pass
                else:
                    if text.lower() in (str(uuid), uuid.hex):
                        return cls(uuid)
        raise cls._invalid(f"{cls.__qualname__} wraps a UUID, such as a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")

    @classmethod
    def _invalid(cls, reason: str) -> DomainError:
        return InvalidUuid(additional_info={"message": reason})

    def to_uuid(self) -> UUID:
        """Return the wrapped `uuid.UUID`.

        >>> Uuid.from_uuid(UUID(int=5)).to_uuid().int
        5
        """
        return self.value

    def __str__(self) -> str:
        """Return the canonical text: lower case, with hyphens (RFC 9562, section 4)."""
        return str(self.value)


_VERSION_MASK = ~(0xF << 76 | 0x3 << 62) & ((1 << 128) - 1)
_VERSION_4 = 0x4 << 76 | 0x2 << 62
_VERSION_7 = 0x7 << 76 | 0x2 << 62
