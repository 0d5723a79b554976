"""Deciders over stores: the same answers whether events or the state are stored, with conflicts decided again."""

import asyncio
from collections.abc import Sequence

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
    StoredAccount,
    account,
    account_of,
    codec,
    history,
)
from hypothesis import given
from hypothesis.strategies import builds, integers, lists, one_of, sampled_from
from returns.result import Failure, Result, Success

from domainkit import (
    NO_STREAM,
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    Appended,
    AsyncEventSourced,
    AsyncInmemoryCrudRepository,
    AsyncInmemoryEventStore,
    AsyncMediator,
    AsyncStateStored,
    Decider,
    EventSourced,
    InmemoryCrudRepository,
    InmemoryEventStore,
    InmemoryNotifier,
    InmemoryOutbox,
    Mediator,
    MessageCodec,
    RecordedEvent,
    RetryOnConflict,
    RevisionConflict,
    StateStored,
    StreamClosed,
    UnknownError,
    UnreadableEvent,
)
from domainkit.event_store import ExpectedRevision, StreamId
from domainkit.testing import (
    AsyncEventStoreContract,
    EventStoreContract,
    SampleTaskCreated,
)

IDS = [AccountId.v4() for _ in range(3)]
ID = IDS[0]
ANY_ID = sampled_from(IDS)
COMMANDS = lists(
    one_of(builds(Open, ANY_ID), builds(Close, ANY_ID), builds(Deposit, ANY_ID, integers(-3, 3))), max_size=20
)
AT_ONCE = RetryOnConflict(attempts=3, first=0)

AccountDecider = Decider[Open | Deposit | Close, Account, AccountEvent, AlreadyOpen | NotOpen]


class TestInmemoryEventStore(EventStoreContract):
    """InmemoryEventStore keeps what every EventStore promises."""

    def make_store(self, codec: MessageCodec[SampleTaskCreated]) -> InmemoryEventStore[SampleTaskCreated]:
        return InmemoryEventStore(codec)


class TestAsyncInmemoryEventStore(AsyncEventStoreContract):
    """AsyncInmemoryEventStore keeps what every AsyncEventStore promises."""

    async def make_async_store(
        self, codec: MessageCodec[SampleTaskCreated]
    ) -> AsyncInmemoryEventStore[SampleTaskCreated]:
        return AsyncInmemoryEventStore(codec)


class TestStore:
    """Refusals of a store."""

    @pytest.mark.parametrize("stream", ["", "a\0b", "\ud800", "a" * 2001])
    def test_a_name_that_no_database_takes_is_refused(self, stream: str) -> None:
        """An empty name, or one that a database could not keep, is a ValueError that shows no value."""
        with pytest.raises(ValueError, match="stream: expected a text"):
            InmemoryEventStore(codec).read(stream)

    @pytest.mark.parametrize("stream", [None, True, 1.5])
    def test_a_name_without_a_text_is_refused(self, stream: str) -> None:
        """A name that is neither a text nor an id is a TypeError."""
        with pytest.raises(TypeError, match="stream: expected a text or an id"):
            InmemoryEventStore(codec).read(stream)

    @pytest.mark.parametrize("expected", [-1, True, "1", None])
    def test_an_expectation_that_is_none_is_refused(self, expected: int) -> None:
        """Neither a revision nor one of the constants: a TypeError."""
        with pytest.raises(TypeError, match="expected: expected a revision from 0"):
            InmemoryEventStore(codec).append(ID, [Opened(ID)], expected=expected)

    @pytest.mark.parametrize(
        ("events", "found"),
        [(Opened(ID), "a Opened"), ("ab", "a str with a str"), ([Opened(ID), 1], "a list with a int")],
    )
    def test_events_come_in_a_sequence(self, events: Sequence[AccountEvent], found: str) -> None:
        """A single event, or something else among the events, is a TypeError that names it."""
        with pytest.raises(TypeError, match=f"append: expected a sequence of events, got {found};"):
            InmemoryEventStore(codec).append(ID, events, expected=NO_STREAM)

    def test_appended_events_are_in_the_outbox(self) -> None:
        """An outbox gets what is appended, once."""
        outbox = InmemoryOutbox()
        store = InmemoryEventStore(codec, outbox=outbox)
        events: list[AccountEvent] = [Opened(ID), Deposited(ID, 2)]
        for _ in range(2):
            store.append(ID, events, expected=NO_STREAM)
        store.append(ID, [Deposited(ID, 3)], expected=1)
        assert tuple(events) == outbox.events

    def test_errors_say_where(self) -> None:
        """The texts of the errors have revisions and positions, and no value."""
        store = InmemoryEventStore(codec)
        store.append("stream-1", [Opened(ID)], expected=NO_STREAM)
        refused = store.append("stream-1", [Opened(ID)], expected=NO_STREAM).failure()
        assert "RevisionConflict: expected no event, the stream has revision 1" == refused.detail()
        assert "RevisionConflict: expected revision 3, the stream has another one" == (
            RevisionConflict(stream="stream-1", expected=3).detail()
        )
        assert "StreamClosed: expected an open stream, this one was archived or deleted" == (
            StreamClosed(stream="stream-1", expected=1, actual=1).detail()
        )
        (unreadable,) = _with_codec(store, MessageCodec.of(Deposited)).read("stream-1")
        assert isinstance(unreadable, UnreadableEvent)
        assert "UnreadableEvent: event 1 at position 1: $.data: " in unreadable.detail()


