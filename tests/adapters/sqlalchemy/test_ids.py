"""Ids of any class in SQLite and PostgreSQL: columns, keys of the outbox, and what is refused."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

import petisco
import pytest
from attrs import frozen
from databases import Database, unsynced
from identified import (
    KINDS,
    Address,
    Book,
    BookLent,
    EachKind,
    Isbn,
    PetiscoId,
    Place,
    Seat,
    Task,
    TaskNumber,
    Ticket,
    Visit,
)
from outboxes import Recorder
from returns.result import Success
from sqlalchemy import (
    CHAR,
    VARCHAR,
    BigInteger,
    Column,
    Engine,
    Enum,
    Integer,
    MetaData,
    Numeric,
    RowMapping,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

from domainkit import (
    AggregateNotFoundError,
    AggregateRoot,
    AggregateVersionConflictError,
    CrudRepository,
    InmemoryCrudRepository,
    MessageCodec,
    UnsupportedTypeError,
    ValueObject,
    make_converter,
)
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    Outbox,
    Relay,
    RowMapper,
    SqlCrudRepository,
    StoredStateError,
    UnitOfWork,
    aggregate_table,
    make_async_engine,
    make_engine,
    outbox_table,
)
from domainkit.testing import AsyncAggregateRepositoryContract, SampleTaskId

CODEC = MessageCodec(BookLent)
METADATA = MetaData()
OUTBOX = Outbox(outbox_table(METADATA), CODEC)
TABLES = {cls: aggregate_table(METADATA, cls.__name__.lower(), ids=type(next(make()))) for cls, make in KINDS.items()}
IDS: dict[Any, list[Any]] = {cls: list(islice(make(), 60)) for cls, make in KINDS.items()}
each_kind = pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)


class NoteMapper(RowMapper[Any]):
    """The note in a column of its own."""

    def __init__(self, cls: Any) -> None:
        self.cls = cls

    def to_row(self, aggregate: Any) -> dict[str, object]:
        """Return the column but for id and version."""
        return {"note": aggregate.note}

    def from_row(self, row: RowMapping) -> Any:
        """Return the aggregate, its id made from what the repository has written."""
        plain = self.cls in {Book, Task, Old}
        kept = {
            "aggregate_id": row["id"] if plain else json.loads(row["id"]),
            "aggregate_version": row["version"],
            "note": row["note"],
        }
        return make_converter().structure(kept, self.cls)


def note_table(metadata: MetaData, name: str, kind: TypeEngine[Any]) -> Table:
    """Return a table for notes, with an id of this type."""
    return Table(
        name,
        metadata,
        Column("number", Integer, primary_key=True),
        Column("id", kind, unique=True, nullable=False),
        Column("version", Integer, nullable=False),
        Column("note", Text, nullable=False),
        sqlite_autoincrement=True,
    )


class _OnDatabase(EachKind):
    """For a text, a number, and several parts: those of a Visit are like those of a Ticket, and more."""

    database: Database
    opened: ExitStack

    @pytest.fixture(autouse=True, params=[Book, Task, Visit], ids=lambda cls: cls.__name__)
    def _open(self, database: Database, request: pytest.FixtureRequest) -> Iterator[None]:
        self.database, self.made = database, 0
        self.use(request.param)
        with ExitStack() as self.opened:
            yield

    def tables(self) -> tuple[Engine, Table, Outbox]:
        """Return an engine, a table for aggregates of the class, and an outbox that knows no event of the contract."""
        metadata, self.made = MetaData(), self.made + 1
        ids = type(next(KINDS[self.cls]()))
        table = aggregate_table(metadata, f"notes_{self.made}", ids=ids)
        outbox = Outbox(outbox_table(metadata, f"outbox_{self.made}"), CODEC)
        return self.opened.enter_context(self.database.engine(metadata)), table, outbox


class TestSql(_OnDatabase):
    """Any id, with the state as JSON."""

    def make_repository(self) -> CrudRepository[AggregateRoot[Any], Any]:
        engine, table, _ = self.tables()
        return SqlCrudRepository(self.cls, table, UnitOfWork(engine))


class TestSqlWithMapper(_OnDatabase):
    """Any id, in a table of the user's own."""

    def make_repository(self) -> CrudRepository[AggregateRoot[Any], Any]:
        metadata, self.made = MetaData(), self.made + 1
        table = note_table(metadata, f"rows_{self.made}", BigInteger() if self.cls is Task else Text())
        engine = self.opened.enter_context(self.database.engine(metadata))
        mapper = NoteMapper(self.cls)
        return SqlCrudRepository(self.cls, table, UnitOfWork(engine), mapper=mapper, order_by=table.c.number)


