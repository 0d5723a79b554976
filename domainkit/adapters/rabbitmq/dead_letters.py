"""Redelivery of dead letters: each is confirmed in its queue before it is removed from the dead letters."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelNotFoundEntity, DeliveryError
from returns.result import Failure, Result, Success

from domainkit._model.texts import shown
from domainkit.adapters.rabbitmq._connection import LOST, checked_url, connected, place, seconds
from domainkit.adapters.rabbitmq._handling import FAILURES_HEADER, PROBLEMS_HEADER, moved_properties
from domainkit.adapters.rabbitmq._properties import KeptProperties
from domainkit.adapters.rabbitmq.topology import checked_name, dead_letter_queue
from domainkit.errors import BusCannotPublish

_logger = logging.getLogger("domainkit.rabbitmq")

_DEATH_HEADERS = tuple(
    name.encode()
    for name in ("x-death", "x-first-death-", "x-last-death-", PROBLEMS_HEADER, FAILURES_HEADER, "redelivery_count")
)
"""Headers about the last dead-lettering, which the next one writes again."""


async def redeliver(
    url: str, queue: str, *, limit: int | None = None, within: timedelta = timedelta(seconds=10)
) -> Result[int, BusCannotPublish]:
    """Move the dead letters of a queue back to it, the oldest first, and return their number.

    Each is confirmed in its queue before it is removed: if the process is killed in between, the message is in both
    queues, and no message is lost. It moves at most as many as exist at the start, even if some become dead again.

    Args:
        url: the URL of the broker.
        queue: the queue that they come from, such as `mailing.greeter`; not the queue of the dead letters.
        limit: the maximum number to move; all by default.
        within: the timeout of each step: to connect, and to move one message.

    Returns:
        A Failure with BusCannotPublish if the queue or its dead-letter queue doesn't exist, or the broker is
        unreachable; `additional_info["moved"]` is the number of messages moved before.

    Raises:
        ValueError: `url` is not a broker's, `queue` is not a valid name, `limit` is below 0, or `within` isn't above 0.
    """
    address, longest = checked_url(url, "redeliver"), seconds(within, "redeliver", "within")
    checked_name(queue, "redeliver: queue")
    if limit is not None and limit < 0:
        raise ValueError(f"redeliver: expected 0 or more as `limit`, got {limit}; leave it out to move all")
    count = 0
    try:
        async with connected(address, f"domainkit redeliver {queue}", longest) as connection:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            async for _ in _moving(channel, queue, limit, longest):
                count += 1
    except LOST as error:
        info = {"message": f"{place(address)}: {_explained(error, queue)}", "queue": queue, "moved": count}
        return Failure(BusCannotPublish(additional_info=info))
    return Success(count)


async def _moving(channel: AbstractChannel, queue: str, limit: int | None, within: float) -> AsyncIterator[None]:
    """Move the letters one by one, and yield after each."""
    dead_letters = await channel.declare_queue(dead_letter_queue(queue), passive=True, timeout=within)
    underlying = await channel.get_underlay_channel()
    count = dead_letters.declaration_result.message_count or 0
    for _ in range(count if limit is None else min(count, limit)):
        async with asyncio.timeout(within):
            message = await dead_letters.get(fail=False)
            if message is None:
                return
            properties = moved_properties(KeptProperties.of(message.headers), _DEATH_HEADERS)
            await underlying.basic_publish(message.body, routing_key=queue, properties=properties, mandatory=True)
            await message.ack()
        _logger.info(
            "%s: redelivered a dead letter of %d bytes (%s)", queue, len(message.body), shown(str(message.message_id))
        )
        yield


def _explained(error: BaseException, queue: str) -> str:
    if isinstance(error, ChannelNotFoundEntity):
        return f"there is no queue {dead_letter_queue(queue)!r}; give the name of the queue that is consumed"
    if isinstance(error, DeliveryError):
        return f"the queue {queue!r} doesn't exist, or is full; start its consumer first"
    return f"the connection is lost ({type(error).__name__})"
