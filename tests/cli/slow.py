"""A publisher that takes its time, and tells what it is given: a process with it is asked to stop meanwhile."""

import asyncio
import os
import time

from returns.result import Result, Success

from domainkit import AsyncMessagePublisher, BusCannotPublish, OutgoingMessage


class Slow(AsyncMessagePublisher):
    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        print(message.info.name, flush=True)  # noqa: T201  (the test reads it)
        await asyncio.sleep(float(os.environ["SECONDS"]))
        return Success(None)

    async def close(self) -> None:
        print("closed", flush=True)  # noqa: T201  (as above)


async def make() -> AsyncMessagePublisher:
    """Return a publisher, as a function of an application does."""
    return Slow()


def block() -> AsyncMessagePublisher:
    """Take for ever, without the loop."""
    print("making", flush=True)  # noqa: T201  (as above)
    time.sleep(600)
    return Slow()


async def hang() -> AsyncMessagePublisher:
    """Take for ever, on the loop."""
    print("making", flush=True)  # noqa: T201  (as above)
    await asyncio.sleep(600)
    return Slow()
