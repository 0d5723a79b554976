"""Errors: raised, carried as values, told apart, and turned into HTTP."""

from collections.abc import Mapping
from datetime import timedelta
from typing import assert_type

from attrs import frozen
from returns.result import Failure, Result

from domainkit import (
    DEFAULT_HTTP_ERROR_MAP,
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregatesNotFoundError,
    AggregateVersionConflictError,
    AlreadyExists,
    BusCannotPublish,
    ClientAlreadyExists,
    ClientNotFound,
    ConflictError,
    CriticalError,
    DomainError,
    ErrorMap,
    HttpError,
    InvalidMessage,
    InvalidUuid,
    InvalidValueObject,
    MessageRefused,
    NotAllowed,
    NotFound,
    Problem,
    ProblemDetails,
    ProblemOptions,
    UnknownError,
    UnknownMessage,
    UserAlreadyExists,
    UserNotFound,
    http_error_for,
    http_headers_for,
    problem_details,
)

from board import DuplicateTask, TaskId


@frozen
class TooManyTasks(DomainError):
    limit: int


error = TooManyTasks(limit=3, uuid_value="7d2b", additional_info={"list": "home"})
assert_type(error.limit, int)
assert_type(error.uuid_value, str | None)
assert_type(error.additional_info, Mapping[str, object] | None)
assert_type(error.detail(), str)
assert_type(DuplicateTask(), DuplicateTask)
lost: ConflictError = AggregateVersionConflictError(TaskId.v4(), 2)


def refuse() -> Result[int, TooManyTasks]:
    return Failure(TooManyTasks(limit=3))


def complain() -> None:
    try:
        raise TooManyTasks(limit=3)
    except TooManyTasks as caught:
        assert_type(caught.limit, int)


def told_apart(found: DuplicateTask | TooManyTasks) -> str:
    if isinstance(found, TooManyTasks):
        return f"at most {found.limit}"
    assert_type(found, DuplicateTask)
    return found.detail()


task_id = TaskId.v4()
every_error: tuple[DomainError, ...] = (
    CriticalError(),
    BusCannotPublish(additional_info={"message": "closed"}),
    MessageRefused(uuid_value="7d2b"),
    UnknownError.from_exception(KeyError("id"), executor="TaskCreator"),
    NotFound(),
    AggregateNotFoundError(task_id, repository_name="tasks"),
    AggregateNotFoundError(),
    AggregateNotFoundError(None, "tasks"),
    AggregateNotFoundError(repository_name="tasks"),
    AggregatesNotFoundError("tasks"),
    ClientNotFound(),
    UserNotFound(uuid_value=str(task_id)),
    AlreadyExists(),
    AggregateAlreadyExistError(task_id, "tasks", table_name="task"),
    AggregateAlreadyExistError(repository_name="tasks"),
    ClientAlreadyExists(),
    UserAlreadyExists(),
    AggregateVersionConflictError(task_id, expected_version=2, stored_version=3, repository_name="tasks"),
    NotAllowed(),
    InvalidValueObject(),
    InvalidUuid(),
    InvalidMessage(problems=(Problem("$.data.id", expected="a UUID", code="missing"),)),
    UnknownMessage(),
)
critical: CriticalError = BusCannotPublish()
refused: BusCannotPublish = MessageRefused()
not_found: tuple[NotFound, ...] = (AggregateNotFoundError(task_id), AggregatesNotFoundError(), ClientNotFound())
exists: tuple[AlreadyExists, ...] = (
    AggregateAlreadyExistError(task_id),
    ClientAlreadyExists(),
    UserAlreadyExists(),
)
invalid: InvalidMessage = UnknownMessage()
assert_type(UnknownError().filename, str | None)
assert_type(UnknownError().lineno, int | None)
assert_type(UnknownError().executor, str | None)
assert_type(invalid.problems, tuple[Problem, ...])
assert_type(invalid.problems[0].path, str)

own_map: ErrorMap = {DuplicateTask: HttpError(status_code=409, detail="There is such a task", type_error="Duplicate")}
merged: ErrorMap = {**DEFAULT_HTTP_ERROR_MAP, **own_map}
assert_type(http_error_for(DuplicateTask()), HttpError)
assert_type(http_error_for(RuntimeError(), error_map=own_map).status_code, int)
assert_type(http_error_for(DuplicateTask(), error_map=merged).headers, Mapping[str, str] | None)
assert_type(http_headers_for(BusCannotPublish(retry_after=timedelta(seconds=5))), Mapping[str, str])
options = ProblemOptions(type_base="https://tasks.example/", tells={DuplicateTask: ("detail",)}, client_keys=True)
assert_type(problem_details(DuplicateTask(), options=options)["type"], str)
body = problem_details(DuplicateTask(), error_map=own_map, instance="/tasks/7", type_uri="about:blank")
assert_type(body, ProblemDetails)
assert_type(body["status"], int)
assert_type(body.get("detail"), str | None)
