"""Answers of Starlette and FastAPI for Results, domain errors and other exceptions."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from http import HTTPStatus
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
"""A function that answers for an exception."""

logger = logging.getLogger("domainkit.adapters.starlette")

NO_CONTENT: Final = 204
INVALID: Final = 422
INTERNAL: Final = 500
_MOST_PROBLEMS: Final = 100
_LONGEST_REASON: Final = 123
"""The bytes that the close of a WebSocket has for a reason (RFC 6455, section 5.5)."""
_WITHOUT_BODY: Final = frozenset({NO_CONTENT, 205, 304})


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = PROBLEM_JSON


class FailureError(Exception):
    """Carries the error of a Failure from a route to the exception handler. Raised by `value_of`.

    Args:
        error: the error.
        error_map: the map of the route, where it has one.
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
    """Return the answer for an error: its status, its problem document, and its headers, such as Retry-After.

    >>> from domainkit import NotFound
    >>> problem_response(NotFound()).status_code
    404

    Args:
        error: a domain error, or any exception; from status 500 on, the body is a constant.
        error_map: which status an error has. What it doesn't have is looked up in DEFAULT_HTTP_ERROR_MAP.
        instance: a URI reference for this occurrence. The path of a request is one, and may hold a secret.
        options: what the document tells besides.
    """
    body = problem_details(error, error_map=error_map, instance=instance, options=options)
    headers = http_headers_for(error, error_map=error_map)
    return ProblemResponse(body, status_code=http_error_for(error, error_map=error_map).status_code, headers=headers)


def value_of(result: Result[T, object], *, error_map: ErrorMap | None = None) -> T:
    """Return the value of a Success; raise FailureError for a Failure, which `exception_handlers` answers.

    Where there is no value, give the route `status_code=204`: else FastAPI answers 200 with the body `null`.

    >>> from returns.result import Success
    >>> value_of(Success(5))
    5

    Args:
        result: what a use case returned.
        error_map: the map of this route; that of the app unless given.

    Raises:
        FailureError: the result is a Failure.
    """
    if isinstance(result, Failure):
        raise FailureError(_exception(result.failure()), error_map)
    return result.unwrap()


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
    """Return the response for a Result: what `on_success` makes of the value, or the problem document of the error.

    A success without a value has no body: 204 (RFC 9110, section 15.3.5).

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
        on_success: makes the response of the value; one without a value needs none.
        error_map: which status an error has. What it doesn't have is looked up in DEFAULT_HTTP_ERROR_MAP.
        options: what a problem document tells besides.
    """
    return fold(result, on_success, partial(_answered, error_map=error_map, options=options))


def _exception(error: object) -> BaseException:
    """Return the error of a Failure as an exception: anything else has no status, and is a 500."""
    return error if isinstance(error, BaseException) else TypeError(f"a Failure of {type(error).__qualname__}")


def _answered(error: object, *, error_map: ErrorMap, options: ProblemOptions) -> Response:
    """Return the answer for an error; one that the client learns nothing of is logged, by its class and place."""
    found = _exception(error)
    response = problem_response(found, error_map=error_map, options=options)
    if response.status_code >= INTERNAL and not isinstance(found, UnknownError):  # the guard logged that one
        place = UnknownError.from_exception(found)
        name = f"{type(found).__module__}.{type(found).__qualname__}"
        logger.error("answered %d for %s of %s:%s", response.status_code, name, place.filename, place.lineno)
    return response


