"""What bytes are allowed to be before anything is built from them."""

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

_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


def checked(raw: object, limits: Limits, problems: Problems) -> bytes | None:
    """Return `raw` as bytes that are safe to parse; None where a problem was noted."""
    data = _as_bytes(raw, problems)
    if data is None:
        return None
    if len(data) > limits.max_bytes:
        problems.add("$", f"at most {limits.max_bytes} bytes", "limit")
        return None
    if len(data) > limits.max_string and has_longer_string(data, limits.max_string):
        problems.add("$", f"strings of at most {limits.max_string} bytes", "limit")
        return None
    if data.count(b"[") + data.count(b"{") > limits.max_depth and is_deeper(data, limits.max_depth):
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


def _without_escapes(data: bytes) -> bytes:
    """Return the JSON with each escaped backslash and quote overwritten, so that every quote left opens or closes."""
    return data.replace(rb"\\", b"__").replace(rb"\"", b"__") if b"\\" in data else data


def is_deeper(data: bytes, most: int) -> bool:
    """Tell whether brackets outside of strings go deeper than `most`, without parsing, and without a loop over bytes.

    Each round takes the innermost pairs away, so that the number of rounds is the depth.
    """
    marks = _without_escapes(data).translate(_ONE_KIND, _NO_STRUCTURE).replace(b'""', b"")
    brackets = b"".join(marks.split(b'"')[::2])
    for _ in range(most):
        rest = brackets.replace(b"[]", b"")
        if len(rest) == len(brackets):
            break
        brackets = rest
    return brackets.count(b"[") > (most if b"[]" not in brackets else 0)


def has_longer_string(data: bytes, most: int) -> bool:
    """Tell whether a string has more than `most` bytes, by a look at every `most`-th byte alone.

    A string that long covers one of them; only the quotes around each of these are looked for.
    """
    plain = _without_escapes(data)
    for place in range(most, len(plain), most):
        before = plain.rfind(b'"', 0, place)
        after = plain.find(b'"', place)
        end = len(plain) if after < 0 else after
        if end - before - 1 > most and plain.count(b'"', 0, place) % 2:
            return True
    return False


def parsed(data: bytes, problems: Problems) -> object:
    """Return the builtins that the JSON `data` holds; MISSING where a problem was noted."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return problems.add("$", "JSON (RFC 8259) in UTF-8", "json")
