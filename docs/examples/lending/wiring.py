"""The wiring that the API and the consumer share: one database, and the messages that go through its outbox."""

from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import MessageCodec
from domainkit.adapters.sqlalchemy import AsyncUnitOfWork, Outbox

from .domain import CopyHeld, CopyLent, CopyReturned
from .tables import OUTBOX
from .use_cases import HoldForNext

CODEC = MessageCodec(CopyLent, CopyReturned, CopyHeld, HoldForNext)


def unit_of_work_of(engine: AsyncEngine) -> AsyncUnitOfWork:
    """Return the transactions of a database, with the outbox."""
    return AsyncUnitOfWork(engine, outbox=Outbox(OUTBOX, CODEC))
