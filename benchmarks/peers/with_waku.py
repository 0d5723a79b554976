"""waku: a module with a request handler, and the message bus of one scope."""

import asyncio
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Final

from waku import WakuFactory, module
from waku.messaging import IMessageBus, IRequest, MessagingExtension, MessagingModule, RequestHandler

from benchmarks.measuring import Batch, awaits

NAME: Final = "waku (async)"


@dataclass(frozen=True)
class Place(IRequest[int]):
    """Something to send."""

    number: int


class PlaceHandler(RequestHandler[Place, int]):
    """Does as little as a handler can."""

    async def handle(self, request: Place, /) -> int:
        """Return the number."""
        return request.number


@module(extensions=[MessagingExtension().bind(Place, PlaceHandler)])
class Orders:
    """The handler of the request."""


@module(imports=[Orders, MessagingModule.register()])
class Shop:
    """The application."""


async def _bus(stack: AsyncExitStack) -> IMessageBus:
    application = WakuFactory(Shop).create()
    await stack.enter_async_context(application)
    container = await stack.enter_async_context(application.container())
    bus: IMessageBus = await container.get(IMessageBus)
    return bus


def sending(runner: asyncio.Runner, stack: ExitStack) -> Batch:
    """Return what sends a request; `stack` closes the application in the end."""
    inner = AsyncExitStack()
    bus = runner.run(_bus(inner))
    stack.callback(lambda: runner.run(inner.aclose()))
    return awaits(runner, bus.invoke, Place(7))
