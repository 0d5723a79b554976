"""Many writers and readers of one SQL event store: nothing is skipped, one of those who race wins, others go on."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import pytest
from databases import Database, new_database
from proxies import CuttingProxy, cutting_proxy
from returns.result import Failure, Result, Success
from sizes import at_full
from sqlalchemy import Engine, MetaData, text
from sqlalchemy.exc import DBAPIError, OperationalError

from domainkit import (
    ANY_REVISION,
    NO_STREAM,
    Appended,
    ConflictError,
    MessageCodec,
    OutcomeUnknownError,
    RecordedEvent,
    RevisionConflict,
    StreamClosed,
    UnreadableEvent,
)
from domainkit.adapters.sqlalchemy import (
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    SqlEventStore,
    UnitOfWork,
    events_table,
    make_async_engine,
    make_engine,
)
from domainkit.event_store import ExpectedRevision
from domainkit.testing import SampleTaskCreated, SampleTaskId

METADATA = MetaData()
EVENTS = events_table(METADATA)
SAMPLES = MessageCodec.of(SampleTaskCreated)
Store = SqlEventStore[SampleTaskCreated]
AsyncStore = AsyncSqlEventStore[SampleTaskCreated]
Outcome: TypeAlias = Result[Appended, RevisionConflict]
WRITERS = 8
ROUNDS = max(20, at_full(400))

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
at_higher_levels = pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])


def new_events(count: int = 1) -> list[SampleTaskCreated]:
    """Return events that differ."""
    return [SampleTaskCreated(SampleTaskId.v4()) for _ in range(count)]


def streams(found: Sequence[RecordedEvent[SampleTaskCreated] | UnreadableEvent]) -> list[str]:
    """Return the stream of each event."""
    return [one.stream for one in found]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine with a connection for each writer; the table exists."""
    with database.engine(METADATA, pool_size=WRITERS + 2) as made:
        yield made


def make_store(engine: Engine) -> Store:
    """Return a store."""
    return SqlEventStore(UnitOfWork(engine), EVENTS, SAMPLES)


# Reading all


@on_postgresql
def test_an_event_is_not_given_before_an_earlier_one_may_come(engine: Engine) -> None:
    """A committed event waits for a transaction that appended before it, and not for one that does something else."""
    late, store = UnitOfWork(engine), make_store(engine)
    with UnitOfWork(engine).begin() as elsewhere:
        elsewhere.execute(text("CREATE TABLE something_else (number int)"))
        store.append("before", new_events(), expected=NO_STREAM).unwrap()
        assert ["before"] == streams(store.read_all())
        with late.begin():
            SqlEventStore(late, EVENTS, SAMPLES).append("late", new_events(), expected=NO_STREAM).unwrap()
            store.append("early", new_events(), expected=NO_STREAM).unwrap()
            assert ["before"] == streams(store.read_all())
            assert ["early"] == streams(store.read("early"))
        assert ["before", "late", "early"] == streams(store.read_all())


@on_postgresql
def test_a_savepoint_that_is_rolled_back_lets_nothing_through(engine: Engine) -> None:
    """A transaction that appends again after that is waited for too; so is one that appends to another table."""
    metadata = MetaData()
    other = events_table(metadata, "others")
    metadata.create_all(engine)
    unit, store = UnitOfWork(engine), make_store(engine)
    late: Store = SqlEventStore(unit, EVENTS, SAMPLES)

    def undone() -> None:
        with unit.begin():
            late.append("undone", new_events(), expected=NO_STREAM).unwrap()
            raise LookupError

    with unit.begin():
        SqlEventStore(unit, other, SAMPLES).append("other", new_events(), expected=NO_STREAM).unwrap()
        store.append("first", new_events(), expected=NO_STREAM).unwrap()
        assert ["first"] == streams(store.read_all())
        with pytest.raises(LookupError):
            undone()
        late.append("late", new_events(), expected=NO_STREAM).unwrap()
        store.append("early", new_events(), expected=NO_STREAM).unwrap()
        assert ["first"] == streams(store.read_all())
    assert ["first", "late", "early"] == streams(store.read_all())


@on_postgresql
def test_a_transaction_announces_itself_once(engine: Engine) -> None:
    """However much it appends, it takes one lock of those that the server has room for."""
    unit = UnitOfWork(engine)
    store: Store = SqlEventStore(unit, EVENTS, SAMPLES)
    with unit.begin() as connection:
        for number in range(5):
            store.append(f"task-{number}", new_events(2), expected=NO_STREAM).unwrap()
        mine = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        assert 1 == connection.scalar(text(mine))


