"""Value objects: one wrapped value with a name, rules of its own, and equality by content."""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Generic, Never, Self, get_args, get_origin
from uuid import UUID, SafeUUID

import attrs
from attrs import frozen
from returns.result import Failure, Result, Success
from typing_extensions import TypeVar

from domainkit._model.annotations import parameters_of, type_arguments, type_of
from domainkit._model.constructors import HOOKS, checking, freezing
from domainkit._model.immutability import install
from domainkit._model.internals import alias_class, caches_hash
from domainkit._model.loading import LOADING
from domainkit._model.mutable_types import holds_mapping, refuse_mutable
from domainkit._model.reasons import reason_of
from domainkit._model.type_checks import describe, exact_classes, members, misfit
from domainkit._model.validators import flattened, predicate
from domainkit._model.wrapper import VALUE as VALUE
from domainkit._model.wrapper import FieldSerializer as FieldSerializer
from domainkit._model.wrapper import Wrapper, is_secret
from domainkit._model.wrapper import unwrapped as unwrapped
from domainkit._speedups.slots import Init, initializer, maker
from domainkit.errors import DomainError, InvalidUuid, InvalidValueObject

T_co = TypeVar("T_co", covariant=True)
E_co = TypeVar("E_co", covariant=True, default=Never)
E = TypeVar("E")
T = TypeVar("T")
V = TypeVar("V", bound="ValueObject[object, object]")
InvalidT = TypeVar("InvalidT", bound=InvalidValueObject)

_make_uuid = maker(UUID, "int", "is_safe")  # without the checks of UUID: the number is known to be valid
_SAFETY = SafeUUID.unknown
_from_bytes = int.from_bytes


def _constructor(cls: type["ValueObject[object, object]"]) -> Init:
    """Return the constructor for the type of `value`; NameError while that can't be resolved."""
    hint, attribute = type_of(cls, "value"), attrs.fields(cls).value
    refuse_mutable(hint, f"{cls.__qualname__}.value")
    exact, as_given = exact_classes(hint), _is_set_as_given(cls, attribute)
    _refuse_uncheckable(cls, hint, exact)
    init = _slot_setting(attribute) if _misses_slots(cls, as_given=as_given) else cls._generated_init
    mapping = holds_mapping(hint)
    init = freezing(init, ("value",)) if mapping else init
    needed, secret = attribute.default is attrs.NOTHING, is_secret(cls)
    made = checking(init, hint, exact, as_given=as_given, needed=needed, secret=secret)
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    rules = flattened(attribute.validator)
    rule = predicate(rules)
    unusual = not as_given or mapping or len(exact) != 1 or caches_hash(cls) or secret
    if unusual or (rules and rule is None):
        return made
    return initializer(cls, VALUE, next(iter(exact)), rule, made)


def _is_set_as_given(cls: type, attribute: "attrs.Attribute[object]") -> bool:
    """Check if the stored value is always the given one: no converter, default or hook changes it."""
    hooked = any(hasattr(cls, hook) for hook in HOOKS)
    return attribute.converter is None and attribute.default is attrs.NOTHING and not hooked


def _refuse_uncheckable(cls: type, hint: object, exact: frozenset[type]) -> None:
    for wanted in exact:
        try:
            isinstance(None, wanted)
        except TypeError as error:  # a protocol that isn't runtime_checkable
            raise TypeError(
                f"{cls.__qualname__}.value: expected a type that isinstance() can check, got {describe(hint)}: {error}"
            ) from error


def _misses_slots(cls: type["ValueObject[object, object]"], *, as_given: bool) -> bool:
    """Check if attrs' constructor writes `value` to the instance's dict, which the slot above it hides."""
    owner = next(base for base in cls.__mro__ if "_generated_init" in base.__dict__)
    misses = "__slots__" not in owner.__dict__ and not attrs.fields(owner).value.inherited
    if misses and not as_given:
        raise TypeError(f"{cls.__qualname__}: expected a class with slots, got one without; remove slots=False")
    return misses


def _slot_setting(attribute: "attrs.Attribute[object]") -> Init:
    def __init__(self: "ValueObject[object, object]", value: object) -> None:
        VALUE.__set__(self, value)
        if attribute.validator is not None:
            attribute.validator(self, attribute, value)

    return __init__


