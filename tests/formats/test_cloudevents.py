"""CloudEvents: both ways without loss, read and written by the official SDK, and total on any input."""

import base64
import json
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import frozen
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from every_kind import EveryKind, Maker, OrderId, Plain, Title
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success
from sizes import at_full

from domainkit import (
    Attributes,
    DomainEvent,
    InvalidMessage,
    Limits,
    Message,
    MessageCodec,
    MessageHeader,
    Problem,
    UnknownMessage,
    Upcaster,
    Uuid,
)
from domainkit.formats import CloudEventCodec

Json = Any  # what a CloudEvent holds: the tests index into it


@frozen
class TaskCreated(DomainEvent):
    title: Title
    order_id: OrderId | None = None

    class Config:
        version = 2


def add_nothing(attributes: Attributes) -> Attributes:
    """Upcast: version 1 called the title `name`."""
    return {"title": attributes["name"]}


CODEC = MessageCodec(TaskCreated, Plain, upcasters=[Upcaster(TaskCreated, 1, add_nothing)])
EVENTS = CloudEventCodec(CODEC, "/tasks")
HEADER = MessageHeader(
    Uuid.from_str("3a4d78aa-6870-41cb-aa14-964831511d86"),
    datetime(2021, 12, 28, 14, 11, 47, tzinfo=UTC),
    {"tenant": "home", "n": [1, None, 2.5, {"ä": "\x00\x7f\ufffe🎉"}]},
)
EVENT = TaskCreated(Title("Buy milk"), header=HEADER)


def written(**changes: object) -> Json:
    """Return EVENT as a CloudEvent, with some attributes changed; None takes one away."""
    event = {**EVENTS.encode_dict(EVENT), **changes}
    return {name: value for name, value in event.items() if value is not None}


def problems_of(event: Json) -> list[tuple[str, str]]:
    """Return path and code of each problem."""
    return [(problem.path, problem.code) for problem in EVENTS.decode(json.dumps(event)).failure().problems]


@pytest.mark.parametrize("digits", ["8456189", "84561899", "845618999"])
def test_a_time_finer_than_a_microsecond_is_cut(digits: str) -> None:
    """A time with 7 to 9 digits, as other languages write it, is read up to the microsecond; so are builtins."""
    event = {**EVENTS.encode_dict(Plain("a")), "time": f"2021-12-28T14:11:47.{digits}+01:00"}
    expected = datetime(2021, 12, 28, 13, 11, 47, 845618, tzinfo=UTC)
    assert expected == EVENTS.decode(json.dumps(event)).unwrap().header.occurred_on
    assert expected == EVENTS.decode_dict(event).unwrap().header.occurred_on


def test_a_message_is_written_as_the_specification_says() -> None:
    """Every part of the message has its attribute; the time has six digits and Z."""
    assert {
        "specversion": "1.0",
        "id": "3a4d78aa-6870-41cb-aa14-964831511d86",
        "source": "/tasks",
        "type": "task.created",
        "time": "2021-12-28T14:11:47.000000Z",
        "datacontenttype": "application/json",
        "messagekind": "domain_event",
        "messageversion": 2,
        "messagemeta": r'{"tenant":"home","n":[1,null,2.5,{"\u00e4":"\u0000\u007f\ufffe\ud83c\udf89"}]}',
        "data": {"title": "Buy milk", "order_id": None},
    } == EVENTS.encode_dict(EVENT)


def test_an_empty_meta_is_left_out() -> None:
    """An attribute that would say nothing isn't there, and comes back as an empty meta."""
    event = Plain("a")

    assert "messagemeta" not in EVENTS.encode_dict(event)
    assert Success(event) == EVENTS.decode(EVENTS.encode(event))


def test_the_names_of_attributes_are_those_that_cloudevents_allows() -> None:
    """Lower-case letters and digits, at most 20 of them (specification, Attribute Naming Convention)."""
    for name in EVENTS.encode_dict(EVENT):
        assert re.fullmatch("[a-z0-9]{1,20}", name)


def test_nothing_is_lost() -> None:
    """Generated messages of every field kind come back equal, as bytes, as text and as builtins."""
    codec = MessageCodec(EveryKind)
    events = CloudEventCodec(codec, "urn:example:tasks")
    maker = Maker(11)
    for _ in range(at_full(5_000)):
        message = maker.message()
        raw = events.encode(message)
        assert Success(message) == events.decode(raw) == events.decode(raw.decode())
        assert Success(message) == events.decode_dict(events.encode_dict(message))


