"""The snapshot store port: for each stream the state after some of its events, so that a load starts from there."""

from abc import abstractmethod
from uuid import UUID

from attrs import frozen

from domainkit._model.services import Service
from domainkit.event_store import StreamId


@frozen
class Snapshot:
    """A stored state.

    Args:
        stream: the name of the stream that was folded.
        name: the name of the state, since several may be folded from one stream.
        version: the version of the fold. A snapshot of another version can't be used.
        revision: the revision of the last event in the state.
        event_id: the id of that event: if the stream has another one there, the snapshot isn't valid.
        state: the state as JSON text.
    """

    stream: str
    name: str
    version: str
    revision: int
    event_id: UUID
    state: str


class SnapshotStore(Service):
    """A store of snapshots: the latest one for each stream and name.

    Every adapter passes the tests of `domainkit.testing.SnapshotStoreContract`. A snapshot may be lost at any time:
    it is computed again from the events.
    """

    __slots__ = ()

    @abstractmethod
    def load(self, stream: StreamId, name: str, /) -> Snapshot | None:
        """Return the snapshot of a stream; None if there is none.

        Args:
            stream: the name of the stream.
            name: of the state.

        Raises:
            ValueError: as for the streams of an event store.
        """

    @abstractmethod
    def save(self, snapshot: Snapshot, /) -> None:
        """Store a snapshot, and replace any other one of this stream and name."""

    @abstractmethod
    def remove(self, stream: StreamId, /) -> None:
        """Remove all snapshots of a stream; nothing happens if there is none.

        Do so if you delete a stream because of its contents: a snapshot has the same contents.
        """


class AsyncSnapshotStore(Service):
    """The async twin of SnapshotStore: the same methods and guarantees, as coroutines."""

    __slots__ = ()

    @abstractmethod
    async def load(self, stream: StreamId, name: str, /) -> Snapshot | None:
        """Return the snapshot of a stream; see SnapshotStore."""

    @abstractmethod
    async def save(self, snapshot: Snapshot, /) -> None:
        """Store a snapshot in place of the one of this stream and name; see SnapshotStore."""

    @abstractmethod
    async def remove(self, stream: StreamId, /) -> None:
        """Remove all snapshots of a stream; see SnapshotStore."""
