"""Downcasters: one message in several versions, and a reader of several of them that takes one."""

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import petisco
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Success

from domainkit import (
    AsyncInmemoryDomainEventBus,
    AsyncInmemoryMessagePublisher,
    Attributes,
    Command,
    DomainEvent,
    Downcaster,
    Envelope,
    InvalidMessage,
    JsonValue,
    Limits,
    Message,
    MessageCodec,
    MessageInfo,
    OutgoingMessage,
    UnknownMessage,
    Upcaster,
)
from domainkit.formats import codec_schema


@frozen
class TaskCreated(DomainEvent):
    title: str
    urgent: bool = False
    lines: tuple[int, ...] = ()

    class Config:
        version = 3


@frozen
class TaskRemoved(DomainEvent):
    title: str


@frozen
class ItemAdded(Command):
    title: str

    class Config:
        version = 2
        name = "task.created"


def without_urgent(attributes: Attributes) -> Attributes:
    """Version 2 had no `urgent`."""
    return {key: value for key, value in attributes.items() if key != "urgent"}


def as_name(attributes: Attributes) -> Attributes:
    """Version 1 called the title `name`."""
    return {"name": attributes["title"]}


DOWN = (Downcaster(TaskCreated, 3, without_urgent), Downcaster(TaskCreated, 2, as_name))
CODEC = MessageCodec(TaskCreated, TaskRemoved, downcasters=DOWN)
EVENT = TaskCreated("Buy milk", urgent=True, lines=(1,)).add_meta({"tenant": "home"})
FORMS = [f"domain_event task.created version {version}" for version in (3, 2, 1)]


def data_of(raw: bytes) -> dict[str, Any]:
    """Return what stands in the envelope."""
    found: dict[str, Any] = json.loads(raw)["data"]
    return found


def test_a_message_is_written_in_an_older_version() -> None:
    """Id, time and meta stay; version and attributes are those of old; what petisco reads is just that."""
    raw = CODEC.encode_as(EVENT, 1)
    own = EVENT.dict()["data"]
    assert {**own, "version": 1, "attributes": {"name": "Buy milk"}} == data_of(raw)
    second = {**own, "version": 2, "attributes": {"title": "Buy milk", "lines": [1]}}
    assert second == data_of(CODEC.encode_as(EVENT, 2))
    assert CODEC.encode(EVENT) == CODEC.encode_as(EVENT, 3)
    old = petisco.DomainEvent.from_format(raw)
    assert (str(EVENT.header.id), 1, {"name": "Buy milk"}) == (
        old.get_message_id().value, old.get_message_version(), old.get_message_attributes()
    )  # fmt: skip  # one of each


def test_a_message_is_written_in_all_versions() -> None:
    """Its own comes first; each says in which forms the message is sent, and is else what `encode_as` makes."""
    found = CODEC.encode_all(EVENT)
    assert [3, 2, 1] == [info.version for info, _ in found]
    assert [False, True, True] == [Envelope.is_older_form(raw) for _, raw in found]
    for info, raw in found:
        assert data_of(CODEC.encode_as(EVENT, info.version)) | {"sent_as": FORMS} == data_of(raw)
        assert EVENT.header.id.value.hex == petisco.DomainEvent.from_format(raw).get_message_id().value.replace("-", "")


def test_a_message_without_older_versions_is_as_ever() -> None:
    """It has one form, which says nothing of others; its codec may have downcasters of another class."""
    event = TaskRemoved("Buy milk")
    assert ((TaskRemoved.info(), CODEC.encode(event)),) == CODEC.encode_all(event)
    assert CODEC.encode(event) == CODEC.encode_as(event, 1)
    assert not Envelope.is_older_form(CODEC.encode(event))
    assert (3, 2, 1) == CODEC.versions(TaskCreated)
    assert (1,) == CODEC.versions(TaskRemoved)


def test_what_a_codec_can_not_write_is_refused() -> None:
    """A version that it has no way to is an UnknownMessage, and so is a class that it wasn't given."""
    with pytest.raises(UnknownMessage, match="a version that the codec can write: 3, 2, 1"):
        CODEC.encode_as(EVENT, 4)
    for call in (
        lambda: CODEC.versions(DomainEvent),
        lambda: CODEC.encode_all(DomainEvent()),
        lambda: CODEC.encode_as(DomainEvent(), 1),
    ):
        with pytest.raises(UnknownMessage, match="one of the codec's classes, not DomainEvent"):
            call()


def fails(_: Attributes) -> Attributes:
    """Fail."""
    raise KeyError("Buy milk")


