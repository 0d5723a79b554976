"""Snapshots in SQLite and PostgreSQL: what every store promises, and their place in a unit of work."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest
from accounts import Account, AccountEvent, AccountId, Deposit, Open, account, account_of, codec
from databases import METADATA, TASKS, Database, unsynced
from returns.result import Success
from sqlalchemy import Engine, MetaData, event, func, select, text
from sqlalchemy.pool import NullPool

from domainkit import (
    AsyncEventSourced,
    AsyncSnapshots,
    AsyncSnapshotStore,
    EventSourced,
    RecordedEvent,
    Snapshot,
    Snapshots,
    SnapshotStore,
    UnreadableEvent,
)
from domainkit.adapters.sqlalchemy import (
    AsyncSqlEventStore,
    AsyncSqlSnapshotStore,
    AsyncUnitOfWork,
    SqlEventStore,
    SqlSnapshotStore,
    UnitOfWork,
    events_table,
    make_async_engine,
    snapshots_table,
)
from domainkit.testing import AsyncSnapshotStoreContract, SnapshotStoreContract

ID = AccountId.v4()
STORED = MetaData()
EVENTS, SNAPSHOTS = events_table(STORED), snapshots_table(STORED)


class TestStore(SnapshotStoreContract):
    """A store on each database."""

    @pytest.fixture(autouse=True)
    def _open(self, database: Database) -> Iterator[None]:
        self.database, self.metadata = database, MetaData()
        with ExitStack() as self.opened:
            yield

    def make_store(self) -> SnapshotStore:
        """Return a store with a table of its own."""
        table = snapshots_table(self.metadata, f"snapshots_{len(self.metadata.tables)}")
        return SqlSnapshotStore(UnitOfWork(self.opened.enter_context(self.database.engine(self.metadata))), table)


class TestAsyncStore(AsyncSnapshotStoreContract):
    """The async twin."""

    @pytest.fixture(autouse=True)
    def _open(self, database: Database) -> None:
        self.database, self.metadata = database, MetaData()

    async def make_async_store(self) -> AsyncSnapshotStore:
        """Return a store with a table of its own, and connections that are closed after use, in their loop."""
        table = snapshots_table(self.metadata, f"snapshots_{len(self.metadata.tables)}")
        with self.database.engine(self.metadata):
            engine = unsynced(make_async_engine(self.database.async_url, poolclass=NullPool))
        return AsyncSqlSnapshotStore(AsyncUnitOfWork(engine), table)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(STORED, METADATA) as made:
        yield made


@pytest.fixture
def unit(engine: Engine) -> UnitOfWork:
    """Return a unit of work."""
    return UnitOfWork(engine)


class Run:
    """The account on a database, with a snapshot after every event."""

    def __init__(self, unit: UnitOfWork) -> None:
        self.store = SqlEventStore(unit, EVENTS, codec)
        self.kept = SqlSnapshotStore(unit, SNAPSHOTS)
        self.snapshots = Snapshots(Account, self.kept, every=1)
        self.accounts = EventSourced(account, self.store, stream=account_of, snapshots=self.snapshots)

    def revision(self) -> int:
        """Return the revision of the snapshot, or 0."""
        found = self.kept.load(ID, self.snapshots.name)
        return 0 if found is None else found.revision


def drop(engine: Engine) -> None:
    """Drop the table of snapshots."""
    SNAPSHOTS.drop(engine)


def test_a_snapshot_is_in_the_unit_of_work_of_its_events(engine: Engine, unit: UnitOfWork) -> None:
    """Others see it when they see the events; it is rolled back with them."""
    run, other = Run(unit), Run(UnitOfWork(engine))
    run.accounts.handle(Open(ID)).unwrap()

    def failing() -> None:
        with unit.begin():
            run.accounts.handle(Deposit(ID, 1)).unwrap()
            assert (2, 1) == (run.revision(), other.revision())
            assert Success(Account(1, is_open=True)) == run.accounts.state(ID)
            assert Success(Account(0, is_open=True)) == other.accounts.state(ID)
            raise LookupError

    with pytest.raises(LookupError):
        failing()
    assert 1 == run.revision() == other.revision()
    assert Success(Account(0, is_open=True)) == run.accounts.state(ID)
    with unit.begin():
        run.accounts.handle(Deposit(ID, 2)).unwrap()
    assert 2 == other.revision()
    assert Success(Account(2, is_open=True)) == other.accounts.state(ID)


def test_what_fails_in_a_unit_of_work_leaves_it_as_it_was(
    engine: Engine, unit: UnitOfWork, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no table of snapshots: the events of the unit of work are stored all the same, and the failures logged.

    On PostgreSQL a statement that fails would end the transaction.
    """
    run = Run(unit)
    drop(engine)
    with caplog.at_level(logging.INFO, logger="domainkit"), unit.begin():
        run.accounts.handle(Open(ID)).unwrap()
        assert Success(Account(3, is_open=True)) == run.accounts.handle(Deposit(ID, 3))
    assert 2 == len(run.store.read(ID))
    assert ["loaded", "saved"] * 2 == [str(vars(record)["args"][1]) for record in caplog.records]
    assert Success(Account(4, is_open=True)) == run.accounts.handle(Deposit(ID, 1))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_lost_race_of_a_snapshot_leaves_the_unit_of_work_as_it_was(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """At REPEATABLE READ, another one saved this snapshot since the transaction began: the events are stored."""
    unit = UnitOfWork(engine.execution_options(isolation_level="REPEATABLE READ"))
    run, other = Run(unit), Run(UnitOfWork(engine))
    run.accounts.handle(Open(ID)).unwrap()
    with unit.begin():
        before = run.kept.load(ID, run.snapshots.name)
        assert before is not None
        other.kept.save(before)
        assert Success(Account(5, is_open=True)) == run.accounts.handle(Deposit(ID, 5))
    assert Success(Account(5, is_open=True)) == other.accounts.state(ID)
    assert ["saved"] == [str(vars(record)["args"][1]) for record in caplog.records]
    assert 1 == other.revision()


def test_states_are_read_in_a_unit_of_work_that_only_reads(unit: UnitOfWork) -> None:
    """A load writes nothing, so that it may be in `reading`."""
    run = Run(unit)
    run.accounts.handle(Open(ID)).unwrap()
    with unit.reading():
        assert Success(Account(0, is_open=True)) == run.accounts.state(ID)


def test_a_deleted_stream_is_deleted_with_its_snapshots(engine: Engine, unit: UnitOfWork) -> None:
    """Both in one unit of work: nothing of the state is left."""
    run = Run(unit)
    run.accounts.handle(Open(ID)).unwrap()
    with unit.begin():
        run.store.delete(ID).unwrap()
        run.kept.remove(ID)
    assert Success(Account()) == run.accounts.state(ID)
    with engine.connect() as connection:
        assert 0 == connection.scalar(select(func.count()).select_from(SNAPSHOTS))


def test_a_load_is_two_statements(engine: Engine, unit: UnitOfWork) -> None:
    """The snapshot, and the events from its last one on."""
    run = Run(unit)
    for command in (Open(ID), Deposit(ID, 1), Deposit(ID, 2)):
        run.accounts.handle(command).unwrap()
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    assert Success(Account(3, is_open=True)) == run.accounts.state(ID)
    assert 2 == len(sent)


def test_a_table_that_was_not_made_for_it_is_refused(unit: UnitOfWork) -> None:
    """The text says which columns are missing."""
    with pytest.raises(ValueError, match="got a table without event_id, name, revision, stream; make it with"):
        SqlSnapshotStore(unit, TASKS)


def test_another_database_is_refused(unit: UnitOfWork, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would need statements of its own."""
    monkeypatch.setattr(unit, "dialect", "mysql")
    with pytest.raises(ValueError, match="SqlSnapshotStore: expected SQLite or PostgreSQL, got mysql"):
        SqlSnapshotStore(unit, SNAPSHOTS)


def test_a_table_may_have_any_name_and_schema(database: Database) -> None:
    """A name that needs quotes, and a schema that SQLAlchemy translates for the connection."""
    metadata = MetaData()
    table = snapshots_table(metadata, 'the "Snapshots" :at {once}', schema="elsewhere")
    with database.engine() as plain:
        engine = plain.execution_options(schema_translate_map={"elsewhere": None})
        metadata.create_all(engine)
        store = SqlSnapshotStore(UnitOfWork(engine), table)
        saved = Snapshot("task-1", "Task", "1", 1, ID.value, "{}")
        store.save(saved)
        assert saved == store.load("task-1", "Task")


# Async


async def test_an_async_snapshot_is_in_the_unit_of_work_of_its_events(database: Database) -> None:
    """As with the sync one: seen and rolled back with the events; and what fails leaves the unit as it was."""
    async with database.async_engine(STORED) as engine:
        unit = AsyncUnitOfWork(engine)
        store, kept = AsyncSqlEventStore(unit, EVENTS, codec), AsyncSqlSnapshotStore(unit, SNAPSHOTS)
        accounts = AsyncEventSourced(
            account, store, stream=account_of, snapshots=AsyncSnapshots(Account, kept, every=1)
        )
        (await accounts.handle(Open(ID))).unwrap()

        async def failing() -> None:
            async with unit.begin():
                (await accounts.handle(Deposit(ID, 1))).unwrap()
                found = await kept.load(ID, "Account")
                assert found is not None
                assert 2 == found.revision
                raise LookupError

        with pytest.raises(LookupError):
            await failing()
        found = await kept.load(ID, "Account")
        assert found is not None
        assert 1 == found.revision
        assert Success(Account(0, is_open=True)) == await accounts.state(ID)
        async with unit.begin():
            await kept.remove(ID)
        assert await kept.load(ID, "Account") is None
        async with engine.begin() as connection:
            await connection.execute(text("DROP TABLE snapshots"))
        async with unit.begin():
            assert Success(Account(2, is_open=True)) == await accounts.handle(Deposit(ID, 2))
        assert Success(Account(2, is_open=True)) == await accounts.state(ID)


async def test_async_writers_of_one_stream(database: Database) -> None:
    """Many commands at once, each with a snapshot: all are counted, and the snapshot fits in the end."""
    async with database.async_engine(STORED) as engine:
        unit = AsyncUnitOfWork(engine)
        store, kept = AsyncSqlEventStore(unit, EVENTS, codec), AsyncSqlSnapshotStore(unit, SNAPSHOTS)
        accounts = AsyncEventSourced(
            account, store, stream=account_of, snapshots=AsyncSnapshots(Account, kept, every=1)
        )
        (await accounts.handle(Open(ID))).unwrap()
        answers = await asyncio.gather(*(accounts.handle(Deposit(ID, 1)) for _ in range(5)))
        done = sum(isinstance(answer, Success) for answer in answers)
        assert Success(Account(done, is_open=True)) == await accounts.state(ID)
        assert done + 1 == len(events_of(await store.read(ID)))


def events_of(stored: Sequence[RecordedEvent[AccountEvent] | UnreadableEvent]) -> list[AccountEvent]:
    """Return the events that can be read."""
    return [one.event for one in stored if isinstance(one, RecordedEvent)]
