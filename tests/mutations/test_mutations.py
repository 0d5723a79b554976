"""The tests of the guarantees notice what they are there for: a planted bug makes each of them fail."""

import compileall
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest
from mutations import (
    child_rows,
    codec,
    consuming,
    events,
    inbox,
    over_faststream,
    projecting,
    publishing,
    relay,
    repositories,
    snapshots,
    tracing,
    units_of_work,
)
from mutations.bug import Bug
from sizes import CI, FULL

for library in ("sqlalchemy", "aiosqlite", "psycopg", "aio_pika", "opentelemetry.sdk", "faststream", "nats", "redis"):
    pytest.importorskip(library, reason=f"{library} isn't there: the durable adapters are of the extras")

ROOT = Path(__file__).parents[2]
COPIED = ("domainkit", "tests", "conftest.py", "pyproject.toml")
MODULES = (
    repositories,
    child_rows,
    units_of_work,
    relay,
    inbox,
    codec,
    events,
    snapshots,
    projecting,
    publishing,
    consuming,
    tracing,
    over_faststream,
)
ALL = [bug for module in MODULES for bug in module.BUGS]
BUGS = ALL if FULL else [bug for bug in ALL if bug.quick][:: 2 if CI else 4]

LIMIT = 120
"""Seconds that a test has; one that takes longer is ended, and that is no failure of it."""

PROMISES = ROOT / "docs" / "explanation" / "guarantees.md"
DURABLE = re.compile(r"`(?:tests/(?:adapters|durability)/|domainkit/testing/)[\w/]+\.py::(?:\w+::)?(\w+)`")

WITHOUT = {
    "test_aggregates_are_values": "a database keeps text: there is nothing that could be shared",
    "test_a_read_model_is_the_fold_of_all_events_while_all_are_killed": "it runs for minutes; each step has its bugs",
    "test_nothing_is_lost_or_done_twice_while_all_are_killed": "it runs for minutes; each step of the way has its bugs",
}
"""The tests for which no bug is planted, and why."""


class Copy:
    """A copy of the library and its tests, and the process that runs them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, root / name)
        # checked by what the source is: a planted bug may have the size and the time of what stood there
        compileall.compile_dir(root / "domainkit", quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("COV", "PYTEST", "DOMAINKIT"))}
        self._runner = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("runner.py"))],
            cwd=root,
            env=kept | {"PYTHONPATH": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *tests: str, seconds: int = LIMIT) -> tuple[int, int, list[str]]:
        """Run tests with all their parameters; return pytest's exit status, how many were skipped, and what failed."""
        assert self._runner.stdin is not None
        assert self._runner.stdout is not None
        print(json.dumps([str(self._root), seconds, tests]), file=self._runner.stdin, flush=True)
        status, skipped, failed = json.loads(self._runner.stdout.readline())
        return status, skipped, failed

    def run_with(self, bug: Bug) -> tuple[int, int]:
        """Run a bug's test until it fails, where the bug is planted; return pytest's exit status, and the skipped."""
        file = self._root / "domainkit" / bug.file
        source = file.read_text(encoding="utf-8")
        assert source.count(bug.old) == 1, f"{bug.file} has changed: plant this bug in another way"
        file.write_text(source.replace(bug.old, bug.new), encoding="utf-8")
        try:
            return self.run("-x", bug.test)[:2]
        finally:
            file.write_text(source, encoding="utf-8")

    def output(self) -> str:
        """Return what the last run printed."""
        return (self._root / "output").read_text(encoding="utf-8")

    def close(self) -> None:
        """End the process."""
        self._runner.kill()
        self._runner.communicate()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """Return a copy of the library."""
    made = Copy(tmp_path_factory.mktemp("copy"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def failing(request: pytest.FixtureRequest, copy: Copy) -> Callable[[str], Mapping[str, str]]:
    """Return the tests of a file that fail even without a bug, and pytest's output; all that are needed run at once."""
    params = [getattr(item, "callspec", None) for item in request.session.items]
    needed = list(dict.fromkeys(one.params["bug"].test for one in params if one and "bug" in one.params))

    @cache
    def found(file: str) -> Mapping[str, str]:
        tests = [test for test in needed if test.partition("::")[0] == file]
        status, _, failed = copy.run(*tests, seconds=LIMIT * len(tests))
        if status not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            return dict.fromkeys(tests, copy.output())
        return {test: copy.output() for test in tests if any(is_of(one, test) for one in failed)}

    return found


def is_of(nodeid: str, test: str) -> bool:
    """Return if an id is that of a test, perhaps with parameters, or of one in a class of tests."""
    return nodeid == test or nodeid.startswith((f"{test}[", f"{test}::"))


def test_each_promise_has_a_bug() -> None:
    """Each test that the page of guarantees names for a durable adapter is there for a bug, but a few with a reason."""
    promised = set(DURABLE.findall(PROMISES.read_text(encoding="utf-8")))

    assert len(promised) > 40
    assert set(WITHOUT) == promised - {bug.test.rpartition("::")[2] for bug in ALL}


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_a_planted_bug_is_noticed(copy: Copy, failing: Callable[[str], Mapping[str, str]], bug: Bug) -> None:
    """The test, which passes, fails once the bug is planted; it doesn't break off for another reason."""
    without_bug = failing(bug.test.partition("::")[0])
    assert bug.test not in without_bug, without_bug[bug.test]
    status, skipped = copy.run_with(bug)
    if status == pytest.ExitCode.OK and skipped:
        pytest.skip(f"{bug.test} was skipped: a server that it needs is away")
    assert status == pytest.ExitCode.TESTS_FAILED, copy.output()
