"""What bytes are allowed to be before anything is built from them."""

import re
from itertools import accumulate

import msgspec
from attrs import field, frozen
from attrs.validators import and_, ge, instance_of

from domainkit.conversion.nodes import Problems

_positive = and_(instance_of(int), ge(1))


@frozen(kw_only=True)
class Limits:
    """How large a message may be. A message over a limit is refused before it is parsed.

    Args:
        max_bytes: bytes of the whole message.
        max_depth: objects and arrays inside one another, the outermost counted as 1.
        max_string: bytes of one string, as it is written, escapes included.
        max_problems: problems that a refusal lists; the rest is left out.
    """

    max_bytes: int = field(default=8 * 1024 * 1024, validator=_positive)
    max_depth: int = field(default=64, validator=_positive)
    max_string: int = field(default=1024 * 1024, validator=_positive)
    max_problems: int = field(default=100, validator=_positive)


DEFAULT_LIMITS = Limits()

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def checked(raw: object, limits: Limits, problems: Problems) -> bytes | None:
    """Return `raw` as bytes that are safe to parse; None where a problem was noted."""
    data = _as_bytes(raw, problems)
    if data is None:
        return None
    if len(data) > limits.max_bytes:
        problems.add("$", f"at most {limits.max_bytes} bytes", "limit")
        return None
    if len(data) > limits.max_string and any(
        match.end() - match.start() - 2 > limits.max_string for match in _STRING.finditer(data)
    ):
        problems.add("$", f"strings of at most {limits.max_string} bytes", "limit")
        return None
    if data.count(b"[") + data.count(b"{") > limits.max_depth and depth_of(data) > limits.max_depth:
        problems.add("$", f"at most {limits.max_depth} levels of nesting", "limit")
        return None
    return data


def _as_bytes(raw: object, problems: Problems) -> bytes | None:
    if isinstance(raw, str):
        try:
            return raw.encode()
        except UnicodeEncodeError:
            problems.add("$", "text without lone surrogates", "json")
            return None
    if isinstance(raw, bytes | bytearray | memoryview):
        return bytes(raw)
    problems.add("$", "bytes or str", "type")
    return None


def depth_of(data: bytes) -> int:
    """Return how deep the brackets outside of strings go, without parsing."""
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)


def parsed(data: bytes, problems: Problems) -> object:
    """Return the builtins that the JSON `data` holds; MISSING where a problem was noted."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return problems.add("$", "JSON (RFC 8259) in UTF-8", "json")
