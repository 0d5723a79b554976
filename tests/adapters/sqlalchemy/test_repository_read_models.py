"""Read models in repositories: aggregates that a projector keeps, in the transaction of its checkpoint."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
import sqlalchemy as sa
from accounts import AccountEvent, AccountId, Closed, Deposited, Opened, codec
from attrs import evolve, frozen
from databases import Database
from projecting import CHECKPOINTS, EVENTS, METADATA, account_of, append, history_of, make_store, new_accounts
from returns.result import Success
from sqlalchemy import Engine, MetaData

from domainkit import AggregateRoot, DomainEvent, RecordedEvent, Uuid
from domainkit.adapters.sqlalchemy import (
    AsyncProjector,
    AsyncSqlCrudRepository,
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Checkpoints,
    Projected,
    Projector,
    RepositoryReadModel,
    SqlCrudRepository,
    UnitOfWork,
    aggregate_table,
)

OWN = MetaData()
ACCOUNTS = aggregate_table(OWN, "accounts")


@frozen
class Account(AggregateRoot[AccountId]):
    total: int


Accounts = SqlCrudRepository[Account, AccountId]
Model = RepositoryReadModel[Account, AccountId]


def opened(_: Account | None, event: Opened) -> Account:
    """Begin an account; its version is 1, whatever is stored."""
    return Account(0, aggregate_id=event.account_id)


def deposited(account: Account | None, event: Deposited) -> Account | None:
    """Add to an account, if it is open."""
    return None if account is None else evolve(account, total=account.total + event.amount)


def closed(_: Account | None, __: Closed) -> None:
    """Remove an account."""


def modelled(repository: Accounts | AsyncSqlCrudRepository[Account, AccountId]) -> Model:
    """Return the read model of open accounts."""
    return (
        RepositoryReadModel("accounts", repository)
        .on(Opened, account_of, opened)
        .on(Deposited, account_of, deposited)
        .on(Closed, account_of, closed)
    )


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine; the tables exist."""
    with database.engine(METADATA, OWN) as made:
        yield made


@pytest.fixture
def unit_of_work(engine: Engine) -> UnitOfWork:
    """Return the unit of work of the repository and the projector."""
    return UnitOfWork(engine)


def repository_of(unit_of_work: UnitOfWork) -> Accounts:
    """Return a repository."""
    return SqlCrudRepository[Account, AccountId](Account, ACCOUNTS, unit_of_work)


def projector_of(unit_of_work: UnitOfWork, model: Model, batch: int = 500) -> Projector:
    """Return a projector."""
    return Projector(unit_of_work, make_store(unit_of_work._engine), [model], CHECKPOINTS, batch=batch)


def recorded(*events: DomainEvent) -> list[RecordedEvent[DomainEvent]]:
    """Return events as a store gives them."""
    return [RecordedEvent(event, "stream", number, number) for number, event in enumerate(events, 1)]


def totals_of(repository: Accounts) -> dict[object, int]:
    """Return the stored totals by id."""
    return {one.aggregate_id: one.total for one in repository.retrieve_all().unwrap()}


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_the_aggregates_are_the_fold_of_all_events(engine: Engine, unit_of_work: UnitOfWork, batch: int) -> None:
    """Aggregates are stored, changed and removed, however the events fall into batches."""
    store, repository = make_store(engine), repository_of(unit_of_work)
    ada, grace, alan = new_accounts(3)
    model = modelled(repository)
    append(store, Opened(ada), Deposited(ada, 3), Deposited(ada, 4))
    append(store, Opened(grace), Deposited(grace, 5), Closed(grace))
    append(store, Deposited(alan, 1))
    projector_of(unit_of_work, model, batch).run(threading.Event(), until_idle=True)
    assert {ada: 7} == totals_of(repository)
    append(store, Opened(grace), Opened(ada), Deposited(ada, 1))
    projector_of(unit_of_work, model, batch).run(threading.Event(), until_idle=True)
    assert {ada: 1, grace: 0} == totals_of(repository)
    folded = model.aggregates(history_of(store))
    assert {key: one.total for key, one in folded.items()} == totals_of(repository)


