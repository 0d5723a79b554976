"""JSON Schema of messages, made from the wire types that decode them.

The dialect is draft 2020-12 (https://json-schema.org/draft/2020-12). A schema describes what is written. Whatever it
admits is read too, but for what JSON Schema has no words for: validators of your own, bounds of Decimals and dates,
`1.0` where an int belongs, an integer that a float can't hold, a lone surrogate, two texts of one value as items of a
set or as keys (`"1"` and `"1.0"` are one Decimal), days that no calendar has, and the limits of the codec. The reader
is more tolerant than the schema where the wire form allows it: the page on JSON Schema in docs/how-to lists that.
"""

from typing import Final, TypeAlias

from domainkit.codec import MessageCodec
from domainkit.conversion.definitions import Definitions
from domainkit.messages import JsonValue, Message, wire_of

JsonSchema: TypeAlias = dict[str, JsonValue]
"""A JSON Schema, as builtins that JSON carries."""

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def message_schema(message_type: type[Message]) -> JsonSchema:
    """Return the JSON Schema of the envelopes of one message class.

    >>> from attrs import field, frozen
    >>> from attrs.validators import max_len
    >>> from domainkit import DomainEvent, ValueObject
    >>> @frozen
    ... class Title(ValueObject[str]):
    ...     value: str = field(validator=max_len(200))
    >>> @frozen
    ... class TaskCreated(DomainEvent):
    ...     title: Title
    >>> schema = message_schema(TaskCreated)
    >>> schema["$defs"]
    {'Title': {'type': 'string', 'maxLength': 200, 'title': 'Title'}}
    >>> schema["properties"]["data"]["properties"]["type"]
    {'const': 'task.created'}

    Args:
        message_type: read with the default options; for another codec's, `codec_schema`.

    Raises:
        TypeError: the class isn't decorated, or has a field that can't be carried.
    """
    definitions = Definitions("#/$defs/")
    schema = definitions.envelope(wire_of(message_type))
    return {"$schema": _DIALECT, **schema, "$defs": definitions.finish()}


def codec_schema(codec: MessageCodec) -> JsonSchema:
    """Return the JSON Schema of all messages of a codec: one of its classes, each under its name in `$defs`.

    The messages share the definitions of what they hold. Two classes of one name are told apart by their modules. The
    old versions that upcasters read are left out: there is no class to describe them.

    >>> from domainkit import Command, DomainEvent
    >>> class TaskCreated(DomainEvent): ...
    >>> class CreateTask(Command): ...
    >>> schema = codec_schema(MessageCodec(TaskCreated, CreateTask))
    >>> schema["oneOf"]
    [{'$ref': '#/$defs/TaskCreated'}, {'$ref': '#/$defs/CreateTask'}]
    """
    definitions = Definitions("#/$defs/")
    messages: list[JsonValue] = [definitions.message(wire) for wire in codec.wires.values()]
    return {"$schema": _DIALECT, "oneOf": messages, "$defs": definitions.finish()}
