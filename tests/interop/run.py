"""A run: petisco and this library on one exchange of a broker, each in processes of its own, and what came of it."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch
from uuid import uuid4

import pika
import pytest
from attrs import asdict, frozen
from durability.processes import Process
from interop import facts, ours
from interop.book import Book
from pika.adapters.blocking_connection import BlockingChannel
from sqlalchemy import func, select
from yarl import URL

from domainkit.adapters.rabbitmq import dead_letter_queue
from domainkit.adapters.sqlalchemy import make_engine

HERE = Path(__file__).parent
PATIENCE = 60.0
"""Seconds without any progress after which a run is over, whatever is missing."""

PUBLISHERS = ("petisco publisher", "domainkit publisher")


@frozen
class Plan:
    """A run to do.

    Args:
        name: what the table calls it.
        messages: how many each publisher sends.
        limit: how many retries a message has.
        pause: seconds between two messages of a publisher: so that there is something to kill it in.
        store: whether petisco's store subscribes too: its queue has one name for the whole broker.
        exact: whether each call is accounted for; not where processes are killed, and messages come again.
    """

    name: str
    messages: int
    limit: int = 2
    pause: float = 0.0
    store: bool = False
    exact: bool = True

    @property
    def numbers(self) -> int:
        """How many times all the messages are sent."""
        return max(1, self.messages // len(facts.NAMES))


@frozen
class Count:
    """A row of the table: what one side made of the messages of one source."""

    run: str
    source: str
    side: str
    placed: int
    """Messages that the broker had."""
    due: int
    """Messages times the subscribers to each."""
    handled: int
    retried: int
    """Calls after the first."""
    dead: int
    lost: int
    """Neither handled nor among the dead letters; or published, by the word of the publisher, and never on the broker."""
    twice: int
    """Effects beyond the first."""
    differ: int
    """Messages that were read otherwise than they were meant, or lie otherwise among the dead letters."""
    off: int
    """Those with another number of calls or dead letters than is due."""

    @property
    def is_right(self) -> bool:
        """Tell whether nothing is missing, doubled or changed, and something was done."""
        return self.placed > 0 and (0, 0, 0, 0) == (self.lost, self.twice, self.differ, self.off)


@frozen
class Placed:
    """A message as the broker had it."""

    name: str
    number: int
    source: str
    version: int
    body: bytes

    @classmethod
    def of(cls, body: bytes) -> tuple[str, Self]:
        """Return its id, and what it is."""
        data = json.loads(body)["data"]
        source, number = data["meta"]["source"], data["attributes"]["number"]
        return data["id"], cls(data["type"], number, source, data["version"], body)

    def read_by(self, side: str) -> str:
        """Return what a side should read, as one text: this library lifts old versions."""
        data = json.loads(self.body)["data"]
        if side == facts.DOMAINKIT and self.name == "order.due":
            data |= {"version": 2, "attributes": facts.attributes(self.name, self.number, 2)}
        return canonical(data)

    def is_as_meant(self) -> bool:
        """Tell whether its publisher wrote what it was given."""
        data = json.loads(self.body)["data"]
        meant = facts.attributes(self.name, self.number, self.version), facts.meta(self.source, self.number)
        return canonical(meant) == canonical((data["attributes"], data["meta"]))


def canonical(value: object) -> str:
    """Return builtins as one text, which tells 1 from 1.0 and 0.0 from -0.0."""
    return json.dumps(value, sort_keys=True)


class Run:
    """The processes of a run, the book that they write, and the names that they have on the broker."""

    def __init__(self, plan: Plan, url: str, folder: Path, stack: ExitStack) -> None:
        self.plan, self.url = plan, url
        self.service = f"interop-{uuid4().hex[:12]}"
        self.exchange = f"{facts.ORGANIZATION}.{self.service}"
        self.revived: Counter[str] = Counter()
        self.processes: dict[str, Process] = {}
        self._folder, self._stack = folder, stack
        self._audit = f"{self.exchange}.audit"
        self._file = folder / "book.sqlite"
        self.book = Book(self._file)
        stack.callback(self.book.close)
        self._database = f"sqlite:///{folder / 'outbox.sqlite'}"
        self._engine = make_engine(self._database)
        stack.callback(self._engine.dispose)
        ours.METADATA.create_all(self._engine)

    @property
    def subscribers(self) -> Iterator[tuple[str, facts.Subscriber]]:
        """All subscribers, each with its side."""
        for side in facts.SIDES:
            for one in facts.SUBSCRIBERS:
                yield side, one
        if self.plan.store:
            yield facts.PETISCO, facts.STORE

    # the broker

    @contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        """Give a channel of a connection of its own."""
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            yield connection.channel()
        finally:
            connection.close()

    def declare(self) -> None:
        """Declare the exchange, and a queue that gets each message as soon as the broker has it."""
        with self.channel() as channel:
            channel.exchange_declare(self.exchange, "topic", durable=True)
            channel.queue_declare(self._audit, durable=True)
            for kind in ("event", "command"):
                channel.queue_bind(self._audit, self.exchange, f"{self.exchange}.*.{kind}.*")

    def delete(self) -> None:
        """Delete all that the run has declared."""
        with self.channel() as channel:
            for name in (self._audit, *self._queues(), *self._dead_letter_queues().values()):
                channel.queue_delete(name)
            names = ours.topology(self.exchange, 0)
            for name in (self.exchange, f"retry.{self.exchange}", f"dead_letter.{self.exchange}"):
                channel.exchange_delete(name)
            channel.exchange_delete(names.dead_letter_exchange)

    def _of(self, side: str, one: facts.Subscriber) -> list[str]:
        """Return the queues of a subscriber: petisco has one for each version."""
        if one is facts.STORE:
            return ["store"]
        if side == facts.DOMAINKIT:
            names = ours.topology(self.exchange, 0)
            if facts.KINDS[one.of] == "event":
                return [names.subscriber_queue(one.name)]
            return [f"{self.exchange}.command.{one.of.replace('.', '_')}"]
        versions = (1, 2) if one.of == "order.due" else (1,)
        name = f"{facts.KINDS[one.of]}.{one.of.replace('.', '_')}.{one.name}"
        return [f"{self.exchange}.{version}.{name}" for version in versions]

    def _dead_letter_queues(self) -> dict[tuple[str, str, str], str]:
        """Return the queues of dead letters, by side, subscriber and queue."""
        return {
            (side, one.name, queue): dead_letter_queue(queue) if side == facts.DOMAINKIT else f"dead_letter.{queue}"
            for side, one in self.subscribers
            for queue in self._of(side, one)
        }

    def _queues(self) -> list[str]:
        """Return the queues where nothing may be left."""
        queues = [(side, queue) for side, one in self.subscribers for queue in self._of(side, one)]
        return [queue for _, queue in queues] + [f"retry.{queue}" for side, queue in queues if side == facts.PETISCO]

    def left(self) -> int:
        """Return how many messages wait to be handled."""
        with self.channel() as channel:
            return sum(channel.queue_declare(name, passive=True).method.message_count for name in self._queues())

    def taken(self, queue: str) -> list[bytes]:
        """Take all messages off a queue."""
        found: list[bytes] = []
        with self.channel() as channel:
            while (body := channel.basic_get(queue, auto_ack=True)[2]) is not None:
                found.append(body)
        return found

    # the processes

    def start(self) -> None:
        """Start the consumers, and the publishers once all queues are there."""
        self.declare()
        plan, file = self.plan, str(self._file)
        store = "store" if plan.store else "no store"
        self._add("petisco consumer", HERE / "theirs.py", "consume", file, self.service, plan.limit, store)
        self._add("domainkit consumer", HERE / "ours.py", "consume", file, self.url, self.exchange, plan.limit)
        self.wait(lambda: self.book.is_ready(*facts.SIDES))
        several = (plan.numbers, plan.pause)
        self._add("petisco publisher", HERE / "theirs.py", "publish", file, self.service, *several)
        database = self._database.replace("sqlite", "sqlite+aiosqlite", 1)
        self._add("domainkit publisher", HERE / "ours.py", "publish", file, self.url, self.exchange, database, *several)
        options = ("--database", self._database, "--broker", self.url, "--exchange", self.exchange)
        self._add("relay", "-m", "domainkit", "relay", "--poll", "0.1", "--lease", "2", *options)

    def _add(self, name: str, *arguments: object) -> None:
        process = Process(name, [str(one) for one in arguments], self._folder / f"{name}.log")
        self.processes[name] = self._stack.enter_context(process)

    def wait(self, reached: Callable[[], bool]) -> bool:
        """Wait until it is so, and tell whether it is; a process that ended in between is started again."""
        seen, since = -1, time.monotonic()
        while not reached():
            self.revived.update(name for name, process in self.processes.items() if process.revive())
            if (now := self.calls() + self.taken_by_publishers()) != seen:
                seen, since = now, time.monotonic()
            if time.monotonic() > since + PATIENCE:
                return False
            time.sleep(0.05)
        return True

    def calls(self) -> int:
        """Return how many calls of handlers there were."""
        return int(self.book.rows("SELECT count(*) FROM calls")[0][0])

    def effects(self) -> int:
        """Return how many effects there are."""
        return int(self.book.rows("SELECT count(*) FROM effects")[0][0])

    def taken_by_publishers(self) -> int:
        """Return how many messages were published, by the word of the publishers."""
        return int(self.book.rows("SELECT count(*) FROM published")[0][0])

    def has_published(self, part: float) -> bool:
        """Tell whether the publishers have published this part of what they have to."""
        return self.taken_by_publishers() >= part * len(PUBLISHERS) * len(facts.NAMES) * self.plan.numbers

    def published(self) -> bool:
        """Tell whether all is published, and nothing is in the outbox."""
        if any(self.processes[name].exit_status != 0 for name in PUBLISHERS):
            return False
        unsent = select(func.count()).select_from(ours.OUTBOX_TABLE).where(ours.OUTBOX_TABLE.c.sent_at.is_(None))
        with self._engine.connect() as connection:
            return connection.execute(unsent).scalar_one() == 0

    def end(self) -> list[Count]:
        """Wait for the end, and count. petisco's consumer is left to be killed: its `stop` sleeps for seconds."""
        self.wait(self.published)
        placed = dict(map(Placed.of, self.taken(self._audit)))
        expected = self._expected(placed)
        self.wait(lambda: self._settled(expected))
        for name in ("relay", "domainkit consumer"):
            assert self.processes[name].stop(60) == 0, f"{name} did not stop well\n{self.processes[name].output()}"
        counts = Counts(self, placed, expected)
        return [counts.of(source, side) for source in facts.SOURCES for side in facts.SIDES]

    def _expected(self, placed: Mapping[str, Placed]) -> dict[tuple[str, str], dict[str, int | None]]:
        """Return who is due to get which messages, and how many times each fails before it is handled."""
        return {
            (side, one.name): {
                message_id: one.failures(message.number)
                for message_id, message in placed.items()
                if one.of in {message.name, ""}
            }
            for side, one in self.subscribers
        }

    def _settled(self, expected: Mapping[tuple[str, str], Mapping[str, int | None]]) -> bool:
        """Tell whether all is handled or dead, and nothing has happened for a while."""
        fates = [failures for found in expected.values() for failures in found.values()]
        before = self.calls()
        if self.effects() < sum(failures is not None for failures in fates):
            return False
        with self.channel() as channel:
            queues = self._dead_letter_queues().values()
            dead = sum(channel.queue_declare(name, passive=True).method.message_count for name in queues)
        if dead < fates.count(None) or self.left():
            return False
        time.sleep(1)
        return before == self.calls()


