"""Responses of Starlette and FastAPI for Results, domain errors and other exceptions."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from http import HTTPStatus
from traceback import walk_tb
from typing import Any, Final, NotRequired, Protocol, TypedDict, TypeVar, overload

from returns.result import Failure, Result
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketClose, WebSocketState

from domainkit._model.reasons import repeats
from domainkit.errors import DomainError, UnknownError
from domainkit.http import (
    DEFAULT_HTTP_ERROR_MAP,
    DEFAULT_PROBLEM_OPTIONS,
    ErrorMap,
    ProblemDetails,
    ProblemOptions,
    http_error_for,
    http_headers_for,
    problem_details,
    problem_type,
    title_of,
)
from domainkit.results import AnyCoroutine, fold

T = TypeVar("T")

PROBLEM_JSON: Final = "application/problem+json"
"""The media type of a problem document (RFC 9457, section 6.1)."""

ExceptionHandler = Callable[[Request, Any], AnyCoroutine[Response]]  # Any: the exception, as FastAPI writes it
"""A function that returns the response for an exception."""

logger = logging.getLogger("domainkit.adapters.starlette")

NO_CONTENT: Final = 204
INVALID: Final = 422
INTERNAL: Final = 500
_MOST_PROBLEMS: Final = 100
_LONGEST_REASON: Final = 123
"""The maximum size of a WebSocket's close reason in bytes (RFC 6455, section 5.5)."""
_WITHOUT_BODY: Final = frozenset({NO_CONTENT, 205, 304})


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = PROBLEM_JSON


class FailureError(Exception):
    """Carries the error of a Failure from a route to the exception handler. Raised by `value_of`.

    Args:
        error: the error.
        error_map: the map of the route, if it has one.
    """

    def __init__(self, error: BaseException, error_map: ErrorMap | None = None) -> None:
        super().__init__()
        self.error: BaseException = error
        self.error_map: ErrorMap | None = error_map


def problem_response(
    error: BaseException,
    *,
    error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP,
    instance: str | None = None,
    options: ProblemOptions = DEFAULT_PROBLEM_OPTIONS,
) -> ProblemResponse:
    """Return the response for an error: its status, its problem document, and its headers, such as Retry-After.

    >>> from domainkit import NotFound
    >>> problem_response(NotFound()).status_code
    404

    Args:
        error: a domain error, or any exception; from status 500 on, the body is a constant.
        error_map: the statuses of errors. Classes without an entry are looked up in DEFAULT_HTTP_ERROR_MAP.
        instance: a URI reference for this occurrence. The path of a request is one, but may contain a secret.
        options: the optional content of the document.
    """
    body = problem_details(error, error_map=error_map, instance=instance, options=options)
    headers = http_headers_for(error, error_map=error_map)
    return ProblemResponse(body, status_code=http_error_for(error, error_map=error_map).status_code, headers=headers)


def value_of(result: Result[T, object], *, error_map: ErrorMap | None = None) -> T:
    """Return the value of a Success; for a Failure raise FailureError, which `exception_handlers` answers.

    If the value is None, give the route `status_code=204`: else FastAPI responds with 200 and the body `null`.

    >>> from returns.result import Success
    >>> value_of(Success(5))
    5

    Args:
        result: what a use case returned.
        error_map: the map of this route; by default that of the app.

    Raises:
        FailureError: the result is a Failure.
    """
    if isinstance(result, Failure):
        raise FailureError(_exception(result.failure()), error_map)
    return result.unwrap()


_VALUE_OF: Final = value_of.__code__


def _no_content(_: object) -> Response:
    return Response(status_code=NO_CONTENT)


@overload
def response_of(
    result: Result[None, object], *, error_map: ErrorMap = ..., options: ProblemOptions = ...
) -> Response: ...
@overload
def response_of(
    result: Result[T, object],
    on_success: Callable[[T], Response],
    *,
    error_map: ErrorMap = ...,
    options: ProblemOptions = ...,
) -> Response: ...
def response_of(
    result: Result[Any, object],  # Any: what on_success takes
    on_success: Callable[[Any], Response] = _no_content,  # Any: as above
    *,
    error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP,
    options: ProblemOptions = DEFAULT_PROBLEM_OPTIONS,
) -> Response:
    """Return the response for a Result: that of `on_success` for the value, or the problem document of the error.

    A Success of None gets a 204 without a body (RFC 9110, section 15.3.5).

    >>> from returns.result import Failure, Success
    >>> from domainkit import NotFound
    >>> response_of(Success("Buy milk"), JSONResponse).body
    b'"Buy milk"'
    >>> response_of(Success(None)).status_code
    204
    >>> response_of(Failure(NotFound()), JSONResponse).status_code
    404

    Args:
        result: what a use case returned.
        on_success: returns the response for the value; not needed for a Result of None.
        error_map: the statuses of errors. Classes without an entry are looked up in DEFAULT_HTTP_ERROR_MAP.
        options: the optional content of problem documents.
    """
    return fold(result, on_success, partial(_answered, error_map=error_map, options=options))


