"""Regular expressions of Python, in the dialect that JSON Schema asks for (ECMA-262, with the flag u)."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      (?P<escape>\\.)
    | (?P<named>\(\?P<[^>]*>)
    | (?P<group>\((?:\?(?::|=|!|<=|<!))?(?!\?))
    | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
    | (?P<possessive>(?:[*+?]|\{[0-9]*,?[0-9]*\})\+)
    | (?P<repeat>\{(?:[0-9]+(?:,[0-9]*)?|,[0-9]*)\})
    | (?P<bracket>[\]{}])
    | (?P<other>[^(\[])
    """,
    re.VERBOSE | re.DOTALL,
)
_SHARED_ESCAPE: Final = re.compile(r"\\(?:[dDwWsSbBfnrtvxu^$\\.*+?()\[\]{}|/])")
_SHARED_FLAGS: Final = re.UNICODE | re.ASCII


def ecma_pattern(pattern: re.Pattern[str], *, start: bool, end: bool) -> str | None:
    r"""Return a pattern that ECMA-262 and Python read alike; None where this one uses what only Python has.

    What `\d`, `\w`, `\s`, `\b` and `.` match beyond ASCII differs a little between the two; that is left as it is.

    >>> ecma_pattern(re.compile(r"(?P<year>\d{4})\-[a-z]+"), start=True, end=True)
    '^(\\d{4})-[a-z]+$'
    >>> ecma_pattern(re.compile(r"(?i)[a-z]+"), start=True, end=True) is None
    True

    Args:
        pattern: a compiled pattern of text.
        start: whether a match begins where the text does, as `re.match` has it.
        end: whether it ends where the text does too, as `re.fullmatch` has it.
    """
    if pattern.flags & ~_SHARED_FLAGS:
        return None
    made = []
    position = 0
    while position < len(pattern.pattern):
        token = _TOKEN.match(pattern.pattern, position)
        text = None if token is None else _token(token)
        if token is None or text is None:
            return None
        made.append(text)
        position = token.end()
    return _anchored("".join(made), start=start, end=end)


def _token(token: re.Match[str]) -> str | None:
    rewrite = _REWRITING.get(token.lastgroup)
    return token.group() if rewrite is None else rewrite(token.group())


def _escape(text: str, *, in_set: bool = False) -> str | None:
    """Return an escape that both dialects have: a letter has a meaning of its own, any other sign stands for itself."""
    if _SHARED_ESCAPE.fullmatch(text) or (in_set and text == r"\-"):
        return text
    return None if text[1].isalnum() else text[1]


def _set(text: str) -> str | None:
    r"""Return a set of characters: in ECMA-262 a bracket in it is escaped, and nothing else needs to be."""
    start = 2 if text.startswith("[^") else 1
    parts = re.findall(r"\\.|.", text[start:-1], re.DOTALL)
    made = [_escape(part, in_set=True) if len(part) > 1 else re.sub(r"[\[\]]", r"\\\g<0>", part) for part in parts]
    return None if None in made else text[:start] + "".join(map(str, made)) + "]"


_REWRITING: Final[Mapping[str | None, Callable[[str], str | None]]] = MappingProxyType(
    {
        "escape": _escape,
        "named": lambda _: "(",  # no other group refers to its name: such a reference is not translated
        "set": _set,
        "possessive": lambda _: None,
        "repeat": lambda text: text.replace("{,", "{0,"),
        "bracket": lambda text: f"\\{text}",
    }
)


def _anchored(text: str, *, start: bool, end: bool) -> str:
    if "|" in text and (start or end):
        text = f"(?:{text})"
    before = "^" if start and not text.startswith("^") else ""
    ended = re.search(r"(?<!\\)(?:\\\\)*\$$", text) is not None
    return before + text + ("$" if end and not ended else "")
