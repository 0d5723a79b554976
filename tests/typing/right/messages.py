"""Messages: payload, header, wire form, and the functions bound to them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import assert_type

from attrs import evolve, frozen
from returns.result import Result, Success

from domainkit import (
    Command,
    DomainError,
    DomainEvent,
    Envelope,
    EnvelopeData,
    EnvelopeDict,
    Handler,
    InvalidMessage,
    JsonValue,
    Message,
    MessageHeader,
    MessageInfo,
    Subscriber,
    Uuid,
)

from board import CloseTask, CreateTask, DuplicateTask, TaskCreated, TaskId, Title, create_task

event = TaskCreated(TaskId.v4(), Title("Buy milk"))
assert_type(event.task_id, TaskId)
assert_type(event.title, Title)
assert_type(event.header, MessageHeader)
assert_type(event.header.id, Uuid)
assert_type(event.header.occurred_on, datetime)
assert_type(event.header.meta, Mapping[str, JsonValue])
assert_type(TaskCreated.info(), MessageInfo)
assert_type(event.info().name, str)
assert_type(event.info().version, int)
assert_type(event.info().kind, str)
assert_type(evolve(event, title=Title("Buy bread")), TaskCreated)

json: JsonValue = {"tenant": "home", "roles": ["reader", ("a", 1, 2.5, None, True)]}
header = MessageHeader(id=Uuid.v7(), occurred_on=datetime.now(UTC), meta={"tenant": "home"})
told = TaskCreated(event.task_id, event.title, header=header)
assert_type(told.add_meta({"user": "ada", "trace": json}), TaskCreated)
command = CreateTask(Title("Buy milk"))
assert_type(event.caused_by(command), TaskCreated)
assert_type(command.caused_by(event).add_meta({}), CreateTask)

wire = event.dict()
assert_type(wire, EnvelopeDict)
assert_type(wire["data"], EnvelopeData)
assert_type(wire["data"]["version"], int)
assert_type(wire["data"]["occurred_on"], str)
assert_type(wire["data"]["attributes"], dict[str, JsonValue])
assert_type(event.json(), str)
assert_type(TaskCreated.from_json(event.json()), TaskCreated)
assert_type(TaskCreated.from_json(b"{}"), TaskCreated)
assert_type(CreateTask.from_dict(command.dict()), CreateTask)

envelope = Envelope.parse(event.json())
assert_type(envelope, Result[Envelope, InvalidMessage])
assert_type(envelope.unwrap().attributes, Mapping[str, JsonValue])
assert_type(envelope.unwrap().info, MessageInfo)
assert_type(Envelope.is_older_form(b"{}"), bool)

several: tuple[Message, ...] = (event, command, CloseTask(TaskId.v4()))
events: tuple[DomainEvent, ...] = (event,)


def send_mail(event: TaskCreated) -> None: ...
def record(event: DomainEvent) -> Result[int, DomainError]:
    return Success(1)


assert_type(TaskCreated.handled_by(send_mail), Subscriber[TaskCreated])
assert_type(TaskCreated.handled_by(record), Subscriber[TaskCreated])
assert_type(DomainEvent.handled_by(record), Subscriber[DomainEvent])
assert_type(TaskCreated.handled_by(send_mail).message_type, type[TaskCreated])


def close(command: CloseTask) -> Result[None, DomainError]:
    return Success(None)


class Closer:
    def close(self, command: CloseTask) -> Result[None, DomainError]:
        return Success(None)


assert_type(CreateTask.handled_by(create_task), Handler[CreateTask, TaskId, DuplicateTask])
assert_type(CloseTask.handled_by(close), Handler[CloseTask, None, DomainError])
assert_type(CloseTask.handled_by(Closer().close), Handler[CloseTask, None, DomainError])
any_command: Command = CloseTask(TaskId.v4())


@frozen
class HookCalled(DomainEvent):
    body: JsonValue
    headers: Mapping[str, JsonValue]


called = HookCalled([1, {"a": None}], {"retry": 1})
assert_type(called.headers, Mapping[str, JsonValue])
