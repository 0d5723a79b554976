"""The wiring that the API and the consumer share: units of work with an outbox, and the codec of its messages."""

from returns.result import Failure, Result, Success
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import Command, MessageCodec, NotAllowed
from domainkit.adapters.sqlalchemy import AsyncUnitOfWork, Outbox

from .domain import CopyHeld, CopyLent, CopyReturned
from .tables import OUTBOX
from .use_cases import HoldForNext

LIBRARY = "main"
"""The name of the library: each message carries it in its meta, and commands of other libraries are refused."""

CODEC = MessageCodec(CopyLent, CopyReturned, CopyHeld, HoldForNext)


def unit_of_work_of(engine: AsyncEngine) -> AsyncUnitOfWork:
    """Return the unit of work of a database; its outbox adds the library's name to the meta of each message."""
    return AsyncUnitOfWork(engine, outbox=Outbox(OUTBOX, CODEC, meta=lambda: {"library": LIBRARY}))


def of_this_library(command: Command[object, object]) -> Result[None, NotAllowed]:
    """Return a Success for a command of this library, or else a Failure.

    Senders can put anything into meta: only the broker's permissions protect you from strangers. This check refuses
    commands that were meant for another library, and shows how to add one of your own.
    """
    return Success(None) if command.header.meta.get("library") == LIBRARY else Failure(NotAllowed())
