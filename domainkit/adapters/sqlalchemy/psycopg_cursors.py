"""Cursors of psycopg with what SQLAlchemy has no option for: binary results, and two statements in one trip.

The connection's factory of cursors is replaced for the time of a statement. SQLAlchemy executes the statement as
always, with its events. Other drivers, and cursor classes that the application chose, are left alone: some of these
don't support it. See https://www.psycopg.org/psycopg3/docs/advanced/cursors.html.
"""

from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import AdaptedConnection

T = TypeVar("T")

PSYCOPG = frozenset({"psycopg", "psycopg_async"})
"""SQLAlchemy's names of the driver."""

_KNOWN = frozenset({"psycopg.Cursor", "psycopg.AsyncCursor"})
_ENDING = "domainkit_ending"
_BINARY = 1
"""Format.BINARY of psycopg, which is not imported for other drivers."""


@contextmanager
def binary_results(connection: Connection) -> Iterator[None]:
    """Let psycopg ask for binary results in the `with` block: a body as text has two digits for each byte."""
    driver: Any = connection.connection.driver_connection  # Any: of whatever driver, here and below
    if not _has_known_cursors(driver):
        yield
        return
    factory: Any = driver.cursor_factory

    def made(*given: Any, **options: Any) -> Any:  # Any: as psycopg calls it, here and below
        cursor: Any = factory(*given, **options)
        cursor.format = _BINARY
        return cursor

    with _cursors_from(driver, made):
        yield


@contextmanager
def unprepared(connection: Connection) -> Iterator[None]:
    """Let psycopg prepare no statement in the `with` block: several, sent as one text, can't be prepared.

    It would with `prepare_threshold=0`. See https://www.psycopg.org/psycopg3/docs/advanced/prepare.html.
    """
    driver: Any = connection.connection.driver_connection
    threshold: int | None = getattr(driver, "prepare_threshold", None)
    if threshold is None:  # it prepares none, or is another driver
        yield
        return
    driver.prepare_threshold = None
    try:
        yield
    finally:
        driver.prepare_threshold = threshold


def can_send_together(connection: Connection) -> bool:
    """Check if two statements can be sent in one trip: by psycopg with libpq 14 or newer."""
    driver: Any = connection.connection.driver_connection
    return _has_known_cursors(driver) and not driver.closed and _has_pipelines()


def sent_together(connection: Connection, first: Callable[[], object], last: Callable[[], T]) -> T:
    """Send two statements in one trip to the server: on a connection that commits by itself they are one transaction.

    The server does them one after the other; if the first fails, it does nothing of the second, which raises the error.
    Each has its own snapshot at READ COMMITTED. See https://www.postgresql.org/docs/current/libpq-pipeline-mode.html.

    Args:
        connection: one for which `can_send_together` is true.
        first: executes a statement, and doesn't look at its result.
        last: executes a statement, and may use its result.

    Returns:
        What `last` returns.
    """
    adapted: object = connection.connection.dbapi_connection
    driver: Any = connection.connection.driver_connection
    if isinstance(adapted, AdaptedConnection):
        pipeline = AsyncExitStack()
        adapted.run_async(lambda one: pipeline.enter_async_context(one.pipeline()))
        try:
            return _in_pipeline(driver, _kept(connection, _async_ending), pipeline.aclose, first, last)
        finally:
            adapted.run_async(lambda _: pipeline.aclose())
    with ExitStack() as stack:
        stack.enter_context(driver.pipeline())
        return _in_pipeline(driver, _kept(connection, _ending), stack.close, first, last)


def _in_pipeline(
    driver: Any, ending: Any, end: Callable[[], object], first: Callable[[], object], last: Callable[[], T]
) -> T:
    """Do both; the cursor of the last one ends the pipeline when it has sent its statement, and then has the result."""
    first()

    def made(*given: Any, **options: Any) -> Any:
        cursor: Any = ending(*given, **options)
        cursor.end = end
        return cursor

    with _cursors_from(driver, made):
        return last()


def _kept(connection: Connection, make: Callable[[Any], Any]) -> Any:
    """Return the class of cursors that end a pipeline; the connection keeps it, since making a class takes long."""
    driver: Any = connection.connection.driver_connection
    if _ENDING not in connection.info:
        connection.info[_ENDING] = make(driver.cursor_factory)
    return connection.info[_ENDING]


def _ending(factory: Any) -> Any:
    class Ending(factory):  # type: ignore[misc]  # a class of psycopg, which need not be installed
        end: Callable[[], object]

        def execute(self, *given: Any, **options: Any) -> Any:
            super().execute(*given, **options)
            self.end()
            return self

    return Ending


def _async_ending(factory: Any) -> Any:
    class Ending(factory):  # type: ignore[misc]  # as above
        end: Callable[[], Any]

        async def execute(self, *given: Any, **options: Any) -> Any:
            await super().execute(*given, **options)
            await self.end()
            return self

    return Ending


@contextmanager
def _cursors_from(driver: Any, made: Any) -> Iterator[None]:
    factory: Any = driver.cursor_factory
    driver.cursor_factory = made
    try:
        yield
    finally:
        driver.cursor_factory = factory


def _has_known_cursors(driver: Any) -> bool:
    factory: Any = getattr(driver, "cursor_factory", None)
    return f"{getattr(factory, '__module__', '')}.{getattr(factory, '__name__', '')}" in _KNOWN


def _has_pipelines() -> bool:
    from psycopg import Pipeline  # noqa: PLC0415  (it need not be installed)

    return Pipeline.is_supported()
