"""Tags of events, queries by tags and classes, and conditions: pure values, and stores in memory that keep them."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from domainkit import (
    NO_STREAM,
    AppendCondition,
    AsyncInmemoryEventStore,
    ConditionConflict,
    Decision,
    DomainEvent,
    EventQuery,
    InmemoryEventStore,
    InmemoryOutbox,
    MessageCodec,
    QueryItem,
    Upcaster,
    Uuid,
    ValueObject,
    projection,
    query,
    tags_of,
)
from domainkit.testing import (
    AsyncTaggedEventStoreContract,
    SampleCourseId,
    SampleStudentId,
    SampleSubscribed,
    SampleTaskCreated,
    SampleUnsubscribed,
    TaggedEventStoreContract,
)

SampleEvent = SampleSubscribed | SampleUnsubscribed
SAMPLES = MessageCodec.of(SampleSubscribed | SampleUnsubscribed)


class TestInmemory(TaggedEventStoreContract):
    """InmemoryEventStore keeps what every store with tags promises."""

    def make_store(self, codec: MessageCodec[SampleEvent]) -> InmemoryEventStore[SampleEvent]:
        return InmemoryEventStore(codec)


class TestAsyncInmemory(AsyncTaggedEventStoreContract):
    """AsyncInmemoryEventStore keeps what every async store with tags promises."""

    async def make_async_store(self, codec: MessageCodec[SampleEvent]) -> AsyncInmemoryEventStore[SampleEvent]:
        return AsyncInmemoryEventStore(codec)


class TaskId(Uuid): ...


class SubTaskId(TaskId): ...


class Number(ValueObject[UUID]): ...


@frozen
class Planned(DomainEvent):
    task_id: TaskId
    sub: SubTaskId | None
    others: tuple[TaskId, ...]
    watchers: frozenset[Uuid]
    number: Number
    title: str


@frozen
class Rested(DomainEvent): ...


IDS = [TaskId(UUID(int=number)) for number in range(6)]


def planned(
    task_id: TaskId, sub: SubTaskId | None = None, others: Sequence[TaskId] = (), watchers: Sequence[Uuid] = ()
) -> Planned:
    """Return an event with these ids."""
    return Planned(task_id, sub, tuple(others), frozenset(watchers), Number(UUID(int=99)), str(UUID(int=98)))


class TestTags:
    """Fields that are tags, and others."""

    def test_fields_with_ids_are_tags(self) -> None:
        """Ids alone, in a tuple, in a set: in the order of the fields, each UUID once; other UUIDs are none."""
        event = planned(IDS[3], SubTaskId(UUID(int=1)), [IDS[5], IDS[3]], [IDS[4], Uuid(UUID(int=2))])
        assert [3, 1, 5, 2, 4] == [tag.int for tag in tags_of(event)]

    def test_an_event_may_have_no_tag(self) -> None:
        """Without fields, or where the only id is missing; the id of the header is none."""
        assert () == tags_of(Rested())
        assert (UUID(int=0),) == tags_of(planned(IDS[0]))

    def test_the_class_of_an_id_is_no_part_of_its_tag(self) -> None:
        """A class may be renamed, and what was stored before is found all the same."""
        assert tags_of(planned(IDS[1])) == tags_of(planned(SubTaskId(UUID(int=1))))


class TestQuery:
    """Queries as values."""

    @given(st.lists(st.sampled_from(IDS), min_size=1, max_size=3), st.lists(st.sampled_from(IDS), max_size=4))
    def test_about_asks_for_all_ids(self, asked: list[TaskId], there: list[TaskId]) -> None:
        """An event matches if it has all of them, however often and in whatever order they are named."""
        event = planned(IDS[0], others=there)
        one_by_one = query()
        for one in asked:
            one_by_one = one_by_one.about(one)
        assert query().about(*asked) == one_by_one
        assert query().about(*asked).matches(event) == (set(asked) <= {IDS[0], *there})

    def test_of_asks_for_a_class(self) -> None:
        """One of a union, an alias, or a class above."""
        assert query().of(Planned | Rested).matches(Rested())
        assert query().of(DomainEvent).matches(Rested())
        assert not query().of(Planned).matches(Rested())

    def test_either_of_two_queries(self) -> None:
        """Items beside one another; `about` and `of` narrow all of them."""
        either = query().about(IDS[0]) | query().about(IDS[1])
        assert either.matches(planned(IDS[1]))
        assert not either.of(Rested).matches(planned(IDS[1]))
        assert (QueryItem(frozenset({IDS[0].value})), QueryItem(frozenset({IDS[1].value}))) == either.items

    def test_a_query_about_nothing_is_refused(self) -> None:
        """An empty list of ids would find the events of all."""
        with pytest.raises(ValueError, match="about: expected at least one id, got none"):
            query().about()
        with pytest.raises(ValueError, match=r"^EventQuery\.items: expected at least one item, got none; make queries"):
            EventQuery(())

    @pytest.mark.parametrize("wrong", [str(IDS[0]), IDS[0].value, None, Number(UUID(int=1))])
    def test_only_ids_are_tags(self, wrong: Uuid) -> None:
        """A text or a bare UUID is a TypeError."""
        with pytest.raises(TypeError, match="about: expected ids derived from Uuid, got a"):
            query().about(wrong)

    @pytest.mark.parametrize("wrong", [int, "Planned", Planned | None, 5])
    def test_only_events_are_asked_for(self, wrong: type[DomainEvent]) -> None:
        """Anything but classes of events is a TypeError."""
        with pytest.raises(TypeError, match="of: expected a class of events or a union of them"):
            query().of(wrong)

    def test_classes_are_named_once(self) -> None:
        """A second `of` might mean both or either: refused."""
        with pytest.raises(TypeError, match="of: expected a query without classes"):
            query().of(Planned).of(Rested)

    def test_only_queries_are_combined(self) -> None:
        """Python's own error for anything else."""
        with pytest.raises(TypeError, match="unsupported operand"):
            query() | IDS[0]  # type: ignore[operator]  # wrong on purpose


