"""Aggregates of very many items: each way in and out takes as much work an item as for fewer."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from attrs import frozen
from databases import new_database
from order_tables import MAPPER, METADATA, ORDERS, Line, Order, Orders
from returns.result import Success
from sizes import FULL
from sqlalchemy import MetaData

from domainkit import AggregateRoot, Uuid, ValueObject
from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork, aggregate_table
from domainkit.states import state_form

FEW, MANY = (10_000, 100_000) if FULL else (300, 3_000)
MOST = 15
"""The most times the work for ten times as many items; if it grew with their square, it would be a hundred times."""


class ShelfId(Uuid): ...


class Title(ValueObject[str]): ...


@frozen
class Book:
    title: Title
    pages: int


@frozen
class Shelf(AggregateRoot[ShelfId]):
    books: tuple[Book, ...] = ()


FORM = state_form(Shelf, None, ())
SHELVES = aggregate_table(MetaData(), "shelves")


def steps_of(work: Callable[[], object]) -> int:
    """Return the number of calls that some work takes, of functions in Python and in C, and of their returns."""
    steps = 0

    def count(_: FrameType, __: str, ___: object) -> None:
        nonlocal steps
        steps += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return steps


def new_shelf(items: int) -> Shelf:
    """Return a shelf with that many books."""
    return Shelf(tuple([Book(Title(f"Volume {number}"), number) for number in range(items)]))


def build(items: int) -> Callable[[], object]:
    """Return work that makes an aggregate and its items."""
    return lambda: new_shelf(items)


def write(items: int) -> Callable[[], object]:
    """Return work that makes the state of an aggregate."""
    shelf = new_shelf(items)
    return lambda: FORM.write(shelf)


def read(items: int) -> Callable[[], object]:
    """Return work that makes an aggregate of its state."""
    shelf = new_shelf(items)
    state = FORM.write(shelf)
    return lambda: FORM.read(state, shelf.aggregate_id, 1)


def explain(items: int) -> Callable[[], object]:
    """Return work that makes an aggregate of a state with keys that the class no longer has."""
    shelf_id = ShelfId.v4()
    state = {"books": [{"title": "Volume", "pages": 1, "shelf": 2}] * items}
    return lambda: FORM.load(state, shelf_id, 1)


@pytest.mark.parametrize("way", [build, write, read, explain])
def test_an_item_takes_as_much_work_among_many(way: Callable[[int], Callable[[], object]]) -> None:
    """An aggregate is made, written and read in a number of steps that grows with its items, and not faster."""
    for work in (way(1), way(1)):  # what is made when it is first needed is made
        work()
    few, many = steps_of(way(FEW)), steps_of(way(MANY))
    assert many <= MOST * few, f"{few:,} steps for {FEW:,} items, {many:,} for {MANY:,}"


@pytest.mark.parametrize("in_tables", [False, True], ids=["state", "child tables"])
def test_an_item_takes_as_much_work_in_a_database(tmp_path: Path, *, in_tables: bool) -> None:
    """To save, to change and to load takes a number of steps that grows with the items, with child tables as well."""
    with new_database("sqlite", tmp_path) as database, database.engine(METADATA) as engine:
        unit_of_work = UnitOfWork(engine)
        SHELVES.metadata.create_all(engine)
        orders = Orders(Order, ORDERS, unit_of_work, mapper=MAPPER, order_by=ORDERS.c.id)
        shelves = SqlCrudRepository[Shelf, ShelfId](Shelf, SHELVES, unit_of_work)

        def through_tables(items: int) -> None:
            order = orders.save(Order("Ada", tuple([Line(f"sku {one}") for one in range(items)]))).unwrap()
            changed = orders.update(Order("Eve", order.lines[1:], aggregate_id=order.aggregate_id)).unwrap()
            assert Success(changed) == orders.retrieve(order.aggregate_id)

        def through_state(items: int) -> None:
            shelf = shelves.save(new_shelf(items)).unwrap()
            assert Success(shelf) == shelves.retrieve(shelf.aggregate_id)

        through = through_tables if in_tables else through_state
        through(1)
        few, many = steps_of(lambda: through(FEW)), steps_of(lambda: through(MANY))
    assert many <= MOST * few, f"{few:,} steps for {FEW:,} items, {many:,} for {MANY:,}"
