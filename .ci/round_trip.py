"""Try an installed domainkit: define a domain, bring a message to bytes and back, and have a use case done.

Run it outside of the sources, so that what is installed is what is tried. It prints the path, whether a part
is compiled, and the version; anything that doesn't work ends it with an error.
"""

from attrs import field, frozen
from attrs.validators import max_len
from returns.result import Failure, Result

import domainkit
from domainkit import (
    AggregateAlreadyExistError,
    AggregateRoot,
    Command,
    DomainEvent,
    InmemoryCrudRepository,
    Mediator,
    MessageCodec,
    UseCase,
    Uuid,
    ValueObject,
)
from domainkit._speedups import slots


class TaskId(Uuid): ...


@frozen
class Title(ValueObject[str]):
    value: str = field(validator=max_len(60))


@frozen
class TaskCreated(DomainEvent):
    task_id: TaskId
    titles: tuple[Title, ...]


@frozen
class Task(AggregateRoot[TaskId]):
    titles: tuple[Title, ...]


@frozen
class CreateTask(Command[Task, AggregateAlreadyExistError]):
    task_id: TaskId
    titles: tuple[Title, ...]


@frozen
class TaskCreator(UseCase[[CreateTask], Task, AggregateAlreadyExistError]):
    tasks: InmemoryCrudRepository[Task, TaskId]

    def execute(self, command: CreateTask) -> Result[Task, AggregateAlreadyExistError]:
        task = Task(command.titles, aggregate_id=command.task_id)
        return self.tasks.save(task.record(TaskCreated(command.task_id, command.titles)))


def expect(*, that: bool) -> None:
    """End the program unless all is well: `python -O` would leave an `assert` out."""
    if not that:
        raise SystemExit("the installed domainkit doesn't do what it should")


codec = MessageCodec(CreateTask, TaskCreated)
mediator = Mediator(CreateTask.handled_by(TaskCreator(InmemoryCrudRepository[Task, TaskId]())))
command = CreateTask(TaskId.v4(), (Title("Buy milk"), Title("Buy bread")))

received = codec.decode(codec.encode(command)).unwrap()
expect(that=received == command and isinstance(received, CreateTask))
expect(that=isinstance(codec.decode(b'{"data": {}}'), Failure))
(event,) = mediator.send(command).unwrap().domain_events
expect(that=codec.decode(codec.encode(event)).unwrap() == event)
expect(that=isinstance(mediator.send(command).failure(), AggregateAlreadyExistError))

print(slots.__file__)
print("compiled" if slots.COMPILED else "in Python")
print(domainkit.__version__)