def test_versions_count_what_is_stored(engine: Engine, unit_of_work: UnitOfWork) -> None:
    """A batch raises the version of an aggregate by one; a step that makes it anew doesn't set it back."""
    store, repository, (ada, grace) = make_store(engine), repository_of(unit_of_work), new_accounts(2)
    projector = projector_of(unit_of_work, modelled(repository))
    for events in ([Opened(ada), Deposited(ada, 3)], [Deposited(ada, 4)], [Opened(ada)], [Deposited(grace, 1)]):
        append(store, *events)
        projector.run_once()
    assert 3 == repository.retrieve(ada).unwrap().aggregate_version


def test_aggregates_and_checkpoint_are_stored_together(engine: Engine, unit_of_work: UnitOfWork) -> None:
    """If the checkpoint can't be stored, no aggregate is; the next round begins at the same event."""
    store, repository, (ada,) = make_store(engine), repository_of(unit_of_work), new_accounts(1)
    append(store, Opened(ada), Deposited(ada, 3))
    projector = projector_of(unit_of_work, modelled(repository))
    projector._following.begun(projector._models[0])

    @sa.event.listens_for(engine, "before_cursor_execute")
    def fail(_: object, __: object, statement: str, *___: object) -> None:
        if failing and statement.startswith("UPDATE") and "checkpoints" in statement:
            raise OSError("away")

    failing = True
    with pytest.raises(OSError, match=r"^away$"):
        projector.run_once()
    assert {} == totals_of(repository)
    failing = False
    assert Projected(events=2) == projector.run_once()
    assert {ada: 3} == totals_of(repository)
    checkpoints = Checkpoints(unit_of_work, CHECKPOINTS)
    assert Success(2) == checkpoints.reached("accounts", 2, within=timedelta(0))


def test_another_unit_of_work_of_the_engine(engine: Engine) -> None:
    """The repository may have a unit of work of its own: it works in the transaction of the projector all the same."""
    store, repository, (ada,) = make_store(engine), repository_of(UnitOfWork(engine)), new_accounts(1)
    append(store, Opened(ada), Deposited(ada, 3))
    assert Projected(events=2) == projector_of(UnitOfWork(engine), modelled(repository)).run_once()
    model, unit_of_work = modelled(repository), UnitOfWork(engine)
    with suppress(LookupError), unit_of_work.begin() as connection:
        model.apply(connection, recorded(Deposited(ada, 4)))
        raise LookupError
    with unit_of_work.begin() as connection:
        model.apply(connection, recorded(Deposited(ada, 5)))
    assert {ada: 8} == totals_of(repository)


def test_another_writer_is_noticed(engine: Engine, unit_of_work: UnitOfWork, monkeypatch: pytest.MonkeyPatch) -> None:
    """An aggregate that changed after it was read is not overwritten: the batch is read and folded again."""
    store, repository, (ada,) = make_store(engine), repository_of(unit_of_work), new_accounts(1)
    projector = projector_of(unit_of_work, modelled(repository))
    append(store, Opened(ada))
    projector.run_once()
    stored, is_first = RepositoryReadModel._stored, True

    def later(self: Model, ids: list[AccountId]) -> dict[AccountId, Account]:
        nonlocal is_first
        found = stored(self, ids)
        if is_first:
            is_first = False
            repository.update(Account(10, aggregate_id=ada)).unwrap()
        return found  # type: ignore[return-value]  # as above

    monkeypatch.setattr(RepositoryReadModel, "_stored", later)
    append(store, Deposited(ada, 3))
    assert Projected(busy=1) == projector.run_once()
    assert {ada: 0} == totals_of(repository)
    assert Projected(events=1) == projector.run_once()
    assert {ada: 3} == totals_of(repository)


