"""The names of `domainkit` that are loaded at their first use (PEP 562): those that are not part of the model."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from domainkit._model.loading import LOADING

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "domainkit._version": "__version__",
        "domainkit.causation": "caused handling",
        "domainkit.codec": "CodecOptions MessageCodec",
        "domainkit.conversion.converters": "NaiveAsUtc ValueObjectSerializer configure_converter make_converter",
        "domainkit.conversion.derive": "UnsupportedTypeError",
        "domainkit.conversion.limits": "Limits",
        "domainkit.conversion.unions": "Tagged",
        "domainkit.delivery": "AsyncMessagePublisher OutgoingMessage",
        "domainkit.do_notation": "Do early_return",
        "domainkit.envelopes": "Envelope",
        "domainkit.http": (
            "DEFAULT_HTTP_ERROR_MAP ErrorMap HttpError ProblemDetails ProblemOptions http_error_for http_headers_for "
            "problem_details"
        ),
        "domainkit.mediator": "AsyncMediator AsyncMiddleware CommandNotHandled Mediator Middleware",
        "domainkit.memory": (
            "AsyncInmemoryCommandBus AsyncInmemoryCrudRepository AsyncInmemoryDomainEventBus "
            "AsyncInmemoryEventStore AsyncInmemoryMessagePublisher AsyncInmemoryNotifier AsyncInmemorySnapshotStore "
            "AsyncLoggingNotifier InmemoryCommandBus InmemoryCrudRepository InmemoryDomainEventBus InmemoryEventStore "
            "InmemoryNotifier InmemoryOutbox InmemorySnapshotStore LoggingNotifier"
        ),
        "domainkit.ports": (
            "AppService AsyncAppService AsyncCommandBus AsyncCrudRepository AsyncDomainEventBus AsyncNotifier "
            "CommandBus CrudRepository DomainEventBus Notifier NotifierExceptionMessage NotifierMessage "
            "Repository"
        ),
        "domainkit.results": (
            "async_pipeline collect collect_async fold mapped pipeline recover tap together together_async"
        ),
        "domainkit.secrets": "InPlainText Secret",
        "domainkit.versions": "Attributes Downcaster Upcaster",
        "domainkit.use_cases": "AsyncUseCase UseCase use_case",
        "domainkit.deciders": "Decider Decisions combined decisions",
        "domainkit.projections": "Projection projection",
        "domainkit.tags": "AppendCondition ConditionConflict Decision EventQuery QueryItem query tags_of",
        "domainkit.event_store": (
            "ANY_REVISION Appended AsyncEventStore EventStore Expected NO_STREAM RecordedEvent RevisionConflict "
            "STREAM_EXISTS StreamClosed UnreadableEvent"
        ),
        "domainkit.read_models": "AsyncReadsAllEvents NotReached ReadModel ReadsAllEvents",
        "domainkit.event_sourced": "AsyncEventSourced EventSourced",
        "domainkit.deciding": "RetryOnConflict",
        "domainkit.snapshot_store": "AsyncSnapshotStore Snapshot SnapshotStore",
        "domainkit.snapshots": "AsyncSnapshots Snapshots",
        "domainkit.state_stored": "AsyncStateStored DecidedState StateStored",
    }
)
"""The names by their module. Type checkers read the same from the imports of `domainkit`."""

_HOMES: Mapping[str, str] = MappingProxyType({name: home for home, names in NAMES.items() for name in names.split()})


def attribute(name: str) -> object:
    """Return the public object with this name, from the module that defines it.

    Raises AttributeError for any other name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'domainkit' has no attribute {name!r}")
    with LOADING:
        return getattr(import_module(_HOMES[name]), name)
