"""Snapshots: whatever is in their store, the answers are those of the events alone."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias
from uuid import uuid4

import attrs
import pytest
from accounts import (
    Account,
    AccountEvent,
    AccountId,
    AlreadyOpen,
    Close,
    Deposit,
    Deposited,
    NotOpen,
    Open,
    Opened,
    account,
    account_of,
    codec,
    decide,
    history,
)
from attrs import evolve, frozen
from hypothesis import given
from hypothesis.strategies import builds, integers, lists, one_of, sampled_from, tuples
from returns.result import Failure, Result, Success

from domainkit import (
    NO_STREAM,
    AsyncEventSourced,
    AsyncInmemoryEventStore,
    AsyncInmemorySnapshotStore,
    AsyncSnapshots,
    AsyncSnapshotStore,
    Decider,
    EventSourced,
    InmemoryEventStore,
    InmemorySnapshotStore,
    MessageCodec,
    RecordedEvent,
    Secret,
    Snapshot,
    Snapshots,
    SnapshotStore,
    UnreadableEvent,
    UnsupportedTypeError,
)
from domainkit.event_store import StreamId
from domainkit.testing import AsyncSnapshotStoreContract, SnapshotStoreContract

ID, OTHER_ID = AccountId.v4(), AccountId.v4()
NAME = "Account"

AnyCommand: TypeAlias = Open | Deposit | Close
AccountDecider: TypeAlias = Decider[AnyCommand, Account, AccountEvent, AlreadyOpen | NotOpen]
Sourced: TypeAlias = EventSourced[AnyCommand, Account, AccountEvent, AlreadyOpen | NotOpen]


class TestInmemorySnapshotStore(SnapshotStoreContract):
    """InmemorySnapshotStore keeps what every SnapshotStore promises."""

    def make_store(self) -> InmemorySnapshotStore:
        return InmemorySnapshotStore()


class TestAsyncInmemorySnapshotStore(AsyncSnapshotStoreContract):
    """AsyncInmemorySnapshotStore keeps what every AsyncSnapshotStore promises."""

    async def make_async_store(self) -> AsyncInmemorySnapshotStore:
        return AsyncInmemorySnapshotStore()


class Counting(InmemoryEventStore[AccountEvent]):
    """A store of events that counts those it reads."""

    def __init__(self) -> None:
        super().__init__(codec)
        self.count = 0

    def read(
        self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
    ) -> Sequence[RecordedEvent[AccountEvent] | UnreadableEvent]:
        found = super().read(stream, after=after, limit=limit, backwards=backwards)
        self.count += len(found)
        return found


def sourced(
    store: InmemoryEventStore[AccountEvent],
    kept: SnapshotStore,
    *,
    every: int = 2,
    version: int = 1,
    decider: AccountDecider = account,
) -> Sourced:
    """Return the account over an event store, with snapshots."""
    return EventSourced(
        decider, store, stream=account_of, snapshots=Snapshots(Account, kept, version=version, every=every)
    )


def opened(store: InmemoryEventStore[AccountEvent], kept: SnapshotStore, deposits: int = 3) -> Sourced:
    """Return an account of 1, 2, ... deposits, with a snapshot at every second event."""
    accounts = sourced(store, kept)
    accounts.handle(Open(ID)).unwrap()
    for amount in range(1, deposits + 1):
        accounts.handle(Deposit(ID, amount)).unwrap()
    return accounts


def found_in(kept: SnapshotStore) -> Snapshot:
    """Return the snapshot of the account."""
    found = kept.load(ID, NAME)
    assert found is not None
    return found


# When one is written, and what it saves


def test_a_snapshot_is_written_after_so_many_events() -> None:
    """The first one as soon as the stream has `every` events, the next ones as many events later."""
    store, kept = InmemoryEventStore(codec), InmemorySnapshotStore()
    accounts, revisions = sourced(store, kept, every=3), list[int]()
    accounts.handle(Open(ID)).unwrap()
    for _ in range(6):
        accounts.handle(Deposit(ID, 1)).unwrap()
        found = kept.load(ID, NAME)
        revisions.append(found.revision if found else 0)
    assert [0, 3, 3, 3, 6, 6] == revisions


def test_a_load_reads_the_last_event_of_the_snapshot_and_those_after_it() -> None:
    """The events before it are not read."""
    store, kept = Counting(), InmemorySnapshotStore()
    accounts = opened(store, kept, deposits=20)
    store.count = 0
    assert Success(Account(210, is_open=True)) == accounts.state(ID)
    assert 2 == store.count
    assert 20 == found_in(kept).revision


def test_a_snapshot_says_of_what_it_is() -> None:
    """Stream, name and version, the place and the id of its last event, and the state as JSON."""
    store, kept = InmemoryEventStore(codec), InmemorySnapshotStore()
    opened(store, kept, deposits=1)
    last = store.read(ID)[-1]
    assert isinstance(last, RecordedEvent)
    version = Snapshots(Account, kept, version=1).version
    state = '{"balance":1,"is_open":true}'
    assert Snapshot(str(ID), NAME, version, 2, last.event.header.id.value, state) == kept.load(ID, NAME)


def test_neither_a_refused_command_nor_a_read_writes_one() -> None:
    """Only an append is followed by a snapshot."""
    store, kept = InmemoryEventStore(codec), InmemorySnapshotStore()
    opened(store, kept, deposits=3)
    kept.remove(ID)
    accounts = sourced(store, kept)
    assert Success(Account(6, is_open=True)) == accounts.state(ID) == accounts.handle(Deposit(ID, 0))
    assert Failure(AlreadyOpen()) == accounts.handle(Open(ID))
    assert kept.load(ID, NAME) is None


def test_none_is_a_state_like_any_other() -> None:
    """A fold that comes to None goes on from None, with a snapshot and without."""

    def step(state: int | None, event: AccountEvent) -> int | None:
        return None if isinstance(event, Opened) else event.amount if isinstance(event, Deposited) else state

    def always(command: AnyCommand, state: int | None) -> Result[Sequence[AccountEvent], NotOpen]:
        return Success([Opened(ID)] if isinstance(command, Open) else [Deposited(ID, 1 if state is None else 2)])

    optional: Decider[AnyCommand, int | None, AccountEvent, NotOpen] = Decider(always, step, 7)
    kept = InmemorySnapshotStore()
    snapshots: Snapshots[int | None] = Snapshots(int | None, kept, every=1)
    accounts = EventSourced(optional, InmemoryEventStore(codec), stream=account_of, snapshots=snapshots)
    assert [Success(None), Success(1)] == [accounts.handle(one) for one in (Open(ID), Deposit(ID, 1))]
    accounts.handle(Open(ID))
    assert Success(None) == accounts.state(ID)
    assert Success(None) == accounts.handle(Open(ID))
    found = kept.load(ID, snapshots.name)
    assert found is not None
    assert (4, "null") == (found.revision, found.state)


# Which one is ignored

Change: TypeAlias = Callable[[Snapshot], Snapshot]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: evolve(one, version="0-abc"), "version 0-abc is of another fold"),
        (lambda one: evolve(one, state="{"), "it can't be read: $: expected JSON (json)"),
        (lambda one: evolve(one, state='{"balance":1}x'), "it can't be read: $: expected JSON (json)"),
        (lambda one: evolve(one, state='{"balance":"s3cret"}'), "it can't be read: $.balance: expected int (type)"),
        (lambda one: evolve(one, event_id=uuid4()), "the stream does not have its last event"),
        (lambda one: evolve(one, revision=3), "the stream does not have its last event"),
        (lambda one: evolve(one, revision=50), "the stream does not have its last event"),
        (lambda one: evolve(one, revision=0), "the stream does not have its last event"),
        (lambda one: evolve(one, revision=-1), "the stream does not have its last event"),
    ],
    ids=["version", "no JSON", "half JSON", "type", "event", "earlier", "beyond", "none", "below"],
)
def test_a_snapshot_that_does_not_fit_is_ignored_and_replaced(
    change: Change, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The state is that of the events; the reason is logged once; the next append writes a new snapshot."""
    store, kept = InmemoryEventStore(codec), InmemorySnapshotStore()
    accounts = opened(store, kept)
    kept.save(change(found_in(kept)))
    with caplog.at_level(logging.INFO, logger="domainkit"):
        for _ in range(3):
            assert Success(Account(6, is_open=True)) == accounts.state(ID)
        assert Success(Account(10, is_open=True)) == accounts.handle(Deposit(ID, 4))
    (logged,) = caplog.records
    assert reason in logged.getMessage()
    assert "s3cret" not in caplog.text
    replaced = found_in(kept)
    assert (5, '{"balance":10,"is_open":true}') == (replaced.revision, replaced.state)
    assert Success(Account(10, is_open=True)) == accounts.state(ID)


