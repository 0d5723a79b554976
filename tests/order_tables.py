"""Orders with lines and notes in tables of their own, for the tests of child tables."""

from collections.abc import Mapping

from attrs import frozen
from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from domainkit import AggregateRoot
from domainkit.adapters.sqlalchemy import Children, ChildTable, SqlCrudRepository, TablesMapper
from domainkit.values import Uuid as Id


class OrderId(Id): ...


@frozen
class Line:
    sku: str
    quantity: int = 1
    options: Mapping[str, object] = {}


@frozen
class Order(AggregateRoot[OrderId]):
    customer: str
    lines: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()


METADATA = MetaData()
ORDERS = Table(
    "orders",
    METADATA,
    Column("id", Uuid(), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("customer", String, nullable=False),
)
LINES = Table(
    "lines",
    METADATA,
    Column("id", Integer, primary_key=True),  # a column that is called as the root's own
    Column("order_id", Uuid(), ForeignKey("orders.id"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("sku", Text, nullable=False),
    Column("qty", Integer, key="quantity", nullable=False),
    Column("options", JSON, nullable=False),
    UniqueConstraint("order_id", "place"),
    UniqueConstraint("order_id", "sku", name="uq_lines_sku"),
)
NOTES = Table(
    "notes",
    METADATA,
    Column("order_id", Uuid(), primary_key=True),  # without a foreign key
    Column("position", Integer, primary_key=True),
    Column("text", Text, nullable=False),
)


class LineTable(ChildTable[Order, Line]):
    def children(self, aggregate: Order) -> tuple[Line, ...]:
        return aggregate.lines

    def to_row(self, child: Line) -> Mapping[str, object]:
        return {"sku": child.sku, "quantity": child.quantity, "options": child.options}

    def from_row(self, row: RowMapping) -> Line:
        if row["quantity"] < 0:
            raise ArithmeticError
        return Line(row["sku"], row["quantity"], row["options"])


class NoteTable(ChildTable[Order, str]):
    def children(self, aggregate: Order) -> tuple[str, ...]:
        return aggregate.notes

    def to_row(self, child: str) -> Mapping[str, object]:
        return {"text": child}

    def from_row(self, row: RowMapping) -> str:
        return str(row["text"])


ORDER_LINES = LineTable(LINES, parent=LINES.c.order_id, position=LINES.c.place)
ORDER_NOTES = NoteTable(NOTES, parent=NOTES.c.order_id)


class OrderMapper(TablesMapper[Order]):
    def to_row(self, aggregate: Order) -> Mapping[str, object]:
        return {"customer": aggregate.customer}

    def from_row(self, row: RowMapping, children: Children[Order]) -> Order:
        return Order(
            row["customer"],
            children[ORDER_LINES],
            children[ORDER_NOTES],
            aggregate_id=OrderId(row["id"]),
            aggregate_version=row["version"],
        )


MAPPER = OrderMapper(ORDER_LINES, ORDER_NOTES)
Orders = SqlCrudRepository[Order, OrderId]


def new_order(*skus: str, customer: str = "Ada") -> Order:
    """Return an order with a line for each, and two notes."""
    return Order(customer, tuple(map(Line, skus)), ("Ring twice", "Fragile"))
