"""Exact arithmetic on the numbers that JSON writes in decimal digits."""

from fractions import Fraction


def is_multiple(value: float, step: float) -> bool:
    """Return whether `value` is a whole multiple of `step`, both read as the decimal digits that stand for them.

    A float is compared by its shortest text, the one that JSON has: in binary, 1.1 is no multiple of 0.01.

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
