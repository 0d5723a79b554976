"""Appends to a SQL event store before they are sent, and what may become of them in a race."""

from collections.abc import Sequence
from typing import TypeAlias
from uuid import UUID

from attrs import frozen
from returns.result import Result

from domainkit.adapters.sqlalchemy.event_locks import Tags
from domainkit.adapters.sqlalchemy.event_statements import EventRow
from domainkit.adapters.sqlalchemy.event_tags import Guard
from domainkit.adapters.sqlalchemy.outbox import OutboxRow
from domainkit.adapters.sqlalchemy.races import DEADLOCK, SERIALIZATION_FAILURE, state_of
from domainkit.errors import ConflictError
from domainkit.event_store import (
    STREAM_EXISTS,
    Appended,
    ExpectedRevision,
    RevisionConflict,
    StreamClosed,
)
from domainkit.tags import ConditionConflict


@frozen
class EncodedAppend:
    """An append with encoded events.

    Args:
        stream: the name of the stream.
        expected: the expectation of the caller.
        start: the revision after which the events are stored; None if the expectation doesn't name one.
        rows: the events.
        outgoing: the same events for the outbox.
        tags: the tags of each event, for a store with tags.
    """

    stream: str
    expected: ExpectedRevision
    start: int | None
    rows: Sequence[EventRow]
    outgoing: Sequence[OutboxRow]
    tags: Sequence[Tags] = ()

    @property
    def ids(self) -> list[UUID]:
        """The ids of the events."""
        return [row[0] for row in self.rows]

    def lost(self) -> RevisionConflict:
        """Return the conflict with a faster transaction, whose events can't be seen from here."""
        return RevisionConflict(stream=self.stream, expected=self.expected)


@frozen
class EncodedConditionalAppend:
    """An append under a condition, with encoded events.

    Args:
        stream: the name of the stream.
        guard: the condition.
        rows: the events, at least one.
        tags: the tags of each event.
        outgoing: the same events for the outbox.
    """

    stream: str
    guard: Guard
    rows: Sequence[EventRow]
    tags: Sequence[Tags]
    outgoing: Sequence[OutboxRow]


Conditioned: TypeAlias = Result[Appended, ConditionConflict | StreamClosed]
"""The answer to an append under a condition."""


NO_LIMIT = 2**63 - 1
"""The largest position."""


def is_final(error: ConflictError, *, is_inside: bool) -> bool:
    """Check if a lost race is the answer: inside of a unit of work, whose whole transaction is lost.

    Raises:
        ConflictError: it is a deadlock inside of a unit of work, or no race that a new attempt could win.
    """
    state = state_of(error.__cause__)
    if state != SERIALIZATION_FAILURE and (is_inside or state != DEADLOCK):
        raise error
    return is_inside


def lost_closing(name: str) -> RevisionConflict:
    """Return the conflict of closing a stream while a faster transaction appended to it, or closed it."""
    return RevisionConflict(stream=name, expected=STREAM_EXISTS)
