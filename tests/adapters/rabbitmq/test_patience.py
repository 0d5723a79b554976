"""Waiting on failures: messages, killed processes, keys, queues of others, a pause."""

import asyncio
import random
import subprocess
import sys
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aio_pika import Message as RawMessage
from aio_pika.abc import AbstractIncomingMessage
from attrs import frozen
from rabbits import (
    AT_ONCE,
    CODEC,
    Board,
    CreateTask,
    Heard,
    TaskCreated,
    TaskRenamed,
    consumer,
    dead,
    fail,
    left,
    publish,
    until,
)
from returns.result import Failure, Result

from domainkit import Command, DomainError, DomainEvent, Envelope, Message, MessageCodec, caused
from domainkit.adapters.rabbitmq import (
    PROBLEMS_HEADER,
    Backoff,
    QueueClashError,
    Queues,
    RabbitMqConsumer,
    RabbitMqTopology,
    dead_letter_queue,
)

KILLED = """
import asyncio, os, sys
sys.path.insert(0, {tests!r})
from rabbits import CODEC, TaskCreated
from domainkit.adapters.rabbitmq import RabbitMqConsumer, RabbitMqTopology

async def main():
    async def handle(event):
        if event.title == "poison" and {kill}:
            os.kill(os.getpid(), 9)
        print(event.title, flush=True)

    topology = RabbitMqTopology({exchange!r}, service={service!r}, delivery_limit={limit})
    subscribers = {{"greeter": TaskCreated.handled_by(handle)}}
    async with RabbitMqConsumer({url!r}, topology, CODEC, subscribers=subscribers, prefetch=10):
        await asyncio.sleep({seconds})

asyncio.run(main())
"""


