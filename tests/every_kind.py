"""A message with every kind of field, and random ones of it: quick to make by the hundred thousand."""

import random
import string
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Generic, Literal, NewType, TypeVar
from uuid import UUID

from attrs import field, frozen
from attrs.validators import ge, min_len
from msgspec import Meta

from domainkit import Command, DomainEvent, JsonValue, MessageHeader, Tagged, Uuid, ValueObject

T = TypeVar("T")


class OrderId(Uuid): ...


class Sku(ValueObject[str]): ...


@frozen
class Title(ValueObject[str]):
    value: str = field(validator=min_len(1))


@frozen
class Quantity(ValueObject[int]):
    value: int = field(validator=ge(0))


class Price(ValueObject[Decimal]): ...


class Ratio(ValueObject[float]): ...


class Moment(ValueObject[datetime]): ...


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


Nickname = NewType("Nickname", str)


@frozen
class Line:
    sku: Sku
    quantity: Quantity
    price: Price
    note: str | None = None


@frozen
class Card:
    number: str


@frozen
class Transfer:
    iban: str
    reference: Title | None


@frozen
class Tree:
    name: str
    children: tuple["Tree", ...] = ()


@frozen
class Pair(Generic[T]):
    left: T
    right: T


@frozen
class EveryKind(DomainEvent):
    text: str
    number: int
    flag: bool
    ratio: float
    nothing: None
    uuid: UUID
    raw: bytes
    day: date
    moment: datetime
    at: time
    span: timedelta
    amount: Decimal
    colour: Colour
    level: Level
    literal: Literal["a", "b", 3]
    nickname: Nickname
    bounded: Annotated[int, Meta(ge=0, le=9)]
    order_id: OrderId
    title: Title
    quantity: Quantity
    price: Price
    value_ratio: Ratio
    value_moment: Moment
    maybe: Title | None
    either: Title | Quantity | None
    number_or_text: int | str
    lines: tuple[Line, ...]
    fixed: tuple[int, Title, UUID]
    ids: frozenset[OrderId]
    words: frozenset[str]
    prices: Mapping[Sku, Price]
    by_id: Mapping[OrderId, tuple[Quantity, ...]]
    counts: Mapping[int, str]
    payment: Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)]
    tree: Tree
    pair: Pair[Title]
    _private: int
    renamed: str = field(alias="camelCase")
    defaulted: int = 7
    collected: tuple[str, ...] = field(factory=tuple)


@frozen
class Plain(Command):
    text: str


_ALPHABET = string.printable + "äöüßéñ漢字🎉\u0000\u2028\ufeff\U0010ffff"


class Maker:
    """Makes random messages from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, least: int = 0) -> str:
        return "".join(self.random.choices(_ALPHABET, k=self.random.randint(least, 12)))

    def number(self) -> int:
        return self.random.choice(
            [0, 1, -1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**40, self.random.randint(-999, 999)]
        )

    def ratio(self) -> float:
        return self.random.choice([0.0, -0.0, 1.5, 1e-300, 1e300, 5e-324, self.random.uniform(-1e6, 1e6)])

    def amount(self) -> Decimal:
        exponent = self.random.randint(-8, 8)
        return Decimal(self.random.randint(-(10**9), 10**9)).scaleb(exponent)

    def uuid(self) -> UUID:
        return UUID(int=self.random.getrandbits(128))

    def day(self) -> date:
        return date.fromordinal(self.random.randint(1, date.max.toordinal()))

    def offset(self) -> timezone:
        return timezone(timedelta(minutes=self.random.randint(-1439, 1439)))

    def time(self) -> time:
        pick = self.random.randrange
        return time(pick(24), pick(60), pick(60), pick(10**6), self.random.choice([None, UTC, self.offset()]))

    def moment(self) -> datetime:
        day = date.fromordinal(self.random.randint(3, date.max.toordinal() - 3))
        return datetime.combine(day, self.time().replace(tzinfo=None), self.random.choice([UTC, self.offset()]))

    def span(self) -> timedelta:
        return timedelta(
            self.random.randint(-9999, 9999), self.random.randint(0, 86399), self.random.randint(0, 999_999)
        )

    def several(self, make: Callable[[], T], most: int = 4) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.random.randint(0, most)))

    def title(self) -> Title:
        return Title(self.text(least=1))

    def quantity(self) -> Quantity:
        return Quantity(abs(self.number()))

    def price(self) -> Price:
        return Price(self.amount())

    def order_id(self) -> OrderId:
        return OrderId(self.uuid())

    def sku(self) -> Sku:
        return Sku(self.text())

    def line(self) -> Line:
        return Line(self.sku(), self.quantity(), self.price(), self.random.choice([None, self.text()]))

    def tree(self, depth: int = 2) -> Tree:
        return Tree(self.text(), self.several(lambda: self.tree(depth - 1), 2) if depth else ())

    def payment(self) -> Card | Transfer:
        reference = self.random.choice([None, self.title()])
        return Card(self.text()) if self.random.random() < 0.5 else Transfer(self.text(), reference)

    def header(self) -> MessageHeader:
        values: tuple[JsonValue, ...] = (None, True, 1, 1.5, "x", [1, {"a": None}], {"b": []})
        meta = {self.text(): self.random.choice(values) for _ in range(2)}
        return MessageHeader(Uuid(self.uuid()), self.moment(), meta)

    def message(self) -> EveryKind:
        choose = self.random.choice
        number_or_text: int | str = self.number() if choose([True, False]) else self.text()
        return EveryKind(
            self.text(), self.number(), choose([True, False]), self.ratio(), None, self.uuid(),
            self.random.randbytes(9), self.day(), self.moment(), self.time(), self.span(), self.amount(),
            choose(list(Colour)), choose(list(Level)), choose(["a", "b", 3]), Nickname(self.text()),
            self.random.randint(0, 9), self.order_id(), self.title(), self.quantity(), self.price(),
            Ratio(self.ratio()), Moment(self.moment()), choose([None, self.title()]),
            choose([None, self.title(), self.quantity()]), number_or_text, self.several(self.line),
            (self.number(), self.title(), self.uuid()), frozenset(self.several(self.order_id)),
            frozenset(self.several(self.text)),
            dict(zip(self.several(self.sku), self.several(self.price), strict=False)),
            {self.order_id(): self.several(self.quantity)}, {self.number(): self.text()}, self.payment(), self.tree(),
            Pair(self.title(), self.title()), self.number(), self.text(), self.number(), self.several(self.text),
            header=self.header(),
        )  # fmt: skip  # in the order of the fields
