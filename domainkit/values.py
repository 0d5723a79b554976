"""Value objects: one wrapped value with a name, rules of its own, and equality by content."""

import os
import time
from functools import partial
from typing import Any, ClassVar, Generic, Self, TypeVar
from uuid import UUID, SafeUUID

import attrs
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit._model.annotations import type_of
from domainkit._model.constructors import HOOKS, set_init
from domainkit._model.immutability import freezing_init, holds_mapping, refuse_mutable
from domainkit._model.reasons import reason_of
from domainkit._model.type_checks import describe, exact_classes, fits
from domainkit._model.validators import condition, flattened, named, predicate
from domainkit._model.wrapper import VALUE as VALUE
from domainkit._model.wrapper import FieldSerializer as FieldSerializer
from domainkit._model.wrapper import Wrapper
from domainkit._model.wrapper import unwrapped as unwrapped
from domainkit._speedups.slots import COMPILED, Init, compiled_init, maker
from domainkit.errors import DomainError, InvalidUuid, InvalidValueObject

T = TypeVar("T")

_make_uuid = maker(UUID, "int", "is_safe")  # of a number that is known to be one: it is not looked at
_SAFETY = SafeUUID.unknown
_from_bytes = int.from_bytes
_NOT_GIVEN = object()


def _install_constructor(cls: type["ValueObject[T]"]) -> None:
    """Give `cls` a constructor that checks the type of `value`, runs its validators, and names the class in errors."""
    try:
        make = _constructor(cls)
    except NameError:  # UnresolvedAnnotationError, or that of an alias
        make = _late_constructor(cls)
    set_init(cls, make)  # what attrs.frozen does, with the checks of this library


def _late_constructor(cls: type["ValueObject[T]"]) -> Init:
    def __init__(self: "ValueObject[T]", *args: object, **kwargs: object) -> None:
        make = _constructor(cls)  # or it raises: the name still can't be found
        set_init(cls, make)
        make(self, *args, **kwargs)

    return __init__


def _constructor(cls: type["ValueObject[T]"]) -> Init:
    hint, attribute = type_of(cls, "value"), attrs.fields(cls).value
    refuse_mutable(hint, f"{cls.__qualname__}.value")
    _refuse_uncheckable(cls, hint)
    hooked = any(hasattr(cls, hook) for hook in HOOKS)
    plain = attribute.converter is None and attribute.default is attrs.NOTHING and not hooked
    if not plain and _misses_slots(cls):
        raise TypeError(f"{cls.__qualname__}.value: attrs can't set it in a class without slots; remove slots=False")
    make = _plain_constructor(hint, attribute) if plain else _wrapping_constructor(cls._generated_init, hint, attribute)
    mapping = holds_mapping(hint)
    if mapping:
        make = freezing_init(make, ("value",))
    make.__qualname__ = f"{cls.__qualname__}.__init__"
    return _compiled_constructor(hint, attribute, make) if COMPILED and plain and not mapping else make


def _compiled_constructor(hint: object, attribute: "attrs.Attribute[T]", make: Init) -> Init:
    """Return what does the same as `make`, in less time for a value that is in order."""
    exact, rules = exact_classes(hint), flattened(attribute.validator)
    rule = predicate(rules)
    if len(exact) != 1 or (rules and rule is None):
        return make
    return compiled_init(next(iter(exact)), VALUE, rule, make)


def _refuse_uncheckable(cls: type["ValueObject[T]"], hint: object) -> None:
    for wanted in exact_classes(hint):
        try:
            isinstance(None, wanted)
        except TypeError as error:  # a protocol that isn't made for it
            raise TypeError(
                f"{cls.__qualname__}.value: values can't be checked for {describe(hint)}: {error}"
            ) from error


def _misses_slots(cls: type["ValueObject[T]"]) -> bool:
    """Tell whether attrs writes `value` to the instance's dict, which the slot above it hides."""
    own = "__attrs_attrs__" in cls.__dict__ and not attrs.fields(cls).value.inherited
    return own and "__slots__" not in cls.__dict__


