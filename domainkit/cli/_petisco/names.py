"""Names of petisco 2.2.3 and meiga 1.10, with their successors, or a remedy for names without one."""

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
"""The code that replaces a name, using names in HOMES."""

_BY_HOME = (
    ("abc", "ABC"),
    ("attrs", "Attribute evolve field frozen"),
    ("domainkit", "DomainError Handler InmemoryCommandBus InmemoryDomainEventBus InmemoryNotifier Subscriber"),
    ("domainkit", "UnknownError Uuid use_case"),
    ("returns.pipeline", "is_successful"),
    ("returns.result", "Failure Result Success"),
    ("typing", "Any Self"),
)
HOMES = MappingProxyType({name: home for home, names in _BY_HOME for name in names.split()})
"""The modules of the names that the rewriting adds."""

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
"""The bases of the classes of petisco and meiga that the rewriting checks."""

_BY_REMEDY = (
    (
        "write the framework's own function, which calls the use case; problem_details makes the body of an error",
        "petisco.Controller petisco.AsyncController petisco.ResultMapper petisco.extra.fastapi",
    ),
    ("use fold or problem_details", "petisco.unwrap_result_handler petisco.custom_message_handler"),
    (
        "build your objects in one function where the program starts, and pass them",
        "petisco.Application petisco.Container petisco.Dependency petisco.Builder petisco.Singleton",
    ),
    ("pass the connection to the repository's constructor", "petisco.Database petisco.databases"),
    ("use SqlCrudRepository, of the extra sql", "petisco.extra.sqlalchemy petisco.extra.sqlmodel"),
    ("use the buses and the consumer of the extra rabbitmq", "petisco.extra.rabbitmq"),
    ("use Mediator.within, or wrap the function", "petisco.Middleware petisco.PrintMiddleware"),
    ("give the use case an attribute `notifier`", "petisco.NotifierMiddleware"),
    ("bind a function by DomainEvent.handled_by, which gets all events", "petisco.AllMessageSubscriber"),
    ("use a DomainEventBus or a CommandBus", "petisco.MessageBus petisco.NotImplementedMessageBus"),
    ("use InmemoryDomainEventBus, and write its published events", "petisco.FileDomainEventBus"),
    ("use fold, or `match` with Success and Failure", "meiga.OnSuccessHandler meiga.OnFailureHandler"),
    ("use `safe` of returns, whose function returns the plain value", "meiga.to_result"),
    ("raise NotImplementedError", "meiga.NotImplementedMethodError"),
)
_REMEDIES = MappingProxyType({name: remedy for remedy, names in _BY_REMEDY for name in names.split()})
_NO_REMEDY = "see the page Coming from petisco"


def canonical(dotted: str) -> str:
    """Return the canonical name of an object that petisco or meiga have in several places; for an extra, its module.

    >>> canonical("petisco.base.domain.model.uuid.Uuid"), canonical("petisco.extra.fastapi.FastAPIController")
    ('petisco.Uuid', 'petisco.extra.fastapi')
    """
    parts = dotted.split(".")
    if parts[:2] == ["petisco", "extra"]:
        return ".".join(parts[:3])
    return f"{parts[0]}.{parts[-1]}"


def successor(name: str) -> tuple[str, str] | None:
    """Return the module and the name of the successor of a canonical name, if it has one."""
    root, _, last = name.rpartition(".")
    return ("domainkit", last) if root == "petisco" and last in _SAME else _OTHERS.get(name)


def remedy(name: str) -> str:
    """Return the remedy for a canonical name without a successor."""
    return _REMEDIES.get(name, _NO_REMEDY)
