"""A process that appends events of accounts without end, some of them late; and a projector, for the command line."""

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final, Never

from accounts import AccountEvent, AccountId, Closed, Deposited, Opened, codec
from projecting import CHECKPOINTS, EVENTS, append, entries, make_store, stored_balances
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from domainkit import OutcomeUnknownError
from domainkit.adapters.sqlalchemy import Projector, SqlEventStore, UnitOfWork, make_engine

DATABASE: Final = "LEDGER_DATABASE"
"""The environment variable with the URL of the database."""

ACCOUNTS: Final = tuple(AccountId.from_str(f"00000000-0000-4000-8000-{number:012}") for number in range(50))
LATE: Final = 0.05
"""The part of the transactions that stay open for a while after they have appended."""


def own_engine() -> Engine:
    """Return an engine of this process."""
    return make_engine(os.environ[DATABASE])


@contextmanager
def projector() -> Iterator[Projector]:
    """Yield a projector of two read models, with small batches: more chances to be killed in one."""
    engine = own_engine()
    models = [stored_balances(), entries()]
    poll = timedelta(milliseconds=20)
    try:
        yield Projector(UnitOfWork(engine), make_store(engine), models, CHECKPOINTS, batch=50, poll=poll)
    finally:
        engine.dispose()


def some_events(chance: random.Random) -> list[AccountEvent]:
    """Return a few events of one account."""
    one = chance.choice(ACCOUNTS)
    kinds = chance.choices("odddddddc", k=chance.randint(1, 4))
    amount = chance.randint(1, 9)
    made: dict[str, AccountEvent] = {"o": Opened(one), "d": Deposited(one, amount), "c": Closed(one)}
    return [made[kinds[0]]] if kinds[0] != "d" else [Deposited(one, amount + number) for number in range(len(kinds))]


def write(longest: float) -> Never:
    """Append until SIGTERM; some transactions wait up to `longest` seconds before they commit."""
    chance = random.Random()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    unit_of_work = UnitOfWork(own_engine())
    store: SqlEventStore[AccountEvent] = SqlEventStore(unit_of_work, EVENTS, codec)
    while True:
        with suppress(DBAPIError, OutcomeUnknownError), unit_of_work.begin():  # the server ended the connection
            append(store, *some_events(chance))
            if chance.random() < LATE:
                time.sleep(chance.uniform(0, longest))
        time.sleep(0.01)


if __name__ == "__main__":
    write(float(sys.argv[1]))
