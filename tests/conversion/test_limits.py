"""Limits: found without recursion, in linear time, whatever the bytes are."""

import json
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from attrs import frozen
from cattrs import Converter
from every_kind import Tree
from holders import holder, problems_of
from hypothesis import given
from hypothesis import strategies as st

from domainkit import DomainEvent, Envelope, MessageCodec, ValueObject, configure_converter
from domainkit._model.mapping import FrozenMapping
from domainkit.conversion.limits import (
    DEFAULT_LIMITS,
    Limits,
    checked,
    differ_by_hash,
    has_longer_string,
    has_more,
    is_deeper,
    parsed,
    parsed_to_explain,
    shallow,
)
from domainkit.conversion.nodes import MISSING, Problems

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\[]{}\n\u00e4', max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='"\\[]{}a', max_size=4), inner, max_size=4)
    ),
    max_leaves=25,
)  # fmt: skip  # one strategy


def depth_of(value: Any) -> int:
    """Return how deep the containers of builtins go."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(depth_of, inside), default=0)


def longest_string(value: Any) -> int:
    """Return the length of the longest string, as JSON writes it."""
    if isinstance(value, str):
        return len(json.dumps(value, ensure_ascii=False).encode()) - 2
    if isinstance(value, dict):
        return max(map(longest_string, [*value, *value.values()]), default=0)
    return max(map(longest_string, value), default=0) if isinstance(value, list) else 0


@given(value=JSON, most=st.integers(1, 6))
def test_the_depth_is_that_of_the_parsed_value(value: Any, most: int) -> None:
    """Brackets in strings, escaped quotes and backslashes mislead nobody."""
    for separators in ((",", ":"), (" , ", " : ")):
        data = json.dumps(value, ensure_ascii=False, separators=separators).encode()
        assert (depth_of(value) > most) == is_deeper(data, most)


@given(value=JSON, most=st.integers(1, 12))
def test_the_longest_string_is_that_of_the_parsed_value(value: Any, most: int) -> None:
    """The length of a string is that of its bytes as written, escapes included; keys are strings too."""
    data = json.dumps(value, ensure_ascii=False).encode()
    assert (longest_string(value) > most) == has_longer_string(data, most)


def parts_of(value: Any) -> int:
    """Return how many containers there are in all."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + sum(map(parts_of, inside))


def items_of(value: Any) -> int:
    """Return how many items containers have, the first of each not counted."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return max(len(inside) - 1, 0) + sum(map(items_of, inside))


@given(value=JSON, parts=st.integers(1, 6), items=st.integers(1, 6))
def test_parts_and_items_are_those_of_the_parsed_value(value: Any, parts: int, items: int) -> None:
    """Brackets and commas in strings don't count; builtins are counted as their JSON is."""
    more = parts_of(value) > parts or items_of(value) > items
    for separators in ((",", ":"), (" , ", " : ")):
        data = json.dumps(value, ensure_ascii=False, separators=separators).encode()
        assert more == has_more(data, parts, items)
    problems = Problems()
    assert more != shallow(value, Limits(max_parts=parts, max_items=items), problems)
    assert more == bool(problems)


@pytest.mark.parametrize("limits", [Limits(max_parts=3), Limits(max_items=1), Limits(max_bytes=19)])
def test_no_bytes_of_a_safe_length_are_over_a_limit(limits: Limits) -> None:
    """Input no longer than `safe_bytes` needs no look; input that just fits is read, one more is refused."""
    for raw, fits in ((b"[[],[]]", limits.max_items == 1 or limits.max_parts >= 3), (b"[[],[],[]]", False)):
        problems = Problems()
        assert (fits or limits.max_bytes == 19) == (checked(raw, limits, problems) is not None)
        assert all(problem.code == "limit" for problem in problems)
        assert fits or len(raw) > limits.safe_bytes or limits.max_bytes == 19


def test_builtins_that_stand_in_many_places_count_in_each() -> None:
    """Thirty lists that each stand twice in the next would be read a billion times."""
    laughs: list[object] = []
    for _ in range(30):
        laughs = [laughs, laughs]
    problems = Problems()
    assert not shallow(laughs, DEFAULT_LIMITS, problems)
    assert "$: expected at most 250000 objects and arrays, with at most 500000 items (limit)" == str(problems[0])


@given(value=JSON, most=st.integers(1, 6))
def test_the_depth_of_builtins(value: Any, most: int) -> None:
    """Builtins are measured as their JSON is."""
    problems = Problems()
    assert (depth_of(value) <= most) == shallow(value, Limits(max_depth=most), problems)
    assert (depth_of(value) > most) == bool(problems)


