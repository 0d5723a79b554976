"""Projectors: read models that follow an event store, on SQLite and PostgreSQL."""

import asyncio
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from accounts import AccountEvent, Closed, Deposited, Opened, codec
from databases import Database
from hypothesis import example, given, settings
from hypothesis import strategies as st
from projecting import (
    BALANCES,
    CHECKPOINTS,
    EVENTS,
    METADATA,
    account_of,
    amounts_of,
    append,
    balances,
    entries,
    history_of,
    make_store,
    mend,
    new_accounts,
    rows_of,
    spoil,
    stored_balances,
)
from returns.result import Failure, Success
from sizes import at_full
from sqlalchemy import Engine
from sqlalchemy.exc import InternalError, OperationalError, SQLAlchemyError

from domainkit import (
    AsyncInmemoryEventStore,
    DomainEvent,
    InmemoryEventStore,
    NotReached,
    ReadModel,
    ReadsAllEvents,
    RecordedEvent,
    UnreadableEvent,
)
from domainkit.adapters.sqlalchemy import (
    AsyncCheckpoints,
    AsyncProjector,
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Checkpoints,
    FunctionReadModel,
    MissingTableError,
    OnUnreadable,
    Projected,
    Projector,
    SqlReadModel,
    TableReadModel,
    UnitOfWork,
    make_engine,
)
from domainkit.adapters.sqlalchemy.missing import tables_required

Found = Sequence[RecordedEvent[DomainEvent] | UnreadableEvent]
LONG = timedelta(seconds=60)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine; the tables exist."""
    with database.engine(METADATA) as made:
        yield made


def make_projector(
    engine: Engine,
    *models: SqlReadModel,
    store: ReadsAllEvents | None = None,
    batch: int = 500,
    policy: OnUnreadable = OnUnreadable.STOP,
    wakes: bool = True,
) -> Projector:
    """Return a projector; of balances unless other read models are given."""
    return Projector(
        UnitOfWork(engine),
        make_store(engine) if store is None else store,
        models or (stored_balances(),),
        CHECKPOINTS,
        batch=batch,
        poll=timedelta(milliseconds=20),
        on_unreadable=policy,
        wakes=wakes,
    )


def settle(projector: Projector) -> None:
    """Run a projector until no event is left."""
    projector.run(threading.Event(), until_idle=True)


# Following


def test_a_row_is_the_fold_of_its_events(engine: Engine) -> None:
    """Rows are made, changed and removed as the steps say, and events without a step are passed over."""
    store, (ada, bob) = make_store(engine), new_accounts(2)
    append(store, Opened(ada), Deposited(ada, 5))
    append(store, Opened(bob), Deposited(bob, 1), Closed(bob))
    only_deposits = ReadModel("deposits", balances().row).on(Deposited, account_of, balances().folds[Deposited].step)
    assert Projected(events=5) == make_projector(engine, TableReadModel(only_deposits, BALANCES)).run_once()
    assert {ada: 5, bob: 1} == {key: row.total for key, row in rows_of(engine).items()}


def test_a_row_that_is_removed(engine: Engine) -> None:
    """A step that returns None removes the row, in the batch that made it and in a later one."""
    store, projector, (ada, bob) = make_store(engine), make_projector(engine), new_accounts(2)
    append(store, Opened(ada), Deposited(ada, 5))
    append(store, Opened(bob), Closed(bob))
    projector.run_once()
    assert [ada] == list(rows_of(engine))
    append(store, Closed(ada))
    projector.run_once()
    assert {} == rows_of(engine)


@settings(max_examples=max(20, at_full(100)))
@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from("odc"), st.integers(-9, 9)), max_size=15),
    batch=st.integers(1, 9),
)
@example(steps=[(0, "o", 0), (0, "d", 1), (0, "d", 3)], batch=1)  # each step needs the row of the one before
def test_a_read_model_is_the_fold_of_all_events(steps: list[tuple[int, str, int]], batch: int) -> None:
    """Whatever happens, in batches of whatever size: the table has what the pure fold has."""
    accounts, engine = new_accounts(3), make_engine("sqlite://")
    METADATA.create_all(engine)
    store, projector = make_store(engine), make_projector(engine, stored_balances(), entries(), batch=batch)
    for number, kind, amount in steps:
        one = accounts[number]
        events: dict[str, AccountEvent] = {"o": Opened(one), "d": Deposited(one, amount), "c": Closed(one)}
        append(store, events[kind])
        if amount % 2:
            projector.run_once()
    settle(projector)
    assert balances().rows(history_of(store)) == rows_of(engine)
    assert sorted(amount for _, kind, amount in steps if kind == "d") == amounts_of(engine)
    engine.dispose()


def test_a_function_writes_with_sql_of_its_own(engine: Engine) -> None:
    """Each event of its classes is passed to a function once, in order."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Opened(ada), Deposited(ada, 5), Deposited(ada, 7), Closed(ada))
    projector = make_projector(engine, entries(), batch=3)
    settle(projector)
    settle(projector)
    assert [5, 7] == amounts_of(engine)
    assert Projected(events=4) == projector.total


