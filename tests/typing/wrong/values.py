"""Wrong code around value objects and ids: a type checker refuses each line marked `# wrong`, and no other."""

from uuid import UUID, uuid4

from attrs import evolve, frozen
from board import Note, Priority, Task, TaskId, Title, UserId
from returns.result import Result

from domainkit import DomainError, InvalidUuid, InvalidValueObject, Uuid, ValueObject, parse


def close(task_id: TaskId) -> None: ...


close(UserId.v4())  # wrong: another class of id
close(Uuid.v4())  # wrong: a plain id is no TaskId
close(UUID(int=1))  # wrong: a bare UUID is no id of the domain
close("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")  # wrong: a text is no id
UserId.v4().value.hex.value  # wrong: a str has no value
task_id: TaskId = UserId.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")  # wrong: another class of id
by_task: dict[TaskId, str] = {UserId.v4(): "a user"}  # wrong: another class of id
TaskId("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")  # wrong: the constructor takes a UUID; from_str takes text
TaskId.from_value(5)  # wrong: neither a text nor a UUID
TaskId.from_uuid("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")  # wrong: from_str takes text
TaskId.from_str(uuid4())  # wrong: from_uuid takes a UUID
TaskId()  # wrong: an id is made by v4 or v7

Title(5)  # wrong: it wraps a str
Title()  # wrong: the value is missing
Title(text="Buy milk")  # wrong: the field is called value
Title("Buy milk", "now")  # wrong: it wraps one value
Title(None)  # wrong: `None` is not a str
Title.from_value(5)  # wrong: it wraps a str
Note(5)  # wrong: it wraps a str or None
Title("Buy milk").value = "Buy bread"  # wrong: frozen
Title("Buy milk").value.append("x")  # wrong: a str has no append
Note("later").value.upper()  # wrong: it may be None
number: int = Title("Buy milk").value  # wrong: it is a str
title: Title = Title.parse("Buy milk")  # wrong: it is a Result
priority: Priority = Title.parse("Buy milk").unwrap()  # wrong: it is a Title
evolve(Title("Buy milk"), text="x")  # wrong for mypy: the field is called value
evolve(Title("Buy milk"), value=5)  # wrong for mypy: it wraps a str
text_or_number: ValueObject[int] = Title("Buy milk")  # wrong: it wraps a str


class Plain(ValueObject[str]): ...


print(TaskId.v4() < TaskId.v4())  # wrong: ids have no order
print(sorted([TaskId.v4(), TaskId.v4()]))  # wrong: ids have no order
print(max(TaskId.v4(), TaskId.v4()))  # wrong: ids have no order
print(Plain("a") < Plain("b"))  # wrong: a value object has none either


class EmptyTitle(DomainError): ...


class Heading(ValueObject[str, EmptyTitle]): ...


unnamed: Result[Heading, InvalidValueObject] = Heading.parse("a")  # wrong: it may be an EmptyTitle
uuid_error: Result[Title, InvalidUuid] = Title.parse("a")  # wrong: a title is no id


@frozen
class Money:
    amount: Priority


Money(5)  # wrong: an int is no Priority
title: Title = parse(Money, {}).unwrap()  # wrong: what is parsed is Money
Money(Priority(5)).amount = Priority(6)  # wrong: frozen
Task(Title("Buy milk")).title = Title("Buy bread")  # wrong: frozen
