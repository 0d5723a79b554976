"""Announcements of new messages and events, on PostgreSQL: NOTIFY, after the commit and beside it.

Inside of the transaction it would cost half of the speed of several writers: PostgreSQL takes a lock for it before the
commit, and holds it while the log is flushed. See https://www.postgresql.org/docs/current/sql-notify.html.
"""

import atexit
from asyncio import Runner, SelectorEventLoop
from contextlib import suppress
from os import getpid
from threading import Event, RLock, Thread
from threading import enumerate as enumerate_threads
from time import monotonic
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from attrs import frozen
from sqlalchemy import Connection, Dialect, Engine, Pool, PoolProxiedConnection, Table, event
from sqlalchemy.util import greenlet_spawn

from domainkit.adapters.sqlalchemy.relay.waits import Outage
from domainkit.adapters.sqlalchemy.tables import name_in_sql

GAP: Final = 0.05
"""Seconds between two announcements of a process: the first one is at once, and those that come meanwhile are one."""

_IDLE = 5.0
"""Seconds without an announcement until the connection is closed, and its thread ends."""

_END = 1.0
"""The maximum number of seconds to wait for the thread, at the end of the process or of its engine."""

UNHEARD: Final = 10.0
"""Seconds without announcements to a table for which nobody listens, if those who write it don't need listeners."""

CHANNEL: Final = "domainkit_"
"""The channel of a table is this and its id: a name may be that of tables in several schemas."""

_MARK: Final = 0
"""The first key of the advisory lock that each listener shares, so that others see that there is one. The second key is
the id of the table; see https://www.postgresql.org/docs/current/view-pg-locks.html."""