@pytest.mark.parametrize(
    "function",
    [
        fails,
        lambda _: None,
        lambda _: [1],
        lambda _: {"on": date(2021, 12, 28)},
        lambda _: {"n": float("nan")},
        lambda _: {5: 1},
        lambda attributes: attributes.update(a=1),
    ],
)
def test_a_function_that_fails_is_an_error_without_a_value(function: Callable[[Attributes], Attributes]) -> None:
    """It raises, changes what it was given, or returns no JSON: an InvalidMessage names the downcaster."""
    codec = MessageCodec(TaskCreated, downcasters=[DOWN[0], Downcaster(TaskCreated, 2, function)])
    assert codec.encode_as(EVENT, 2)
    for encode in (lambda: codec.encode_as(EVENT, 1), lambda: codec.encode_all(EVENT)):
        with pytest.raises(InvalidMessage) as refused:
            encode()
        (problem,) = refused.value.problems
        assert (
            "$.data.attributes: expected attributes that the downcaster of TaskCreated from version 2 takes, "
            "and JSON that it returns (value)" == str(problem)
        )


def test_what_a_message_can_not_hold_has_no_older_form_either() -> None:
    """A message that can't be encoded is refused in each version."""
    with pytest.raises(InvalidMessage, match="title"):
        CODEC.encode_as(TaskCreated(5), 1)  # type: ignore[arg-type]  # what is refused


@pytest.mark.parametrize(
    ("limits", "text"),
    [(Limits(max_bytes=500), "500 bytes"), (Limits(max_depth=5), "5 levels")],
    ids=["bytes", "depth"],
)
def test_limits_hold_for_older_forms(limits: Limits, text: str) -> None:
    """A form that no reader with the limits of the codec takes isn't written: an older form may be the longer one."""

    def longer(_: Attributes) -> Attributes:
        return {"text": "x" * 500, "deep": [[[[[1]]]]]}

    codec = MessageCodec(TaskCreated, downcasters=[Downcaster(TaskCreated, 3, longer)], limits=limits)
    assert codec.encode(EVENT)
    with pytest.raises(InvalidMessage, match=text):
        codec.encode_as(EVENT, 2)
    with pytest.raises(InvalidMessage, match=text):
        codec.encode_all(EVENT)


def test_versions_may_be_skipped_and_names_changed() -> None:
    """A form may be some versions older, and called something else; a codec that knows that one reads it."""

    @frozen
    class TaskMade(DomainEvent):
        name: str

    codec = MessageCodec(
        TaskCreated, downcasters=[Downcaster(TaskCreated, 3, as_name, to_version=1, to_name="task.made")]
    )
    (_, new), (info, old) = codec.encode_all(EVENT)
    assert (MessageInfo("task.made", 1, "domain_event"), (3, 1)) == (info, codec.versions(TaskCreated))
    assert Success(TaskMade("Buy milk", header=EVENT.header)) == MessageCodec(TaskMade).decode(old)
    both = MessageCodec(TaskCreated, TaskMade)
    assert [False, True] == [both.reads_another_form(raw) for raw in (new, old)]
    assert [True, False] == [MessageCodec(TaskMade).reads_another_form(raw) for raw in (new, old)]


def up(attributes: Attributes) -> Attributes:
    """Give a title to what has a name."""
    return {"title": attributes.get("title", attributes.get("name")), **attributes}


READERS: dict[str, tuple[MessageCodec, int | None]] = {
    "today's alone": (MessageCodec(TaskCreated), 3),
    "today's, and the first": (MessageCodec(TaskCreated, upcasters=[Upcaster(TaskCreated, 1, up, to_version=3)]), 3),
    "the writer's own": (CODEC, 3),
    "of another message": (MessageCodec(TaskRemoved), None),
    "of a command of the same name": (MessageCodec(ItemAdded), None),
}


@pytest.mark.parametrize(("reader", "version"), READERS.values(), ids=READERS)
def test_each_reader_takes_one_form(reader: MessageCodec, version: int | None) -> None:
    """Each reader takes the newest version it knows, and leaves the rest; one that knows no version takes each."""
    taken = {info.version: not reader.reads_another_form(raw) for info, raw in CODEC.encode_all(EVENT)}
    assert {one: version in (one, None) for one in (3, 2, 1)} == taken


def test_a_form_counts_where_its_class_is_handled() -> None:
    """Of two classes for two versions of a name, a queue for one of them leaves nothing to the other."""

    @frozen
    class TaskCreatedOfOld(DomainEvent):
        name: str

        class Config:
            name = "task.created"

    reader = MessageCodec(TaskCreated, TaskCreatedOfOld)
    forms = [raw for _, raw in CODEC.encode_all(EVENT)]
    for classes, left in (
        ((), [False, True, True]),
        ((TaskCreated,), [False, True, True]),
        ((TaskCreatedOfOld,), [True, True, False]),
        ((DomainEvent,), [False, True, True]),
        ((ItemAdded,), [False, False, False]),
    ):
        assert left == [reader.reads_another_form(raw, *classes) for raw in forms]


