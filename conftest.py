"""What all tests share: hypothesis profiles, and no silent gaps in CI."""

import gc
import os
import re
from collections.abc import Generator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

MAY_BE_MISSING = ("Python", "group bench", "full size")
"""Missing in CI: other versions of Python, the libraries that only benchmarks need, and the time for all."""

NEEDS: Mapping[str, str] = {
    "docs/examples/lending": "fastapi",
    "docs/examples/task_manager_api": "fastapi",
    "docs/coming-from-pydantic.md": "pydantic",
    "docs/cookbook/http-api.md": "fastapi",
    "docs/cookbook/idempotent-consumer.md": "sqlalchemy",
    "docs/cookbook/save-and-send.md": "sqlalchemy",
    "docs/how-to/alembic.md": "sqlalchemy",
    "docs/how-to/buses.md": "sqlalchemy",
    "docs/how-to/child-tables.md": "sqlalchemy",
    "docs/how-to/consistency-boundaries.md": "sqlalchemy",
    "docs/how-to/constraints.md": "sqlalchemy",
    "docs/how-to/event-store.md": "sqlalchemy",
    "docs/how-to/fastapi.md": "fastapi",
    "docs/how-to/from-petisco.md": "libcst",
    "docs/how-to/inbox.md": "sqlalchemy",
    "docs/how-to/moving-from-petisco.md": "sqlalchemy_utils",
    "docs/how-to/other-brokers.md": "aiokafka",
    "docs/how-to/pydantic.md": "pydantic",
    "docs/how-to/read-models.md": "sqlalchemy",
    "docs/how-to/repositories.md": "sqlalchemy",
    "docs/how-to/queries.md": "sqlalchemy",
    "docs/how-to/rabbitmq.md": "aio_pika",
    "docs/how-to/operations.md": "sqlalchemy",
    "docs/how-to/relay.md": "sqlalchemy",
    "docs/how-to/retries.md": "tenacity",
    "docs/how-to/snapshots.md": "sqlalchemy",
    "docs/how-to/sql.md": "sqlalchemy",
    "docs/how-to/testing.md": "hypothesis",
    "docs/how-to/wiring.md": "tenacity",
    "docs/how-to/tracing.md": "opentelemetry",
    "docs/tutorial-event-sourcing.md": "sqlalchemy",
    "docs/tutorial.md": "sqlalchemy",
    "domainkit/adapters/faststream.py": "faststream",
    "domainkit/adapters/opentelemetry.py": "opentelemetry",
    "domainkit/adapters/pydantic.py": "pydantic",
    "domainkit/adapters/rabbitmq": "aio_pika",
    "domainkit/adapters/sqlalchemy": "sqlalchemy",
    "domainkit/adapters/starlette": "starlette",
    "domainkit/adapters/tenacity.py": "tenacity",
    "domainkit/cli/_databases.py": "sqlalchemy",
    "domainkit/cli/_operating.py": "sqlalchemy",
    "domainkit/cli/_petisco": "libcst",
    "domainkit/cli/_projecting.py": "sqlalchemy",
    "domainkit/cli/_relaying.py": "sqlalchemy",
}
"""What can't be imported without an extra, and the library that the extra is for: no examples to run there."""

TOGETHER: Mapping[str, str] = {
    "tests/adapters/rabbitmq/test_publisher.py": "own broker",
    "tests/adapters/rabbitmq/test_reconnecting.py": "own broker",
    "tests/cli/test_from_petisco.py": "applications",
    "tests/cli/test_new.py": "applications",
    "tests/examples/test_lending.py": "lending",
    "tests/examples/test_task_manager_api.py": "server",
    "tests/mutations/test_mutations.py": "copy",
    "tests/test_packaging.py": "sdist",
    "tests/test_site.py": "site",
}
"""What tests of a file share that takes long to make; files with the same share it too."""

SERVED = (
    "tests/adapters/",
    "tests/cli/",
    "tests/durability/",
    "tests/examples/",
    "tests/interop/",
    "tests/test_site.py",
)
"""Tests of servers and processes that share a machine: in CI one that fails is run once more, and counted as rerun."""

CHECKER = re.compile(r"[\[-](mypy|mypy with the returns plugin|pyright)\]$")
"""The end of the id of a test that asks a type checker, which runs once for all of them."""

ROOT = Path(__file__).parent
WITHOUT_EXTRA = frozenset(ROOT / path for path, library in NEEDS.items() if find_spec(library) is None)

CI = os.environ.get("CI") == "true"

settings.register_profile("quick", deadline=None, max_examples=20)  # a busy machine is slow, and that is no failure
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, print_blob=True)
settings.register_profile("full", deadline=None, max_examples=500)
settings.load_profile("full" if os.environ.get("DOMAINKIT_FULL") else "ci" if CI else "quick")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what can't be imported; collect_ignore here would count where no other conftest.py has it."""
    return True if collection_path in WITHOUT_EXTRA else None


def refuse_skipped(report: Report) -> Report:
    """Make a skipped test a failure where everything that tests need is promised to be there."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    expected = hasattr(report, "wasxfail") or any(known in reason for known in MAY_BE_MISSING)
    if CI and report.skipped and not expected:
        report.outcome = "failed"
        report.longrepr = f"{reason}: in CI that is no reason to skip a test"
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are cores with `-n auto`: many tests wait, for a server or for a lease to end."""
    return (os.cpu_count() or 1) + 1


def group_of(nodeid: str) -> str:
    """Return the group that a test belongs to: one process runs all of it, in its order; most tests are alone."""
    file, _, _ = nodeid.partition("::")
    if checker := CHECKER.search(nodeid):
        return checker[1]
    return TOGETHER.get(file, file if file.endswith(".md") else nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Hand out tests one by one, but for groups (`--dist loadgroup` doesn't see them: xdist 3.8, pytest 9.2)."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415  # where the plugin calls this it is there

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log) if config.getoption("dist") == "load" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from looking at all tests and their modules, which stay: they are millions of objects.

    Without that, each collection that a test asks for takes a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()  # the class that attrs replaces by one with slots would stay a subclass of its base for ever
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let CI run a test of SERVED again if it fails: what fails for a reason fails twice."""
    if CI and config.pluginmanager.hasplugin("rerunfailures"):
        for item in items:
            if item.nodeid.startswith(SERVED):
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at the outcome of each test."""
    return refuse_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at the outcome of each module's collection: pytest.importorskip skips it as a whole."""
    return refuse_skipped((yield))
