"""Aggregates in several tables: they are stored whole, read whole, and each with few statements."""

import re
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve, frozen
from databases import METADATA as OUTBOXES
from databases import OUTBOX, Database, stored_messages
from hypothesis import given
from hypothesis import strategies as st
from order_tables import (
    LINES,
    MAPPER,
    METADATA,
    NOTES,
    ORDERS,
    Line,
    LineTable,
    Order,
    OrderId,
    OrderMapper,
    Orders,
    new_order,
)
from returns.result import Failure, Success
from sizes import at_full
from sqlalchemy import (
    JSON,
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    Uuid,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from domainkit import (
    AggregateNotFoundError,
    AggregateRoot,
    AggregateVersionConflictError,
    DomainError,
    DomainEvent,
    ValueObject,
)
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    Children,
    ChildTable,
    SqlCrudRepository,
    TablesMapper,
    UnitOfWork,
    child_rows,
    make_engine,
    refusing,
)

MANY = at_full(100_000)
SKUS = [f"sku {number}" for number in range(50)]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA, OUTBOXES) as made:
        yield made


@pytest.fixture
def orders(engine: Engine) -> Orders:
    """Return a repository with an outbox."""
    return Orders(Order, ORDERS, UnitOfWork(engine, outbox=OUTBOX), mapper=MAPPER, order_by=ORDERS.c.id)


def sent(engine: Engine, work: Callable[[], object]) -> list[str]:
    """Return the statements that the engine sends for some work, shortened to what they do with which table."""
    found: list[str] = []

    def see(_: Any, __: Any, statement: str, *___: Any) -> None:
        words = statement.split()
        after = {"UPDATE": "UPDATE", "INSERT": "INTO"}.get(words[0], "FROM")
        found.append(f"{words[0]} {words[words.index(after) + 1]}")

    event.listen(engine, "before_cursor_execute", see)
    try:
        work()
    finally:
        event.remove(engine, "before_cursor_execute", see)
    return found


def rows_of(engine: Engine, table: Table) -> int:
    """Return how many rows a table has."""
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


# What is stored comes back


def test_children_keep_their_order(orders: Orders) -> None:
    """It is that of the aggregate, not of any column, also after an update in which they swap what must be unique."""
    order = orders.save(new_order("c", "a", "b")).unwrap()
    assert Success(order) == orders.retrieve(order.aggregate_id)

    swapped = orders.update(evolve(order, lines=order.lines[::-1], notes=("One",))).unwrap()
    assert ["b", "a", "c"] == [line.sku for line in swapped.lines]
    assert Success(swapped) == orders.retrieve(order.aggregate_id)


def test_an_aggregate_may_be_without_children(orders: Orders) -> None:
    """It is found, and can get some and lose them again."""
    order = orders.save(Order("Ada")).unwrap()
    assert Success((order,)) == orders.retrieve_all()

    full = orders.update(evolve(order, lines=(Line("a"),))).unwrap()
    assert Success(full) == orders.retrieve(order.aggregate_id)
    empty = orders.update(evolve(full, lines=())).unwrap()
    assert Success(empty) == orders.retrieve(order.aggregate_id)


@given(st.lists(st.lists(st.tuples(st.sampled_from(SKUS[:5]), st.integers(0, 2)), unique_by=lambda one: one[0])))
def test_whatever_an_update_changes_is_read(histories: list[list[tuple[str, int]]]) -> None:
    """After each of any updates the stored children are those of the aggregate: no more, and in the same order."""
    engine = make_engine("sqlite://")
    METADATA.create_all(engine)
    orders = Orders(Order, ORDERS, UnitOfWork(engine), mapper=MAPPER, order_by=ORDERS.c.id)
    order, other = orders.save(Order("Ada")).unwrap(), orders.save(new_order("a")).unwrap()
    for lines in histories:
        order = orders.update(evolve(order, lines=tuple(Line(sku, count) for sku, count in lines))).unwrap()
        assert Success(order) == orders.retrieve(order.aggregate_id)
    assert Success(other) == orders.retrieve(other.aggregate_id)
    engine.dispose()


