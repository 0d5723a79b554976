"""Traces that follow a message, by OpenTelemetry (extra `otel`): its meta carries the context, its handlers have spans.

The context is what the propagator that is configured for the process writes: `traceparent`, `tracestate` and `baggage`,
unless it was told otherwise. See https://www.w3.org/TR/trace-context/ and
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/.
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
_LONGEST = 8192
"""Characters of a part of a context that is read: what a baggage may have, https://www.w3.org/TR/baggage/#limits."""

_logger = logging.getLogger("domainkit.opentelemetry")


def trace_context() -> dict[str, str]:
    """Return the context of the span that is active here, as meta of a message; empty where there is none.

    `Outbox(table, codec, meta=trace_context)` and `bus.with_meta(trace_context())` put it into messages.

    >>> trace_context()
    {}
    """
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def with_trace_context(message: M) -> M:
    """Return the message with the context of the span that is active here in its meta.

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
    """Return a handler that runs in a span of its own, in the trace that the message's meta carries.

    The span is linked to the one that the message comes from, as the conventions ask. That is its parent too, so that
    one trace shows a command and all that came of it, unless another span is active already: one of a web request that
    a bus in memory is called in, or of an instrumented broker. What carries no context, or none that can be read,
    starts a trace.

    The span has the message's id, type, version, kind and correlation, and nothing of its payload. A Failure or an
    exception sets its status to an error, with the class of it and without its text, which may hold secrets.

    >>> from domainkit import DomainEvent
    >>> class TaskCreated(DomainEvent): ...
    >>> @traced
    ... def greet(event: TaskCreated) -> None:
    ...     print("hello")
    >>> greet(TaskCreated())
    hello

    Args:
        handler: a function or coroutine function that handles a message.
        system: which broker the messages come from, as the conventions name it: `rabbitmq`, `kafka`.
        destination: the queue or topic that they come from; without one the span is named by the message's type.
        tracer_provider: where the spans go; that of the process unless given.
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
            return _told(active, handler(message))

    async def run_async(message: M) -> object:
        with span(message) as active:
            return _told(active, await awaited(message))

    awaited: Callable[[M], Any] = handler  # Any: what it returns is an awaitable, if `is_async` says so
    wrapper: Any = run_async if is_async(handler) else run  # Any: what either returns is T then
    named: Callable[[M], T] = named_as(wrapper, handler)
    return named


class TracedMessagePublisher(AsyncMessagePublisher):
    """A publisher around another: each message is published in a span, with how long it took and how it ended.

    The message is handed over as it is, to the byte: the context in its meta is of where it was recorded, and those who
    handle it follow that. So the span is one of kind CLIENT by the conventions, not PRODUCER; it belongs to the trace
    that the message carries as the span of a handler does.

    Args:
        publisher: what publishes.
        system: which broker it publishes to, as the conventions name it: `rabbitmq`, `kafka`.
        destination: the exchange or topic that it publishes to; without one the span is named by the message's type.
        tracer_provider: where the spans go; that of the process unless given.
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
        """Publish a message by the other publisher, and return what that returns."""
        attributes = _attributes("send", str(message.id), message.info, self._destination)
        attributes |= {"messaging.system": self._system, "messaging.message.body.size": len(message.body)}
        name = f"send {self._destination or message.info.name}"
        with _span(self._tracer, SpanKind.CLIENT, name, _meta_of(message.body), attributes) as active:
            return _told(active, await self._publisher.publish(message))

    async def close(self) -> None:
        """Close the other publisher."""
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
    """Make a span the active one for the `with` block; what it raises is told by its class."""
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
    """Return the context that meta carries, on top of the one here, without what is too long or can't be read."""
    carrier = {key: value for key, value in meta.items() if isinstance(value, str) and len(value) <= _LONGEST}
    try:
        return propagate.extract(carrier, here)
    except Exception as error:  # of a propagator that somebody wrote: a header that it can't read stops no message
        _logger.warning("the trace context of a message can't be read: %s", type(error).__qualname__)
        return here


def _told(span: Span, outcome: T) -> T:
    """Return the outcome; a Failure marks the span."""
    if isinstance(outcome, Failure):
        _failed(span, outcome.failure())
    return outcome


def _failed(span: Span, error: object) -> None:
    kind = type(error)
    span.set_attribute("error.type", f"{kind.__module__}.{kind.__qualname__}")
    span.set_status(StatusCode.ERROR)  # without a description: the text of an error may hold secrets


class _Data(msgspec.Struct):
    meta: dict[str, object] = msgspec.field(default_factory=dict)


class _Envelope(msgspec.Struct):
    data: _Data


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def _meta_of(body: bytes) -> Mapping[str, object]:
    try:
        return _ENVELOPE.decode(body).data.meta
    except (msgspec.MsgspecError, ValueError, RecursionError):  # of another codec, or no envelope: nothing to follow
        return {}
