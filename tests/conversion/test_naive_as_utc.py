"""Datetimes without an offset, read as UTC where a codec, a converter or a field says so; petisco writes such ones."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, NewType

import petisco
import pytest
from attrs import field, frozen
from attrs.validators import ge
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from returns.result import Success
from sqlalchemy import MetaData, insert

from domainkit import (
    AggregateRoot,
    DomainEvent,
    InvalidMessage,
    MessageCodec,
    NaiveAsUtc,
    Tagged,
    UnsupportedTypeError,
    Uuid,
    ValueObject,
    ValueObjectSerializer,
    configure_converter,
    make_converter,
    parse,
)
from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork, aggregate_table, make_engine
from domainkit.formats import message_schema
from domainkit.states import state_form
from domainkit.testing.strategies import instances

Moment = NewType("Moment", datetime)


class Due(ValueObject[datetime]): ...


class Deadline(ValueObject[Annotated[datetime, NaiveAsUtc]]): ...


@frozen
class Slot:
    start: datetime


@frozen
class Card:
    until: datetime


@frozen
class Cash:
    paid: bool


@frozen
class TaskMoved(DomainEvent):
    at: datetime
    due: Due
    slot: Slot
    several: tuple[datetime, ...] = ()
    maybe: datetime | None = None


@frozen
class TaskMarked(DomainEvent):
    at: Annotated[datetime, NaiveAsUtc]
    maybe: Annotated[datetime | None, NaiveAsUtc] = None
    several: Annotated[tuple[datetime, ...], NaiveAsUtc] = ()
    by_name: Annotated[Mapping[str, tuple[Moment | int, ...]], NaiveAsUtc] = field(factory=dict)
    deadline: Deadline | None = None
    mixed: Annotated[tuple[datetime | Slot, ...], NaiveAsUtc] = ()
    exact: datetime | None = None


@frozen
class Task(AggregateRoot):
    due: Annotated[datetime, NaiveAsUtc]


@frozen
class StrictTask(AggregateRoot):
    due: datetime


NAIVE = ["2021-12-28 14:11:47.845618", "2021-12-28T14:11:47.845618", "2021-12-28T14:11:47.8456180"]
MOMENT = datetime(2021, 12, 28, 14, 11, 47, 845618, tzinfo=UTC)
naive = pytest.mark.parametrize("text", NAIVE)
LENIENT = MessageCodec(TaskMoved, naive_as_utc=True)
MARKED = MessageCodec(TaskMarked)


def wire_of(message: DomainEvent, **attributes: object) -> dict[str, Any]:
    """Return the wire form of a message with other attributes."""
    wire: Any = message.dict()
    wire["data"]["attributes"] |= attributes
    return wire  # type: ignore[no-any-return]  # a dict, which is what it is


def answers(codec: MessageCodec, wire: dict[str, Any]) -> list[object]:
    """Return what a codec makes of a wire form on the fast path, the tolerant path and the slow path."""
    more = {"data": wire["data"] | {"attributes": wire["data"]["attributes"] | {"more": 1}}}
    return [codec.decode(json.dumps(wire).encode()), codec.decode(json.dumps(more)), codec.decode_dict(wire)]


MOVED, MARK = TaskMoved(MOMENT, Due(MOMENT), Slot(MOMENT)), TaskMarked(MOMENT)


@naive
def test_a_codec_reads_naive_datetimes_as_utc_where_it_is_told(text: str) -> None:
    """The option holds at every depth, and every way of reading has the same answer."""
    wire = wire_of(MOVED, at=text, due=text, slot={"start": text}, several=[text], maybe=text)
    expected = TaskMoved(MOMENT, Due(MOMENT), Slot(MOMENT), (MOMENT,), MOMENT, header=MOVED.header)
    assert [Success(expected)] * 3 == answers(LENIENT, wire)
    problems = MessageCodec(TaskMoved).decode_dict(wire).failure().problems
    assert 5 == len(problems)


@naive
def test_a_field_reads_naive_datetimes_as_utc_where_it_is_told(text: str) -> None:
    """The mark holds for the datetimes of unions, collections, NewTypes and value objects, and for no other field."""
    wire = wire_of(MARK, at=text, maybe=text, several=[text], by_name={"a": [text, 1]}, deadline=text, mixed=[text])
    expected = TaskMarked(
        MOMENT, MOMENT, (MOMENT,), {"a": (Moment(MOMENT), 1)}, Deadline(MOMENT), (MOMENT,), header=MARK.header
    )
    assert [Success(expected)] * 3 == answers(MARKED, wire)
    for attributes in ({"exact": text}, {"mixed": [{"start": text}]}):
        (problem,) = MARKED.decode_dict(wire_of(MARK, **attributes)).failure().problems
        assert problem.expected.startswith("a datetime with an offset")


@pytest.mark.parametrize("codec", [LENIENT, MARKED])
@pytest.mark.parametrize(
    "text", ["2021-12-28", "14:11:47", "2021-12-28T14:11:47.1234567", "2021-13-28 14:11:47", "now", "", 5, None]
)
def test_what_is_no_datetime_is_refused_all_the_same(codec: MessageCodec, text: object) -> None:
    """Nothing else becomes more lenient; the problem says what is expected."""
    found = answers(codec, wire_of(MOVED if codec is LENIENT else MARK, at=text))
    assert all(
        "expected a datetime, such as 2021-12-28 14:11:47, to the microsecond, in UTC unless it has an offset"
        in str(one.failure())  # type: ignore[attr-defined]  # a Failure
        for one in found
    )


@given(st.datetimes(), st.none() | st.integers(-1439, 1439), st.sampled_from(" T"))
def test_both_ways_read_every_moment_alike(moment: datetime, minutes: int | None, between: str) -> None:
    """With an offset it counts, without one it is UTC; what can't be expressed in a field is refused in each way."""
    offset = None if minutes is None else timezone(timedelta(minutes=minutes))
    text = moment.replace(tzinfo=offset).isoformat(between)
    expected = moment.replace(tzinfo=UTC if offset is None else offset)
    for one in answers(LENIENT, wire_of(MOVED, at=text)) + answers(MARKED, wire_of(MARK, at=text)):
        found = one.unwrap().at  # type: ignore[attr-defined]  # a Result of one of the two
        assert (expected, expected.utcoffset()) == (found, found.utcoffset())


