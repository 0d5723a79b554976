"""Child tables that could not work are refused when they, or the repository, are made."""

from collections.abc import Iterator
from typing import Any

import pytest
from order_tables import (
    LINES,
    MAPPER,
    NOTES,
    ORDER_LINES,
    ORDER_NOTES,
    ORDERS,
    LineTable,
    NoteTable,
    Order,
    OrderId,
    OrderMapper,
    Orders,
    new_order,
)
from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint, Uuid

from domainkit import make_converter
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    UnitOfWork,
    make_async_engine,
    make_engine,
)


@pytest.fixture
def unit_of_work() -> Iterator[UnitOfWork]:
    """Return a unit of work over a database that nobody connects with."""
    engine = make_engine("sqlite:///never")
    yield UnitOfWork(engine)
    engine.dispose()


def notes(metadata: MetaData | None = None, name: str = "notes", **changes: Column[Any] | None) -> Table:
    """Return a table for notes with some columns changed or left out."""
    whole: dict[str, Column[Any] | None] = {
        "order_id": Column("order_id", Uuid(), primary_key=True),
        "position": Column("position", Integer, primary_key=True),
        "text": Column("text", Text),
    }
    given = [column for column in (whole | changes).values() if column is not None]
    return Table(name, MetaData() if metadata is None else metadata, *given)


def test_the_columns_are_of_the_table() -> None:
    """The parent's id and the position stand in columns of their own."""
    table = notes()
    for parent, position in (
        (LINES.c.order_id, None),
        (table.c.order_id, NOTES.c.position),
    ):
        with pytest.raises(ValueError, match=r"^child table 'notes': expected two of its columns, got "):
            NoteTable(table, parent=parent, position=position)
    without = notes(position=None)
    with pytest.raises(ValueError, match=r"got notes\.order_id for the parent's id and None for the position; pass"):
        NoteTable(without, parent=without.c.order_id)


def test_a_position_is_an_integer() -> None:
    """Texts have another order: 10 comes before 9."""
    table = notes(position=Column("position", Text, primary_key=True))
    text = r"^child table 'notes': expected the column position to have an integer type, got Text"
    with pytest.raises(ValueError, match=text):
        NoteTable(table, parent=table.c.order_id)


def test_a_position_is_taken_once() -> None:
    """Two children in one place would have no order: a primary key, a constraint or an index prevents it."""
    no_key, no_keys = Column("order_id", Uuid()), Column("position", Integer)
    plain = notes(order_id=no_key, position=no_keys)
    Index("ix", plain.c.order_id, plain.c.position)
    more = notes(text=Column("text", Text, primary_key=True))
    for table in (plain, more):
        with pytest.raises(
            ValueError, match=r"^child table 'notes': expected a primary key or unique constraint of order_id and posi"
        ):
            NoteTable(table, parent=table.c.order_id)

    plain.append_constraint(UniqueConstraint("position", "order_id"))
    Index("ux", more.c.order_id, more.c.position, unique=True)
    for table in (plain, more):
        assert table.c.position is NoteTable(table, parent=table.c.order_id).position


def refused(unit_of_work: UnitOfWork, *tables: Table, root: Table = ORDERS) -> str:
    """Return the text of the error for child tables."""
    first, *others = (NoteTable(table, parent=table.c.order_id) for table in tables)
    with pytest.raises(ValueError, match="^child table|^table") as raised:  # noqa: RUF043  (two texts)
        Orders(Order, root, unit_of_work, mapper=OrderMapper(first, *others), order_by=root.c.id)
    return str(raised.value)


def test_a_child_table_is_in_the_metadata_of_its_root(unit_of_work: UnitOfWork) -> None:
    """Whoever creates the root's table, and a migration, knows the child table too."""
    text = (
        "child table 'notes': expected a table in the MetaData of 'orders', got one in another; "
        "create both in the same MetaData"
    )
    assert text == refused(unit_of_work, notes())


