"""Blocking context managers in threads, so that an event loop goes on meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def in_threads(block: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and exit a blocking context manager without blocking the event loop.

    Each step has its own thread: the threads of a pool may all be waiting for the connection that the exit returns.
    Both steps run to their end even if the task is cancelled.
    """
    entering = _started(block.__enter__)
    try:
        value = await asyncio.shield(entering)
    except asyncio.CancelledError as error:
        entering.add_done_callback(partial(_abandon, block, error))
        raise
    try:
        yield value
    except BaseException as error:
        await asyncio.shield(_started(partial(block.__exit__, type(error), error, None)))
        raise
    await asyncio.shield(_started(partial(block.__exit__, None, None, None)))


def _started(work: Callable[[], T]) -> "asyncio.Future[T]":
    thread = ThreadPoolExecutor(1)
    try:
        return asyncio.get_running_loop().run_in_executor(thread, work)
    finally:
        thread.shutdown(wait=False)


def _abandon(block: AbstractContextManager[object], error: BaseException, entering: "asyncio.Future[T]") -> None:
    if entering.exception() is None:
        _started(partial(block.__exit__, type(error), error, None))
