"""The SQL adapter: repositories, units of work and buses keep ids, aggregates and errors precise."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Never, assert_type

from returns.result import Result
from sqlalchemy import Connection, MetaData, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from domainkit import (
    NO_STREAM,
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    Appended,
    AsyncCrudRepository,
    AsyncEventStore,
    AsyncSnapshotStore,
    Attributes,
    BusCannotPublish,
    ConflictError,
    CrudRepository,
    DomainEventBus,
    EventStore,
    MessageCodec,
    OutcomeUnknownError,
    RecordedEvent,
    RevisionConflict,
    SnapshotStore,
    UnreadableEvent,
    async_pipeline,
    pipeline,
)
from domainkit.adapters.sqlalchemy import (
    AsyncOutboxDomainEventBus,
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
    snapshots_table,
)

from board import CreateTask, DuplicateTask, Task, TaskCreated, TaskId, Title

metadata = MetaData()
table = aggregate_table(metadata, "tasks")
outbox = Outbox(outbox_table(metadata), MessageCodec(TaskCreated), wakes=False)
unit_of_work = UnitOfWork(make_engine("sqlite://"), outbox=outbox)
tasks = SqlCrudRepository[Task, TaskId](Task, table, unit_of_work)
task = Task.create(Title("Buy milk"))

assert_type(SqlCrudRepository(Task, table, unit_of_work), SqlCrudRepository[Task, TaskId])  # its own class of ids
port: CrudRepository[Task, TaskId] = tasks

events = events_table(metadata, "task_events")
streams = SqlEventStore(unit_of_work, events, MessageCodec.of(TaskCreated))
assert_type(streams, SqlEventStore[TaskCreated])
kept: EventStore[TaskCreated] = streams
saved: SnapshotStore = SqlSnapshotStore(unit_of_work, snapshots_table(metadata))
created = TaskCreated(task.aggregate_id, task.title)
assert_type(streams.append(task.aggregate_id, [created], expected=NO_STREAM), Result[Appended, RevisionConflict])
assert_type(streams.read("task-1", limit=7, backwards=True), Sequence[RecordedEvent[TaskCreated] | UnreadableEvent])
assert_type(streams.archive(task.aggregate_id), Result[Appended, RevisionConflict])

assert_type(tasks.save(task), Result[Task, AggregateAlreadyExistError])
assert_type(tasks.save_all(iter([task])), Result[tuple[Task, ...], AggregateAlreadyExistError])
assert_type(tasks.retrieve(task.aggregate_id), Result[Task, AggregateNotFoundError])
assert_type(tasks.update(task), Result[Task, AggregateNotFoundError | AggregateVersionConflictError])
assert_type(tasks.remove(task.aggregate_id), Result[None, AggregateNotFoundError])
assert_type(tasks.remove_aggregate(task), Result[Task, AggregateNotFoundError | AggregateVersionConflictError])
assert_type(tasks.retrieve_all(), Result[tuple[Task, ...], Never])

assert_type(tasks.find(table.c.version > 1, order_by=table.c.id.desc(), limit=7), Result[tuple[Task, ...], Never])
assert_type(
    tasks.find(order_by=[table.c.id], after=task.aggregate_id), Result[tuple[Task, ...], AggregateNotFoundError]
)
assert_type(tasks.stream(table.c.version > 1, order_by=table.c.id), Iterator[Task])

save = unit_of_work.atomic(tasks.save)
assert_type(save(task), Result[Task, AggregateAlreadyExistError | OutcomeUnknownError | ConflictError])
store = unit_of_work.atomic(pipeline(tasks.save, tasks.update))
assert_type(
    store(task),
    Result[
        Task,
        AggregateAlreadyExistError
        | AggregateNotFoundError
        | AggregateVersionConflictError
        | OutcomeUnknownError
        | ConflictError,
    ],
)

unique = refusing(tasks.save, DuplicateTask, constraint="uq_tasks_title", table=table, unit_of_work=unit_of_work)
assert_type(unique(task), Result[Task, AggregateAlreadyExistError | DuplicateTask | ConflictError])
assert_type(
    pipeline(unique, tasks.update)(task),
    Result[
        Task,
        AggregateAlreadyExistError
        | DuplicateTask
        | ConflictError
        | AggregateNotFoundError
        | AggregateVersionConflictError,
    ],
)

bus: DomainEventBus = OutboxDomainEventBus(unit_of_work)
assert_type(bus.publish(TaskCreated(task.aggregate_id, task.title)), Result[None, BusCannotPublish])
assert_type(OutboxCommandBus(unit_of_work).dispatch(CreateTask(Title("Sweep"))), Result[None, BusCannotPublish])


class TaskMapper(RowMapper[Task]):
    """Tasks in columns."""

    def to_row(self, aggregate: Task) -> Mapping[str, object]:
        return {"title": aggregate.title.value}

    def from_row(self, row: RowMapping) -> Task:
        return task


def with_title(state: Attributes) -> Attributes:
    """An old state, lifted."""
    return {**state, "title": "Sweep"}


lifted = SqlCrudRepository[Task, TaskId](Task, table, unit_of_work, upcasters=[with_title])
mapped = SqlCrudRepository[Task, TaskId](Task, table, unit_of_work, mapper=TaskMapper(), order_by=table.c.id)


class TagTable(ChildTable[Task, str]):
    """The tags of tasks."""

    def children(self, aggregate: Task) -> tuple[str, ...]:
        return ("urgent",)

    def to_row(self, child: str) -> Mapping[str, object]:
        return {"tag": child}

    def from_row(self, row: RowMapping) -> str:
        return "urgent"


tags = TagTable(table, parent=table.c.id, position=table.c.position)


class TaskInTables(TablesMapper[Task]):
    """Tasks in two tables."""

    def to_row(self, aggregate: Task) -> Mapping[str, object]:
        return {"title": aggregate.title.value}

    def from_row(self, row: RowMapping, children: Children[Task]) -> Task:
        assert_type(children[tags], tuple[str, ...])
        return task


in_tables = SqlCrudRepository(Task, table, unit_of_work, mapper=TaskInTables(tags))
assert_type(in_tables, SqlCrudRepository[Task, TaskId])


async def awaited() -> None:
    """The async twins."""
    unit = AsyncUnitOfWork(make_async_engine("sqlite+aiosqlite://"), outbox=outbox)
    stored = AsyncSqlCrudRepository[Task, TaskId](Task, table, unit)
    taken: AsyncCrudRepository[Task, TaskId] = stored
    assert_type(await taken.remove(task.aggregate_id), Result[None, AggregateNotFoundError])
    assert_type(await stored.save(task), Result[Task, AggregateAlreadyExistError])
    assert_type(await stored.retrieve(task.aggregate_id), Result[Task, AggregateNotFoundError])
    both = unit.atomic(async_pipeline(stored.save, stored.update))
    assert_type(
        await both(task),
        Result[
            Task,
            AggregateAlreadyExistError
            | AggregateNotFoundError
            | AggregateVersionConflictError
            | OutcomeUnknownError
            | ConflictError,
        ],
    )
    found = refusing_async(stored.save, DuplicateTask, constraint="uq_tasks_title", table=table, unit_of_work=unit)
    assert_type(await found(task), Result[Task, AggregateAlreadyExistError | DuplicateTask | ConflictError])
    assert_type(await stored.find(limit=7), Result[tuple[Task, ...], Never])
    later = stored.find(after=task.aggregate_id)
    assert_type(await later, Result[tuple[Task, ...], AggregateNotFoundError])
    assert_type(stored.stream(), AsyncIterator[Task])
    AsyncSqlCrudRepository[Task, TaskId](Task, table, unit, mapper=TaskInTables(tags))
    assert_type(await unit.run(lambda: 7), int)
    assert_type(await AsyncOutboxDomainEventBus(unit).publish([]), Result[None, BusCannotPublish])
    async_events: AsyncEventStore[TaskCreated] = AsyncSqlEventStore(unit, events, MessageCodec.of(TaskCreated))
    async_saved: AsyncSnapshotStore = AsyncSqlSnapshotStore(unit, snapshots_table(metadata, "others"))
    await async_saved.remove(task.aggregate_id)
    assert_type(await async_events.append("a", [], expected=3), Result[Appended, RevisionConflict])
    assert_type(await async_events.read_all(), Sequence[RecordedEvent[TaskCreated] | UnreadableEvent])


async def share(later: AsyncUnitOfWork) -> None:
    async with unit_of_work.begin_shared() as connection:
        assert_type(connection, Connection)
    with unit_of_work.reading() as looking:
        assert_type(looking, Connection)
    async with later.reading() as async_looking:
        assert_type(async_looking, AsyncConnection)
    async with later.begin_shared() as async_connection:
        assert_type(async_connection, AsyncConnection)
