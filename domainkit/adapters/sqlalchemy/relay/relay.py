"""Relay: sends the messages in the outbox to the broker, at least once and in order.

See Richardson, Microservices Patterns (2018), Transactional outbox and Polling publisher; Kleppmann, Designing
Data-Intensive Applications (2017), chapter 11, on sending a message again rather than losing it.
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
from domainkit.adapters.sqlalchemy.missing import missing_part
from domainkit.adapters.sqlalchemy.relay.rounds import Means, RelayRound, Round
from domainkit.adapters.sqlalchemy.relay.store import RelayStore
from domainkit.adapters.sqlalchemy.relay.waits import OUTAGE, OUTAGES, Outage, RelayBackoff
from domainkit.adapters.sqlalchemy.tables import outbox_table, require_columns
from domainkit.adapters.sqlalchemy.wakeups import Wakeups
from domainkit.delivery import AsyncMessagePublisher

_logger = logging.getLogger("domainkit.relay")

_PROBE = 10
"""The number of messages to try after an outage of the broker."""

_CLEANING = 60.0
"""Seconds between deletions of old rows."""


class Relay:
    """Sends the messages in an outbox to a broker; several relays may run at once, on one machine or many.

    - A message is sent at least once: it is marked as sent after the broker has confirmed it. Consumers recognize a
      duplicate by its id (`Inbox`).
    - Messages with the same key are sent in the order in which they were stored, each after the one before it was
      confirmed. A refused message holds back its own key, and no other.
    - A relay leases the messages that it sends: if it is killed, another relay sends them after the lease has expired.
    - A refused message is tried again, and parked after `max_attempts`; see `outbox_status`, `release_parked` and
      `discard_parked`. Outages of the broker don't count as attempts.

    `python -m domainkit relay` runs a relay as a separate process.

    >>> from sqlalchemy import MetaData
    >>> from domainkit import AsyncInmemoryMessagePublisher, DomainEvent, MessageCodec
    >>> from domainkit.adapters.sqlalchemy import make_async_engine, outbox_table
    >>> table = outbox_table(MetaData())
    >>> class TaskCreated(DomainEvent): ...
    >>> publisher = AsyncInmemoryMessagePublisher(MessageCodec(TaskCreated))
    >>> Relay(make_async_engine("sqlite+aiosqlite:///tasks.db"), table, publisher, batch=100)
    Relay(outbox)

    Args:
        engine: made by `make_async_engine`, or set up by `configure_engine`; the relay uses several connections.
        table: made by `outbox_table`.
        publisher: sends messages to the broker. The relay doesn't close it.
        batch: the number of messages claimed at a time.
        concurrency: the number of keys sent in parallel.
        lease: the duration of a claim, which is renewed as needed. If a publisher gives no answer for that long, the
            broker counts as unreachable.
        poll: the wait before the next query, if no message was found and nothing wakes the relay.
        backoff: the waits between attempts of a refused message.
        max_attempts: the attempts before a refused message is parked.
        retention: how long sent messages are kept, for `replay_sent`; None keeps them forever.
        grace: when stopping, how long `run` waits for the broker, or for a database that doesn't answer.
        wakes: True to query in `run` as soon as messages are committed, without waiting for `poll`: on PostgreSQL, with
            psycopg, those of an `Outbox` that announces them; on SQLite those in a file, from any process.

    Raises:
        ValueError: an option is out of range, `table` isn't an outbox, the database is neither SQLite nor PostgreSQL,
            or the engine is for SQLite and wasn't set up by `configure_engine`.
    """

    def __init__(  # noqa: PLR0913  (options with defaults)
        self,
        engine: AsyncEngine,
        table: Table,
        publisher: AsyncMessagePublisher,
        *,
        batch: int = 500,
        concurrency: int = 100,
        lease: timedelta = timedelta(seconds=60),
        poll: timedelta = timedelta(seconds=0.5),
        backoff: RelayBackoff = RelayBackoff(),  # noqa: B008  (it is frozen)
        max_attempts: int = 10,
        retention: timedelta | None = timedelta(days=7),
        grace: timedelta = timedelta(seconds=10),
        wakes: bool = True,
    ) -> None:
        require_configured(engine.sync_engine)
        require_columns(table, outbox_table)
        _check(batch=batch, concurrency=concurrency, max_attempts=max_attempts)
        _check(lease=lease, poll=poll, retention=retention, grace=grace)
        self._table = table
        self._store = RelayStore(engine, table, batch=batch, lease=lease)
        self._means = Means(self._store, publisher, backoff, max_attempts, concurrency, batch // 2)
        self._batch, self._poll, self._retention, self._grace = batch, poll, retention, grace
        self._broker, self._database = Outage("the broker"), Outage("the database")
        self._wakeups = Wakeups(engine.sync_engine, table, self._heard) if wakes else None
        self._rounds: dict[asyncio.Task[None], Round] = {}
        self._cleaned, self._paused_until = -_CLEANING, 0.0
        self._bug: BaseException | None = None
        self._until_idle = self._idle = False
        self._stop, self._database_timeout = asyncio.Event(), asyncio.Timeout(None)
        self.total: RelayRound = RelayRound()

    def __repr__(self) -> str:
        return f"Relay({self._table.fullname})"

    async def run_once(self) -> RelayRound:
        """Claim messages, send and mark them, delete old ones; return the counts.

        It never waits for more messages: use it in tests, or with your own schedule.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, OSError: the database is unreachable; sent messages that could not be marked
                are sent again.
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
        """Send the messages in the outbox, and new ones as they come, until `stop` is set.

        It claims the next messages while others are in flight. If the broker or the database is unreachable, it retries
        with increasing waits, and logs (`domainkit.relay`) the start and the end of the outage. At the end it waits up
        to `grace` for the broker's answers, marks sent messages, and releases the others.

        Args:
            stop: set it to end the relay.
            until_idle: end when no message can be sent now: the outbox is empty, its messages wait for a retry or are
                leased by another relay, or the broker is unreachable.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, OSError: the database is unreachable, with `until_idle`.
        """
        self._means.stopping = self._idle = False
        self._bug = None
        self._until_idle, self._stop = until_idle, stop
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _: self._asked_to_stop())
        listening = [] if until_idle else self._listening()
        try:
            while not (self._bug or stop.is_set() or (until_idle and self._idle)):
                await self._rest(await self._step())
        finally:
            for task in (stopped, *listening):
                task.cancel()
            await self._finish()
            if listening:
                await asyncio.wait(listening, timeout=self._grace.total_seconds())
        if self._bug is not None:
            raise self._bug

    def _listening(self) -> list[asyncio.Task[None]]:
        """Start the task that wakes the relay, if there is one."""
        tasks = [] if self._wakeups is None else [asyncio.create_task(self._wakeups.run())]
        for task in tasks:
            task.add_done_callback(self._ended)
        return tasks

    def _heard(self) -> None:
        """Claim at once; while the broker is away, a few at a time are tried with waits in between."""
        if not self._broker.failures:
            self._means.wake.set()

    async def _step(self) -> float:
        """Take the next step, and return the seconds to rest unless the relay is woken."""
        paused = self._paused_until - monotonic()
        if paused > 0:
            return paused
        if self._means.away and not self._rounds:
            self._means.away, self._idle = False, True
            paused = self._broker.failed()
        elif self._means.away or self._means.in_flight > self._means.refill_below:
            return self._poll.total_seconds()
        else:
            try:
                async with asyncio.timeout(None) as self._database_timeout:
                    return await self._begin()
            except OUTAGES as error:
                if self._until_idle and not self._stop.is_set():
                    raise
                paused = self._failed(error)
        self._paused_until = monotonic() + paused
        return paused

    def _asked_to_stop(self) -> None:
        """Wait for a database that doesn't answer no longer than for a broker."""
        self._means.wake.set()
        with suppress(RuntimeError):  # no round is being started
            self._database_timeout.reschedule(asyncio.get_running_loop().time() + self._grace.total_seconds())

    async def _begin(self) -> float:
        """Start a round; return 0 if more messages are waiting."""
        probing = self._broker.failures > 0
        limit = min(_PROBE, self._batch) if probing else self._batch
        self._means.deferral = OUTAGE.most(self._broker.failures + 1)
        alone = not self._rounds  # other rounds may still release messages after this claim found none
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

    def _failed(self, error: Exception) -> float:
        """Count a failure of the database, and return the seconds to wait."""
        return self._database.failed(type(error).__qualname__, missing=missing_part(error))

    async def _deliver(self, round_: Round) -> None:
        """Send the messages of a round, and store the outcomes, retrying while the database is unreachable."""
        await round_.publish()
        while True:
            try:
                await round_.settle()
                break
            except OUTAGES as error:
                await asyncio.sleep(self._failed(error))
        self._database.answered()
        counts = round_.counts
        self.total += counts
        if counts.sent or counts.duplicates or counts.failed or counts.parked:
            self._broker.answered(over=not counts.away)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._rounds.pop(task, None)
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
        """Let the rounds end, within `grace` each for the broker and for the database."""
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
            raise ValueError(f"Relay: expected 1 or more as `{name}`, got {option}; pass a larger number")
        if isinstance(option, timedelta) and option <= timedelta(0):
            raise ValueError(f"Relay: expected a timedelta above 0 as `{name}`, got {option!r}; pass a longer one")
