"""The rules of a class of several fields: all validators that refuse some values, not only the first of them."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from domainkit._model.validators import flattened


def broken_rules(cls: type, values: Mapping[str, object]) -> Iterator[tuple["attrs.Attribute[Any]", Exception]]:
    """Yield each field with a validator that refuses its value, and what that raises.

    A validator sees all fields of the object, as in the constructor. There is nothing to yield for a class that changes
    the values which it is given: there the constructor alone knows what its validators see.

    Args:
        cls: an attrs class.
        values: the values by the names that the constructor has for them; those with a default may be absent.
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
            except AttributeError:  # it looks at a field that isn't there
                continue
            except Exception as error:  # whatever a validator raises is a refusal
                yield field, error
                break
