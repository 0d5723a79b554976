"""The work of a database for statements: the rows that PostgreSQL looks at, and the steps that SQLite takes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

Statements: TypeAlias = list[tuple[str, Any]]
"""Statements as the driver gets them, with their parameters."""


@contextmanager
def kept_statements(engine: AsyncEngine) -> Iterator[Statements]:
    """Yield the list of the statements that an engine executes meanwhile."""
    kept: Statements = []

    def keep(_: object, __: object, statement: str, given: object, *___: object) -> None:
        kept.append((statement, given))

    event.listen(engine.sync_engine, "before_cursor_execute", keep)
    try:
        yield kept
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", keep)


async def rows_looked_at(engine: AsyncEngine, statements: Sequence[tuple[str, Any]]) -> float:
    """Return how many rows PostgreSQL looks at for statements that one transaction executes."""
    looked_at = 0.0
    async with engine.connect() as connection:
        for statement, given in statements:
            explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
            (plan,) = (await connection.exec_driver_sql(explained, given)).one()
            await connection.exec_driver_sql(statement, given)  # EXPLAIN of a setting leaves it as it is
            looked_at += scanned(plan[0]["Plan"])
    return looked_at


def scanned(node: dict[str, Any]) -> float:
    """Return how many rows the scans of a plan have looked at."""
    looked_at = (
        node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    )
    own: float = looked_at * node["Actual Loops"] if "Scan" in node["Node Type"] else 0.0
    return own + sum(scanned(inner) for inner in node.get("Plans", ()))


async def steps_taken(engine: AsyncEngine, statements: Sequence[tuple[str, Any]]) -> int:
    """Return how many steps of its virtual machine SQLite takes for statements, to the nearest hundred of each."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.set_progress_handler(count, 100)
        for statement, given in statements:
            (await connection.exec_driver_sql(statement, given)).all()
        await driver.set_progress_handler(None, 0)
    return steps
