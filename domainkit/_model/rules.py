"""Broken rules of a class with several fields: all validators that refuse a value, not only the first."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from domainkit._model.validators import flattened


def broken_rules(cls: type, values: Mapping[str, object]) -> Iterator[tuple["attrs.Attribute[Any]", Exception]]:
    """Yield each field with a validator that refuses its value, and the error raised.

    A validator sees all fields of the object, as in the constructor. A class with converters yields no field: only its
    constructor knows the values that its validators see.

    Args:
        cls: an attrs class.
        values: the values by the constructor's parameter names; those with a default may be absent.
    """
    fields = attrs.fields(cls)
    if any(field.converter is not None for field in fields):
        return
    made: object = object.__new__(cls)
    for field in fields:
        if field.alias in values:
            object.__setattr__(made, field.name, values[field.alias])
    for field in fields:
        for validator in flattened(field.validator) if field.alias in values else ():
            try:
                validator(made, field, values[field.alias])
            except AttributeError:  # it reads a field that isn't set
                continue
            except Exception as error:  # any exception of a validator is a refusal
                yield field, error
                break