def test_what_a_step_may_not_return(engine: Engine, unit_of_work: UnitOfWork) -> None:
    """An id of another class, an aggregate of another id, and recorded events stop the read model before the event."""
    store, repository, (ada, grace) = make_store(engine), repository_of(unit_of_work), new_accounts(2)
    append(store, Opened(ada))
    wrong = RepositoryReadModel("accounts", repository)
    another = wrong.on(Opened, account_of, lambda _, __: Account(0, aggregate_id=grace))
    telling = wrong.on(Opened, account_of, lambda _, event: opened(None, event).record(event))
    foreign = wrong.on(Opened, lambda _: Uuid.v4(), opened)  # type: ignore[arg-type,return-value]  # a wrong id
    for model, text, kind in (
        (another, r"^read model 'accounts': expected an aggregate with the id of its event, got another", ValueError),
        (telling, r"^read model 'accounts': expected an aggregate without recorded events, got 1; ret", ValueError),
        (foreign, r"expected an id of the class AccountId, got a Uuid", TypeError),
    ):
        with pytest.raises(kind, match=text), unit_of_work.begin() as connection:
            model.apply(connection, recorded(Opened(ada)))
        assert ("accounts",) == projector_of(unit_of_work, model).run_once().stopped
    assert {} == totals_of(repository)


def test_there_is_no_rebuild(engine: Engine, unit_of_work: UnitOfWork) -> None:
    """It is refused with what to do instead."""
    model = modelled(repository_of(unit_of_work))
    text = r"^read model 'accounts': expected one in a table for a rebuild, got one in a repository; give it a new "
    with pytest.raises(ValueError, match=text):
        projector_of(unit_of_work, model).rebuild("accounts")
    with pytest.raises(ValueError, match=text), unit_of_work.begin() as connection:
        model.apply(connection, (), to=model.shadow)


def test_aggregates_without_a_checkpoint(
    engine: Engine, unit_of_work: UnitOfWork, caplog: pytest.LogCaptureFixture
) -> None:
    """A repository that has aggregates already is left alone, and the log says what to do."""
    repository, (ada,) = repository_of(unit_of_work), new_accounts(1)
    repository.save(Account(3, aggregate_id=ada)).unwrap()
    assert ("accounts",) == projector_of(unit_of_work, modelled(repository)).run_once().stopped
    assert "of version unknown and its steps of version 1; empty its table, or give it a new one" in caplog.text


def test_another_database(database: Database, engine: Engine, unit_of_work: UnitOfWork) -> None:
    """A repository of another engine is refused: nothing would hold both transactions together."""
    model = modelled(repository_of(unit_of_work))
    text = r"^read model 'accounts': expected a repository over the unit of work of the projector, got one with another"
    with database.engine() as other:
        with pytest.raises(ValueError, match=text):
            projector_of(UnitOfWork(other), model)
        with pytest.raises(ValueError, match=text), UnitOfWork(other).begin() as connection:
            model.apply(connection, ())


def test_more_ids_than_one_statement_takes(engine: Engine, unit_of_work: UnitOfWork) -> None:
    """The aggregates of a large batch are read in parts."""
    model, accounts = modelled(repository_of(unit_of_work)), new_accounts(10_001)
    with unit_of_work.begin() as connection:
        model.apply(connection, recorded(DomainEvent()))
        model.apply(connection, recorded(*[Deposited(one, 1) for one in accounts], DomainEvent()))
    assert "RepositoryReadModel(accounts)" == repr(model)


async def test_async_a_repository_follows(database: Database) -> None:
    """The async twin keeps an async repository."""
    async with database.async_engine(METADATA, OWN) as engine:
        unit_of_work = AsyncUnitOfWork(engine)
        store: AsyncSqlEventStore[AccountEvent] = AsyncSqlEventStore(unit_of_work, EVENTS, codec)
        repository = AsyncSqlCrudRepository[Account, AccountId](Account, ACCOUNTS, unit_of_work)
        (ada,) = new_accounts(1)
        await store.append(ada, [Opened(ada), Deposited(ada, 3)], expected=0)
        projector = AsyncProjector(unit_of_work, store, [modelled(repository)], CHECKPOINTS)
        assert Projected(events=2) == await projector.run_once()
        await store.append(ada, [Deposited(ada, 4)], expected=2)
        assert Projected(events=1) == await projector.run_once()
        assert 7 == (await repository.retrieve(ada)).unwrap().total
        with pytest.raises(ValueError, match="expected one in a table for a rebuild"):
            await projector.rebuild("accounts")
