"""Parts that the tests of secrets share: a text that nobody may see, classes that hold it, and the search for it."""

from typing import Annotated, NoReturn

from attrs import Attribute, field, frozen
from attrs.validators import in_, matches_re, min_len

from domainkit import AggregateRoot, DomainError, DomainEvent, InPlainText, Secret, Uuid

HUSH = "zq-HUSH-71834-pelican"
"""The value of a secret: no other text has six signs in a row of it."""

_PIECE = 6


def shows(*texts: object) -> list[str]:
    """Return the pieces of HUSH that are in the texts, or in what these objects are as text, in any case."""
    found = "\n".join(f"{text} {text!r}" for text in texts).casefold()
    pieces = (HUSH[start : start + _PIECE].casefold() for start in range(len(HUSH) - _PIECE + 1))
    return [piece for piece in pieces if piece in found]


class Key(Secret[str]): ...


class WeakKey(DomainError): ...


@frozen
class NoKey(DomainError):
    given: str


def tells_all(_: object, __: "Attribute[str]", text: str) -> NoReturn:
    """Refuse a value with a text that has it, caused by an error that has it too."""
    try:
        int(text)
    except ValueError as error:
        raise ValueError(f"{text} is no key, {text.encode().hex()}") from error
    raise AssertionError


def is_weak(_: object, __: "Attribute[str]", text: str) -> NoReturn:
    """Refuse a value with an error of the domain that says nothing of it, though its cause does."""
    try:
        int(text)
    except ValueError as error:
        raise WeakKey from error
    raise AssertionError


def is_weak_in_a_field(_: object, __: "Attribute[str]", text: str) -> NoReturn:
    """Refuse a value with an error of the domain that has it in a field."""
    raise NoKey(text)


def is_weak_in_words(_: object, __: "Attribute[str]", text: str) -> NoReturn:
    """Refuse a value with an error of the domain that has it in its message."""
    raise WeakKey(additional_info={"message": f"{text} is weak"})


def is_weak_in_a_note(_: object, __: "Attribute[str]", text: str) -> NoReturn:
    """Refuse a value with an error of the domain that has it in a note."""
    error = WeakKey()
    error.add_note(text)
    raise error


def refuse_in_a_converter(text: str) -> str:
    """Refuse a value before any validator sees it."""
    raise ValueError(text)


@frozen
class ByPattern(Secret[str]):
    value: str = field(validator=matches_re("sk_[a-z]+"))


@frozen
class ByOptions(Secret[str]):
    value: str = field(validator=in_(["sk_one", "sk_two"]))


@frozen
class ByLength(Secret[str]):
    value: str = field(validator=[min_len(100)])


@frozen
class ByOwnRule(Secret[str]):
    value: str = field(validator=tells_all)


@frozen
class ByConverter(Secret[str]):
    value: str = field(converter=refuse_in_a_converter)


@frozen
class ByFieldOfAnError(Secret[str, NoKey]):
    value: str = field(validator=is_weak_in_a_field)


@frozen
class ByWords(Secret[str, WeakKey]):
    value: str = field(validator=is_weak_in_words)


@frozen
class ByNote(Secret[str, WeakKey]):
    value: str = field(validator=is_weak_in_a_note)


@frozen
class ByHook(Secret[str]):
    def __attrs_post_init__(self) -> None:
        raise ValueError(self.value)


@frozen
class ByError(Secret[str, WeakKey]):
    value: str = field(validator=is_weak)


@frozen
class ByUnnamedError(Secret[str]):
    value: str = field(validator=is_weak)


class OfInt(Secret[int]): ...


REFUSING: tuple[type[Secret[object, object]], ...] = (
    ByPattern, ByOptions, ByLength, ByOwnRule, ByConverter, ByFieldOfAnError, ByWords, ByNote, ByHook, ByError,
    ByUnnamedError, OfInt,
)  # fmt: skip  # one list
"""Classes of secrets that refuse HUSH, each in a way of its own."""


class AccountId(Uuid): ...


@frozen
class Login:
    """A value object of several fields."""

    user: str
    key: Key
    old: tuple[Key, ...] = ()
    spare: Key | None = None


@frozen
class Account(AggregateRoot[AccountId]):
    """An aggregate that isn't stored."""

    login: Login


@frozen
class StoredAccount(AggregateRoot[AccountId]):
    """An aggregate that is stored, with its secret."""

    key: Annotated[Key, InPlainText]


@frozen
class KeyMade(DomainEvent):
    """An event that carries no secret, though it has one."""

    key: Key


@frozen
class KeySent(DomainEvent):
    """An event that carries a secret."""

    key: Annotated[Key, InPlainText]
    number: int = 0


@frozen
class KeyRefused(DomainError):
    """An error that has a secret in a field."""

    key: Key
