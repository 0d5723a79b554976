"""Aggregates: an id, a version, recorded events, and fields of one's own."""

import copy
import inspect
import pickle
from collections.abc import Callable, Mapping
from typing import Any, Generic, NewType, TypeVar
from uuid import UUID

import attrs
import pytest
from attrs import field, frozen
from attrs.validators import min_len
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypeVar as DefaultedTypeVar

from domainkit import AggregateRoot, Command, DomainEvent, InmemoryCrudRepository, Uuid, ValueObject

T = TypeVar("T")


class TaskId(Uuid): ...


class SubTaskId(TaskId): ...


class UserId(Uuid): ...


class Title(ValueObject[str]): ...


IdT = TypeVar("IdT", bound=Uuid)
NarrowIdT = DefaultedTypeVar("NarrowIdT", bound=TaskId, default=SubTaskId)
NamedId = NewType("NamedId", TaskId)


@frozen
class TaskCreated(DomainEvent):
    task_id: TaskId


class TaskDone(DomainEvent): ...


@frozen
class Task(AggregateRoot[TaskId]):
    title: Title
    done: bool = False
    labels: Mapping[str, str] = field(factory=dict)

    @classmethod
    def create(cls, title: Title) -> "Task":
        """Return a new task, which has recorded that it was created."""
        task = cls(title)
        return task.record(TaskCreated(task.aggregate_id))

    def finish(self) -> "Task":
        """Return the task as done."""
        return attrs.evolve(self, done=True).record(TaskDone())


@frozen(slots=False)
class SlotlessTask(AggregateRoot[TaskId]):
    title: Title


class SubTask(Task): ...


class Bare(AggregateRoot): ...


@frozen
class Holder(AggregateRoot[TaskId], Generic[T]):
    content: T


@frozen
class TextHolder(Holder[str]):
    size: int = 0


@frozen
class OfAnyId(AggregateRoot[IdT]):
    name: str = ""


class OfTaskId(OfAnyId[TaskId]): ...


@frozen
class OfNarrowId(AggregateRoot[NarrowIdT]):
    name: str = ""


class OfSubTaskId(OfNarrowId): ...


class OfNamedId(AggregateRoot[NamedId]): ...


ID = TaskId(UUID(int=5))
SAMPLES: list[AggregateRoot[Any]] = [
    Task(Title("a"), aggregate_id=ID),
    Task(Title("a"), True, {"colour": "red"}, aggregate_id=ID, aggregate_version=2),
    Task.create(Title("a")),
    SubTask(Title("a"), aggregate_id=ID),
    SlotlessTask(Title("a"), aggregate_id=ID),
    Bare(),
    Holder(5, aggregate_id=ID),
    TextHolder("a", aggregate_id=ID),
    OfTaskId(),
    OfSubTaskId(),
]
each = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)


