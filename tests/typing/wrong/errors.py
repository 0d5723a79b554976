"""Wrong code around errors and HTTP: a type checker refuses each line marked `# wrong`, and no other."""

from attrs import frozen
from board import DuplicateTask, NoPermission, Task, Title
from returns.result import Failure, Result

from domainkit import (
    AggregateNotFoundError,
    AggregateVersionConflictError,
    DomainError,
    ErrorMap,
    HttpError,
    InvalidMessage,
    NotFound,
    UnknownError,
    ProblemOptions,
    http_error_for,
    http_headers_for,
    problem_details,
)


@frozen
class TooManyTasks(DomainError):
    limit: int


TooManyTasks()  # wrong: the limit is missing
TooManyTasks(limit="3")  # wrong: a str is no int
TooManyTasks(limit=3).limit = 4  # wrong: frozen
DuplicateTask(uuid_value=5)  # wrong: a text
DuplicateTask(additional_info="home")  # wrong: a mapping
DuplicateTask("7d2b")  # wrong: fields of errors are keyword-only
DuplicateTask().limit  # wrong: unknown field
AggregateNotFoundError("7d2b")  # wrong: a text is no id
AggregateVersionConflictError(Task(Title("x")).aggregate_id)  # wrong: the version is missing
InvalidMessage(problems=["$.data"])  # wrong: a tuple of problems
found: NotFound = DuplicateTask()  # wrong: another error
UnknownError.from_exception("KeyError")  # wrong: a text is no exception


def refuse() -> Result[Task, NoPermission]:
    return Failure(DuplicateTask())  # wrong: another error


HttpError("404")  # wrong: an int
HttpError(status_code=404).status_code = 500  # wrong: frozen
HttpError(headers={"Retry-After": 5})  # wrong: headers are text
by_name: ErrorMap = {"DuplicateTask": HttpError()}  # wrong: by class, not by name
by_status: ErrorMap = {DuplicateTask: 409}  # wrong: an HttpError
by_exception: ErrorMap = {KeyError: HttpError()}  # wrong: only domain errors
http_error_for(DuplicateTask)  # wrong: a class is no error
http_error_for(DuplicateTask(), {})  # wrong: options are keyword-only
problem_details(DuplicateTask(), "about:blank")  # wrong: options are keyword-only
http_headers_for(DuplicateTask)  # wrong: a class is no error
ProblemOptions(tells={DuplicateTask: "detail"})  # wrong: a text is no tuple of names
ProblemOptions("https://tasks.example/")  # wrong: options are keyword-only
problem_details(DuplicateTask(), options={})  # wrong: a dict is no ProblemOptions
problem_details(DuplicateTask())["code"]  # wrong: unknown member
