"""The waits of a relay before it tries something again."""

import logging
import random
from datetime import timedelta

from attrs import define, field, frozen

_logger = logging.getLogger("domainkit.relay")


@frozen
class Backoff:
    """The wait until something that failed is tried again: `first`, times `factor` each time, up to `longest`.

    A random part is taken off, up to half, so that many that failed together don't come back together.

    >>> backoff = Backoff(timedelta(seconds=1), longest=timedelta(seconds=5))
    >>> [backoff.most(failures).total_seconds() for failures in (1, 2, 3, 4)]
    [1.0, 2.0, 4.0, 5.0]

    Args:
        first: after the first failure.
        factor: 1 or more.
        longest: the most, without end.

    Raises:
        ValueError: `first` isn't above 0, `factor` is below 1, or `longest` is shorter than `first`.
    """

    first: timedelta = timedelta(seconds=1)
    factor: float = field(default=2.0, kw_only=True)
    longest: timedelta = field(default=timedelta(minutes=5), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not (timedelta(0) < self.first <= self.longest and self.factor >= 1):
            raise ValueError("Backoff: expected 0 < first <= longest and factor >= 1; change them")

    def most(self, failures: int) -> timedelta:
        """Return the longest wait after so many failures in a row, counted from 1."""
        seconds, longest = self.first.total_seconds(), self.longest.total_seconds()
        for _ in range(failures - 1):
            if seconds >= longest or self.factor == 1:
                break
            seconds *= self.factor
        return timedelta(seconds=min(seconds, longest))

    def delay(self, failures: int) -> timedelta:
        """Return a wait after so many failures in a row: between half of `most` and all of it."""
        return self.most(failures) * random.uniform(0.5, 1)  # noqa: S311  (it is no secret)


OUTAGE = Backoff(timedelta(milliseconds=200), longest=timedelta(seconds=15))


@define
class Outage:
    """An outage: the number of tries that failed since it began; logged when it begins and ends."""

    name: str
    failures: int = 0

    def failed(self, reason: str = "") -> float:
        """Count a failure, and return for how many seconds to wait."""
        self.failures += 1
        if self.failures == 1:
            _logger.warning("%s is away%s; trying again", self.name, f" ({reason})" if reason else "")
        return OUTAGE.delay(self.failures).total_seconds()

    def answered(self, *, over: bool = True) -> None:
        """Take note that it gave an answer; if another part of it didn't, it isn't over, and the waits begin anew."""
        if over and self.failures:
            _logger.warning("%s is back", self.name)
        self.failures = 0 if over else min(self.failures, 1)
