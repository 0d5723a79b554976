"""Compares this checkout with another commit: `make bench-against REV=v0.1.0`, or `python -m benchmarks.against REV`.

The commit gets a worktree of git in a temporary folder, and an environment of its own, with the versions of all
libraries that this environment has. The same script, that of this checkout, measures both builds in turns; the ratio
is taken round by round, so that noise that hits both falls out. A row that a build can't run says why.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks.measuring import Spread, ratio
from benchmarks.rows import ROWS

ROOT: Final = Path(__file__).parent.parent
EXTRAS: Final = "[postgres,rabbitmq,testing]"
Environment = Callable[[Path, Path], Path]
"""Makes an environment for a worktree at a place, and returns its Python."""


@frozen
class Row:
    """The seconds of both builds for one row, by round; or why one of them has none."""

    name: str
    this: Sequence[float | str]
    other: Sequence[float | str]

    def text(self) -> str:
        """Return the row of the table."""
        for whose, found in (("this checkout", self.this), ("the other", self.other)):
            if reasons := [one for one in found if isinstance(one, str)]:
                return f"{self.name:<34}not measured, {whose} has {reasons[0]}"
        this, other = (tuple(one for one in found if isinstance(one, float)) for found in (self.this, self.other))
        times, medians = ratio(this, other), (Spread.of(one).median * 1e6 for one in (other, this))
        columns = "".join(f"{one:12,.1f}" for one in medians)
        return f"{self.name:<34}{columns}{times.median:9.2f}   {times.low:.2f} to {times.high:.2f}"


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Return the output of a program, which must end well; its errors go to the terminal."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(  # noqa: S603  (our own commands)
        [*map(str, command)], cwd=cwd, env=environment | variables, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def installed(tree: Path, place: Path) -> Path:
    """Make an environment for a worktree, with the versions of the libraries of this one."""
    run("sh", ROOT / ".ci" / "make-environment", place, sys.executable, cwd=tree)
    python, constraints = place / "bin" / "python", place / "constraints.txt"
    frozen_here = run(sys.executable, "-m", "pip", "freeze", "--exclude-editable", cwd=tree).splitlines()
    constraints.write_text("\n".join(line for line in frozen_here if " @ " not in line), "utf-8")
    pip = (python, "-m", "pip", "install", "-qq", "--disable-pip-version-check")
    run(*pip, "--constraint", constraints, "--editable", f"{tree}{EXTRAS}", cwd=tree)
    return python


@contextmanager
def worktree(rev: str, folder: Path, root: Path) -> Iterator[Path]:
    """Yield a worktree of a commit, which is removed in the end."""
    tree = folder / "tree"
    run("git", "worktree", "add", "--detach", "--quiet", tree, rev, cwd=root)
    try:
        yield tree
    finally:
        run("git", "worktree", "remove", "--force", tree, cwd=root)


def measured(python: Path, folder: Path, rows: Sequence[str]) -> dict[str, Any]:  # Any: JSON
    """Return what one run of the script finds with a Python: the script is the copy in `folder`."""
    output = run(python, "-P", "-m", "benchmarks.rows", *rows, cwd=folder, PYTHONPATH=str(folder))
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def compared(
    rev: str, *, rounds: int, rows: Sequence[str], root: Path = ROOT, environment: Environment = installed
) -> str:
    """Return the table of both builds.

    Args:
        rev: the other commit, as git takes it.
        rounds: how often each build is measured.
        rows: the names of the rows.
        root: the repository of the commit.
        environment: makes the other build's environment.
    """
    with tempfile.TemporaryDirectory() as made, worktree(rev, Path(made), root) as tree:
        folder = Path(made) / "script"  # without domainkit beside it, which Python would take
        shutil.copytree(ROOT / "benchmarks", folder / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
        pythons = {"this": Path(sys.executable), "other": environment(tree, Path(made) / "environment")}
        found: dict[str, list[dict[str, Any]]] = {"this": [], "other": []}
        for turn in range(rounds):
            for name in sorted(pythons, reverse=bool(turn % 2)):
                print(f"round {turn + 1} of {rounds}: {name}", file=sys.stderr)
                found[name].append(measured(pythons[name], folder, rows))
    return "\n".join([*_head(rev, found), *(_row(name, found).text() for name in rows)])


def _head(rev: str, found: dict[str, list[dict[str, Any]]]) -> list[str]:
    this, other = (found[name][0] for name in ("this", "other"))
    assert this["place"] != other["place"], "both builds are the same"
    builds = {True: "with a part in C", False: "without a part in C"}
    if this["is_compiled"] != other["is_compiled"]:
        print("Only one build has a part in C: the ratios show that too", file=sys.stderr)
    return [
        f"this checkout, {builds[this['is_compiled']]}, against {rev}, {builds[other['is_compiled']]};",
        "microseconds; a ratio below 1 means that this checkout is faster, and half of the ratios are in the spread",
        f"{'':<34}{rev[:11]:>12}{'this':>12}{'ratio':>9}   spread",
    ]


def _row(name: str, found: dict[str, list[dict[str, Any]]]) -> Row:
    this, other = ([one["rows"][name] for one in found[whose]] for whose in ("this", "other"))
    return Row(name, this, other)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("rev", help="the commit to compare with: a tag, a branch, or a hash")
    parser.add_argument("--rounds", type=int, default=9, help="how often each build is measured (9)")
    parser.add_argument("--only", choices=[*ROWS], action="append", help="measure this row; may be given several times")
    options = parser.parse_args(arguments)
    print(compared(options.rev, rounds=options.rounds, rows=options.only or [*ROWS]))


if __name__ == "__main__":
    main()
