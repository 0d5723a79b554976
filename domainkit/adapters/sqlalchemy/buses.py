"""Buses that store messages in the outbox, for a relay to deliver."""

from collections.abc import Callable, Iterable

from returns.result import Failure, Result, Success
from sqlalchemy.exc import DBAPIError

from domainkit.adapters.sqlalchemy.async_unit_of_work import AsyncUnitOfWork
from domainkit.adapters.sqlalchemy.outbox import Outbox
from domainkit.adapters.sqlalchemy.unit_of_work import UnitOfWork
from domainkit.adapters.sqlalchemy.units import current
from domainkit.causation import Stamping
from domainkit.errors import BusCannotPublish, ConflictError, OutcomeUnknownError
from domainkit.messages import AnyCommand, DomainEvent, Message
from domainkit.ports import (
    AsyncCommandBus,
    AsyncDomainEventBus,
    CommandBus,
    DomainEventBus,
    cannot_publish,
    command_for,
    events_for,
    stored_already,
)


class _OutboxBus(Stamping):
    """The common part of the four buses."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        if unit_of_work.outbox is None:
            raise ValueError(
                f"{type(self).__name__}: expected a unit of work with an outbox, got one without; "
                "make it with UnitOfWork(engine, outbox=...)"
            )
        self._inner = unit_of_work
        self._outbox: Outbox = unit_of_work.outbox
        self._closed: list[bool] = []  # shared with the copies that with_meta makes

    def _storing(self, messages: tuple[Message, ...]) -> Callable[[], Result[None, BusCannotPublish]]:
        """Encode messages, and return a function that stores them, or one that returns the Failure why it can't."""
        refused = cannot_publish("the bus is closed") if self._closed else stored_already(messages)
        if refused is not None:
            return lambda: refused
        rows = self._outbox.rows([self._stamped(message) for message in messages])

        def store() -> Result[None, BusCannotPublish]:
            with self._inner.writing() as connection:
                self._outbox.store(connection, rows)
            return Success(None)

        return store

    def _failed(self, error: DBAPIError | OutcomeUnknownError | ConflictError) -> Failure[BusCannotPublish]:
        """Return the Failure; in an open unit of work raise the error instead, since that can't be committed."""
        if current(self._inner) is not None:
            raise error
        outcome = "may have stored it" if isinstance(error, OutcomeUnknownError) else "did not store it"
        return cannot_publish(f"the outbox {outcome} ({type(error).__name__})")


class _SyncBus(_OutboxBus):
    def close(self) -> None:
        """Refuse messages from now on. The creator of the engine disposes of it."""
        self._closed.append(True)

    def _store(self, messages: tuple[Message, ...]) -> Result[None, BusCannotPublish]:
        store = self._storing(messages)
        try:
            return self._inner._repeated(store)
        except (DBAPIError, OutcomeUnknownError, ConflictError) as error:
            return self._failed(error)


class _AsyncBus(_OutboxBus):
    def __init__(self, unit_of_work: AsyncUnitOfWork) -> None:
        super().__init__(unit_of_work.inner)
        self._unit_of_work = unit_of_work

    async def close(self) -> None:
        """Refuse messages from now on. The creator of the engine disposes of it."""
        self._closed.append(True)

    async def _store(self, messages: tuple[Message, ...]) -> Result[None, BusCannotPublish]:
        store = self._storing(messages)
        try:
            return await self._unit_of_work._repeated(store)
        except (DBAPIError, OutcomeUnknownError, ConflictError) as error:
            return self._failed(error)


class OutboxDomainEventBus(_SyncBus, DomainEventBus):
    """Stores events in the outbox of a unit of work: in the open one, or in a transaction of its own.

    After a Success they are stored, or will be with the open unit of work; a relay delivers them. Events recorded by
    aggregates need no bus: the repository stores them. The bus refuses an event that the open unit of work has stored
    already; without a unit of work, an event published twice is delivered twice.

    >>> from sqlalchemy import MetaData
    >>> from domainkit import MessageCodec
    >>> from domainkit.adapters.sqlalchemy import Outbox, UnitOfWork, make_engine, outbox_table
    >>> class TaskCreated(DomainEvent): ...
    >>> metadata = MetaData()
    >>> outbox = Outbox(outbox_table(metadata), MessageCodec(TaskCreated))
    >>> engine = make_engine("sqlite://")
    >>> metadata.create_all(engine)
    >>> OutboxDomainEventBus(UnitOfWork(engine, outbox=outbox)).publish(TaskCreated())
    <Success: None>
    >>> engine.dispose()

    Args:
        unit_of_work: one with an outbox.

    Raises:
        ValueError: it has no outbox.
    """

    def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Store an event, or several in order: all of them or none.

        A Failure if the bus is closed; with MessageRefused if the open unit of work has stored one of them already; or,
        outside of a unit of work, if the database refused them, or the connection was lost while committing.

        Raises:
            TypeError: one of them is not a DomainEvent.
            InvalidMessage: the outbox doesn't know the class of one, or can't decode it again.
        """
        return self._store(events_for(self, events))


class OutboxCommandBus(_SyncBus, CommandBus):
    """Stores commands in the outbox of a unit of work; see OutboxDomainEventBus.

    Args:
        unit_of_work: one with an outbox.

    Raises:
        ValueError: it has no outbox.
    """

    def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Store a command; a Failure as for OutboxDomainEventBus.

        Raises:
            TypeError: `command` is not a Command.
            InvalidMessage: the outbox doesn't know its class, or can't decode it again.
        """
        return self._store((command_for(self, command),))


class AsyncOutboxDomainEventBus(_AsyncBus, AsyncDomainEventBus):
    """The async twin of OutboxDomainEventBus.

    Args:
        unit_of_work: one with an outbox.

    Raises:
        ValueError: it has no outbox.
    """

    async def publish(self, events: DomainEvent | Iterable[DomainEvent]) -> Result[None, BusCannotPublish]:
        """Store an event, or several in order; see OutboxDomainEventBus."""
        return await self._store(events_for(self, events))


class AsyncOutboxCommandBus(_AsyncBus, AsyncCommandBus):
    """The async twin of OutboxCommandBus.

    Args:
        unit_of_work: one with an outbox.

    Raises:
        ValueError: it has no outbox.
    """

    async def dispatch(self, command: AnyCommand) -> Result[None, BusCannotPublish]:
        """Store a command; see OutboxCommandBus."""
        return await self._store((command_for(self, command),))
