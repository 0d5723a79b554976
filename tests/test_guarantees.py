"""The pages of guarantees name the test that shows each promise: those tests exist, and each promise has one."""

import ast
import re
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from returns.result import Failure, Result

from domainkit import AsyncInmemoryDomainEventBus, AsyncInmemoryMessagePublisher, DomainEvent, MessageCodec

ROOT = Path(__file__).parent.parent
EXPLANATION = ROOT / "docs" / "explanation"
TEST = re.compile(r"`((?:tests|domainkit)/[\w/]+\.py)::([\w:]+)`")


@cache
def _tests_of(file: Path) -> frozenset[str]:
    """Return the tests of a file, those of a class as `Class::test`."""
    body = ast.parse(file.read_text("utf-8")).body
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    inside = [f"{cls.name}::{name}" for cls in classes for name in _tests(cls.body)]
    return frozenset([*_tests(body), *inside])


def _tests(body: list[ast.stmt]) -> list[str]:
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [name for name in functions if name.startswith("test_")]


@pytest.mark.parametrize("page", ["guarantees.md", "delivery.md"])
def test_every_test_that_is_named_exists(page: str) -> None:
    """Each `file::test` of the page is a test in that file."""
    named = TEST.findall((EXPLANATION / page).read_text("utf-8"))

    assert named
    assert [] == [f"{file}::{test}" for file, test in named if not _exists(ROOT / file, test)]


def _exists(file: Path, test: str) -> bool:
    return file.is_file() and test in _tests_of(file)


def test_every_promise_names_a_test() -> None:
    """Each item of the lists of guarantees names a test, but for those of what is not promised."""
    page = (EXPLANATION / "guarantees.md").read_text("utf-8")
    promised = re.sub(r"^Not promised:$.*?(?=^## |\Z)", "", page, flags=re.MULTILINE | re.DOTALL)
    items = re.findall(r"^- .*(?:\n  .*)*", promised, re.MULTILINE)

    assert len(items) > 100
    assert [] == [item for item in items if not TEST.search(item)]
    assert "\n|" not in page


def test_sqlite_writes_through(tmp_path: Path) -> None:
    """An engine leaves SQLite at synchronous=FULL (2), with a write-ahead log: each commit is synced to the disk."""
    pytest.importorskip("sqlalchemy", reason="needs the extra sql")
    from domainkit.adapters.sqlalchemy import make_engine  # noqa: PLC0415  # after it is known to be there

    engine = make_engine(f"sqlite:///{tmp_path}/tasks.db")
    with engine.connect() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "journal_mode")]
    engine.dispose()

    assert [2, "wal"] == found


async def test_in_memory_a_subscriber_that_fails_is_counted_and_parked(tmp_path: Path) -> None:
    """Its event is delivered again as often as a relay tries one that is refused, and parked then."""
    pytest.importorskip("aiosqlite", reason="needs the extra sql")
    from sqlalchemy import MetaData  # noqa: PLC0415  # after it is known to be there

    from domainkit.adapters import sqlalchemy as sql  # noqa: PLC0415  # as above

    class Happened(DomainEvent): ...

    def refuse(_: Happened) -> Result[None, str]:
        return Failure("not now")

    codec, engine = MessageCodec(Happened), sql.make_async_engine(f"sqlite+aiosqlite:///{tmp_path}/events.db")
    outbox = sql.Outbox(sql.outbox_table(metadata := MetaData()), codec)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(outbox.add, [Happened()])
    bus = AsyncInmemoryDomainEventBus(Happened.handled_by(refuse))
    publisher, soon = AsyncInmemoryMessagePublisher(codec, events=bus), sql.RelayBackoff(timedelta(microseconds=1))
    relay = sql.Relay(engine, outbox.table, publisher, max_attempts=2, backoff=soon)
    rounds = [await relay.run_once() for _ in range(3)]
    await engine.dispose()

    assert [(1, 0, False), (0, 1, False), (0, 0, False)] == [(done.failed, done.parked, done.away) for done in rounds]
