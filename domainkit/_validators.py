"""The validators of attrs as plain conditions: what generated functions check in place, without a call."""

from collections.abc import Callable
from typing import Any

import attrs

_AND: Any = type(attrs.validators.and_())  # Any: attrs types none of these classes
_NUMBER: type = type(attrs.validators.ge(0))
_MIN_LENGTH: type = type(attrs.validators.min_len(0))
_MAX_LENGTH: type = type(attrs.validators.max_len(0))
_PATTERN: type = type(attrs.validators.matches_re(""))

Name = Callable[[object, str], str]
"""Gives an object a name in the function that is generated, from a stem."""


def flattened(validator: Any) -> tuple[Any, ...]:  # Any: attrs has no type for a validator that it knows more of
    """Return the validators that attrs joined into one; none for None."""
    if validator is None:
        return ()
    return validator._validators if isinstance(validator, _AND) else (validator,)


def condition(validator: Any, value: str, name: Name) -> str | None:  # Any: as above
    """Return the condition over the variable `value` that a validator of attrs checks; None for any other validator."""
    kind = type(validator)
    if kind is _NUMBER:
        return f"{value} {validator.compare_op} {name(validator.bound, 'bound')}"
    if kind is _MIN_LENGTH:
        return f"len({value}) >= {name(validator.min_length, 'least')}"
    if kind is _MAX_LENGTH:
        return f"len({value}) <= {name(validator.max_length, 'most')}"
    return f"{name(validator.match_func, 'match')}({value})" if kind is _PATTERN else None
