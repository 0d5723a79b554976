"""Value objects and ids: constructors, named constructors, and what they wrap."""

from typing import assert_type
from uuid import UUID

from attrs import evolve, frozen
from returns.result import Result

from domainkit import (
    DomainError,
    FieldSerializer,
    InvalidUuid,
    InvalidValueObject,
    Uuid,
    ValueObject,
    __version__,
    fold,
    parse,
)

from board import Note, Priority, TaskId, Title, UserId

title = Title("Buy milk")
assert_type(title, Title)
assert_type(title.value, str)
assert_type(Title.from_value("Buy milk"), Title)
assert_type(Title.parse(5), Result[Title, InvalidValueObject])
assert_type(Note(None).value, str | None)
assert_type(Note("later").value, str | None)
assert_type(evolve(title, value="Buy bread"), Title)


def length(title: Title) -> int:
    return len(title.value)


def blame(error: DomainError) -> int:
    return len(error.detail())


assert_type(Title.parse("Buy milk").map(length), Result[int, InvalidValueObject])
assert_type(fold(Title.parse("Buy milk"), length, blame), int)


class EmptyTitle(DomainError): ...


class LongTitle(DomainError): ...


@frozen
class Heading(ValueObject[str, EmptyTitle | LongTitle]):
    value: str


class SubHeading(Heading): ...


assert_type(Heading.parse("a"), Result[Heading, InvalidValueObject | EmptyTitle | LongTitle])
assert_type(SubHeading.parse("a"), Result[SubHeading, InvalidValueObject | EmptyTitle | LongTitle])
with_its_base: Result[Title, DomainError] = Title.parse("a")


def shown(value: ValueObject[object, object]) -> str:
    return str(value.value)


shown(title)
shown(Heading("a"))
shown(TaskId.v4())
by_text: ValueObject[str | int, DomainError] = Heading("a")


@frozen
class Money:
    """A value object of several fields is a plain frozen class."""

    amount: Priority
    currency: str


assert_type(Money(Priority(3), currency="EUR").amount.value, int)


def shortest(titles: tuple[ValueObject[str], ...]) -> str:
    return min((one.value for one in titles), key=len)


assert_type(shortest((title, Title("Buy bread"))), str)

assert_type(TaskId.v4(), TaskId)
assert_type(TaskId.v7(), TaskId)
assert_type(TaskId.from_value("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"), TaskId)
assert_type(TaskId.from_value(UUID(int=1)), TaskId)
assert_type(TaskId.from_uuid(UUID(int=1)), TaskId)
assert_type(TaskId.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"), TaskId)
assert_type(TaskId.parse("no id"), Result[TaskId, InvalidUuid])
assert_type(TaskId(UUID(int=1)).value, UUID)
assert_type(UserId.v4().to_uuid(), UUID)
assert_type(str(Uuid.v4()), str)
assert_type(parse(Money, {"amount": 3, "currency": "EUR"}), Result[Money, InvalidValueObject])
assert_type(parse(Title, "Buy milk"), Result[Title, InvalidValueObject])

anything: Uuid = TaskId.v4()
by_id: dict[Uuid, str] = {TaskId.v4(): "a task", UserId.v4(): "a user"}

in_order: list[TaskId] = sorted([TaskId.v4(), TaskId.v4()], key=str)

refused: InvalidValueObject = InvalidUuid()
also_a_value_error: ValueError = refused

assert_type(Title.serializer("title"), FieldSerializer)
assert_type(Title.serializer("title").field_name, str)
assert_type(__version__, str)
