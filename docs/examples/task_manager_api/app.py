"""The API: each route parses, runs one use case, and shows what came of it. Failures are problem documents."""

from fastapi import APIRouter, FastAPI

from docs.examples.task_manager.domain import DueInThePast, Task, TaskId
from docs.examples.task_manager.use_cases import CreateTask, TaskCreator
from domainkit import (
    CrudRepository,
    DomainEventBus,
    ErrorMap,
    HttpError,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    UnknownError,
)
from domainkit.adapters.starlette import exception_handlers, openapi_responses, value_of

from .bodies import NewTask, NewTitle, TaskView
from .use_cases import TaskFinder, TaskRemover, TaskRenamer

ERRORS: ErrorMap = {DueInThePast: HttpError(status_code=422, detail="The day is over already")}


def make_app(
    tasks: CrudRepository[Task, TaskId] | None = None,
    bus: DomainEventBus | None = None,
) -> FastAPI:
    """Return the API over a repository and a bus; in memory, unless given."""
    app = FastAPI(
        title="Task Manager",
        exception_handlers=exception_handlers(error_map=ERRORS),
        responses=openapi_responses(UnknownError),
    )
    app.include_router(
        _routes(tasks or InmemoryCrudRepository(repository_name="tasks"), bus or InmemoryDomainEventBus())
    )
    return app


def _routes(tasks: CrudRepository[Task, TaskId], bus: DomainEventBus) -> APIRouter:
    router = APIRouter(prefix="/tasks", tags=["tasks"])
    create_task, find_task = TaskCreator(tasks, bus), TaskFinder(tasks)
    rename_task, remove_task = TaskRenamer(tasks), TaskRemover(tasks)

    @router.get("")
    def list_tasks() -> list[TaskView]:
        """Return all tasks."""
        return [TaskView.of(task) for task in value_of(tasks.retrieve_all())]

    @router.post("", status_code=201, responses=openapi_responses(TaskCreator, error_map=ERRORS, validation=True))
    def create(body: NewTask) -> TaskView:
        """Create a task."""
        command = CreateTask(body.task_id, body.title, body.due, body.labels)
        return TaskView.of(value_of(create_task(command)))

    @router.get("/{task_id}", responses=openapi_responses(TaskFinder, validation=True))
    def find(task_id: TaskId) -> TaskView:
        """Return one task."""
        return TaskView.of(value_of(find_task(task_id)))

    @router.put("/{task_id}/title", responses=openapi_responses(TaskRenamer, validation=True))
    def rename(task_id: TaskId, body: NewTitle) -> TaskView:
        """Give a task another title, unless it has changed since the version that the client has seen."""
        return TaskView.of(value_of(rename_task(task_id, body.title, body.version)))

    @router.delete("/{task_id}", status_code=204, responses=openapi_responses(TaskRemover, validation=True))
    def remove(task_id: TaskId) -> None:
        """Remove a task."""
        value_of(remove_task(task_id))

    return router