def _refuse_shape(cls: type["ValueObject[object, object]"]) -> None:
    """Raise TypeError unless `cls` has the slot `value` of ValueObject, and a constructor that takes it alone."""
    for attribute in attrs.fields(cls):
        if attribute.name != "value":
            raise TypeError(
                f"{cls.__qualname__}.{attribute.name}: a value object wraps one field, `value`; "
                "a value object of several fields is a plain @attrs.frozen class without this base"
            )
        if (attribute.init, attribute.kw_only, attribute.alias) != (True, False, "value"):
            raise TypeError(
                f"{cls.__qualname__}.value: expected a positional argument, got an option init, kw_only or alias; "
                "remove it"
            )
    found = [base.__dict__["value"] for base in cls.__mro__ if "value" in base.__dict__]
    if found[0] is not found[-1]:
        raise TypeError(f"{cls.__qualname__}.value: the name is taken by ValueObject; give the attribute another name")


_CheckedAlias = alias_class(
    "_CheckedAlias",
    {
        "__call__": lambda self, *args, **kwargs: _checked(self, self.__origin__, *args, **kwargs),
        "from_value": lambda self, raw: _checked(self, self.__origin__.from_value, raw),
        "parse": lambda self, raw: _parsed(self.__origin__, partial(_checked, self, self.__origin__._build), raw),
    },
)
"""A generic value object with its arguments, such as `NonEmpty[Colour]`: its instances are checked against them."""


