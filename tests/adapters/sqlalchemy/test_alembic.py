"""Migrations that Alembic writes: the tables of the page run as they were generated, and nothing is left to change."""

import asyncio
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from checkers import DOCS
from databases import CODEC, Database, new_database
from sqlalchemy import MetaData, __version__, inspect, make_url
from sqlalchemy.exc import InvalidRequestError, MissingGreenlet, NoSuchModuleError

from domainkit import NO_STREAM, DomainEvent, MessageCodec
from domainkit.adapters.sqlalchemy import (
    Inbox,
    Outbox,
    Projected,
    Projector,
    SqlCrudRepository,
    SqlEventStore,
    UnitOfWork,
    make_async_engine,
    make_engine,
)
from domainkit.testing import SampleTask, SampleTaskId

pytest.importorskip("alembic", reason="needs alembic, of the group extras")

from alembic import command
from alembic.config import Config

PAGE = (DOCS / "how-to" / "alembic.md").read_text("utf-8")


@pytest.fixture
def config(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """Return what Alembic is told on the page, for a new database of each kind, after `alembic init`."""
    (tables,) = re.findall(r"^```python\n(# tables.py\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (lines,) = re.findall(r"^```py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    monkeypatch.setenv("DATABASE_URL", database.url.render_as_string(hide_password=False))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tables.py").write_text(tables, "utf-8")
    command.init(Config("alembic.ini", stdout=StringIO()), "migrations")
    env = tmp_path / "migrations" / "env.py"
    env.write_text(env.read_text("utf-8").replace("target_metadata = None\n", lines), "utf-8")
    made = Config(stdout=StringIO())  # without the file, which would set up logging for all tests of the process
    made.set_main_option("script_location", "migrations")
    yield made
    sys.modules.pop("tables", None)


def test_the_migration_of_the_page_runs_as_it_was_written(database: Database, config: Config) -> None:
    """Autogenerate names nothing but SQLAlchemy's types; what it made holds aggregates and messages."""
    command.revision(config, "tables", autogenerate=True)
    command.upgrade(config, "head")
    command.check(config)

    (written,) = Path("migrations", "versions").glob("*.py")
    assert "domainkit" not in written.read_text("utf-8")
    metadata = MetaData()
    with database.engine() as engine:
        metadata.reflect(engine)
        tables = sys.modules["tables"]
        unit = UnitOfWork(engine, outbox=Outbox(tables.outbox, CODEC))
        books = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, tables.books, unit)
        saved = books.save(SampleTask.create("Emma")).unwrap()
        assert saved == books.retrieve(saved.aggregate_id).unwrap()
        assert 0 == Inbox(tables.inbox, unit).clean(timedelta(days=1))
        store = SqlEventStore(UnitOfWork(engine), tables.events, MessageCodec.of(DomainEvent))
        assert 1 == store.append("emma", [DomainEvent()], expected=NO_STREAM).unwrap().revision
        assert Projected() == Projector(UnitOfWork(engine), store, [], tables.checkpoints).run_once()
    assert {"alembic_version", "books", "checkpoints", "events", "inbox", "loans", "members", "outbox"} == set(
        metadata.tables
    )


def test_a_migration_is_for_both_databases(database: Database, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was written on SQLite leaves nothing to change on PostgreSQL either; the way down runs too."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("DATABASE_URL", "sqlite:///other.db")
        command.revision(config, "tables", autogenerate=True)
    command.upgrade(config, "head")
    command.check(config)
    command.downgrade(config, "base")

    with database.engine() as engine:
        assert ["alembic_version"] == inspect(engine).get_table_names()


URLS = {
    driver: dict(zip(("sync", "async", "generic", "async template"), cells.split(" | "), strict=True))
    for driver, cells in re.findall(r"^\| `([a-z+]+)://` \| (.*) \|$", PAGE, re.MULTILINE)
}
"""The table of the page: what takes a URL that begins with a driver."""


def takes(what: str, url: str) -> None:
    """Connect to a database as the page says; an error is raised as it comes."""
    if what == "sync":
        engine = make_engine(url)
        try:
            engine.connect().close()
        finally:
            engine.dispose()
        return
    if what == "async":
        asyncio.run(connect(url))
        return
    folder = what.replace(" ", "_")
    command.init(Config(f"{folder}.ini", stdout=StringIO()), folder, template=what.removesuffix(" template"))
    made = Config(stdout=StringIO())
    made.set_main_option("script_location", folder)
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(made, "head")


async def connect(url: str) -> None:
    """Connect, and let go."""
    engine = make_async_engine(url)
    async with engine.connect():
        pass
    await engine.dispose()


@pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited:RuntimeWarning"
)  # by a sync engine of an async driver
@pytest.mark.parametrize("what", ["sync", "async", "generic", "async template"])
@pytest.mark.parametrize("driver", ["postgresql+psycopg", "sqlite", "sqlite+aiosqlite", "postgresql", "postgres"])
def test_the_table_says_which_urls_are_taken(
    driver: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cell is tried: engines of the library, and the scripts that Alembic writes."""
    assert 5 == len(URLS)
    monkeypatch.chdir(tmp_path)
    cell = URLS[driver][what]
    is_taken = cell == "yes" or (cell != "no" and __version__ >= "2.1")
    with new_database("sqlite" if "sqlite" in driver else "postgresql", tmp_path) as made:
        url = make_url(made.url).set(drivername=driver).render_as_string(hide_password=False)
        if is_taken:
            takes(what, url)
            return
        with pytest.raises((MissingGreenlet, InvalidRequestError, NoSuchModuleError, ModuleNotFoundError)):
            takes(what, url)
