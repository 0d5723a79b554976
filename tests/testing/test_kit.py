"""The test kit for users: a fixed clock and ids, strategies, and scenarios."""

import importlib
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Generic, TypeVar

import pytest
from attrs import evolve, field, frozen
from attrs.validators import ge, gt, in_, le, lt, matches_re, max_len, min_len
from every_kind import EveryKind
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta
from returns.result import Failure, Result, Success

from domainkit import (
    AggregateRoot,
    AsyncInmemoryDomainEventBus,
    Command,
    DomainError,
    DomainEvent,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    InmemoryOutbox,
    Mediator,
    MessageCodec,
    Uuid,
    ValueObject,
    make_converter,
)
from domainkit.testing import Clock, SampleTask, SampleTaskCreated, SampleTaskId, fixed
from domainkit.testing import given as given_
from domainkit.testing.strategies import headers, instances

T = TypeVar("T")


class TaskId(Uuid): ...


class NotDone(DomainError): ...


@frozen
class Finished(DomainEvent):
    note: str = ""


@frozen
class Task(AggregateRoot[TaskId]):
    title: str = "Buy milk"
    done: bool = False

    def finish(self) -> "Task":
        return evolve(self, done=True).record(Finished(self.title))


class TestFixed:
    def test_messages_take_the_time_of_the_clock(self) -> None:
        """A message made inside has the clock's time; outside it has the system's."""
        with fixed(datetime(2031, 5, 6, 7, tzinfo=UTC)) as clock:
            assert datetime(2031, 5, 6, 7, tzinfo=UTC) == DomainEvent().header.occurred_on
            clock.advance(timedelta(minutes=1))
            assert datetime(2031, 5, 6, 7, 1, tzinfo=UTC) == DomainEvent().header.occurred_on
        assert DomainEvent().header.occurred_on != clock.now

    def test_ids_come_from_the_seed(self) -> None:
        """One seed gives one order of ids, another seed another; they are still of their version."""
        with fixed(seed=1):
            first = [Uuid.v4(), Uuid.v7()]
        with fixed(seed=1):
            again = [Uuid.v4(), Uuid.v7()]
        with fixed(seed=2):
            other = [Uuid.v4(), Uuid.v7()]
        assert first == again
        assert first != other
        assert [4, 7] == [one.to_uuid().version for one in first]
        assert len({Uuid.v4() for _ in range(9)}) == 9

    def test_an_id_by_time_has_the_time_of_the_clock(self) -> None:
        """Uuid.v7 takes its milliseconds from the clock."""
        with fixed(datetime(2031, 5, 6, 7, tzinfo=UTC)) as clock:
            assert int(clock.now.timestamp() * 1000) == Uuid.v7().to_uuid().int >> 80

    def test_a_clock_needs_a_time_zone(self) -> None:
        """A naive time is refused."""
        with pytest.raises(ValueError, match="expected a time zone in `now`"):
            Clock(datetime(2031, 5, 6))  # wrong on purpose


@frozen
class Bounded(ValueObject[Decimal]):
    value: Decimal = field(validator=[ge(Decimal(1)), lt(Decimal(5))])


@frozen
class Ratio(ValueObject[float]):
    value: float = field(validator=[gt(0), le(1)])


@frozen
class Code(ValueObject[str]):
    value: str = field(validator=matches_re("[A-Z]{3}-[0-9]+"))


@frozen
class Size(ValueObject[str]):
    value: str = field(validator=in_(["S", "M", "L"]))


@frozen
class Short(ValueObject[bytes]):
    value: bytes = field(validator=[min_len(2), max_len(3)])


@frozen
class Even(ValueObject[int]):
    value: int = field()

    @value.validator
    def _even(self, _: object, value: int) -> None:
        if value % 2:
            raise ValueError("odd")


@frozen
class Ruled(DomainEvent):
    bounded: Bounded
    ratio: Ratio
    code: Code
    size: Size
    short: Short
    even: Even
    count: int = field(validator=ge(10))
    small: Annotated[int, Meta(gt=0, le=3)] = 1
    name: Annotated[str, Meta(min_length=2)] = "xx"
    note: Annotated[str, "no constraint"] = ""
    sizes: Mapping[Size, frozenset[int]] = field(factory=dict)


