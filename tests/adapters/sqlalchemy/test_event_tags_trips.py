"""Trips to PostgreSQL of an append under a condition: one, or more if that isn't possible."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from databases import SKIPS_ROLLBACKS, Database
from proxies import CuttingProxy, cutting_proxy
from returns.result import Failure
from sqlalchemy import URL, Engine, MetaData, func, select
from sqlalchemy.exc import DBAPIError, OperationalError
from subscriptions import COUNT, SAMPLES, SampleEvent, nothing_about, subscribed

from domainkit import AppendCondition, ConditionConflict, OutcomeUnknownError, query
from domainkit.adapters.sqlalchemy import (
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Outbox,
    SqlEventStore,
    UnitOfWork,
    event_tags_table,
    events_table,
    make_async_engine,
    make_engine,
    outbox_table,
)
from domainkit.testing import SampleStudentId

METADATA = MetaData()
EVENTS, TAGS, OUTBOX_TABLE = events_table(METADATA), event_tags_table(METADATA), outbox_table(METADATA)
OUTBOX = Outbox(OUTBOX_TABLE, SAMPLES, wakes=False)
"""An outbox and, below, stores without a thread that announces beside the appends, which would be counted too."""


pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def make_store(engine: Engine, *, outbox: Outbox | None = None) -> SqlEventStore[SampleEvent]:
    """Return a store with tags."""
    return SqlEventStore(UnitOfWork(engine, outbox=outbox), EVENTS, SAMPLES, tags=TAGS, wakes=False)


@pytest.fixture
def proxy(database: Database) -> Iterator[CuttingProxy]:
    """Return a proxy in front of the server, with the tables."""
    with (
        database.engine(METADATA),
        cutting_proxy(database.url.host or "127.0.0.1", database.url.port or 5432) as made,
    ):
        yield made


def trips_of(database: Database, proxy: CuttingProxy, *, outbox: Outbox | None = None, **options: Any) -> list[int]:
    """Return the trips of an append that is stored, and of the next one, which has a conflict."""
    engine = make_engine(database.url.set(host="127.0.0.1", port=proxy.port), **options)
    store, ada, trips = make_store(engine, outbox=outbox), SampleStudentId.v4(), list[int]()
    store.decide(query().about(ada), COUNT).unwrap()  # the connection is open
    for _ in range(10):  # statements are prepared
        store.append([subscribed()], nothing_about(SampleStudentId.v4())).unwrap()
    for _ in range(2):
        proxy.trips = 0
        outcome = store.append([subscribed(ada)], nothing_about(ada))
        trips.append(proxy.trips)
    assert isinstance(outcome.failure(), ConditionConflict)
    assert 1 == store.decide(query().about(ada), COUNT).unwrap().state
    engine.dispose()
    return trips


def test_a_conditional_append_takes_one_trip(database: Database, proxy: CuttingProxy) -> None:
    """Locks, check, rows and commit: whether it is stored or not."""
    assert [1, 1] == trips_of(database, proxy)


def test_reads_are_statements_without_a_transaction_around_them(database: Database, proxy: CuttingProxy) -> None:
    """A stream, and the events of a query, take one trip; all events take two: one asks how far they are settled."""
    engine = make_engine(database.url.set(host="127.0.0.1", port=proxy.port))
    store, ada, trips = make_store(engine), SampleStudentId.v4(), list[int]()
    store.append([subscribed(ada)], nothing_about(ada)).unwrap()
    for read in (
        lambda: store.read(ada),
        lambda: store.decide(query().about(ada), COUNT).unwrap(),
        store.read_all,
    ):
        for _ in range(10):  # the statement is prepared
            read()
        proxy.trips = 0
        read()
        trips.append(proxy.trips)
    assert [1, 1, 2] == trips
    engine.dispose()


def test_with_an_outbox_it_takes_a_trip_more_for_each_step(database: Database, proxy: CuttingProxy) -> None:
    """Begin and lock, check and store, the outbox, commit: messages are stored only if the events are."""
    assert [4, 3] == trips_of(database, proxy, outbox=OUTBOX)


def test_cursors_of_the_application_are_left_alone(database: Database, proxy: CuttingProxy) -> None:
    """They may not do what a pipeline needs: then it takes three trips."""
    assert [3, 3] == trips_of(database, proxy, connect_args={"cursor_factory": psycopg.ClientCursor})


@pytest.mark.parametrize("threshold", [0, 1, None])
async def test_statements_are_prepared_as_the_application_says(database: Database, threshold: int | None) -> None:
    """Whenever psycopg prepares statements, an append under a condition is stored, and so is its message."""
    options = {"connect_args": {"prepare_threshold": threshold}, "pool_size": 1}
    with database.engine(METADATA, **options) as engine:
        store, ada = make_store(engine, outbox=OUTBOX), SampleStudentId.v4()
        for number in range(3):
            given = AppendCondition(query().about(ada), after=store.read_all()[-1].position if number else 0)
            store.append([subscribed(ada)], given).unwrap()
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            assert threshold == driver.prepare_threshold
            assert 3 == connection.scalar(select(func.count()).select_from(OUTBOX_TABLE))
    async with database.async_engine(**options) as async_engine:
        unit_of_work = AsyncUnitOfWork(async_engine, outbox=OUTBOX)
        async_store = AsyncSqlEventStore(unit_of_work, EVENTS, SAMPLES, tags=TAGS, wakes=False)
        ben = SampleStudentId.v4()
        for _ in range(2):
            (await async_store.append([subscribed(ben)], nothing_about(ben))).unwrap()
            ben = SampleStudentId.v4()


@SKIPS_ROLLBACKS
@pytest.mark.parametrize("skipped", [True, False])
async def test_an_append_that_fails_halfway_leaves_nothing_open(database: Database, *, skipped: bool) -> None:
    """Its error is raised, and its transaction rolled back, even if SQLAlchemy skips a rollback in autocommit."""
    options: dict[str, Any] = {"skip_autocommit_rollback": skipped, "pool_size": 1, "max_overflow": 0}
    with database.engine(METADATA, **options) as engine:
        with engine.begin() as connection:
            for one in (
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$",
                "CREATE TRIGGER refuse BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION refuse()",
            ):
                connection.exec_driver_sql(one)
        store = make_store(engine, outbox=OUTBOX)
        for _ in range(2):
            with pytest.raises(DBAPIError, match="RaiseException"):
                store.append([subscribed()], nothing_about(SampleStudentId.v4()))
        assert () == store.read_all()
    async with database.async_engine(**options) as async_engine:
        unit_of_work = AsyncUnitOfWork(async_engine, outbox=OUTBOX)
        async_store = AsyncSqlEventStore(unit_of_work, EVENTS, SAMPLES, tags=TAGS, wakes=False)
        for _ in range(2):
            with pytest.raises(DBAPIError, match="RaiseException"):
                await async_store.append([subscribed()], nothing_about(SampleStudentId.v4()))
        assert () == await async_store.read_all()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_session_at_a_higher_level_takes_a_transaction_of_its_own(
    database: Database, proxy: CuttingProxy, level: str
) -> None:
    """There the check would not see what the locks have waited for: it begins anew at READ COMMITTED."""
    level = level.replace(" ", "\\ ")
    options = f"{database.url.query['options']} -cdefault_transaction_isolation={level}"
    assert [4, 4] == trips_of(database, proxy, connect_args={"options": options})


async def test_an_async_append_takes_one_trip(database: Database, proxy: CuttingProxy) -> None:
    """As the sync one; and a connection that was in a pipeline is as good as new."""
    engine = make_async_engine(database.url.set(host="127.0.0.1", port=proxy.port))
    store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES, tags=TAGS, wakes=False)
    ada = SampleStudentId.v4()
    for _ in range(10):
        (await store.append([subscribed()], nothing_about(SampleStudentId.v4()))).unwrap()
    proxy.trips = 0
    (await store.append([subscribed(ada)], nothing_about(ada))).unwrap()
    assert isinstance(await store.append([subscribed(ada)], nothing_about(ada)), Failure)
    assert 2 == proxy.trips
    assert 11 == len(await store.read_all())
    await engine.dispose()


@pytest.fixture
def late(database: Database) -> Iterator[SampleStudentId]:
    """Return a student about whom a transaction appends that goes on until the test ends."""
    with database.engine(METADATA) as engine:
        unit, ada = UnitOfWork(engine), SampleStudentId.v4()
        with unit.begin():
            store: SqlEventStore[SampleEvent] = SqlEventStore(unit, EVENTS, SAMPLES, tags=TAGS)
            store.append([subscribed(ada)], nothing_about(ada)).unwrap()
            yield ada


def hasty(url: URL) -> URL:
    """Return the URL of sessions that wait for a second at most."""
    return url.update_query_dict({"options": f"{url.query['options']} -cstatement_timeout=1000"})


def test_what_the_locks_refuse_is_raised(database: Database, late: SampleStudentId) -> None:
    """The error of the first statement, not of the second, which wasn't done; the connection is good for the next."""
    engine = make_engine(hasty(database.url), pool_size=1)
    store = make_store(engine)
    with pytest.raises(OperationalError, match="statement timeout"):
        store.append([subscribed(late)], nothing_about(late))
    store.append([subscribed()], nothing_about(SampleStudentId.v4())).unwrap()
    engine.dispose()


