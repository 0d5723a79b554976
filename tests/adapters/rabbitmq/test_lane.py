"""Lanes: publishing below aiormq's own `basic_publish`, which relies on parts of it that aren't documented.

With another version of aiormq, these tests show if a direct lane still works. All run against a real broker.
"""

import asyncio
from datetime import timedelta
from signal import SIGSTOP

import pytest
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, DeliveryError, PublishError
from aiormq.channel import Channel
from attrs import evolve
from brokers import SETTLED, RabbitMq
from pamqp.commands import Basic
from rabbits import Board, outgoing
from returns.result import Success

from domainkit import MessageInfo, MessageRefused, OutgoingMessage
from domainkit.adapters.rabbitmq import RabbitMqPublisher, RabbitMqTopology, _lane
from domainkit.adapters.rabbitmq._lane import DirectLane, Lane, OrdinaryLane, lane_over

LATER = 60.0
"""Seconds in which a broker answers, however busy its machine is."""

LOST = CONNECTION_EXCEPTIONS


class Road:
    """A channel of its own with a lane over it, and the queue behind it."""

    def __init__(self, board: Board, channel: Channel, lane: Lane) -> None:
        self.board, self.channel, self.lane = board, channel, lane
        self.topology: RabbitMqTopology = board.topology

    async def publish(self, message: OutgoingMessage, within: float = LATER) -> None:
        """Publish a message by its own routing key."""
        end = asyncio.get_running_loop().time() + within
        await self.lane.publish(message, str(message.id), self.topology.routing_key(message.info), end)

    async def publish_all(self, *messages: OutgoingMessage) -> list[BaseException | None]:
        """Publish messages at once, and return their errors."""
        return await asyncio.gather(*map(self.publish, messages), return_exceptions=True)


async def road_of(board: Board, kind: type[DirectLane] | type[OrdinaryLane] = DirectLane) -> Road:
    """Return a lane of this class over a new channel."""
    opened = await board.connection.channel(publisher_confirms=True, on_return_raises=True)
    channel = await opened.get_underlay_channel()
    assert isinstance(channel, Channel)
    return Road(board, channel, kind(channel, board.topology.exchange, board.topology.service))


@pytest.fixture
async def road(board: Board) -> Road:
    """Give a direct lane."""
    await board.channel.declare_exchange(board.topology.exchange, "topic", durable=True)
    return await road_of(board)


def messages(count: int, size: int = 0) -> list[OutgoingMessage]:
    """Return messages, with bodies of this many bytes more than they need."""
    return [outgoing(f"{number}{'x' * size}") for number in range(count)]


