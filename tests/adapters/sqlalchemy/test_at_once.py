"""Calls that are their own transaction on PostgreSQL: one statement, and one trip to the server."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from attrs import frozen
from databases import CODEC, METADATA, OUTBOX, TASKS, Database, new_database, stored_messages, stored_versions
from proxies import CuttingProxy, cutting_proxy
from returns.result import Failure, Result, Success
from sqlalchemy import event
from sqlalchemy.exc import DataError, IntegrityError, InternalError, OperationalError, ProgrammingError

from domainkit import AggregateNotFoundError, AggregateRoot, AggregateVersionConflictError, DomainEvent, Uuid
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    Outbox,
    RowMapper,
    SqlCrudRepository,
    UnitOfWork,
    make_async_engine,
    make_engine,
)
from domainkit.causation import is_stored, storing
from domainkit.testing import SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
QUIET = Outbox(OUTBOX.table, CODEC, wakes=False)
"""An outbox without a thread that announces messages beside the calls, which would be counted too."""

AsyncTasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId]


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Database]:
    """Return a new database on PostgreSQL."""
    with new_database("postgresql", tmp_path) as database:
        yield database


@pytest.fixture
def engine(postgresql: Database) -> Iterator[sa.Engine]:
    """Return an engine with a connection, and so with a known isolation level; the tables are there."""
    with postgresql.engine(METADATA) as made:
        yield made


@pytest.fixture
def tasks(engine: sa.Engine) -> Tasks:
    """Return a repository with an outbox."""
    return Tasks(SampleTask, TASKS, UnitOfWork(engine, outbox=OUTBOX))


@pytest.fixture
def proxy(postgresql: Database) -> Iterator[CuttingProxy]:
    """Return a proxy in front of the server, which counts."""
    with cutting_proxy(postgresql.url.host or "127.0.0.1", postgresql.url.port or 5432) as made:
        yield made


def trips_of(proxy: CuttingProxy, call: Callable[[], Result[object, object]]) -> int:
    """Return the trips of a call that succeeds."""
    before = proxy.trips
    call().unwrap()
    return proxy.trips - before


def sent(engine: sa.Engine) -> list[str]:
    """Return a list that gets how each statement begins from now on."""
    found: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        found.append(" ".join(statement.split()[:2]))

    event.listen(engine, "before_cursor_execute", note)
    return found


_WARM = 8
"""Calls after which the driver has prepared the statement: before that, it takes a trip more once."""


def test_a_call_is_one_trip(postgresql: Database, engine: sa.Engine, proxy: CuttingProxy) -> None:
    """Save, update and both kinds of removal go to the server once, with one event, with several, and without."""
    through = make_engine(postgresql.url.set(host="127.0.0.1", port=proxy.port))
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(through, outbox=QUIET))
    for count in (0, 1, 3):
        for _ in range(_WARM):
            task = tasks.save(with_events(count)).unwrap()
            task = tasks.update(task.record(*events(count))).unwrap()
            tasks.remove_aggregate(task.record(*events(count))).unwrap()
            tasks.remove(tasks.save(with_events(count)).unwrap().aggregate_id).unwrap()
        new = with_events(count)
        assert 1 == trips_of(proxy, partial(tasks.save, new))
        changed = new.clear_domain_events().record(*events(count))
        assert 1 == trips_of(proxy, partial(tasks.update, changed))
        stored = tasks.retrieve(new.aggregate_id).unwrap().record(*events(count))
        assert 1 == trips_of(proxy, partial(tasks.remove_aggregate, stored))
        other = tasks.save(with_events(count)).unwrap()
        assert 1 == trips_of(proxy, partial(tasks.remove, other.aggregate_id))
    assert {} == stored_versions(engine)
    through.dispose()


async def test_async_a_call_is_one_trip(postgresql: Database, engine: sa.Engine, proxy: CuttingProxy) -> None:
    """The same with async connections."""
    through = make_async_engine(postgresql.url.set(host="127.0.0.1", port=proxy.port))
    tasks = AsyncTasks(SampleTask, TASKS, AsyncUnitOfWork(through, outbox=QUIET))
    for _ in range(_WARM):
        task = (await tasks.save(with_events(2))).unwrap()
        (await tasks.update(task.record(*events(2)))).unwrap()
    before = proxy.trips
    task = (await tasks.save(with_events(2))).unwrap()
    assert 1 == proxy.trips - before
    (await tasks.update(task.record(*events(2)))).unwrap()
    assert 2 == proxy.trips - before
    assert isinstance((await tasks.update(task)).failure(), AggregateVersionConflictError)
    assert 4 * (_WARM + 1) == len(stored_messages(engine))
    await through.dispose()


def events(count: int) -> list[DomainEvent]:
    """Return new events."""
    return [DomainEvent() for _ in range(count)]


def with_events(count: int) -> SampleTask:
    """Return a new aggregate that has recorded so many events."""
    return SampleTask.create("Buy milk").clear_domain_events().record(*events(count))


# Answers


def test_events_are_stored_once_and_in_order(engine: sa.Engine, tasks: Tasks) -> None:
    """An update leaves out events that are in the outbox already; a refused call stores none."""
    task = with_events(20)
    saved = tasks.save(task).unwrap()
    more = events(20)
    assert isinstance(tasks.save(task.record(*more)), Failure)
    tasks.update(task.record(*more)).unwrap()  # not the aggregate that `save` returned
    assert [*task.domain_events, *more] == stored_messages(engine)

    refused = tasks.update(saved.record(*events(1))).failure()
    assert isinstance(refused, AggregateVersionConflictError)
    assert "2" in refused.detail()
    assert isinstance(tasks.remove_aggregate(saved.record(*events(1))).failure(), AggregateVersionConflictError)
    assert isinstance(tasks.update(with_events(1)).failure(), AggregateNotFoundError)
    assert 40 == len(stored_messages(engine))


def test_an_answer_takes_a_second_statement_only_if_refused(engine: sa.Engine, tasks: Tasks) -> None:
    """The stored version is asked for after a refusal."""
    task = tasks.save(with_events(1)).unwrap()
    found = sent(engine)
    tasks.update(task.record(*events(1))).unwrap()
    tasks.update(task.record(*events(1))).failure()
    assert ["WITH made", "WITH made", "SELECT tasks.version"] == found


def test_another_unit_of_work_learns_that_events_are_stored(tasks: Tasks) -> None:
    """A unit of work of another database, around the call, is told which messages a relay will deliver."""
    task = with_events(1)
    with storing(lambda: True):
        tasks.save(task).unwrap()
        assert is_stored(task.domain_events[0])


def test_schemas_are_translated(postgresql: Database, engine: sa.Engine) -> None:
    """An engine with a map of schemas writes into those of the map, by one statement too."""
    schema = f"moved_{uuid4().hex}"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    try:
        with postgresql.engine(execution_options={"schema_translate_map": {None: schema}}) as moved:
            METADATA.create_all(moved)
            tasks = Tasks(SampleTask, TASKS, UnitOfWork(moved, outbox=OUTBOX))
            found = sent(moved)
            task = tasks.save(with_events(2)).unwrap()
            assert ["WITH made"] == found
            assert {str(task.aggregate_id): 1} == stored_versions(moved)
            assert 2 == len(stored_messages(moved))
        assert {} == stored_versions(engine)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))


# Errors


def test_an_error_of_the_server_is_definite(engine: sa.Engine, tasks: Tasks) -> None:
    """A constraint that is checked at the end of the transaction stores nothing, and says why."""
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " RAISE EXCEPTION 'refused at the end' USING ERRCODE = '23514'; END $$"
            )
        )
        connection.execute(
            sa.text(
                "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    with pytest.raises(IntegrityError, match="refused at the end"):
        tasks.save(SampleTask.create("quick"))
    assert {} == stored_versions(engine)
    assert [] == stored_messages(engine)


def test_a_canceled_statement_is_definite(postgresql: Database, engine: sa.Engine) -> None:
    """A statement that the server ends since it takes too long has stored nothing."""
    url = postgresql.url.update_query_dict({"options": f"{postgresql.url.query['options']} -cstatement_timeout=200"})
    limited = make_engine(url)
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(limited, outbox=OUTBOX))
    tasks.save(with_events(1)).unwrap()
    with engine.begin() as connection:
        connection.execute(sa.text("LOCK TABLE outbox"))
        with pytest.raises(OperationalError, match="statement timeout"):
            tasks.save(with_events(1))
    assert 1 == len(stored_versions(engine)) == len(stored_messages(engine))
    limited.dispose()


# Engines and tables for which it isn't the same


@pytest.mark.parametrize(
    "options",
    [
        {"isolation_level": "REPEATABLE READ"},
        {"execution_options": {"isolation_level": "SERIALIZABLE"}},
        {"connect_args": {"options": "-cdefault_transaction_isolation=serializable"}},
    ],
    ids=["engine", "options", "server"],
)
def test_another_isolation_level_is_kept(postgresql: Database, engine: sa.Engine, options: dict[str, Any]) -> None:
    """The call is a transaction of that level: a statement alone would have the usual one."""
    with engine.connect() as connection:
        search = connection.scalar(sa.text("SELECT current_schema()"))
    given = dict(options)
    if "connect_args" in given:
        given["connect_args"] = {"options": f"-csearch_path={search} -cdefault_transaction_isolation=serializable"}
    url = postgresql.url if "connect_args" not in given else postgresql.url.difference_update_query(["options"])
    other = make_engine(url, **given)
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(other, outbox=OUTBOX))
    tasks.save(with_events(1)).unwrap()
    found = sent(other)
    tasks.save(with_events(1)).unwrap()
    assert ["INSERT INTO", "INSERT INTO"] == found
    other.dispose()


def test_a_read_only_engine_refuses(engine: sa.Engine) -> None:
    """An engine whose transactions are read-only stays so."""
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine.execution_options(postgresql_readonly=True), outbox=OUTBOX))
    with pytest.raises(InternalError):
        tasks.save(with_events(1))
    assert {} == stored_versions(engine)


@frozen
class Page(AggregateRoot[Uuid]):
    """An aggregate with a column of its own."""

    title: str


class Mapper(RowMapper[Page]):
    """Stores the title, and other columns on demand."""

    def __init__(self, **more: object) -> None:
        self._more = more

    def to_row(self, aggregate: Page) -> Mapping[str, object]:
        """Return the columns."""
        return {"title": aggregate.title, **self._more}

    def from_row(self, row: sa.RowMapping) -> Page:
        """Return the aggregate."""
        return Page(row["title"], aggregate_id=Uuid(row["id"]), aggregate_version=row["version"])


def pages(metadata: sa.MetaData, *columns: sa.Column[object]) -> sa.Table:
    """Return a table of pages."""
    return sa.Table(
        "pages",
        metadata,
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text()),
        *columns,
    )


def test_columns_of_a_mapper_are_one_statement(engine: sa.Engine) -> None:
    """A table with the columns of a mapper, and with a default of the server, is written at once."""
    metadata = sa.MetaData()
    table = pages(metadata, sa.Column("made", sa.Integer(), server_default="7"))
    metadata.create_all(engine)
    unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
    repository = SqlCrudRepository[Page](Page, table, unit_of_work, mapper=Mapper(), order_by=table.c.title)
    found = sent(engine)
    page = repository.save(Page("One").record(DomainEvent())).unwrap()
    repository.update(page.record(DomainEvent())).unwrap()
    assert ["WITH made", "WITH made"] == found
    assert Success(2) == repository.retrieve(page.aggregate_id).map(lambda one: one.aggregate_version)
    assert 2 == len(stored_messages(engine))


@pytest.mark.parametrize(
    ("value", "raised"), [(object(), ProgrammingError), ([1, "a"], DataError)], ids=["no form", "no common form"]
)
def test_a_value_that_the_driver_cannot_write_is_no_doubt(engine: sa.Engine, value: object, raised: Any) -> None:
    """The driver sent nothing, so nothing is stored: the error is that of the driver, and the connection stays."""
    metadata = sa.MetaData()
    table = pages(metadata, sa.Column("made", UserDefined()))
    metadata.create_all(engine)
    unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
    repository = SqlCrudRepository[Page](Page, table, unit_of_work, mapper=Mapper(made=value), order_by=table.c.title)
    with pytest.raises(raised):
        repository.save(Page("One").record(DomainEvent()))
    assert [] == stored_messages(engine)


class UserDefined(sa.types.UserDefinedType[object]):
    """A type whose values go to the driver as they are."""

    def get_col_spec(self, **_: Any) -> str:  # Any: as SQLAlchemy says
        """Return the type in SQL."""
        return "text"


def test_columns_that_python_fills_are_filled(engine: sa.Engine) -> None:
    """A default or an onupdate of SQLAlchemy is computed as always, unless the mapper sets the column."""
    metadata = sa.MetaData()
    table = pages(metadata, sa.Column("made", sa.Integer(), default=lambda: 5, onupdate=lambda: 6))
    metadata.create_all(engine)
    unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
    repository = SqlCrudRepository[Page](Page, table, unit_of_work, mapper=Mapper(), order_by=table.c.title)
    setting = SqlCrudRepository[Page](Page, table, unit_of_work, mapper=Mapper(made=9), order_by=table.c.title)

    def made() -> list[object]:
        with engine.connect() as connection:
            return [*connection.scalars(sa.select(table.c.made).order_by(table.c.made))]

    page = repository.save(Page("One").record(DomainEvent())).unwrap()
    assert [5] == made()
    repository.update(page.record(DomainEvent())).unwrap()
    assert [6] == made()
    found = sent(engine)
    setting.save(Page("Two").record(DomainEvent())).unwrap()
    assert ["WITH made"] == found
    assert [6, 9] == made()


def test_a_read_keeps_the_isolation_level_of_its_engine(engine: sa.Engine) -> None:
    """If the engine has a higher level than the usual one, a read is a transaction of that level."""
    strict = engine.execution_options(isolation_level="SERIALIZABLE")
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(strict))
    task = tasks.save(SampleTask.create("Buy milk").clear_domain_events()).unwrap()
    found: list[str] = []

    @event.listens_for(strict, "before_cursor_execute")
    def see(connection: sa.Connection, *_: Any) -> None:
        found.append(connection.get_isolation_level())

    assert Success(task) == tasks.retrieve(task.aggregate_id)
    assert ["SERIALIZABLE"] == found


@frozen
class _Priced(AggregateRoot):
    price: str = ""


@pytest.mark.parametrize("name", ["price (EUR)", "50%", "price:all", "whole price", "shop.price", "price[1]"])
def test_columns_of_any_name(engine: sa.Engine, name: str) -> None:
    """A column may have a name with characters that are escaped in the names of parameters."""
    table = sa.Table(
        "priced",
        sa.MetaData(),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column(name, sa.Text, nullable=False),
    )
    table.create(engine)

    class Mapper(RowMapper[_Priced]):
        def to_row(self, aggregate: _Priced) -> Mapping[str, object]:
            return {name: aggregate.price}

        def from_row(self, row: Any) -> _Priced:  # Any: a row of any table
            return _Priced(row[name], aggregate_id=Uuid(row["id"]), aggregate_version=row["version"])

    unit = UnitOfWork(engine, outbox=OUTBOX)
    priced = SqlCrudRepository[_Priced, Uuid](_Priced, table, unit, mapper=Mapper(), order_by=table.c.id)
    saved = priced.save(_Priced("3").record(DomainEvent())).unwrap()
    updated = priced.update(saved.record(DomainEvent()).record(DomainEvent())).unwrap()
    assert updated == priced.retrieve(saved.aggregate_id).unwrap()
    assert 3 == len(stored_messages(engine))
