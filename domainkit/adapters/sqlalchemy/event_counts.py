"""Counts of an event store that its port doesn't have: for the status of a projector, and the progress of a rebuild."""

from typing import Any

from domainkit.adapters.sqlalchemy.event_store import SqlEventStore
from domainkit.read_models import ReadsAllEvents

_COUNT = "SELECT count(*) FROM {events} WHERE position > :after AND body IS NOT NULL"
_LAST = "SELECT coalesce(max(position), 0) FROM {events} WHERE position > :after"
_PAGE = 1_000


def events_after(store: ReadsAllEvents, position: int) -> int:
    """Return the number of events after a position: counted by the database, or by reading them.

    That of a SQL store counts also those that are held back by a transaction that appends.
    """
    if isinstance(store, SqlEventStore):
        return _ask(store, _COUNT, position)
    count = 0
    while found := store.read_all(after=position, limit=_PAGE):
        count, position = count + len(found), found[-1].position
    return count


def last_position(store: ReadsAllEvents, after: int) -> int | None:
    """Return the position of the last event, or `after` if that is larger; None if only reading would show it."""
    return max(after, _ask(store, _LAST, after)) if isinstance(store, SqlEventStore) else None


def _ask(store: "SqlEventStore[Any]", sql: str, after: int) -> int:  # Any: of whatever events
    with store._unit_of_work._reading_once() as connection:
        answer: int = store._sql._run(connection, sql, {"after": after}).scalar_one()
    return answer
