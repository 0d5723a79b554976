"""Traces that follow messages, with OpenTelemetry (extra `otel`): meta carries the context, handlers run in spans.

The process's propagator writes the context: by default `traceparent`, `tracestate` and `baggage`. See
https://www.w3.org/TR/trace-context/ and https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import msgspec
from returns.result import Failure, Result

from domainkit.delivery import AsyncMessagePublisher, OutgoingMessage
from domainkit.errors import BusCannotPublish
from domainkit.handlers import is_async
from domainkit.messages import M, MessageInfo, correlation_of
from domainkit.results import full_name_of, named_as

try:
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context, attach, detach, get_current
    from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer, TracerProvider
except ImportError as _error:
    from domainkit.adapters import missing_extra

    raise missing_extra(__name__, "otel") from _error

__all__ = ["TracedMessagePublisher", "trace_context", "traced", "with_trace_context"]

T = TypeVar("T")

_SYSTEM = "domainkit"
_MAX_LENGTH = 8192
"""The maximum characters of a part of a context: the limit of a baggage, https://www.w3.org/TR/baggage/#limits."""

_logger = logging.getLogger("domainkit.opentelemetry")


def trace_context() -> dict[str, str]:
    """Return the context of the active span, as meta of a message; empty without an active span.

    `Outbox(table, codec, meta=trace_context)` and `bus.with_meta(trace_context())` put it into messages.

    >>> trace_context()
    {}
    """
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def with_trace_context(message: M) -> M:
    """Return the message with the context of the active span in its meta.

    >>> from domainkit import DomainEvent
    >>> with_trace_context(DomainEvent()).header.meta
    {}
    """
    return message.add_meta(trace_context())


