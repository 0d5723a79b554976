"""`python -m domainkit project`: the projector as a process, its status, and rebuilds."""

import asyncio
import json
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from socket import socket
from time import monotonic, sleep

import pytest
from accounts import AccountEvent, Deposited, codec
from databases import KINDS, Database, new_database
from durability import ledger
from forks import Forked
from projecting import (
    BALANCES,
    CHECKPOINTS,
    EVENTS,
    METADATA,
    Balance,
    account_of,
    append,
    entries,
    make_store,
    new_accounts,
    rows_of,
    spoil,
    stored_balances,
)
from returns.result import Success
from sqlalchemy import Engine, MetaData, text
from sqlalchemy.pool import NullPool

from domainkit import ReadModel
from domainkit.adapters.sqlalchemy import (
    AsyncProjector,
    AsyncSqlEventStore,
    AsyncUnitOfWork,
    Checkpoints,
    Projector,
    Rebuilt,
    RepositoryReadModel,
    SqlCrudRepository,
    SqlReadModel,
    TableReadModel,
    UnitOfWork,
    aggregate_table,
    make_async_engine,
    make_engine,
)
from domainkit.cli import _projecting, main
from domainkit.testing import SampleTask, SampleTaskId

LONG = timedelta(seconds=60)
LEDGER = "durability.ledger:projector"


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Return a new database, which the projectors of these tests find by the environment."""
    with new_database(request.param, tmp_path) as made:
        monkeypatch.setenv(ledger.DATABASE, made.url.render_as_string(hide_password=False))
        yield made


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine; the tables exist."""
    with database.engine(METADATA) as made:
        yield made


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Leave the logging as it was."""
    logger = logging.getLogger("domainkit")
    level = logger.level
    yield
    logger.setLevel(level)


def newer_projector() -> Projector:
    """Return a projector of newer versions, whose batches are small."""
    models: list[SqlReadModel] = [stored_balances(version=2), entries()]
    engine = make_engine(os.environ[ledger.DATABASE], poolclass=NullPool)  # nobody disposes it
    return Projector(UnitOfWork(engine), make_store(engine), models, CHECKPOINTS, batch=10)


@asynccontextmanager
async def async_projector() -> AsyncIterator[AsyncProjector]:
    """Yield an async projector."""
    engine = make_async_engine(os.environ[ledger.DATABASE])
    unit_of_work = AsyncUnitOfWork(engine)
    store: AsyncSqlEventStore[AccountEvent] = AsyncSqlEventStore(unit_of_work, EVENTS, codec)
    try:
        yield AsyncProjector(unit_of_work, store, [stored_balances()], CHECKPOINTS)
    finally:
        await engine.dispose()


def slow_projector() -> Projector:
    """Return a projector whose rebuild takes long enough to be interrupted."""
    engine = make_engine(os.environ[ledger.DATABASE], poolclass=NullPool)
    return Projector(UnitOfWork(engine), make_store(engine), [stored_balances(version=2)], CHECKPOINTS, batch=1)


def failing_projector() -> Projector:
    """Return a projector whose read model has a step that fails."""

    def fail(*_: object) -> None:
        raise KeyError("currency")

    engine = make_engine(os.environ[ledger.DATABASE], poolclass=NullPool)
    model = ReadModel("balances", Balance, version=2).on(Deposited, account_of, fail)
    return Projector(UnitOfWork(engine), make_store(engine), [TableReadModel(model, BALANCES)], CHECKPOINTS)


def keeping_projector() -> Projector:
    """Return a projector whose read model is in a repository."""
    unit_of_work = UnitOfWork(make_engine(os.environ[ledger.DATABASE], poolclass=NullPool))
    table = aggregate_table(MetaData(), "kept")
    model = RepositoryReadModel("kept", SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, table, unit_of_work))
    return Projector(unit_of_work, make_store(unit_of_work._engine), [model], CHECKPOINTS)


def broken_projector() -> Projector:
    """Fail with an error that a wrong call has too."""
    raise TypeError("of its own")


async def awaited_projector() -> Projector:
    """Return a projector, to await."""
    await asyncio.sleep(0)
    return newer_projector()


SOMETHING = 3


def fill(engine: Engine, count: int) -> int:
    """Append deposits of one account, and return the last position."""
    (ada,) = new_accounts(1)
    return append(make_store(engine), *[Deposited(ada, 1) for _ in range(count)]).position


def here(name: str) -> str:
    """Return a function of this file as an argument."""
    return f"{__name__}:{name}"


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this file be found by its name."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


def test_once(engine: Engine) -> None:
    """With --once it ends when no event is left; the exit status is 1 if a read model stopped."""
    fill(engine, 120)
    assert 0 == main(["project", LEDGER, "--once"])
    assert [120] == [row.total for row in rows_of(engine).values()]
    spoil(engine, fill(engine, 1))
    assert 1 == main(["project", LEDGER, "--once"])


def test_async_once(engine: Engine) -> None:
    """An async projector does the same, and rebuilds."""
    fill(engine, 3)
    assert 0 == main(["project", here("async_projector"), "--once"])
    assert [3] == [row.total for row in rows_of(engine).values()]
    assert 0 == main(["project", here("async_projector"), "--rebuild", "balances"])
    assert 0 == main(["project", here("async_projector"), "--status"])


def test_the_status(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """The status shows each read model, and what to do about it."""
    fill(engine, 1_200)
    assert 0 == main(["project", LEDGER, "--status"])
    assert ["balances    behind               0       1,200           0"] == [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("balances")
    ]
    assert 0 == main(["project", LEDGER, "--once"])
    spoil(engine, fill(engine, 1))
    assert 1 == main(["project", LEDGER, "--once"])
    assert 0 == main(["project", here("newer_projector"), "--status"])
    assert [
        "read model  state         position      behind  unreadable",
        "balances    stopped          1,200           1           0",
        "  stopped at position 1,201: unreadable",
        "  its rows are of version 1, its steps of version 2: --rebuild balances",
        "entries     stopped          1,200           1           0",
        "  stopped at position 1,201: unreadable",
    ] == capsys.readouterr().out.splitlines()


def test_the_status_as_json(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json it is a list of objects."""
    fill(engine, 3)
    main(["project", LEDGER, "--once"])
    capsys.readouterr()
    assert 0 == main(["project", LEDGER, "--status", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [("balances", "current", 3, 0), ("entries", "current", 3, 0)] == [
        (row["name"], row["state"], row["position"], row["behind"]) for row in found
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*\+00:00", found[0]["moved_at"])


def test_a_rebuild(engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its progress is in lines, or in JSON."""
    fill(engine, 25)
    main(["project", LEDGER, "--once"])
    capsys.readouterr()
    monkeypatch.setattr(_projecting, "_PROGRESS", 0)
    assert 0 == main(["project", here("awaited_projector"), "--rebuild", "balances"])
    assert [
        "balances: rebuilding, position 10 of 25",
        "balances: rebuilding, position 20 of 25",
        "balances: rebuilding, position 25 of 25",
        "balances: rebuilt, position 25 of 25",
    ] == capsys.readouterr().out.splitlines()
    assert 0 == main(["project", LEDGER, "--rebuild", "balances", "--json"])
    assert {"name": "balances", "position": 25, "last": 25, "is_swapped": True, "stopped_at": None} == json.loads(
        capsys.readouterr().out.splitlines()[-1]
    )


def test_a_rebuild_on_a_terminal(
    engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal shows a bar."""
    fill(engine, 20)
    monkeypatch.setattr(_projecting, "_DRAWING", 0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert 0 == main(["project", here("newer_projector"), "--rebuild", "balances"])
    half = "\rbalances [###############...............]  50 %, 10 of 20"
    assert half in capsys.readouterr().err
    assert "position 7" == _projecting.bar(Rebuilt("balances", 7))
    assert "[##############################] 100 %, 0 of 0" == _projecting.bar(Rebuilt("balances", 0, 0))


def test_a_rebuild_that_stops(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """It fails with what to do; the old rows stay."""
    fill(engine, 3)
    main(["project", LEDGER, "--once"])
    spoil(engine, 2)
    assert 1 == main(["project", LEDGER, "--rebuild", "balances"])
    assert "balances: the rebuild stopped at the unreadable event at position 2; the old" in capsys.readouterr().err
    assert [3] == [row.total for row in rows_of(engine).values()]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([LEDGER, "--json"], "--json needs --status or --rebuild; add it"),
        ([LEDGER, "--once", "--status"], "--once goes with neither --status nor --rebuild; leave it out"),
        ([LEDGER, "--no-wakes", "--status"], "--no-wakes goes with neither --status nor --rebuild; leave it out"),
        ([LEDGER, "--health-port", "1", "--status"], "--health-port goes with neither --status nor --rebuild"),
        ([LEDGER, "--rebuild", "unknown"], "got 'unknown'; name one of them"),
        ([here("keeping_projector"), "--rebuild", "kept"], "--rebuild: read model 'kept': expected one in a table"),
        ([LEDGER, "--rebuild", ""], f"--rebuild: expected a read model of {LEDGER} (balances"),
        ([LEDGER, "--once", "--rebuild", ""], "--once goes with neither --status nor --rebuild; leave it out"),
        ([here("SOMETHING")], "expected a Projector, or a function that returns one or a context manager of one"),
        ([here("fill")], "expected a function without arguments"),
    ],
)
def test_wrong_arguments(engine: Engine, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str) -> None:
    """A wrong argument is named, and the exit status is 2."""
    with pytest.raises(SystemExit) as caught:
        main(["project", *arguments])
    assert 2 == caught.value.code
    assert text in capsys.readouterr().err


def test_a_function_that_fails() -> None:
    """Its error is raised as it is: a TypeError of its own is no wrong argument."""
    with pytest.raises(TypeError, match=r"^of its own$"):
        main(["project", here("broken_projector"), "--status"])


def test_a_step_that_fails_in_a_rebuild(engine: Engine) -> None:
    """Its error is raised as it is, with the place: a KeyError is no wrong argument."""
    fill(engine, 1)
    with pytest.raises(KeyError, match="currency") as caught:
        main(["project", here("failing_projector"), "--rebuild", "balances"])
    assert "read model 'balances', position" in "".join(caught.value.__notes__)


def test_a_database_that_is_not_set_up(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing table is named; no traceback is printed."""
    with database.engine():
        for option in ("--once", "--no-wakes", "--status"):  # also while it follows: it would wait for ever
            assert 1 == main(["project", LEDGER, option])
            text = capsys.readouterr().err
            assert "checkpoints" in text
            assert "create them by a migration, or by `metadata.create_all`" in text
            assert "unreachable" not in text


def test_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A status can't wait for it: the place is named, and no traceback is printed."""
    monkeypatch.setenv(ledger.DATABASE, "postgresql://postgres@127.0.0.1:1/none")
    assert 1 == main(["project", LEDGER, "--status"])
    text = capsys.readouterr().err
    assert "127.0.0.1:1/none" in text
    assert "Traceback" not in text


def start(*arguments: str) -> Forked:
    """Start the command as a process."""
    paths = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    return Forked("-m", "domainkit", "project", *arguments, env=os.environ | {"PYTHONPATH": paths})


def test_a_process_until_it_is_asked_to_stop(engine: Engine) -> None:
    """It follows what is appended, and ends with 0 on SIGTERM."""
    checkpoints = Checkpoints(UnitOfWork(engine), CHECKPOINTS)
    with start(LEDGER) as process:
        try:
            last = fill(engine, 10)
            assert Success(last) == checkpoints.reached("balances", last, within=LONG)
            last = fill(engine, 10)
            assert Success(last) == checkpoints.reached("balances", last, within=LONG)
        finally:
            process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=60)[1]
    assert 0 == process.returncode, errors
    assert "following with Projector(balances, entries)" in errors
    assert "stopped: events 40, unreadable 0" in errors


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_no_wakes(engine: Engine) -> None:
    """With --no-wakes no connection listens for events, which are found by polling; without it one listens."""
    checkpoints, listening = Checkpoints(UnitOfWork(engine), CHECKPOINTS), list[bool]()
    for options in ((), ("--no-wakes",)):
        with start(LEDGER, *options) as process:
            try:
                last = fill(engine, 10)
                assert Success(last) == checkpoints.reached("balances", last, within=LONG)
                ends = monotonic() + (1 if options else 60)
                while not (heard := is_heard(engine)) and monotonic() < ends:
                    sleep(0.05)
                listening.append(heard)
            finally:
                process.send_signal(signal.SIGTERM)
            assert 0 == process.wait(60)
    assert [True, False] == listening


def is_heard(engine: Engine) -> bool:
    """Return True if a connection listens for events."""
    found = text("SELECT 1 FROM pg_stat_activity WHERE query = 'LISTEN domainkit_' || to_regclass('events')::oid")
    with engine.connect() as connection:
        return connection.scalar(found) is not None


def test_health(engine: Engine) -> None:
    """A process that follows says so over HTTP; only polling, it follows as well."""
    checkpoints, port = Checkpoints(UnitOfWork(engine), CHECKPOINTS), free_port()
    with start(LEDGER, "--health-port", str(port), "--no-wakes") as process:
        try:
            last = fill(engine, 10)
            assert Success(last) == checkpoints.reached("balances", last, within=LONG)
            assert (200, b"ok\n") == status_other_than(503, port)  # the first round may not be over
            assert (200, b"ok\n") == status_of(port, "/live")
        finally:
            process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(60)


def test_health_without_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is away, the process is alive and not well; it waits, and is stopped with status 0."""
    monkeypatch.setenv(ledger.DATABASE, "postgresql://postgres@127.0.0.1:1/none")
    port = free_port()
    with start(LEDGER, "--health-port", str(port)) as process:
        try:
            assert (503, b"no connection to the database\n") == status_other_than(0, port)
            assert 200 == status_of(port, "/live")[0]
        finally:
            process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=60)[1]
    assert 0 == process.returncode, errors
    assert "the database is unreachable" in errors


def free_port() -> int:
    """Return a port that no process has."""
    with socket() as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])


def status_other_than(status: int, port: int) -> tuple[int, bytes]:
    """Return the answer about the health, as soon as it is another one."""
    ends = monotonic() + 60
    while (found := status_of(port, "/health"))[0] == status:
        assert monotonic() < ends
        sleep(0.05)
    return found


def status_of(port: int, path: str) -> tuple[int, bytes]:
    """Return the answer to a request; 0 if there is none yet."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    with suppress(OSError), closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    return 0, b""


def test_the_progress_is_logged(
    engine: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it runs, it logs its counts whenever they have changed."""
    monkeypatch.setattr(_projecting, "_PROGRESS", 0.001)
    caplog.set_level(logging.INFO, "domainkit")
    fill(engine, 2_000)
    assert 0 == main(["project", LEDGER, "--once"])
    found = [one.getMessage() for one in caplog.records if one.getMessage().startswith("events ")]
    assert found
    assert "stopped: events 4,000, unreadable 0" == caplog.records[-1].getMessage()


def test_a_rebuild_that_is_interrupted(
    engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM interrupts a rebuild after the batch in hand: it fails, and says how to go on."""
    fill(engine, 30)
    monkeypatch.setattr(_projecting.Progress, "show", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    status = main(["project", here("slow_projector"), "--rebuild", "balances"])
    assert 1 == status
    printed = re.search(r"balances: interrupted at position (\d+); run it again to go on", capsys.readouterr().err)
    assert printed is not None
    assert 0 == main(["project", LEDGER, "--status"])
    assert f"  a rebuild is at position {printed[1]}" in capsys.readouterr().out.splitlines()
