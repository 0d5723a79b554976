"""What all tests share: hypothesis profiles, and no silent gaps in CI."""

import os
from collections.abc import Generator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

MAY_BE_MISSING = ("Python", "group bench", "full size")
"""What CI doesn't have: other versions of Python, the libraries that only benchmarks need, and the time for all."""

NEEDS: Mapping[str, str] = {
    "docs/examples/task_manager_api": "fastapi",
    "docs/how-to/fastapi.md": "fastapi",
    "docs/how-to/inbox.md": "sqlalchemy",
    "docs/how-to/other-brokers.md": "aiokafka",
    "docs/how-to/pydantic.md": "pydantic",
    "docs/how-to/repositories.md": "sqlalchemy",
    "docs/how-to/rabbitmq.md": "aio_pika",
    "docs/how-to/operations.md": "sqlalchemy",
    "docs/how-to/relay.md": "sqlalchemy",
    "docs/how-to/retries.md": "tenacity",
    "docs/how-to/sql.md": "sqlalchemy",
    "docs/how-to/testing.md": "hypothesis",
    "docs/how-to/tracing.md": "opentelemetry",
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
    "domainkit/cli/_relaying.py": "sqlalchemy",
}
"""What can't be imported without an extra, and the library that the extra is for: no examples to run there."""

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests that kill one and the same broker run in one process, which starts it once."""
    for item in items:
        if isinstance(item, pytest.Function) and "own_broker" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("own broker"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at the outcome of each test."""
    return refuse_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at the outcome of each module's collection: pytest.importorskip skips it as a whole."""
    return refuse_skipped((yield))