@frozen(order=False)  # as in Wrapper
class ValueObject(Wrapper[T_co], Generic[T_co, E_co]):
    """A small value with a name and rules: a title, an amount, an e-mail address.

    It wraps one `value` of the type `T`. It is frozen, hashable, and equal to an instance of the same class with an
    equal value. Its rules are attrs validators on `value`. For several fields, write a plain `@attrs.frozen` class.

    >>> from attrs import field, frozen
    >>> from attrs.validators import max_len, min_len
    >>> @frozen
    ... class Title(ValueObject[str]):
    ...     value: str = field(validator=[min_len(1), max_len(20)])
    >>> Title("Buy milk")
    Title(value='Buy milk')
    >>> Title.parse(5)
    <Failure: InvalidValueObject [{'message': 'Title: expected str, got int'}]>

    A value object without rules needs one line: `class Note(ValueObject[str]): ...`.

    Raises:
        InvalidValueObject: the value is not of the type `T` (an int is not a bool, a bool not an int), is None although
            `T` does not include None, or fails a validator: the message gives its reason, and never the value.
        DomainError: raised by a validator.
    """

    value: T_co

    _generated_init: ClassVar[Init]
    """The constructor that attrs generated for this class, or for its nearest base."""

    @classmethod
    def from_value(cls, raw: T_co) -> Self:  # type: ignore[misc]  # the constructor checks the value
        """Return the value object that wraps `raw`.

        >>> class Note(ValueObject[str]): ...
        >>> Note.from_value("call home")
        Note(value='call home')

        Raises:
            InvalidValueObject: `raw` is not of the type `T`, or a validator refused it.
        """
        return cls(raw)

    @classmethod
    def parse(cls, raw: object) -> Result[Self, InvalidValueObject | E_co]:
        """Return a Success with the value object, or a Failure with the reason why `raw` is invalid.

        It never raises, and converts nothing unless the class has a converter.

        >>> class Quantity(ValueObject[int]): ...
        >>> Quantity.parse(3)
        <Success: Quantity(value=3)>
        >>> Quantity.parse("3")
        <Failure: InvalidValueObject [{'message': 'Quantity: expected int, got str'}]>

        If a validator raises a DomainError of a class in E, the Failure has that error. Any other DomainError becomes
        the `__cause__` of an InvalidValueObject.
        """
        return _parsed(cls, cls._build, raw)

    @staticmethod
    def serializer(field_name: str) -> FieldSerializer:
        """Return a marker for the body of an attrs class or pydantic model: converters unwrap this field.

        Converters that keep value objects wrapped use it (`make_converter(unwrap_value_objects=False)`). It is also a
        property that returns the wrapped value.

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
        """Return the pydantic core schema of this class. Only pydantic calls it."""
        # imported here, so that the core works without pydantic
        from domainkit.adapters.pydantic import value_object_schema  # noqa: PLC0415

        return value_object_schema(cls, source, handler)

    @classmethod
    def _build(cls, raw: object) -> Self:
        return cls(raw)  # type: ignore[arg-type]  # the constructor checks the type

    @classmethod
    def _invalid(cls, reason: str) -> InvalidValueObject:
        return InvalidValueObject(additional_info={"message": reason})

    @classmethod
    def _misfit(cls, value: object, hint: object) -> InvalidValueObject | None:
        text = misfit(value, hint, cls.__qualname__)
        return None if text is None else cls._invalid(text)

    @classmethod
    def _require(cls, value: object, hint: object) -> None:
        problem = cls._misfit(value, hint)
        if problem is not None:
            raise problem

    def _refusal(self, error: Exception, given: tuple[object, ...], hint: object) -> DomainError:
        """Return the error for an exception of a converter, validator or hook, which may stem from a wrong type."""
        if isinstance(error, DomainError):
            return error
        values = (*given, self.value) if hasattr(self, "value") else given  # no value yet if the converter raised
        wrong = self._misfit(values[-1], hint) if values else None
        return wrong or self._invalid(_refusal_text(type(self), error, *values))

    @classmethod
    def _finish_definition(cls) -> None:
        _refuse_shape(cls)
        if "__init__" in cls.__dict__:
            cls._generated_init = cls.__dict__["__init__"]
        choose = partial(_constructor, cls)
        install(cls, cls._generated_init, choose, at_last=choose)


def _with_arguments(cls: type[ValueObject[object, object]], arguments: object) -> object:
    alias = super(ValueObject, cls).__class_getitem__(arguments)  # type: ignore[misc]  # that of Generic, unknown to typeshed
    kept = vars(alias)  # typing keeps the alias
    if "_checked" not in kept:
        kept["_checked"] = _CheckedAlias(alias.__origin__, alias.__args__)
    return kept["_checked"]


# set here, so that type checkers see an ordinary generic class
type.__setattr__(ValueObject, "__class_getitem__", classmethod(_with_arguments))


def _parsed(
    cls: type[ValueObject[object, E]], make: Callable[[object], V], raw: object
) -> Result[V, InvalidValueObject | E]:
    try:
        return Success(make(raw))
    except DomainError as error:
        error.__traceback__ = None
        return Failure(
            error if isinstance(error, _named_errors(cls)) else _as_invalid(cls, InvalidValueObject, error, raw)
        )


def _named_errors(cls: type[ValueObject[object, E]]) -> tuple[type[E], ...]:
    """Return the error classes that `cls` declares as E."""
    named = type_arguments(cls, ValueObject).get(parameters_of(ValueObject)[1], Never)
    return tuple(error for error in members(named) if isinstance(error, type))


def _as_invalid(cls: type, refusal: type[InvalidT], error: DomainError, raw: object) -> InvalidT:
    """Return `error` if it is an instance of `refusal`, else a new `refusal` with `error` as its cause."""
    if isinstance(error, refusal):
        return error
    made = refusal(additional_info={"message": _refusal_text(cls, error, raw)})
    made.__cause__ = error
    return made


def _refusal_text(cls: type, error: Exception, *values: object) -> str:
    reason = reason_of(error, *values) or f"a validator refused the value ({type(error).__qualname__})"
    return f"{cls.__qualname__}: {reason}"


def _checked(alias: object, make: Callable[..., V], *args: object, **kwargs: object) -> V:
    """Return the value object that `make` returns, after checking its value against the type arguments of the alias."""
    cls: type[ValueObject[object, object]] = get_origin(alias)  # type: ignore[assignment]  # the class that was given arguments
    kept = vars(alias)
    if "_hint" not in kept:
        kept["_hint"] = type_of(cls, "value", dict(zip(parameters_of(cls), get_args(alias), strict=False)))
    hint = kept["_hint"]
    given = (*args, *kwargs.values())
    if given and _is_set_as_given(cls, attrs.fields(cls).value):
        cls._require(given[0], hint)
        return make(*args, **kwargs)
    made = make(*args, **kwargs)
    cls._require(made.value, hint)
    return made


class Uuid(ValueObject[UUID]):
    """An identity: a UUID (RFC 9562) as a value object.

    Derive a class for each kind of id; `class TaskId(Uuid): ...` needs no decorator. A TaskId never equals a UserId.

    >>> class TaskId(Uuid): ...
    >>> task_id = TaskId.from_str("A7F8FB8E-6A0B-4F3E-9A55-1D6F0C2B4E11")
    >>> str(task_id)
    'a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11'

    Raises:
        InvalidUuid: the value is not a `uuid.UUID`.
    """

    __slots__ = ()  # no dict for each id, since every message has one

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
        (section 6.2, method 3); the other 62 are random. Ids created within about 244 ns of each other have no order.

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
            InvalidUuid: the text is not a UUID, or `raw` is of another type.
        """
        return cls.from_str(raw) if isinstance(raw, str) else cls(raw)

    @classmethod
    def parse(cls, raw: object) -> Result[Self, InvalidUuid]:
        """Return a Success with the id of this text or `uuid.UUID`, or a Failure with the reason why `raw` is invalid.

        >>> Uuid.parse("7d2b").failure().additional_info
        {'message': 'Uuid: expected a UUID, such as a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11'}
        """
        try:
            return Success(cls.from_str(raw) if isinstance(raw, str) else cls._build(raw))
        except DomainError as error:
            error.__traceback__ = None
            return Failure(_as_invalid(cls, InvalidUuid, error, raw))

    @classmethod
    def from_uuid(cls, uuid: UUID) -> Self:
        """Return the id with this `uuid.UUID`.

        >>> Uuid.from_uuid(UUID(int=0))
        Uuid(value=UUID('00000000-0000-0000-0000-000000000000'))

        Raises:
            InvalidUuid: `uuid` is not a `uuid.UUID`.
        """
        return cls(uuid)

    @classmethod
    def from_str(cls, text: str) -> Self:
        """Return the id with this text: 32 hexadecimal digits of either case, with all four hyphens or without hyphens.

        >>> Uuid.from_str("a7f8fb8e6a0b4f3e9a551d6f0c2b4e11") == Uuid.from_str("A7F8FB8E-6A0B-4F3E-9A55-1D6F0C2B4E11")
        True

        Raises:
            InvalidUuid: `text` has another form, or is not a str.
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
        raise cls._invalid(f"{cls.__qualname__}: expected a UUID, such as a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")

    @classmethod
    def _invalid(cls, reason: str) -> InvalidUuid:
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


def parse(cls: type[T], raw: object) -> Result[T, InvalidValueObject]:
    """Return a Success with an instance of `cls` built from raw data, or a Failure that lists every problem.

    Use it for value objects of several fields: frozen attrs classes. Each field takes its JSON form, or an object of
    its type. Nothing is coerced, and unknown keys are ignored, as in messages.

    >>> from decimal import Decimal
    >>> @frozen
    ... class Money:
    ...     amount: Decimal
    ...     currency: str = "EUR"
    >>> parse(Money, {"amount": "12.50"})
    <Success: Money(amount=Decimal('12.50'), currency='EUR')>
    >>> for problem in parse(Money, {"amount": 12.5, "currency": None}).failure().problems:
    ...     print(problem)
    $.amount: expected a decimal number as text, such as "12.50" (type)
    $.currency: expected str (type)

    Args:
        cls: the class; a generic class with its arguments.
        raw: a mapping of raw values, or an instance of the class.

    Returns:
        A Failure has `problems`, each with its path and never with a value. The text of a validator's error is
        included unless it repeats a part of a value.

    Raises:
        UnsupportedTypeError: a field of the class has a type without a wire form.
    """
    # imported here: the conversion takes longer to import than the whole model
    with LOADING:
        from domainkit.conversion.derive import node_to_parse  # noqa: PLC0415
        from domainkit.conversion.nodes import MISSING, Problems  # noqa: PLC0415

    name, node = describe(cls), node_to_parse(cls)
    problems, made = Problems(native=True), MISSING
    try:
        made = node.read(raw, "$", problems)
    except RecursionError:
        problems.add("$", "fewer levels of nesting than the interpreter's stack has room for", "limit")
    if not problems:
        return Success(made)  # type: ignore[arg-type]  # made by the node of the class
    info = {"message": f"{name}: {'; '.join(map(str, problems))}"}
    return Failure(InvalidValueObject(additional_info=info, problems=tuple(problems)))
