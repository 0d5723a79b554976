"""Deciders: decisions as pure functions from a command and a state to events, and from events to the next state.

See Chassaing, Functional Event Sourcing Decider (2021), https://thinkbeforecoding.com/post/2021/12/17/functional-event-sourcing-decider
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from inspect import signature
from typing import Any, Generic, Never, TypeVar, get_origin, get_type_hints

from attrs import field, frozen
from returns.result import Result

from domainkit._model.mapping import FrozenMapping
from domainkit._model.type_checks import describe, members
from domainkit.messages import AnyCommand
from domainkit.projections import Projection, Step, function_for, with_function
from domainkit.results import name_of

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E")
X = TypeVar("X")
C1 = TypeVar("C1")
S1 = TypeVar("S1")
E1 = TypeVar("E1")
X1 = TypeVar("X1")
C2 = TypeVar("C2")
S2 = TypeVar("S2")
E2 = TypeVar("E2")
X2 = TypeVar("X2")
CommandT = TypeVar("CommandT", bound=AnyCommand)
Decide = Callable[[Any, Any], Result[Sequence[Any], Any]]  # Any: of any classes; `on` checks that they fit


def _read_only(functions: Mapping[type, Decide]) -> Mapping[type, Decide]:
    return FrozenMapping(functions)


@frozen
class Decider(Generic[C, S, E, X]):
    """A model of behaviour in two pure functions and a value; it runs event-sourced, state-stored, or in a test.

    `Decider[Open | Deposit, Account, Opened | Deposited, AlreadyOpen | NotOpen]`: commands, state, events, and the
    errors that a decision fails with.

    >>> from returns.result import Success
    >>> from domainkit import Command, DomainError, DomainEvent
    >>> class NotOpen(DomainError): ...
    >>> @frozen
    ... class Deposited(DomainEvent):
    ...     amount: int
    >>> @frozen
    ... class Deposit(Command[int, NotOpen]):
    ...     amount: int
    >>> def decide(command: Deposit, balance: int) -> Result[Sequence[Deposited], NotOpen]:
    ...     return Success([Deposited(command.amount)])
    >>> account = Decider(decide, lambda balance, event: balance + event.amount, 0)
    >>> account.fold(account.decide(Deposit(3), 4).unwrap(), 4)
    7

    Args:
        decide: takes a command and the current state; returns a Success with the events that happen, which may be
            none, or a Failure if the command is refused.
        evolve: takes a state and an event; returns the next state. It never refuses: the event has happened.
        initial: the state before the first event; an immutable value.
    """

    decide: Callable[[C, S], Result[Sequence[E], X]]
    evolve: Callable[[S, E], S]
    initial: S

    def fold(self, events: Iterable[E], state: S | None = None) -> S:
        """Return the state after events.

        Args:
            events: the oldest first.
            state: the state before them; by default the initial one.
        """
        return reduce(self.evolve, events, self.initial if state is None else state)


@frozen
class Decisions(Generic[C, S, E, X]):
    """The `decide` of a Decider, from one function for each class of commands. Made by `decisions`.

    Args:
        state: the class of the state.
        functions: the function for each class of commands; `on` adds one.
    """

    state: type[S]
    functions: Mapping[type, Decide] = field(factory=FrozenMapping, converter=_read_only)

    def on(
        self, command: type[CommandT], decide: Callable[[CommandT, S], Result[Sequence[E2], X2]], /
    ) -> "Decisions[C | CommandT, S, E | E2, X | X2]":
        """Return a copy with a function for one more class of commands; its types include the function's.

        Args:
            command: the class.
            decide: takes a command of this class and the state; returns events, or a Failure.

        Raises:
            TypeError: `command` is not a class, or has a function already.
        """
        functions: Mapping[type, Decide] = with_function(self.functions, command, decide, self._name())
        return Decisions(self.state, functions)

    def __call__(self, command: C, state: S, /) -> Result[Sequence[E], X]:
        """Call the function for the class of the command, and return its decision.

        Raises:
            TypeError: the command is of a class without a function.
        """
        decided: Result[Sequence[E], X] = function_for(self.functions, command, self._name())(command, state)
        return decided

    def _name(self) -> str:
        return f"decisions({describe(self.state)})"


def decisions(state: type[S], /) -> Decisions[Never, S, Never, Never]:
    """Return decisions about a state, without a function yet; add one for each class of commands with `on`.

    >>> from returns.result import Success
    >>> from domainkit import Command, DomainEvent
    >>> class Opened(DomainEvent): ...
    >>> class Open(Command): ...
    >>> def open_account(command: Open, account: bool) -> Result[Sequence[Opened], Never]:
    ...     return Success([Opened()])
    >>> decide = decisions(bool).on(Open, open_account)
    >>> [type(event).__name__ for event in decide(Open(), False).unwrap()]
    ['Opened']

    Args:
        state: the class of the state, for the type checker and the texts of errors.
    """
    return Decisions(state)


def combined(
    first: Decider[C1, S1, E1, X1], second: Decider[C2, S2, E2, X2], /
) -> Decider[C1 | C2, tuple[S1, S2], E1 | E2, X1 | X2]:
    """Return one decider made of two: a command goes to the one that decides on it, an event to each that handles it.

    Its state is the pair of their states. The classes of commands and events are those given to `decisions` and
    `projection`, or those in the annotations of the functions.

    Raises:
        TypeError: both decide on the same class of commands, or the classes of a function are unknown: it was not made
            by `decisions` or `projection`, and is not annotated.
    """
    pair = _Pair(first, second)
    return Decider(pair.decide, pair.evolve, (first.initial, second.initial))


class _Pair(Generic[C1, S1, E1, X1, C2, S2, E2, X2]):
    """The functions of a combined decider, and the classes that each of the two deciders handles."""

    def __init__(self, first: Decider[C1, S1, E1, X1], second: Decider[C2, S2, E2, X2]) -> None:
        self._first, self._second = first, second
        self._commands = command_classes(first.decide), command_classes(second.decide)
        self._events = event_classes(first.evolve), event_classes(second.evolve)
        if both := set(self._commands[0]) & set(self._commands[1]):
            names = ", ".join(sorted(one.__qualname__ for one in both))
            raise TypeError(f"combined: expected different commands, got {names} in both deciders; remove one of them")

    @property
    def commands(self) -> tuple[type, ...]:
        return self._commands[0] + self._commands[1]

    @property
    def events(self) -> tuple[type, ...]:
        return tuple(dict.fromkeys(self._events[0] + self._events[1]))

    def decide(self, command: C1 | C2, state: tuple[S1, S2]) -> Result[Sequence[E1 | E2], X1 | X2]:
        first: Decide = self._first.decide
        second: Decide = self._second.decide
        functions = dict.fromkeys(self._commands[0], (first, 0)) | dict.fromkeys(self._commands[1], (second, 1))
        decide, place = function_for(functions, command, "combined")
        return decide(command, state[place])

    def evolve(self, state: tuple[S1, S2], event: E1 | E2) -> tuple[S1, S2]:
        known = [isinstance(event, classes) for classes in self._events]
        if not any(known):
            found = type(event).__qualname__
            raise TypeError(f"combined: expected an event of either decider, got {found}; add a step for it to one")
        first: Step = self._first.evolve
        second: Step = self._second.evolve
        return first(state[0], event) if known[0] else state[0], second(state[1], event) if known[1] else state[1]


def command_classes(decide: Callable[..., object]) -> tuple[type, ...]:
    """Return the classes of commands that a `decide` takes: those given to `decisions`, or in its annotation.

    Raises:
        TypeError: they are unknown.
    """
    owner = getattr(decide, "__self__", decide)
    if isinstance(owner, Decisions):
        return tuple(owner.functions)
    return owner.commands if isinstance(owner, _Pair) else _annotated(decide, 0, "decisions(...)")


def event_classes(evolve: Callable[..., object]) -> tuple[type, ...]:
    """Return the classes of events that an `evolve` takes: those given to `projection`, or in its annotation.

    Raises:
        TypeError: they are unknown.
    """
    owner = getattr(evolve, "__self__", evolve)
    if isinstance(owner, Projection):
        return tuple(owner.steps)
    return owner.events if isinstance(owner, _Pair) else _annotated(evolve, 1, "projection(...)")


def _annotated(function: Callable[..., object], place: int, instead: str) -> tuple[type, ...]:
    """Return the classes in the annotation of a parameter."""
    try:
        parameter = list(signature(function).parameters)[place]
        hint = get_type_hints(function)[parameter]
    except (IndexError, KeyError, NameError, TypeError, ValueError):
        hint = None
    found = [get_origin(member) or member for member in members(hint)]
    classes = tuple(one for one in found if isinstance(one, type) and one is not object)
    if hint is None or len(classes) != len(found):
        what = f"expected classes as the annotation of parameter {place + 1}"
        raise TypeError(f"{name_of(function)}: {what}, got another or no annotation; add one, or use {instead}")
    return classes
