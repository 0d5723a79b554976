"""Models in a module whose annotations are strings: `from __future__ import annotations`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from attrs import field, frozen
from attrs.validators import min_len

from domainkit import AggregateRoot, DomainError, DomainEvent, Uuid, ValueObject

if TYPE_CHECKING:
    from fractions import Fraction


class MeetingId(Uuid): ...


@frozen
class Title(ValueObject[str]):
    value: str = field(validator=min_len(3))


@frozen
class Agenda(ValueObject["tuple[Item, ...]"]):
    """Wraps a class that is defined further down."""

    value: tuple[Item, ...]


@frozen
class Item:
    text: str
    children: tuple[Item, ...] = ()


@frozen
class MeetingPlanned(DomainEvent):
    """Its field is called as its type is."""

    date: date
    datetime: datetime | None = None


@frozen
class Meeting(AggregateRoot[MeetingId]):
    kind: ClassVar[str] = "meeting"

    title: Title
    agenda: Agenda
    rooms: Annotated[Mapping[str, Mapping[str, int]], "by floor"] = field(factory=dict)
    follows: Meeting | None = None


@frozen
class TooLate(DomainError):
    date: date


@frozen
class Share(AggregateRoot):
    """Its field's type is known to type checkers alone."""

    part: Fraction
    by_name: Mapping[str, int]


@frozen
class HoldsLateList(AggregateRoot):
    """A message with a field whose class is defined further down, and can change."""

    lines: tuple[LateLines, ...]


@frozen
class LateText(ValueObject["LateString"]):
    """A value object of a class that is defined further down."""


@frozen
class LateBox(ValueObject["LateLines"]):
    """A value object of a class that is defined further down, and can change."""


LateString = str


class LateLines(list[str]): ...
