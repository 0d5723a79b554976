"""Types that checkers infer of read models and projectors: exactly these."""

import asyncio
import threading
from datetime import timedelta
from typing import assert_type

from attrs import evolve, frozen
from returns.result import Result
from sqlalchemy import Connection, MetaData, Table, insert

from domainkit import (
    AggregateRoot,
    AsyncInmemoryEventStore,
    AsyncReadsAllEvents,
    DomainEvent,
    InmemoryEventStore,
    MessageCodec,
    NotReached,
    ReadModel,
    ReadsAllEvents,
    RecordedEvent,
    Uuid,
)
from domainkit.adapters.sqlalchemy import (
    AsyncCheckpoints,
    AsyncProjector,
    AsyncSqlCrudRepository,
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Checkpoints,
    FunctionReadModel,
    MissingTableError,
    OnUnreadable,
    Projected,
    Projector,
    ReadModelStatus,
    Rebuilt,
    RepositoryReadModel,
    SqlCrudRepository,
    SqlEventStore,
    SqlReadModel,
    TableReadModel,
    UnitOfWork,
    checkpoints_table,
    events_table,
)


class AccountId(Uuid): ...


@frozen
class Opened(DomainEvent):
    account_id: AccountId


@frozen
class Deposited(DomainEvent):
    account_id: AccountId
    amount: int


@frozen
class Balance:
    account_id: AccountId
    total: int


def account_of(event: Opened | Deposited) -> AccountId:
    return event.account_id


def deposited(row: Balance | None, event: Deposited) -> Balance | None:
    return evolve(row, total=row.total + event.amount) if row else None


def note(connection: Connection, table: Table, event: Deposited) -> None:
    connection.execute(insert(table).values(amount=event.amount))


balances = (
    ReadModel("balances", Balance)
    .on(Opened, account_of, lambda row, event: row or Balance(event.account_id, 0))
    .on(Deposited, lambda event: event.account_id, deposited)
)
assert_type(balances, ReadModel[Balance])
assert_type(balances.rows([Opened(AccountId.v4())]), dict[object, Balance])


def follow(unit_of_work: UnitOfWork, events: Table, balances_table: Table, entries_table: Table) -> None:
    kept = TableReadModel(balances, balances_table)
    assert_type(kept, TableReadModel[Balance])
    entries = FunctionReadModel("entries", entries_table, version=2).on(Deposited, note)
    assert_type(entries, FunctionReadModel)
    models: list[SqlReadModel] = [kept, entries]
    store = SqlEventStore(unit_of_work, events, MessageCodec.of(Opened | Deposited))
    reads: ReadsAllEvents = InmemoryEventStore(MessageCodec.of(Opened | Deposited))
    checkpoints = checkpoints_table(MetaData())
    Projector(unit_of_work, reads, [kept], checkpoints, on_unreadable=OnUnreadable.SKIP)
    projector = Projector(unit_of_work, store, models, checkpoints)
    assert_type(projector.run_once(), Projected)
    try:
        projector.run(threading.Event(), until_idle=True)
    except MissingTableError as error:
        assert_type(error, MissingTableError)
    assert_type(projector.is_following, bool)
    assert_type(projector.status(), tuple[ReadModelStatus, ...])
    assert_type(projector.rebuild("balances"), Rebuilt)
    reached = Checkpoints(unit_of_work, checkpoints).reached("balances", 3, within=timedelta(seconds=1))
    assert_type(reached, Result[int, NotReached])
    kept.apply(unit_of_work_connection(), [RecordedEvent(Opened(AccountId.v4()), "stream", 1, 1)])


@frozen
class Account(AggregateRoot[AccountId]):
    total: int


def account_opened(_: Account | None, event: Opened) -> Account:
    return Account(0, aggregate_id=event.account_id)


def account_deposited(account: Account | None, event: Deposited) -> Account | None:
    return evolve(account, total=account.total + event.amount) if account else None


def keep(unit_of_work: UnitOfWork, async_unit_of_work: AsyncUnitOfWork, table: Table) -> None:
    repository = SqlCrudRepository[Account, AccountId](Account, table, unit_of_work)
    kept = RepositoryReadModel("accounts", repository)
    assert_type(kept, RepositoryReadModel[Account, AccountId])
    assert_type(kept.on(Opened, account_of, account_opened), RepositoryReadModel[Account, AccountId])
    kept.on(Opened, lambda event: event.account_id, lambda account, event: account_opened(account, event))
    kept.on(Deposited, lambda _: None, account_deposited)
    later = AsyncSqlCrudRepository[Account, AccountId](Account, table, async_unit_of_work)
    assert_type(RepositoryReadModel("accounts", later), RepositoryReadModel[Account, AccountId])
    assert_type(kept.aggregates([Opened(AccountId.v4())]), dict[object, Account])
    models: list[SqlReadModel] = [kept]
    Projector(unit_of_work, InmemoryEventStore(MessageCodec.of(Opened | Deposited)), models, table, wakes=False)


def unit_of_work_connection() -> Connection:
    raise NotImplementedError


async def follow_async(unit_of_work: AsyncUnitOfWork, table: Table) -> None:
    store = AsyncSqlEventStore(unit_of_work, events_table(MetaData()), MessageCodec.of(Opened | Deposited))
    reads: AsyncReadsAllEvents = AsyncInmemoryEventStore(MessageCodec.of(Opened | Deposited))
    checkpoints = checkpoints_table(MetaData())
    AsyncProjector(unit_of_work, reads, [], checkpoints)
    projector = AsyncProjector(unit_of_work, store, [TableReadModel(balances, table)], checkpoints)
    assert_type(await projector.run_once(), Projected)
    await projector.run(asyncio.Event())
    assert_type(await projector.status(), tuple[ReadModelStatus, ...])
    assert_type(await projector.rebuild("balances"), Rebuilt)
    reached = await AsyncCheckpoints(unit_of_work, checkpoints).reached("balances", 3, within=timedelta(seconds=1))
    assert_type(reached, Result[int, NotReached])
