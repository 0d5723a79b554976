"""The messages once more, without the C part of domainkit: in another process, since one has that part or hasn't."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import cattrs
from attrs import evolve, frozen

from benchmarks.contenders import OURS
from benchmarks.effort import QUICK, Effort
from benchmarks.results import Comparison, Figure, Findings

PURE: Final = "domainkit without C"
BLOCK: Final = "import sys; sys.modules['domainkit._fast'] = None"
"""Code to run before the first import of domainkit, so that everything is done in Python."""

_NOTE: Final = f"{PURE}: measured in a separate process, which doesn't use the compiled part of domainkit."

_PROGRAM: Final = f"{BLOCK}; from benchmarks.__main__ import main; sys.exit(main())"


@frozen
class Pure:
    """Figures that the process measured.

    Args:
        figures: of domainkit alone, under the name PURE.
        comparisons: of the messages, those that have a bar.
    """

    figures: tuple[Figure, ...] = ()
    comparisons: tuple[Comparison, ...] = ()

    @classmethod
    def of(cls, findings: dict[str, Any]) -> "Pure":  # Any: as JSON has it
        """Return what is shown of the findings of a run."""
        figures = cattrs.structure(findings["figures"], tuple[Figure, ...])
        comparisons = cattrs.structure(findings["comparisons"], tuple[Comparison, ...])
        return cls(
            tuple(evolve(one, name=PURE) for one in figures if one.name == OURS and one.unit == "us"),
            tuple(one for one in comparisons if one.bar is not None),
        )

    def beside(self, findings: Findings) -> Findings:
        """Return the findings of the run with the part in C, and below each figure of domainkit that without it."""
        return evolve(findings, figures=tuple(self._beside(findings.figures)), notes=(*findings.notes, _NOTE))

    def _beside(self, figures: tuple[Figure, ...]) -> Iterator[Figure]:
        for figure in figures:
            yield figure
            if figure.name == OURS:
                yield from (one for one in self.figures if one.group == figure.group)


def run(*arguments: str, quiet: bool = False) -> int:
    """Run the benchmarks with these arguments and nothing in C; return the exit status."""
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL if quiet else None).returncode  # noqa: S603  # our own text


def measure(effort: Effort) -> Pure:
    """Measure the messages in a process that has nothing in C.

    Raises:
        RuntimeError: the process failed; it has said why.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        arguments = ["--only", "messages", "--json", str(file), *(["--quick"] if effort is QUICK else [])]
        if run(*arguments, quiet=True) != 0:
            raise RuntimeError("the run without the part in C failed: see above")
        return Pure.of(json.loads(file.read_text(encoding="utf-8"))["findings"])
