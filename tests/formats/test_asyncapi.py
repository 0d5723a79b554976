"""AsyncAPI documents: what they say, checked against the official JSON Schema of AsyncAPI 3.0.0."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from every_kind import EveryKind, Maker, OrderId, Plain, Title
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from domainkit import Command, DomainEvent, InvalidMessage, Message, MessageCodec, MessageInfo, UnknownMessage
from domainkit.formats import asyncapi_document

Json = Any  # what a document holds: the tests index into it

OFFICIAL: Json = json.loads((Path(__file__).parent / "asyncapi-3.0.0" / "schema.json").read_text(encoding="utf-8"))


def checked(document: Json) -> Json:
    """Return the document, once the official schema admits it, and every reference in it leads somewhere."""
    Draft7Validator(OFFICIAL, format_checker=Draft7Validator.FORMAT_CHECKER).validate(document)
    for pointer in references(document):
        found = document
        for key in pointer.removeprefix("#/").split("/"):
            found = found[key]
    return document


def references(found: Json) -> list[str]:
    """Return all `$ref` in the document."""
    if isinstance(found, dict):
        own = [found["$ref"]] if isinstance(found.get("$ref"), str) else []
        return own + [one for value in found.values() for one in references(value)]
    return [one for item in found for one in references(item)] if isinstance(found, list) else []


def test_the_official_schema_refuses_what_is_no_document() -> None:
    """The check can fail: a document without its title, or with a channel that is none, is refused."""
    for key, wrong in (("info", {}), ("channels", {"a": 1}), ("asyncapi", "2.6.0")):
        document = asyncapi_document(CODEC, title="Tasks", version="1")
        with pytest.raises(ValidationError):
            checked({**document, key: wrong})


UNTITLED = Title("a")


@frozen
class TaskCreated(DomainEvent):
    """A task was written down.

    It is not begun yet.
    """

    title: Title = UNTITLED
    pair: tuple[int, Title] = (1, Title("b"))


class TaskDone(DomainEvent): ...


@frozen
class CreateTask(Command):
    title: Title
    order_id: OrderId | None = None


CODEC = MessageCodec(TaskCreated, TaskDone, CreateTask)


def test_a_document_holds_channels_operations_and_messages() -> None:
    """Events are sent and commands received, each on the channel of its name, with its schema as payload."""
    document = checked(asyncapi_document(CODEC, title="Tasks", version="1.2.0"))

    assert ("3.0.0", {"title": "Tasks", "version": "1.2.0"}) == (document["asyncapi"], document["info"])
    assert "application/json" == document["defaultContentType"]
    assert {"address": "create.task", "messages": {"CreateTask": {"$ref": "#/components/messages/CreateTask"}}} == (
        document["channels"]["create.task"]
    )
    assert {
        "action": "receive",
        "channel": {"$ref": "#/channels/create.task"},
        "messages": [{"$ref": "#/channels/create.task/messages/CreateTask"}],
    } == document["operations"]["receive.create.task"]
    assert ["send.task.created", "send.task.done", "receive.create.task"] == list(document["operations"])
    assert {
        "name": "task.created",
        "title": "TaskCreated",
        "summary": "A task was written down.",
        "contentType": "application/json",
        "payload": {"$ref": "#/components/schemas/TaskCreated"},
    } == document["components"]["messages"]["TaskCreated"]
    assert "headers" not in document["components"]["messages"]["TaskCreated"]


def test_every_kind_of_field_makes_a_valid_document() -> None:
    """The official schema admits the document of messages with every kind of field, with examples."""
    codec = MessageCodec(EveryKind, Plain)
    examples: list[Message] = [Maker(1).message(), Maker(2).message(), Plain("a")]
    document = checked(asyncapi_document(codec, title="All", version="1", examples=examples))

    shown = document["components"]["messages"]["EveryKind"]["examples"]
    assert [json.loads(codec.encode(example)) for example in examples[:2]] == [one["payload"] for one in shown]


def test_payloads_are_schemas_of_draft_07() -> None:
    """AsyncAPI's own dialect reads draft-07: an encoded message fits the payload's schema, a distorted one doesn't."""
    codec = MessageCodec(EveryKind)
    document: Json = asyncapi_document(codec, title="All", version="1")
    for payload in document["components"]["schemas"].values():
        Draft7Validator.check_schema(payload)
    schema = {**document, "$ref": "#/components/schemas/EveryKind"}
    validator = Draft7Validator(schema, format_checker=Draft7Validator.FORMAT_CHECKER)
    maker = Maker(3)
    for _ in range(50):
        wire: Json = json.loads(codec.encode(maker.message()))
        validator.validate(wire)
        wire["data"]["attributes"]["fixed"].append(1)
        with pytest.raises(ValidationError):
            validator.validate(wire)