def test_the_official_sdk_reads_what_is_written() -> None:
    """The SDK takes it for a valid CloudEvent, with the same attributes and data."""
    codec = MessageCodec(EveryKind)
    events = CloudEventCodec(
        codec,
        "urn:example:tasks",
        subject=lambda _: "task 7",
        dataschema=lambda info: f"https://example.org/{info.name}",
    )
    maker = Maker(12)
    for _ in range(100):
        message = maker.message()
        read = JSONFormat().read(None, events.encode(message))
        assert isinstance(read, CloudEvent)
        assert (str(message.header.id), "every.kind") == (read.get_id(), read.get_type())
        assert ("urn:example:tasks", "task 7") == (read.get_source(), read.get_subject())
        assert "https://example.org/every.kind" == read.get_dataschema()
        assert message.header.occurred_on == read.get_time()
        assert json.loads(codec.encode(message))["data"]["attributes"] == read.get_data()
        assert ("domain_event", 1) == (read.get_extension("messagekind"), read.get_extension("messageversion"))


@pytest.mark.parametrize("prepared", [dict, lambda data: json.dumps(data).encode()])
def test_what_the_official_sdk_writes_is_read(prepared: Callable[[Json], Json]) -> None:
    """Also where the SDK was given bytes, which it writes as `data_base64`, and where it wrote again what it read."""
    maker = Maker(13)
    codec = MessageCodec(EveryKind)
    events = CloudEventCodec(codec, "/tasks")
    for _ in range(100):
        message = maker.message()
        read = JSONFormat().read(None, events.encode(message))
        attributes = {name: value for name, value in read.get_attributes().items() if value is not None}
        again = JSONFormat().write(CloudEvent(attributes, prepared(read.get_data())))
        assert Success(message) == events.decode(again)


def test_a_cloudevent_of_another_program_is_read() -> None:
    """Another order, more attributes, another offset, a version as text, and no content type are all fine."""
    raw = b"""{
        "data": {"title": "Buy milk", "more": 1}, "traceparent": "00-abc-01", "messageversion": "2", "subject": null,
        "time": "2021-12-28T16:11:47+02:00", "type": "task.created", "source": "https://example.org/tasks?x=%20#y",
        "messagekind": "domain_event", "messagemeta": "{\\"tenant\\": \\"home\\"}", "specversion": "1.0",
        "id": "3A4D78AA-6870-41CB-AA14-964831511D86"}"""
    header = MessageHeader(HEADER.id, HEADER.occurred_on, {"tenant": "home"})

    assert Success(TaskCreated(Title("Buy milk"), header=header)) == EVENTS.decode(raw)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "text/json", "application/vnd.acme+JSON"])
def test_every_media_type_of_json_is_read(kind: str) -> None:
    """The subtype is json, or ends in +json (JSON event format, section 3.1)."""
    assert Success(EVENT) == EVENTS.decode_dict(written(datacontenttype=kind))


def test_upcasters_apply() -> None:
    """A CloudEvent of an old version is read as the message of today."""
    old = written(messageversion=1, data={"name": "Buy milk"})

    assert Success(EVENT) == EVENTS.decode_dict(old)


def test_attributes_may_be_absent_where_a_message_has_none() -> None:
    """A CloudEvent without data is one of a message whose fields all have defaults."""

    class Pinged(DomainEvent): ...

    events = CloudEventCodec(MessageCodec(Pinged), "/")
    event = Pinged()
    wire = events.encode_dict(event)
    del wire["data"]

    assert Success(event) == events.decode_dict(wire) == events.decode_dict({**wire, "data": None})


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        (("$.specversion", "missing"), {"specversion": None}),
        (("$.specversion", "value"), {"specversion": "0.3"}),
        (("$.specversion", "type"), {"specversion": 1.0}),
        (("$.id", "missing"), {"id": None}),
        (("$.id", "value"), {"id": "7"}),
        (("$.source", "missing"), {"source": None}),
        (("$.source", "type"), {"source": 1}),
        (("$.source", "value"), {"source": ""}),
        (("$.source", "value"), {"source": "a b"}),
        (("$.type", "missing"), {"type": None}),
        (("$.type", "type"), {"type": 1}),
        (("$", "unknown"), {"type": "task.lost"}),
        (("$", "unknown"), {"messagekind": "command"}),
        (("$.messagekind", "missing"), {"messagekind": None}),
        (("$.messageversion", "missing"), {"messageversion": None}),
        (("$.messageversion", "type"), {"messageversion": "two"}),
        (("$.messageversion", "type"), {"messageversion": "02"}),
        (("$.messageversion", "type"), {"messageversion": 2.0}),
        (("$.messageversion", "type"), {"messageversion": True}),
        (("$.time", "missing"), {"time": None}),
        (("$.time", "type"), {"time": 1}),
        (("$.time", "value"), {"time": "yesterday"}),
        (("$.time", "value"), {"time": "2021-12-28T14:11:47"}),
        (("$.time", "value"), {"time": "0001-01-01T00:00:00+01:00"}),
        (("$.datacontenttype", "value"), {"datacontenttype": "application/xml"}),
        (("$.datacontenttype", "type"), {"datacontenttype": 1}),
        (("$.messagemeta", "type"), {"messagemeta": {"tenant": "home"}}),
        (("$.messagemeta", "type"), {"messagemeta": "[]"}),
        (("$.messagemeta", "json"), {"messagemeta": "{"}),
        (("$.messagemeta", "limit"), {"messagemeta": "[" * 65 + "]" * 65}),
        (("$.data", "type"), {"data": "text"}),
        (("$.data.title", "missing"), {"data": {}}),
        (("$.data.title", "type"), {"data": {"title": 1}}),
        (("$.data.order_id", "value"), {"data": {"title": "a", "order_id": "x"}}),
        (("$.data", "value"), {"messageversion": 1, "data": {}}),
        (("$.data_base64", "duplicate"), {"data_base64": "e30="}),
        (("$.data_base64", "value"), {"data": None, "data_base64": "e30"}),
        (("$.data_base64", "type"), {"data": None, "data_base64": 1}),
        (("$.data_base64", "json"), {"data": None, "data_base64": base64.b64encode(b"{").decode()}),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_the_cloudevent(expected: tuple[str, str], changes: Json) -> None:
    """One thing wrong gives one problem, with the path where it stands in the CloudEvent."""
    assert [expected] == problems_of(written(**changes))


