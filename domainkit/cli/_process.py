"""Parts of long-running commands: logging to stderr, and stopping by a signal."""

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from domainkit._model.internals import end_process

_CLOSING = 10.0
"""Seconds for leftover tasks to end."""


def log_to_stderr() -> None:
    """Log to stderr: this library from INFO on, others from WARNING on."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("domainkit").setLevel(logging.INFO)


@contextmanager
def ending_early() -> Iterator[None]:
    """Exit with 0 on SIGTERM and Ctrl-C, until `stop_event` takes over: for example while modules are imported."""

    def end(*_: object) -> NoReturn:
        sys.exit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_to_its_end(main: Coroutine[None, None, int]) -> int:
    """Run the main coroutine of a process, and return its exit status.

    The process ends after 10 seconds even if a driver ignores the cancellation of its task: seen on CPython 3.11.2,
    whose `asyncio.wait_for` may swallow it, under a connection of psycopg without an answer.
    """
    timers: list[threading.Timer] = []

    async def ending() -> int:
        status = await main
        timers.append(threading.Timer(_CLOSING, end_process, [status]))
        timers[-1].daemon = True
        timers[-1].start()
        return status

    try:
        return asyncio.run(ending())
    finally:
        for timer in timers:
            timer.cancel()


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set from now on, while this event loop runs."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # not available on Windows
            loop.add_signal_handler(number, stop.set)
    return stop
