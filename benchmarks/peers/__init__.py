"""Peers publish an event to one subscriber, and send a command to its handler, all in process."""

import asyncio
from contextlib import ExitStack
from importlib import import_module
from typing import Final

from benchmarks.measuring import Batch

_SENDERS: Final = ("with_lato", "with_waku", "with_cqrs")
_PUBLISHERS: Final = ("with_lato", "with_cqrs")  # waku hands events to a queue: nothing is handled when it returns

Found = tuple[dict[str, Batch], list[str]]
"""The batches by name, and why others are left out."""


def publishers(runner: asyncio.Runner, stack: ExitStack) -> Found:
    """Return the peers' ways to publish."""
    return _found("publishing", _PUBLISHERS, runner, stack)


def mediators(runner: asyncio.Runner, stack: ExitStack) -> Found:
    """Return the peers' ways to send."""
    return _found("sending", _SENDERS, runner, stack)


def _found(function: str, modules: tuple[str, ...], runner: asyncio.Runner, stack: ExitStack) -> Found:
    batches: dict[str, Batch] = {}
    left_out = []
    for module in modules:
        try:
            peer = import_module(f"benchmarks.peers.{module}")
        except ImportError as error:
            left_out.append(f"{module.removeprefix('with_')} is left out: {error}")
        else:
            batches[peer.NAME] = getattr(peer, function)(runner, stack)
    return batches, left_out
