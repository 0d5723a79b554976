"""Exact arithmetic on numbers as JSON writes them, in decimal digits."""

from fractions import Fraction


def is_multiple(value: float, step: float) -> bool:
    """Check if `value` is a whole multiple of `step`, both read as decimal digits.

    A float counts as its shortest text, the one in JSON: in binary, 1.1 is not a multiple of 0.01.

    >>> is_multiple(1.1, 0.01), is_multiple(1.105, 0.01)
    (True, False)

    Args:
        value: an int, or a finite float.
        step: an int or a finite float, not 0.
    """
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    return (_exact(value) / _exact(step)).denominator == 1


def _exact(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))