@given(data=st.binary(max_size=200), most=st.integers(1, 5))
def test_any_bytes_have_a_depth(data: bytes, most: int) -> None:
    """Input that isn't JSON at all has an answer as well."""
    assert isinstance(is_deeper(data, most), bool)
    assert isinstance(has_longer_string(data, most), bool)


@given(steps=st.lists(st.sampled_from("[]"), max_size=80), most=st.integers(1, 12))
def test_the_depth_of_any_brackets(steps: list[str], most: int) -> None:
    """Just as deep is not deeper, wherever in the text the deepest place is."""
    text, depths = "", [0]
    for step in steps:
        text += step if depths[-1] else "["
        depths.append(depths[-1] + (1 if text[-1] == "[" else -1))
    assert (max(depths) > most) == is_deeper(text.encode() + b"]" * depths[-1], most)


@pytest.mark.parametrize("depth", range(1, 40))
def test_the_depth_of_one_peak(depth: int) -> None:
    """A peak is found wherever it lies among the eight brackets that are looked at together."""
    for before in (b"", b"[]", b"[[]]", b"[][][]"):
        data = before + b"[" * depth + b"]" * depth
        assert is_deeper(data, depth - 1) or depth == 1
        assert not is_deeper(data, max(depth, 2))


MEGABYTES = 4 * 1024 * 1024
HOSTILE: dict[str, bytes] = {
    "opened": b"[",
    "pairs": b"[],",
    "opened and pairs": b"[[],",
    "closed and opened": b"][",
    "quotes": b'"',
    "escaped quotes": b'\\"',
    "backslashes": b"\\",
    "brackets in strings": b'"[",',
    "an escape before a bracket": b'"\\"[',
    "objects": b'{"a":{},"b":[{}]},',
    "digits": b"1",
    "no ASCII": "ä".encode(),
}


@pytest.mark.parametrize("pattern", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, Limits(max_string=1000)], ids=["default", "short strings"])
def test_hostile_bytes_are_looked_at_in_linear_time(pattern: bytes, limits: Limits) -> None:
    """Twice the bytes take no more than about twice the time: never a hundred times as long."""
    seconds = []
    for size in (MEGABYTES // 4, MEGABYTES):
        data = (pattern * (size // len(pattern) + 1))[:size]
        start = time.process_time()
        checked(data, limits, Problems())
        seconds.append(time.process_time() - start)
    assert seconds[1] < 20 * seconds[0] + 0.05


def test_reasons_are_looked_for_in_what_is_built_in_no_time() -> None:
    """A refused message of very many parts is refused as a whole, since building them alone would take seconds."""
    problems = Problems()
    assert [[]] * 99_999 == parsed_to_explain(b"[" + b"[]," * 99_998 + b"[]]", problems)
    assert [] == problems
    assert MISSING is parsed_to_explain(b"[" + b"[]," * 99_999 + b"[]]", problems)
    assert [("$", "limit")] == [(problem.path, problem.code) for problem in problems]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (5, "type"),
        (None, "type"),
        (["x"], "type"),
        ("\ud800", "json"),
        (b"\xff", "json"),
        ('"ä"'.encode("latin-1"), "json"),
        (b'"\xed\xa0\x80"', "json"),
        (b"12345678901", "limit"),
        ("12345678901", "limit"),
        (memoryview(b"12345678901"), "limit"),
        ("äääääääää", "limit"),
        (b'"123456"', "limit"),
        (b"[[[0]]]", "limit"),
    ],
)
def test_what_is_not_safe_to_parse_is_one_problem(raw: Any, code: str) -> None:
    """Input that isn't UTF-8, or too long, too deep, or with too long a string, is one problem of the whole."""
    problems = Problems()
    assert checked(raw, Limits(max_bytes=10, max_depth=2, max_string=5), problems) is None
    assert [("$", code)] == [(problem.path, problem.code) for problem in problems]


@pytest.mark.parametrize("text", ["ab", "äb"])
def test_text_and_anything_like_bytes_is_let_through(text: str) -> None:
    """The bytes come out as they are."""
    raw = text.encode()
    given: list[Any] = [text, raw, bytearray(raw), memoryview(raw), memoryview(raw + raw)[: len(raw)]]
    assert [raw] * 5 == [checked(one, DEFAULT_LIMITS, Problems()) for one in given]


def test_what_is_no_json_is_one_problem() -> None:
    """Parsing gives the value, or MISSING and a problem with the code `json`."""
    problems = Problems()
    assert {"a": [1]} == parsed(b'{"a": [1]}', problems)
    assert [] == problems
    for data in (b"", b"{", b"NaN", b'"\\ud800"', b"1" * 5000, b"1e999", b"\xef\xbb\xbf1", "1".encode("utf-16"), b"01"):
        assert MISSING is parsed(data, problems)
    assert {"json"} == {problem.code for problem in problems}


def test_builtins_that_hold_themselves_are_refused() -> None:
    """from_dict refuses a dict or a list inside itself, also where it branches, and does not recurse."""
    ring: dict[str, Any] = {}
    ring.update(a=ring, b=ring, c=[ring, ring])
    cls = holder(Tree)
    for data in (ring, {"data": ring}, {"data": {"attributes": {"field": ring}}}, {"data": {"meta": ring}}):
        assert ["limit"] == [problem.code for problem in problems_of(lambda data=data: cls.from_dict(data))]


def test_depth_is_measured_through_all_mappings_and_tuples() -> None:
    """Mappings of any class and tuples count as objects and arrays."""

    class Other(Mapping[str, object]):
        def __getitem__(self, _: str) -> object:
            return ({"a": 1},)

        def __iter__(self) -> Any:
            return iter("a")

        def __len__(self) -> int:
            return 1

    assert not shallow(Other(), Limits(max_depth=2), Problems())
    assert shallow(Other(), Limits(max_depth=3), Problems())
    assert shallow(5, Limits(max_depth=1), Problems())


ALIKE = [number * (2**61 - 1) for number in range(30_000)]
"""Numbers of one hash."""


@frozen
class Counted(DomainEvent):
    numbers: frozenset[int] = frozenset()
    by_number: Mapping[int, str] = FrozenMapping()
    ids: frozenset[UUID] = frozenset()
    by_id: Mapping[UUID, str] = FrozenMapping()
    amounts: Mapping[Decimal, int] = FrozenMapping()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("numbers", ALIKE),
        ("by_number", dict.fromkeys(map(str, ALIKE), "")),
        ("ids", [str(UUID(int=number)) for number in ALIKE]),
        ("by_id", {str(UUID(int=number)): "" for number in ALIKE}),
        ("amounts", dict.fromkeys(map(str, ALIKE), 0)),
    ],
)
def test_many_equal_hashes_are_refused(field: str, value: Any) -> None:
    """A set or mapping of them would take minutes: it is a problem at its path, from JSON and from builtins."""
    given = Counted().dict()
    given["data"]["attributes"][field] = value
    start = time.perf_counter()
    for call in (lambda: Counted.from_json(json.dumps(given)), lambda: Counted.from_dict(given)):
        (problem,) = problems_of(call)
        assert (f"$.data.attributes.{field}", "limit") == (problem.path, problem.code)
    assert time.perf_counter() - start < 20