def test_effect_and_checkpoint_are_stored_together(engine: Engine) -> None:
    """A transaction that fails at its commit stores no row and moves no checkpoint; the next one has all of it."""
    store, projector, (ada,) = make_store(engine), make_projector(engine), new_accounts(1)
    projector.run_once()
    append(store, Opened(ada), Deposited(ada, 5))
    failing = True

    @sa.event.listens_for(engine, "commit")
    def fail(_: object) -> None:
        if failing:
            raise OSError

    assert Projected(busy=1) == projector.run_once()
    failing = False
    assert {} == rows_of(engine)
    assert 0 == projector.status()[0].position
    assert Projected(events=2) == projector.run_once()
    assert 5 == rows_of(engine)[ada].total
    assert 2 == projector.status()[0].position


def test_several_projectors_share_the_work(engine: Engine) -> None:
    """However many run at once, each event counts once."""
    store, accounts = make_store(engine), new_accounts(5)
    stop = threading.Event()

    def follow() -> None:
        make_projector(engine, stored_balances(), entries(), batch=7).run(stop)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(follow) for _ in range(4)]
        for number in range(60):
            last = append(store, Deposited(accounts[number % 5], number), Deposited(accounts[number % 5], 1))
        waiting = Checkpoints(UnitOfWork(engine), CHECKPOINTS)
        reached = [waiting.reached(name, last.position, within=LONG) for name in ("balances", "entries")]
        stop.set()
        for one in running:
            one.result()
    assert [Success(last.position)] * 2 == reached
    assert balances().rows(history_of(store)) == rows_of(engine)
    assert sorted([*range(60), *[1] * 60]) == amounts_of(engine)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_read_model_that_another_projector_has_is_passed_over(engine: Engine) -> None:
    """A projector doesn't wait for another one: it works on other read models meanwhile."""
    store, (ada,) = make_store(engine), new_accounts(1)
    projector = make_projector(engine, stored_balances(), entries())
    projector.run_once()
    append(store, Opened(ada), Deposited(ada, 5))
    with engine.begin() as elsewhere:
        elsewhere.execute(sa.select(CHECKPOINTS).where(CHECKPOINTS.c.model == "balances").with_for_update())
        assert Projected(events=2, busy=1) == projector.run_once()
        assert [5] == amounts_of(engine)
        assert {} == rows_of(engine)
    assert Projected(events=2) == projector.run_once()


def test_a_checkpoint_that_moved_meanwhile_is_left_alone(engine: Engine) -> None:
    """Events that another projector has put in since they were read don't count twice."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    other = make_projector(engine)

    class Interrupted:
        def read_all(self, *, after: int = 0, limit: int | None = None) -> Found:
            found = store.read_all(after=after, limit=limit)
            other.run_once()
            return found

    assert Projected(busy=1) == make_projector(engine, store=Interrupted()).run_once()
    assert 5 == rows_of(engine)[ada].total


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_higher_isolation_level(database: Database, level: str) -> None:
    """An engine at another isolation level will do: events are read outside of the transaction of their effect."""
    with database.engine(METADATA, isolation_level=level) as engine:
        store, (ada,) = make_store(engine), new_accounts(1)
        append(store, Deposited(ada, 5))
        settle(make_projector(engine))
        assert 5 == rows_of(engine)[ada].total


def test_read_models_that_are_equally_far_share_what_is_read(engine: Engine) -> None:
    """Events are read and decoded once a round for all read models at the same position."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    reads: list[int] = []

    class Counting:
        def read_all(self, *, after: int = 0, limit: int | None = None) -> Found:
            reads.append(after)
            return store.read_all(after=after, limit=limit)

    make_projector(engine, stored_balances(), entries(), store=Counting()).run_once()
    assert [0] == reads