def traced(
    handler: Callable[[M], T],
    *,
    system: str = _SYSTEM,
    destination: str | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Callable[[M], T]:
    """Return a handler that runs in its own span, in the trace that the message's meta carries.

    The span is linked to the one that the message comes from, as the conventions ask. That one is also its parent, so
    that one trace shows a command and all its effects, unless another span is already active: of a web request that
    calls an in-memory bus, or of an instrumented broker. A message without a readable context starts a new trace.

    The span has the message's id, type, version, kind and correlation, and no payload. A Failure or an exception sets
    its status to an error, with the class of the error and without its text, which may contain secrets.

    >>> from domainkit import DomainEvent
    >>> class TaskCreated(DomainEvent): ...
    >>> @traced
    ... def greet(event: TaskCreated) -> None:
    ...     print("hello")
    >>> greet(TaskCreated())
    hello

    Args:
        handler: a function or coroutine function that handles a message.
        system: the broker that the messages come from, as named by the conventions: `rabbitmq`, `kafka`.
        destination: the queue or topic that they come from; without one the span is named by the message's type.
        tracer_provider: gets the spans; by default the process's provider.
    """
    tracer = trace.get_tracer("domainkit", tracer_provider=tracer_provider)
    known = {"messaging.system": system, "code.function.name": full_name_of(handler)}

    def span(message: M) -> AbstractContextManager[Span]:
        header, info = message.header, type(message).info()
        attributes = known | _attributes("process", str(header.id), info, destination)
        correlation = correlation_of(header)
        if correlation is not None:
            attributes["messaging.message.conversation_id"] = correlation
        return _span(tracer, SpanKind.CONSUMER, f"process {destination or info.name}", header.meta, attributes)

    def run(message: M) -> T:
        with span(message) as active:
            return _noted(active, handler(message))

    async def run_async(message: M) -> object:
        with span(message) as active:
            return _noted(active, await awaited(message))

    awaited: Callable[[M], Any] = handler  # Any: it returns an awaitable if `is_async` is true
    wrapper: Any = run_async if is_async(handler) else run  # Any: both then return T
    named: Callable[[M], T] = named_as(wrapper, handler)
    return named


class TracedMessagePublisher(AsyncMessagePublisher):
    """Wraps a publisher, and publishes each message in a span with its duration and outcome.

    The message is not changed: its meta has the context in which it was recorded, and its handlers continue that trace.
    So by the conventions the span is of kind CLIENT, not PRODUCER; it belongs to the message's trace, like the span of
    a handler.

    Args:
        publisher: the publisher to wrap.
        system: the broker that it publishes to, as named by the conventions: `rabbitmq`, `kafka`.
        destination: the exchange or topic that it publishes to; without one the span is named by the message's type.
        tracer_provider: gets the spans; by default the process's provider.
    """

    def __init__(
        self,
        publisher: AsyncMessagePublisher,
        *,
        system: str = _SYSTEM,
        destination: str | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self._publisher = publisher
        self._system = system
        self._destination = destination
        self._tracer = trace.get_tracer("domainkit", tracer_provider=tracer_provider)

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        """Publish a message with the wrapped publisher, and return its result."""
        attributes = _attributes("send", str(message.id), message.info, self._destination)
        attributes |= {"messaging.system": self._system, "messaging.message.body.size": len(message.body)}
        name = f"send {self._destination or message.info.name}"
        with _span(self._tracer, SpanKind.CLIENT, name, _meta_of(message.body), attributes) as active:
            return _noted(active, await self._publisher.publish(message))

    async def close(self) -> None:
        """Close the wrapped publisher."""
        await self._publisher.close()


def _attributes(operation: str, message_id: str, info: MessageInfo, destination: str | None) -> dict[str, str | int]:
    where: dict[str, str | int] = {} if destination is None else {"messaging.destination.name": destination}
    return where | {
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.message.id": message_id,
        "domainkit.message.type": info.name,
        "domainkit.message.version": info.version,
        "domainkit.message.kind": info.kind,
    }


@contextmanager
def _span(
    tracer: Tracer, kind: SpanKind, name: str, meta: Mapping[str, object], attributes: Mapping[str, str | int]
) -> Iterator[Span]:
    """Make a span the active one for the `with` block; an exception sets its error type."""
    here = get_current()
    active = trace.get_current_span(here)
    carried = _carried(meta, here)
    origin = trace.get_current_span(carried)  # the active one, if the meta carries none
    parent = trace.set_span_in_context(active, carried) if active.get_span_context().is_valid else carried
    links = [] if origin is active else [Link(origin.get_span_context())]
    span = tracer.start_span(name, parent, kind, attributes, links)
    token = attach(trace.set_span_in_context(span, parent))
    try:
        yield span
    except BaseException as error:
        _failed(span, error)
        raise
    finally:
        detach(token)
        span.end()


def _carried(meta: Mapping[str, object], here: Context) -> Context:
    """Return the context in meta, merged into the current one; parts that are too long or unreadable are ignored."""
    carrier = {key: value for key, value in meta.items() if isinstance(value, str) and len(value) <= _MAX_LENGTH}
    try:
        return propagate.extract(carrier, here)
    except Exception as error:  # of a propagator: a header that it can't read must not stop a message
        _logger.warning("the trace context of a message can't be read: %s", type(error).__qualname__)
        return here


def _noted(span: Span, outcome: T) -> T:
    """Return the outcome; a Failure sets the span's error."""
    if isinstance(outcome, Failure):
        _failed(span, outcome.failure())
    return outcome


def _failed(span: Span, error: object) -> None:
    kind = type(error)
    span.set_attribute("error.type", f"{kind.__module__}.{kind.__qualname__}")
    span.set_status(StatusCode.ERROR)  # without a description: the text of an error may contain secrets


class _Data(msgspec.Struct):
    meta: dict[str, object] = msgspec.field(default_factory=dict)


class _Envelope(msgspec.Struct):
    data: _Data


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def _meta_of(body: bytes) -> Mapping[str, object]:
    try:
        return _ENVELOPE.decode(body).data.meta
    except (msgspec.MsgspecError, ValueError, RecursionError):  # of another codec, or not an envelope: no context
        return {}
