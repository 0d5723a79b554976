"""Streams of events in a SQL database, for async code."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, overload

from returns.result import Failure, Result, Success
from sqlalchemy import Connection, Table

from domainkit.adapters.sqlalchemy.async_unit_of_work import AsyncUnitOfWork, Coro
from domainkit.adapters.sqlalchemy.engines import NO_OPTIONS
from domainkit.adapters.sqlalchemy.event_appends import NO_LIMIT, is_final, lost_closing
from domainkit.adapters.sqlalchemy.event_store import SqlEventStore
from domainkit.codec import MessageCodec
from domainkit.errors import ConflictError
from domainkit.event_store import (
    Appended,
    AsyncEventStore,
    E,
    ExpectedRevision,
    Q,
    RecordedEvent,
    RevisionConflict,
    S,
    StreamClosed,
    StreamId,
    UnreadableEvent,
    check_range,
    events_of,
    stream_and_expected,
    stream_name,
)
from domainkit.projections import Projection
from domainkit.tags import AppendCondition, ConditionConflict, Decision, EventQuery, selections

X = TypeVar("X")


class AsyncSqlEventStore(AsyncEventStore[E], Generic[E]):
    """The async twin of SqlEventStore: it runs the work of one in the `run` of an AsyncUnitOfWork.

    Args:
        unit_of_work: a unit of work of the database with the table.
        table: a table made by `events_table`.
        codec: the closed set of the events.
        tags: made by `event_tags_table`, as for SqlEventStore.
        wakes: as for SqlEventStore.

    Raises:
        ValueError: as SqlEventStore does.
    """

    def __init__(
        self,
        unit_of_work: AsyncUnitOfWork,
        table: Table,
        codec: MessageCodec[E],
        *,
        tags: Table | None = None,
        wakes: bool = True,
    ) -> None:
        self._unit_of_work = unit_of_work
        self._inner = SqlEventStore(unit_of_work.inner, table, codec, tags=tags, wakes=wakes)

    @overload
    async def append(
        self, stream: StreamId, events: Sequence[E], /, *, expected: ExpectedRevision
    ) -> Result[Appended, RevisionConflict]: ...
    @overload
    async def append(
        self, events: Sequence[E], condition: AppendCondition, /, *, stream: StreamId | None = None
    ) -> Result[Appended, ConditionConflict | StreamClosed]: ...
    async def append(
        self,
        first: StreamId | Sequence[E],
        second: Sequence[E] | AppendCondition,
        /,
        *,
        expected: ExpectedRevision | None = None,
        stream: StreamId | None = None,
    ) -> Result[Appended, RevisionConflict] | Result[Appended, ConditionConflict | StreamClosed]:
        """Append events, all of them or none; see SqlEventStore."""
        if isinstance(second, AppendCondition):
            work = self._inner._conditional(events_of(first, expected), second, stream)
            if isinstance(work, Success):
                return work
            inner, unit_of_work = self._inner, self._unit_of_work
            if inner._begins_by_itself():
                conditioned = await self._retried(
                    lambda: unit_of_work._run_committing(lambda connection: inner._stored_in_own(connection, work)),
                    ConditionConflict,
                )
            else:
                conditioned = await self._retried(
                    lambda: self._in_transaction(
                        lambda connection: inner._stored_if_on(connection, work), inner._for_condition
                    ),
                    ConditionConflict,
                )
            return inner._announced(conditioned)
        return await self._append_expected(*stream_and_expected(first, expected, stream), second)

    @overload
    async def decide(
        self, query: EventQuery[Q], projection: Projection[S, Q], /
    ) -> Result[Decision[S], UnreadableEvent]: ...
    @overload
    async def decide(
        self, query: EventQuery, projection: Projection[S, E], /
    ) -> Result[Decision[S], UnreadableEvent]: ...
    async def decide(
        self, query: EventQuery, projection: Projection[S, Any], /
    ) -> Result[Decision[S], UnreadableEvent]:  # Any: the events of the query, which the overloads check
        """Return the state after the events of a query, and the condition for what is decided on it.

        See SqlEventStore.
        """
        inner, run = self._inner, self._unit_of_work.run
        wanted, upto = selections(query, inner._codec), NO_LIMIT
        inner._tagged()
        if not all(one.tags for one in wanted):
            is_inside, settled = inner._is_inside(), await run(inner._settled, read_only=True)
            upto = inner._upto(settled, is_inside=is_inside, what="decide")
        return await run(lambda: inner._decided(query, projection, wanted, upto), read_only=True)

    async def _append_expected(
        self, stream: StreamId, expected: ExpectedRevision, events: Sequence[E]
    ) -> Result[Appended, RevisionConflict]:
        inner, unit_of_work = self._inner, self._unit_of_work
        given = inner._append(stream, events, expected)
        if inner._commits_by_itself(given):
            appended = await self._retried(
                lambda: unit_of_work._run_committing(
                    lambda connection: inner._stored_on(connection, given, alone=True)
                ),
                given.lost,
            )
        else:
            appended = await self._retried(
                lambda: self._in_transaction(lambda connection: inner._stored_on(connection, given)), given.lost
            )
        return inner._announced(appended)

    async def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of a stream, the oldest first; see SqlEventStore."""
        inner = self._inner
        return await self._unit_of_work.run(
            lambda: inner.read(stream, after=after, limit=limit, backwards=backwards), read_only=True
        )

    async def read_all(
        self, *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent[E] | UnreadableEvent]:
        """Return events of all streams by position, the oldest first; see SqlEventStore."""
        check_range(after, limit)
        inner, is_inside = self._inner, self._inner._is_inside()
        settled = await self._unit_of_work.run(inner._settled, read_only=True)
        upto = inner._upto(settled, is_inside=is_inside, what="read_all")
        if upto <= after:
            return ()
        return await self._unit_of_work.run(lambda: inner._read_all(after, upto, limit), read_only=True)

    async def archive(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Close a stream: it can be read, and nothing can be appended to it any more; see SqlEventStore."""
        return await self._closed(stream_name(stream), is_deleted=False)

    async def delete(self, stream: StreamId, /) -> Result[Appended, RevisionConflict]:
        """Remove the events of a stream, for ever, and keep its name; see SqlEventStore."""
        return await self._closed(stream_name(stream), is_deleted=True)

    async def _closed(self, name: str, *, is_deleted: bool) -> Result[Appended, RevisionConflict]:
        work = partial(self._inner._closed, name, is_deleted=is_deleted)
        return await self._retried(lambda: self._unit_of_work.run(work), lambda: lost_closing(name))

    async def _in_transaction(
        self, work: Callable[[Connection], X], options: Mapping[str, Any] = NO_OPTIONS
    ) -> X:  # Any: the options are those of SQLAlchemy
        """Do work in the open unit of work, or in a transaction of its own with these options; see SqlEventStore."""
        if not self._inner._is_inside():
            return await self._unit_of_work._run_alone(work, options)
        return await self._unit_of_work.run(lambda: self._inner._in_transaction(work))

    async def _retried(
        self, work: Callable[[], Coro[Result[Appended, X]]], lost: Callable[[], X]
    ) -> Result[Appended, X]:
        """Retry if PostgreSQL aborted the transaction because another one was faster; see SqlEventStore."""
        is_inside = self._inner._is_inside()
        while True:
            try:
                return await work()
            except ConflictError as error:
                if is_final(error, is_inside=is_inside):
                    return Failure(lost())
