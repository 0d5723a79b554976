"""Waits between retries, of a relay and of others that need a service."""

import logging
import random
from datetime import timedelta

from attrs import define, field, frozen
from sqlalchemy.exc import SQLAlchemyError

_logger = logging.getLogger("domainkit.relay")


@frozen
class RelayBackoff:
    """Wait of a relay between retries: `first`, multiplied by `factor` each time, up to `longest`.

    It is shortened by a random part, up to half, so that messages that failed together aren't retried together.

    >>> backoff = RelayBackoff(timedelta(seconds=1), longest=timedelta(seconds=5))
    >>> [backoff.most(failures).total_seconds() for failures in (1, 2, 3, 4)]
    [1.0, 2.0, 4.0, 5.0]

    Args:
        first: the wait after the first failure.
        factor: 1 or more.
        longest: the maximum wait; the number of waits has no limit.

    Raises:
        ValueError: `first` isn't above 0, `factor` is below 1, or `longest` is shorter than `first`.
    """

    first: timedelta = timedelta(seconds=1)
    factor: float = field(default=2.0, kw_only=True)
    longest: timedelta = field(default=timedelta(minutes=5), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not (timedelta(0) < self.first <= self.longest and self.factor >= 1):
            raise ValueError("RelayBackoff: expected 0 < `first` <= `longest` and `factor` >= 1; change them")

    def most(self, failures: int) -> timedelta:
        """Return the longest wait after this number of failures in a row, counted from 1."""
        seconds, longest = self.first.total_seconds(), self.longest.total_seconds()
        for _ in range(failures - 1):
            if seconds >= longest or self.factor == 1:
                break
            seconds *= self.factor
        return timedelta(seconds=min(seconds, longest))

    def delay(self, failures: int) -> timedelta:
        """Return a random wait after this number of failures in a row: from half of `most` to all of it."""
        return self.most(failures) * random.uniform(0.5, 1)  # noqa: S311  (not a secret)


OUTAGES: tuple[type[Exception], ...] = (SQLAlchemyError, OSError)
"""The exceptions raised while the database is unreachable."""

OUTAGE = RelayBackoff(timedelta(milliseconds=200), longest=timedelta(seconds=15))


@define
class Outage:
    """Failed attempts in a row to reach a service; the start and the end of an outage are logged."""

    name: str
    failures: int = 0
    logger: logging.Logger = field(default=_logger, kw_only=True)

    def failed(self, reason: str = "", *, missing: str | None = None) -> float:
        """Count a failure, and return the seconds to wait.

        Args:
            reason: the class of the error.
            missing: the words of a database that answers, and lacks a table; see `missing_part`.
        """
        self.failures += 1
        if self.failures == 1 and missing is not None:
            self.logger.error("%s lacks a table: %s; create it by a migration; retrying", self.name, missing)
        elif self.failures == 1:
            self.logger.warning("%s is unreachable%s; retrying", self.name, f" ({reason})" if reason else "")
        return OUTAGE.delay(self.failures).total_seconds()

    def answered(self, *, over: bool = True) -> None:
        """Note an answer: the outage is over, or if some attempts failed (`over=False`), the waits start again."""
        if over and self.failures:
            self.logger.warning("%s is reachable again", self.name)
        self.failures = 0 if over else min(self.failures, 1)
