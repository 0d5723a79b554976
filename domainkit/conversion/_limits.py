"""What bytes are allowed to be before anything is built from them."""

from collections.abc import Iterable, Mapping

import msgspec
from attrs import field, frozen
from attrs.validators import and_, ge, instance_of

from domainkit.conversion._nodes import Problems

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

_JSON = "JSON (RFC 8259) in UTF-8"
_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


def checked(raw: object, limits: Limits, problems: Problems) -> bytes | None:
    """Return `raw` as bytes that are safe to parse; None where a problem was noted."""
    data = _as_bytes(raw, limits, problems)
    if data is None:
        return None
    if len(data) > limits.max_string and has_longer_string(data, limits.max_string):
        problems.add("$", f"strings of at most {limits.max_string} bytes", "limit")
        return None
    if data.count(b"[") + data.count(b"{") > limits.max_depth and is_deeper(data, limits.max_depth):
        problems.add("$", _depth(limits), "limit")
        return None
    return data


def _as_bytes(raw: object, limits: Limits, problems: Problems) -> bytes | None:
    if type(raw) is bytes and len(raw) <= limits.max_bytes and raw.isascii():
        return raw  # as nearly all are
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
    """Return `raw` as bytes; None where they are not UTF-8, even in a key that no field has and msgspec skips."""
    try:
        if isinstance(raw, str):
            return raw.encode()
        data = bytes(raw)
        if not data.isascii():
            data.decode()
    except UnicodeError:
        return None
    return data


def _without_escapes(data: bytes) -> bytes:
    """Return the JSON with each escaped backslash and quote overwritten, so that every quote left opens or closes."""
    return data.replace(rb"\\", b"__").replace(rb"\"", b"__") if b"\\" in data else data


def is_deeper(data: bytes, most: int) -> bool:
    """Tell whether brackets outside of strings go deeper than `most`, without parsing, and without a loop over bytes.

    Each round takes the innermost pairs away, so that the number of rounds is the depth. A row of more opening brackets
    ends it at once, since such rounds would take one pair away each.
    """
    marks = _without_escapes(data).translate(_ONE_KIND, _NO_STRUCTURE).replace(b'""', b"")
    brackets = b"".join(marks.split(b'"')[::2])
    row = b"[" * (most + 1)
    for _ in range(most):
        if row in brackets:
            return True
        rest = brackets.replace(b"[]", b"")
        if len(rest) == len(brackets):
            break
        brackets = rest
    return brackets.count(b"[") > (most if b"[]" not in brackets else 0)


def has_longer_string(data: bytes, most: int) -> bool:
    """Tell whether a string has more than `most` bytes, by a look at blocks that a longer one would fill."""
    plain = _without_escapes(data)
    block, quotes, counted = most // 2 + 1, 0, 0
    for start in range(0, len(plain), block):
        if plain.find(b'"', start, start + block) >= 0:
            continue
        quotes += plain.count(b'"', counted, start)
        counted = start
        if quotes % 2 and _end_of_string(plain, start) - plain.rfind(b'"', 0, start) - 1 > most:
            return True
    return False


def _end_of_string(plain: bytes, start: int) -> int:
    end = plain.find(b'"', start)
    return len(plain) if end < 0 else end


def parsed(data: bytes, problems: Problems) -> object:
    """Return the builtins that the JSON `data` holds; MISSING where a problem was noted."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return problems.add("$", _JSON, "json")


def shallow(data: object, limits: Limits, problems: Problems) -> bool:
    """Tell whether builtins are nested no deeper than is safe; note a problem where they are, or hold themselves."""
    level = [data]
    for _ in range(limits.max_depth):
        found = (part for node in level for part in _parts(node) if isinstance(part, Mapping | list | tuple))
        level = list({id(part): part for part in found}.values())
        if not level:
            return True
    problems.add("$", _depth(limits), "limit")
    return False


def _parts(node: object) -> Iterable[object]:
    if isinstance(node, Mapping):
        return node.values()
    return node if isinstance(node, list | tuple) else ()


def _depth(limits: Limits) -> str:
    return f"at most {limits.max_depth} levels of nesting"
