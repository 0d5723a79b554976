"""The place of a run on a broker: an exchange of its own, and the queues of both sides."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pika  # type: ignore[import-untyped]  # it says nothing of its types
from interop import facts, ours

from domainkit.adapters.rabbitmq import dead_letter_queue


class Place:
    """Names that no other run has, and what is in the queues."""

    def __init__(self, url: str, *, store: bool, taken_over: bool) -> None:
        self.url, self.store, self.taken_over = url, store, taken_over
        self.service = f"interop-{uuid4().hex[:12]}"
        self.exchange = f"{facts.ORGANIZATION}.{self.service}"
        self.audit = f"{self.exchange}.audit"
        """The queue that gets each message once the broker has it."""

    @property
    def subscribers(self) -> Iterator[tuple[str, facts.Subscriber]]:
        """Give all subscribers, each with its side."""
        yield from ((side, one) for side in facts.SIDES for one in facts.SUBSCRIBERS)
        yield facts.DOMAINKIT, facts.EVERYTHING
        if self.store:
            yield facts.PETISCO, facts.STORE

    def queues(self, side: str, one: facts.Subscriber) -> list[str]:
        """Return the queues of a subscriber."""
        if side == facts.PETISCO:
            return facts.petisco_queues(self.exchange, one)
        if facts.KINDS.get(one.of) == "command":
            return [f"{self.exchange}.command.{one.of.replace('.', '_')}"]
        return [ours.topology(self.exchange, 0).subscriber_queue(one.name)]

    def dead_letter_queues(self, side: str, one: facts.Subscriber) -> list[str]:
        """Return where the dead letters of a subscriber are: for petisco's also those of who took its queues over."""
        queues = self.queues(side, one)
        own = [dead_letter_queue(queue) for queue in queues if side == facts.DOMAINKIT or self.taken_over]
        return own + [f"dead_letter.{queue}" for queue in queues if side == facts.PETISCO]

    def declare(self) -> None:
        """Declare the exchange and the audit."""
        with self._channel() as channel:
            channel.exchange_declare(self.exchange, "topic", durable=True)
            channel.queue_declare(self.audit, durable=True)
            for kind in ("event", "command"):
                channel.queue_bind(self.audit, self.exchange, f"{self.exchange}.*.{kind}.*")

    def delete(self) -> None:
        """Delete all that the run has declared."""
        names = ours.topology(self.exchange, 0)
        theirs = (self.exchange, f"retry.{self.exchange}", f"dead_letter.{self.exchange}")
        with self._channel() as channel:
            channel.queue_delete(self.audit)
            for queue in (queue for side, one in self.subscribers for queue in self.queues(side, one)):
                for suffix in ("", ".dead_letters", ".quarantine", *ours.WAITS):
                    channel.queue_delete(f"{queue}{suffix}")
                for prefix in ("retry.", "dead_letter."):
                    channel.queue_delete(f"{prefix}{queue}")
            for exchange in (*theirs, names.dead_letter_exchange):
                channel.exchange_delete(exchange)

    def waiting(self) -> int:
        """Return how many messages wait to be handled, or handled again."""
        return self.count(self._waiting())

    def dead(self) -> int:
        """Return how many dead letters there are."""
        return self.count([queue for side, one in self.subscribers for queue in self.dead_letter_queues(side, one)])

    def taken(self, queue: str) -> list[bytes]:
        """Take all messages off a queue."""
        found: list[bytes] = []
        with self._channel() as channel:
            while (body := channel.basic_get(queue, auto_ack=True)[2]) is not None:
                found.append(body)
        return found

    def _waiting(self) -> list[str]:
        queues = [(side, queue) for side, one in self.subscribers for queue in self.queues(side, one)]
        retries = [f"retry.{queue}" for side, queue in queues if side == facts.PETISCO]
        suspects = [f"{queue}.quarantine" for side, queue in queues if side == facts.DOMAINKIT or self.taken_over]
        return [queue for _, queue in queues] + retries + suspects

    def count(self, queues: Iterable[str]) -> int:
        """Return how many messages are in these queues."""
        with self._channel() as channel:
            return sum(channel.queue_declare(queue, passive=True).method.message_count for queue in queues)

    def declared(self, queues: Iterable[str]) -> list[str]:
        """Return those of the queues that are there."""
        with self._channel() as channel:
            return [queue for queue in queues if _is_declared(channel.connection.channel(), queue)]

    def unbind(self, queue: str, key: str) -> None:
        """Unbind a queue from the exchange."""
        with self._channel() as channel:
            channel.queue_unbind(queue, self.exchange, key)

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            yield connection.channel()
        finally:
            connection.close()


def _is_declared(channel: Any, queue: str) -> bool:
    """Tell whether a queue exists, on a channel that is closed then."""
    try:
        channel.queue_declare(queue, passive=True)
    except pika.exceptions.ChannelClosedByBroker:
        return False
    channel.close()
    return True
