"""The ports in memory: they pass the contracts, and keep the promises of their own."""

import asyncio
import logging
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any, Generic, TypeVar

import attrs
import pytest
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateRoot,
    AggregateVersionConflictError,
    AsyncInmemoryCrudRepository,
    BusCannotPublish,
    Command,
    CrudRepository,
    DomainError,
    DomainEvent,
    InmemoryCommandBus,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    InmemoryNotifier,
    InmemoryOutbox,
    LoggingNotifier,
    MessageRefused,
    NotifierExceptionMessage,
    NotifierMessage,
    Subscriber,
    UnsupportedTypeError,
    Uuid,
    handling,
    make_converter,
)
from domainkit.testing import (
    CommandBusContract,
    CrudRepositoryContract,
    DomainEventBusContract,
    NotifierContract,
    SampleTask,
    SampleTaskId,
)

CANARY = "canary-7d2b-secret"

T = TypeVar("T")


class TestInmemoryCrudRepository(CrudRepositoryContract):
    """InmemoryCrudRepository keeps what every CrudRepository promises."""

    def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
        return InmemoryCrudRepository()


class TestInmemoryDomainEventBus(DomainEventBusContract[InmemoryDomainEventBus]):
    """InmemoryDomainEventBus keeps what every DomainEventBus promises."""

    def make_bus(self) -> InmemoryDomainEventBus:
        return InmemoryDomainEventBus()

    def received(self, bus: InmemoryDomainEventBus) -> Sequence[DomainEvent]:
        return bus.published


class TestSubscribedDomainEventBus(DomainEventBusContract[InmemoryDomainEventBus]):
    """A subscriber of InmemoryDomainEventBus gets the published events."""

    def make_bus(self) -> InmemoryDomainEventBus:
        self.seen: list[DomainEvent] = []
        return InmemoryDomainEventBus(DomainEvent.handled_by(self.seen.append))

    def received(self, bus: InmemoryDomainEventBus) -> Sequence[DomainEvent]:
        return self.seen


class TestInmemoryCommandBus(CommandBusContract[InmemoryCommandBus]):
    """InmemoryCommandBus keeps what every CommandBus promises."""

    def make_bus(self) -> InmemoryCommandBus:
        return InmemoryCommandBus()

    def received(self, bus: InmemoryCommandBus) -> Sequence[Command[Any, Any]]:
        return bus.dispatched


class TestInmemoryNotifier(NotifierContract[InmemoryNotifier]):
    """InmemoryNotifier keeps what every Notifier promises."""

    def make_notifier(self) -> InmemoryNotifier:
        return InmemoryNotifier()

    def told(self, notifier: InmemoryNotifier) -> str:
        return repr(notifier.messages)


class Lines(logging.Handler):
    """Keeps the lines that are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class TestLoggingNotifier(NotifierContract[LoggingNotifier]):
    """LoggingNotifier keeps what every Notifier promises."""

    def make_notifier(self) -> LoggingNotifier:
        self.handler = Lines()
        logger = logging.Logger("notifier")  # noqa: LOG001  # one that nobody else has
        logger.addHandler(self.handler)
        return LoggingNotifier(logger)

    def told(self, notifier: LoggingNotifier) -> str:
        return "\n".join(self.handler.lines)


class CounterId(Uuid): ...


@frozen
class Counter(AggregateRoot[CounterId]):
    count: int = 0

    def increment(self) -> "Counter":
        """Return the counter, one higher."""
        return attrs.evolve(self, count=self.count + 1)


class Counters(InmemoryCrudRepository[Counter, CounterId]):
    """A repository with a class of its own."""


@pytest.fixture
def eager_switches() -> Generator[None]:
    """Let threads take turns a thousand times as often, so that they meet in the middle of an update."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def increment(counters: CrudRepository[Counter, CounterId], counter_id: CounterId, times: int) -> int:
    """Increment a stored counter, retrying where somebody else was faster; return how often that was."""
    conflicts = 0
    for _ in range(times):
        while not isinstance(counters.update(counters.retrieve(counter_id).unwrap().increment()), Success):
            conflicts += 1
    return conflicts