@on_postgresql
def test_an_announcement_ends_with_its_transaction(engine: Engine) -> None:
    """The next transaction on the same connection is waited for as well; one that ended is not."""
    unit, store = UnitOfWork(engine), make_store(engine)
    late: Store = SqlEventStore(unit, EVENTS, SAMPLES)
    for number in range(1, 4):
        with unit.begin():
            late.append("late", new_events(), expected=number - 1).unwrap()
            store.append("early", new_events(), expected=number - 1).unwrap()
            assert 2 * (number - 1) == len(store.read_all())
        assert 2 * number == len(store.read_all())


@on_postgresql
@pytest.mark.parametrize("position", [2**31, 2**32, 5 * 2**32 - 1])
def test_positions_may_be_larger_than_a_lock_can_say(engine: Engine, position: int) -> None:
    """A lock has 32 bits for a position, which has 63."""
    with engine.begin() as connection:
        connection.execute(text(f"SELECT setval('events_position_seq', {position}, false)"))
    late, store = UnitOfWork(engine), make_store(engine)
    assert position == store.append("before", new_events(), expected=NO_STREAM).unwrap().position
    with late.begin():
        SqlEventStore(late, EVENTS, SAMPLES).append("late", new_events(2), expected=NO_STREAM).unwrap()
        store.append("early", new_events(), expected=NO_STREAM).unwrap()
        assert ["before"] == streams(store.read_all())
    assert ["before", "late", "late", "early"] == streams(store.read_all())


def follow(store: Store, total: int) -> list[tuple[int, str, int]]:
    """Return what a reader finds that remembers the last position alone, until it has found so many."""
    found: list[tuple[int, str, int]] = []
    deadline = time.monotonic() + 60
    while len(found) < total and time.monotonic() < deadline:
        after = found[-1][0] if found else 0
        found += [(one.position, one.stream, one.revision) for one in store.read_all(after=after, limit=100)]
    return found


def write(engine: Engine, writer: int) -> None:
    """Append to a stream of one's own and to one that all share, in transactions that commit late or never."""
    unit, chance = UnitOfWork(engine), random.Random(writer)
    store: Store = SqlEventStore(unit, EVENTS, SAMPLES)
    for number in range(ROUNDS):
        with suppress(LookupError), unit.begin():
            store.append(f"own-{writer}", new_events(2), expected=2 * number).unwrap()
            time.sleep(chance.random() / 30)
        store.append("shared", new_events(1), expected=ANY_REVISION).unwrap()
        with suppress(LookupError), unit.begin():
            store.append(f"never-{writer}", new_events(3), expected=NO_STREAM).unwrap()
            raise LookupError


def test_a_reader_skips_no_late_commit(engine: Engine) -> None:
    """Eight writers commit in another order than they began: a reader that polls finds each event once."""
    total = WRITERS * ROUNDS * 3
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        followed = pool.submit(follow, make_store(engine), total)
        for done in [pool.submit(write, engine, writer) for writer in range(WRITERS)]:
            done.result()
        found = followed.result()

    assert total == len(found)
    assert sorted({position for position, _, _ in found}) == [position for position, _, _ in found]
    by_stream: dict[str, list[int]] = {}
    for _, stream, revision in found:
        by_stream.setdefault(stream, []).append(revision)
    own = {f"own-{writer}": list(range(1, 2 * ROUNDS + 1)) for writer in range(WRITERS)}
    assert own | {"shared": list(range(1, WRITERS * ROUNDS + 1))} == by_stream


@on_postgresql
@at_higher_levels
async def test_reading_all_needs_to_see_what_is_committed(database: Database, level: str) -> None:
    """A unit of work with one snapshot is refused, outside of one it is read as ever."""
    async with database.async_engine(METADATA, isolation_level=level) as async_engine:
        with database.engine(isolation_level=level) as engine:
            store, unit = make_store(engine), UnitOfWork(engine)
            store.append("task-1", new_events(), expected=NO_STREAM).unwrap()
            assert ["task-1"] == streams(store.read_all())
            with unit.begin(), pytest.raises(RuntimeError, match="read_all: expected a unit of work at READ COMMITTED"):
                SqlEventStore(unit, EVENTS, SAMPLES).read_all()
        async_unit = AsyncUnitOfWork(async_engine)
        async_store = AsyncSqlEventStore(async_unit, EVENTS, SAMPLES)
        assert ["task-1"] == streams(await async_store.read_all())
        assert [] == streams(await async_store.read_all(after=2**40))
        async with async_unit.begin():
            with pytest.raises(RuntimeError, match="read outside of it"):
                await async_store.read_all()


