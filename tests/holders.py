"""A message class around one field of any type, made on the fly: what the tests of the wire types look through."""

import json
import re
import sys
from types import new_class
from typing import Any

from attrs import frozen
from typing_extensions import TypeAliasType

from domainkit import DomainEvent, InvalidMessage, Problem, ValueObject
from domainkit.messages import wire_of

PATH = "$.data.attributes.field"


def holder(hint: object, name: str = "Holder") -> Any:
    """Return a class of events with one field, `field`, of the type `hint`."""
    return frozen(type(name, (DomainEvent,), {"__annotations__": {"field": hint}, "__module__": __name__}))


def alias(name: str, source: str, *parameters: Any, **names: object) -> Any:
    """Return the alias `type name[parameters] = source` (PEP 695), which may hold itself."""
    names |= {str(parameter).removeprefix("~"): parameter for parameter in parameters}
    if sys.version_info >= (3, 12):
        declared = f"[{', '.join(str(parameter).removeprefix('~') for parameter in parameters)}]" if parameters else ""
        exec(f"type {name}{declared} = {source}", names)
        return names[name]
    names[name] = TypeAliasType(name, None, type_params=parameters)
    object.__setattr__(names[name], "__value__", eval(source, names))  # before Python 3.12 it is read at once
    return names[name]


def wrapper(hint: Any, name: str = "Wrapper") -> Any:
    """Return a class of value objects that wrap the type `hint`."""
    return new_class(name, (ValueObject[hint],))


def envelope(cls: Any, value: object) -> dict[str, Any]:
    """Return the wire form of an event of `cls` whose field has the wire form `value`."""
    info = cls.info()
    return {
        "data": {
            "id": "3a4d78aa-6870-41cb-aa14-964831511d86",
            "type": info.name,
            "type_message": info.kind,
            "version": info.version,
            "occurred_on": "2021-12-28 14:11:47.845618",
            "attributes": {"field": value},
            "meta": {},
        }
    }


def read(cls: Any, value: object) -> Any:
    """Return what both ways in make of the wire form `value` of the field; they agree, the fast pass too."""
    data = envelope(cls, value)
    made = cls.from_dict(data)
    assert made == cls.from_json(json.dumps(data)) == wire_of(cls).decode(json.dumps(data).encode())
    return made.field


def refused(cls: Any, value: object) -> tuple[Problem, ...]:
    """Return the problems that both ways in have with the wire form `value` of the field; they agree."""
    data = envelope(cls, value)
    from_dict = problems_of(lambda: cls.from_dict(data))
    assert from_dict == problems_of(lambda: cls.from_json(json.dumps(data)))
    return from_dict


def problems_of(call: Any) -> tuple[Problem, ...]:
    """Return the problems of the InvalidMessage that the call raises."""
    try:
        made = call()
    except InvalidMessage as error:
        return error.problems
    raise AssertionError(f"nothing was refused: {made!r}")


def unwritable(cls: Any, value: object) -> tuple[Problem, ...]:
    """Return the problems of writing an event of `cls` with `value`; they agree, and never show the value."""
    event = cls(value)
    problems = problems_of(event.json)
    assert problems == problems_of(event.dict)
    return problems


def rewritten(value: Any, hint: object) -> object:
    """Return the wire form of a field, after a look at the round trip: the very value comes back."""
    cls = holder(hint)
    event = cls(value)
    assert event == cls.from_json(event.json()) == cls.from_dict(event.dict())
    assert event == wire_of(cls).decode(event.json().encode())
    assert json.loads(event.json()) == event.dict()
    return event.dict()["data"]["attributes"]["field"]


def short(value: object) -> str:
    """Return a name for the id of a test, the same in each process: no set in an order of its own, no address.

    An integer that is too long to print has a name too.
    """
    if isinstance(value, frozenset) and len(value) > 1:
        return f"frozenset({', '.join(sorted(map(short, value)))})"
    long = type(value) is int and abs(value) > 10**100
    return "long" if long else re.sub(" at 0x[0-9a-f]+", "", ascii(value))[:60]
