"""Envelope: the parts of any message, read as strictly as a codec reads them."""

import json
import pickle
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pytest
from attrs import frozen
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Success

from domainkit import Command, DomainEvent, Envelope, JsonValue, Limits, MessageCodec, MessageInfo, Uuid


@frozen
class TaskCreated(DomainEvent):
    title: str
    lines: tuple[int, ...] = ()

    class Config:
        version = 2


EVENT = TaskCreated("Buy milk", (1, 2)).add_meta({"tenant": "home", "roles": ["reader"]})
WIRE = EVENT.dict()["data"]


def refusals(raw: bytes | str, limits: Limits | None = None) -> list[str]:
    """Return the problems of an envelope as text."""
    found = Envelope.parse(raw) if limits is None else Envelope.parse(raw, limits=limits)
    return [str(problem) for problem in found.failure().problems]


def changed(**data: object) -> str:
    """Return the wire form of the event with other data."""
    return json.dumps({"data": WIRE | data})


@pytest.mark.parametrize(
    "message", [EVENT, DomainEvent(), Command().add_meta({"a": {"b": None}})], ids=["fields", "bare", "command"]
)
def test_the_envelope_of_a_message_has_its_parts(message: DomainEvent | Command) -> None:
    """Id, info, time, attributes and meta are those of the message, and text is read as bytes are."""
    envelope = Envelope.parse(message.json()).unwrap()
    header = message.header
    assert (header.id, message.info(), header.occurred_on) == (envelope.id, envelope.info, envelope.occurred_on)
    assert (message.dict()["data"]["attributes"], header.meta) == (_plain(envelope.attributes), envelope.meta)
    assert Success(envelope) == Envelope.parse(message.json().encode())


def _plain(data: Mapping[str, JsonValue]) -> object:
    return json.loads(json.dumps(data))


def test_a_message_of_no_known_class_has_an_envelope() -> None:
    """Any kind, name and version is read, and times with an offset are kept in UTC."""
    raw = changed(type="things.happen", type_message="notice", version=7, occurred_on="2021-12-28T15:00:00+01:00")
    envelope = Envelope.parse(raw).unwrap()
    assert MessageInfo("things.happen", 7, "notice") == envelope.info
    assert datetime(2021, 12, 28, 14, tzinfo=UTC) == envelope.occurred_on
    assert UTC is envelope.occurred_on.tzinfo


@pytest.mark.parametrize("absent", [{"attributes": None}, {"meta": None}, {"attributes": None, "meta": None}], ids=str)
def test_attributes_and_meta_may_be_absent(absent: Mapping[str, None]) -> None:
    """Both are empty then, as the codec takes them; so they are where null stands."""
    missing = json.dumps({"data": {key: value for key, value in WIRE.items() if key not in absent}})
    for raw in (missing, changed(**absent)):
        envelope = Envelope.parse(raw).unwrap()
        assert [{}] * len(absent) == [getattr(envelope, part) for part in absent]


def test_an_envelope_can_not_change() -> None:
    """Lists are tuples and mappings refuse changes at every depth; it is hashable, and survives pickling."""
    envelope = Envelope.parse(changed(attributes={"lines": [{"sku": [1]}]})).unwrap()
    assert {"lines": ({"sku": (1,)},)} == envelope.attributes
    with pytest.raises(TypeError, match="read-only"):
        envelope.attributes["lines"][0]["sku"] = 2  # type: ignore[index, call-overload]  # what a dict would allow
    with pytest.raises(FrozenInstanceError):
        envelope.meta = {}  # type: ignore[misc]  # the same
    assert {envelope} == {pickle.loads(pickle.dumps(envelope))}  # what was just pickled


def test_the_attributes_are_not_shown() -> None:
    """They may hold secrets, which a log should not have."""
    assert "Buy milk" not in repr(Envelope.parse(EVENT.json()).unwrap())


@pytest.mark.parametrize(
    ("raw", "problems"),
    [
        ("{", ["$: expected JSON (RFC 8259) in UTF-8 (json)"]),
        (b"\xff", ["$: expected JSON (RFC 8259) in UTF-8 (json)"]),
        ("[]", ["$: expected an object (type)"]),
        ("{}", ["$.data: expected an object (missing)"]),
        (changed(attributes=[5]), ["$.data.attributes: expected an object (type)"]),
        (changed(meta=5), ["$.data.meta: expected an object (type)"]),
        (changed(id="5"), ["$.data.id: expected a UUID (value)"]),
        (changed(version="2", type=5), ["$.data.type: expected str (type)", "$.data.version: expected int (type)"]),
        (
            changed(id=5, attributes="x"),
            ["$.data.id: expected a UUID (type)", "$.data.attributes: expected an object (type)"],
        ),
        (
            changed(attributes={"n": 0}).replace('"n": 0', f'"n": {10**4299}0'),
            ["$: expected JSON (RFC 8259) in UTF-8 (json)"],
        ),
    ],
)
def test_what_is_no_envelope_is_refused(raw: bytes | str, problems: list[str]) -> None:
    """Every problem is named with its path; nothing is coerced, invented, or raised."""
    assert problems == refusals(raw)


