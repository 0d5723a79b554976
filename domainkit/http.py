"""Domain errors as HTTP, without a framework: statuses, headers and problem details of errors."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final, NotRequired, TypedDict, cast

import attrs
from attrs import Factory, field, frozen
from attrs.validators import ge, instance_of, le

from domainkit._model.annotations import type_of
from domainkit._model.immutability import Frozen
from domainkit._model.loading import LOADING
from domainkit._model.mapping import FrozenMapping
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
    DomainError,
    InvalidMessage,
    InvalidUuid,
    InvalidValueObject,
    NotAllowed,
    NotFound,
    OutcomeUnknownError,
    Problem,
    UserAlreadyExists,
    UserNotFound,
)

if TYPE_CHECKING:
    from domainkit.conversion.nodes import Node

DEFAULT_HTTP_ERROR_DETAIL = "Unknown Error"
_INTERNAL = 500
_UNNAMED = "HttpError"


@frozen
class HttpError(Frozen):
    """The HTTP response for a domain error.

    >>> HttpError(status_code=404, detail="There is no such task").type_error
    'HttpError'

    Args:
        status_code: an HTTP status, 400 to 599 (RFC 9110, section 15).
        detail: a description of the error, for a person. With the default, the body has one only if ProblemOptions
            allows the error's own, below 500.
        headers: additional HTTP headers.
        type_error: the name of the kind of error, for the `type` of its problem document; with the default, the name of
            the error's class.

    Raises:
        ValueError: `status_code` is not an error status.
        TypeError: `status_code` is not an int; or, at the first instance of a subclass with fields, `@attrs.frozen` is
            missing.
    """

    status_code: int = field(default=_INTERNAL, validator=[instance_of(int), ge(400), le(599)])
    detail: str = DEFAULT_HTTP_ERROR_DETAIL
    headers: Mapping[str, str] | None = None
    type_error: str = _UNNAMED

    _own_constructor: ClassVar[bool] = True


ErrorMap = Mapping[type[DomainError], HttpError]
"""HttpErrors by error class; a subclass without an entry of its own uses that of its nearest base."""

_BY_STATUS: Final = (
    (500, (DomainError, InvalidValueObject)),
    (404, (NotFound, AggregateNotFoundError, AggregatesNotFoundError, ClientNotFound, UserNotFound)),
    (409, (AlreadyExists, AggregateAlreadyExistError, ClientAlreadyExists, UserAlreadyExists)),
    (409, (ConflictError, AggregateVersionConflictError)),
    (422, (InvalidUuid, InvalidMessage)),
    (403, (NotAllowed,)),
    (503, (BusCannotPublish, OutcomeUnknownError)),
)


class _DefaultMap(FrozenMapping[type[DomainError], HttpError]):
    """The default map; its `repr` is its name, for signatures in the documentation."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "DEFAULT_HTTP_ERROR_MAP"


DEFAULT_HTTP_ERROR_MAP: ErrorMap = _DefaultMap(
    {cls: HttpError(status_code=status) for status, classes in _BY_STATUS for cls in classes}
)
"""The statuses that petisco assigns to its errors, and those of the errors that this library adds."""


def http_error_for(error: BaseException, *, error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP) -> HttpError:
    """Return the HttpError for an error: that of the first class in its method resolution order that the map has.

    >>> class TaskNotFound(NotFound): ...
    >>> http_error_for(TaskNotFound()).status_code
    404
    >>> http_error_for(ZeroDivisionError()).status_code
    500

    Args:
        error: a domain error, or any exception; an exception without an entry is a 500.
        error_map: your own entries. Classes without an entry are looked up in DEFAULT_HTTP_ERROR_MAP.
    """
    return http_error_of(type(error), error_map=error_map)


def http_error_of(error_type: type[BaseException], *, error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP) -> HttpError:
    """Return the HttpError for an error class, as `http_error_for` does for an instance."""
    for cls in error_type.__mro__:
        for known in (error_map, DEFAULT_HTTP_ERROR_MAP):
            if issubclass(cls, DomainError) and cls in known:
                return known[cls]
    return HttpError()


