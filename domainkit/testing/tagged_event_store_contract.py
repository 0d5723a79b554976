"""Contract tests of every EventStore with tags: subclass the class, and run it with pytest."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeAlias

from returns.result import Result, Success

from domainkit.codec import MessageCodec
from domainkit.event_store import (
    ANY_REVISION,
    NO_STREAM,
    Appended,
    EventStore,
    RecordedEvent,
    StreamClosed,
    UnreadableEvent,
)
from domainkit.messages import DomainEvent
from domainkit.projections import Projection, projection
from domainkit.tags import AppendCondition, ConditionConflict, EventQuery, query
from domainkit.testing._expect import error_of, expect_arrived, value_of
from domainkit.testing.event_store_contract import ReadsNothing
from domainkit.testing.samples import SampleCourseId, SampleStudentId, SampleSubscribed, SampleUnsubscribed

SampleEvent: TypeAlias = SampleSubscribed | SampleUnsubscribed
Store: TypeAlias = EventStore[SampleEvent]
Found: TypeAlias = tuple[SampleEvent, ...]

ALL: Projection[Found, SampleEvent] = (
    projection(tuple[SampleEvent, ...]())
    .on(SampleSubscribed, lambda found, event: (*found, event))
    .on(SampleUnsubscribed, lambda found, event: (*found, event))
)


class TaggedEventStoreContract(ABC):
    """Contract of an EventStore with tags, in addition to EventStoreContract.

    >>> from domainkit import InmemoryEventStore
    >>> class TestInmemory(TaggedEventStoreContract):
    ...     def make_store(self, codec: MessageCodec[SampleEvent]) -> EventStore[SampleEvent]:
    ...         return InmemoryEventStore(codec)
    >>> TestInmemory().test_a_decision_is_stored_if_nothing_happened_meanwhile()
    """

    @abstractmethod
    def make_store(self, codec: MessageCodec[SampleEvent], /) -> Store:
        """Return a new, empty store, independent of earlier ones."""

    def test_events_are_found_by_their_tags(self) -> None:
        """A query finds the events of all streams that have all of its ids, in the order of their positions."""
        store, (ada, ben), (maths, arts) = self._store(), _students(), _courses()
        events = [SampleSubscribed(ada, maths), SampleSubscribed(ben, maths), SampleSubscribed(ada, arts)]
        for number, event in enumerate(events):
            value_of(store.append(f"stream-{number}", [event], expected=NO_STREAM))
        expect_arrived([events[0], events[2]], _found(store, query().about(ada)))
        expect_arrived(events[:2], _found(store, query().about(maths)))
        expect_arrived(events[:1], _found(store, query().about(maths, ada)))
        expect_arrived([], _found(store, query().about(ben, arts)))

    def test_events_are_found_by_their_classes(self) -> None:
        """A query finds the events of its classes and their subclasses, with ids or without."""
        store, ada, maths = self._store(), _student(), _course()
        events: list[SampleEvent] = [SampleSubscribed(ada, maths), SampleUnsubscribed(ada, maths)]
        value_of(store.append("stream", events, expected=NO_STREAM))
        expect_arrived(events[:1], _found(store, query().of(SampleSubscribed)))
        expect_arrived(events[1:], _found(store, query().about(ada).of(SampleUnsubscribed)))
        expect_arrived(events, _found(store, query().about(maths).of(SampleSubscribed | SampleUnsubscribed)))
        expect_arrived(events, _found(store, query().of(DomainEvent)))
        expect_arrived(events, _found(store, query()))

    def test_events_of_either_query_are_found_once(self) -> None:
        """A union of two queries finds the events of both, in the order of their positions, each once."""
        store, (ada, ben), (maths, arts) = self._store(), _students(), _courses()
        events = [SampleSubscribed(ada, maths), SampleSubscribed(ben, arts), SampleSubscribed(ben, maths)]
        value_of(store.append("stream", events, expected=NO_STREAM))
        expect_arrived([events[0], events[2]], _found(store, query().about(ada) | query().about(maths)))
        expect_arrived(events, _found(store, query().about(ben) | query().about(maths).of(SampleSubscribed)))

    def test_a_decision_is_stored_if_nothing_happened_meanwhile(self) -> None:
        """An append under a condition is stored, and the next decision sees it; an earlier decision is then refused."""
        store, ada, maths = self._store(), _student(), _course()
        about, event = query().about(ada), SampleSubscribed(ada, maths)
        condition = value_of(store.decide(about, ALL)).condition
        appended = value_of(store.append([event], condition))
        assert appended.revision == 1, "Appended has the revision of the last event"
        expect_arrived([event], _found(store, about))
        error = error_of(store.append([SampleSubscribed(ada, _course())], condition), ConditionConflict)
        assert error.position == appended.position, "the error says which event is against it"
        expect_arrived([event], _found(store, query()))
        value_of(store.append([SampleUnsubscribed(ada, maths)], value_of(store.decide(about, ALL)).condition))

    def test_only_events_of_the_query_are_against_a_decision(self) -> None:
        """Events with other tags, with some of the tags only, or of other classes don't matter."""
        store, (ada, ben), (maths, arts) = self._store(), _students(), _courses()
        both = _condition(store, query().about(ada, maths))
        leaving = _condition(store, query().about(ada).of(SampleUnsubscribed))
        either = _condition(store, query().about(ben, arts) | query().about(ada).of(SampleUnsubscribed))
        for student, course in ((ada, arts), (ben, maths)):
            value_of(store.append(student, [SampleSubscribed(student, course)], expected=NO_STREAM))
        for condition in (both, leaving, either):
            value_of(store.append([SampleSubscribed(_student(), _course())], condition))
        value_of(store.append(ada, [SampleUnsubscribed(ada, maths)], expected=1))
        for condition in (both, leaving, either):
            error_of(store.append([SampleSubscribed(_student(), _course())], condition), ConditionConflict)

    def test_an_append_with_a_revision_is_against_a_decision_too(self) -> None:
        """A condition sees events however they were appended."""
        store, ada, maths = self._store(), _student(), _course()
        condition = _condition(store, query().about(maths))
        value_of(store.append("stream", [SampleSubscribed(ada, maths)], expected=ANY_REVISION))
        error_of(store.append([SampleSubscribed(_student(), maths)], condition), ConditionConflict)

    def test_a_condition_may_say_that_there_is_no_event(self) -> None:
        """With `after=0` no event of the query may exist at all, even if the query has only classes."""
        store, ada, maths = self._store(), _student(), _course()
        for found in (query().about(ada, maths), query().of(SampleUnsubscribed)):
            value_of(store.append([SampleUnsubscribed(ada, maths)], AppendCondition(found, after=0)))
            error_of(store.append([SampleUnsubscribed(ada, maths)], AppendCondition(found, after=0)), ConditionConflict)
            value_of(store.delete(ada))
            ada, maths = _student(), _course()

    def test_events_go_to_the_end_of_a_stream(self) -> None:
        """By default the stream is named by the first tag of the first event; its revisions continue."""
        store, (ada, _), (maths, arts) = self._store(), _students(), _courses()
        events: list[SampleEvent] = [SampleSubscribed(ada, maths), SampleUnsubscribed(ada, maths)]
        value_of(store.append(events, _condition(store, query().about(ada))))
        assert (
            value_of(store.append([SampleSubscribed(ada, arts)], _condition(store, query().about(ada)))).revision == 3
        )
        assert [one.revision for one in store.read(ada)] == [1, 2, 3]
        value_of(store.append(events, _condition(store, query().about(ada)), stream="named"))
        expect_arrived(events, [one.event for one in store.read("named") if isinstance(one, RecordedEvent)])

    def test_the_same_append_is_stored_once(self) -> None:
        """The same events under the same condition are stored once; with other events in between it is a conflict."""
        store, ada, maths = self._store(), _student(), _course()
        condition = _condition(store, query().about(ada))
        events: list[SampleEvent] = [SampleSubscribed(ada, maths), SampleUnsubscribed(ada, maths)]
        first = value_of(store.append(events, condition))
        value_of(store.append(ada, [SampleSubscribed(ada, maths)], expected=2))
        assert first == value_of(store.append(events, condition)), "a repeated append has the place of the first"
        error_of(store.append([events[0], SampleSubscribed(ada, maths)], condition), ConditionConflict)
        elsewhere = AppendCondition(query().about(_student()), after=condition.after)
        assert first == value_of(store.append(events, elsewhere)), "even where the condition still holds"
        assert len(store.read(ada)) == 3, "nothing is stored twice"

    def test_no_events_are_no_append(self) -> None:
        """An append of no events checks no condition."""
        store, ada, maths = self._store(), _student(), _course()
        condition = _condition(store, query().about(ada))
        value_of(store.append(ada, [SampleSubscribed(ada, maths)], expected=NO_STREAM))
        assert value_of(store.append((), condition)).revision == 0

    def test_nothing_is_appended_to_a_closed_stream(self) -> None:
        """An archived or deleted stream takes no conditional appends either, and queries find no deleted events."""
        store, (ada, ben), (maths, _) = self._store(), _students(), _courses()
        for student in (ada, ben):
            value_of(store.append(student, [SampleSubscribed(student, maths)], expected=NO_STREAM))
        condition = _condition(store, query().about(maths))
        value_of(store.archive(ada))
        value_of(store.delete(ben))
        for student in (ada, ben):
            error_of(store.append([SampleSubscribed(student, maths)], condition), StreamClosed)
        (left,) = _found(store, query().about(maths))
        assert left.student_id == ada, "archived events are found, deleted ones are not"

    def test_an_event_that_can_not_be_read_is_reported(self) -> None:
        """If a query finds an unreadable event, `decide` is a Failure: a part of the history would be missing."""
        store = self.make_store(ReadsNothing(SampleSubscribed, SampleUnsubscribed))
        ada, maths = _student(), _course()
        value_of(store.append(ada, [SampleSubscribed(ada, maths)], expected=NO_STREAM))
        error_of(store.decide(query().about(maths), ALL), UnreadableEvent)
        value_of(store.decide(query().about(_course()), ALL))

    def test_one_of_many_deciders_wins(self) -> None:
        """If several decisions are made on the same state, one is stored; the others get a ConditionConflict."""
        store, maths = self._store(), _course()
        condition = _condition(store, query().about(maths).of(SampleSubscribed))
        won = _at_once(
            8, lambda number: store.append([SampleSubscribed(_student(), maths)] * (number % 2 + 1), condition)
        )
        assert won == 1, f"expected one stored decision, got {won}"

    def test_decisions_that_exclude_each_other_are_never_both_stored(self) -> None:
        """If each decision writes an event that the others query, but not one that it queries itself, one is stored."""
        store, students = self._store(), [_student() for _ in range(4)]
        won = _at_once(
            4,
            lambda number: store.append(
                [SampleSubscribed(students[number], _course())],
                AppendCondition(_others([*students[:number], *students[number + 1 :]]), after=0),
            ),
        )
        assert won == 1, f"expected one stored decision, got {won}"

    def _store(self) -> Store:
        return self.make_store(MessageCodec.of(SampleSubscribed | SampleUnsubscribed))


