"""Promises of a SQL repository beyond the contract: the rows it stores, its refusals, and their texts."""

import json
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

import attrs
import pytest
from attrs import frozen
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from databases import METADATA, OUTBOX, TASKS, Database, stored_messages, stored_versions
from returns.result import Failure, Success
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    event,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateRoot,
    AggregateVersionConflictError,
    Attributes,
    DomainEvent,
    InmemoryCrudRepository,
    UnknownMessage,
    UnsupportedTypeError,
    handling,
    make_converter,
    values,
)
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    RowMapper,
    SqlCrudRepository,
    StoredStateError,
    UnitOfWork,
    aggregate_table,
    make_engine,
)
from domainkit.testing import SampleCreateTask, SampleTask, SampleTaskId, SampleTitle

T = TypeVar("T")
Tasks = SqlCrudRepository[SampleTask, SampleTaskId]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA) as made:
        yield made


@pytest.fixture
def tasks(engine: Engine) -> Tasks:
    """Return a repository with an outbox."""
    return Tasks(SampleTask, TASKS, UnitOfWork(engine, outbox=OUTBOX))


def new_task() -> SampleTask:
    """Return a task that has recorded one event."""
    return SampleTask.create("Buy milk")


def run_statements(engine: Engine) -> list[str]:
    """Return a list that grows with each statement that the engine sends."""
    found: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def see(_: Any, __: Any, statement: str, *___: Any) -> None:
        found.append(statement)

    return found


def test_a_save_with_one_event_is_two_statements(engine: Engine, tasks: Tasks) -> None:
    """State first, outbox second, and nothing else is sent but the transaction's begin and end; or all at once."""
    tasks.save(new_task()).unwrap()
    found = run_statements(engine)
    tasks.save(new_task()).unwrap()

    assert statements(engine, "INSERT INTO tasks", "INSERT INTO outbox") == [" ".join(one.split()[:3]) for one in found]


def test_a_read_of_its_own_needs_no_transaction(engine: Engine, tasks: Tasks) -> None:
    """A single statement sees one snapshot anyhow: there is no BEGIN, and so one round trip to PostgreSQL."""
    task = tasks.save(new_task()).unwrap()
    found: list[bool] = []

    @event.listens_for(engine, "before_cursor_execute")
    def see(connection: Connection, *_: Any) -> None:
        driver: Any = connection.connection.dbapi_connection
        found.append(driver.in_transaction if engine.dialect.name == "sqlite" else not driver.autocommit)

    assert Success(task) == tasks.retrieve(task.aggregate_id)
    assert Success((task,)) == tasks.retrieve_all()
    assert [task] == [*tasks.stream()]
    assert [False] * 3 == found


def test_an_update_with_one_event_is_two_statements(engine: Engine, tasks: Tasks) -> None:
    """State first, outbox second; or both at once."""
    task = tasks.save(new_task()).unwrap().record(DomainEvent())
    found = run_statements(engine)
    tasks.update(task).unwrap()

    assert statements(engine, "UPDATE tasks SET", "INSERT INTO outbox") == [" ".join(one.split()[:3]) for one in found]


def statements(engine: Engine, *separate: str) -> list[str]:
    """Return how the statements of a call begin: on PostgreSQL they are one."""
    return ["WITH made AS"] if engine.dialect.name == "postgresql" else [*separate]


def test_events_stand_in_the_outbox_once_they_are_saved(engine: Engine, tasks: Tasks) -> None:
    """Save, update and remove_aggregate store what was recorded, in its order, and return an aggregate without it."""
    first, second, third = (DomainEvent() for _ in range(3))
    saved = tasks.save(SampleTask(SampleTitle("Buy milk")).record(first)).unwrap()
    updated = tasks.update(saved.record(second, third)).unwrap()
    last = DomainEvent()
    removed = tasks.remove_aggregate(updated.record(last)).unwrap()

    assert [()] * 3 == [one.domain_events for one in (saved, updated, removed)]
    assert [first, second, third, last] == stored_messages(engine)
    assert {} == stored_versions(engine)


