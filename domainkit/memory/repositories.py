"""In-memory repositories of aggregates."""

from collections.abc import Iterable
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, Never, Protocol, TypeVar

from cattrs import Converter
from returns.result import Failure, Result, Success

from domainkit._model.annotations import parameters_of
from domainkit._model.immutability import copy_with
from domainkit.aggregates import AnyId, IdentifiedBy
from domainkit.errors import AggregateAlreadyExistError, AggregateNotFoundError, AggregateVersionConflictError
from domainkit.ids import IdForm
from domainkit.memory.outbox import InmemoryOutbox
from domainkit.ports import AggT, AsyncCrudRepository, CrudRepository, IdT
from domainkit.states import StateForm, state_form

KeyT = TypeVar("KeyT", bound=Any)  # Any: a subclass of a repository then names its own class of ids


class _Keyed(Protocol[AggT, KeyT]):
    """Repository whose methods accept only the id class of its aggregates."""

    _name: str
    _stored: dict[AnyId, AggT]
    _lock: RLock

    def _check_id(self, aggregate_id: AnyId, /) -> None: ...
    def _ids(self) -> KeyT: ...
    def retrieve_all(self) -> Result[tuple[IdentifiedBy[object, KeyT], ...], Never]: ...


class InmemoryCrudRepository(CrudRepository[AggT, IdT], Generic[AggT, IdT]):
    """Repository in a dict, lost with the process. It is thread-safe.

    Like SqlCrudRepository, it never stores a value that a database could not give back, such as a datetime without a
    time zone. Aggregates of generic classes aren't checked, since their type arguments aren't known here.

    >>> from domainkit import AggregateRoot
    >>> tasks = InmemoryCrudRepository[AggregateRoot]()
    >>> task = AggregateRoot()
    >>> tasks.save(task) == Success(task)
    True
    >>> tasks.update(task).unwrap().aggregate_version
    2

    Args:
        repository_name: shown in errors; by default the class's name.
        converter: writes and reads the state, as for SqlCrudRepository: one with hooks for types that have no wire
            form; by default `make_converter()`.
        outbox: gets the recorded events of stored aggregates; without one the returned aggregate keeps them.
    """

    def __init__(
        self,
        *,
        repository_name: str | None = None,
        converter: Converter | None = None,
        outbox: InmemoryOutbox | None = None,
    ) -> None:
        self._outbox = outbox
        self._name = repository_name or type(self).__name__
        self._converter = converter
        self._forms: dict[type[AggT], StateForm[AggT]] = {}
        self._id_forms: dict[type[AnyId], IdForm[AnyId]] = {}
        self._stored: dict[AnyId, AggT] = {}
        self._lock = RLock()

    if TYPE_CHECKING:  # so that it matches the protocol _Keyed

        def _ids(self) -> IdT: ...

    def save(self, aggregate: AggT) -> Result[AggT, AggregateAlreadyExistError]:
        """Store a new aggregate, and return it, with its recorded events if there is no outbox for them.

        Raises:
            UnsupportedTypeError: a field of its class has a type that can't be stored. Give a `converter` with hooks
                for that type; a RowMapper helps only with a database.
            ValueError: its state could not be read back once stored, or no database accepts its id.
        """
        self._check(aggregate)
        with self._lock:
            if aggregate.aggregate_id in self._stored:
                return Failure(AggregateAlreadyExistError(aggregate.aggregate_id, self._name))
            return Success(self._put(aggregate))

    def save_all(self, aggregates: Iterable[AggT]) -> Result[tuple[AggT, ...], AggregateAlreadyExistError]:
        """Store new aggregates, all of them or none, and return them in the same order; their events as with `save`.

        Raises:
            UnsupportedTypeError: as with `save`; nothing is stored then.
            ValueError: as with `save`; nothing is stored then.
        """
        given = tuple(aggregates)
        for aggregate in given:
            self._check(aggregate)
        with self._lock:
            taken = set(self._stored)
            for aggregate in given:
                if aggregate.aggregate_id in taken:
                    return Failure(AggregateAlreadyExistError(aggregate.aggregate_id, self._name))
                taken.add(aggregate.aggregate_id)
            return Success(tuple(self._put(aggregate) for aggregate in given))

    def retrieve(self: _Keyed[AggT, KeyT], aggregate_id: KeyT) -> Result[AggT, AggregateNotFoundError]:
        """Return the aggregate with this id, without recorded events.

        Raises:
            ValueError: no database accepts the id.
        """
        self._check_id(aggregate_id)
        found = self._stored.get(aggregate_id)
        return Failure(AggregateNotFoundError(aggregate_id, self._name)) if found is None else Success(found)

    def update(self, aggregate: AggT) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Store a changed aggregate, and return it with its version raised by one; its events as with `save`.

        Raises:
            UnsupportedTypeError: as with `save`.
            ValueError: as with `save`.
        """
        self._check(aggregate)
        aggregate_id, version = aggregate.aggregate_id, aggregate.aggregate_version
        with self._lock:
            found = self._stored.get(aggregate_id)
            if found is None:
                return Failure(AggregateNotFoundError(aggregate_id, self._name))
            if found.aggregate_version != version:
                stored = found.aggregate_version
                return Failure(AggregateVersionConflictError(aggregate_id, version, stored, self._name))
            return Success(self._put(copy_with(aggregate, aggregate_version=version + 1)))

    def remove(self: _Keyed[AggT, KeyT], aggregate_id: KeyT) -> Result[None, AggregateNotFoundError]:
        """Remove the aggregate with this id.

        Raises:
            ValueError: no database accepts the id.
        """
        self._check_id(aggregate_id)
        with self._lock:
            if self._stored.pop(aggregate_id, None) is None:
                return Failure(AggregateNotFoundError(aggregate_id, self._name))
        return Success(None)

    def retrieve_all(self) -> Result[tuple[AggT, ...], Never]:
        """Return all aggregates, in the order in which they were saved."""
        with self._lock:
            return Success(tuple(self._stored.values()))

    def _put(self, aggregate: AggT) -> AggT:
        """Store an aggregate without its recorded events, and return the aggregate for the caller."""
        events, stored = aggregate.pull_domain_events()
        self._stored[aggregate.aggregate_id] = stored
        if self._outbox is None:
            return aggregate
        self._outbox.add(events)
        return stored

    def _check_id(self, aggregate_id: AnyId, of: type[AnyId] | None = None) -> None:
        """Refuse an id that no database accepts, or one that isn't of the aggregate's id class `of`."""
        cls = of or type(aggregate_id)
        if cls not in self._id_forms:
            self._id_forms[cls] = IdForm(cls)
        self._id_forms[cls].key(aggregate_id)

    def _check(self, aggregate: AggT) -> None:
        """Refuse a state that no database could give back, by writing it as for a database."""
        cls = type(aggregate)
        if cls not in self._forms and not parameters_of(cls):
            self._forms[cls] = state_form(cls, self._converter)
        if cls in self._forms:
            self._forms[cls].write(aggregate)
        self._check_id(aggregate.aggregate_id, cls._id_type())


class _AsyncKeyed(Protocol[AggT, KeyT]):
    _inner: InmemoryCrudRepository[AggT, KeyT]

    async def retrieve_all(self) -> Result[tuple[IdentifiedBy[object, KeyT], ...], Never]: ...


class AsyncInmemoryCrudRepository(AsyncCrudRepository[AggT, IdT], Generic[AggT, IdT]):
    """Async version of InmemoryCrudRepository, which it wraps.

    >>> import asyncio
    >>> from domainkit import AggregateRoot
    >>> task = AggregateRoot()
    >>> asyncio.run(AsyncInmemoryCrudRepository[AggregateRoot]().save(task)) == Success(task)
    True

    Args:
        repository_name: shown in errors; by default the class's name.
        converter: as for InmemoryCrudRepository.
        outbox: as for InmemoryCrudRepository.
    """

    def __init__(
        self,
        *,
        repository_name: str | None = None,
        converter: Converter | None = None,
        outbox: InmemoryOutbox | None = None,
    ) -> None:
        name = repository_name or type(self).__name__
        self._inner = InmemoryCrudRepository[AggT, IdT](repository_name=name, converter=converter, outbox=outbox)

    async def save(self, aggregate: AggT) -> Result[AggT, AggregateAlreadyExistError]:
        """Store a new aggregate, and return it; see InmemoryCrudRepository."""
        return self._inner.save(aggregate)

    async def save_all(self, aggregates: Iterable[AggT]) -> Result[tuple[AggT, ...], AggregateAlreadyExistError]:
        """Store new aggregates, all of them or none; see InmemoryCrudRepository."""
        return self._inner.save_all(aggregates)

    async def retrieve(self: _AsyncKeyed[AggT, KeyT], aggregate_id: KeyT) -> Result[AggT, AggregateNotFoundError]:
        """Return the aggregate with this id, without recorded events."""
        return self._inner.retrieve(aggregate_id)

    async def update(self, aggregate: AggT) -> Result[AggT, AggregateNotFoundError | AggregateVersionConflictError]:
        """Store a changed aggregate, and return it with its version raised by one; see InmemoryCrudRepository."""
        return self._inner.update(aggregate)

    async def remove(self: _AsyncKeyed[AggT, KeyT], aggregate_id: KeyT) -> Result[None, AggregateNotFoundError]:
        """Remove the aggregate with this id."""
        return self._inner.remove(aggregate_id)

    async def retrieve_all(self) -> Result[tuple[AggT, ...], Never]:
        """Return all aggregates, in the order in which they were saved."""
        return self._inner.retrieve_all()