# Writers


@on_postgresql
def test_writers_of_different_streams_do_not_wait(database: Database, engine: Engine) -> None:
    """A transaction that has appended holds nobody up who appends to another stream, nor a reader."""
    unit = UnitOfWork(engine)
    url = database.url.update_query_dict({"options": f"{database.url.query['options']} -cstatement_timeout=2000"})
    hasty = make_engine(url)
    with unit.begin():
        SqlEventStore(unit, EVENTS, SAMPLES).append("task-1", new_events(), expected=NO_STREAM).unwrap()
        for number in range(2, 6):
            make_store(hasty).append(f"task-{number}", new_events(), expected=NO_STREAM).unwrap()
        assert () == make_store(hasty).read("task-1") == make_store(hasty).read_all()
    hasty.dispose()


@on_postgresql
def test_whoever_waits_too_long_stored_nothing(database: Database, engine: Engine) -> None:
    """A statement that the server cancels is no lost connection: the exception says which it was."""
    unit = UnitOfWork(engine)
    url = database.url.update_query_dict({"options": f"{database.url.query['options']} -cstatement_timeout=100"})
    hasty = make_engine(url)
    with unit.begin():
        SqlEventStore(unit, EVENTS, SAMPLES).append("task-1", new_events(2), expected=NO_STREAM).unwrap()
        with pytest.raises(OperationalError, match="statement timeout"):
            make_store(hasty).append("task-1", new_events(), expected=NO_STREAM)
    assert 2 == len(make_store(hasty).read("task-1"))
    hasty.dispose()


def meanwhile(work: Callable[[], Outcome]) -> Callable[[], Outcome]:
    """Do some work in another thread, and return what waits for its answer."""
    pool = ThreadPoolExecutor(1)
    begun = threading.Event()

    def announced() -> Outcome:
        begun.set()
        return work()

    future = pool.submit(announced)
    pool.shutdown(wait=False)
    begun.wait(10)
    time.sleep(0.1)  # it waits for the transaction that is open, or does so soon: either way it must end the same
    return lambda: future.result(60)


@pytest.mark.parametrize("count", [1, 3])
def test_a_writer_that_waited_has_a_conflict(engine: Engine, count: int) -> None:
    """It stores nothing, though a part of its revisions is free; who waited for a rollback appends."""
    unit, others = UnitOfWork(engine), make_store(engine)
    store: Store = SqlEventStore(unit, EVENTS, SAMPLES)
    with unit.begin():
        store.append("task-1", new_events(2), expected=NO_STREAM).unwrap()
        lost = meanwhile(lambda: others.append("task-1", new_events(count), expected=NO_STREAM))
    assert RevisionConflict(stream="task-1", expected=NO_STREAM, actual=2) == lost().failure()
    assert 2 == len(store.read("task-1"))

    def failing() -> Callable[[], Outcome]:
        with suppress(LookupError), unit.begin():
            store.append("task-2", new_events(2), expected=NO_STREAM).unwrap()
            won = meanwhile(lambda: others.append("task-2", new_events(count), expected=NO_STREAM))
            raise LookupError
        return won

    assert count == failing()().unwrap().revision


@pytest.mark.parametrize("expected", [1, ANY_REVISION])
def test_nothing_is_appended_behind_a_stream_that_was_closed_meanwhile(
    engine: Engine, expected: ExpectedRevision
) -> None:
    """Also if that transaction appended, and deleted all of it: revisions are not given twice."""
    unit, others = UnitOfWork(engine), make_store(engine)
    store: Store = SqlEventStore(unit, EVENTS, SAMPLES)
    store.append("task-1", new_events(), expected=NO_STREAM).unwrap()
    with unit.begin():
        store.append("task-1", new_events(), expected=1).unwrap()
        store.delete("task-1").unwrap()
        lost = meanwhile(lambda: others.append("task-1", new_events(), expected=expected))
    assert StreamClosed(stream="task-1", expected=expected, actual=2) == lost().failure()
    assert () == store.read("task-1") == store.read_all()


