"""Open units of work: each is a transaction, tracked by task and thread."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from inspect import CO_GENERATOR, currentframe
from threading import Lock, get_ident
from types import MappingProxyType

from attrs import define, field
from sqlalchemy import Connection, Transaction
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction

from domainkit.adapters.sqlalchemy.announcements import Announcement
from domainkit.adapters.sqlalchemy.engines import (
    has_ended,
)
from domainkit.adapters.sqlalchemy.races import conflict_of, races_as_conflicts
from domainkit.causation import storing
from domainkit.errors import ConflictError

_ABORTED = 3
"""PQTRANS_INERROR of libpq, as psycopg reports it. See https://www.postgresql.org/docs/current/libpq-status.html."""


def _here() -> tuple[int, object]:
    """Return the current thread and task."""
    try:
        return get_ident(), asyncio.current_task()
    except RuntimeError:
        return get_ident(), None


class _Turns:
    """Reentrant lock of a shared unit: one thread or task at a time works in it, and others get a RuntimeError."""

    def __init__(self) -> None:
        self._lock, self._places = Lock(), list[object]()

    def __enter__(self) -> None:
        here = _here()
        with self._lock:
            if self._places and self._places[-1] != here:
                raise RuntimeError(
                    "this unit of work: expected one task or thread at a time, got a second one while another uses it; "
                    "wait until the other has finished"
                )
            self._places.append(here)

    def __exit__(self, *_: object) -> None:
        self._places.pop()


def make_turn(*, shared: bool) -> "_Turns | nullcontext[None]":
    """Return the lock of a unit: that of a shared one lets one thread or task in at a time."""
    return _Turns() if shared else nullcontext()


@define(eq=False)
class Unit:
    """An open transaction. Unless it is shared, it belongs to one thread and task."""

    connection: Connection
    transaction: Transaction | AsyncTransaction
    outer: AsyncConnection | None = None
    turn: _Turns | nullcontext[None] = field(factory=nullcontext)
    over: bool = False
    reads: bool = False
    around: "Unit | None" = None
    broken_by: BaseException | None = None
    lost: ConflictError | None = None
    stored: set[object] = field(factory=set)
    announcements: set[Announcement] = field(factory=set)
    place: tuple[int, object] = field(factory=_here)

    @property
    def shared(self) -> bool:
        """True if every thread and task with its context may work in it."""
        return isinstance(self.turn, _Turns)

    @property
    def only_reads(self) -> bool:
        """True if it stores nothing: it, or an outer unit of the same transaction, was begun by `reading`."""
        around = self.around
        return self.reads or (around is not None and around.connection is self.connection and around.only_reads)

    def announce(self, announcement: Announcement) -> None:
        """Make an announcement after the commit; one that a rollback leaves without a reason is harmless."""
        unit = self
        while unit.around is not None and unit.around.connection is self.connection:
            unit = unit.around
        unit.announcements.add(announcement)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield the connection for a write; if the write fails, the unit can't be committed."""
        if self.only_reads:
            raise RuntimeError(
                "this unit of work: expected reads only, since `reading` began it, got a write; write in a unit of "
                "work that `begin` or `atomic` began"
            )
        with self.working() as connection:
            try:
                yield connection
            except BaseException as error:
                self.broken_by = error
                raise

    @contextmanager
    def working(self) -> Iterator[Connection]:
        """Yield the connection, for one thread or task at a time; ConflictError if a race is or was lost in it."""
        self.require_no_loss()
        with self.turn:
            try:
                yield self.connection
            except DBAPIError as error:
                conflict = conflict_of(error)
                if conflict is None:
                    raise
                self.lost = conflict
                raise conflict from error

    def require_no_loss(self) -> None:
        """Raise ConflictError if the transaction has lost a race, or RuntimeError if SQLite has ended it otherwise."""
        if self.lost is not None:
            raise ConflictError(additional_info=self.lost.additional_info) from self.lost
        if has_ended(self.connection):
            raise RuntimeError(
                "this unit of work: expected an open transaction, got one that SQLite rolled back when a statement "
                "failed, and the exception was caught; let the exception end the unit of work, and repeat all of it"
            )

    def check_whole(self) -> None:
        """Raise RuntimeError if a write or statement failed and the exception was caught: a commit would be partial.

        PostgreSQL would answer COMMIT with ROLLBACK, which drivers treat as success.
        """
        self.require_no_loss()
        info = getattr(self.connection.connection.driver_connection, "info", None)
        if self.broken_by is not None:
            failed = f"a write failed with {type(self.broken_by).__qualname__}"
        elif getattr(info, "transaction_status", None) == _ABORTED:
            failed = "a statement failed, and the exception was caught"
        else:
            return
        raise RuntimeError(
            f"this unit of work can't be committed: {failed}; if that is expected, put a nested unit of work around "
            "it, so that only that part is rolled back"
        ) from self.broken_by