def test_all_problems_are_told_at_once() -> None:
    """A CloudEvent that is wrong in many places names each; no more than the codec's limit."""
    event = written(specversion=None, time="now", messagemeta="{", data={"title": 1, "order_id": 2}, id="x")
    few = CloudEventCodec(MessageCodec(TaskCreated, limits=Limits(max_problems=3)), "/")

    assert ["$.specversion", "$.time", "$.messagemeta", "$.id", "$.data.title", "$.data.order_id"] == [
        path for path, _ in problems_of(event)
    ]
    assert 3 == len(few.decode_dict(event).failure().problems)


def test_the_time_is_described_as_cloudevents_has_it() -> None:
    """A missing time is told with the form of a timestamp, not with that of the envelope."""
    (problem,) = EVENTS.decode_dict(written(time=None)).failure().problems

    assert "a timestamp with an offset (RFC 3339), such as 2021-12-28T14:11:47.845618Z" == problem.expected


def test_an_unknown_type_is_an_unknown_message() -> None:
    """So that a consumer can pass over what isn't meant for it."""
    assert isinstance(EVENTS.decode_dict(written(type="task.lost")).failure(), UnknownMessage)
    assert not isinstance(EVENTS.decode_dict(written(id="x")).failure(), UnknownMessage)


@pytest.mark.parametrize("raw", [b"", b"[]", b"1", b"null", b"{", b'"x"', b"\xff", "\ud800", b"[" * 100_000])
def test_what_is_no_object_is_refused(raw: bytes | str) -> None:
    """The problem is that of the whole."""
    (problem,) = EVENTS.decode(raw).failure().problems

    assert "$" == problem.path


def test_the_limits_of_the_codec_apply() -> None:
    """Bytes, depth and length of strings are looked at before anything is parsed."""
    raw = EVENTS.encode(EVENT)
    for limits in (Limits(max_bytes=len(raw) - 1), Limits(max_depth=1), Limits(max_bytes=300, max_string=20)):
        events = CloudEventCodec(MessageCodec(TaskCreated, limits=limits), "/")
        assert [("$", "limit")] == [(one.path, one.code) for one in events.decode(raw).failure().problems]


PARTS = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"1",
    b'"time"',
    b'"data"',
    b'"data_base64"',
    b'"id"',
    b"\\",
    b"\xff",
]


def test_any_bytes_give_a_message_or_a_failure() -> None:
    """Valid CloudEvents with bytes changed, cut and put in: nothing is raised."""
    chance = random.Random(17)
    raw = EVENTS.encode(EVENT)
    outcomes = set()
    for _ in range(at_full(50_000)):
        start = chance.randrange(len(raw))
        changed = raw[:start] + chance.choice([b"", *PARTS]) + raw[start + chance.randrange(9) :]
        result = EVENTS.decode(changed)
        assert isinstance(result, Success) or isinstance(result.failure(), InvalidMessage)
        outcomes.add(type(result))
    assert {Success, Failure} == outcomes


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


