"""RabbitMqConsumer: what is acknowledged, what comes again, what is buried, and in which order."""

import asyncio
import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from aio_pika import Message as RawMessage
from pamqp.common import FieldValue
from rabbits import (
    AT_ONCE,
    CODEC,
    Board,
    CreateTask,
    Heard,
    TaskCreated,
    TaskRenamed,
    consumer,
    consuming,
    crash,
    dead,
    fail,
    left,
    outgoing,
    publish,
    until,
)
from returns.result import Result, Success

from domainkit import DomainError, DomainEvent, MessageCodec, Upcaster, caused
from domainkit.adapters.rabbitmq import (
    PROBLEMS_HEADER,
    Backoff,
    QueueClashError,
    RabbitMqConsumer,
    RabbitMqTopology,
    dead_letter_queue,
    redeliver,
)


async def test_a_message_is_handled_once_where_all_goes_well(board: Board) -> None:
    """A Success, or None, acknowledges: nothing is left in the queue, and nothing is dead."""
    heard = Heard(lambda: Success(None), lambda: None)
    async with consumer(board, heard):
        await publish(board, "milk", "bread")
        assert ["milk", "bread"] == await heard.heard(2)
    assert (0, 0) == await left(board)


async def test_a_message_is_acknowledged_only_after_its_function_ended(board: Board) -> None:
    """A consumer that is gone while its function runs has not acknowledged: the next one gets the message."""
    started, heard = asyncio.Event(), Heard()

    async def hang(event: TaskCreated) -> None:
        started.set()
        await asyncio.Event().wait()

    async with consumer(board, hang, stop_within=timedelta(milliseconds=10)):
        await publish(board, "milk")
        await started.wait()
    async with consumer(board, heard):
        assert ["milk"] == await heard.heard(1)


async def test_a_failure_comes_again_until_the_limit_and_is_buried(board: Board) -> None:
    """It is handled once and again `delivery_limit` times, then dead with its body, its id and the reason."""
    heard = Heard(fail, crash, fail, fail, fail)
    async with consumer(board, heard):
        await publish(board, "milk")
        (letter,) = await dead(board)
        assert ["milk"] * 3 == heard.titles
    assert ["failed 3 times, with DomainError"] == letter.headers[PROBLEMS_HEADER]
    decoded = CODEC.decode(letter.body).unwrap()
    assert isinstance(decoded, TaskCreated)
    assert (str(decoded.header.id), "milk") == (letter.message_id, decoded.title)
    assert (0, 0) == await left(board)


