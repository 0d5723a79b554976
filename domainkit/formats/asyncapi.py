"""AsyncAPI documents of the messages of a codec.

Source: the AsyncAPI specifications 3.0.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0) and 3.1.0,
which don't differ in the parts used here.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from domainkit.codec import MessageCodec
from domainkit.conversion.definitions import Definitions, key_for, summary_of
from domainkit.messages import Command, JsonValue, Message, MessageInfo

AsyncApiDocument: TypeAlias = dict[str, JsonValue]
"""An AsyncAPI document, as JSON values of builtin types."""

_Object = dict[str, Any]  # a part of the document under construction: JSON values

_CONTENT_TYPE: Final = "application/json"


def asyncapi_document(  # noqa: PLR0913  (keyword-only options)
    codec: MessageCodec,
    *,
    title: str,
    version: str,
    address: Callable[[MessageInfo], str] | None = None,
    receives: Collection[type[Message]] | None = None,
    examples: Iterable[Message] = (),
    specification: Literal["3.0.0", "3.1.0"] = "3.0.0",
) -> AsyncApiDocument:
    """Return the AsyncAPI document of an application that uses the messages of a codec.

    Each address is a channel with its messages; the application sends all messages that it doesn't receive. The same
    codec always gives the same document. It is a dict: add servers, bindings or tags yourself.

    >>> from attrs import frozen
    >>> from domainkit import Command, DomainEvent
    >>> @frozen
    ... class CreateTask(Command):
    ...     title: str
    >>> class TaskCreated(DomainEvent): ...
    >>> document = asyncapi_document(MessageCodec(CreateTask, TaskCreated), title="Tasks", version="1.0.0")
    >>> list(document["operations"])
    ['receive.create.task', 'send.task.created']
    >>> document["channels"]["task.created"]["address"]
    'task.created'

    Args:
        codec: the message classes, in their order.
        title: the name of the application.
        version: the version of the application's interface, not of AsyncAPI.
        address: returns the topic, routing key or subject of a message; by default the message's name.
        receives: the classes that the application receives; by default all commands.
        examples: messages to show as examples of their classes.
        specification: the version of AsyncAPI that the document declares.

    Raises:
        ValueError: `specification` is not one of the two.
        TypeError: `receives` has a class that the codec wasn't given.
        UnknownMessage: an example is of such a class.
        InvalidMessage: an example has a value that could not be read back.
    """
    if specification not in {"3.0.0", "3.1.0"}:
        raise ValueError("asyncapi_document: expected '3.0.0' or '3.1.0' as `specification`, got another value")
    definitions = Definitions("#/components/schemas/", draft_07=True)
    payloads = {cls: definitions.message(wire) for cls, wire in codec.wires.items()}
    schemas = definitions.finish()
    names = {cls: payload["$ref"].removeprefix("#/components/schemas/") for cls, payload in payloads.items()}
    channels, operations = _routes(names, address, receives)
    shown = [(type(example), {"payload": msgspec.json.decode(codec.encode(example))}) for example in examples]
    messages = {
        name: _message(cls, payloads[cls], [example for kind, example in shown if kind is cls])
        for cls, name in names.items()
    }
    return {
        "asyncapi": specification,
        "info": {"title": title, "version": version},
        "defaultContentType": _CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _message(cls: type[Message], payload: _Object, examples: list[_Object]) -> _Object:
    optional = {"summary": summary_of(cls), "examples": examples}
    return {
        "name": cls.info().name,
        "title": cls.__name__,
        "contentType": _CONTENT_TYPE,
        "payload": payload,
        **{key: value for key, value in optional.items() if value},
    }


def _routes(
    names: Mapping[type[Message], str],
    address: Callable[[MessageInfo], str] | None,
    receives: Collection[type[Message]] | None,
) -> tuple[_Object, _Object]:
    """Return a channel for each address, and an operation for each direction of a channel."""
    received = [cls for cls in names if issubclass(cls, Command)] if receives is None else receives
    for cls in received:
        if cls not in names:
            raise TypeError(f"`receives`: expected classes of the codec, got {cls.__qualname__}; pass it to the codec")
    keys: dict[str, str] = {}
    channels: _Object = {}
    operations: _Object = {}
    for cls, name in names.items():
        place = cls.info().name if address is None else address(cls.info())
        key = keys.get(place) or keys.setdefault(place, key_for(place, channels))
        channel = channels.setdefault(key, {"address": place, "messages": {}})
        channel["messages"][name] = {"$ref": f"#/components/messages/{name}"}
        action = "receive" if cls in received else "send"
        operation = {"action": action, "channel": {"$ref": f"#/channels/{key}"}, "messages": []}
        found = operations.setdefault(f"{action}.{key}", operation)
        found["messages"].append({"$ref": f"#/channels/{key}/messages/{name}"})
    return channels, operations
