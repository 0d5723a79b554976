"""Ports and their in-memory implementations: precise ids, aggregates and errors."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Never, TypeVar, assert_type

from returns.result import Result, Success

from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    BusCannotPublish,
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
    InmemoryNotifier,
    InmemoryOutbox,
    JsonValue,
    LoggingNotifier,
    Mediator,
    Middleware,
    Notifier,
    NotifierExceptionMessage,
    NotifierMessage,
    Repository,
    UnknownError,
    Uuid,
    fold,
)

from board import (
    CloseTask,
    CreateTask,
    DuplicateTask,
    NoPermission,
    Setting,
    SettingRepository,
    Task,
    TaskCreated,
    TaskId,
    TaskRepository,
    Title,
    create_task,
)

R = TypeVar("R")
E = TypeVar("E")

task = Task.create(Title("Buy milk"))


def use_repository(tasks: TaskRepository, settings: SettingRepository) -> None:
    assert_type(tasks.save(task), Result[Task, AggregateAlreadyExistError])
    assert_type(tasks.save_all([task]), Result[tuple[Task, ...], AggregateAlreadyExistError])
    assert_type(tasks.retrieve(task.aggregate_id), Result[Task, AggregateNotFoundError])
    assert_type(tasks.update(task), Result[Task, AggregateNotFoundError | AggregateVersionConflictError])
    assert_type(tasks.remove(task.aggregate_id), Result[None, AggregateNotFoundError])
    assert_type(tasks.retrieve_all(), Result[tuple[Task, ...], Never])
    assert_type(settings.retrieve(Uuid.v4()), Result[Setting, AggregateNotFoundError])


assert_type(InmemoryCrudRepository[Task, TaskId]().retrieve(TaskId.v4()), Result[Task, AggregateNotFoundError])
assert_type(InmemoryCrudRepository[Setting]().retrieve(Uuid.v4()), Result[Setting, AggregateNotFoundError])
port: CrudRepository[Task, TaskId] = InmemoryCrudRepository[Task, TaskId](repository_name="tasks")
marker: Repository = port


# the id class of a repository is the one of its aggregates, by position or by name
assert_type(
    InmemoryCrudRepository[Task, TaskId]().remove(aggregate_id=TaskId.v4()), Result[None, AggregateNotFoundError]
)
assert_type(InmemoryCrudRepository[Task, TaskId]().save(aggregate=task), Result[Task, AggregateAlreadyExistError])


outbox = InmemoryOutbox()
with_outbox: CrudRepository[Task, TaskId] = InmemoryCrudRepository(outbox=outbox)
assert_type(outbox.events, tuple[DomainEvent, ...])


class Tasks(InmemoryCrudRepository[Task, TaskId]):
    def retrieve(self, aggregate_id: TaskId) -> Result[Task, AggregateNotFoundError]:
        return super().retrieve(aggregate_id)


named: CrudRepository[Task, TaskId] = Tasks()
inferred: CrudRepository[Task, TaskId] = InmemoryCrudRepository()


class TaskArchive(Repository):
    def latest(self) -> Task:
        return task


event = TaskCreated(task.aggregate_id, task.title)


def mail(event: TaskCreated) -> None: ...
def log(event: DomainEvent) -> Result[None, DomainError]:
    return Success(None)


bus = InmemoryDomainEventBus(TaskCreated.handled_by(mail), DomainEvent.handled_by(log), TaskCreated.handled_by(log))
assert_type(bus.published, tuple[DomainEvent, ...])
assert_type(bus.with_meta({"tenant": "home"}), InmemoryDomainEventBus)


def use_event_bus(port: DomainEventBus) -> None:
    assert_type(port.publish(event), Result[None, BusCannotPublish])
    assert_type(port.publish([event]), Result[None, BusCannotPublish])
    assert_type(port.publish(task.pull_domain_events()[0]), Result[None, BusCannotPublish])
    assert_type(port.publish(one for one in (event,)), Result[None, BusCannotPublish])
    assert_type(port.with_meta({"tenant": "home"}), DomainEventBus)
    port.close()


use_event_bus(bus)

commands = InmemoryCommandBus(CreateTask.handled_by(create_task))
assert_type(commands.dispatched, tuple[Command[object, object], ...])
assert_type(commands.with_meta({}), InmemoryCommandBus)


def use_command_bus(port: CommandBus) -> None:
    assert_type(port.dispatch(CreateTask(Title("Buy milk"))), Result[None, BusCannotPublish])
    assert_type(port.dispatch(CloseTask(TaskId.v4())), Result[None, BusCannotPublish])
    assert_type(port.with_meta({}), CommandBus)


use_command_bus(commands)


# who implements a port names the parameters
class Kafka(DomainEventBus):
    def publish(self, what_happened: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        return Success(None)

    def with_meta(self, more: Mapping[str, JsonValue]) -> "Kafka":
        return Kafka()

    def close(self) -> None: ...


class Chat(Notifier):
    def publish(self, news: NotifierMessage) -> None: ...
    def publish_exception(self, bug: NotifierExceptionMessage) -> None: ...


def close_task(command: CloseTask) -> Result[None, DomainError]:
    return Success(None)


mediator = Mediator(CreateTask.handled_by(create_task), CloseTask.handled_by(close_task))
assert_type(mediator.send(CreateTask(Title("Buy milk"))), Result[TaskId, DuplicateTask | CommandNotHandled])
assert_type(mediator.send(CloseTask(TaskId.v4())), Result[None, DomainError | CommandNotHandled])
unhandled: DomainError = CommandNotHandled()

# what a sent command answers needs no variable
new_id: str = fold(mediator.send(CreateTask(Title("Buy milk"))), str, str)
assert_type(mediator.send(CreateTask(Title("Buy milk"))).value_or(None), TaskId | None)


# a function of any command takes each
def audited(command: Command[object, object]) -> str:
    return str(command.header.id)


def retriable(command: Command[object, DomainError]) -> bool:
    return command.info().version == 1


audited(CreateTask(Title("Buy milk")))
retriable(CloseTask(TaskId.v4()))
every: list[Command[object, object]] = [CreateTask(Title("Buy milk")), CloseTask(TaskId.v4())]


def allow(command: Command[Any, Any]) -> Result[None, NoPermission]:
    return Success(None)


def count(command: Command[R, E], proceed: Callable[[Command[R, E]], Result[R, E]], /) -> Result[R, E]:
    return proceed(command)


middleware: Middleware = count
checked = mediator.within(count).checked_by(allow)
assert_type(checked, Mediator[NoPermission])
assert_type(checked.flowing("tenant", "user"), Mediator[NoPermission])
assert_type(InmemoryDomainEventBus().flowing("tenant"), InmemoryDomainEventBus)
assert_type(checked.send(CloseTask(TaskId.v4())), Result[None, DomainError | CommandNotHandled | NoPermission])

notifiers: tuple[Notifier, ...] = (
    LoggingNotifier(),
    LoggingNotifier(logging.getLogger("shop")),
    InmemoryNotifier(),
)
notifiers[0].publish(NotifierMessage("Import finished", "312 tasks", meta={"list": "home"}, link="https://example.org"))
notifiers[0].publish_exception(
    NotifierExceptionMessage("Bug", executor="TaskCreator", exception=KeyError("id"), lineno=3)
)
bug = NotifierExceptionMessage.from_unknown_error(UnknownError(), title="Bug")
assert_type(bug, NotifierExceptionMessage)
assert_type(bug.exception, BaseException | None)
assert_type(NotifierMessage("x").meta, Mapping[str, object])
assert_type(InmemoryNotifier().messages, tuple[NotifierMessage | NotifierExceptionMessage, ...])


def use_bare_mediator(mediator: Mediator) -> None:
    assert_type(mediator.send(CloseTask(TaskId.v4())), Result[None, DomainError | CommandNotHandled])
