"""Deciders, decisions and projections: pure functions, and the one decider of two."""

from collections.abc import Sequence
from itertools import count

import pytest
from accounts import (
    Account,
    AccountEvent,
    AccountId,
    AlreadyOpen,
    Close,
    Closed,
    Deposit,
    Deposited,
    NotOpen,
    Open,
    Opened,
    account,
    close,
    codec,
    decide,
    deposit,
    history,
)
from attrs import frozen
from hypothesis import given as for_all
from hypothesis.strategies import builds, integers, just, lists, one_of
from returns.result import Failure, Result, Success

from domainkit import Command, Decider, DomainError, DomainEvent, combined, decisions, projection
from domainkit.testing import check_decider, given

ID = AccountId.v4()
COMMANDS = lists(one_of(just(Open(ID)), just(Close(ID)), builds(Deposit, just(ID), integers(-3, 3))), max_size=12)


@frozen
class Withdrawal(Deposit):
    """A kind of deposit."""


@frozen
class Renamed(DomainEvent):
    """An event of another decider."""

    name: str


@frozen
class Rename(Command[str, DomainError]):
    """A command of another decider."""

    name: str


def rename(command: Rename, name: str) -> Result[Sequence[Renamed], DomainError]:
    """Give a name."""
    return Success((Renamed(command.name),))


def renamed(name: str, event: Renamed | Opened) -> str:
    """Take a name; an account that is opened has none."""
    return event.name if isinstance(event, Renamed) else ""


def wrong(command: object, state: object) -> Result[Sequence[Renamed], DomainError]:
    """A function whose first parameter names no class that it decides on."""
    raise NotImplementedError


customer = Decider(rename, renamed, "")


class TestDecisions:
    """One function for each class of commands."""

    def test_the_function_of_the_command_decides(self) -> None:
        """A command goes to the function of its class, and that of the nearest class above it."""
        given(account).when(Open(ID)).then_events(Opened(ID)).then_returns(Account(0, is_open=True))
        given(account, Opened(ID)).when(Withdrawal(ID, 2)).then_events(Deposited(ID, 2)).then_state(balance=2)

    def test_a_refusal_is_a_failure(self) -> None:
        """The error of a function is the Failure of the decision; no event happens."""
        given(account, Opened(ID)).when(Open(ID)).then_failure(AlreadyOpen).then_no_events()
        given(account).when(Deposit(ID, 2)).then_failure(NotOpen())

    def test_several_events_or_none_may_happen(self) -> None:
        """A decision has any number of events."""
        given(account, Opened(ID)).when(Deposit(ID, 0)).then_no_events().then_state(balance=0)
        opened = given(account, Opened(ID), Deposited(ID, 5))
        opened.when(Close(ID)).then_events(Deposited(ID, -5), Closed(ID)).then_returns(Account())

    def test_a_command_without_a_function_is_refused(self) -> None:
        """A command that no function is for is a TypeError that names those that there are."""
        unknown: object = Rename("Ada")
        with pytest.raises(TypeError, match=r"decisions\(Account\): expected one of Open, Deposit, Close, got Rename"):
            decide(unknown, Account())  # type: ignore[arg-type]  # on purpose
        with pytest.raises(TypeError, match="expected one of no class"):
            decisions(int)(unknown, 1)  # type: ignore[arg-type]  # on purpose

    def test_a_class_has_one_function(self) -> None:
        """A second function for a class, or one for a union, is refused where it is given."""
        with pytest.raises(TypeError, match="expected one function for each class, got a second one for Close"):
            decide.on(Close, close)
        with pytest.raises(TypeError, match=r"expected a class, got Deposit \| Close"):
            decisions(Account).on(Deposit | Close, deposit)  # type: ignore[arg-type]  # on purpose

    def test_it_cannot_change(self) -> None:
        """`on` gives new decisions, and leaves those that there are alone."""
        assert [Open, Deposit, Close] == list(decide.functions)
        with pytest.raises(TypeError, match="read-only"):
            decide.functions.clear()  # type: ignore[attr-defined]  # on purpose


class TestProjection:
    """A fold of events."""

    def test_it_folds_events(self) -> None:
        """The value after all events, from the initial one."""
        assert Account(7, is_open=True) == history([Opened(ID), Deposited(ID, 3), Deposited(ID, 4)])
        assert Account() == history([])

    def test_an_event_of_a_subclass_takes_the_step_of_the_class_above(self) -> None:
        """The nearest class above an event that has a step."""

        class Paid(Deposited):
            """A kind of deposit."""

        assert 3 == history([Paid(ID, 3)]).balance

    def test_an_event_without_a_step_is_refused(self) -> None:
        """An event of a class without a step is a TypeError, not silence."""
        with pytest.raises(TypeError, match="projection: expected one of Opened, Deposited, Closed, got Renamed"):
            history([Renamed("Ada")])  # type: ignore[list-item]  # on purpose

    def test_a_class_has_one_step(self) -> None:
        """A second step for a class is refused where it is given."""
        with pytest.raises(TypeError, match="expected one function for each class, got a second one for Closed"):
            history.on(Closed, lambda state, _: state)


