"""Snapshots in memory."""

from threading import Lock

from domainkit.event_store import StreamId, stream_name
from domainkit.snapshot_store import AsyncSnapshotStore, Snapshot, SnapshotStore


class InmemorySnapshotStore(SnapshotStore):
    """Snapshots in a dict, lost with the process. It is thread-safe.

    A unit of work doesn't roll them back: a snapshot of events that were rolled back is ignored when it is read.

    >>> from uuid import uuid4
    >>> store = InmemorySnapshotStore()
    >>> store.save(Snapshot("account-1", "int", "1", 2, uuid4(), "7"))
    >>> found = store.load("account-1", "int")
    >>> found and (found.revision, found.state)
    (2, '7')
    """

    def __init__(self) -> None:
        self._snapshots: dict[str, dict[str, Snapshot]] = {}
        self._lock = Lock()

    def load(self, stream: StreamId, name: str, /) -> Snapshot | None:
        """Return the snapshot of a stream; see SnapshotStore."""
        with self._lock:
            return self._snapshots.get(stream_name(stream), {}).get(name)

    def save(self, snapshot: Snapshot, /) -> None:
        """Store a snapshot in place of the one of this stream and name; see SnapshotStore."""
        with self._lock:
            self._snapshots.setdefault(snapshot.stream, {})[snapshot.name] = snapshot

    def remove(self, stream: StreamId, /) -> None:
        """Remove all snapshots of a stream; see SnapshotStore."""
        with self._lock:
            self._snapshots.pop(stream_name(stream), None)


class AsyncInmemorySnapshotStore(AsyncSnapshotStore):
    """The async twin of InmemorySnapshotStore."""

    def __init__(self) -> None:
        self._store = InmemorySnapshotStore()

    async def load(self, stream: StreamId, name: str, /) -> Snapshot | None:
        """Return the snapshot of a stream; see SnapshotStore."""
        return self._store.load(stream, name)

    async def save(self, snapshot: Snapshot, /) -> None:
        """Store a snapshot in place of the one of this stream and name; see SnapshotStore."""
        self._store.save(snapshot)

    async def remove(self, stream: StreamId, /) -> None:
        """Remove all snapshots of a stream; see SnapshotStore."""
        self._store.remove(stream)