def test_many_different_hashes_are_read() -> None:
    """Sets and mappings of any size, and a thousand items that have one hash."""
    event = Counted(frozenset([*ALIKE[:900], *range(1, 5000)]), dict.fromkeys(range(5000), ""))
    assert event == Counted.from_json(event.json()) == Counted.from_dict(event.dict())
    assert differ_by_hash(ALIKE[:1000])
    assert not differ_by_hash(ALIKE[:1001])


def test_every_entrance_has_the_limit() -> None:
    """JSON and builtins, by class, codec, envelope and converter, as attributes and as meta."""
    most = Limits(max_parts=10)
    many: Any = [[]] * 300_000
    for place in ("attributes", "meta"):
        given: Any = Counted().dict()
        given["data"][place]["unknown"] = many
        raw = json.dumps(given)
        assert "limit" == problems_of(lambda raw=raw: Counted.from_json(raw))[0].code
        assert "limit" == problems_of(lambda given=given: Counted.from_dict(given))[0].code
        for codec in (MessageCodec(Counted), MessageCodec(Counted, limits=most)):
            assert "limit" == codec.decode(raw).failure().problems[0].code
            assert "limit" == codec.decode_dict(given).failure().problems[0].code
        assert "limit" == Envelope.parse(raw).failure().problems[0].code
    converter = Converter(detailed_validation=False)
    configure_converter(converter)
    with pytest.raises(ValueError, match="at most 250000 objects and arrays"):
        converter.structure({"value": many}, Titles)


@frozen
class Titles(ValueObject[tuple[tuple[str, ...], ...]]):
    value: tuple[tuple[str, ...], ...]


def test_what_a_reader_would_refuse_is_not_written() -> None:
    """A message with too many items is refused when it is encoded."""
    (problem,) = problems_of(lambda: Counted(by_number=dict.fromkeys(range(500_002), "")).json())
    assert "limit" == problem.code
