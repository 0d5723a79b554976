"""Ids of any class: repositories in memory keep them, as keys they are exact, messages and schemas carry them."""

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st
from identified import (
    KINDS,
    Address,
    Book,
    BookLent,
    EachKind,
    Isbn,
    LendBook,
    Place,
    Seat,
    Task,
    TaskNumber,
    Ticket,
    Visit,
)
from returns.result import Result, Success

from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateRoot,
    AggregateVersionConflictError,
    AsyncInmemoryCrudRepository,
    CrudRepository,
    DomainError,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    Mediator,
    MessageCodec,
    UnsupportedTypeError,
    Uuid,
    ValueObject,
    make_converter,
    problem_details,
)
from domainkit.formats.asyncapi import asyncapi_document
from domainkit.formats.event_map import event_map
from domainkit.formats.json_schema import message_schema
from domainkit.ids import MOST_BYTES, IdForm, text_refusal
from domainkit.states import StoredStateError
from domainkit.testing import AsyncAggregateRepositoryContract
from domainkit.testing.strategies import instances

T = TypeVar("T")


class _Each(EachKind):
    @pytest.fixture(autouse=True, params=KINDS, ids=lambda cls: cls.__name__)
    def _kind(self, request: pytest.FixtureRequest) -> None:
        self.use(request.param)


class TestInMemory(_Each):
    """Any id in memory."""

    def make_repository(self) -> CrudRepository[AggregateRoot[Any], Any]:
        return InmemoryCrudRepository()


class TestAsyncInMemory(_Each, AsyncAggregateRepositoryContract[AggregateRoot[Any], Any]):
    """Any id in the async twin."""

    async def make_async_repository(self) -> AsyncInmemoryCrudRepository[AggregateRoot[Any], Any]:
        return AsyncInmemoryCrudRepository()


