"""Contract tests of every EventStore: subclass the class, and run it with pytest."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeAlias

from returns.result import Result, Success

from domainkit.causation import handling
from domainkit.codec import MessageCodec
from domainkit.errors import InvalidMessage
from domainkit.event_store import (
    ANY_REVISION,
    NO_STREAM,
    STREAM_EXISTS,
    EventStore,
    ExpectedRevision,
    RecordedEvent,
    RevisionConflict,
    StreamClosed,
    UnreadableEvent,
)
from domainkit.messages import M
from domainkit.testing._expect import error_of, expect_arrived, value_of
from domainkit.testing.samples import SampleCreateTask, SampleTaskCreated, SampleTaskId, SampleTitle

Store: TypeAlias = EventStore[SampleTaskCreated]
Stored: TypeAlias = Sequence[RecordedEvent[SampleTaskCreated] | UnreadableEvent]


class EventStoreContract(ABC):
    """Contract of an EventStore.

    >>> from domainkit import InmemoryEventStore
    >>> class TestInmemory(EventStoreContract):
    ...     def make_store(self, codec: MessageCodec[SampleTaskCreated]) -> EventStore[SampleTaskCreated]:
    ...         return InmemoryEventStore(codec)
    >>> TestInmemory().test_events_come_back_as_they_were_appended()
    """

    @abstractmethod
    def make_store(self, codec: MessageCodec[SampleTaskCreated], /) -> Store:
        """Return a new, empty store, independent of earlier ones."""

    def test_events_come_back_as_they_were_appended(self) -> None:
        """A stream returns equal events in their order, with revisions from 1, and no events of other streams."""
        store, events = self._store(), _events(3)
        appended = value_of(store.append("task-1", events, expected=NO_STREAM))
        value_of(store.append("task-2", _events(1), expected=NO_STREAM))
        found = store.read("task-1")
        expect_arrived(events, _payloads(found))
        assert _revisions(found) == [1, 2, 3], "revisions count from 1"
        assert appended.revision == 3, "Appended has the revision of the last event"
        assert appended.position == _positions(found)[-1], "Appended has the position of the last event"
        assert {"task-1"} == {one.stream for one in found}, "each event has the name of its stream"

    def test_a_stream_may_be_named_by_an_id(self) -> None:
        """An id stands for the stream with the id's text as its name."""
        store, task_id = self._store(), SampleTaskId.v4()
        value_of(store.append(task_id, _events(1), expected=NO_STREAM))
        assert [1] == _revisions(store.read(task_id)) == _revisions(store.read(str(task_id)))

    def test_a_stream_that_does_not_exist_is_empty(self) -> None:
        """A stream without events is read as an empty sequence."""
        assert list(self._store().read("task-1")) == []

    def test_a_stream_is_read_in_parts(self) -> None:
        """`after` and `limit` return the next part, `backwards` the newest events first."""
        store, events = self._store(), _events(5)
        value_of(store.append("task-1", events, expected=NO_STREAM))
        expect_arrived(events[2:4], _payloads(store.read("task-1", after=2, limit=2)))
        expect_arrived([events[4], events[3]], _payloads(store.read("task-1", limit=2, backwards=True)))
        expect_arrived([events[4]], _payloads(store.read("task-1", after=4, backwards=True)))
        assert list(store.read("task-1", after=5)) == [], "there is nothing after the last event"

    def test_another_revision_is_refused(self) -> None:
        """An append that expects another revision is a RevisionConflict, and stores nothing."""
        store = self._store()
        value_of(store.append("task-1", _events(2), expected=NO_STREAM))
        refused: list[ExpectedRevision] = [NO_STREAM, 1, 3]
        for expected in refused:
            error = error_of(store.append("task-1", _events(1), expected=expected), RevisionConflict)
            assert ("task-1", expected, 2) == (error.stream, error.expected, error.actual)
        for missing in (STREAM_EXISTS, 1):
            error = error_of(store.append("task-2", _events(1), expected=missing), RevisionConflict)
            assert error.actual == 0, "a stream without events has revision 0"
        assert _revisions(store.read("task-1")) == [1, 2], "a refused append stores nothing"

    def test_each_expectation_is_accepted_where_it_holds(self) -> None:
        """NO_STREAM, a revision, 0, STREAM_EXISTS and ANY_REVISION are each accepted if the stream is as expected."""
        store = self._store()
        accepted: list[ExpectedRevision] = [NO_STREAM, 1, STREAM_EXISTS, ANY_REVISION]
        for expected in accepted:
            value_of(store.append("task-1", _events(1), expected=expected))
        value_of(store.append("task-2", _events(1), expected=ANY_REVISION))
        value_of(store.append("task-3", _events(1), expected=0))
        assert _revisions(store.read("task-1")) == [1, 2, 3, 4]

    def test_the_same_append_is_stored_once(self) -> None:
        """An append of events whose ids the stream has at these revisions is a Success, and stores nothing."""
        store, events = self._store(), _events(2)
        value_of(store.append("task-1", _events(1), expected=NO_STREAM))
        first = value_of(store.append("task-1", events, expected=1))
        value_of(store.append("task-1", _events(1), expected=3))
        assert first == value_of(store.append("task-1", events, expected=1)), (
            "a repeated append returns the revision and position of the first"
        )
        assert first == value_of(store.append("task-1", events, expected=ANY_REVISION))
        error_of(store.append("task-1", [events[0], *_events(1)], expected=1), RevisionConflict)
        assert _revisions(store.read("task-1")) == [1, 2, 3, 4]

    def test_no_events_are_no_append(self) -> None:
        """An append of no events returns the end of the stream, or RevisionConflict if the stream isn't as expected."""
        store = self._store()
        assert value_of(store.append("task-1", (), expected=NO_STREAM)).revision == 0
        end = value_of(store.append("task-1", _events(2), expected=NO_STREAM))
        assert end == value_of(store.append("task-1", (), expected=2))
        error_of(store.append("task-1", (), expected=1), RevisionConflict)

    def test_all_events_are_read_by_position(self) -> None:
        """`read_all` returns the events of all streams in the order of their positions, in parts."""
        store, first, second = self._store(), _events(2), _events(2)
        value_of(store.append("task-1", first, expected=NO_STREAM))
        value_of(store.append("task-2", second[:1], expected=NO_STREAM))
        value_of(store.append("task-1", second[1:], expected=2))
        found = store.read_all()
        expect_arrived([*first, *second], _payloads(found))
        positions = _positions(found)
        assert sorted(set(positions)) == positions, "positions grow"
        expect_arrived(second, _payloads(store.read_all(after=positions[1])))
        expect_arrived(first, _payloads(store.read_all(limit=2)))

    def test_an_event_says_what_caused_it(self) -> None:
        """An event that is appended during the handling of a command has the command as its cause."""
        store, command = self._store(), SampleCreateTask(SampleTaskId.v4())
        with handling(command):
            value_of(store.append("task-1", _events(1), expected=NO_STREAM))
        (event,) = _payloads(store.read("task-1"))
        assert str(command.header.id) == event.header.meta["causation_id"]

    def test_an_event_of_a_class_that_the_codec_lacks_is_reported_in_its_place(self) -> None:
        """An unreadable event is returned as an UnreadableEvent, in its place."""
        store = self.make_store(ReadsNothing(SampleTaskCreated))
        value_of(store.append("task-1", _events(2), expected=NO_STREAM))
        found = store.read("task-1")
        assert [UnreadableEvent] * 2 == [type(one) for one in found], "each unreadable event is reported"
        assert _revisions(found) == [1, 2], "it has its revision"
        assert all(one.problems for one in found if isinstance(one, UnreadableEvent)), "it lists its problems"
        assert [UnreadableEvent] * 2 == [type(one) for one in store.read_all()]

    def test_an_archived_stream_can_be_read_only(self) -> None:
        """An archived stream is read as before, and nothing can be appended to it."""
        store, events = self._store(), _events(2)
        end = value_of(store.append("task-1", events, expected=NO_STREAM))
        assert end == value_of(store.archive("task-1")) == value_of(store.archive("task-1"))
        for expected in (2, ANY_REVISION):
            error_of(store.append("task-1", _events(1), expected=expected), StreamClosed)
        expect_arrived(events, _payloads(store.read("task-1")))
        expect_arrived(events, _payloads(store.read_all()))

    def test_a_deleted_stream_is_gone_and_stays_closed(self) -> None:
        """A deleted stream has no events, and nothing can be appended to it."""
        store, others = self._store(), _events(1)
        end = value_of(store.append("task-1", _events(2), expected=NO_STREAM))
        value_of(store.append("task-2", others, expected=NO_STREAM))
        assert end == value_of(store.delete("task-1")) == value_of(store.delete("task-1"))
        for expected in (NO_STREAM, 2, ANY_REVISION):
            error_of(store.append("task-1", _events(1), expected=expected), StreamClosed)
        error_of(store.archive("task-1"), StreamClosed)
        assert list(store.read("task-1")) == [], "the events are gone"
        expect_arrived(others, _payloads(store.read_all()))

    def test_a_stream_that_does_not_exist_is_not_closed(self) -> None:
        """Archiving or deleting a stream without events is a RevisionConflict."""
        store = self._store()
        error_of(store.archive("task-1"), RevisionConflict)
        error_of(store.delete("task-1"), RevisionConflict)
        value_of(store.append("task-1", _events(1), expected=NO_STREAM))

    def test_one_of_many_writers_wins(self) -> None:
        """If several writers expect the same revision at once, one appends, and the others get a RevisionConflict."""
        store, writers = self._store(), 8
        barrier = Barrier(writers)

        def write(_: int) -> bool:
            barrier.wait()
            outcome = store.append("task-1", _events(2), expected=NO_STREAM)
            if not isinstance(outcome, Success):
                error_of(outcome, RevisionConflict)
            return isinstance(outcome, Success)

        with ThreadPoolExecutor(writers) as pool:
            won = sum(pool.map(write, range(writers)))
        assert won == 1, f"expected one writer to win, got {won}"
        assert _revisions(store.read("task-1")) == [1, 2]

    def _store(self) -> Store:
        return self.make_store(MessageCodec(SampleTaskCreated))


class ReadsNothing(MessageCodec[M]):
    """A codec that can write events, but not read them, as if their classes had been removed since."""

    def decode(self, raw: bytes | str) -> Result[M, InvalidMessage]:
        """Refuse a message."""
        return MessageCodec[M]().decode(raw)

    def decode_many(self, raws: Iterable[bytes | str], /) -> Sequence[M | InvalidMessage]:
        """Refuse messages."""
        return [self.decode(raw).failure() for raw in raws]


def _events(count: int) -> list[SampleTaskCreated]:
    return [SampleTaskCreated(SampleTaskId.v4(), SampleTitle(f"Task {number}")) for number in range(count)]


def _payloads(stored: Stored) -> list[SampleTaskCreated]:
    return [one.event for one in stored if isinstance(one, RecordedEvent)]


def _revisions(stored: Stored) -> list[int]:
    return [one.revision for one in stored]


def _positions(stored: Stored) -> list[int]:
    return [one.position for one in stored]