def test_a_child_table_is_no_other_one_too(unit_of_work: UnitOfWork) -> None:
    """Neither the root's, nor that of other children: each would remove the rows of the other."""
    root = notes(id=Column("id", Uuid(), unique=True), version=Column("version", Integer))
    text = "child table 'notes': expected each table once, got one that is in use already; use another table"
    assert text == refused(unit_of_work, root, root=root)
    assert text == refused(unit_of_work, NOTES, NOTES)


def test_the_column_for_the_parent_takes_its_ids(unit_of_work: UnitOfWork) -> None:
    """It has their type."""
    root = ORDERS.to_metadata(MetaData())
    table = notes(root.metadata, order_id=Column("order_id", Text, primary_key=True))
    text = (
        "table 'notes': expected the column order_id to have the type sqlalchemy.Uuid() for ids of the class "
        "OrderId, got Text(); give the column that type"
    )
    assert text == refused(unit_of_work, table, root=root)


def test_the_column_for_the_parent_refers_to_it(unit_of_work: UnitOfWork) -> None:
    """A foreign key to something else shows that it is another column."""
    root = ORDERS.to_metadata(MetaData())
    table = notes(root.metadata, order_id=Column("order_id", Uuid(), ForeignKey("customers.id"), primary_key=True))
    text = (
        "child table 'notes': expected the column order_id to refer to orders.id, got a foreign key to customers.id; "
        "pass another column as `parent=`"
    )
    assert text == refused(unit_of_work, table, root=root)


def test_child_tables_do_not_refer_to_each_other(unit_of_work: UnitOfWork) -> None:
    """A changed row is replaced: a foreign key to it would remove others with it, or refuse that."""
    root = ORDERS.to_metadata(MetaData())
    first = notes(root.metadata, "first")
    second = notes(root.metadata, "second", text=Column("text", Text, ForeignKey("first.text")))
    itself = notes(root.metadata, "itself", text=Column("text", Text, ForeignKey("itself.text")))
    outside = notes(root.metadata, "outside", text=Column("text", Text, ForeignKey("first.text")))
    for tables, name, other in (((first, second), "second", "first"), ((itself,), "itself", "itself")):
        text = (
            f"child table '{name}': expected no foreign key to a child table, since changed rows are "
            f"replaced, got one to {other}; refer to 'orders' only"
        )
        assert text == refused(unit_of_work, *tables, root=root)
    Orders(
        Order,
        root,
        unit_of_work,
        mapper=OrderMapper(NoteTable(outside, parent=outside.c.order_id)),
        order_by=root.c.id,
    )


def test_a_mapper_of_tables_has_no_converter(unit_of_work: UnitOfWork) -> None:
    """As one of a row hasn't."""
    with pytest.raises(TypeError, match=r"^Order: expected a mapper alone"):
        Orders(Order, ORDERS, unit_of_work, mapper=MAPPER, converter=make_converter())


async def test_the_async_twin_refuses_the_same() -> None:
    """The refusal comes as soon as it is made."""
    engine = make_async_engine("sqlite+aiosqlite:///never")
    table = notes()
    mapper = OrderMapper(NoteTable(table, parent=table.c.order_id))
    with pytest.raises(ValueError, match=r"^child table 'notes': expected a table in the MetaData of 'orders'"):
        AsyncSqlCrudRepository[Order, OrderId](
            Order, ORDERS, AsyncUnitOfWork(engine), mapper=mapper, order_by=ORDERS.c.id
        )
    await engine.dispose()


def test_a_mapper_reads_the_child_tables_that_it_was_made_with() -> None:
    """One that was forgotten is told, by its name."""
    engine = make_engine("sqlite://")
    ORDERS.metadata.create_all(engine)
    forgetful = OrderMapper(LineTable(LINES, parent=LINES.c.order_id, position=LINES.c.place))
    orders = Orders(Order, ORDERS, UnitOfWork(engine), mapper=forgetful, order_by=ORDERS.c.id)
    order = orders.save(new_order("a")).unwrap()

    with pytest.raises(ValueError, match=r"^Children: expected a child table of the mapper \(lines\)"):
        orders.retrieve(order.aggregate_id)
    engine.dispose()
    assert (ORDER_LINES, ORDER_NOTES) == MAPPER.child_tables
