"""The version: that of the distribution, and no cost for those who don't ask."""

import json
import subprocess
import sys
from importlib.metadata import version

import domainkit

OBSERVE = """
import json, sys
import domainkit
before = [name for name in ("importlib.metadata", "domainkit._version") if name in sys.modules]
asked = domainkit.__version__
print(json.dumps([before, asked]))
"""


def test_it_is_that_of_the_distribution() -> None:
    """`domainkit.__version__` is what package managers say of `domainkit-attrs`."""
    assert version("domainkit-attrs") == domainkit.__version__


def test_it_costs_nothing_until_it_is_asked_for() -> None:
    """`import domainkit` doesn't look for it, nor import what looks."""
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {OBSERVE}"],
        capture_output=True,
        check=True,
        text=True,
    )

    assert [[], domainkit.__version__] == json.loads(ran.stdout)
