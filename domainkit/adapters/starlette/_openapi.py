"""The declared errors of use cases as responses of an OpenAPI document."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from inspect import isroutine
from itertools import chain
from typing import Any, Final, Protocol, TypeAlias, get_args, get_origin, get_type_hints

import attrs
from returns.result import Result

from domainkit._model.annotations import parameters_of, type_arguments
from domainkit._model.type_checks import members
from domainkit.adapters.starlette._handlers import INTERNAL, INVALID, PROBLEM_JSON
from domainkit.conversion.definitions import key_for, summary_of
from domainkit.do_notation import Do
from domainkit.errors import DomainError, UnknownError
from domainkit.http import DEFAULT_HTTP_ERROR_DETAIL, DEFAULT_HTTP_ERROR_MAP, ErrorMap, http_error_of, title_of
from domainkit.messages import Command
from domainkit.ports import AppService, AsyncAppService
from domainkit.results import ADDED
from domainkit.use_cases import AsyncUseCase, UseCase

Documented: TypeAlias = dict[str, Any]  # Any: as FastAPI writes it


def openapi_responses(
    *declared: object, error_map: ErrorMap = DEFAULT_HTTP_ERROR_MAP, validation: bool = False
) -> dict[int | str, Documented]:
    """Return the argument `responses` for a FastAPI app, router or route: the declared errors by status.

    >>> from domainkit import NotFound
    >>> class TaskNotFound(NotFound):
    ...     '''There is no task with this id.'''
    >>> responses = openapi_responses(TaskNotFound)
    >>> responses[404]["description"]
    'Not Found: There is no task with this id.'
    >>> list(responses[404]["content"])
    ['application/problem+json']

    Args:
        declared: error classes, and objects that declare errors: see `declared_errors`.
        error_map: the statuses of errors: the map of the app, or of the route.
        validation: add FastAPI's own responses for requests: 400 for an unreadable body, 422 for an invalid request.

    Raises:
        TypeError: an argument is neither an error class nor declares errors.
    """
    reasons: dict[int, list[str]] = {}
    headers: dict[int, dict[str, object]] = {}
    if validation:
        reasons |= {400: ["The body can't be read."], INVALID: ["The request isn't valid."]}
    errors = (
        (one,) if isinstance(one, type) and issubclass(one, BaseException) else declared_errors(one) for one in declared
    )
    for error_type in chain.from_iterable(errors):
        found = http_error_of(error_type, error_map=error_map)
        detail, known = found.detail, reasons.setdefault(found.status_code, [])
        if detail == DEFAULT_HTTP_ERROR_DETAIL:
            detail = summary_of(error_type) or error_type.__name__
        if found.status_code < INTERNAL and detail and detail not in known:
            known.append(detail)
        waits = ("Retry-After",) if "retry_after" in _fields_of(error_type) else ()
        for name in (*(found.headers or ()), *waits):
            headers.setdefault(found.status_code, {})[name] = {"schema": {"type": "string"}}
    return {status: _response(status, reasons[status], headers.get(status)) for status in sorted(reasons)}


def _fields_of(error_type: type[BaseException]) -> Mapping[str, object]:
    return attrs.fields_dict(error_type) if issubclass(error_type, DomainError) else {}


def _response(status: int, reasons: Sequence[str], headers: Mapping[str, object] | None) -> Documented:
    made = {
        "description": ": ".join(part for part in (title_of(status), " ".join(reasons)) if part),
        "content": {PROBLEM_JSON: {"schema": _problem_schema()}},
    }
    return made if headers is None else {**made, "headers": headers}


def _problem_schema() -> dict[str, object]:
    return {
        "title": "Problem",
        "description": "A problem document (RFC 9457)",
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "instance": {"type": "string", "format": "uri-reference"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["path", "expected", "code"],
                    "properties": {name: {"type": "string"} for name in ("path", "expected", "code")},
                },
            },
        },
    }


class _Documents(Protocol):
    """The part of a FastAPI app that makes its document."""

    def openapi(self) -> Documented: ...


def name_problem_schema(app: _Documents) -> None:
    """Make the OpenAPI document of a FastAPI app define problems once, as `Problem` under `components/schemas`.

    By itself FastAPI repeats the schema of `openapi_responses` in each response: it names schemas only for plain JSON.

    Args:
        app: the app; routes may be added later.
    """
    made = app.openapi

    def openapi() -> Documented:
        document, problem = made(), _problem_schema()
        answers = (
            answer
            for path in (document.get("paths") or {}).values()
            for operation in path.values()
            if isinstance(operation, dict)
            for answer in operation.get("responses", {}).values()
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        name = key_for("Problem", [key for key, schema in schemas.items() if schema != problem])
        for answer in answers:
            content = answer.get("content", {}).get(PROBLEM_JSON, {})
            if content.get("schema") == problem:
                content["schema"], schemas[name] = {"$ref": f"#/components/schemas/{name}"}, problem
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents


def declared_errors(use_case: object) -> tuple[type[BaseException], ...]:
    """Return the errors that a use case declares.

    >>> from returns.result import Result, Success
    >>> from domainkit import NotFound
    >>> class Greet(UseCase[[str], str, NotFound]):
    ...     def execute(self, name: str) -> Result[str, NotFound]:
    ...         return Success(f"Hello {name}")
    >>> declared_errors(Greet)
    (<class 'domainkit.errors.NotFound'>, <class 'domainkit.errors.UnknownError'>)

    Args:
        use_case: a UseCase or AppService, async or not, or a class of these; a command class; a function or method with
            an annotation `-> Result[...]`, such as `tasks.retrieve` of a repository, also under `@use_case` or
            `@early_return`; or one of them wrapped by `atomic`, `once`, `refusing` or `retried`, which add errors. For
            a use case the guard's UnknownError is included; for a function it is not.

    Raises:
        TypeError: it is another object, or a function without such an annotation.
    """
    if isroutine(use_case):
        added = getattr(use_case, ADDED, None)
        if added is not None:
            known = declared_errors(getattr(use_case, "__wrapped__", None))
            return tuple(dict.fromkeys((*known, *chain.from_iterable(map(_made_by, added)))))
        return _classes_in(_error_of_function(use_case))
    cls = use_case if isinstance(use_case, type) else type(use_case)
    for base in (UseCase, AsyncUseCase, AppService, AsyncAppService, Command):
        if issubclass(cls, base):
            parameter = parameters_of(base)[-1]
            guarded = (UnknownError,) if base in (UseCase, AsyncUseCase) else ()
            return tuple(dict.fromkeys((*_classes_in(type_arguments(cls, base).get(parameter, DomainError)), *guarded)))
    raise _nothing_declared(use_case)


def _error_of_function(function: Callable[..., object]) -> object:
    hints = get_type_hints(function)
    if get_origin(hints.get("do")) is Do:  # of early_return
        return get_args(hints["do"])[0]
    hint = hints.get("return")
    while get_origin(hint) in _LATER:
        hint = get_args(hint)[-1]
    if get_origin(hint) is not Result:
        raise _nothing_declared(function)
    return get_args(hint)[1]


def _made_by(error: object) -> tuple[type[BaseException], ...]:
    """Return an error class, or the error classes in the return annotation of a function."""
    return _classes_in(get_type_hints(error).get("return") if isroutine(error) else error)


_LATER: Final = (Awaitable, Coroutine)


def _classes_in(hint: object) -> tuple[type[BaseException], ...]:
    return tuple(one for one in members(hint) if isinstance(one, type) and issubclass(one, BaseException))


def _nothing_declared(source: object) -> TypeError:
    name = getattr(source, "__qualname__", type(source).__qualname__)
    return TypeError(
        f"{name} declares no errors; name their classes, or pass a UseCase, an AppService, a command class, or a "
        "function with the annotation -> Result[value, errors]"
    )