async def test_an_exception_is_logged_without_its_text(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    """The log says where it happened, which message failed and how often; neither what it says nor the body."""
    caplog.set_level(logging.DEBUG, logger="domainkit")
    async with consumer(board, Heard(crash)):
        await publish(board, "secret-title")

        async def told() -> bool:
            return "failure 1 of 3" in caplog.text

        await until(told)
    assert "KeyError" in caplog.text
    assert "task.created" in caplog.text
    assert "hush-hush" not in caplog.text
    assert "secret-title" not in caplog.text
    assert "guest:guest" not in caplog.text


async def test_bytes_that_are_no_message_are_buried_at_once(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    """They are dead once, with codes and paths and no value; the function isn't called, and the next message is."""
    heard = Heard()
    raw = CODEC.encode(TaskCreated("milk")).replace(b'"title":"milk"', b'"title":{"secret":"hush-hush"}')
    async with consumer(board, heard):
        await board.send(raw)
        await publish(board, "bread")
        assert ["bread"] == await heard.heard(1)
        (letter,) = await dead(board)
    assert raw == letter.body
    assert ["type $.data.attributes.title"] == letter.headers[PROBLEMS_HEADER]
    assert "hush" not in f"{letter.headers} {caplog.text}"
    assert (0, 0) == await left(board)


async def test_bytes_of_many_problems_fit_into_a_header(board: Board) -> None:
    """If a foreign message has many problems with long paths, the header has the first of them, cut."""
    raw = b'{"data": {' + b", ".join(b'"%d": 1' % number for number in range(3)) + b"}}"
    async with consumer(board, Heard()):
        await board.send(raw)
        (letter,) = await dead(board)
    problems = letter.headers[PROBLEMS_HEADER]
    assert isinstance(problems, list)
    assert {"missing $.data.id"} <= {str(one) for one in problems}


async def test_what_can_not_be_buried_is_not_lost(url: str) -> None:
    """If no queue takes the dead letter, the message stays, and is buried once one does."""
    async with Board(url, delivery_limit=10_000) as board:
        async with consumer(board, Heard(), backoff=Backoff(timedelta(milliseconds=20))):
            queue = board.subscriber("greeter")
            letters = await board.channel.get_queue(dead_letter_queue(queue))
            await letters.unbind(board.topology.dead_letter_exchange, queue)
            await board.send(b"no message")
            await asyncio.sleep(0.3)
            assert 0 == await board.count(letters.name)
            await letters.bind(board.topology.dead_letter_exchange, queue)
            (letter,) = await dead(board)
        assert b"no message" == letter.body
        assert PROBLEMS_HEADER in letter.headers
        assert (0, 0) == await left(board)


async def test_a_message_of_a_queue_without_function_for_it_is_buried(board: Board) -> None:
    """A class that the codec knows and no function of the queue takes is dead, with a reason: nothing vanishes."""
    async with consumer(board, Heard()):
        await board.send(CODEC.encode(TaskRenamed("milk")))
        (letter,) = await dead(board)
    assert ["unhandled task.renamed"] == letter.headers[PROBLEMS_HEADER]


@pytest.mark.parametrize("options", [{"prefetch": 1}, {"by": lambda message: 0, "concurrency": 3}])
async def test_the_order_is_kept_where_a_message_comes_again(board: Board, options: dict[str, Any]) -> None:
    """Without prefetch, or with one key for all, the messages behind one that fails are handled after it."""
    heard = Heard(lambda: None, fail, fail)
    async with consumer(board, heard, backoff=Backoff(timedelta(milliseconds=50)), **options):
        await publish(board, "a", "b", "c", "d")
        assert ["a", "b", "b", "b", "c", "d"] == await heard.heard(6)


@pytest.mark.parametrize("options", [{}, {"by": lambda message: message.title}])
async def test_a_message_that_failed_waits(board: Board, options: dict[str, Any]) -> None:
    """It comes again after the backoff, which grows; in the mean time the others are handled."""
    times: list[float] = []

    others: list[float] = []

    async def refuse(event: TaskCreated) -> Result[None, DomainError] | None:
        if event.title != "milk":
            others.append(asyncio.get_running_loop().time())
            return None
        times.append(asyncio.get_running_loop().time())
        return fail()

    board.waits |= {200, 400}
    async with consumer(board, refuse, backoff=Backoff(timedelta(milliseconds=200)), **options):
        await publish(board, "milk", "bread", "salt")
        await dead(board)
    assert 0.2 <= times[1] - times[0]
    assert 0.4 <= times[2] - times[1]
    assert 2 == len([one for one in others if one < times[1]])


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (3, 3)])
async def test_so_many_messages_are_handled_at_a_time(board: Board, concurrency: int, most: int) -> None:
    """One at a time unless told; never more than told, though more are fetched."""
    running, highest, done = 0, 0, 0

    async def count(event: TaskCreated) -> None:
        nonlocal running, highest, done
        running += 1
        highest = max(highest, running)
        await asyncio.sleep(0.05)
        running -= 1
        done += 1

    async def all_done() -> bool:
        return done == 9

    async with consumer(board, count, concurrency=concurrency, prefetch=9):
        await publish(board, *"abcdefghi")
        await until(all_done)
    assert most == highest


async def test_each_subscriber_gets_each_event(board: Board) -> None:
    """Two subscribers have two queues: a failure of one is no concern of the other."""
    mailed, counted = Heard(fail, fail, fail), Heard()
    async with consumer(board, mailed, "mailer"), consumer(board, counted, "counter"):
        await publish(board, "milk")
        assert ["milk"] == await counted.heard(1)
        assert ["milk"] * 3 == await mailed.heard(3)
        await dead(board, "mailer")
    assert ["milk"] == counted.titles


