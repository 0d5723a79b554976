"""Deciders over repositories: the state is stored, and the repository handles the events as it does any others."""

from collections.abc import Callable
from typing import Any, Generic, Never, Protocol, TypeVar

import attrs
from attrs import field, frozen
from returns.result import Failure, Result, Success

from domainkit.aggregates import AggregateRoot, AnyId
from domainkit.deciders import Decider
from domainkit.deciding import RetryOnConflict, as_cause, decided_on
from domainkit.errors import AggregateAlreadyExistError, DomainError
from domainkit.event_store import NO_STREAM, ExpectedRevision, RevisionConflict, stream_name
from domainkit.messages import DomainEvent
from domainkit.ports import AsyncCrudRepository, CrudRepository, Notifier
from domainkit.use_cases import AsyncUseCase, UseCase

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=DomainEvent)
X = TypeVar("X")
IdT = TypeVar("IdT", bound=AnyId)
IdT_contra = TypeVar("IdT_contra", bound=AnyId, contravariant=True)
S_contra = TypeVar("S_contra", contravariant=True)
IdT_co = TypeVar("IdT_co", bound=AnyId, covariant=True)
S_co = TypeVar("S_co", covariant=True)


@frozen
class DecidedState(AggregateRoot[IdT_co], Generic[IdT_co, S_co]):
    """An aggregate that holds the state of a decider, for a repository: derive one class for each decider.

    >>> from domainkit import Uuid
    >>> class AccountId(Uuid): ...
    >>> @frozen
    ... class StoredBalance(DecidedState[AccountId, int]): ...
    >>> StoredBalance(7).state
    7

    Args:
        state: the state.
    """

    state: S_co


AggT = TypeVar("AggT", bound=DecidedState[AnyId, object])
AggT_co = TypeVar("AggT_co", bound=DecidedState[AnyId, object], covariant=True)


class MakesState(Protocol[S_contra, IdT_contra, AggT_co]):
    """The constructor of a class derived from DecidedState."""

    def __call__(self, state: S_contra, /, *, aggregate_id: IdT_contra) -> AggT_co:
        """Return a new aggregate with this state."""
        raise NotImplementedError


@frozen
class StateStored(UseCase[[C], S, X | RevisionConflict], Generic[C, S, E, X, AggT, IdT]):
    """A decider over a repository: `handle` retrieves the state, decides, and stores the new state with the events.

    It returns the same answers as EventSourced, but keeps only the latest state. The aggregate records the events, so
    that the repository puts them into its outbox in the same transaction.

    >>> from collections.abc import Sequence
    >>> from domainkit import Command, DomainError, InmemoryCrudRepository, Uuid
    >>> class AccountId(Uuid): ...
    >>> @frozen
    ... class StoredBalance(DecidedState[AccountId, int]): ...
    >>> @frozen
    ... class Deposited(DomainEvent):
    ...     amount: int
    >>> @frozen
    ... class Deposit(Command[int, DomainError]):
    ...     account_id: AccountId
    ...     amount: int
    >>> def decide(command: Deposit, balance: int) -> Result[Sequence[Deposited], DomainError]:
    ...     return Success([Deposited(command.amount)])
    >>> account = Decider(decide, lambda balance, event: balance + event.amount, 0)
    >>> repository = InmemoryCrudRepository[StoredBalance, AccountId]()
    >>> accounts = StateStored(account, repository, StoredBalance, key=lambda command: command.account_id)
    >>> deposit = Deposit(AccountId.v4(), 3)
    >>> accounts.handle(deposit), accounts.handle(deposit)
    (<Success: 3>, <Success: 6>)

    Args:
        decider: decides about commands, and evolves the state.
        repository: of the aggregates that hold the state.
        aggregate_type: their class, derived from DecidedState.
        key: returns the id of the aggregate that a command is about.
        retry: how often to decide again after a conflict.
        notifier: gets a message about a bug if the use case itself is called; see UseCase.
    """

    decider: Decider[C, S, E, X]
    repository: CrudRepository[AggT, IdT]
    aggregate_type: MakesState[S, IdT, AggT]
    key: Callable[[C], IdT] = field(kw_only=True)
    retry: RetryOnConflict = field(default=RetryOnConflict(), kw_only=True)
    notifier: Notifier | None = field(default=None, kw_only=True)

    def handle(self, command: C, /) -> Result[S, X | RevisionConflict]:
        """Return the state after a command.

        Returns:
            A Success with the new state, or the old one if no event happened; or a Failure with the error of the
            decision, or with RevisionConflict if other writers changed the state during each attempt.

        Raises:
            TypeError: the decider returned no Result with a list or tuple of events.
            ValueError: the state could not be read back; nothing was stored.
        """
        return self.retry.run(lambda: self._attempt(command))

    def execute(self, command: C, /) -> Result[S, X | RevisionConflict]:
        """Return the answer of `handle`; call the use case itself to run it under the guard."""
        return self.handle(command)

    def state(self, aggregate_id: IdT, /) -> Result[S, Never]:
        """Return the state that is stored under an id; the initial one if there is none."""
        return Success(_state_of(self.decider, self.repository.retrieve(aggregate_id)))

    def _attempt(self, command: C) -> tuple[Result[S, X | RevisionConflict], bool]:
        """Return the answer, and True if another writer stored the aggregate meanwhile."""
        aggregate_id = self.key(command)
        found = self.repository.retrieve(aggregate_id)
        before = _state_of(self.decider, found)
        with as_cause(command):
            decided = decided_on(self.decider, command, before)
            if not decided.events:
                return decided.answer, False
            state = decided.answer.unwrap()
            stored = _to_store(self.aggregate_type, found, state, aggregate_id, decided.events)
            is_new = isinstance(found, Failure)
            outcome = self.repository.save(stored) if is_new else self.repository.update(stored)
        return _answer(outcome, state, stored)


