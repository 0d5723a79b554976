"""Traces that follow a message: context in its meta, spans of its handlers and publishers, by the real SDK."""

import asyncio
import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from inspect import iscoroutinefunction

import pytest
from attrs import frozen
from hidden import HUSH, Key, KeyRefused, KeySent, shows
from returns.result import Failure, Result, Success

from domainkit import (
    AsyncInmemoryDomainEventBus,
    AsyncInmemoryMessagePublisher,
    AsyncMessagePublisher,
    BusCannotPublish,
    Command,
    DomainError,
    DomainEvent,
    InmemoryCommandBus,
    InmemoryDomainEventBus,
    JsonValue,
    MessageCodec,
    MessageRefused,
    OutgoingMessage,
)

pytest.importorskip("opentelemetry.sdk", reason="needs the extra `otel`, and the SDK of OpenTelemetry")

from opentelemetry import baggage, propagate
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, Tracer

from domainkit.adapters.opentelemetry import (
    TracedMessagePublisher,
    trace_context,
    traced,
    with_trace_context,
)

SECRET = "hunter2"


@frozen
class TaskCreated(DomainEvent):
    title: str = SECRET

    class Config:
        version = 3


@frozen
class CreateTask(Command[str, DomainError]):
    title: str = SECRET


class DuplicateTask(DomainError): ...


class Exporter:
    """A provider of its own, and the spans that ended."""

    def __init__(self) -> None:
        self._memory = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._memory))
        self.tracer: Tracer = self.provider.get_tracer("tests")

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._memory.get_finished_spans()

    def only(self, prefix: str) -> ReadableSpan:
        """Return the one span whose name begins like that."""
        (span,) = (span for span in self.spans if span.name.startswith(prefix))
        return span


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """Return a provider whose spans stay in memory."""
    made = Exporter()
    yield made
    made.provider.shutdown()


def greet(event: TaskCreated) -> None:
    """Do nothing."""


def ids(span: ReadableSpan | SpanContext | None) -> tuple[int, int]:
    """Return which trace and span it is; the context of one that came over the wire says that it did, too."""
    context = span.context if isinstance(span, ReadableSpan) else span
    return (context.trace_id, context.span_id) if context is not None else (0, 0)


def linked(span: ReadableSpan) -> list[tuple[int, int]]:
    """Return which spans a span is linked to."""
    return [ids(link.context) for link in span.links]


def test_the_context_of_the_active_span(exporter: Exporter) -> None:
    """The context of the active span is what the propagator writes, baggage too; there is none without a span."""
    assert {} == trace_context()
    with exporter.tracer.start_as_current_span("request") as span:
        token = attach(baggage.set_baggage("tenant", "home"))
        found = trace_context()
        detach(token)
    context = span.get_span_context()
    assert f"00-{context.trace_id:032x}-{context.span_id:016x}" == found["traceparent"][:52]
    assert "tenant=home" == found["baggage"]


def test_a_message_carries_the_context(exporter: Exporter) -> None:
    """The context is merged into the message's meta, and survives the wire."""
    with exporter.tracer.start_as_current_span("request"):
        event = with_trace_context(TaskCreated().add_meta({"tenant": "home"}))
        expected = trace_context()
    read = TaskCreated.from_json(event.json())
    assert {"tenant": "home", **expected} == dict(read.header.meta)
    assert "tenant" in with_trace_context(read).header.meta


def test_a_handler_runs_in_the_trace_of_its_message(exporter: Exporter) -> None:
    """The span of a handler is a CONSUMER, child of the span whose context the message carries, and linked to it."""
    with exporter.tracer.start_as_current_span("request"):
        event = with_trace_context(TaskCreated())
    traced(greet, tracer_provider=exporter.provider)(event)
    request, span = exporter.only("request"), exporter.only("process")
    assert SpanKind.CONSUMER is span.kind
    assert ids(request) == ids(span.parent)
    assert [ids(request)] == linked(span)
    assert ids(request)[0] == ids(span)[0]


def test_an_active_span_stays_the_parent(exporter: Exporter) -> None:
    """If a span is active already it is the parent; the message's is linked, in whatever trace that is."""
    with exporter.tracer.start_as_current_span("request"):
        event = with_trace_context(TaskCreated())
    with exporter.tracer.start_as_current_span("poll"):
        traced(greet, tracer_provider=exporter.provider)(event)
    span = exporter.only("process")
    assert ids(exporter.only("poll")) == ids(span.parent)
    assert [ids(exporter.only("request"))] == linked(span)


