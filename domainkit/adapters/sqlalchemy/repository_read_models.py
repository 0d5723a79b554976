"""Read models in repositories: aggregates that are folds of events, for readers who want them by a port."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Generic, NoReturn, TypeVar

from returns.result import Failure, Result
from sqlalchemy import Connection, Engine, Table

from domainkit._model.immutability import copy_with
from domainkit.adapters.sqlalchemy.async_repositories import AsyncSqlCrudRepository
from domainkit.adapters.sqlalchemy.read_models import MOST_PARAMETERS, Folds, Recorded, SqlReadModel
from domainkit.adapters.sqlalchemy.repositories import SqlCrudRepository
from domainkit.adapters.sqlalchemy.units import current
from domainkit.aggregates import AnyId
from domainkit.errors import ConflictError, DomainError
from domainkit.messages import DomainEvent
from domainkit.ports import AggT, IdT
from domainkit.projections import with_function
from domainkit.read_models import Fold, ReadModel

EventT = TypeVar("EventT", bound=DomainEvent)


class RepositoryReadModel(SqlReadModel, Generic[AggT, IdT]):
    """Keeps aggregates in a repository, each a fold of the events with its id; a projector stores both or neither.

    The aggregates of a batch of events are read once, folded in memory, and stored once: their versions count that, and
    not the events. The repository doesn't tell of events: a step returns aggregates without recorded ones.

    It has no version and no rebuild: a repository with child tables, or upcasters of its own, can't be filled beside
    itself. After a change of the steps make a new one, with a new table and a new name, and let readers use it when
    `Checkpoints.reached` says that it has caught up.

    >>> from attrs import evolve, frozen
    >>> from sqlalchemy import MetaData
    >>> from domainkit import AggregateRoot, Uuid
    >>> from domainkit.adapters.sqlalchemy import UnitOfWork, aggregate_table, make_engine
    >>> class AccountId(Uuid): ...
    >>> @frozen
    ... class Deposited(DomainEvent):
    ...     account_id: AccountId
    ...     amount: int
    >>> @frozen
    ... class Balance(AggregateRoot[AccountId]):
    ...     total: int
    >>> def deposited(balance: Balance | None, event: Deposited) -> Balance:
    ...     if balance is None:
    ...         return Balance(event.amount, aggregate_id=event.account_id)
    ...     return evolve(balance, total=balance.total + event.amount)
    >>> table, unit_of_work = aggregate_table(MetaData(), "balances"), UnitOfWork(make_engine("sqlite://"))
    >>> repository = SqlCrudRepository[Balance, AccountId](Balance, table, unit_of_work)
    >>> balances = RepositoryReadModel("balances", repository).on(
    ...     Deposited, lambda event: event.account_id, deposited
    ... )
    >>> ada = AccountId.v4()
    >>> balances.aggregates([Deposited(ada, 3), Deposited(ada, 4)])[ada].total
    7

    Args:
        name: its permanent name: its progress is stored under it.
        repository: a SqlCrudRepository or an AsyncSqlCrudRepository of the projector's database, to which nobody else
            writes.
        folds: the steps for each class of events; `on` adds one.

    Raises:
        ValueError: `name` is empty or ends with `__rebuild`, or the table has no primary key.
    """

    remedy: ClassVar[str] = "empty its table, or give it a new one and a new name"

    def __init__(
        self,
        name: str,
        repository: SqlCrudRepository[AggT, IdT] | AsyncSqlCrudRepository[AggT, IdT],
        *,
        folds: Mapping[type, Fold] | None = None,
    ) -> None:
        self._given = repository
        self._repository = repository._inner if isinstance(repository, AsyncSqlCrudRepository) else repository
        self._model: ReadModel[AggT] = ReadModel(name, self._repository._type, folds=folds or {})
        super().__init__(name, self._model.version, self._repository._table)
        self._folds = Folds(name, self._model.folds)

    def on(
        self,
        event: type[EventT],
        key: Callable[[EventT], IdT | None],
        step: Callable[[AggT | None, EventT], AggT | None],
        /,
    ) -> "RepositoryReadModel[AggT, IdT]":
        """Return the read model with a step for one more class of events.

        Args:
            event: the class.
            key: a pure function from an event to the id of its aggregate; None if it concerns no aggregate.
            step: a pure function from the aggregate so far (None: it does not exist) and an event to the next one
                (None: it is removed), which has that id and no recorded events.

        Raises:
            TypeError: `event` is not a class, or has a step already.
        """
        folds = with_function(self._model.folds, event, Fold(key, step), f"read model {self.name!r}")
        return RepositoryReadModel(self.name, self._given, folds=folds)

    def aggregates(self, events: Iterable[DomainEvent], /) -> dict[object, AggT]:
        """Return the aggregates after all events, by id, without the repository: for tests."""
        return self._model.rows(events)

    def apply(self, connection: Connection, events: Sequence[Recorded], /, *, to: Table | None = None) -> None:
        """Fold events into the aggregates; see SqlReadModel.

        Raises:
            ConflictError: another writer changed one of them meanwhile.
            TypeError: an id is of another class than those of the repository.
            ValueError: a step returned an aggregate with another id or with recorded events, `to` is given, or the
                connection is that of another database.
        """
        if to is not None:
            self.require_rebuild()
        self.require_engine(connection.engine)
        found = self._folds.concerned(events, self._checked)
        if not found:
            return
        with self._joined(connection):
            rows: dict[AnyId, AggT | None] = dict.fromkeys([one_id for one_id, _, _ in found])
            before = self._stored(list(rows))
            rows.update(before)
            self._folds.run(found, rows)
            for one_id, aggregate in rows.items():
                self._store(one_id, before.get(one_id), aggregate)

    def require_engine(self, engine: Engine) -> None:
        """Refuse the engine of another database than the repository's: its effect would be in no transaction."""
        if engine.pool is not self._repository._unit_of_work._engine.pool:
            raise ValueError(
                f"read model {self.name!r}: expected a repository over the unit of work of the projector, got one with "
                "another engine; make both of one unit of work"
            )

    def require_rebuild(self) -> NoReturn:
        """Refuse a rebuild."""
        raise ValueError(
            f"read model {self.name!r}: expected one in a table for a rebuild, got one in a repository; give it a new "
            "table and a new name, and let it catch up"
        )

    def _checked(self, key: object) -> AnyId:
        """Return the id that a function gave for an event, if it is one of the repository."""
        one_id: AnyId = key  # type: ignore[assignment]  # checked by the next line
        self._repository._key(one_id)
        return one_id

    def _joined(self, connection: Connection) -> AbstractContextManager[object]:
        """Return the context in which the repository works in the transaction of a connection."""
        unit_of_work = self._repository._unit_of_work
        unit = current(unit_of_work)
        is_open = unit is not None and unit.connection is connection
        return nullcontext() if is_open else unit_of_work.joining(connection)

    def _stored(self, ids: Sequence[AnyId]) -> dict[AnyId, AggT]:
        found: dict[AnyId, AggT] = {}
        for start in range(0, len(ids), MOST_PARAMETERS):
            keys = [self._repository._key(one) for one in ids[start : start + MOST_PARAMETERS]]
            for one in self._repository.find(self.table.c.id.in_(keys)).unwrap():
                found[one.aggregate_id] = one
        return found

    def _store(self, one_id: AnyId, before: AggT | None, aggregate: AggT | None) -> None:
        if aggregate is before:
            return
        if aggregate is None:
            self._repository.remove(one_id)  # type: ignore[arg-type]  # an id of the repository, as checked
            return
        self._check(one_id, aggregate)
        if before is None:
            self._require(self._repository.save(aggregate))
        else:
            versioned = copy_with(aggregate, aggregate_version=before.aggregate_version)
            self._require(self._repository.update(versioned))

    def _check(self, one_id: AnyId, aggregate: AggT) -> None:
        if aggregate.aggregate_id != one_id:
            raise ValueError(
                f"read model {self.name!r}: expected an aggregate with the id of its event, got another one; return "
                "the aggregate of that id from the step"
            )
        if aggregate.domain_events:
            raise ValueError(
                f"read model {self.name!r}: expected an aggregate without recorded events, got "
                f"{len(aggregate.domain_events)}; return `aggregate.clear_domain_events()` from the step"
            )

    def _require(self, stored: Result[AggT, DomainError]) -> None:
        """Raise ConflictError if another writer was faster: the batch is read and folded again."""
        if isinstance(stored, Failure):
            info = {"message": f"read model {self.name!r}: {stored.failure().detail()}"}
            raise ConflictError(additional_info=info)