class TestCondition:
    """Conditions as values."""

    def test_a_position_counts_for_each_item(self) -> None:
        """One for all, or one for each."""
        either = query().about(IDS[0]) | query().about(IDS[1])
        assert (7, 7) == AppendCondition(either, after=7).positions
        assert (7, 0) == AppendCondition(either, after=(7, 0)).positions

    @pytest.mark.parametrize("wrong", [-1, None, "1", [1], (1, -1)])
    def test_other_positions_are_refused(self, wrong: int) -> None:
        """A position is a whole number from 0."""
        with pytest.raises(TypeError, match=r"AppendCondition\.after: expected a position from 0"):
            AppendCondition(query(), after=wrong)

    def test_positions_for_other_items_are_refused(self) -> None:
        """Each item has one."""
        with pytest.raises(ValueError, match="expected 1 positions, one for each item of the query, got 2"):
            AppendCondition(query(), after=(1, 2))

    def test_a_conflict_says_where(self) -> None:
        """The text has the position, and no value."""
        assert "ConditionConflict: expected no further event of the query, got one" == ConditionConflict().detail()
        assert "got one at position 7" in ConditionConflict(position=7).detail()


class TestStore:
    """Refusals, and what is beside the contract."""

    def test_a_class_that_the_codec_lacks_is_refused(self) -> None:
        """Nothing would ever be found, and a condition would always hold."""
        store = InmemoryEventStore(SAMPLES)
        with pytest.raises(TypeError, match="query: expected classes of the store's codec, got SampleTaskCreated"):
            store.decide(query().of(SampleTaskCreated), projection(0).on(SampleTaskCreated, lambda n, _: n))
        with pytest.raises(TypeError, match="query: expected classes of the store's codec, got Rested"):
            store.append([_event()], AppendCondition(query().of(SampleSubscribed | Rested), after=0))

    def test_an_event_without_tags_needs_a_stream(self) -> None:
        """Nothing names it by default."""
        store, condition = InmemoryEventStore(MessageCodec.of(Rested)), AppendCondition(query(), after=0)
        with pytest.raises(ValueError, match="append: expected a first event with a tag, got a Rested"):
            store.append([Rested()], condition)
        assert 1 == store.append([Rested()], condition, stream="rests").unwrap().revision

    def test_the_forms_of_an_append_are_not_mixed(self) -> None:
        """A stream before a condition, or a keyword of the other form, is a TypeError that names both forms."""
        store, condition = InmemoryEventStore(SAMPLES), AppendCondition(query(), after=0)
        with pytest.raises(TypeError, match="append: expected events before a condition, got a stream"):
            store.append("stream", condition)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(TypeError, match="append: expected a condition alone, got `expected=` too"):
            store.append([_event()], condition, expected=0)  # type: ignore[call-overload]  # as above
        with pytest.raises(TypeError, match=r"append: expected a stream, its events and expected=\.\.\."):
            store.append("stream", [_event()], expected=0, stream="other")  # type: ignore[call-overload]  # as above
        with pytest.raises(TypeError, match=r"append: expected a stream, its events and expected=\.\.\."):
            store.append([_event()], [_event()], expected=0)  # type: ignore[call-overload]  # as above

    def test_conditional_appends_are_in_the_outbox(self) -> None:
        """Once, and not those that were refused."""
        outbox, event = InmemoryOutbox(), _event()
        store, condition = InmemoryEventStore(SAMPLES, outbox=outbox), AppendCondition(query(), after=0)
        store.append([event], condition).unwrap()
        store.append([event], condition).unwrap()
        assert isinstance(store.append([_event()], condition), Failure)
        assert (event,) == outbox.events

    def test_a_query_finds_events_by_their_older_names(self) -> None:
        """A class whose name was changed is found under both, if an upcaster reads the older."""

        @frozen
        class Opened(DomainEvent):
            task_id: TaskId

            class Config:
                name = "opened"

        @frozen
        class TaskOpened(DomainEvent):
            task_id: TaskId

            class Config:
                name, version = "task.opened", 2

        new = MessageCodec.of(TaskOpened, upcasters=[Upcaster(TaskOpened, 1, lambda old: old, from_name="opened")])
        older, store = InmemoryEventStore(MessageCodec.of(Opened)), InmemoryEventStore(new)
        older.append("stream", [Opened(IDS[0])], expected=NO_STREAM).unwrap()
        vars(store).update({name: value for name, value in vars(older).items() if name != "_codec"})
        count = projection(0).on(TaskOpened, lambda n, _: n + 1)
        assert 1 == store.decide(query().about(IDS[0]).of(TaskOpened), count).unwrap().state

    def test_another_class_of_the_same_name_is_not_folded(self) -> None:
        """A name is looked for with all its versions, and only the classes of the query reach the projection."""

        @frozen
        class First(DomainEvent):
            class Config:
                name = "happened"

        @frozen
        class Second(DomainEvent):
            class Config:
                name, version = "happened", 2

        store = InmemoryEventStore(MessageCodec.of(First | Second))
        store.append("stream", [First(), Second(), First()], expected=NO_STREAM).unwrap()
        count = projection(0).on(Second, lambda n, _: n + 1)
        assert 1 == store.decide(query().of(Second), count).unwrap().state

    def test_a_decision_has_state_and_condition(self) -> None:
        """The condition is about the same query."""
        found: EventQuery[SampleSubscribed] = query().of(SampleSubscribed)
        count = projection(0).on(SampleSubscribed, lambda n, _: n + 1)
        assert Success(Decision(0, AppendCondition(found, after=0))) == InmemoryEventStore(SAMPLES).decide(found, count)


def _event() -> SampleSubscribed:
    return SampleSubscribed(SampleStudentId.v4(), SampleCourseId.v4())