async def test_consumers_of_one_subscriber_share_its_queue(board: Board) -> None:
    """Each message goes to one of them."""
    first, second = Heard(), Heard()
    titles = [str(number) for number in range(20)]
    async with consumer(board, first), consumer(board, second):
        await publish(board, *titles)

        async def enough() -> bool:
            return len(first.titles) + len(second.titles) >= 20

        await until(enough)
    assert sorted(titles) == sorted(first.titles + second.titles)


async def test_a_single_active_consumer_has_the_queue_alone(url: str) -> None:
    """With `single_active` the second of two consumers gets no message while the first runs, and all after it."""
    async with Board(url, single_active=True) as board:
        first, second = Heard(), Heard()
        async with consumer(board, second):
            pass
        async with consumer(board, first):
            async with consumer(board, second):
                await publish(board, *"abcdef")
                assert list("abcdef") == await first.heard(6)
            assert [] == second.titles


async def test_several_events_share_a_queue_and_an_order(board: Board) -> None:
    """Functions of distinct classes under one name get their events in the order in which they were published."""
    seen: list[str] = []

    async def created(event: TaskCreated) -> None:
        await asyncio.sleep(0.02)
        seen.append(f"created {event.title}")

    def renamed(event: TaskRenamed) -> None:
        seen.append(f"renamed {event.title}")

    async def all_seen() -> bool:
        return len(seen) == 4

    board.subscriber("projection")
    functions = (TaskCreated.handled_by(created), TaskRenamed.handled_by(renamed))
    async with RabbitMqConsumer(board.url, board.topology, CODEC, subscribers={"projection": functions}):
        await publish(board, TaskCreated("a"), TaskRenamed("a"), TaskCreated("b"), TaskRenamed("b"))
        await until(all_seen)
    assert ["created a", "renamed a", "created b", "renamed b"] == seen


async def test_a_subscriber_to_a_base_class_gets_the_events_below_it(board: Board) -> None:
    """It is bound for every class of the codec that is one."""
    seen: list[DomainEvent] = []

    async def every(event: DomainEvent) -> None:
        seen.append(event)

    async def both() -> bool:
        return len(seen) == 2

    events = TaskCreated("a"), TaskRenamed("b")
    board.subscriber("audit")
    audit = {"audit": DomainEvent.handled_by(every)}
    async with RabbitMqConsumer(board.url, board.topology, CODEC, subscribers=audit):
        await publish(board, *events)
        await until(both)
    assert list(events) == seen


async def test_a_plain_function_runs_in_a_thread(board: Board) -> None:
    """It may block: the loop, and with it the connection, goes on; what it sends knows its cause."""
    seen: list[tuple[int, object]] = []

    def block(event: TaskCreated) -> None:
        seen.append((threading.get_ident(), caused(TaskRenamed("x")).header.meta.get("causation_id")))

    async def called() -> bool:
        return bool(seen)

    event = TaskCreated("milk")
    async with consumer(board, block):
        await publish(board, event)
        await until(called)
    assert threading.get_ident() != seen[0][0]
    assert str(event.header.id) == seen[0][1]


async def test_what_a_function_sends_has_the_message_as_its_cause(board: Board) -> None:
    """The ids of the message that is being handled go into those that its function makes."""
    seen: list[TaskRenamed] = []

    async def rename(event: TaskCreated) -> None:
        seen.append(caused(TaskRenamed(event.title)))

    async def called() -> bool:
        return bool(seen)

    event = TaskCreated("milk")
    async with consumer(board, rename):
        await publish(board, event)
        await until(called)
    assert str(event.header.id) == seen[0].header.meta["causation_id"]


async def test_a_function_that_takes_too_long_has_failed(board: Board) -> None:
    """It is cancelled after the timeout, and its message comes again."""
    cancelled = 0

    async def hang(event: TaskCreated) -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise

    async with consumer(board, hang, timeout=timedelta(milliseconds=50)):
        await publish(board, "milk")
        await dead(board)
    assert 3 == cancelled