def _student() -> SampleStudentId:
    return SampleStudentId.v4()


def _course() -> SampleCourseId:
    return SampleCourseId.v4()


def _students() -> tuple[SampleStudentId, SampleStudentId]:
    return _student(), _student()


def _courses() -> tuple[SampleCourseId, SampleCourseId]:
    return _course(), _course()


def _found(store: Store, wanted: EventQuery) -> Found:
    return value_of(store.decide(wanted, ALL)).state


def _condition(store: Store, wanted: EventQuery) -> AppendCondition:
    return value_of(store.decide(wanted, ALL)).condition


def _others(students: Sequence[SampleStudentId]) -> EventQuery:
    """Return the query for the events of any of these students."""
    first, *rest = [query().about(one) for one in students]
    for one in rest:
        first = first | one
    return first


def _at_once(writers: int, append: Callable[[int], Result[Appended, ConditionConflict | StreamClosed]]) -> int:
    """Return how many of the writers stored their decision; the others must have a ConditionConflict."""
    barrier = Barrier(writers)

    def write(number: int) -> bool:
        barrier.wait()
        outcome = append(number)
        if not isinstance(outcome, Success):
            error_of(outcome, ConditionConflict)
        return isinstance(outcome, Success)

    with ThreadPoolExecutor(writers) as pool:
        return sum(pool.map(write, range(writers)))
