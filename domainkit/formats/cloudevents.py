"""CloudEvents 1.0 in structured JSON, encoded and decoded with a MessageCodec.

Sources: the specification (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md) and its JSON event
format (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md).
"""

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Final

import msgspec
from attrs import Attribute, field, frozen
from returns.result import Failure, Result

from domainkit.codec import MessageCodec
from domainkit.conversion.envelope import cut_to_microseconds, refusal
from domainkit.conversion.limits import checked, parsed
from domainkit.conversion.nodes import MISSING, Problems
from domainkit.conversion.scalars import DATETIME, SCALARS
from domainkit.errors import InvalidMessage, Problem
from domainkit.messages import JsonValue, Message, MessageInfo

_VERSION: Final = "1.0"
_ATTRIBUTES: Final = MappingProxyType({
    "id": "id", "type": "type", "messagekind": "type_message", "messageversion": "version", "time": "occurred_on",
    "messagemeta": "meta", "data": "attributes",
})  # fmt: skip  # one table
"""The names of the envelope's parts, by their names in a CloudEvent."""
_PATHS: Final = MappingProxyType({ours: theirs for theirs, ours in _ATTRIBUTES.items()})
_TIMESTAMP: Final = "a timestamp with an offset (RFC 3339), such as 2021-12-28T14:11:47.845618Z"

_NONCHARACTERS = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_TEXT = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]+")
"""The valid values of an attribute of type String; an empty one is not valid."""
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_URI = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:{_URI_REFERENCE.pattern}")
_JSON_TYPE = re.compile(r"[^/;\s]+/(?:[^/;\s]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,9}")
_LARGEST_INTEGER: Final = 2**31 - 1
_CONTEXT: Final = MappingProxyType({
    "specversion": (re.compile(r"1\.0"), _VERSION),
    "source": (_URI_REFERENCE, "a URI reference (RFC 3986)"),
    "datacontenttype": (_JSON_TYPE, "a media type of JSON"),
})  # fmt: skip  # one table
"""The attributes without a counterpart in a message: a pattern for each, and its description for errors."""


_ENVELOPES: Final = msgspec.json.Decoder(dict[str, dict[str, msgspec.Raw]])
"""Splits the codec's output into its parts; most of them stay encoded."""


def _check_source(_: object, __: "Attribute[str]", source: str) -> None:
    if not isinstance(source, str) or not _URI_REFERENCE.fullmatch(source):
        raise ValueError(
            "CloudEventCodec.source: expected a non-empty URI reference (RFC 3986), such as '/tasks' or "
            "'https://example.org/tasks'"
        )


def _check_codec(_: object, __: "Attribute[MessageCodec]", codec: MessageCodec) -> None:
    for cls, wire in codec.wires.items():
        if wire.info.version > _LARGEST_INTEGER:
            raise ValueError(
                f"{cls.__qualname__}.Config.version: expected at most {_LARGEST_INTEGER} for a CloudEvent, "
                "got a larger version; lower it"
            )
        if not _TEXT.fullmatch(wire.info.name):
            raise ValueError(
                f"{cls.__qualname__}.Config.name: expected text without control characters for a CloudEvent, "
                "got a name with one; change it"
            )


