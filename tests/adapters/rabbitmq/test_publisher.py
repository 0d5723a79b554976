"""RabbitMqPublisher: against a broker, and without one."""

import asyncio
import importlib
import logging
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from brokers import MAX_MESSAGE_SIZE, SETTLED, RabbitMq, free_port, rabbitmq_of_its_own
from pamqp.common import FieldValue
from rabbits import Board, outgoing, until
from returns.result import Failure, Success

from domainkit import (
    BusCannotPublish,
    DomainEvent,
    Downcaster,
    MessageCodec,
    MessageInfo,
    MessageRefused,
    OutgoingMessage,
)
from domainkit.adapters.rabbitmq import RabbitMqDomainEventBus, RabbitMqPublisher, RabbitMqTopology, _lane
from domainkit.delivery import UNROUTED, Unrouted, remarks
from domainkit.testing import AsyncMessagePublisherContract

SHORT = timedelta(seconds=1)
TOPOLOGY = RabbitMqTopology("test", service="test")


class Moved(DomainEvent):
    class Config:
        version = 2


async def test_a_message_arrives_with_what_a_reader_needs(board: Board) -> None:
    """The exact bytes arrive, persistent, with id, name, key, service and time as AMQP's own, routed by the name."""
    queue = await board.queue(f"{board.topology.exchange}.1.event.task_created")
    message = evolve(outgoing("milk"), key="a list")
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        assert Success(None) == await publisher.publish(message)
    (found,) = await board.taken(queue, 1)
    assert message.body == found.body
    assert (str(message.id), "task.created", "a list") == (found.message_id, found.type, found.correlation_id)
    assert ("application/json", "utf-8", 2) == (found.content_type, found.content_encoding, found.delivery_mode)
    assert board.topology.service == found.app_id
    assert found.timestamp is not None
    assert timedelta(minutes=1) > datetime.now(UTC) - found.timestamp.replace(tzinfo=UTC)


async def test_a_message_has_no_headers(board: Board) -> None:
    """There is no table of headers, not even an empty one: petisco doesn't write its own if it finds one."""
    queue = await board.queue(queue_type="classic")  # a quorum queue adds a header of its own
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        assert Success(None) == await publisher.publish(outgoing("milk"))
    found = await (await board.channel.get_underlay_channel()).basic_get(queue)
    assert found.header is not None
    assert found.header.properties.headers is None  # aio-pika's own messages show {} for both


@pytest.mark.parametrize(("key", "found"), [("ß" * 127 + "x", "ß" * 127 + "x"), ("ß" * 128, None)])
async def test_a_key_that_amqp_has_no_room_for_is_left_out(board: Board, key: str, found: str | None) -> None:
    """A key of 255 bytes is the correlation id; with a longer one the message arrives without it."""
    queue = await board.queue()
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        assert Success(None) == await publisher.publish(evolve(outgoing("milk"), key=key))
    assert [found] == [one.correlation_id for one in await board.taken(queue, 1)]


@pytest.fixture
def spreading_broker(tmp_path: Path) -> Iterator[RabbitMq]:
    """Give a broker that knows exchanges of the type x-consistent-hash: a plugin that RabbitMQ comes with."""
    with rabbitmq_of_its_own(tmp_path, "rabbitmq_consistent_hash_exchange") as broker:
        yield broker


async def test_an_exchange_can_keep_the_messages_of_a_key_in_one_queue(spreading_broker: RabbitMq) -> None:
    """One of the type x-consistent-hash spreads messages by their keys; those whose key is too long go to one queue."""
    keys = [*(f"list {number}" for number in range(20)), *("x" * number for number in range(256, 276))]
    async with Board(spreading_broker.url) as board, RabbitMqPublisher(board.url, board.topology) as publisher:
        queues = [await board.queue("nothing") for _ in range(3)]
        arguments: dict[str, FieldValue] = {"hash-property": "correlation_id"}
        spreading = await board.channel.declare_exchange(
            f"{board.topology.exchange}.spread", "x-consistent-hash", auto_delete=True, arguments=arguments
        )
        for name in queues:
            await (await board.channel.get_queue(name)).bind(spreading, "1")
        await spreading.bind(board.topology.exchange, "#")
        for message in (evolve(outgoing(key), key=key) for key in keys * 2):
            assert Success(None) == await publisher.publish(message)
        found = [{one.correlation_id for one in await board.taken(name, await board.count(name))} for name in queues]
    assert {None, *keys[:20]} == set().union(*found)
    assert 21 == sum(map(len, found))
    assert 1 < sum(map(bool, found))


