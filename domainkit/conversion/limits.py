"""Limits of the input, checked before any object is built from it."""

import re
from array import array
from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate
from operator import add
from typing import TypeAlias

import msgspec
from attrs import field, frozen
from attrs.validators import and_, ge, instance_of

from domainkit.conversion.nodes import Problems

_positive = and_(instance_of(int), ge(1))


@frozen(kw_only=True)
class Limits:
    """Limits of a message's size. A message over a limit is refused before any object is built from it.

    If a message with more than 100,000 objects and arrays has problems, the error doesn't list them: that would take
    seconds.

    Args:
        max_bytes: size of the whole message in bytes.
        max_depth: levels of nested objects and arrays; the outermost is level 1.
        max_string: size of one string in bytes, as it is written, including escapes.
        max_parts: number of objects and arrays.
        max_items: number of array items and object entries, without the first of each: the number of commas.
        max_problems: number of problems that an error lists; the others are left out.
    """

    max_bytes: int = field(default=8 * 1024 * 1024, validator=_positive)
    max_depth: int = field(default=64, validator=_positive)
    max_string: int = field(default=1024 * 1024, validator=_positive)
    max_parts: int = field(default=250_000, validator=_positive)
    max_items: int = field(default=500_000, validator=_positive)
    max_problems: int = field(default=100, validator=_positive)

    @property
    def safe_bytes(self) -> int:
        """The size up to which only the depth can be over its limit, as each part and item has at least two bytes."""
        return min(self.max_bytes, self.max_string, 2 * self.max_parts, 2 * self.max_items)


DEFAULT_LIMITS = Limits()

_JSON = "JSON (RFC 8259) in UTF-8"
_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_BITS = bytes.maketrans(b"[{]}", b"1100")


def checked(raw: object, limits: Limits, problems: Problems) -> bytes | None:
    """Return `raw` as bytes that are safe to parse; None if a problem was noted."""
    data = _as_bytes(raw, limits, problems)
    if data is None:
        return None
    if len(data) > limits.max_string and has_longer_string(data, limits.max_string):
        problems.add("$", f"strings of at most {limits.max_string} bytes", "limit")
        return None
    if len(data) > limits.safe_bytes and has_more(data, limits.max_parts, limits.max_items):
        problems.add("$", _count(limits), "limit")
        return None
    # the depth last: its check is the slowest, and takes longer with more parts, whose number is limited by now
    if data.count(b"[") + data.count(b"{") > limits.max_depth and is_deeper(data, limits.max_depth):
        problems.add("$", _depth(limits), "limit")
        return None
    return data


def _as_bytes(raw: object, limits: Limits, problems: Problems) -> bytes | None:
    if type(raw) is bytes and len(raw) <= limits.max_bytes and raw.isascii():
        return raw  # the common case
    if not isinstance(raw, str | bytes | bytearray | memoryview):
        problems.add("$", _JSON, "type")
        return None
    size = raw.nbytes if isinstance(raw, memoryview) else len(raw)
    data = _in_utf8(raw) if size <= limits.max_bytes else b""
    if data is None:
        problems.add("$", _JSON, "json")
    elif max(size, len(data)) > limits.max_bytes:
        problems.add("$", f"at most {limits.max_bytes} bytes", "limit")
        return None
    return data


def _in_utf8(raw: str | bytes | bytearray | memoryview) -> bytes | None:
    """Return `raw` as bytes; None if they are not UTF-8, even in an unknown key, which msgspec skips."""
    try:
        if isinstance(raw, str):
            return raw.encode()
        data = bytes(raw)
        if not data.isascii():
            data.decode()
    except UnicodeError:
        return None
    return data


def in_utf8(raw: str, most: int) -> bytes | None:
    """Return a short text in UTF-8; None if it is longer than `most` characters, or has no UTF-8."""
    return _in_utf8(raw) if len(raw) <= most else None


def _without_escapes(data: bytes) -> bytes:
    """Return the JSON with escaped backslashes and quotes overwritten: each remaining quote starts or ends a string."""
    return data.replace(rb"\\", b"__").replace(rb"\"", b"__") if b"\\" in data else data