def _with_codec(
    store: InmemoryEventStore[AccountEvent], codec: MessageCodec[Deposited]
) -> InmemoryEventStore[Deposited]:
    """Return a store of the same events with another codec."""
    other = InmemoryEventStore(codec)
    vars(other).update(vars(store), _codec=codec)
    return other


class Rival(InmemoryEventStore[AccountEvent]):
    """A store in which somebody else appends before each of the first appends."""

    def __init__(self, times: int) -> None:
        super().__init__(codec)
        self.times = times

    def _append_expected(
        self, stream: StreamId, expected: ExpectedRevision, events: Sequence[AccountEvent]
    ) -> Result[Appended, RevisionConflict]:
        if self.times:
            self.times -= 1
            revision = len(self.read(stream))
            super()._append_expected(stream, revision, [Deposited(ID, 100)])
        return super()._append_expected(stream, expected, events)


class TestEventSourced:
    """A decider over an event store."""

    def test_a_command_is_decided_on_the_state_of_its_stream(self) -> None:
        """The answer is the new state, which the stream has from then on."""
        accounts = EventSourced(account, InmemoryEventStore(codec), stream=account_of)
        assert Failure(NotOpen()) == accounts.handle(Deposit(ID, 2))
        assert Success(Account(0, is_open=True)) == accounts.handle(Open(ID))
        assert Success(Account(2, is_open=True)) == accounts.handle(Deposit(ID, 2)) == accounts.state(ID)
        assert Success(Account()) == accounts.state(IDS[1])

    def test_a_decision_without_events_appends_nothing(self) -> None:
        """The answer is the state as it was."""
        store = InmemoryEventStore(codec)
        accounts = EventSourced(account, store, stream=account_of)
        accounts.handle(Open(ID))
        assert Success(Account(0, is_open=True)) == accounts.handle(Deposit(ID, 0))
        assert 1 == len(store.read(ID))

    def test_a_conflict_is_decided_again_on_the_newer_state(self) -> None:
        """Somebody else appended meanwhile: the answer has both."""
        store = Rival(0)
        accounts = EventSourced(account, store, stream=account_of, retry=AT_ONCE)
        accounts.handle(Open(ID))
        store.times = 2
        assert Success(Account(201, is_open=True)) == accounts.handle(Deposit(ID, 1))

    def test_a_conflict_at_each_attempt_is_the_answer(self) -> None:
        """After the attempts that are allowed, the RevisionConflict is the answer."""
        store = Rival(0)
        accounts = EventSourced(account, store, stream=account_of, retry=AT_ONCE)
        accounts.handle(Open(ID))
        store.times = 3
        error = accounts.handle(Deposit(ID, 1)).failure()
        assert RevisionConflict(stream=str(ID), expected=3, actual=4) == error
        assert Success(Account(300, is_open=True)) == accounts.state(ID)

    def test_a_closed_stream_is_not_tried_again(self) -> None:
        """StreamClosed is the answer at once."""
        store = InmemoryEventStore(codec)
        accounts = EventSourced(account, store, stream=account_of, retry=RetryOnConflict(first=3600, longest=3600))
        accounts.handle(Open(ID))
        store.archive(ID)
        assert isinstance(accounts.handle(Deposit(ID, 1)).failure(), StreamClosed)

    def test_an_event_that_cannot_be_read_is_the_answer(self) -> None:
        """Nothing is decided on a state that is not known."""
        store = InmemoryEventStore(codec)
        store.append(ID, [Opened(ID), Deposited(ID, 1)], expected=NO_STREAM)
        vars(store)["_codec"] = MessageCodec.of(Deposited)
        accounts = EventSourced(account, store, stream=account_of)
        error = accounts.handle(Deposit(ID, 1)).failure()
        assert isinstance(error, UnreadableEvent)
        assert (1, str(ID)) == (error.revision, error.stream)

    def test_a_mediator_sends_to_it(self) -> None:
        """`handle` is a handler of each command, and the command is the cause of the events."""
        store = InmemoryEventStore(codec)
        accounts = EventSourced(account, store, stream=account_of)
        mediator = Mediator(Open.handled_by(accounts.handle), Deposit.handled_by(accounts.handle))
        command = Open(ID).add_meta({"tenant": "home"})
        assert Success(Account(0, is_open=True)) == mediator.send(command)
        assert [str(command.header.id)] == _causes(store.read(ID))

    def test_a_command_without_a_mediator_is_the_cause_too(self) -> None:
        """The events of `handle` name the command."""
        store = InmemoryEventStore(codec)
        command = Open(ID)
        EventSourced(account, store, stream=account_of).handle(command)
        assert [str(command.header.id)] == _causes(store.read(ID))

    def test_what_is_no_message_can_be_decided_on_too(self) -> None:
        """A command of any class; nothing is noted as its cause then."""
        store = InmemoryEventStore(codec)
        opening: Decider[AccountId, Account, Opened, NotOpen] = Decider(
            lambda account_id, _: Success((Opened(account_id),)), history.evolve, Account()
        )
        EventSourced(opening, store, stream=lambda account_id: account_id).handle(ID)
        assert [None] == _causes(store.read(ID))

    def test_it_is_guarded_where_it_is_called(self) -> None:
        """A bug is an UnknownError, and the notifier is told; `handle` raises it."""
        broken = Decider(account.decide, account.evolve, account.initial)
        notifier = InmemoryNotifier()
        accounts = EventSourced(broken, InmemoryEventStore(codec), stream=lambda _: "", notifier=notifier)
        assert isinstance(accounts(Open(ID)).failure(), UnknownError)
        assert 1 == len(notifier.messages)
        with pytest.raises(ValueError, match="stream: expected a text that is not empty"):
            accounts.handle(Open(ID))

    @pytest.mark.parametrize("outcome", [None, [Opened(ID)], Success(Opened(ID)), Success("ab"), Success(None)])
    def test_a_decision_is_a_result_with_events(self, outcome: Result[Sequence[Opened], NotOpen]) -> None:
        """Anything else is a TypeError that names the function."""

        def decide_badly(command: Open, state: Account) -> Result[Sequence[Opened], NotOpen]:
            return outcome

        store = InmemoryEventStore(codec)
        accounts = EventSourced(Decider(decide_badly, history.evolve, Account()), store, stream=account_of)
        with pytest.raises(TypeError, match="decide_badly: expected a Result with a list or tuple of events, got"):
            accounts.handle(Open(ID))