async def test_messages_that_are_published_at_once_keep_their_order(board: Board) -> None:
    """The broker gets messages in the order of the calls, also where nobody waits for another's confirm."""
    queue = await board.queue()
    messages = [outgoing(str(number)) for number in range(200)]
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        assert [Success(None)] * 200 == await asyncio.gather(*map(publisher.publish, messages))
    assert [one.body for one in messages] == [one.body for one in await board.taken(queue, 200)]


def _confirmations(publisher: RabbitMqPublisher) -> list[asyncio.Future[object]]:
    """Return what aiormq waits for: nothing public shows it."""
    assert publisher._lane is not None
    return list(vars(publisher._lane.channel)["confirmations"].values())


async def all_on_their_way(publisher: RabbitMqPublisher, count: int) -> bool:
    """Tell whether so many messages wait for their confirms."""
    return count == sum(not one.done() for one in _confirmations(publisher))


async def test_confirms_are_not_awaited_one_after_the_other(own_broker: RabbitMq) -> None:
    """While the broker hangs, all that was published at once is on its way to it, and waits for its confirm."""
    async with Board(own_broker.url) as board:
        await board.queue()
        async with RabbitMqPublisher(board.url, board.topology) as publisher:
            assert Success(None) == await publisher.publish(outgoing("first"))
            with own_broker.hanging():
                waiting = [asyncio.create_task(publisher.publish(outgoing(str(number)))) for number in range(50)]
                await until(partial(all_on_their_way, publisher, 50), within=5)
            assert [Success(None)] * 50 == await asyncio.gather(*waiting)


async def test_a_message_that_no_queue_is_bound_for_is_refused(board: Board) -> None:
    """A command is MessageRefused with its id, at once, and those beside it go through."""
    queue = await board.queue(f"{board.topology.exchange}.1.event.task_created")
    unbound = evolve(outgoing("bread"), info=MessageInfo("nobody.cares", 1, "command"))
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        good, bad, also = await asyncio.gather(*map(publisher.publish, (outgoing("a"), unbound, outgoing("b"))))
    assert (Success(None), Success(None)) == (good, also)
    assert (MessageRefused, str(unbound.id)) == (type(bad.failure()), bad.failure().uuid_value)
    assert 2 == await board.count(queue)


