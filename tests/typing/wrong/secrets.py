"""Code that a type checker must refuse around secrets: each line marked `# wrong`, and no other."""

from typing import Annotated

from attrs import frozen
from returns.result import Result

from domainkit import DomainError, DomainEvent, InPlainText, InvalidValueObject, Secret


class WeakKey(DomainError): ...


class Key(Secret[str]): ...


class OtherKey(Secret[str]): ...


class Token(Secret[bytes, WeakKey]): ...


@frozen
class KeySent(DomainEvent):
    key: Annotated[Key, InPlainText]


def call(api: Key) -> None: ...


key = Key("sk_49f1b7")
Key(5)  # wrong: it wraps a str
Key(b"a")  # wrong: bytes are no str
Key()  # wrong: the value is missing
Key("a", "b")  # wrong: it wraps one value
call("sk_49f1b7")  # wrong: a text is no secret
call(OtherKey("sk_49f1b7"))  # wrong: another class of secrets
text: str = key  # wrong: the value comes out by name alone
number: int = key.reveal()  # wrong: it is a str
key.reveal().decode()  # wrong: a str has no decode
key.reveal("now")  # wrong: it takes nothing
key.value = "sk_new"  # wrong: frozen
"Bearer " + key  # wrong: a secret is no str
KeySent("sk_49f1b7")  # wrong: the field takes a Key
KeySent(OtherKey("a"))  # wrong: another class of secrets
KeySent(key).key.upper()  # wrong: a secret is no str
token: Result[Token, InvalidValueObject] = Token.parse(b"")  # wrong: it may be a WeakKey
keys: tuple[Key, ...] = (OtherKey("a"),)  # wrong: another class of secrets
