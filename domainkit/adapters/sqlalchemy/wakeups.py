"""Wakeups of a relay or a projector: how it notices a commit between two polls.

On PostgreSQL a connection of its own listens to what writers announce after their commits; on SQLite a thread reads
`PRAGMA data_version`, which each commit of another connection changes. Either is a hint to look, and may be missing:
the poll remains. See https://www.postgresql.org/docs/current/sql-listen.html and
https://sqlite.org/pragma.html#pragma_data_version.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, cast, func, select
from sqlalchemy.dialects.postgresql import OID
from sqlalchemy.util import greenlet_spawn

from domainkit.adapters.sqlalchemy.announcements import CHANNEL, marked_as_heard
from domainkit.adapters.sqlalchemy.engines import READ_ONLY
from domainkit.adapters.sqlalchemy.relay.waits import OUTAGES, Outage
from domainkit.adapters.sqlalchemy.tables import name_in_sql

_INTERVAL: Final = 0.01
"""Seconds between two looks at a SQLite file: these cost less than 1 % of a core, nearly all of it for waking up."""

_QUIET: Final = 3.0
"""Seconds without a commit until it looks less often."""

_LONGER: Final = 0.025
"""Seconds between two looks then."""

PACE: Final = 0.02
"""Seconds between two reports, however many commits there are."""

_MISSING: Final = 1.0
"""Seconds before it looks again for a table that doesn't exist, which the one that is woken reports."""

_END: Final = 1.0
"""The maximum number of seconds to wait for the thread at the end: it may be in an attempt to connect."""


class Wakeups:
    """Calls `wake` soon after commits, until its task is cancelled; at most once in `PACE` seconds.

    Args:
        engine: the engine of the database; that inside of an async one.
        table: the outbox, or the events.
        wake: wakes the relay or the projector.
        outage: logs when the connection is lost, and when it is back.
    """

    def __init__(self, engine: Engine, table: Table, wake: Callable[[], None], outage: Outage | None = None) -> None:
        self._engine, self._table = engine, table
        self.wake: Callable[[], None] = wake
        self._failures: tuple[type[Exception], ...] = (*OUTAGES, engine.dialect.loaded_dbapi.Error, sqlite3.Error)
        self._outage = outage or Outage("the connection that reports new messages")
        self._due: asyncio.TimerHandle | None = None
        self._last = 0.0

    async def run(self) -> None:
        """Report commits, and connect again if the connection is lost; return if the database can't report any."""
        watches = {"psycopg": self._listen, "aiosqlite": self._look, "pysqlite": self._look}
        watch = watches.get(self._engine.dialect.driver)
        try:
            while watch is not None:
                try:
                    return await watch()
                except self._failures as error:
                    await asyncio.sleep(self._outage.failed(type(error).__qualname__))
        finally:
            if self._due is not None:
                self._due.cancel()

    def _begun(self) -> None:
        """Wake for commits that nothing has reported."""
        self._outage.answered()
        self._report()

    def _report(self) -> None:
        if self._due is None:
            loop = asyncio.get_running_loop()
            self._due = loop.call_at(max(loop.time(), self._last + PACE), self._reported)

    def _reported(self) -> None:
        self._due, self._last = None, asyncio.get_running_loop().time()
        self.wake()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """Yield a connection, for functions that `greenlet_spawn` runs: then those of an async driver can wait."""
        connection = await greenlet_spawn(self._engine.connect)
        try:
            yield connection
        finally:
            await asyncio.shield(asyncio.ensure_future(greenlet_spawn(connection.close)))

    async def _listen(self) -> None:
        """Listen on PostgreSQL until the connection is lost, and raise its error."""
        driver: Any = None  # Any: of psycopg, which may not be installed
        try:
            async with self._connected() as connection:
                await greenlet_spawn(connection.execution_options, isolation_level="AUTOCOMMIT")
                driver = connection.connection.driver_connection
                connection.detach()  # the pool is for the others
                while not await greenlet_spawn(self._subscribed, connection):  # noqa: ASYNC110  (a database has no event to wait for)
                    await asyncio.sleep(_MISSING)
                try:
                    await self._lost(driver)
                except self._failures:
                    await greenlet_spawn(connection.invalidate)
                    raise
        finally:
            ending = None if driver is None else driver.close()
            if ending is not None:
                await ending  # SQLAlchemy 2.1 doesn't close one that is detached, if it is async

    def _subscribed(self, connection: Connection) -> bool:
        """Start to listen for the table; return false if it doesn't exist."""
        found = select(cast(func.to_regclass(name_in_sql(self._table, connection)), OID))
        table_id = connection.scalar(found)
        if table_id is not None:
            connection.exec_driver_sql(marked_as_heard(table_id))
            connection.exec_driver_sql(f"LISTEN {CHANNEL}{table_id}")
        return table_id is not None

    async def _lost(self, connection: Any) -> None:  # Any: as above
        """Report what a connection hears, and raise its error if it is lost. Idling costs nothing."""
        loop, server, file = asyncio.get_running_loop(), connection.pgconn, connection.fileno()
        lost: asyncio.Future[None] = loop.create_future()

        def heard() -> None:
            try:
                server.consume_input()
                if [*iter(server.notifies, None)]:
                    self._report()
            except self._failures as error:
                loop.remove_reader(file)
                _fail(lost, error)

        loop.add_reader(file, heard)
        try:
            self._begun()
            await lost
        finally:
            loop.remove_reader(file)

    async def _look(self) -> None:
        """Look at a SQLite file until that fails, and raise the error; return if the database is in memory."""
        async with self._connected() as connection:
            path = await greenlet_spawn(_file_of, connection)
        if path:
            await self._watched(f"{Path(path).as_uri()}?mode=rw")

    async def _watched(self, uri: str) -> None:
        loop, ending = asyncio.get_running_loop(), Event()
        lost: asyncio.Future[None] = loop.create_future()

        def tell(function: Callable[..., None], *arguments: object) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(lambda: None if ending.is_set() else function(*arguments))

        given = (uri, ending, tell, lost)
        Thread(target=self._watch, args=given, name="domainkit wakeups", daemon=True).start()
        try:
            await lost
        finally:
            ending.set()

    def _watch(self, uri: str, ending: Event, tell: Callable[..., None], lost: "asyncio.Future[None]") -> None:
        """Report each commit of another connection, in a thread."""
        try:
            with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
                before, quiet_at = _data_version(connection), monotonic() + _QUIET
                tell(self._begun)
                while not ending.is_set():
                    sleep(_INTERVAL if monotonic() < quiet_at else _LONGER)  # half of the cost of waiting for the event
                    if (now := _data_version(connection)) != before:
                        before, quiet_at = now, monotonic() + _QUIET
                        tell(self._report)
        except sqlite3.Error as error:
            tell(_fail, lost, error)


