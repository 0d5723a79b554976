"""The public names: which they are, that each is documented, and that no name goes or comes unnoticed."""

import ast
import inspect
import itertools
import re
from functools import cache
from pathlib import Path

import pytest

import domainkit

ROOT = Path(__file__).parent.parent
PUBLIC_NAMES = [
    "ANY_REVISION",
    "DEFAULT_HTTP_ERROR_MAP",
    "NO_STREAM",
    "STREAM_EXISTS",
    "AggregateAlreadyExistError",
    "AggregateNotFoundError",
    "AggregateRoot",
    "AggregateVersionConflictError",
    "AggregatesNotFoundError",
    "AlreadyExists",
    "AppService",
    "AppendCondition",
    "Appended",
    "AsyncAppService",
    "AsyncCommandBus",
    "AsyncCrudRepository",
    "AsyncDomainEventBus",
    "AsyncEventSourced",
    "AsyncEventStore",
    "AsyncHandler",
    "AsyncInmemoryCommandBus",
    "AsyncInmemoryCrudRepository",
    "AsyncInmemoryDomainEventBus",
    "AsyncInmemoryEventStore",
    "AsyncInmemoryMessagePublisher",
    "AsyncInmemoryNotifier",
    "AsyncInmemorySnapshotStore",
    "AsyncLoggingNotifier",
    "AsyncMediator",
    "AsyncMessagePublisher",
    "AsyncMiddleware",
    "AsyncNotifier",
    "AsyncReadsAllEvents",
    "AsyncSnapshotStore",
    "AsyncSnapshots",
    "AsyncStateStored",
    "AsyncSubscriber",
    "AsyncUseCase",
    "Attributes",
    "BusCannotPublish",
    "ClientAlreadyExists",
    "ClientNotFound",
    "CodecOptions",
    "Command",
    "CommandBus",
    "CommandNotHandled",
    "ConditionConflict",
    "ConflictError",
    "CriticalError",
    "CrudRepository",
    "DecidedState",
    "Decider",
    "Decision",
    "Decisions",
    "Do",
    "DomainError",
    "DomainEvent",
    "DomainEventBus",
    "Downcaster",
    "Envelope",
    "EnvelopeData",
    "EnvelopeDict",
    "ErrorMap",
    "EventQuery",
    "EventSourced",
    "EventStore",
    "Expected",
    "FieldSerializer",
    "Handler",
    "HttpError",
    "InPlainText",
    "InmemoryCommandBus",
    "InmemoryCrudRepository",
    "InmemoryDomainEventBus",
    "InmemoryEventStore",
    "InmemoryNotifier",
    "InmemoryOutbox",
    "InmemorySnapshotStore",
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
    "MessageRefused",
    "Middleware",
    "NaiveAsUtc",
    "NotAllowed",
    "NotFound",
    "NotReached",
    "Notifier",
    "NotifierExceptionMessage",
    "NotifierMessage",
    "OutcomeUnknownError",
    "OutgoingMessage",
    "Problem",
    "ProblemDetails",
    "ProblemOptions",
    "Projection",
    "QueryItem",
    "ReadModel",
    "ReadsAllEvents",
    "RecordedEvent",
    "Repository",
    "RetryOnConflict",
    "RevisionConflict",
    "Secret",
    "Snapshot",
    "SnapshotStore",
    "Snapshots",
    "StateStored",
    "StreamClosed",
    "Subscriber",
    "Tagged",
    "UnknownError",
    "UnknownMessage",
    "UnreadableEvent",
    "UnsupportedTypeError",
    "Upcaster",
    "UseCase",
    "UserAlreadyExists",
    "UserNotFound",
    "Uuid",
    "ValueObject",
    "ValueObjectSerializer",
    "__version__",
    "async_pipeline",
    "caused",
    "collect",
    "collect_async",
    "combined",
    "configure_converter",
    "decisions",
    "early_return",
    "fold",
    "handling",
    "http_error_for",
    "http_headers_for",
    "make_converter",
    "mapped",
    "parse",
    "pipeline",
    "problem_details",
    "projection",
    "query",
    "recover",
    "tags_of",
    "tap",
    "together",
    "together_async",
    "use_case",
]


def test_the_public_names_are_locked() -> None:
    """A name comes or goes by a decision: it is written down here, and in CHANGELOG.md."""
    assert PUBLIC_NAMES == domainkit.__all__


def test_the_public_names_are_sorted_and_unique() -> None:
    """`__all__` is sorted as the linter sorts it: constants, classes, functions."""

    def rank(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    assert sorted(set(domainkit.__all__), key=rank) == domainkit.__all__


def test_nothing_else_is_public() -> None:
    """Whatever else `domainkit` holds is a module of its own or has a leading underscore."""
    others = set(vars(domainkit)) - set(PUBLIC_NAMES)
    assert set() == {
        name for name in others if not name.startswith("_") and not inspect.ismodule(vars(domainkit)[name])
    }


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_a_public_name_is_described(name: str) -> None:
    """A class or function has a docstring of its own; a constant or alias has one below it in its module."""
    found = getattr(domainkit, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert "domainkit" == found.__module__.partition(".")[0]
        assert (found.__doc__ or "").strip().splitlines()[0].endswith((".", ":"))
    else:
        assert name in described_constants()


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_a_public_name_is_in_the_reference(name: str) -> None:
    """The reference documents each public name, once."""
    pages = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("docs/reference/**/*.md"))
    assert [name] == re.findall(rf"^\.\. auto\w+:: ({name})(?=\(|$)", pages, re.MULTILINE)


def test_the_reference_has_no_other_name() -> None:
    """The reference documents nothing that isn't imported from `domainkit`, but for pages that name another module."""
    pages = [path.read_text(encoding="utf-8") for path in ROOT.glob("docs/reference/**/*.md")]
    found = "\n".join(page for page in pages if ".. currentmodule:: domainkit." not in page)
    assert set() == set(re.findall(r"^\.\. auto\w+:: (\w+)", found, re.MULTILINE)) - set(PUBLIC_NAMES)


@cache
def described_constants() -> set[str]:
    """Return the names that have a docstring on the line below their value, in any module."""
    found: set[str] = set()
    for path in (ROOT / "domainkit").rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, below in itertools.pairwise(body):
            if isinstance(statement, ast.Assign | ast.AnnAssign) and ast.get_docstring(ast.Module([below], [])):
                target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
                found.add(ast.unparse(target))
    return found
