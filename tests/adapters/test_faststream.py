"""Messages over the brokers of FastStream: a real JetStream, a real Redis, and FastStream's own Kafka in memory."""

import asyncio
import importlib
import logging
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit import (
    BusCannotPublish,
    Command,
    DomainError,
    DomainEvent,
    Downcaster,
    MessageCodec,
    MessageRefused,
    OutgoingMessage,
    Upcaster,
    Uuid,
    caused,
)

REASON = "needs the extra `faststream`, with its brokers for Kafka, NATS and Redis"
pytest.importorskip("faststream", reason=REASON)
for client in ("aiokafka", "nats", "redis"):
    pytest.importorskip(client, reason=REASON)

from faststream import AckPolicy, Context  # noqa: E402  (after the checks)
from faststream.exceptions import NackMessage, RejectMessage  # noqa: E402
from faststream.kafka import KafkaBroker, TestKafkaBroker  # noqa: E402
from faststream.message import StreamMessage  # noqa: E402
from faststream.nats import JStream, NatsBroker, PullSub  # noqa: E402
from faststream.redis import RedisBroker, StreamSub  # noqa: E402
from nats.js.api import ConsumerConfig  # noqa: E402
from sqlalchemy import MetaData  # noqa: E402

from domainkit.adapters.faststream import AnyBound, FastStreamPublisher, by_name, subscribe  # noqa: E402
from domainkit.adapters.sqlalchemy import (  # noqa: E402
    Outbox,
    Relay,
    RelayRound,
    make_async_engine,
    outbox_status,
    outbox_table,
    replay_sent,
)
from domainkit.delivery import DUPLICATE, UNROUTED, remarks  # noqa: E402

NATS_URL = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
SECRET = "hunter2"
SOON = timedelta(milliseconds=20)


@frozen
class TaskCreated(DomainEvent):
    title: str = SECRET


class TaskClosed(DomainEvent): ...


class Renamed(DomainEvent):
    """An event of version 2, under the name that the places consume."""

    class Config:
        name = "task.created"
        version = 2


@frozen
class CreateTask(Command):
    title: str = SECRET


class CloseTask(Command): ...


class Refused(DomainError): ...


CODEC = MessageCodec(TaskCreated, TaskClosed, CreateTask)


def outgoing(message: TaskCreated | TaskClosed | CreateTask, key: str | None = None) -> OutgoingMessage:
    """Return a message as it is published."""
    return OutgoingMessage.of(message, CODEC, key=key)


class Place(ABC):
    """A server, and names on it that no other test uses."""

    def __init__(self) -> None:
        self.name = f"test_{uuid4().hex}"
        self.broker = self.connected_to(self.url)

    url: str

    def destination(self, message: OutgoingMessage) -> str:
        return f"{self.name}.{by_name(message)}"

    @abstractmethod
    def connected_to(self, url: str) -> Any: ...

    @abstractmethod
    def publisher(self, broker: Any = None, **options: Any) -> FastStreamPublisher: ...

    @abstractmethod
    def subscribers(self) -> tuple[Any, ...]:
        """Return the subscribers of FastStream that together get each message until it is acknowledged."""

    @abstractmethod
    async def set_up(self) -> None: ...

    @abstractmethod
    async def clean_up(self) -> None: ...

    @abstractmethod
    async def left(self) -> int:
        """Return how many messages wait to be delivered, or to be delivered again."""

    async def reconnected(self, broker: Any) -> None:
        """Wait until a broker of FastStream has found its server again."""
        await broker.connect()

    async def consume(self, codec: MessageCodec, *handlers: AnyBound, pause: timedelta = SOON) -> None:
        """Have the handlers called, and begin."""
        for subscriber in self.subscribers():
            subscribe(subscriber, codec, *handlers, pause=pause)
        await self.broker.start()