class TestCombined:
    """One decider of two."""

    def test_each_decides_on_its_commands(self) -> None:
        """A command goes to the decider of its class, which sees its own part of the state."""
        both = combined(account, customer)
        given(both).when(Open(ID)).then_events(Opened(ID)).then_returns((Account(0, is_open=True), ""))
        given(both, Opened(ID)).when(Rename("Ada")).then_returns((Account(0, is_open=True), "Ada"))
        given(both).when(Deposit(ID, 1)).then_failure(NotOpen)

    def test_each_evolves_by_its_events(self) -> None:
        """An event goes to each decider that evolves by it."""
        both = combined(account, customer)
        assert (Account(0, is_open=True), "") == both.fold([Renamed("Ada"), Opened(ID)])
        with pytest.raises(TypeError, match="combined: expected an event of either decider, got Lent"):
            both.fold([Lent()])  # type: ignore[list-item]  # on purpose

    def test_three_are_two_of_two(self) -> None:
        """A combined decider can be combined."""
        third = Decider(decisions(int).on(Lend, lend).__call__, projection(0).on(Lent, lambda n, _: n + 1).evolve, 0)
        both = combined(account, customer)
        all_of_them = combined(both, third)
        assert ((Account(), "Ada"), 1) == all_of_them.fold((Lent(), Renamed("Ada")))
        given(all_of_them, Lent()).when(Lend()).then_returns(((Account(), ""), 2))
        given(all_of_them).when(Rename("Ada")).then_returns(((Account(), "Ada"), 0))

    def test_a_command_of_both_is_refused(self) -> None:
        """Two deciders on one class of commands are a TypeError that names it."""
        with pytest.raises(TypeError, match="combined: expected different commands, got Close, Deposit, Open in both"):
            combined(account, account)

    def test_functions_without_classes_are_refused(self) -> None:
        """A function whose annotations name no classes is a TypeError that says what to use."""
        with pytest.raises(TypeError, match=r"wrong: expected classes as the annotation of parameter 1, .*decisions"):
            combined(Decider(wrong, renamed, ""), account)
        with pytest.raises(TypeError, match=r"expected classes as the annotation of parameter 2, .* use projection"):
            combined(Decider(rename, lambda name, _: name, ""), account)


class Lent(DomainEvent):
    """An event without fields."""


class Lend(Command[int, DomainError]):
    """A command without fields."""


def lend(command: Lend, count: int) -> Result[Sequence[Lent], DomainError]:
    """Lend once more."""
    return Success([Lent()])


@for_all(COMMANDS)
def test_the_laws_hold(commands: list[Open | Deposit | Close]) -> None:
    """The account keeps the laws of deciders, whatever it is told."""
    check_decider(account, commands, codec)


def _forgetful() -> Decider[Open | Deposit | Close, Account, AccountEvent, AlreadyOpen | NotOpen]:
    answers: list[Result[Sequence[AccountEvent], AlreadyOpen | NotOpen]] = [Success([Opened(ID)]), Failure(NotOpen())]
    return Decider(lambda command, state: answers.pop(), history.evolve, Account())


def _numbering() -> Decider[Open | Deposit | Close, Account, AccountEvent, AlreadyOpen | NotOpen]:
    numbers = count(1)
    return Decider(lambda command, state: Success([Deposited(ID, next(numbers))]), history.evolve, Account())


def _changing() -> Decider[Open | Deposit | Close, Account, AccountEvent, AlreadyOpen | NotOpen]:
    answers = [NotOpen(uuid_value="1"), NotOpen(uuid_value="2")]
    return Decider(lambda command, state: Failure(answers.pop()), history.evolve, Account())


def _counting() -> Decider[Open | Deposit | Close, Account, AccountEvent, AlreadyOpen | NotOpen]:
    steps: list[object] = []

    def evolve(state: Account, event: AccountEvent) -> Account:
        steps.append(event)
        return Account(len(steps))

    return Decider(lambda command, state: Success([Opened(ID)]), evolve, Account())


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (_forgetful(), "the same answer"),
        (_numbering(), "the same answer"),
        (_changing(), "the same answer"),
        (_counting(), "same state"),
    ],
    ids=["answers", "events", "errors", "states"],
)
def test_a_broken_law_is_found(
    broken: Decider[Open | Deposit | Close, Account, AccountEvent, AlreadyOpen | NotOpen], text: str
) -> None:
    """A decider with a memory is found."""
    with pytest.raises(AssertionError, match=text):
        check_decider(broken, [Open(ID)], codec)


def test_given_takes_a_history_for_deciders_alone() -> None:
    """Events after anything but a decider are a TypeError."""
    with pytest.raises(TypeError, match="given: expected a decider before events, got a Account"):
        given(Account(), Opened(ID))  # type: ignore[call-overload]  # on purpose
