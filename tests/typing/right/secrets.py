"""Secrets: what they wrap and reveal, what their fields are, and what parse returns."""

from collections.abc import Mapping
from typing import Annotated, assert_type

from attrs import field, frozen
from attrs.validators import min_len
from returns.result import Result

from domainkit import DomainError, DomainEvent, InPlainText, InvalidValueObject, Secret, ValueObject, parse


class WeakKey(DomainError): ...


class Key(Secret[str]): ...


@frozen
class Token(Secret[bytes, WeakKey]):
    value: bytes = field(validator=min_len(8))


@frozen
class Login:
    key: Key
    token: Annotated[Token | None, InPlainText] = None


@frozen
class KeySent(DomainEvent):
    key: Annotated[Key, InPlainText]
    old: Annotated[tuple[Key, ...], InPlainText] = ()
    by_name: Annotated[Mapping[str, Key], InPlainText] = {}
    token: Secret[str] | None = None


key = Key("sk_49f1b7")
assert_type(key, Key)
assert_type(key.value, str)
assert_type(key.reveal(), str)
assert_type(Key.from_value("a"), Key)
assert_type(Key.parse(5), Result[Key, InvalidValueObject])
assert_type(Token(b"12345678").reveal(), bytes)
assert_type(Token.parse(b""), Result[Token, InvalidValueObject | WeakKey])
assert_type(Secret[str]("a").reveal(), str)
assert_type(KeySent(key).key, Key)
assert_type(KeySent(key).key.reveal(), str)
assert_type(KeySent(key).old, tuple[Key, ...])
assert_type(Login(key).token, Token | None)
assert_type(parse(Login, {"key": "a"}), Result[Login, InvalidValueObject])
assert_type(hash(key), int)
wider: Secret[object, object] = key
widest: ValueObject[object, object] = Token(b"12345678")
same: bool = key == Key("a")
