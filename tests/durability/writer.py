"""A process that handles commands one after the other, each in a unit of work; started again, it goes on."""

import sys
import time
from typing import Never

from durability import bank
from durability.bank import Account, AccountId, Deposit
from returns.result import Result, Success
from sqlalchemy import func, select

from domainkit import AggregateNotFoundError, AggregateVersionConflictError, pipeline
from domainkit.adapters.sqlalchemy import Inbox, SqlCrudRepository, UnitOfWork, make_engine


def main(database: str, commands: str) -> None:
    """Handle every command that was not handled yet."""
    unit_of_work = UnitOfWork(make_engine(database), outbox=bank.OUTBOX)
    accounts = SqlCrudRepository[Account, AccountId](Account, bank.ACCOUNT_TABLE, unit_of_work)

    def changed(account: Account) -> Result[Account, Never]:
        return Success(account.deposit())

    def deposit(command: Deposit) -> Result[Account, AggregateNotFoundError | AggregateVersionConflictError]:
        return pipeline(accounts.retrieve, changed, accounts.update)(command.account_id)

    handle = Inbox(bank.INBOX_TABLE, unit_of_work).once(deposit, name="deposit")
    handled = select(bank.INBOX_TABLE.c.message_id).where(bank.INBOX_TABLE.c.handler == "deposit")
    with unit_of_work.reading() as connection:
        done = set(connection.scalars(handled))
    backlog = int(commands) // 20
    for number in range(int(commands)):
        command = Deposit.numbered(number)
        if command.header.id.value not in done:
            handle(command).unwrap()
        if number % (backlog // 10) == 0:
            keep_pace(unit_of_work, backlog)


def keep_pace(unit_of_work: UnitOfWork, backlog: int) -> None:
    """Wait while many events are not sent: without that all commands were done before the first kills."""
    unsent = select(func.count()).select_from(bank.OUTBOX_TABLE).where(bank.OUTBOX_TABLE.c.sent_at.is_(None))
    while True:
        with unit_of_work.reading() as connection:
            if connection.execute(unsent).scalar_one() < backlog:
                return
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
