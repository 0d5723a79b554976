"""Model a business domain in strictly typed Python: values, messages, aggregates, use cases and pipelines.

Everything public is imported from here; the adapters and the test kit, which need more than the core, are imported from
`domainkit.adapters` and `domainkit.testing`. What isn't the model is loaded when its name is first used (PEP 562), so
that a program waits for no part that it doesn't use.
"""

import typing

from domainkit import _lazy
from domainkit.aggregates import AggregateRoot
from domainkit.errors import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregatesNotFoundError,
    AggregateVersionConflictError,
    AlreadyExists,
    BusCannotPublish,
    ClientAlreadyExists,
    ClientNotFound,
    ConflictError,
    CriticalError,
    DomainError,
    InvalidMessage,
    InvalidUuid,
    InvalidValueObject,
    MessageRefused,
    NotAllowed,
    NotFound,
    OutcomeUnknownError,
    Problem,
    UnknownError,
    UnknownMessage,
    UserAlreadyExists,
    UserNotFound,
)
from domainkit.handlers import AsyncHandler, AsyncSubscriber, Handler, Subscriber
from domainkit.messages import (
    Command,
    DomainEvent,
    EnvelopeData,
    EnvelopeDict,
    JsonValue,
    Message,
    MessageHeader,
    MessageInfo,
)
from domainkit.values import FieldSerializer, Uuid, ValueObject, parse

if typing.TYPE_CHECKING:
    from domainkit._version import __version__
    from domainkit.causation import caused, handling
    from domainkit.codec import CodecOptions, MessageCodec
    from domainkit.conversion.converters import NaiveAsUtc, ValueObjectSerializer, configure_converter, make_converter
    from domainkit.conversion.derive import UnsupportedTypeError
    from domainkit.conversion.limits import Limits
    from domainkit.conversion.unions import Tagged
    from domainkit.deciders import Decider, Decisions, combined, decisions
    from domainkit.deciding import RetryOnConflict
    from domainkit.delivery import AsyncMessagePublisher, OutgoingMessage
    from domainkit.do_notation import Do, early_return
    from domainkit.envelopes import Envelope
    from domainkit.event_sourced import AsyncEventSourced, EventSourced
    from domainkit.event_store import (
        ANY_REVISION,
        NO_STREAM,
        STREAM_EXISTS,
        Appended,
        AsyncEventStore,
        EventStore,
        Expected,
        RecordedEvent,
        RevisionConflict,
        StreamClosed,
        UnreadableEvent,
    )
    from domainkit.http import (
        DEFAULT_HTTP_ERROR_MAP,
        ErrorMap,
        HttpError,
        ProblemDetails,
        ProblemOptions,
        http_error_for,
        http_headers_for,
        problem_details,
    )
    from domainkit.mediator import AsyncMediator, AsyncMiddleware, CommandNotHandled, Mediator, Middleware
    from domainkit.memory import (
        AsyncInmemoryCommandBus,
        AsyncInmemoryCrudRepository,
        AsyncInmemoryDomainEventBus,
        AsyncInmemoryEventStore,
        AsyncInmemoryMessagePublisher,
        AsyncInmemoryNotifier,
        AsyncInmemorySnapshotStore,
        AsyncLoggingNotifier,
        InmemoryCommandBus,
        InmemoryCrudRepository,
        InmemoryDomainEventBus,
        InmemoryEventStore,
        InmemoryNotifier,
        InmemoryOutbox,
        InmemorySnapshotStore,
        LoggingNotifier,
    )
    from domainkit.ports import (
        AppService,
        AsyncAppService,
        AsyncCommandBus,
        AsyncCrudRepository,
        AsyncDomainEventBus,
        AsyncNotifier,
        CommandBus,
        CrudRepository,
        DomainEventBus,
        Notifier,
        NotifierExceptionMessage,
        NotifierMessage,
        Repository,
    )
    from domainkit.projections import Projection, projection
    from domainkit.results import (
        async_pipeline,
        collect,
        collect_async,
        fold,
        mapped,
        pipeline,
        recover,
        tap,
        together,
        together_async,
    )
    from domainkit.secrets import InPlainText, Secret
    from domainkit.snapshot_store import AsyncSnapshotStore, Snapshot, SnapshotStore
    from domainkit.snapshots import AsyncSnapshots, Snapshots
    from domainkit.state_stored import AsyncStateStored, DecidedState, StateStored
    from domainkit.tags import (
        AppendCondition,
        ConditionConflict,
        Decision,
        EventQuery,
        QueryItem,
        query,
        tags_of,
    )
    from domainkit.use_cases import AsyncUseCase, UseCase, use_case
    from domainkit.versions import Attributes, Downcaster, Upcaster
