"""Read models in tables: how rows of a class become columns, and what is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Generic, NewType, TypeVar
from uuid import UUID

import attrs
import pytest
import sqlalchemy as sa
from accounts import AccountEvent, AccountId, Deposited, Opened, codec
from attrs import evolve, field, frozen
from databases import Database
from projecting import (
    BALANCES,
    EVENTS,
    METADATA,
    Balance,
    account_of,
    append,
    balances,
    history_of,
    new_accounts,
    rows_of,
)
from sqlalchemy import Column, Engine, MetaData, Table
from typing_extensions import TypeAliasType

from domainkit import DomainEvent, ReadModel, RecordedEvent, UnsupportedTypeError, Uuid, ValueObject
from domainkit.adapters.sqlalchemy import FunctionReadModel, SqlEventStore, TableReadModel, UnitOfWork

T = TypeVar("T")


class Label(ValueObject[str]): ...


@frozen
class Seen(DomainEvent):
    place: str
    number: int
    at: datetime
    label: Label | None = None


@frozen
class Sight(Generic[T]):
    _place: str
    number: int
    at: datetime
    until: Annotated[datetime | None, "the last"]
    label: Label | None
    either: int | str | None
    tag: Label = field(default=Label("new"))
    shout: str = field(init=False, default="")


OWN = MetaData()
SIGHTS = Table(
    "sights",
    OWN,
    Column("number", sa.Integer, primary_key=True),
    Column("_place", sa.Text, primary_key=True),
    Column("at", sa.DateTime(timezone=True)),
    Column("until", sa.DateTime(timezone=True)),
    Column("label", sa.Text),
    Column("either", sa.Integer),
    Column("tag", sa.Text),
)
VISITS = Table(
    "visits",
    OWN,
    Column("at", sa.DateTime(), primary_key=True),
    Column("size", sa.Text),
    Column("times", sa.Integer),
)
MARKS = Table("marks", OWN, Column("place", sa.Text, primary_key=True))


@frozen
class Mark:
    place: str


class Size(StrEnum):
    """A size, stored as its text."""

    SMALL = "small"
    LARGE = "large"


@frozen
class Visit:
    at: datetime
    size: Size
    times: int


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine; the tables exist."""
    with database.engine(METADATA, OWN) as made:
        yield made


def recorded(*events: DomainEvent) -> list[RecordedEvent[DomainEvent]]:
    """Return events as a store gives them."""
    return [RecordedEvent(event, "stream", number, number) for number, event in enumerate(events, 1)]


def sighted(row: "Sight[int] | None", event: Seen) -> "Sight[int]":
    """Begin a row, or note when it was seen again, which is later."""
    if row is None:
        return Sight(event.place, event.number, event.at, None, event.label, event.number)
    assert row.at <= event.at
    return evolve(row, until=event.at, label=event.label)


def key_of(event: Seen) -> tuple[int, str]:
    """Return both parts of the key."""
    return event.number, event.place


def test_fields_of_all_kinds(engine: Engine) -> None:
    """Value objects, times, optional and private fields, and a key of two columns are stored and read again."""
    early, later = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 3, 2, tzinfo=UTC)
    model = TableReadModel(ReadModel("sights", Sight[int]).on(Seen, key_of, sighted), SIGHTS)
    for event in (Seen("here", 1, early), Seen("here", 1, later, Label("again")), Seen("there", 1, early)):
        with engine.begin() as connection:
            model.apply(connection, recorded(event))
    with engine.connect() as connection:
        found = connection.execute(sa.select(SIGHTS).order_by(SIGHTS.c["_place"])).mappings().all()
    assert [("here", "again", 1, "new"), ("there", None, 1, "new")] == [
        (row["_place"], row["label"], row["either"], row["tag"]) for row in found
    ]
    assert [early.astimezone(UTC)] * 2 == [row["at"].replace(tzinfo=row["at"].tzinfo or UTC) for row in found]


def test_a_time_in_a_column_without_time_zone_and_an_enum_in_a_text(engine: Engine) -> None:
    """The time is stored in UTC, whatever the time zone of the session; the text is read as the member again."""
    before = list[Visit | None]()

    def visited(row: Visit | None, event: Seen) -> Visit:
        before.append(row)
        return Visit(event.at, Size.LARGE if event.number > 1 else Size.SMALL, event.number)

    model = TableReadModel(ReadModel("visits", Visit).on(Seen, lambda event: event.at, visited), VISITS)
    at = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    for number in (1, 2):
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text("SET LOCAL TIME ZONE 'Asia/Tokyo'"))
            model.apply(connection, recorded(Seen("here", number, at)))
    with engine.connect() as connection:
        assert [(datetime(2026, 7, 1, 10), "large", 2)] == connection.execute(sa.select(VISITS)).all()
    assert [None, Visit(at, Size.SMALL, 1)] == before
    assert before[1] is not None
    assert Size.SMALL is before[1].size


