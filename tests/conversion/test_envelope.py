"""The envelope: its moment to the microsecond, its meta, and what can't be written."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve, field, frozen
from every_kind import Plain, Title
from holders import envelope, holder, problems_of
from hypothesis import given
from hypothesis import strategies as st

from domainkit import DomainEvent, MessageHeader, MessageInfo
from domainkit.conversion.envelope import read_envelope, utc_moment
from domainkit.conversion.nodes import Problems
from domainkit.messages import wire_of

MOMENT = datetime(2021, 12, 28, 14, 11, 47, 845618, UTC)

MOMENTS: list[tuple[str, datetime]] = [
    ("2021-12-28 14:11:47.845618", MOMENT),
    ("2021-12-28T14:11:47.845618", MOMENT),
    ("2021-12-28T14:11:47.845618Z", MOMENT),
    ("2021-12-28T14:11:47.845618000Z", MOMENT),
    ("2021-12-28 14:11:47.845618000", MOMENT),
    ("2021-12-28T19:41:47.845618+05:30", MOMENT),
    ("2021-12-28T14:11:47.84561Z", MOMENT.replace(microsecond=845610)),
    ("2021-12-28T15:11:47.8+0100", MOMENT.replace(microsecond=800_000)),
    ("2021-12-28 14:11:47", MOMENT.replace(microsecond=0)),
    ("0001-01-01 00:00:00.000000", datetime.min.replace(tzinfo=UTC)),
    ("9999-12-31 23:59:59.999999", datetime.max.replace(tzinfo=UTC)),
]
NO_MOMENTS = [
    "", "now", "2021-12-28", "2021-12-28 14:11", "2021-12-28 14:11:47.8456189", "2021-12-28 14:11:47.8456180001",
    "2021-W52-2 14:11:47.845618", "2021-12-28 14:11:47,845618", "2021-12-28 24:00:00.000000",
    "2021-02-29 14:11:47.845618", "2021-12-28 14:11:60.000000", "0001-01-01T00:00:00.000000+01:00",
    "9999-12-31T23:59:59.999999-01:00", "1640700707", "2021-12-28 14:11:47.\\u0034", "2021-12-28T14:11:47.84561\\",
    '2021-12-28T14:11:47.8456"', '"2021-12-28T14:11:47.8456', "2021-12-28 14:11:47.8456\n",
]  # fmt: skip  # one list


@pytest.mark.parametrize(("text", "moment"), MOMENTS)
def test_moments_that_are_read(text: str, moment: datetime) -> None:
    """`occurred_on` without an offset is UTC; RFC 3339 with one is read too, and kept in UTC."""
    assert moment == utc_moment(text)
    assert UTC is utc_moment(text).tzinfo
    data: Any = Plain("a").dict()
    data["data"]["occurred_on"] = text
    raw = json.dumps(data)
    for made in (Plain.from_dict(data), Plain.from_json(raw), wire_of(Plain).decode(raw.encode())):
        assert isinstance(made, Plain)
        assert moment == made.header.occurred_on


@pytest.mark.parametrize("text", NO_MOMENTS)
def test_moments_that_are_refused(text: str) -> None:
    """Anything else is a problem of `occurred_on`; a finer fraction than microseconds is not rounded."""
    data: Any = Plain("a").dict()
    data["data"]["occurred_on"] = text
    for read in (lambda: Plain.from_dict(data), lambda: Plain.from_json(json.dumps(data))):
        assert [("$.data.occurred_on", "value")] == [(p.path, p.code) for p in problems_of(read)]


@given(moment=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))]),
                           min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)))  # fmt: skip
def test_every_moment_is_written_and_read(moment: datetime) -> None:
    """A time is written with six digits and no offset, and is the same moment once read."""
    text = DomainEvent(header=MessageHeader(occurred_on=moment)).dict()["data"]["occurred_on"]
    assert 26 == len(text)
    assert text == moment.astimezone(UTC).isoformat(" ", "microseconds")[:26]
    assert moment == utc_moment(text)


PARTS: list[tuple[str, Any, str, str]] = [
    ("id", "x", "$.data.id", "value"),
    ("id", None, "$.data.id", "type"),
    ("id", 5, "$.data.id", "type"),
    ("type", 5, "$.data.type", "type"),
    ("type", "plain.other", "$.data", "unknown"),
    ("type_message", None, "$.data.type_message", "type"),
    ("type_message", "domain_event", "$.data", "unknown"),
    ("version", "1", "$.data.version", "type"),
    ("version", True, "$.data.version", "type"),
    ("version", 1.0, "$.data.version", "type"),
    ("version", 2, "$.data", "unknown"),
    ("occurred_on", None, "$.data.occurred_on", "type"),
    ("occurred_on", 1640700707, "$.data.occurred_on", "type"),
    ("attributes", None, "$.data.attributes.text", "missing"),
    ("attributes", [], "$.data.attributes", "type"),
    ("attributes", "x", "$.data.attributes", "type"),
    ("meta", [], "$.data.meta", "type"),
    ("meta", "x", "$.data.meta", "type"),
]


@pytest.mark.parametrize(("key", "value", "path", "code"), PARTS)
def test_each_part_is_looked_at(key: str, value: Any, path: str, code: str) -> None:
    """A part of another type, or a message of another kind, name or version, is a problem at its path."""
    data: Any = Plain("a").dict()
    data["data"][key] = value
    for read in (lambda: Plain.from_dict(data), lambda: Plain.from_json(json.dumps(data))):
        assert [(path, code)] == [(problem.path, problem.code) for problem in problems_of(read)]


@pytest.mark.parametrize("key", ["id", "type", "type_message", "version", "occurred_on"])
def test_no_part_is_invented(key: str) -> None:
    """A part that is absent is a problem with the code `missing`."""
    data: Any = Plain("a").dict()
    del data["data"][key]
    for read in (lambda: Plain.from_dict(data), lambda: Plain.from_json(json.dumps(data))):
        assert [(f"$.data.{key}", "missing")] == [(problem.path, problem.code) for problem in problems_of(read)]


def test_absent_meta_is_empty() -> None:
    """Meta may be absent or null: it is those who carry the message who need it."""
    event = Plain("a")
    data: Any = event.dict()
    data["data"]["meta"] = None
    assert event == Plain.from_dict(data) == Plain.from_json(json.dumps(data))
    del data["data"]["meta"]
    assert event == Plain.from_dict(data) == Plain.from_json(json.dumps(data))


@pytest.mark.parametrize("data", [None, [], "x", 5, {}, {"data": None}, {"data": []}, {"date": {}}])
def test_what_is_no_envelope_at_all(data: Any) -> None:
    """Anything but an object with an object under `data` is one problem."""
    for read in (lambda: Plain.from_dict(data), lambda: Plain.from_json(json.dumps(data))):
        assert 1 == len(problems_of(read))


def test_meta_in_builtins_is_json() -> None:
    """from_dict refuses a meta that JSON could not carry."""
    data: Any = Plain("a").dict()
    metas: list[Any] = [{"a": float("nan")}, {"a": {1, 2}}, {1: "a"}, {"a": datetime.now(UTC)}]
    for meta in metas:
        data["data"]["meta"] = meta
        assert [("$.data.meta", "type")] == [
            (problem.path, problem.code) for problem in problems_of(lambda: Plain.from_dict(data))
        ]


@pytest.mark.parametrize("meta", [{"a": "\ud800"}, {"\ud800": 1}, {"a": [{"b": 10**4300}]}])
def test_meta_that_cannot_be_written(meta: Any) -> None:
    """Lone surrogates and endless integers in the meta are refused both ways: by the header, and when it is read."""
    with pytest.raises(TypeError, match=r"^\$\.data\.meta"):
        MessageHeader(meta=meta)
    data: Any = Plain("a").dict()
    data["data"]["meta"] = meta
    assert ["$.data.meta"] == [problem.path for problem in problems_of(lambda: Plain.from_dict(data))]


def test_the_wire_form_is_what_a_reader_of_the_json_sees() -> None:
    """dict() is the parsed json(): lists for tuples, text keys, no objects of Python."""
    cls = holder(Mapping[int, tuple[Title, ...]])
    event = cls({5: (Title("a"),)}, header=MessageHeader(meta={"a": (1, {"b": [None]})}))
    assert json.loads(event.json()) == event.dict()
    assert {"5": ["a"]} == event.dict()["data"]["attributes"]["field"]
    assert {"a": [1, {"b": [None]}]} == event.dict()["data"]["meta"]


def test_unknown_keys_of_the_envelope() -> None:
    """They are ignored, or a problem where that is asked for."""
    data = envelope(holder(int), 5)
    for place in (data, data["data"]):
        place["more"] = 1
        assert read_envelope(data, Problems()) is not None
        problems = Problems()
        read_envelope(data, problems, forbid_unknown=True)
        assert [("$.data", "unknown")] == [(problem.path, problem.code) for problem in problems]
        del place["more"]


def test_a_message_says_what_it_is() -> None:
    """The text of a MessageInfo is for errors."""
    assert "command plain version 1" == str(Plain.info())
    assert MessageInfo("plain", 1, "command") == Plain.info()


@frozen
class Strange(DomainEvent):
    number: int = field(default=1)


def test_the_bytes_of_equal_messages_are_equal() -> None:
    """Nothing but the message decides about its bytes."""
    event = Strange(5)
    assert event.json() == evolve(event).json() == Strange.from_json(event.json()).json()