def test_a_snapshot_of_a_deleted_stream_is_ignored() -> None:
    """Its state would be that of events that are gone; those of an archived one are still there."""
    store, kept = InmemoryEventStore(codec), InmemorySnapshotStore()
    accounts = opened(store, kept)
    store.archive(ID).unwrap()
    assert Success(Account(6, is_open=True)) == accounts.state(ID)
    store.delete(ID).unwrap()
    assert kept.load(ID, NAME) is not None
    assert Success(Account()) == accounts.state(ID)


def test_an_event_that_cannot_be_read_is_the_answer() -> None:
    """Be it the last one of the snapshot, or one after it."""
    for deposits in (1, 2):
        store, kept = InmemoryEventStore(codec), InmemorySnapshotStore()
        accounts = opened(store, kept, deposits=deposits)
        vars(store)["_codec"] = MessageCodec.of(Opened)
        error = accounts.state(ID).failure()
        assert isinstance(error, UnreadableEvent)


def test_each_reason_is_logged_once_for_a_stream(caplog: pytest.LogCaptureFixture) -> None:
    """One log line for each stream, but one for each version; after a thousand, they may be repeated."""
    kept = InmemorySnapshotStore()
    snapshots = Snapshots(Account, kept)
    for _ in range(2):
        for number in range(3):
            kept.save(Snapshot(f"s-{number}", NAME, snapshots.version, 1, uuid4(), "["))
            assert snapshots.restore(f"s-{number}") is None
            kept.save(Snapshot(f"s-{number}", NAME, "0", 1, uuid4(), "{}"))
            assert snapshots.restore(f"s-{number}") is None
    assert 4 == len(caplog.records)
    for number in range(1_000):
        kept.save(Snapshot(f"s-{number}", NAME, snapshots.version, 1, uuid4(), "["))
        assert snapshots.restore(f"s-{number}") is None
    caplog.clear()
    snapshots.restore("s-0")
    assert 1 == len(caplog.records)


