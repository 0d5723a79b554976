"""Listeners of transactions: the application sets a tenant at their begin, or counts commits, and misses none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from databases import CODEC, Database, new_database
from returns.result import Success
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import InternalError
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import NO_STREAM, AppendCondition, DomainEvent, MessageCodec, query
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Outbox,
    SqlCrudRepository,
    SqlEventStore,
    UnitOfWork,
    aggregate_table,
    event_tags_table,
    events_table,
    outbox_table,
)
from domainkit.testing import SampleCourseId, SampleStudentId, SampleSubscribed, SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]

METADATA = sa.MetaData()
TASKS, SENT = aggregate_table(METADATA, "tasks"), outbox_table(METADATA)
EVENTS, TAGS = events_table(METADATA), event_tags_table(METADATA)
SAMPLES = MessageCodec.of(SampleSubscribed)
OUTBOX, OUTBOX_OF_SAMPLES = Outbox(SENT, CODEC, wakes=False), Outbox(SENT, SAMPLES, wakes=False)

SECURITY = Path(__file__).parents[3] / "docs" / "how-to" / "security.md"


def subscribed() -> tuple[SampleSubscribed, str, AppendCondition]:
    """Return an event about a new student, a stream for it, and the condition that nothing about them was stored."""
    who = SampleStudentId.v4()
    return SampleSubscribed(who, SampleCourseId.v4()), str(who.value), AppendCondition(query().about(who), after=0)


def calls_of(engine: Engine) -> dict[str, Callable[[], object]]:
    """Return calls outside of a unit of work: each is its own transaction."""
    tasks, plain = (Tasks(SampleTask, TASKS, UnitOfWork(engine, outbox=outbox)) for outbox in (OUTBOX, None))
    known = tasks.save(SampleTask.create("Known")).unwrap()
    stores = [SqlEventStore(UnitOfWork(engine, outbox=one), EVENTS, SAMPLES, tags=TAGS, wakes=False)
              for one in (None, OUTBOX_OF_SAMPLES)]  # fmt: skip

    def append(number: int) -> object:
        one, stream, _ = subscribed()
        return stores[number].append(stream, [one], expected=NO_STREAM).unwrap()

    def append_if(number: int) -> object:
        one, _, condition = subscribed()
        return stores[number].append([one], condition).unwrap()

    return {
        "save": lambda: tasks.save(SampleTask.create("New")).unwrap(),
        "save without an outbox": lambda: plain.save(SampleTask.create("New").clear_domain_events()).unwrap(),
        "update": lambda: tasks.update(known.record(DomainEvent(), DomainEvent())).unwrap(),
        "append": lambda: append(0),
        "append with an outbox": lambda: append(1),
        "append under a condition": lambda: append_if(0),
        "append under a condition with an outbox": lambda: append_if(1),
    }


async def call_all(engine: AsyncEngine) -> None:
    """Do the same by async connections."""
    tasks = AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(engine, outbox=OUTBOX))
    known = (await tasks.save(SampleTask.create("Known"))).unwrap()
    (await tasks.update(known.record(DomainEvent(), DomainEvent()))).unwrap()
    for outbox in (None, OUTBOX_OF_SAMPLES):
        store = AsyncSqlEventStore(AsyncUnitOfWork(engine, outbox=outbox), EVENTS, SAMPLES, tags=TAGS, wakes=False)
        one, stream, _ = subscribed()
        (await store.append(stream, [one], expected=NO_STREAM)).unwrap()
        other, _, condition = subscribed()
        (await store.append([other], condition)).unwrap()


@contextmanager
def listening(target: Any, name: str, listener: Callable[..., object]) -> Iterator[None]:
    """Listen to an event in the `with` block."""
    event.listen(target, name, listener)
    try:
        yield
    finally:
        event.remove(target, name, listener)


def set_tenant(connection: Connection) -> None:
    """Set the tenant for the transaction that begins."""
    connection.exec_driver_sql("SET LOCAL app.tenant = 'north'")


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Database]:
    """Return a PostgreSQL whose rows have a tenant, that of the transaction which stores them."""
    with new_database("postgresql", tmp_path) as made, made.engine(METADATA) as engine:
        with engine.begin() as connection:
            for table in METADATA.sorted_tables:
                connection.exec_driver_sql(
                    f"ALTER TABLE {table.name} ADD tenant text DEFAULT nullif(current_setting('app.tenant', true), '')"
                )
        yield made


def tenants(database: Database) -> dict[str, list[object]]:
    """Return the tenants of the rows of each table."""
    with database.engine() as engine, engine.connect() as connection:
        return {
            table.name: [*connection.exec_driver_sql(f"SELECT DISTINCT tenant FROM {table.name}").scalars()]
            for table in METADATA.sorted_tables
        }


NORTH = {table.name: ["north"] for table in METADATA.sorted_tables}


@pytest.mark.parametrize("target", [None, Engine, Connection], ids=["engine", "engines", "connections"])
def test_a_tenant_that_a_listener_sets_is_that_of_all_rows(postgresql: Database, target: object) -> None:
    """SET LOCAL at the begin of a transaction holds for each call, whoever listens: an engine, or the whole class."""
    with postgresql.engine() as engine, listening(target or engine, "begin", set_tenant):
        for call in calls_of(engine).values():
            call()
    assert NORTH == tenants(postgresql)


def test_a_listener_that_comes_late_is_heard(postgresql: Database) -> None:
    """The calls after it are as if it had been there when the unit of work was made."""
    with postgresql.engine() as engine:
        calls = calls_of(engine)
        for call in calls.values():
            call()
        with engine.begin() as connection:
            for table in METADATA.sorted_tables:
                connection.exec_driver_sql(f"UPDATE {table.name} SET tenant = 'north'")
        with listening(engine, "begin", set_tenant):
            for what in calls.keys() - {"update"}:
                calls[what]()
    assert NORTH == tenants(postgresql)


async def test_a_tenant_is_that_of_all_rows_of_async_calls(postgresql: Database) -> None:
    """The same with async connections."""
    async with postgresql.async_engine() as engine:
        with listening(engine.sync_engine, "begin", set_tenant):
            await call_all(engine)
    assert NORTH == tenants(postgresql)


async def test_row_level_security_by_a_listener(postgresql: Database) -> None:
    """The example of the page on security: a tenant can't read, find or change what is another's."""
    page = SECURITY.read_text("utf-8").partition("## Tenants")[2]
    example = page.partition("```python\n")[2].partition("```")[0]
    example = example.replace(
        "postgresql://tasks@db.internal/tasks", postgresql.url.render_as_string(hide_password=False)
    )
    given: dict[str, Any] = {}
    exec(example, given)  # it stands on our page
    engine: Engine = given["engine"]
    with restricted(postgresql) as role:

        @event.listens_for(engine, "begin")
        def restrict(connection: Connection) -> None:
            connection.exec_driver_sql(f"SET LOCAL ROLE {role}")

        tasks, tenant = Tasks(SampleTask, TASKS, UnitOfWork(engine)), given["tenant"]
        tenant.set("north")
        with engine.connect():
            pass
        task = tasks.save(SampleTask.create("Buy milk").clear_domain_events()).unwrap()
        assert Success(task) == tasks.retrieve(task.aggregate_id)
        tenant.set("south")
        assert not isinstance(tasks.retrieve(task.aggregate_id), Success)
        assert not isinstance(tasks.update(task), Success)
        assert Success(()) == tasks.retrieve_all() == tasks.find()
        assert [] == [*tasks.stream()]
        engine.dispose()


@contextmanager
def restricted(database: Database) -> Iterator[str]:
    """Let a role see only the tasks of its tenant, in the `with` block."""
    with database.engine() as engine:
        with engine.begin() as connection:
            schema = connection.scalar(sa.text("SELECT current_schema()"))
            role = f"role_of_{schema}"
            for one in (
                f"CREATE ROLE {role}",
                f"GRANT USAGE ON SCHEMA {schema} TO {role}",
                f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}",
                f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
                "ALTER TABLE tasks ENABLE ROW LEVEL SECURITY",
                "CREATE POLICY own ON tasks USING (tenant = current_setting('app.tenant', true))",
            ):
                connection.exec_driver_sql(one)
        yield role
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")


@pytest.mark.parametrize("name", ["begin", "commit"])
def test_each_call_is_a_transaction_for_a_listener(database: Database, name: str) -> None:
    """A listener that counts transactions, or their commits, gets one of each call, on both databases."""
    with database.engine(METADATA) as engine:
        calls, counts = calls_of(engine), dict[str, int]()
        for what, call in calls.items():
            told: list[object] = []
            with listening(engine, name, told.append):
                call()
            counts[what] = len(told)
    assert dict.fromkeys(calls, 1) == counts


def test_a_read_is_in_the_transaction_of_a_listener(database: Database) -> None:
    """A statement that reads alone has a BEGIN before it too, which the listener finds done on SQLite."""
    with database.engine(METADATA) as engine:
        tasks, found = Tasks(SampleTask, TASKS, UnitOfWork(engine)), list[object]()
        task = tasks.save(SampleTask.create("Known").clear_domain_events()).unwrap()

        def look(connection: Connection) -> None:
            connection.exec_driver_sql("SELECT 1")
            driver: Any = connection.connection.driver_connection
            found.append(driver.in_transaction if database.kind == "sqlite" else not driver.autocommit)

        with listening(engine, "begin", look):
            assert Success(task) == tasks.retrieve(task.aggregate_id)
            assert Success((task,)) == tasks.retrieve_all() == tasks.find()
    assert [True] * 3 == found


@pytest.mark.parametrize("with_tags", [False, True])
def test_a_read_only_engine_refuses_appends(postgresql: Database, *, with_tags: bool) -> None:
    """An engine whose transactions are read-only appends nothing, with a condition or without."""
    with postgresql.engine() as engine:
        read_only, (one, stream, condition) = engine.execution_options(postgresql_readonly=True), subscribed()
        store = SqlEventStore(UnitOfWork(read_only), EVENTS, SAMPLES, tags=TAGS, wakes=False)
        with pytest.raises(InternalError, match="read-only"):
            _ = store.append([one], condition) if with_tags else store.append(stream, [one], expected=NO_STREAM)
        assert () == store.read(stream)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_a_condition_at_a_higher_level(postgresql: Database, level: str) -> None:
    """An engine of a higher level, with a listener: an append is of that level, but for one with a condition."""
    found: list[str] = []

    def look(connection: Connection) -> None:
        set_tenant(connection)
        found.append(str(connection.exec_driver_sql("SHOW transaction_isolation").scalar()).upper())

    with postgresql.engine(isolation_level=level) as engine, listening(engine, "begin", look):
        store = SqlEventStore(UnitOfWork(engine), EVENTS, SAMPLES, tags=TAGS, wakes=False)
        one, _, condition = subscribed()
        store.append([one], condition).unwrap()
        other, stream, _ = subscribed()
        store.append(stream, [other], expected=NO_STREAM).unwrap()
    assert ["READ COMMITTED", level] == found
    found.clear()
    async with postgresql.async_engine(isolation_level=level) as async_engine:
        with listening(async_engine.sync_engine, "begin", look):
            async_store = AsyncSqlEventStore(AsyncUnitOfWork(async_engine), EVENTS, SAMPLES, tags=TAGS, wakes=False)
            one, _, condition = subscribed()
            (await async_store.append([one], condition)).unwrap()
    assert ["READ COMMITTED"] == found
