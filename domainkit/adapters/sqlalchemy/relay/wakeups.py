"""Wakeups of a relay: how it notices a commit between two polls.

On PostgreSQL a connection of its own listens to what writers announce after their commits; on SQLite a thread reads
`PRAGMA data_version`, which each commit of another connection changes. Either is a hint to look, and may be missing:
the poll remains. See https://www.postgresql.org/docs/current/sql-listen.html and
https://sqlite.org/pragma.html#pragma_data_version.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any, Final

from sqlalchemy import Table, cast, func, select
from sqlalchemy.dialects.postgresql import OID
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domainkit.adapters.sqlalchemy.announcements import CHANNEL
from domainkit.adapters.sqlalchemy.engines import READ_ONLY
from domainkit.adapters.sqlalchemy.relay.rounds import OUTAGES
from domainkit.adapters.sqlalchemy.relay.waits import Outage
from domainkit.adapters.sqlalchemy.tables import name_in_sql

_INTERVAL: Final = 0.01
"""Seconds between two looks at a SQLite file: these cost less than 1 % of a core, nearly all of it for waking up."""

PACE: Final = 0.02
"""Seconds between two reports, however many commits there are."""

_MISSING: Final = 1.0
"""Seconds before it looks again for an outbox that doesn't exist, which the claims of the relay report."""


class Wakeups:
    """Calls `wake` soon after commits, until its task is cancelled; at most once in `PACE` seconds.

    Args:
        engine: the engine of the database.
        table: the outbox.
        wake: wakes the relay.
    """

    def __init__(self, engine: AsyncEngine, table: Table, wake: Callable[[], None]) -> None:
        self._engine, self._table, self._wake = engine, table, wake
        self._failures: tuple[type[Exception], ...] = (*OUTAGES, engine.dialect.loaded_dbapi.Error, sqlite3.Error)
        self._outage = Outage("the connection that reports new messages")
        self._due: asyncio.TimerHandle | None = None
        self._last = 0.0

    async def run(self) -> None:
        """Report commits, and connect again if the connection is lost; return if the database can't report any."""
        watch = {"psycopg": self._listen, "aiosqlite": self._look}.get(self._engine.dialect.driver)
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
        """Wake the relay for commits that nothing has reported."""
        self._outage.answered()
        self._report()

    def _report(self) -> None:
        if self._due is None:
            loop = asyncio.get_running_loop()
            self._due = loop.call_at(max(loop.time(), self._last + PACE), self._reported)

    def _reported(self) -> None:
        self._due, self._last = None, asyncio.get_running_loop().time()
        self._wake()

    async def _listen(self) -> None:
        """Listen on PostgreSQL until the connection is lost, and raise its error."""
        driver: Any = None  # Any: of psycopg, which may not be installed
        try:
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                driver = (await connection.get_raw_connection()).driver_connection
                await connection.run_sync(lambda inner: inner.detach())  # the pool is for the others
                await self._subscribe(connection)
                try:
                    await self._lost(driver)
                except self._failures:
                    await connection.invalidate()
                    raise
        finally:
            if driver is not None:
                await driver.close()  # SQLAlchemy 2.1 doesn't close one that is detached, if it is async

    async def _subscribe(self, connection: AsyncConnection) -> None:
        """Start to listen for the outbox, as soon as it exists."""
        name = await connection.run_sync(lambda inner: name_in_sql(self._table, inner))
        found = select(cast(func.to_regclass(name), OID))
        while (table_id := await connection.scalar(found)) is None:  # noqa: ASYNC110  (a database has no event to wait for)
            await asyncio.sleep(_MISSING)
        await connection.exec_driver_sql(f"LISTEN {CHANNEL}{table_id}")

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
        async with self._engine.connect() as connection:
            await connection.execution_options(**{READ_ONLY: True})
            databases = (await connection.exec_driver_sql("PRAGMA database_list")).all()
        path = next(row.file for row in databases if row.name == "main")
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
                before = _data_version(connection)
                tell(self._begun)
                while not ending.is_set():
                    sleep(_INTERVAL)  # half of the cost of waiting for the event
                    if (now := _data_version(connection)) != before:
                        before = now
                        tell(self._report)
        except sqlite3.Error as error:
            tell(_fail, lost, error)


def _fail(lost: "asyncio.Future[None]", error: Exception) -> None:
    if not lost.done():  # it is if the relay ends
        lost.set_exception(error)


def _data_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)
