"""A read model is the fold of all events, whichever process is killed."""

import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from accounts import Deposited
from databases import KINDS, Database, new_database
from durability import ledger
from durability.processes import HERE, Process
from projecting import CHECKPOINTS, METADATA, amounts_of, balances, history_of, make_store, rows_of
from returns.result import Success
from sizes import CI, FULL
from sqlalchemy import Engine, text

from domainkit.adapters.sqlalchemy import Checkpoints, UnitOfWork

SECONDS = 90.0 if FULL else 10.0 if CI else 8.0
LEAST = 50 if FULL else 6 if CI else 4
"""The fewest kills of a run, however slow the machine is."""
NAME = f"ledger {uuid4().hex}"
"""The name of the connections of the processes on PostgreSQL."""
WRITERS, PROJECTORS = 8, 2
PATIENCE = timedelta(seconds=120)
KILLS_EACH_SECOND = 2.0
ENDED = {0, -signal.SIGTERM}
"""The exit statuses of a process that was asked to stop: the second if it had only just been started again."""


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Return a new database, which the processes find too."""
    with new_database(request.param, tmp_path) as made:
        url = made.url
        if made.kind == "postgresql":  # so that the connections of the processes can be told from all others
            url = url.update_query_dict({"application_name": NAME})
        monkeypatch.setenv(ledger.DATABASE, url.render_as_string(hide_password=False))
        yield made


def test_a_read_model_is_the_fold_of_all_events_while_all_are_killed(database: Database, tmp_path: Path) -> None:
    """No event is lost and none counts twice: 8 writers, 2 projectors, late commits, and SIGKILL again and again.

    On PostgreSQL the connections of the processes are ended too.
    """
    writing = [str(HERE / "ledger.py"), "0.3" if database.kind == "postgresql" else "0.03"]
    following = ["-m", "domainkit", "project", "durability.ledger:projector"]
    with database.engine(METADATA) as engine, ExitStack() as running:
        writers = [
            running.enter_context(Process(f"writer {number}", writing, tmp_path / f"writer-{number}.log"))
            for number in range(WRITERS)
        ]
        projectors = [
            running.enter_context(Process(f"projector {number}", following, tmp_path / f"projector-{number}.log"))
            for number in range(PROJECTORS)
        ]
        wait_for_events(engine, projectors)
        kills = kill_again_and_again(engine, writers, projectors)
        for one in writers:
            assert one.stop(60) in ENDED, one.output()
        last = make_store(engine).read_all()[-1].position
        reached = [
            Checkpoints(UnitOfWork(engine), CHECKPOINTS).reached(name, last, within=PATIENCE)
            for name in ("balances", "entries")
        ]
        assert [Success(last)] * 2 == reached, projectors[0].output()
        for one in projectors:
            assert one.stop(60) in ENDED, one.output()
        events = history_of(make_store(engine))
        assert balances().rows(events) == rows_of(engine)
        deposited = Counter(one.amount for one in events if isinstance(one, Deposited))
        entered = Counter(amounts_of(engine))
        lost, doubled = (deposited - entered).total(), (entered - deposited).total()
        sys.stdout.write(
            f"{database.kind}: {dict(kills)} killed, {len(events)} events, {lost} lost, {doubled} doubled\n"
        )
        assert (0, 0) == (lost, doubled)
    assert {"writer", "projector", *(["connection"] if database.kind == "postgresql" else [])} == set(kills) or not FULL
    assert kills.total() >= max(SECONDS / 2, LEAST)


def wait_for_events(engine: Engine, projectors: list[Process]) -> None:
    """Wait until the projectors have put in the first events."""
    waiting = Checkpoints(UnitOfWork(engine), CHECKPOINTS)
    for name in ("balances", "entries"):
        assert isinstance(waiting.reached(name, 10, within=PATIENCE), Success), projectors[0].output()


def kill_again_and_again(engine: Engine, writers: list[Process], projectors: list[Process]) -> Counter[str]:
    """Kill processes and connections at random moments; return the number of kills of each kind."""
    ends, kills, chance = time.monotonic() + SECONDS, Counter[str](), random.Random()
    while time.monotonic() < ends or kills.total() < LEAST:
        time.sleep(chance.uniform(0, 2 / KILLS_EACH_SECOND))
        kind = chance.choices(("writer", "projector", "connection"), (3, 4, 3))[0]
        if kind == "connection" and end_a_connection(engine):
            kills[kind] += 1
        elif kind == "projector":
            chance.choice(projectors).kill()
            kills[kind] += 1
        else:
            chance.choice(writers).kill()
            kills["writer"] += 1
    return kills


def end_a_connection(engine: Engine) -> bool:
    """End a connection to a server, as an administrator does; return False if no connection to one is open."""
    if engine.dialect.name != "postgresql":
        return False
    ending = (
        "SELECT pg_terminate_backend(pid) FROM ("
        "SELECT pid FROM pg_stat_activity WHERE application_name = :name ORDER BY random() LIMIT 1) AS one"
    )
    with engine.connect() as connection:
        return bool(connection.execute(text(ending), {"name": NAME}).scalar())
