"""Repositories and buses keep all that their ports promise, on each database, in each form."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from databases import METADATA, OUTBOX, Database, stored_messages, unsynced
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    Interval,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from domainkit import Command, CrudRepository, DomainEvent, MessageCodec, make_converter
from domainkit.adapters.sqlalchemy import (
    AsyncOutboxCommandBus,
    AsyncOutboxDomainEventBus,
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    Children,
    ChildTable,
    Outbox,
    OutboxCommandBus,
    OutboxDomainEventBus,
    RowMapper,
    SqlCrudRepository,
    TablesMapper,
    UnitOfWork,
    aggregate_table,
    make_async_engine,
    outbox_table,
)
from domainkit.testing import (
    AsyncCommandBusContract,
    AsyncCrudRepositoryContract,
    AsyncDomainEventBusContract,
    CommandBusContract,
    CrudRepositoryContract,
    DomainEventBusContract,
    SampleCreateTask,
    SampleTask,
    SampleTaskCreated,
    SampleTaskId,
    SampleTitle,
)

SAMPLES = MessageCodec(SampleTaskCreated, SampleCreateTask)
"""The classes that contracts send: a codec needs no others."""

SAMPLES_OUTBOX = Outbox(OUTBOX.table, SAMPLES)


class _OnDatabase:
    """Each repository and bus has tables of its own, in the database of the test."""

    database: Database
    opened: ExitStack
    engines: dict[int, Engine]

    @pytest.fixture(autouse=True)
    def _open(self, database: Database) -> Iterator[None]:
        self.database, self.engines = database, {}
        with ExitStack() as self.opened:
            yield

    def new_tables(self) -> tuple[Engine, Table, Outbox]:
        """Return an engine, a table for tasks and an outbox."""
        metadata, number = MetaData(), len(self.engines)
        table = aggregate_table(metadata, f"tasks_{number}")
        outbox = Outbox(outbox_table(metadata, f"outbox_{number}"), SAMPLES)
        return self.new_engine(metadata), table, outbox

    def new_engine(self, metadata: MetaData) -> Engine:
        """Return an engine; the tables are there."""
        engine = self.opened.enter_context(self.database.engine(metadata))
        self.engines[len(self.engines)] = engine
        return engine

    def new_async_engine(self) -> AsyncEngine:
        """Return an engine that closes each connection after use, in its loop."""
        return unsynced(make_async_engine(self.database.async_url, poolclass=NullPool))


class TestWithOutbox(_OnDatabase, CrudRepositoryContract):
    """State as JSON, events in the outbox."""

    def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
        """Return a repository with tables of its own."""
        engine, table, outbox = self.new_tables()
        return SqlCrudRepository(SampleTask, table, UnitOfWork(engine, outbox=outbox))


class TestWithoutOutbox(_OnDatabase, CrudRepositoryContract):
    """State as JSON, events left to the caller."""

    def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
        """Return a repository with a table of its own."""
        engine, table, _ = self.new_tables()
        return SqlCrudRepository(SampleTask, table, UnitOfWork(engine))


class TestWithConverter(_OnDatabase, CrudRepositoryContract):
    """State as a converter of the user's own writes it."""

    def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
        """Return a repository whose state has wrapped value objects."""
        engine, table, _ = self.new_tables()
        converter = make_converter(unwrap_value_objects=False)
        return SqlCrudRepository(SampleTask, table, UnitOfWork(engine), converter=converter)


class TestAsyncWithOutbox(_OnDatabase, AsyncCrudRepositoryContract):
    """The async twin, with an outbox."""

    async def make_async_repository(self) -> AsyncSqlCrudRepository[SampleTask, SampleTaskId]:
        """Return a repository with tables of its own."""
        _, table, outbox = self.new_tables()
        return AsyncSqlCrudRepository(SampleTask, table, AsyncUnitOfWork(self.new_async_engine(), outbox=outbox))


class TestAsyncWithoutOutbox(_OnDatabase, AsyncCrudRepositoryContract):
    """The async twin, without an outbox."""

    async def make_async_repository(self) -> AsyncSqlCrudRepository[SampleTask, SampleTaskId]:
        """Return a repository with a table of its own."""
        _, table, _ = self.new_tables()
        return AsyncSqlCrudRepository(SampleTask, table, AsyncUnitOfWork(self.new_async_engine()))


