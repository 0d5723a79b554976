"""The names of petisco 2.2.3 and meiga 1.10, what takes their place, and what to do where nothing does."""

from types import MappingProxyType

ROOTS = ("petisco", "meiga")

_ERRORS = frozenset(
    {
        "AggregateAlreadyExistError", "AggregateNotFoundError", "AggregatesNotFoundError", "AlreadyExists",
        "BusCannotPublish", "ClientAlreadyExists", "ClientNotFound", "CriticalError", "InvalidUuid",
        "InvalidValueObject", "NotAllowed", "NotFound", "UserAlreadyExists", "UserNotFound",
    }
)  # fmt: skip  # one set
_SAME = frozenset(
    {
        "AggregateRoot", "AppService", "AsyncAppService", "AsyncUseCase", "Command", "CommandBus", "CrudRepository",
        "DEFAULT_HTTP_ERROR_MAP", "DomainError", "DomainEvent", "DomainEventBus", "ErrorMap", "HttpError",
        "InmemoryCrudRepository", "Message", "Notifier", "NotifierExceptionMessage", "NotifierMessage", "Repository",
        "UnknownError", "UseCase", "Uuid", "ValueObject", "ValueObjectSerializer", *_ERRORS,
    }
)  # fmt: skip  # one set

_OTHERS = MappingProxyType(
    {
        "petisco.LegacyUuid": ("domainkit", "Uuid"),
        "petisco.UseCaseUncontrolledError": ("domainkit", "UnknownError"),
        "petisco.NotImplementedDomainEventBus": ("domainkit", "InmemoryDomainEventBus"),
        "petisco.NotImplementedCommandBus": ("domainkit", "InmemoryCommandBus"),
        "petisco.NotImplementedNotifier": ("domainkit", "InmemoryNotifier"),
        "petisco.Interface": ("abc", "ABC"),
        "meiga.Result": ("returns.result", "Result"),
        "meiga.Success": ("returns.result", "Success"),
        "meiga.Failure": ("returns.result", "Failure"),
        "meiga.Error": ("domainkit", "DomainError"),
        "meiga.early_return": ("domainkit", "use_case"),
        "meiga.async_early_return": ("domainkit", "use_case"),
        "meiga.meiga": ("domainkit", "use_case"),
    }
)

EXPRESSIONS = MappingProxyType(
    {
        "meiga.BoolResult": "Result[None, DomainError]",
        "meiga.AnyResult": "Result[Any, Any]",
        "meiga.isSuccess": "Success(None)",
        "meiga.isFailure": "Failure(DomainError())",
    }
)
"""What is written out where it was a name, with names that HOMES knows."""

HOMES = MappingProxyType(
    {
        "ABC": "abc", "Any": "typing", "Self": "typing", "Uuid": "domainkit", "UnknownError": "domainkit",
        "InmemoryDomainEventBus": "domainkit", "InmemoryCommandBus": "domainkit", "InmemoryNotifier": "domainkit", "Attribute": "attrs", "evolve": "attrs", "field": "attrs",
        "frozen": "attrs", "Result": "returns.result", "Success": "returns.result", "Failure": "returns.result",
        "is_successful": "returns.pipeline", "DomainError": "domainkit", "Subscriber": "domainkit",
        "Handler": "domainkit", "use_case": "domainkit",
    }
)  # fmt: skip  # one mapping
"""The modules of the names that the rewriting brings."""

PARENTS = MappingProxyType(
    {
        "meiga.AnyResult": "meiga.Result",
        "meiga.BoolResult": "meiga.Result",
        "meiga.Success": "meiga.Result",
        "meiga.Failure": "meiga.Result",
        "petisco.InmemoryCrudRepository": "petisco.CrudRepository",
        "petisco.NotImplementedCommandBus": "petisco.CommandBus",
        "petisco.NotImplementedDomainEventBus": "petisco.DomainEventBus",
        "petisco.LegacyUuid": "petisco.Uuid",
        "petisco.DomainEvent": "petisco.Message",
        "petisco.Command": "petisco.Message",
        "petisco.DomainError": "meiga.Error",
        **{f"petisco.{name}": "petisco.DomainError" for name in _ERRORS},
    }
)
"""The bases of those classes of theirs that the rewriting asks about."""

_FRAMEWORK = "write the framework's own function, which calls the use case; problem_details makes the body of an error"
_OBJECTS = "build your objects in one function where the program starts, and pass them"
_FOLD = "use fold, or `match` with Success and Failure"
_REMEDIES = MappingProxyType(
    {
        **dict.fromkeys(("petisco.Controller", "petisco.AsyncController", "petisco.extra.fastapi"), _FRAMEWORK),
        **dict.fromkeys(("petisco.ResultMapper", "petisco.unwrap_result_handler", "petisco.custom_message_handler"), _FRAMEWORK),
        **dict.fromkeys(("petisco.Application", "petisco.ApplicationConfigurer", "petisco.Container"), _OBJECTS),
        **dict.fromkeys(("petisco.Dependency", "petisco.Builder", "petisco.Singleton"), _OBJECTS),
        **dict.fromkeys(("petisco.Database", "petisco.databases"), "pass the connection to the repository's constructor"),
        **dict.fromkeys(("petisco.extra.sqlalchemy", "petisco.extra.sqlmodel"), "use SqlCrudRepository, of the extra sql"),
        "petisco.extra.rabbitmq": "use the buses and the consumer of the extra rabbitmq",
        **dict.fromkeys(("petisco.Middleware", "petisco.PrintMiddleware"), "use Mediator.within, or a function around a function"),
        "petisco.NotifierMiddleware": "give the use case an attribute `notifier`",
        "petisco.AllMessageSubscriber": "bind a function by DomainEvent.handled_by, which gets all events",
        **dict.fromkeys(("petisco.MessageBus", "petisco.NotImplementedMessageBus"), "use a DomainEventBus or a CommandBus"),
        "petisco.FileDomainEventBus": "use InmemoryDomainEventBus, and write what it published",
        **dict.fromkeys(("meiga.OnSuccessHandler", "meiga.OnFailureHandler"), _FOLD),
        "meiga.to_result": "use `safe` of returns, whose function returns the plain value",
        "meiga.NotImplementedMethodError": "raise NotImplementedError",
    }
)  # fmt: skip  # one line for each remedy
_NO_REMEDY = "see the page Coming from petisco"


def canonical(dotted: str) -> str:
    """Return the one name of what petisco or meiga have in several places; of an extra, its module.

    >>> canonical("petisco.base.domain.model.uuid.Uuid"), canonical("petisco.extra.fastapi.FastAPIController")
    ('petisco.Uuid', 'petisco.extra.fastapi')
    """
    parts = dotted.split(".")
    if parts[:2] == ["petisco", "extra"]:
        return ".".join(parts[:3])
    return f"{parts[0]}.{parts[-1]}"


def successor(name: str) -> tuple[str, str] | None:
    """Return module and name of what takes the place of a canonical name, if something does as it stands."""
    root, _, last = name.rpartition(".")
    return ("domainkit", last) if root == "petisco" and last in _SAME else _OTHERS.get(name)


def remedy(name: str) -> str:
    """Return what a person does about a canonical name without a successor."""
    return _REMEDIES.get(name, _NO_REMEDY)
