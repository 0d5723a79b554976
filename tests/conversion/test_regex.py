"""Patterns of Python in the dialect of JSON Schema."""

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainkit.conversion.regex import ecma_pattern
from domainkit.conversion.scalars import whole


@pytest.mark.parametrize(
    ("expected", "pattern"),
    [
        (r"^\d{4}-\d{2}$(?!\n)", r"\d{4}-\d{2}"),
        (r"^(?:[a-z]+|[0-9]+)$(?!\n)", r"[a-z]+|[0-9]+"),
        (r"^(?:(a|b)$)$(?!\n)", r"(a|b)$"),
        (r"^a$(?!\n)", r"^a$"),
        (r"^a\$$(?!\n)", r"a\$"),
        (r"^a\\$(?!\n)", r"a\\$"),
        (r"^[\]a]+$(?!\n)", r"[]a]+"),
        (r"^[^\]a]+$(?!\n)", r"[^]a]+"),
        (r"^[\[a.@\-]$(?!\n)", r"[\[a.\@\-]"),
        (r"^[a\.b@]$(?!\n)", r"[a\.b\@]"),
        (r"^a{0,3}b{2,}c{4}d{0,}$(?!\n)", r"a{,3}b{2,}c{4}d{,}"),
        (r"^a\{b\}\]\{,x$(?!\n)", r"a{b}]{,x"),
        (r"^(a)(?:b)(?=c)(?!d)(?<=e)(?<!f).$(?!\n)", r"(?P<x>a)(?:b)(?=c)(?!d)(?<=e)(?<!f)."),
        (r"^@ -'$(?!\n)", r"\@\ \-\'"),
        (r"^\x41\u0042\n\/$(?!\n)", r"\x41\u0042\n\/"),
        (r"^a*?b+?c??d{1,2}?$(?!\n)", r"a*?b+?c??d{1,2}?"),
        (r"^é+$(?!\n)", "é+"),
        (r"^$(?!\n)", ""),
    ],
)
def test_what_both_dialects_have_is_translated(expected: str, pattern: str) -> None:
    """A pattern is written so that ECMA-262, with its flag u, accepts it and means the same."""
    assert expected == ecma_pattern(re.compile(pattern), start=True, end=True)


@pytest.mark.parametrize(
    "pattern",
    [r"(?i)a", r"a++", r"a{2}+", r"\Aa", r"a\Z", r"(?>a)", r"(?P<x>a)(?P=x)", r"(a)\1", r"\0", r"\a", r"[\a]",
     r"(?#c)a", r"(a)?(?(1)b|c)", r"\N{DIGIT ONE}", r"\U0001F600"],
)  # fmt: skip  # one list
def test_what_only_python_has_is_left_out(pattern: str) -> None:
    """A pattern that ECMA-262 has no words for gives none, rather than one that means something else."""
    assert ecma_pattern(re.compile(pattern), start=True, end=True) is None


def test_flags_of_python_are_left_out() -> None:
    """A flag that changes what a pattern means gives no pattern; re.ASCII says what ECMA-262 means anyway."""
    assert ecma_pattern(re.compile("a", re.DOTALL), start=True, end=True) is None
    assert r"^\d$(?!\n)" == ecma_pattern(re.compile(r"\d", re.ASCII), start=True, end=True)


def test_a_pattern_is_anchored_as_it_is_used() -> None:
    """`re.search` looks anywhere, `re.match` at the start, and `re.fullmatch` at both ends."""
    pattern = re.compile("a|b")

    assert "a|b" == ecma_pattern(pattern, start=False, end=False)
    assert "^(?:a|b)" == ecma_pattern(pattern, start=True, end=False)
    assert r"^(?:a|b)$(?!\n)" == ecma_pattern(pattern, start=True, end=True)


def test_a_whole_text_has_no_line_end_after_it() -> None:
    """A reader that searches with Python, where `$` comes before a last line end too, is told of it."""
    pattern = whole("[a-z]+")

    assert re.search(pattern, "ab")
    assert not re.search(pattern, "ab\n")
    assert not re.search(pattern, "0ab")


_PIECES = st.sampled_from(
    [r"\d", r"\w", "a", "b|", "(a|b)", "[ab]", "[^a]", "]", "{", "}", "a{,2}", "b{1,}", ".", r"\.", r"\-", "-", r"\\"]
)  # fmt: skip  # one list


@given(st.lists(_PIECES, max_size=6).map("".join), st.text("ab0{}]-.\\\n", max_size=6), st.booleans(), st.booleans())
def test_a_translation_matches_what_the_pattern_matches(pattern: str, text: str, start: bool, end: bool) -> None:
    """Read by Python again, the translation matches just the texts that the pattern did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # what a later Python may read otherwise
        compiled = re.compile(pattern)
    translated = ecma_pattern(compiled, start=start, end=start and end)
    assert translated is not None

    match = compiled.fullmatch if start and end else compiled.match if start else compiled.search
    assert (match(text) is None) == (re.search(translated, text) is None)