def test_what_petisco_writes_is_read() -> None:
    """An event of petisco with datetimes among its attributes is read by the mark and by the option."""

    class TaskMoved(petisco.DomainEvent):
        at: datetime
        due: datetime
        slot: dict[str, str]

    class TaskMarked(petisco.DomainEvent):
        at: datetime

    moved = TaskMoved(at=MOMENT, due=MOMENT, slot={"start": MOMENT.strftime("%Y-%m-%d %H:%M:%S.%f")})
    assert MOVED.slot == LENIENT.decode(moved.format_json()).unwrap().slot  # type: ignore[attr-defined]  # a TaskMoved
    assert MOMENT == MARKED.decode(TaskMarked(at=MOMENT).format_json()).unwrap().at  # type: ignore[attr-defined]  # the same


def test_what_is_written_has_an_offset() -> None:
    """Reading more changes no byte of what is written, and a naive datetime is refused as ever."""
    assert MessageCodec(TaskMoved).encode(MOVED) == LENIENT.encode(MOVED)
    assert "2021-12-28T14:11:47.845618Z" == MARK.dict()["data"]["attributes"]["at"]
    wrong = datetime(2021, 12, 28)
    for codec, event in ((LENIENT, TaskMoved(wrong, Due(MOMENT), Slot(MOMENT))), (MARKED, TaskMarked(wrong))):
        with pytest.raises(InvalidMessage, match="give it a time zone"):
            codec.encode(event)


@naive
def test_a_converter_reads_them_where_it_or_the_field_is_told(text: str) -> None:
    """So do datetimes that a format has parsed, without a time zone; a strict one refuses both."""
    told = make_converter(naive_as_utc=True)
    told.register_structure_hook(int, lambda data, _: int(data))  # a hook of one's own beside it
    kept = make_converter(unwrap_value_objects=False, naive_as_utc=True)
    for data in (text, datetime.fromisoformat(text)):
        assert (MOMENT, Slot(MOMENT)) == (told.structure(data, datetime), told.structure({"start": data}, Slot))
        assert Due(MOMENT) == told.structure(data, Due) == kept.structure({"value": data}, Due)
        for converter in (make_converter(), make_converter(unwrap_value_objects=False)):
            read: Any = converter.structure  # its types know classes alone
            assert MOMENT == read(data, Annotated[datetime, NaiveAsUtc])
            with pytest.raises(ValueError, match="a datetime with an offset"):
                converter.structure(data, datetime)
    assert "2021-12-28T14:11:47.845618Z" == told.unstructure(MOMENT)


def test_a_converter_of_ones_own_is_told_too() -> None:
    """`configure_converter` has the option, and parse reads a class with the mark."""
    converter = make_converter()
    configure_converter(converter, naive_as_utc=True)
    assert Slot(MOMENT) == converter.structure({"start": NAIVE[0]}, Slot)
    assert Success(Deadline(MOMENT)) == parse(Deadline, NAIVE[0])


