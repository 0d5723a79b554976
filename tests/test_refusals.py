"""Refused messages: the short way to their problems reports what the long one does, in few calls, and keeps nothing."""

import gc
import json
import random
import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from attrs import field, frozen
from attrs.validators import max_len
from conversion.test_two_passes import mutated
from every_kind import EveryKind, Maker
from hypothesis import given, settings
from hypothesis import strategies as st
from returns.result import Failure, Result
from sizes import at_full

from domainkit import (
    DomainError,
    DomainEvent,
    InvalidMessage,
    InvalidValueObject,
    Limits,
    Message,
    MessageCodec,
    Uuid,
    ValueObject,
)


class TaskId(Uuid): ...


@frozen
class Title(ValueObject[str]):
    value: str = field(validator=max_len(20))


@frozen
class Line:
    title: Title
    number: int


@frozen
class TaskCreated(DomainEvent):
    task_id: TaskId
    title: Title
    number: int
    lines: tuple[Line, ...] = ()


CODEC = MessageCodec(TaskCreated)
SENT = CODEC.encode(TaskCreated(TaskId.v4(), Title("petisco"), 3, (Line(Title("one"), 1),)))
CODECS = (
    MessageCodec(EveryKind),
    MessageCodec(EveryKind, forbid_unknown=True),
    MessageCodec(EveryKind, lenient_envelope=True, naive_as_utc=True),
    MessageCodec(EveryKind, limits=Limits(max_depth=7, max_problems=2)),
)
WITHIN = (
    b"NaN", b"Infinity", b"1e999", b"-0", b"1" * 400, b"1" * 5000, b"1.0", b'"\\ud800"', b'"\\u0000"', b'"\xff"',
    b'"\xc3\xa4"', b"[" * 9 + b"]" * 9, b'{"a":' * 70 + b"1" + b"}" * 70, b"01", b"tru", b"", b'"\n"', b"null", b"{}",
    b'{"a":1,"a":2}',
)  # fmt: skip  # JSON that parsers differ about, and what isn't JSON
VALUE = re.compile(rb'(?<=:)(?:"[^"]*"|[-0-9.]+|null|true|false)')
PAIR = re.compile(rb'"[^"]*":(?:"[^"]*"|[-0-9.]+|null|true|false)')


def altered(source: random.Random, raw: bytes) -> bytes:
    """Return JSON with a value replaced by something odd, or a key given twice, or a byte changed."""
    choice = source.randrange(4)
    found = [*(PAIR if choice == 1 else VALUE).finditer(raw)]
    if choice == 3 or not found:
        place = source.randrange(len(raw))
        return raw[:place] + bytes([source.randrange(256)]) + raw[place + 1 :]
    one = source.choice(found)
    if choice == 1:
        other = source.choice(found)
        key, _, value = one.group().partition(b":")
        twice = key + b":" + source.choice([value, other.group().partition(b":")[2], *WITHIN])
        return raw[: one.end()] + b"," + twice + raw[one.end() :]
    return raw[: one.start()] + source.choice(WITHIN) + raw[one.end() :]


@pytest.mark.parametrize("codec", CODECS, ids=["tolerant", "exact", "lenient", "limited"])
@settings(max_examples=at_full(3000))
@given(seed=st.integers(0, 2**32))
def test_both_ways_report_the_same(seed: int, codec: MessageCodec[Message]) -> None:
    """Any damaged message has the same problems on the short way as on the long one, or is the same message."""
    source = random.Random(seed)
    data = Maker(seed).message().dict()
    damaged = mutated(source, data) if source.random() < 0.6 else data
    raw = json.dumps(damaged, separators=(",", ":"), ensure_ascii=source.random() < 0.5).encode(errors="surrogatepass")
    raw = altered(source, raw) if source.random() < 0.6 else raw
    long = codec._read_with_care(raw, None)
    short = codec.decode(raw)
    assert long == (short.failure() if isinstance(short, Failure) else short.unwrap())
    assert type(long) is type(codec.decode_many([raw])[0])
    assert long == codec.decode_many([raw])[0]


def damaged(**changes: object) -> bytes:
    """Return the message with other attributes."""
    made = json.loads(SENT)
    made["data"]["attributes"] |= changes
    return json.dumps(made, separators=(",", ":"), ensure_ascii=False).encode()


