"""The laws of deciders, to check with hypothesis over your own commands."""

from collections.abc import Iterable
from typing import Any, TypeVar

from returns.result import Failure, Result

from domainkit.codec import MessageCodec
from domainkit.deciders import Decider
from domainkit.deciding import decided_events
from domainkit.messages import DomainEvent
from domainkit.testing._expect import payload_of, value_of

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=DomainEvent)
X = TypeVar("X")


def check_decider(decider: Decider[C, S, E, X], commands: Iterable[C], codec: MessageCodec) -> None:
    """Run commands one after the other, and check the laws that every decider keeps.

    - Every decided event can be encoded and decoded, and the decoded one gives the same state.
    - Folding the events in two parts gives the same state as folding all of them at once.
    - Deciding again on the same state gives the same answer: `decide` has no memory, and makes no ids or times. The
      headers of events are not compared.

    With hypothesis: `@given(lists(instances(Open) | instances(Deposit)))`.

    >>> from attrs import frozen
    >>> from returns.result import Success
    >>> from domainkit import Command, decisions, projection
    >>> @frozen
    ... class Deposited(DomainEvent):
    ...     amount: int
    >>> @frozen
    ... class Deposit(Command):
    ...     amount: int
    >>> decide = decisions(int).on(Deposit, lambda command, balance: Success([Deposited(command.amount)]))
    >>> balance = projection(0).on(Deposited, lambda total, event: total + event.amount)
    >>> check_decider(Decider(decide, balance.evolve, 0), [Deposit(3), Deposit(4)], MessageCodec.of(Deposited))

    Args:
        decider: the decider.
        commands: any commands, in any order.
        codec: of the events.

    Raises:
        AssertionError: a law is broken; the text says which.
        TypeError: the decider returned no Result with a list or tuple of events, or can't evolve an event.
        InvalidMessage: an event could not be read back.
    """
    history: list[E] = []
    state = decider.initial
    for command in commands:
        decided = decided_events(decider, command, state)
        again = decided_events(decider, command, state)
        text = f"decide: expected the same answer to {command!r} on the same state, got {decided!r}, then {again!r}"
        assert _content(decided) == _content(again), text
        if isinstance(decided, Failure):
            continue
        for event in decided.unwrap():
            _check_event(decider, state, event, codec)
            state = decider.evolve(state, event)
            history.append(event)
    assert decider.fold(history) == state, "fold: expected the same state as with `evolve` event by event, got another"
    for place in range(len(history)):
        parts = decider.fold(history[place:], decider.fold(history[:place]))
        assert parts == state, f"fold: expected the same state in two parts, split at {place}, as at once, got another"


def _content(decided: Result[tuple[E, ...], X]) -> object:
    """Return what two equal decisions have in common: each event has its own header."""
    return decided if isinstance(decided, Failure) else [payload_of(event) for event in decided.unwrap()]


def _check_event(decider: Decider[C, S, E, X], state: S, event: E, codec: MessageCodec) -> None:
    read: Any = value_of(codec.decode(codec.encode(event)))  # Any: of the class of the event, as it is equal to it
    assert event == read, f"codec: expected {event!r} back, got {read!r}"
    assert decider.evolve(state, event) == decider.evolve(state, read), (
        f"evolve: expected the same state from {event!r} and from the decoded event, got another"
    )
