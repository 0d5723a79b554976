"""The book of a run, in SQLite: which messages were published, every call of a handler, and what had an effect."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interop.facts import BY_NAME

_TABLES = """
CREATE TABLE IF NOT EXISTS ready (process TEXT);
CREATE TABLE IF NOT EXISTS published (publisher TEXT, position INTEGER, message_id TEXT, source TEXT);
CREATE TABLE IF NOT EXISTS calls (side TEXT, subscriber TEXT, message_id TEXT, content TEXT);
CREATE TABLE IF NOT EXISTS seen (side TEXT, subscriber TEXT, message_id TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS seen_once ON seen (side, subscriber, message_id);
CREATE TABLE IF NOT EXISTS effects (side TEXT, subscriber TEXT, message_id TEXT);
CREATE INDEX IF NOT EXISTS calls_of ON calls (side, subscriber, message_id);
"""


class Book:
    """A file that all processes of a run write; a process that is killed leaves what it has committed.

    `seen` is an inbox: a message that is delivered again after its effect was committed has no second one. `effects`
    has no constraint: one that came twice would be seen.
    """

    def __init__(self, file: Path | str) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(file, 60, isolation_level=None, check_same_thread=False)
        self._connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_TABLES}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        return int(self._rows(f"SELECT count(*) FROM {table}")[0][0])

    def calls(self, side: str, subscriber: str) -> list[tuple[str, str]]:
        """Return the calls of a handler: the id and the content of each message."""
        query = "SELECT message_id, content FROM calls WHERE (side, subscriber) = (?, ?)"
        return [(message_id, content) for message_id, content in self._rows(query, side, subscriber)]

    def effects(self, side: str, subscriber: str) -> list[str]:
        """Return the ids of the messages that had an effect: as often as they had one."""
        query = "SELECT message_id FROM effects WHERE (side, subscriber) = (?, ?)"
        return [message_id for (message_id,) in self._rows(query, side, subscriber)]

    def published_by(self, source: str) -> list[str]:
        """Return the ids of the messages that were published, by the word of who did it."""
        return [message_id for (message_id,) in self._rows("SELECT message_id FROM published WHERE source = ?", source)]

    def ready(self, process: str) -> None:
        """Note that a process consumes all its queues."""
        with self._writing() as connection:
            connection.execute("INSERT INTO ready VALUES (?)", (process,))

    def is_ready(self, *processes: str) -> bool:
        """Tell whether these processes have their queues."""
        return set(processes) <= {process for (process,) in self._rows("SELECT process FROM ready")}

    def behind(self) -> int:
        """Return how many of the messages that were published nobody has been called with."""
        query = "SELECT (SELECT count(*) FROM published) - (SELECT count(DISTINCT message_id) FROM calls)"
        return int(self._rows(query)[0][0])

    def times_ready(self, process: str) -> int:
        """Return how many times a process has had its queues: once for each start."""
        return int(self._rows("SELECT count(*) FROM ready WHERE process = ?", process)[0][0])

    def next_position(self, publisher: str) -> int:
        """Return where a publisher goes on after it was started again."""
        ((last,),) = self._rows("SELECT max(position) FROM published WHERE publisher = ?", publisher)
        return 0 if last is None else last + 1

    def published(self, publisher: str, position: int, message_id: str, source: str) -> None:
        """Note that a message was taken, by the broker or an outbox."""
        with self._writing() as connection:
            connection.execute("INSERT INTO published VALUES (?, ?, ?, ?)", (publisher, position, message_id, source))

    def handled(self, side: str, subscriber: str, content: Mapping[str, Any]) -> bool:
        """Note a call with a message, and its effect unless it has had that; return whether the handler succeeds."""
        key = (side, subscriber, content["id"])
        failures = BY_NAME[subscriber].failures(content["attributes"]["number"])
        with self._writing() as connection:
            query = "SELECT count(*) FROM calls WHERE (side, subscriber, message_id) = (?, ?, ?)"
            ((before,),) = connection.execute(query, key).fetchall()
            connection.execute("INSERT INTO calls VALUES (?, ?, ?, ?)", (*key, json.dumps(content, default=dict)))
            if failures is None or before < failures:
                return False
            if connection.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", key).rowcount:
                connection.execute("INSERT INTO effects VALUES (?, ?, ?)", key)
            return True