def process(board: Board, *, kill: bool = True, seconds: float = 30) -> tuple[int, list[str]]:
    """Run a consumer in a process of its own, and return its status, and the titles that it has handled."""
    script = KILLED.format(
        tests=str(Path(__file__).parents[2]),
        exchange=board.topology.exchange,
        service=board.topology.service,
        limit=board.topology.delivery_limit,
        url=board.url,
        kill=kill,
        seconds=seconds,
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.split()


async def test_what_no_function_was_given_is_never_dead(board: Board) -> None:
    """A message that kills its process is dead after as many tries as failures are allowed; the others are handled."""
    async with consumer(board, Heard()):
        pass
    others = [str(number) for number in range(9)]
    await publish(board, "poison", *others)
    for _ in range(board.topology.delivery_limit + 1):
        assert (-9, []) == await asyncio.to_thread(process, board)
    heard = Heard()
    async with consumer(board, heard):
        assert others == await heard.heard(9)
        (letter,) = await dead(board)
    assert b"poison" in letter.body
    assert ["unfinished: the process was lost 1 times while only this was handled"] == letter.headers[PROBLEMS_HEADER]
    assert (0, 0) == await left(board)


async def test_a_suspect_may_go_well(board: Board) -> None:
    """The messages that two lost processes had in hand are handled one by one, and each is handled once."""
    async with consumer(board, Heard()):
        pass
    await publish(board, "poison", "bread")
    for _ in range(2):
        assert (-9, []) == await asyncio.to_thread(process, board)
    heard = Heard()
    async with consumer(board, heard):
        assert ["poison", "bread"] == await heard.heard(2)
    assert (0, 0) == await left(board)


@pytest.mark.parametrize("prefetch", [1, 5])
async def test_a_suspect_may_fail(board: Board, prefetch: int) -> None:
    """Failures of a suspect are counted as those of others, whoever waits for it; it doesn't wait for another loss."""
    async with consumer(board, Heard()):
        pass
    await publish(board, "poison")
    for _ in range(2):
        assert (-9, []) == await asyncio.to_thread(process, board)
    heard = Heard(fail, fail)
    async with consumer(board, heard, prefetch=prefetch):
        assert ["poison"] * 3 == await heard.heard(3)
    assert (0, 0) == await left(board)


async def test_a_suspect_that_waits_in_hand_goes_back_at_the_end(board: Board) -> None:
    """A stop waits for no backoff of a suspect either, and the suspect is handled by the next consumer."""
    quarantine = f"{board.subscriber('greeter')}.quarantine"
    heard, minute = Heard(fail), Backoff(timedelta(minutes=1), longest=timedelta(minutes=1))
    async with consumer(board, Heard()):
        pass
    await board.channel.default_exchange.publish(RawMessage(CODEC.encode(TaskCreated("milk"))), quarantine)
    async with asyncio.timeout(15):
        async with consumer(board, heard, backoff=minute, prefetch=1):
            await heard.heard(1)
            await asyncio.sleep(0.1)
    async with consumer(board, heard):
        assert ["milk"] * 2 == await heard.heard(2)


async def test_bytes_among_the_suspects_are_buried(board: Board) -> None:
    """A message that can't be read is dead, in whichever queue it is found."""
    quarantine = f"{board.subscriber('greeter')}.quarantine"
    async with consumer(board, Heard()):
        pass
    await board.channel.default_exchange.publish(RawMessage(b"no message"), quarantine)
    async with consumer(board, Heard()):
        (letter,) = await dead(board)
    assert ["json $"] == letter.headers[PROBLEMS_HEADER]


async def test_keys_are_handled_side_by_side_and_each_in_order(board: Board) -> None:
    """With `by`, the messages of a key keep their order, failures included, and other keys don't wait for them."""
    chance, seen, total = random.Random(7), defaultdict[str, list[int]](list), 0

    async def note(event: TaskCreated) -> Result[None, DomainError] | None:
        nonlocal total
        await asyncio.sleep(0.005)
        if chance.random() < 0.1:
            return fail()
        key, number = event.title.split()
        seen[key].append(int(number))
        total += 1
        return None

    async def all_seen() -> bool:
        return total == 400

    def key_of(message: Message) -> str:
        assert isinstance(message, TaskCreated)
        return message.title.split()[0]

    more: dict[str, Any] = {
        "by": key_of,
        "prefetch": 200,
        "concurrency": 20,
        "backoff": Backoff(timedelta(milliseconds=20)),
    }
    lasting = Board(board.url, delivery_limit=20)
    async with lasting, consumer(lasting, note, **more):
        await publish(lasting, *(f"{key} {number}" for number in range(20) for key in range(20)))
        start = asyncio.get_running_loop().time()
        await until(all_seen)
        assert 400 * 0.005 > asyncio.get_running_loop().time() - start
    assert {str(key): [*range(20)] for key in range(20)} == seen


async def test_a_key_that_can_not_be_told_is_a_reason_to_bury(board: Board) -> None:
    """If `by` raises, the message is dead with the exception's class: it is a bug, and no message is lost."""

    def key_of(message: Message) -> str:
        raise KeyError("hush-hush")

    async with consumer(board, Heard(), by=key_of):
        await publish(board, "milk")
        (letter,) = await dead(board)
    assert ["by KeyError"] == letter.headers[PROBLEMS_HEADER]


async def test_a_key_that_can_not_be_compared_is_a_reason_to_bury(board: Board) -> None:
    """If the key is a list, say, the message is dead with the exception's class, and the consumer goes on."""
    heard = Heard()
    keys: dict[str, Any] = {"milk": ["a list"], "bread": "a text"}

    def key_of(message: Message) -> Any:  # Any: as a function without types returns it
        assert isinstance(message, TaskCreated)
        return keys[message.title]

    async with consumer(board, heard, by=key_of):
        await publish(board, "milk", "bread")
        (letter,) = await dead(board)
        assert ["bread"] == await heard.heard(1)
    assert ["by TypeError"] == letter.headers[PROBLEMS_HEADER]


async def test_all_that_ended_is_acknowledged_whatever_the_order(board: Board) -> None:
    """Functions that end in another order than they began acknowledge each message once, and none comes again."""
    done: list[str] = []

    async def work(event: TaskCreated) -> None:
        await asyncio.sleep(int(event.title) % 7 / 100)
        done.append(event.title)

    async def all_done() -> bool:
        return len(done) >= 60

    titles = [str(number) for number in range(60)]
    async with consumer(board, work, concurrency=10, prefetch=30):
        await publish(board, *titles)
        await until(all_done)
    assert sorted(titles) == sorted(done)
    assert (0, 0) == await left(board)


async def test_a_message_in_hand_is_not_acknowledged_with_those_behind_it(board: Board) -> None:
    """A message whose function runs on while those behind it end is still the queue's: it comes again."""
    later = 0

    async def work(event: TaskCreated) -> None:
        nonlocal later
        if event.title == "slow":
            await asyncio.Event().wait()
        later += 1

    async def all_later() -> bool:
        return later == 5

    heard = Heard()
    async with consumer(board, work, concurrency=2, stop_within=timedelta(milliseconds=50)):
        await publish(board, "slow", *"abcde")
        await until(all_later)
    async with consumer(board, heard):
        assert ["slow"] == await heard.heard(1)
    assert (0, 0) == await left(board)


async def test_what_is_given_back_and_what_is_acknowledged_do_not_mix(board: Board) -> None:
    """A message that can't be buried comes again, and those around it are acknowledged all the same."""
    queue = board.subscriber("greeter")
    heard = Heard()
    async with consumer(board, heard, backoff=Backoff(timedelta(milliseconds=30))):
        letters = await board.channel.get_queue(dead_letter_queue(queue))
        await letters.unbind(board.topology.dead_letter_exchange, queue)
        for title in "abcdef":
            await publish(board, title)
            await board.send(b"no message")
        assert list("abcdef") == await heard.heard(6)
        await asyncio.sleep(0.2)
        await letters.bind(board.topology.dead_letter_exchange, queue)
        assert 6 == len(await dead(board, count=6))
    assert (0, 0) == await left(board)


async def test_a_queue_to_wait_in_may_be_deleted(board: Board) -> None:
    """If somebody deleted the queue in which a message would wait, it stays, and the queue is declared again."""
    board.waits |= {30, 60}
    heard = Heard(fail, fail)
    async with consumer(board, heard, backoff=Backoff(timedelta(milliseconds=30))):
        await publish(board, "milk")
        await heard.heard(3)
        await board.channel.queue_delete(f"{board.subscriber('greeter')}.wait.30")
        heard.answers = [fail]
        await publish(board, "bread")
        await heard.heard(5)
    assert (0, 0) == await left(board)


async def test_the_order_outlives_a_stop_where_one_consumer_is_active(url: str) -> None:
    """A consumer that stops lets go of its queue after what it has in hand: the next one starts behind it."""
    seen, total = list[int](), 120

    async def note(event: TaskCreated) -> None:
        await asyncio.sleep(0.01)
        seen.append(int(event.title))

    async def seen_up_to(number: int) -> None:
        async def so_many() -> bool:
            return len(seen) >= number

        await until(so_many)

    async with Board(url, single_active=True) as board:
        async with consumer(board, note, prefetch=3):
            pass
        await publish(board, *map(str, range(total)))
        running = [await consumer(board, note, prefetch=3).__aenter__() for _ in range(2)]
        for _ in range(6):
            # each handles more than a stop gives back: messages given back twice are suspected, and may wait a minute
            await seen_up_to(min(len(seen) + 5, total))
            running.append(await consumer(board, note, prefetch=3).__aenter__())
            await running.pop(0).stop()
        await seen_up_to(total)
        for one in running:
            await one.stop()
    assert [*range(total)] == seen


# all messages


@frozen
class Unknown(DomainEvent):
    size: int


async def test_a_subscriber_of_everything_gets_all_messages(board: Board) -> None:
    """Events, commands and classes that the codec doesn't know come as envelopes; what it sends has them as cause."""
    kept: list[Envelope] = []
    causes: list[object] = []

    async def keep(envelope: Envelope) -> None:
        kept.append(envelope)
        causes.append(caused(TaskRenamed("x")).header.meta["causation_id"])

    async def all_kept() -> bool:
        return len(kept) == 3

    codec = MessageCodec(Unknown)
    unknown, created, create = Unknown(5).add_meta({"tenant": "home"}), TaskCreated("milk"), CreateTask("milk")
    board.subscriber("store")
    store = {"store": Envelope.handled_by(keep)}
    async with RabbitMqConsumer(board.url, board.topology, CODEC, subscribers=store):
        await board.send(codec.encode(unknown), "1.event.unknown")
        await publish(board, created, create)
        await until(all_kept)
    messages: list[Message | Command[Any, Any]] = [unknown, created, create]
    assert [(one.header, one.info()) for one in messages] == [(one.header, one.info) for one in kept]
    assert [{"size": 5}, {"title": "milk"}, {"title": "milk"}] == [dict(one.attributes) for one in kept]
    assert [str(one.header.id) for one in messages] == causes


async def test_an_envelope_that_fails_is_dead_in_the_end(board: Board) -> None:
    """It waits and dies as other messages do; with `by`, the envelopes of a queue keep their order."""
    tried: list[str] = []

    def refuse(envelope: Envelope) -> Result[None, DomainError] | None:
        title = str(envelope.attributes["title"])
        tried.append(title)
        return fail() if title == "milk" else None

    board.subscriber("store")
    store = {"store": Envelope.handled_by(refuse)}
    options: dict[str, Any] = {"by": lambda message: 1 / 0, "backoff": AT_ONCE}
    async with RabbitMqConsumer(board.url, board.topology, CODEC, subscribers=store, **options):
        await publish(board, "milk", "bread")
        (letter,) = await dead(board, "store")
        assert ["milk"] * 3 == tried[:3]
        assert ["failed 3 times, with DomainError"] == letter.headers[PROBLEMS_HEADER]
        await board.send(b"no message")
        (letter,) = await dead(board, "store")
    assert ["json $"] == letter.headers[PROBLEMS_HEADER]


def test_a_subscriber_of_everything_shares_no_queue() -> None:
    """Another function under the same name would never be called: it is refused, with what to do."""
    functions: Any = [Envelope.handled_by(lambda envelope: None), TaskCreated.handled_by(lambda event: None)]
    topology = RabbitMqTopology("test", service="test")
    with pytest.raises(TypeError, match=r"'test\.store': expected a function of envelopes to be its only one"):
        RabbitMqConsumer("amqp://broker/", topology, CODEC, subscribers={"store": functions})


# queues of others


async def foreign(board: Board, name: str, **arguments: Any) -> str:
    """Declare a queue as another library does it, and return its name."""
    queue = f"{board.topology.service}.{name}"
    board.queues.add(queue)
    await board.channel.declare_queue(queue, durable=True, arguments=arguments or None)
    return queue


async def put(board: Board, to: str, message: Message, **headers: Any) -> None:
    """Put a message into a queue."""
    await board.channel.default_exchange.publish(RawMessage(CODEC.encode(message), headers=headers), to)


async def test_a_queue_of_others_is_drained_and_stays_as_it_is(board: Board) -> None:
    """Its messages are handled; what failed elsewhere goes on being counted, and is among dead letters of its own."""
    old: dict[str, Any] = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "elsewhere",
        "x-message-ttl": 600_000,
    }
    queue = await foreign(board, "old", **old)
    await put(board, queue, TaskCreated("milk"))
    await put(board, queue, TaskCreated("bad"), redelivery_count=2, queue="x")
    heard = Heard(lambda: None, fail)
    queues: Queues = {queue: [TaskCreated.handled_by(heard), CreateTask.handled_by(_refuse)]}
    one = RabbitMqConsumer(board.url, board.topology, CODEC, queues=queues, backoff=AT_ONCE)
    assert (queue,) == one.queues
    async with one:
        assert ["milk", "bad"] == await heard.heard(2)
        (letter,) = await board.taken(dead_letter_queue(queue), 1)
        await put(board, queue, CreateTask("salt"))
        (command,) = await board.taken(dead_letter_queue(queue), 1)
    assert ["failed 3 times, with DomainError"] == letter.headers[PROBLEMS_HEADER]
    assert b"salt" in command.body
    await board.channel.declare_queue(queue, durable=True, arguments=old)  # the broker compares


