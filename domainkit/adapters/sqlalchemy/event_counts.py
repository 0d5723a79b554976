"""Facts of an event store that its port doesn't have: for a projector, its status, and the progress of a rebuild."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from attrs import frozen

from domainkit.adapters.sqlalchemy.event_store import SqlEventStore
from domainkit.event_store import RecordedEvent, UnreadableEvent
from domainkit.messages import DomainEvent
from domainkit.read_models import ReadsAllEvents

_COUNT = "SELECT count(*) FROM {events} WHERE position > :after AND body IS NOT NULL"
_LAST = "SELECT coalesce(max(position), 0) FROM {events} WHERE position > :after"
_DELETED = (
    "SELECT max(position) FROM {events} WHERE position > :after AND position <= :upto AND body IS NULL AND position <="
    " coalesce((SELECT min(position) - 1 FROM {events} WHERE position > :after AND body IS NOT NULL), :upto)"
)
_PAGE = 1_000

Stored: TypeAlias = Sequence[RecordedEvent[DomainEvent] | UnreadableEvent]


@frozen
class Found:
    """Events after a position.

    Args:
        events: the events.
        position: that of the last one, or of deleted ones after it: no other event is, or will be, up to there.
    """

    events: Stored
    position: int


def found_after(store: ReadsAllEvents, position: int, limit: int) -> Found:
    """Return the next events of a store; if there are none, a SQL store knows the position of deleted ones."""
    if not isinstance(store, SqlEventStore):
        events = store.read_all(after=position, limit=limit)
        return Found(events, events[-1].position if events else position)
    upto = store._upto(store._settled(), is_inside=store._is_inside(), what="read_all")
    events = store._read_all(position, upto, limit) if upto > position else ()
    if events or upto <= position:
        return Found(events, events[-1].position if events else position)
    return Found((), _ask(store, _DELETED, after=position, upto=upto) or position)


def events_after(store: ReadsAllEvents, position: int) -> int:
    """Return the number of events after a position: counted by the database, or by reading them.

    That of a SQL store counts also those that are held back by a transaction that appends.
    """
    if isinstance(store, SqlEventStore):
        return _ask(store, _COUNT, after=position) or 0
    count = 0
    while found := store.read_all(after=position, limit=_PAGE):
        count, position = count + len(found), found[-1].position
    return count


def last_position(store: ReadsAllEvents, after: int) -> int | None:
    """Return the position of the last event, or `after` if that is larger; None if only reading would show it."""
    return max(after, _ask(store, _LAST, after=after) or 0) if isinstance(store, SqlEventStore) else None


def _ask(store: "SqlEventStore[Any]", sql: str, **values: int) -> int | None:  # Any: of whatever events
    with store._unit_of_work._reading_once() as connection:
        answer: int | None = store._sql._run(connection, sql, values).scalar_one()
    return answer
