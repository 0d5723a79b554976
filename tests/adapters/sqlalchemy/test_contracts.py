"""The repositories keep all that a CrudRepository promises, on each database, in each form."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from databases import Database
from sqlalchemy import MetaData, Table
from sqlalchemy.pool import NullPool

from domainkit import CrudRepository, DomainEvent, MessageCodec
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    Outbox,
    SqlCrudRepository,
    UnitOfWork,
    aggregate_table,
    make_async_engine,
    outbox_table,
)
from domainkit.testing import (
    AsyncCrudRepositoryContract,
    CrudRepositoryContract,
    SampleTask,
    SampleTaskCreated,
    SampleTaskId,
)

CODEC = MessageCodec(SampleTaskCreated, DomainEvent)


class _OnDatabase:
    """Each repository has tables of its own, in a database of the test."""

    database: Database
    opened: ExitStack

    @pytest.fixture(autouse=True)
    def _open(self, database: Database) -> Iterator[None]:
        self.database = database
        with ExitStack() as self.opened:
            yield

    def tables(self) -> tuple[Table, Outbox, MetaData]:
        metadata, name = MetaData(), f"t{id(object())}"
        return aggregate_table(metadata, name), Outbox(outbox_table(metadata, f"{name}_outbox"), CODEC), metadata


class TestWithOutbox(_OnDatabase, CrudRepositoryContract):
    """State as JSON, events in the outbox."""

    def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
        """Return a repository with tables of its own."""
        table, outbox, metadata = self.tables()
        engine = self.opened.enter_context(self.database.engine(metadata))
        return SqlCrudRepository(SampleTask, table, UnitOfWork(engine, outbox=outbox))


class TestAsyncWithOutbox(_OnDatabase, AsyncCrudRepositoryContract):
    """The async twin, with an outbox."""

    async def make_async_repository(self) -> AsyncSqlCrudRepository[SampleTask, SampleTaskId]:
        """Return a repository with tables of its own; each connection is closed after use, in its loop."""
        table, outbox, metadata = self.tables()
        self.opened.enter_context(self.database.engine(metadata))
        engine = make_async_engine(self.database.async_url, poolclass=NullPool)
        return AsyncSqlCrudRepository(SampleTask, table, AsyncUnitOfWork(engine, outbox=outbox))