def test_limits_hold() -> None:
    """An envelope over a limit is refused before it is parsed; the limits are those of a codec."""
    raw = EVENT.json()
    assert ["$: expected at most 10 bytes (limit)"] == refusals(raw, Limits(max_bytes=10))
    assert ["$: expected at most 2 levels of nesting (limit)"] == refusals(raw, Limits(max_depth=2))
    assert ["$: expected at most 64 levels of nesting (limit)"] == refusals("[" * 1000)
    assert Success(EVENT) == Envelope.parse(raw, limits=Limits(max_depth=4)).map(lambda _: EVENT)


@pytest.mark.parametrize("depth", [600, 3000, 50_000])
def test_what_is_deeper_than_the_interpreter_allows_is_refused(depth: int) -> None:
    """If the limits allow more than there is room for, the answer is still a Failure, if it is no Success."""
    raw = changed(attributes={"a": 0}).replace("0}", "[" * depth + "]" * depth + "}")
    found = Envelope.parse(raw, limits=Limits(max_depth=100_000))
    assert isinstance(found, Success) or found.failure().problems


@given(st.text() | st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_input_gives_an_answer(raw: bytes | str) -> None:
    """Whatever comes is read or refused with problems, and never raises."""
    assert Envelope.parse(raw).failure().problems


@given(st.sampled_from([*WIRE]), st.none() | st.integers() | st.text() | st.dictionaries(st.text(), st.integers()))
def test_it_reads_what_a_codec_reads(key: str, value: object) -> None:
    """A message that a codec decodes has an envelope; and one without an envelope isn't decoded."""
    raw = changed(**{key: value})
    assert isinstance(Envelope.parse(raw), Success) >= isinstance(MessageCodec(TaskCreated).decode(raw), Success)


def test_one_made_by_hand_is_checked() -> None:
    """Parts of other types, naive times and what JSON can't carry are refused by name; times are kept in UTC."""
    parts = (Uuid.v4(), TaskCreated.info(), datetime(2021, 12, 28, 15, tzinfo=timezone(timedelta(hours=1))))
    made = Envelope(*parts, attributes={"a": [1]}, meta={})
    assert ({"a": (1,)}, datetime(2021, 12, 28, 14, tzinfo=UTC)) == (made.attributes, made.occurred_on)
    with pytest.raises(ValueError, match=r"Envelope\.occurred_on: expected a datetime with a time zone"):
        Envelope(parts[0], parts[1], datetime(2021, 12, 28), {}, {})  # that is the point
    with pytest.raises(TypeError, match=r"Envelope\.meta: expected a mapping of JSON values, got int"):
        Envelope(*parts, {}, 5)  # type: ignore[arg-type]  # what is refused
    with pytest.raises(TypeError, match=r"Envelope\.attributes\.at: expected a JSON value, got datetime"):
        Envelope(*parts, {"at": parts[2]}, {})  # type: ignore[dict-item]  # what is refused
    with pytest.raises(TypeError, match="Uuid"):
        Envelope("5", *parts[1:], {}, {})  # type: ignore[arg-type]  # what is refused


def seconds_to_parse(**data: object) -> float:
    """Return how long the quickest of a few readings of an envelope takes."""
    raw, times = changed(**data), []
    for _ in range(3):
        start = time.thread_time()
        assert isinstance(Envelope.parse(raw), Success)
        times.append(time.thread_time() - start)
    return min(times)


@pytest.mark.parametrize("part", ["attributes", "meta"])
def test_reading_takes_no_longer_for_long_keys(part: str) -> None:
    """A key of a megabyte costs what its bytes do once, and not once for each of 20,000 items below it."""
    items = list(range(20_000))
    short, long = (seconds_to_parse(**{part: {"k" * length: items}}) for length in (1, 1_000_000))
    assert long < 5 * short + 0.1


@pytest.mark.parametrize("part", ["attributes", "meta"])
def test_reading_many_keys_takes_about_as_long_as_reading_as_many_texts(part: str) -> None:
    """At most some three times as long, and no second look at what was seen before."""
    keys, texts = {f"key{number:09}": 1 for number in range(100_000)}, [f"key{number:09}" for number in range(100_000)]
    assert seconds_to_parse(**{part: keys}) < 4 * seconds_to_parse(attributes={"texts": texts}) + 0.05