@frozen
class CloudEventCodec:
    """Encodes messages as CloudEvents and decodes them, for the classes of a MessageCodec.

    `type` is the name of the message, `time` its `occurred_on`, `data` its attributes. The rest goes into extension
    attributes: `messagekind`, `messageversion` and, if there is any, the meta as JSON text in `messagemeta`. A decoded
    message equals the encoded one; upcasters, converters and limits of the codec apply.

    >>> from attrs import frozen
    >>> from domainkit import DomainEvent
    >>> from returns.result import Success
    >>> @frozen
    ... class TaskCreated(DomainEvent):
    ...     title: str
    >>> events = CloudEventCodec(MessageCodec(TaskCreated), "/tasks")
    >>> event = TaskCreated("Buy milk")
    >>> cloud_event = events.encode_dict(event)
    >>> cloud_event["type"], cloud_event["messageversion"], cloud_event["data"]
    ('task.created', 1, {'title': 'Buy milk'})
    >>> events.decode(events.encode(event)) == Success(event)
    True
    >>> print(events.decode(b'{"specversion": "1.0", "source": "/tasks", "time": "now"}').failure().problems[0])
    $.time: expected a timestamp with an offset (RFC 3339), such as 2021-12-28T14:11:47.845618Z (value)

    Args:
        codec: encodes and decodes the attributes; only messages of its classes can be read.
        source: the sender, as a URI reference, the same for all messages. `source` and `id` together are unique.
        subject: returns the `subject` of a message, or None for no subject.
        dataschema: returns the absolute URI of the schema of `data`, or None. For a schema made by `message_schema`,
            the URI ends in `#/properties/data/properties/attributes`.

    Raises:
        ValueError: `source` is not a URI reference, or a class of the codec has a name or a version that a CloudEvent
            can't carry.
    """

    content_type: ClassVar[str] = "application/cloudevents+json; charset=UTF-8"
    """The media type of encoded events, for HTTP and for brokers."""

    codec: MessageCodec = field(validator=_check_codec)
    source: str = field(validator=_check_source)
    subject: Callable[[Message], str | None] | None = field(default=None, kw_only=True)
    dataschema: Callable[[MessageInfo], str | None] | None = field(default=None, kw_only=True)

    def encode(self, message: Message) -> bytes:
        """Return the CloudEvent of a message, as JSON in UTF-8.

        Raises:
            UnknownMessage: the codec wasn't given the class of the message.
            InvalidMessage: a field has a value that could not be read back, or `subject` or `dataschema` returned a
                value that a CloudEvent can't carry. The problems have the paths.
        """
        data = _ENVELOPES.decode(self.codec.encode(message))["data"]
        time, meta = msgspec.json.decode(data["occurred_on"], type=str), msgspec.json.decode(data["meta"])
        subject = None if self.subject is None else self.subject(message)
        dataschema = None if self.dataschema is None else self.dataschema(message.info())
        event = {
            "specversion": _VERSION,
            "id": data["id"],
            "source": self.source,
            "type": data["type"],
            "time": f"{time.replace(' ', 'T')}Z",
            "subject": _checked("subject", subject, _TEXT, "text without control characters"),
            "datacontenttype": "application/json",
            "dataschema": _checked("dataschema", dataschema, _URI, "an absolute URI (RFC 3986)"),
            "messagekind": data["type_message"],
            "messageversion": data["version"],
            "messagemeta": json.dumps(meta, separators=(",", ":")) if meta else None,
            "data": data["attributes"],
        }
        return msgspec.json.encode({name: value for name, value in event.items() if value is not None})

    def encode_dict(self, message: Message) -> dict[str, JsonValue]:
        """Return the CloudEvent of a message as JSON values of builtin types; it raises the errors of `encode`."""
        made: dict[str, JsonValue] = msgspec.json.decode(self.encode(message))
        return made

    def decode(self, raw: bytes | str) -> Result[Message, InvalidMessage]:
        """Return a Success with the message, or a Failure that lists the problems; it never raises.

        A `time` with more than six digits of a second is cut to microseconds. The data may also be JSON in
        `data_base64`. Unknown attributes are ignored. The paths of problems are those of the CloudEvent: `$.time`,
        `$.data.title`.
        """
        problems = Problems(self.codec.limits.max_problems)
        data = checked(raw, self.codec.limits, problems)
        found = MISSING if data is None else parsed(data, problems)
        return self._read(found, problems, lambda envelope: self.codec.decode(msgspec.json.encode(envelope)))

    def decode_dict(self, event: Mapping[str, object]) -> Result[Message, InvalidMessage]:
        """Decode a CloudEvent that is a mapping already, like `decode`."""
        return self._read(event, Problems(self.codec.limits.max_problems), self.codec.decode_dict)

    def _read(
        self,
        found: object,
        problems: Problems,
        decode: Callable[[Mapping[str, object]], Result[Message, InvalidMessage]],
    ) -> Result[Message, InvalidMessage]:
        if not isinstance(found, Mapping):
            if found is not MISSING:
                problems.add("$", "an object", "type")
            return Failure(refusal(problems))
        event = {name: value for name, value in found.items() if value is not None}  # null means absent (JSON, 2.2)
        _check_context(event, problems)
        self._read_texts(event, problems)
        if "data_base64" in event:
            event["data"] = self._from_base64(event, problems)
            if event["data"] is MISSING:
                return Failure(refusal(problems))
        read = decode({"data": {ours: event[theirs] for theirs, ours in _ATTRIBUTES.items() if theirs in event}})
        if isinstance(read, Failure):
            for problem in read.failure().problems:
                problems.add(*_translated(problem))
            return Failure(type(read.failure())(problems=tuple(problems)))
        return Failure(refusal(problems)) if problems else read

    def _read_texts(self, event: dict[object, object], problems: Problems) -> None:
        """Parse the attributes that are text in a CloudEvent; one with a problem gets a harmless valid value."""
        if isinstance(event.get("time"), str):
            event["time"] = cut_to_microseconds(str(event["time"]))  # other languages write nanoseconds
        if "time" in event and DATETIME.read(event["time"], "$.time", Problems()) is MISSING:
            problems.add("$.time", _TIMESTAMP, "value" if isinstance(event["time"], str) else "type")
            event["time"] = "1970-01-01T00:00:00Z"
        version = event.get("messageversion")
        if isinstance(version, str) and _INTEGER.fullmatch(version):  # HTTP and Kafka headers turn it into text
            event["messageversion"] = int(version)
        if "messagemeta" in event:
            meta = self._json_text(event["messagemeta"], "$.messagemeta", problems)
            event["messagemeta"] = {} if meta is MISSING else meta

    def _from_base64(self, event: Mapping[object, object], problems: Problems) -> object:
        """Return the JSON in `data_base64`."""
        path = "$.data_base64"
        if "data" in event:
            return problems.add(path, "either data or data_base64", "duplicate")
        raw = SCALARS[bytes].read(event["data_base64"], path, problems)
        return raw if raw is MISSING else self._json_text(raw, path, problems)

    def _json_text(self, text: object, path: str, problems: Problems) -> object:
        found = Problems(self.codec.limits.max_problems)
        data = checked(text, self.codec.limits, found)
        made = MISSING if data is None else parsed(data, found)
        for problem in found:
            problems.add(path, problem.expected, problem.code)
        return made


def _checked(name: str, value: str | None, pattern: re.Pattern[str], expected: str) -> str | None:
    if value is None or (isinstance(value, str) and pattern.fullmatch(value)):
        return value
    raise InvalidMessage(problems=(Problem(f"$.{name}", f"{expected}, not empty", "value"),))


def _check_context(event: Mapping[object, object], problems: Problems) -> None:
    """Note the problems of the attributes without a counterpart in a message."""
    context = {"datacontenttype": "application/json", **event}
    for name, (pattern, words) in _CONTEXT.items():
        value = context.get(name, MISSING)
        if not isinstance(value, str):
            problems.add(f"$.{name}", words, "missing" if value is MISSING else "type")
        elif not pattern.fullmatch(value):
            problems.add(f"$.{name}", words, "value")


def _translated(problem: Problem) -> tuple[str, str, str]:
    """Return a problem of the envelope with the path and terms of the CloudEvent."""
    _, _, rest = problem.path.partition("$.data.")
    key = re.split(r"[.\[]", rest)[0]
    path = f"$.{_PATHS[key]}{rest[len(key) :]}" if key in _PATHS else "$"
    return path, _TIMESTAMP if path == "$.time" else problem.expected, problem.code
