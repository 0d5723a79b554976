"""Announcements of new messages to the relays, on PostgreSQL: NOTIFY, after the commit and beside it.

Inside of the transaction it would cost half of the speed of several writers: PostgreSQL takes a lock for it before the
commit, and holds it while the log is flushed. See https://www.postgresql.org/docs/current/sql-notify.html.
"""

import atexit
from asyncio import Runner, SelectorEventLoop
from contextlib import suppress
from os import getpid
from threading import Event, RLock, Thread
from typing import Any, Final

from sqlalchemy import Dialect, Engine, Pool, PoolProxiedConnection, event
from sqlalchemy.util import greenlet_spawn

from domainkit.adapters.sqlalchemy.relay.waits import Outage

GAP: Final = 0.05
"""Seconds between two announcements of a process: the first one is at once, and those that come meanwhile are one."""

_IDLE = 5.0
"""Seconds without an announcement until the connection is closed, and its thread ends."""

_END = 1.0
"""The maximum number of seconds to wait for the thread, at the end of the process or of its engine."""

CHANNEL: Final = "domainkit_"
"""The channel of an outbox is this and the id of its table: a name may be that of tables in several schemas."""


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
        self._tables: set[str] = set()
        self._thread: Thread | None = None
        self._is_serving = False

    def announce(self, table: str, engine: Engine) -> None:
        """Announce new messages in an outbox, soon: it returns at once, and raises no error.

        Args:
            table: its name, by `name_in_sql`.
            engine: one whose pool this announcer is for.
        """
        if self._process != getpid():  # a fork: the thread is the parent's, which may have the lock
            self._begin_anew()
        with self._lock:
            self._tables.add(table)
            self._wake.set()
            if not self._is_serving and not self._ending.is_set():
                self._start(engine)

    def end(self, *_: object) -> None:
        """Announce what is left, close the connection, and wait for that, up to a second."""
        if self._process == getpid():
            self._ending.set()
            self._wake.set()
            if self._thread is not None:
                self._thread.join(_END)

    def _start(self, engine: Engine) -> None:
        given = (engine.pool.recreate(), engine.dialect)
        thread = Thread(target=self._run, args=given, name="domainkit announcements", daemon=True)
        with suppress(RuntimeError):  # the interpreter is ending
            thread.start()
            self._thread, self._is_serving = thread, True
            atexit.register(self.end)
            if not event.contains(engine, "engine_disposed", self.end):
                event.listen(engine, "engine_disposed", self.end)

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
                _notify(connection, tables)
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

    def _next(self) -> set[str]:
        """Wait for something to announce; return no tables if the thread is to end."""
        if not self._ending.is_set():
            self._wake.wait(_IDLE)
        with self._lock:
            self._wake.clear()
            tables, self._tables = self._tables, set()
            self._is_serving = bool(tables)
            if not tables:
                atexit.unregister(self.end)
            return tables


def _connected(pool: Pool, dialect: Dialect) -> PoolProxiedConnection:
    connection = pool.connect()
    of_driver: Any = connection.dbapi_connection  # Any: SQLAlchemy declares None too, for one that is invalidated
    dialect.set_isolation_level(of_driver, "AUTOCOMMIT")
    return connection


def _notify(connection: PoolProxiedConnection, tables: set[str]) -> None:
    cursor = connection.cursor()
    for table in tables:
        found = "to_regclass('{}') AS id WHERE id IS NOT NULL".format(table.replace("'", "''"))
        cursor.execute(f"SELECT pg_notify('{CHANNEL}' || id::oid, '') FROM {found}")  # noqa: S608  (quoted above)
    cursor.close()
