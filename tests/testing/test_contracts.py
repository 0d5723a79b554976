"""The contract suites: what is right passes them, and each planted bug is caught by the test that is for it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Never, Self

import attrs
import pytest
from returns.result import Failure, Result, Success

from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    BusCannotPublish,
    Command,
    CommandBus,
    CrudRepository,
    DomainError,
    DomainEvent,
    DomainEventBus,
    InmemoryCommandBus,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    InmemoryNotifier,
    JsonValue,
    NotFound,
    Notifier,
    NotifierExceptionMessage,
    NotifierMessage,
    Uuid,
)
from domainkit.aggregates import AnyId
from domainkit.testing import (
    AggregateRepositoryContract,
    CommandBusContract,
    CrudRepositoryContract,
    DomainEventBusContract,
    NotifierContract,
    SampleTask,
    SampleTaskId,
)

Tasks = CrudRepository[SampleTask, SampleTaskId]
Memory = InmemoryCrudRepository[SampleTask, SampleTaskId]


def failures_of(contract: object) -> dict[str, BaseException]:
    """Run every test of a contract, and return what the failed ones raised."""
    failed: dict[str, BaseException] = {}
    for name in dir(contract):
        if name.startswith("test_"):
            try:
                getattr(contract, name)()
            except Exception as error:
                failed[name] = error
    return failed


def caught_by(contract: object) -> set[str]:
    """Return the tests that a planted bug fails: not those that a mistake in its own code ends by another error."""
    counted = (AssertionError, DomainError, RuntimeError, ValueError)
    return {name for name, error in failures_of(contract).items() if isinstance(error, counted)}


def contract_for(make: Callable[[], Tasks]) -> CrudRepositoryContract:
    """Return the contract for the repositories that `make` makes."""

    class Contract(CrudRepositoryContract):
        def make_repository(self) -> Tasks:
            return make()

    return Contract()


class KeepsEvents(Memory):
    """Stores the very object that it is given, with its recorded events."""

    def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        saved = super().save(aggregate)
        if isinstance(saved, Success):
            self._stored[aggregate.aggregate_id] = aggregate
        return saved


class KeepsEventsOfUpdates(Memory):
    """Stores what an update recorded."""

    def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        updated = super().update(aggregate)
        if isinstance(updated, Success):
            self._stored[aggregate.aggregate_id] = updated.unwrap()
        return updated


class Overwrites(Memory):
    """Overwrites an existing aggregate on save."""

    def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        self._stored[aggregate.aggregate_id] = aggregate.clear_domain_events()
        return Success(aggregate)


class OverwritesAndRefuses(Memory):
    """Answers that the id exists already, after it has overwritten it."""

    def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        saved = super().save(aggregate)
        self._stored[aggregate.aggregate_id] = aggregate.clear_domain_events()
        return saved


class SavesNothing(Memory):
    """Answers, and forgets."""

    def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        return Success(aggregate)


class ResetsVersions(Memory):
    """Saves with version 1, whatever the aggregate says."""

    def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        return super().save(attrs.evolve(aggregate, aggregate_version=1))


class ReturnsWhatItWasGiven(Memory):
    """Stores the raised version, and returns the one before."""

    def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        return super().update(aggregate).map(lambda _: aggregate)


class ChecksNoVersion(Memory):
    """Updates whatever the version is."""

    def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        found = self._stored.get(aggregate.aggregate_id, aggregate)
        return super().update(attrs.evolve(aggregate, aggregate_version=found.aggregate_version))


class RefusesOlderOnly(Memory):
    """Lets a version pass that was never stored."""

    def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        found = self._stored.get(aggregate.aggregate_id, aggregate)
        version = min(found.aggregate_version, aggregate.aggregate_version)
        return super().update(attrs.evolve(aggregate, aggregate_version=version))


class RaisesNoVersion(Memory):
    """Stores an update under the version that was there."""

    def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        updated = super().update(aggregate)
        if isinstance(updated, Success):
            self._stored[aggregate.aggregate_id] = aggregate.clear_domain_events()
            return Success(aggregate)
        return updated


class UpdatesInPlace(Memory):
    """Raises the version in the object that it was given, and in the one that it has handed out."""

    def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        updated = super().update(aggregate)
        if isinstance(updated, Success):
            object.__setattr__(aggregate, "aggregate_version", aggregate.aggregate_version + 1)
        return updated


class TakesEvents(Memory):
    """Clears the recorded events of the object that it was given."""

    def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        object.__setattr__(aggregate, "_domain_events", ())
        return super().save(aggregate)


class Upserts(Memory):
    """Updates what isn't there."""

    def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        self._stored.setdefault(aggregate.aggregate_id, aggregate)
        return super().update(aggregate)


