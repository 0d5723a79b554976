"""A plugin of pytest, `-p pure`: nothing of the package is in C, as where it was installed without a compiler."""

import sys

import pytest


def pytest_configure() -> None:
    """Let an import of the part in C fail. Here, and not when this file is imported: doctest does that too."""
    if "domainkit" in sys.modules:
        raise pytest.UsageError("domainkit was imported already, with what is compiled")
    sys.modules["domainkit._fast"] = None  # type: ignore[assignment]  # so that to import it is an ImportError


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say whether it was so, for who runs this."""
    from domainkit._speedups import slots as _slots  # noqa: PLC0415  # here, since tests import it when the options are known

    terminalreporter.write_line(f"compiled: {_slots.COMPILED}")