class Counts:
    """What came of a run, to be compared with what was due."""

    def __init__(
        self, run: Run, placed: Mapping[str, Placed], expected: Mapping[tuple[str, str], Mapping[str, int | None]]
    ) -> None:
        self._run, self._placed, self._expected = run, placed, expected
        self._dead: dict[tuple[str, str], list[bytes]] = {key: [] for key in expected}
        for (side, name, _), queue in run._dead_letter_queues().items():
            self._dead[side, name] += run.taken(queue)
        self._left = run.left()

    def of(self, source: str, side: str) -> Count:
        """Return what a side made of the messages of a source."""
        ids = {message_id for message_id, message in self._placed.items() if message.source == source}
        published = self._run.book.rows("SELECT message_id FROM published WHERE source = ?", source)
        total = Counter(
            placed=len(ids),
            lost=len({message_id for (message_id,) in published} - ids),
            differ=sum(not self._placed[message_id].is_as_meant() for message_id in ids),
            off=self._left,
        )
        for (of, name), failures in self._expected.items():
            if of == side:
                total += self._of(side, name, {one: failures[one] for one in ids & failures.keys()})
        names = ("placed", "due", "handled", "retried", "dead", "lost", "twice", "differ", "off")
        return Count(self._run.plan.name, source, side, **{name: total[name] for name in names})

    def _of(self, side: str, name: str, failures: Mapping[str, int | None]) -> Counter[str]:
        query = "SELECT message_id, content FROM calls WHERE side = ? AND subscriber = ?"
        contents = [row for row in self._run.book.rows(query, side, name) if row[0] in failures]
        query = "SELECT message_id FROM effects WHERE side = ? AND subscriber = ?"
        effects = Counter(row[0] for row in self._run.book.rows(query, side, name) if row[0] in failures)
        letters = [(Placed.of(body)[0], body) for body in self._dead[side, name]]
        dead = Counter(message_id for message_id, _ in letters if message_id in failures)
        calls = Counter(message_id for message_id, _ in contents)
        due = {one: count for one, count in failures.items()}
        return Counter(
            due=len(due),
            handled=len(effects),
            retried=calls.total() - len(calls),
            dead=len(dead),
            lost=len(due.keys() - effects.keys() - dead.keys()),
            twice=effects.total() - len(effects),
            differ=self._changed(side, contents) + sum(self._placed[one].body != body for one, body in letters if one in due),
            off=sum(self._is_off(count, effects[one], dead[one], calls[one]) for one, count in due.items()),
        )

    def _changed(self, side: str, contents: list[tuple[Any, ...]]) -> int:
        """Return how many calls had another message than the broker had."""
        return sum(canonical(json.loads(content)) != self._placed[one].read_by(side) for one, content in contents)

    def _is_off(self, failures: int | None, effects: int, dead: int, calls: int) -> bool:
        """Tell whether a message ended where it should not, or was handled another number of times than is due."""
        plan = self._run.plan
        if plan.exact:
            expected = (0, 1, plan.limit + 1) if failures is None else (1, 0, failures + 1)
            return expected != (effects, dead, calls)
        return (failures is None) != (effects == 0) or (failures is None) != (dead > 0)