_IS_HEARD = f"""EXISTS (SELECT FROM pg_locks AS held WHERE held.locktype = 'advisory' AND held.objsubid = 2
    AND held.classid = {_MARK} AND held.objid = id::oid
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""  # noqa: S608  (a number)


def marked_as_heard(table_id: int) -> str:
    """Return the SQL by which a connection marks that it listens for a table, until the connection ends."""
    return f"SELECT pg_try_advisory_lock_shared({_MARK}, CAST(CAST({table_id} AS bigint) AS bit(32))::int)"


class Announcer:
    """Announces new messages in a thread, with a connection of its own, made as the pool makes its connections.

    Both are there only while there is something to announce: the connection is closed when it was idle, or when the
    engine is disposed of. An announcement that fails is lost, and costs the relay one poll.
    """

    def __init__(self) -> None:
        self._outage = Outage("the connection that announces messages")
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._process, self._lock, self._wake, self._ending = getpid(), RLock(), Event(), Event()
        self._tables: dict[str, bool] = {}
        self._unheard: dict[str, float] = {}
        self._thread: Thread | None = None
        self._is_serving = False

    def announce(self, table: str, engine: Engine, *, if_heard: bool = False) -> None:
        """Announce new rows of a table, soon: it returns at once, and raises no error.

        Args:
            table: its name, by `name_in_sql`.
            engine: one whose pool this announcer is for.
            if_heard: if nobody listens, stay silent for `UNHEARD` seconds.
        """
        if self._process != getpid():  # a fork: the thread is the parent's, which may have the lock
            self._begin_anew()
        if if_heard and monotonic() < self._unheard.get(table, 0.0):
            return
        with self._lock:
            self._tables[table] = if_heard
            self._wake.set()
            if not self._is_serving and not self._ending.is_set():
                self._start(engine)

    def end(self) -> None:
        """Announce what is left, close the connection, and wait for that, up to a second."""
        if self._process == getpid():
            self._ending.set()
            self._wake.set()
            if self._thread is not None:
                self._thread.join(_END)

    def _start(self, engine: Engine) -> None:
        _listen_once(engine)
        thread = _Serving(self, engine)
        with suppress(RuntimeError):  # the interpreter is ending
            thread.start()
            self._thread, self._is_serving = thread, True
            atexit.register(self.end)

    def _run(self, pool: Pool, dialect: Dialect) -> None:
        if not dialect.is_async:
            return self._serve(pool, dialect)
        with Runner(loop_factory=SelectorEventLoop, debug=False) as runner:  # psycopg has no use for Windows' other one
            return runner.run(greenlet_spawn(self._serve, pool, dialect))

    def _serve(self, pool: Pool, dialect: Dialect) -> None:
        connection: PoolProxiedConnection | None = None
        while tables := self._next():
            try:
                connection = connection or _connected(pool, dialect)
                for table in _notify(connection, tables):
                    self._unheard[table] = monotonic() + UNHEARD
            except Exception as error:  # the user's own code may connect, with errors of its own
                if connection is not None:
                    connection.invalidate()
                connection = None
                self._ending.wait(self._outage.failed(type(error).__qualname__))
            else:
                self._outage.answered()
                self._ending.wait(GAP)
        if connection is not None:
            connection.close()
        pool.dispose()

    def _next(self) -> dict[str, bool]:
        """Wait for something to announce; return no tables if the thread is to end."""
        if not self._ending.is_set():
            self._wake.wait(_IDLE)
        with self._lock:
            self._wake.clear()
            tables, self._tables = self._tables, {}
            self._is_serving = bool(tables)
            if not tables:
                atexit.unregister(self.end)
            return tables


class _Serving(Thread):
    """The thread of an announcer, by which those of an engine are found.

    Args:
        announcer: the announcer.
        engine: the engine whose pool shows how to connect.
    """

    def __init__(self, announcer: Announcer, engine: Engine) -> None:
        given = (engine.pool.recreate(), engine.dialect)
        super().__init__(target=announcer._run, args=given, name="domainkit announcements", daemon=True)
        self._announcer, self._pool = announcer, ref(engine.pool)
        self._engine: Engine | None = engine

    def run(self) -> None:
        """Run the announcer."""
        try:
            super().run()
        finally:
            self._engine = None  # the announcer keeps its last thread, which may not keep the engine

    def end_if_disposed(self) -> None:
        """End the announcer if its engine has been disposed of: then the engine has another pool."""
        engine = self._engine
        if engine is not None and self._pool() is not engine.pool:
            self._announcer.end()


def _end_disposed(_: Engine) -> None:
    """End the announcers of an engine that is disposed of."""
    for thread in enumerate_threads():
        if isinstance(thread, _Serving):
            thread.end_if_disposed()


def _listen_once(engine: Engine) -> None:
    """Listen to the end of an engine, once.

    It fails while another thread disposes of the engine: SQLAlchemy can't add a listener while it calls those it has.
    """
    if not event.contains(engine, "engine_disposed", _end_disposed):
        event.listen(engine, "engine_disposed", _end_disposed)


def _connected(pool: Pool, dialect: Dialect) -> PoolProxiedConnection:
    connection = pool.connect()
    of_driver: Any = connection.dbapi_connection  # Any: SQLAlchemy declares None too, for one that is invalidated
    dialect.set_isolation_level(of_driver, "AUTOCOMMIT")
    return connection


def _notify(connection: PoolProxiedConnection, tables: dict[str, bool]) -> list[str]:
    """Send NOTIFY for tables, and return those that need a listener and have none."""
    cursor, unheard = connection.cursor(), list[str]()
    for table, if_heard in tables.items():
        found = "to_regclass('{}') AS id WHERE id IS NOT NULL".format(table.replace("'", "''"))
        condition = f" AND {_IS_HEARD}" if if_heard else ""
        cursor.execute(f"SELECT pg_notify('{CHANNEL}' || id::oid, '') FROM {found}{condition}")  # noqa: S608  (quoted above)
        if if_heard and cursor.fetchone() is None:
            unheard.append(table)
    cursor.close()
    return unheard


class Announcers(WeakKeyDictionary[Pool, Announcer]):
    """The announcers of those who share one: by the pool of their engine."""

    def of(self, engine: Engine) -> Announcer:
        """Return the announcer of an engine."""
        return self.get(engine.pool) or self.setdefault(engine.pool, Announcer())


@frozen(eq=False)
class Announcement:
    """Announces new rows of a table after a commit, on PostgreSQL; a SQLite file reports commits by itself.

    Args:
        table: the outbox, or the events.
        announcers: the announcers to use.
        if_heard: stay silent while nobody listens.
    """

    table: Table
    announcers: Announcers
    if_heard: bool = False

    def expect(self, engine: Engine) -> None:
        """Prepare an engine for announcements, best before threads share it."""
        if engine.dialect.name == "postgresql":
            _listen_once(engine)

    def make(self, place: Connection | Engine) -> None:
        """Announce the rows that were committed on a connection, or a connection of an engine."""
        if place.dialect.name == "postgresql":
            announcer = self.announcers.of(place.engine)
            announcer.announce(name_in_sql(self.table, place), place.engine, if_heard=self.if_heard)
