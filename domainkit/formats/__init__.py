"""Other views of the same messages: JSON Schema, AsyncAPI documents and CloudEvents. They need no extra."""

from domainkit.formats.asyncapi import AsyncApiDocument, asyncapi_document
from domainkit.formats.cloudevents import CloudEventCodec
from domainkit.formats.json_schema import JsonSchema, codec_schema, message_schema

__all__ = ["AsyncApiDocument", "CloudEventCodec", "JsonSchema", "asyncapi_document", "codec_schema", "message_schema"]
