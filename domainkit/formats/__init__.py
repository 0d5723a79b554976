"""Other formats for the same messages: JSON Schema, AsyncAPI, CloudEvents and an event map. They need no extra."""

from domainkit.formats.asyncapi import AsyncApiDocument, asyncapi_document
from domainkit.formats.cloudevents import CloudEventCodec
from domainkit.formats.event_map import EventMap, event_map
from domainkit.formats.json_schema import JsonSchema, codec_schema, message_schema

__all__ = [
    "AsyncApiDocument",
    "CloudEventCodec",
    "EventMap",
    "JsonSchema",
    "asyncapi_document",
    "codec_schema",
    "event_map",
    "message_schema",
]