async def test_what_the_locks_refuse_is_raised_in_async_code(database: Database, late: SampleStudentId) -> None:
    """As in sync code."""
    engine = make_async_engine(hasty(database.url), pool_size=1)
    store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES, tags=TAGS)
    with pytest.raises(OperationalError, match="statement timeout"):
        await store.append([subscribed(late)], nothing_about(late))
    (await store.append([subscribed()], nothing_about(SampleStudentId.v4()))).unwrap()
    await engine.dispose()


async def test_an_append_that_waits_can_be_cancelled(database: Database, late: SampleStudentId) -> None:
    """Nothing of it is stored, and the next one gets a good connection."""
    engine = make_async_engine(database.url, pool_size=1, max_overflow=0)
    store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES, tags=TAGS)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(store.append([subscribed(late)], nothing_about(late)), 1)
    ben = SampleStudentId.v4()
    (await store.append([subscribed(ben)], nothing_about(ben))).unwrap()
    assert [str(ben)] == [one.stream for one in await store.read(ben)]
    assert () == await store.read(late)
    await engine.dispose()


@pytest.mark.parametrize("forward", [True, False], ids=["after", "before"])
def test_a_connection_lost_at_the_commit_of_three_trips(
    database: Database, proxy: CuttingProxy, *, forward: bool
) -> None:
    """Nobody knows if it was stored, and it is said so; the same append again is stored once."""
    given, ada = [subscribed()], SampleStudentId.v4()
    cut = make_engine(database.url.set(host="127.0.0.1", port=proxy.port))
    cut.connect().close()
    proxy.trigger, proxy.forward = b"COMMIT\0", forward
    with pytest.raises(OutcomeUnknownError):
        make_store(cut, outbox=OUTBOX).append(given, nothing_about(ada))
    cut.dispose()
    with database.engine() as engine:
        store = make_store(engine, outbox=OUTBOX)
        store.append(given, nothing_about(ada)).unwrap()
        assert 1 == len(store.read_all())