# The version


def test_the_shape_of_the_state_is_a_part_of_the_version() -> None:
    """A field more, another type, another name of a field: a snapshot of the class before is of another version."""
    kept = InmemorySnapshotStore()

    @frozen
    class Account:  # of the same name, on purpose
        """Another text."""

        balance: int = 0
        is_open: bool = False

    @frozen
    class More:
        balance: int = 0
        is_open: bool = False
        deposits: int = 0

    @frozen
    class Other:
        balance: int | None = 0
        is_open: bool = False

    @frozen
    class Renamed:
        total: int = 0
        is_open: bool = False

    for one in (More, Other, Renamed):
        one.__name__ = one.__qualname__ = "Account"
    versions = [Snapshots(one, kept).version for one in (More, Other, Renamed)]
    same = [Snapshots(one, kept).version for one in (Account, history.initial.__class__)]
    assert same[0] == same[1]
    assert 4 == len({*versions, same[0]})
    assert 2 == len({Snapshots(Account, kept, version=number).version for number in (1, 2)})


def test_another_version_of_the_fold_is_folded_again() -> None:
    """Two versions of `evolve` over the same streams and snapshots: each has its own answers."""
    store, kept = InmemoryEventStore(codec), InmemorySnapshotStore()
    accounts = opened(store, kept)
    double = sourced(store, kept, version=2, decider=folding(2))
    assert Success(Account(12, is_open=True)) == double.state(ID) == double.state(ID)
    assert Success(Account(16, is_open=True)) == double.handle(Deposit(ID, 2))
    assert Success(Account(8, is_open=True)) == accounts.state(ID)


