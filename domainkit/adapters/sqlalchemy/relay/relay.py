"""From the outbox to the broker: the relay, which sends what was stored, at least once and in order.

See Richardson, Microservices Patterns (2018), Transactional outbox and Polling publisher; Kleppmann, Designing
Data-Intensive Applications (2017), chapter 11, on why a message is sent again rather than lost.
"""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from time import monotonic

from attrs import evolve
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit.adapters.sqlalchemy.engines import require_configured
from domainkit.adapters.sqlalchemy.relay.rounds import OUTAGES, Means, RelayRound, Round
from domainkit.adapters.sqlalchemy.relay.store import RelayStore
from domainkit.adapters.sqlalchemy.relay.waits import OUTAGE, Backoff, Outage
from domainkit.adapters.sqlalchemy.tables import outbox_table, require_columns
from domainkit.delivery import AsyncMessagePublisher

_logger = logging.getLogger("domainkit.relay")

_PROBE = 10
"""The number of messages that are tried after the broker was away."""

_CLEANING = 60.0
"""Seconds between two looks for rows to delete."""


class Relay:
    """Sends what is in an outbox to a broker; several may do so at once, on one machine or many.

    - A message is sent at least once: it is marked as sent after the broker has confirmed it. Who consumes knows one
      that comes twice by its id (`Inbox`).
    - Messages of one key are sent in the order in which they were stored, each after the one before it was confirmed.
      One that is refused holds back its own key, and no other.
    - What a relay has in hand is leased: where it is killed, another sends that after the lease is over.
    - A message that is refused is tried again, and parked after `max_attempts`; see `outbox_status`, `release_parked`
      and `discard_parked`. While the broker is away nothing is counted against any message.

    `python -m domainkit relay` runs one as a process of its own.

    >>> from sqlalchemy import MetaData
    >>> from domainkit import AsyncInmemoryMessagePublisher, DomainEvent, MessageCodec
    >>> from domainkit.adapters.sqlalchemy import make_async_engine, outbox_table
    >>> table = outbox_table(MetaData())
    >>> class TaskCreated(DomainEvent): ...
    >>> publisher = AsyncInmemoryMessagePublisher(MessageCodec(TaskCreated))
    >>> Relay(make_async_engine("sqlite+aiosqlite:///tasks.db"), table, publisher, batch=100)
    Relay(outbox)

    Args:
        engine: made by `make_async_engine`, or taught by `configure_engine`; the relay uses a few of its connections.
        table: made by `outbox_table`.
        publisher: hands messages to the broker. It isn't closed.
        batch: how many messages are claimed at a time.
        concurrency: how many keys are sent side by side.
        lease: for how long a claim holds; it is renewed while it is needed. A publisher that gives no answer for so
            long is taken for one without a broker.
        poll: how long to wait where nothing was found.
        backoff: between the tries of a message that is refused.
        max_attempts: how many tries a message has before it is parked.
        retention: for how long messages that were sent are kept, for `replay_sent`; None keeps them for ever.
        grace: how long `run` waits for the broker, or a database that gives no answer, when it is asked to stop.

    Raises:
        ValueError: an option is out of range, `table` is another one, the database is none of SQLite and
            PostgreSQL, or the engine is for SQLite and wasn't taught.
    """

    def __init__(  # noqa: PLR0913  (each option has a default)
        self,
        engine: AsyncEngine,
        table: Table,
        publisher: AsyncMessagePublisher,
        *,
        batch: int = 500,
        concurrency: int = 100,
        lease: timedelta = timedelta(seconds=60),
        poll: timedelta = timedelta(seconds=0.5),
        backoff: Backoff = Backoff(),  # noqa: B008  (it is frozen)
        max_attempts: int = 10,
        retention: timedelta | None = timedelta(days=7),
        grace: timedelta = timedelta(seconds=10),
    ) -> None:
        require_configured(engine.sync_engine)
        require_columns(table, outbox_table)
        _check(batch=batch, concurrency=concurrency, max_attempts=max_attempts)
        _check(lease=lease, poll=poll, retention=retention, grace=grace)
        self._table = table
        self._store = RelayStore(engine, table, batch=batch, lease=lease)
        self._means = Means(self._store, publisher, backoff, max_attempts, asyncio.Semaphore(concurrency), batch // 2)
        self._batch, self._poll, self._retention, self._grace = batch, poll, retention, grace
        self._broker, self._database = Outage("the broker"), Outage("the database")
        self._rounds: dict[asyncio.Task[None], Round] = {}
        self._cleaned, self._paused_until = -_CLEANING, 0.0
        self._bug: BaseException | None = None
        self._until_idle = self._idle = False
        self._stop, self._patience = asyncio.Event(), asyncio.Timeout(None)
        self.total: RelayRound = RelayRound()

    def __repr__(self) -> str:
        return f"Relay({self._table.fullname})"

    async def run_once(self) -> RelayRound:
        """Claim messages, send them, mark them, delete old ones; return what was done.

        Nothing waits: it is for tests, and for whoever has a schedule of his own.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, OSError: the database is away; what was sent and not marked is sent again.
        """
        self._means.away = self._means.stopping = False
        self._means.deferral = timedelta(0)
        round_ = Round(await self._store.claim(self._batch, thorough=True), self._means)
        await round_.publish()
        await round_.settle()
        done = evolve(round_.counts, deleted=await self._clean())
        self.total += done
        return done

    async def run(self, stop: asyncio.Event, *, until_idle: bool = False) -> None:
        """Send what is in the outbox, and what comes into it, until `stop` is set.

        While messages are on their way the next are claimed. Where the broker or the database is away it tries again,
        after longer and longer waits, and logs (`domainkit.relay`) when that begins and ends. In the end it waits for
        the broker's answers, up to `grace`, marks what was sent, and gives back the rest.

        Args:
            stop: set it to end.
            until_idle: end by itself when nothing is left that can be sent now: since there is nothing, it waits for
                another try, another relay has it, or the broker is away.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, OSError: the database is away, with `until_idle`.
        """
        self._means.stopping = self._idle = False
        self._bug = None
        self._until_idle, self._stop = until_idle, stop
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _: self._asked_to_stop())
        try:
            while not (self._bug or stop.is_set() or (until_idle and self._idle)):
                await self._rest(await self._step())
        finally:
            stopped.cancel()
            await self._finish()
        if self._bug is not None:
            raise self._bug

    async def _step(self) -> float:
        """Do what is due, and return for how many seconds to rest unless something happens."""
        paused = self._paused_until - monotonic()
        if paused > 0:
            return paused
        if self._means.away and not self._rounds:
            self._means.away, self._idle = False, True
            paused = self._broker.failed()
        elif self._means.away or self._means.in_hand > self._means.few:
            return self._poll.total_seconds()
        else:
            try:
                async with asyncio.timeout(None) as self._patience:
                    return await self._begin()
            except OUTAGES as error:
                if self._until_idle and not self._stop.is_set():
                    raise
                paused = self._database.failed(type(error).__qualname__)
        self._paused_until = monotonic() + paused
        return paused

    def _asked_to_stop(self) -> None:
        """Let a database that gives no answer keep the relay for no longer than a broker does."""
        self._means.wake.set()
        with suppress(RuntimeError):  # nothing is being begun
            self._patience.reschedule(asyncio.get_running_loop().time() + self._grace.total_seconds())

    async def _begin(self) -> float:
        """Begin a round; return 0 where more is waiting."""
        probing = self._broker.failures > 0
        limit = min(_PROBE, self._batch) if probing else self._batch
        self._means.deferral = OUTAGE.most(self._broker.failures + 1)
        alone = not self._rounds  # what these have in hand may be back by the time that nothing else was found
        if monotonic() >= self._cleaned + _CLEANING:
            self.total += RelayRound(deleted=await self._clean())
        claim = await self._store.claim(limit, thorough=self._until_idle)
        self._database.answered()
        if not claim.chains:
            self._idle = alone
            return self._poll.total_seconds()
        round_ = Round(claim, self._means)
        task = asyncio.create_task(self._deliver(round_))
        self._rounds[task] = round_
        task.add_done_callback(self._ended)
        return 0.0 if round_.counts.claimed == limit and not probing else self._poll.total_seconds()

    async def _rest(self, seconds: float) -> None:
        if not (self._until_idle and self._idle):
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._means.wake.wait()
            self._means.wake.clear()

    async def _deliver(self, round_: Round) -> None:
        """Send what a round has, and write down what came of it, as often as it takes."""
        await round_.publish()
        while True:
            try:
                await round_.settle()
                break
            except OUTAGES as error:
                await asyncio.sleep(self._database.failed(type(error).__qualname__))
        self._database.answered()
        counts = round_.counts
        self.total += counts
        if counts.sent or counts.duplicates or counts.failed or counts.parked:
            self._broker.answered(over=not counts.away)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._rounds[task]
        self._bug = self._bug or (None if task.cancelled() else task.exception())
        self._means.wake.set()

    async def _clean(self) -> int:
        if self._retention is None:
            return 0
        deleted, more = await self._store.clean(self._retention)
        if not more:
            self._cleaned = monotonic()
        return deleted

    async def _finish(self) -> None:
        """Let the rounds end; cut short what takes too long: the broker first, then the database."""
        self._means.stopping = True
        seconds = self._grace.total_seconds()
        if self._rounds:
            await asyncio.wait(self._rounds, timeout=seconds)
        for round_ in self._rounds.values():
            round_.cut()
        if self._rounds:
            await asyncio.wait(self._rounds, timeout=seconds)
        for task in self._rounds:
            task.cancel()


def _check(**options: int | timedelta | None) -> None:
    for name, option in options.items():
        if isinstance(option, int) and option < 1:
            raise ValueError(f"Relay: {name} must be 1 or more; give another number")
        if isinstance(option, timedelta) and option <= timedelta(0):
            raise ValueError(f"Relay: {name} must be longer than nothing; give a timedelta above 0")