@given(st.integers(1, 4), st.sets(st.integers(1, 3)), st.integers(1, 4))
def test_a_message_is_handled_once_whoever_reads_it(latest: int, lifted: set[int], sent: int) -> None:
    """Whatever versions a writer sends and a reader knows: a form that it can read is left for it, and just one."""

    def made(version: int) -> type[DomainEvent]:
        config = type("Config", (), {"version": version, "name": "moved"})
        return type("Moved", (DomainEvent,), {"Config": config, "__module__": __name__})

    written, read = made(sent), made(latest)
    writer = MessageCodec(written, downcasters=[Downcaster(written, one, dict) for one in range(2, sent + 1)])
    old = [Upcaster(read, one, dict, to_version=latest) for one in lifted if one < latest]
    reader = MessageCodec(read, upcasters=old)
    forms = writer.encode_all(written())
    handled = [info.version for info, raw in forms if not reader.reads_another_form(raw)]
    known = sorted({latest, *(one for one in lifted if one < latest)} & set(range(1, sent + 1)))
    assert (known[-1:] or [info.version for info, _ in forms]) == handled
    assert all(isinstance(reader.decode(raw), Success) for info, raw in forms if info.version in known)


def test_a_form_is_the_message_that_was_sent() -> None:
    """The list of forms stands in the envelope: the message itself is equal, and its meta its own."""
    for options in ({}, {"forbid_unknown": True}, {"lenient_envelope": True}):
        codec = MessageCodec(TaskCreated, downcasters=DOWN, **options)  # type: ignore[arg-type]  # each has its own type
        (_, raw), *_ = codec.encode_all(EVENT)
        assert Success(EVENT) == codec.decode(raw) == codec.decode(raw.decode()) == codec.decode_dict(json.loads(raw))
        assert codec.encode(EVENT) == codec.encode(codec.decode(raw).unwrap())


def test_schemas_that_are_closed_know_it() -> None:
    """If unknown keys are refused, the schema admits the key that the reader takes."""
    schema: Any = codec_schema(MessageCodec(TaskRemoved, forbid_unknown=True))
    assert "sent_as" in json.dumps(schema)
    assert "sent_as" not in json.dumps(codec_schema(MessageCodec(TaskRemoved)))


@pytest.mark.parametrize(
    "sent_as",
    [None, 5, "domain_event task.created version 3", [], [5], ["x"], [None], {}, [FORMS[0]], [FORMS[2], FORMS[0]]],
    ids=str,
)
def test_what_says_no_other_form_that_is_known_is_left_to_none(sent_as: JsonValue) -> None:
    """A message that says something else there, or names itself first or alone, is read as ever."""
    wire: Any = EVENT.dict()
    wire["data"] |= {"sent_as": sent_as}
    raw = json.dumps(wire, separators=(",", ":")).encode()
    assert not CODEC.reads_another_form(raw)
    assert Success(EVENT) == CODEC.decode(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'"sent_as":', b'{"data":{"sent_as":["a"]}}', b'{"sent_as":[' * 99_999, b"\xff"]
)
def test_bytes_that_are_no_message_have_no_form(raw: bytes) -> None:
    """They are left to decoding, which says what is wrong; nothing raises."""
    assert not CODEC.reads_another_form(raw)
    assert CODEC.decode(raw).failure().problems


@given(st.binary() | st.text().map(lambda text: f'{{"data":{{"type":"a","sent_as":{text}}}}}'.encode()))
def test_any_bytes_give_an_answer(raw: bytes) -> None:
    """Whatever a broker delivers, the question never raises."""
    assert not CODEC.reads_another_form(raw)


def nothing(attributes: Attributes) -> Attributes:
    """Return the attributes as they are."""
    return attributes


class Sent(DomainEvent):
    class Config:
        version = 2
        name = "task.removed"


