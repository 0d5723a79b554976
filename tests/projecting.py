"""Accounts and their read models: for the tests of read models and projectors, in this process and in others."""

from collections.abc import Sequence

import sqlalchemy as sa
from accounts import AccountEvent, AccountId, Closed, Deposited, Opened, codec
from attrs import evolve, frozen
from sqlalchemy import Connection, Engine, MetaData, Table

from domainkit import ANY_REVISION, Appended, DomainEvent, ReadModel, Uuid
from domainkit.adapters.sqlalchemy import (
    FunctionReadModel,
    SqlEventStore,
    TableReadModel,
    UnitOfWork,
    checkpoints_table,
    events_table,
)


@frozen
class Balance:
    """A row: an account that is open."""

    account_id: AccountId
    total: int
    deposits: int


def opened(_: Balance | None, event: Opened) -> Balance:
    """Begin a row."""
    return Balance(event.account_id, 0, 0)


def deposited(row: Balance | None, event: Deposited) -> Balance:
    """Add to a row, which need not exist."""
    found = row or Balance(event.account_id, 0, 0)
    return evolve(found, total=found.total + event.amount, deposits=found.deposits + 1)


def closed(_: Balance | None, __: Closed) -> None:
    """Remove a row."""


def account_of(event: Opened | Deposited | Closed) -> AccountId:
    """Return the key of the row."""
    return event.account_id


METADATA = MetaData()
EVENTS = events_table(METADATA)
CHECKPOINTS = checkpoints_table(METADATA)
BALANCES = Table(
    "balances",
    METADATA,
    sa.Column("account_id", sa.Uuid(), primary_key=True),
    sa.Column("total", sa.BigInteger(), nullable=False),
    sa.Column("deposits", sa.Integer(), nullable=False),
)
TITLES = Table(
    "entries",
    METADATA,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("amount", sa.BigInteger(), nullable=False, server_default="0"),
)


def balances(version: int = 1) -> ReadModel[Balance]:
    """Return the read model of open accounts."""
    return (
        ReadModel("balances", Balance, version=version)
        .on(Opened, account_of, opened)
        .on(Deposited, account_of, deposited)
        .on(Closed, account_of, closed)
    )


def stored_balances(version: int = 1) -> TableReadModel[Balance]:
    """Return it with its table."""
    return TableReadModel(balances(version), BALANCES)


def note(connection: Connection, table: Table, event: Deposited) -> None:
    """Store an entry for a deposit."""
    connection.execute(sa.insert(table).values(id=event.header.id.value, amount=event.amount))


def entries(version: int = 1) -> FunctionReadModel:
    """Return a read model of one row for each deposit, written by a function."""
    return FunctionReadModel("entries", TITLES, version=version).on(Deposited, note)


def make_store(engine: Engine) -> SqlEventStore[AccountEvent]:
    """Return a store of accounts."""
    return SqlEventStore(UnitOfWork(engine), EVENTS, codec)


def append(store: SqlEventStore[AccountEvent], *events: AccountEvent) -> Appended:
    """Append events of one account."""
    return store.append(events[0].account_id, events, expected=ANY_REVISION).unwrap()


def rows_of(engine: Engine) -> dict[object, Balance]:
    """Return the stored balances by account."""
    with engine.connect() as connection:
        found = connection.execute(sa.select(BALANCES)).all()
    made = [Balance(AccountId(row.account_id), row.total, row.deposits) for row in found]
    return {one.account_id: one for one in made}


def amounts_of(engine: Engine) -> list[int]:
    """Return the amounts of the stored entries."""
    with engine.connect() as connection:
        return sorted(connection.scalars(sa.select(TITLES.c.amount)))


def history_of(store: SqlEventStore[AccountEvent]) -> list[DomainEvent]:
    """Return all events of a store."""
    return [one.event for one in store.read_all() if not isinstance(one, Exception)]


def spoil(engine: Engine, position: int) -> None:
    """Make an event unreadable: of a class that no codec knows."""
    with engine.begin() as connection:
        changed = sa.update(EVENTS).where(EVENTS.c.position == position).values(body=b'{"data": {}}')
        connection.execute(changed)


def mend(engine: Engine, position: int, event: AccountEvent) -> None:
    """Make it readable again."""
    with engine.begin() as connection:
        changed = sa.update(EVENTS).where(EVENTS.c.position == position).values(body=codec.encode(event))
        connection.execute(changed)


def new_accounts(count: int) -> Sequence[AccountId]:
    """Return ids."""
    return [AccountId(Uuid.v4().value) for _ in range(count)]
