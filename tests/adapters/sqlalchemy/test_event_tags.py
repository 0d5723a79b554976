"""Queries by tags and conditional appends in SQLite and PostgreSQL: what every store promises, and SQL ones beyond."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeVar
from uuid import UUID

import pytest
from databases import METADATA as OUTBOX_METADATA
from databases import OUTBOX, Database, unsynced
from returns.result import Result, Success
from sizes import FULL
from sqlalchemy import Engine, MetaData, delete, event, select
from sqlalchemy.pool import NullPool
from subscriptions import COUNT, SAMPLES, SampleEvent, nothing_about, student, subscribed

from domainkit import (
    ANY_REVISION,
    NO_STREAM,
    AppendCondition,
    Appended,
    AsyncEventStore,
    ConditionConflict,
    DomainError,
    DomainEvent,
    EventQuery,
    EventStore,
    InmemoryEventStore,
    MessageCodec,
    RecordedEvent,
    RevisionConflict,
    projection,
    query,
    tags_of,
)
from domainkit.adapters.sqlalchemy import (
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Outbox,
    SqlEventStore,
    UnitOfWork,
    event_tags_table,
    events_table,
    make_async_engine,
)
from domainkit.testing import (
    AsyncTaggedEventStoreContract,
    EventStoreContract,
    SampleCourseId,
    SampleStudentId,
    SampleSubscribed,
    SampleTaskCreated,
    SampleUnsubscribed,
    TaggedEventStoreContract,
)

HISTORIES = 100 if FULL else 25
E = TypeVar("E", bound=DomainEvent)


class _OnEachDatabase:
    """A database, and tables of their own for each store."""

    @pytest.fixture(autouse=True)
    def _open(self, database: Database) -> Iterator[None]:
        self.database, self.metadata = database, MetaData()
        with ExitStack() as self.opened:
            yield

    def _sync_made(self, codec: MessageCodec[E]) -> EventStore[E]:
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


class TestWithRevisions(_OnEachDatabase, EventStoreContract):
    """Appends with an expected revision into a store with tags keep all their promises."""

    def make_store(self, codec: MessageCodec[SampleTaskCreated]) -> EventStore[SampleTaskCreated]:
        """Return a store with tables of its own."""
        return self._sync_made(codec)


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


# The tables


METADATA = MetaData()
EVENTS, TAGS = events_table(METADATA), event_tags_table(METADATA)
Store = SqlEventStore[SampleEvent]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA, OUTBOX_METADATA) as made:
        yield made


@pytest.fixture
def unit(engine: Engine) -> UnitOfWork:
    """Return a unit of work without an outbox."""
    return UnitOfWork(engine)


@pytest.fixture
def store(unit: UnitOfWork) -> Store:
    """Return a store with tags."""
    return SqlEventStore(unit, EVENTS, SAMPLES, tags=TAGS)


def tag_rows(engine: Engine) -> set[tuple[UUID, int]]:
    """Return the rows of the table of tags."""
    with engine.connect() as connection:
        return {(row.tag, row.position) for row in connection.execute(select(TAGS))}


def test_each_tag_of_an_event_has_a_row(engine: Engine, store: Store) -> None:
    """However the event was appended, also of many at once; an event with one tag twice has one row for it."""
    events = [subscribed() for _ in range(250)]
    store.append("plain", events[:150], expected=NO_STREAM).unwrap()
    store.append(events[150:], nothing_about(student())).unwrap()
    both = SampleStudentId.v4()
    store.append("twice", [SampleSubscribed(both, SampleCourseId(both.value))], expected=NO_STREAM).unwrap()
    found = {(one.position, one.event) for one in store.read_all() if isinstance(one, RecordedEvent)}
    assert 251 == len(found)
    assert {(tag, position) for position, event in found for tag in tags_of(event)} == tag_rows(engine)
    for given in events[::50]:
        assert 1 == store.decide(query().about(given.course_id), COUNT).unwrap().state


class Rested(DomainEvent): ...


def test_an_event_may_have_no_tag(engine: Engine, unit: UnitOfWork) -> None:
    """It has no row, a stream by name, and is stored once under the same condition."""
    store: SqlEventStore[Rested] = SqlEventStore(unit, EVENTS, MessageCodec.of(Rested), tags=TAGS)
    given, condition = [Rested()], AppendCondition(query(), after=0)
    first = store.append(given, condition, stream="rests").unwrap()
    assert first == store.append(given, condition, stream="rests").unwrap()
    assert isinstance(store.append([Rested()], condition, stream="rests").failure(), ConditionConflict)
    store.append("rests", [Rested()], expected=1).unwrap()
    assert set() == tag_rows(engine)


def test_a_revision_beyond_all_is_a_conflict(store: Store) -> None:
    """Also one that the column has no room for."""
    error = store.append("plain", [subscribed()], expected=2**40).failure()
    assert RevisionConflict(stream="plain", expected=2**40, actual=0) == error


def test_a_deleted_stream_has_no_tags_any_more(engine: Engine, store: Store) -> None:
    """Nothing says any more whom its events were about; those of other streams stay."""
    ada = student()
    for stream in ("one", "two"):
        store.append(stream, [subscribed(ada), subscribed(ada)], expected=NO_STREAM).unwrap()
    store.delete("one").unwrap()
    assert 4 == len(tag_rows(engine))
    assert 2 == store.decide(query().about(ada), COUNT).unwrap().state


def test_a_table_that_was_not_made_for_tags_is_refused(unit: UnitOfWork) -> None:
    """The text says which columns are missing."""
    with pytest.raises(
        ValueError, match="table 'events': expected the columns of event_tags_table, got a table without tag;"
    ):
        SqlEventStore(unit, EVENTS, SAMPLES, tags=EVENTS)


def test_a_store_without_tags_refuses_queries(unit: UnitOfWork) -> None:
    """It says what is missing, and nothing is stored."""
    store: Store = SqlEventStore(unit, EVENTS, SAMPLES)
    with pytest.raises(RuntimeError, match="SqlEventStore: expected a table of tags for a query or a condition"):
        store.append([subscribed()], nothing_about(student()))
    with pytest.raises(RuntimeError, match="make one with event_tags_table, and give it as tags="):
        store.decide(query(), COUNT)
    assert () == store.read_all()


def test_the_tables_may_have_any_name_and_schema(database: Database) -> None:
    """Names that need quotes, and a schema that SQLAlchemy translates for the connection."""
    metadata, ada = MetaData(), student()
    events = events_table(metadata, 'the "Events" :at {once}', schema="elsewhere")
    tags = event_tags_table(metadata, "100%s of the \"Tags\" :at {once} 'quoted'", schema="elsewhere")
    with database.engine() as plain:
        engine = plain.execution_options(schema_translate_map={"elsewhere": None})
        metadata.create_all(engine)
        store: Store = SqlEventStore(UnitOfWork(engine), events, SAMPLES, tags=tags)
        store.append("task-1", [subscribed(ada)], expected=NO_STREAM).unwrap()
        store.append([subscribed(ada)], store.decide(query().about(ada), COUNT).unwrap().condition).unwrap()
        assert isinstance(store.append([subscribed()], nothing_about(ada)).failure(), ConditionConflict)
        store.delete("task-1").unwrap()
        assert 1 == store.decide(query().about(ada), COUNT).unwrap().state


# What is sent


def test_few_statements_are_sent(engine: Engine, unit: UnitOfWork, store: Store) -> None:
    """SQLAlchemy's events see each: on PostgreSQL one for a plain append, and two for a conditional one."""
    sent: list[str] = []

    def tell(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", tell)
    counts: list[int] = []
    works: list[Callable[[], object]] = [
        lambda: store.append("plain", [subscribed()], expected=NO_STREAM).unwrap(),
        lambda: store.append([subscribed()], nothing_about(student())).unwrap(),
        lambda: store.decide(query().about(student()), COUNT).unwrap(),
    ]
    for work in works:
        work()
        counts.append(len(sent))
        sent.clear()
    with unit.begin():
        store.append([subscribed()], nothing_about(student())).unwrap()
    assert ([2, 3, 1, 3] if engine.dialect.name == "sqlite" else [1, 2, 1, 2]) == [*counts, len(sent)]


# In a unit of work, and with an outbox


def test_a_conditional_append_is_stored_with_the_unit_of_work(engine: Engine, unit: UnitOfWork, store: Store) -> None:
    """It finds what it appended, and takes it back with all the rest; a conflict leaves the unit as it was."""
    ada, ben = student(), student()

    def failing() -> None:
        with unit.begin():
            store.append([subscribed(ada)], nothing_about(ada)).unwrap()
            assert 1 == store.decide(query().about(ada), COUNT).unwrap().state
            raise LookupError

    with pytest.raises(LookupError):
        failing()
    assert set() == tag_rows(engine)
    with unit.begin():
        store.append([subscribed(ada)], nothing_about(ada)).unwrap()
        assert isinstance(store.append([subscribed(ada)], nothing_about(ada)).failure(), ConditionConflict)
        store.append([subscribed(ben)], nothing_about(ben)).unwrap()
    assert 2 == store.decide(query(), COUNT).unwrap().state


async def test_an_async_conditional_append_is_stored_with_the_unit_of_work(database: Database) -> None:
    """The async twin joins the unit of work that is open."""
    async with database.async_engine(METADATA) as engine:
        unit, ada = AsyncUnitOfWork(engine), student()
        store = AsyncSqlEventStore(unit, EVENTS, SAMPLES, tags=TAGS)

        async def failing() -> None:
            async with unit.begin():
                (await store.append([subscribed(ada)], nothing_about(ada))).unwrap()
                raise LookupError

        with pytest.raises(LookupError):
            await failing()
        async with unit.begin():
            (await store.append([subscribed(ada)], nothing_about(ada))).unwrap()
        assert 1 == (await store.decide(query(), COUNT)).unwrap().state


def test_conditional_appends_are_in_the_outbox(engine: Engine) -> None:
    """In their order, with the stream as key, once, and not those of a conflict."""
    outbox = Outbox(OUTBOX.table, SAMPLES)
    store: Store = SqlEventStore(UnitOfWork(engine, outbox=outbox), EVENTS, SAMPLES, tags=TAGS)
    ada = student()
    given = [subscribed(ada), subscribed(ada)]
    store.append(given, nothing_about(ada)).unwrap()
    store.append(given, nothing_about(ada)).unwrap()
    assert isinstance(store.append([subscribed(ada)], nothing_about(ada)).failure(), ConditionConflict)
    with engine.connect() as connection:
        rows = connection.execute(select(OUTBOX.table).order_by(OUTBOX.table.c.position)).all()
    assert [one.header.id.value for one in given] == [row.message_id for row in rows]
    assert {str(ada)} == {row.ordering_key for row in rows}


# Beside a store in memory


class History:
    """The steps of a random history: the same for each store that it is played on."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._students = [SampleStudentId(UUID(int=number)) for number in range(4)]
        self._courses = [SampleCourseId(UUID(int=number)) for number in range(10, 13)]
        self.steps = [self._step() for _ in range(30)]

    def _query(self) -> EventQuery:
        chosen = self._random
        found = [query().about(chosen.choice(self._students)), query().about(chosen.choice(self._courses))]
        found += [query().about(chosen.choice(self._students), chosen.choice(self._courses)), query()]
        one, other = chosen.sample(found, 2)
        one = one.of(SampleUnsubscribed) if chosen.random() < 0.3 else one
        return one | other if chosen.random() < 0.4 else one

    def _events(self) -> list[SampleEvent]:
        return [self._event() for _ in range(self._random.randint(1, 3))]

    def _event(self) -> SampleEvent:
        who, what = self._random.choice(self._students), self._random.choice(self._courses)
        return SampleSubscribed(who, what) if self._random.random() < 0.6 else SampleUnsubscribed(who, what)

    def _step(self) -> Callable[[EventStore[SampleEvent], list[AppendCondition], list[list[SampleEvent]]], object]:
        """Return a step, given the conditions and events of those before: what it found, without positions."""
        chosen, events, wanted = self._random, self._events(), self._query()
        kind = chosen.choice(["plain", "decide", "decide", "condition", "condition", "again", "delete", "archive"])
        back, stream = chosen.randint(1, 4), chosen.choice([None, "named", chosen.choice(self._students)])

        def step(
            store: EventStore[SampleEvent], conditions: list[AppendCondition], tried: list[list[SampleEvent]]
        ) -> object:
            if kind == "decide" or not conditions:
                decision = store.decide(wanted, ALL).unwrap()
                conditions.append(decision.condition)
                tried.append(events)
                return decision.state
            if kind == "plain":
                return _told(store.append(stream or "plain", events, expected=ANY_REVISION))
            if kind in {"delete", "archive"} and back == 1:
                return _told(getattr(store, kind)(stream or "plain"))
            place = -min(back, len(conditions))
            again = tried[place] if kind == "again" else events
            return _told(store.append(again, conditions[place], stream=stream))

        return step


ALL = (
    projection(tuple[SampleEvent, ...]())
    .on(SampleSubscribed, lambda found, event: (*found, event))
    .on(SampleUnsubscribed, lambda found, event: (*found, event))
)


def _told(outcome: Result[Appended, DomainError]) -> object:
    """Return the revision or the class of the error: positions differ, since PostgreSQL leaves gaps."""
    return outcome.unwrap().revision if isinstance(outcome, Success) else type(outcome.failure())


def test_random_histories_end_as_in_memory(engine: Engine, store: Store) -> None:
    """Whatever is appended, under whatever condition: each answer, and the events in the end, are those in memory."""
    for seed in range(HISTORIES):
        with engine.begin() as connection:
            connection.execute(delete(EVENTS))
            connection.execute(delete(TAGS))
        steps, memory = History(seed).steps, InmemoryEventStore(SAMPLES)
        kept: dict[str, tuple[list[AppendCondition], list[list[SampleEvent]]]] = {"sql": ([], []), "memory": ([], [])}
        for number, step in enumerate(steps):
            assert step(memory, *kept["memory"]) == step(store, *kept["sql"]), f"seed {seed}, step {number}"
        ended = [[(one.stream, one.revision, one.event) for one in each.read_all()] for each in (memory, store)]  # type: ignore[union-attr]  # all are read
        assert ended[0] == ended[1]
