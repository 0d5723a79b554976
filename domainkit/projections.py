"""Projections: pure folds of events into a value."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from types import UnionType
from typing import Any, Generic, Never, TypeVar, get_origin

from attrs import field, frozen

from domainkit._model.mapping import FrozenMapping
from domainkit._model.type_checks import describe
from domainkit.handlers import class_of
from domainkit.messages import DomainEvent

S = TypeVar("S")
EventT = TypeVar("EventT", bound=DomainEvent)
E_contra = TypeVar("E_contra", contravariant=True)
Step = Callable[[Any, Any], Any]  # Any: of any classes; `on` checks that they fit
FunctionT = TypeVar("FunctionT")


def with_function(
    functions: Mapping[type, FunctionT], cls: object, function: FunctionT, what: str
) -> Mapping[type, FunctionT]:
    """Return a copy of the functions by class, with one more.

    Raises:
        TypeError: `cls` is not a class, or has a function already.
    """
    found = class_of(cls) if isinstance(cls, type) else get_origin(cls)
    if not isinstance(found, type) or found is UnionType:
        raise TypeError(f"{what}: expected a class, got {describe(cls)}; call `on` once for each class of a union")
    if found in functions:
        raise TypeError(
            f"{what}: expected one function for each class, got a second one for {found.__qualname__}; remove one"
        )
    return {**functions, found: function}


def _read_only(steps: Mapping[type, Step]) -> Mapping[type, Step]:
    return FrozenMapping(steps)


def function_for(functions: Mapping[type, FunctionT], value: object, what: str) -> FunctionT:
    """Return the function for the class of `value`, or for its nearest base class.

    Raises:
        TypeError: no function was given for it.
    """
    for cls in type(value).__mro__:
        if cls in functions:
            return functions[cls]
    known = ", ".join(one.__qualname__ for one in functions) or "no class"
    raise TypeError(f"{what}: expected one of {known}, got {type(value).__qualname__}; add a function with `on`")


@frozen
class Projection(Generic[S, E_contra]):
    """A fold: an initial value, and the step to the next value for each class of events. Made by `projection`.

    It is a pure function from events to a value. See Chassaing, Functional Event Sourcing Decider (2021).

    Args:
        initial: the value before the first event.
        steps: the function for each class of events; `on` adds one. An event of a subclass is handled by the function
            for its nearest base class.
    """

    initial: S
    steps: Mapping[type, Step] = field(factory=FrozenMapping, converter=_read_only)

    def on(self, event: type[EventT], step: Callable[[S, EventT], S], /) -> "Projection[S, E_contra | EventT]":
        """Return a copy with a step for one more class of events.

        Args:
            event: the class.
            step: a pure function that takes the value so far and an event, and returns the next value.

        Raises:
            TypeError: `event` is not a class, or has a step already.
        """
        return Projection(self.initial, with_function(self.steps, event, step, "projection"))

    def evolve(self, state: S, event: E_contra, /) -> S:
        """Return the next value: the `evolve` of a Decider.

        Raises:
            TypeError: the event is of a class without a step.
        """
        step = self.steps.get(type(event))
        following: S = (function_for(self.steps, event, "projection") if step is None else step)(state, event)
        return following

    def __call__(self, events: Iterable[E_contra], /) -> S:
        """Return the value after all events.

        Raises:
            TypeError: an event is of a class without a step.
        """
        return reduce(self.evolve, events, self.initial)


def projection(initial: S, /) -> Projection[S, Never]:
    """Return a projection without steps; add one for each class of events with `on`.

    >>> @frozen
    ... class Deposited(DomainEvent):
    ...     amount: int
    >>> balance = projection(0).on(Deposited, lambda total, event: total + event.amount)
    >>> balance([Deposited(3), Deposited(4)])
    7

    Args:
        initial: the value before the first event; an immutable one, since each fold starts from it.
    """
    return Projection(initial)
