"""Dead letters go back to their queues: each is confirmed there before it is taken off here."""

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

_OF_THE_DEATH = tuple(
    name.encode()
    for name in ("x-death", "x-first-death-", "x-last-death-", PROBLEMS_HEADER, FAILURES_HEADER, "redelivery_count")
)
"""Headers that tell of the last death: the next one is told anew."""


async def redeliver(
    url: str, queue: str, *, limit: int | None = None, within: timedelta = timedelta(seconds=10)
) -> Result[int, BusCannotPublish]:
    """Move the dead letters of a queue back to it, the oldest first, and return how many.

    Each is confirmed in its queue before it is taken off: killed in between, it is in both, and none is lost. It ends:
    it moves no more than there are when it begins, though some may die again meanwhile.

    Args:
        url: the broker's.
        queue: the queue that they come from, such as `mailing.greeter`; not that of the dead letters.
        limit: the most to move; all unless given.
        within: how long a step may take: to connect, to move one.

    Returns:
        A Failure with BusCannotPublish where the queue or that of its dead letters isn't there, or the broker is away;
        `additional_info["moved"]` says how many were moved before.

    Raises:
        ValueError: `url` is none of a broker, `queue` no name, `limit` is below 0, or `within` isn't above 0.
    """
    address, longest = checked_url(url, "redeliver"), seconds(within, "redeliver", "within")
    checked_name(queue, "redeliver: queue")
    if limit is not None and limit < 0:
        raise ValueError("redeliver: limit must be 0 or more")
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
    """Move one letter after the other, and yield after each."""
    dead_letters = await channel.declare_queue(dead_letter_queue(queue), passive=True, timeout=within)
    underlying = await channel.get_underlay_channel()
    count = dead_letters.declaration_result.message_count or 0
    for _ in range(count if limit is None else min(count, limit)):
        async with asyncio.timeout(within):
            message = await dead_letters.get(fail=False)
            if message is None:
                return
            properties = moved_properties(KeptProperties.of(message.headers), _OF_THE_DEATH)
            await underlying.basic_publish(message.body, routing_key=queue, properties=properties, mandatory=True)
            await message.ack()
        _logger.info(
            "%s: a dead letter of %d bytes (%s) is back", queue, len(message.body), shown(str(message.message_id))
        )
        yield


def _explained(error: BaseException, queue: str) -> str:
    if isinstance(error, ChannelNotFoundEntity):
        return f"there is no queue {dead_letter_queue(queue)!r}; give the name of the queue that is consumed"
    if isinstance(error, DeliveryError):
        return f"the queue {queue!r} isn't there, or takes no more; start its consumer first"
    return f"the connection is gone ({type(error).__name__})"