async def _refuse(command: CreateTask) -> Result[None, DomainError]:
    return Failure(DomainError())


async def test_what_a_classic_queue_delivers_again_is_tried_alone(board: Board) -> None:
    """Such a queue counts nothing: one loss is enough for a suspicion, and a function is called once."""
    queue = await foreign(board, "old")
    await put(board, queue, TaskCreated("milk"))
    taken: AbstractIncomingMessage | None = await (await board.channel.get_queue(queue)).get()
    assert taken is not None
    await taken.nack(requeue=True)
    heard = Heard()
    async with RabbitMqConsumer(board.url, board.topology, CODEC, queues={queue: TaskCreated.handled_by(heard)}):
        assert ["milk"] == await heard.heard(1)


async def test_dead_letters_have_a_function(board: Board) -> None:
    """The queue of dead letters is a queue of others: a function gets what died, and may fail in its turn."""
    heard = Heard(fail, fail, fail)
    letters = dead_letter_queue(board.subscriber("greeter"))
    board.queues.add(letters)
    async with consumer(board, heard):
        await publish(board, "milk")
        await heard.heard(3)
        buried = Heard()
        async with RabbitMqConsumer(board.url, board.topology, CODEC, queues={letters: TaskCreated.handled_by(buried)}):
            assert ["milk"] == await buried.heard(1)
    assert (0, 0) == await left(board)


