"""Wrong code around converters and the codec: a type checker refuses each line marked `# wrong`, and no other."""

from board import Task, TaskCreated, Title
from returns.result import Result

from domainkit import (
    Attributes,
    Downcaster,
    InvalidMessage,
    Limits,
    Message,
    MessageCodec,
    Tagged,
    Upcaster,
    configure_converter,
    make_converter,
)


def add_title(attributes: Attributes) -> Attributes:
    return {**attributes, "title": "untitled"}


def rename(event: TaskCreated) -> TaskCreated:
    return event


make_converter(False)  # wrong: options are keyword-only
make_converter(unwrap="no")  # wrong: unknown option
configure_converter()  # wrong: the converter is missing
configure_converter(make_converter)  # wrong: a function is no converter
Title.serializer(5)  # wrong: the name of a field

MessageCodec(Task)  # wrong: an aggregate is no message
MessageCodec(Title)  # wrong: a value object is no message
MessageCodec([TaskCreated])  # wrong: classes are passed one by one
MessageCodec("task.created")  # wrong: a name is no class
codec = MessageCodec(TaskCreated)
codec.encode(Title("Buy milk"))  # wrong: no message
codec.encode(TaskCreated)  # wrong: a class is no message
codec.decode(5)  # wrong: neither bytes nor text
codec.decode_many([5])  # wrong: neither bytes nor text
codec.decode_many([b"{}"])[0].header  # wrong: it may be an InvalidMessage
MessageCodec.of(TaskCreated).decode_many([b"{}"])[0].unwrap()  # wrong: there is no Result around each
message: Message = codec.decode(b"{}")  # wrong: it is a Result
created: Result[TaskCreated, InvalidMessage] = codec.decode(b"{}")  # wrong: a message of any class
text: str = codec.encode(TaskCreated.from_json("{}"))  # wrong: bytes
Upcaster(TaskCreated, 1, rename)  # wrong: it changes attributes, not messages
Upcaster(TaskCreated, "1", add_title)  # wrong: an int
Upcaster(Task, 1, add_title)  # wrong: an aggregate is no message
Downcaster(TaskCreated, 2, rename)  # wrong: it changes attributes, not messages
Downcaster(Task, 2, add_title)  # wrong: an aggregate is no message
MessageCodec(TaskCreated, downcasters=[Upcaster(TaskCreated, 1, add_title)])  # wrong: the other way
codec.encode_as(TaskCreated.from_json("{}"), "1")  # wrong: an int
codec.versions(Title)  # wrong: a value object is no message
MessageCodec(TaskCreated, upcasters=[add_title])  # wrong: a bare function is no upcaster
Limits(max_bytes="1 MB")  # wrong: an int
Tagged("kind", card="Card")  # wrong: a name is no class


def add_untitled(attributes: Attributes) -> Attributes:
    attributes["title"] = "untitled"  # wrong: read-only
    return attributes
