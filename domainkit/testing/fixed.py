"""Fixed clock and ids for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from unittest.mock import patch

from domainkit import messages, values

_START = datetime(2030, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Clock that only moves when a test advances it. Made by `fixed`.

    >>> clock = Clock(datetime(2030, 1, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(hours=1))
    >>> clock.now
    datetime.datetime(2030, 1, 1, 1, 0, tzinfo=datetime.timezone.utc)

    Args:
        now: the current time, timezone-aware.
    """

    def __init__(self, now: datetime) -> None:
        if now.tzinfo is None:
            raise ValueError("Clock: expected a time zone in `now`; add one, such as datetime(2030, 1, 1, tzinfo=UTC)")
        self.now: datetime = now.astimezone(UTC)

    def advance(self, span: timedelta) -> None:
        """Move the clock by `span`."""
        self.now += span


@contextmanager
def fixed(now: datetime = _START, *, seed: int = 0) -> Iterator[Clock]:
    """Give new messages the time of a clock, and generate ids from a seed, inside of the `with` block.

    It affects all threads: use it in tests that run one at a time, as in pytest.

    >>> from domainkit import DomainEvent
    >>> with fixed() as clock:
    ...     first = DomainEvent()
    >>> with fixed():
    ...     again = DomainEvent()
    >>> first == again, first.header.occurred_on == clock.now
    (True, True)

    Args:
        now: the start of the clock, timezone-aware; by default 2030-01-01 00:00 UTC.
        seed: the same seed gives the same ids in the same order.

    Raises:
        ValueError: `now` has no time zone.
    """
    clock, random = Clock(now), Random(seed)  # noqa: S311  (ids of a test aren't secret)
    system = SimpleNamespace(urandom=random.randbytes)
    ticks = SimpleNamespace(time_ns=lambda: (clock.now - _EPOCH) // timedelta(microseconds=1) * 1000)
    with (
        patch.object(messages, "now", lambda: clock.now),
        patch.object(values, "os", system),
        patch.object(values, "time", ticks),
    ):
        yield clock
