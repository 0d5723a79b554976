"""The signals that ask a process to end, before it has begun its work."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def ending_well() -> Iterator[None]:
    """End the process with status 0 on SIGTERM and Ctrl-C: while it starts, nothing is on its way that could be lost.

    A loop whose own handlers take over (`loop.add_signal_handler`) can end more gently.
    """

    def end(*_: object) -> NoReturn:
        sys.exit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