class RemovesSilently(Memory):
    """Says that it has removed what wasn't there."""

    def remove(self, aggregate_id: SampleTaskId) -> Result[None, AggregateNotFoundError]:
        return super().remove(aggregate_id).lash(lambda _: Success(None))


class RemovesAll(Memory):
    """Removes the others too."""

    def remove(self, aggregate_id: SampleTaskId) -> Result[None, AggregateNotFoundError]:
        removed = super().remove(aggregate_id)
        self._stored.clear()
        return removed


class RemembersRemoved(Memory):
    """Refuses to save again what was removed."""

    def __init__(self) -> None:
        super().__init__()
        self.removed = set[SampleTaskId]()

    def remove(self, aggregate_id: SampleTaskId) -> Result[None, AggregateNotFoundError]:
        self.removed.add(aggregate_id)
        return super().remove(aggregate_id)

    def save(self, aggregate: SampleTask) -> Result[SampleTask, AggregateAlreadyExistError]:
        if aggregate.aggregate_id in self.removed:
            return Failure(AggregateAlreadyExistError(aggregate.aggregate_id))
        return super().save(aggregate)


class ListsUpdatedLast(Memory):
    """Loses the place of what is updated."""

    def update(
        self, aggregate: SampleTask
    ) -> Result[SampleTask, AggregateNotFoundError | AggregateVersionConflictError]:
        updated = super().update(aggregate)
        if isinstance(updated, Success):
            self._stored[aggregate.aggregate_id] = self._stored.pop(aggregate.aggregate_id)
        return updated


class ListsOnePage(Memory):
    """Gives the first hundred."""

    def retrieve_all(self) -> Result[tuple[SampleTask, ...], Never]:
        return super().retrieve_all().map(lambda found: found[:100])


class ListsAList(Memory):
    """Gives a list that can change."""

    def retrieve_all(self) -> Result[tuple[SampleTask, ...], Never]:
        return super().retrieve_all().map(list)  # type: ignore[arg-type]  # that is the bug


class LosesTheIdsClass(Memory):
    """Brings the id back as a plain Uuid."""

    def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        return super().retrieve(aggregate_id).map(_with_plain_id)


def _with_plain_id(task: SampleTask) -> SampleTask:
    copied = attrs.evolve(task)
    object.__setattr__(copied, "aggregate_id", Uuid(task.aggregate_id.value))
    return copied


class LosesMicroseconds(Memory):
    """Keeps times to the second."""

    def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        return super().retrieve(aggregate_id).map(lambda task: attrs.evolve(task, due=_to_the_second(task)))


def _to_the_second(task: SampleTask) -> Any:
    return task.due and task.due.replace(microsecond=0)


class Stranger(SampleTask):
    """A class with the same fields as a task."""


class GivesAnotherClass(Memory):
    """Brings back an object of a subclass."""

    def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        return super().retrieve(aggregate_id).map(lambda task: Stranger(**_content(task)))


def _content(task: SampleTask) -> dict[str, Any]:
    names = [one.name for one in attrs.fields(SampleTask) if one.name != "_domain_events"]
    return {name: getattr(task, name) for name in names}


class GivesTheFirst(Memory):
    """Gives whatever it has."""

    def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        found = next(iter(self._stored.values()), None)
        return super().retrieve(aggregate_id) if found is None else Success(found)


class Raises(Memory):
    """Raises what it should return."""

    def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        found = super().retrieve(aggregate_id)
        if isinstance(found, Failure):
            raise found.failure()
        return found


class GivesNoResult(Memory):
    """Gives the aggregate itself, or None."""

    def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        return self._stored.get(aggregate_id)  # type: ignore[return-value]  # that is the bug


class FailsVaguely(Memory):
    """Says NotFound without saying of what."""

    def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        return super().retrieve(aggregate_id).alt(lambda _: NotFound())  # type: ignore[arg-type,return-value]  # that is the bug


