"""Fixtures of the SQL adapter's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra sql")

from databases import KINDS, OUTBOX, TASKS, Database, new_database
from sqlalchemy import Engine

from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork
from domainkit.testing import SampleTask, SampleTaskId


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a new database, of each kind in turn."""
    with new_database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def unit_of_work(engine: Engine) -> UnitOfWork:
    """Return a unit of work with an outbox, on the engine of the file."""
    return UnitOfWork(engine, outbox=OUTBOX)


@pytest.fixture
def tasks(unit_of_work: UnitOfWork) -> SqlCrudRepository[SampleTask, SampleTaskId]:
    """Return a repository of the unit of work, which stores events."""
    return SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work)