def test_a_hook_of_the_users_wins() -> None:
    """Whoever reads datetimes by a hook reads them so beside the mark, too."""
    converter = make_converter()
    converter.register_structure_hook(datetime, lambda data, _: datetime.fromtimestamp(data, UTC))
    converter.register_unstructure_hook(datetime, lambda moment: int(moment.timestamp()))
    codec = MessageCodec(Marked, converter=converter)
    event = Marked(MOMENT + timedelta(microseconds=154_382))
    assert Success(event) == codec.decode(codec.encode(event))


@naive
def test_a_state_that_petisco_wrote_is_read(text: str) -> None:
    """From a table, by the mark of the field or by a converter with the option; it is written with the offset."""
    metadata = MetaData()
    table = aggregate_table(metadata, "tasks")
    engine = make_engine("sqlite://")
    metadata.create_all(engine)
    task_id, state = Uuid.v4(), json.dumps({"due": text})
    with engine.begin() as connection:
        connection.execute(insert(table).values(id=task_id.value, version=3, state=state))
    unit_of_work = UnitOfWork(engine)
    marked = SqlCrudRepository(Task, table, unit_of_work)
    told = SqlCrudRepository(StrictTask, table, unit_of_work, converter=make_converter(naive_as_utc=True))
    assert MOMENT == marked.retrieve(task_id).unwrap().due == told.retrieve(task_id).unwrap().due
    assert '{"due":"2021-12-28T14:11:47.845618Z"}' == state_form(Task, None).write(Task(MOMENT))
    engine.dispose()


@naive
def test_pydantic_reads_a_value_object_with_the_mark(text: str) -> None:
    """A field of a model takes the text, and a datetime without a time zone."""

    class Body(BaseModel):
        deadline: Deadline

    for data in (text, datetime.fromisoformat(text)):
        assert Deadline(MOMENT) == Body.model_validate({"deadline": data}).deadline


def test_the_schema_admits_what_is_read() -> None:
    """If the offset may be absent, the pattern says so, and the schema has no format that requires one."""
    validator = Draft202012Validator(message_schema(TaskMarked))
    for text in (*NAIVE[:2], "2021-12-28T14:11:47Z", "2021-12-28 14:11:47+01:00"):
        validator.validate(wire_of(MARK, at=text, maybe=text))
    assert not validator.is_valid(wire_of(MARK, exact=NAIVE[0]))
    assert not validator.is_valid(wire_of(MARK, at="2021-12-28"))


@given(instances(TaskMarked))
def test_strategies_make_moments(event: TaskMarked) -> None:
    """Examples have time zones, and come back equal."""
    assert Success(event) == MARKED.decode(MARKED.encode(event))


@frozen
class Tag:
    name: Annotated[str, NaiveAsUtc]


@frozen
class Odd(DomainEvent):
    name: Annotated[str, NaiveAsUtc]


@frozen
class Hidden(DomainEvent):
    due: Annotated[Due, ValueObjectSerializer, NaiveAsUtc]


@frozen
class Paid(DomainEvent):
    by: Annotated[Card | Cash, Tagged("kind", card=Card, cash=Cash), NaiveAsUtc]


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (Odd, r"Odd\.name: NaiveAsUtc: expected a type with a datetime, got str;"),
        (Hidden, r"Hidden\.due: NaiveAsUtc: expected a type with a datetime, got Due;"),
        (Paid, r"Paid\.by: NaiveAsUtc: expected a type with a datetime, got Card \| Cash;"),
    ],
)
def test_a_mark_without_a_datetime_is_refused(cls: type[DomainEvent], text: str) -> None:
    """It would have no effect: the class says where to write it instead. A converter refuses it as well."""
    with pytest.raises(UnsupportedTypeError, match=text):
        MessageCodec(cls)
    with pytest.raises(UnsupportedTypeError, match=r"Tag\.name: NaiveAsUtc: expected a type with a datetime"):
        make_converter().structure({"name": "a"}, Tag)


@frozen
class Marked(DomainEvent):
    """The mark goes with others."""

    at: Annotated[datetime, NaiveAsUtc, "a note"] = field(validator=ge(MOMENT))


def test_validators_see_the_moment() -> None:
    """A rule is about the datetime in UTC, however it was written."""
    codec = MessageCodec(Marked)
    early = wire_of(Marked(MOMENT), at="2021-12-28 14:11:47.845617")
    assert ["value"] * 3 == [one.failure().problems[0].code for one in answers(codec, early)]  # type: ignore[attr-defined]  # Failures
    assert [Success(MOMENT)] * 3 == [
        one.map(lambda event: event.at)  # type: ignore[attr-defined]  # Successes
        for one in answers(codec, wire_of(Marked(MOMENT), at=NAIVE[0]))
    ]