class TestStateStored:
    """A decider over a repository."""

    def test_a_decision_without_events_stores_nothing(self) -> None:
        """The answer is the state as it was, whose version stays."""
        repository = InmemoryCrudRepository[StoredAccount, AccountId]()
        accounts = StateStored(account, repository, StoredAccount, key=account_of)
        accounts.handle(Open(ID))
        assert Success(Account(0, is_open=True)) == accounts.handle(Deposit(ID, 0)) == accounts.state(ID)
        assert 1 == repository.retrieve(ID).unwrap().aggregate_version

    def test_a_conflict_is_decided_again(self) -> None:
        """Somebody else stored meanwhile: the answer has both, at the first save and at an update."""
        for opened in (False, True):
            repository = RivalRepository()
            accounts = StateStored(account, repository, StoredAccount, key=account_of, retry=AT_ONCE)
            if opened:
                accounts.handle(Open(ID))
            repository.times = 1
            expected = Success(Account(101, is_open=True)) if opened else Failure(AlreadyOpen())
            assert expected == accounts.handle(Deposit(ID, 1) if opened else Open(ID))

    def test_a_conflict_at_each_attempt_is_the_answer(self) -> None:
        """After the attempts that are allowed, a RevisionConflict is the answer."""
        repository = RivalRepository()
        accounts = StateStored(account, repository, StoredAccount, key=account_of, retry=AT_ONCE)
        accounts.handle(Open(ID))
        repository.times = 3
        assert RevisionConflict(stream=str(ID), expected=3) == accounts.handle(Deposit(ID, 1)).failure()
        repository = RivalRepository()
        once = RetryOnConflict(attempts=1)
        accounts = StateStored(account, repository, StoredAccount, key=account_of, retry=once)
        repository.times = 1
        assert RevisionConflict(stream=str(ID), expected=NO_STREAM) == accounts.handle(Open(ID)).failure()

    def test_its_events_are_in_the_outbox(self) -> None:
        """The aggregate records them, with the command as their cause."""
        outbox = InmemoryOutbox()
        repository = InmemoryCrudRepository[StoredAccount, AccountId](outbox=outbox)
        command = Open(ID)
        StateStored(account, repository, StoredAccount, key=account_of).handle(command)
        (event,) = outbox.events
        assert (Opened, str(command.header.id)) == (type(event), event.header.meta["causation_id"])

    def test_it_is_guarded_where_it_is_called(self) -> None:
        """A bug is an UnknownError."""
        accounts = StateStored(
            Decider(account.decide, account.evolve, account.initial),
            InmemoryCrudRepository[StoredAccount, AccountId](),
            StoredAccount,
            key=_no_key,
        )
        assert isinstance(accounts(Open(ID)).failure(), UnknownError)