async def test_a_function_that_cancels_itself_has_failed(board: Board) -> None:
    """A CancelledError of its own is no stop of the consumer."""

    async def cancel(event: TaskCreated) -> None:
        raise asyncio.CancelledError

    async with consumer(board, cancel):
        await publish(board, "milk")
        await dead(board)


def _none(command: CreateTask) -> Any:
    return None


def _coroutine(command: CreateTask) -> Any:
    return asyncio.sleep(0)


@pytest.mark.parametrize("function", [_none, _coroutine])
async def test_a_command_without_result_has_failed(board: Board, function: Any) -> None:
    """A handler of a command answers with a Result; anything else is a bug, and its message comes again."""
    board.queues.add(queue := board.topology.command_queue(CreateTask.info()))
    async with RabbitMqConsumer(
        board.url, board.topology, CODEC, handlers=[CreateTask.handled_by(function)], backoff=AT_ONCE
    ):
        await publish(board, CreateTask("milk"))
        (letter,) = await board.taken(dead_letter_queue(queue), 1)
    assert ["failed 3 times, with UnknownError"] == letter.headers[PROBLEMS_HEADER]


async def test_a_command_is_handled_by_one_service(board: Board) -> None:
    """Its queue is named after exchange and command: two consumers share it, whatever their service is called."""
    board.queues.add(board.topology.command_queue(CreateTask.info()))
    seen: list[str] = []

    async def create(command: CreateTask) -> Result[None, DomainError]:
        seen.append(command.title)
        return Success(None)

    async def enough() -> bool:
        return len(seen) >= 10

    other = RabbitMqTopology(board.topology.exchange, service="other", delivery_limit=2)
    handlers = [CreateTask.handled_by(create)]
    async with (
        RabbitMqConsumer(board.url, board.topology, CODEC, handlers=handlers),
        RabbitMqConsumer(board.url, other, CODEC, handlers=handlers),
    ):
        await publish(board, *(CreateTask(str(number)) for number in range(10)))
        await until(enough)
    assert [str(number) for number in range(10)] == sorted(seen)


async def test_old_versions_are_read_and_new_ones_wait_among_the_dead(board: Board) -> None:
    """A queue is bound for all versions: what the codec upcasts is handled; what it can't read yet is kept."""
    seen: list[str] = []

    class Renamed(DomainEvent):
        class Config:
            name = "task.renamed"
            version = 2

    async def note(event: Renamed) -> None:
        seen.append(str(event.header.id))

    async def called() -> bool:
        return bool(seen)

    upcasters = [
        Upcaster(Renamed, 1, lambda attributes: {}),
        Upcaster(Renamed, 1, lambda attributes: {}, from_name="task.retitled", to_version=2),
    ]
    codec = MessageCodec(Renamed, upcasters=upcasters[:1])
    board.subscriber("greeter")
    old = TaskRenamed("milk")
    async with RabbitMqConsumer(
        board.url, board.topology, codec, subscribers={"greeter": Renamed.handled_by(note)}, backoff=AT_ONCE
    ):
        await publish(board, old)
        await until(called)
        newer = CODEC.encode(TaskRenamed("bread")).replace(b'"version":1', b'"version":3')
        await board.send(newer, "3.event.task_renamed")
        (letter,) = await dead(board)
    assert [str(old.header.id)] == seen
    assert newer == letter.body


async def test_stop_finishes_what_is_in_hand(board: Board) -> None:
    """The message that is being handled is handled to its end and acknowledged; those behind it stay in the queue."""
    started, finished = asyncio.Event(), []

    async def slow(event: TaskCreated) -> None:
        started.set()
        await asyncio.sleep(0.3)
        finished.append(event.title)

    async with consumer(board, slow, prefetch=3):
        await publish(board, "a", "b", "c")
        await started.wait()
    assert ["a"] == finished
    assert (2, 0) == await left(board)


async def test_stop_is_bounded(board: Board) -> None:
    """A handler that doesn't end within `stop_within` is cancelled, and its message stays."""
    started = asyncio.Event()

    async def hang(event: TaskCreated) -> None:
        started.set()
        await asyncio.Event().wait()

    running = consumer(board, hang, stop_within=timedelta(milliseconds=100))
    async with asyncio.timeout(30):
        async with running:
            await publish(board, "milk")
            await started.wait()
        await running.stop()
    assert (1, 0) == await left(board)