def test_a_time_without_a_time_zone(engine: Engine) -> None:
    """It is refused, in the key and elsewhere: a database would take it for one of the session's time zone."""
    naive, aware = datetime(2026, 7, 1), datetime(2026, 7, 1, tzinfo=UTC)
    keyed = ReadModel("visits", Visit).on(Seen, lambda _: naive, lambda *_: Visit(aware, Size.SMALL, 1))
    stored = ReadModel("sights", Sight[int]).on(
        Seen, key_of, lambda _, event: Sight(event.place, event.number, aware, naive, None, None)
    )
    for model, field_name in ((TableReadModel(keyed, VISITS), "Visit.at"), (TableReadModel(stored, SIGHTS), "until")):
        with (
            engine.begin() as connection,
            pytest.raises(ValueError, match=f"{field_name}: expected a time with a time zone; refuse it where it co"),
        ):
            model.apply(connection, recorded(Seen("here", 1, aware)))


def test_a_key_is_its_only_column(engine: Engine) -> None:
    """A row without other columns is stored once, and removed by its key."""
    model = TableReadModel(
        ReadModel("marks", Mark).on(
            Seen, lambda event: event.place, lambda _, event: Mark(event.place) if event.number else None
        ),
        MARKS,
    )
    at = datetime(2026, 3, 1, tzinfo=UTC)
    for number, left in ((1, 1), (2, 1), (0, 0)):
        with engine.begin() as connection:
            model.apply(connection, recorded(Seen("here", number, at), Seen("here", number, at)))
            assert left == connection.scalar(sa.select(sa.func.count()).select_from(MARKS))


def test_an_event_that_concerns_no_row(engine: Engine) -> None:
    """An event is passed over if its key is None."""
    model = TableReadModel(ReadModel("marks", Mark).on(Seen, lambda _: None, lambda row, _: row), MARKS)
    with engine.begin() as connection:
        model.apply(connection, recorded(Seen("here", 1, datetime(2026, 3, 1, tzinfo=UTC))))
        assert None is connection.execute(sa.select(MARKS)).first()


def test_more_keys_than_one_statement_takes(engine: Engine) -> None:
    """The rows of a large batch are read in parts."""
    model = TableReadModel(balances(), BALANCES)
    accounts = new_accounts(10_001)
    for amount in (1, 2):
        with engine.begin() as connection:
            model.apply(connection, recorded(*[Deposited(one, amount) for one in accounts]))
    with engine.connect() as connection:
        total = connection.scalar(sa.select(sa.func.sum(BALANCES.c.total)))
    assert Decimal(3 * len(accounts)) == total


def test_in_the_transaction_of_the_append(engine: Engine) -> None:
    """A read model of one stream's events can be kept in their unit of work: with them, or not at all."""
    unit_of_work, model, (ada,) = UnitOfWork(engine), TableReadModel(balances(), BALANCES), new_accounts(1)
    store: SqlEventStore[AccountEvent] = SqlEventStore(unit_of_work, EVENTS, codec)

    def deposit(amount: int, *, fails: bool) -> None:
        with unit_of_work.begin() as connection:
            append(store, Deposited(ada, amount))
            model.apply(connection, recorded(Deposited(ada, amount)))
            if fails:
                raise LookupError

    deposit(5, fails=False)
    with pytest.raises(LookupError):
        deposit(7, fails=True)
    assert {ada: Balance(ada, 5, 1)} == rows_of(engine)
    assert balances().rows(history_of(store)) == rows_of(engine)


@pytest.mark.parametrize(
    ("key", "row", "text"),
    [
        (("a", "b"), Mark("a"), r"^rows of Mark: expected a key of 1 parts \(place\), got 2; return a tuple"),
        ("a", Mark("b"), r"^rows of Mark: expected a row with the key of its event, got another one in place; return"),
        ("a\0", Mark("a"), r"^Mark\.place: expected a text without NUL characters; refuse it where it comes in"),
    ],
)
def test_what_a_step_may_not_return(engine: Engine, key: object, row: Mark, text: str) -> None:
    """A key of another shape, a row of another key, and a text that a database changes are refused."""
    model = TableReadModel(ReadModel("marks", Mark).on(Opened, lambda _: key, lambda _, __: row), MARKS)
    with engine.begin() as connection, pytest.raises(ValueError, match=text):
        model.apply(connection, recorded(Opened(AccountId(Uuid.v4().value))))


