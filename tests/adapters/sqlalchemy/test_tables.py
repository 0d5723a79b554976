"""Tables that the user's own metadata and migrations know."""

import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from databases import METADATA, Database
from sqlalchemy import Column, Integer, MetaData, Table, insert, inspect, select

from domainkit import AsyncInmemoryMessagePublisher, MessageCodec
from domainkit.adapters.sqlalchemy import (
    Inbox,
    Outbox,
    Relay,
    UnitOfWork,
    aggregate_table,
    events_table,
    inbox_table,
    make_async_engine,
    make_engine,
    outbox_table,
    snapshots_table,
)
from domainkit.adapters.sqlalchemy.tables import UtcDateTime
from domainkit.testing import SampleTaskCreated

WHOLE = MetaData()
aggregate_table(WHOLE, "tasks")
outbox_table(WHOLE)
inbox_table(WHOLE)
events_table(WHOLE)
snapshots_table(WHOLE)


def test_alembic_finds_no_difference(database: Database) -> None:
    """The tables created match the metadata: a migration that is generated then is empty."""
    autogenerate = pytest.importorskip("alembic.autogenerate")
    migration = pytest.importorskip("alembic.migration")
    with database.engine(WHOLE) as engine, engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = migration.MigrationContext.configure(connection, opts=options)
        assert [] == autogenerate.compare_metadata(context, WHOLE)


def test_creating_twice_changes_nothing(database: Database) -> None:
    """create_all finds its tables, and leaves them."""
    with database.engine(WHOLE) as engine:
        before = {name: [column["name"] for column in inspect(engine).get_columns(name)] for name in WHOLE.tables}
        WHOLE.create_all(engine)
        assert before == {name: [one["name"] for one in inspect(engine).get_columns(name)] for name in WHOLE.tables}


def test_tables_have_the_names_that_are_given() -> None:
    """Several outboxes, in schemas of their own, stand side by side."""
    metadata = MetaData()
    made = [outbox_table(metadata, "one"), outbox_table(metadata, "other", schema="far"), inbox_table(metadata, "seen")]
    assert ["one", "far.other", "seen"] == [table.fullname for table in made]
    assert 12 == len({index.name for table in made[:2] for index in table.indexes})


MOMENTS = MetaData()
TIMES = Table("times", MOMENTS, Column("number", Integer, primary_key=True), Column("at", UtcDateTime()))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2031, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2031, 2, 28, 23, 59, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        None,
    ],
)
def test_a_moment_comes_back_in_utc(database: Database, moment: datetime | None) -> None:
    """A point in time is the same one on every database, to the microsecond, in UTC."""
    with database.engine(MOMENTS) as engine, engine.begin() as connection:
        connection.execute(insert(TIMES), {"at": moment})
        found = connection.scalars(select(TIMES.c.at)).one()
    assert moment == found
    assert found is None or timedelta(0) == found.utcoffset()


def test_metadata_is_pickled() -> None:
    """Reflected metadata is cached by pickling it: the type of points in time, which names SQLAlchemy's module, too."""
    found: Table = pickle.loads(pickle.dumps(WHOLE)).tables["inbox"]

    assert type(found.c.handled_at.type) is type(WHOLE.tables["inbox"].c.handled_at.type)


def test_the_tables_of_these_tests_are_whole() -> None:
    """The other tests use the same tables."""
    assert {"tasks", "outbox"} == set(METADATA.tables)


def test_the_wrong_table_is_refused() -> None:
    """An object that gets a table of another kind refuses it when it is made, with a remedy."""
    engine, metadata = make_engine("sqlite://"), MetaData()
    unit_of_work, codec = UnitOfWork(engine), MessageCodec(SampleTaskCreated)
    text = "table 'outbox': expected the columns of inbox_table, got a table without handled_at, handler; make it with "
    with pytest.raises(ValueError, match=text):
        Inbox(outbox_table(metadata), unit_of_work)
    with pytest.raises(ValueError, match=r"^table 'inbox': .* without attempts, body, .*; make it with outbox_table$"):
        Outbox(inbox_table(metadata), codec)
    publisher = AsyncInmemoryMessagePublisher(codec)
    with pytest.raises(ValueError, match="make it with outbox_table"):
        Relay(make_async_engine("sqlite+aiosqlite://"), inbox_table(MetaData()), publisher)
