"""Wrong code around the async twins: a type checker refuses each line marked `# wrong`, and no other."""

from board import CloseTask, CreateTask, DuplicateTask, NoPermission, Task, TaskCreated, TaskId, TaskRenamed, Title, UserId
from returns.result import Result, Success

from domainkit import (
    AsyncAppService,
    AsyncCommandBus,
    AsyncCrudRepository,
    AsyncDomainEventBus,
    AsyncHandler,
    AsyncInmemoryCrudRepository,
    AsyncInmemoryDomainEventBus,
    AsyncMediator,
    AsyncNotifier,
    CommandNotHandled,
    CrudRepository,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    Mediator,
    NotifierMessage,
    caused,
    handling,
)

task = Task.create(Title("Buy milk"))
event = TaskCreated(task.aggregate_id, task.title)
command = CreateTask(Title("Buy milk"))


async def create_later(command: CreateTask) -> Result[TaskId, DuplicateTask]:
    return Success(task.aggregate_id)


async def create_user_later(command: CreateTask) -> Result[UserId, DuplicateTask]:
    return Success(UserId.v4())


async def create_or_refuse(command: CreateTask) -> Result[TaskId, DuplicateTask | NoPermission]:
    return Success(task.aggregate_id)


async def greet(event: TaskRenamed) -> None: ...
async def count(event: TaskCreated) -> int:
    return 1


CreateTask.handled_by(create_user_later)  # wrong: it returns another value
CreateTask.handled_by(create_or_refuse)  # wrong: it has an error that the command does not name
CloseTask.handled_by(create_later)  # wrong: it takes another command
TaskCreated.handled_by(greet)  # wrong: it takes another event
TaskCreated.handled_by(count)  # wrong: it returns neither None nor a Result
handler: AsyncHandler[CloseTask, TaskId, DuplicateTask] = CreateTask.handled_by(create_later)  # wrong: another command


async def use_repository(tasks: AsyncCrudRepository[Task, TaskId]) -> None:
    await tasks.retrieve(UserId.v4())  # wrong: another class of id
    await tasks.save(task.title)  # wrong: a value object is no aggregate
    tasks.retrieve(task.aggregate_id).unwrap()  # wrong: it is not awaited
    found: Task = await tasks.retrieve(task.aggregate_id)  # wrong: it is a Result
    await AsyncInmemoryCrudRepository[Task]().retrieve(UserId.v4())  # wrong: the ids of tasks are TaskIds
    await AsyncInmemoryCrudRepository[Task, UserId]().remove(UserId.v4())  # wrong: another class of ids than that of tasks


async def use_buses(events: AsyncDomainEventBus, commands: AsyncCommandBus) -> None:
    await events.publish(command)  # wrong: a command is no event
    await commands.dispatch(event)  # wrong: an event is no command
    events.publish(event).unwrap()  # wrong: it is not awaited


sync: CrudRepository[Task, TaskId] = AsyncInmemoryCrudRepository[Task, TaskId]()  # wrong: an async repository
later: AsyncCrudRepository[Task, TaskId] = InmemoryCrudRepository[Task, TaskId]()  # wrong: a sync repository
Mediator(CreateTask.handled_by(create_later))  # wrong: an AsyncMediator awaits it
InmemoryDomainEventBus(TaskRenamed.handled_by(greet))  # wrong: an async bus awaits it
AsyncInmemoryDomainEventBus(CreateTask.handled_by(create_later))  # wrong: a handler is no subscriber
AsyncMediator(create_later)  # wrong: a bare function is no handler


async def use_mediator(mediator: AsyncMediator[NoPermission]) -> None:
    answer: Result[TaskId, DuplicateTask | CommandNotHandled] = await mediator.send(command)  # wrong: NoPermission too
    mediator.send(command).unwrap()  # wrong: it is not awaited
    await mediator.send(event)  # wrong: an event is no command


class Chat(AsyncNotifier):
    def publish(self, message: NotifierMessage) -> None: ...  # wrong: no coroutine function


class TaskFinder(AsyncAppService[[TaskId], Task, NoPermission]):
    async def execute(self, task_id: UserId) -> Result[Task, NoPermission]:  # wrong: other parameters
        return Success(task)


caused(task)  # wrong: an aggregate is no message
renamed: TaskRenamed = caused(event)  # wrong: another event
handling(task.title)  # wrong: a value object is no message
