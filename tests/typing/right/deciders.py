"""Types that checkers infer of deciders, projections, typed codecs, and stores: exactly these."""

from collections.abc import Sequence
from typing import TypeAlias, assert_type

from attrs import evolve as change
from attrs import frozen
from returns.result import Result

from domainkit import (
    ANY_REVISION,
    NO_STREAM,
    STREAM_EXISTS,
    Appended,
    AsyncCrudRepository,
    AsyncEventSourced,
    AsyncEventStore,
    AsyncInmemoryEventStore,
    AsyncInmemorySnapshotStore,
    AsyncSnapshots,
    AsyncSnapshotStore,
    AsyncStateStored,
    CodecOptions,
    Command,
    CrudRepository,
    DecidedState,
    Decider,
    Decisions,
    DomainError,
    DomainEvent,
    EventSourced,
    EventStore,
    Expected,
    InmemoryEventStore,
    InmemorySnapshotStore,
    InvalidMessage,
    Mediator,
    Message,
    MessageCodec,
    Projection,
    RecordedEvent,
    RetryOnConflict,
    RevisionConflict,
    Snapshot,
    Snapshots,
    SnapshotStore,
    StateStored,
    StreamClosed,
    UnknownError,
    UnreadableEvent,
    Uuid,
    combined,
    decisions,
    projection,
)
from domainkit.testing import Then, check_decider, given


class AccountId(Uuid): ...


class AlreadyOpen(DomainError): ...


class NotOpen(DomainError): ...


@frozen
class Opened(DomainEvent):
    account_id: AccountId


@frozen
class Deposited(DomainEvent):
    account_id: AccountId
    amount: int


@frozen
class Closed(DomainEvent):
    account_id: AccountId


@frozen
class Account:
    balance: int = 0
    is_open: bool = False


AccountEvent: TypeAlias = Opened | Deposited | Closed
Refused: TypeAlias = AlreadyOpen | NotOpen | RevisionConflict | UnreadableEvent


@frozen
class Open(Command[Account, Refused]):
    account_id: AccountId


@frozen
class Deposit(Command[Account, Refused]):
    account_id: AccountId
    amount: int


@frozen
class StoredAccount(DecidedState[AccountId, Account]): ...


def open_account(command: Open, account: Account) -> Result[Sequence[Opened], AlreadyOpen]:
    raise NotImplementedError


def deposit(command: Deposit, account: Account) -> Result[Sequence[Deposited], NotOpen]:
    raise NotImplementedError


def evolve(account: Account, event: Opened | Deposited) -> Account:
    raise NotImplementedError


def account_of(command: Open | Deposit) -> AccountId:
    raise NotImplementedError


decide = decisions(Account).on(Open, open_account).on(Deposit, deposit)
assert_type(decide, Decisions[Open | Deposit, Account, Opened | Deposited, AlreadyOpen | NotOpen])
account = Decider(decide, evolve, Account())
assert_type(account, Decider[Open | Deposit, Account, Opened | Deposited, AlreadyOpen | NotOpen])

balance = projection(0).on(Deposited, lambda total, event: total + event.amount)
assert_type(balance, Projection[int, Deposited])
both = balance.on(Closed, lambda total, _: 0)
assert_type(both, Projection[int, Deposited | Closed])
assert_type(balance([]), int)

history = (
    projection(Account())
    .on(Opened, lambda state, _: change(state, is_open=True))
    .on(Deposited, lambda state, event: change(state, balance=state.balance + event.amount))
)
projected = Decider(decide, history.evolve, history.initial)
assert_type(projected, Decider[Open | Deposit, Account, Opened | Deposited, AlreadyOpen | NotOpen])

counter = Decider(decisions(int).on(Open, lambda command, state: open_account(command, Account())), lambda n, _: n, 0)
pair = combined(account, counter)
assert_type(
    pair,
    Decider[Open | Deposit, tuple[Account, int], Opened | Deposited, AlreadyOpen | NotOpen],
)

