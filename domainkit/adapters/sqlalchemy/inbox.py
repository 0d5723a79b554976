"""The messages that each handler has handled: stored in the transaction of what it did, so that it is done once.

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
from domainkit.adapters.sqlalchemy.statements import insert_new
from domainkit.adapters.sqlalchemy.tables import inbox_table, require_columns
from domainkit.adapters.sqlalchemy.unit_of_work import ATOMIC_ADDS, AsyncUnitOfWork, Coro, UnitOfWork
from domainkit.errors import ConflictError, InvalidMessage, OutcomeUnknownError
from domainkit.handlers import is_async
from domainkit.messages import DomainEvent, M, Message, MessageHeader, wire_of
from domainkit.results import full_name_of, name_of, named_as

T = TypeVar("T")
E = TypeVar("E")
EventT = TypeVar("EventT", bound=DomainEvent)

_BATCH = 1_000


class MessageIdReusedError(Exception):
    """A message has the id of another one that the handler has handled: nothing was done, and nothing is marked.

    Whoever made it gave an id twice, or somebody wants it to be taken for the other one. As any exception of a handler
    it is a failed delivery: the message becomes a dead letter, for a person to look at.
    """


class Inbox:
    """Lets each handler do its work once for a message, however often a broker delivers it.

    The work of the handler and a mark (id of the message, name of the handler) are one unit of work: both are stored,
    or nothing. Of two deliveries at the same time the second waits for the first.

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
        unit_of_work: of the database where the table is, and where the handlers store what they do.

    Raises:
        ValueError: `table` is another one.
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
        """Return a handler that does the work of `handler` once for a message; `handled_by` takes it.

        For a message that was handled before it returns Success(None), and `handler` isn't called. A Failure or an
        exception of `handler` takes back what it did, with the mark: the message may come again. A Failure with
        OutcomeUnknownError says that the connection was lost while committing: the next delivery finds out. One with
        ConflictError says that another transaction got in the way, such as that of another delivery, at the isolation
        levels REPEATABLE READ and SERIALIZABLE of PostgreSQL, or by a deadlock.

        Args:
            handler: what handles a message, and stores what it does by repositories of the same unit of work. One that
                returns nothing has succeeded, where the message is an event.
            name: what `handler` is known by in the table, for ever: under another name it handles messages again that
                it has handled. Its module and qualified name unless given, which change when it is moved.

        Raises:
            TypeError: `handler` is a coroutine function, which belongs into an AsyncInbox. Or, when it runs: it
                returned no Result.
            MessageIdReusedError: when it runs: the message has the id of another one that was handled.
            ValueError: `handler` has no name that lasts, since it is a lambda or defined in a function; or another
                handler of this inbox has the name.
        """
        if is_async(handler):
            raise TypeError(f"Inbox.once: {name_of(handler)} is a coroutine function; use an AsyncInbox")
        known_by = self._name_of(handler, name)

        def step(message: M) -> Result[object, object]:
            if not self._mark(message, known_by):
                return Success(None)
            return _result(handler, message, handler(message))

        return named_as(self._unit_of_work.atomic(step), handler, adds=ATOMIC_ADDS)

    def clean(self, older_than: timedelta, *, batch: int = _BATCH) -> int:
        """Forget what was handled before some time, and return how many marks that were.

        A message that is delivered again after that is handled again: let `older_than` be longer than any broker
        keeps a message, and than any outbox may send one again.

        Args:
            older_than: how long ago: days rather than hours.
            batch: how many marks one transaction deletes at most, so that no handler waits long.

        Raises:
            ValueError: `older_than` or `batch` isn't above 0.
        """
        before, total = _moment(older_than, batch), 0
        while (deleted := self._forget(before, batch)) == batch:
            total += deleted
        return total + deleted

    def _name_of(self, handler: object, name: str | None) -> str:
        """Return the name that marks a handler, and keep it for no other."""
        found = full_name_of(handler) if name is None else name
        if name is None and "<" in found:  # of <locals> and <lambda>
            raise ValueError(
                f"once: {found} is a lambda, or defined in a function: there may be several; give it `name=`"
            )
        if not found or self._named.setdefault(found, handler) != handler:
            raise ValueError(f"once: {found!r} is empty, or the name of another handler of this inbox; give `name=`")
        return found

    def _mark(self, message: Message, name: str) -> bool:
        """Store a mark in an open unit of work, and return if it is new.

        Raises MessageIdReusedError where the mark is of another message.
        """
        values = {"message_id": message.header.id.value, "handler": name, "handled_at": datetime.now(UTC)}
        with self._unit_of_work.writing() as connection:
            # If another transaction has stored the same mark it waits for the end of that, and then adds nothing
            # unless that was rolled back: https://www.postgresql.org/docs/current/transaction-iso.html
            statement = insert_new(self.table, connection.dialect.name, *self._key)
            digest = _digest(message) if self._keeps_digests(connection) else None
            if connection.execute(statement, values if digest is None else {**values, "digest": digest}).rowcount == 1:
                return True
            if digest is not None:
                of_this = tuple_(*self._key) == tuple_(values["message_id"], name)
                _refuse_another(connection.scalar(select(self.table.c.digest).where(of_this)), digest, message, name)
            return False

    def _keeps_digests(self, connection: Connection) -> bool:
        """Return True if the table in the database has the column; earlier versions made it without."""
        if self._has_digests is None:
            found = connection.execute(select(text("*")).select_from(self.table).where(false()))
            self._has_digests = "digest" in found.keys()  # noqa: SIM118  (a result is no mapping)
        return self._has_digests

    def _forget(self, before: datetime, batch: int) -> int:
        """Delete the oldest marks, and return how many."""
        handled_at = self.table.c.handled_at
        oldest = select(*self._key).where(handled_at < before).order_by(handled_at).limit(batch)
        with self._unit_of_work.writing() as connection:
            return connection.execute(delete(self.table).where(tuple_(*self._key).in_(oldest))).rowcount


