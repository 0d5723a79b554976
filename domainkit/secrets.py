"""Secrets: value objects whose values are shown nowhere, and written only where a field asks for it."""

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
    """The place of the value, for rich."""

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
        "_repr_pretty_": _pretty,  # of IPython; hypothesis asks for it too
    }
)
_METHODS: Final[Mapping[str, Callable[..., object]]] = MappingProxyType(
    {**_TEXTS, "__eq__": _equals, "__hash__": _hash}
)


class Secret(ValueObject[T_co, E_co], Generic[T_co, E_co]):
    """A value object whose value is a secret: a password, an API key, a number of a card.

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

    - Its texts are `ApiKey(***)`: `repr`, `str`, `format`, and those of rich, IPython, pytest and hypothesis.
    - A refusal has the class of the validator's error, and neither the text of that nor the error itself. A
      DomainError that a validator raises goes on unless it repeats a part of the value; its cause is dropped.
    - Messages, converters, stored states and pydantic models refuse it, when they are built, unless the field says
      `Annotated[ApiKey, InPlainText]`.
    - Two texts or bytes are compared in a time that tells their lengths alone.

    It is no encryption: `value` is readable for whoever has the object, and in a pickle, in `attrs.asdict` and in a
    debugger. A copy is a secret too.

    Raises:
        InvalidValueObject: as with ValueObject.
        DomainError: the one that a validator raised.
        TypeError: at class definition, the class has a text of its own, such as `__str__`.
    """

    __slots__ = ()

    _is_secret: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: object) -> None:
        for name in () if is_decorated(cls) else _TEXTS.keys() & cls.__dict__.keys():
            raise TypeError(
                f"{cls.__qualname__}.{name}: the text of a secret is {cls.__qualname__}(***); take the method out, and "
                "write one of another name for the part that may be shown"
            )
        super().__init_subclass__(**kwargs)

    def reveal(self) -> T_co:
        """Return the value, as `value` does: here a reader sees that a secret comes out.

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
    """Mark of a field whose secrets are written in plain text."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:  # Any: pydantic's types stay outside
        """Return how pydantic validates, dumps and describes the field. Nobody but pydantic calls it."""
        # as in ValueObject
        from domainkit.adapters.pydantic import plain_text_schema  # noqa: PLC0415

        return plain_text_schema(self, source, handler)


InPlainText: Final = _InPlainText()
"""In `Annotated[ApiKey, InPlainText]`: the field has its secret read and written in plain text.

It holds wherever the class of the field has a wire form: in messages, with a converter, in the stored state of an
aggregate, as a field of a pydantic model. Whoever sees what is written sees the secret: the broker, the outbox, the
dead letters. It holds for the secrets of a union or a collection too, such as `Annotated[ApiKey | None, InPlainText]`,
and not inside of other classes: their own fields say it.
"""
