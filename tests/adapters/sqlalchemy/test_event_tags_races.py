"""Decisions on queries, with many writers at once: no two that exclude each other are stored, and others don't wait."""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeAlias

import pytest
from databases import Database
from proxies import cutting_proxy
from returns.result import Failure, Result, Success
from sizes import at_full
from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import OperationalError
from subscriptions import COUNT, SAMPLES, SampleEvent, course, student, subscribed

from domainkit import (
    ANY_REVISION,
    NO_STREAM,
    AppendCondition,
    Appended,
    ConditionConflict,
    ConflictError,
    DomainEvent,
    EventQuery,
    OutcomeUnknownError,
    RecordedEvent,
    StreamClosed,
    projection,
    query,
)
from domainkit.adapters.sqlalchemy import (
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    SqlEventStore,
    UnitOfWork,
    event_tags_table,
    events_table,
    make_engine,
)
from domainkit.testing import SampleCourseId, SampleStudentId, SampleSubscribed, SampleUnsubscribed

Store: TypeAlias = SqlEventStore[SampleEvent]
Outcome: TypeAlias = Result[Appended, ConditionConflict | StreamClosed]

METADATA = MetaData()
EVENTS, TAGS = events_table(METADATA), event_tags_table(METADATA)
RACES, WRITERS = max(200, at_full(1_000)), 8
ROUNDS = max(40, at_full(1_000))

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def nothing_about(found: EventQuery) -> AppendCondition:
    """Return the condition that nothing of a query was stored."""
    return AppendCondition(found, after=0)