class NamesNoId(Memory):
    """Says AggregateNotFoundError about another id."""

    def retrieve(self, aggregate_id: SampleTaskId) -> Result[SampleTask, AggregateNotFoundError]:
        return super().retrieve(aggregate_id).alt(lambda _: AggregateNotFoundError(SampleTaskId.v4()))


class Shared(Memory):
    """Keeps everything in one dict of the class."""

    everything: dict[AnyId, SampleTask] = {}  # noqa: RUF012  # that is the bug

    def __init__(self) -> None:
        super().__init__()
        self._stored = self.everything


BROKEN_REPOSITORIES: dict[type[Memory], str] = {
    KeepsEvents: "test_recorded_events_are_not_stored",
    KeepsEventsOfUpdates: "test_recorded_events_are_not_stored",
    Overwrites: "test_save_refuses_an_id_that_is_there",
    OverwritesAndRefuses: "test_save_refuses_an_id_that_is_there",
    SavesNothing: "test_save_stores_the_aggregate",
    ResetsVersions: "test_save_keeps_the_version",
    ReturnsWhatItWasGiven: "test_update_stores_the_change",
    ChecksNoVersion: "test_update_refuses_a_stale_aggregate",
    RefusesOlderOnly: "test_update_refuses_a_version_that_was_never_stored",
    RaisesNoVersion: "test_update_stores_the_change",
    UpdatesInPlace: "test_aggregates_are_values",
    TakesEvents: "test_aggregates_are_values",
    Upserts: "test_update_of_a_missing_id",
    RemovesSilently: "test_remove_of_a_missing_id",
    RemovesAll: "test_remove_takes_the_aggregate_away",
    RemembersRemoved: "test_save_after_remove",
    ListsUpdatedLast: "test_retrieve_all_keeps_the_order",
    ListsOnePage: "test_retrieve_all_keeps_the_order",
    ListsAList: "test_retrieve_all_of_an_empty_repository",
    LosesTheIdsClass: "test_retrieve_tells_aggregates_apart",
    LosesMicroseconds: "test_save_stores_the_aggregate",
    GivesAnotherClass: "test_save_stores_the_aggregate",
    GivesTheFirst: "test_retrieve_tells_aggregates_apart",
    Raises: "test_retrieve_of_a_missing_id",
    GivesNoResult: "test_save_stores_the_aggregate",
    FailsVaguely: "test_retrieve_of_a_missing_id",
    NamesNoId: "test_retrieve_of_a_missing_id",
    Shared: "test_repositories_are_independent",
}


@pytest.mark.parametrize(("broken", "test"), BROKEN_REPOSITORIES.items(), ids=lambda one: getattr(one, "__name__", one))
def test_a_broken_repository_is_caught(broken: type[Memory], test: str) -> None:
    """Each planted bug fails the test of the contract that is for it."""
    assert test in caught_by(contract_for(broken))


def test_a_right_repository_passes() -> None:
    """The repository that the broken ones derive from fails no test: what is caught is the planted bug."""
    assert {} == failures_of(contract_for(Memory))


def test_each_test_of_the_repository_contract_catches_a_bug() -> None:
    """No test of the contract is idle: each one fails for one of the planted bugs."""
    caught = {name for broken in BROKEN_REPOSITORIES for name in caught_by(contract_for(broken))}
    assert caught == {name for name in dir(CrudRepositoryContract) if name.startswith("test_")}


def test_a_failed_contract_says_what_is_wrong() -> None:
    """A failed assertion has a text of its own, without pytest's help: what was expected and what was found."""
    error = failures_of(contract_for(ChecksNoVersion))["test_update_refuses_a_stale_aggregate"]
    assert str(error).startswith("expected a Failure with AggregateVersionConflictError, got <Success: SampleTask(")


def test_the_contract_runs_on_the_aggregates_of_its_user() -> None:
    """AggregateRepositoryContract tests a repository of any aggregate, given how to make and how to change one."""

    class Contract(AggregateRepositoryContract[SampleTask, SampleTaskId]):
        def make_repository(self) -> Tasks:
            return Memory()

        def make_aggregate(self) -> SampleTask:
            return SampleTask.create("Walk the dog").clear_domain_events()

        def change(self, aggregate: SampleTask) -> SampleTask:
            return attrs.evolve(aggregate, reward=aggregate.reward + 1)

    assert {} == failures_of(Contract())


