"""The snapshot store port: for each stream the state after some of its events, so that a load starts from there."""

from abc import abstractmethod
from uuid import UUID

from attrs import frozen

from domainkit._model.services import Service
from domainkit.event_store import StreamId


@frozen
class Snapshot:
    """A state as a store has it.

    Args:
        stream: the name of the stream that was folded.
        name: of the state, since several may be folded from one stream.
        version: of the fold. A snapshot of another version is of no use.
        revision: of the last event in the state.
        event_id: of that event: if the stream has another one there, the snapshot isn't of this stream.
        state: as JSON text.
    """

    stream: str
    name: str
    version: str
    revision: int
    event_id: UUID
    state: str


class SnapshotStore(Service):
    """A store of snapshots: the latest one for each stream and name.

    Every adapter passes the tests of `domainkit.testing.SnapshotStoreContract`. What is in it can be lost at any time:
    it is made again from the events.
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
        """Store a snapshot in place of the one of this stream and name, whatever that is."""

    @abstractmethod
    def remove(self, stream: StreamId, /) -> None:
        """Remove all snapshots of a stream; nothing happens if there is none.

        Do so after deleting a stream for what its events say: a snapshot says the same.
        """


class AsyncSnapshotStore(Service):
    """The async twin of SnapshotStore: the same methods with the same promises, to await."""

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