def http_headers_for(error: BaseException, *, error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP) -> Mapping[str, str]:
    """Return the headers of the response for an error: those of the map, and Retry-After if the error has a time.

    >>> http_headers_for(BusCannotPublish(retry_after=timedelta(seconds=1.5)))
    {'Retry-After': '2'}

    Args:
        error: a domain error, or any exception. A field `retry_after: timedelta` of the error becomes the header.
        error_map: as for `http_error_for`; a Retry-After in its headers takes precedence.
    """
    headers, wait = dict(http_error_for(error, error_map=error_map).headers or {}), getattr(error, "retry_after", None)
    if isinstance(wait, timedelta) and "retry-after" not in map(str.lower, headers):
        headers["Retry-After"] = str(max(0, math.ceil(wait.total_seconds())))  # RFC 9110, section 10.2.3
    return headers


class ProblemDetails(TypedDict):
    """The members of an `application/problem+json` body (RFC 9457, section 3.1); others may follow (section 3.2)."""

    type: str
    title: str
    status: int
    detail: NotRequired[str]
    instance: NotRequired[str]
    errors: NotRequired[list[dict[str, str]]]


def _nodes_of(options: "ProblemOptions") -> Mapping[type[DomainError], Mapping[str, "Node"]]:
    """Return the wire types of the exposed fields; TypeError for a name that isn't a field."""
    # imported here: the conversion takes longer to import than this module, which rarely needs it
    with LOADING:
        from domainkit.conversion.derive import Derivation  # noqa: PLC0415  (see above)

    for cls, names in options.tells.items():
        for name in set(names) - {"detail"}:
            if name not in attrs.fields_dict(cls) or name in ProblemDetails.__annotations__:
                raise TypeError(
                    f"ProblemOptions.tells: expected a field of {cls.__qualname__} that isn't a standard member of "
                    f"problem documents, or 'detail', got {name!r}; name a field of the class"
                )
    derivation = Derivation()
    nodes = {
        cls: {
            name: derivation.node(type_of(cls, name), f"{cls.__qualname__}.{name}")
            for name in names
            if name != "detail"
        }
        for cls, names in options.tells.items()
    }
    if derivation.secrets:  # a field marked InPlainText
        raise TypeError(
            f"ProblemOptions.tells: expected fields without secrets, got {derivation.secrets[0].__qualname__}; "
            "remove the field, since clients must not see secrets"
        )
    return nodes


@frozen(kw_only=True)
class ProblemOptions(Frozen):
    """The optional content of problem documents. By default they expose no field of an error.

    >>> @frozen
    ... class TooManyTasks(DomainError):
    ...     limit: int
    >>> options = ProblemOptions(type_base="https://tasks.example/problems/", tells={TooManyTasks: ("limit",)})
    >>> errors: ErrorMap = {TooManyTasks: HttpError(status_code=429)}
    >>> problem_details(TooManyTasks(limit=3), error_map=errors, options=options)["type"]
    'https://tasks.example/problems/too-many-tasks'

    Args:
        type_base: the beginning of each `type`, a URI reference; the name of the error follows.
        tells: by error class, what its documents expose below 500: names of fields, which become members in their wire
            form; and `detail`, for the `message` in `additional_info`, or else for the text of `detail()`. A subclass
            without an entry uses that of its nearest base.
        client_keys: True to show unknown keys from the request in the paths of problems.

    Raises:
        TypeError: a name in `tells` is not a field, is a standard member of problem documents, or is a field with a
            secret.
        UnsupportedTypeError: a field in `tells` has a type without a wire form.
    """

    type_base: str = "/problems/"
    tells: Mapping[type[DomainError], tuple[str, ...]] = FrozenMapping()
    client_keys: bool = False
    _nodes: 'Mapping[type[DomainError], Mapping[str, "Node"]]' = field(
        default=Factory(_nodes_of, takes_self=True), init=False, repr=False, eq=False
    )

    _own_constructor: ClassVar[bool] = True


DEFAULT_PROBLEM_OPTIONS: Final = ProblemOptions()