@pytest.mark.parametrize(("before", "after"), [(1, True), (1.0, 1), ("1", 1)])
def test_a_value_that_is_equal_and_not_the_same_is_stored(orders: Orders, before: object, after: object) -> None:
    """In JSON, true is not 1: an update that changes the one into the other is one."""
    order = orders.save(Order("Ada", (Line("a", options={"gift": before}),))).unwrap()
    orders.update(evolve(order, lines=(Line("a", options={"gift": after}),))).unwrap()

    assert repr(after) == repr(orders.retrieve(order.aggregate_id).unwrap().lines[0].options["gift"])


# Few statements, whatever the number of children and aggregates is


def test_a_save_is_one_statement_for_a_table(engine: Engine, orders: Orders) -> None:
    """Not one for each child; the events come last, and a table without rows costs nothing."""
    every = sent(engine, lambda: orders.save(new_order(*SKUS).record(DomainEvent())))
    assert ["INSERT orders", "INSERT lines", "INSERT notes", "INSERT outbox"] == every
    assert ["INSERT orders"] == sent(engine, lambda: orders.save(Order("Ada")))


def test_an_update_writes_the_difference(engine: Engine, orders: Orders) -> None:
    """Of a table where nothing changed nothing is written; else what is gone goes at once, and what is new comes."""
    order = orders.save(new_order(*SKUS)).unwrap()
    same = sent(engine, lambda: orders.update(order))
    assert ["UPDATE orders", "SELECT lines", "SELECT notes"] == same

    order = orders.retrieve(order.aggregate_id).unwrap()
    moved = evolve(order, lines=(*order.lines[1:], Line("new"), Line("newer")))
    every = sent(engine, lambda: orders.update(moved))
    assert [*same, "DELETE lines", "INSERT lines"] == every


def test_a_child_that_is_the_same_keeps_its_row(engine: Engine, orders: Orders) -> None:
    """A row that stays the same keeps columns that the mapper doesn't know, such as a key from the database."""
    order = orders.save(new_order("a", "b", "c")).unwrap()
    by_sku = select(LINES.c.sku, LINES.c.id)
    with engine.connect() as connection:
        before = {row.sku: row.id for row in connection.execute(by_sku)}
    orders.update(evolve(order, lines=(Line("a"), Line("d"), Line("c")))).unwrap()
    with engine.connect() as connection:
        after = {row.sku: row.id for row in connection.execute(by_sku)}

    assert (before["a"], before["c"]) == (after["a"], after["c"])
    assert {"a", "d", "c"} == set(after)


def test_all_are_read_with_one_statement_for_a_table(engine: Engine, orders: Orders) -> None:
    """For one aggregate, for all, for a page and for each batch of a stream: never one for each aggregate."""
    for number in range(6):
        orders.save(new_order("a", "b", customer=str(number))).unwrap()
    three = ["SELECT orders", "SELECT orders", "SELECT orders"]  # the children's begin with the root too
    first = orders.retrieve_all().unwrap()[0]

    assert three == sent(engine, lambda: orders.retrieve(first.aggregate_id))
    assert three == sent(engine, orders.retrieve_all)
    assert three == sent(engine, lambda: orders.find(ORDERS.c.customer > "0", limit=4))
    assert three * 2 + ["SELECT orders"] == sent(engine, lambda: list(orders.stream(batch=3)))
    assert ["SELECT orders"] == sent(engine, lambda: orders.retrieve(OrderId.v4()))


