"""Projector as a process: its end, its status, and the rebuild of a read model."""

import argparse
import asyncio
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from inspect import isawaitable, signature
from time import monotonic
from typing import TypeAlias

import attrs
from sqlalchemy.exc import SQLAlchemyError

from domainkit.adapters.sqlalchemy import (
    AsyncProjector,
    MissingTableError,
    Projected,
    Projector,
    ReadModelStatus,
    Rebuilt,
)
from domainkit.cli._arguments import CommandFailedError, WrongArgumentError, object_named
from domainkit.cli._databases import failure_of
from domainkit.cli._health import answering
from domainkit.cli._process import log_to_stderr, run_to_its_end, stop_event

_logger = logging.getLogger("domainkit.projector")

_PROGRESS = 5.0
"""Seconds between lines of progress."""

_BAR, _DRAWING = 30, 0.1
"""The width of a progress bar, and the seconds between two drawings of it."""

AnyProjector: TypeAlias = Projector | AsyncProjector


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit status."""
    log_to_stderr()
    found = object_named(options.projector)
    return run_to_its_end(_main(options, found if callable(found) else lambda: found))


async def _main(options: argparse.Namespace, make: Callable[[], object]) -> int:
    async with _made(options, make) as projector:
        work = _status if options.status else _follow if options.rebuild is None else _rebuild
        try:
            return await work(options, projector)
        except MissingTableError as error:
            raise CommandFailedError(str(error)) from error
        except (SQLAlchemyError, OSError) as error:
            inner = projector if isinstance(projector, Projector) else projector.inner
            raise CommandFailedError(failure_of(inner.url, error)) from error


@asynccontextmanager
async def _made(options: argparse.Namespace, make: Callable[[], object]) -> AsyncIterator[AnyProjector]:
    """Yield the projector that the user's function makes."""
    async with AsyncExitStack() as opened:
        try:
            signature(make).bind()  # before the call: a TypeError of the function itself is no wrong argument
        except TypeError as error:
            raise WrongArgumentError(f"{options.projector}: expected a function without arguments ({error})") from error
        found = make()
        if isawaitable(found):
            found = await found
        elif isinstance(found, AbstractAsyncContextManager):
            found = await opened.enter_async_context(found)
        elif isinstance(found, AbstractContextManager):
            found = opened.enter_context(found)
        if not isinstance(found, Projector | AsyncProjector):
            expected = "a Projector, or a function that returns one or a context manager of one"
            raise WrongArgumentError(f"{options.projector}: expected {expected}, got a {type(found).__qualname__}")
        yield found


async def _follow(options: argparse.Namespace, projector: AnyProjector) -> int:
    """Follow until stopped; with `--once`, or until no event is left that a read model can take."""
    inner = projector if isinstance(projector, Projector) else projector.inner
    stop, ended = stop_event(), threading.Event()
    inner._wakes = inner._wakes and options.wakes
    _logger.info("following with %r", projector)
    progress = asyncio.create_task(_report(inner))
    try:
        async with answering(options.health_port, lambda: inner.is_following, "the database"):
            if isinstance(projector, AsyncProjector):
                await projector.run(stop, until_idle=options.once)
            else:
                await _in_thread(partial(projector.run, ended, until_idle=options.once), stop, ended)
    finally:
        progress.cancel()
    _logger.info("stopped: %s", _counts(inner.total))
    return 1 if options.once and inner.total.stopped else 0


