"""lato: an Application with a handler for a command, and one for an event."""

import asyncio
from contextlib import ExitStack
from typing import Final

from lato import Application, Command, Event

from benchmarks.measuring import Batch, calls

NAME: Final = "lato"


class Place(Command):
    """Something to send."""

    number: int


class Placed(Event):
    """Something to publish."""

    number: int


def handler(command: Place) -> int:
    """Do as little as a handler can."""
    return command.number


def subscriber(event: Placed) -> None:
    """Do as little as a function can."""


def _application() -> Application:
    application = Application("shop")
    application.handler(Place)(handler)
    application.handler(Placed)(subscriber)
    return application


def sending(_runner: asyncio.Runner, _stack: ExitStack) -> Batch:
    """Return what sends a command."""
    return calls(_application().execute, Place(number=7))


def publishing(_runner: asyncio.Runner, _stack: ExitStack) -> Batch:
    """Return what publishes an event."""
    return calls(_application().publish, Placed(number=7))