def test_without_a_context_a_trace_begins(exporter: Exporter) -> None:
    """A message that carries no context is handled in a trace of its own, or in the span that is active."""
    handler = traced(greet, tracer_provider=exporter.provider)
    handler(TaskCreated())
    span = exporter.only("process")
    assert (None, []) == (span.parent, linked(span))
    with exporter.tracer.start_as_current_span("poll"):
        handler(TaskCreated())
    span = exporter.spans[1]
    assert (ids(exporter.only("poll")), []) == (ids(span.parent), linked(span))


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "00",
        "00-zz-00-01",
        "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + "a" * 32 + "-" + "b" * 16 + "-01",
        SECRET,
        None,
        5,
        True,
        ["00-" + "a" * 32 + "-" + "b" * 16 + "-01"],
        {"traceparent": "x"},
    ],
)
def test_a_context_that_is_no_context_stops_nothing(exporter: Exporter, traceparent: JsonValue) -> None:
    """A malformed context in meta, of whatever type, is left out: the handler is called, in a trace of its own."""
    called: list[TaskCreated] = []
    event = TaskCreated().add_meta({"traceparent": traceparent, "tracestate": traceparent, "baggage": traceparent})
    traced(called.append, tracer_provider=exporter.provider)(event)
    span = exporter.only("process")
    assert [event] == called
    assert (None, []) == (span.parent, linked(span))


