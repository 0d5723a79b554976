"""What a command that runs until it is stopped has: lines in the log, and an end that is asked for by a signal."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def log_to_stderr() -> None:
    """Let the process tell what it does: this library from INFO on, others from WARNING on."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("domainkit").setLevel(logging.INFO)


@contextmanager
def ending_early() -> Iterator[None]:
    """Let SIGTERM end the process with 0 before there is an event loop: while modules are imported, say."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop_event() -> asyncio.Event:
    """Return what SIGTERM and SIGINT set from now on, while this event loop runs."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows has no such handlers
            loop.add_signal_handler(number, stop.set)
    return stop