@pytest.mark.parametrize("options", [{"version": 0}, {"every": 0}, {"version": True}, {"every": "9"}])
def test_a_version_and_a_number_of_events_begin_at_one(options: dict[str, Any]) -> None:
    """Anything else is refused, with the name of the option."""
    (name,) = options
    with pytest.raises(ValueError, match=f"Snapshots: expected `{name}` to be an int from 1, got"):
        Snapshots(Account, InmemorySnapshotStore(), **options)


@pytest.mark.parametrize("name", ["", "a" * 201, "a\0"])
def test_a_name_is_one_that_databases_take(name: str) -> None:
    """It is a part of the key: not empty, not too long."""
    with pytest.raises(ValueError, match="Snapshots: expected a name of 1 to 200 characters"):
        Snapshots(Account, InmemorySnapshotStore(), name=name)


def test_several_states_of_a_stream_have_names() -> None:
    """Two folds of one stream keep their snapshots apart by their names."""
    kept = InmemorySnapshotStore()
    assert ("Account", "Balance") == (Snapshots(Account, kept).name, Snapshots(int, kept, name="Balance").name)


def test_a_state_without_a_wire_form_is_refused() -> None:
    """When the snapshots are made, and not when one is written: an open object, or a secret."""
    for wrong in (object, Secret[str]):
        with pytest.raises(UnsupportedTypeError):
            Snapshots(wrong, InmemorySnapshotStore())


# Failures


class Broken(SnapshotStore):
    """A store that fails."""

    def __init__(self) -> None:
        self.inner = InmemorySnapshotStore()
        self.fails_at = {"load", "save"}

    def load(self, stream: StreamId, name: str, /) -> Snapshot | None:
        if "load" in self.fails_at:
            raise LookupError("s3cret")
        return self.inner.load(stream, name)

    def save(self, snapshot: Snapshot, /) -> None:
        if "save" in self.fails_at:
            raise LookupError("s3cret")
        self.inner.save(snapshot)

    def remove(self, stream: StreamId, /) -> None:
        self.inner.remove(stream)


class AsyncBroken(AsyncSnapshotStore):
    """A store that fails."""

    async def load(self, stream: StreamId, name: str, /) -> Snapshot | None:
        raise LookupError("s3cret")

    async def save(self, snapshot: Snapshot, /) -> None:
        raise LookupError("s3cret")

    async def remove(self, stream: StreamId, /) -> None:
        raise LookupError("s3cret")


def test_a_failure_of_the_store_changes_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """Each is logged, with the place and without the text of the exception, which may have values."""
    broken = Broken()
    accounts = opened(InmemoryEventStore(codec), broken)
    assert Success(Account(6, is_open=True)) == accounts.state(ID)
    texts = [record.getMessage() for record in caplog.records]
    assert 5 == len([one for one in texts if "Snapshot of Account not loaded; the events are used alone" in one])
    assert 3 == len([one for one in texts if "Snapshot of Account not saved; the events are used alone" in one])
    assert "LookupError" in caplog.text
    assert "s3cret" not in caplog.text
    broken.fails_at = set()
    accounts.handle(Deposit(ID, 4)).unwrap()
    assert 5 == found_in(broken).revision


