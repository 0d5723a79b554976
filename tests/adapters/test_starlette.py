"""Results and domain errors as answers of Starlette and FastAPI."""

import json
import logging
import re
import runpy
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import uuid4

import pytest
from attrs import field, frozen
from attrs.validators import ge, max_len
from returns.result import Failure, Result, Success

from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateRoot,
    AggregateVersionConflictError,
    AlreadyExists,
    AppService,
    AsyncCrudRepository,
    AsyncUseCase,
    BusCannotPublish,
    Command,
    ConflictError,
    CriticalError,
    CrudRepository,
    Do,
    DomainError,
    ErrorMap,
    HttpError,
    InmemoryCrudRepository,
    InvalidMessage,
    InvalidValueObject,
    NotFound,
    OutcomeUnknownError,
    Problem,
    ProblemOptions,
    UnknownError,
    UseCase,
    Uuid,
    ValueObject,
    early_return,
    use_case,
)

for needed in ("starlette", "fastapi", "httpx"):
    pytest.importorskip(needed, reason=f"{needed} isn't installed: the extra starlette is tested with it")

import httpx  # noqa: E402  # after it is known to be there
from fastapi import FastAPI, HTTPException  # noqa: E402  # as above
from pydantic import BaseModel, ConfigDict, field_validator  # noqa: E402  # as above
from starlette.applications import Starlette  # noqa: E402  # as above
from starlette.exceptions import HTTPException as StarletteHTTPException  # noqa: E402  # as above
from starlette.requests import Request  # noqa: E402  # as above
from starlette.responses import JSONResponse, Response  # noqa: E402  # as above
from starlette.routing import Route  # noqa: E402  # as above

import domainkit.adapters.starlette  # noqa: E402  # as above
from domainkit.adapters.pydantic import DomainType  # noqa: E402  # as above
from domainkit.adapters.starlette import (  # noqa: E402  # as above
    PROBLEM_JSON,
    FailureError,
    declared_errors,
    exception_handlers,
    name_problem_schema,
    openapi_responses,
    problem_response,
    response_of,
    value_of,
)

T = TypeVar("T")
LOGGER = "domainkit.adapters.starlette"
CONSTANT = {"type": "about:blank", "title": "Internal Server Error", "status": 500}


class TaskId(Uuid): ...


@frozen
class Title(ValueObject[str]):
    value: str = field(validator=max_len(5))


class TaskNotFound(NotFound):
    """There is no task with this id.

    More about it.
    """


class DuplicateTask(AlreadyExists): ...


class TooMany(DomainError): ...


class Busy(TooMany): ...


ERRORS: ErrorMap = {TooMany: HttpError(status_code=429, detail="Slow down", headers={"Retry-After": "60"})}
Endpoint = Callable[..., Any]


def client(app: Any) -> httpx.AsyncClient:
    """Return a client of an app in this process."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


def starlette(endpoint: Endpoint, error_map: ErrorMap) -> Any:
    """Return a Starlette app with one route."""
    return Starlette(
        routes=[Route("/it", endpoint, methods=["GET"])], exception_handlers=exception_handlers(error_map=error_map)
    )


def fastapi(endpoint: Endpoint, error_map: ErrorMap) -> Any:
    """Return a FastAPI app with one route."""
    app = FastAPI(exception_handlers=exception_handlers(error_map=error_map))
    app.get("/it", response_model=None)(endpoint)
    return app


async def get(app: Any, path: str = "/it") -> httpx.Response:
    """Return what the app answers."""
    async with client(app) as asking:
        return await asking.get(path)


FRAMEWORKS = pytest.mark.parametrize("framework", [starlette, fastapi])
Framework = Callable[[Endpoint, ErrorMap], Any]


@FRAMEWORKS
@pytest.mark.parametrize("raised", [True, False], ids=["raised", "failure"])
@pytest.mark.parametrize(
    ("error", "status", "kind", "detail"),
    [
        (TaskNotFound(additional_info={"message": "There is no such task"}), 404, "task-not-found", None),
        (DuplicateTask(uuid_value="7d2b"), 409, "duplicate-task", None),
        (TooMany(), 429, "too-many", "Slow down"),
        (Busy(), 429, "busy", "Slow down"),
    ],
)
async def test_a_domain_error_is_a_problem_document(  # noqa: PLR0913  # what one answer has
    framework: Framework, error: DomainError, status: int, kind: str, detail: str | None, *, raised: bool
) -> None:
    """Raised in a route or met by `value_of`, it has the status and headers that the app's map gives it."""

    async def endpoint(_: Request) -> Response:
        if raised:
            raise error
        return JSONResponse(value_of(Failure(error)))

    answer = await get(framework(endpoint, ERRORS))
    assert (status, PROBLEM_JSON) == (answer.status_code, answer.headers["content-type"])
    assert (f"/problems/{kind}", status, detail) == tuple(map(answer.json().get, ("type", "status", "detail")))
    assert ("60" if status == 429 else None) == answer.headers.get("Retry-After")


