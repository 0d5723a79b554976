"""Code that a type checker must refuse around read models: each line marked `# wrong`, and no other."""

from attrs import frozen
from sqlalchemy import Connection, Table

from domainkit import AggregateRoot, DomainEvent, ReadModel, Uuid
from domainkit.adapters.sqlalchemy import (
    FunctionReadModel,
    Projector,
    RepositoryReadModel,
    SqlCrudRepository,
    TableReadModel,
    UnitOfWork,
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


def opened_account(event: Opened) -> AccountId:
    return event.account_id


def deposited(row: Balance | None, event: Deposited) -> Balance | None:
    return row


def certain(row: Balance, event: Deposited) -> Balance:
    return row


def number(row: Balance | None, event: Deposited) -> int:
    return event.amount


def note(connection: Connection, table: Table, event: Opened) -> None: ...


balances = ReadModel("balances", Balance)
balances.on(Deposited, account_of, deposited)
balances.on(Opened, account_of, deposited)  # wrong: a step for another class
balances.on(Deposited, opened_account, deposited)  # wrong: a key of another class
balances.on(Deposited, account_of, certain)  # wrong: the row may be missing
balances.on(Deposited, account_of, number)  # wrong: a step returns a row
balances.on(Deposited, lambda event: event.amuont, deposited)  # wrong: an unknown field
balances.on(Balance, account_of, deposited)  # wrong: not a class of events
ReadModel("balances", Balance, 2)  # wrong: the version is keyword-only
ReadModel(Balance)  # wrong: the name is missing


def follow(unit_of_work: UnitOfWork, table: Table, checkpoints: Table) -> None:
    FunctionReadModel("entries", table).on(Opened, note)
    FunctionReadModel("entries", table).on(Deposited, note)  # wrong: a function for another class
    Projector(unit_of_work, 3, [TableReadModel(balances, table)], checkpoints)  # wrong: not an event store
    Projector(unit_of_work, None, [], checkpoints)  # wrong: no event store


class CustomerId(Uuid): ...


@frozen
class Account(AggregateRoot[AccountId]):
    total: int


def customer_of(event: Opened | Deposited) -> CustomerId:
    return CustomerId.v4()


def kept(account: Account | None, event: Deposited) -> Account | None:
    return account


def sure(account: Account, event: Deposited) -> Account:
    return account


def keep(repository: SqlCrudRepository[Account, AccountId], table: Table) -> None:
    accounts = RepositoryReadModel("accounts", repository)
    accounts.on(Deposited, account_of, kept)
    accounts.on(Opened, account_of, kept)  # wrong: a step for another class
    accounts.on(Deposited, customer_of, kept)  # wrong: an id of another class
    accounts.on(Deposited, lambda event: event.amount, kept)  # wrong: not an id
    accounts.on(Deposited, account_of, sure)  # wrong: the aggregate may be missing
    accounts.on(Deposited, account_of, deposited)  # wrong: a step of another class of rows
    RepositoryReadModel("accounts", table)  # wrong: not a repository
    RepositoryReadModel(repository)  # wrong: the name is missing
    RepositoryReadModel("accounts", repository, version=2)  # wrong: it has no version
