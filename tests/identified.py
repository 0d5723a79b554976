"""Aggregates whose ids are no UUIDs: text, numbers, and ids of several parts; with ids that are hard to tell apart."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import count
from typing import Any

import attrs
from attrs import field, frozen
from attrs.validators import matches_re

from domainkit import AggregateRoot, Command, DomainEvent, ValueObject
from domainkit.testing import AggregateRepositoryContract


class Isbn(ValueObject[str]):
    """An id that is a text."""


class TaskNumber(ValueObject[int]):
    """An id that is a number."""


class Seat(ValueObject[tuple[str, int]]):
    """An id of two parts."""


@frozen
class Address:
    """Several fields, one of which has a default."""

    street: str
    number: int = 1
    since: datetime | None = None
    size: Decimal = Decimal(1)


class Place(ValueObject[Address]):
    """An id around an attrs class."""


@frozen
class PetiscoId(ValueObject[str]):
    """A UUID as petisco has it: text, which is compared as it was written."""

    value: str = field(validator=matches_re("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"))


@frozen
class BookLent(DomainEvent):
    """An event with each of these ids."""

    isbn: Isbn
    number: TaskNumber | None = None
    seat: Seat | None = None
    place: Place | None = None


@frozen
class LendBook(Command):
    """A command with such an id."""

    isbn: Isbn


@frozen
class Book(AggregateRoot[Isbn]):
    """Known by a text."""

    note: str = ""


@frozen
class Task(AggregateRoot[TaskNumber]):
    """Known by a number."""

    note: str = ""


@frozen
class Ticket(AggregateRoot[Seat]):
    """Known by two parts."""

    note: str = ""


@frozen
class Visit(AggregateRoot[Place]):
    """Known by several fields."""

    note: str = ""


TEXTS = (
    "a", "A", "a ", " a", "\u00e4", "a\u0308", "", "%", "_", "'", '"', "\\", "\n", "\r\n", "1", "01", "1.0", "null",
    "\U0001d538", "ß", "ss", "SS", "\ufeffa", "a\u200b", "\u0130", "i", "x" * 2000, "?", ":id", "%(id)s",
    "{}", "\x7f", "\x01",
)  # fmt: skip  # one list
"""Texts that are hard to tell apart, or hard to keep."""


def texts() -> Iterator[str]:
    """Yield texts, each once."""
    yield from TEXTS
    yield from (f"text {number}" for number in count())


def numbers() -> Iterator[int]:
    """Yield numbers of 64 bits, each once."""
    yield from (0, -1, 2**63 - 1, -(2**63), 2**53 + 1, 2**53)
    yield from count(1)


def isbns() -> Iterator[Isbn]:
    """Yield ids of one text."""
    return map(Isbn, texts())


def task_numbers() -> Iterator[TaskNumber]:
    """Yield ids of one number."""
    return map(TaskNumber, numbers())


def seats() -> Iterator[Seat]:
    """Yield ids of a text, which may hold NUL here, and a number of any size."""
    yield Seat(("a\0b", 10**30))
    yield Seat(("a", 10**30 + 1))
    for text, number in zip(texts(), numbers(), strict=False):
        if len(text) < 1000:
            yield Seat((text, number))


def places() -> Iterator[Place]:
    """Yield ids of several fields."""
    noon = datetime(2031, 2, 28, 12, tzinfo=UTC)
    yield Place(Address("a", since=noon))
    yield Place(Address("a", since=noon + timedelta(microseconds=1)))
    yield Place(Address("a", since=noon.replace(tzinfo=timezone(timedelta(hours=5, minutes=30)))))
    yield Place(Address("a", size=Decimal("1.50")))
    yield Place(Address("a", size=Decimal("1.5E+3")))
    for seat in seats():
        yield Place(Address(*seat.value))


KINDS: dict[Any, Callable[[], Iterator[Any]]] = {
    Book: isbns,
    Task: task_numbers,
    Ticket: seats,
    Visit: places,
}
"""The classes of aggregates, and what makes their ids."""


class EachKind(AggregateRepositoryContract[AggregateRoot[Any], Any]):
    """The promises of a repository for each class; `use` says which."""

    cls: Any
    _ids: Iterator[Any]

    def use(self, cls: Any) -> None:
        """Make aggregates of this class from now on."""
        self.cls, self._ids = cls, KINDS[cls]()

    def make_aggregate(self) -> AggregateRoot[Any]:
        """Return one with the next id."""
        made: AggregateRoot[Any] = self.cls("new", aggregate_id=next(self._ids))
        return made

    def change(self, aggregate: AggregateRoot[Any]) -> AggregateRoot[Any]:
        """Return it with a longer note."""
        made: Any = aggregate
        return attrs.evolve(made, note=made.note + "!")
