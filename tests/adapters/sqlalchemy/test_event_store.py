"""Streams of events in SQLite and PostgreSQL: what every store promises, and what a SQL one does beyond that."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest
from attrs import frozen
from databases import METADATA, OUTBOX, TASKS, Database, stored_messages, unsynced
from returns.result import Success
from sqlalchemy import Engine, MetaData, event, select
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from domainkit import (
    ANY_REVISION,
    NO_STREAM,
    AsyncEventSourced,
    AsyncEventStore,
    Command,
    Decider,
    DomainError,
    DomainEvent,
    EventSourced,
    EventStore,
    InmemoryEventStore,
    MessageCodec,
    RecordedEvent,
    RetryOnConflict,
    RevisionConflict,
    UnknownMessage,
    UnreadableEvent,
)
from domainkit.adapters.sqlalchemy import (
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Outbox,
    SqlEventStore,
    UnitOfWork,
    events_table,
    make_async_engine,
)
from domainkit.testing import AsyncEventStoreContract, EventStoreContract, SampleTaskCreated, SampleTaskId

Codec = MessageCodec[SampleTaskCreated]


class TestStore(EventStoreContract):
    """A store on each database."""

    @pytest.fixture(autouse=True)
    def _open(self, database: Database) -> Iterator[None]:
        self.database, self.metadata = database, MetaData()
        with ExitStack() as self.opened:
            yield

    def make_store(self, codec: Codec) -> EventStore[SampleTaskCreated]:
        """Return a store with a table of its own."""
        table = events_table(self.metadata, f"events_{len(self.metadata.tables)}")
        return SqlEventStore(UnitOfWork(self.opened.enter_context(self.database.engine(self.metadata))), table, codec)


class TestAsyncStore(AsyncEventStoreContract):
    """The async twin."""

    @pytest.fixture(autouse=True)
    def _open(self, database: Database) -> None:
        self.database, self.metadata = database, MetaData()

    async def make_async_store(self, codec: Codec) -> AsyncEventStore[SampleTaskCreated]:
        """Return a store with a table of its own, and connections that are closed after use, in their loop."""
        table = events_table(self.metadata, f"events_{len(self.metadata.tables)}")
        with self.database.engine(self.metadata):
            engine = unsynced(make_async_engine(self.database.async_url, poolclass=NullPool))
        return AsyncSqlEventStore(AsyncUnitOfWork(engine), table, codec)


EVENTS_METADATA = MetaData()
EVENTS = events_table(EVENTS_METADATA)
SAMPLES = MessageCodec.of(SampleTaskCreated)
OUTGOING = Outbox(OUTBOX.table, SAMPLES)
Store = SqlEventStore[SampleTaskCreated]


def new_events(count: int = 1) -> list[SampleTaskCreated]:
    """Return events that differ."""
    return [SampleTaskCreated(SampleTaskId.v4()) for _ in range(count)]


def revisions(found: Sequence[RecordedEvent[SampleTaskCreated] | UnreadableEvent]) -> list[tuple[str, int]]:
    """Return the stream and revision of each event."""
    return [(one.stream, one.revision) for one in found]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(EVENTS_METADATA, METADATA) as made:
        yield made


@pytest.fixture
def unit(engine: Engine) -> UnitOfWork:
    """Return a unit of work without an outbox."""
    return UnitOfWork(engine)


@pytest.fixture
def store(unit: UnitOfWork) -> Store:
    """Return a store without an outbox."""
    return SqlEventStore(unit, EVENTS, SAMPLES)


@contextmanager
def sent_by(engine: Engine) -> Iterator[list[str]]:
    """Yield the statements that SQLAlchemy sends inside of the `with` block, as its events tell."""
    sent: list[str] = []

    def tell(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", tell)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", tell)


# The table


def test_a_row_says_what_its_event_is(engine: Engine, store: Store) -> None:
    """Stream, revision, id, name and version stand beside the bytes of the codec."""
    (given,) = new_events()
    end = store.append("task-1", [given], expected=NO_STREAM).unwrap()
    with engine.connect() as connection:
        row = connection.execute(select(EVENTS)).one()
    info = SampleTaskCreated.info()
    assert (end.position, "task-1", 1) == (row.position, row.stream, row.revision)
    assert (given.header.id.value, info.name, info.version) == (row.message_id, row.name, row.version)
    assert SAMPLES.encode(given) == bytes(row.body)


def test_a_table_that_was_not_made_for_it_is_refused(unit: UnitOfWork) -> None:
    """The text says which columns are missing."""
    with pytest.raises(ValueError, match="without body, message_id, name, revision, stream; make it with events_table"):
        SqlEventStore(unit, TASKS, SAMPLES)


def test_another_database_is_refused(unit: UnitOfWork, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would need statements of its own."""
    monkeypatch.setattr(unit, "dialect", "mysql")
    with pytest.raises(ValueError, match="expected SQLite or PostgreSQL, got mysql"):
        SqlEventStore(unit, EVENTS, SAMPLES)


