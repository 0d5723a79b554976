"""One queue on one channel: what came from it, and the workers that handle that."""

import asyncio
from typing import Self

from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from attrs import define, field

from domainkit.adapters.rabbitmq._connection import Connection
from domainkit.adapters.rabbitmq._handling import Handling, Rules
from domainkit.adapters.rabbitmq._subscriptions import Subscription
from domainkit.adapters.rabbitmq.topology import RabbitMqTopology, declare_queue


@define
class Line:
    """A queue that is being consumed. `over` is set where its connection, its channel or the queue itself is gone."""

    handling: Handling
    queue: AbstractQueue
    tag: str = ""
    workers: tuple[asyncio.Task[None], ...] = ()
    _pending: asyncio.Queue[AbstractIncomingMessage | None] = field(factory=asyncio.Queue)

    @classmethod
    async def opened(
        cls,
        connection: Connection,
        topology: RabbitMqTopology,
        subscription: Subscription,
        rules: Rules,
        over: asyncio.Event,
    ) -> Self:
        """Open a channel of its own, and declare and bind the queue."""
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        queue = await declare_queue(channel, topology, subscription.queue, subscription.keys)
        underlying = await channel.get_underlay_channel()
        channel.close_callbacks.add(lambda *_: over.set())
        underlying.on_consumer_cancel_callbacks.add(lambda _: over.set())
        return cls(Handling(subscription, rules, underlying, over), queue)

    async def start(self, prefetch: int, concurrency: int) -> None:
        """Consume, with so many workers."""
        await self.handling.channel.basic_qos(prefetch_count=prefetch)
        self.workers = tuple(asyncio.create_task(self._work()) for _ in range(concurrency))
        for worker in self.workers:
            worker.add_done_callback(lambda _: self.handling.over.set())
        self.tag = await self.queue.consume(self._take)

    async def cancel(self) -> None:
        """Ask the broker for no more."""
        await self.queue.cancel(self.tag)

    def end(self) -> None:
        """Let the workers end after what they have in hand; what waits for them goes back to the broker."""
        while not self._pending.empty():
            self._pending.get_nowait()
        for _ in self.workers:
            self._pending.put_nowait(None)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        self._pending.put_nowait(message)

    async def _work(self) -> None:
        while (message := await self._pending.get()) is not None:
            await self.handling.handle(message)
            if self.handling.over.is_set():
                return
