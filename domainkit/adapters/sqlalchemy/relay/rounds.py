"""The rows that a relay has claimed, on their way to the broker."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from operator import add
from time import monotonic

from attrs import astuple, define, evolve, field, frozen
from returns.result import Failure, Success
from sqlalchemy.exc import SQLAlchemyError

from domainkit._model.texts import shown
from domainkit.adapters.sqlalchemy.relay.claims import Claim, Claimed
from domainkit.adapters.sqlalchemy.relay.store import Outcome, RelayStore
from domainkit.adapters.sqlalchemy.relay.waits import Backoff
from domainkit.delivery import DUPLICATE, UNROUTED, AsyncMessagePublisher, remarks
from domainkit.errors import BusCannotPublish, MessageRefused
from domainkit.use_cases import places_of

_logger = logging.getLogger("domainkit.relay")

OUTAGES: tuple[type[Exception], ...] = (SQLAlchemyError, OSError)
"""The exceptions that are raised while the database is away."""

_OFTEN = 0.1
"""Seconds after which what was sent is marked, though the round goes on: a busy key doesn't hold back the others."""

_SENT = Outcome("sent")

_SPARE = 0.1
"""The part of a lease in which nothing new is begun: it is for what is on its way."""


@frozen
class RelayRound:
    """The work that a relay has done, as counts of messages.

    Args:
        claimed: taken in hand.
        sent: confirmed by the broker.
        duplicates: with the broker already, which delivers nothing anew then.
        failed: refused, to be tried again later.
        parked: refused for the last time: they wait for an operator.
        left: given back untried, or tried while the broker was away.
        deleted: sent long ago, and deleted.
        away: if the broker could not be reached.
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
    """The means that all rounds of a relay share, and the state that they look at before they send a message."""

    store: RelayStore
    publisher: AsyncMessagePublisher
    backoff: Backoff
    max_attempts: int
    slots: asyncio.Semaphore
    few: int
    wake: asyncio.Event = field(factory=asyncio.Event)
    in_hand: int = 0
    away: bool = False
    stopping: bool = False
    deferral: timedelta = timedelta(0)

    def done(self, count: int) -> None:
        """Have fewer rows in hand; wake the relay if there is room for more."""
        before, self.in_hand = self.in_hand, self.in_hand - count
        if before > self.few >= self.in_hand:
            self.wake.set()


class Round:
    """Rows that were claimed together: those of a key one after the other, the keys side by side."""

    def __init__(self, claim: Claim, means: Means) -> None:
        self._token, self._chains, self._ends = claim.token, claim.chains, claim.ends
        self._means, self._store = means, means.store
        self._unsettled = {row.position for chain in claim.chains for row in chain}
        self._untouched = len(self._unsettled)
        self._outcomes: dict[int, Outcome] = {}  # what is not written down yet
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self.counts: RelayRound = RelayRound(claimed=self._untouched)
        self._means.in_hand += self._untouched

    async def publish(self) -> None:
        """Send what may be sent; what was sent is marked meanwhile if that goes without error."""
        waiting = self._tasks = {asyncio.create_task(self._send(chain)) for chain in self._chains}
        try:
            while waiting:
                _, waiting = await asyncio.wait(waiting, timeout=_OFTEN)
                if waiting:
                    with suppress(*OUTAGES):  # once more in the end
                        await self._write()
        finally:
            self.cut()
            self._means.done(self._untouched)
            self._untouched = 0

    def cut(self) -> None:
        """Wait no longer for what is on its way to the broker."""
        for task in self._tasks:
            task.cancel()

    async def settle(self) -> None:
        """Write down what became of all rows, and give back the others.

        Raises:
            SQLAlchemyError, OSError: the database is away; to be called again.
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
            sent, twice, failed, parked, left = map(kinds.count, ("sent", "duplicate", "failed", "parked", "left"))
            self.counts += RelayRound(sent=sent, duplicates=twice, failed=failed, parked=parked, left=left)

    async def _send(self, chain: Iterable[Claimed]) -> None:
        async with self._means.slots:
            for row in chain:
                if self._means.away or self._means.stopping or not await self._held():
                    return
                self._untouched -= 1
                try:
                    if not await self._sent(row):
                        return
                finally:
                    self._means.done(1)

    async def _sent(self, row: Claimed) -> bool:
        """Send a message, note what came of it, and return if the next of its key may follow."""
        limit = asyncio.timeout(self._left())
        try:
            async with limit:
                with remarks() as found:
                    result = await self._means.publisher.publish(row.message)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0:
                raise
            if isinstance(error, TimeoutError) and limit.expired():
                return self._away(row, "no answer while the lease lasted")
            # its text may have secrets, so its places are all that is logged
            _logger.error("%s: the publisher raised:\n%s", _named(row), places_of(error))  # noqa: TRY400  # as above
            return self._refused(row, type(error).__qualname__)
        if isinstance(result, Success):
            self._outcomes[row.position] = _published(found)
            return True
        failure: object = result.failure() if isinstance(result, Failure) else result
        if isinstance(failure, MessageRefused) or not isinstance(failure, BusCannotPublish):
            return self._refused(row, type(failure).__qualname__)
        return self._away(row, type(failure).__qualname__)

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
        _logger.debug("%s: the broker is away: %s", _named(row), reason)
        self._means.away = True
        self.counts += RelayRound(away=True)
        self._outcomes[row.position] = Outcome("left", delay=self._means.deferral)  # others may be tried before it
        return False

    def _left(self) -> float:
        return self._ends - monotonic()

    async def _held(self) -> bool:
        """Return if there is time to send a message; the lease is renewed in its second half."""
        lease = self._store.lease.total_seconds()
        if self._left() < lease / 2:
            async with self._lock:
                if self._left() < lease / 2:
                    with suppress(*OUTAGES):
                        now = monotonic()
                        whole = await self._store.renew(self._token) == len(self._unsettled)
                        self._ends = now + lease if whole else now  # some is another's: leave all of it alone
        return self._left() > lease * _SPARE


def _published(found: set[str]) -> Outcome:
    """Return the outcome of a message that the broker has, with what the publisher remarked."""
    if DUPLICATE in found:
        return Outcome("duplicate", DUPLICATE)
    return Outcome("sent", UNROUTED) if UNROUTED in found else _SENT


def _named(row: Claimed) -> str:
    message = row.message
    return f"{shown(message.info.name)} {message.id} ({len(message.body)} bytes)"