class TestAsyncSql(_OnDatabase, AsyncAggregateRepositoryContract[AggregateRoot[Any], Any]):
    """Any id in the async twin."""

    async def make_async_repository(self) -> AsyncSqlCrudRepository[AggregateRoot[Any], Any]:
        _, table, _ = self.tables()
        engine = unsynced(make_async_engine(self.database.async_url, poolclass=NullPool))
        return AsyncSqlCrudRepository(self.cls, table, AsyncUnitOfWork(engine))


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA) as made:
        yield made


# Columns


DIALECTS: tuple[Any, Any] = (sqlite.dialect(), postgresql.dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's


def ddl(table: Table) -> list[str]:
    """Return the statements that make a table."""
    return [str(CreateTable(table).compile(dialect=one)) for one in DIALECTS]


def test_the_table_of_uuids_is_what_it_was() -> None:
    """Existing tables need no migration: nothing of them has changed."""
    in_sqlite, in_postgres = ddl(aggregate_table(MetaData(), "tasks"))
    assert (
        "\nCREATE TABLE tasks (\n\tposition INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, \n\tid CHAR(32) NOT NULL, \n\t"
        "version INTEGER NOT NULL, \n\tstate TEXT NOT NULL, \n\tUNIQUE (id)\n)\n\n"
    ) == in_sqlite
    assert (
        "\nCREATE TABLE tasks (\n\tposition BIGSERIAL NOT NULL, \n\tid UUID NOT NULL, \n\t"
        "version INTEGER NOT NULL, \n\tstate TEXT NOT NULL, \n\tPRIMARY KEY (position), \n\tUNIQUE (id)\n)\n\n"
    ) == in_postgres
    assert [in_sqlite, in_postgres] == ddl(aggregate_table(MetaData(), "tasks", ids=SampleTaskId))


@pytest.mark.parametrize(
    ("ids", "kind"), [(Isbn, "TEXT"), (TaskNumber, "BIGINT"), (Seat, "TEXT"), (Place, "TEXT"), (PetiscoId, "TEXT")]
)
def test_the_column_follows_the_class_of_ids(ids: type[ValueObject[object]], kind: str) -> None:
    """A text for text, a number of 64 bits for a number, and a text for what has several parts."""
    for statement in ddl(aggregate_table(MetaData(), "notes", ids=ids)):
        assert f"\tid {kind} NOT NULL, \n" in statement


def test_a_table_is_made_for_ids_that_have_keys() -> None:
    """A class that isn't one of value objects, or wraps what has no wire form, is refused by name."""

    class Odd(ValueObject[object]): ...

    wrong: Any = str
    with pytest.raises(TypeError, match=r"^ids: expected a class of value objects, got str"):
        aggregate_table(MetaData(), "notes", ids=wrong)
    with pytest.raises(UnsupportedTypeError, match=r"Odd\.value"):
        aggregate_table(MetaData(), "notes", ids=Odd)


def test_alembic_finds_no_difference(engine: Engine) -> None:
    """The tables created match the metadata, for each class of ids."""
    autogenerate = pytest.importorskip("alembic.autogenerate")
    migration = pytest.importorskip("alembic.migration")
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = migration.MigrationContext.configure(connection, opts=options)
        assert [] == autogenerate.compare_metadata(context, METADATA)


@pytest.fixture
def unit_of_work() -> Iterator[UnitOfWork]:
    """Return a unit of work over a database that nobody connects with."""
    engine = make_engine("sqlite:///never")
    yield UnitOfWork(engine)
    engine.dispose()


@pytest.mark.parametrize(
    ("cls", "kind"),
    [
        (Book, Uuid()),
        (Book, BigInteger()),
        (Book, CHAR(36)),
        (Book, Enum("a", "b")),
        (Book, postgresql.CITEXT()),
        (Book, Text(collation="NOCASE")),
        (Book, String(collation="de-x-icu")),
        (Task, Uuid()),
        (Task, Text()),
        (Task, Numeric()),
        (Ticket, Uuid()),
        (Ticket, Integer()),
        (Visit, postgresql.JSONB()),
    ],
    ids=str,
)
def test_a_column_that_does_not_fit_is_refused(unit_of_work: UnitOfWork, cls: Any, kind: TypeEngine[Any]) -> None:
    """The error names table, column, both types, the class of ids, and what to do."""
    table, ids = note_table(MetaData(), "notes", kind), cls._id_type().__name__
    wanted = "BigInteger" if cls is Task else "Text"
    with pytest.raises(
        ValueError,
        match=rf"^table 'notes': expected the column id to have the type sqlalchemy\.{wanted}\(\) for ids of the class "
        rf"{ids}, got .*; make it with aggregate_table\(\.\.\., ids={ids}\), or give the column that type$",
    ):
        SqlCrudRepository(cls, table, unit_of_work, mapper=NoteMapper(cls), order_by=table.c.number)


@pytest.mark.parametrize(
    ("cls", "kind"),
    [
        (Book, String()),
        (Book, VARCHAR(20)),
        (Book, Text(collation="C")),
        (Book, Text(collation="BINARY")),
        (Task, Integer()),
        (Task, SmallInteger()),
        (Task, BigInteger().with_variant(Integer(), "sqlite")),
        (Ticket, String(300)),
    ],
    ids=str,
)
def test_a_column_that_fits_is_taken(unit_of_work: UnitOfWork, cls: Any, kind: TypeEngine[Any]) -> None:
    """Any text that compares exactly, and any integer."""
    table = note_table(MetaData(), "notes", kind)
    SqlCrudRepository(cls, table, unit_of_work, mapper=NoteMapper(cls), order_by=table.c.number)


@pytest.mark.parametrize(
    ("kind", "taken", "refused", "problem"),
    [
        (
            String(5),
            Book(aggregate_id=Isbn("ä" * 5)),
            Book(aggregate_id=Isbn("ä" * 6)),
            "a text of at most 5 characters",
        ),
        (
            Integer(),
            Task(aggregate_id=TaskNumber(-(2**31))),
            Task(aggregate_id=TaskNumber(2**31)),
            "an int of at most 32 bits",
        ),
        (
            SmallInteger(),
            Task(aggregate_id=TaskNumber(2**15 - 1)),
            Task(aggregate_id=TaskNumber(2**15)),
            "an int of at most 16 bits",
        ),
    ],
    ids=["text", "integer", "smallint"],
)
def test_a_narrow_column_refuses_on_both_databases(
    database: Database, kind: TypeEngine[Any], taken: Any, refused: Any, problem: str
) -> None:
    """SQLite would store what PostgreSQL refuses: neither is asked."""
    metadata = MetaData()
    table = note_table(metadata, "notes", kind)
    with database.engine(metadata) as engine:
        cls: Any = type(taken)
        mapper = NoteMapper(cls)
        repository: SqlCrudRepository[Any, Any] = SqlCrudRepository(
            cls, table, UnitOfWork(engine), mapper=mapper, order_by=table.c.number
        )
        assert Success(taken) == repository.save(taken)
        assert Success(taken) == repository.retrieve(taken.aggregate_id)
        with pytest.raises(ValueError, match=problem):
            repository.save(refused)


# Equality, order, keys


@each_kind
def test_ids_that_look_alike_are_told_apart(engine: Engine, cls: Any) -> None:
    """Case, spaces, composed letters: each id has its own aggregate, and all come in the order of saving."""
    repository = SqlCrudRepository[Any, Any](cls, TABLES[cls], UnitOfWork(engine))
    stored = [repository.save(cls(str(number), aggregate_id=one)).unwrap() for number, one in enumerate(IDS[cls])]

    assert stored == [repository.retrieve(one).unwrap() for one in IDS[cls]]
    assert Success(tuple(stored)) == repository.retrieve_all()
    for one in reversed(IDS[cls]):
        repository.remove(one).unwrap()
    assert Success(()) == repository.retrieve_all()


@each_kind
def test_a_converter_reads_any_id(engine: Engine, cls: Any) -> None:
    """One of the user's own, which keeps value objects wrapped, writes the state: the key of the id is as ever."""
    converter = make_converter(unwrap_value_objects=False)
    repository = SqlCrudRepository[Any, Any](cls, TABLES[cls], UnitOfWork(engine), converter=converter)
    stored = [repository.save(cls("new", aggregate_id=one)).unwrap() for one in IDS[cls]]
    assert Success(tuple(stored)) == repository.retrieve_all()


@each_kind
def test_equal_ids_find_one_aggregate(engine: Engine, cls: Any) -> None:
    """An id that is made anew finds what was stored under its equal, and an update says what it conflicts with."""
    repository = SqlCrudRepository[Any, Any](cls, TABLES[cls], UnitOfWork(engine))
    first, second = IDS[cls][-1], list(islice(KINDS[cls](), 60))[-1]
    one = repository.save(cls("new", aggregate_id=first)).unwrap()
    repository.update(one).unwrap()

    assert AggregateVersionConflictError(second, 1, 2, "SqlCrudRepository") == repository.update(one).failure()
    assert AggregateNotFoundError(IDS[cls][0], "SqlCrudRepository") == repository.retrieve(IDS[cls][0]).failure()
    assert "new" == repository.retrieve(second).unwrap().note


@each_kind
async def test_events_of_an_aggregate_leave_in_their_order(database: Database, cls: Any) -> None:
    """The key in the outbox is the text of the id: one for each aggregate, in order, and a relay keeps it."""
    with database.engine(METADATA) as engine:
        repository = SqlCrudRepository[Any, Any](cls, TABLES[cls], UnitOfWork(engine, outbox=OUTBOX))
        ids, expected = IDS[cls][:20], []
        kept = [repository.save(cls(aggregate_id=one).record(BookLent(Isbn("0")))).unwrap() for one in ids]
        for round_ in ("1", "2"):
            kept = [repository.update(one.record(BookLent(Isbn(round_)))).unwrap() for one in kept]
        for one in reversed(kept):
            repository.remove_aggregate(one.record(BookLent(Isbn("3")))).unwrap()
        with engine.connect() as connection:
            expected = list(connection.scalars(select(OUTBOX.table.c.ordering_key).distinct()))
    assert len(ids) == len(expected)

    publisher = Recorder()
    async with database.async_engine() as waiting:
        relay = Relay(waiting, OUTBOX.table, publisher)
        while (await relay.run_once()).sent:
            pass
    arrived: dict[str, list[str]] = {}
    for message in publisher.messages:
        told: Any = CODEC.decode(message.body).unwrap()
        arrived.setdefault(message.key, []).append(told.isbn.value)
    assert set(expected) == set(arrived)
    assert [["0", "1", "2", "3"]] * len(ids) == list(arrived.values())


@pytest.mark.parametrize(
    ("aggregate", "key"),
    [
        (Book(aggregate_id=Isbn("a b")), "a b"),
        (Task(aggregate_id=TaskNumber(-5)), "-5"),
        (Ticket(aggregate_id=Seat(("a\0", 5))), '["a\\u0000",5]'),
    ],
    ids=["text", "number", "parts"],
)
def test_the_ordering_key_is_the_text_of_the_id(engine: Engine, aggregate: Any, key: str) -> None:
    """The very text that stands in the column of the id."""
    cls: Any = type(aggregate)
    repository = SqlCrudRepository[Any, Any](cls, TABLES[cls], UnitOfWork(engine, outbox=OUTBOX))
    repository.save(aggregate.record(BookLent(Isbn("a")))).unwrap()
    with engine.connect() as connection:
        stored = connection.scalars(select(TABLES[cls].c.id)).one()
        assert (key, key) == (str(stored), connection.scalars(select(OUTBOX.table.c.ordering_key)).one())


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "a" * 2001], ids=["nul", "surrogate", "long"])
def test_a_key_that_cannot_be_stored_is_refused(engine: Engine, key: str) -> None:
    """A key of the user's own is refused before anything is sent."""
    with (
        engine.begin() as connection,
        pytest.raises(ValueError, match=r"^ordering key: expected a text .*; pass another `key`"),
    ):
        OUTBOX.add(connection, [BookLent(Isbn("a"))], key=key)
    with engine.connect() as connection:
        assert [] == connection.execute(select(OUTBOX.table)).all()


