"""Converters and the codec."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, assert_type

from attrs import frozen
from cattrs import Converter
from returns.result import Result

from domainkit import (
    Attributes,
    Command,
    DomainError,
    DomainEvent,
    Downcaster,
    InvalidMessage,
    Limits,
    Message,
    MessageCodec,
    MessageInfo,
    NaiveAsUtc,
    OutgoingMessage,
    Problem,
    Tagged,
    UnsupportedTypeError,
    Upcaster,
    ValueObjectSerializer,
    configure_converter,
    make_converter,
)

from board import Task, TaskCreated, TaskId, TaskRenamed, Title


@frozen
class Page:
    title: Annotated[Title, ValueObjectSerializer]
    task_id: Annotated[TaskId, ValueObjectSerializer]
    subtitle: Title
    at: Annotated[datetime, NaiveAsUtc]

    _subtitle = Title.serializer("subtitle")


page = Page(Title("Home"), TaskId.v4(), Title("Welcome"), datetime.now(UTC))
assert_type(page.at, datetime)
assert_type(make_converter(naive_as_utc=True), Converter)
assert_type(MessageCodec(naive_as_utc=True), MessageCodec)
assert_type(page.title, Title)
assert_type(make_converter(), Converter)
assert_type(make_converter(unwrap_value_objects=False), Converter)
assert_type(make_converter().structure({"title": "Buy milk"}, Task), Task)
own = Converter()
configure_converter(own)
configure_converter(own, unwrap_value_objects=False)
refused: TypeError = UnsupportedTypeError("Task.title: ...")


@frozen
class Card:
    number: str


@frozen
class Transfer:
    iban: str


@frozen
class Paid(DomainEvent):
    by: Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)]


assert_type(Paid(Card("4111")).by, Card | Transfer)


def add_title(attributes: Attributes) -> Attributes:
    return {**attributes, "title": "untitled"}


codec = MessageCodec(
    TaskCreated,
    TaskRenamed,
    Paid,
    upcasters=[Upcaster(TaskCreated, 1, add_title), Upcaster(TaskRenamed, 1, add_title, from_name="task.retitled")],
    limits=Limits(max_bytes=1_000_000),
    forbid_unknown=True,
    converter=make_converter(),
)
assert_type(codec.encode(Paid(Card("4111"))), bytes)
assert_type(codec.decode(b"{}"), Result[Message, InvalidMessage])
writer = MessageCodec(
    TaskCreated, downcasters=[Downcaster(TaskCreated, 2, add_title, to_version=1, to_name="task.made")]
)
assert_type(writer.versions(TaskCreated), tuple[int, ...])
assert_type(writer.encode_as(Paid(Card("4111")), 1), bytes)
assert_type(writer.encode_all(Paid(Card("4111"))), tuple[tuple[MessageInfo, bytes], ...])
assert_type(OutgoingMessage.all_of(Paid(Card("4111")), writer, key="a"), tuple[OutgoingMessage, ...])
assert_type(codec.reads_another_form(b"{}"), bool)
assert_type(codec.decode("{}"), Result[Message, InvalidMessage])


def handle(message: Message) -> str:
    if isinstance(message, TaskCreated):
        assert_type(message, TaskCreated)
        return message.title.value
    return message.info().name


assert_type(codec.decode("{}").map(handle), Result[str, InvalidMessage])
plain: MessageCodec = MessageCodec(Command, DomainEvent)
raised: DomainError = codec.decode("{}").failure()


def titles(raws: list[bytes]) -> list[str]:
    found = MessageCodec.of(TaskCreated | TaskRenamed).decode_many(raws)
    assert_type(found, Sequence[TaskCreated | TaskRenamed | InvalidMessage])
    refused = [one for one in found if isinstance(one, InvalidMessage)]
    assert_type(refused[0].problems, tuple[Problem, ...])
    read = [one for one in found if not isinstance(one, InvalidMessage)]
    assert_type(read, list[TaskCreated | TaskRenamed])
    return [one.title.value for one in read if isinstance(one, TaskCreated)]


assert_type(codec.decode_many(["{}", b"{}"]), Sequence[Message | InvalidMessage])
assert_type(codec.decode_many(iter([b"{}"])), Sequence[Message | InvalidMessage])
