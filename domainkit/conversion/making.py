"""The work of a constructor: a check if it only sets slots, and the lines for its rules and converters."""

from collections.abc import Collection
from functools import partial
from types import MemberDescriptorType
from typing import Any

import attrs

from domainkit._model.constructors import HOOKS, takes_self
from domainkit._model.internals import caches_hash, is_decorated
from domainkit._model.validators import condition, flattened
from domainkit._model.wrapper import Wrapper, is_secret
from domainkit._speedups.code import Code
from domainkit.conversion.nodes import refuse_unless

_CONSTRUCTOR_HOOKS = (*HOOKS, "__attrs_init__")
"""Names in a class whose constructor does more than set the slots: its hooks, or its own constructor."""


def needs_constructor(cls: type, given: Collection[str] = ()) -> bool:
    """Check if the constructor of an attrs class does more than set its slots and run the validators.

    Args:
        cls: the class.
        given: the names of fields that always get a value, so that their defaults don't matter.
    """
    owner = next(base for base in cls.__mro__ if "__init__" in base.__dict__)
    own_init = not is_decorated(owner) and not issubclass(cls, Wrapper)
    if is_secret(cls):  # its constructor hides the error texts of validators
        return True
    own_new = any("__new__" in base.__dict__ for base in cls.__mro__[:-1])  # exceptions have one
    if own_new or own_init or caches_hash(cls) or any(hasattr(cls, name) for name in _CONSTRUCTOR_HOOKS):
        return True
    return not all(
        attribute.converter is None
        and (attribute.name in given or not takes_self(attribute))
        and isinstance(getattr(cls, attribute.name, None), MemberDescriptorType)
        for attribute in attrs.fields(cls)
    )


def is_unchanged(attribute: "attrs.Attribute[Any]", owner: object, value: object) -> bool:
    """Check if the converter of a field leaves a value of the field as it is, or the field has no converter.

    A reader passes the value to the constructor, which converts it again: an amount in euros that became one in cents
    would be multiplied by a hundred twice.
    """
    convert: Any = attribute.converter
    if convert is None:
        return True
    extra: list[object] = []
    if isinstance(attribute.converter, attrs.Converter):
        extra = [owner] * convert.takes_self + [attribute] * convert.takes_field
        convert = convert.converter
    try:
        return bool(convert(value, *extra) == value)
    except Exception:  # whatever a converter raises for a value that it made itself
        return False


UNCHANGED = "a value that the converter of the field leaves as it is, since reading converts it again"


def add_unchanged_check(code: Code, attribute: "attrs.Attribute[Any]", owner: str, value: str) -> None:
    """Add the lines that refuse a value that the converter of its field would change when it is read."""
    if attribute.converter is not None:
        refuse_unless(code, f"{code.name(partial(is_unchanged, attribute), 'is_unchanged')}({owner}, {value})")


def add_checks(code: Code, attribute: "attrs.Attribute[Any]", made: str, value: str) -> None:
    """Add the lines that run the validators of a field; those of attrs become conditions in the generated code."""
    for validator in flattened(attribute.validator):
        plain = condition(validator, value, code.name)
        if plain is None:
            code.add(f"{code.name(validator, 'check')}({made}, {code.name(attribute, 'field')}, {value})")
        else:
            refuse_unless(code, plain)