@FRAMEWORKS
@pytest.mark.parametrize("raised", [True, False], ids=["raised", "failure"])
async def test_what_is_told_besides(framework: Framework, *, raised: bool) -> None:
    """The options of the app, or of `response_of`, say what a document tells besides, and how its type begins."""
    options = ProblemOptions(type_base="https://tasks.example/", tells={TaskNotFound: ("uuid_value", "detail")})
    error = TaskNotFound(uuid_value="7d2b", additional_info={"message": "No such task"})

    async def endpoint(_: Request) -> Response:
        if raised:
            raise error
        return response_of(Failure(error), JSONResponse, options=options)

    app = framework(endpoint, ERRORS)
    app.exception_handlers.update(exception_handlers(options=options))
    assert {
        "type": "https://tasks.example/task-not-found",
        "title": "Task Not Found",
        "status": 404,
        "detail": "No such task",
        "uuid_value": "7d2b",
    } == (await get(app)).json()


async def test_when_to_ask_again() -> None:
    """An error that may pass is a 503, with the time if the error knows it, and as the document says."""
    answers = [problem_response(BusCannotPublish(retry_after=wait)) for wait in (timedelta(minutes=1), None)]
    assert [(503, "60"), (503, None)] == [(one.status_code, one.headers.get("Retry-After")) for one in answers]
    assert ["Retry-After"] == list(openapi_responses(OutcomeUnknownError)[503]["headers"])
    assert "headers" not in openapi_responses(TaskNotFound, RuntimeError)[404]


@FRAMEWORKS
async def test_a_route_has_a_map_of_its_own(framework: Framework) -> None:
    """The map that `value_of` is given wins over that of the app."""
    teapot: ErrorMap = {TooMany: HttpError(status_code=418)}

    async def endpoint(_: Request) -> Response:
        return JSONResponse(value_of(Failure(Busy()), error_map=teapot))

    assert 418 == (await get(framework(endpoint, ERRORS))).status_code


@FRAMEWORKS
async def test_a_success_is_answered_by_the_route(framework: Framework) -> None:
    """`value_of` gives the value of a Success."""

    async def endpoint(_: Request) -> Response:
        return JSONResponse({"it": value_of(Success(5))})

    assert {"it": 5} == (await get(framework(endpoint, ERRORS))).json()


SECRET = "postgresql://petisco:hunter2@db/tasks"


@FRAMEWORKS
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(SECRET),
        InvalidValueObject(additional_info={"message": SECRET}),
        CriticalError(uuid_value=SECRET),
        FailureError(UnknownError.from_exception(RuntimeError(SECRET))),
        FailureError(RuntimeError(SECRET)),
        StarletteHTTPException(500, SECRET),
    ],
)
async def test_from_500_on_the_body_is_a_constant(framework: Framework, error: Exception) -> None:
    """A client learns nothing of what broke."""

    async def endpoint(_: Request) -> Response:
        raise error

    answer = await get(framework(endpoint, ERRORS))
    assert (500, PROBLEM_JSON, CONSTANT) == (answer.status_code, answer.headers["content-type"], answer.json())


