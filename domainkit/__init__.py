"""Model a business domain in strictly typed Python: values, messages, aggregates, use cases and pipelines.

Everything public is imported from here; the adapters and the test kit, which need more than the core, are imported from
`domainkit.adapters` and `domainkit.testing`.
"""

from domainkit.aggregates import AggregateRoot
from domainkit.codec import Attributes, MessageCodec, Upcaster
from domainkit.conversion import ValueObjectSerializer, configure_converter, make_converter
from domainkit.conversion.derive import UnsupportedTypeError
from domainkit.conversion.limits import Limits
from domainkit.conversion.tagged import Tagged
from domainkit.errors import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregatesNotFoundError,
    AggregateVersionConflictError,
    AlreadyExists,
    BusCannotPublish,
    ClientAlreadyExists,
    ClientNotFound,
    CriticalError,
    DomainError,
    InvalidMessage,
    InvalidUuid,
    InvalidValueObject,
    NotAllowed,
    NotFound,
    Problem,
    UnknownError,
    UnknownMessage,
    UserAlreadyExists,
    UserNotFound,
)
from domainkit.http import (
    DEFAULT_HTTP_ERROR_MAP,
    ErrorMap,
    HttpError,
    ProblemDetails,
    http_error_for,
    problem_details,
)
from domainkit.mediator import CommandNotHandled, Mediator
from domainkit.memory import (
    InmemoryCommandBus,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    InmemoryNotifier,
    LoggingNotifier,
)
from domainkit.messages import (
    Command,
    DomainEvent,
    EnvelopeData,
    EnvelopeDict,
    Handler,
    JsonValue,
    Message,
    MessageHeader,
    MessageInfo,
    Subscriber,
)
from domainkit.ports import (
    AppService,
    CommandBus,
    CrudRepository,
    DomainEventBus,
    Notifier,
    NotifierExceptionMessage,
    NotifierMessage,
    Repository,
)
from domainkit.results import async_pipeline, collect, fold, pipeline
from domainkit.use_cases import AsyncUseCase, UseCase, use_case
from domainkit.values import FieldSerializer, Uuid, ValueObject

__all__ = [
    "DEFAULT_HTTP_ERROR_MAP",
    "AggregateAlreadyExistError",
    "AggregateNotFoundError",
    "AggregateRoot",
    "AggregateVersionConflictError",
    "AggregatesNotFoundError",
    "AlreadyExists",
    "AppService",
    "AsyncUseCase",
    "Attributes",
    "BusCannotPublish",
    "ClientAlreadyExists",
    "ClientNotFound",
    "Command",
    "CommandBus",
    "CommandNotHandled",
    "CriticalError",
    "CrudRepository",
    "DomainError",
    "DomainEvent",
    "DomainEventBus",
    "EnvelopeData",
    "EnvelopeDict",
    "ErrorMap",
    "FieldSerializer",
    "Handler",
    "HttpError",
    "InmemoryCommandBus",
    "InmemoryCrudRepository",
    "InmemoryDomainEventBus",
    "InmemoryNotifier",
    "InvalidMessage",
    "InvalidUuid",
    "InvalidValueObject",
    "JsonValue",
    "Limits",
    "LoggingNotifier",
    "Mediator",
    "Message",
    "MessageCodec",
    "MessageHeader",
    "MessageInfo",
    "NotAllowed",
    "NotFound",
    "Notifier",
    "NotifierExceptionMessage",
    "NotifierMessage",
    "Problem",
    "ProblemDetails",
    "Repository",
    "Subscriber",
    "Tagged",
    "UnknownError",
    "UnknownMessage",
    "UnsupportedTypeError",
    "Upcaster",
    "UseCase",
    "UserAlreadyExists",
    "UserNotFound",
    "Uuid",
    "ValueObject",
    "ValueObjectSerializer",
    "async_pipeline",
    "collect",
    "configure_converter",
    "fold",
    "http_error_for",
    "make_converter",
    "pipeline",
    "problem_details",
    "use_case",
]
