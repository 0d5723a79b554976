"""Contract tests of every SnapshotStore: subclass the class, and run it with pytest."""

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

from domainkit.snapshot_store import Snapshot, SnapshotStore
from domainkit.testing.samples import SampleTaskId

_EVENT_ID = UUID("0190f5a3-7d3e-7c7a-8e54-2f1f3b1c9a11")


class SnapshotStoreContract(ABC):
    """Contract of a SnapshotStore.

    >>> from domainkit import InmemorySnapshotStore
    >>> class TestInmemory(SnapshotStoreContract):
    ...     def make_store(self) -> SnapshotStore:
    ...         return InmemorySnapshotStore()
    >>> TestInmemory().test_a_snapshot_comes_back_as_it_was_saved()
    """

    @abstractmethod
    def make_store(self) -> SnapshotStore:
        """Return a new, empty store, independent of earlier ones."""

    def test_a_snapshot_comes_back_as_it_was_saved(self) -> None:
        """A snapshot comes back equal, also with a long state and one of any characters."""
        store = self.make_store()
        for state in ("7", '{"title":"\\u0000 \\n ' + "\U0001f642é" + '"}', '"' + "a" * 100_000 + '"'):
            saved = _snapshot(state=state)
            store.save(saved)
            assert saved == store.load("task-1", "Task"), "a snapshot comes back equal"

    def test_there_is_none_before_the_first(self) -> None:
        """`load` returns None for a stream or a name without a snapshot."""
        store = self.make_store()
        store.save(_snapshot())
        assert store.load("task-2", "Task") is None, "another stream has no snapshot"
        assert store.load("task-1", "Other") is None, "another name has no snapshot"

    def test_a_stream_may_be_named_by_an_id(self) -> None:
        """An id stands for the stream with the id's text as its name."""
        store, task_id = self.make_store(), SampleTaskId.v4()
        saved = _snapshot(stream=str(task_id))
        store.save(saved)
        assert saved == store.load(task_id, "Task")
        store.remove(task_id)
        assert store.load(str(task_id), "Task") is None

    def test_the_latest_one_to_be_saved_is_kept(self) -> None:
        """A snapshot replaces the previous one, even if it has fewer events or another version."""
        store = self.make_store()
        for saved in (_snapshot(revision=5), _snapshot(revision=9), _snapshot(version="2"), _snapshot(revision=3)):
            store.save(saved)
            assert saved == store.load("task-1", "Task"), "the latest one to be saved is kept"

    def test_streams_and_names_are_kept_apart(self) -> None:
        """Each stream has a separate snapshot for each name."""
        store = self.make_store()
        saved = [_snapshot(stream=stream, name=name) for stream in ("task-1", "task-2") for name in ("Task", "Total")]
        for one in saved:
            store.save(one)
        assert saved == [store.load(one.stream, one.name) for one in saved]

    def test_all_of_a_stream_are_removed(self) -> None:
        """`remove` removes the snapshots of a stream for all names, and no others; repeating it has no effect."""
        store, other = self.make_store(), _snapshot(stream="task-2")
        for saved in (_snapshot(), _snapshot(name="Total"), other):
            store.save(saved)
        for _ in range(2):
            store.remove("task-1")
            found = [store.load("task-1", name) for name in ("Task", "Total")]
            assert found == [None, None], "the snapshots of a removed stream are gone"
            assert other == store.load("task-2", "Task"), "those of another stream stay"

    def test_many_writers_leave_one_whole(self) -> None:
        """If several snapshots are saved at the same time, one of them is kept, complete."""
        store, writers = self.make_store(), 8
        saved = [_snapshot(revision=number, state=str(number)) for number in range(1, writers + 1)]
        barrier = Barrier(writers)

        def write(one: Snapshot) -> None:
            barrier.wait()
            store.save(one)

        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(write, saved))
        assert store.load("task-1", "Task") in saved, "one of the snapshots is kept, whole"


def _snapshot(
    *, stream: str = "task-1", name: str = "Task", version: str = "1-a", revision: int = 5, state: str = "{}"
) -> Snapshot:
    return Snapshot(stream, name, version, revision, _EVENT_ID, state)
