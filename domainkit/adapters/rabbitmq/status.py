"""Status of a consumer's queues, as reported by the broker."""

from collections.abc import Iterable
from datetime import timedelta

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit.adapters.rabbitmq._connection import LOST, checked_url, connected, place, seconds
from domainkit.adapters.rabbitmq.topology import checked_name, dead_letter_queue, quarantine_queue
from domainkit.errors import BusCannotPublish


@frozen
class QueueStatus:
    """Numbers of messages and consumers of a queue.

    Args:
        queue: its name.
        exists: False before its consumer was started for the first time.
        waiting: messages ready for delivery; without failed ones, which wait in a separate queue.
        consumers: the number of processes that consume it.
        dead: the number of its dead letters.
        quarantined: messages that may have killed a process; they are handled one by one.
    """

    queue: str
    exists: bool
    waiting: int
    consumers: int
    dead: int
    quarantined: int


async def queue_status(
    url: str, queues: Iterable[str], *, within: timedelta = timedelta(seconds=10)
) -> Result[tuple[QueueStatus, ...], BusCannotPublish]:
    """Return the status of queues, in the given order; nothing is declared or changed.

    Args:
        url: the URL of the broker.
        queues: the names of consumed queues, such as `consumer.queues`.
        within: the timeout of each step.

    Returns:
        A Failure with BusCannotPublish if the broker is unreachable.

    Raises:
        ValueError: `url` is not a broker's, one of `queues` is not a valid name, or `within` isn't above 0.
    """
    address, longest = checked_url(url, "queue_status"), seconds(within, "queue_status", "within")
    names = [checked_name(queue, "queue_status: queue") for queue in queues]
    try:
        async with connected(address, "domainkit status", longest) as connection:
            return Success(tuple([await _status(connection, name, longest) for name in names]))
    except LOST as error:
        info = {"message": f"{place(address)}: the connection is lost ({type(error).__name__})"}
        return Failure(BusCannotPublish(additional_info=info))


async def _status(connection: AbstractConnection, queue: str, within: float) -> QueueStatus:
    found, dead, quarantined = [
        await _declared(connection, name, within) for name in (queue, dead_letter_queue(queue), quarantine_queue(queue))
    ]
    waiting, consumers = found or (0, 0)
    return QueueStatus(queue, found is not None, waiting, consumers, (dead or (0,))[0], (quarantined or (0,))[0])


async def _declared(connection: AbstractConnection, queue: str, within: float) -> tuple[int, int] | None:
    """Return the numbers of messages and consumers of a queue; None if it doesn't exist, which closes the channel."""
    channel = await connection.channel()
    try:
        found = (await channel.declare_queue(queue, passive=True, timeout=within)).declaration_result
    except ChannelNotFoundEntity:
        return None
    await channel.close()
    return found.message_count or 0, found.consumer_count or 0