def problem_details(
    error: BaseException,
    *,
    error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP,
    instance: str | None = None,
    type_uri: str | None = None,
    options: ProblemOptions = DEFAULT_PROBLEM_OPTIONS,
) -> ProblemDetails:
    """Return the problem document (RFC 9457) for an error.

    Below 500, `type` and `title` identify the error; `errors` lists the problems of an InvalidMessage or an
    InvalidValueObject. From 500 on, the body is constant for its status: it has neither the error's text nor its class
    nor a value.

    >>> class TaskNotFound(NotFound): ...
    >>> problem_details(TaskNotFound(additional_info={"table": "tasks"}))
    {'type': '/problems/task-not-found', 'title': 'Task Not Found', 'status': 404}
    >>> problem_details(RuntimeError("password=hunter2"))
    {'type': 'about:blank', 'title': 'Internal Server Error', 'status': 500}

    Args:
        error: a domain error, or any exception.
        error_map: as for `http_error_for`. The body has the `detail` of the HttpError.
        instance: a URI reference for this occurrence; left out from 500 on.
        type_uri: a URI for the kind of problem, instead of that of the error's class; `about:blank` for problems that
            the status describes completely.
        options: the optional content of the body.
    """
    found = http_error_for(error, error_map=error_map)
    status = found.status_code
    if status >= _INTERNAL or not isinstance(error, DomainError):
        return {"type": "about:blank", "title": title_of(status), "status": status}
    words = _words(type(error).__name__ if found.type_error == _UNNAMED else found.type_error)
    body: ProblemDetails = {
        "type": problem_type(" ".join(words), options) if type_uri is None else type_uri,
        "title": title_of(status) if type_uri == "about:blank" else " ".join(words),
        "status": status,
    }
    names = next((options.tells[cls] for cls in type(error).__mro__ if cls in options.tells), ())
    if found.detail != DEFAULT_HTTP_ERROR_DETAIL:
        body["detail"] = found.detail
    elif "detail" in names:
        message = (error.additional_info or {}).get("message")
        body["detail"] = message if isinstance(message, str) else error.detail()
    if instance is not None:
        body["instance"] = instance
    if problems := list(_problems_of(error)):
        body["errors"] = [{"path": one.path, "expected": one.expected, "code": one.code} for one in problems]
    # type checkers don't all support PEP 728, for types with additional members, yet
    return cast("ProblemDetails", {**body, **_members_of(error, options)})


def problem_type(name: str, options: ProblemOptions) -> str:
    """Return the `type` of a problem with this name: a URI reference."""
    from urllib.parse import quote  # noqa: PLC0415  # takes longer to import than this module

    return f"{options.type_base}{quote('-'.join(name.lower().split()))}"


_WORD: Final = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")


def _words(name: str) -> list[str]:
    """Return the words of a class name, without a final `Error`."""
    words = [word for word in _WORD.split(name) if word]
    return words[:-1] if len(words) > 1 and words[-1] == "Error" else words


def _problems_of(error: DomainError) -> Iterator[Problem]:
    """Yield the problems of an invalid message or value object; for a single value, one with its reason."""
    if isinstance(error, InvalidMessage | InvalidValueObject):
        yield from error.problems
        reason = (error.additional_info or {}).get("message")
        if isinstance(error, InvalidValueObject) and not error.problems and isinstance(reason, str):
            yield Problem("$", reason, "value")


def _members_of(error: DomainError, options: ProblemOptions) -> Mapping[str, object]:
    """Return the exposed fields of an error in their JSON form; a value without a JSON form is left out."""
    nodes = next((found for cls in type(error).__mro__ if (found := options._nodes.get(cls))), None)
    if nodes is None:
        return {}
    from domainkit.conversion.nodes import MISSING, Problems  # noqa: PLC0415  # as above

    written = {name: node.write(getattr(error, name), "$", Problems()) for name, node in nodes.items()}
    return {name: wire for name, wire in written.items() if wire is not MISSING}


_RENAMED: Final = FrozenMapping({
    413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content",
})  # fmt: skip  # one list
"""Phrases of RFC 9110 that differ in Python before 3.13."""


def title_of(status: int) -> str:
    """Return the reason phrase of a status, the same in every version of Python."""
    from http import HTTPStatus  # noqa: PLC0415  (takes longer to import than this module)

    try:
        return _RENAMED.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Error"
