"""Reasons of errors: told, unless they repeat what may be a secret."""

import re
from enum import Enum

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from domainkit import DomainError, NotFound, ValueObject
from domainkit._model.reasons import reason_of, repeats


class Title(ValueObject[str]): ...


@frozen
class Page:
    title: Title
    number: int = 0


class Colour(Enum):
    RED = "scarlet"


class TestReason:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (ValueError("too long"), "too long"),
            (ValueError("'title' must match regex 'a+' ('QXZJKV' doesn't)"), "'title' must match regex 'a+'"),
            (ValueError("'title' must be >= 1: QXZJKV"), "'title' must be >= 1"),
            (ValueError(), "ValueError"),
            (KeyError("none"), "none"),
            (NotFound(additional_info={"message": "no such list"}), "no such list"),
            (NotFound(), "NotFound"),
            (NotFound(additional_info={"list": "home"}), "NotFound"),
            (ValueError("QXZJKV is wrong"), None),
            (NotFound(additional_info={"message": "no list QXZJKV"}), None),
            (ValueError("y" * 600), "y" * 500),
            (ValueError("y" * 495 + " QXZJKV"), None),
        ],
    )
    def test_text(self, error: Exception, reason: str | None) -> None:
        """The text of an error, or the message of a domain error; none that holds the value, also where it is cut."""
        assert reason == reason_of(error, "QXZJKV")

    def test_a_text_that_fails(self) -> None:
        """An error whose text can't be made has no reason."""

        class Wordless:
            def __str__(self) -> str:
                raise RuntimeError

        assert None is reason_of(ValueError(Wordless()), 1)
        assert None is reason_of(ValueError("too large"), 10**5000)

    def test_several_values(self) -> None:
        """None of the values is repeated."""
        assert "no" == reason_of(ValueError("no"), "QXZJKV", "VKJZXQ")
        assert None is reason_of(ValueError("no VKJZXQ"), "QXZJKV", "VKJZXQ")


class TestRepeats:
    def test_what_values_hold(self) -> None:
        """The parts of a value count, at any depth; the names of its classes and fields don't."""
        page = Page(Title("QXZJKV"), 1_234_567)
        for value in (page, (page,), [page], {page}, frozenset({page}), {"a": page}, {page: "a"}):
            for text in ("no QXZJKV", "no 1,234,567", "no q-x-z-j-k-v"):
                assert repeats(text, value)
            assert not repeats("a Page has a title='' and a number=0", value)
        assert repeats("bad Colour.RED", Colour.RED)

    @given(text=st.text("abä- ", max_size=30), value=st.text("abä- ", max_size=30))
    def test_any_six_characters_in_a_row(self, text: str, value: str) -> None:
        """A text repeats a value if any six characters in a row are in both, wherever they begin."""
        runs = [value[start : start + 6] for start in range(len(value) - 5)]
        if any(run in text for run in runs):
            assert repeats(text, value)
        letters = [re.sub(r"[\W_]+", "", one) for one in (text, value)]
        if len(value) > 6 and not any(letters[1][start : start + 6] in letters[0] for start in range(len(value))):
            assert any(run in text for run in runs) == repeats(text, value)

    def test_what_everybody_knows(self) -> None:
        """None and the truth values are no secrets."""
        assert not repeats("None is neither True nor False", (None, True, False))

    def test_more_than_can_be_compared(self) -> None:
        """A text beside values of more than 65,536 characters counts as one that repeats them."""
        assert not repeats("no", "x" * 65_536)
        assert repeats("no", "x" * 65_537)
        assert repeats("no", "x" * 40_000, "y" * 40_000)

    def test_an_error_is_looked_at_like_a_value(self) -> None:
        """Errors of the domain are values as well."""
        assert repeats("no QXZJKV", DomainError(uuid_value="QXZJKV"))
