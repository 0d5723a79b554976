"""The Starlette adapter: the value of what a mediator answers, the response for it, and what an app is given.

Besides, the fields of pydantic models: value objects as they are, and other types of the domain by a mark.
"""

from typing import Annotated, Any, assert_type

from attrs import frozen
from fastapi import FastAPI
from pydantic import BaseModel
from returns.result import Result, Success
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response

from domainkit import AsyncMediator, HttpError, Mediator, NotFound, ProblemOptions
from domainkit.adapters.pydantic import DomainType
from domainkit.adapters.sqlalchemy import AsyncUnitOfWork, UnitOfWork, make_async_engine, make_engine
from domainkit.adapters.starlette import (
    FailureError,
    ProblemResponse,
    UnitOfWorkMiddleware,
    declared_errors,
    exception_handlers,
    name_problem_schema,
    openapi_responses,
    problem_response,
    response_of,
    value_of,
)
from domainkit.http import ErrorMap

from board import CreateTask, NoPermission, TaskId, Title, create_task, open_task

mediator = Mediator(CreateTask.handled_by(create_task))
later = AsyncMediator(CreateTask.handled_by(create_task))
command = CreateTask(Title("Buy milk"))
forbidden: ErrorMap = {NoPermission: HttpError(status_code=403)}

# a sent command, without a variable between
created: TaskId = value_of(mediator.send(command))
assert_type(value_of(mediator.send(CreateTask(Title("Buy milk")))), TaskId)
assert_type(value_of(open_task(Title("Buy milk")), error_map=forbidden).title, Title)
assert_type(response_of(mediator.send(command), lambda found: JSONResponse(str(found))), Response)


def nothing() -> Result[None, NotFound]:
    return Success(None)


assert_type(response_of(nothing()), Response)
assert_type(response_of(nothing(), error_map=forbidden), Response)
assert_type(response_of(nothing(), JSONResponse), Response)


async def endpoint() -> TaskId:
    return value_of(await later.send(CreateTask(Title("Buy milk"))))


app = Starlette(exception_handlers=exception_handlers(error_map=forbidden))
assert_type(problem_response(NotFound(), options=ProblemOptions()), ProblemResponse)
assert_type(openapi_responses(NotFound, CreateTask, validation=True), dict[int | str, dict[str, Any]])
assert_type(name_problem_schema(FastAPI()), None)
assert_type(declared_errors(CreateTask), tuple[type[BaseException], ...])
assert_type(FailureError(NotFound()).error, BaseException)

app.add_middleware(UnitOfWorkMiddleware, begin=UnitOfWork(make_engine("sqlite://")).begin_shared)
app.add_middleware(UnitOfWorkMiddleware, begin=AsyncUnitOfWork(make_async_engine("sqlite://")).begin_shared)


@frozen
class Money:
    cents: int


class Offer(BaseModel):
    title: Title
    price: Annotated[Money, DomainType]
    more: Annotated[tuple[Money, ...], DomainType] = ()


offer = Offer(title=Title("Buy milk"), price=Money(5))
assert_type(offer.title, Title)
assert_type(offer.price, Money)
assert_type(offer.more, tuple[Money, ...])
