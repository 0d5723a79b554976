"""One unit of work for a request: as a middleware of Starlette and FastAPI, and as a dependency of FastAPI."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from attrs import frozen

for needed in ("starlette", "fastapi", "httpx", "sqlalchemy"):
    pytest.importorskip(needed, reason=f"{needed} isn't installed: the middleware is tested with it")

import httpx  # noqa: E402  # after it is known to be there
from databases import KINDS, Database, new_database  # noqa: E402  # as above
from fastapi import BackgroundTasks, Depends, FastAPI  # noqa: E402  # as above
from sqlalchemy import Column, Engine, ForeignKey, Integer, MetaData, Table, insert  # noqa: E402  # as above
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: E402  # as above
from starlette.responses import StreamingResponse  # noqa: E402  # as above
from starlette.types import Receive, Scope, Send  # noqa: E402  # as above

from domainkit import AggregateRoot, NotFound, OutcomeUnknownError, Uuid, http_error_for  # noqa: E402  # as above
from domainkit.adapters.sqlalchemy import (  # noqa: E402  # as above
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    SqlCrudRepository,
    UnitOfWork,
    aggregate_table,
)
from domainkit.adapters.starlette import UnitOfWorkMiddleware, exception_handlers  # noqa: E402  # as above


@frozen
class Task(AggregateRoot[Uuid]):
    title: str


METADATA = MetaData()
TABLE = aggregate_table(METADATA, "tasks")
NOTES = Table("notes", METADATA, Column("number", Integer, primary_key=True))
LATE = Table(
    "late",
    METADATA,
    Column("number", Integer, ForeignKey("notes.number", deferrable=True, initially="DEFERRED"), primary_key=True),
)
Tasks = SqlCrudRepository[Task, Uuid]
AsyncTasks = AsyncSqlCrudRepository[Task, Uuid]


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a new database, of each kind in turn."""
    with new_database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA) as made:
        yield made


@pytest.fixture
def unit_of_work(engine: Engine) -> UnitOfWork:
    """Return a unit of work."""
    return UnitOfWork(engine)


@pytest.fixture
def tasks(unit_of_work: UnitOfWork) -> Tasks:
    """Return a repository of the unit of work."""
    return Tasks(Task, TABLE, unit_of_work)


def titles(engine: Engine) -> list[str]:
    """Return what is stored, as somebody else sees it."""
    return sorted(task.title for task in Tasks(Task, TABLE, UnitOfWork(engine)).retrieve_all().unwrap())


async def post(app: Any, path: str) -> int:
    """Return the status of what the app answers."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return (await client.post(path)).status_code


def sync_routes(app: FastAPI, tasks: Tasks) -> FastAPI:
    """Add routes that threads run: one that works, one that raises a bug, and one that raises a domain error."""

    def save_two() -> None:
        tasks.save(Task("Buy milk")).unwrap()
        tasks.save(Task("Buy more")).unwrap()

    @app.post("/works")
    def works() -> None:
        save_two()

    @app.post("/breaks")
    def breaks() -> None:
        save_two()
        raise LookupError

    @app.post("/refuses")
    def refuses() -> None:
        save_two()
        raise NotFound

    return app


def async_routes(app: FastAPI, tasks: AsyncTasks) -> FastAPI:
    """Add the same routes as coroutine functions."""

    async def save_two() -> None:
        (await tasks.save(Task("Buy milk"))).unwrap()
        (await tasks.save(Task("Buy more"))).unwrap()

    @app.post("/works")
    async def works() -> None:
        await save_two()

    @app.post("/breaks")
    async def breaks() -> None:
        await save_two()
        raise LookupError

    @app.post("/refuses")
    async def refuses() -> None:
        await save_two()
        raise NotFound

    return app


async def assert_one_transaction(app: Any, engine: Engine) -> None:
    """Ask each route, side by side with others: what works is stored whole, and nothing of the rest."""
    assert [500, 404, 500, 404] == [await post(app, path) for path in ("/breaks", "/refuses") * 2]
    assert [] == await asyncio.to_thread(titles, engine)
    assert [200] * 8 == await asyncio.gather(*(post(app, "/works") for _ in range(8)))
    assert ["Buy milk"] * 8 + ["Buy more"] * 8 == await asyncio.to_thread(titles, engine)


# The middleware


def app_with(unit_of_work: UnitOfWork | AsyncUnitOfWork) -> FastAPI:
    """Return an app with the middleware, and one inside of it that has the rest run in another task."""

    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app = FastAPI(exception_handlers=exception_handlers())
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    app.add_middleware(UnitOfWorkMiddleware, begin=unit_of_work.begin_shared)
    return app


async def test_a_request_is_one_transaction(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """Sync routes, run by threads: all is stored with an answer below 400, and nothing with another."""
    await assert_one_transaction(sync_routes(app_with(unit_of_work), tasks), engine)


async def test_async_a_request_is_one_transaction(database: Database, engine: Engine) -> None:
    """Coroutine functions, in another task than the one that began."""
    async with database.async_engine() as async_engine:
        unit_of_work = AsyncUnitOfWork(async_engine)
        app = async_routes(app_with(unit_of_work), AsyncTasks(Task, TABLE, unit_of_work))
        await assert_one_transaction(app, engine)


async def test_what_comes_after_the_answer_sees_what_is_stored(
    engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks
) -> None:
    """Committed before the answer begins: its stream, sent by another task, and its background tasks are no part."""
    app, seen = app_with(unit_of_work), list[list[str]]()

    def look() -> Iterator[str]:
        seen.append(titles(engine))
        yield "."

    @app.post("/streams")
    def streams(background: BackgroundTasks) -> StreamingResponse:
        tasks.save(Task("Buy milk")).unwrap()
        background.add_task(lambda: tasks.save(Task("In the background")).unwrap())
        return StreamingResponse(look())

    assert 200 == await post(app, "/streams")
    assert [["Buy milk"]] == seen
    assert ["Buy milk", "In the background"] == await asyncio.to_thread(titles, engine)


@pytest.mark.parametrize(("error", "status"), [(OutcomeUnknownError(), None), (None, 500)])
async def test_a_commit_that_fails_is_the_answer(
    engine: Engine, unit_of_work: UnitOfWork, error: Exception | None, status: int | None
) -> None:
    """The client gets what the error stands for, rather than a success; no background task runs."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[None]:
        async with unit_of_work.begin_shared():
            yield
        if error is not None:
            raise error

    app, ran = FastAPI(exception_handlers=exception_handlers()), list[bool]()
    app.add_middleware(UnitOfWorkMiddleware, begin=begin)

    @app.post("/late")
    def late(background: BackgroundTasks) -> None:
        background.add_task(ran.append, True)
        if error is None:
            with unit_of_work.writing() as connection:
                connection.execute(insert(LATE), {"number": 1})

    expected = status if error is None else http_error_for(error).status_code
    assert expected == await post(app, "/late")
    assert [] == ran
    assert [] == titles(engine)