def _plain_constructor(hint: object, attribute: "attrs.Attribute[T]") -> Init:
    """Return a constructor that is generated: it checks the type, sets the slot, and checks the rules in place."""
    exact = exact_classes(hint)
    names: dict[str, object] = {
        "exact": next(iter(exact)) if len(exact) == 1 else exact, "hint": hint, "fits": fits,
        "wrong_type": _wrong_type, "set_value": VALUE.__set__, "validate": partial(_validate, attribute),
    }  # fmt: skip  # one table
    rules = flattened(attribute.validator)
    conditions = [condition(rule, "value", partial(named, names)) for rule in rules]
    lines = [
        "def __init__(self, value):",
        f"    if type(value) {'is not' if len(exact) == 1 else 'not in'} exact and not fits(value, hint):",
        "        raise wrong_type(type(self), value, hint)",
        "    set_value(self, value)",
    ]
    if rules and None not in conditions:
        rule = " and ".join(f"({one})" for one in conditions)
        lines += ["    try:", f"        if {rule}:", "            return", "    except Exception:", "        pass"]
    if rules:
        lines.append("    validate(self, value)")
    exec(compile("\n".join(lines), "<domainkit value object>", "exec"), names)  # noqa: S102  # source of our own, as in attrs
    made: Init = names["__init__"]  # type: ignore[assignment]  # the function that the text defines
    made.__annotations__ = {"value": hint, "return": None}
    return made


def _validate(attribute: "attrs.Attribute[T]", made: "ValueObject[T]", value: T) -> None:
    """Run the validator, and raise what it refuses with: a DomainError as it is, another as InvalidValueObject."""
    try:
        attribute.validator(made, attribute, value)  # type: ignore[misc]  # called only where there is one
        return
    except DomainError:
        raise
    except Exception as error:
        refusal = _refused(type(made), error, value)
    raise refusal  # outside of the handler: no context to leak


def _wrapping_constructor(generated: Init, hint: object, attribute: "attrs.Attribute[T]") -> Init:
    """Return a constructor around the one that attrs made, for a class with a converter, a default or hooks."""

    def __init__(self: "ValueObject[T]", value: object = _NOT_GIVEN) -> None:
        given = () if value is _NOT_GIVEN else (value,)
        try:
            generated(self, *given)
        except DomainError:
            raise
        except Exception as error:
            refusal = _refused_within(self, error, given, hint)
        else:
            if fits(self.value, hint):
                return
            refusal = _wrong_type(type(self), self.value, hint)
        raise refusal  # outside of the handler: no context to leak

    if attribute.default is attrs.NOTHING:
        __init__.__defaults__ = None  # so that Python itself says that the value is missing
    __init__.__wrapped__ = generated  # type: ignore[attr-defined]  # for inspect.signature
    return __init__


def _wrong_type(cls: type["ValueObject[T]"], value: object, hint: object) -> DomainError:
    found = "None" if value is None else type(value).__qualname__
    return cls._invalid(f"{cls.__qualname__} wraps {describe(hint)}, not {found}")


def _refused_within(made: "ValueObject[T]", error: Exception, given: tuple[object, ...], hint: object) -> DomainError:
    """Return the error for a converter, validator or hook that raised: it may have met a value of a wrong type."""
    values = (*given, made.value) if hasattr(made, "value") else given  # no value yet where the converter raised
    if values and not fits(values[-1], hint):
        return _wrong_type(type(made), values[-1], hint)
    return _refused(type(made), error, *values)


def _refused(cls: type["ValueObject[T]"], error: Exception, *values: object) -> DomainError:
    reason = reason_of(error, *values) or f"a validator refused the value ({type(error).__qualname__})"
    return cls._invalid(f"{cls.__qualname__}: {reason}")


