"""The async twins: coroutine functions where there is I/O, with the same precise types."""

import logging
from typing import Any, Never, assert_type

from returns.result import Failure, Result, Success

from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    AsyncAppService,
    AsyncCommandBus,
    AsyncCrudRepository,
    AsyncDomainEventBus,
    AsyncHandler,
    AsyncInmemoryCommandBus,
    AsyncInmemoryCrudRepository,
    AsyncInmemoryDomainEventBus,
    AsyncInmemoryNotifier,
    AsyncLoggingNotifier,
    AsyncMediator,
    AsyncMiddleware,
    AsyncNotifier,
    AsyncSubscriber,
    BusCannotPublish,
    Command,
    CommandNotHandled,
    DomainError,
    DomainEvent,
    NotifierExceptionMessage,
    NotifierMessage,
    caused,
    fold,
    handling,
)

from board import (
    CloseTask,
    CreateTask,
    DuplicateTask,
    NoPermission,
    Task,
    TaskCreated,
    TaskId,
    Title,
    create_task,
)

task = Task.create(Title("Buy milk"))
event = TaskCreated(task.aggregate_id, task.title)
command = CreateTask(Title("Buy milk"))


async def create_later(command: CreateTask) -> Result[TaskId, DuplicateTask]:
    return create_task(command)


async def close_later(command: CloseTask) -> Result[None, DomainError]:
    return Success(None)


async def mail(event: TaskCreated) -> None: ...
async def log(event: DomainEvent) -> Result[int, DomainError]:
    return Success(1)


def shout(event: TaskCreated) -> None: ...


assert_type(CreateTask.handled_by(create_later), AsyncHandler[CreateTask, TaskId, DuplicateTask])
assert_type(TaskCreated.handled_by(mail), AsyncSubscriber[TaskCreated])
assert_type(TaskCreated.handled_by(log), AsyncSubscriber[TaskCreated])


async def use_repository(tasks: AsyncCrudRepository[Task, TaskId]) -> None:
    assert_type(await tasks.save(task), Result[Task, AggregateAlreadyExistError])
    assert_type(await tasks.retrieve(task.aggregate_id), Result[Task, AggregateNotFoundError])
    assert_type(await tasks.update(task), Result[Task, AggregateNotFoundError | AggregateVersionConflictError])
    assert_type(await tasks.remove(task.aggregate_id), Result[None, AggregateNotFoundError])
    assert_type(await tasks.retrieve_all(), Result[tuple[Task, ...], Never])
    assert_type(await tasks.save_all((task,)), Result[tuple[Task, ...], AggregateAlreadyExistError])


repository: AsyncCrudRepository[Task, TaskId] = AsyncInmemoryCrudRepository[Task, TaskId]()


async def name_the_id() -> None:
    found = await AsyncInmemoryCrudRepository[Task, TaskId]().retrieve(aggregate_id=task.aggregate_id)
    assert_type(found, Result[Task, AggregateNotFoundError])


async def use_buses(events: AsyncDomainEventBus, commands: AsyncCommandBus) -> None:
    assert_type(await events.publish(event), Result[None, BusCannotPublish])
    assert_type(await events.publish([event]), Result[None, BusCannotPublish])
    assert_type(events.with_meta({"tenant": "home"}), AsyncDomainEventBus)
    assert_type(await commands.dispatch(command), Result[None, BusCannotPublish])
    await events.close()
    await commands.close()


event_bus: AsyncDomainEventBus = AsyncInmemoryDomainEventBus(
    TaskCreated.handled_by(mail), TaskCreated.handled_by(shout), DomainEvent.handled_by(log)
)
command_bus: AsyncCommandBus = AsyncInmemoryCommandBus(
    CreateTask.handled_by(create_later), CloseTask.handled_by(close_later)
)


class Permissions:
    async def check(self, command: Command[Any, Any]) -> Result[None, NoPermission]:
        return Failure(NoPermission())


async def use_mediator() -> None:
    mediator = AsyncMediator(CreateTask.handled_by(create_task), CloseTask.handled_by(close_later))
    assert_type(await mediator.send(command), Result[TaskId, DuplicateTask | CommandNotHandled])
    assert_type(fold(await mediator.send(command), str, str), str)
    checked = mediator.checked_by(Permissions().check)
    assert_type(checked, AsyncMediator[NoPermission])
    assert_type(await checked.send(command), Result[TaskId, DuplicateTask | CommandNotHandled | NoPermission])


def use_middleware(mediator: AsyncMediator[Never], around: AsyncMiddleware) -> None:
    assert_type(mediator.within(around), AsyncMediator[Never])


class Chat(AsyncNotifier):
    async def publish(self, message: NotifierMessage) -> None: ...
    async def publish_exception(self, message: NotifierExceptionMessage) -> None: ...


class TaskFinder(AsyncAppService[[TaskId], Task, NoPermission]):
    async def execute(self, task_id: TaskId) -> Result[Task, NoPermission]:
        return Failure(NoPermission())


async def find() -> None:
    assert_type(await TaskFinder().execute(TaskId.v4()), Result[Task, NoPermission])


with handling(command):
    assert_type(caused(event), TaskCreated)


async def use_bare_mediator(mediator: AsyncMediator) -> None:
    assert_type(await mediator.send(CloseTask(TaskId.v4())), Result[None, DomainError | CommandNotHandled])


notifier_in_memory: AsyncNotifier = AsyncInmemoryNotifier()
notifier_to_log: AsyncNotifier = AsyncLoggingNotifier(logging.getLogger("shop"))
