"""A service of petisco moves while messages flow, in the order and with the code of the page about it."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from checkers import DOCS, module_of
from durability.processes import Process
from interop import facts, moving, ours
from interop.counts import Count, Fates, Outcome, Placed, fates_of
from interop.run import HERE, MESSAGES, Plan, Record, Run, environment, judge
from sizes import CI, FULL
from sqlalchemy import func, select

T = TypeVar("T")

PAGE = DOCS / "how-to" / "moving-from-petisco.md"
LIMIT = 5
STEPS = 8
PAUSE = 1 / 16
"""Seconds between two messages of a publisher, however many there are."""
BEHIND = 16
"""Messages that the consumers may be behind before petisco's publisher, which has no end, waits for them."""
LONGEST = 120.0
"""Seconds that a step may take: as messages come and go all the time, nothing else would end it."""
OF_PETISCO = "petisco publisher"


def page(exchange: str) -> Any:
    """Return what the page defines, for an exchange of the test's own."""
    found = SimpleNamespace()
    exec(module_of(PAGE), vars(found))
    found.engine.dispose()
    found.topology = ours.topology(exchange, LIMIT)
    return found


class Move(Run):
    """The service, release by release: each process has the name of its step."""

    def __init__(self, url: str, folder: Path, stack: ExitStack, name: str = "moved") -> None:
        plan = Plan(name, MESSAGES, limit=LIMIT, pause=PAUSE, taken_over=True, exact=False)
        super().__init__(plan, url, folder, stack)
        self.page = page(self.place.exchange)
        self._leaving: list[Process] = []
        self._starts: Counter[str] = Counter()
        self._buried: dict[str, list[bytes]] = {one.name: [] for one in facts.SUBSCRIBERS}

    @property
    def old_queues(self) -> list[str]:
        """The queues of petisco's subscribers."""
        return [queue for one in facts.SUBSCRIBERS for queue in facts.petisco_queues(self.place.exchange, one)]

    def start(self) -> None:
        """Start the service as it is with petisco, which goes on publishing until it is told to stop."""
        ours.METADATA.create_all(self._engine)
        moving.METADATA.create_all(self._engine)
        self._stack.callback(self.place.delete)
        self.place.declare()
        self.release("petisco")
        book = self._folder / "book.sqlite"
        self._add(OF_PETISCO, HERE / "theirs.py", "publish", book, self.place.service, 10**6, self.plan.pause, BEHIND)

    def release(self, role: str) -> None:
        """Start the consumer of a step, and wait until it has its queues; one that was here before is here again."""
        self._starts[role] += 1
        place = self.place
        where = (self._folder / "book.sqlite", place.exchange, place.url, self._database, LIMIT)
        self._add(role, HERE / "moving.py", role, *where)
        self._wait_for(role)

    def kill(self, role: str) -> None:
        """Kill a process, and start it again."""
        self._starts[role] += 1
        self.processes[role].kill()

    def reach(self, reached: Callable[[], bool], what: str) -> None:
        """Wait until it is so; fail where it never is, and say what the processes have printed."""
        assert self.wait(reached, LONGEST), f"it is never so that {what}\n\n{self.logs()}"

    def _wait_for(self, role: str) -> None:
        """Wait until a consumer has its queues; one that has just begun knows no way to stop well."""
        self.reach(lambda: self._book.times_ready(role) >= self._starts[role], f"{role} has its queues")

    def dismiss(self, name: str) -> None:
        """Let a consumer stop for good, once it has its queues."""
        self._wait_for(name)
        super().dismiss(name)

    def leave(self, role: str) -> None:
        """Let a consumer stop, and go on: that of petisco takes seconds after it has consumed its last message."""
        self._wait_for(role)
        process = self.processes.pop(role)
        process.ask_to_stop()
        self._leaving.append(process)

    def flow(self) -> None:
        """Let some more messages be published, and some be handled."""
        published, calls = self._book.count("published"), self._book.count("calls")
        some = max(4, MESSAGES // STEPS)
        self.reach(
            lambda: self._book.count("published") >= published + some and self._book.count("calls") > calls,
            f"{some} more messages are published, and some are handled",
        )

    def on_the_broker(self, doing: Callable[..., Awaitable[T]], *arguments: str) -> T:
        """Do what the page says, on a channel."""

        async def do() -> T:
            async with asyncio.timeout(60), await aio_pika.connect(self.place.url) as connection:
                return await doing(await connection.channel(), *arguments)

        return asyncio.run(do())

    def unbind(self) -> None:
        """Unbind the queues of petisco, and wait until they are drained."""
        for queue in self.old_queues:
            self.on_the_broker(self.page.unbind, queue)
        self.flow()
        self.reach(lambda: self._waiting(self.old_queues) == 0, "the old queues are drained")

    def drain(self) -> None:
        """Consume the old queues once more, as the page says: a message in hand is not counted, and may be back."""
        while self._waiting(self.old_queues):
            self.release("both queues")
            self.reach(lambda: self._waiting(self.old_queues) == 0, "the old queues are drained")
            self.dismiss("both queues")

    def bind_again(self) -> None:
        """Go back: bind the queues of petisco again; unbind the new ones, which nobody binds now, and drain them."""
        for queue in self.old_queues:
            self.on_the_broker(self.page.bind_again, queue)
        self.release("back")
        self.dismiss("both queues")
        for one in facts.SUBSCRIBERS:
            key = f"{self.place.exchange}.*.{facts.KINDS[one.of]}.{one.of.replace('.', '_')}"
            self.place.unbind(moving.own_queue(self.page.topology, one), key)
        self.flow()
        self.reach(lambda: self._waiting(self._new_queues) == 0, "the new queues are drained")

    @property
    def _new_queues(self) -> list[str]:
        return [moving.own_queue(self.page.topology, one) for one in facts.SUBSCRIBERS]

    def _waiting(self, queues: list[str]) -> int:
        """Return how many messages wait in queues, and for their retries."""
        names = [name for queue in queues for name in self.page.to_drain(queue, *ours.WAITING)]
        waiting: Callable[..., Awaitable[int]] = self.page.waiting
        return self.on_the_broker(waiting, *self.place.declared(names))

    def delete(self) -> None:
        """Delete the queues of petisco; their dead letters are kept aside."""
        for one in facts.SUBSCRIBERS:
            self._buried[one.name] += self._dead(one)
            for queue in facts.petisco_queues(self.place.exchange, one):
                self.on_the_broker(self.page.delete_drained, queue)

    def _dead(self, one: facts.Subscriber) -> list[bytes]:
        """Take the dead letters of a subscriber, wherever they are."""
        queues = [queue for side in facts.SIDES for queue in self.place.dead_letter_queues(side, one)]
        return [body for queue in self.place.declared(queues) for body in self.place.taken(queue)]

    def let_petisco_publish_no_more(self) -> None:
        """Stop its publisher, which ends by the signal itself."""
        process = self.processes.pop(OF_PETISCO)
        assert process.stop(60) == -signal.SIGTERM, process.output()

    def judged(self, last: str) -> list[Count]:
        """Wait for the end, and count; `last` is the consumer that still runs."""
        self.wait(self._all_is_published)
        placed = dict(map(Placed.of, self.place.taken(self.place.audit)))
        fates = fates_of(placed, [(moving.SIDE, one) for one in facts.SUBSCRIBERS])
        self.wait(lambda: self._is_over(fates))
        self.leave(last)
        for process in self._leaving:
            assert process.ended_well(60), f"{process.name} did not stop well\n{process.output()}"
        outcomes = {one.name: self._ended(one) for one in facts.SUBSCRIBERS}
        return [self._counted(source, placed, fates, outcomes) for source in {one.source for one in placed.values()}]

    def _is_over(self, fates: Fates) -> bool:
        """Tell whether nothing waits, each message but the dead has had its effect, and nothing happens any more."""
        calls = self._book.count("calls")
        with self._engine.connect() as connection:
            effects = connection.execute(select(func.count()).select_from(moving.EFFECTS)).scalar_one()
        due = [failures for found in fates.values() for failures in found.values()]
        if effects < len(due) - due.count(None) or self._waiting(self.old_queues + self._new_queues):
            return False
        time.sleep(1)
        return calls == self._book.count("calls")

    def _ended(self, one: facts.Subscriber) -> Outcome:
        done = select(moving.EFFECTS.c.message_id).where(moving.EFFECTS.c.subscriber == one.name)
        with self._engine.connect() as connection:
            effects = list(connection.scalars(done))
        dead = self._buried[one.name] + self._dead(one)
        return Outcome(moving.SIDE, self._book.calls(moving.SIDE, one.name), effects, dead)

    def _counted(self, source: str, placed: dict[str, Placed], fates: Fates, outcomes: dict[str, Outcome]) -> Count:
        """Return what became of the messages of a source."""
        ids = {message_id for message_id, message in placed.items() if message.source == source}
        total = Counter(
            placed=len(ids),
            lost=len(set(self._book.published_by(source)) - ids),
            differ=sum(not placed[message_id].is_as_meant() for message_id in ids),
        )
        for name, outcome in outcomes.items():
            due = {one: failures for one, failures in fates[moving.SIDE, name].items() if one in ids}
            total += outcome.counted(placed, due, None)
            total["off"] += outcome.strangers(placed)
        names = ("placed", "due", "handled", "retried", "dead", "lost", "twice", "differ", "off")
        return Count(self.plan.name, source, moving.SIDE, **{name: total[name] for name in names})


def test_a_service_moves_under_load(url: str, tmp_path: Path, record_property: Record) -> None:
    """No message is lost, changed, or twice in effect, while each step of the page is done, and each side is killed."""
    with patch.dict(os.environ, environment(url)), ExitStack() as stack:
        move = Move(url, tmp_path, stack)
        move.start()
        move.flow()
        move.release("function")
        move.leave("petisco")
        move.flow()
        move.kill("function")
        move.release("same queues")
        move.flow()
        move.kill("same queues")
        move.leave("function")
        move.kill(OF_PETISCO)
        move.release("both queues")
        move.leave("same queues")
        move.flow()
        move.kill("both queues")
        move.unbind()
        move.release("own queues")
        move.dismiss("both queues")
        move.drain()
        move.delete()
        move.publish()
        move.let_petisco_publish_no_more()
        move.flow()
        for name in ("domainkit publisher", "relay", "own queues"):
            move.kill(name)
        judge(move, move.judged("own queues"), record_property)


@pytest.mark.skipif(not (CI or FULL), reason="full size: the way back takes as long as the way there")
def test_a_service_goes_back_under_load(url: str, tmp_path: Path, record_property: Record) -> None:
    """The same holds for the way back, after petisco's queues were unbound: in the end there is petisco alone."""
    with patch.dict(os.environ, environment(url)), ExitStack() as stack:
        move = Move(url, tmp_path, stack, "gone back")
        move.start()
        move.release("function")
        move.dismiss("petisco")
        move.release("both queues")
        move.leave("function")
        move.unbind()
        move.bind_again()
        move.release("same queues")
        move.leave("back")
        move.release("function")
        move.leave("same queues")
        move.release("petisco")
        move.leave("function")
        move.flow()
        move.let_petisco_publish_no_more()
        judge(move, move.judged("petisco"), record_property)


async def test_a_queue_of_petisco_is_deleted_when_it_is_drained(url: str) -> None:
    """One that holds a message, or has a consumer, stays; else it goes, with those of its retries and dead letters."""
    exchange = f"acme.{uuid4().hex}"
    found, queue = page(exchange), f"{exchange}.1.event.task_created.greeter"
    async with await aio_pika.connect(url) as connection, await connection.channel() as channel:
        names = (queue, f"retry.{queue}", f"dead_letter.{queue}")
        old, *_ = [await channel.declare_queue(name, durable=True, timeout=60) for name in names]
        await channel.default_exchange.publish(aio_pika.Message(b"{}"), queue)
        assert 1 == await found.waiting(channel, *names)
        with pytest.raises(ChannelPreconditionFailed, match="not empty"):
            await found.delete_drained(await connection.channel(), queue)
        assert b"{}" == (await old.get(no_ack=True)).body
        messages = old.iterator()
        await messages.consume()
        with pytest.raises(ChannelPreconditionFailed, match="in use"):
            await found.delete_drained(await connection.channel(), queue)
        await messages.close()

        await found.delete_drained(channel, queue)
        with pytest.raises(ChannelNotFoundEntity):
            await found.waiting(channel, *names)
