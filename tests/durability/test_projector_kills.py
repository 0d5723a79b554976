"""A read model is the fold of all events, whichever process is killed."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from accounts import Deposited
from databases import KINDS, Database, new_database
from durability import ledger
from durability.processes import HERE, Process
from projecting import CHECKPOINTS, METADATA, amounts_of, balances, history_of, make_store, rows_of
from returns.result import Success
from sizes import CI, FULL
from sqlalchemy import Engine

from domainkit.adapters.sqlalchemy import Checkpoints, UnitOfWork

SECONDS = 90.0 if FULL else 20.0 if CI else 8.0
WRITERS, PROJECTORS = 8, 2
PATIENCE = timedelta(seconds=120)
KILLS_EACH_SECOND = 2.0
ENDED = {0, -signal.SIGTERM}
"""The exit statuses of a process that was asked to stop: the second if it had only just been started again."""


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Return a new database, which the processes find too."""
    with new_database(request.param, tmp_path) as made:
        monkeypatch.setenv(ledger.DATABASE, made.url.render_as_string(hide_password=False))
        yield made


def test_a_read_model_is_the_fold_of_all_events_while_all_are_killed(database: Database, tmp_path: Path) -> None:
    """No event is lost and none counts twice: 8 writers, 2 projectors, late commits, and SIGKILL again and again."""
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
        kills = kill_again_and_again([*writers, *projectors])
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
        assert sorted(one.amount for one in events if isinstance(one, Deposited)) == amounts_of(engine)
    assert kills >= SECONDS / 2


def wait_for_events(engine: Engine, projectors: list[Process]) -> None:
    """Wait until the projectors have put in the first events."""
    waiting = Checkpoints(UnitOfWork(engine), CHECKPOINTS)
    for name in ("balances", "entries"):
        assert isinstance(waiting.reached(name, 10, within=PATIENCE), Success), projectors[0].output()


def kill_again_and_again(processes: list[Process]) -> int:
    """Kill processes at random moments, a projector in half of the cases; return the number of kills."""
    ends, kills, chance = time.monotonic() + SECONDS, 0, random.Random()
    while time.monotonic() < ends:
        time.sleep(chance.uniform(0, 2 / KILLS_EACH_SECOND))
        chance.choice(processes[WRITERS:] if chance.random() < 0.5 else processes[:WRITERS]).kill()
        kills += 1
    return kills
