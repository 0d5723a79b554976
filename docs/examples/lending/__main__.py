"""Serves the API, or consumes messages: `python -m docs.examples.lending api`, `... consume`."""

import asyncio
import os
import signal
from argparse import ArgumentParser

import uvicorn

from .app import make_app
from .consumer import consumer


async def consume(broker: str) -> None:
    """Consume until the process is asked to end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with consumer(broker) as consuming, consuming:
        print("consuming", flush=True)
        await stop.wait()


parser = ArgumentParser("lending", description=__doc__)
parser.add_argument("part", choices=["api", "consume"])
parser.add_argument("--port", type=int, default=8000, help="of the API; 0 is any that is free; default: 8000")
options = parser.parse_args()
if options.part == "api":
    uvicorn.run(make_app(os.environ["DOMAINKIT_DATABASE_URL"]), host="127.0.0.1", port=options.port)
else:
    asyncio.run(consume(os.environ["DOMAINKIT_BROKER_URL"]))