def _refuse_shape(cls: type["ValueObject[T]"]) -> None:
    """Raise TypeError unless `cls` has the slot `value` of ValueObject, and a constructor that takes it alone."""
    for attribute in attrs.fields(cls):
        if attribute.name != "value":
            raise TypeError(
                f"{cls.__qualname__}.{attribute.name}: a value object wraps one field, `value`; "
                "a value object of several fields is a plain @attrs.frozen class without this base"
            )
        if (attribute.init, attribute.kw_only, attribute.alias) != (True, False, "value"):
            raise TypeError(
                f"{cls.__qualname__}.value: the constructor takes the value alone; remove init, kw_only and alias"
            )
    found = [base.__dict__["value"] for base in cls.__mro__ if "value" in base.__dict__]
    if found[0] is not found[-1]:
        raise TypeError(f"{cls.__qualname__}.value: the name is taken by ValueObject; give the attribute another name")


@frozen(order=False)  # as in Wrapper
class ValueObject(Wrapper[T], Generic[T]):
    """A small value with a name and rules: a title, an amount, an e-mail address.

    It wraps one `value` of the type `T`; it is frozen, hashable, and equal to another of exactly its class with an
    equal value. Its rules are attrs validators on `value`. A value object of several fields is a plain `@attrs.frozen`
    class.

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
        InvalidValueObject: the value is not of the type `T` (an int is no bool, a bool no int), is None where `T` does
            not name None, or a validator refused it: the message gives the validator's reason, and never the value.
        DomainError: the one that a validator raised.
    """

    _generated_init: ClassVar[Init]
    """The constructor that attrs made for this class, or for the nearest one above it."""

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
        """Return a Success with the value object, or a Failure that says why `raw` is none.

        It never raises, and converts nothing by itself.

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
        """Return what says, in the body of an attrs class or pydantic model, that a field's value object is unwrapped.

        It matters to a converter that keeps value objects wrapped (`make_converter(unwrap_value_objects=False)`). It is
        also a property that gives what the value object wraps.

        >>> from attrs import frozen
        >>> class Title(ValueObject[str]): ...
        >>> @frozen
        ... class Page:
        ...     title: Title
        ...     plain_title = ValueObject.serializer("title")
        >>> Page(Title("Buy milk")).plain_title
        'Buy milk'
        """
        return FieldSerializer(field_name)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:  # Any: pydantic's types stay outside
        """Return how pydantic validates, dumps and describes this class. Nobody but pydantic calls it."""
        # imported here, so that the core needs no pydantic: whoever calls this has it
        from domainkit.adapters.pydantic import value_object_schema  # noqa: PLC0415

        return value_object_schema(cls, source, handler)

    @classmethod
    def _build(cls, raw: object) -> Self:
        return cls(raw)  # type: ignore[arg-type]  # the constructor looks at its type

    @classmethod
    def _invalid(cls, reason: str) -> DomainError:
        return InvalidValueObject(additional_info={"message": reason})

    @classmethod
    def _finish_definition(cls) -> None:
        _refuse_shape(cls)
        if "__init__" in cls.__dict__:
            cls._generated_init = cls.__dict__["__init__"]
        _install_constructor(cls)


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

    __slots__ = ()  # every message holds one: without a dict of its own

    @classmethod
    def v4(cls) -> Self:
        """Return a new random id (RFC 9562, section 5.4), from the operating system's randomness.

        >>> Uuid.v4().to_uuid().version
        4
        """
        return cls(_make_uuid(_from_bytes(os.urandom(16)) & _VERSION_MASK | _VERSION_4, _SAFETY))

    @classmethod
    def v7(cls) -> Self:
        """Return a new id that sorts by its time of creation (RFC 9562, section 5.7).

        Its first 48 bits are the milliseconds since 1970-01-01 UTC, the next 12 the fraction of the millisecond
        (section 6.2, method 3); the other 62 are random. Ids made within about 244 ns of one another have no order.

        >>> Uuid.v7().to_uuid().version
        7
        """
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        fraction = rest * 4096 // 1_000_000
        random = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
        return cls(_make_uuid(milliseconds << 80 | _VERSION_7 | fraction << 64 | random, _SAFETY))

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
