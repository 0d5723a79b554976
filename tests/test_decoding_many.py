"""MessageCodec.decode_many: the same messages and errors as from `decode`, in their order."""

import json
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
import pytest
from attrs import field, frozen
from attrs.validators import ge
from cattrs import Converter
from every_kind import EveryKind, Maker, Tree
from hypothesis import given, settings
from hypothesis import strategies as st
from returns.result import Success
from sizes import at_full

from domainkit import (
    Attributes,
    Command,
    DomainError,
    DomainEvent,
    InvalidMessage,
    Limits,
    Message,
    MessageCodec,
    NaiveAsUtc,
    UnknownMessage,
    Upcaster,
    Uuid,
    ValueObject,
    make_converter,
)
from domainkit._model.info import frozen_meta
from domainkit._model.mapping import freeze_parsed


class TaskId(Uuid): ...


class Title(ValueObject[str]): ...


@frozen
class TaskCreated(DomainEvent):
    task_id: TaskId
    title: Title
    priority: int = field(validator=ge(1))

    class Config:
        version = 3


@frozen
class TaskRemoved(DomainEvent):
    task_id: TaskId


@frozen
class TaskNoted(DomainEvent):
    note: str = "none"


@frozen
class RemoveTask(Command[None, DomainError]):
    task_id: TaskId

    class Config:
        name = "task.removed"


@frozen
class TaskMoved(DomainEvent):
    due: Annotated[datetime | None, NaiveAsUtc] = None


@frozen
class TreePlanted(DomainEvent):
    tree: Tree


@frozen
class Unheard(DomainEvent): ...


def rename_title(attributes: Attributes) -> Attributes:
    """Version 1 called the title `name`."""
    return {"title" if key == "name" else key: value for key, value in attributes.items()}


def add_priority(attributes: Attributes) -> Attributes:
    """Version 2 had no priority."""
    return {**attributes, "priority": 1}


def shouting() -> Converter:
    """Return a converter with a hook for titles, which refuses one of them."""
    converter = make_converter()
    converter.register_structure_hook(Title, lambda data, _: Title({"Buy milk": "MILK", "Title": "T"}[data]))
    return converter


def codec(**options: Any) -> MessageCodec:
    """Return a codec of the messages above."""
    classes = (TaskCreated, TaskRemoved, TaskNoted, RemoveTask, TaskMoved, TreePlanted, EveryKind)
    upcasters = (Upcaster(TaskCreated, 1, rename_title), Upcaster(TaskCreated, 2, add_priority))
    return MessageCodec(*classes, upcasters=upcasters, **options)


CODECS = (
    codec(),
    codec(forbid_unknown=True),
    codec(lenient_envelope=True, naive_as_utc=True),
    codec(limits=Limits(max_bytes=400, max_depth=4, max_string=60, max_parts=8, max_items=20, max_problems=2)),
    codec(converter=shouting()),
    MessageCodec(TaskNoted),
    MessageCodec(),
)


def outcome(found: Message | InvalidMessage) -> object:
    """Return a message, or what an error says, which two equal errors share."""
    return (type(found), found.problems) if isinstance(found, InvalidMessage) else (type(found), found, repr(found))


def one_by_one(codec: MessageCodec, raws: list[Any]) -> list[object]:
    """Return the outcomes of `decode`."""
    results = [codec.decode(raw) for raw in raws]
    return [outcome(one.unwrap() if isinstance(one, Success) else one.failure()) for one in results]


def many(codec: MessageCodec, raws: list[Any]) -> list[object]:
    """Return the outcomes of `decode_many`."""
    return [outcome(one) for one in codec.decode_many(raws)]


def messages(source: random.Random) -> Iterator[Message]:
    """Yield a message of each class."""
    task_id = TaskId.v4()
    yield TaskCreated(task_id, Title("Buy milk"), source.randint(1, 9))
    yield TaskRemoved(task_id).caused_by(TaskNoted())
    yield TaskNoted()
    yield RemoveTask(task_id).add_meta({"tenant": "home", "tries": 2, "rate": 0.5, "urgent": True, "user": None})
    yield TaskMoved().add_meta({"nested": {"a": [1]}})
    yield TreePlanted(Tree("a", (Tree("b", (Tree("c"),)),)))
    yield Maker(source.randrange(2**32)).message()
    yield Unheard()