def event_contract_for(
    make: Callable[[], InmemoryDomainEventBus],
) -> DomainEventBusContract[InmemoryDomainEventBus]:
    """Return the contract for the event buses that `make` makes."""

    class Contract(DomainEventBusContract[InmemoryDomainEventBus]):
        def make_bus(self) -> InmemoryDomainEventBus:
            return make()

        def received(self, bus: InmemoryDomainEventBus) -> Sequence[DomainEvent]:
            return bus.published

    return Contract()


def command_contract_for(make: Callable[[], InmemoryCommandBus]) -> CommandBusContract[InmemoryCommandBus]:
    """Return the contract for the command buses that `make` makes."""

    class Contract(CommandBusContract[InmemoryCommandBus]):
        def make_bus(self) -> InmemoryCommandBus:
            return make()

        def received(self, bus: InmemoryCommandBus) -> Sequence[Command[Any, Any]]:
            return bus.dispatched

    return Contract()


Events = DomainEvent | Iterable[DomainEvent]
Answer = Result[None, BusCannotPublish]


class PublishesNothing(InmemoryDomainEventBus):
    """Answers, and publishes nothing."""

    def publish(self, events: Events) -> Answer:
        return Success(None)


class PublishesTheFirst(InmemoryDomainEventBus):
    """Loses all but the first of several events."""

    def publish(self, events: Events) -> Answer:
        return super().publish(events if isinstance(events, DomainEvent) else tuple(events)[:1])


class PublishesTwice(InmemoryDomainEventBus):
    """Publishes each event again."""

    def publish(self, events: Events) -> Answer:
        several = (events,) if isinstance(events, DomainEvent) else tuple(events)
        super().publish(several)
        return super().publish(several)


class PublishesNewIds(InmemoryDomainEventBus):
    """Gives each event a new header."""

    def publish(self, events: Events) -> Answer:
        several = (events,) if isinstance(events, DomainEvent) else tuple(events)
        return super().publish([attrs.evolve(event, header=DomainEvent().header) for event in several])


class PublishesUntilWrong(InmemoryDomainEventBus):
    """Publishes the events that come before something else."""

    def publish(self, events: Events) -> Answer:
        for event in (events,) if isinstance(events, DomainEvent) else events:
            super().publish(event)
        return Success(None)


class PublishesAnything(InmemoryDomainEventBus):
    """Looks at nothing."""

    def publish(self, events: Events) -> Answer:
        several = events if isinstance(events, list | tuple) else (events,)
        self._state.messages.extend(several)
        return Success(None)


class PublishesAlways(InmemoryDomainEventBus):
    """Can't be closed."""

    def close(self) -> None:
        return


class ClosesOnce(InmemoryDomainEventBus):
    """Fails when it is closed again."""

    def close(self) -> None:
        if not self._state.open:
            raise RuntimeError("closed already")
        super().close()


class ReplacesMeta(InmemoryDomainEventBus):
    """Forgets the meta of the with_meta before."""

    def with_meta(self, meta: Mapping[str, JsonValue]) -> Self:
        self._meta = {}
        return super().with_meta(meta)


class ReplacesMetaOfMessages(InmemoryDomainEventBus):
    """Forgets the meta that a message has."""

    def publish(self, events: Events) -> Answer:
        several = (events,) if isinstance(events, DomainEvent) else tuple(events)
        return super().publish([self._without_meta(event) for event in several])

    def _without_meta(self, event: DomainEvent) -> DomainEvent:
        return attrs.evolve(event, header=attrs.evolve(event.header, meta={})) if self._meta else event


class ChangesItsOwnMeta(InmemoryDomainEventBus):
    """Changes the bus on which with_meta is called."""

    def with_meta(self, meta: Mapping[str, JsonValue]) -> Self:
        self._meta = {**self._meta, **meta}
        return self


class TakesAnyMeta(InmemoryDomainEventBus):
    """Looks at no meta until a message is published."""

    def with_meta(self, meta: Mapping[str, JsonValue]) -> Self:
        made = super().with_meta({})
        if isinstance(meta, Mapping):
            made._meta = {**self._meta, **meta}
        return made


