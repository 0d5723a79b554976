"""The parts of a command that runs until it is stopped: lines in the log, and an end that is asked for by a signal."""

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
"""Seconds that the tasks which are left over may take to end."""


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


def run_to_its_end(main: Coroutine[None, None, int]) -> int:
    """Run what a process does, and return its exit status.

    A driver that goes on though its task was cancelled keeps the process for a while, and no longer: seen on CPython
    3.11.2, whose `asyncio.wait_for` may swallow it, under a connection of psycopg that gets no answer.
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
    """Return what SIGTERM and SIGINT set from now on, while this event loop runs."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows has no such handlers
            loop.add_signal_handler(number, stop.set)
    return stop