class WakeupThread:
    """Runs wakeups in a thread, for one who waits without an event loop.

    Args:
        wakeups: those to run.
    """

    def __init__(self, wakeups: Wakeups) -> None:
        self._wakeups, self._ending = wakeups, asyncio.Event()
        self._runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop, debug=False)  # as for announcements
        self._loop, self._bug = self._runner.get_loop(), list[BaseException]()
        self._thread = Thread(target=self._run, name="domainkit wakeups, outside", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the unexpected exception that has ended it, if there was one."""
        for bug in self._bug:
            raise bug

    def end(self) -> None:
        """End the thread, and wait for that, up to a second."""
        with suppress(RuntimeError):  # the loop is closed: the database reports nothing, or there was a bug
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(_END)

    def _run(self) -> None:
        with self._runner:
            self._runner.run(self._until_the_end())

    async def _until_the_end(self) -> None:
        running, ending = asyncio.create_task(self._wakeups.run()), asyncio.create_task(self._ending.wait())
        await asyncio.wait((running, ending), return_when=asyncio.FIRST_COMPLETED)
        for task in (running, ending):
            task.cancel()
        (outcome, _) = await asyncio.gather(running, ending, return_exceptions=True)
        if isinstance(outcome, Exception):
            self._bug.append(outcome)
            self._wakeups.wake()


@contextmanager
def woken(wakeups: Wakeups | None) -> Iterator[Callable[[], None]]:
    """Run wakeups in a thread beside the block; yield what raises the exception that ended them, if there was one."""
    if wakeups is None:
        yield lambda: None
        return
    thread = WakeupThread(wakeups)
    try:
        yield thread.check
    finally:
        thread.end()


@asynccontextmanager
async def woken_async(wakeups: Wakeups | None) -> AsyncIterator[Callable[[], None]]:
    """Run wakeups in a task beside the block; yield what raises the exception that ended them, if there was one."""
    if wakeups is None:
        yield lambda: None
        return
    task = asyncio.create_task(wakeups.run())
    task.add_done_callback(lambda _: wakeups.wake())
    try:
        yield lambda: task.result() if task.done() else None
    finally:
        task.cancel()
        await asyncio.wait((task,), timeout=_END)


def _file_of(connection: Connection) -> str:
    """Return the file of a SQLite database, an empty text if it is in memory."""
    connection.execution_options(**{READ_ONLY: True})
    databases = connection.exec_driver_sql("PRAGMA database_list").all()
    path: str = next(row.file for row in databases if row.name == "main")
    return path


def _fail(lost: "asyncio.Future[None]", error: Exception) -> None:
    if not lost.done():  # it is at the end
        lost.set_exception(error)


def _data_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)
