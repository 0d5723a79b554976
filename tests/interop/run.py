"""A run: petisco and this library on one exchange, each in processes of its own, and what came of it."""

import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

import pytest
from attrs import asdict, frozen
from durability.processes import Process
from interop import facts, ours
from interop.book import Book
from interop.counts import Count, Fates, Outcome, Placed, fates_of
from interop.place import Place
from sqlalchemy import func, select
from yarl import URL

from domainkit.adapters.sqlalchemy import make_engine

Record: TypeAlias = Callable[[str, object], None]
"""Pytest's `record_property`: it hands a count over to the table."""

HERE = Path(__file__).parent
MESSAGES = int(os.environ.get("INTEROP_MESSAGES", "40"))
PAUSE = 2.5 / MESSAGES
"""Seconds between two messages: a publisher takes some seconds in all, so that there is something to kill it in."""
PUBLISHERS = ("petisco publisher", "domainkit publisher")
PATIENCE = 60.0
"""Seconds without any progress after which a run is over, whatever is missing."""
ANY = sys.maxsize
"""The limit of a publisher that has an end: its consumers may be any number of messages behind."""


@frozen
class Plan:
    """A run to do.

    Args:
        name: what the table calls it.
        messages: how many each publisher sends.
        limit: how many retries a message has.
        pause: seconds between two messages of a publisher: so that there is something to kill it in.
        store: whether petisco's store subscribes too: its queue has one name for the whole broker.
        taken_over: whether this library consumes the queues of petisco too, beside petisco's consumer.
        exact: whether each call is accounted for; not where a message may come again without having failed.
    """

    name: str
    messages: int
    limit: int = 2
    pause: float = 0.0
    store: bool = False
    taken_over: bool = False
    exact: bool = True

    @property
    def numbers(self) -> int:
        """The number of times that all messages are sent."""
        return max(1, self.messages // len(facts.NAMES))


class Run:
    """The processes of a run, and the book that they write."""

    def __init__(self, plan: Plan, url: str, folder: Path, stack: ExitStack) -> None:
        self.plan = plan
        self.place = Place(url, store=plan.store, taken_over=plan.taken_over)
        self.processes: dict[str, Process] = {}
        self.revived: Counter[str] = Counter()
        """The processes that ended, and were started again as a service manager does it."""
        self._stack, self._folder = stack, folder
        self._book = Book(folder / "book.sqlite")
        self._database = f"sqlite:///{folder / 'outbox.sqlite'}"
        self._engine = make_engine(self._database)
        stack.callback(self._book.close)
        stack.callback(self._engine.dispose)

    def start(self) -> None:
        """Start the consumers, and the publishers once all queues are there."""
        plan, place, book = self.plan, self.place, self._folder / "book.sqlite"
        ours.METADATA.create_all(self._engine)
        self._stack.callback(place.delete)
        place.declare()
        store = "store" if plan.store else "no store"
        self._add("petisco consumer", HERE / "theirs.py", "consume", book, place.service, plan.limit, store)
        self._add("domainkit consumer", HERE / "ours.py", "consume", book, place.exchange, place.url, plan.limit)
        self.wait(lambda: self._book.is_ready("petisco consume", "domainkit consume"))
        if plan.taken_over:
            self._add("successor", HERE / "ours.py", "take over", book, place.exchange, place.url, plan.limit)
        self._add(
            "petisco publisher", HERE / "theirs.py", "publish", book, place.service, plan.numbers, plan.pause, ANY
        )
        self.publish()

    def publish(self) -> None:
        """Start the publisher of this library, half of whose messages go by the outbox, and the relay."""
        plan, place = self.plan, self.place
        where = (self._folder / "book.sqlite", place.exchange, place.url)
        database = self._database.replace("sqlite", "sqlite+aiosqlite", 1)
        self._add("domainkit publisher", HERE / "ours.py", "publish", *where, database, plan.numbers, plan.pause)
        options = ("--database", self._database, "--broker", place.url, "--exchange", place.exchange)
        lease = 60 if plan.exact else 2  # what takes longer is sent again; what a killed relay had waits for so long
        self._add("relay", "-m", "domainkit", "relay", "--poll", "0.1", "--lease", lease, *options)

    def _add(self, name: str, *arguments: object) -> None:
        process = Process(name, [str(one) for one in arguments], self._folder / f"{name}.log")
        self.processes[name] = self._stack.enter_context(process)

    def wait(self, reached: Callable[[], bool], within: float = math.inf) -> bool:
        """Wait until it is so, nothing goes on any more, or some seconds are over; tell whether it is so."""
        seen, since = -1, time.monotonic()
        end = since + within
        while not (is_so := reached()) and time.monotonic() < min(end, since + PATIENCE):
            self.revived.update(name for name, process in self.processes.items() if process.revive())
            if (now := self._book.count("calls") + self._book.count("published")) != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.05)
        return is_so

    def logs(self) -> str:
        """Return the end of what each process has printed."""
        return "\n\n".join(
            f"{name}, started again {self.revived[name]} times:\n{one.output()}" for name, one in self.processes.items()
        )

    def dismiss(self, name: str) -> None:
        """Let a process stop for good."""
        process = self.processes.pop(name)
        assert process.stop(60) == 0, f"{name} did not stop well\n{process.output()}"

    def has_published(self, part: float) -> bool:
        """Tell whether the publishers have published this part of what they have to."""
        return self._book.count("published") >= part * len(PUBLISHERS) * len(facts.NAMES) * self.plan.numbers

    def end(self) -> list[Count]:
        """Wait for the end, and count. The consumer of petisco is left to be killed: its `stop` sleeps for seconds."""
        self.wait(self._all_is_published)
        placed = dict(map(Placed.of, self.place.taken(self.place.audit)))
        fates = fates_of(placed, self.place.subscribers)
        self.wait(lambda: self._is_settled(fates))
        for name in self.processes.keys() & {"relay", "domainkit consumer", "successor"}:
            assert self.processes[name].stop(60) == 0, f"{name} did not stop well\n{self.processes[name].output()}"
        outcomes = {(side, one.name): self._outcome(side, one) for side, one in self.place.subscribers}
        return [self._count(source, side, placed, fates, outcomes) for source in facts.SOURCES for side in facts.SIDES]

    def _all_is_published(self) -> bool:
        """Tell whether the publishers have ended, and nothing is in the outbox."""
        unsent = select(func.count()).select_from(ours.OUTBOX_TABLE).where(ours.OUTBOX_TABLE.c.sent_at.is_(None))
        with self._engine.connect() as connection:
            waiting = connection.execute(unsent).scalar_one()
        return waiting == 0 and all(
            self.processes[name].exit_status == 0 for name in self.processes.keys() & set(PUBLISHERS)
        )

    def _is_settled(self, fates: Fates) -> bool:
        """Tell whether all is handled or dead, and nothing has happened for a while."""
        due = [failures for found in fates.values() for failures in found.values()]
        calls = self._book.count("calls")
        if self._book.count("effects") + due.count(None) < len(due):
            return False
        if self.place.waiting() or self.place.dead() < due.count(None):
            return False
        time.sleep(1)
        return calls == self._book.count("calls")

    def _outcome(self, side: str, one: facts.Subscriber) -> Outcome:
        calls, effects = self._book.calls(side, one.name), self._book.effects(side, one.name)
        queues = self.place.dead_letter_queues(side, one)
        return Outcome(side, calls, effects, [body for queue in queues for body in self.place.taken(queue)])

    def _count(
        self,
        source: str,
        side: str,
        placed: dict[str, Placed],
        fates: Fates,
        outcomes: dict[tuple[str, str], Outcome],
    ) -> Count:
        """Return what a side made of the messages of a source."""
        ids = {message_id for message_id, message in placed.items() if message.source == source}
        limit = self.plan.limit if self.plan.exact else None
        total = Counter(
            placed=len(ids),
            lost=len(set(self._book.published_by(source)) - ids),
            differ=sum(not placed[message_id].is_as_meant() for message_id in ids),
            off=self.place.waiting(),
        )
        for key, outcome in outcomes.items():
            if outcome.side == side:
                due = {message_id: failures for message_id, failures in fates[key].items() if message_id in ids}
                total += outcome.counted(placed, due, limit)
                total["off"] += outcome.strangers(placed)
        names = ("placed", "due", "handled", "retried", "dead", "lost", "twice", "differ", "off")
        return Count(self.plan.name, source, side, **{name: total[name] for name in names})


def environment(url: str) -> dict[str, str]:
    """Return where petisco looks for a broker; it knows nothing of virtual hosts."""
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
    with patch.dict(os.environ, environment(url)), ExitStack() as stack:
        run = Run(plan, url, folder, stack)
        run.start()
        yield run


def judge(run: Run, counts: list[Count], record: Record) -> None:
    """Hand the counts of a run over to the table, and fail where one is off."""
    for one in counts:
        record("interop", asdict(one))
    wrong = [str(one) for one in counts if not one.is_right]
    if wrong:
        pytest.fail("\n\n".join([*wrong, run.logs()]))