def test_events_have_the_id_of_their_aggregate_as_key(engine: Engine, tasks: Tasks) -> None:
    """A relay keeps the order of messages with one key: that of an aggregate's versions."""
    task = tasks.save(new_task()).unwrap()
    tasks.update(task.record(DomainEvent())).unwrap()

    with engine.connect() as connection:
        keys = connection.scalars(select(OUTBOX.table.c.ordering_key)).all()
    assert [str(task.aggregate_id)] * 2 == keys


def test_an_event_that_was_stored_is_not_stored_again(engine: Engine, tasks: Tasks) -> None:
    """The aggregate given to save still has its events: if it is saved again they are stored once."""
    task = new_task()
    tasks.save(task).unwrap()
    tasks.update(task.record(DomainEvent(), DomainEvent())).unwrap()

    assert 3 == len(stored_messages(engine))


def test_without_an_outbox_the_aggregate_keeps_its_events(engine: Engine) -> None:
    """Nobody took them over: they are left to the caller, after save, update and remove_aggregate."""
    tasks, task = Tasks(SampleTask, TASKS, UnitOfWork(engine)), new_task()
    saved = tasks.save(task).unwrap()
    updated = tasks.update(saved).unwrap()

    assert [task.domain_events] * 2 == [saved.domain_events, updated.domain_events]
    assert Success(updated) == tasks.remove_aggregate(updated)
    assert task.domain_events == updated.domain_events
    assert [] == stored_messages(engine)


def test_what_is_refused_stores_no_events(engine: Engine, tasks: Tasks) -> None:
    """A Failure stores nothing: neither state nor events."""
    task = tasks.save(new_task()).unwrap()
    known = stored_messages(engine)
    stale = attrs.evolve(task, aggregate_version=5).record(DomainEvent())
    missing = new_task()

    assert isinstance(tasks.save(task.record(DomainEvent())).failure(), AggregateAlreadyExistError)
    assert isinstance(tasks.update(stale).failure(), AggregateVersionConflictError)
    assert isinstance(tasks.update(missing).failure(), AggregateNotFoundError)
    assert isinstance(tasks.remove_aggregate(stale).failure(), AggregateVersionConflictError)
    assert isinstance(tasks.remove_aggregate(missing).failure(), AggregateNotFoundError)
    assert known == stored_messages(engine)
    assert {str(task.aggregate_id): 1} == stored_versions(engine)


def test_a_conflict_names_the_stored_version(tasks: Tasks) -> None:
    """The error says which version is stored, which was expected, and where."""
    task = tasks.save(new_task()).unwrap()
    tasks.update(task).unwrap()

    expected = AggregateVersionConflictError(task.aggregate_id, 1, 2, "SqlCrudRepository")
    assert Failure(expected) == tasks.update(task)


def test_errors_name_repository_and_table(engine: Engine) -> None:
    """Errors have the name that was given."""
    tasks, task = Tasks(SampleTask, TASKS, UnitOfWork(engine), repository_name="board"), new_task()
    tasks.save(task).unwrap()

    assert Failure(AggregateAlreadyExistError(task.aggregate_id, "board", "tasks")) == tasks.save(task)


def test_id_and_version_stand_in_their_columns_alone(engine: Engine, tasks: Tasks) -> None:
    """The state holds neither of them, nor the recorded events; it is what `make_converter()` writes else."""
    task = new_task()
    tasks.save(task).unwrap()
    with engine.connect() as connection:
        row = connection.execute(select(TASKS)).one()
    wanted = make_converter().unstructure(task)
    del wanted["aggregate_id"], wanted["aggregate_version"]

    assert (task.aggregate_id.value, 1) == (row.id, row.version)
    assert wanted == json.loads(row.state)


@pytest.mark.parametrize("converter", [None, make_converter()], ids=["wire", "converter"])
def test_a_state_of_an_older_class_is_read(engine: Engine, converter: Converter | None) -> None:
    """A field with a default may be absent, and one that the class has no more is ignored."""
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine), converter=converter)
    task = SampleTask(SampleTitle("Buy milk"))
    state = '{"title": "Buy milk", "color": "green"}'
    with engine.begin() as connection:
        connection.execute(insert(TASKS).values(id=task.aggregate_id.value, version=1, state=state))

    assert Success(task) == tasks.retrieve(task.aggregate_id)


