"""What a command that runs until it is stopped has: lines in the log, and an end that is asked for by a signal."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn


def log_to_stderr() -> None:
    """Let the process tell what it does: this library from INFO on, others from WARNING on."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("domainkit").setLevel(logging.INFO)


@contextmanager
def ending_early() -> Iterator[None]:
    """End the process with 0 on SIGTERM and Ctrl-C until `stop_event` takes over: while modules are imported, say."""

    def end(*_: object) -> NoReturn:
        sys.exit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_event() -> asyncio.Event:
    """Return what SIGTERM and SIGINT set from now on, while this event loop runs."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows has no such handlers
            loop.add_signal_handler(number, stop.set)
    return stop