def exception_handlers(
    *, error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP, options: ProblemOptions = DEFAULT_PROBLEM_OPTIONS
) -> dict[int | type[Exception], ExceptionHandler]:
    """Return what `Starlette(exception_handlers=...)` and `FastAPI(exception_handlers=...)` take.

    These get a problem document: a DomainError that is raised; the error of a Failure that `value_of` met; the
    HTTPException of the framework, such as for a path that there isn't; a request that FastAPI finds invalid, with the
    path of each problem and without the input; and every other exception, as a constant with status 500, after which
    the server logs the exception as it always does.

    A WebSocket gets the same document instead of its handshake. One that is open is closed: with 1008 for a status
    below 500, and 1011 from there on (RFC 6455, section 7.4.1).

    >>> [cls.__name__ for cls in exception_handlers()][:3]
    ['DomainError', 'FailureError', 'HTTPException']

    Args:
        error_map: the map of the app. What it doesn't have is looked up in DEFAULT_HTTP_ERROR_MAP.
        options: what a problem document tells besides.
    """

    def answer(_: Request, error: DomainError) -> Response:
        return _answered(error, error_map=error_map, options=options)

    def answer_failure(_: Request, failure: FailureError) -> Response:
        own = error_map if failure.error_map is None else failure.error_map
        return _answered(failure.error, error_map=own, options=options)

    async def answer_bug(_: Request, error: Exception) -> Response:
        return problem_response(error, error_map=error_map)  # a DomainError too, where a middleware raised it

    handlers: dict[int | type[Exception], ExceptionHandler] = {
        DomainError: _for_sockets_too(answer),
        FailureError: _for_sockets_too(answer_failure),
        HTTPException: _for_sockets_too(_answer_http),
    }
    with suppress(ImportError):  # the extra doesn't ask for FastAPI
        from fastapi.exceptions import (  # noqa: PLC0415  (FastAPI may be missing)
            RequestValidationError,
            WebSocketRequestValidationError,
        )

        names_in = lru_cache(1024)(_names_in)  # a schema takes milliseconds to make
        invalid = _for_sockets_too(partial(_answer_invalid, options=options, names_in=names_in))
        handlers |= {RequestValidationError: invalid, WebSocketRequestValidationError: invalid}
    return {**handlers, Exception: answer_bug}


def _for_sockets_too(answer: Callable[[Request, Any], Response]) -> ExceptionHandler:  # Any: the exception
    """Return the handler that gives the answer to a request, and refuses or closes a WebSocket with it."""

    async def handle(connection: Request, error: Exception) -> Response:
        response = answer(connection, error)
        # Starlette hands over what it has, and sends what it gets
        return _end_of(connection, response) if isinstance(connection, WebSocket) else response

    return handle


def _end_of(socket: WebSocket, response: Response) -> Response:
    """Return what ends a WebSocket: the response, if its handshake is open and the server can send one; or a close."""
    if WebSocketState.DISCONNECTED in (socket.client_state, socket.application_state):
        return _Close(None)
    extensions = socket.scope.get("extensions") or {}
    if socket.application_state is WebSocketState.CONNECTING and "websocket.http.response" in extensions:
        return response
    title: str = json.loads(bytes(response.body) or '{"title": ""}')["title"]
    reason = title.encode()[:_LONGEST_REASON].decode(errors="ignore")
    return _Close(WebSocketClose(1011 if response.status_code >= INTERNAL else 1008, reason))


class _Close(Response):
    """The close of a WebSocket; nothing, if it is closed already."""

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
    """Return what an HTTPException without a text says: the phrase that this Python has, perhaps an older one."""
    with suppress(ValueError):
        return HTTPStatus(status).phrase
    return ""


class _RequestProblem(TypedDict):
    """One thing that FastAPI finds wrong in a request."""

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
    """Return the names of fields that the body of a route declares, at any depth; none if it has no body."""
    if body is None:
        return frozenset()
    from pydantic import TypeAdapter  # noqa: PLC0415  # FastAPI is installed, and so is pydantic
    from pydantic.errors import PydanticInvalidForJsonSchema  # noqa: PLC0415  # as above

    try:
        schema = TypeAdapter(body.field_info.annotation).json_schema()
    except PydanticInvalidForJsonSchema:  # a body that can't be described: nothing is known of its names
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
    """Return where the problem is, such as `body.labels[0]`. A name that only the client knows is an asterisk.

    Args:
        problem: what pydantic says.
        declared: the names that the body declares; None for "tell them all".
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
    """Return pydantic's message, unless it could repeat the input: the validators of a model say what they like."""
    message, code, given = problem["msg"], problem["type"], problem.get("input")
    if code == "value_object":  # the adapter for pydantic has looked
        told = False
    elif isinstance(given, dict | list):
        told = code not in _ABOUT_THE_SHAPE and not code.endswith("_type")
    else:
        told = code not in _ABOUT_THE_SHAPE and repeats(message, given)
    return "a valid value" if told else message