# Unreadable events, steps that fail


def test_an_unreadable_event_stops_a_read_model(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """Those before it are in; it is in the status and logged once, without a value, and tried again."""
    store, projector, (ada,) = make_store(engine), make_projector(engine), new_accounts(1)
    last = append(store, Deposited(ada, 5), Deposited(ada, 7), Deposited(ada, 9))
    spoil(engine, 2)
    assert Projected(events=1, stopped=("balances",)) == projector.run_once()
    assert [Projected(stopped=("balances",))] * 2 == [projector.run_once() for _ in range(2)]
    assert 5 == rows_of(engine)[ada].total
    found = projector.status()[0]
    assert ("stopped", 1, 2, "unreadable", 2) == (
        found.state,
        found.position,
        found.stopped_at,
        found.reason,
        found.behind,
    )
    assert ["read model balances: stopped at the unreadable event at position 2"] == [
        one.getMessage().partition(": $")[0] for one in caplog.records
    ]
    mend(engine, 2, Deposited(ada, 7))
    settle(projector)
    assert 21 == rows_of(engine)[ada].total
    found = projector.status()[0]
    assert ("current", last.position, None, None, 0) == (
        found.state,
        found.position,
        found.stopped_at,
        found.reason,
        found.behind,
    )


def test_an_unreadable_event_that_is_the_first(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """A read model stops there too, before it has begun."""
    store, projector, (ada,) = make_store(engine), make_projector(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    spoil(engine, 1)
    assert [Projected(stopped=("balances",))] * 2 == [projector.run_once() for _ in range(2)]
    assert 1 == projector.status()[0].stopped_at
    assert 1 == len(caplog.records)


def test_an_unreadable_event_that_is_skipped(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """It is counted in the status, and logged."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5), Deposited(ada, 7), Deposited(ada, 9))
    spoil(engine, 2)
    projector = make_projector(engine, policy=OnUnreadable.SKIP)
    assert Projected(events=3, unreadable=1) == projector.run_once()
    assert 14 == rows_of(engine)[ada].total
    assert ("current", 1) == (projector.status()[0].state, projector.status()[0].unreadable)
    assert "read model balances: skipped the unreadable event at position 2" in caplog.text


def test_a_read_model_that_stopped_may_skip_later(engine: Engine) -> None:
    """A projector that skips goes on where another one stopped."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5), Deposited(ada, 7), Deposited(ada, 9))
    spoil(engine, 2)
    make_projector(engine).run_once()
    settle(make_projector(engine, policy=OnUnreadable.SKIP))
    assert 14 == rows_of(engine)[ada].total


def test_a_step_that_raises_stops_its_read_model_alone(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """All events before the one that it fails at are in; the others go on; the error is logged once."""
    store, (ada,) = make_store(engine), new_accounts(1)

    def fragile(row: object, event: Deposited) -> None:
        if event.amount == 13:
            raise LookupError("no room")

    failing = TableReadModel(ReadModel("fragile", balances().row).on(Deposited, account_of, fragile), BALANCES)
    append(store, *[Deposited(ada, amount) for amount in range(20)])
    projector = make_projector(engine, failing, entries())
    settle(projector)
    assert ("fragile",) == projector.run_once().stopped
    found = projector.status()
    assert [("stopped", 13, 14, "LookupError"), ("current", 20, None, None)] == [
        (one.state, one.position, one.stopped_at, one.reason) for one in found
    ]
    assert list(range(20)) == amounts_of(engine)
    assert ["read model fragile: stopped at position 14, where it failed"] == [
        one.getMessage() for one in caplog.records
    ]
    info = caplog.records[0].exc_info
    assert info is not None
    assert ["read model 'fragile', position 14"] == getattr(info[1], "__notes__", None)


def test_a_row_of_another_key_is_refused(engine: Engine) -> None:
    """A step that returns the row of another key stops its read model: that row would be overwritten."""
    store, (ada, bob) = make_store(engine), new_accounts(2)
    wrong = balances().row(bob, 1, 1)
    model = ReadModel("wrong", balances().row).on(Deposited, account_of, lambda _, __: wrong)
    append(store, Deposited(ada, 5))
    projector = make_projector(engine, TableReadModel(model, BALANCES))
    assert ("wrong",) == projector.run_once().stopped
    assert "ValueError" == projector.status()[0].reason


# Versions and rows of others


def test_another_version_is_left_alone(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """A read model with other steps than its rows were made by changes nothing, and says so once."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    make_projector(engine).run_once()
    append(store, Deposited(ada, 7))
    newer = make_projector(engine, stored_balances(version=2))
    assert [Projected(stopped=("balances",))] * 2 == [newer.run_once() for _ in range(2)]
    assert 5 == rows_of(engine)[ada].total
    assert ("outdated", 1, 2) == (
        newer.status()[0].state,
        newer.status()[0].stored_version,
        newer.status()[0].version,
    )
    assert ["read model balances: its rows are of version 1 and its steps of version 2; rebuild it"] == [
        one.getMessage() for one in caplog.records
    ]


def test_rows_without_a_checkpoint_are_not_folded_into(engine: Engine) -> None:
    """A read model whose table has rows of unknown origin, as after a change of its name, needs a rebuild."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    make_projector(engine).run_once()
    renamed = TableReadModel(ReadModel("renamed", balances().row, folds=balances().folds), BALANCES)
    projector = make_projector(engine, renamed)
    assert Projected(stopped=("renamed",)) == projector.run_once()
    assert ("outdated", 0) == (projector.status()[0].state, projector.status()[0].stored_version)
    projector.rebuild("renamed")
    assert 5 == rows_of(engine)[ada].total
    assert "current" == projector.status()[0].state


# Status, waiting


def test_the_status_before_the_first_round(engine: Engine) -> None:
    """A read model that has not begun is behind by all events."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5), Deposited(ada, 7))
    found = make_projector(engine).status()[0]
    assert ("behind", 0, 2, None, None) == (
        found.state,
        found.position,
        found.behind,
        found.moved_at,
        found.rebuilt_to,
    )


def test_a_store_in_memory(engine: Engine) -> None:
    """A projector follows any event store; its status counts by reading."""
    store: InmemoryEventStore[AccountEvent] = InmemoryEventStore(codec)
    (ada,) = new_accounts(1)
    store.append(ada, [Deposited(ada, 5), Deposited(ada, 7)], expected=0).unwrap()
    projector = make_projector(engine, store=store)
    assert 2 == projector.status()[0].behind
    projector.run_once()
    assert 12 == rows_of(engine)[ada].total
    assert "current" == projector.status()[0].state
    assert None is projector.rebuild("balances").last


def test_one_waits_for_ones_own_writes(engine: Engine) -> None:
    """The wait ends when the read model has the event; after the time it is a Failure that says how far it is."""
    store, checkpoints, (ada,) = make_store(engine), Checkpoints(UnitOfWork(engine), CHECKPOINTS), new_accounts(1)
    appended = append(store, Deposited(ada, 5))
    late = checkpoints.reached("balances", appended.position, within=timedelta(milliseconds=50))
    assert Failure(NotReached(model="balances", position=1, reached=0)) == late
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(checkpoints.reached, "balances", appended.position, within=LONG)
        make_projector(engine).run_once()
        assert Success(1) == waiting.result()
    assert 5 == rows_of(engine)[ada].total


def test_nobody_waits_in_a_unit_of_work(engine: Engine) -> None:
    """There a read model may make no progress: waiting is a RuntimeError at once, and looking is allowed."""
    unit_of_work = UnitOfWork(engine)
    checkpoints = Checkpoints(unit_of_work, CHECKPOINTS)
    for begin in (unit_of_work.begin, unit_of_work.reading):
        with begin():
            with pytest.raises(RuntimeError, match=r"^reached: expected no open unit of work"):
                checkpoints.reached("balances", 1, within=LONG)
            assert isinstance(checkpoints.reached("balances", 1, within=timedelta(0)), Failure)


def test_nobody_waits_for_a_read_model_that_stopped(engine: Engine) -> None:
    """The Failure comes at once, with the reason."""
    store, checkpoints, (ada,) = make_store(engine), Checkpoints(UnitOfWork(engine), CHECKPOINTS), new_accounts(1)
    append(store, Deposited(ada, 5), Deposited(ada, 7))
    spoil(engine, 2)
    make_projector(engine).run_once()
    failure = checkpoints.reached("balances", 2, within=timedelta(days=1)).failure()
    assert ("unreadable", 1) == (failure.reason, failure.reached)
    text = "read model balances: expected position 2, got position 1, where it stopped: unreadable"
    assert f"NotReached: {text}" == failure.detail()
    assert Success(1) == checkpoints.reached("balances", 1, within=LONG)


def test_deleted_events_are_reached(engine: Engine) -> None:
    """A position whose event was deleted before it was projected is reached, though no event comes after it."""
    store, checkpoints, (ada, grace) = make_store(engine), Checkpoints(UnitOfWork(engine), CHECKPOINTS), new_accounts(2)
    first = append(store, Deposited(ada, 5))
    deleted = append(store, Deposited(grace, 7), Deposited(grace, 8))
    store.delete(grace).unwrap()
    projector = make_projector(engine)
    projector.run(threading.Event(), until_idle=True)
    assert deleted.position <= checkpoints.reached("balances", deleted.position, within=timedelta(0)).unwrap()
    assert {ada: 5} == {key: row.total for key, row in rows_of(engine).items()}
    last = append(store, Deposited(ada, 6))
    assert last.position > deleted.position > first.position
    assert Projected(events=1) == projector.run_once()
    assert Success(last.position) == checkpoints.reached("balances", last.position, within=timedelta(0))


def test_an_event_that_stopped_a_read_model_and_is_deleted(engine: Engine) -> None:
    """The read model goes on, and its status has no stop any more."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    spoil(engine, 1)
    projector = make_projector(engine)
    assert ("balances",) == projector.run_once().stopped
    store.delete(ada).unwrap()
    assert Projected() == projector.run_once()
    assert ("current", None) == (projector.status()[0].state, projector.status()[0].reason)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_deleted_events_behind_one_that_is_not_committed(engine: Engine) -> None:
    """The checkpoint doesn't pass an event that a running transaction may still store."""
    store, (ada, grace) = make_store(engine), new_accounts(2)
    projector = make_projector(engine)
    with store._unit_of_work.begin():
        late = append(store, Deposited(ada, 5))
        other = make_store(engine)
        other._unit_of_work = UnitOfWork(engine)
        with ThreadPoolExecutor(1) as pool:
            deleted = pool.submit(append, other, Deposited(grace, 7)).result()
            pool.submit(other.delete, grace).result().unwrap()
            pool.submit(projector.run_once).result()
            assert projector._following.checkpoint("balances").position < late.position  # type: ignore[union-attr]  # there is one
    assert deleted.position > late.position
    assert Projected(events=1) == projector.run_once()
    projector.run_once()
    assert deleted.position <= projector.status()[0].position


# Outages, options


def test_a_database_that_comes_back(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """A projector goes on by itself, and logs the start and the end of the outage."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    stop, projector, failures = threading.Event(), make_projector(engine, wakes=False), 2

    @sa.event.listens_for(engine, "before_cursor_execute")
    def fail(*_: object) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise OperationalError("SELECT", None, ConnectionError())

    caplog.set_level(logging.WARNING)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(projector.run, stop)
        reached = Checkpoints(UnitOfWork(engine.execution_options()), CHECKPOINTS)
        while failures:
            stop.wait(0.01)
        assert Success(1) == reached.reached("balances", 1, within=LONG)
        stop.set()
        running.result()
    assert ["the database is unreachable (ConnectionError); retrying", "the database is reachable again"] == [
        one.getMessage() for one in caplog.records
    ]


@pytest.mark.parametrize(
    "outage",
    [OSError("lost"), InternalError("lost", None, Exception("lost"), connection_invalidated=True)],
    ids=["OSError", "InternalError"],
)
def test_an_outage_within_a_batch_is_no_failure_of_the_read_model(engine: Engine, outage: Exception) -> None:
    """A connection that is lost while a batch is stored stops no read model: the outage is raised."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))

    def lost(*_: object) -> None:
        raise outage

    model = ReadModel("lost", balances().row).on(Deposited, account_of, lost)
    projector = make_projector(engine, TableReadModel(model, BALANCES))
    with pytest.raises(type(outage), match="lost"):
        projector.run(threading.Event(), until_idle=True)
    assert None is projector.status()[0].stopped_at


def test_a_function_with_wrong_sql_stops_its_read_model(engine: Engine) -> None:
    """SQL that a database refuses is a failure of the read model, and no outage."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    wrong = FunctionReadModel("wrong", BALANCES).on(
        Deposited, lambda connection, _, __: connection.execute(sa.text("SELECT * FROM unknown"))
    )
    projector = make_projector(engine, wrong)
    assert Projected(stopped=("wrong",)) == projector.run_once()
    assert projector.status()[0].reason in {"OperationalError", "ProgrammingError"}


def test_a_stop_of_an_older_moment(engine: Engine) -> None:
    """A projector that comes late stops no read model that another one has moved since."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    other = make_projector(engine)

    class Interrupted:
        def read_all(self, *, after: int = 0, limit: int | None = None) -> Found:
            spoil(engine, 1)
            unreadable = store.read_all(after=after, limit=limit)
            mend(engine, 1, Deposited(ada, 5))
            other.run_once()
            return unreadable

    assert ("balances",) == make_projector(engine, store=Interrupted()).run_once().stopped
    assert ("current", 1) == (other.status()[0].state, other.status()[0].position)


@pytest.mark.parametrize("missing", [CHECKPOINTS, EVENTS, BALANCES], ids=str)
def test_a_table_that_does_not_exist(engine: Engine, missing: sa.Table) -> None:
    """It is no outage: the projector ends, with the name of the table and what to do, also while it follows."""
    store, (ada,), stop = make_store(engine), new_accounts(1), threading.Event()
    append(store, Deposited(ada, 5))
    projector = make_projector(engine)
    projector.run_once()
    append(store, Deposited(ada, 5))
    missing.drop(engine)
    text = rf"^Projector\(balances\): expected a database with its tables.* got .*{missing.name}.*; create them by a "
    for work in (projector.run_once, lambda: projector.run(stop), lambda: projector.rebuild("balances")):
        with pytest.raises(MissingTableError, match=text if work == projector.run_once else missing.name) as caught:
            work()
        assert isinstance(caught.value.__cause__, SQLAlchemyError)
    missing.create(engine)
    if missing is BALANCES:
        assert Projected(events=1) == projector.run_once()


@pytest.mark.parametrize("name", ["balances!", '"balances"', "$ b", "Ü"])
def test_a_table_of_any_name_that_does_not_exist(engine: Engine, name: str) -> None:
    """It is found in the words of the database by its whole name, whatever is the first or last character of it."""
    table = BALANCES.to_metadata(sa.MetaData(), name=name)
    table.create(engine)
    projector = make_projector(engine, TableReadModel(balances(), table))
    projector.run_once()
    table.drop(engine)
    append(make_store(engine), Deposited(new_accounts(1)[0], 5))
    with pytest.raises(MissingTableError, match=re.escape(name)):
        projector.run_once()
    assert "stopped" != projector.status()[0].state


def test_a_table_that_does_not_exist_yet(database: Database) -> None:
    """So it is before the first event, and for the status."""
    with database.engine() as engine:
        projector = make_projector(engine)
        for work in (projector.run_once, projector.status, lambda: projector.run(threading.Event(), until_idle=True)):
            with pytest.raises(MissingTableError, match="checkpoints"):
                work()
        METADATA.create_all(engine, tables=[CHECKPOINTS])
        with pytest.raises(MissingTableError, match="balances"):
            projector.run_once()


def test_a_column_that_does_not_exist(engine: Engine) -> None:
    """A column that a migration has to add is named as well."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE balances DROP COLUMN deposits"))
    with pytest.raises(MissingTableError, match=r"balances.*deposits|deposits.*balances"):
        make_projector(engine).run_once()


def test_another_error_of_the_database(engine: Engine) -> None:
    """Wrong SQL that names no missing table is left as it is."""
    with pytest.raises(SQLAlchemyError), tables_required("test"), engine.connect() as connection:
        connection.execute(sa.text("SELEKT"))


def test_another_database(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database without the statements for it is refused by name."""
    unit_of_work = UnitOfWork(engine)
    monkeypatch.setattr(unit_of_work, "dialect", "mysql")
    with pytest.raises(ValueError, match=r"^read models: expected SQLite or PostgreSQL, got mysql$"):
        Checkpoints(unit_of_work, CHECKPOINTS)


def test_wrong_options(engine: Engine) -> None:
    """Names and tables are unique, and numbers above 0."""
    with pytest.raises(ValueError, match=r"^Projector: expected read models of different names, got \['balances', "):
        make_projector(engine, stored_balances(), stored_balances())
    other = TableReadModel(ReadModel("other", balances().row), BALANCES)
    with pytest.raises(ValueError, match=r"^Projector: expected read models of different tables, got \['balances', "):
        make_projector(engine, stored_balances(), other)
    with pytest.raises(ValueError, match=r"^Projector: expected `batch` and `poll` above 0, got 0 and "):
        make_projector(engine, batch=0)
    with pytest.raises(ValueError, match=r"got a table without model, .*; make it with checkpoints_table$"):
        Projector(UnitOfWork(engine), make_store(engine), [stored_balances()], BALANCES)
    assert "Projector(balances, entries)" == repr(make_projector(engine, stored_balances(), entries()))


# The async twin


async def test_async_a_projector_follows(database: Database) -> None:
    """The async twin does the same: rounds, run, status, rebuild and waiting."""
    async with database.async_engine(METADATA) as engine:
        unit_of_work = AsyncUnitOfWork(engine)
        store: AsyncSqlEventStore[AccountEvent] = AsyncSqlEventStore(unit_of_work, EVENTS, codec)
        projector = AsyncProjector(unit_of_work, store, [stored_balances(), entries()], CHECKPOINTS, batch=2)
        checkpoints = AsyncCheckpoints(unit_of_work, CHECKPOINTS)
        (ada,) = new_accounts(1)
        await store.append(ada, [Deposited(ada, 5), Deposited(ada, 7), Deposited(ada, 9)], expected=0)
        assert Failure is type(await checkpoints.reached("balances", 3, within=timedelta(0)))
        async with unit_of_work.begin():
            with pytest.raises(RuntimeError, match=r"^reached: expected no open unit of work"):
                await checkpoints.reached("balances", 3, within=LONG)
        assert Projected(events=4) == await projector.run_once()
        stop = asyncio.Event()
        running = asyncio.create_task(projector.run(stop))
        assert Success(3) == await checkpoints.reached("balances", 3, within=LONG)
        await store.append(ada, [Deposited(ada, 1), Deposited(ada, 1)], expected=3)
        assert Success(5) == await checkpoints.reached("balances", 5, within=LONG)
        assert Success(5) == await checkpoints.reached("entries", 5, within=LONG)
        stop.set()
        await running
        await projector.run(asyncio.Event(), until_idle=True)
        assert ["current", "current"] == [one.state for one in await projector.status()]
        seen: list[int] = []
        rebuilt = await projector.rebuild("balances", progress=lambda one: seen.append(one.position))
        assert (True, [2, 4, 5]) == (rebuilt.is_swapped, seen)
        stop.set()
        assert not (await projector.rebuild("balances", stop=stop)).is_over
        assert (await projector.rebuild("balances")).is_swapped
        async with unit_of_work.reading() as connection:
            assert 23 == await connection.scalar(sa.select(BALANCES.c.total))
    assert "AsyncProjector(balances, entries)" == repr(projector)
    assert not projector.is_following


async def test_async_a_store_in_memory(database: Database) -> None:
    """The async twin follows any async store."""
    async with database.async_engine(METADATA) as engine:
        store: AsyncInmemoryEventStore[AccountEvent] = AsyncInmemoryEventStore(codec)
        (ada,) = new_accounts(1)
        await store.append(ada, [Deposited(ada, 5)], expected=0)
        projector = AsyncProjector(AsyncUnitOfWork(engine), store, [stored_balances()], CHECKPOINTS)
        assert Projected(events=1) == await projector.run_once()