def test_a_failure_of_an_async_store_changes_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """As with the sync one."""

    async def run() -> None:
        snapshots = AsyncSnapshots(Account, AsyncBroken(), every=1)
        accounts = AsyncEventSourced(account, AsyncInmemoryEventStore(codec), stream=account_of, snapshots=snapshots)
        assert Success(Account(0, is_open=True)) == await accounts.handle(Open(ID)) == await accounts.state(ID)

    asyncio.run(run())
    assert ["loaded", "saved", "loaded"] == [str(vars(record)["args"][1]) for record in caplog.records]
    assert "s3cret" not in caplog.text


@frozen
class Odd:
    """A state that may be unequal to what is read back."""

    total: float = attrs.field(default=0.0, eq=id)


@pytest.mark.parametrize(
    ("state", "initial", "reason"),
    [
        (
            float,
            float("nan"),
            "float: expected a state that can be read back, got one that can't: $: expected a finite",
        ),
        (
            Odd,
            Odd(1.5),
            "Odd: expected a state that can be read back, got one that can't: $: expected a value that is ",
        ),
    ],
    ids=["no JSON", "unequal"],
)
def test_a_state_that_could_not_be_read_back_is_not_kept(
    state: type[object], initial: object, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is written, and it is logged once for the stream; the answers are those of the events."""
    kept = InmemorySnapshotStore()

    def always(command: AnyCommand, state: object) -> Result[Sequence[AccountEvent], NotOpen]:
        return Success([Opened(ID)])

    same: Decider[AnyCommand, object, AccountEvent, NotOpen] = Decider(always, lambda state, _: state, initial)
    snapshots: Snapshots[object] = Snapshots(state, kept, every=1)
    accounts = EventSourced(same, InmemoryEventStore(codec), stream=account_of, snapshots=snapshots)
    for _ in range(3):
        assert initial is accounts.handle(Open(ID)).unwrap()
    (logged,) = caplog.records
    assert reason in logged.getMessage()
    assert kept.load(ID, snapshots.name) is None

    async def run() -> None:
        async_kept = AsyncInmemorySnapshotStore()
        twins: AsyncSnapshots[object] = AsyncSnapshots(state, async_kept, every=1)
        await twins.save(ID, initial, 1, Opened(ID))
        assert await async_kept.load(ID, twins.name) is None

    asyncio.run(run())


# Any history


def folding(factor: int) -> AccountDecider:
    """Return a decider whose deposits count so many times."""

    def step(state: Account, event: AccountEvent) -> Account:
        if isinstance(event, Deposited):
            return evolve(state, balance=state.balance + factor * event.amount)
        return history.evolve(state, event)

    return Decider(decide, step, Account())


def cut(store: InmemoryEventStore[AccountEvent], most: int) -> InmemoryEventStore[AccountEvent]:
    """Return the store as it was when each stream had fewer events, as after a database was restored."""
    older = InmemoryEventStore(codec)
    for one in (ID, OTHER_ID):
        events = [found.event for found in store.read(one, limit=most) if isinstance(found, RecordedEvent)]
        older.append(one, events, expected=NO_STREAM)
    return older


@frozen
class Deploy:
    """Another version of the fold, with another policy."""

    version: int
    every: int


@frozen
class Restore:
    """The database of the events is restored to an older state; that of the snapshots is not."""

    most: int


@frozen
class Delete:
    """A stream is deleted, and its snapshot is not."""

    account_id: AccountId


@frozen
class Damage:
    """A snapshot is changed by hand: its state, its event, or its revision."""

    account_id: AccountId
    state: str
    revision: int
    keeps_event: bool


ANY_ID = sampled_from([ID, OTHER_ID])
STEPS = lists(
    one_of(
        builds(Open, ANY_ID),
        builds(Deposit, ANY_ID, integers(-3, 3)),
        builds(Deposit, ANY_ID, integers(1, 3)),
        builds(Close, ANY_ID),
        builds(Deploy, integers(1, 3), integers(1, 4)),
        builds(Restore, integers(0, 4)),
        builds(Delete, ANY_ID),
        builds(
            Damage, ANY_ID, sampled_from(["", "[]", '{"balance":"1"}']), integers(0, 9), sampled_from([True, False])
        ),
    ),
    max_size=30,
)


class Both:
    """The account with snapshots and without, over stores of the same history."""

    def __init__(self, kept: SnapshotStore, version: int, every: int) -> None:
        self.kept = kept
        self.stores = [InmemoryEventStore(codec), InmemoryEventStore(codec)]
        self.deploy(version, every)

    def deploy(self, version: int, every: int) -> None:
        """Run another version of the fold from now on."""
        self.version, self.every = version, every
        decider = folding(version)
        with_snapshots = sourced(self.stores[0], self.kept, version=version, every=every, decider=decider)
        self.runs = [with_snapshots, EventSourced(decider, self.stores[1], stream=account_of)]

    def take(self, step: object) -> None:
        """Do the same with both, and compare their answers."""
        if isinstance(step, Deploy):
            self.deploy(step.version, step.every)
        elif isinstance(step, Restore):
            self.stores = [cut(one, step.most) for one in self.stores]
            self.deploy(self.version, self.every)
        elif isinstance(step, Delete):
            assert [1] == sorted({len({isinstance(one.delete(step.account_id), Success) for one in self.stores})})
        elif isinstance(step, Damage):
            damage(self.kept, step)
        elif isinstance(step, Open | Deposit | Close):
            answers = [run.handle(step) for run in self.runs]
            assert answers[0] == answers[1]
        for one in (ID, OTHER_ID):
            states = [run.state(one) for run in self.runs]
            assert states[0] == states[1]


def damage(kept: SnapshotStore, step: Damage) -> None:
    """Change a snapshot, if there is one; a state that can be read is only changed where its event does not fit."""
    found = kept.load(step.account_id, NAME)
    if found is None:
        return
    if step.keeps_event:
        kept.save(evolve(found, state=step.state))
    else:
        kept.save(evolve(found, event_id=uuid4(), revision=step.revision))


@given(STEPS, tuples(integers(1, 3), integers(1, 4)))
def test_the_answers_are_those_of_the_events_alone(steps: list[object], first: tuple[int, int]) -> None:
    """Any history, any versions of the fold, any policy, any damage: the same answers with snapshots and without."""
    both = Both(InmemorySnapshotStore(), *first)
    for step in [Open(ID), Deposit(ID, 5), *steps]:
        both.take(step)


@given(
    lists(one_of(builds(Open, ANY_ID), builds(Deposit, ANY_ID, integers(-3, 3)), builds(Close, ANY_ID)), max_size=20)
)
def test_async_ones_are_the_same(commands: list[AnyCommand]) -> None:
    """The async twin has the same answers, and the same snapshots."""
    kept, async_kept = InmemorySnapshotStore(), AsyncInmemorySnapshotStore()
    accounts = sourced(InmemoryEventStore(codec), kept)
    snapshots = AsyncSnapshots(Account, async_kept, every=2)
    twin = AsyncEventSourced(account, AsyncInmemoryEventStore(codec), stream=account_of, snapshots=snapshots)

    async def run() -> None:
        for command in commands:
            assert accounts.handle(command) == await twin.handle(command)
        for one in (ID, OTHER_ID):
            assert accounts.state(one) == await twin.state(one)
            pair = [kept.load(one, NAME), await async_kept.load(one, NAME)]
            assert 1 == len({None if found is None else (found.revision, found.state) for found in pair})
        found = await async_kept.load(ID, NAME)
        if found is not None:
            await async_kept.save(evolve(found, event_id=uuid4()))
            assert accounts.state(ID) == await twin.state(ID)

    asyncio.run(run())
