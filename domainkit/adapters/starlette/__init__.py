"""Results and domain errors as HTTP responses of Starlette and FastAPI (extra `starlette`).

Every failure is a problem document (RFC 9457) without internals, and the OpenAPI document has all declared errors:

    app = FastAPI(exception_handlers=exception_handlers(), responses=openapi_responses(UnknownError, validation=True))

    @app.post("/tasks", status_code=201, responses=openapi_responses(TaskCreator, validation=True))
    def create(body: TaskBody) -> TaskView:
        return TaskView.of(value_of(create_task(body.title)))
"""

try:
    import starlette  # noqa: F401  # checks that it is installed
except ImportError as _error:
    from domainkit.adapters import missing_extra

    raise missing_extra(__name__, "starlette") from _error

from domainkit.adapters.starlette._handlers import (
    PROBLEM_JSON,
    ExceptionHandler,
    FailureError,
    ProblemResponse,
    exception_handlers,
    problem_response,
    response_of,
    value_of,
)
from domainkit.adapters.starlette._middleware import UnitOfWorkMiddleware
from domainkit.adapters.starlette._openapi import declared_errors, name_problem_schema, openapi_responses

__all__ = [
    "PROBLEM_JSON",
    "ExceptionHandler",
    "FailureError",
    "ProblemResponse",
    "UnitOfWorkMiddleware",
    "declared_errors",
    "exception_handlers",
    "name_problem_schema",
    "openapi_responses",
    "problem_response",
    "response_of",
    "value_of",
]