SECRET = "s3cret"


@pytest.mark.parametrize(
    ("state", "paths"),
    [
        ('{"title": 5, "steps": ["", "s3cret", 7]}', ["$.title", "$.steps[0]", "$.steps[2]"]),
        ('{"title": "s3cret", "reward": "s3cret"}', ["$.reward"]),
        ('{"done": "s3cret"}', ["$.title", "$.done"]),
        ("s3cret", ["$"]),
        ('["s3cret"]', ["$"]),
        ("[" * 100_000, ["$"]),
    ],
)
@pytest.mark.parametrize("converter", [None, make_converter()], ids=["wire", "converter"])
def test_a_state_that_cannot_be_read_is_told(
    engine: Engine, converter: Converter | None, state: str, paths: list[str]
) -> None:
    """The error names table, id and each path, and never a value; for one aggregate and for all of them."""
    tasks, task_id = Tasks(SampleTask, TASKS, UnitOfWork(engine), converter=converter), SampleTaskId.v4()
    with engine.begin() as connection:
        connection.execute(insert(TASKS).values(id=task_id.value, version=1, state=state))

    for read in (lambda: tasks.retrieve(task_id), tasks.retrieve_all):
        with pytest.raises(StoredStateError) as raised:
            read()
        assert sorted(paths) == sorted({problem.path for problem in raised.value.problems})
        assert str(task_id) == raised.value.uuid_value
        shown = "".join(traceback.format_exception(raised.value))
        assert "'tasks'" in shown
        assert all(f"{path}:" in shown for path in paths)
        assert SECRET not in shown


@pytest.mark.parametrize("converter", [None, make_converter()], ids=["wire", "converter"])
def test_a_version_that_cannot_be_is_told(engine: Engine, converter: Converter | None) -> None:
    """A version of 0 was stored by something else."""
    tasks, task_id = Tasks(SampleTask, TASKS, UnitOfWork(engine), converter=converter), SampleTaskId.v4()
    with engine.begin() as connection:
        connection.execute(insert(TASKS).values(id=task_id.value, version=0, state='{"title": "Buy milk"}'))

    with pytest.raises(StoredStateError):
        tasks.retrieve(task_id)


def test_what_could_not_be_read_back_is_not_stored(engine: Engine, tasks: Tasks) -> None:
    """A state that JSON can't carry is refused before anything is sent: with its path, and without the value."""
    wrong = attrs.evolve(new_task(), reward=Decimal("NaN"))
    broken = attrs.evolve(new_task(), title=SampleTitle("\ud800"))
    found = run_statements(engine)

    with pytest.raises(
        ValueError, match=r"^SampleTask: expected a state that .*, got .*: \$\.reward: expected a finite Decimal"
    ):
        tasks.save(wrong)
    with pytest.raises(ValueError, match=r"^SampleTask: expected a state that .*, got .* surrogates.*; change these"):
        tasks.update(broken)
    assert [] == found


def test_an_event_that_the_outbox_does_not_know_is_not_stored(engine: Engine, tasks: Tasks) -> None:
    """It is refused before anything is sent, and the state is not stored either."""

    class Forgotten(DomainEvent): ...

    found = run_statements(engine)
    with pytest.raises(UnknownMessage, match="Forgotten"):
        tasks.save(new_task().record(Forgotten()))
    assert [] == found


def test_an_aggregate_of_a_subclass_is_refused(tasks: Tasks) -> None:
    """Its own class would not be stored: it would come back as another."""

    @frozen
    class Chore(SampleTask): ...

    text = r"^SqlCrudRepository: expected an aggregate of the class SampleTask, got a .*Chore; use a repository of that"
    with pytest.raises(TypeError, match=text):
        tasks.save(Chore(SampleTitle("Sweep")))