class TestIdentity:
    @pytest.mark.parametrize(
        ("make", "expected"),
        [
            (lambda: Task(Title("a")), TaskId),
            (lambda: SubTask(Title("a")), TaskId),
            (lambda: SlotlessTask(Title("a")), TaskId),
            (lambda: Holder(5), TaskId),
            (lambda: TextHolder("a"), TaskId),
            (AggregateRoot, Uuid),
            (Bare, Uuid),
            (OfAnyId, Uuid),
            (OfTaskId, TaskId),
            (OfNarrowId, SubTaskId),
            (OfSubTaskId, SubTaskId),
            (OfNamedId, TaskId),
        ],
    )
    def test_fresh_id(self, make: Callable[[], AggregateRoot[Any]], expected: type[Uuid]) -> None:
        """Unless an id is given, a new one is made of the class that is named; of a bare AggregateRoot, a Uuid."""
        assert expected is type(make().aggregate_id)
        assert make().aggregate_id != make().aggregate_id
        assert 1 == make().aggregate_version

    def test_id_given(self) -> None:
        """A given id is kept; one of a subclass is an id of the class."""
        assert ID is Task(Title("a"), aggregate_id=ID).aggregate_id
        assert SubTaskId is type(Task(Title("a"), aggregate_id=SubTaskId.v4()).aggregate_id)

    @pytest.mark.parametrize("wrong", [UserId(UUID(int=5)), Uuid(UUID(int=5)), UUID(int=5), str(ID), None, 5])
    def test_id_of_another_class(self, wrong: Any) -> None:
        """An id of another class is refused, with both classes named and without the value."""
        found = type(wrong).__qualname__
        with pytest.raises(TypeError, match=rf"^Task\.aggregate_id: expected a TaskId, got a {found}$"):
            Task(Title("a"), aggregate_id=wrong)
        with pytest.raises(TypeError, match=rf"^Task\.aggregate_id: expected a TaskId, got a {found}$"):
            attrs.evolve(Task(Title("a")), aggregate_id=wrong)

    @pytest.mark.parametrize("wrong", [0, -1, True, 1.0, "1", None])
    def test_version(self, wrong: Any) -> None:
        """A version is an int from 1 on."""
        assert 7 == Task(Title("a"), aggregate_version=7).aggregate_version
        with pytest.raises(ValueError, match=r"^Task\.aggregate_version: expected an int of 1 or more$"):
            Task(Title("a"), aggregate_version=wrong)

    @pytest.mark.parametrize("wrong", [str, int, TaskId | UserId])
    def test_class_of_the_ids(self, wrong: Any) -> None:
        """The type argument for the id must be a class of ids; the error says how to write one."""
        generic: Any = AggregateRoot

        class Odd(generic[wrong]): ...  # type: ignore[misc]  # made at run time

        with pytest.raises(
            TypeError, match=r"Odd\.aggregate_id: expected a class of ids, got .*; define one, such as `class TaskId\("
        ):
            Odd()

    def test_id_that_is_no_uuid(self) -> None:
        """An id may be any value object; one that is not a Uuid has to be passed, since none can be made afresh."""

        @frozen
        class Chapter(AggregateRoot[Title]): ...

        chapter = Chapter(aggregate_id=Title("one"))
        assert Title("one") == chapter.aggregate_id
        assert chapter == InmemoryCrudRepository[Chapter, Title]().save(chapter).unwrap()
        with pytest.raises(TypeError, match=r"Chapter\.aggregate_id: expected a Title, got no id; pass `aggregate_id"):
            Chapter()
        with pytest.raises(TypeError, match=r"Chapter\.aggregate_id: expected a Title, got a str$"):
            Chapter(aggregate_id="one")  # type: ignore[arg-type]  # wrong on purpose

    def test_id_defined_further_down(self) -> None:
        """An id that can't be found yet is an error at the first instance, which names the class."""

        class Odd(AggregateRoot["Nowhere"]): ...  # type: ignore[name-defined]  # on purpose

        with pytest.raises(NameError, match=r"Odd\.aggregate_id: .*Nowhere.* names something that can't be found"):
            Odd()

    def test_constructor(self) -> None:
        """Own fields come first; what the library adds is keyword-only."""
        parameters = inspect.signature(Task).parameters
        assert ["title", "done", "labels", "aggregate_id", "aggregate_version", "domain_events"] == list(parameters)
        assert {inspect.Parameter.KEYWORD_ONLY} == {parameters[name].kind for name in list(parameters)[3:]}