async def test_stop_does_not_wait_for_a_backoff(board: Board) -> None:
    """A message that waits in hand to come again goes back at once."""
    heard, minute = Heard(fail), Backoff(timedelta(minutes=1), longest=timedelta(minutes=1))
    async with asyncio.timeout(15):  # half of what a stop may take
        async with consumer(board, heard, backoff=minute, prefetch=1):
            await publish(board, "milk")
            await heard.heard(1)
            await asyncio.sleep(0.1)
    assert (1, 0) == await left(board)


async def test_it_runs_until_an_event_is_set(board: Board) -> None:
    """`run` returns after the event; a second `run` beside it is refused."""
    stop, heard = asyncio.Event(), Heard()
    one = consumer(board, heard)
    running = asyncio.create_task(one.run(stop))
    await consuming(one)
    with pytest.raises(RuntimeError, match="expected one call of `run` at a time"):
        await one.run()
    await publish(board, "milk")
    assert ["milk"] == await heard.heard(1)
    stop.set()
    await asyncio.wait_for(running, 30)
    again = consumer(board, heard)
    running = asyncio.create_task(again.run())
    await consuming(again)
    await again.stop()
    assert running.done()


async def test_a_task_that_is_cancelled_lets_go(board: Board) -> None:
    """Cancelling `run` ends its workers and its connection: the message in hand goes back."""
    started, heard = asyncio.Event(), Heard()

    async def hang(event: TaskCreated) -> None:
        started.set()
        await asyncio.Event().wait()

    one = consumer(board, hang)
    running = asyncio.create_task(one.run())
    await consuming(one)
    await publish(board, "milk")
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with consumer(board, heard):
        assert ["milk"] == await heard.heard(1)