@pytest.mark.usefixtures("eager_switches")
def test_threads_lose_no_update() -> None:
    """8 threads that update one aggregate through retries lose none of 10,000 increments, and do meet conflicts."""
    counters, counter = Counters(), Counter()
    counters.save(counter)
    barrier = Barrier(8)

    def run(_: int) -> int:
        barrier.wait()
        return increment(counters, counter.aggregate_id, 1250)

    with ThreadPoolExecutor(8) as pool:
        conflicts = sum(pool.map(run, range(8)))
    stored = counters.retrieve(counter.aggregate_id).unwrap()
    assert (10_000, 10_001) == (stored.count, stored.aggregate_version)
    assert conflicts > 0


@pytest.mark.usefixtures("eager_switches")
def test_one_of_many_threads_saves_and_one_removes() -> None:
    """Of 8 threads that save one aggregate one succeeds, and of 8 that remove it; the others get their Failure."""
    counters, barrier = Counters(), Barrier(8)

    def save(counter: Counter) -> bool:
        barrier.wait()
        return isinstance(counters.save(counter), Success)

    def remove(counter_id: CounterId) -> bool:
        barrier.wait()
        return isinstance(counters.remove(counter_id), Success)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):
            counter = Counter()
            assert [True] == [done for done in pool.map(save, [counter] * 8) if done]
            assert [True] == [done for done in pool.map(remove, [counter.aggregate_id] * 8) if done]
    assert Success(()) == counters.retrieve_all()


class Point:
    """A class that no wire form knows."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and self.x == other.x

    def __hash__(self) -> int:
        return self.x


@frozen
class Place(AggregateRoot[CounterId]):
    point: Point


@frozen
class Measured(AggregateRoot[CounterId]):
    value: float
    at: datetime = datetime(2026, 1, 2, tzinfo=UTC)


def test_what_no_database_could_give_back_is_not_stored() -> None:
    """Save and update raise, as with SQL, and what was stored stays; the error has path and remedy, and no value."""
    repository = InmemoryCrudRepository[Measured, CounterId]()
    stored = repository.save(Measured(1.5)).unwrap()
    naive = attrs.evolve(stored, at=datetime(2026, 1, 2))  # wrong on purpose

    with pytest.raises(ValueError, match=r"^Measured: expected .*, got .*\$\.at: expected a datetime with an offset"):
        repository.update(naive)
    with pytest.raises(ValueError, match=r"^Measured: expected .*, got .*\$\.value: expected a finite"):
        repository.save(Measured(float("nan")))
    assert Success((stored,)) == repository.retrieve_all()


def test_a_type_that_cannot_be_carried_is_refused_unless_a_converter_has_hooks_for_it() -> None:
    """The first save names class, field and remedy; a converter as SqlCrudRepository takes it helps here too."""
    with pytest.raises(UnsupportedTypeError, match=r"^Place\.point: .*got .*Point; use"):
        InmemoryCrudRepository[Place, CounterId]().save(Place(Point(1)))

    converter, place = make_converter(), Place(Point(1))
    converter.register_unstructure_hook(Point, lambda point: point.x)
    converter.register_structure_hook(Point, lambda data, _: Point(data))
    assert Success(place) == InmemoryCrudRepository[Place, CounterId](converter=converter).save(place)
    saving = AsyncInmemoryCrudRepository[Place, CounterId](converter=converter).save(place)
    assert Success(place) == asyncio.run(saving)


@frozen
class Pages(AggregateRoot[CounterId], Generic[T]):
    items: tuple[T, ...] = ()


def test_a_generic_aggregate_is_not_checked() -> None:
    """A repository in memory doesn't know the arguments of its type variables: it takes any aggregate."""
    pages = Pages((object(),))
    assert Success(pages) == InmemoryCrudRepository[Pages[object], CounterId]().save(pages)


@pytest.mark.parametrize(
    ("counters", "name"),
    [(Counters(), "Counters"), (Counters(repository_name="archive"), "archive")],
)
def test_errors_name_the_repository(counters: Counters, name: str) -> None:
    """The errors of a repository give its name: the class's, unless one was given."""
    counter = Counter()
    known = counters.save(Counter()).unwrap()
    stale = attrs.evolve(known, aggregate_version=5)
    assert Failure(AggregateNotFoundError(counter.aggregate_id, name)) == counters.retrieve(counter.aggregate_id)
    assert Failure(AggregateNotFoundError(counter.aggregate_id, name)) == counters.update(counter)
    assert Failure(AggregateNotFoundError(counter.aggregate_id, name)) == counters.remove(counter.aggregate_id)
    assert Failure(AggregateAlreadyExistError(known.aggregate_id, name)) == counters.save(known)
    assert Failure(AggregateVersionConflictError(known.aggregate_id, 5, 1, name)) == counters.update(stale)


