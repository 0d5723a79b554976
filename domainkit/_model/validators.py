"""Validators of attrs as plain conditions, which generated functions check inline, without a call."""

from collections.abc import Callable
from functools import partial
from typing import Any

from domainkit._model.internals import AND, MAX_LENGTH, MIN_LENGTH, NUMBER, PATTERN, parts_of

Name = Callable[[object, str], str]
"""Names an object in the generated function; the second argument is the start of the name."""


def flattened(validator: Any) -> tuple[Any, ...]:  # Any: attrs has no types for its validators
    """Return the validators that attrs joined into one; an empty tuple for None."""
    if validator is None:
        return ()
    return parts_of(validator) if isinstance(validator, AND) else (validator,)


def condition(validator: Any, value: str, name: Name) -> str | None:  # Any: as above
    """Return the condition on the variable `value` that a validator of attrs checks; None for any other validator."""
    kind = type(validator)
    if kind is NUMBER:
        return f"{value} {validator.compare_op} {name(validator.bound, 'bound')}"
    if kind is MIN_LENGTH:
        return f"len({value}) >= {name(validator.min_length, 'least')}"
    if kind is MAX_LENGTH:
        return f"len({value}) <= {name(validator.max_length, 'most')}"
    return f"{name(validator.match_func, 'match')}({value})" if kind is PATTERN else None


def predicate(validators: tuple[Any, ...]) -> Callable[[object], object] | None:  # Any: as above
    """Return a function that checks a value against all validators; None without any, or with an unknown one."""
    names: dict[str, object] = {}
    conditions = [condition(one, "value", partial(named, names)) for one in validators]
    known = [one for one in conditions if one is not None]
    if not known or len(known) < len(conditions):
        return None
    if len(validators) == 1 and isinstance(validators[0], PATTERN):
        match: Callable[[object], object] = validators[0].match_func
        return match
    text = "lambda value: " + " and ".join(f"({one})" for one in known)
    made: Callable[[object], object] = eval(compile(text, "<domainkit rule>", "eval"), names)  # noqa: S307  # our own source, as in attrs
    return made


def named(names: dict[str, object], value: object, stem: str) -> str:
    """Add `value` to the names of a function to generate, and return its name there."""
    name = f"{stem}_{len(names)}"
    names[name] = value
    return name
