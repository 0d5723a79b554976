"""Timing functions side by side: in turns, many rounds, so that a noisy moment hits all of them alike.

All times are those of the processor (`time.process_time`): the measured code never waits, and other programs on
the machine don't count. The garbage collector works as it does in a program, so that who makes cycles pays for them.
"""

import asyncio
import gc
import time
import timeit
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import cycle, islice
from statistics import median, quantiles
from typing import Any

from attrs import frozen

Batch = Callable[[int], float]
"""Runs what is measured that many times, and returns the seconds it took."""


@frozen
class Spread:
    """The middle of some numbers, and how far they lie apart.

    >>> Spread.of([4.0, 1.0, 2.0, 3.0, 90.0])
    Spread(median=3.0, low=2.0, high=4.0, best=1.0)

    Args:
        median: half of them are lower.
        low: a quarter of them are lower.
        high: a quarter of them are higher.
        best: the lowest.
    """

    median: float
    low: float
    high: float
    best: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """Return the spread of numbers; there must be one at least."""
        low, _, high = quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else [numbers[0]] * 3
        return cls(median(numbers), low, high, min(numbers))

    @property
    def relative(self) -> float:
        """The distance from the quarter to the three quarters, as a part of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


Rounds = Mapping[str, tuple[float, ...]]
"""Seconds per call by name, one for each round; the same place is the same round."""


def ratio(dividend: Sequence[float], divisor: Sequence[float]) -> Spread:
    """Return how many times the second fits into the first, round by round: noise that hits both falls out."""
    return Spread.of([one / other for one, other in zip(dividend, divisor, strict=True)])


def difference(more: Sequence[float], less: Sequence[float]) -> Spread:
    """Return how much the first is over the second, round by round."""
    return Spread.of([one - other for one, other in zip(more, less, strict=True)])


def calls(function: Callable[..., object], *arguments: object, collector: bool = True) -> Batch:
    """Return a batch of plain calls; without `collector` the garbage collector rests meanwhile, as in timeit."""
    names: dict[str, Any] = {"function": function, **{f"a{place}": one for place, one in enumerate(arguments)}}
    text = f"function({', '.join(f'a{place}' for place in range(len(arguments)))})"
    setup = "gc.enable()" if collector else "pass"
    return timeit.Timer(text, setup, time.process_time, {**names, "gc": gc}).timeit


def awaits(runner: asyncio.Runner, function: Callable[[Any], Awaitable[object]], argument: object) -> Batch:
    """Return a batch of awaited calls inside one task of a running event loop."""

    async def batch(number: int) -> float:
        start = time.process_time()
        for _ in range(number):
            await function(argument)
        return time.process_time() - start

    return lambda number: runner.run(batch(number))


def interleave(batches: Mapping[str, Batch], *, rounds: int, seconds: float) -> Rounds:
    """Return the seconds per call in each round.

    Args:
        batches: what to measure, by name.
        rounds: how often each has its turn; who begins moves on by one each round.
        seconds: about how long one turn takes.
    """
    numbers = {name: _calibrated(batch, seconds) for name, batch in batches.items()}
    found: dict[str, list[float]] = {name: [] for name in batches}
    gc.collect()
    gc.freeze()  # what is alive now need not be looked at again in each collection below
    for turn in range(rounds):
        for name in islice(cycle(batches), turn % len(batches), turn % len(batches) + len(batches)):
            gc.collect()
            batches[name](
                numbers[name] // 10 + 1
            )  # the caches are warm again, as in a program that does one thing often
            found[name].append(batches[name](numbers[name]) / numbers[name])
    gc.unfreeze()
    return {name: tuple(numbers) for name, numbers in found.items()}


def _calibrated(batch: Batch, seconds: float) -> int:
    """Return how many calls take about that long; it warms up what adapts itself at run time."""
    number = 1
    taken = batch(number)
    while taken < seconds / 4:
        number *= 2
        taken = batch(number)
    return max(1, round(number * seconds / taken))