def petisco_environment(url: str) -> dict[str, str]:
    """Return where petisco looks for a broker: it knows nothing of virtual hosts."""
    address = URL(url)
    return {
        "RABBITMQ_HOST": address.host or "",
        "RABBITMQ_PORT": str(address.port or 5672),
        "RABBITMQ_USER": address.user or "guest",
        "RABBITMQ_PASSWORD": address.password or "guest",
        "PETISCO_RABBITMQ_WAIT_SECONDS_TO_RECONNECT_CONSUMER": "1",
    }


@contextmanager
def running(plan: Plan, url: str, folder: Path) -> Iterator[Run]:
    """Give a run whose processes have begun; all of it is gone after the `with` block."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, petisco_environment(url)))
        run = Run(plan, url, folder, stack)
        stack.callback(run.delete)
        run.start()
        yield run


def table(counts: list[dict[str, Any]]) -> list[str]:
    """Return the rows of a table, as lines."""
    rows = [[str(value) for value in ("run", "from", "to", *list(counts[0])[3:])]] if counts else []
    rows += [[str(value) for value in one.values()] for one in counts]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) if place < 3 else cell.rjust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def judge(run: Run, counts: list[Count], record: Callable[[str, object], None]) -> None:
    """Hand the counts over to the table, and fail where one is off."""
    for one in counts:
        record("interop", asdict(one))
    wrong = [one for one in counts if not one.is_right]
    if wrong:
        logs = "\n\n".join(f"{name}:\n{process.output()}" for name, process in run.processes.items())
        pytest.fail("\n".join([*map(str, wrong), logs]))