class Nats(Place):
    url = NATS_URL

    def connected_to(self, url: str) -> NatsBroker:
        options: dict[str, Any] = {"reconnect_time_wait": 0.05, "max_reconnect_attempts": -1}  # seconds, and for ever
        return NatsBroker(url, log_level=logging.DEBUG, **options)

    def publisher(self, broker: Any = None, **options: Any) -> FastStreamPublisher:
        return FastStreamPublisher(
            broker or self.broker, **{"destination": self.destination, "stream": self.name, **options}
        )

    def subscribers(self) -> tuple[Any, ...]:
        return (
            self.broker.subscriber(
                f"{self.name}.task.created",
                stream=JStream(self.name, subjects=[f"{self.name}.>"], declare=False),
                durable="mailing",
                pull_sub=PullSub(timeout=0.2),
                config=ConsumerConfig(ack_wait=5),
                ack_policy=AckPolicy.MANUAL,
            ),
        )

    async def set_up(self) -> None:
        connection = await self.broker.connect()
        await connection.jetstream().add_stream(name=self.name, subjects=[f"{self.name}.>"])

    async def clean_up(self) -> None:
        connection = await self.broker.connect()
        await connection.jetstream().delete_stream(self.name)

    async def reconnected(self, broker: Any) -> None:
        connection = await broker.connect()  # the one that it has
        await until(lambda: connection.is_connected)

    async def left(self) -> int:
        connection = await self.broker.connect()
        (found,) = await connection.jetstream().consumers_info(self.name)
        return int((found.num_ack_pending or 0) + (found.num_pending or 0))


class Redis(Place):
    url = REDIS_URL

    def connected_to(self, url: str) -> RedisBroker:
        return RedisBroker(url, log_level=logging.DEBUG)

    def publisher(self, broker: Any = None, **options: Any) -> FastStreamPublisher:
        return FastStreamPublisher(broker or self.broker, **{"destination": self.destination, **options})

    def subscribers(self) -> tuple[Any, ...]:
        """Return one for what is new, and one for what was handed back: Redis before 8.4 doesn't give both at once."""
        options: dict[str, Any] = {"group": "mailing", "consumer": "one", "polling_interval": 20}
        return tuple(
            self.broker.subscriber(
                stream=StreamSub(f"{self.name}.task.created", **options, min_idle_time=idle),
                ack_policy=AckPolicy.MANUAL,
            )
            for idle in (None, 100)
        )

    async def set_up(self) -> None:
        await self.broker.connect()

    async def clean_up(self) -> None:
        connection = await self.broker.connect()
        for key in [key async for key in connection.scan_iter(f"{self.name}*")]:
            await connection.delete(key)

    async def left(self) -> int:
        connection = await self.broker.connect()
        (group,) = await connection.xinfo_groups(f"{self.name}.task.created")
        return int(group["pending"]) + int(group["lag"] or 0)


@pytest.fixture(params=[Nats, Redis])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Return a server that can be reached; whatever the test left on it is deleted."""
    address = urlsplit(request.param.url)
    try:
        _, writer = await asyncio.open_connection(address.hostname, address.port)
    except OSError:
        pytest.skip(f"no server for {request.param.__name__} at 127.0.0.1: see NATS_URL and REDIS_URL")
    writer.close()
    await writer.wait_closed()
    made: Place = request.param()
    await made.set_up()
    yield made
    for subscriber in made.broker.subscribers:
        await subscriber.stop()
    await made.clean_up()
    await made.broker.stop()


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for something that happens soon."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  (it looks at what others do, who set no event)
            await asyncio.sleep(0.01)


async def nothing_left(place: Place) -> None:
    """Wait until the broker has nothing to deliver any more."""
    async with asyncio.timeout(10):
        while await place.left():  # noqa: ASYNC110  (the broker is asked)
            await asyncio.sleep(0.02)


async def test_a_round_trip(place: Place) -> None:
    """A published message arrives equal, and is acknowledged."""
    seen: list[TaskCreated] = []
    await place.consume(CODEC, TaskCreated.handled_by(seen.append))
    event = TaskCreated().add_meta({"place": "B\u00e4ckerei \N{CAT}"})
    assert Success(None) == await place.publisher().publish(outgoing(event))
    await until(lambda: seen)
    await nothing_left(place)
    assert [event] == seen


async def test_bytes_and_headers(place: Place) -> None:
    """The body is the message's own, to the byte; headers say what it is, in ASCII, whatever the key holds."""
    seen: list[Any] = []
    subscriber, *_ = place.subscribers()

    async def look(body: Any, message: Annotated[Any, Context("message")]) -> None:
        seen.append(message)
        await message.ack()

    subscriber(look)
    await place.broker.start()
    message = outgoing(TaskCreated(), key="B\u00e4ume\r\n%20 x")
    await place.publisher().publish(message)
    await until(lambda: seen)
    assert message.body == seen[0].body
    assert {
        "content-type": "application/json",
        "message_id": str(message.id),
        "type": "task.created",
        "version": "1",
        "kind": "domain_event",
        "key": "B%C3%A4ume%0D%0A%2520%20x",
    }.items() <= seen[0].headers.items()


