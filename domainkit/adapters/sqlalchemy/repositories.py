"""Aggregates in a SQL database."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Generic, Never, ParamSpec, TypeAlias, TypeVar, get_origin, overload

from cattrs import Converter
from returns.result import Failure, Result, Success
from sqlalchemy import ColumnElement, Connection, Row, Table

from domainkit._model.immutability import copy_with, require_decorated
from domainkit._model.type_checks import describe
from domainkit.adapters.sqlalchemy.at_once import AtOnce, Write
from domainkit.adapters.sqlalchemy.child_rows import ChildRows
from domainkit.adapters.sqlalchemy.children import TablesMapper
from domainkit.adapters.sqlalchemy.lean_reads import LeanConnection, Read
from domainkit.adapters.sqlalchemy.mappers import RowMapper, StateMapper, require_storable
from domainkit.adapters.sqlalchemy.outbox import OutboxRow
from domainkit.adapters.sqlalchemy.queries import Keyset, OrderBy
from domainkit.adapters.sqlalchemy.races import SERIALIZATION_FAILURE, state_of
from domainkit.adapters.sqlalchemy.savepoints import savepoint
from domainkit.adapters.sqlalchemy.statements import EXPECTED, KEY, Query, Statements
from domainkit.adapters.sqlalchemy.tables import id_form
from domainkit.adapters.sqlalchemy.unit_of_work import UnitOfWork
from domainkit.aggregates import AggregateRoot, AnyId, IdentifiedBy
from domainkit.errors import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    ConflictError,
)
from domainkit.ports import AggT, CrudRepository, IdT
from domainkit.states import StateUpcaster, StoredStateError

P = ParamSpec("P")
T = TypeVar("T")

Where: TypeAlias = ColumnElement[bool] | None
"""A condition over the columns of a table, or None for all rows."""


BATCH = 1000


Changed: TypeAlias = Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]
"""The Result of a change of a stored aggregate."""


def _class_of(aggregate_type: IdentifiedBy[AggT, IdT]) -> type[AggT]:
    """Return the class of aggregates, without type arguments; TypeError for another class."""
    cls: Any = get_origin(aggregate_type) or aggregate_type  # Any: it may be any object
    if not (isinstance(cls, type) and issubclass(cls, AggregateRoot)):
        found = describe(cls) if isinstance(cls, type) else f"an object of the class {describe(type(cls))}"
        raise TypeError(f"SqlCrudRepository: expected a class of aggregates, got {found}; derive it from AggregateRoot")
    require_decorated(cls)
    return cls  # type: ignore[return-value]  # the class of AggT, as checked above


class SqlCrudRepository(CrudRepository[AggT, IdT], Generic[AggT, IdT]):
    """Stores aggregates in a table, and their recorded events in the outbox of the unit of work.

    Inside a unit of work, its calls belong to that transaction; outside, each call is its own transaction. It stores
    the state first, and then the events. If the database refuses a write, SQLAlchemy's exception is raised, and the
    unit of work can't be committed.

    A call that is its own transaction is retried if it loses a race (a serialization failure or a deadlock of
    PostgreSQL, or SQLITE_BUSY in a transaction that began as read-only): nothing of it was stored. It raises
    ConflictError after three attempts; in a unit of work at once, since the whole transaction is lost, and `atomic`
    returns a Failure. The error is raised because the port's types don't declare it: adding it would break every caller
    that lists the errors. `update` and `remove_aggregate` return AggregateVersionConflictError, which their types
    declare, for a serialization failure.

    >>> from sqlalchemy import MetaData
    >>> from domainkit import AggregateRoot
    >>> from domainkit.adapters.sqlalchemy import aggregate_table, make_engine
    >>> metadata = MetaData()
    >>> table = aggregate_table(metadata, "tasks")
    >>> engine = make_engine("sqlite://")
    >>> metadata.create_all(engine)
    >>> tasks = SqlCrudRepository[AggregateRoot](AggregateRoot, table, UnitOfWork(engine))
    >>> task = AggregateRoot()
    >>> tasks.save(task) == Success(task)
    True
    >>> tasks.update(task).unwrap().aggregate_version
    2
    >>> engine.dispose()

    Args:
        aggregate_type: the class of the aggregates; a generic class with its arguments (`Page[int]`). Instances of
            subclasses are refused by `save`.
        table: made by `aggregate_table`, for the id class of the aggregates; with a `mapper`, a table of your own with
            `id` (unique, of the type that `aggregate_table` would use) and `version` (an integer).
        unit_of_work: for the database of the table.
        converter: writes and reads the state; by default `make_converter()`. Each state is read back, and compared with
            the aggregate, before it is stored.
        upcasters: functions that convert a state of version 1 to version 2, of version 2 to version 3, and so on.
            States are stored with the latest version; a state without a version is version 1.
        mapper: stores the state in columns of your own instead: those of the table and, with a TablesMapper, of child
            tables, whose rows are written in the same transaction.
        order_by: the order of `retrieve_all`; by default the column `position`.
        repository_name: shown in errors; by default the name of the class.

    Raises:
        TypeError: the class is not a class of aggregates, or a mapper is combined with a converter or upcasters.
        UnsupportedTypeError: a field of the class has a type that can't be stored.
        ValueError: the table lacks a column, or its `id` is not unique, or has a type that doesn't fit the ids; or a
            child table doesn't fit the table; or the database is neither SQLite nor PostgreSQL.
    """

    def __init__(  # noqa: PLR0913  (options, each with a default)
        self,
        aggregate_type: IdentifiedBy[AggT, IdT],
        table: Table,
        unit_of_work: UnitOfWork,
        *,
        converter: Converter | None = None,
        upcasters: Sequence[StateUpcaster] = (),
        mapper: RowMapper[AggT] | TablesMapper[AggT] | None = None,
        order_by: ColumnElement[Any] | None = None,  # Any: of a column of any type
        repository_name: str | None = None,
    ) -> None:
        cls = _class_of(aggregate_type)
        if mapper is not None and (converter is not None or upcasters):
            raise TypeError(
                f"{cls.__qualname__}: expected a mapper alone, got a converter or upcasters too; remove them"
            )
        state = frozenset({"state"}) if mapper is None else frozenset[str]()
        self._sql = Statements(table, unit_of_work.dialect, order_by=order_by, columns=state)
        self._type, self._id_type, self._table = cls, cls._id_type(), table
        self._ids = id_form(table, self._id_type)
        self._mapper = StateMapper(aggregate_type, self._ids, converter, upcasters) if mapper is None else mapper
        self._states = self._mapper if isinstance(self._mapper, StateMapper) else None
        self._children = ChildRows[AggT](self._mapper, table, self._id_type)
        self._unit_of_work, self._outbox = unit_of_work, unit_of_work.outbox
        self._at_once = None if self._outbox is None else AtOnce(table, self._sql, self._outbox)
        self._name = repository_name or type(self).__name__

    def save(self, aggregate: AggT) -> Result[AggT, AggregateAlreadyExistError]:
        """Store a new aggregate, and return the stored one, without the events that are now in the outbox.

        Raises:
            TypeError: it is of another class.
            ValueError: its state can't be read back (NaN, a datetime without a time zone, a value that the converter
                reads as another), or its id or a text column can't be stored (NUL characters, lone surrogates);
                nothing is stored.
            InvalidMessage: the outbox doesn't know the class of an event; nothing is stored.
            OutcomeUnknownError: the connection was lost while committing, outside of a unit of work.
            ConflictError: a concurrent transaction won; see the class.
        """
        return self._unit_of_work._write(self._saving(aggregate))

    def _saving(self, aggregate: AggT) -> Write[Result[AggT, AggregateAlreadyExistError]]:
        """Return the work that stores a new aggregate, which is checked and encoded here."""
        row = self._row(aggregate)
        events = self._events(aggregate, row["id"])
        children = self._children.rows(aggregate)

        def store(connection: Connection) -> Result[AggT, AggregateAlreadyExistError]:
            if self._sql.insert.run(connection, (row,)).rowcount == 0:
                return self._exists(aggregate)
            self._children.insert(connection, row["id"], children)
            return Success(self._stored(connection, (aggregate,), events)[0])

        def store_at_once(statements: AtOnce, connection: Connection) -> Result[AggT, AggregateAlreadyExistError]:
            if not statements.insert(connection, row, events):
                return self._exists(aggregate)
            return Success(aggregate.clear_domain_events())

        return self._as_write(store, store_at_once, events, row)

    def _as_write(
        self,
        work: Callable[[Connection], T],
        with_events: Callable[[AtOnce, Connection], T],
        events: Sequence[OutboxRow],
        row: Mapping[str, object] | None = None,
    ) -> Write[T]:
        """Return work that is a single statement if there are no child tables, and `with_events` can write the row."""
        if self._children:
            return Write(work)
        if self._at_once is None or not events:
            return Write(work, work)
        is_one = row is None or self._at_once.fits(row)
        return Write(work, partial(with_events, self._at_once) if is_one else None)

    def _exists(self, aggregate: AggT) -> Failure[AggregateAlreadyExistError]:
        return Failure(AggregateAlreadyExistError(aggregate.aggregate_id, self._name, self._table.name))

    def save_all(self, aggregates: Iterable[AggT]) -> Result[tuple[AggT, ...], AggregateAlreadyExistError]:
        """Store new aggregates, all of them or none, and return the stored ones in the same order.

        All of their events are in the outbox, in the order of the aggregates. In a unit of work, a Failure takes back
        only what this call has stored. It raises the errors of `save`.
        """
        given = tuple(aggregates)
        return self._unit_of_work._write(self._saving_all(given)) if given else Success(())

    def _saving_all(self, aggregates: Sequence[AggT]) -> Write[Result[tuple[AggT, ...], AggregateAlreadyExistError]]:
        """Return the work that stores new aggregates, which are checked and encoded here."""
        rows = [self._row(one) for one in aggregates]
        pairs = list(zip(aggregates, rows, strict=True))
        events = [event for one, row in pairs for event in self._events(one, row["id"])]
        children = [self._children.rows(one) for one in aggregates]
        are_alike = all(row.keys() == rows[0].keys() for row in rows)

        def store(connection: Connection) -> Result[tuple[AggT, ...], AggregateAlreadyExistError]:
            refused = 0
            for size in (len(rows), 1) if are_alike else (1,):  # one by one finds the one that is refused
                with savepoint(connection) as nested:
                    refused = self._inserted(connection, rows, size)
                    if refused == len(rows):
                        for row, given in zip(rows, children, strict=True):
                            self._children.insert(connection, row["id"], given)
                        return Success(self._stored(connection, aggregates, events))
                    nested.rollback()
            return self._exists(aggregates[refused])

        return Write(store)

    def _inserted(self, connection: Connection, rows: Sequence[dict[str, object]], size: int) -> int:
        """Store rows in batches; return the number of those before the first batch of which a row is refused."""
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            if self._sql.insert.run(connection, batch).rowcount != len(batch):
                return start
        return len(rows)

    def retrieve(self, aggregate_id: IdT) -> Result[AggT, AggregateNotFoundError]:
        """Return the aggregate with this id, without recorded events.

        Raises:
            TypeError: the id is of another class.
            ValueError: the id can't be stored.
            StoredStateError: the stored state can't be read as an aggregate of this class.
            ConflictError: a concurrent transaction won; see the class.
        """
        return self._retrieved(aggregate_id, self._unit_of_work._read(self._retrieving(aggregate_id)))

    def _retrieving(self, aggregate_id: IdT) -> Read[tuple[AggT, ...]]:
        return self._reading(self._sql.one, {KEY: self._key(aggregate_id)})

    def _retrieved(self, aggregate_id: IdT, found: tuple[AggT, ...]) -> Result[AggT, AggregateNotFoundError]:
        return Success(found[0]) if found else Failure(AggregateNotFoundError(aggregate_id, self._name))

    def _reading(self, query: Query, values: Mapping[str, object]) -> Read[tuple[AggT, ...]]:
        """Return the work that reads the aggregates of a query."""
        states = self._states
        if states is None:
            return Read(
                lambda connection: tuple(self._read_all(connection, query.rows(connection, values))),
                is_single=not self._children,
            )

        def read(connection: Connection | LeanConnection) -> tuple[AggT, ...]:
            return tuple([self._read(row[0], states.read, row) for row in query.rows(connection, values)])

        return Read(read, is_single=True, lean=read)

    def update(self, aggregate: AggT) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Store a changed aggregate, and return it with its version raised by one; it raises the errors of `save`.

        A serialization failure of PostgreSQL, at REPEATABLE READ or SERIALIZABLE, is an AggregateVersionConflictError
        too; the open unit of work then can't be committed. A deadlock raises ConflictError.
        """
        try:
            return self._unit_of_work._write(self._updating(aggregate))
        except ConflictError as error:
            return self._lost_race(error, aggregate)

    def _updating(self, aggregate: AggT) -> Write[Changed[AggT]]:
        """Return the work that stores a changed aggregate, which is checked and encoded here."""
        version = aggregate.aggregate_version
        updated = copy_with(aggregate, aggregate_version=version + 1)
        row = self._row(updated)
        events, guard = self._events(updated, row["id"]), {KEY: row["id"], EXPECTED: version}
        children = self._children.rows(updated)

        def store(connection: Connection) -> Changed[AggT]:
            if self._sql.update.run(connection, (row | guard,)).rowcount == 0:
                return Failure(self._reason_for_no_row(connection, aggregate))
            self._children.replace(connection, row["id"], children)
            return Success(self._stored(connection, (updated,), events, once=True)[0])

        def store_at_once(statements: AtOnce, connection: Connection) -> Changed[AggT]:
            if not statements.update(connection, row, guard, events):
                return Failure(self._reason_for_no_row(connection, aggregate))
            return Success(updated.clear_domain_events())

        return self._as_write(store, store_at_once, events, row)

    def remove(self, aggregate_id: IdT) -> Result[None, AggregateNotFoundError]:
        """Remove the aggregate with this id, regardless of its version.

        Raises:
            TypeError: the id is of another class.
            ValueError: the id can't be stored.
            OutcomeUnknownError: the connection was lost while committing, outside of a unit of work.
            ConflictError: a concurrent transaction won; see the class.
        """
        return self._unit_of_work._write(self._removing(aggregate_id))

    def _removing(self, aggregate_id: IdT) -> Write[Result[None, AggregateNotFoundError]]:
        key = self._key(aggregate_id)

        def remove(connection: Connection) -> Result[None, AggregateNotFoundError]:
            self._children.remove(connection, key)
            removed = connection.execute(self._sql.delete, {KEY: key}).rowcount
            return Success(None) if removed else Failure(AggregateNotFoundError(aggregate_id, self._name))

        return Write(remove, None if self._children else remove)

    def remove_aggregate(self, aggregate: AggT) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Remove an aggregate, and store its recorded events, so that others learn of the removal.

        A Failure if the stored version differs. Returns the aggregate without the events that are now in the outbox.
        It raises the errors of `save`, and handles a lost race as `update` does.
        """
        try:
            return self._unit_of_work._write(self._removing_aggregate(aggregate))
        except ConflictError as error:
            return self._lost_race(error, aggregate)

    def _removing_aggregate(self, aggregate: AggT) -> Write[Changed[AggT]]:
        guard = {KEY: self._key(aggregate.aggregate_id), EXPECTED: aggregate.aggregate_version}
        events = self._events(aggregate, guard[KEY])

        def remove(connection: Connection) -> Changed[AggT]:
            self._children.remove(connection, guard[KEY], version=aggregate.aggregate_version)
            if connection.execute(self._sql.delete_version, guard).rowcount == 0:
                return Failure(self._reason_for_no_row(connection, aggregate))
            return Success(self._stored(connection, (aggregate,), events)[0])

        def remove_at_once(statements: AtOnce, connection: Connection) -> Changed[AggT]:
            if not statements.delete(connection, guard, events):
                return Failure(self._reason_for_no_row(connection, aggregate))
            return Success(aggregate.clear_domain_events())

        return self._as_write(remove, remove_at_once, events)

    def retrieve_all(self) -> Result[tuple[AggT, ...], Never]:
        """Return all aggregates, in the order in which they were saved.

        Raises:
            StoredStateError: one of them can't be read.
            ConflictError: a concurrent transaction won; see the class.
        """
        return Success(self._unit_of_work._read(self._retrieving_all()))

    def _retrieving_all(self) -> Read[tuple[AggT, ...]]:
        return self._reading(self._sql.all, {})

    @overload
    def find(
        self, where: Where = None, *, order_by: OrderBy | None = None, limit: int | None = None, after: None = None
    ) -> Result[tuple[AggT, ...], Never]: ...
    @overload
    def find(
        self, where: Where = None, *, order_by: OrderBy | None = None, limit: int | None = None, after: IdT | None
    ) -> Result[tuple[AggT, ...], AggregateNotFoundError]: ...
    def find(
        self,
        where: Where = None,
        *,
        order_by: OrderBy | None = None,
        limit: int | None = None,
        after: IdT | None = None,
    ) -> Result[tuple[AggT, ...], AggregateNotFoundError]:
        """Return the aggregates whose rows match a condition, in order, page by page.

        Args:
            where: a condition over the columns of the table; by default all rows.
            order_by: one or more non-nullable columns of the table, such as `table.c.title.desc()`; by default the
                order of the repository. Rows with equal values are ordered by id.
            limit: the maximum number of aggregates on the page; by default all.
            after: the id of the last aggregate on the previous page. The page starts after its current place, even if
                rows before it were stored or removed since.

        Returns:
            A tuple, or a Failure with AggregateNotFoundError if `after` was removed.

        Raises:
            TypeError: `after` is an id of another class.
            ValueError: `limit` isn't above 0, `order_by` is not made of such columns, or `after` can't be stored.
            StoredStateError: one of them can't be read.
            ConflictError: a concurrent transaction won; see the class.
        """
        return self._unit_of_work._read(self._finding(where, order_by, limit, after))

    def _finding(
        self, where: Where, order_by: OrderBy | None, limit: int | None, after: IdT | None
    ) -> Read[Result[tuple[AggT, ...], AggregateNotFoundError]]:
        """Return the work that reads the page after an aggregate; a Failure if that one isn't there."""
        keyset = self._keyset(order_by, limit)
        place = None if after is None else keyset.key_of(self._table.c.id == self._key(after))

        def read(connection: Connection) -> Result[tuple[AggT, ...], AggregateNotFoundError]:
            key: Sequence[object] | None = None
            if place is not None:
                key = connection.execute(place).first()
                if key is None:
                    return Failure(AggregateNotFoundError(after, self._name))
            rows = connection.execute(keyset.page(where, key, limit)).all()
            return Success(tuple(self._read_all(connection, rows, where)))

        return Read(read, is_single=after is None and not self._children)

    def stream(self, where: Where = None, *, order_by: OrderBy | None = None, batch: int = BATCH) -> Iterator[AggT]:
        """Return an iterator over all aggregates whose rows match a condition, with one batch in memory at a time.

        It reads each batch on demand, with no transaction in between: rows stored meanwhile are seen if they come after
        those already read. In `reading`, or at REPEATABLE READ, all batches see one snapshot. An iterator can't return
        a Failure: it raises.

        Args:
            where: as for `find`.
            order_by: as for `find`.
            batch: the number of aggregates in a batch.

        Raises:
            ValueError: `batch` isn't above 0, or `order_by` is not made of non-nullable columns.
            StoredStateError: during the iteration: an aggregate can't be read.
            ConflictError: during the iteration: a concurrent transaction won; see the class.
        """
        return self._streamed(self._keyset(order_by, batch), where, batch)

    def _streamed(self, keyset: Keyset, where: Where, size: int) -> Iterator[AggT]:
        key: Sequence[object] | None = ()
        while key is not None:
            found, key = self._unit_of_work._read(self._batch(keyset, where, key, size))
            yield from found

    def _batch(
        self, keyset: Keyset, where: Where, key: Sequence[object], size: int
    ) -> Read[tuple[list[AggT], Sequence[object] | None]]:
        """Return the work that reads a batch, and the key of its last row; None after the last batch.

        Args:
            keyset: the order.
            where: a condition.
            key: that of the last row of the batch before; empty for the first batch.
            size: the maximum number of aggregates.
        """

        def read(connection: Connection) -> tuple[list[AggT], Sequence[object] | None]:
            rows = connection.execute(keyset.page(where, key or None, size)).all()
            found = list(self._read_all(connection, rows, where))
            return found, keyset.key(rows[-1]._mapping) if len(rows) == size else None

        return Read(read, is_single=not self._children)

    def _keyset(self, order_by: OrderBy | None, limit: int | None) -> Keyset:
        if limit is not None and limit < 1:
            raise ValueError(f"{self._name}: expected a limit or batch of at least 1, got {limit}; give a larger one")
        return Keyset(self._table, self._sql.order if order_by is None else order_by)

    def _row(self, aggregate: AggT) -> dict[str, object]:
        if type(aggregate) is not self._type:
            found, wanted = type(aggregate).__qualname__, self._type.__qualname__
            raise TypeError(
                f"{self._name}: expected an aggregate of the class {wanted}, got a {found}; "
                "use a repository of that class"
            )
        row = dict(self._mapper.to_row(aggregate))
        require_storable(row, self._type)
        row["id"], row["version"] = self._ids.key(aggregate.aggregate_id), aggregate.aggregate_version
        return row

    def _key(self, aggregate_id: AnyId) -> object:
        if not isinstance(aggregate_id, self._id_type):
            found, wanted = type(aggregate_id).__qualname__, self._id_type.__qualname__
            raise TypeError(
                f"{self._name}: expected an id of the class {wanted}, got a {found}; pass the id of an aggregate"
            )
        return self._ids.key(aggregate_id)

    def _events(self, aggregate: AggT, key: object) -> list[OutboxRow]:
        return [] if self._outbox is None else self._outbox.rows(aggregate.domain_events, key=str(key))

    def _stored(
        self, connection: Connection, aggregates: Sequence[AggT], events: list[OutboxRow], *, once: bool = False
    ) -> tuple[AggT, ...]:
        """Store the events, and return the aggregates without them.

        They are stored after the state, so that the events of an aggregate are in the order of its versions.

        With `once`, events that are stored already are left out: the caller may have continued with the aggregate that
        was passed to `save` rather than the returned one.
        """
        if self._outbox is None:
            return tuple(aggregates)
        self._outbox.store(connection, events, once=once)
        return tuple(one.clear_domain_events() for one in aggregates)

    def _reason_for_no_row(
        self, connection: Connection, aggregate: AggT
    ) -> AggregateNotFoundError | AggregateVersionConflictError:
        """Return the error for an update or removal that matched no row: the id is missing, or the version differs."""
        found = aggregate.aggregate_id
        stored: int | None = connection.execute(self._sql.version, {KEY: self._ids.key(found)}).scalar()
        if stored is None:
            return AggregateNotFoundError(found, self._name)
        return AggregateVersionConflictError(found, aggregate.aggregate_version, stored, self._name)

    def _lost_race(self, error: ConflictError, aggregate: AggT) -> Failure[AggregateVersionConflictError]:
        """Return the version conflict for a serialization failure; raise another ConflictError, such as a deadlock."""
        if state_of(error.__cause__) != SERIALIZATION_FAILURE:
            raise error
        found, version = aggregate.aggregate_id, aggregate.aggregate_version
        return Failure(AggregateVersionConflictError(found, version, repository_name=self._name))

    def _read_all(self, connection: Connection, rows: Iterable[Row[Any]], where: Where = None) -> Iterator[AggT]:
        """Return the aggregates of rows with all columns of the table."""
        found = self._children.of(connection, (row._mapping for row in rows), where)
        make, key = self._children.from_row, self._table.c.id  # another column may be named id
        return (self._read(row[key], make, row, children) for row, children in found)

    def _read(self, key: object, make: Callable[P, AggT], *given: P.args, **options: P.kwargs) -> AggT:
        """Return the aggregate made of a row with this id; an error names the table and the id."""
        try:
            return make(*given, **options)
        except StoredStateError as error:
            info = {"message": f"{self._place(key)}: the row can't be read as a {self._type.__qualname__}"}
            raise StoredStateError(uuid_value=str(key), additional_info=info, problems=error.problems) from None
        except Exception as error:
            error.add_note(self._place(key))
            raise

    def _place(self, key: object) -> str:
        return f"table {self._table.name!r}, id {key}"