def is_deeper(data: bytes, most: int) -> bool:
    """Check if brackets outside of strings are nested deeper than `most`, without parsing or a loop over bytes.

    Each bracket becomes a bit, and eight of them a byte; tables have the change and the maximum of depth for each byte.
    """
    bits = _without_escapes(data).translate(_BITS, _NO_STRUCTURE)
    if b'"' in bits:
        bits = b"".join(bits.replace(b'""', b"").split(b'"')[::2])
    if bits.count(b"1") <= most:
        return False
    size = -(-len(bits) // 8)
    blocks = int(bits.ljust(8 * size, b"0"), 2).to_bytes(size)
    rises = array("b", blocks.translate(_RISES))
    highest_end: int = max(accumulate(rises, initial=0))
    if not most - 4 < highest_end <= most:  # within eight brackets, it gets at most four higher than at their ends
        return highest_end > most
    highest: int = max(map(add, accumulate(rises, initial=0), blocks.translate(_PEAKS)))
    return highest > most


def _heights(block: int) -> list[int]:
    """Return the depth after each of eight brackets, from the highest bit down; 1 opens and 0 closes a bracket."""
    return list(accumulate(1 if block >> place & 1 else -1 for place in reversed(range(8))))


_RISES = bytes(_heights(block)[-1] % 256 for block in range(256))
_PEAKS = bytes(max(0, *_heights(block)) for block in range(256))


def has_longer_string(data: bytes, most: int) -> bool:
    """Check if a string has more than `most` bytes, by looking for blocks without a quote, which it would fill."""
    plain = _without_escapes(data)
    block, quotes, counted = most // 2 + 1, 0, 0
    for start in range(0, len(plain), block):
        if plain.find(b'"', start, start + block) >= 0:
            continue
        quotes += plain.count(b'"', counted, start)
        counted = start
        end = plain.find(b'"', start) % (len(plain) + 1)  # the end if no quote follows
        if quotes % 2 and end - plain.rfind(b'"', 0, start) - 1 > most:
            return True
    return False


_STRING = re.compile(rb'"[^"]*"')
_NEITHER = bytes(set(range(256)) - set(b'"[{,'))


def has_more(data: bytes, parts: int, items: int) -> bool:
    """Check if JSON has more objects and arrays, or more commas between their items, outside of strings."""
    if data.count(b"[") + data.count(b"{") <= parts and data.count(b",") <= items:
        return False
    plain = _STRING.sub(b"", _without_escapes(data).translate(None, _NEITHER).replace(b'""', b""))
    commas = plain.count(b",")
    return commas > items or len(plain) - commas > parts


def parsed(data: bytes, problems: Problems) -> object:
    """Parse JSON into builtins; return MISSING if a problem was noted."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return problems.add("$", _JSON, "json")


_MOST_EXPLAINED = 100_000


def parsed_to_explain(data: bytes, problems: Problems) -> object:
    """Parse refused JSON into builtins, to find the reasons; return MISSING if a problem was noted.

    Millions of empty arrays would take seconds to build: JSON with too many parts is refused without reasons.
    """
    if len(data) > _MOST_EXPLAINED and data.count(b"[") + data.count(b"{") > _MOST_EXPLAINED:
        text = f"a message without problems; with over {_MOST_EXPLAINED} parts, none is named"
        return problems.add("$", text, "limit")
    return parsed(data, problems)


_Part: TypeAlias = Mapping[object, object] | list[object] | tuple[object, ...]


def shallow(data: object, limits: Limits, problems: Problems) -> bool:
    """Check if builtins are within the limits of depth, parts and items; note a problem if they aren't.

    An object in several places counts in each, since each is read; an object that contains itself is over a limit.
    """
    level: list[_Part] = [data] if isinstance(data, Mapping | list | tuple) else []
    parts, items = limits.max_parts, limits.max_items
    for _ in range(limits.max_depth):
        if not level:
            return True
        parts -= len(level)
        items -= sum(len(node) - 1 for node in level if node)
        if parts < 0 or items < 0:
            problems.add("$", _count(limits), "limit")
            return False
        level = [part for node in level for part in _parts(node) if isinstance(part, Mapping | list | tuple)]
    if level:
        problems.add("$", _depth(limits), "limit")
    return not level


def _parts(node: _Part) -> Iterable[object]:
    return node.values() if isinstance(node, Mapping) else node


MOST_ALIKE = 1_000
"""The allowed number of items with one hash: each of them is compared with each other one, which takes milliseconds."""


def differ_by_hash(items: Collection[object]) -> bool:
    """Check that at most MOST_ALIKE items share a hash, so that a set or mapping of them takes linear time.

    An attacker can choose integers, and values with the hash of one, that all have the same hash. The hashes are
    sorted, since a set of them would be as slow.
    """
    if len(items) <= MOST_ALIKE:
        return True
    hashes = sorted(map(hash, items))
    return all(first != last for first, last in zip(hashes, hashes[MOST_ALIKE:], strict=False))


def _count(limits: Limits) -> str:
    return f"at most {limits.max_parts} objects and arrays, with at most {limits.max_items} items"


def _depth(limits: Limits) -> str:
    return f"at most {limits.max_depth} levels of nesting"
