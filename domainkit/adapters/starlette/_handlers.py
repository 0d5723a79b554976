"""Answers of Starlette and FastAPI for Results, domain errors and other exceptions."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NotRequired, Protocol, TypedDict, TypeVar, overload

from returns.result import Failure, Result
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domainkit._model.reasons import repeats
from domainkit.errors import DomainError, UnknownError
from domainkit.http import DEFAULT_HTTP_ERROR_MAP, ErrorMap, ProblemDetails, http_error_of, problem_details, title_of
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
    error: BaseException, *, error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP, instance: str | None = None
) -> ProblemResponse:
    """Return the answer for an error: its status, its problem document, and the headers that the map gives it.

    >>> from domainkit import NotFound
    >>> problem_response(NotFound()).status_code
    404

    Args:
        error: a domain error, or any exception; from status 500 on, the body is a constant.
        error_map: which status an error has. What it doesn't have is looked up in DEFAULT_HTTP_ERROR_MAP.
        instance: a URI reference for this occurrence. The path of a request is one, and may hold a secret.
    """
    found = http_error_of(type(error), error_map=error_map)
    headers = None if found.headers is None else dict(found.headers)
    body = problem_details(error, error_map=error_map, instance=instance)
    return ProblemResponse(body, status_code=found.status_code, headers=headers)


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
def response_of(result: Result[None, object], *, error_map: ErrorMap = ...) -> Response: ...
@overload
def response_of(
    result: Result[T, object], on_success: Callable[[T], Response], *, error_map: ErrorMap = ...
) -> Response: ...
def response_of(
    result: Result[Any, object],  # Any: what on_success takes
    on_success: Callable[[Any], Response] = _no_content,  # Any: as above
    *,
    error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP,
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
    """
    return fold(result, on_success, partial(_answered, error_map=error_map))


def _exception(error: object) -> BaseException:
    """Return the error of a Failure as an exception: anything else has no status, and is a 500."""
    return error if isinstance(error, BaseException) else TypeError(f"a Failure of {type(error).__qualname__}")


def _answered(error: object, *, error_map: ErrorMap) -> Response:
    """Return the answer for an error; one that the client learns nothing of is logged, by its class and place."""
    found = _exception(error)
    response = problem_response(found, error_map=error_map)
    if response.status_code >= INTERNAL and not isinstance(found, UnknownError):  # the guard logged that one
        place = UnknownError.from_exception(found)
        name = f"{type(found).__module__}.{type(found).__qualname__}"
        logger.error("answered %d for %s of %s:%s", response.status_code, name, place.filename, place.lineno)
    return response


def exception_handlers(
    *, error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP
) -> dict[int | type[Exception], ExceptionHandler]:
    """Return what `Starlette(exception_handlers=...)` and `FastAPI(exception_handlers=...)` take.

    These get a problem document: a DomainError that is raised; the error of a Failure that `value_of` met; the
    HTTPException of the framework, such as for a path that there isn't; a request that FastAPI finds invalid, with the
    path of each problem and without the input; and every other exception, as a constant with status 500, after which
    the server logs the exception as it always does.

    >>> [cls.__name__ for cls in exception_handlers()][:3]
    ['DomainError', 'FailureError', 'HTTPException']

    Args:
        error_map: the map of the app. What it doesn't have is looked up in DEFAULT_HTTP_ERROR_MAP.
    """

    async def answer(_: Request, error: DomainError) -> Response:
        return _answered(error, error_map=error_map)

    async def answer_failure(_: Request, failure: FailureError) -> Response:
        return _answered(failure.error, error_map=error_map if failure.error_map is None else failure.error_map)

    async def answer_bug(_: Request, error: Exception) -> Response:
        return problem_response(error, error_map=error_map)  # a DomainError too, where a middleware raised it

    handlers: dict[int | type[Exception], ExceptionHandler] = {
        DomainError: answer,
        FailureError: answer_failure,
        HTTPException: _answer_http,
    }
    with suppress(ImportError):  # the extra doesn't ask for FastAPI
        from fastapi.exceptions import RequestValidationError  # noqa: PLC0415  # as above

        handlers[RequestValidationError] = _answer_invalid
    return {**handlers, Exception: answer_bug}


async def _answer_http(_: Request, error: HTTPException) -> Response:
    status, detail = error.status_code, error.detail
    if status in _WITHOUT_BODY:
        return Response(status_code=status, headers=error.headers)
    body: ProblemDetails = {"type": "about:blank", "title": title_of(status), "status": status}
    if status < INTERNAL and isinstance(detail, str) and detail not in ("", body["title"]):
        body["detail"] = detail
    return ProblemResponse(body, status_code=status, headers=error.headers)


class _RequestProblem(TypedDict):
    """One thing that FastAPI finds wrong in a request."""

    type: str
    loc: Sequence[str | int]
    msg: str
    input: NotRequired[object]


class _InvalidRequest(Protocol):
    """The RequestValidationError of FastAPI, which may not be installed."""

    def errors(self) -> Sequence[_RequestProblem]: ...


async def _answer_invalid(_: Request, error: _InvalidRequest) -> Response:
    body: ProblemDetails = {
        "type": "about:blank",
        "title": title_of(INVALID),
        "status": INVALID,
        "detail": "The request isn't valid",
        "errors": [
            {"path": _path(problem), "expected": _expected(problem), "code": problem["type"]}
            for problem in error.errors()[:_MOST_PROBLEMS]
        ],
    }
    return ProblemResponse(body, status_code=INVALID)


def _path(problem: _RequestProblem) -> str:
    """Return where the problem is, such as `body.labels[0]`. A name that only the client knows is an asterisk."""
    parts = list(problem["loc"])
    if parts[-1:] == ["[key]"]:
        parts[-2:] = ["*"]
    elif problem["type"] == "extra_forbidden":
        parts[-1] = "*"
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