@pytest.mark.parametrize("way", ["archive", "delete"])
def test_a_stream_is_closed_behind_what_was_appended_meanwhile(engine: Engine, way: str) -> None:
    """The close waits for transactions that append, and returns the end of the stream."""
    unit, others = UnitOfWork(engine), make_store(engine)
    store: Store = SqlEventStore(unit, EVENTS, SAMPLES)
    store.append("task-1", new_events(), expected=NO_STREAM).unwrap()
    with unit.begin():
        end = store.append("task-1", new_events(2), expected=1)
        closed = meanwhile(lambda: getattr(others, way)("task-1"))
    assert end == closed()
    assert isinstance(store.append("task-1", new_events(), expected=3).failure(), StreamClosed)
    assert (3 if way == "archive" else 0) == len(store.read("task-1"))


# REPEATABLE READ and SERIALIZABLE


def race(work: Callable[[], Outcome]) -> list[Outcome]:
    """Do some work in several threads at once, and return their answers."""
    barrier = threading.Barrier(WRITERS)

    def one(_: int) -> Outcome:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, range(WRITERS)))


@on_postgresql
@at_higher_levels
def test_a_lost_race_outside_of_a_unit_is_tried_again(database: Database, level: str) -> None:
    """If any revision will do, all of them append; if one is named, one does, and the others have a conflict."""
    with database.engine(METADATA, isolation_level=level, pool_size=WRITERS) as engine:
        store = make_store(engine)
        anywhere = race(lambda: store.append("task-1", new_events(2), expected=ANY_REVISION))
        assert [2 * number for number in range(1, WRITERS + 1)] == sorted(one.unwrap().revision for one in anywhere)
        named = race(lambda: store.append("task-2", new_events(), expected=NO_STREAM))
        assert 1 == sum(isinstance(one, Success) for one in named)
        closed = race(lambda: store.delete("task-1"))
        assert {2 * WRITERS} == {one.unwrap().revision for one in closed}


@on_postgresql
@at_higher_levels
@pytest.mark.parametrize("way", ["append", "archive"])
def test_a_lost_race_in_a_unit_is_a_conflict(database: Database, level: str, way: str) -> None:
    """Its snapshot is older than what another one appended: the step's Failure says so, and nothing of it is stored."""
    with database.engine(METADATA, isolation_level=level) as engine:
        unit, others = UnitOfWork(engine), make_store(engine)
        store: Store = SqlEventStore(unit, EVENTS, SAMPLES)
        others.append("task-1", new_events(2), expected=NO_STREAM).unwrap()

        def late() -> Outcome:
            assert 2 == len(store.read("task-1"))
            others.append("task-1", new_events(), expected=2).unwrap()
            elsewhere = store.append("task-2", new_events(), expected=NO_STREAM)
            if isinstance(elsewhere, Failure):  # SERIALIZABLE refuses that too: each has read what the other writes
                return elsewhere
            if way == "archive":
                return store.archive("task-1")
            return store.append("task-1", new_events(), expected=2)

        error = unit.atomic(late)().failure()
        assert isinstance(error, RevisionConflict)
        assert ("task-2" if level == "SERIALIZABLE" else "task-1", None) == (error.stream, error.actual)
        assert ["task-1"] * 3 == streams(others.read_all())


@on_postgresql
@at_higher_levels
async def test_an_async_lost_race_is_a_conflict(database: Database, level: str) -> None:
    """In a unit of work; outside of one it is tried again."""
    async with database.async_engine(METADATA, isolation_level=level, pool_size=WRITERS) as engine:
        unit = AsyncUnitOfWork(engine)
        store, others = (AsyncSqlEventStore(one, EVENTS, SAMPLES) for one in (unit, AsyncUnitOfWork(engine)))

        async def late() -> Outcome:
            assert () == await store.read("task-1")
            (await others.append("task-1", new_events(2), expected=NO_STREAM)).unwrap()
            return await store.append("task-1", new_events(), expected=NO_STREAM)

        assert RevisionConflict(stream="task-1", expected=NO_STREAM) == (await unit.atomic(late)()).failure()
        added = await asyncio.gather(
            *(others.append("task-1", new_events(), expected=ANY_REVISION) for _ in range(WRITERS))
        )
        assert list(range(3, WRITERS + 3)) == sorted(one.unwrap().revision for one in added)
        assert WRITERS + 2 == (await others.delete("task-1")).unwrap().revision