def _no_key(command: object) -> AccountId:
    raise ValueError("no key")


class RivalRepository(InmemoryCrudRepository[StoredAccount, AccountId]):
    """A repository in which somebody else stores before each of the first calls that store."""

    times = 0

    def save(self, aggregate: StoredAccount) -> Result[StoredAccount, AggregateAlreadyExistError]:
        if self.times:
            self.times -= 1
            super().save(StoredAccount(Account(0, is_open=True), aggregate_id=aggregate.aggregate_id))
        return super().save(aggregate)

    def update(
        self, aggregate: StoredAccount
    ) -> Result[StoredAccount, AggregateNotFoundError | AggregateVersionConflictError]:
        if self.times:
            self.times -= 1
            found = self.retrieve(aggregate.aggregate_id).unwrap()
            changed = Account(found.state.balance + 100, is_open=True)
            version = found.aggregate_version
            super().update(StoredAccount(changed, aggregate_id=ID, aggregate_version=version))
        return super().update(aggregate)


@given(COMMANDS)
def test_both_give_the_same_answers_and_events(commands: list[Open | Deposit | Close]) -> None:
    """Event-sourced and state-stored, sync and async: the same answers, states and events over any history."""
    stores = [InmemoryOutbox() for _ in range(4)]
    sourced = EventSourced(account, InmemoryEventStore(codec, outbox=stores[0]), stream=account_of)
    stored = StateStored(account, _repository(stores[1]), StoredAccount, key=account_of)
    async_sourced = AsyncEventSourced(account, AsyncInmemoryEventStore(codec, outbox=stores[2]), stream=account_of)
    repository = AsyncInmemoryCrudRepository[StoredAccount, AccountId](outbox=stores[3])
    async_stored = AsyncStateStored(account, repository, StoredAccount, key=account_of)

    async def run() -> None:
        for command in commands:
            answers = [sourced.handle(command), stored.handle(command)]
            answers += [await async_sourced.handle(command), await async_stored.handle(command)]
            assert [answers[0]] * 4 == answers
        for one in IDS:
            states = [
                sourced.state(one),
                stored.state(one),
                await async_sourced.state(one),
                await async_stored.state(one),
            ]
            assert [states[0]] * 4 == states

    asyncio.run(run())
    kinds = [[(type(event), getattr(event, "account_id")) for event in outbox.events] for outbox in stores]  # noqa: B009  # of a class that the outbox does not name
    assert [kinds[0]] * 4 == kinds


def _repository(outbox: InmemoryOutbox) -> InmemoryCrudRepository[StoredAccount, AccountId]:
    return InmemoryCrudRepository(outbox=outbox)


def _causes(stored: Sequence[RecordedEvent[AccountEvent] | UnreadableEvent]) -> list[object]:
    return [one.event.header.meta.get("causation_id") for one in stored if isinstance(one, RecordedEvent)]