async def test_a_queue_of_others_that_is_not_there_is_a_clear_error(board: Board) -> None:
    """The error names the queue and what to do; it isn't made."""
    name = f"{board.topology.service}.missing"
    board.queues.add(name)
    one = RabbitMqConsumer(board.url, board.topology, CODEC, queues={name: TaskCreated.handled_by(Heard())})
    with pytest.raises(QueueClashError, match="it doesn't exist") as caught:
        await asyncio.wait_for(one.__aenter__(), 60)
    assert name in caught.value.detail()


def test_a_queue_has_one_set_of_functions() -> None:
    """The queue of a subscriber that is named again among the queues of others is refused."""
    topology = RabbitMqTopology("test", service="test")
    created = TaskCreated.handled_by(lambda event: None)
    with pytest.raises(TypeError, match=r"expected each queue once, got 'test\.a' twice"):
        RabbitMqConsumer("amqp://broker/", topology, CODEC, subscribers={"a": created}, queues={"test.a": created})


# a pause


async def test_a_subscriber_that_is_paused_gets_nothing(board: Board) -> None:
    """Messages in hand are finished, the rest stays in the queue for other consumers, and continues after `resume`."""
    started, go_on, seen = asyncio.Event(), asyncio.Event(), list[str]()

    async def slow(event: TaskCreated) -> None:
        started.set()
        await go_on.wait()
        seen.append(event.title)

    other = Heard()
    board.subscriber("other")
    subscribers = {"greeter": TaskCreated.handled_by(slow), "other": TaskCreated.handled_by(other)}
    one = RabbitMqConsumer(board.url, board.topology, CODEC, subscribers=subscribers)
    queue = board.subscriber("greeter")
    async with one:
        await publish(board, "milk", "bread")
        await started.wait()
        pausing = asyncio.create_task(one.pause(queue))
        await asyncio.sleep(0.05)
        assert not pausing.done()
        go_on.set()
        await pausing
        assert ["milk"] == seen
        await publish(board, "salt")
        assert ["milk", "bread", "salt"] == await other.heard(3)
        await until(lambda: _has(board, queue, 2))
        await one.pause(queue)
        await one.resume(queue)
        await one.resume(queue)

        async def all_seen() -> bool:
            return len(seen) == 3

        await until(all_seen)
    assert ["milk", "bread", "salt"] == seen
    with pytest.raises(ValueError, match=r"expected one of its queues, got 'nobody'"):
        await one.pause("nobody")
    with pytest.raises(ValueError, match=r"expected one of its queues, got 'nobody'"):
        await one.resume("nobody")


async def _has(board: Board, queue: str, count: int) -> bool:
    return await board.count(queue) == count


async def test_a_pause_is_kept_by_the_next_connection(board: Board) -> None:
    """A subscriber that was paused before the start gets nothing until it goes on."""
    heard, queue = Heard(), board.subscriber("greeter")
    async with consumer(board, heard):
        pass
    one = consumer(board, heard)
    await one.pause(queue)
    async with one:
        await publish(board, "milk")
        await asyncio.sleep(0.2)
        assert [] == heard.titles
        await one.resume(queue)
        assert ["milk"] == await heard.heard(1)


async def test_a_pause_is_bounded(board: Board) -> None:
    """A handler that doesn't end within `stop_within` is cancelled, and its message goes back."""
    started = asyncio.Event()

    async def hang(event: TaskCreated) -> None:
        started.set()
        await asyncio.Event().wait()

    queue = board.subscriber("greeter")
    async with consumer(board, hang, stop_within=timedelta(milliseconds=50)) as one:
        await publish(board, "milk")
        await started.wait()
        await one.pause(queue)
        await until(lambda: _has(board, queue, 1))