VALUES: tuple[object, ...] = (
    None, 0, -1, 1.5, True, "", "x", "2021-12-28 14:11:47.845618", "2021-12-28T14:11:47.845618Z",
    "2021-12-28 14:11:47.84561", "2021-12-28 14:11:47.8456189", "2021-12-28 14:11:47.8456189Z",
    "2021-12-28T14:11:47+01:00", "2021-12-28 14:11:47.84561+", '2021-12-28 14:11:47.84561"', [], [[[[[[[]]]]]]], {},
    {"a": {"b": 1}}, "1", 2, 3, "domain_event", "command", "task.removed", "task.noted", "y" * 100,
)  # fmt: skip  # many in a row
PLACES = ("id", "type", "type_message", "version", "occurred_on", "attributes", "meta", "more", "sent_as")


def changed(source: random.Random, message: Message) -> Any:
    """Return the JSON of a message, in most cases with one thing about it changed, as bytes or in another form."""
    envelope: Any = message.dict()
    data, attributes = envelope["data"], envelope["data"]["attributes"]
    choice = source.randrange(12)
    if choice < 3:
        data[source.choice(PLACES)] = source.choice(VALUES)
    elif choice == 3:
        attributes[source.choice([*attributes, "more"])] = source.choice(VALUES)
    elif choice == 4:
        del data[source.choice(list(data))]
    elif choice == 5:
        envelope["data"] = dict(source.sample(list(data.items()), len(data)))
    elif choice == 6 and "title" in attributes:
        data["version"], attributes["name"] = 1, attributes.pop("title")
    raw: bytes = msgspec.json.encode(envelope)
    if choice == 7:
        raw = json.dumps(envelope).encode()
    elif choice == 8:
        start = source.randrange(len(raw))
        raw = raw[:start] + source.choice([b"", b'"', b"\\", b",", b"}", b"]", b"\xff", b" ", b"1"]) + raw[start + 1 :]
    elif choice == 9:
        raw = raw[: source.randrange(len(raw))] + source.choice([b"", raw, b"}}", b"]"])
    text, surrogates = raw.decode(errors="replace"), raw.decode(errors="surrogateescape")
    usual: list[object] = [*[raw] * 8, text, text]
    return source.choice([*usual, bytearray(raw), memoryview(raw), surrogates, 5, None][: 99 if choice == 10 else 10])


@settings(max_examples=at_full(4000))
@given(seed=st.integers(0, 2**32), which=st.sampled_from(CODECS), forms=st.booleans())
def test_many_are_read_as_one_by_one(seed: int, which: MessageCodec, *, forms: bool) -> None:
    """Messages of all classes, right and wrong, of all versions and forms, are read as by `decode`, in their order."""
    source = random.Random(seed)
    made = [one for _ in range(source.randint(0, 3)) for one in messages(source)]
    chosen = source.sample(made, source.randint(0, len(made)))
    raws = [changed(source, one) if forms else msgspec.json.encode(one.dict()) for one in chosen]
    assert one_by_one(which, raws) == many(which, raws)


def test_right_messages_come_back_equal_in_their_order() -> None:
    """Messages of several classes in any order come back equal, whatever iterable they are in."""
    source, which = random.Random(1), CODECS[0]
    sent = [one for _ in range(20) for one in messages(source) if not isinstance(one, Unheard)]
    source.shuffle(sent)
    assert tuple(sent) == which.decode_many(which.encode(one) for one in sent)
    assert tuple(sent) == which.decode_many([which.encode(one).decode() for one in sent])
    assert () == which.decode_many([])


def test_an_error_stands_in_the_place_of_its_message() -> None:
    """An InvalidMessage stands where its message was, an UnknownMessage too; the others are read."""
    which, sent = CODECS[0], TaskNoted("a")
    wrong = which.encode(sent).replace(b'"a"', b"5")
    found = which.decode_many([which.encode(sent), b"{}", wrong, which.encode(sent), Unheard().json().encode()])
    assert [TaskNoted, InvalidMessage, InvalidMessage, TaskNoted, UnknownMessage] == [type(one) for one in found]
    assert [None] * 3 == [one.__traceback__ for one in found if isinstance(one, InvalidMessage)]


@pytest.mark.parametrize(
    "pieces",
    [
        (b"{0}],[{0}", b"{0}"),
        (b"{0},{0}", b""),
        (b"{0}{0}", b" "),
        (b'{0},"x":', b"{0}"),
        (b"[{0}", b"{0}]"),
    ],
)
def test_a_message_cannot_reach_into_the_next(pieces: tuple[bytes, bytes]) -> None:
    """Pieces that would make valid JSON only if they were put together are refused, each by itself."""
    whole = CODECS[5].encode(TaskNoted())
    raws = [piece.replace(b"{0}", whole) for piece in pieces]
    half = len(whole) // 2
    raws += [whole[:half], whole[half:]]
    expected = one_by_one(CODECS[5], raws)
    assert expected == many(CODECS[5], raws)
    assert [] == [one for one in CODECS[5].decode_many(raws) if isinstance(one, TaskNoted) and whole not in raws]


