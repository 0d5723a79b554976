"""Messages to deliver, stored in the transaction of what they tell about: the outbox, its writing side.

See Richardson, Microservices Patterns (2018), Transactional outbox.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, insert

from domainkit.causation import caused
from domainkit.codec import MessageCodec
from domainkit.delivery import OutgoingMessage
from domainkit.messages import JsonValue, Message


class Outbox:
    """Stores messages in the exact bytes that a relay will deliver.

    Args:
        table: made by `outbox_table`.
        codec: knows the classes of the messages.
        meta: gives what is merged into the meta of each message when it is stored: the context of a trace, say.
    """

    def __init__(
        self, table: Table, codec: MessageCodec, *, meta: Callable[[], Mapping[str, JsonValue]] | None = None
    ) -> None:
        self.table = table
        self._codec = codec
        self._meta = meta

    def add(self, connection: Connection, messages: Iterable[Message], *, key: str | None = None) -> None:
        """Store messages in the open transaction of a connection, in their order.

        A message says what caused it where it was made while another one was handled.

        Args:
            connection: where the transaction is open.
            messages: of classes that the codec knows.
            key: messages with one key are delivered in their order: the id of the aggregate; the message's own id
                unless given.

        Raises:
            InvalidMessage: a message is of a class that the codec doesn't know, or could not be read back; nothing was
                stored then.
        """
        outgoing = [OutgoingMessage.of(self._complete(message), self._codec, key=key) for message in messages]
        if outgoing:
            now = datetime.now(UTC)
            connection.execute(insert(self.table), [_row(one, now) for one in outgoing])

    def _complete(self, message: Message) -> Message:
        return caused(message if self._meta is None else message.add_meta(self._meta()))


def _row(message: OutgoingMessage, now: datetime) -> dict[str, Any]:  # Any: values of columns of all types
    return {
        "message_id": message.id.value,
        "name": message.info.name,
        "version": message.info.version,
        "kind": message.info.kind,
        "ordering_key": message.key,
        "body": message.body,
        "recorded_at": now,
    }
