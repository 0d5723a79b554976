"""Regular expressions of Python, in the dialect that JSON Schema asks for (ECMA-262, with the flag u)."""

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
    r"""Return a pattern that ECMA-262 and Python read alike; None if this one uses what only Python has.

    What `\d`, `\w`, `\s`, `\b` and `.` match beyond ASCII differs a little between the two; so does a `$` of the
    pattern's own before a last line end. That is left as it is.

    >>> ecma_pattern(re.compile(r"(?P<year>\d{4})\-[a-z]+"), start=True, end=True)
    '^(\\d{4})-[a-z]+$(?!\\n)'
    >>> ecma_pattern(re.compile(r"(?i)[a-z]+"), start=True, end=True) is None
    True

    Args:
        pattern: a compiled pattern of text.
        start: whether a match begins where the text does, as `re.match` has it.
        end: whether it ends where the text does too, as `re.fullmatch` has it.
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
    """Return a part of a pattern in both dialects; ValueError if it has a meaning in Python alone."""
    text, kind = token.group(), token.lastgroup
    if kind == "python":
        raise ValueError
    if kind == "escape":
        return _escape(text)
    if kind == "set":  # in ECMA-262 a bracket in it is escaped, and nothing else needs to be
        start = 2 if text.startswith("[^") else 1
        parts = re.findall(r"\\.|.", text[start:-1], re.DOTALL)
        return text[:start] + "".join(_escape(part, in_set=True) for part in parts) + "]"
    # no other group refers to the name of one: such a reference is not translated
    return {"named": "(", "repeat": text.replace("{,", "{0,"), "bracket": f"\\{text}"}.get(kind or "", text)


def _escape(text: str, *, in_set: bool = False) -> str:
    """Return a sign or an escape as both dialects have it: an escaped letter has a meaning of its own, no other has."""
    if in_set and len(text) == 1:
        return f"\\{text}" if text in "[]" else text
    if _SHARED_ESCAPE.fullmatch(text) or (in_set and text == r"\-"):
        return text
    if text[1].isalnum():
        raise ValueError
    return text[1]