@frozen
class AsyncStateStored(AsyncUseCase[[C], S, X | RevisionConflict], Generic[C, S, E, X, AggT, IdT]):
    """A decider over an async repository; see StateStored. The decider itself is pure, and not async.

    Args:
        decider: decides about commands, and evolves the state.
        repository: of the aggregates that hold the state.
        aggregate_type: their class, derived from DecidedState.
        key: returns the id of the aggregate that a command is about.
        retry: how often to decide again after a conflict.
        notifier: gets a message about a bug if the use case itself is called; see UseCase.
    """

    decider: Decider[C, S, E, X]
    repository: AsyncCrudRepository[AggT, IdT]
    aggregate_type: MakesState[S, IdT, AggT]
    key: Callable[[C], IdT] = field(kw_only=True)
    retry: RetryOnConflict = field(default=RetryOnConflict(), kw_only=True)
    notifier: Notifier | None = field(default=None, kw_only=True)

    async def handle(self, command: C, /) -> Result[S, X | RevisionConflict]:
        """Return the state after a command; see StateStored."""
        return await self.retry.run_async(lambda: self._attempt(command))

    async def execute(self, command: C, /) -> Result[S, X | RevisionConflict]:
        """Return the answer of `handle`; call the use case itself to run it under the guard."""
        return await self.handle(command)

    async def state(self, aggregate_id: IdT, /) -> Result[S, Never]:
        """Return the state that is stored under an id; the initial one if there is none."""
        return Success(_state_of(self.decider, await self.repository.retrieve(aggregate_id)))

    async def _attempt(self, command: C) -> tuple[Result[S, X | RevisionConflict], bool]:
        """Return the answer, and True if another writer stored the aggregate meanwhile."""
        aggregate_id = self.key(command)
        found = await self.repository.retrieve(aggregate_id)
        before = _state_of(self.decider, found)
        with as_cause(command):
            decided = decided_on(self.decider, command, before)
            if not decided.events:
                return decided.answer, False
            state = decided.answer.unwrap()
            stored = _to_store(self.aggregate_type, found, state, aggregate_id, decided.events)
            is_new = isinstance(found, Failure)
            outcome = await (self.repository.save(stored) if is_new else self.repository.update(stored))
        return _answer(outcome, state, stored)


def _state_of(decider: Decider[C, S, E, X], found: Result[AggT, DomainError]) -> S:
    """Return the state of a stored aggregate, or the initial one."""
    state: Any = decider.initial if isinstance(found, Failure) else found.unwrap().state  # Any: S, as it was stored
    return state  # type: ignore[no-any-return]  # as above


def _to_store(
    make: MakesState[S, IdT, AggT], found: Result[AggT, DomainError], state: S, aggregate_id: IdT, events: tuple[E, ...]
) -> AggT:
    """Return the aggregate to store, with the events that it recorded."""
    is_new = isinstance(found, Failure)
    changed = make(state, aggregate_id=aggregate_id) if is_new else _with_state(found.unwrap(), state)
    return changed.record(*events)


def _with_state(aggregate: AggT, state: object) -> AggT:
    return attrs.evolve(aggregate, state=state)


def _answer(outcome: Result[AggT, DomainError], state: S, stored: AggT) -> tuple[Result[S, RevisionConflict], bool]:
    """Return the answer of an attempt, and True if another attempt may succeed."""
    if isinstance(outcome, Success):
        return Success(state), False
    is_new = isinstance(outcome.failure(), AggregateAlreadyExistError)
    expected: ExpectedRevision = NO_STREAM if is_new else stored.aggregate_version
    return Failure(RevisionConflict(stream=stream_name(stored.aggregate_id), expected=expected)), True