def test_a_table_may_have_any_name_and_schema(database: Database) -> None:
    """A name that needs quotes, and a schema that SQLAlchemy translates for the connection."""
    metadata = MetaData()
    table = events_table(metadata, '100% of the "Events" :at {once}', schema="elsewhere")
    with database.engine() as plain:
        engine = plain.execution_options(schema_translate_map={"elsewhere": None})
        metadata.create_all(engine)
        store: Store = SqlEventStore(UnitOfWork(engine), table, SAMPLES)
        store.append("task-1", new_events(2), expected=NO_STREAM).unwrap()
        store.archive("task-1").unwrap()
        assert [("task-1", 1), ("task-1", 2)] == revisions(store.read("task-1")) == revisions(store.read_all())


@pytest.mark.parametrize(("after", "limit"), [(-1, None), (0, -1)])
def test_a_range_below_0_is_refused(store: Store, after: int, limit: int | None) -> None:
    """A database takes it for all events or for an error, and a list for the last ones: each store refuses it."""
    stores: list[EventStore[SampleTaskCreated]] = [store, InmemoryEventStore(SAMPLES)]
    for one in stores:
        for read in (partial(one.read, "task-1"), one.read_all):
            with pytest.raises(
                ValueError, match=f"^read: expected `after` and `limit` from 0, got {after} and {limit};"
            ):
                read(after=after, limit=limit)


async def test_a_range_below_0_is_refused_async(database: Database) -> None:
    """So does the async twin."""
    with database.engine(METADATA):
        engine = make_async_engine(database.async_url, poolclass=NullPool)
        store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES)
        with pytest.raises(ValueError, match="expected `after` and `limit` from 0, got 0 and -1"):
            await store.read("task-1", limit=-1)
        with pytest.raises(ValueError, match="expected `after` and `limit` from 0, got -1 and None"):
            await store.read_all(after=-1)


# What is sent


def test_an_append_is_one_statement(engine: Engine, unit: UnitOfWork, store: Store) -> None:
    """Alone and in a unit of work, of one event and of many; SQLAlchemy's events see it."""
    with sent_by(engine) as sent:
        store.append("task-1", new_events(10), expected=NO_STREAM).unwrap()
        assert 1 == len(sent)
        store.append("task-1", new_events(1), expected=10).unwrap()
        assert 2 == len(sent)
        with unit.begin():
            store.append("task-1", new_events(3), expected=11).unwrap()
        assert 3 == len(sent)
    assert [("task-1", number) for number in range(1, 15)] == revisions(store.read("task-1"))