_NONE: Mapping[object, Unit] = MappingProxyType({})


_OPEN: ContextVar[Mapping[object, Unit]] = ContextVar("domainkit.units_of_work", default=_NONE)
"""The innermost open unit of each UnitOfWork, in the context: each task and thread has its own."""


def current(owner: object) -> Unit | None:
    """Return the open unit of a UnitOfWork.

    Raises:
        RuntimeError: it belongs to another task or thread: a transaction can't run statements concurrently.
    """
    unit = _open(owner)
    if unit is not None and not unit.shared and unit.place != _here():
        raise RuntimeError(
            "this unit of work belongs to another task or thread: begin a new one in the task that does the work, do "
            "the work before that task starts, or begin this one with `async with unit_of_work.begin_shared()`"
        )
    return unit


def _open(owner: object) -> Unit | None:
    """Return the innermost unit that hasn't ended: a task started in a unit may outlive it, with its context.

    So may a context whose unit ended in another context, or was interrupted before it could set `over`.
    """
    unit = _OPEN.get().get(owner)
    while unit is not None and (unit.over or not unit.transaction.is_active):
        unit = unit.around
    return unit


@contextmanager
def entered(owner: object, unit: Unit) -> Iterator[None]:
    """Make a unit the open one of a UnitOfWork for the `with` block, and check it at the end."""
    unit.around = _open(owner)
    token, elsewhere = _OPEN.set({**_OPEN.get(), owner: unit}), False
    try:
        with races_as_conflicts(), storing(lambda: unit.transaction.is_active) as unit.stored:
            yield
    finally:
        unit.over = True
        try:
            _OPEN.reset(token)
        except ValueError:  # contextvars: the token was created in another context
            elsewhere = True
    if elsewhere and not unit.shared:
        raise RuntimeError(
            "this unit of work ended in another context than it began in (for example, another task or thread closed "
            "its generator), so nothing of it is stored; begin and end it in one function, or use `begin_shared`"
        )
    if not unit.only_reads:
        unit.check_whole()


_POOLS = frozenset({"anyio", "concurrent", "starlette", "trio"})
"""Packages that run one step of a generator in a thread, with a context that they discard afterwards."""


def require_lasting_context() -> None:
    """Refuse to begin a unit in a generator that a thread pool runs step by step: its context ends with the step.

    A sync dependency of FastAPI is one. In the stack, only generators are between the pool and here.
    """
    frame = currentframe()
    frame = None if frame is None else frame.f_back
    while frame is not None and (
        frame.f_code.co_flags & CO_GENERATOR or frame.f_globals.get("__name__") == "contextlib"
    ):
        frame = frame.f_back
    if frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _POOLS:
        raise RuntimeError(
            "this unit of work is begun by a generator that a thread pool runs step by step, such as a sync dependency "
            "of FastAPI: code between the steps would not be in it; write an `async def` dependency with "
            "`async with unit_of_work.begin_shared(): yield` instead"
        )


def require_none(owner: object) -> None:
    """Raise RuntimeError if a unit of a UnitOfWork is open here."""
    if _open(owner) is not None:
        raise RuntimeError("begin_shared: expected no open unit of work, got one; begin a nested one with `begin`")
