"""The API: each route parses the request, runs one use case, and returns its value. Failures are problem documents."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from docs.examples.task_manager.domain import DueInThePast, Task, TaskId
from docs.examples.task_manager.use_cases import CreateTask, TaskCreator
from docs.examples.task_manager.wiring import CODEC, METADATA, OUTBOX, TASKS
from domainkit import ErrorMap, HttpError, UnknownError
from domainkit.adapters.sqlalchemy import AsyncSqlCrudRepository, AsyncUnitOfWork, Outbox, make_async_engine
from domainkit.adapters.starlette import exception_handlers, openapi_responses, value_of

from .bodies import NewTask, NewTitle, TaskView
from .use_cases import TaskFinder, TaskRemover, TaskRenamer

ERRORS: ErrorMap = {DueInThePast: HttpError(status_code=422, detail="The day is over already")}


def make_app(database: str | URL = "sqlite+aiosqlite://") -> FastAPI:
    """Return the API on a database, by default in memory. A relay delivers the stored events."""
    engine = make_async_engine(database)
    app = FastAPI(
        title="Task Manager",
        exception_handlers=exception_handlers(error_map=ERRORS),
        responses=openapi_responses(UnknownError),
        lifespan=lambda _: _with_tables(engine),
    )
    app.include_router(_routes(AsyncUnitOfWork(engine, outbox=Outbox(OUTBOX, CODEC))))
    return app


@asynccontextmanager
async def _with_tables(engine: AsyncEngine) -> AsyncGenerator[None, None]:
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    yield
    await engine.dispose()


def _routes(unit_of_work: AsyncUnitOfWork) -> APIRouter:
    tasks = AsyncSqlCrudRepository[Task, TaskId](Task, TASKS, unit_of_work, repository_name="tasks")
    router = APIRouter(prefix="/tasks", tags=["tasks"])
    create_task, find_task = unit_of_work.atomic(TaskCreator(tasks)), TaskFinder(tasks)
    rename_task, remove_task = unit_of_work.atomic(TaskRenamer(tasks)), TaskRemover(tasks)

    @router.get("")
    async def list_tasks() -> list[TaskView]:
        """Return all tasks."""
        return [TaskView.of(task) for task in value_of(await tasks.retrieve_all())]

    @router.post("", status_code=201, responses=openapi_responses(TaskCreator, error_map=ERRORS, validation=True))
    async def create(body: NewTask) -> TaskView:
        """Create a task."""
        command = CreateTask(body.task_id, body.title, body.due, body.labels)
        return TaskView.of(value_of(await create_task(command)))

    @router.get("/{task_id}", responses=openapi_responses(TaskFinder, validation=True))
    async def find(task_id: TaskId) -> TaskView:
        """Return one task."""
        return TaskView.of(value_of(await find_task(task_id)))

    @router.put("/{task_id}/title", responses=openapi_responses(TaskRenamer, validation=True))
    async def rename(task_id: TaskId, body: NewTitle) -> TaskView:
        """Rename a task, unless it has changed since the version that the client has seen."""
        return TaskView.of(value_of(await rename_task(task_id, body.title, body.version)))

    @router.delete("/{task_id}", status_code=204, responses=openapi_responses(TaskRemover, validation=True))
    async def remove(task_id: TaskId) -> None:
        """Remove a task."""
        value_of(await remove_task(task_id))

    return router