@pytest.mark.parametrize("cls", KINDS)
def test_an_id_that_is_no_uuid_must_be_given(cls: Any) -> None:
    """Only a Uuid can be made afresh; the error names class and remedy."""
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.aggregate_id: .*; pass `aggregate_id="):
        cls()


# Keys


class Day(ValueObject[date]): ...


class Moment(ValueObject[datetime]): ...


class Price(ValueObject[Decimal]): ...


class Ratio(ValueObject[float]): ...


class Tags(ValueObject[frozenset[str]]): ...


class Raw(ValueObject[UUID]): ...


class Outer(ValueObject[Isbn]): ...


class Flag(ValueObject[bool]): ...


class Either(ValueObject[int | str]): ...


class Named(ValueObject[T], Generic[T]): ...


class NamedTask(Named[str]): ...


def lowered(text: str) -> str:
    """Return the one form of a text."""
    return text.lower()


@frozen
class Lower(ValueObject[str]):
    value: str = field(converter=lowered)


class Maybe(ValueObject[Isbn | None]): ...


class Slot(ValueObject[tuple[Moment, Price, Ratio]]): ...


class Color(Enum):
    RED = "red"


class Colored(ValueObject[Color]): ...


class Small(ValueObject[Literal[1, 2]]): ...


NOON = datetime(2031, 2, 28, 12, tzinfo=UTC)
SOME = UUID("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")


@pytest.mark.parametrize(
    ("aggregate_id", "key"),
    [
        (Uuid(SOME), SOME),
        (Isbn("978"), "978"),
        (Isbn('"978"'), '"978"'),
        (TaskNumber(5), 5),
        (Small(2), 2),
        (Outer(Isbn("978")), "978"),
        (Raw(SOME), str(SOME)),
        (Day(date(2031, 2, 28)), "2031-02-28"),
        (Colored(Color.RED), "red"),
        (Flag(True), "true"),
        (NamedTask("a"), "a"),
        (Lower("ABC"), "abc"),
        (Maybe(Isbn("978")), '"978"'),
        (Maybe(None), "null"),
        (Either(1), "1"),
        (Either("1"), '"1"'),
        (Seat(("Ä", 5)), '["Ä",5]'),
        (Seat(("a\0", 10**30)), '["a\\u0000",1000000000000000000000000000000]'),
        (Tags(frozenset("cab")), '["a","b","c"]'),
        (Place(Address("High Street")), '{"number":1,"since":null,"size":"1","street":"High Street"}'),
        (Moment(NOON), "2031-02-28T12:00:00Z"),
        (Price(Decimal("1E+2")), "1E+2"),
        (Ratio(1), "1.0"),
        (Slot((Moment(NOON), Price(Decimal(2)), Ratio(0.5))), '["2031-02-28T12:00:00Z","2",0.5]'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_id_has_one_key(aggregate_id: ValueObject[object], key: object) -> None:
    """A Uuid is its UUID, a text itself, a number itself, anything else its JSON; each key is read as the id again."""
    form = IdForm(type(aggregate_id))
    found = form.key(aggregate_id)
    read = form.read(found)

    assert (key, form.key_type) == (found, type(found))
    assert (type(aggregate_id), aggregate_id) == (type(read), read)


@pytest.mark.parametrize(
    "same",
    [
        (Price(Decimal("1.0")), Price(Decimal("1.000")), Price(Decimal(1))),
        (Price(Decimal(100)), Price(Decimal("1E+2"))),
        (Price(Decimal("-0")), Price(Decimal("0.00")), Price(Decimal("0E+5"))),
        (Price(Decimal("1" * 60)), Price(Decimal("1" * 60 + ".0"))),
        (Ratio(0.0), Ratio(-0.0), Ratio(0)),
        (Ratio(1), Ratio(1.0)),
        (Moment(NOON), Moment(NOON.astimezone(timezone(timedelta(hours=-3))))),
        (Slot((Moment(NOON), Price(Decimal(2)), Ratio(1.0))), Slot((Moment(NOON), Price(Decimal("2.0")), Ratio(1)))),
    ],
    ids=lambda same: type(same[0]).__name__,
)
def test_equal_ids_have_one_key(same: tuple[ValueObject[object], ...]) -> None:
    """However an equal value is written: a database would take two texts for two ids."""
    form = IdForm(type(same[0]))
    assert [True] * len(same) == [one == same[0] for one in same]
    assert 1 == len({form.key(one) for one in same})
    assert same[0] == form.read(form.key(same[-1]))


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False) | st.integers(-3, 3).map(Decimal), min_size=2))
def test_decimals_are_equal_as_their_keys_are(numbers: list[Decimal]) -> None:
    """Equal ids have equal keys, and others have others."""
    form = IdForm(Price)
    assert len(set(numbers)) == len({form.key(Price(number)) for number in numbers})


@pytest.mark.parametrize("cls", KINDS)
def test_ids_that_differ_have_different_keys(cls: Any) -> None:
    """Case, spaces and composed letters tell ids apart, and each is read as what it was."""
    ids = list(islice(KINDS[cls](), 60))
    form: IdForm[Any] = IdForm(cls._id_type())
    keys = [form.key(one) for one in ids]

    assert len(ids) == len(set(keys))
    assert ids == [form.read(key) for key in keys]


@given(instances(Book) | instances(Task) | instances(Ticket) | instances(Visit))
def test_any_id_is_refused_or_read_back(aggregate: Book | Task | Ticket | Visit) -> None:
    """An id of a strategy is refused as a whole, or comes back from its key, as the same id."""
    form: IdForm[Any] = IdForm(type(aggregate.aggregate_id))
    try:
        key = form.key(aggregate.aggregate_id)
    except ValueError:
        return
    assert aggregate.aggregate_id == form.read(key)


# What is refused


class Odd(ValueObject[object]): ...


class Hour(ValueObject[time]): ...


@frozen
class Shift:
    start: time


class ShiftId(ValueObject[Shift]): ...


@frozen
class Folded(ValueObject[str]):
    value: str = field(eq=str.casefold)


def test_a_class_without_keys_is_refused() -> None:
    """Refused: no value object, no wire form, no common text, or equality by something else."""
    wrong: Any = str
    with pytest.raises(TypeError, match=r"^ids: expected a class of value objects, got str; derive one"):
        IdForm(wrong)
    with pytest.raises(UnsupportedTypeError, match=r"Odd\.value"):
        IdForm(Odd)
    with pytest.raises(UnsupportedTypeError, match=r"^Hour\.value: expected an id without a time.*; use a datetime"):
        IdForm(Hour)
    with pytest.raises(UnsupportedTypeError, match=r"^Shift\.start: expected an id without a time"):
        IdForm(ShiftId)
    with pytest.raises(TypeError, match=r"^Folded\.value: expected an id that is compared by its value"):
        IdForm(Folded)


SECRET = "s3cret"
REFUSED = [
    (Book(aggregate_id=Isbn(f"{SECRET}\0")), r"\$: expected a text without NUL characters"),
    (Book(aggregate_id=Isbn(f"{SECRET}\ud800")), r"\$: expected text without lone surrogates"),
    (Book(aggregate_id=Isbn(SECRET * 400)), r"\$: expected a text of at most 2000 bytes in UTF-8"),
    (Book(aggregate_id=Isbn("ä" * 1001)), r"\$: expected a text of at most 2000 bytes in UTF-8"),
    (Task(aggregate_id=TaskNumber(2**63)), r"\$: expected an int of at most 64 bits"),
    (Task(aggregate_id=TaskNumber(-(2**63) - 1)), r"\$: expected an int of at most 64 bits"),
    (Task(aggregate_id=TaskNumber(10**5000)), r"\$: expected an int of at most 4300 digits"),
    (Ticket(aggregate_id=Seat((f"{SECRET}\ud800", 1))), r"\$\[0\]: expected text without lone surrogates"),
    (Ticket(aggregate_id=Seat((SECRET * 400, 1))), r"\$: expected a text of at most 2000 bytes in UTF-8"),
    (
        Visit(aggregate_id=Place(Address("a", since=datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))))),
        r"\$\.since: expected a datetime that exists in UTC too",
    ),
    (Visit(aggregate_id=Place(Address("a", size=Decimal("NaN")))), r"\$\.size: expected a finite Decimal"),
]


@pytest.mark.parametrize(("aggregate", "problem"), REFUSED, ids=range(len(REFUSED)))
def test_what_no_database_takes_memory_refuses(aggregate: Any, problem: str) -> None:
    """Every method says so, with the class and what is expected, and never the value; nothing is stored."""
    repository = InmemoryCrudRepository[Any, Any]()
    calls = (repository.save, repository.update)
    for call in (
        *calls,
        lambda one: repository.retrieve(one.aggregate_id),
        lambda one: repository.remove(one.aggregate_id),
    ):
        with pytest.raises(ValueError, match=rf"^{type(aggregate.aggregate_id).__name__}: .*{problem}") as raised:
            call(aggregate)
        assert SECRET not in str(raised.value)
    assert Success(()) == repository.retrieve_all()


def test_an_id_of_a_subclass_is_refused() -> None:
    """Its class is not stored: it would come back as another."""

    class OldIsbn(Isbn): ...

    with pytest.raises(ValueError, match=r"^Isbn: .* \(\$: expected Isbn \(type\)\)"):
        InmemoryCrudRepository[Book, Isbn]().save(Book(aggregate_id=OldIsbn("978")))


@pytest.mark.parametrize(
    ("cls", "key"),
    [
        (TaskNumber, "5"),
        (Isbn, 5),
        (Seat, "s3cret"),
        (Seat, '["s3cret"]'),
        (Seat, 5),
        (Seat, "[" * 100_000),
        (Place, "{}"),
    ],
)
def test_a_key_that_no_id_has_is_told(cls: type[ValueObject[object]], key: object) -> None:
    """Something else stored it: the error says where, and never the value."""
    with pytest.raises(StoredStateError, match=r"\$\.aggregate_id") as raised:
        IdForm(cls).read(key)
    assert SECRET not in str(raised.value)


def test_a_text_of_the_most_bytes_is_taken() -> None:
    """The limit is in bytes, and what has just as many is taken."""
    assert text_refusal("ä" * (MOST_BYTES // 2)) is None
    assert text_refusal("ä" * (MOST_BYTES // 2) + "a") is not None


# Errors, messages, formats


@pytest.mark.parametrize(
    ("aggregate_id", "text"),
    [(Isbn("Ä a"), "Ä a"), (TaskNumber(-5), "-5"), (Seat(("A", 5)), "('A', 5)")],
)
def test_errors_name_any_id(aggregate_id: ValueObject[object], text: str) -> None:
    """The text of what it wraps stands in the error, in its message, and in the body of HTTP."""
    errors: list[DomainError] = [
        AggregateNotFoundError(aggregate_id, "books"),
        AggregateAlreadyExistError(aggregate_id, "books"),
        AggregateVersionConflictError(aggregate_id, 1, 2, "books"),
    ]
    for error, status in zip(errors, (404, 409, 409), strict=True):
        assert (text, status) == (error.uuid_value, problem_details(error)["status"])
        assert f"Aggregate ({text}) " in str(error.additional_info)


EVENT = BookLent(
    Isbn("Ä\0a"), TaskNumber(10**30), Seat(("b", 2)), Place(Address("c", since=NOON, size=Decimal("1.50")))
)


@pytest.mark.parametrize("message", [EVENT, BookLent(Isbn("")), LendBook(Isbn("978"))], ids=type)
def test_messages_carry_any_id(message: BookLent | LendBook) -> None:
    """Each comes back as it was, to the last digit, and alone on the wire."""
    codec = MessageCodec(BookLent, LendBook)
    assert Success(message) == codec.decode(codec.encode(message))
    assert message.isbn.value == json.loads(codec.encode(message))["data"]["attributes"]["isbn"]


@given(instances(BookLent))
def test_any_message_with_such_ids_survives_the_wire(event: BookLent) -> None:
    """Whatever its ids are."""
    codec = MessageCodec(BookLent)
    assert Success(event) == codec.decode(codec.encode(event))


@pytest.mark.parametrize("cls", KINDS)
def test_a_converter_reads_aggregates_with_any_id(cls: Any) -> None:
    """make_converter writes the id as it stands on the wire, and reads it."""
    converter = make_converter()
    for aggregate_id in islice(KINDS[cls](), 10):
        aggregate = cls("note", aggregate_id=aggregate_id)
        assert aggregate == converter.structure(converter.unstructure(aggregate), cls)


def test_schemas_describe_any_id() -> None:
    """JSON Schema and AsyncAPI have a definition of each class of ids."""
    schema = json.dumps(message_schema(BookLent))
    document = json.dumps(asyncapi_document(MessageCodec(BookLent, LendBook), title="Books", version="1"))
    for name in ("Isbn", "TaskNumber", "Seat", "Place", "Address"):
        assert f'"{name}"' in schema
        assert f'"{name}"' in document


def test_the_event_map_shows_messages_with_any_id() -> None:
    """It is about the classes of messages."""

    def lend(command: LendBook) -> Result[None, DomainError]:
        return Success(None)

    def note(event: BookLent) -> None: ...

    picture = event_map(
        Mediator(LendBook.handled_by(lend)),
        InmemoryDomainEventBus(BookLent.handled_by(note)),
        causes={LendBook: [BookLent]},
    ).mermaid()
    assert ["LendBook", "lend", "BookLent", "note"] == [
        name for name in ("LendBook", "lend", "BookLent", "note") if name in picture
    ]