class TestAsync:
    """The async twins, where they have ways of their own."""

    def test_a_conflict_is_decided_again(self) -> None:
        """Each waits without blocking, and gives up after its attempts."""

        class Busy:
            def __init__(self) -> None:
                self.inner = AsyncInmemoryEventStore(codec)

            async def append(
                self, stream: StreamId, events: Sequence[AccountEvent], /, *, expected: ExpectedRevision
            ) -> Result[Appended, RevisionConflict]:
                await self.inner.append(stream, [Deposited(ID, 100)], expected=expected)
                return await self.inner.append(stream, events, expected=expected)

            async def read(
                self, stream: StreamId, /, *, after: int = 0, limit: int | None = None, backwards: bool = False
            ) -> Sequence[RecordedEvent[AccountEvent] | UnreadableEvent]:
                return await self.inner.read(stream, after=after, limit=limit, backwards=backwards)

        class BusyRepository(AsyncInmemoryCrudRepository[StoredAccount, AccountId]):
            async def save(self, aggregate: StoredAccount) -> Result[StoredAccount, AggregateAlreadyExistError]:
                await super().save(aggregate)
                return await super().save(aggregate)

        async def run() -> None:
            sourced = AsyncEventSourced(account, Busy(), stream=account_of, retry=AT_ONCE)
            assert isinstance((await sourced.handle(Open(ID))).failure(), RevisionConflict)
            once = RetryOnConflict(attempts=1)
            stored = AsyncStateStored(account, BusyRepository(), StoredAccount, key=account_of, retry=once)
            assert isinstance((await stored.handle(Open(ID))).failure(), RevisionConflict)
            again = AsyncStateStored(account, BusyRepository(), StoredAccount, key=account_of, retry=AT_ONCE)
            assert Failure(AlreadyOpen()) == await again.handle(Open(ID))

        asyncio.run(run())

    def test_an_event_that_cannot_be_read_is_the_answer(self) -> None:
        """As with the sync one."""
        store = AsyncInmemoryEventStore(codec)

        async def run() -> None:
            await store.append(ID, [Opened(ID)], expected=NO_STREAM)
            vars(store)["_store"] = _with_codec(vars(store)["_store"], MessageCodec.of(Deposited))
            accounts = AsyncEventSourced(account, store, stream=account_of)
            assert isinstance((await accounts.handle(Open(ID))).failure(), UnreadableEvent)

        asyncio.run(run())

    def test_a_decision_without_events_stores_nothing(self) -> None:
        """The answer of each is the state as it was."""

        async def run() -> None:
            store, repository = AsyncInmemoryEventStore(codec), AsyncInmemoryCrudRepository[StoredAccount, AccountId]()
            sourced = AsyncEventSourced(account, store, stream=account_of)
            stored = AsyncStateStored(account, repository, StoredAccount, key=account_of)
            for command in (Open(ID), Deposit(ID, 0)):
                expected = Success(Account(0, is_open=True))
                assert [expected] * 2 == [await sourced.handle(command), await stored.handle(command)]
            assert 1 == len(await store.read(ID))
            assert 1 == (await repository.retrieve(ID)).unwrap().aggregate_version

        asyncio.run(run())

    def test_a_mediator_sends_to_them(self) -> None:
        """`handle` of each is a handler."""

        async def run() -> None:
            sourced = AsyncEventSourced(account, AsyncInmemoryEventStore(codec), stream=account_of)
            repository = AsyncInmemoryCrudRepository[StoredAccount, AccountId]()
            stored = AsyncStateStored(account, repository, StoredAccount, key=account_of)
            mediator = AsyncMediator(Open.handled_by(sourced.handle), Deposit.handled_by(stored.handle))
            assert Success(Account(0, is_open=True)) == await mediator.send(Open(ID))
            assert Failure(NotOpen()) == await mediator.send(Deposit(ID, 1))
            assert Success(Account(0, is_open=True)) == await sourced.state(ID)
            assert Success(Account(0, is_open=True)) == await stored(Open(ID))
            assert Failure(AlreadyOpen()) == await sourced(Open(ID))

        asyncio.run(run())


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first": -1.0}, {"longest": -1.0}])
def test_a_retry_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    """At least one attempt, and no wait below zero."""
    with pytest.raises(ValueError, match="must be >="):
        RetryOnConflict(**wrong)  # type: ignore[arg-type]  # on purpose


def test_waits_grow_and_end() -> None:
    """Each wait is below its bound; there is one fewer than there are attempts."""
    waits = list(RetryOnConflict(attempts=6, first=1, longest=4).waits())
    assert [True] * 5 == [0 <= wait <= most for wait, most in zip(waits, (1, 2, 4, 4, 4), strict=True)]
