"""Common parts of the use cases that run a decider: the decided events, and new attempts after conflicts."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from typing import Generic, TypeVar

from attrs import field, frozen
from attrs.validators import ge
from returns.result import Failure, Result, Success

from domainkit.causation import handling
from domainkit.deciders import Decider
from domainkit.messages import Message
from domainkit.results import name_of

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E")
X = TypeVar("X")
T = TypeVar("T")


@frozen
class RetryOnConflict:
    """The maximum number of attempts for a command that meets conflicts, and the waits between them.

    A wait is random, so that writers that collided don't collide again: between 0 and `first * 2 ** tries`, at most
    `longest`. See Brooker, Exponential Backoff And Jitter (AWS Architecture Blog, 2015).

    Args:
        attempts: the maximum number of decisions for one command, including the first.
        first: the longest wait after the first conflict, in seconds.
        longest: the longest wait after any conflict, in seconds.
    """

    attempts: int = field(default=5, validator=ge(1))
    first: float = field(default=0.01, validator=ge(0))
    longest: float = field(default=1.0, validator=ge(0))

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait before each further attempt."""
        for tries in range(self.attempts - 1):
            yield random.uniform(0, min(self.longest, self.first * 2**tries))  # noqa: S311  # no secret depends on it

    def run(self, attempt: Callable[[], tuple[T, bool]]) -> T:
        """Return the answer of the last attempt; an attempt returns its answer, and True if another may succeed."""
        for wait in self.waits():
            answer, again = attempt()
            if not again:
                return answer
            time.sleep(wait)
        return attempt()[0]

    async def run_async(self, attempt: Callable[[], Awaitable[tuple[T, bool]]]) -> T:
        """Return the answer of the last async attempt, as `run` does; it waits without blocking."""
        for wait in self.waits():
            answer, again = await attempt()
            if not again:
                return answer
            await asyncio.sleep(wait)
        return (await attempt())[0]


def as_cause(command: object) -> AbstractContextManager[None]:
    """Return a context manager in which the command is the cause of the events that are decided and appended."""
    return handling(command) if isinstance(command, Message) else nullcontext()


def decided_events(decider: Decider[C, S, E, X], command: C, state: S) -> Result[tuple[E, ...], X]:
    """Return the decided events, or the Failure of the decider; TypeError if it returned something else."""
    outcome: object = decider.decide(command, state)
    if isinstance(outcome, Failure):
        return outcome
    events = outcome.unwrap() if isinstance(outcome, Success) else None
    if not isinstance(events, list | tuple):
        found = (
            f"one with a {type(events).__qualname__}"
            if isinstance(outcome, Success)
            else f"a {type(outcome).__qualname__}"
        )
        raise TypeError(
            f"{name_of(decider.decide)}: expected a Result with a list or tuple of events, got {found}; "
            "return Success([...]) or a Failure"
        )
    return Success(tuple(events))


@frozen
class Decided(Generic[S, E, X]):
    """The outcome of a decision.

    Args:
        events: the decided events; empty if the command is refused, or changes nothing.
        answer: the state after them, or the error of the decision.
    """

    events: tuple[E, ...]
    answer: Result[S, X]


def decided_on(decider: Decider[C, S, E, X], command: C, state: S) -> Decided[S, E, X]:
    """Return the decided events of a command, and the state after them."""
    decided = decided_events(decider, command, state)
    if isinstance(decided, Failure):
        return Decided((), decided)
    events = decided.unwrap()
    # not by `fold` of the decider, which takes None for the initial state
    return Decided(events, Success(reduce(decider.evolve, events, state)))
