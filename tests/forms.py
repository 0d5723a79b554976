"""The two forms of what works on slots, in C and in Python: how tests make each, and compare them."""

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import strategies as st

from domainkit._speedups import slots as _slots

T = TypeVar("T")

NO_COMPILER = "no C compiler was at hand"
compiled_only = pytest.mark.skipif(not _slots.COMPILED, reason=NO_COMPILER)


def in_c(make: Callable[[], T]) -> T:
    """Return what `make` makes, of compiled parts."""
    return make()


def in_python(make: Callable[[], T]) -> T:
    """Return what `make` makes where nothing was compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_slots, "Maker", None)
        return make()


both_forms = pytest.mark.parametrize(
    "form", [pytest.param(in_c, marks=compiled_only, id="compiled"), pytest.param(in_python, id="python")]
)


def outcome(call: Callable[[], object]) -> tuple[object, ...]:
    """Return all that a caller sees: what is made, or the error with its text and what it leads back to."""
    try:
        return ("made", repr(call()))
    except Exception as error:
        return (type(error), str(error), repr(error.__cause__), repr(error.__context__))


class Text(str):
    """A text of another class."""

    __slots__ = ()


anything = st.one_of(
    st.text(max_size=6), st.from_regex("[a-z]{1,3}", fullmatch=True), st.integers(-3, 12), st.booleans(), st.none(),
    st.decimals(), st.uuids(), st.floats(), st.binary(max_size=3), st.builds(Text, st.text(max_size=3)),
    st.datetimes(), st.tuples(st.integers()), st.just(()), st.just(object), st.lists(st.integers(), max_size=2),
)  # fmt: skip  # a table
"""Values of many classes."""
