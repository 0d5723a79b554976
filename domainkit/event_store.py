"""The event store port: streams of events, appended with an expected revision, and read in order.

See Young, CQRS Documents (2010), and the terms of EventStoreDB (stream, revision, position, expected revision).
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeAlias, overload
from uuid import UUID

from attrs import frozen
from returns.result import Failure, Result, Success
from typing_extensions import TypeVar

from domainkit._model.services import Service
from domainkit._speedups.slots import maker
from domainkit.aggregates import AnyId
from domainkit.causation import caused
from domainkit.errors import ConflictError, DomainError, InvalidMessage, Problem
from domainkit.ids import text_refusal
from domainkit.messages import DomainEvent
from domainkit.projections import Projection
from domainkit.tags import AppendCondition, ConditionConflict, Decision, EventQuery, tags_of
from domainkit.values import ValueObject

E = TypeVar("E", bound=DomainEvent, default=DomainEvent)
E_co = TypeVar("E_co", bound=DomainEvent, default=DomainEvent, covariant=True)
E_contra = TypeVar("E_contra", contravariant=True)
S = TypeVar("S")
Q = TypeVar("Q", bound=DomainEvent)

StreamId: TypeAlias = str | AnyId
"""The name of a stream: a text, or an id that has one."""


class Expected(Enum):
    """An expectation of a stream that is not a revision."""

    NO_STREAM = "no event"
    STREAM_EXISTS = "an event"
    ANY_REVISION = "any revision"


NO_STREAM: Final = Expected.NO_STREAM
"""The stream has no event yet: revision 0."""

STREAM_EXISTS: Final = Expected.STREAM_EXISTS
"""The stream has an event, whatever its revision."""

ANY_REVISION: Final = Expected.ANY_REVISION
"""The stream may have any revision, also none."""

ExpectedRevision: TypeAlias = int | Expected


@frozen
class Appended:
    """The place of the last event of an append.

    Args:
        revision: in its stream; the first event has 1. 0 if the stream has no event and none was appended.
        position: in the store, over all streams; larger for every later event. Positions may leave gaps.
    """

    revision: int
    position: int


@frozen
class RecordedEvent(Generic[E_co]):
    """An event as a store has it.

    Args:
        event: the event, in its newest version.
        stream: the name of its stream.
        revision: its number in the stream, from 1.
        position: its place in the store, over all streams.
    """

    event: E_co
    stream: str
    revision: int
    position: int


_make_recorded: Callable[..., RecordedEvent[Any]] = maker(RecordedEvent, "event", "stream", "revision", "position")
"""Returns what RecordedEvent does, in less time: a stream may have thousands. Any: an event of whatever class."""


@frozen(kw_only=True, repr=False, order=False)
class UnreadableEvent(DomainError):
    """A stored event that the codec refuses: of an unknown class or version, or changed by hand.

    Args:
        stream: the name of its stream.
        revision: its number in the stream, from 1.
        position: its place in the store.
        problems: what is wrong, with the path in the message; never the value found there.
    """

    stream: str
    revision: int
    position: int
    problems: tuple[Problem, ...] = ()

    def detail(self) -> str:
        """Return the error's name, the place of the event, and the problems."""
        found = "; ".join(map(str, self.problems))
        return f"{super().detail()}: event {self.revision} at position {self.position}: {found}"


@frozen(kw_only=True, repr=False, order=False)
class RevisionConflict(ConflictError):
    """The stream is not as expected: somebody appended to it since it was read. Read it again, and decide again.

    Args:
        stream: the name of the stream.
        expected: the revision that was expected.
        actual: the revision that the stream has; 0 if it has no event, None if it is not known.
    """

    stream: str
    expected: ExpectedRevision
    actual: int | None = None

    def detail(self) -> str:
        """Return the error's name, and the two revisions."""
        return f"{super().detail()}: {self._difference()}"

    def _difference(self) -> str:
        expected = self.expected.value if isinstance(self.expected, Expected) else f"revision {self.expected}"
        actual = "another one" if self.actual is None else f"revision {self.actual}"
        return f"expected {expected}, the stream has {actual}"


class StreamClosed(RevisionConflict):
    """The stream was archived or deleted: nothing can be appended any more, however often it is tried."""

    def _difference(self) -> str:  # the revisions may be the same
        return "expected an open stream, this one was archived or deleted"