class AsyncInbox:
    """The async twin of Inbox: for coroutine functions, and repositories of an AsyncUnitOfWork.

    Args:
        table: made by `inbox_table`.
        unit_of_work: of the database where the table is, and where the handlers store what they do.
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
        """Return a coroutine function that does the work of `handler` once for a message; see Inbox.once.

        Args:
            handler: a coroutine function, or another that returns an awaitable.
            name: what `handler` is known by in the table, for ever; its module and qualified name unless given.

        Raises:
            TypeError: when it runs: `handler` returned no awaitable, or no Result came of it.
            MessageIdReusedError: when it runs: the message has the id of another one that was handled.
            ValueError: as for Inbox.once.
        """
        known_by = self._inner._name_of(handler, name)

        async def step(message: M) -> Result[object, object]:
            if not await self._unit_of_work.run(lambda: self._inner._mark(message, known_by)):
                return Success(None)
            return _result(handler, message, await handler(message))

        return named_as(self._unit_of_work.atomic(step), handler, adds=ATOMIC_ADDS)

    async def clean(self, older_than: timedelta, *, batch: int = _BATCH) -> int:
        """Forget what was handled before some time, and return how many marks that were; see Inbox.clean.

        Args:
            older_than: how long ago: days rather than hours.
            batch: how many marks one transaction deletes at most.

        Raises:
            ValueError: `older_than` or `batch` isn't above 0.
        """
        before, total = _moment(older_than, batch), 0
        while (deleted := await self._unit_of_work.run(lambda: self._inner._forget(before, batch))) == batch:
            total += deleted
        return total + deleted


def _digest(message: Message) -> str | None:
    """Return what tells a message from another of its id: the version of its class, and a digest of what it says.

    Meta is not of it: it may be another one where a message is sent again. None for a class that only a codec with
    hooks of its user's can write.
    """
    bare = copy_with(message, header=MessageHeader(message.header.id, message.header.occurred_on))
    try:
        written = wire_of(type(message)).encode(bare)
    except (TypeError, InvalidMessage):
        return None
    return f"{type(message).info().version}:{sha256(written).hexdigest()}"


def _refuse_another(known: str | None, digest: str, message: Message, name: str) -> None:
    """Raise MessageIdReusedError where the mark of a message is of another one; between versions nobody can tell."""
    if known is None or known == digest or known.partition(":")[0] != digest.partition(":")[0]:
        return
    raise MessageIdReusedError(
        f"the inbox of {name}: expected the {type(message).__qualname__} that was handled as {message.header.id}, got "
        "another message of that id; give each message an id of its own"
    )


def _result(handler: object, message: Message, outcome: object) -> Result[object, object]:
    """Return the Result; anything else is a bug, and must not leave a mark."""
    if isinstance(outcome, Success | Failure):
        return outcome
    if outcome is None and isinstance(message, DomainEvent):
        return Success(None)
    if iscoroutine(outcome):
        outcome.close()  # nobody awaits it
    raise TypeError(f"{name_of(handler)} must return a Result, not a {type(outcome).__qualname__}")


def _moment(older_than: timedelta, batch: int) -> datetime:
    if older_than <= timedelta(0) or batch < 1:
        raise ValueError("clean: `older_than` and `batch` must be above 0; what is handled right now is needed")
    return datetime.now(UTC) - older_than
