"""An outbox with partitions by time on PostgreSQL, made as the page about operations says."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from databases import Database, new_database
from outboxes import Recorder

from domainkit import MessageCodec
from domainkit.adapters.sqlalchemy import (
    Outbox,
    Relay,
    SqlCrudRepository,
    UnitOfWork,
    aggregate_table,
    outbox_status,
    outbox_table,
)
from domainkit.testing import SampleTask, SampleTaskCreated, SampleTaskId

METADATA = sa.MetaData()
TASKS = aggregate_table(METADATA, "tasks")
OUTBOX = outbox_table(METADATA)
PAST, PRESENT = "outbox_past", "outbox_present"


def partitioned() -> sa.Table:
    """Return the outbox as a migration makes it: the time in the primary key, and partitions by it."""
    table = OUTBOX.to_metadata(sa.MetaData())
    table.c.recorded_at.primary_key = True
    table.append_constraint(sa.PrimaryKeyConstraint(table.c.position, table.c.recorded_at))
    table.dialect_options["postgresql"]["partition_by"] = "RANGE (recorded_at)"
    return table


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Database]:
    """Return a database with the tables, and two partitions."""
    with new_database("postgresql", tmp_path) as database, database.engine() as engine:
        with engine.begin() as connection:
            TASKS.create(connection)
            partitioned().create(connection)
            for name, limits in ((PAST, "MINVALUE) TO ('2026-01-01'"), (PRESENT, "'2026-01-01') TO (MAXVALUE")):
                connection.execute(sa.text(f"CREATE TABLE {name} PARTITION OF outbox FOR VALUES FROM ({limits})"))
        yield database


async def test_the_relay_needs_no_change(postgresql: Database) -> None:
    """Saved alone, together, or in a unit of work: each event is in the partition of its time, and is sent."""
    with postgresql.engine() as engine:
        unit_of_work = UnitOfWork(engine, outbox=Outbox(OUTBOX, MessageCodec(SampleTaskCreated)))
        tasks = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work)
        tasks.save(SampleTask.create("alone")).unwrap()
        tasks.save_all([SampleTask.create("one"), SampleTask.create("of two")]).unwrap()
        with unit_of_work.begin():
            tasks.save(SampleTask.create("in a unit of work")).unwrap()
        with engine.connect() as connection:
            stored = [connection.scalar(sa.text(f"SELECT count(*) FROM {name}")) for name in (PAST, PRESENT)]

    async with postgresql.async_engine() as engine_of_relay:
        publisher = Recorder()
        await Relay(engine_of_relay, OUTBOX, publisher).run_once()
        status = await outbox_status(engine_of_relay, OUTBOX)

    assert [0, 4] == stored
    assert 4 == len(publisher.accepted)
    assert (0, 4) == (status.unsent, status.sent)


def test_an_old_partition_can_be_dropped(postgresql: Database) -> None:
    """The rows of the other partitions stay."""
    with postgresql.engine() as engine:
        unit_of_work = UnitOfWork(engine, outbox=Outbox(OUTBOX, MessageCodec(SampleTaskCreated)))
        tasks = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work)
        tasks.save(SampleTask.create("kept")).unwrap()
        with engine.begin() as connection:
            connection.execute(sa.text(f"DROP TABLE {PAST}"))
            assert 1 == connection.scalar(sa.select(sa.func.count()).select_from(OUTBOX))