@pytest.mark.parametrize(
    ("raised", "logged"),
    [
        (CriticalError(uuid_value=SECRET), ["domainkit.errors.CriticalError"]),
        (FailureError(BusCannotPublish(uuid_value=SECRET)), ["domainkit.errors.BusCannotPublish"]),
        (FailureError(UnknownError.from_exception(RuntimeError(SECRET))), []),  # the guard has logged it
        (TaskNotFound(), []),
    ],
)
async def test_what_the_client_learns_nothing_of_is_logged(
    raised: Exception, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A domain error that ends as a 500 is logged once, by its class and place, and without what it says."""

    async def endpoint(_: Request) -> Response:
        raise raised

    with caplog.at_level(logging.DEBUG, logger="domainkit"):
        await get(starlette(endpoint, {}))
    texts = [record.getMessage() for record in caplog.records]
    assert len(logged) == len(texts)
    assert all(name in text for name, text in zip(logged, texts, strict=True))
    assert SECRET not in str(texts)


async def test_the_log_says_where_an_error_comes_from(caplog: pytest.LogCaptureFixture) -> None:
    """It has the line that raised an error, or that passed a Failure to `value_of`; no line if there is none."""

    async def raising(_: Request) -> Response:
        raise CriticalError

    async def returning(_: Request) -> Response:
        value_of(Failure(BusCannotPublish()))
        raise AssertionError

    lines = [endpoint.__code__.co_firstlineno + 1 for endpoint in (raising, returning)]
    for endpoint in (raising, returning):
        await get(starlette(endpoint, {}))
    response_of(Failure(BusCannotPublish()), JSONResponse)
    assert [
        f"answered 500 for domainkit.errors.CriticalError of {__file__}:{lines[0]}",
        f"answered 503 for domainkit.errors.BusCannotPublish of {__file__}:{lines[1]}",
        "answered 503 for domainkit.errors.BusCannotPublish",
    ] == [record.getMessage() for record in caplog.records if record.name == "domainkit.adapters.starlette"]


async def test_a_failure_of_what_is_no_exception_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """There is no status for the error of a Failure that is no exception."""
    answer = response_of(Failure("hunter2"), JSONResponse)
    assert (500, True) == (answer.status_code, b"hunter2" not in bytes(answer.body))
    assert "hunter2" not in caplog.text


def test_a_response_of_a_result() -> None:
    """`response_of` renders a Success, and answers a Failure with the map that it is given."""
    found: list[Result[str, TooMany]] = [Success("a"), Failure(Busy())]
    assert [200, 429] == [response_of(one, JSONResponse, error_map=ERRORS).status_code for one in found]


def test_a_success_without_a_value_has_no_body() -> None:
    """`response_of` answers Success(None) with 204 and no body, unless it is told how; a Failure as any other."""
    found: list[Result[None, TooMany]] = [Success(None), Failure(Busy())]
    answers = [response_of(one, error_map=ERRORS) for one in found]
    empty = answers[0]
    assert [204, 429] == [answer.status_code for answer in answers]
    assert (b"", False, False) == (empty.body, "content-type" in empty.headers, "content-length" in empty.headers)
    assert (200, b"null") == ((told := response_of(found[0], JSONResponse)).status_code, told.body)


@pytest.mark.parametrize(("status", "body"), [(204, b""), (200, b"null")])
async def test_a_route_without_a_value(status: int, body: bytes) -> None:
    """FastAPI answers None with the body `null`, unless the route has `status_code=204`: its document says so too."""
    app = FastAPI(exception_handlers=exception_handlers())

    @app.delete("/it", status_code=status, responses=openapi_responses(TaskNotFound))
    def remove(task: str = "milk") -> None:
        value_of(Success(None) if task == "milk" else Failure(TaskNotFound()))

    async with client(app) as asking:
        answer, refused = await asking.delete("/it"), await asking.delete("/it?task=beer")

    assert (status, body) == (answer.status_code, answer.content)
    assert (404, PROBLEM_JSON) == (refused.status_code, refused.headers["content-type"])
    assert (status == 200) is ("content" in app.openapi()["paths"]["/it"]["delete"]["responses"][str(status)])


def test_the_instance_is_told_on_demand() -> None:
    """A problem document says where it happened only if it is told to: a path may hold a secret."""
    assert b'"instance":"/it"' in bytes(problem_response(TaskNotFound(), instance="/it").body)
    assert b"instance" not in bytes(problem_response(TaskNotFound()).body)


def test_the_problems_of_a_message_are_listed() -> None:
    """An InvalidMessage has its problems in the body."""
    error = InvalidMessage(problems=(Problem("$.data.id", "a UUID", "missing"),))
    assert b'"errors":[{"path":"$.data.id","expected":"a UUID","code":"missing"}]' in bytes(
        problem_response(error).body
    )


@FRAMEWORKS
@pytest.mark.parametrize("path", ["/nothing", "/it"])
async def test_what_the_framework_refuses_is_a_problem_document(framework: Framework, path: str) -> None:
    """A path that there isn't and a method that a route doesn't take are told in the same form, headers kept."""
    async with client(framework(lambda _: Response(), {})) as asking:
        answer = await asking.post(path)
    status, title = (404, "Not Found") if path == "/nothing" else (405, "Method Not Allowed")
    assert {"type": "about:blank", "title": title, "status": status} == answer.json()
    assert (PROBLEM_JSON, status == 405) == (answer.headers["content-type"], "allow" in answer.headers)


@FRAMEWORKS
@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (StarletteHTTPException(403, "Not yours"), 403, "Not yours"),
        (HTTPException(400, {"a": 1}), 400, None),
        (HTTPException(402), 402, None),
    ],
)
async def test_an_http_exception_says_its_detail(
    framework: Framework, error: Exception, status: int, detail: str | None
) -> None:
    """The text of an HTTPException is its detail; what is no text is left out."""

    async def endpoint(_: Request) -> Response:
        raise error

    answer = await get(framework(endpoint, {}))
    assert (status, detail) == (answer.status_code, answer.json().get("detail"))


async def test_the_words_of_a_status_do_not_depend_on_python() -> None:
    """If an HTTPException has the phrase of this Python for its text, the title is that of RFC 9110, and no more."""
    for status, title in ((422, "Unprocessable Content"), (413, "Content Too Large")):

        async def endpoint(_: Request, status: int = status) -> Response:
            raise StarletteHTTPException(status)

        expected = {"type": "about:blank", "title": title, "status": status}
        assert expected == (await get(starlette(endpoint, {}))).json()


async def test_a_status_without_a_name() -> None:
    """A status that has no phrase keeps its text."""

    async def endpoint(_: Request) -> Response:
        raise StarletteHTTPException(499, "Gone already")

    assert ("Error", "Gone already") == tuple(map((await get(starlette(endpoint, {}))).json().get, ("title", "detail")))


@FRAMEWORKS
async def test_a_status_without_a_body_has_none(framework: Framework) -> None:
    """An HTTPException of 304 has no body, as HTTP asks (RFC 9110, section 15.4.5)."""

    async def endpoint(_: Request) -> Response:
        raise StarletteHTTPException(304, headers={"ETag": "a"})

    answer = await get(framework(endpoint, {}))
    assert (304, b"", "a") == (answer.status_code, answer.content, answer.headers["etag"])


@frozen
class Money:
    cents: int = field(validator=ge(0))


class Stock(ValueObject[Mapping[Title, int]]): ...


class Inner(BaseModel):
    title: Title


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title
    counts: dict[str, int] = {}
    below: list[Inner] = []
    price: Annotated[Money, DomainType] | None = None
    stock: Stock | None = None
    labels: tuple[Title, ...] = ()
    owners: dict[TaskId, int] = {}
    amount: int = 0
    word: str = ""

    @field_validator("word")
    @classmethod
    def check(cls, word: str) -> str:
        """Refuse a word, and tell it."""
        if word:
            raise ValueError(f"bad word {word}")
        return word


def app_with_body() -> FastAPI:
    """Return an app whose route has a body and a parameter."""
    app = FastAPI(exception_handlers=exception_handlers())

    @app.post("/tasks/{task_id}")
    def create(task_id: TaskId, body: Body) -> None: ...

    return app


async def problems_of(
    body: object, path: str = f"/tasks/{uuid4()}", *, app: FastAPI | None = None
) -> list[dict[str, str]]:
    """Return the problems that the app finds in a request, whose answer must be a problem document without input."""
    async with client(app or app_with_body()) as asking:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await asking.post(path, content=content, headers={"content-type": "application/json"})
    document = answer.json()
    assert (422, 422, PROBLEM_JSON) == (answer.status_code, document["status"], answer.headers["content-type"])
    assert ("/problems/invalid-request", "Invalid Request") == (document["type"], document["title"])
    assert "hunter2" not in answer.text
    found: list[dict[str, str]] = document["errors"]
    return found


@pytest.mark.parametrize(
    ("body", "path", "expected", "code"),
    [
        ({}, "body.title", "Field required", "missing"),
        ({"title": "hunter2"}, "body.title", "Title: Length of 'value' must be <= 5: 7", "value_object"),
        ({"title": "a", "labels": ["a", "hunter2"]}, "body.labels[1]", "Title: Length of", "value_object"),
        ({"title": "a", "owners": {"hunter2": 1}}, "body.owners.*", "TaskId: expected a UUID", "value_object"),
        ({"title": "a", "owners": {str(uuid4()): "hunter2"}}, "body.owners.*", "Input should", "int_parsing"),
        ({"title": "a", "counts": {"hunter2": "a"}}, "body.counts.*", "Input should be a valid int", "int_parsing"),
        ({"title": "a", "below": [{"title": 5}]}, "body.below[0].title", "Title: expected str", "value_object"),
        ({"title": "a", "price": {"cents": -1}}, "body.price.cents", "Money: 'cents' must be >= 0", "value_object"),
        ({"title": "a", "stock": {"beer": "hunter2"}}, "body.stock[0]", "Stock: expected int", "value_object"),
        ({"title": "a", "stock": {"hunter2" * 9: 1}}, "body.stock.*", "Stock: expected Title (str)", "value_object"),
        ({"title": "a", "amount": "hunter2"}, "body.amount", "Input should be a valid integer", "int_parsing"),
        ({"title": "a", "hunter2": 1}, "body.*", "Extra inputs are not permitted", "extra_forbidden"),
        ({"title": "a", "word": "hunter2"}, "body.word", "a valid value", "value_error"),
        (["hunter2"], "body", "Input should be a valid dictionary or", "model_attributes_type"),
        (b'{"hunter2', "body[1]", "JSON decode error", "json_invalid"),
    ],
)
async def test_an_invalid_request_is_told_without_its_input(body: object, path: str, expected: str, code: str) -> None:
    """Each problem has its path, what is expected and a code; neither a value nor a name that only the client knows."""
    (problem,) = await problems_of(body)
    assert (path, code) == (problem["path"], problem["code"])
    assert problem["expected"].startswith(expected)


async def test_the_keys_of_a_client_on_demand() -> None:
    """If the app asks for it, paths have the keys that the client made up."""
    app = FastAPI(exception_handlers=exception_handlers(options=ProblemOptions(client_keys=True)))

    @app.post("/")
    def create(body: Body) -> None: ...

    found = await problems_of({"title": "a", "counts": {"beer": "a"}, "wine": 1}, "/", app=app)
    assert ["body.counts.beer", "body.wine"] == [problem["path"] for problem in found]


async def test_a_body_that_has_no_schema() -> None:
    """If pydantic can't describe a body, its names are unknown, and paths have no names."""
    app = FastAPI(exception_handlers=exception_handlers())

    class Odd(BaseModel):
        call: Callable[[], None] | None = None
        amount: int

    @app.post("/")
    def create(body: Odd) -> None: ...

    assert ["body.*"] == [problem["path"] for problem in await problems_of({"amount": "hunter2"}, "/", app=app)]


async def test_an_invalid_parameter_is_told_without_its_input() -> None:
    """A parameter of the path is not in the answer either."""
    (problem,) = await problems_of({"title": "a"}, path="/tasks/hunter2")
    assert {"path": "path.task_id", "expected": "TaskId: expected a UUID", "code": "value_object"} == problem


class Pair(BaseModel):
    kept: str

    @field_validator("kept")
    @classmethod
    def check(cls, kept: str) -> str:
        """Take anything."""
        return kept


async def test_a_rule_of_a_whole_model_tells_nothing() -> None:
    """A validator's text about several fields could repeat any of them, and isn't shown."""
    from pydantic import model_validator  # noqa: PLC0415  # beside its only use

    class Whole(Pair):
        @model_validator(mode="after")
        def check_all(self) -> "Whole":
            raise ValueError(f"bad: {self.kept}")

    app = FastAPI(exception_handlers=exception_handlers())

    @app.post("/it")
    def create(body: Whole) -> None: ...

    async with client(app) as asking:
        answer = await asking.post("/it", json={"kept": "hunter2"})
    assert [{"path": "body", "expected": "a valid value", "code": "value_error"}] == answer.json()["errors"]


async def test_the_list_of_problems_is_bounded() -> None:
    """No request makes a long answer."""
    assert 100 == len(await problems_of({"title": "a", "labels": ["hunter2"] * 10_000}))


def test_without_fastapi_the_handlers_are_those_of_starlette(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra doesn't ask for FastAPI."""
    monkeypatch.setitem(sys.modules, "fastapi.exceptions", None)
    assert [DomainError, FailureError, StarletteHTTPException, Exception] == list(exception_handlers())


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Starlette, importing the adapter says how to install it."""
    monkeypatch.setitem(sys.modules, "starlette", None)
    monkeypatch.delitem(sys.modules, "domainkit.adapters.starlette")
    with pytest.raises(ImportError, match=r"pip install 'domainkit-attrs\[starlette\]'"):
        runpy.run_module("domainkit.adapters.starlette")


class Finish(UseCase[[TaskId], None, TaskNotFound | Busy]):
    def execute(self, _: TaskId) -> Result[None, TaskNotFound | Busy]:
        return Success(None)


class FinishTwice(Finish): ...


class Bare(UseCase):
    def execute(self, *_: object) -> Result[None, DomainError]:
        return Success(None)


class Later(AsyncUseCase[[], None, TaskNotFound]):
    async def execute(self) -> Result[None, TaskNotFound]:
        return Success(None)


class Find(AppService[[TaskId], None, TaskNotFound]):
    def execute(self, _: TaskId) -> Result[None, TaskNotFound]:
        return Success(None)


class FinishTask(Command[None, DuplicateTask | UnknownError]): ...


@use_case
def half(number: int) -> Result[float, TaskNotFound | DuplicateTask]:
    """Fail in two ways."""
    return Success(number / 2)


@use_case
async def quarter(number: int) -> Result[float, TaskNotFound]:
    """Fail in one way, later."""
    return Success(number / 4)


def slowly(number: int) -> Awaitable[Result[int, TaskNotFound]]:
    """Promise a Result."""
    return quarter(number)  # type: ignore[return-value]  # only the annotation matters


@early_return
def eighth(do: Do[TaskNotFound | DuplicateTask | UnknownError], number: int) -> float:
    """End early in three ways."""
    return do(half(number)) / 4


@pytest.mark.parametrize(
    ("source", "errors"),
    [
        (eighth, (TaskNotFound, DuplicateTask, UnknownError)),
        (Finish, (TaskNotFound, Busy, UnknownError)),
        (Finish(), (TaskNotFound, Busy, UnknownError)),
        (FinishTwice, (TaskNotFound, Busy, UnknownError)),
        (Bare, (DomainError, UnknownError)),
        (Later, (TaskNotFound, UnknownError)),
        (Find, (TaskNotFound,)),
        (FinishTask, (DuplicateTask, UnknownError)),
        (half, (TaskNotFound, DuplicateTask)),
        (quarter, (TaskNotFound,)),
        (slowly, (TaskNotFound,)),
        (InmemoryCrudRepository[Any]().retrieve, (AggregateNotFoundError,)),
        (CrudRepository.update, (AggregateNotFoundError, AggregateVersionConflictError)),
        (AsyncCrudRepository.save, (AggregateAlreadyExistError,)),
        (CrudRepository.retrieve_all, ()),
    ],
)
def test_the_errors_that_are_declared(source: object, errors: tuple[type, ...]) -> None:
    """They are read where they stand for the type checker: in the arguments of the base, or the annotation."""
    assert errors == declared_errors(source)


def test_the_errors_of_what_wraps_a_step() -> None:
    """A step in a unit of work, tried again, once for a message, or that a constraint may refuse, adds its own."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="needs the extra sql")
    pytest.importorskip("aiosqlite", reason="needs the extra sql")
    stop = pytest.importorskip("tenacity", reason="needs the extra retry").stop_after_attempt(1)
    from domainkit.adapters import sqlalchemy as sql  # noqa: PLC0415  (after the check for the extra)
    from domainkit.adapters.tenacity import retried, retried_async  # noqa: PLC0415  (as above)

    table = sql.inbox_table(metadata := sqlalchemy.MetaData())
    checked = sqlalchemy.Table("one", metadata, sqlalchemy.CheckConstraint("1 > 0", name="one"))
    unit, async_engine = sql.UnitOfWork(sql.make_engine("sqlite://")), sql.make_async_engine("sqlite://")
    async_unit = sql.AsyncUnitOfWork(async_engine)
    tasks = sql.SqlCrudRepository(AggregateRoot, sql.aggregate_table(metadata, "tasks"), unit)
    added = (OutcomeUnknownError, ConflictError)

    def finish(command: FinishTask) -> Result[None, TaskNotFound]:
        return Success(None)

    async def finish_later(command: FinishTask) -> Result[None, TaskNotFound]:
        return Success(None)

    def refused() -> Busy:
        return Busy()

    for step, errors in (
        (unit.atomic(Finish()), (TaskNotFound, Busy, UnknownError, *added)),
        (unit.atomic(tasks.update), (AggregateNotFoundError, AggregateVersionConflictError, *added)),
        (async_unit.atomic(Later()), (TaskNotFound, UnknownError, *added)),
        (retried(unit.atomic(half), on=TaskNotFound, stop=stop), (TaskNotFound, DuplicateTask, *added)),
        (retried_async(quarter, on=TaskNotFound, stop=stop), (TaskNotFound,)),
        (sql.Inbox(table, unit).once(finish, name="finish"), (TaskNotFound, *added)),
        (sql.AsyncInbox(table, async_unit).once(finish_later, name="finish"), (TaskNotFound, *added)),
        (
            sql.refusing(tasks.save, Busy, constraint="one", table=checked, unit_of_work=unit),
            (AggregateAlreadyExistError, Busy, ConflictError),
        ),
        (
            sql.refusing_async(quarter, refused, constraint="one", table=checked, unit_of_work=async_unit),
            (TaskNotFound, Busy, ConflictError),
        ),
    ):
        assert errors == declared_errors(step)
    described = openapi_responses(unit.atomic(Finish()))
    assert "A concurrent transaction won" in described[409]["description"]
    assert {404, 409, 500, 503} <= set(described)


@pytest.mark.parametrize("source", [5, dict, print, lambda: None, client])
def test_nothing_declared(source: object) -> None:
    """A function that declares no errors is refused, and the text says what to give."""
    with pytest.raises(TypeError, match="declares no errors; name their classes"):
        openapi_responses(source)


def test_openapi_responses_by_status() -> None:
    """Each status is described by the errors that have it, with the headers of the map; a 5xx says nothing of them."""
    responses = openapi_responses(
        Finish, DuplicateTask, AggregateNotFoundError, TaskNotFound, error_map=ERRORS, validation=True
    )
    described = {status: fragment["description"] for status, fragment in responses.items()}
    assert {
        400: "Bad Request: The body can't be read.",
        404: "Not Found: There is no task with this id. An aggregate with this id is not there.",
        409: "Conflict: DuplicateTask",
        422: "Unprocessable Content: The request isn't valid.",
        429: "Too Many Requests: Slow down",
        500: "Internal Server Error",
    } | {404: described[404]} == described
    assert described[404].startswith("Not Found: There is no task with this id. ")
    assert ["Retry-After"] == list(responses[429]["headers"])
    assert all(list(fragment["content"]) == [PROBLEM_JSON] for fragment in responses.values())


def test_a_document_with_the_responses() -> None:
    """FastAPI takes the responses for an app and a route; there is no other 422 then."""
    app = FastAPI(responses=openapi_responses(UnknownError))

    @app.post("/it", responses=openapi_responses(Finish, validation=True))
    def create(body: Body) -> None: ...

    responses: Mapping[str, Any] = app.openapi()["paths"]["/it"]["post"]["responses"]
    assert {"200", "400", "404", "429", "422", "500"} - {"429"} == set(responses)
    assert {PROBLEM_JSON} == {name for status in responses if status != "200" for name in responses[status]["content"]}


def test_the_problem_schema_is_named_once() -> None:
    """After `name_problem_schema`, each response refers to one schema; one of the user's has its name to itself."""
    app = FastAPI(responses=openapi_responses(UnknownError))

    class Problem(BaseModel):
        it: int

    @app.post("/it", responses=openapi_responses(Finish, validation=True))
    def create(body: Problem) -> None: ...

    alone = FastAPI(responses=openapi_responses(UnknownError))
    alone.get("/it")(lambda: None)
    for named, name in ((app, "Problem_2"), (alone, "Problem")):
        name_problem_schema(named)
        document = named.openapi()
        assert document is named.openapi()
        found = [
            answer["content"][PROBLEM_JSON]["schema"]
            for operation in document["paths"]["/it"].values()
            for answer in operation["responses"].values()
            if PROBLEM_JSON in answer["content"]
        ]
        assert [{"$ref": f"#/components/schemas/{name}"}] * len(found) == found
        assert "problem document" in document["components"]["schemas"][name]["description"]
        assert len(found) == str(document).count("#/components/schemas/" + name + "'")
    empty = FastAPI()
    name_problem_schema(empty)
    assert "Problem" not in str(empty.openapi())


def test_responses_are_new_each_time() -> None:
    """Changing what one call returned changes nothing else."""
    openapi_responses(TaskNotFound)[404]["content"][PROBLEM_JSON]["schema"]["properties"].clear()
    assert openapi_responses(TaskNotFound)[404]["content"][PROBLEM_JSON]["schema"]["properties"]


@frozen
class Pin(ValueObject[str]):
    value: str = field(validator=max_len(5))


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pin: Pin
    owner: TaskId | None = None
    amount: int = 0


@use_case
def connect(secret: str) -> Result[str, DomainError]:
    """Fail with a secret in the text of a bug."""
    raise ConnectionError(f"can't reach postgresql://petisco:{secret}@db/tasks?token={secret}")


@use_case
def publish(secret: str) -> Result[str, BusCannotPublish]:
    """Fail with what is not told."""
    return Failure(BusCannotPublish(additional_info={"broker": "amqp"}))


@use_case
def read_pin(secret: str) -> Result[Pin, DomainError]:
    """Refuse a secret."""
    return Pin.parse(secret)


def crash(secret: str) -> Result[str, DomainError]:
    """Raise what no guard catches."""
    raise RuntimeError(f"amqp://user:{secret}@broker") from ValueError(secret)


def raise_pin(secret: str) -> Result[Pin, DomainError]:
    """Raise the refusal of a secret."""
    return Success(Pin(secret))


def raise_id(secret: str) -> Result[TaskId, DomainError]:
    """Raise the refusal of an id."""
    return Success(TaskId.from_str(secret))


ACTIONS: tuple[Callable[[str], Result[object, DomainError]], ...] = (
    connect,
    publish,
    read_pin,
    crash,
    raise_pin,
    raise_id,
)


def leaking_app(errors: list[object]) -> FastAPI:
    """Return an app that meets secrets in every way; the errors of its Failures are collected."""
    unprocessable: ErrorMap = {InvalidValueObject: HttpError(status_code=422)}
    app = FastAPI(exception_handlers=exception_handlers(error_map=unprocessable))

    @app.post("/form")
    def form(body: Form) -> None: ...

    @app.get("/do/{action}/{secret}")
    def do(action: int, secret: str) -> None:
        result = ACTIONS[action](secret)
        errors.append(result.failure())
        value_of(result)

    return app


async def answers(app: FastAPI, secret: str) -> Iterator[httpx.Response]:
    """Return what the app answers to each request that holds the secret."""
    async with client(app) as asking:
        done = [await asking.get(f"/do/{action}/{secret}") for action in range(len(ACTIONS))]
        forms = ({"pin": secret}, {"pin": "a", "owner": secret}, {"pin": "a", "amount": secret}, {secret: secret})
        sent = [await asking.post("/form", json=one) for one in forms]
        broken = await asking.post("/form", content=f'{{"pin": "{secret}'.encode())
    return iter([*done, *sent, broken, await get(app, f"/{secret}"), await get(app, f"/do/{secret}/a")])


async def test_no_secret_leaks(caplog: pytest.LogCaptureFixture) -> None:
    """Of 50 secrets in fields, exception texts and connection strings, no body, log or error's repr has one."""
    secrets = [f"canary{number}-{uuid4().hex}" for number in range(50)]
    errors: list[object] = []
    app = leaking_app(errors)
    with caplog.at_level(logging.DEBUG):
        found = [answer for secret in secrets for answer in await answers(app, secret)]
    ours = [record for record in caplog.records if record.name.startswith("domainkit")]
    assert (50 * 13, {404, 422, 500, 503}) == (len(found), {answer.status_code for answer in found})
    assert (50 * 3, 50 * 2) == (len(errors), len(ours))  # a guard logs the bug, the adapter what could not be published
    headers = [str(answer.headers) for answer in found]
    texts = [answer.text for answer in found] + headers + [_everything(one) for one in ours] + list(map(repr, errors))
    assert [] == [secret for secret in secrets if any(secret[-16:] in text for text in texts)]


def _everything(record: logging.LogRecord) -> str:
    return f"{logging.Formatter().format(record)} {vars(record)}"


def test_the_public_names_are_in_the_reference() -> None:
    """The reference documents each public name of the adapter."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "adapters.md").read_text("utf-8")
    documented = re.findall(r"^\.\. auto\w+:: (\w+)", page, re.MULTILINE)
    assert [] == sorted(set(domainkit.adapters.starlette.__all__) - set(documented))