class TestValue:
    @each
    def test_equal_by_exact_type_and_content(self, sample: AggregateRoot[Any]) -> None:
        """An aggregate equals one of exactly its class with equal fields, and no other; equal ones hash alike."""
        again = attrs.evolve(sample)
        assert again == sample
        assert hash(again) == hash(sample)
        assert [sample] == [other for other in SAMPLES if other == sample]
        assert sample != attrs.evolve(sample, aggregate_version=9)
        assert sample != attrs.evolve(sample, aggregate_id=type(sample.aggregate_id).v4())
        assert sample != sample.aggregate_id

    @each
    def test_frozen(self, sample: AggregateRoot[Any]) -> None:
        """No attribute can be set or deleted."""
        before = repr(sample)
        for name in ("aggregate_id", "aggregate_version", "_domain_events", "other"):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(sample, name, 1)
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                delattr(sample, name)
        with pytest.raises(AttributeError):
            setattr(sample, "domain_events", ())  # noqa: B010  # a type checker would refuse the plain statement
        assert before == repr(sample)

    @each
    def test_pickle_and_copy(self, sample: AggregateRoot[Any]) -> None:
        """Pickling and copying give an equal aggregate with the same recorded events."""
        recorded = sample.record(TaskDone())
        copies = [pickle.loads(pickle.dumps(recorded, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
        for copied in (*copies, copy.copy(recorded), copy.deepcopy(recorded)):
            assert type(recorded) is type(copied)
            assert recorded == copied
            assert recorded.domain_events == copied.domain_events
            assert hash(recorded) == hash(copied)

    @given(first=st.dictionaries(st.text(), st.text()), second=st.dictionaries(st.text(), st.text()))
    def test_mappings(self, first: dict[str, str], second: dict[str, str]) -> None:
        """Mappings are compared and hashed by content, whatever is done to the dict that was given."""
        left, right = (Task(Title("a"), labels=labels, aggregate_id=ID) for labels in (first, second))
        assert (first == second) == (left == right)
        again = Task(Title("a"), labels=dict(reversed(first.items())), aggregate_id=ID)
        assert hash(again) == hash(left)
        first["changed"] = "later"
        assert again == left

    def test_repr(self) -> None:
        """It is shown with its fields, and without its events."""
        task = Task(Title("a"), aggregate_id=ID).record(TaskDone())
        shown = f"Task(aggregate_id={ID!r}, aggregate_version=1, title=Title(value='a'), done=False, labels={{}})"
        assert shown == repr(task)

    def test_rules_of_fields(self) -> None:
        """Validators of own fields are run by the constructor and by `attrs.evolve`."""

        @frozen
        class Named(AggregateRoot):
            name: str = field(validator=min_len(1))

        with pytest.raises(ValueError, match="Length of 'name' must be >= 1"):
            Named("")
        with pytest.raises(ValueError, match="Length of 'name' must be >= 1"):
            attrs.evolve(Named("a"), name="")


EVENTS = st.lists(st.builds(TaskDone) | st.builds(TaskCreated, st.just(ID)), max_size=4).map(tuple)


class TestEvents:
    @given(first=EVENTS, second=EVENTS)
    def test_recorded_in_order(self, first: tuple[DomainEvent, ...], second: tuple[DomainEvent, ...]) -> None:
        """Recording gives a copy with the events after those that it had; the original keeps its own."""
        task = Task(Title("a"))
        once = task.record(*first)
        twice = once.record(*second)
        assert [(), first, first + second] == [task.domain_events, once.domain_events, twice.domain_events]
        assert twice.domain_events == task.record(*first, *second).domain_events

    @given(events=EVENTS)
    def test_pulled(self, events: tuple[DomainEvent, ...]) -> None:
        """Pulling gives the events and the aggregate without them; a second time there are none."""
        task = Task(Title("a")).record(*events)
        pulled, rest = task.pull_domain_events()
        assert (events, ()) == (pulled, rest.domain_events)
        assert ((), rest) == rest.pull_domain_events()
        assert events == task.domain_events
        assert rest == task.clear_domain_events() == task
        assert type(task) is type(rest)

    @given(events=EVENTS)
    def test_equality_ignores_events(self, events: tuple[DomainEvent, ...]) -> None:
        """Two aggregates that differ in recorded events alone are equal, and hash alike."""
        task = Task(Title("a"))
        assert task == task.record(*events)
        assert hash(task) == hash(task.record(*events))

    @given(events=EVENTS)
    def test_evolve_keeps_events(self, events: tuple[DomainEvent, ...]) -> None:
        """`attrs.evolve` keeps what was recorded, and changes nothing else."""
        task = Task(Title("a"), labels={"a": "b"}).record(*events)
        evolved = attrs.evolve(task, done=True)
        assert events == evolved.domain_events
        assert (task.aggregate_id, task.labels, True) == (evolved.aggregate_id, evolved.labels, evolved.done)

    def test_use(self) -> None:
        """Changes chain, and each leaves its event, which knows the aggregate's id."""
        events, task = Task.create(Title("a")).finish().pull_domain_events()
        assert ["task.created", "task.done"] == [event.info().name for event in events]
        assert [task.aggregate_id] == [event.task_id for event in events if isinstance(event, TaskCreated)]
        assert ((), True, 1) == (task.domain_events, task.done, task.aggregate_version)

    @pytest.mark.parametrize("wrong", [None, "task.done", Command(), TaskDone, [TaskDone()], (TaskDone(),)])
    def test_only_events(self, wrong: Any) -> None:
        """Only domain events are recorded; for a list of events the error says to pass them one by one."""
        text = rf"^Task\.record: expected domain events, got a {type(wrong).__qualname__}; pass several one by one: "
        with pytest.raises(TypeError, match=text):
            Task(Title("a")).record(TaskDone(), wrong)
        with pytest.raises(TypeError, match=text):
            Task(Title("a"), domain_events=(wrong,))

    @pytest.mark.parametrize("wrong", [None, [], [TaskDone()], TaskDone()])
    def test_events_given(self, wrong: Any) -> None:
        """The constructor takes recorded events as a tuple, which can't change."""
        event = TaskDone()
        assert (event,) == Task(Title("a"), domain_events=(event,)).domain_events
        with pytest.raises(TypeError, match=r"^Task\.domain_events: expected a tuple of domain events, got a "):
            Task(Title("a"), domain_events=wrong)

    def test_the_constructor_runs_once(self) -> None:
        """Recording and clearing run no hook and no validator again."""
        seen: list[str] = []

        @frozen
        class Watched(AggregateRoot):
            def __attrs_post_init__(self) -> None:
                seen.append("made")

        Watched().record(TaskDone()).clear_domain_events()
        assert ["made"] == seen
