"""The async twin of the projector."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import Table
from sqlalchemy.util import await_only, greenlet_spawn

from domainkit.adapters.sqlalchemy.async_event_store import AsyncSqlEventStore
from domainkit.adapters.sqlalchemy.async_unit_of_work import AsyncUnitOfWork
from domainkit.adapters.sqlalchemy.event_counts import Stored
from domainkit.adapters.sqlalchemy.following import OnUnreadable
from domainkit.adapters.sqlalchemy.projector import Projector
from domainkit.adapters.sqlalchemy.read_models import SqlReadModel
from domainkit.adapters.sqlalchemy.rebuilding import Rebuilt
from domainkit.adapters.sqlalchemy.rounds import Projected, ReadModelStatus
from domainkit.adapters.sqlalchemy.wakeups import woken_async
from domainkit.read_models import AsyncReadsAllEvents, ReadsAllEvents


class AsyncProjector:
    """The async twin of Projector, around one of those: its statements run on the async connections.

    Steps and functions of the read models are plain functions, as for Projector.

    Args:
        unit_of_work: for the database of the tables.
        store: the events; an AsyncSqlEventStore of this database, or another store with `read_all` to await.
        models: the read models, each of another name.
        checkpoints: made by `checkpoints_table`.
        batch: as for Projector.
        poll: as for Projector.
        on_unreadable: as for Projector.
        wakes: as for Projector.

    Raises:
        ValueError: as for Projector.
    """

    def __init__(  # noqa: PLR0913  (options with defaults)
        self,
        unit_of_work: AsyncUnitOfWork,
        store: AsyncReadsAllEvents,
        models: Sequence[SqlReadModel],
        checkpoints: Table,
        *,
        batch: int = 500,
        poll: timedelta = timedelta(seconds=0.5),
        on_unreadable: OnUnreadable = OnUnreadable.STOP,
        wakes: bool = True,
    ) -> None:
        reader = store._inner if isinstance(store, AsyncSqlEventStore) else _Awaited(store)
        self.inner: Projector = Projector(
            unit_of_work.inner,
            reader,
            models,
            checkpoints,
            batch=batch,
            poll=poll,
            on_unreadable=on_unreadable,
            wakes=wakes,
        )
        """The sync projector, whose methods work inside of these alone."""

    def __repr__(self) -> str:
        return f"Async{self.inner!r}"

    @property
    def is_following(self) -> bool:
        """True while `run` follows the store; see Projector.is_following."""
        return self.inner.is_following

    async def run_once(self) -> Projected:
        """Put one batch of events into each read model, and return the counts; see Projector.run_once."""
        return await greenlet_spawn(self.inner.run_once)

    async def run(self, stop: asyncio.Event, *, until_idle: bool = False) -> None:
        """Put the events of the store into the read models until `stop` is set; see Projector.run."""
        inner, wake = self.inner, asyncio.Event()
        wakeups = None if until_idle else inner._wakeups(wake.set)
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _: wake.set())
        try:
            with inner._paced(until_idle=until_idle) as pace:
                async with woken_async(wakeups) as check:
                    while not stop.is_set():
                        check()
                        wake.clear()
                        wait = await greenlet_spawn(pace.next, inner.run_once)
                        if wait is None:
                            break
                        with suppress(TimeoutError):
                            async with asyncio.timeout(wait):
                                await (stop if pace.is_away else wake).wait()
        finally:
            stopped.cancel()

    async def status(self) -> tuple[ReadModelStatus, ...]:
        """Return the progress of each read model."""
        return await greenlet_spawn(self.inner.status)

    async def rebuild(
        self, name: str, *, progress: Callable[[Rebuilt], object] | None = None, stop: asyncio.Event | None = None
    ) -> Rebuilt:
        """Make a read model anew beside the old rows, and swap them in one transaction; see Projector.rebuild."""
        rebuilding = self.inner._rebuilding(name)
        rebuilt = await greenlet_spawn(rebuilding.begin)
        while not (rebuilt.is_over or (stop is not None and stop.is_set())):
            rebuilt = await greenlet_spawn(rebuilding.step)
            if progress is not None:
                progress(rebuilt)
        return rebuilt


class _Awaited(ReadsAllEvents):
    """An async store for code that runs in `greenlet_spawn`."""

    def __init__(self, store: AsyncReadsAllEvents) -> None:
        self._store = store

    def read_all(self, *, after: int = 0, limit: int | None = None) -> Stored:
        return await_only(self._store.read_all(after=after, limit=limit))
