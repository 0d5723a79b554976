"""The wiring that the API and the consumer share: one database, and the messages that go through its outbox."""

from returns.result import Failure, Result, Success
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import Command, MessageCodec, NotAllowed
from domainkit.adapters.sqlalchemy import AsyncUnitOfWork, Outbox

from .domain import CopyHeld, CopyLent, CopyReturned
from .tables import OUTBOX
from .use_cases import HoldForNext

LIBRARY = "main"
"""The library that this service is of: its messages say so, and it takes no commands of others."""

CODEC = MessageCodec(CopyLent, CopyReturned, CopyHeld, HoldForNext)


def unit_of_work_of(engine: AsyncEngine) -> AsyncUnitOfWork:
    """Return the transactions of a database, with the outbox, which names the library in what it stores."""
    return AsyncUnitOfWork(engine, outbox=Outbox(OUTBOX, CODEC, meta=lambda: {"library": LIBRARY}))


def of_this_library(command: Command[object, object]) -> Result[None, NotAllowed]:
    """Let a command of this library through.

    A sender writes into meta what it likes: against strangers, the broker's permissions help. This keeps out what was
    meant for another library, and shows where a check goes.
    """
    return Success(None) if command.header.meta.get("library") == LIBRARY else Failure(NotAllowed())
