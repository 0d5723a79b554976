"""Snapshots in a SQL database."""

from contextlib import AbstractContextManager, nullcontext

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from domainkit.adapters.sqlalchemy.async_unit_of_work import AsyncUnitOfWork
from domainkit.adapters.sqlalchemy.tables import require_columns, snapshots_table
from domainkit.adapters.sqlalchemy.unit_of_work import UnitOfWork
from domainkit.adapters.sqlalchemy.units import current
from domainkit.event_store import StreamId, stream_name
from domainkit.snapshot_store import AsyncSnapshotStore, Snapshot, SnapshotStore


class SqlSnapshotStore(SnapshotStore):
    """Snapshots in a table.

    In a unit of work its calls are part of that transaction: if the events are rolled back, so is their snapshot. Each
    call uses a savepoint there, so that a failing one doesn't affect the rest of the unit of work.

    >>> from uuid import uuid4
    >>> from sqlalchemy import MetaData
    >>> from domainkit.adapters.sqlalchemy import make_engine
    >>> metadata, engine = MetaData(), make_engine("sqlite://")
    >>> store = SqlSnapshotStore(UnitOfWork(engine), snapshots_table(metadata))
    >>> metadata.create_all(engine)
    >>> store.save(Snapshot("account-1", "int", "1", 2, uuid4(), "7"))
    >>> found = store.load("account-1", "int")
    >>> found and (found.revision, found.state)
    (2, '7')
    >>> engine.dispose()

    Args:
        unit_of_work: that of the event store, so that events and snapshot are stored together or not at all.
        table: made by `snapshots_table`.

    Raises:
        ValueError: `table` is another table, or the database is neither SQLite nor PostgreSQL.
    """

    def __init__(self, unit_of_work: UnitOfWork, table: sa.Table) -> None:
        require_columns(table, snapshots_table)
        if unit_of_work.dialect not in {"sqlite", "postgresql"}:
            raise ValueError(
                f"SqlSnapshotStore: expected SQLite or PostgreSQL, got {unit_of_work.dialect}; use one of them"
            )
        self._unit_of_work = unit_of_work
        columns = [table.c[name] for name in ("stream", "name", "version", "revision", "event_id", "state")]
        key = sa.and_(table.c.stream == sa.bindparam("of_stream"), table.c.name == sa.bindparam("of_name"))
        self._select = sa.select(*columns).where(key)
        self._upsert = _upsert(table, unit_of_work.dialect)
        self._delete = sa.delete(table).where(table.c.stream == sa.bindparam("of_stream"))

    def load(self, stream: StreamId, name: str, /) -> Snapshot | None:
        """Return the snapshot of a stream; see SnapshotStore."""
        with self._apart():
            return self._load(stream_name(stream), name)

    def save(self, snapshot: Snapshot, /) -> None:
        """Store a snapshot in place of the one of this stream and name; see SnapshotStore."""
        with self._apart(), self._unit_of_work.writing() as connection:
            connection.execute(self._upsert, _row(snapshot))

    def remove(self, stream: StreamId, /) -> None:
        """Remove all snapshots of a stream; see SnapshotStore."""
        name = stream_name(stream)
        with self._apart(), self._unit_of_work.writing() as connection:
            connection.execute(self._delete, {"of_stream": name})

    def _apart(self) -> AbstractContextManager[object]:
        """Return a savepoint of the open unit of work, if there is one: PostgreSQL ends a transaction at an error."""
        return self._unit_of_work.begin() if self._is_inside() else nullcontext()

    def _is_inside(self) -> bool:
        return current(self._unit_of_work) is not None

    def _load(self, stream: str, name: str) -> Snapshot | None:
        with self._unit_of_work._reading_once() as connection:
            row = connection.execute(self._select, {"of_stream": stream, "of_name": name}).first()
        return None if row is None else Snapshot(*row)


class AsyncSqlSnapshotStore(AsyncSnapshotStore):
    """The async twin of SqlSnapshotStore. It wraps one, and runs its methods in the `run` of an AsyncUnitOfWork.

    Args:
        unit_of_work: for the database of the table.
        table: made by `snapshots_table`.

    Raises:
        ValueError: as for SqlSnapshotStore.
    """

    def __init__(self, unit_of_work: AsyncUnitOfWork, table: sa.Table) -> None:
        self._unit_of_work = unit_of_work
        self._inner = SqlSnapshotStore(unit_of_work.inner, table)

    async def load(self, stream: StreamId, name: str, /) -> Snapshot | None:
        """Return the snapshot of a stream; see SnapshotStore."""
        inner, of_stream = self._inner, stream_name(stream)
        if inner._is_inside():
            return await self._unit_of_work.run(lambda: inner.load(of_stream, name))
        return await self._unit_of_work.run(lambda: inner._load(of_stream, name), read_only=True)

    async def save(self, snapshot: Snapshot, /) -> None:
        """Store a snapshot in place of the one of this stream and name; see SnapshotStore."""
        await self._unit_of_work.run(lambda: self._inner.save(snapshot))

    async def remove(self, stream: StreamId, /) -> None:
        """Remove all snapshots of a stream; see SnapshotStore."""
        await self._unit_of_work.run(lambda: self._inner.remove(stream))


def _upsert(table: sa.Table, dialect: str) -> sa.Executable:
    """Return an INSERT that takes the place of the row with this key; the latest to write wins."""
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    changed = {name: insert.excluded[name] for name in ("version", "revision", "event_id", "state")}
    made: sa.Executable = insert.on_conflict_do_update(index_elements=table.primary_key.columns, set_=changed)
    return made


def _row(snapshot: Snapshot) -> dict[str, object]:
    return {
        "stream": snapshot.stream,
        "name": snapshot.name,
        "version": snapshot.version,
        "revision": snapshot.revision,
        "event_id": snapshot.event_id,
        "state": snapshot.state,
    }
