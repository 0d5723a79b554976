"""Wrong code around the Starlette adapter: a type checker refuses each line marked `# wrong`, and no other."""

from board import CreateTask, NoPermission, Task, TaskId, Title, create_task, open_task
from starlette.applications import Starlette
from starlette.responses import JSONResponse

from domainkit import AsyncMediator, Mediator, NotFound
from domainkit.adapters.sqlalchemy import UnitOfWork, make_engine
from domainkit.adapters.starlette import (
    FailureError,
    UnitOfWorkMiddleware,
    exception_handlers,
    openapi_responses,
    problem_response,
    response_of,
    value_of,
)

mediator = Mediator(CreateTask.handled_by(create_task))
later = AsyncMediator(CreateTask.handled_by(create_task))
command = CreateTask(Title("Buy milk"))

text: str = value_of(mediator.send(CreateTask(Title("Buy milk"))))  # wrong: it is a TaskId
task: Task = value_of(mediator.send(command))  # wrong: it is a TaskId
value_of(open_task(Title("Buy milk"))).close_all()  # wrong: unknown method
value_of(command)  # wrong: a command is no Result
value_of(open_task(Title("Buy milk")), error_map={NoPermission: 403})  # wrong: a number is no HttpError
response_of(mediator.send(command), str)  # wrong: a text is no response
response_of(mediator.send(command))  # wrong: what makes the response is missing
response_of(command, JSONResponse)  # wrong: a command is no Result
problem_response("not found")  # wrong: a text is no error
exception_handlers({})  # wrong: options are keyword-only
openapi_responses(NotFound, validation="yes")  # wrong: a text is no flag
FailureError(404)  # wrong: a number is no error


async def endpoint() -> TaskId:
    value_of(later.send(command))  # wrong: it is not awaited
    return value_of(await later.send(command)).value  # wrong: it wraps a UUID

UnitOfWorkMiddleware(Starlette(), UnitOfWork(make_engine("sqlite://")).begin)  # wrong: it is for one thread, and not async
UnitOfWorkMiddleware(Starlette(), begin=UnitOfWork(make_engine("sqlite://")))  # wrong: a unit of work is no function