@frozen
class Point:
    place: complex


class TestStrategies:
    @given(message=instances(EveryKind))
    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    def test_messages_with_every_kind_of_field_survive_the_wire(self, message: EveryKind) -> None:
        """Any generated message is valid, and comes back equal."""
        codec = MessageCodec(EveryKind)
        assert Success(message) == codec.decode(codec.encode(message))

    @given(task=instances(SampleTask))
    def test_aggregates(self, task: SampleTask) -> None:
        """Any generated aggregate is valid and survives a converter; it has recorded nothing."""
        converter = make_converter()
        assert task == converter.structure(converter.unstructure(task), SampleTask)
        assert () == task.domain_events

    @given(message=instances(Ruled))
    @settings(suppress_health_check=list(HealthCheck))
    def test_validators_are_respected(self, message: Ruled) -> None:
        """Bounds, lengths, patterns, options, constraints and rules of one's own hold for what is generated."""
        assert Decimal(1) <= message.bounded.value < Decimal(5)
        assert 0 < message.ratio.value <= 1
        assert message.size.value in "SML"
        assert 2 <= len(message.short.value) <= 3
        assert 0 == message.even.value % 2
        assert message.count >= 10
        assert 1 <= message.small <= 3
        assert len(message.name) >= 2

    @given(event=instances(Finished, note=st.just("given")))
    def test_a_field_may_have_a_strategy_of_its_own(self, event: Finished) -> None:
        """A value passed by the field's name is used."""
        assert "given" == event.note

    @given(point=instances(Point))
    def test_other_classes_are_left_to_hypothesis(self, point: "Point") -> None:
        """A type that this library doesn't carry has the strategy that hypothesis knows for it."""
        assert isinstance(point.place, complex)

    @given(header=headers())
    def test_headers(self, header: object) -> None:
        """Headers hash, and so are read-only at every depth."""
        assert hash(header) == hash(header)

    def test_a_type_without_a_strategy_is_named(self) -> None:
        """A field of another type is refused with its name."""

        @frozen
        class Odd(DomainEvent, Generic[T]):
            what: tuple[T, ...]

        with pytest.raises(TypeError, match=r"Odd\.what: .* pass a strategy for the field"):
            instances(Odd)

    def test_a_missing_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without hypothesis, importing the strategies says how to install it."""
        monkeypatch.setitem(sys.modules, "hypothesis", None)
        monkeypatch.delitem(sys.modules, "domainkit.testing.strategies")
        with pytest.raises(ImportError, match=r"pip install 'domainkit-attrs\[testing\]'"):
            importlib.import_module("domainkit.testing.strategies")


class EndsTooSoon(DomainError): ...


@frozen
class Span:
    """Two numbers with a rule for both, which raises an error of its own."""

    start: int = field(validator=[ge(0), le(9)])
    end: int = field(validator=[ge(0), le(9)])

    def __attrs_post_init__(self) -> None:
        if self.end < self.start:
            raise EndsTooSoon


class Finish(Command[None, NotDone]): ...


class TestScenarios:
    def test_an_aggregate(self) -> None:
        """The events recorded by the action, and the state after it, are compared; headers are not."""
        task = Task()
        then = given_(task).when(Task.finish)
        then.then_events(Finished("Buy milk")).then_state(done=True, title="Buy milk")
        then.then_returns(evolve(task, done=True))

    def test_events_recorded_before_do_not_count(self) -> None:
        """The events that the subject had recorded are left out."""
        given_(Task().record(Finished("old"))).when(Task.finish).then_events(Finished("Buy milk"))
        given_(Task().record(Finished("old"))).when(lambda _: Task().finish()).then_events(Finished("Buy milk"))
        given_(5).when(lambda _: Success(Task().finish())).then_events(Finished("Buy milk"))

    def test_a_use_case_with_a_bus(self) -> None:
        """The events are those that were published on the bus during the action."""
        bus = InmemoryDomainEventBus()
        bus.publish(Finished("before"))
        command = Finish()

        def finish(command: Finish) -> Result[None, NotDone]:
            bus.with_meta({"tenant": "home"}).publish(Finished("now"))
            return Success(None)

        then = given_(Mediator(Finish.handled_by(finish)), bus=bus).when(lambda mediator: mediator.send(command))
        then.then_events(Finished("now")).then_meta(tenant="home").then_caused_by(command).then_returns(None)

    async def test_async(self) -> None:
        """An async action is awaited."""
        bus = AsyncInmemoryDomainEventBus()

        async def act(bus: AsyncInmemoryDomainEventBus) -> None:
            await bus.publish(Finished())

        (await given_(bus, bus=bus).when_async(act)).then_events(Finished())

    def test_a_use_case_with_an_outbox(self) -> None:
        """The events of a scenario are those that its repositories stored, and not those of before."""
        outbox = InmemoryOutbox()
        tasks = InmemoryCrudRepository[SampleTask, SampleTaskId](outbox=outbox)
        tasks.save(SampleTask.create("Buy bread"))
        task = SampleTask.create("Buy milk")
        then = given_(tasks, bus=outbox).when(lambda tasks: tasks.save(task))
        then.then_events(SampleTaskCreated(task.aggregate_id))

    def test_a_failure(self) -> None:
        """A Failure is compared by class or by error; no event was recorded."""
        then = given_(5).when(lambda _: Failure(NotDone(uuid_value="1")))
        then.then_failure(NotDone).then_failure(NotDone(uuid_value="1")).then_no_events()

    @pytest.mark.parametrize(
        ("check", "text"),
        [
            (lambda then: then.then_events(), r"events: expected \[\]"),
            (lambda then: then.then_no_events(), r"events: expected \[\]"),
            (lambda then: then.then_events(Finished("other")), "events: expected"),
            (lambda then: then.then_state(done=False), "the state: expected {'done': False}, got {'done': True}"),
            (lambda then: then.then_state(absent=1), "an unknown field"),
            (lambda then: then.then_failure(NotDone), "expected a Failure"),
            (lambda then: then.then_returns(5), "the value: expected 5"),
            (lambda then: then.then_meta(tenant="home"), "meta of .*Finished: expected"),
            (lambda then: then.then_caused_by(Finish()), "causation_id"),
        ],
    )
    def test_what_is_not_so_is_an_assertion_error(self, check: object, text: str) -> None:
        """Each expectation that doesn't hold raises an AssertionError that says what was found."""
        with pytest.raises(AssertionError, match=text):
            check(given_(Task()).when(Task.finish))  # type: ignore[operator]  # a function

    def test_a_failure_is_no_value(self) -> None:
        """An expected value, state or other error of a Failure is an AssertionError, and so is meta without events."""
        then = given_(5).when(lambda _: Failure(NotDone()))
        with pytest.raises(AssertionError, match="expected a Success"):
            then.then_returns(5)
        with pytest.raises(AssertionError, match="expected a Success"):
            then.then_state(x=1)
        with pytest.raises(AssertionError, match="the error: expected"):
            then.then_failure(NotDone(uuid_value="2"))
        with pytest.raises(AssertionError, match="got no event"):
            then.then_meta(tenant="home")


@given(span=instances(Span))
def test_a_rule_of_several_fields_is_respected(span: Span) -> None:
    """A value that such a rule refuses is never made, whatever it raises."""
    assert span.start <= span.end


@frozen
class Reported(DomainEvent):
    what: Finished
    count: int = 0


class TestStrategiesOfMessages:
    @given(instances(Reported))
    def test_a_message_inside_of_another_class(self, reported: Reported) -> None:
        """A field of a message class has messages, with headers of their own."""
        assert isinstance(reported.what, Finished)

    def test_a_field_that_the_class_does_not_have(self) -> None:
        """A strategy for a field that isn't there is a mistake, and is named."""
        with pytest.raises(TypeError, match="instances: Finished has no field notes; remove it"):
            instances(Finished, notes=st.just(""))
