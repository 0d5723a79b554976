"""Projector: lets read models follow an event store, each event once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

from attrs import evolve
from sqlalchemy import URL, Table

from domainkit.adapters.sqlalchemy.checkpoints import Checkpoint, CheckpointRows
from domainkit.adapters.sqlalchemy.event_counts import Found, events_after, found_after
from domainkit.adapters.sqlalchemy.event_store import SqlEventStore
from domainkit.adapters.sqlalchemy.following import (
    UNREADABLE,
    Batch,
    Following,
    Move,
    OnUnreadable,
    is_outage,
    lacks_its_table,
    log_unreadable,
    logger,
)
from domainkit.adapters.sqlalchemy.missing import tables_required
from domainkit.adapters.sqlalchemy.read_models import SqlReadModel
from domainkit.adapters.sqlalchemy.rebuilding import Rebuilding, Rebuilt
from domainkit.adapters.sqlalchemy.relay.waits import Outage
from domainkit.adapters.sqlalchemy.rounds import Pace, Projected, ReadModelStatus
from domainkit.adapters.sqlalchemy.unit_of_work import UnitOfWork
from domainkit.adapters.sqlalchemy.wakeups import Wakeups, woken
from domainkit.event_store import UnreadableEvent
from domainkit.read_models import SHADOW, ReadsAllEvents

_LOOK = 0.1
"""Seconds between two looks if `stop` is set, while nothing wakes the projector."""


class Projector:
    """Lets read models follow an event store; several projectors may run at once, on one machine or many.

    - The effect of events and the position of the last one are stored in one transaction: whenever a projector is
      killed, no event is lost, and none counts twice.
    - One projector at a time works on a read model; others wait, or work on other ones.
    - Events of classes without a step are passed over. An event that can't be read stops the read model, or is skipped
      and counted, as `on_unreadable` says. A step that raises stops its read model before that event. Both are logged
      (`domainkit.projector`), are in the status, and are tried again.
    - A read model with another version than its rows were made by is left alone, until `rebuild`.

    `python -m domainkit project` runs a projector as a separate process.

    >>> from attrs import frozen
    >>> from sqlalchemy import Column, Integer, MetaData, Table, Text, select
    >>> from domainkit import NO_STREAM, DomainEvent, MessageCodec, ReadModel
    >>> from domainkit.adapters.sqlalchemy import SqlEventStore, TableReadModel, checkpoints_table, events_table
    >>> from domainkit.adapters.sqlalchemy import make_engine
    >>> @frozen
    ... class Deposited(DomainEvent):
    ...     account: str
    ...     amount: int
    >>> @frozen
    ... class Balance:
    ...     account: str
    ...     total: int
    >>> def deposited(row: Balance | None, event: Deposited) -> Balance:
    ...     return Balance(event.account, event.amount + (row.total if row else 0))
    >>> balances = ReadModel("balances", Balance).on(Deposited, lambda event: event.account, deposited)
    >>> metadata, engine = MetaData(), make_engine("sqlite://")
    >>> table = Table("balances", metadata, Column("account", Text, primary_key=True), Column("total", Integer))
    >>> unit_of_work, checkpoints = UnitOfWork(engine), checkpoints_table(metadata)
    >>> store = SqlEventStore(unit_of_work, events_table(metadata), MessageCodec.of(Deposited))
    >>> metadata.create_all(engine)
    >>> _ = store.append("ada", [Deposited("ada", 3), Deposited("ada", 4)], expected=NO_STREAM)
    >>> Projector(unit_of_work, store, [TableReadModel(balances, table)], checkpoints).run_once()
    Projected(events=2, unreadable=0, busy=0, stopped=())
    >>> with unit_of_work.reading() as connection:
    ...     connection.execute(select(table)).all()
    [('ada', 7)]
    >>> engine.dispose()

    Args:
        unit_of_work: for the database of the tables.
        store: the events; a SqlEventStore of this database, or another store with `read_all`.
        models: the read models, each of another name.
        checkpoints: made by `checkpoints_table`.
        batch: the number of events read at a time, and put into a read model in one transaction.
        poll: the wait before the next query, if no event was found and nothing wakes the projector.
        on_unreadable: OnUnreadable.STOP, or SKIP.
        wakes: True to query in `run` as soon as events are committed, without waiting for `poll`: on PostgreSQL, with
            psycopg, those of a SqlEventStore that announces them; on SQLite those in a file, from any process.

    Raises:
        ValueError: two read models have one name or one table, a repository has another engine, an option is out of
            range, `checkpoints` is another table, or the database is another than SQLite or PostgreSQL.
    """

    def __init__(  # noqa: PLR0913  (options with defaults)
        self,
        unit_of_work: UnitOfWork,
        store: ReadsAllEvents,
        models: Sequence[SqlReadModel],
        checkpoints: Table,
        *,
        batch: int = 500,
        poll: timedelta = timedelta(seconds=0.5),
        on_unreadable: OnUnreadable = OnUnreadable.STOP,
        wakes: bool = True,
    ) -> None:
        names = [one.name for one in models]
        if len(set(names)) < len(names):
            raise ValueError(f"Projector: expected read models of different names, got {names}; name each once")
        tables = [one.table.fullname for one in models]
        if len(set(tables)) < len(tables):
            raise ValueError(
                f"Projector: expected read models of different tables, got {tables}; give each its own, since a "
                "rebuild replaces all rows"
            )
        for one in models:
            one.require_engine(unit_of_work._engine)
        if batch < 1 or poll <= timedelta(0):
            raise ValueError(f"Projector: expected `batch` and `poll` above 0, got {batch} and {poll!r}; raise them")
        self._models, self._store = tuple(models), store
        self._following = Following(unit_of_work, CheckpointRows(checkpoints, unit_of_work.dialect))
        self._batch, self._poll, self._policy, self._wakes = batch, poll, on_unreadable, wakes
        self._outdated: set[str] = set()
        self._pace: Pace | None = None
        self.url: URL = unit_of_work._engine.url
        """The URL of its database."""
        self.total: Projected = Projected()
        """The counts of all rounds."""

    def __repr__(self) -> str:
        return f"Projector({', '.join(one.name for one in self._models)})"

    @property
    def is_following(self) -> bool:
        """True while `run` follows the store; False in an outage of the database, and before and after `run`."""
        return self._pace is not None and self._pace.is_well

    def run_once(self) -> Projected:
        """Put one batch of events into each read model, and return the counts.

        It never waits for more events: use it in tests, or with your own schedule.

        Raises:
            MissingTableError: a table or column doesn't exist.
            sqlalchemy.exc.SQLAlchemyError, OSError, OutcomeUnknownError: the database is unreachable. Call it again:
                nothing is lost or doubled.
        """
        read: dict[tuple[int, int], Found] = {}  # read models that are equally far share their events
        done = Projected()
        with tables_required(repr(self)):
            for model in self._models:
                done += self._advance(model, read)
        self.total = evolve(self.total + done, stopped=done.stopped)
        return done

    def run(self, stop: threading.Event, *, until_idle: bool = False) -> None:
        """Put the events of the store into the read models, and new ones as they come, until `stop` is set.

        If the database is unreachable, it retries with increasing waits, and logs the start and the end of the outage.

        Args:
            stop: set it to end the projector, after the batch in hand.
            until_idle: end when no event is left that a read model can take.

        Raises:
            MissingTableError: a table or column doesn't exist.
            sqlalchemy.exc.SQLAlchemyError, OSError: the database is unreachable, with `until_idle`.
        """
        wake = threading.Event()
        wakeups = None if until_idle else self._wakeups(wake.set)
        with self._paced(until_idle=until_idle) as pace, woken(wakeups) as check:
            while not stop.is_set():
                check()
                wake.clear()
                wait = pace.next(self.run_once)
                if wait is None:
                    break
                _rest(stop, stop if pace.is_away else wake, wait)

    @contextmanager
    def _paced(self, *, until_idle: bool) -> Iterator[Pace]:
        """Yield the waits of a run, by which others see if it is well."""
        self._pace = Pace(self._poll, until_idle=until_idle)
        try:
            yield self._pace
        finally:
            self._pace = None

    def _wakeups(self, wake: Callable[[], None]) -> Wakeups | None:
        """Return what reports the commits of the store; None if nothing does."""
        store = self._store
        if not (self._wakes and isinstance(store, SqlEventStore)):
            return None
        outage = Outage("the connection that reports new events", logger=logger)
        return Wakeups(store._unit_of_work._engine, store._table, wake, outage)

    def status(self) -> tuple[ReadModelStatus, ...]:
        """Return the progress of each read model.

        Raises:
            MissingTableError: a table doesn't exist.
            sqlalchemy.exc.SQLAlchemyError, OSError: the database is unreachable.
        """
        with tables_required(repr(self)):
            return tuple([self._status(model) for model in self._models])

    def rebuild(
        self,
        name: str,
        *,
        progress: Callable[[Rebuilt], object] | None = None,
        stop: threading.Event | None = None,
    ) -> Rebuilt:
        """Make a read model anew from the first event, beside the old rows, and swap them in one transaction.

        The old rows can be read until then, and other projectors keep them current. Readers see all of the old rows or
        all of the new ones. An interrupted rebuild goes on where it was; several processes share it.

        Args:
            name: of the read model.
            progress: called after each batch.
            stop: set it to interrupt the rebuild, after the batch in hand.

        Returns:
            The progress at the end, `is_swapped` unless it was interrupted, or stopped at an event that can't be read.

        Raises:
            KeyError: no read model has this name.
            ValueError: it is in a repository.
            MissingTableError: a table or column doesn't exist.
            sqlalchemy.exc.SQLAlchemyError, OSError: the database is unreachable.
        """
        rebuilding = self._rebuilding(name)
        rebuilt = rebuilding.begin()
        while not (rebuilt.is_over or (stop is not None and stop.is_set())):
            rebuilt = rebuilding.step()
            if progress is not None:
                progress(rebuilt)
        return rebuilt

    def _rebuilding(self, name: str) -> Rebuilding:
        model = {one.name: one for one in self._models}[name]
        model.require_rebuild()
        return Rebuilding(self._following, self._store, model, batch=self._batch, policy=self._policy)

    def _advance(self, model: SqlReadModel, read: dict[tuple[int, int], Found]) -> Projected:
        """Put the next events into one read model."""
        seen = self._following.begun(model)
        if seen.version != model.version:
            return self._left_alone(model, seen)
        self._outdated.discard(model.name)
        limit = 1 if seen.stopped_at is not None else self._batch
        if (seen.position, limit) not in read:
            read[seen.position, limit] = found_after(self._store, seen.position, limit)
        found, upto = read[seen.position, limit].events, read[seen.position, limit].position
        while True:
            batch = Batch.of(found, seen.position, self._policy, None if found else upto)
            if batch.position == seen.position:
                return Projected() if batch.stop is None else self._stopped(model, seen, batch.stop)
            try:
                return self._moved(model, batch, self._following.move(model, seen, batch))
            except Exception as error:  # of a step or a function: of any class
                if is_outage(error) or lacks_its_table(model, error):
                    raise
                if len(found) == 1:
                    return self._failed(model, seen, found[0].position, error)
            found = found[: len(found) // 2]  # to find the event that it fails at

    def _moved(self, model: SqlReadModel, batch: Batch, move: Move) -> Projected:
        if move is Move.BUSY:
            return Projected(busy=1)
        for one in batch.skipped:
            log_unreadable(model.name, one, "skipped")
        if batch.stop is None:
            return Projected(batch.passed, len(batch.skipped))
        log_unreadable(model.name, batch.stop, "stopped at")
        return Projected(batch.passed, len(batch.skipped), stopped=(model.name,))

    def _stopped(self, model: SqlReadModel, seen: Checkpoint, at: UnreadableEvent) -> Projected:
        if self._following.stop(model, seen, at.position, UNREADABLE):
            log_unreadable(model.name, at, "stopped at")
        return Projected(stopped=(model.name,))

    def _failed(self, model: SqlReadModel, seen: Checkpoint, position: int, error: Exception) -> Projected:
        if self._following.stop(model, seen, position, type(error).__qualname__):
            logger.error("read model %s: stopped at position %s, where it failed", model.name, position, exc_info=error)
        return Projected(stopped=(model.name,))

    def _left_alone(self, model: SqlReadModel, seen: Checkpoint) -> Projected:
        if model.name not in self._outdated:
            self._outdated.add(model.name)
            logger.error(
                "read model %s: its rows are of version %s and its steps of version %s; %s",
                model.name,
                seen.version or "unknown",
                model.version,
                model.remedy,
            )
        return Projected(stopped=(model.name,))

    def _status(self, model: SqlReadModel) -> ReadModelStatus:
        found = self._following.checkpoint(model.name) or Checkpoint(model.version)
        shadow = self._following.checkpoint(model.name + SHADOW)
        return ReadModelStatus(
            name=model.name,
            version=model.version,
            stored_version=found.version,
            position=found.position,
            behind=events_after(self._store, found.position),
            unreadable=found.unreadable,
            stopped_at=found.stopped_at,
            reason=found.reason,
            moved_at=found.moved_at,
            rebuilt_to=None if shadow is None else shadow.position,
        )


def _rest(stop: threading.Event, wake: threading.Event, seconds: float) -> None:
    """Wait until one of two events is set, or the time is over."""
    ends = monotonic() + seconds
    while not stop.is_set() and (left := ends - monotonic()) > 0 and not wake.wait(min(left, _LOOK)):
        pass
