"""Code that a type checker must refuse around deciders and stores: each line marked `# wrong`, and no other."""

from collections.abc import Sequence

from attrs import frozen
from returns.result import Result

from domainkit import (
    Command,
    Decider,
    DomainError,
    DomainEvent,
    EventSourced,
    AsyncInmemorySnapshotStore,
    InmemoryEventStore,
    InmemorySnapshotStore,
    MessageCodec,
    Snapshots,
    Uuid,
    decisions,
    projection,
)
from domainkit.testing import given


class AccountId(Uuid): ...


class AlreadyOpen(DomainError): ...


@frozen
class Opened(DomainEvent):
    account_id: AccountId


@frozen
class Closed(DomainEvent):
    account_id: AccountId


@frozen
class Open(Command[bool, AlreadyOpen]):
    account_id: AccountId


@frozen
class Close(Command[bool, DomainError]):
    account_id: AccountId


def open_account(command: Open, account: bool) -> Result[Sequence[Opened], AlreadyOpen]:
    raise NotImplementedError


def evolve(account: bool, event: Opened) -> bool:
    raise NotImplementedError




decide = decisions(bool).on(Open, open_account)
account = Decider(decide, evolve, False)
store = InmemoryEventStore(MessageCodec.of(Opened))
closed = InmemoryEventStore(MessageCodec.of(Closed))
accounts = EventSourced(account, store, stream=lambda command: command.account_id)
command, event = Close(AccountId.v4()), Closed(AccountId.v4())

decide(command, True)  # wrong: no function decides on it
decide(Open(AccountId.v4()), "open")  # wrong: the state is a bool
decisions(str).on(Open, open_account)  # wrong: the function takes another state
decisions(bool).on(Close, open_account)  # wrong: the function takes another command
account.fold([event])  # wrong: it does not evolve by this event
projection(0).on(Opened, lambda total, event: event.amount)  # wrong: the event has no field of this name
projection(0).on(Opened, lambda total, _: "one")  # wrong: the value is an int
projection(0).on(Opened, lambda total, _: total + 1)([event])  # wrong: it has no step for this event
accounts.handle(command)  # wrong: no function decides on it
store.append("account", [event], expected=0)  # wrong: another event
store.append("account", [], expected="none")  # wrong: no revision
store.append("account", [])  # wrong: what is expected is missing
EventSourced(account, closed, stream=lambda command: command.account_id)  # wrong: the store has other events
kept = InmemorySnapshotStore()
texts = Snapshots(str, kept)
EventSourced(account, store, stream=lambda command: command.account_id, snapshots=texts)  # wrong: the state is a bool
Snapshots(bool, AsyncInmemorySnapshotStore())  # wrong: an async store
Snapshots("bool", kept, version="2")  # wrong: a version is an int
Open.handled_by(accounts.handle)  # wrong: it may fail with more than the command says
MessageCodec.of(Opened | int)  # wrong: an int is no message
given(account, event)  # wrong: another event
given(account).when(command)  # wrong: another command