def test_an_id_of_another_class_is_refused(tasks: Tasks) -> None:
    """An id of the wrong class is a bug, and finds nothing by chance."""
    other: Any = values.Uuid.v4()
    text = "^SqlCrudRepository: expected an id of the class SampleTaskId, got a Uuid; pass the id of an aggregate$"
    for call in (tasks.retrieve, tasks.remove):
        with pytest.raises(TypeError, match=text):
            call(other)


def test_the_cause_of_an_event_is_stored(engine: Engine, tasks: Tasks) -> None:
    """An event that is recorded while a message is handled says what caused it."""
    command = SampleCreateTask(SampleTaskId.v4())
    with handling(command):
        tasks.save(new_task()).unwrap()

    (stored,) = stored_messages(engine)
    assert str(command.header.id) == stored.header.meta["causation_id"]


def test_another_unique_column_is_an_exception(database: Database) -> None:
    """Only the id makes an aggregate one that exists already: whatever else must be unique is the user's own affair."""
    metadata = MetaData()
    table = aggregate_table(metadata, "unique_tasks")
    table.append_constraint(UniqueConstraint(table.c.state))
    with database.engine(metadata) as engine:
        tasks, task = Tasks(SampleTask, table, UnitOfWork(engine)), SampleTask(SampleTitle("Buy milk"))
        tasks.save(task).unwrap()
        with pytest.raises(IntegrityError):
            tasks.save(attrs.evolve(task, aggregate_id=SampleTaskId.v4()))


# What is refused when a repository is made


@pytest.fixture
def unit_of_work() -> Iterator[UnitOfWork]:
    """Return a unit of work over a database that nobody connects with."""
    engine = make_engine("sqlite:///never")
    yield UnitOfWork(engine)
    engine.dispose()


def columns(**changes: Column[Any] | None) -> Table:
    """Return a table for aggregates with some columns changed or left out."""
    whole: dict[str, Column[Any] | None] = {
        "position": Column("position", Integer, primary_key=True),
        "id": Column("id", Uuid(), unique=True),
        "version": Column("version", Integer),
        "state": Column("state", Text),
    }
    return Table("tasks", MetaData(), *[column for column in (whole | changes).values() if column is not None])


@pytest.mark.parametrize("name", ["position", "id", "version", "state"])
def test_a_table_without_a_column_is_refused(unit_of_work: UnitOfWork, name: str) -> None:
    """The error names the table and the column."""
    with pytest.raises(ValueError, match=rf"^table 'tasks': expected the columns .*, got a table without {name}; "):
        Tasks(SampleTask, columns(**{name: None}), unit_of_work)


def test_a_table_with_an_id_of_another_type_is_refused(unit_of_work: UnitOfWork) -> None:
    """Ids are UUIDs for the database too."""
    for kind in (String(36), Uuid(as_uuid=False)):
        with pytest.raises(ValueError, match=r"^table 'tasks': expected the column id to have the type sqlalchemy\.Uu"):
            Tasks(SampleTask, columns(id=Column("id", kind, unique=True)), unit_of_work)


def test_a_table_whose_id_is_not_unique_is_refused(unit_of_work: UnitOfWork) -> None:
    """Two rows with one id would be two aggregates."""
    plain = columns(id=Column("id", Uuid()))
    Index("ix", plain.c.id)
    together = columns(id=Column("id", Uuid()))
    together.append_constraint(UniqueConstraint("id", "version"))
    for table in (plain, together):
        with pytest.raises(ValueError, match=r"^table 'tasks': expected a primary key or unique constraint of the"):
            Tasks(SampleTask, table, unit_of_work)


def test_an_id_may_be_unique_in_each_way(unit_of_work: UnitOfWork) -> None:
    """As primary key, by a constraint, by an index."""
    primary = columns(id=Column("id", Uuid(), primary_key=True), position=Column("position", Integer))
    by_index = columns(id=Column("id", Uuid()))
    Index("ix", by_index.c.id, unique=True)
    for table in (primary, by_index, columns()):
        Tasks(SampleTask, table, unit_of_work)