def _exception(error: object) -> BaseException:
    """Return the error of a Failure as an exception: anything else has no status, and is a 500."""
    return error if isinstance(error, BaseException) else TypeError(f"a Failure of {type(error).__qualname__}")


def _place(error: BaseException, carrier: BaseException | None) -> str:
    """Return where an error was raised; for one that was returned, where `value_of` was called, if it was."""
    returned_by = None if carrier is None else carrier.__traceback__
    frames = list(walk_tb(error.__traceback__ or returned_by))
    places = [(frame.f_code.co_filename, line) for frame, line in frames if frame.f_code is not _VALUE_OF]
    return " of {}:{}".format(*places[-1]) if places else ""


def _answered(
    error: object, *, error_map: ErrorMap, options: ProblemOptions, carrier: FailureError | None = None
) -> Response:
    """Return the response for an error; from 500 on, log its class and place, which the client doesn't get."""
    found = _exception(error)
    response = problem_response(found, error_map=error_map, options=options)
    if response.status_code >= INTERNAL and not isinstance(found, UnknownError):  # the guard logged that one
        name = f"{type(found).__module__}.{type(found).__qualname__}"
        logger.error("answered %d for %s%s", response.status_code, name, _place(found, carrier))
    return response


def exception_handlers(
    *, error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP, options: ProblemOptions = DEFAULT_PROBLEM_OPTIONS
) -> dict[int | type[Exception], ExceptionHandler]:
    """Return the argument for `Starlette(exception_handlers=...)` and `FastAPI(exception_handlers=...)`.

    The handlers respond with a problem document for a raised DomainError; for a Failure passed to `value_of`; for an
    HTTPException of the framework, such as for an unknown path; for an invalid request in FastAPI, with the path of
    each problem and without the input; and for any other exception, as a constant document with status 500, after which
    the server logs the exception as usual.

    A WebSocket gets the same document if its handshake is pending. An open one is closed: with 1008 for a status below
    500, and with 1011 from 500 on (RFC 6455, section 7.4.1).

    >>> [cls.__name__ for cls in exception_handlers()][:3]
    ['DomainError', 'FailureError', 'HTTPException']

    Args:
        error_map: the map of the app. Classes without an entry are looked up in DEFAULT_HTTP_ERROR_MAP.
        options: the optional content of problem documents.
    """

    def answer(_: Request, error: DomainError) -> Response:
        return _answered(error, error_map=error_map, options=options)

    def answer_failure(_: Request, failure: FailureError) -> Response:
        own = error_map if failure.error_map is None else failure.error_map
        return _answered(failure.error, error_map=own, options=options, carrier=failure)

    async def answer_bug(_: Request, error: Exception) -> Response:
        return problem_response(error, error_map=error_map)  # even a DomainError, if a middleware raised it

    handlers: dict[int | type[Exception], ExceptionHandler] = {
        DomainError: _for_sockets_too(answer),
        FailureError: _for_sockets_too(answer_failure),
        HTTPException: _for_sockets_too(_answer_http),
    }
    with suppress(ImportError):  # FastAPI is not part of the extra
        from fastapi.exceptions import (  # noqa: PLC0415  (FastAPI may be missing)
            RequestValidationError,
            WebSocketRequestValidationError,
        )

        names_in = lru_cache(1024)(_names_in)  # a schema takes milliseconds to make
        invalid = _for_sockets_too(partial(_answer_invalid, options=options, names_in=names_in))
        handlers |= {RequestValidationError: invalid, WebSocketRequestValidationError: invalid}
    return {**handlers, Exception: answer_bug}


def _for_sockets_too(answer: Callable[[Request, Any], Response]) -> ExceptionHandler:  # Any: the exception
    """Return a handler that sends the response to a request, and refuses or closes a WebSocket with it."""

    async def handle(connection: Request, error: Exception) -> Response:
        response = answer(connection, error)
        # Starlette passes a WebSocket too, and sends the returned response to it
        return _end_of(connection, response) if isinstance(connection, WebSocket) else response

    return handle


