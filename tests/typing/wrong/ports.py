"""Wrong code around ports, the mediator and buses: a type checker refuses each line marked `# wrong`, and no other."""

from typing import Any

from board import (
    CloseTask,
    CreateTask,
    DuplicateTask,
    NoPermission,
    Setting,
    Task,
    TaskCreated,
    TaskId,
    TaskRenamed,
    TaskRepository,
    Title,
    UserId,
    create_task,
)
from returns.result import Result, Success

from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    Command,
    CommandBus,
    CommandNotHandled,
    CrudRepository,
    DomainError,
    DomainEvent,
    DomainEventBus,
    InmemoryCommandBus,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    Mediator,
    Notifier,
    NotifierExceptionMessage,
    NotifierMessage,
    Uuid,
    fold,
)

task = Task.create(Title("Buy milk"))


def use_repository(tasks: CrudRepository[Task, TaskId]) -> None:
    tasks.retrieve(UserId.v4())  # wrong: another class of id
    tasks.retrieve(Uuid.v4())  # wrong: a plain id is no TaskId
    tasks.retrieve(str(task.aggregate_id))  # wrong: a text is no id
    tasks.remove(task)  # wrong: an aggregate is no id
    tasks.save(Setting("colour"))  # wrong: another class of aggregates
    tasks.save(task.aggregate_id)  # wrong: an id is no aggregate
    tasks.update([task])  # wrong: one aggregate at a time
    tasks.save_all(task)  # wrong: several of them
    tasks.save_all([Setting("colour")])  # wrong: another class of aggregates
    many: Result[Task, AggregateAlreadyExistError] = tasks.save_all([task])  # wrong: a tuple
    found: Task = tasks.retrieve(task.aggregate_id)  # wrong: it is a Result
    missing: Result[Task, AggregateAlreadyExistError] = tasks.retrieve(task.aggregate_id)  # wrong: another error
    stored: Result[Task, AggregateNotFoundError] = tasks.update(task)  # wrong: a conflict of versions too
    every: Result[list[Task], AggregateNotFoundError] = tasks.retrieve_all()  # wrong: a tuple
    tasks.retrieve(aggregate_id=task.aggregate_id)  # wrong: an implementer may call it something else
    tasks.delete(task.aggregate_id)  # wrong: unknown method


class Titles(CrudRepository[Title]): ...  # wrong: a value object is no aggregate
class Numbers(CrudRepository[Task, int]): ...  # wrong: an int is no id


TaskRepository()  # wrong: its methods are missing
settings: CrudRepository[Setting] = InmemoryCrudRepository[Task, TaskId]()  # wrong: another class of aggregates
InmemoryCrudRepository[Task, TaskId]("tasks")  # wrong: options are keyword-only
InmemoryCrudRepository[Task]().retrieve(Uuid.v4())  # wrong: the ids of tasks are TaskIds
InmemoryCrudRepository[Task, UserId]().retrieve(UserId.v4())  # wrong: another class of ids than that of tasks
InmemoryCrudRepository[Task, UserId]().remove(UserId.v4())  # wrong: another class of ids than that of tasks


def greet(event: TaskCreated) -> None: ...


subscriber = TaskCreated.handled_by(greet)
handler = CreateTask.handled_by(create_task)
Mediator(subscriber)  # wrong: a subscriber is no handler
Mediator(create_task)  # wrong: a bare function is no handler
Mediator([handler])  # wrong: handlers are passed one by one
InmemoryDomainEventBus(handler)  # wrong: a handler is no subscriber
InmemoryDomainEventBus(greet)  # wrong: a bare function is no subscriber
InmemoryCommandBus(subscriber)  # wrong: a subscriber is no handler



def retriable(command: Command[object, DomainError]) -> None: ...


mediator = Mediator(handler)
mediator.send(TaskCreated(task.aggregate_id, task.title))  # wrong: an event is no command
number: int = fold(mediator.send(CreateTask(task.title)), str, str)  # wrong: it is a str
fold(mediator.send(CreateTask(task.title)), len, str)  # wrong: an id has no length
retriable(TaskRenamed(task.aggregate_id))  # wrong: an event is no command
retriable(CreateTask)  # wrong: a class is no command
answer: Result[TaskId, DuplicateTask] = mediator.send(CreateTask(task.title))  # wrong: CommandNotHandled is not handled
user: Result[UserId, DuplicateTask | CommandNotHandled] = mediator.send(CreateTask(task.title))  # wrong: it is a TaskId
mediator.send(CloseTask(task.aggregate_id)).unwrap().title  # wrong: it is None


def check_all(command: Command[Any, Any]) -> Result[None, NoPermission]:
    return Success(None)


def check(command: CreateTask) -> Result[None, DuplicateTask]:
    return Success(None)


async def check_later(command: Command[Any, Any]) -> Result[None, NoPermission]:
    return Success(None)


def check_or_nothing(command: Command[Any, Any]) -> Result[None, NoPermission] | None:
    return None


def around(command: Command[Any, Any]) -> Result[Any, Any]:
    return Success(None)


mediator.within(around)  # wrong: a middleware takes proceed too
mediator.checked_by(check)  # wrong: a check is asked for every command
mediator.checked_by(create_task)  # wrong: a handler is no check
mediator.checked_by(check_later)  # wrong: a sync mediator can't await it
mediator.checked_by(check_or_nothing)  # wrong: None lets nothing through
mediator.flowing(("tenant", "user"))  # wrong: keys are texts, one by one
refusing: Mediator[DuplicateTask] = mediator.checked_by(check_all)  # wrong: it refuses with NoPermission


def use_buses(events: DomainEventBus, commands: CommandBus) -> None:
    events.publish(CreateTask(task.title))  # wrong: a command is no event
    events.publish([task])  # wrong: an aggregate is no event
    events.publish("task.created")  # wrong: a text is no event
    events.publish(TaskRenamed(task.aggregate_id), TaskRenamed(task.aggregate_id))  # wrong: several go in one iterable
    events.with_meta({"user": UserId.v4()})  # wrong: an id is no JSON value
    commands.dispatch(TaskRenamed(task.aggregate_id))  # wrong: an event is no command
    commands.dispatch([CreateTask(task.title)])  # wrong: one command at a time


class Quiet(DomainEventBus): ...


class Deaf(DomainEventBus):
    def publish(self, events: DomainEvent) -> None: ...  # wrong: it takes several, and returns a Result
    def close(self) -> None: ...


Quiet()  # wrong: its methods are missing


def use_notifier(notifier: Notifier) -> None:
    notifier.publish("Import finished")  # wrong: a text is no message
    notifier.publish(NotifierExceptionMessage("Bug"))  # wrong: publish_exception takes it
    notifier.publish_exception(NotifierMessage("Bug"))  # wrong: publish takes it
    NotifierMessage("Bug").title = "x"  # wrong: frozen
    NotifierMessage(message="312 tasks")  # wrong: the title is missing
    NotifierExceptionMessage("Bug", exception="KeyError")  # wrong: a text is no exception
