"""Decisions of several processes that exclude each other: one of them is stored, whoever is faster."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from databases import KINDS, Database, new_database
from durability import deciding
from durability.deciding import LOST, METADATA, PROCESSES, WON, all_of, make_store
from durability.processes import HERE, environment
from sizes import at_full

from domainkit import projection
from domainkit.adapters.sqlalchemy import UnitOfWork
from domainkit.testing import SampleSubscribed

RACES = at_full(1_000)
COUNT = projection(0).on(SampleSubscribed, lambda n, _: n + 1)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Return a new database, which the processes find too."""
    with new_database(request.param, tmp_path) as made:
        monkeypatch.setenv(deciding.DATABASE, made.url.render_as_string(hide_password=False))
        yield made


class Process:
    """A process that takes part in races.

    Args:
        number: its number.
    """

    def __init__(self, number: int) -> None:
        self._running = subprocess.Popen(
            [sys.executable, str(HERE / "deciding.py"), str(number)],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, race: int) -> None:
        """Let it append."""
        assert self._running.stdin is not None
        self._running.stdin.write(f"{race}\n")
        self._running.stdin.flush()

    def answer(self) -> str:
        """Return what it has written."""
        assert self._running.stdout is not None
        return self._running.stdout.readline().strip()

    def end(self) -> None:
        """Stop it."""
        self._running.communicate(timeout=60)


def test_of_the_decisions_of_several_processes_one_is_stored(database: Database) -> None:
    """In each race: with tags in common, and with none but those that they guard; no process is told another one's."""
    with database.engine(METADATA) as engine, ExitStack() as running:
        processes = [Process(number) for number in range(PROCESSES)]
        for one in processes:
            running.callback(one.end)
        assert ["ready"] * PROCESSES == [one.answer() for one in processes]
        winners = set[int]()
        store = make_store(UnitOfWork(engine))
        for race in range(RACES):
            for one in processes:
                one.begin(race)
            outcomes = [one.answer() for one in processes]
            assert [*[LOST] * (PROCESSES - 1), WON] == sorted(outcomes), f"race {race}"
            assert 1 == store.decide(all_of(race), COUNT).unwrap().state, f"race {race}"
            winners.add(outcomes.index(WON))
        assert RACES == len(store.read_all())
    assert 1 < len(winners)
