"""The core without its part in C: everything holds in Python as well."""

import os
import subprocess
import sys
from pathlib import Path

import pure
import pytest
from sizes import FULL

import domainkit  # noqa: F401  # so that it is loaded

ROOT = Path(__file__).parent.parent
CORE = (
    "tests/test_values.py",
    "tests/test_messages.py",
    "tests/test_aggregates.py",
    "tests/test_codec.py",
    *(["tests/conversion"] if FULL else []),
)
LEFT_OUT = (
    "--ignore=tests/conversion/test_two_forms.py",  # it has both forms already
    "--deselect=tests/test_codec.py::TestScale",  # a measurement
)


def test_the_core_passes_without_it() -> None:
    """The tests of values, messages, aggregates and the codec pass where nothing is compiled."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pure", "--hypothesis-profile=ci", *LEFT_OUT, *CORE]
    variables = {**os.environ, "CI": "false"}  # what compares C with Python is skipped there
    ran = subprocess.run(command, capture_output=True, check=False, cwd=ROOT, encoding="utf-8", env=variables)
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert "compiled: False" in ran.stdout  # what the plugin says
    assert " passed" in ran.stdout


def test_the_plugin_must_come_first() -> None:
    """If the package was imported before, with its part in C, the plugin refuses: nothing would be pure."""
    assert "domainkit" in sys.modules
    with pytest.raises(pytest.UsageError, match="domainkit was imported already"):
        pure.pytest_configure()