def test_a_propagator_that_fails_stops_nothing(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A propagator that raises is logged by the class of what it raised, and the handler is called."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr(propagate.get_global_textmap(), "extract", fail)
    called: list[TaskCreated] = []
    with caplog.at_level(logging.DEBUG):
        traced(called.append, tracer_provider=exporter.provider)(TaskCreated())
    assert 1 == len(called)
    assert "the trace context of a message can't be read: ValueError" in caplog.text
    assert SECRET not in caplog.text


def test_baggage_and_context_inside_of_the_handler(exporter: Exporter) -> None:
    """The handler sees the message's baggage, and the context of messages made there is the handler's span."""
    seen: list[tuple[object, dict[str, str]]] = []

    def look(event: TaskCreated) -> None:
        seen.append((baggage.get_baggage("tenant"), trace_context()))

    traced(look, tracer_provider=exporter.provider)(TaskCreated().add_meta({"baggage": "tenant=home"}))
    with exporter.tracer.start_as_current_span("poll"):
        traced(look, tracer_provider=exporter.provider)(TaskCreated().add_meta({"baggage": "tenant=work"}))
    assert ["home", "work"] == [tenant for tenant, _ in seen]
    processed = [span for span in exporter.spans if span.name.startswith("process")]
    assert [f"{ids(span)[1]:016x}" for span in processed] == [
        context["traceparent"].split("-")[2] for _, context in seen
    ]
    assert {} == trace_context()


def test_the_attributes_of_a_handler(exporter: Exporter) -> None:
    """A span has ids, type and place by the conventions, and nothing of the payload."""
    cause = CreateTask()
    event = TaskCreated().caused_by(cause)
    traced(greet, tracer_provider=exporter.provider)(event)
    traced(partial(greet), tracer_provider=exporter.provider, system="rabbitmq", destination="mailing.greeter")(event)
    plain, placed = exporter.spans
    assert ("process task.created", "process mailing.greeter") == (plain.name, placed.name)
    assert {
        "messaging.system": "domainkit",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": str(event.header.id),
        "messaging.message.conversation_id": str(cause.header.id),
        "code.function.name": f"{__name__}.greet",
        "domainkit.message.type": "task.created",
        "domainkit.message.version": 3,
        "domainkit.message.kind": "domain_event",
    } == dict(plain.attributes or {})
    more = {"messaging.system": "rabbitmq", "messaging.destination.name": "mailing.greeter"}
    assert dict(plain.attributes or {}) | more == dict(placed.attributes or {})


def test_a_long_baggage_is_left_out(exporter: Exporter) -> None:
    """A part of the context over 8192 characters is not read; the others are."""
    seen: list[object] = []

    def look(event: TaskCreated) -> None:
        seen.append((dict(baggage.get_all()), trace_context()["traceparent"].split("-")[1]))

    context = {"baggage": "tenant=home" + " " * 8182, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    traced(look, tracer_provider=exporter.provider)(TaskCreated().add_meta(context))
    assert [({}, "a" * 32)] == seen


def test_a_correlation_that_is_no_text(exporter: Exporter) -> None:
    """A correlation id of another type isn't shown."""
    traced(greet, tracer_provider=exporter.provider)(TaskCreated().add_meta({"correlation_id": 5}))
    assert "messaging.message.conversation_id" not in (exporter.only("process").attributes or {})


def test_a_success_leaves_the_status(exporter: Exporter) -> None:
    """A Success, or nothing, comes out as it is, and leaves the status unset, as the conventions ask."""

    def create(command: CreateTask) -> Result[str, DuplicateTask]:
        return Success("done")

    assert Success("done") == traced(create, tracer_provider=exporter.provider)(CreateTask())
    assert StatusCode.UNSET is exporter.only("process").status.status_code


def assert_failed(span: ReadableSpan, kind: type) -> None:
    """Assert that the span says which class of error it was, and nothing of its text."""
    assert (StatusCode.ERROR, None) == (span.status.status_code, span.status.description)
    assert f"{kind.__module__}.{kind.__qualname__}" == (span.attributes or {})["error.type"]
    assert SECRET not in span.to_json()
    assert () == tuple(span.events)


def test_a_failure_is_told_by_its_class(exporter: Exporter) -> None:
    """A Failure comes out as it is, and is an error of its class in the span, without its text."""
    answer: Result[str, DuplicateTask] = Failure(DuplicateTask(additional_info={"message": SECRET}))

    def create(command: CreateTask) -> Result[str, DuplicateTask]:
        return answer

    assert answer is traced(create, tracer_provider=exporter.provider)(CreateTask())
    assert_failed(exporter.only("process"), DuplicateTask)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_exception_is_told_by_its_class(exporter: Exporter, kind: type[BaseException]) -> None:
    """An exception is raised as it is, and is an error of its class in the span, without its text."""

    def crash(event: TaskCreated) -> None:
        raise kind(SECRET)

    with pytest.raises(kind, match=SECRET):
        traced(crash, tracer_provider=exporter.provider)(TaskCreated())
    assert_failed(exporter.only("process"), kind)
    assert {} == trace_context()


async def test_coroutine_functions(exporter: Exporter) -> None:
    """A coroutine function stays one; its span lasts until it has ended, and knows how."""
    seen: list[dict[str, str]] = []

    async def create(command: CreateTask) -> Result[str, DuplicateTask]:
        await asyncio.sleep(0)
        seen.append(trace_context())
        return Failure(DuplicateTask(additional_info={"message": SECRET}))

    handler = traced(create, tracer_provider=exporter.provider)
    assert iscoroutinefunction(handler)
    assert isinstance(await handler(CreateTask()), Failure)
    span = exporter.only("process")
    assert_failed(span, DuplicateTask)
    assert [f"{ids(span)[1]:016x}"] == [context["traceparent"].split("-")[2] for context in seen]


async def test_handlers_at_the_same_time_keep_their_traces(exporter: Exporter) -> None:
    """Tasks that run at the same time have spans of their own, each in the trace of its message."""

    async def wait(event: TaskCreated) -> None:
        await asyncio.sleep(0.01)

    events = []
    for number in range(3):
        with exporter.tracer.start_as_current_span(f"request {number}"):
            events.append(with_trace_context(TaskCreated()))
    await asyncio.gather(*map(traced(wait, tracer_provider=exporter.provider), events))
    requests = {ids(span) for span in exporter.spans if span.name.startswith("request")}
    assert requests == {ids(span.parent) for span in exporter.spans if span.name.startswith("process")}


def test_with_buses(exporter: Exporter) -> None:
    """The function that `traced` returns is bound by handled_by, called as the handler, and a chain is one trace."""
    events = InmemoryDomainEventBus(TaskCreated.handled_by(traced(greet, tracer_provider=exporter.provider)))

    def create(command: CreateTask) -> Result[str, DomainError]:
        events.publish(with_trace_context(TaskCreated()))
        return Success("done")

    handler = traced(create, tracer_provider=exporter.provider)
    assert create.__qualname__ == handler.__qualname__
    assert create.__module__ == handler.__module__
    InmemoryCommandBus(CreateTask.handled_by(handler)).dispatch(CreateTask())
    assert ids(exporter.only("process create.task")) == ids(exporter.only("process task.created").parent)


class Answering(AsyncMessagePublisher):
    """A publisher that answers as it was told to."""

    def __init__(self, answer: Result[None, BusCannotPublish] | Exception) -> None:
        self.answer = answer
        self.published: list[OutgoingMessage] = []
        self.closed = 0

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        self.published.append(message)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        self.closed += 1


def outgoing(event: TaskCreated) -> OutgoingMessage:
    """Return an event as it is published."""
    return OutgoingMessage.of(event, MessageCodec(TaskCreated))


async def test_publishing_has_a_span(exporter: Exporter) -> None:
    """A message is published as it is, in a span of kind CLIENT that belongs to the trace which its body carries."""
    with exporter.tracer.start_as_current_span("request"):
        message = outgoing(with_trace_context(TaskCreated()))
    inner = Answering(Success(None))
    publisher = TracedMessagePublisher(inner, tracer_provider=exporter.provider, system="kafka", destination="tasks")
    assert Success(None) == await publisher.publish(message)
    assert message is inner.published[0]
    span, request = exporter.only("send tasks"), exporter.only("request")
    assert (SpanKind.CLIENT, ids(request)) == (span.kind, ids(span.parent))
    assert [ids(request)] == linked(span)
    assert {
        "messaging.system": "kafka",
        "messaging.destination.name": "tasks",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.message.id": str(message.id),
        "messaging.message.body.size": len(message.body),
        "domainkit.message.type": "task.created",
        "domainkit.message.version": 3,
        "domainkit.message.kind": "domain_event",
    } == dict(span.attributes or {})
    assert SECRET not in span.to_json()
    await publisher.close()
    assert 1 == inner.closed


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"5", b"{}", b'{"data": {}}', b'{"data": {"meta": 5}}', b"[" * 9_999]
)
async def test_a_body_that_is_no_envelope_is_published_too(exporter: Exporter, body: bytes) -> None:
    """Whatever the bytes, they are published, in a trace of their own."""
    given = outgoing(TaskCreated())
    message = OutgoingMessage(given.id, given.info, body, given.key)
    await TracedMessagePublisher(Answering(Success(None)), tracer_provider=exporter.provider).publish(message)
    assert exporter.only("send task.created").parent is None


