"""Rounds of a relay: sending claimed rows to the broker."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from operator import add
from time import monotonic

from attrs import astuple, define, evolve, field, frozen
from returns.result import Failure, Success

from domainkit._model.texts import shown
from domainkit.adapters.sqlalchemy.relay.claims import Claim, Claimed
from domainkit.adapters.sqlalchemy.relay.store import Outcome, RelayStore
from domainkit.adapters.sqlalchemy.relay.waits import OUTAGES, RelayBackoff
from domainkit.delivery import DUPLICATE, UNROUTED, AsyncMessagePublisher, remarks
from domainkit.errors import BusCannotPublish, MessageRefused
from domainkit.use_cases import places_of

_logger = logging.getLogger("domainkit.relay")

_MARK_INTERVAL = 0.1
"""Seconds between marking sent messages during a round, so that a busy key doesn't hold back the others."""

_SENT = Outcome("sent")

_RESERVE = 0.1
"""The last part of a lease, in which no message is started: it is left for those in flight."""


@frozen
class RelayRound:
    """Work done by a relay, as counts of messages.

    Args:
        claimed: leased by this relay.
        sent: confirmed by the broker.
        duplicates: already known to the broker, which doesn't deliver them again.
        failed: refused, to be tried again later.
        parked: refused for the last time, waiting for an operator.
        left: released untried, or tried during an outage of the broker.
        deleted: deleted, since their retention was over.
        away: True if the broker was unreachable.
    """

    claimed: int = 0
    sent: int = 0
    duplicates: int = 0
    failed: int = 0
    parked: int = 0
    left: int = 0
    deleted: int = 0
    away: bool = False

    def __add__(self, other: "RelayRound") -> "RelayRound":
        counts = map(add, astuple(self)[:-1], astuple(other)[:-1])
        return evolve(RelayRound(*counts), away=self.away or other.away)


@define
class Means:
    """Resources that all rounds of a relay share, and the state that they check before sending a message."""

    store: RelayStore
    publisher: AsyncMessagePublisher
    backoff: RelayBackoff
    max_attempts: int
    concurrency: int
    refill_below: int
    slots: asyncio.Semaphore = field(init=False)
    wake: asyncio.Event = field(factory=asyncio.Event)
    in_flight: int = 0
    away: bool = False
    stopping: bool = False
    deferral: timedelta = timedelta(0)

    def __attrs_post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.concurrency)

    def done(self, count: int) -> None:
        """Reduce the rows in flight; wake the relay if it can claim more."""
        before, self.in_flight = self.in_flight, self.in_flight - count
        if before > self.refill_below >= self.in_flight:
            self.wake.set()


