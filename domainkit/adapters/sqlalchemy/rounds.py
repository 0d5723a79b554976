"""The rounds of a projector: their counts, the waits between them, and the status after them."""

from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import frozen
from sqlalchemy.exc import SQLAlchemyError

from domainkit.adapters.sqlalchemy.following import logger
from domainkit.adapters.sqlalchemy.relay.waits import Outage
from domainkit.errors import ConflictError, OutcomeUnknownError

_OUTAGES = (SQLAlchemyError, OSError, OutcomeUnknownError, ConflictError)
"""The errors after which a round is tried again: it has stored all of a batch, or no part of it."""


@frozen
class Projected:
    """The counts of one round of a projector over its read models.

    Args:
        events: the events that were put into a read model, or passed over, counted for each of them.
        unreadable: the events that were skipped since they could not be read.
        busy: the number of read models that another projector had.
        stopped: the names of the read models that can't go on: see `status`.
    """

    events: int = 0
    unreadable: int = 0
    busy: int = 0
    stopped: tuple[str, ...] = ()

    def __add__(self, other: "Projected") -> "Projected":
        stopped = (*self.stopped, *(one for one in other.stopped if one not in self.stopped))
        return Projected(
            self.events + other.events, self.unreadable + other.unreadable, self.busy + other.busy, stopped
        )


@frozen
class ReadModelStatus:
    """The progress of a read model, for an operator.

    Args:
        name: of the read model.
        version: of its steps.
        stored_version: of the steps that made the rows that are read; 0 if it is not known.
        position: of the last event in it.
        behind: the number of events in the store after that one.
        unreadable: the number of events that were skipped since they could not be read.
        stopped_at: the position of the event where it stopped; None if it didn't.
        reason: why it stopped: `unreadable`, or the class of an exception.
        moved_at: the time of its last progress, UTC.
        rebuilt_to: the position of a rebuild that is running, or was interrupted.
    """

    name: str
    version: int
    stored_version: int
    position: int
    behind: int
    unreadable: int
    stopped_at: int | None
    reason: str | None
    moved_at: datetime | None
    rebuilt_to: int | None

    @property
    def state(self) -> str:
        """The state in one word, `stopped`, `outdated` (it needs a rebuild), `behind` or `current`."""
        if self.stopped_at is not None:
            return "stopped"
        if self.stored_version != self.version:
            return "outdated"
        return "behind" if self.behind else "current"


class Pace:
    """The waits between rounds: none while events come, `poll` without them, longer ones in an outage."""

    def __init__(self, poll: timedelta, *, until_idle: bool) -> None:
        self._poll, self._until_idle = poll.total_seconds(), until_idle
        self._database = Outage("the database", logger=logger)
        self.is_well: bool = False
        """True if the last round has reached the database."""

    @property
    def is_away(self) -> bool:
        """True if the last round did not reach the database."""
        return self._database.failures > 0

    def next(self, once: Callable[[], Projected]) -> float | None:
        """Do a round, and return the seconds to wait; None to end."""
        try:
            done = once()
        except _OUTAGES as error:
            if self._until_idle:
                raise
            self.is_well = False
            return self._database.failed(_reason(error))
        self.is_well = True
        self._database.answered()
        if done.events:
            return 0.0
        return None if self._until_idle and not done.busy else self._poll


def _reason(error: Exception) -> str:
    """Return the class of the error of the driver, if there is one: UndefinedTable says more than ProgrammingError."""
    return type(getattr(error, "orig", None) or error).__qualname__
