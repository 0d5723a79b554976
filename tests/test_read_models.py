"""Read models without a database: builders and pure folds."""

import pytest
from accounts import Closed, Deposited, Opened
from projecting import Balance, account_of, balances, new_accounts

from domainkit import DomainEvent, NotReached, ReadModel


class Audited(Deposited):
    """A deposit of a special kind."""


def test_rows_are_folds() -> None:
    """Rows are made, changed and removed by key; events of other classes are passed over."""
    ada, bob = new_accounts(2)
    events: list[DomainEvent] = [Opened(ada), Deposited(bob, 3), Deposited(ada, 4), DomainEvent(), Closed(bob)]
    assert {ada: Balance(ada, 4, 1)} == balances().rows(events)
    assert {} == balances().rows([Closed(bob)])


def test_a_step_for_a_base_class() -> None:
    """An event of a subclass takes the step of the nearest class above it."""
    (ada,) = new_accounts(1)
    assert {ada: Balance(ada, 4, 1)} == balances().rows([Audited(ada, 4)])


def test_an_event_without_a_key() -> None:
    """An event with the key None concerns no row."""
    (ada,) = new_accounts(1)
    model = ReadModel("none", Balance).on(Opened, lambda _: None, lambda row, _: row)
    assert {} == model.rows([Opened(ada)])


def test_a_read_model_is_a_value() -> None:
    """`on` returns another one, and leaves the first as it was."""
    empty = ReadModel("balances", Balance)
    assert {} == dict(empty.folds)
    assert 3 == len(balances(version=2).folds)
    assert 2 == balances(version=2).version


def test_what_is_refused() -> None:
    """A class that isn't one of attrs, a name or version that can't be stored, and a second step for a class."""
    with pytest.raises(TypeError, match=r"^read model 'a': expected an attrs class of rows, got "):
        ReadModel("a", int)
    for name in ("a\0", "a\ud800", "a" * 1992):
        with pytest.raises(ValueError, match=r"^read model: expected a text .* as a name, got another; choose one$"):
            ReadModel(name, Balance)
    for name in ("", "a__rebuild"):
        with pytest.raises(ValueError, match=r"^read model: expected a name that doesn't end with __rebuild, got '"):
            ReadModel(name, Balance)
    with pytest.raises(ValueError, match=r"^read model 'a': expected a version of 1 or more, got 0; count from 1$"):
        ReadModel("a", Balance, version=0)
    with pytest.raises(
        TypeError,
        match=r"^read model 'balances': expected one function for each class, got a second one for Opened; remove one$",
    ):
        balances().on(Opened, account_of, lambda row, _: row)


def test_a_position_that_was_not_reached() -> None:
    """The failure says which read model, how far it is, and why it stopped."""
    late = NotReached(model="balances", position=7, reached=3)
    assert "NotReached: read model balances: expected position 7, got position 3" == late.detail()
    stopped = NotReached(model="balances", position=7, reached=3, reason="LookupError")
    text = "NotReached: read model balances: expected position 7, got position 3, where it stopped: LookupError"
    assert text == stopped.detail()