async def test_what_is_no_request_is_passed_on() -> None:
    """A WebSocket, or the start of the app, begins nothing; an app that gives no answer ends what was begun."""
    said = list[str]()

    @asynccontextmanager
    async def begin() -> AsyncIterator[None]:
        said.append("begin")
        yield
        said.append("end")

    async def inside(scope: Scope, _: Receive, __: Send) -> None:
        said.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    app = UnitOfWorkMiddleware(inside, begin)
    for kind in ("lifespan", "websocket", "http"):
        await app({"type": kind}, nothing, nothing)
    assert ["lifespan", "websocket", "begin", "http", "end"] == said


# A dependency

Scopes = pytest.mark.parametrize("scope", ["function", "request"])


@Scopes
async def test_an_async_dependency_is_one_transaction_of_threads(
    engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks, scope: Literal["function", "request"]
) -> None:
    """A sync unit of work, begun by an async dependency, for sync routes."""

    async def transaction() -> AsyncIterator[None]:
        async with unit_of_work.begin_shared():
            yield

    app = FastAPI(exception_handlers=exception_handlers(), dependencies=[Depends(transaction, scope=scope)])
    await assert_one_transaction(sync_routes(app, tasks), engine)


@Scopes
@pytest.mark.parametrize("kind", ["begin", "begin_shared"])
async def test_async_a_dependency_is_one_transaction(
    database: Database, engine: Engine, scope: Literal["function", "request"], kind: str
) -> None:
    """An async unit of work for coroutine functions."""
    async with database.async_engine() as async_engine:
        unit_of_work = AsyncUnitOfWork(async_engine)

        async def transaction() -> AsyncIterator[None]:
            async with getattr(unit_of_work, kind)():
                yield

        app = FastAPI(exception_handlers=exception_handlers(), dependencies=[Depends(transaction, scope=scope)])
        await assert_one_transaction(async_routes(app, AsyncTasks(Task, TABLE, unit_of_work)), engine)


async def test_a_sync_dependency_is_refused(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """The route is in no transaction of it: the request fails before it runs, and the error says what to write."""

    def transaction() -> Iterator[None]:
        with unit_of_work.begin():
            yield

    app = sync_routes(FastAPI(dependencies=[Depends(transaction)]), tasks)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(RuntimeError, match=r"write an `async def` dependency with `async with unit_of_work.begin_"):
            await client.post("/works")
    assert [] == titles(engine)


async def test_a_unit_of_one_thread_in_a_dependency_is_refused_by_the_route(
    engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks
) -> None:
    """A sync `begin` in an async dependency belongs to the loop's thread: a route in another learns what to write."""

    async def transaction() -> AsyncIterator[None]:
        with unit_of_work.begin():
            yield

    app = FastAPI()

    @app.post("/it")
    def it(_: Annotated[None, Depends(transaction)]) -> None:
        tasks.save(Task("Buy milk")).unwrap()

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(RuntimeError, match=r"begin this one with `async with unit_of_work\.begin_"):
            await client.post("/it")
    assert [] == titles(engine)