class ChangesTheMessage(InmemoryDomainEventBus):
    """Writes the meta into the message that it was given."""

    def publish(self, events: Events) -> Answer:
        if isinstance(events, DomainEvent) and self._meta:
            object.__setattr__(events, "header", events.add_meta(self._meta).header)
        return super().publish(events)


BROKEN_EVENT_BUSES: dict[type[InmemoryDomainEventBus], str] = {
    PublishesNothing: "test_a_message_arrives",
    PublishesTheFirst: "test_several_events_at_once",
    PublishesTwice: "test_messages_arrive_in_order",
    PublishesNewIds: "test_a_message_arrives",
    PublishesUntilWrong: "test_what_is_no_event_is_refused",
    PublishesAnything: "test_what_is_no_event_is_refused",
    PublishesAlways: "test_a_closed_bus_refuses",
    ClosesOnce: "test_a_closed_bus_refuses",
    ReplacesMeta: "test_with_meta_twice",
    ReplacesMetaOfMessages: "test_with_meta_merges",
    ChangesItsOwnMeta: "test_with_meta_leaves_the_bus_as_it_is",
    TakesAnyMeta: "test_with_meta_refuses_what_json_cannot_carry",
    ChangesTheMessage: "test_with_meta_merges",
}


@pytest.mark.parametrize(("broken", "test"), BROKEN_EVENT_BUSES.items(), ids=lambda one: getattr(one, "__name__", one))
def test_a_broken_event_bus_is_caught(broken: type[InmemoryDomainEventBus], test: str) -> None:
    """Each planted bug fails the test of the contract that is for it."""
    assert test in caught_by(event_contract_for(broken))


def test_a_right_event_bus_passes() -> None:
    """The bus that the broken ones derive from fails no test."""
    assert {} == failures_of(event_contract_for(InmemoryDomainEventBus))


def test_each_test_of_the_event_bus_contract_catches_a_bug() -> None:
    """No test of the contract is idle: each one fails for one of the planted bugs."""
    caught = {name for broken in BROKEN_EVENT_BUSES for name in caught_by(event_contract_for(broken))}
    assert caught == {name for name in dir(DomainEventBusContract) if name.startswith("test_")}


class DispatchesAnything(InmemoryCommandBus):
    """Looks at nothing."""

    def dispatch(self, command: Command[Any, Any]) -> Answer:
        self._state.messages.append(command)
        return Success(None)


class DispatchesNothing(InmemoryCommandBus):
    """Answers, and dispatches nothing."""

    def dispatch(self, command: Command[Any, Any]) -> Answer:
        return Success(None)


class AnswersWithTheCommand(InmemoryCommandBus):
    """Gives something back."""

    def dispatch(self, command: Command[Any, Any]) -> Answer:
        return super().dispatch(command).map(lambda _: command)  # type: ignore[arg-type]  # that is the bug


class ReordersCommands(InmemoryCommandBus):
    """Puts a command before the others."""

    def dispatch(self, command: Command[Any, Any]) -> Answer:
        answer = super().dispatch(command)
        self._state.messages.rotate()
        return answer


BROKEN_COMMAND_BUSES: dict[type[InmemoryCommandBus], str] = {
    DispatchesAnything: "test_what_is_no_command_is_refused",
    DispatchesNothing: "test_a_message_arrives",
    AnswersWithTheCommand: "test_a_message_arrives",
    ReordersCommands: "test_messages_arrive_in_order",
}


@pytest.mark.parametrize(
    ("broken", "test"), BROKEN_COMMAND_BUSES.items(), ids=lambda one: getattr(one, "__name__", one)
)
def test_a_broken_command_bus_is_caught(broken: type[InmemoryCommandBus], test: str) -> None:
    """Each planted bug fails the test of the contract that is for it."""
    assert test in caught_by(command_contract_for(broken))


def test_a_right_command_bus_passes() -> None:
    """The bus that the broken ones derive from fails no test."""
    assert {} == failures_of(command_contract_for(InmemoryCommandBus))


class TellsTitles(InmemoryNotifier):
    """Drops all but the title."""

    def publish(self, message: NotifierMessage) -> None:
        super().publish(NotifierMessage(message.title))


class TellsNoPlace(InmemoryNotifier):
    """Drops the place of an exception."""

    def publish_exception(self, message: NotifierExceptionMessage) -> None:
        super().publish_exception(attrs.evolve(message, filename=None, lineno=None))