def test_an_append_is_stored_after_another_isolation_level(engine: Engine, store: Store) -> None:
    """A connection that has had another isolation level since it was opened, as SQLAlchemy sets it, commits too."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(select(EVENTS))
    store.append("task-1", new_events(2), expected=NO_STREAM).unwrap()
    assert [("task-1", 1), ("task-1", 2)] == revisions(store.read("task-1"))
    leveled = engine.execution_options(isolation_level="SERIALIZABLE")
    SqlEventStore(UnitOfWork(leveled), EVENTS, SAMPLES).append("task-1", new_events(), expected=2).unwrap()
    assert 3 == len(store.read("task-1"))


async def test_an_async_append_is_stored_after_another_isolation_level(database: Database) -> None:
    """As with sync connections."""
    async with database.async_engine(EVENTS_METADATA) as engine:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(select(EVENTS))
        store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES)
        (await store.append("task-1", new_events(2), expected=NO_STREAM)).unwrap()
        assert [("task-1", 1), ("task-1", 2)] == revisions(await store.read("task-1"))


def test_a_part_of_more_than_one_statement_takes_is_never_stored(engine: Engine, store: Store) -> None:
    """Many events are all or nothing too, and the same append when they come again."""
    many = new_events(250)
    end = store.append("task-1", many, expected=NO_STREAM).unwrap()
    assert 250 == end.revision == len(store.read("task-1"))
    assert end == store.append("task-1", many, expected=NO_STREAM).unwrap()
    assert isinstance(store.append("task-1", new_events(250), expected=100).failure(), RevisionConflict)
    assert 250 == len(store.read_all())
    with sent_by(engine) as sent:
        store.append("task-2", new_events(250), expected=NO_STREAM).unwrap()
    assert (3 if engine.dialect.name == "sqlite" else 1) == len(sent)


def test_a_revision_beyond_all_is_a_conflict(store: Store) -> None:
    """Also one that the column has no room for."""
    error = store.append("task-1", new_events(), expected=2**40).failure()
    assert RevisionConflict(stream="task-1", expected=2**40, actual=0) == error


def test_nothing_new_costs_a_reader_one_statement(engine: Engine, store: Store) -> None:
    """Whoever polls has read it all already."""
    last = store.append("task-1", new_events(), expected=NO_STREAM).unwrap().position
    with sent_by(engine) as sent:
        assert () == store.read_all(after=last)
    assert 1 == len(sent)


# In a unit of work


def test_an_append_is_stored_with_the_unit_of_work(unit: UnitOfWork, store: Store) -> None:
    """It reads what it appended, and takes it back with all the rest."""

    def failing() -> None:
        with unit.begin():
            store.append("task-1", new_events(2), expected=NO_STREAM).unwrap()
            assert [("task-1", 1), ("task-1", 2)] == revisions(store.read("task-1"))
            raise LookupError

    with pytest.raises(LookupError):
        failing()
    assert () == store.read("task-1")
    with unit.begin():
        store.append("task-1", new_events(2), expected=NO_STREAM).unwrap()
        store.append("task-1", new_events(1), expected=2).unwrap()
    assert 3 == len(store.read("task-1"))


def test_a_conflict_leaves_the_unit_of_work_as_it_was(unit: UnitOfWork, store: Store) -> None:
    """Everything else that was done in the unit of work is stored."""
    store.append("task-1", new_events(2), expected=NO_STREAM).unwrap()
    with unit.begin():
        store.append("task-2", new_events(), expected=NO_STREAM).unwrap()
        for expected in (NO_STREAM, 1, 3):
            assert isinstance(store.append("task-1", new_events(2), expected=expected).failure(), RevisionConflict)
    assert ([("task-1", 1), ("task-1", 2), ("task-2", 1)]) == revisions(store.read_all())


def test_streams_are_closed_with_the_unit_of_work(unit: UnitOfWork, store: Store) -> None:
    """A rollback opens them again, with their events."""

    def failing() -> None:
        with unit.begin():
            store.archive("task-1").unwrap()
            store.delete("task-2").unwrap()
            assert () == store.read("task-2")
            raise LookupError

    for stream in ("task-1", "task-2"):
        store.append(stream, new_events(), expected=NO_STREAM).unwrap()
    with pytest.raises(LookupError):
        failing()
    for stream in ("task-1", "task-2"):
        store.append(stream, new_events(), expected=1).unwrap()


async def test_an_async_append_is_stored_with_the_unit_of_work(database: Database) -> None:
    """The async twin joins the unit of work that is open, and a conflict leaves it as it was."""
    async with database.async_engine(EVENTS_METADATA) as engine:
        unit = AsyncUnitOfWork(engine)
        store = AsyncSqlEventStore(unit, EVENTS, SAMPLES)

        async def failing() -> None:
            async with unit.begin():
                (await store.append("task-1", new_events(2), expected=NO_STREAM)).unwrap()
                raise LookupError

        with pytest.raises(LookupError):
            await failing()
        assert () == await store.read_all()
        async with unit.begin():
            (await store.append("task-1", new_events(2), expected=NO_STREAM)).unwrap()
            assert isinstance((await store.append("task-1", new_events(), expected=1)).failure(), RevisionConflict)
        assert [("task-1", 1), ("task-1", 2)] == revisions(await store.read_all())


# The outbox


def test_events_are_in_the_outbox_of_the_unit_of_work(engine: Engine) -> None:
    """In their order, with the stream as key, once: not those of a conflict, nor of the same append again."""
    store: Store = SqlEventStore(UnitOfWork(engine, outbox=OUTGOING), EVENTS, SAMPLES)
    first, second = new_events(2), new_events(1)
    store.append("task-1", first, expected=NO_STREAM).unwrap()
    store.append("task-1", first, expected=NO_STREAM).unwrap()
    assert isinstance(store.append("task-1", new_events(), expected=NO_STREAM).failure(), RevisionConflict)
    store.append("task-1", second, expected=ANY_REVISION).unwrap()
    store.append("task-1", (), expected=3).unwrap()

    assert [*first, *second] == stored_messages(engine)
    with engine.connect() as connection:
        assert {"task-1"} == set(connection.scalars(select(OUTBOX.table.c.ordering_key)))


def test_what_the_outbox_does_not_know_is_not_appended(engine: Engine) -> None:
    """An event that could not be sent is refused before anything is stored."""
    outbox = Outbox(OUTBOX.table, MessageCodec(DomainEvent))
    store: Store = SqlEventStore(UnitOfWork(engine, outbox=outbox), EVENTS, SAMPLES)
    with pytest.raises(UnknownMessage):
        store.append("task-1", new_events(), expected=NO_STREAM)
    assert () == store.read_all()


async def test_async_events_are_in_the_outbox(database: Database) -> None:
    """The same with async connections."""
    async with database.async_engine(EVENTS_METADATA, METADATA) as async_engine:
        store = AsyncSqlEventStore(AsyncUnitOfWork(async_engine, outbox=OUTGOING), EVENTS, SAMPLES)
        given = new_events(2)
        (await store.append("task-1", given, expected=NO_STREAM)).unwrap()
        with database.engine() as engine:
            assert given == stored_messages(engine)


# Archived and deleted


def test_what_a_deleted_event_said_is_gone(engine: Engine, store: Store) -> None:
    """Nothing of it is in the table but its place; also if the stream was archived before."""
    store.append("task-1", new_events(2), expected=NO_STREAM).unwrap()
    store.archive("task-1").unwrap()
    store.delete("task-1").unwrap()
    with engine.connect() as connection:
        rows = connection.execute(select(EVENTS).order_by(EVENTS.c.position)).all()
    assert [("task-1", revision, None, None, None, None) for revision in (1, 2, 3)] == [row[1:] for row in rows]


# Deciders


@frozen
class Opened(DomainEvent):
    """A task was opened, or opened again."""


@frozen
class Open(Command[int, DomainError]):
    """Open a task once more."""

    task: str


OPENINGS = Decider[Open, int, Opened, DomainError](
    lambda _command, _count: Success([Opened()]), lambda count, _event: count + 1, 0
)
RETRY = RetryOnConflict(attempts=100)


def test_a_decider_decides_again_after_a_conflict(engine: Engine) -> None:
    """Of many at once each is decided on the state that the one before has left: no command is lost."""
    store = SqlEventStore(UnitOfWork(engine), EVENTS, MessageCodec.of(Opened))
    openings = EventSourced(OPENINGS, store, stream=lambda command: command.task, retry=RETRY)
    with ThreadPoolExecutor(4) as pool:
        answers = [one.unwrap() for one in pool.map(openings.handle, [Open("task-1")] * 40)]
    assert list(range(1, 41)) == sorted(answers)
    assert Success(40) == openings.state("task-1")


async def test_an_async_decider_decides_again_after_a_conflict(database: Database) -> None:
    """The same with async connections."""
    async with database.async_engine(EVENTS_METADATA) as engine:
        store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, MessageCodec.of(Opened))
        openings = AsyncEventSourced(OPENINGS, store, stream=lambda command: command.task, retry=RETRY)
        answers = await asyncio.gather(*(openings.handle(Open("task-1")) for _ in range(12)))
        assert list(range(1, 13)) == sorted(one.unwrap() for one in answers)
        assert Success(12) == await openings.state("task-1")


# Results and arrays in binary


@contextmanager
def formats_of(engine: Engine) -> Iterator[list[tuple[bool, int]]]:
    """Yield, for each statement, whether it reads bodies, and the format that psycopg asks for: 1 is binary."""
    seen: list[tuple[bool, int]] = []

    def note(_: object, cursor: Any, statement: str, *__: object) -> None:  # Any: psycopg's, or SQLAlchemy's around it
        seen.append(("body FROM" in statement, getattr(cursor, "_cursor", cursor).format))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_bodies_come_in_binary_from_psycopg(database: Database) -> None:
    """Statements that read bodies ask for binary results, as text would take twice the bytes; the others do not."""
    with database.engine(EVENTS_METADATA, pool_size=1) as engine:
        store, sent = Store(UnitOfWork(engine), EVENTS, SAMPLES), new_events(3)
        store.append("task-1", sent, expected=NO_STREAM)
        with formats_of(engine) as seen:
            assert sent == [one.event for one in store.read("task-1") if isinstance(one, RecordedEvent)]
            assert sent[:2] == [one.event for one in store.read_all(limit=2) if isinstance(one, RecordedEvent)]
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
    assert [(True, 1), (False, 0), (True, 1), (False, 0)] == seen


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_bodies_come_in_binary_from_async_psycopg(database: Database) -> None:
    """The async twin asks for binary results too."""

    async def read() -> list[tuple[bool, int]]:
        async with database.async_engine(EVENTS_METADATA) as engine:
            store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES)
            sent = new_events(3)
            await store.append("task-1", sent, expected=NO_STREAM)
            with formats_of(engine.sync_engine) as seen:
                found = await store.read("task-1")
            assert sent == [one.event for one in found if isinstance(one, RecordedEvent)]
            return seen

    assert [(True, 1)] == asyncio.run(read())


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_class_of_cursors_that_was_chosen_stays(database: Database) -> None:
    """An application that chose cursors which send values by themselves keeps them: they know no binary results."""
    psycopg = pytest.importorskip("psycopg", reason="needs the extra `postgres`")
    with database.engine(EVENTS_METADATA, connect_args={"cursor_factory": psycopg.ClientCursor}) as engine:
        store, sent = Store(UnitOfWork(engine), EVENTS, SAMPLES), new_events(3)
        store.append("task-1", sent, expected=NO_STREAM)
        with formats_of(engine) as seen:
            assert sent == [one.event for one in store.read("task-1") if isinstance(one, RecordedEvent)]
    assert [(True, 0)] == seen


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_read_that_fails_leaves_the_connection_as_it_was(database: Database) -> None:
    """After an error the connection makes the cursors that it made before."""
    psycopg = pytest.importorskip("psycopg", reason="needs the extra `postgres`")
    with database.engine(pool_size=1) as engine:
        with pytest.raises(ProgrammingError, match="does not exist"):
            Store(UnitOfWork(engine), EVENTS, SAMPLES).read("task-1")
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection  # Any: psycopg's, as SQLAlchemy types none
            assert psycopg.Cursor is driver.cursor_factory


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_arrays_are_sent_in_binary_by_psycopg(database: Database) -> None:
    """Arrays of texts and bodies are sent in binary: psycopg would search each item for what must be escaped."""
    with database.engine(EVENTS_METADATA) as engine, sent_by(engine) as statements:
        Store(UnitOfWork(engine), EVENTS, SAMPLES).append("task-1", new_events(3), expected=NO_STREAM)
    (statement,) = statements
    assert ["%(names)b", "%(bodies)b"] == re.findall(r"%\(\w+\)b", statement)