def test_nothing_stands_beside_a_reference() -> None:
    """In draft-07 what stands beside `$ref` is ignored: it is wrapped in `allOf`, so that it holds."""
    document = checked(asyncapi_document(CODEC, title="Tasks", version="1"))

    schemas = document["components"]["schemas"]
    data = schemas["TaskCreated"]["properties"]["data"]["properties"]["attributes"]
    assert {"allOf": [{"$ref": "#/components/schemas/Title"}], "default": "a"} == data["properties"]["title"]
    assert {
        "type": "array",
        "items": [{"type": "integer"}, {"$ref": "#/components/schemas/Title"}],
        "additionalItems": False,
        "minItems": 2,
        "maxItems": 2,
        "default": [1, "b"],
    } == data["properties"]["pair"]


def test_the_version_of_asyncapi_can_be_chosen() -> None:
    """A document of 3.1.0 differs in its version alone; another version is refused."""
    older, newer = (
        asyncapi_document(CODEC, title="Tasks", version="1", specification=one) for one in ("3.0.0", "3.1.0")
    )
    assert {**older, "asyncapi": "3.1.0"} == newer
    wrong: Any = "2.6.0"
    with pytest.raises(ValueError, match=r"'3\.0\.0' or '3\.1\.0'"):
        asyncapi_document(CODEC, title="Tasks", version="1", specification=wrong)


def test_an_address_may_be_shared() -> None:
    """Messages that go to one address share its channel, and have an operation there for each direction."""

    def topic(info: MessageInfo) -> str:
        return "acme/tasks" if "task" in info.name else "others"

    document = checked(asyncapi_document(CODEC, title="Tasks", version="1", address=topic))

    assert {"acme_tasks": "acme/tasks"} == {key: channel["address"] for key, channel in document["channels"].items()}
    assert {"TaskCreated", "TaskDone", "CreateTask"} == document["channels"]["acme_tasks"]["messages"].keys()
    assert {"send.acme_tasks": 2, "receive.acme_tasks": 1} == {
        key: len(operation["messages"]) for key, operation in document["operations"].items()
    }


def test_addresses_that_look_alike_stay_apart() -> None:
    """Two addresses that differ in signs alone are two channels."""
    places = iter(["a/b", "a b", "a_b"])
    document = checked(asyncapi_document(CODEC, title="Tasks", version="1", address=lambda _: next(places)))

    assert {"a_b": "a/b", "a_b_2": "a b", "a_b_3": "a_b"} == {
        key: channel["address"] for key, channel in document["channels"].items()
    }


def test_who_receives_what_can_be_said() -> None:
    """A consumer of events says so: what it doesn't receive it sends."""
    document = checked(asyncapi_document(CODEC, title="Board", version="1", receives=[TaskCreated, TaskDone]))

    assert ["receive.task.created", "receive.task.done", "send.create.task"] == list(document["operations"])


def test_a_class_that_the_codec_lacks_is_refused() -> None:
    """It can't be received, and there is no example of it."""
    with pytest.raises(TypeError, match=r"`receives`: expected classes of the codec, got Plain"):
        asyncapi_document(CODEC, title="Tasks", version="1", receives=[Plain])
    with pytest.raises(UnknownMessage):
        asyncapi_document(CODEC, title="Tasks", version="1", examples=[Plain("a")])


def test_an_example_that_cannot_be_written_is_refused() -> None:
    """An example is a real message: what the encoder refuses is no example."""

    @frozen
    class Weighed(DomainEvent):
        kilos: float

    with pytest.raises(InvalidMessage):
        asyncapi_document(MessageCodec(Weighed), title="Scale", version="1", examples=[Weighed(float("nan"))])


def test_the_same_codec_gives_the_same_document() -> None:
    """A document can be kept under version control: it changes only when the messages do."""
    first = json.dumps(asyncapi_document(CODEC, title="Tasks", version="1"))

    assert first == json.dumps(asyncapi_document(CODEC, title="Tasks", version="1"))