async def _in_thread(work: Callable[[], object], stop: asyncio.Event, ended: threading.Event) -> None:
    """Do blocking work in a thread, and set `ended` for it when `stop` is set."""
    running, stopping = asyncio.create_task(asyncio.to_thread(work)), asyncio.create_task(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    ended.set()
    stopping.cancel()
    await running


async def _report(projector: Projector) -> None:
    """Log the progress whenever the counts have changed."""
    before = projector.total
    while True:
        await asyncio.sleep(_PROGRESS)
        if projector.total != before:
            before = projector.total
            _logger.info("%s", _counts(before))


def _counts(total: Projected) -> str:
    stopped = f"; stopped: {', '.join(total.stopped)}" if total.stopped else ""
    return f"events {total.events:,}, unreadable {total.unreadable:,}{stopped}"


async def _status(options: argparse.Namespace, projector: AnyProjector) -> int:
    found = projector.status()
    rows = await found if isawaitable(found) else found
    print(as_json(rows) if options.json else as_text(rows))  # noqa: T201  (a command line prints)
    return 0


def as_json(rows: tuple[ReadModelStatus, ...]) -> str:
    """Return a status as JSON: a list of the attributes of ReadModelStatus, and of its state."""
    return json.dumps([attrs.asdict(row) | {"state": row.state} for row in rows], default=datetime.isoformat)


def as_text(rows: tuple[ReadModelStatus, ...]) -> str:
    """Return a status as text."""
    width = max([len(row.name) for row in rows] + [len("read model")])
    lines = [f"{'read model':<{width}}  {'state':<8}  {'position':>12}  {'behind':>10}  {'unreadable':>10}"]
    for row in rows:
        counts = f"{row.position:>12,}  {row.behind:>10,}  {row.unreadable:>10,}"
        lines.append(f"{row.name:<{width}}  {row.state:<8}  {counts}")
        lines += [f"  {remark}" for remark in _remarks(row)]
    return "\n".join(lines)


def _remarks(row: ReadModelStatus) -> list[str]:
    found: list[str] = []
    if row.stopped_at is not None:
        found.append(f"stopped at position {row.stopped_at:,}: {row.reason}")
    if row.stored_version != row.version:
        stored = f"version {row.stored_version}" if row.stored_version else "an unknown version"
        found.append(f"its rows are of {stored}, its steps of version {row.version}: --rebuild {row.name}")
    if row.rebuilt_to is not None:
        found.append(f"a rebuild is at position {row.rebuilt_to:,}")
    return found


async def _rebuild(options: argparse.Namespace, projector: AnyProjector) -> int:
    name, stop, ended = options.rebuild, stop_event(), threading.Event()
    inner = projector if isinstance(projector, Projector) else projector.inner
    names = [one.name for one in inner._models]
    if name not in names:  # checked here, since a step may raise a KeyError too
        raise WrongArgumentError(
            f"--rebuild: expected a read model of {options.projector} ({', '.join(names)}), got {name!r}; name one of "
            "them"
        )
    try:
        inner._rebuilding(name)
    except ValueError as error:  # it can't be rebuilt
        raise WrongArgumentError(f"--rebuild: {error}") from error
    progress = Progress(is_json=options.json)
    ends: list[Rebuilt] = []
    try:
        if isinstance(projector, AsyncProjector):
            ends.append(await projector.rebuild(name, progress=progress.show, stop=stop))
        else:
            rebuild = partial(projector.rebuild, name, progress=progress.show, stop=ended)
            await _in_thread(lambda: ends.append(rebuild()), stop, ended)
    finally:
        progress.end()
    return _ended(ends[0], progress)


def _ended(rebuilt: Rebuilt, progress: "Progress") -> int:
    if rebuilt.is_swapped:
        progress.say(rebuilt, "rebuilt")
        return 0
    if rebuilt.stopped_at is not None:
        raise CommandFailedError(
            f"{rebuilt.name}: the rebuild stopped at the unreadable event at position {rebuilt.stopped_at}; the old "
            "rows stay. Make it readable by an upcaster, or skip it by `on_unreadable`, and run it again"
        )
    raise CommandFailedError(f"{rebuilt.name}: interrupted at position {rebuilt.position}; run it again to go on")


class Progress:
    """The progress of a rebuild: a bar on a terminal, else lines of text or JSON.

    Args:
        is_json: print JSON, an object in a line.
    """

    def __init__(self, *, is_json: bool) -> None:
        self._is_json, self._is_bar = is_json, sys.stderr.isatty() and not is_json
        self._shown = monotonic()

    def show(self, rebuilt: Rebuilt) -> None:
        """Show how far a rebuild is, now and then."""
        if monotonic() - self._shown < (_DRAWING if self._is_bar else _PROGRESS):
            return
        self._shown = monotonic()
        if self._is_bar:
            sys.stderr.write(f"\r{rebuilt.name} {bar(rebuilt)}")
            sys.stderr.flush()
        else:
            self.say(rebuilt, "rebuilding")

    def say(self, rebuilt: Rebuilt, what: str) -> None:
        """Print a line."""
        line = f"{rebuilt.name}: {what}, position {_of(rebuilt)}"
        print(json.dumps(attrs.asdict(rebuilt)) if self._is_json else line, flush=True)  # noqa: T201  (a command line prints)

    def end(self) -> None:
        """End the line of a bar."""
        if self._is_bar:
            sys.stderr.write("\n")


def bar(rebuilt: Rebuilt) -> str:
    """Return a progress bar.

    >>> bar(Rebuilt("balances", 500, 1000))
    '[###############...............]  50 %, 500 of 1,000'
    """
    if rebuilt.last is None:
        return f"position {_of(rebuilt)}"
    part = rebuilt.position / rebuilt.last if rebuilt.last else 1.0
    filled = int(part * _BAR)
    return f"[{'#' * filled}{'.' * (_BAR - filled)}] {int(part * 100):>3} %, {_of(rebuilt)}"


def _of(rebuilt: Rebuilt) -> str:
    return f"{rebuilt.position:,}" if rebuilt.last is None else f"{rebuilt.position:,} of {rebuilt.last:,}"