def test_each_limit_holds_for_each_message() -> None:
    """The limits are those of one message: many that are within them are read, and one that is over is refused."""
    noted = MessageCodec(TaskNoted)
    raw = noted.encode(TaskNoted("a" * 30))
    small = MessageCodec(TaskNoted, limits=Limits(max_bytes=len(raw)))
    assert [TaskNoted] * 100 == [type(one) for one in small.decode_many([raw] * 100)]
    longer = noted.encode(TaskNoted("a" * 31))
    assert [TaskNoted, InvalidMessage] == [type(one) for one in small.decode_many([raw, longer])]
    shallow = MessageCodec(TaskNoted, TreePlanted, limits=Limits(max_depth=4))
    trees = [TreePlanted(Tree("a")), TreePlanted(Tree("a", (Tree("b"),)))]
    found = shallow.decode_many([raw, *(one.json().encode() for one in trees)])
    assert [TaskNoted, InvalidMessage, InvalidMessage] == [type(one) for one in found]
    deeper = MessageCodec(TaskNoted, TreePlanted, limits=Limits(max_depth=5))
    found = deeper.decode_many([raw, *(one.json().encode() for one in trees)])
    assert [TaskNoted, TreePlanted, InvalidMessage] == [type(one) for one in found]


def test_a_time_finer_than_a_microsecond_is_refused() -> None:
    """A time that `decode` could not read exactly is refused in bulk too."""
    raw = TaskNoted().json().encode()
    finer = raw.replace(b'","attributes"', b'1","attributes"')
    assert [TaskNoted, InvalidMessage] == [type(one) for one in CODECS[5].decode_many([raw, finer])]


def test_attributes_may_be_absent_if_all_have_defaults() -> None:
    """A message without attributes has the defaults, as from `decode`."""
    raw = TaskNoted().json().encode()
    absent = raw.replace(b',"attributes":{"note":"none"}', b"")
    assert absent != raw
    assert ["none", "none"] == [one.note for one in MessageCodec.of(TaskNoted).decode_many([raw, absent])]  # type: ignore[union-attr]  # all are read


def test_names_that_are_alike_for_long_are_told_apart() -> None:
    """Classes whose names begin alike, further than a short name is long, are each read as themselves."""
    long = "task" * 60

    class First(DomainEvent):
        class Config:
            name = f"{long}.first"

    class Second(DomainEvent):
        class Config:
            name = f"{long}.second"

    sent = (First(), TaskNoted(), Second(), First())
    which = MessageCodec(First, Second, TaskNoted)
    assert sent == which.decode_many([which.encode(one) for one in sent])
    assert [*map(Success, sent)] == [which.decode(which.encode(one)) for one in sent]


def test_it_raises_what_the_iterable_raises() -> None:
    """An iterable that fails makes the call fail: nothing that it would have given is taken as read."""

    def failing() -> Iterator[bytes]:
        yield TaskNoted().json().encode()
        raise LookupError("the connection is gone")

    with pytest.raises(LookupError, match="gone"):
        CODECS[0].decode_many(failing())


def test_a_text_is_read_the_fast_way_too() -> None:
    """`decode` reads a text as it reads its bytes, and refuses one without UTF-8."""
    sent = TaskNoted("milk ä 🎉")
    assert one_by_one(CODECS[0], [sent.json()]) == one_by_one(CODECS[0], [sent.json().encode()])
    assert ["json"] == [one.code for one in CODECS[0].decode(sent.json() + "\ud800").failure().problems]


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)


@given(
    meta=st.dictionaries(st.text(), st.text() | SCALARS, min_size=1) | st.dictionaries(st.text(), st.text(), min_size=1)
)
def test_a_flat_meta_is_frozen_alike(meta: dict[str, Any]) -> None:
    """The shorter way to freeze a meta of single values gives what the longer one gives: equal, and read-only."""
    parsed = msgspec.json.decode(msgspec.json.encode(meta))
    short, long = freeze_parsed(parsed), frozen_meta(parsed)
    assert (long, type(long)) == (short, type(short))
    assert short is frozen_meta(short), "it need not be frozen again"
