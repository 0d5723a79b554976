"""Runs tests again and again, each time in a new process that has what tests import in memory already."""

import gc
import json
import os
import signal
import sys
import traceback
from importlib import import_module

import pytest

IN_MEMORY = (
    "hypothesis",
    "returns.result",
    "cattrs.preconf.json",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.dialects.postgresql",
    "psycopg",
    "aio_pika",
    "opentelemetry.sdk.trace",
    "faststream.nats",
    "faststream.redis",
)
"""Modules that take long to import, and are no part of the library."""

PLUGIN = "pytest_asyncio.plugin"  # alone: to load all that are installed takes longer than most of the tests

OPTIONS = (
    *("-q", "--no-header", "--tb=short", "-W", "ignore:Module already imported:pytest.PytestWarning"),
    *("-o", "addopts=--import-mode=importlib -p no:cacheprovider"),  # not --doctest-modules: no bug is for a doctest
)


class Outcomes:
    """Counts the tests that were skipped (if all are, pytest reports a success), and names those that failed."""

    def __init__(self) -> None:
        self.skipped = 0
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at the outcome of a part of a test."""
        self.skipped += report.skipped
        if report.failed:
            self.failed.append(report.nodeid)


def main() -> None:
    """For each line of JSON `[root, seconds, [argument, ...]]` print JSON: `[status, skipped, failed]`.

    What it printed goes to `root/output`. The status is negative where it took longer.
    """
    for name in (PLUGIN, *IN_MEMORY):
        import_module(name)
    gc.freeze()  # pytest collects garbage at each end: a process needn't look through what it has inherited
    for line in sys.stdin:
        root, seconds, tests = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            run(root, seconds, tests, writing)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        with open(reading, encoding="utf-8") as answer:  # noqa: PTH123  (a pipe has no path)
            outcomes = json.loads(answer.read() or "[0, []]")
        print(json.dumps([os.waitstatus_to_exitcode(status), *outcomes]), flush=True)  # noqa: T201  (it is the answer)


def run(root: str, seconds: int, tests: list[str], answer: int) -> None:
    """Run tests on the library that stands in `root`, and end the process."""
    status, outcomes = 99, Outcomes()
    signal.alarm(seconds)  # ends the process, whatever it hangs in
    try:
        os.chdir(root)
        sys.path.insert(0, root)
        output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        status = int(pytest.main([*OPTIONS, "-p", PLUGIN, *tests], plugins=[outcomes]))
        os.write(answer, json.dumps([outcomes.skipped, outcomes.failed]).encode())
    except BaseException:  # the process must not go on as another runner
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