def test_a_text_that_a_database_changes(engine: Engine) -> None:
    """A row with such a text is refused, by the name of its field, before anything is sent."""
    model = TableReadModel(ReadModel("sights", Sight[int]).on(Seen, key_of, sighted), SIGHTS)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    seen = recorded(Seen("here", 1, at), Seen("here", 1, at, Label("\ud800")))
    with (
        engine.begin() as connection,
        pytest.raises(ValueError, match=r"^Sight\.label: expected a text without lone surrogates; refuse it"),
    ):
        model.apply(connection, seen)


def test_a_stored_row_that_its_class_refuses(engine: Engine) -> None:
    """The error of the constructor says of which class the row is."""

    @frozen
    class Short:
        place: str = field()

        @place.validator
        def _check(self, _: object, value: str) -> None:
            if len(value) > 3:
                raise ValueError("too long")

    with engine.begin() as connection:
        connection.execute(sa.insert(MARKS).values(place="here"))
    model = TableReadModel(ReadModel("marks", Short).on(Seen, lambda event: event.place, lambda row, _: row), MARKS)
    with engine.begin() as connection, pytest.raises(ValueError, match="too long") as caught:
        model.apply(connection, recorded(Seen("here", 1, datetime(2026, 3, 1, tzinfo=UTC))))
    assert ["a stored row of test_a_stored_row_that_its_class_refuses.<locals>.Short"] == caught.value.__notes__


MaybeLabel = TypeAliasType("MaybeLabel", Annotated[Label | None, "perhaps"])
NewLabel = NewType("NewLabel", Label)


class Name(ValueObject[str]): ...


def _class_of(hint: Any) -> type[Any]:
    return attrs.make_class("Two", {"place": field(type=str), "other": field(type=hint)}, frozen=True)


TWO = Table("two", MetaData(), Column("place", sa.Text, primary_key=True), Column("other", sa.Text))


@pytest.mark.parametrize(
    "hint",
    [
        Label | Name,
        Label | Name | None,
        Label | str,
        Annotated[Label | Name, "one of two"],
        MaybeLabel | Name,
        datetime | str,
        Size | int,
        UUID | str,
        Decimal | str,
    ],
    ids=str,
)
def test_a_union_that_a_column_does_not_distinguish(hint: object) -> None:
    """It is refused when the read model is made, by the name of its field, rather than loaded as something else."""
    with pytest.raises(UnsupportedTypeError, match=r"^Two\.other: expected .*; "):
        TableReadModel(ReadModel("two", _class_of(hint)), TWO)


@pytest.mark.parametrize("hint", [MaybeLabel, NewLabel, Annotated[Label, "one"], Label | None], ids=str)
def test_a_value_object_behind_another_name(engine: Engine, hint: object) -> None:
    """An alias, a new name or an annotation is loaded as what it stands for."""
    cls, found = _class_of(hint), list[object]()

    def step(row: Any, event: Seen) -> Any:
        found.append(row)
        return cls(event.place, Label("new"))

    model = TableReadModel(ReadModel("two", cls).on(Seen, lambda event: event.place, step), TWO)
    TWO.create(engine)
    for number in range(2):
        with engine.begin() as connection:
            model.apply(connection, recorded(Seen("here", number, datetime(2026, 7, 1, tzinfo=UTC))))
    assert [None, cls("here", Label("new"))] == found


def test_columns_that_are_not_the_fields() -> None:
    """The columns are the fields: others are refused by name."""
    text = r"^table 'marks': expected the columns account_id, deposits, total, the fields of Balance, got place; make"
    with pytest.raises(ValueError, match=text):
        TableReadModel(ReadModel("balances", Balance), MARKS)


def test_a_table_without_a_primary_key() -> None:
    """Rows need a key, those of a function too."""
    table = Table("loose", MetaData(), Column("place", sa.Text))
    with pytest.raises(ValueError, match=r"^table 'loose': expected a primary key, got none; declare one$"):
        TableReadModel(ReadModel("loose", Mark), table)
    with pytest.raises(ValueError, match=r"^table 'loose': expected a primary key"):
        FunctionReadModel("loose", table)


def test_a_function_for_a_class() -> None:
    """Each class of events has one function; names and versions are as for a ReadModel."""
    model = FunctionReadModel("marks", MARKS).on(Seen, lambda *_: None)
    with pytest.raises(
        TypeError,
        match=r"^read model 'marks': expected one function for each class, got a second one for Seen; remove one$",
    ):
        model.on(Seen, lambda *_: None)
    with pytest.raises(ValueError, match=r"^read model: expected a name that doesn't end with __rebuild, got 'a__r"):
        FunctionReadModel("a__rebuild", MARKS)
    with pytest.raises(ValueError, match=r"^read model 'marks': expected a version of 1 or more, got 0; count from 1$"):
        FunctionReadModel("marks", MARKS, version=0)
    assert "FunctionReadModel(marks)" == repr(model)
    assert account_of is balances().folds[Opened].key