def task_columns(metadata: MetaData, name: str) -> Table:
    """Return a table with a column for each field, ordered by a number of its own."""
    return Table(
        name,
        metadata,
        Column("number", Integer, primary_key=True),
        Column("id", Uuid(), unique=True, nullable=False),
        Column("version", Integer, nullable=False),
        Column("title", Text, nullable=False),
        Column("due", DateTime(timezone=True)),
        Column("done", Boolean, nullable=False),
        Column("reward", String, nullable=False),
        Column("effort", Interval, nullable=False),
        Column("steps", JSON, nullable=False),
        Column("links", JSON, nullable=False),
        Column("source", Text, nullable=False, default=lambda: "computed"),
        sqlite_autoincrement=True,
    )


class TaskMapper(RowMapper[SampleTask]):
    """Tasks in columns."""

    def to_row(self, aggregate: SampleTask) -> dict[str, object]:
        """Return the columns but for id and version."""
        return {
            "title": aggregate.title.value,
            "due": aggregate.due,
            "done": aggregate.done,
            "reward": str(aggregate.reward),
            "effort": aggregate.effort,
            "steps": [step.value for step in aggregate.steps],
            "links": dict(aggregate.links),
        }

    def from_row(self, row: RowMapping) -> SampleTask:
        """Return the task."""
        due, effort = row["due"], row["effort"]
        assert "computed" == row["source"]
        assert isinstance(effort, timedelta)
        return SampleTask(
            SampleTitle(row["title"]),
            due=None if due is None else due.replace(tzinfo=due.tzinfo or UTC),  # SQLite has no zones
            done=row["done"],
            reward=Decimal(row["reward"]),
            effort=effort,
            steps=tuple(map(SampleTitle, row["steps"])),
            links=row["links"],
            aggregate_id=SampleTaskId(row["id"]),
            aggregate_version=row["version"],
        )


class TestWithMapper(_OnDatabase, CrudRepositoryContract):
    """State in columns of a table of the user's own."""

    def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
        """Return a repository that orders by another column than position."""
        metadata = MetaData()
        table = task_columns(metadata, f"columns_{len(self.engines)}")
        unit_of_work = UnitOfWork(self.new_engine(metadata))
        return SqlCrudRepository(SampleTask, table, unit_of_work, mapper=TaskMapper(), order_by=table.c.number)


class Steps(ChildTable[SampleTask, SampleTitle]):
    """The steps of tasks."""

    def children(self, aggregate: SampleTask) -> tuple[SampleTitle, ...]:
        """Return the steps."""
        return aggregate.steps

    def to_row(self, child: SampleTitle) -> dict[str, object]:
        """Return the column of a step."""
        return {"step": child.value}

    def from_row(self, row: RowMapping) -> SampleTitle:
        """Return the step."""
        return SampleTitle(row["step"])


class Links(ChildTable[SampleTask, tuple[str, str]]):
    """The links of tasks, each with its name."""

    def children(self, aggregate: SampleTask) -> list[tuple[str, str]]:
        """Return the links."""
        return list(aggregate.links.items())

    def to_row(self, child: tuple[str, str]) -> dict[str, object]:
        """Return the columns of a link."""
        name, url = child
        return {"name": name, "url": url}

    def from_row(self, row: RowMapping) -> tuple[str, str]:
        """Return the link."""
        return row["name"], row["url"]


class TaskInTables(TablesMapper[SampleTask]):
    """Tasks in columns, their steps and links in tables of their own."""

    def __init__(self, steps: Steps, links: Links) -> None:
        """Make a mapper with both child tables."""
        super().__init__(steps, links)
        self._steps, self._links = steps, links

    def to_row(self, aggregate: SampleTask) -> dict[str, object]:
        """Return the other columns, as they are in one table."""
        return TaskMapper().to_row(aggregate) | {"steps": [], "links": {}}

    def from_row(self, row: RowMapping, children: Children[SampleTask]) -> SampleTask:
        """Return the task."""
        return evolve(TaskMapper().from_row(row), steps=children[self._steps], links=dict(children[self._links]))