def test_a_class_that_cannot_be_stored_is_refused(unit_of_work: UnitOfWork) -> None:
    """Refused: a class that isn't an aggregate, one that isn't decorated, and a field that JSON can't carry."""
    wrong: Any = DomainEvent

    @frozen
    class Odd(AggregateRoot):
        value: object

    class Undecorated(AggregateRoot):
        value: int

    with pytest.raises(TypeError, match=r"^SqlCrudRepository: expected a class of aggregates, got DomainEvent; der"):
        Tasks(wrong, columns(), unit_of_work)
    with pytest.raises(TypeError, match=r"^SqlCrudRepository: expected a class of aggregates, got an object of the cl"):
        Tasks(wrong(), columns(), unit_of_work)
    with pytest.raises(UnsupportedTypeError, match=r"Odd\.value"):
        SqlCrudRepository[Odd](Odd, columns(), unit_of_work)
    with pytest.raises(UnsupportedTypeError, match=r"Odd\.value"):
        SqlCrudRepository[Odd](Odd, columns(), unit_of_work, converter=make_converter())
    with pytest.raises(TypeError, match=r"write @attrs\.frozen above"):
        SqlCrudRepository[Undecorated](Undecorated, columns(), unit_of_work)


def test_a_converter_beside_a_mapper_is_refused(unit_of_work: UnitOfWork) -> None:
    """One of them puts the state into the row."""

    class Mapper(RowMapper[SampleTask]):
        def to_row(self, aggregate: SampleTask) -> dict[str, object]:
            raise NotImplementedError

        def from_row(self, row: Any) -> SampleTask:
            raise LookupError("no task")

    with pytest.raises(TypeError, match=r"^SampleTask: expected a mapper alone"):
        Tasks(SampleTask, columns(), unit_of_work, converter=make_converter(), mapper=Mapper())
    with pytest.raises(TypeError, match=r"^SampleTask: expected a mapper alone"):
        Tasks(SampleTask, columns(), unit_of_work, upcasters=[dict], mapper=Mapper())


def with_title(state: Attributes) -> Attributes:
    """Return the state of a task that once had a name."""
    return {"title": state["name"]}


def test_states_of_old_versions_are_lifted(engine: Engine) -> None:
    """A row that an older class wrote is read as one of today, and stored with its version when it changes."""
    task = SampleTask(SampleTitle("Buy milk"))
    row = {"id": task.aggregate_id.value, "version": 1, "state": '{"name":"Buy milk"}'}
    with engine.begin() as connection:
        connection.execute(insert(TASKS), row)
    tasks = Tasks(SampleTask, TASKS, UnitOfWork(engine), upcasters=[with_title])
    found = tasks.retrieve(task.aggregate_id).unwrap()

    assert task == found
    assert Success((tasks.update(found).unwrap(),)) == tasks.retrieve_all()
    with engine.connect() as connection:
        assert connection.scalars(select(TASKS.c.state)).one().startswith('{"$version":2,"title":"Buy milk"')


async def test_states_of_old_versions_are_lifted_to_await(database: Database) -> None:
    """The async twin hands the functions on."""
    task = SampleTask(SampleTitle("Buy milk"))
    row = {"id": task.aggregate_id.value, "version": 1, "state": '{"name":"Buy milk"}'}
    async with database.async_engine(METADATA) as engine:
        async with engine.begin() as connection:
            await connection.execute(insert(TASKS), row)
        tasks = AsyncSqlCrudRepository[SampleTask, SampleTaskId](
            SampleTask, TASKS, AsyncUnitOfWork(engine), upcasters=[with_title]
        )
        assert Success(task) == await tasks.retrieve(task.aggregate_id)


def test_another_database_is_refused() -> None:
    """Only SQLite and PostgreSQL have been tried."""
    engine = make_engine("sqlite:///never")
    engine.dialect.name = "mysql"
    with pytest.raises(ValueError, match="expected a table in SQLite or PostgreSQL, got one in mysql"):
        Tasks(SampleTask, columns(), UnitOfWork(engine))
    engine.dispose()


