"""Checkpoints: the position that each read model has reached, stored in the transaction of the effect."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit.adapters.sqlalchemy.async_unit_of_work import AsyncUnitOfWork
from domainkit.adapters.sqlalchemy.statements import insert_new
from domainkit.adapters.sqlalchemy.tables import UtcDateTime, require_columns
from domainkit.adapters.sqlalchemy.unit_of_work import UnitOfWork
from domainkit.adapters.sqlalchemy.units import current
from domainkit.read_models import NotReached

_LOOK = 0.02
"""Seconds between two looks at a checkpoint that is waited for."""


def checkpoints_table(metadata: sa.MetaData, name: str = "checkpoints", *, schema: str | None = None) -> sa.Table:
    """Return a table for the progress of read models, a row for each.

    >>> from sqlalchemy import MetaData
    >>> [column.name for column in checkpoints_table(MetaData()).columns]
    ['model', 'version', 'position', 'unreadable', 'stopped_at', 'reason', 'moved_at']

    Args:
        metadata: the MetaData to add the table to.
        name: the table's name.
        schema: the schema on PostgreSQL; by default that of the connection.
    """
    return sa.Table(
        name,
        metadata,
        sa.Column("model", sa.Text(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("unreadable", sa.BigInteger(), nullable=False),
        sa.Column("stopped_at", sa.BigInteger()),
        sa.Column("reason", sa.Text()),
        sa.Column("moved_at", UtcDateTime()),
        schema=schema,
    )


@frozen
class Checkpoint:
    """The stored progress of a read model.

    Args:
        version: of the steps that made its rows; 0 if it is not known.
        position: of the last event that is in them, or was passed over.
        unreadable: the number of events that were skipped since they could not be read.
        stopped_at: the position of the event where it stopped; None if it didn't.
        reason: why it stopped: `unreadable`, or the class of an exception.
        moved_at: the time when it was stored, UTC; None if it has not begun.
    """

    version: int
    position: int = 0
    unreadable: int = 0
    stopped_at: int | None = None
    reason: str | None = None
    moved_at: datetime | None = None


class CheckpointRows:
    """The statements for a table of checkpoints.

    Args:
        table: made by `checkpoints_table`.
        dialect: the name of the database.

    Raises:
        ValueError: `table` is another one, or the database is another than SQLite or PostgreSQL.
    """

    def __init__(self, table: sa.Table, dialect: str) -> None:
        require_columns(table, checkpoints_table)
        if dialect not in {"sqlite", "postgresql"}:
            raise ValueError(f"read models: expected SQLite or PostgreSQL, got {dialect}")
        self.table: sa.Table = table
        known = [column for column in table.columns if column.key != "model"]
        self._read = sa.select(*known).where(table.c.model == sa.bindparam("name"))
        self._free = self._read.with_for_update(skip_locked=True)
        self._locked = self._read.with_for_update()
        self._insert = insert_new(table, dialect, table.c.model)
        self._update = sa.update(table).where(table.c.model == sa.bindparam("name"))
        self._delete = sa.delete(table).where(table.c.model == sa.bindparam("name"))

    def read(self, connection: sa.Connection, name: str) -> Checkpoint | None:
        """Return a checkpoint; None if it does not exist."""
        return _made(connection.execute(self._read, {"name": name}).one_or_none())

    def lock(self, connection: sa.Connection, name: str, *, skip: bool = True) -> Checkpoint | None:
        """Return a checkpoint, locked to the end of the transaction.

        None if it does not exist, or if another transaction has it and `skip` is true: else that is waited for.
        """
        return _made(connection.execute(self._free if skip else self._locked, {"name": name}).one_or_none())

    def create(self, connection: sa.Connection, name: str, version: int) -> None:
        """Store a checkpoint before the first event, unless it exists."""
        values = {"model": name, "version": version, "position": 0, "unreadable": 0}
        connection.execute(self._insert, values)

    def move(self, connection: sa.Connection, name: str, to: Checkpoint) -> None:
        """Store the progress of a checkpoint that is locked."""
        values = {
            "version": to.version,
            "position": to.position,
            "unreadable": to.unreadable,
            "stopped_at": to.stopped_at,
            "reason": to.reason,
            "moved_at": datetime.now(UTC),
        }
        connection.execute(self._update.values(values), {"name": name})

    def remove(self, connection: sa.Connection, name: str) -> None:
        """Delete a checkpoint."""
        connection.execute(self._delete, {"name": name})


def _made(row: Any) -> Checkpoint | None:  # Any: a row of SQLAlchemy
    return None if row is None else Checkpoint(*row)


class Checkpoints:
    """The progress of read models, for those who wait until their own writes are in one.

    >>> from sqlalchemy import MetaData
    >>> from domainkit.adapters.sqlalchemy import make_engine
    >>> metadata, engine = MetaData(), make_engine("sqlite://")
    >>> checkpoints = Checkpoints(UnitOfWork(engine), checkpoints_table(metadata))
    >>> metadata.create_all(engine)
    >>> checkpoints.reached("balances", 3, within=timedelta(seconds=0))
    <Failure: NotReached: read model balances: expected position 3, got position 0>
    >>> engine.dispose()

    Args:
        unit_of_work: for the database of the table.
        table: made by `checkpoints_table`.

    Raises:
        ValueError: `table` is another one, or the database is another than SQLite or PostgreSQL.
    """

    def __init__(self, unit_of_work: UnitOfWork, table: sa.Table) -> None:
        self._unit_of_work = unit_of_work
        self._rows = CheckpointRows(table, unit_of_work.dialect)

    def reached(self, name: str, position: int, /, *, within: timedelta) -> Result[int, NotReached]:
        """Wait until a read model has all events up to a position: that of `Appended`, to read one's own writes.

        Call it outside of a unit of work: on SQLite that keeps the projector from writing, and in a transaction of one
        moment, or after an append, no progress would be seen. A projector passes deleted events too; one that follows
        another store than a SqlEventStore does so with the next event.

        Args:
            name: of the read model.
            position: of the last event that is waited for.
            within: the longest wait; 0 looks once.

        Returns:
            The position that it has, at least `position`; a Failure with NotReached if the time is over, or at once if
            it stopped at an earlier event.

        Raises:
            RuntimeError: a unit of work is open, and `within` is more than 0.
        """
        _require_outside(self._unit_of_work, within)
        ends = monotonic() + within.total_seconds()
        while True:
            with self._unit_of_work._reading_once() as connection:
                found = self._rows.read(connection, name)
            outcome = _outcome(found, name, position, is_over=monotonic() >= ends)
            if outcome is not None:
                return outcome
            sleep(_LOOK)


class AsyncCheckpoints:
    """The async twin of Checkpoints.

    Args:
        unit_of_work: for the database of the table.
        table: made by `checkpoints_table`.

    Raises:
        ValueError: as for Checkpoints.
    """

    def __init__(self, unit_of_work: AsyncUnitOfWork, table: sa.Table) -> None:
        self._unit_of_work = unit_of_work
        self._rows = CheckpointRows(table, unit_of_work.inner.dialect)

    async def reached(self, name: str, position: int, /, *, within: timedelta) -> Result[int, NotReached]:
        """Wait until a read model has all events up to a position; see Checkpoints.reached."""
        _require_outside(self._unit_of_work.inner, within)
        ends = monotonic() + within.total_seconds()
        while True:
            found = await self._unit_of_work.run(self._reading(name), read_only=True)
            outcome = _outcome(found, name, position, is_over=monotonic() >= ends)
            if outcome is not None:
                return outcome
            await asyncio.sleep(_LOOK)

    def _reading(self, name: str) -> Callable[[], Checkpoint | None]:
        def read() -> Checkpoint | None:
            with self._unit_of_work.inner._reading_once() as connection:
                return self._rows.read(connection, name)

        return read


def _require_outside(unit_of_work: UnitOfWork, within: timedelta) -> None:
    if within > timedelta(0) and current(unit_of_work) is not None:
        raise RuntimeError(
            "reached: expected no open unit of work, in which a read model may make no progress, got one; wait outside "
            "of it, or give `within` 0 to look once"
        )


def _outcome(found: Checkpoint | None, name: str, position: int, *, is_over: bool) -> Result[int, NotReached] | None:
    """Return the answer to one who waits; None if there is a reason to go on waiting."""
    reached = 0 if found is None else found.position
    if reached >= position:
        return Success(reached)
    is_stopped = found is not None and found.stopped_at is not None and found.stopped_at <= position
    if not (is_over or is_stopped):
        return None
    reason = None if found is None else found.reason
    return Failure(NotReached(model=name, position=position, reached=reached, reason=reason))
