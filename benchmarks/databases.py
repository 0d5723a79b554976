"""The databases of the benchmarks of event stores, made anew for each run, and appends by the drivers alone."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy import Engine, MetaData, make_url, text

from domainkit import DomainEvent, MessageCodec
from domainkit.adapters.sqlalchemy import make_engine

POSTGRES_URL = os.environ.get("POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")

Rows = Sequence[tuple[Any, ...]]  # Any: values of columns
Work = Callable[[], object]
Ready = Callable[[int], Work]


@contextmanager
def sqlite_engine(metadata: MetaData) -> Iterator[tuple[Engine, Path]]:
    """Yield an engine for a new file with tables, and the file."""
    build = Path.cwd() / "build"  # not in /tmp, which may be memory; git doesn't see what an interrupted run leaves
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as folder:
        path = Path(folder) / "events.db"
        engine = make_engine(f"sqlite:///{path}")
        metadata.create_all(engine)
        yield engine, path
        engine.dispose()


@contextmanager
def postgresql_engine(metadata: MetaData, *, port: int | None = None) -> Iterator[tuple[Engine, str]]:
    """Yield an engine for a new schema with tables, and the name of the schema, which is dropped in the end.

    `port` is that of a line to the server, on this machine.
    """
    schema = f"bench_{uuid4().hex}"
    server = make_url(POSTGRES_URL)
    url = server if port is None else server.set(host="127.0.0.1", port=port)
    engine = make_engine(url.update_query_dict({"options": f"-csearch_path={schema}"}))
    with engine.begin() as setting_up:
        setting_up.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        metadata.create_all(engine)
        yield engine, schema
    finally:
        with engine.begin() as cleaning_up:
            cleaning_up.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


@contextmanager
def sqlite_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection of Python's driver, in autocommit mode."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA busy_timeout = 30000")
        yield connection


@contextmanager
def psycopg_connection(engine: Engine, *, autocommit: bool = False) -> "Iterator[psycopg.Connection[Any]]":
    """Yield a connection of psycopg to the database of an engine."""
    plain = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=autocommit) as connection:
        yield connection


def appends_by_sqlite(connection: sqlite3.Connection, insert: str, rows: Callable[[int], Rows]) -> Ready:
    """Return appends by Python's driver: executemany, in one transaction, of rows that were made before.

    Args:
        connection: in autocommit mode.
        insert: the statement, with a placeholder `{0}` for each column.
        rows: makes so many rows.
    """
    statement = insert.format("?")

    def ready(count: int) -> Work:
        encoded = rows(count)

        def append() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, encoded)
            connection.execute("COMMIT")

        return append

    return ready


def appends_by_psycopg(connection: "psycopg.Connection[Any]", insert: str, rows: Callable[[int], Rows]) -> Ready:
    """Return appends by psycopg; see `appends_by_sqlite`."""
    statement = insert.format("%s")

    def ready(count: int) -> Work:
        encoded = rows(count)

        def append() -> None:
            with connection.cursor() as cursor:
                cursor.executemany(statement, encoded)
            connection.commit()

        return append

    return ready


def encoded_rows(events: Sequence[DomainEvent], codec: MessageCodec, *, native: bool) -> Rows:
    """Return events as rows of one new stream; with `native` the ids are UUIDs, else texts."""
    stream = str(uuid4())
    return [
        (
            stream,
            number,
            one.header.id.value if native else one.header.id.value.hex,
            one.info().name,
            one.info().version,
            codec.encode(one),
        )
        for number, one in enumerate(events, 1)
    ]