def test_an_id_of_another_class_finds_nothing() -> None:
    """An id of another class is another id, though its UUID is the same."""
    counters, counter = Counters(), Counter()
    counters.save(counter)
    same_uuid = SampleTaskId(counter.aggregate_id.value)
    assert isinstance(counters.retrieve(same_uuid), Failure)  # type: ignore[arg-type]  # wrong on purpose


def test_save_and_update_leave_the_events_with_the_caller() -> None:
    """The aggregates that save and update return still have their recorded events: they aren't published yet."""
    counters, events = Counters(), (DomainEvent(), DomainEvent())
    saved = counters.save(Counter().record(events[0])).unwrap()
    assert events[:1] == saved.domain_events
    updated = counters.update(saved.record(events[1])).unwrap()
    assert events == updated.domain_events


def test_an_outbox_has_the_events_of_what_was_stored() -> None:
    """Save and update put recorded events there and return the aggregate without them; a refused one leaves nothing."""
    outbox = InmemoryOutbox()
    tasks, others = (InmemoryCrudRepository[SampleTask, SampleTaskId](outbox=outbox) for _ in range(2))
    task, other, cause = SampleTask.create("Buy milk"), SampleTask.create("Buy bread"), DomainEvent()
    saved = tasks.save(task).unwrap()
    assert isinstance(tasks.save(task), Failure)
    assert isinstance(tasks.update(other), Failure)
    others.save(other)
    with handling(cause):
        updated = tasks.update(saved.record(DomainEvent())).unwrap()
    *first, last = outbox.events
    assert [*task.domain_events, *other.domain_events] == first
    assert str(cause.header.id) == last.header.meta["causation_id"]
    assert ((), ()) == (saved.domain_events, updated.domain_events)


async def test_an_outbox_of_an_async_repository() -> None:
    """The async twin puts recorded events into its outbox as well."""
    outbox, task = InmemoryOutbox(), SampleTask.create("Buy milk")
    tasks = AsyncInmemoryCrudRepository[SampleTask, SampleTaskId](outbox=outbox)
    assert () == (await tasks.save(task)).unwrap().domain_events
    assert task.domain_events == outbox.events


@frozen
class Opened(DomainEvent):
    name: str = "home"


class OpenedAgain(Opened): ...


class Closed(DomainEvent): ...


class Rejected(DomainError): ...


Answer = Result[object, object] | None


def test_subscribers_are_called_in_order() -> None:
    """Events are handed over in their order, each to its subscribers in the order in which those were given."""
    calls: list[tuple[str, DomainEvent]] = []

    def note(name: str) -> Callable[[DomainEvent], None]:
        return lambda event: calls.append((name, event))

    bus = InmemoryDomainEventBus(
        Opened.handled_by(note("first")), Closed.handled_by(note("second")), Opened.handled_by(note("third"))
    )
    one, two, three = Opened(), Closed(), Opened()
    assert Success(None) == bus.publish([one, two, three])
    expected = [("first", one), ("third", one), ("second", two), ("first", three), ("third", three)]
    assert expected == calls


def test_subscribers_of_others_cost_nothing() -> None:
    """Publishing costs what the subscribers of the event cost, however many others there are."""
    seen: list[DomainEvent] = []
    others = [_another_event().handled_by(be_silent) for _ in range(2_000)]
    bus = InmemoryDomainEventBus(*others, Opened.handled_by(seen.append))
    bus.publish(Opened())
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        bus.publish(Opened())
    finally:
        sys.setprofile(None)
    assert 2 == len(seen)
    assert 0 < calls < 100


def _another_event() -> type[DomainEvent]:
    class Other(DomainEvent): ...

    return Other


def test_subscribers_of_a_base_class_get_its_subclasses() -> None:
    """A subscriber gets the events of its class and of its subclasses, and no others."""
    seen: dict[str, list[DomainEvent]] = {"all": [], "opened": [], "again": []}
    bus = InmemoryDomainEventBus(
        DomainEvent.handled_by(seen["all"].append),
        Opened.handled_by(seen["opened"].append),
        OpenedAgain.handled_by(seen["again"].append),
    )
    opened, again, closed = Opened(), OpenedAgain(), Closed()
    bus.publish([opened, again, closed])
    assert {"all": [opened, again, closed], "opened": [opened, again], "again": [again]} == seen


def succeed(event: DomainEvent) -> Answer:
    """Return a Success."""
    return Success(event)


