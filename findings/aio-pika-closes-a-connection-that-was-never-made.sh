#!/bin/sh
# aio-pika 10.2.1 with aiormq 7.2.4, on CPython 3.11: a connection that could not be made is closed when it is collected.
# Its `__del__` calls `close()`, a coroutine function, and then looks for an event loop. Where there is none at that
# moment (after `asyncio.run`, in another thread), the coroutine is never awaited, and Python warns of that: later
# than the attempt, from whatever code is running when the garbage collector comes by. A program that treats warnings
# as errors, such as a suite of tests, sees it in a place that has nothing to do with it.
#
# Output seen: "the attempt: AMQPConnectionError", "collected: coroutine 'Connection.close' was never awaited".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv .venv
.venv/bin/pip install -q aio-pika==10.2.1 aiormq==7.2.4
cat > attempt.py <<'CODE'
import asyncio
import gc
import warnings

import aio_pika


async def attempt() -> BaseException:
    try:
        await aio_pika.connect("amqp://127.0.0.1:1/")
    except ConnectionError as error:
        return error
    raise AssertionError("somebody listens there")


loop = asyncio.new_event_loop()
errors = [loop.run_until_complete(attempt())]  # the traceback holds the connection
print("the attempt:", type(errors[0]).__name__)
asyncio.set_event_loop(None)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    errors.clear()
    gc.collect()
print("collected:", *(one.message for one in caught))
loop.close()
CODE
.venv/bin/python attempt.py 2>/dev/null | tee seen

diff - seen <<'OUT'
the attempt: AMQPConnectionError
collected: coroutine 'Connection.close' was never awaited
OUT
