"""The writing side of the outbox: messages to deliver, stored in the transaction of the change they report.

See Richardson, Microservices Patterns (2018), Transactional outbox.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy import Connection, Table, bindparam, exists, insert, select

from domainkit.adapters.sqlalchemy.announcements import Announcement, Announcers
from domainkit.adapters.sqlalchemy.statements import Prepared
from domainkit.adapters.sqlalchemy.tables import outbox_table, require_columns
from domainkit.causation import Flowing, caused, note_stored
from domainkit.codec import MessageCodec
from domainkit.delivery import OutgoingMessage
from domainkit.ids import text_refusal
from domainkit.messages import JsonValue, Message

OutboxRow: TypeAlias = dict[str, object]
"""An encoded message as its row in the outbox."""

COLUMNS = ("message_id", "name", "version", "kind", "ordering_key", "body", "recorded_at")
"""The columns of an OutboxRow, in their order."""


class Outbox(Flowing):
    """Stores messages as the exact bytes that a relay will deliver.

    Args:
        table: made by `outbox_table`.
        codec: knows the classes of the messages.
        meta: returns a mapping to merge into the meta of each message when it is stored, such as a trace context.
        wakes: True to wake the relays after a commit, on PostgreSQL: a thread then sends NOTIFY on a connection of its
            own, which is closed when it was idle for 5 seconds. On SQLite relays notice a commit by themselves.

    Raises:
        ValueError: `table` is not an outbox table.
    """

    def __init__(
        self,
        table: Table,
        codec: MessageCodec,
        *,
        meta: Callable[[], Mapping[str, JsonValue]] | None = None,
        wakes: bool = True,
    ) -> None:
        require_columns(table, outbox_table)
        self.table: Table = table
        self._insert = Prepared(insert(table).inline(), COLUMNS)  # inline: the position isn't needed
        columns = [table.c[name] for name in COLUMNS]
        values = select(*(bindparam(column.key, type_=column.type) for column in columns))
        is_stored = exists().where(*(table.c[name] == bindparam(name) for name in ("message_id", "name", "version")))
        once = insert(table).from_select(columns, values.where(~is_stored), include_defaults=False).inline()
        self._insert_once = Prepared(once, COLUMNS)
        self._codec = codec
        self._meta = meta
        self._announcers = Announcers()
        self._announcement = Announcement(table, self._announcers) if wakes else None

    def add(self, connection: Connection, messages: Iterable[Message], *, key: str | None = None) -> None:
        """Store messages in the open transaction of a connection, in order.

        A message that is created while another one is handled records that one as its cause, and copies the meta
        named by `flowing` from it.

        Args:
            connection: the one with the open transaction.
            messages: of classes that the codec knows.
            key: messages with the same key are delivered in order: the id of the aggregate, at most 2000 bytes; by
                default the message's own id.

        Raises:
            InvalidMessage: the codec doesn't know the class of a message, or a message could not be decoded again.
                No message is stored.
            ValueError: the key can't be stored as a text. No message is stored.
        """
        self.store(connection, self.rows(messages, key=key))

    def rows(self, messages: Iterable[Message], *, key: str | None = None) -> list[OutboxRow]:
        """Return encoded messages for `store`, so that an invalid message is refused before anything is stored.

        Args:
            messages: as for `add`.
            key: as for `add`.

        Raises:
            InvalidMessage: as `add` does.
            ValueError: as `add` does.
        """
        refusal = None if key is None else text_refusal(key)
        if refusal is not None:
            raise ValueError(f"ordering key: expected {refusal}, got another text; pass another `key`")
        now, rows = datetime.now(UTC), list[OutboxRow]()
        for given in messages:
            message = caused(given if self._meta is None else given.add_meta(self._meta()), self._flowing)
            for one in OutgoingMessage.all_of(message, self._codec, key=key):
                row = {"message_id": one.id.value, "name": one.info.name, "version": one.info.version}
                rest = {"kind": one.info.kind, "ordering_key": one.key, "body": one.body, "recorded_at": now}
                rows.append(row | rest)
        return rows

    def store(self, connection: Connection, rows: Sequence[OutboxRow], *, once: bool = False) -> None:
        """Store the result of `rows`, in order, in the open transaction of a connection.

        Args:
            connection: the one with the open transaction.
            rows: made by this outbox.
            once: leave out a message that is in the outbox already, in the same version.
        """
        if rows:
            (self._insert_once if once else self._insert).run(connection, rows)
            _note(rows)

    def committed(self, connection: Connection, rows: Sequence[OutboxRow]) -> None:
        """Note that rows are stored by a statement of a repository that has committed them, and wake the relays.

        Args:
            connection: the one of the statement.
            rows: made by this outbox.
        """
        _note(rows)
        self.announce(connection)

    def announce(self, connection: Connection) -> None:
        """Wake the relays after a commit: they send the messages in milliseconds, without waiting for the next poll.

        A unit of work does it by itself. Call it if you committed messages in a transaction of your own. It returns at
        once, and raises no error: an announcement that gets lost costs one poll. With `wakes=False`, and on SQLite,
        it does nothing.

        Args:
            connection: the one whose transaction was committed.
        """
        if self._announcement is not None:
            self._announcement.make(connection)


def _note(rows: Sequence[OutboxRow]) -> None:
    note_stored(row["message_id"] for row in rows)
