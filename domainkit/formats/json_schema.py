"""JSON Schema of messages, made from the wire types that decode them.

The dialect is draft 2020-12 (https://json-schema.org/draft/2020-12). A schema describes the encoded form. The codec
reads all that matches it, except for rules that JSON Schema can't express: your own validators, bounds of Decimals and
dates, `1.0` for an int, an integer too large for a float, a lone surrogate, two texts of one value as items of a set or
as keys (`"1"` and `"1.0"` are one Decimal), impossible dates, and the limits of the codec. The codec also reads some
forms that the schema refuses: the page on JSON Schema in docs/how-to lists them.
"""

from typing import Final, TypeAlias

from domainkit.codec import MessageCodec
from domainkit.conversion.definitions import Definitions
from domainkit.messages import JsonValue, Message, wire_of

JsonSchema: TypeAlias = dict[str, JsonValue]
"""A JSON Schema, as JSON values of builtin types."""

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
        message_type: the message class, with default options; for the options of a codec, use `codec_schema`.

    Raises:
        TypeError: the class isn't decorated, or has a field that JSON can't carry.
    """
    definitions = Definitions("#/$defs/")
    schema = definitions.envelope(wire_of(message_type))
    return {"$schema": _DIALECT, **schema, "$defs": definitions.finish()}


def codec_schema(codec: MessageCodec) -> JsonSchema:
    """Return the JSON Schema of all messages of a codec: `oneOf` its classes, each under its name in `$defs`.

    The messages share the definitions of their fields' types. Classes with the same name get their modules as prefixes.
    Older versions that upcasters read are left out: there is no class to describe them.

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
