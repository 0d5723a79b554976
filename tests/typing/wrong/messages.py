"""Wrong code around messages: a type checker refuses each line marked `# wrong`, and no other."""

from attrs import evolve
from board import CloseTask, CreateTask, DuplicateTask, NoPermission, TaskCreated, TaskId, TaskRenamed, Title, UserId
from returns.result import Result, Success

from domainkit import Command, DomainError, DomainEvent, Handler, Message, MessageHeader, Subscriber

title = Title("Buy milk")
event = TaskCreated(TaskId.v4(), title)

TaskCreated(UserId.v4(), title)  # wrong: another class of id
TaskCreated(task_id=UserId.v4(), title=title)  # wrong: another class of id
TaskCreated(TaskId.v4())  # wrong: the title is missing
TaskCreated(TaskId.v4(), "Buy milk")  # wrong: a str is no Title
TaskCreated(TaskId.v4(), title, MessageHeader())  # wrong: the header is keyword-only
TaskCreated(TaskId.v4(), title, version=2)  # wrong: unknown field
event.task_id = TaskId.v4()  # wrong: frozen
event.header = MessageHeader()  # wrong: frozen
event.header.meta["tenant"] = "home"  # wrong: read-only
evolve(event, task_id=UserId.v4())  # wrong for mypy: another class of id
evolve(event, owner=UserId.v4())  # wrong for mypy: unknown field
event.add_meta({"user": UserId.v4()})  # wrong: an id is no JSON value
event.add_meta("user")  # wrong: no mapping
event.add_meta({"user": "ada"}).owner  # wrong: unknown field
event.caused_by(title)  # wrong: no message
MessageHeader(id=TaskId)  # wrong: a class is no id
MessageHeader(occurred_on="2021-12-28")  # wrong: a text is no datetime
renamed: TaskRenamed = TaskCreated.from_json("{}")  # wrong: another class
TaskCreated.from_json(5)  # wrong: neither text nor bytes
TaskCreated.from_dict("{}")  # wrong: no mapping
event.info().versions  # wrong: unknown field
event.dict()["attributes"]  # wrong: they stand under data
event_as_command: Command = event  # wrong: an event is no command
command_as_event: DomainEvent = CreateTask(title)  # wrong: a command is no event


def greet(event: TaskRenamed) -> None: ...
def count(event: TaskCreated) -> int:
    return 1


def closes(command: CloseTask) -> Result[None, DomainError]:
    return Success(None)


def creates(command: CreateTask) -> Result[TaskId, DuplicateTask]:
    return Success(TaskId.v4())


def creates_user(command: CreateTask) -> Result[UserId, DuplicateTask]:
    return Success(UserId.v4())


def creates_or_refuses(command: CreateTask) -> Result[TaskId, DuplicateTask | NoPermission]:
    return Success(TaskId.v4())


def creates_bare(command: CreateTask) -> TaskId:
    return TaskId.v4()


TaskCreated.handled_by(greet)  # wrong: it takes another event
TaskCreated.handled_by(count)  # wrong: it returns neither None nor a Result
DomainEvent.handled_by(greet)  # wrong: it takes one kind of event only
CreateTask.handled_by(closes)  # wrong: it takes another command
CreateTask.handled_by(creates_user)  # wrong: it returns another value
CreateTask.handled_by(creates_or_refuses)  # wrong: it has an error that the command does not name
CreateTask.handled_by(creates_bare)  # wrong: it returns no Result
CloseTask.handled_by(creates)  # wrong: it takes another command
handler: Handler[CloseTask, None, DomainError] = CreateTask.handled_by(creates)  # wrong: another command
subscriber: Subscriber[TaskRenamed] = DomainEvent.handled_by(print).message_type  # wrong: a class is no subscriber
Message.handled_by(greet)  # wrong: only events and commands are handled