class Flaky:
    """A handler that fails as it is told, one way a call, and succeeds after that."""

    def __init__(self, *ways: Result[None, Refused] | Exception) -> None:
        self.ways = list(ways)
        self.seen: list[Uuid] = []

    async def __call__(self, event: TaskCreated) -> Result[None, Refused]:
        """Fail or succeed."""
        self.seen.append(event.header.id)
        if not self.ways:
            return Success(None)
        way = self.ways.pop(0)
        if isinstance(way, Exception):
            raise way
        return way


async def test_a_message_that_failed_comes_again(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A Failure or an exception of a handler hands the message back: it is delivered again until it is handled."""
    flaky = Flaky(Failure(Refused(additional_info={"message": SECRET})), ValueError(SECRET))
    await place.consume(CODEC, TaskCreated.handled_by(flaky))
    event = TaskCreated()
    with caplog.at_level(logging.DEBUG):
        await place.publisher().publish(outgoing(event))
        await until(lambda: len(flaky.seen) == 3)
        await nothing_left(place)
    await asyncio.sleep(0.3)
    assert [event.header.id] * 3 == flaky.seen
    assert "will be delivered again" in caplog.text
    assert SECRET not in caplog.text


async def test_what_cannot_be_decoded_is_rejected(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Bytes that are no message are rejected at once, whatever their headers say; those behind them are handled."""
    seen: list[TaskCreated] = []
    await place.consume(CODEC, TaskCreated.handled_by(seen.append))
    publisher, event = place.publisher(), TaskCreated()
    good = outgoing(event)
    unknown = good.body.replace(b'"task.created"', b'"task.lost"')
    with caplog.at_level(logging.DEBUG):
        for body in (b"", b"{" + SECRET.encode(), b"[" * 9_999, b"\xff\xfe", b"{}", unknown, good.body):
            message = OutgoingMessage(Uuid.v4(), good.info, body, good.key)
            assert Success(None) == await publisher.publish(message)
        await until(lambda: seen)
        await nothing_left(place)
    assert [event] == seen
    assert 6 == caplog.text.count("rejected: ")
    assert SECRET not in caplog.text


async def test_a_command_without_a_handler_is_rejected(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A command that nobody handles here is rejected, one that somebody does is handled; an event needs nobody."""
    seen: list[CreateTask] = []

    def create(command: CreateTask) -> Result[None, DomainError]:
        seen.append(command)
        return Success(None)

    codec, command = MessageCodec(CreateTask, CloseTask, TaskClosed), CreateTask()
    await place.consume(codec, CreateTask.handled_by(create))
    publisher = place.publisher(destination=lambda _: f"{place.name}.task.created")
    for message in (CloseTask(), TaskClosed(), command):
        assert Success(None) == await publisher.publish(OutgoingMessage.of(message, codec))
    await until(lambda: seen)
    await nothing_left(place)
    assert [command] == seen
    assert 1 == caplog.text.count("rejected: no handler for CloseTask")


async def test_causes(place: Place) -> None:
    """While a message is handled it is the cause of what is made, and its chosen meta flows on."""
    made: list[TaskClosed] = []

    async def close(event: TaskCreated) -> None:
        made.append(caused(TaskClosed(), ["tenant"]))

    await place.consume(CODEC, TaskCreated.handled_by(close))
    event = TaskCreated().add_meta({"tenant": "home"})
    await place.publisher().publish(outgoing(event))
    await until(lambda: made)
    assert "home" == made[0].header.meta["tenant"]
    assert str(event.header.id) == made[0].header.meta["causation_id"]


class Proxy:
    """A way to a server that can be cut, or hang."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._target = (address.hostname, address.port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._scheme, self._path = address.scheme, address.path

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return f"{self._scheme}://127.0.0.1:{self._port}{self._path}"

    def hang(self) -> None:
        self._flowing.clear()

    async def cut(self) -> None:
        self._flowing.set()
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()


@pytest.fixture
async def proxy(place: Place) -> AsyncIterator[tuple[Proxy, Any]]:
    """Return a way to the server, and a broker of FastStream that takes it."""
    made = Proxy(place.url)
    broker = place.connected_to(await made.start())
    await broker.connect()
    yield made, broker
    await made.cut()
    await made.start()
    await place.reconnected(broker)  # a client of NATS that looks for its server can't be stopped
    await broker.stop()
    await made.cut()


async def timed(publishing: Awaitable[Result[None, BusCannotPublish]]) -> tuple[BusCannotPublish, float]:
    """Return the error that publishing gives, and how many seconds it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    return (await publishing).failure(), loop.time() - began


@pytest.mark.parametrize("way", ["cut", "hang"])
async def test_a_server_that_is_away(
    place: Place, proxy: tuple[Proxy, Any], way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If the server is gone, or doesn't answer, publishing is a Failure in bounded time, without secrets."""
    there, broker = proxy
    publisher = place.publisher(broker, timeout=timedelta(seconds=0.5))
    assert Success(None) == await publisher.publish(outgoing(TaskCreated()))
    if way == "cut":
        await there.cut()
    else:
        there.hang()
    message = outgoing(TaskCreated())
    error, seconds = await timed(publisher.publish(message))
    assert BusCannotPublish is type(error)
    assert str(message.id) == error.uuid_value
    assert 3 > seconds
    assert SECRET not in f"{error.detail()}{caplog.text}"


async def test_a_server_that_comes_back(place: Place, proxy: tuple[Proxy, Any]) -> None:
    """After the server was gone for a while, the next messages are published again."""
    there, broker = proxy
    publisher = place.publisher(broker, timeout=timedelta(seconds=0.5))
    await there.cut()
    assert BusCannotPublish is type((await publisher.publish(outgoing(TaskCreated()))).failure())
    await there.start()
    async with asyncio.timeout(10):
        while isinstance(await publisher.publish(outgoing(TaskCreated())), Failure):  # noqa: ASYNC110  (it is tried again)
            await asyncio.sleep(0.02)
    assert Success(None) == await publisher.publish(outgoing(TaskCreated()))


async def test_a_broker_that_was_not_started(place: Place) -> None:
    """A broker that nobody has started is a Failure, and no exception."""
    publisher = place.publisher(place.connected_to(place.url))
    assert BusCannotPublish is type((await publisher.publish(outgoing(TaskCreated()))).failure())


async def test_a_closed_publisher(place: Place) -> None:
    """A closed publisher refuses; the broker stays open for others. Closing again does nothing."""
    publisher = place.publisher()
    await publisher.close()
    await publisher.close()
    answer = await publisher.publish(outgoing(TaskCreated()))
    assert {"message": "the publisher is closed"} == answer.failure().additional_info
    assert Success(None) == await place.publisher().publish(outgoing(TaskCreated()))


@pytest.mark.parametrize("place", [Nats], indirect=True)
async def test_what_jetstream_refuses(place: Place) -> None:
    """A message that no stream or another stream takes, or that is too large, is refused: the broker answered no."""
    lost = place.publisher(destination=lambda _: f"lost_{place.name}")
    other = place.publisher(stream=f"other_{place.name}")
    nowhere = place.publisher(stream=f"other_{place.name}", destination=lambda _: f"lost_{place.name}")
    message = outgoing(TaskCreated())
    command = outgoing(CreateTask())
    large = OutgoingMessage(message.id, message.info, b"x" * 2_000_000, message.key)
    for publisher, refused in ((lost, command), (other, message), (nowhere, message), (place.publisher(), large)):
        error = (await publisher.publish(refused)).failure()
        assert MessageRefused is type(error)
        assert str(refused.id) == error.uuid_value
    assert Success(None) == await place.publisher().publish(message)


@pytest.mark.parametrize("place", [Nats], indirect=True)
async def test_an_event_whose_subject_no_stream_has(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """It counts as published, with a remark and a warning once for each type, or is refused where none may be lost."""
    message = outgoing(TaskCreated())
    lost: dict[str, Any] = {"destination": lambda _: f"lost_{place.name}"}
    publisher = place.publisher(**lost)
    for _ in range(2):
        with remarks() as found:
            assert Success(None) == await publisher.publish(message)
        assert {UNROUTED} == found
    told = [record.getMessage() for record in caplog.records if record.name == "domainkit.faststream"]
    text = f"task.created counts as published without subscribers: no stream has the subject 'lost_{place.name}'"
    assert [text] == told
    assert Success(None) == await place.publisher(**lost, unrouted="all").publish(outgoing(CreateTask()))
    assert MessageRefused is type((await place.publisher(**lost, unrouted="none").publish(message)).failure())


class Late(NatsBroker):
    """A broker of FastStream whose stream has a subject only after a message for it found none."""

    stream, subjects = "", [""]

    async def publish(self, *given: Any, **options: Any) -> Any:
        try:
            return await super().publish(*given, **options)
        finally:
            connection = await self.connect()
            await connection.jetstream().update_stream(name=self.stream, subjects=self.subjects)


@pytest.mark.parametrize("place", [Nats], indirect=True)
async def test_no_answer_of_a_stream_that_has_the_subject_is_a_failure(place: Place) -> None:
    """JetStream answers as vaguely if a stream exists and can't take a message now: its messages aren't lost."""
    late, subject = Late(place.url), f"late_{place.name}"
    late.stream, late.subjects = place.name, [f"{place.name}.>", subject]
    await late.connect()
    publisher = place.publisher(late, destination=lambda _: subject)
    assert MessageRefused is type((await publisher.publish(outgoing(TaskCreated()))).failure())
    assert Success(None) == await publisher.publish(outgoing(TaskCreated()))
    await late.stop()


@pytest.mark.parametrize("place", [Nats], indirect=True)
async def test_jetstream_stores_a_message_once(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A message that is published again, since its answer was lost, is in the stream once, and is told of."""
    message = outgoing(TaskCreated())
    for expected in (set[str](), {DUPLICATE}):
        with remarks() as found:
            assert Success(None) == await place.publisher().publish(message)
        assert expected == found
    assert Success(None) == await place.publisher().publish(outgoing(TaskCreated()))
    info = await (await place.broker.connect()).jetstream().stream_info(place.name)
    assert 2 == info.state.messages
    (told,) = [record.getMessage() for record in caplog.records if record.name == "domainkit.faststream"]
    where = f"already in stream {place.name}, at {place.name}.task.created"
    assert f"task.created {message.id} was {where}: it isn't delivered again" == told


@pytest.mark.parametrize("place", [Nats], indirect=True)
async def test_one_message_to_two_subjects_of_a_stream(place: Place) -> None:
    """It arrives on both: duplicates are found per subject, of any characters."""
    message = outgoing(TaskCreated())
    for subject in ("one", "tw\u00f6"):
        publisher = place.publisher(destination=lambda _, name=subject: f"{place.name}.{name}")
        with remarks() as found:
            assert Success(None) == await publisher.publish(message)
        assert set() == found
    streams = (await place.broker.connect()).jetstream()
    for subject in ("one", "tw\u00f6"):
        assert message.body == (await streams.get_last_msg(place.name, f"{place.name}.{subject}")).data


@pytest.mark.parametrize("place", [Nats], indirect=True)
async def test_a_replay_within_the_duplicate_window(place: Place, tmp_path: Path) -> None:
    """A message that JetStream doesn't deliver again is a duplicate to the relay and its status, and never sent."""
    metadata = MetaData()
    table, engine = outbox_table(metadata), make_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'outbox.db'}")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(Outbox(table, CODEC).add, [event := TaskCreated()])
    relay = Relay(engine, table, place.publisher())
    assert RelayRound(claimed=1, sent=1) == await relay.run_once()
    assert 1 == await replay_sent(engine, table, message_id=event.header.id)
    assert RelayRound(claimed=1, duplicates=1) == await relay.run_once()
    status = await outbox_status(engine, table)
    assert (0, 1) == (status.sent, status.duplicates)
    await engine.dispose()


async def test_a_message_in_two_versions_is_handled_once(place: Place) -> None:
    """Both reach the broker, also one that drops what it has already; a consumer of both handles the newer."""
    seen: list[Renamed] = []
    codec = MessageCodec(Renamed, upcasters=[Upcaster(Renamed, 1, dict)], downcasters=[Downcaster(Renamed, 2, dict)])
    await place.consume(codec, Renamed.handled_by(seen.append))
    event = Renamed()
    for _ in range(2):
        assert [Success(None)] * 2 == [
            await place.publisher().publish(one) for one in OutgoingMessage.all_of(event, codec)
        ]
    await until(lambda: seen)
    await nothing_left(place)
    if isinstance(place, Nats):
        info = await (await place.broker.connect()).jetstream().stream_info(place.name)
        assert 2 == info.state.messages
    assert {event} == set(seen)


@pytest.mark.parametrize("place", [Redis], indirect=True)
async def test_what_redis_refuses(place: Place) -> None:
    """A name that something else has than a stream is refused."""
    connection = await place.broker.connect()
    await connection.set(f"{place.name}.task.created", "5")
    error = (await place.publisher().publish(outgoing(TaskCreated()))).failure()
    assert MessageRefused is type(error)


async def test_a_destination_that_fails(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A destination that can't be given is a Failure too: a publisher never raises."""

    def fail(message: OutgoingMessage) -> str:
        raise KeyError(SECRET)

    error = (await place.publisher(destination=fail).publish(outgoing(TaskCreated()))).failure()
    assert {"message": "the broker did not accept it (KeyError)"} == error.additional_info
    assert SECRET not in caplog.text


def kafka(**options: Any) -> KafkaBroker:
    """Return a broker of FastStream for Kafka, that is never asked to connect."""
    return KafkaBroker("127.0.0.1:9", **options)


async def test_kafka_round_trip() -> None:
    """A message published to Kafka arrives equal, with the key that chooses its partition, and is committed."""
    broker, seen = kafka(acks="all"), list[TaskCreated]()
    raw: list[Any] = []
    topic = broker.subscriber("task.created", group_id="mailing", ack_policy=AckPolicy.MANUAL)
    subscribe(topic, CODEC, TaskCreated.handled_by(seen.append))
    other = broker.subscriber("task.created", group_id="other", ack_policy=AckPolicy.MANUAL)

    async def look(body: Any, message: Annotated[Any, Context("message")]) -> None:
        raw.append(message)

    other(look)
    event = TaskCreated()
    async with TestKafkaBroker(broker, connect_only=False):
        message = outgoing(event, key="B\u00e4ume")
        assert Success(None) == await FastStreamPublisher(broker).publish(message)
    assert [event] == seen
    assert (message.body, "B\u00e4ume".encode()) == (raw[0].body, raw[0].raw_message.key)
    assert ("task.created", "B%C3%A4ume") == (raw[0].raw_message.topic, raw[0].headers["key"])


class Delivered(StreamMessage[object]):
    """A message that counts what is done to it."""

    def __init__(self, body: bytes) -> None:
        super().__init__(raw_message=object(), body=body)
        self.done: list[str] = []

    async def ack(self) -> None:
        self.done.append("ack")

    async def nack(self) -> None:
        self.done.append("nack")

    async def reject(self) -> None:
        self.done.append("reject")


class Registered:
    """A subscriber that only keeps what is registered."""

    def __init__(self, ack_policy: AckPolicy = AckPolicy.MANUAL) -> None:
        self.ack_policy = ack_policy
        self.functions: list[Any] = []

    def __call__(self, func: Any, *, decoder: Any) -> None:
        self.functions.append(func)


async def test_each_message_is_answered_once() -> None:
    """A message is acknowledged after its handlers, handed back where one fails, rejected where it can't be read."""
    registered, order = Registered(), list[str]()
    flaky = Flaky(Failure(Refused()))

    def note(event: TaskCreated) -> None:
        order.extend(message.done or ["nothing yet"])

    subscribe(registered, CODEC, TaskCreated.handled_by(flaky), TaskCreated.handled_by(note), pause=SOON)
    (consume,) = registered.functions
    body = outgoing(TaskCreated()).body
    for expected, raised, raw in (
        (["nack"], NackMessage, body),
        (["ack"], None, body),
        (["reject"], RejectMessage, b"{"),
    ):
        message = Delivered(raw)
        with pytest.raises(raised) if raised else nullcontext():
            await consume(message)
        assert expected == message.done
    assert ["nothing yet"] * 2 == order


async def test_the_id_of_a_stranger_is_logged_as_it_may_be(caplog: pytest.LogCaptureFixture) -> None:
    """Characters that a terminal would obey are escaped, and a long text is cut."""
    registered = Registered()
    subscribe(registered, CODEC)
    message = Delivered(b"")
    message.message_id = "7\n\x1b[2J" + "8" * 10_000
    with pytest.raises(RejectMessage):
        await registered.functions[0](message)
    said = caplog.records[-1].getMessage()
    assert said.startswith("message 7\\n\\x1b[2J888")
    assert len(said) < 400


async def test_a_form_that_is_left_to_another_is_acknowledged() -> None:
    """Of a message in two versions, the one that the codec reads in the other's place is not handled, and done with."""
    registered, seen = Registered(), list[Renamed]()
    codec = MessageCodec(Renamed, upcasters=[Upcaster(Renamed, 1, dict)], downcasters=[Downcaster(Renamed, 2, dict)])
    subscribe(registered, codec, Renamed.handled_by(seen.append))
    event = Renamed()
    for one in OutgoingMessage.all_of(event, codec):
        message = Delivered(one.body)
        await registered.functions[0](message)
        assert ["ack"] == message.done
    assert [event] == seen


async def test_a_message_that_failed_is_kept_for_a_pause() -> None:
    """A message that failed is handed back after the pause: one that fails for ever doesn't keep everybody busy."""
    registered = Registered()
    flaky = Flaky(Failure(Refused()))
    subscribe(registered, CODEC, TaskCreated.handled_by(flaky), pause=timedelta(seconds=0.2))
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(NackMessage):
        await registered.functions[0](Delivered(outgoing(TaskCreated()).body))
    assert 0.2 <= loop.time() - began < 2


@pytest.mark.parametrize("policy", [policy for policy in AckPolicy if policy is not AckPolicy.MANUAL])
def test_a_subscriber_that_acknowledges_by_itself_is_refused(policy: AckPolicy) -> None:
    """With another policy FastStream may acknowledge what was not handled."""
    with pytest.raises(ValueError, match=r"expected a subscriber with ack_policy=AckPolicy.MANUAL, got one without"):
        subscribe(Registered(policy), CODEC)


def test_handlers_are_checked() -> None:
    """A function not made by handled_by, and a second handler of a command, is refused."""

    def create(command: CreateTask) -> Result[None, DomainError]:
        return Success(None)

    with pytest.raises(TypeError, match="expected a subscriber made by handled_by"):
        subscribe(Registered(), CODEC, create)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError, match="CreateTask: expected one handler, got "):
        subscribe(Registered(), CODEC, CreateTask.handled_by(create), CreateTask.handled_by(create))


def test_a_broker_that_would_not_say_when_it_has_a_message() -> None:
    """NATS without a stream, and Kafka where one replica is enough, are refused; so is a stream for the others."""
    nats, redis = NatsBroker(NATS_URL), RedisBroker(REDIS_URL)
    for weak in (kafka(), kafka(acks=1), kafka(acks=0)):
        with pytest.raises(ValueError, match='expected a KafkaBroker with acks="all" or'):
            FastStreamPublisher(weak)
    for strong in (kafka(acks="all"), kafka(acks=-1), kafka(enable_idempotence=True)):
        FastStreamPublisher(strong)
    FastStreamPublisher(redis)
    for broker, stream in ((nats, None), (redis, "tasks"), (kafka(acks="all"), "tasks")):
        with pytest.raises(ValueError, match="expected `stream` for a NatsBroker only"):
            FastStreamPublisher(broker, stream=stream)


def test_other_brokers_are_refused() -> None:
    """A broker that this publisher doesn't know is refused when it is made."""
    with pytest.raises(TypeError, match="expected a KafkaBroker, NatsBroker or RedisBroker, got a Registered"):
        FastStreamPublisher(Registered())  # type: ignore[arg-type]  # wrong on purpose


def test_another_word_for_what_may_have_no_stream_is_refused() -> None:
    """Anything but the three words is a ValueError that names them."""
    wrong: Any = True
    with pytest.raises(
        ValueError, match=r"^FastStreamPublisher: expected 'events', 'all' or 'none' as `unrouted`, got True"
    ):
        FastStreamPublisher(NatsBroker(), stream="tasks", unrouted=wrong)


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_timeout_that_makes_no_sense(seconds: int) -> None:
    """A timeout must be above 0."""
    with pytest.raises(ValueError, match="expected a timedelta above 0 as `timeout`"):
        FastStreamPublisher(RedisBroker(REDIS_URL), timeout=timedelta(seconds=seconds))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without FastStream, importing the adapter says how to install it."""
    monkeypatch.setitem(sys.modules, "faststream", None)
    monkeypatch.delitem(sys.modules, "domainkit.adapters.faststream")
    with pytest.raises(ImportError, match=r"pip install 'domainkit-attrs\[faststream\]'"):
        importlib.import_module("domainkit.adapters.faststream")
