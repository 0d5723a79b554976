"""A bus says so where it is handed an event that the open unit of work has stored: a relay would send it twice."""

import asyncio
from collections.abc import Iterator

import pytest
from databases import METADATA, OUTBOX, TASKS, Database, stored_messages
from returns.result import Failure, Result, Success
from sqlalchemy import Engine

from domainkit import (
    AsyncInmemoryDomainEventBus,
    AsyncInmemoryMessagePublisher,
    BusCannotPublish,
    DomainEvent,
    DomainEventBus,
    InmemoryDomainEventBus,
    MessageRefused,
)
from domainkit.adapters.sqlalchemy import (
    AsyncOutboxDomainEventBus,
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    OutboxCommandBus,
    OutboxDomainEventBus,
    SqlCrudRepository,
    UnitOfWork,
)
from domainkit.testing import SampleCreateTask, SampleTask, SampleTaskId

Tasks = SqlCrudRepository[SampleTask, SampleTaskId]
Published = Result[None, BusCannotPublish]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA) as made:
        yield made


@pytest.fixture
def bus(unit_of_work: UnitOfWork) -> OutboxDomainEventBus:
    """Return a bus that stores events in the same outbox."""
    return OutboxDomainEventBus(unit_of_work)


def new_task() -> SampleTask:
    """Return a task that has recorded one event."""
    return SampleTask.create("Buy milk")


def assert_refused(published: Published, event: DomainEvent) -> None:
    """Assert that the bus said which event is stored already, and what to do."""
    error = published.failure()
    assert (MessageRefused, str(event.header.id)) == (type(error), error.uuid_value)
    assert error.additional_info is not None
    assert "is in the outbox already" in str(error.additional_info["message"])
    assert "continue with the aggregate that `save` returned" in str(error.additional_info["message"])


def test_the_events_of_a_saved_aggregate(
    engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks, bus: DomainEventBus
) -> None:
    """Events that were saved with their aggregate are refused, also among others, and stored once; the unit goes on."""
    task, other = new_task(), DomainEvent()
    (event,) = task.domain_events

    with unit_of_work.begin():
        saved = tasks.save(task).unwrap()
        assert_refused(bus.publish(event), event)
        assert_refused(bus.with_meta({"tenant": "home"}).publish([other, event]), event)
        assert Success(None) == bus.publish(saved.domain_events)

    assert [event] == stored_messages(engine)


def test_what_a_bus_stored_itself(engine: Engine, unit_of_work: UnitOfWork, bus: OutboxDomainEventBus) -> None:
    """A message that a bus of the outbox has stored in the open unit is refused too, an event or a command."""
    event, command = DomainEvent(), SampleCreateTask(SampleTaskId.v4())
    commands = OutboxCommandBus(unit_of_work)

    with unit_of_work.begin():
        bus.publish(event).unwrap()
        commands.dispatch(command).unwrap()
        assert_refused(bus.publish(event), event)
        assert isinstance(commands.dispatch(command).failure(), MessageRefused)

    assert [event, command] == stored_messages(engine)


def test_a_use_case_that_looks_at_the_answer_is_taken_back(
    engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks, bus: DomainEventBus
) -> None:
    """A use case that returns what the bus answered fails as a whole: the mistake is seen when it is first tried."""
    task = new_task()

    def create() -> Published:
        tasks.save(task).unwrap()
        return bus.publish(task.domain_events)

    assert isinstance(unit_of_work.atomic(create)().failure(), MessageRefused)
    assert [] == stored_messages(engine)


def test_nested_units(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks, bus: DomainEventBus) -> None:
    """Rows stored by a nested unit count in the outer one, and the other way round; rolled-back rows don't."""
    kept, around, lost = new_task(), new_task(), new_task()

    def refuse(task: SampleTask) -> Published:
        tasks.save(task).unwrap()
        return Failure(BusCannotPublish())

    with unit_of_work.begin():
        tasks.save(around).unwrap()
        with unit_of_work.begin():
            tasks.save(kept).unwrap()
            assert_refused(bus.publish(around.domain_events), around.domain_events[0])
        assert isinstance(unit_of_work.atomic(refuse)(lost).failure(), BusCannotPublish)
        assert_refused(bus.publish(kept.domain_events), kept.domain_events[0])
        assert Success(None) == bus.publish(lost.domain_events)

    assert [*around.domain_events, *kept.domain_events, *lost.domain_events] == stored_messages(engine)


def test_after_the_unit(engine: Engine, unit_of_work: UnitOfWork, tasks: Tasks, bus: DomainEventBus) -> None:
    """After the unit nobody knows any more: an event that is published again is stored again, and delivered twice."""
    first, second = new_task(), new_task()

    tasks.save(first).unwrap()
    with unit_of_work.begin():
        tasks.save(second).unwrap()

    assert Success(None) == bus.publish([*first.domain_events, *second.domain_events])
    assert 2 * [*first.domain_events, *second.domain_events] == stored_messages(engine)


def test_without_an_outbox(engine: Engine, bus: DomainEventBus) -> None:
    """A repository without an outbox stores no event: publishing it is right."""
    alone = UnitOfWork(engine)
    task = new_task()

    with alone.begin():
        Tasks(SampleTask, TASKS, alone).save(task).unwrap()

    assert Success(None) == bus.publish(task.domain_events)
    assert [*task.domain_events] == stored_messages(engine)


def test_a_bus_in_memory_takes_it(unit_of_work: UnitOfWork, tasks: Tasks) -> None:
    """Functions in the same process may be told in the same transaction, beside those whom the relay tells."""
    local, task = InmemoryDomainEventBus(), new_task()

    with unit_of_work.begin():
        tasks.save(task).unwrap()
        assert Success(None) == local.publish(task.domain_events)

    assert task.domain_events == local.published


async def test_async(database: Database) -> None:
    """An async unit of work tells the async bus of its outbox, and that of RabbitMQ, in each task that it starts."""
    rabbitmq = pytest.importorskip("domainkit.adapters.rabbitmq", reason="needs the extra rabbitmq")
    heard = AsyncInmemoryDomainEventBus()
    broker = rabbitmq.RabbitMqDomainEventBus(OUTBOX._codec, AsyncInmemoryMessagePublisher(OUTBOX._codec, events=heard))
    task = new_task()
    (event,) = task.domain_events
    over = asyncio.Event()

    async def late() -> Published:
        await over.wait()
        answer: Published = await broker.publish(event)
        return answer

    async with database.async_engine(METADATA) as engine:
        unit_of_work = AsyncUnitOfWork(engine, outbox=OUTBOX)
        async with unit_of_work.begin():
            await AsyncSqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work).save(task)
            assert_refused(await AsyncOutboxDomainEventBus(unit_of_work).publish(event), event)
            assert_refused(await broker.publish(event), event)
            assert_refused(await asyncio.create_task(broker.publish([DomainEvent(), event])), event)
            outlives = asyncio.create_task(late())
            await asyncio.sleep(0)
        assert 0 == len(heard.published)
        over.set()
        assert Success(None) == await outlives
        assert [event] == list(heard.published)