def test_the_longest_id_has_a_place_in_each_index(engine: Engine) -> None:
    """2,000 bytes that can't be compressed fit into the indexes of PostgreSQL, in the table and in the outbox."""
    longest = Isbn("".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(666)) + "ä")
    repository = SqlCrudRepository[Any, Any](Book, TABLES[Book], UnitOfWork(engine, outbox=OUTBOX))
    saved = repository.save(Book(aggregate_id=longest).record(BookLent(longest))).unwrap()
    assert 2000 == len(longest.value.encode())
    assert Success(saved) == repository.retrieve(longest)


# What is refused


REFUSED: list[Any] = [
    Book(aggregate_id=Isbn("a\0b")),
    Book(aggregate_id=Isbn("\ud800")),
    Book(aggregate_id=Isbn("a" * 2001)),
    Task(aggregate_id=TaskNumber(2**63)),
    Task(aggregate_id=TaskNumber(-(2**63) - 1)),
    Ticket(aggregate_id=Seat(("\ud800", 1))),
    Visit(aggregate_id=Place(Address("a" * 2001))),
]


@pytest.mark.parametrize("aggregate", REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_stored_is_refused_before_anything_is_sent(engine: Engine, aggregate: Any) -> None:
    """Both databases and memory say the same of it, whichever method is called."""
    found: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _, __, statement, *___: found.append(statement))
    cls: Any = type(aggregate)
    in_sql = SqlCrudRepository[Any, Any](cls, TABLES[cls], UnitOfWork(engine, outbox=OUTBOX))
    in_memory = InmemoryCrudRepository[Any, Any]()
    calls: list[Callable[[], object]] = [lambda: in_sql.remove_aggregate(aggregate)]
    for repository in (in_sql, in_memory):
        calls += [
            lambda r=repository: r.save(aggregate),  # type: ignore[misc]  # mypy infers no default of a lambda
            lambda r=repository: r.update(aggregate),  # type: ignore[misc]  # as above
            lambda r=repository: r.retrieve(aggregate.aggregate_id),  # type: ignore[misc]  # as above
            lambda r=repository: r.remove(aggregate.aggregate_id),  # type: ignore[misc]  # as above
        ]
    answers = set()
    for call in calls:
        with pytest.raises(ValueError, match="expected an id that a database can store") as raised:
            call()
        answers.add(str(raised.value))
    assert (1, []) == (len(answers), found)


