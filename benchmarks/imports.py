"""The time that `import domainkit` takes, beside that of the libraries that it needs."""

import os
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.effort import Effort
from benchmarks.measuring import Spread, ratio
from benchmarks.pure import BLOCK
from benchmarks.results import Bar, Comparison, Figure, Findings, Sense
from domainkit._speedups.slots import COMPILED

_DEPENDENCIES: Final = "its dependencies"
_EVERY_NAME: Final = "domainkit, every public name"
_STATEMENTS: Final = {
    "domainkit": "import domainkit",
    _EVERY_NAME: "from domainkit import *",
    _DEPENDENCIES: "import attrs, cattrs, msgspec, returns.result, typing_extensions",
    "pydantic": "import pydantic; pydantic.BaseModel",
    "petisco": "import petisco; petisco.DomainEvent",
}
_BAR: Final = Bar(Sense.AT_MOST, 1.3, 1.15)


def measure(effort: Effort) -> Findings:
    """Return the time of each import in fresh interpreters, taken in turns."""
    with TemporaryDirectory() as cache:
        for statement in _STATEMENTS.values():
            seconds_of(statement, cache)  # writes the byte code
        turns = [
            {name: seconds_of(statement, cache) for name, statement in _STATEMENTS.items()}
            for _ in range(effort.imports)
        ]
    taken = {name: [turn[name] for turn in turns] for name in _STATEMENTS}
    figures = tuple(
        Figure("import", name, "ms", Spread.of([one * 1e3 for one in seconds])) for name, seconds in taken.items()
    )
    against, with_every_name = (ratio(taken[name], taken[_DEPENDENCIES]) for name in ("domainkit", _EVERY_NAME))
    return Findings(
        figures,
        (
            Comparison(f"import: time against {_DEPENDENCIES}", "x", against, _BAR),
            Comparison(f"import, with every public name: time against {_DEPENDENCIES}", "x", with_every_name),
        ),
        ("`import domainkit` loads the model; every other part is loaded when one of its names is first used.",),
    )


def seconds_of(statement: str, cache: str) -> float:
    """Return the seconds that a statement takes in a fresh interpreter, once that has started.

    Where this process has nothing in C, neither has that.
    Byte code is kept in the folder `cache`, also where the environment forbids to write it elsewhere: an installed
    library has it.
    """
    before = "" if COMPILED else BLOCK
    text = f"{before}\nfrom time import process_time as now\nstart = now()\n{statement}\nprint(now() - start)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(  # noqa: S603  (our own text)
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "PYTHONPYCACHEPREFIX": cache},
    )
    return float(done.stdout)
