"""Domain errors as HTTP, without a framework: which status an error has, and its problem details."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, NotRequired, TypedDict

from attrs import field, frozen
from attrs.validators import ge, instance_of, le

from domainkit._model.immutability import Frozen
from domainkit.errors import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregatesNotFoundError,
    AggregateVersionConflictError,
    AlreadyExists,
    ClientAlreadyExists,
    ClientNotFound,
    DomainError,
    InvalidMessage,
    InvalidUuid,
    InvalidValueObject,
    NotAllowed,
    NotFound,
    UserAlreadyExists,
    UserNotFound,
)

DEFAULT_HTTP_ERROR_DETAIL = "Unknown Error"
_INTERNAL = 500


@frozen
class HttpError(Frozen):
    """The answer that a client gets for a domain error.

    >>> HttpError(status_code=404, detail="There is no such task").type_error
    'HttpError'

    Args:
        status_code: an HTTP status, 400 to 599 (RFC 9110, section 15).
        detail: what happened, for a person. The default stands for "say what the error says" below 500.
        headers: HTTP headers to send along.
        type_error: the name of the kind of error.

    Raises:
        ValueError: `status_code` is no status of an error.
        TypeError: `status_code` is no int; or, at the first instance of a subclass, `@attrs.frozen` is missing above
            its fields.
    """

    status_code: int = field(default=_INTERNAL, validator=[instance_of(int), ge(400), le(599)])
    detail: str = DEFAULT_HTTP_ERROR_DETAIL
    headers: Mapping[str, str] | None = None
    type_error: str = "HttpError"

    _own_constructor: ClassVar[bool] = True


ErrorMap = Mapping[type[DomainError], HttpError]
"""HttpErrors by class of domain errors; a subclass has that of its base, unless it has one itself."""

_BY_STATUS: Final = (
    (500, (DomainError, InvalidValueObject)),
    (404, (NotFound, AggregateNotFoundError, AggregatesNotFoundError, ClientNotFound, UserNotFound)),
    (409, (AlreadyExists, AggregateAlreadyExistError, ClientAlreadyExists, UserAlreadyExists)),
    (409, (AggregateVersionConflictError,)),
    (422, (InvalidUuid, InvalidMessage)),
    (403, (NotAllowed,)),
)

DEFAULT_HTTP_ERROR_MAP: ErrorMap = MappingProxyType(
    {cls: HttpError(status_code=status) for status, classes in _BY_STATUS for cls in classes}
)
"""The statuses that petisco gives its errors, and those of the errors that this library adds."""


def http_error_for(error: BaseException, *, error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP) -> HttpError:
    """Return the HttpError of the nearest class of `error`, along its method resolution order, that the map has.

    >>> class TaskNotFound(NotFound): ...
    >>> http_error_for(TaskNotFound()).status_code
    404
    >>> http_error_for(ZeroDivisionError()).status_code
    500

    Args:
        error: a domain error, or any exception: one that no class in the map fits is a 500.
        error_map: asked first; a class that it doesn't have is looked up in DEFAULT_HTTP_ERROR_MAP, so that a map of
            one's own needs only what differs.
    """
    return http_error_of(type(error), error_map=error_map)


def http_error_of(error_type: type[BaseException], *, error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP) -> HttpError:
    """Return what `http_error_for` returns for an error of this class."""
    for cls in error_type.__mro__:
        for known in (error_map, DEFAULT_HTTP_ERROR_MAP):
            if issubclass(cls, DomainError) and cls in known:
                return known[cls]
    return HttpError()


class ProblemDetails(TypedDict):
    """The members of an `application/problem+json` body (RFC 9457, section 3.1)."""

    type: str
    title: str
    status: int
    detail: NotRequired[str]
    instance: NotRequired[str]
    errors: NotRequired[list[dict[str, str]]]


def problem_details(
    error: BaseException,
    *,
    error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP,
    instance: str | None = None,
    type_uri: str = "about:blank",
) -> ProblemDetails:
    """Return the RFC 9457 body for an error.

    Below 500 it says what the error says; `errors` lists the problems of an InvalidMessage. From 500 on the body is a
    constant for its status: neither the error's text nor its class nor a value is in it.

    >>> problem_details(NotFound(additional_info={"message": "There is no such task"}))["detail"]
    'There is no such task'
    >>> problem_details(RuntimeError("password=hunter2"))
    {'type': 'about:blank', 'title': 'Internal Server Error', 'status': 500}

    Args:
        error: a domain error, or any exception.
        error_map: as for `http_error_for`.
        instance: a URI reference for this occurrence; left out where there is none, and from 500 on.
        type_uri: a URI for the kind of problem; `about:blank` says no more than the status does.
    """
    found = http_error_for(error, error_map=error_map)
    status = found.status_code
    if status >= _INTERNAL or not isinstance(error, DomainError):
        return {"type": "about:blank", "title": title_of(status), "status": status}
    body: ProblemDetails = {"type": type_uri, "title": title_of(status), "status": status, "detail": found.detail}
    if found.detail == DEFAULT_HTTP_ERROR_DETAIL:
        message = (error.additional_info or {}).get("message")
        body["detail"] = message if isinstance(message, str) else error.detail()
    if instance is not None:
        body["instance"] = instance
    if isinstance(error, InvalidMessage) and error.problems:
        body["errors"] = [
            {"path": problem.path, "expected": problem.expected, "code": problem.code} for problem in error.problems
        ]
    return body


def title_of(status: int) -> str:
    """Return the reason phrase of a status."""
    from http import HTTPStatus  # noqa: PLC0415  (making its members takes longer than importing this module)

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
