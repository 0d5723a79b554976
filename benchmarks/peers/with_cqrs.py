"""python-cqrs: a request mediator and an event mediator with the usual container, without the logging middleware."""

import asyncio
from contextlib import ExitStack
from typing import Any, Final

import di
from cqrs import (
    DomainEvent,
    EventHandler,
    EventMap,
    EventMediator,
    Request,
    RequestHandler,
    RequestMap,
    RequestMediator,
    Response,
)
from cqrs.container.di import DIContainer

from benchmarks.measuring import Batch, awaits

NAME: Final = "python-cqrs (async)"


class Answer(Response):
    """The answer of the handler."""

    number: int


class Place(Request[Answer]):
    """Something to send."""

    number: int


class Placed(DomainEvent):
    """Something to publish."""

    number: int


class PlaceHandler(RequestHandler[Place, Answer]):
    """Does as little as a handler can."""

    async def handle(self, request: Place) -> Answer:
        """Return the number."""
        return Answer(number=request.number)


class PlacedHandler(EventHandler[Placed]):
    """Does as little as a subscriber can."""

    async def handle(self, event: Placed) -> None:
        """Do nothing."""


def _container() -> DIContainer:
    container = DIContainer()
    container.attach_external_container(di.Container())
    return container


def sending(runner: asyncio.Runner, _stack: ExitStack) -> Batch:
    """Return what sends a request."""
    requests: RequestMap[Any] = RequestMap()
    requests.bind(Place, PlaceHandler)
    return awaits(runner, RequestMediator(requests, _container()).send, Place(number=7))


def publishing(runner: asyncio.Runner, _stack: ExitStack) -> Batch:
    """Return what publishes an event."""
    events: EventMap[Any] = EventMap()
    events.bind(Placed, PlacedHandler)
    return awaits(runner, EventMediator(events, _container()).send, Placed(number=7))
