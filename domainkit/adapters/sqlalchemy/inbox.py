"""The inbox: it makes handlers idempotent, by storing a mark for each handled message in the transaction of its work.

See Richardson, Microservices Patterns (2018), Handling duplicate messages; Hohpe and Woolf, Enterprise Integration
Patterns (2003), Idempotent Receiver.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from inspect import iscoroutine
from typing import TypeVar, overload

from returns.result import Failure, Result, Success
from sqlalchemy import Connection, Table, delete, false, select, text, tuple_

from domainkit._model.immutability import copy_with
from domainkit.adapters.sqlalchemy.async_unit_of_work import AsyncUnitOfWork, Coro
from domainkit.adapters.sqlalchemy.statements import insert_new
from domainkit.adapters.sqlalchemy.tables import inbox_table, require_columns
from domainkit.adapters.sqlalchemy.unit_of_work import ATOMIC_ADDS, UnitOfWork
from domainkit.errors import ConflictError, InvalidMessage, OutcomeUnknownError
from domainkit.handlers import is_async
from domainkit.ids import text_refusal
from domainkit.messages import DomainEvent, M, Message, MessageHeader, wire_of
from domainkit.results import full_name_of, name_of, named_as

T = TypeVar("T")
E = TypeVar("E")
EventT = TypeVar("EventT", bound=DomainEvent)

_BATCH = 1_000


class MessageIdReusedError(Exception):
    """The handler has handled a different message with this id: the handler was not called, and no mark is stored.

    The producer used an id twice, or someone forged the message. Like any exception of a handler it is a failed
    delivery: the message becomes a dead letter, for a person to inspect.
    """


class Inbox:
    """Makes handlers idempotent: each does its work once for a message, however often the broker delivers it.

    The work of the handler and a mark (message id, handler name) are one unit of work: both are stored, or neither.
    If two deliveries arrive concurrently, the second waits for the first.

    >>> from sqlalchemy import MetaData
    >>> from domainkit import DomainEvent
    >>> from domainkit.adapters.sqlalchemy import inbox_table, make_engine
    >>> metadata, engine = MetaData(), make_engine("sqlite://")
    >>> inbox = Inbox(inbox_table(metadata), UnitOfWork(engine))
    >>> metadata.create_all(engine)
    >>> class TaskCreated(DomainEvent): ...
    >>> def greet(event: TaskCreated) -> None:
    ...     print("hello")
    >>> event, greet_once = TaskCreated(), inbox.once(greet)
    >>> greet_once(event), greet_once(event)
    hello
    (<Success: None>, <Success: None>)
    >>> engine.dispose()

    Args:
        table: made by `inbox_table`.
        unit_of_work: for the database of the table, in which the handlers store their work.

    Raises:
        ValueError: `table` is not an inbox table.
    """

    def __init__(self, table: Table, unit_of_work: UnitOfWork) -> None:
        require_columns(table, inbox_table, besides=frozenset({"digest"}))
        self.table: Table = table
        self._key = (table.c.message_id, table.c.handler)
        self._unit_of_work = unit_of_work
        self._named: dict[str, object] = {}
        self._has_digests: bool | None = None if "digest" in table.c else False

    @overload
    def once(
        self, handler: Callable[[EventT], None], *, name: str | None = None
    ) -> Callable[[EventT], Result[None, OutcomeUnknownError | ConflictError]]: ...
    @overload
    def once(
        self, handler: Callable[[EventT], Result[T, E] | None], *, name: str | None = None
    ) -> Callable[[EventT], Result[T | None, E | OutcomeUnknownError | ConflictError]]: ...
    @overload
    def once(
        self, handler: Callable[[M], Result[T, E]], *, name: str | None = None
    ) -> Callable[[M], Result[T | None, E | OutcomeUnknownError | ConflictError]]: ...
    def once(self, handler: Callable[[M], object], *, name: str | None = None) -> Callable[[M], Result[object, object]]:
        """Return a handler that does the work of `handler` once for each message, to pass to `handled_by`.

        For a message that was handled before, it returns Success(None) without calling `handler`. A Failure or an
        exception of `handler` rolls back its work and the mark, so the message may be redelivered. A Failure with
        OutcomeUnknownError says that the connection was lost while committing: a redelivery settles it. A Failure with
        ConflictError says that a race was lost, for example with another delivery: in a deadlock, or at PostgreSQL's
        isolation levels REPEATABLE READ and SERIALIZABLE.

        Args:
            handler: handles a message, and stores its work by repositories of the same unit of work. If the message is
                an event, it may return None for success.
            name: the permanent name of `handler` in the table: under another name it handles all messages again. By
                default its module and qualified name, which change when it is moved.

        Raises:
            TypeError: `handler` is a coroutine function, which needs an AsyncInbox; or, when it runs, it didn't return
                a Result.
            MessageIdReusedError: when it runs: a different message with the same id was handled.
            ValueError: `handler` has no permanent name, since it is a lambda or defined in a function; or the name
                can't be stored; or another handler of this inbox has it.
        """
        if is_async(handler):
            raise TypeError(
                f"Inbox.once: expected a plain function, got the coroutine function {name_of(handler)}; "
                "use an AsyncInbox"
            )
        handler_name = self._name_of(handler, name)

        def step(message: M) -> Result[object, object]:
            if not self._mark(message, handler_name):
                return Success(None)
            return _result(handler, message, handler(message))

        return named_as(self._unit_of_work.atomic(step), handler, adds=ATOMIC_ADDS)

    def clean(self, older_than: timedelta, *, batch: int = _BATCH) -> int:
        """Delete old marks, and return their number.

        A message that is redelivered after that is handled again: choose `older_than` longer than any broker keeps a
        message, and any outbox may resend one.

        Args:
            older_than: the minimum age of the marks: days rather than hours.
            batch: the maximum number of marks that one transaction deletes, so that handlers don't wait long.

        Raises:
            ValueError: `older_than` or `batch` isn't above 0.
        """
        before, total = _cutoff(older_than, batch), 0
        while (deleted := self._delete_marks(before, batch)) == batch:
            total += deleted
        return total + deleted

    def _name_of(self, handler: object, name: str | None) -> str:
        """Return the name for the marks of a handler, and reserve it."""
        found = full_name_of(handler) if name is None else name
        if name is None and "<" in found:  # of <locals> and <lambda>
            raise ValueError(
                f"once: expected a handler with a unique name, got {found}, a lambda or local function; pass `name=`"
            )
        refusal = text_refusal(found)
        if refusal is not None:
            raise ValueError(f"once: expected {refusal} as the name of a handler, got another; pass another `name=`")
        if not found or self._named.setdefault(found, handler) != handler:
            raise ValueError(f"once: expected a name that no other handler has here, got {found!r}; pass `name=`")
        return found

    def _mark(self, message: Message, name: str) -> bool:
        """Store a mark in the open unit of work; return False if it exists already.

        Raises MessageIdReusedError if the mark belongs to a different message.
        """
        values = {"message_id": message.header.id.value, "handler": name, "handled_at": datetime.now(UTC)}
        with self._unit_of_work.writing() as connection:
            # If another transaction has stored the same mark, this waits for its end, and then inserts nothing unless
            # that was rolled back: https://www.postgresql.org/docs/current/transaction-iso.html
            statement = insert_new(self.table, connection.dialect.name, *self._key)
            digest = _digest(message) if self._keeps_digests(connection) else None
            if connection.execute(statement, values if digest is None else {**values, "digest": digest}).rowcount == 1:
                return True
            if digest is not None:
                of_this = tuple_(*self._key) == tuple_(values["message_id"], name)
                _refuse_another(connection.scalar(select(self.table.c.digest).where(of_this)), digest, message, name)
            return False

    def _keeps_digests(self, connection: Connection) -> bool:
        """Return True if the table in the database has the column `digest`; earlier versions created none."""
        if self._has_digests is None:
            found = connection.execute(select(text("*")).select_from(self.table).where(false()))
            self._has_digests = "digest" in found.keys()  # noqa: SIM118  (a result is no mapping)
        return self._has_digests

    def _delete_marks(self, before: datetime, batch: int) -> int:
        """Delete the oldest marks, and return their number."""
        handled_at = self.table.c.handled_at
        oldest = select(*self._key).where(handled_at < before).order_by(handled_at).limit(batch)
        with self._unit_of_work.writing() as connection:
            return connection.execute(delete(self.table).where(tuple_(*self._key).in_(oldest))).rowcount


class AsyncInbox:
    """The async twin of Inbox, for coroutine functions and repositories of an AsyncUnitOfWork.

    Args:
        table: made by `inbox_table`.
        unit_of_work: for the database of the table, in which the handlers store their work.
    """

    def __init__(self, table: Table, unit_of_work: AsyncUnitOfWork) -> None:
        self.table: Table = table
        self._unit_of_work = unit_of_work
        self._inner = Inbox(table, unit_of_work.inner)

    @overload
    def once(
        self, handler: Callable[[EventT], Awaitable[None]], *, name: str | None = None
    ) -> Callable[[EventT], Coro[Result[None, OutcomeUnknownError | ConflictError]]]: ...
    @overload
    def once(
        self, handler: Callable[[EventT], Awaitable[Result[T, E] | None]], *, name: str | None = None
    ) -> Callable[[EventT], Coro[Result[T | None, E | OutcomeUnknownError | ConflictError]]]: ...
    @overload
    def once(
        self, handler: Callable[[M], Awaitable[Result[T, E]]], *, name: str | None = None
    ) -> Callable[[M], Coro[Result[T | None, E | OutcomeUnknownError | ConflictError]]]: ...
    def once(
        self, handler: Callable[[M], Awaitable[object]], *, name: str | None = None
    ) -> Callable[[M], Coro[Result[object, object]]]:
        """Return a coroutine function that does the work of `handler` once for each message; see Inbox.once.

        Args:
            handler: a coroutine function, or another callable that returns an awaitable.
            name: the permanent name of `handler` in the table; by default its module and qualified name.

        Raises:
            TypeError: when it runs: `handler` didn't return an awaitable of a Result.
            MessageIdReusedError: when it runs: a different message with the same id was handled.
            ValueError: as for Inbox.once.
        """
        handler_name = self._inner._name_of(handler, name)

        async def step(message: M) -> Result[object, object]:
            if not await self._unit_of_work.run(lambda: self._inner._mark(message, handler_name)):
                return Success(None)
            return _result(handler, message, await handler(message))

        return named_as(self._unit_of_work.atomic(step), handler, adds=ATOMIC_ADDS)

    async def clean(self, older_than: timedelta, *, batch: int = _BATCH) -> int:
        """Delete old marks, and return their number; see Inbox.clean.

        Args:
            older_than: the minimum age of the marks: days rather than hours.
            batch: the maximum number of marks that one transaction deletes.

        Raises:
            ValueError: `older_than` or `batch` isn't above 0.
        """
        before, total = _cutoff(older_than, batch), 0
        while (deleted := await self._unit_of_work.run(lambda: self._inner._delete_marks(before, batch))) == batch:
            total += deleted
        return total + deleted


def _digest(message: Message) -> str | None:
    """Return the class version and a digest of a message, to detect another message with the same id.

    Meta is left out, since it may change when a message is resent. Return None for a class that can be encoded only by
    a codec with the user's own hooks.
    """
    bare = copy_with(message, header=MessageHeader(message.header.id, message.header.occurred_on))
    try:
        written = wire_of(type(message)).encode(bare)
    except (TypeError, InvalidMessage):
        return None
    return f"{type(message).info().version}:{sha256(written).hexdigest()}"


def _refuse_another(known: str | None, digest: str, message: Message, name: str) -> None:
    """Raise MessageIdReusedError if the mark belongs to a different message; different versions can't be compared."""
    if known is None or known == digest or known.partition(":")[0] != digest.partition(":")[0]:
        return
    raise MessageIdReusedError(
        f"the inbox of {name}: expected the {type(message).__qualname__} that was handled as {message.header.id}, got "
        "a different message with that id; give each message its own id"
    )


def _result(handler: object, message: Message, outcome: object) -> Result[object, object]:
    """Return the Result; TypeError for another value, so that no mark is stored."""
    if isinstance(outcome, Success | Failure):
        return outcome
    if outcome is None and isinstance(message, DomainEvent):
        return Success(None)
    if iscoroutine(outcome):
        outcome.close()  # it will not be awaited
    raise TypeError(
        f"{name_of(handler)}: expected a Result, got {type(outcome).__qualname__}; return Success(...) or Failure(...)"
    )


def _cutoff(older_than: timedelta, batch: int) -> datetime:
    """Return the time before which marks are old; ValueError if an argument isn't above 0."""
    if older_than <= timedelta(0) or batch < 1:
        raise ValueError(
            f"clean: expected `older_than` and `batch` above 0, got {older_than!r} and {batch}; pass larger ones: the "
            "newest marks are still needed"
        )
    return datetime.now(UTC) - older_than