class TestAnswers:
    """Answers of the broker: each ends its own message."""

    async def test_an_ack_is_for_one_message_or_for_many(self, road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each of a thousand messages at once ends with its confirm, though the broker confirms many in one frame."""
        multiple: list[bool] = []
        confirmed = road.channel._on_confirm_frame  # nothing public shows the frames

        async def seen(frame: Basic.Ack | Basic.Nack) -> None:
            multiple.append(frame.multiple)
            await confirmed(frame)

        monkeypatch.setattr(road.channel, "_on_confirm_frame", seen)
        queue = await road.board.queue(queue_type="classic")
        sent = messages(1000)
        assert [None] * 1000 == await road.publish_all(*sent)
        assert [one.body for one in sent] == [one.body for one in await road.board.taken(queue, 1000)]
        assert {} == road.channel.message_id_delivery_tag
        assert any(multiple)

    async def test_a_nack_is_for_its_message_alone(self, road: Road) -> None:
        """A full queue rejects some of the messages at once: these end with DeliveryError, the others are there."""
        queue = await road.board.queue(queue_type="classic", max_length=3, overflow="reject-publish")
        sent = messages(20)
        errors = await road.publish_all(*sent)
        accepted = [one.body for one, error in zip(sent, errors, strict=True) if error is None]
        assert {DeliveryError, type(None)} == set(map(type, errors))
        assert accepted == [one.body for one in await road.board.taken(queue, len(accepted))]

    async def test_a_return_is_for_its_message_alone(self, road: Road) -> None:
        """Messages that no queue is bound for end with PublishError, never as sent; those between them go through."""
        queue = await road.board.queue(f"{road.topology.exchange}.1.event.task_created")
        good, stray = messages(20), [evolve(one, info=MessageInfo("lost", 1, "command")) for one in messages(20)]
        errors = await road.publish_all(*(one for pair in zip(good, stray, strict=True) for one in pair))
        assert [type(None), PublishError] * 20 == [*map(type, errors)]
        assert [one.body for one in good] == [one.body for one in await road.board.taken(queue, 20)]

    async def test_an_answer_after_a_timeout_is_ignored(self, own_broker: RabbitMq) -> None:
        """A message whose time is over ends with TimeoutError; its late return or ack leaves the channel as it is."""
        async with Board(own_broker.url) as board:
            await board.queue(f"{board.topology.exchange}.1.event.task_created")
            road = await road_of(board)
            await road.publish(outgoing("first"))
            stray = evolve(outgoing("stray"), info=MessageInfo("lost", 1, "command"))
            with own_broker.hanging():
                calls = [road.publish(outgoing("late"), 0.1), road.publish(stray, 0.1), road.publish(stray, 0.3)]
                errors = await asyncio.gather(*calls, return_exceptions=True)
                assert [TimeoutError] * 3 == [*map(type, errors)]
            await road.publish(outgoing("next"))
            assert not road.channel.is_closed

    async def test_each_message_has_its_own_time(self, own_broker: RabbitMq) -> None:
        """One with less time ends earlier than one that was sent before it; the rest wait on."""
        async with Board(own_broker.url) as board:
            await board.queue()
            road = await road_of(board)
            await road.publish(outgoing("first"))
            with own_broker.hanging():
                waiting = asyncio.create_task(road.publish(outgoing("patient")))
                await asyncio.sleep(0)
                with pytest.raises(TimeoutError):
                    await road.publish(outgoing("hurried"), 0.1)
                assert not waiting.done()
            await waiting


class TestLoss:
    """Loss of a channel: each message that waits ends, and later ones end at once."""

    @staticmethod
    async def ended(road: Road, waiting: "list[asyncio.Task[None]]") -> None:
        """Check that all messages failed, and that the next one does."""
        async with asyncio.timeout(LATER):
            errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert [] == [error for error in errors if not isinstance(error, (*LOST, asyncio.CancelledError))]
        with pytest.raises(LOST):
            await road.publish(outgoing("next"))

    async def test_the_broker_closes_the_channel(self, road: Road) -> None:
        """A missing exchange is an error of the channel: its reason is that of all messages."""
        await road.board.channel.exchange_delete(road.topology.exchange)
        waiting = [asyncio.create_task(road.publish(one)) for one in messages(50)]
        await self.ended(road, waiting)

    @pytest.mark.parametrize("what", ["connection", "channel"])
    async def test_it_is_closed_while_messages_wait(self, own_broker: RabbitMq, what: str) -> None:
        """A closed connection or channel ends them, and doesn't wait for their answers."""
        async with Board(own_broker.url) as board:
            await board.queue()
            road = await road_of(board)
            await road.publish(outgoing("first"))
            with own_broker.hanging():
                waiting = [asyncio.create_task(road.publish(one)) for one in messages(50)]
                await asyncio.sleep(0.1)
                closing = asyncio.create_task(
                    board.connection.close() if what == "connection" else road.channel.close(timeout=1)
                )
                await asyncio.sleep(0.1)
            await asyncio.wait([closing])
            await self.ended(road, waiting)

    async def test_the_broker_is_killed_while_messages_wait(self, own_broker: RabbitMq) -> None:
        """No message waits for ever, and the publisher over such lanes works again after."""
        async with Board(own_broker.url) as board:
            await board.queue()
            road = await road_of(board)
            await road.publish(outgoing("first"))
            await asyncio.sleep(SETTLED)
            own_broker.signal(SIGSTOP)
            waiting = [asyncio.create_task(road.publish(one)) for one in messages(50)]
            await asyncio.sleep(0.1)
            own_broker.kill()
            await self.ended(road, waiting)
            await asyncio.to_thread(own_broker.start)

    async def test_a_publisher_opens_another(self, board: Board) -> None:
        """After a channel is lost, the next message goes over a new lane."""
        await board.queue()
        async with RabbitMqPublisher(board.url, board.topology) as publisher:
            assert Success(None) == await publisher.publish(outgoing("a"))
            lane = publisher._lane
            assert isinstance(lane, DirectLane)
            await lane.channel.close()
            assert Success(None) == await publisher.publish(outgoing("b"))
            assert lane is not publisher._lane


class TestOctets:
    """A message looks the same over both lanes."""

    @pytest.mark.parametrize("size", [0, 1, 131_063, 131_064, 131_065, 400_000])
    async def test_a_body_of_any_size_arrives(self, road: Road, size: int) -> None:
        """A body that is larger than a frame is split; an empty one has no frame."""
        queue = await road.board.queue(queue_type="classic")
        sent = [evolve(outgoing("a"), body=b"x" * size), outgoing("after it")]
        assert [None, None] == await road.publish_all(*sent)
        assert [one.body for one in sent] == [one.body for one in await road.board.taken(queue, 2)]

    async def test_many_large_messages_fill_no_buffer_without_end(self, road: Road) -> None:
        """The octets of messages wait in the lane, until the connection took those before them."""
        queue = await road.board.queue(queue_type="classic")
        sent = messages(100, 100_000)
        assert [None] * 100 == await road.publish_all(*sent)
        assert [one.body for one in sent] == [one.body for one in await road.board.taken(queue, 100)]

    @pytest.mark.parametrize("key", ["a list", "", "\u00df" * 127, "\u00df" * 128])
    async def test_a_consumer_sees_no_difference(self, road: Road, key: str) -> None:
        """Properties, delivery mode and routing are those of aiormq's own way, byte for byte."""
        queue = await road.board.queue(queue_type="classic")
        message = evolve(outgoing("milk"), key=key)
        ordinary = await road_of(road.board, OrdinaryLane)
        found = []
        for one in (road, ordinary):
            await one.publish(message)
            found.append(await road.channel.basic_get(queue, no_ack=True))
        headers = [one.header for one in found if one.header is not None]
        direct, usual = (header.properties for header in headers)
        assert direct.timestamp is not None
        assert usual.timestamp is not None
        assert timedelta(minutes=1) > usual.timestamp - direct.timestamp >= timedelta(0)
        direct.timestamp = usual.timestamp
        assert usual.marshal() == direct.marshal()
        assert found[0].body == found[1].body
        assert found[0].routing_key == found[1].routing_key

    async def test_one_lane_is_as_good_as_the_other(self, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
        """Over another version of aiormq, a publisher has the ordinary lane, with the same promises."""
        monkeypatch.setattr(_lane, "TESTED", ())
        await board.queue(f"{board.topology.exchange}.1.event.task_created")
        async with RabbitMqPublisher(board.url, board.topology) as publisher:
            assert Success(None) == await publisher.publish(outgoing("a"))
            assert isinstance(publisher._lane, OrdinaryLane)
            stray = await publisher.publish(evolve(outgoing("b"), info=MessageInfo("lost", 1, "command")))
            assert MessageRefused is type(stray.failure())


async def test_the_installed_version_is_tested(board: Board) -> None:
    """This very version of aiormq has direct lanes; without a part that they need, it hasn't."""
    opened = await board.connection.channel(publisher_confirms=True, on_return_raises=True)
    channel = await opened.get_underlay_channel()
    assert isinstance(lane_over(channel, "exchange", "service"), DirectLane)
    del vars(channel)["delivery_tag"]
    assert isinstance(lane_over(channel, "exchange", "service"), OrdinaryLane)


async def test_a_second_answer_is_ignored() -> None:
    """The first answer counts: aiormq would close the channel because of an error here."""
    confirm = _lane._Confirm(0)
    confirm.cancel()
    confirm.set_result(None)
    confirm.set_exception(TimeoutError())
    assert confirm.cancelled()