@on_postgresql
def test_a_deadlock_is_a_conflict(database: Database) -> None:
    """Of two units of work that append to two streams the other way round, one goes on, and one is to be repeated."""
    with database.engine(METADATA) as engine:
        unit, met = UnitOfWork(engine), threading.Barrier(2)
        store = SqlEventStore(unit, EVENTS, SAMPLES)

        def step(names: tuple[str, str]) -> Outcome:
            store.append(names[0], new_events(), expected=NO_STREAM).unwrap()
            met.wait(10)
            return store.append(names[1], new_events(), expected=NO_STREAM)

        with ThreadPoolExecutor(2) as threads:
            outcomes = list(threads.map(unit.atomic(step), [("task-1", "task-2"), ("task-2", "task-1")]))
        assert [ConflictError] == [type(one.failure()) for one in outcomes if isinstance(one, Failure)]
        assert {"task-1", "task-2"} == set(streams(store.read_all()))


@on_postgresql
async def test_an_async_deadlock_is_a_conflict(database: Database) -> None:
    """As for the sync one."""
    async with database.async_engine(METADATA) as engine:
        unit, met = AsyncUnitOfWork(engine), asyncio.Barrier(2)
        store = AsyncSqlEventStore(unit, EVENTS, SAMPLES)

        async def step(names: tuple[str, str]) -> Outcome:
            (await store.append(names[0], new_events(), expected=NO_STREAM)).unwrap()
            await met.wait()
            return await store.append(names[1], new_events(), expected=NO_STREAM)

        run = unit.atomic(step)
        outcomes = await asyncio.gather(run(("task-1", "task-2")), run(("task-2", "task-1")))
        assert [ConflictError] == [type(one.failure()) for one in outcomes if isinstance(one, Failure)]
        assert {"task-1", "task-2"} == set(streams(await store.read_all()))


# Lost connections


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Database]:
    """Return a new database on PostgreSQL; the table exists."""
    with new_database("postgresql", tmp_path) as database, database.engine(METADATA):
        yield database


@pytest.fixture
def proxy(postgresql: Database) -> Iterator[CuttingProxy]:
    """Return a proxy in front of the server, which cuts what appends."""
    with cutting_proxy(postgresql.url.host or "127.0.0.1", postgresql.url.port or 5432) as made:
        made.trigger = b"INSERT INTO"
        yield made


@pytest.mark.parametrize("forward", [True, False], ids=["after", "before"])
def test_a_connection_lost_in_an_append(postgresql: Database, proxy: CuttingProxy, *, forward: bool) -> None:
    """Nobody knows if it was stored, and it is said so; to append the same again stores it once."""
    proxy.forward, given = forward, new_events(2)
    engine = make_engine(postgresql.url.set(host="127.0.0.1", port=proxy.port))
    engine.connect().close()  # only the first connection shows which isolation level is the usual one
    with pytest.raises(OutcomeUnknownError):
        make_store(engine).append("task-1", given, expected=NO_STREAM)
    assert 1 == proxy.cuts
    with postgresql.engine() as looking:
        store = make_store(looking)
        assert (2 if forward else 0) == len(store.read("task-1"))
        assert 2 == store.append("task-1", given, expected=NO_STREAM).unwrap().revision
        assert given == [one.event for one in store.read("task-1") if isinstance(one, RecordedEvent)]
    engine.dispose()


async def test_an_async_connection_lost_in_an_append(postgresql: Database, proxy: CuttingProxy) -> None:
    """The same with async connections."""
    engine = make_async_engine(postgresql.url.set(host="127.0.0.1", port=proxy.port))
    store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES)
    await (await engine.connect()).close()  # as above
    with pytest.raises(OutcomeUnknownError):
        await store.append("task-1", new_events(2), expected=NO_STREAM)
    with postgresql.engine() as looking:
        assert 2 == len(make_store(looking).read("task-1"))
    await engine.dispose()


async def test_what_the_database_refuses_is_raised(database: Database) -> None:
    """A table that isn't there is no conflict, in each way to append and to close, with async connections too."""
    with database.engine() as engine:
        store = make_store(engine)
        for expected in (NO_STREAM, ANY_REVISION):
            with pytest.raises(DBAPIError, match="events"):
                store.append("task-1", new_events(), expected=expected)
        with pytest.raises(DBAPIError, match="events"):
            store.archive("task-1")
    async with database.async_engine() as async_engine:
        async_store = AsyncSqlEventStore(AsyncUnitOfWork(async_engine), EVENTS, SAMPLES)
        with pytest.raises(DBAPIError, match="events"):
            await async_store.append("task-1", new_events(), expected=NO_STREAM)