class Round:
    """Rows that were claimed together: those of a key are sent one after the other, the keys in parallel.

    Each worker sends one chain after the other: a task for each chain would cost as much as all else here.
    """

    def __init__(self, claim: Claim, means: Means) -> None:
        self._token, self._ends = claim.token, claim.ends
        self._workers = min(len(claim.chains), means.concurrency)
        self._waiting = iter(claim.chains)
        self._means, self._store = means, means.store
        self._lease = means.store.lease.total_seconds()
        self._unsettled = {row.position for chain in claim.chains for row in chain}
        self._untouched = len(self._unsettled)
        self._outcomes: dict[int, Outcome] = {}  # not stored yet
        self._tasks: dict[int, asyncio.Task[None]] = {}  # by the number of the worker
        self._sending: dict[int, float] = {}  # the end of the lease that the message in flight was sent under
        self._all_ended = asyncio.Event()
        self._lock = asyncio.Lock()
        self.counts: RelayRound = RelayRound(claimed=self._untouched)
        self._means.in_flight += self._untouched

    async def publish(self) -> None:
        """Send the rows; meanwhile mark sent ones, unless the database fails."""
        for number in range(self._workers):
            task = self._tasks[number] = asyncio.create_task(self._work(number))
            task.add_done_callback(partial(self._ended, number))
        try:
            while self._tasks:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_MARK_INTERVAL):
                        await self._all_ended.wait()
                self._end_late()
                if self._tasks:
                    with suppress(*OUTAGES):  # tried again at the end
                        await self._write()
        finally:
            self.cut()
            self._means.done(self._untouched)
            self._untouched = 0

    def _ended(self, number: int, _: asyncio.Task[None]) -> None:
        del self._tasks[number]
        if not self._tasks:
            self._all_ended.set()

    def _end_late(self) -> None:
        """Stop waiting for messages without an answer, once the lease that they were sent under is over.

        One look at all of them costs less than a timeout for each.
        """
        now = monotonic()
        for number in [number for number, end in self._sending.items() if end <= now]:
            del self._sending[number]
            self._tasks[number].cancel()

    def cut(self) -> None:
        """Stop waiting for messages in flight."""
        for task in self._tasks.values():
            task.cancel()

    async def settle(self) -> None:
        """Store the outcomes of all rows, and release rows without one.

        Raises:
            SQLAlchemyError, OSError: the database is unreachable; call it again.
        """
        await self._write()
        async with self._lock:
            if self._unsettled:
                await self._store.free(self._token, sorted(self._unsettled))
            self.counts += RelayRound(left=len(self._unsettled))
            self._unsettled.clear()

    async def _write(self) -> None:
        async with self._lock:
            outcomes = dict(self._outcomes)
            if not outcomes:
                return
            await self._store.write(self._token, outcomes)
            for position in outcomes:
                del self._outcomes[position]
            self._unsettled -= outcomes.keys()
            kinds: list[str] = [outcome.kind for outcome in outcomes.values()]
            sent, duplicates, failed, parked, left = map(kinds.count, ("sent", "duplicate", "failed", "parked", "left"))
            self.counts += RelayRound(sent=sent, duplicates=duplicates, failed=failed, parked=parked, left=left)

    async def _work(self, number: int) -> None:
        """Send the next chain, until there is none."""
        async with self._means.slots:
            with remarks() as found:
                for chain in self._waiting:
                    await self._send(number, chain, found)

    async def _send(self, number: int, chain: Iterable[Claimed], found: set[str]) -> None:
        """Send the rows of a chain until one of them may not be followed by the next."""
        means = self._means
        for row in chain:
            if means.away or means.stopping or not (self._left() > self._lease / 2 or await self._held()):
                return
            self._untouched -= 1
            self._sending[number] = self._ends
            found.clear()
            try:
                goes_on = self._answered(row, await means.publisher.publish(row.message), found)
            except (Exception, asyncio.CancelledError) as error:
                goes_on = self._raised(number, row, error)
            finally:
                self._sending.pop(number, None)
                means.done(1)
            if not goes_on:
                return

    def _answered(self, row: Claimed, result: object, found: set[str]) -> bool:
        """Note the outcome of a message; return True if the next one of its key may follow."""
        if isinstance(result, Success):
            self._outcomes[row.position] = _published(found) if found else _SENT
            return True
        failure: object = result.failure() if isinstance(result, Failure) else result
        if isinstance(failure, MessageRefused) or not isinstance(failure, BusCannotPublish):
            return self._refused(row, type(failure).__qualname__)
        return self._away(row, type(failure).__qualname__)

    def _raised(self, number: int, row: Claimed, error: BaseException) -> bool:
        """Note the outcome of a message whose publisher raised, or gave no answer in time; return False.

        Raises:
            CancelledError: the round is cut.
        """
        late, task = number not in self._sending, self._tasks[number]
        if isinstance(error, asyncio.CancelledError) and task.cancelling() > late:
            raise error
        if late:
            task.uncancel()
            return self._away(row, "no answer within the lease")
        # its text may have secrets, so only its places are logged
        _logger.error("%s: the publisher raised:\n%s", _named(row), places_of(error))
        return self._refused(row, type(error).__qualname__)

    def _refused(self, row: Claimed, reason: str) -> bool:
        attempts = row.attempts + 1
        if attempts >= self._means.max_attempts:
            _logger.error("%s is parked after %d attempts: %s", _named(row), attempts, reason)
            self._outcomes[row.position] = Outcome("parked", reason)
        else:
            _logger.warning("%s failed (attempt %d): %s", _named(row), attempts, reason)
            self._outcomes[row.position] = Outcome("failed", reason, self._means.backoff.delay(attempts))
        return False

    def _away(self, row: Claimed, reason: str) -> bool:
        _logger.debug("%s: the broker is unreachable: %s", _named(row), reason)
        self._means.away = True
        self.counts += RelayRound(away=True)
        self._outcomes[row.position] = Outcome("left", delay=self._means.deferral)  # others may go first
        return False

    def _left(self) -> float:
        return self._ends - monotonic()

    async def _held(self) -> bool:
        """Renew the lease, whose second half has begun; return True if it leaves time to send a message."""
        async with self._lock:
            if self._left() <= self._lease / 2:  # no other worker has renewed it meanwhile
                with suppress(*OUTAGES):
                    now = monotonic()
                    complete = await self._store.renew(self._token) == len(self._unsettled)
                    self._ends = now + self._lease if complete else now  # another relay has some rows: stop sending
        return self._left() > self._lease * _RESERVE


def _published(found: set[str]) -> Outcome:
    """Return the outcome of a published message, with the publisher's remark."""
    if DUPLICATE in found:
        return Outcome("duplicate", DUPLICATE)
    return Outcome("sent", UNROUTED) if UNROUTED in found else _SENT


def _named(row: Claimed) -> str:
    message = row.message
    return f"{shown(message.info.name)} {message.id} ({len(message.body)} bytes)"
