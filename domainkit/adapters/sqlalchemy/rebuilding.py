"""The rebuild of a read model: a second table is filled beside the one that is read, and swapped in one transaction.

The swap replaces the rows, not the table. The table keeps its name, its indexes and constraints, the privileges of
its readers, and the views and foreign keys that refer to it; readers wait for no lock. A row whose key remains is
changed in place: deleting it would delete the rows that refer to it (ON DELETE CASCADE), or fail because of them.
"""

from contextlib import suppress
from types import MappingProxyType

from attrs import evolve, frozen
from sqlalchemy import Connection, Null, Table, and_, delete, exists, insert, inspect, null, select, text, update
from sqlalchemy.exc import IntegrityError

from domainkit.adapters.sqlalchemy.checkpoints import Checkpoint
from domainkit.adapters.sqlalchemy.event_counts import found_after, last_position
from domainkit.adapters.sqlalchemy.following import UNREADABLE, Batch, Following, OnUnreadable, after, log_unreadable
from domainkit.adapters.sqlalchemy.missing import tables_required
from domainkit.adapters.sqlalchemy.read_models import SqlReadModel
from domainkit.adapters.sqlalchemy.tables import name_in_sql
from domainkit.errors import ConflictError, OutcomeUnknownError
from domainkit.event_store import UnreadableEvent
from domainkit.read_models import SHADOW, ReadsAllEvents

_REFERRING = MappingProxyType(
    {
        "postgresql": """SELECT DISTINCT conrelid::regclass::text FROM pg_constraint
        WHERE confrelid = to_regclass(:name) AND conrelid <> confrelid AND confdeltype <> 'a'""",
        "sqlite": """SELECT DISTINCT m.name FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f
        WHERE lower(f."table") = lower(:name) AND lower(m.name) <> lower(:name) AND f.on_delete <> 'NO ACTION'""",
    }
)
"""The tables with foreign keys to a table that do something if a row of it is deleted."""


@frozen
class Rebuilt:
    """The progress of a rebuild.

    Args:
        name: of the read model.
        position: of the last event in the new rows.
        last: the last position of the event store; None if it is not known.
        is_swapped: the new rows are those that are read.
        stopped_at: the position of an event that can't be read, where it stopped; None if it didn't.
    """

    name: str
    position: int
    last: int | None = None
    is_swapped: bool = False
    stopped_at: int | None = None

    @property
    def is_over(self) -> bool:
        """True if it is swapped or stopped."""
        return self.is_swapped or self.stopped_at is not None


