"""One read model's way along an event store: batches of events, each stored with its checkpoint."""

import logging
import re
from collections.abc import Sequence
from enum import Enum
from sqlite3 import SQLITE_ERROR

from attrs import evolve, frozen
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from domainkit.adapters.sqlalchemy.checkpoints import Checkpoint, CheckpointRows
from domainkit.adapters.sqlalchemy.missing import missing_part
from domainkit.adapters.sqlalchemy.read_models import Recorded, SqlReadModel
from domainkit.adapters.sqlalchemy.unit_of_work import UnitOfWork
from domainkit.errors import ConflictError, OutcomeUnknownError
from domainkit.event_store import RecordedEvent, UnreadableEvent

logger: logging.Logger = logging.getLogger("domainkit.projector")

UNREADABLE = "unreadable"
"""The reason of a read model that stopped at an event that can't be read."""


class OnUnreadable(Enum):
    """The choices for an event that can't be read."""

    STOP = "stop"
    """The read model stops before it, until a newer codec reads it."""

    SKIP = "skip"
    """The event is skipped, counted and logged."""


@frozen
class Batch:
    """Events of an event store, as far as a read model takes them.

    Args:
        events: those that can be read.
        position: of the last event, which may be one that was skipped.
        skipped: the events that can't be read, and are skipped.
        stop: the event before which the read model stops.
    """

    events: Sequence[Recorded]
    position: int
    skipped: Sequence[UnreadableEvent] = ()
    stop: UnreadableEvent | None = None

    @classmethod
    def of(
        cls, found: Sequence[Recorded | UnreadableEvent], after: int, policy: OnUnreadable, upto: int | None = None
    ) -> "Batch":
        """Return what a read model takes of the events after a position, and of all that is `upto` another one."""
        events: list[Recorded] = []
        skipped: list[UnreadableEvent] = []
        for one in found:
            if isinstance(one, RecordedEvent):
                events.append(one)
            elif policy is OnUnreadable.SKIP:
                skipped.append(one)
            else:
                return cls(events, events[-1].position if events else after, skipped, one)
        last = found[-1].position if found else after
        return cls(events, last if upto is None else max(last, upto), skipped)

    @property
    def passed(self) -> int:
        """The number of events that are behind the read model then."""
        return len(self.events) + len(self.skipped)


class Move(Enum):
    """The outcome of an attempt to move a checkpoint."""

    DONE = "done"
    BUSY = "another projector has it"


class Following:
    """Moves the checkpoints of read models, each together with the effect of its events.

    Args:
        unit_of_work: for the database of the tables.
        rows: the checkpoints.
    """

    def __init__(self, unit_of_work: UnitOfWork, rows: CheckpointRows) -> None:
        self.unit_of_work: UnitOfWork = unit_of_work
        self.rows: CheckpointRows = rows

    def checkpoint(self, name: str) -> Checkpoint | None:
        """Return a checkpoint as it is now; None if it does not exist."""
        with self.unit_of_work._reading_once() as connection:
            return self.rows.read(connection, name)

    def begun(self, model: SqlReadModel) -> Checkpoint:
        """Return the checkpoint of a read model, which is created before its first event.

        Rows without a checkpoint were made by nobody knows what: the version is 0 then, and a rebuild is needed.
        """
        found = self.checkpoint(model.name)
        while found is None:
            with self.unit_of_work.begin() as connection:
                has_rows = connection.execute(model.table.select().limit(1)).first() is not None
                self.rows.create(connection, model.name, 0 if has_rows else model.version)
            found = self.checkpoint(model.name)
        return found

    def move(self, model: SqlReadModel, seen: Checkpoint, batch: Batch) -> Move:
        """Put a batch into a read model, and move its checkpoint, in one transaction.

        Nothing is stored if another projector has the checkpoint, or moved it since it was seen.
        """
        try:
            with self.unit_of_work.begin() as connection:
                locked = self.rows.lock(connection, model.name)
                if locked is None or (locked.position, locked.version) != (seen.position, seen.version):
                    return Move.BUSY
                model.apply(connection, batch.events)
                self.rows.move(connection, model.name, after(locked, batch))
        except (ConflictError, OutcomeUnknownError):
            return Move.BUSY  # the next look shows how it ended
        return Move.DONE

    def stop(self, model: SqlReadModel, seen: Checkpoint, at: int, reason: str) -> bool:
        """Store that a read model stopped at an event, and return true if that is new."""
        if (seen.stopped_at, seen.reason) == (at, reason):
            return False
        with self.unit_of_work.begin() as connection:
            locked = self.rows.lock(connection, model.name)
            if locked is None or locked.position != seen.position:
                return False
            self.rows.move(connection, model.name, evolve(locked, stopped_at=at, reason=reason))
        return True


def after(locked: Checkpoint, batch: Batch) -> Checkpoint:
    """Return a checkpoint after a batch."""
    return evolve(
        locked,
        position=batch.position,
        unreadable=locked.unreadable + len(batch.skipped),
        stopped_at=None if batch.stop is None else batch.stop.position,
        reason=None if batch.stop is None else UNREADABLE,
    )


def is_outage(error: BaseException) -> bool:
    """Check if a database is away, or too busy: not a bug of a read model, and tried again."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == SQLITE_ERROR:
        return False  # wrong SQL, or a table that does not exist
    return isinstance(error, OSError | OperationalError | InterfaceError)


def lacks_its_table(model: SqlReadModel, error: BaseException) -> bool:
    """Check if the database lacks the table of a read model or a column of it: no bug of a step, and in no event."""
    part = missing_part(error)
    return part is not None and re.search(rf"(?<!\w){re.escape(model.table.name)}(?!\w)", part) is not None


def log_unreadable(name: str, one: UnreadableEvent, done: str) -> None:
    """Log an event that can't be read: its place and what is wrong, and no value."""
    problems = "; ".join(map(str, one.problems))
    logger.error("read model %s: %s the unreadable event at position %s: %s", name, done, one.position, problems)