@pytest.mark.parametrize(("title", "expected"), [("a\0b", "without NUL characters"), ("a\ud800", "lone surrogates")])
async def test_a_text_that_no_database_keeps_is_refused(database: Database, title: str, expected: str) -> None:
    """In a mapper's column too, by the name of class and column, and before anything is sent: a unit goes on."""
    statements: list[str] = []
    titles = {"title": title}

    class Mapper(RowMapper[SampleTask]):
        def to_row(self, aggregate: SampleTask) -> dict[str, object]:
            return {"state": titles["title"], "version": 1}

        def from_row(self, row: Any) -> SampleTask:
            raise LookupError("no task")

    with database.engine(METADATA) as engine:
        unit = UnitOfWork(engine)
        tasks, task = Tasks(SampleTask, TASKS, unit, mapper=Mapper()), new_task()
        event.listen(engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
        refused = rf"^SampleTask: column 'state': expected a text .*{expected}, got one with them; refuse it in"
        with unit.begin():
            for call in (tasks.save, tasks.update):
                with pytest.raises(ValueError, match=refused) as raised:
                    call(task)
                assert title not in str(raised.value)
            assert [] == statements
            titles["title"] = "a"
            tasks.save(task).unwrap()
        assert {str(task.aggregate_id): 1} == stored_versions(engine)


def test_an_exception_of_a_mapper_says_which_row(database: Database) -> None:
    """An exception of the user's own code reaches the user, with a note that names the table and the id."""

    class Mapper(RowMapper[SampleTask]):
        def to_row(self, aggregate: SampleTask) -> dict[str, object]:
            return {"state": "{}"}

        def from_row(self, row: Any) -> SampleTask:
            raise LookupError("no task")

    with database.engine(METADATA) as engine:
        tasks, task = Tasks(SampleTask, TASKS, UnitOfWork(engine), mapper=Mapper()), new_task()
        tasks.save(task).unwrap()
        with pytest.raises(LookupError) as raised:
            tasks.retrieve(task.aggregate_id)
    assert [f"table 'tasks', id {task.aggregate_id}"] == raised.value.__notes__


# A converter of the user's own


def test_the_hooks_of_a_converter_write_and_read(engine: Engine) -> None:
    """A converter of the user's own has its say in what is stored."""
    converter = make_converter()
    converter.register_unstructure_hook(SampleTitle, lambda title: {"text": title.value})
    converter.register_structure_hook(SampleTitle, lambda data, _: SampleTitle(data["text"]))
    tasks, task = Tasks(SampleTask, TASKS, UnitOfWork(engine), converter=converter), new_task()
    tasks.save(task).unwrap()

    with engine.connect() as connection:
        assert '"title":{"text":"Buy milk"}' in connection.scalars(select(TASKS.c.state)).one()
    assert Success(task) == tasks.retrieve(task.aggregate_id)


def test_a_converter_that_writes_no_object_is_refused(engine: Engine) -> None:
    """A state is a JSON object."""
    converter = make_converter()
    converter.register_unstructure_hook(SampleTask, lambda task: [task.title.value])
    with pytest.raises(ValueError, match=r"^SampleTask: expected a state .*: \$: expected an object \(type\)"):
        Tasks(SampleTask, TASKS, UnitOfWork(engine), converter=converter).save(new_task())


def test_a_hook_that_fails_is_told_without_the_value(engine: Engine) -> None:
    """A hook for the whole class that raises has no paths to tell."""
    converter = make_converter()
    tasks, task = Tasks(SampleTask, TASKS, UnitOfWork(engine), converter=converter), new_task()
    tasks.save(task).unwrap()

    def refuse(data: object, _: object) -> SampleTask:
        raise LookupError(SECRET)

    converter.register_structure_hook(SampleTask, refuse)
    with pytest.raises(StoredStateError, match=r"\$: expected a state that the converter takes") as raised:
        tasks.retrieve(task.aggregate_id)
    assert SECRET not in str(raised.value)


@frozen
class Meeting(AggregateRoot[SampleTaskId]):
    """An aggregate with a time."""

    title: str
    starts_at: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    length: float = 1.0


def renaming() -> Converter:
    """Return a converter whose functions for a meeting were made by cattrs: they write all attributes."""
    converter, title = make_converter(), override(rename="meetingTitle")
    converter.register_unstructure_hook(Meeting, make_dict_unstructure_fn(Meeting, converter, title=title))
    converter.register_structure_hook(Meeting, make_dict_structure_fn(Meeting, converter, title=title))
    return converter


def test_a_converter_writes_no_recorded_events(engine: Engine) -> None:
    """Events are no part of the state, whatever the user's own functions write: an aggregate that has some is read."""
    meetings = SqlCrudRepository[Meeting, SampleTaskId](Meeting, TASKS, UnitOfWork(engine), converter=renaming())
    meeting = Meeting("Plan")
    meetings.save(meeting.record(DomainEvent())).unwrap()

    read = meetings.retrieve(meeting.aggregate_id).unwrap()
    assert (meeting, ()) == (read, read.domain_events)


def hooked(
    unstructure: Callable[[Any], object], structure: Callable[[Any], object], hint: type = datetime
) -> Converter:
    """Return a converter with hooks for a type."""
    converter = make_converter()
    converter.register_unstructure_hook(hint, unstructure)
    converter.register_structure_hook(hint, lambda data, _: structure(data))
    return converter


def day_of(text: str) -> datetime:
    """Return the midnight of a day."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("converter", "problem"),
    [
        (hooked(lambda at: f"{at:%Y-%m-%d}", day_of), "$.starts_at: expected the value that was written (value)"),
        (
            hooked(str, lambda text: datetime.strptime(text, "%H:%M").replace(tzinfo=UTC)),
            "$.starts_at: expected datetime",
        ),
        (hooked(lambda at: at.timetz, str), "$.starts_at: expected JSON values from the hook for datetime"),
        (hooked(lambda _: {}, lambda _: None, Meeting), "$: expected Meeting (type)"),
        (
            hooked(
                lambda _: {},
                lambda data: Meeting("a", aggregate_id=SampleTaskId.from_value(data["aggregate_id"])),
                Meeting,
            ),
            "$.title: expected the value that was written (value); $.starts_at: expected the value",
        ),
        (
            hooked(
                lambda meeting: {"title": meeting.title},
                lambda data: Meeting(
                    data["title"],
                    NOON,
                    aggregate_id=SampleTaskId.from_value(data["aggregate_id"]),
                    aggregate_version=data["aggregate_version"],
                    domain_events=(DomainEvent(),),
                ),
                Meeting,
            ),
            "$.domain_events: expected the value that was written (value)",
        ),
    ],
    ids=["rounds", "refuses", "no-json", "no-aggregate", "another", "events"],
)
def test_what_a_converter_could_not_read_back_is_not_stored(engine: Engine, converter: Converter, problem: str) -> None:
    """Each state is read back before anything is sent; the error says where it differs, and shows no value."""
    meetings = SqlCrudRepository[Meeting, SampleTaskId](Meeting, TASKS, UnitOfWork(engine), converter=converter)
    found = run_statements(engine)

    for write in (meetings.save, meetings.update):
        with pytest.raises(ValueError, match=r"^Meeting: expected a state that .*, got ") as raised:
            write(Meeting(SECRET, NOON))
        shown = "".join(traceback.format_exception(raised.value))
        assert problem in shown
        assert SECRET not in shown
    assert [] == found


@pytest.mark.parametrize("converter", [None, make_converter()], ids=["wire", "converter"])
@pytest.mark.parametrize(
    "meeting",
    [
        Meeting("Plan", datetime(2026, 1, 2)),
        Meeting("\ud800"),
        Meeting("Plan", length=float("nan")),
        Meeting(5),  # type: ignore[arg-type]  # wrong on purpose
    ],
    ids=["time", "surrogate", "nan", "type"],
)
def test_memory_refuses_what_a_database_refuses(
    unit_of_work: UnitOfWork, meeting: Meeting, converter: Converter | None
) -> None:
    """The same aggregate, the same exception with the same text: tests with repositories in memory show it."""
    in_sql = SqlCrudRepository[Meeting, SampleTaskId](Meeting, columns(), unit_of_work, converter=converter)
    in_memory = InmemoryCrudRepository[Meeting, SampleTaskId](converter=converter)

    answers = []
    for write in (in_sql.save, in_memory.save, in_sql.update, in_memory.update):
        with pytest.raises((ValueError, TypeError)) as raised:
            write(meeting)
        answers.append((type(raised.value), str(raised.value).replace('"aggregate_version":2', "")))
    assert 1 == len(set(answers))


@frozen
class Doll:
    """An object inside itself."""

    inner: "Doll | None" = None


@frozen
class Dolls(AggregateRoot[SampleTaskId]):
    """An aggregate with objects inside one another."""

    outer: Doll | None = None


@pytest.mark.parametrize("converter", [None, make_converter()], ids=["wire", "converter"])
def test_a_state_that_is_too_deep_is_refused(engine: Engine, converter: Converter | None) -> None:
    """Deeper than Python's stack is neither stored nor read, and the error says so."""
    dolls, doll, dolls_id = Dolls(), None, SampleTaskId.v4()
    for _ in range(3000):
        doll = Doll(doll)
    repository = SqlCrudRepository[Dolls, SampleTaskId](Dolls, TASKS, UnitOfWork(engine), converter=converter)
    state = '{"outer": ' + '{"inner": ' * 500 + "null" + "}" * 501
    with engine.begin() as connection:
        connection.execute(insert(TASKS).values(id=dolls_id.value, version=1, state=state))

    with pytest.raises(ValueError, match=r"^Dolls: expected a state that .*: \$: expected fewer objects inside"):
        repository.save(attrs.evolve(dolls, outer=doll))
    with pytest.raises(StoredStateError):
        repository.retrieve(dolls_id)


@frozen
class Page(AggregateRoot[SampleTaskId], Generic[T]):
    """A generic aggregate."""

    items: tuple[T, ...] = ()


@pytest.mark.parametrize("converter", [None, make_converter()], ids=["wire", "converter"])
def test_a_generic_class_is_stored_with_its_arguments(engine: Engine, converter: Converter | None) -> None:
    """The class is given as `Page[Decimal]`, and its items are checked and read as such."""
    pages = SqlCrudRepository[Page[Decimal], SampleTaskId](
        Page[Decimal], TASKS, UnitOfWork(engine), converter=converter
    )
    page, wrong = Page((Decimal("1.50"),)), Page((Decimal("NaN"),))
    pages.save(page).unwrap()

    assert Success(page) == pages.retrieve(page.aggregate_id)
    with pytest.raises(ValueError, match=r"^Page: expected a state that can be read back"):
        pages.save(wrong)
    with pytest.raises(UnsupportedTypeError, match=r"Page\.items: .* the type variable .*T"):
        SqlCrudRepository[Page[Any], SampleTaskId](Page, TASKS, UnitOfWork(engine), converter=converter)


# Schemas that are translated, columns with defaults of their own


def test_schemas_are_translated(database: Database) -> None:
    """A map of schemas, as SQLAlchemy knows it, holds for what is stored too."""
    metadata = MetaData()
    table = aggregate_table(metadata, "moved", schema="elsewhere")
    with database.engine() as plain:
        engine = plain.execution_options(schema_translate_map={"elsewhere": None})
        metadata.create_all(engine)
        tasks, task = Tasks(SampleTask, table, UnitOfWork(engine)), new_task()
        saved = tasks.save(task).unwrap()
        assert 2 == tasks.update(saved).unwrap().aggregate_version


def test_columns_with_defaults_of_python_are_filled(database: Database) -> None:
    """A column that the user added to the table gets the default that its definition has."""
    metadata = MetaData()
    table = aggregate_table(metadata, "tagged")
    table.append_column(Column("tag", Text, default=lambda: "computed", nullable=False))
    with database.engine(metadata) as engine:
        tasks = Tasks(SampleTask, table, UnitOfWork(engine))
        tasks.update(tasks.save(new_task()).unwrap()).unwrap()
        with engine.connect() as connection:
            assert "computed" == connection.scalar(select(table.c.tag))