def be_silent(event: DomainEvent) -> Answer:
    """Return nothing."""
    return None


def reject(event: DomainEvent) -> Answer:
    """Return a Failure."""
    return Failure(Rejected())


def unwrap_a_failure(event: DomainEvent) -> Answer:
    """Return a Failure early."""
    return Success(Failure(Rejected()).unwrap())


def crash(event: DomainEvent) -> Answer:
    """Raise."""
    raise KeyError(CANARY)


def answer_garbage(event: DomainEvent) -> Answer:
    """Return what no subscriber returns."""
    return CANARY  # type: ignore[return-value]  # that is the bug


@pytest.mark.parametrize("subscriber", [succeed, be_silent])
def test_a_subscriber_that_returns_has_succeeded(subscriber: Callable[[DomainEvent], Answer]) -> None:
    """A subscriber that returns a Success, or nothing, has succeeded, and so has publish."""
    assert Success(None) == InmemoryDomainEventBus(DomainEvent.handled_by(subscriber)).publish(Opened())


@pytest.mark.parametrize(
    ("subscriber", "error", "logged"),
    [
        (reject, "Rejected", 0),
        (unwrap_a_failure, "Rejected", 0),
        (crash, "UnknownError", 1),
        (answer_garbage, "UnknownError", 1),
    ],
)
def test_a_failing_subscriber_stops_no_other(
    subscriber: Callable[[DomainEvent], Answer], error: str, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    """One that fails stops no subscriber and no event; publish names it, its event and the class of its error.

    An exception, and an answer that is no Result, is logged once, without its text.
    """
    seen: list[DomainEvent] = []
    bus = InmemoryDomainEventBus(Opened.handled_by(subscriber), DomainEvent.handled_by(seen.append))
    opened, closed = Opened(), Closed()
    text = f"subscribers that failed: {subscriber.__name__} (Opened {opened.header.id}, {error})"
    assert Failure(MessageRefused(additional_info={"message": text})) == bus.publish([opened, closed])
    assert [opened, closed] == seen == list(bus.published)
    assert [("domainkit.use_cases", logging.ERROR)] * logged == [(one.name, one.levelno) for one in caplog.records]
    assert CANARY not in caplog.text


def test_every_failing_subscriber_is_named() -> None:
    """If several fail, for several events, publish names each of them, in the order in which they failed."""
    bus = InmemoryDomainEventBus(Opened.handled_by(reject), DomainEvent.handled_by(crash))
    opened, closed = Opened(), Closed()
    text = (
        f"subscribers that failed: reject (Opened {opened.header.id}, Rejected); "
        f"crash (Opened {opened.header.id}, UnknownError); crash (Closed {closed.header.id}, UnknownError)"
    )
    assert Failure(MessageRefused(additional_info={"message": text})) == bus.publish([opened, closed])


@pytest.mark.parametrize("passing", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_passes_the_buses(passing: type[BaseException]) -> None:
    """KeyboardInterrupt and SystemExit of a subscriber or a handler are raised by the bus."""

    def stop(message: object) -> Result[None, DomainError]:
        raise passing

    with pytest.raises(passing):
        InmemoryDomainEventBus(DomainEvent.handled_by(stop)).publish(Opened())
    with pytest.raises(passing):
        InmemoryCommandBus(Ping.handled_by(stop)).dispatch(Ping())


def test_subscribers_publish_further_events() -> None:
    """A subscriber may publish: its event is handed over at once, and recorded after the one that led to it."""
    buses: list[InmemoryDomainEventBus] = []

    def close(event: Opened) -> Answer:
        return buses[0].publish(Closed())

    seen: list[str] = []
    buses.append(
        InmemoryDomainEventBus(
            Opened.handled_by(close), DomainEvent.handled_by(lambda event: seen.append(type(event).__name__))
        )
    )
    assert Success(None) == buses[0].publish([Opened(), Opened()])
    assert ["Closed", "Opened"] * 2 == seen
    assert ["Opened", "Closed"] * 2 == [type(event).__name__ for event in buses[0].published]


@pytest.mark.parametrize("wrong", [succeed, None, Opened, Command.handled_by(lambda _: Success(None))])
def test_what_is_no_subscriber_is_refused(wrong: Subscriber[Any]) -> None:
    """A function that wasn't bound by handled_by, and a handler, are a TypeError when the bus is made."""
    with pytest.raises(TypeError, match=r"^expected a subscriber made by handled_by, got a "):
        InmemoryDomainEventBus(wrong)


@pytest.mark.parametrize(("wrong", "kind"), [(5, "int"), (Opened, "type"), ([Command()], "Command"), ("no", "str")])
def test_what_is_no_event_is_named(wrong: Any, kind: str) -> None:
    """The TypeError for what is no event says what it is."""
    with pytest.raises(TypeError, match=rf"^InmemoryDomainEventBus.publish: expected domain events, got {kind}; "):
        InmemoryDomainEventBus().publish(wrong)


@frozen
class Tickets(DomainEvent):
    """An event that can be iterated over."""

    numbers: tuple[int, ...]

    def __iter__(self) -> Generator[int]:
        yield from self.numbers


def test_an_event_that_is_iterable_is_one_event() -> None:
    """An event is one event, also where its class can be iterated over."""
    bus, tickets = InmemoryDomainEventBus(), Tickets((1, 2))
    assert Success(None) == bus.publish(tickets)
    assert (tickets,) == bus.published


class Ping(Command): ...


class SpecialPing(Ping): ...


@frozen
class Greet(Command[str, Rejected]):
    name: str


def pong(command: Ping) -> Result[None, DomainError]:
    """Succeed."""
    return Success(None)


def test_a_command_reaches_its_handler() -> None:
    """Dispatch calls the one handler of the command's class, and answers Success(None), whatever the handler gives."""
    seen: list[Greet] = []

    def greet(command: Greet) -> Result[str, Rejected]:
        seen.append(command)
        return Success(f"Hello {command.name}")

    bus, command = InmemoryCommandBus(Ping.handled_by(pong), Greet.handled_by(greet)), Greet("Ada")
    assert Success(None) == bus.dispatch(command)
    assert Success(None) == bus.dispatch(Ping())
    assert [command] == seen


def test_the_handler_gets_the_meta_of_the_bus() -> None:
    """A handler gets the command with the meta of with_meta; so does a subscriber the event."""
    seen: list[object] = []

    def note(message: Ping | Opened) -> Result[None, DomainError]:
        seen.append(message.header.meta)
        return Success(None)

    InmemoryCommandBus(Ping.handled_by(note)).with_meta({"tenant": "home"}).dispatch(Ping())
    InmemoryDomainEventBus(Opened.handled_by(note)).with_meta({"tenant": "work"}).publish(Opened())
    assert [{"tenant": "home"}, {"tenant": "work"}] == seen


@pytest.mark.parametrize(
    ("handler", "error", "logged"),
    [
        (reject, "Rejected", 0),
        (unwrap_a_failure, "Rejected", 0),
        (crash, "UnknownError", 1),
        (answer_garbage, "UnknownError", 1),
        (be_silent, "UnknownError", 1),
    ],
)
def test_a_handler_that_fails_is_named(handler: Any, error: str, logged: int, caplog: pytest.LogCaptureFixture) -> None:
    """Dispatch names the handler that failed, its command and the class of its error.

    An exception, and an answer that is no Result, also none at all, is logged once, without its text.
    """
    bus, ping = InmemoryCommandBus(Ping.handled_by(handler)), Ping()
    text = f"the handler failed: {handler.__name__} (Ping {ping.header.id}, {error})"
    assert Failure(MessageRefused(additional_info={"message": text})) == bus.dispatch(ping)
    assert (ping,) == bus.dispatched
    assert logged == len(caplog.records)
    assert CANARY not in caplog.text


@pytest.mark.parametrize("command", [Greet("Ada"), SpecialPing()])
def test_a_command_without_handler_is_refused(command: Command[Any, Any]) -> None:
    """If handlers exist, a command of a class without one, also a subclass, is a Failure, and not recorded."""
    bus = InmemoryCommandBus(Ping.handled_by(pong))
    text = f"no handler for {type(command).__name__}"
    assert Failure(MessageRefused(additional_info={"message": text})) == bus.dispatch(command)
    assert () == bus.dispatched


def test_two_handlers_for_a_command_are_refused() -> None:
    """Two handlers for one class of commands are a TypeError when the bus is made."""
    with pytest.raises(TypeError, match=r"^Ping: expected one handler, got pong and pong; keep one$"):
        InmemoryCommandBus(Ping.handled_by(pong), Ping.handled_by(pong))


def test_what_is_no_command_is_named() -> None:
    """The TypeError for what is no command says what it is."""
    with pytest.raises(TypeError, match=r"^InmemoryCommandBus.dispatch: expected a command, got Opened; "):
        InmemoryCommandBus().dispatch(Opened())  # type: ignore[arg-type]  # wrong on purpose


def test_the_record_keeps_the_newest() -> None:
    """A bus that lives long keeps the newest messages only: ten thousand, or as many as `keep` says, or all."""
    events = [Opened(str(number)) for number in range(4)]
    bounded = InmemoryDomainEventBus(keep=3)
    bounded.publish(events)
    assert tuple(events[1:]) == bounded.published
    for bus, kept in ((InmemoryDomainEventBus(), 10_000), (InmemoryDomainEventBus(keep=None), 10_001)):
        bus.publish([events[0]] * 10_001)
        assert kept == len(bus.published)
    commands = InmemoryCommandBus(keep=0)
    commands.dispatch(Ping())
    assert () == commands.dispatched


def test_with_meta_shares_the_rest() -> None:
    """The bus that with_meta returns shares subscribers, record and `close` with the one it was called on."""
    seen: list[DomainEvent] = []
    bus = InmemoryDomainEventBus(DomainEvent.handled_by(seen.append))
    copied = bus.with_meta({"tenant": "home"})
    copied.publish(Opened())
    assert seen == list(bus.published) == list(copied.published)
    copied.close()
    closed = Failure(BusCannotPublish(additional_info={"message": "the bus is closed"}))
    assert closed == bus.publish(Opened())
    assert closed == copied.publish(())
    assert 1 == len(seen)


@pytest.mark.usefixtures("eager_switches")
def test_threads_publish_on_one_bus() -> None:
    """8 threads that publish on one bus lose no event, in the record and at the subscribers."""
    seen: list[DomainEvent] = []
    bus = InmemoryDomainEventBus(DomainEvent.handled_by(seen.append))
    batches = [[Opened(f"{thread} {number}") for number in range(50)] for thread in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert [Success(None)] * 8 == list(pool.map(bus.publish, batches))
    expected = {event.header.id for batch in batches for event in batch}
    assert expected == {event.header.id for event in seen} == {event.header.id for event in bus.published}
    assert 400 == len(seen) == len(bus.published)


class Secret(Exception):
    def __str__(self) -> str:
        return CANARY

    __repr__ = __str__


def test_the_logging_notifier_logs_no_text_of_an_exception(caplog: pytest.LogCaptureFixture) -> None:
    """A message about an exception is one ERROR with title, executor, class of the exception, place and meta.

    Neither the exception's text nor that of its cause is logged, nor a traceback.
    """
    error = Secret(CANARY)
    error.__cause__ = ValueError(CANARY)
    message = NotifierExceptionMessage("Bug", "TaskImporter", error, "/app/tasks.py", 42, meta={"tenant": "home"})
    LoggingNotifier().publish_exception(message)
    (record,) = caplog.records
    assert "Bug | TaskImporter | Secret | /app/tasks.py:42 | {'tenant': 'home'}" == record.getMessage()
    assert ("domainkit.notifier", logging.ERROR) == (record.name, record.levelno)
    assert (None, None, None) == (record.exc_info, record.exc_text, record.stack_info)


def test_the_logging_notifier_logs_messages(caplog: pytest.LogCaptureFixture) -> None:
    """A message is one WARNING with title, message, link and meta; what is absent is left out; `%` is no format.

    What a terminal would obey is escaped, ends of lines too: one message is one line.
    """
    notifier = LoggingNotifier()
    notifier.publish(NotifierMessage("Done 100%s", "312 tasks", link="https://example.com", meta={"tenant": "home"}))
    notifier.publish(NotifierMessage("Done"))
    notifier.publish_exception(NotifierExceptionMessage("Bug"))
    notifier.publish(NotifierMessage("Done", "two\nlines\x1b[2J"))
    expected = [
        (logging.WARNING, "Done 100%s | 312 tasks | https://example.com | {'tenant': 'home'}"),
        (logging.WARNING, "Done"),
        (logging.ERROR, "Bug"),
        (logging.WARNING, "Done | two\\nlines\\x1b[2J"),
    ]
    assert expected == [(record.levelno, record.getMessage()) for record in caplog.records]


def test_the_inmemory_notifier_keeps_messages() -> None:
    """InmemoryNotifier keeps the very messages, of both kinds, in their order."""
    notifier, message, bug = InmemoryNotifier(), NotifierMessage("Done"), NotifierExceptionMessage("Bug")
    notifier.publish_exception(bug)
    notifier.publish(message)
    assert (bug, message) == notifier.messages
