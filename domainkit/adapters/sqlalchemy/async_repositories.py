"""Async repositories of aggregates in SQL: the twin of SqlCrudRepository, which it wraps."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Generic, Never, overload

from cattrs import Converter
from returns.result import Result, Success
from sqlalchemy import ColumnElement, Table

from domainkit.adapters.sqlalchemy.async_unit_of_work import AsyncUnitOfWork
from domainkit.adapters.sqlalchemy.children import TablesMapper
from domainkit.adapters.sqlalchemy.mappers import RowMapper
from domainkit.adapters.sqlalchemy.queries import Keyset, OrderBy
from domainkit.adapters.sqlalchemy.repositories import BATCH, SqlCrudRepository, Where
from domainkit.aggregates import IdentifiedBy
from domainkit.errors import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    ConflictError,
)
from domainkit.ports import AggT, AsyncCrudRepository, IdT
from domainkit.states import StateUpcaster


class AsyncSqlCrudRepository(AsyncCrudRepository[AggT, IdT], Generic[AggT, IdT]):
    """The async twin of SqlCrudRepository. It wraps one, and runs its methods in the `run` of an AsyncUnitOfWork.

    Args:
        aggregate_type: as for SqlCrudRepository.
        table: as for SqlCrudRepository.
        unit_of_work: for the database of the table.
        converter: as for SqlCrudRepository.
        upcasters: as for SqlCrudRepository.
        mapper: as for SqlCrudRepository.
        order_by: as for SqlCrudRepository.
        repository_name: shown in errors; by default the name of the class.

    Raises:
        TypeError: as for SqlCrudRepository.
        UnsupportedTypeError: as for SqlCrudRepository.
        ValueError: as for SqlCrudRepository.
    """

    def __init__(  # noqa: PLR0913  (options, each with a default)
        self,
        aggregate_type: IdentifiedBy[AggT, IdT],
        table: Table,
        unit_of_work: AsyncUnitOfWork,
        *,
        converter: Converter | None = None,
        upcasters: Sequence[StateUpcaster] = (),
        mapper: RowMapper[AggT] | TablesMapper[AggT] | None = None,
        order_by: ColumnElement[Any] | None = None,  # Any: of a column of any type
        repository_name: str | None = None,
    ) -> None:
        self._unit_of_work = unit_of_work
        self._inner = SqlCrudRepository[AggT, IdT](
            aggregate_type,
            table,
            unit_of_work.inner,
            converter=converter,
            upcasters=upcasters,
            mapper=mapper,
            order_by=order_by,
            repository_name=repository_name or type(self).__name__,
        )

    async def save(self, aggregate: AggT) -> Result[AggT, AggregateAlreadyExistError]:
        """Store a new aggregate, and return the stored one; see SqlCrudRepository."""
        return await self._unit_of_work._write(self._inner._saving(aggregate))

    async def save_all(self, aggregates: Iterable[AggT]) -> Result[tuple[AggT, ...], AggregateAlreadyExistError]:
        """Store new aggregates, all of them or none; see SqlCrudRepository."""
        given = tuple(aggregates)
        return await self._unit_of_work._write(self._inner._saving_all(given)) if given else Success(())

    async def retrieve(self, aggregate_id: IdT) -> Result[AggT, AggregateNotFoundError]:
        """Return the aggregate with this id, without recorded events; see SqlCrudRepository."""
        found = await self._unit_of_work._read(self._inner._retrieving(aggregate_id))
        return self._inner._retrieved(aggregate_id, found)

    async def update(self, aggregate: AggT) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Store a changed aggregate, and return it with its version raised by one; see SqlCrudRepository."""
        try:
            return await self._unit_of_work._write(self._inner._updating(aggregate))
        except ConflictError as error:
            return self._inner._lost_race(error, aggregate)

    async def remove(self, aggregate_id: IdT) -> Result[None, AggregateNotFoundError]:
        """Remove the aggregate with this id, regardless of its version; see SqlCrudRepository."""
        return await self._unit_of_work._write(self._inner._removing(aggregate_id))

    async def remove_aggregate(
        self, aggregate: AggT
    ) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Remove an aggregate, and store its recorded events; see SqlCrudRepository."""
        try:
            return await self._unit_of_work._write(self._inner._removing_aggregate(aggregate))
        except ConflictError as error:
            return self._inner._lost_race(error, aggregate)

    async def retrieve_all(self) -> Result[tuple[AggT, ...], Never]:
        """Return all aggregates, in the order in which they were saved; see SqlCrudRepository."""
        return Success(await self._unit_of_work._read(self._inner._retrieving_all()))

    @overload
    async def find(
        self, where: Where = None, *, order_by: OrderBy | None = None, limit: int | None = None, after: None = None
    ) -> Result[tuple[AggT, ...], Never]: ...
    @overload
    async def find(
        self, where: Where = None, *, order_by: OrderBy | None = None, limit: int | None = None, after: IdT | None
    ) -> Result[tuple[AggT, ...], AggregateNotFoundError]: ...
    async def find(
        self,
        where: Where = None,
        *,
        order_by: OrderBy | None = None,
        limit: int | None = None,
        after: IdT | None = None,
    ) -> Result[tuple[AggT, ...], AggregateNotFoundError]:
        """Return the aggregates whose rows match a condition, in order, page by page; see SqlCrudRepository."""
        return await self._unit_of_work._read(self._inner._finding(where, order_by, limit, after))

    def stream(
        self, where: Where = None, *, order_by: OrderBy | None = None, batch: int = BATCH
    ) -> AsyncIterator[AggT]:
        """Return an async iterator over all aggregates whose rows match a condition; see SqlCrudRepository."""
        return self._streamed(self._inner._keyset(order_by, batch), where, batch)

    async def _streamed(self, keyset: Keyset, where: Where, size: int) -> AsyncIterator[AggT]:
        key: Sequence[object] | None = ()
        while key is not None:
            found, key = await self._unit_of_work._read(self._inner._batch(keyset, where, key, size))
            for aggregate in found:
                yield aggregate