def make_store(unit: UnitOfWork | Engine) -> Store:
    """Return a store with tags."""
    return SqlEventStore(unit if isinstance(unit, UnitOfWork) else UnitOfWork(unit), EVENTS, SAMPLES, tags=TAGS)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine with a connection for each writer; the tables exist."""
    with database.engine(METADATA, pool_size=WRITERS + 2) as made:
        yield made


@pytest.fixture
def hasty(database: Database) -> Iterator[Store]:
    """Return a store on PostgreSQL that waits for a second at most."""
    options = f"{database.url.query['options']} -cstatement_timeout=1000"
    engine = make_engine(database.url.update_query_dict({"options": options}))
    yield make_store(engine)
    engine.dispose()


def raced(pool: ThreadPoolExecutor, appends: Sequence[Callable[[], Outcome]]) -> list[Outcome]:
    """Return the outcomes of appends that are begun at once."""
    barrier = Barrier(len(appends))

    def run(append: Callable[[], Outcome]) -> Outcome:
        barrier.wait()
        return append()

    return list(pool.map(run, appends))


# Races


@on_postgresql
def test_of_two_decisions_that_exclude_each_other_one_is_stored(engine: Engine) -> None:
    """Each guards several tags, and writes one that the other guards, and none of its own: in each race one wins."""
    store = make_store(engine)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(RACES):
            ada, ben, maths = student(), student(), course()
            outcomes = raced(
                pool,
                [
                    lambda a=ada, b=ben, m=maths: store.append(  # type: ignore[misc]  # mypy infers no default of a lambda
                        [subscribed(who=a)], nothing_about(query().about(b) | query().about(a, m) | query().about(m))
                    ),
                    lambda a=ada, b=ben, m=maths: store.append(  # type: ignore[misc]  # as above
                        [subscribed(who=b)], nothing_about(query().about(m) | query().about(a).of(SampleSubscribed))
                    ),
                ],
            )
            assert [ConditionConflict] == [type(one.failure()) for one in outcomes if isinstance(one, Failure)]


def test_of_many_decisions_on_one_query_one_is_stored(engine: Engine) -> None:
    """However many events each of them has: nobody is counted out by the tag of another."""
    store = make_store(engine)
    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS // 4):
            maths = course()
            about = query().about(maths) if number % 2 else query().about(maths).of(SampleSubscribed)
            condition = store.decide(about, COUNT).unwrap().condition
            outcomes = raced(
                pool,
                [
                    lambda n=n, m=maths, c=condition: store.append([subscribed(what=m) for _ in range(n)], c)  # type: ignore[misc]  # as above
                    for n in range(1, WRITERS + 1)
                ],
            )
            won = [one.unwrap() for one in outcomes if isinstance(one, Success)]
            assert 1 == len(won)
            assert won[0].revision == store.decide(about, COUNT).unwrap().state


def test_no_course_is_ever_full_beyond_its_places(engine: Engine) -> None:
    """Students at once, each with two rules, on what each query finds: no rule is broken, and no place is left free."""
    store, places, most = make_store(engine), 5, 2
    students, courses = [student() for _ in range(6)], [course() for _ in range(2)]

    def subscribe(pair: tuple[SampleStudentId, SampleCourseId]) -> bool:
        who, what = pair
        while True:
            of_course, of_student = query().about(what).of(SampleSubscribed), query().about(who).of(SampleSubscribed)
            both = store.decide(of_course | of_student, SEATS).unwrap()
            taken = [one for one in both.state if one.course_id == what]
            own = [one for one in both.state if one.student_id == who]
            if len(taken) >= places or len(own) >= most or any(one in taken for one in own):
                return False
            if isinstance(store.append([SampleSubscribed(who, what)], both.condition), Success):
                return True

    wishes = [(who, what) for who in students for what in courses] * 2
    random.Random(7).shuffle(wishes)
    with ThreadPoolExecutor(WRITERS) as pool:
        stored = sum(pool.map(subscribe, wishes))
    assert [places] * 2 == [store.decide(query().about(one), COUNT).unwrap().state for one in courses]
    assert all(store.decide(query().about(one), COUNT).unwrap().state <= most for one in students)
    assert 10 == stored


SEATS = projection(tuple[SampleSubscribed, ...]()).on(SampleSubscribed, lambda found, event: (*found, event))


@on_postgresql
def test_a_decision_without_ids_meets_everybody(engine: Engine) -> None:
    """Of decisions that depend on all events of a class one is stored, whatever the tags of their own events."""
    store = make_store(engine)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(ROUNDS // 2):
            condition = store.decide(query().of(SampleUnsubscribed), COUNT).unwrap().condition
            outcomes = raced(
                pool,
                [lambda c=condition: store.append([SampleUnsubscribed(student(), course())], c)] * 2
                + [lambda: store.append([subscribed()], nothing_about(query().about(student())))] * 2,
            )
            assert 1 == sum(isinstance(one, Success) for one in outcomes[:2])
            assert all(isinstance(one, Success) for one in outcomes[2:])


# Events that appear late


@on_postgresql
def test_an_event_that_appears_late_is_against_a_decision(engine: Engine) -> None:
    """Not even one whose position is lower than that of an event which the decision saw."""
    late, store = UnitOfWork(engine), make_store(engine)
    ada, ben = student(), student()
    for about in (query().about(ada) | query().about(ben), query().of(SampleSubscribed), query()):
        with late.begin():
            make_store(late).append(ada, [subscribed(ada)], expected=ANY_REVISION).unwrap()
            store.append(ben, [subscribed(ben)], expected=ANY_REVISION).unwrap()
            decision = store.decide(about, COUNT).unwrap()
        assert isinstance(store.append([subscribed()], decision.condition).failure(), ConditionConflict)
        assert decision.state < store.decide(about, COUNT).unwrap().state


@on_postgresql
def test_what_is_appended_under_a_condition_is_read_in_order(engine: Engine) -> None:
    """A reader of all events waits for a transaction that appended under a condition, as for others."""
    late, store = UnitOfWork(engine), make_store(engine)
    with late.begin():
        make_store(late).append([subscribed()], nothing_about(query().about(student())), stream="late").unwrap()
        store.append([subscribed()], nothing_about(query().about(student())), stream="early").unwrap()
        assert () == store.read_all()
    assert ["late", "early"] == [one.stream for one in store.read_all()]


@on_postgresql
def test_whoever_waited_sees_what_was_stored_meanwhile(engine: Engine) -> None:
    """A writer that waits for another one looks for events only when that has ended: it has a conflict."""
    late, store, ada = UnitOfWork(engine), make_store(engine), student()
    condition = nothing_about(query().about(ada))
    with ThreadPoolExecutor(1) as pool:
        with late.begin():
            make_store(late).append([subscribed(ada)], condition).unwrap()
            waiting = pool.submit(store.append, [subscribed(ada)], condition)
            wait_until_somebody_waits(engine)
        assert isinstance(waiting.result(60).failure(), ConditionConflict)
        with late.begin():
            make_store(late).append(ada, [SampleUnsubscribed(ada, course())], expected=1).unwrap()
            waiting = pool.submit(store.append, [subscribed(ada)], AppendCondition(query().about(ada), after=10**6))
            wait_until_somebody_waits(engine)
        assert 3 == waiting.result(60).unwrap().revision


def wait_until_somebody_waits(engine: Engine) -> None:
    """Return when a transaction waits for an advisory lock of the table of tags."""
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND classid = CAST(CAST('event_tags' AS regclass) AS oid)"
    )
    for _ in range(6_000):
        with engine.connect() as connection:
            if connection.exec_driver_sql(waiting).scalar():
                return
        asyncio.run(asyncio.sleep(0.01))
    raise AssertionError("nobody waits")


# Who waits


@on_postgresql
def test_decisions_about_different_things_do_not_wait(engine: Engine, hasty: Store) -> None:
    """A transaction that has appended holds nobody up whose events and query have other tags."""
    unit, ada, maths = UnitOfWork(engine), student(), course()
    with unit.begin():
        make_store(unit).append([subscribed(ada, maths)], nothing_about(query().about(ada))).unwrap()
        make_store(unit).append("plain", [subscribed(ada, maths)], expected=NO_STREAM).unwrap()
        for _ in range(3):
            ben = student()
            hasty.append([subscribed(ben)], hasty.decide(query().about(ben), COUNT).unwrap().condition).unwrap()
            hasty.append(ben, [SampleUnsubscribed(ben, course())], expected=1).unwrap()
        assert 0 == hasty.decide(query().about(ada) | query().about(maths), COUNT).unwrap().state
        with pytest.raises(OperationalError, match="statement timeout"):
            hasty.append([subscribed()], nothing_about(query().about(maths)))
        with pytest.raises(OperationalError, match="statement timeout"):
            hasty.append("other", [subscribed(what=maths)], expected=NO_STREAM)
        with pytest.raises(OperationalError, match="statement timeout"):
            hasty.append([subscribed()], nothing_about(query().of(SampleSubscribed)))


@on_postgresql
def test_decisions_that_only_look_at_the_same_do_not_wait(engine: Engine, hasty: Store) -> None:
    """Many may depend on a thing that none of them changes; whoever changes it waits for them."""
    unit, maths = UnitOfWork(engine), course()
    with unit.begin():
        make_store(unit).append([subscribed()], nothing_about(query().about(maths))).unwrap()
        hasty.append([subscribed()], nothing_about(query().about(maths))).unwrap()
        with pytest.raises(OperationalError, match="statement timeout"):
            hasty.append([subscribed(what=maths)], nothing_about(query().about(course())))


@on_postgresql
def test_an_append_with_many_tags_locks_all_at_once(engine: Engine, hasty: Store) -> None:
    """More tags than a server has room for: the append waits for everybody, and everybody for it, with one lock."""
    unit = UnitOfWork(engine)
    many = [subscribed() for _ in range(33)]
    with unit.begin() as connection:
        make_store(unit).append("many", many, expected=NO_STREAM).unwrap()
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        assert 2 == connection.exec_driver_sql(held).scalar()  # the other says that the transaction appends
        with pytest.raises(OperationalError, match="statement timeout"):
            hasty.append("one", [subscribed()], expected=NO_STREAM)
    hasty.append("one", [subscribed()], expected=NO_STREAM).unwrap()
    assert 1 == hasty.decide(query().about(many[32].course_id), COUNT).unwrap().state


@on_postgresql
def test_no_two_appends_wait_for_each_other(engine: Engine) -> None:
    """All take their locks in one order, whatever the order of their tags: no transaction of one append is ended."""
    unit = UnitOfWork(engine)
    store, students, courses = make_store(unit), [student() for _ in range(6)], [course() for _ in range(6)]

    def append(seed: int) -> None:
        chosen = random.Random(seed)
        events = [SampleSubscribed(chosen.choice(students), chosen.choice(courses)) for _ in range(5)]
        guarded = query().about(chosen.choice(students)) | query().about(chosen.choice(courses))
        with unit.begin():  # in which a deadlock is raised
            if seed % 3:
                store.append(events, AppendCondition(guarded if seed % 9 else query(), after=10**6)).unwrap()
            else:
                store.append(f"stream-{seed}", events, expected=NO_STREAM).unwrap()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(append, range(ROUNDS * 5)))
    assert ROUNDS * 25 == store.decide(query(), COUNT).unwrap().state


@on_postgresql
def test_units_of_work_that_wait_for_each_other_are_told(engine: Engine) -> None:
    """With several appends in each there is no common order: one is ended with a ConflictError, the other stored."""
    unit, ada, ben = UnitOfWork(engine), student(), student()
    store, barrier = make_store(unit), Barrier(2)

    def append(pair: tuple[SampleStudentId, SampleStudentId]) -> bool:
        try:
            with unit.begin():
                store.append([subscribed(pair[0])], nothing_about(query().about(course()))).unwrap()
                barrier.wait()
                store.append([subscribed(pair[1])], nothing_about(query().about(course()))).unwrap()
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert [False, True] == sorted(pool.map(append, [(ada, ben), (ben, ada)]))
    assert 2 == store.decide(query(), COUNT).unwrap().state


@on_postgresql
def test_an_append_that_is_ended_for_another_is_done_again(engine: Engine) -> None:
    """Outside of a unit of work nobody sees the deadlock with a transaction of several appends."""
    unit, ada, ben = UnitOfWork(engine), student(), student()
    store = make_store(engine)
    low, high = sorted([ada, ben], key=lambda one: one.value)
    waiting: list[Future[Any]] = []  # Any: of two kinds of outcomes
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            try:
                with unit.begin() as connection:
                    connection.exec_driver_sql("SET LOCAL deadlock_timeout = '1min'")
                    make_store(unit).append("unit", [subscribed(ada)], expected=ANY_REVISION).unwrap()
                    both = [SampleSubscribed(low, course()), SampleSubscribed(high, course())]
                    waiting.append(pool.submit(store.append, both, nothing_about(query().about(course()))))
                    waiting.append(pool.submit(store.append, student(), both, expected=NO_STREAM))
                    wait_until_somebody_waits(engine)
                    make_store(unit).append("unit", [subscribed(ben)], expected=ANY_REVISION).unwrap()
            except ConflictError:
                pass  # the server ended this one
            assert all(isinstance(one.result(60), Success) for one in waiting)


# Streams


def test_conditions_race_for_a_stream_with_plain_appends(engine: Engine) -> None:
    """Events without a tag in common may go to one stream: revisions count on, and no append is lost."""
    store = make_store(engine)

    def append(number: int) -> None:
        if number % 2:
            store.append("stream", [subscribed(), subscribed()], expected=ANY_REVISION).unwrap()
        else:
            store.append(
                [subscribed(), subscribed()], nothing_about(query().about(student())), stream="stream"
            ).unwrap()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(append, range(ROUNDS)))
    assert list(range(1, 2 * ROUNDS + 1)) == [one.revision for one in store.read("stream")]


# Levels, and lost connections


@on_postgresql
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_condition_needs_to_see_what_is_committed(engine: Engine, level: str) -> None:
    """In a unit of work at a higher isolation level it would not: refused; outside it begins at READ COMMITTED."""
    unit, ada = UnitOfWork(engine.execution_options(isolation_level=level)), student()
    store = make_store(unit)
    condition = nothing_about(query().about(ada))
    store.append([subscribed(ada)], condition).unwrap()
    assert isinstance(store.append([subscribed(ada)], condition).failure(), ConditionConflict)
    with pytest.raises(RuntimeError, match="append: expected READ COMMITTED for a condition"), unit.begin():
        store.append([subscribed()], nothing_about(query().about(student())))
    with unit.begin():
        store.append("plain", [subscribed()], expected=NO_STREAM).unwrap()
        assert 1 == store.decide(query().about(ada), COUNT).unwrap().state
        with pytest.raises(RuntimeError, match="decide: expected a unit of work at READ COMMITTED"):
            store.decide(query(), COUNT)


@on_postgresql
@pytest.mark.parametrize("forward", [True, False], ids=["after", "before"])
def test_a_connection_lost_while_committing(database: Database, engine: Engine, *, forward: bool) -> None:
    """Nobody knows if it was stored, and it is said so; the same append again is stored once."""
    given, ada = [subscribed()], student()
    condition = make_store(engine).decide(query().about(ada), COUNT).unwrap().condition
    with cutting_proxy(database.url.host or "127.0.0.1", database.url.port or 5432) as proxy:
        proxy.trigger, proxy.forward = b"INSERT INTO", forward
        cut = make_engine(database.url.set(host="127.0.0.1", port=proxy.port))
        cut.connect().close()  # only the first connection shows which isolation level is the usual one
        with pytest.raises(OutcomeUnknownError):
            make_store(cut).append(given, condition)
        cut.dispose()
    store = make_store(engine)
    store.append(given, condition).unwrap()
    assert given == [one.event for one in store.read_all() if isinstance(one, RecordedEvent)]


@on_postgresql
async def test_async_decisions_about_one_thing_are_stored_one_by_one(database: Database) -> None:
    """The same with async connections: of all at once each is stored in the end, on the state that it has seen."""
    async with database.async_engine(METADATA, pool_size=WRITERS) as engine:
        store = AsyncSqlEventStore(AsyncUnitOfWork(engine), EVENTS, SAMPLES, tags=TAGS)
        maths = course()

        async def subscribe() -> int:
            while True:
                decision = (await store.decide(query().about(maths), COUNT)).unwrap()
                if isinstance(await store.append([subscribed(what=maths)], decision.condition), Success):
                    return decision.state

        assert list(range(12)) == sorted(await asyncio.gather(*(subscribe() for _ in range(12))))
        assert 12 == (await store.decide(query().of(DomainEvent), COUNT)).unwrap().state
