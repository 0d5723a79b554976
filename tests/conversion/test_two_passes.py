"""The fast pass and the slow one are one reader: the same messages, and nothing depends on the process that reads."""

import copy
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from every_kind import EveryKind, Maker
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import at_full

from domainkit import MessageCodec
from domainkit.conversion.classes import Options
from domainkit.conversion.derive import Derivation
from domainkit.conversion.envelope import MessageWire, opened, read_envelope
from domainkit.conversion.nodes import Problems
from domainkit.messages import new_wire, wire_of

Seeds = st.integers(0, 2**32)

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 7, 2**53 + 1, 2**64, 10**30, 0.0, -0.0, 1.5, 1e300, "", "a", "red", "card", "1", "-1",
    "0", "01", "1.50", "NaN", "1E+5", "YQ==", "P1D", "PT1.0000001S", "14:11:47", "14:11:47.1234567", "2021-12-28",
    "2021-12-28T14:11:47Z", "2021-12-28T14:11:47.1234567Z", "2021-12-28 14:11:47", "\u0000", "ä🎉",
    "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11", "A7F8FB8E6A0B4F3E9A551D6F0C2B4E11", [], [1], ["a", "a"], [None], {},
    {"a": 1}, {"kind": "card", "number": "1"}, {"left": "a", "right": "b"}, {"1": "a", "-0": "b", "0": "c"},
]  # fmt: skip  # many in a row


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container inside of `value` with each key or index of it."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from places(value[key])


def mutated(source: random.Random, wire: Any) -> Any:
    """Return a copy of an envelope with something in it replaced, removed, renamed, repeated or moved."""
    made = copy.deepcopy(wire)
    for _ in range(source.randint(1, 2)):
        container, key = source.choice(list(places(made)) or [({"data": made}, "data")])
        choice = source.randrange(6)
        if choice < 3:
            container[key] = copy.deepcopy(source.choice(VALUES))
        elif choice == 3:
            del container[key]
        elif choice == 4:
            other, elsewhere = source.choice(list(places(wire)))
            container[key] = copy.deepcopy(other[elsewhere])
        elif isinstance(container, dict):
            container[str(source.choice(VALUES))] = container[key]
        else:
            container.append(container[key])
    return made


def passes(wire: MessageWire[Any, Any], data: Any) -> tuple[Any, Any, Any, Problems]:
    """Return what each way makes of an envelope (fast, fast for its attributes, explained), and the problems."""
    noted, problems, raw = Problems(), Problems(), json.dumps(data).encode()
    parts = opened(raw, noted, forbid_unknown=wire.forbid_unknown)
    builtins = read_envelope(msgspec.json.decode(raw), problems, forbid_unknown=wire.forbid_unknown)
    by_parts, explained = wire._of_envelope(parts, noted), wire._of_envelope(builtins, problems)
    assert [*problems] == [*noted]
    return wire.decode(raw), by_parts, explained, problems


@pytest.mark.parametrize("forbid_unknown", [False, True])
@settings(max_examples=at_full(5000))
@given(seed=Seeds)
def test_both_passes_read_the_same(seed: int, *, forbid_unknown: bool) -> None:
    """Any mutation of a message with every kind of field is read by both passes, equally, or refused by both."""
    source = random.Random(seed)
    wire = WIRES[forbid_unknown]
    data = mutated(source, Maker(seed).message().dict())
    fast, by_parts, slow, problems = passes(wire, data)
    assert by_parts == slow
    assert isinstance(fast, Exception) or fast == slow
    assert (slow is None) == bool(problems)
    if slow is not None:
        assert slow == EveryKind.from_json(slow.json())


WIRES = {forbid: new_wire(EveryKind, Derivation(Options(forbid_unknown=forbid))) for forbid in (False, True)}


@settings(max_examples=at_full(2000))
@given(seed=Seeds)
def test_every_field_kind_comes_back(seed: int) -> None:
    """A message with every kind of field comes back equal from both passes, and is written equally again."""
    sent = Maker(seed).message()
    fast, by_parts, slow, problems = passes(wire_of(EveryKind), sent.dict())
    assert sent == by_parts == slow
    assert isinstance(fast, Exception) or fast == sent
    assert [] == problems
    assert sent.json() == by_parts.json() == slow.json()
    assert sent.dict() == json.loads(sent.json())


@settings(max_examples=at_full(1000))
@given(seed=Seeds)
def test_both_ways_of_writing_are_the_same(seed: int) -> None:
    """The slow pass writes what the fast one writes."""
    sent, problems = Maker(seed).message(), Problems()
    node = wire_of(EveryKind).node
    assert msgspec.json.encode(node.dump(sent)) == msgspec.json.encode(node.write(sent, "$", problems))
    assert [] == problems


ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Europe/London")


@pytest.fixture
def zones() -> Iterator[None]:
    """Give the process its time zone back."""
    before = os.environ.get("TZ")
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("zones")
def test_the_wire_form_does_not_depend_on_the_time_zone() -> None:
    """Whatever the zone of the process, the bytes are the same and mean the same."""
    sent = [Maker(seed).message() for seed in range(20)]
    raw = [message.json() for message in sent]
    for zone in ZONES:
        os.environ["TZ"] = zone
        time.tzset()
        assert raw == [message.json() for message in sent]
        assert sent == [EveryKind.from_json(text) for text in raw]


PROGRAM = """
import sys
from every_kind import EveryKind, Maker
from domainkit import MessageCodec
codec = MessageCodec(EveryKind)
for seed in range(20):
    raw = codec.encode(Maker(seed).message())
    assert codec.encode(codec.decode(raw).unwrap()) == raw
    sys.stdout.buffer.write(raw + b"\\n")
"""


def test_the_wire_form_does_not_depend_on_the_hash_seed() -> None:
    """Sets and mappings give the same bytes in every process."""
    here = Path(__file__).parent.parent
    outcomes = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=here,
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(here)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in (0, 1, 12345)
    }
    codec = MessageCodec(EveryKind)
    expected = b"".join(codec.encode(Maker(seed).message()) + b"\n" for seed in range(20))
    assert {expected} == outcomes