def task_tables(metadata: MetaData, name: str) -> tuple[Table, TaskInTables]:
    """Return the table of tasks and a mapper with two child tables, one with a foreign key and one without."""
    root = task_columns(metadata, name)
    to_root = ForeignKey(f"{name}.id")
    steps, links = (
        Table(
            f"{name}_{children}",
            metadata,
            Column("task_id", Uuid(), *keys, primary_key=True),
            Column("position", Integer, primary_key=True),
            *(Column(column, Text, nullable=False) for column in columns),
        )
        for children, columns, keys in (("steps", ["step"], [to_root]), ("links", ["name", "url"], []))
    )
    return root, TaskInTables(Steps(steps, parent=steps.c.task_id), Links(links, parent=links.c.task_id))


class TestWithChildTables(_OnDatabase, CrudRepositoryContract):
    """State in columns of several tables, events in the outbox."""

    def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
        """Return a repository with tables of its own."""
        metadata, number = MetaData(), len(self.engines)
        (root, mapper), outbox = task_tables(metadata, f"tasks_{number}"), outbox_table(metadata, f"outbox_{number}")
        unit_of_work = UnitOfWork(self.new_engine(metadata), outbox=Outbox(outbox, SAMPLES))
        return SqlCrudRepository(SampleTask, root, unit_of_work, mapper=mapper, order_by=root.c.number)


class TestAsyncWithChildTables(_OnDatabase, AsyncCrudRepositoryContract):
    """The async twin."""

    async def make_async_repository(self) -> AsyncSqlCrudRepository[SampleTask, SampleTaskId]:
        """Return a repository with tables of its own."""
        metadata, number = MetaData(), len(self.engines)
        (root, mapper), outbox = task_tables(metadata, f"tasks_{number}"), outbox_table(metadata, f"outbox_{number}")
        self.new_engine(metadata)
        unit_of_work = AsyncUnitOfWork(self.new_async_engine(), outbox=Outbox(outbox, SAMPLES))
        return AsyncSqlCrudRepository(SampleTask, root, unit_of_work, mapper=mapper, order_by=root.c.number)


class TestEventBus(_OnDatabase, DomainEventBusContract[OutboxDomainEventBus]):
    """Events in the outbox are what arrives."""

    def make_bus(self) -> OutboxDomainEventBus:
        """Return a bus over an empty outbox."""
        return OutboxDomainEventBus(UnitOfWork(self.new_engine(METADATA), outbox=SAMPLES_OUTBOX))

    def received(self, bus: OutboxDomainEventBus) -> Sequence[DomainEvent]:
        """Return the stored rows, decoded."""
        return [message for message in stored_messages(self.engines[0]) if isinstance(message, DomainEvent)]


class TestCommandBus(_OnDatabase, CommandBusContract[OutboxCommandBus]):
    """Commands in the outbox are what arrives."""

    def make_bus(self) -> OutboxCommandBus:
        """Return a bus over an empty outbox."""
        return OutboxCommandBus(UnitOfWork(self.new_engine(METADATA), outbox=SAMPLES_OUTBOX))

    def received(self, bus: OutboxCommandBus) -> Sequence[Command[Any, Any]]:
        """Return the stored rows, decoded."""
        return [message for message in stored_messages(self.engines[0]) if isinstance(message, Command)]


class TestAsyncEventBus(_OnDatabase, AsyncDomainEventBusContract[AsyncOutboxDomainEventBus]):
    """The async twin."""

    async def make_async_bus(self) -> AsyncOutboxDomainEventBus:
        """Return a bus over an empty outbox."""
        self.new_engine(METADATA)
        return AsyncOutboxDomainEventBus(AsyncUnitOfWork(self.new_async_engine(), outbox=SAMPLES_OUTBOX))

    def received_by(self, bus: AsyncOutboxDomainEventBus) -> Sequence[DomainEvent]:
        """Return the stored rows, decoded."""
        return [message for message in stored_messages(self.engines[0]) if isinstance(message, DomainEvent)]


class TestAsyncCommandBus(_OnDatabase, AsyncCommandBusContract[AsyncOutboxCommandBus]):
    """The async twin."""

    async def make_async_bus(self) -> AsyncOutboxCommandBus:
        """Return a bus over an empty outbox."""
        self.new_engine(METADATA)
        return AsyncOutboxCommandBus(AsyncUnitOfWork(self.new_async_engine(), outbox=SAMPLES_OUTBOX))

    def received_by(self, bus: AsyncOutboxCommandBus) -> Sequence[Command[Any, Any]]:
        """Return the stored rows, decoded."""
        return [message for message in stored_messages(self.engines[0]) if isinstance(message, Command)]