class AppendsEvents(Protocol[E_contra]):
    """The part of an event store that a decider needs: append its events, and read a stream.

    A store of more classes of events fits too.
    """

    def append(
        self, stream: StreamId, events: Sequence[E_contra], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]:
        """Append events to a stream; see EventStore."""
        raise NotImplementedError

    def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[DomainEvent] | UnreadableEvent]:
        """Return events of a stream; see EventStore."""
        raise NotImplementedError


class EventStore(Service, Generic[E]):
    """A store of events in streams. Every adapter passes the tests of `domainkit.testing.EventStoreContract`.

    `EventStore[Opened | Deposited]` holds these classes, and gives them back.
    """

    __slots__ = ()

    @overload
    @abstractmethod
    def append(
        self, stream: StreamId, events: Sequence[E], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]: ...
    @overload
    @abstractmethod
    def append(
        self, events: Sequence[E], condition: AppendCondition, /, *, stream: StreamId | None = None
    ) -> Result[Appended, ConditionConflict | StreamClosed]: ...
    @abstractmethod
    def append(  # noqa: D417  (the arguments are those of the two forms)
        self,
        first: StreamId | Sequence[E],
        second: Sequence[E] | AppendCondition,
        /,
        *,
        expected: ExpectedRevision | None = None,
        stream: StreamId | None = None,
    ) -> Result[Appended, RevisionConflict] | Result[Appended, ConditionConflict | StreamClosed]:
        """Append events, all of them or none: to a stream of an expected revision, or under a condition.

        `append(stream, events, expected=...)` expects a revision of the stream. `append(events, condition)` expects
        that no event was stored meanwhile that the condition excludes (see `decide`), whatever the revision of the
        stream: the events go to its end.

        Events that are in the stream already, with these ids at these revisions, are the same append: the Success says
        where they are, and nothing is stored twice. With a condition, that holds for events in their stream behind the
        positions of the same condition. No events are no append: with a condition, nothing is checked then.

        Args:
            stream: the name of the stream, which need not exist yet. With a condition it is by default the text of the
                first tag of the first event: appends that share no tag then share no stream, and don't wait for one
                another.
            events: the oldest first. Their causes are noted, as an outbox does.
            expected: the revision that the stream must have (2: two events are there), or NO_STREAM, STREAM_EXISTS or
                ANY_REVISION.
            condition: made by `decide`, or by hand.

        Returns:
            The place of the last event; a Failure with RevisionConflict if the stream is not as expected, with
            ConditionConflict if the condition doesn't hold, with StreamClosed if the stream was archived or deleted.

        Raises:
            UnknownMessage: the codec of the store wasn't given the class of an event; nothing was stored.
            InvalidMessage: an event could not be read back; nothing was stored.
            ValueError: the name of the stream is empty, or no database takes it; or the first event has no tag to name
                it.
            TypeError: `events` is not a sequence of events, or `expected` not a revision; or the query of the condition
                has a class that the codec wasn't given.
        """

    @overload
    @abstractmethod
    def decide(self, query: EventQuery[Q], projection: Projection[S, Q], /) -> Result[Decision[S], UnreadableEvent]: ...
    @overload
    @abstractmethod
    def decide(self, query: EventQuery, projection: Projection[S, E], /) -> Result[Decision[S], UnreadableEvent]: ...
    @abstractmethod
    def decide(
        self, query: EventQuery, projection: Projection[S, Any], /
    ) -> Result[Decision[S], UnreadableEvent]:  # Any: the events of the query, which the overloads check
        """Return the state after the events of a query, and the condition for what is decided on it.

        Events that were appended without tags, by a store that has none, are not found by a query about ids.

        Args:
            query: the events that the decision depends on, of all streams: `query().about(course_id).of(Opened)`.
            projection: folds them; it has a step for each class of the query.

        Returns:
            A Success with the Decision; a Failure with the first event of the query that can't be read.

        Raises:
            TypeError: the query has a class that the codec wasn't given; or the projection has no step for an event.
        """

    @abstractmethod
    def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of a stream, the oldest first; an empty sequence if the stream does not exist.

        Args:
            stream: the name of the stream. An archived one is read as before; a deleted one has no events.
            after: only events of a larger revision.
            limit: at most so many; all of them unless given.
            backwards: the newest first.

        Returns:
            Each event, or an UnreadableEvent in its place.

        Raises:
            ValueError: `after` or `limit` is below 0; or as for `append`.
        """

    @abstractmethod
    def read_all(self, *, after: int = 0, limit: int | None = None) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of all streams by position, the oldest first.

        No event is skipped: one is given only once no earlier position can appear any more.

        Args:
            after: only events of a larger position.
            limit: at most so many; all of them unless given.

        Raises:
            ValueError: `after` or `limit` is below 0.
        """

    @abstractmethod
    def archive(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Close a stream: it can be read, and nothing can be appended to it any more.

        Returns:
            The place of its last event; a Failure with RevisionConflict if the stream does not exist, or with
            StreamClosed if it is deleted. To archive it again changes nothing.
        """

    @abstractmethod
    def delete(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Remove the events of a stream, for ever, and keep its name: nothing can be appended to it any more.

        Returns:
            The place where its last event was; a Failure with RevisionConflict if the stream does not exist. To delete
            it again changes nothing.
        """


class AsyncEventStore(Service, Generic[E]):
    """The async twin of EventStore: the same methods with the same promises, to await."""

    __slots__ = ()

    @overload
    @abstractmethod
    async def append(
        self, stream: StreamId, events: Sequence[E], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]: ...
    @overload
    @abstractmethod
    async def append(
        self, events: Sequence[E], condition: AppendCondition, /, *, stream: StreamId | None = None
    ) -> Result[Appended, ConditionConflict | StreamClosed]: ...
    @abstractmethod
    async def append(
        self,
        first: StreamId | Sequence[E],
        second: Sequence[E] | AppendCondition,
        /,
        *,
        expected: ExpectedRevision | None = None,
        stream: StreamId | None = None,
    ) -> Result[Appended, RevisionConflict] | Result[Appended, ConditionConflict | StreamClosed]:
        """Append events, all of them or none; see EventStore."""

    @overload
    @abstractmethod
    async def decide(
        self, query: EventQuery[Q], projection: Projection[S, Q], /
    ) -> Result[Decision[S], UnreadableEvent]: ...
    @overload
    @abstractmethod
    async def decide(
        self, query: EventQuery, projection: Projection[S, E], /
    ) -> Result[Decision[S], UnreadableEvent]: ...
    @abstractmethod
    async def decide(
        self, query: EventQuery, projection: Projection[S, Any], /
    ) -> Result[Decision[S], UnreadableEvent]:  # Any: the events of the query, which the overloads check
        """Return the state after the events of a query, and the condition for what is decided on it; see EventStore."""

    @abstractmethod
    async def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of a stream; see EventStore."""

    @abstractmethod
    async def read_all(
        self, *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of all streams by position; see EventStore."""

    @abstractmethod
    async def archive(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Close a stream; see EventStore."""

    @abstractmethod
    async def delete(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Remove the events of a stream, for ever; see EventStore."""


class AsyncAppendsEvents(Protocol[E_contra]):
    """The async twin of AppendsEvents."""

    async def append(
        self, stream: StreamId, events: Sequence[E_contra], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]:
        """Append events to a stream; see EventStore."""
        raise NotImplementedError

    async def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[DomainEvent] | UnreadableEvent]:
        """Return events of a stream; see EventStore."""
        raise NotImplementedError


def stream_name(stream: StreamId) -> str:
    """Return the name of a stream as text: that of an id is the text of its value.

    Raises:
        TypeError: it is neither a text nor an id that wraps a text, a number or a UUID.
        ValueError: it is empty, or no database takes it.
    """
    name = stream.value if isinstance(stream, ValueObject) else stream
    if isinstance(name, bool) or not isinstance(name, str | int | UUID):
        raise TypeError(f"stream: expected a text or an id, got a {type(stream).__qualname__}; name it by its text")
    text = str(name)
    refusal = text_refusal(text) if text else "a text that is not empty"
    if refusal is not None:
        raise ValueError(f"stream: expected {refusal}")
    return text


def start_of(expected: ExpectedRevision) -> int | None:
    """Return the revision after which events are appended, if what is expected names one.

    Raises:
        TypeError: it is neither a revision nor an Expected.
    """
    if isinstance(expected, Expected):
        return 0 if expected is NO_STREAM else None
    if isinstance(expected, bool) or not isinstance(expected, int) or expected < 0:
        raise TypeError(f"expected: expected a revision from 0, or NO_STREAM and the like, got {expected!r}")
    return expected


def check_range(after: int, limit: int | None) -> None:
    """Refuse the numbers of a read that databases take in different ways.

    Raises:
        ValueError: one of them is below 0.
    """
    if after < 0 or (limit is not None and limit < 0):
        raise ValueError(
            f"read: expected `after` and `limit` from 0, got {after} and {limit}; leave out what is below 0"
        )


def conflict(stream: str, expected: ExpectedRevision, actual: int) -> Failure[RevisionConflict] | None:
    """Return the Failure of an append to a stream that has the revision `actual`; None if that is as expected."""
    start = start_of(expected)
    if start == actual or expected is ANY_REVISION or (expected is STREAM_EXISTS and actual):
        return None
    return Failure(RevisionConflict(stream=stream, expected=expected, actual=actual))


def checked_events(events: Sequence[E]) -> tuple[E, ...]:
    """Return the events of an append, with what caused them.

    Raises:
        TypeError: it is not a sequence of events.
    """
    if not isinstance(events, Sequence) or not all(isinstance(one, DomainEvent) for one in events):
        raise TypeError(f"append: expected a sequence of events, got {_described(events)}; pass a list of them")
    return tuple(map(caused, events))


def _described(events: object) -> str:
    """Return what was given in place of a sequence of events: its class, or that of the first item that is no event."""
    whole = f"a {type(events).__qualname__}"
    if not isinstance(events, Sequence):
        return whole
    return f"{whole} with a {next(type(one).__qualname__ for one in events if not isinstance(one, DomainEvent))}"


def all_recorded(
    found: Iterable[E | InvalidMessage], streams: Iterable[str], revisions: Iterable[int], positions: Iterable[int]
) -> tuple[RecordedEvent[E] | UnreadableEvent, ...]:
    """Return stored events as `MessageCodec.decode_many` has read them, or what is wrong with them.

    Args:
        found: each event, or what the codec has against it.
        streams: the name of its stream.
        revisions: its number there.
        positions: its place in the store.
    """
    return tuple(
        [
            _unreadable(one, stream, revision, position)
            if isinstance(one, InvalidMessage)
            else _make_recorded(one, stream, revision, position)
            for one, stream, revision, position in zip(found, streams, revisions, positions, strict=False)
        ]
    )


def _unreadable(error: InvalidMessage, stream: str, revision: int, position: int) -> UnreadableEvent:
    return UnreadableEvent(stream=stream, revision=revision, position=position, problems=error.problems)


def stream_and_expected(
    first: StreamId | Sequence[E], expected: ExpectedRevision | None, stream: StreamId | None
) -> tuple[StreamId, ExpectedRevision]:
    """Return the stream of an append without a condition, and what is expected of it.

    Raises:
        TypeError: the arguments are neither those of an append with an expected revision nor of one with a condition.
    """
    if stream is not None or not isinstance(first, str | ValueObject):
        raise TypeError(
            "append: expected a stream, its events and expected=..., or events and a condition, got other arguments; "
            "name the stream by a text or an id"
        )
    if expected is None:
        raise TypeError("expected: expected a revision from 0, or NO_STREAM and the like, got None")
    return first, expected


def events_of(first: StreamId | Sequence[E], expected: ExpectedRevision | None) -> Sequence[E]:
    """Return the events of an append with a condition.

    Raises:
        TypeError: it is a stream; or a revision is expected too.
    """
    if isinstance(first, str | ValueObject):
        raise TypeError("append: expected events before a condition, got a stream; name it by `stream=`")
    if expected is not None:
        raise TypeError("append: expected a condition alone, got `expected=` too; leave that out, or the condition")
    return first


def stream_for(events: Sequence[DomainEvent], stream: StreamId | None) -> str:
    """Return the name of the stream for events under a condition: by default the first tag of the first event.

    Raises:
        ValueError: it has no tag; or as for `stream_name`.
    """
    if stream is not None:
        return stream_name(stream)
    tags = tags_of(events[0])
    if not tags:
        raise ValueError(
            f"append: expected a first event with a tag, got a {type(events[0]).__qualname__}, which has none; name "
            "the stream by `stream=`"
        )
    return str(tags[0])


def appended_nothing(condition: AppendCondition) -> Success[Appended]:
    """Return the Success of an append of no event under a condition."""
    return Success(Appended(0, max(condition.positions)))


def decided(
    query: EventQuery,
    projection: Projection[S, Any],  # Any: the events of the query
    stored: Sequence[RecordedEvent[DomainEvent] | UnreadableEvent],
    after: int | tuple[int, ...],
) -> Result[Decision[S], UnreadableEvent]:
    """Return the state after stored events, and the condition that none was stored after these positions."""
    state, classes = projection.initial, tuple({cls for item in query.items for cls in item.classes or (DomainEvent,)})
    for one in stored:
        if isinstance(one, UnreadableEvent):
            return Failure(one)
        if isinstance(one.event, classes):  # not another class that had the same name in another version
            state = projection.evolve(state, one.event)
    return Success(Decision(state, AppendCondition(query, after)))