def test_an_id_of_another_class_is_refused(engine: Engine) -> None:
    """An id of the wrong class is a bug, and finds nothing by chance."""
    other: Any = PetiscoId("A7F8FB8E-6A0B-4F3E-9A55-1D6F0C2B4E11")
    repository = SqlCrudRepository(Book, TABLES[Book], UnitOfWork(engine))
    for call in (repository.retrieve, repository.remove):
        with pytest.raises(TypeError, match=r"^SqlCrudRepository: expected an id of the class Isbn, got a PetiscoId; "):
            call(other)


@frozen
class Old(AggregateRoot[PetiscoId]):
    """An aggregate of a program that had petisco before."""

    note: str = ""


def test_a_key_that_no_id_has_is_told(database: Database) -> None:
    """Something else stored it: the error names table, id and path, for one aggregate and for all."""
    metadata = MetaData()
    table = aggregate_table(metadata, "old", ids=PetiscoId)
    with database.engine(metadata) as engine:
        with engine.begin() as connection:
            connection.execute(insert(table).values(id="no uuid", version=1, state="{}"))
        repository = SqlCrudRepository(Old, table, UnitOfWork(engine))
        with pytest.raises(StoredStateError, match=r"table 'old', id no uuid: .*: \$\.aggregate_id: expected a valid"):
            repository.retrieve_all()