REFUSED: Mapping[str, tuple[tuple[type[Message], ...], tuple[Downcaster, ...], str]] = {
    "another class": (
        (TaskRemoved,),
        (Downcaster(TaskCreated, 3, nothing),),
        "the downcaster of TaskCreated from version 3: expected a class of the codec, got another",
    ),
    "a duplicate": (
        (TaskCreated,),
        (Downcaster(TaskCreated, 3, nothing), Downcaster(TaskCreated, 3, nothing, to_version=1)),
        "from version 3: expected a single one from each version, got two; remove one",
    ),
    "a gap": (
        (TaskCreated,),
        (Downcaster(TaskCreated, 3, nothing, to_version=1), Downcaster(TaskCreated, 2, nothing)),
        "from version 2: expected a downcaster to version 2, got none; add one",
    ),
    "a gap at the start": (
        (TaskCreated,),
        (Downcaster(TaskCreated, 2, nothing),),
        "from version 2: expected a downcaster to version 2, got none; add one",
    ),
    "a version that is newer than the class": (
        (TaskCreated,),
        (Downcaster(TaskCreated, 4, nothing),),
        "from version 4: expected a downcaster to version 4, got none; add one",
    ),
    "a cycle": (
        (TaskCreated,),
        (Downcaster(TaskCreated, 3, nothing), Downcaster(TaskCreated, 2, nothing, to_version=3)),
        "from version 2: expected an earlier version as `to_version`, got 3",
    ),
    "itself": (
        (TaskCreated,),
        (Downcaster(TaskCreated, 3, nothing, to_version=3),),
        "from version 3: expected an earlier version as `to_version`, got 3",
    ),
    "a form that another class has": (
        (Sent, TaskRemoved),
        (Downcaster(Sent, 2, nothing),),
        (
            "the downcaster of Sent from version 2: expected a version that no other class has, got "
            "domain_event task.removed version 1, which is TaskRemoved"
        ),
    ),
    "a form that two classes would have": (
        (Sent, TaskCreated),
        (Downcaster(Sent, 2, nothing, to_name="old"), Downcaster(TaskCreated, 3, nothing, to_version=1, to_name="old")),
        (
            "the downcaster of TaskCreated from version 3: expected a version that no other class has, got "
            "domain_event old version 1, which is Sent"
        ),
    ),
}


@pytest.mark.parametrize(("classes", "downcasters", "text"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_way_is_refused_when_the_codec_is_made(
    classes: tuple[type[Message], ...], downcasters: tuple[Downcaster, ...], text: str
) -> None:
    """The TypeError names the downcaster and the versions."""
    with pytest.raises(TypeError) as refused:
        MessageCodec(*classes, downcasters=downcasters)
    assert text in str(refused.value)


def test_the_version_before_the_first_is_refused() -> None:
    """Versions are counted from 1, and there is none before it."""
    with pytest.raises(ValueError, match="'from_version' must be >= 2"):
        Downcaster(TaskRemoved, 1, nothing)
    with pytest.raises(ValueError, match="'to_version' must be >= 1"):
        Downcaster(TaskCreated, 3, nothing, to_version=0)


def test_one_codec_reads_old_versions_and_writes_them() -> None:
    """An upcaster and a downcaster of one version go together, in another order than that of the versions too."""
    codec = MessageCodec(
        TaskCreated,
        upcasters=[Upcaster(TaskCreated, 2, up), Upcaster(TaskCreated, 1, up)],
        downcasters=DOWN[::-1],
    )
    assert (3, 2, 1) == codec.versions(TaskCreated)
    (_, new), *older = codec.encode_all(EVENT)
    assert [False, True, True] == [codec.reads_another_form(raw) for raw in (new, *(raw for _, raw in older))]
    assert ["Buy milk"] * 2 == [codec.decode(raw).unwrap().title for _, raw in older]  # type: ignore[attr-defined]  # TaskCreated


def test_all_forms_leave_as_outgoing_messages() -> None:
    """They have one id and one key, and each what it is routed by; one that is sent alone says nothing of others."""
    found = OutgoingMessage.all_of(EVENT, CODEC, key="task-7")
    assert [(EVENT.header.id, "task-7")] * 3 == [(one.id, one.key) for one in found]
    assert [(one.info, one.body) for one in found] == list(CODEC.encode_all(EVENT))
    assert [tuple(FORMS)] * 3 == [one.sent_as for one in found]
    alone = OutgoingMessage.of(EVENT, CODEC)
    assert (3, ()) == (alone.info.version, alone.sent_as)
    (only,) = OutgoingMessage.all_of(TaskRemoved("a"), CODEC)
    assert (str(only.id), ()) == (only.key, only.sent_as)


async def test_the_publisher_in_memory_hands_one_form_over() -> None:
    """Published in all versions, a message reaches its bus once; published in one, it does so in that."""
    bus = AsyncInmemoryDomainEventBus()
    publisher = AsyncInmemoryMessagePublisher(CODEC, events=bus)
    for one in OutgoingMessage.all_of(EVENT, CODEC):
        assert Success(None) == await publisher.publish(one)
    assert (EVENT,) == tuple(bus.published)
    assert Success(None) == await publisher.publish(OutgoingMessage.of(EVENT, CODEC))
    assert (EVENT, EVENT) == tuple(bus.published)