async def test_a_publisher_that_fails(exporter: Exporter) -> None:
    """A Failure or an exception of the publisher is an error of its class in the span, and comes out as it is."""
    refused: Result[None, BusCannotPublish] = Failure(MessageRefused(additional_info={"message": SECRET}))
    publisher = TracedMessagePublisher(Answering(refused), tracer_provider=exporter.provider)
    assert refused is await publisher.publish(outgoing(TaskCreated()))
    publisher = TracedMessagePublisher(Answering(OSError(SECRET)), tracer_provider=exporter.provider)
    with pytest.raises(OSError, match=SECRET):
        await publisher.publish(outgoing(TaskCreated()))
    for span, kind in zip(exporter.spans, (MessageRefused, OSError), strict=True):
        assert_failed(span, kind)


async def test_from_recording_to_handling(exporter: Exporter) -> None:
    """Recording, publishing and handling are one trace: both later spans are children of the one that recorded."""
    handler = traced(greet, tracer_provider=exporter.provider)
    bus = AsyncInmemoryDomainEventBus(TaskCreated.handled_by(handler))
    codec = MessageCodec(TaskCreated)
    publisher = TracedMessagePublisher(
        AsyncInmemoryMessagePublisher(codec, events=bus), tracer_provider=exporter.provider
    )
    with exporter.tracer.start_as_current_span("request"):
        message = outgoing(with_trace_context(TaskCreated()))
    await publisher.publish(message)
    sent, processed = exporter.only("send"), exporter.only("process")
    assert ids(exporter.only("request")) == ids(sent.parent)
    assert ids(sent) == ids(processed.parent)
    assert [ids(exporter.only("request"))] == linked(processed)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenTelemetry, importing the adapter says how to install it."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "domainkit.adapters.opentelemetry")
    with pytest.raises(ImportError, match=r"pip install 'domainkit-attrs\[otel\]'"):
        importlib.import_module("domainkit.adapters.opentelemetry")


def test_a_secret_is_in_no_span(exporter: Exporter) -> None:
    """Of a message with a secret, and of an error that holds it, a span has the names of classes."""

    def fail(event: KeySent) -> Result[None, KeyRefused]:
        return Failure(KeyRefused(key=event.key))

    def crash(event: KeySent) -> None:
        raise KeyRefused(key=event.key)

    for handler in (fail, crash):
        with suppress(KeyRefused):
            traced(handler, tracer_provider=exporter.provider)(KeySent(Key(HUSH)))
    assert 2 == len(exporter.spans)
    assert [] == shows(*(span.to_json() for span in exporter.spans))