class TellsTheLastFirst(InmemoryNotifier):
    """Tells messages in another order."""

    def publish(self, message: NotifierMessage) -> None:
        self._messages.insert(0, message)


class TellsTwice(InmemoryNotifier):
    """Tells each message again."""

    def publish(self, message: NotifierMessage) -> None:
        super().publish(message)
        super().publish(message)


class NeedsAnExecutor(InmemoryNotifier):
    """Can't tell about an exception of which little is known."""

    def publish_exception(self, message: NotifierExceptionMessage) -> None:
        if message.executor is None or message.exception is None:
            raise ValueError("executor and exception are needed")
        super().publish_exception(message)


class AnswersTrue(InmemoryNotifier):
    """Gives something back."""

    def publish(self, message: NotifierMessage) -> None:
        super().publish(message)
        return True  # type: ignore[return-value]  # that is the bug


def notifier_contract_for(make: Callable[[], InmemoryNotifier]) -> NotifierContract[InmemoryNotifier]:
    """Return the contract for the notifiers that `make` makes."""

    class Contract(NotifierContract[InmemoryNotifier]):
        def make_notifier(self) -> InmemoryNotifier:
            return make()

        def told(self, notifier: InmemoryNotifier) -> str:
            return repr(notifier.messages)

    return Contract()


BROKEN_NOTIFIERS: dict[type[InmemoryNotifier], str] = {
    TellsTitles: "test_a_message_is_told",
    AnswersTrue: "test_a_message_is_told",
    TellsNoPlace: "test_an_exception_is_told",
    TellsTheLastFirst: "test_messages_are_told_in_order",
    TellsTwice: "test_messages_are_told_in_order",
    NeedsAnExecutor: "test_a_title_is_enough",
}


@pytest.mark.parametrize(("broken", "test"), BROKEN_NOTIFIERS.items(), ids=lambda one: getattr(one, "__name__", one))
def test_a_broken_notifier_is_caught(broken: type[InmemoryNotifier], test: str) -> None:
    """Each planted bug fails the test of the contract that is for it."""
    assert test in caught_by(notifier_contract_for(broken))


def test_a_right_notifier_passes() -> None:
    """The notifier that the broken ones derive from fails no test."""
    assert {} == failures_of(notifier_contract_for(InmemoryNotifier))


@pytest.mark.parametrize(
    "contract",
    [CrudRepositoryContract, AggregateRepositoryContract, DomainEventBusContract, CommandBusContract, NotifierContract],
)
def test_a_contract_asks_for_its_adapter(contract: type) -> None:
    """A contract without the method that makes the adapter can't be run: nothing passes by not being tested."""
    with pytest.raises(TypeError, match="abstract"):
        contract()


@pytest.mark.parametrize(
    ("port", "contract"),
    [(DomainEventBus, DomainEventBusContract), (CommandBus, CommandBusContract), (Notifier, NotifierContract)],
)
def test_every_test_states_its_promise(port: type, contract: type) -> None:
    """Each test of a contract says in its docstring what the port promises."""
    tests = [getattr(contract, name) for name in dir(contract) if name.startswith("test_")]
    assert len(tests) >= 4, f"{port.__name__} has a contract"
    assert all(test.__doc__ and test.__doc__.endswith(".") for test in tests)


def test_the_kit_needs_no_pytest() -> None:
    """`domainkit.testing` is imported where pytest isn't installed, and `import domainkit` doesn't import it."""
    code = (
        "import sys; sys.modules['pytest'] = sys.modules['_pytest'] = None; import domainkit; "
        "assert 'domainkit.testing' not in sys.modules; import domainkit.testing"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


ONE_LINE = """
from domainkit import InmemoryCrudRepository
from domainkit.testing import CrudRepositoryContract

class TestInmemoryCrudRepository(CrudRepositoryContract):
    def make_repository(self): return InmemoryCrudRepository()
"""


def test_pytest_runs_a_contract_of_one_line(tmp_path: Path) -> None:
    """The author of an adapter writes one class with one line, and pytest runs every test of the contract on it."""
    (tmp_path / "test_adapter.py").write_text(ONE_LINE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    bare = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=bare)
    expected = len([name for name in dir(CrudRepositoryContract) if name.startswith("test_")])
    assert f"{expected} passed" in done.stdout, done.stdout
