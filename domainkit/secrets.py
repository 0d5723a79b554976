"""Secrets: value objects that never show their value, and write it only for fields marked InPlainText."""

from collections.abc import Callable, Iterator, Mapping
from hmac import compare_digest
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic

from attrs import frozen

from domainkit._model.internals import is_decorated
from domainkit._model.reasons import repeated_by
from domainkit._model.wrapper import PlainTextMark
from domainkit.errors import DomainError
from domainkit.values import E_co, T_co, ValueObject


def _hidden(self: "Secret[object, object]") -> str:
    return f"{type(self).__qualname__.rsplit('>.', 1)[-1]}(***)"


def _formatted(self: "Secret[object, object]", form: str) -> str:
    return format(_hidden(self), form)


class _Stars:
    """Placeholder for the value, for rich."""

    def __repr__(self) -> str:
        return "***"


def _rich(_: "Secret[object, object]") -> Iterator[object]:
    yield _Stars()


def _pretty(self: "Secret[object, object]", printer: Any, _: bool) -> None:  # noqa: FBT001  # Any: of IPython or hypothesis, which call it so
    printer.text(_hidden(self))


def _equals(self: "Secret[object, object]", other: object) -> object:
    if type(other) is not type(self):
        return NotImplemented
    one, two = self.value, other.value
    if isinstance(one, str) and isinstance(two, str):
        return compare_digest(one.encode("utf-8", "surrogatepass"), two.encode("utf-8", "surrogatepass"))
    if isinstance(one, bytes) and isinstance(two, bytes):
        return compare_digest(one, two)
    return one == two


def _hash(self: "Secret[object, object]") -> int:
    return hash((type(self), self.value))


_TEXTS: Final[Mapping[str, Callable[..., object]]] = MappingProxyType(
    {
        "__repr__": _hidden,
        "__str__": _hidden,
        "__format__": _formatted,
        "__rich_repr__": _rich,
        "_repr_pretty_": _pretty,  # for IPython and hypothesis
    }
)
_METHODS: Final[Mapping[str, Callable[..., object]]] = MappingProxyType(
    {**_TEXTS, "__eq__": _equals, "__hash__": _hash}
)


class Secret(ValueObject[T_co, E_co], Generic[T_co, E_co]):
    """A value object whose value is a secret: a password, an API key, a card number.

    >>> from attrs import field, frozen
    >>> from attrs.validators import min_len
    >>> @frozen
    ... class ApiKey(Secret[str]):
    ...     value: str = field(validator=min_len(8))
    >>> key = ApiKey("sk_49f1b7")
    >>> key, f"{key}", key.reveal()
    (ApiKey(***), 'ApiKey(***)', 'sk_49f1b7')
    >>> ApiKey.parse("sk_49")
    <Failure: InvalidValueObject [{'message': 'ApiKey: a validator refused the value (ValueError)'}]>

    - It is shown as `ApiKey(***)`: by `repr`, `str`, `format`, and by rich, IPython, pytest and hypothesis.
    - InvalidValueObject names the class of the validator's error, without its text and without the error itself. A
      DomainError that a validator raises is passed on unless it repeats a part of the value; its cause is dropped.
    - Codecs, converters, stored states and pydantic models raise an error when they are built for a class with a
      secret, unless the field is `Annotated[ApiKey, InPlainText]`.
    - Two texts, or two bytes, are compared in constant time: the duration depends on their lengths only.

    It is not encryption: code that has the object can read `value`, and so can a pickle, `attrs.asdict` and a debugger.
    A copy is a secret too.

    Raises:
        InvalidValueObject: as for ValueObject.
        DomainError: raised by a validator.
        TypeError: at class definition: the class defines a text method of its own, such as `__str__`.
    """

    __slots__ = ()

    _is_secret: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: object) -> None:
        for name in () if is_decorated(cls) else _TEXTS.keys() & cls.__dict__.keys():
            raise TypeError(
                f"{cls.__qualname__}.{name}: expected no text method, since a secret is shown as "
                f"{cls.__qualname__}(***); remove it, and give the part that may be shown a method of another name"
            )
        super().__init_subclass__(**kwargs)

    def reveal(self) -> T_co:
        """Return the value, as `value` does; the name shows readers of the code that a secret is exposed.

        >>> class Password(Secret[str]): ...
        >>> Password("hunter2").reveal()
        'hunter2'
        """
        return self.value

    def _refusal(self, error: Exception, given: tuple[object, ...], hint: object) -> DomainError:
        values = (*given, self.value) if hasattr(self, "value") else given
        if isinstance(error, DomainError) and not repeated_by(error, *values):
            error.__cause__ = error.__context__ = error.__traceback__ = None
            return error
        wrong = self._misfit(values[-1], hint) if values else None
        cls = type(self)
        return wrong or self._invalid(f"{cls.__qualname__}: a validator refused the value ({type(error).__qualname__})")

    @classmethod
    def _finish_definition(cls) -> None:
        super()._finish_definition()
        for name, method in _METHODS.items():  # in each class, since attrs writes its own into each
            type.__setattr__(cls, name, method)


@frozen
class _InPlainText(PlainTextMark):
    """Marker of a field whose secrets are written in plain text."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:  # Any: pydantic's types stay outside
        """Return the pydantic core schema of the field. Only pydantic calls it."""
        # as in ValueObject
        from domainkit.adapters.pydantic import plain_text_schema  # noqa: PLC0415

        return plain_text_schema(self, source, handler)


InPlainText: Final = _InPlainText()
"""Marker for a field whose secret is read and written in plain text, such as `Annotated[ApiKey, InPlainText]`.

It applies to messages, converters, stored states of aggregates, and pydantic models. The secret is then readable in
the broker, the outbox and the dead letters. It covers the secrets in a union or collection, such as
`Annotated[ApiKey | None, InPlainText]`, but not those inside other classes: mark their fields.
"""