def test_more_than_a_statement_takes_are_read(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement has a limit of values: the children of very many aggregates are read with some of them."""
    monkeypatch.setattr(child_rows, "_ROOTS_PER_STATEMENT", 2)
    saved = [orders.save(new_order("a", customer=str(number))).unwrap() for number in range(5)]

    assert sorted(saved, key=lambda one: one.aggregate_id.value) == list(orders.retrieve_all().unwrap())
    assert 5 == len(orders.find().unwrap()) == len(list(orders.stream(batch=5)))


def test_pages_are_found_by_children(orders: Orders) -> None:
    """A condition may ask for the rows of a child table."""
    orders.save(new_order("a", "b")).unwrap()
    wanted = orders.save(new_order("b", "c")).unwrap()
    with_c = ORDERS.c.id.in_(select(LINES.c.order_id).where(LINES.c.sku == "c"))

    assert Success((wanted,)) == orders.find(with_c)


# Removed, refused: whole or not at all


def test_an_aggregate_is_removed_with_its_children(engine: Engine, orders: Orders) -> None:
    """The root is locked first, as by an update: two who began at different ends would wait for each other."""
    kept, first, second = (orders.save(new_order("a", "b")).unwrap() for _ in range(3))
    every = ["SELECT orders", "DELETE lines", "DELETE notes", "DELETE orders"]

    assert every == sent(engine, lambda: orders.remove(first.aggregate_id).unwrap())
    assert every == sent(engine, lambda: orders.remove_aggregate(second).unwrap())
    assert (1, 2, 2) == tuple(rows_of(engine, table) for table in (ORDERS, LINES, NOTES))
    assert Success((kept,)) == orders.retrieve_all()
    assert isinstance(orders.remove(first.aggregate_id).failure(), AggregateNotFoundError)
    assert isinstance(orders.remove_aggregate(second).failure(), AggregateNotFoundError)


def test_a_stale_aggregate_changes_no_child(orders: Orders) -> None:
    """Neither update nor remove_aggregate; nor does a save under an id that exists."""
    stale = orders.save(new_order("a", "b")).unwrap()
    stored = orders.update(evolve(stale, lines=(Line("c"),))).unwrap()

    assert isinstance(orders.update(evolve(stale, lines=())).failure(), AggregateVersionConflictError)
    assert isinstance(orders.remove_aggregate(stale).failure(), AggregateVersionConflictError)
    assert isinstance(orders.save(evolve(stale, lines=())), Failure)
    assert Success(stored) == orders.retrieve(stored.aggregate_id)


def test_what_is_refused_in_a_child_table_stores_nothing(engine: Engine, orders: Orders) -> None:
    """Root, children and events are in one transaction."""
    with pytest.raises(IntegrityError):
        orders.save(new_order("a", "a").record(DomainEvent()))
    order = orders.save(new_order("a")).unwrap()
    with pytest.raises(IntegrityError):
        orders.update(evolve(order, customer="Bob", lines=(Line("b"), Line("b"))).record(DomainEvent()))

    assert Success((order,)) == orders.retrieve_all()
    assert [] == stored_messages(engine)


def test_a_constraint_of_a_child_table_is_an_error_of_the_domain(orders: Orders, engine: Engine) -> None:
    """As that of any other: refusing is told the table."""

    class SkuTwice(DomainError): ...

    unit_of_work = UnitOfWork(engine)
    mine = Orders(Order, ORDERS, unit_of_work, mapper=MAPPER, order_by=ORDERS.c.id)
    save = refusing(mine.save, SkuTwice, constraint="uq_lines_sku", table=LINES, unit_of_work=unit_of_work)

    assert Failure(SkuTwice()) == save(new_order("a", "a"))
    assert Success(()) == orders.retrieve_all()


@pytest.mark.parametrize("options", [{"ondelete": "CASCADE"}, {"deferrable": True, "initially": "DEFERRED"}], ids=str)
def test_foreign_keys_of_all_kinds_go(database: Database, options: dict[str, Any]) -> None:
    """A database that removes the children itself, or looks at the end, changes nothing."""
    metadata = MetaData()
    roots = ORDERS.to_metadata(metadata)
    lines = Table(
        "lines",
        metadata,
        Column("order_id", Uuid(), ForeignKey("orders.id", **options), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("sku", Text),
        Column("quantity", Integer),
        Column("options", JSON),
    )
    table = LineTable(lines, parent=lines.c.order_id)

    class Mapper(OrderMapper):
        def from_row(self, row: RowMapping, children: Children[Order]) -> Order:
            return Order(row["customer"], children[table], aggregate_id=OrderId(row["id"]))

    with database.engine(metadata) as engine:
        orders = Orders(Order, roots, UnitOfWork(engine), mapper=Mapper(table), order_by=roots.c.id)
        order = orders.save(Order("Ada", (Line("a"), Line("b")))).unwrap()
        orders.update(evolve(order, lines=(Line("b"),))).unwrap()
        assert [Line("b")] == list(orders.retrieve(order.aggregate_id).unwrap().lines)
        orders.remove(order.aggregate_id).unwrap()
        assert 0 == rows_of(engine, lines)


# Others at the same time


def test_one_of_those_who_race_adds_its_lines(orders: Orders) -> None:
    """Each retries until its line is stored: all of them are, in some order, and nothing else."""
    order_id = orders.save(Order("Ada")).unwrap().aggregate_id

    def add(sku: str) -> None:
        while True:
            order = orders.retrieve(order_id).unwrap()
            assert order.aggregate_version == len(order.lines) + 1  # what was read is of one moment
            if isinstance(orders.update(evolve(order, lines=(*order.lines, Line(sku)))), Success):
                return

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, SKUS[:24]))

    assert sorted(SKUS[:24]) == sorted(line.sku for line in orders.retrieve(order_id).unwrap().lines)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # SQLite shows a reader one moment
@pytest.mark.parametrize("in_unit", [False, True])
def test_root_and_children_are_of_one_version(database: Database, *, in_unit: bool) -> None:
    """One that is updated between the statements is read again, if it still is what was asked for; or not at all."""
    with ExitStack() as opened:
        engine, other = (opened.enter_context(database.engine(METADATA)) for _ in range(2))
        unit_of_work = UnitOfWork(engine)
        orders, behind = (
            Orders(Order, ORDERS, one, mapper=MAPPER, order_by=ORDERS.c.id) for one in (unit_of_work, UnitOfWork(other))
        )
        saved = [behind.save(new_order("a", customer=str(number))).unwrap() for number in range(4)]
        updated = evolve(saved[0], lines=(Line("b"), Line("c")), notes=())
        left: list[Callable[[], object]] = [
            lambda: behind.update(updated).unwrap(),
            lambda: behind.update(evolve(saved[1], customer="9", notes=())).unwrap(),
            lambda: behind.remove(saved[2].aggregate_id).unwrap(),
        ]

        def meanwhile(_: Any, __: Any, statement: str, *___: Any) -> None:
            if left and "JOIN notes" in statement:
                while left:
                    left.pop()()

        event.listen(engine, "before_cursor_execute", meanwhile)
        if in_unit:
            opened.enter_context(unit_of_work.begin())
        found = orders.find(ORDERS.c.customer < "9").unwrap()

    expected = [evolve(updated, aggregate_version=2), saved[3]]
    assert {one.aggregate_id: one for one in expected} == {one.aggregate_id: one for one in found}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # as above
def test_one_that_is_removed_while_it_is_read_is_not_found(database: Database) -> None:
    """As if it had been removed before."""
    with database.engine(METADATA) as engine, database.engine(METADATA) as other:
        orders, behind = (
            Orders(Order, ORDERS, UnitOfWork(one), mapper=MAPPER, order_by=ORDERS.c.id) for one in (engine, other)
        )
        order = orders.save(new_order("a")).unwrap()

        @event.listens_for(engine, "before_cursor_execute")
        def meanwhile(_: Any, __: Any, statement: str, *___: Any) -> None:
            if "JOIN lines" in statement:
                behind.remove(order.aggregate_id)

        assert isinstance(orders.retrieve(order.aggregate_id).failure(), AggregateNotFoundError)


def test_what_others_change_in_child_tables_is_theirs_until_the_next_update(engine: Engine, orders: Orders) -> None:
    """It is read as it stands, by its positions; an update stores the aggregate as it is given."""
    order = orders.save(new_order("a", "b", "c")).unwrap()
    with engine.begin() as connection:
        connection.execute(delete(LINES).where(LINES.c.sku == "a"))
        connection.execute(update(LINES).where(LINES.c.sku == "b").values(quantity=7))
        added = {"order_id": order.aggregate_id.value, "place": 9, "sku": "z", "quantity": 1, "options": {}}
        connection.execute(insert(LINES), added)
    read = orders.retrieve(order.aggregate_id).unwrap()
    assert (Line("b", 7), Line("c"), Line("z")) == read.lines

    orders.update(order).unwrap()
    assert order.lines == orders.retrieve(order.aggregate_id).unwrap().lines
    shorter = orders.update(evolve(read, aggregate_version=2)).unwrap()
    assert read.lines == orders.retrieve(order.aggregate_id).unwrap().lines == shorter.lines


def test_children_that_were_left_behind_are_no_one_elses(engine: Engine, orders: Orders) -> None:
    """Children whose root was deleted by hand are reported when an aggregate of this id is saved anew."""
    order = orders.save(new_order()).unwrap()
    with engine.begin() as connection:
        connection.execute(delete(ORDERS))

    assert Success(()) == orders.retrieve_all()
    with pytest.raises(IntegrityError):
        orders.save(evolve(order, notes=("Mine",)))


# Refused before anything is sent


class _Given(ChildTable[Order, dict[str, object]]):
    """Rows as a test gives them."""

    given: tuple[dict[str, object], ...]

    def children(self, aggregate: Order) -> tuple[dict[str, object], ...]:
        return self.given

    def to_row(self, child: dict[str, object]) -> dict[str, object]:
        return child

    def from_row(self, row: RowMapping) -> dict[str, object]:
        return dict(row)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([{"text": "x", "txt": "s3cret"}], "txt"),
        ([{"text": "x", "position": 0}], "position"),
        ([{"text": "x", "order_id": None}], "order_id"),
        ([{"text": "x"}, {}], "text"),
        ([{}, {"text": "s3cret"}], "text"),
    ],
)
def test_rows_with_other_columns_are_refused(engine: Engine, rows: list[dict[str, object]], found: str) -> None:
    """SQLAlchemy would leave out what only a later row has; the columns of the repository are not given."""
    notes = _Given(NOTES, parent=NOTES.c.order_id)
    notes.given = tuple(rows)
    orders = Orders(Order, ORDERS, UnitOfWork(engine), mapper=OrderMapper(notes), order_by=ORDERS.c.id)
    text = (
        f"child table 'notes': expected each row to have the same columns of the table, without order_id and position, "
        f"got one that differs in {found}; correct to_row"
    )

    def write() -> None:
        for method in (orders.save, orders.update):
            with pytest.raises(ValueError, match=re.escape(text)):
                method(new_order())

    assert [] == sent(engine, write)


def test_a_text_that_no_database_keeps_is_refused(engine: Engine) -> None:
    """A NUL in the text of a child is a ValueError that names class and column, before anything is sent."""
    notes = _Given(NOTES, parent=NOTES.c.order_id)
    notes.given = ({"text": "s3cret\0"},)
    orders = Orders(Order, ORDERS, UnitOfWork(engine), mapper=OrderMapper(notes), order_by=ORDERS.c.id)

    def write() -> None:
        with pytest.raises(
            ValueError, match=r"^Order: column 'text': expected a text without NUL characters"
        ) as raised:
            orders.save(new_order())
        assert "s3cret" not in str(raised.value)

    assert [] == sent(engine, write)


class Sku(ValueObject[str]): ...


@frozen
class Article(AggregateRoot[Sku]):
    tags: tuple[str, ...] = ()


def test_an_id_that_only_the_child_table_does_not_take_is_refused(database: Database) -> None:
    """It is as long as the column of the shortest table takes."""
    metadata = MetaData()
    roots = Table(
        "articles",
        metadata,
        Column("id", String(10), primary_key=True),
        Column("version", Integer, nullable=False),
    )
    tags = Table(
        "tags",
        metadata,
        Column("article", String(3), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("tag", Text),
    )

    class Tags(ChildTable[Article, str]):
        def children(self, aggregate: Article) -> tuple[str, ...]:
            return aggregate.tags

        def to_row(self, child: str) -> dict[str, object]:
            return {"tag": child}

        def from_row(self, row: RowMapping) -> str:
            return str(row["tag"])

    table = Tags(tags, parent=tags.c.article)

    class Mapper(TablesMapper[Article]):
        def to_row(self, aggregate: Article) -> dict[str, object]:
            return {}

        def from_row(self, row: RowMapping, children: Children[Article]) -> Article:
            return Article(children[table], aggregate_id=Sku(row["id"]), aggregate_version=row["version"])

    with database.engine(metadata) as engine:
        articles = SqlCrudRepository[Article, Sku](
            Article, roots, UnitOfWork(engine), mapper=Mapper(table), order_by=roots.c.id
        )
        saved = articles.save(Article(("red", "red"), aggregate_id=Sku("abc"))).unwrap()
        assert Success(saved) == articles.retrieve(Sku("abc"))
        with pytest.raises(ValueError, match=r"^Sku: expected an id that a database can store.* at most 3 characters"):
            articles.save(Article(aggregate_id=Sku("abcd")))


def test_a_row_that_cannot_be_read_is_told(engine: Engine, orders: Orders) -> None:
    """An exception of the mapper has notes: which child of which aggregate."""
    order = orders.save(new_order("a", "b")).unwrap()
    with engine.begin() as connection:
        connection.execute(update(LINES).where(LINES.c.sku == "b").values(quantity=-1))

    with pytest.raises(ArithmeticError) as raised:
        orders.retrieve(order.aggregate_id)
    assert ["child table 'lines', position 1", f"table 'orders', id {order.aggregate_id}"] == raised.value.__notes__


# To await


async def test_children_to_await(database: Database) -> None:
    """The async twin does the same; it streams in constant memory."""
    async with database.async_engine(METADATA) as engine:
        with database.engine() as plain, plain.begin() as connection:
            for start in range(0, MANY, 5000):
                ids = [UUID(int=number) for number in range(start, min(start + 5000, MANY))]
                connection.execute(insert(ORDERS), [{"id": one, "version": 1, "customer": "Ada"} for one in ids])
                places = [{"order_id": one, "position": place, "text": "x"} for one in ids for place in range(3)]
                connection.execute(insert(NOTES), places)
        orders = AsyncSqlCrudRepository[Order, OrderId](
            Order, ORDERS, AsyncUnitOfWork(engine), mapper=MAPPER, order_by=ORDERS.c.id
        )
        order = (await orders.save(new_order("a", "b"))).unwrap()
        changed = (await orders.update(evolve(order, lines=(Line("b"),)))).unwrap()
        assert Success(changed) == await orders.retrieve(order.aggregate_id)
        await orders.remove_aggregate(changed)
        tracemalloc.start()
        try:
            count = 0
            async for one in orders.stream(batch=100):
                count += len(one.notes)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert MANY * 3 == count
    assert peak < 1_500_000, f"{peak:,} bytes for {MANY:,} orders"