class Rebuilding:
    """The steps of a rebuild, each a transaction: it goes on after an interruption.

    Args:
        following: the checkpoints and their unit of work.
        store: the events.
        model: the read model.
        batch: the number of events of a step.
        policy: for an event that can't be read.
    """

    def __init__(
        self, following: Following, store: ReadsAllEvents, model: SqlReadModel, *, batch: int, policy: OnUnreadable
    ) -> None:
        self._following, self._rows, self._unit_of_work = following, following.rows, following.unit_of_work
        self._store, self._model, self._batch, self._policy = store, model, batch, policy
        self._shadow = model.name + SHADOW

    def begin(self) -> Rebuilt:
        """Make the table that is filled, or find that of an interrupted rebuild of this version."""
        with tables_required(repr(self._model)):
            return self._begun()

    def _begun(self) -> Rebuilt:
        model = self._model
        self._following.begun(model)
        with self._unit_of_work.begin() as connection:
            self._rows.create(connection, self._shadow, model.version)
            found = self._rows.lock(connection, self._shadow, skip=False) or Checkpoint(model.version)
            if found.position == 0 or found.version != model.version or not _exists(model.shadow, connection):
                found = Checkpoint(model.version)
                model.shadow.drop(connection, checkfirst=True)
                model.shadow.create(connection)
                self._rows.move(connection, self._shadow, found)
        return self._rebuilt(found)

    def step(self) -> Rebuilt:
        """Put the next events into the new rows; swap if these are not behind the old ones."""
        with tables_required(repr(self._model)):
            return self._stepped()

    def _stepped(self) -> Rebuilt:
        seen = self._following.checkpoint(self._shadow)
        if seen is None:
            return self._swapped_elsewhere()
        live = self._following.checkpoint(self._model.name)  # first: what is left of the events up to it is found then
        read = found_after(self._store, seen.position, self._batch)
        found, passed = read.events, 0 if live is None else live.position
        batch = Batch.of(found, seen.position, self._policy, None if found else max(passed, read.position))
        if batch.stop is not None and not batch.passed:
            return self._stopped(seen, batch.stop)
        try:
            with self._unit_of_work.begin() as connection:
                is_last = len(found) < self._batch and batch.stop is None
                reached, is_swapped = self._stored(connection, seen, batch, is_last=is_last)
        except (ConflictError, OutcomeUnknownError):
            return self._rebuilt(seen)  # the next look shows how it ended
        return self._swapped_elsewhere() if reached is None else self._rebuilt(reached, is_swapped=is_swapped)

    def _stored(
        self, connection: Connection, seen: Checkpoint, batch: Batch, *, is_last: bool
    ) -> tuple[Checkpoint | None, bool]:
        """Return the checkpoint afterwards, and True if this swapped; no checkpoint if another process has swapped.

        It doesn't use the store, which may have connections of its own: a pool may have none left.
        """
        live = self._rows.lock(connection, self._model.name, skip=False) if is_last else None
        locked = self._rows.lock(connection, self._shadow, skip=False)
        if locked is None:
            return None, False
        if locked.position != seen.position:
            return locked, False
        self._model.apply(connection, batch.events, to=self._model.shadow)
        for one in batch.skipped:
            log_unreadable(self._shadow, one, "skipped")
        following = evolve(after(locked, batch), stopped_at=None, reason=None)
        if live is not None and following.position >= live.position:
            self._swap(connection, following)
            return following, True
        self._rows.move(connection, self._shadow, following)
        return following, False

    def _swap(self, connection: Connection, to: Checkpoint) -> None:
        """Replace the old rows by the new ones, and move the checkpoint with them."""
        table, shadow = self._model.table, self._model.shadow
        try:
            with connection.begin_nested():
                _replace_rows(connection, table, shadow)
        except IntegrityError as error:
            self._swap_exchanged(connection, error)
        shadow.drop(connection)
        self._rows.move(connection, self._model.name, to)
        self._rows.remove(connection, self._shadow)

    def _swap_exchanged(self, connection: Connection, error: IntegrityError) -> None:
        """Replace the rows though they can't be changed in place, since two exchange the value of a unique column, say.

        If the column can be NULL, it is for a moment. Else the rows are deleted first, unless this deletes rows that
        refer to them.
        """
        table, shadow = self._model.table, self._model.shadow
        with suppress(IntegrityError), connection.begin_nested():
            connection.execute(update(table).values({one.key: one for one in table.primary_key} | _nulls(shadow)))
            return _replace_rows(connection, table, shadow)
        if referring := _referring(connection, table):
            raise RuntimeError(
                f"{self._model!r}: expected rows that can be changed in place, got a constraint that refuses it (two "
                f"rows exchange a unique value?), and rows of {referring} that go or change with deleted ones; let "
                "the unique column be NULL, or its constraint be DEFERRABLE on PostgreSQL"
            ) from error
        connection.execute(delete(table))
        return _replace_rows(connection, table, shadow)

    def _stopped(self, seen: Checkpoint, at: UnreadableEvent) -> Rebuilt:
        with self._unit_of_work.begin() as connection:
            locked = self._rows.lock(connection, self._shadow, skip=False) or seen
            self._rows.move(connection, self._shadow, evolve(locked, stopped_at=at.position, reason=UNREADABLE))
        log_unreadable(self._shadow, at, "stopped at")
        return evolve(self._rebuilt(seen), stopped_at=at.position)

    def _rebuilt(self, at: Checkpoint, *, is_swapped: bool = False) -> Rebuilt:
        last = last_position(self._store, at.position)
        return Rebuilt(self._model.name, at.position, last, is_swapped=is_swapped)

    def _swapped_elsewhere(self) -> Rebuilt:
        """Return the end of a rebuild that another process has finished."""
        live = self._following.checkpoint(self._model.name) or Checkpoint(self._model.version)
        return self._rebuilt(live, is_swapped=True)


def _replace_rows(connection: Connection, table: Table, shadow: Table) -> None:
    """Give a table the rows of another one: delete those whose keys are gone, change the others, and add new ones."""
    names = [column.key for column in shadow.columns if column.computed is None]
    values = {name: shadow.c[name] for name in names}
    others = {name: value for name, value in values.items() if not value.primary_key}
    same = and_(*(table.c[column.key] == column for column in shadow.primary_key))
    connection.execute(delete(table).where(~exists(1).select_from(shadow).where(same).correlate(table)))
    if others:
        connection.execute(update(table).values(others).where(same))
    new = select(*values.values()).where(~exists(1).select_from(table).where(same).correlate(shadow))
    connection.execute(insert(table).from_select(names, new))


def _nulls(table: Table) -> dict[str, Null]:
    """Return NULL for each column that can have it."""
    return {one.key: null() for one in table.columns if one.nullable and one.computed is None}


def _referring(connection: Connection, table: Table) -> str:
    """Return the names of the other tables of which a row goes, or changes, with a row of this one that is deleted."""
    dialect = connection.dialect.name
    name = table.name if dialect == "sqlite" else name_in_sql(table, connection)
    return ", ".join(connection.scalars(text(_REFERRING[dialect]), {"name": name}))


def _exists(table: Table, connection: Connection) -> bool:
    """Check if a table exists: one that a rebuild has left may have been dropped, by a migration for example."""
    return inspect(connection).has_table(table.name, schema=connection.schema_for_object(table))