_NEAR = st.sampled_from(
    ["1.0", "/tasks", "{}", '{"a": 1}', "application/json", "text/json; a=b", "2", 1, 2, {"name": "a"}, {"title": "b"},
     "e30="]
)  # fmt: skip  # one list
_TIMES = st.sampled_from(
    ["2021-12-28T14:11:47.845618Z", "2021-12-28 14:11:47.845618z", "2021-12-28T14:11:47.8+02:00",
     "2021-12-28T14:11:47.5+0200Z", "2021-12-28T14:11:47.5-0200Z", "2021-12-28T14:11:47+02:00Z", "Z", "",
     "2021-12-28T14:11:47Z", "2021-12-28T14:11:47.845618", "2021-12-28T14:11:47.8456181Z",
     "2021-12-28T14:11:47.845618+02:00Z", "0001-01-01T00:00:00.000000Z", "2021-12-28T14:11:47X845618Z",
     "2021-12-28T14:11:47.84561-Z"]
)  # fmt: skip  # one list


@given(st.dictionaries(st.sampled_from([*written(), "data_base64"]), _JSON | _NEAR | _TIMES, max_size=3), _TIMES)
def test_any_builtins_give_a_message_or_a_failure(changes: Json, moment: str) -> None:
    """Whatever stands in an attribute, nothing is raised, and bytes are read as builtins are."""
    event = {**written(time=moment), **changes}
    result = EVENTS.decode_dict(event)

    assert isinstance(result, Success) or isinstance(result.failure(), InvalidMessage)
    assert result == EVENTS.decode(json.dumps(event))


def test_subject_and_dataschema_are_given_by_functions() -> None:
    """The subject is made of the message, the dataschema of its name and version; None leaves each out."""

    def title(message: Message) -> str | None:
        return message.title.value if isinstance(message, TaskCreated) else None

    events = CloudEventCodec(
        CODEC,
        "/tasks",
        subject=title,
        dataschema=lambda info: f"https://example.org/{info.name}/{info.version}.json#/x",
    )

    assert "Buy milk" == events.encode_dict(EVENT)["subject"]
    assert "https://example.org/task.created/2.json#/x" == events.encode_dict(EVENT)["dataschema"]
    assert "subject" not in events.encode_dict(Plain("a"))
    assert Success(EVENT) == events.decode(events.encode(EVENT))


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("$.subject", {"subject": lambda _: ""}),
        ("$.subject", {"subject": lambda _: "a\nb"}),
        ("$.subject", {"subject": lambda _: 5}),
        ("$.dataschema", {"dataschema": lambda _: ""}),
        ("$.dataschema", {"dataschema": lambda _: "/schemas/task"}),
    ],
)
def test_a_subject_or_schema_that_cannot_be_carried_is_refused(path: str, options: Json) -> None:
    """Encoding names the attribute, and what it must be."""
    with pytest.raises(InvalidMessage) as caught:
        CloudEventCodec(CODEC, "/tasks", **options).encode(EVENT)

    assert [path] == [problem.path for problem in caught.value.problems]


def test_a_message_that_the_codec_lacks_is_refused() -> None:
    """Encoding raises what the codec raises."""
    with pytest.raises(UnknownMessage):
        EVENTS.encode(DomainEvent())


@pytest.mark.parametrize("source", ["", "a b", "\x00", "%zz", "ä", None, 5])
def test_a_source_that_is_no_uri_reference_is_refused(source: Any) -> None:  # a wrong type too
    """The text says what it must be."""
    with pytest.raises(ValueError, match=r"CloudEventCodec.source: expected a non-empty URI reference"):
        CloudEventCodec(CODEC, source)


def test_names_and_versions_that_cannot_be_carried_are_refused() -> None:
    """When the codec is built, by class and setting: nothing fails at the first message."""

    class Odd(DomainEvent):
        class Config:
            name = "task\ncreated"

    class Late(DomainEvent):
        class Config:
            version = 2**31

    with pytest.raises(ValueError, match=r"Odd.Config.name: expected text without control characters for a"):
        CloudEventCodec(MessageCodec(Odd), "/")
    with pytest.raises(ValueError, match=r"Late.Config.version: expected at most 2147483647 for a CloudEvent"):
        CloudEventCodec(MessageCodec(Late), "/")


def test_a_refusal_says_nothing_of_the_values() -> None:
    """Problems hold paths and what is expected, never what was found."""
    secret = "s3cret-s3cret"  # what must not be seen again
    wrong = dict.fromkeys(written(), secret)

    assert secret not in str(EVENTS.decode_dict(wrong).failure())
    assert Problem("$.id", "a UUID", "value") in EVENTS.decode_dict(wrong).failure().problems
