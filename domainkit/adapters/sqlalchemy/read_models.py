"""Read models in tables: rows that are folds of events, and functions that write with SQL of their own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar
from zlib import crc32

import sqlalchemy as sa
from attrs import define
from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite

from domainkit.adapters.sqlalchemy.row_forms import Key, RowForm
from domainkit.adapters.sqlalchemy.statements import Prepared
from domainkit.event_store import RecordedEvent
from domainkit.messages import DomainEvent
from domainkit.projections import with_function
from domainkit.read_models import SHADOW, Fold, ReadModel, Step, check_identity, function_or_none

S = TypeVar("S")
KeyT = TypeVar("KeyT")
EventT = TypeVar("EventT", bound=DomainEvent)
Recorded = RecordedEvent[DomainEvent]
Function = Callable[[Connection, Table, Any], object]  # Any: of whatever event, which `on` has checked

MOST_PARAMETERS = 10_000
"""The most parameters of a SELECT by keys: SQLite takes 32,766, PostgreSQL 65,535."""

_LONGEST_NAME = 63
"""The maximum bytes of a name in PostgreSQL, which cuts longer ones."""

_KEYS = "keys"


class SqlReadModel(ABC):
    """A read model in a table, for a Projector: a TableReadModel, a FunctionReadModel, or a RepositoryReadModel.

    Args:
        name: its permanent name.
        version: of what it does with events.
        table: its table, which nobody else writes.
    """

    remedy: ClassVar[str] = "rebuild it"
    """The way to replace rows that it didn't make."""

    def __init__(self, name: str, version: int, table: Table) -> None:
        self.name: str = name
        """Its permanent name."""
        self.version: int = version
        """The version of what it does with events."""
        self.table: Table = table
        """The table that is read."""
        self.shadow: Table = _shadow_of(table)
        """The table that a rebuild fills."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"

    @abstractmethod
    def apply(self, connection: Connection, events: Sequence[Recorded], /, *, to: Table | None = None) -> None:
        """Put events into the table, in the transaction that the caller has begun.

        Args:
            connection: where the transaction is open.
            events: the oldest first; those of other classes are passed over.
            to: another table of the same columns; that of the read model unless given.
        """

    def require_engine(self, engine: Engine) -> None:  # noqa: B027  (most work on any connection)
        """Refuse the engine of a projector whose connections it can't use.

        Raises:
            ValueError: it can't.
        """

    def require_rebuild(self) -> None:  # noqa: B027  (most can be rebuilt)
        """Refuse a rebuild if there can't be one.

        Raises:
            ValueError: there can't.
        """


class TableReadModel(SqlReadModel, Generic[S]):
    """Keeps the rows of a ReadModel in a table: the fields of their class are the columns.

    The rows of a batch of events are read once, folded in memory, and written once. A value object is stored as what
    it wraps. Times are stored in UTC, and read with a time zone.

    >>> from attrs import frozen
    >>> from sqlalchemy import Column, Integer, MetaData, Text
    >>> @frozen
    ... class Balance:
    ...     account: str
    ...     total: int
    >>> table = Table("balances", MetaData(), Column("account", Text, primary_key=True), Column("total", Integer))
    >>> TableReadModel(ReadModel("balances", Balance), table)
    TableReadModel(balances)

    Args:
        model: the read model.
        table: has a column for each field of the rows, and a primary key of one or more of them.

    Raises:
        ValueError: the columns are others than the fields, or the table has no primary key.
        UnsupportedTypeError: a field is a union of several types whose values can't be told apart in a column.
    """

    def __init__(self, model: ReadModel[S], table: Table) -> None:
        super().__init__(model.name, model.version, table)
        self._folds = Folds(model.name, model.folds)
        self._form: RowForm[S] = RowForm(model.row, table)
        self._statements: dict[tuple[Table, str], _TableStatements] = {}

    def apply(self, connection: Connection, events: Sequence[Recorded], /, *, to: Table | None = None) -> None:
        """Fold events into the rows; see SqlReadModel.

        Raises:
            ValueError: a step returned a row with another key than that of its event.
        """
        found = self._folds.concerned(events, self._form.key)
        if not found:
            return
        statements = self._for(to if to is not None else self.table, connection.dialect.name)
        rows: dict[Key, S | None] = dict.fromkeys([key for key, _, _ in found])
        known = {self._form.key_of(row): row for row in map(self._form.load, statements.read(connection, list(rows)))}
        rows.update(known)
        self._folds.run(found, rows)
        kept = [self._form.dump(key, row) for key, row in rows.items() if row is not None]
        statements.write(connection, kept, [key for key, row in rows.items() if row is None and key in known])

    def _for(self, table: Table, dialect: str) -> "_TableStatements":
        if (table, dialect) not in self._statements:
            self._statements[table, dialect] = _TableStatements(table, dialect, self._form.columns)
        return self._statements[table, dialect]


class Folds:
    """The folds of a read model, by the class of an event.

    Args:
        name: of the read model.
        folds: the folds.
    """

    def __init__(self, name: str, folds: Mapping[type, Fold]) -> None:
        self._name, self._folds = name, folds
        self._by_class: dict[type, Fold | None] = {}

    def concerned(
        self, events: Sequence[Recorded], key_of: Callable[[object], KeyT]
    ) -> list[tuple[KeyT, Step, Recorded]]:
        """Return the events that concern a row, each with the key of that and its step."""
        found: list[tuple[KeyT, Step, Recorded]] = []
        with _noting(self._name) as place:
            for one in events:
                place.position = one.position
                fold = self._fold_of(type(one.event))
                key = None if fold is None else fold.key(one.event)
                if fold is not None and key is not None:
                    found.append((key_of(key), fold.step, one))
        return found

    def run(self, found: Sequence[tuple[KeyT, Step, Recorded]], rows: dict[KeyT, S | None]) -> None:
        """Run the steps of events on the rows, which have each key."""
        with _noting(self._name) as place:
            for key, step, one in found:
                place.position = one.position
                rows[key] = step(rows[key], one.event)

    def _fold_of(self, cls: type) -> Fold | None:
        if cls not in self._by_class:
            self._by_class[cls] = function_or_none(self._folds, cls)
        return self._by_class[cls]


class FunctionReadModel(SqlReadModel):
    """Calls a function with each event, which writes with SQL of its own: for what is not a fold of one row.

    >>> from attrs import frozen
    >>> from sqlalchemy import Column, MetaData, Text, Uuid, insert
    >>> @frozen
    ... class Renamed(DomainEvent):
    ...     title: str
    >>> titles = Table("titles", MetaData(), Column("id", Uuid, primary_key=True), Column("title", Text))
    >>> def note(connection: Connection, table: Table, event: Renamed) -> None:
    ...     connection.execute(insert(table).values(id=event.header.id.value, title=event.title))
    >>> FunctionReadModel("titles", titles).on(Renamed, note)
    FunctionReadModel(titles)

    Args:
        name: its permanent name.
        table: its table, which has a primary key. Keys come from the events: a rebuild copies rows, and no sequence of
            the database follows.
        version: of the functions; raise it when they change, and rebuild.
        functions: the function for each class of events; `on` adds one.

    Raises:
        ValueError: `name` is empty or ends with `__rebuild`, `version` is below 1, or the table has no primary key.
    """

    def __init__(
        self, name: str, table: Table, *, version: int = 1, functions: Mapping[type, Function] | None = None
    ) -> None:
        check_identity(name, version)
        super().__init__(name, version, table)
        self._functions: Mapping[type, Function] = dict(functions or {})

    def on(
        self, event: type[EventT], function: Callable[[Connection, Table, EventT], object], /
    ) -> "FunctionReadModel":
        """Return the read model with a function for one more class of events.

        Args:
            event: the class.
            function: called with the connection, the table to write into (another one during a rebuild), and the
                event. It may read the table. What it does elsewhere is done again by a rebuild.

        Raises:
            TypeError: `event` is not a class, or has a function already.
        """
        functions = with_function(self._functions, event, function, f"read model {self.name!r}")
        return FunctionReadModel(self.name, self.table, version=self.version, functions=functions)

    def apply(self, connection: Connection, events: Sequence[Recorded], /, *, to: Table | None = None) -> None:
        """Call the functions with events, one after the other; see SqlReadModel."""
        table = to if to is not None else self.table
        with _noting(self.name) as place:
            for one in events:
                place.position = one.position
                function = function_or_none(self._functions, type(one.event))
                if function is not None:
                    function(connection, table, one.event)


class _TableStatements:
    """The statements that read and write the rows of one table by their keys."""

    def __init__(self, table: Table, dialect: str, columns: Sequence[str]) -> None:
        keys = list(table.primary_key)
        self._width, self._at_once = len(keys), MOST_PARAMETERS // len(keys)
        self._names = [f"key_{column.key}" for column in keys]
        place = keys[0] if self._width == 1 else sa.tuple_(*keys)
        self._read = sa.select(*(table.c[one] for one in columns)).where(place.in_(sa.bindparam(_KEYS, expanding=True)))
        insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
        others = {one: insert.excluded[one] for one in columns if not table.c[one].primary_key}
        upsert = insert.values({one: sa.bindparam(one) for one in columns})
        if others:
            self._upsert = Prepared(upsert.on_conflict_do_update(index_elements=keys, set_=others), columns)
        else:
            self._upsert = Prepared(upsert.on_conflict_do_nothing(index_elements=keys), columns)
        pairs = zip(keys, self._names, strict=True)
        self._delete = sa.delete(table).where(*(column == sa.bindparam(name) for column, name in pairs))

    def read(self, connection: Connection, keys: Sequence[Key]) -> list[Sequence[Any]]:  # Any: rows of SQLAlchemy
        """Return the rows with these keys that exist, with the columns in the order of the fields."""
        found: list[Sequence[Any]] = []
        for start in range(0, len(keys), self._at_once):
            some = keys[start : start + self._at_once]
            given = [key[0] for key in some] if self._width == 1 else list(some)
            found += connection.execute(self._read, {_KEYS: given}).all()
        return found

    def write(self, connection: Connection, kept: Sequence[Mapping[str, object]], gone: Sequence[Key]) -> None:
        """Store rows, and delete those with other keys."""
        if gone:
            connection.execute(self._delete, [dict(zip(self._names, key, strict=True)) for key in gone])
        if kept:
            self._upsert.run(connection, kept)


@define
class _Place:
    """The event in hand."""

    position: int = 0


@contextmanager
def _noting(name: str) -> Iterator[_Place]:
    """Add the name of the read model and the position of the event in hand to an exception."""
    place = _Place()
    try:
        yield place
    except Exception as error:
        error.add_note(f"read model {name!r}, position {place.position}")
        raise


def _shadow_of(table: Table) -> Table:
    """Return the table for a rebuild: the same columns and primary key, without the rest.

    Raises:
        ValueError: it has no primary key.
    """
    if not list(table.primary_key):
        raise ValueError(f"table {table.name!r}: expected a primary key, got none; declare one")
    columns = map(_shadow_column, table.columns)
    return sa.Table(_shadow_name(table.name), sa.MetaData(), *columns, schema=table.schema)


def _shadow_name(name: str) -> str:
    """Return the name of the table for a rebuild; with a hash of the table's name in place of an end without room."""
    room = _LONGEST_NAME - len(SHADOW)
    if len(name.encode()) > room:
        end = f"_{crc32(name.encode()):08x}"
        name = name.encode()[: room - len(end)].decode(errors="ignore") + end
    return name + SHADOW


def _shadow_column(column: sa.Column[Any]) -> sa.Column[Any]:  # Any: of any type, here and below
    """Return a column that computes and defaults as the given one does, without what refers to other tables."""
    computed = column.computed
    expression = () if computed is None else (sa.Computed(computed.sqltext, persisted=computed.persisted),)
    return sa.Column(
        column.name,
        column.type,
        *expression,
        key=column.key,
        primary_key=column.primary_key,
        nullable=column.nullable,
        autoincrement=False,
        default=_argument(column.default),
        onupdate=_argument(column.onupdate),
        server_default=None if computed is not None else _argument(column.server_default),
    )


def _argument(default: object) -> Any:
    """Return what a default was made of; None if it is a sequence, which stays with its column."""
    return getattr(default, "arg", None)