else:

    def __getattr__(name: str) -> object:
        globals()[name] = found = _lazy.attribute(name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "ANY_REVISION", "DEFAULT_HTTP_ERROR_MAP", "NO_STREAM", "STREAM_EXISTS", "AggregateAlreadyExistError",
    "AggregateNotFoundError", "AggregateRoot", "AggregateVersionConflictError", "AggregatesNotFoundError",
    "AlreadyExists", "AppService", "AppendCondition", "Appended", "AsyncAppService", "AsyncCommandBus",
    "AsyncCrudRepository", "AsyncDomainEventBus", "AsyncEventSourced", "AsyncEventStore", "AsyncHandler",
    "AsyncInmemoryCommandBus", "AsyncInmemoryCrudRepository", "AsyncInmemoryDomainEventBus", "AsyncInmemoryEventStore",
    "AsyncInmemoryMessagePublisher", "AsyncInmemoryNotifier", "AsyncInmemorySnapshotStore", "AsyncLoggingNotifier",
    "AsyncMediator", "AsyncMessagePublisher", "AsyncMiddleware", "AsyncNotifier", "AsyncSnapshotStore",
    "AsyncSnapshots", "AsyncStateStored", "AsyncSubscriber", "AsyncUseCase", "Attributes", "BusCannotPublish",
    "ClientAlreadyExists", "ClientNotFound", "CodecOptions", "Command", "CommandBus", "CommandNotHandled",
    "ConditionConflict", "ConflictError", "CriticalError", "CrudRepository", "DecidedState", "Decider", "Decision",
    "Decisions", "Do", "DomainError", "DomainEvent", "DomainEventBus", "Downcaster", "Envelope", "EnvelopeData",
    "EnvelopeDict", "ErrorMap", "EventQuery", "EventSourced", "EventStore", "Expected", "FieldSerializer", "Handler",
    "HttpError", "InPlainText", "InmemoryCommandBus", "InmemoryCrudRepository", "InmemoryDomainEventBus",
    "InmemoryEventStore", "InmemoryNotifier", "InmemoryOutbox", "InmemorySnapshotStore", "InvalidMessage",
    "InvalidUuid", "InvalidValueObject", "JsonValue", "Limits", "LoggingNotifier", "Mediator", "Message",
    "MessageCodec", "MessageHeader", "MessageInfo", "MessageRefused", "Middleware", "NaiveAsUtc", "NotAllowed",
    "NotFound", "Notifier", "NotifierExceptionMessage", "NotifierMessage", "OutcomeUnknownError", "OutgoingMessage",
    "Problem", "ProblemDetails", "ProblemOptions", "Projection", "QueryItem", "RecordedEvent", "Repository",
    "RetryOnConflict", "RevisionConflict", "Secret", "Snapshot", "SnapshotStore", "Snapshots", "StateStored",
    "StreamClosed", "Subscriber", "Tagged", "UnknownError", "UnknownMessage", "UnreadableEvent", "UnsupportedTypeError",
    "Upcaster", "UseCase", "UserAlreadyExists", "UserNotFound", "Uuid", "ValueObject", "ValueObjectSerializer",
    "__version__", "async_pipeline", "caused", "collect", "collect_async", "combined", "configure_converter",
    "decisions", "early_return", "fold", "handling", "http_error_for", "http_headers_for", "make_converter", "mapped",
    "parse", "pipeline", "problem_details", "projection", "query", "recover", "tags_of", "tap", "together",
    "together_async", "use_case",
]  # fmt: skip  # one list, as it is read