async def test_an_event_that_nobody_subscribed_to_counts_as_published(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a Success with a remark for the relay, and a warning once for each type; others have neither."""
    await board.queue(f"{board.topology.exchange}.1.event.task_created")
    unheard = [evolve(outgoing("a"), info=MessageInfo(name, 1, "domain_event")) for name in ("b", "c", "b")]
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        with remarks() as none:
            assert Success(None) == await publisher.publish(outgoing("milk"))
        for one in unheard:
            with remarks() as found:
                assert Success(None) == await publisher.publish(one)
            assert (set(), {UNROUTED}) == (none, found)
    told = [record.getMessage() for record in caplog.records if record.name == "domainkit.rabbitmq"]
    name = board.topology.exchange
    assert [
        f"{one} counts as published without subscribers: no queue is bound for '{name}.1.event.{one}' at {name}"
        for one in ("b", "c")
    ] == told


@pytest.mark.parametrize(
    ("unrouted", "expected"), [("events", [True, False, False]), ("all", [True] * 3), ("none", [False] * 3)]
)
async def test_which_messages_may_have_no_queue(board: Board, unrouted: Unrouted, expected: list[bool]) -> None:
    """Without a queue, events, commands and others count as published or are refused, as the publisher is told."""
    kinds = ("domain_event", "command", "message")
    messages = [evolve(outgoing("a"), info=MessageInfo("nobody.cares", 1, kind)) for kind in kinds]
    async with RabbitMqPublisher(board.url, board.topology, unrouted=unrouted) as publisher:
        answers = [await publisher.publish(message) for message in messages]
    assert expected == [isinstance(answer, Success) for answer in answers]
    assert {MessageRefused} >= {type(answer.failure()) for answer in answers if isinstance(answer, Failure)}


def test_another_word_for_what_may_have_no_queue_is_refused() -> None:
    """Anything but the three words is a ValueError when the publisher is made, and says which they are."""
    wrong: Any = "commands"
    text = "RabbitMqPublisher: expected 'events', 'all' or 'none' as `unrouted`, got 'commands'; use one"
    with pytest.raises(ValueError, match=f"^{text}$"):
        RabbitMqPublisher("amqp://127.0.0.1/", TOPOLOGY, unrouted=wrong)


async def test_a_version_that_nobody_waits_for_is_no_failure(board: Board) -> None:
    """Of a message in two versions, the one that a queue is bound for arrives; alone it would be refused."""
    queue = await board.queue(f"{board.topology.exchange}.1.event.moved")
    codec = MessageCodec(Moved, downcasters=[Downcaster(Moved, 2, dict)])
    new, old = OutgoingMessage.all_of(Moved(), codec)
    async with RabbitMqPublisher(board.url, board.topology, unrouted="none") as publisher:
        assert [Success(None)] * 2 == await asyncio.gather(*map(publisher.publish, (new, old)))
        alone = await publisher.publish(OutgoingMessage.of(Moved(), codec))
    assert isinstance(alone.failure(), MessageRefused)
    (found,) = await board.taken(queue, 1)
    assert old.body == found.body


async def test_a_bus_publishes_each_version(board: Board) -> None:
    """The bus over it sends what the downcasters of its codec make, one after the other."""
    queue = await board.queue()
    codec = MessageCodec(Moved, downcasters=[Downcaster(Moved, 2, dict)])
    event = Moved()
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        assert Success(None) == await RabbitMqDomainEventBus(codec, publisher).publish(event)
    assert [body for _, body in codec.encode_all(event)] == [one.body for one in await board.taken(queue, 2)]


async def test_a_message_that_is_published_twice_at_once_is_refused_twice(board: Board) -> None:
    """A refusal names no more than the message's id: both calls get theirs."""
    message = outgoing("milk")
    async with RabbitMqPublisher(board.url, board.topology, unrouted="none") as publisher:
        results = await asyncio.gather(*(publisher.publish(message) for _ in range(5)))
    assert [MessageRefused] * 5 == [type(result.failure()) for result in results]


async def test_a_message_that_the_broker_says_no_to_is_refused(board: Board) -> None:
    """A queue that is full and takes no more makes it MessageRefused."""
    await board.queue(max_length=1, overflow="reject-publish")
    async with RabbitMqPublisher(board.url, board.topology, timeout=timedelta(seconds=2)) as publisher:
        results = [await publisher.publish(outgoing(str(number))) for number in range(4)]
    refused = [result.failure() for result in results if isinstance(result, Failure)]
    assert refused
    assert {MessageRefused} == {type(error) for error in refused}
    assert "full" in refused[0].detail()


def _sized(size: int) -> OutgoingMessage:
    """Return a message whose body has so many bytes."""
    return evolve(outgoing("large"), body=b"x" * size)


@pytest.mark.parametrize("tested", [_lane.TESTED, ()], ids=["direct", "ordinary"])
async def test_a_message_above_the_limit_of_the_broker_is_refused(
    own_broker: RabbitMq, tested: tuple[tuple[int, int], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is MessageRefused with its size and the limit; all beside it arrive, also those with as many bytes as that."""
    monkeypatch.setattr(_lane, "TESTED", tested)
    good = [*(outgoing(str(number)) for number in range(40)), _sized(MAX_MESSAGE_SIZE)]
    large = [_sized(MAX_MESSAGE_SIZE + 1) for _ in range(2)]
    async with Board(own_broker.url) as board, RabbitMqPublisher(board.url, board.topology) as publisher:
        queue = await board.queue()
        messages = [*good[:20], large[0], *good[20:], large[1]]
        results = await asyncio.gather(*map(publisher.publish, messages))
        answers = dict(zip((one.id for one in messages), results, strict=True))
        assert [Success(None)] * len(good) == [answers[one.id] for one in good]
        errors = [answers[one.id].failure() for one in large]
        found = {one.body for one in await board.taken(queue, len(good))}
    assert {one.body for one in good} == found
    assert [MessageRefused] * 2 == [type(error) for error in errors]
    text = f"its body has {MAX_MESSAGE_SIZE + 1} bytes, above the broker's max_message_size of {MAX_MESSAGE_SIZE}"
    assert all(text in error.detail() for error in errors)


async def test_a_known_limit_closes_no_channel_again(own_broker: RabbitMq) -> None:
    """After one too large message the next is refused before it is sent, until the publisher connects anew."""
    async with Board(own_broker.url) as board, RabbitMqPublisher(board.url, board.topology) as publisher:
        await board.queue()
        assert isinstance((await publisher.publish(_sized(MAX_MESSAGE_SIZE + 1))).failure(), MessageRefused)
        assert Success(None) == await publisher.publish(outgoing("a"))
        lane = publisher._lane
        assert isinstance((await publisher.publish(_sized(MAX_MESSAGE_SIZE + 2))).failure(), MessageRefused)
        assert Success(None) == await publisher.publish(outgoing("b"))
        assert lane is publisher._lane
        await board.channel.exchange_delete(board.topology.exchange)
        assert BusCannotPublish is type((await publisher.publish(outgoing("c"))).failure())
        await board.queue()
        assert Success(None) == await publisher.publish(outgoing("d"))
        again = publisher._lane
        assert isinstance((await publisher.publish(_sized(MAX_MESSAGE_SIZE + 1))).failure(), MessageRefused)
        assert Success(None) == await publisher.publish(outgoing("e"))
        assert again is not publisher._lane


async def test_a_name_that_is_too_long_to_be_routed_is_refused(board: Board) -> None:
    """AMQP has room for 255 bytes: the message is refused before it leaves, and the channel stays."""
    long = evolve(outgoing("milk"), info=MessageInfo("x" * 300, 1, "domain_event"))
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        error = (await publisher.publish(long)).failure()
    assert isinstance(error, MessageRefused)
    assert "too long" in error.detail()


async def test_without_a_broker_a_message_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """It is BusCannotPublish and no refusal, and says where the broker should be, without the password and the body."""
    caplog.set_level(logging.DEBUG, logger="domainkit")
    port = free_port()
    async with RabbitMqPublisher(f"amqp://ada:hush-hush@127.0.0.1:{port}/", TOPOLOGY) as publisher:
        error = (await publisher.publish(outgoing("secret-title"))).failure()
    assert BusCannotPublish is type(error)
    assert f"127.0.0.1:{port}" in error.detail()
    told = f"{error.detail()} {caplog.text} {publisher!r}"
    assert "hush" not in told
    assert "secret-title" not in told


async def test_messages_that_wait_for_a_connection_share_what_comes_of_it(caplog: pytest.LogCaptureFixture) -> None:
    """Many at once make one try to connect, and one line of a log; the next message tries anew, without a line."""
    caplog.set_level(logging.DEBUG, logger="domainkit")
    connections: list[asyncio.StreamWriter] = []

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with RabbitMqPublisher(f"amqp://127.0.0.1:{port}/", TOPOLOGY) as publisher:
            results = await asyncio.gather(*(publisher.publish(outgoing(str(number))) for number in range(50)))
            assert 1 == len(connections)
            results.append(await publisher.publish(outgoing("again")))
            assert 2 == len(connections)
    assert {BusCannotPublish} == {type(result.failure()) for result in results}
    told = [record.levelno for record in caplog.records if record.name == "domainkit.rabbitmq"]
    assert (1, 51) == (told.count(logging.WARNING), told.count(logging.DEBUG))


async def test_a_wrong_password_is_a_failure(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    """It is BusCannotPublish, and the password stands nowhere."""
    address = board.url.replace("guest:guest", "guest:hush-hush")
    async with RabbitMqPublisher(address, board.topology) as publisher:
        error = (await publisher.publish(outgoing("milk"))).failure()
    assert BusCannotPublish is type(error)
    assert "hush" not in f"{error.detail()} {caplog.text}"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Give a port where something listens and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


async def test_a_broker_that_says_nothing_is_a_failure_in_time(silent_port: int) -> None:
    """It is BusCannotPublish within the timeout, for many at once too."""
    start = time.monotonic()
    async with RabbitMqPublisher(f"amqp://127.0.0.1:{silent_port}/", TOPOLOGY, timeout=SHORT) as publisher:
        results = await asyncio.gather(*(publisher.publish(outgoing(str(number))) for number in range(20)))
    assert {BusCannotPublish} == {type(result.failure()) for result in results}
    assert 15 > time.monotonic() - start  # and not 20 times the timeout


async def test_an_exchange_that_is_another_is_a_failure_that_names_it(board: Board) -> None:
    """An exchange of that name and another type is left as it is, and the error says so."""
    await board.channel.declare_exchange(board.topology.exchange, "direct", durable=True)
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        error = (await publisher.publish(outgoing("milk"))).failure()
    assert BusCannotPublish is type(error)
    assert f"'{board.topology.exchange}' exists" in error.detail()


async def test_a_channel_that_the_broker_closed_is_opened_again(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    """If the exchange was deleted, one message fails, and the next one declares it anew; a log reports both."""
    await board.queue()
    async with RabbitMqPublisher(board.url, board.topology) as publisher:
        assert Success(None) == await publisher.publish(outgoing("a"))
        await board.channel.exchange_delete(board.topology.exchange)
        error = (await publisher.publish(outgoing("b"))).failure()
        assert BusCannotPublish is type(error)
        await board.queue()
        assert Success(None) == await publisher.publish(outgoing("c"))
    away, back = (record.getMessage() for record in caplog.records if record.name == "domainkit.rabbitmq")
    assert away.startswith(f"no message is published to {board.topology.exchange}: ")
    assert back.endswith(f"messages are published to {board.topology.exchange} again")


async def test_a_closed_publisher_refuses(board: Board) -> None:
    """After close a message is a Failure that says so, and is not published; closing again is nothing."""
    queue = await board.queue()
    publisher = RabbitMqPublisher(board.url, board.topology)
    assert Success(None) == await publisher.publish(outgoing("a"))
    await publisher.close()
    await publisher.close()
    error = (await publisher.publish(outgoing("b"))).failure()
    assert BusCannotPublish is type(error)
    assert "closed" in error.detail()
    assert 1 == await board.count(queue)


async def test_messages_on_their_way_end_when_the_publisher_is_closed(own_broker: RabbitMq) -> None:
    """Close ends them as Failures, and doesn't wait for a broker that hangs."""
    async with Board(own_broker.url) as board:
        await board.queue()
        publisher = RabbitMqPublisher(board.url, board.topology, timeout=timedelta(seconds=3))
        assert Success(None) == await publisher.publish(outgoing("a"))
        with own_broker.hanging():
            start = time.monotonic()
            waiting = [asyncio.create_task(publisher.publish(outgoing(str(number)))) for number in range(20)]
            await asyncio.sleep(0.2)
            await publisher.close()
            assert {BusCannotPublish} == {type(result.failure()) for result in await asyncio.gather(*waiting)}
            assert 30 > time.monotonic() - start


async def test_a_cancelled_call_passes_through(own_broker: RabbitMq) -> None:
    """Cancelling the task that publishes is no Failure but a CancelledError, and the next message goes through."""
    async with Board(own_broker.url) as board:
        await board.queue()
        async with RabbitMqPublisher(board.url, board.topology) as publisher:
            assert Success(None) == await publisher.publish(outgoing("a"))
            with own_broker.hanging():
                task = asyncio.create_task(publisher.publish(outgoing("b")))
                await asyncio.sleep(0.2)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert Success(None) == await publisher.publish(outgoing("c"))


async def test_a_broker_that_hangs_is_a_failure_in_time_and_works_again_after(own_broker: RabbitMq) -> None:
    """A frozen broker makes messages fail within the timeout; once it goes on, the same publisher does too."""
    async with Board(own_broker.url) as board:
        await board.queue()
        async with RabbitMqPublisher(board.url, board.topology, timeout=SHORT) as publisher:
            assert Success(None) == await publisher.publish(outgoing("a"))
            with own_broker.hanging():
                start = time.monotonic()
                for title in ("b", "c"):
                    error = (await publisher.publish(outgoing(title))).failure()
                    assert BusCannotPublish is type(error)
                    assert "no confirm within 1 seconds" in error.detail()
                assert 30 > time.monotonic() - start

            async def works() -> bool:
                return await publisher.publish(outgoing("d")) == Success(None)

            await until(works)


async def test_a_message_without_confirm_ends_no_connection_that_has_others(own_broker: RabbitMq) -> None:
    """If others are confirmed meanwhile, one that isn't fails alone: its connection stays."""
    async with Board(own_broker.url) as board:
        await board.queue()
        async with RabbitMqPublisher(board.url, board.topology, timeout=SHORT) as publisher:
            assert Success(None) == await publisher.publish(outgoing("a"))
            lane = publisher._lane
            publisher._last_confirm += 60  # as if the broker had confirmed others all the while
            with own_broker.hanging():
                error = (await publisher.publish(outgoing("b"))).failure()
            assert "no confirm" in error.detail()
            assert Success(None) == await publisher.publish(outgoing("c"))
            assert lane is publisher._lane


async def test_closing_ends_what_connects(silent_port: int) -> None:
    """A publisher that is closed while it connects leaves no connection behind."""
    publisher = RabbitMqPublisher(f"amqp://127.0.0.1:{silent_port}/", TOPOLOGY, timeout=SHORT)
    waiting = asyncio.create_task(publisher.publish(outgoing("a")))
    await asyncio.sleep(0.1)
    await publisher.close()
    assert "closed" in (await waiting).failure().detail()


@pytest.mark.parametrize(
    "names", [("", "svc"), ("exchange", "a" * 201), ("a" * 115, "svc"), ("exchange#", "svc"), ("ex", "\u00fc")]
)
def test_a_name_that_amqp_does_not_have_is_refused(names: tuple[str, str]) -> None:
    """It is a ValueError that says which, and what a name may have."""
    with pytest.raises(ValueError, match=r"RabbitMqTopology: (exchange|service) .* ASCII letters"):
        RabbitMqTopology(names[0], service=names[1])


async def test_what_was_confirmed_outlives_the_broker(own_broker: RabbitMq) -> None:
    """Killed amid a stream of messages, the broker has all that were a Success when it is back; the rest are Failures.

    The same publisher works again, and every call ends in time.
    """
    async with Board(own_broker.url) as board:
        queue = await board.queue()
        async with RabbitMqPublisher(board.url, board.topology, timeout=timedelta(seconds=5)) as publisher:
            confirmed: list[bytes] = []

            async def stream(count: int) -> list[type[BusCannotPublish]]:
                failed: list[type[BusCannotPublish]] = []
                for number in range(count):
                    message = outgoing(str(number))
                    result = await publisher.publish(message)
                    if isinstance(result, Failure):
                        failed.append(type(result.failure()))
                    else:
                        confirmed.append(message.body)
                return failed

            await asyncio.sleep(SETTLED)
            streams = [asyncio.create_task(stream(100)) for _ in range(20)]

            async def amid() -> bool:
                return len(confirmed) >= 300

            await until(amid)
            own_broker.kill()
            failed = [kind for found in await asyncio.gather(*streams) for kind in found]
            assert {BusCannotPublish} == set(failed)
            await asyncio.to_thread(own_broker.start)

            async def works() -> bool:
                return await publisher.publish(outgoing("last")) == Success(None)

            await until(works)
        async with Board(own_broker.url) as again:
            found = {one.body for one in await again.taken(queue, len(set(confirmed)) + 1)}
            assert set() == set(confirmed) - found


@pytest.mark.parametrize("url", ["redis://ada:hush@broker/", "no url", "amqp://", "amqp://ada:hush@[broker/"])
def test_a_url_of_no_broker_is_refused(url: str) -> None:
    """It is a ValueError that shows how one looks, and not the one that was given."""
    with pytest.raises(ValueError, match="amqp://user:password@host") as caught:
        RabbitMqPublisher(url, TOPOLOGY)
    assert "hush" not in str(caught.value)


def test_a_timeout_of_nothing_is_refused() -> None:
    """It is a ValueError that names the option."""
    with pytest.raises(ValueError, match="timeout"):
        RabbitMqPublisher("amqp://broker/", TOPOLOGY, timeout=timedelta(0))


def test_the_text_of_a_publisher_has_no_password() -> None:
    """It says where the broker is, with the port that goes without saying."""
    assert "RabbitMqPublisher(broker:5671, test)" == repr(RabbitMqPublisher("amqps://ada:hush@broker/", TOPOLOGY))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without aio-pika, importing the adapter says how to install it."""
    monkeypatch.setitem(sys.modules, "aio_pika", None)
    monkeypatch.delitem(sys.modules, "domainkit.adapters.rabbitmq")
    with pytest.raises(ImportError, match=r"pip install 'domainkit-attrs\[rabbitmq\]'"):
        importlib.import_module("domainkit.adapters.rabbitmq")


class TestContract(AsyncMessagePublisherContract[RabbitMqPublisher]):
    """The publisher keeps the promises of its port."""

    @pytest.fixture(autouse=True)
    def _board(self, url: str) -> Iterator[None]:
        self._used = Board(url)
        yield
        asyncio.run(self._gone())

    async def _gone(self) -> None:
        async with self._used:
            pass

    async def make_publisher(self) -> RabbitMqPublisher:
        await self._used.__aenter__()
        self._queue = await self._used.queue()
        await self._used.connection.close()
        return RabbitMqPublisher(self._used.url, self._used.topology)

    async def received(self, publisher: RabbitMqPublisher, count: int) -> Sequence[bytes]:
        async with Board(self._used.url) as other:
            return [one.body for one in await other.taken(self._queue, count)]
