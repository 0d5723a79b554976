"""Exact arithmetic on numbers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainkit._model.numbers import is_multiple


@pytest.mark.parametrize(
    ("value", "step"),
    [
        (1.1, 0.01), (5.0, 0.01), (0.07, 0.01), (19.99, 0.01), (-0.3, 0.1), (0.0, 0.25), (1e300, 0.1), (1e-7, 1e-8),
        (6, 0.5), (6.0, 3), (6, 3), (0, 7), (10**4200, 0.1), (-9, 3),
    ],
)  # fmt: skip  # one list
def test_a_multiple_in_decimal_digits_is_one(value: float, step: float) -> None:
    """A whole multiple in decimals is accepted, though no binary float equals either number."""
    assert is_multiple(value, step)


@pytest.mark.parametrize(
    ("value", "step"),
    [(1.105, 0.01), (0.1 + 0.2, 0.1), (1e-9, 1e-8), (7, 3), (7.5, 3), (10**20 + 1, 0.7), (5e-324, 1e300)],
)
def test_a_number_between_two_multiples_is_none(value: float, step: float) -> None:
    """A digit too many is refused, however small it is."""
    assert not is_multiple(value, step)


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**4), st.integers(0, 6))
def test_whole_multiples_of_a_decimal_step_are_multiples(count: int, units: int, digits: int) -> None:
    """`count` times a step, rounded to the nearest float as JSON is when it is read, is a multiple of that step."""
    step = Decimal(units).scaleb(-digits)

    assert is_multiple(float(count * step), float(step))