# Ids as petisco has them


UPPER = "A7F8FB8E-6A0B-4F3E-9A55-1D6F0C2B4E11"


def test_what_petisco_stored_is_found_by_just_its_text(database: Database) -> None:
    """Petisco keeps and compares an id as it was written, in upper case say: a text id does, in table and outbox."""
    metadata = MetaData()
    table = note_table(metadata, "old", String(36))
    theirs = petisco.Uuid(UPPER)
    assert UPPER == theirs.value
    with database.engine(metadata, METADATA) as engine:
        with engine.begin() as connection:  # as a program of petisco did
            connection.execute(text("INSERT INTO old (id, version, note) VALUES (:id, 1, 'Emma')"), {"id": str(theirs)})
        repository = SqlCrudRepository(
            Old, table, UnitOfWork(engine, outbox=OUTBOX), mapper=NoteMapper(Old), order_by=table.c.number
        )
        found = repository.retrieve(PetiscoId(UPPER)).unwrap()
        missing = repository.retrieve(PetiscoId(UPPER.lower()))
        updated = repository.update(found.record(BookLent(Isbn(UPPER)))).unwrap()
        with engine.connect() as connection:
            row = connection.execute(select(table)).one()
            key = connection.scalars(select(OUTBOX.table.c.ordering_key)).one()

    assert ("Emma", UPPER) == (found.note, found.aggregate_id.value)
    assert UPPER.lower() == missing.failure().uuid_value
    assert (2, UPPER, 2, UPPER) == (updated.aggregate_version, row.id, row.version, key)
