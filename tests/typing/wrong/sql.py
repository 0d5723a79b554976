"""Wrong code around the SQL adapter: a type checker refuses each line marked `# wrong`, and no other."""

from collections.abc import Mapping

from attrs import frozen
from board import CreateTask, DuplicateTask, Task, TaskCreated, TaskId, Title, UserId
from returns.result import Result
from sqlalchemy import MetaData, RowMapping

from domainkit import AggregateAlreadyExistError, AggregateRoot, ConflictError, MessageCodec, OutcomeUnknownError
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncSqlEventStore,
    AsyncSqlSnapshotStore,
    AsyncUnitOfWork,
    Children,
    ChildTable,
    Outbox,
    OutboxCommandBus,
    OutboxDomainEventBus,
    RowMapper,
    SqlCrudRepository,
    SqlEventStore,
    SqlSnapshotStore,
    TablesMapper,
    UnitOfWork,
    aggregate_table,
    events_table,
    make_async_engine,
    make_engine,
    outbox_table,
    refusing,
    refusing_async,
)

metadata = MetaData()
table = aggregate_table(metadata, "tasks")
outbox = Outbox(outbox_table(metadata), MessageCodec(TaskCreated))
Outbox(outbox.table, MessageCodec(TaskCreated), wakes="no")  # wrong: a text is no bool
Outbox(outbox.table, MessageCodec(TaskCreated), wakes=None)  # wrong: it wakes relays or not
Outbox(outbox.table, MessageCodec(TaskCreated), False)  # wrong: options are keyword-only
unit_of_work = UnitOfWork(make_engine("sqlite://"), outbox=outbox)
async_unit = AsyncUnitOfWork(make_async_engine("sqlite+aiosqlite://"))
tasks = SqlCrudRepository[Task, TaskId](Task, table, unit_of_work)
task = Task.create(Title("Buy milk"))


@frozen
class Other(AggregateRoot):
    pass


class TitleMapper(RowMapper[Task]):
    def to_row(self, aggregate: Task) -> Mapping[str, object]:
        return {"title": aggregate.title.value}

    def from_row(self, row: RowMapping) -> Title:  # wrong: it makes no task
        return Title("Buy milk")


class TagTable(ChildTable[Task, str]):
    def children(self, aggregate: Task) -> tuple[Title, ...]:  # wrong: its children are texts
        return (aggregate.title,)

    def to_row(self, child: str) -> Mapping[str, object]:
        return {"tag": child}

    def from_row(self, row: RowMapping) -> str:
        return "urgent"


class OtherTable(ChildTable[Other, str]):
    def children(self, aggregate: Other) -> tuple[str, ...]:
        return ()

    def to_row(self, child: str) -> Mapping[str, object]:
        return {"tag": child}

    def from_row(self, row: RowMapping) -> str:
        return "urgent"


tags = TagTable(table, parent=table.c.id)
others = OtherTable(table, parent=table.c.id)
TagTable(table)  # wrong: it has no column for the parent's id


class TaskInTables(TablesMapper[Task]):
    def to_row(self, aggregate: Task) -> Mapping[str, object]:
        return {"title": aggregate.title.value}

    def from_row(self, row: RowMapping, children: Children[Task]) -> Task:
        numbers: tuple[int, ...] = children[tags]  # wrong: these children are texts
        children[others]  # wrong: a child table of other aggregates
        return task


