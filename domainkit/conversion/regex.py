"""Regular expressions of Python in the dialect of JSON Schema: ECMA-262 with the flag `u`."""

import re
from typing import Final

from domainkit.conversion.scalars import END

_TOKEN: Final = re.compile(
    r"""
      (?P<escape>\\.)
    | (?P<named>\(\?P<[^>]*>)
    | (?P<group>\((?:\?(?::|=|!|<=|<!))?(?!\?))
    | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
    | (?P<python>(?:[*+?]|\{[0-9]*,?[0-9]*\})\+|\()
    | (?P<repeat>\{(?:[0-9]+(?:,[0-9]*)?|,[0-9]*)\})
    | (?P<bracket>[\]{}])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SHARED_ESCAPE: Final = re.compile(r"\\(?:[dDwWsSbBfnrtvxu^$\\.*+?()\[\]{}|/])")
_SHARED_FLAGS: Final = re.UNICODE | re.ASCII


def ecma_pattern(pattern: re.Pattern[str], *, start: bool, end: bool) -> str | None:
    r"""Return a pattern with the same meaning in ECMA-262 and Python; None if this one uses features of Python alone.

    Two small differences remain: the characters beyond ASCII that `\d`, `\w`, `\s`, `\b` and `.` match, and a `$` in
    the pattern, which Python also matches before a newline at the end.

    >>> ecma_pattern(re.compile(r"(?P<year>\d{4})\-[a-z]+"), start=True, end=True)
    '^(\\d{4})-[a-z]+$(?!\\n)'
    >>> ecma_pattern(re.compile(r"(?i)[a-z]+"), start=True, end=True) is None
    True

    Args:
        pattern: a compiled pattern for text.
        start: whether a match must begin at the start of the text, as in `re.match`.
        end: whether a match must end at the end of the text, as in `re.fullmatch`.
    """
    if pattern.flags & ~_SHARED_FLAGS:
        return None
    try:
        made = [_translated(token) for token in _TOKEN.finditer(pattern.pattern)]
    except ValueError:
        return None
    if "|" in made and (start or end):
        made = ["(?:", *made, ")"]
    if start and made[:1] != ["^"]:
        made.insert(0, "^")
    if end and made[-1:] == ["$"]:
        made.pop()
    return "".join(made) + (END if end else "")


def _translated(token: re.Match[str]) -> str:
    """Return a part of a pattern so that both dialects accept it; raise ValueError if only Python has such a part."""
    text, kind = token.group(), token.lastgroup
    if kind == "python":
        raise ValueError
    if kind == "escape":
        return _escape(text)
    if kind == "set":  # in ECMA-262, brackets inside a set must be escaped, and no other character
        start = 2 if text.startswith("[^") else 1
        parts = re.findall(r"\\.|.", text[start:-1], re.DOTALL)
        return text[:start] + "".join(_escape(part, in_set=True) for part in parts) + "]"
    # a named group can lose its name: a pattern that refers back to the name is not translated
    return {"named": "(", "repeat": text.replace("{,", "{0,"), "bracket": f"\\{text}"}.get(kind or "", text)


def _escape(text: str, *, in_set: bool = False) -> str:
    """Return a character or an escape as both dialects write it; raise ValueError for an escape that only Python has.

    An escaped letter or digit has its own meaning; any other escaped character stands for itself.
    """
    if in_set and len(text) == 1:
        return f"\\{text}" if text in "[]" else text
    if _SHARED_ESCAPE.fullmatch(text) or (in_set and text == r"\-"):
        return text
    if text[1].isalnum():
        raise ValueError
    return text[1]