WRONG: dict[str, bytes] = {
    "type": damaged(number="3"),
    "id": damaged(task_id="3"),
    "rule": damaged(title="x" * 21),
    "inside": damaged(lines=[{"title": "one", "number": "1"}]),
    "rule inside": damaged(lines=[{"title": "x" * 21, "number": 1}]),
    "missing": damaged(lines=[{"title": "one"}]),
    "beside a letter": damaged(number="3", title="ä"),
    "with meta": damaged(number="3").replace(b'"meta":{}', b'"meta":{"a":"b"}'),
}


@pytest.mark.parametrize("raw", WRONG.values(), ids=WRONG)
def test_one_wrong_field_takes_few_calls(raw: bytes) -> None:
    """A message with one wrong field is refused in at most 80 calls of Python functions, and with one problem."""
    assert 1 == len(problems_of(raw))  # what is made when it is first needed is made now
    assert calls_of(lambda: CODEC.decode(raw)) <= 80


class Unheard(DomainError): ...


ERRORS: dict[str, Exception] = {
    "a text": ValueError("no title"),
    "a text with the value": ValueError("'a text with the value' is no title"),
    "no text": ValueError(),
    "of the domain": Unheard(additional_info={"message": "nobody heard of it"}),
    "of the domain with the value": Unheard(additional_info={"message": "not of the domain with the value"}),
    "a refusal": InvalidValueObject(additional_info={"message": "Heard: nobody heard of it"}),
    "neither": LookupError("gone"),
}


def hear(_: object, __: object, text: str) -> None:
    """Raise the error that a text stands for, if it stands for one."""
    if text in ERRORS:
        raise ERRORS[text]


@frozen
class Heard(ValueObject[str]):
    value: str = field(validator=hear)


@frozen
class TaskHeard(DomainEvent):
    heard: Heard


@pytest.mark.parametrize("text", ERRORS)
def test_the_reason_is_that_of_the_constructor(text: str) -> None:
    """A rule that a message breaks is reported as the constructor of the value object reports it, without the value."""
    codec = MessageCodec(TaskHeard)
    raw = codec.encode(TaskHeard(Heard("all"))).replace(b'"all"', json.dumps(text).encode())
    found = codec.decode(raw).failure()
    assert codec.decode_dict(json.loads(raw)).failure() == found
    assert ["$.data.attributes.heard"] == [one.path for one in found.problems]
    assert "with the value" not in str(found)


def calls_of(work: Callable[[], object]) -> int:
    """Return the number of calls of Python functions in a piece of work, with its own."""
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("raw", WRONG.values(), ids=WRONG)
def test_a_refused_message_is_freed_at_once(raw: bytes) -> None:
    """Nothing of a refused message waits for the garbage collector, which would keep its values for long."""
    kept: Result[Any, InvalidMessage] = CODEC.decode(raw)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            kept = CODEC.decode(raw)
        assert 0 == gc.collect()
    finally:
        gc.enable()
    assert None is kept.failure().__traceback__


def test_a_wrong_envelope_takes_the_long_way() -> None:
    """If the time, the meta or the attributes themselves are wrong, this is reported, with the wrong attributes."""
    raw = damaged(number="3")
    late = raw.replace(b'"occurred_on":"2', b'"occurred_on":"9999x')
    assert ["$.data.occurred_on", "$.data.attributes.number"] == [one.path for one in problems_of(late)]
    huge = raw.replace(b'"meta":{}', b'"meta":{"a":%b}' % (b"1" * 4301))
    assert problems_of(huge)
    nothing = re.sub(rb'"attributes":\{.*\},"meta"', b'"attributes":null,"meta"', SENT)
    assert ["missing"] * 3 == [one.code for one in problems_of(nothing)]
    many = damaged(number="3", lines=[{"title": "one", "number": 1}] * 70)
    assert ["$.data.attributes.number"] == [one.path for one in problems_of(many)]
    two = raw.replace(b'"attributes":{', b'"attributes":{"other":1,')
    assert ["$.data.attributes.number"] == [one.path for one in problems_of(two)]


def problems_of(raw: bytes) -> tuple[Any, ...]:
    """Return the problems of a message."""
    return CODEC.decode(raw).failure().problems


def test_the_last_of_two_equal_keys_counts() -> None:
    """The last value of a key that is given twice counts, as if the first weren't present."""
    raw = damaged(number="3").replace(b'"number":"3"', b'"number":"3","number":4')
    read = CODEC.decode(raw).unwrap()
    assert isinstance(read, TaskCreated)
    assert 4 == read.number