TaskInTables()  # wrong: no child table
TaskInTables(others)  # wrong: a child table of other aggregates
SqlCrudRepository[Other](Other, table, unit_of_work, mapper=TaskInTables(tags))  # wrong: it maps tasks
SqlCrudRepository[Task, TaskId](Title, table, unit_of_work)  # wrong: a value object is no aggregate
SqlCrudRepository[Task, UserId](Task, table, unit_of_work)  # wrong: another class of ids than that of tasks
SqlCrudRepository[Task](Task, table, unit_of_work)  # wrong: the ids of tasks are TaskIds
SqlCrudRepository(Task, table, unit_of_work).remove(UserId.v4())  # wrong: the ids of tasks are TaskIds
AsyncSqlCrudRepository[Task, UserId](Task, table, async_unit)  # wrong: another class of ids than that of tasks
SqlCrudRepository[Task, TaskId](Task, "tasks", unit_of_work)  # wrong: a name is no table
SqlCrudRepository[Task, TaskId](Task, table, async_unit)  # wrong: an async unit of work
AsyncSqlCrudRepository[Task, TaskId](Task, table, unit_of_work)  # wrong: a sync unit of work
tasks.save(task.title)  # wrong: a value object is no aggregate
tasks.retrieve(UserId.v4())  # wrong: another class of id
tasks.remove(task)  # wrong: an aggregate is no id
tasks.remove_aggregate(task.aggregate_id)  # wrong: an id is no aggregate
saved: Task = tasks.save(task)  # wrong: it is a Result
unit_of_work.atomic(task.close_all)  # wrong: unknown step
unit_of_work.atomic(tasks.save)(task.title)  # wrong: the step takes a task
narrow: Result[Task, AggregateAlreadyExistError] = unit_of_work.atomic(tasks.save)(task)  # wrong: the outcome may be unknown
raced: Result[Task, AggregateAlreadyExistError | OutcomeUnknownError] = unit_of_work.atomic(tasks.save)(task)  # wrong: a race may be lost
SqlCrudRepository[Task, TaskId](Task, table, unit_of_work, upcasters=[len])  # wrong: a number is no state
tasks.find(after=UserId.v4())  # wrong: another class of id
tasks.find("title")  # wrong: a name is no condition
tasks.find(order_by="title")  # wrong: a name is no column
new = refusing(tasks.save, DuplicateTask, constraint="uq", table=table, unit_of_work=unit_of_work)
forgotten: Result[Task, AggregateAlreadyExistError | ConflictError] = new(task)  # wrong: it may be a duplicate
refusing(tasks.save, TaskCreated, constraint="uq", table=table, unit_of_work=unit_of_work)  # wrong: an event needs its task
refusing_async(tasks.save, DuplicateTask, constraint="uq", table=table, unit_of_work=async_unit)  # wrong: a sync step
OutboxDomainEventBus(unit_of_work).publish(CreateTask(Title("Sweep")))  # wrong: a command is no event
OutboxCommandBus(unit_of_work).dispatch(TaskCreated(task.aggregate_id, task.title))  # wrong: an event is no command
OutboxDomainEventBus(async_unit)  # wrong: an async unit of work
with unit_of_work.begin_shared():  # wrong: it is awaited
    tasks.save(task)
events = events_table(metadata, "task_events")
store = SqlEventStore(unit_of_work, events, MessageCodec.of(TaskCreated))
created = TaskCreated(task.aggregate_id, task.title)
store.append("task-1", [created])  # wrong: what is expected has to be said
store.append("task-1", [created], expected="none")  # wrong: a text is no revision
store.append("task-1", [CreateTask(Title("Sweep"))], expected=1)  # wrong: a command is no event
store.append("task-1", created, expected=1)  # wrong: one event is no sequence of them
store.append(task, [created], expected=1)  # wrong: an aggregate is no name of a stream
end: int = store.append("task-1", [created], expected=1)  # wrong: it is a Result
first: TaskCreated = store.read("task-1")[0].event  # wrong: it may be unreadable
SqlEventStore(unit_of_work, "events", MessageCodec.of(TaskCreated))  # wrong: a name is no table
SqlEventStore(async_unit, events, MessageCodec.of(TaskCreated))  # wrong: an async unit of work
AsyncSqlEventStore(unit_of_work, events, MessageCodec.of(TaskCreated))  # wrong: a sync unit of work
SqlEventStore(unit_of_work, events, MessageCodec.of(CreateTask))  # wrong: a store has events alone
SqlSnapshotStore(async_unit, events)  # wrong: an async unit of work
AsyncSqlSnapshotStore(unit_of_work, events)  # wrong: a sync unit of work
