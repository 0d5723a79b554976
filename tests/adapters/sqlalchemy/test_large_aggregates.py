"""Aggregates of very many items: each way in and out takes as much time an item as for fewer."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
from attrs import frozen
from databases import SQLITE, new_database
from order_tables import MAPPER, METADATA, ORDERS, Line, Order, Orders
from sizes import FULL
from sqlalchemy import Engine

from domainkit import AggregateRoot, Uuid, ValueObject
from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork, aggregate_table
from domainkit.states import StateForm, state_form

FEW, MANY = (10_000, 100_000) if FULL else (1_000, 10_000)


class ShelfId(Uuid): ...


class Title(ValueObject[str]): ...


@frozen
class Book:
    title: Title
    pages: int


@frozen
class Shelf(AggregateRoot[ShelfId]):
    books: tuple[Book, ...] = ()
