"""A publisher that notes what it is given, and never answers: a process with it is killed."""

import asyncio
import os
from pathlib import Path

from returns.result import Result

from domainkit import AsyncMessagePublisher, BusCannotPublish, OutgoingMessage


class Hanging(AsyncMessagePublisher):
    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        (Path(os.environ["HANGING"]) / message.info.name).touch()
        await asyncio.Event().wait()
        raise NotImplementedError

    async def close(self) -> None: ...


publisher = Hanging()