@pytest.mark.parametrize("single_active", [False, True])
async def test_its_queues_are_durable_and_lose_no_dead_letter(url: str, single_active: bool) -> None:
    """They are quorum queues; dead letters go to their queue at least once, which the broker does under these settings.

    Declaring a queue with other settings is an error: the broker compares them.
    """
    async with Board(url, single_active=single_active) as board:
        async with consumer(board, Heard()):
            pass
        name = board.subscriber("greeter")
        arguments: dict[str, FieldValue] = {
            "x-queue-type": "quorum",
            "x-delivery-limit": 1_000_000,
            "x-dead-letter-exchange": board.topology.dead_letter_exchange,
            "x-dead-letter-routing-key": name,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        active: dict[str, FieldValue] = {"x-single-active-consumer": True} if single_active else {}
        await board.channel.declare_queue(name, durable=True, arguments={**arguments, **active})
        letters = dead_letter_queue(name)
        kept: dict[str, FieldValue] = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
        await board.channel.declare_queue(letters, durable=True, arguments=kept)


async def test_declaring_again_changes_nothing(board: Board) -> None:
    """A consumer that starts again finds its queue, with what came meanwhile."""
    heard = Heard()
    async with consumer(board, Heard()):
        pass
    await publish(board, "milk")
    async with consumer(board, heard):
        assert ["milk"] == await heard.heard(1)


async def test_a_queue_that_is_another_is_a_clear_error(board: Board) -> None:
    """The error names the queue and what to do; the queue and what is in it stay as they are."""
    name = board.subscriber("greeter")
    await board.channel.declare_queue(name, durable=True)
    with pytest.raises(QueueClashError) as caught:
        await asyncio.wait_for(consumer(board, Heard()).__aenter__(), 60)
    told = caught.value.detail()
    assert name in told
    assert "delete it" in told
    assert "inequivalent arg" in told
    assert 0 == await board.count(name)


async def test_a_dead_letter_comes_back(board: Board) -> None:
    """A dead letter is handled after it was redelivered, and may die again."""
    heard = Heard(fail, fail, fail)
    async with consumer(board, heard):
        await publish(board, "milk")

        async def died() -> bool:
            return await left(board) == (0, 1)

        await until(died)
        assert Success(1) == await redeliver(board.url, board.subscriber("greeter"))
        assert ["milk"] * 4 == await heard.heard(4)
    assert (0, 0) == await left(board)


async def test_the_longest_names_work() -> None:
    """Whatever names a topology admits, its queues and exchanges can be declared and used."""
    async with Board() as board:
        name = board.topology.exchange.ljust(114, "e")
        board.topology = RabbitMqTopology(name, service=name.ljust(192, "s"))
        heard = Heard()
        async with consumer(board, heard):
            await publish(board, "milk")
            assert ["milk"] == await heard.heard(1)


def test_what_can_not_be_bound_is_refused() -> None:
    """It is a TypeError that names the class or the name, before anything is declared."""
    topology = RabbitMqTopology("test", service="test")
    created, renamed = TaskCreated.handled_by(lambda event: None), TaskRenamed.handled_by(lambda event: None)
    create: Any = CreateTask.handled_by(lambda command: Success(None))
    every: Any = DomainEvent.handled_by(lambda event: None)

    def make(codec: MessageCodec = CODEC, **options: Any) -> RabbitMqConsumer:
        return RabbitMqConsumer("amqp://broker/", topology, codec, **options)

    with pytest.raises(TypeError, match="expected `subscribers`, `handlers` or `queues`, got none"):
        make()
    with pytest.raises(TypeError, match="expected a subscriber 'a' made by handled_by, got a function"):
        make(subscribers={"a": [test_what_can_not_be_bound_is_refused]})
    with pytest.raises(TypeError, match="expected a subscriber 'a' made by handled_by, got a Handler"):
        make(subscribers={"a": [create]})
    with pytest.raises(TypeError, match="got one without TaskRenamed; pass this class to the codec"):
        make(MessageCodec(TaskCreated), subscribers={"a": [created, renamed]})
    for pair in ([created, created], [created, every], [every, created]):
        with pytest.raises(TypeError, match=r"'a': expected one function for each message, .* its own queue"):
            make(subscribers={"a": pair})
    with pytest.raises(TypeError, match="CreateTask: expected one handler, got "):
        make(handlers=[create, create])
    with pytest.raises(ValueError, match=r"the queue 'test\.a#'"):
        make(subscribers={"a#": created})
    with pytest.raises(ValueError, match="prefetch"):
        make(subscribers={"a": created}, concurrency=2, prefetch=1)
    with pytest.raises(ValueError, match="timeout"):
        make(subscribers={"a": created}, timeout=timedelta(0))
    assert "RabbitMqConsumer(broker:5672, test.a)" == repr(make(subscribers={"a": created}))


async def test_the_outgoing_message_is_what_comes_in(board: Board) -> None:
    """A message is equal to the one that was published, its meta and its header too."""
    seen: list[TaskCreated] = []

    async def note(event: TaskCreated) -> None:
        seen.append(event)

    async def called() -> bool:
        return bool(seen)

    event = TaskCreated("milk").add_meta({"tenant": "home"})
    async with consumer(board, note):
        await publish(board, event)
        await until(called)
    assert [event] == seen
    assert outgoing("milk").info == TaskCreated.info()


async def test_what_is_buried_keeps_nothing_that_was_for_its_own_way(board: Board) -> None:
    """A dead letter has no time to live, no user who sent it and no further receivers: else it is lost, or stuck."""
    other = board.subscriber("other")
    async with consumer(board, Heard()), consumer(board, Heard(), "other"):
        exchange = await board.channel.get_exchange(board.topology.exchange)
        message = RawMessage(b"hush", expiration=0.4, user_id="guest", headers={"CC": [other], "x-mine": "kept"})
        await exchange.publish(message, f"{board.topology.exchange}.1.event.task_created")
        await until(lambda: board.count(dead_letter_queue(other)))
        await asyncio.sleep(0.6)
    (found,) = await dead(board)
    assert (None, None, "kept") == (found.expiration, found.user_id, found.headers["x-mine"])
    assert "CC" not in found.headers
    assert (0, 1) == await left(board, "other")
