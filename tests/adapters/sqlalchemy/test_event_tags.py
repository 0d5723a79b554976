"""Queries by tags and conditional appends in SQLite and PostgreSQL: what every store promises, and SQL ones beyond."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from databases import Database, unsynced
from sqlalchemy import MetaData
from sqlalchemy.pool import NullPool

from domainkit import AsyncEventStore, EventStore, MessageCodec
from domainkit.adapters.sqlalchemy import (
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    SqlEventStore,
    UnitOfWork,
    event_tags_table,
    events_table,
    make_async_engine,
)
from domainkit.testing import (
    AsyncTaggedEventStoreContract,
    SampleSubscribed,
    SampleUnsubscribed,
    TaggedEventStoreContract,
)

SampleEvent = SampleSubscribed | SampleUnsubscribed


class _OnEachDatabase:
    """A database, and tables of their own for each store."""

    @pytest.fixture(autouse=True)
    def _open(self, database: Database) -> Iterator[None]:
        self.database, self.metadata = database, MetaData()
        with ExitStack() as self.opened:
            yield

    def _sync_made(self, codec: MessageCodec[SampleEvent]) -> EventStore[SampleEvent]:
        number = len(self.metadata.tables)
        table = events_table(self.metadata, f"events_{number}")
        tags = event_tags_table(self.metadata, f"tags_{number}")
        unit_of_work = UnitOfWork(self.opened.enter_context(self.database.engine(self.metadata)))
        return SqlEventStore(unit_of_work, table, codec, tags=tags)

    async def _async_made(self, codec: MessageCodec[SampleEvent]) -> AsyncEventStore[SampleEvent]:
        number = len(self.metadata.tables)
        table = events_table(self.metadata, f"events_{number}")
        tags = event_tags_table(self.metadata, f"tags_{number}")
        with self.database.engine(self.metadata):
            engine = unsynced(make_async_engine(self.database.async_url, poolclass=NullPool))
        return AsyncSqlEventStore(AsyncUnitOfWork(engine), table, codec, tags=tags)


class TestTagged(_OnEachDatabase, TaggedEventStoreContract):
    """A store with tags on each database."""

    def make_store(self, codec: MessageCodec[SampleEvent]) -> EventStore[SampleEvent]:
        """Return a store with tables of its own."""
        return self._sync_made(codec)


class TestAsyncTagged(_OnEachDatabase, AsyncTaggedEventStoreContract):
    """The async twin."""

    async def make_async_store(self, codec: MessageCodec[SampleEvent]) -> AsyncEventStore[SampleEvent]:
        """Return a store with tables of its own, and connections that are closed after use, in their loop."""
        return await self._async_made(codec)
