"""The small bank that the processes of the test of kills share: its model, its tables, its wiring."""

from uuid import NAMESPACE_OID, uuid5

from attrs import evolve, frozen
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, Uuid

import domainkit
from domainkit import AggregateRoot, Command, DomainError, DomainEvent, MessageCodec, MessageHeader
from domainkit.adapters.rabbitmq import RabbitMqTopology
from domainkit.adapters.sqlalchemy import Outbox, aggregate_table, inbox_table, outbox_table

ACCOUNTS = 100

METADATA = MetaData()
ACCOUNT_TABLE = aggregate_table(METADATA, "accounts")
OUTBOX_TABLE = outbox_table(METADATA)
INBOX_TABLE = inbox_table(METADATA)
EFFECTS = Table(
    "effects",  # without any constraint: an effect that came twice would be seen
    METADATA,
    Column("position", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", Uuid(), nullable=False),
    Column("account", Text(), nullable=False),
    Column("sequence", Integer(), nullable=False),
)


class AccountId(domainkit.Uuid):
    """The id of an account."""


@frozen
class Deposited(DomainEvent):
    """An account has one deposit more: its `sequence`-th."""

    account_id: AccountId
    sequence: int


@frozen
class Deposit(Command[None, DomainError]):
    """Asks for one deposit more."""

    account_id: AccountId

    @classmethod
    def numbered(cls, number: int) -> "Deposit":
        """Return the command of this number: the same one, whoever asks."""
        header = MessageHeader(id=domainkit.Uuid.from_uuid(uuid5(NAMESPACE_OID, f"deposit {number}")))
        return cls(account_id(number % ACCOUNTS), header=header)


@frozen
class Account(AggregateRoot[AccountId]):
    """Counts its deposits."""

    deposits: int = 0

    def deposit(self) -> "Account":
        """Return the account with one deposit more."""
        deposits = self.deposits + 1
        return evolve(self, deposits=deposits).record(Deposited(self.aggregate_id, deposits))


def account_id(number: int) -> AccountId:
    """Return the id of the account of this number."""
    return AccountId.from_uuid(uuid5(NAMESPACE_OID, f"account {number}"))


CODEC = MessageCodec(Deposited, Deposit)
OUTBOX = Outbox(OUTBOX_TABLE, CODEC)


def topology(exchange: str) -> RabbitMqTopology:
    """Return where the events go."""
    return RabbitMqTopology(exchange, service="bank")
