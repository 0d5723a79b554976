"""Wrong code around ids of any class: a type checker refuses each line marked `# wrong`, and no other."""

from attrs import frozen
from sqlalchemy import MetaData

from domainkit import AggregateRoot, CrudRepository, InmemoryCrudRepository, Uuid, ValueObject
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    SqlCrudRepository,
    UnitOfWork,
    aggregate_table,
    make_async_engine,
    make_engine,
)


class TaskNumber(ValueObject[int]): ...


class PageNumber(ValueObject[int]): ...


class Seat(ValueObject[tuple[str, int]]): ...


@frozen
class Task(AggregateRoot[TaskNumber]):
    title: str


metadata = MetaData()
unit_of_work = UnitOfWork(make_engine("sqlite://"))
async_unit = AsyncUnitOfWork(make_async_engine("sqlite+aiosqlite://"))
table = aggregate_table(metadata, "tasks", ids=TaskNumber)

aggregate_table(metadata, "numbers", ids=int)  # wrong: an int is no value object
aggregate_table(metadata, "fives", ids=TaskNumber(5))  # wrong: an id is no class
Task("Buy milk", aggregate_id=PageNumber(5))  # wrong: another class of id
Task("Buy milk", aggregate_id=5)  # wrong: an int is no id
Task("Buy milk", aggregate_id=Uuid.v4())  # wrong: its ids are numbers
Seat(("A", "5"))  # wrong: the second part is a number

tasks = SqlCrudRepository(Task, table, unit_of_work)
tasks.retrieve(PageNumber(5))  # wrong: another class of id
tasks.retrieve(5)  # wrong: an int is no id
tasks.remove(Uuid.v4())  # wrong: its ids are numbers
SqlCrudRepository[Task, PageNumber](Task, table, unit_of_work)  # wrong: another class of ids than that of tasks
SqlCrudRepository[Task](Task, table, unit_of_work)  # wrong: the ids of tasks are no Uuids
AsyncSqlCrudRepository[Task, Uuid](Task, table, async_unit)  # wrong: the ids of tasks are no Uuids
of_pages: CrudRepository[Task, PageNumber] = tasks  # wrong: another class of ids than that of tasks

in_memory = InmemoryCrudRepository[Task, TaskNumber]()
in_memory.retrieve(PageNumber(5))  # wrong: another class of id
in_memory.remove(Seat(("A", 5)))  # wrong: another class of id
InmemoryCrudRepository[Task]().retrieve(Uuid.v4())  # wrong: the ids of tasks are no Uuids
port: CrudRepository[Task, TaskNumber] = in_memory
port.retrieve(PageNumber(5))  # wrong: another class of id