def _end_of(socket: WebSocket, response: Response) -> Response:
    """Return the response if the handshake is pending and the server can send one; else a close of the WebSocket."""
    if WebSocketState.DISCONNECTED in (socket.client_state, socket.application_state):
        return _Close(None)
    extensions = socket.scope.get("extensions") or {}
    if socket.application_state is WebSocketState.CONNECTING and "websocket.http.response" in extensions:
        return response
    title: str = json.loads(bytes(response.body) or '{"title": ""}')["title"]
    reason = title.encode()[:_LONGEST_REASON].decode(errors="ignore")
    return _Close(WebSocketClose(1011 if response.status_code >= INTERNAL else 1008, reason))


class _Close(Response):
    """The close of a WebSocket; it sends nothing if the WebSocket is closed already."""

    def __init__(self, close: WebSocketClose | None) -> None:
        super().__init__()
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._close is not None:
            await self._close(scope, receive, send)


def _answer_http(_: Request, error: HTTPException) -> Response:
    status, detail = error.status_code, error.detail
    if status in _WITHOUT_BODY:
        return Response(status_code=status, headers=error.headers)
    body: ProblemDetails = {"type": "about:blank", "title": title_of(status), "status": status}
    if status < INTERNAL and isinstance(detail, str) and detail not in ("", body["title"], _phrase(status)):
        body["detail"] = detail
    return ProblemResponse(body, status_code=status, headers=error.headers)


def _phrase(status: int) -> str:
    """Return the default detail of an HTTPException: the phrase of this Python version, perhaps an older one."""
    with suppress(ValueError):
        return HTTPStatus(status).phrase
    return ""


class _RequestProblem(TypedDict):
    """A problem that FastAPI finds in a request."""

    type: str
    loc: Sequence[str | int]
    msg: str
    input: NotRequired[object]


class _InvalidRequest(Protocol):
    """The RequestValidationError of FastAPI, which may not be installed."""

    def errors(self) -> Sequence[_RequestProblem]: ...


def _answer_invalid(
    connection: Request,
    error: _InvalidRequest,
    *,
    options: ProblemOptions,
    names_in: Callable[[object], frozenset[str]],
) -> Response:
    body_field = getattr(connection.scope.get("route"), "body_field", None)
    declared = None if options.client_keys else names_in(body_field)
    body: ProblemDetails = {
        "type": problem_type("Invalid Request", options),
        "title": "Invalid Request",
        "status": INVALID,
        "detail": "The request isn't valid",
        "errors": [
            {"path": _path(problem, declared), "expected": _expected(problem), "code": problem["type"]}
            for problem in error.errors()[:_MOST_PROBLEMS]
        ],
    }
    return ProblemResponse(body, status_code=INVALID)


def _names_in(body: Any) -> frozenset[str]:  # Any: a ModelField of FastAPI
    """Return the field names that the body of a route declares, at any depth; an empty set without a body."""
    if body is None:
        return frozenset()
    from pydantic import TypeAdapter  # noqa: PLC0415  # FastAPI is installed, and so is pydantic
    from pydantic.errors import PydanticInvalidForJsonSchema  # noqa: PLC0415  # as above

    try:
        schema = TypeAdapter(body.field_info.annotation).json_schema()
    except PydanticInvalidForJsonSchema:  # the body has no JSON Schema: its names are unknown
        return frozenset()
    return frozenset(_properties(schema))


def _properties(part: object) -> Iterable[str]:
    """Yield the names of the properties in a JSON Schema, and those of its definitions."""
    if isinstance(part, Mapping):
        for key, inner in part.items():
            if key in ("properties", "$defs") and isinstance(inner, Mapping):
                yield from inner
            yield from _properties(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _properties(inner)


def _path(problem: _RequestProblem, declared: frozenset[str] | None) -> str:
    """Return the path of the problem, such as `body.labels[0]`. An unknown key from the client becomes an asterisk.

    Args:
        problem: pydantic's error.
        declared: the names that the body declares; None to show all keys.
    """
    parts = list(problem["loc"])
    if declared is not None:
        if parts[-1:] == ["[key]"]:
            parts[-2:] = ["*"]
        elif problem["type"] == "extra_forbidden":
            parts[-1] = "*"
        if parts[:1] == ["body"]:
            parts[1:] = ["*" if isinstance(part, str) and part not in declared else part for part in parts[1:]]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


_ABOUT_THE_SHAPE: Final = frozenset({"missing", "json_invalid", "too_short", "too_long"})


def _expected(problem: _RequestProblem) -> str:
    """Return pydantic's message, unless it could repeat the input: validators of a model may include it."""
    message, code, given = problem["msg"], problem["type"], problem.get("input")
    if code == "value_object":  # the pydantic adapter has checked it
        leaks = False
    elif isinstance(given, dict | list):
        leaks = code not in _ABOUT_THE_SHAPE and not code.endswith("_type")
    else:
        leaks = code not in _ABOUT_THE_SHAPE and repeats(message, given)
    return "a valid value" if leaks else message