codec = MessageCodec.of(AccountEvent)
assert_type(codec, MessageCodec[AccountEvent])
assert_type(codec.decode(b""), Result[AccountEvent, InvalidMessage])
assert_type(MessageCodec(Opened, Closed), MessageCodec[Message])
wider: MessageCodec = codec
options: CodecOptions = {"forbid_unknown": True}
strict = MessageCodec.of(Opened, **options)

store = InmemoryEventStore(codec)
assert_type(store, InmemoryEventStore[AccountEvent])
assert_type(store.append("account", [Opened(AccountId.v4())], expected=NO_STREAM), Result[Appended, RevisionConflict])
expectations: list[Expected] = [ANY_REVISION, NO_STREAM, STREAM_EXISTS]
async_store: AsyncEventStore[AccountEvent] = AsyncInmemoryEventStore(codec)
closed: type[RevisionConflict] = StreamClosed
assert_type(store.read(AccountId.v4()), Sequence[RecordedEvent[AccountEvent] | UnreadableEvent])

# a store of more classes of events fits, without an annotation
accounts = EventSourced(account, store, stream=account_of)
opening = Open(AccountId.v4())
assert_type(accounts.handle(opening), Result[Account, AlreadyOpen | NotOpen | RevisionConflict | UnreadableEvent])
assert_type(
    accounts(opening), Result[Account, AlreadyOpen | NotOpen | RevisionConflict | UnreadableEvent | UnknownError]
)
assert_type(accounts.state("account"), Result[Account, UnreadableEvent])
kept: SnapshotStore = InmemorySnapshotStore()
snapshots = Snapshots(Account, kept, version=2, every=50, name="account")
assert_type(snapshots, Snapshots[Account])
assert_type(Snapshots(int, kept), Snapshots[int])
assert_type(Snapshots(tuple[Account, int], kept), Snapshots[tuple[Account, int]])
assert_type(kept.load(AccountId.v4(), "account"), Snapshot | None)
quick = EventSourced(account, store, stream=account_of, snapshots=snapshots)
assert_type(quick.handle(opening), Result[Account, AlreadyOpen | NotOpen | RevisionConflict | UnreadableEvent])
mediator = Mediator(Open.handled_by(accounts.handle), Deposit.handled_by(accounts.handle))


def ports(events: EventStore[AccountEvent], states: CrudRepository[StoredAccount, AccountId]) -> None:
    assert_type(
        EventSourced(account, events, stream=account_of).handle(opening),
        Result[Account, AlreadyOpen | NotOpen | RevisionConflict | UnreadableEvent],
    )
    stored = StateStored(account, states, StoredAccount, key=account_of, retry=RetryOnConflict(attempts=3))
    assert_type(stored.handle(opening), Result[Account, AlreadyOpen | NotOpen | RevisionConflict])
    Mediator(Open.handled_by(stored.handle))


async def async_ports(
    events: AsyncEventStore[AccountEvent], states: AsyncCrudRepository[StoredAccount, AccountId]
) -> None:
    assert_type(
        await AsyncEventSourced(account, events, stream=account_of).handle(opening),
        Result[Account, AlreadyOpen | NotOpen | RevisionConflict | UnreadableEvent],
    )
    async_kept: AsyncSnapshotStore = AsyncInmemorySnapshotStore()
    assert_type(await async_kept.load("account", "account"), Snapshot | None)
    assert_type(AsyncSnapshots(Account, async_kept), AsyncSnapshots[Account])
    AsyncEventSourced(account, events, stream=account_of, snapshots=AsyncSnapshots(Account, async_kept))
    assert_type(
        await AsyncStateStored(account, states, StoredAccount, key=account_of).handle(opening),
        Result[Account, AlreadyOpen | NotOpen | RevisionConflict],
    )


then = given(account, Opened(AccountId.v4())).when(opening)
assert_type(then, Then[Result[Account, AlreadyOpen | NotOpen]])
check_decider(account, [opening], codec)
