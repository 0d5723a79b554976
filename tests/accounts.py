"""A bank account as a decider: what the tests of deciders and their stores are about."""

from collections.abc import Sequence
from typing import TypeAlias

from attrs import evolve, frozen
from returns.result import Failure, Result, Success

from domainkit import (
    Command,
    DecidedState,
    Decider,
    DomainError,
    DomainEvent,
    MessageCodec,
    RevisionConflict,
    UnreadableEvent,
    Uuid,
    decisions,
    projection,
)


class AccountId(Uuid):
    """The id of an account."""


class AlreadyOpen(DomainError):
    """The account is open."""


class NotOpen(DomainError):
    """The account is not open."""


@frozen
class Opened(DomainEvent):
    """An account was opened."""

    account_id: AccountId


@frozen
class Deposited(DomainEvent):
    """Money came in."""

    account_id: AccountId
    amount: int


@frozen
class Closed(DomainEvent):
    """The account was closed."""

    account_id: AccountId


@frozen
class Account:
    """The state of an account."""

    balance: int = 0
    is_open: bool = False


@frozen
class StoredAccount(DecidedState[AccountId, Account]):
    """The state of an account, for a repository."""


Refused: TypeAlias = AlreadyOpen | NotOpen | RevisionConflict | UnreadableEvent
AccountEvent: TypeAlias = Opened | Deposited | Closed


@frozen
class Open(Command[Account, Refused]):
    """Open an account."""

    account_id: AccountId


@frozen
class Deposit(Command[Account, Refused]):
    """Pay money in: nothing happens if it is none."""

    account_id: AccountId
    amount: int


@frozen
class Close(Command[Account, Refused]):
    """Pay all money out, and close an account."""

    account_id: AccountId


def open_account(command: Open, account: Account) -> Result[Sequence[Opened], AlreadyOpen]:
    """Open an account that is not open."""
    return Failure(AlreadyOpen()) if account.is_open else Success([Opened(command.account_id)])


def deposit(command: Deposit, account: Account) -> Result[Sequence[Deposited], NotOpen]:
    """Pay into an open account."""
    if not account.is_open:
        return Failure(NotOpen())
    return Success([Deposited(command.account_id, command.amount)] if command.amount else [])


def close(command: Close, account: Account) -> Result[Sequence[Deposited | Closed], NotOpen]:
    """Close an open account: two events if there is money in it."""
    if not account.is_open:
        return Failure(NotOpen())
    paid_out = [Deposited(command.account_id, -account.balance)] if account.balance else []
    return Success([*paid_out, Closed(command.account_id)])


decide = decisions(Account).on(Open, open_account).on(Deposit, deposit).on(Close, close)
history = (
    projection(Account())
    .on(Opened, lambda account, _: evolve(account, is_open=True))
    .on(Deposited, lambda account, event: evolve(account, balance=account.balance + event.amount))
    .on(Closed, lambda account, _: evolve(account, is_open=False))
)
account = Decider(decide, history.evolve, history.initial)
codec = MessageCodec.of(AccountEvent)


def account_of(command: Open | Deposit | Close) -> AccountId:
    """Return the account that a command is about."""
    return command.account_id
